//! What a round showed: the outcome, and the one rule that decides it.

use serde::{Deserialize, Serialize};

/// What a round or a link-round showed, in the order by which evidence merges.
///
/// **Evidence merges by maximum.** Where two rounds cover the same instant (two targets of one link, a late copy, a
/// second vantage), the greater outcome stands: a link is up when any of its targets answers, and a broken instrument
/// never hides what a working one saw. The maximum is commutative, associative and idempotent, so the ledger is the same
/// whatever the order and number of arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The instrument failed: no permission, no socket, interface missing. Never counts as down.
    Fault,
    /// Nothing was answered.
    Down,
    /// Some was answered, but loss or RTT was over its limit.
    Degraded,
    /// Loss and RTT were within their limits.
    Up,
}

impl Outcome {
    /// Every outcome, in merge order.
    pub const ALL: [Outcome; 4] = [Outcome::Fault, Outcome::Down, Outcome::Degraded, Outcome::Up];

    /// The word for it in tables, labels and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Fault => "fault",
            Outcome::Down => "down",
            Outcome::Degraded => "degraded",
            Outcome::Up => "up",
        }
    }

    /// The outcome whose [`as_str`](Outcome::as_str) is `text`.
    #[must_use]
    pub fn from_word(text: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }

    /// A stable number for storage: 0 fault, 1 down, 2 degraded, 3 up.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Outcome::Fault => 0,
            Outcome::Down => 1,
            Outcome::Degraded => 2,
            Outcome::Up => 3,
        }
    }

    /// The outcome whose [`code`](Outcome::code) is `code`.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Outcome> {
        match code {
            0 => Some(Outcome::Fault),
            1 => Some(Outcome::Down),
            2 => Some(Outcome::Degraded),
            3 => Some(Outcome::Up),
            _ => None,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The figures of one round that its outcome is decided from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundFacts {
    /// Packets, connections, requests or queries sent.
    pub sent: u32,
    /// How many of these were answered in time; at most `sent`.
    pub received: u32,
    /// Round-trip times of the answered ones; `None` exactly when `received` is 0.
    pub rtt: Option<Rtt>,
    /// The instrument failed.
    pub fault: bool,
}

impl RoundFacts {
    /// The share that was not answered, 0 to 1; `None` when nothing was sent.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        (self.sent > 0).then(|| f64::from(self.sent.saturating_sub(self.received)) / f64::from(self.sent))
    }

    /// The median round-trip time in seconds; `None` when nothing was received.
    #[must_use]
    pub fn rtt_median(&self) -> Option<f64> {
        self.rtt.map(|rtt| rtt.median)
    }
}

/// Round-trip times of one round, each in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rtt {
    /// The shortest.
    pub min: f64,
    /// The middle one (of an even number: the mean of the middle two).
    pub median: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The longest.
    pub max: f64,
}

/// Where the line between up and degraded is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutcomeRule {
    /// The loss ratio that is still up; above it, what was answered only in part is degraded.
    pub c1: f64,
    /// The median round-trip time in seconds that is still up; `None` sets no limit.
    pub rtt_limit: Option<f64>,
}

impl OutcomeRule {
    /// ITU-T Y.1540 calls an IP service available while its loss ratio stays below the threshold c1, and gives 0.20 as
    /// the value for it.
    pub const DEFAULT_C1: f64 = 0.20;
}

impl Default for OutcomeRule {
    fn default() -> OutcomeRule {
        OutcomeRule { c1: OutcomeRule::DEFAULT_C1, rtt_limit: None }
    }
}

/// What a round showed. Total: every combination of figures has an outcome.
///
/// | first that holds | outcome |
/// | --- | --- |
/// | the instrument failed, or nothing was sent | `Fault` |
/// | nothing was received | `Down` |
/// | loss > c1, or median RTT > its limit | `Degraded` |
/// | otherwise | `Up` |
#[must_use]
pub fn classify(facts: &RoundFacts, rule: &OutcomeRule) -> Outcome {
    let Some(loss) = facts.loss() else { return Outcome::Fault };
    if facts.fault {
        Outcome::Fault
    } else if facts.received == 0 {
        Outcome::Down
    } else if loss > rule.c1 || slower_than(facts.rtt_median(), rule.rtt_limit) {
        Outcome::Degraded
    } else {
        Outcome::Up
    }
}

fn slower_than(median: Option<f64>, limit: Option<f64>) -> bool {
    matches!((median, limit), (Some(median), Some(limit)) if median > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sent: u32, received: u32, median: f64) -> RoundFacts {
        let rtt = Rtt { min: median, median, mean: median, max: median };
        RoundFacts { sent, received, rtt: (received > 0).then_some(rtt), fault: false }
    }

    #[test]
    fn the_whole_table_of_outcomes() {
        let rule = OutcomeRule { c1: 0.20, rtt_limit: Some(0.150) };
        let table = [
            (facts(5, 5, 0.010), Outcome::Up),
            (facts(5, 4, 0.010), Outcome::Up), // loss equals c1
            (facts(5, 3, 0.010), Outcome::Degraded),
            (facts(5, 1, 0.010), Outcome::Degraded),
            (facts(5, 0, 0.0), Outcome::Down),
            (facts(5, 5, 0.150), Outcome::Up), // RTT equals its limit
            (facts(5, 5, 0.151), Outcome::Degraded),
            (facts(1, 1, 0.0), Outcome::Up),
            (facts(0, 0, 0.0), Outcome::Fault),
            (RoundFacts { fault: true, ..facts(5, 5, 0.010) }, Outcome::Fault),
            (RoundFacts { fault: true, ..facts(5, 0, 0.0) }, Outcome::Fault),
        ];
        for (facts, expected) in table {
            assert_eq!(classify(&facts, &rule), expected, "{facts:?}");
        }
        assert_eq!(classify(&facts(5, 5, 9.0), &OutcomeRule::default()), Outcome::Up, "no limit is set");
    }

    #[test]
    fn loss_of_c1_is_up_for_every_round_size() {
        for fifths in 1..=2000 {
            let facts = facts(fifths * 5, fifths * 4, 0.01);
            assert_eq!(classify(&facts, &OutcomeRule::default()), Outcome::Up, "{facts:?}");
        }
    }

    #[test]
    fn words_and_codes_go_both_ways_and_keep_the_order() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_word(outcome.as_str()), Some(outcome));
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
        }
        assert!(Outcome::ALL.is_sorted_by_key(|outcome| outcome.code()));
        assert!(
            Outcome::Fault < Outcome::Down
                && Outcome::Down < Outcome::Degraded
                && Outcome::Degraded < Outcome::Up
        );
        assert_eq!((Outcome::from_word("UP"), Outcome::from_code(4)), (None, None));
    }
}
