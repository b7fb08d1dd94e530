//! To what a bad minute is charged, by rule, from the evidence around the same time.
//!
//! A link or a site is **bad** while it is down, degraded, or unknown although it should be known (not: before it was equipped, of a
//! kind that nobody measures). Every bad instant is charged to exactly one [`Cause`] by exactly one [`Rule`]; the [`Scene`] that
//! the rule looked at is kept beside it, so that an incident can say why ("LAN up, WAN down as seen from both sides").
//!
//! # Never a guess
//!
//! Where the evidence does not decide, the cause is `unknown`, and the rule says what is missing. A late backlog, the boot time in
//! an agent's next push, or a planned window entered afterwards change the scene, and with it the answer: nothing of this is
//! stored.
//!
//! # The table
//!
//! The first row that applies decides. *Fails*: down, or degraded where the link that is asked about is only degraded.
//!
//! | # | the link | further evidence | rule | cause |
//! | --- | --- | --- | --- | --- |
//! | 1 | any | a planned window covers it | `planned_work` | planned |
//! | 2 | the site's agent's instrument failed | | `instrument_failed` | agent |
//! | 3 | not known by the site's word, its agent silent | the host booted within the silence | `boot_in_gap` | power |
//! | 4 | unknown, collector stopped or cut off | | `collector_stopped` | collector |
//! | 5 | unknown, agent silent | the agent restarted within the silence, the host did not | `agent_restarted` | agent |
//! | 6 | unknown, agent silent | another vantage sees the site's WAN work | `line_works` | agent |
//! | 7 | not LAN, agent silent | the path is cut above the site | `path_cut` | upstream |
//! | 8 | down by others' word, agent silent | the silence is not over | `not_yet_told` | unknown |
//! | 9 | down by others' word, agent silent | | `nobody_at_site` | unknown |
//! | 10 | unknown, agent silent | it has never spoken before | `never_spoke` | unknown |
//! | 11 | unknown, agent silent | the silence is not over | `not_yet_told` | unknown |
//! | 12 | unknown, agent silent | the same agent spoke before and after | `rounds_missing` | unknown |
//! | 13 | unknown, the agent speaks of others | | `not_probed` | unknown |
//! | 14 | LAN fails | | `lan_fails` | lan |
//! | 15 | any other fails | the LAN fails | `behind_lan` | lan |
//! | 16 | WAN fails | the path is cut above the site | `path_cut` | upstream |
//! | 17 | WAN down by the site's word | another vantage sees it work | `contradiction` | unknown |
//! | 18 | WAN fails | the LAN works, another vantage sees it down too | `both_sides` | carrier |
//! | 19 | WAN fails | the LAN works | `gateway_answers` | carrier |
//! | 20 | WAN fails | nobody sees the LAN, the Internet works | `other_line_works` | carrier |
//! | 21 | WAN fails | nobody sees the LAN | `path_not_seen` | unknown |
//! | 22 | Internet fails | the WAN fails on a line of the same carrier, not above the site | that of the WAN | |
//! | 23 | Internet fails | the WAN fails on another line, or above the site | `both_lines_fail` | unknown |
//! | 24 | Internet fails | the WAN works | `wan_works` | isp |
//! | 25 | Internet fails | nobody sees the WAN, the LAN works | `gateway_answers_only` | isp |
//! | 26 | Internet fails | nobody sees WAN or LAN | `path_not_seen` | unknown |
//! | 27 | service fails | the WAN fails | that of the WAN | |
//! | 28 | service fails | the WAN works | `system_fails` | upstream |
//! | 29 | service fails | nobody sees the WAN | `path_not_seen` | unknown |
//!
//! **The LAN fails** what lies behind it only while its silence is news: its target answered within the last week
//! ([`GATEWAY_MEMORY`]), and since that answer the kind of link that is asked about has not worked for two rounds by the agent's own word
//! (of a service: nor has the WAN). Many routers drop echoes: one that never answers, or does so no more while the WAN goes on, says
//! nothing of the WAN, and counts as a LAN that nobody sees. The LAN itself is charged to the LAN all the same (row 14).
//!
//! **The path is cut above the site** while its parent's WAN is down and no other vantage reaches it; where nobody knows of that WAN, while
//! the parent had no power or the path is cut above the parent ([`path_for_children`]). Of a WAN that is only degraded: also while it is
//! degraded there.
//!
//! **Edges**: observers' rounds do not end together, so what is said about a neighbour (LAN, WAN, path, other vantage) counts up to [`EDGE`]
//! beyond its own time. Of two failures of the WAN within that time the present one is followed, else the one that is over, else the
//! one that comes.
//!
//! **A site** is charged by the kinds that make it as bad as it is. Of several, the one nearest to the root decides: power, LAN,
//! upstream, carrier, ISP, agent, collector, unknown, and planned last: planned work excuses a site only where nothing else
//! is wrong with it.

