//! The province as it is in life: real agents at three sites, a real collector at the centre, and lines that fail.
//!
//! One scenario in phases, several sites at a time. What was done to each line is written down with the instants before and
//! after the deed; from it follows for every round how many of its packets must have been lost, and so its outcome. At the
//! end the collector's timeline of every link is compared with that, round by round, from the first to the last: no row
//! may be missing, none may begin or end elsewhere.
//!
//! Site 1 speaks IPv4 with raw sockets, site 2 IPv4 with datagram sockets, site 3 IPv6 only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use wan_tests::api::{self, Row};
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{self, Collector, Site};
use wan_tests::netns::{CENTRE_V4, CENTRE_V6, Cut, INTERNET_V4, INTERNET_V6, Loss, Path, Province};
use wan_tests::process::Process;
use wan_tests::scene::{Scene, undisturbed};

/// Length of a round, in milliseconds.
const ROUND: i64 = 1000;
/// Packets in a round: with ten, every tenth of a second has one.
const PACKETS: i64 = 10;
const SPACING: i64 = ROUND / PACKETS;
/// Round boundaries follow the wall clock to the millisecond, so they may wander by a few against each other.
const GRID: i64 = 40;
/// A busy machine may send what remains of a round so long after its end: an agent that wakes up later than that skips a round,
/// and says so.
const LATE: i64 = ROUND / 2;
const LINKS: [&str; 3] = ["lan", "wan", "internet"];
/// How long anything may take to show on the collector: a push, a backlog after an outage.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was done to one line, and when (Unix milliseconds).
#[derive(Debug, Clone)]
struct Fault {
    site: u8,
    path: Path,
    /// Before and after the command that began it: it began between.
    began: [i64; 2],
    /// Before and after the command that ended it.
    ended: [i64; 2],
    effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Every packet is lost.
    Dead,
    /// Exactly three packets of ten are lost.
    ThreeOfTen,
    /// Some packets are lost, nobody knows which.
    Random,
}

struct Scenario {
    scene: Scene,
    province: Province,
    collector: Collector,
    agents: Vec<Process>,
    faults: Vec<Fault>,
}

#[test]
fn timelines_are_exact_to_one_round_whatever_fails() -> Result<()> {
    undisturbed("province", whatever_fails)
}

fn whatever_fails(scene: Scene) -> Result<()> {
    let mut scenario = Scenario::begin(scene)?;
    let begin = scenario.everything_is_seen_and_up()?;

    scenario.cut_together(
        [(1, Path::Wan, Cut::Silent), (2, Path::Lan, Cut::LinkDown), (3, Path::Internet, Cut::Silent)],
        Duration::from_millis(7_300),
        Scenario::while_the_first_three_are_cut,
    )?;
    scenario.everything_is_up_again()?;
    scenario.cut_together(
        [(1, Path::Internet, Cut::LinkDown), (2, Path::Wan, Cut::LinkDown), (3, Path::Lan, Cut::Silent)],
        Duration::from_millis(4_600),
        |_| Ok(()),
    )?;
    scenario.everything_is_up_again()?;
    scenario.cut_together(
        [(1, Path::Lan, Cut::Silent), (2, Path::Internet, Cut::Silent), (3, Path::Wan, Cut::LinkDown)],
        Duration::from_millis(3_500),
        |_| Ok(()),
    )?;
    scenario.everything_is_up_again()?;
    scenario.lose_a_third()?;
    scenario.everything_is_up_again()?;
    scenario.collector_is_away()?;
    scenario.everything_is_up_again()?;

    let end = clock::unix_millis() - 2 * ROUND;
    scenario.timelines_are_exact(begin, end)?;
    scenario.coverage_follows(begin, end)?;
    scenario.the_command_line_agrees(begin, end)?;
    scenario.finish()
}

