//! `/metrics`: the derived state of now and the collector's own counters, in Prometheus' text exposition format 0.0.4.
//!
//! Names, types and help are [`wan_wire::Metric`]'s. What is unknown is absent, never 0: a link of which nothing is known
//! has no `wan_link_up`, a ratio of nothing has no sample. Of `wan_coverage_ratio` and `wan_coverage_equipped_ratio` there is
//! one series for each tier × branch, one for each tier with branch `all`, and one for the province with both `all`;
//! `wan_coverage_sites` has only the first, so that it can be summed. What has a `window` is over the time that ends now, or some seconds
//! ago: see [`crate::rolling`].
//!
//! Cardinality: [`Metric::bound`] says it of each family. Per site some 25 series, per link 5 + 3 × 4 and one for each cause and window of
//! its downtime (mostly none to four), per link under a contract 9.

use std::fmt::Write as _;
use std::sync::Arc;

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder as _, TextEncoder};
use wan_wire::{Label, Metric, UnixMillis};

use crate::api::common::Rolling;
use crate::api::sites::{link_state, loss};
use crate::ledger::timeline::{State as LinkState, Window};
use crate::province::{Group, Link, Province, SiteNow};
use crate::report::contract::Promised;
use crate::report::coverage::{Coverage, Row};
use crate::rolling::{OfLink, OverWindow, RollingFigures};
use crate::state::{AgentFacts, State};

/// The content type of the text exposition format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The branch, or tier and branch, of figures over all of them.
const ALL: &str = "all";

/// What the lines of one link take together, about: a page of 10,000 sites is not copied as it grows.
const ROW_BYTES: usize = 2048;

/// Most shared systems that are exposed, in the order of their names: agents name their links themselves.
const MAX_SYSTEMS: usize = 50;

/// The exposition of `state` at `now`.
#[must_use]
pub fn exposition(state: &State, now: UnixMillis) -> String {
    let province = Province::of(state, now);
    let figures = state.rolling_figures().filter(|figures| figures.is_fresh(now));
    let figures = figures.unwrap_or_else(|| Arc::new(RollingFigures::of(&province)));
    let mut page = Page::default();
    sites(&province, &figures, &mut page);
    links(&province, &figures, &mut page);
    coverage(&province, &mut page);
    groups(&province, &mut page);
    collector(state, &province, &mut page);
    own_counters(state, &mut page.text);
    page.text
}

