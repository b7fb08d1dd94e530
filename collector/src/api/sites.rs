//! `GET /api/v1/sites` and `GET /api/v1/sites/{id}`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::{LinkKind, Outcome, SiteId, UnixMillis};

use super::agents::{ConfigNow, config_now};
use super::common::{Figures, Rolling, StateNow};
use super::fold::fold;
use super::params;
use super::planned::PlannedRow;
use super::problem::Problem;
use crate::inventory::era::Former;
use crate::inventory::{Site, Watches};
use crate::ledger::timeline::{Kinds, KindsSweep, State, Why, Window};
use crate::localtime;
use crate::province::{Link, Province, SiteNow};
use crate::report::uptime::ratio;
use crate::state::Latest;
use crate::verdict::{Rule, Standing, Verdict};

/// The parameters of the list.
pub const PARAMETERS: [&str; 4] = ["tier", "branch", "verdict", "q"];

/// What is asked of the list, as text. Lists are separated by commas.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'q> {
    /// Only these tiers.
    pub tier: Option<&'q str>,
    /// Only these branches.
    pub branch: Option<&'q str>,
    /// Only sites of which one of these verdicts holds.
    pub verdict: Option<&'q str>,
    /// Only sites whose id, name or district contains this, whatever the case and marks.
    pub q: Option<&'q str>,
}

/// The registered sites.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SitesAnswer {
    /// The province's time zone.
    pub zone: String,
    /// When this was so, Unix milliseconds.
    pub now: i64,
    /// The same, RFC 3339 in the province's zone.
    pub now_local: String,
    /// The sites that are registered now and fit, in the order of their ids.
    pub sites: Vec<SiteSummary>,
}

/// A site now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SiteSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// Its branch.
    pub branch: String,
    /// The site that its WAN path depends on.
    pub parent: Option<String>,
    /// The district that it lies in.
    pub district: Option<String>,
    /// Where it stands.
    pub location: Option<Location>,
    /// What it is now.
    pub verdict: Verdict,
    /// Since when the verdict holds, Unix milliseconds; null: since ever.
    pub since: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub since_local: Option<String>,
    /// Whether the verdict may have held before `since`: after a start of the collector, while older history is still being loaded.
    pub since_before: bool,
    /// The rule that gave the verdict.
    pub rule: Rule,
    /// The state by kind of link: the required kinds, and those that it has links of.
    pub kinds: BTreeMap<String, StateNow>,
    /// The state that coverage counts.
    pub state: StateNow,
    /// When its agent last pushed, Unix milliseconds; null when that is not remembered.
    pub last_push: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub last_push_local: Option<String>,
    /// Its links by name: those of the register and those that were seen.
    pub links: Vec<LinkNow>,
}

/// A place in WGS 84.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// A link now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LinkNow {
    /// Its name.
    pub link: String,
    /// What it is for: lan, wan, internet or service.
    pub kind: String,
    /// Who provides it.
    pub carrier: Option<String>,
    /// The contract's number.
    pub contract: Option<String>,
    /// The uptime that the contract promises, 0 to 1.
    pub contract_uptime: Option<f64>,
    /// The interface of the agent's host that leads to it.
    pub interface: Option<String>,
    /// The site's router on it.
    pub router: Option<String>,
    /// First day on which it is one of the site's, YYYY-MM-DD; null: as long as the site.
    pub valid_from: Option<String>,
    /// First day on which it is not any more; null: as long as the site.
    pub valid_to: Option<String>,
    /// What it is now.
    pub state: StateNow,
    /// The newest round of the site's own agent since the collector's start.
    pub latest: Option<LatestRound>,
    /// Who has looked at it, and until when the evidence of each reaches.
    pub vantages: Vec<VantageNow>,
}

/// One observer of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VantageNow {
    /// The site whose agent looks.
    pub vantage: String,
    /// The end of its newest evidence, Unix milliseconds.
    pub until: i64,
    /// The same, RFC 3339 in the province's zone.
    pub until_local: String,
}

