//! Retry arithmetic: when the next attempt is due, and when the budget is spent.

use std::time::Duration;

use crate::status::Cause;
use crate::time::TimeMs;

/// Longest wait that a receiver's `Retry-After` can ask for: a day, the longest step of the Standard Webhooks
/// schedule.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// How long to wait before the attempt after attempt number n.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// `base * factor^(n-1)`, at most `max`.
    Exponential {
        /// Wait after the first attempt.
        base: Duration,
        /// Growth per attempt, at least 1.
        factor: f64,
        /// The longest wait.
        max: Duration,
    },
    /// The waits one by one; after the last one the budget is spent.
    Explicit(Vec<Duration>),
}

/// When a failed delivery is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The waits.
    pub schedule: Schedule,
    /// Attempts in all, the first included. None: as many as the schedule has, or unbounded.
    pub attempts_max: Option<u32>,
    /// Age of the message, or time since its last redrive, past which no further attempt is made.
    pub age_max: Option<Duration>,
    /// Share by which a wait varies both ways, 0 to 1: 0.2 makes 10 s anything from 8 to 12 s.
    pub jitter: f64,
}

/// From where on a delivery's attempts and age count: its message's acceptance, or its last redrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Attempts made before; they count no longer.
    pub attempts_before: u32,
    /// When it began.
    pub began_at: TimeMs,
}

/// What the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again then.
    At(TimeMs),
    /// No more; why.
    Spent(Cause),
}

impl Policy {
    /// A preset's policy: `standard-webhooks` (0 s, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: the
    /// Standard Webhooks 1.0 recommendation) or `acapy` (5, 7.5, 11.2, 16.7, 25 s: what ACA-Py's external queue
    /// does).
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        // The waits between attempts; the first attempt is made at once.
        let (waits_ms, jitter): (&[u64], f64) = match name {
            "standard-webhooks" => (
                &[
                    5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000,
                    72_000_000, 86_400_000,
                ],
                0.1,
            ),
            "acapy" => (&[5_000, 7_500, 11_200, 16_700, 25_000], 0.0),
            _ => return None,
        };
        let waits = waits_ms
            .iter()
            .copied()
            .map(Duration::from_millis)
            .collect();
        Some(Self {
            schedule: Schedule::Explicit(waits),
            attempts_max: None,
            age_max: None,
            jitter,
        })
    }

    /// The names that [`Policy::preset`] knows.
    pub const PRESETS: &[&str] = &["standard-webhooks", "acapy"];

    /// When to try again after `attempts` attempts (at least 1) on a budget that began at `began_at`.
    ///
    /// `wish` is the receiver's `Retry-After`: it lengthens a wait, never shortens it, and is clamped to
    /// [`RETRY_AFTER_MAX`]. `chance` in 0..1 decides the jitter; over a wish it only adds.
    #[must_use]
    pub fn next(
        &self,
        attempts: u32,
        began_at: TimeMs,
        now: TimeMs,
        wish: Option<Duration>,
        chance: f64,
    ) -> Next {
        if self.attempts_max.is_some_and(|max| attempts >= max) {
            return Next::Spent(Cause::AttemptsSpent);
        }
        let Some(wait) = self.wait(attempts) else {
            return Next::Spent(Cause::AttemptsSpent);
        };
        let jittered = wait.mul_f64(1.0 + self.jitter * (2.0 * chance - 1.0));
        let wait = match wish {
            Some(wish) => {
                let wish = wish.min(RETRY_AFTER_MAX);
                jittered.max(wish + wish.mul_f64(self.jitter * chance))
            }
            None => jittered,
        };
        let at = now.after(wait);
        if self.age_max.is_some_and(|max| at.since(began_at) > max) {
            return Next::Spent(Cause::AgeSpent);
        }
        Next::At(at)
    }

    fn wait(&self, attempts: u32) -> Option<Duration> {
        let index = attempts.saturating_sub(1);
        match &self.schedule {
            Schedule::Exponential { base, factor, max } => {
                let grown = base.as_secs_f64() * factor.powf(f64::from(index));
                Some(Duration::try_from_secs_f64(grown).unwrap_or(*max).min(*max))
            }
            Schedule::Explicit(waits) => waits.get(index as usize).copied(),
        }
    }
}

impl Default for Policy {
    /// Exponential from 1 s, doubling, at most an hour, 20 % jitter, 16 attempts: about 7 hours in all.
    fn default() -> Self {
        Self {
            schedule: Schedule::Exponential {
                base: Duration::from_secs(1),
                factor: 2.0,
                max: Duration::from_secs(3600),
            },
            attempts_max: Some(16),
            age_max: None,
            jitter: 0.2,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: TimeMs = TimeMs(1_000_000);

    #[test]
    fn standard_webhooks_makes_ten_attempts() {
        let policy = Policy::preset("standard-webhooks").unwrap();
        assert_eq!(
            policy.next(1, T0, T0, None, 0.5),
            Next::At(T0.after(Duration::from_secs(5)))
        );
        assert!(matches!(policy.next(9, T0, T0, None, 0.5), Next::At(_)));
        assert_eq!(
            policy.next(10, T0, T0, None, 0.5),
            Next::Spent(Cause::AttemptsSpent)
        );
    }

    #[test]
    fn a_wish_lengthens_and_is_clamped() {
        let policy = Policy {
            jitter: 0.0,
            ..Policy::default()
        };
        let at = |wish| match policy.next(1, T0, T0, Some(Duration::from_secs(wish)), 0.5) {
            Next::At(at) => at.since(T0).as_secs(),
            Next::Spent(cause) => panic!("{cause}"),
        };
        assert_eq!(at(0), 1);
        assert_eq!(at(30), 30);
        assert_eq!(at(10_000_000), 86_400);
    }

    #[test]
    fn the_age_is_spent_when_the_next_attempt_would_pass_it() {
        let policy = Policy {
            age_max: Some(Duration::from_secs(10)),
            jitter: 0.0,
            ..Policy::default()
        };
        let late = T0.after(Duration::from_secs(9));
        assert!(matches!(policy.next(1, T0, late, None, 0.5), Next::At(_)));
        assert_eq!(
            policy.next(2, T0, late, None, 0.5),
            Next::Spent(Cause::AgeSpent)
        );
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_jitter(attempts in 1u32..200, chance in 0.0..1.0f64) {
            let policy = Policy { attempts_max: None, ..Policy::default() };
            let Next::At(at) = policy.next(attempts, T0, T0, None, chance) else { panic!() };
            let nominal = (2f64.powi(attempts.min(30) as i32 - 1)).min(3600.0);
            let wait = at.since(T0).as_secs_f64();
            prop_assert!(wait >= nominal * 0.8 - 0.001 && wait <= nominal * 1.2 + 0.001);
        }
    }
}
