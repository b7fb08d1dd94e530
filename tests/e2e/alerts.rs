//! Alerts as they are in life: real agents, the centre's agent that watches by the register alone, the defaults everywhere, and a webhook.
//!
//! A site behind another is cut while the collector is killed and started again; the hub is cut with all behind it; the centre's own line is
//! cut. Each is one message, and one when it is over; and one note where only the agents' backlogs told whose fault it was.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path as File;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{self, Collector};
use wan_tests::hooks::{Hooks, Post};
use wan_tests::netns::{CENTRE_V4, Cut, Path, Province};
use wan_tests::process::Process;
use wan_tests::scene::{Scene, undisturbed};

/// How long anything may take to be told. That it is told within seconds is what `collector/src/alert/year.rs` holds it to.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than an agent may be silent: what is wrongly said of sites would be said by then.
const SETTLED: Duration = Duration::from_secs(18);

struct Room {
    hooks: Hooks,
    read: usize,
}

impl Room {
    /// Waits for the next message that was taken, and gives it.
    fn next(&mut self, what: &str) -> Result<Post> {
        let post =
            eventually(what, PATIENCE, || self.taken().into_iter().nth(self.read).context("nothing yet"))?;
        self.read += 1;
        Ok(post)
    }

    /// What was taken, but the notes about what had been told before.
    fn taken(&self) -> Vec<Post> {
        let is_note = |post: &Post| post.body["event"] == "corrected";
        self.hooks.posts().into_iter().filter(|post| post.status == 200 && !is_note(post)).collect()
    }

    /// Waits until the last word about an alert charges it to `cause`: that of its end, or of the one note that corrects it once the
    /// backlog has come and settled.
    fn comes_to(&self, alert: &Value, cause: &str) -> Result<()> {
        eventually("the last word about an alert", PATIENCE * 2, || {
            let posts = self.hooks.posts().into_iter();
            let of_alert: Vec<Post> =
                posts.filter(|post| post.status == 200 && post.body["alert"] == *alert).collect();
            let last = of_alert.last().context("nothing yet")?;
            ensure!(last.body["cause"] == cause, "{:#}", last.body);
            let notes: Vec<&Post> =
                of_alert.iter().filter(|post| post.body["event"] == "corrected").collect();
            ensure!(notes.len() <= 1, "corrected more than once: {notes:#?}");
            ensure!(notes.iter().all(|note| note.body["correction"]["was"]["cause"] != cause), "{notes:#?}");
            Ok(())
        })
    }

    /// Nothing more was told.
    fn quiet(&self) -> Result<()> {
        let more: Vec<Post> = self.taken().into_iter().skip(self.read).collect();
        ensure!(more.is_empty(), "told without need: {more:#?}");
        Ok(())
    }
}

fn is(post: &Post, event: &str, rule: &str, site: Option<&str>) -> Result<()> {
    let found = (&post.body["event"], &post.body["rule"], &post.body["site"]["id"]);
    let right = *found.0 == event && *found.1 == rule && found.2.as_str() == site;
    ensure!(right, "expected {event} {rule} {site:?}: {:#}", post.body);
    Ok(())
}

#[test]
fn each_cut_is_told_once_whatever_befalls_the_monitor_meanwhile() -> Result<()> {
    undisturbed("alerts", told_once)
}

