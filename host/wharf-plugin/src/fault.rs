//! What went wrong in a guest, told apart by type.

use std::fmt;
use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::state::State;

/// A call that ended without an answer that can be used. Where the guest had to be stopped the instance is gone; the
/// next call gets another one.
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
    /// The call took longer than it was given, in whatever way.
    #[error("ran longer than its limit of {limit:?}")]
    Timeout {
        /// The plugin's time-out; for a `channel` its channel's.
        limit: Duration,
        /// Where it was, if it was computing.
        detail: Option<String>,
    },
    /// A `channel`, which may wait for long, computed for too long.
    #[error("computed for longer than its limit of {limit:?}")]
    Computing {
        /// The plugin's time-out.
        limit: Duration,
        /// Where it was.
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
        /// The plugin's limit for one call.
        limit_bytes: u64,
    },
    /// What the guest gave is no value of the contract: text that is not UTF-8, a case that there is not.
    #[error("gave data that the contract does not have: {what}")]
    Invalid {
        /// The engine's words for it.
        what: String,
    },
    /// The guest was refused an HTTP call of its own and did not survive that.
    #[error("had more HTTP calls in flight than its limit of {limit}")]
    HttpCalls {
        /// The plugin's limit, over all of its instances.
        limit: usize,
        /// The innermost frames and what the guest wrote to its standard error.
        detail: Option<String>,
    },
    /// A request-channel asked to keep more over an exchange than it may.
    #[error("asked to keep {bytes} bytes of state, the limit is {}", Bytes(*.limit_bytes))]
    State {
        /// What it asked to keep.
        bytes: u64,
        /// The most.
        limit_bytes: u64,
    },
    /// A request-channel asked for more exchanges in one attempt than it may.
    #[error("asked for more exchanges in one attempt than the limit of {limit}")]
    Requests {
        /// The most.
        limit: usize,
    },
    /// A channel gave a token that is too long to be kept. A cut one would be another token.
    #[error("gave a token of {bytes} bytes, the limit is {}", Bytes(*.limit_bytes))]
    Token {
        /// What it gave.
        bytes: u64,
        /// The most.
        limit_bytes: u64,
    },
    /// No guest code ran: all instances were busy.
    #[error("could not be run: no instance came free within {waited:?}; `{key}` is {limit}")]
    Instances {
        /// How long the call waited.
        waited: Duration,
        /// The key of the configuration whose limit was reached.
        key: String,
        /// Its value.
        limit: usize,
    },
    /// No guest code ran: there was no instance to run it in. Not the plugin's doing.
    #[error("could not be run: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

macro_rules! kinds {
    ($($kind:ident $word:literal,)*) => {
        /// The kinds of [`PluginFault`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultKind {
            $(#[doc = concat!("`", $word, "`")] $kind,)*
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: [FaultKind; [$($word),*].len()] = [$(FaultKind::$kind),*];

            /// A stable word for the journal and for metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(FaultKind::$kind => $word,)*
                }
            }
        }

        impl PluginFault {
            /// What kind of fault it is.
            pub fn kind(&self) -> FaultKind {
                match self {
                    $(PluginFault::$kind { .. } => FaultKind::$kind,)*
                }
            }
        }
    };
}

kinds! {
    Trap "trap",
    Timeout "timeout",
    Computing "computing",
    Memory "memory",
    Exit "exit",
    Output "output",
    Invalid "invalid",
    HttpCalls "http-calls",
    State "state-too-large",
    Requests "too-many-requests-asked",
    Token "token-too-long",
    Instances "instances",
    Unavailable "unavailable",
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PluginFault {
    /// Several lines for the author of the plugin: frames, and the end of the guest's standard error. It may hold
    /// what the guest printed, so it belongs into the log and not into an answer.
    pub fn detail(&self) -> Option<&str> {
        match self {
            PluginFault::Trap { detail, .. }
            | PluginFault::Timeout { detail, .. }
            | PluginFault::Computing { detail, .. }
            | PluginFault::Memory { detail, .. }
            | PluginFault::Exit { detail, .. }
            | PluginFault::HttpCalls { detail, .. } => detail.as_deref(),
            PluginFault::Output { .. }
            | PluginFault::Invalid { .. }
            | PluginFault::State { .. }
            | PluginFault::Requests { .. }
            | PluginFault::Token { .. }
            | PluginFault::Instances { .. }
            | PluginFault::Unavailable { .. } => None,
        }
    }

    /// Whether the guest can have run, and so have had an effect through what it was granted.
    pub fn guest_ran(&self) -> bool {
        !matches!(
            self,
            PluginFault::Instances { .. } | PluginFault::Unavailable { .. }
        )
    }
}

/// Tells the causes apart, the most telling first: a guest that is refused memory, or an HTTP call, usually traps
/// afterwards.
pub(crate) fn classify(error: &wasmtime::Error, state: &State) -> PluginFault {
    let limits = state.limits();
    let detail = detail(error, state);
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return PluginFault::Exit {
            code: exit.0,
            detail,
        };
    }
    if state.memory.was_refused() {
        return PluginFault::Memory {
            limit_bytes: limits.memory_bytes,
            detail,
        };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::Interrupt => match limits.computing {
                Some(limit) if state.has_computed_too_long() => {
                    PluginFault::Computing { limit, detail }
                }
                _ => PluginFault::Timeout {
                    limit: limits.timeout,
                    detail,
                },
            },
            trap => match state.outgoing().broken_limit() {
                Some(limit) => PluginFault::HttpCalls { limit, detail },
                None => {
                    let words = trap.to_string();
                    let message = words
                        .strip_prefix("wasm trap: ")
                        .unwrap_or(&words)
                        .to_owned();
                    PluginFault::Trap { message, detail }
                }
            },
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
    // What a host function refuses comes with the frames that called it; what is left without any is a value that
    // could not be read.
    if error.downcast_ref::<WasmBacktrace>().is_none() {
        return PluginFault::Invalid { what: cause };
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
    let stderr = state.guest_log().stderr_tail();
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