impl Scenario {
    fn begin(scene: Scene) -> Result<Self> {
        let province = Province::build(3)?;
        let listen = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 8080));
        let sites = [
            Site { id: "van-phong-ubnd".into(), tier: "province", branch: "state" },
            Site { id: "huyen-uy-tan-bien".into(), tier: "district", branch: "party" },
            Site { id: "xa-hung-thuan".into(), tier: "commune", branch: "state" },
            Site { id: "xa-phuoc-ninh".into(), tier: "commune", branch: "party" },
        ];
        // Plain HTTP, as behind a proxy: what is tested here is what the lines do.
        let config = "tls: off\ningest:\n  silence_limit: 3s\n";
        let mut collector = Collector::prepare(
            &scene,
            listen,
            config,
            &sites,
            &["van-phong-ubnd", "huyen-uy-tan-bien", "xa-hung-thuan"],
        )?
        .inside(province.centre()?)
        .reached_at(format!("{CENTRE_V4}:8080").parse().context("the collector's address")?);
        collector.start()?;

        province.site(2)?.allow_ping_sockets(true)?;
        let mut agents = Vec::new();
        for number in 1..=province.sites() {
            let (url, socket, gateway, centre, internet) = match number {
                1 => (CENTRE_V4.to_owned(), "raw", "gateway".to_owned(), "collector", INTERNET_V4),
                2 => (
                    CENTRE_V4.to_owned(),
                    "datagram",
                    Province::gateway(2)[0].clone(),
                    CENTRE_V4,
                    INTERNET_V4,
                ),
                _ => (
                    format!("[{CENTRE_V6}]"),
                    "auto",
                    Province::gateway(number)[1].clone(),
                    CENTRE_V6,
                    INTERNET_V6,
                ),
            };
            let rest = format!(
                "round:\n  interval: 1s\n  packets: {PACKETS}\n  timeout: 900ms\nicmp:\n  socket: {socket}\nlinks:\n\
                 \x20 - name: lan\n    targets:\n      - icmp: \"{gateway}\"\n\
                 \x20 - name: wan\n    targets:\n      - icmp: \"{centre}\"\n\
                 \x20 - name: internet\n    targets:\n      - icmp: \"{internet}\"\n"
            );
            let site = site_id(number);
            let secret = collector.secret(site)?.to_owned();
            let space = province.site(number)?;
            let url = format!("http://{url}:8080");
            agents.push(collector::start_agent(&scene, site, Some(space), &url, &secret, &rest)?);
        }
        Ok(Self { scene, province, collector, agents, faults: Vec::new() })
    }

    /// Waits until every link of every site has been up for five seconds; gives the instant from which on it was.
    fn everything_is_seen_and_up(&mut self) -> Result<i64> {
        let since = clock::unix_millis();
        let api = self.collector.api();
        let begin = eventually("all links are up for 5 s", PATIENCE, || {
            let now = clock::unix_millis();
            let mut begin = since;
            for (site, link) in links() {
                let rows = api.timeline(site, link, since, now)?;
                let last_gap =
                    rows.iter().rev().skip(1).find(|row| row.state != "up").map_or(since, |row| row.end);
                begin = begin.max(last_gap);
                let up = rows
                    .iter()
                    .any(|row| row.state == "up" && row.start <= last_gap && row.end >= last_gap + 5000);
                ensure!(up, "{site}/{link}: {rows:?}");
            }
            Ok(begin)
        })?;
        // From the first boundary that all have passed.
        Ok(begin + ROUND)
    }

    /// Waits until the present of every link is up, then lets some whole rounds pass.
    fn everything_is_up_again(&mut self) -> Result<()> {
        self.processes_live()?;
        let healed = clock::unix_millis();
        let api = self.collector.api();
        eventually("all links are up again", PATIENCE, || {
            let now = clock::unix_millis();
            for (site, link) in links() {
                let rows = api.timeline(site, link, healed, now)?;
                let up: i64 =
                    rows.iter().filter(|row| row.state == "up").map(|row| row.end - row.start).sum();
                ensure!(up >= 2 * ROUND, "{site}/{link} since it was healed: {rows:?}");
            }
            Ok(())
        })
    }

    fn cut_together(
        &mut self,
        cuts: [(u8, Path, Cut); 3],
        time: Duration,
        meanwhile: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let mut began = Vec::new();
        for (site, path, cut) in cuts {
            let before = clock::unix_millis();
            self.province.cut(site, path, cut)?;
            began.push([before, clock::unix_millis()]);
        }
        let start = clock::now();
        meanwhile(self)?;
        std::thread::sleep(time.saturating_sub(start.elapsed()));
        for ((site, path, _), began) in cuts.into_iter().zip(began) {
            self.heal(site, path, began, Effect::Dead)?;
        }
        Ok(())
    }

    fn heal(&mut self, site: u8, path: Path, began: [i64; 2], effect: Effect) -> Result<()> {
        let before = clock::unix_millis();
        self.province.heal(site, path)?;
        self.faults.push(Fault { site, path, began, ended: [before, clock::unix_millis()], effect });
        Ok(())
    }

    /// Sites 1 and 2 cannot push, so nobody knows of them; site 3 says that its Internet is down.
    fn while_the_first_three_are_cut(&mut self) -> Result<()> {
        let api = self.collector.api();
        eventually("the collector notices", PATIENCE, || {
            let now = clock::unix_millis();
            let coverage = api.coverage(now)?;
            ensure!(bounds(&coverage, "province")? == (0.0, 1.0), "province: {coverage:?}");
            ensure!(bounds(&coverage, "district")? == (0.0, 1.0), "district: {coverage:?}");
            ensure!(bounds(&coverage, "commune")? == (0.0, 0.0), "commune: {coverage:?}");
            Ok(())
        })
    }

    /// A third of the packets is lost on one line of each site: exactly three of ten, or by chance.
    fn lose_a_third(&mut self) -> Result<()> {
        let counted = Loss::Every { drop: 3, of: 10 };
        let mut began = Vec::new();
        let losses = [
            (1, Path::Wan, counted, Effect::ThreeOfTen),
            (2, Path::Internet, Loss::Random { percent: 30 }, Effect::Random),
            (3, Path::Wan, counted, Effect::ThreeOfTen),
        ];
        for (site, path, loss, _) in losses {
            let before = clock::unix_millis();
            self.province.lose(site, path, loss)?;
            began.push([before, clock::unix_millis()]);
        }
        std::thread::sleep(Duration::from_millis(8_400));
        for ((site, path, _, effect), began) in losses.into_iter().zip(began) {
            self.heal(site, path, began, effect)?;
        }
        Ok(())
    }

    /// The collector is stopped for a while, in which a site's Internet fails too; then it is killed and comes back at once.
    fn collector_is_away(&mut self) -> Result<()> {
        self.collector.stop()?;
        std::thread::sleep(Duration::from_secs(2));
        let before = clock::unix_millis();
        self.province.cut(2, Path::Internet, Cut::Silent)?;
        let began = [before, clock::unix_millis()];
        std::thread::sleep(Duration::from_millis(3_200));
        self.heal(2, Path::Internet, began, Effect::Dead)?;
        std::thread::sleep(Duration::from_secs(2));
        self.collector.start()?;
        self.everything_is_up_again()?;
        self.collector.kill()?;
        self.collector.start()
    }

    /// Compares every round of every link with what was done to its line.
    fn timelines_are_exact(&mut self, begin: i64, end: i64) -> Result<()> {
        let api = self.collector.api();
        for (number, site) in (1..=3).map(|number| (number, site_id(number))) {
            for link in LINKS {
                let what = format!("{site}/{link}");
                let rows = eventually("the backlog has come", PATIENCE, || {
                    let rows = api.timeline(site, link, begin, end)?;
                    ensure!(rows.iter().all(|row| row.state != "unknown"), "{what} has gaps: {rows:?}");
                    Ok(rows)
                })?;
                let faults: Vec<&Fault> =
                    self.faults.iter().filter(|fault| fault.affects(number, link)).collect();
                exact(&rows, &faults, begin, end)
                    .with_context(|| format!("{what}: {rows:?}\nfaults {faults:?}"))?;
                let uptime = api.uptime(site, link, begin, end)?.context("no figures")?;
                ensure!(uptime.observed_ms == end - begin, "{what}: not all was observed: {uptime:?}");
                ensure!(uptime.observed_share == Some(1.0), "{what}: {uptime:?}");
                let down: i64 =
                    rows.iter().filter(|row| row.state == "down").map(|row| row.end - row.start).sum();
                ensure!(
                    uptime.down_ms == down,
                    "{what}: its uptime is not its timeline's: {uptime:?} {rows:?}"
                );
                println!("{what}: {} rows, down {} s, uptime {:?}", rows.len(), down / ROUND, uptime.uptime);
            }
        }
        Ok(())
    }

    /// The command line reads the same data folder beside the server, and gives the same figures.
    fn the_command_line_agrees(&self, begin: i64, end: i64) -> Result<()> {
        let (from, to) = (api::instant(begin)?, api::instant(end)?);
        let window = ["--from", from.as_str(), "--to", to.as_str(), "--format", "json"];
        let printed =
            self.collector.command(&["uptime"], &[&window[..], &["--site", site_id(1)]].concat())?;
        let answer: serde_json::Value = serde_json::from_str(&printed).with_context(|| printed.clone())?;
        let rows = answer["rows"].as_array().with_context(|| printed.clone())?;
        for link in LINKS {
            let row = rows
                .iter()
                .find(|row| row["link"] == link)
                .with_context(|| format!("no {link}: {printed}"))?;
            let uptime = self.collector.api().uptime(site_id(1), link, begin, end)?.context("no figures")?;
            let told = (row["up_ms"].as_i64(), row["degraded_ms"].as_i64(), row["down_ms"].as_i64());
            let expected = (Some(uptime.up_ms), Some(uptime.degraded_ms), Some(uptime.down_ms));
            ensure!(told == expected, "{link}: the command line says {row}, the API {uptime:?}");
        }
        Ok(())
    }

    /// Coverage, asked for later: what nobody knew at the time is known by now.
    fn coverage_follows(&mut self, begin: i64, end: i64) -> Result<()> {
        let api = self.collector.api();
        let whole = api.coverage(begin)?;
        ensure!(bounds(&whole, "province")? == (1.0, 1.0), "before the first cut: {whole:?}");
        ensure!(bounds(&whole, "commune")? == (0.5, 0.5), "one of two communes has no agent: {whole:?}");
        for fault in self.faults.iter().filter(|fault| fault.effect == Effect::Dead) {
            let coverage = api.coverage((fault.began[1] + fault.ended[0]) / 2)?;
            let tier = ["province", "district", "commune"][usize::from(fault.site) - 1];
            ensure!(bounds(&coverage, tier)? == (0.0, 0.0), "in the midst of {fault:?}: {coverage:?}");
        }
        let after = api.coverage(end)?;
        ensure!(bounds(&after, "district")? == (1.0, 1.0), "after everything: {after:?}");
        ensure!(bounds(&after, "commune")? == (0.5, 0.5), "after everything: {after:?}");
        Ok(())
    }

    fn processes_live(&mut self) -> Result<()> {
        self.collector.check_running()?;
        self.agents.iter_mut().try_for_each(Process::check_running)
    }

    fn finish(mut self) -> Result<()> {
        self.processes_live()?;
        for agent in &mut self.agents {
            agent.stop()?;
        }
        self.collector.stop()?;
        ensure!(!self.collector.log().contains("panicked"), "the collector panicked");
        self.scene.passed();
        Ok(())
    }
}

