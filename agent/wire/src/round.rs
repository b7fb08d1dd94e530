//! A round as samples, and samples as rounds.
//!
//! One round travels as up to eight series that differ in their name alone, each with one sample at the round's end:
//! interval, sent and received always; the four round-trip times exactly when something was received; fault exactly when
//! the instrument failed. All of a round goes in one request: the collector puts rounds together request by request, and
//! one that is split gives no evidence (its samples are forwarded all the same).

use std::time::Duration;

use crate::decode::is_stale_marker;
use crate::encode::{EncodeError, RequestBuilder};
use crate::id::{LinkName, ProbeKind, SiteId};
use crate::names::{Label, Metric};
use crate::outcome::{RoundFacts, Rtt};
use crate::time::UnixMillis;

/// The metrics of a round, in the order in which they are sent.
pub const ROUND_METRICS: [Metric; 8] = [
    Metric::RoundIntervalSeconds,
    Metric::RoundSent,
    Metric::RoundReceived,
    Metric::RoundRttMinSeconds,
    Metric::RoundRttMedianSeconds,
    Metric::RoundRttMeanSeconds,
    Metric::RoundRttMaxSeconds,
    Metric::RoundFault,
];

/// The longest round: evidence of an hour in one figure would hide any outage that matters.
pub const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// The most packets in a round: a round of an hour with one packet each 4 ms, the least that probing at all is sane for.
pub const MAX_PACKETS: u32 = 1_000_000;

/// One probing of one target of one link; covers the time [`end` − `interval`, `end`).
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// The link probed.
    pub link: LinkName,
    /// How.
    pub probe: ProbeKind,
    /// The address probed; not empty.
    pub target: String,
    /// The site whose link this is, where it is not the agent's own.
    pub about: Option<SiteId>,
    /// When the round ended.
    pub end: UnixMillis,
    /// How long it was: above zero, at most [`MAX_INTERVAL`], in whole milliseconds.
    pub interval: Duration,
    /// What was measured.
    pub facts: RoundFacts,
}

/// Adds a round's samples to a request.
///
/// # Errors
/// When the target is empty, or the figures are such that the collector would refuse them. Nothing is then added.
pub fn encode_round(round: &Round, request: &mut RequestBuilder) -> Result<(), EncodeError> {
    let values = values_of(round);
    assemble(&values)?.ok_or(RoundError::RttMissing)?;
    let about = round.about.as_ref().map(|site| (Label::About, site.as_str()));
    let fixed = [
        (Label::Link, round.link.as_str()),
        (Label::Probe, round.probe.as_str()),
        (Label::Target, round.target.as_str()),
    ];
    let labels: Vec<_> = about.into_iter().chain(fixed).collect();
    for (metric, value) in ROUND_METRICS.into_iter().zip(values) {
        if let Some(value) = value {
            request.sample(metric, &labels, round.end, value)?;
        }
    }
    Ok(())
}

/// Whether a metric is one figure of a round.
#[must_use]
pub const fn is_round_metric(metric: Metric) -> bool {
    (metric as usize) < ROUND_METRICS.len()
}

/// A round put together from its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AssembledRound {
    /// The number that the caller gave to (site, link, probe, target, about).
    pub key: u32,
    /// When the round ended.
    pub end: UnixMillis,
    /// How long it was, in milliseconds: 1 to 3,600,000.
    pub interval_ms: u32,
    /// What was measured.
    pub facts: RoundFacts,
}

impl AssembledRound {
    /// When the round began: it covers [`start`, `end`).
    #[must_use]
    pub fn start(&self) -> UnixMillis {
        self.end.plus_millis(-i64::from(self.interval_ms))
    }
}

/// A round that is refused, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefusedRound {
    /// The number that the caller gave to (site, link, probe, target, about).
    pub key: u32,
    /// When the round ended.
    pub end: UnixMillis,
    /// How many samples of the request it had, each now refused.
    pub samples: u32,
    /// What is wrong with it.
    pub error: RoundError,
}