fn told_once(scene: Scene) -> Result<()> {
    let province = Province::build(3)?;
    let mut room = Room { hooks: Hooks::start(province.centre()?)?, read: 0 };
    let sites = ["huyen-tan-bien", "xa-tan-lap", "xa-thanh-tay"];
    let mut register = String::from(
        "sites:\n- {id: trung-tam, name: Trung tâm, tier: province, branch: state, watches: all}\n",
    );
    for (number, site) in (1..).zip(sites) {
        let parent = if number == 1 { "" } else { ", parent: huyen-tan-bien" };
        register.push_str(&format!(
            "- {{id: {site}, name: Đơn vị {number}, tier: commune, branch: state{parent}, contacts: [Nguyễn Văn A], \
             links: {{lan: , wan: {{router: 10.78.{number}.2}}}}}}\n"
        ));
    }
    let register = scene.write("sites.yaml", &register)?;
    let listen = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 8080));
    // There is no Internet for the centre here, and no alert about that is wanted.
    scene.write(
        "agents.yaml",
        "sites:\n  trung-tam:\n    links: [{name: lan, targets: [{icmp: gateway}]}]\n",
    )?;
    let config = format!(
        "tls: off\nagents: agents.yaml\nplan: {{required: [lan, wan]}}\nalerts:\n  page: http://{CENTRE_V4}:8080\n  channels:\n\
         \x20 - {{name: hook, webhook: {{url: \"{}\"}}}}\n",
        room.hooks.url()
    );
    let equipped = [&["trung-tam"], &sites[..]].concat();
    let mut collector = Collector::prepare_from(&scene, listen, &config, File::new(&register), &equipped)?
        .inside(province.centre()?)
        .reached_at(format!("{CENTRE_V4}:8080").parse()?);
    collector.start()?;
    let mut agents: Vec<Process> = Vec::new();
    let mut start = |site: &str, space, url: &str, rest: &str| -> Result<()> {
        agents.push(collector::start_agent(&scene, site, Some(space), url, collector.secret(site)?, rest)?);
        Ok(())
    };
    start("trung-tam", province.centre()?, "http://127.0.0.1:8080", "")?;
    for (number, site) in (1..).zip(sites) {
        let own = format!(
            "links:\n- {{name: lan, targets: [{{icmp: gateway}}]}}\n- {{name: wan, targets: [{{icmp: {CENTRE_V4}}}]}}\n"
        );
        start(site, province.site(number)?, &format!("http://{CENTRE_V4}:8080"), &own)?;
    }
    all_are(&collector, &sites, "online")?;

    // A commune, and the collector is killed while nobody takes the message.
    room.hooks.answer(500);
    province.cut(3, Path::Wan, Cut::Silent)?;
    eventually("the message is tried", PATIENCE, || {
        ensure!(room.hooks.posts().iter().any(|post| post.status == 500), "nothing yet");
        Ok(())
    })?;
    collector.kill()?;
    room.hooks.answer(200);
    collector.start()?;
    let fired = room.next("the commune is told")?;
    is(&fired, "fired", "site_offline", Some(sites[2]))?;
    let link = format!("http://{CENTRE_V4}:8080/sites/{}", sites[2]);
    ensure!(
        fired.body["url"] == link.as_str() && fired.body["site"]["contacts"][0] == "Nguyễn Văn A",
        "{:#}",
        fired.body
    );
    let tries: BTreeSet<String> = room.hooks.posts().into_iter().map(|post| post.key).collect();
    ensure!(tries == BTreeSet::from([fired.key.clone()]), "every try bears the same id: {tries:?}");
    province.heal(3, Path::Wan)?;
    let over = room.next("the commune is back")?;
    is(&over, "resolved", "site_offline", Some(sites[2]))?;
    ensure!(over.body["alert"] == fired.body["alert"], "the same alert: {:#}", over.body);
    let commune = over;
    all_are(&collector, &sites, "online")?;

    // The hub, and with it all that is behind it.
    for number in 1..=3 {
        province.cut(number, Path::Wan, Cut::Silent)?;
    }
    let fired = room.next("the hub is told")?;
    is(&fired, "fired", "site_offline", Some(sites[0]))?;
    ensure!(fired.body["affected_count"] == 2, "{:#}", fired.body);
    all_are(&collector, &sites[1..], "unreachable")?;
    for number in 1..=3 {
        province.heal(number, Path::Wan)?;
    }
    is(&room.next("the hub is back")?, "resolved", "site_offline", Some(sites[0]))?;
    let hub = fired;
    all_are(&collector, &sites, "online")?;

    // The centre's own line: nothing is said of sites.
    province.cut_centre()?;
    is(&room.next("the centre is told to be cut off")?, "fired", "collector_blind", None)?;
    std::thread::sleep(SETTLED);
    all_are(&collector, &sites, "unknown")?;
    province.heal_centre()?;
    is(&room.next("the centre is back")?, "resolved", "collector_blind", None)?;
    all_are(&collector, &sites, "online")?;
    std::thread::sleep(Duration::from_secs(3));
    room.quiet()?;

    // Their agents have told since that their gateways had answered: it was the carrier.
    for alert in [&commune, &hub] {
        room.comes_to(&alert.body["alert"], "carrier")?;
    }
    for agent in &mut agents {
        agent.stop()?;
    }
    collector.stop()?;
    scene.passed();
    Ok(())
}

fn all_are(collector: &Collector, sites: &[&str], verdict: &str) -> Result<()> {
    let api = collector.api();
    eventually(&format!("{sites:?} are {verdict}"), PATIENCE * 2, || {
        let since = clock::unix_millis();
        for site in sites {
            let found = api.json(&format!("/api/v1/sites/{site}"))?;
            ensure!(found["verdict"] == verdict, "{site} is {} at {since}", found["verdict"]);
        }
        Ok(())
    })
}
