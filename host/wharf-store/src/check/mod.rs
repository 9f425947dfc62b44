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
use crate::index::{Residents, SharedIndex};
use crate::maintain::Steps;
use crate::operation::keyed::Keyed;
use crate::read::Snapshot;
use crate::recover;
use crate::request::Request;
use crate::store::Store;
use crate::table::alias::{self, Alias};
use crate::table::channel::Channel;
use crate::table::claimed::{self, Claimed};
use crate::table::id_manifest::Manifest;
use crate::table::state::{Counts, State};
use crate::table::tails::Place;
use crate::table::{cursor, delivery, due, keyed, meta, order, parked, tails, update, wire};

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

/// The writer's part: no commit happens meanwhile. The file, and that what is in memory is what the file says.
pub(crate) fn check(
    snapshot: &Snapshot,
    ids: &Ids,
    index: &SharedIndex,
    keyed: &Keyed,
    state: &State,
    manifest: &Manifest,
) -> Result<Result<Report, Vec<Violation>>, ReadError> {
    let mut findings = Findings::default();
    let mut unwatched = |_| {};
    let mut steps = Steps::new(steps_count(state), &mut unwatched);
    // Claims go on meanwhile, but change nothing that is on disk: what is in memory now is held against that.
    let (residents, spread) = {
        let index = index.lock();
        (index.residents(), index.spread())
    };
    let file = File {
        snapshot,
        ids,
        state,
        manifest,
    };
    let counted = file.check(Some(&residents), &mut steps, &mut findings)?;
    check_claimed_in_memory(snapshot, index, &mut findings)?;
    let stored = recover::keyed(snapshot)?;
    findings.expect(keyed.read(|values| *values == stored), || {
        "the named values in memory are not those in the file".to_owned()
    });
    if !counted.is_incomplete {
        check_channels_in_memory(index, &counted, &mut findings);
        let deliveries = counted.counts.deliveries();
        findings.note(invariant::deliveries_are_partitioned(spread, deliveries));
    }
    Ok(report(&counted, state, findings))
}

/// Steps that a check tells of: one a message, one a journal row.
pub(crate) fn steps_count(state: &State) -> u64 {
    state.counts.messages() + (state.next_cursor.0 - state.space.journal_from.0)
}

/// The file alone, for whoever has opened it without a writer.
pub(crate) fn check_file(
    snapshot: &Snapshot,
    ids: &Ids,
    state: &State,
    manifest: &Manifest,
    steps: &mut Steps<'_>,
) -> Result<Result<Report, Vec<Violation>>, ReadError> {
    let mut findings = Findings::default();
    let file = File {
        snapshot,
        ids,
        state,
        manifest,
    };
    let counted = file.check(None, steps, &mut findings)?;
    check_keyed(snapshot, &mut findings)?;
    Ok(report(&counted, state, findings))
}

fn report(counted: &Counted, state: &State, findings: Findings) -> Result<Report, Vec<Violation>> {
    if findings.0.is_empty() {
        Ok(Report {
            chunks: counted.chunks,
            messages: counted.counts.messages(),
            deliveries: counted.counts.deliveries(),
            rows: state.next_cursor.0 - state.space.journal_from.0,
        })
    } else {
        Err(findings.0)
    }
}

/// A file, and what of it was read before.
struct File<'a> {
    snapshot: &'a Snapshot,
    ids: &'a Ids,
    state: &'a State,
    manifest: &'a Manifest,
}

impl File<'_> {
    /// What a file can be held against, and where its deliveries are in memory, where it is open.
    fn check(
        &self,
        residents: Option<&Residents>,
        steps: &mut Steps<'_>,
        findings: &mut Findings,
    ) -> Result<Counted, ReadError> {
        let Self {
            snapshot,
            ids,
            state,
            manifest,
        } = self;
        let journal = journal::check(snapshot, state, steps, findings)?;
        let ids_count = ids::check(snapshot, ids, state, manifest, findings)?;
        let counted = chunks::check(snapshot, ids, state, &journal, residents, steps, findings)?;
        let message_bytes = (state.space.message_bytes, counted.message_bytes);
        findings.note(invariant::counter_equals_rows(
            "message bytes",
            message_bytes.0,
            message_bytes.1,
        ));
        check_cursors(snapshot, state.head(), findings)?;
        check_parked(snapshot, findings)?;
        check_claimed(snapshot, findings)?;
        check_aliases(snapshot, findings)?;
        check_updates(snapshot, findings)?;
        if !counted.is_incomplete {
            check_counts(&state.counts, &counted.counts, findings);
            check_channels(snapshot, &counted, findings)?;
            check_lengths(snapshot, &counted, findings)?;
            if let Some(ids_count) = ids_count {
                findings.expect(ids_count == counted.ids, || {
                    format!("{ids_count} ids count, of {} messages", counted.ids)
                });
            }
        }
        Ok(counted)
    }
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

