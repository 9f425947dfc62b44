//! Claiming: taking what is ready for a channel, each delivery under a lease.

use std::num::NonZeroU32;
use std::sync::Arc;

use tracing::error;
use wharf_core::failover::{Failover, Failures};
use wharf_core::retry::Budget;
use wharf_core::route::Planned;
use wharf_core::{ChannelName, DeliveryId, Message, MessageSeq, Status, TimeMs, WireForm};

use crate::error::{Malformed, ReadError};
use crate::index::{QueueAt, Taken};
use crate::lease::Lease;
use crate::limits::PAGES_A_CLAIM_MAX;
use crate::read::{Chunks, Rows, Snapshot, TailReader};
use crate::store::Store;
use crate::table::chunk;
use crate::table::tails::Place;

/// A delivery to attempt.
#[derive(Debug)]
pub struct Claim {
    /// The right to attempt it.
    pub lease: Lease,
    /// What is delivered.
    pub message: Arc<Message>,
    /// The route that asked for it.
    pub route: Arc<str>,
    /// Its stored status: queued or retrying.
    pub status: Status,
    /// Attempts made so far.
    pub attempts_count: u32,
    /// What an earlier attempt sent, to be sent again as it is.
    pub wire: Option<WireForm>,
    /// Someone asked to cancel it during an attempt that never settled: settle it as cancelled instead.
    pub is_cancelled: bool,
    /// How often it was redriven under a new idempotency key.
    pub key_generation: u32,
    /// What its attempts are held against.
    pub budget: Budget,
    /// What its failures are held against, where another channel stands in for this one. Settled as superseded, that one's
    /// turn comes in the same commit.
    pub failover: Option<Failover>,
    /// An earlier one of its ordering key keeps it back, and there is no memory for it to wait in: it is to be deferred, not
    /// attempted.
    pub is_behind: bool,
    pub(crate) is_redriven: bool,
}

/// What a claim gives.
#[derive(Debug)]
#[must_use = "dropping claims makes their deliveries ready again"]
pub enum Claims {
    /// To be attempted.
    Ready(Vec<Claim>),
    /// To be put on disk by [`Store::persist_claims`], and then attempted. The last stop was unclean, and what was ready
    /// at the start has not all been tried. Never empty.
    Careful(Unpersisted),
}

/// Claims that nobody gets at until they are on disk.
#[derive(Debug)]
#[must_use = "dropping claims makes their deliveries ready again"]
pub struct Unpersisted(pub(crate) Vec<Claim>);

impl Unpersisted {
    /// The deliveries that are to be attempted.
    pub fn deliveries(&self) -> impl Iterator<Item = DeliveryId> {
        self.to_attempt().map(Lease::delivery)
    }

    /// The leases of those.
    pub(crate) fn to_attempt(&self) -> impl Iterator<Item = &Lease> {
        let to_attempt = self.0.iter().filter(|claim| !claim.is_behind);
        to_attempt.map(|claim| &claim.lease)
    }
}

/// What a claim is made of, read from the file.
struct Loaded {
    message: Arc<Message>,
    planned: Vec<Planned>,
}

impl Claim {
    /// What every attempt carries, so that the receiver knows it again: the message id, until a redrive asks for
    /// another one.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        match self.key_generation {
            0 => self.message.id.to_string(),
            // No id has this character, so that it is no other message's key.
            generation => format!("{}~{generation}", self.message.id),
        }
    }
}

impl Store {
    /// Takes up to `max` ready deliveries of a channel, the longest waiting first; what fell due by `now` counts
    /// as ready. None where nothing is: [`Store::ready`] sleeps until something may be.
    ///
    /// After an unclean stop a delivery that was being attempted then is handed out before the others and alone: while
    /// it is out no channel gets anything, and a channel that has one gets it once nothing else is out.
    ///
    /// Reads the file only for messages that are not in memory. A delivery that cannot be read is logged and kept
    /// back until a restart ([`wharf_core::invariant::Spread::blocked`]), and the others are handed out. An error is
    /// one of the whole file; every lease is given back.
    pub fn claim(
        &self,
        channel: &ChannelName,
        max: usize,
        now: TimeMs,
    ) -> Result<Claims, ReadError> {
        self.shared.with_database(|_| Ok(()))?;
        let at = self.index().lock().queue(channel);
        let mut pages = 0..PAGES_A_CLAIM_MAX;
        while max > 0 && pages.next().is_some() && self.load(at, now)? {}
        let (taken, is_careful) = self.take(at, max, now);
        // Made before anything can fail: from here on the guards give back what is not handed out.
        let leased: Vec<_> = taken
            .into_iter()
            .map(|taken| (Lease::new(self.index(), &taken, channel), taken))
            .collect();
        let needs_reading = |(_, taken): &(Lease, Taken)| taken.has_row || taken.resident.is_none();
        let claims: Vec<_> = if leased.iter().any(needs_reading) {
            self.read(|snapshot| read(snapshot, leased))?
        } else {
            let leased = leased.into_iter();
            leased
                .filter_map(|(lease, taken)| resident(lease, taken))
                .collect()
        };
        let claims = self.in_order(at, claims)?;
        Ok(if is_careful && !claims.is_empty() {
            Claims::Careful(Unpersisted(claims))
        } else {
            Claims::Ready(claims)
        })
    }
}

