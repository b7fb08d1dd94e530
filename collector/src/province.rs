//! The province at an instant: what every reader (API, metrics, page, command line) derives its figures from.
//!
//! Taking one copies no evidence: spans are shared with the engine, which copies a track only when it changes it while a
//! reader still looks. So a report over a year neither delays a push nor sees half of one.

mod causes;
mod groups;
mod planned;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

pub use causes::Causes;
pub use groups::{AtPresent, Group};
use wan_wire::{LinkKind, LinkName, SiteId, UnixMillis};

use crate::central::{Document, Told};
use crate::config::Config;
use crate::history::Loading;
use crate::inventory::era::{Registered, day_of};
use crate::inventory::{Register, Site, Watches};
use crate::ledger::life::Lives;
use crate::ledger::periods::Periods;
use crate::ledger::span::Spans;
use crate::ledger::timeline::{Basis, LinkView, Other, SiteView, Timeline, Window};
use crate::ledger::vantage::Vantage;
use crate::planned::Planned;
use crate::quality::recent::LastMinutes;
use crate::report::coverage::{Coverage, TierTarget};
use crate::report::uptime::{HoursOf, Policy, Terms, Uptime};
use crate::state::{AgentFacts, Latest, State};
use crate::verdict::{self, Facts, Rule, Standing, Witness};

/// One link's evidence, as shared with the engine.
#[derive(Debug, Clone)]
pub struct Link {
    /// The link.
    pub name: LinkName,
    /// What the site's own agent saw, and its newest round.
    pub own: Option<(Arc<Spans>, Option<Latest>)>,
    /// What others saw, by vantage.
    pub others: BTreeMap<SiteId, Seen>,
    /// The longest of the observers' last rounds.
    pub round: Duration,
    /// When it is one of the site's links.
    pub valid: Window,
}

/// What another site's agent saw of a link.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it saw.
    pub spans: Arc<Spans>,
    /// When it was itself cut off.
    pub cut_off: Arc<Periods>,
    /// How long its last round was; zero where none came since the start.
    pub round: Duration,
}

/// Everything about one site at the instant of its [`Province`].
#[derive(Debug, Clone)]
pub struct SiteNow<'r> {
    /// Its entry in the register.
    pub site: &'r Site,
    /// What the register says of it at that instant.
    pub registered: Registered<'r>,
    /// Its links, by name: those of the register and those that were seen.
    pub links: &'r [Link],
    /// When its agent last pushed, if that is remembered.
    pub last_push: Option<UnixMillis>,
    /// What its agent last said of itself.
    pub facts: &'r AgentFacts,
    /// When its host booted and its agent started, by the agent's word.
    pub lives: &'r Lives,
    /// When it was first given a secret.
    pub issued: Option<UnixMillis>,
    /// What its agent is told to probe.
    pub document: Option<&'r Document>,
    /// What its agent last said of that.
    pub told: Option<&'r Told>,
    /// Why that is not what file and register say now, if it is not.
    pub held: Option<&'r str>,
    view: SiteView<'r>,
}

impl<'r> SiteNow<'r> {
    /// The view that timelines and figures of the site are derived from: all the time of its registration, in its present tier and
    /// branch. What counts sites by tier or branch takes [`Province::eras`].
    #[must_use]
    pub const fn view(&self) -> &SiteView<'r> {
        &self.view
    }

    /// Its links of which there is evidence, in the order of [`SiteNow::view`].
    pub fn seen_links(&self) -> impl Iterator<Item = &'r Link> + use<'r> {
        self.links.iter().filter(|link| link.is_seen())
    }

    /// One of its links.
    #[must_use]
    pub fn link(&self, name: &LinkName) -> Option<&'r Link> {
        let at = self.links.binary_search_by(|link| link.name.cmp(name)).ok()?;
        self.links.get(at)
    }
}

