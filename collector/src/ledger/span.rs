//! Evidence of one observer about one link: a run-length encoded function from time to [`Outcome`].
//!
//! # The algebra
//!
//! [`Spans`] is a partial function *instant → outcome*, defined where somebody looked. [`Spans::paint`] is its only way
//! to grow: it sets every instant of a half-open interval to the **maximum** of what it had and of what is painted, in
//! the order `fault < down < degraded < up`, an undefined instant being less than all of them.
//!
//! The maximum is commutative, associative and idempotent, so the function that results depends on the *set* of rounds
//! alone: neither on the order of their arrival, nor on how often each arrived, nor on how they were grouped into
//! requests. That is the whole treatment of late, duplicate and shuffled data, and of a journal replayed over a
//! checkpoint that already contains it. Two more rules of the ledger are the same maximum:
//!
//! - a link with several targets is up when any of them answers;
//! - a round in which the instrument failed (`fault`) says nothing that a round which worked does not overrule.
//!
//! The representation is canonical: spans are sorted, disjoint, not empty, and two spans that touch differ in outcome.
//! Equal functions are therefore equal values, and "the same ledger" can be tested with `==`.

use std::fmt;

use wan_wire::{Outcome, UnixMillis};

pub use super::periods::{Period, Periods, look_in};

/// One maximal run of equal outcome over the half-open time `[start, end)`. 24 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// First instant of the run.
    pub start: UnixMillis,
    /// First instant after the run.
    pub end: UnixMillis,
    /// What was seen all through it.
    pub outcome: Outcome,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}..{} {:?}]", self.start.0, self.end.0, self.outcome)
    }
}

/// The shortest half-open interval that holds every instant whose outcome a [`Spans::paint`] changed.
///
/// What was derived outside of it still stands; what was derived inside may have to be restated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// First instant that changed.
    pub from: UnixMillis,
    /// First instant after the last one that changed.
    pub to: UnixMillis,
}

/// Why a list of spans is not a canonical [`Spans`]: something other than this module wrote or damaged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSpans {
    /// A span holds no instant.
    #[error(
        "span {index} is empty: it starts at {start} ms and ends at {end} ms; a span must end after its start"
    )]
    Empty {
        /// Position in the list, from 0.
        index: usize,
        /// Its start, Unix milliseconds.
        start: i64,
        /// Its end, Unix milliseconds.
        end: i64,
    },
    /// A span starts before its predecessor ends.
    #[error(
        "span {index} starts at {start} ms, before its predecessor ends at {previous_end} ms; spans must be sorted \
         and disjoint"
    )]
    Overlap {
        /// Position in the list, from 0.
        index: usize,
        /// Its start, Unix milliseconds.
        start: i64,
        /// End of the span before it, Unix milliseconds.
        previous_end: i64,
    },
    /// A span continues its predecessor with the same outcome.
    #[error(
        "span {index} continues its predecessor at {start} ms with the same outcome; the two must be one span"
    )]
    Unmerged {
        /// Position in the list, from 0.
        index: usize,
        /// Its start, Unix milliseconds.
        start: i64,
    },
}

/// What one observer saw of one link, as sorted, disjoint, maximal runs. See the module's page for the algebra.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Spans {
    spans: Vec<Span>,
}

impl Spans {
    /// No evidence at all.
    #[must_use]
    pub const fn new() -> Self {
        Self { spans: Vec::new() }
    }

    /// Takes spans as they were checkpointed, after checking that they are canonical.
    ///
    /// # Errors
    /// The first span that is empty, overlaps its predecessor, or should have been one with it.
    pub fn from_sorted(spans: Vec<Span>) -> Result<Self, BadSpans> {
        let mut previous: Option<&Span> = None;
        for (index, span) in spans.iter().enumerate() {
            if span.start >= span.end {
                return Err(BadSpans::Empty { index, start: span.start.0, end: span.end.0 });
            }
            if let Some(before) = previous {
                if span.start < before.end {
                    return Err(BadSpans::Overlap { index, start: span.start.0, previous_end: before.end.0 });
                }
                if span.start == before.end && span.outcome == before.outcome {
                    return Err(BadSpans::Unmerged { index, start: span.start.0 });
                }
            }
            previous = Some(span);
        }
        Ok(Self { spans })
    }

