//! Lives: when a site's host booted, and when the agent on it started, by the agent's own word.
//!
//! They are evidence like rounds: a gap with a boot in it was a power cut, one with only a start of the agent in it was the
//! agent's, and a start that nothing tells of any more cannot be charged to anybody. So they are stored, and as with rounds
//! neither order nor repetition of what arrived matters.
//!
//! # The algebra
//!
//! An agent tells, with each push or so, the id of its host's boot, when that boot was, and when the agent itself started: one
//! [`Life`]. Times of day move while a clock is put right, but **start − boot of one word does not**: both are read off the same
//! clock at the same moment. So a life is known by its boot and by how many whole seconds after it the agent started
//! ([`LifeKey`]), and carries what may be said anew: when it was told, and when the boot was by that word ([`LastWord`]).
//!
//! [`Lives`] keeps of each key the **greatest** `LastWord`, which is the newest word, of equally new ones the later boot; and of all
//! keys the [`MOST`] whose words are greatest. Both are maxima, so merging is commutative, associative and idempotent, the bound
//! included: a key that was dropped lost to `MOST` others whose words only grow, and comes back only with a word that would have
//! replaced the former one anyway.
//!
//! What is shown is derived on reading: a boot's time is its newest word's, for all of its starts; starts within
//! [`SAME_START`] seconds of the one before are one start, told by agents that round differently.
//!
//! # A boot without an id
//!
//! Where an agent tells no boot id (some containers have none), the boot is known by the minute that it happened in, by that word.
//! Such boots within [`SAME_UNNAMED`] of the one before are one. A clock that is put right by more than that makes two of one boot;
//! that is the price of having no id.

use std::fmt;
use std::str::FromStr;

use wan_wire::UnixMillis;
use xxhash_rust::xxh3::xxh3_128;

/// So many lives of a site are kept: almost three years of a host that is switched off every evening. 40 bytes each.
pub const MOST: usize = 1024;
/// Starts of one boot that lie no further apart are one. Kernels tell the boot in whole seconds, agents in milliseconds, and
/// each may be rounded by one.
pub const SAME_START: u32 = 2;
/// Boots without an id that lie no further apart are one: what is rounded to a minute may be rounded either way.
pub const SAME_UNNAMED: i64 = 120_000;
/// No host that an agent runs on has been up longer; a boot before that is a clock that was never set.
const LONGEST_UPTIME_MS: i64 = 10 * 366 * 86_400_000;
/// How far a boot or a start may seem to lie after the word that tells of it: rounding.
const ROUNDING_MS: i64 = 2_000;
const MINUTE_MS: i64 = 60_000;
/// In [`Packed`]: the word told no start.
const NO_START: u32 = u32::MAX;

/// What a boot is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootKey {
    /// No id was told: the minute since 1970 in which the host booted.
    Minute(i64),
    /// The boot id that the kernel gave (a UUID), or the hash of one that is written otherwise.
    Id(u128),
}

impl BootKey {
    /// The key of a boot id as an agent tells it; `None` when it tells nothing.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        let id = id.trim();
        if id.is_empty() {
            return None;
        }
        Some(Self::Id(uuid(id).unwrap_or_else(|| xxh3_128(id.as_bytes()))))
    }
}

/// A UUID with or without dashes.
fn uuid(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let is_uuid = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_uuid.then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

/// As it is stored and shown: a UUID, or `@` and the minute.
impl fmt::Display for BootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minute(minute) => write!(f, "@{minute}"),
            Self::Id(id) => {
                let text = format!("{id:032x}");
                let (a, rest) = text.split_at(8);
                let (b, rest) = rest.split_at(4);
                let (c, rest) = rest.split_at(4);
                let (d, e) = rest.split_at(4);
                write!(f, "{a}-{b}-{c}-{d}-{e}")
            }
        }
    }
}

/// The text is not a [`BootKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a UUID, or @ and a number of minutes")]
pub struct BadBootKey;

impl FromStr for BootKey {
    type Err = BadBootKey;

    fn from_str(text: &str) -> Result<Self, BadBootKey> {
        match text.strip_prefix('@') {
            Some(minute) => minute.parse().map(Self::Minute).map_err(|_| BadBootKey),
            None => uuid(text).map(Self::Id).ok_or(BadBootKey),
        }
    }
}

/// What a life is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LifeKey {
    /// The host's boot.
    pub boot: BootKey,
    /// Whole seconds from the boot to the agent's start; `None` when the agent told of none that can be.
    pub start: Option<u32>,
}

