//! The central configuration end to end: real agents and a real collector in a province of network namespaces, and a collector
//! that says what no agent should do.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path as File;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{self, Collector};
use wan_tests::netns::{CENTRE_V4, Cut, INTERNET_V4, Namespace, Path, Province};
use wan_tests::process::{self, Process};
use wan_tests::scene::{Scene, undisturbed};

/// How long something may take that takes seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);
const SITE: &str = "xa-hung-thuan";

/// What `wan-agent status --json` says, and its exit code.
fn status(scene: &Scene, data: &str) -> Result<(Value, i32)> {
    let program = process::binary("wan-agent")?;
    let none = scene.path("none.yaml");
    let out = Command::new(program)
        .args(["status", "--json", "--data", data, "--config", &none])
        .output()
        .context("wan-agent status")?;
    let code = out.status.code().context("wan-agent status was killed")?;
    let text = String::from_utf8_lossy(&out.stdout);
    let value = if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text)? };
    Ok((value, code))
}

fn links(status: &Value) -> Vec<String> {
    let links = status["links"].as_array().into_iter().flatten();
    let shown = |link: &Value| {
        let targets = link["targets"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let about = link["about"].as_str().map(|about| format!(" about {about}")).unwrap_or_default();
        let (name, origin) = (link["link"].as_str(), link["origin"].as_str());
        format!(
            "{} {}{about} [{}]",
            name.unwrap_or("?"),
            targets.collect::<Vec<_>>().join("+"),
            origin.unwrap_or("?")
        )
    };
    links.map(shown).collect()
}

/// A site's row of `/api/v1/agents`.
fn row(collector: &Collector, site: &str) -> Result<Value> {
    let agents = collector.api().json("/api/v1/agents")?;
    let rows = agents["sites"].as_array().context("no sites")?;
    rows.iter().find(|row| row["site"] == site).cloned().with_context(|| format!("no {site} in {agents}"))
}

fn applied(collector: &Collector, site: &str, former: &str) -> Result<String> {
    eventually("the agent has applied it", PATIENCE, || {
        let row = row(collector, site)?;
        let etag = row["etag"].as_str().context("no ETag")?;
        ensure!(etag != former && row["state"] == "applied", "{row}");
        Ok(etag.to_owned())
    })
}

fn verdict(collector: &Collector, site: &str, wanted: &str) -> Result<()> {
    eventually(&format!("{site} is {wanted}"), PATIENCE, || {
        let site = collector.api().json(&format!("/api/v1/sites/{site}"))?;
        ensure!(site["verdict"] == wanted, "it is {} because {}", site["verdict"], site["rule"]);
        Ok(())
    })
}

const QUICK: &str = "round: {interval: 1s, packets: 5, timeout: 900ms}";

fn layers(interval: &str, second: &str) -> String {
    format!(
        "all:\n  round: {{interval: {interval}, packets: 5, timeout: 900ms}}\n  links:\n    - name: wan\n      targets: \
         [{{icmp: {CENTRE_V4}}}]\ntiers:\n  commune:\n    links:\n      - name: {second}\n        targets: [{{icmp: {INTERNET_V4}}}]\n"
    )
}

#[test]
fn a_change_reaches_a_running_agent_within_seconds_and_no_round_is_lost() -> Result<()> {
    undisturbed("central-change", a_change_reaches_a_running_agent)
}

fn a_change_reaches_a_running_agent(scene: Scene) -> Result<()> {
    let province = Province::build(1)?;
    scene.write("agents.yaml", &layers("1s", "internet"))?;
    let register =
        scene.write("sites.csv", &format!("id,name,tier,branch\n{SITE},Xã Hưng Thuận,commune,state\n"))?;
    let listen = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 8080));
    let config = "tls: off\nagents: agents.yaml\ningest:\n  silence_limit: 10s\n";
    let mut collector = Collector::prepare_from(&scene, listen, config, File::new(&register), &[SITE])?
        .inside(province.centre()?)
        .reached_at(format!("{CENTRE_V4}:8080").parse()?);
    collector.start()?;

    // Its own file would have it probe something else: the collector goes before it.
    let data = scene.path(&format!("agent-{SITE}"));
    let rest = "links: [{name: lan, targets: [{icmp: gateway}]}]\n";
    let secret = collector.secret(SITE)?.to_owned();
    let url = format!("http://{CENTRE_V4}:8080");
    let space = province.site(1)?;
    let mut agent = collector::start_agent(&scene, SITE, Some(space), &url, &secret, rest)?;
    let first = applied(&collector, SITE, "")?;
    let (told, code) = eventually("the status shows it", PATIENCE, || {
        let (told, code) = status(&scene, &data)?;
        ensure!(links(&told).len() == 2 && told["links"][0]["outcome"] == "up", "{told:#}");
        Ok((told, code))
    })?;
    ensure!(code == 0, "a running agent that pushes: {code} {told:#}");
    ensure!(told["site"] == SITE && told["config"]["etag"] == first.as_str(), "{told:#}");
    let expected =
        [format!("wan icmp {CENTRE_V4} [all]"), format!("internet icmp {INTERNET_V4} [tier commune]")];
    ensure!(links(&told) == expected, "{:?}", links(&told));

    let begin = clock::unix_millis();
    std::thread::sleep(Duration::from_millis(3_300));
    // Another interval, and back; another link; each while rounds are under way.
    let mut etag = first;
    for (interval, second) in
        [("2s", "internet"), ("1s", "internet"), ("1s", "internet-b"), ("2s", "internet")]
    {
        scene.write("agents.yaml", &layers(interval, second))?;
        let wrote = clock::now();
        etag = applied(&collector, SITE, &etag)?;
        println!("{interval} {second}: applied after {:?}", wrote.elapsed());
        std::thread::sleep(Duration::from_millis(3_300));
    }

    // A bad one is refused at the collector, and nothing changes.
    scene.write("agents.yaml", "all: {round: {interval: 2}}\n")?;
    eventually("the collector says that the file is bad", PATIENCE, || {
        let agents = collector.api().json("/api/v1/agents")?;
        ensure!(agents["file"]["state"] == "bad", "{}", agents["file"]);
        ensure!(agents["file"]["mistakes"][0]["key"] == "all.round.interval", "{}", agents["file"]);
        Ok(())
    })?;
    ensure!(row(&collector, SITE)?["etag"] == etag.as_str(), "the last good goes on");
    let checked = collector.command(&["config", "check"], &[]);
    ensure!(format!("{checked:?}").contains("all.round.interval"), "{checked:?}");
    scene.write("agents.yaml", &layers("1s", "internet"))?;
    etag = applied(&collector, SITE, &etag)?;
    let shown = collector.command(&["config", "show"], &[SITE])?;
    ensure!(shown.contains(&etag) && shown.contains("in force since"), "{shown}");
    std::thread::sleep(Duration::from_millis(3_300));

    let end = clock::unix_millis() - 4_000;
    agent.check_running()?;
    let api = collector.api();
    eventually("no moment is missing", PATIENCE, || {
        let rows = api.timeline(SITE, "wan", begin, end)?;
        ensure!(rows.len() == 1 && rows[0].state == "up", "{rows:?}");
        let uptime = api.uptime(SITE, "wan", begin, end)?.context("no figures")?;
        ensure!(uptime.up_ms == end - begin, "{uptime:?} of {} ms", end - begin);
        Ok(())
    })?;
    ensure!(api.uptime(SITE, "internet-b", begin, end)?.is_some(), "the link of a while was measured");
    let own = api.uptime(SITE, "lan", begin + 3_000, end)?.context("no figures")?;
    ensure!(own.observed_ms == 0, "the links of the agent's own file were measured: {own:?}");

    // Killed, and started where no collector is: it probes what was last good.
    agent.kill()?;
    collector.stop()?;
    let (_, code) = status(&scene, &data)?;
    ensure!(code == 3, "no agent runs: {code}");
    let mut agent = collector::start_agent(&scene, SITE, Some(space), &url, &secret, rest)?;
    eventually("it probes by the last good", PATIENCE, || {
        let (told, code) = status(&scene, &data)?;
        ensure!(code == 1 && told["config"]["etag"] == etag.as_str(), "{code} {told:#}");
        ensure!(links(&told) == expected && told["links"][0]["outcome"] == "up", "{:?}", links(&told));
        ensure!(told["collector"][0]["state"] == "fails", "{told:#}");
        Ok(())
    })?;
    agent.stop()?;
    scene.passed();
    Ok(())
}

