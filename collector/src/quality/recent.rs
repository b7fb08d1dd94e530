//! The last minutes of every link, in memory: what alerts hold against contracts. Pure.
//!
//! The journal's second reader takes each round in here too. Once a minute is over, and what is sent late has had time to come, the
//! figures of the window behind it are made for all links at once, so that whoever looks twice a second looks them up.
//! A stop loses them: for some minutes after a start there are none, and nothing is said.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use wan_wire::{LinkName, RoundFacts, SiteId, UnixMillis};

use super::Stream;
use super::bucket::{ratio, total};
use super::hour::MINUTE_MS;
use crate::ledger::timeline::Window;

/// How many minutes a window has: enough packets to tell a slow line from a slow second.
pub const MINUTES: u8 = 5;
/// A minute is closed so long after its end: three pushes, and the reader's own second.
pub const LATE: Duration = Duration::from_secs(20);
/// So many minutes are held of a stream: those of the window, the present one, and those between.
const HELD: usize = 8;
/// The same as a number of minutes.
const HELD_MINUTES: i64 = HELD as i64;

/// What a link's packets did. Whole numbers, which add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Minutes in which a round ended.
    pub minutes: u8,
    /// Packets of rounds that got any answer.
    pub counted: u64,
    /// Of these, those that were answered.
    pub received: u64,
    /// Their round-trip times together, in microseconds.
    pub rtt_sum: u64,
}

impl Figures {
    /// The mean round-trip time in seconds.
    #[must_use]
    pub fn rtt_mean(&self) -> Option<f64> {
        (self.received > 0).then(|| ratio(self.rtt_sum, self.received) / 1e6)
    }

    /// The share of packets that was lost, of rounds that got any answer.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        (self.counted > 0).then(|| ratio(self.lost(), self.counted))
    }

    /// How many packets were lost, of rounds that got any answer.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.counted.saturating_sub(self.received)
    }

    fn add(&mut self, other: &Self) {
        self.counted = self.counted.saturating_add(other.counted);
        self.received = self.received.saturating_add(other.received);
        self.rtt_sum = self.rtt_sum.saturating_add(other.rtt_sum);
    }
}

/// The figures of all links over the last closed minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastMinutes {
    /// Of which time they are.
    pub window: Window,
    links: BTreeMap<(SiteId, LinkName), Figures>,
}

impl Default for LastMinutes {
    /// Those of no time.
    fn default() -> Self {
        Self { window: Window::new(UnixMillis::MIN, UnixMillis::MIN), links: BTreeMap::new() }
    }
}

impl LastMinutes {
    /// With figures of these links.
    #[must_use]
    pub const fn new(window: Window, links: BTreeMap<(SiteId, LinkName), Figures>) -> Self {
        Self { window, links }
    }

    /// Those of a link, if it has any.
    #[must_use]
    pub fn of(&self, site: &SiteId, link: &LinkName) -> Option<&Figures> {
        self.links.get(&(site.clone(), link.clone()))
    }

    /// The window of the minutes that are closed at an instant.
    #[must_use]
    pub fn window_at(now: UnixMillis) -> Window {
        let end = UnixMillis(now.minus(LATE).0.div_euclid(MINUTE_MS).saturating_mul(MINUTE_MS));
        Window::new(end.plus_millis(-i64::from(MINUTES) * MINUTE_MS), end)
    }
}

/// One minute of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Minutes since 1970.
    minute: i64,
    /// A bit for each second in which a round ended, so that one that comes twice counts once.
    seen: u64,
    figures: Figures,
}

#[derive(Debug)]
struct Held {
    stream: Stream,
    slots: [Slot; HELD],
}

/// What the streams of a link add up to.
#[derive(Debug, Default)]
struct Sum {
    minutes: BTreeSet<i64>,
    figures: Figures,
}

/// The same by who sent the packets.
#[derive(Debug, Default)]
struct ByVoice {
    own: Sum,
    others: Sum,
}

/// The rounds of the last minutes, by stream.
#[derive(Debug, Default)]
pub struct Recent {
    streams: HashMap<u128, Held>,
}

