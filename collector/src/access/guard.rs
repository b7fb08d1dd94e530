//! The shell around the decision: looks credentials up and carries the answer out, before any handler runs.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header::{REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use parking_lot::Mutex;
use wan_wire::UnixMillis;

use super::credential::{Cookie, Presented, crosses_sites, encrypted, led, local_path, presented};
use super::decide::{self, Answer, Asker, Led, Wants};
use super::login;
use super::password::Checker;
use super::user::{Role, Session, UserName};
use crate::api::problem::{ErrorKind, Problem};
use crate::attempts::{Attempts, Rule};
use crate::server::Via;
use crate::state::State;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store as _, StoreError};
use crate::{clock, web};

/// By address: five typing mistakes are free, then 2 s, 4 s, … to a quarter of an hour. One address is left with some hundred
/// guesses a day. Many people may share one (NAT), so the first waits are short.
const BY_ADDRESS: Rule = Rule {
    free: 5,
    first: Duration::from_secs(2),
    most: Duration::from_secs(15 * 60),
    forget: Duration::from_secs(3600),
    keys: 10_000,
};
/// By name, for guesses that come from many addresses: at most one a minute. Many addresses that go on asking keep a name waiting
/// for as long as they do, so this does not hold where the user has logged in from before ([`Failures::is_home`]).
const BY_NAME: Rule = Rule {
    free: 10,
    first: Duration::from_secs(2),
    most: Duration::from_secs(60),
    forget: Duration::from_secs(3600),
    keys: 10_000,
};

/// What is written down about the use of a session is waited for so long.
const NOTE_LIMIT: Duration = Duration::from_secs(1);
/// From so many networks each user is known to log in.
const HOMES: usize = 16;

/// Who reads; in the extensions of each request that reaches a handler of page, API or `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// By a loopback listener, where nobody logs in.
    Local,
    /// Nobody in particular, where nothing is needed.
    Anonymous,
    /// A user who has logged in.
    User(UserName, Role),
    /// A script or scraper by its token.
    Token(UserName, Role),
}

/// What the guard needs to know everybody.
#[derive(Debug)]
pub struct Guard {
    pub(super) store: Arc<SqliteStore>,
    pub(super) state: Arc<State>,
    pub(super) passwords: Checker,
    pub(super) failures: Mutex<Failures>,
    pub(super) now: fn() -> UnixMillis,
    pub(super) monotonic: fn() -> Instant,
}

/// Logins that failed.
#[derive(Debug)]
pub(super) struct Failures {
    pub(super) addresses: Attempts<IpAddr>,
    pub(super) names: Attempts<UserName>,
    /// The networks from which users have logged in since the collector began, the newest last. Only who has the password makes an
    /// entry, so it is as long as the list of users.
    homes: BTreeMap<UserName, VecDeque<IpAddr>>,
}

impl Failures {
    /// Whether the user has logged in from this network before.
    pub(super) fn is_home(&self, name: &UserName, network: &IpAddr) -> bool {
        self.homes.get(name).is_some_and(|homes| homes.contains(network))
    }

    /// Notes that the user has logged in from this network.
    pub(super) fn logged_in(&mut self, name: &UserName, network: IpAddr) {
        let homes = self.homes.entry(name.clone()).or_default();
        homes.retain(|home| *home != network);
        homes.push_back(network);
        if homes.len() > HOMES {
            homes.pop_front();
        }
    }
}

impl Guard {
    /// A guard of the readers that `store` knows.
    #[must_use]
    pub fn new(store: Arc<SqliteStore>, state: Arc<State>) -> Self {
        let failures = Failures {
            addresses: Attempts::new(BY_ADDRESS),
            names: Attempts::new(BY_NAME),
            homes: BTreeMap::new(),
        };
        Self {
            store,
            state,
            passwords: Checker::default(),
            failures: Mutex::new(failures),
            now: clock::now,
            monotonic: clock::monotonic,
        }
    }

