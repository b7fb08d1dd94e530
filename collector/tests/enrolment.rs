//! Enrolment and rotation over real HTTP, on a real data folder.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod register;
mod running;

use std::io::{Read as _, Write as _};
use std::path::Path;

use reqwest::{Response, StatusCode};
use running::Running;
use serde_json::{Value, json};
use wan_collector::clock;
use wan_collector::config::Config;
use wan_collector::inventory::Site;
use wan_collector::inventory::diff::Change;
use wan_collector::secret::{Secret, hash};
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{EnrolToken, Store as _};
use wan_wire::secret::hex;
use wan_wire::{Protocol, RequestBuilder, SiteId, UnixMillis};

const HOUR: i64 = 3_600_000;

/// A collector in this process with the sites `an-hoa`, `binh-minh` and `closed`, and the store beside it that a command on
/// the same machine would open.
struct Collector {
    running: Running,
    store: SqliteStore,
}

impl std::ops::Deref for Collector {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

fn config(data: &Path) -> Config {
    Config { data: data.to_owned(), ..Config::default() }
}

fn site(id: &str, valid_to: Option<&str>) -> Site {
    let valid_to = valid_to.map(|day| day.parse().unwrap());
    Site { valid_to, ..register::site(id, &format!("Ủy ban nhân dân {id}")) }
}

impl Collector {
    async fn start(data: &Path) -> Self {
        let store = SqliteStore::open(&config(data).database()).await.unwrap();
        if store.revision().await.unwrap() == 0 {
            let sites = [site("an-hoa", None), site("binh-minh", None), site("closed", Some("2020-01-01"))];
            let changes: Vec<Change> = sites.map(Change::Added).into();
            store.change_register(0, &changes).await.unwrap();
        }
        Self { running: Running::begin(config(data)).await, store }
    }

    /// A new token for a site, issued and ending at these times from now.
    async fn token(&self, site: &str, issued: i64, expires: i64) -> Secret {
        let token = Secret::token().unwrap();
        let now = clock::now().0;
        let stored = EnrolToken {
            site: site.parse().unwrap(),
            hash: token.hash(),
            issued: UnixMillis(now + issued),
            expires: UnixMillis(now + expires),
            used: None,
            revoked: None,
        };
        self.store.issue_tokens(&[stored]).await.unwrap();
        token
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.client.post(self.url(path)).body(body).send().await.unwrap()
    }

    async fn enrol(&self, token: &str, secret: &str) -> (StatusCode, Value) {
        let request = json!({"token": token, "secret_sha256": hex(&hash(secret))});
        told(self.post("/api/v1/enrol", request.to_string()).await).await
    }

    /// Pushes nothing: whether the secret is accepted, and whether a new one is wanted.
    async fn push(&self, secret: &str) -> (StatusCode, bool) {
        let request = RequestBuilder::new(Protocol::V2);
        let response = self
            .client
            .post(self.url("/api/v1/write"))
            .bearer_auth(secret)
            .header("content-type", Protocol::V2.content_type())
            .header("content-encoding", "snappy")
            .body(request.finish_compressed().unwrap())
            .send()
            .await
            .unwrap();
        let known = response.status() == StatusCode::NO_CONTENT;
        assert_eq!(response.headers().contains_key("wan-time"), known, "the time is for agents");
        (response.status(), response.headers().contains_key("wan-rotate"))
    }

    async fn offer(&self, present: &str, new: &str) -> StatusCode {
        let body = json!({"secret_sha256": hex(&hash(new))}).to_string();
        let request = self.client.post(self.url("/api/v1/agent/secret")).bearer_auth(present).body(body);
        request.send().await.unwrap().status()
    }

    /// Waits until a push with `secret` is answered like this.
    async fn pushed(&self, secret: &str, expected: (StatusCode, bool)) {
        for _ in 0..200 {
            if self.push(secret).await == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("a push is still answered by {:?} instead of {expected:?}", self.push(secret).await);
    }

    async fn stop(self) {
        self.running.stop().await;
        self.store.close().await;
    }
}

async fn told(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

fn secret() -> String {
    Secret::generate().unwrap().reveal().to_owned()
}

const GOOD: (StatusCode, bool) = (StatusCode::NO_CONTENT, false);
const ASKED: (StatusCode, bool) = (StatusCode::NO_CONTENT, true);
const REFUSED: (StatusCode, bool) = (StatusCode::UNAUTHORIZED, false);

#[tokio::test(flavor = "multi_thread")]
async fn a_token_makes_a_secret_good_at_once_and_for_one_agent_only() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(folder.path()).await;
    let token = collector.token("an-hoa", 0, HOUR).await;
    let (mine, thiefs) = (secret(), secret());
    assert_eq!(collector.push(&mine).await, REFUSED);
    let (status, answer) = collector.enrol(token.reveal(), &mine).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["site"], &answer["name"]), (&json!("an-hoa"), &json!("Ủy ban nhân dân an-hoa")));
    assert_eq!(collector.push(&mine).await, GOOD, "at once, not with the next look at the register");

