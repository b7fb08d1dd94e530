//! Alerts and silences as they are listed: for the API, the page and the command line alike. Pure: what the store gave and `now` go in.

use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::{SiteId, UnixMillis};

use super::compose;
use super::correct::{Correction, Said};
use super::notice::{Affected, Common, MOST_LISTED, Rule, Severity, Subject};
use super::orders;
use super::record::{Acknowledgement, Record, Silence, SilenceId, WantedAlerts};
use crate::api::common::Range;
use crate::api::params;
use crate::api::problem::Problem;
use crate::config::Config;
use crate::inventory::Register;
use crate::lang::Lang;
use crate::ledger::cause::Cause;
use crate::ledger::timeline::Window;
use crate::ledger::told::Because;
use crate::localtime;

/// The parameters of the list.
pub const PARAMETERS: [&str; 8] = ["from", "to", "site", "rule", "open", "folded", "limit", "lang"];
/// So many alerts are listed unless another number is asked for.
pub const DEFAULT_LIMIT: u32 = 1_000;
/// At most so many are listed.
pub const MAX_LIMIT: u32 = 50_000;

/// What is asked, as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'q> {
    /// Start of the window.
    pub from: Option<&'q str>,
    /// End of the window.
    pub to: Option<&'q str>,
    /// Only this site and its links.
    pub site: Option<&'q str>,
    /// Only this rule.
    pub rule: Option<&'q str>,
    /// `true`: only those that fire; `false`: also those that are over.
    pub open: Option<&'q str>,
    /// `true`: not those for which an alert about many stands.
    pub folded: Option<&'q str>,
    /// At most so many.
    pub limit: Option<&'q str>,
    /// The language of names and sentences.
    pub lang: Option<&'q str>,
}

/// The question, read.
#[derive(Debug, Clone)]
pub struct Asked {
    wanted: WantedAlerts,
    window: Option<Window>,
    limit: usize,
    lang: Lang,
}

/// Alerts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AlertsAnswer {
    /// The province's time zone.
    pub zone: String,
    /// When this was so, Unix milliseconds.
    pub now: i64,
    /// The window, cut to now; null: whatever fires, however old.
    pub window: Option<Range>,
    /// Those that fired last first.
    pub alerts: Vec<AlertRow>,
    /// There are more than `limit`: ask for a shorter window.
    pub more: bool,
    /// The first mistakes of the configuration that is there: alerts go on by the former one. Empty: there are none.
    pub config_mistakes: Vec<String>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AlertRow {
    /// Its id, which never changes: `a` and fifteen hexadecimal digits.
    pub id: String,
    /// What was watched for.
    pub rule: Rule,
    /// The rule's name.
    pub rule_name: String,
    /// How bad it is.
    pub severity: Severity,
    /// The severity's name.
    pub severity_name: String,
    /// Of what it is: `site/xa-a`, `link/xa-a/wan-vnpt`, `tier/commune`, `carrier/VNPT`, `district/…`, `all`, `collector`.
    pub subject: String,
    /// The same as people call it.
    pub about: String,
    /// The site's id, where it is of a site or a link.
    pub site: Option<String>,
    /// The site's name.
    pub name: Option<String>,
    /// The link, where it is of one.
    pub link: Option<String>,
    /// Where the page tells more.
    pub path: String,
    /// The first bad instant by the evidence, Unix milliseconds.
    pub since: i64,
    /// The same, RFC 3339 in the province's zone.
    pub since_local: String,
    /// When it began to fire, Unix milliseconds.
    pub fired: i64,
    /// The same, RFC 3339 in the province's zone.
    pub fired_local: String,
    /// The first good instant; null while it fires.
    pub until: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub until_local: Option<String>,
    /// When it was last told; null: never, since one about many stands for it, or it was silenced.
    pub told: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub told_local: Option<String>,
    /// How long it has lasted, from `since` to `until` or now.
    pub duration_ms: i64,
    /// To what it is charged, as far as was known when it was last told.
    pub cause: Option<Cause>,
    /// What is wrong, in a sentence; empty where nothing was told.
    pub why: String,
    /// The subject of the alert about many that stands for it.
    pub under: Option<String>,
    /// The same as people call it.
    pub under_about: Option<String>,
    /// Of an alert about many: the sites; in a list the first fifty.
    pub members: Vec<Affected>,
    /// How many sites there are.
    pub members_count: usize,
    /// It comes and goes.
    pub flaps: bool,
    /// It is a drill: nothing has happened.
    pub drill: bool,
    /// Who has taken it up.
    pub ack: Option<AckRow>,
    /// The silences that keep it from being told now.
    pub silences: Vec<SilencedBy>,
    /// What was said otherwise of it, once it was over, than before; the newest last.
    pub corrections: Vec<CorrectionRow>,
}

