//! Which samples of a refused batch are at fault. Pure.
//!
//! A 1.0 receiver refuses a request as a whole and does not say for which sample. So the batch is walked from its beginning, in pieces: of one
//! that is refused the first half is tried; of what is left of it once that is taken, the first half, and so on. A single sample that is refused is
//! given up, and from there the piece doubles with each that is taken. One bad among 2,000 costs about two dozen requests, and the order of a
//! series stays what it was.
//!
//! Where many that stand together are bad (an hour of another site's past, for a store that takes nothing out of order), one by one would be as
//! many requests as samples. So after [`RUN`] refused in a row, the piece that is given up whole doubles; the first that is taken resets it. At most
//! an eighth of the length of such a run may so be lost beside it. Past the batch's budget of requests, what is refused is given up as it is.

use std::ops::Range;

/// After so many pieces given up in a row, twice as large ones are.
pub const RUN: u32 = 8;
/// Requests that one batch may cost, the first included, before its refused pieces are no longer searched.
pub const BUDGET: u32 = 512;

/// The search of one batch.
#[derive(Clone, Debug)]
pub struct Split {
    total: usize,
    at: usize,
    size: usize,
    /// The store takes no more than this in one request.
    most: usize,
    /// The end of the smallest piece that was refused and begins no later than here: one of what is left of it is bad.
    suspect: usize,
    /// What is refused and no longer than this is given up.
    floor: usize,
    run: u32,
    requests: u32,
    budget: u32,
    taken: usize,
}

impl Split {
    /// A batch of so many samples, tried as a whole first, with a budget of requests.
    #[must_use]
    pub fn new(total: usize, budget: u32) -> Self {
        let most = total.max(1);
        Self { total, at: 0, size: most, most, suspect: 0, floor: 1, run: 0, requests: 0, budget, taken: 0 }
    }

    /// What to send next; `None` when every sample is taken or given up.
    #[must_use]
    pub fn piece(&self) -> Option<Range<usize>> {
        let end = self.total.min(self.at + self.size);
        (self.at < end).then_some(self.at..end)
    }

    /// The store took it.
    pub fn taken(&mut self) {
        let Some(piece) = self.piece() else { return };
        self.requests += 1;
        self.taken += piece.len();
        self.at = piece.end;
        let left = self.suspect.saturating_sub(self.at);
        self.size = if left > 0 && self.requests < self.budget {
            (left / 2).max(1)
        } else {
            self.size.saturating_mul(2).min(self.most)
        };
        (self.floor, self.run) = (1, 0);
    }

    /// The store refused it for good. Gives how many samples are given up with that.
    pub fn refused(&mut self) -> usize {
        let Some(piece) = self.piece() else { return 0 };
        self.requests += 1;
        let is_over = self.requests >= self.budget;
        if piece.len() > self.floor && !is_over {
            self.size = (piece.len() / 2).max(self.floor);
            self.suspect = piece.end;
            return 0;
        }
        self.at = piece.end;
        self.run += 1;
        if self.run.is_multiple_of(RUN) {
            self.floor = self.floor.saturating_mul(2);
        }
        // Past the budget pieces grow, whatever becomes of them.
        let size = if is_over { piece.len().saturating_mul(2) } else { self.floor };
        self.size = size.min(self.most);
        piece.len()
    }

    /// The store says that it is too large. Gives how many samples are given up with that: one, where it was one.
    pub fn too_large(&mut self) -> usize {
        let Some(piece) = self.piece() else { return 0 };
        if piece.len() == 1 || self.requests + 1 >= self.budget {
            return self.refused();
        }
        self.requests += 1;
        self.most = piece.len() / 2;
        self.size = self.most;
        0
    }

