//! Corrections: an alert that was told and is over turns out to have been otherwise. Pure.
//!
//! An agent that was cut off tells afterwards what it measured, and so does a centre that was; people enter planned work when it is done.
//! Then what an alert said may not be so any more: its cause, when it began or ended, or that anything failed at all. No alarm is made of
//! the past. What was told is corrected by **one note** to those who were told, under the same alert's id, and kept beside the alert.
//!
//! ```text
//!  alert over, told ──► watched for LOOK_BACK ──► evidence says otherwise ──► the same for SETTLED ──► note
//!                         ▲                                                                             │
//!                         └──────────────────────── next one after BETWEEN at the earliest ◄────────────┘
//! ```
//!
//! What is said is a function of the evidence and of what was first told ([`super::hindsight`]), so neither order nor repetition of what comes
//! late matter, and a restart costs no more than the time to settle. What was last said is in the alert's record, written with the note.
//!
//! Alerts about many sites are not corrected: each site's incidents are restated. Nor is what is known only while it lasts: clocks, queues,
//! certificates, coverage, the collector itself; and a link is degraded by the word of an agent that was heard.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use super::hindsight::Hindsight;
use super::notice::{AlertId, Rule, Subject};
use super::record::Record;
use crate::lang::Lang;
use crate::ledger::cause::Cause;
use crate::ledger::told::Because;
use crate::localtime;

/// An alert is corrected for so long after its end: a week of backlog, and a day in which it comes.
pub const LOOK_BACK: Duration = Duration::from_secs(8 * 86_400);
/// What late evidence says must stay the same for as long: then the backlog of that time is through.
pub const SETTLED: Duration = Duration::from_secs(60);
/// Two corrections of one alert are at least so far apart.
pub const BETWEEN: Duration = Duration::from_secs(10 * 60);
/// An alert is corrected at most so often: whoever enters and takes out planned work is not told of each change.
pub const MOST: usize = 10;
/// So many alerts are looked at again in one look at most: each takes about a millisecond.
const MOST_A_LOOK: usize = 16;
/// One that ended just now is looked at this often, …
const SOON: Duration = Duration::from_secs(10);
/// … one that ended long ago this often, and those between a tenth of the time since.
const SELDOM: Duration = Duration::from_secs(10 * 60);

/// What an alert turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// What was told.
    AsTold,
    /// Of a site that was told to be offline: its WAN failed, and its Internet worked.
    WanOnly,
    /// Of an agent that was told to be silent: its site was cut off.
    CutOff,
    /// Nothing had failed at the site: it was what should have told so.
    Worked,
    /// Nobody can say: those who saw it fail were cut off themselves.
    NotKnown,
}

impl Found {
    /// It in a sentence, of an alert of this rule.
    #[must_use]
    pub const fn sentence(self, rule: Rule, lang: Lang) -> &'static str {
        match (self, rule) {
            (Self::AsTold, _) => "",
            (Self::WanOnly, _) => lang.pick(
                "chỉ mất đường WAN, Internet của đơn vị vẫn hoạt động",
                "only the WAN failed, the site's Internet worked",
            ),
            (Self::CutOff, _) => {
                lang.pick("đơn vị đã mất kết nối trong thời gian này", "the site was cut off at that time")
            }
            (Self::Worked, Rule::AgentSilent) => lang.pick(
                "agent vẫn đo và đường truyền vẫn hoạt động; chỉ việc gửi số liệu bị gián đoạn",
                "the agent measured and the lines worked; only its pushes did not arrive",
            ),
            (Self::Worked, Rule::SiteOffline) => lang.pick(
                "đơn vị không mất kết nối trong thời gian này: sự cố nằm ở việc giám sát",
                "the site was not cut off at that time: what failed was the monitoring",
            ),
            (Self::Worked, _) => {
                lang.pick("đường truyền vẫn hoạt động trong thời gian này", "the line worked at that time")
            }
            (Self::NotKnown, _) => lang.pick(
                "không còn bằng chứng về sự cố: nơi quan sát đã bị cắt kết nối vào lúc đó",
                "there is no evidence of it any more: those who saw it fail were cut off themselves",
            ),
        }
    }

    /// Whether something had failed.
    #[must_use]
    pub const fn failed(self) -> bool {
        match self {
            Self::AsTold | Self::WanOnly | Self::CutOff => true,
            Self::Worked | Self::NotKnown => false,
        }
    }
}

/// What is said of an alert that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// What it was.
    pub found: Found,
    /// The first bad instant. Unix milliseconds.
    #[schema(value_type = i64)]
    pub since: UnixMillis,
    /// The first good instant after it. Unix milliseconds.
    #[schema(value_type = i64)]
    pub until: UnixMillis,
    /// To what it is charged.
    pub cause: Option<Cause>,
}

impl Said {
    /// Whether `now` says something else. A cause that is not known denies none.
    #[must_use]
    pub fn is_denied_by(&self, now: &Self) -> bool {
        let cause = match (self.cause, now.cause) {
            (_, None) | (None, Some(Cause::Unknown)) => false,
            (was, is) => was != is,
        };
        self.found != now.found || self.since != now.since || self.until != now.until || cause
    }
}

/// That something which had been told is said differently since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Correction {
    /// When. Unix milliseconds.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
    /// What had been said.
    pub was: Said,
    /// What is said now.
    pub is: Said,
    /// Because of what.
    pub because: Because,
}