/// The figures of the newest round.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LatestRound {
    /// Its end, Unix milliseconds.
    pub end: i64,
    /// The same, RFC 3339 in the province's zone.
    pub end_local: String,
    /// Its length in milliseconds.
    pub interval_ms: i64,
    /// Packets sent.
    pub sent: u32,
    /// Packets answered.
    pub received: u32,
    /// The share that was not answered; null when nothing was sent.
    pub loss: Option<f64>,
    /// Median round-trip time in seconds; null when nothing was received.
    pub rtt_median_seconds: Option<f64>,
    /// What it showed: up, degraded, down or fault.
    #[schema(value_type = String)]
    pub outcome: Outcome,
}

/// Everything about one site.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SiteAnswer {
    /// The province's time zone.
    pub zone: String,
    /// When this was so, Unix milliseconds.
    pub now: i64,
    /// The same, RFC 3339 in the province's zone.
    pub now_local: String,
    /// The site now.
    #[serde(flatten)]
    pub summary: SiteSummary,
    /// Whether it is registered now.
    pub registered: bool,
    /// First day on which it is registered, YYYY-MM-DD; null: since ever.
    pub valid_from: Option<String>,
    /// First day on which it is not registered any more; null: not closed.
    pub valid_to: Option<String>,
    /// What it was before, in the order of time.
    pub former: Vec<FormerRow>,
    /// The site that took over when it closed.
    pub merged_into: Option<String>,
    /// The sites whose WAN path depends on it, directly.
    pub children: Vec<String>,
    /// Whom to call.
    pub contacts: Vec<String>,
    /// Anything else that people should know.
    pub note: Option<String>,
    /// Of which other sites its agent may report: `all`, or their ids.
    pub watches: Vec<String>,
    /// The planned windows that cover the present of the site or of any of its links.
    pub planned: Vec<PlannedRow>,
    /// What its agent says of itself.
    pub agent: AgentNow,
    /// Its figures and those of its links, over the windows `24h`, `7d`, `30d` and `month`.
    pub uptime: Vec<RollingUptime>,
}

/// What a site was until a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FormerRow {
    /// First day on which it was this no more, YYYY-MM-DD.
    pub until: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// Its branch.
    pub branch: String,
    /// The site that its WAN path depended on.
    pub parent: Option<String>,
    /// The district that it lay in.
    pub district: Option<String>,
}

impl FormerRow {
    fn of(former: &Former) -> Self {
        Self {
            until: former.until.to_string(),
            name: former.name.clone(),
            tier: former.tier.to_string(),
            branch: former.branch.to_string(),
            parent: former.parent.as_ref().map(ToString::to_string),
            district: former.district.clone(),
        }
    }
}

/// What is known of a site's agent.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AgentNow {
    /// When the site was first given a secret, Unix milliseconds; null: never.
    pub issued: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub issued_local: Option<String>,
    /// Build version.
    pub version: Option<String>,
    /// The boot id of its host's kernel.
    pub boot_id: Option<String>,
    /// When its host booted, Unix milliseconds.
    pub boot_time: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub boot_time_local: Option<String>,
    /// The last boots of its host, the newest first, at most five.
    pub boots: Vec<BootSeen>,
    /// When it was started, Unix milliseconds.
    pub start_time: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub start_time_local: Option<String>,
    /// The collector's clock less its host's, in seconds.
    pub clock_offset_seconds: Option<f64>,
    /// How far from the truth that can be at most, in seconds.
    pub clock_offset_bound_seconds: Option<f64>,
    /// Whether its host's clock is off by more than 5 minutes for certain. Its rounds are dated by the collector's clock all
    /// the same; what else runs on the host is not.
    pub clock_wrong: bool,
    /// Bytes that wait in its queue.
    pub queue_bytes: Option<f64>,
    /// Samples that it had to drop since its start.
    pub dropped_samples: Option<f64>,
    /// What it is told to probe, and what became of it.
    pub config: ConfigNow,
    /// By which links its requests came, the latest first: a site whose WAN is cut is seen to be alive by its Internet link.
    pub paths: Vec<PathSeen>,
}

/// One boot of the agent's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BootSeen {
    /// What it is known by: the kernel's boot id, or `@` and the minute since 1970 where the agent tells none.
    pub boot: String,
    /// When it was, by the agent's newest word, Unix milliseconds.
    pub at: i64,
    /// The same, RFC 3339 in the province's zone.
    pub at_local: String,
    /// The last starts of the agent in it, the newest first, at most five; each to the second, rounded down.
    pub starts: Vec<StartSeen>,
}