    /// Sets every instant of `[start, end)` to the maximum of what it had and `outcome`, and says what that changed.
    ///
    /// `None`: the evidence said at least as much already (a duplicate, or another target's better round), or the
    /// interval is empty. In constant time where the interval starts inside or after the last span and that span need
    /// not be split, which is every round that arrives in order; else in O(log n + spans touched), plus the move of the
    /// spans behind when their number changes.
    #[inline]
    pub fn paint(&mut self, start: UnixMillis, end: UnixMillis, outcome: Outcome) -> Option<Changed> {
        if start >= end {
            return None;
        }
        let Some(last) = self.spans.last_mut() else {
            self.push(Span { start, end, outcome });
            return Some(Changed { from: start, to: end });
        };
        // Inside or behind the last span, and not better than it where they overlap: only what lies behind changes.
        if start >= last.end || (start >= last.start && outcome <= last.outcome) {
            if end <= last.end {
                return None;
            }
            let from = start.max(last.end);
            if from == last.end && outcome == last.outcome {
                last.end = end;
            } else {
                self.push(Span { start: from, end, outcome });
            }
            return Some(Changed { from, to: end });
        }
        self.paint_within(start, end, outcome)
    }

    /// Adds a span behind all others. Room grows by an eighth: of the spans of three years most never change, and of 40,000 links
    /// doubling would reserve as much again for nothing.
    fn push(&mut self, span: Span) {
        if self.spans.len() == self.spans.capacity() {
            self.spans.reserve_exact((self.spans.len() / 8).max(4));
        }
        self.spans.push(span);
    }

    /// The evidence of both: the pointwise maximum, as if every round of either had been painted.
    pub fn merge(&mut self, other: &Self) {
        for span in &other.spans {
            self.paint(span.start, span.end, span.outcome);
        }
    }

    /// The outcome at one instant; `None` where nobody looked.
    #[must_use]
    pub fn at(&self, instant: UnixMillis) -> Option<Outcome> {
        let index = self.spans.partition_point(|span| span.end <= instant);
        self.spans.get(index).filter(|span| span.start <= instant).map(|span| span.outcome)
    }

    /// The spans that share an instant with `[from, to)`, whole.
    #[must_use]
    pub fn overlapping(&self, from: UnixMillis, to: UnixMillis) -> &[Span] {
        if from >= to {
            return &[];
        }
        let first = self.spans.partition_point(|span| span.end <= from);
        let rest = &self.spans[first..];
        &rest[..rest.partition_point(|span| span.start < to)]
    }

    /// The spans inside `[from, to)`, cut to it.
    pub fn window(&self, from: UnixMillis, to: UnixMillis) -> impl Iterator<Item = Span> + '_ {
        self.overlapping(from, to).iter().map(move |span| Span {
            start: span.start.max(from),
            end: span.end.min(to),
            outcome: span.outcome,
        })
    }

    /// The earliest span.
    #[must_use]
    pub fn first(&self) -> Option<&Span> {
        self.spans.first()
    }

    /// The latest span.
    #[must_use]
    pub fn last(&self) -> Option<&Span> {
        self.spans.last()
    }

    /// Every span, in order of time.
    pub fn iter(&self) -> std::slice::Iter<'_, Span> {
        self.spans.iter()
    }

    /// Every span, in order of time.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        &self.spans
    }

    /// How many runs the evidence has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether nobody ever looked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Gives back the memory that growing reserved in advance: after loading, and for links that have ended.
    pub fn shrink_to_fit(&mut self) {
        self.spans.shrink_to_fit();
    }

    /// [`Spans::paint`] where existing spans are met: rebuilds the few that the interval touches.
    #[cold]
    fn paint_within(&mut self, start: UnixMillis, end: UnixMillis, outcome: Outcome) -> Option<Changed> {
        // Neighbours that only touch take part, so that the result is merged with them.
        let first = self.spans.partition_point(|span| span.end < start);
        let touched = &self.spans[first..];
        let touched = &touched[..touched.partition_point(|span| span.start <= end)];
        let mut pieces: Vec<Span> = Vec::with_capacity(2 * touched.len() + 1);
        let mut changed: Option<Changed> = None;
        let mut change = |from: UnixMillis, to: UnixMillis| {
            changed = Some(Changed { from: changed.map_or(from, |c| c.from), to });
        };
        // Everything of the interval before `done` is in `pieces`.
        let mut done = start;
        for span in touched {
            let (from, to) = (span.start.max(start), span.end.min(end));
            if done < from {
                push_merged(&mut pieces, done, from, outcome);
                change(done, from);
            }
            push_merged(&mut pieces, span.start, from.min(span.end), span.outcome);
            if from < to {
                push_merged(&mut pieces, from, to, span.outcome.max(outcome));
                if span.outcome < outcome {
                    change(from, to);
                }
            }
            push_merged(&mut pieces, to.max(span.start), span.end, span.outcome);
            done = done.max(to);
        }
        if done < end {
            push_merged(&mut pieces, done, end, outcome);
            change(done, end);
        }
        if changed.is_some() {
            let touched = touched.len();
            if pieces.len() == touched {
                self.spans[first..first + touched].copy_from_slice(&pieces);
            } else {
                self.spans.splice(first..first + touched, pieces);
            }
        }
        changed
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.spans).finish()
    }
}

