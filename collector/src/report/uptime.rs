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
//!
//! # Hours and planned time
//!
//! [`Terms`] say which hours count and what planned time is. Time **outside** the hours is in no figure: *W* is then what is left
//! of it. Outside, as in planned time, nothing begins an outage or counts into it; but what is seen to work there ends it.
//!
//! | [`Policy`] | planned time |
//! | --- | --- |
//! | `exclude` | is in no figure |
//! | `up` | counts as up, whatever was seen, and so ends an outage |
//! | `ignore` | counts as it was seen |

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use crate::ledger::span::{Periods, look_in};
use crate::ledger::timeline::{Interval, State, Timeline, Window};

/// What planned time is to a figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Taken out.
    #[default]
    Exclude,
    /// Counted as up, whatever was seen.
    #[serde(rename = "up")]
    CountAsUp,
    /// Nothing: it counts as it was seen.
    Ignore,
}

impl Policy {
    /// Every policy, the default first.
    pub const ALL: [Self; 3] = [Self::Exclude, Self::CountAsUp, Self::Ignore];

    /// The word for it in questions and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exclude => "exclude",
            Self::CountAsUp => "up",
            Self::Ignore => "ignore",
        }
    }
}

/// Which hours count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoursOf {
    /// All.
    #[default]
    All,
    /// Those of service ([`crate::calendar`]).
    Service,
}

impl HoursOf {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::All, Self::Service];

    /// The word for it in questions and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Service => "service",
        }
    }
}

/// By which terms time is counted.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'t> {
    /// What was planned.
    pub planned: &'t Periods,
    /// What that means.
    pub policy: Policy,
    /// The hours that count; `None`: all.
    pub hours: Option<&'t Periods>,
}

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
    /// Milliseconds outside the hours that count, planned ones among them.
    pub outside_ms: i64,
}

impl Durations {
    /// Milliseconds in which the state was known.
    #[must_use]
    pub fn observed_ms(&self) -> i64 {
        self.up_ms + self.degraded_ms + self.down_ms
    }

    /// Milliseconds that the figures are about: all but the planned and those outside the hours.
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
    /// Milliseconds seen down between the two; less than `end − start` where nobody looked, or time was
    /// planned or outside the hours.
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
    /// observed ÷ (window − planned − outside).
    pub observed_share: Option<f64>,
    /// (up + degraded) ÷ (window − planned − outside).
    pub low: Option<f64>,
    /// 1 − down ÷ (window − planned − outside).
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
    /// The figures of a timeline over all hours; `planned` is taken out of them.
    #[must_use]
    pub fn of(timeline: &Timeline, planned: &Periods) -> Self {
        Self::under(timeline, Terms { planned, policy: Policy::Exclude, hours: None })
    }

    /// The figures of a timeline under other terms.
    #[must_use]
    pub fn under(timeline: &Timeline, terms: Terms<'_>) -> Self {
        Self::over(timeline.window, timeline.intervals.iter().copied(), terms)
    }

