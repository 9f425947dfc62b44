//! `wharf serve`: the host.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use wharf_server::config::{Overrides, Source};
use wharf_server::server::{self, HangUp, ServeError};

use crate::arguments::Serve;
use crate::command::store;
use crate::failure::Failure;
use crate::log;

pub(crate) fn run(arguments: Serve) -> Result<(), Failure> {
    // Flushed where it goes out of scope: after the last line of the host.
    let _flush = log::start(&arguments.log, arguments.log_format)?;
    let overrides = Overrides {
        store_path: arguments.config.store,
        listen: arguments.config.listen,
        token: arguments.api_token,
        plugin_dir: arguments.config.plugins,
    };
    let source = Source::new(&arguments.config.config, overrides);
    let config = source
        .load()
        .map_err(|e| Failure::failed(e).hint("wharf config check"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("wharf-worker")
        .build()
        .context("cannot start the runtime")
        .map_err(Failure::failed)?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signal(stop.clone()).map_err(Failure::failed)?;
        let hang_up = HangUp::default();
        reload_on_signal(hang_up.clone()).map_err(Failure::failed)?;
        server::serve(config, source, stop, hang_up, |address| {
            // The one line that scripts and tests wait for, whatever is logged.
            eprintln!("listening on http://{address}");
        })
        .await
        .map_err(failed)
    })
}

/// A failed server with what to try next.
fn failed(error: ServeError) -> Failure {
    let hint = match &error {
        ServeError::Store { source, .. } => store::hint(source),
        ServeError::Listen { .. } => "name another address with --listen; port 0 takes a free one",
        ServeError::CommitFailed => "look for a full or failing disk, then start it again",
        ServeError::Engine(_) | ServeError::TaskEnded(_) | ServeError::Close(_) => {
            "look at the log above"
        }
    };
    Failure::failed(error).hint(hint)
}

/// SIGTERM and SIGINT stop in order; a second one ends at once, which is as safe as a crash.
fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        for is_second in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_second {
                eprintln!("stopped at once; what was in flight is tried again at the next start");
                std::process::exit(1);
            }
            stop.cancel();
        }
    });
    Ok(())
}

/// SIGHUP has the configuration read again, and the whole plugin folder looked at, what was refused included.
fn reload_on_signal(asked: HangUp) -> anyhow::Result<()> {
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            asked.rescan.notify_one();
            asked.reload.notify_one();
        }
    });
    Ok(())
}
