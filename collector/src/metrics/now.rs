//! What is derived and written anew for each scrape: the state of now, and the collector's own counters.

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder as _, TextEncoder};
use wan_wire::{Label, Metric};

use super::page::{Labels, Page};
use super::{groups, number, seconds};
use crate::api::sites::loss;
use crate::ledger::timeline::{State as LinkState, Window};
use crate::ledger::told::{Subject, Word};
use crate::province::{AtPresent, Link, Province, SiteNow};
use crate::state::{AgentFacts, State};

pub(super) fn write(state: &State, province: &Province<'_>, page: &mut Page<'_>) {
    let all: Vec<SiteNow<'_>> = province.sites().collect();
    let present = province.present(&all);
    sites(province, &present, page);
    links(province, &present, page);
    if page.is_unwanted() {
        return;
    }
    groups::coverage(province, &present, page);
    groups::groups(province, &all, &present, page);
    incidents(state, &present, page);
    collector(state, present.len(), page);
    own_counters(state, page);
}

/// A link's labels: its site, its name, its kind and its carrier.
pub(super) fn link_labels(site: &SiteNow<'_>, link: &Link) -> Labels {
    let carrier = site.site.link(&link.name).and_then(|entry| entry.carrier.as_deref());
    Labels::of(&[
        (Label::Site, site.site.id.as_str()),
        (Label::Link, link.name.as_str()),
        (Label::Kind, link.name.kind().as_str()),
        (Label::Carrier, carrier.unwrap_or_default()),
    ])
}

/// 1 for what works, 0 for what does not; what is unknown is absent.
fn works(state: LinkState) -> Option<f64> {
    match state {
        LinkState::Up | LinkState::Degraded => Some(1.0),
        LinkState::Down => Some(0.0),
        LinkState::Unknown(_) => None,
    }
}

/// What is exposed of one site.
struct SiteRow<'p, 's> {
    labels: Labels,
    site: &'p SiteNow<'s>,
    state: LinkState,
}