/// That something which had been told turned out to be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CorrectionRow {
    /// When that was said, Unix milliseconds.
    pub at: i64,
    /// The same, RFC 3339 in the province's zone.
    pub at_local: String,
    /// What had been said.
    pub was: Said,
    /// What is said now.
    pub is: Said,
    /// Because of what.
    pub because: Because,
    /// All of it in a sentence.
    pub text: String,
}

/// That somebody has taken an alert up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AckRow {
    /// When, Unix milliseconds.
    pub at: i64,
    /// The same, RFC 3339 in the province's zone.
    pub at_local: String,
    /// Who.
    pub by: String,
    /// Why, or what is being done.
    pub reason: String,
    /// Until when it holds, Unix milliseconds; null: until the alert is over.
    pub until: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub until_local: Option<String>,
    /// Whether it holds now.
    pub holds: bool,
}

/// A silence that keeps an alert from being told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SilencedBy {
    /// Its number.
    pub id: i64,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Until when, Unix milliseconds.
    pub to: i64,
    /// The same, RFC 3339 in the province's zone.
    pub to_local: String,
}

/// What a silence is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SilenceState {
    /// It holds.
    Holds,
    /// It is to come.
    Coming,
    /// It is over.
    Over,
    /// Somebody ended it before its time.
    Ended,
}

impl SilenceState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Coming => "coming",
            Self::Over => "over",
            Self::Ended => "ended",
        }
    }

    /// What a silence is at an instant.
    #[must_use]
    pub fn of(silence: &Silence, now: UnixMillis) -> Self {
        match silence.ended {
            Some(_) => Self::Ended,
            None if silence.to <= now => Self::Over,
            None if now < silence.from => Self::Coming,
            None => Self::Holds,
        }
    }

    /// Whether it keeps an alert from being told now or later.
    #[must_use]
    pub const fn lasts(self) -> bool {
        match self {
            Self::Holds | Self::Coming => true,
            Self::Over | Self::Ended => false,
        }
    }
}

/// One silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SilenceRow {
    /// Its number.
    pub id: i64,
    /// Of what: `all`, `site`, `subtree`, `tier`, `district` or `carrier`.
    pub scope: String,
    /// Which of them; null: all.
    pub of: Option<String>,
    /// Only alerts of this rule; null: of all.
    pub rule: Option<Rule>,
    /// From when on, Unix milliseconds.
    pub from: i64,
    /// The same, RFC 3339 in the province's zone.
    pub from_local: String,
    /// Until when, Unix milliseconds.
    pub to: i64,
    /// The same, RFC 3339 in the province's zone.
    pub to_local: String,
    /// What it is now.
    pub state: SilenceState,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    /// When that was, Unix milliseconds.
    pub added: i64,
    /// The same, RFC 3339 in the province's zone.
    pub added_local: String,
    /// When it was ended before its time, Unix milliseconds.
    pub ended: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub ended_local: Option<String>,
    /// Who ended it; null: nobody has, or it is not known.
    pub ended_by: Option<String>,
}

/// The silences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SilencesAnswer {
    /// The province's time zone.
    pub zone: String,
    /// When this was so, Unix milliseconds.
    pub now: i64,
    /// By number.
    pub silences: Vec<SilenceRow>,
}

