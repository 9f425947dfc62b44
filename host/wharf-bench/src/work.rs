//! What is stored: messages as a shop sends them, and what becomes of them. The same for every engine.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use wharf_core::delivery::Transition;
use wharf_core::journal::{Attempt, HookRun};
use wharf_core::message::Priority;
use wharf_core::{Cause, Message, MessageId, Status, TimeMs};

/// A message's payload.
pub(crate) const PAYLOAD_BYTES: usize = 1024;

/// Payloads that messages take by turns: random bytes, so that no engine can compress them, and enough of them that
/// none finds the same one twice in a block.
const PAYLOADS_COUNT: usize = 1024;

/// The channel that all of it goes to.
pub(crate) const CHANNEL: &str = "orders";

/// The route that asked for it.
pub(crate) const ROUTE: &str = "all";

/// When the run begins, by the messages' own clock. Which time it is makes no difference.
const EPOCH: TimeMs = TimeMs(1_800_000_000_000);

/// Time as messages have it. Copies are the same clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that stands at the epoch now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> TimeMs {
        EPOCH.after(self.0.elapsed())
    }
}

/// Makes messages.
pub(crate) struct Work {
    random: fastrand::Rng,
    payloads: Arc<[Bytes]>,
    clock: Clock,
}

impl Work {
    /// The messages of a seed. Their ids are random, as a sender's own ids mostly are; no two runs of a store on one
    /// file may have the same seed.
    pub(crate) fn new(seed: u64, clock: Clock) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut payload = || {
            let mut bytes = vec![0; PAYLOAD_BYTES];
            random.fill(&mut bytes);
            Bytes::from(bytes)
        };
        let payloads = (0..PAYLOADS_COUNT).map(|_| payload()).collect();
        Self {
            random,
            payloads,
            clock,
        }
    }

    /// Makes other messages than this one does.
    pub(crate) fn fork(&mut self) -> Self {
        Self {
            random: self.random.fork(),
            payloads: self.payloads.clone(),
            clock: self.clock,
        }
    }

    pub(crate) fn batch(&mut self, count: usize) -> Vec<Message> {
        (0..count).map(|_| self.message()).collect()
    }

    pub(crate) fn message(&mut self) -> Message {
        let id = format!("{:032x}", self.random.u128(..));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Message {
            id: MessageId::parse(&id).expect("hexadecimal digits are an id"),
            accepted_at: self.clock.now(),
            attributes: vec![pair("type", "order.created")],
            headers: vec![pair("content-type", "application/json")],
            payload: self.payloads[self.random.usize(..self.payloads.len())].clone(),
            ordering_key: None,
            sequence_global: None,
            sequence_key: None,
            deliver_after: None,
            expires_at: None,
            priority: Priority::Normal,
            traceparent: None,
        }
    }
}

/// Says how deliveries end: sent, at the first attempt, by one hook.
pub(crate) struct Sent {
    hook: Arc<str>,
    digest: [u8; 32],
}

impl Sent {
    pub(crate) fn new() -> Self {
        Self {
            hook: "channel http".into(),
            digest: *blake3::hash(b"http.wasm").as_bytes(),
        }
    }

    pub(crate) fn transition(&self) -> Transition {
        Transition {
            to: Status::Delivered,
            cause: Cause::Sent,
            due: None,
            token: None,
        }
    }

    /// The facts of an attempt. Hashing the body is the dispatcher's work: another hash of the same length stands for it.
    pub(crate) fn attempt(&self, started_at: TimeMs) -> Attempt {
        let run = HookRun {
            hook: self.hook.clone(),
            digest: self.digest,
            duration_us: 310,
        };
        Attempt {
            number: 1,
            started_at,
            duration_us: 1_480,
            hooks: vec![run],
            body_sha256: Some(self.digest),
            ..Attempt::default()
        }
    }
}
