//! A probe, not a benchmark: is the store where the measured layout was? The ratio to the control is what counts,
//! on a machine whose disk and cores are shared.
//!
//! `cargo test -p wharf-store --test commands -- --ignored --nocapture throughput`

use std::fs::File;
use std::future::Future;
use std::io::{self, Seek, SeekFrom, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use tempfile::TempDir;
use wharf_core::{Cursor, Status};
use wharf_store::{Backend, Backends, Claim, Claims, Engine, Options, Settle, Store};

use crate::fixture::{Fixture, T0, accept, channel, end, message, settle, to, wait};
use crate::stepped::alone;

const BATCH: usize = 256;
const PRODUCERS: usize = 4;
const ROUNDS: usize = 100;
/// A message of 1 KiB, encoded.
const MESSAGE_BYTES: usize = 1104;

/// The control: batches of plain bytes into a file that is written already, each synced.
fn control(folder: &std::path::Path) -> f64 {
    let mut file = File::create(folder.join("ring")).unwrap();
    let batch = vec![7; BATCH * MESSAGE_BYTES];
    let rounds = ROUNDS * PRODUCERS;
    let mut write = || {
        file.seek(SeekFrom::Start(0)).unwrap();
        for _ in 0..rounds {
            file.write_all(&batch).unwrap();
            file.sync_data().unwrap();
        }
    };
    write();
    let started_at = Instant::now();
    write();
    (rounds * BATCH) as f64 / started_at.elapsed().as_secs_f64()
}

/// Accept, claim and settle of batches, by a few producers that each wait for their answers.
#[test]
#[ignore = "a measurement"]
fn throughput_of_a_life_at_batch_256() {
    let fixture = Fixture::new();
    let payload = "x".repeat(1024);
    let started_at = Instant::now();
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (fixture, store, payload) = (&fixture, &fixture.store, &payload);
            scope.spawn(move || {
                let name = format!("c{producer}");
                for round in 0..ROUNDS {
                    let batch = (0..BATCH).map(|n| {
                        to(
                            message(&format!("m-{producer}-{round}-{n}"), payload),
                            &[&name],
                        )
                    });
                    wait(store.accept(batch.collect())).unwrap();
                    let claims = fixture.claim(&name, BATCH, T0);
                    let batch = claims
                        .into_iter()
                        .map(|one| settle(one, end(Status::Delivered)));
                    wait(store.settle(batch.collect())).unwrap();
                }
            });
        }
    });
    let took = started_at.elapsed().as_secs_f64();
    let stats = fixture.store.stats();
    let count = stats.counts.status(Status::Delivered);
    let commits = stats.commit_us.count();
    let control = control(fixture.folder.path());
    let rate = count as f64 / took;
    println!(
        "{rate:.0} messages/s, {:.2} of the control's {control:.0}; {commits} commits of {:.2} ms; groups of {:.0}",
        rate / control,
        stats.commit_us.sum as f64 / commits as f64 / 1000.0,
        stats.group_items.sum as f64 / commits as f64,
    );
    let bytes = std::fs::metadata(fixture.path()).unwrap().len();
    println!("{} bytes of file a message", bytes / count);
}

/// A file that counts what is written to it.
#[derive(Debug)]
struct Counting {
    file: FileBackend,
    written: Arc<Written>,
}

#[derive(Debug, Default)]
struct Written {
    writes_count: AtomicU64,
    bytes: AtomicU64,
}

impl Backend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.written.writes_count.fetch_add(1, Relaxed);
        self.written.bytes.fetch_add(data.len() as u64, Relaxed);
        self.file.write(offset, data)
    }
}

/// Claims of a new file, which go on disk by no commit of their own.
fn claimed(store: &Store, max: usize) -> Vec<Claim> {
    match store.claim(&channel("a"), max, T0).unwrap() {
        Claims::Ready(claims) => claims,
        Claims::Careful(_) => panic!("there was no unclean stop"),
    }
}

/// A store with a writer that is stepped here, so that every group has the size that is asked for.
struct Bench {
    store: Store,
    engine: Engine,
    written: Arc<Written>,
    ids_count: u64,
    _folder: TempDir,
}

impl Bench {
    /// With so many small messages in it, none of which goes anywhere.
    fn new(ids_count: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let written = Arc::<Written>::default();
        let open = |name| {
            let mut options = File::options();
            options.read(true).write(true).create_new(true);
            let file = options.open(folder.path().join(name)).unwrap();
            Box::new(Counting {
                file: FileBackend::new(file).unwrap(),
                written: written.clone(),
            })
        };
        let backends = Backends {
            tables: open("store"),
            log: open("log"),
        };
        let (store, engine) = Store::open_stepped(backends, &Options::new([1; 32], T0)).unwrap();
        let mut bench = Self {
            store,
            engine,
            written,
            ids_count: 0,
            _folder: folder,
        };
        while bench.ids_count < ids_count {
            let first = bench.ids_count;
            bench.ids_count = (first + 1000).min(ids_count);
            let batch = (first..bench.ids_count).map(|n| accept(&format!("m-{n}"), &[]));
            let asked = bench.store.accept(batch.collect());
            alone(&mut bench.engine, asked).unwrap();
        }
        bench
    }

