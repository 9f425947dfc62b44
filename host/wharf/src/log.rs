//! Where the host's log lines go.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::arguments::LogFormat;
use crate::failure::Failure;

/// Log lines that wait to be written. At 300 bytes a line it is 1 MiB, a burst of an audit hook.
const LOG_LINES_WAITING_MAX: usize = 4096;

/// What is written to standard error at once.
const LOG_BUFFER_BYTES: usize = 64 << 10;

/// How long lines gather after some were written.
const LOG_GATHER: Duration = Duration::from_millis(5);

/// Lets lines gather after each flush: the thread flushes whenever no line waits, which under load is after each one.
/// A line that comes alone is written at once.
struct Gathering<W>(W);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(LOG_GATHER);
        Ok(())
    }
}

/// Lines go to standard error through a thread that writes what waits at once: a system call a line is a cost, and
/// a slow terminal would be the host's. Nothing is dropped: where the reader does not keep up, the host waits.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<WorkerGuard, Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|e| {
        Failure::usage(format!("--log {filter:?} cannot be used: {e}"))
            .hint("give a level, such as info, or directives: info,wharf_server=debug")
    })?;
    let (writer, flush) = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(LOG_LINES_WAITING_MAX)
        .thread_name("wharf-log")
        .finish(Gathering(BufWriter::with_capacity(
            LOG_BUFFER_BYTES,
            io::stderr(),
        )));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    let use_color =
        std::env::var_os("NO_COLOR").is_none() && io::IsTerminal::is_terminal(&io::stderr());
    match format {
        LogFormat::Text => builder.with_ansi(use_color).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(flush)
}