/// A collector that says what a test has it say.
struct Fake {
    address: SocketAddr,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    etag: String,
    document: String,
    /// What the agent has reported.
    reports: Vec<Value>,
    pushes: u32,
}

impl Fake {
    fn start(space: &Namespace) -> Result<Self> {
        let listener = space.within(|| TcpListener::bind("127.0.0.1:0").context("listen"))?;
        let address = listener.local_addr()?;
        let said = Arc::new(Mutex::new(Said::default()));
        let shared = Arc::clone(&said);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let said = Arc::clone(&shared);
                std::thread::spawn(move || while answer(&stream, &said).is_ok() {});
            }
        });
        Ok(Self { address, said })
    }

    fn say(&self, etag: &str, document: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        (said.etag, said.document) = (etag.to_owned(), document.to_owned());
    }

    fn reported(&self, etag: &str) -> Result<Value> {
        eventually(&format!("a report about {etag}"), PATIENCE, || {
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            let found = said.reports.iter().find(|report| report["etag"] == etag);
            found.cloned().with_context(|| format!("{} pushes, {:?}", said.pushes, said.reports))
        })
    }
}

/// Reads one request and answers it.
fn answer(mut stream: &TcpStream, said: &Mutex<Said>) -> Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(stream.read(&mut byte)? == 1, "closed");
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    let common = format!("wan-time: {}\r\nwan-config: {}\r\n", clock::unix_millis(), said.etag);
    let text = if head.starts_with("post /api/v1/write") {
        said.pushes += 1;
        format!("HTTP/1.1 204 No Content\r\n{common}X-Prometheus-Remote-Write-Samples-Written: 1\r\n\r\n")
    } else if head.starts_with("post ") {
        said.reports.push(serde_json::from_slice(&body)?);
        format!("HTTP/1.1 204 No Content\r\n{common}\r\n")
    } else {
        let (etag, document) = (&said.etag, &said.document);
        format!(
            "HTTP/1.1 200 OK\r\n{common}etag: {etag}\r\ncontent-length: {}\r\n\r\n{document}",
            document.len()
        )
    };
    stream.write_all(text.as_bytes())?;
    Ok(())
}

