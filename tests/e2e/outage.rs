//! The real agent through outages: killed two hundred times, on a full and on a read-only disk, before a collector that
//! refuses, hangs, cuts connections and answers with nonsense.
//!
//! The collector of these tests remembers every sample that reached it, acknowledged or not. A round that was sent under two
//! times would show as one mark under two times (each round that was put in the queue beforehand has a round-trip time of its
//! own), or as two rounds of one series that overlap.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{ReceiveTimeout, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recvmsg,
    setsockopt, socket,
};
use nix::sys::time::TimeVal;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use wan_agent::clock::{Dating, Stamp};
use wan_agent::config::QueueConfig;
use wan_agent::queue::{DataFolder, Dates, Queue};
use wan_tests::backlog::{Outage, mark};
use wan_tests::clock::{self, eventually};
use wan_tests::netns::Namespace;
use wan_tests::process::{self, Process};
use wan_tests::receiver::{Mode, Receiver, Request};
use wan_tests::scene::{Scene, undisturbed};
use wan_wire::UnixMillis;

const KILLS: usize = 200;
/// Rounds per link that wait beforehand.
const BEFORE: u64 = 2500;
const LINKS: &str = "links:\n\
    - {name: lan, targets: [{icmp: 127.0.0.2}]}\n\
    - {name: wan, targets: [{icmp: 127.0.0.1}]}\n";

/// One agent's machine: a namespace with nothing but loopback, a collector in it, a configuration.
struct Site {
    scene: Scene,
    space: Namespace,
    receiver: Receiver,
    config: String,
    data: String,
}

impl Site {
    /// `sync` is how often what waits in an outage goes to the disk.
    fn new(scene: Scene, sync: &str) -> Result<Self> {
        let space = Namespace::alone("machine")?;
        let receiver = Receiver::start(&space)?;
        let data = scene.path("data");
        std::fs::create_dir_all(&data).context("make the data folder")?;
        let config = scene.write(
            "agent.yaml",
            &format!(
                "data: {data}\n\
                 collector: {{urls: [{{url: '{}'}}], secret: wan_test, timeout: 1s}}\n\
                 queue: {{sync: {sync}, backlog_rate: 4000}}\n\
                 round: {{interval: 1s, packets: 5, timeout: 200ms}}\n{LINKS}",
                receiver.url()
            ),
        )?;
        process::run(&process::binary("wan-agent")?, &["check-config", &config])?;
        Ok(Self { scene, space, receiver, config, data })
    }

    fn start(&self) -> Result<Process> {
        let program = process::binary("wan-agent")?;
        Process::start(
            "agent",
            &program,
            &["run", "--config", &self.config],
            Some(&self.space),
            self.scene.dir(),
        )
    }

    /// Starts it in a mount namespace of its own, on a small file system that is mounted with these options.
    fn start_on(&self, options: &str) -> Result<Process> {
        let program = process::binary("wan-agent")?.display().to_string();
        let script = format!(
            "mount -t tmpfs -o {options} tmpfs {} && exec {program} run --config {}",
            self.data, self.config
        );
        let mut command = self.space.command("sh");
        command.args(["-c", &script]);
        Process::spawn("agent", command, self.scene.dir())
    }

    /// Runs a shell script where that agent sees its files.
    fn in_mounts_of(&self, agent: &Process, script: &str) -> Result<()> {
        let pid = agent.pid().to_string();
        process::run(Path::new("nsenter"), &["-t", &pid, "-m", "sh", "-c", script]).map(drop)
    }
}

/// What came of each series, by time: the interval and the four round-trip times.
type Rounds = BTreeMap<String, BTreeMap<i64, BTreeMap<String, u64>>>;

