//! The `alerts` key: what is watched for, who is told of it, and how.

mod channel;
mod read;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use wan_settings::{Mistake, nearest};
use wan_wire::SiteId;

use crate::alert::machine::Settings;
use crate::alert::{Event, Rule, Severity};
use crate::inventory::Register;
use crate::lang::Lang;

pub use channel::{
    Alertmanager, Channel, Command, Expect, Header, Hidden, Kind, Login, SecretFrom, Security, Smtp, Source,
    SourceText, Templates, Webhook, WebhookUrl,
};
pub(super) use read::{alerts, any_login as login, timeout};

/// What alerts do. Every part has a default.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// Where readers of alerts find the collector's page, without a slash at the end. Default: the first of `urls`, else none.
    pub page: Option<String>,
    /// The language of notices, unless a channel has its own. Default Vietnamese.
    pub lang: Lang,
    /// A notice that could not be delivered for this long is given up, and counted. Default 3 d.
    pub expire: Duration,
    /// By what receivers are told. Default: nothing.
    pub channels: Vec<Channel>,
    /// Who is told what, in order. Default none: every channel is told everything.
    pub routes: Vec<Route>,
    /// What is watched for, and when it is told.
    pub settings: Settings,
    /// What is told regularly as long as all is well with the collector, so that its silence is noticed. Default none.
    pub heartbeat: Option<Heartbeat>,
}

/// The dead man's switch: whoever receives it raises the alarm when it stays away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// To whom.
    pub to: HeartbeatTo,
    /// How often. Default 1 min.
    pub every: Duration,
}

/// Who hears the heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartbeatTo {
    /// This URL is asked (GET).
    Url(Hidden),
    /// A channel of the kind `alertmanager`: an alert that always fires.
    Channel(ChannelName),
}

/// A channel's name: 1 to 32 lower-case letters, digits, `-` or `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct ChannelName(String);

/// The text is no channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to 32 lower-case letters, digits, “-” or “_”")]
pub struct NotAChannelName;

impl ChannelName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = NotAChannelName;

    fn from_str(text: &str) -> Result<Self, NotAChannelName> {
        let good = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        good.then(|| Self(text.to_owned())).ok_or(NotAChannelName)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of the routes: whom to tell what. What is left out does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// One of these rules.
    pub rules: Option<BTreeSet<Rule>>,
    /// At least as bad.
    pub severity: Option<Severity>,
    /// One of these events.
    pub events: Option<BTreeSet<Event>>,
    /// The site's tier.
    pub tiers: Option<BTreeSet<String>>,
    /// The site's branch.
    pub branches: Option<BTreeSet<String>>,
    /// The site's district.
    pub districts: Option<BTreeSet<String>>,
    /// The site.
    pub sites: Option<BTreeSet<SiteId>>,
    /// At which hours.
    pub hours: RouteHours,
    /// Who is told.
    pub to: BTreeSet<ChannelName>,
    /// Whether the lines below are looked at as well.
    pub goes_on: bool,
    /// Names that only the register knows, and where they stand.
    pub said: Vec<Said>,
}

impl Route {
    /// Whether it asks where a site is or what it is.
    #[must_use]
    pub fn is_of_places(&self) -> bool {
        self.tiers.is_some() || self.branches.is_some() || self.districts.is_some() || self.sites.is_some()
    }
}

/// At which hours a route holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteHours {
    /// At all.
    #[default]
    All,
    /// In the calendar's hours of service.
    Service,
    /// At all others.
    Outside,
}

/// A name in the file that only the register knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Of what it is the name.
    pub what: SaidOf,
    /// The name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

/// Of what a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaidOf {
    /// A district.
    District,
    /// A site.
    Site,
}

/// Where something stands in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Its line, from 1; 0 where it is not known.
    pub line: usize,
    /// Its column, from 1; 0 where it is not known.
    pub column: usize,
    /// The key.
    pub key: String,
}

impl Place {
    /// A mistake there.
    #[must_use]
    pub fn mistake(
        &self,
        found: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Mistake {
        Mistake {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            key: self.key.clone(),
            found: found.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            page: None,
            lang: Lang::Vi,
            expire: minute * 60 * 24 * 3,
            channels: Vec::new(),
            routes: Vec::new(),
            settings: Settings::default(),
            heartbeat: None,
        }
    }
}

impl Alerts {
    /// The channel of this name.
    #[must_use]
    pub fn channel(&self, name: &ChannelName) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == *name)
    }

    /// The names of routes that the register does not know.
    #[must_use]
    pub fn unknown_places(&self, register: &Register) -> Vec<Mistake> {
        let districts: BTreeSet<&str> =
            register.sites().filter_map(|site| site.district.as_deref()).collect();
        let mut mistakes = Vec::new();
        for said in self.routes.iter().flat_map(|route| &route.said) {
            let (known, what) = match said.what {
                SaidOf::District => (districts.contains(said.name.as_str()), "a district of the register"),
                SaidOf::Site => {
                    let known = said.name.parse().is_ok_and(|id: SiteId| register.get(&id).is_some());
                    (known, "a site of the register")
                }
            };
            if known {
                continue;
            }
            let remedy = match said.what {
                SaidOf::District => nearest(&said.name, districts.iter().copied()),
                SaidOf::Site => nearest(&said.name, register.sites().map(|site| site.id.as_str())),
            };
            let remedy = match remedy {
                Some(meant) => format!("did you mean {meant}?"),
                None => "remove it, or import the register that has it".to_owned(),
            };
            mistakes.push(said.place.mistake(wan_settings::quote(&said.name), what, remedy));
        }
        mistakes
    }

    /// Has every relative path start at `folder`.
    pub(super) fn start_at(&mut self, folder: &Path) {
        // An absolute path replaces what it is joined to.
        for path in self.channels.iter_mut().flat_map(Channel::paths) {
            *path = folder.join(&*path);
        }
    }
}

/// A path of the file.
type PathSlot<'c> = &'c mut PathBuf;
