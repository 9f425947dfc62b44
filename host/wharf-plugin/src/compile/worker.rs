//! The child's half of compiling: a component on standard input, one answer on standard output.
//!
//! The process binds itself before it reads a byte: address space, processor time, no file and no core dump. What it
//! was given is all that it works with; it runs no guest code. It says what the compiler says, and nothing at all where
//! a limit ends it: telling these apart is up to the parent.

use std::io::{self, Read, Write};

use wasmtime::Engine;

use crate::engine;
use crate::limits;
use crate::problem::LoadProblem;

/// The first byte of an answer: machine code follows.
pub(super) const CODE: u8 = 0;
/// The first byte of an answer: the compiler's words follow.
pub(super) const REFUSED: u8 = 1;

/// The flags by which the parent names the limits: those of [`WorkerLimits`].
pub(super) const MEMORY_FLAG: &str = "--memory-bytes";
pub(super) const CPU_FLAG: &str = "--cpu-seconds";

/// What bounds the process that compiles.
#[derive(Clone, Copy, Debug)]
pub struct WorkerLimits {
    /// Its address space, the program itself included.
    pub memory_bytes: u64,
    /// Its processor time, over all threads.
    pub cpu_seconds: u64,
}

/// Why a compiler process has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CompileWorkerError {
    /// The system does not take the limits.
    #[error("cannot limit this process: {0}")]
    Limit(io::Error),
    /// The engine does not start.
    #[error("cannot start the compiler: {0}")]
    Engine(String),
    /// Standard input or output is gone.
    #[error("cannot read the component or write what was made of it: {0}")]
    Io(#[from] io::Error),
}

/// All that a compiler process does: the library half of the subcommand that [`Child`](super::Child) names, which
/// passes on `--memory-bytes N` and `--cpu-seconds N`. It limits the whole process, so nothing else may run in it.
pub fn compile_stdin(limits: WorkerLimits) -> Result<(), CompileWorkerError> {
    bind(limits).map_err(CompileWorkerError::Limit)?;
    let mut wasm = Vec::new();
    io::stdin()
        .lock()
        .take(limits::PLUGIN_BYTES_MAX)
        .read_to_end(&mut wasm)?;
    // Without room for instances: what is compiled does not depend on where it will run.
    let engine = Engine::new(&engine::config())
        .map_err(|error| CompileWorkerError::Engine(format!("{error:#}")))?;
    let mut out = io::stdout().lock();
    match super::compile(&engine, &wasm) {
        Ok(code) => {
            out.write_all(&[CODE])?;
            out.write_all(&code)?;
        }
        Err(LoadProblem::Compile { reason }) => {
            out.write_all(&[REFUSED])?;
            out.write_all(reason.as_bytes())?;
        }
        Err(other) => unreachable!("compiling says only what the compiler says: {other}"),
    }
    Ok(out.flush()?)
}

#[cfg(unix)]
fn bind(limits: WorkerLimits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
    // What this process may have at most can only go down.
    let set = |resource, soft: u64, hard: u64| {
        let ceiling = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit {
            current: Some(soft.min(ceiling)),
            maximum: Some(hard.min(ceiling)),
        };
        setrlimit(resource, limit)
    };
    set(Resource::As, limits.memory_bytes, limits.memory_bytes)?;
    // The soft limit ends it by a signal of its own, by which the parent knows it.
    set(
        Resource::Cpu,
        limits.cpu_seconds,
        limits.cpu_seconds.saturating_add(1),
    )?;
    // Its answer goes into a pipe. It has no file to write, and none is to be left of what ended it.
    set(Resource::Fsize, 0, 0)?;
    set(Resource::Core, 0, 0)?;
    // Deliveries come first. Where that is not to be had, compiling is only less polite.
    let _ = setpriority_process(None, limits::COMPILE_NICENESS);
    Ok(())
}

/// Where the system has no such limits, the parent's clock is the only one.
#[cfg(not(unix))]
fn bind(_limits: WorkerLimits) -> io::Result<()> {
    Ok(())
}
