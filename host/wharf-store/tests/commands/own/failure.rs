//! What callers are told when a commit fails.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use wharf_store::{Backend, Backends, FailureReason, Options, Store, WriteError};

use super::ids::Disk;
use crate::fixture::{T0, accept, wait};

/// A disk whose reads, or whose syncs, fail once it is told so.
#[derive(Clone, Debug)]
struct Failing {
    disk: Disk,
    reads: Arc<AtomicBool>,
    syncs: Arc<AtomicBool>,
}

impl Failing {
    fn backends(self) -> Backends {
        Backends {
            log: Box::new(Self {
                disk: Disk::new(),
                ..self.clone()
            }),
            tables: Box::new(self),
        }
    }
}

fn unless(fails: &AtomicBool) -> io::Result<()> {
    match fails.load(Ordering::SeqCst) {
        true => Err(io::Error::other("the disk is broken")),
        false => Ok(()),
    }
}

impl Backend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        unless(&self.reads)?;
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        unless(&self.syncs)?;
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

/// Looks, at the moment in which a caller is woken, whether the reason is there.
struct Look {
    store: Store,
    informed_count: AtomicU32,
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        let failed = pin!(self.store.failed());
        if let Poll::Ready(FailureReason::Commit(_)) =
            failed.poll(&mut Context::from_waker(Waker::noop()))
        {
            self.informed_count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Two callers wait for a commit in which what `broken` picks fails.
fn check(broken: impl FnOnce(&Failing) -> Arc<AtomicBool>) {
    let disk = Failing {
        disk: Disk::new(),
        reads: Arc::default(),
        syncs: Arc::default(),
    };
    let broken = broken(&disk);
    let mut options = Options::new([1; 32], T0);
    // Every page is read from the disk.
    options.cache_bytes = 0;
    let (store, mut engine) = Store::open_stepped(disk.backends(), &options).unwrap();
    let look = Arc::new(Look {
        store: store.clone(),
        informed_count: AtomicU32::new(0),
    });
    let waker = Waker::from(look.clone());
    let mut context = Context::from_waker(&waker);
    let mut first = pin!(store.accept(vec![accept("m", &["a"])]));
    let mut second = pin!(store.accept(vec![accept("n", &["a"])]));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    broken.store(true, Ordering::SeqCst);
    assert!(engine.step());
    assert_eq!(look.informed_count.load(Ordering::SeqCst), 2);
    for answer in [wait(first), wait(second)] {
        assert!(
            matches!(
                answer,
                Err(WriteError::CommitUnknown(FailureReason::Commit(_)))
            ),
            "{answer:?}"
        );
    }
    let later = wait(store.accept(vec![accept("o", &["a"])]));
    assert!(matches!(later, Err(WriteError::Refused)), "{later:?}");
}

#[test]
fn a_failed_sync_is_the_reason_that_waiters_get() {
    check(|disk| disk.syncs.clone());
}

#[test]
fn a_failed_read_is_the_reason_that_waiters_get() {
    check(|disk| disk.reads.clone());
}
