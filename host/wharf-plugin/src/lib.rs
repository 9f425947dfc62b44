//! Runs plugins: WebAssembly components that implement the hooks of `wit/`. The only crate that names
//! wasmtime.
//!
//! A plugin is code that nobody here has read. It gets no power that was not granted, a deadline and a memory
//! limit before its first instruction runs, and its faults come back as values: a trap, a loop or a memory hog
//! costs exactly the call that was running.
//!
//! ```text
//! Host ─ load ─▶ Plugin ─ bind(hook, settings) ─▶ Converter | Enricher | RequestChannel | Channel | …
//!  engine         compiled, checked, linked         a pool of instances of its own
//!  budget                                           └─ call: lease an instance, run, give it back or drop it
//! ```
//!
//! - [`Host`] owns the engine, its epoch ticker, the compile cache and the budget of instances. It compiles in a child
//!   process where it is told one ([`Compile`]).
//! - [`Plugin`] is one component file, checked, tried and ready to be instantiated. Loading the file again makes a new
//!   one; what is bound to the old one goes on with the old one, which goes when nothing is bound to it any more.
//! - A *binding* is one use of one hook with one configuration. Its pool is never shared, so what a guest keeps
//!   in memory stays within the binding.
//! - [`Grants`] are what one plugin may use and reach. What goes out over HTTP is made by an [`HttpSender`] that the
//!   server hands over; folders are preopened for that plugin only.
//! - [`PluginStats`] are counted for whoever shows metrics.
//!
//! The drawback of reused instances is that a guest's memory outlives a message; a plugin that leaks one message
//! into the next of the *same* binding cannot be told apart from one that caches. `Options::calls_per_instance_max
//! = 1` gives a fresh instance a call, at about six times the cost for a Rust guest.

mod bindings;
mod budget;
mod compile;
mod computing;
mod engine;
mod fault;
mod grants;
mod guest_log;
mod hook;
mod host;
mod http;
mod instance;
pub mod limits;
mod link;
mod load;
mod plugin;
mod pool;
mod problem;
mod state;
mod stats;
mod turn;

pub use bindings::types;
pub use bindings::types::{
    Call, Description, Effect, Enrichment, Event, Failure, Fault, NoAnswer, Operation, Outcome,
    Pairs, Receipt, Refusal, Request, Response, Scope, Setting, Step, Waiting, Wire,
};
pub use compile::{Child, Compile, CompileWorkerError, WorkerLimits, compile_stdin, is_whole};
pub use engine::EngineError;
pub use fault::{FaultKind, PluginFault};
pub use grants::{Folder, Grants, Import};
pub use hook::{
    Annotator, BindError, Binding, Channel, Converter, Enricher, Hook, PostEvent, Receiver,
    RequestChannel, Router,
};
pub use host::{Host, Options};
pub use http::{HttpAnswer, HttpNoAnswer, HttpNoAnswerKind, HttpRequest, HttpSender, HttpTimeouts};
pub use plugin::{Plugin, PluginInfo};
pub use problem::{Findings, LoadError, LoadProblem};
pub use stats::{CallStats, LATENCY_BUCKETS, PluginStats};

/// The draft of the plugin contract that this host speaks. Drafts match exactly.
pub const CONTRACT_VERSION: &str = "0.1.0-draft.4";
