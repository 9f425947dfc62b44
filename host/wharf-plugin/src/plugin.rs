//! One loaded plugin.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Engine;

use crate::bindings::Guest;
use crate::bindings::types::Description;
use crate::bindings::{
    annotator, channel, converter, enricher, post_event, receiver, request_channel, router,
};
use crate::budget::{Budget, Slots};
use crate::grants::Grants;
use crate::hook::{
    Annotator, BindError, Binding, Channel, Converter, Enricher, Hook, PostEvent, Receiver,
    RequestChannel, Router,
};
use crate::pool::Pool;
use crate::problem::Findings;
use crate::state::{Limits, Powers, State};
use crate::stats::{PluginStats, Stats};

/// What is known of a loaded plugin.
#[derive(Clone, Debug)]
pub struct PluginInfo {
    /// The file's stem: what the configuration calls it.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The SHA-256 of the file, in hex.
    pub digest: String,
    /// The size of the file.
    pub size_bytes: u64,
    /// The hooks it implements.
    pub hooks: Vec<Hook>,
    /// Every import of the component, by its full name.
    pub imports: Vec<String>,
    /// What it says about itself.
    pub description: Option<Description>,
    /// Whether its machine code came from the compile cache.
    pub from_cache: bool,
}

/// A loaded plugin. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) info: PluginInfo,
    pub(crate) shared_name: Arc<str>,
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
    pub(crate) powers: Arc<Powers>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) exports: Exports,
    pub(crate) engine: Engine,
    pub(crate) budget: Arc<Budget>,
    pub(crate) slots: Slots,
}

/// The hooks of a component, looked up and checked against the contract.
#[derive(Default)]
pub(crate) struct Exports {
    pub(crate) enricher: Option<enricher::EnricherOnlyPre<State>>,
    pub(crate) converter: Option<converter::ConverterOnlyPre<State>>,
    pub(crate) request_channel: Option<request_channel::RequestChannelOnlyPre<State>>,
    pub(crate) channel: Option<channel::ChannelOnlyPre<State>>,
    pub(crate) annotator: Option<annotator::AnnotatorOnlyPre<State>>,
    pub(crate) post_event: Option<post_event::PostEventOnlyPre<State>>,
    pub(crate) router: Option<router::RouterOnlyPre<State>>,
    pub(crate) receiver: Option<receiver::ReceiverOnlyPre<State>>,
}

impl Plugin {
    pub(crate) fn new(inner: Inner) -> Plugin {
        Plugin(Arc::new(inner))
    }

    /// Its name: the file's stem.
    pub fn name(&self) -> &str {
        &self.0.info.name
    }

    /// The SHA-256 of the file, in hex.
    pub fn digest(&self) -> &str {
        &self.0.info.digest
    }

    /// The hooks it implements.
    pub fn hooks(&self) -> &[Hook] {
        &self.0.info.hooks
    }

    /// What it may use and reach.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// All that is known of it.
    pub fn info(&self) -> &PluginInfo {
        &self.0.info
    }

    /// What loading it found out, as a file that was refused has it too.
    pub fn findings(&self) -> Findings {
        let info = self.info();
        Findings {
            file: Some((info.digest.clone(), info.size_bytes)),
            hooks: info.hooks.clone(),
            imports: info.imports.clone(),
        }
    }

    /// Binds its `enricher` to one configuration, with a pool of its own.
    pub fn bind_enricher(&self, binding: Binding) -> Result<Enricher, BindError> {
        let pre = self.export(&self.0.exports.enricher, Hook::Enricher)?;
        Ok(Enricher::new(self.pool(Hook::Enricher, pre, binding, None)))
    }

    /// Binds its `converter` to one configuration, with a pool of its own.
    pub fn bind_converter(&self, binding: Binding) -> Result<Converter, BindError> {
        let pre = self.export(&self.0.exports.converter, Hook::Converter)?;
        Ok(Converter::new(self.pool(
            Hook::Converter,
            pre,
            binding,
            None,
        )))
    }

    /// Binds its `request-channel` to one configuration, with a pool of its own.
    pub fn bind_request_channel(&self, binding: Binding) -> Result<RequestChannel, BindError> {
        let pre = self.export(&self.0.exports.request_channel, Hook::RequestChannel)?;
        Ok(RequestChannel::new(self.pool(
            Hook::RequestChannel,
            pre,
            binding,
            None,
        )))
    }

    /// Binds its `channel` to one configuration, with a pool of its own. A call may take `timeout`, waiting included;
    /// the plugin's own time-out bounds how much of that it computes.
    pub fn bind_channel(&self, binding: Binding, timeout: Duration) -> Result<Channel, BindError> {
        let pre = self.export(&self.0.exports.channel, Hook::Channel)?;
        Ok(Channel::new(self.pool(
            Hook::Channel,
            pre,
            binding,
            Some(timeout),
        )))
    }

    /// Binds its `annotator` to one configuration, with a pool of its own.
    pub fn bind_annotator(&self, binding: Binding) -> Result<Annotator, BindError> {
        let pre = self.export(&self.0.exports.annotator, Hook::Annotator)?;
        Ok(Annotator::new(self.pool(
            Hook::Annotator,
            pre,
            binding,
            None,
        )))
    }

    /// Binds its `post-event` to one configuration, with a pool of its own.
    pub fn bind_post_event(&self, binding: Binding) -> Result<PostEvent, BindError> {
        let pre = self.export(&self.0.exports.post_event, Hook::PostEvent)?;
        Ok(PostEvent::new(self.pool(
            Hook::PostEvent,
            pre,
            binding,
            None,
        )))
    }

    /// Binds its `router` to one configuration, with a pool of its own.
    pub fn bind_router(&self, binding: Binding) -> Result<Router, BindError> {
        let pre = self.export(&self.0.exports.router, Hook::Router)?;
        Ok(Router::new(self.pool(Hook::Router, pre, binding, None)))
    }

    /// Binds its `receiver` to one configuration, with a pool of its own.
    pub fn bind_receiver(&self, binding: Binding) -> Result<Receiver, BindError> {
        let pre = self.export(&self.0.exports.receiver, Hook::Receiver)?;
        Ok(Receiver::new(self.pool(Hook::Receiver, pre, binding, None)))
    }

    /// What was counted of it, and of the files of its name before it.
    pub fn stats(&self) -> PluginStats {
        self.0.stats.snapshot()
    }

    fn pool<G: Guest>(
        &self,
        hook: Hook,
        pre: G::Pre,
        binding: Binding,
        timeout: Option<Duration>,
    ) -> Arc<Pool<G>> {
        Pool::new(self.clone(), hook, pre, binding, timeout)
    }

    fn export<P: Clone>(&self, pre: &Option<P>, hook: Hook) -> Result<P, BindError> {
        pre.clone().ok_or_else(|| BindError {
            plugin: self.name().to_owned(),
            hook,
            exports: self.hooks().to_vec(),
        })
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0.shared_name)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(crate) fn powers(&self) -> &Arc<Powers> {
        &self.0.powers
    }

    pub(crate) fn counters(&self) -> &Arc<Stats> {
        &self.0.stats
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.0.budget
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.0.slots
    }
}
