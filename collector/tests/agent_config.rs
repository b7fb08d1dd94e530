//! The agents' configuration at a running collector: over real HTTP, with the file and the register changing under it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod running;

use std::path::Path;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use running::Running as Collector;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wan_collector::config::Config;
use wan_collector::inventory::Register;
use wan_collector::inventory::diff::{Absent, changes};
use wan_collector::inventory::read::{File, Format, read};
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{AgentSecret, Store as _};
use wan_wire::UnixMillis;

const REGISTER: &str = "
sites:
- {id: trung-tam, name: Trung tâm, tier: province, branch: state, watches: all}
- {id: xa-hung-thuan, name: Hưng Thuận, tier: commune, branch: state, links: {wan: {router: 10.72.9.1}}}
- {id: xa-loc-hung, name: Lộc Hưng, tier: commune, branch: state}
";
const PATH: &str = "/api/v1/agent/config";

fn config(folder: &Path) -> Config {
    Config { data: folder.join("data"), agents: Some(folder.join("agents.yaml")), ..Config::default() }
}

async fn register(folder: &Path, text: &str) {
    let config = config(folder);
    let store = SqliteStore::open(&config.database()).await.unwrap();
    let before = store.snapshot().await.unwrap();
    let file = File { name: "r", bytes: text.as_bytes(), format: Format::Yaml };
    let sites = read(&[file], &config.plan, &before.register).unwrap();
    let (changes, after) = changes(&before.register, sites, Absent::Keep).unwrap();
    let revision = store.change_register(before.revision, &changes).await.unwrap();
    if before.register == Register::default() {
        let secret = |site: &wan_collector::inventory::Site| AgentSecret {
            site: site.id.clone(),
            hash: Sha256::digest(secret_of(site.id.as_str())).into(),
            issued: UnixMillis(0),
            revoked: None,
        };
        let secrets: Vec<AgentSecret> = after.sites().map(secret).collect();
        store.issue_secrets(revision, &secrets).await.unwrap();
    }
    store.close().await;
}

fn secret_of(site: &str) -> String {
    format!("wan_secret-of-{site}")
}

fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("agents.yaml"), text).unwrap();
}

async fn folder(agents: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    register(folder.path(), REGISTER).await;
    write(folder.path(), agents);
    folder
}

impl Collector {
    async fn start(folder: &Path) -> Self {
        Self::begin(config(folder)).await
    }

    async fn get(&self, site: &str, etag: Option<&str>) -> Response {
        let mut request = self.client.get(self.url(PATH)).bearer_auth(secret_of(site));
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        request.send().await.unwrap()
    }

    async fn tell(&self, site: &str, report: &Value) -> Response {
        let request = self.client.post(self.url(PATH)).bearer_auth(secret_of(site));
        request.body(report.to_string()).send().await.unwrap()
    }

