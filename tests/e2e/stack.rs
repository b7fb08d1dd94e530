//! The files of `deploy/` as an administrator copies them: Prometheus, VictoriaMetrics and Alertmanager beside a collector that asks who reads.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use wan_tests::api::{Api, point};
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{Collector, Site};
use wan_tests::netns::Namespace;
use wan_tests::payload;
use wan_tests::process::{Process, repository, tail};
use wan_tests::scene::Scene;
use wan_tests::sender::{Connection, push_headers};

const PATIENCE: Duration = Duration::from_secs(90);
const SITE: &str = "xa-hung-thuan";
/// The address in the shipped files, so that none of them has to be changed for it.
const CENTRE: &str = "10.20.0.10";

/// A file of `deploy`, with some words replaced; each must be there.
fn shipped(scene: &Scene, file: &str, replaced: &[(&str, &str)]) -> Result<String> {
    let path = repository()?.join("deploy").join(file);
    let mut text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for (from, to) in replaced {
        ensure!(text.contains(from), "{file} has no “{from}” any more");
        text = text.replace(from, to);
    }
    let name = Path::new(file).file_name().and_then(|name| name.to_str()).context("a name")?;
    scene.write(name, &text)
}

/// Starts a program of Debian's inside the namespace and waits until it answers.
fn start(
    scene: &Scene,
    space: &Namespace,
    program: &str,
    args: &[String],
    at: (&str, &str),
) -> Result<Process> {
    let path = format!("/usr/bin/{program}");
    ensure!(Path::new(&path).exists(), "{program} is missing: ./tests/run installs it");
    let mut command = space.command(path);
    command.args(args);
    let mut process = Process::spawn(program, command, scene.dir())?;
    let (address, ready) = at;
    let api = api(space, address)?;
    eventually(&format!("{program} answers"), PATIENCE, || {
        process.check_running()?;
        ensure!(api.get(ready)?.status == 200, "{}", tail(&process.log(), 5));
        Ok(())
    })?;
    Ok(process)
}

fn api(space: &Namespace, address: &str) -> Result<Api> {
    let address: SocketAddr = address.parse().context("an address")?;
    Ok(Api::new(address, Some(space.name())))
}

/// The first value that an instant query gives.
fn value(store: &Api, query: &str) -> Result<f64> {
    let answer = store.ask("/api/v1/query", &[("query", query)])?;
    Ok(point(&answer["result"][0]["value"])?.1)
}