/// The newest word of a life. Ordered by newness, then by what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LastWord {
    /// When it was told: the sample's time.
    pub at: UnixMillis,
    /// When the host booted, by this word.
    pub boot: UnixMillis,
}

/// One word of an agent about itself: this boot, this start, told then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Which.
    pub key: LifeKey,
    /// By which word.
    pub told: LastWord,
}

impl Life {
    /// Reads what an agent told at `at`: its boot id, when its host booted and when it started, both in Unix seconds.
    ///
    /// `None` when there is no boot time that can be: none told, not a number, after the word that tells it, or more than ten
    /// years before it, as a clock says that was never set. A start that cannot be (before the boot, or after the word) is left
    /// out, and the boot stays.
    #[must_use]
    pub fn of(
        at: UnixMillis,
        boot_id: Option<&str>,
        boot_time: Option<f64>,
        start_time: Option<f64>,
    ) -> Option<Self> {
        let boot = boot_time.and_then(millis)?;
        let up = at.millis_since(boot);
        if !(-ROUNDING_MS..=LONGEST_UPTIME_MS).contains(&up) {
            return None;
        }
        let key = boot_id.and_then(BootKey::named);
        let key = key.unwrap_or(BootKey::Minute(boot.0.saturating_add(MINUTE_MS / 2).div_euclid(MINUTE_MS)));
        let since_boot = start_time.and_then(millis).map(|start| start.millis_since(boot));
        let start = since_boot
            .filter(|since| (-ROUNDING_MS..=up.saturating_add(ROUNDING_MS)).contains(since))
            .and_then(|since| u32::try_from(since.max(0) / 1000).ok());
        Some(Self { key: LifeKey { boot: key, start }, told: LastWord { at, boot } })
    }

    /// What decides which lives are kept: all of it, so that the order is total.
    fn rank(&self) -> (LastWord, LifeKey) {
        (self.told, self.key)
    }
}

/// Unix seconds as milliseconds; `None` for what is no time after 1970 and before 10000.
#[allow(clippy::cast_possible_truncation, reason = "bounded before")]
fn millis(seconds: f64) -> Option<UnixMillis> {
    const LATEST: f64 = 253_402_300_799.0;
    (seconds.is_finite() && (0.0..=LATEST).contains(&seconds))
        .then(|| UnixMillis((seconds * 1000.0).round() as i64))
}

/// A life in 40 bytes: of 10,000 sites there may be a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    boot: [u8; 16],
    named: bool,
    start: u32,
    told: LastWord,
}

impl Packed {
    fn of(life: Life) -> Self {
        let (named, boot) = match life.key.boot {
            BootKey::Minute(minute) => (false, i128::from(minute).to_be_bytes()),
            BootKey::Id(id) => (true, id.to_be_bytes()),
        };
        Self { boot, named, start: life.key.start.unwrap_or(NO_START), told: life.told }
    }

    fn life(&self) -> Life {
        let boot = if self.named {
            BootKey::Id(u128::from_be_bytes(self.boot))
        } else {
            // It was made from one.
            BootKey::Minute(i64::try_from(i128::from_be_bytes(self.boot)).unwrap_or(i64::MAX))
        };
        let start = Some(self.start).filter(|start| *start != NO_START);
        Life { key: LifeKey { boot, start }, told: self.told }
    }

    fn key(&self) -> LifeKey {
        self.life().key
    }
}

/// One boot of a host, as derived from what was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// What it is known by.
    pub key: BootKey,
    /// When it was, by the newest word.
    pub at: UnixMillis,
    /// When the agent started in it, in order; each to the second, rounded down.
    pub starts: Vec<UnixMillis>,
}

/// What is known of the boots of a site's host and the starts of its agent. See the module's page for the algebra.
///
/// Equal knowledge is equal as a value, in whatever order it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lives {
    /// By key, each once.
    lives: Vec<Packed>,
}

impl Lives {
    /// Nothing known.
    #[must_use]
    pub const fn new() -> Self {
        Self { lives: Vec::new() }
    }

