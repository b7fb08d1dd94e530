//! What follows from what was told: the rows of each `expect` line.
//!
//! Derived as [`wan_collector::province`] does it: a vantage that is a site with rounds of its own may be cut off itself, the path to a
//! site is cut where its parents' evidence says so, and while the centre is cut off the collector is blind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use wan_collector::ledger::cause::{self, Around, Charge, LinkAround, Path};
use wan_collector::ledger::incident::{Incident, incidents};
use wan_collector::ledger::span::{Periods, Spans};
use wan_collector::ledger::timeline::{Basis, Interval, LinkView, Other, SiteView, State, Timeline, Window};
use wan_collector::ledger::vantage::Vantage;
use wan_collector::report::coverage::{Coverage, Row, TierTarget};
use wan_collector::report::uptime::{Policy, Terms, Uptime};
use wan_collector::verdict::{
    Facts, SILENCE_LIMIT, Standing, late_limit, rounds_hold, silence_limit, standing,
};
use wan_wire::{LinkKind, LinkName, UnixMillis};

use crate::told::{Evidence, Scenario, Site, Told, link};

/// Everything that answers rest on, at the present of a scenario.
pub(crate) struct Answers<'s> {
    told: &'s Scenario,
    evidence: Evidence,
    cut_offs: BTreeMap<String, Periods>,
    running: Periods,
    hears_since: Option<UnixMillis>,
    now: UnixMillis,
}

/// What the rules know of one site, kept while they look at it.
struct Kept {
    path: Path,
    planned: Vec<Periods>,
    links: Vec<LinkName>,
}

impl<'s> Answers<'s> {
    /// Everything that was told so far, as it is at its present.
    pub(crate) fn new(told: &'s Scenario) -> Told<Self> {
        let now = told.now()?;
        let evidence = told.evidence(told.rounds.iter());
        let cut_offs = cut_offs(&evidence, now);
        let mut running = told.running(now);
        let mut hears_since = running.as_slice().last().map(|period| period.start);
        let blind = told.centre.as_ref().and_then(|centre| cut_offs.get(centre));
        for blind in blind.map_or(&[][..], Periods::as_slice) {
            running.remove(blind.start, blind.end);
            if blind.start <= now {
                hears_since = hears_since.map(|since| since.max(blind.end)).filter(|since| *since <= now);
            }
        }
        Ok(Self { told, evidence, cut_offs, running, hears_since, now })
    }

