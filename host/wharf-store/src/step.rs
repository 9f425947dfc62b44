//! A step of a delivery: everything that is written when its status changes, or when it is made after its message was,
//! whichever command does it.

use redb::ReadableTable;
use wharf_core::journal::{self, Subject};
use wharf_core::order;
use wharf_core::retry::Budget;
use wharf_core::{Cause, ChannelName, Cursor, DeliveryId, Status, TimeMs};

use crate::error::{Malformed, ReadError};
use crate::group::{Filed, Group, SlotAt};
use crate::index::SharedIndex;
use crate::options::Planted;
use crate::stand::Stand;
use crate::table::alias::Alias;
use crate::table::delivery::Row;
use crate::table::journal::Draft;
use crate::table::order::Stored;
use crate::table::tails::{Place, Tail};

/// A delivery as it stands in the commit that is being made.
pub(crate) struct Current {
    pub(crate) id: DeliveryId,
    /// What its row says; where it has none, what that would say.
    pub(crate) row: Row,
    had_row: bool,
    slot: SlotAt,
    last: Cursor,
    /// How it takes part in its channel's order, where its lease knows.
    pub(crate) ordered: Option<Ordered>,
    /// How its channel keeps its order, where somebody has asked.
    policy: Option<order::Policy>,
}

/// How a delivery takes part in its channel's order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ordered {
    /// Of its key.
    pub(crate) hash: u128,
    pub(crate) policy: order::Policy,
    /// It was never let through: earlier ones may be ahead of it that have no row.
    pub(crate) is_behind: bool,
}

/// What a command finds that names a delivery by its number.
pub(crate) enum Found {
    /// The delivery.
    Current(Current),
    /// There is no such one.
    Unknown,
    /// What is stored of it cannot be read. That is no reason to fail the commit, and the store with it.
    Unreadable(Malformed),
}

/// A delivery that is made after its message was accepted, in the slot that the message has for it.
pub(crate) struct Made<'a> {
    pub(crate) id: DeliveryId,
    pub(crate) slot: SlotAt,
    pub(crate) channel: &'a ChannelName,
    /// The row that led here.
    pub(crate) previous: Cursor,
    pub(crate) cause: Cause,
    pub(crate) at: TimeMs,
    pub(crate) due: Option<TimeMs>,
}

impl Made<'_> {
    /// Writes it as queued. Its budget begins now. It gets a row of its own: what is new has none, but has a number behind
    /// those that are known to wait.
    pub(crate) fn write(self, group: &mut Group<'_>) -> Result<(), ReadError> {
        let Self { id, channel, .. } = self;
        let subject = Subject::Delivery {
            id,
            from: None,
            to: Status::Queued,
        };
        let last = group.journal(&Draft {
            previous: Some(self.previous),
            subject,
            cause: self.cause,
            at: self.at,
            due: self.due,
            attempt: None,
        })?;
        let row = Row {
            due: self.due,
            redriven: Some(Budget {
                attempts_before: 0,
                began_at: self.at,
            }),
            ..Row::new(Status::Queued, channel.clone())
        };
        debug_assert!(row.is_needed(), "what has a row needs it");
        group.delivery.insert(id.0, row.encode().as_slice())?;
        let place = Place::Delivery(Status::Queued, true);
        group.set_tail(self.slot, Tail { place, last });
        let stand = Stand {
            has_row: true,
            due: self.due,
            ..Stand::OPEN
        };
        group.stands(channel, id, None, stand)?;
        let filed = Filed {
            id,
            stand,
            // Its budget began now, so it takes no part in the order.
            holds_key: false,
        };
        group.refiled(channel, filed);
        Ok(())
    }
}

/// How it goes on.
pub(crate) struct Step<'a> {
    /// Its row afterwards.
    pub(crate) row: Row,
    pub(crate) cause: Cause,
    pub(crate) at: TimeMs,
    /// The attempt that led here, encoded.
    pub(crate) attempt: Option<&'a [u8]>,
    /// A wire form to store, encoded; where the row has one and this is none, the stored one stays.
    pub(crate) wire: Option<&'a [u8]>,
}

