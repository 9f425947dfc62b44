//! Runs plugins: WebAssembly components that implement the hooks of `wit/`. The only crate that names
//! wasmtime.
//!
//! A plugin is code that nobody here has read. It gets no power that was not granted, a deadline and a memory
//! limit before its first instruction runs, and its faults come back as values: a trap, a loop or a memory hog
//! costs exactly the call that was running.
//!
//! ```text
//! Host ─ load ─▶ Plugin ─ bind(hook, settings) ─▶ Converter | Enricher | RequestChannel | PostEvent
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
//!
//! The drawback of reused instances is that a guest's memory outlives a message; a plugin that leaks one message
//! into the next of the *same* binding cannot be told apart from one that caches. `Options::calls_per_instance_max
//! = 1` gives a fresh instance a call, at about six times the cost for a Rust guest.

mod bindings;
mod compile;
mod engine;
mod fault;
mod grants;
mod guest_log;
mod hook;
mod host;
mod instance;
pub mod limits;
mod link;
mod load;
mod plugin;
mod pool;
mod turn;

pub use bindings::types;
pub use bindings::types::{
    Call, Description, Effect, Enrichment, Event, Failure, Fault, NoAnswer, Operation, Outcome,
    Pairs, Receipt, Refusal, Request, Response, Scope, Setting, Step, Waiting, Wire,
};
pub use compile::{Child, Compile, CompileWorkerError, WorkerLimits, compile_stdin, is_whole};
pub use engine::EngineError;
pub use fault::PluginFault;
pub use grants::{Grants, Import};
pub use hook::{BindError, Binding, Converter, Enricher, Hook, PostEvent, RequestChannel};
pub use host::{Host, Options};
pub use load::{Findings, LoadError, LoadProblem};
pub use plugin::{Plugin, PluginInfo};

/// The draft of the plugin contract that this host speaks. Drafts match exactly.
pub const CONTRACT_VERSION: &str = "0.1.0-draft.1";
