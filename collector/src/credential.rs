//! Who an agent is: the site of the secret that its request carries, and what every answer to it says beside the answer.
//!
//! The write endpoint, the central configuration and the rotation of secrets share this. A secret that is offered in place
//! of another ([`crate::enrolment`]) is as good as one that is settled; that it was used is noted here, and soon after the
//! former one is revoked.

use std::sync::Arc;

use axum::response::Response;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use wan_wire::UnixMillis;
use wan_wire::api::{CONFIG_HEADER, ROTATE_HEADER, TIME_HEADER};

use crate::state::{SecretHash, SiteRuntime, State};

/// The sender of a request whose secret is good.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The site that it speaks for.
    pub site: Arc<SiteRuntime>,
    /// What it proved that by.
    pub secret: SecretHash,
    /// Whether it is to offer a new secret.
    pub rotate: bool,
}

/// The sender of a request with these headers.
///
/// # Errors
/// Why it is nobody, with the remedy.
pub fn authenticate(state: &State, headers: &HeaderMap) -> Result<Sender, &'static str> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Err("no credential: send `Authorization: Bearer SECRET` with the site's secret");
    };
    let secret = match header.as_bytes().split_first_chunk::<7>() {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case(b"bearer ") => secret.trim_ascii(),
        Some(_) | None => return Err("the credential must be `Authorization: Bearer SECRET`"),
    };
    let secret: SecretHash = Sha256::digest(secret).into();
    let directory = state.directory();
    let Some(site) = directory.credentials.get(&secret) else {
        return Err(
            "this secret is not known here, or was revoked: `wan-collector enroll SITE` prints the line that enrols \
                    the agent anew",
        );
    };
    let offered = directory.rotation.offered.contains(&secret);
    if offered {
        state.offers.used(secret);
    }
    let rotate = !offered && directory.rotation.asked.contains_key(&site.id);
    Ok(Sender { site: Arc::clone(site), secret, rotate })
}

impl Sender {
    /// Adds to an answer what each answer to an agent says: the time, which document it is to probe by, and whether a new
    /// secret is wanted.
    pub fn tell(&self, response: &mut Response, now: UnixMillis) {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static(TIME_HEADER), HeaderValue::from(now.0));
        if let Some(document) = self.site.document() {
            headers.insert(HeaderName::from_static(CONFIG_HEADER), document.etag.clone());
        }
        if self.rotate {
            headers.insert(HeaderName::from_static(ROTATE_HEADER), HeaderValue::from_static("1"));
        }
    }
}
