//! The id index: exact, whatever is in memory, in a log, in a run or between two, and whenever it is restarted.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use wharf_core::{MessageSeq, TimeMs};
use wharf_store::{Accept, Accepted, Backend, Backends, Engine, IdSizes, Options, Store};

use crate::fixture::{Fixture, T0, accept, id, message, to, wait};
use crate::stepped::alone;

/// A disk that outlives the store.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<InMemoryBackend>);

impl Disk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(InMemoryBackend::new()))
    }
}

/// Both of them.
#[derive(Clone, Debug)]
pub(crate) struct Disks {
    tables: Disk,
    log: Disk,
}

impl Disks {
    pub(crate) fn new() -> Self {
        Self {
            tables: Disk::new(),
            log: Disk::new(),
        }
    }

    pub(crate) fn plug(&self) -> Backends {
        Backends {
            tables: Box::new(self.tables.clone()),
            log: Box::new(self.log.clone()),
        }
    }
}

impl Backend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// One commit, of these messages.
    Accept(Vec<Sent>),
    /// Forgets the ids of this share of the messages, in 256ths.
    Forget(u8),
    /// With blocks and segments of other sizes.
    Restart(usize, usize),
    Check,
}

#[derive(Clone, Copy, Debug)]
enum Sent {
    New,
    /// One of those before, chosen by the number.
    Again(u16),
    Changed(u16),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let sent = prop_oneof![
        6 => Just(Sent::New),
        1 => any::<u16>().prop_map(Sent::Again),
        1 => any::<u16>().prop_map(Sent::Changed),
    ];
    let op = prop_oneof![
        20 => prop::collection::vec(sent, 1..6).prop_map(Op::Accept),
        1 => any::<u8>().prop_map(Op::Forget),
        2 => (1..4usize, 1..9usize).prop_map(|(block, segment)| Op::Restart(block, segment)),
        1 => Just(Op::Check),
    ];
    prop::collection::vec(op, 1..80)
}

/// Small, so that runs are written and merged every few messages.
fn sizes() -> impl Strategy<Value = IdSizes> {
    (1..10usize, 1..4usize, 1..9usize).prop_map(|(recent, block, segment)| IdSizes {
        recent,
        block,
        segment,
    })
}

/// A store, and what it should know.
struct Known {
    disk: Disks,
    options: Options,
    store: Store,
    engine: Engine,
    /// By id: number and content.
    ids: HashMap<String, (u64, String)>,
    /// All ids that were ever new.
    sent: Vec<String>,
    next_seq: u64,
    floor: u64,
}

impl Known {
    fn new(sizes: IdSizes, filter_bytes_max: usize) -> Self {
        let mut options = Options::new([1; 32], T0);
        options.id_sizes = sizes;
        options.id_filter_bytes_max = filter_bytes_max;
        let disk = Disks::new();
        let (store, engine) = Store::open_stepped(disk.plug(), &options).unwrap();
        Self {
            disk,
            options,
            store,
            engine,
            ids: HashMap::new(),
            sent: Vec::new(),
            next_seq: 1,
            floor: 1,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Accept(batch) => self.accept(batch),
            Op::Forget(share) => {
                let before = self.next_seq * u64::from(*share) / 255;
                self.forget(before);
            }
            Op::Restart(block, segment) => {
                let sizes = &mut self.options.id_sizes;
                (sizes.block, sizes.segment) = (*block, *segment);
                self.restart();
            }
            Op::Check => self.check(),
        }
    }

    fn accept(&mut self, batch: &[Sent]) {
        let (mut asked, mut expected) = (Vec::new(), Vec::new());
        for sent in batch {
            let (name, content) = self.chosen(sent);
            expected.push(self.expect(&name, &content));
            asked.push(to(message(&name, &content), &[]));
        }
        let accepted = alone(&mut self.engine, self.store.accept(asked)).unwrap();
        assert_eq!(accepted, expected);
    }

