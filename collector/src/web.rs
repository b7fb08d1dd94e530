//! The page: the province at `/`, one site at `/sites/{id}`.
//!
//! Plain HTML, CSS and JavaScript modules out of this binary; nothing is fetched from anywhere else, and the content
//! security policy forbids it. The scripts ask the API every five seconds and build elements, never markup: a name from the
//! register is text wherever it appears. The little that the server writes into a page itself goes through [`escape`].
//! When the collector cannot be reached, or its time stands still, a banner says so and the figures turn grey.
//!
//! # What tests may rely on
//!
//! | selector | is |
//! | --- | --- |
//! | `html[lang]` | the language shown: `vi` unless `?lang=en` or the remembered choice says otherwise |
//! | `#lang` | the button that switches it |
//! | `#account[data-user][data-role]` | who has logged in, with the button that logs out; absent where nobody logs in |
//! | `#updated[data-fresh]` | when the newest answer is from; `loading`, `fresh` or `stale` (also on `body`) |
//! | `#stale` | the banner; hidden while all is fresh |
//! | `#coverage [data-tier]` | a tier's coverage, `all` for the province; `data-low`, `data-high`, `data-target` (0 to 1), `data-standing` |
//! | `#coverage [data-tier] [data-branch]` | a branch of it; `data-low`, `data-high` |
//! | `#counts [data-count]` | the chip of a verdict (`all`: every site), a filter; its number in `b`, `aria-pressed` when chosen |
//! | `#search`, `#group` | search box; grouping: `auto`, `district`, `branch` |
//! | `#shown`, `#none` | how many of all are shown, when filtered; what is said when none is |
//! | `#sites .tier[data-tier] .group[data-group]` | sections and groups of tiles |
//! | `.tile[data-site][data-verdict]` | a site; `data-since` (Unix milliseconds, absent: since ever), `.name`, `.state`, `time` |
//! | `.tile .kinds [data-kind][data-state]` | the state of each kind of its links |
//! | `#alerts [data-alert][data-rule][data-severity]` | an alert that fires, also on its site's page; `data-site`, `data-taken`, `data-silenced`; for operators the buttons `[data-act]`: `take`, `leave`, `silence`, each with a form in a `dialog` |
//! | `#alerts .config` | shown while the configuration has mistakes: the first of them |
//! | `#silences [data-silence]` | what is not told; `[data-act=unsilence]` |
//! | `#alerts [data-act=silence-all]` | the form to silence the province, on a site's page the site |
//!
//! On the login page: `#login` with `[name=name]` and `[name=password]`; `#said` what is wrong with the last attempt; `#lang` a link.
//!
//! On a site's page: `#name`, `#verdict .badge[data-verdict]`, `#links [data-link][data-state]`, `#span [data-span]` (`24h`,
//! `7d`), `#timeline [data-strip]` (`site` or the link's name) with `rect[data-state][data-start][data-end]`, `#hover`,
//! `#intervals`, `#incidents [data-incident][data-kind][data-cause][data-open][data-taken-back]`, `#uptime [data-link][data-period]`,
//! `#history [data-alert][data-rule][data-open]`, `#facts [data-fact]`.

use axum::Extension;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use xxhash_rust::xxh3::xxh3_64;

use crate::access::Reader;
use crate::api::App;

/// Everything comes from here, nothing runs that is not a file of ours, nobody frames the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const PROVINCE: &str = include_str!("web/page.html");
const SITE: &str = include_str!("web/site.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, content type and content of each file under `/assets/`.
const ASSETS: [(&str, &str, &str); 8] = [
    ("alerts.js", SCRIPT, include_str!("web/alerts.js")),
    ("dom.js", SCRIPT, include_str!("web/dom.js")),
    ("login.js", SCRIPT, include_str!("web/login.js")),
    ("page.js", SCRIPT, include_str!("web/page.js")),
    ("site.js", SCRIPT, include_str!("web/site.js")),
    ("text.js", SCRIPT, include_str!("web/text.js")),
    ("style.css", "text/css; charset=utf-8", include_str!("web/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("web/icon.svg")),
];

/// The addresses of the page.
pub fn router(app: App) -> axum::Router {
    axum::Router::new()
        .route("/", get(province))
        .route("/sites/{id}", get(site))
        .route("/assets/{name}", get(asset))
        .route("/favicon.ico", get(|headers| asset(Path("icon.svg".to_owned()), headers)))
        .with_state(app)
}

/// What is answered where there is no page.
pub fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "Không có trang này · There is no such page")
}

/// A page that says in both languages why there is no other.
pub(crate) fn refusal(status: StatusCode, why: &str) -> Response {
    let text = "<!DOCTYPE html><html lang=\"vi\"><meta charset=\"utf-8\"><title>Wanwatch</title>\
                <link rel=\"stylesheet\" href=\"/assets/style.css\"><main><h1>{{why}}</h1>\
                <p><a href=\"/\">Wanwatch</a></p></main></html>";
    page(status, filled(text, &[("why", why)]))
}

/// Text as it may stand in an HTML element or a quoted attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

async fn province(reader: Option<Extension<Reader>>) -> Response {
    page(StatusCode::OK, with_account(PROVINCE.to_owned(), reader))
}

async fn site(
    Shared(app): Shared<App>,
    Path(id): Path<String>,
    reader: Option<Extension<Reader>>,
) -> Response {
    let directory = app.state.directory();
    let Some(site) = id.parse().ok().and_then(|id| directory.register.get(&id)) else {
        return not_found();
    };
    let text = filled(SITE, &[("id", site.id.as_str()), ("name", &site.name)]);
    page(StatusCode::OK, with_account(text, reader))
}

/// Shows a user who has logged in who that is, and the way out; where nobody logs in there is nothing to show.
fn with_account(page: String, reader: Option<Extension<Reader>>) -> String {
    let account = match reader {
        Some(Extension(Reader::User(name, role))) => filled(
            "<form id=\"account\" method=\"post\" action=\"/logout\" data-user=\"{{name}}\" data-role=\"{{role}}\">\
             <span>{{name}}</span> <button type=\"submit\" data-text=\"logout\">Đăng xuất</button></form>",
            &[("name", name.as_str()), ("role", role.as_str())],
        ),
        Some(Extension(Reader::Local | Reader::Anonymous | Reader::Token(..))) | None => String::new(),
    };
    // No name of the register can hold the mark, since names are escaped.
    page.replacen("<!--account-->", &account, 1)
}

/// Puts escaped values in the places of a template; one pass, so that a value which looks like a place stays text.
pub(crate) fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (place, rest) = part.split_once("}}").unwrap_or((part, ""));
        if let Some((_, value)) = values.iter().find(|(name, _)| *name == place) {
            text.push_str(&escape(value));
        }
        text.push_str(rest);
    }
    text
}

