//! The channels that something was ever planned for: what is counted of each, and the number that keys know it by.

use redb::ReadableTable;
use rustc_hash::FxHashMap;
use wharf_core::ChannelName;

use crate::error::ReadError;
use crate::read::Snapshot;
use crate::table::channel::{self, Channel};
use crate::table::meta;
use crate::transaction::Table;

/// All channels, as of the last commit.
#[derive(Debug, Default)]
pub(crate) struct Channels(FxHashMap<ChannelName, Channel>);

/// Channels that a group changes.
#[derive(Debug, Default)]
pub(crate) struct Changed(FxHashMap<ChannelName, Channel>);

impl Channels {
    pub(crate) fn load(snapshot: &Snapshot) -> Result<Self, ReadError> {
        let mut channels = FxHashMap::default();
        let table = snapshot.tx().open_table(meta::TABLE)?;
        for entry in ReadableTable::range(&table, channel::keys())? {
            let (key, value) = entry?;
            let name = ChannelName::new(channel::name(key.value()));
            channels.insert(name, Channel::decode(value.value())?);
        }
        Ok(Self(channels))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ChannelName, &Channel)> {
        self.0.iter()
    }

    /// The number of a channel; none where it is unknown.
    pub(crate) fn number(&self, name: &ChannelName) -> Option<u32> {
        self.0.get(name).map(|channel| channel.number)
    }

    /// After the commit.
    pub(crate) fn reflect(&mut self, changed: &Changed) {
        let changed = changed.iter();
        self.0
            .extend(changed.map(|(name, channel)| (name.clone(), *channel)));
    }
}

impl Changed {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ChannelName, &Channel)> {
        self.0.iter()
    }

    /// A channel, to be changed; made where it is new.
    pub(crate) fn channel(&mut self, before: &Channels, name: &ChannelName) -> &mut Channel {
        // Looked up first: a name is cloned once a commit, not once a delivery.
        if !self.0.contains_key(name) {
            let is_new = |name: &&ChannelName| !before.0.contains_key(*name);
            let known = before.0.get(name).copied();
            let channel = known.unwrap_or_else(|| {
                let new_count = self.0.keys().filter(is_new).count();
                Channel::new((before.0.len() + new_count) as u32)
            });
            self.0.insert(name.clone(), channel);
        }
        self.0.get_mut(name).expect("it was just inserted")
    }

    /// Writes the channels that are counted anew.
    pub(crate) fn write(
        &self,
        meta: &mut Table<'_, &'static str, &'static [u8]>,
    ) -> Result<(), ReadError> {
        for (name, channel) in &self.0 {
            meta.insert(
                channel::key(name.as_str()).as_str(),
                channel.encode().as_slice(),
            )?;
        }
        Ok(())
    }
}