    fn chosen(&self, sent: &Sent) -> (String, String) {
        let before = |n: &u16| {
            self.sent
                .get(usize::from(*n) % self.sent.len().max(1))
                .cloned()
        };
        let fresh = || format!("m{}", self.sent.len());
        match sent {
            Sent::New => (fresh(), String::new()),
            Sent::Again(n) => {
                let name = before(n).unwrap_or_else(fresh);
                let known = self.ids.get(&name);
                let content = known.map_or_else(String::new, |(_, content)| content.clone());
                (name, content)
            }
            Sent::Changed(n) => (before(n).unwrap_or_else(fresh), "changed".to_owned()),
        }
    }

    fn expect(&mut self, name: &str, content: &str) -> Accepted {
        match self.ids.get(name) {
            Some((seq, known)) if known == content => Accepted::Duplicate {
                seq: MessageSeq(*seq),
                accepted_at: T0,
                deliveries_count: 0,
            },
            Some((seq, _)) => Accepted::Conflict {
                seq: MessageSeq(*seq),
            },
            None => {
                let seq = self.next_seq;
                self.next_seq += 1;
                self.ids.insert(name.to_owned(), (seq, content.to_owned()));
                self.sent.push(name.to_owned());
                Accepted::New {
                    seq: MessageSeq(seq),
                    deliveries_count: 0,
                }
            }
        }
    }

    fn forget(&mut self, before: u64) {
        self.floor = self.floor.max(before.min(self.next_seq));
        let stands = self.store.forget_ids(MessageSeq(before));
        let stands = alone(&mut self.engine, stands).unwrap();
        assert_eq!(stands, MessageSeq(self.floor));
        self.ids.retain(|_, (seq, _)| *seq >= self.floor);
    }

    fn restart(&mut self) {
        alone(&mut self.engine, self.store.close()).unwrap();
        (self.store, self.engine) = Store::open_stepped(self.disk.plug(), &self.options).unwrap();
    }

    fn check(&mut self) {
        alone(&mut self.engine, self.store.check()).unwrap();
    }

