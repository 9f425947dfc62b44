//! The status machine of a delivery.
//!
//! ```text
//!  accept ─▶ queued ◀────────── release ── held (resequencer)
//!              │ attempt                     ▲ stash
//!              ▼                             │
//!    [sending: in memory only, a lease]  ── delivered ─────────────────────────▶ delivered   (final)
//!      │            │            └───────── provisional ── final enough ───────▶ delivered
//!      │            │                          │ channel changed its mind (cause: reverted)
//!      │            └── pending ◀──────────────┤   ──▶ pending | retrying | rejected
//!      │                  │ poll / receipt ────┴──▶ delivered | provisional | rejected | dead
//!      └── retrying ── due ─▶ attempt        budget spent ─▶ dead        channel said no ─▶ rejected
//! ```
//!
//! `sending` is never stored: a crash makes the delivery ready again. Redrive is the only way out of a final
//! status. A claim that contradicts one is journalled (cause: conflict), which is no step: the delivery stays where it is.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! named_numbers {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        ///
        /// The numbers are stored: pinned, never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant = $number,)*
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in the API, the journal and the contract.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one with this stored number.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named_numbers! {
    /// Where a delivery stands.
    Status {
        /// Ready, or waiting for its `deliver-after`.
        Queued = 1 "queued",
        /// Stashed by the resequencer.
        Held = 2 "held",
        /// An attempt failed; the next one has a time.
        Retrying = 3 "retrying",
        /// The receiver took it and will tell later.
        Pending = 4 "pending",
        /// The receiver has it, but may change its mind.
        Provisional = 5 "provisional",
        /// Final: the receiver has it.
        Delivered = 6 "delivered",
        /// Final: the channel or a converter said no.
        Rejected = 7 "rejected",
        /// Final: given up.
        Dead = 8 "dead",
        /// Final: its time passed before it was sent.
        Expired = 9 "expired",
        /// Final: someone cancelled it.
        Cancelled = 10 "cancelled",
        /// Final: a bounded send queue had no room.
        Shed = 11 "shed",
        /// Final: a failover went on to the next channel.
        Superseded = 12 "superseded",
    }
}

named_numbers! {
    /// Where a message without deliveries stands.
    Standing {
        /// No route matched.
        Unroutable = 1 "unroutable",
        /// Nobody subscribed.
        NotWanted = 2 "not-wanted",
    }
}

named_numbers! {
    /// Why a transition happened.
    Cause {
        /// A message was accepted.
        Accepted = 1 "accepted",
        /// No route matched the message.
        NoRoute = 2 "no-route",
        /// The attempt did what it should.
        Sent = 3 "sent",
        /// The channel answered with a failure.
        Failed = 4 "failed",
        /// A plugin trapped, or broke a limit.
        PluginFault = 5 "plugin-fault",
        /// The retry policy allows no further attempt.
        AttemptsSpent = 6 "attempts-spent",
        /// The retry policy's maximum age has passed.
        AgeSpent = 7 "age-spent",
        /// The channel said no.
        Refused = 8 "refused",
        /// A converter said no.
        ConversionRefused = 9 "conversion-refused",
        /// `expires-at` passed before it was sent.
        Expired = 10 "expired",
        /// The channel or its plugin is missing; the delivery waits.
        ChannelMissing = 11 "channel-missing",
        /// Someone asked for it.
        Redriven = 12 "redriven",
        /// Someone asked for it.
        Cancelled = 13 "cancelled",
        /// A poll or a receipt told.
        Reported = 14 "reported",
        /// A provisional delivery was taken back.
        Reverted = 15 "reverted",
        /// The maximum age of pending passed; nobody knows what became of it.
        OutcomeUnknown = 16 "outcome-unknown",
        /// It was in flight at two unclean stops.
        CrashedHost = 17 "crashed-host",
        /// The journal was too large, and rows went that a reader had yet to read.
        Gap = 18 "gap",
        /// A route went on to its next channel.
        FailedOver = 19 "failed-over",
        /// The router could not decide where the message goes.
        RouterFailed = 20 "router-failed",
        /// Someone reported the opposite of how it had ended: it stays as it is.
        Conflict = 21 "conflict",
        /// Its lane was left alone, and its route went on to its next channel.
        BreakerOpen = 25 "breaker-open",
    }
}

impl Status {
    /// Whether only a redrive leads out of it.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Held | Self::Retrying | Self::Pending | Self::Provisional => false,
            Self::Delivered
            | Self::Rejected
            | Self::Dead
            | Self::Expired
            | Self::Cancelled
            | Self::Shed
            | Self::Superseded => true,
        }
    }

    /// Whether an attempt can start from it.
    #[must_use]
    pub fn is_sendable(self) -> bool {
        matches!(self, Self::Queued | Self::Retrying)
    }

    /// Whether the machine has this step. `from` is none for a delivery's first row.
    #[must_use]
    pub fn allows(from: Option<Self>, to: Self) -> bool {
        use Status::{
            Cancelled, Dead, Delivered, Expired, Held, Pending, Provisional, Queued, Rejected,
            Retrying, Shed, Superseded,
        };
        let Some(from) = from else {
            return matches!(to, Queued | Held | Shed);
        };
        match from {
            Queued | Retrying => matches!(
                to,
                Delivered
                    | Provisional
                    | Pending
                    | Retrying
                    | Rejected
                    | Dead
                    | Expired
                    | Cancelled
                    | Superseded
                    | Shed
            ),
            Held => matches!(to, Queued | Expired | Cancelled | Dead | Shed),
            Pending => matches!(to, Delivered | Provisional | Retrying | Rejected | Dead),
            Provisional => matches!(to, Delivered | Pending | Retrying | Rejected | Dead),
            Dead => matches!(to, Queued | Pending),
            Rejected | Shed => matches!(to, Queued),
            Delivered | Expired | Cancelled | Superseded => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are on disk: a change of this table is a change of the format.
    #[test]
    fn numbers_and_names_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::from_number(*status as u8), Some(*status));
        }
        for cause in Cause::ALL {
            assert_eq!(Cause::from_number(*cause as u8), Some(*cause));
        }
        assert_eq!(Status::Superseded as u8, 12);
        assert_eq!(Cause::Conflict as u8, 21);
    }

    #[test]
    fn a_final_status_is_left_by_redrive_alone() {
        for from in Status::ALL.iter().filter(|s| s.is_final()) {
            for to in Status::ALL {
                let redrive = matches!(from, Status::Dead | Status::Rejected | Status::Shed)
                    && *to == Status::Queued
                    || (*from, *to) == (Status::Dead, Status::Pending);
                assert_eq!(Status::allows(Some(*from), *to), redrive, "{from} -> {to}");
            }
        }
    }
}
