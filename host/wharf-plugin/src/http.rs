//! `wasi:http` for the plugins that were granted it: what they may ask for, how much of it at once, and who asks.
//!
//! The exchange itself is not made here: a [`HttpSender`] makes it, which the server hands over, so that a plugin's
//! own requests go through the same pooled and guarded client as everybody else's. Here a request is checked against
//! the grant, counted among the plugin's calls in flight, and its body is gathered.
//!
//! The drawback: bodies are passed whole, not as they come, so both are bounded in size.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Level;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};
use wharf_core::grant::HttpGrant;

use crate::fault::PluginFault;
use crate::guest_log::{GuestLog, lock};
use crate::limits;
use crate::stats::Stats;

/// A request that a plugin makes itself.
#[derive(Debug)]
pub struct HttpRequest {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The method.
    pub method: http::Method,
    /// Absolute; its scheme, host and port, and the method, were granted.
    pub uri: http::Uri,
    /// As the plugin gave them, and `host`.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The answer's body may be as large.
    pub answer_bytes_max: usize,
    /// How long it may take.
    pub timeouts: HttpTimeouts,
}

/// How long the parts of an exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct HttpTimeouts {
    /// All of it: what is left of the plugin's call.
    pub total: Duration,
    /// Until there is a connection.
    pub connect: Option<Duration>,
    /// From there to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the answer's body.
    pub between_bytes: Option<Duration>,
}

/// What came back.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: http::StatusCode,
    /// The header fields.
    pub headers: http::HeaderMap,
    /// All of the body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug)]
pub struct HttpNoAnswer {
    /// What kind of reason.
    pub kind: HttpNoAnswerKind,
    /// One sentence for the operator.
    pub detail: String,
}

/// The kinds of [`HttpNoAnswer`]; each is an error code of `wasi:http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpNoAnswerKind {
    /// The address may not be reached.
    RefusedByGuard,
    /// The name has no address.
    Dns,
    /// Nobody listens, or no connection came about in time.
    Connect,
    /// The handshake failed.
    Tls,
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Closed,
    /// What was sent or came back is no HTTP.
    Protocol,
    /// The answer is larger than it may be.
    TooLarge,
}

/// Makes the exchanges that plugins ask for through `wasi:http`. Whether a URL and a method were granted is decided
/// before; where the connection may go is the sender's to decide. Dropping the future gives the exchange up.
pub trait HttpSender: fmt::Debug + Send + Sync {
    /// Makes one exchange.
    fn send(
        &self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpAnswer, HttpNoAnswer>> + Send>>;
}

/// The power of one plugin: its grant, and what all of its instances share.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) plugin: Arc<str>,
    pub(crate) grant: Arc<HttpGrant>,
    pub(crate) sender: Arc<dyn HttpSender>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) calls_max: usize,
    pub(crate) body_bytes_max: u64,
    pub(crate) stats: Arc<Stats>,
}

/// One instance's side of it.
pub(crate) struct Outgoing {
    http: Option<Http>,
    deadline: Instant,
    /// Whether a request was refused for want of a place during this call.
    is_crowded: bool,
    /// Of this call. An exchange that outlives its call keeps the list that it began with.
    failures: Failures,
    log: GuestLog,
}

type Failures = Arc<Mutex<Vec<String>>>;

impl Outgoing {
    pub(crate) fn new(http: Option<Http>, log: GuestLog) -> Outgoing {
        Outgoing {
            http,
            deadline: Instant::now(),
            is_crowded: false,
            failures: Arc::default(),
            log,
        }
    }

    /// Begins a call.
    pub(crate) fn begin(&mut self, deadline: Instant) {
        if self.http.is_some() {
            self.deadline = deadline;
            self.is_crowded = false;
            self.failures = Arc::default();
        }
    }

    /// What became of the calls that failed, one sentence each.
    pub(crate) fn failures(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.failures))
    }

    /// The limit of calls in flight, where it was broken in this call.
    pub(crate) fn broken_limit(&self) -> Option<usize> {
        let http = self.http.as_ref().filter(|_| self.is_crowded)?;
        Some(http.calls_max)
    }

    /// The place of a request that is granted, or why it is none.
    fn check(
        &mut self,
        request: &http::Request<WasiBody>,
    ) -> Result<(Http, OwnedSemaphorePermit), Error> {
        let Some(http) = self.http.clone() else {
            return Err(Error::HttpRequestDenied);
        };
        if let Some(denied) = http.denied(request) {
            self.log.host_line(Level::WARN, "http", &denied);
            keep(&self.failures, denied);
            return Err(Error::HttpRequestDenied);
        }
        match Arc::clone(&http.places).try_acquire_owned() {
            Ok(place) => Ok((http, place)),
            Err(_) => {
                let fault = PluginFault::HttpCalls {
                    limit: http.calls_max,
                    detail: None,
                };
                http.stats.fault(&fault);
                let told = format!("connection-limit-reached: it {fault}");
                self.log.host_line(Level::WARN, "http", &told);
                keep(&self.failures, told);
                self.is_crowded = true;
                Err(Error::ConnectionLimitReached)
            }
        }
    }
}

