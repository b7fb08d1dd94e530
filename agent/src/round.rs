//! Packets → round: pure.
//!
//! A packet that the instrument failed to send says nothing about the network: it is not counted as sent. A round in which
//! no packet could be tried is a `fault`; one in which some could is judged by those.

use std::time::Duration;

use wan_wire::{RoundFacts, Rtt};

/// What became of one packet, connection, request or query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub end: End,
    /// What there is to say about it, for people: a reason, a status, phases.
    pub note: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Answered as expected, after this time.
    Received(Duration),
    /// Not answered in time, or answered wrongly.
    Lost,
    /// The instrument failed.
    Fault,
}

/// The attempts of one target in one round, summed up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetRound {
    /// The figures.
    pub facts: RoundFacts,
    /// The most telling note: of a fault, else of a loss, else of the last answer.
    pub note: Option<String>,
}

/// Sums up a target's attempts in one round.
pub fn sum_up(attempts: &[Attempt]) -> TargetRound {
    let mut times: Vec<Duration> = attempts
        .iter()
        .filter_map(|attempt| match attempt.end {
            End::Received(rtt) => Some(rtt),
            End::Lost | End::Fault => None,
        })
        .collect();
    times.sort_unstable();
    let sent = attempts.iter().filter(|attempt| attempt.end != End::Fault).count();
    let facts =
        RoundFacts { sent: count(sent), received: count(times.len()), rtt: rtt(&times), fault: sent == 0 };
    let weight = |attempt: &&Attempt| match attempt.end {
        End::Fault => 2,
        End::Lost => 1,
        End::Received(_) => 0,
    };
    // `max_by_key` takes the last of equals: the latest note is the most useful one.
    let note = attempts.iter().filter(|attempt| attempt.note.is_some()).max_by_key(weight);
    TargetRound { facts, note: note.and_then(|attempt| attempt.note.clone()) }
}

/// Figures of round-trip times, sorted ascending; `None` of none.
fn rtt(sorted: &[Duration]) -> Option<Rtt> {
    let (min, max) = (sorted.first()?, sorted.last()?);
    let middle = sorted.len() / 2;
    let median =
        if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2 };
    let mean = sorted.iter().sum::<Duration>() / count(sorted.len());
    Some(Rtt {
        min: seconds(*min),
        median: seconds(median),
        // Rounding down to the nanosecond must not put the mean under the minimum.
        mean: seconds(mean.clamp(*min, *max)),
        max: seconds(*max),
    })
}

/// The last bits of a double that a round-trip time does without: what is left says it to one part in a million, nanoseconds
/// at a millisecond. They are noise that no compression makes smaller, a tenth of what an agent sends.
const NOISE: u64 = (1 << 32) - 1;

/// In seconds, rounded up by at most a millionth: never below what was measured, never zero, and in the same order.
fn seconds(time: Duration) -> f64 {
    f64::from_bits((time.as_secs_f64().to_bits() + NOISE) & !NOISE)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wan_wire::{Outcome, OutcomeRule, classify};

    use super::*;

    fn attempt(end: End, note: &str) -> Attempt {
        Attempt { end, note: (!note.is_empty()).then(|| note.to_owned()) }
    }

    fn received(millis: u64) -> Attempt {
        attempt(End::Received(Duration::from_millis(millis)), "")
    }

    fn outcome(attempts: &[Attempt]) -> Outcome {
        classify(&sum_up(attempts).facts, &OutcomeRule::default())
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        let round = sum_up(&[received(40), received(10), received(20), received(30)]);
        let rtt = round.facts.rtt.unwrap();
        let ms = |millis| seconds(Duration::from_millis(millis));
        assert_eq!((rtt.min, rtt.median, rtt.mean, rtt.max), (ms(10), ms(25), ms(25), ms(40)));
        assert_eq!(sum_up(&[received(3), received(1), received(2)]).facts.rtt.unwrap().median, ms(2));
    }

    #[test]
    fn outcomes_follow_the_share_that_was_answered() {
        let lost = || attempt(End::Lost, "no answer");
        let fault = || attempt(End::Fault, "no socket");
        assert_eq!(outcome(&[received(1), received(1), received(1), received(1), lost()]), Outcome::Up);
        assert_eq!(outcome(&[received(1), received(1), received(1), lost(), lost()]), Outcome::Degraded);
        assert_eq!(outcome(&[lost(), lost()]), Outcome::Down);
        assert_eq!(outcome(&[]), Outcome::Fault);
        assert_eq!(outcome(&[fault(), fault()]), Outcome::Fault);
        // What was measured beside a fault still counts, and the fault is no loss.
        assert_eq!(outcome(&[received(1), fault()]), Outcome::Up);
        assert_eq!(outcome(&[lost(), fault()]), Outcome::Down);
    }

    #[test]
    fn the_note_is_the_most_telling_one() {
        let lost = attempt(End::Lost, "refused");
        let fine = attempt(End::Received(Duration::ZERO), "200");
        assert_eq!(sum_up(&[lost.clone(), fine.clone()]).note.as_deref(), Some("refused"));
        assert_eq!(sum_up(&[fine, received(1)]).note.as_deref(), Some("200"));
        assert_eq!(sum_up(&[attempt(End::Fault, "no socket"), lost]).note.as_deref(), Some("no socket"));
    }

    proptest! {
        #[test]
        fn a_time_is_rounded_up_by_at_most_a_millionth_and_is_short(nanos in 0u64..4_000_000_000_000, more in 0u64..1000) {
            let (exact, said) = (Duration::from_nanos(nanos).as_secs_f64(), seconds(Duration::from_nanos(nanos)));
            prop_assert!(said >= exact && said <= exact * 1.000_001, "{} as {}", exact, said);
            prop_assert_eq!(said == 0.0, nanos == 0);
            prop_assert_eq!(said.to_le_bytes()[..4].to_vec(), vec![0; 4]);
            prop_assert!(said <= seconds(Duration::from_nanos(nanos + more)));
        }

        #[test]
        fn figures_are_ordered_and_counts_add_up(times in prop::collection::vec(0u64..10_000_000_000, 0..50), lost in 0usize..50) {
            let mut attempts: Vec<Attempt> =
                times.iter().map(|nanos| attempt(End::Received(Duration::from_nanos(*nanos)), "")).collect();
            attempts.extend(std::iter::repeat_n(attempt(End::Lost, ""), lost));
            let facts = sum_up(&attempts).facts;
            prop_assert_eq!(facts.sent as usize, times.len() + lost);
            prop_assert_eq!(facts.received as usize, times.len());
            prop_assert_eq!(facts.rtt.is_some(), facts.received > 0);
            if let Some(rtt) = facts.rtt {
                prop_assert!(rtt.min <= rtt.median && rtt.median <= rtt.max);
                prop_assert!(rtt.min <= rtt.mean && rtt.mean <= rtt.max);
            }
        }
    }
}
