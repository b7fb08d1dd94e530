//! What a sender that is no agent says: its own series, turned into rounds by the mapping of its configuration ([`Sender`]).
//!
//! The credential says who the sender is; for which sites it may speak is the configuration's word. A series is looked at once, by its labels
//! ([`recognise`]); the samples of a request are put together by link, target and time ([`Rounds`]).
//!
//! | a series, or a sample | is |
//! | --- | --- |
//! | that no mapping fits | accepted and ignored, counted: a Prometheus has more jobs, and would not stop sending them |
//! | that several mappings fit | of the first |
//! | of a site that the sender may not speak for, or that the register has not | refused by name; the rest is kept |
//! | without the label that names its site or link, or with one that is no id or link's name | refused by name |
//! | a stale marker | no round: the series ended, and what follows is silence, which is unknown and not down |
//! | an answer that is neither 0 nor 1, a count that is none | refused by name |
//! | too old or too far in the future | refused by name, as an agent's is |
//! | the same again, late, or out of order | merged as an agent's is |
//! | a time without an answer in the same request | accepted, and no round: its answer came in another one |
//!
//! A round covers the time from the sample before it: [`Mapping::interval`], and a little more, since scrapes come some milliseconds late
//! now and then, and that is no time in which nobody looked.
//!
//! What a request came to depends on the configuration too. A replay after a crash reads the requests of the last seconds, which no
//! checkpoint has, by the configuration that is there then, as it does with `plan.c1` and `ingest.max_age`; what was checkpointed is evidence and
//! stays what it was.

use std::time::Duration;

use wan_wire::round::{AssembledRound, MAX_INTERVAL, MAX_PACKETS};
use wan_wire::{LabelPairs, LinkName, RoundFacts, Rtt, SiteId, UnixMillis, is_stale_marker};

use crate::config::senders::{Answer, Mapping, Named, Sender, SpeaksFor};
use crate::inventory::Register;

/// So much of an interval, and at most so long, a round reaches back beyond it.
const SLACK_SHARE: u32 = 10;
const MOST_SLACK: Duration = Duration::from_secs(1);

/// What a series is one figure of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// Whether the target answered.
    Up,
    /// How many packets were sent.
    Sent,
    /// How many were answered.
    Received,
    /// How long an answer took; how many seconds its unit is.
    Rtt(f64),
}

/// What a series is.
#[derive(Debug, PartialEq)]
pub(crate) enum Recognised<'s> {
    /// Nothing that evidence is made of.
    Ignored,
    /// A figure of the rounds of a link.
    Of {
        /// Which.
        figure: Figure,
        /// How it becomes a round.
        mapping: &'s Mapping,
        /// Whose link it is.
        site: SiteId,
        /// Which link it is.
        link: LinkName,
        /// What is probed.
        target: String,
    },
}

/// What a series of a sender is, from its labels.
///
/// # Errors
/// Why it is refused.
pub(crate) fn recognise<'s>(
    sender: &'s Sender,
    register: &Register,
    labels: &LabelPairs<'_>,
) -> Result<Recognised<'s>, String> {
    let value = |label: &str| labels.iter().find(|(name, _)| *name == label).map(|(_, value)| value);
    let all = |wanted: &std::collections::BTreeMap<String, String>| {
        wanted.iter().all(|(label, wanted)| value(label).unwrap_or_default() == wanted)
    };
    let figure = |mapping: &Mapping| {
        if !all(&mapping.labels) {
            return None;
        }
        let name = labels.metric_name();
        let of_answer = match &mapping.answer {
            Answer::Up(up) => (name == up).then_some(Figure::Up),
            Answer::Counts { sent, .. } if name == sent => Some(Figure::Sent),
            Answer::Counts { received, .. } => (name == received).then_some(Figure::Received),
        };
        let of_rtt = || {
            let rtt = mapping.rtt.as_ref().filter(|rtt| name == rtt.metric && all(&rtt.labels))?;
            Some(Figure::Rtt(rtt.unit))
        };
        of_answer.or_else(of_rtt)
    };
    let Some((mapping, figure)) = sender.rounds.iter().find_map(|mapping| Some((mapping, figure(mapping)?)))
    else {
        return Ok(Recognised::Ignored);
    };
    let need = |label: &str| {
        value(label).ok_or_else(|| {
            format!("it needs the label {label}, by the configuration of sender {}", sender.name)
        })
    };
    let site = match &mapping.site {
        Named::As(site) => site.clone(),
        Named::By(label) => need(label)?.parse().map_err(|error| format!("{label}: {error}"))?,
    };
    let link = match &mapping.link {
        Named::As(link) => link.clone(),
        Named::By(label) => need(label)?.parse().map_err(|error| format!("{label}: {error}"))?,
    };
    let known = register.get(&site);
    let may = match &sender.sites {
        SpeaksFor::All => true,
        SpeaksFor::Sites(sites) => sites.contains(&site),
        // Of a site that is not there its tier is not known; that is what is told.
        SpeaksFor::Tiers(tiers) => known.is_none_or(|known| tiers.contains(&known.tier)),
    };
    if !may {
        return Err(format!(
            "sender {} may not speak for site {site}: see its `sites` in the configuration",
            sender.name
        ));
    }
    if known.is_none() {
        return Err(format!("the register has no site {site}"));
    }
    let target = value(&mapping.target).unwrap_or_default();
    let target = if target.is_empty() { labels.metric_name() } else { target };
    Ok(Recognised::Of { figure, mapping, site, link, target: target.to_owned() })
}

