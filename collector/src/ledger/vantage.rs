//! When an observer was itself cut off, so that what it could not reach is no evidence against others.
//!
//! The agent at the centre looks at the WAN routers of 300 sites. When the centre's own switch or uplink fails, it reaches none of
//! them, and its rounds say `down` three hundred times. That is one failure at the centre, not 300 outages. So a vantage counts
//! as **cut off** while
//!
//! 1. all its own links of a kind (LAN, WAN or Internet) are down by its own word, **and**
//! 2. nothing that it watches answers it.
//!
//! Both are needed. A gateway that never answers an echo makes the first true for ever; one site that answers proves it harmless.
//! And when the hub's line is cut, nothing behind it answers, but the centre's own links work: that outage is real.
//!
//! `down` of a vantage that is cut off is left out of every timeline ([`super::timeline::Other`]); what it reaches still
//! counts. While the centre is cut off the collector is blind in the same way as while it is stopped.

use std::time::Duration;

use wan_wire::{LinkKind, Outcome, UnixMillis};

use super::span::{Period, Periods, Span, Spans};

/// The vantage's rounds about itself and about others end together at best. Of rounds of five seconds one on either side may
/// say something else.
const MARGIN: Duration = Duration::from_secs(10);

/// A vantage at the present.
#[derive(Debug, Clone, Copy)]
pub struct Vantage<'a> {
    /// Its own links, as its own agent sees them.
    pub own: &'a [(LinkKind, &'a Spans)],
    /// The present.
    pub now: UnixMillis,
    /// How long its newest word holds on after its end, at most until `now`.
    pub hold: Duration,
}

impl Vantage<'_> {
    /// When it was cut off. `watched` is everything that it sees of others.
    #[must_use]
    pub fn cut_off<'s>(&self, watched: impl IntoIterator<Item = &'s Spans>) -> Periods {
        let mut suspect = self.suspect();
        for spans in watched {
            if suspect.is_empty() {
                break;
            }
            suspect.clear(spans, self.hold);
        }
        suspect.settled()
    }

    /// When it may have been cut off: its own links of some kind were down.
    #[must_use]
    pub fn suspect(&self) -> Suspect {
        let mut suspect = Periods::new();
        for kind in [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet] {
            for period in self.down(kind).as_slice() {
                suspect.add(period.start, period.end);
            }
        }
        Suspect { rest: suspect.clone(), whole: suspect, now: self.now }
    }

    /// When all links of a kind were down, by its own word.
    fn down(&self, kind: LinkKind) -> Periods {
        let mut down: Option<Periods> = None;
        for (_, spans) in self.own.iter().filter(|(of, spans)| *of == kind && !spans.is_empty()) {
            let of_link = self.down_of(spans);
            down = Some(match down {
                None => of_link,
                Some(others) => others.intersect(&of_link),
            });
        }
        down.unwrap_or_default()
    }

    fn down_of(&self, spans: &Spans) -> Periods {
        let down = spans.iter().filter(|span| span.outcome == Outcome::Down);
        down.map(|span| (span.start, held_end(spans, span, self.now, self.hold))).collect()
    }
}

/// The time in which a vantage may have been cut off, and what is left of it once it is known when something answered.
#[derive(Debug, Clone)]
pub struct Suspect {
    whole: Periods,
    rest: Periods,
    now: UnixMillis,
}

impl Suspect {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the time out in which the vantage reached what these spans are about; its newest word holds for `hold`.
    pub fn clear(&mut self, watched: &Spans, hold: Duration) {
        let mut answers = Vec::new();
        for period in self.rest.as_slice() {
            // A span that ended before may hold on into the period.
            let spans = watched.overlapping(period.start, period.end).iter().chain(watched.last());
            let answering = spans.filter(|span| answered(span.outcome));
            answers.extend(answering.map(|span| (span.start, held_end(watched, span, self.now, hold))));
        }
        for (start, end) in answers {
            self.rest.remove(start, end);
        }
    }

    /// What is left is the time in which the vantage was cut off, and a little around it. Of a time that has an answer in it, what is
    /// shorter than two rounds on either side of the answer is only the difference between the ends of rounds.
    #[must_use]
    pub fn settled(&self) -> Periods {
        let margin = i64::try_from(MARGIN.as_millis()).unwrap_or(i64::MAX);
        let whole = |period: &&Period| self.whole.as_slice().contains(period);
        let long = |period: &&Period| period.end.millis_since(period.start) >= margin;
        let left = self.rest.as_slice().iter().filter(|period| whole(period) || long(period));
        left.map(|period| (period.start, period.end)).collect::<Periods>().widened(MARGIN)
    }
}

