//! Turns of the processor for calls that compute for long.
//!
//! A hook normally runs for microseconds. One that is still running after a few ticks of the epoch takes turns from
//! then on with the others like it: few of them run at once, one tick each, first come first served. So plugins that
//! spin, or just compute a lot, leave the rest of the processors to everything else, however many of them there are.
//! And where there is other work, which shows in how long it takes to be called again after yielding, a turn begins
//! with a pause of a multiple of that: a busy host gives them less, an idle one all they can use.
//!
//! A call that waits in a host function has no use for its turn and gives it up: a channel may wait for a receiver, and
//! any guest for a clock, for as long as its time limit lets it.
//!
//! The drawback: what waits for its turn is charged to the call's time limit.

use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::guest_log::lock;

/// Ticks that a call may see before it takes turns: ten milliseconds of a worker, more than any hook takes that only
/// converts a message.
const TICKS_FREE: u32 = 5;

/// How much longer a turn waits than it took to be called again after yielding.
const POLITENESS: u32 = 4;

/// The longest pause before a turn, which leaves even a very busy host's guests some progress: a tick in ten.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// Pauses below what timers can tell are left out.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// The turns of a host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// One turn at a time on one or two processors, and one fewer than there are on more.
    pub(crate) fn new() -> Turns {
        let processors = available_parallelism().map_or(1, usize::from);
        Turns(Arc::new(Semaphore::new(
            processors.saturating_sub(1).max(1),
        )))
    }
}

/// One instance's part in the turns.
pub(crate) struct Turn {
    turns: Turns,
    ticks: u32,
    place: Place,
}

/// Where a call stands: shared with the future that waits for its turn, and with the one that runs the call.
#[derive(Clone, Default)]
pub(crate) struct Place(Arc<Mutex<Standing>>);

#[derive(Default)]
struct Standing {
    /// There while it has the turn.
    held: Option<OwnedSemaphorePermit>,
    /// Whether it yields or waits for its turn.
    is_queued: bool,
}

impl Place {
    /// The call's future is not ready: the call yields, or waits in a host function.
    pub(crate) fn rest(&self) {
        let mut standing = lock(&self.0);
        if !standing.is_queued {
            standing.held = None;
        }
    }
}

impl Turn {
    pub(crate) fn new(turns: Turns) -> Turn {
        Turn {
            turns,
            ticks: 0,
            place: Place::default(),
        }
    }

    /// What the future that runs the call needs of it.
    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }

    /// A call begins or ends.
    pub(crate) fn reset(&mut self) {
        self.ticks = 0;
        *lock(&self.place.0) = Standing::default();
    }

    /// The epoch has risen while the call was running: gives up the turn, and waits for the next one if the call
    /// takes turns.
    pub(crate) fn next(&mut self) -> impl Future<Output = ()> + Send + 'static {
        *lock(&self.place.0) = Standing {
            held: None,
            is_queued: true,
        };
        self.ticks += 1;
        let takes_turns = self.ticks > TICKS_FREE;
        let (turns, place) = (self.turns.clone(), self.place());
        async move {
            // Through tokio also without turns, so that its timers and its other tasks run.
            let yielded_at = Instant::now();
            tokio::task::yield_now().await;
            if takes_turns {
                let pause = (yielded_at.elapsed() * POLITENESS).min(PAUSE_MAX);
                // The semaphore is never closed.
                let held = turns.0.acquire_owned().await.ok();
                lock(&place.0).held = held;
                if pause >= PAUSE_MIN {
                    tokio::time::sleep(pause).await;
                }
            }
            lock(&place.0).is_queued = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;

    fn waits(future: &mut Pin<Box<impl Future<Output = ()>>>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        future.as_mut().poll(&mut context).is_pending()
    }

    /// Calls that see few ticks never wait; of those that go on, as many run as there are turns, in order, and a call
    /// that ends lets the next one in.
    #[tokio::test]
    async fn who_computes_for_long_takes_turns() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let mut calls: Vec<Turn> = (0..3).map(|_| Turn::new(turns.clone())).collect();
        for call in &mut calls {
            for _ in 0..TICKS_FREE {
                call.next().await;
            }
            assert!(lock(&call.place.0).held.is_none());
        }
        let [first, second, third] = calls.as_mut_slice() else {
            unreachable!("there are three")
        };
        let second_place = second.place();
        first.next().await;
        let mut waits_second = Box::pin(second.next());
        let mut waits_third = Box::pin(third.next());
        // Once for the yield, once for the turn.
        for _ in 0..2 {
            assert!(waits(&mut waits_second));
            assert!(waits(&mut waits_third));
        }
        // The first goes on after the others had theirs.
        let mut waits_first = Box::pin(first.next());
        assert!(waits(&mut waits_first));
        waits_second.await;
        assert!(waits(&mut waits_first));
        second.reset();
        waits_third.await;
        assert!(waits(&mut waits_first));
        third.reset();
        waits_first.await;

        // A call that is queued keeps its place; one that waits in a host function lets the next one in.
        for _ in 0..TICKS_FREE {
            second.next().await;
        }
        let mut waits_second = Box::pin(second.next());
        for _ in 0..2 {
            assert!(waits(&mut waits_second));
            second_place.rest();
        }
        first.place().rest();
        waits_second.await;
    }
}
