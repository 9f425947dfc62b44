//! One store on one disk, from its first open on: reopened after every cut.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use wharf_core::order::{self, OnDead, Until};
use wharf_core::{ChannelName, Cursor, DeliveryId, MessageSeq, TimeMs};
use wharf_store::{
    Accepted, Applied, CancelError, Cancelled, CheckError, Claim, CloseError, Engine,
    FailureReason, IdSizes, Options, Pruned, QueueSizes, Redriven, Rerouted, SetStateError,
    Settled, Store, UpdateError, WriteError,
};
use wharf_testkit::backend::{Fault, PowerCut};
use wharf_testkit::random::Random;

use crate::model::Model;
use crate::prune::Pruning;

/// When everything begins.
pub(crate) const T0: TimeMs = TimeMs(1_000_000);

/// The channel that keeps an order.
pub(crate) const ORDERED: &str = "b";

/// Memory for messages that wait: none, little, so that claims come from memory and from the file, and enough.
const RESIDENT_BYTES: &[usize] = &[0, 8 << 10, 1 << 20];

/// Memory for pages: none, so that whatever is read is read from the disk, and enough.
const CACHE_BYTES: &[usize] = &[0, 4 << 20, 4 << 20];

/// Length of the log: a record or two, some, and more than a life needs.
const WAL_BYTES: &[u64] = &[16 << 10, 64 << 10, 1 << 20];

/// Ids in memory before they become a run, so that runs are written every few messages, and merged.
pub(crate) const RECENT_IDS: usize = 24;

/// Memory for filters of ids: some are in memory and some are not.
const ID_FILTER_BYTES: usize = 1_000;

/// Calls that one recovery makes at most, about: where cuts in it are worth while.
const RECOVERY_CALLS: u64 = 24;

/// Calls of one kind that a recovery makes, about: where faults in it are worth while.
const RECOVERY_FAULTS: &[u64] = &[3, 12, 40];

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: TimeMs,
    pub(crate) channels: Vec<ChannelName>,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) disk: PowerCut,
    /// What is acknowledged.
    pub(crate) model: Model,
    /// What is acknowledged, and what was being committed when the power went.
    pub(crate) model_in_flight: Option<Model>,
    /// What was being removed when the power went.
    pub(crate) pruning: Option<Pruning>,
    /// Whether that would have written a run of ids.
    pub(crate) was_new_run: bool,
    /// Claims that are held; a revoked one is stale.
    pub(crate) claims: Vec<Held>,
    pub(crate) leased: BTreeMap<DeliveryId, u64>,
    /// Updates that wait for the end of an attempt, each with the delivery and its lease.
    pub(crate) awaited: BTreeMap<u64, (DeliveryId, u64)>,
    /// What was ready at the last start, if that was unclean, each with its last journal row then: until that changes,
    /// it has not been tried.
    pub(crate) untried: BTreeMap<DeliveryId, Cursor>,
    /// Whether the last stop was clean for sure.
    pub(crate) was_clean: bool,
    pub(crate) ids_count: u64,
    /// How channel b keeps the order of its keys; the others keep none.
    pub(crate) order: order::Policy,
    options: Options,
}

pub(crate) struct Held {
    pub(crate) claim: Claim,
    pub(crate) is_stale: bool,
}

/// What the store says of something that it has committed.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Accept(Vec<Accepted>),
    Settle(Vec<Settled>),
    SetCursor(Cursor),
    ForgetIds(MessageSeq),
    Persist,
    SetState,
    Parked(u64),
    Prune(Pruned),
    Cancel(Vec<Vec<(DeliveryId, Cancelled)>>),
    Redrive(Vec<Redriven>),
    Reroute(Vec<Rerouted>),
    Receive(Vec<u64>),
    Apply(Vec<Applied>),
}

/// An answer of the store.
pub(crate) enum Answer {
    Written(Result<Said, Unsaid>),
    Check(Result<wharf_store::Report, CheckError>),
    Close(Result<(), CloseError>),
}

/// Why the store does not say that it has committed something.
#[derive(Debug, PartialEq)]
pub(crate) enum Unsaid {
    /// It may have.
    Unknown,
    /// It has not been asked to: what was to be asked could not be read.
    NotAsked,
    /// It has, and could not read what a duplicate is answered with.
    FirstAnswer,
    Other(String),
}

