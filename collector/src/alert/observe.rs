//! From the province at an instant to what is wrong in it: pure.
//!
//! | rule | bad while | nothing is said while |
//! | --- | --- | --- |
//! | `site_offline` | the verdict is `offline`; held up while `unreachable`, or while nothing was heard of the parent, or by those who see it down, since | the verdict is `unknown`, `maintenance`, the agent silent and nobody else looks, or nothing was heard since the collector's start |
//! | `agent_silent` | the verdict is `agent_silent`, since the last push or, after a cut, since others see it again | `unknown`, `maintenance`, `offline`, `unreachable` |
//! | `link_down` | the site is heard and the newest word about the link is `down`; held up while the LAN is down, a service also while all WAN lines are, an Internet line while its carrier's WAN line is, and all until a round that began after the site was heard again | the site is not heard, the word is old, works are planned |
//! | `link_degraded`, `instrument_fault` | the same for `degraded`, and for an instrument that failed; a link that is up is degraded beyond its contract while that is [broken](promise) | the same; what began as beyond a contract, while that cannot be judged |
//! | `coverage_under_target` | a tier's high bound is under its target, though enough sites are equipped | the collector does not hear |
//! | `collector_blind` | the centre is cut off, or nothing at all of the province is heard or seen | |
//! | `clock_wrong` | a host's clock is off by more than [`CLOCK_WRONG`], its uncertainty left out | the site is not heard |
//! | `queue_dropping` | an agent's count of dropped samples rose within [`DROPPING`] | the site is not heard |
//! | `certificate_expiring` | the collector's own certificate, or that of a target that agents probe, ends within [`EXPIRING`] | |
//!
//! **Nothing of the province.** Where every site is offline or about to be, at least as many as make a storm are not behind another, and no
//! agent at the centre says that its Internet line works, it is the centre that is cut off, whether or not its own agent could say so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wan_wire::{LinkKind, LinkName, Outcome, SiteId, UnixMillis};

use super::certificate;
use super::machine::{Bad, Held, Key, Seen, Sight, Suspect};
use super::notice::{Common, Rule, Subject};
use super::promise::{self, Promise};
use crate::inventory::Watches;
use crate::ledger::span::{Span, Spans};
use crate::ledger::timeline::Window;
use crate::province::{self, Link, Province, SiteNow};
use crate::report::coverage::Coverage;
use crate::verdict::{self, Standing, Verdict};

/// A clock that is off by so much makes times of files and mails wrong that people look at.
pub const CLOCK_WRONG: Duration = Duration::from_secs(60);
/// So long after it last dropped something a queue is said to drop.
pub const DROPPING: Duration = Duration::from_secs(15 * 60);
/// A certificate that ends within so long is to be renewed: two weeks are time to ask for one.
pub const EXPIRING: Duration = Duration::from_secs(14 * 86_400);
/// Agents name their targets themselves: a province has a handful of systems with a certificate.
const MOST_CERTIFICATES: usize = 50;
/// So long a site waits for a word about its parent before it is told for itself.
const DOUBT: Duration = Duration::from_secs(15);
/// So long after a start it is not known which links were beyond their contracts before.
const RECALLING: Duration = Duration::from_secs(10 * 60);
/// Coverage is derived anew this often: it looks at every site's evidence.
const COVERAGE_EVERY: Duration = Duration::from_secs(30);

/// What the collector knows of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own {
    /// When its certificate ends, where it has one.
    pub certificate_ends: Option<UnixMillis>,
    /// So many sites make a storm.
    pub many: u32,
}

/// What is remembered from one look to the next. Losing it, as a restart does, costs a rise of a counter that nobody saw, a round's
/// wait for what links do, and the time until a contract is judged again.
#[derive(Debug, Default)]
pub struct Memory {
    /// Since when each site that is heard is heard without a gap.
    heard: BTreeMap<SiteId, UnixMillis>,
    dropped: BTreeMap<SiteId, (f64, Option<UnixMillis>)>,
    coverage: Option<(UnixMillis, BTreeSet<String>)>,
    /// Since when links are beyond their contracts.
    beyond: BTreeMap<(SiteId, LinkName), UnixMillis>,
}

