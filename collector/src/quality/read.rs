//! Reading: figures of links over a window, whole and by step.

use std::collections::BTreeMap;

use wan_wire::{LinkName, SiteId, UnixMillis};

use super::codec::{decode_day, decode_hour};
use super::hour::{DAY_HOURS, HOUR_MS, Hour, HourTotal, MINUTE_MS, day_of};
use super::{RowKey, StreamId, Table};
use crate::ledger::timeline::Window;
use crate::store::{Store, StoreError};

/// How well a link carried packets over a window. Times are in seconds; what cannot be said is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// How many rounds it is of.
    pub rounds: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets answered.
    pub received: u64,
    /// The share that was not, 0 to 1 ([`super::bucket::Bucket::loss`]).
    pub loss: Option<f64>,
    /// The share that was not, of rounds that got any answer ([`super::bucket::Bucket::loss_while_up`]).
    pub loss_while_up: Option<f64>,
    /// The shortest round-trip time.
    pub rtt_min: Option<f64>,
    /// The mean round-trip time.
    pub rtt_mean: Option<f64>,
    /// The round-trip time that 95 % of the replies did not exceed, within 5 %.
    pub rtt_p95: Option<f64>,
    /// The longest round-trip time.
    pub rtt_max: Option<f64>,
    /// [`super::bucket::Bucket::jitter`].
    pub jitter: Option<f64>,
    /// An estimate of what a call would sound like, 1 to 4.5 ([`super::mos`]).
    pub mos: Option<f64>,
}

impl From<&HourTotal> for Quality {
    fn from(HourTotal { rounds, bucket }: &HourTotal) -> Self {
        Self {
            rounds: *rounds,
            sent: bucket.sent,
            received: bucket.received,
            loss: bucket.loss(),
            loss_while_up: bucket.loss_while_up(),
            rtt_min: bucket.rtt_min(),
            rtt_mean: bucket.rtt_mean(),
            rtt_p95: bucket.rtt_p95(),
            rtt_max: bucket.rtt_max(),
            jitter: bucket.jitter(),
            mos: bucket.mos(),
        }
    }
}

/// How finely a window is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Minutes; of the last 14 days.
    Minute,
    /// UTC hours, and at the window's ends the minutes of those that it cuts.
    Hour,
}

/// The figures of a link by the first instant of each minute or hour that has any.
pub type Steps = BTreeMap<UnixMillis, HourTotal>;

/// One link over a window; of a link without any round, figures of nothing.
///
/// # Errors
/// What the store says.
pub async fn of<S: Store>(
    store: &S,
    site: &SiteId,
    link: &LinkName,
    window: Window,
) -> Result<Quality, StoreError> {
    let links = steps(store, site, Some(link), window, Grain::Hour).await?;
    Ok(Quality::from(&links.values().next().map(whole).unwrap_or_default()))
}

/// Every link of a site that has figures in the window.
///
/// # Errors
/// What the store says.
pub async fn of_site<S: Store>(
    store: &S,
    site: &SiteId,
    window: Window,
) -> Result<BTreeMap<LinkName, Quality>, StoreError> {
    let links = steps(store, site, None, window, Grain::Hour).await?;
    Ok(links.into_iter().map(|(link, steps)| (link, Quality::from(&whole(&steps)))).collect())
}

/// All steps together.
#[must_use]
pub fn whole(steps: &Steps) -> HourTotal {
    let mut whole = HourTotal::default();
    for step in steps.values() {
        add(&mut whole, step);
    }
    whole
}

pub(crate) fn add(total: &mut HourTotal, other: &HourTotal) {
    total.rounds += other.rounds;
    total.bucket.merge(&other.bucket);
}

