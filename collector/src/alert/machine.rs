//! Alert state: what fires, since when, and what is to be told of it. Pure: what is seen and `now` go in, tellings come out.
//!
//! # States
//!
//! A key is a rule and a subject. Of each key is seen that it is bad, that it is well, or nothing sure.
//!
//! ```text
//!            bad                bad for `hold`, not held up
//!  (none) ───────► pending ─────────────────────────────────► firing ──┐ well for `keep` (`calm` where it flaps)
//!     ▲              │ well                                     ▲      │
//!     └──────────────┘                                          │ bad  ▼
//!                                                               └── (quiet: remembers how often it fired) ──► (none)
//! ```
//!
//! | seen | pending | firing |
//! | --- | --- | --- |
//! | bad | fires once due | goes on |
//! | bad, held up | waits; due is counted anew from when it is let go | goes on: opening is suppressed, never going on or closing |
//! | well | forgotten | ends |
//! | not sure | waits | goes on: nothing opens and nothing closes on no data |
//!
//! # Storms
//!
//! A key that becomes due looks at how many sites went bad about when it did and have something in common with it: carrier,
//! district, or the province. From [`Many::at_least`] sites and [`Many::share`] of all that have it in common on, one alert of the rule about what they have in
//! common fires in place of theirs, and lists them. Sites of which only the first sign is seen yet (*suspects*) are counted too,
//! so that the first of three hundred does not go out alone. What joins later is listed, and not told again. When fewer
//! than half of the least number are still bad the common alert ends; those wait [`Settings::settle`] and then fire for themselves.
//!
//! A site behind another that is cut off is held up ([`Held::Parent`]) and fires for itself if it is still bad some time after the
//! other has come back.
//!
//! # Flapping
//!
//! An alert that fires and ends [`Flapping::changes`] times within [`Flapping::within`] is told to flap, once, and does not end
//! before it has been well for [`Flapping::calm`].
//!
//! # Telling
//!
//! A silence keeps an alert from being told, not from firing; when it is over and the alert still fires, it is told then. What was never told
//! to fire is not told to be over.

mod crowd;

use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wan_wire::{SiteId, UnixMillis};

use super::notice::{AlertId, Common, Event, Rule, Severity, Subject};
use crowd::Crowd;

/// What an alert is known by while it lasts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// What is watched for.
    pub rule: Rule,
    /// Of what it is.
    pub subject: Subject,
}

/// Why an alert must not open yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The site's parent is cut off.
    Parent,
    /// It may be that the parent is: nothing has been heard of it since this began. Or what was heard of a link is of the time in which its site
    /// was not.
    Doubt,
    /// Something at the site that is nearer to the root is down.
    Nearer,
}

/// That something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Since when, by the evidence; `None`: since it was first seen.
    pub since: Option<UnixMillis>,
    /// Why it must not open yet, if it must not.
    pub held: Option<Held>,
    /// What others might have in common with it.
    pub commons: Vec<Common>,
}

/// What is seen of a key. One that is not seen at all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Something is wrong.
    Bad(Bad),
    /// Nothing can be said.
    Unsure,
}

/// A site of which there is a first sign that it goes bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Since when.
    pub since: UnixMillis,
    /// What others might have in common with it.
    pub commons: Vec<Common>,
}

/// All that is seen at an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// What is not well.
    pub seen: BTreeMap<Key, Seen>,
    /// Sites that may be about to be [`Rule::SiteOffline`].
    pub suspects: BTreeMap<SiteId, Suspect>,
    /// How many sites have each thing in common.
    pub totals: BTreeMap<Common, u32>,
}

/// How a rule is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSettings {
    /// Whether it is.
    pub enabled: bool,
    /// How bad its alerts are.
    pub severity: Severity,
    /// How long something must be bad before it fires.
    pub hold: Duration,
    /// How long it must be well before it is over.
    pub keep: Duration,
}

