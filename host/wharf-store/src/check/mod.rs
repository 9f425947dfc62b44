//! Verifies every invariant over the whole store.
//!
//! Reads everything once, in order; keeps one entry a delivery in memory while it runs, and holds up the writer.
//! What cannot be read is a violation like any other, and the check goes on behind it: only what depends on it is
//! left out.

mod chunks;
mod ids;
mod journal;

use redb::{ReadableTable, ReadableTableMetadata};
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;
use wharf_core::invariant::{self, Violation};
use wharf_core::{ChannelName, Cursor, DeliveryId, Standing, Status};

use crate::channels::Channels;
use crate::error::{CheckError, Malformed, ReadError};
use crate::ids::Ids;
use crate::index::SharedIndex;
use crate::operation::keyed::Keyed;
use crate::read::Snapshot;
use crate::recover;
use crate::request::Request;
use crate::store::Store;
use crate::table::channel::Channel;
use crate::table::claimed::{self, Claimed};
use crate::table::id_manifest::Manifest;
use crate::table::state::{Counts, State};
use crate::table::tails::Place;
use crate::table::{cursor, delivery, due, parked, tails, wire};

/// Violations that a check reports at most: whoever reads them needs the first ones.
const VIOLATIONS_COUNT_MAX: usize = 100;

/// What a check that passed has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Chunks of messages.
    pub chunks: u64,
    /// Messages.
    pub messages: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Journal rows.
    pub rows: u64,
}

impl Store {
    /// Verifies every invariant of [`wharf_core::invariant`] over the whole store, as of the last commit. No
    /// write is committed meanwhile.
    pub async fn check(&self) -> Result<Report, CheckError> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Check(answer))
            .await
            .map_err(|_| ReadError::Closed)?;
        answered.await.unwrap_or(Err(ReadError::Closed.into()))
    }
}

/// What goes wrong, collected.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, violation: Violation) {
        if self.0.len() < VIOLATIONS_COUNT_MAX {
            self.0.push(violation);
        }
    }

    fn note(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.add(violation);
        }
    }

    /// Adds a contradiction between tables unless something holds.
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(Violation::Layout(what()));
        }
    }

    /// What comes next has the number that it should have, where that is known.
    fn follows(&mut self, name: &str, found: u64, expected: Option<u64>) {
        if let Some(expected) = expected {
            self.expect(found == expected, || {
                format!("{name} {found} should be {expected}")
            });
        }
    }

    /// What was read; adds that it cannot be read where it cannot.
    fn read<T>(&mut self, read: Result<T, Malformed>, what: impl FnOnce() -> String) -> Option<T> {
        read.inspect_err(|cause| {
            self.add(Violation::Unreadable(format!("{}: {cause}", what())));
        })
        .ok()
    }
}

/// What counting gives.
#[derive(Default)]
struct Counted {
    counts: Counts,
    chunks: u64,
    /// Of them, those that have nothing but what stays of removed messages.
    chunks_removed: u64,
    message_bytes: u64,
    rows_of_deliveries: u64,
    wires: u64,
    dues: u64,
    channels: FxHashMap<ChannelName, Channel>,
    /// Messages whose ids are not forgotten.
    ids: u64,
    /// Some tails cannot be read: what they say is missing from the sums.
    is_incomplete: bool,
}

/// The writer's part: no commit happens meanwhile.
pub(crate) fn check(
    snapshot: &Snapshot,
    ids: &Ids,
    index: &SharedIndex,
    keyed: &Keyed,
    state: &State,
    manifest: &Manifest,
) -> Result<Result<Report, Vec<Violation>>, ReadError> {
    let mut findings = Findings::default();
    let journal = journal::check(snapshot, state, &mut findings)?;
    let ids_count = ids::check(snapshot, ids, state, manifest, &mut findings)?;
    // Claims go on meanwhile, but change nothing that is on disk: what is in memory now is held against that.
    let (residents, spread) = {
        let index = index.lock();
        (index.residents(), index.spread())
    };
    let counted = chunks::check(snapshot, ids, state, &journal, &residents, &mut findings)?;
    let message_bytes = (state.space.message_bytes, counted.message_bytes);
    findings.note(invariant::counter_equals_rows(
        "message bytes",
        message_bytes.0,
        message_bytes.1,
    ));
    check_cursors(snapshot, state.head(), &mut findings)?;
    check_parked(snapshot, &mut findings)?;
    check_claimed(snapshot, index, &mut findings)?;
    let stored = recover::keyed(snapshot)?;
    findings.expect(keyed.read(|values| *values == stored), || {
        "the named values in memory are not those in the file".to_owned()
    });
    let deliveries = counted.counts.deliveries();
    if !counted.is_incomplete {
        check_counts(&state.counts, &counted.counts, &mut findings);
        check_channels(snapshot, index, &counted, &mut findings)?;
        check_lengths(snapshot, &counted, &mut findings)?;
        if let Some(ids_count) = ids_count {
            findings.expect(ids_count == counted.ids, || {
                format!("{ids_count} ids count, of {} messages", counted.ids)
            });
        }
        findings.note(invariant::deliveries_are_partitioned(spread, deliveries));
    }
    let report = Report {
        chunks: counted.chunks,
        messages: counted.counts.messages(),
        deliveries,
        rows: state.next_cursor.0 - state.space.journal_from.0,
    };
    Ok(if findings.0.is_empty() {
        Ok(report)
    } else {
        Err(findings.0)
    })
}

