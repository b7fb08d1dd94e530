use axum::Extension;
use axum::http::Request;
use http::header;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::access::Role;
use crate::api::change::BODY_BYTES;
use crate::api::tests::{NOW, conforms, province};
use crate::inventory::diff::Change;
use crate::planned::MOST_REASON;
use crate::store::sqlite::SqliteStore;

struct Server {
    router: axum::Router,
    state: Arc<State>,
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

impl Server {
    /// The sample province, with the change of windows by `reader`.
    async fn new(reader: Option<Reader>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap());
        let state = province();
        let sites: Vec<_> = state.directory().register.sites().cloned().map(Change::Added).collect();
        store.change_register(0, &sites).await.unwrap();
        let mut router = router(Arc::clone(&state), Arc::clone(&store));
        if let Some(reader) = reader {
            router = router.layer(Extension(reader));
        }
        Self { router, state, store, _folder: folder }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let (status, value) = (head.status, serde_json::from_slice(&body).unwrap());
        if status != StatusCode::METHOD_NOT_ALLOWED {
            let document = serde_json::to_value(crate::api::openapi::document()).unwrap();
            let template =
                if path.starts_with("/api/v1/planned/") { "/api/v1/planned/{id}" } else { "/api/v1/planned" };
            let operation = &document["paths"][template][method.to_lowercase()];
            let described = &operation["responses"][status.as_str()]["content"];
            let media = if status.is_success() { "application/json" } else { "application/problem+json" };
            assert_eq!(head.headers[header::CONTENT_TYPE], media);
            if let Err(wrong) = conforms(&document, &described[media]["schema"], &value, "$") {
                panic!("{method} {path}: {status}: {wrong}");
            }
        }
        (status.as_u16(), value)
    }

    async fn add(&self, body: Value) -> (u16, Value) {
        self.ask("POST", "/api/v1/planned", &body.to_string()).await
    }

