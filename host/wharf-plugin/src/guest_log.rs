//! What a guest writes: through our `log` interface, its standard output and its standard error. All of it ends
//! as tracing events of the target `wharf::plugin`, with the call that was running, cut and rate-limited.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bindings::types::Call;
use crate::limits;
use crate::stats::Stats;

/// The log of one binding: its name and the rate that all of its instances share.
pub(crate) struct Sink {
    plugin: Arc<str>,
    binding: String,
    lines_per_second: u32,
    rate: Mutex<Rate>,
    counters: Arc<Stats>,
}

struct Rate {
    tokens: u32,
    refilled_at: Instant,
    dropped_count: u64,
}

impl Sink {
    pub(crate) fn new(
        plugin: Arc<str>,
        binding: String,
        lines_per_second: u32,
        counters: Arc<Stats>,
    ) -> Sink {
        let rate = Rate {
            tokens: burst(lines_per_second),
            refilled_at: Instant::now(),
            dropped_count: 0,
        };
        Sink {
            plugin,
            binding,
            lines_per_second,
            rate: Mutex::new(rate),
            counters,
        }
    }

    /// Whether a line may pass. The first that passes after a silence says how many did not.
    fn admit(&self) -> bool {
        let mut rate = lock(&self.rate);
        let earned =
            rate.refilled_at.elapsed().as_millis() * u128::from(self.lines_per_second) / 1000;
        if earned > 0 {
            let burst = u128::from(burst(self.lines_per_second));
            rate.tokens = (u128::from(rate.tokens) + earned).min(burst) as u32;
            rate.refilled_at = Instant::now();
        }
        if rate.tokens == 0 {
            rate.dropped_count += 1;
            self.counters.log_line_dropped();
            return false;
        }
        rate.tokens -= 1;
        let dropped_count = std::mem::take(&mut rate.dropped_count);
        drop(rate);
        if dropped_count > 0 {
            tracing::warn!(
                target: "wharf::plugin",
                plugin = &*self.plugin,
                binding = self.binding,
                dropped_count,
                lines_per_second_max = self.lines_per_second,
                "the plugin logs faster than its limit"
            );
        }
        true
    }
}

/// Lines in a burst: what is earned in a few seconds.
fn burst(lines_per_second: u32) -> u32 {
    lines_per_second.saturating_mul(limits::LOG_BURST_SECONDS)
}