#[test]
fn a_collector_that_says_nonsense_is_refused_and_told_why_while_the_last_good_goes_on() -> Result<()> {
    let scene = Scene::new("central-refused")?;
    let space = Namespace::alone("refuse")?;
    let fake = Fake::start(&space)?;
    fake.say("\"good\"", &format!("{QUICK}\nlinks: [{{name: wan, targets: [{{icmp: 127.0.0.1}}]}}]\n"));
    let data = scene.path(&format!("agent-{SITE}"));
    let rest = format!("{QUICK}\n");
    let url = format!("http://{}", fake.address);
    let secret = format!("wan_{}", "x".repeat(43));
    let mut agent = collector::start_agent(&scene, SITE, Some(&space), &url, &secret, &rest)?;
    let report = fake.reported("\"good\"")?;
    ensure!(report["applied"] == true && report["reason"] == "", "{report}");

    let many: String = (0..10_000).map(|at| format!("{{icmp: 10.{}.{}.1}},", at / 250, at % 250)).collect();
    let many = format!("links: [{{name: wan, targets: [{many}]}}]");
    let huge = format!("# {}\n", "x".repeat((1 << 20) - 3));
    for (etag, document, reason) in [
        ("\"nothing\"", "links: []", "nothing to probe"),
        ("\"removed\"", "links: [{name: wan, remove: true}]", "nothing to probe"),
        ("\"many\"", &many, "found 10000 targets, expected at most 2000"),
        ("\"web\"", "<html><body>Sign in to this network</body></html>", "expected"),
        ("\"torn\"", "links: [{name: wan, targets: [{icmp: 127.0", "not YAML"),
        ("\"newer\"", "probes: {}", "unknown key"),
        ("\"slow\"", "round: {interval: 0s}", "from 500ms to 5m"),
        ("\"long\"", &format!("{huge}links: []\n"), "more than 1048576 bytes"),
    ] {
        fake.say(etag, document);
        let report = fake.reported(etag)?;
        let why = report["reason"].as_str().unwrap_or_default();
        ensure!(report["applied"] == false && why.contains(reason), "{etag}: {report}");
        ensure!(why.chars().count() <= 500, "{etag}: {why}");
        let (told, code) = status(&scene, &data)?;
        ensure!(code == 0 && told["config"]["etag"] == "\"good\"", "{etag}: {code} {told:#}");
        ensure!(links(&told) == ["wan icmp 127.0.0.1 [central]"], "{etag}: {:?}", links(&told));
    }
    let said = fake.said.lock().unwrap_or_else(PoisonError::into_inner).reports.len();
    ensure!(said == 9, "each was reported once: {said}");
    agent.stop()?;
    scene.passed();
    Ok(())
}

