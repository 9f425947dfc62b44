//! The hooks, each bound to one configuration: what the host calls.

mod annotator;
mod channel;
mod converter;
mod enricher;
mod post_event;
mod receiver;
mod request_channel;
mod router;

use std::fmt;

pub use annotator::Annotator;
pub use channel::Channel;
pub use converter::Converter;
pub use enricher::Enricher;
pub use post_event::PostEvent;
pub use receiver::Receiver;
pub use request_channel::RequestChannel;
pub use router::Router;

use crate::bindings::types::Outcome;
use crate::fault::PluginFault;

/// A hook of the contract: an interface that a plugin may export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Adds what it knows to a message.
    Enricher,
    /// Turns a message into what goes on the wire.
    Converter,
    /// Says which request to make and what the answer means.
    RequestChannel,
    /// Delivers through what it was granted.
    Channel,
    /// Notes what is to be found of an attempt.
    Annotator,
    /// Is told of stored transitions.
    PostEvent,
    /// Decides where messages go.
    Router,
    /// Reads what partners report.
    Receiver,
}

impl Hook {
    /// Every hook that this host knows.
    pub const ALL: [Hook; 8] = [
        Hook::Enricher,
        Hook::Converter,
        Hook::RequestChannel,
        Hook::Channel,
        Hook::Annotator,
        Hook::PostEvent,
        Hook::Router,
        Hook::Receiver,
    ];

    /// The interface's name in `wit/`.
    pub fn name(self) -> &'static str {
        match self {
            Hook::Enricher => "enricher",
            Hook::Converter => "converter",
            Hook::RequestChannel => "request-channel",
            Hook::Channel => "channel",
            Hook::Annotator => "annotator",
            Hook::PostEvent => "post-event",
            Hook::Router => "router",
            Hook::Receiver => "receiver",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Hook> {
        Hook::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What every bound hook is: a pool of instances, and the plugin behind it.
macro_rules! bound {
    ($(#[$doc:meta])* $hook:ident, $guest:ty) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $hook {
            pool: std::sync::Arc<crate::pool::Pool<$guest>>,
        }

        impl $hook {
            pub(crate) fn new(pool: std::sync::Arc<crate::pool::Pool<$guest>>) -> $hook {
                $hook { pool }
            }

            /// The name of the plugin behind it.
            pub fn plugin_name(&self) -> &str {
                self.pool.plugin().name()
            }

            /// The plugin behind it.
            pub fn plugin(&self) -> &crate::Plugin {
                self.pool.plugin()
            }
        }
    };
}
use bound;

/// What an outcome holds that the host has to keep, within its bounds.
fn check_token(outcome: &Outcome) -> Result<(), PluginFault> {
    let limit = wharf_core::limits::TOKEN_BYTES_MAX;
    match outcome {
        Outcome::Provisional((_, waiting)) | Outcome::Pending(waiting)
            if waiting.token.len() > limit =>
        {
            Err(PluginFault::Token {
                bytes: waiting.token.len() as u64,
                limit_bytes: limit as u64,
            })
        }
        _ => Ok(()),
    }
}

/// One use of one hook with one configuration. Instances never serve two of them.
#[derive(Clone, Default)]
pub struct Binding {
    /// What it is used for, for the log: such as `channel partner-a`.
    pub name: String,
    /// What the guest finds in `wasi:config/store`. Of equal keys the last one counts.
    pub settings: Vec<(String, String)>,
}

/// Settings can be secrets: only their keys are shown.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.settings.iter().map(|(key, _)| key).collect();
        f.debug_struct("Binding")
            .field("name", &self.name)
            .field("settings", &keys)
            .finish()
    }
}

/// The plugin does not implement the hook that it was to be bound to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}` has no hook `{hook}`; it has {}", list(.exports))]
pub struct BindError {
    /// The plugin's name.
    pub plugin: String,
    /// What was asked for.
    pub hook: Hook,
    /// What it implements.
    pub exports: Vec<Hook>,
}

fn list(hooks: &[Hook]) -> String {
    hooks
        .iter()
        .map(|hook| format!("`{hook}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
