//! What agent and collector say to each other beside remote write: enrolment, central configuration, the time.

use serde::{Deserialize, Serialize};

use crate::{LinkKind, LinkName, SiteId};

/// Where an agent gets its central configuration (GET), and says what became of it (POST). Credential: the site's secret.
pub const CONFIG_PATH: &str = "/api/v1/agent/config";
/// Where an agent has its own secret accepted as the site's, for a one-time token (POST). Credential: the token.
pub const ENROL_PATH: &str = "/api/v1/enrol";
/// Where an agent that was asked to ([`ROTATE_HEADER`]) offers a new secret (POST). Credential: its present one.
pub const SECRET_PATH: &str = "/api/v1/agent/secret";

/// Header of every answer to an authenticated agent: the collector's clock when it answered, in Unix milliseconds.
pub const TIME_HEADER: &str = "wan-time";
/// Header of every answer to an authenticated agent whose site has a central configuration: that configuration's ETag.
pub const CONFIG_HEADER: &str = "wan-config";

/// Header of answers to an authenticated agent that is to offer a new secret at [`SECRET_PATH`].
pub const ROTATE_HEADER: &str = "wan-rotate";

/// Among the names of the certificate that a collector makes for itself. An authority that signs it signs nothing but that
/// collector, so an agent that pins the authority's key needs no other name; `.internal` is for private use, and no public
/// authority may sign it.
pub const COLLECTOR_NAME: &str = "wan-collector.internal";

/// What an agent sends to enrol. The same request sent again, as after a lost answer, gets the same answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The one-time token.
    pub token: String,
    /// SHA-256 of the secret that the agent made for itself, in hexadecimal ([`crate::secret`]).
    pub secret_sha256: String,
}

/// What it gets for a good token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolAnswer {
    /// The site that its secret speaks for from now on.
    pub site: SiteId,
    /// The site's name for people.
    pub name: String,
    /// How the collector is reached, preferred first; empty: as it was reached for the enrolment.
    #[serde(default)]
    pub urls: Vec<PathUrl>,
    /// Keys of the collector to trust, as `sha256:` and base64; empty: as at the enrolment.
    #[serde(default)]
    pub pins: Vec<String>,
}

/// A new secret that an agent offers. Until it uses it for the first time, its present one is accepted too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretOffer {
    /// SHA-256 of the new secret, in hexadecimal ([`crate::secret`]).
    pub secret_sha256: String,
}

/// Why the collector refuses what an agent asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRefusal {
    /// A word for programs, such as `used` or `expired`.
    pub reason: String,
    /// What is wrong and what to do, in English.
    pub en: String,
    /// The same in Vietnamese.
    pub vi: String,
}

/// One address of the collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathUrl {
    /// Its URL, without the path of an endpoint.
    pub url: String,
    /// The link by which it is reached, such as `wan` or `internet`.
    pub path: String,
}

impl PathUrl {
    /// `URL` or `URL=PATH`, as command lines take it. Whether it is a URL is for the caller to judge.
    #[must_use]
    pub fn tagged(text: &str) -> PathUrl {
        // A path is a link's name, so what stands behind some other `=` of a URL is none.
        let tagged = text.rsplit_once('=').filter(|(_, path)| path.parse::<LinkName>().is_ok());
        let (url, path) = tagged.unwrap_or((text, LinkKind::Wan.as_str()));
        PathUrl { url: url.trim_end_matches('/').to_owned(), path: path.to_owned() }
    }
}

/// What became of a central configuration at the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReport {
    /// The configuration's ETag, with its quotes.
    pub etag: String,
    /// Whether it is in force; else the one before it is.
    pub applied: bool,
    /// Why it is not, for people.
    #[serde(default)]
    pub reason: String,
}
