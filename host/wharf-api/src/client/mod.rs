//! The thin client: one call, one request.

mod backup;

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    BatchLine, CLOUDEVENT_JSON, ChangedView, ChannelView, ChannelsView, FIRST_LINE, Health, JSON,
    JournalView, ListView, MessageView, NDJSON, ParkedListView, PauseInput, PluginsView, Problem,
    RedriveInput, RedriveListInput, RedrivenView, ReloadView, ResumeInput, RoutesView, SendAnswer,
    StoreView,
};

pub use backup::BackupError;

/// Longest wait for an answer. A commit takes milliseconds; this is for a server that hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer came.
    #[error("no answer from {url}")]
    NoAnswer {
        /// Whom it asked.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The server answered with a problem.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The server answered with something that is not ours.
    #[error(
        "{url} answered {status} with something that is no wharf answer: is it a wharf server?"
    )]
    Foreign {
        /// Whom it asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
}

/// A blocking client for one server.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// A client for the server at `base`, such as `http://127.0.0.1:8470`.
    #[must_use]
    pub fn new(base: &str, token: Option<String>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build()
            .new_agent();
        Self {
            agent,
            base: base.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// Sends one message in the JSON form, given as its bytes.
    pub fn send(
        &self,
        body: &[u8],
        idempotency_key: Option<&str>,
    ) -> Result<SendAnswer, ClientError> {
        let mut headers = vec![("content-type", JSON.to_owned())];
        headers.extend(idempotency_key.map(keyed));
        self.post("/v1/messages", headers, body)
    }

    /// Sends one CloudEvent as a JSON object, given as its bytes.
    pub fn send_event(&self, body: &[u8]) -> Result<SendAnswer, ClientError> {
        let headers = vec![("content-type", CLOUDEVENT_JSON.to_owned())];
        self.post("/v1/messages", headers, body)
    }

    /// Sends a batch, one JSON form a line. Where it is a piece of something longer, `first_line` is the number of its
    /// first line there, from 1; the answers count from it too.
    pub fn send_batch(
        &self,
        body: &[u8],
        first_line: u64,
        idempotency_key: Option<&str>,
    ) -> Result<Vec<BatchLine>, ClientError> {
        let mut headers = vec![
            ("content-type", NDJSON.to_owned()),
            (FIRST_LINE, first_line.to_string()),
        ];
        headers.extend(idempotency_key.map(keyed));
        let text = self.post_raw("/v1/messages/batch", headers, body)?;
        text.split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line).map_err(|_| self.foreign("/v1/messages/batch", 200))
            })
            .collect()
    }

    /// A message and where it stands.
    pub fn message(&self, id: &str) -> Result<MessageView, ClientError> {
        self.get(&format!("/v1/messages/{}", escape(id)))
    }

    /// A message's journal.
    pub fn journal(&self, id: &str) -> Result<JournalView, ClientError> {
        self.get(&format!("/v1/messages/{}/journal", escape(id)))
    }

    /// The plugin folder.
    pub fn plugins(&self) -> Result<PluginsView, ClientError> {
        self.get("/v1/plugins")
    }

    /// A page of the deliveries that the query's `status` and `channel` ask for, such as
    /// `[("status", "retrying,pending")]`.
    pub fn deliveries(&self, query: &[(&str, &str)]) -> Result<ListView, ClientError> {
        self.get(&with_query("/v1/deliveries", query))
    }

    /// A page of what was given up: dead, rejected, shed, and messages that no route matched.
    pub fn dead_letters(&self, query: &[(&str, &str)]) -> Result<ListView, ClientError> {
        self.get(&with_query("/v1/dead-letters", query))
    }

    /// A page of the rows that have a note, such as `[("note", "http-status=503")]`.
    pub fn search_journal(&self, query: &[(&str, &str)]) -> Result<JournalView, ClientError> {
        self.get(&with_query("/v1/journal", query))
    }

    /// A page of what could not be used and was put aside.
    pub fn parked(&self, query: &[(&str, &str)]) -> Result<ParkedListView, ClientError> {
        self.get(&with_query("/v1/parked", query))
    }

    /// Cancels what can be cancelled of a message's deliveries.
    pub fn cancel(&self, id: &str) -> Result<ChangedView, ClientError> {
        let path = format!("/v1/messages/{}/cancel", escape(id));
        self.post_json(&path, &serde_json::json!({}))
    }

    /// Sends a message's dead letters again.
    pub fn redrive(&self, id: &str, input: &RedriveInput) -> Result<ChangedView, ClientError> {
        self.post_json(&format!("/v1/messages/{}/redrive", escape(id)), input)
    }

    /// Sends a page of dead letters again.
    pub fn redrive_listed(&self, input: &RedriveListInput) -> Result<RedrivenView, ClientError> {
        self.post_json("/v1/dead-letters/redrive", input)
    }

    /// The channels and how they are doing.
    pub fn channels(&self) -> Result<ChannelsView, ClientError> {
        self.get("/v1/channels")
    }

    /// Stops a channel from sending. What is in flight ends.
    pub fn pause(&self, channel: &str, input: &PauseInput) -> Result<ChannelView, ClientError> {
        self.post_json(&format!("/v1/channels/{}/pause", escape(channel)), input)
    }

    /// Lets a paused channel, or one of its lanes, send again.
    pub fn resume(&self, channel: &str, input: &ResumeInput) -> Result<ChannelView, ClientError> {
        self.post_json(&format!("/v1/channels/{}/resume", escape(channel)), input)
    }

    /// What is in the store's file, with the sizes of its tables where they are asked for: the server reads all of it
    /// for them, and may take as long as it needs.
    pub fn store(&self, with_sizes: bool) -> Result<StoreView, ClientError> {
        let path = format!("/v1/store?sizes={with_sizes}");
        let mut request = self.agent.get(self.url(&path)).config();
        if with_sizes {
            request = request.timeout_global(None);
        }
        self.get_by(&path, request.build())
    }

    /// Whether the server is ready.
    pub fn ready(&self) -> Result<Health, ClientError> {
        self.get("/readyz")
    }

    /// All routes.
    pub fn routes(&self) -> Result<RoutesView, ClientError> {
        self.get("/v1/routes")
    }

    /// Puts routes in the place of all that there are.
    pub fn put_routes(&self, routes: &[u8]) -> Result<ReloadView, ClientError> {
        let path = "/v1/routes";
        let json = ("content-type", JSON.to_owned());
        let request = self.agent.put(self.url(path));
        let bytes = self.send_to(path, request, vec![json], routes)?;
        serde_json::from_slice(&bytes).map_err(|_| self.foreign(path, 200))
    }

    /// Has the configuration read again.
    pub fn reload(&self) -> Result<ReloadView, ClientError> {
        let json = ("content-type", JSON.to_owned());
        self.post("/v1/config/reload", vec![json], b"")
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get_by(path, self.agent.get(self.url(path)))
    }

    fn get_by<T: DeserializeOwned>(
        &self,
        path: &str,
        mut request: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
    ) -> Result<T, ClientError> {
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let bytes = self.read(path, request.call())?;
        serde_json::from_slice(&bytes).map_err(|_| self.foreign(path, 200))
    }

    fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: Vec<(&str, String)>,
        body: &[u8],
    ) -> Result<T, ClientError> {
        let bytes = self.post_raw(path, headers, body)?;
        serde_json::from_slice(&bytes).map_err(|_| self.foreign(path, 200))
    }

    fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        input: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(input).expect("what callers ask for is plain JSON");
        self.post(path, vec![("content-type", JSON.to_owned())], &body)
    }

    fn post_raw(
        &self,
        path: &str,
        headers: Vec<(&str, String)>,
        body: &[u8],
    ) -> Result<Vec<u8>, ClientError> {
        let request = self.agent.post(self.url(path));
        self.send_to(path, request, headers, body)
    }

    fn send_to(
        &self,
        path: &str,
        mut request: ureq::RequestBuilder<ureq::typestate::WithBody>,
        headers: Vec<(&str, String)>,
        body: &[u8],
    ) -> Result<Vec<u8>, ClientError> {
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.read(path, request.send(body))
    }

    fn read(
        &self,
        path: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Vec<u8>, ClientError> {
        let no_answer = |source| self.no_answer(path, source);
        let mut answer = answer.map_err(no_answer)?;
        let status = answer.status().as_u16();
        let mut bytes = Vec::new();
        answer
            .body_mut()
            .as_reader()
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|e| no_answer(e.into()))?;
        if (200..300).contains(&status) {
            return Ok(bytes);
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Err(ClientError::Problem(Box::new(problem))),
            Err(_) => Err(self.foreign(path, status)),
        }
    }

    fn no_answer(&self, path: &str, source: ureq::Error) -> ClientError {
        ClientError::NoAnswer {
            url: self.url(path),
            source: Box::new(source),
        }
    }

    fn foreign(&self, path: &str, status: u16) -> ClientError {
        ClientError::Foreign {
            url: self.url(path),
            status,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs = query
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)));
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", pairs.join("&"))
}

/// The header of an idempotency key, written as a string of RFC 8941.
fn keyed(key: &str) -> (&'static str, String) {
    let key = key.replace('\\', r"\\").replace('"', r#"\""#);
    ("idempotency-key", format!("\"{key}\""))
}

/// Percent-encodes what is not unreserved, so that a wrong id cannot change the path.
fn escape(segment: &str) -> String {
    use std::fmt::Write as _;
    segment
        .bytes()
        .fold(String::with_capacity(segment.len()), |mut out, byte| {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                    out.push(byte as char)
                }
                _ => {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
            out
        })
}
