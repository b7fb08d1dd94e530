use axum::http::Request;
use http::header;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::access::Role;
use crate::alert::machine::Settings;
use crate::alert::notice::{Both, Common, MOST_LISTED, Rule, Subject};
use crate::alert::record::AlertChanges;
use crate::api::change::BODY_BYTES;
use crate::api::tests::{HOSTILE, NOW, conforms, province};
use crate::ledger::cause::Cause;
use crate::planned::MOST_REASON;
use crate::store::sqlite::SqliteStore;

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

fn now() -> UnixMillis {
    NOW
}

fn of_site(site: &str) -> Subject {
    Subject::Site { site: site.parse().unwrap() }
}

fn of_link(site: &str, link: &str) -> Subject {
    Subject::Link { site: site.parse().unwrap(), link: link.parse().unwrap() }
}

/// An alert that began so many minutes ago.
fn record(rule: Rule, subject: Subject, ago: i64) -> Record {
    let fired = NOW.plus_millis(-ago * MINUTE);
    let severity = Settings::default().of(rule).severity;
    Record {
        since: fired.plus_millis(-5_000),
        told: Some(fired),
        why: Both { vi: "không nghe thấy".to_owned(), en: "not heard".to_owned() },
        ..Record::begun(AlertId::of(rule, &subject, fired), rule, subject, severity, fired)
    }
}

#[tokio::test]
async fn what_was_corrected_is_listed_with_what_had_been_said() {
    use crate::alert::correct::{Correction, Found};
    use crate::ledger::told::Because;
    let mut over = record(Rule::SiteOffline, of_site("hostile"), 300);
    (over.until, over.cause) = (Some(NOW.plus_millis(-240 * MINUTE)), Some(Cause::Carrier));
    let was = over.said().unwrap();
    let at = NOW.plus_millis(-200 * MINUTE);
    let is = crate::alert::correct::Said { found: Found::Worked, cause: None, ..was };
    over.corrections = vec![Correction { at, was, is, because: Because::Backlog }];
    let id = over.id.to_string();
    let server = Server::new(None, vec![over.clone()]).await;
    let (status, answer) = server.ask("GET", &format!("/api/v1/alerts/{id}?lang=en"), "").await;
    assert_eq!(status, 200, "{answer}");
    let [row] = &answer["corrections"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!((&row["was"]["cause"], &row["is"]["found"]), (&json!("carrier"), &json!("worked")));
    assert_eq!((&row["at"], &row["because"]), (&json!(at.0), &json!("backlog")));
    let text = row["text"].as_str().unwrap();
    assert!(text.contains("; now: the site was not cut off at that time"), "{text}");
    // Written once more as it was when it ended, it keeps what was corrected.
    let before = Record { corrections: Vec::new(), ..over };
    let changes = AlertChanges { records: vec![before], ..AlertChanges::default() };
    server.store.write_alerts(&changes).await.unwrap();
    let (_, answer) = server.ask("GET", "/api/v1/alerts?from=-6h", "").await;
    assert_eq!(answer["alerts"][0]["corrections"].as_array().unwrap().len(), 1, "{answer}");
}

struct Server {
    router: axum::Router,
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn new(reader: Option<Reader>, records: Vec<Record>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap());
        store.write_alerts(&AlertChanges { records, ..AlertChanges::default() }).await.unwrap();
        let mut router = router_at(province(), Arc::clone(&store), now);
        if let Some(reader) = reader {
            router = router.layer(Extension(reader));
        }
        Self { router, store, _folder: folder }
    }

    /// Status and answer, which is held against its description.
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let (status, value) = (head.status, serde_json::from_slice(&body).unwrap());
        if status != StatusCode::METHOD_NOT_ALLOWED {
            let document = serde_json::to_value(crate::api::openapi::document()).unwrap();
            let segments: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
            let template = match segments[..] {
                ["", "api", "v1", root] => format!("/api/v1/{root}"),
                ["", "api", "v1", root, _] => format!("/api/v1/{root}/{{id}}"),
                _ => "/api/v1/alerts/{id}/ack".to_owned(),
            };
            let described =
                &document["paths"][&template][method.to_lowercase()]["responses"][status.as_str()];
            let media = if status.is_success() { "application/json" } else { "application/problem+json" };
            assert_eq!(head.headers[header::CONTENT_TYPE], media);
            if let Err(wrong) = conforms(&document, &described["content"][media]["schema"], &value, "$") {
                panic!("{method} {path}: {status}: {wrong}");
            }
        }
        (status.as_u16(), value)
    }

    async fn ids(&self, query: &str) -> Vec<String> {
        let (status, answer) = self.ask("GET", &format!("/api/v1/alerts{query}"), "").await;
        assert_eq!(status, 200, "{answer}");
        answer["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn silence(&self, body: Value) -> (u16, Value) {
        self.ask("POST", "/api/v1/silences", &body.to_string()).await
    }
}

