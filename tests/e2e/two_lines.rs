//! A site with two lines to the collector: which one a push took is known live, a cut of one delays nothing, and the preferred
//! one is returned to.

use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{Collector, Site};
use wan_tests::netns::{CENTRE_INTERNET_V4, CENTRE_V4, Cut, INTERNET_V4, Path, Province};
use wan_tests::process::{self, Process};
use wan_tests::scene::{Scene, undisturbed};

const SITE: &str = "xa-tan-lap";
/// How long anything may take to show: a request that hangs in a cut line, and the wait before the next try.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn a_site_whose_wan_is_cut_is_heard_by_the_internet_without_a_gap_and_returns_by_itself() -> Result<()> {
    undisturbed("two-lines", a_wan_is_cut)
}

fn a_wan_is_cut(scene: Scene) -> Result<()> {
    let province = Province::build(1)?;
    province.give_centre_internet()?;
    let listen = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 8080));
    // A push that hangs in the cut line takes its whole limit of 6 s; the silence limit leaves room for one such, and for a
    // machine that does other things too.
    let config = "tls: off\ningest:\n  silence_limit: 15s\n";
    let mut collector = Collector::prepare(&scene, listen, config, &[Site::commune(SITE)], &[SITE])?
        .inside(province.centre()?)
        .reached_at(format!("{CENTRE_V4}:8080").parse().context("the collector's address")?);
    collector.start()?;
    let secret = scene.write("secret", collector.secret(SITE)?)?;
    let data = scene.path("agent");
    let config = scene.write(
        "agent.yaml",
        &format!(
            "collector:\n  timeout: 6s\n  secret_file: {secret}\n  urls:\n\
             \x20   - {{url: \"http://{CENTRE_V4}:8080\", path: wan}}\n\
             \x20   - {{url: \"http://{CENTRE_INTERNET_V4}:8080\", path: internet}}\n\
             data: {data}\nround: {{interval: 1s, packets: 5, timeout: 500ms}}\nlinks:\n\
             \x20 - {{name: lan, targets: [icmp: gateway]}}\n\
             \x20 - {{name: wan, targets: [icmp: {CENTRE_V4}]}}\n\
             \x20 - {{name: internet, targets: [icmp: {INTERNET_V4}]}}\n"
        ),
    )?;
    let program = process::binary("wan-agent")?;
    let args = ["run", "--config", &config];
    let mut agent =
        Process::start("agent", FilePath::new(&program), &args, Some(province.site(1)?), scene.dir())?;

    let is = |verdict: &str, path: &str| {
        let api = collector.api();
        let site = api.json(&format!("/api/v1/sites/{SITE}"))?;
        let found = (site["verdict"].as_str(), site["agent"]["paths"][0]["path"].as_str());
        ensure!(found == (Some(verdict), Some(path)), "{found:?}, not {verdict} by {path}");
        Ok(())
    };
    eventually("the site is heard by its leased line", PATIENCE, || is("online", "wan"))?;
    let begin = clock::unix_millis();

    province.cut(1, Path::Wan, Cut::Silent)?;
    eventually("the site is heard by the Internet, and its WAN is down", PATIENCE, || {
        is("wan_down", "internet")
    })?;
    // Long enough that the preferred path is tried again in vain.
    let cut_until = clock::now() + Duration::from_secs(45);
    let mut looks = 0;
    while clock::now() < cut_until {
        let asked = clock::now();
        std::thread::sleep(Duration::from_millis(300));
        let seen = is("wan_down", "internet");
        // Trying it must not make the site fall silent. A look that took so long is one at a machine that stood still.
        if asked.elapsed() < Duration::from_secs(1) {
            seen.context("while the line is cut")?;
            looks += 1;
        }
    }
    ensure!(looks >= 20, "this machine stood still too often: {looks} looks in 45 s");
    agent.check_running()?;

    province.heal(1, Path::Wan)?;
    eventually("the agent returns to the leased line by itself", PATIENCE, || is("online", "wan"))?;
    std::thread::sleep(Duration::from_secs(3));
    let end = clock::unix_millis() - 3_000;

    let api = collector.api();
    eventually("all is delivered", PATIENCE, || {
        for link in ["lan", "wan", "internet"] {
            let rows = api.timeline(SITE, link, begin, end)?;
            ensure!(rows.iter().all(|row| row.state != "unknown"), "{link} has gaps: {rows:?}");
        }
        Ok(())
    })?;
    let wan = api.timeline(SITE, "wan", begin, end)?;
    let down: Vec<_> = wan.iter().filter(|row| row.state == "down").collect();
    ensure!(down.len() == 1 && down[0].end - down[0].start >= 45_000, "{wan:?}");
    let lan = api.timeline(SITE, "lan", begin, end)?;
    ensure!(lan.len() == 1 && lan[0].state == "up", "{lan:?}");
    agent.stop()?;
    collector.stop()?;
    scene.passed();
    Ok(())
}
