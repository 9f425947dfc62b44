//! Which channels, and which of their lanes, are paused: on disk, with the reason, and followed by their dispatchers.
//!
//! A pause holds until somebody ends it: no restart does. What a channel is sent meanwhile is accepted and waits; what
//! is in flight ends. Operators pause both; a channel's plugin pauses where its receiver says that it is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
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
    /// Those that are configured.
    channels: Mutex<BTreeMap<ChannelName, Arc<Kept>>>,
    /// Held from the commit to its announcement: two changes are announced in the order of their commits.
    changing: tokio::sync::Mutex<()>,
}

/// What of a channel is paused.
#[derive(Default)]
struct Kept {
    pause: watch::Sender<Option<Arc<Pause>>>,
    lanes: watch::Sender<Arc<LanePauses>>,
}

impl Kept {
    /// As it was when the channel went, or the host ended.
    fn load(store: &Store, name: &ChannelName) -> Self {
        let pause = store
            .state(&key(name, None))
            .map(|value| found(name, None, &value));
        let prefix = key(name, Some(""));
        let lanes = store.states(&prefix).into_iter().map(|(key, value)| {
            let lane = key[prefix.len()..].to_owned();
            let pause = found(name, Some(&lane), &value);
            (lane, pause)
        });
        Self {
            pause: watch::Sender::new(pause),
            lanes: watch::Sender::new(Arc::new(lanes.collect())),
        }
    }

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
        let pauses = Self {
            channels: Mutex::default(),
            store: store.clone(),
            degraded: degraded.clone(),
            changing: tokio::sync::Mutex::default(),
        };
        pauses.set_channels(config.channels.iter().map(|channel| &channel.name));
        pauses
    }

    /// These are configured now. The pause of one that comes is as it was when it went: it is on disk.
    pub(crate) fn set_channels<'a>(&self, names: impl Iterator<Item = &'a ChannelName>) {
        let mut channels = self.lock();
        let mut before = std::mem::take(&mut *channels);
        for name in names {
            let kept = before.remove(name).unwrap_or_else(|| {
                let kept = Kept::load(&self.store, name);
                tell(&self.degraded, name, &kept);
                Arc::new(kept)
            });
            channels.insert(name.clone(), kept);
        }
        for gone in before.keys() {
            tell(&self.degraded, gone, &Kept::default());
        }
    }

    /// Whether a channel is paused, now and after each change. Never, for one that is not configured.
    pub(crate) fn subscribe(&self, channel: &ChannelName) -> watch::Receiver<Option<Arc<Pause>>> {
        self.find(channel).unwrap_or_default().pause.subscribe()
    }

    /// Which lanes of a channel are paused, now and after each change.
    pub(crate) fn subscribe_lanes(
        &self,
        channel: &ChannelName,
    ) -> watch::Receiver<Arc<LanePauses>> {
        self.find(channel).unwrap_or_default().lanes.subscribe()
    }

    /// The pause of a channel.
    pub(crate) fn of(&self, channel: &ChannelName) -> Option<Arc<Pause>> {
        self.find(channel)?.pause(None)
    }

    /// The pause of each channel.
    pub(crate) fn all(&self) -> Vec<(ChannelName, Option<Arc<Pause>>)> {
        let channels = self.lock();
        let all = channels.iter();
        all.map(|(name, kept)| (name.clone(), kept.pause(None)))
            .collect()
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
        tell(&self.degraded, channel, &current);
        Ok(())
    }

    fn find(&self, channel: &ChannelName) -> Option<Arc<Kept>> {
        self.lock().get(channel).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChannelName, Arc<Kept>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
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

fn tell(degraded: &Degraded, channel: &ChannelName, kept: &Kept) {
    // Not under the channel's own name: a plugin of it can be missing at the same time.
    let name = format!("channel {channel} (paused)");
    match &*kept.pause.borrow() {
        Some(pause) => degraded.set(&name, pause.explain()),
        None => degraded.clear(&name),
    };
    let name = format!("channel {channel} (lanes paused)");
    let lanes = kept.lanes.borrow();
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
