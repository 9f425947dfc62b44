//! One store in a folder of its own, asked synchronously and checked after every write.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tempfile::TempDir;
use wharf_core::delivery::Transition;
use wharf_core::journal::Attempt;
use wharf_core::message::Priority;
use wharf_core::route::Planned;
use wharf_core::{Cause, ChannelName, DeliveryId, Message, MessageId, Status, TimeMs, WireForm};
use wharf_store::{
    Accept, Accepted, Cancel, Cancelled, Claim, Claims, DeliveryView, MessageView, OpenError,
    Options, Prune, Redrive, Redriven, Report, Settle, Settled, Store, Target,
};

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
    pub(crate) options: Options,
}

pub(crate) const T0: TimeMs = TimeMs(1_000_000);

pub(crate) fn after_ms(ms: u64) -> TimeMs {
    T0.after(Duration::from_millis(ms))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Awaits on this thread.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

pub(crate) fn id(text: &str) -> MessageId {
    MessageId::parse(text).unwrap()
}

pub(crate) fn channel(name: &str) -> ChannelName {
    ChannelName::new(name)
}

pub(crate) fn message(name: &str, payload: &str) -> Message {
    Message {
        id: id(name),
        accepted_at: T0,
        attributes: vec![("type".to_owned(), "order".to_owned())],
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        payload: payload.to_owned().into(),
        ordering_key: None,
        sequence_global: None,
        sequence_key: None,
        deliver_after: None,
        expires_at: None,
        priority: Priority::Normal,
        traceparent: None,
    }
}

/// A message for these channels, whose payload is its id.
pub(crate) fn accept(name: &str, channels: &[&str]) -> Accept {
    to(message(name, name), channels)
}

pub(crate) fn to(message: Message, channels: &[&str]) -> Accept {
    let planned = channels
        .iter()
        .map(|name| Planned::at_once(format!("to-{name}").into(), channel(name)));
    Accept {
        message,
        planned: planned.collect(),
        unrouted: None,
    }
}

/// How an attempt ends.
pub(crate) struct End {
    pub(crate) to: Status,
    pub(crate) due: Option<TimeMs>,
    pub(crate) wire: Option<WireForm>,
}

pub(crate) fn end(to: Status) -> End {
    End {
        to,
        due: None,
        wire: None,
    }
}

/// An attempt that will be tried again, and what it sent.
pub(crate) fn retry(due_ms: u64, body: &str) -> End {
    End {
        to: Status::Retrying,
        due: Some(after_ms(due_ms)),
        wire: Some(wire(body)),
    }
}

pub(crate) fn wire(body: &str) -> WireForm {
    WireForm {
        endpoint: None,
        headers: vec![],
        body: body.as_bytes().to_vec(),
        begun: None,
    }
}

pub(crate) fn settle(claim: Claim, end: End) -> Settle {
    let waits = matches!(end.to, Status::Pending | Status::Provisional);
    let attempt = Attempt {
        number: claim.attempts_count + 1,
        started_at: T0,
        ..Attempt::default()
    };
    Settle {
        lease: claim.lease,
        transition: Transition {
            to: end.to,
            cause: Cause::Sent,
            due: end.due,
            token: waits.then(|| "token".to_owned()),
        },
        attempt: (end.to != Status::Expired).then_some(attempt),
        wire: end.wire,
        at: T0,
    }
}

/// The log of a store that is open, or was not closed.
pub(crate) fn log_of(store: &Path) -> PathBuf {
    let mut log = store.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Opens a store, behind which is the engine that the suite is run for.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Store, OpenError> {
    Store::open(path, options)
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Options::new([1; 32], T0))
    }

    pub(crate) fn with(options: Options) -> Self {
        let folder = TempDir::new().unwrap();
        let store = open(&folder.path().join("store"), &options).unwrap();
        Self {
            store,
            folder,
            options,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Closes the store and opens it again.
    pub(crate) fn restart(&mut self) {
        wait(self.store.close()).unwrap();
        self.store = open(&self.path(), &self.options).unwrap();
        self.check();
    }

    /// Ends the process without a stop, and opens what it leaves behind.
    pub(crate) fn kill(&mut self) {
        self.kill_and(|_| {});
        self.check();
    }

    /// The same, with something done to the file in between, unchecked.
    pub(crate) fn kill_and(&mut self, change: impl FnOnce(&Path)) {
        let left_behind = self.left_behind();
        wait(self.store.close()).unwrap();
        change(&left_behind);
        self.put_back(&left_behind);
        self.store = open(&self.path(), &self.options).unwrap();
    }

    /// A copy of what would be left behind if the process ended now.
    pub(crate) fn left_behind(&self) -> PathBuf {
        let copy = self.folder.path().join("left-behind");
        fs::copy(self.path(), &copy).unwrap();
        fs::copy(log_of(&self.path()), log_of(&copy)).unwrap();
        copy
    }

    /// Puts what was left behind in the place of the store, which is closed.
    pub(crate) fn put_back(&self, left_behind: &Path) {
        fs::rename(left_behind, self.path()).unwrap();
        fs::rename(log_of(left_behind), log_of(&self.path())).unwrap();
    }

    pub(crate) fn check(&self) -> Report {
        wait(self.store.check()).unwrap()
    }

    pub(crate) fn accept(&self, batch: Vec<Accept>) -> Vec<Accepted> {
        let accepted = wait(self.store.accept(batch)).unwrap();
        self.check();
        accepted
    }

    pub(crate) fn claim(&self, name: &str, max: usize, now: TimeMs) -> Vec<Claim> {
        match self.store.claim(&channel(name), max, now).unwrap() {
            Claims::Ready(claims) => claims,
            Claims::Careful(claims) => wait(self.store.persist_claims(claims)).unwrap(),
        }
    }

    /// Claims the one delivery that is ready.
    pub(crate) fn claim_one(&self, name: &str, now: TimeMs) -> Claim {
        let mut claims = self.claim(name, 2, now);
        assert_eq!(claims.len(), 1);
        claims.remove(0)
    }

    pub(crate) fn settle(&self, batch: Vec<Settle>) -> Vec<Settled> {
        let settled = wait(self.store.settle(batch)).unwrap();
        self.check();
        settled
    }

    pub(crate) fn cancel(&self, targets: Vec<Target>) -> Vec<Vec<(DeliveryId, Cancelled)>> {
        let batch = targets
            .into_iter()
            .map(|target| Cancel { target, at: T0 })
            .collect();
        let answers = wait(self.store.cancel(batch)).unwrap();
        self.check();
        answers
    }

    pub(crate) fn redrive(&self, batch: Vec<Redrive>) -> Vec<Redriven> {
        let answers = wait(self.store.redrive(batch)).unwrap();
        self.check();
        answers
    }

    pub(crate) fn get(&self, name: &str) -> MessageView {
        self.store.get(&id(name)).unwrap().unwrap()
    }

    /// The message's one delivery.
    pub(crate) fn delivery(&self, name: &str) -> DeliveryView {
        let mut deliveries = self.get(name).deliveries;
        assert_eq!(deliveries.len(), 1);
        deliveries.remove(0)
    }

    /// The payloads that a claim gives, which is then dropped.
    pub(crate) fn ready(&self, name: &str, now: TimeMs) -> Vec<String> {
        let claims = self.claim(name, usize::MAX, now);
        let payloads = claims
            .iter()
            .map(|claim| String::from_utf8(claim.message.payload.to_vec()).unwrap());
        payloads.collect()
    }
}

/// Ages that never end, but for those that a test sets.
pub(crate) fn never(now_ms: u64) -> Prune {
    Prune {
        now: after_ms(now_ms),
        ended: Duration::MAX,
        dead: Duration::MAX,
        ids: Duration::MAX,
        message_bytes_max: None,
        journal: Duration::MAX,
        journal_bytes_max: None,
        journal_bytes_hard: None,
        readers: vec![],
        values_max: usize::MAX,
    }
}

/// What ended by a time, however it ended.
pub(crate) fn ended_by(now_ms: u64) -> Prune {
    Prune {
        ended: Duration::ZERO,
        dead: Duration::ZERO,
        ..never(now_ms)
    }
}