#[test]
fn the_shipped_files_make_a_stack_that_scrapes_takes_and_warns() -> Result<()> {
    let scene = Scene::new("stack")?;
    let space = Namespace::alone("stack")?;
    space.ip(&["addr", "add", &format!("{CENTRE}/32"), "dev", "lo"])?;
    let further = "ingest: {silence_limit: 3s}\n\
        forward:\n  - {name: prometheus, url: \"http://127.0.0.1:9090/api/v1/write\"}\n  \
        - {name: victoria, url: \"http://127.0.0.1:8428/api/v1/write\"}\n";
    let listen = format!("{CENTRE}:8443").parse().context("an address")?;
    let sites = [Site::commune(SITE), Site::commune("xa-tan-ha")];
    let mut collector = Collector::prepare(&scene, listen, further, &sites, &[SITE])?.inside(&space);
    let text = std::fs::read_to_string(collector.config())?;
    let both = text.replace(
        &format!("listen: \"{CENTRE}:8443\""),
        &format!("listen: [\"127.0.0.1:8080\", \"{CENTRE}:8443\"]"),
    );
    std::fs::write(collector.config(), both)?;
    collector = collector.reached_at("127.0.0.1:8080".parse().context("an address")?);

    // As deploy/stack.md says it.
    let token = scene.path("wanwatch.token");
    collector.command(&["tokens", "add"], &["prometheus", "--output", &token])?;
    let authority = scene.write("authority.pem", &collector.command(&["certificate"], &["--pem"])?)?;
    collector.start()?;

    let alertmanager = shipped(&scene, "prometheus/alertmanager.yml", &[])?;
    let mut alerting = start(
        &scene,
        &space,
        "prometheus-alertmanager",
        &[
            format!("--config.file={alertmanager}"),
            format!("--storage.path={}", scene.path("alertmanager")),
            "--web.listen-address=127.0.0.1:9093".to_owned(),
            "--cluster.listen-address=".to_owned(),
        ],
        ("127.0.0.1:9093", "/-/ready"),
    )?;
    // Rules of a minute's interval are evaluated each second here.
    shipped(&scene, "prometheus/wanwatch-recording.yml", &[("interval: 30s", "interval: 1s")])?;
    shipped(&scene, "prometheus/wanwatch-alerts.yml", &[])?;
    let replaced = [
        ("/etc/prometheus/wanwatch.token", token.as_str()),
        ("/etc/prometheus/wanwatch-authority.pem", authority.as_str()),
        ("scrape_interval: 30s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ];
    let config = shipped(&scene, "prometheus/prometheus.yml", &replaced)?;
    let mut prometheus = start(
        &scene,
        &space,
        "prometheus",
        &[
            format!("--config.file={config}"),
            format!("--storage.tsdb.path={}", scene.path("prometheus")),
            "--web.listen-address=127.0.0.1:9090".to_owned(),
            "--web.enable-remote-write-receiver".to_owned(),
            // Else what fires is told again after a minute.
            "--rules.alert.resend-delay=1s".to_owned(),
        ],
        ("127.0.0.1:9090", "/-/ready"),
    )?;
    let target = format!("{CENTRE}:8443");
    let replaced = [
        ("/run/wanwatch/wanwatch.token", token.as_str()),
        ("/run/wanwatch/wanwatch-authority.pem", authority.as_str()),
        ("collector:8443", target.as_str()),
        ("scrape_interval: 30s", "scrape_interval: 1s"),
    ];
    let scrape = shipped(&scene, "compose/scrape.yml", &replaced)?;
    let mut victoria = start(
        &scene,
        &space,
        "victoria-metrics",
        &[
            format!("-storageDataPath={}", scene.path("victoria")),
            format!("-promscrape.config={scrape}"),
            "-httpListenAddr=127.0.0.1:8428".to_owned(),
            "-retentionPeriod=3y".to_owned(),
            "-dedup.minScrapeInterval=1ms".to_owned(),
            "-search.latencyOffset=0s".to_owned(),
            "-search.disableCache".to_owned(),
            "-memory.allowedBytes=200MB".to_owned(),
        ],
        ("127.0.0.1:8428", "/health"),
    )?;

    // A site tells of one round of its WAN.
    let mut request = Vec::new();
    let now = clock::unix_millis();
    let round =
        payload::Round { link: "wan", target: CENTRE, end: now, interval: 5000, sent: 5, received: 5 };
    payload::push_round(&mut request, &round, &[]);
    let bearer = collector.bearer(SITE)?;
    let body = payload::compress(&request)?;
    let answer = space.within(|| {
        let mut connection = Connection::open("127.0.0.1:8080".parse().context("an address")?, PATIENCE)?;
        connection.post("/api/v1/write", &push_headers(&bearer), &body)
    })?;
    ensure!(answer.status == 204 || answer.status == 200, "{answer:?}");

    for store in [api(&space, "127.0.0.1:9090")?, api(&space, "127.0.0.1:8428")?] {
        eventually("it scrapes and takes", PATIENCE, || {
            collector.check_running()?;
            ensure!((value(&store, "up{job=\"wanwatch\"}")? - 1.0).abs() < 1e-9, "the scrape fails");
            let enrolled = value(&store, &format!("count(wan_site_verdict{{site=\"{SITE}\"}})"))?;
            ensure!((enrolled - 1.0).abs() < 1e-9, "{enrolled} verdicts");
            let query =
                format!("last_over_time(wan_round_rtt_median_seconds{{site=\"{SITE}\",link=\"wan\"}}[10m])");
            let median = value(&store, &query)?;
            ensure!((median - 0.002).abs() < 1e-9, "{median}");
            Ok(())
        })?;
    }
    let store = api(&space, "127.0.0.1:9090")?;
    eventually("rules are recorded", PATIENCE, || {
        let sites = value(&store, "sum(tier_verdict:wan_site_verdict:count{tier=\"commune\"})")?;
        ensure!((sites - 2.0).abs() < 1e-9, "{sites} sites");
        Ok(())
    })?;
    let receiver = api(&space, "127.0.0.1:9093")?;
    eventually("an alert arrives", PATIENCE, || {
        let alerts = receiver.json("/api/v2/alerts")?;
        let names: Vec<&Value> =
            alerts.as_array().into_iter().flatten().map(|alert| &alert["labels"]["alertname"]).collect();
        ensure!(names.iter().any(|name| **name == "WanwatchWatchdog"), "{names:?}");
        Ok(())
    })?;

    // Who has no token is told nothing: the scrape says so, and with it the rule.
    collector.command(&["tokens", "revoke"], &["prometheus"])?;
    eventually("a revoked token scrapes nothing", PATIENCE, || {
        ensure!(value(&store, "up{job=\"wanwatch\"}")?.abs() < 1e-9, "it still scrapes");
        Ok(())
    })?;
    for process in [&mut victoria, &mut prometheus, &mut alerting] {
        process.stop()?;
    }
    collector.stop()?;
    scene.passed();
    Ok(())
}