    async fn agents(&self) -> Value {
        let answer = self.client.get(self.url("/api/v1/agents")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Asks until `wanted` holds of the site's document.
    async fn until(&self, site: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        for _ in 0..200 {
            last = self.get(site, None).await.text().await.unwrap();
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not within 10 s: {last}");
    }
}

fn etag(answer: &Response) -> String {
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_fetched_by_its_etag_and_only_with_the_sites_own_secret() {
    let folder = folder("tiers: {commune: {round: {interval: 9s}}}").await;
    let collector = Collector::start(folder.path()).await;
    let answer = collector.get("xa-hung-thuan", None).await;
    assert_eq!(
        (answer.status(), answer.headers()["content-type"].to_str().unwrap()),
        (StatusCode::OK, "text/yaml; charset=utf-8")
    );
    let tag = etag(&answer);
    assert_eq!(answer.headers()["wan-config"], tag.as_str());
    assert!(answer.headers().contains_key("wan-time"));
    assert!(answer.text().await.unwrap().contains("  interval: 9s\n"));

    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = collector.get("xa-hung-thuan", Some(&known)).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(
            (etag(&answer), &answer.headers()["wan-config"]),
            (tag.clone(), &answer.headers()["etag"])
        );
        assert!(answer.headers().contains_key("wan-time"));
    }
    assert_eq!(collector.get("xa-hung-thuan", Some("\"other\"")).await.status(), StatusCode::OK);

    for request in [collector.client.get(collector.url(PATH)), collector.client.post(collector.url(PATH))] {
        let answer = request.try_clone().unwrap().send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let answer = request.bearer_auth("wan_guess").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(!answer.headers().contains_key("wan-time") && !answer.headers().contains_key("wan-config"));
    }
    let put = collector
        .client
        .put(collector.url(PATH))
        .bearer_auth(secret_of("xa-hung-thuan"))
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);

    // The answer to a push names it too, also when it refuses; one that has none costs nothing.
    let push = |site: &str| {
        collector.client.post(collector.url("/api/v1/write")).bearer_auth(secret_of(site)).body("x")
    };
    assert_eq!(push("xa-hung-thuan").send().await.unwrap().headers()["wan-config"], tag.as_str());
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_register_alone_configures_who_watches_and_a_change_there_reaches_it() {
    let folder = folder("all: {}\n").await;
    let collector = Collector::start(folder.path()).await;
    let none = collector.get("xa-loc-hung", None).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    assert!(none.headers().contains_key("wan-time") && !none.headers().contains_key("wan-config"));
    let text = collector.get("trung-tam", None).await.text().await.unwrap();
    assert!(text.contains("- {icmp: \"10.72.9.1\", about: \"xa-hung-thuan\"}"), "{text}");
    register(folder.path(), "sites: [{id: xa-loc-hung, name: Lộc Hưng, tier: commune, branch: state, links: {wan: {router: 10.72.8.1}}}]").await;
    let text = collector.until("trung-tam", |text| text.contains("xa-loc-hung")).await;
    assert!(text.contains("- {icmp: \"10.72.8.1\", about: \"xa-loc-hung\"}"), "{text}");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_change_is_taken_over_and_a_bad_one_is_said_while_the_last_good_goes_on_also_over_a_restart() {
    let folder = folder("all: {round: {interval: 9s}}").await;
    let collector = Collector::start(folder.path()).await;
    let old = etag(&collector.get("xa-loc-hung", None).await);
    assert_eq!(collector.agents().await["file"]["state"], "good");
    write(folder.path(), "all: {round: {interval: 8s}}");
    collector.until("xa-loc-hung", |text| text.contains("interval: 8s")).await;
    let good = etag(&collector.get("xa-loc-hung", None).await);
    assert_ne!(old, good);

    write(folder.path(), "all: {round: {interval: 8}}\nteirs: {}\n");
    let bad = async |collector: &Collector, found: &str| {
        for _ in 0..200 {
            let agents = collector.agents().await;
            let first = agents["file"]["mistakes"][0]["found"].as_str().unwrap_or_default();
            if agents["file"]["state"] == "bad" && first.contains(found) {
                return agents;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the bad file is not noticed");
    };
    let said = bad(&collector, "8").await;
    assert!(said["file"]["mistakes"][0]["file"].as_str().unwrap().ends_with("/agents.yaml"), "{said}");
    let mistakes: Vec<&str> =
        said["file"]["mistakes"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(mistakes, ["all.round.interval", "teirs"]);
    let metrics = collector.client.get(collector.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nwan_collector_agent_config_good 0\n"));
    assert_eq!(etag(&collector.get("xa-loc-hung", None).await), good);
    collector.stop().await;

    // A restart with the bad file goes on with the last good.
    let collector = Collector::start(folder.path()).await;
    assert_eq!(etag(&collector.get("xa-loc-hung", None).await), good);
    bad(&collector, "8").await;
    std::fs::remove_file(folder.path().join("agents.yaml")).unwrap();
    let said = bad(&collector, "no readable file").await;
    assert!(said["file"]["mistakes"][0]["file"].as_str().unwrap().ends_with("/agents.yaml"), "{said}");
    assert_eq!(etag(&collector.get("xa-loc-hung", None).await), good, "a missing file is a bad one");
    write(folder.path(), "all: {round: {interval: 7s}}");
    collector.until("xa-loc-hung", |text| text.contains("interval: 7s")).await;
    assert_eq!(collector.agents().await["file"]["state"], "good");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_with_a_bad_file_is_refused_with_its_mistakes() {
    let folder = folder("tiers: {comune: {}}").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = wan_collector::run(config(folder.path()), vec![listener], CancellationToken::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("agents.yaml:1:9: tiers.comune: found the tier “comune”"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_says_became_of_it_is_kept_and_shown() {
    let folder = folder("tiers: {commune: {round: {interval: 9s}}}").await;
    let collector = Collector::start(folder.path()).await;
    let tag = etag(&collector.get("xa-hung-thuan", None).await);
    let of = |agents: &Value, site: &str| {
        agents["sites"].as_array().unwrap().iter().find(|one| one["site"] == site).cloned()
    };
    let shown = of(&collector.agents().await, "xa-hung-thuan").unwrap();
    assert_eq!((shown["state"].as_str(), shown["etag"].as_str()), (Some("waiting"), Some(tag.as_str())));

    let reason = format!("found no link\u{1b}[2J{}", "x".repeat(600));
    let refused = json!({"etag": tag, "applied": false, "reason": reason});
    let answer = collector.tell("xa-hung-thuan", &refused).await;
    assert_eq!(
        (answer.status(), answer.headers()["wan-config"].to_str().unwrap()),
        (StatusCode::NO_CONTENT, tag.as_str())
    );
    let shown = of(&collector.agents().await, "xa-hung-thuan").unwrap();
    assert_eq!(shown["state"], "refused");
    let kept = shown["reason"].as_str().unwrap();
    assert!(kept.starts_with("found no link[2Jxxx") && kept.len() == 500, "{kept}");

    for (body, status) in [
        ("{}".to_owned(), StatusCode::BAD_REQUEST),
        ("not JSON".to_owned(), StatusCode::BAD_REQUEST),
        (String::new(), StatusCode::BAD_REQUEST),
        (
            json!({"etag": tag, "applied": true, "reason": "x".repeat(9_000)}).to_string(),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
    ] {
        let request = collector.client.post(collector.url(PATH)).bearer_auth(secret_of("xa-hung-thuan"));
        let answer = request.body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), status, "{body:.40}");
        assert!(answer.headers().contains_key("wan-time"));
    }
    collector.tell("xa-loc-hung", &json!({"etag": "\"old\"", "applied": true})).await;
    collector.stop().await;

    let collector = Collector::start(folder.path()).await;
    let agents = collector.agents().await;
    assert_eq!(of(&agents, "xa-hung-thuan").unwrap()["state"], "refused", "also after a restart");
    assert_eq!(
        of(&agents, "xa-loc-hung").unwrap()["state"],
        "waiting",
        "what it said is of another document"
    );
    collector.tell("xa-hung-thuan", &json!({"etag": tag, "applied": true, "reason": ""})).await;
    let site: Value = serde_json::from_slice(
        &collector
            .client
            .get(collector.url("/api/v1/sites/xa-hung-thuan"))
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(site["agent"]["config"]["state"], "applied", "{site}");

    // Nothing is said of it any more: it is told to go back to its own file. One that never had a document is not.
    write(folder.path(), "all: {}\n");
    collector.until("xa-hung-thuan", |text| text.starts_with("# Nothing is said of xa-hung-thuan")).await;
    assert_eq!(collector.get("xa-loc-hung", None).await.status(), StatusCode::OK, "it spoke of one once");
    collector.stop().await;
}
