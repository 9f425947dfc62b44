//! Load over keep-alive connections, from this thread: a closed loop, where each connection sends its next request
//! when the last one was answered, and an open one, where requests have their time and do not wait for each other.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What all requests of a run have in common.
pub(super) struct Request {
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) expected_status: u16,
}

/// What came of a run.
pub(super) struct Outcome {
    /// From each request to its whole answer; in the open loop from the time that it should have gone out.
    pub(super) latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
}

/// Sends `count` requests over `connections` connections. `body` makes the body of request n.
pub(super) fn closed(
    address: SocketAddr,
    request: &Request,
    connections: usize,
    count: u64,
    body: impl Fn(u64) -> Bytes,
) -> Result<Outcome> {
    let next = Cell::new(0);
    on_connections(address, connections, async |mut sender| {
        let mut latencies = Vec::new();
        while next.get() < count {
            let number = next.replace(next.get() + 1);
            let asked = Instant::now();
            exchange(&mut sender, request, body(number)).await?;
            latencies.push(asked.elapsed());
        }
        Ok(latencies)
    })
}

/// Sends requests at `per_s` for `span`, each at its time, over at most `connections` connections. Where all of them
/// wait for answers, what is due goes out late, and its latency counts from when it was due.
pub(super) fn open(
    address: SocketAddr,
    request: &Request,
    connections: usize,
    per_s: f64,
    span: Duration,
    body: impl Fn(u64) -> Bytes,
) -> Result<Outcome> {
    let next = Cell::new(0_u64);
    let started = Instant::now();
    on_connections(address, connections, async |mut sender| {
        let mut latencies = Vec::new();
        loop {
            let number = next.replace(next.get() + 1);
            let due = Duration::from_secs_f64(number as f64 / per_s);
            if due >= span {
                return Ok(latencies);
            }
            let due = started + due;
            tokio::time::sleep_until(due.into()).await;
            exchange(&mut sender, request, body(number)).await?;
            latencies.push(due.elapsed());
        }
    })
}

/// Runs `work` on each of some connections, all on this thread.
fn on_connections(
    address: SocketAddr,
    connections: usize,
    work: impl AsyncFn(Sender) -> Result<Vec<Duration>>,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut senders = Vec::with_capacity(connections);
        for _ in 0..connections {
            senders.push(connect(address).await?);
        }
        let started = Instant::now();
        let latencies = try_join_all(senders.into_iter().map(|sender| work(sender))).await?;
        let elapsed = started.elapsed();
        let latencies = latencies.into_iter().flatten().collect();
        Ok(Outcome { latencies, elapsed })
    })
}

type Sender = SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> Result<Sender> {
    let stream = TcpStream::connect(address)
        .await
        .context("cannot connect")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(sender: &mut Sender, request: &Request, body: Bytes) -> Result<()> {
    let message = http::Request::builder()
        .method(Method::POST)
        .uri(request.path)
        .header("host", "localhost")
        .header("content-type", request.content_type)
        .body(Full::new(body))?;
    sender.ready().await?;
    let response = sender.send_request(message).await?;
    let status = response.status().as_u16();
    let answer = response.into_body().collect().await?.to_bytes();
    ensure!(
        status == request.expected_status,
        "answered {status}: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

/// A percentile of latencies, in milliseconds.
pub(super) fn percentile_ms(sorted: &[Duration], percent: f64) -> f64 {
    let at =
        ((sorted.len() as f64 * percent / 100.0).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted
        .get(at - 1)
        .map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0)
}
