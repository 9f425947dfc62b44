//! Times as people write them.

use std::time::{Duration, UNIX_EPOCH};

/// Milliseconds since the Unix epoch as RFC 3339 in UTC with milliseconds. Times past the year
/// 9999, which it cannot write, fall back to the bare number.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    const YEAR_10000_MS: u64 = 253_402_300_800_000;
    if ms >= YEAR_10000_MS {
        return ms.to_string();
    }
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_up_to_the_year_9999() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_614_265_330_042, "2021-02-25T15:02:10.042Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "253402300800000"),
            (u64::MAX, "18446744073709551615"),
        ];
        for (ms, text) in cases {
            assert_eq!(rfc3339(ms), text);
        }
    }
}
