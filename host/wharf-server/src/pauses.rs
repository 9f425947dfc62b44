//! Which channels, and which of their lanes, are paused: on disk, with the reason, and followed by their dispatchers.
//!
//! A pause holds until somebody ends it: no restart does. What a channel is sent meanwhile is accepted and waits; what
//! is in flight ends. Operators pause both; a channel's plugin pauses where its receiver says that it is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use wharf_core::{ChannelName, TimeMs};
use wharf_store::{SetStateError, Store};

use crate::clock;
use crate::config::Config;
use crate::degraded::Degraded;

/// Version byte of a stored pause; JSON follows.
const VERSION: u8 = 1;

/// Why a channel is paused, since when, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pause {
    since_ms: u64,
    /// For whoever finds it paused.
    pub(crate) reason: Option<String>,
    /// The name of the API token, or the plugin that wanted it.
    pub(crate) by: Option<String>,
}

/// The lanes of a channel that are paused, by name.
pub(crate) type LanePauses = BTreeMap<String, Arc<Pause>>;

impl Pause {
    pub(crate) fn since(&self) -> TimeMs {
        TimeMs(self.since_ms)
    }

    fn encode(&self) -> Bytes {
        let mut value = vec![VERSION];
        serde_json::to_writer(&mut value, self).expect("it is plain JSON, written to memory");
        value.into()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (version, json) = value.split_first()?;
        let known = (*version == VERSION).then_some(json)?;
        serde_json::from_slice(known).ok()
    }

    /// As health tells it.
    fn explain(&self) -> String {
        let mut text = format!("paused since {}", self.since());
        if let Some(by) = &self.by {
            text.push_str(" by ");
            text.push_str(by);
        }
        match &self.reason {
            Some(reason) => format!("{text}: {reason}"),
            None => text,
        }
    }
}

/// The pauses of all channels.
pub(crate) struct Pauses {
    store: Store,
    degraded: Degraded,
    /// In the order of the configuration.
    channels: Vec<Channel>,
    /// Held from the commit to its announcement: two changes are announced in the order of their commits.
    changing: Mutex<()>,
}

/// What of a channel is paused.
struct Channel {
    name: ChannelName,
    pause: watch::Sender<Option<Arc<Pause>>>,
    lanes: watch::Sender<Arc<LanePauses>>,
}

impl Channel {
    fn pause(&self, lane: Option<&str>) -> Option<Arc<Pause>> {
        match lane {
            None => self.pause.borrow().clone(),
            Some(lane) => self.lanes.borrow().get(lane).cloned(),
        }
    }

    fn announce(&self, lane: Option<&str>, pause: Option<Arc<Pause>>) {
        let Some(lane) = lane else {
            self.pause.send_replace(pause);
            return;
        };
        self.lanes.send_modify(|lanes| {
            let lanes = Arc::make_mut(lanes);
            match pause {
                Some(pause) => drop(lanes.insert(lane.to_owned(), pause)),
                None => drop(lanes.remove(lane)),
            }
        });
    }
}

impl Pauses {
    /// As they were when the host ended.
    pub(crate) fn load(config: &Config, store: &Store, degraded: &Degraded) -> Self {
        let channels = config.channels.iter().map(|channel| {
            let name = channel.name.clone();
            let pause = store
                .state(&key(&name, None))
                .map(|value| found(&name, None, &value));
            let prefix = key(&name, Some(""));
            let lanes = store.states(&prefix).into_iter().map(|(key, value)| {
                let lane = key[prefix.len()..].to_owned();
                let pause = found(&name, Some(&lane), &value);
                (lane, pause)
            });
            let lanes = lanes.collect();
            let channel = Channel {
                name,
                pause: watch::Sender::new(pause),
                lanes: watch::Sender::new(Arc::new(lanes)),
            };
            tell(degraded, &channel);
            channel
        });
        Self {
            channels: channels.collect(),
            store: store.clone(),
            degraded: degraded.clone(),
            changing: Mutex::default(),
        }
    }

    /// Whether each channel is paused, now and after each change, in the order of the configuration.
    pub(crate) fn subscribe(&self) -> impl Iterator<Item = watch::Receiver<Option<Arc<Pause>>>> {
        self.channels
            .iter()
            .map(|channel| channel.pause.subscribe())
    }

    /// Which lanes of each channel are paused, now and after each change, in the order of the configuration.
    pub(crate) fn subscribe_lanes(&self) -> impl Iterator<Item = watch::Receiver<Arc<LanePauses>>> {
        self.channels
            .iter()
            .map(|channel| channel.lanes.subscribe())
    }

