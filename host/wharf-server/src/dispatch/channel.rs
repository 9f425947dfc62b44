//! A channel as it runs: its plugins bound with their settings.

use std::sync::Arc;
use std::time::Duration;

use wharf_core::grant::HttpGrant;
use wharf_core::{ChannelName, retry};
use wharf_plugin::{Annotator, Binding, Converter, Enricher, Hook, Plugin, Receiver};

use super::hook::Bound;
use super::lanes::LaneName;
use super::send::Sender;
use crate::config;
use crate::egress::{Client, Origin};
use crate::metrics::ChannelNumbers;
use crate::plugins::Find;

/// A channel that can deliver.
pub(crate) struct Channel {
    pub(super) name: ChannelName,
    pub(crate) parallelism: usize,
    pub(super) enrichers: Vec<Bound<Enricher>>,
    pub(super) converters: Vec<Bound<Converter>>,
    pub(super) sender: Sender,
    pub(super) annotators: Vec<Bound<Annotator>>,
    pub(crate) receiver: Option<Receiver>,
    pub(super) reach: Reach,
    /// Of what names no endpoint of its own.
    own_lane: LaneName,
    pub(super) timeout: Duration,
    pub(super) retry: retry::Policy,
    pub(super) client: Arc<Client>,
    /// Those of the versions before it too.
    pub(super) numbers: Arc<ChannelNumbers>,
}

/// What the channel's plugin may ask the host to ask for.
pub(super) struct Reach {
    pub(super) plugin: String,
    /// The channel's configured `url`.
    pub(super) configured: Option<http::Uri>,
    pub(super) grant: HttpGrant,
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
    numbers: &Arc<ChannelNumbers>,
) -> Result<Channel, Unavailable> {
    let enricher = |hook| {
        let (plugin, binding) = bound(channel, find, hook)?;
        let enricher = plugin.bind_enricher(binding)?;
        Ok(Bound::new("enricher", &plugin, enricher))
    };
    let converter = |hook| {
        let (plugin, binding) = bound(channel, find, hook)?;
        let converter = plugin.bind_converter(binding)?;
        Ok(Bound::new("converter", &plugin, converter))
    };
    let annotator = |hook| {
        let (plugin, binding) = bound(channel, find, hook)?;
        let annotator = plugin.bind_annotator(binding)?;
        Ok(Bound::new("annotator", &plugin, annotator))
    };
    let receiver = |hook| {
        let (plugin, binding) = bound(channel, find, hook)?;
        Ok::<_, Unavailable>(plugin.bind_receiver(binding)?)
    };
    let enrichers = channel.enrich.iter().map(enricher);
    let converters = channel.convert.iter().map(converter);
    let annotators = channel.annotate.iter().map(annotator);
    let (sender, parallelism) = sender(channel, find)?;
    let configured = configured_url(&channel.send)?;
    let own = configured.as_ref().and_then(|url| Origin::of(url).ok());
    Ok(Channel {
        name: channel.name.clone(),
        parallelism,
        enrichers: enrichers.collect::<Result<_, Unavailable>>()?,
        converters: converters.collect::<Result<_, Unavailable>>()?,
        sender,
        annotators: annotators.collect::<Result<_, Unavailable>>()?,
        receiver: channel.receive.as_ref().map(receiver).transpose()?,
        reach: Reach {
            plugin: channel.send.plugin.clone(),
            configured,
            grant: reach
                .iter()
                .find(|grants| grants.name == channel.send.plugin)
                .map(|grants| grants.http.clone())
                .unwrap_or_default(),
        },
        own_lane: LaneName::new(own),
        timeout: channel.timeout,
        retry: channel.retry.clone(),
        client: Arc::clone(client),
        numbers: Arc::clone(numbers),
    })
}

impl Channel {
    /// The lane of what goes to this endpoint, or to none of its own. What is no URL is for the plugin to read: it shares
    /// the lane of those that have none.
    pub(crate) fn lane(&self, endpoint: Option<&str>) -> LaneName {
        let named = endpoint.and_then(|endpoint| endpoint.parse().ok());
        match named.and_then(|url| Origin::of(&url).ok()) {
            Some(origin) => LaneName::new(Some(origin)),
            None => self.own_lane.clone(),
        }
    }
}

/// What delivers, and how many attempts it can make at once.
fn sender(channel: &config::Channel, find: &Find<'_>) -> Result<(Sender, usize), Unavailable> {
    let (plugin, binding) = bound(channel, find, &channel.send)?;
    // A plugin with both hooks is used as a request-channel: it holds no instance while it waits.
    let is_own =
        plugin.hooks().contains(&Hook::Channel) && !plugin.hooks().contains(&Hook::RequestChannel);
    if !is_own {
        let hook = plugin.bind_request_channel(binding)?;
        let sender = Sender::Request(Bound::new("channel", &plugin, hook));
        return Ok((sender, channel.parallelism));
    }
    // Each attempt holds an instance until it ends: more attempts would only wait for one.
    let instances_max = plugin.grants().instances_max;
    if channel.parallelism > instances_max {
        tracing::info!(
            channel = %channel.name,
            plugin = plugin.name(),
            parallelism = channel.parallelism,
            instances_max,
            "a channel whose plugin does its own I/O makes no more attempts at once than the plugin has instances"
        );
    }
    let hook = plugin.bind_channel(binding, channel.timeout)?;
    let sender = Sender::Own(Bound::new("channel", &plugin, hook));
    Ok((sender, channel.parallelism.min(instances_max)))
}

/// A plugin, and what it is bound with.
fn bound(
    channel: &config::Channel,
    find: &Find<'_>,
    hook: &config::HookUse,
) -> Result<(Plugin, Binding), Unavailable> {
    let plugin = plugin(find, hook)?;
    let binding = Binding {
        name: format!("channel {}", channel.name),
        settings: hook.settings.clone(),
    };
    Ok((plugin, binding))
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