/// Why a round's figures cannot be. The text follows the round's name in the answer.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RoundError {
    /// NaN (other than the stale marker) or infinite.
    #[error("{metric}: found {value}, expected a finite number")]
    NotFinite {
        /// The figure.
        metric: Metric,
        /// Its value.
        value: f64,
    },
    /// Below zero.
    #[error("{metric}: found {value}, expected 0 or more")]
    Negative {
        /// The figure.
        metric: Metric,
        /// Its value.
        value: f64,
    },
    /// A count that is not a whole number.
    #[error("{metric}: found {value}, expected a whole number")]
    NotWhole {
        /// The figure.
        metric: Metric,
        /// Its value.
        value: f64,
    },
    /// A count over [`MAX_PACKETS`].
    #[error("{metric}: found {value}, expected at most {MAX_PACKETS}")]
    TooMany {
        /// The figure.
        metric: Metric,
        /// Its value.
        value: f64,
    },
    /// An interval of less than a millisecond or more than [`MAX_INTERVAL`].
    #[error("{}: found {value}, expected 0.001 to 3600", Metric::RoundIntervalSeconds)]
    Interval {
        /// The interval in seconds.
        value: f64,
    },
    /// More was received than sent.
    #[error("found {received} received of {sent} sent, expected no more than sent")]
    MoreReceivedThanSent {
        /// How many were sent.
        sent: u32,
        /// How many were received.
        received: u32,
    },
    /// A round-trip time where nothing was received.
    #[error("{metric}: found a value though nothing was received, expected none")]
    RttWithoutReply {
        /// The figure.
        metric: Metric,
    },
    /// A round-trip time of more than [`MAX_INTERVAL`].
    #[error("{metric}: found {value}, expected at most 3600")]
    RttTooLong {
        /// The figure.
        metric: Metric,
        /// Its value in seconds.
        value: f64,
    },
    /// The median or the mean is not between the shortest and the longest.
    #[error("{metric}: found {value}, expected it from the shortest, {min}, to the longest, {max}")]
    RttOutOfOrder {
        /// The figure.
        metric: Metric,
        /// Its value in seconds.
        value: f64,
        /// The shortest of the round.
        min: f64,
        /// The longest of the round.
        max: f64,
    },
    /// No round-trip times though something was received. Only a sender sees this: a receiver takes the round for
    /// incomplete.
    #[error("found no round-trip times though something was received, expected all four")]
    RttMissing,
    /// Fault is neither 0 nor 1.
    #[error("{}: found {value}, expected 1, or no such sample", Metric::RoundFault)]
    Fault {
        /// Its value.
        value: f64,
    },
    /// The same figure of the same round, twice, with different values.
    #[error("{metric}: found two different values for one round in one request")]
    Contradiction {
        /// The figure.
        metric: Metric,
    },
}

/// What came of a request's samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assembly<'a> {
    /// Complete rounds, by key and end, each once.
    pub rounds: &'a [AssembledRound],
    /// Rounds with impossible figures, by key and end, each once.
    pub refused: &'a [RefusedRound],
    /// How many rounds lacked a figure. They are no mistake: their samples are kept, but give no evidence.
    pub incomplete: u32,
}

/// Puts rounds together from the samples of one request, in whatever order these stand; pure, and without allocation
/// once its buffers have grown to the size of the requests that come.
///
/// Samples come either round by round (an agent) or figure by figure (a store that sorts by name). So each is looked for
/// at the round of the sample before it, then at the round behind that one, and only else begins a new entry; entries
/// are sorted and joined at the end if they need it. Nothing is hashed.
#[derive(Debug, Default)]
pub struct RoundAssembler {
    parts: Vec<Part>,
    at: usize,
    is_sorted: bool,
    rounds: Vec<AssembledRound>,
    refused: Vec<RefusedRound>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    key: u32,
    end: UnixMillis,
    /// A bit for each of `ROUND_METRICS` that came.
    present: u8,
    /// A bit for each that came with different values.
    differs: u8,
    samples: u32,
    values: [f64; 8],
}

impl RoundAssembler {
    /// An assembler with nothing in it.
    #[must_use]
    pub fn new() -> RoundAssembler {
        RoundAssembler { is_sorted: true, ..RoundAssembler::default() }
    }