/// When something flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// From so many changes on, firing and ending counted.
    pub changes: u32,
    /// Within so long.
    pub within: Duration,
    /// It is over once it has been well for so long.
    pub calm: Duration,
}

/// When many are one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Many {
    /// From so many sites on.
    pub at_least: u32,
    /// And from this share on of those that have it in common.
    pub share: f64,
    /// That went bad within so long of each other.
    pub within: Duration,
}

/// How alerts are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// By rule.
    pub rules: BTreeMap<Rule, RuleSettings>,
    /// When something flaps.
    pub flapping: Flapping,
    /// When many are one.
    pub many: Many,
    /// Critical alerts that nobody has acknowledged are told again this often; `None`: never.
    pub remind: Option<Duration>,
    /// So long something that was held up, or was one of many, has to come back by itself before it fires.
    pub settle: Duration,
}

impl Settings {
    /// How one rule is applied.
    #[must_use]
    pub fn of(&self, rule: Rule) -> RuleSettings {
        self.rules.get(&rule).copied().unwrap_or_else(|| RuleSettings::default_of(rule))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rules: Rule::ALL.into_iter().map(|rule| (rule, RuleSettings::default_of(rule))).collect(),
            flapping: Flapping {
                changes: 6,
                within: Duration::from_secs(3600),
                calm: Duration::from_secs(900),
            },
            many: Many { at_least: 5, share: 0.2, within: Duration::from_secs(60) },
            remind: Some(Duration::from_secs(4 * 3600)),
            settle: Duration::from_secs(30),
        }
    }
}

impl RuleSettings {
    /// What holds for a rule unless the configuration says otherwise.
    #[must_use]
    pub fn default_of(rule: Rule) -> Self {
        let of = |severity, hold, keep| Self {
            enabled: true,
            severity,
            hold: Duration::from_secs(hold),
            keep: Duration::from_secs(keep),
        };
        match rule {
            Rule::SiteOffline => of(Severity::Critical, 0, 0),
            // An agent at the centre that has just begun may see its own Internet fail before it sees any site.
            Rule::CollectorBlind => of(Severity::Critical, 15, 0),
            Rule::LinkDown => of(Severity::Warning, 30, 0),
            Rule::LinkDegraded => of(Severity::Warning, 600, 60),
            Rule::AgentSilent => of(Severity::Warning, 120, 0),
            Rule::InstrumentFault => of(Severity::Warning, 300, 60),
            Rule::CoverageUnderTarget => of(Severity::Warning, 900, 300),
            Rule::ClockWrong => of(Severity::Info, 600, 60),
            // Longer than agents take to tell of the certificates that they see after a restart of the collector.
            Rule::CertificateExpiring => of(Severity::Warning, 0, 900),
            Rule::QueueDropping => of(Severity::Warning, 0, 0),
        }
    }
}

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// Its id.
    pub id: AlertId,
    /// The first bad instant.
    pub since: UnixMillis,
    /// When it began to fire.
    pub fired: UnixMillis,
    /// When it was last told; `None`: never yet.
    pub told: Option<UnixMillis>,
    /// Since when it is well again, if it is.
    pub well: Option<UnixMillis>,
    /// It flaps.
    pub flaps: bool,
    /// The alert about many that stands for it.
    pub under: Option<Subject>,
    /// Of an alert about many: the sites.
    pub members: BTreeSet<SiteId>,
    /// Of an alert about many: when a site was last added.
    pub joined: UnixMillis,
}

/// Where a key stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// Bad, and not yet firing.
    Pending {
        /// The first bad instant.
        since: UnixMillis,
        /// Until when it was held up, if it was.
        let_go: Option<UnixMillis>,
    },
    /// Firing.
    Firing(Firing),
    /// Over, and remembered for what it did lately.
    Quiet,
}

/// All that is remembered of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub phase: Phase,
    /// When it fired or ended lately.
    pub changes: Vec<UnixMillis>,
}