    /// The rows that an `expect` line asks for.
    pub(crate) fn ask(&self, words: &[&str]) -> Told<Vec<String>> {
        match words {
            [what @ ("timeline" | "uptime" | "causes" | "incidents"), id, rest @ ..] => {
                let (link_name, rest) = match rest {
                    [name, rest @ ..] if *name != "over" => (Some(link(name)?), rest),
                    rest => (None, rest),
                };
                let ["over", window, terms @ ..] = rest else {
                    return Err("expected `over` and a window".to_owned());
                };
                if *what != "uptime" && !terms.is_empty() {
                    return Err(format!("`{}`: only uptime has terms", terms.join(" ")));
                }
                let window = self.told.window(window)?;
                match *what {
                    "timeline" => {
                        let timeline = self.timeline(id, link_name.as_ref(), window)?;
                        Ok(timeline.intervals.iter().map(|i| self.interval(i)).collect())
                    }
                    "uptime" => {
                        let timeline = self.timeline(id, link_name.as_ref(), window)?;
                        let (hours, policy) = self.terms(terms, window)?;
                        let planned = self.planned(id, link_name.as_ref(), window)?;
                        let terms = Terms { planned: &planned, policy, hours: hours.as_ref() };
                        Ok(self.figures(&Uptime::under(&timeline, terms)))
                    }
                    "causes" => {
                        let charges = self.charges(id, link_name.as_ref(), window)?;
                        Ok(self.charge_rows(&charges))
                    }
                    _ => {
                        let charges = self.charges(id, link_name.as_ref(), window)?;
                        let until = self.view(id)?.clip(window, self.now).end;
                        Ok(incidents(&charges, until).iter().map(|i| self.incident(i)).collect())
                    }
                }
            }
            ["coverage", how @ ("over" | "at"), when] => {
                let sites = self.eras(|_| true)?;
                let plan = &self.told.plan;
                let plan = plan.iter().map(|(tier, share)| TierTarget { tier, target: Some(*share) });
                let plan: Vec<_> = plan.collect();
                let coverage = if *how == "at" {
                    Coverage::at(&sites, &plan, &self.basis(SILENCE_LIMIT), self.told.instant(when)?)
                } else {
                    Coverage::over(&sites, &plan, &self.basis(Duration::ZERO), self.told.window(when)?)
                };
                let rows = coverage.cells.iter().chain(&coverage.tiers).chain([&coverage.total]);
                Ok(rows.map(|row| coverage_row(&coverage, row)).collect())
            }
            ["reach", system, how @ ("over" | "at"), when] => {
                let system = LinkName::parse(system).map_err(|e| e.to_string())?;
                let mut sites = self.eras(|name| *name == system)?;
                for (site, id) in sites.iter_mut().zip(self.ids_of_eras()) {
                    site.equipped_from = self.view(id)?.equipped();
                }
                let required = [LinkKind::Service];
                let basis = |hold| Basis { required: &required, ..self.basis(hold) };
                let reach = if *how == "at" {
                    Coverage::at(&sites, &[], &basis(SILENCE_LIMIT), self.told.instant(when)?)
                } else {
                    Coverage::over(&sites, &[], &basis(Duration::ZERO), self.told.window(when)?)
                };
                let rows = reach.tiers.iter().chain([&reach.total]);
                Ok(rows.map(|row| coverage_row(&reach, row)).collect())
            }
            ["verdict", id] => {
                let standing = self.standing(id)?;
                let (verdict, since) = (standing.verdict.as_str(), self.told.clock(standing.since));
                Ok(vec![format!("{verdict} since {since} {}", word(&standing.rule))])
            }
            _ => Err("expected a timeline, uptime, causes, incidents, coverage or verdict, of what and over which window"
                .to_owned()),
        }
    }

    // ------------------------------------------------------------------------------------------ deriving

