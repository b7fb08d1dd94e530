//! How reliably: the figures of one timeline.
//!
//! With *W* the window (cut to the site's registration and to now) and *P* its planned part, the rest *W − P* divides
//! into up, degraded, down and unknown; **observed** = up + degraded + down.
//!
//! | figure | is | says |
//! | --- | --- | --- |
//! | uptime | (up + degraded) ÷ observed | how reliable it was while somebody looked |
//! | availability | up ÷ observed | how often it was as it should be |
//! | observed share | observed ÷ (W − P) | how much the two rest on |
//! | low | (up + degraded) ÷ (W − P) | uptime, had all the unobserved time been down |
//! | high | 1 − down ÷ (W − P) | uptime, had none of it been |
//!
//! So low ≤ true uptime ≤ high whatever happened while nobody looked, and a monitor that is off widens the bounds but
//! moves neither uptime nor availability.
//!
//! An **outage** is a run of down that nothing seen up or degraded interrupts. Unknown time does not end it (nothing said
//! that it had ended) and does not count into it. Planned time neither begins an outage nor counts into it.

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use crate::ledger::span::{Periods, look_in};
use crate::ledger::timeline::{Interval, State, Timeline, Window};

/// A window's milliseconds, by what is charged to them. They add up to the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Durations {
    /// Milliseconds up.
    pub up_ms: i64,
    /// Milliseconds degraded.
    pub degraded_ms: i64,
    /// Milliseconds down.
    pub down_ms: i64,
    /// Milliseconds of which nothing is known.
    pub unknown_ms: i64,
    /// Milliseconds taken out of every figure, because they were planned.
    pub planned_ms: i64,
}

impl Durations {
    /// Milliseconds in which the state was known.
    #[must_use]
    pub fn observed_ms(&self) -> i64 {
        self.up_ms + self.degraded_ms + self.down_ms
    }

    /// Milliseconds that the figures are about: all but the planned.
    #[must_use]
    pub fn counted_ms(&self) -> i64 {
        self.observed_ms() + self.unknown_ms
    }

    fn add(&mut self, state: State, millis: i64) {
        match state {
            State::Up => self.up_ms += millis,
            State::Degraded => self.degraded_ms += millis,
            State::Down => self.down_ms += millis,
            State::Unknown(_) => self.unknown_ms += millis,
        }
    }
}

/// One outage, as far as the window shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Outage {
    /// First instant seen down, Unix milliseconds.
    #[schema(value_type = i64)]
    pub start: UnixMillis,
    /// First instant after the last seen down, Unix milliseconds.
    #[schema(value_type = i64)]
    pub end: UnixMillis,
    /// Milliseconds seen down between the two; less than `end − start` where nobody looked or time was planned.
    pub down_ms: i64,
}

/// The figures of one link or one site over a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Uptime {
    /// The time the figures are about.
    pub window: Window,
    /// Where its milliseconds went.
    #[serde(flatten)]
    pub durations: Durations,
    /// (up + degraded) ÷ observed.
    pub uptime: Option<f64>,
    /// up ÷ observed.
    pub availability: Option<f64>,
    /// observed ÷ (window − planned).
    pub observed_share: Option<f64>,
    /// (up + degraded) ÷ (window − planned).
    pub low: Option<f64>,
    /// 1 − down ÷ (window − planned).
    pub high: Option<f64>,
    /// How many outages the window saw, begun before it or not yet ended among them.
    pub outages: u32,
    /// The one with the most time down; the earliest of several.
    pub longest_outage: Option<Outage>,
    /// Mean time down per outage, milliseconds, rounded down.
    pub mean_outage_ms: Option<i64>,
    /// Mean time seen up or degraded per outage, milliseconds, rounded down.
    pub mean_between_ms: Option<i64>,
    /// The last state of the window, and the start of its interval; `None` when the window is empty.
    pub last: Option<Interval>,
}

impl Uptime {
    /// The figures of a timeline; `planned` is taken out of them.
    #[must_use]
    pub fn of(timeline: &Timeline, planned: &Periods) -> Self {
        Self::over(timeline.window, timeline.intervals.iter().copied(), planned)
    }

    /// The figures of a sweep over a window: gap-free and in order; neighbours may be equal.
    #[must_use]
    pub fn over(window: Window, sweep: impl IntoIterator<Item = Interval>, planned: &Periods) -> Self {
        let mut durations = Durations::default();
        let mut outages = Outages::default();
        let mut last: Option<Interval> = None;
        let mut planned = planned.as_slice();
        for interval in sweep {
            let mut at = interval.start;
            while at < interval.end {
                let (is_planned, until) = look_in(&mut planned, at);
                let end = until.min(interval.end);
                let millis = end.millis_since(at);
                if is_planned {
                    durations.planned_ms += millis;
                } else {
                    durations.add(interval.state, millis);
                }
                outages.add(interval.state, at, end, is_planned);
                at = end;
            }
            match &mut last {
                Some(last) if last.state == interval.state => last.end = interval.end,
                Some(_) | None => last = Some(interval),
            }
        }
        outages.close();
        let (observed, counted) = (durations.observed_ms(), durations.counted_ms());
        let working = durations.up_ms + durations.degraded_ms;
        let per_outage = |millis: i64| (outages.count > 0).then(|| millis / i64::from(outages.count));
        Self {
            window,
            durations,
            uptime: ratio(working, observed),
            availability: ratio(durations.up_ms, observed),
            observed_share: ratio(observed, counted),
            low: ratio(working, counted),
            high: ratio(counted - durations.down_ms, counted),
            outages: outages.count,
            longest_outage: outages.longest,
            mean_outage_ms: per_outage(durations.down_ms),
            mean_between_ms: per_outage(working),
            last,
        }
    }
}

