//! The guard with a real store and a router of a few paths; time is what a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use wan_wire::UnixMillis;

use super::credential::{TOKEN_PREFIX, fresh};
use super::guard::{Guard, Reader, guarded};
use super::password;
use super::user::{Role, SessionRules, Token, User, UserName};
use crate::config::Config;
use crate::counters::Counters;
use crate::server::Via;
use crate::state::State;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

const PASSWORD: &str = "một hai ba bốn";
const MINUTE: i64 = 60_000;
/// 2026-11-23 13:12:48.250 in Vietnam.
const BEGIN: i64 = 1_795_414_368_250;

/// A collector's door with two users, `xem` (viewer) and `van-hanh` (operator), both with [`PASSWORD`].
struct Door {
    router: Router,
    store: Arc<SqliteStore>,
    guard: Arc<Guard>,
    folder: tempfile::TempDir,
}

struct Said {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Said {
    fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie as the browser would send it back.
    fn cookie(&self) -> String {
        self.header(SET_COOKIE).split(';').next().unwrap().to_owned()
    }
}

// Each test has a thread, and so a clock, of its own.
thread_local! {
    static NOW: AtomicI64 = const { AtomicI64::new(BEGIN) };
    static START: Instant = crate::clock::monotonic();
}

fn now() -> UnixMillis {
    UnixMillis(NOW.with(|now| now.load(Ordering::Relaxed)))
}

/// The monotonic clock of a test: its beginning, and what has passed by [`now`].
fn monotonic() -> Instant {
    START.with(|start| *start + now().since(UnixMillis(BEGIN)))
}

fn pass(millis: i64) {
    NOW.with(|now| now.fetch_add(millis, Ordering::Relaxed));
}

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

const OUTSIDE: &str = "10.1.2.3:40000";

impl Door {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap());
        let hash = password::hash(PASSWORD).unwrap();
        for (user, role) in [("xem", Role::Viewer), ("van-hanh", Role::Operator)] {
            let user = User {
                name: name(user),
                hash: hash.clone(),
                role,
                created: now(),
                disabled: None,
                last_seen: None,
            };
            assert!(store.add_user(&user).await.unwrap());
        }
        let rules = SessionRules { idle: Duration::from_secs(3600), absolute: Duration::from_secs(7200) };
        let config = Config { access: rules, ..Config::default() };
        let state = Arc::new(State::new(config, None, Arc::new(Counters::new().unwrap())));
        let mut guard = Guard::new(Arc::clone(&store), state);
        guard.now = now;
        guard.monotonic = monotonic;
        let guard = Arc::new(guard);
        let who = |reader: Option<Extension<Reader>>| async move { format!("{:?}", reader.unwrap().0) };
        let inner = Router::new()
            .route("/", get(who).post(who))
            .route("/healthz", get(who))
            .route("/metrics", get(who))
            .route("/api/v1/overview", get(who))
            .route("/api/v1/agents", get(who).post(who))
            .route("/api/v1/write", post(who))
            .fallback(|| async { "nothing here" });
        let router = guarded(inner, Arc::clone(&guard));
        Self { router, store, guard, folder }
    }

    async fn send(&self, request: Request) -> Said {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Said { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(http::HeaderName, &str)]) -> Said {
        self.send(request(OUTSIDE, method, path, headers, "")).await
    }

    async fn get(&self, path: &str, cookie: &str) -> Said {
        self.ask(Method::GET, path, &[(COOKIE, cookie)]).await
    }

    async fn login(&self, peer: &str, user: &str, password: &str, more: &str) -> Said {
        let form = super::login::query(&[("name", user), ("password", password)]) + more;
        let kind = (CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request(peer, Method::POST, "/login", &[kind], &form)).await
    }

    fn logins(&self, result: &str) -> u64 {
        self.guard.state.counters.logins.with_label_values(&[result]).get()
    }
}