impl Asked {
    /// Reads the question. Without a window it is about what fires, with one about all that fired or still fired in it; `open` says otherwise.
    ///
    /// # Errors
    /// When a parameter cannot be read, or the site is not registered.
    pub fn read(
        question: &Question<'_>,
        register: &Register,
        zone: &TimeZone,
        now: UnixMillis,
    ) -> Result<Self, Problem> {
        let (from, to) = (question.from, question.to);
        let open = params::flag("open", question.open, "")?.unwrap_or(from.is_none() && to.is_none());
        // What is open now may have begun at any time.
        let window = if open && from.is_none() && to.is_none() {
            None
        } else {
            Some(params::window_at(zone, now, from, to)?)
        };
        let limit = params::limit(question.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let wanted = WantedAlerts {
            before: window.map_or(UnixMillis::MAX, |window| window.end),
            after: window.map_or(UnixMillis::MIN, |window| window.start),
            site: question.site.map(|text| params::registered(register, "site", text)).transpose()?,
            rule: question.rule.map(orders::rule).transpose()?,
            ids: None,
            open,
            folded: params::flag("folded", question.folded, "")?.unwrap_or(false),
            drills: false,
            // One more than is shown, to say whether there are more.
            limit: limit + 1,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self { wanted, window, limit, lang: params::lang(question.lang)? })
    }

    /// What to ask the store for.
    #[must_use]
    pub fn wanted(&self) -> &WantedAlerts {
        &self.wanted
    }

    /// The answer, from what the store gave.
    #[must_use]
    pub fn answer(
        &self,
        records: &[Record],
        silences: &[(SilenceId, Silence)],
        register: &Register,
        config: &Config,
        now: UnixMillis,
    ) -> AlertsAnswer {
        let rows = Rows { register, config, silences, now, lang: self.lang };
        let zone = &config.timezone;
        AlertsAnswer {
            zone: localtime::zone_name(zone),
            now: now.0,
            window: self.window.map(|window| Range::of(window, zone)),
            more: records.len() > self.limit,
            config_mistakes: Vec::new(),
            alerts: records.iter().take(self.limit).map(|record| rows.row(record, MOST_LISTED)).collect(),
        }
    }
}

/// All that rows are made with.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'r> {
    /// Names of sites.
    pub register: &'r Register,
    /// The zone, and names of tiers.
    pub config: &'r Config,
    /// The silences that hold, among others.
    pub silences: &'r [(SilenceId, Silence)],
    /// The present.
    pub now: UnixMillis,
    /// The language of names and sentences.
    pub lang: Lang,
}