/// That something is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// Rule and subject.
    pub key: Key,
    /// The alert.
    pub id: AlertId,
    /// What is told.
    pub event: Event,
    /// How bad it is.
    pub severity: Severity,
    /// The first bad instant.
    pub since: UnixMillis,
    /// When it began to fire.
    pub fired: UnixMillis,
    /// The first good one.
    pub until: Option<UnixMillis>,
    /// Changes lately, where it flaps.
    pub flaps: u32,
    /// The sites, where it is of many.
    pub members: BTreeSet<SiteId>,
}

impl Firing {
    /// What is to be told of it now.
    fn telling(&self, key: &Key, event: Event, severity: Severity) -> Telling {
        Telling {
            key: key.clone(),
            id: self.id.clone(),
            event,
            severity,
            since: self.since,
            fired: self.fired,
            until: None,
            flaps: 0,
            members: self.members.clone(),
        }
    }
}

/// An alert that ended, as it is to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Rule and subject.
    pub key: Key,
    /// How it stood.
    pub firing: Firing,
    /// The first good instant.
    pub until: UnixMillis,
}

/// What a tick has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys whose entries are new or other than before, or gone.
    pub keys: BTreeSet<Key>,
    /// What ended.
    pub ended: Vec<Ended>,
    /// What is to be told.
    pub tellings: Vec<Telling>,
}

/// What people have asked for.
pub struct Orders<'o> {
    /// Whether a key must not be told now.
    pub silenced: &'o dyn Fn(&Key) -> bool,
    /// Whether somebody has taken an alert up.
    pub acknowledged: &'o dyn Fn(&AlertId) -> bool,
}

/// The state of all alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    entries: BTreeMap<Key, Entry>,
}

impl Machine {
    /// The machine as it was stored.
    #[must_use]
    pub const fn restored(entries: BTreeMap<Key, Entry>) -> Self {
        Self { entries }
    }

    /// All that is remembered.
    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<Key, Entry> {
        &self.entries
    }

    /// What fires.
    pub fn firing(&self) -> impl Iterator<Item = (&Key, &Firing)> {
        self.entries.iter().filter_map(|(key, entry)| match &entry.phase {
            Phase::Firing(firing) => Some((key, firing)),
            Phase::Pending { .. } | Phase::Quiet => None,
        })
    }

    /// Takes in what is seen now.
    pub fn tick(
        &mut self,
        sight: &Sight,
        orders: &Orders<'_>,
        settings: &Settings,
        now: UnixMillis,
    ) -> Changes {
        let mut tick = Tick { sight, orders, settings, now, changes: Changes::default() };
        let known = self.entries.keys().filter(|key| !matches!(key.subject, Subject::Many { .. }));
        let keys: BTreeSet<Key> = known.chain(sight.seen.keys()).cloned().collect();
        let mut due = BTreeSet::new();
        for key in keys {
            let before = self.entries.remove(&key);
            let after = tick.step(&key, before.clone());
            if tick.is_due(&key, after.as_ref()) {
                due.insert(key.clone());
            }
            if before != after {
                tick.changes.keys.insert(key.clone());
            }
            if let Some(after) = after {
                self.entries.insert(key, after);
            }
        }
        tick.many(&mut self.entries, due);
        tick.tell(&mut self.entries);
        tick.changes
    }
}

/// One tick under way.
struct Tick<'t> {
    sight: &'t Sight,
    orders: &'t Orders<'t>,
    settings: &'t Settings,
    now: UnixMillis,
    changes: Changes,
}

