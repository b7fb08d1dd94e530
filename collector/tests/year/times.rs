//! Sets of time for the truth, and a walk over several of them at once. Not those of the ledger: what checks it must not share its
//! mistakes.

/// Sorted, disjoint, half-open `[start, end)` in milliseconds that do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Times(Vec<(i64, i64)>);

impl Times {
    /// Of any intervals, in any order.
    pub(crate) fn of(mut any: Vec<(i64, i64)>) -> Self {
        any.retain(|(start, end)| start < end);
        any.sort_unstable();
        let mut times: Vec<(i64, i64)> = Vec::with_capacity(any.len());
        for (start, end) in any {
            match times.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                Some(_) | None => times.push((start, end)),
            }
        }
        Self(times)
    }

    pub(crate) fn one(start: i64, end: i64) -> Self {
        Self::of(vec![(start, end)])
    }

    pub(crate) fn as_slice(&self) -> &[(i64, i64)] {
        &self.0
    }

    pub(crate) fn or(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied().collect())
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut a, mut b) = (self.0.as_slice(), other.0.as_slice());
        while let ([x, rest_a @ ..], [y, rest_b @ ..]) = (a, b) {
            both.push((x.0.max(y.0), x.1.min(y.1)));
            if x.1 <= y.1 {
                a = rest_a;
            } else {
                b = rest_b;
            }
        }
        Self::of(both)
    }

    /// What of `[from, to)` it does not hold.
    pub(crate) fn gaps(&self, from: i64, to: i64) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut at = from;
        for &(start, end) in &self.0 {
            gaps.push((at, start.min(to)));
            at = at.max(end);
        }
        gaps.push((at, to));
        Self::of(gaps)
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else { return Self::default() };
        self.and(&other.gaps(first.0, last.1))
    }

    pub(crate) fn widened(&self, by: i64) -> Self {
        Self::of(self.0.iter().map(|(start, end)| (start - by, end + by)).collect())
    }

    /// Those of its intervals that share an instant with the other set, whole.
    pub(crate) fn touching(&self, other: &Self) -> Self {
        let meets = |one: &&(i64, i64)| {
            let next = other.0.partition_point(|period| period.1 <= one.0);
            other.0.get(next).is_some_and(|period| period.0 < one.1)
        };
        Self(self.0.iter().filter(meets).copied().collect())
    }

    /// The same without the gaps that are shorter than `gap`.
    pub(crate) fn closed(&self, gap: i64) -> Self {
        let mut times: Vec<(i64, i64)> = Vec::with_capacity(self.0.len());
        for &(start, end) in &self.0 {
            match times.last_mut() {
                Some(last) if start - last.1 < gap => last.1 = end,
                Some(_) | None => times.push((start, end)),
            }
        }
        Self(times)
    }

    pub(crate) fn total(&self) -> i64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }
}

/// Walks over `[from, to)` in stretches over which none of the sets changes: start, end, and which of them hold.
pub(crate) fn walk<const N: usize>(
    sets: [&Times; N],
    from: i64,
    to: i64,
    mut each: impl FnMut(i64, i64, [bool; N]),
) {
    let mut rests = sets.map(Times::as_slice);
    let mut at = from;
    while at < to {
        let mut until = to;
        let mut holds = [false; N];
        for (rest, holds) in rests.iter_mut().zip(&mut holds) {
            while rest.first().is_some_and(|period| period.1 <= at) {
                *rest = &rest[1..];
            }
            if let Some(&(start, end)) = rest.first() {
                *holds = start <= at;
                until = until.min(if *holds { end } else { start });
            }
        }
        each(at, until, holds);
        at = until;
    }
}