impl<'a> IntoIterator for &'a Spans {
    type Item = &'a Span;
    type IntoIter = std::slice::Iter<'a, Span>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Appends `[start, end)`, if it holds an instant, as a continuation of the last piece where that is what it is.
fn push_merged(pieces: &mut Vec<Span>, start: UnixMillis, end: UnixMillis, outcome: Outcome) {
    if start >= end {
        return;
    }
    match pieces.last_mut() {
        Some(last) if last.end == start && last.outcome == outcome => last.end = end,
        Some(_) | None => pieces.push(Span { start, end, outcome }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Degraded, Down, Fault, Up};

    fn ms(t: i64) -> UnixMillis {
        UnixMillis(t)
    }

    fn painted(rounds: &[(i64, i64, Outcome)]) -> Spans {
        let mut spans = Spans::new();
        for &(start, end, outcome) in rounds {
            spans.paint(ms(start), ms(end), outcome);
        }
        assert_eq!(Spans::from_sorted(spans.spans.clone()).as_ref(), Ok(&spans), "the result is canonical");
        spans
    }

    fn rows(spans: &Spans) -> Vec<(i64, i64, Outcome)> {
        spans.iter().map(|s| (s.start.0, s.end.0, s.outcome)).collect()
    }

    fn hull(from: i64, to: i64) -> Option<Changed> {
        Some(Changed { from: ms(from), to: ms(to) })
    }

    #[test]
    fn a_span_takes_24_bytes() {
        assert_eq!(size_of::<Span>(), 24);
    }

    #[test]
    fn rounds_in_order_extend_the_last_span() {
        let spans = painted(&[(0, 5, Up), (5, 10, Up), (10, 15, Down), (15, 20, Down), (30, 35, Down)]);
        assert_eq!(rows(&spans), [(0, 10, Up), (10, 20, Down), (30, 35, Down)]);
    }

    #[test]
    fn a_duplicate_changes_nothing_and_says_so() {
        let mut spans = painted(&[(0, 10, Up), (10, 15, Down)]);
        let before = spans.clone();
        for (start, end, outcome) in [(0, 5, Up), (5, 10, Up), (10, 15, Down), (0, 10, Down), (2, 3, Fault)] {
            assert_eq!(spans.paint(ms(start), ms(end), outcome), None);
        }
        assert_eq!(spans, before);
    }

    #[test]
    fn an_empty_or_reversed_interval_paints_nothing() {
        let mut spans = Spans::new();
        assert_eq!(spans.paint(ms(5), ms(5), Up), None);
        assert_eq!(spans.paint(ms(6), ms(5), Up), None);
        assert!(spans.is_empty());
    }

    #[test]
    fn another_target_that_answered_overrules_the_one_that_did_not() {
        assert_eq!(rows(&painted(&[(0, 5, Up), (5, 10, Down), (5, 10, Up)])), [(0, 10, Up)]);
        assert_eq!(rows(&painted(&[(0, 5, Up), (5, 10, Up), (5, 10, Down)])), [(0, 10, Up)]);
    }

    #[test]
    fn an_overlap_behind_the_last_span_is_appended_only_where_it_is_new() {
        let mut spans = painted(&[(0, 10, Up)]);
        assert_eq!(spans.paint(ms(5), ms(15), Down), hull(10, 15));
        assert_eq!(spans.paint(ms(12), ms(20), Down), hull(15, 20));
        assert_eq!(rows(&spans), [(0, 10, Up), (10, 20, Down)]);
    }

    #[test]
    fn a_late_backlog_fills_the_gap_and_joins_both_sides() {
        let mut spans = painted(&[(0, 10, Up), (20, 30, Up)]);
        assert_eq!(spans.paint(ms(10), ms(15), Up), hull(10, 15));
        assert_eq!(spans.paint(ms(15), ms(20), Up), hull(15, 20));
        assert_eq!(rows(&spans), [(0, 30, Up)]);
    }

    #[test]
    fn painting_across_many_spans_reports_the_hull_of_what_changed() {
        let mut spans = painted(&[(0, 10, Up), (10, 20, Fault), (20, 30, Up), (40, 50, Down), (60, 70, Up)]);
        assert_eq!(spans.paint(ms(5), ms(65), Degraded), hull(10, 60));
        assert_eq!(
            rows(&spans),
            [(0, 10, Up), (10, 20, Degraded), (20, 30, Up), (30, 60, Degraded), (60, 70, Up)]
        );
    }

    #[test]
    fn a_better_round_splits_the_span_it_falls_into() {
        let mut spans = painted(&[(0, 30, Down)]);
        assert_eq!(spans.paint(ms(10), ms(20), Up), hull(10, 20));
        assert_eq!(rows(&spans), [(0, 10, Down), (10, 20, Up), (20, 30, Down)]);
    }

    #[test]
    fn evidence_before_the_first_span_goes_in_front() {
        let mut spans = painted(&[(20, 30, Up)]);
        assert_eq!(spans.paint(ms(0), ms(5), Up), hull(0, 5));
        assert_eq!(spans.paint(ms(15), ms(20), Up), hull(15, 20));
        assert_eq!(rows(&spans), [(0, 5, Up), (15, 30, Up)]);
    }

    #[test]
    fn at_and_window_are_half_open() {
        let spans = painted(&[(0, 10, Up), (10, 20, Down), (30, 40, Up)]);
        assert_eq!(spans.at(ms(-1)), None);
        assert_eq!(spans.at(ms(0)), Some(Up));
        assert_eq!(spans.at(ms(10)), Some(Down));
        assert_eq!(spans.at(ms(20)), None);
        assert_eq!(spans.at(ms(40)), None);
        let cut: Vec<_> = spans.window(ms(5), ms(31)).map(|s| (s.start.0, s.end.0, s.outcome)).collect();
        assert_eq!(cut, [(5, 10, Up), (10, 20, Down), (30, 31, Up)]);
        assert_eq!(spans.window(ms(20), ms(30)).count(), 0);
        assert_eq!(spans.window(ms(30), ms(10)).count(), 0);
        assert_eq!(spans.overlapping(ms(9), ms(11)).len(), 2);
    }

    #[test]
    fn merge_is_the_pointwise_maximum() {
        let mut left = painted(&[(0, 10, Up), (10, 20, Down)]);
        let right = painted(&[(5, 15, Degraded), (20, 25, Fault)]);
        left.merge(&right);
        assert_eq!(rows(&left), [(0, 10, Up), (10, 15, Degraded), (15, 20, Down), (20, 25, Fault)]);
    }

    #[test]
    fn spans_that_are_not_canonical_are_refused_by_position() {
        let span = |start, end, outcome| Span { start: ms(start), end: ms(end), outcome };
        assert_eq!(
            Spans::from_sorted(vec![span(0, 5, Up), span(7, 7, Up)]),
            Err(BadSpans::Empty { index: 1, start: 7, end: 7 })
        );
        assert_eq!(
            Spans::from_sorted(vec![span(0, 5, Up), span(4, 7, Down)]),
            Err(BadSpans::Overlap { index: 1, start: 4, previous_end: 5 })
        );
        assert_eq!(
            Spans::from_sorted(vec![span(0, 5, Up), span(5, 7, Up)]),
            Err(BadSpans::Unmerged { index: 1, start: 5 })
        );
    }
}
