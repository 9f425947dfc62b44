//! The hidden subcommand by which a host compiles a plugin in a process of its own.

use wharf_server::plugins::{WorkerLimits, compile_stdin};

use crate::arguments::CompilePlugin;
use crate::failure::Failure;

pub(crate) fn run(arguments: &CompilePlugin) -> Result<(), Failure> {
    let limits = WorkerLimits {
        memory_bytes: arguments.memory_bytes,
        cpu_seconds: arguments.cpu_seconds,
    };
    compile_stdin(limits).map_err(Failure::failed)
}