    /// Takes one sample of the round (`key`, `time`). Says whether it is one of a round: other metrics and stale markers
    /// are not, and change nothing.
    pub fn push(&mut self, key: u32, metric: Metric, time: UnixMillis, value: f64) -> bool {
        if !is_round_metric(metric) || is_stale_marker(value) {
            return false;
        }
        let figure = metric as usize;
        let next = if self.at + 1 < self.parts.len() { self.at + 1 } else { 0 };
        for at in [self.at, next] {
            if let Some(part) = self.parts.get_mut(at)
                && (part.key, part.end) == (key, time)
            {
                self.at = at;
                part.add(figure, value);
                return true;
            }
        }
        let mut part = Part { key, end: time, present: 0, differs: 0, samples: 0, values: [0.0; 8] };
        part.add(figure, value);
        self.is_sorted &= self.parts.last().is_none_or(|last| last.place() < part.place());
        self.at = self.parts.len();
        self.parts.push(part);
        true
    }

    /// Forgets the samples taken since the last [`finish`](RoundAssembler::finish), as when their request turns out to
    /// be malformed.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.at = 0;
        self.is_sorted = true;
    }

    /// What came of the samples taken since the last call. The assembler is then ready for the next request.
    pub fn finish(&mut self) -> Assembly<'_> {
        self.rounds.clear();
        self.refused.clear();
        let mut incomplete = 0;
        if !self.is_sorted {
            self.parts.sort_unstable_by_key(Part::place);
            self.parts.dedup_by(|later, first| {
                let same = first.place() == later.place();
                if same {
                    first.join(later);
                }
                same
            });
        }
        for part in &self.parts {
            let (key, end) = (part.key, part.end);
            match part.assemble() {
                Ok(Some((interval_ms, facts))) => {
                    self.rounds.push(AssembledRound { key, end, interval_ms, facts });
                }
                Ok(None) => incomplete += 1,
                Err(error) => self.refused.push(RefusedRound { key, end, samples: part.samples, error }),
            }
        }
        self.clear();
        Assembly { rounds: &self.rounds, refused: &self.refused, incomplete }
    }
}

impl Part {
    fn place(&self) -> (u32, UnixMillis) {
        (self.key, self.end)
    }

    fn add(&mut self, figure: usize, value: f64) {
        let (bit, Some(slot)) = (1 << figure, self.values.get_mut(figure)) else { return };
        if self.present & bit == 0 {
            *slot = value;
        } else if slot.to_bits() != value.to_bits() {
            self.differs |= bit;
        }
        self.present |= bit;
        self.samples = self.samples.saturating_add(1);
    }

    /// Joins two parts of one round. The order does not matter: where both have a figure and the values differ, the
    /// round is refused whichever of them stands.
    fn join(&mut self, other: &Part) {
        let samples = self.samples.saturating_add(other.samples);
        for (figure, value) in other.values.into_iter().enumerate() {
            if other.present & (1 << figure) != 0 {
                self.add(figure, value);
            }
        }
        self.differs |= other.differs;
        self.samples = samples;
    }

    fn assemble(&self) -> Result<Option<(u32, RoundFacts)>, RoundError> {
        let mut values = [None; 8];
        for (figure, (slot, metric)) in values.iter_mut().zip(ROUND_METRICS).enumerate() {
            if self.differs & (1 << figure) != 0 {
                return Err(RoundError::Contradiction { metric });
            }
            *slot = (self.present & (1 << figure) != 0).then_some(self.values[figure]);
        }
        assemble(&values)
    }
}

/// The figures of a round in the order of `ROUND_METRICS`.
type Values = [Option<f64>; 8];

/// Interval and facts of a round, or `None` when a figure is lacking.
fn assemble(values: &Values) -> Result<Option<(u32, RoundFacts)>, RoundError> {
    for (value, metric) in values.iter().zip(ROUND_METRICS) {
        match *value {
            Some(value) if !value.is_finite() => return Err(RoundError::NotFinite { metric, value }),
            Some(value) if value < 0.0 => return Err(RoundError::Negative { metric, value }),
            Some(_) | None => {}
        }
    }
    let [interval, sent, received, min, median, mean, max, fault] = *values;
    let fault = match fault {
        None => false,
        Some(0.0) => false,
        Some(1.0) => true,
        Some(value) => return Err(RoundError::Fault { value }),
    };
    let interval = interval.map(whole_millis).transpose()?;
    let sent = sent.map(|sent| count(Metric::RoundSent, sent)).transpose()?;
    let received = received.map(|received| count(Metric::RoundReceived, received)).transpose()?;
    let rtt = check_rtt([min, median, mean, max])?;
    let (Some(interval), Some(sent), Some(received)) = (interval, sent, received) else { return Ok(None) };
    if received > sent {
        return Err(RoundError::MoreReceivedThanSent { sent, received });
    }
    if received == 0 {
        let stray = [min, median, mean, max].iter().position(Option::is_some);
        if let Some(metric) = stray.and_then(|at| RTT_METRICS.get(at).copied()) {
            return Err(RoundError::RttWithoutReply { metric });
        }
    } else if rtt.is_none() {
        return Ok(None);
    }
    Ok(Some((interval, RoundFacts { sent, received, rtt, fault })))
}