impl Recent {
    /// Takes a round in that ended at `end`.
    pub fn take(
        &mut self,
        digest: u128,
        stream: impl FnOnce() -> Stream,
        end: UnixMillis,
        facts: &RoundFacts,
    ) {
        if facts.fault || facts.sent == 0 {
            return;
        }
        let last = end.0.saturating_sub(1);
        let (minute, second) = (last.div_euclid(MINUTE_MS), last.div_euclid(1000).rem_euclid(60));
        let held = self.streams.entry(digest).or_insert_with(|| Held {
            stream: stream(),
            slots: [Slot { minute: i64::MIN, ..Slot::default() }; HELD],
        });
        let Some(slot) =
            usize::try_from(minute.rem_euclid(HELD_MINUTES)).ok().and_then(|at| held.slots.get_mut(at))
        else {
            return;
        };
        if slot.minute < minute {
            *slot = Slot { minute, ..Slot::default() };
        }
        let bit = 1_u64 << second;
        if slot.minute != minute || slot.seen & bit != 0 {
            return;
        }
        slot.seen |= bit;
        // As [`super::bucket`] counts them.
        if let Some(rtt) = facts.rtt.filter(|_| facts.received > 0) {
            slot.figures.add(&Figures {
                minutes: 0,
                counted: facts.sent.into(),
                received: facts.received.into(),
                rtt_sum: total(rtt.mean, facts.received),
            });
        }
    }