    /// The pause of each channel, in the order of the configuration.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ChannelName, Option<Arc<Pause>>)> {
        let channels = self.channels.iter();
        channels.map(|channel| (&channel.name, channel.pause.borrow().clone()))
    }

    /// Pauses a channel, or one of its lanes, and returns once that is on disk. What is paused stays so since then, and
    /// with the reason that there is where none is given now.
    pub(crate) async fn pause(
        &self,
        channel: &ChannelName,
        lane: Option<&str>,
        reason: Option<String>,
        by: Option<String>,
    ) -> Result<(), SetStateError> {
        self.change(channel, lane, |stands| {
            let since = stands.map_or_else(clock::now, Pause::since);
            // Who gives no reason does not take away the one that there is.
            let keeps = reason.is_none() && stands.is_some();
            let (reason, by) = match stands.filter(|_| keeps) {
                Some(stands) => (stands.reason.clone(), stands.by.clone()),
                None => (reason, by),
            };
            Some(Pause {
                since_ms: since.0,
                reason,
                by,
            })
        })
        .await
    }

    /// Ends a pause, and returns once that is on disk.
    pub(crate) async fn resume(
        &self,
        channel: &ChannelName,
        lane: Option<&str>,
    ) -> Result<(), SetStateError> {
        self.change(channel, lane, |_| None).await
    }

    async fn change(
        &self,
        channel: &ChannelName,
        lane: Option<&str>,
        decide: impl FnOnce(Option<&Pause>) -> Option<Pause>,
    ) -> Result<(), SetStateError> {
        let Some(current) = self.find(channel) else {
            return Ok(());
        };
        let _turn = self.changing.lock().await;
        let pause = decide(current.pause(lane).as_deref());
        let value = pause.as_ref().map(Pause::encode);
        self.store.set_state(&key(channel, lane), value).await?;
        current.announce(lane, pause.map(Arc::new));
        tell(&self.degraded, current);
        Ok(())
    }

    fn find(&self, channel: &ChannelName) -> Option<&Channel> {
        self.channels.iter().find(|known| known.name == *channel)
    }
}

/// A channel's name has no blank, so that no lane of one is taken for another's.
fn key(channel: &ChannelName, lane: Option<&str>) -> String {
    match lane {
        None => format!("pause channel {channel}"),
        Some(lane) => format!("pause lane {channel} {lane}"),
    }
}

/// A stored pause. One that cannot be read is still one: to send what somebody wanted held back would be worse.
fn found(channel: &ChannelName, lane: Option<&str>, value: &[u8]) -> Arc<Pause> {
    let pause = Pause::decode(value).unwrap_or_else(|| {
        tracing::error!(%channel, lane, "why the channel is paused cannot be read; it stays paused");
        Pause {
            since_ms: clock::now().0,
            reason: Some("why it was paused cannot be read; resume it to let it send".to_owned()),
            by: None,
        }
    });
    Arc::new(pause)
}

fn tell(degraded: &Degraded, channel: &Channel) {
    // Not under the channel's own name: a plugin of it can be missing at the same time.
    let name = format!("channel {} (paused)", channel.name);
    match &*channel.pause.borrow() {
        Some(pause) => degraded.set(&name, pause.explain()),
        None => degraded.clear(&name),
    };
    let name = format!("channel {} (lanes paused)", channel.name);
    let lanes = channel.lanes.borrow();
    match (lanes.len(), lanes.first_key_value()) {
        (_, None) => degraded.clear(&name),
        (1, Some((lane, pause))) => degraded.set(&name, format!("{lane}: {}", pause.explain())),
        (count, Some((lane, pause))) => degraded.set(
            &name,
            format!("{count} of them, the first {lane}: {}", pause.explain()),
        ),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_round_trips_behind_its_version() {
        for (reason, by) in [(None, None), (Some("their disk is full"), Some("oncall"))] {
            let pause = Pause {
                since_ms: 7,
                reason: reason.map(str::to_owned),
                by: by.map(str::to_owned),
            };
            let value = pause.encode();
            assert_eq!(Pause::decode(&value), Some(pause));
            let mut newer = value.to_vec();
            newer[0] = VERSION + 1;
            assert_eq!(Pause::decode(&newer), None);
        }
        assert_eq!(Pause::decode(b""), None);
    }
}