fn sites(province: &Province<'_>, figures: &RollingFigures, page: &mut Page) {
    let standings = province.standings();
    let registered: Vec<SiteNow<'_>> =
        province.sites().filter(|site| standings.contains_key(&site.site.id)).collect();
    page.family(Metric::SiteInfo);
    for SiteNow { site, registered, .. } in &registered {
        let labels = [
            (Label::Site, site.id.as_str()),
            (Label::SiteName, registered.name),
            (Label::Tier, registered.tier.as_str()),
            (Label::Branch, registered.branch.as_str()),
            (Label::Parent, registered.parent.map_or("", |parent| parent.as_str())),
            (Label::District, registered.district.unwrap_or_default()),
        ];
        page.sample(&labels, 1.0);
    }
    page.family(Metric::SiteVerdict);
    for (site, standing) in &standings {
        page.sample(&[(Label::Site, site.as_str()), (Label::Verdict, standing.verdict.as_str())], 1.0);
    }
    let mut each = |metric: Metric, value: &dyn Fn(&SiteNow<'_>) -> Option<f64>| {
        page.family(metric);
        for site in &registered {
            if let Some(value) = value(site) {
                page.sample(&[(Label::Site, site.site.id.as_str())], value);
            }
        }
    };
    each(Metric::SiteUp, &|site| match site.view().state_at(&province.basis(), province.now) {
        LinkState::Up | LinkState::Degraded => Some(1.0),
        LinkState::Down => Some(0.0),
        LinkState::Unknown(_) => None,
    });
    let instant = Window::new(province.now, province.now.plus_millis(1));
    each(Metric::SitePlanned, &|site| (!province.planned_of(site, None, instant).is_empty()).then_some(1.0));
    each(Metric::SiteLatitudeDegrees, &|site| site.site.location.map(|place| place.latitude));
    each(Metric::SiteLongitudeDegrees, &|site| site.site.location.map(|place| place.longitude));
    each(Metric::SiteLastSeenTimestampSeconds, &|site| site.last_push.map(seconds));
    let mut each = |metric: Metric, value: fn(&AgentFacts) -> Option<f64>| {
        each(metric, &|site| value(&site.facts).filter(|value| value.is_finite()));
    };
    each(Metric::SiteClockOffsetSeconds, |facts| facts.clock_offset);
    each(Metric::SiteClockOffsetBoundSeconds, |facts| facts.clock_offset_bound);
    each(Metric::SiteAgentBootTimestampSeconds, |facts| facts.boot_time);
    each(Metric::SiteAgentStartTimestampSeconds, |facts| facts.start_time);
    each(Metric::SiteQueueBytes, |facts| facts.queue_bytes);
    each(Metric::SiteDroppedSamplesTotal, |facts| facts.dropped_samples);
    page.family(Metric::SiteAgentInfo);
    for site in &registered {
        if let Some(version) = &site.facts.version {
            page.sample(&[(Label::Site, site.site.id.as_str()), (Label::Version, version)], 1.0);
        }
    }
    let windows = |site: &SiteNow<'_>| {
        let figures = figures.site(&site.site.id);
        Rolling::ALL.into_iter().map(Rolling::as_str).zip(figures.into_iter().flatten())
    };
    let mut each_window = |metric: Metric, value: fn(&OverWindow) -> Option<f64>| {
        page.family(metric);
        for site in &registered {
            for (window, figures) in windows(site) {
                if let Some(value) = value(figures) {
                    page.sample(&[(Label::Site, site.site.id.as_str()), (Label::Window, window)], value);
                }
            }
        }
    };
    each_window(Metric::SiteUptimeRatio, |figures| figures.uptime);
    each_window(Metric::SiteAvailabilityRatio, |figures| figures.availability);
    each_window(Metric::SiteObservedRatio, |figures| figures.observed_share);
    page.family(Metric::SiteDowntimeSeconds);
    for site in &registered {
        for (window, figures) in windows(site) {
            for (cause, millis) in &figures.downtime_ms {
                let site = (Label::Site, site.site.id.as_str());
                let labels = [site, (Label::Cause, cause.as_str()), (Label::Window, window)];
                page.sample(&labels, number(*millis) / 1000.0);
            }
        }
    }
    page.family(Metric::SitePathLastSeenTimestampSeconds);
    for site in &registered {
        for (path, at) in &site.facts.paths {
            page.sample(&[(Label::Site, site.site.id.as_str()), (Label::Path, path.as_str())], seconds(*at));
        }
    }
}

/// What is exposed of one link.
struct LinkRow<'p> {
    labels: [(Label, &'p str); 4],
    state: LinkState,
    planned: bool,
    loss: Option<f64>,
    rtt: Option<f64>,
    promised: Option<Promised<'p>>,
    figures: Option<&'p OfLink>,
}

impl<'p> LinkRow<'p> {
    fn windows(&self) -> impl Iterator<Item = (&'static str, &'p OverWindow)> + use<'p> {
        let windows = self.figures.map(|figures| &figures.windows);
        Rolling::ALL.into_iter().map(Rolling::as_str).zip(windows.into_iter().flatten())
    }
}

fn links(province: &Province<'_>, figures: &RollingFigures, page: &mut Page) {
    let registered: Vec<SiteNow<'_>> = province
        .sites()
        .filter(|site| site.site.registered_at(province.now, &province.config().timezone))
        .collect();
    let rows: Vec<LinkRow<'_>> = registered
        .iter()
        .flat_map(|site| {
            let links = site.seen_links().filter(|link| link.valid.holds(province.now));
            links.map(move |link| row(province, site, link, figures.link(&site.site.id, &link.name)))
        })
        .collect();
    page.text.reserve(rows.len() * ROW_BYTES);
    let mut each = |metric: Metric, value: &dyn Fn(&LinkRow<'_>) -> Option<f64>| {
        page.family(metric);
        for row in &rows {
            if let Some(value) = value(row) {
                page.sample(&row.labels, value);
            }
        }
    };
    each(Metric::LinkUp, &|row| match row.state {
        LinkState::Up | LinkState::Degraded => Some(1.0),
        LinkState::Down => Some(0.0),
        LinkState::Unknown(_) => None,
    });
    each(Metric::LinkDegraded, &|row| match row.state {
        LinkState::Degraded => Some(1.0),
        LinkState::Up | LinkState::Down => Some(0.0),
        LinkState::Unknown(_) => None,
    });
    each(Metric::LinkPlanned, &|row| row.planned.then_some(1.0));
    each(Metric::LinkLossRatio, &|row| row.loss);
    each(Metric::LinkRttMedianSeconds, &|row| row.rtt);
    let mut each_window = |metric: Metric, value: fn(&OverWindow) -> Option<f64>| {
        page.family(metric);
        for row in &rows {
            for (window, figures) in row.windows() {
                if let Some(value) = value(figures) {
                    let [site, link, kind, carrier] = row.labels;
                    page.sample(&[site, link, kind, carrier, (Label::Window, window)], value);
                }
            }
        }
    };
    each_window(Metric::LinkUptimeRatio, |figures| figures.uptime);
    each_window(Metric::LinkAvailabilityRatio, |figures| figures.availability);
    each_window(Metric::LinkObservedRatio, |figures| figures.observed_share);
    page.family(Metric::LinkDowntimeSeconds);
    for row in &rows {
        let [site, link, kind, carrier] = row.labels;
        for (window, figures) in row.windows() {
            for (cause, millis) in &figures.downtime_ms {
                let labels =
                    [site, link, kind, carrier, (Label::Cause, cause.as_str()), (Label::Window, window)];
                page.sample(&labels, number(*millis) / 1000.0);
            }
        }
    }
    contracts(&rows, page);
}

