//! The lanes of a channel: who may be sent something now, who waits in memory for its turn, and what goes back to the
//! store until a time.
//!
//! Which lane a delivery takes is known once it is converted. Then it asks ([`Lanes::ask`]), and gets a [`Pass`], or a place
//! in the lane's line, or a time. Those in line are few, since each holds a lease and a message; whoever finds the line
//! full, or the lane closed (paused, its breaker open, its rate used up), is deferred: it goes back to the store until a
//! time, at the cost of a write and without an attempt. Of those deferred last some are remembered, so that they come at
//! once when the lane takes something again.
//!
//! The queue of a channel is one, whatever the lanes. What stands before a delivery is looked at before it, so a dispatcher
//! looks further once a lane has let its line wait, past what it finds, and slowly where it knows of no other lane that
//! would take something: see `room`. A lane whose line moves is not looked past: what comes next comes soon.
//!
//! Nothing of it is on disk but pauses: after a restart every breaker is closed.

mod room;
mod view;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use tokio::sync::{Notify, oneshot, watch};
use wharf_core::breaker::{Breaker, Refusal, State, Ticket, Verdict};
use wharf_core::lane::{self, Line, Told};
use wharf_core::rate::Limiter;
use wharf_core::{ChannelName, DeliveryId, TimeMs};

pub(crate) use room::Room;
pub(crate) use view::{LaneNumbers, LaneShown};

use crate::clock;
use crate::config::Protection;
use crate::egress::Origin;
use crate::limits::{
    DEFER_SPACING, DEFER_SPAN, DEFERRED_REMEMBERED_MAX, LANE_FULL_WAIT, LANE_PAUSED_WAIT,
    LANES_COUNT_MAX, RATE_WAIT_MAX,
};
use crate::pauses::LanePauses;

/// A lane of a channel: where it leads; none where nobody said where, as with a plugin that writes files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneName(Option<Arc<Origin>>);

impl LaneName {
    pub(crate) fn new(origin: Option<Origin>) -> Self {
        Self(origin.map(Arc::new))
    }

    /// Whether it leads somewhere, so that it can be told from the channel's others.
    pub(crate) fn is_named(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Display for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(origin) => origin.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// Why a delivery is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The lane is paused.
    Paused,
    /// Its breaker is open.
    Breaker,
    /// Its rate is used up.
    Rate,
    /// It has all places that it may have, and as many in line.
    Full,
}

impl Reason {
    pub(crate) const ALL: [Self; 4] = [Self::Paused, Self::Breaker, Self::Rate, Self::Full];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Breaker => "breaker",
            Self::Rate => "rate",
            Self::Full => "full",
        }
    }
}

/// What a delivery is answered that is ready to be sent.
pub(super) enum Answer {
    /// It may be sent.
    Go(Pass),
    /// It may once this comes; where that fails it asks again.
    Turn(oneshot::Receiver<Pass>),
    /// It asks again after that.
    Later(Later, Duration),
    /// The channel sends nothing now: its lease goes back.
    GiveBack,
    /// It goes back to the store until then.
    Defer(TimeMs, Reason),
}

/// The lanes of one channel, over all of its versions.
pub(crate) struct Lanes {
    channel: ChannelName,
    paused: watch::Receiver<Arc<LanePauses>>,
    state: Mutex<Channel>,
    /// Something has ended, or may be sent that could not be.
    changed: Notify,
    deferred: [AtomicU64; Reason::ALL.len()],
}

struct Channel {
    /// As configured now.
    protection: Protection,
    /// Nothing is sent: the channel is paused, cannot deliver, or the host stops.
    is_held: bool,
    places: usize,
    running: usize,
    /// Claimed, and their lane not known yet.
    sorting: usize,
    /// In line, in any lane.
    waiting: usize,
    /// Those that ask again after a moment.
    later: usize,
    breaker: Breaker,
    limiter: Limiter,
    /// The channel takes nothing before.
    closed_until: TimeMs,
    lanes: FxHashMap<LaneName, Lane>,
    /// Lanes that have someone in line, in the order of their turns.
    turns: VecDeque<LaneName>,
    /// Deferred in a row, since something else was answered.
    deferred_in_a_row: u32,
    looked_further_at: Option<Instant>,
    /// When what comes too early in the channel's order comes again.
    behind: Line,
    /// What was deferred and may come now.
    hastened: Vec<(TimeMs, DeliveryId)>,
}

struct Lane {
    running: usize,
    /// In line, since when.
    waiting: VecDeque<(Instant, oneshot::Sender<Pass>)>,
    breaker: Breaker,
    limiter: Limiter,
    line: Line,
    /// Those of the deferred that were deferred last.
    deferred: VecDeque<(TimeMs, DeliveryId)>,
    used_at: Instant,
}