/// `part ÷ whole`; `None` when the whole is nothing. Exact to the last bit of an `f64` up to 2⁵³ ms, 285,000 years.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Counts outages along a sweep.
#[derive(Debug, Default)]
struct Outages {
    count: u32,
    longest: Option<Outage>,
    open: Option<Outage>,
}

impl Outages {
    fn add(&mut self, state: State, start: UnixMillis, end: UnixMillis, planned: bool) {
        match state {
            State::Up | State::Degraded => self.close(),
            State::Down if !planned => {
                let open = self.open.get_or_insert(Outage { start, end, down_ms: 0 });
                open.end = end;
                open.down_ms += end.millis_since(start);
            }
            State::Down | State::Unknown(_) => {}
        }
    }

    fn close(&mut self) {
        let Some(outage) = self.open.take() else { return };
        self.count += 1;
        if self.longest.is_none_or(|longest| outage.down_ms > longest.down_ms) {
            self.longest = Some(outage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::timeline::Why;

    const SILENT: State = State::Unknown(Why::Silent);

    fn ms(t: i64) -> UnixMillis {
        UnixMillis(t)
    }

    fn figures(steps: &[(i64, State)], planned: &[(i64, i64)]) -> Uptime {
        let mut start = 0;
        let mut sweep = Vec::new();
        for &(end, state) in steps {
            sweep.push(Interval { start: ms(start), end: ms(end), state });
            start = end;
        }
        let planned = planned.iter().map(|&(from, to)| (ms(from), ms(to))).collect();
        let figures = Uptime::over(Window::new(ms(0), ms(start)), sweep, &planned);
        let d = figures.durations;
        assert_eq!(d.counted_ms() + d.planned_ms, start, "every millisecond is charged once");
        figures
    }

    #[test]
    fn unknown_time_moves_the_bounds_and_not_the_uptime() {
        let seen = figures(&[(800, State::Up), (900, State::Degraded), (1000, State::Down)], &[]);
        let half =
            figures(&[(800, State::Up), (900, State::Degraded), (1000, State::Down), (2000, SILENT)], &[]);
        assert_eq!((seen.uptime, seen.availability, seen.observed_share), (Some(0.9), Some(0.8), Some(1.0)));
        assert_eq!((seen.low, seen.high), (Some(0.9), Some(0.9)));
        assert_eq!((half.uptime, half.availability, half.observed_share), (Some(0.9), Some(0.8), Some(0.5)));
        assert_eq!((half.low, half.high), (Some(0.45), Some(0.95)));
    }

    #[test]
    fn what_was_never_observed_has_no_uptime() {
        let none = figures(&[(1000, SILENT)], &[]);
        assert_eq!((none.uptime, none.availability), (None, None));
        assert_eq!((none.observed_share, none.low, none.high), (Some(0.0), Some(0.0), Some(1.0)));
        let empty = figures(&[], &[]);
        assert_eq!((empty.observed_share, empty.low, empty.high, empty.last), (None, None, None, None));
    }

    #[test]
    fn an_outage_goes_on_through_unknown_time_and_counts_only_what_was_seen() {
        let f = figures(
            &[(100, State::Up), (200, State::Down), (700, SILENT), (800, State::Down), (1000, State::Up)],
            &[],
        );
        assert_eq!(f.outages, 1);
        assert_eq!(f.longest_outage, Some(Outage { start: ms(100), end: ms(800), down_ms: 200 }));
        assert_eq!((f.mean_outage_ms, f.mean_between_ms), (Some(200), Some(300)));
    }

    #[test]
    fn of_equally_long_outages_the_earliest_is_named() {
        let f =
            figures(&[(100, State::Down), (200, State::Degraded), (300, State::Down), (400, State::Up)], &[]);
        assert_eq!(f.outages, 2);
        assert_eq!(f.longest_outage.map(|o| o.start), Some(ms(0)));
        assert_eq!(f.mean_outage_ms, Some(100));
    }

    #[test]
    fn planned_time_is_out_of_every_figure() {
        let f = figures(&[(100, State::Up), (300, State::Down), (500, State::Up)], &[(50, 250), (400, 600)]);
        let expected = Durations { up_ms: 150, degraded_ms: 0, down_ms: 50, unknown_ms: 0, planned_ms: 300 };
        assert_eq!(f.durations, expected);
        assert_eq!((f.uptime, f.low, f.high), (Some(0.75), Some(0.75), Some(0.75)));
        assert_eq!(f.longest_outage, Some(Outage { start: ms(250), end: ms(300), down_ms: 50 }));
        let all = figures(&[(100, State::Down)], &[(0, 100)]);
        assert_eq!((all.uptime, all.observed_share, all.low, all.outages), (None, None, None, 0));
    }

    #[test]
    fn the_last_state_is_joined_over_equal_neighbours() {
        let f = figures(&[(100, State::Up), (200, State::Down), (300, State::Down)], &[]);
        assert_eq!(f.last, Some(Interval { start: ms(100), end: ms(300), state: State::Down }));
    }
}
