//! Runs a request-channel: asks it what to send, makes the exchange, shows it the answer, until it has an outcome.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::time::{Duration, Instant};
use wharf_core::{Outcome, Pairs, WireForm};
use wharf_plugin::{self as plugin, Call, Operation, Step, Wire};

use super::channel::{Channel, Reach};
use super::convert;
use crate::egress::{Answer, NoAnswer, NoAnswerKind, Origin, Request};
use crate::limits::{CHANNEL_STATE_BYTES_MAX, EXCHANGES_PER_ATTEMPT_MAX};

/// A wire form that was handed to a channel.
pub(super) struct Sent {
    endpoint: Option<String>,
    headers: Pairs,
    body: Bytes,
}

impl Sent {
    /// As it is stored.
    pub(super) fn into_form(self) -> WireForm {
        WireForm {
            endpoint: self.endpoint,
            headers: self.headers,
            body: self.body.into(),
        }
    }
}

/// Sends a wire form; gives it back, in case it is to be stored.
pub(super) async fn send(channel: &Channel, call: &Call, wire: Wire) -> (Outcome, Sent) {
    let operation = Operation::Send(wire);
    let first = channel.send.start(call, &operation).await;
    let Operation::Send(wire) = operation else {
        unreachable!("it was made as a send")
    };
    let body = Bytes::from(wire.body);
    let outcome = match first {
        Ok(step) => steps(channel, call, step, &body).await,
        Err(fault) => convert::plugin_fault(channel.send.plugin_name(), &fault),
    };
    (
        outcome,
        Sent {
            endpoint: wire.endpoint,
            headers: wire.headers,
            body,
        },
    )
}

async fn steps(channel: &Channel, call: &Call, mut step: Step, wire_body: &Bytes) -> Outcome {
    let deadline = Instant::now() + channel.timeout;
    for _ in 0..EXCHANGES_PER_ATTEMPT_MAX {
        let asked = match step {
            Step::Done(Ok(outcome)) => return convert::outcome(outcome),
            // Only a poll may fail by itself; in a send it is a failure like any other.
            Step::Done(Err(failure)) => {
                return convert::outcome(plugin::Outcome::Retry(failure));
            }
            Step::Request(asked) => asked,
        };
        if asked.state.len() > CHANNEL_STATE_BYTES_MAX {
            return lied(
                channel,
                "state-too-large",
                format!(
                    "it asked to keep {} bytes of state, the most is {CHANNEL_STATE_BYTES_MAX}",
                    asked.state.len()
                ),
            );
        }
        let state = asked.state.clone();
        let answer = match request(&channel.reach, asked, wire_body, deadline) {
            Ok(request) => channel.client.exchange(request).await,
            Err(no_answer) => Err(no_answer),
        };
        let answer = answer.map(response).map_err(no_answer);
        step = match channel.send.resume(call, &state, &answer).await {
            Ok(step) => step,
            Err(fault) => return convert::plugin_fault(channel.send.plugin_name(), &fault),
        };
    }
    match step {
        Step::Done(Ok(outcome)) => convert::outcome(outcome),
        Step::Done(Err(failure)) => convert::outcome(plugin::Outcome::Retry(failure)),
        Step::Request(_) => lied(
            channel,
            "too-many-requests-asked",
            format!("it asked for more than {EXCHANGES_PER_ATTEMPT_MAX} exchanges in one attempt"),
        ),
    }
}

/// A plugin that broke the contract: like a fault, its effect is not known.
fn lied(channel: &Channel, code: &str, reason: String) -> Outcome {
    convert::outcome(plugin::Outcome::Retry(plugin::Failure {
        code: format!("plugin-{code}"),
        reason: format!("plugin {}: {reason}", channel.send.plugin_name()),
        effect: plugin::Effect::Unknown,
        scope: plugin::Scope::Channel,
        pause: false,
        after_ms: None,
        notes: Vec::new(),
    }))
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
    if !reach.allows(&uri, &origin) {
        return Err(refused(format!(
            "plugin {} may not ask for this URL at {origin}; plugins.{}.allow-http would grant it",
            reach.plugin, reach.plugin
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
        timeout,
    })
}

impl Reach {
    fn allows(&self, uri: &Uri, origin: &Origin) -> bool {
        self.configured.as_ref() == Some(uri)
            || self
                .allowed
                .iter()
                .any(|p| p.matches(origin.scheme(), &origin.host, Some(origin.port)))
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
        status: answer.status,
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
