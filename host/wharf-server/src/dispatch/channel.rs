//! A channel as it runs: its plugins bound with their settings.

use std::sync::Arc;
use std::time::Duration;

use wharf_core::egress::UrlPattern;
use wharf_core::{ChannelName, retry};
use wharf_plugin::{Binding, Converter, Enricher, Plugin, RequestChannel};

use crate::config;
use crate::egress::{Client, Origin};
use crate::plugins::Find;

/// A channel that can deliver.
pub(crate) struct Channel {
    pub(super) name: ChannelName,
    pub(super) enrichers: Vec<Enricher>,
    pub(super) converters: Vec<Converter>,
    pub(super) send: RequestChannel,
    pub(super) reach: Reach,
    pub(super) timeout: Duration,
    pub(super) retry: retry::Policy,
    pub(super) client: Arc<Client>,
}

/// What the channel's plugin may ask for.
pub(super) struct Reach {
    pub(super) plugin: String,
    /// The channel's configured `url`.
    pub(super) configured: Option<http::Uri>,
    pub(super) allowed: Vec<UrlPattern>,
}

/// Why a channel cannot deliver. Its deliveries wait.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("{0}; its deliveries wait")]
    NoPlugin(String),
    #[error(transparent)]
    Bind(#[from] wharf_plugin::BindError),
    #[error("config.url cannot be used: {0}")]
    Url(String),
}

/// Binds a channel's plugins.
pub(crate) fn bind(
    channel: &config::Channel,
    find: &Find<'_>,
    reach: &[config::Plugin],
    client: &Arc<Client>,
) -> Result<Channel, Unavailable> {
    let binding = |hook: &config::HookUse| Binding {
        name: format!("channel {}", channel.name),
        settings: hook.settings.clone(),
    };
    let enrichers = channel
        .enrich
        .iter()
        .map(|hook| Ok(plugin(find, hook)?.bind_enricher(binding(hook))?))
        .collect::<Result<_, Unavailable>>()?;
    let converters = channel
        .convert
        .iter()
        .map(|hook| Ok(plugin(find, hook)?.bind_converter(binding(hook))?))
        .collect::<Result<_, Unavailable>>()?;
    let send = plugin(find, &channel.send)?.bind_request_channel(binding(&channel.send))?;
    Ok(Channel {
        name: channel.name.clone(),
        enrichers,
        converters,
        send,
        reach: Reach {
            plugin: channel.send.plugin.clone(),
            configured: configured_url(&channel.send)?,
            allowed: reach
                .iter()
                .find(|grants| grants.name == channel.send.plugin)
                .map(|grants| grants.allow_http.clone())
                .unwrap_or_default(),
        },
        timeout: channel.timeout,
        retry: channel.retry.clone(),
        client: Arc::clone(client),
    })
}

fn plugin(find: &Find<'_>, hook: &config::HookUse) -> Result<Plugin, Unavailable> {
    find(&hook.plugin).map_err(Unavailable::NoPlugin)
}

/// The configured URL. It is not part of the error: it can hold credentials.
fn configured_url(hook: &config::HookUse) -> Result<Option<http::Uri>, Unavailable> {
    let Some((_, url)) = hook.settings.iter().find(|(key, _)| key == "url") else {
        return Ok(None);
    };
    let uri: http::Uri = url
        .parse()
        .map_err(|e: http::uri::InvalidUri| Unavailable::Url(e.to_string()))?;
    Origin::of(&uri).map_err(Unavailable::Url)?;
    Ok(Some(uri))
}
