//! A client of the collector's JSON API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::netns;
use crate::sender::{self, Answer, Connection};

/// Where the API is, and from which namespace it can be reached.
#[derive(Debug, Clone)]
pub struct Api {
    server: SocketAddr,
    space: Option<String>,
    token: Option<String>,
}

impl Api {
    /// A client of the collector at `server`, seen from the namespace `space` (`None`: this process's own).
    pub fn new(server: SocketAddr, space: Option<&str>) -> Self {
        Self { server, space: space.map(str::to_owned), token: None }
    }

    /// The same with a token, which every request carries.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Runs `work` where the collector can be reached.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        match &self.space {
            Some(space) => netns::within(space, work),
            None => work(),
        }
    }

    /// GETs a path on a fresh connection, whatever the answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> =
            bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        let asked = sender::request("GET", path, &headers, b"");
        self.within(|| {
            let mut connection = Connection::open(self.server, Duration::from_secs(30))?;
            connection.send(&asked)?;
            connection.receive()
        })
        .with_context(|| format!("GET {path}"))
    }

    /// GETs a path that must answer 200 with JSON.
    pub fn json(&self, path: &str) -> Result<Value> {
        let answer = self.get(path)?;
        ensure!(answer.status == 200, "GET {path} answers {}: {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| format!("GET {path}: {}", answer.body))
    }

    /// Asks a store as Prometheus' API has it, and gives the `data` of its answer.
    pub fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let mut answer = self.json(&format!("{path}?{}", parameters.join("&")))?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].take())
    }
}

/// A value of a query string (RFC 3986, 2.1).
fn encode(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

/// One point of a store's answer: Unix milliseconds and a value.
#[allow(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
pub fn point(value: &Value) -> Result<(i64, f64)> {
    let at = value[0].as_f64().with_context(|| value.to_string())?;
    let number = value[1].as_str().with_context(|| value.to_string())?;
    Ok(((at * 1000.0).round() as i64, number.parse().with_context(|| value.to_string())?))
}

impl Api {
    /// The timeline of one link of a site over [`from`, `to`), as the collector says it.
    pub fn timeline(&self, site: &str, link: &str, from: i64, to: i64) -> Result<Vec<Row>> {
        let window = format!("from={}&to={}", instant(from)?, instant(to)?);
        let answer = self.json(&format!("/api/v1/sites/{site}/timeline?link={link}&{window}"))?;
        let rows = answer.get("intervals").and_then(Value::as_array);
        rows.with_context(|| format!("no intervals in {answer}"))?.iter().map(row).collect()
    }

    /// The uptime figures of one link of a site over [`from`, `to`); nothing for a link that nobody has seen.
    pub fn uptime(&self, site: &str, link: &str, from: i64, to: i64) -> Result<Option<Uptime>> {
        let window = format!("from={}&to={}", instant(from)?, instant(to)?);
        let path = format!("/api/v1/uptime?site={site}&link={link}&{window}");
        let answer = self.get(&path)?;
        if answer.status == 404 && answer.body.contains("link") {
            return Ok(None);
        }
        ensure!(answer.status == 200, "GET {path} answers {}: {}", answer.status, answer.body);
        let answer: Value = serde_json::from_str(&answer.body).with_context(|| path.clone())?;
        let Some(row) = answer.get("rows").and_then(|rows| rows.get(0)) else { return Ok(None) };
        let ms =
            |key: &str| row.get(key).and_then(Value::as_i64).with_context(|| format!("no {key} in {row}"));
        let ratio = |key: &str| row.get(key).and_then(Value::as_f64);
        let (up_ms, degraded_ms, down_ms) = (ms("up_ms")?, ms("degraded_ms")?, ms("down_ms")?);
        Ok(Some(Uptime {
            up_ms,
            degraded_ms,
            down_ms,
            observed_ms: up_ms + degraded_ms + down_ms,
            uptime: ratio("uptime"),
            observed_share: ratio("observed_share"),
        }))
    }

    /// Coverage at an instant: the bounds (low, high) of each tier.
    pub fn coverage(&self, at: i64) -> Result<BTreeMap<String, (f64, f64)>> {
        let answer = self.json(&format!("/api/v1/coverage?at={}", instant(at)?))?;
        let tiers = answer.get("tiers").and_then(Value::as_array).into_iter().flatten();
        let bounds = |row: &Value| {
            let tier = row.get("tier")?.as_str()?.to_owned();
            Some((tier, (row.get("low")?.as_f64()?, row.get("high")?.as_f64()?)))
        };
        Ok(tiers.filter_map(bounds).collect())
    }
}

/// An instant as the API and the command line take it.
pub fn instant(millis: i64) -> Result<String> {
    let time = jiff::Timestamp::from_millisecond(millis).with_context(|| format!("{millis} is no time"))?;
    Ok(time.to_string())
}

fn row(value: &Value) -> Result<Row> {
    let time =
        |key: &str| value.get(key).and_then(Value::as_i64).with_context(|| format!("no {key} in {value}"));
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let state = text("state").with_context(|| format!("no state in {value}"))?;
    Ok(Row { start: time("start")?, end: time("end")?, state, why: text("why") })
}

/// A piece of a timeline: one state from `start` (inclusive) to `end` (exclusive), in Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its first instant.
    pub start: i64,
    /// The first instant after it.
    pub end: i64,
    /// `up`, `degraded`, `down` or `unknown`.
    pub state: String,
    /// Why it is unknown.
    pub why: Option<String>,
}

/// How long a link was in each state within a window, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Uptime {
    /// Up.
    pub up_ms: i64,
    /// Degraded.
    pub degraded_ms: i64,
    /// Down.
    pub down_ms: i64,
    /// Up, degraded or down.
    pub observed_ms: i64,
    /// (up + degraded) ÷ observed; nothing where nothing was observed.
    pub uptime: Option<f64>,
    /// Observed ÷ window.
    pub observed_share: Option<f64>,
}