/// The right to send something through a lane, now. Dropped, it frees its place.
pub(super) struct Pass {
    lanes: Arc<Lanes>,
    lane: LaneName,
    tickets: Tickets,
    told: Told,
}

struct Tickets {
    lane: Ticket,
    channel: Ticket,
}

/// A claimed delivery whose lane is not known yet, for as long as this lives.
pub(super) struct Sorting(Arc<Lanes>);

/// One that asks again after a moment, for as long as this lives.
pub(super) struct Later(Arc<Lanes>);

impl Lanes {
    pub(crate) fn new(
        channel: ChannelName,
        protection: Protection,
        paused: watch::Receiver<Arc<LanePauses>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            channel,
            paused,
            state: Mutex::new(Channel {
                protection,
                is_held: true,
                places: 1,
                running: 0,
                sorting: 0,
                waiting: 0,
                later: 0,
                breaker: Breaker::default(),
                limiter: Limiter::default(),
                closed_until: TimeMs(0),
                lanes: FxHashMap::default(),
                turns: VecDeque::new(),
                deferred_in_a_row: 0,
                looked_further_at: None,
                behind: Line::default(),
                hastened: Vec::new(),
            }),
            changed: Notify::new(),
            deferred: Default::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Channel> {
        self.state
            .lock()
            .expect("the lanes' lock is never held over a panic")
    }

    /// Goes on under these rules. What breakers have seen and rates have given stays.
    pub(super) fn protect(&self, protection: Protection) {
        self.lock().protection = protection;
        self.changed.notify_one();
    }

    /// Waits until something may be claimed that could not be. For one waiter: the dispatcher.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether anything is sent at all. Where not, those in line go back, and so does whoever asks.
    pub(super) fn hold(&self, is_held: bool) {
        let mut channel = self.lock();
        channel.is_held = is_held;
        if is_held {
            channel.dismiss_all();
        }
    }

    /// A claimed delivery is on its way to its lane.
    pub(super) fn sort(self: &Arc<Self>) -> Sorting {
        self.lock().sorting += 1;
        Sorting(Arc::clone(self))
    }

    /// When something comes again that comes too early in the channel's order.
    pub(super) fn behind(&self, now: TimeMs) -> TimeMs {
        let mut channel = self.lock();
        channel
            .behind
            .next(now.after(LANE_FULL_WAIT), DEFER_SPACING, DEFER_SPAN)
    }

    /// What a delivery may do that is ready to be sent.
    pub(super) fn ask(self: &Arc<Self>, name: &LaneName, now: TimeMs) -> Answer {
        let mut channel = self.lock();
        let answer = self.decide(&mut channel, name, now);
        match &answer {
            Answer::Go(_) | Answer::Turn(_) => channel.deferred_in_a_row = 0,
            Answer::Defer(_, reason) => {
                channel.deferred_in_a_row = channel.deferred_in_a_row.saturating_add(1);
                self.deferred[*reason as usize].fetch_add(1, Relaxed);
            }
            Answer::Later(..) | Answer::GiveBack => {}
        }
        answer
    }

    fn decide(self: &Arc<Self>, channel: &mut Channel, name: &LaneName, now: TimeMs) -> Answer {
        let protection = channel.protection;
        let policy = &protection.breaker;
        if channel.is_held {
            return Answer::GiveBack;
        }
        if let Err(refusal) = channel.breaker.admits(policy, now) {
            if let Refusal::Open(until) = refusal {
                channel.closed_until = until;
            }
            return Answer::GiveBack;
        }
        channel.make_room();
        let (places, running) = (channel.places, channel.running);
        let has_line = channel.waiting < waiting_max(places);
        let has_room = channel.later < waiting_max(places);
        let lane_rate = protection.lane_rate;
        let lane = channel.lanes.entry(name.clone()).or_insert_with(Lane::new);
        lane.used_at = Instant::now();
        let defer = |lane: &mut Lane, from: TimeMs, spacing, reason| {
            let until = lane.line.next(from, spacing, DEFER_SPAN);
            Answer::Defer(until, reason)
        };
        if self.is_paused(name) {
            return defer(
                lane,
                now.after(LANE_PAUSED_WAIT),
                DEFER_SPACING,
                Reason::Paused,
            );
        }
        match lane.breaker.admits(policy, now) {
            Err(Refusal::Open(until)) => {
                return defer(lane, until, DEFER_SPACING, Reason::Breaker);
            }
            Err(Refusal::Probing) => {
                return defer(lane, now.after(policy.wait), DEFER_SPACING, Reason::Breaker);
            }
            Ok(()) => {}
        }
        // A place in line first: whoever has none would use up the rate in vain.
        let is_full = !lane.waiting.is_empty() || !protection.takes(places, running, lane.running);
        if is_full && !has_line {
            return defer(lane, now.after(LANE_FULL_WAIT), DEFER_SPACING, Reason::Full);
        }
        if let Some(wait) = lane_rate.and_then(|rate| lane.limiter.take(rate, now).err()) {
            if wait > RATE_WAIT_MAX || !has_room {
                let apart = lane_rate.map_or(DEFER_SPACING, |rate| rate.interval());
                let spacing = apart.max(DEFER_SPACING);
                return defer(lane, now.after(wait), spacing, Reason::Rate);
            }
            channel.later += 1;
            return Answer::Later(Later(Arc::clone(self)), wait);
        }
        let rate = protection.rate;
        if let Some(wait) = rate.and_then(|rate| channel.limiter.take(rate, now).err()) {
            channel.closed_until = now.after(wait);
            channel.later += 1;
            return Answer::Later(Later(Arc::clone(self)), wait);
        }
        if is_full {
            let (sender, receiver) = oneshot::channel();
            lane.waiting.push_back((Instant::now(), sender));
            channel.waiting += 1;
            if !channel.turns.contains(name) {
                channel.turns.push_back(name.clone());
            }
            return Answer::Turn(receiver);
        }
        match self.pass(channel, name, now) {
            Ok(pass) => Answer::Go(pass),
            Err(_) => unreachable!("both breakers were just asked"),
        }
    }

    fn is_paused(&self, name: &LaneName) -> bool {
        let paused = self.paused.borrow();
        // Hardly any channel has one: the name is not written out for nothing.
        !paused.is_empty() && paused.contains_key(&name.to_string())
    }

    /// Takes a place.
    fn pass(
        self: &Arc<Self>,
        channel: &mut Channel,
        name: &LaneName,
        now: TimeMs,
    ) -> Result<Pass, Refusal> {
        let policy = &channel.protection.breaker;
        let lane = channel.lanes.get_mut(name);
        let lane = lane.expect("a lane that someone asks for, or waits for, is kept");
        channel.breaker.admits(policy, now)?;
        let tickets = Tickets {
            lane: lane.breaker.admit(policy, now)?,
            channel: channel.breaker.admit(policy, now)?,
        };
        lane.running += 1;
        channel.running += 1;
        Ok(Pass {
            lanes: Arc::clone(self),
            lane: name.clone(),
            tickets,
            told: Told {
                lane: Verdict::Nothing,
                channel: Verdict::Nothing,
                pause: None,
            },
        })
    }

    /// A delivery was deferred: it is remembered, in case its lane takes something before.
    pub(super) fn deferred(&self, name: &LaneName, until: TimeMs, id: DeliveryId) {
        let mut channel = self.lock();
        let Some(lane) = channel.lanes.get_mut(name) else {
            return;
        };
        if lane.deferred.len() >= DEFERRED_REMEMBERED_MAX {
            lane.deferred.pop_front();
        }
        lane.deferred.push_back((until, id));
        // It may have become idle meanwhile.
        if self.may_take(&channel, name) {
            channel.feed(name);
            self.changed.notify_one();
        }
    }

    /// Pauses have begun or ended: what waits for a lane that takes something again comes.
    pub(super) fn pauses_changed(&self) {
        let mut channel = self.lock();
        let names: Vec<_> = channel.lanes.keys().cloned().collect();
        for name in names {
            if self.is_paused(&name) {
                channel.dismiss(&name);
            } else if self.may_take(&channel, &name) {
                channel.feed(&name);
            }
        }
    }

    /// What was deferred and may come now, to be hastened.
    pub(super) fn take_hastened(&self) -> Vec<(TimeMs, DeliveryId)> {
        std::mem::take(&mut self.lock().hastened)
    }

    /// Whether a lane would send something that it had.
    fn may_take(&self, channel: &Channel, name: &LaneName) -> bool {
        let Some(lane) = channel.lanes.get(name) else {
            return false;
        };
        lane.waiting.is_empty()
            && channel
                .protection
                .takes(channel.places, channel.running, lane.running)
            && !self.is_paused(name)
            && lane
                .breaker
                .admits(&channel.protection.breaker, clock::now())
                .is_ok()
    }

    fn ended(self: &Arc<Self>, name: &LaneName, tickets: &Tickets, told: Told) {
        let now = clock::now();
        let mut granted = Vec::new();
        {
            let mut channel = self.lock();
            let breaker = channel.protection.breaker;
            let policy = &breaker;
            channel.running -= 1;
            channel
                .breaker
                .ended(tickets.channel, told.channel, policy, now);
            if let State::Open { until, .. } = channel.breaker.state() {
                channel.closed_until = until;
            }
            if let Some(lane) = channel.lanes.get_mut(name) {
                lane.running -= 1;
                let before = lane.breaker.state();
                lane.breaker.ended(tickets.lane, told.lane, policy, now);
                tell_change(&self.channel, name, before, lane.breaker.state());
            }
            self.next_turns(&mut channel, now, &mut granted);
            if self.may_take(&channel, name) {
                channel.feed(name);
            }
        }
        // Out of the lock: whoever does not wait any more gives its pass back.
        for (sender, pass) in granted {
            drop(sender.send(pass));
        }
        self.changed.notify_one();
    }

    /// Hands the places that are free to those in line, one a lane in turn.
    fn next_turns(
        self: &Arc<Self>,
        channel: &mut Channel,
        now: TimeMs,
        granted: &mut Vec<(oneshot::Sender<Pass>, Pass)>,
    ) {
        let mut passed_over = 0;
        while passed_over < channel.turns.len()
            && let Some(name) = channel.turns.pop_front()
        {
            let (places, running) = (channel.places, channel.running);
            let Some(lane) = channel.lanes.get_mut(&name) else {
                continue;
            };
            if !channel.protection.takes(places, running, lane.running) {
                channel.turns.push_back(name);
                passed_over += 1;
                continue;
            }
            let Some((_, sender)) = lane.waiting.pop_front() else {
                continue;
            };
            channel.waiting -= 1;
            match self.pass(channel, &name, now) {
                Ok(pass) => {
                    granted.push((sender, pass));
                    channel.turns.push_back(name);
                    passed_over = 0;
                }
                // It asks again, and hears why.
                Err(_) => {
                    drop(sender);
                    channel.dismiss(&name);
                }
            }
        }
    }
}

impl Protection {
    /// Whether a lane that has so many running gets another place.
    fn takes(&self, places: usize, running: usize, of_lane: usize) -> bool {
        let free = places.saturating_sub(running);
        match self.lane_parallelism {
            Some(most) => free > 0 && of_lane < most,
            None => lane::takes(places, free, of_lane),
        }
    }
}

impl Channel {
    /// Sends those in line back to ask again.
    fn dismiss(&mut self, name: &LaneName) {
        if let Some(lane) = self.lanes.get_mut(name) {
            self.waiting -= lane.waiting.len();
            lane.waiting.clear();
            self.turns.retain(|turn| turn != name);
        }
    }