/// What a call is about.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// One delivery.
    Delivery(&'a Call),
    /// A message that has no delivery yet: its id.
    Message(&'a str),
    /// So many events, or none.
    Events(usize),
}

/// The log of one instance. The streams that the guest holds and the host share it.
#[derive(Clone)]
pub(crate) struct GuestLog(Arc<Mutex<Current>>);

struct Current {
    sink: Arc<Sink>,
    /// The call that is running; the strings are reused from call to call.
    message_id: String,
    channel: String,
    delivery: Option<u64>,
    /// Lines that the call may still log before the binding's rate counts.
    lines_granted: usize,
    /// Unfinished lines.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    stderr_tail: Vec<u8>,
}

impl GuestLog {
    pub(crate) fn new(sink: Arc<Sink>) -> GuestLog {
        GuestLog(Arc::new(Mutex::new(Current {
            sink,
            message_id: String::new(),
            channel: String::new(),
            delivery: None,
            lines_granted: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            stderr_tail: Vec::new(),
        })))
    }

    /// Says which call the following lines belong to.
    pub(crate) fn begin(&self, about: About<'_>) {
        let mut current = lock(&self.0);
        let (call, items_count) = match about {
            About::Delivery(call) => (Some(call), 1),
            About::Message(_) => (None, 1),
            About::Events(count) => (None, count),
        };
        current.lines_granted =
            limits::LOG_LINES_PER_CALL + limits::LOG_LINES_PER_EVENT * items_count;
        current.message_id.clear();
        current.channel.clear();
        current.stderr_tail.clear();
        current.delivery = call.map(|call| call.delivery);
        if let Some(call) = call {
            current.message_id.push_str(&call.message_id);
            current.channel.push_str(&call.channel);
        }
        if let About::Message(id) = about {
            current.message_id.push_str(id);
        }
    }

    /// Writes out the lines that the guest did not finish.
    pub(crate) fn end(&self) {
        let mut current = lock(&self.0);
        for stream in [Stream::Stdout, Stream::Stderr] {
            current.flush(stream);
        }
    }

    /// One line of the `log` interface.
    pub(crate) fn line(&self, level: Level, text: &str, fields: &[(String, String)]) {
        // A line that nobody listens to is not put together, nor counted.
        if level > LevelFilter::current() {
            return;
        }
        let mut current = lock(&self.0);
        let mut pairs = String::new();
        for (key, value) in fields {
            let room = limits::LOG_LINE_BYTES_MAX.saturating_sub(pairs.len());
            if room == 0 {
                break;
            }
            if !pairs.is_empty() {
                pairs.push(' ');
            }
            pairs.push_str(&printable(key, room));
            pairs.push('=');
            pairs.push_str(&printable(value, room));
        }
        current.emit(level, "log", text, &pairs);
    }

    /// A line of the host's own about what the guest does: under the guest's call and rate, since a guest that does it
    /// in a loop would fill the log too. `stream` says what it is about.
    pub(crate) fn host_line(&self, level: Level, stream: &'static str, text: &str) {
        if level <= LevelFilter::current() {
            lock(&self.0).emit(level, stream, text, "");
        }
    }

    /// The end of what the running call wrote to its standard error.
    pub(crate) fn stderr_tail(&self) -> String {
        let current = lock(&self.0);
        printable_lines(&String::from_utf8_lossy(&current.stderr_tail))
    }
}

impl Current {
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if let Stream::Stderr = stream {
            keep_tail(&mut self.stderr_tail, bytes);
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let buffer = self.buffer(stream);
            let room = limits::LOG_LINE_BYTES_MAX.saturating_sub(buffer.len());
            buffer.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.flush(stream);
            }
        }
    }

    fn flush(&mut self, stream: Stream) {
        let mut buffer = std::mem::take(self.buffer(stream));
        let line = buffer.trim_ascii_end();
        if !line.is_empty() {
            let text = String::from_utf8_lossy(line);
            self.emit(stream.level(), stream.name(), &text, "");
        }
        buffer.clear();
        *self.buffer(stream) = buffer;
    }

    fn buffer(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn emit(&mut self, level: Level, stream: &'static str, text: &str, fields: &str) {
        match self.lines_granted.checked_sub(1) {
            Some(left) => self.lines_granted = left,
            None if self.sink.admit() => {}
            None => return,
        }
        let text = printable(text, limits::LOG_LINE_BYTES_MAX);
        // The level of an event is part of its static description, hence one event for each.
        macro_rules! event {
            ($($level:ident)*) => {
                match level {
                    $(Level::$level => tracing::event!(
                        target: "wharf::plugin",
                        Level::$level,
                        plugin = &*self.sink.plugin,
                        binding = self.sink.binding,
                        channel = (!self.channel.is_empty()).then_some(&*self.channel),
                        message_id = (!self.message_id.is_empty()).then_some(&*self.message_id),
                        delivery = self.delivery,
                        stream,
                        fields = (!fields.is_empty()).then_some(fields),
                        "{text}"
                    ),)*
                }
            };
        }
        event!(TRACE DEBUG INFO WARN ERROR);
    }
}

/// One of the guest's standard streams.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    /// Most languages print panics and warnings to standard error.
    fn level(self) -> Level {
        match self {
            Stream::Stdout => Level::INFO,
            Stream::Stderr => Level::WARN,
        }
    }
}

/// A standard stream that ends in the log.
#[derive(Clone)]
pub(crate) struct LogStream {
    log: GuestLog,
    stream: Stream,
}

impl LogStream {
    pub(crate) fn new(log: GuestLog, stream: Stream) -> LogStream {
        LogStream { log, stream }
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Only WASI 0.3 asks for this, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        lock(&self.log.0).write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(limits::LOG_LINE_BYTES_MAX)
    }
}

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[bytes.len().saturating_sub(limits::STDERR_TAIL_BYTES_MAX)..];
    let excess = (tail.len() + bytes.len()).saturating_sub(limits::STDERR_TAIL_BYTES_MAX);
    tail.drain(..excess);
    tail.extend_from_slice(bytes);
}

/// Cuts the text, and escapes what could forge a line of the log or drive a terminal.
fn printable(text: &str, bytes_max: usize) -> Cow<'_, str> {
    let cut = &text[..text.floor_char_boundary(bytes_max)];
    if cut.len() == text.len() && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(cut.len() + 8);
    for char in cut.chars() {
        if char.is_control() {
            safe.extend(char.escape_default());
        } else {
            safe.push(char);
        }
    }
    if cut.len() < text.len() {
        safe.push('…');
    }
    Cow::Owned(safe)
}

fn printable_lines(text: &str) -> String {
    text.lines()
        .map(|line| printable(line, line.len()))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Nothing panics while one of this crate's locks is held, so a poisoned one still guards sound data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest can neither forge a line nor fill the log.
    #[test]
    fn text_is_cut_and_escaped() {
        assert_eq!(printable("plain ä", 100), "plain ä");
        assert_eq!(printable("a\nb\u{1b}[31m", 100), "a\\nb\\u{1b}[31m");
        assert_eq!(printable("ääää", 3), "ä…");

        let mut tail = b"abc".to_vec();
        keep_tail(&mut tail, &[b'x'; limits::STDERR_TAIL_BYTES_MAX - 1]);
        assert_eq!((tail.len(), tail[0]), (limits::STDERR_TAIL_BYTES_MAX, b'c'));
    }
}