impl Current {
    /// A leased delivery, whose channel is known.
    pub(crate) fn leased(
        group: &mut Group<'_>,
        id: DeliveryId,
        channel: &ChannelName,
    ) -> Result<Self, ReadError> {
        let current = Self::read(group, id, |_, _| Ok(channel.clone()))?;
        current.ok_or(Malformed("a delivery has no tail").into())
    }

    /// Any delivery.
    pub(crate) fn find(group: &mut Group<'_>, id: DeliveryId) -> Result<Found, ReadError> {
        match Self::read(group, id, |group, slot| group.channel(slot)) {
            Ok(Some(current)) => Ok(Found::Current(current)),
            Ok(None) => Ok(Found::Unknown),
            Err(ReadError::Malformed(cause)) => Ok(Found::Unreadable(cause)),
            Err(cause) => Err(cause),
        }
    }

    fn read(
        group: &mut Group<'_>,
        id: DeliveryId,
        channel: impl FnOnce(&Group<'_>, SlotAt) -> Result<ChannelName, ReadError>,
    ) -> Result<Option<Self>, ReadError> {
        let Some((slot, tail)) = group.tail(id)? else {
            return Ok(None);
        };
        let Place::Delivery(status, had_row) = tail.place else {
            return Ok(None);
        };
        let row = if had_row {
            row(group, id)?
        } else {
            Row::new(status, channel(group, slot)?)
        };
        if row.status != status {
            return Err(Malformed("a delivery's row and its tail differ").into());
        }
        Ok(Some(Self {
            id,
            row,
            had_row,
            slot,
            last: tail.last,
            ordered: None,
            policy: None,
        }))
    }

    /// Has what it does to its channel's order judged now, not by the next claim: those that wait in memory are let go by
    /// nobody else.
    pub(crate) fn keep_order(&mut self, index: &SharedIndex) {
        let mut index = index.lock();
        let at = index.queue(&self.row.channel);
        self.policy = index.order(at).map(|(policy, _)| policy);
    }

    /// Where it stands.
    pub(crate) fn stand(&self) -> Stand {
        Stand {
            status: self.row.status,
            has_row: self.had_row,
            due: self.row.due,
        }
    }

    /// Flags it to be cancelled instead of being tried again. No step: its journal is as it was.
    pub(crate) fn flag(self, group: &mut Group<'_>) -> Result<(), ReadError> {
        let row = Row {
            is_cancelled: true,
            ..self.row.clone()
        };
        self.rewrite(group, &row, None).map(drop)
    }

    /// Writes its row anew, with the same status, and a wire form where one is to be stored, encoded. No step: its journal
    /// is as it was. Returns where it stands then.
    pub(crate) fn rewrite(
        &self,
        group: &mut Group<'_>,
        row: &Row,
        wire: Option<&[u8]>,
    ) -> Result<Filed, ReadError> {
        debug_assert_eq!(row.status, self.row.status, "that would be a step");
        let stand = Stand {
            status: row.status,
            has_row: true,
            due: row.due,
        };
        group.stands(&self.row.channel, self.id, Some(self.stand()), stand)?;
        if let Some(form) = wire {
            group.wire.insert(self.id.0, form)?;
        }
        group.delivery.insert(self.id.0, row.encode().as_slice())?;
        let place = Place::Delivery(row.status, true);
        let last = self.last;
        group.set_tail(self.slot, Tail { place, last });
        self.name(group, row)?;
        let (id, holds_key) = (self.id, self.orders(group, row)?);
        Ok(Filed {
            id,
            stand,
            holds_key,
        })
    }

    /// Writes the step; returns its journal row, and where the delivery stands then. What that means for the index is for
    /// the caller to say.
    pub(crate) fn step(
        &self,
        group: &mut Group<'_>,
        step: &Step<'_>,
    ) -> Result<(Cursor, Filed), ReadError> {
        let (from, to) = (self.row.status, step.row.status);
        debug_assert!(Status::allows(Some(from), to), "no step {from} -> {to}");
        let subject = Subject::Delivery {
            id: self.id,
            from: Some(from),
            to,
        };
        let last = group.journal(&Draft {
            previous: Some(self.last),
            subject,
            cause: step.cause,
            at: step.at,
            due: step.row.due,
            attempt: step.attempt,
        })?;
        let has_row = step.row.is_needed();
        if group.planted != Planted::DropAcknowledgement {
            self.write(group, step, has_row, last)?;
        }
        self.name(group, &step.row)?;
        let stand = Stand {
            status: to,
            has_row,
            due: step.row.due,
        };
        group.stands(&self.row.channel, self.id, Some(self.stand()), stand)?;
        let (id, holds_key) = (self.id, self.orders(group, &step.row)?);
        let filed = Filed {
            id,
            stand,
            holds_key,
        };
        Ok((last, filed))
    }

    /// Its last journal row, as far as that was committed before and is kept.
    pub(crate) fn last_row(&self, group: &Group<'_>) -> Result<Option<journal::Row>, ReadError> {
        group.row(self.last)
    }

    /// Journals something about a delivery that stays where it is; returns its row.
    pub(crate) fn note(
        &self,
        group: &mut Group<'_>,
        cause: Cause,
        at: TimeMs,
        facts: &[u8],
    ) -> Result<Cursor, ReadError> {
        let status = self.row.status;
        let last = group.journal(&Draft {
            previous: Some(self.last),
            subject: Subject::Delivery {
                id: self.id,
                from: Some(status),
                to: status,
            },
            cause,
            at,
            due: self.row.due,
            attempt: Some(facts),
        })?;
        let place = Place::Delivery(status, self.had_row);
        group.set_tail(self.slot, Tail { place, last });
        Ok(last)
    }

    /// Has it found by the token that it is polled with from now on, and not by another one. What has none any more is found by
    /// its last one.
    fn name(&self, group: &mut Group<'_>, row: &Row) -> Result<(), ReadError> {
        let (Some(token), before) = (&row.token, &self.row.token) else {
            return Ok(());
        };
        if before.as_ref() == Some(token) {
            return Ok(());
        }
        let alias = |group: &Group<'_>, token: &str| {
            Alias::token(group.ids.key(), &self.row.channel, token)
        };
        if let Some(before) = before {
            let before = alias(group, before);
            group.aliases()?.remove(before, self.id)?;
        }
        let token = alias(group, token);
        group.aliases()?.add(token, self.id)
    }

