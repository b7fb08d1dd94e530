//! An hour of one target: its sixty minutes, and which rounds are in them.
//!
//! A round belongs to the minute and the second in which it **ends** (its last instant, since a round covers [end − interval,
//! end)). As rounds of one target do not overlap and last a second or more, there is at most one for each second, and a map of
//! sixty bits a minute knows every round that was counted. So a round that comes twice counts once, and where it is inserted
//! does not matter: what an hour holds is a function of the set of rounds. (Should two different rounds of one target end in the
//! same second, as of two agents that use one secret, the first in the journal stands.)
//!
//! After [`super::MINUTES_KEPT`] the minutes go, but agents may still bring rounds that old: then the hour is [`Hour::Thin`],
//! its sum and the maps alone.

use std::collections::BTreeMap;

use wan_wire::UnixMillis;

use super::bucket::Bucket;

/// An hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// A minute in milliseconds.
pub const MINUTE_MS: i64 = 60_000;
/// Hours in a row of [`Day`].
pub const DAY_HOURS: i64 = 24;

/// Where a round counts: hours since 1970, the minute of the hour, the second of the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Hours since 1970, UTC.
    pub hour: i64,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl Place {
    /// Where a round that ended at `end` counts.
    #[must_use]
    pub fn of(end: UnixMillis) -> Self {
        let last = end.0.saturating_sub(1);
        let part = |unit: i64| u8::try_from(last.div_euclid(unit).rem_euclid(60)).unwrap_or(0);
        Self { hour: last.div_euclid(HOUR_MS), minute: part(MINUTE_MS), second: part(1000) }
    }
}

/// A minute: its figures, and a bit for each second in which one of its rounds ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Bit 0 is second 0.
    pub seen: u64,
    /// The figures.
    pub bucket: Bucket,
}

/// An hour of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hour {
    /// With its minutes: those that have a round.
    Full(BTreeMap<u8, Minute>),
    /// Their sum alone, and which rounds are in it.
    Thin {
        /// As [`Minute::seen`], by minute.
        seen: BTreeMap<u8, u64>,
        /// The hour's figures.
        total: Bucket,
    },
}

impl Default for Hour {
    fn default() -> Self {
        Self::Full(BTreeMap::new())
    }
}

impl Hour {
    /// Counts a round in. False when it is in already, and nothing has changed.
    pub fn insert(&mut self, place: Place, round: &Bucket) -> bool {
        let bit = 1 << place.second;
        let (seen, bucket) = match self {
            Self::Full(minutes) => {
                let minute = minutes.entry(place.minute).or_default();
                (&mut minute.seen, &mut minute.bucket)
            }
            Self::Thin { seen, total } => (seen.entry(place.minute).or_default(), total),
        };
        if *seen & bit != 0 {
            return false;
        }
        *seen |= bit;
        bucket.merge(round);
        true
    }

    /// The hour's figures and how many rounds they are of.
    #[must_use]
    pub fn total(&self) -> HourTotal {
        match self {
            Self::Full(minutes) => {
                let mut total = HourTotal::default();
                for minute in minutes.values() {
                    total.rounds += u64::from(minute.seen.count_ones());
                    total.bucket.merge(&minute.bucket);
                }
                total
            }
            Self::Thin { seen, total } => HourTotal {
                rounds: seen.values().map(|seen| u64::from(seen.count_ones())).sum(),
                bucket: total.clone(),
            },
        }
    }

    /// The same without its minutes.
    #[must_use]
    pub fn thin(self) -> Self {
        let total = self.total().bucket;
        match self {
            Self::Full(minutes) => {
                let seen = minutes.into_iter().map(|(at, minute)| (at, minute.seen)).collect();
                Self::Thin { seen, total }
            }
            Self::Thin { .. } => self,
        }
    }
}

/// The figures of an hour, and how many rounds they are of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HourTotal {
    /// How many rounds.
    pub rounds: u64,
    /// The figures.
    pub bucket: Bucket,
}

/// The hours of a UTC day of one target, by hour of that day: those that have a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day(pub BTreeMap<u8, HourTotal>);

/// The day, since 1970, of an hour, and which of its hours that is.
#[must_use]
pub fn day_of(hour: i64) -> (i64, u8) {
    (hour.div_euclid(DAY_HOURS), u8::try_from(hour.rem_euclid(DAY_HOURS)).unwrap_or(0))
}
