//! One instance of a component: a store with everything that bounds it, and the calls it has served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;

use crate::bindings::Guest;
use crate::fault::{PluginFault, classify};
use crate::guest_log::{About, GuestLog, LogStream, Sink, Stream};
use crate::limits;
use crate::turn::{Turn, Turns};

/// What bounds the instances of one plugin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) output_bytes: u64,
    pub(crate) calls_max: u64,
}

/// What all instances of one binding have in common.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) limits: Limits,
    pub(crate) turns: Turns,
    pub(crate) settings: Arc<WasiConfigVariables>,
    pub(crate) sink: Arc<Sink>,
}

/// The host's side of one instance.
pub(crate) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    memory: Memory,
    settings: Arc<WasiConfigVariables>,
    log: GuestLog,
    limits: Limits,
    deadline: Instant,
    turn: Turn,
}

impl State {
    fn new(template: &Template) -> State {
        let log = GuestLog::new(Arc::clone(&template.sink));
        let mut wasi = WasiCtx::builder();
        wasi.stdout(LogStream::new(log.clone(), Stream::Stdout))
            .stderr(LogStream::new(log.clone(), Stream::Stderr))
            .max_random_size(limits::RANDOM_BYTES_MAX)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES_MAX);
        State {
            wasi: wasi.build(),
            table,
            memory: Memory {
                bytes: 0,
                bytes_max: template.limits.memory_bytes,
                refused: false,
            },
            settings: Arc::clone(&template.settings),
            log,
            limits: template.limits,
            deadline: Instant::now(),
            turn: Turn::new(template.turns.clone()),
        }
    }

    pub(crate) fn settings(&self) -> &WasiConfigVariables {
        &self.settings
    }

    pub(crate) fn guest_log(&self) -> &GuestLog {
        &self.log
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn stderr_tail(&self) -> String {
        self.log.stderr_tail()
    }

    /// Whether the guest asked for more memory than it may have during this call.
    pub(crate) fn memory_was_refused(&self) -> bool {
        self.memory.refused
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Bounds the sum of all linear memories, and remembers a refusal: what the guest does next is usually a trap.
struct Memory {
    bytes: u64,
    bytes_max: u64,
    refused: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes + (desired.saturating_sub(current)) as u64;
        if bytes > self.bytes_max || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= limits::TABLE_ELEMENTS_MAX)
    }
}

/// A component instance in a store of its own. After a trap, an interrupt or a dropped call the store can never be
/// entered again, so whoever runs a call holds the instance and lets go of it only after a clean return.
pub(crate) struct Instance<G> {
    store: Store<State>,
    guest: G,
    calls_count: u64,
}

impl<G: Guest> Instance<G> {
    /// Makes an instance under its limits. Start code of the guest runs here.
    pub(crate) async fn make(
        engine: &Engine,
        pre: &G::Pre,
        template: &Template,
    ) -> Result<Instance<G>, PluginFault> {
        let mut store = Store::new(engine, State::new(template));
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(template.limits.output_bytes as usize);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            Ok(if Instant::now() < state.deadline {
                UpdateDeadline::YieldCustom(1, Box::pin(state.turn.next()))
            } else {
                UpdateDeadline::Interrupt
            })
        });
        let deadline = arm(&mut store, About::Events(0));
        match timeout_at(deadline, G::instantiate(pre, &mut store)).await {
            Ok(Ok(guest)) => {
                store.data_mut().turn.reset();
                Ok(Instance {
                    store,
                    guest,
                    calls_count: 0,
                })
            }
            Ok(Err(error)) => Err(classify(&error, store.data())),
            Err(_) => Err(PluginFault::Timeout {
                limit: template.limits.timeout,
                detail: None,
            }),
        }
    }

    /// Sets the deadline of the next call and gives what it needs.
    pub(crate) fn enter(
        &mut self,
        about: About<'_>,
    ) -> (&mut Store<State>, &G, tokio::time::Instant) {
        self.calls_count += 1;
        let deadline = arm(&mut self.store, about);
        (&mut self.store, &self.guest, deadline)
    }

    /// Ends a call that returned cleanly, and says whether the instance is good for another one.
    pub(crate) fn leave(&mut self) -> bool {
        let state = self.store.data_mut();
        state.turn.reset();
        state.log.end();
        let soft_bytes = state.limits.memory_bytes / 100 * limits::MEMORY_SOFT_PERCENT;
        self.calls_count < state.limits.calls_max && state.memory.bytes <= soft_bytes
    }

    /// The fault behind an error of the call that was running.
    pub(crate) fn fault(&self, error: &wasmtime::Error) -> PluginFault {
        let state = self.store.data();
        let fault = classify(error, state);
        state.log.end();
        fault
    }

    /// The fault of a call that was still running at its deadline.
    pub(crate) fn overdue(&self) -> PluginFault {
        let state = self.store.data();
        state.log.end();
        let stderr = state.stderr_tail();
        let detail = (!stderr.is_empty()).then(|| format!("stderr: {stderr}"));
        PluginFault::Timeout {
            limit: state.limits.timeout,
            detail,
        }
    }
}

/// Starts the clock of one call. The epoch deadline is due at the next tick, where the guest yields if it has time
/// left; without it the guest would trap at once.
fn arm(store: &mut Store<State>, about: About<'_>) -> tokio::time::Instant {
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    state.memory.refused = false;
    state.turn.reset();
    state.log.begin(about);
    state.deadline = Instant::now() + state.limits.timeout;
    state.deadline.into()
}
