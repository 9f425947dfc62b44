//! A closed loop of keep-alive connections: each sends the next request when the last one was answered.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came of a run.
pub(super) struct Outcome {
    /// From each request to its whole answer.
    pub(super) latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
}

/// Sends `count` requests over `connections` connections on this thread. `body` makes the body of request n.
pub(super) fn run(
    address: SocketAddr,
    path: &'static str,
    content_type: &'static str,
    connections: usize,
    count: u64,
    expected_status: u16,
    body: impl Fn(u64) -> Bytes,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let next = AtomicU64::new(0);
    let (next, body) = (&next, &body);
    runtime.block_on(async {
        let mut senders = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(address)
                .await
                .context("cannot connect")?;
            stream.set_nodelay(true)?;
            let (sender, connection) =
                http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            senders.push(sender);
        }
        let started = Instant::now();
        let workers = senders.into_iter().map(|mut sender| async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(latencies);
                }
                let request = Request::builder()
                    .method(Method::POST)
                    .uri(path)
                    .header("host", "localhost")
                    .header("content-type", content_type)
                    .body(Full::new(body(number)))?;
                let asked = Instant::now();
                sender.ready().await?;
                let response = sender.send_request(request).await?;
                let status = response.status().as_u16();
                let answer = response.into_body().collect().await?.to_bytes();
                ensure!(
                    status == expected_status,
                    "answered {status}: {}",
                    String::from_utf8_lossy(&answer)
                );
                latencies.push(asked.elapsed());
            }
        });
        let results: Vec<Result<Vec<Duration>>> = join_all(workers).await;
        let elapsed = started.elapsed();
        let mut latencies = Vec::with_capacity(usize::try_from(count)?);
        for result in results {
            latencies.extend(result?);
        }
        Ok(Outcome { latencies, elapsed })
    })
}

/// Awaits all of them on this one task's thread.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(futures).await
}

/// A percentile of latencies, in milliseconds.
pub(super) fn percentile_ms(sorted: &[Duration], percent: f64) -> f64 {
    let at =
        ((sorted.len() as f64 * percent / 100.0).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted
        .get(at - 1)
        .map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0)
}
