//! Asking a router plugin where a message goes.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use wharf_core::journal::{Attempt, HookRun};
use wharf_core::route::{Mode, Planned, Route, Table};
use wharf_core::{Cause, ChannelName, Message, limits};
use wharf_plugin::types::{RoutedMessage, RouterDecision, RouterMode};
use wharf_plugin::{PluginFault, Wire};
use wharf_store::Unrouted;

use super::Plan;
use crate::clock;
use crate::config::Channel;
use crate::dispatch::cut;
use crate::limits::FAILOVER_AFTER_MAX;

/// The attribute that says where a message goes, where its channel lets it.
const ENDPOINT_ATTRIBUTE: &str = "endpoint";

/// A router that is bound to a version of its plugin.
#[derive(Clone)]
pub(crate) struct BoundRouter(pub(crate) wharf_plugin::Router);

/// The router of the configuration.
pub(crate) struct Router {
    /// Its plugin's name. Deliveries have it for their route.
    name: Arc<str>,
    bound: watch::Receiver<Option<BoundRouter>>,
    /// What it can name.
    channels: BTreeSet<ChannelName>,
    /// Where guest code runs: on a thread of the API it would hold up whoever else is served there.
    runtime: Handle,
}

/// Why there is no plan.
struct Refusal {
    cause: Cause,
    code: String,
    reason: String,
}

impl Router {
    pub(crate) fn new(
        plugin: &str,
        bound: watch::Receiver<Option<BoundRouter>>,
        channels: &[Channel],
        runtime: Handle,
    ) -> Self {
        Self {
            name: plugin.into(),
            bound,
            channels: channels
                .iter()
                .map(|channel| channel.name.clone())
                .collect(),
            runtime,
        }
    }

    pub(super) async fn plan(&self, message: &Message) -> Plan {
        let bound = self.bound.borrow().clone();
        let Some(BoundRouter(hook)) = bound else {
            let reason = format!(
                "the router {:?} cannot be asked; `wharf plugin list` says why",
                self.name
            );
            return self.unrouted(message, Refusal::failed("router-unavailable", reason), None);
        };
        let digest = digest(&hook);
        let began = Instant::now();
        let asked = routed(message);
        let answer = self.runtime.spawn(async move { hook.route(&asked).await });
        let decided = match answer.await {
            Ok(Ok(Ok(decision))) => self.planned(message, decision),
            Ok(Ok(Err(reason))) => Err(Refusal::failed("router-error", reason)),
            Ok(Err(fault)) => Err(self.fault(message, &fault)),
            Err(_panicked) => Err(Refusal::failed(
                "host-panicked",
                "the host panicked while it asked the router, which is a bug; its log says where",
            )),
        };
        match decided {
            Ok(planned) => Plan {
                planned,
                unrouted: None,
            },
            Err(refusal) => self.unrouted(message, refusal, Some((digest, began.elapsed()))),
        }
    }

    /// The deliveries of a decision: those that a route of its channels would make.
    fn planned(
        &self,
        message: &Message,
        decision: RouterDecision,
    ) -> Result<Vec<Planned>, Refusal> {
        let wrong = |what: String| Refusal::failed("router-decision", what);
        let mode = match decision.mode {
            RouterMode::FanOut => Mode::FanOut,
            RouterMode::Failover => {
                let after = decision.failover_after.unwrap_or(1);
                let after = NonZeroU32::new(after).filter(|n| n.get() <= FAILOVER_AFTER_MAX);
                Mode::Failover(after.ok_or_else(|| {
                    wrong(format!(
                        "its failover-after is outside of 1 to {FAILOVER_AFTER_MAX}"
                    ))
                })?)
            }
        };
        let mut channels = Vec::new();
        for name in decision.channels {
            let channel = ChannelName::new(&name);
            if !self.channels.contains(&channel) {
                return Err(wrong(format!(
                    "it names a channel that is not configured: {name:?}"
                )));
            }
            if channels.contains(&channel) {
                return Err(wrong(format!("it names channel {name:?} twice")));
            }
            channels.push(channel);
        }
        if channels.is_empty() {
            return Err(Refusal {
                cause: Cause::NoRoute,
                code: "router-none".to_owned(),
                reason: "the router named no channel".to_owned(),
            });
        }
        let table = Table {
            routes: vec![Route {
                name: Arc::clone(&self.name),
                conditions: Vec::new(),
                channels,
                mode,
                stop: false,
                is_catch_all: false,
            }],
        };
        Ok(table.plan(message))
    }

    fn fault(&self, message: &Message, fault: &PluginFault) -> Refusal {
        // Its detail can hold what the guest printed, so it goes here and not to the journal.
        tracing::warn!(
            message_id = %message.id,
            plugin = &*self.name,
            fault = fault.kind().as_str(),
            error = fault as &dyn std::error::Error,
            detail = fault.detail(),
            "a plugin faulted"
        );
        Refusal::failed(
            &format!("plugin-{}", fault.kind()),
            format!("plugin {}: {fault}", self.name),
        )
    }

    fn unrouted(
        &self,
        message: &Message,
        refusal: Refusal,
        ran: Option<([u8; 32], Duration)>,
    ) -> Plan {
        let Refusal {
            cause,
            code,
            reason,
        } = refusal;
        tracing::warn!(message_id = %message.id, plugin = &*self.name, code, reason, "the router sends a message nowhere");
        let hooks = ran.map(|(digest, took)| HookRun {
            hook: format!("router {}", self.name).into(),
            digest,
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        });
        let facts = Attempt {
            started_at: clock::now(),
            duration_us: hooks.as_ref().map_or(0, |run| run.duration_us),
            hooks: hooks.into_iter().collect(),
            code: Some(code),
            reason: Some(cut(reason, limits::REASON_BYTES_MAX)),
            ..Attempt::default()
        };
        Plan {
            planned: Vec::new(),
            unrouted: Some(Box::new(Unrouted { cause, facts })),
        }
    }
}

impl Refusal {
    fn failed(code: &str, reason: impl Into<String>) -> Self {
        Self {
            cause: Cause::RouterFailed,
            code: code.to_owned(),
            reason: reason.into(),
        }
    }
}

fn digest(hook: &wharf_plugin::Router) -> [u8; 32] {
    let mut digest = [0; 32];
    hex::decode_to_slice(hook.plugin().digest(), &mut digest)
        .expect("a plugin's digest is a SHA-256 in hex");
    digest
}

fn routed(message: &Message) -> RoutedMessage {
    RoutedMessage {
        message_id: message.id.to_string(),
        attributes: message.attributes.clone(),
        ordering_key: message.ordering_key.clone(),
        content: Wire {
            endpoint: message.attribute(ENDPOINT_ATTRIBUTE).map(str::to_owned),
            headers: message.headers.clone(),
            body: message.payload.to_vec(),
        },
    }
}
