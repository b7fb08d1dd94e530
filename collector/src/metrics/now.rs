//! What is derived and written anew for each scrape: the state of now, and the collector's own counters.

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder as _, TextEncoder};
use wan_wire::{Label, Metric};

use super::page::{Labels, Page};
use super::{groups, number, seconds};
use crate::api::sites::loss;
use crate::ledger::timeline::{Basis, LinkView, SiteView, State as LinkState, Window};
use crate::province::{Link, Province, SiteNow};
use crate::state::{AgentFacts, State};

pub(super) fn write(state: &State, province: &Province<'_>, page: &mut Page<'_>) {
    let all: Vec<SiteNow<'_>> = province.sites().collect();
    sites(province, &all, page);
    links(province, &all, page);
    if page.is_unwanted() {
        return;
    }
    groups::coverage(province, &all, page);
    groups::groups(province, &all, page);
    drop(all);
    collector(state, province, page);
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

fn sites(province: &Province<'_>, all: &[SiteNow<'_>], page: &mut Page<'_>) {
    let standings = province.standings();
    let registered = || all.iter().filter(|site| standings.contains_key(&site.site.id));
    let rows: Vec<(Labels, &SiteNow<'_>)> =
        registered().map(|site| (Labels::of(&[(Label::Site, site.site.id.as_str())]), site)).collect();
    page.family(Metric::SiteInfo);
    for (labels, SiteNow { registered, .. }) in &rows {
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
    for (labels, site) in &rows {
        if let Some(standing) = standings.get(&site.site.id) {
            page.row(&labels.and(&[(Label::Verdict, standing.verdict.as_str())]), 1.0);
        }
    }
    let mut each = |metric: Metric, value: &dyn Fn(&SiteNow<'_>) -> Option<f64>| {
        page.family(metric);
        for (labels, site) in &rows {
            if let Some(value) = value(site) {
                page.row(labels, value);
            }
        }
    };
    let basis = province.basis();
    each(Metric::SiteUp, &|site| works(site.view().state_at(&basis, province.now)));
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
    for (labels, site) in &rows {
        if let Some(version) = &site.facts.version {
            page.row(&labels.and(&[(Label::Version, version)]), 1.0);
        }
    }
    page.family(Metric::SitePathLastSeenTimestampSeconds);
    for (labels, site) in &rows {
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

fn links(province: &Province<'_>, all: &[SiteNow<'_>], page: &mut Page<'_>) {
    let (basis, zone) = (province.basis(), &province.config().timezone);
    let mut rows = Vec::new();
    for site in all.iter().filter(|site| site.site.registered_at(province.now, zone)) {
        let view = site.view();
        for link in site.seen_links().filter(|link| link.valid.holds(province.now)) {
            rows.push(link_row(province, site, &view, link, &basis));
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

fn link_row(
    province: &Province<'_>,
    site: &SiteNow<'_>,
    view: &SiteView<'_>,
    link: &Link,
    basis: &Basis<'_>,
) -> LinkRow {
    let link_view: LinkView<'_> = link.view();
    let state = view.link_state_at(&link_view, basis, province.now);
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

fn collector(state: &State, province: &Province<'_>, page: &mut Page<'_>) {
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
fn own_counters(state: &State, page: &mut Page<'_>) {
    let mut families = state.counters.registry.gather();
    families.extend(ProcessCollector::for_self().collect());
    let mut bytes = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&families, &mut bytes) {
        tracing::warn!(%error, "the collector's own counters could not be written");
    }
    page.verbatim(&String::from_utf8_lossy(&bytes));
}
