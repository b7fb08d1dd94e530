//! Who an agent is: the site of the secret that its request carries, and what every answer to it says beside the answer.
//!
//! The write endpoint, the central configuration and the rotation of secrets share this. A secret that is offered in place
//! of another ([`crate::enrolment`]) is as good as one that is settled; that it was used is noted here, and soon after the
//! former one is revoked.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Extensions, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use wan_wire::UnixMillis;
use wan_wire::api::{CONFIG_HEADER, ROTATE_HEADER, TIME_HEADER};

use crate::attempts::{Rule, Wait, network};
use crate::clock;
use crate::server::Via;
use crate::state::{SecretHash, SiteRuntime, State};

/// Wrong secrets of agents by address: an agent whose secret was revoked asks every few seconds, and behind one address there
/// may be many.
pub(crate) const WRONG: Rule = Rule {
    free: 30,
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
    forget: Duration::from_secs(600),
    keys: 10_000,
};

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
    let (user, secret) = presented(header.as_bytes())?;
    let secret: SecretHash = Sha256::digest(secret).into();
    let directory = state.directory();
    let Some(site) = directory.credentials.get(&secret) else {
        return Err(
            "this secret is not known here, or was revoked: `wan-collector enroll SITE` prints the line that enrols \
                    the agent anew",
        );
    };
    if user.is_some_and(|user| user != site.id.as_str().as_bytes()) {
        return Err("this secret is another's: the user must be the site or the sender whose it is");
    }
    let offered = directory.rotation.offered.contains(&secret);
    if offered {
        state.offers.used(secret);
    }
    let rotate = !offered && directory.rotation.asked.contains_key(&site.id);
    Ok(Sender { site: Arc::clone(site), secret, rotate })
}

/// With basic authentication (RFC 7617) a user, and the secret.
type Presented<'h> = (Option<Vec<u8>>, Cow<'h, [u8]>);

/// What a header presents.
fn presented(header: &[u8]) -> Result<Presented<'_>, &'static str> {
    const EXPECTED: &str = "the credential must be `Authorization: Bearer SECRET`, or basic authentication with the secret as the password";
    let split = header.iter().position(|byte| *byte == b' ').ok_or(EXPECTED)?;
    let (scheme, rest) = header.split_at(split);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok((None, Cow::Borrowed(rest)));
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Err(EXPECTED);
    }
    let pair = STANDARD.decode(rest).map_err(|_| EXPECTED)?;
    let colon = pair.iter().position(|byte| *byte == b':').ok_or(EXPECTED)?;
    let (user, password) = pair.split_at(colon);
    Ok((Some(user.to_vec()), Cow::Owned(password.get(1..).unwrap_or_default().to_vec())))
}

/// Notes that a secret was not good.
///
/// # Errors
/// How long its sender is to rest, when many such came from the same address.
///
/// A good secret is never refused for it: the look-up of its hash comes first and costs a microsecond, and many sites may share
/// one address. What is spared is the work around it, above all reading the refused request's body. An agent at the limit
/// is told 401 again after each wait, so that it takes up a new secret.
pub fn wrong(state: &State, request: &Extensions) -> Result<(), Wait> {
    let Some(via) = request.get::<Via>() else { return Ok(()) };
    let (now, address) = (clock::monotonic(), network(via.peer.ip()));
    let mut wrong = state.wrong_secrets.lock();
    wrong.check(now, &address)?;
    wrong.failed(now, address);
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_as_a_bearer_token_or_as_a_password() {
        let bearer = |text: &'static str| Ok((None, Cow::Borrowed(text.as_bytes())));
        assert_eq!(presented(b"Bearer abc"), bearer("abc"));
        assert_eq!(presented(b"bearer   abc "), bearer("abc"));
        let basic = |user: &str, secret: &'static str| {
            Ok((Some(user.as_bytes().to_vec()), Cow::Borrowed(secret.as_bytes())))
        };
        assert_eq!(presented(b"Basic cHJvbTphYmM="), basic("prom", "abc"));
        assert_eq!(presented(b"BASIC OmE6Yg=="), basic("", "a:b"), "the first colon ends the user");
        for wrong in [&b""[..], b"abc", b"Digest abc", b"Basic", b"Basic !!", b"Basic YWJj", b"Bearer"] {
            assert!(presented(wrong).is_err(), "{wrong:?}");
        }
    }
}