    /// Who sent a request with these headers.
    async fn reader(&self, via: Via, uri: &Uri, headers: &HeaderMap) -> Result<(Asker, Reader), StoreError> {
        let anonymous = (Asker::Anonymous, Reader::Anonymous);
        if via.open {
            return Ok(match led(uri, headers) {
                None => (Asker::Local, Reader::Local),
                Some(led) => (Asker::Led(led), Reader::Anonymous),
            });
        }
        match presented(headers, Cookie::of(encrypted(via.tls, headers))) {
            Presented::Nothing => Ok(anonymous),
            Presented::Unusable => Ok((Asker::Refused, Reader::Anonymous)),
            Presented::Token(hash) => {
                let token = self.store.reader_token(&hash).await?.filter(|token| token.holds((self.now)()));
                Ok(token.map_or((Asker::Refused, Reader::Anonymous), |token| {
                    (Asker::Known(token.role), Reader::Token(token.name, token.role))
                }))
            }
            Presented::Session(hash) => {
                let Some(session) = self.session(&hash).await? else { return Ok(anonymous) };
                Ok((Asker::Known(session.role), Reader::User(session.user, session.role)))
            }
        }
    }

    /// The session of this hash, if it lets its user in now; its use is noted.
    pub(super) async fn session(&self, hash: &[u8; 32]) -> Result<Option<Session>, StoreError> {
        let (now, rules) = ((self.now)(), &self.state.config.access);
        let Some(session) = self.store.session(hash).await?.filter(|session| session.holds(now, rules))
        else {
            return Ok(None);
        };
        if session.is_stale(now, rules) {
            let (store, hash) = (Arc::clone(&self.store), *hash);
            let noted = tokio::spawn(async move { store.note_session_use(&hash, now).await });
            // The session is good whether or not its use can be written down, and a reader does not wait for a busy database.
            if let Ok(Ok(Err(error))) = tokio::time::timeout(NOTE_LIMIT, noted).await {
                tracing::warn!(%error, "cannot note that a login is used; it ends as if it were not");
            }
        }
        Ok(Some(session))
    }
}

/// `router` behind the guard, with the login beside it.
pub fn guarded(router: Router, guard: Arc<Guard>) -> Router {
    Router::new()
        .route("/login", get(login::form).post(login::login))
        .route("/logout", get(login::stay).post(login::logout))
        .with_state(Arc::clone(&guard))
        .merge(router)
        .layer(from_fn_with_state(guard, check))
}

/// By which way a request came; one that does not say so came by no listener that is open.
pub(super) fn via(request: &Request) -> Via {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    request.extensions().get().copied().unwrap_or(Via { peer: nowhere, open: false, tls: false })
}

async fn check(Shared(guard): Shared<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let via = via(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (need, wants) = (decide::need(&method, &path), decide::wants(&method, &path));
    // Nobody is looked up for what needs nobody: agents' own addresses, health checks, the login.
    let (asker, reader) = if need == decide::Need::Nothing {
        (Asker::Anonymous, Reader::Anonymous)
    } else {
        match guard.reader(via, request.uri(), request.headers()).await {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(%error, "cannot see who may read");
                return unavailable(wants);
            }
        }
    };
    // A token is never sent along by a browser on its own.
    if !matches!(reader, Reader::Token(..)) && crosses_sites(&method, request.headers()) {
        if matches!(path.as_str(), "/login" | "/logout") {
            return web::refusal(
                StatusCode::FORBIDDEN,
                "Yêu cầu này đến từ trang của một nơi khác; hãy dùng trang của máy thu thập · \
                 This request comes from another site’s page; use the collector’s own",
            );
        }
        return forbidden(
            wants,
            "the request comes from another site's page",
            "use the collector's own page, or a token in a script",
        );
    }
    match decide::answer(asker, need, wants) {
        Answer::GoOn => {}
        Answer::Login => return to_login(via, &request),
        Answer::Challenge => return challenge(asker),
        Answer::Misdirected(led) => return misdirected(led, wants),
        Answer::Forbidden => {
            return forbidden(
                wants,
                "only operators may do this, and you are a viewer",
                "ask an administrator for a user or token with --role operator",
            );
        }
    }
    let known = matches!(reader, Reader::User(..) | Reader::Token(..));
    request.extensions_mut().insert(reader);
    let mut response = next.run(request).await;
    if known {
        // What a cache between keeps for one reader is not for the next.
        response.headers_mut().append(VARY, HeaderValue::from_static("cookie, authorization"));
    }
    response
}

