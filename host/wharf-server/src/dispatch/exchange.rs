//! Runs a request-channel: asks it what to send, makes the exchange, shows it the answer, until it has an outcome.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::time::{Duration, Instant};
use wharf_core::Pairs;
use wharf_plugin::{self as plugin, Call, Operation, PluginFault, RequestChannel, Step, Wire};

use super::channel::{Channel, Reach};
use super::convert;
use super::hook::Bound;
use super::send::{Sent, SentWire};
use crate::egress::{Answer, NoAnswer, NoAnswerKind, Origin, Request, StepTimeouts};
use crate::limits::{ANSWER_BYTES_MAX, EXCHANGES_PER_ATTEMPT_MAX};

/// Sends a wire form; gives it back, in case it is to be shown or stored.
pub(super) async fn send(
    channel: &Channel,
    hook: &Bound<RequestChannel>,
    call: &Call,
    wire: Wire,
) -> Sent {
    let operation = Operation::Send(wire);
    let began = Instant::now();
    let first = hook.hook.start(call, &operation).await;
    let mut took = began.elapsed();
    let Operation::Send(wire) = operation else {
        unreachable!("it was made as a send")
    };
    let wire = SentWire::from(wire);
    let ended = match first {
        Ok(step) => steps(channel, hook, call, step, &wire.body, &mut took).await,
        Err(fault) => Err(fault),
    };
    Sent {
        outcome: match ended {
            Ok(outcome) => convert::outcome(outcome),
            Err(fault) => convert::plugin_fault(hook.plugin(), call, &fault),
        },
        took,
        wire,
    }
}

async fn steps(
    channel: &Channel,
    hook: &Bound<RequestChannel>,
    call: &Call,
    mut step: Step,
    wire_body: &Bytes,
    took: &mut Duration,
) -> Result<plugin::Outcome, PluginFault> {
    let deadline = Instant::now() + channel.timeout;
    for _ in 0..EXCHANGES_PER_ATTEMPT_MAX {
        let asked = match step {
            Step::Done(done) => return Ok(outcome(done)),
            Step::Request(asked) => asked,
        };
        let state = asked.state.clone();
        let answer = match request(&channel.reach, asked, wire_body, deadline) {
            Ok(request) => channel.client.exchange(request).await,
            Err(no_answer) => Err(no_answer),
        };
        let answer = answer.map(response).map_err(no_answer);
        let began = Instant::now();
        let resumed = hook.hook.resume(call, &state, &answer).await;
        *took += began.elapsed();
        step = resumed?;
    }
    match step {
        Step::Done(done) => Ok(outcome(done)),
        Step::Request(_) => Err(hook.hook.too_many_requests(EXCHANGES_PER_ATTEMPT_MAX)),
    }
}

/// Only a poll may fail by itself; in a send it is a failure like any other.
fn outcome(done: Result<plugin::Outcome, plugin::Failure>) -> plugin::Outcome {
    done.unwrap_or_else(plugin::Outcome::Retry)
}

/// Checks what the plugin asked for.
fn request(
    reach: &Reach,
    asked: plugin::Request,
    wire_body: &Bytes,
    deadline: Instant,
) -> Result<Request, NoAnswer> {
    let refused = |detail: String| NoAnswer::unsent(NoAnswerKind::RefusedByGuard, detail);
    let protocol = |detail: String| NoAnswer::unsent(NoAnswerKind::Protocol, detail);
    // The URL itself is never told: it can hold credentials.
    let uri: Uri = asked
        .url
        .parse()
        .map_err(|e| refused(format!("the URL cannot be read: {e}")))?;
    let origin =
        Origin::of(&uri).map_err(|why| refused(format!("the URL cannot be used: {why}")))?;
    let Reach { plugin, grant, .. } = reach;
    if !reach.allows(&uri, &origin) {
        return Err(refused(format!(
            "plugin {plugin} may not ask for this URL at {origin}; plugins.{plugin}.allow-http would grant it"
        )));
    }
    if !grant.has_method(&asked.method) {
        return Err(refused(format!(
            "plugin {plugin} may not use the method {:?}; plugins.{plugin}.allow-http-methods would grant it",
            asked.method
        )));
    }
    let target = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = asked
        .timeout_ms
        .map_or(left, |ms| left.min(Duration::from_millis(u64::from(ms))));
    Ok(Request {
        method: Method::from_bytes(asked.method.as_bytes())
            .map_err(|_| protocol(format!("{:?} is no HTTP method", asked.method)))?,
        origin,
        target,
        headers: headers(asked.headers).map_err(protocol)?,
        body: asked.body.map_or_else(|| wire_body.clone(), Bytes::from),
        answer_bytes_max: ANSWER_BYTES_MAX,
        timeout,
        steps: StepTimeouts::default(),
    })
}

impl Reach {
    fn allows(&self, uri: &Uri, origin: &Origin) -> bool {
        self.configured.as_ref() == Some(uri)
            || self
                .grant
                .has_url(origin.scheme(), &origin.host, Some(origin.port))
    }
}

/// The fields that the exchange itself decides are left out.
fn headers(pairs: Pairs) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(pairs.len() + 2);
    for (name, value) in pairs {
        let value = HeaderValue::try_from(value).map_err(|_| {
            format!("the value of header {name:?} has bytes that a header cannot have")
        })?;
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| format!("{name:?} is no header name"))?;
        if matches!(
            name,
            http::header::HOST
                | http::header::CONTENT_LENGTH
                | http::header::TRANSFER_ENCODING
                | http::header::CONNECTION
                | http::header::UPGRADE
        ) {
            continue;
        }
        headers.append(name, value);
    }
    Ok(headers)
}

fn response(answer: Answer) -> plugin::Response {
    plugin::Response {
        status: answer.status.as_u16(),
        headers: answer
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: answer.body,
        elapsed_ms: u32::try_from(answer.elapsed.as_millis()).unwrap_or(u32::MAX),
    }
}

fn no_answer(no_answer: NoAnswer) -> plugin::NoAnswer {
    plugin::NoAnswer {
        kind: no_answer.kind.as_str().to_owned(),
        detail: no_answer.detail,
        sent: no_answer.sent,
    }
}
