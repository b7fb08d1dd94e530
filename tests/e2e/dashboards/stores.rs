//! Debian's Prometheus and VictoriaMetrics, filled by remote write and asked as Grafana asks them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use wan_tests::clock::eventually;
use wan_tests::payload::{self, Sample};
use wan_tests::process::Process;
use wan_tests::scene::Scene;
use wan_tests::sender::Connection;

use super::day::{Day, END, MINUTE, START};

const PATIENCE: Duration = Duration::from_secs(60);
/// How many ports are tried.
const ATTEMPTS: usize = 5;
/// What both say of a port that somebody else has.
const TAKEN: &str = "address already in use";
/// One request has the samples of so many minutes: a Prometheus takes nothing that is an hour older than what it has.
const AT_ONCE: i64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// A running store.
pub(crate) struct Store {
    pub(crate) kind: Kind,
    address: SocketAddr,
    process: Process,
}

/// One series of an answer: its labels, and its values by time.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) points: Vec<(i64, f64)>,
}

impl Series {
    /// The value at exactly this time.
    pub(crate) fn at(&self, time: i64) -> Option<f64> {
        self.points.iter().find(|(at, _)| *at == time).map(|(_, value)| *value)
    }
}

impl Store {
    /// Starts one with nothing in it. A port that was free may be taken by the time it is listened on: then another.
    pub(crate) fn start(kind: Kind, scene: &Scene) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_start(kind, scene) {
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains(TAKEN) => attempt += 1,
                started => return started,
            }
        }
    }

    fn try_start(kind: Kind, scene: &Scene) -> Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
        let address = free.local_addr()?;
        drop(free);
        let data = scene.path(&format!("{kind:?}"));
        let process = match kind {
            Kind::Prometheus => {
                let config = scene.write("prometheus.yml", "global: {scrape_interval: 2m}\n")?;
                let arguments = [
                    format!("--config.file={config}"),
                    format!("--storage.tsdb.path={data}"),
                    format!("--web.listen-address={address}"),
                    "--web.enable-remote-write-receiver".to_owned(),
                    "--storage.tsdb.retention.time=100y".to_owned(),
                ];
                spawn("prometheus", "prometheus", &arguments, scene)?
            }
            Kind::VictoriaMetrics => {
                let arguments = [
                    format!("-storageDataPath={data}"),
                    format!("-httpListenAddr={address}"),
                    "-retentionPeriod=100y".to_owned(),
                    // Asked anew, it must look anew.
                    "-search.disableCache".to_owned(),
                    "-memory.allowedBytes=200MB".to_owned(),
                ];
                spawn("victoria-metrics", "victoria-metrics", &arguments, scene)?
            }
        };
        let mut this = Self { kind, address, process };
        let ready = match kind {
            Kind::Prometheus => "/-/ready",
            Kind::VictoriaMetrics => "/health",
        };
        let ended = eventually("the store is ready", PATIENCE, || {
            if let Err(error) = this.process.check_running() {
                return Ok(Some(format!("{error:#}: {}", this.process.log())));
            }
            let answer = Connection::open(address, PATIENCE)?.get(ready)?;
            ensure!(answer.status == 200, "{ready}: {}", answer.body);
            Ok(None)
        })?;
        match ended {
            Some(why) => bail!("{why}"),
            None => Ok(this),
        }
    }

    /// Writes the whole day.
    pub(crate) fn write(&self, day: &Day) -> Result<()> {
        let mut connection = Connection::open(self.address, PATIENCE)?;
        let mut from = START;
        while from < END {
            let until = from + AT_ONCE * MINUTE;
            let mut request = Vec::new();
            for (labels, samples) in &day.series {
                // A backlog comes when it comes; here it lies where its time is.
                let samples: Vec<Sample> = samples
                    .iter()
                    .filter(|(time, _)| (from + 1..=until).contains(time))
                    .map(|(time, value)| Sample { value: *value, time: *time })
                    .collect();
                if !samples.is_empty() {
                    let labels: Vec<(&str, &str)> =
                        labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    payload::push_series(&mut request, &labels, &samples);
                }
            }
            let headers = [
                ("Content-Type", "application/x-protobuf"),
                ("Content-Encoding", "snappy"),
                ("X-Prometheus-Remote-Write-Version", "0.1.0"),
            ];
            let answer = connection.post("/api/v1/write", &headers, &payload::compress(&request)?)?;
            ensure!(answer.status == 204, "{:?} answers {}: {}", self.kind, answer.status, answer.body);
            from = until;
        }
        if self.kind == Kind::VictoriaMetrics {
            // What was just written is looked for only after it has been put where searches look.
            connection.get("/internal/force_flush")?;
        }
        Ok(())
    }

    fn ask(&self, path: &str, parameters: &[(&str, String)]) -> Result<Value> {
        let mut query = String::new();
        for (name, value) in parameters {
            write!(query, "{}{name}={}", if query.is_empty() { '?' } else { '&' }, encode(value))?;
        }
        let answer = Connection::open(self.address, PATIENCE)?.get(&format!("{path}{query}"))?;
        ensure!(answer.status == 200, "{:?} answers {}: {}", self.kind, answer.status, answer.body);
        let mut answer: Value = serde_json::from_str(&answer.body)?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].take())
    }

    /// An instant query.
    pub(crate) fn instant(&self, query: &str, at: i64) -> Result<Vec<Series>> {
        let data = self.ask("/api/v1/query", &[("query", query.to_owned()), ("time", seconds(at))])?;
        series(&data, "value")
    }

    /// A range query over the day.
    pub(crate) fn range(&self, query: &str, step: i64) -> Result<Vec<Series>> {
        let parameters = [
            ("query", query.to_owned()),
            ("start", seconds(START)),
            ("end", seconds(END)),
            ("step", seconds(step)),
        ];
        series(&self.ask("/api/v1/query_range", &parameters)?, "values")
    }

    /// The values of a label in series, as Grafana's `label_values` asks for them.
    pub(crate) fn label_values(&self, selector: &str, label: &str) -> Result<Vec<String>> {
        let parameters = [("match[]", selector.to_owned()), ("start", seconds(START)), ("end", seconds(END))];
        let data = self.ask(&format!("/api/v1/label/{label}/values"), &parameters)?;
        let values = data.as_array().context("no list")?;
        Ok(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.process.stop_with(nix::sys::signal::Signal::SIGTERM, PATIENCE).map(drop)
    }
}

