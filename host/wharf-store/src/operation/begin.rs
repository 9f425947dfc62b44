//! A start: what it makes of the claims that the last stop left behind.

use tracing::warn;
use wharf_core::{Cause, DeliveryId, Status, TimeMs, order};

use crate::error::ReadError;
use crate::group::Group;
use crate::index::{SharedIndex, Sought};
use crate::recover::Past;
use crate::step::{Current, Found, Ordered, Step};
use crate::table::delivery::Row;
use crate::table::{chunk, claimed};

/// The writer's part, before anything is handed out. From here on the stop is unclean until the store is closed.
pub(crate) fn apply(
    group: &mut Group<'_>,
    index: &SharedIndex,
    past: &Past,
    now: TimeMs,
) -> Result<(), ReadError> {
    group.begin_run()?;
    // The first commit of a run is a checkpoint.
    let mut table = group.tx.unlogged().open_table(claimed::TABLE)?;
    table.retain(|_, _| false)?;
    for (id, claimed) in &past.claimed {
        if index.lock().claimed().contains(id) {
            table.insert(id.0, claimed.encode().as_slice())?;
        }
    }
    drop(table);
    for id in past.crashed() {
        give_up(group, index, id, now)?;
    }
    Ok(())
}

/// How it takes part in an order, if its channel keeps one: nobody has said so yet.
fn ordered(group: &Group<'_>, current: &Current) -> Result<Option<Ordered>, ReadError> {
    let stored = match group.part(current.id.message(), chunk::decode) {
        // It is given up all the same.
        Err(ReadError::Malformed(_)) => return Ok(None),
        stored => stored?,
    };
    let key = order::key_of(&stored.message, current.row.redriven);
    Ok(key.map(|key| Ordered {
        hash: u128::from_le_bytes(group.ids.key().hash(key.as_bytes())),
        is_behind: false,
        policy: order::Policy {
            on_dead: order::OnDead::Block,
            ..order::Policy::default()
        },
    }))
}

/// Ends a delivery that was alone when the process ended.
fn give_up(
    group: &mut Group<'_>,
    index: &SharedIndex,
    id: DeliveryId,
    at: TimeMs,
) -> Result<(), ReadError> {
    let Found::Current(mut current) = Current::find(group, id)? else {
        return Ok(());
    };
    current.ordered = ordered(group, &current)?;
    let from = current.row.status;
    if !from.is_sendable() {
        return Ok(());
    }
    warn!(delivery = %id, channel = %current.row.channel, "the process ended twice while this was being attempted: it is dead");
    index.lock().seize(&[Sought::of(&current)]);
    let row = Row {
        status: Status::Dead,
        due: None,
        is_cancelled: false,
        ..current.row.clone()
    };
    let step = Step {
        row,
        cause: Cause::CrashedHost,
        at,
        attempt: None,
        wire: None,
    };
    let (_, filed) = current.step(group, &step)?;
    group.settled(filed);
    Ok(())
}