/// How long a round of these covers, in milliseconds.
pub(crate) fn covered_ms(interval: Duration) -> u32 {
    let whole = (interval + (interval / SLACK_SHARE).min(MOST_SLACK)).min(MAX_INTERVAL);
    u32::try_from(whole.as_millis()).unwrap_or(u32::MAX)
}

/// Puts the figures of one request together.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    parts: Vec<(u32, UnixMillis, u32, Figure, f64)>,
}

/// What the figures of a request came to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Assembled {
    /// Rounds, by key and end.
    pub(crate) rounds: Vec<AssembledRound>,
    /// What is refused: key, end, how many samples, and why.
    pub(crate) refused: Vec<(u32, UnixMillis, u32, String)>,
    /// Rounds of which no answer came, or only one of its counts.
    pub(crate) incomplete: u32,
}

impl Rounds {
    /// Takes a sample of the round (`key`, `time`) that covers `covered_ms`. A stale marker is none.
    pub(crate) fn push(&mut self, key: u32, time: UnixMillis, covered_ms: u32, figure: Figure, value: f64) {
        if !is_stale_marker(value) {
            self.parts.push((key, time, covered_ms, figure, value));
        }
    }

    /// Forgets what was taken since the last [`Self::finish`].
    pub(crate) fn clear(&mut self) {
        self.parts.clear();
    }

    pub(crate) fn finish(&mut self) -> Assembled {
        let mut found = Assembled::default();
        self.parts.sort_by_key(|(key, time, ..)| (*key, *time));
        for parts in self.parts.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some(&(key, end, interval_ms, ..)) = parts.first() else { continue };
            match facts(parts.iter().map(|(.., figure, value)| (*figure, *value))) {
                Ok(Some(facts)) => found.rounds.push(AssembledRound { key, end, interval_ms, facts }),
                Ok(None) => found.incomplete += 1,
                Err(reason) => {
                    let samples = u32::try_from(parts.len()).unwrap_or(u32::MAX);
                    found.refused.push((key, end, samples, reason));
                }
            }
        }
        self.parts.clear();
        found
    }
}