/// One start of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StartSeen {
    /// When it was, Unix milliseconds.
    pub at: i64,
    /// The same, RFC 3339 in the province's zone.
    pub at_local: String,
}

/// When a site was last heard by one of its links.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PathSeen {
    /// The link, as the agent's configuration names it.
    pub path: String,
    /// When its last request came that way, Unix milliseconds.
    pub last_seen: i64,
    /// The same, RFC 3339 in the province's zone.
    pub last_seen_local: String,
}

/// Figures over one window that ends now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RollingUptime {
    /// `24h`, `7d`, `30d` or `month` (since the start of the province's month).
    pub period: String,
    /// The site itself, as the plan defines connected.
    pub site: Figures,
    /// Its links, by name.
    pub links: BTreeMap<String, Figures>,
}

/// Answers the list.
///
/// # Errors
/// When a filter names a tier, branch or verdict that is none.
pub fn list(province: &Province<'_>, question: Question<'_>) -> Result<SitesAnswer, Problem> {
    let plan = &province.config().plan;
    let tiers: Vec<&str> = plan.tiers.iter().map(|tier| tier.id.as_str()).collect();
    let branches: Vec<&str> = plan.branches.iter().map(|branch| branch.id.as_str()).collect();
    let tiers = params::list("tier", question.tier, &tiers)?;
    let branches = params::list("branch", question.branch, &branches)?;
    let verdicts = params::list("verdict", question.verdict, &Verdict::ALL.map(Verdict::as_str))?;
    let wanted = question.q.map(fold);
    let allowed =
        |list: &Option<Vec<&str>>, word: &str| list.as_ref().is_none_or(|list| list.contains(&word));
    let standings = province.standings();
    let mut sites = Vec::new();
    for site in province.sites() {
        let Some(standing) = standings.get(&site.site.id) else { continue };
        let found = wanted.as_ref().is_none_or(|wanted| {
            let district = site.registered.district.unwrap_or_default();
            [site.site.id.as_str(), site.registered.name, district]
                .iter()
                .any(|text| fold(text).contains(wanted))
        });
        if found
            && allowed(&tiers, site.registered.tier.as_str())
            && allowed(&branches, site.registered.branch.as_str())
            && allowed(&verdicts, standing.verdict.as_str())
        {
            sites.push(summary(province, &site, *standing));
        }
    }
    let zone = &province.config().timezone;
    Ok(SitesAnswer {
        zone: localtime::zone_name(zone),
        now: province.now.0,
        now_local: localtime::rfc3339(province.now, zone),
        sites,
    })
}

/// Answers for one site.
///
/// # Errors
/// When there is none of this id.
pub fn one(province: &Province<'_>, id: &str) -> Result<SiteAnswer, Problem> {
    let id = params::site(province, "id", id)?;
    let (Some(site), Some(standing)) = (province.site(&id), province.standing(&id)) else {
        return Err(Problem::not_found("id", format!("{id} is not registered any more"), "ask again"));
    };
    let zone = &province.config().timezone;
    params::reached(province, Rolling::earliest(province.now, zone))?;
    let entry = site.site;
    Ok(SiteAnswer {
        zone: localtime::zone_name(zone),
        now: province.now.0,
        now_local: localtime::rfc3339(province.now, zone),
        summary: summary(province, &site, standing),
        registered: entry.registered_at(province.now, zone),
        valid_from: entry.valid_from.map(|day| day.to_string()),
        valid_to: entry.valid_to.map(|day| day.to_string()),
        former: entry.former.iter().map(FormerRow::of).collect(),
        merged_into: entry.merged_into.as_ref().map(ToString::to_string),
        children: children(province, &id),
        contacts: entry.contacts.clone(),
        note: entry.note.clone(),
        watches: match &entry.watches {
            Watches::None => Vec::new(),
            Watches::All => vec!["all".to_owned()],
            Watches::Only(sites) => sites.iter().map(ToString::to_string).collect(),
        },
        planned: province
            .planned_now(entry)
            .into_iter()
            .map(|(window, _)| PlannedRow::of(window, true, province.now, zone))
            .collect(),
        agent: agent(province, &site),
        uptime: Rolling::ALL.iter().filter_map(|rolling| rolling_uptime(province, &site, *rolling)).collect(),
    })
}

