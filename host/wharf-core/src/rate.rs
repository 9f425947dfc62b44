//! Rate limits: so many in a time, evenly.
//!
//! The generic cell rate algorithm: one number says when the next one is expected; what comes earlier than a tolerance
//! before that has to wait. No window, so that not twice as many go around the end of one. Time comes in, as everywhere
//! here, which is what the limiters of others do not do.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::time::TimeMs;

/// How much earlier than expected one may come. It makes up for timers, which wake a little late; and so many as fall due
/// in this time go at once.
const TOLERANCE: Duration = Duration::from_millis(100);

/// So many in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time; not zero.
    pub per: Duration,
}

impl Rate {
    /// How far apart they are on average.
    #[must_use]
    pub fn interval(self) -> Duration {
        self.per / self.count.get()
    }
}

/// Holds a rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limiter {
    /// When the next one is expected, in nanoseconds since the Unix epoch.
    expected_ns: u64,
}

impl Limiter {
    /// Counts one, or says how long it has to wait.
    pub fn take(&mut self, rate: Rate, now: TimeMs) -> Result<(), Duration> {
        let (interval, tolerance) = (nanoseconds(rate.interval()), nanoseconds(TOLERANCE));
        let now = now.0.saturating_mul(1_000_000);
        // No further ahead than the rate itself can have come, though the clock was set back.
        let furthest = now.saturating_add(interval).saturating_add(tolerance);
        let expected = self.expected_ns.clamp(now, furthest);
        match (expected - now).checked_sub(tolerance) {
            Some(early) if early > 0 => Err(Duration::from_nanos(early)),
            _ => {
                self.expected_ns = expected.saturating_add(interval);
                Ok(())
            }
        }
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(count: u32, seconds: u64) -> Rate {
        Rate {
            count: NonZeroU32::new(count).unwrap(),
            per: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn it_says_how_long_to_wait() {
        let (rate, mut limiter) = (rate(60, 60), Limiter::default());
        let mut now = TimeMs(1_000_000);
        assert_eq!(limiter.take(rate, now), Ok(()));
        assert_eq!(limiter.take(rate, now), Err(Duration::from_millis(900)));
        now = now.after(Duration::from_millis(900));
        assert_eq!(limiter.take(rate, now), Ok(()));
        // What came a little early does not make the next one earlier.
        assert_eq!(limiter.take(rate, now), Err(Duration::from_secs(1)));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nobody() {
        let (rate, mut limiter) = (rate(10, 1), Limiter::default());
        assert_eq!(limiter.take(rate, TimeMs(10_000_000)), Ok(()));
        let wait = (0..10).find_map(|_| limiter.take(rate, TimeMs(0)).err());
        assert!(wait.unwrap() <= Duration::from_millis(100));
    }

    proptest! {
        /// However they come: in no span of time go more than the rate allows in it, and what the tolerance adds; and whoever
        /// waits as long as it was told goes then.
        #[test]
        fn the_rate_is_held(
            count in 1u32..2000,
            seconds in 1u64..100,
            gaps in proptest::collection::vec(0u64..50, 1..300),
        ) {
            let (rate, mut limiter) = (rate(count, seconds), Limiter::default());
            let mut now = TimeMs(1_000_000);
            let mut gone = Vec::new();
            for gap in gaps {
                now = now.after(Duration::from_millis(gap));
                match limiter.take(rate, now) {
                    Ok(()) => gone.push(now),
                    Err(wait) => {
                        let then = now.after(wait + Duration::from_millis(1));
                        prop_assert_eq!(limiter.clone().take(rate, then), Ok(()));
                    }
                }
            }
            for (first, from) in gone.iter().enumerate() {
                for (last, to) in gone.iter().enumerate().skip(first) {
                    let span = to.since(*from) + TOLERANCE;
                    let most = span.as_secs_f64() / rate.interval().as_secs_f64() + 1.0;
                    prop_assert!((last - first) as f64 <= most, "{} in {span:?}", last + 1 - first);
                }
            }
        }
    }
}
