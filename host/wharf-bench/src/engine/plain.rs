//! What the engines that are not ours have in common: a row for each message, in the order of acceptance; a row for each
//! id, which stays, since de-duplication outlasts the message; and a row for each step in the journal.
//!
//! Nothing is recovered from their files: what stands where is in memory, which is to their advantage.

use wharf_core::journal::Attempt;
use wharf_core::{Cause, HashKey, Message, Status, TimeMs};

use crate::work::{CHANNEL, Clock, PAYLOAD_BYTES, ROUTE, Sent};

/// A message as it is stored.
pub(crate) struct Row {
    /// 128 bits of its id.
    pub(crate) id: [u8; 16],
    /// 128 bits of its content: the same id with other content is a conflict.
    pub(crate) content: [u8; 16],
    /// All of it.
    pub(crate) bytes: Vec<u8>,
    accepted_at: TimeMs,
}

impl Row {
    pub(crate) fn new(message: &Message) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(message.id.as_str().as_bytes()).as_bytes()[..16]);
        Self {
            id,
            content: message.content_hash(&HashKey::new([7; 32])).0,
            bytes: self::message(message),
            accepted_at: message.accepted_at,
        }
    }
}

/// How far an engine has come.
pub(crate) struct Progress {
    next_seq: u64,
    next_cursor: u64,
    /// The messages that the last round read.
    read: Vec<u64>,
    /// The first that was not read.
    pub(crate) unread: u64,
    pub(crate) commits_count: u64,
    clock: Clock,
    sent: Sent,
}

/// A numbered row.
pub(crate) type Numbered = (u64, Vec<u8>);

impl Progress {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            next_seq: 1,
            next_cursor: 1,
            read: Vec::new(),
            unread: 1,
            commits_count: 0,
            clock,
            sent: Sent::new(),
        }
    }

    /// A number for a new message, and its first row in the journal.
    pub(crate) fn accept(&mut self, row: &Row) -> (u64, Numbered) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let step = step(seq, Status::Queued, Cause::Accepted, row.accepted_at, None);
        (seq, self.journal(step))
    }

    /// The messages that the last round read, each with the row that says that it was sent.
    pub(crate) fn acknowledge(&mut self) -> Vec<(u64, Numbered)> {
        let at = self.clock.now();
        let read = std::mem::take(&mut self.read);
        let end = |seq| {
            let attempt = self.sent.attempt(at);
            let step = step(seq, Status::Delivered, Cause::Sent, at, Some(&attempt));
            (seq, self.journal(step))
        };
        read.into_iter().map(end).collect()
    }

    /// A message was read, whole.
    pub(crate) fn was_read(&mut self, seq: u64) {
        self.read.push(seq);
        self.unread = seq + 1;
    }

    /// How many the last round read.
    pub(crate) fn read_count(&self) -> usize {
        self.read.len()
    }

    fn journal(&mut self, step: Vec<u8>) -> Numbered {
        let cursor = self.next_cursor;
        self.next_cursor += 1;
        (cursor, step)
    }
}

/// A message in plain encoding: every field, each after its length.
pub(crate) fn message(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(PAYLOAD_BYTES + 128);
    let mut put = |bytes: &[u8]| {
        // Nothing here is longer than a payload.
        out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    put(message.id.as_str().as_bytes());
    put(&message.accepted_at.0.to_le_bytes());
    for (name, value) in message.attributes.iter().chain(&message.headers) {
        put(name.as_bytes());
        put(value.as_bytes());
    }
    put(ROUTE.as_bytes());
    put(CHANNEL.as_bytes());
    put(&message.payload);
    out
}

/// A row of the journal in plain encoding.
fn step(seq: u64, status: Status, cause: Cause, at: TimeMs, attempt: Option<&Attempt>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&at.0.to_le_bytes());
    out.extend_from_slice(&[status as u8, cause as u8]);
    let Some(attempt) = attempt else {
        return out;
    };
    out.extend_from_slice(&attempt.number.to_le_bytes());
    out.extend_from_slice(&attempt.started_at.0.to_le_bytes());
    out.extend_from_slice(&(attempt.duration_us as u32).to_le_bytes());
    for run in &attempt.hooks {
        out.push(run.hook.len() as u8);
        out.extend_from_slice(run.hook.as_bytes());
        out.extend_from_slice(&run.digest);
        out.extend_from_slice(&(run.duration_us as u32).to_le_bytes());
    }
    out.extend_from_slice(&attempt.body_sha256.unwrap_or_default());
    out
}