/// The accounts of this month's contracts.
fn contracts(rows: &[LinkRow<'_>], page: &mut Page) {
    let accounts: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let (promised, account) = (row.promised?, row.figures?.account?);
            let [site, link, kind, _] = row.labels;
            let carrier = (Label::Carrier, promised.carrier.unwrap_or_default());
            Some(([site, link, kind, carrier, (Label::Contract, promised.contract)], promised, account))
        })
        .collect();
    page.family(Metric::ContractUptimeRatio);
    for (labels, _, account) in &accounts {
        if let Some(uptime) = account.uptime() {
            page.sample(labels, uptime);
        }
    }
    page.family(Metric::ContractUptimeBoundRatio);
    for ([site, link, kind, carrier, contract], _, account) in &accounts {
        for (bound, value) in [("low", account.low()), ("high", account.high())] {
            if let Some(value) = value {
                page.sample(&[*site, *link, *kind, *carrier, *contract, (Label::Bound, bound)], value);
            }
        }
    }
    page.family(Metric::ContractTargetRatio);
    for (labels, promised, _) in &accounts {
        if let Some(target) = promised.uptime {
            page.sample(labels, target);
        }
    }
    page.family(Metric::ContractTimeSeconds);
    for ([site, link, kind, carrier, contract], _, account) in &accounts {
        let parts = [
            ("kept", account.kept_ms()),
            ("charged", account.charged_ms),
            ("excused", account.excused_ms),
            ("undecided", account.undecided_ms),
        ];
        for (state, millis) in parts {
            let labels = [*site, *link, *kind, *carrier, *contract, (Label::State, state)];
            page.sample(&labels, number(millis) / 1000.0);
        }
    }
    page.family(Metric::ContractStanding);
    for ([site, link, kind, carrier, contract], promised, account) in &accounts {
        if let Some(standing) = account.standing(promised.uptime) {
            let standing = (Label::Standing, standing.as_str());
            page.sample(&[*site, *link, *kind, *carrier, *contract, standing], 1.0);
        }
    }
}

fn row<'p>(
    province: &'p Province<'_>,
    site: &'p SiteNow<'_>,
    link: &'p Link,
    figures: Option<&'p OfLink>,
) -> LinkRow<'p> {
    let carrier = site.site.link(&link.name).and_then(|entry| entry.carrier.as_deref());
    let state = link_state(province, site, link);
    // The newest round of a link that has since fallen silent is no longer the latest.
    let instant = Window::new(province.now, province.now.plus_millis(1));
    let known = !matches!(state, LinkState::Unknown(_));
    let latest = link.own.as_ref().and_then(|(_, latest)| latest.as_ref()).filter(|_| known);
    LinkRow {
        labels: [
            (Label::Site, site.site.id.as_str()),
            (Label::Link, link.name.as_str()),
            (Label::Kind, link.name.kind().as_str()),
            (Label::Carrier, carrier.unwrap_or_default()),
        ],
        state,
        planned: !province.planned_of(site, Some(&link.name), instant).is_empty(),
        loss: latest.and_then(loss),
        rtt: latest.and_then(|latest| latest.rtt_median),
        promised: Promised::of(province.config(), site.site, &link.name),
        figures,
    }
}