    fn dismiss_all(&mut self) {
        self.lanes
            .values_mut()
            .for_each(|lane| lane.waiting.clear());
        self.turns.clear();
        self.waiting = 0;
    }

    /// Has as many of those deferred come as are in line at most.
    fn feed(&mut self, name: &LaneName) {
        let count = waiting_max(self.places) + 1;
        if let Some(lane) = self.lanes.get_mut(name) {
            let count = count.min(lane.deferred.len());
            self.hastened.extend(lane.deferred.drain(..count));
        }
    }

    /// Forgets lanes that have nothing to say, where there are too many: endpoints come with messages.
    fn make_room(&mut self) {
        if self.lanes.len() < LANES_COUNT_MAX {
            return;
        }
        let is_busy = |lane: &Lane| lane.running > 0 || !lane.waiting.is_empty();
        self.lanes
            .retain(|_, lane| is_busy(lane) || lane.breaker != Breaker::default());
        if self.lanes.len() >= LANES_COUNT_MAX {
            // Breakers of this many lanes are open. They are closed again, until they fail again.
            self.lanes.retain(|_, lane| is_busy(lane));
        }
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            running: 0,
            waiting: VecDeque::new(),
            breaker: Breaker::default(),
            limiter: Limiter::default(),
            line: Line::default(),
            deferred: VecDeque::new(),
            used_at: Instant::now(),
        }
    }
}

impl Pass {
    /// How what was sent ended.
    pub(super) fn told(&mut self, told: Told) {
        self.told = told;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.lanes.ended(&self.lane, &self.tickets, self.told);
    }
}

impl Drop for Sorting {
    fn drop(&mut self) {
        self.0.lock().sorting -= 1;
        self.0.changed.notify_one();
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.0.lock().later -= 1;
    }
}

/// How many are in line at most: so many that a lane which answers has someone to send at once.
fn waiting_max(places: usize) -> usize {
    places.div_ceil(2)
}

fn tell_change(channel: &ChannelName, lane: &LaneName, before: State, after: State) {
    match (before, after) {
        (
            State::Closed { .. } | State::HalfOpen { .. },
            State::Open {
                until,
                opened_count,
            },
        ) => {
            tracing::warn!(%channel, %lane, %until, opened_count, "the lane fails again and again, and is left alone");
        }
        (State::HalfOpen { .. }, State::Closed { .. }) => {
            tracing::info!(%channel, %lane, "the lane works again");
        }
        _ => {}
    }
}
