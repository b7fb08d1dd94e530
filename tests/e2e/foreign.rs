//! What administrators run already, as Debian ships it: Prometheus and vmagent scrape blackbox_exporter and push to a real collector, which
//! forwards to a real store. A line that breaks is an incident; a sender that stops is silence, not an outage.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use wan_tests::clock::{eventually, unix_millis};
use wan_tests::collector::{Collector, Site};
use wan_tests::netns::Namespace;
use wan_tests::process::Process;
use wan_tests::scene::Scene;
use wan_tests::stores::{Kind, Store};

const SITE: &str = "xa-ninh-dien";
const COLLECTOR: &str = "127.0.0.1:8080";
/// How long anything may take to show, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// The mapping of what blackbox_exporter says, for the site whose id the scrape configuration attaches as a label.
const SENDERS: &str = "ingest: {silence_limit: 4s}\nsenders:\n  - name: SENDER\n    sites: all\n    rounds:\n      \
     - {up: probe_success, labels: {job: wan}, link: wan, probe: tcp, interval: 1s, rtt: {metric: probe_duration_seconds}}\n";

#[test]
fn prometheus_with_blackbox_exporter_tells_of_a_line_that_breaks() -> Result<()> {
    a_line_breaks("prometheus", Kind::VictoriaMetrics, |scene, space, config| {
        let arguments = [
            format!("--config.file={}", scene.write("sender.yml", config)?),
            format!("--storage.tsdb.path={}", scene.path("sender")),
            "--web.listen-address=127.0.0.1:9099".to_owned(),
        ];
        start(scene, space, "prometheus", &arguments)
    })
}

#[test]
fn vmagent_with_blackbox_exporter_tells_of_a_line_that_breaks() -> Result<()> {
    a_line_breaks("vmagent", Kind::Prometheus, |scene, space, config| {
        // vmagent is told where to push by its command line.
        let config = config.split("remote_write:").next().unwrap_or_default();
        let arguments = [
            format!("-promscrape.config={}", scene.write("scrape.yml", config)?),
            format!("-remoteWrite.url=http://{COLLECTOR}/api/v1/write"),
            format!("-remoteWrite.bearerTokenFile={}", scene.path("credential")),
            format!("-remoteWrite.tmpDataPath={}", scene.path("sender")),
            "-httpListenAddr=127.0.0.1:9099".to_owned(),
        ];
        start(scene, space, "vmagent", &arguments)
    })
}

fn start(scene: &Scene, space: &Namespace, program: &str, arguments: &[String]) -> Result<Process> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Process::start(&format!("sender-{program}"), Path::new(program), &arguments, Some(space), scene.dir())
}

