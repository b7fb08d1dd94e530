//! Coverage by tier and branch, district and carrier, and the reach of shared systems.

use wan_wire::{Label, Metric};

use super::number;
use super::page::Page;
use crate::ledger::timeline::Window;
use crate::province::{AtPresent, Group, Province, SiteNow};
use crate::report::coverage::{Coverage, Present, Row};

/// The branch, or tier and branch, of figures over all of them.
const ALL: &str = "all";

/// Most shared systems that are exposed, in the order of their names: agents name their links themselves.
const MAX_SYSTEMS: usize = 50;

/// By tier and branch.
pub(super) fn coverage(province: &Province<'_>, present: &[AtPresent<'_, '_>], page: &mut Page<'_>) {
    let counted: Vec<Present<'_>> = present.iter().map(|(_, counted)| *counted).collect();
    let coverage = Coverage::of(&counted, &province.targets_at(province.now), province.now);
    let rows = || coverage.cells.iter().chain(&coverage.tiers).chain([&coverage.total]);
    let group = |row: &Row| {
        let name = |part: &Option<String>| part.clone().unwrap_or_else(|| ALL.to_owned());
        (name(&row.tier), name(&row.branch))
    };
    page.family(Metric::CoverageRatio);
    for row in rows() {
        let (tier, branch) = group(row);
        for (bound, value) in [("low", row.low), ("high", row.high)] {
            if let Some(value) = value {
                page.sample(&[(Label::Tier, &tier), (Label::Branch, &branch), (Label::Bound, bound)], value);
            }
        }
    }
    page.family(Metric::CoverageEquippedRatio);
    for row in rows() {
        let (tier, branch) = group(row);
        if let Some(value) = row.equipped_share {
            page.sample(&[(Label::Tier, &tier), (Label::Branch, &branch)], value);
        }
    }
    page.family(Metric::CoverageTargetRatio);
    for row in &coverage.tiers {
        if let (Some(tier), Some(target)) = (&row.tier, row.target) {
            page.sample(&[(Label::Tier, tier)], target);
        }
    }
    page.family(Metric::CoverageSites);
    for row in &coverage.cells {
        let (tier, branch) = group(row);
        let counts = row.counts;
        let states =
            [("covered", counts.covered), ("not_covered", counts.not_covered), ("unknown", counts.unknown)];
        for (state, count) in states {
            let labels = [(Label::Tier, tier.as_str()), (Label::Branch, &branch), (Label::State, state)];
            page.sample(&labels, number(count));
        }
    }
}

/// One series for each bound of a ratio that is defined.
fn bounds(page: &mut Page<'_>, labels: &[(Label, &str)], row: &Row) {
    for (bound, value) in [("low", row.low), ("high", row.high)] {
        if let Some(value) = value {
            let labels: Vec<_> = labels.iter().copied().chain([(Label::Bound, bound)]).collect();
            page.sample(&labels, value);
        }
    }
}

/// Coverage by district and by carrier, and the reach of each shared system, for which all sites of the register are asked.
pub(super) fn groups(
    province: &Province<'_>,
    sites: &[SiteNow<'_>],
    present: &[AtPresent<'_, '_>],
    page: &mut Page<'_>,
) {
    let now = province.now;
    let kinds = [
        (Metric::CoverageDistrictRatio, Group::District, Label::District),
        (Metric::CoverageCarrierRatio, Group::Carrier, Label::Carrier),
    ];
    for (metric, group, label) in kinds {
        let coverage = Coverage::of(&province.present_by(present, group), &[], now);
        page.family(metric);
        for row in coverage.tiers.iter().filter(|row| row.tier.as_deref() != Some("")) {
            bounds(page, &[(label, row.tier.as_deref().unwrap_or_default())], row);
        }
    }
    page.family(Metric::ReachRatio);
    for system in province.systems(sites, Window::instant(now)).iter().take(MAX_SYSTEMS) {
        let reach = Coverage::of(&province.present_reaching(present, system), &[], now);
        for row in reach.tiers.iter().chain([&reach.total]) {
            let tier = row.tier.as_deref().unwrap_or(ALL);
            bounds(page, &[(Label::Link, system.as_str()), (Label::Tier, tier)], row);
        }
    }
}