fn coverage(province: &Province<'_>, page: &mut Page) {
    let coverage = province.coverage_at(province.now);
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
fn bounds(page: &mut Page, labels: &[(Label, &str)], row: &Row) {
    for (bound, value) in [("low", row.low), ("high", row.high)] {
        if let Some(value) = value {
            let labels: Vec<_> = labels.iter().copied().chain([(Label::Bound, bound)]).collect();
            page.sample(&labels, value);
        }
    }
}

/// Coverage by district and by carrier, and the reach of each shared system.
fn groups(province: &Province<'_>, page: &mut Page) {
    let sites: Vec<SiteNow<'_>> = province.sites().collect();
    let (now, basis) = (province.now, province.basis());
    let kinds = [
        (Metric::CoverageDistrictRatio, Group::District, Label::District),
        (Metric::CoverageCarrierRatio, Group::Carrier, Label::Carrier),
    ];
    for (metric, group, label) in kinds {
        let coverage = Coverage::at(&province.grouped(&sites, group, |_| true), &[], &basis, now);
        page.family(metric);
        for row in coverage.tiers.iter().filter(|row| row.tier.as_deref() != Some("")) {
            bounds(page, &[(label, row.tier.as_deref().unwrap_or_default())], row);
        }
    }
    page.family(Metric::ReachRatio);
    for system in province.systems(&sites, Window::instant(now)).iter().take(MAX_SYSTEMS) {
        let reach = Coverage::at(&province.reaching(&sites, system), &[], &province.reach_basis(), now);
        for row in reach.tiers.iter().chain([&reach.total]) {
            let tier = row.tier.as_deref().unwrap_or(ALL);
            bounds(page, &[(Label::Link, system.as_str()), (Label::Tier, tier)], row);
        }
    }
}

fn collector(state: &State, province: &Province<'_>, page: &mut Page) {
    if let Some(open) = state.open_incidents() {
        page.family(Metric::IncidentsOpen);
        for (kind, count) in &open.counts {
            page.sample(&[(Label::Kind, kind.as_str())], number(i64::try_from(*count).unwrap_or(i64::MAX)));
        }
        page.family(Metric::IncidentStartTimestampSeconds);
        let zone = &province.config().timezone;
        for (subject, word) in &open.each {
            let site = province.register().get(&subject.site);
            if site.is_some_and(|site| site.registered_at(province.now, zone)) {
                let labels = [
                    (Label::Site, subject.site.as_str()),
                    (Label::Link, subject.link.as_ref().map_or("", |link| link.as_str())),
                    (Label::Kind, word.kind.as_str()),
                    (Label::Cause, word.cause().as_str()),
                ];
                page.sample(&labels, seconds(word.start));
            }
        }
    }
    page.family(Metric::CollectorBuildInfo);
    page.sample(&[(Label::Version, env!("CARGO_PKG_VERSION"))], 1.0);
    if let Some(started) = state.started() {
        page.family(Metric::CollectorStartTimeSeconds);
        page.sample(&[], seconds(started));
    }
    let zone = &province.config().timezone;
    let registered =
        province.register().sites().filter(|site| site.registered_at(province.now, zone)).count();
    page.family(Metric::CollectorSites);
    page.sample(&[], number(i64::try_from(registered).unwrap_or(i64::MAX)));
    let directory = state.directory();
    let of_site = |runtime: &crate::state::SiteRuntime| -> usize {
        runtime.evidence().tracks().iter().map(|track| track.spans.len()).sum()
    };
    let spans: usize = directory.runtimes.values().map(|runtime| of_site(runtime)).sum();
    page.family(Metric::CollectorEvidenceSpans);
    page.sample(&[], number(i64::try_from(spans).unwrap_or(i64::MAX)));
    let series: usize = directory.runtimes.values().map(|runtime| runtime.known_series()).sum();
    page.family(Metric::CollectorSeries);
    page.sample(&[], number(i64::try_from(series).unwrap_or(i64::MAX)));
}

/// The counters of [`crate::counters`], and what the operating system says of this process.
fn own_counters(state: &State, text: &mut String) {
    let mut families = state.counters.registry.gather();
    families.extend(ProcessCollector::for_self().collect());
    let mut bytes = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&families, &mut bytes) {
        tracing::warn!(%error, "the collector's own counters could not be written");
    }
    text.push_str(&String::from_utf8_lossy(&bytes));
}

