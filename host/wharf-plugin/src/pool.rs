//! Pools of instances, one a binding, under one [`budget`](crate::budget).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::error::Elapsed;
use wasmtime::Store;
use wasmtime_wasi_config::WasiConfigVariables;

use crate::bindings::Guest;
use crate::budget::{Alive, Evict, Permits};
use crate::fault::PluginFault;
use crate::guest_log::{About, Sink, lock};
use crate::hook::{Binding, Hook};
use crate::instance::{Instance, Watch};
use crate::plugin::Plugin;
use crate::state::{State, Template};

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
    hook: Hook,
    pre: G::Pre,
    template: Template,
    /// Oldest first; taken from the end, so that a quiet pool keeps using one warm instance.
    idle: Mutex<Vec<Idle<G>>>,
}

impl<G: Guest> Pool<G> {
    /// `timeout` takes the place of the plugin's own for what a call may take; the plugin's then bounds what it
    /// computes.
    pub(crate) fn new(
        plugin: Plugin,
        hook: Hook,
        pre: G::Pre,
        binding: Binding,
        timeout: Option<Duration>,
    ) -> Arc<Pool<G>> {
        let mut limits = plugin.limits();
        if let Some(timeout) = timeout {
            limits.computing = Some(limits.timeout);
            limits.timeout = timeout;
        }
        let template = Template {
            limits,
            turns: plugin.budget().turns.clone(),
            sink: Arc::new(Sink::new(
                plugin.shared_name(),
                binding.name,
                plugin.grants().log_lines_per_second,
                Arc::clone(plugin.counters()),
            )),
            settings: Arc::new(WasiConfigVariables::from_iter(binding.settings)),
            powers: Arc::clone(plugin.powers()),
        };
        let pool = Arc::new(Pool {
            plugin,
            hook,
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
        let lease = self.try_lease().await;
        if let Err(fault) = &lease {
            self.plugin.counters().fault(fault);
        }
        lease
    }

    async fn try_lease(&self) -> Result<Lease<'_, G>, PluginFault> {
        let (plugin, patience) = (&self.plugin, self.template.limits.timeout);
        let permits = plugin
            .slots()
            .admit(plugin.budget(), plugin.name(), patience)
            .await?;
        let idle = lock(&self.idle).pop();
        let pooled = match idle {
            Some(idle) => idle.pooled,
            None => {
                let alive = plugin.budget().make_room(plugin.counters());
                let instance = Instance::make(plugin.engine(), &self.pre, &self.template).await?;
                Pooled {
                    instance,
                    _alive: alive,
                }
            }
        };
        Ok(Lease {
            pooled: Some(pooled),
            pool: self,
            entered_at: Instant::now(),
            _permits: permits,
        })
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
    entered_at: Instant,
    _permits: Permits<'a>,
}

const HELD: &str = "a lease has its instance until it is settled";

impl<G: Guest> Lease<'_, G> {
    /// Starts the clocks and gives what the call needs.
    pub(crate) fn enter(&mut self, about: About<'_>) -> (&mut Store<State>, &G, Watch) {
        self.entered_at = Instant::now();
        let pooled = self.pooled.as_mut().expect(HELD);
        pooled.instance.enter(about, self.entered_at)
    }

    /// What became of HTTP calls that the guest made in the call that ran, one sentence each.
    pub(crate) fn http_failures(&self) -> Vec<String> {
        let pooled = self.pooled.as_ref().expect(HELD);
        pooled.instance.http_failures()
    }

    /// Ends the call: the answer, or why there is none.
    pub(crate) fn settle<R>(
        mut self,
        answer: Result<wasmtime::Result<R>, Elapsed>,
    ) -> Result<R, PluginFault> {
        let mut pooled = self.pooled.take().expect(HELD);
        let now = Instant::now();
        let counters = self.pool.plugin.counters();
        counters.call(self.pool.hook, now.duration_since(self.entered_at));
        let fault = match answer {
            Ok(Ok(answer)) => {
                if pooled.instance.leave() {
                    lock(&self.pool.idle).push(Idle { pooled, since: now });
                } else {
                    counters.retired();
                }
                return Ok(answer);
            }
            Ok(Err(error)) => pooled.instance.fault(&error),
            Err(_) => pooled.instance.overdue(),
        };
        // A refused HTTP call was counted when it was refused: the guest might have survived it.
        if !matches!(fault, PluginFault::HttpCalls { .. }) {
            counters.fault(&fault);
        }
        Err(fault)
    }
}