/// The figures by step of the site's links that have any in the window; with `only`, of that link alone.
///
/// A minute is in the window when it begins in it, and so is an hour that the window cuts and whose minutes are gone.
///
/// # Errors
/// What the store says.
pub async fn steps<S: Store>(
    store: &S,
    site: &SiteId,
    only: Option<&LinkName>,
    window: Window,
    grain: Grain,
) -> Result<BTreeMap<LinkName, Steps>, StoreError> {
    let mut links: BTreeMap<LinkName, [Vec<Steps>; 2]> = BTreeMap::new();
    for (id, stream) in store.quality_streams(Some(site)).await? {
        if only.is_some_and(|only| *only != stream.link) {
            continue;
        }
        let found = of_stream(store, id, window, grain).await?;
        if !found.is_empty() {
            let [own, others] = links.entry(stream.link).or_default();
            if stream.vantage == *site { own.push(found) } else { others.push(found) }
        }
    }
    let chosen = links.into_iter().map(|(link, [own, others])| {
        // The site's own word first.
        (link, together(if own.is_empty() { others } else { own }.into_iter().flatten()))
    });
    Ok(chosen.collect())
}

/// Several targets of a link as one: a target that answered nothing in a step in which another did is left out of it.
pub(super) fn together(streams: impl IntoIterator<Item = (UnixMillis, HourTotal)>) -> Steps {
    let mut steps: BTreeMap<UnixMillis, Vec<HourTotal>> = BTreeMap::new();
    for (at, step) in streams {
        steps.entry(at).or_default().push(step);
    }
    let one = |targets: Vec<HourTotal>| {
        let answered = targets.iter().any(|target| target.bucket.received > 0);
        let mut sum = HourTotal::default();
        for target in targets.iter().filter(|target| !answered || target.bucket.received > 0) {
            add(&mut sum, target);
        }
        sum
    };
    steps.into_iter().map(|(at, targets)| (at, one(targets))).collect()
}

async fn of_stream<S: Store>(
    store: &S,
    stream: StreamId,
    window: Window,
    grain: Grain,
) -> Result<Steps, StoreError> {
    let mut steps = Steps::new();
    if window.is_empty() {
        return Ok(steps);
    }
    let (first, last) = (window.start.0.div_euclid(HOUR_MS), (window.end.0 - 1).div_euclid(HOUR_MS));
    let is_cut = |hour: &i64| hour * HOUR_MS < window.start.0 || (hour + 1) * HOUR_MS > window.end.0;
    let by_minute: Vec<i64> = match grain {
        Grain::Minute => (first..=last).collect(),
        Grain::Hour => {
            let mut ends = vec![first, last];
            ends.dedup();
            ends.retain(is_cut);
            ends
        }
    };
    let keys: Vec<RowKey> = by_minute.into_iter().map(|number| RowKey { number, stream }).collect();
    let mut cut: BTreeMap<i64, Hour> = BTreeMap::new();
    for (key, bytes) in store.quality_rows(Table::Minutes, &keys).await? {
        // One that cannot be read is told of when it is written again.
        cut.insert(key.number, decode_hour(&bytes).unwrap_or_default());
    }
    for (hour, found) in &cut {
        let Hour::Full(minutes) = found else { continue };
        for (minute, figures) in minutes {
            let at = UnixMillis(hour * HOUR_MS + i64::from(*minute) * MINUTE_MS);
            if at < window.start || at >= window.end {
                continue;
            }
            let rounds = figures.seen.count_ones().into();
            let step = HourTotal { rounds, bucket: figures.bucket.clone() };
            let at = match grain {
                Grain::Minute => at,
                Grain::Hour => UnixMillis(hour * HOUR_MS),
            };
            add(steps.entry(at).or_default(), &step);
        }
    }
    if grain == Grain::Minute {
        return Ok(steps);
    }
    let days = day_of(first).0..=day_of(last).0;
    let keys: Vec<RowKey> = days.map(|number| RowKey { number, stream }).collect();
    for (key, bytes) in store.quality_rows(Table::Hours, &keys).await? {
        for (at, total) in decode_day(&bytes).unwrap_or_default().0 {
            let hour = key.number * DAY_HOURS + i64::from(at);
            let start = UnixMillis(hour * HOUR_MS);
            let whole = (first..=last).contains(&hour) && !is_cut(&hour);
            let begins = start >= window.start && start < window.end && !cut.contains_key(&hour);
            if whole || begins {
                steps.insert(start, total);
            }
        }
    }
    Ok(steps)
}
