//! Failing over: when a route goes on to its next channel.
//!
//! Only from a delivery that its receiver certainly does not have. A failure is *definite* where nothing was done (effect
//! `none`, or a refusal), *ambiguous* where the receiver may have acted. One ambiguous failure keeps a delivery where it is
//! for good, whatever comes after it: it is retried there under the same idempotency key, which its receiver knows a repeat
//! by, and which another channel's receiver has never seen. What this costs: after one answer that went missing, a channel
//! that is down for long is waited for, and ends among the dead letters.

use std::num::NonZeroU32;

use crate::outcome::Effect;

/// What the failures of a delivery said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Definite ones, since it was made or redriven.
    pub definite_count: u32,
    /// Whether one of them, ever, was ambiguous.
    pub is_ambiguous: bool,
}

impl Failures {
    /// These, and one more; none where an attempt did not fail, or was refused.
    #[must_use]
    pub fn and(self, effect: Option<Effect>) -> Self {
        match effect {
            None => self,
            Some(Effect::None) => Self {
                definite_count: self.definite_count.saturating_add(1),
                ..self
            },
            Some(Effect::Unknown) => Self {
                is_ambiguous: true,
                ..self
            },
        }
    }

    /// These, once the delivery is redriven: what may have arrived still may.
    #[must_use]
    pub fn redriven(self) -> Self {
        Self {
            definite_count: 0,
            ..self
        }
    }
}

/// The other way that a delivery has: its route has another channel behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Definite failures after which that one's turn comes.
    pub after: NonZeroU32,
    /// Those so far.
    pub failures: Failures,
}

impl Failover {
    /// Whether this failure is the one after which the next channel's turn comes.
    #[must_use]
    pub fn is_due(self, effect: Effect) -> bool {
        let failures = self.failures.and(Some(effect));
        !failures.is_ambiguous && failures.definite_count >= self.after.get()
    }

    /// Whether the next channel can take over from what ends here by itself: its budget is spent with this failure, or it
    /// was refused (none).
    #[must_use]
    pub fn is_possible(self, effect: Option<Effect>) -> bool {
        !self.failures.and(effect).is_ambiguous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ambiguous_failure_keeps_a_delivery_where_it_is() {
        let due = |after, effects: &[Effect]| {
            let (last, before) = effects.split_last().unwrap();
            let failures = before.iter().map(|effect| Some(*effect));
            let failover = Failover {
                after: NonZeroU32::new(after).unwrap(),
                failures: failures.fold(Failures::default(), Failures::and),
            };
            (failover.is_due(*last), failover.is_possible(Some(*last)))
        };
        use Effect::{None as Definite, Unknown};
        assert_eq!(due(1, &[Definite]), (true, true));
        assert_eq!(due(2, &[Definite]), (false, true));
        assert_eq!(due(2, &[Definite, Definite]), (true, true));
        assert_eq!(due(1, &[Unknown]), (false, false));
        assert_eq!(due(1, &[Unknown, Definite, Definite]), (false, false));
        assert_eq!(due(2, &[Definite, Unknown]), (false, false));
    }
}
