//! One loaded plugin.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::Engine;

use crate::bindings::types::Description;
use crate::bindings::{converter, enricher, post_event, request_channel};
use crate::grants::Grants;
use crate::hook::{BindError, Binding, Converter, Enricher, Hook, PostEvent, RequestChannel};
use crate::instance::{Limits, State};
use crate::load::Findings;
use crate::pool::{Budget, Pool, Slots};

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
    pub(crate) post_event: Option<post_event::PostEventOnlyPre<State>>,
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
        Ok(Enricher::new(Pool::new(self.clone(), pre, binding)))
    }

    /// Binds its `converter` to one configuration, with a pool of its own.
    pub fn bind_converter(&self, binding: Binding) -> Result<Converter, BindError> {
        let pre = self.export(&self.0.exports.converter, Hook::Converter)?;
        Ok(Converter::new(Pool::new(self.clone(), pre, binding)))
    }

    /// Binds its `request-channel` to one configuration, with a pool of its own.
    pub fn bind_request_channel(&self, binding: Binding) -> Result<RequestChannel, BindError> {
        let pre = self.export(&self.0.exports.request_channel, Hook::RequestChannel)?;
        Ok(RequestChannel::new(Pool::new(self.clone(), pre, binding)))
    }

    /// Binds its `post-event` to one configuration, with a pool of its own.
    pub fn bind_post_event(&self, binding: Binding) -> Result<PostEvent, BindError> {
        let pre = self.export(&self.0.exports.post_event, Hook::PostEvent)?;
        Ok(PostEvent::new(Pool::new(self.clone(), pre, binding)))
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