/// Where a span ends; the newest, if it is fresh, is taken to hold until now.
fn held_end(spans: &Spans, span: &Span, now: UnixMillis, hold: Duration) -> UnixMillis {
    let fresh = span.end <= now && now.since(span.end) < hold && spans.last() == Some(span);
    if fresh { now.plus_millis(1) } else { span.end }
}

fn answered(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Up | Outcome::Degraded => true,
        Outcome::Down | Outcome::Fault => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkKind::{Internet, Lan, Wan};
    use Outcome::{Down, Up};

    fn at(second: i64) -> UnixMillis {
        UnixMillis(second * 1000)
    }

    fn spans(rounds: &[(i64, i64, Outcome)]) -> Spans {
        let mut spans = Spans::new();
        for &(start, end, outcome) in rounds {
            spans.paint(at(start), at(end), outcome);
        }
        spans
    }

    fn cut_off(own: &[(LinkKind, &Spans)], watched: &[&Spans]) -> Vec<(i64, i64)> {
        let vantage = Vantage { own, now: at(1000), hold: Duration::from_secs(15) };
        let cut = vantage.cut_off(watched.iter().copied());
        cut.as_slice().iter().map(|p| (p.start.0 / 1000, p.end.0 / 1000)).collect()
    }

    #[test]
    fn it_is_cut_off_while_its_own_line_is_down_and_nobody_answers() {
        let lan = spans(&[(0, 100, Up), (100, 200, Down), (200, 900, Up)]);
        let site = spans(&[(0, 100, Up), (100, 200, Down), (200, 900, Up)]);
        assert_eq!(cut_off(&[(Lan, &lan)], &[&site]), [(90, 210)], "and a margin of two rounds");
    }

    #[test]
    fn a_gateway_that_never_answers_is_no_cut() {
        let lan = spans(&[(0, 900, Down)]);
        let (up, down) = (spans(&[(0, 900, Up)]), spans(&[(0, 900, Down)]));
        assert_eq!(cut_off(&[(Lan, &lan)], &[&down, &up, &down]), []);
    }

    #[test]
    fn when_a_hub_is_cut_the_centre_is_not() {
        let (lan, internet) = (spans(&[(0, 900, Up)]), spans(&[(0, 900, Up)]));
        let site = spans(&[(0, 100, Up), (100, 900, Down)]);
        assert_eq!(cut_off(&[(Lan, &lan), (Internet, &internet)], &[&site, &site]), []);
    }

    #[test]
    fn rounds_that_do_not_end_together_make_no_cut_beside_an_answer() {
        // The gateway never answers; the watched site does, with rounds that end a little later and earlier.
        let lan = spans(&[(0, 996, Down)]);
        let site = spans(&[(7, 500, Up), (505, 993, Up)]);
        assert_eq!(cut_off(&[(Lan, &lan)], &[&site]), []);
        let long = spans(&[(12, 500, Up), (505, 940, Up)]);
        assert_eq!(
            cut_off(&[(Lan, &lan)], &[&long]),
            [(-10, 22), (930, 1010)],
            "longer than that, it counts"
        );
        let short = spans(&[(0, 100, Up), (100, 105, Down), (105, 900, Up)]);
        assert_eq!(
            cut_off(&[(Lan, &short)], &[&short]),
            [(90, 115)],
            "a cut of one round, in which nothing answers"
        );
    }

    #[test]
    fn of_two_lines_of_a_kind_both_must_fail() {
        let (a, b) = (spans(&[(0, 300, Down)]), spans(&[(100, 200, Down), (200, 900, Up)]));
        assert_eq!(cut_off(&[(Wan, &a), (Wan, &b)], &[]), [(90, 210)]);
        assert_eq!(cut_off(&[(Wan, &a), (Wan, &Spans::new())], &[]), [(-10, 310)], "one was never probed");
    }

    #[test]
    fn the_newest_word_holds_until_now() {
        let lan = spans(&[(0, 900, Up), (900, 995, Down)]);
        let site = spans(&[(0, 880, Up), (900, 995, Down)]);
        assert_eq!(cut_off(&[(Lan, &lan)], &[&site]), [(890, 1010)]);
    }
}