fn a_line_breaks(
    sender: &str,
    kind: Kind,
    push: impl Fn(&Scene, &Namespace, &str) -> Result<Process>,
) -> Result<()> {
    let scene = Scene::new(&format!("foreign-{sender}"))?;
    let space = Namespace::alone("machine")?;
    let mut store = Store::prepare(&scene, &space, kind, 9090)?;
    store.start()?;
    let forward = format!("forward:\n  - {{name: store, url: \"{}\"}}\n", store.url());
    let further = SENDERS.replace("SENDER", sender) + &forward;
    let mut collector =
        Collector::prepare(&scene, COLLECTOR.parse()?, &further, &[Site::commune(SITE)], &[])?.inside(&space);
    let printed = collector.command(&["senders", "issue"], &[sender])?;
    let credential = printed.lines().find(|line| line.starts_with("wan_"));
    let credential = credential.ok_or_else(|| anyhow!("`senders issue` printed none: {printed}"))?;
    let credential = scene.write("credential", credential)?;
    collector.start()?;

    // The line's far end.
    let listen = |at: &str| {
        let at = at.to_owned();
        space.within(move || TcpListener::bind(&at).with_context(|| format!("listen at {at}")))
    };
    let target = "127.0.0.77:7777";
    let far = listen(target)?;
    let modules = "modules:\n  line: {prober: tcp, timeout: 500ms}\n";
    let arguments = [
        format!("--config.file={}", scene.write("blackbox.yml", modules)?),
        "--web.listen-address=127.0.0.1:9115".to_owned(),
    ];
    let mut blackbox = start(&scene, &space, "prometheus-blackbox-exporter", &arguments)?;
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 900ms}}\n\
         scrape_configs:\n\
         - job_name: wan\n  \
           metrics_path: /probe\n  \
           params: {{module: [line]}}\n  \
           static_configs: [{{targets: ['{target}'], labels: {{site: {SITE}}}}}]\n  \
           relabel_configs:\n  \
           - {{source_labels: [__address__], target_label: __param_target}}\n  \
           - {{source_labels: [__param_target], target_label: instance}}\n  \
           - {{target_label: __address__, replacement: '127.0.0.1:9115'}}\n\
         remote_write:\n\
         - url: http://{COLLECTOR}/api/v1/write\n  \
           authorization: {{credentials_file: {credential}}}\n  \
           queue_config: {{batch_send_deadline: 1s, min_backoff: 100ms}}\n"
    );
    let process = push(&scene, &space, &config)?;

    let api = collector.api();
    let wan = || -> Result<Value> {
        let site = api.json(&format!("/api/v1/sites/{SITE}"))?;
        let links = site["links"].as_array().context("links")?;
        links.iter().find(|link| link["link"] == "wan").cloned().context("no link wan")
    };
    let is = |state: &str| {
        let wan = wan()?;
        ensure!(wan["state"]["state"] == state, "wan is not {state}: {wan}");
        Ok(())
    };
    let outages = || -> Result<Vec<Value>> {
        let answer = api.json(&format!("/api/v1/incidents?site={SITE}&link=wan&kind=outage"))?;
        answer["incidents"].as_array().cloned().with_context(|| format!("no incidents in {answer}"))
    };
    eventually("the line is seen up", PATIENCE, || is("up"))?;
    ensure!(wan()?["vantages"][0]["vantage"] == sender, "{}", wan()?);

    // What the mapping takes is in the store too, and nothing else of what the sender pushes: `up` and `scrape_…` stay its own.
    let series =
        |name: &str| format!("__name__={name},instance={target},job=wan,sender={sender},site={SITE}");
    eventually("the store has what is evidence", PATIENCE, || {
        let found = store.samples("{job=\"wan\"}")?;
        let names: Vec<&String> = found.keys().collect();
        ensure!(names == [&series("probe_duration_seconds"), &series("probe_success")], "{names:?}");
        ensure!(
            found.values().last().is_some_and(|samples| samples.iter().any(|(_, up)| *up == 1.0)),
            "{found:?}"
        );
        Ok(())
    })?;

    drop(far);
    eventually("the line is seen down", PATIENCE, || is("down"))?;
    eventually("an incident is open", PATIENCE, || {
        let outages = outages()?;
        ensure!(outages.iter().any(|outage| outage["end"].is_null()), "{outages:?}");
        Ok(())
    })?;
    eventually("the store has the outage", PATIENCE, || {
        let found = store.samples("probe_success")?;
        ensure!(found.values().flatten().any(|(_, up)| *up == 0.0), "{found:?}");
        Ok(())
    })?;
    let far = listen(target)?;
    eventually("the line is seen up again", PATIENCE, || is("up"))?;
    let are_over = || {
        let outages = outages()?;
        // A machine that is busy scrapes late now and then, and each such gap splits an outage: one at least, and none that is open.
        ensure!(!outages.is_empty() && outages.iter().all(|outage| !outage["end"].is_null()), "{outages:?}");
        Ok(())
    };
    eventually("the incident is over", PATIENCE, are_over)?;

    // A clean stop of Prometheus would push stale markers; a killed one says nothing more.
    process.signal(Signal::SIGKILL)?;
    let killed = unix_millis();
    eventually("its silence is unknown", PATIENCE, || is("unknown"))?;
    eventually("no outage is open", PATIENCE, are_over)?;
    let begun: Vec<i64> = outages()?.iter().filter_map(|outage| outage["start"].as_i64()).collect();
    ensure!(begun.iter().all(|start| *start <= killed), "and none began since: {begun:?}, killed {killed}");
    drop((far, process));
    let metrics = api.get("/metrics")?;
    let refused = format!("wan_collector_sender_samples_total{{result=\"refused\",sender=\"{sender}\"}} 0");
    ensure!(metrics.body.contains(&refused), "{}", metrics.body);
    blackbox.check_running()?;
    blackbox.stop_with(Signal::SIGTERM, Duration::from_secs(15))?;
    collector.stop()?;
    store.stop()?;
    scene.passed();
    Ok(())
}