    /// The figures of the minutes that are closed now. What is older, or by a wrong clock to come, is dropped.
    pub fn figures(&mut self, now: UnixMillis) -> LastMinutes {
        let window = LastMinutes::window_at(now);
        let (first, last) = (window.start.0.div_euclid(MINUTE_MS), window.end.0.div_euclid(MINUTE_MS));
        let present = now.0.div_euclid(MINUTE_MS);
        self.streams.retain(|_, held| {
            for slot in held
                .slots
                .iter_mut()
                .filter(|slot| slot.minute < first || slot.minute > present.saturating_add(1))
            {
                *slot = Slot { minute: i64::MIN, ..Slot::default() };
            }
            held.slots.iter().any(|slot| slot.minute >= first)
        });
        let mut links: BTreeMap<(SiteId, LinkName), ByVoice> = BTreeMap::new();
        for Held { stream, slots } in self.streams.values() {
            for slot in slots.iter().filter(|slot| first <= slot.minute && slot.minute < last) {
                let by_voice = links.entry((stream.site.clone(), stream.link.clone())).or_default();
                let own = stream.vantage == stream.site;
                let sum = if own { &mut by_voice.own } else { &mut by_voice.others };
                sum.minutes.insert(slot.minute);
                sum.figures.add(&slot.figures);
            }
        }
        // The site's own word first. A target that answered nothing adds nothing: what got no answer is not counted.
        let chosen = |ByVoice { own, others }: ByVoice| {
            let Sum { minutes, figures } = if own.minutes.is_empty() { others } else { own };
            Figures { minutes: u8::try_from(minutes.len()).unwrap_or(u8::MAX), ..figures }
        };
        LastMinutes::new(window, links.into_iter().map(|(link, streams)| (link, chosen(streams))).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wan_wire::{ProbeKind, Rtt};

    use super::*;

    /// The first instant of a minute.
    const START: i64 = 29_900_000 * MINUTE_MS;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(START + seconds * 1000)
    }

    fn stream(link: &str, vantage: &str, target: &str) -> Stream {
        Stream {
            site: "xa-a".parse().unwrap(),
            link: link.parse().unwrap(),
            vantage: vantage.parse().unwrap(),
            probe: ProbeKind::Icmp,
            target: target.to_owned(),
        }
    }

    fn facts(received: u32, millis: f64) -> RoundFacts {
        let seconds = millis / 1000.0;
        let rtt =
            (received > 0).then_some(Rtt { min: seconds, median: seconds, mean: seconds, max: seconds });
        RoundFacts { sent: 5, received, rtt, fault: false }
    }

    fn take(recent: &mut Recent, stream: &Stream, end: i64, facts: &RoundFacts) {
        recent.take(stream.digest(), || stream.clone(), at(end), facts);
    }

    fn of(figures: &LastMinutes, link: &str) -> Option<Figures> {
        figures.of(&"xa-a".parse().unwrap(), &link.parse().unwrap()).copied()
    }

    /// A round each five seconds of so many minutes.
    fn rounds(minutes: i64) -> impl Iterator<Item = i64> {
        (1..=minutes * 12).map(|round| round * 5)
    }

    #[test]
    fn closed_minutes_are_added_up_and_the_present_one_is_not() {
        let mut recent = Recent::default();
        let own = stream("wan", "xa-a", "10.0.0.1");
        for end in rounds(7) {
            take(&mut recent, &own, end, &facts(if end % 10 == 0 { 4 } else { 5 }, 40.0));
        }
        // Nineteen seconds after the sixth minute it may still grow.
        let figures = recent.figures(at(379));
        assert_eq!(figures.window, Window::new(at(0), at(300)));
        let found = of(&figures, "wan").unwrap();
        assert_eq!((found.minutes, found.counted, found.received), (5, 300, 270));
        assert_eq!((found.rtt_mean(), found.loss(), found.lost()), (Some(0.04), Some(0.1), 30));
        assert_eq!(recent.figures(at(380)).window, Window::new(at(60), at(360)));
        assert_eq!(of(&recent.figures(at(2_000)), "wan"), None, "long ago");
        assert_eq!(LastMinutes::default().of(&"xa-a".parse().unwrap(), &"wan".parse().unwrap()), None);
    }

    #[test]
    fn the_sites_own_word_counts_and_what_is_down_does_not() {
        let mut recent = Recent::default();
        let (own, dead) = (stream("wan", "xa-a", "10.0.0.1"), stream("wan", "xa-a", "10.0.0.2"));
        let centre = stream("wan", "trung-tam", "10.0.0.9");
        let other = stream("internet", "trung-tam", "1.1.1.1");
        for end in rounds(5) {
            take(&mut recent, &own, end, &facts(5, 20.0));
            take(&mut recent, &dead, end, &facts(0, 0.0));
            take(&mut recent, &centre, end, &facts(3, 90.0));
            take(&mut recent, &other, end, &facts(5, 90.0));
            take(&mut recent, &own, end, &RoundFacts { fault: true, ..facts(5, 500.0) });
        }
        let figures = recent.figures(at(320));
        let wan = of(&figures, "wan").unwrap();
        assert_eq!((wan.counted, wan.lost(), wan.rtt_mean()), (300, 0, Some(0.02)));
        assert_eq!(of(&figures, "internet").unwrap().rtt_mean(), Some(0.09), "nobody else looks");
        // A line that answered nothing has no figure of what it loses.
        let mut recent = Recent::default();
        rounds(5).for_each(|end| take(&mut recent, &dead, end, &facts(0, 0.0)));
        let down = of(&recent.figures(at(320)), "wan").unwrap();
        assert_eq!((down.minutes, down.rtt_mean(), down.loss()), (5, None, None));
    }

    #[test]
    fn a_clock_that_is_wrong_spoils_no_later_minute() {
        let mut recent = Recent::default();
        let own = stream("wan", "xa-a", "10.0.0.1");
        for end in [UnixMillis::MAX, at(10_000_000), UnixMillis::MIN, UnixMillis(0)] {
            recent.take(own.digest(), || own.clone(), end, &facts(5, 999.0));
        }
        assert_eq!(of(&recent.figures(at(20)), "wan"), None);
        rounds(5).for_each(|end| take(&mut recent, &own, end, &facts(5, 20.0)));
        assert_eq!(of(&recent.figures(at(320)), "wan").unwrap().rtt_mean(), Some(0.02));
        for now in [UnixMillis::MIN, UnixMillis::MAX] {
            assert_eq!(of(&Recent::default().figures(now), "wan"), None);
        }
        recent.figures(at(100_000));
        assert!(recent.streams.is_empty(), "what is over takes no memory");
    }

    proptest! {
        /// Rounds in any order and again make the same figures.
        #[test]
        fn order_and_repetition_do_not_matter(
            order in prop::collection::vec((1..=84_i64, 0..6_u32), 1..200)
        ) {
            let own = stream("wan", "xa-a", "10.0.0.1");
            let by_round: BTreeMap<i64, u32> = order.iter().rev().copied().collect();
            let (mut one, mut other) = (Recent::default(), Recent::default());
            for (round, received) in &by_round {
                take(&mut one, &own, round * 5, &facts(*received, 10.0));
            }
            for (round, _) in &order {
                take(&mut other, &own, round * 5, &facts(by_round[round], 10.0));
            }
            prop_assert_eq!(one.figures(at(440)), other.figures(at(440)));
        }
    }
}