/// The round that these figures are; `None` where they are no whole one.
fn facts(figures: impl Iterator<Item = (Figure, f64)>) -> Result<Option<RoundFacts>, String> {
    let (mut sent, mut received, mut rtt) = (None, None, None);
    let once = |slot: &mut Option<u32>, value: u32, what: &str| match *slot {
        Some(known) if known != value => Err(format!("found {known} and {value} for {what} at one time")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    };
    for (figure, value) in figures {
        match figure {
            Figure::Up => {
                let up = if value == 1.0 { 1 } else { 0 };
                if value != 0.0 && value != 1.0 {
                    return Err(format!("found {value}, expected 1 (it answered) or 0"));
                }
                once(&mut sent, 1, "what was sent")?;
                once(&mut received, up, "whether it answered")?;
            }
            Figure::Sent => once(&mut sent, count(value)?, "what was sent")?,
            Figure::Received => once(&mut received, count(value)?, "what was received")?,
            Figure::Rtt(unit) => {
                let seconds = value * unit;
                if !(0.0..=MAX_INTERVAL.as_secs_f64()).contains(&seconds) {
                    return Err(format!("found a time of {value}, expected 0 or more, and at most an hour"));
                }
                rtt = Some(seconds);
            }
        }
    }
    let (Some(sent), Some(received)) = (sent, received) else { return Ok(None) };
    if received > sent {
        return Err(format!("found {received} received of {sent} sent, expected no more than sent"));
    }
    // Where nothing answered, it is how long was waited.
    let rtt = rtt.filter(|_| received > 0);
    let rtt = rtt.map(|seconds| Rtt { min: seconds, median: seconds, mean: seconds, max: seconds });
    Ok(Some(RoundFacts { sent, received, rtt, fault: false }))
}

fn count(value: f64) -> Result<u32, String> {
    if value.fract() != 0.0 || !(0.0..=f64::from(MAX_PACKETS)).contains(&value) {
        return Err(format!("found {value}, expected a whole number from 0 to {MAX_PACKETS}"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, from 0 to a million")]
    Ok(value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: UnixMillis = UnixMillis(1_795_000_000_000);

    fn of(figures: &[(Figure, f64)]) -> Result<Option<(u32, u32, Option<f64>)>, String> {
        let facts = facts(figures.iter().copied())?;
        Ok(facts.map(|facts| (facts.sent, facts.received, facts.rtt_median())))
    }

    #[test]
    fn figures_become_a_round() {
        use Figure::{Received, Rtt, Sent, Up};
        assert_eq!(of(&[(Up, 1.0)]), Ok(Some((1, 1, None))));
        assert_eq!(of(&[(Rtt(1.0), 0.02), (Up, 1.0)]), Ok(Some((1, 1, Some(0.02)))));
        assert_eq!(
            of(&[(Up, 0.0), (Rtt(1.0), 5.0)]),
            Ok(Some((1, 0, None))),
            "how long was waited is no time of an answer"
        );
        assert_eq!(of(&[(Sent, 5.0), (Received, 4.0), (Rtt(0.001), 20.0)]), Ok(Some((5, 4, Some(0.02)))));
        assert_eq!(
            of(&[(Sent, 0.0), (Received, 0.0)]),
            Ok(Some((0, 0, None))),
            "which classifies as a fault"
        );
        for none in [&[(Rtt(1.0), 0.02)][..], &[(Sent, 5.0)], &[(Received, 5.0)], &[]] {
            assert_eq!(of(none), Ok(None), "{none:?}");
        }
        for wrong in [
            &[(Up, 0.5)][..],
            &[(Up, f64::NAN)],
            &[(Up, -1.0)],
            &[(Up, 1.0), (Up, 0.0)],
            &[(Sent, 5.0), (Received, 6.0)],
            &[(Sent, 1.5), (Received, 1.0)],
            &[(Sent, -1.0), (Received, 1.0)],
            &[(Sent, f64::INFINITY), (Received, 1.0)],
            &[(Up, 1.0), (Rtt(1.0), -0.1)],
            &[(Up, 1.0), (Rtt(1.0), f64::NAN)],
            &[(Up, 1.0), (Rtt(1.0), 3601.0)],
        ] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_request_s_figures_are_put_together_in_whatever_order_they_stand() {
        let stale = f64::from_bits(0x7ff0_0000_0000_0002);
        let mut rounds = Rounds::default();
        for (key, at, figure, value) in [
            (1, 15_000, Figure::Up, 0.0),
            (0, 15_000, Figure::Rtt(1.0), 0.01),
            (1, 0, Figure::Up, 1.0),
            (0, 15_000, Figure::Up, 1.0),
            (0, 15_000, Figure::Up, 1.0),
            (2, 15_000, Figure::Up, stale),
            (3, 15_000, Figure::Up, 7.0),
            (4, 15_000, Figure::Rtt(1.0), 7.0),
        ] {
            rounds.push(key, T.plus_millis(at), 16_000, figure, value);
        }
        let found = rounds.finish();
        let shown: Vec<_> =
            found.rounds.iter().map(|round| (round.key, round.end.0 - T.0, round.facts.received)).collect();
        assert_eq!(shown, [(0, 15_000, 1), (1, 0, 1), (1, 15_000, 0)]);
        assert_eq!((found.incomplete, found.refused.len()), (1, 1));
        assert_eq!(rounds.finish(), Assembled::default(), "it is ready for the next");
    }

    #[test]
    fn a_round_reaches_back_a_little_beyond_its_interval_and_never_beyond_an_hour() {
        let covered = |seconds| covered_ms(Duration::from_secs(seconds));
        assert_eq!((covered(1), covered(5), covered(15), covered(60)), (1_100, 5_500, 16_000, 61_000));
        assert_eq!(covered(3600), 3_600_000);
    }
}