impl Tick<'_> {
    fn bad(&self, key: &Key) -> Option<&Bad> {
        match self.sight.seen.get(key) {
            Some(Seen::Bad(bad)) if self.settings.of(key.rule).enabled => Some(bad),
            Some(Seen::Bad(_) | Seen::Unsure) | None => None,
        }
    }

    /// A key's next state, but for what it takes others to know.
    fn step(&mut self, key: &Key, before: Option<Entry>) -> Option<Entry> {
        let Entry { phase, mut changes } =
            before.unwrap_or(Entry { phase: Phase::Quiet, changes: Vec::new() });
        changes.retain(|at| self.now.since(*at) <= self.settings.flapping.within);
        let unsure =
            self.settings.of(key.rule).enabled && matches!(self.sight.seen.get(key), Some(Seen::Unsure));
        let phase = match (phase, self.bad(key)) {
            (Phase::Quiet, Some(bad)) => Phase::Pending {
                since: bad.since.unwrap_or(self.now).min(self.now),
                let_go: self.let_go(bad, None),
            },
            (Phase::Pending { since, let_go }, Some(bad)) => Phase::Pending {
                since: bad.since.unwrap_or(since).min(self.now),
                let_go: self.let_go(bad, let_go),
            },
            (Phase::Firing(firing), Some(_)) => Phase::Firing(Firing { well: None, ..firing }),
            (phase @ (Phase::Quiet | Phase::Pending { .. } | Phase::Firing(_)), None) if unsure => phase,
            (Phase::Quiet | Phase::Pending { .. }, None) => Phase::Quiet,
            (Phase::Firing(firing), None) => self.end(key, firing, &mut changes),
        };
        (phase != Phase::Quiet || !changes.is_empty()).then_some(Entry { phase, changes })
    }

    /// Until when a pending key was held up. Doubt passes within seconds and leaves nothing to wait for.
    fn let_go(&self, bad: &Bad, before: Option<UnixMillis>) -> Option<UnixMillis> {
        match bad.held {
            Some(Held::Parent | Held::Nearer) => Some(self.now),
            Some(Held::Doubt) | None => before,
        }
    }

    /// A firing key that is well: over, or not long enough yet.
    fn end(&mut self, key: &Key, firing: Firing, changes: &mut Vec<UnixMillis>) -> Phase {
        let settings = self.settings.of(key.rule);
        let keep = if firing.flaps { self.settings.flapping.calm.max(settings.keep) } else { settings.keep };
        let well = firing.well.unwrap_or(self.now);
        if settings.enabled && self.now.since(well) < keep {
            return Phase::Firing(Firing { well: Some(well), ..firing });
        }
        changes.push(self.now);
        if firing.told.is_some() {
            let telling = firing.telling(key, Event::Resolved, settings.severity);
            self.changes.tellings.push(Telling { until: Some(well), ..telling });
        }
        self.changes.ended.push(Ended { key: key.clone(), firing, until: well });
        Phase::Quiet
    }

    fn is_due(&self, key: &Key, entry: Option<&Entry>) -> bool {
        let Some(Entry { phase: Phase::Pending { since, let_go }, .. }) = entry else { return false };
        let Some(Bad { held: None, .. }) = self.bad(key) else { return false };
        self.now.since(*since) >= self.settings.of(key.rule).hold
            && let_go.is_none_or(|at| self.now.since(at) >= self.settings.settle)
    }

    /// What is due fires, for itself or as one of many; what stood for many ends when they are few.
    fn many(&mut self, entries: &mut BTreeMap<Key, Entry>, mut due: BTreeSet<Key>) {
        self.few(entries);
        let (sight, now) = (self.sight, self.now);
        let mut crowds: BTreeMap<Rule, Crowd<'_>> = BTreeMap::new();
        while let Some(key) = due.first().cloned() {
            let crowd = match crowds.entry(key.rule) {
                Place::Occupied(known) => known.into_mut(),
                Place::Vacant(place) => place.insert(Crowd::of(sight, key.rule, now)),
            };
            let under = self.common(&key, entries, crowd);
            if let Some(common) = &under {
                let subject = Subject::Many { common: common.clone() };
                let joining: Vec<&Key> = crowd.keys(common).filter(|other| due.contains(*other)).collect();
                let group = Key { rule: key.rule, subject: subject.clone() };
                let members = joining.iter().filter_map(|other| other.subject.site().cloned());
                self.join(entries, &group, members.collect(), None);
                for joining in joining {
                    due.remove(joining);
                    self.fire(entries, joining, Some(subject.clone()), BTreeSet::new(), now);
                }
            }
            // Also where it has nothing in common with what was found for it: it would come again for ever.
            if due.remove(&key) {
                let under = under.map(|common| Subject::Many { common });
                self.fire(entries, &key, under, BTreeSet::new(), now);
            }
        }
    }

    /// Ends alerts about many of which few are left.
    fn few(&mut self, entries: &mut BTreeMap<Key, Entry>) {
        let groups: Vec<Key> =
            entries.keys().filter(|key| matches!(key.subject, Subject::Many { .. })).cloned().collect();
        if groups.is_empty() {
            return;
        }
        let down = self.sight.seen.keys().filter(|key| key.rule == Rule::LinkDown);
        let down: BTreeSet<&SiteId> = down.filter_map(|key| key.subject.site()).collect();
        let mut released = BTreeSet::new();
        for group in groups {
            let Some(entry) = entries.remove(&group) else { continue };
            let before = entry.clone();
            let Entry { phase, mut changes } = entry;
            changes.retain(|at| self.now.since(*at) <= self.settings.flapping.within);
            let phase = match phase {
                Phase::Firing(firing) => {
                    let left =
                        firing.members.iter().filter(|site| self.still_bad(group.rule, site, &down)).count();
                    let least = usize::try_from(self.settings.many.at_least).unwrap_or(usize::MAX);
                    if left >= least.div_ceil(2).max(1) {
                        Phase::Firing(Firing { well: None, ..firing })
                    } else {
                        self.end(&group, firing, &mut changes)
                    }
                }
                Phase::Pending { .. } | Phase::Quiet => Phase::Quiet,
            };
            let over = phase == Phase::Quiet;
            let after = (!over || !changes.is_empty()).then_some(Entry { phase, changes });
            if after.as_ref() != Some(&before) {
                self.changes.keys.insert(group.clone());
            }
            if let Some(after) = after {
                entries.insert(group.clone(), after);
            }
            if over {
                released.insert(group);
            }
        }
        self.release(entries, &released);
    }

    /// Whether a site is bad by a rule, or nothing is sure; `down` are those of which a link is.
    fn still_bad(&self, rule: Rule, site: &SiteId, down: &BTreeSet<&SiteId>) -> bool {
        let of_site = Key { rule, subject: Subject::Site { site: site.clone() } };
        self.sight.seen.contains_key(&of_site)
            || (rule == Rule::SiteOffline && self.sight.suspects.contains_key(site))
            || (rule == Rule::LinkDown && down.contains(site))
    }

    /// Those that alerts about many stood for go on for themselves: they wait for a while, and then fire.
    fn release(&mut self, entries: &mut BTreeMap<Key, Entry>, groups: &BTreeSet<Key>) {
        for (key, entry) in entries.iter_mut().filter(|_| !groups.is_empty()) {
            let Phase::Firing(firing) = &entry.phase else { continue };
            let Some(subject) = firing.under.clone() else { continue };
            if groups.contains(&Key { rule: key.rule, subject }) {
                let ended = Ended { key: key.clone(), firing: firing.clone(), until: self.now };
                self.changes.ended.push(ended);
                entry.phase = Phase::Pending { since: firing.since, let_go: Some(self.now) };
                self.changes.keys.insert(key.clone());
            }
        }
    }

    /// What a key that is due has in common with enough others. The alert about them fires then, and knows who they are.
    fn common(&mut self, key: &Key, entries: &mut BTreeMap<Key, Entry>, crowd: &Crowd<'_>) -> Option<Common> {
        let site = key.subject.site()?;
        let Bad { since, commons, .. } = self.bad(key)?.clone();
        let many = self.settings.many;
        let group =
            |common: &Common| Key { rule: key.rule, subject: Subject::Many { common: common.clone() } };
        // One that stands for many already takes it in.
        for common in &commons {
            let group = group(common);
            if let Some(Entry { phase: Phase::Firing(firing), .. }) = entries.get(&group)
                && (firing.members.contains(site) || self.now.since(firing.joined) <= many.within)
            {
                self.join(entries, &group, BTreeSet::from([site.clone()]), None);
                return Some(common.clone());
            }
        }
        let found = crowd.around(&commons, since.unwrap_or(self.now), &many, &self.sight.totals)?;
        self.join(entries, &group(&found.common), found.members, found.first);
        Some(found.common)
    }

    /// Those of a group that fires are more now; one that does not begins to, as of when the `first` of them went bad.
    fn join(
        &mut self,
        entries: &mut BTreeMap<Key, Entry>,
        group: &Key,
        members: BTreeSet<SiteId>,
        first: Option<UnixMillis>,
    ) {
        match entries.get_mut(group) {
            Some(Entry { phase: Phase::Firing(firing), .. }) => {
                if !members.is_subset(&firing.members) {
                    firing.members.extend(members);
                    firing.joined = self.now;
                    self.changes.keys.insert(group.clone());
                }
            }
            Some(Entry { phase: Phase::Pending { .. } | Phase::Quiet, .. }) | None => {
                let first = first.unwrap_or(self.now).min(self.now);
                self.fire(entries, group, None, members, first);
            }
        }
    }

    /// `begun` is when it began where that was not seen.
    fn fire(
        &mut self,
        entries: &mut BTreeMap<Key, Entry>,
        key: &Key,
        under: Option<Subject>,
        members: BTreeSet<SiteId>,
        begun: UnixMillis,
    ) {
        let entry = entries.entry(key.clone()).or_insert(Entry { phase: Phase::Quiet, changes: Vec::new() });
        let since = match &entry.phase {
            Phase::Pending { since, .. } => *since,
            Phase::Firing(firing) => firing.since,
            Phase::Quiet => begun,
        };
        entry.changes.push(self.now);
        let changes = u32::try_from(entry.changes.len()).unwrap_or(u32::MAX);
        entry.phase = Phase::Firing(Firing {
            id: AlertId::of(key.rule, &key.subject, self.now),
            since,
            fired: self.now,
            told: None,
            well: None,
            flaps: changes >= self.settings.flapping.changes,
            under,
            members,
            joined: self.now,
        });
        self.changes.keys.insert(key.clone());
    }

    /// What fires and was not told yet, or not for long.
    fn tell(&mut self, entries: &mut BTreeMap<Key, Entry>) {
        for (key, entry) in entries.iter_mut() {
            let changes = u32::try_from(entry.changes.len()).unwrap_or(u32::MAX);
            let Phase::Firing(firing) = &mut entry.phase else { continue };
            if firing.under.is_some() || firing.well.is_some() || (self.orders.silenced)(key) {
                continue;
            }
            let severity = self.settings.of(key.rule).severity;
            let event = match firing.told {
                None if firing.flaps => Event::Flapping,
                None => Event::Fired,
                Some(told) => {
                    let again = self.settings.remind.is_some_and(|every| self.now.since(told) >= every);
                    if severity < Severity::Critical || !again || (self.orders.acknowledged)(&firing.id) {
                        continue;
                    }
                    Event::Reminder
                }
            };
            firing.told = Some(self.now);
            self.changes.keys.insert(key.clone());
            let flaps = if firing.flaps { changes } else { 0 };
            self.changes.tellings.push(Telling { flaps, ..firing.telling(key, event, severity) });
        }
    }
}

#[cfg(test)]
mod tests;
