//! Sets of instants: when the collector ran, what was planned, the hours that count.
//!
//! A [`Periods`] is canonical: its periods are sorted, disjoint, not empty and do not touch. So equal sets are equal values,
//! and every operation is one pass over its operands.

use std::time::Duration;

use wan_wire::UnixMillis;

use super::timeline::Window;

/// One half-open time `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// First instant.
    pub start: UnixMillis,
    /// First instant after it.
    pub end: UnixMillis,
}

/// A set of instants as sorted, disjoint periods that do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Periods {
    periods: Vec<Period>,
}

impl Periods {
    /// No instant.
    #[must_use]
    pub const fn new() -> Self {
        Self { periods: Vec::new() }
    }

    /// Adds every instant of `[start, end)`; adding an instant twice is adding it once. An empty interval adds none.
    pub fn add(&mut self, start: UnixMillis, end: UnixMillis) {
        if start >= end {
            return;
        }
        let first = self.periods.partition_point(|period| period.end < start);
        let count = self.periods[first..].partition_point(|period| period.start <= end);
        match self.periods.get(first..first + count) {
            Some([one]) => {
                self.periods[first] = Period { start: one.start.min(start), end: one.end.max(end) };
            }
            Some([from, .., to]) => {
                let joined = Period { start: from.start.min(start), end: to.end.max(end) };
                self.periods.splice(first..first + count, [joined]);
            }
            Some([]) | None => self.periods.insert(first, Period { start, end }),
        }
    }

    /// Whether the set holds this instant.
    #[must_use]
    pub fn contains(&self, instant: UnixMillis) -> bool {
        self.at(instant).is_some()
    }

    /// The period that holds this instant.
    #[must_use]
    pub fn at(&self, instant: UnixMillis) -> Option<Period> {
        let index = self.periods.partition_point(|period| period.end <= instant);
        self.periods.get(index).copied().filter(|period| period.start <= instant)
    }

    /// Every period, in order of time.
    #[must_use]
    pub fn as_slice(&self) -> &[Period] {
        &self.periods
    }

    /// The periods that end at or after `instant`, in order: for a cursor that starts there.
    #[must_use]
    pub fn from(&self, instant: UnixMillis) -> &[Period] {
        &self.periods[self.periods.partition_point(|period| period.end < instant)..]
    }

    /// Whether the set holds an instant of `[start, end)`.
    #[must_use]
    pub fn overlaps(&self, start: UnixMillis, end: UnixMillis) -> bool {
        let index = self.periods.partition_point(|period| period.end <= start);
        start < end && self.periods.get(index).is_some_and(|period| period.start < end)
    }

    /// Takes every instant of `[start, end)` out.
    pub fn remove(&mut self, start: UnixMillis, end: UnixMillis) {
        if !self.overlaps(start, end) {
            return;
        }
        let first = self.periods.partition_point(|period| period.end <= start);
        let count = self.periods[first..].partition_point(|period| period.start < end);
        let (before, after) = (self.periods[first].start, self.periods[first + count - 1].end);
        let left = [Period { start: before, end: start }, Period { start: end, end: after }];
        let left = left.into_iter().filter(|period| period.start < period.end);
        self.periods.splice(first..first + count, left);
    }

    /// Every instant that is at most `by` before or after one of the set.
    #[must_use]
    pub fn widened(&self, by: Duration) -> Self {
        self.periods.iter().map(|period| (period.start.minus(by), period.end.plus(by))).collect()
    }

