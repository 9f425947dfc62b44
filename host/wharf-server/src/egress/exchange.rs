//! One exchange: a connection of the lane, the request, the whole answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::connect::Connector;
use super::lane::{Connection, Lane, Origin};
use super::{Answer, NoAnswer, NoAnswerKind, Options, Request, StepTimeouts};
use crate::limits::CONNECT_TIMEOUT;

/// Lanes without an idle connection are forgotten once there are this many: endpoints can come with messages.
const LANES_COUNT_SWEEP: usize = 4096;

/// Makes exchanges. One for the whole host.
pub(crate) struct Client {
    connector: Connector,
    lanes: Mutex<HashMap<Origin, Arc<Lane>>>,
}

impl Client {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            connector: Connector::new(options),
            lanes: Mutex::default(),
        }
    }

    /// Makes one exchange, within the request's time-out.
    pub(crate) async fn exchange(&self, request: Request) -> Result<Answer, NoAnswer> {
        let started = Instant::now();
        let lane = self.lane(&request.origin);
        let mut sent = false;
        let limit = request.timeout;
        let origin = request.origin.clone();
        match timeout(limit, self.run(&lane, request, &mut sent)).await {
            Ok(Ok(read)) => Ok(Answer {
                status: read.head.status,
                headers: read.head.headers,
                body: read.body,
                is_cut: read.is_cut,
                elapsed: started.elapsed(),
            }),
            Ok(Err(no_answer)) => Err(no_answer),
            Err(_elapsed) => Err(NoAnswer {
                kind: NoAnswerKind::Timeout,
                detail: format!("{origin} did not answer within {limit:?}"),
                sent,
            }),
        }
    }

    async fn run(&self, lane: &Lane, request: Request, sent: &mut bool) -> Result<Read, NoAnswer> {
        let reader = Reader {
            origin: request.origin.clone(),
            bytes_max: request.answer_bytes_max,
            steps: request.steps,
        };
        let mut message = message(request)?;
        // An idle connection may have been closed by the receiver; what it did not take goes out on another.
        while let Some(mut connection) = lane.take() {
            if connection.ready().await.is_err() {
                continue;
            }
            *sent = true;
            match reader.head(connection.try_send_request(message)).await? {
                Ok(response) => return reader.read(lane, connection, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => {
                        *sent = false;
                        message = unsent;
                    }
                    None => return Err(failed(&reader.origin, &error.into_error())),
                },
            }
        }
        let origin = &reader.origin;
        let limit = reader
            .steps
            .connect
            .map_or(CONNECT_TIMEOUT, |connect| connect.min(CONNECT_TIMEOUT));
        let mut connection = timeout(limit, self.connector.connect(origin))
            .await
            .map_err(|_| {
                NoAnswer::unsent(
                    NoAnswerKind::Connect,
                    format!("no connection to {origin} within {limit:?}"),
                )
            })??;
        *sent = true;
        match reader.head(connection.try_send_request(message)).await? {
            Ok(response) => reader.read(lane, connection, response).await,
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                let no_answer = failed(origin, &error.into_error());
                Err(NoAnswer {
                    sent: !unsent,
                    ..no_answer
                })
            }
        }
    }

    fn lane(&self, origin: &Origin) -> Arc<Lane> {
        let mut lanes = self
            .lanes
            .lock()
            .expect("the lanes' lock is never held over a panic");
        if let Some(lane) = lanes.get(origin) {
            return Arc::clone(lane);
        }
        if lanes.len() >= LANES_COUNT_SWEEP {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || !lane.is_empty());
        }
        Arc::clone(lanes.entry(origin.clone()).or_default())
    }
}

fn message(request: Request) -> Result<http::Request<Full<Bytes>>, NoAnswer> {
    let protocol = |e: String| NoAnswer::unsent(NoAnswerKind::Protocol, e);
    // A body that is empty is a body too; some servers ask for its length.
    let needs_length =
        request.body.is_empty() && !matches!(request.method, Method::GET | Method::HEAD);
    let mut message = http::Request::new(Full::new(request.body));
    *message.method_mut() = request.method;
    *message.uri_mut() = http::Uri::from(request.target);
    *message.headers_mut() = request.headers;
    let host = HeaderValue::from_str(&request.origin.host_field())
        .map_err(|e| protocol(format!("{} is no Host field: {e}", request.origin)))?;
    message.headers_mut().insert(HOST, host);
    if needs_length {
        message
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    message
        .headers_mut()
        .entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!(
            "wharf/",
            env!("CARGO_PKG_VERSION")
        )));
    Ok(message)
}

/// How an answer is read.
struct Reader {
    origin: Origin,
    bytes_max: usize,
    steps: StepTimeouts,
}

/// An answer that was read.
struct Read {
    head: http::response::Parts,
    body: Vec<u8>,
    is_cut: bool,
}

impl Reader {
    /// Waits for the head of an answer.
    async fn head<F: Future>(&self, sending: F) -> Result<F::Output, NoAnswer> {
        self.within(self.steps.first_byte, sending).await
    }

    /// Reads the rest; the connection is kept for the next exchange where nothing of it is left.
    async fn read(
        &self,
        lane: &Lane,
        connection: Connection,
        response: http::Response<Incoming>,
    ) -> Result<Read, NoAnswer> {
        let (head, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        let between_bytes = self.steps.between_bytes;
        while let Some(frame) = self.within(between_bytes, incoming.frame()).await? {
            let frame = frame.map_err(|e| failed(&self.origin, &e))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let room = self.bytes_max - body.len();
            if data.len() > room {
                // The rest is not wanted; the connection is dropped with it.
                body.extend_from_slice(&data[..room]);
                let is_cut = true;
                return Ok(Read { head, body, is_cut });
            }
            body.extend_from_slice(&data);
        }
        lane.put(connection);
        let is_cut = false;
        Ok(Read { head, body, is_cut })
    }

    /// One step, within its own limit where it has one.
    async fn within<F: Future>(
        &self,
        limit: Option<Duration>,
        step: F,
    ) -> Result<F::Output, NoAnswer> {
        let Some(limit) = limit else {
            return Ok(step.await);
        };
        timeout(limit, step).await.map_err(|_| NoAnswer {
            kind: NoAnswerKind::Timeout,
            detail: format!("{} sent nothing for {limit:?}", self.origin),
            sent: true,
        })
    }
}

fn failed(origin: &Origin, error: &hyper::Error) -> NoAnswer {
    let kind = if is_tls(error) {
        NoAnswerKind::Tls
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        NoAnswerKind::Closed
    } else if error.is_parse() || error.is_user() {
        NoAnswerKind::Protocol
    } else {
        NoAnswerKind::Closed
    };
    let mut detail = format!("the exchange with {origin} failed: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        detail.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    NoAnswer {
        kind,
        detail,
        sent: true,
    }
}

/// Whether TLS ended the exchange, as a receiver does that does not take our certificate: it says so only after the
/// handshake.
fn is_tls(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let io = cause.downcast_ref::<std::io::Error>();
        if io
            .and_then(std::io::Error::get_ref)
            .is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>())
        {
            return true;
        }
        source = cause.source();
    }
    false
}
