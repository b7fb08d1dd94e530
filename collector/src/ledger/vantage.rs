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

use super::span::{Periods, Spans};

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
            clear(&mut suspect, spans);
        }
        settled(&suspect)
    }

    /// When it may have been cut off: its own links of some kind were down. [`clear`] takes out of it when something answered, and
    /// what is left then is [`settled`].
    #[must_use]
    pub fn suspect(&self) -> Periods {
        let mut suspect = Periods::new();
        for kind in [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet] {
            for period in self.down(kind).as_slice() {
                suspect.add(period.start, period.end);
            }
        }
        suspect
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
        let fresh = spans.last().filter(|last| last.end <= self.now && self.now.since(last.end) < self.hold);
        spans
            .iter()
            .filter(|span| span.outcome == Outcome::Down)
            .map(|span| {
                let held = fresh.is_some_and(|last| last == span);
                (span.start, if held { self.now.plus_millis(1) } else { span.end })
            })
            .collect()
    }
}

/// Takes the time out of `suspect` in which a vantage reached what these spans are about.
pub fn clear(suspect: &mut Periods, watched: &Spans) {
    let mut answers = Vec::new();
    for period in suspect.as_slice() {
        let spans = watched.overlapping(period.start, period.end);
        answers.extend(spans.iter().filter(|span| answered(span.outcome)).copied());
    }
    for span in answers {
        suspect.remove(span.start, span.end);
    }
}

/// What is left of the suspect time is the time in which the vantage was cut off, and a little around it.
#[must_use]
pub fn settled(suspect: &Periods) -> Periods {
    suspect.widened(MARGIN)
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