impl Link {
    /// Whether there is any evidence about it. A link that the register lists and nobody has probed is not measured,
    /// which is not the same as silent.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.own.is_some() || !self.others.is_empty()
    }

    /// The view that its timeline is derived from.
    #[must_use]
    pub fn view(&self) -> LinkView<'_> {
        LinkView {
            kind: self.name.kind(),
            valid: self.valid,
            own: self.own.as_ref().map(|(spans, _)| &**spans),
            others: self.others.values().map(Seen::view).collect(),
            hold: verdict::rounds_hold(self.round),
        }
    }
}

impl Seen {
    /// The vantage as a witness of whether the link is down.
    #[must_use]
    pub fn witness(&self) -> Witness<'_> {
        Witness { spans: &self.spans, cut_off: &self.cut_off, round: self.round }
    }

    fn view(&self) -> Other<'_> {
        Other { spans: &self.spans, cut_off: &self.cut_off }
    }
}

/// Register, evidence and circumstances at one instant.
#[derive(Debug)]
pub struct Province<'c> {
    config: &'c Config,
    register: Arc<Register>,
    revision: i64,
    evidence: HashMap<SiteId, SiteEvidence>,
    running: Periods,
    required: Vec<LinkKind>,
    hears_since: Option<UnixMillis>,
    planned: Arc<Planned>,
    memo: planned::Memo,
    /// By site, those whose path leads through it now: made when it is first asked for.
    behind: OnceLock<BTreeMap<SiteId, Vec<SiteId>>>,
    loading: Option<Loading>,
    last_minutes: Arc<LastMinutes>,
    /// The present of all that is derived.
    pub now: UnixMillis,
}

#[derive(Debug, Default)]
struct SiteEvidence {
    /// By name.
    links: Vec<Link>,
    last_push: Option<UnixMillis>,
    facts: Arc<AgentFacts>,
    lives: Arc<Lives>,
    issued: Option<UnixMillis>,
    first_own: Option<UnixMillis>,
    enrolled: bool,
    document: Option<Arc<Document>>,
    told: Option<Told>,
    held: Option<String>,
    silence_limit: Duration,
    own_round: Option<Duration>,
}

/// The evidence of a site that has none.
static NOTHING: LazyLock<SiteEvidence> = LazyLock::new(SiteEvidence::default);

impl<'c> Province<'c> {
    /// The province as `state` has it.
    #[must_use]
    pub fn of(state: &'c State, now: UnixMillis) -> Self {
        Self::with_sites(state, now, |_| true)
    }

    /// The same with the evidence of one site (and its parents of any time, whose verdict bears on its own): for pages about one
    /// site.
    #[must_use]
    pub fn of_site(state: &'c State, now: UnixMillis, site: &SiteId) -> Self {
        let directory = state.directory();
        let mut wanted = BTreeSet::new();
        let mut next = vec![site.clone()];
        while let Some(id) = next.pop() {
            let Some(site) = directory.register.get(&id) else { continue };
            if wanted.insert(id) {
                let former = site.former.iter().filter_map(|former| former.parent.as_ref());
                next.extend(former.chain(&site.parent).cloned());
            }
        }
        Self::with_sites(state, now, |site| wanted.contains(site))
    }

