//! The page in a real browser: the sample province, three sites that report, a line that fails while the page is open, and an operator who takes
//! its alert up and silences it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use wan_tests::browser::{self, Browser};
use wan_tests::clock::{self, eventually};
use wan_tests::collector::Collector;
use wan_tests::payload::{self, Round};
use wan_tests::process::repository;
use wan_tests::scene::Scene;
use wan_tests::sender::{self, Connection};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUND: i64 = 1000;

/// The sites that report: whole, without Internet, and the one whose leased line fails while the page is open.
const WHOLE: &str = "van-phong-tinh-uy";
const NO_INTERNET: &str = "ban-to-chuc-tinh-uy";
const FAILING: &str = "trung-tam-du-lieu";

#[test]
fn the_page_shows_the_province_in_two_languages_and_follows_it() -> Result<()> {
    let scene = Scene::new("page")?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, browser::free_port()?));
    let examples = repository()?.join("deploy/examples");
    let sample = examples.join("tayninh-sites.csv");
    // The plan with its targets is the sample's; the rest is a test's.
    let config = std::fs::read_to_string(examples.join("collector.yaml"))?;
    let plan = config.find("\nplan:").and_then(|at| config.get(at..)).context("the sample has no plan")?;
    // A line that is down is told at once.
    let usual = "link_down: {enabled: true, severity: warning, hold: 30s,";
    ensure!(plan.contains(usual), "the sample has no {usual:?}");
    let plan = plan.replace(usual, "link_down: {enabled: true, severity: warning, hold: 0s,");
    let reporting = [WHOLE, NO_INTERNET, FAILING];
    let mut collector = Collector::prepare_from(&scene, listen, &plan, &sample, &reporting)?;
    collector.start()?;

    let (stop, wan_fails) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| report(&collector, &stop, &wan_fails));
        let seen = look(&scene, &format!("http://{listen}/"), &wan_fails);
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
        seen.and(sent)
    })?;
    collector.stop()?;
    scene.passed();
    Ok(())
}

fn look(scene: &Scene, url: &str, wan_fails: &AtomicBool) -> Result<()> {
    let mut browser = Browser::open(scene, 1280, 900)?;
    browser.go(url)?;
    let sites =
        std::fs::read_to_string(repository()?.join("deploy/examples/tayninh-sites.csv"))?.lines().count() - 1;

    // Every registered site is a tile under its tier; closed ones are not.
    eventually("the tiles are there", PATIENCE, || {
        let tiles = browser.count(".tile")?;
        ensure!(tiles > 300 && tiles <= sites, "{tiles} tiles for {sites} sites");
        for tier in ["province", "district", "commune"] {
            let tiles = browser.count(&format!("section.tier[data-tier={tier}] .tile"))?;
            ensure!(tiles >= 20, "{tiles} tiles in tier {tier}");
        }
        Ok(())
    })?;
    wait_for_verdict(&mut browser, WHOLE, "online")?;
    wait_for_verdict(&mut browser, FAILING, "online")?;
    let name = browser.text(&format!("{} .name", tile(WHOLE)))?;
    ensure!(name == "Văn phòng Tỉnh ủy", "the tile of {WHOLE} says {name:?}");
    let verdict = browser.attribute(&tile(NO_INTERNET), "data-verdict")?;
    ensure!(verdict.as_deref() != Some("online"), "{NO_INTERNET} has no Internet and is {verdict:?}");

    // Coverage: a bar and the plan's target for each tier. Two of forty at province level, none of the communes.
    for (tier, target) in [("province", "0.7"), ("district", "0.7"), ("commune", "0.5")] {
        let card = format!("#coverage article[data-tier={tier}]");
        ensure!(
            browser.count(&format!("{card} svg.bar-chart line.target"))? >= 1,
            "no bar with a target in {tier}"
        );
        let shown = browser.attribute(&card, "data-target")?;
        ensure!(shown.as_deref() == Some(target), "the target of {tier} is shown as {shown:?}");
    }
    let low = |browser: &mut Browser, tier: &str| -> Result<f64> {
        let value = browser.attribute(&format!("#coverage article[data-tier={tier}]"), "data-low")?;
        value.context("no data-low")?.parse().context("data-low")
    };
    eventually("two sites are covered", PATIENCE, || {
        let covered = low(&mut browser, "province")?;
        ensure!((0.04..=0.06).contains(&covered), "province level: {covered}");
        Ok(())
    })?;
    ensure!(low(&mut browser, "commune")? == 0.0, "no commune reports");

    // Vietnamese first; English by the switch, and back; the choice outlives a reload.
    let vietnamese = browser.text("#coverage-title")?;
    ensure!(vietnamese == "Độ phủ mạng WAN", "{vietnamese:?}");
    browser.screenshot("page-vi")?;
    browser.click("#lang")?;
    let english = browser.text("#coverage-title")?;
    ensure!(english.is_ascii() && english != vietnamese, "after the switch: {english:?}");
    ensure!(browser.attribute("html", "lang")?.as_deref() == Some("en"), "the page's language is not en");
    browser.screenshot("page-en")?;
    browser.go(url)?;
    eventually("English outlives a reload", PATIENCE, || {
        let title = browser.text("#coverage-title")?;
        ensure!(title == english, "{title:?}");
        Ok(())
    })?;
    browser.click("#lang")?;
    ensure!(browser.text("#coverage-title")? == vietnamese, "back in Vietnamese");

    // A line fails: the page shows it without being loaded again.
    browser.script("window.neverReloaded = true")?;
    wan_fails.store(true, Ordering::Relaxed);
    wait_for_verdict(&mut browser, FAILING, "wan_down")?;
    ensure!(browser.script("return window.neverReloaded === true")? == true, "the page was loaded again");
    browser.screenshot("page-wan-down")?;

    // The page of one site shows each of its links and where the failure began.
    browser.click(&tile(FAILING))?;
    eventually("the site's page is there", PATIENCE, || {
        ensure!(browser.text("#name")? == "Trung tâm Dữ liệu tỉnh", "its name");
        let table = browser.text("#links")?;
        ensure!(table.lines().count() > 3, "its links: {table:?}");
        Ok(())
    })?;
    // The outage is told with its cause and why: this site's gateway answers, its WAN does not.
    eventually("the outage is told", PATIENCE, || {
        let told = browser.count("#incidents [data-kind=outage][data-open=true][data-cause=carrier]")?;
        ensure!(told >= 1, "the incidents: {:?}", browser.text("#incidents")?);
        Ok(())
    })?;
    browser.screenshot("site")?;
    browser.go(&format!("{url}sites/{NO_INTERNET}"))?;
    operate(&mut browser)?;
    let errors = browser.console_errors()?;
    ensure!(errors.is_empty(), "the browser's console: {errors:?}");
    Ok(())
}

