//! Names of things: a site's id, a link's name, the kinds of link and probe.
//!
//! Ids are slugs: lower-case ASCII letters, digits and single places for hyphens inside. They stand in URLs, file names,
//! label values and CSV columns, so they need quoting in none of these. Names for people are elsewhere.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest slug, in bytes: it is a DNS label and one more, and fits any file system and any column.
pub const MAX_ID_BYTES: usize = 64;

/// Why a text is not an id. The message says what was found, what is expected, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("found an empty text, expected {expected}")]
    Empty {
        /// What should stand here.
        expected: &'static str,
    },
    /// The text is longer than [`MAX_ID_BYTES`].
    #[error("found {found} bytes, expected at most {MAX_ID_BYTES}: shorten {text:?}")]
    TooLong {
        /// The text, cut to a length that can be shown.
        text: String,
        /// Its length in bytes.
        found: usize,
    },
    /// The text has a character that a slug cannot have, or a hyphen at an end.
    #[error(
        "found {text:?}, expected lower-case letters a-z, digits and hyphens, with a letter or digit at both ends{}",
        suggest(.text)
    )]
    NotSlug {
        /// The text as found.
        text: String,
    },
    /// A link's name does not begin with its kind.
    #[error(
        "found {text:?}, expected a link's kind (lan, wan, internet or service), \
         alone or with a suffix as in wan-vnpt"
    )]
    NoKind {
        /// The text as found.
        text: String,
    },
    /// The text is none of the words that can stand here.
    #[error("found {text:?}, expected one of {expected}")]
    NotOneOf {
        /// The text as found.
        text: String,
        /// The words that can stand here.
        expected: &'static str,
    },
}

/// The id of one agency at one place: a slug of at most 64 bytes, chosen in the register and never changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteId(Arc<str>);

impl SiteId {
    /// The id that `text` spells.
    ///
    /// # Errors
    /// When the text is not a slug of 1 to 64 bytes.
    pub fn parse(text: &str) -> Result<SiteId, IdError> {
        check_slug(text, "a site's id, for example ubnd-tan-hung")?;
        Ok(SiteId(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One way out of a site, by name: `lan`, `wan`, `internet`, `service`, or one of these with a suffix (`wan-vnpt`,
/// `service-mail`) where a site has several of a kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName {
    text: Arc<str>,
    kind: LinkKind,
}

impl LinkName {
    /// The link that `text` names.
    ///
    /// # Errors
    /// When the text is not a slug of 1 to 64 bytes, or does not begin with a kind.
    pub fn parse(text: &str) -> Result<LinkName, IdError> {
        check_slug(text, "a link's name, for example wan or wan-vnpt")?;
        let prefix = text.split_once('-').map_or(text, |(prefix, _)| prefix);
        let kind = LinkKind::ALL.into_iter().find(|kind| kind.as_str() == prefix);
        let kind = kind.ok_or_else(|| IdError::NoKind { text: text.to_owned() })?;
        Ok(LinkName { text: text.into(), kind })
    }

    /// The kind that the name begins with.
    #[must_use]
    pub fn kind(&self) -> LinkKind {
        self.kind
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The link that carries only its kind as its name.
impl From<LinkKind> for LinkName {
    fn from(kind: LinkKind) -> LinkName {
        LinkName { text: kind.as_str().into(), kind }
    }
}

/// What a link is for. The order is outward: from the site's own network to what is reached through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// The site's own network, as far as its gateway.
    Lan,
    /// The leased line or tunnel into the provincial WAN.
    Wan,
    /// A way to the public Internet.
    Internet,
    /// A shared system that every agency must reach: mail, document management, the data centre.
    Service,
}

impl LinkKind {
    /// Every kind, in order.
    pub const ALL: [LinkKind; 4] = [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet, LinkKind::Service];

    /// The kind as it is written in configuration, labels and links' names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            LinkKind::Lan => "lan",
            LinkKind::Wan => "wan",
            LinkKind::Internet => "internet",
            LinkKind::Service => "service",
        }
    }
}

impl FromStr for LinkKind {
    type Err = IdError;

    fn from_str(text: &str) -> Result<LinkKind, IdError> {
        let kind = LinkKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| IdError::NotOneOf {
            text: text.to_owned(),
            expected: "lan, wan, internet, service",
        })
    }
}

/// How a target is probed; the value of the `probe` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// ICMP or ICMPv6 echo (RFC 792, RFC 4443).
    Icmp,
    /// A TCP connection (RFC 9293).
    Tcp,
    /// An HTTP or HTTPS request (RFC 9110).
    Http,
    /// A DNS query to a given resolver (RFC 1035).
    Dns,
}

impl ProbeKind {
    /// Every kind, in order.
    pub const ALL: [ProbeKind; 4] = [ProbeKind::Icmp, ProbeKind::Tcp, ProbeKind::Http, ProbeKind::Dns];

