//! `/login` and `/logout`: a plain form, which needs no script, in two languages.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Redirect, Response};
use form_urlencoded::{Serializer, parse};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::credential::{Cookie, SESSION_PREFIX, encrypted, fresh, local_path};
use super::guard::{Guard, via};
use super::password::HashError;
use super::user::{Session, UserName, millis};
use crate::attempts::{Wait, network};
use crate::server::Via;
use crate::store::{Store as _, StoreError};
use crate::web;

/// A login's body is a few hundred bytes.
const BODY_LIMIT: usize = 8 << 10;
/// And arrives at once.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// After how many seconds one who met a full house should come back.
const BUSY_SECONDS: u64 = 5;

const TEMPLATE: &str = include_str!("../web/login.html");

/// GET /login
pub(super) async fn form(Shared(guard): Shared<Arc<Guard>>, request: Request) -> Response {
    let via = via(&request);
    let asked = request.uri().query().unwrap_or_default();
    let page = Page::asked(asked.as_bytes(), via, request.headers());
    if via.open {
        return go(page.next());
    }
    if let Some(hash) = page.cookie.session(request.headers())
        && matches!(guard.session(&hash).await, Ok(Some(_)))
    {
        return go(page.next());
    }
    // A browser that follows a link from elsewhere, such as a mail, holds a `SameSite=Strict` cookie back, so that one who is
    // logged in is led here. Asked again by a page of ours, it sends the cookie.
    let from_elsewhere = request.headers().get("sec-fetch-site");
    if from_elsewhere.is_some_and(|site| matches!(site.as_bytes(), b"cross-site" | b"same-site")) {
        return page.bounce();
    }
    let ended = page.asked.ended.then_some(Outcome::Ended);
    page.show(StatusCode::OK, ended)
}

/// POST /login
pub(super) async fn login(Shared(guard): Shared<Arc<Guard>>, request: Request) -> Response {
    let via = via(&request);
    let (head, body) = request.into_parts();
    let is_form = head.headers.get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
    });
    let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_LIMIT)).await;
    let page = Page::asked(head.uri.query().unwrap_or_default().as_bytes(), via, &head.headers);
    let body = match read {
        Ok(Ok(body)) if is_form => body,
        Ok(Ok(_)) => return guard.refuse(&page, Outcome::NoForm),
        Ok(Err(_)) => return guard.refuse(&page, Outcome::TooLarge),
        Err(_) => return guard.refuse(&page, Outcome::TooSlow),
    };
    let page = Page { asked: Asked::read(&body), ..page };
    if via.open {
        // Nobody logs in there, and the page that is led to says to whom it is refused.
        return go(page.next());
    }
    let password = page.asked.password.clone();
    match guard.attempt(via, &page, password).await {
        Ok((session, text)) => {
            guard.state.counters.logins.with_label_values(&["accepted"]).inc();
            tracing::info!(user = %session.user, role = %session.role, peer = %via.peer.ip(), "logged in");
            // A session that the browser had before is not taken over: nobody can plant one and wait.
            if let Some(earlier) = page.cookie.session(&head.headers) {
                let _ = guard.store.end_session(&earlier).await;
            }
            let seconds = session.expires.millis_since(session.created) / 1000;
            let mut response = go(page.next());
            if let Some(cookie) = page.cookie.set(&text, seconds.max(1)) {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        Err(outcome) => guard.refuse(&page, outcome),
    }
}

/// POST /logout
pub(super) async fn logout(Shared(guard): Shared<Arc<Guard>>, request: Request) -> Response {
    let via = via(&request);
    let cookie = Cookie::of(encrypted(via.tls, request.headers()));
    if let Some(hash) = cookie.session(request.headers())
        && let Err(error) = guard.store.end_session(&hash).await
    {
        tracing::error!(%error, "cannot end a session");
        let page = Page::asked(b"", via, request.headers());
        return page.show(StatusCode::SERVICE_UNAVAILABLE, Some(Outcome::Broken));
    }
    let mut response = go("/login");
    if let Some(clear) = cookie.clear() {
        response.headers_mut().insert(SET_COOKIE, clear);
    }
    response
}

/// GET /logout: who types the address wants out, but a link must not be able to do it; the page has the button.
pub(super) async fn stay() -> Response {
    go("/")
}

/// A query of these pairs.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// How a login ended that let nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nobody has tried: an earlier login is over.
    Ended,
    Wrong,
    Limited(Wait),
    Busy,
    Broken,
    NoForm,
    TooLarge,
    TooSlow,
}

