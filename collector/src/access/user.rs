//! Users, tokens and sessions as the store keeps them, and what holds of them when.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wan_wire::UnixMillis;

/// The SHA-256 of a token's or session's text.
pub type Hash = [u8; 32];

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Role {
    /// Reads the page, figures and `/metrics`.
    Viewer,
    /// Also reads what agents are told and what became of it.
    Operator,
}

impl Role {
    /// All roles, from the least.
    pub const ALL: [Self; 2] = [Self::Viewer, Self::Operator];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(BadName)
    }
}

/// What a user or token is called: 1 to 32 lower-case letters, digits, `.`, `-` or `_`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// A text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 32 lower-case letters, digits, “.”, “-” or “_”, and begins with a letter or digit")]
pub struct BadName;

impl UserName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that somebody typed into a form: capitals and spaces around it do not matter.
    ///
    /// # Errors
    /// When it can be no name.
    pub fn typed(text: &str) -> Result<Self, BadName> {
        text.trim().to_ascii_lowercase().parse()
    }
}

impl FromStr for UserName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| plain(byte) || b".-_".contains(&byte))
            && text.bytes().next().is_some_and(plain);
        if good { Ok(Self(text.to_owned())) } else { Err(BadName) }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One who logs in by name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: UserName,
    /// The password's argon2id hash as a PHC string.
    pub hash: String,
    /// What the user may do.
    pub role: Role,
    /// When the user was added.
    pub created: UnixMillis,
    /// Since when the user is not let in any more.
    pub disabled: Option<UnixMillis>,
    /// The newest use of any of the user's sessions.
    pub last_seen: Option<UnixMillis>,
}

/// What a scraper or script proves itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is called, for people and the log. Among the tokens that are not revoked it is the only one of its name.
    pub name: UserName,
    /// The hash of what is sent.
    pub hash: Hash,
    /// What it allows.
    pub role: Role,
    /// When it was made.
    pub created: UnixMillis,
    /// The first instant at which it is not good any more.
    pub expires: Option<UnixMillis>,
    /// Since when it is revoked.
    pub revoked: Option<UnixMillis>,
}

impl Token {
    /// Whether it is accepted at `now`.
    #[must_use]
    pub fn holds(&self, now: UnixMillis) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// One login of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The hash of what the cookie holds.
    pub hash: Hash,
    /// Whose it is.
    pub user: UserName,
    /// What the user may do, as it is now.
    pub role: Role,
    /// When the user logged in.
    pub created: UnixMillis,
    /// When it was last used, give or take a twelfth of the idle limit.
    pub last_used: UnixMillis,
    /// The first instant at which it is over, used or not.
    pub expires: UnixMillis,
}

/// How long sessions last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRules {
    /// A session that was not used for this long is over. Default 12 h: over the night, not over lunch.
    pub idle: Duration,
    /// A session is over this long after its login, however much it is used. Default 7 d: one login a week.
    pub absolute: Duration,
}

impl Default for SessionRules {
    fn default() -> Self {
        Self { idle: Duration::from_secs(12 * 3600), absolute: Duration::from_secs(7 * 86_400) }
    }
}

impl Session {
    /// Whether it still lets its user in at `now`. Limits that were made shorter since the login hold for it too.
    #[must_use]
    pub fn holds(&self, now: UnixMillis, rules: &SessionRules) -> bool {
        now < self.expires
            && now < self.created.plus_millis(millis(rules.absolute))
            && now < self.last_used.plus_millis(millis(rules.idle))
    }

    /// Whether its use at `now` is worth writing down: each page asks every five seconds, and a write is a sync.
    #[must_use]
    pub fn is_stale(&self, now: UnixMillis, rules: &SessionRules) -> bool {
        now.millis_since(self.last_used) >= millis(rules.idle / 12)
    }
}

/// A duration of the configuration's, which bounds it far below what does not fit.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn session() -> Session {
        Session {
            hash: [0; 32],
            user: "binh".parse().unwrap(),
            role: Role::Viewer,
            created: UnixMillis(0),
            last_used: UnixMillis(100 * HOUR),
            expires: UnixMillis(168 * HOUR),
        }
    }

    #[test]
    fn a_session_ends_when_idle_and_in_any_case_a_week_after_the_login() {
        let rules = SessionRules::default();
        let holds = |hours: i64, more: i64| session().holds(UnixMillis(hours * HOUR + more), &rules);
        assert!(holds(100, 0) && holds(112, -1));
        assert!(!holds(112, 0), "twelve hours without use");
        let used = Session { last_used: UnixMillis(167 * HOUR), ..session() };
        assert!(used.holds(UnixMillis(168 * HOUR - 1), &rules));
        assert!(!used.holds(UnixMillis(168 * HOUR), &rules), "seven days after the login");
        let shorter = SessionRules { absolute: Duration::from_secs(99 * 3600), ..rules };
        assert!(!session().holds(UnixMillis(100 * HOUR), &shorter), "the limit was made shorter since");
    }

    #[test]
    fn the_use_of_a_session_is_written_down_now_and_then() {
        let rules = SessionRules::default();
        assert!(!session().is_stale(UnixMillis(101 * HOUR - 1), &rules));
        assert!(session().is_stale(UnixMillis(101 * HOUR), &rules));
    }

    #[test]
    fn a_token_ends_when_it_expires_or_is_revoked() {
        let token = Token {
            name: "prometheus".parse().unwrap(),
            hash: [0; 32],
            role: Role::Viewer,
            created: UnixMillis(0),
            expires: Some(UnixMillis(10)),
            revoked: None,
        };
        assert!(token.holds(UnixMillis(9)) && !token.holds(UnixMillis(10)));
        assert!(Token { expires: None, ..token.clone() }.holds(UnixMillis(i64::MAX)));
        assert!(!Token { revoked: Some(UnixMillis(5)), ..token }.holds(UnixMillis(5)));
    }

    #[test]
    fn a_name_is_short_and_plain_and_a_form_forgives_capitals_and_spaces() {
        for good in ["a", "binh", "nguyen.van-a_2", "0276", &"x".repeat(32)] {
            assert_eq!(good.parse::<UserName>().unwrap().as_str(), good);
        }
        for bad in ["", " ", ".a", "-a", "Binh", "bình", "a b", "a/b", "a\0", &"x".repeat(33)] {
            assert_eq!(bad.parse::<UserName>(), Err(BadName), "{bad:?}");
        }
        assert_eq!(UserName::typed("  Binh\t").unwrap().as_str(), "binh");
        assert_eq!(UserName::typed("bình"), Err(BadName));
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!(Role::Viewer < Role::Operator);
    }
}