    /// Every id is found, or not, as it should be; and what is kept is bounded.
    fn verify(&mut self) {
        self.check();
        for name in self.sent.iter().map(String::as_str).chain(["never"]) {
            let found = self.store.get(&id(name)).unwrap();
            let expected = self.ids.get(name).map(|(seq, _)| MessageSeq(*seq));
            assert_eq!(found.map(|view| view.seq), expected, "{name}");
        }
        let stats = self.store.stats().ids;
        let sizes = self.options.id_sizes;
        assert!(stats.recent < sizes.recent as u64);
        assert!(stats.filter_bytes <= self.options.id_filter_bytes_max);
        // Four being merged, their output, and three at rest, on each level.
        let runs_max = 8 * (1 + (self.next_seq / sizes.recent as u64).max(1).ilog(4));
        assert!(stats.runs <= u64::from(runs_max), "{stats:?} of {runs_max}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn ids_are_known_exactly(
        ops in ops(),
        sizes in sizes(),
        filter_bytes_max in prop_oneof![Just(0), Just(1_000), Just(1 << 20)],
    ) {
        let mut known = Known::new(sizes, filter_bytes_max);
        for op in &ops {
            known.apply(op);
        }
        known.verify();
        known.restart();
        known.verify();
    }
}

const TINY: IdSizes = IdSizes {
    recent: 4,
    block: 2,
    segment: 4,
};

/// A step of a merge is paid for by what comes, and what comes is enough: the number of runs stays bounded however
/// long it goes on, and by how much a commit adds.
#[test]
fn merging_keeps_up() {
    for group in [1, 3, 50] {
        let mut known = Known::new(TINY, 1 << 20);
        let mut runs_max = 0;
        while known.next_seq < 3_000 {
            known.accept(&vec![Sent::New; group]);
            runs_max = runs_max.max(known.store.stats().ids.runs);
        }
        // 4^5 × 4 ids are more than there are: levels 0 to 5.
        assert!((4..=8 * 5).contains(&runs_max), "{runs_max}");
        known.verify();
    }
}

#[test]
fn forgotten_ids_are_new_again() {
    let mut known = Known::new(TINY, 1 << 20);
    for _ in 0..250 {
        known.accept(&[Sent::New, Sent::New]);
    }
    known.restart();
    known.forget(u64::MAX);
    assert_eq!(known.floor, 501);
    known.verify();
    let again: Vec<_> = (0..100).map(Sent::Again).collect();
    for sent in again.chunks(2) {
        known.accept(sent);
    }
    assert_eq!(known.ids.len(), 100);
    known.verify();
}

/// Runs below the floor go one after the other, however few there are of their level.
#[test]
fn forgotten_runs_go_without_being_merged() {
    let runs_after = |forgotten_count: usize| {
        let mut known = Known::new(TINY, 1 << 20);
        known.accept(&[Sent::New; 4]);
        for _ in 0..forgotten_count {
            known.accept(&[Sent::New]);
        }
        known.forget(u64::MAX);
        // Steps of merges remove two ids for each.
        for _ in 0..500 {
            known.accept(&[Sent::New]);
        }
        known.verify();
        known.store.stats().ids.runs
    };
    let (runs, expected) = (runs_after(1_000), runs_after(0));
    assert!(
        runs <= expected + 1,
        "{runs} runs, {expected} without what was forgotten"
    );
}

/// Whoever looks an id up while it is on its way from the log into a run, and from run to run, finds it.
#[test]
fn an_id_is_found_while_it_is_moved() {
    const MESSAGES: u64 = 4_000;
    let mut options = Options::new([1; 32], T0);
    options.id_sizes = TINY;
    let store = Store::open_backends(Disks::new().plug(), &options).unwrap();
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut age = 0;
                while let newest = answered.load(Ordering::Acquire)
                    && newest < MESSAGES
                {
                    // The newest ones mostly: they are moved most often.
                    age = (age + 1) % 9;
                    if let Some(n) = newest.checked_sub(age).filter(|n| *n > 0) {
                        let found = store.get(&id(&format!("m{n}"))).unwrap();
                        assert_eq!(found.map(|view| view.seq), Some(MessageSeq(n)));
                    }
                }
            });
        }
        for n in 1..=MESSAGES {
            let accepted = wait(store.accept(vec![accept(&format!("m{n}"), &[])]));
            assert!(matches!(accepted.unwrap()[..], [Accepted::New { .. }]));
            answered.store(n, Ordering::Release);
        }
    });
    wait(store.check()).unwrap();
}

/// With the usual sizes: two runs, the rest in memory.
#[test]
fn a_full_log_becomes_a_run_and_survives_a_restart() {
    let mut fixture = Fixture::new();
    let recent = Options::new([1; 32], T0).id_sizes.recent as u64;
    let mut sent = 0;
    for batch in 0..14 {
        let batch = (0..10_000).map(|n| accept(&format!("m{batch}-{n}"), &[]));
        let batch: Vec<Accept> = batch.collect();
        sent += batch.len() as u64;
        wait(fixture.store.accept(batch)).unwrap();
    }
    let stats = fixture.store.stats().ids;
    assert_eq!((stats.runs, stats.recent), (2, 0));
    fixture.restart();
    assert_eq!(fixture.store.stats().ids, stats);
    assert!(stats.filter_bytes as u64 * 8 / sent < 20, "{stats:?}");
    assert!(sent >= 2 * recent);
    let again = fixture.accept(vec![accept("m0-0", &[]), accept("new", &[])]);
    assert!(
        matches!(
            again[..],
            [
                Accepted::Duplicate {
                    seq: MessageSeq(1),
                    accepted_at: TimeMs(1_000_000),
                    ..
                },
                Accepted::New { .. }
            ]
        ),
        "{again:?}"
    );
}