impl Outcome {
    /// The value of the counter's label.
    fn label(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Wrong => "refused",
            Self::Limited(_) => "limited",
            Self::Busy => "busy",
            Self::Broken => "failed",
            Self::NoForm | Self::TooLarge | Self::TooSlow => "malformed",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Ended => StatusCode::OK,
            Self::Wrong => StatusCode::UNAUTHORIZED,
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Broken => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    fn retry_after(self) -> Option<u64> {
        match self {
            Self::Limited(wait) => Some(wait.seconds()),
            Self::Busy | Self::Broken => Some(BUSY_SECONDS),
            Self::Ended | Self::Wrong | Self::NoForm | Self::TooLarge | Self::TooSlow => None,
        }
    }

    fn told(self, language: Language) -> String {
        let (vi, en) = match self {
            Self::Ended => (
                "Phiên đăng nhập trước đã hết hạn. Hãy đăng nhập lại.".to_owned(),
                "Your earlier login is over. Log in again.".to_owned(),
            ),
            Self::Wrong => (
                "Tên đăng nhập hoặc mật khẩu không đúng.".to_owned(),
                "The name or the password is wrong.".to_owned(),
            ),
            Self::Limited(wait) => {
                let (count, vi, en) = match wait.seconds() {
                    seconds @ ..=120 => (seconds, "giây", "seconds"),
                    seconds => (seconds.div_ceil(60), "phút", "minutes"),
                };
                (
                    format!("Đã sai quá nhiều lần. Hãy thử lại sau {count} {vi}."),
                    format!("Too many wrong attempts. Try again in {count} {en}."),
                )
            }
            Self::Busy => (
                "Đang có quá nhiều người đăng nhập. Hãy thử lại sau vài giây.".to_owned(),
                "Too many logins at once. Try again in a few seconds.".to_owned(),
            ),
            Self::Broken => (
                "Máy thu thập gặp lỗi; xem nhật ký của máy thu thập để biết lý do.".to_owned(),
                "The collector failed; its log says why.".to_owned(),
            ),
            Self::NoForm | Self::TooLarge | Self::TooSlow => (
                "Yêu cầu này không phải là biểu mẫu đăng nhập.".to_owned(),
                "This request is not the login form.".to_owned(),
            ),
        };
        match language {
            Language::Vi => vi,
            Language::En => en,
        }
    }
}

impl Guard {
    /// One attempt: limits first, then the password, then the session.
    async fn attempt(&self, via: Via, page: &Page, password: String) -> Result<(Session, String), Outcome> {
        let address = network(via.peer.ip());
        let name = UserName::typed(&page.asked.name).ok();
        let counted = {
            let (now, mut failures) = ((self.monotonic)(), self.failures.lock());
            failures.addresses.check(now, &address).map_err(Outcome::Limited)?;
            let counted = name.clone().filter(|name| !failures.is_home(name, &address));
            if let Some(name) = &counted {
                failures.names.check(now, name).map_err(Outcome::Limited)?;
                failures.names.failed(now, name.clone());
            }
            // Taken back when it was right: a thousand at once are counted before the first is checked.
            failures.addresses.failed(now, address);
            counted
        };
        let ended = self.verified(name.as_ref(), password, via).await;
        let mut failures = self.failures.lock();
        match &ended {
            Ok(_) => {
                failures.addresses.take_back((self.monotonic)(), &address);
                if let Some(name) = &name {
                    failures.names.cleared(name);
                    failures.logged_in(name, address);
                }
            }
            // Nobody was wrong.
            Err(Outcome::Busy | Outcome::Broken) => {
                failures.addresses.take_back((self.monotonic)(), &address);
                counted.iter().for_each(|name| failures.names.take_back((self.monotonic)(), name));
            }
            Err(
                Outcome::Wrong
                | Outcome::Ended
                | Outcome::Limited(_)
                | Outcome::NoForm
                | Outcome::TooLarge
                | Outcome::TooSlow,
            ) => {}
        }
        ended
    }

