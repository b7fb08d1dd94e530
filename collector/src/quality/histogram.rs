//! Round-trip times by how long they were, in bins that grow with the time itself.
//!
//! A bin's upper bound is 21/19 of the one before it, so the value that is told for a bin, the harmonic mean of its two bounds,
//! is within 5 % of every time in it (the bins of DDSketch, Masson, Rim and Lee 2019, with α = 0.05). What is under 10 µs is one
//! bin. So a percentile costs a byte a bin, and merging is adding: the order does not matter.

/// The first bin's upper bound in microseconds: no probe of a link is faster, nor any clock that times it finer.
const FIRST_US: u64 = 10;
/// So many bins reach from 10 µs past the hour that is the longest round-trip time (`wan_wire::round::MAX_INTERVAL`).
const BINS: usize = 203;
/// The upper bounds in microseconds, each part of its bin. Whole numbers, so that every machine bins alike.
const BOUNDS: [u64; BINS] = bounds();

const fn bounds() -> [u64; BINS] {
    let mut bounds = [FIRST_US; BINS];
    let mut at = 1;
    while at < BINS {
        bounds[at] = bounds[at - 1] * 21 / 19;
        at += 1;
    }
    bounds
}

/// How many round-trip times fell in each bin. Bins without any are not held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// In the order of the bins.
    bins: Vec<(u8, u64)>,
}

impl Histogram {
    /// Adds `count` times of `micros`.
    pub fn add(&mut self, micros: u64, count: u64) {
        self.put(bin(micros), count);
    }

    /// Adds `count` to a bin.
    pub(super) fn put(&mut self, bin: u8, count: u64) {
        if count == 0 {
            return;
        }
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.bins[at].1 = self.bins[at].1.saturating_add(count),
            Err(at) => self.bins.insert(at, (bin, count)),
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        // Both are in order, so each search begins where the last ended.
        let mut at = 0;
        for (bin, count) in &other.bins {
            at += self.bins[at..].iter().take_while(|(known, _)| known < bin).count();
            match self.bins.get_mut(at) {
                Some((known, sum)) if known == bin => *sum = sum.saturating_add(*count),
                Some(_) | None => self.bins.insert(at, (*bin, *count)),
            }
        }
    }

    /// Holds nothing, with room for the bins of an hour of an ordinary line.
    pub(super) fn with_room() -> Self {
        Self { bins: Vec::with_capacity(16) }
    }

    /// The bins that hold any, in order.
    pub(super) fn bins(&self) -> impl Iterator<Item = (u8, u64)> {
        self.bins.iter().copied()
    }

    /// How many times it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bins.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The time in microseconds that `percent` of all do not exceed (nearest rank), within 5 %, or 10 µs where that is more;
    /// `None` when it holds none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = self.count().saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0_u64;
        for (bin, count) in &self.bins {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return Some(told(*bin));
            }
        }
        None
    }
}

/// The bin of a time; what is past the last bound is in the last.
fn bin(micros: u64) -> u8 {
    let at = BOUNDS.partition_point(|bound| *bound < micros).min(BINS - 1);
    u8::try_from(at).unwrap_or(u8::MAX)
}

/// What is told for a bin, in microseconds.
fn told(bin: u8) -> u64 {
    let at = usize::from(bin).min(BINS - 1);
    let high = BOUNDS[at];
    match at.checked_sub(1).map(|before| BOUNDS[before]) {
        Some(low) => low * high / low.midpoint(high),
        None => high,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bins_reach_past_the_longest_round_trip_time_and_never_repeat() {
        assert!(BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(BOUNDS[BINS - 1] >= 3_600_000_000, "{}", BOUNDS[BINS - 1]);
        assert!(BOUNDS[BINS - 2] < 3_600_000_000, "there are more bins than are needed");
    }

    #[test]
    fn nothing_has_no_percentile_and_one_is_its_own() {
        assert_eq!(Histogram::default().percentile(95), None);
        let mut one = Histogram::default();
        one.add(0, 1);
        assert_eq!(one.percentile(95), Some(10));
        assert_eq!(one.percentile(0), Some(10));
    }

    proptest! {
        #[test]
        fn a_percentile_is_within_five_percent_of_the_one_counted_out(
            mut times in prop::collection::vec(0_u64..4_000_000_000, 1..200), percent in 1_u64..=100,
        ) {
            let mut histogram = Histogram::default();
            times.iter().for_each(|time| histogram.add(*time, 1));
            times.sort_unstable();
            let rank = (times.len() as u64 * percent).div_ceil(100).max(1);
            let exact = times[usize::try_from(rank - 1).unwrap()].min(BOUNDS[BINS - 1]) as f64;
            let found = histogram.percentile(percent).unwrap() as f64;
            prop_assert!((found - exact).abs() <= (exact * 0.05 + 1.0).max(10.0), "{found} for {exact}");
        }
    }
}