/// What is wrong in the province now.
#[must_use]
pub fn observe(province: &Province<'_>, own: &Own, memory: &mut Memory) -> Sight {
    let standings = province.standings();
    let sites: Vec<(SiteNow<'_>, Standing)> =
        standings.iter().filter_map(|(id, standing)| Some((province.site(id)?, *standing))).collect();
    let proofs: BTreeMap<&SiteId, UnixMillis> =
        sites.iter().filter_map(|(site, _)| Some((&site.site.id, proof(site, province.now)?))).collect();
    let watchers = watchers(&sites);
    let mut look = Look { province, standings: &standings, proofs, watchers, sight: Sight::default() };
    for (site, standing) in &sites {
        look.site(site, *standing, memory);
    }
    look.blind(&sites, own);
    look.coverage(memory);
    if let Some(ends) = own.certificate_ends
        && ends.since(province.now) < EXPIRING
    {
        look.bad(Rule::CertificateExpiring, Subject::Collector, None, None, Vec::new());
    }
    look.certificates(&sites);
    memory.dropped.retain(|site, _| standings.contains_key(site));
    memory.heard.retain(|site, _| standings.contains_key(site));
    memory.beyond.retain(|(site, _), _| standings.contains_key(site));
    look.sight
}

/// Until when each vantage is proved to have been connected itself: a round that began then had an answer, of its own links or of a site
/// that it watches.
fn watchers(sites: &[(SiteNow<'_>, Standing)]) -> BTreeMap<SiteId, UnixMillis> {
    let mut watchers: BTreeMap<SiteId, UnixMillis> = BTreeMap::new();
    let mut prove = |vantage: &SiteId, spans: &Spans, round: Duration| {
        if let Some(at) = answered(spans, round) {
            let known = watchers.entry(vantage.clone()).or_insert(at);
            *known = at.max(*known);
        }
    };
    for (site, _) in sites {
        for link in site.links {
            if let Some((spans, latest)) = link.own.as_ref().filter(|_| site.site.watches != Watches::None) {
                prove(&site.site.id, spans, latest.map(|latest| latest.length()).unwrap_or_default());
            }
            for (vantage, seen) in &link.others {
                prove(vantage, &seen.spans, seen.round);
            }
        }
    }
    watchers
}

/// What each other vantage saw of a site's WAN lines.
fn wan_seen<'s>(site: &'s SiteNow<'_>) -> impl Iterator<Item = (&'s SiteId, &'s province::Seen)> {
    let wan = site.links.iter().filter(|link| link.name.kind() == LinkKind::Wan);
    wan.flat_map(|link| &link.others)
}

/// When the newest round of a vantage began that had an answer. Which packet of it that was is not known: it may have been the first.
fn answered(spans: &Spans, round: Duration) -> Option<UnixMillis> {
    let newest = spans.iter().rev().find(|span| span.outcome >= Outcome::Degraded)?;
    Some(newest.end.minus(round).max(newest.start))
}

/// Since when no round of a vantage was lost whole, as far as its newest words go.
fn answers_since(spans: &Spans) -> Option<UnixMillis> {
    let answered = spans.iter().rev().take_while(|span| span.outcome != Outcome::Down);
    answered.filter(|span| span.outcome >= Outcome::Degraded).last().map(|span| span.start)
}

/// Until when a site is proved to have been connected: its agent was heard, or a round of another vantage that began then had an
/// answer.
fn proof(site: &SiteNow<'_>, now: UnixMillis) -> Option<UnixMillis> {
    let answered = wan_seen(site).filter_map(|(_, seen)| answered(&seen.spans, seen.round));
    site.last_push.into_iter().chain(answered).max().map(|at| at.min(now))
}

/// The newest word about a link, the site's own first, if it still holds.
fn word(link: &Link, now: UnixMillis, hold: Duration) -> Option<Span> {
    let hold = hold.max(verdict::rounds_hold(link.round));
    let fresh = |span: &&Span| now.since(span.end) <= hold;
    let own = link.own.as_ref().and_then(|(spans, _)| spans.last()).filter(fresh);
    let said = own.filter(|span| span.outcome != Outcome::Fault);
    let others = || {
        let newest = link.others.values().filter_map(|seen| seen.witness().word(now, hold));
        newest.filter(|span| span.outcome != Outcome::Fault).max_by_key(|span| (span.outcome, span.end))
    };
    said.or_else(others).or(own).copied()
}

/// How near to the site's own network a kind of link is.
const fn depth(kind: LinkKind) -> u8 {
    match kind {
        LinkKind::Lan => 0,
        LinkKind::Wan => 1,
        LinkKind::Internet => 2,
        LinkKind::Service => 3,
    }
}

struct Look<'l> {
    province: &'l Province<'l>,
    standings: &'l BTreeMap<SiteId, Standing>,
    proofs: BTreeMap<&'l SiteId, UnixMillis>,
    watchers: BTreeMap<SiteId, UnixMillis>,
    sight: Sight,
}

impl Look<'_> {
    fn bad(
        &mut self,
        rule: Rule,
        subject: Subject,
        since: Option<UnixMillis>,
        held: Option<Held>,
        commons: Vec<Common>,
    ) {
        self.sight.seen.insert(Key { rule, subject }, Seen::Bad(Bad { since, held, commons }));
    }

    fn unsure(&mut self, rule: Rule, subject: Subject) {
        self.sight.seen.insert(Key { rule, subject }, Seen::Unsure);
    }

    fn site(&mut self, site: &SiteNow<'_>, standing: Standing, memory: &mut Memory) {
        let id = &site.site.id;
        let subject = || Subject::Site { site: id.clone() };
        let commons = commons(site);
        if standing.verdict != Verdict::NotEnrolled {
            for common in &commons {
                *self.sight.totals.entry(common.clone()).or_default() += 1;
            }
        }
        let since = Some(standing.since);
        let mut heard = false;
        match standing.verdict {
            Verdict::Online | Verdict::Degraded | Verdict::WanDown if site.last_push.is_some() => {
                heard = true
            }
            // What is stored says so, and since the collector's start nothing was heard: what fires is not over for that.
            Verdict::Online | Verdict::Degraded | Verdict::WanDown => {
                self.unsure(Rule::SiteOffline, subject());
                self.unsure(Rule::AgentSilent, subject());
            }
            Verdict::Offline => {
                // Before the first round that was lost whole there may have been one of which only the first packet was
                // answered, here or there: a round later all such differences are over.
                let round = wan_seen(site).map(|(_, seen)| seen.round).max();
                let doubt = self.doubtful(site, standing.since, round.unwrap_or_default())
                    || (standing.rule == verdict::Rule::SeenDown && self.unproven(site, standing.since));
                let held = doubt.then_some(Held::Doubt);
                self.bad(Rule::SiteOffline, subject(), since, held, commons.clone());
                self.unsure(Rule::AgentSilent, subject());
            }
            Verdict::Unreachable => {
                self.bad(Rule::SiteOffline, subject(), since, Some(Held::Parent), commons.clone());
                self.unsure(Rule::AgentSilent, subject());
            }
            Verdict::AgentSilent => {
                if standing.rule == verdict::Rule::NobodyElseSees {
                    self.unsure(Rule::SiteOffline, subject());
                }
                // While it was cut off nothing could be heard of it, and that was told: its agent may take as long as ever from when it is back.
                let back = wan_seen(site).filter_map(|(_, seen)| answers_since(&seen.spans)).min();
                self.bad(Rule::AgentSilent, subject(), since.max(back), None, commons.clone());
            }
            Verdict::Unknown | Verdict::Maintenance => {
                self.unsure(Rule::SiteOffline, subject());
                self.unsure(Rule::AgentSilent, subject());
            }
            Verdict::NotEnrolled => return,
        }
        if heard {
            self.suspect(site, &commons);
            let returned = *memory.heard.entry(id.clone()).or_insert(self.province.now);
            self.links(site, returned, &commons, memory);
            self.agent(site, memory);
        } else {
            memory.heard.remove(id);
            for link in site.seen_links() {
                let of_link = || Subject::Link { site: id.clone(), link: link.name.clone() };
                for rule in [Rule::LinkDown, Rule::LinkDegraded, Rule::InstrumentFault] {
                    self.unsure(rule, of_link());
                }
            }
            self.unsure(Rule::ClockWrong, subject());
            self.unsure(Rule::QueueDropping, subject());
        }
    }

    /// Whether the parent may be the one that is cut off: nothing proves that it was connected some time after this began.
    fn doubtful(&self, site: &SiteNow<'_>, since: UnixMillis, after: Duration) -> bool {
        let now = self.province.now;
        let parent = self.province.parent_at(&site.site.id, now).map(|parent| &parent.id);
        let Some((parent, standing)) = parent.and_then(|id| Some((id, self.standings.get(id)?))) else {
            return false;
        };
        match standing.verdict {
            Verdict::Offline | Verdict::Unreachable => true,
            // Where nothing is known of it, nothing will be.
            Verdict::Unknown | Verdict::Maintenance | Verdict::NotEnrolled => false,
            Verdict::Online | Verdict::Degraded | Verdict::WanDown | Verdict::AgentSilent => {
                now.since(since) < DOUBT
                    && self.proofs.get(parent).is_none_or(|proof| *proof < since.plus(after))
            }
        }
    }

    /// Whether none of those who see a site down is proved to have been connected itself a round after that began: then it may be they who are
    /// cut off, which their own links will tell.
    fn unproven(&self, site: &SiteNow<'_>, since: UnixMillis) -> bool {
        let mut down = wan_seen(site).filter_map(|(vantage, seen)| {
            let last = seen.spans.last().filter(|span| span.outcome == Outcome::Down)?;
            Some((vantage, last.start.plus(seen.round)))
        });
        let proven = |(vantage, from): (&SiteId, UnixMillis)| {
            self.watchers.get(vantage).is_some_and(|proof| *proof >= from)
        };
        self.province.now.since(since) < DOUBT && !down.any(proven)
    }

    /// A site that is still heard in time, while the newest round of another vantage had no answer and nothing was heard since.
    fn suspect(&mut self, site: &SiteNow<'_>, commons: &[Common]) {
        let now = self.province.now;
        let hold = self.province.config().ingest.silence_limit;
        let wan = site.links.iter().filter(|link| link.name.kind() == LinkKind::Wan && link.valid.holds(now));
        let seen = wan.flat_map(|link| link.others.values());
        let seen = seen.filter_map(|seen| seen.witness().word(now, hold));
        let Some(best) = seen.max_by_key(|span| span.outcome) else { return };
        let silent = site.last_push.is_none_or(|at| at <= best.start.plus_millis(1000));
        if best.outcome == Outcome::Down && silent && !self.doubtful(site, best.start, Duration::ZERO) {
            let suspect = Suspect { since: best.start, commons: commons.to_vec() };
            self.sight.suspects.insert(site.site.id.clone(), suspect);
        }
    }

    fn links(&mut self, site: &SiteNow<'_>, returned: UnixMillis, commons: &[Common], memory: &mut Memory) {
        let (now, hold) = (self.province.now, self.province.config().ingest.silence_limit);
        let valid: Vec<&Link> = site.seen_links().filter(|link| link.valid.holds(now)).collect();
        let words: Vec<(&Link, Option<Span>)> =
            valid.into_iter().map(|link| (link, word(link, now, hold))).collect();
        let carrier = |link: &LinkName| site.site.link(link).and_then(|entry| entry.carrier.as_deref());
        let down = |word: &Option<Span>| word.is_some_and(|span| span.outcome == Outcome::Down);
        let all_down = |kind: LinkKind| {
            let mut of_kind = words.iter().filter(|(link, _)| link.name.kind() == kind).peekable();
            of_kind.peek().is_some() && of_kind.all(|(_, word)| down(word))
        };
        let (lan, wan) = (all_down(LinkKind::Lan), all_down(LinkKind::Wan));
        for (link, word) in &words {
            let name = &link.name;
            let subject = || Subject::Link { site: site.site.id.clone(), link: name.clone() };
            let rules = [
                (Rule::LinkDown, Outcome::Down),
                (Rule::LinkDegraded, Outcome::Degraded),
                (Rule::InstrumentFault, Outcome::Fault),
            ];
            let Some(span) = word else {
                for (rule, _) in rules {
                    self.unsure(rule, subject());
                }
                continue;
            };
            if span.outcome == Outcome::Up {
                self.contract(site, name, memory);
            }
            let Some((rule, _)) = rules.into_iter().find(|(_, outcome)| *outcome == span.outcome) else {
                continue;
            };
            let instant = Window::new(now.plus_millis(-1), now.plus_millis(1));
            if self.province.planned_of(site, Some(name), instant).contains(now) {
                self.unsure(rule, subject());
                continue;
            }
            let kind = name.kind();
            let same_line = || {
                let mine = carrier(name);
                let others =
                    words.iter().filter(|(other, word)| other.name.kind() == LinkKind::Wan && down(word));
                mine.is_some() && others.into_iter().any(|(other, _)| carrier(&other.name) == mine)
            };
            let nearer = rule == Rule::LinkDown
                && ((depth(kind) > depth(LinkKind::Lan) && lan)
                    || (kind == LinkKind::Service && wan)
                    || (kind == LinkKind::Internet && same_line()));
            // A round that began before the site was heard again is of what kept it from being heard, and that was told of the site.
            let stale = span.end < returned.plus(link.round);
            let held = nearer.then_some(Held::Nearer).or(stale.then_some(Held::Doubt));
            let mut commons = commons.to_vec();
            commons.retain(|common| !matches!(common, Common::Carrier(_)));
            commons.extend(carrier(name).map(|carrier| Common::Carrier(carrier.to_owned())));
            // Sites whose local networks fail have nothing in common that anybody could mend at one place.
            let commons = if rule == Rule::LinkDown && kind != LinkKind::Lan { commons } else { Vec::new() };
            self.bad(rule, subject(), Some(span.start), held, commons);
        }
    }

    /// Whether a link that works is worse than its contract allows.
    fn contract(&mut self, site: &SiteNow<'_>, link: &LinkName, memory: &mut Memory) {
        let subject = || Subject::Link { site: site.site.id.clone(), link: link.clone() };
        let key = || (site.site.id.clone(), link.clone());
        match promise::of(self.province, site, link) {
            Promise::Nothing => {}
            Promise::Kept => {
                memory.beyond.remove(&key());
            }
            Promise::Broken(broken) => {
                let since = *memory.beyond.entry(key()).or_insert(broken.window.start);
                self.bad(Rule::LinkDegraded, subject(), Some(since), None, Vec::new());
            }
            Promise::Unsure => {
                let now = self.province.now;
                let started = self.province.hears_since().is_none_or(|at| now.since(at) < RECALLING);
                if started || memory.beyond.contains_key(&key()) {
                    self.unsure(Rule::LinkDegraded, subject());
                }
            }
        }
    }

    fn agent(&mut self, site: &SiteNow<'_>, memory: &mut Memory) {
        let id = &site.site.id;
        let subject = || Subject::Site { site: id.clone() };
        let off = site.facts.clock_offset.map(f64::abs).unwrap_or_default();
        let surely = off - site.facts.clock_offset_bound.unwrap_or_default().max(0.0);
        if surely > CLOCK_WRONG.as_secs_f64() {
            self.bad(Rule::ClockWrong, subject(), None, None, Vec::new());
        }
        let now = self.province.now;
        if let Some(dropped) = site.facts.dropped_samples {
            let (before, rose) = memory.dropped.entry(id.clone()).or_insert((dropped, None));
            if dropped > *before {
                *rose = Some(now);
            }
            *before = dropped;
            if let Some(at) = *rose
                && now.since(at) < DROPPING
            {
                self.bad(Rule::QueueDropping, subject(), Some(at), None, Vec::new());
            }
        }
    }

    /// Certificates of targets. Of more than [`MOST_CERTIFICATES`] those that end first.
    fn certificates(&mut self, sites: &[(SiteNow<'_>, Standing)]) {
        let all = certificate::of_targets(sites.iter().map(|(site, _)| site));
        let mut ending: Vec<(UnixMillis, &str)> = all
            .into_iter()
            .filter(|(_, end)| end.ends.since(self.province.now) < EXPIRING)
            .map(|(target, end)| (end.ends, target))
            .collect();
        ending.sort_unstable();
        for (_, target) in ending.into_iter().take(MOST_CERTIFICATES) {
            let subject = Subject::Target { target: target.to_owned() };
            self.bad(Rule::CertificateExpiring, subject, None, None, Vec::new());
        }
    }

    /// Whether it is the centre that is cut off. Then nothing is said of sites.
    fn blind(&mut self, sites: &[(SiteNow<'_>, Standing)], own: &Own) {
        let since = match self.province.hears_since() {
            None => Some(None),
            Some(_) => self.nothing_is_heard(sites, own).map(Some),
        };
        let Some(since) = since else { return };
        let others = sites.iter().any(|(site, standing)| {
            site.site.watches == Watches::None && standing.verdict != Verdict::NotEnrolled
        });
        if !others {
            // There is nobody yet of whom nothing could be said.
            return;
        }
        for seen in self.sight.seen.values_mut() {
            *seen = Seen::Unsure;
        }
        self.sight.suspects.clear();
        self.bad(Rule::CollectorBlind, Subject::Collector, since, None, Vec::new());
    }

    fn nothing_is_heard(&self, sites: &[(SiteNow<'_>, Standing)], own: &Own) -> Option<UnixMillis> {
        let (now, hold) = (self.province.now, self.province.config().ingest.silence_limit);
        let (mut roots, mut since) = (0, now);
        let mut proven = false;
        for (site, standing) in sites {
            if site.site.watches != Watches::None {
                let internet = site.links.iter().filter(|link| link.name.kind() == LinkKind::Internet);
                let works = |span: Span| span.outcome >= Outcome::Degraded;
                proven |= internet.filter_map(|link| word(link, now, hold)).any(works);
                continue;
            }
            match standing.verdict {
                Verdict::Offline => {
                    roots += 1;
                    since = since.min(standing.since);
                }
                Verdict::Online | Verdict::Degraded | Verdict::WanDown => {
                    let suspect = self.sight.suspects.get(&site.site.id)?;
                    roots += 1;
                    since = since.min(suspect.since);
                }
                Verdict::AgentSilent => return None,
                Verdict::Unreachable | Verdict::Unknown | Verdict::Maintenance | Verdict::NotEnrolled => {}
            }
        }
        // Sites that have been offline for long are no news: some must have gone just now, and one confirmed.
        let confirmed = sites.iter().any(|(site, standing)| {
            standing.verdict == Verdict::Offline && site.site.watches == Watches::None
        });
        (!proven && confirmed && roots >= own.many.max(1)).then_some(since)
    }

    fn coverage(&mut self, memory: &mut Memory) {
        if self.province.hears_since().is_none() {
            return;
        }
        let now = self.province.now;
        let fresh = memory.coverage.as_ref().filter(|(at, _)| now.since(*at) < COVERAGE_EVERY && *at <= now);
        if fresh.is_none() {
            let under = under_target(&self.province.coverage_at(now));
            memory.coverage = Some((now, under));
        }
        for tier in memory.coverage.iter().flat_map(|(_, under)| under) {
            let key = Key { rule: Rule::CoverageUnderTarget, subject: Subject::Tier { tier: tier.clone() } };
            let bad = Bad { since: None, held: None, commons: Vec::new() };
            self.sight.seen.insert(key, Seen::Bad(bad));
        }
    }
}

/// The tiers whose coverage is under the target, whatever those are of which nothing is known, although enough sites are equipped. While
/// agents are still being installed it is the report that says how far that is.
fn under_target(coverage: &Coverage) -> BTreeSet<String> {
    let under = coverage.tiers.iter().filter(|row| match (row.equipped_share, row.high, row.target) {
        (Some(equipped), Some(high), Some(target)) => equipped >= target && high < target,
        (Some(_) | None, Some(_) | None, Some(_) | None) => false,
    });
    under.map(|row| row.tier.clone().unwrap_or_default()).collect()
}

/// What others might have in common with a site: the carrier of its WAN lines, where they have one; its district; the province.
fn commons(site: &SiteNow<'_>) -> Vec<Common> {
    let wan = site.site.links.iter().filter(|link| link.name.kind() == LinkKind::Wan);
    let carriers: BTreeSet<&str> = wan.filter_map(|link| link.carrier.as_deref()).collect();
    let carrier =
        carriers.first().filter(|_| carriers.len() == 1).map(|name| Common::Carrier((*name).to_owned()));
    let district = site.registered.district.map(|name| Common::District(name.to_owned()));
    carrier.into_iter().chain(district).chain([Common::All]).collect()
}

#[cfg(test)]
mod tests;
