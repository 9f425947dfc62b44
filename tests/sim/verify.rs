//! Whether the store holds what the model holds: all of it, and nothing else.

use std::sync::Arc;

use wharf_core::journal::Row;
use wharf_core::{ChannelName, Cursor, DeliveryId, Standing, Status};
use wharf_store::{Filter, Of, Parked, Remains, Store, Unread};

use crate::model::{Model, ModelMessage};

/// Compares the whole store with the model.
pub(crate) fn verify(store: &Store, model: &Model) -> Result<(), String> {
    let stats = store.stats();
    same(
        "messages",
        stats.counts.messages(),
        model.kept().count() as u64,
    )?;
    for status in Status::ALL {
        same(
            status.as_str(),
            stats.counts.status(*status),
            model.count(*status),
        )?;
    }
    let suspects = model.claimed.keys().filter(|id| model.is_suspect(**id));
    same("suspects", stats.suspects, suspects.count() as u64)?;
    same("claims on disk", stats.claimed, model.claimed.len() as u64)?;
    same("journal head", *store.journal_head().borrow(), model.head())?;
    for message in model.messages.values() {
        verify_message(store, model, message)?;
    }
    verify_journal(store, model)?;
    let all = Filter {
        statuses: Status::ALL.to_vec(),
        standings: Standing::ALL.to_vec(),
        channel: None,
    };
    verify_list(store, model, &all)?;
    let with_rows = [
        Status::Retrying,
        Status::Pending,
        Status::Dead,
        Status::Shed,
    ];
    for channel in ["a", "b"] {
        let some = Filter {
            statuses: with_rows.to_vec(),
            standings: vec![],
            channel: Some(ChannelName::new(channel)),
        };
        verify_list(store, model, &some)?;
    }
    let states = store.states("").into_iter();
    let states = states.map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()));
    same("named values", states.collect(), model.states.clone())?;
    let parked = read(store.parked(0, usize::MAX))?;
    let numbered = (1..).zip(model.parked.iter().map(|parked| Parked::clone(parked)));
    same("what is parked", parked, numbered.collect())?;
    for (name, cursor) in &model.cursors {
        same(name, read(store.cursor(name))?, Some(*cursor))?;
    }
    Ok(())
}

/// Whether the journal has all rows that were not removed, and passes over those alone whose messages were.
fn verify_journal(store: &Store, model: &Model) -> Result<(), String> {
    let page = read(store.journal(Cursor(0), usize::MAX, usize::MAX))?;
    let kept = &model.journal[model.journal_from.0 as usize - 1..];
    let is_told = |row: &&Arc<Row>| {
        let seq = row.subject.message();
        seq.is_none_or(|seq| !model.removed.contains(&seq))
    };
    let told: Vec<_> = kept.iter().filter(is_told).collect();
    for (entry, expected) in page.entries.iter().zip(&told) {
        same("journal row", &entry.row, &***expected)?;
        let seq = expected.subject.message();
        let message = seq.map(|seq| &model.messages[&seq].message);
        let id = message.map(|message| &message.id);
        same("journal row's message", entry.message.as_ref(), id)?;
        let attributes = message.map_or(&[][..], |message| &message.attributes);
        same("its attributes", entry.attributes.as_slice(), attributes)?;
    }
    same("journal rows", page.entries.len(), told.len())?;
    let mut passed_count = 0;
    for passed in &page.passed_over {
        same("why rows are passed over", passed.reason, Unread::Removed)?;
        passed_count += (passed.last.0 + 1 - passed.first.0) as usize;
    }
    same(
        "journal rows passed over",
        passed_count,
        kept.len() - told.len(),
    )?;
    let end = Cursor(model.journal_from.0 - 1).max(model.head());
    same("journal page's end", page.end, end)
}

/// Whether a list, page by page, has what the model has, in order, and says the same of it.
fn verify_list(store: &Store, model: &Model, filter: &Filter) -> Result<(), String> {
    let mut expected = model.listed(filter).into_iter();
    let mut after = None;
    loop {
        let page = read(store.list(filter, after, 7))?;
        for entry in page.entries {
            let last = match &entry.of {
                Of::Delivery(view) => view.last,
                Of::Message(_) => model.of_message(entry.seq),
            };
            let listed = (entry.seq, entry.message, last);
            same("listed", Some(listed), expected.next())?;
            let row = &model.journal[last.0 as usize - 1];
            let is_kept = last >= model.journal_from;
            let change = is_kept.then_some((row.at, row.cause)).unzip();
            same("listed change", (entry.changed_at, entry.cause), change)?;
        }
        after = page.next;
        if after.is_none() {
            return same("listed", None, expected.next());
        }
    }
}

fn verify_message(store: &Store, model: &Model, expected: &ModelMessage) -> Result<(), String> {
    let id = &expected.message.id;
    let found = read(store.get(id))?;
    if model.ids.get(id) != Some(&expected.seq) {
        // Forgotten: the id finds nothing, or the message that came with it later.
        let newer = model.ids.get(id);
        let newer = newer.filter(|seq| !model.removed.contains(seq));
        return same("forgotten id", found.map(|found| found.seq).as_ref(), newer);
    }
    let remains = read(store.remains(id))?;
    if model.removed.contains(&expected.seq) {
        same("removed message", found, None)?;
        let remains_expected = Remains {
            seq: expected.seq,
            accepted_at: expected.message.accepted_at,
            deliveries_count: expected.planned.len() as u16,
        };
        return same("what remains", remains, Some(remains_expected));
    }
    same("what remains", remains, None)?;
    let Some(found) = found else {
        return Err(format!("message {id} was acknowledged and is lost"));
    };
    same("number", found.seq, expected.seq)?;
    same("message", &found.message, &expected.message)?;
    same(
        "standing",
        found.standing.is_some(),
        expected.planned.is_empty(),
    )?;
    same(
        "deliveries",
        found.deliveries.len(),
        expected.deliveries.len(),
    )?;
    for ((place, found), expected_one) in (0..).zip(&found.deliveries).zip(&expected.deliveries) {
        same("delivery", found.id, DeliveryId::new(expected.seq, place))?;
        let planned = &expected.planned[usize::from(place)];
        same("channel", &found.channel, &planned.channel)?;
        same("route", &found.route, &planned.route)?;
        same("status", found.status, expected_one.status)?;
        // Only the journal says how many those took that have no row.
        let has_no_row = found.status == Status::Delivered && found.redriven.is_none();
        let is_known = !has_no_row || found.last >= model.journal_from;
        let attempts_count = if is_known {
            expected_one.attempts_count
        } else {
            0
        };
        same("attempts", found.attempts_count, attempts_count)?;
        same("due", found.due, expected_one.due)?;
        same("token", &found.token, &expected_one.token)?;
        same("flag", found.is_cancelled, expected_one.is_cancelled)?;
        same("budget", found.redriven, expected_one.redriven)?;
        same("key", found.key_generation, expected_one.key_generation)?;
        let is_claimed = model.claimed.contains_key(&found.id);
        same("claim on disk", found.is_claimed, is_claimed)?;
        same("last row", found.last, expected_one.last)?;
    }
    Ok(())
}

/// Fails where something is not as expected.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: T,
    expected: T,
) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!(
            "{what}: found {found:.300?}, expected {expected:.300?}"
        ))
    }
}

fn read<T>(result: Result<T, wharf_store::ReadError>) -> Result<T, String> {
    result.map_err(|cause| format!("cannot read the store: {cause:?}"))
}
