//! What went wrong in a guest, told apart by type.

use std::fmt;
use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::instance::State;

/// A call that ended without an answer. The instance is gone; the next call gets another one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PluginFault {
    /// The guest did what WebAssembly forbids: a panic, an access out of bounds, endless recursion.
    #[error("trapped: {message}")]
    Trap {
        /// The engine's words for it.
        message: String,
        /// The innermost frames and what the guest wrote to its standard error.
        detail: Option<String>,
    },
    /// The guest computed, or waited, for longer than it was given.
    #[error("ran longer than its limit of {limit:?}")]
    Timeout {
        /// The plugin's time-out.
        limit: Duration,
        /// Where it was, if it was computing.
        detail: Option<String>,
    },
    /// The guest was refused memory and did not survive that.
    #[error("needed more memory than its limit of {}", Bytes(*.limit_bytes))]
    Memory {
        /// The plugin's memory limit.
        limit_bytes: u64,
        /// The innermost frames and what the guest wrote to its standard error.
        detail: Option<String>,
    },
    /// The guest ended itself through `wasi:cli/exit`.
    #[error("exited with code {code} instead of returning")]
    Exit {
        /// The exit code: the stock WASI interface passes on only 0 and 1.
        code: i32,
        /// What the guest wrote to its standard error.
        detail: Option<String>,
    },
    /// The guest gave the host more than it takes in one call.
    #[error("gave more than the output limit of {}", Bytes(*.limit_bytes))]
    Output {
        /// The host's limit for one call.
        limit_bytes: u64,
    },
    /// No guest code ran: there was no instance to run it in. Not the plugin's doing.
    #[error("could not be run: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl PluginFault {
    /// A stable word for the journal and for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            PluginFault::Trap { .. } => "trap",
            PluginFault::Timeout { .. } => "timeout",
            PluginFault::Memory { .. } => "memory",
            PluginFault::Exit { .. } => "exit",
            PluginFault::Output { .. } => "output",
            PluginFault::Unavailable { .. } => "unavailable",
        }
    }

    /// Several lines for the author of the plugin: frames, and the end of the guest's standard error. It may hold
    /// what the guest printed, so it belongs into the log and not into an answer.
    pub fn detail(&self) -> Option<&str> {
        match self {
            PluginFault::Trap { detail, .. }
            | PluginFault::Timeout { detail, .. }
            | PluginFault::Memory { detail, .. }
            | PluginFault::Exit { detail, .. } => detail.as_deref(),
            PluginFault::Output { .. } | PluginFault::Unavailable { .. } => None,
        }
    }

    /// Whether the guest can have run, and so have had an effect through what it was granted.
    pub fn guest_ran(&self) -> bool {
        !matches!(self, PluginFault::Unavailable { .. })
    }
}

/// Tells the causes apart, the most telling first: a guest that is refused memory usually traps afterwards.
pub(crate) fn classify(error: &wasmtime::Error, state: &State) -> PluginFault {
    let limits = state.limits();
    let detail = detail(error, state);
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return PluginFault::Exit {
            code: exit.0,
            detail,
        };
    }
    if state.memory_was_refused() {
        return PluginFault::Memory {
            limit_bytes: limits.memory_bytes,
            detail,
        };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::Interrupt => PluginFault::Timeout {
                limit: limits.timeout,
                detail,
            },
            trap => {
                let words = trap.to_string();
                let message = words
                    .strip_prefix("wasm trap: ")
                    .unwrap_or(&words)
                    .to_owned();
                PluginFault::Trap { message, detail }
            }
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return PluginFault::Unavailable {
            reason: error.root_cause().to_string(),
        };
    }
    let cause = error.root_cause().to_string();
    if is_output_limit(&cause) {
        return PluginFault::Output {
            limit_bytes: limits.output_bytes,
        };
    }
    PluginFault::Trap {
        message: cause,
        detail,
    }
}

/// wasmtime keeps the error of its host-call fuel private, so its text is all there is; the test of the output
/// limit fails should it change.
fn is_output_limit(cause: &str) -> bool {
    cause.contains("fuel allocated for hostcalls has been exhausted")
}

fn detail(error: &wasmtime::Error, state: &State) -> Option<String> {
    let mut text = String::new();
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        for frame in backtrace.frames() {
            let module = frame.module().name().unwrap_or("<unnamed>");
            match frame.func_name() {
                Some(name) => text.push_str(&format!("at {module}!{name}\n")),
                None => text.push_str(&format!("at {module}!<function {}>\n", frame.func_index())),
            }
        }
    }
    let stderr = state.stderr_tail();
    if !stderr.is_empty() {
        text.push_str("stderr: ");
        text.push_str(stderr.trim_end());
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A size as people write it.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            size if size >= 1 << 20 && size % (1 << 20) == 0 => write!(f, "{} MiB", size >> 20),
            size if size >= 1 << 10 && size % (1 << 10) == 0 => write!(f, "{} KiB", size >> 10),
            size => write!(f, "{size} bytes"),
        }
    }
}
