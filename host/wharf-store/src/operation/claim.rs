//! Claiming: taking what is ready for a channel, each delivery under a lease.

use std::sync::Arc;

use wharf_core::{ChannelName, Message, MessageSeq, Status, TimeMs, WireForm};

use crate::error::{Malformed, ReadError};
use crate::index::Taken;
use crate::lease::Lease;
use crate::read::Snapshot;
use crate::store::Store;

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
}

/// What a claim is made of, read from the file.
struct Loaded {
    message: Arc<Message>,
    routes: Vec<Arc<str>>,
}

impl Store {
    /// Takes up to `max` ready deliveries of a channel, the longest waiting first; what fell due by `now` counts
    /// as ready. None where nothing is: [`Store::ready`] sleeps until something may be.
    ///
    /// Reads the file only for messages that are not in memory. On an error every lease is given back.
    pub fn claim(
        &self,
        channel: &ChannelName,
        max: usize,
        now: TimeMs,
    ) -> Result<Vec<Claim>, ReadError> {
        self.shared.with_database(|_| Ok(()))?;
        let (taken, promoted_count, wake, next_due) = {
            let mut index = self.index().lock();
            let promoted_count = index.promote(now);
            let at = index.queue(channel);
            let taken = index.take(at, max);
            (taken, promoted_count, index.wake(), index.next_due())
        };
        wake.all();
        if promoted_count > 0 {
            self.shared.tell_next_due(next_due);
        }
        // Made before anything can fail: from here on the guards give back what is not handed out.
        let leased: Vec<_> = taken
            .into_iter()
            .map(|taken| (Lease::new(self.index(), &taken, channel), taken))
            .collect();
        let needs_reading = |(_, taken): &(Lease, Taken)| taken.has_row || taken.resident.is_none();
        if leased.iter().any(needs_reading) {
            self.read(|snapshot| read(snapshot, leased))
        } else {
            Ok(leased
                .into_iter()
                .filter_map(|(lease, taken)| resident(lease, taken))
                .collect())
        }
    }
}

/// The claim of a delivery that is new and whose message is in memory.
fn resident(lease: Lease, taken: Taken) -> Option<Claim> {
    let resident = taken.resident?;
    Some(Claim {
        lease,
        message: resident.message,
        route: resident.route,
        status: Status::Queued,
        attempts_count: 0,
        wire: None,
    })
}

fn read(snapshot: &Snapshot, leased: Vec<(Lease, Taken)>) -> Result<Vec<Claim>, ReadError> {
    let (mut chunks, rows) = (snapshot.chunks()?, snapshot.rows()?);
    let mut last: Option<(MessageSeq, Loaded)> = None;
    let mut claims = Vec::with_capacity(leased.len());
    for (mut lease, taken) in leased {
        let id = taken.id;
        let (message, route) = match taken.resident {
            Some(resident) => (resident.message, resident.route),
            None => {
                let loaded = match last.take() {
                    Some((seq, loaded)) if seq == id.message() => loaded,
                    _ => chunks.with(id.message(), |stored| {
                        let routes = stored.planned.iter().map(|p| p.route.clone()).collect();
                        Ok(Loaded {
                            message: Arc::new(stored.into_message()),
                            routes,
                        })
                    })?,
                };
                let route = loaded.routes.get(usize::from(id.place())).cloned();
                let message = loaded.message.clone();
                last = Some((id.message(), loaded));
                (
                    message,
                    route.ok_or(Malformed("a delivery is not in its message's plan"))?,
                )
            }
        };
        let (mut status, mut attempts_count, mut wire) = (Status::Queued, 0, None);
        if taken.has_row {
            let row = rows.row(id)?;
            (status, attempts_count) = (row.status, row.attempts_count);
            wire = if row.has_wire {
                Some(rows.wire(id)?)
            } else {
                None
            };
        }
        lease.status = status;
        lease.has_wire = wire.is_some();
        claims.push(Claim {
            lease,
            message,
            route,
            status,
            attempts_count,
            wire,
        });
    }
    Ok(claims)
}