impl From<WriteError> for Unsaid {
    fn from(cause: WriteError) -> Self {
        match cause {
            WriteError::FirstAnswer(_) => Self::FirstAnswer,
            WriteError::CommitUnknown(FailureReason::Commit(_)) => Self::Unknown,
            cause => Self::Other(format!("{cause:?}")),
        }
    }
}

impl From<SetStateError> for Unsaid {
    fn from(cause: SetStateError) -> Self {
        match cause {
            SetStateError::Write(cause) => cause.into(),
            cause => Self::Other(format!("{cause:?}")),
        }
    }
}

impl From<CancelError> for Unsaid {
    fn from(cause: CancelError) -> Self {
        match cause {
            CancelError::Write(cause) => cause.into(),
            CancelError::Find(_) => Self::NotAsked,
        }
    }
}

impl From<UpdateError> for Unsaid {
    fn from(cause: UpdateError) -> Self {
        match cause {
            UpdateError::Write(cause) => cause.into(),
            UpdateError::Find(_) => Self::NotAsked,
        }
    }
}

pub(crate) type Asked = Pin<Box<dyn Future<Output = Answer>>>;

/// What a reopening met.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) cuts: u64,
    pub(crate) faults: Vec<Fault>,
    pub(crate) was_in_flight: bool,
    pub(crate) was_durable: bool,
    pub(crate) was_new_run: bool,
    pub(crate) was_pruning: bool,
}

pub(crate) fn options() -> Options {
    let mut options = Options::new([7; 32], T0);
    options.resident_bytes_max = RESIDENT_BYTES[1];
    options.cache_bytes = CACHE_BYTES[1];
    options.id_filter_bytes_max = ID_FILTER_BYTES;
    // Most of what waits is on disk alone.
    options.queue_sizes = QueueSizes {
        ready: 4,
        due: 3,
        page: 3,
    };
    options.id_sizes = IdSizes {
        recent: RECENT_IDS,
        block: 2,
        segment: 4,
    };
    options
}

/// A store that was created, closed, and holds nothing.
pub(crate) fn empty_image() -> Result<Vec<u8>, String> {
    let disk = PowerCut::new(Vec::new(), 0);
    let (store, mut engine) =
        Store::open_stepped(disk.plug(), &options()).map_err(|cause| format!("{cause:?}"))?;
    let close = {
        let store = store.clone();
        async move { Answer::Close(store.close().await) }
    };
    match answers(&mut engine, vec![Box::pin(close)]).pop() {
        Some(Answer::Close(Ok(()))) => Ok(disk.image()),
        _ => Err("the empty store does not close".to_owned()),
    }
}

/// Asks one thing, and has the writer do it.
pub(crate) fn alone<F: Future>(engine: &mut Engine, asked: F) -> F::Output {
    let mut asked = pin!(asked);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match asked.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => assert!(engine.step(), "the writer has something to do"),
        }
    }
}

/// Asks everything at once, lets the writer commit it as one group, and collects the answers.
pub(crate) fn answers(engine: &mut Engine, mut asked: Vec<Asked>) -> Vec<Answer> {
    let mut context = Context::from_waker(Waker::noop());
    let mut answers: Vec<Option<Answer>> = asked.iter().map(|_| None).collect();
    for _ in 0..2 {
        for (asked, answer) in asked.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = asked.as_mut().poll(&mut context)
            {
                *answer = Some(ready);
            }
        }
        while engine.step() {}
    }
    answers
        .into_iter()
        .map(|answer| answer.expect("the writer answers everyone"))
        .collect()
}

