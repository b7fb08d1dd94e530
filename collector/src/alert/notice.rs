//! What is told: an alert that began, ended, or is said otherwise. One notice goes to every receiver that the routes name.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wan_wire::{LinkKind, LinkName, SiteId, UnixMillis};
use xxhash_rust::xxh3::xxh3_128;

use super::correct::Correction;
use crate::lang::Lang;
use crate::ledger::cause;

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be known, not to be acted upon at once.
    Info,
    /// To be looked at in the hours of work.
    Warning,
    /// To be acted upon now.
    Critical,
}

impl Severity {
    /// Every one, the mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word for it in the configuration, the API and for receivers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The word for people.
    #[must_use]
    pub const fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::Info => lang.pick("Thông tin", "Information"),
            Self::Warning => lang.pick("Cảnh báo", "Warning"),
            Self::Critical => lang.pick("Nghiêm trọng", "Critical"),
        }
    }
}

/// What is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertRule)]
pub enum Rule {
    /// A site is cut off: silent and seen down, or by its own word.
    SiteOffline,
    /// A link of a site that is heard carries nothing.
    LinkDown,
    /// A link loses or delays more than it may.
    LinkDegraded,
    /// A site's agent is not heard, and the site is not known to be cut off.
    AgentSilent,
    /// An agent cannot measure a link.
    InstrumentFault,
    /// A tier's coverage is under the plan's target, whatever the unknown sites are.
    CoverageUnderTarget,
    /// The collector itself is cut off: nothing can be said about sites.
    CollectorBlind,
    /// A host's clock is far off.
    ClockWrong,
    /// A certificate will be over soon.
    CertificateExpiring,
    /// An agent's queue is full and drops what was measured.
    QueueDropping,
}

impl Rule {
    /// Every rule, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::SiteOffline,
        Self::LinkDown,
        Self::LinkDegraded,
        Self::AgentSilent,
        Self::InstrumentFault,
        Self::CoverageUnderTarget,
        Self::CollectorBlind,
        Self::ClockWrong,
        Self::CertificateExpiring,
        Self::QueueDropping,
    ];

    /// The word for it in the configuration, the API and for receivers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SiteOffline => "site_offline",
            Self::LinkDown => "link_down",
            Self::LinkDegraded => "link_degraded",
            Self::AgentSilent => "agent_silent",
            Self::InstrumentFault => "instrument_fault",
            Self::CoverageUnderTarget => "coverage_under_target",
            Self::CollectorBlind => "collector_blind",
            Self::ClockWrong => "clock_wrong",
            Self::CertificateExpiring => "certificate_expiring",
            Self::QueueDropping => "queue_dropping",
        }
    }

    /// The rule's name for people.
    #[must_use]
    pub const fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::SiteOffline => lang.pick("Đơn vị mất kết nối", "Site offline"),
            Self::LinkDown => lang.pick("Đường truyền mất kết nối", "Link down"),
            Self::LinkDegraded => lang.pick("Đường truyền suy giảm", "Link degraded"),
            Self::AgentSilent => lang.pick("Không nhận được tin từ agent", "Agent silent"),
            Self::InstrumentFault => lang.pick("Agent không đo được", "Instrument fault"),
            Self::CoverageUnderTarget => lang.pick("Độ phủ dưới chỉ tiêu", "Coverage under target"),
            Self::CollectorBlind => lang.pick("Hệ thống giám sát mất kết nối", "Collector blind"),
            Self::ClockWrong => lang.pick("Đồng hồ sai", "Clock wrong"),
            Self::CertificateExpiring => lang.pick("Chứng thư sắp hết hạn", "Certificate expiring"),
            Self::QueueDropping => lang.pick("Hàng đợi bị tràn", "Queue dropping"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What many sites that fail at once have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "by", content = "of")]
pub enum Common {
    /// The carrier of their WAN line.
    Carrier(String),
    /// Their district.
    District(String),
    /// That they are of this province.
    All,
}

/// Of what an alert is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Subject {
    /// A site.
    Site {
        /// Its id.
        #[schema(value_type = String)]
        site: SiteId,
    },
    /// A link of a site.
    Link {
        /// The site's id.
        #[schema(value_type = String)]
        site: SiteId,
        /// The link.
        #[schema(value_type = String)]
        link: LinkName,
    },
    /// A tier of the plan.
    Tier {
        /// Its id.
        tier: String,
    },
    /// A target that agents probe, whichever of them: a shared system.
    Target {
        /// As the agents name it.
        target: String,
    },
    /// Many sites at once.
    Many {
        /// What they have in common.
        common: Common,
    },
    /// The collector itself.
    Collector,
}