    fn basis(&self, hold: Duration) -> Basis<'_> {
        Basis { now: self.now, running: &self.running, hold, required: &self.told.required }
    }

    fn timeline(&self, id: &str, link: Option<&LinkName>, window: Window) -> Told<Timeline> {
        let (site, basis) = (self.view(id)?, self.basis(Duration::ZERO));
        Ok(match link {
            None => Timeline::of_site(&site, &basis, window),
            Some(name) => Timeline::of_link(&site, &site.links[self.index(id, name)?], &basis, window),
        })
    }

    fn charges(&self, id: &str, link: Option<&LinkName>, window: Window) -> Told<Vec<Charge>> {
        let known = Window::new(window.start.minus(cause::EDGE * 2), window.end.plus(cause::EDGE * 2));
        let (site, basis, kept) = (self.view(id)?, self.basis(SILENCE_LIMIT), self.kept(id, known)?);
        let around = self.around(id, &kept)?;
        Ok(match link {
            None => cause::charges(&site, &around, &basis, window).site,
            Some(name) => {
                cause::charges(&site, &around, &basis, window).links.swap_remove(self.index(id, name)?)
            }
        })
    }

    fn kept(&self, id: &str, window: Window) -> Told<Kept> {
        let path = match &self.told.site(id)?.parent {
            None => Path::new(),
            Some(parent) => {
                let (site, kept) = (self.view(parent)?, self.kept(parent, window)?);
                let around = self.around(parent, &kept)?;
                cause::path_for_children(&site, &around, &self.basis(SILENCE_LIMIT), window)
            }
        };
        let links: Vec<LinkName> = self.links(id).collect();
        let planned = links.iter().map(|link| self.planned(id, Some(link), window)).collect::<Told<_>>()?;
        Ok(Kept { path, planned, links })
    }

    fn around<'a>(&'a self, id: &str, kept: &'a Kept) -> Told<Around<'a>> {
        let site = self.told.site(id)?;
        let links = kept.links.iter().zip(&kept.planned).map(|(name, planned)| LinkAround {
            planned,
            carrier: site.carriers.get(name).map(String::as_str),
        });
        Ok(Around { boots: &site.boots, starts: &site.starts, path: &kept.path, links: links.collect() })
    }

    fn standing(&self, id: &str) -> Told<Standing> {
        let site = self.told.site(id)?;
        let parent = site.parent.as_ref().map(|parent| self.standing(parent)).transpose()?;
        // Far enough back for what a scenario tells.
        let around = Window::new(self.now.plus_millis(-32 * 86_400_000), self.now.plus_millis(1));
        let planned = self.planned(id, None, around)?.at(self.now);
        let round = self.last_round(|(of, _, by)| of == id && by == id);
        let facts = Facts {
            enrolled: site.secret,
            planned: planned.map(|period| period.start),
            last_push: site.heard,
            parent_cut_off: parent
                .filter(|parent| parent.verdict.cuts_children_off())
                .map(|parent| parent.since),
            hears_since: self.hears_since,
            silence_limit: silence_limit(SILENCE_LIMIT, round),
            late_limit: late_limit(round),
            // Scenarios are told in minutes: what is known some seconds sooner is not their matter.
            seen_down: false,
        };
        Ok(standing(&self.view(id)?, &facts, &self.basis(SILENCE_LIMIT)))
    }

    /// What is planned for a link, or for the whole site.
    fn planned(&self, id: &str, link: Option<&LinkName>, window: Window) -> Told<Periods> {
        let covers = |of: &Option<LinkName>| of.is_none() || of.as_ref() == link;
        let told = self.told.planned.iter().filter(|(site, of, _)| site == id && covers(of));
        let told: Periods = told.map(|(_, _, window)| (window.start, window.end)).collect();
        let works = match link {
            Some(link) => self.told.planned_of_link(id, link, window)?,
            None => {
                let (links, view): (Vec<_>, _) = (self.links(id).collect(), self.view(id)?);
                self.told.planned_of_site(id, &links, &view, &self.basis(SILENCE_LIMIT), window)?
            }
        };
        Ok(told.union(&works))
    }

    /// `hours service`, `planned up`: by which terms time counts.
    fn terms(&self, words: &[&str], window: Window) -> Told<(Option<Periods>, Policy)> {
        let (mut hours, mut policy) = (None, Policy::default());
        for pair in words.chunks(2) {
            match pair {
                ["hours", "service"] => hours = Some(self.told.service_time(window)),
                ["planned", word] => {
                    let known = Policy::ALL.into_iter().find(|policy| policy.as_str() == *word);
                    policy = known.ok_or(format!("`{word}`: expected exclude, up or ignore"))?;
                }
                _ => {
                    return Err(format!(
                        "`{}`: expected hours service, or planned and a policy",
                        pair.join(" ")
                    ));
                }
            }
        }
        Ok((hours, policy))
    }

    /// The length of the last round of the lines that are wanted.
    fn last_round(&self, wanted: impl Fn(&(String, LinkName, String)) -> bool) -> Option<Duration> {
        let rounds = self.told.rounds.iter().filter(|round| wanted(&round.line));
        let last = rounds.max_by_key(|round| round.window.end);
        last.map(|round| round.window.end.since(round.window.start))
    }

    /// A site's links, each once, in order of name.
    fn links<'a>(&'a self, id: &'a str) -> impl Iterator<Item = LinkName> + 'a {
        let mut names: Vec<LinkName> =
            self.evidence.keys().filter(|key| key.0 == id).map(|key| key.1.clone()).collect();
        names.dedup();
        names.into_iter()
    }

    fn index(&self, id: &str, name: &LinkName) -> Told<usize> {
        let found = self.links(id).position(|link| link == *name);
        found.ok_or_else(|| format!("site `{id}` has no link `{name}`"))
    }

    /// Every site in each of its eras, with the links that are wanted.
    fn eras(&self, wanted: impl Fn(&LinkName) -> bool) -> Told<Vec<SiteView<'_>>> {
        let mut eras = Vec::new();
        for (id, site) in &self.told.sites {
            let view = self.view(id)?;
            let links = self.links(id).zip(view.links.iter().cloned()).filter(|(name, _)| wanted(name));
            let view = SiteView { links: links.map(|(_, link)| link).collect(), ..view };
            let mut from = view.valid_from;
            for (until, tier, branch) in &site.former {
                let valid_to = Some(view.valid_to.map_or(*until, |to| to.min(*until)));
                eras.push(SiteView { tier, branch, valid_from: from, valid_to, ..view.clone() });
                from = from.max(*until);
            }
            eras.push(SiteView { valid_from: from, ..view });
        }
        Ok(eras)
    }

    /// The sites of [`Self::eras`].
    fn ids_of_eras(&self) -> impl Iterator<Item = &str> {
        let ids = self.told.sites.iter();
        ids.flat_map(|(id, site)| std::iter::repeat_n(id.as_str(), site.former.len() + 1))
    }

    fn view(&self, id: &str) -> Told<SiteView<'_>> {
        let (id, site): (&String, &Site) =
            self.told.sites.get_key_value(id).ok_or_else(|| format!("no site `{id}`"))?;
        let link = |name: LinkName| {
            let seen = self.evidence.iter().filter(|(key, _)| key.0 == *id && key.1 == name);
            let rounds = seen.clone().filter_map(|(key, _)| self.last_round(|line| line == key));
            let hold = rounds_hold(rounds.max().unwrap_or_default());
            let own = seen.clone().find(|(key, _)| key.2 == *id).map(|(_, spans)| spans);
            let others = seen.filter(|(key, _)| key.2 != *id).map(|(key, spans)| self.other(&key.2, spans));
            let valid = site.valid.get(&name).copied().unwrap_or(Window::ALWAYS);
            LinkView { kind: name.kind(), valid, own, others: others.collect(), hold }
        };
        Ok(SiteView {
            tier: &site.tier,
            branch: &site.branch,
            valid_from: site.from,
            valid_to: site.to,
            equipped_from: site.secret,
            links: self.links(id).map(link).collect(),
        })
    }

    fn other<'a>(&'a self, vantage: &str, spans: &'a Spans) -> Other<'a> {
        match self.cut_offs.get(vantage) {
            Some(cut_off) => Other { spans, cut_off },
            None => spans.into(),
        }
    }

    // ------------------------------------------------------------------------------------------ rows

    fn interval(&self, interval: &Interval) -> String {
        let (start, end) = (self.told.clock(interval.start), self.told.clock(interval.end));
        format!("{start}  {end}  {}", state(interval.state))
    }

    /// Neighbours that differ only in what the rule looked at are one row.
    fn charge_rows(&self, charges: &[Charge]) -> Vec<String> {
        let mut joined: Vec<Charge> = Vec::new();
        for charge in charges {
            match joined.last_mut() {
                Some(last)
                    if last.end == charge.start && last.state == charge.state && last.rule == charge.rule =>
                {
                    last.end = charge.end;
                }
                Some(_) | None => joined.push(*charge),
            }
        }
        let row = |charge: &Charge| {
            let (start, end) = (self.told.clock(charge.start), self.told.clock(charge.end));
            let (cause, rule) = (charge.rule.cause().as_str(), charge.rule.as_str());
            format!("{start}  {end}  {}  {cause} {rule}", state(charge.state))
        };
        joined.iter().map(row).collect()
    }

    fn incident(&self, incident: &Incident) -> String {
        let end = if incident.ongoing { "on".to_owned() } else { self.told.clock(incident.end) };
        let (start, bad) = (self.told.clock(incident.start), length(incident.bad_ms));
        let (cause, rule) = (incident.cause().as_str(), incident.rule.as_str());
        format!("{}  {start}  {end}  bad {bad}  {cause} {rule}", incident.kind.as_str())
    }

    fn figures(&self, figures: &Uptime) -> Vec<String> {
        let d = &figures.durations;
        let mut times = format!(
            "up {}  degraded {}  down {}  unknown {}",
            length(d.up_ms),
            length(d.degraded_ms),
            length(d.down_ms),
            length(d.unknown_ms)
        );
        if d.planned_ms > 0 {
            let _ = write!(times, "  planned {}", length(d.planned_ms));
        }
        if d.outside_ms > 0 {
            let _ = write!(times, "  outside {}", length(d.outside_ms));
        }
        let ratios = format!(
            "uptime {}  availability {}  observed {}  low {}  high {}",
            share(figures.uptime),
            share(figures.availability),
            share(figures.observed_share),
            share(figures.low),
            share(figures.high)
        );
        let mut outages = format!("outages {}", figures.outages);
        if let Some(longest) = figures.longest_outage {
            let _ = write!(
                outages,
                "  longest {} from {}",
                length(longest.down_ms),
                self.told.clock(longest.start)
            );
        }
        vec![times, ratios, outages]
    }
}