impl Store {
    /// Takes what is in memory, and says whether it is to be put on disk first.
    fn take(&self, at: QueueAt, max: usize, now: TimeMs) -> (Vec<Taken>, bool) {
        let (taken, is_careful, promoted_count, wake, next_due) = {
            let mut index = self.index().lock();
            let promoted_count = index.promote(at, now);
            let taken = index.take(at, max, now);
            let is_careful = index.is_careful(at);
            let (wake, next_due) = (index.wake(), index.next_due());
            (taken, is_careful, promoted_count, wake, next_due)
        };
        wake.all();
        if promoted_count > 0 {
            self.shared.tell_next_due(next_due);
        }
        (taken, is_careful)
    }
}

/// The claim of a delivery that is new and whose message is in memory.
fn resident(lease: Lease, taken: Taken) -> Option<Claim> {
    let resident = taken.resident?;
    Some(Found::new(resident.message, resident.route, resident.failover).under(lease))
}

/// Claims what can be read. An unreadable delivery is kept back, so that it does not stop the ones behind it.
fn read(snapshot: &Snapshot, leased: Vec<(Lease, Taken)>) -> Result<Vec<Claim>, ReadError> {
    let mut reader = Reader {
        tails: snapshot.tail_reader(),
        chunks: snapshot.chunks()?,
        rows: snapshot.rows()?,
        last: None,
    };
    let mut claims = Vec::with_capacity(leased.len());
    for (mut lease, taken) in leased {
        match reader.read(taken) {
            Ok(found) => {
                lease.status = found.status;
                lease.has_wire = found.wire.is_some();
                claims.push(found.under(lease));
            }
            Err(ReadError::Malformed(cause)) => {
                error!(
                    delivery = %lease.delivery(),
                    channel = %lease.channel(),
                    error = &cause as &dyn std::error::Error,
                    "a delivery cannot be read and is kept back until a restart"
                );
                lease.stick();
            }
            Err(cause @ (ReadError::File(_) | ReadError::Closed)) => return Err(cause),
        }
    }
    Ok(claims)
}

/// A claim without its lease.
struct Found {
    message: Arc<Message>,
    route: Arc<str>,
    status: Status,
    attempts_count: u32,
    wire: Option<WireForm>,
    is_cancelled: bool,
    key_generation: u32,
    budget: Budget,
    failover: Option<Failover>,
    is_redriven: bool,
}

impl Found {
    /// Of a delivery that no attempt or command has been about.
    fn new(message: Arc<Message>, route: Arc<str>, failover: Option<NonZeroU32>) -> Self {
        let budget = Budget {
            attempts_before: 0,
            began_at: message.accepted_at,
        };
        Self {
            message,
            route,
            status: Status::Queued,
            attempts_count: 0,
            wire: None,
            is_cancelled: false,
            key_generation: 0,
            budget,
            failover: failover.map(|after| Failover {
                after,
                failures: Failures::default(),
            }),
            is_redriven: false,
        }
    }

    fn under(self, mut lease: Lease) -> Claim {
        lease.has_reserve = self.failover.is_some();
        Claim {
            lease,
            message: self.message,
            route: self.route,
            status: self.status,
            attempts_count: self.attempts_count,
            wire: self.wire,
            is_cancelled: self.is_cancelled,
            key_generation: self.key_generation,
            budget: self.budget,
            failover: self.failover,
            is_behind: false,
            is_redriven: self.is_redriven,
        }
    }
}

struct Reader<'a> {
    tails: TailReader<'a>,
    chunks: Chunks,
    rows: Rows,
    /// Deliveries of one message mostly follow each other.
    last: Option<(MessageSeq, Loaded)>,
}

impl Reader<'_> {
    fn read(&mut self, taken: Taken) -> Result<Found, ReadError> {
        let id = taken.id;
        let mut found = match taken.resident {
            Some(resident) => Found::new(resident.message, resident.route, resident.failover),
            None => self.load(id)?,
        };
        if taken.has_row {
            let row = self.rows.row(id)?;
            // Its settle will need the tail: what cannot be recorded is not sent.
            if self.tails.tail(id)?.place != Place::Delivery(row.status, true) {
                return Err(Malformed("a delivery's row and its tail differ").into());
            }
            (found.status, found.attempts_count) = (row.status, row.attempts_count);
            found.is_cancelled = row.is_cancelled;
            found.key_generation = row.key_generation;
            found.is_redriven = row.redriven.is_some();
            found.budget = row.redriven.unwrap_or(found.budget);
            if let Some(failover) = &mut found.failover {
                failover.failures = row.failures;
            }
            if row.has_wire {
                found.wire = Some(self.rows.wire(id)?);
            }
        }
        Ok(found)
    }

    fn load(&mut self, id: DeliveryId) -> Result<Found, ReadError> {
        let loaded = match self.last.take() {
            Some((seq, loaded)) if seq == id.message() => loaded,
            _ => {
                let stored = self.chunks.with(id.message(), chunk::decode)?;
                Loaded {
                    planned: stored.planned,
                    message: Arc::new(stored.message),
                }
            }
        };
        let mut planned = loaded.planned.iter().skip(usize::from(id.place()));
        let (own, next) = (planned.next(), planned.next());
        let failover = next.and_then(|next| next.after);
        let found = own.map(|own| Found::new(loaded.message.clone(), own.route.clone(), failover));
        self.last = Some((id.message(), loaded));
        Ok(found.ok_or(Malformed("a delivery is not in its message's plan"))?)
    }
}