    async fn ids(&self, query: &str) -> Vec<i64> {
        let (status, answer) = self.ask("GET", &format!("/api/v1/planned{query}"), "").await;
        assert_eq!(status, 200, "{answer}");
        answer["windows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    }
}

fn works() -> Value {
    json!({ "site": "ubnd-loc-hung", "from": "-1h", "to": "now", "reason": "thay cáp" })
}

#[tokio::test]
async fn a_window_is_added_seen_ended_and_taken_back() {
    let user = Reader::User("binh".parse().unwrap(), Role::Operator);
    let server = Server::new(Some(user)).await;
    let (status, row) = server.add(works()).await;
    assert_eq!(
        (status, &row["id"], &row["added_by"], &row["state"]),
        (201, &json!(1), &json!("binh"), &json!("over"))
    );
    assert_eq!(server.state.directory().planned.windows().len(), 1, "it holds for the next question");
    let weekly =
        json!({ "tier": "commune", "every": "sat", "from": "22:00", "to": "02:00", "reason": "cập nhật" });
    let (status, row) = server.add(weekly.clone()).await;
    assert_eq!(
        (status, &row["when"], &row["of"]),
        (201, &json!("weekly sat 22:00-02:00"), &json!("commune"))
    );
    let always = json!({ "all": true, "every": "day", "from": "00:00", "to": "24:00", "reason": "thử" });
    assert_eq!(server.add(always).await.1["state"], "open");
    assert_eq!(server.ids("").await, [2, 3], "what is over is not shown");
    assert_eq!(server.ids("?state=all").await, [1, 2, 3]);
    assert_eq!(server.ids("?state=all&site=trung-tam").await, [3]);
    assert_eq!(server.ids("?state=all&site=ubnd-loc-hung").await, [1, 2, 3]);

    let (status, same) = server.add(weekly.clone()).await;
    assert_eq!((status, &same["error"]), (409, &json!("conflict")));
    assert!(same["detail"].as_str().unwrap().contains("as window 2"), "{same}");
    let (status, over) = server.ask("DELETE", "/api/v1/planned/1", "").await;
    assert_eq!((status, &over["remedy"]), (409, &json!("add ?void=true to take it back altogether")));
    let (status, ended) = server.ask("DELETE", "/api/v1/planned/2", "").await;
    assert_eq!((status, &ended["state"], &ended["removed_by"]), (200, &json!("ended"), &json!("binh")));
    assert_eq!(server.ask("DELETE", "/api/v1/planned/2", "").await.0, 409);
    let (status, void) = server.ask("DELETE", "/api/v1/planned/2?void=true", "").await;
    assert_eq!((status, &void["state"]), (200, &json!("void")));
    assert_eq!(server.ask("DELETE", "/api/v1/planned/2?void=true", "").await.0, 409);
    assert_eq!(server.add(weekly).await.0, 201, "what was taken back may be planned again");
    assert_eq!(server.ids("?state=all").await, [1, 2, 3, 4], "nothing is deleted");
}

#[tokio::test]
async fn who_is_the_user_the_token_or_the_machine() {
    for (reader, expected) in [
        (Some(Reader::Token("automation".parse().unwrap(), Role::Operator)), "token automation"),
        (Some(Reader::Local), "127.0.0.1"),
        (None, "127.0.0.1"),
    ] {
        assert_eq!(Server::new(reader).await.add(works()).await.1["added_by"], expected);
    }
}

#[tokio::test]
async fn what_cannot_be_a_window_is_refused_with_the_part_and_changes_nothing() {
    let server = Server::new(None).await;
    let with = |key: &str, value: Value| {
        let mut body = works();
        body[key] = value;
        body
    };
    for (body, part) in [
        (with("site", json!("ubnd-loc-hungg")), "site"),
        (with("tier", json!("commune")), "tier"),
        (with("to", json!("-2h")), "to"),
        (with("every", json!("someday")), "every"),
        (with("reason", json!("a\u{0}b")), "reason"),
        (with("reason", json!("x".repeat(MOST_REASON + 1))), "reason"),
        (json!({}), "site"),
    ] {
        let (status, problem) = server.add(body.clone()).await;
        assert_eq!((status, &problem["parameter"]), (400, &json!(part)), "{body} {problem}");
    }
    for body in ["", "[]", "{\"site\": 7}", "{\"sites\": \"a\"}", "{\"site\": \"a\"", "null", "\u{0}"] {
        let (status, problem) = server.ask("POST", "/api/v1/planned", body).await;
        assert_eq!((status, &problem["error"]), (400, &json!("bad_parameter")), "{body}");
    }
    let huge = format!("{{\"reason\": \"{}\"}}", "x".repeat(BODY_BYTES));
    assert_eq!(server.ask("POST", "/api/v1/planned", &huge).await.0, 413);
    for (method, path, expected) in [
        ("DELETE", "/api/v1/planned/7", 404),
        ("DELETE", "/api/v1/planned/x", 404),
        ("DELETE", "/api/v1/planned/99999999999999999999", 404),
        ("DELETE", "/api/v1/planned/1?void=yes", 400),
        ("DELETE", "/api/v1/planned/1?viod=true", 400),
        ("PUT", "/api/v1/planned", 405),
        ("GET", "/api/v1/planned?state=some", 400),
        ("GET", "/api/v1/planned?site=nobody", 404),
    ] {
        assert_eq!(server.ask(method, path, "").await.0, expected, "{method} {path}");
    }
    assert_eq!(server.ids("?state=all").await, [0; 0]);
    assert!(server.store.snapshot().await.unwrap().planned.windows().is_empty());
}

#[tokio::test]
async fn a_window_that_was_made_at_the_command_line_can_be_ended_at_once() {
    let server = Server::new(None).await;
    let mut work = {
        let directory = server.state.directory();
        let config = &server.state.config;
        let known =
            Known { register: &directory.register, plan: &config.plan, zone: &config.timezone, now: NOW };
        let draft =
            Draft { all: true, calendar: Some("holidays"), reason: Some("nghỉ"), ..Draft::default() };
        draft.read("an", &known).unwrap()
    };
    work.added = NOW;
    assert_eq!(server.store.add_planned(&work).await.unwrap(), AddedWindow::Added(PlannedId(1)));
    assert_eq!(server.ask("DELETE", "/api/v1/planned/1", "").await.1["state"], "ended");
}
