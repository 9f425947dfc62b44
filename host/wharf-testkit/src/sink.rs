//! A receiver that does as it is told: the far end of a delivery in tests, demo and benches.
//!
//! It listens on a free loopback port, answers by a script of its paths, and keeps what it was
//! sent. It runs on a thread of its own, so that a test may block on it while the code under test
//! runs elsewhere.
//!
//! ```no_run
//! # use wharf_testkit::sink::{Answer, Sink};
//! # use std::time::Duration;
//! let sink = Sink::start()?;
//! sink.script("/orders", [Answer::status(503), Answer::status(503), Answer::status(200)]);
//! // … have something delivered to sink.url("/orders") …
//! let requests = sink.wait_until(Duration::from_secs(10), |requests| requests.len() == 3)?;
//! assert_eq!(requests[2].header("webhook-id"), requests[0].header("webhook-id"));
//! # anyhow::Ok(())
//! ```

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use crate::gate::Gate;

/// How many requests are kept unless told otherwise: more than any test looks at, and bounded
/// should one run away.
const KEEP_DEFAULT: usize = 10_000;

/// What the sink does with one request.
#[derive(Clone, Debug)]
pub struct Answer {
    delay: Duration,
    gate: Option<Gate>,
    then: Then,
}

#[derive(Clone, Debug)]
enum Then {
    Respond {
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
    },
    Silence,
    Close,
}

impl Answer {
    /// Answers with this status. Panics on a number that is no status.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status from 100 to 999");
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self {
            delay: Duration::ZERO,
            gate: None,
            then: Then::Respond {
                status,
                headers,
                body,
            },
        }
    }

    /// Reads the request and never answers.
    pub fn silence() -> Self {
        Self {
            delay: Duration::ZERO,
            gate: None,
            then: Then::Silence,
        }
    }

    /// Reads the request and closes the connection without an answer.
    pub fn close() -> Self {
        Self {
            delay: Duration::ZERO,
            gate: None,
            then: Then::Close,
        }
    }

    /// Waits this long first.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits until the gate is open.
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Adds a header to an answer with a status. Panics on what is no header.
    pub fn header(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        if let Then::Respond { headers, .. } = &mut self.then {
            let value = value.to_string().parse().expect("a header value");
            headers.append(name, value);
        }
        self
    }

    fn status_code(&self) -> Option<StatusCode> {
        match self.then {
            Then::Respond { status, .. } => Some(status),
            Then::Silence | Then::Close => None,
        }
    }

    /// Adds `Retry-After`, in seconds or as a date.
    pub fn retry_after(self, value: impl fmt::Display) -> Self {
        self.header("retry-after", value)
    }

    /// Gives an answer with a status this body.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        if let Then::Respond { body, .. } = &mut self.then {
            *body = bytes.into();
        }
        self
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its place in the order in which bodies were complete, from 0.
    pub number: u64,
    /// When its body was complete.
    pub at: Instant,
    /// Such as `POST`.
    pub method: Method,
    /// The path, with its query.
    pub path: String,
    /// All headers, in order within each name.
    pub headers: HeaderMap,
    /// The exact bytes.
    pub body: Bytes,
    /// What it is answered with. None: it gets no answer.
    pub answered: Option<StatusCode>,
}

impl Received {
    /// The first value of a header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What was waited for did not come. Says what did.
#[derive(Debug)]
pub struct TimedOut {
    deadline: Duration,
    count: u64,
    last: Vec<String>,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            deadline,
            count,
            last,
        } = self;
        write!(
            f,
            "the sink did not get what was waited for within {deadline:?}; "
        )?;
        write!(f, "it got {count} requests, the last: {}", last.join(", "))
    }
}

impl std::error::Error for TimedOut {}

/// Settings of a [`Sink`] that is not the plain one.
#[derive(Debug)]
pub struct Builder {
    address: SocketAddr,
    keep: usize,
    workers: usize,
}

impl Builder {
    /// Listens here instead of on a free port: for a receiver that comes back.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Keeps the first `keep` requests; later ones are only counted.
    pub fn keep(mut self, keep: usize) -> Self {
        self.keep = keep;
        self
    }

    /// Keeps nothing and only counts: for benches.
    pub fn count_only(self) -> Self {
        self.keep(0)
    }

