//! Pools of instances, one a binding, under one budget.
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
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{error::Elapsed, timeout};
use wasmtime::Store;
use wasmtime_wasi_config::WasiConfigVariables;

use crate::bindings::Guest;
use crate::fault::PluginFault;
use crate::guest_log::{About, Sink, lock};
use crate::hook::Binding;
use crate::instance::{Instance, State, Template};
use crate::plugin::Plugin;
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

    fn register(&self, pool: Weak<dyn Evict>) {
        let mut pools = lock(&self.pools);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Counts one more instance, and drops the idle one that was longest unused where that is one too many.
    fn make_room(self: &Arc<Self>) -> Alive {
        let alive = Alive(Arc::clone(self));
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
struct Alive(Arc<Budget>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive_count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many calls of one plugin run at once, over all of its bindings.
pub(crate) struct Slots {
    calls: Semaphore,
    reserved: Semaphore,
}

impl Slots {
    pub(crate) fn new(calls_max: usize) -> Slots {
        Slots {
            calls: Semaphore::new(calls_max.clamp(1, Semaphore::MAX_PERMITS)),
            reserved: Semaphore::new(1),
        }
    }
}

/// The right to run one call.
struct Permits<'a> {
    _call: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

/// A pool that the budget can take an instance from, whatever hook it serves.
trait Evict: Send + Sync {
    fn idle_since(&self) -> Option<Instant>;
    fn evict_oldest(&self);
}

struct Pooled<G> {
    instance: Instance<G>,
    _alive: Alive,
}

struct Idle<G> {
    pooled: Pooled<G>,
    since: Instant,
}

/// The instances of one binding. They are this binding's only, from their first call to their last.
pub(crate) struct Pool<G: Guest> {
    plugin: Plugin,
    pre: G::Pre,
    template: Template,
    /// Oldest first; taken from the end, so that a quiet pool keeps using one warm instance.
    idle: Mutex<Vec<Idle<G>>>,
}

impl<G: Guest> Pool<G> {
    pub(crate) fn new(plugin: Plugin, pre: G::Pre, binding: Binding) -> Arc<Pool<G>> {
        let template = Template {
            limits: plugin.limits(),
            turns: plugin.budget().turns.clone(),
            sink: Arc::new(Sink::new(plugin.shared_name(), binding.name)),
            settings: Arc::new(WasiConfigVariables::from_iter(binding.settings)),
        };
        let pool = Arc::new(Pool {
            plugin,
            pre,
            template,
            idle: Mutex::new(Vec::new()),
        });
        let evict: Arc<dyn Evict> = pool.clone();
        pool.plugin.budget().register(Arc::downgrade(&evict));
        pool
    }

    pub(crate) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Takes an idle instance or makes one, after waiting for the right to run it. Dropping the lease drops the
    /// instance; [`Lease::settle`] gives it back.
    pub(crate) async fn lease(&self) -> Result<Lease<'_, G>, PluginFault> {
        let permits = match self.try_admit() {
            Some(permits) => permits,
            None => {
                let patience = self.template.limits.timeout;
                timeout(patience, self.admit())
                    .await
                    .map_err(|_| PluginFault::Unavailable {
                        reason: format!("no instance came free within {patience:?}"),
                    })?
            }
        };
        let idle = lock(&self.idle).pop();
        let pooled = match idle {
            Some(idle) => idle.pooled,
            None => {
                let alive = self.plugin.budget().make_room();
                let instance =
                    Instance::make(self.plugin.engine(), &self.pre, &self.template).await?;
                Pooled {
                    instance,
                    _alive: alive,
                }
            }
        };
        Ok(Lease {
            pooled: Some(pooled),
            pool: self,
            _permits: permits,
        })
    }

    fn try_admit(&self) -> Option<Permits<'_>> {
        let slots = self.plugin.slots();
        let call = slots.calls.try_acquire().ok()?;
        let place = slots.reserved.try_acquire();
        let place = place
            .or_else(|_| self.plugin.budget().shared.try_acquire())
            .ok()?;
        Some(Permits {
            _call: call,
            _place: place,
        })
    }

    async fn admit(&self) -> Permits<'_> {
        const OPEN: &str = "the semaphores of a pool are never closed";
        let slots = self.plugin.slots();
        let call = slots.calls.acquire().await.expect(OPEN);
        let place = tokio::select! {
            place = slots.reserved.acquire() => place,
            place = self.plugin.budget().shared.acquire() => place,
        };
        Permits {
            _call: call,
            _place: place.expect(OPEN),
        }
    }
}

impl<G: Guest> Evict for Pool<G> {
    fn idle_since(&self) -> Option<Instant> {
        lock(&self.idle).first().map(|idle| idle.since)
    }

    fn evict_oldest(&self) {
        let oldest = {
            let mut idle = lock(&self.idle);
            (!idle.is_empty()).then(|| idle.remove(0))
        };
        // Unmapping takes microseconds, so it happens outside of the lock.
        drop(oldest);
    }
}

/// An instance that runs one call. Unless the call is settled as clean the instance goes with the lease: also when
/// the caller's future is dropped in the middle.
pub(crate) struct Lease<'a, G: Guest> {
    // Goes before the permits: whoever waits for them then finds it idle, or its place free.
    pooled: Option<Pooled<G>>,
    pool: &'a Pool<G>,
    _permits: Permits<'a>,
}

impl<G: Guest> Lease<'_, G> {
    /// Starts the clock and gives what the call needs.
    pub(crate) fn enter(
        &mut self,
        about: About<'_>,
    ) -> (&mut Store<State>, &G, tokio::time::Instant) {
        let pooled = self
            .pooled
            .as_mut()
            .expect("a lease has its instance until it is settled");
        pooled.instance.enter(about)
    }

    /// Ends the call: the answer, or why there is none.
    pub(crate) fn settle<R>(
        mut self,
        answer: Result<wasmtime::Result<R>, Elapsed>,
    ) -> Result<R, PluginFault> {
        let mut pooled = self.pooled.take().expect("a lease is settled once");
        match answer {
            Ok(Ok(answer)) => {
                if pooled.instance.leave() {
                    let since = Instant::now();
                    lock(&self.pool.idle).push(Idle { pooled, since });
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(pooled.instance.fault(&error)),
            Err(_) => Err(pooled.instance.overdue()),
        }
    }
}
