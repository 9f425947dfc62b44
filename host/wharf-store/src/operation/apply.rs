//! Applying status updates: in one commit the delivery's step or the conflict is journalled and the update leaves the
//! queue. Cut off, neither has happened, so an update counts once.

use rustc_hash::FxHashSet;
use serde::Serialize;
use wharf_core::journal::Attempt;
use wharf_core::update::{self, Known, Report, Subject, Target, Verdict};
use wharf_core::{Cause, Cursor, DeliveryId, MessageSeq, Status, TimeMs, Update};

use crate::error::{ReadError, UpdateError};
use crate::group::Group;
use crate::index::{Hold, SharedIndex, Sought};
use crate::limits::UPDATE_HELD_WAIT;
use crate::operation::park::{self, Park, Parked};
use crate::operation::updates::Place;
use crate::options::Planted;
use crate::request::Write;
use crate::step::{Current, Found, Step};
use crate::store::Store;
use crate::table::alias::Alias;
use crate::table::delivery::Row;
use crate::table::{attempt, update as table};

/// A request to apply an update that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apply {
    /// Which one.
    pub place: Place,
    /// When it is tried again if it cannot be applied now; none where it is parked then.
    pub again: Option<TimeMs>,
    /// When.
    pub at: TimeMs,
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The delivery stands there now, with this journal row.
    Recorded {
        /// The delivery.
        delivery: DeliveryId,
        /// The row.
        row: Cursor,
        /// Its status.
        to: Status,
    },
    /// It said what was known.
    Known(DeliveryId),
    /// The delivery had ended otherwise, and stays so; this journal row says what was claimed.
    Conflict {
        /// The delivery.
        delivery: DeliveryId,
        /// The row.
        row: Cursor,
        /// Its status.
        status: Status,
    },
    /// The delivery is being attempted. The update waits until that ends.
    Held(DeliveryId),
    /// It cannot be applied yet, and stands there now.
    Again(Place),
    /// It never could be, and is parked under this number.
    Parked {
        /// The number.
        number: u64,
        /// Why.
        reason: String,
    },
    /// It is not there: it was applied before.
    Gone,
}

/// A request whose message id was looked up.
pub(crate) struct Asked {
    apply: Apply,
    /// The message, where the update names its id, and it is known.
    seq: Option<MessageSeq>,
}

impl Store {
    /// Applies updates in one commit, and answers for each, in order, once it is on disk. Of two about the same delivery the
    /// second waits for another call.
    pub async fn apply(&self, batch: Vec<Apply>) -> Result<Vec<Applied>, UpdateError> {
        let asked = batch.into_iter().map(|apply| {
            let seq = self.look_up_update(apply.place)?;
            Ok(Asked { apply, seq })
        });
        let asked: Vec<_> = asked.collect::<Result<_, _>>().map_err(UpdateError::Find)?;
        let bytes = asked.len() * size_of::<Asked>();
        let applied = self.write(asked, bytes, Write::Apply).await;
        applied.map_err(UpdateError::Write)
    }

    fn look_up_update(&self, place: Place) -> Result<Option<MessageSeq>, ReadError> {
        let id = self.read(|snapshot| {
            let table = snapshot.tx().open_table(table::TABLE)?;
            let value = redb::ReadableTable::get(&table, table::key(place))?;
            let update = value.and_then(|value| table::decode(value.value()).ok());
            Ok(update.and_then(|(update, _)| update.target.id))
        })?;
        match id {
            Some(id) => self.read_id(&id, |_, entry| Ok(entry.seq)),
            None => Ok(None),
        }
    }
}

/// The writer's part.
pub(crate) fn apply(
    group: &mut Group<'_>,
    index: &SharedIndex,
    batch: &[Asked],
) -> Result<Vec<Applied>, ReadError> {
    let mut met = FxHashSet::default();
    let applied = batch.iter().map(|asked| one(group, index, asked, &mut met));
    applied.collect()
}