    async fn verified(
        &self,
        name: Option<&UserName>,
        password: String,
        via: Via,
    ) -> Result<(Session, String), Outcome> {
        let broken = |error: StoreError| {
            tracing::error!(%error, "a login could not be checked");
            Outcome::Broken
        };
        let user = match name {
            Some(name) => self.store.user(name).await.map_err(broken)?,
            None => None,
        };
        let stored = user.as_ref().map(|user| user.hash.clone());
        let right = self.passwords.check(password, stored).await.map_err(|error| match error {
            HashError::Busy => Outcome::Busy,
            HashError::Randomness(_) | HashError::Hash(_) => {
                tracing::error!(%error, "a password could not be checked");
                Outcome::Broken
            }
        })?;
        let peer = via.peer.ip();
        let user = match user {
            Some(user) if right && user.disabled.is_none() => user,
            Some(user) if right => {
                tracing::warn!(%peer, user = %user.name, "a login was refused: the user is disabled");
                return Err(Outcome::Wrong);
            }
            Some(user) => {
                tracing::warn!(%peer, user = %user.name, "a login was refused: wrong password");
                return Err(Outcome::Wrong);
            }
            // The name that was typed may be a password.
            None => {
                tracing::warn!(%peer, "a login was refused: there is no such user");
                return Err(Outcome::Wrong);
            }
        };
        let now = (self.now)();
        let (text, hash) = fresh(SESSION_PREFIX).map_err(|error| {
            tracing::error!(%error, "a session could not be made");
            Outcome::Broken
        })?;
        let session = Session {
            hash,
            user: user.name,
            role: user.role,
            created: now,
            last_used: now,
            expires: now.plus_millis(millis(self.state.config.access.absolute)),
        };
        let opened = self.store.open_session(&session, &user.hash, now).await.map_err(broken)?;
        // Disabled, removed or given another password while this one was being checked.
        if opened { Ok((session, text)) } else { Err(Outcome::Wrong) }
    }

    fn refuse(&self, page: &Page, outcome: Outcome) -> Response {
        self.state.counters.logins.with_label_values(&[outcome.label()]).inc();
        page.show(outcome.status(), Some(outcome))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Vi,
    En,
}

/// What a form or an address asks for.
#[derive(Debug, Default)]
struct Asked {
    name: String,
    password: String,
    next: Option<String>,
    english: bool,
    /// An earlier login is over.
    ended: bool,
}

impl Asked {
    /// Of a field that comes twice the first counts; unknown ones do not matter.
    fn read(text: &[u8]) -> Self {
        let mut asked = Self::default();
        let field =
            |wanted: &str| parse(text).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
        asked.name = field("name").unwrap_or_default();
        asked.password = field("password").unwrap_or_default();
        asked.next = field("next").filter(|path| local_path(path).is_some());
        asked.english = field("lang").is_some_and(|lang| lang == "en");
        asked.ended = field("ended").is_some();
        asked
    }
}

/// The login page for one request.
struct Page {
    asked: Asked,
    cookie: Cookie,
    encrypted: bool,
}

impl Page {
    fn asked(query: &[u8], via: Via, headers: &HeaderMap) -> Self {
        let encrypted = encrypted(via.tls, headers);
        let asked = Asked { name: String::new(), password: String::new(), ..Asked::read(query) };
        Self { asked, cookie: Cookie::of(encrypted), encrypted }
    }

    fn next(&self) -> &str {
        let back = |path: &&str| !path.starts_with("/login") && !path.starts_with("/logout");
        self.asked.next.as_deref().filter(back).unwrap_or("/")
    }

    fn show(&self, status: StatusCode, outcome: Option<Outcome>) -> Response {
        let language = if self.asked.english { Language::En } else { Language::Vi };
        let switch = format!("/login?{}", query(&[("lang", language.other().code()), ("next", self.next())]));
        let said = outcome.map(|outcome| outcome.told(language)).unwrap_or_default();
        // A name that can be none is not shown again: people type a password there by mistake.
        let name = UserName::typed(&self.asked.name).map(|name| name.to_string()).unwrap_or_default();
        let values = self.values(language, &switch, &said, &name);
        let mut response = web::page(status, web::filled(TEMPLATE, &values));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = outcome.and_then(Outcome::retry_after) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            // A scheme that browsers do not know, so that they show this page and no dialog of their own.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Form realm=\"wanwatch\""));
        }
        response
    }

