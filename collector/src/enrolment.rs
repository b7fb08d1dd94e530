//! Enrolment: how an agent's secret comes to be accepted as its site's, and how it is replaced later.
//!
//! ```text
//!  wan-collector enroll SITE                         wan-agent enroll URL --token T --pin P
//!     token ─► hash, site, end ─► store                 secret ─► its own file, before anything is sent
//!     one line on paper ───────────────────────────►    POST /api/v1/enrol {token, SHA-256 of the secret}
//!                                                                    │
//!     one transaction: token used for this hash, former secrets revoked, this one accepted
//!                                                                    ▼
//!     site, name, URLs, pins ──────────────────────►    configuration and secret put in place, service started
//! ```
//!
//! **The agent makes the secret, and the collector only ever sees its hash until it is used.** So an answer that is lost is no
//! problem to solve: the agent (or the person, who pastes the line again) sends the same request, which finds its own hash at
//! the token and is answered as before. With another secret the token is used up. This holds whenever the two sides crash.
//!
//! **A new enrolment replaces the old agent**: the site's former secret is revoked in the same transaction, because a new box
//! takes the place of the broken one, and whoever still has that one must not speak for the site.
//!
//! # Rotation
//!
//! `wan-collector agents rotate` cannot reach an agent; it waits for it. Answers to the site's agent then carry `wan-rotate`;
//! the agent makes a secret, writes it beside its present one, offers its hash to `/api/v1/agent/secret` under the present
//! one, and puts it in place once that was answered. Both are accepted until the new one is used for the first time, which
//! revokes the former one.
//!
//! | crash or lost answer | what is accepted | what happens next |
//! | --- | --- | --- |
//! | before the offer arrived | present | the next answer asks again |
//! | after the offer, before its answer arrived | both | the agent offers the same, or after a restart that or another one |
//! | after the answer, before the new one is in place | both | the same |
//! | after it is in place, before its first use | both | its first use revokes the former |
//! | collector, between first use and revocation | both | the next use revokes the former |
//!
//! Only one who was asked may offer, and one that waits for its first use is not asked: a stolen secret cannot be used to take a site over at any time. It could be while a
//! rotation is under way, so rotation is for hygiene; a secret that others may know is revoked, and the site enrolled anew.

mod refusal;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use wan_wire::api::{ApiRefusal, ENROL_PATH, EnrolAnswer, EnrolRequest, SECRET_PATH, SecretOffer};
use wan_wire::secret::{SECRET_PREFIX, TOKEN_PREFIX, is, unhex};
use wan_wire::{SiteId, UnixMillis};

use crate::attempts::{Attempts, Rule, network};
use crate::secret::hash;
use crate::server::Via;
use crate::state::State;
use crate::store::{Applicant, EnrolToken, Exchanged, Offered, Store, StoreError};
use crate::{clock, credential, refresh, tls};

pub use refusal::{Refusal, of_token};

/// A request is some 200 bytes.
const BODY_BYTES: usize = 4 << 10;
/// It must arrive within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Many sites may enrol from behind one address, so a token that is known is never refused for what others there have sent.
/// Guessing at 256 bits is hopeless in any case: the limit keeps those who try from filling the log, and tells a program that
/// has the wrong token to slow down. Twenty mistakes are free, then it takes from 2 s to a minute each.
const ATTEMPTS: Rule = Rule {
    free: 20,
    first: Duration::from_secs(2),
    most: Duration::from_secs(60),
    forget: Duration::from_secs(600),
    keys: 10_000,
};

/// So many tokens are looked up or used at once; the others wait their turn. A look-up takes well under a millisecond.
const LOOKUPS: usize = 4;

/// What the two endpoints share.
#[derive(Debug)]
pub struct Enrolment<S> {
    state: Arc<State>,
    store: Arc<S>,
    attempts: Mutex<Attempts<IpAddr>>,
    lookups: Semaphore,
}