    fn with_sites(state: &'c State, now: UnixMillis, wanted: impl Fn(&SiteId) -> bool) -> Self {
        // Before the evidence: what is loaded in between is more than this says.
        let loading = state.history.loading();
        let directory = state.directory();
        let enrolled: HashSet<&SiteId> = directory.credentials.values().map(|site| &site.id).collect();
        let cut_offs = cut_offs(state, now);
        let never = Arc::new(Periods::new());
        let mut evidence = HashMap::with_capacity(directory.register.len());
        for site in directory.register.sites().filter(|site| wanted(&site.id)) {
            let Some(runtime) = directory.runtimes.get(&site.id) else { continue };
            let seen = runtime.evidence();
            let own_round = runtime.expected_round_by(&seen);
            let mut of_site = SiteEvidence {
                links: Vec::with_capacity(site.links.len()),
                last_push: runtime.last_push(),
                facts: runtime.facts(),
                lives: runtime.lives(),
                issued: directory.issued.get(&site.id).copied(),
                first_own: seen.first_of(&site.id),
                enrolled: enrolled.contains(&site.id),
                document: runtime.document(),
                told: state.central.told_by(&site.id),
                held: state.central.held(&site.id),
                silence_limit: state.silence_limit(own_round),
                own_round,
            };
            let before = own_round.unwrap_or_default();
            for link in &site.links {
                of_site.link(&link.name).valid = link.valid(&state.config.timezone);
            }
            for track in seen.tracks() {
                let link = of_site.link(&track.link);
                if track.spans.is_empty() {
                    continue;
                }
                // Of rounds that came before a restart only the site's own are expected to be as long as they were.
                let own = track.vantage == site.id;
                let round = track.latest.map(|latest| latest.length()).or(own.then_some(before));
                link.round = link.round.max(round.unwrap_or_default());
                if own {
                    link.own = Some((Arc::clone(&track.spans), track.latest));
                } else {
                    let cut_off = Arc::clone(cut_offs.get(&track.vantage).unwrap_or(&never));
                    link.others.insert(
                        track.vantage.clone(),
                        Seen { spans: Arc::clone(&track.spans), cut_off, round: round.unwrap_or_default() },
                    );
                }
            }
            drop(seen);
            evidence.insert(site.id.clone(), of_site);
        }
        let mut running: Periods = state.alive(now).into_iter().map(|run| (run.start, run.end)).collect();
        let mut hears_since = state.started();
        for blind in centre_cut_off(&directory.register, &cut_offs).as_slice() {
            running.remove(blind.start, blind.end);
            if blind.start <= now {
                hears_since = hears_since.map(|since| since.max(blind.end)).filter(|since| *since <= now);
            }
        }
        Self {
            config: &state.config,
            register: Arc::clone(&directory.register),
            revision: directory.revision,
            evidence,
            running,
            required: state.config.plan.required.iter().copied().collect(),
            hears_since,
            planned: Arc::clone(&directory.planned),
            memo: planned::Memo::default(),
            behind: OnceLock::new(),
            loading,
            last_minutes: state.last_minutes(),
            now,
        }
    }