const RTT_METRICS: [Metric; 4] = [
    Metric::RoundRttMinSeconds,
    Metric::RoundRttMedianSeconds,
    Metric::RoundRttMeanSeconds,
    Metric::RoundRttMaxSeconds,
];

/// The four round-trip times, when all are there and can be.
fn check_rtt(times: [Option<f64>; 4]) -> Result<Option<Rtt>, RoundError> {
    /// A mean of equal numbers may be off by its rounding.
    const ROUNDING: f64 = 1e-9;
    for (time, metric) in times.into_iter().zip(RTT_METRICS) {
        if let Some(value) = time
            && value > MAX_INTERVAL.as_secs_f64()
        {
            return Err(RoundError::RttTooLong { metric, value });
        }
    }
    let [Some(min), Some(median), Some(mean), Some(max)] = times else { return Ok(None) };
    for (metric, value) in [(Metric::RoundRttMedianSeconds, median), (Metric::RoundRttMeanSeconds, mean)] {
        if value < min * (1.0 - ROUNDING) || value > max * (1.0 + ROUNDING) {
            return Err(RoundError::RttOutOfOrder { metric, value, min, max });
        }
    }
    Ok(Some(Rtt { min, median, mean, max }))
}

/// Seconds as whole milliseconds, to the nearest.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 1 to 3,600,000 when it is cast
fn whole_millis(value: f64) -> Result<u32, RoundError> {
    let millis = (value * 1000.0).round();
    if millis < 1.0 || value > MAX_INTERVAL.as_secs_f64() {
        return Err(RoundError::Interval { value });
    }
    Ok(millis as u32)
}

/// A count, which is finite and not negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and from 0 to MAX_PACKETS when it is cast
fn count(metric: Metric, value: f64) -> Result<u32, RoundError> {
    if value.fract() != 0.0 {
        return Err(RoundError::NotWhole { metric, value });
    }
    if value > f64::from(MAX_PACKETS) {
        return Err(RoundError::TooMany { metric, value });
    }
    Ok(value as u32)
}