    /// The kind as it is written in configuration and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ProbeKind::Icmp => "icmp",
            ProbeKind::Tcp => "tcp",
            ProbeKind::Http => "http",
            ProbeKind::Dns => "dns",
        }
    }
}

impl FromStr for ProbeKind {
    type Err = IdError;

    fn from_str(text: &str) -> Result<ProbeKind, IdError> {
        let kind = ProbeKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| IdError::NotOneOf { text: text.to_owned(), expected: "icmp, tcp, http, dns" })
    }
}

/// Text in, text out, and comparison with `str`, for a type that is a parsed text.
macro_rules! parsed_text {
    ($type:ident) => {
        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<$type, IdError> {
                $type::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = IdError;

            fn try_from(text: String) -> Result<$type, IdError> {
                $type::parse(&text)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = IdError;

            fn try_from(text: &str) -> Result<$type, IdError> {
                $type::parse(text)
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> String {
                id.as_str().to_owned()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($type), self.as_str())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

parsed_text!(SiteId);
parsed_text!(LinkName);

/// A map keyed by `SiteId` can be asked with a `&str`: ordering, equality and hash are the text's own.
impl Borrow<str> for SiteId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn check_slug(text: &str, expected: &'static str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { expected });
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong { text: text.chars().take(MAX_ID_BYTES).collect(), found: text.len() });
    }
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    if !text.bytes().all(|byte| inner(&byte)) || text.starts_with('-') || text.ends_with('-') {
        return Err(IdError::NotSlug { text: text.to_owned() });
    }
    Ok(())
}

/// `; write "…"` with the slug that was most likely meant, when ASCII case, spaces and underscores are all that is wrong.
fn suggest(text: &str) -> String {
    let slug: String = text
        .chars()
        .map(|c| if c == ' ' || c == '_' || c == '.' { '-' } else { c.to_ascii_lowercase() })
        .collect();
    let slug = slug.trim_matches('-');
    if check_slug(slug, "").is_ok() { format!("; write {slug:?}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_id_is_a_slug_of_1_to_64_bytes() {
        for good in ["a", "7", "ubnd-tan-hung", "a--b", &"x".repeat(64)] {
            assert_eq!(SiteId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "tân-hưng", "a b", "a\n", &"x".repeat(65)] {
            assert!(SiteId::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_refused_id_says_what_was_meant() {
        let message = SiteId::parse("UBND Tan_Hung").unwrap_err().to_string();
        assert!(message.ends_with("; write \"ubnd-tan-hung\""), "{message}");
        let message = SiteId::parse("tân").unwrap_err().to_string();
        assert!(!message.contains("write"), "{message}");
        assert!(SiteId::parse("").unwrap_err().to_string().contains("expected a site's id"));
    }

    #[test]
    fn a_links_kind_is_its_prefix() {
        let cases = [
            ("lan", LinkKind::Lan),
            ("wan-vnpt", LinkKind::Wan),
            ("internet-ftth-2", LinkKind::Internet),
            ("service-mail", LinkKind::Service),
        ];
        for (text, kind) in cases {
            assert_eq!(LinkName::parse(text).unwrap().kind(), kind);
        }
        for bad in ["wanvnpt", "vnpt-wan", "wan-", "", "WAN", "lan_1", "wan-Ä"] {
            assert!(LinkName::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(LinkName::from(LinkKind::Wan), LinkName::parse("wan").unwrap());
    }

    #[test]
    fn words_of_kinds_are_read_and_written_the_same() {
        for kind in LinkKind::ALL {
            assert_eq!(kind.as_str().parse::<LinkKind>().unwrap(), kind);
        }
        for kind in ProbeKind::ALL {
            assert_eq!(kind.as_str().parse::<ProbeKind>().unwrap(), kind);
        }
        assert!("ICMP".parse::<ProbeKind>().unwrap_err().to_string().contains("icmp, tcp, http, dns"));
        assert!("vpn".parse::<LinkKind>().is_err());
    }

    #[test]
    fn a_map_of_sites_is_asked_with_plain_text() {
        let map = std::collections::BTreeMap::from([(SiteId::parse("a").unwrap(), 1)]);
        assert_eq!(map.get("a"), Some(&1));
    }
}
