//! Producers that each send one message and wait until it is on disk, before they send the next. A consumer claims,
//! settles and prunes what they sent, as it comes.
//!
//! Beside a single producer stands what it cannot be faster than: the control's own sync of as many bytes. What it waits
//! for besides is the handing over to the writer and back, and a settle's commit that is being made when it comes. A
//! second single producer has no consumer beside it, which takes the latter away.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::caller::{Caller, Retention};
use crate::engine::control::Control;
use crate::engine::{Engine as _, plain};
use crate::median::percentile_us;
use crate::work::{Clock, Work};

/// Deliveries that the consumer claims at once, at most.
const CLAIM_COUNT_MAX: usize = 1024;

/// Threads of the producers and the consumer: the API and the dispatcher have one each.
const THREADS_COUNT: usize = 2;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    pub(crate) producers_count: usize,
    pub(crate) has_consumer: bool,
}

impl Loop {
    const fn new(producers_count: usize, has_consumer: bool) -> Self {
        Self {
            producers_count,
            has_consumer,
        }
    }

    /// A producer alone, with its consumer.
    pub(crate) const SINGLE: Self = Self::new(1, true);

    pub(crate) const ALL: [Self; 4] = [
        Self::new(1, false),
        Self::SINGLE,
        Self::new(64, true),
        Self::new(256, true),
    ];
}

/// What a loop did in a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) messages_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// A round: the control, and each loop.
pub(crate) struct Round {
    pub(crate) control: Run,
    pub(crate) loops: Vec<Run>,
}

/// What came of it.
pub(crate) struct ClosedLoop {
    pub(crate) rounds: Vec<Round>,
}

impl ClosedLoop {
    /// The slices of a loop, each with the control's of its round.
    pub(crate) fn of(&self, which: Loop) -> impl Iterator<Item = (Run, Run)> {
        let at = Loop::ALL.iter().position(|one| *one == which);
        let of = move |round: &Round| Some((*round.loops.get(at?)?, round.control));
        self.rounds.iter().filter_map(of)
    }
}

pub(crate) fn run(arguments: &Arguments, folder: &Path) -> Result<ClosedLoop> {
    let clock = Clock::start();
    let mut work = Work::new(2, clock);
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS_COUNT)
        .build()?;
    let mut control = Control::open(folder, plain::message(&work.message()).len())?;
    let open = |which: Loop| {
        let name = format!("loop-{}-{}", which.producers_count, which.has_consumer);
        Caller::open(&folder.join(name), Retention::Zero, clock).map(Arc::new)
    };
    let callers: Vec<_> = Loop::ALL.into_iter().map(open).collect::<Result<_>>()?;
    let mut rounds = Vec::new();
    for round in 0..arguments.rounds {
        let control = sync(&mut control, &mut work, arguments.slice())?;
        let slice = |(which, caller): (Loop, &Arc<Caller>)| {
            run_loop(&runtime, caller, which, &mut work, arguments.slice())
                .with_context(|| format!("{which:?} failed"))
        };
        let loops = Loop::ALL.into_iter().zip(&callers).map(slice);
        rounds.push(Round {
            loops: loops.collect::<Result<_>>()?,
            control,
        });
        eprintln!("closed loop: {} of {} rounds", round + 1, arguments.rounds);
    }
    for caller in callers {
        runtime.block_on(caller.close())?;
    }
    Ok(ClosedLoop { rounds })
}

/// The control's writes of one message, one after the other.
fn sync(control: &mut Control, work: &mut Work, slice: Duration) -> Result<Run> {
    let mut message = vec![work.message()];
    let mut times = Vec::new();
    let started_at = Instant::now();
    // At least one: a slice may be over before it begins.
    while times.is_empty() || started_at.elapsed() < slice {
        let began_at = Instant::now();
        control.round(&mut message)?;
        times.push(began_at.elapsed());
    }
    Ok(Run::new(times, started_at.elapsed()))
}

fn run_loop(
    runtime: &Runtime,
    caller: &Arc<Caller>,
    which: Loop,
    work: &mut Work,
    slice: Duration,
) -> Result<Run> {
    let workers: Vec<_> = (0..which.producers_count).map(|_| work.fork()).collect();
    runtime.block_on(async {
        let done = Arc::new(Notify::new());
        let consumer = which
            .has_consumer
            .then(|| tokio::spawn(consume(caller.clone(), done.clone())));
        let started_at = Instant::now();
        let mut producers = JoinSet::new();
        for work in workers {
            producers.spawn(produce(caller.clone(), work, started_at + slice));
        }
        let mut times = Vec::new();
        while let Some(produced) = producers.join_next().await {
            times.extend(produced??);
        }
        let run = Run::new(times, started_at.elapsed());
        done.notify_one();
        if let Some(consumer) = consumer {
            consumer.await??;
        }
        Ok(run)
    })
}

/// Sends one message after the other; returns how long each took to be on disk.
async fn produce(caller: Arc<Caller>, mut work: Work, until: Instant) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while times.is_empty() || Instant::now() < until {
        let message = work.message();
        let began_at = Instant::now();
        caller.accept([message]).await?;
        times.push(began_at.elapsed());
    }
    Ok(times)
}

/// Claims and settles, until all is `done` and nothing is left.
async fn consume(caller: Arc<Caller>, done: Arc<Notify>) -> Result<()> {
    let mut is_done = false;
    loop {
        let claims = caller.claim(CLAIM_COUNT_MAX).await?;
        if !claims.is_empty() {
            tokio::try_join!(caller.settle(claims), caller.prune())?;
        } else if is_done {
            return Ok(());
        } else {
            tokio::select! {
                () = caller.ready() => {}
                () = done.notified() => is_done = true,
            }
        }
    }
}

impl Run {
    fn new(mut times: Vec<Duration>, elapsed: Duration) -> Self {
        times.sort_unstable();
        Self {
            messages_per_s: times.len() as f64 / elapsed.as_secs_f64(),
            p50_us: percentile_us(&times, 50.0),
            p99_us: percentile_us(&times, 99.0),
        }
    }
}