fn spawn(name: &str, program: &str, arguments: &[String], scene: &Scene) -> Result<Process> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Process::start(name, Path::new(program), &arguments, None, scene.dir()).with_context(|| {
        format!("{program} is missing: install Debian's package, or run ./tests/run as root, which does")
    })
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of this century are below 2⁵³")]
fn seconds(millis: i64) -> String {
    format!("{}", millis as f64 / 1000.0)
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn series(data: &Value, field: &str) -> Result<Vec<Series>> {
    let rows = data["result"].as_array().with_context(|| format!("no result in {data}"))?;
    rows.iter()
        .map(|row| {
            let labels: BTreeMap<String, String> = serde_json::from_value(row["metric"].clone())?;
            let points = if field == "value" {
                vec![row[field].clone()]
            } else {
                row[field].as_array().cloned().unwrap_or_default()
            };
            let points: Result<Vec<(i64, f64)>> = points.iter().map(point).collect();
            Ok(Series { labels, points: points? })
        })
        .collect()
}

#[allow(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
fn point(value: &Value) -> Result<(i64, f64)> {
    let at = value[0].as_f64().with_context(|| value.to_string())?;
    let number = value[1].as_str().with_context(|| value.to_string())?;
    Ok(((at * 1000.0).round() as i64, number.parse().with_context(|| value.to_string())?))
}