fn one(
    group: &mut Group<'_>,
    index: &SharedIndex,
    Asked { apply, seq }: &Asked,
    met: &mut FxHashSet<DeliveryId>,
) -> Result<Applied, ReadError> {
    let Some((update, tries)) = read(group, apply.place)? else {
        return Ok(Applied::Gone);
    };
    let queued = Queued {
        apply,
        update: &update,
        tries,
    };
    let Some(known) = update.target.known() else {
        return queued.park(group, TOO_LITTLE.to_owned());
    };
    let found = find(group, &update, known, *seq);
    let id = match found {
        Ok(Some(id)) => id,
        Ok(None) => return queued.wait(group, || unknown(known, &update)),
        Err(ReadError::Malformed(cause)) => {
            return queued.wait(group, || {
                format!("what it is about cannot be read: {cause}")
            });
        }
        Err(cause) => return Err(cause),
    };
    let mut current = match Current::find(group, id)? {
        Found::Current(current) => current,
        Found::Unknown => return queued.wait(group, || unknown(known, &update)),
        Found::Unreadable(cause) => {
            return queued.wait(group, || format!("its delivery cannot be read: {cause}"));
        }
    };
    // What this commit has changed the index does not know yet.
    if !met.insert(id) {
        return Ok(Applied::Held(id));
    }
    match index.lock().await_lease(apply.place.number, id) {
        Hold::Free => {}
        Hold::Awaited => return Ok(Applied::Held(id)),
        Hold::Full => return queued.put_off(group, apply.at.after(UPDATE_HELD_WAIT)),
    }
    current.keep_order(index);
    let subject = Subject {
        status: current.row.status,
        attempts_count: current.row.attempts_count,
        due: current.row.due,
        token: current.row.token.as_deref(),
    };
    let status = subject.status;
    match update::judge(update.report.status, subject) {
        Verdict::Step(transition) => {
            // From here to the commit nobody can claim it.
            index.lock().seize(&[Sought::of(&current)]);
            let (to, facts) = (transition.to, queued.facts(subject.attempts_count, None));
            let row = Row {
                status: to,
                due: transition.due,
                token: transition.token,
                has_wire: current.row.has_wire && Row::keeps_wire(to),
                is_cancelled: current.row.is_cancelled && !to.is_final(),
                ..current.row.clone()
            };
            let step = Step {
                row,
                cause: transition.cause,
                at: apply.at,
                attempt: Some(&facts),
                wire: None,
            };
            let (row, filed) = current.step(group, &step)?;
            if index.lock().unclaim(id) {
                group.unclaim(id)?;
            }
            if status.is_sendable() {
                group.settled(filed);
            } else {
                // Nobody could claim it.
                group.refiled(&current.row.channel, filed);
            }
            queued.leave(group)?;
            Ok(Applied::Recorded {
                delivery: id,
                row,
                to,
            })
        }
        Verdict::Known => {
            queued.leave(group)?;
            Ok(Applied::Known(id))
        }
        Verdict::Conflict => {
            let last = current.last_row(group)?;
            let said = last.as_ref().and_then(|row| row.attempt.as_deref());
            let code = update.report.status.conflict_code();
            let is_known = last
                .as_ref()
                .is_some_and(|row| row.cause == Cause::Conflict)
                && said.is_some_and(|said| said.code.as_deref() == Some(code));
            if is_known {
                queued.leave(group)?;
                return Ok(Applied::Known(id));
            }
            let attempts_count = said.map_or(0, |said| said.number);
            let facts = queued.facts(attempts_count.max(subject.attempts_count), Some(code));
            let row = current.note(group, Cause::Conflict, apply.at, &facts)?;
            queued.leave(group)?;
            Ok(Applied::Conflict {
                delivery: id,
                row,
                status,
            })
        }
        Verdict::Unsent => queued.wait(group, || {
            format!("its delivery is {status} and was not sent, as far as is recorded")
        }),
    }
}

/// Why an update that names nothing is parked.
const TOO_LITTLE: &str =
    "it names no delivery: an update takes an id, a token, or sender and sender_ref";

fn unknown(known: Known<'_>, update: &Update) -> String {
    let channel = &update.channel;
    match known {
        Known::Id(id) => format!("no message {id} has a delivery on channel {channel}"),
        Known::Token(_) => format!("no delivery on channel {channel} is known by its token"),
        Known::Reference(sender, sender_ref) => format!(
            "no message of sender {sender:?} with sender_ref {sender_ref:?} has a delivery on channel {channel}"
        ),
    }
}

