//! What was sent, and what the host has answered to it: what it is held to.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::message::Message;
use super::receivers::Receiver;
use wharf_testkit::random::Random;

/// A message, and what was answered.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) message: Message,
    /// It was answered 202. If not, nobody knows whether it is there.
    pub(super) is_accepted: bool,
    /// Who sent it.
    pub(super) sender: usize,
    /// The batch that it was first sent in: that is there as a whole, or not at all.
    pub(super) batch: Option<String>,
}

/// What a life of the host adds.
#[derive(Default)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// Ids that had got no answer, sent again and answered 202 now; and whether they were there already.
    pub(super) confirmed: Vec<(String, bool)>,
    /// What was answered as if the host had never had it, although it was answered 202 before.
    pub(super) forgotten: Vec<String>,
    /// Messages that someone asked to cancel: they may have been.
    pub(super) cancel_asked: Vec<String>,
    /// Deliveries of which was answered that they are cancelled.
    pub(super) cancelled: Vec<(String, String)>,
    /// Whether channels are paused, by the last answer. None: there was none.
    pub(super) pauses: BTreeMap<&'static str, Option<bool>>,
    /// Ids sent again, of which the host knew each.
    pub(super) resent_count: u64,
    /// Ids sent with other content, of which each was refused.
    pub(super) conflicts_count: u64,
    pub(super) redriven_count: u64,
}

impl Page {
    /// A message was sent again, and answered 202.
    pub(super) fn note_resent(&mut self, entry: &Entry, duplicate: bool) {
        let id = &entry.message.id;
        let is_known = entry.is_accepted || self.confirmed.iter().any(|(known, _)| known == id);
        match (is_known, duplicate) {
            (true, true) => self.resent_count += 1,
            (true, false) => self.forgotten.push(id.clone()),
            (false, was_there) => self.confirmed.push((id.clone(), was_there)),
        }
    }
}

/// All of it.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    cancel_asked: HashSet<String>,
    cancelled: HashSet<(String, String)>,
    pub(super) pauses: BTreeMap<&'static str, Option<bool>>,
}

impl Ledger {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn get(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id).map(|at| &self.entries[*at])
    }

    pub(super) fn add(&mut self, page: &mut Page) {
        for entry in page.entries.drain(..) {
            let id = entry.message.id.clone();
            let before = self.by_id.insert(id, self.entries.len());
            assert!(before.is_none(), "ids are made once");
            self.entries.push(entry);
        }
        for (id, _) in &page.confirmed {
            self.entries[self.by_id[id]].is_accepted = true;
        }
        self.cancel_asked.extend(page.cancel_asked.drain(..));
        self.cancelled.extend(page.cancelled.drain(..));
        self.pauses.append(&mut page.pauses);
    }

    /// One of the last `count` of those that are wanted, if chance hits one.
    pub(super) fn pick(
        &self,
        random: &mut Random,
        count: usize,
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Option<&Entry> {
        const TRIES_MAX: usize = 20;
        let last = &self.entries[self.entries.len().saturating_sub(count)..];
        if last.is_empty() {
            return None;
        }
        let mut tries = std::iter::repeat_with(|| random.pick(last)).take(TRIES_MAX);
        tries.find(|entry| is_wanted(entry))
    }

    pub(super) fn accepted_count(&self) -> u64 {
        let accepted = self.entries.iter().filter(|entry| entry.is_accepted);
        accepted.count() as u64
    }

    pub(super) fn cancelled_count(&self) -> u64 {
        self.cancelled.len() as u64
    }

    /// Whether a delivery may have been cancelled, and whether it must have been.
    pub(super) fn cancel_of(&self, id: &str, receiver: &Receiver) -> Cancel {
        if self
            .cancelled
            .contains(&(id.to_owned(), receiver.name.to_owned()))
        {
            Cancel::Answered
        } else if self.cancel_asked.contains(id) {
            Cancel::Asked
        } else {
            Cancel::No
        }
    }
}

/// What is known of the wish to cancel a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    Asked,
    Answered,
}