fn sites(province: &Province<'_>, present: &[AtPresent<'_, '_>], page: &mut Page<'_>) {
    let rows = present.iter().map(|(site, counted)| SiteRow {
        labels: Labels::of(&[(Label::Site, site.site.id.as_str())]),
        site,
        state: counted.state,
    });
    let rows: Vec<SiteRow<'_, '_>> = rows.collect();
    page.family(Metric::SiteInfo);
    for SiteRow { labels, site, .. } in &rows {
        let registered = site.registered;
        let more = [
            (Label::SiteName, registered.name),
            (Label::Tier, registered.tier.as_str()),
            (Label::Branch, registered.branch.as_str()),
            (Label::Parent, registered.parent.map_or("", |parent| parent.as_str())),
            (Label::District, registered.district.unwrap_or_default()),
        ];
        page.row(&labels.and(&more), 1.0);
    }
    page.family(Metric::SiteVerdict);
    let standings = province.standings();
    for SiteRow { labels, site, .. } in &rows {
        if let Some(standing) = standings.get(&site.site.id) {
            page.row(&labels.and(&[(Label::Verdict, standing.verdict.as_str())]), 1.0);
        }
    }
    let mut each = |metric: Metric, value: &dyn Fn(&SiteRow<'_, '_>) -> Option<f64>| {
        page.family(metric);
        for row in &rows {
            if let Some(value) = value(row) {
                page.row(&row.labels, value);
            }
        }
    };
    each(Metric::SiteUp, &|row| works(row.state));
    let mut each =
        |metric: Metric, value: &dyn Fn(&SiteNow<'_>) -> Option<f64>| each(metric, &|row| value(row.site));
    let instant = Window::new(province.now, province.now.plus_millis(1));
    each(Metric::SitePlanned, &|site| (!province.planned_of(site, None, instant).is_empty()).then_some(1.0));
    each(Metric::SiteLatitudeDegrees, &|site| site.site.location.map(|place| place.latitude));
    each(Metric::SiteLongitudeDegrees, &|site| site.site.location.map(|place| place.longitude));
    each(Metric::SiteLastSeenTimestampSeconds, &|site| site.last_push.map(seconds));
    let mut each = |metric: Metric, value: fn(&AgentFacts) -> Option<f64>| {
        each(metric, &|site| value(site.facts).filter(|value| value.is_finite()));
    };
    each(Metric::SiteClockOffsetSeconds, |facts| facts.clock_offset);
    each(Metric::SiteClockOffsetBoundSeconds, |facts| facts.clock_offset_bound);
    each(Metric::SiteAgentBootTimestampSeconds, |facts| facts.boot_time);
    each(Metric::SiteAgentStartTimestampSeconds, |facts| facts.start_time);
    each(Metric::SiteQueueBytes, |facts| facts.queue_bytes);
    each(Metric::SiteDroppedSamplesTotal, |facts| facts.dropped_samples);
    page.family(Metric::SiteAgentInfo);
    for SiteRow { labels, site, .. } in &rows {
        if let Some(version) = &site.facts.version {
            page.row(&labels.and(&[(Label::Version, version)]), 1.0);
        }
    }
    page.family(Metric::SitePathLastSeenTimestampSeconds);
    for SiteRow { labels, site, .. } in &rows {
        for (path, at) in &site.facts.paths {
            page.row(&labels.and(&[(Label::Path, path.as_str())]), seconds(*at));
        }
    }
}

/// What is exposed of one link.
struct LinkRow {
    labels: Labels,
    state: LinkState,
    planned: bool,
    loss: Option<f64>,
    rtt: Option<f64>,
}

fn links(province: &Province<'_>, present: &[AtPresent<'_, '_>], page: &mut Page<'_>) {
    let basis = province.basis();
    let mut rows = Vec::new();
    for (site, _) in present {
        let states = site.view().link_states_at(&basis, province.now);
        for (link, state) in site.seen_links().zip(states).filter(|(link, _)| link.valid.holds(province.now))
        {
            rows.push(link_row(province, site, link, state));
        }
    }
    let mut each = |metric: Metric, value: fn(&LinkRow) -> Option<f64>| {
        page.family(metric);
        for row in &rows {
            if let Some(value) = value(row) {
                page.row(&row.labels, value);
            }
        }
    };
    each(Metric::LinkUp, |row| works(row.state));
    each(Metric::LinkDegraded, |row| match row.state {
        LinkState::Degraded => Some(1.0),
        LinkState::Up | LinkState::Down => Some(0.0),
        LinkState::Unknown(_) => None,
    });
    each(Metric::LinkPlanned, |row| row.planned.then_some(1.0));
    each(Metric::LinkLossRatio, |row| row.loss);
    each(Metric::LinkRttMedianSeconds, |row| row.rtt);
}

fn link_row(province: &Province<'_>, site: &SiteNow<'_>, link: &Link, state: LinkState) -> LinkRow {
    // The newest round of a link that has since fallen silent is no longer the latest.
    let known = !matches!(state, LinkState::Unknown(_));
    let latest = link.own.as_ref().and_then(|(_, latest)| latest.as_ref()).filter(|_| known);
    let instant = Window::new(province.now, province.now.plus_millis(1));
    LinkRow {
        labels: link_labels(site, link),
        state,
        planned: !province.planned_of(site, Some(&link.name), instant).is_empty(),
        loss: latest.and_then(loss),
        rtt: latest.and_then(|latest| latest.rtt_median),
    }
}

/// The open incidents of the sites that are registered now.
fn incidents(state: &State, present: &[AtPresent<'_, '_>], page: &mut Page<'_>) {
    let Some(open) = state.open_incidents() else { return };
    page.family(Metric::IncidentsOpen);
    for (kind, count) in &open.counts {
        page.sample(&[(Label::Kind, kind.as_str())], number(i64::try_from(*count).unwrap_or(i64::MAX)));
    }
    page.family(Metric::IncidentStartTimestampSeconds);
    let is_registered = |of_site: &&[(Subject, Word)]| {
        let site = of_site.first().map(|(subject, _)| &subject.site);
        site.is_some_and(|id| present.binary_search_by(|(site, _)| site.site.id.cmp(id)).is_ok())
    };
    let by_site = open.each.chunk_by(|(a, _), (b, _)| a.site == b.site);
    for (subject, word) in by_site.filter(is_registered).flatten() {
        let labels = [
            (Label::Site, subject.site.as_str()),
            (Label::Link, subject.link.as_ref().map_or("", |link| link.as_str())),
            (Label::Kind, word.kind.as_str()),
            (Label::Cause, word.cause().as_str()),
        ];
        page.sample(&labels, seconds(word.start));
    }
}

fn collector(state: &State, registered: usize, page: &mut Page<'_>) {
    page.family(Metric::CollectorBuildInfo);
    page.sample(&[(Label::Version, env!("CARGO_PKG_VERSION"))], 1.0);
    if let Some(started) = state.started() {
        page.family(Metric::CollectorStartTimeSeconds);
        page.sample(&[], seconds(started));
    }
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
fn own_counters(state: &State, page: &mut Page<'_>) {
    let mut families = state.counters.registry.gather();
    families.extend(ProcessCollector::for_self().collect());
    let mut bytes = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&families, &mut bytes) {
        tracing::warn!(%error, "the collector's own counters could not be written");
    }
    page.verbatim(&String::from_utf8_lossy(&bytes));
}