/// The rounds of the targets that are really probed; an error when one came with two different sets of figures.
fn real_rounds<'r>(requests: impl IntoIterator<Item = &'r Request>) -> Result<Rounds> {
    let mut rounds = Rounds::new();
    for sample in requests.into_iter().flat_map(|request| &request.samples) {
        if sample.metric.starts_with("wan_round_") && sample.labels.contains("target=127.0.0.") {
            let round = rounds.entry(sample.labels.clone()).or_default().entry(sample.time).or_default();
            let bits = sample.value.to_bits();
            let before = *round.entry(sample.metric.clone()).or_insert(bits);
            ensure!(before == bits, "{} of {} at {} changed", sample.metric, sample.labels, sample.time);
        }
    }
    Ok(rounds)
}

/// No two rounds of a series overlap, and none came under two times.
fn check_apart(rounds: &Rounds) -> Result<()> {
    for (series, times) in rounds {
        let mut last: Option<i64> = None;
        for (time, round) in times {
            let interval = round.get("wan_round_interval_seconds").context("a round without interval")?;
            #[allow(clippy::cast_possible_truncation)]
            let start = time - (f64::from_bits(*interval) * 1000.0).round() as i64;
            // The clock's estimate may move by some milliseconds from one process to the next.
            ensure!(
                last.is_none_or(|last| start >= last - 20),
                "{series}: a round from {start} overlaps {last:?}"
            );
            last = Some(*time);
        }
    }
    // What all links measured in one round is a mark of that round, where they had packets enough: a few round-trip times of
    // microseconds happen twice.
    let mut marks = BTreeMap::new();
    let times: BTreeSet<i64> = rounds.values().flat_map(BTreeMap::keys).copied().collect();
    for time in times {
        let all: Vec<_> = rounds.values().filter_map(|times| times.get(&time)).collect();
        let has_enough = |round: &&BTreeMap<String, u64>| {
            round.get("wan_round_received").is_some_and(|received| f64::from_bits(*received) >= 4.0)
        };
        if all.len() == rounds.len() && all.iter().all(has_enough) {
            let before = marks.insert(all, time);
            ensure!(before.is_none(), "one round under {before:?} and {time}");
        }
    }
    Ok(())
}

/// The times under which each marked round came: by series and mark.
fn marked<'r>(
    requests: impl IntoIterator<Item = &'r Request>,
    link: &str,
) -> BTreeMap<(String, u64), BTreeSet<i64>> {
    let mut times: BTreeMap<(String, u64), BTreeSet<i64>> = BTreeMap::new();
    for sample in requests.into_iter().flat_map(|request| &request.samples) {
        let is_mark = sample.metric == "wan_round_rtt_min_seconds" && sample.labels.contains("target=10.79.");
        if is_mark && sample.labels.contains(link) {
            times.entry((sample.labels.clone(), sample.value.to_bits())).or_default().insert(sample.time);
        }
    }
    times
}

struct Anyhow;

impl Dates for Anyhow {
    fn date(&self, _: &str, _: &Stamp) -> Dating {
        Dating::At(UnixMillis(0))
    }
}

/// The really probed rounds that are in the queue's files now, and know their time.
fn on_disk(site: &Site) -> Result<BTreeSet<(String, i64)>> {
    let copy = site.scene.path("copy");
    process::run(Path::new("sh"), &["-c", &format!("rm -rf {copy} && cp -r {} {copy}", site.data)])?;
    let queue = Queue::new(QueueConfig::default(), "", Some(DataFolder(copy.into())));
    queue.tend(Duration::ZERO);
    let mut found = BTreeSet::new();
    while let Some(batch) = queue.take_backlog(1000, Duration::ZERO, None, &Anyhow) {
        for item in batch.items.iter().filter(|item| item.record.end.offset.is_some()) {
            for (series, _) in item.record.targets.iter().filter(|(one, _)| one.target.starts_with("127.")) {
                let labels = format!("link={},probe=icmp,target={}", series.link, series.target);
                found.insert((labels, item.end.0));
            }
        }
        queue.settle(&batch, batch.items.len(), Duration::ZERO);
    }
    Ok(found)
}

fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    Ok(std::fs::read_to_string(path).context(path)?.trim().to_owned())
}

fn uptime_seconds() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/uptime").context("/proc/uptime")?;
    text.split('.').next().unwrap_or_default().parse().context("/proc/uptime")
}

#[test]
fn two_hundred_kills_lose_nothing_that_was_on_the_disk_and_send_nothing_under_two_times() -> Result<()> {
    let site = Site::new(Scene::new("outage-kills")?, "1s")?;
    let interval = Duration::from_secs(1);
    let day_ago = clock::unix_millis() - 86_400_000;
    let outage = |boot: &str, links: &[(&'static str, u32)], rounds: u64, offset: Option<i64>| Outage {
        boot: boot.to_owned(),
        links: links.to_vec(),
        interval,
        first: 60_000,
        rounds,
        offset,
    };
    // Another boot's rounds, which know their time; and this boot's from before its first contact.
    let dated = outage("another-boot", &[("wan-vnpt", 4), ("lan", 2)], BEFORE, Some(day_ago));
    dated.write(Path::new(&site.data))?;
    // They are of the time since the boot, so there must have been some.
    while uptime_seconds()? <= 130 {
        std::thread::sleep(Duration::from_secs(1));
    }
    let undated_rounds = BEFORE.min(uptime_seconds()? - 120);
    let undated = outage(&boot_id()?, &[("internet", 3)], undated_rounds, None);
    undated.write(Path::new(&site.data))?;

    let mut random = SmallRng::seed_from_u64(200);
    let mut synced = BTreeSet::new();
    for kill in 0..KILLS {
        site.receiver.set(match random.random_range(0..100) {
            0..45 => Mode::Accept(0),
            45..65 => Mode::Cut,
            65..80 => Mode::Refuse(503),
            _ => Mode::Hang,
        });
        let mut agent = site.start()?;
        // Most lives are too short for a round; some see several.
        let life = if random.random_range(0..100) < 85 { 50..400 } else { 1200..2600 };
        std::thread::sleep(Duration::from_millis(random.random_range(life)));
        agent.kill().with_context(|| format!("kill {kill}"))?;
        if kill % 40 == 39 {
            synced.extend(on_disk(&site)?);
        }
    }
    site.receiver.set(Mode::Accept(0));
    let mut agent = site.start()?;
    let expected = usize::try_from(BEFORE * 6 + undated_rounds * 3)?;
    eventually("the whole backlog is there", Duration::from_secs(240), || {
        agent.check_running()?;
        let requests = site.receiver.requests();
        let acknowledged = requests.iter().filter(|request| request.acknowledged);
        let there = marked(acknowledged, "link=").len();
        ensure!(there == expected, "{there} of {expected} rounds");
        Ok(())
    })?;
    std::thread::sleep(Duration::from_millis(2500));
    agent.stop()?;

    let requests = site.receiver.take();
    for link in ["wan-vnpt", "lan"] {
        for ((series, bits), times) in marked(&requests, &format!("link={link},")) {
            let number =
                (0..BEFORE).find(|number| mark(*number).to_bits() == bits).context("a foreign mark")?;
            let time = 60_000 + i64::try_from(number)? * 1000 + day_ago;
            ensure!(times == BTreeSet::from([time]), "{series}, round {number}: {times:?} instead of {time}");
        }
    }
    let mut offsets = BTreeSet::new();
    for ((series, bits), times) in marked(&requests, "link=internet,") {
        let number = (0..BEFORE).find(|number| mark(*number).to_bits() == bits).context("a foreign mark")?;
        ensure!(times.len() == 1, "{series}, round {number} came under {times:?}");
        offsets.extend(times.iter().map(|time| time - 60_000 - i64::try_from(number).unwrap_or(0) * 1000));
    }
    ensure!(offsets.len() == 1, "one boot, one offset: {offsets:?}");
    let real = real_rounds(&requests)?;
    check_apart(&real)?;
    let acknowledged = real_rounds(requests.iter().filter(|request| request.acknowledged))?;
    for (series, time) in &synced {
        let is_there = acknowledged.get(series).is_some_and(|times| times.contains_key(time));
        ensure!(is_there, "{series} at {time} was on the disk and never came");
    }
    let rounds: usize = acknowledged.values().map(BTreeMap::len).sum();
    println!(
        "{} requests, {rounds} rounds probed between kills, {} of them found on disk",
        requests.len(),
        synced.len()
    );
    ensure!(rounds > 20, "only {rounds} rounds were made between the kills");
    site.scene.passed();
    Ok(())
}

#[test]
fn whatever_the_collector_does_rounds_do_not_move_and_none_is_missing_afterwards() -> Result<()> {
    undisturbed("outage-collector", whatever_the_collector_does)
}

fn whatever_the_collector_does(scene: Scene) -> Result<()> {
    // Longer than each of the outages: the newest rounds of one wait in memory, from where they go first.
    let site = Site::new(scene, "60s")?;
    let mut agent = site.start()?;
    let modes = [
        (Mode::Accept(0), 7),
        (Mode::Hang, 4),
        (Mode::Html(200), 2),
        (Mode::Html(400), 2),
        (Mode::Accept(1500), 4),
        (Mode::Redirect, 2),
        (Mode::Refuse(500), 3),
        (Mode::Cut, 3),
        (Mode::Refuse(429), 2),
    ];
    let stop = AtomicBool::new(false);
    let heard = std::thread::scope(|scope| {
        let listening = scope.spawn(|| site.space.within(|| listen_until(&stop)));
        let mut spans = Vec::new();
        for (mode, seconds) in modes {
            site.receiver.set(mode);
            let began = clock::unix_millis();
            std::thread::sleep(Duration::from_secs(seconds));
            spans.push((mode, began..clock::unix_millis()));
        }
        stop.store(true, Ordering::Relaxed);
        let packets = listening.join().map_err(|_| anyhow::anyhow!("the listener panicked"))??;
        Ok::<_, anyhow::Error>((spans, packets))
    });
    check_unmoved(&heard?)?;
    let before = site.receiver.requests().len();
    site.receiver.set(Mode::Accept(0));
    eventually("all rounds are there", Duration::from_secs(60), || {
        agent.check_running()?;
        let requests = site.receiver.requests();
        let rounds = real_rounds(requests.iter().filter(|request| request.acknowledged))?;
        ensure!(rounds.len() == 2, "{} series", rounds.len());
        for (series, times) in &rounds {
            let first = times.keys().next().context("no round")?;
            let last = times.keys().last().context("no round")?;
            let expected = usize::try_from((last - first + 500) / 1000 + 1)?;
            ensure!(times.len() == expected && expected > 24, "{series}: {} of {expected}", times.len());
        }
        Ok(())
    })?;
    agent.stop()?;
    let requests = site.receiver.take();
    let rounds = real_rounds(&requests)?;
    check_apart(&rounds)?;
    for (series, times) in &rounds {
        // The last one was cut short by the end of the agent.
        let ends: Vec<i64> = times.keys().copied().take(times.len() - 1).collect();
        for pair in ends.windows(2) {
            // Each answer may correct the agent's clock by some milliseconds: the stamps move, the rounds do not.
            ensure!(
                (980..=1020).contains(&(pair[1] - pair[0])),
                "{series}: the round at {} moved: {pair:?}",
                pair[1]
            );
        }
    }
    // After the outage the newest goes first, then the rest, oldest first.
    let is_live = |request: &&Request| request.samples.iter().any(|sample| sample.metric == "wan_agent_info");
    let times = |request: &Request| -> Vec<i64> {
        let sent = request.samples.iter().filter(|sample| sample.metric == "wan_round_sent");
        let mut times: Vec<i64> = sent.map(|sample| sample.time).collect();
        times.sort_unstable();
        times
    };
    let after = &requests[before..];
    ensure!(after.first().is_some_and(|first| is_live(&first)), "the first request is a live one");
    let newest = after.first().map(times).unwrap_or_default().into_iter().max().context("it has no round")?;
    // Later live requests hold what ended since.
    let of_outage = |request: &&Request| times(request).iter().all(|end| *end <= newest);
    let backlog: Vec<i64> = after.iter().skip(1).filter(of_outage).flat_map(times).collect();
    ensure!(!backlog.is_empty() && backlog.is_sorted(), "the backlog comes oldest first: {backlog:?}");
    ensure!(
        backlog.first().is_some_and(|oldest| newest - oldest > 5_000),
        "the newest goes first: {backlog:?}"
    );
    ensure!(
        requests.iter().all(|request| request
            .samples
            .iter()
            .any(|sample| sample.metric == "wan_agent_path" && sample.labels == "path=wan")),
        "each request says by which path it came"
    );
    site.scene.passed();
    Ok(())
}

/// What the collector did when, and when each packet of the agent passed (by the kernel's clock), by target.
type Heard = (Vec<(Mode, Range<i64>)>, BTreeMap<[u8; 4], Vec<Duration>>);

/// Notes the kernel's time of every echo request in this namespace until `stop`.
fn listen_until(stop: &AtomicBool) -> Result<BTreeMap<[u8; 4], Vec<Duration>>> {
    let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp)?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::new(0, 50_000))?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    let mut heard: BTreeMap<[u8; 4], Vec<Duration>> = BTreeMap::new();
    let mut buffer = [0; 256];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    while !stop.load(Ordering::Relaxed) {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let received =
            recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
        let message = match received {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(error) => return Err(error).context("read a request"),
        };
        let stamp = message.cmsgs()?.find_map(|control| {
            let ControlMessageOwned::ScmTimestampns(at) = control else { return None };
            Some(Duration::from(at))
        });
        let length = message.bytes;
        let (Some(&[a, b, c, d]), Some(8)) = (buffer[..length].get(16..20), buffer[..length].get(20)) else {
            continue;
        };
        heard.entry([a, b, c, d]).or_default().push(stamp.context("no time of arrival")?);
    }
    Ok(heard)
}