impl Http {
    /// Why a request is not granted. The URL itself is never told: it can hold credentials.
    fn denied(&self, request: &http::Request<WasiBody>) -> Option<String> {
        let (plugin, uri, method) = (&self.plugin, request.uri(), request.method());
        let (scheme, host) = (uri.scheme_str().unwrap_or(""), uri.host().unwrap_or(""));
        if !self.grant.has_url(scheme, host, uri.port_u16()) {
            return Some(format!(
                "HTTP-request-denied: plugin {plugin} may not ask for this URL at {scheme}://{host}; \
                 plugins.{plugin}.allow-http would grant it"
            ));
        }
        (!self.grant.has_method(method.as_str())).then(|| {
            format!(
                "HTTP-request-denied: plugin {plugin} may not use the method {method}; \
                 plugins.{plugin}.allow-http-methods would grant it"
            )
        })
    }
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        let (http, place) = match self.check(&request) {
            Ok(granted) => granted,
            Err(error) => return Box::new(std::future::ready(Err(error))),
        };
        let (deadline, failures) = (self.deadline, Arc::clone(&self.failures));
        let log = self.log.clone();
        let options = options.unwrap_or_default();
        Box::new(async move {
            let _place = place;
            exchange(&http, request, options, deadline)
                .await
                .map_err(|failed| failed.tell(&http, &log, &failures))
        })
    }
}

type Answered = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

/// Why an exchange ended without an answer.
enum Failed {
    NoAnswer(HttpNoAnswer),
    /// The request's body is larger than the plugin may give.
    Output(u64),
    /// The guest gave its body up, and knows.
    Body(Error),
}

impl Failed {
    /// Says so in the log and to the attempt, and gives what the guest is told.
    fn tell(self, http: &Http, log: &GuestLog, failures: &Failures) -> Error {
        let (told, error) = match self {
            Failed::Body(error) => return error,
            Failed::NoAnswer(HttpNoAnswer { kind, detail }) => {
                (format!("{}: {detail}", kind.name()), kind.error())
            }
            Failed::Output(limit_bytes) => {
                let fault = PluginFault::Output { limit_bytes };
                http.stats.fault(&fault);
                let told = format!("HTTP-request-body-size: it {fault}");
                (told, Error::HttpRequestBodySize(Some(limit_bytes)))
            }
        };
        log.host_line(Level::INFO, "http", &told);
        keep(failures, told);
        error
    }
}

async fn exchange(
    http: &Http,
    request: http::Request<WasiBody>,
    options: RequestOptions,
    deadline: Instant,
) -> Result<Answered, Failed> {
    let (head, body) = request.into_parts();
    let body = gather(body, http.body_bytes_max).await?;
    let request = HttpRequest {
        plugin: Arc::clone(&http.plugin),
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body,
        answer_bytes_max: limits::HTTP_ANSWER_BYTES_MAX,
        timeouts: HttpTimeouts {
            total: deadline.saturating_duration_since(Instant::now()),
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        },
    };
    let answer = http.sender.send(request).await.map_err(Failed::NoAnswer)?;
    let whole = Full::new(answer.body).map_err(|never| match never {});
    let mut response = http::Response::new(whole.boxed_unsync());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok((response, Box::new(std::future::ready(Ok(())))))
}

/// The whole of what the guest writes. It may go on writing for as long as its call lasts.
async fn gather(mut body: WasiBody, bytes_max: u64) -> Result<Bytes, Failed> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Failed::Body)?.into_data() else {
            continue;
        };
        if (whole.len() + data.len()) as u64 > bytes_max {
            return Err(Failed::Output(bytes_max));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// A guest that fails in a loop fills no memory.
fn keep(failures: &Failures, failure: String) {
    let mut failures = lock(failures);
    if failures.len() < limits::HTTP_FAILURES_KEPT {
        failures.push(failure);
    }
}

impl HttpNoAnswerKind {
    /// As a request-channel is told it.
    fn name(self) -> &'static str {
        match self {
            HttpNoAnswerKind::RefusedByGuard => "refused-by-guard",
            HttpNoAnswerKind::Dns => "dns",
            HttpNoAnswerKind::Connect => "connect",
            HttpNoAnswerKind::Tls => "tls",
            HttpNoAnswerKind::Timeout => "timeout",
            HttpNoAnswerKind::Closed => "closed",
            HttpNoAnswerKind::Protocol => "protocol",
            HttpNoAnswerKind::TooLarge => "too-large",
        }
    }

    /// As the guest is told it.
    fn error(self) -> Error {
        match self {
            HttpNoAnswerKind::RefusedByGuard => Error::DestinationIpProhibited,
            HttpNoAnswerKind::Dns => Error::DnsError {
                rcode: None,
                info_code: None,
            },
            HttpNoAnswerKind::Connect => Error::ConnectionRefused,
            HttpNoAnswerKind::Tls => Error::TlsProtocolError,
            HttpNoAnswerKind::Timeout => Error::HttpResponseTimeout,
            HttpNoAnswerKind::Closed => Error::ConnectionTerminated,
            HttpNoAnswerKind::Protocol => Error::HttpProtocolError,
            HttpNoAnswerKind::TooLarge => {
                Error::HttpResponseBodySize(Some(limits::HTTP_ANSWER_BYTES_MAX as u64))
            }
        }
    }
}
