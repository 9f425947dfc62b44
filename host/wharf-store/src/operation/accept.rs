//! Accepting messages: de-duplication, message, deliveries and first journal rows, in one commit.

use std::sync::Arc;

use bytes::Bytes;
use wharf_core::journal::{Attempt, Subject};
use wharf_core::limits::DELIVERIES_COUNT_MAX;
use wharf_core::message::ContentHash;
use wharf_core::route::Planned;
use wharf_core::{
    Cause, DeliveryId, HashKey, Message, MessageSeq, Standing, Status, TimeMs, update,
};

use crate::error::{Malformed, ReadError, WriteError};
use crate::group::{Filed, Group};
use crate::index::Index;
use crate::request::Write;
use crate::stand::Stand;
use crate::store::Store;
use crate::table::alias::Alias;
use crate::table::attempt;
use crate::table::chunk;
use crate::table::delivery::Row;
use crate::table::id_entry::{Entry, IdHash};
use crate::table::journal::Draft;
use crate::table::tails::{Place, Tail};

/// A message to accept, with the deliveries that it gets.
#[derive(Clone, Debug)]
pub struct Accept {
    /// The message. Its `accepted_at` is when the rows say it happened.
    pub message: Message,
    /// Its deliveries, those in reserve among them, at most [`DELIVERIES_COUNT_MAX`]. None of them: the message is
    /// unroutable.
    pub planned: Vec<Planned>,
    /// Why none were planned, where there is more to say than that no route matched.
    pub unrouted: Option<Box<Unrouted>>,
}

/// Why a router planned nothing for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrouted {
    /// What the journal says.
    pub cause: Cause,
    /// What the router said.
    pub facts: Attempt,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is new, and on disk.
    New {
        /// Its number.
        seq: MessageSeq,
        /// How many deliveries it has.
        deliveries_count: u16,
    },
    /// The same id was accepted before with the same content: the first answer again.
    Duplicate {
        /// The first one's number.
        seq: MessageSeq,
        /// When that was accepted.
        accepted_at: TimeMs,
        /// How many deliveries it has.
        deliveries_count: u16,
    },
    /// The same id was accepted before with other content. Nothing changed.
    Conflict {
        /// The number of the one that was accepted.
        seq: MessageSeq,
    },
}

/// A message made ready for the writer by its caller's thread: hashed and encoded.
pub(crate) struct Prepared {
    id_hash: IdHash,
    content: ContentHash,
    /// As it is stored. The parts of a batch share one allocation.
    pub(crate) part: Bytes,
    message: Arc<Message>,
    planned: Vec<Planned>,
    /// What it is found by beside its id, where its sender has a name for it.
    alias: Option<Alias>,
    /// Why there are none, and what is said of it, as it is stored.
    unrouted: Option<(Cause, Vec<u8>)>,
}

/// What the writer says of a message.
pub(crate) enum Verdict {
    New {
        seq: MessageSeq,
        deliveries_count: u16,
    },
    Same {
        seq: MessageSeq,
    },
    Other {
        seq: MessageSeq,
    },
    Unreadable(Malformed),
}

impl Store {
    /// Accepts messages in one commit, and answers for each, in order, once it is on disk. Duplicates within the
    /// batch and within the commit are found too.
    ///
    /// # Panics
    /// Where a message has more than [`DELIVERIES_COUNT_MAX`] deliveries.
    pub async fn accept(&self, batch: Vec<Accept>) -> Result<Vec<Accepted>, WriteError> {
        let prepared = prepare(batch, self.ids().key());
        let bytes = prepared.iter().map(Prepared::bytes).sum();
        let verdicts = self.write(prepared, bytes, Write::Accept).await?;
        verdicts
            .into_iter()
            .map(|verdict| self.answer(verdict))
            .collect()
    }

    fn answer(&self, verdict: Verdict) -> Result<Accepted, WriteError> {
        Ok(match verdict {
            Verdict::New {
                seq,
                deliveries_count,
            } => Accepted::New {
                seq,
                deliveries_count,
            },
            Verdict::Other { seq } => Accepted::Conflict { seq },
            Verdict::Unreadable(cause) => return Err(WriteError::IdUnreadable(cause)),
            Verdict::Same { seq } => {
                let (accepted_at, deliveries_count) =
                    self.first_answer(seq).map_err(WriteError::FirstAnswer)?;
                Accepted::Duplicate {
                    seq,
                    accepted_at,
                    deliveries_count,
                }
            }
        })
    }

    /// Read by the caller rather than the writer, which a storm of duplicates would otherwise keep from its work.
    fn first_answer(&self, seq: MessageSeq) -> Result<(TimeMs, u16), ReadError> {
        let (accepted_at, deliveries_count) =
            self.read(|snapshot| snapshot.chunks()?.with(seq, chunk::first_answer))?;
        Ok((accepted_at, deliveries_count as u16))
    }
}

/// Makes a batch ready for the writer.
fn prepare(batch: Vec<Accept>, id_key: &HashKey) -> Vec<Prepared> {
    let room = batch.iter().map(|accept| chunk::room(&accept.message));
    let mut parts = Vec::with_capacity(room.sum());
    let mut ends = Vec::with_capacity(batch.len());
    for Accept {
        message, planned, ..
    } in &batch
    {
        chunk::encode(message, planned, Standing::Unroutable, &mut parts);
        ends.push(parts.len());
    }
    let parts = Bytes::from(parts);
    let mut start = 0;
    let prepared = batch.into_iter().zip(ends).map(|(accept, end)| {
        let part = parts.slice(std::mem::replace(&mut start, end)..end);
        Prepared::new(accept, part, id_key)
    });
    prepared.collect()
}

