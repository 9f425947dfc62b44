//! The threads that serve the API, each with a runtime of its own.
//!
//! Accepting a message and delivering it meet in the store alone, so nothing is gained where they share a runtime, and
//! something is lost: a connection's task is woken by the writer's thread, and on a runtime of several workers each such
//! wake-up may wake another worker first. On two processors this made bench e2e a quarter faster.
//!
//! All threads accept from one listener: one that is busy takes fewer connections. The drawback is that a connection
//! stays with its thread.

use std::io;
use std::sync::Arc;
use std::thread;

use futures_util::future::select_all;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::{App, serve};

/// The running threads.
pub(crate) struct Threads {
    /// Each is cancelled when its thread ends, whatever ends that.
    ended: Vec<CancellationToken>,
    cut: CancellationToken,
}

impl Threads {
    /// Starts them. They serve until `stop`, then let the requests that are being answered end.
    pub(crate) fn start(
        count: usize,
        listener: TcpListener,
        app: &Arc<App>,
        stop: &CancellationToken,
    ) -> io::Result<Self> {
        let listener = listener.into_std()?;
        let mut threads = Self {
            ended: Vec::with_capacity(count),
            cut: CancellationToken::new(),
        };
        for number in 0..count {
            let (listener, app, stop) = (listener.try_clone()?, Arc::clone(app), stop.clone());
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let ended = CancellationToken::new();
            let running = ended.clone().drop_guard();
            let cut = threads.cut.clone();
            let work = move || {
                runtime.block_on(async {
                    let Ok(listener) = TcpListener::from_std(listener) else {
                        return;
                    };
                    tokio::select! {
                        () = serve(listener, app, stop) => {}
                        () = cut.cancelled() => {}
                    }
                });
                drop(running);
            };
            thread::Builder::new()
                .name(format!("wharf-http-{number}"))
                .spawn(work)?;
            threads.ended.push(ended);
        }
        Ok(threads)
    }

    /// Waits until the first of them has ended, which none does before it is told to.
    pub(crate) async fn lost(&self) {
        let ended = self.ended.iter().map(|ended| Box::pin(ended.cancelled()));
        select_all(ended).await;
    }

    /// Waits until all of them have ended.
    pub(crate) async fn ended(&self) {
        for ended in &self.ended {
            ended.cancelled().await;
        }
    }

    /// Ends them at once: connections are closed in the middle of what they do.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }
}