    /// Commits that each accept a group, and settle the one before it.
    fn live(&mut self, group: usize, messages_count: usize) {
        let payload = "x".repeat(1024);
        let there = self.ids_count;
        let mut settles: Vec<Settle> = Vec::new();
        let mut took: Vec<Duration> = Vec::new();
        let (writes, bytes) = (
            self.written.writes_count.load(Relaxed),
            self.written.bytes.load(Relaxed),
        );
        let mut context = Context::from_waker(Waker::noop());
        let started_at = Instant::now();
        for _ in 0..messages_count / group {
            let first = self.ids_count;
            self.ids_count += group as u64;
            let batch = (first..self.ids_count)
                .map(|n| to(message(&format!("m-{n}"), &payload), &["a"]))
                .collect();
            let mut accepted = pin!(self.store.accept(batch));
            let mut settled = pin!(self.store.settle(std::mem::take(&mut settles)));
            assert!(accepted.as_mut().poll(&mut context).is_pending());
            assert!(settled.as_mut().poll(&mut context).is_pending());
            let committed_at = Instant::now();
            self.engine.step();
            took.push(committed_at.elapsed());
            wait(accepted).unwrap();
            wait(settled).unwrap();
            let claims = claimed(&self.store, group);
            settles = claims
                .into_iter()
                .map(|one| settle(one, end(Status::Delivered)))
                .collect();
        }
        let elapsed = started_at.elapsed().as_secs_f64();
        alone(&mut self.engine, self.store.settle(settles)).unwrap();
        let commits = took.len();
        let count = (commits * group) as f64;
        let writes = self.written.writes_count.load(Relaxed) - writes;
        let bytes = self.written.bytes.load(Relaxed) - bytes;
        took.sort_unstable();
        let at = |share: f64| took[((commits - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "{there:>8} ids, groups of {group:>3}: {:>7.0} messages/s, {:>6.0} bytes and {:>5.2} writes a message; \
             commits: {:>5.1} writes, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
            count / elapsed,
            bytes as f64 / count,
            writes as f64 / count,
            writes as f64 / commits as f64,
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
        );
    }
}

/// What a message costs by the size of its group and the number of ids that are there. More messages than the ids
/// that are kept in memory: what is done with those in the end is part of the price.
#[test]
#[ignore = "a measurement"]
fn throughput_by_group_and_ids() {
    for ids_count in [10_000, 1_000_000] {
        let mut bench = Bench::new(ids_count);
        for group in [256, 24, 1] {
            bench.live(group, 70_000);
        }
    }
}

/// Reading the journal as post-event hooks do: two rows a message, whose accepts and settles come by turns.
#[test]
#[ignore = "a measurement"]
fn throughput_of_the_journal() {
    const MESSAGES: u64 = 24_000;
    let mut bench = Bench::new(0);
    let pairs = |name: &str| {
        (0..8)
            .map(|n| (format!("{name}-{n}"), format!("{name} value {n}")))
            .collect::<Vec<_>>()
    };
    let mut context = Context::from_waker(Waker::noop());
    for first in (0..MESSAGES).step_by(12) {
        let mut asked: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for claim in claimed(&bench.store, 12) {
            let n = first + asked.len() as u64 / 2;
            let mut message = message(&format!("m-{n}"), &"x".repeat(1024));
            (message.attributes, message.headers) = (pairs("attribute"), pairs("header"));
            let (accepted, settled) = (bench.store.clone(), bench.store.clone());
            asked.push(Box::pin(async move {
                accepted.accept(vec![to(message, &["a"])]).await.unwrap();
            }));
            asked.push(Box::pin(async move {
                settled
                    .settle(vec![settle(claim, end(Status::Delivered))])
                    .await
                    .unwrap();
            }));
        }
        if asked.is_empty() {
            let batch = (0..12).map(|n| to(message(&format!("first-{n}"), ""), &["a"]));
            let batch = bench.store.accept(batch.collect());
            alone(&mut bench.engine, batch).unwrap();
        }
        asked
            .iter_mut()
            .for_each(|one| assert!(one.as_mut().poll(&mut context).is_pending()));
        bench.engine.step();
        asked.into_iter().for_each(wait);
    }
    for _ in 0..3 {
        let (started_at, mut rows_count) = (Instant::now(), 0);
        let mut after = Cursor(0);
        loop {
            let page = bench.store.journal(after, 256, 4 << 20).unwrap();
            rows_count += page.entries.len();
            if page.end == after {
                break;
            }
            after = page.end;
        }
        let ns = started_at.elapsed().as_nanos() as f64 / rows_count as f64;
        println!("{rows_count} rows, {ns:.0} ns a row");
    }
}