pub(crate) fn page(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with it a browser sends `Origin: null` along with our own forms, and on a plain line nothing else
        // would tell them from another site's.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (status, headers, html).into_response()
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, content)) = ASSETS.iter().find(|(known, _, _)| *known == name) else {
        return not_found();
    };
    let etag = format!("W/\"{:016x}\"", xxh3_64(content.as_bytes()));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, *kind)], *content).into_response()
    };
    let headers = response.headers_mut();
    // A new version of the collector brings new files at once.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wan_wire::LinkKind;

    use super::*;
    use crate::api::tests::{HOSTILE, get, province, served};
    use crate::ledger::cause::Cause;
    use crate::ledger::incident::IncidentKind;
    use crate::verdict::Verdict;

    #[test]
    fn a_hostile_name_is_text_in_the_page_of_its_site() {
        let (router, _folder) = served(&province());
        let (status, headers, body) = get(&router, "/sites/hostile");
        assert_eq!(status, 200);
        assert!(!body.contains(HOSTILE) && !body.contains("<script>alert"), "{body}");
        assert!(body.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;\\"), "{body}");
        assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        assert_eq!(filled("<{{a}}|{{b}}|{{c}}>", &[("a", "{{b}}"), ("b", "<")]), "<{{b}}|&lt;|>");
    }

    #[test]
    fn pages_refer_only_to_what_is_embedded() {
        let (router, _folder) = served(&province());
        for path in ["/", "/sites/trung-tam", "/nowhere"] {
            let (status, headers, body) = get(&router, path);
            assert_eq!(status, if path == "/nowhere" { 404 } else { 200 }, "{path}");
            assert_eq!(headers["content-type"], "text/html; charset=utf-8");
            for reference in body.split(['"', '\'']).filter(|text| text.starts_with("/assets/")) {
                let (status, headers, _) = get(&router, reference);
                assert_eq!((status, headers.contains_key("etag")), (200, true), "{reference}");
            }
            assert!(!body.contains("http://") && !body.contains("https://"), "{path} refers elsewhere");
            assert!(!body.contains("style=") && !body.contains("onclick="), "the policy forbids inline code");
        }
        for (name, _, content) in ASSETS {
            for import in
                content.lines().filter_map(|line| line.split_once(" from './")).map(|(_, rest)| rest)
            {
                let file = import.trim_end_matches("';");
                assert!(ASSETS.iter().any(|(known, _, _)| known == &file), "{name} imports {file}");
            }
            assert!(!content.contains("innerHTML"), "{name}: elements are built, not markup");
        }
        assert_eq!(get(&router, "/sites/nowhere").0, 404);
        assert_eq!(get(&router, "/assets/../lib.rs").0, 404);
    }

    #[test]
    fn both_languages_have_every_word() {
        let text = ASSETS.iter().find(|(name, _, _)| *name == "text.js").unwrap().2;
        let keys = |part: &str| -> BTreeSet<String> {
            let name = |at: usize| part[..at].rsplit(|c: char| !(c.is_ascii_alphabetic() || c == '_')).next();
            part.match_indices(": '").filter_map(|(at, _)| name(at)).map(str::to_owned).collect()
        };
        let table = |name: &str| {
            let start = text.find(&format!("const {name} = {{")).unwrap();
            let table = &text[start..start + text[start..].find("\n};").unwrap()];
            let (vietnamese, english) = table.split_once("  en: {").unwrap();
            assert_eq!(keys(vietnamese), keys(english), "{name}");
            keys(english)
        };
        let words =
            |words: &[&str]| -> BTreeSet<String> { words.iter().map(|word| (*word).to_owned()).collect() };
        assert!(table("words").len() > 60);
        assert_eq!(table("verdicts"), words(&Verdict::ALL.map(Verdict::as_str)));
        assert_eq!(table("states"), words(&["up", "degraded", "down", "unknown"]));
        assert_eq!(table("kinds"), words(&LinkKind::ALL.map(LinkKind::as_str)));
        assert_eq!(table("causes"), words(&Cause::ALL.map(Cause::as_str)));
        assert_eq!(table("incidents"), words(&IncidentKind::ALL.map(IncidentKind::as_str)));
        // Rules and reasons have no list of their own; the description of the API has.
        let document = serde_json::to_value(crate::api::openapi::document()).unwrap();
        let described = |schema: &str| -> BTreeSet<String> {
            let words = document["components"]["schemas"][schema]["enum"].as_array().unwrap().iter();
            words.map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(table("rules"), described("Rule"));
        assert_eq!(table("reasons"), described("Why"));
    }
}