mod lan;
mod moment;
mod scene;
mod stage;
mod sweep;
mod words;

pub use lan::GATEWAY_MEMORY;
pub use scene::{Scene, Silence, Voice, decide};
pub use sweep::{Around, Charge, Charges, LinkAround, Path, charges, path_for_children};

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Two rounds of five seconds: as far apart may two observers see the same edge.
pub const EDGE: Duration = Duration::from_secs(10);

/// To what a bad minute is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The carrier of the WAN line.
    Carrier,
    /// The provider of the Internet line.
    Isp,
    /// The site's own network.
    Lan,
    /// The site's host was without power, or was switched off.
    Power,
    /// The agent, not what it measures.
    Agent,
    /// What the site's path depends on: its parent, the data centre, a shared system.
    Upstream,
    /// The collector did not run or was cut off.
    Collector,
    /// Planned work.
    Planned,
    /// The evidence does not tell.
    Unknown,
}

impl Cause {
    /// Every cause, in the order of the design's list.
    pub const ALL: [Self; 9] = [
        Self::Carrier,
        Self::Isp,
        Self::Lan,
        Self::Power,
        Self::Agent,
        Self::Upstream,
        Self::Collector,
        Self::Planned,
        Self::Unknown,
    ];

    /// The word for it in the API, the metrics and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Isp => "isp",
            Self::Lan => "lan",
            Self::Power => "power",
            Self::Agent => "agent",
            Self::Upstream => "upstream",
            Self::Collector => "collector",
            Self::Planned => "planned",
            Self::Unknown => "unknown",
        }
    }

    /// The smaller, the nearer to the root: of several causes at once that one is charged.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Power => 0,
            Self::Lan => 1,
            Self::Upstream => 2,
            Self::Carrier => 3,
            Self::Isp => 4,
            Self::Agent => 5,
            Self::Collector => 6,
            Self::Unknown => 7,
            Self::Planned => 8,
        }
    }
}

impl std::str::FromStr for Cause {
    type Err = NotACause;

    fn from_str(text: &str) -> Result<Self, NotACause> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text).ok_or(NotACause)
    }
}

/// Text that is no cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected carrier, isp, lan, power, agent, upstream, collector, planned or unknown")]
pub struct NotACause;