    // Its answer was lost: the same agent asks again and nothing changes. Another one is told when and from where.
    let (status, again) = collector.enrol(&format!(" {}\n", token.reveal()), &mine).await;
    assert_eq!((status, again), (StatusCode::OK, answer));
    let (status, refused) = collector.enrol(token.reveal(), &thiefs).await;
    assert_eq!((status, &refused["reason"]), (StatusCode::FORBIDDEN, &json!("used")));
    let (en, vi) = (refused["en"].as_str().unwrap(), refused["vi"].as_str().unwrap());
    assert!(en.contains("used already, at 20") && en.contains("from 127.0.0.1"), "{en}");
    assert!(vi.contains("đã được dùng"), "{vi}");
    assert_eq!(collector.push(&thiefs).await, REFUSED);
    assert_eq!(collector.push(&mine).await, GOOD);

    // A new box takes the place of the old one.
    let token = collector.token("an-hoa", 0, HOUR).await;
    let new = secret();
    assert_eq!(collector.enrol(token.reveal(), &new).await.0, StatusCode::OK);
    assert_eq!((collector.push(&new).await, collector.push(&mine).await), (GOOD, REFUSED));

    let metrics = collector.client.get(collector.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for (result, count) in [("accepted", 2), ("again", 1), ("used", 1), ("unknown", 0)] {
        let line = format!("wan_collector_enrolments_total{{result=\"{result}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(folder.path()).await;
    let expired = collector.token("an-hoa", -2 * HOUR, -HOUR).await;
    let replaced = collector.token("binh-minh", -60_000, HOUR).await;
    let good = collector.token("binh-minh", 0, HOUR).await;
    let closed = collector.token("closed", 0, HOUR).await;
    let foreign = Secret::token().unwrap();
    let table = [
        (expired.reveal(), 403, "expired", "this token expired at 20"),
        (replaced.reveal(), 403, "revoked", "use the newest line"),
        (closed.reveal(), 403, "closed", "the site closed is closed since 2020-01-01 00:00"),
        (foreign.reveal(), 403, "unknown", "not from this collector"),
        (&secret(), 400, "malformed", "not an enrolment token (wane_…)"),
        ("wane_", 400, "malformed", "copy the whole line"),
        ("", 400, "malformed", "copy the whole line"),
    ];
    for (token, status, reason, en) in table {
        let (found, answer) = collector.enrol(token, &secret()).await;
        assert_eq!((found.as_u16(), &answer["reason"]), (status, &json!(reason)), "{answer}");
        assert!(answer["en"].as_str().unwrap().contains(en), "{answer}");
    }
    let site: SiteId = "binh-minh".parse().unwrap();
    collector.store.revoke_tokens(&site, clock::now()).await.unwrap();
    assert_eq!(collector.enrol(good.reveal(), &secret()).await.1["reason"], "revoked");

    // A site that has left the register since.
    let token = collector.token("gone", 0, HOUR).await;
    assert_eq!(collector.enrol(token.reveal(), &secret()).await.1["reason"], "closed");
    collector.stop().await;
}

/// Such a sender reads nothing before it has sent all: the answer must not be lost to a connection that breaks under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_of_far_too_much_sees_the_answer_whatever_it_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(folder.path()).await;
    let address = collector.address;
    for path in ["/api/v1/enrol", "/api/v1/agent/config", "/login", "/api/v1/sites", "/nothing"] {
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let length = 4 << 20;
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&vec![b'x'; length]).unwrap_or_else(|error| panic!("{path}: {error}"));
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{path}: {error}"));
            answer
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_request_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(folder.path()).await;
    let token = collector.token("an-hoa", 0, HOUR).await;
    let bodies: Vec<(Vec<u8>, u16)> = vec![
        (Vec::new(), 400),
        (b"{".to_vec(), 400),
        (b"null".to_vec(), 400),
        (b"\xff\xfe".to_vec(), 400),
        (json!({"token": token.reveal()}).to_string().into_bytes(), 400),
        (json!({"token": token.reveal(), "secret_sha256": "0"}).to_string().into_bytes(), 400),
        (json!({"token": token.reveal(), "secret_sha256": "é".repeat(32)}).to_string().into_bytes(), 400),
        (json!({"token": 7, "secret_sha256": []}).to_string().into_bytes(), 400),
        (json!({"token": "a".repeat(5000), "secret_sha256": ""}).to_string().into_bytes(), 413),
        ("[".repeat(4000).into_bytes(), 400),
        (vec![b' '; 1 << 20], 413),
    ];
    for (body, status) in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (found, answer) = told(collector.post("/api/v1/enrol", body).await).await;
        assert_eq!((found.as_u16(), &answer["reason"]), (status, &json!("malformed")), "{shown}: {answer}");
    }
    let response = collector.client.get(collector.url("/api/v1/enrol")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        collector.enrol(token.reveal(), &secret()).await.0,
        StatusCode::OK,
        "the token is as good as before"
    );
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_agents_with_one_token_one_enrols() {
    let folder = tempfile::tempdir().unwrap();
    let collector = std::sync::Arc::new(Collector::start(folder.path()).await);
    let token = collector.token("an-hoa", 0, HOUR).await;
    let agents: Vec<_> = (0..20)
        .map(|_| {
            let (collector, token, secret) = (collector.clone(), token.clone(), secret());
            tokio::spawn(async move { (collector.enrol(token.reveal(), &secret).await, secret) })
        })
        .collect();
    let mut winners = Vec::new();
    for agent in agents {
        let ((status, answer), secret) = agent.await.unwrap();
        match status.as_u16() {
            200 => winners.push(secret),
            403 => assert_eq!(answer["reason"], "used"),
            other => panic!("{other}: {answer}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(collector.push(&winners[0]).await, GOOD);
    std::sync::Arc::into_inner(collector).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_guesses_has_to_wait_and_is_told_how_long() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(folder.path()).await;
    let token = collector.token("an-hoa", 0, HOUR).await;
    let mut limited = 0;
    for _ in 0..60 {
        let guess = Secret::token().unwrap();
        let request = json!({"token": guess.reveal(), "secret_sha256": hex(&[0; 32])}).to_string();
        let response = collector.post("/api/v1/enrol", request).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{seconds}");
            limited += 1;
        } else {
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
        }
    }
    // Twenty are free, and a wait or two may have passed meanwhile.
    assert!(limited >= 30, "{limited} of 60 had to wait");
    let guess = Secret::token().unwrap();
    let (status, answer) = collector.enrol(guess.reveal(), &secret()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{answer}");
    assert!(answer["vi"].as_str().unwrap().contains("hãy thử lại sau"), "{answer}");
    // Whoever shares the address is not locked out for it.
    let (status, answer) = collector.enrol(token.reveal(), &secret()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_guesses_at_secrets_by_offering_new_ones_has_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(folder.path()).await;
    let mut limited = 0;
    for _ in 0..60 {
        match collector.offer(&secret(), &secret()).await {
            StatusCode::TOO_MANY_REQUESTS => limited += 1,
            other => assert_eq!(other, StatusCode::UNAUTHORIZED),
        }
    }
    assert!(limited >= 20, "{limited} of 60 had to wait");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_and_a_crash_at_any_step_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(folder.path()).await;
    let site: SiteId = "an-hoa".parse().unwrap();
    let token = collector.token("an-hoa", 0, HOUR).await;
    let (old, lost, new) = (secret(), secret(), secret());
    collector.enrol(token.reveal(), &old).await;
    assert_eq!(collector.offer(&old, &new).await, StatusCode::CONFLICT, "nobody has asked");

    collector.store.ask_rotation(std::slice::from_ref(&site), clock::now()).await.unwrap();
    collector.pushed(&old, ASKED).await;
    assert_eq!(collector.offer(&new, &new).await, StatusCode::UNAUTHORIZED);
    assert_eq!(collector.offer(&old, &old).await, StatusCode::CONFLICT);
    // The agent crashes after its offer, and does not find what it had made.
    assert_eq!(collector.offer(&old, &lost).await, StatusCode::NO_CONTENT);
    assert_eq!(collector.push(&old).await, ASKED, "the present one is good until the new one is used");
    // It offers another one, and the answer is lost twice.
    assert_eq!(collector.offer(&old, &new).await, StatusCode::NO_CONTENT);
    assert_eq!(collector.offer(&old, &new).await, StatusCode::NO_CONTENT);
    // The collector restarts.
    collector.stop().await;
    collector = Collector::start(folder.path()).await;
    assert_eq!(collector.push(&old).await, ASKED);
    assert_eq!(collector.push(&lost).await, REFUSED, "only the last offer counts");
    assert_eq!(
        collector.offer(&new, &secret()).await,
        StatusCode::CONFLICT,
        "one that is not confirmed was not asked: another offer would revoke it under its agent"
    );
    assert_eq!(collector.push(&new).await, GOOD, "and is not asked to be replaced");
    // Its first use revokes the former one.
    collector.pushed(&old, REFUSED).await;
    assert_eq!(collector.push(&new).await, GOOD);
    assert_eq!(collector.offer(&new, &secret()).await, StatusCode::CONFLICT, "the rotation is over");

    // A revocation in the middle of another one ends it, and takes both secrets.
    collector.store.ask_rotation(std::slice::from_ref(&site), clock::now()).await.unwrap();
    collector.pushed(&new, ASKED).await;
    let newer = secret();
    assert_eq!(collector.offer(&new, &newer).await, StatusCode::NO_CONTENT);
    collector.store.revoke_secrets(&site, clock::now()).await.unwrap();
    collector.pushed(&newer, REFUSED).await;
    assert_eq!(collector.push(&new).await, REFUSED);

    let bodies = ["", "{}", "null", "{\"secret_sha256\": \"x\"}"];
    for body in bodies {
        let request = collector.client.post(collector.url("/api/v1/agent/secret")).body(body);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{body}");
    }
    collector.stop().await;
}