/// A round's figures as they are sent.
fn values_of(round: &Round) -> Values {
    let facts = &round.facts;
    let rtt = facts.rtt;
    // Whole milliseconds below 2^53 divide to the nearest double, which `whole_millis` turns back to the same number.
    let interval = round.interval.as_millis().min(u128::from(u32::MAX));
    let interval = f64::from(u32::try_from(interval).unwrap_or(u32::MAX)) / 1000.0;
    [
        Some(interval),
        Some(f64::from(facts.sent)),
        Some(f64::from(facts.received)),
        rtt.map(|rtt| rtt.min),
        rtt.map(|rtt| rtt.median),
        rtt.map(|rtt| rtt.mean),
        rtt.map(|rtt| rtt.max),
        facts.fault.then_some(1.0),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::{Decoder, Scratch};
    use crate::labels::LabelPairs;
    use crate::limits::Limits;
    use crate::protocol::Protocol;

    const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

    fn round(sent: u32, received: u32) -> Round {
        let rtt = Rtt { min: 0.010, median: 0.012, mean: 0.0125, max: 0.020 };
        Round {
            link: LinkName::parse("wan-vnpt").unwrap(),
            probe: ProbeKind::Icmp,
            target: "10.60.0.1".into(),
            about: None,
            end: UnixMillis(1_700_000_005_000),
            interval: Duration::from_secs(5),
            facts: RoundFacts { sent, received, rtt: (received > 0).then_some(rtt), fault: false },
        }
    }

    /// The figures of a good round, with some replaced.
    fn values(changes: &[(Metric, Option<f64>)]) -> Values {
        let mut values = values_of(&round(5, 4));
        for (metric, value) in changes {
            values[*metric as usize] = *value;
        }
        values
    }

    fn push_all(assembler: &mut RoundAssembler, key: u32, end: i64, values: &Values) {
        for (metric, value) in ROUND_METRICS.into_iter().zip(values) {
            if let Some(value) = value {
                assert!(assembler.push(key, metric, UnixMillis(end), *value));
            }
        }
    }

    #[test]
    fn the_metrics_of_a_round_are_the_first_of_the_table() {
        assert_eq!(ROUND_METRICS[..], Metric::ALL[..8]);
        for &metric in Metric::ALL {
            assert_eq!(is_round_metric(metric), metric.as_str().starts_with("wan_round_"));
        }
    }

    #[test]
    fn a_round_comes_back_from_the_wire_as_it_was_sent() {
        let fault = Round {
            facts: RoundFacts { fault: true, ..round(0, 0).facts },
            about: Some(SiteId::parse("so-tttt").unwrap()),
            target: "đích".into(),
            interval: Duration::from_millis(1),
            ..round(0, 0)
        };
        for protocol in [Protocol::V1, Protocol::V2] {
            for sent in [round(5, 5), round(5, 1), round(5, 0), fault.clone()] {
                let mut request = RequestBuilder::new(protocol);
                encode_round(&sent, &mut request).unwrap();
                let message = request.finish();
                let (limits, mut scratch, mut assembler) =
                    (Limits::default(), Scratch::new(), RoundAssembler::new());
                let mut decoder = Decoder::new(protocol, &message, &mut scratch, &limits).unwrap();
                while let Some(series) = decoder.next_series().unwrap() {
                    let labels = LabelPairs::parse(series.key.unwrap(), protocol).unwrap();
                    assert_eq!(labels.get(Label::Target), Some(sent.target.as_str()));
                    assert_eq!(labels.get(Label::About), sent.about.as_ref().map(SiteId::as_str));
                    for sample in series.samples {
                        assembler.push(7, labels.metric().unwrap(), sample.time, sample.value);
                    }
                }
                let interval_ms = u32::try_from(sent.interval.as_millis()).unwrap();
                let expected = AssembledRound { key: 7, end: sent.end, interval_ms, facts: sent.facts };
                assert_eq!(assembler.finish(), Assembly { rounds: &[expected], refused: &[], incomplete: 0 });
                assert_eq!(expected.start(), sent.end.minus(sent.interval));
            }
        }
    }

    #[test]
    fn every_impossible_figure_is_refused_by_name() {
        use Metric::{
            RoundFault as Fault, RoundIntervalSeconds as Interval, RoundReceived as Received,
            RoundRttMaxSeconds as Max, RoundRttMeanSeconds as Mean, RoundRttMedianSeconds as Median,
            RoundRttMinSeconds as Min, RoundSent as Sent,
        };
        let table = [
            (Interval, 0.0, RoundError::Interval { value: 0.0 }),
            (Interval, 0.0004, RoundError::Interval { value: 0.0004 }),
            (Interval, 3600.1, RoundError::Interval { value: 3600.1 }),
            (Interval, -5.0, RoundError::Negative { metric: Interval, value: -5.0 }),
            (Interval, f64::INFINITY, RoundError::NotFinite { metric: Interval, value: f64::INFINITY }),
            (Sent, 4.5, RoundError::NotWhole { metric: Sent, value: 4.5 }),
            (Sent, 1e7, RoundError::TooMany { metric: Sent, value: 1e7 }),
            (Sent, 3.0, RoundError::MoreReceivedThanSent { sent: 3, received: 4 }),
            (Received, 1e300, RoundError::TooMany { metric: Received, value: 1e300 }),
            (Received, 6.0, RoundError::MoreReceivedThanSent { sent: 5, received: 6 }),
            (Received, 0.0, RoundError::RttWithoutReply { metric: Min }),
            (Received, -1.0, RoundError::Negative { metric: Received, value: -1.0 }),
            (Min, f64::NEG_INFINITY, RoundError::NotFinite { metric: Min, value: f64::NEG_INFINITY }),
            (Max, 3600.5, RoundError::RttTooLong { metric: Max, value: 3600.5 }),
            (Median, 0.009, RoundError::RttOutOfOrder { metric: Median, value: 0.009, min: 0.01, max: 0.02 }),
            (Mean, 0.021, RoundError::RttOutOfOrder { metric: Mean, value: 0.021, min: 0.01, max: 0.02 }),
            (Fault, 0.5, RoundError::Fault { value: 0.5 }),
            (Fault, 2.0, RoundError::Fault { value: 2.0 }),
        ];
        for (metric, value, expected) in table {
            let mut assembler = RoundAssembler::new();
            push_all(&mut assembler, 1, 1000, &values(&[(metric, Some(value))]));
            let assembly = assembler.finish();
            assert_eq!((assembly.rounds, assembly.incomplete), (&[][..], 0), "{metric} {value}");
            assert_eq!(assembly.refused[0].error, expected, "{metric} {value}");
            assert!(assembly.refused[0].samples >= 7);
            assert!(expected.to_string().contains("found"), "{expected}");
        }
        let mut assembler = RoundAssembler::new();
        push_all(&mut assembler, 1, 1000, &values(&[(Sent, Some(f64::NAN))]));
        assert!(matches!(assembler.finish().refused[0].error, RoundError::NotFinite { metric: Sent, .. }));
    }

    #[test]
    fn the_greatest_and_least_possible_figures_are_accepted() {
        let good = [
            values(&[(Metric::RoundIntervalSeconds, Some(0.001))]),
            values(&[(Metric::RoundIntervalSeconds, Some(3600.0))]),
            values(&[(Metric::RoundSent, Some(1e6))]),
            values(&[(Metric::RoundFault, Some(0.0))]),
            values(&[(Metric::RoundReceived, Some(5.0))]),
            values(&[(Metric::RoundRttMinSeconds, Some(0.0))]),
            values(&[(Metric::RoundRttMeanSeconds, Some(0.020_000_000_000_001))]),
        ];
        for values in good {
            assert!(assemble(&values).unwrap().is_some(), "{values:?}");
        }
    }

    #[test]
    fn a_round_that_lacks_a_figure_is_counted_and_no_mistake() {
        for metric in &ROUND_METRICS[..7] {
            let mut assembler = RoundAssembler::new();
            push_all(&mut assembler, 1, 1000, &values(&[(*metric, None)]));
            assert_eq!(assembler.finish(), Assembly { rounds: &[], refused: &[], incomplete: 1 }, "{metric}");
        }
    }

    #[test]
    fn stale_markers_and_other_metrics_are_no_part_of_a_round() {
        let mut assembler = RoundAssembler::new();
        for metric in ROUND_METRICS {
            assert!(!assembler.push(1, metric, UnixMillis(1), STALE));
        }
        assert!(!assembler.push(1, Metric::AgentInfo, UnixMillis(1), 1.0));
        assert_eq!(assembler.finish(), Assembly { rounds: &[], refused: &[], incomplete: 0 });
    }

    #[test]
    fn a_figure_sent_twice_is_one_when_equal_and_refused_when_not() {
        for (second, is_refused) in [(5.0, false), (6.0, true)] {
            for between in [false, true] {
                let mut assembler = RoundAssembler::new();
                push_all(&mut assembler, 1, 1000, &values(&[]));
                if between {
                    // Others come between, so that the copy does not find its round at once.
                    push_all(&mut assembler, 3, 1000, &values(&[]));
                    push_all(&mut assembler, 2, 1000, &values(&[]));
                }
                assembler.push(1, Metric::RoundSent, UnixMillis(1000), second);
                let assembly = assembler.finish();
                let refused = assembly.refused.iter().map(|refused| (refused.key, refused.error));
                let expected =
                    is_refused.then_some((1, RoundError::Contradiction { metric: Metric::RoundSent }));
                assert!(refused.eq(expected), "{assembly:?}");
                assert_eq!(assembly.rounds.len(), usize::from(!is_refused) + if between { 2 } else { 0 });
            }
        }
    }

    #[test]
    fn what_the_collector_would_refuse_is_not_sent() {
        let mut request = RequestBuilder::new(Protocol::V2);
        let no_rtt = Round { facts: RoundFacts { rtt: None, ..round(5, 5).facts }, ..round(5, 5) };
        let too_long = Round { interval: Duration::MAX, ..round(5, 5) };
        let no_target = Round { target: String::new(), ..round(5, 5) };
        for (bad, expected) in [
            (no_rtt, "found no round-trip times"),
            (too_long, "expected 0.001 to 3600"),
            (no_target, "label \"target\": found an empty value"),
            (round(4, 5), "found 5 received of 4 sent"),
        ] {
            let error = encode_round(&bad, &mut request).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(request.is_empty());
        }
    }

    #[test]
    fn a_second_request_like_the_first_allocates_nothing() {
        let mut assembler = RoundAssembler::new();
        let mut capacities = Vec::new();
        for _ in 0..3 {
            for key in (0..40).rev() {
                push_all(&mut assembler, key, 1000, &values(&[]));
            }
            assert_eq!(assembler.finish().rounds.len(), 40);
            capacities.push((
                assembler.parts.capacity(),
                assembler.rounds.capacity(),
                assembler.refused.capacity(),
            ));
        }
        assert!(capacities.iter().all(|capacity| *capacity == capacities[0]));
    }

    #[test]
    fn an_abandoned_request_leaves_nothing_behind() {
        let mut assembler = RoundAssembler::new();
        push_all(&mut assembler, 9, 1000, &values(&[]));
        assembler.clear();
        assert_eq!(assembler.finish(), Assembly { rounds: &[], refused: &[], incomplete: 0 });
    }

    proptest! {
        #[test]
        fn rounds_come_out_the_same_whatever_the_order_and_number_of_samples(
            rounds in proptest::collection::btree_map((0_u32..4, 0_i64..4), (1_u32..9, 0_u32..9), 1..10),
            by_figure in any::<bool>(),
            order in proptest::collection::vec(any::<u16>(), 200),
        ) {
            let mut samples = Vec::new();
            for ((key, end), (sent, received)) in &rounds {
                let values = values_of(&round(*sent, (*received).min(*sent)));
                for (metric, value) in ROUND_METRICS.into_iter().zip(values) {
                    samples.extend(value.map(|value| (*key, metric, UnixMillis(*end), value)));
                }
            }
            if by_figure {
                samples.sort_by_key(|(_, metric, _, _)| *metric);
            }
            let mut assembler = RoundAssembler::new();
            for (key, metric, time, value) in &samples {
                assembler.push(*key, *metric, *time, *value);
            }
            let in_order = assembler.finish().rounds.to_vec();
            prop_assert_eq!(in_order.len(), rounds.len());
            prop_assert!(in_order.iter().map(|round| (round.key, round.end.0)).eq(rounds.keys().copied()));

            // Some twice, all in another order.
            let mut shuffled: Vec<_> = samples.iter().chain(samples.iter().step_by(3)).zip(order.iter().cycle()).collect();
            shuffled.sort_by_key(|(_, order)| **order);
            for ((key, metric, time, value), _) in shuffled {
                assembler.push(*key, *metric, *time, *value);
            }
            let assembly = assembler.finish();
            prop_assert_eq!(assembly.rounds, &in_order[..]);
            prop_assert_eq!((assembly.refused.len(), assembly.incomplete), (0, 0));
        }

        #[test]
        fn every_combination_of_figures_has_an_answer(values in proptest::array::uniform8(proptest::option::of(any::<f64>()))) {
            if let Ok(Some((interval_ms, facts))) = assemble(&values) {
                prop_assert!((1..=3_600_000).contains(&interval_ms));
                prop_assert!(facts.received <= facts.sent && facts.sent <= MAX_PACKETS);
                prop_assert_eq!(facts.rtt.is_some(), facts.received > 0);
            }
        }

        #[test]
        fn an_interval_of_whole_milliseconds_survives_the_way_through_seconds(millis in 1_u32..=3_600_000) {
            let sent = Round { interval: Duration::from_millis(u64::from(millis)), ..round(5, 0) };
            let (interval, _) = assemble(&values_of(&sent)).unwrap().unwrap();
            prop_assert_eq!(interval, millis);
        }
    }
}