    /// Takes words in, and gives the keys of which something else is known now than before, those among them that were dropped
    /// to make room.
    pub fn merge(&mut self, words: impl IntoIterator<Item = Life>) -> Vec<LifeKey> {
        let mut changed = Vec::new();
        let mut unknown = Vec::new();
        for word in words {
            match self.lives.binary_search_by_key(&word.key, Packed::key) {
                Ok(found) => {
                    let known = &mut self.lives[found];
                    if known.told < word.told {
                        known.told = word.told;
                        changed.push(word.key);
                    }
                }
                Err(_) => unknown.push(word),
            }
        }
        if !unknown.is_empty() {
            self.insert(unknown, &mut changed);
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Takes in lives of which none is known yet; they may tell of one another.
    fn insert(&mut self, mut unknown: Vec<Life>, changed: &mut Vec<LifeKey>) {
        unknown.sort_unstable_by_key(|life| (life.key, std::cmp::Reverse(life.told)));
        unknown.dedup_by_key(|life| life.key);
        let room = MOST.saturating_sub(self.lives.len());
        if unknown.len() > room {
            let mut all: Vec<(LastWord, LifeKey)> =
                self.iter().chain(unknown.iter().copied()).map(|life| life.rank()).collect();
            let surplus = all.len() - MOST;
            let (_, least_kept, _) = all.select_nth_unstable(surplus);
            let least_kept = *least_kept;
            self.lives.retain(|packed| {
                let life = packed.life();
                let stays = life.rank() >= least_kept;
                if !stays {
                    changed.push(life.key);
                }
                stays
            });
            unknown.retain(|life| life.rank() >= least_kept);
        }
        changed.extend(unknown.iter().map(|life| life.key));
        self.lives.extend(unknown.into_iter().map(Packed::of));
        // Two sorted runs.
        self.lives.sort_by_key(Packed::key);
    }

    /// What is known of one life.
    #[must_use]
    pub fn get(&self, key: LifeKey) -> Option<LastWord> {
        let found = self.lives.binary_search_by_key(&key, Packed::key).ok()?;
        self.lives.get(found).map(|packed| packed.told)
    }

    /// Every life, by key.
    pub fn iter(&self) -> impl Iterator<Item = Life> + '_ {
        self.lives.iter().map(Packed::life)
    }

    /// How many lives are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lives.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lives.is_empty()
    }

    /// Every boot with the agent's starts in it, in order of time; of equal times in that of their keys.
    #[must_use]
    pub fn all(&self) -> Vec<Boot> {
        let mut boots: Vec<Boot> = Vec::new();
        for of_boot in self.lives.chunk_by(|a, b| (a.named, a.boot) == (b.named, b.boot)) {
            let Some(newest) = of_boot.iter().map(|packed| packed.told).max() else { continue };
            let mut starts = Vec::new();
            let mut before: Option<u32> = None;
            // None sorts first among keys, and has no start.
            for start in of_boot.iter().filter_map(|packed| packed.key().start) {
                if before.is_none_or(|before| start.abs_diff(before) > SAME_START) {
                    starts.push(newest.boot.plus_millis(i64::from(start) * 1000));
                }
                before = Some(start);
            }
            if let Some(first) = of_boot.first() {
                boots.push(Boot { key: first.key().boot, at: newest.boot, starts });
            }
        }
        boots.sort_unstable_by_key(|boot| (boot.at, boot.key));
        merge_unnamed(boots)
    }

    /// When the host booted, in order.
    #[must_use]
    pub fn boots(&self) -> Vec<UnixMillis> {
        self.all().into_iter().map(|boot| boot.at).collect()
    }

    /// When the agent started, in order; each to the second, rounded down.
    #[must_use]
    pub fn starts(&self) -> Vec<UnixMillis> {
        let mut starts: Vec<UnixMillis> = self.all().into_iter().flat_map(|boot| boot.starts).collect();
        starts.sort_unstable();
        starts
    }
}

/// Makes one of boots without an id that are too near to each other to be two; the first one's time stands.
fn merge_unnamed(boots: Vec<Boot>) -> Vec<Boot> {
    let mut merged: Vec<Boot> = Vec::with_capacity(boots.len());
    let mut last_unnamed: Option<(usize, UnixMillis)> = None;
    for boot in boots {
        match (boot.key, last_unnamed) {
            (BootKey::Minute(_), Some((index, at))) if boot.at.millis_since(at) <= SAME_UNNAMED => {
                last_unnamed = Some((index, boot.at));
                let into = &mut merged[index];
                into.starts.extend(boot.starts);
                into.starts.sort_unstable();
                into.starts
                    .dedup_by(|later, earlier| later.millis_since(*earlier) <= i64::from(SAME_START) * 1000);
            }
            (BootKey::Minute(_), Some(_) | None) => {
                last_unnamed = Some((merged.len(), boot.at));
                merged.push(boot);
            }
            (BootKey::Id(_), Some(_) | None) => merged.push(boot),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
