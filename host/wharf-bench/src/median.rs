//! Arithmetic on what was measured.

use std::time::Duration;

/// The middle one; of an even count the lower middle; not a number where there is none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

/// The time that `percent` of them do not pass, in microseconds. They are sorted.
pub(crate) fn percentile_us(sorted: &[Duration], percent: f64) -> f64 {
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    let at = sorted.get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1)));
    at.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
        let times: Vec<_> = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(percentile_us(&times, 50.0), 50.0);
        assert_eq!(percentile_us(&times, 99.0), 99.0);
        assert_eq!(percentile_us(&times[..1], 99.0), 1.0);
    }
}