    /// Notes what its row from now on means for its channel's order.
    fn orders(&self, group: &mut Group<'_>, row: &Row) -> Result<bool, ReadError> {
        // Where nobody says how the order is kept, what was given up is left for the claim to judge.
        let policy = self.ordered.map(|ordered| ordered.policy).or(self.policy);
        let policy = policy.unwrap_or(order::Policy {
            on_dead: order::OnDead::Block,
            ..order::Policy::default()
        });
        let hash = self.ordered.map(|ordered| ordered.hash);
        // What was redriven has left the order.
        let hold = order::holds(row.status, policy).filter(|_| row.redriven.is_none());
        let is_behind = self.ordered.is_some_and(|ordered| ordered.is_behind);
        let hold = hold.map(|hold| match hold {
            order::Hold::Waits if is_behind => Stored::Behind,
            order::Hold::Waits => Stored::Waits,
            order::Hold::Dead => Stored::Dead,
        });
        group.orders(&self.row.channel, self.id, hash, hold)
    }

    /// Writes where it stands then.
    fn write(
        &self,
        group: &mut Group<'_>,
        step: &Step<'_>,
        has_row: bool,
        last: Cursor,
    ) -> Result<(), ReadError> {
        match step.wire {
            Some(form) if step.row.has_wire => {
                group.wire.insert(self.id.0, form)?;
            }
            _ if self.row.has_wire && !step.row.has_wire => {
                group.wire.remove(self.id.0)?;
            }
            _ => {}
        }
        if has_row {
            let mut row = step.row.clone();
            if group.planted == Planted::ForgetDue {
                row.due = None;
            }
            group.delivery.insert(self.id.0, row.encode().as_slice())?;
        } else if self.had_row {
            group.delivery.remove(self.id.0)?;
        }
        let place = Place::Delivery(step.row.status, has_row);
        group.set_tail(self.slot, Tail { place, last });
        Ok(())
    }
}

fn row(group: &Group<'_>, id: DeliveryId) -> Result<Row, ReadError> {
    let value = group
        .delivery
        .get(id.0)?
        .ok_or(Malformed("a delivery has no row"))?;
    Ok(Row::decode(value.value())?)
}