fn request(
    peer: &str,
    method: Method,
    path: &str,
    headers: &[(http::HeaderName, &str)],
    body: &str,
) -> Request {
    let peer: SocketAddr = peer.parse().unwrap();
    let via = Via { peer, open: peer.ip().is_loopback(), tls: true };
    let mut request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    request.extensions_mut().insert(via);
    for (name, value) in headers {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn on_loopback_nobody_is_asked_and_elsewhere_everybody() {
    let door = Door::new().await;
    let local = door.send(request("127.0.0.1:4000", Method::GET, "/api/v1/agents", &[], "")).await;
    assert_eq!((local.status, local.body.as_str()), (200, "Local"));

    let page = door.get("/", "").await;
    assert_eq!((page.status, page.header(LOCATION)), (303, "/login"));
    let page = door.get("/sites/xa-a?lang=en&x=%2F", "").await;
    assert_eq!(page.header(LOCATION), "/login?next=%2Fsites%2Fxa-a%3Flang%3Den%26x%3D%252F&lang=en");
    for path in ["/metrics", "/api/v1/overview", "/api/v1/agents", "/api/v1/nothing"] {
        let data = door.get(path, "").await;
        assert_eq!(data.status, 401, "{path}");
        assert_eq!(data.header(WWW_AUTHENTICATE), "Bearer realm=\"wanwatch\"");
        assert!(
            data.body.contains("\"error\":\"unauthorized\"") && data.body.contains("tokens add"),
            "{}",
            data.body
        );
    }
    assert_eq!(door.get("/healthz", "").await.body, "Anonymous");
    assert_eq!(door.ask(Method::POST, "/api/v1/write", &[]).await.status, 200, "it has its own credential");
    // A request that does not say by which listener it came is not let in.
    let mut unknown = request(OUTSIDE, Method::GET, "/metrics", &[], "");
    unknown.extensions_mut().clear();
    assert_eq!(door.send(unknown).await.status, 401);
}

#[tokio::test]
async fn on_loopback_only_this_machine_is_known_without_a_login() {
    let door = Door::new().await;
    let ask = |path: &str, headers: &[(http::HeaderName, &str)]| {
        let method = if path == "/api/v1/write" { Method::POST } else { Method::GET };
        door.send(request("127.0.0.1:4000", method, path, headers, ""))
    };
    let forwarded = (http::HeaderName::from_static("x-forwarded-for"), "203.0.113.9");
    for host in ["127.0.0.1:8080", "localhost:9000", "[::1]:8080"] {
        assert_eq!(ask("/metrics", &[(HOST, host)]).await.body, "Local", "{host}");
        let proxied = ask("/metrics", &[(HOST, host), forwarded.clone()]).await;
        assert_eq!(proxied.status, 421);
        assert!(proxied.body.contains("listen") && proxied.body.contains("proxy"), "{}", proxied.body);
    }
    let rebound = (HOST, "evil.example:8080");
    for path in ["/metrics", "/api/v1/overview", "/api/v1/agents", "/", "/nowhere"] {
        let said = ask(path, std::slice::from_ref(&rebound)).await;
        assert_eq!(said.status, 421, "{path}");
        assert!(said.body.contains("http://127.0.0.1"), "{}", said.body);
    }
    // Agents have a credential of their own, whatever name they know this machine by.
    assert_eq!(ask("/api/v1/write", &[rebound.clone(), forwarded]).await.status, 200);
    assert_eq!(ask("/healthz", &[rebound]).await.status, 200);
    // Nobody logs in there, so that nobody guesses there.
    let login = door.login("127.0.0.1:4000", "xem", PASSWORD, "").await;
    assert_eq!((login.status, login.header(LOCATION), login.header(SET_COOKIE)), (303, "/", ""));
}

#[tokio::test]
async fn a_login_leads_back_and_its_cookie_opens_what_the_role_allows() {
    let door = Door::new().await;
    let login = door.login(OUTSIDE, " Xem ", PASSWORD, "&next=%2Fsites%2Fxa-a").await;
    assert_eq!((login.status, login.header(LOCATION)), (303, "/sites/xa-a"));
    let set = login.header(SET_COOKIE);
    assert!(
        set.starts_with("__Host-wanwatch=wans_") && set.ends_with("; HttpOnly; SameSite=Strict; Secure"),
        "{set}"
    );
    assert!(set.contains("; Max-Age=7200;"), "{set}");
    assert_eq!(login.header(http::header::CACHE_CONTROL), "no-store");
    let cookie = login.cookie();
    for path in ["/", "/metrics", "/api/v1/overview"] {
        assert_eq!(door.get(path, &cookie).await.body, "User(UserName(\"xem\"), Viewer)", "{path}");
    }
    assert_eq!(door.get("/api/v1/agents", &cookie).await.status, 403);
    assert_eq!(
        door.ask(Method::POST, "/", &[(COOKIE, &cookie)]).await.status,
        403,
        "a viewer changes nothing"
    );
    assert_eq!(door.get("/login?next=%2Fmetrics", &cookie).await.header(LOCATION), "/metrics");

    let operator = door.login(OUTSIDE, "van-hanh", PASSWORD, "").await.cookie();
    assert_eq!(door.get("/api/v1/agents", &operator).await.status, 200);
    assert_eq!(door.ask(Method::POST, "/", &[(COOKIE, &operator)]).await.status, 200);
    assert_eq!(door.logins("accepted"), 2);
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_are_told_the_same() {
    let door = Door::new().await;
    let wrong = door.login(OUTSIDE, "xem", "không phải", "").await;
    let nobody = door.login(OUTSIDE, "khong-ai", PASSWORD, "").await;
    assert_eq!((wrong.status, nobody.status), (401, 401));
    assert_eq!(wrong.body.replace("xem", "khong-ai"), nobody.body);
    assert!(wrong.body.contains("Tên đăng nhập hoặc mật khẩu không đúng."), "{}", wrong.body);
    assert!(wrong.headers.get(SET_COOKIE).is_none());
    assert!(wrong.body.contains("maxlength=\"512\" required autofocus>"), "{}", wrong.body);
    let english = door.login(OUTSIDE, "xem", "no", "&lang=en&next=%2Fsites%2Fa").await;
    assert!(english.body.contains("The name or the password is wrong."), "{}", english.body);
    assert!(english.body.contains("name=\"next\" value=\"/sites/a\""), "{}", english.body);
    for (user, password) in [("", ""), ("xem", ""), ("", PASSWORD), ("<script>", PASSWORD)] {
        let peer = "10.9.9.9:1";
        let refused = door.login(peer, user, password, "").await;
        assert_eq!(refused.status, 401, "{user:?} {password:?}");
        assert!(!refused.body.contains("<script>"), "{}", refused.body);
    }
    assert_eq!(door.logins("refused"), 7);
}

#[tokio::test]
async fn a_login_leads_nowhere_else() {
    let door = Door::new().await;
    for next in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:x",
        "/login?x",
        "/logout",
        "",
    ] {
        let more = format!("&{}", super::login::query(&[("next", next)]));
        let login = door.login(OUTSIDE, "xem", PASSWORD, &more).await;
        assert_eq!((login.status, login.header(LOCATION)), (303, "/"), "{next}");
        let form = door.get(&format!("/login?{}", super::login::query(&[("next", next)])), "").await;
        assert!(form.body.contains("name=\"next\" value=\"/\""), "{next}: {}", form.body);
    }
}

#[tokio::test]
async fn guessing_costs_ever_longer_waits_and_the_right_password_is_let_in_after_them() {
    let door = Door::new().await;
    for _ in 0..6 {
        assert_eq!(door.login(OUTSIDE, "xem", "đoán mò", "").await.status, 401);
    }
    let limited = door.login(OUTSIDE, "xem", PASSWORD, "").await;
    assert_eq!((limited.status, limited.header(RETRY_AFTER)), (429, "2"));
    assert!(limited.body.contains("thử lại sau 2 giây"), "{}", limited.body);
    // Whoever comes from elsewhere does not wait for it.
    assert_eq!(door.login("10.1.2.4:1", "xem", PASSWORD, "").await.status, 303);
    assert_eq!(door.login("[2001:db8::1]:1", "van-hanh", PASSWORD, "").await.status, 303);
    pass(1_999);
    assert_eq!(door.login(OUTSIDE, "xem", PASSWORD, "").await.status, 429);
    pass(1);
    assert_eq!(door.login(OUTSIDE, "xem", PASSWORD, "").await.status, 303);
    // The right password took back its own attempt only.
    assert_eq!(door.login(OUTSIDE, "xem", "đoán mò", "").await.status, 401);
    let limited = door.login(OUTSIDE, "van-hanh", PASSWORD, "").await;
    assert_eq!((limited.status, limited.header(RETRY_AFTER)), (429, "4"));
    assert_eq!((door.logins("limited"), door.logins("refused")), (3, 7));
}

#[tokio::test]
async fn a_name_that_is_guessed_from_many_addresses_waits_but_not_where_its_user_has_logged_in_before() {
    let door = Door::new().await;
    assert_eq!(door.login("10.5.5.5:1", "xem", PASSWORD, "").await.status, 303);
    for (peer, guesses) in [("10.1.1.1:1", 4), ("10.1.1.2:1", 4), ("10.1.1.3:1", 3)] {
        for _ in 0..guesses {
            assert_eq!(door.login(peer, "xem", "đoán mò", "").await.status, 401);
        }
    }
    let limited = door.login(OUTSIDE, "xem", PASSWORD, "").await;
    assert_eq!((limited.status, limited.header(RETRY_AFTER)), (429, "2"));
    assert_eq!(door.login(OUTSIDE, "van-hanh", PASSWORD, "").await.status, 303, "another name");
    // Nobody elsewhere can keep the user out.
    assert_eq!(door.login("10.5.5.5:2", "xem", "nhầm", "").await.status, 401);
    assert_eq!(door.login("10.5.5.5:3", "xem", PASSWORD, "").await.status, 303);
}

#[tokio::test]
async fn where_a_user_has_logged_in_from_is_remembered_for_some_networks() {
    let door = Door::new().await;
    let mut failures = door.guard.failures.lock();
    let network = |host: u8| std::net::IpAddr::from([10, 0, 0, host]);
    (0..=16).for_each(|host| failures.logged_in(&name("xem"), network(host)));
    assert!(!failures.is_home(&name("xem"), &network(0)), "the oldest of seventeen");
    assert!(failures.is_home(&name("xem"), &network(1)) && !failures.is_home(&name("van-hanh"), &network(1)));
    failures.logged_in(&name("xem"), network(1));
    failures.logged_in(&name("xem"), network(17));
    assert!(failures.is_home(&name("xem"), &network(1)), "used since");
}

#[tokio::test]
async fn a_login_whose_use_cannot_be_written_down_is_good_all_the_same() {
    use sqlx::{Connection as _, Executor as _};
    let door = Door::new().await;
    let cookie = door.login(OUTSIDE, "xem", PASSWORD, "").await.cookie();
    let path = door.folder.path().join("wanwatch.db");
    let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let refused =
        "CREATE TRIGGER refuse BEFORE UPDATE ON reader_session BEGIN SELECT RAISE(ABORT, 'full'); END";
    other.execute(refused).await.unwrap();
    pass(30 * MINUTE);
    assert_eq!(door.get("/metrics", &cookie).await.status, 200, "the write fails");
    other.execute("DROP TRIGGER refuse").await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(door.get("/metrics", &cookie).await.status, 200, "the write waits");
    other.execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn many_guesses_at_once_are_counted_before_the_first_is_checked() {
    let door = Arc::new(Door::new().await);
    let mut statuses = Vec::new();
    let guesses = (0..30).map(|_| door.login(OUTSIDE, "xem", "đoán mò", ""));
    for said in futures_util::future::join_all(guesses).await {
        statuses.push(said.status);
    }
    // Six were let through to be checked; on a host that is too busy to do that in time they are told so.
    assert_eq!(statuses.iter().filter(|status| matches!(status, 401 | 503)).count(), 6, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 24);
}

#[tokio::test]
async fn a_session_ends_when_idle_when_old_at_logout_and_with_its_user() {
    let door = Door::new().await;
    let login = async || door.login(OUTSIDE, "xem", PASSWORD, "").await.cookie();
    let status = async |cookie: &str| door.get("/metrics", cookie).await.status;

    let cookie = login().await;
    for _ in 0..3 {
        pass(30 * MINUTE);
        assert_eq!(status(&cookie).await, 200, "it is used, so it goes on");
    }
    pass(30 * MINUTE);
    assert_eq!(status(&cookie).await, 401, "two hours after the login");
    assert_eq!(door.get("/", &cookie).await.header(LOCATION), "/login?ended=1");
    for (lang, said) in [("vi", "đã hết hạn"), ("en", "Your earlier login is over")] {
        let page = door.get(&format!("/login?ended=1&lang={lang}"), "").await;
        assert!(page.status == 200 && page.body.contains(said), "{}", page.body);
    }

    let cookie = login().await;
    pass(60 * MINUTE);
    assert_eq!(status(&cookie).await, 401, "an hour without use");

    let (one, other) = (login().await, login().await);
    let out = door.ask(Method::POST, "/logout", &[(COOKIE, &one)]).await;
    assert_eq!((out.status, out.header(LOCATION)), (303, "/login"));
    assert!(out.header(SET_COOKIE).starts_with("__Host-wanwatch=; Max-Age=0;"));
    assert_eq!((status(&one).await, status(&other).await), (401, 200));
    let typed = door.ask(Method::GET, "/logout", &[(COOKIE, &other)]).await;
    assert_eq!((typed.status, typed.header(LOCATION)), (303, "/"));
    assert_eq!(status(&other).await, 200, "a link logs nobody out");

    assert!(door.store.set_password(&name("xem"), &password::hash(PASSWORD).unwrap()).await.unwrap());
    assert_eq!(status(&other).await, 401, "the password was changed");
    let cookie = login().await;
    assert!(door.store.set_disabled(&name("xem"), Some(now())).await.unwrap());
    assert_eq!(status(&cookie).await, 401);
    assert_eq!(door.login(OUTSIDE, "xem", PASSWORD, "").await.status, 401);
    assert!(door.store.set_disabled(&name("xem"), None).await.unwrap());
    assert_eq!(status(&cookie).await, 401, "who is enabled again logs in again");
    let cookie = login().await;
    assert!(door.store.remove_user(&name("xem")).await.unwrap());
    assert_eq!(status(&cookie).await, 401);
}

#[tokio::test]
async fn a_session_that_somebody_planted_is_not_the_one_that_a_login_gives() {
    let door = Door::new().await;
    let planted = door.login(OUTSIDE, "xem", PASSWORD, "").await.cookie();
    let form = super::login::query(&[("name", "van-hanh"), ("password", PASSWORD)]);
    let kind = (CONTENT_TYPE, "application/x-www-form-urlencoded");
    let login = door.send(request(OUTSIDE, Method::POST, "/login", &[kind, (COOKIE, &planted)], &form)).await;
    assert_ne!(login.cookie(), planted);
    assert_eq!(door.get("/metrics", &planted).await.status, 401, "it is over");
    assert_eq!(door.get("/metrics", &login.cookie()).await.body, "User(UserName(\"van-hanh\"), Operator)");
    // What nobody has issued opens nothing, however well it is formed.
    let (invented, _) = fresh("wans_").unwrap();
    assert_eq!(door.get("/metrics", &format!("__Host-wanwatch={invented}")).await.status, 401);
}

#[tokio::test]
async fn a_token_opens_what_its_role_allows_until_it_expires_or_is_revoked() {
    let door = Door::new().await;
    let add = async |called: &str, role, expires| {
        let (text, hash) = fresh(TOKEN_PREFIX).unwrap();
        let token = Token { name: name(called), hash, role, created: now(), expires, revoked: None };
        (door.store.add_reader_token(&token).await.unwrap(), text)
    };
    let status = async |path: &str, token: &str| {
        door.ask(Method::GET, path, &[(AUTHORIZATION, &format!("Bearer {token}"))]).await.status
    };
    let (_, viewer) = add("prometheus", Role::Viewer, None).await;
    let (_, operator) = add("may", Role::Operator, Some(now().plus_millis(MINUTE))).await;
    assert!(!add("may", Role::Viewer, None).await.0, "names are given once");
    assert_eq!((status("/metrics", &viewer).await, status("/", &viewer).await), (200, 200));
    assert_eq!(
        (status("/api/v1/agents", &viewer).await, status("/api/v1/agents", &operator).await),
        (403, 200)
    );
    let posted =
        door.ask(Method::POST, "/api/v1/agents", &[(AUTHORIZATION, &format!("Bearer {operator}"))]).await;
    assert_eq!(posted.body, "Token(UserName(\"may\"), Operator)");
    pass(MINUTE);
    assert_eq!((status("/metrics", &operator).await, status("/metrics", &viewer).await), (401, 200));
    assert!(door.store.revoke_reader_token(&name("prometheus"), now()).await.unwrap());
    let refused = door.ask(Method::GET, "/", &[(AUTHORIZATION, &format!("Bearer {viewer}"))]).await;
    assert_eq!(refused.status, 401, "also where a browser would be led to the login");
    assert_eq!(refused.header(WWW_AUTHENTICATE), "Bearer realm=\"wanwatch\", error=\"invalid_token\"");
    assert!(add("prometheus", Role::Viewer, None).await.0, "the name of a revoked one is free");
}

#[tokio::test]
async fn a_copy_of_the_database_holds_no_secret() {
    let door = Door::new().await;
    let cookie = door.login(OUTSIDE, "xem", PASSWORD, "").await.cookie();
    let (_, session) = cookie.split_once("=wans_").unwrap();
    let (token, hash) = fresh(TOKEN_PREFIX).unwrap();
    let called = name("prometheus");
    let kept = Token { name: called, hash, role: Role::Viewer, created: now(), expires: None, revoked: None };
    assert!(door.store.add_reader_token(&kept).await.unwrap());
    let mut copy = Vec::new();
    for file in std::fs::read_dir(door.folder.path()).unwrap() {
        copy.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    let holds = |what: &[u8]| copy.windows(what.len()).any(|window| window == what);
    assert!(holds(b"prometheus") && holds(b"$argon2id$") && holds(&hash), "this is where it would be");
    let secrets = [("session", session), ("token", &token[TOKEN_PREFIX.len()..]), ("password", PASSWORD)];
    for (kind, secret) in secrets {
        assert!(!holds(secret.as_bytes()), "the {kind} is in the database");
    }
}

#[tokio::test]
async fn another_sites_page_can_neither_log_in_nor_out_nor_change_anything() {
    let door = Door::new().await;
    let cookie = door.login(OUTSIDE, "van-hanh", PASSWORD, "").await.cookie();
    let elsewhere = (http::HeaderName::from_static("sec-fetch-site"), "cross-site");
    for path in ["/login", "/logout", "/", "/api/v1/agents"] {
        let said = door.ask(Method::POST, path, &[(COOKIE, &cookie), elsewhere.clone()]).await;
        assert_eq!(said.status, 403, "{path}");
        assert!(said.body.contains("another site"), "{}", said.body);
        let kind =
            if path.starts_with("/log") { "text/html; charset=utf-8" } else { "application/problem+json" };
        assert_eq!(said.header(CONTENT_TYPE), kind, "{path}");
    }
    let local = request("127.0.0.1:1", Method::POST, "/api/v1/agents", std::slice::from_ref(&elsewhere), "");
    assert_eq!(door.send(local).await.status, 403, "nor on loopback, where no cookie is needed");
    assert_eq!(door.get("/metrics", &cookie).await.status, 200, "still logged in");
    // A link in a mail: the browser holds the cookie back, and the login page asks once more by itself.
    let led = door.ask(Method::GET, "/login?next=%2Fsites%2Fa", &[elsewhere]).await;
    assert!(
        led.body.contains("http-equiv=\"refresh\" content=\"0;url=/login?lang=vi&amp;next=%2Fsites%2Fa\""),
        "{}",
        led.body
    );
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_cost_nothing() {
    let door = Door::new().await;
    let form = [(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")];
    let huge = format!("name=xem&password={}", "x".repeat(1 << 20));
    for (headers, body, expected) in [
        (&form[..], huge.as_str(), 413),
        (&[], "name=xem&password=x", 415),
        (&[(CONTENT_TYPE, "application/json")], "{}", 415),
        (&form, "", 401),
        (&form, "%", 401),
        (&form, "name=%ff%fe&password=%00", 401),
        (&form, "&&&=&=&name", 401),
    ] {
        let said = door.send(request("10.0.0.9:1", Method::POST, "/login", headers, body)).await;
        assert_eq!(said.status, expected, "{headers:?} {:.40}", body);
    }
    let many = format!("name=xem&name=van-hanh&password={}", PASSWORD.replace(' ', "+"));
    let said = door.send(request(OUTSIDE, Method::POST, "/login", &form, &many)).await;
    assert_eq!(
        door.get("/metrics", &said.cookie()).await.body,
        "User(UserName(\"xem\"), Viewer)",
        "the first counts"
    );
}

#[tokio::test]
async fn the_login_page_says_when_the_line_is_not_encrypted_and_carries_the_headers_of_a_page() {
    let door = Door::new().await;
    let shown = "id=\"warning\" class=\"soft\" data-state=\"shown\"";
    let page = door.get("/login", "").await;
    assert_eq!(page.status, 200);
    assert!(!page.body.contains(shown), "{}", page.body);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert_eq!(
        (page.header("x-content-type-options"), page.header("referrer-policy")),
        ("nosniff", "same-origin"),
        "with no-referrer a browser sends `Origin: null` along with the form, which is refused on a plain line"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(!page.body.contains("style=") && !page.body.contains("onclick="));

    let plain = |headers: &[(http::HeaderName, &str)], method, body| {
        let mut request = request(OUTSIDE, method, "/login", headers, body);
        request.extensions_mut().insert(Via { peer: OUTSIDE.parse().unwrap(), open: false, tls: false });
        door.send(request)
    };
    assert!(plain(&[], Method::GET, "").await.body.contains(shown));
    let form = (CONTENT_TYPE, "application/x-www-form-urlencoded");
    let body = super::login::query(&[("name", "xem"), ("password", PASSWORD)]);
    let said = plain(std::slice::from_ref(&form), Method::POST, &body).await;
    assert!(said.header(SET_COOKIE).starts_with("wanwatch=wans_"), "{}", said.header(SET_COOKIE));
    assert!(!said.header(SET_COOKIE).contains("Secure"));
    // Behind a proxy that says that its side is encrypted.
    let proxied = (http::HeaderName::from_static("x-forwarded-proto"), "https");
    assert!(!plain(std::slice::from_ref(&proxied), Method::GET, "").await.body.contains(shown));
    let said = plain(&[form, proxied], Method::POST, &body).await;
    assert!(said.header(SET_COOKIE).starts_with("__Host-wanwatch=wans_"), "{}", said.header(SET_COOKIE));
}
