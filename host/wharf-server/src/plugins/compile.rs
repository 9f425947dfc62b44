//! Who compiles plugins: this program again, as a child process with limits.

use std::path::PathBuf;

use wharf_plugin::{Child, Compile};

use crate::config::Config;

/// The hidden subcommand that must end in [`compile_stdin`], with its flags as limits.
pub const COMPILE_COMMAND: &str = "compile-plugin";

pub(super) fn child(config: Option<&Config>) -> Compile {
    let mut child = Child::new(this_program(), [COMPILE_COMMAND.to_owned()]);
    if let Some(timeout) = config.and_then(|config| config.compile_timeout) {
        child.timeout = timeout;
    }
    if let Some(bytes) = config.and_then(|config| config.compile_memory_bytes_max) {
        child.memory_max_bytes = bytes;
    }
    Compile::Child(child)
}

/// This very program, also when its file was replaced by a newer one: what that compiles might not fit this one.
fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return "/proc/self/exe".into();
    }
    std::env::current_exe().unwrap_or_else(|_| "wharf".into())
}
