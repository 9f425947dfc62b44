//! Which channels operators have paused: on disk, with the reason, and followed by their dispatchers.
//!
//! A pause holds until somebody ends it: no restart does. What a channel is sent meanwhile is accepted and waits; what
//! is in flight ends.

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
    /// The name of the API token.
    pub(crate) by: Option<String>,
}

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
    channels: Mutex<BTreeMap<ChannelName, Kept>>,
    /// Held from the commit to its announcement: two changes are announced in the order of their commits.
    changing: tokio::sync::Mutex<()>,
}

type Kept = Arc<watch::Sender<Option<Arc<Pause>>>>;

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
                let pause = self
                    .store
                    .state(&key(name))
                    .map(|value| found(name, &value));
                tell(&self.degraded, name, pause.as_deref());
                Arc::new(watch::Sender::new(pause))
            });
            channels.insert(name.clone(), kept);
        }
        for gone in before.keys() {
            tell(&self.degraded, gone, None);
        }
    }

    /// Whether a channel is paused, now and after each change. Never, for one that is not configured.
    pub(crate) fn subscribe(&self, channel: &ChannelName) -> watch::Receiver<Option<Arc<Pause>>> {
        self.find(channel).unwrap_or_default().subscribe()
    }

    /// The pause of a channel.
    pub(crate) fn of(&self, channel: &ChannelName) -> Option<Arc<Pause>> {
        self.find(channel)?.borrow().clone()
    }

    /// The pause of each channel.
    pub(crate) fn all(&self) -> Vec<(ChannelName, Option<Arc<Pause>>)> {
        let channels = self.lock();
        let all = channels.iter();
        all.map(|(name, pause)| (name.clone(), pause.borrow().clone()))
            .collect()
    }

    /// Pauses a channel, and returns once that is on disk. One that is paused stays so since then, and with the reason
    /// that there is where none is given now.
    pub(crate) async fn pause(
        &self,
        channel: &ChannelName,
        reason: Option<String>,
        by: Option<String>,
    ) -> Result<(), SetStateError> {
        self.change(channel, |stands| {
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
    pub(crate) async fn resume(&self, channel: &ChannelName) -> Result<(), SetStateError> {
        self.change(channel, |_| None).await
    }

    async fn change(
        &self,
        channel: &ChannelName,
        decide: impl FnOnce(Option<&Pause>) -> Option<Pause>,
    ) -> Result<(), SetStateError> {
        let Some(current) = self.find(channel) else {
            return Ok(());
        };
        let _turn = self.changing.lock().await;
        let stands = current.borrow().clone();
        let pause = decide(stands.as_deref());
        let value = pause.as_ref().map(Pause::encode);
        self.store.set_state(&key(channel), value).await?;
        tell(&self.degraded, channel, pause.as_ref());
        current.send_replace(pause.map(Arc::new));
        Ok(())
    }

    fn find(&self, channel: &ChannelName) -> Option<Kept> {
        self.lock().get(channel).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChannelName, Kept>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(channel: &ChannelName) -> String {
    format!("pause channel {channel}")
}

/// A stored pause. One that cannot be read is still one: to send what somebody wanted held back would be worse.
fn found(channel: &ChannelName, value: &[u8]) -> Arc<Pause> {
    let pause = Pause::decode(value).unwrap_or_else(|| {
        tracing::error!(%channel, "why the channel is paused cannot be read; it stays paused");
        Pause {
            since_ms: clock::now().0,
            reason: Some("why it was paused cannot be read; resume it to let it send".to_owned()),
            by: None,
        }
    });
    Arc::new(pause)
}

fn tell(degraded: &Degraded, channel: &ChannelName, pause: Option<&Pause>) {
    // Not under the channel's own name: a plugin of it can be missing at the same time.
    let name = format!("channel {channel} (paused)");
    match pause {
        Some(pause) => degraded.set(&name, pause.explain()),
        None => degraded.clear(&name),
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