/// When each vantage that is a site with rounds of its own was cut off.
fn cut_offs(evidence: &Evidence, now: UnixMillis) -> BTreeMap<String, Periods> {
    let vantages: std::collections::BTreeSet<&String> =
        evidence.keys().filter(|(site, _, by)| site != by).map(|(_, _, by)| by).collect();
    let cut_off = |vantage: &&String| {
        let own = evidence.iter().filter(|((site, _, by), _)| site == *vantage && by == *vantage);
        let own: Vec<(LinkKind, &Spans)> = own.map(|((_, link, _), spans)| (link.kind(), spans)).collect();
        let watched = evidence.iter().filter(|((site, _, by), _)| site != *vantage && by == *vantage);
        let vantage = Vantage { own: &own, now, hold: SILENCE_LIMIT };
        vantage.cut_off(watched.map(|(_, spans)| spans))
    };
    vantages.iter().map(|vantage| ((*vantage).clone(), cut_off(vantage))).collect()
}

fn state(state: State) -> String {
    match state {
        State::Up => "up".to_owned(),
        State::Degraded => "degraded".to_owned(),
        State::Down => "down".to_owned(),
        State::Unknown(why) => format!("unknown {}", word(&why)),
    }
}

fn coverage_row(coverage: &Coverage, row: &Row) -> String {
    let sites = |count| coverage.sites(count).map_or("-".to_owned(), |sites| format!("{sites:.3}"));
    let sites = |count| sites(count).trim_end_matches('0').trim_end_matches('.').to_owned();
    let c = &row.counts;
    let mut text = format!(
        "{} {}: registered {}  equipped {}  covered {}  not {}  unknown {}  low {}  high {}",
        row.tier.as_deref().unwrap_or("all"),
        row.branch.as_deref().unwrap_or("all"),
        sites(c.registered),
        sites(c.equipped),
        sites(c.covered),
        sites(c.not_covered),
        sites(c.unknown),
        share(row.low),
        share(row.high)
    );
    if let Some(standing) = &row.standing {
        let _ = write!(text, "  {}", word(standing));
    }
    text
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{:.3}%", ratio * 100.0))
}

fn length(millis: i64) -> String {
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { text } else { format!("{text}.{rest:03}") }
}

/// The word that the JSON API has for it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
