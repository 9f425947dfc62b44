//! Time as wharf stores it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TimeMs(pub u64);

impl TimeMs {
    /// This time plus a span; saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// The span since an earlier time; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Why a text is no [`TimeMs`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no RFC 3339 time from 1970 on, such as 2026-11-22T16:53:09Z")]
pub struct TimeError(String);

impl FromStr for TimeMs {
    type Err = TimeError;

    /// Reads RFC 3339, with any offset; precision past milliseconds is cut.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError(text.to_owned());
        // By its parts, since jiff's own range of instants ends a day before 9999-12-31T23:59:59Z, a common "never".
        let parts = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| error())?;
        let (Some(time), Some(offset)) = (parts.time(), parts.to_numeric_offset()) else {
            return Err(error());
        };
        let local = parts
            .date()
            .to_datetime(time)
            .duration_since(jiff::civil::date(1970, 1, 1).into());
        let ms = local.as_millis() - i128::from(offset.seconds()) * 1000;
        u64::try_from(ms).map(Self).map_err(|_| error())
    }
}

impl fmt::Display for TimeMs {
    /// RFC 3339 in UTC with milliseconds, such as `2026-11-22T16:53:09.042Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        let timestamp = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{timestamp:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::TimeMs;

    #[test]
    fn reads_and_writes_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_366_389_042, "2026-11-22T16:53:09.042Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(TimeMs(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(TimeMs(ms)));
        }
        assert_eq!(
            "2000-02-29T01:00:00+01:00".parse(),
            Ok(TimeMs(951_782_400_000))
        );
        for bad in [
            "",
            "2000-02-30T00:00:00Z",
            "yesterday",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(bad.parse::<TimeMs>().is_err(), "{bad}");
        }
    }
}