    /// How many samples were taken so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    struct Outcome {
        taken: Vec<usize>,
        lost: Vec<usize>,
        requests: u32,
    }

    /// A store that refuses a request with one of `bad` in it, and says that one of more than `most` is too large.
    fn run(total: usize, bad: &BTreeSet<usize>, most: usize, budget: u32) -> Outcome {
        let mut split = Split::new(total, budget);
        let (mut taken, mut lost, mut requests) = (Vec::new(), Vec::new(), 0);
        while let Some(piece) = split.piece() {
            requests += 1;
            assert!(requests < 100_000, "it ends");
            let given_up = if piece.len() > most {
                split.too_large()
            } else if bad.range(piece.clone()).next().is_some() {
                split.refused()
            } else {
                split.taken();
                taken.extend(piece);
                continue;
            };
            lost.extend(piece.take(given_up));
        }
        assert_eq!(split.accepted(), taken.len());
        Outcome { taken, lost, requests }
    }

    proptest! {
        #[test]
        fn every_sample_is_taken_or_given_up_once_and_in_order(
            total in 0_usize..600,
            bad in prop::collection::btree_set(0_usize..600, 0..200),
            most in 1_usize..700,
            budget in 1_u32..600,
        ) {
            let bad: BTreeSet<usize> = bad.into_iter().filter(|at| *at < total).collect();
            let outcome = run(total, &bad, most, budget);
            prop_assert!(outcome.taken.is_sorted() && outcome.lost.is_sorted());
            let mut all: Vec<usize> = outcome.taken.iter().chain(&outcome.lost).copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..total).collect::<Vec<_>>());
            prop_assert!(outcome.taken.iter().all(|at| !bad.contains(at)), "no refused sample counts as taken");
            // Past the budget pieces only grow; the largest that the store takes is known by halves.
            let pieces = u32::try_from(total.div_ceil((most.min(total) / 2).max(1))).unwrap();
            prop_assert!(outcome.requests <= budget + pieces + 2 * total.max(1).ilog2() + 16, "{}", outcome.requests);
        }

        #[test]
        fn bad_ones_that_stand_alone_cost_themselves_and_nothing_else(
            total in 1_usize..4000,
            bad in prop::collection::btree_set(0_usize..4000, 0..12),
        ) {
            let bad: BTreeSet<usize> = bad.into_iter().filter(|at| *at < total).collect();
            // Fewer than RUN in a row.
            prop_assume!(bad.iter().filter(|at| bad.contains(&(*at + 1))).count() < 6);
            let outcome = run(total, &bad, total, u32::MAX);
            prop_assert_eq!(outcome.lost, bad.iter().copied().collect::<Vec<_>>());
            let each = 2 * total.ilog2() + 4;
            prop_assert!(outcome.requests <= 1 + u32::try_from(bad.len()).unwrap() * each, "{} requests", outcome.requests);
        }

        #[test]
        fn a_long_run_of_bad_ones_costs_few_requests_and_little_beside_it(start in 0_usize..1500, length in 1_usize..500) {
            let bad: BTreeSet<usize> = (start..start + length).collect();
            let outcome = run(2000, &bad, 2000, BUDGET);
            prop_assert!(outcome.lost.len() <= length + length / 8 + 8, "{} for {length}", outcome.lost.len());
            prop_assert!(outcome.requests <= 120, "{} requests for {length}", outcome.requests);
        }
    }

    #[test]
    fn a_store_that_refuses_everything_costs_a_bounded_number_of_requests() {
        let bad: BTreeSet<usize> = (0..2000).collect();
        let outcome = run(2000, &bad, 2000, BUDGET);
        assert_eq!((outcome.lost.len(), outcome.taken.len()), (2000, 0));
        assert!(outcome.requests < 100, "{}", outcome.requests);
        let outcome = run(2000, &bad, 2000, 8);
        assert!(outcome.requests < 20, "{}", outcome.requests);
        let every_second: BTreeSet<usize> = (0..2000).step_by(2).collect();
        let outcome = run(2000, &every_second, 2000, BUDGET);
        assert!(outcome.requests <= BUDGET + 20, "{}", outcome.requests);
    }

    #[test]
    fn one_bad_sample_among_two_thousand_costs_two_dozen_requests() {
        for at in [0, 1, 999, 1000, 1998, 1999] {
            let outcome = run(2000, &BTreeSet::from([at]), 2000, BUDGET);
            assert_eq!(outcome.lost, [at]);
            assert!(outcome.requests <= 24, "{} for {at}", outcome.requests);
        }
    }

    #[test]
    fn a_store_with_a_small_limit_gets_what_it_takes() {
        let outcome = run(2000, &BTreeSet::new(), 300, BUDGET);
        assert_eq!((outcome.lost.len(), outcome.requests), (0, 3 + 8));
        let outcome = run(1, &BTreeSet::new(), 0, BUDGET);
        assert_eq!(outcome.lost, [0]);
    }

    #[test]
    fn an_empty_batch_is_done() {
        assert_eq!(Split::new(0, BUDGET).piece(), None);
    }
}