/// What is counted of channels is what they have.
fn check_channels(
    snapshot: &Snapshot,
    counted: &Counted,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let stored = Channels::load(snapshot)?;
    let stored: FxHashMap<_, _> = stored.iter().collect();
    for (name, found) in &counted.channels {
        let expected = stored.get(name).map(|channel| Channel {
            number: found.number,
            ..**channel
        });
        findings.expect(expected == Some(*found), || {
            format!("channel {name} has {found:?}, and is counted {expected:?}")
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

/// What is counted of channels in memory is what they have.
fn check_channels_in_memory(index: &SharedIndex, counted: &Counted, findings: &mut Findings) {
    let known: Vec<_> = index.lock().channels().collect();
    for (name, found) in &counted.channels {
        let in_memory = known.iter().find(|one| one.channel == *name);
        let in_memory = in_memory.map(|one| one.depths);
        findings.expect(in_memory == Some(found.depths), || {
            format!("channel {name} has {found:?}, and is known as {in_memory:?}")
        });
    }
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
            "order",
            tx.open_table(order::TABLE)?.len()?,
            tx.open_table(order::OF)?.len()?,
        ),
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

/// What is claimed on disk is what the index says.
fn check_claimed_in_memory(
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
        let id = DeliveryId(entry?.0.value());
        findings.expect(known.contains(&id), || {
            format!("the claim of delivery {id} is on disk and not in memory")
        });
    }
    Ok(())
}

/// What is claimed on disk can be sent.
fn check_claimed(snapshot: &Snapshot, findings: &mut Findings) -> Result<(), ReadError> {
    for entry in snapshot.tx().open_table(claimed::TABLE)?.iter()? {
        let (id, value) = entry?;
        let id = DeliveryId(id.value());
        findings.read(Claimed::decode(value.value()), || {
            format!("the claim of delivery {id}")
        });
        let status = match status(snapshot, id) {
            Ok(status) => status,
            Err(ReadError::Malformed(cause)) => {
                findings.read::<()>(Err(cause), || format!("the tail of claimed delivery {id}"));
                continue;
            }
            Err(cause) => return Err(cause),
        };
        findings.note(invariant::claimed_can_be_sent(id, status));
    }
    Ok(())
}

/// Where a delivery stands; none where there is no such delivery.
fn status(snapshot: &Snapshot, id: DeliveryId) -> Result<Option<Status>, ReadError> {
    let (tails, message) = snapshot.tails(id.message())?;
    let slot = tails.slots(message).nth(usize::from(id.place()));
    let tail = slot.map(|slot| tails.tail(slot)).transpose()?;
    Ok(tail.and_then(|tail| match tail.place {
        Place::Delivery(status, _) => Some(status),
        Place::Message(_) | Place::Reserve => None,
    }))
}

fn check_keyed(snapshot: &Snapshot, findings: &mut Findings) -> Result<(), ReadError> {
    for entry in snapshot.tx().open_table(keyed::TABLE)?.iter()? {
        let (name, value) = entry?;
        findings.read(keyed::decode(value.value()), || {
            format!("the named value {}", name.value())
        });
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

/// What is known by an alias is there, and found from both sides.
fn check_aliases(snapshot: &Snapshot, findings: &mut Findings) -> Result<(), ReadError> {
    let tx = snapshot.tx();
    let (by_alias, by_number) = (tx.open_table(alias::TABLE)?, tx.open_table(alias::OF)?);
    findings.expect(by_alias.len()? == by_number.len()?, || {
        "the aliases and whose they are differ in number".to_owned()
    });
    let mut tails = snapshot.tail_reader();
    for entry in by_number.iter()? {
        let (number, alias) = entry?.0.value();
        let is_found = by_alias.get((alias, number))?.is_some();
        findings.expect(is_found, || format!("an alias of {number} is not found"));
        // Of a message without deliveries too: it has a tail all the same.
        match tails.tail(DeliveryId(number)) {
            Ok(_) => {}
            Err(ReadError::Malformed(cause)) => {
                findings.read::<()>(Err(cause), || format!("whose alias {number} is"));
            }
            Err(cause) => return Err(cause),
        }
    }
    let key = recover::id_key(snapshot)?;
    for entry in tx.open_table(delivery::TABLE)?.iter()? {
        let (number, value) = entry?;
        let number = number.value();
        // What cannot be read was found before.
        let Ok(row) = delivery::Row::decode(value.value()) else {
            continue;
        };
        if let Some(token) = &row.token {
            let alias = Alias::token(&key, &row.channel, token);
            let is_found = by_alias.get((alias.0, number))?.is_some();
            findings.expect(is_found, || {
                format!("delivery {number} is not found by its token")
            });
        }
    }
    Ok(())
}

fn check_updates(snapshot: &Snapshot, findings: &mut Findings) -> Result<(), ReadError> {
    let tx = snapshot.tx();
    let meta = tx.open_table(meta::TABLE)?;
    let next = meta.get(meta::NEXT_UPDATE_NAME)?;
    let next = next.map_or(Ok(1), |value| meta::decode_next_update(value.value()));
    let next = findings.read(next, || "the number of the next update".to_owned());
    for entry in tx.open_table(update::TABLE)?.iter()? {
        let (key, value) = entry?;
        let number = update::place(key.value()).number;
        findings.read(update::decode(value.value()), || format!("update {number}"));
        findings.expect(next.is_none_or(|next| number < next), || {
            format!("update {number} waits, and the next one is {next:?}")
        });
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
