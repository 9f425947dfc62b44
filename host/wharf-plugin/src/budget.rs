//! How many instances and calls there are at once, over all plugins and of each.
//!
//! Two things are bounded, apart from each other. *Calls* are bounded by permits: a plugin's own number, and one
//! place each, either the plugin's reserved one or one of the host's shared ones. So a plugin that keeps all of
//! the shared places busy never keeps another one from running, and as no call waits while it holds a place that
//! another needs to end, there is no deadlock. *Instances* are a cache below that: an idle one waits in its pool
//! until it is used again or until another pool's new one pushes the total over the budget, least recently used
//! first. As running calls are bounded by the budget, what is over it is always idle.
//!
//! The drawback: the total may stand above the budget by one instance a plugin, that of the reserved places.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::fault::PluginFault;
use crate::guest_log::lock;
use crate::stats::{Live, Stats};
use crate::turn::Turns;

/// What all pools of a host share.
pub(crate) struct Budget {
    shared: Semaphore,
    instances_max: usize,
    alive_count: AtomicUsize,
    pools: Mutex<Vec<Weak<dyn Evict>>>,
    pub(crate) turns: Turns,
}

impl Budget {
    pub(crate) fn new(instances_max: usize) -> Budget {
        let instances_max = instances_max.clamp(1, Semaphore::MAX_PERMITS);
        Budget {
            shared: Semaphore::new(instances_max),
            instances_max,
            alive_count: AtomicUsize::new(0),
            pools: Mutex::new(Vec::new()),
            turns: Turns::new(),
        }
    }

    /// Instances alive, idle ones included.
    pub(crate) fn alive_count(&self) -> usize {
        self.alive_count.load(Ordering::Relaxed)
    }

    pub(crate) fn register(&self, pool: Weak<dyn Evict>) {
        let mut pools = lock(&self.pools);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Counts one more instance, and drops the idle one that was longest unused where that is one too many.
    pub(crate) fn make_room(self: &Arc<Self>, stats: &Arc<Stats>) -> Alive {
        let alive = Alive {
            budget: Arc::clone(self),
            _live: stats.live(),
        };
        if self.alive_count.fetch_add(1, Ordering::Relaxed) >= self.instances_max {
            let pools: Vec<_> = lock(&self.pools).iter().filter_map(Weak::upgrade).collect();
            let oldest = pools
                .iter()
                .filter_map(|pool| Some((pool.idle_since()?, pool)));
            if let Some((_, pool)) = oldest.min_by_key(|(since, _)| *since) {
                pool.evict_oldest();
            }
        }
        alive
    }
}

/// Counts one instance for as long as it lives.
pub(crate) struct Alive {
    budget: Arc<Budget>,
    _live: Live,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.budget.alive_count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pool that the budget can take an instance from, whatever hook it serves.
pub(crate) trait Evict: Send + Sync {
    fn idle_since(&self) -> Option<Instant>;
    fn evict_oldest(&self);
}

/// How many calls of one plugin run at once, over all of its bindings.
pub(crate) struct Slots {
    calls: Semaphore,
    calls_max: usize,
    reserved: Semaphore,
}

/// The right to run one call.
pub(crate) struct Permits<'a> {
    _call: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

impl Slots {
    pub(crate) fn new(calls_max: usize) -> Slots {
        let calls_max = calls_max.clamp(1, Semaphore::MAX_PERMITS);
        Slots {
            calls: Semaphore::new(calls_max),
            calls_max,
            reserved: Semaphore::new(1),
        }
    }

    /// Waits for the right to run a call, for as long as `patience` lasts.
    pub(crate) async fn admit<'a>(
        &'a self,
        budget: &'a Budget,
        plugin: &str,
        patience: Duration,
    ) -> Result<Permits<'a>, PluginFault> {
        if let Some(permits) = self.try_admit(budget) {
            return Ok(permits);
        }
        timeout(patience, self.wait(budget)).await.map_err(|_| {
            // Where the plugin's own places are all taken, they are what the call waited for.
            let (key, limit) = match self.calls.available_permits() {
                0 => (format!("plugins.{plugin}.instances-max"), self.calls_max),
                _ => ("plugins.instances-max".to_owned(), budget.instances_max),
            };
            PluginFault::Instances {
                waited: patience,
                key,
                limit,
            }
        })
    }

    fn try_admit<'a>(&'a self, budget: &'a Budget) -> Option<Permits<'a>> {
        let call = self.calls.try_acquire().ok()?;
        let place = self.reserved.try_acquire();
        let place = place.or_else(|_| budget.shared.try_acquire()).ok()?;
        Some(Permits {
            _call: call,
            _place: place,
        })
    }

    async fn wait<'a>(&'a self, budget: &'a Budget) -> Permits<'a> {
        const OPEN: &str = "the semaphores of a pool are never closed";
        let call = self.calls.acquire().await.expect(OPEN);
        let place = tokio::select! {
            place = self.reserved.acquire() => place,
            place = budget.shared.acquire() => place,
        };
        Permits {
            _call: call,
            _place: place.expect(OPEN),
        }
    }
}
