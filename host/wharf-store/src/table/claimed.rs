//! `claimed`: deliveries whose claim was put on disk before they were attempted, after an unclean stop.

use super::Numbered;
use crate::error::Malformed;

/// Key: delivery number, `message << 16 | place`. Value: [`Claimed`]. Written before an attempt, removed by its settle;
/// a clean stop makes what is left mean nothing.
pub(crate) const TABLE: Numbered = Numbered::new("claimed");

const VERSION: u8 = 1;

/// What is known of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// How many unclean starts found it claimed.
    pub(crate) found_count: u8,
    /// Whether it is out. If not, it waits, to be tried alone or like any other.
    pub(crate) is_claimed: bool,
}

impl Claimed {
    /// What an unclean start makes of it.
    pub(crate) fn found(self) -> Self {
        Self {
            found_count: self.found_count.saturating_add(u8::from(self.is_claimed)),
            is_claimed: false,
        }
    }

    /// Whether it is worth a row: it is out, or it was at an unclean stop.
    pub(crate) fn says_something(self) -> bool {
        self.is_claimed || self.found_count > 0
    }

    pub(crate) fn encode(self) -> [u8; 3] {
        [VERSION, self.found_count, u8::from(self.is_claimed)]
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        match *value {
            [VERSION, found_count, is_claimed @ (0 | 1)] => Ok(Self {
                found_count,
                is_claimed: is_claimed == 1,
            }),
            _ => Err(Malformed(
                "a claim is neither of its version nor of its length",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn claims_round_trip(found_count: u8, is_claimed: bool) {
            let claimed = Claimed { found_count, is_claimed };
            prop_assert_eq!(Claimed::decode(&claimed.encode()).unwrap(), claimed);
        }
    }

    /// One that waits for its turn is not counted again, whatever stops the process meanwhile.
    #[test]
    fn a_start_counts_what_was_claimed_since_the_last_one() {
        let new = Claimed {
            found_count: 0,
            is_claimed: true,
        };
        let once = new.found();
        assert_eq!(
            once,
            Claimed {
                found_count: 1,
                is_claimed: false
            }
        );
        assert_eq!(once.found(), once);
    }
}