#[test]
fn the_centres_agent_is_configured_by_the_register_and_tells_a_silent_agent_from_a_cut_line() -> Result<()> {
    let scene = Scene::new("central-vantage")?;
    let province = Province::build(2)?;
    let register = scene.write(
        "sites.yaml",
        &format!(
            "sites:\n- {{id: trung-tam, name: Trung tâm, tier: province, branch: state, watches: all}}\n\
             - {{id: {SITE}, name: Xã Hưng Thuận, tier: commune, branch: state, links: {{lan: , wan: {{router: 10.78.1.2}}}}}}\n\
             - {{id: xa-loc-hung, name: Xã Lộc Hưng, tier: commune, branch: state, links: {{wan: {{router: 10.78.2.2}}}}}}\n"
        ),
    )?;
    scene.write("agents.yaml", &format!("all: {{{QUICK}}}\nsites:\n  trung-tam:\n    links: [{{name: lan, targets: [{{icmp: gateway}}]}}]\n"))?;
    let listen = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 8080));
    let config =
        "tls: off\nagents: agents.yaml\nplan: {required: [lan, wan]}\ningest:\n  silence_limit: 4s\n";
    let mut collector =
        Collector::prepare_from(&scene, listen, config, File::new(&register), &["trung-tam", SITE])?
            .inside(province.centre()?)
            .reached_at(format!("{CENTRE_V4}:8080").parse()?);
    collector.start()?;
    let url = format!("http://{CENTRE_V4}:8080");
    let start = |site: &str, space: &Namespace, rest: &str| -> Result<Process> {
        collector::start_agent(&scene, site, Some(space), &url, collector.secret(site)?, rest)
    };
    // Not a word about whom to watch in its own file.
    let mut centre = start("trung-tam", province.centre()?, "")?;
    let own = format!(
        "links:\n- {{name: lan, targets: [{{icmp: gateway}}]}}\n- {{name: wan, targets: [{{icmp: {CENTRE_V4}}}]}}\n"
    );
    let mut agent = start(SITE, province.site(1)?, &own)?;
    applied(&collector, "trung-tam", "")?;
    eventually("the centre sees the site's router", PATIENCE, || {
        let site = collector.api().json(&format!("/api/v1/sites/{SITE}"))?;
        let wan = site["links"].as_array().context("no links")?.iter().find(|link| link["link"] == "wan");
        let vantages = wan.context("no wan")?["vantages"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = vantages.iter().filter_map(|one| one["vantage"].as_str()).collect();
        ensure!(names.contains(&"trung-tam") && names.contains(&SITE), "{names:?}");
        Ok(())
    })?;
    let (told, _) = status(&scene, &scene.path("agent-trung-tam"))?;
    let expected = [
        "lan icmp gateway [site]".to_owned(),
        format!("wan icmp 10.78.1.2 about {SITE} [register]"),
        "wan icmp 10.78.2.2 about xa-loc-hung [register]".to_owned(),
    ];
    ensure!(links(&told) == expected, "{:?}", links(&told));
    verdict(&collector, SITE, "online")?;

    agent.stop()?;
    verdict(&collector, SITE, "agent_silent")?;
    province.cut(1, Path::Wan, Cut::Silent)?;
    verdict(&collector, SITE, "offline")?;
    province.heal(1, Path::Wan)?;
    verdict(&collector, SITE, "agent_silent")?;
    let mut agent = start(SITE, province.site(1)?, &own)?;
    verdict(&collector, SITE, "online")?;

    // Said of that site alone: the other one's router answered all the time.
    let log = centre.log();
    let downs: Vec<&str> =
        log.lines().filter(|line| line.contains("link state") && line.contains("down")).collect();
    ensure!(downs.iter().any(|line| line.contains(SITE)), "{downs:?}");
    ensure!(!downs.iter().any(|line| line.contains("xa-loc-hung")), "{downs:?}");

    agent.stop()?;
    centre.stop()?;
    collector.stop()?;
    scene.passed();
    Ok(())
}