    /// What stands in the places of the page.
    fn values<'a>(
        &'a self,
        language: Language,
        switch: &'a str,
        said: &'a str,
        name: &'a str,
    ) -> Vec<(&'static str, &'a str)> {
        let mut values: Vec<(&'static str, &'a str)> = language.words().to_vec();
        values.extend([
            ("lang", language.code()),
            ("other", language.other().code()),
            ("switch", switch),
            ("next", self.next()),
            ("name", name),
            ("said", said),
            ("focus-name", if name.is_empty() { "autofocus" } else { "" }),
            ("focus-password", if name.is_empty() { "" } else { "autofocus" }),
            ("no-said", if said.is_empty() { "hidden" } else { "shown" }),
            ("no-warning", if self.encrypted { "hidden" } else { "shown" }),
        ]);
        values
    }

    /// A page that asks for the login page again.
    fn bounce(&self) -> Response {
        let lang = if self.asked.english { "en" } else { "vi" };
        let again = format!("/login?{}", query(&[("lang", lang), ("next", self.next())]));
        let page = "<!DOCTYPE html><html lang=\"vi\"><meta charset=\"utf-8\"><title>Wanwatch</title>\
                    <meta http-equiv=\"refresh\" content=\"0;url={{again}}\"><p><a href=\"{{again}}\">Wanwatch</a></p></html>";
        let mut response = web::page(StatusCode::OK, web::filled(page, &[("again", &again)]));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl Language {
    fn code(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Vi => Self::En,
            Self::En => Self::Vi,
        }
    }

    fn words(self) -> [(&'static str, &'static str); 8] {
        match self {
            Self::Vi => [
                ("title", "Đăng nhập"),
                ("wan", "Mạng WAN của tỉnh"),
                ("name-label", "Tên đăng nhập"),
                ("password-label", "Mật khẩu"),
                ("submit", "Đăng nhập"),
                ("language", "English"),
                ("hint", "Chưa có tài khoản? Người quản trị máy thu thập tạo bằng lệnh:"),
                (
                    "warning",
                    "Đường truyền này không được mã hóa: người khác trên mạng có thể đọc được mật khẩu.",
                ),
            ],
            Self::En => [
                ("title", "Log in"),
                ("wan", "The province’s WAN"),
                ("name-label", "User name"),
                ("password-label", "Password"),
                ("submit", "Log in"),
                ("language", "Tiếng Việt"),
                ("hint", "No account yet? The collector’s administrator makes one with:"),
                ("warning", "This connection is not encrypted: others on the network may read the password."),
            ],
        }
    }
}

fn go(path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_login_page_has_a_value_for_each_of_its_places_in_both_languages() {
        let page = Page { asked: Asked::default(), cookie: Cookie::of(true), encrypted: true };
        let places: BTreeSet<&str> =
            TEMPLATE.split("{{").skip(1).map(|part| part.split_once("}}").unwrap().0).collect();
        for language in [Language::Vi, Language::En] {
            let filled: BTreeSet<&str> =
                page.values(language, "", "", "").iter().map(|(key, _)| *key).collect();
            assert_eq!(filled, places, "{language:?}");
        }
    }

    #[test]
    fn a_wait_is_told_in_seconds_up_to_two_minutes_and_then_in_minutes() {
        for (seconds, vietnamese, english) in [
            (2, "sau 2 giây", "in 2 seconds"),
            (120, "sau 120 giây", "in 120 seconds"),
            (121, "sau 3 phút", "in 3 minutes"),
            (900, "sau 15 phút", "in 15 minutes"),
        ] {
            let limited = Outcome::Limited(Wait(Duration::from_secs(seconds)));
            assert!(limited.told(Language::Vi).contains(vietnamese), "{seconds}");
            assert!(limited.told(Language::En).contains(english), "{seconds}");
        }
    }
}