/// The endpoints of enrolment and rotation. They have credentials of their own: no login is asked for.
pub fn router<S: Store>(state: Arc<State>, store: Arc<S>) -> Router {
    let attempts = Mutex::new(Attempts::new(ATTEMPTS));
    let enrolment = Enrolment { state, store, attempts, lookups: Semaphore::new(LOOKUPS) };
    Router::new()
        .route(ENROL_PATH, post(enrol::<S>))
        .route(SECRET_PATH, post(offer::<S>))
        .method_not_allowed_fallback(only_post)
        .with_state(Arc::new(enrolment))
}

async fn only_post() -> Response {
    let reason = Refusal::Malformed("this address takes POST only");
    refused(StatusCode::METHOD_NOT_ALLOWED, None, reason.explain(&jiff::tz::TimeZone::UTC))
}

/// Exchanges a token.
async fn enrol<S: Store>(
    Shared(enrolment): Shared<Arc<Enrolment<S>>>,
    Extension(via): Extension<Via>,
    body: Body,
) -> Response {
    let result = enrolment.exchange(via, body, clock::now()).await;
    let result = result.map_err(|refusal| enrolment.limited(via, refusal));
    let count = |result: &str| enrolment.state.counters.enrolments.with_label_values(&[result]).inc();
    match result {
        Ok((site, result)) => {
            count(result);
            enrolment.welcome(site)
        }
        Err(refusal) => {
            count(refusal.word());
            let (address, site) = (via.peer.ip(), refusal.site().map(SiteId::as_str));
            let seconds = if let Refusal::Limited { seconds } = refusal {
                // The refusals before it were said.
                tracing::debug!(%address, seconds, "an enrolment has to wait");
                Some(seconds)
            } else {
                tracing::warn!(%address, site, result = refusal.word(), "an enrolment was refused");
                None
            };
            refused(refusal.status(), seconds, refusal.explain(&enrolment.state.config.timezone))
        }
    }
}

/// Takes a new secret in beside the present one.
async fn offer<S: Store>(
    Shared(enrolment): Shared<Arc<Enrolment<S>>>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Body,
) -> Response {
    let zone = &enrolment.state.config.timezone;
    let sender = match credential::authenticate(&enrolment.state, &headers) {
        Ok(sender) => sender,
        Err(reason) => {
            if let Err(wait) = credential::wrong(&enrolment.state, &extensions) {
                let limited = Refusal::Limited { seconds: wait.seconds() };
                return refused(limited.status(), Some(wait.seconds()), limited.explain(zone));
            }
            let reason = Refusal::Malformed(reason).explain(zone);
            return refused(StatusCode::UNAUTHORIZED, None, reason);
        }
    };
    // A secret that waits for its first use was not asked: what it offered would take its own place before it is confirmed.
    let offered =
        if sender.rotate { enrolment.offered(&sender.site.id, body).await } else { Err(Refusal::NotAsked) };
    let mut response = match offered {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refused(refusal.status(), None, refusal.explain(zone)),
    };
    sender.tell(&mut response, clock::now());
    response
}