    /// Whether the set holds no instant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.periods.is_empty()
    }

    /// How many milliseconds it holds.
    #[must_use]
    pub fn total_ms(&self) -> i64 {
        let length = |period: &Period| period.end.millis_since(period.start);
        self.periods.iter().map(length).fold(0, i64::saturating_add)
    }

    /// What of it lies in the window.
    #[must_use]
    pub fn within(&self, window: Window) -> Self {
        if window.is_empty() {
            return Self::new();
        }
        let first = self.periods.partition_point(|period| period.end <= window.start);
        let rest = self.periods.get(first..).unwrap_or_default();
        let inside = rest.iter().take_while(|period| period.start < window.end);
        let cut = |period: &Period| Period {
            start: period.start.max(window.start),
            end: period.end.min(window.end),
        };
        Self { periods: inside.map(cut).collect() }
    }

    /// The instants of the window that it does not hold.
    #[must_use]
    pub fn complement(&self, window: Window) -> Self {
        let mut rest = Self::new();
        let mut from = window.start;
        for period in &self.within(window).periods {
            rest.push(from, period.start);
            from = period.end;
        }
        rest.push(from, window.end);
        rest
    }

    /// The instants that either holds.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut both = Self::new();
        let (mut ours, mut theirs) = (self.periods.as_slice(), other.periods.as_slice());
        loop {
            let next = match (ours, theirs) {
                ([], []) => return both,
                ([ours_first, rest @ ..], [theirs_first, ..]) if ours_first.start <= theirs_first.start => {
                    ours = rest;
                    ours_first
                }
                ([first, rest @ ..], []) => {
                    ours = rest;
                    first
                }
                (_, [first, rest @ ..]) => {
                    theirs = rest;
                    first
                }
            };
            both.push(next.start, next.end);
        }
    }

    /// The instants that any of the sets holds. Sets of equal weight are joined first, so that the work grows with what there is to
    /// join and little more, and never more is held than the sets joined so far.
    #[must_use]
    pub fn union_of(sets: impl IntoIterator<Item = Self>) -> Self {
        // Each joined from twice as many sets as the next.
        let mut joined: Vec<(u32, Self)> = Vec::new();
        for set in sets {
            let mut next = (0, set);
            while let Some((_, before)) = joined.pop_if(|(weight, _)| *weight == next.0) {
                next = (next.0 + 1, before.union(&next.1));
            }
            joined.push(next);
        }
        joined.into_iter().rev().fold(Self::new(), |all, (_, set)| all.union(&set))
    }

    /// The instants that both hold.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut shared = Self::new();
        let (mut ours, mut theirs) = (self.periods.as_slice(), other.periods.as_slice());
        while let ([our, our_rest @ ..], [their, their_rest @ ..]) = (ours, theirs) {
            shared.push(our.start.max(their.start), our.end.min(their.end));
            if our.end <= their.end {
                ours = our_rest;
            } else {
                theirs = their_rest;
            }
        }
        shared
    }

    /// The instants that this holds and the other does not.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut left = Self::new();
        let mut others = other.periods.as_slice();
        for period in &self.periods {
            let mut from = period.start;
            while let [first, rest @ ..] = others {
                if first.start >= period.end {
                    break;
                }
                left.push(from, first.start);
                from = from.max(first.end);
                if first.end > period.end {
                    break;
                }
                others = rest;
            }
            left.push(from, period.end);
        }
        left
    }

    /// Adds `[start, end)`, which begins no earlier than the last period does.
    fn push(&mut self, start: UnixMillis, end: UnixMillis) {
        if start >= end {
            return;
        }
        match self.periods.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            Some(_) | None => self.periods.push(Period { start, end }),
        }
    }
}

/// Moves a cursor over periods to `at`, which never goes back: whether the set holds it, and until when that is so.
pub fn look_in(rest: &mut &[Period], at: UnixMillis) -> (bool, UnixMillis) {
    while let [first, behind @ ..] = *rest {
        if at < first.start {
            return (false, first.start);
        }
        if at < first.end {
            return (true, first.end);
        }
        *rest = behind;
    }
    (false, UnixMillis::MAX)
}

/// Of periods in any order, also overlapping or empty ones.
impl FromIterator<(UnixMillis, UnixMillis)> for Periods {
    fn from_iter<I: IntoIterator<Item = (UnixMillis, UnixMillis)>>(periods: I) -> Self {
        let mut sorted: Vec<_> = periods.into_iter().collect();
        sorted.sort_unstable();
        let mut set = Self::new();
        for (start, end) in sorted {
            set.push(start, end);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(t: i64) -> UnixMillis {
        UnixMillis(t)
    }

    #[test]
    fn periods_join_where_they_meet() {
        let at = |set: &Periods| set.as_slice().iter().map(|p| (p.start.0, p.end.0)).collect::<Vec<_>>();
        let mut set: Periods = [(ms(0), ms(10)), (ms(20), ms(30)), (ms(5), ms(5))].into_iter().collect();
        assert_eq!(at(&set), [(0, 10), (20, 30)]);
        set.add(ms(40), ms(50));
        set.add(ms(10), ms(12));
        assert_eq!(at(&set), [(0, 12), (20, 30), (40, 50)]);
        assert!(set.contains(ms(0)) && !set.contains(ms(12)) && set.contains(ms(49)));
        set.add(ms(11), ms(45));
        assert_eq!(at(&set), [(0, 50)]);
        set.add(ms(-5), ms(-1));
        assert_eq!(at(&set), [(-5, -1), (0, 50)]);
    }
}
