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