/// What an operator does about an alert, by the forms of a site's page.
fn operate(browser: &mut Browser) -> Result<()> {
    const ALERT: &str = "#alerts [data-alert][data-rule=link_down]";
    const REASON: &str = "đã gọi <b>VNPT</b> & \"chờ\"";
    let is = |browser: &mut Browser, what: &str, expected: &str| {
        eventually(&format!("{what} is {expected}"), PATIENCE, || {
            let found = browser.attribute(ALERT, what)?;
            ensure!(found.as_deref() == Some(expected), "{found:?}: {}", browser.text("#alerts")?);
            Ok(())
        })
    };
    // The card may be drawn anew at any time: whoever finds no form tries again.
    let fill = |browser: &mut Browser, act: &str| -> Result<()> {
        eventually(&format!("the form of {act} is open"), PATIENCE, || {
            if browser.count("dialog[open]")? == 0 {
                browser.click(&format!("{ALERT} [data-act={act}]"))?;
            }
            ensure!(browser.count("dialog[open] [name=reason]")? == 1, "no form of {act}");
            Ok(())
        })?;
        browser.click("dialog .main")?;
        ensure!(browser.count("dialog[open]")? == 1, "{act} without a reason was sent");
        browser.fill("dialog [name=reason]", REASON)?;
        browser.click("dialog .main")?;
        eventually(&format!("the form of {act} is closed"), PATIENCE, || {
            ensure!(browser.count("dialog")? == 0, "{}", browser.text("dialog")?);
            Ok(())
        })
    };
    is(browser, "data-taken", "false")?;
    fill(browser, "take")?;
    is(browser, "data-taken", "true")?;
    let told = browser.text(ALERT)?;
    ensure!(told.contains(REASON), "who has taken it up, and why: {told:?}");
    fill(browser, "silence")?;
    is(browser, "data-silenced", "true")?;
    browser.screenshot("site-taken-and-silenced")?;
    browser.click(&format!("{ALERT} [data-act=leave]"))?;
    is(browser, "data-taken", "false")?;
    ensure!(browser.count("#silences [data-silence]")? == 1, "one silence");
    browser.click("#silences summary")?;
    browser.click("#silences [data-act=unsilence]")?;
    is(browser, "data-silenced", "false")?;
    eventually("no silence is left", PATIENCE, || {
        ensure!(browser.count("#silences:not([hidden])")? == 0, "{}", browser.text("#silences")?);
        Ok(())
    })
}

fn tile(site: &str) -> String {
    format!(".tile[data-site={site}]")
}

fn wait_for_verdict(browser: &mut Browser, site: &str, expected: &str) -> Result<()> {
    eventually(&format!("{site} is {expected}"), PATIENCE, || {
        let verdict = browser.attribute(&tile(site), "data-verdict")?;
        ensure!(verdict.as_deref() == Some(expected), "its tile says {verdict:?}");
        Ok(())
    })
}

/// Sends a round of a second for every reporting site, every second.
fn report(collector: &Collector, stop: &AtomicBool, wan_fails: &AtomicBool) -> Result<()> {
    let mut connection = Connection::open(collector.address(), PATIENCE)?;
    let mut end = clock::unix_millis();
    while !stop.load(Ordering::Relaxed) {
        for site in [WHOLE, NO_INTERNET, FAILING] {
            let mut request = Vec::new();
            for (link, target) in
                [("lan", "10.77.1.1"), ("wan-vnpt", "10.79.0.2"), ("internet", "203.0.113.10")]
            {
                let down = (site == NO_INTERNET && link == "internet")
                    || (site == FAILING && link == "wan-vnpt" && wan_fails.load(Ordering::Relaxed));
                let received = if down { 0 } else { 5 };
                let round = Round { link, target, end, interval: ROUND, sent: 5, received };
                payload::push_round(&mut request, &round, &[]);
            }
            let bearer = collector.bearer(site)?;
            let body = payload::compress(&request)?;
            let answer = connection.post("/api/v1/write", &sender::push_headers(&bearer), &body)?;
            ensure!(answer.status == 204, "a push of {site}: {} {}", answer.status, answer.body);
        }
        end += ROUND;
        std::thread::sleep(Duration::from_millis(u64::try_from(end - clock::unix_millis()).unwrap_or(0)));
    }
    Ok(())
}