/// The state of each of the site's kinds of link now: the required kinds, and those that it has links of.
pub(super) fn kinds(province: &Province<'_>, site: &SiteNow<'_>) -> BTreeMap<LinkKind, State> {
    let required = province.config().plan.required.iter().copied();
    let kinds: BTreeSet<LinkKind> = required.chain(site.links.iter().map(|link| link.name.kind())).collect();
    let list: Vec<LinkKind> = kinds.iter().copied().collect();
    let view = site.view();
    let mut sweep = KindsSweep::new(view, &list, &province.basis(), Window::instant(province.now));
    let states = sweep.next().map_or(Kinds::NOT_MEASURED, |(_, _, states)| states);
    kinds.into_iter().map(|kind| (kind, states.get(kind))).collect()
}

/// The state of one link now. A link that the register lists and nobody has probed is not measured.
#[must_use]
pub fn link_state(province: &Province<'_>, site: &SiteNow<'_>, link: &Link) -> State {
    let view = site.view();
    if !link.is_seen() {
        let why = if view.equipped().is_none() { Why::NotEquipped } else { Why::NotMeasured };
        return State::Unknown(why);
    }
    view.link_state_at(&link.view(), &province.basis(), province.now)
}

/// The loss of a round; `None` when nothing was sent.
#[must_use]
pub fn loss(latest: &Latest) -> Option<f64> {
    let lost = latest.sent.saturating_sub(latest.received);
    ratio(i64::from(lost), i64::from(latest.sent))
}

fn summary(province: &Province<'_>, site: &SiteNow<'_>, standing: Standing) -> SiteSummary {
    let zone = &province.config().timezone;
    let entry = site.site;
    let last_push = site.last_push;
    let (since, since_before) = province.begun(standing);
    SiteSummary {
        id: entry.id.to_string(),
        name: site.registered.name.to_owned(),
        tier: site.registered.tier.to_string(),
        branch: site.registered.branch.to_string(),
        parent: site.registered.parent.map(ToString::to_string),
        district: site.registered.district.map(str::to_owned),
        location: entry
            .location
            .map(|place| Location { latitude: place.latitude, longitude: place.longitude }),
        verdict: standing.verdict,
        since: since.map(|at| at.0),
        since_local: since.map(|at| localtime::rfc3339(at, zone)),
        since_before,
        rule: standing.rule,
        kinds: kinds(province, site)
            .into_iter()
            .map(|(kind, state)| (kind.as_str().to_owned(), state.into()))
            .collect(),
        state: site.view().state_at(&province.basis(), province.now).into(),
        last_push: last_push.map(|at| at.0),
        last_push_local: last_push.map(|at| localtime::rfc3339(at, zone)),
        links: site.links.iter().map(|link| link_now(province, site, link)).collect(),
    }
}

fn link_now(province: &Province<'_>, site: &SiteNow<'_>, link: &Link) -> LinkNow {
    let zone = &province.config().timezone;
    let entry = site.site.link(&link.name);
    let latest = link.own.as_ref().and_then(|(_, latest)| latest.as_ref()).map(|latest| LatestRound {
        end: latest.end.0,
        end_local: localtime::rfc3339(latest.end, zone),
        interval_ms: latest.interval_ms,
        sent: latest.sent,
        received: latest.received,
        loss: loss(latest),
        rtt_median_seconds: latest.rtt_median,
        outcome: latest.outcome,
    });
    let own = link.own.iter().map(|(spans, _)| (&site.site.id, spans));
    let others = link.others.iter().map(|(vantage, seen)| (vantage, &seen.spans));
    let vantages = own.chain(others).filter_map(|(vantage, spans)| {
        let until = spans.last()?.end;
        Some(VantageNow {
            vantage: vantage.to_string(),
            until: until.0,
            until_local: localtime::rfc3339(until, zone),
        })
    });
    LinkNow {
        link: link.name.to_string(),
        kind: link.name.kind().as_str().to_owned(),
        carrier: entry.and_then(|entry| entry.carrier.clone()),
        contract: entry.and_then(|entry| entry.contract.clone()),
        contract_uptime: entry.and_then(|entry| entry.uptime),
        interface: entry.and_then(|entry| entry.interface.as_ref()).map(ToString::to_string),
        router: entry.and_then(|entry| entry.router).map(|address| address.to_string()),
        valid_from: entry.and_then(|entry| entry.valid_from).map(|day| day.to_string()),
        valid_to: entry.and_then(|entry| entry.valid_to).map(|day| day.to_string()),
        state: link_state(province, site, link).into(),
        latest,
        vantages: vantages.collect(),
    }
}

