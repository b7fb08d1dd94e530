//! Who goes bad by one rule, by what they have in common and in order of time: made once for a tick, so that ten thousand sites that fail
//! together cost no more than to sort them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wan_wire::{SiteId, UnixMillis};

use super::super::notice::{Common, Rule};
use super::{Bad, Key, Many, Seen, Sight};

/// What goes bad by one rule.
#[derive(Debug)]
pub(super) struct Crowd<'s> {
    by: BTreeMap<&'s Common, Vec<One<'s>>>,
}

/// One that goes bad.
#[derive(Debug, Clone, Copy)]
struct One<'s> {
    since: UnixMillis,
    site: &'s SiteId,
    /// `None`: there is only the first sign of it.
    key: Option<&'s Key>,
}

/// Enough of them, with something in common.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    /// What they have in common.
    pub(super) common: Common,
    /// The sites.
    pub(super) members: BTreeSet<SiteId>,
    /// When the first of them went bad for certain.
    pub(super) first: Option<UnixMillis>,
    /// The share of those that have it in common.
    share: f64,
}

impl<'s> Crowd<'s> {
    /// All that is bad by `rule` and not held up, and for sites the suspects.
    pub(super) fn of(sight: &'s Sight, rule: Rule, now: UnixMillis) -> Self {
        let mut by: BTreeMap<&Common, Vec<One<'_>>> = BTreeMap::new();
        let mut add = |commons: &'s [Common], one: One<'s>| {
            for common in commons {
                by.entry(common).or_default().push(one);
            }
        };
        for (key, seen) in sight.seen.iter().filter(|(key, _)| key.rule == rule) {
            match (seen, key.subject.site()) {
                (Seen::Bad(Bad { since, held: None, commons }), Some(site)) => {
                    add(commons, One { since: since.unwrap_or(now), site, key: Some(key) });
                }
                (Seen::Bad(_) | Seen::Unsure, _) => {}
            }
        }
        if rule == Rule::SiteOffline {
            for (site, suspect) in &sight.suspects {
                add(&suspect.commons, One { since: suspect.since, site, key: None });
            }
        }
        for ones in by.values_mut() {
            ones.sort_by_key(|one| one.since);
        }
        Self { by }
    }

    /// What is bad for certain and has this in common.
    pub(super) fn keys(&self, common: &Common) -> impl Iterator<Item = &'s Key> {
        self.all(common).iter().filter_map(|one| one.key)
    }

    /// Those that went bad about when one did and have something in common with it, if they are enough; of two things in common that are as
    /// true, the one with more sites, which says more.
    pub(super) fn around(
        &self,
        commons: &[Common],
        since: UnixMillis,
        many: &Many,
        totals: &BTreeMap<Common, u32>,
    ) -> Option<Found> {
        let mut best: Option<Found> = None;
        for common in commons {
            let near = self.near(common, since, many.within);
            let total = f64::from(totals.get(common).copied().unwrap_or_default().max(1));
            let share = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / total;
            let enough = |count: usize| {
                u32::try_from(count).unwrap_or(u32::MAX) >= many.at_least && share(count) >= many.share
            };
            // A site may be in there more than once, never less: so it is seldom that all have to be gathered for nothing.
            if !enough(near.len()) {
                continue;
            }
            let members: BTreeSet<SiteId> = near.iter().map(|one| one.site.clone()).collect();
            let share = share(members.len());
            let better = best.as_ref().is_none_or(|best| {
                share > best.share || (share >= best.share && members.len() > best.members.len())
            });
            if enough(members.len()) && better {
                let first = near.iter().filter(|one| one.key.is_some()).map(|one| one.since).min();
                best = Some(Found { common: common.clone(), members, first, share });
            }
        }
        best
    }

    fn all(&self, common: &Common) -> &[One<'s>] {
        self.by.get(common).map_or(&[], Vec::as_slice)
    }

    fn near(&self, common: &Common, since: UnixMillis, within: Duration) -> &[One<'s>] {
        let all = self.all(common);
        let from = all.partition_point(|one| one.since < since.minus(within));
        let to = all.partition_point(|one| one.since <= since.plus(within));
        all.get(from..to).unwrap_or_default()
    }
}