impl Fault {
    /// Everything of a site runs over its LAN.
    fn affects(&self, site: u8, link: &str) -> bool {
        let own = match self.path {
            Path::Lan => true,
            Path::Wan => link == "wan",
            Path::Internet => link == "internet",
        };
        own && self.site == site
    }

    /// The fewest and most packets of the round that begins at `start` which this fault can have taken.
    fn lost(&self, start: i64) -> (i64, i64) {
        let (mut fewest, mut most) = (0, 0);
        // Targets share a packet's spacing, and it goes when it is due or later, so long as its round is not over by much.
        let latest = start + ROUND + LATE;
        for packet in 0..PACKETS {
            let earliest = start + packet * SPACING - GRID;
            fewest += i64::from(earliest >= self.began[1] && latest <= self.ended[0]);
            most += i64::from(latest >= self.began[0] && earliest <= self.ended[1]);
        }
        match self.effect {
            Effect::Dead => (fewest, most),
            Effect::ThreeOfTen if fewest == PACKETS => (3, 3),
            Effect::ThreeOfTen => (0, most.min(3)),
            // Ten of ten by chance: once in 170,000 rounds.
            Effect::Random => (0, most.min(PACKETS - 1)),
        }
    }
}

/// Whether `rows` tile [begin, end) and each round's state is one that `faults` explain.
fn exact(rows: &[Row], faults: &[&Fault], begin: i64, end: i64) -> Result<()> {
    let (first, last) = (rows.first().context("no rows")?, rows.last().context("no rows")?);
    ensure!(first.start == begin && last.end == end, "the rows do not span {begin} to {end}");
    for pair in rows.windows(2) {
        ensure!(pair[0].end == pair[1].start, "a gap or an overlap between {:?} and {:?}", pair[0], pair[1]);
        ensure!(pair[0].state != pair[1].state, "{:?} and {:?} are one row", pair[0], pair[1]);
    }
    // The agent's rounds lie on a grid; any inner edge tells where.
    let Some(grid) = rows.get(1).map(|row| row.start.rem_euclid(ROUND)) else {
        ensure!(faults.is_empty(), "nothing of its faults is seen");
        return Ok(());
    };
    for row in &rows[1..] {
        let off = (row.start.rem_euclid(ROUND) - grid + ROUND / 2).rem_euclid(ROUND) - ROUND / 2;
        ensure!(off.abs() <= GRID, "{row:?} begins {off} ms beside the rounds");
    }
    let mut start = begin + (grid - begin).rem_euclid(ROUND);
    while start + ROUND <= end {
        let middle = start + ROUND / 2;
        let row = rows.iter().find(|row| row.start <= middle && middle < row.end).context("a hole")?;
        let (fewest, most) = faults
            .iter()
            .map(|fault| fault.lost(start))
            .fold((0, 0), |(fewest, most), (f, m)| (fewest + f, (most + m).min(PACKETS)));
        let possible: Vec<&str> = (fewest..=most).map(outcome).collect();
        ensure!(
            possible.contains(&row.state.as_str()),
            "the round at {start} (+{} s) lost {fewest} to {most} of {PACKETS} packets, and is {}",
            (start - begin) / ROUND,
            row.state
        );
        start += ROUND;
    }
    Ok(())
}

/// The outcome of a round that lost so many packets: up to 20 % is up, all is down.
fn outcome(lost: i64) -> &'static str {
    match lost {
        0..=2 => "up",
        PACKETS => "down",
        _ => "degraded",
    }
}

fn site_id(number: u8) -> &'static str {
    match number {
        1 => "van-phong-ubnd",
        2 => "huyen-uy-tan-bien",
        _ => "xa-hung-thuan",
    }
}

fn links() -> impl Iterator<Item = (&'static str, &'static str)> {
    (1..=3).flat_map(|number| LINKS.map(|link| (site_id(number), link)))
}

/// The bounds of a tier's coverage.
fn bounds(coverage: &BTreeMap<String, (f64, f64)>, tier: &str) -> Result<(f64, f64)> {
    coverage.get(tier).copied().with_context(|| format!("no coverage of tier {tier}: {coverage:?}"))
}