fn check_counts(stored: &Counts, counted: &Counts, findings: &mut Findings) {
    let messages = (stored.messages(), counted.messages());
    findings.note(invariant::counter_equals_rows(
        "messages", messages.0, messages.1,
    ));
    for status in Status::ALL {
        let (stored, counted) = (stored.status(*status), counted.status(*status));
        findings.note(invariant::counter_equals_rows(
            status.as_str(),
            stored,
            counted,
        ));
    }
    for standing in Standing::ALL {
        let (stored, counted) = (stored.standing(*standing), counted.standing(*standing));
        findings.note(invariant::counter_equals_rows(
            standing.as_str(),
            stored,
            counted,
        ));
    }
}

/// What is counted of channels, on disk and in memory, is what they have.
fn check_channels(
    snapshot: &Snapshot,
    index: &SharedIndex,
    counted: &Counted,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let stored = Channels::load(snapshot)?;
    let stored: FxHashMap<_, _> = stored.iter().collect();
    let known: Vec<_> = index.lock().channels().collect();
    for (name, found) in &counted.channels {
        let expected = stored.get(name).map(|channel| Channel {
            number: found.number,
            ..**channel
        });
        findings.expect(expected == Some(*found), || {
            format!("channel {name} has {found:?}, and is counted {expected:?}")
        });
        let in_memory = known.iter().find(|one| one.channel == *name);
        let in_memory = in_memory.map(|one| one.depths);
        findings.expect(in_memory == Some(found.depths), || {
            format!("channel {name} has {found:?}, and is known as {in_memory:?}")
        });
    }
    for (name, channel) in stored {
        let is_counted = counted.channels.contains_key(name);
        findings.expect(
            is_counted || *channel == Channel::new(channel.number),
            || format!("channel {name} has nothing, and is counted {channel:?}"),
        );
    }
    Ok(())
}

/// Nothing is in a table beside what belongs to a message.
fn check_lengths(
    snapshot: &Snapshot,
    counted: &Counted,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let tx = snapshot.tx();
    let open_or_closed =
        tx.open_table(tails::OPEN)?.len()? + tx.open_table(tails::CLOSED)?.len()?;
    for (name, len, expected) in [
        (
            "delivery",
            tx.open_table(delivery::TABLE)?.len()?,
            counted.rows_of_deliveries,
        ),
        ("wire", tx.open_table(wire::TABLE)?.len()?, counted.wires),
        ("due", tx.open_table(due::TABLE)?.len()?, counted.dues),
        (
            "open and closed",
            open_or_closed,
            counted.chunks - counted.chunks_removed,
        ),
    ] {
        findings.expect(len == expected, || {
            format!("table {name} has {len} rows, {expected} belong to messages")
        });
    }
    Ok(())
}

/// What is claimed on disk can be sent, and is what the index says.
fn check_claimed(
    snapshot: &Snapshot,
    index: &SharedIndex,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let known = index.lock().claimed().clone();
    let table = snapshot.tx().open_table(claimed::TABLE)?;
    findings.expect(table.len()? == known.len() as u64, || {
        format!(
            "claims on disk and in memory differ in number, in memory are {}",
            known.len()
        )
    });
    for entry in table.iter()? {
        let (id, value) = entry?;
        let id = DeliveryId(id.value());
        Claimed::decode(value.value())?;
        findings.expect(known.contains(&id), || {
            format!("the claim of delivery {id} is on disk and not in memory")
        });
        let (tails, message) = snapshot.tails(id.message())?;
        let slot = tails.slots(message).nth(usize::from(id.place()));
        let tail = slot.map(|slot| tails.tail(slot)).transpose()?;
        let status = tail.and_then(|tail| match tail.place {
            Place::Delivery(status, _) => Some(status),
            Place::Message(_) => None,
        });
        findings.note(invariant::claimed_can_be_sent(id, status));
    }
    Ok(())
}

fn check_parked(snapshot: &Snapshot, findings: &mut Findings) -> Result<(), ReadError> {
    for entry in snapshot.tx().open_table(parked::TABLE)?.iter()? {
        let (number, value) = entry?;
        let name = || format!("parked {}", number.value());
        findings.read(parked::decode(value.value()), name);
    }
    Ok(())
}

fn check_cursors(
    snapshot: &Snapshot,
    head: Cursor,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    for entry in snapshot.tx().open_table(cursor::TABLE)?.iter()? {
        let (name, value) = entry?;
        let name = name.value();
        let stands = findings.read(cursor::decode(value.value()), || format!("cursor {name}"));
        findings.expect(stands.is_none_or(|stands| stands <= head), || {
            format!("cursor {name} stands at {stands:?}, past the journal's end {head}")
        });
    }
    Ok(())
}
