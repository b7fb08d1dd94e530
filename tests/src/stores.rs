//! Debian's Prometheus and VictoriaMetrics as stores that take remote write and answer queries.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::api::{Api, point};
use crate::clock;
use crate::netns::Namespace;
use crate::payload;
use crate::process::Process;
use crate::scene::Scene;
use crate::sender::{self, Connection};

/// Where both take remote write.
const PATH: &str = "/api/v1/write";
/// How long a start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Prometheus, which takes samples out of order for as long as it was told.
    Prometheus,
    /// VictoriaMetrics, as it is.
    VictoriaMetrics,
}

impl Kind {
    /// What the program and its package are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }
}

/// A store that can be started, killed and started again on the same data.
#[derive(Debug)]
pub struct Store {
    kind: Kind,
    arguments: Vec<String>,
    address: SocketAddr,
    space: String,
    logs: std::path::PathBuf,
    process: Option<Process>,
}

impl Store {
    /// Prepares a store that listens on a loopback port inside `space`, and takes samples out of order for an hour. Starts nothing.
    pub fn prepare(scene: &Scene, space: &Namespace, kind: Kind, port: u16) -> Result<Self> {
        Self::keeping(scene, space, kind, port, "1h", "30d")
    }

    /// The same for a time that is long past: it keeps everything, and takes samples out of order for two days.
    pub fn of_history(scene: &Scene, space: &Namespace, kind: Kind, port: u16) -> Result<Self> {
        Self::keeping(scene, space, kind, port, "2d", "100y")
    }

    /// A Prometheus as it is by default: it refuses what is older than its newest sample of a series.
    pub fn in_order(scene: &Scene, space: &Namespace, port: u16) -> Result<Self> {
        Self::keeping(scene, space, Kind::Prometheus, port, "0s", "30d")
    }

    fn keeping(
        scene: &Scene,
        space: &Namespace,
        kind: Kind,
        port: u16,
        out_of_order: &str,
        kept: &str,
    ) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let arguments = match kind {
            Kind::Prometheus => {
                let config = scene.write(
                    "prometheus.yml",
                    &format!("storage:\n  tsdb:\n    out_of_order_time_window: {out_of_order}\n"),
                )?;
                vec![
                    format!("--config.file={config}"),
                    format!("--storage.tsdb.path={}", scene.path("prometheus")),
                    format!("--web.listen-address={address}"),
                    format!("--storage.tsdb.retention.time={kept}"),
                    "--web.enable-remote-write-receiver".to_owned(),
                ]
            }
            Kind::VictoriaMetrics => vec![
                format!("-storageDataPath={}", scene.path("victoria-metrics")),
                format!("-httpListenAddr={address}"),
                format!("-retentionPeriod={kept}"),
                // Otherwise samples of the last half minute are left out of answers.
                "-search.latencyOffset=0s".to_owned(),
                "-search.disableCache".to_owned(),
                "-memory.allowedBytes=200MB".to_owned(),
            ],
        };
        Ok(Self {
            kind,
            arguments,
            address,
            space: space.name().to_owned(),
            logs: scene.dir().to_owned(),
            process: None,
        })
    }

    /// Which program it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it takes remote write.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Starts it and waits until it answers.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the store already runs");
        let name = self.kind.name();
        let program = format!("/usr/bin/{name}");
        ensure!(Path::new(&program).exists(), "{program} is missing: apt-get install {name}");
        let mut command = std::process::Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.space, &program]);
        command.args(&self.arguments);
        let mut process = Process::spawn(name, command, &self.logs)?;
        clock::eventually("the store answers", START_LIMIT, || {
            process.check_running()?;
            let path = match self.kind {
                Kind::Prometheus => "/-/ready",
                Kind::VictoriaMetrics => "/health",
            };
            let answer = self.api().get(path)?;
            ensure!(answer.status == 200, "{path} answers {}", answer.status);
            Ok(())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it cleanly, so that all it has confirmed is on its disk: VictoriaMetrics keeps seconds of it in memory.
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().context("the store does not run")?.stop()
    }

    /// Writes a message of remote write 1.0, which it must take.
    pub fn write(&self, message: &[u8]) -> Result<()> {
        let body = payload::compress(message)?;
        let answer = self.api().within(|| {
            Connection::open(self.address, START_LIMIT)?.post(PATH, sender::REMOTE_WRITE_V1, &body)
        })?;
        ensure!(answer.status == 204, "{:?} answers {}: {}", self.kind, answer.status, answer.body);
        Ok(())
    }

    /// A client of its HTTP API.
    pub fn api(&self) -> Api {
        Api::new(self.address, Some(&self.space))
    }

    /// Every sample of the selected series over the two hours before now and the minute after, as they are stored: labels → (Unix milliseconds,
    /// value).
    pub fn samples(&self, selector: &str) -> Result<BTreeMap<String, Vec<(i64, f64)>>> {
        let at = (clock::unix_millis() / 1000 + 60).to_string();
        let query = format!("{selector}[2h]");
        let answer = self.api().ask("/api/v1/query", &[("time", &at), ("query", &query)])?;
        let mut found = BTreeMap::new();
        for series in answer["result"].as_array().context("no result")? {
            let labels: BTreeMap<String, Value> =
                serde_json::from_value(series["metric"].clone()).context("labels")?;
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect();
            let samples = series["values"].as_array().context("no values")?;
            let samples = samples.iter().map(point).collect::<Result<_>>()?;
            found.insert(labels.join(","), samples);
        }
        Ok(found)
    }
}