    /// What derivations rest on. The newest word of an agent holds for the silence limit, or for three of its rounds where that
    /// is longer ([`Link::round`]), so that the present of a site that pushes in time is known.
    #[must_use]
    pub fn basis(&self) -> Basis<'_> {
        Basis {
            now: self.now,
            running: &self.running,
            hold: self.config.ingest.silence_limit,
            required: &self.required,
        }
    }

    /// Whether all evidence that bears on a time from `start` on is in memory ([`crate::history`]). What is derived of an
    /// earlier time while it is not may be wrong.
    ///
    /// # Errors
    /// What is still being loaded.
    pub fn reaches(&self, start: UnixMillis) -> Result<(), Loading> {
        self.loading.map_or(Ok(()), |loading| loading.covers(start))
    }

    /// Since when a verdict holds, and whether it may have held before: while the history is still being loaded, what holds since
    /// before it is known to hold at least since then. `None`: since ever.
    #[must_use]
    pub fn begun(&self, standing: Standing) -> (Option<UnixMillis>, bool) {
        let since = Some(standing.since).filter(|since| *since != UnixMillis::MIN);
        let from_evidence = match standing.rule {
            Rule::NotEnrolled | Rule::Planned | Rule::NeverHeard => false,
            Rule::AllLinesDown
            | Rule::WanDown
            | Rule::NothingSeen
            | Rule::PartDown
            | Rule::PartDegraded
            | Rule::AllWell
            | Rule::Blind
            | Rule::LineWorks
            | Rule::NobodyElseSees
            | Rule::ParentCutOff
            | Rule::SeenDown => true,
        };
        match self.loading {
            Some(loading) if from_evidence && standing.since < loading.before => (Some(loading.before), true),
            Some(_) | None => (since, false),
        }
    }

    /// The quality of all links over the last closed minutes.
    #[must_use]
    pub fn last_minutes(&self) -> &LastMinutes {
        &self.last_minutes
    }

    /// Whether the whole of a window lies in the hours of service.
    #[must_use]
    pub fn is_in_service(&self, window: Window) -> bool {
        !window.is_empty() && self.service_time(window).total_ms() == window.millis()
    }

    /// The revision of the store that the register is of.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The register.
    #[must_use]
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// Since when the collector hears without a break; `None`: it does not, since the centre is cut off or it has not started.
    #[must_use]
    pub fn hears_since(&self) -> Option<UnixMillis> {
        self.hears_since
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.config
    }

    /// One registered site, whether or not it is valid now.
    #[must_use]
    pub fn site(&self, id: &SiteId) -> Option<SiteNow<'_>> {
        self.register.get(id).map(|site| self.site_now(site))
    }

    /// Every site of the register, by id; sites that are no longer, or not yet, valid among them.
    pub fn sites(&self) -> impl Iterator<Item = SiteNow<'_>> {
        self.register.sites().map(|site| self.site_now(site))
    }

    /// The sites of the register that are valid now, by id.
    pub fn registered(&self) -> impl Iterator<Item = SiteNow<'_>> {
        let zone = &self.config.timezone;
        let valid = self.register.sites().filter(move |site| site.registered_at(self.now, zone));
        valid.map(|site| self.site_now(site))
    }

    fn site_now<'p>(&'p self, site: &'p Site) -> SiteNow<'p> {
        let zone = &self.config.timezone;
        let evidence = self.evidence.get(&site.id).unwrap_or(&NOTHING);
        let registered = site.as_of_instant(self.now, zone);
        let seen = evidence.links.iter().filter(|link| link.is_seen());
        let view = SiteView {
            tier: registered.tier.as_str(),
            branch: registered.branch.as_str(),
            valid_from: site.valid_from_ms(zone).unwrap_or(UnixMillis::MIN),
            valid_to: site.valid_to_ms(zone),
            equipped_from: evidence.issued.into_iter().chain(evidence.first_own).min(),
            links: seen.map(Link::view).collect(),
        };
        SiteNow {
            site,
            registered,
            links: &evidence.links,
            last_push: evidence.last_push,
            facts: &evidence.facts,
            lives: &evidence.lives,
            issued: evidence.issued,
            document: evidence.document.as_deref(),
            told: evidence.told.as_ref(),
            held: evidence.held.as_deref(),
            view,
        }
    }

    /// One view for each era of a site, each registered for that era only: what counts sites by tier, branch, district or carrier at a
    /// time. They share the site's links.
    pub fn eras<'s>(&self, site: &SiteNow<'s>) -> Vec<(Registered<'s>, SiteView<'s>)> {
        let view = site.view();
        let eras = site.site.eras(&self.config.timezone).map(|era| {
            let registered = era.registered;
            let view = SiteView {
                tier: registered.tier.as_str(),
                branch: registered.branch.as_str(),
                valid_from: era.from.unwrap_or(UnixMillis::MIN),
                valid_to: era.to,
                ..view.clone()
            };
            (registered, view)
        });
        eras.collect()
    }

    /// The site that another's WAN path depends on at an instant; see [`Register::parent_at`].
    #[must_use]
    pub fn parent_at(&self, site: &SiteId, at: UnixMillis) -> Option<&Site> {
        self.register.parent_at(site, at, &self.config.timezone)
    }

    /// The sites whose path leads through a site now, by id.
    pub fn behind(&self, site: &SiteId) -> impl Iterator<Item = &SiteId> {
        let made = || {
            let (register, zone) = (self.register(), &self.config.timezone);
            let mut behind: BTreeMap<SiteId, Vec<SiteId>> = BTreeMap::new();
            for site in register.sites().filter(|site| site.registered_at(self.now, zone)) {
                let mut below = site;
                // On no day do parents form a circle.
                while let Some(parent) = self.parent_at(&below.id, self.now) {
                    behind.entry(parent.id.clone()).or_default().push(site.id.clone());
                    below = parent;
                }
            }
            behind
        };
        self.behind.get_or_init(made).get(site).into_iter().flatten()
    }

    /// The verdict of one site now.
    #[must_use]
    pub fn standing(&self, id: &SiteId) -> Option<Standing> {
        self.standing_under(self.register.get(id)?, &mut HashMap::new())
    }

    /// The verdicts of all sites that are registered now.
    #[must_use]
    pub fn standings(&self) -> BTreeMap<SiteId, Standing> {
        let (mut known, zone) = (HashMap::with_capacity(self.register.len()), &self.config.timezone);
        let registered = self.register.sites().filter(|site| site.registered_at(self.now, zone));
        registered
            .filter_map(|site| Some((site.id.clone(), self.standing_under(site, &mut known)?)))
            .collect()
    }

    /// Parents first: the parents of a day form no circle, so the chain ends.
    fn standing_under<'p>(
        &'p self,
        site: &'p Site,
        known: &mut HashMap<&'p SiteId, Standing>,
    ) -> Option<Standing> {
        let mut chain = vec![site];
        while let Some(site) = chain.last().filter(|site| !known.contains_key(&site.id)) {
            match self.register.parent_of(site, self.now, &self.config.timezone) {
                Some(parent) if !known.contains_key(&parent.id) => chain.push(parent),
                parent => {
                    let standing = self.standing_below(site, parent.and_then(|parent| known.get(&parent.id)));
                    known.insert(&site.id, standing);
                    chain.pop();
                }
            }
        }
        known.get(&site.id).copied()
    }

    /// The verdict of a site whose parent's is known.
    fn standing_below(&self, site: &Site, parent: Option<&Standing>) -> Standing {
        let (site, evidence) = (self.site_now(site), self.evidence.get(&site.id));
        let cut_off = parent.filter(|parent| parent.verdict.cuts_children_off());
        let facts = Facts {
            enrolled: site.issued.filter(|_| evidence.is_some_and(|evidence| evidence.enrolled)),
            planned: self.planned_since(&site),
            last_push: site.last_push,
            parent_cut_off: cut_off.map(|parent| parent.since),
            hears_since: self.hears_since,
            silence_limit: evidence
                .map_or(self.config.ingest.silence_limit, |evidence| evidence.silence_limit),
            late_limit: verdict::late_limit(evidence.and_then(|evidence| evidence.own_round)),
            seen_down: self.seen_down(&site),
        };
        verdict::standing(site.view(), &facts, &self.basis())
    }

    /// Whether all others who look at a site's WAN see it down, for long enough to be believed.
    fn seen_down(&self, site: &SiteNow<'_>) -> bool {
        let wan = site.links.iter();
        let wan = wan.filter(|link| link.name.kind() == LinkKind::Wan && link.valid.holds(self.now));
        let lines = wan.map(|link| link.others.values().map(Seen::witness));
        verdict::seen_down(lines, self.now, self.config.ingest.silence_limit, self.config.ingest.confirm)
    }

    /// The plan's tiers with the targets that hold at an instant, in the plan's order.
    #[must_use]
    pub fn targets_at(&self, at: UnixMillis) -> Vec<TierTarget<'_>> {
        let day = day_of(at, &self.config.timezone);
        let tier = |tier: &'c crate::config::Tier| TierTarget {
            tier: tier.id.as_str(),
            target: tier.target.on(day),
        };
        self.config.plan.tiers.iter().map(tier).collect()
    }

    /// The targets of figures over a window: those that hold at its end.
    #[must_use]
    pub fn targets_over(&self, window: Window) -> Vec<TierTarget<'_>> {
        self.targets_at(window.end.min(self.now).plus_millis(-1))
    }

    /// Coverage at an instant.
    #[must_use]
    pub fn coverage_at(&self, at: UnixMillis) -> Coverage {
        let sites: Vec<SiteNow<'_>> = self.sites().collect();
        Coverage::at(&self.views(&sites), &self.targets_at(at), &self.basis(), at)
    }

    /// Coverage over a window, time-weighted.
    #[must_use]
    pub fn coverage_over(&self, window: Window) -> Coverage {
        let sites: Vec<SiteNow<'_>> = self.sites().collect();
        Coverage::over(&self.views(&sites), &self.targets_over(window), &self.basis(), window)
    }

    /// The timeline of a site, or of one of its links; `None` when it has no such link.
    #[must_use]
    pub fn timeline(&self, site: &SiteNow<'_>, link: Option<&LinkName>, window: Window) -> Option<Timeline> {
        let view = site.view();
        match link {
            None => Some(Timeline::of_site(view, &self.basis(), window)),
            Some(name) => {
                let link = site.link(name)?.view();
                Some(Timeline::of_link(view, &link, &self.basis(), window))
            }
        }
    }

    /// The figures of a site, or of one of its links, over all hours and without planned time; `None` when it has no such link.
    #[must_use]
    pub fn uptime(&self, site: &SiteNow<'_>, link: Option<&LinkName>, window: Window) -> Option<Uptime> {
        self.uptime_under(site, link, window, HoursOf::All, Policy::Exclude)
    }

    /// The same over other hours, or with planned time taken otherwise.
    #[must_use]
    pub fn uptime_under(
        &self,
        site: &SiteNow<'_>,
        link: Option<&LinkName>,
        window: Window,
        hours: HoursOf,
        policy: Policy,
    ) -> Option<Uptime> {
        let timeline = self.timeline(site, link, window)?;
        let planned = match policy {
            Policy::Exclude | Policy::CountAsUp => self.planned_of(site, link, window),
            Policy::Ignore => Periods::new(),
        };
        let hours = match hours {
            HoursOf::All => None,
            HoursOf::Service => Some(self.service_time(window)),
        };
        Some(Uptime::under(&timeline, Terms { planned: &planned, policy, hours: hours.as_deref() }))
    }
}

