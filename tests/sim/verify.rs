//! Whether the store holds what the model holds: all of it, and nothing else.

use std::collections::BTreeMap;

use wharf_core::invariant::{self, Violation};
use wharf_core::journal::Subject;
use wharf_core::{ChannelName, Cursor, DeliveryId, Standing, Status, TimeMs};
use wharf_store::{Filter, MessageView, Of, Parked, Remains, Store, Unread};

use crate::model::{Model, ModelMessage, at_once};

/// Entries of a page of a list: a store has a few of them.
const PAGE_ENTRIES: usize = 40;

/// Compares the whole store with the model.
pub(crate) fn verify(store: &Store, model: &Model) -> Result<(), String> {
    let stats = store.stats();
    let count = model.kept().count() as u64;
    let messages = invariant::counter_equals_rows("messages", stats.counts.messages(), count);
    holds(messages)?;
    for status in Status::ALL {
        let (counter, counted) = (stats.counts.status(*status), model.count(*status));
        let name = status.as_str();
        holds(invariant::counter_equals_rows(name, counter, counted))?;
    }
    let deliveries_count = model.deliveries().count() as u64;
    let is_partitioned = invariant::deliveries_are_partitioned(stats.spread, deliveries_count);
    holds(is_partitioned)?;
    for id in model.claimed.keys() {
        let status = model.delivery(*id).status;
        holds(invariant::claimed_can_be_sent(*id, Some(status)))?;
    }
    verify_paths(model)?;
    let suspects = model.claimed.keys().filter(|id| model.is_suspect(**id));
    same("suspects", stats.suspects, suspects.count() as u64)?;
    same("claims on disk", stats.claimed, model.claimed.len() as u64)?;
    // Nothing else tells whether the id of a message is forgotten that was removed before.
    same("ids known from", stats.ids.from, model.ids_known_from)?;
    same("journal head", *store.journal_head().borrow(), model.head())?;
    for message in model.messages.values() {
        let changed = verify_message(store, model, message);
        changed.map_err(|what| {
            let id = message.message.id.to_string();
            Violation::Changed(id, what).to_string()
        })?;
    }
    verify_journal(store, model)?;
    let all = Filter {
        statuses: Status::ALL.to_vec(),
        standings: Standing::ALL.to_vec(),
        channel: None,
    };
    verify_list(store, model, &all, PAGE_ENTRIES)?;
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
        verify_list(store, model, &some, PAGE_ENTRIES)?;
    }
    let states = store.states("").into_iter();
    let states = states.map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()));
    same("named values", states.collect(), model.states.clone())?;
    let parked = read(store.parked(0, usize::MAX))?;
    let numbered = (1..).zip(model.parked.iter().map(|parked| Parked::clone(parked)));
    same("what is parked", parked, numbered.collect())?;
    let updates = read(store.updates_due(TimeMs(u64::MAX), usize::MAX))?.due;
    let awaited = read(store.updates_count())? as usize - updates.len();
    same("updates", updates.len() + awaited, model.updates.len())?;
    for one in updates {
        let expected = model.updates.get(&(one.place.due, one.place.number));
        same("an update", Some(&(one.update, one.tries)), expected)?;
    }
    for (name, cursor) in &model.cursors {
        same(name, read(store.cursor(name))?, Some(*cursor))?;
    }
    Ok(())
}

/// Whether the journal has all rows that were not removed, and passes over those alone whose messages were.
fn verify_journal(store: &Store, model: &Model) -> Result<(), String> {
    let page = read(store.journal(Cursor(0), usize::MAX, usize::MAX))?;
    let kept = &model.journal[model.journal_from.0 as usize - 1..];
    let told: Vec<_> = kept.iter().filter(|row| model.is_told(row)).collect();
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
pub(crate) fn verify_list(
    store: &Store,
    model: &Model,
    filter: &Filter,
    max: usize,
) -> Result<(), String> {
    let mut expected = model.listed(filter).into_iter();
    let mut after = None;
    loop {
        let page = read(store.list(filter, after, max))?;
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

/// The journal, which is the store's row by row, is a path for each delivery.
fn verify_paths(model: &Model) -> Result<(), String> {
    let mut ends = BTreeMap::new();
    for row in &model.journal {
        if let Subject::Delivery { id, from, to } = row.subject {
            let before = ends.get(&id).copied();
            let step = invariant::journal_step(before, row, from, to);
            ends.insert(id, step.map_err(|violation| violation.to_string())?);
        }
    }
    for (id, delivery) in model.deliveries() {
        let end = ends.get(&id).copied();
        holds(invariant::journal_ends_at(end, delivery.status))?;
    }
    Ok(())
}

fn verify_message(store: &Store, model: &Model, expected: &ModelMessage) -> Result<(), String> {
    let id = &expected.message.id;
    let lost = || Violation::Lost(id.to_string()).to_string();
    let by_id = read(store.get(id))?;
    let of_id = model.ids.get(id).copied();
    let is_removed = model.removed.contains(&expected.seq);
    if of_id != Some(expected.seq) {
        // A forgotten id finds nothing, or the message that came with it later.
        let newer = of_id.filter(|seq| !model.removed.contains(seq));
        same("a forgotten id", by_id.map(|view| view.seq), newer)?;
        let numbered = read(store.get_numbered(expected.seq))?;
        return match is_removed {
            true => same("removed and forgotten", numbered, None),
            false => verify_view(model, expected, &numbered.ok_or_else(lost)?),
        };
    }
    let remains = is_removed.then(|| Remains {
        seq: expected.seq,
        accepted_at: expected.message.accepted_at,
        deliveries_count: at_once(&expected.planned),
    });
    same("what remains", read(store.remains(id))?, remains)?;
    match is_removed {
        true => same("removed", by_id, None),
        false => verify_view(model, expected, &by_id.ok_or_else(lost)?),
    }
}

fn verify_view(model: &Model, expected: &ModelMessage, found: &MessageView) -> Result<(), String> {
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
    let in_reserve = found.in_reserve.iter().map(|(_, planned)| planned);
    let expected_reserve = expected.planned.iter().skip(expected.deliveries.len());
    same(
        "in reserve",
        in_reserve.collect::<Vec<_>>(),
        expected_reserve.collect(),
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

/// What an invariant says, as text.
fn holds(invariant: Result<(), Violation>) -> Result<(), String> {
    invariant.map_err(|violation| violation.to_string())
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
