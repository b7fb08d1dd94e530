//! `GET /api/v1/agents`: what agents are told to probe, and what became of it.

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use crate::central::{Progress, Standing};
use crate::localtime;
use crate::province::{Province, SiteNow};

/// What agents are told to probe.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AgentsAnswer {
    /// The province's time zone.
    pub zone: String,
    /// When this was so, Unix milliseconds.
    pub now: i64,
    /// The same, RFC 3339 in the province's zone.
    pub now_local: String,
    /// The file that says it.
    pub file: FileNow,
    /// The sites that are registered now, in the order of their ids.
    pub sites: Vec<AgentRow>,
}

/// The file that `agents` names in the collector's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FileNow {
    /// `none`: there is none; `good`; `bad`: it has mistakes, or the register asks for what cannot be: what that concerns goes on
    /// as it was.
    pub state: String,
    /// Where it is.
    pub path: Option<String>,
    /// Since when, Unix milliseconds.
    pub since: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub since_local: Option<String>,
    /// The first mistakes.
    pub mistakes: Vec<MistakeRow>,
}

/// One mistake of a file.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MistakeRow {
    /// The file, or `register`.
    pub file: String,
    /// The line, from 1; 0 where it concerns the file as a whole.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The key that is wrong, or the site.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What could have stood there.
    pub expected: String,
    /// What to do about it.
    pub remedy: String,
}

/// One site's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AgentRow {
    /// The site.
    pub site: String,
    /// Its name.
    pub name: String,
    /// Its configuration.
    #[serde(flatten)]
    pub config: ConfigNow,
}

/// What an agent is told to probe, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigNow {
    /// `none`: nothing is said here, so the agent's own file holds; `waiting`: the agent has not said anything about it yet;
    /// `applied`: it is in force; `refused`: the agent uses the one before, and says why.
    pub state: String,
    /// The ETag of what it is told now.
    pub etag: Option<String>,
    /// The ETag of what the agent last spoke about.
    pub told_etag: Option<String>,
    /// Why the agent refused that.
    pub reason: Option<String>,
    /// Why what it is told is not what file and register say now, if it is not: no new configuration can be made for it.
    pub held: Option<String>,
    /// When it spoke, Unix milliseconds.
    pub at: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub at_local: Option<String>,
}

/// Answers for all sites.
#[must_use]
pub fn answer(province: &Province<'_>, standing: Standing) -> AgentsAnswer {
    let config = province.config();
    let zone = &config.timezone;
    let (state, since, mistakes) = match standing {
        Standing::None => ("none", None, Vec::new()),
        Standing::Good(since) => ("good", Some(since), Vec::new()),
        Standing::Bad(since, mistakes) => ("bad", Some(since), mistakes),
    };
    let row = |mistake: wan_settings::Mistake| MistakeRow {
        file: mistake.file,
        line: mistake.line,
        column: mistake.column,
        key: mistake.key,
        found: mistake.found,
        expected: mistake.expected,
        remedy: mistake.remedy,
    };
    AgentsAnswer {
        zone: localtime::zone_name(zone),
        now: province.now.0,
        now_local: localtime::rfc3339(province.now, zone),
        file: FileNow {
            state: state.to_owned(),
            path: config.agents.as_ref().map(|path| path.display().to_string()),
            since: since.map(|at| at.0),
            since_local: since.map(|at| localtime::rfc3339(at, zone)),
            mistakes: mistakes.into_iter().map(row).collect(),
        },
        sites: province
            .registered()
            .map(|site| AgentRow {
                site: site.site.id.to_string(),
                name: site.site.name.clone(),
                config: config_now(province, &site),
            })
            .collect(),
    }
}

/// One site's configuration.
#[must_use]
pub fn config_now(province: &Province<'_>, site: &SiteNow<'_>) -> ConfigNow {
    let told = site.told;
    let local = |at: UnixMillis| localtime::rfc3339(at, &province.config().timezone);
    ConfigNow {
        state: Progress::of(site.document, told).as_str().to_owned(),
        etag: site.document.map(|document| document.tag().to_owned()),
        told_etag: told.map(|told| told.etag.clone()),
        reason: told.filter(|told| !told.applied).map(|told| told.reason.clone()),
        held: site.held.map(str::to_owned),
        at: told.map(|told| told.at.0),
        at_local: told.map(|told| local(told.at)),
    }
}
