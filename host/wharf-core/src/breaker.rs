//! Circuit breakers: what failed so often in a row that trying it again would only cost time is left alone for a while.
//!
//! ```text
//!            so many failures in a row
//!   closed ─────────────────────────────▶ open ── its wait is over ──▶ half-open
//!     ▲                                    ▲                             │   │
//!     │                                    └─────── a probe failed ──────┘   │
//!     └───────────────────── as many probes as it takes succeeded ───────────┘
//! ```
//!
//! Each time that a probe fails the wait is twice as long as before, up to a limit. What was let through before the last
//! change of state says nothing any more: it is told by its ticket.

use std::time::Duration;

use crate::time::TimeMs;

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failures in a row that open it; none: it never opens.
    pub failures: Option<u32>,
    /// How long it is open the first time.
    pub wait: Duration,
    /// And at most, when probe after probe fails.
    pub wait_max: Duration,
    /// Probes that it takes to close it, and that are out at once.
    pub probes: u32,
}

impl Default for Policy {
    /// Ten failures in a row; 5 s, doubling, at most 5 min; one probe.
    fn default() -> Self {
        Self {
            failures: Some(10),
            wait: Duration::from_secs(5),
            wait_max: Duration::from_secs(300),
            probes: 1,
        }
    }
}

/// A breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// Rises with each change of state.
    epoch: u64,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It lets everything through.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// It lets nothing through.
    Open {
        /// Until then.
        until: TimeMs,
        /// How often it was opened in a row.
        opened_count: u32,
    },
    /// It lets a few through, to see how they fare.
    HalfOpen {
        /// Those that are out.
        out: u32,
        /// Those that succeeded.
        succeeded: u32,
        /// How often it was opened before.
        opened_count: u32,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// What was let through; to be given back once it is known how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a probe that is never told of keeps others from being let through"]
pub struct Ticket {
    epoch: u64,
}

/// Why nothing is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is open until then.
    Open(TimeMs),
    /// As many probes are out as may be.
    Probing,
}

/// How something went that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well, as far as the breaker goes.
    Success,
    /// It failed.
    Failure {
        /// The wish of what failed for the next attempt.
        after: Option<Duration>,
    },
    /// Nobody knows, or it has nothing to do with the breaker.
    Nothing,
}