fn binh() -> Option<Reader> {
    Some(Reader::User("binh".parse().unwrap(), Role::Operator))
}

#[tokio::test]
async fn what_fires_is_listed_newest_first_and_what_is_over_only_when_a_time_is_asked_for() {
    let mut over = record(Rule::LinkDown, of_link("ubnd-loc-hung", "wan-vnpt"), 300);
    over.until = Some(NOW.plus_millis(-240 * MINUTE));
    let old = record(Rule::CollectorBlind, Subject::Collector, 3 * 1_440);
    let storm = Subject::Many { common: Common::Carrier("VNPT".to_owned()) };
    let mut many = record(Rule::SiteOffline, storm.clone(), 20);
    many.members = vec!["ubnd-loc-hung".parse().unwrap(), "hostile".parse().unwrap()];
    let mut one = record(Rule::SiteOffline, of_site("hostile"), 10);
    (one.under, one.told, one.cause) = (Some(storm), None, Some(Cause::Carrier));
    let all = [&one, &many, &over, &old].map(|record| record.id.to_string());
    let server = Server::new(None, vec![old, many, one, over]).await;
    let [one, many, over, old] = all;

    assert_eq!(server.ids("").await, [one.clone(), many.clone(), old.clone()]);
    assert_eq!(server.ids("?folded=true").await, [many.clone(), old.clone()]);
    assert_eq!(server.ids("?site=hostile").await, std::slice::from_ref(&one));
    assert_eq!(server.ids("?rule=collector_blind").await, std::slice::from_ref(&old));
    assert_eq!(server.ids("?from=-6h").await, [one.clone(), many.clone(), over.clone(), old.clone()]);
    assert_eq!(server.ids("?from=-3h").await, [one.clone(), many.clone(), old.clone()], "over before that");
    assert_eq!(
        server.ids("?from=-6h&to=-1h&open=true").await,
        std::slice::from_ref(&old),
        "fired before the end of it"
    );
    assert_eq!(server.ids("?open=false").await.len(), 4, "without a window the last day");
    let (_, cut) = server.ask("GET", "/api/v1/alerts?limit=2", "").await;
    assert_eq!((cut["alerts"].as_array().unwrap().len(), &cut["more"]), (2, &json!(true)));

    let (_, answer) = server.ask("GET", "/api/v1/alerts", "").await;
    assert_eq!((&answer["window"], &answer["now"]), (&Value::Null, &json!(NOW.0)));
    let [first, second, third] = [0, 1, 2].map(|index| &answer["alerts"][index]);
    assert_eq!(first["name"], HOSTILE);
    assert_eq!((&first["about"], &first["path"]), (&json!(HOSTILE), &json!("/sites/hostile")));
    assert_eq!((&first["under"], &first["under_about"]), (&json!("carrier/VNPT"), &json!("Nhà mạng VNPT")));
    assert_eq!((&first["told"], &first["cause"]), (&Value::Null, &json!("carrier")));
    assert_eq!(first["duration_ms"], json!(10 * MINUTE + 5_000));
    assert_eq!((&first["severity"], &first["severity_name"]), (&json!("critical"), &json!("Nghiêm trọng")));
    assert_eq!((&second["subject"], &second["members_count"]), (&json!("carrier/VNPT"), &json!(2)));
    assert_eq!(second["members"][0], json!({"id": "ubnd-loc-hung", "name": "Ủy ban nhân dân xã Lộc Hưng"}));
    assert_eq!((&third["site"], &third["path"]), (&Value::Null, &json!("/")));
    let (status, row) = server.ask("GET", &format!("/api/v1/alerts/{over}?lang=en"), "").await;
    assert_eq!((status, &row["rule_name"], &row["why"]), (200, &json!("Link down"), &json!("not heard")));
    assert_eq!((&row["link"], &row["duration_ms"]), (&json!("wan-vnpt"), &json!(60 * MINUTE + 5_000)));
    assert_eq!(row["about"], "Ủy ban nhân dân xã Lộc Hưng · wan-vnpt");
}