impl Rows<'_> {
    /// The row of an alert, with at most so many of its sites.
    #[must_use]
    pub fn row(&self, record: &Record, most_members: usize) -> AlertRow {
        let local = |at: UnixMillis| localtime::rfc3339(at, &self.config.timezone);
        let site = record.subject.site();
        AlertRow {
            id: record.id.to_string(),
            rule: record.rule,
            rule_name: record.rule.name(self.lang).to_owned(),
            severity: record.severity,
            severity_name: record.severity.name(self.lang).to_owned(),
            subject: record.subject.key(),
            about: self.about(&record.subject),
            site: site.map(ToString::to_string),
            name: site.map(|site| self.name(site)),
            link: record.subject.link().map(ToString::to_string),
            path: compose::path(&record.subject),
            since: record.since.0,
            since_local: local(record.since),
            fired: record.fired.0,
            fired_local: local(record.fired),
            until: record.until.map(|at| at.0),
            until_local: record.until.map(local),
            told: record.told.map(|at| at.0),
            told_local: record.told.map(local),
            duration_ms: record.until.unwrap_or(self.now).millis_since(record.since).max(0),
            cause: record.cause,
            why: record.why.get(self.lang).to_owned(),
            under: record.under.as_ref().map(Subject::key),
            under_about: record.under.as_ref().map(|subject| self.about(subject)),
            members: record.members.iter().take(most_members).map(|id| self.affected(id)).collect(),
            members_count: record.members.len(),
            flaps: record.flaps,
            drill: record.drill,
            ack: record.taken.as_ref().map(|taken| self.ack(taken)),
            silences: self.silenced(record),
            corrections: record.corrections.iter().map(|one| self.correction(record.rule, one)).collect(),
        }
    }

    fn correction(&self, rule: Rule, correction: &Correction) -> CorrectionRow {
        let Correction { at, was, is, because } = *correction;
        let zone = &self.config.timezone;
        CorrectionRow {
            at: at.0,
            at_local: localtime::rfc3339(at, zone),
            was,
            is,
            because,
            text: correction.sentence(rule, self.lang, zone),
        }
    }

    fn ack(&self, taken: &Acknowledgement) -> AckRow {
        let local = |at: UnixMillis| localtime::rfc3339(at, &self.config.timezone);
        AckRow {
            at: taken.at.0,
            at_local: local(taken.at),
            by: taken.by.clone(),
            reason: taken.reason.clone(),
            until: taken.until.map(|at| at.0),
            until_local: taken.until.map(local),
            holds: taken.holds(self.now),
        }
    }

    fn silenced(&self, record: &Record) -> Vec<SilencedBy> {
        if record.until.is_some() {
            return Vec::new();
        }
        let zone = &self.config.timezone;
        let silences = self.silences.iter().filter(|(_, silence)| {
            silence.holds(self.now)
                && silence.covers(record.rule, &record.subject, self.register, self.now, zone)
        });
        let told = |(id, silence): &(SilenceId, Silence)| SilencedBy {
            id: id.0,
            by: silence.by.clone(),
            reason: silence.reason.clone(),
            to: silence.to.0,
            to_local: localtime::rfc3339(silence.to, zone),
        };
        silences.map(told).collect()
    }

    fn affected(&self, id: &SiteId) -> Affected {
        Affected { id: id.clone(), name: self.name(id) }
    }

    /// A site's name; its id where the register has it no more.
    fn name(&self, id: &SiteId) -> String {
        self.register.get(id).map_or_else(|| id.to_string(), |site| site.name.clone())
    }

    /// What people call a subject.
    fn about(&self, subject: &Subject) -> String {
        let lang = self.lang;
        match subject {
            Subject::Site { site } => self.name(site),
            Subject::Link { site, link } => format!("{} · {link}", self.name(site)),
            Subject::Tier { tier } => {
                let known = self.config.plan.tier(tier);
                known.map_or(tier.as_str(), |known| lang.pick(&known.name.vi, &known.name.en)).to_owned()
            }
            Subject::Target { target } => target.clone(),
            Subject::Many { common: Common::Carrier(name) } => {
                format!("{} {name}", lang.pick("Nhà mạng", "Carrier"))
            }
            Subject::Many { common: Common::District(name) } => name.clone(),
            Subject::Many { common: Common::All } => lang.pick("Toàn tỉnh", "The whole province").to_owned(),
            Subject::Collector => lang.pick("Hệ thống giám sát", "The monitoring system").to_owned(),
        }
    }
}

impl SilenceRow {
    /// The row of a silence.
    #[must_use]
    pub fn of(id: SilenceId, silence: &Silence, now: UnixMillis, zone: &TimeZone) -> Self {
        let local = |at: UnixMillis| localtime::rfc3339(at, zone);
        Self {
            id: id.0,
            scope: silence.scope.kind().to_owned(),
            of: silence.scope.of().map(str::to_owned),
            rule: silence.rule,
            from: silence.from.0,
            from_local: local(silence.from),
            to: silence.to.0,
            to_local: local(silence.to),
            state: SilenceState::of(silence, now),
            reason: silence.reason.clone(),
            by: silence.by.clone(),
            added: silence.added.0,
            added_local: local(silence.added),
            ended: silence.ended.map(|at| at.0),
            ended_local: silence.ended.map(local),
            ended_by: silence.ended_by.clone(),
        }
    }
}

/// The silences as rows: those that keep something from being told now or later, or all.
#[must_use]
pub fn silences(
    silences: &[(SilenceId, Silence)],
    all: bool,
    now: UnixMillis,
    zone: &TimeZone,
) -> SilencesAnswer {
    let rows = silences.iter().map(|(id, silence)| SilenceRow::of(*id, silence, now, zone));
    SilencesAnswer {
        zone: localtime::zone_name(zone),
        now: now.0,
        silences: rows.filter(|row| all || row.state.lasts()).collect(),
    }
}