/// Packets left at the same moments of their period whatever the collector did: the quicker half, so that what else the machine
/// does counts little, within a millisecond of when they left while it answered at once; nearly all within some.
fn check_unmoved((spans, heard): &Heard) -> Result<()> {
    const PERIOD: i64 = 200_000;
    ensure!(heard.len() == 2, "packets to {:?}", heard.keys());
    for (target, times) in heard {
        let micros = |at: &Duration| i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        let reference = times.first().map(micros).context("no packet")?;
        // How much later than the reference's moment of the period, from half a period before to half a period after it.
        let late = |span: &Range<i64>| -> Vec<i64> {
            let within = times.iter().map(micros).filter(|at| span.contains(&(at / 1000)));
            let mut late: Vec<i64> =
                within.map(|at| (at - reference + PERIOD / 2).rem_euclid(PERIOD) - PERIOD / 2).collect();
            late.sort_unstable();
            late
        };
        let quarter = |late: &[i64]| late.get(late.len() / 4).copied().context("no packet in this span");
        // The first round after a start only leads to the grid that all later ones lie on.
        let (_, quiet) = spans.first().context("no span")?;
        let usual = quarter(&late(&(quiet.start + 2500..quiet.end)))?;
        let mut all = Vec::new();
        for (mode, span) in &spans[1..] {
            let late = late(span);
            let moved = quarter(&late)? - usual;
            ensure!(moved.abs() <= 1000, "{mode:?} moved the packets to {target:?} by {moved} µs");
            all.extend(late.iter().map(|late| (late - usual).abs()));
        }
        all.sort_unstable();
        let most = all.get(all.len() * 9 / 10).copied().unwrap_or_default();
        println!("{} packets to {target:?}: nine in ten within {most} µs of their moment", all.len());
        ensure!(most <= 20_000, "packets to {target:?} were up to {most} µs off");
    }
    Ok(())
}