impl World {
    pub(crate) fn new(image: Vec<u8>, seed: u64, options: Options) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let disk = PowerCut::new(image, random.number());
        let (store, engine) =
            Store::open_stepped(disk.plug(), &options).map_err(|cause| format!("{cause:?}"))?;
        let order = order::Policy {
            until: *random.pick(&[Until::Delivered, Until::Accepted]),
            on_dead: *random.pick(&[OnDead::Continue, OnDead::Block]),
        };
        store.set_order(&ChannelName::new(ORDERED), Some(order));
        Ok(Self {
            order,
            random,
            now: T0,
            channels: ["a", "b", "c"].map(ChannelName::new).to_vec(),
            store,
            engine,
            disk,
            model: Model::default(),
            model_in_flight: None,
            pruning: None,
            was_new_run: false,
            claims: Vec::new(),
            leased: BTreeMap::new(),
            awaited: BTreeMap::new(),
            untried: BTreeMap::new(),
            was_clean: true,
            ids_count: 0,
            options,
        })
    }

    /// Opens what survived, perhaps cutting again or having something fail while it recovers, and verifies it.
    pub(crate) fn reopen(&mut self) -> Result<Opened, String> {
        let mut opened = Opened::default();
        self.claims.clear();
        self.leased.clear();
        self.awaited.clear();
        self.options.now = self.now;
        self.options.cache_bytes = *self.random.pick(CACHE_BYTES);
        self.options.resident_bytes_max = *self.random.pick(RESIDENT_BYTES);
        self.options.wal_bytes_max = *self.random.pick(WAL_BYTES);
        self.open(&mut opened)?;
        if let Some(pruning) = self.pruning.take() {
            opened.was_pruning = true;
            pruning.reconcile(&self.store, &mut self.model)?;
        }
        let (is_known, difference) = self.recall(&mut opened);
        let was_clean = self.model.start(self.now);
        // A start that was cut short may have been one already.
        let is_first = opened.cuts == 0 && opened.faults.is_empty();
        self.was_clean = was_clean && is_known && is_first;
        self.untried = match was_clean || !is_known {
            true => BTreeMap::new(),
            false => self.model.ready(self.now),
        };
        self.verify().map_err(|what| match difference {
            Some(other) => format!("{what}; with what was in flight: {other}"),
            None => what,
        })?;
        Ok(opened)
    }

    /// Opens the store, as often as it takes.
    fn open(&mut self, opened: &mut Opened) -> Result<(), String> {
        loop {
            if self.disk.is_cut() {
                self.disk.reboot();
            } else if self.random.once_in(4) {
                // The machine goes down too, with whatever was not synced.
                self.disk.reboot();
                opened.cuts += 1;
            } else {
                self.disk.restart();
            }
            if self.disk.is_full() && self.random.once_in(3) {
                self.disk.make_room();
            }
            if self.random.once_in(3) {
                self.disk.arm(1 + self.random.below(RECOVERY_CALLS));
            }
            if self.random.once_in(4) {
                self.arm_fault(RECOVERY_FAULTS);
            }
            let found = Store::open_stepped(self.disk.plug(), &self.options);
            match (found, self.disk.failed()) {
                (Ok((store, engine)), None) => {
                    self.disk.disarm();
                    (self.store, self.engine) = (store, engine);
                    let ordered = ChannelName::new(ORDERED);
                    self.store.set_order(&ordered, Some(self.order));
                    return Ok(());
                }
                (Err(_), _) if self.disk.is_cut() => opened.cuts += 1,
                // Also where it was opened: what has failed once is not relied upon.
                (_, Some(fault)) => opened.faults.push(fault),
                (Err(cause), None) => return Err(format!("the store does not open: {cause:?}")),
            }
        }
    }

    /// Finds out whether what was being committed is there, as a whole. Returns whether it is known how the stop was, and
    /// what differs where it is not there.
    fn recall(&mut self, opened: &mut Opened) -> (bool, Option<String>) {
        let Some(in_flight) = self.model_in_flight.take() else {
            return (true, None);
        };
        opened.was_in_flight = true;
        opened.was_new_run = self.was_new_run;
        let is_known = in_flight.is_clean == self.model.is_clean;
        let mut started = in_flight.clone();
        started.start(self.now);
        let difference = crate::verify::verify(&self.store, &started).err();
        opened.was_durable = difference.is_none();
        if opened.was_durable {
            self.model = in_flight;
        }
        (is_known, difference)
    }

    /// Compares the store with the model, and has it verify itself.
    pub(crate) fn verify(&mut self) -> Result<(), String> {
        let verified = crate::verify::verify(&self.store, &self.model);
        // What a failing disk keeps from being read is no difference.
        if verified.is_err() && !self.is_up() {
            return Ok(());
        }
        verified?;
        let store = self.store.clone();
        let check = async move { Answer::Check(store.check().await) };
        match answers(&mut self.engine, vec![Box::pin(check)]).pop() {
            Some(Answer::Check(Ok(_))) => Ok(()),
            Some(Answer::Check(Err(CheckError::Read(_)))) if !self.is_up() => Ok(()),
            Some(Answer::Check(Err(cause))) => Err(format!("the check does not pass: {cause:?}")),
            _ => Err("the check does not answer".to_owned()),
        }
    }
}