    /// The figures of a sweep over a window: gap-free and in order; neighbours may be equal. One pass over sweep, planned time and
    /// hours.
    #[must_use]
    pub fn over(window: Window, sweep: impl IntoIterator<Item = Interval>, terms: Terms<'_>) -> Self {
        let mut durations = Durations::default();
        let mut outages = Outages::default();
        let mut last: Option<Interval> = None;
        let mut planned = terms.planned.as_slice();
        let mut hours = terms.hours.map(Periods::as_slice);
        for interval in sweep {
            let mut at = interval.start;
            while at < interval.end {
                let (inside, hours_until) =
                    hours.as_mut().map_or((true, UnixMillis::MAX), |hours| look_in(hours, at));
                let (is_planned, planned_until) = look_in(&mut planned, at);
                let end = hours_until.min(planned_until).min(interval.end);
                let millis = end.millis_since(at);
                let (state, counts) = if !inside {
                    durations.outside_ms += millis;
                    (interval.state, false)
                } else if is_planned {
                    match terms.policy {
                        Policy::Exclude => {
                            durations.planned_ms += millis;
                            (interval.state, false)
                        }
                        Policy::CountAsUp => (State::Up, true),
                        Policy::Ignore => (interval.state, true),
                    }
                } else {
                    (interval.state, true)
                };
                if counts {
                    durations.add(state, millis);
                }
                outages.add(state, at, end, counts);
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
    fn add(&mut self, state: State, start: UnixMillis, end: UnixMillis, counts: bool) {
        match state {
            State::Up | State::Degraded => self.close(),
            State::Down if counts => {
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
        under(steps, planned, Policy::Exclude, None)
    }

    fn under(
        steps: &[(i64, State)],
        planned: &[(i64, i64)],
        policy: Policy,
        hours: Option<&[(i64, i64)]>,
    ) -> Uptime {
        let mut start = 0;
        let mut sweep = Vec::new();
        for &(end, state) in steps {
            sweep.push(Interval { start: ms(start), end: ms(end), state });
            start = end;
        }
        let periods = |list: &[(i64, i64)]| list.iter().map(|&(from, to)| (ms(from), ms(to))).collect();
        let (planned, hours): (Periods, Option<Periods>) = (periods(planned), hours.map(periods));
        let terms = Terms { planned: &planned, policy, hours: hours.as_ref() };
        let figures = Uptime::over(Window::new(ms(0), ms(start)), sweep, terms);
        let d = figures.durations;
        assert_eq!(d.counted_ms() + d.planned_ms + d.outside_ms, start, "every millisecond is charged once");
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
        let expected = Durations { up_ms: 150, down_ms: 50, planned_ms: 300, ..Durations::default() };
        assert_eq!(f.durations, expected);
        assert_eq!((f.uptime, f.low, f.high), (Some(0.75), Some(0.75), Some(0.75)));
        assert_eq!(f.longest_outage, Some(Outage { start: ms(250), end: ms(300), down_ms: 50 }));
        let all = figures(&[(100, State::Down)], &[(0, 100)]);
        assert_eq!((all.uptime, all.observed_share, all.low, all.outages), (None, None, None, 0));
    }

    const WORKS: [(i64, State); 5] =
        [(100, State::Up), (200, State::Down), (300, SILENT), (400, State::Down), (1000, State::Up)];

    #[test]
    fn planned_time_may_count_as_up_whatever_was_seen_and_then_ends_an_outage() {
        let f = under(&WORKS, &[(150, 350)], Policy::CountAsUp, None);
        assert_eq!(f.durations, Durations { up_ms: 900, down_ms: 100, ..Durations::default() });
        assert_eq!((f.uptime, f.observed_share, f.outages), (Some(0.9), Some(1.0), 2));
        assert_eq!(under(&WORKS, &[(150, 350)], Policy::Exclude, None).outages, 1);
    }

    #[test]
    fn planned_time_that_is_ignored_changes_nothing() {
        let planned = [(150, 350), (900, 2000)];
        assert_eq!(under(&WORKS, &planned, Policy::Ignore, None), under(&WORKS, &[], Policy::Exclude, None));
    }

    #[test]
    fn time_outside_the_hours_is_in_no_figure() {
        let hours = [(0, 150), (350, 500)];
        let f = under(&WORKS, &[(140, 160)], Policy::Exclude, Some(&hours));
        let expected =
            Durations { up_ms: 200, down_ms: 90, planned_ms: 10, outside_ms: 700, ..Durations::default() };
        assert_eq!(f.durations, expected);
        assert_eq!((f.uptime, f.observed_share), (Some(200.0 / 290.0), Some(1.0)));
        assert_eq!(f.longest_outage, Some(Outage { start: ms(100), end: ms(400), down_ms: 90 }));
        let none = under(&WORKS, &[], Policy::CountAsUp, Some(&[]));
        assert_eq!((none.uptime, none.low, none.outages, none.durations.outside_ms), (None, None, 0, 1000));
    }

    #[test]
    fn what_is_seen_to_work_outside_the_hours_ends_an_outage_and_what_fails_there_begins_none() {
        let steps = [(100, State::Down), (200, State::Up), (300, State::Down)];
        assert_eq!(under(&steps, &[], Policy::Exclude, Some(&[(0, 100), (250, 300)])).outages, 2);
        assert_eq!(under(&steps, &[], Policy::Exclude, Some(&[(0, 200)])).outages, 1);
        assert_eq!(under(&steps, &[], Policy::Exclude, Some(&[(100, 200)])).outages, 0);
    }

    #[test]
    fn the_last_state_is_joined_over_equal_neighbours() {
        let f = figures(&[(100, State::Up), (200, State::Down), (300, State::Down)], &[]);
        assert_eq!(f.last, Some(Interval { start: ms(100), end: ms(300), state: State::Down }));
    }
}