    /// Threads that serve. One by default.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Starts it. It listens when this returns.
    pub fn start(self) -> io::Result<Sink> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.workers)
            .thread_name("sink")
            .enable_all()
            .build()?;
        // Bound outside the runtime: the caller may be a task, which must not block on another
        // runtime.
        let listener = std::net::TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(self.keep));
        let (stop, stopped) = watch::channel(());
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let serving = serve(listener, state.clone(), stopped);
        let thread = std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || {
                runtime.block_on(serving);
                // Connections that wait for silence to end are cut.
                runtime.shutdown_background();
            })?;
        Ok(Sink {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// The running receiver. Stops when dropped.
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// A sink on a free port that answers 200 to everything until told otherwise.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// For a sink with other settings.
    pub fn builder() -> Builder {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Builder {
            address,
            keep: KEEP_DEFAULT,
            workers: 1,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which starts with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers requests to `path` (without query) with these, one after another; the last one
    /// repeats. Replaces what was scripted before. Panics on an empty script.
    pub fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let mut answers: Vec<Answer> = answers.into_iter().collect();
        assert!(!answers.is_empty(), "a script needs an answer");
        answers.reverse();
        self.state.lock().scripts.insert(path.to_owned(), answers);
    }

    /// Answers requests to paths without a script with this, instead of 200.
    pub fn otherwise(&self, answer: Answer) {
        self.state.lock().otherwise = answer;
    }

    /// The requests kept so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.state.lock().kept.clone()
    }

    /// Takes the requests kept so far: none of them is given twice, and none is missed.
    pub fn take_requests(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.lock().kept)
    }

    /// How many requests came, kept or not.
    pub fn count(&self) -> u64 {
        self.state.count.load(Ordering::Acquire)
    }

    /// The most requests that were ever in its hands at once, from the head to the end of the
    /// answer.
    pub fn in_flight_max(&self) -> usize {
        self.state.in_flight_max.load(Ordering::Acquire)
    }

    /// Forgets the requests so far; scripts go on where they are.
    pub fn forget(&self) {
        let mut inner = self.state.lock();
        inner.kept.clear();
        self.state.count.store(0, Ordering::Release);
        self.state.in_flight_max.store(0, Ordering::Release);
    }

    /// Blocks until the requests kept so far are as wanted, and gives them.
    pub fn wait_until(
        &self,
        deadline: Duration,
        wanted: impl FnMut(&[Received]) -> bool,
    ) -> Result<Vec<Received>, TimedOut> {
        self.state.wait(deadline, kept_when(wanted))
    }

    /// Blocks until at least `count` requests came. Works in count-only mode too.
    pub fn wait_for_count(&self, deadline: Duration, count: u64) -> Result<(), TimedOut> {
        self.state
            .wait(deadline, |_| (self.count() >= count).then_some(()))
    }

    /// [`Sink::wait_until`] for a test that shares its thread with the code under test.
    pub async fn wait_until_async(
        &self,
        deadline: Duration,
        wanted: impl FnMut(&[Received]) -> bool,
    ) -> Result<Vec<Received>, TimedOut> {
        self.state.wait_async(deadline, kept_when(wanted)).await
    }

    /// [`Sink::wait_for_count`] for a test that shares its thread with the code under test.
    pub async fn wait_for_count_async(
        &self,
        deadline: Duration,
        count: u64,
    ) -> Result<(), TimedOut> {
        self.state
            .wait_async(deadline, |_| (self.count() >= count).then_some(()))
            .await
    }

    /// Closes the port and every connection. Later connections are refused.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the sink's thread panicked");
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

fn kept_when(
    mut wanted: impl FnMut(&[Received]) -> bool,
) -> impl FnMut(&Inner) -> Option<Vec<Received>> {
    move |inner| wanted(&inner.kept).then(|| inner.kept.clone())
}

struct State {
    keep: usize,
    count: AtomicU64,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
    inner: Mutex<Inner>,
    /// Both tell that `inner` or `count` changed: one to threads, one to tasks.
    changed: Condvar,
    changed_async: Notify,
}

struct Inner {
    kept: Vec<Received>,
    /// By path, the answers to come, the next one last.
    scripts: HashMap<String, Vec<Answer>>,
    otherwise: Answer,
}

impl State {
    fn new(keep: usize) -> Self {
        let otherwise = Answer::status(200);
        Self {
            keep,
            count: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            in_flight_max: AtomicUsize::new(0),
            inner: Mutex::new(Inner {
                kept: vec![],
                scripts: HashMap::new(),
                otherwise,
            }),
            changed: Condvar::new(),
            changed_async: Notify::new(),
        }
    }

    /// A test's closure that panics while it looks must not break the sink for the others.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request and says what to do with it.
    fn take(&self, head: http::request::Parts, body: Bytes) -> Answer {
        let mut inner = self.lock();
        let number = self.count.fetch_add(1, Ordering::AcqRel);
        let answer = inner.next_answer(head.uri.path());
        if inner.kept.len() < self.keep {
            let path = head
                .uri
                .path_and_query()
                .map_or("", |path| path.as_str())
                .to_owned();
            let (method, headers) = (head.method, head.headers);
            let at = Instant::now();
            inner.kept.push(Received {
                number,
                at,
                method,
                path,
                headers,
                body,
                answered: answer.status_code(),
            });
        }
        drop(inner);
        self.changed.notify_all();
        self.changed_async.notify_waiters();
        answer
    }

    fn wait<T>(
        &self,
        deadline: Duration,
        mut done: impl FnMut(&Inner) -> Option<T>,
    ) -> Result<T, TimedOut> {
        let end = Instant::now() + deadline;
        let mut inner = self.lock();
        loop {
            if let Some(result) = done(&inner) {
                return Ok(result);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.timed_out(&inner, deadline));
            }
            let woken = self.changed.wait_timeout(inner, left);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    async fn wait_async<T>(
        &self,
        deadline: Duration,
        mut done: impl FnMut(&Inner) -> Option<T>,
    ) -> Result<T, TimedOut> {
        let arrives = async {
            loop {
                // Enabled before looking, so that no change falls between the look and the wait.
                let mut changed = pin!(self.changed_async.notified());
                changed.as_mut().enable();
                if let Some(result) = done(&self.lock()) {
                    return result;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(deadline, arrives).await {
            Ok(result) => Ok(result),
            Err(_) => Err(self.timed_out(&self.lock(), deadline)),
        }
    }

    fn timed_out(&self, inner: &Inner, deadline: Duration) -> TimedOut {
        let count = self.count.load(Ordering::Acquire);
        let last = inner.kept.iter().rev().take(10).rev();
        let last = last
            .map(|request| format!("{} {}", request.method, request.path))
            .collect();
        TimedOut {
            deadline,
            count,
            last,
        }
    }
}

impl Inner {
    fn next_answer(&mut self, path: &str) -> Answer {
        match self.scripts.get_mut(path) {
            Some(answers) if answers.len() > 1 => answers.pop().expect("more than one is left"),
            Some(answers) => answers[0].clone(),
            None => self.otherwise.clone(),
        }
    }
}

/// Accepts until `stopped` ends. Connections are tasks of this future's set, and end with it.
async fn serve(listener: TcpListener, state: Arc<State>, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else { continue };
        // Without it, the tail of an answer may wait 40 ms for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(|request| handle(&state, request));
            let connection = hyper::server::conn::http1::Builder::new();
            // An error is the peer's, or a scripted close.
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The error that makes hyper close the connection without an answer.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed without an answer")
    }
}

impl std::error::Error for Closed {}

async fn handle(
    state: &State,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let _in_flight = InFlight::new(state);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let answer = state.take(head, body);
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    if let Some(gate) = answer.gate {
        gate.opened().await;
    }
    match answer.then {
        Then::Respond {
            status,
            headers,
            body,
        } => {
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        }
        Then::Silence => match std::future::pending::<Infallible>().await {},
        Then::Close => Err(Closed),
    }
}

/// Counts a request while the sink has it; a drop guard, since the sender may go away.
struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    fn new(state: &'a State) -> Self {
        let now = state.in_flight.fetch_add(1, Ordering::AcqRel) + 1;
        state.in_flight_max.fetch_max(now, Ordering::AcqRel);
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Sends one request on a connection of its own and gives everything that came back.
    fn post(sink: &Sink, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(sink.address()).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nX-Test: 1\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn status(answer: &str) -> &str {
        answer.split(' ').nth(1).unwrap_or("none")
    }

    #[test]
    fn a_script_is_followed_and_its_last_answer_repeats() {
        let sink = Sink::start().unwrap();
        sink.script("/a", [503, 503, 200].map(Answer::status));
        let statuses = ["/a", "/a?x=1", "/b", "/a", "/a"].map(|path| {
            let answer = post(&sink, path, "");
            status(&answer).to_owned()
        });
        assert_eq!(statuses, ["503", "503", "200", "200", "200"]);
    }

    #[test]
    fn answers_carry_headers_and_bodies() {
        let sink = Sink::start().unwrap();
        sink.otherwise(
            Answer::status(429)
                .retry_after(7)
                .header("x-a", "b")
                .body("slow down"),
        );
        let answer = post(&sink, "/", "");
        assert_eq!(status(&answer), "429");
        assert!(
            answer.contains("retry-after: 7\r\n") && answer.contains("x-a: b\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\nslow down"), "{answer}");
    }

    #[test]
    fn requests_are_kept_whole_and_in_order() {
        let sink = Sink::start().unwrap();
        post(&sink, "/a?q=1", "one");
        post(&sink, "/b", "two");
        let requests = sink
            .wait_until(SOON, |requests| requests.len() == 2)
            .unwrap();
        assert_eq!(requests[0].method, Method::POST);
        assert_eq!(requests[0].path, "/a?q=1");
        assert_eq!(requests[0].header("x-test"), Some("1"));
        assert_eq!(
            (&requests[0].body[..], &requests[1].body[..]),
            (&b"one"[..], &b"two"[..])
        );
        assert_eq!((requests[0].number, requests[1].number), (0, 1));
        assert_eq!(requests[0].answered, Some(StatusCode::OK));
        assert_eq!((sink.take_requests().len(), sink.count()), (2, 2));
        assert!(sink.take_requests().is_empty());
        sink.forget();
        assert_eq!((sink.requests().len(), sink.count()), (0, 0));
    }

    #[test]
    fn only_so_many_are_kept_but_all_are_counted() {
        let sink = Sink::builder().keep(1).start().unwrap();
        post(&sink, "/1", "");
        post(&sink, "/2", "");
        sink.wait_for_count(SOON, 2).unwrap();
        assert_eq!(sink.requests().len(), 1);

        let counting = Sink::builder().count_only().start().unwrap();
        post(&counting, "/", "");
        counting.wait_for_count(SOON, 1).unwrap();
        assert!(counting.requests().is_empty());
    }

    #[test]
    fn waiting_ends_with_the_request_or_at_the_deadline() {
        let sink = Arc::new(Sink::start().unwrap());
        let waiter = std::thread::spawn({
            let sink = sink.clone();
            move || sink.wait_until(SOON, |requests| requests.iter().any(|r| r.path == "/now"))
        });
        post(&sink, "/now", "");
        assert_eq!(waiter.join().unwrap().unwrap().len(), 1);

        let error = sink
            .wait_for_count(Duration::from_millis(20), 2)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1 requests") && error.contains("POST /now"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn tasks_can_wait_too() {
        let sink = Sink::start().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| post(&sink, "/", "x"));
        });
        sink.wait_for_count_async(SOON, 1).await.unwrap();
        let requests = sink
            .wait_until_async(SOON, |requests| !requests.is_empty())
            .await
            .unwrap();
        assert_eq!(requests[0].body, "x");
        let never = sink
            .wait_until_async(Duration::from_millis(20), |_| false)
            .await;
        assert!(never.is_err());
    }

    /// A close sends nothing; silence lasts until the sink stops, and stopping does not wait for
    /// it.
    #[test]
    fn it_closes_keeps_silent_and_stops() {
        let mut sink = Sink::start().unwrap();
        sink.script("/close", [Answer::close()]);
        sink.script("/silence", [Answer::silence()]);
        assert_eq!(post(&sink, "/close", "x"), "");

        let silent = TcpStream::connect(sink.address()).unwrap();
        write!(&silent, "GET /silence HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        sink.wait_for_count(SOON, 2).unwrap();
        assert_eq!(sink.in_flight_max(), 1);
        let address = sink.address();
        sink.stop();
        let mut answer = vec![];
        // The end of the stream or a reset, by timing; an answer it is not.
        let _ = (&silent).read_to_end(&mut answer);
        assert!(answer.is_empty());
        assert!(TcpStream::connect(address).is_err());

        let back = Sink::builder().address(address).start().unwrap();
        assert_eq!(status(&post(&back, "/", "")), "200");
    }

    #[test]
    fn an_answer_can_take_its_time() {
        let sink = Sink::start().unwrap();
        let delay = Duration::from_millis(50);
        sink.script("/", [Answer::status(204).after(delay)]);
        let begin = Instant::now();
        assert_eq!(status(&post(&sink, "/", "")), "204");
        assert!(begin.elapsed() >= delay);
    }

    #[test]
    fn an_answer_waits_behind_its_gate() {
        let sink = Sink::start().unwrap();
        let gate = Gate::default();
        sink.script("/", [Answer::status(204).behind(&gate)]);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| post(&sink, "/", ""));
            sink.wait_for_count(SOON, 1).unwrap();
            assert!(!asked.is_finished());
            gate.open();
            assert_eq!(status(&asked.join().unwrap()), "204");
        });
        assert_eq!(status(&post(&sink, "/", "")), "204");
    }
}