#[tokio::test]
async fn a_list_names_fifty_sites_of_many_and_the_alert_itself_all() {
    let mut many = record(Rule::SiteOffline, Subject::Many { common: Common::All }, 1);
    many.members = (0..300).map(|index| format!("xa-{index:03}").parse().unwrap()).collect();
    let id = many.id.clone();
    let server = Server::new(None, vec![many]).await;
    let (_, list) = server.ask("GET", "/api/v1/alerts", "").await;
    let row = &list["alerts"][0];
    assert_eq!((row["members"].as_array().unwrap().len(), &row["members_count"]), (MOST_LISTED, &json!(300)));
    let (_, row) = server.ask("GET", &format!("/api/v1/alerts/{id}"), "").await;
    assert_eq!(row["members"].as_array().unwrap().len(), 300);
    assert_eq!(row["members"][7], json!({"id": "xa-007", "name": "xa-007"}), "the register has it no more");
}

#[tokio::test]
async fn an_alert_is_taken_up_taken_over_and_left() {
    let alert = record(Rule::SiteOffline, of_site("ubnd-don-thuan"), 5);
    let path = format!("/api/v1/alerts/{}/ack", alert.id);
    let server = Server::new(binh(), vec![alert.clone()]).await;
    let (status, row) = server.ask("POST", &path, r#"{"reason": " đã gọi VNPT "}"#).await;
    assert_eq!(status, 200, "{row}");
    assert_eq!((&row["ack"]["by"], &row["ack"]["reason"]), (&json!("binh"), &json!("đã gọi VNPT")));
    assert_eq!((&row["ack"]["until"], &row["ack"]["holds"]), (&Value::Null, &json!(true)));
    let taken = server.store.acknowledged().await.unwrap();
    assert_eq!(taken[&alert.id].by, "binh", "the next look at the alerts finds it");
    let (_, row) = server.ask("POST", &path, r#"{"reason": "chờ thợ", "until": "2h"}"#).await;
    assert_eq!(row["ack"]["until"], json!(NOW.0 + 120 * MINUTE), "in place of the first");
    let (_, list) = server.ask("GET", "/api/v1/alerts", "").await;
    assert_eq!(list["alerts"][0]["ack"], row["ack"]);
    let (status, row) = server.ask("DELETE", &path, "").await;
    assert_eq!((status, &row["ack"]), (200, &Value::Null));
    let (status, problem) = server.ask("DELETE", &path, "").await;
    assert_eq!((status, &problem["error"]), (409, &json!("conflict")));
    assert!(server.store.acknowledged().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_taken_up_is_refused_and_changes_nothing() {
    let alert = record(Rule::SiteOffline, of_site("ubnd-don-thuan"), 5);
    let mut over = record(Rule::LinkDown, of_link("hostile", "lan"), 9);
    over.until = Some(NOW);
    let server = Server::new(None, vec![alert.clone(), over.clone()]).await;
    let path = format!("/api/v1/alerts/{}/ack", alert.id);
    for (body, part) in [
        (json!({}), "reason"),
        (json!({"reason": "  "}), "reason"),
        (json!({"reason": "x".repeat(MOST_REASON + 1)}), "reason"),
        (json!({"reason": "a\nb"}), "reason"),
        (json!({"reason": "x", "until": "soon"}), "until"),
        (json!({"reason": "x", "until": "-2h"}), "until"),
        (json!({"reason": "x", "until": "now"}), "until"),
        (json!({"reason": "x", "until": "0s"}), "until"),
        (json!({"reason": "x", "until": "91d"}), "until"),
        (json!({"reason": "x", "until": "99999999999999999d"}), "until"),
    ] {
        let (status, problem) = server.ask("POST", &path, &body.to_string()).await;
        assert_eq!((status, &problem["parameter"]), (400, &json!(part)), "{body} {problem}");
    }
    for body in ["", "[]", "null", "{\"reason\": 7}", "{\"reasons\": \"x\"}", "{\"reason\": \"x\"", "\u{0}"] {
        let (status, problem) = server.ask("POST", &path, body).await;
        assert_eq!((status, &problem["error"]), (400, &json!("bad_parameter")), "{body}");
    }
    let huge = json!({"reason": "x".repeat(BODY_BYTES)}).to_string();
    assert_eq!(server.ask("POST", &path, &huge).await.0, 413);
    let good = r#"{"reason": "x"}"#;
    let ended = format!("/api/v1/alerts/{}/ack", over.id);
    let (status, problem) = server.ask("POST", &ended, good).await;
    assert_eq!((status, &problem["error"]), (409, &json!("conflict")));
    assert!(problem["detail"].as_str().unwrap().contains("is over"), "{problem}");
    assert_eq!(server.ask("DELETE", &ended, "").await.0, 409);
    let long = format!("a{}", "0".repeat(3_000));
    for id in ["x", "a000000000000000", "a00000000000000g", "%00", long.as_str()] {
        for (method, path, body) in [
            ("GET", format!("/api/v1/alerts/{id}"), ""),
            ("POST", format!("/api/v1/alerts/{id}/ack"), good),
            ("DELETE", format!("/api/v1/alerts/{id}/ack"), ""),
        ] {
            let (status, problem) = server.ask(method, &path, body).await;
            assert_eq!((status, &problem["parameter"]), (404, &json!("id")), "{method} {path}");
            assert!(problem["detail"].as_str().unwrap().chars().count() < 160, "{problem}");
        }
    }
    assert!(server.store.acknowledged().await.unwrap().is_empty());
    assert_eq!(server.ask("PUT", &path, good).await.0, 405);
}

#[tokio::test]
async fn questions_that_cannot_be_answered_name_the_parameter() {
    let server = Server::new(None, Vec::new()).await;
    for (query, status, part) in [
        ("open=perhaps", 400, "open"),
        ("folded=1", 400, "folded"),
        ("rule=site_ofline", 400, "rule"),
        ("site=nowhere", 404, "site"),
        ("limit=0", 400, "limit"),
        ("limit=50001", 400, "limit"),
        ("limit=-1", 400, "limit"),
        ("lang=fr", 400, "lang"),
        ("from=later", 400, "from"),
        ("from=-1h&to=-2h", 400, "from"),
        ("form=-1h", 400, "form"),
    ] {
        let (found, problem) = server.ask("GET", &format!("/api/v1/alerts?{query}"), "").await;
        assert_eq!((found, &problem["parameter"]), (status, &json!(part)), "{query} {problem}");
    }
    let (_, problem) = server.ask("GET", "/api/v1/alerts?rule=site_ofline", "").await;
    assert_eq!(problem["remedy"], "did you mean site_offline?");
    assert_eq!(server.ask("GET", "/api/v1/silences?state=some", "").await.0, 400);
    for parameter in PARAMETERS {
        assert_eq!(server.ids(&format!("?{parameter}=")).await.len(), 0, "{parameter}");
    }
}

#[tokio::test]
async fn a_silence_is_added_seen_on_its_alerts_and_ended() {
    let alerts = vec![
        record(Rule::SiteOffline, of_site("ubnd-don-thuan"), 5),
        record(Rule::LinkDown, of_link("ubnd-don-thuan", "lan"), 6),
        record(Rule::SiteOffline, of_site("hostile"), 7),
    ];
    let server = Server::new(binh(), alerts).await;
    let body =
        json!({"site": "ubnd-don-thuan", "rule": "site_offline", "for": "2h", "reason": "thợ đang sửa"});
    let (status, row) = server.silence(body).await;
    assert_eq!((status, &row["id"], &row["state"]), (201, &json!(1), &json!("holds")), "{row}");
    assert_eq!(
        (&row["by"], &row["scope"], &row["of"]),
        (&json!("binh"), &json!("site"), &json!("ubnd-don-thuan"))
    );
    assert_eq!((&row["from"], &row["to"]), (&json!(NOW.0), &json!(NOW.0 + 120 * MINUTE)));
    let coming = json!({"all": true, "from": "22:00", "to": "02:00", "reason": "x"});
    let (_, row) = server.silence(coming).await;
    assert_eq!((&row["state"], &row["of"], &row["rule"]), (&json!("coming"), &Value::Null, &Value::Null));
    assert_eq!(row["to"].as_i64().unwrap() - row["from"].as_i64().unwrap(), 240 * MINUTE, "over midnight");
    assert_eq!(row["from_local"], "2026-11-23T22:00:00+07:00", "the next one");

    let (_, list) = server.ask("GET", "/api/v1/alerts", "").await;
    let silenced: Vec<_> = list["alerts"].as_array().unwrap().iter().map(|row| &row["silences"]).collect();
    assert_eq!(silenced[0][0]["id"], 1);
    assert_eq!((silenced[1], silenced[2]), (&json!([]), &json!([])), "of another rule, of another site");

    let numbers = async |query: &str| {
        let (_, answer) = server.ask("GET", &format!("/api/v1/silences{query}"), "").await;
        let rows = answer["silences"].as_array().unwrap().clone();
        rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("").await, [1, 2]);
    let (status, row) = server.ask("DELETE", "/api/v1/silences/1", "").await;
    assert_eq!((status, &row["state"], &row["ended"]), (200, &json!("ended"), &json!(NOW.0)));
    assert_eq!(row["ended_by"], "binh");
    assert_eq!(server.ask("DELETE", "/api/v1/silences/1", "").await.0, 409);
    assert_eq!((numbers("").await, numbers("?state=all").await), (vec![2], vec![1, 2]), "nothing is deleted");
    let (_, list) = server.ask("GET", "/api/v1/alerts", "").await;
    assert_eq!(list["alerts"][0]["silences"], json!([]));
    for id in ["7", "x", "-1", "99999999999999999999"] {
        assert_eq!(server.ask("DELETE", &format!("/api/v1/silences/{id}"), "").await.0, 404, "{id}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_silence_is_refused_with_the_part_and_changes_nothing() {
    let server = Server::new(None, Vec::new()).await;
    let with = |changes: Value| {
        let mut body = json!({"site": "hostile", "for": "2h", "reason": "x"});
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    for (body, part) in [
        (json!({}), "site"),
        (with(json!({"site": "hostil"})), "site"),
        (with(json!({"tier": "commune"})), "tier"),
        (with(json!({"rule": "site_of"})), "rule"),
        (with(json!({"reason": ""})), "reason"),
        (with(json!({"reason": "x".repeat(MOST_REASON + 1)})), "reason"),
        (with(json!({"reason": "\u{202e}x"})), "reason"),
        (with(json!({"for": null})), "for"),
        (with(json!({"for": "0h"})), "for"),
        (with(json!({"for": "-2h"})), "for"),
        (with(json!({"for": "for ever"})), "for"),
        (with(json!({"for": "91d"})), "for"),
        (with(json!({"for": "99999999999999999d"})), "for"),
        (with(json!({"to": "23:30"})), "for"),
        (with(json!({"for": null, "to": "-1h"})), "to"),
        (with(json!({"for": null, "from": "-3h", "to": "-1h"})), "to"),
        (with(json!({"for": null, "from": "2026-12-02", "to": "2026-12-01"})), "to"),
        (with(json!({"for": null, "to": "2027-11-23"})), "to"),
        (with(json!({"for": null, "to": "sometime"})), "to"),
        (with(json!({"from": "2036-01-01"})), "from"),
        (with(json!({"from": "sometime"})), "from"),
    ] {
        let (status, problem) = server.silence(body.clone()).await;
        assert_eq!((status, &problem["parameter"]), (400, &json!(part)), "{body} {problem}");
    }
    for body in ["", "[]", "null", "{\"sites\": \"a\"}", "{\"site\": 7}", "{\"site\": \"a\""] {
        assert_eq!(server.ask("POST", "/api/v1/silences", body).await.0, 400, "{body}");
    }
    let huge = json!({"reason": "x".repeat(BODY_BYTES)});
    assert_eq!(server.silence(huge).await.0, 413);
    assert!(server.store.silences(UnixMillis::MIN).await.unwrap().is_empty());
}

#[tokio::test]
async fn no_more_silences_than_a_look_can_go_through() {
    let server = Server::new(None, Vec::new()).await;
    let body = json!({"all": true, "for": "90d", "reason": "x"});
    let (_, row) = server.silence(body.clone()).await;
    assert_eq!(row["to"], json!(NOW.0 + 90 * DAY));
    let (_, silence) = server.store.silences(NOW).await.unwrap().remove(0);
    for _ in 1..MOST_SILENCES {
        server.store.add_silence(&silence).await.unwrap();
    }
    let (status, problem) = server.silence(body.clone()).await;
    assert_eq!((status, &problem["error"]), (409, &json!("conflict")));
    assert_eq!(server.ask("DELETE", "/api/v1/silences/1", "").await.0, 200);
    assert_eq!(server.silence(body).await.0, 201, "those that are ended do not count");
}

#[test]
fn a_silence_covers_what_the_table_says() {
    use crate::config::TierId;
    use crate::planned::Scope;
    let state = province();
    let mut sites: Vec<_> = state.directory().register.sites().cloned().collect();
    let dual = sites.iter_mut().find(|site| site.id.as_str() == "ubnd-loc-hung").unwrap();
    dual.district = Some("Châu Thành".to_owned());
    let link = |name: &str, carrier: &str| crate::inventory::Link {
        carrier: Some(carrier.to_owned()),
        ..crate::inventory::Link::named(name.parse().unwrap())
    };
    dual.links = vec![link("wan-vnpt", "VNPT"), link("wan-viettel", "Viettel")];
    let parent = Some("ubnd-loc-hung".parse().unwrap());
    sites.iter_mut().find(|site| site.id.as_str() == "hostile").unwrap().parent = parent;
    let register = crate::inventory::Register::new(sites).unwrap();
    let zone = &state.config.timezone;

    let (vnpt, viettel) = (of_link("ubnd-loc-hung", "wan-vnpt"), of_link("ubnd-loc-hung", "wan-viettel"));
    let (site, child, gone) = (of_site("ubnd-loc-hung"), of_site("hostile"), of_site("xa-dong"));
    let tier = Subject::Tier { tier: "commune".to_owned() };
    let carrier = Subject::Many { common: Common::Carrier("vnpt".to_owned()) };
    let district = Subject::Many { common: Common::District("Châu Thành".to_owned()) };
    let (all, collector) = (Subject::Many { common: Common::All }, Subject::Collector);
    let subjects = [&vnpt, &viettel, &site, &child, &gone, &tier, &carrier, &district, &all, &collector];
    let id = || "ubnd-loc-hung".parse().unwrap();
    let commune: TierId =
        state.config.plan.tiers.iter().find(|tier| tier.id.as_str() == "commune").unwrap().id.clone();
    for (scope, covered) in [
        (Scope::All, "1111111111"),
        (Scope::Site(id()), "1110000000"),
        (Scope::Subtree(id()), "1111000000"),
        (Scope::Tier(commune), "1110010000"),
        (Scope::District("châu thành".to_owned()), "1110000100"),
        (Scope::Carrier("VNPT".to_owned()), "1010001000"),
    ] {
        let told = scope.to_string();
        let mut silence = Silence {
            scope,
            rule: None,
            from: NOW,
            to: NOW.plus_millis(1),
            reason: "x".to_owned(),
            by: "x".to_owned(),
            added: NOW,
            ended: None,
            ended_by: None,
        };
        let covers = |silence: &Silence| -> String {
            let one = |subject| silence.covers(Rule::LinkDown, subject, &register, NOW, zone);
            subjects.iter().map(|subject| if one(subject) { '1' } else { '0' }).collect()
        };
        assert_eq!(covers(&silence), covered, "{told}");
        silence.rule = Some(Rule::LinkDown);
        assert_eq!(covers(&silence), covered, "{told}, of its rule");
        silence.rule = Some(Rule::AgentSilent);
        assert_eq!(covers(&silence), "0000000000", "{told}, of another rule");
    }
}