impl Prepared {
    fn new(
        Accept {
            message,
            planned,
            unrouted,
        }: Accept,
        part: Bytes,
        id_key: &HashKey,
    ) -> Self {
        assert!(
            planned.len() <= DELIVERIES_COUNT_MAX,
            "a message has too many deliveries"
        );
        Self {
            id_hash: IdHash::new(id_key, &message.id),
            content: message.content_hash(id_key),
            part,
            alias: update::reference(&message).map(|reference| Alias::reference(id_key, reference)),
            message: Arc::new(message),
            planned,
            unrouted: unrouted.map(|unrouted| {
                let mut facts = Vec::new();
                attempt::encode(&unrouted.facts, &mut facts);
                (unrouted.cause, facts)
            }),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.part.len() + self.unrouted.as_ref().map_or(0, |(_, facts)| facts.len())
    }

    /// Not to be sent before, where that is later than its acceptance.
    fn delay(&self) -> Option<TimeMs> {
        self.message
            .deliver_after
            .filter(|after| *after > self.message.accepted_at)
    }
}

/// The writer's part.
pub(crate) fn apply(group: &mut Group<'_>, mut prepared: Prepared) -> Result<Verdict, ReadError> {
    match group.ids.find(prepared.id_hash) {
        Ok(None) => {}
        Ok(Some(Entry { content, seq })) if content == prepared.content => {
            return Ok(Verdict::Same { seq });
        }
        Ok(Some(Entry { seq, .. })) => return Ok(Verdict::Other { seq }),
        // One id that cannot be looked up must not keep all others from being accepted.
        Err(ReadError::Malformed(cause)) => return Ok(Verdict::Unreadable(cause)),
        Err(cause) => return Err(cause),
    }
    let seq = group.state.next_seq;
    let at_once = prepared.planned.iter().filter(|one| one.after.is_none());
    let deliveries_count = at_once.count() as u16;
    let entry = Entry {
        content: prepared.content,
        seq,
    };
    group.ids.add(prepared.id_hash, entry);
    let (at, delay) = (prepared.message.accepted_at, prepared.delay());
    let planned = std::mem::take(&mut prepared.planned);
    let unrouted = prepared.unrouted.take();
    if let Some(alias) = prepared.alias {
        group.aliases()?.add(alias, DeliveryId::new(seq, 0))?;
    }
    group.add(prepared)?;
    if planned.is_empty() {
        let subject = Subject::Message {
            seq,
            standing: Standing::Unroutable,
        };
        let (cause, facts) = unrouted.unzip();
        let last = group.journal(&Draft {
            attempt: facts.as_deref(),
            ..first_row(subject, cause.unwrap_or(Cause::NoRoute), at, None)
        })?;
        group.state.counts.add_standing(Standing::Unroutable);
        let tail = Tail {
            place: Place::Message(Standing::Unroutable),
            last,
        };
        group.new_tails().slot(tail, None);
    }
    for (place, planned) in (0..).zip(&planned) {
        if planned.after.is_some() {
            group
                .new_tails()
                .slot(Tail::RESERVE, Some(&planned.channel));
            continue;
        }
        let id = DeliveryId::new(seq, place);
        let subject = Subject::Delivery {
            id,
            from: None,
            to: Status::Queued,
        };
        let last = group.journal(&first_row(subject, Cause::Accepted, at, delay))?;
        let stand = Stand {
            has_row: delay.is_some(),
            due: delay,
            ..Stand::OPEN
        };
        group.stands(&planned.channel, id, None, stand)?;
        let row = delay.map(|due| Row {
            due: Some(due),
            ..Row::new(Status::Queued, planned.channel.clone())
        });
        if let Some(row) = &row {
            debug_assert!(row.is_needed(), "what has a row needs it");
            group.delivery.insert(id.0, row.encode().as_slice())?;
        }
        let tail = Tail {
            place: Place::Delivery(Status::Queued, stand.has_row),
            last,
        };
        group.new_tails().slot(tail, Some(&planned.channel));
    }
    group.last_added(|prepared| prepared.planned = planned);
    Ok(Verdict::New {
        seq,
        deliveries_count,
    })
}

fn first_row(subject: Subject, cause: Cause, at: TimeMs, due: Option<TimeMs>) -> Draft<'static> {
    Draft {
        previous: None,
        subject,
        cause,
        at,
        due,
        attempt: None,
    }
}

/// The index's part, after the commit.
pub(crate) fn file(index: &mut Index, seq: MessageSeq, prepared: &Prepared) {
    for (place, planned) in (0..).zip(&prepared.planned) {
        if planned.after.is_some() {
            continue;
        }
        let id = DeliveryId::new(seq, place);
        let next = prepared.planned.get(usize::from(place) + 1);
        let failover = next.and_then(|next| next.after);
        let at = index.queue(&planned.channel);
        match prepared.delay() {
            Some(delay) => {
                let stand = Stand {
                    has_row: true,
                    due: Some(delay),
                    ..Stand::OPEN
                };
                index.file(
                    at,
                    &Filed {
                        id,
                        stand,
                        holds_key: false,
                    },
                );
            }
            None => index.push_new(at, id, &prepared.message, &planned.route, failover),
        }
    }
}
