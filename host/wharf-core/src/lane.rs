//! Lanes: what a channel sends to one scheme and authority. What one of them may take of its channel, what an outcome
//! says of it, and when what it does not take now comes again.

use std::time::Duration;

use crate::breaker::Verdict;
use crate::outcome::{Outcome, Refuser, Scope};
use crate::time::TimeMs;

/// How many times as many places as stay free a lane may have, where it has any.
const OF_FREE_MAX: usize = 3;

/// From how many places on some are kept free for others: of fewer each counts too much.
const KEPT_FROM: usize = 8;

/// Whether a lane that has so many attempts running may begin another one, where its channel has so many places, of which
/// some are free.
///
/// One that has nothing running takes any place that is free; one that has takes three quarters of what others leave, and
/// no more. So a lane that never answers does not have all places, nor do two or three of them, and a lane alone has 48
/// of 64. What it leaves is little where many lanes are as slow: then their breakers have to help.
#[must_use]
pub fn takes(places: usize, free: usize, running: usize) -> bool {
    match free.checked_sub(1) {
        None => false,
        Some(left) => running == 0 || places < KEPT_FROM || running < OF_FREE_MAX * left,
    }
}

/// What an outcome says of where it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// To the lane's breaker.
    pub lane: Verdict,
    /// To the channel's.
    pub channel: Verdict,
    /// What is to be paused.
    pub pause: Option<Paused>,
}

/// What an outcome pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paused {
    /// The lane.
    Lane,
    /// The whole channel.
    Channel,
}

/// What an outcome says of where it was sent. A receiver that answered, were it with an error about the message, is there;
/// a plugin that faulted says nothing of its receiver.
#[must_use]
pub fn told(outcome: &Outcome) -> Told {
    let both = |verdict| Told {
        lane: verdict,
        channel: verdict,
        pause: None,
    };
    let failure = match outcome {
        Outcome::Delivered { .. } | Outcome::Provisional { .. } | Outcome::Pending(_) => {
            return both(Verdict::Success);
        }
        Outcome::Rejected(refusal) => {
            return both(match refusal.by {
                Refuser::Channel => Verdict::Success,
                Refuser::Converter => Verdict::Nothing,
            });
        }
        Outcome::Retry(failure) if failure.is_fault => return both(Verdict::Nothing),
        Outcome::Retry(failure) => failure,
    };
    let after = failure.after;
    let mut told = both(Verdict::Success);
    match failure.scope {
        Scope::Message => {}
        Scope::Destination => {
            told.lane = Verdict::Failure { after };
            // Another lane may do well.
            told.channel = Verdict::Nothing;
        }
        Scope::Channel => {
            told.lane = Verdict::Nothing;
            told.channel = Verdict::Failure { after };
        }
    }
    told.pause = failure.pause.then_some(match failure.scope {
        Scope::Message | Scope::Destination => Paused::Lane,
        Scope::Channel => Paused::Channel,
    });
    told
}

/// The times at which what a lane does not take now comes again: one after the other, so that a million do not come at
/// once, and none later than a span after it could.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    last: Option<TimeMs>,
}

impl Line {
    /// The next time, where the lane takes nothing before `from`.
    pub fn next(&mut self, from: TimeMs, spacing: Duration, span: Duration) -> TimeMs {
        let behind_last = self.last.map_or(from, |last| last.after(spacing));
        let next = behind_last.clamp(from, from.after(span));
        self.last = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::{Effect, Failure, Refusal};

    fn retry(scope: Scope, pause: bool, is_fault: bool) -> Outcome {
        Outcome::Retry(Failure {
            code: String::new(),
            reason: String::new(),
            effect: Effect::None,
            scope,
            pause,
            after: Some(Duration::from_secs(9)),
            notes: Vec::new(),
            is_fault,
        })
    }

    #[test]
    fn a_failure_is_told_to_whoever_is_at_fault() {
        let (ok, nothing) = (Verdict::Success, Verdict::Nothing);
        let failure = Verdict::Failure {
            after: Some(Duration::from_secs(9)),
        };
        let check = |outcome: &Outcome, lane, channel, pause| {
            let expected = Told {
                lane,
                channel,
                pause,
            };
            assert_eq!(told(outcome), expected, "{outcome:?}");
        };
        check(&retry(Scope::Message, false, false), ok, ok, None);
        check(&retry(Scope::Message, false, true), nothing, nothing, None);
        check(
            &retry(Scope::Destination, false, false),
            failure,
            nothing,
            None,
        );
        let pause = Some(Paused::Lane);
        check(
            &retry(Scope::Destination, true, false),
            failure,
            nothing,
            pause,
        );
        let pause = Some(Paused::Channel);
        check(&retry(Scope::Channel, true, false), nothing, failure, pause);
        let refused = |by| {
            Outcome::Rejected(Refusal {
                by,
                code: String::new(),
                reason: String::new(),
                notes: Vec::new(),
            })
        };
        check(&refused(Refuser::Channel), ok, ok, None);
        check(&refused(Refuser::Converter), nothing, nothing, None);
    }

    #[test]
    fn times_follow_each_other_and_stay_within_their_span() {
        let (ms, span) = (Duration::from_millis(1), Duration::from_millis(3));
        let mut line = Line::default();
        let mut next = |from| line.next(TimeMs(from), ms, span).0;
        assert_eq!([next(10), next(10), next(10)], [10, 11, 12]);
        assert_eq!([next(10), next(10)], [13, 13]);
        assert_eq!([next(5), next(20)], [8, 20]);
    }

    proptest! {
        /// However many places there are, three lanes that take all they may leave one for none of them to miss.
        #[test]
        fn lanes_that_never_answer_leave_room(places in KEPT_FROM..100_000) {
            let mut free = places;
            for lane in 0..3 {
                let free_before = free;
                let mut running = 0;
                while takes(places, free, running) {
                    running += 1;
                    free -= 1;
                }
                prop_assert!(running > 0, "lane {lane} finds no place");
                prop_assert!(running == 1 || free >= free_before / 4, "lane {lane} takes {running} of {free_before}");
            }
        }

        /// A lane alone is not kept from working: it has three quarters at least, and all of a few.
        #[test]
        fn a_lane_alone_has_most_places(places in 1usize..100_000) {
            let running = (0..places).take_while(|running| takes(places, places - running, *running)).count();
            let least = if places < KEPT_FROM { places } else { places * 3 / 4 };
            prop_assert!(running >= least, "{running} of {places}");
        }
    }
}