/// Which row of the table decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = CauseRule)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A planned window covers it.
    PlannedWork,
    /// The instrument of the site's agent failed.
    InstrumentFailed,
    /// The host booted within the agent's silence.
    BootInGap,
    /// The collector did not run or was cut off, and no backlog has filled the time.
    CollectorStopped,
    /// The agent restarted within its silence, and the host did not.
    AgentRestarted,
    /// The agent is silent while another vantage sees the site's WAN work.
    LineWorks,
    /// The path to the site is cut above it.
    PathCut,
    /// The agent is still silent: its backlog may tell.
    NotYetTold,
    /// Others saw it fail, and the site's agent told nothing of that time.
    NobodyAtSite,
    /// The agent had not spoken before.
    NeverSpoke,
    /// The same agent spoke before and after, and told nothing of that time.
    RoundsMissing,
    /// The agent speaks, and does not probe this link.
    NotProbed,
    /// The gateway does not answer, or loses too much.
    LanFails,
    /// The LAN fails, and what lies behind it with it.
    BehindLan,
    /// The site says that its WAN is down, and another vantage reaches it.
    Contradiction,
    /// The gateway answers; the WAN fails as seen from both sides.
    BothSides,
    /// The gateway answers; the WAN fails.
    GatewayAnswers,
    /// Nobody sees the LAN; the Internet works, the WAN fails.
    OtherLineWorks,
    /// Nobody sees what lies before the link that fails.
    PathNotSeen,
    /// Internet and WAN fail at once on different lines, or the WAN above the site.
    BothLinesFail,
    /// The WAN works; the Internet fails.
    WanWorks,
    /// The gateway answers, nobody sees the WAN; the Internet fails.
    GatewayAnswersOnly,
    /// The WAN works; the shared system does not answer.
    SystemFails,
}

impl Rule {
    /// Every rule, in the order of the table.
    pub const ALL: [Self; 23] = [
        Self::PlannedWork,
        Self::InstrumentFailed,
        Self::BootInGap,
        Self::CollectorStopped,
        Self::AgentRestarted,
        Self::LineWorks,
        Self::PathCut,
        Self::NotYetTold,
        Self::NobodyAtSite,
        Self::NeverSpoke,
        Self::RoundsMissing,
        Self::NotProbed,
        Self::LanFails,
        Self::BehindLan,
        Self::Contradiction,
        Self::BothSides,
        Self::GatewayAnswers,
        Self::OtherLineWorks,
        Self::PathNotSeen,
        Self::BothLinesFail,
        Self::WanWorks,
        Self::GatewayAnswersOnly,
        Self::SystemFails,
    ];

    /// The cause that the rule charges.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::PlannedWork => Cause::Planned,
            Self::InstrumentFailed | Self::AgentRestarted | Self::LineWorks => Cause::Agent,
            Self::BootInGap => Cause::Power,
            Self::CollectorStopped => Cause::Collector,
            Self::PathCut | Self::SystemFails => Cause::Upstream,
            Self::LanFails | Self::BehindLan => Cause::Lan,
            Self::BothSides | Self::GatewayAnswers | Self::OtherLineWorks => Cause::Carrier,
            Self::WanWorks | Self::GatewayAnswersOnly => Cause::Isp,
            Self::NotYetTold
            | Self::NobodyAtSite
            | Self::NeverSpoke
            | Self::RoundsMissing
            | Self::NotProbed
            | Self::Contradiction
            | Self::PathNotSeen
            | Self::BothLinesFail => Cause::Unknown,
        }
    }

    /// The word for it in the API and in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlannedWork => "planned_work",
            Self::InstrumentFailed => "instrument_failed",
            Self::BootInGap => "boot_in_gap",
            Self::CollectorStopped => "collector_stopped",
            Self::AgentRestarted => "agent_restarted",
            Self::LineWorks => "line_works",
            Self::PathCut => "path_cut",
            Self::NotYetTold => "not_yet_told",
            Self::NobodyAtSite => "nobody_at_site",
            Self::NeverSpoke => "never_spoke",
            Self::RoundsMissing => "rounds_missing",
            Self::NotProbed => "not_probed",
            Self::LanFails => "lan_fails",
            Self::BehindLan => "behind_lan",
            Self::Contradiction => "contradiction",
            Self::BothSides => "both_sides",
            Self::GatewayAnswers => "gateway_answers",
            Self::OtherLineWorks => "other_line_works",
            Self::PathNotSeen => "path_not_seen",
            Self::BothLinesFail => "both_lines_fail",
            Self::WanWorks => "wan_works",
            Self::GatewayAnswersOnly => "gateway_answers_only",
            Self::SystemFails => "system_fails",
        }
    }
}

impl std::str::FromStr for Rule {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text).ok_or(NotARule)
    }
}

/// Text that is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a rule")]
pub struct NotARule;