/// Writes families one after the other.
#[derive(Debug, Default)]
struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    /// Begins a family; the samples that follow are of it.
    fn family(&mut self, metric: Metric) {
        self.name = metric.as_str();
        let (help, kind) = (metric.help(), metric.metric_type().as_str());
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {0} {help}\n# TYPE {0} {kind}", self.name);
    }

    /// A label with an empty value is a label that is not there, as Prometheus has it.
    fn sample(&mut self, labels: &[(Label, &str)], value: f64) {
        self.text.push_str(self.name);
        let mut before = '{';
        for (label, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            self.text.push(before);
            self.text.push_str(label.as_str());
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escape(value: &str, text: &mut String) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of these centuries are below 2⁵³")]
fn seconds(at: UnixMillis) -> f64 {
    at.0 as f64 / 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "counts are below 2⁵³")]
fn number(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wan_wire::Source;

    use super::*;
    use crate::api::tests::{NOW, get, province, served};

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|have| have == line), "no line {line} in\n{text}");
    }

    #[test]
    fn the_state_of_now_is_exposed() {
        let text = exposition(&province(), NOW);
        for line in [
            "wan_site_clock_offset_seconds{site=\"trung-tam\"} -400.5",
            "wan_site_clock_offset_bound_seconds{site=\"trung-tam\"} 0.012",
            "wan_site_info{site=\"ubnd-loc-hung\",name=\"Ủy ban nhân dân xã Lộc Hưng\",tier=\"commune\",branch=\"state\",parent=\"trung-tam\",district=\"Trảng Bàng\"} 1",
            "wan_site_info{site=\"trung-tam\",name=\"Trung tâm dữ liệu\",tier=\"province\",branch=\"state\"} 1",
            "wan_site_verdict{site=\"ubnd-loc-hung\",verdict=\"wan_down\"} 1",
            "wan_link_up{site=\"ubnd-loc-hung\",link=\"wan-vnpt\",kind=\"wan\"} 0",
            "wan_link_up{site=\"ubnd-loc-hung\",link=\"lan\",kind=\"lan\"} 1",
            "wan_link_loss_ratio{site=\"ubnd-loc-hung\",link=\"wan-vnpt\",kind=\"wan\"} 1",
            "wan_link_rtt_median_seconds{site=\"trung-tam\",link=\"lan\",kind=\"lan\"} 0.012",
            "wan_coverage_ratio{tier=\"all\",branch=\"all\",bound=\"low\"} 0.4",
            "wan_coverage_ratio{tier=\"all\",branch=\"all\",bound=\"high\"} 0.6",
            "wan_coverage_ratio{tier=\"commune\",branch=\"state\",bound=\"high\"} 0.5",
            "wan_coverage_target_ratio{tier=\"commune\"} 0.5",
            "wan_coverage_sites{tier=\"commune\",branch=\"state\",state=\"unknown\"} 1",
            "wan_coverage_district_ratio{district=\"Trảng Bàng\",bound=\"low\"} 0",
            "wan_coverage_district_ratio{district=\"Trảng Bàng\",bound=\"high\"} 0.3333333333333333",
            "wan_collector_sites 5",
        ] {
            has(&text, line);
        }
    }

    #[test]
    fn what_is_unknown_is_absent() {
        let text = exposition(&province(), NOW);
        for start in [
            "wan_link_up{site=\"ubnd-don-thuan\"",
            "wan_link_loss_ratio{site=\"ubnd-don-thuan\"",
            "wan_link_rtt_median_seconds{site=\"ubnd-loc-hung\",link=\"wan-vnpt\"",
            "wan_link_up{site=\"du-hung-thuan\"",
        ] {
            assert!(!text.lines().any(|line| line.starts_with(start)), "{start}");
        }
        let observed = text.lines().find(|line| {
            line.starts_with("wan_link_observed_ratio{site=\"ubnd-don-thuan\"") && line.contains("24h")
        });
        assert!(observed.unwrap().ends_with(" 0.9583333333333334"), "23 of 24 hours: {observed:?}");
    }

    #[test]
    fn a_name_cannot_break_a_line() {
        let text = exposition(&province(), NOW);
        has(
            &text,
            "wan_site_info{site=\"hostile\",name=\"<script>alert(\\\"1\\\")</script>'&\\\\\",tier=\"district\",branch=\"mass\",parent=\"trung-tam\"} 1",
        );
        let mut escaped = String::new();
        escape("a\nb", &mut escaped);
        assert_eq!(escaped, "a\\nb");
    }

    #[test]
    fn every_family_is_there_once_and_its_name_is_in_the_table() {
        let text = exposition(&province(), NOW);
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("# TYPE ") else { continue };
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(seen.insert(name), "{name} twice");
            if let Some(metric) = Metric::from_bytes(name.as_bytes()) {
                assert_eq!((metric.source(), metric.metric_type().as_str()), (Source::Collector, kind));
            } else {
                assert!(name.starts_with("process_"), "{name} is not in the table");
            }
        }
    }

    #[test]
    fn it_is_served_as_prometheus_wants_it() {
        let (router, _folder) = served(&province());
        let (status, headers, body) = get(&router, "/metrics");
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, CONTENT_TYPE));
        has(&body, "wan_collector_connections 0");
    }
}
