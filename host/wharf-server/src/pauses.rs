//! Which channels operators have paused: on disk, with the reason, and followed by their dispatchers.
//!
//! A pause holds until somebody ends it: no restart does. What a channel is sent meanwhile is accepted and waits; what
//! is in flight ends.

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
    /// In the order of the configuration.
    channels: Vec<(ChannelName, watch::Sender<Option<Arc<Pause>>>)>,
    /// Held from the commit to its announcement: two changes are announced in the order of their commits.
    changing: Mutex<()>,
}

impl Pauses {
    /// As they were when the host ended.
    pub(crate) fn load(config: &Config, store: &Store, degraded: &Degraded) -> Self {
        let channels = config.channels.iter().map(|channel| {
            let name = channel.name.clone();
            let pause = store.state(&key(&name)).map(|value| found(&name, &value));
            tell(degraded, &name, pause.as_deref());
            (name, watch::Sender::new(pause))
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
        self.channels.iter().map(|(_, pause)| pause.subscribe())
    }

    /// The pause of each channel, in the order of the configuration.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ChannelName, Option<Arc<Pause>>)> {
        let channels = self.channels.iter();
        channels.map(|(name, pause)| (name, pause.borrow().clone()))
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

    fn find(&self, channel: &ChannelName) -> Option<&watch::Sender<Option<Arc<Pause>>>> {
        let mut channels = self.channels.iter();
        let (_, pause) = channels.find(|(name, _)| name == channel)?;
        Some(pause)
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
