//! What is kept of alerts: the record of each, what people said of them, and what they asked not to be told.

use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::{SiteId, UnixMillis};

use super::correct::{Correction, Found, Said};
use super::machine::{Entry, Key};
use super::notice::{AlertId, Both, Common, Notice, Rule, Severity, Subject};
use crate::config::alerts::ChannelName;
use crate::inventory::Register;
use crate::ledger::cause::Cause;
use crate::planned::{Scope, SiteAt, same};

/// One alert, from its firing on.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: AlertId,
    /// What was watched for.
    pub rule: Rule,
    /// Of what it is.
    pub subject: Subject,
    /// How bad it is.
    pub severity: Severity,
    /// The first bad instant.
    pub since: UnixMillis,
    /// When it began to fire.
    pub fired: UnixMillis,
    /// The first good instant, once it is over.
    pub until: Option<UnixMillis>,
    /// When it was last told; `None`: never, since it is one of many, or was silenced.
    pub told: Option<UnixMillis>,
    /// The alert about many that stands for it.
    pub under: Option<Subject>,
    /// Of an alert about many: the sites.
    pub members: Vec<SiteId>,
    /// It flaps.
    pub flaps: bool,
    /// To what it is charged, as far as was known when it was last told.
    pub cause: Option<Cause>,
    /// What is wrong.
    pub why: Both,
    /// It is a drill.
    pub drill: bool,
    /// Of a drill: when whoever began it has ended it at the latest.
    pub drill_ends: Option<UnixMillis>,
    /// Who has taken it up.
    pub taken: Option<Acknowledgement>,
    /// What was said otherwise of it, once it was over, than before; the newest last.
    pub corrections: Vec<Correction>,
}

impl Record {
    /// One that begins to fire, and of which nothing else is known.
    #[must_use]
    pub const fn begun(
        id: AlertId,
        rule: Rule,
        subject: Subject,
        severity: Severity,
        fired: UnixMillis,
    ) -> Self {
        Self {
            id,
            rule,
            subject,
            severity,
            since: fired,
            fired,
            until: None,
            told: None,
            under: None,
            members: Vec::new(),
            flaps: false,
            cause: None,
            why: Both { vi: String::new(), en: String::new() },
            drill: false,
            drill_ends: None,
            taken: None,
            corrections: Vec::new(),
        }
    }

    /// What is said of it now; `None` while it fires.
    #[must_use]
    pub fn said(&self) -> Option<Said> {
        let until = self.until?;
        let found = self.corrections.last().map_or(Found::AsTold, |last| last.is.found);
        Some(Said { found, since: self.since, until, cause: self.cause })
    }

    /// What was first said of it when it was over; `None` while it fires.
    #[must_use]
    pub fn first_said(&self) -> Option<Said> {
        self.corrections.first().map(|first| first.was).or_else(|| self.said())
    }
}

/// That somebody has taken an alert up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Acknowledgement {
    /// When.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
    /// Who.
    pub by: String,
    /// Why, or what is being done.
    pub reason: String,
    /// Until when it holds; `None`: until the alert is over.
    #[schema(value_type = Option<i64>)]
    pub until: Option<UnixMillis>,
}

impl Acknowledgement {
    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds(&self, at: UnixMillis) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

/// The number of a silence; stays the same for the store's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
pub struct SilenceId(pub i64);

/// That alerts are not to be told for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Of what; [`Silence::covers`] says how.
    pub scope: Scope,
    /// Of which rule; `None`: of all.
    pub rule: Option<Rule>,
    /// From when on.
    pub from: UnixMillis,
    /// Until when.
    pub to: UnixMillis,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    /// When that was.
    pub added: UnixMillis,
    /// When it was ended before its time, if it was.
    pub ended: Option<UnixMillis>,
    /// Who ended it, where that is known.
    pub ended_by: Option<String>,
}

impl Silence {
    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds(&self, at: UnixMillis) -> bool {
        self.from <= at && at < self.to && self.ended.is_none_or(|ended| at < ended)
    }

    /// Whether it is about alerts of a rule of this subject, as the register has it `now`.
    ///
    /// | silence of | covers |
    /// | --- | --- |
    /// | all | everything, the collector and tiers included |
    /// | a site, a subtree, a district | its sites and all their links; a district also the alert about many of its sites |
    /// | a tier | its sites and all their links, and its coverage |
    /// | a carrier | its links, the sites that have one, and the alert about many of its sites; not the links of another carrier |
    #[must_use]
    pub fn covers(
        &self,
        rule: Rule,
        subject: &Subject,
        register: &Register,
        now: UnixMillis,
        zone: &TimeZone,
    ) -> bool {
        if self.rule.is_some_and(|wanted| wanted != rule) {
            return false;
        }
        let site_in_scope = |id: &SiteId| {
            let site = register.get(id);
            site.is_some_and(|site| self.scope.touches(&SiteAt::of(site, register, now, zone)))
        };
        match (&self.scope, subject) {
            (Scope::All, _) => true,
            (Scope::Carrier(name), Subject::Link { site, link }) => {
                let link = register.get(site).and_then(|site| site.link(link));
                link.and_then(|link| link.carrier.as_deref()).is_some_and(|carrier| same(carrier, name))
            }
            (
                Scope::Site(_) | Scope::Subtree(_) | Scope::Tier(_) | Scope::District(_),
                Subject::Site { site } | Subject::Link { site, .. },
            )
            | (Scope::Carrier(_), Subject::Site { site }) => site_in_scope(site),
            (Scope::Tier(id), Subject::Tier { tier }) => id.as_str() == tier,
            (Scope::Carrier(name), Subject::Many { common: Common::Carrier(of) })
            | (Scope::District(name), Subject::Many { common: Common::District(of) }) => same(name, of),
            (
                Scope::Site(_) | Scope::Subtree(_) | Scope::Tier(_) | Scope::District(_) | Scope::Carrier(_),
                Subject::Tier { .. } | Subject::Target { .. } | Subject::Many { .. } | Subject::Collector,
            ) => false,
        }
    }
}

/// What a pass writes, all or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertChanges {
    /// States; `None`: forgotten.
    pub entries: Vec<(Key, Option<Entry>)>,
    /// Records that are new or other than before.
    pub records: Vec<Record>,
    /// What is to be told, and by which channels.
    pub notices: Vec<(Notice, Vec<ChannelName>)>,
}

impl AlertChanges {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.records.is_empty() && self.notices.is_empty()
    }
}

/// Which alerts are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedAlerts {
    /// Those that fired before this.
    pub before: UnixMillis,
    /// Those that still fired at this instant or later.
    pub after: UnixMillis,
    /// Of this site.
    pub site: Option<SiteId>,
    /// Of this rule.
    pub rule: Option<Rule>,
    /// Of these.
    pub ids: Option<Vec<AlertId>>,
    /// Those that fire.
    pub open: bool,
    /// Not those for which an alert about many stands.
    pub folded: bool,
    /// Only drills.
    pub drills: bool,
    /// At most so many: the ones that fired last.
    pub limit: u32,
}

impl WantedAlerts {
    /// Those that fire.
    #[must_use]
    pub const fn open() -> Self {
        Self {
            before: UnixMillis::MAX,
            after: UnixMillis::MIN,
            site: None,
            rule: None,
            ids: None,
            open: true,
            folded: false,
            drills: false,
            limit: u32::MAX,
        }
    }
}