impl Subject {
    /// The site that it is of, if it is of one.
    #[must_use]
    pub fn site(&self) -> Option<&SiteId> {
        match self {
            Self::Site { site } | Self::Link { site, .. } => Some(site),
            Self::Tier { .. } | Self::Target { .. } | Self::Many { .. } | Self::Collector => None,
        }
    }

    /// The link that it is of, if it is of one.
    #[must_use]
    pub fn link(&self) -> Option<&LinkName> {
        match self {
            Self::Link { link, .. } => Some(link),
            Self::Site { .. }
            | Self::Tier { .. }
            | Self::Target { .. }
            | Self::Many { .. }
            | Self::Collector => None,
        }
    }

    /// As a key of the store and of receivers, unique among all subjects: `site/xa-a`, `link/xa-a/wan-vnpt`, `tier/commune`,
    /// `target/https://dms.example.vn/`, `carrier/VNPT`, `district/Châu Thành`, `all`, `collector`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Site { site } => format!("site/{site}"),
            Self::Link { site, link } => format!("link/{site}/{link}"),
            Self::Tier { tier } => format!("tier/{tier}"),
            Self::Target { target } => format!("target/{target}"),
            Self::Many { common: Common::Carrier(name) } => format!("carrier/{name}"),
            Self::Many { common: Common::District(name) } => format!("district/{name}"),
            Self::Many { common: Common::All } => "all".to_owned(),
            Self::Collector => "collector".to_owned(),
        }
    }
}

/// An alert's id: of its rule, its subject and its beginning, so that it is the same however often it is derived.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct AlertId(String);

impl AlertId {
    /// The id of an alert that began to fire at `fired`.
    #[must_use]
    pub fn of(rule: Rule, subject: &Subject, fired: UnixMillis) -> Self {
        let hash = xxh3_128(format!("{rule}\0{}\0{}", subject.key(), fired.0).as_bytes());
        Self(format!("a{:015x}", hash >> 68))
    }

    /// The id that is written so, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('a')?;
        (digits.len() == 15 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
            .then(|| Self(text.to_owned()))
    }

    /// As text: `a` and fifteen hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A notice's id: of its alert, its event and when that was. A receiver that has seen it need not look again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct NoticeId(String);

impl NoticeId {
    /// The id of what was told of an alert at `at`.
    #[must_use]
    pub fn of(alert: &AlertId, event: Event, at: UnixMillis) -> Self {
        let hash = xxh3_128(format!("{alert}\0{}\0{}", event.as_str(), at.0).as_bytes());
        Self(format!("n{:015x}", hash >> 68))
    }

    /// As text: `n` and fifteen hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is told of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It fires.
    Fired,
    /// It comes and goes: it is told to fire, and no more until it has been quiet or steady for a while.
    Flapping,
    /// It has lasted for long and nobody has acknowledged it.
    Reminder,
    /// It is over.
    Resolved,
    /// What was told of it turned out to be otherwise: a note, not a new alarm.
    Corrected,
}

impl Event {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Fired, Self::Flapping, Self::Reminder, Self::Resolved, Self::Corrected];

    /// The word for it in the API, the store and for receivers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Flapping => "flapping",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
            Self::Corrected => "corrected",
        }
    }

    /// The word for people, short enough for the start of a subject line.
    #[must_use]
    pub const fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::Fired => lang.pick("SỰ CỐ", "ALERT"),
            Self::Flapping => lang.pick("CHẬP CHỜN", "FLAPPING"),
            Self::Reminder => lang.pick("NHẮC LẠI", "REMINDER"),
            Self::Resolved => lang.pick("ĐÃ KHÔI PHỤC", "RESOLVED"),
            Self::Corrected => lang.pick("ĐÍNH CHÍNH", "CORRECTION"),
        }
    }

    /// Whether the alert goes on after it.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        match self {
            Self::Fired | Self::Flapping | Self::Reminder => true,
            Self::Resolved | Self::Corrected => false,
        }
    }
}

/// What a receiver needs to know of a site, as the register had it when the notice was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteFacts {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SiteId,
    /// Its name.
    pub name: String,
    /// Its tier's id.
    pub tier: String,
    /// Its branch's id.
    pub branch: String,
    /// Its district.
    pub district: Option<String>,
    /// Whom to call there.
    pub contacts: Vec<String>,
}

