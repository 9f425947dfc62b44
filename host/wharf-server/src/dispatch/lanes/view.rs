//! The lanes, for those who look at them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;
use wharf_core::TimeMs;
use wharf_core::breaker::State;

use super::{Lanes, Reason};
use crate::http::Shown;
use crate::metrics::{Numbers, Page};
use crate::pauses::Pause;
use crate::reload::Live;

/// A lane as it is now.
pub(crate) struct LaneShown {
    pub(crate) name: String,
    pub(crate) pause: Option<Arc<Pause>>,
    pub(crate) breaker: State,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

impl LaneShown {
    fn state(&self) -> &'static str {
        match self.pause {
            Some(_) => "paused",
            None => name_of(self.breaker),
        }
    }

    /// Whether there is anything to see: something is going on, or it is held up.
    fn says_something(&self) -> bool {
        let is_healthy = matches!(self.breaker, State::Closed { .. });
        self.pause.is_some() || !is_healthy || self.running > 0 || self.waiting > 0
    }
}

impl Lanes {
    /// The lanes of which there is something to see, by name, those first that are held up.
    pub(crate) fn shown(&self) -> Vec<LaneShown> {
        let mut shown = self.all();
        shown.retain(LaneShown::says_something);
        let is_well = |lane: &LaneShown| lane.state() == name_of(State::default());
        shown.sort_by(|a, b| (is_well(a), &a.name).cmp(&(is_well(b), &b.name)));
        shown
    }

    /// How many wait in memory for their lanes.
    pub(crate) fn in_line(&self) -> usize {
        let channel = self.lock();
        channel.waiting + channel.later
    }

    /// The breaker of the channel itself.
    pub(crate) fn breaker(&self) -> State {
        self.lock().breaker.state()
    }

    /// Until when the channel takes nothing; none where it does.
    pub(crate) fn closed_until(&self, now: TimeMs) -> Option<TimeMs> {
        Some(self.lock().closed_until).filter(|until| *until > now)
    }

    fn all(&self) -> Vec<LaneShown> {
        let paused = Arc::clone(&self.paused.borrow());
        let channel = self.lock();
        let known = channel.lanes.iter().map(|(name, lane)| LaneShown {
            name: name.to_string(),
            pause: None,
            breaker: lane.breaker.state(),
            running: lane.running,
            waiting: lane.waiting.len(),
        });
        let mut all: Vec<_> = known.collect();
        // Those that are paused, also where nothing has come for them yet.
        for (name, pause) in paused.iter() {
            let pause = Some(Arc::clone(pause));
            match all.iter_mut().find(|lane| lane.name == *name) {
                Some(lane) => lane.pause = pause,
                None => all.push(LaneShown {
                    name: name.clone(),
                    pause,
                    breaker: State::default(),
                    running: 0,
                    waiting: 0,
                }),
            }
        }
        all
    }
}

fn name_of(breaker: State) -> &'static str {
    match breaker {
        State::Closed { .. } => "closed",
        State::Open { .. } => "open",
        State::HalfOpen { .. } => "half-open",
    }
}

/// The numbers of the lanes of all channels that run.
pub(crate) struct LaneNumbers(pub(crate) watch::Receiver<Arc<Live>>);

impl Numbers for LaneNumbers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let live = Arc::clone(&self.0.borrow());
        let all = || live.channels.iter().map(Shown::lanes);
        let states = ["closed", "open", "half-open", "paused"];
        page.gauge(
            "channel_breaker",
            "Where the breaker of the channel itself stands: 1 for one of the states.",
            None,
            all().flat_map(|lanes| {
                let now = name_of(lanes.breaker());
                states[..3].iter().map(move |state| {
                    let labels = vec![("channel", lanes.channel.as_str()), ("state", *state)];
                    (labels, f64::from(u8::from(*state == now)))
                })
            }),
        )?;
        page.gauge(
            "lanes",
            "Lanes that are known, by the state of their breakers, or paused.",
            None,
            all().flat_map(|lanes| {
                let all = lanes.all();
                states.map(|state| {
                    let count = all.iter().filter(|lane| lane.state() == state).count();
                    let labels = vec![("channel", lanes.channel.as_str()), ("state", state)];
                    (labels, count as f64)
                })
            }),
        )?;
        page.counter(
            "deferred",
            "Deliveries that went back without an attempt because of their lane, by what kept them.",
            all().flat_map(|lanes| {
                Reason::ALL.iter().zip(&lanes.deferred).map(|(reason, count)| {
                    let labels = vec![
                        ("channel", lanes.channel.as_str()),
                        ("reason", reason.as_str()),
                    ];
                    (labels, count.load(Relaxed))
                })
            }),
        )
    }
}