fn read(group: &Group<'_>, place: Place) -> Result<Option<(Update, u32)>, ReadError> {
    let table = group.tx.open_table(table::TABLE)?;
    let value = redb::ReadableTable::get(&*table, table::key(place))?;
    Ok(value
        .map(|value| table::decode(value.value()))
        .transpose()?)
}

/// The delivery that an update is about.
fn find(
    group: &mut Group<'_>,
    update: &Update,
    known: Known<'_>,
    seq: Option<MessageSeq>,
) -> Result<Option<DeliveryId>, ReadError> {
    let candidates = match known {
        Known::Id(_) => seq.into_iter().collect(),
        Known::Token(token) => {
            let alias = Alias::token(group.ids.key(), &update.channel, token);
            return Ok(group.aliases()?.find(alias)?.first().copied());
        }
        Known::Reference(sender, sender_ref) => {
            let alias = Alias::reference(group.ids.key(), (sender, sender_ref));
            let found = group.aliases()?.find(alias)?;
            found
                .into_iter()
                .map(DeliveryId::message)
                .collect::<Vec<_>>()
        }
    };
    for seq in candidates {
        for id in group.deliveries(seq)? {
            if let Some((slot, _)) = group.tail(id)?
                && group.channel(slot)? == update.channel
            {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}

/// What is parked of an update: what it was sent as, so that it can be sent again.
#[derive(Serialize)]
struct Content<'a> {
    channel: &'a str,
    #[serde(flatten)]
    target: &'a Target,
    #[serde(flatten)]
    report: &'a Report,
}

/// An update in the queue, while it is applied.
struct Queued<'a> {
    apply: &'a Apply,
    update: &'a Update,
    tries: u32,
}

impl Queued<'_> {
    /// What the journal says of it, encoded: after how many attempts, and the code where it is not the sender's own.
    fn facts(&self, attempts_count: u32, code: Option<&str>) -> Vec<u8> {
        let Update {
            report,
            received_at,
            ..
        } = self.update;
        let facts = Attempt {
            number: attempts_count,
            started_at: *received_at,
            code: code.or(report.code.as_deref()).map(str::to_owned),
            reason: report.reason.clone(),
            reference: report.reference.clone(),
            notes: report.notes.clone(),
            ..Attempt::default()
        };
        let mut encoded = Vec::new();
        attempt::encode(&facts, &mut encoded);
        encoded
    }

    /// It has been applied.
    fn leave(&self, group: &mut Group<'_>) -> Result<(), ReadError> {
        if group.planted == Planted::KeepUpdate {
            return Ok(());
        }
        let mut table = group.tx.open_table(table::TABLE)?;
        table.remove(table::key(self.apply.place))?;
        drop(table);
        group.updates_changed();
        Ok(())
    }

    /// It cannot be applied yet, or ever.
    fn wait(
        &self,
        group: &mut Group<'_>,
        reason: impl FnOnce() -> String,
    ) -> Result<Applied, ReadError> {
        match self.apply.again {
            Some(due) => self.put_off(group, due),
            None => self.park(group, reason()),
        }
    }

    fn put_off(&self, group: &mut Group<'_>, due: TimeMs) -> Result<Applied, ReadError> {
        let place = Place {
            due,
            ..self.apply.place
        };
        let value = table::encode(self.update, self.tries.saturating_add(1));
        let mut table = group.tx.open_table(table::TABLE)?;
        table.remove(table::key(self.apply.place))?;
        table.insert(table::key(place), value.as_slice())?;
        drop(table);
        group.updates_changed();
        Ok(Applied::Again(place))
    }

    fn park(&self, group: &mut Group<'_>, reason: String) -> Result<Applied, ReadError> {
        let content = Content {
            channel: self.update.channel.as_str(),
            target: &self.update.target,
            report: &self.update.report,
        };
        let content = serde_json::to_vec(&content).expect("texts and numbers are JSON");
        let parked = Parked {
            source: format!("updates/{}", self.update.channel),
            reason: reason.clone(),
            at: self.apply.at,
            content_type: "application/json".to_owned(),
            content,
        };
        let number = park::apply(group, &Park::new(parked))?;
        self.leave(group)?;
        Ok(Applied::Parked { number, reason })
    }
}