fn to_login(via: Via, request: &Request) -> Response {
    let (uri, headers) = (request.uri(), request.headers());
    let asked = uri.path_and_query().map_or("/", |asked| asked.as_str());
    // A page that was asked for in English is logged in to in English.
    let english = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "lang=en"));
    let next = local_path(asked).filter(|path| *path != "/").map(|path| ("next", path));
    let ended = Cookie::of(encrypted(via.tls, headers)).session(headers).is_some();
    let mut asked: Vec<_> = next.into_iter().chain(english.then_some(("lang", "en"))).collect();
    asked.extend(ended.then_some(("ended", "1")));
    let target =
        if asked.is_empty() { "/login".to_owned() } else { format!("/login?{}", login::query(&asked)) };
    let mut response = Redirect::to(&target).into_response();
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn challenge(asker: Asker) -> Response {
    let (detail, value) = match asker {
        // RFC 6750 §3.1
        Asker::Refused => (
            "this token is not known here, has expired, or was revoked",
            "Bearer realm=\"wanwatch\", error=\"invalid_token\"",
        ),
        Asker::Anonymous | Asker::Local | Asker::Led(_) | Asker::Known(_) => {
            ("a login or a token is needed here", "Bearer realm=\"wanwatch\"")
        }
    };
    let mut response = Problem::other(
        StatusCode::UNAUTHORIZED,
        ErrorKind::Unauthorized,
        detail,
        "send `Authorization: Bearer TOKEN`; `wan-collector tokens add NAME` makes one. In a browser: log in at /login",
    )
    .into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(value));
    response
}

fn misdirected(led: Led, wants: Wants) -> Response {
    let (detail, remedy, page) = match led {
        Led::ByName => (
            "nobody logs in on this address, so it answers only requests that name it as this machine",
            "ask for http://127.0.0.1:PORT or http://localhost:PORT",
            "Hãy mở bằng địa chỉ http://127.0.0.1 (kèm số cổng) · Open it as http://127.0.0.1 with its port",
        ),
        Led::ByProxy => (
            "nobody logs in on this address, so it answers no request that a proxy passes on",
            "have the proxy connect to another address of the collector's `listen` than a loopback one; there readers log in",
            "Proxy không được dẫn tới địa chỉ 127.0.0.1 của máy thu thập: hãy dẫn tới một địa chỉ khác trong “listen” · \
             A proxy must not lead to the collector’s 127.0.0.1: lead it to another address of `listen`",
        ),
    };
    let status = StatusCode::MISDIRECTED_REQUEST;
    match wants {
        Wants::Data => Problem::other(status, ErrorKind::Misdirected, detail, remedy).into_response(),
        Wants::Page => web::refusal(status, page),
    }
}

fn forbidden(wants: Wants, detail: &'static str, remedy: &'static str) -> Response {
    match wants {
        Wants::Data => {
            Problem::other(StatusCode::FORBIDDEN, ErrorKind::Forbidden, detail, remedy).into_response()
        }
        Wants::Page => web::refusal(
            StatusCode::FORBIDDEN,
            "Chỉ người vận hành được xem trang này · Only operators may see this page",
        ),
    }
}

fn unavailable(wants: Wants) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    match wants {
        Wants::Data => {
            let detail = "the collector cannot read its database, so it cannot see who you are";
            Problem::other(status, ErrorKind::Failed, detail, "see the collector's log").into_response()
        }
        Wants::Page => {
            let text = "Máy thu thập không đọc được cơ sở dữ liệu · The collector cannot read its database";
            let mut response = web::refusal(status, text);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}