impl Breaker {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether anything would be let through now.
    pub fn admits(&self, policy: &Policy, now: TimeMs) -> Result<(), Refusal> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, .. } if until > now => Err(Refusal::Open(until)),
            State::Open { .. } => Ok(()),
            State::HalfOpen { out, .. } if out >= policy.probes => Err(Refusal::Probing),
            State::HalfOpen { .. } => Ok(()),
        }
    }

    /// Lets something through, if anything.
    pub fn admit(&mut self, policy: &Policy, now: TimeMs) -> Result<Ticket, Refusal> {
        self.admits(policy, now)?;
        if let State::Open { opened_count, .. } = self.state {
            self.become_(State::HalfOpen {
                out: 0,
                succeeded: 0,
                opened_count,
            });
        }
        if let State::HalfOpen { out, .. } = &mut self.state {
            *out += 1;
        }
        let epoch = self.epoch;
        Ok(Ticket { epoch })
    }

    /// Takes a ticket back. Returns whether something is let through now that was not before.
    pub fn ended(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        policy: &Policy,
        now: TimeMs,
    ) -> bool {
        if ticket.epoch != self.epoch {
            return false;
        }
        match (&mut self.state, verdict) {
            (State::Closed { failures }, Verdict::Success) => *failures = 0,
            (State::Closed { failures }, Verdict::Failure { after }) => {
                *failures = failures.saturating_add(1);
                if policy.failures.is_some_and(|max| *failures >= max) {
                    self.open(1, after, policy, now);
                }
            }
            (State::HalfOpen { opened_count, .. }, Verdict::Failure { after }) => {
                let opened_count = opened_count.saturating_add(1);
                self.open(opened_count, after, policy, now);
            }
            (State::HalfOpen { out, succeeded, .. }, Verdict::Success) => {
                *out -= 1;
                *succeeded += 1;
                if *succeeded >= policy.probes {
                    self.become_(State::default());
                }
                return true;
            }
            (State::HalfOpen { out, .. }, Verdict::Nothing) => {
                *out -= 1;
                return true;
            }
            (State::Closed { .. }, Verdict::Nothing) => {}
            (State::Open { .. }, _) => unreachable!("nothing is let through in this epoch"),
        }
        false
    }

    fn open(&mut self, opened_count: u32, after: Option<Duration>, policy: &Policy, now: TimeMs) {
        let doublings = opened_count.saturating_sub(1).min(31);
        let wait = policy.wait.saturating_mul(1 << doublings);
        // Who asks for a longer wait knows best, up to the limit.
        let wait = wait.max(after.unwrap_or_default()).min(policy.wait_max);
        self.become_(State::Open {
            until: now.after(wait),
            opened_count,
        });
    }

    fn become_(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: TimeMs = TimeMs(1_000_000);
    const FAILURE: Verdict = Verdict::Failure { after: None };

    fn policy(failures: u32, probes: u32) -> Policy {
        Policy {
            failures: Some(failures),
            wait: Duration::from_secs(5),
            wait_max: Duration::from_secs(15),
            probes,
        }
    }

    fn at(seconds: u64) -> TimeMs {
        T0.after(Duration::from_secs(seconds))
    }

    /// Lets one through and takes it back.
    fn one(breaker: &mut Breaker, policy: &Policy, now: TimeMs, verdict: Verdict) {
        let ticket = breaker.admit(policy, now).unwrap();
        breaker.ended(ticket, verdict, policy, now);
    }

    #[test]
    fn failures_in_a_row_open_it_and_probes_close_it() {
        let (policy, mut breaker) = (policy(2, 2), Breaker::default());
        for verdict in [FAILURE, Verdict::Success, FAILURE, Verdict::Nothing] {
            one(&mut breaker, &policy, T0, verdict);
        }
        assert_eq!(breaker.state(), State::Closed { failures: 1 });
        one(&mut breaker, &policy, T0, FAILURE);
        assert_eq!(breaker.admit(&policy, at(4)), Err(Refusal::Open(at(5))));
        let probes = [(); 2].map(|()| breaker.admit(&policy, at(5)).unwrap());
        assert_eq!(breaker.admit(&policy, at(5)), Err(Refusal::Probing));
        // One of which nothing is known is made up for by another.
        assert!(breaker.ended(probes[0], Verdict::Nothing, &policy, at(6)));
        let another = breaker.admit(&policy, at(6)).unwrap();
        assert!(breaker.ended(probes[1], Verdict::Success, &policy, at(7)));
        assert!(matches!(breaker.state(), State::HalfOpen { out: 1, .. }));
        assert!(breaker.ended(another, Verdict::Success, &policy, at(7)));
        assert_eq!(breaker.state(), State::default());
    }

    #[test]
    fn each_failed_probe_doubles_the_wait_up_to_the_limit() {
        let (policy, mut breaker) = (policy(1, 1), Breaker::default());
        let mut now = T0;
        for wait in [5, 10, 15, 15] {
            one(&mut breaker, &policy, now, FAILURE);
            let until = now.after(Duration::from_secs(wait));
            assert_eq!(breaker.admits(&policy, now), Err(Refusal::Open(until)));
            now = until;
        }
        // Closed once, it begins anew; a wish makes the wait longer, up to the limit.
        one(&mut breaker, &policy, now, Verdict::Success);
        for (wish, wait) in [(1, 5), (12, 12), (3600, 15)] {
            let mut breaker = breaker.clone();
            let after = Some(Duration::from_secs(wish));
            one(&mut breaker, &policy, now, Verdict::Failure { after });
            let until = now.after(Duration::from_secs(wait));
            assert_eq!(breaker.admits(&policy, now), Err(Refusal::Open(until)));
        }
    }

    #[test]
    fn what_was_let_through_before_says_nothing_any_more() {
        let (policy, mut breaker) = (policy(1, 1), Breaker::default());
        let late = [(); 3].map(|()| breaker.admit(&policy, T0).unwrap());
        assert!(!breaker.ended(late[0], FAILURE, &policy, T0));
        let open = breaker.clone();
        assert!(!breaker.ended(late[1], Verdict::Success, &policy, T0));
        assert_eq!(breaker, open);
        let probe = breaker.admit(&policy, at(5)).unwrap();
        assert!(!breaker.ended(late[2], Verdict::Success, &policy, at(5)));
        assert!(breaker.ended(probe, Verdict::Success, &policy, at(6)));
    }

    #[test]
    fn without_a_limit_it_never_opens() {
        let policy = Policy {
            failures: None,
            ..Policy::default()
        };
        let mut breaker = Breaker::default();
        (0..1000).for_each(|_| one(&mut breaker, &policy, T0, FAILURE));
        assert!(breaker.admits(&policy, T0).is_ok());
    }

    proptest! {
        /// Whatever happens: no more probes are out than may be, what is refused says until when, and once everything that
        /// is out has come back well, and the longest wait is over, something is let through.
        #[test]
        fn it_is_never_stuck(
            failures in 1u32..4,
            probes in 1u32..4,
            steps in proptest::collection::vec((0u8..4, 0usize..8, 0u64..20), 0..200),
        ) {
            let (policy, mut breaker, mut now) = (policy(failures, probes), Breaker::default(), T0);
            let mut out = Vec::new();
            for (what, which, seconds) in steps {
                now = now.after(Duration::from_secs(seconds));
                match what {
                    0 => match breaker.admit(&policy, now) {
                        Ok(ticket) => out.push(ticket),
                        Err(Refusal::Open(until)) => {
                            prop_assert!(until > now && until <= now.after(policy.wait_max));
                        }
                        Err(Refusal::Probing) => {
                            let probing = out.iter().filter(|ticket| ticket.epoch == breaker.epoch);
                            prop_assert_eq!(probing.count() as u32, probes);
                        }
                    },
                    what if !out.is_empty() => {
                        let ticket = out.swap_remove(which % out.len());
                        let verdict = [FAILURE, Verdict::Success, Verdict::Nothing][usize::from(what) - 1];
                        breaker.ended(ticket, verdict, &policy, now);
                    }
                    _ => {}
                }
            }
            for ticket in out {
                breaker.ended(ticket, Verdict::Success, &policy, now);
            }
            prop_assert!(breaker.admits(&policy, now.after(policy.wait_max)).is_ok());
        }
    }
}