fn children(province: &Province<'_>, id: &SiteId) -> Vec<String> {
    let zone = &province.config().timezone;
    let sites = province.register().sites();
    let registered = sites.filter(|site| site.registered_at(province.now, zone));
    let child = |site: &&Site| site.as_of_instant(province.now, zone).parent == Some(id);
    registered.filter(child).map(|site| site.id.to_string()).collect()
}

/// A host's clock that is further off than this is called wrong: sign-ins and certificates of other services on that host
/// begin to fail there (Kerberos refuses from 5 minutes on).
const WRONG_CLOCK: Duration = Duration::from_secs(300);
/// So many boots, and so many starts of each, are shown.
const SHOWN_LIVES: usize = 5;

fn boots(province: &Province<'_>, site: &SiteNow<'_>) -> Vec<BootSeen> {
    let local = |at: UnixMillis| localtime::rfc3339(at, &province.config().timezone);
    let start = |at: &UnixMillis| StartSeen { at: at.0, at_local: local(*at) };
    let boots = site.lives.all();
    let boots = boots.iter().rev().take(SHOWN_LIVES).map(|boot| BootSeen {
        boot: boot.key.to_string(),
        at: boot.at.0,
        at_local: local(boot.at),
        starts: boot.starts.iter().rev().take(SHOWN_LIVES).map(start).collect(),
    });
    boots.collect()
}

fn agent(province: &Province<'_>, site: &SiteNow<'_>) -> AgentNow {
    let zone = &province.config().timezone;
    let facts = site.facts.clone();
    let local = |at: Option<i64>| at.map(|at| localtime::rfc3339(UnixMillis(at), zone));
    let (boot_time, start_time) = (facts.boot_time.and_then(millis), facts.start_time.and_then(millis));
    let issued = site.issued.map(|at| at.0);
    let mut paths: Vec<_> = facts.paths.iter().collect();
    paths.sort_by_key(|(path, at)| (std::cmp::Reverse(**at), *path));
    let offset = facts.clock_offset.filter(|value| value.is_finite());
    let bound = facts.clock_offset_bound.filter(|value| value.is_finite() && *value >= 0.0);
    AgentNow {
        issued,
        issued_local: local(issued),
        version: facts.version,
        boot_id: facts.boot_id,
        boot_time,
        boot_time_local: local(boot_time),
        boots: boots(province, site),
        start_time,
        start_time_local: local(start_time),
        clock_offset_seconds: offset,
        clock_offset_bound_seconds: bound,
        clock_wrong: offset
            .is_some_and(|offset| offset.abs() - bound.unwrap_or(0.0) > WRONG_CLOCK.as_secs_f64()),
        queue_bytes: facts.queue_bytes.filter(|value| value.is_finite()),
        dropped_samples: facts.dropped_samples.filter(|value| value.is_finite()),
        config: config_now(province, site),
        paths: paths
            .into_iter()
            .map(|(path, at)| PathSeen {
                path: path.to_string(),
                last_seen: at.0,
                last_seen_local: localtime::rfc3339(*at, zone),
            })
            .collect(),
    }
}

fn rolling_uptime(province: &Province<'_>, site: &SiteNow<'_>, rolling: Rolling) -> Option<RollingUptime> {
    let zone = &province.config().timezone;
    let window = rolling.window(province.now, zone);
    let figures = |link| province.uptime(site, link, window).map(|uptime| Figures::of(&uptime, zone));
    let links = site
        .links
        .iter()
        .filter_map(|link| Some((link.name.to_string(), figures(Some(&link.name))?)))
        .collect();
    Some(RollingUptime { period: rolling.as_str().to_owned(), site: figures(None)?, links })
}

/// Unix seconds as milliseconds; `None` for what is no time: an agent may send any number.
#[allow(clippy::cast_possible_truncation, reason = "bounded before")]
fn millis(seconds: f64) -> Option<i64> {
    // The year 9999.
    const LATEST: f64 = 253_402_300_799.0;
    (seconds.is_finite() && (0.0..=LATEST).contains(&seconds)).then(|| (seconds * 1000.0).round() as i64)
}