/// When each site that watches others was itself cut off.
fn cut_offs(state: &State, now: UnixMillis) -> BTreeMap<SiteId, Arc<Periods>> {
    let directory = state.directory();
    let vantages = directory.register.sites().filter(|site| site.watches != Watches::None);
    let cut_off = |site: &Site| {
        let runtime = directory.runtimes.get(&site.id)?;
        let own: Vec<(LinkKind, Arc<Spans>)> = {
            let evidence = runtime.evidence();
            let own = evidence.tracks().iter().filter(|track| track.vantage == site.id);
            own.map(|track| (track.link.kind(), Arc::clone(&track.spans))).collect()
        };
        let own: Vec<(LinkKind, &Spans)> = own.iter().map(|(kind, spans)| (*kind, &**spans)).collect();
        let hold = state.config.ingest.silence_limit;
        let mut suspect = Vantage { own: &own, now, hold }.suspect();
        for (id, watched) in &directory.runtimes {
            if suspect.is_empty() {
                return None;
            }
            if *id == site.id {
                continue;
            }
            for track in watched.evidence().tracks().iter().filter(|track| track.vantage == site.id) {
                let round = track.latest.map(|latest| latest.length()).unwrap_or_default();
                suspect.clear(&track.spans, hold.max(verdict::rounds_hold(round)));
            }
        }
        Some((site.id.clone(), Arc::new(suspect.settled())))
    };
    vantages.filter_map(cut_off).collect()
}

/// When the centre was cut off: every site that watches all others. Where no site does, nothing is known of it.
fn centre_cut_off(register: &Register, cut_offs: &BTreeMap<SiteId, Arc<Periods>>) -> Periods {
    let centres = register.sites().filter(|site| site.watches == Watches::All);
    let all: Option<Vec<&Periods>> = centres.map(|site| cut_offs.get(&site.id).map(|cut| &**cut)).collect();
    let all = all.unwrap_or_default();
    all.split_first().map_or_else(Periods::new, |(first, others)| {
        others.iter().fold((*first).clone(), |both, other| both.intersect(other))
    })
}

impl SiteEvidence {
    fn link(&mut self, name: &LinkName) -> &mut Link {
        let at = self.links.binary_search_by(|link| link.name.cmp(name)).unwrap_or_else(|at| {
            let (own, others, round) = (None, BTreeMap::new(), Duration::ZERO);
            self.links.insert(at, Link { name: name.clone(), own, others, round, valid: Window::ALWAYS });
            at
        });
        &mut self.links[at]
    }
}
