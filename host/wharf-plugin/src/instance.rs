//! One instance of a component: a store with everything that bounds it, and the calls it has served.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::time::error::Elapsed;
use tokio::time::timeout_at;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::bindings::Guest;
use crate::computing::Computing;
use crate::fault::{PluginFault, classify};
use crate::guest_log::About;
use crate::limits;
use crate::state::{State, Template};
use crate::turn::Place;

/// A component instance in a store of its own. After a trap, an interrupt or a dropped call the store can never be
/// entered again, so whoever runs a call holds the instance and lets go of it only after a clean return.
pub(crate) struct Instance<G> {
    store: Store<State>,
    guest: G,
    calls_count: u64,
}

/// What watches a call while it runs.
pub(crate) struct Watch {
    deadline: tokio::time::Instant,
    computing: Option<Arc<Computing>>,
    place: Place,
}

impl Watch {
    /// Runs a call until it returns or its time is over.
    pub(crate) async fn run<F: Future>(self, call: F) -> Result<F::Output, Elapsed> {
        let mut call = pin!(call);
        let watched = poll_fn(|context| {
            if let Some(computing) = &self.computing {
                computing.start();
            }
            let polled = call.as_mut().poll(context);
            if let Some(computing) = &self.computing {
                computing.stop();
            }
            if polled.is_pending() {
                self.place.rest();
            }
            polled
        });
        timeout_at(self.deadline, watched).await
    }
}

impl<G: Guest> Instance<G> {
    /// Makes an instance under its limits. Start code of the guest runs here.
    pub(crate) async fn make(
        engine: &Engine,
        pre: &G::Pre,
        template: &Template,
    ) -> Result<Instance<G>, PluginFault> {
        let mut store = Store::new(engine, State::new(template)?);
        store.limiter(|state| &mut state.memory);
        store
            .set_hostcall_fuel(usize::try_from(template.limits.output_bytes).unwrap_or(usize::MAX));
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            Ok(if state.has_time() {
                UpdateDeadline::YieldCustom(1, Box::pin(state.turn.next()))
            } else {
                UpdateDeadline::Interrupt
            })
        });
        let watch = arm(&mut store, About::Events(0), Instant::now());
        match watch.run(G::instantiate(pre, &mut store)).await {
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

    /// Starts the clocks of the next call and gives what it needs.
    pub(crate) fn enter(
        &mut self,
        about: About<'_>,
        now: Instant,
    ) -> (&mut Store<State>, &G, Watch) {
        self.calls_count += 1;
        let watch = arm(&mut self.store, about, now);
        (&mut self.store, &self.guest, watch)
    }

    /// Ends a call that returned cleanly, and says whether the instance is good for another one.
    pub(crate) fn leave(&mut self) -> bool {
        let state = self.store.data_mut();
        state.turn.reset();
        state.guest_log().end();
        let soft_bytes = state.limits().memory_bytes / 100 * limits::MEMORY_SOFT_PERCENT;
        self.calls_count < state.limits().calls_max && state.memory.bytes() <= soft_bytes
    }

    /// The fault behind an error of the call that was running.
    pub(crate) fn fault(&self, error: &wasmtime::Error) -> PluginFault {
        let state = self.store.data();
        let fault = classify(error, state);
        state.guest_log().end();
        fault
    }

    /// The fault of a call that was still running at its deadline.
    pub(crate) fn overdue(&self) -> PluginFault {
        let state = self.store.data();
        state.guest_log().end();
        let stderr = state.guest_log().stderr_tail();
        let detail = (!stderr.is_empty()).then(|| format!("stderr: {stderr}"));
        PluginFault::Timeout {
            limit: state.limits().timeout,
            detail,
        }
    }

    /// What became of HTTP calls that the guest made in the call that ran, one sentence each.
    pub(crate) fn http_failures(&self) -> Vec<String> {
        self.store.data().outgoing().failures()
    }
}

/// Starts the clocks of one call. The epoch deadline is due at the next tick, where the guest yields if it has time
/// left; without it the guest would trap at once.
fn arm(store: &mut Store<State>, about: About<'_>, now: Instant) -> Watch {
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    state.begin(about, now);
    Watch {
        deadline: state.deadline().into(),
        computing: state.computing(),
        place: state.turn.place(),
    }
}
