//! One store on one disk, from its first open on: reopened after every cut.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use wharf_core::{ChannelName, Cursor, DeliveryId, MessageSeq, TimeMs};
use wharf_store::{
    Accepted, CancelError, Cancelled, CheckError, Claim, CloseError, Engine, IdSizes, Options,
    QueueSizes, Redriven, Rerouted, SetStateError, Settled, Store, WriteError,
};
use wharf_testkit::backend::PowerCut;
use wharf_testkit::random::Random;

use crate::model::Model;

/// When everything begins.
pub(crate) const T0: TimeMs = TimeMs(1_000_000);

/// Small, so that claims come from memory and from the file.
const RESIDENT_BYTES: usize = 8 << 10;

/// Ids in memory before they become a run, so that runs are written every few messages, and merged.
pub(crate) const RECENT_IDS: usize = 6;

/// Memory for filters of ids: some are in memory and some are not.
const ID_FILTER_BYTES: usize = 1_000;

/// Calls that one recovery makes at most, about: where cuts in it are worth while.
const RECOVERY_CALLS: u64 = 24;

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
    /// Whether that would have written a run of ids.
    pub(crate) was_new_run: bool,
    /// Claims that are held; a revoked one is stale.
    pub(crate) claims: Vec<Held>,
    pub(crate) leased: BTreeMap<DeliveryId, u64>,
    /// What was ready at the last start, if that was unclean, each with its last journal row then: until that changes,
    /// it has not been tried.
    pub(crate) untried: BTreeMap<DeliveryId, Cursor>,
    /// Whether the last stop was clean for sure.
    pub(crate) was_clean: bool,
    pub(crate) ids_count: u64,
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
    Cancel(Vec<Vec<(DeliveryId, Cancelled)>>),
    Redrive(Vec<Redriven>),
    Reroute(Vec<Rerouted>),
}

/// An answer of the store.
pub(crate) enum Answer {
    Written(Result<Said, Unsaid>),
    Check(Result<wharf_store::Report, CheckError>),
    Close(Result<(), CloseError>),
}

/// Why the store does not say that it has committed something.
pub(crate) enum Unsaid {
    /// It has, and could not read what a duplicate is answered with.
    FirstAnswer,
    Other(String),
}

impl From<WriteError> for Unsaid {
    fn from(cause: WriteError) -> Self {
        match cause {
            WriteError::FirstAnswer(_) => Self::FirstAnswer,
            cause => Self::Other(format!("{cause:?}")),
        }
    }
}

impl From<SetStateError> for Unsaid {
    fn from(cause: SetStateError) -> Self {
        Self::Other(format!("{cause:?}"))
    }
}

impl From<CancelError> for Unsaid {
    fn from(cause: CancelError) -> Self {
        Self::Other(format!("{cause:?}"))
    }
}

pub(crate) type Asked = Pin<Box<dyn Future<Output = Answer>>>;

/// What a reopening met.
#[derive(Default)]
pub(crate) struct Reopened {
    pub(crate) cuts: u64,
    pub(crate) was_in_flight: bool,
    pub(crate) was_durable: bool,
    pub(crate) was_new_run: bool,
}

pub(crate) fn options() -> Options {
    let mut options = Options::new([7; 32], T0);
    options.resident_bytes_max = RESIDENT_BYTES;
    options.cache_bytes = 4 << 20;
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
        Ok(Self {
            random,
            now: T0,
            channels: ["a", "b", "c"].map(ChannelName::new).to_vec(),
            store,
            engine,
            disk,
            model: Model::default(),
            model_in_flight: None,
            was_new_run: false,
            claims: Vec::new(),
            leased: BTreeMap::new(),
            untried: BTreeMap::new(),
            was_clean: true,
            ids_count: 0,
            options,
        })
    }

    /// Puts the power back on, opens what survived, perhaps cutting again while it recovers, and verifies it.
    pub(crate) fn reopen(&mut self) -> Result<Reopened, String> {
        let mut reopened = Reopened::default();
        self.claims.clear();
        self.leased.clear();
        self.options.now = self.now;
        loop {
            self.disk.reboot();
            if self.random.once_in(3) {
                self.disk.arm(1 + self.random.below(RECOVERY_CALLS));
            }
            match Store::open_stepped(self.disk.plug(), &self.options) {
                Ok((store, engine)) => {
                    self.disk.disarm();
                    (self.store, self.engine) = (store, engine);
                    break;
                }
                Err(_) if self.disk.is_cut() => reopened.cuts += 1,
                Err(cause) => return Err(format!("the store does not open: {cause:?}")),
            }
        }
        let mut was_clean = self.model.start(self.now);
        if let Some(mut in_flight) = self.model_in_flight.take() {
            reopened.was_in_flight = true;
            reopened.was_new_run = self.was_new_run;
            let would_be_clean = in_flight.start(self.now);
            reopened.was_durable = crate::verify::verify(&self.store, &in_flight).is_ok();
            if reopened.was_durable {
                self.model = in_flight;
                was_clean = would_be_clean;
            }
        }
        // A start that was cut short may have been one already.
        self.was_clean = was_clean && reopened.cuts == 0;
        self.untried = match was_clean {
            true => BTreeMap::new(),
            false => self.model.ready(self.now),
        };
        self.verify()?;
        Ok(reopened)
    }

    /// Compares the store with the model, and has it verify itself.
    pub(crate) fn verify(&mut self) -> Result<(), String> {
        crate::verify::verify(&self.store, &self.model)?;
        let store = self.store.clone();
        let check = async move { Answer::Check(store.check().await) };
        match answers(&mut self.engine, vec![Box::pin(check)]).pop() {
            Some(Answer::Check(Ok(_))) => Ok(()),
            Some(Answer::Check(Err(cause))) => Err(format!("the check does not pass: {cause:?}")),
            _ => Err("the check does not answer".to_owned()),
        }
    }
}
