//! Hands a wire form to the channel's plugin, whichever of the two hooks it has for that.

use std::time::{Duration, Instant};

use bytes::Bytes;
use wharf_core::journal::HookRun;
use wharf_core::{Outcome, Pairs, WireForm};
use wharf_plugin::{Call, RequestChannel, Wire};

use super::channel::Channel;
use super::hook::Bound;
use super::{convert, exchange};

/// What delivers.
pub(super) enum Sender {
    /// Says which requests to make; the host makes them.
    Request(Bound<RequestChannel>),
    /// Does its own I/O.
    Own(Bound<wharf_plugin::Channel>),
}

/// What became of a wire form.
pub(super) struct Sent {
    pub(super) outcome: Outcome,
    /// How long the plugin's calls took; the exchanges that the host made are not part of it.
    pub(super) took: Duration,
    pub(super) wire: SentWire,
}

/// The wire form that was handed over.
pub(super) struct SentWire {
    pub(super) endpoint: Option<String>,
    pub(super) headers: Pairs,
    pub(super) body: Bytes,
}

impl SentWire {
    /// As an annotator is shown it.
    pub(super) fn into_wire(self) -> Wire {
        Wire {
            endpoint: self.endpoint,
            headers: self.headers,
            body: self.body.into(),
        }
    }

    /// As it is stored.
    pub(super) fn into_form(self) -> WireForm {
        WireForm {
            endpoint: self.endpoint,
            headers: self.headers,
            body: self.body.into(),
            begun: None,
        }
    }
}

impl From<Wire> for SentWire {
    fn from(wire: Wire) -> Self {
        Self {
            endpoint: wire.endpoint,
            headers: wire.headers,
            body: wire.body.into(),
        }
    }
}

/// Sends a wire form; gives it back, in case it is to be shown or stored.
pub(super) async fn send(channel: &Channel, call: &Call, wire: Wire) -> Sent {
    match &channel.sender {
        Sender::Request(hook) => exchange::send(channel, hook, call, wire).await,
        Sender::Own(hook) => {
            let began = Instant::now();
            let outcome = match hook.hook.send(call, &wire).await {
                Ok(outcome) => convert::outcome(outcome),
                Err(fault) => convert::plugin_fault(hook.plugin(), call, &fault),
            };
            Sent {
                outcome,
                took: began.elapsed(),
                wire: wire.into(),
            }
        }
    }
}

impl Sender {
    /// The plugin's name.
    pub(super) fn plugin(&self) -> &str {
        match self {
            Sender::Request(hook) => hook.plugin(),
            Sender::Own(hook) => hook.plugin(),
        }
    }

    /// What the journal keeps of its part in an attempt.
    pub(super) fn ran(&self, took: Duration) -> HookRun {
        match self {
            Sender::Request(hook) => hook.ran(took),
            Sender::Own(hook) => hook.ran(took),
        }
    }
}
