//! How many deliveries a dispatcher claims.
//!
//! As many as there are places, mostly. Where someone is in line already, as many as the line has room for. Where both give
//! nothing, and someone has been in line for a while, it looks further, for a lane that has room: what it finds for the
//! others it has to put aside, at a write each. So it looks further a little at a time, and slowly where it knows of no lane
//! that wants something. While the line moves it does not: it takes what comes in the order of its queue.

use std::time::{Duration, Instant};

use wharf_core::TimeMs;
use wharf_core::breaker::State;

use super::{Lanes, waiting_max};
use crate::limits::{
    DEFERRED_IN_A_ROW, LANE_KNOWN_FOR, LOOK_FURTHER_AFTER, LOOK_FURTHER_COUNT, LOOK_FURTHER_EVERY,
    LOOK_FURTHER_QUICKLY_EVERY,
};

/// What may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) count: usize,
    /// When more may be; none where it is said.
    pub(crate) again_in: Option<Duration>,
}

impl Room {
    fn now(count: usize) -> Self {
        let again_in = None;
        Self { count, again_in }
    }

    fn later(again_in: Duration) -> Self {
        Self {
            count: 0,
            again_in: Some(again_in),
        }
    }
}

impl Lanes {
    /// What may be claimed, where so many attempts may run at once.
    pub(crate) fn room(&self, places: usize, now: TimeMs) -> Room {
        let mut channel = self.lock();
        channel.places = places;
        if channel.closed_until > now {
            return Room::later(channel.closed_until.since(now));
        }
        let taken = channel.running + channel.sorting + channel.later;
        let free = match channel.breaker.state() {
            State::Closed { .. } => places.saturating_sub(taken),
            // Its probes alone.
            State::Open { .. } | State::HalfOpen { .. } => {
                let probes = channel.protection.breaker.probes as usize;
                probes.saturating_sub(taken)
            }
        };
        // Who is sorted may come to be in line.
        let in_line = waiting_max(places).saturating_sub(channel.waiting + channel.sorting);
        let wanted = match channel.waiting {
            0 => free,
            _ => free.min(in_line),
        };
        let is_in_vain = channel.deferred_in_a_row >= DEFERRED_IN_A_ROW;
        if free == 0 || wanted > 0 && !is_in_vain {
            return Room::now(wanted);
        }
        let fronts = channel
            .lanes
            .values()
            .filter_map(|lane| lane.waiting.front());
        let waits = fronts.map(|(since, _)| since.elapsed()).max();
        if let Some(left) = waits.and_then(|waits| LOOK_FURTHER_AFTER.checked_sub(waits))
            && !is_in_vain
        {
            return Room::later(left);
        }
        let names = channel.lanes.iter();
        let recent = names.filter(|(_, lane)| lane.used_at.elapsed() < LANE_KNOWN_FOR);
        let mut names = recent.map(|(name, _)| name);
        let (count, every) = match names.any(|name| self.may_take(&channel, name)) {
            true => (free, LOOK_FURTHER_QUICKLY_EVERY),
            false => (free.min(LOOK_FURTHER_COUNT), LOOK_FURTHER_EVERY),
        };
        let since = channel.looked_further_at.map(|at| at.elapsed());
        match since.and_then(|since| every.checked_sub(since)) {
            Some(left) if !left.is_zero() => Room::later(left),
            _ => {
                channel.looked_further_at = Some(Instant::now());
                Room {
                    count,
                    again_in: Some(every),
                }
            }
        }
    }
}