/// What a receiver needs to know of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkFacts {
    /// Its name.
    #[schema(value_type = String)]
    pub name: LinkName,
    /// Its kind.
    #[schema(value_type = String)]
    pub kind: LinkKind,
    /// Who provides it.
    pub carrier: Option<String>,
    /// The contract's number.
    pub contract: Option<String>,
}

/// Another site that is affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Affected {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SiteId,
    /// Its name.
    pub name: String,
}

/// A text in both languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Both {
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

impl Both {
    /// The same words from a function of the language.
    #[must_use]
    pub fn of(text: impl Fn(Lang) -> String) -> Self {
        Self { vi: text(Lang::Vi), en: text(Lang::En) }
    }

    /// The one in this language.
    #[must_use]
    pub fn get(&self, lang: Lang) -> &str {
        lang.pick(&self.vi, &self.en)
    }
}

/// So many affected sites are listed by name in a notice; the number of all is told beside.
pub const MOST_LISTED: usize = 50;

/// One thing to be told, with all that its text may use. It is stored as it is, so that what is sent later tells what was known
/// when it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// The alert that it is of; the same from firing to resolved.
    pub alert: AlertId,
    /// What is told.
    pub event: Event,
    /// What was watched for.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// Of what it is.
    pub subject: Subject,
    /// The site, where it is of one.
    pub site: Option<SiteFacts>,
    /// The link, where it is of one.
    pub link: Option<LinkFacts>,
    /// The first bad instant, by the evidence. Unix milliseconds.
    #[schema(value_type = i64)]
    pub since: UnixMillis,
    /// The first good instant, once it is over. Unix milliseconds.
    #[schema(value_type = Option<i64>)]
    pub until: Option<UnixMillis>,
    /// When this notice was made. Unix milliseconds.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
    /// To what it is charged, as far as is known.
    pub cause: Option<cause::Cause>,
    /// What is wrong, in a sentence: what was seen, by whom.
    pub why: Both,
    /// Who is to act on it: the carrier, the ISP, the site's own people, the centre's.
    pub responsible: Both,
    /// Other sites that are affected, at most [`MOST_LISTED`].
    pub affected: Vec<Affected>,
    /// How many there are.
    pub affected_count: u32,
    /// How often it came and went lately, where it flaps.
    pub flaps: u32,
    /// Where the page tells more: a path, to be put behind the collector's address.
    pub path: String,
    /// It is a drill: nothing has happened.
    pub drill: bool,
    /// Of a correction: what had been said, and what is said now.
    pub correction: Option<Correction>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_functions_of_what_they_name_and_read_back() {
        let subject = Subject::Site { site: "xa-a".parse().unwrap() };
        let id = AlertId::of(Rule::SiteOffline, &subject, UnixMillis(5));
        assert_eq!(id, AlertId::of(Rule::SiteOffline, &subject, UnixMillis(5)));
        assert_ne!(id, AlertId::of(Rule::SiteOffline, &subject, UnixMillis(6)));
        assert_ne!(id, AlertId::of(Rule::AgentSilent, &subject, UnixMillis(5)));
        assert_eq!(AlertId::parse(id.as_str()), Some(id.clone()));
        for text in ["", "a", "a0123456789abcdeg", "A0123456789abcde", "b0123456789abcde", "a0123456789ABCDE"]
        {
            assert_eq!(AlertId::parse(text), None, "{text}");
        }
        let fired = NoticeId::of(&id, Event::Fired, UnixMillis(7));
        assert_ne!(fired, NoticeId::of(&id, Event::Resolved, UnixMillis(7)));
        assert_ne!(fired, NoticeId::of(&id, Event::Fired, UnixMillis(8)));
    }

    #[test]
    fn keys_of_subjects_are_unlike_each_other() {
        let site: SiteId = "xa-a".parse().unwrap();
        let link: LinkName = "wan-vnpt".parse().unwrap();
        let many = |common| Subject::Many { common };
        let subjects = [
            Subject::Site { site: site.clone() },
            Subject::Link { site, link },
            Subject::Tier { tier: "xa-a".into() },
            Subject::Target { target: "xa-a".into() },
            many(Common::Carrier("xa-a".into())),
            many(Common::District("xa-a".into())),
            many(Common::All),
            Subject::Collector,
        ];
        let keys: std::collections::BTreeSet<_> = subjects.iter().map(Subject::key).collect();
        assert_eq!(keys.len(), subjects.len());
        for subject in subjects {
            let text = serde_json::to_string(&subject).unwrap();
            assert_eq!(serde_json::from_str::<Subject>(&text).unwrap(), subject, "{text}");
        }
    }
}