impl<S: Store> Enrolment<S> {
    async fn exchange(
        &self,
        via: Via,
        body: Body,
        now: UnixMillis,
    ) -> Result<(SiteId, &'static str), Refusal> {
        let EnrolRequest { token, secret_sha256 } = read(body).await?;
        let token = token.trim();
        if !is(TOKEN_PREFIX, token) {
            let mixed_up = is(SECRET_PREFIX, token);
            return Err(if mixed_up { Refusal::SecretForToken } else { Refusal::NoToken });
        }
        let secret = unhex(&secret_sha256)
            .ok_or(Refusal::Malformed("secret_sha256 must be the 64 hexadecimal digits of a SHA-256"))?;
        let applicant =
            Applicant { token: hash(token), secret, address: via.peer.ip().to_canonical().to_string() };
        // Never closed.
        let _turn = self.lookups.acquire().await;
        let known = self.store.token(&applicant.token).await.map_err(failed)?;
        let known: EnrolToken = known.ok_or(Refusal::Unknown)?;
        self.check_site(&known.site, now)?;
        let (site, result) = match self.store.exchange(&applicant, now).await.map_err(failed)? {
            Exchanged::Accepted { site, replaced } => {
                tracing::info!(
                    %site, address = applicant.address, former_secret_revoked = replaced, "an agent has enrolled"
                );
                (site, "accepted")
            }
            Exchanged::Again { site } => {
                tracing::info!(%site, address = applicant.address, "an agent has asked for its enrolment's answer again");
                (site, "again")
            }
            Exchanged::Unknown => return Err(Refusal::Unknown),
            Exchanged::SecretKnown => return Err(Refusal::SecretKnown),
            Exchanged::Refused(token) => return Err(of_token(token)),
        };
        // Its first push must not come before its secret is known here; were the store not to answer now, a second later.
        if let Err(error) = refresh(&self.state, &*self.store).await {
            tracing::warn!(%error, "the new secret is accepted a moment later");
        }
        Ok((site, result))
    }

    /// The refusal of what is no token of this collector, or that its sender has to wait.
    fn limited(&self, via: Via, refusal: Refusal) -> Refusal {
        if !refusal.is_foreign() {
            return refusal;
        }
        let (now, from) = (clock::monotonic(), network(via.peer.ip()));
        let mut attempts = self.attempts.lock();
        match attempts.check(now, &from) {
            Err(wait) => Refusal::Limited { seconds: wait.seconds() },
            Ok(()) => {
                attempts.failed(now, from);
                refusal
            }
        }
    }

    fn check_site(&self, id: &SiteId, now: UnixMillis) -> Result<(), Refusal> {
        let directory = self.state.directory();
        let Some(site) = directory.register.get(id) else {
            return Err(Refusal::SiteGone { site: id.clone() });
        };
        match site.valid_to_ms(&self.state.config.timezone) {
            Some(since) if since <= now => Err(Refusal::SiteClosed { site: id.clone(), since }),
            Some(_) | None => Ok(()),
        }
    }

    fn welcome(&self, site: SiteId) -> Response {
        let name = self.state.directory().register.get(&site).map(|site| site.name.clone());
        let config = &self.state.config;
        let answer = EnrolAnswer {
            name: name.unwrap_or_else(|| site.to_string()),
            site,
            urls: config.urls.clone(),
            // Without them the agent goes on with those of its line.
            pins: tls::pins(config).unwrap_or_default(),
        };
        json(StatusCode::OK, &answer)
    }

    async fn offered(&self, site: &SiteId, body: Body) -> Result<(), Refusal> {
        let SecretOffer { secret_sha256 } = read(body).await?;
        let secret = unhex(&secret_sha256)
            .ok_or(Refusal::Malformed("secret_sha256 must be the 64 hexadecimal digits of a SHA-256"))?;
        match self.store.offer_secret(site, &secret, clock::now()).await.map_err(failed)? {
            Offered::Accepted => {
                tracing::info!(%site, "the agent has offered a new secret; it waits for its first use");
            }
            Offered::NotAsked => return Err(Refusal::NotAsked),
            Offered::SecretKnown => return Err(Refusal::SecretKnown),
        }
        // The agent uses it at once: the answer must not come before it is known here.
        refresh(&self.state, &*self.store).await.map_err(failed)?;
        Ok(())
    }
}

/// The body as what it should be.
async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let body = Limited::new(body, BODY_BYTES).collect();
    let body = tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(|_| Refusal::Slow)?;
    let body = body.map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() { Refusal::TooLarge } else { Refusal::Slow }
    })?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|_| Refusal::Malformed("the body is not the JSON object that belongs here"))
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "an enrolment failed");
    Refusal::Failed
}

fn refused(status: StatusCode, retry_after: Option<u64>, refusal: ApiRefusal) -> Response {
    let mut response = json(status, &refusal);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let mut text = serde_json::to_vec(body).unwrap_or_default();
    text.push(b'\n');
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}