impl Correction {
    /// It in a sentence, of an alert of this rule, with the province's times.
    #[must_use]
    pub fn sentence(&self, rule: Rule, lang: Lang, zone: &TimeZone) -> String {
        let time = |at: UnixMillis| localtime::plain(at, zone);
        let told = |said: &Said| {
            let cause = said.cause.map_or("–", |cause| cause.name(lang));
            let times = format!("{} – {}, {cause}", time(said.since), time(said.until));
            match said.found.sentence(rule, lang) {
                "" => times,
                found if said.found.failed() => format!("{found} ({times})"),
                found => found.to_owned(),
            }
        };
        let (at, was, is, because) =
            (time(self.at), told(&self.was), told(&self.is), self.because.name(lang));
        match lang {
            Lang::Vi => format!("đính chính {at}: trước đó đã báo: {was}; nay: {is}; do {because}"),
            Lang::En => format!("corrected {at}: formerly told: {was}; now: {is}; because of {because}"),
        }
    }
}

/// Whether an alert can be corrected: it is over, was told for itself, and is of what late evidence can tell about.
#[must_use]
pub fn may_be_corrected(record: &Record) -> bool {
    let told = record.told.is_some() && record.under.is_none() && !record.drill;
    told && record.until.is_some() && is_corrected(record.rule, &record.subject)
}

const fn is_corrected(rule: Rule, subject: &Subject) -> bool {
    match (rule, subject) {
        (Rule::SiteOffline | Rule::AgentSilent, Subject::Site { .. })
        | (Rule::LinkDown, Subject::Link { .. }) => true,
        (
            Rule::SiteOffline
            | Rule::AgentSilent
            | Rule::LinkDown
            | Rule::LinkDegraded
            | Rule::InstrumentFault
            | Rule::CoverageUnderTarget
            | Rule::CollectorBlind
            | Rule::ClockWrong
            | Rule::CertificateExpiring
            | Rule::QueueDropping,
            Subject::Site { .. }
            | Subject::Link { .. }
            | Subject::Tier { .. }
            | Subject::Target { .. }
            | Subject::Many { .. }
            | Subject::Collector,
        ) => false,
    }
}

/// The alerts that may still have to be corrected.
#[derive(Debug, Clone, Default)]
pub struct Corrector {
    candidates: BTreeMap<AlertId, Candidate>,
}

#[derive(Debug, Clone)]
struct Candidate {
    record: Record,
    /// When it is looked at again.
    next: UnixMillis,
    /// What is found now, and since when that is the same.
    found: Option<(Hindsight, UnixMillis)>,
}

impl Corrector {
    /// With all that the store has: those that can still be corrected are watched.
    #[must_use]
    pub fn restored(records: Vec<Record>, now: UnixMillis) -> Self {
        let mut corrector = Self::default();
        for record in records {
            corrector.watch(record, now);
        }
        corrector
    }

    /// Watches an alert that is over, if it can be corrected.
    pub fn watch(&mut self, record: Record, now: UnixMillis) {
        if may_be_corrected(&record) {
            self.candidates.insert(record.id.clone(), Candidate { record, next: now, found: None });
        }
    }

    /// The records that are to be corrected now, with their newest correction. `may_tell`: whether anybody may be told of an alert now; `look`: what it
    /// turned out to be, as far as can be said.
    pub fn tick(
        &mut self,
        now: UnixMillis,
        may_tell: impl Fn(&Record) -> bool,
        mut look: impl FnMut(&Record) -> Option<Hindsight>,
    ) -> Vec<Record> {
        let horizon = now.minus(LOOK_BACK);
        self.candidates.retain(|_, candidate| candidate.record.until.is_some_and(|until| until > horizon));
        // One that was put off by a clock which was set back since is looked at.
        let due = |next: UnixMillis| next <= now || next > now.plus(SELDOM);
        let due = self.candidates.iter().filter(|(_, candidate)| due(candidate.next));
        let mut due: Vec<(UnixMillis, AlertId)> =
            due.map(|(id, candidate)| (candidate.next, id.clone())).collect();
        due.sort_unstable();
        let mut corrected = Vec::new();
        for (_, id) in due.into_iter().take(MOST_A_LOOK) {
            let Some(candidate) = self.candidates.get_mut(&id) else { continue };
            let found = look(&candidate.record);
            corrected.extend(candidate.take(found, now, &may_tell));
        }
        corrected
    }
}

impl Candidate {
    fn take(
        &mut self,
        found: Option<Hindsight>,
        now: UnixMillis,
        may_tell: impl Fn(&Record) -> bool,
    ) -> Option<Record> {
        let was = self.record.said()?;
        let Some(found) = found.filter(|found| was.is_denied_by(&found.said)) else {
            self.found = None;
            self.next = now.plus((now.since(was.until) / 10).clamp(SOON, SELDOM));
            return None;
        };
        self.next = now.plus(SOON);
        let since = match &self.found {
            Some((before, since)) if *before == found && *since <= now => *since,
            Some(_) | None => now,
        };
        self.found = Some((found, since));
        let last = self.record.corrections.last();
        let rested = last.is_none_or(|last| now.since(last.at) >= BETWEEN);
        let settled = now.since(since) >= SETTLED;
        if !settled || !rested || self.record.corrections.len() >= MOST || !may_tell(&self.record) {
            return None;
        }
        let Hindsight { said, because, .. } = found;
        self.record.corrections.push(Correction { at: now, was, is: said, because });
        let record = &mut self.record;
        (record.since, record.until, record.cause) = (said.since, Some(said.until), said.cause);
        record.told = Some(now);
        self.found = None;
        Some(self.record.clone())
    }
}

#[cfg(test)]
mod tests;
