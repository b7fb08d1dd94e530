//! `GET /api/v1/uptime`, and the same for the command line.

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::{LinkName, SiteId};

use super::common::{Figures, Range};
use super::params;
use super::problem::Problem;
use crate::calendar::CivilPeriod;
use crate::ledger::timeline::Window;
use crate::localtime;
use crate::province::{Province, SiteNow};
use crate::report::uptime::{HoursOf, Policy};

/// The parameters.
pub const PARAMETERS: [&str; 8] = ["from", "to", "period", "tier", "site", "link", "hours", "planned"];

/// What is asked, as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'q> {
    /// Start of the window.
    pub from: Option<&'q str>,
    /// End of the window.
    pub to: Option<&'q str>,
    /// A month or a quarter of the province, in place of both.
    pub period: Option<&'q str>,
    /// Only sites of these tiers, separated by commas.
    pub tier: Option<&'q str>,
    /// Only this site.
    pub site: Option<&'q str>,
    /// Only links of this name.
    pub link: Option<&'q str>,
    /// Which hours count.
    pub hours: Option<&'q str>,
    /// What planned time is.
    pub planned: Option<&'q str>,
}

/// How reliable sites and links were over a window.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct UptimeAnswer {
    /// The province's time zone.
    pub zone: String,
    /// The window, cut to now.
    pub window: Range,
    /// Which hours count.
    pub hours: HoursOf,
    /// What planned time is.
    pub planned: Policy,
    /// Sites in the order of their ids; of each first itself, then its links. A site that was not registered at any time of
    /// the window is left out.
    pub rows: Vec<UptimeRow>,
}

/// One site or one of its links.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct UptimeRow {
    /// The site's id.
    pub site: String,
    /// The site's name.
    pub name: String,
    /// The site's tier.
    pub tier: String,
    /// The site's branch.
    pub branch: String,
    /// The link; null: the site itself, as the plan defines connected.
    pub link: Option<String>,
    /// What the link is for.
    pub kind: Option<String>,
    /// Who provides the link.
    pub carrier: Option<String>,
    /// The uptime that the link's contract promises, 0 to 1.
    pub contract_uptime: Option<f64>,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Answers.
///
/// # Errors
/// When a time or a word cannot be read, the window is empty, or tier, site or link is not there.
pub fn answer(province: &Province<'_>, question: Question<'_>) -> Result<UptimeAnswer, Problem> {
    let window = match question.period {
        Some(text) => period(province, text, &question)?,
        None => params::window(province, question.from, question.to)?,
    };
    params::reached(province, window.start)?;
    let terms = Asked {
        window,
        hours: params::word("hours", question.hours, HoursOf::ALL, HoursOf::as_str)?,
        planned: params::word("planned", question.planned, Policy::ALL, Policy::as_str)?,
    };
    let plan = &province.config().plan;
    let tiers: Vec<&str> = plan.tiers.iter().map(|tier| tier.id.as_str()).collect();
    let tiers = params::list("tier", question.tier, &tiers)?;
    let only = question.site.map(|text| params::site(province, "site", text)).transpose()?;
    let link = question.link.map(|text| params::link("link", text)).transpose()?;
    let mut rows = Vec::new();
    let mut links_seen = false;
    let mut add = |site: &SiteNow<'_>| {
        if tiers.as_ref().is_some_and(|tiers| !tiers.contains(&site.registered.tier.as_str())) {
            return;
        }
        if site.view().clip(window, province.now).is_empty() {
            return;
        }
        links_seen |= link.as_ref().is_none_or(|link| site.link(link).is_some());
        add_site(province, site, link.as_ref(), terms, &mut rows);
    };
    match &only {
        Some(id) => province.site(id).iter().for_each(&mut add),
        None => province.sites().for_each(|site| add(&site)),
    }
    if let (Some(link), false) = (&link, links_seen) {
        return Err(no_link(province, only.as_ref(), link));
    }
    let zone = &province.config().timezone;
    Ok(UptimeAnswer {
        zone: localtime::zone_name(zone),
        window: Range::of(window, zone),
        hours: terms.hours,
        planned: terms.planned,
        rows,
    })
}

/// What the figures of each row are to be.
#[derive(Debug, Clone, Copy)]
struct Asked {
    window: Window,
    hours: HoursOf,
    planned: Policy,
}

/// A month or a quarter as a window, cut to now.
fn period(province: &Province<'_>, text: &str, question: &Question<'_>) -> Result<Window, Problem> {
    if let Some((name, other)) = [("from", question.from), ("to", question.to)]
        .into_iter()
        .find_map(|(name, text)| Some((name, text?)))
    {
        return Err(Problem::parameter(name, other, "it not beside period", "leave out one of the two"));
    }
    let expected = "a month such as 2026-10, or a quarter such as 2026-Q4";
    let remedy = "months and quarters are the province's";
    let period: CivilPeriod =
        text.parse().map_err(|_| Problem::parameter("period", text, expected, remedy))?;
    let window = period.window(&province.config().timezone);
    if window.start >= province.now {
        return Err(Problem::parameter(
            "period",
            text,
            "one that has begun",
            "nothing is known of the future",
        ));
    }
    Ok(Window::new(window.start, window.end.min(province.now)))
}

/// That a link is nowhere, or not at this site.
pub(super) fn no_link(province: &Province<'_>, site: Option<&SiteId>, link: &LinkName) -> Problem {
    let Some(id) = site else {
        return Problem::not_found(
            "link",
            format!("link: found “{link}”, expected a link that some site has"),
            "GET /api/v1/sites gives the links of each site",
        );
    };
    let names: Vec<String> = province
        .site(id)
        .map(|site| site.links.iter().map(|link| link.name.to_string()).collect())
        .unwrap_or_default();
    let (expected, remedy) = if names.is_empty() {
        (format!("a link of {id}"), "none is registered and none was seen yet".to_owned())
    } else {
        (format!("a link of {id}"), format!("it has {}", names.join(", ")))
    };
    Problem::not_found("link", format!("link: found “{link}”, expected {expected}"), remedy)
}

/// The site's own row and those of its links that were seen; with `only`, the row of that link alone.
fn add_site(
    province: &Province<'_>,
    site: &SiteNow<'_>,
    only: Option<&LinkName>,
    asked: Asked,
    rows: &mut Vec<UptimeRow>,
) {
    let zone = &province.config().timezone;
    let mut row = |link: Option<&LinkName>| {
        let Asked { window, hours, planned } = asked;
        let Some(uptime) = province.uptime_under(site, link, window, hours, planned) else { return };
        let registered = link.and_then(|link| site.site.link(link));
        rows.push(UptimeRow {
            site: site.site.id.to_string(),
            name: site.site.name.clone(),
            tier: site.registered.tier.to_string(),
            branch: site.registered.branch.to_string(),
            link: link.map(ToString::to_string),
            kind: link.map(|link| link.kind().as_str().to_owned()),
            carrier: registered.and_then(|link| link.carrier.clone()),
            contract_uptime: registered.and_then(|link| link.uptime),
            figures: Figures::of(&uptime, zone),
        });
    };
    match only {
        Some(link) => row(Some(link)),
        None => {
            row(None);
            site.links.iter().for_each(|link| row(Some(&link.name)));
        }
    }
}