#[test]
fn a_full_disk_and_a_read_only_one_leave_the_agent_running_from_memory() -> Result<()> {
    undisturbed("outage-disk", a_full_disk_and_a_read_only_one)
}

fn a_full_disk_and_a_read_only_one(scene: Scene) -> Result<()> {
    let site = Site::new(scene, "1s")?;
    let figure = |metric: &str| {
        let requests = site.receiver.requests();
        let samples = requests.iter().rev().flat_map(|request| &request.samples);
        samples.filter(|sample| sample.metric == metric).map(|sample| sample.value).next()
    };
    let limit = Duration::from_secs(60);
    let came = |what: &str, metric: &str, value: f64| {
        eventually(what, limit, || {
            let found = figure(metric);
            ensure!(found == Some(value), "{metric} is {found:?}");
            Ok(())
        })
    };
    let says = |agent: &mut Process, text: &str, times: usize| {
        eventually(text, limit, || {
            agent.check_running()?;
            ensure!(agent.log().matches(text).count() >= times, "the log does not say it");
            Ok(())
        })
    };
    let all_there = || {
        eventually("all rounds are there", limit, || {
            for (series, times) in real_rounds(&site.receiver.requests())? {
                let gaps = times.keys().zip(times.keys().skip(1)).filter(|(a, b)| *b - *a > 1010).count();
                ensure!(gaps == 0, "{series}: {gaps} gaps");
            }
            Ok(())
        })
    };

    let mut agent = site.start_on("size=256k")?;
    came("a push", "wan_agent_queue_disk_failed", 0.0)?;
    let fill = format!("dd if=/dev/zero of={0}/filler bs=1k 2>/dev/null; ls {0}/queue", site.data);
    site.in_mounts_of(&agent, &fill)?;
    site.receiver.set(Mode::Refuse(503));
    says(&mut agent, "the queue cannot use its disk", 1)?;
    says(&mut agent, "free some space there", 1)?;
    std::thread::sleep(Duration::from_secs(4));
    site.receiver.set(Mode::Accept(0));
    came("the gauge", "wan_agent_queue_disk_failed", 1.0).or_else(|error| {
        // It may have been seen and be over.
        let seen = site
            .receiver
            .requests()
            .iter()
            .flat_map(|request| request.samples.clone())
            .any(|sample| sample.metric == "wan_agent_queue_disk_failed" && sample.value == 1.0);
        if seen { Ok(()) } else { Err(error) }
    })?;
    all_there()?;
    site.receiver.set(Mode::Refuse(503));
    std::thread::sleep(Duration::from_secs(2));
    site.in_mounts_of(&agent, &format!("rm {}/filler", site.data))?;
    says(&mut agent, "the queue uses its disk again", 1)?;
    site.receiver.set(Mode::Accept(0));
    came("the gauge", "wan_agent_queue_disk_failed", 0.0)?;
    all_there()?;
    agent.stop()?;

    site.receiver.take();
    let mut agent = site.start_on("size=256k,ro")?;
    says(&mut agent, "mount it writable", 1)?;
    came("a push", "wan_agent_queue_disk_failed", 1.0)?;
    site.receiver.set(Mode::Refuse(503));
    std::thread::sleep(Duration::from_secs(3));
    site.receiver.set(Mode::Accept(0));
    all_there()?;
    site.in_mounts_of(&agent, &format!("mount -o remount,rw {}", site.data))?;
    came("the gauge", "wan_agent_queue_disk_failed", 0.0)?;
    all_there()?;
    agent.stop()?;
    site.scene.passed();
    Ok(())
}
