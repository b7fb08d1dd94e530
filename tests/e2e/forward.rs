//! Forwarding to Debian's Prometheus and VictoriaMetrics, to another collector, and to a store that misbehaves.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use wan_tests::api::Api;
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{Collector, Site};
use wan_tests::netns::Namespace;
use wan_tests::payload::{self, Round, Sample};
use wan_tests::process::{self, Process};
use wan_tests::receiver::{Mode, Receiver};
use wan_tests::scene::Scene;
use wan_tests::sender::{self, Connection};
use wan_tests::stores::{Kind, Store};

const SITE: &str = "xa-1";
/// On a machine that does other things too.
const LONG: Duration = Duration::from_secs(90);

fn collector(scene: &Scene, space: &Namespace, forward: &str) -> Result<Collector> {
    let listen: SocketAddr = "127.0.0.1:8080".parse().context("an address")?;
    Ok(Collector::prepare(scene, listen, forward, &[Site::commune(SITE)], &[SITE])?.inside(space))
}

/// Pushes a request as the site, which must be answered with this status.
fn push(space: &Namespace, collector: &Collector, request: &[u8], status: u16) -> Result<()> {
    push_as(SITE, space, collector, request, status)
}

fn push_as(site: &str, space: &Namespace, collector: &Collector, request: &[u8], status: u16) -> Result<()> {
    let body = payload::compress(request)?;
    let bearer = collector.bearer(site)?;
    let answer = space.within(|| {
        let mut connection = Connection::open(collector.address(), Duration::from_secs(30))?;
        connection.post("/api/v1/write", &sender::push_headers(&bearer), &body)
    })?;
    ensure!(answer.status == status, "the push was answered {}: {}", answer.status, answer.body);
    Ok(())
}

fn round(end: i64) -> Vec<u8> {
    let round = Round { link: "wan", target: "10.79.0.2", end, interval: 5000, sent: 5, received: 4 };
    let mut request = Vec::new();
    payload::push_round(&mut request, &round, &[]);
    request
}

fn series(name: &str, samples: &[Sample]) -> Vec<u8> {
    let mut request = Vec::new();
    payload::push_series(&mut request, &[("__name__", name)], samples);
    request
}

/// The times of the site's rounds that a store has.
fn times(store: &Store) -> Result<Vec<i64>> {
    let found = store.samples("wan_round_sent")?;
    let (labels, samples) = found.first_key_value().context("no series yet")?;
    let expected =
        format!("__name__=wan_round_sent,link=wan,probe=icmp,province=tay-ninh,site={SITE},target=10.79.0.2");
    ensure!(*labels == expected, "{labels}");
    ensure!(found.len() == 1 && samples.iter().all(|(_, value)| *value == 5.0), "{found:?}");
    Ok(samples.iter().map(|(time, _)| *time).collect())
}

fn has(store: &Store, expected: &[i64]) -> Result<()> {
    let found = times(store)?;
    ensure!(found == expected, "{} times instead of {}: {found:?}", found.len(), expected.len());
    Ok(())
}

#[test]
fn stores_get_every_sample_at_its_own_time_and_a_gap_closes_after_an_outage() -> Result<()> {
    let scene = Scene::new("forward-stores")?;
    let space = Namespace::alone("machine")?;
    let mut stores = [
        Store::prepare(&scene, &space, Kind::Prometheus, 9090)?,
        Store::prepare(&scene, &space, Kind::VictoriaMetrics, 8428)?,
    ];
    let [prometheus, victoria] = [stores[0].url(), stores[1].url()];
    let mut collector = collector(
        &scene,
        &space,
        &format!(
            "forward:\n  - {{name: prometheus, url: \"{prometheus}\", labels: {{province: tay-ninh}}, timeout: 5s}}\n  - {{name: victoria, url: \"{victoria}\", labels: {{province: tay-ninh}}, timeout: 5s}}\n"
        ),
    )?;
    for store in &mut stores {
        store.start()?;
    }
    collector.start()?;
    let now = clock::unix_millis() / 5000 * 5000;
    let ago = |rounds: i64| now - rounds * 5000;
    // Neither speaks 2.0, and both answer 2xx to it: that is no reason to lose the first samples.
    push(&space, &collector, &round(ago(300)), 204)?;
    for store in &stores {
        eventually("the first round is there", LONG, || has(store, &[ago(300)]))?;
    }
    // Both are away; the collector neither minds nor keeps its agents waiting.
    for store in &mut stores {
        store.stop()?;
    }
    for number in (200..300).rev() {
        push(&space, &collector, &round(ago(number)), 204)?;
    }
    eventually("that they are away is seen", LONG, || {
        ensure!(
            collector.figure("wan_collector_forward_retries_total{store=\"victoria\"}")? > 1.0,
            "no retry"
        );
        let waiting = collector.figure("wan_collector_forward_backlog_requests{store=\"prometheus\"}")?;
        ensure!(waiting >= 100.0, "{waiting} wait");
        Ok(())
    })?;
    let ready = collector.api().get("/readyz")?;
    ensure!(ready.status == 200, "a store that is away does not make the collector unready: {}", ready.body);
    // Nor does it matter that the collector dies meanwhile.
    collector.kill()?;
    collector.start()?;
    for store in &mut stores {
        store.start()?;
    }
    let filled: Vec<i64> = (200..=300).rev().map(ago).collect();
    for store in &stores {
        eventually("the gap is closed", LONG, || has(store, &filled))?;
    }
    // What comes late lands at its own time: after the newest, what an agent measured before it, out of order.
    push(&space, &collector, &round(now), 204)?;
    for number in [50, 150, 100] {
        push(&space, &collector, &round(ago(number)), 204)?;
    }
    let filled: Vec<i64> = filled.into_iter().chain([150, 100, 50, 0].map(ago)).collect();
    for store in &stores {
        eventually("late rounds are at their own time", LONG, || has(store, &filled))?;
    }
    // Prometheus refuses what is older than its window. That costs those samples and no other.
    let sample = |time| [Sample { value: 7.0, time }];
    let mut mixed = series("good_before", &sample(now));
    mixed.extend(series("too_old", &sample(now - 20 * 3_600_000)));
    mixed.extend(series("good_after", &sample(now)));
    push(&space, &collector, &series("too_old", &sample(now)), 204)?;
    eventually("the newest is there", LONG, || {
        ensure!(stores[0].samples("too_old")?.len() == 1, "not yet");
        Ok(())
    })?;
    push(&space, &collector, &mixed, 204)?;
    for name in ["good_before", "good_after"] {
        for store in &stores {
            eventually("the good ones are there", LONG, || {
                ensure!(store.samples(name)?.len() == 1, "no {name}");
                Ok(())
            })?;
        }
    }
    let bounds = "wan_collector_forward_refused_samples_total{reason=\"out_of_bounds\",store=\"prometheus\"}";
    eventually("it is counted", LONG, || {
        let refused = collector.figure(bounds)?;
        ensure!(refused == 1.0, "{refused} refused");
        Ok(())
    })?;
    for name in ["prometheus", "victoria"] {
        let waiting = format!("wan_collector_forward_backlog_requests{{store=\"{name}\"}}");
        eventually("nothing waits", LONG, || {
            ensure!(collector.figure(&waiting)? == 0.0, "some do");
            Ok(())
        })?;
    }
    collector.stop()?;
    scene.passed();
    Ok(())
}

#[test]
fn in_order_a_prometheus_without_a_window_refuses_nothing_after_an_outage() -> Result<()> {
    let scene = Scene::new("forward-in-order")?;
    let space = Namespace::alone("machine")?;
    let mut store = Store::in_order(&scene, &space, 9090)?;
    let forward = format!(
        "forward: [{{name: prometheus, url: \"{}\", order: in_order, labels: {{province: tay-ninh}}}}]\n",
        store.url()
    );
    let mut collector = collector(&scene, &space, &forward)?;
    store.start()?;
    collector.start()?;
    let now = clock::unix_millis() / 5000 * 5000;
    let ago = |rounds: i64| now - rounds * 5000;
    push(&space, &collector, &round(ago(100)), 204)?;
    eventually("the first round is there", LONG, || has(&store, &[ago(100)]))?;
    store.stop()?;
    for number in (40..100).rev() {
        push(&space, &collector, &round(ago(number)), 204)?;
    }
    // A live stream that did not wait would have gone on with the newest by then.
    let backlog = "wan_collector_forward_backlog_seconds{store=\"prometheus\"}";
    eventually("they wait", LONG, || {
        let waiting = collector.figure(backlog)?;
        ensure!(waiting > 7.0, "for {waiting} s");
        Ok(())
    })?;
    for number in (1..40).rev() {
        push(&space, &collector, &round(ago(number)), 204)?;
    }
    collector.kill()?;
    collector.start()?;
    store.start()?;
    push(&space, &collector, &round(now), 204)?;
    let all: Vec<i64> = (0..=100).rev().map(ago).collect();
    eventually("the gap is closed", LONG, || has(&store, &all))?;
    let page = collector.api().get("/metrics")?.body;
    let refused: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("wan_collector_forward_refused_samples_total{"))
        .filter(|line| !line.ends_with(" 0"))
        .collect();
    ensure!(refused.is_empty(), "{refused:?}");
    collector.stop()?;
    scene.passed();
    Ok(())
}

/// What a store has of the series `s`, by time.
fn received(receiver: &Receiver) -> BTreeSet<i64> {
    let requests = receiver.requests();
    let acknowledged = requests.iter().filter(|request| request.acknowledged);
    acknowledged.flat_map(|request| &request.samples).filter(|s| s.metric == "s").map(|s| s.time).collect()
}

#[test]
fn stores_that_hang_fail_or_refuse_delay_nobody_and_lose_only_what_they_refuse() -> Result<()> {
    let scene = Scene::new("forward-faults")?;
    let space = Namespace::alone("machine")?;
    let (bad, good) = (Receiver::start(&space)?, Receiver::start(&space)?);
    let mut collector = collector(
        &scene,
        &space,
        &format!(
            "forward:\n  - {{name: bad, url: \"{}/api/v1/write\", timeout: 1s}}\n  - {{name: good, url: \"{}/api/v1/write\"}}\n",
            bad.url(),
            good.url()
        ),
    )?;
    collector.start()?;
    let start = clock::unix_millis();
    let mut sent = BTreeSet::new();
    let mut one = |collector: &Collector| -> Result<i64> {
        let time = start + i64::try_from(sent.len())?;
        push(&space, collector, &series("s", &[Sample { value: 1.0, time }]), 204)?;
        sent.insert(time);
        Ok(time)
    };
    let arrives = |receiver: &Receiver, time: i64| {
        eventually("a sample arrives", LONG, || {
            ensure!(received(receiver).contains(&time), "not yet");
            Ok(())
        })
    };
    let retries = "wan_collector_forward_retries_total{store=\"bad\"}";
    for mode in [Mode::Hang, Mode::Cut, Mode::Refuse(503), Mode::Refuse(404), Mode::Redirect, Mode::Html(401)]
    {
        bad.set(mode);
        let before = collector.figure(retries)?;
        for _ in 0..3 {
            let time = one(&collector)?;
            arrives(&good, time)?;
        }
        eventually("the other store is tried again and again", LONG, || {
            let now = collector.figure(retries)?;
            ensure!(now >= before + 2.0, "{mode:?}: {now} retries, {before} before");
            Ok(())
        })?;
    }
    bad.set(Mode::Accept(0));
    let time = one(&collector)?;
    arrives(&bad, time)?;
    eventually("nothing was lost on the way", LONG, || {
        ensure!(
            received(&bad) == sent_so_far(start, time),
            "{} of {}",
            received(&bad).len(),
            time - start + 1
        );
        Ok(())
    })?;
    // One that refuses everything is asked less and less, costs what it was asked with, and gets the rest when it is well.
    bad.set(Mode::Refuse(400));
    let refused = "wan_collector_forward_refused_samples_total{reason=\"other\",store=\"bad\"}";
    let first = one(&collector)?;
    arrives(&good, first)?;
    eventually("it is counted", LONG, || {
        ensure!(collector.figure(refused)? >= 1.0, "not yet");
        Ok(())
    })?;
    bad.set(Mode::Accept(0));
    let last = one(&collector)?;
    arrives(&bad, last)?;
    eventually("every sample is there or counted", LONG, || {
        let (there, counted) = (received(&bad).len(), collector.figure(refused)?);
        let all = usize::try_from(last - start + 1)?;
        #[allow(clippy::cast_precision_loss, reason = "a few")]
        let sum = there as f64 + counted;
        ensure!((sum - all as f64).abs() < 0.5, "{there} there, {counted} refused, of {all}");
        Ok(())
    })?;
    eventually("the good one has all", LONG, || {
        ensure!(received(&good) == sent_so_far(start, last), "{}", received(&good).len());
        Ok(())
    })?;
    collector.stop()?;
    scene.passed();
    Ok(())
}

fn sent_so_far(start: i64, last: i64) -> BTreeSet<i64> {
    (start..=last).collect()
}

#[test]
fn kills_of_the_collector_lose_no_acknowledged_sample_on_the_way_to_a_store() -> Result<()> {
    const KILLS: usize = 5;
    let scene = Scene::new("forward-kills")?;
    let space = Namespace::alone("machine")?;
    let store = Receiver::start(&space)?;
    let forward = format!("forward:\n  - {{name: store, url: \"{}/api/v1/write\"}}\n", store.url());
    let mut collector = collector(&scene, &space, &forward)?;
    collector.start()?;
    let (address, bearer) = (collector.address(), collector.bearer(SITE)?);
    let start = clock::unix_millis();
    let acknowledged: Mutex<Vec<i64>> = Mutex::new(Vec::new());
    let count = || acknowledged.lock().map_or(0, |times| times.len());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            space.within(|| {
                let (mut connection, mut time) = (None::<Connection>, start);
                while !stop.load(Ordering::Relaxed) {
                    let body = payload::compress(&series("s", &[Sample { value: 1.0, time }]))?;
                    let answer = match &mut connection {
                        Some(connection) => {
                            connection.post("/api/v1/write", &sender::push_headers(&bearer), &body)
                        }
                        None => Connection::open(address, Duration::from_secs(10)).and_then(|open| {
                            connection.insert(open).post(
                                "/api/v1/write",
                                &sender::push_headers(&bearer),
                                &body,
                            )
                        }),
                    };
                    match answer {
                        Ok(answer) if answer.status == 204 => {
                            acknowledged.lock().map_err(|_| anyhow!("poisoned"))?.push(time);
                            time += 1;
                        }
                        Ok(_) | Err(_) => {
                            connection = None;
                            std::thread::sleep(Duration::from_millis(20));
                        }
                    }
                }
                Ok(())
            })
        });
        let killed = (1..=KILLS).try_for_each(|kill| {
            // Now and then the store is away as well.
            store.set(if kill % 2 == 0 { Mode::Refuse(503) } else { Mode::Accept(5) });
            let before = count();
            eventually("the load goes on", LONG, || {
                ensure!(count() > before + 20, "{} acknowledged", count());
                Ok(())
            })?;
            collector.kill()?;
            collector.start().with_context(|| format!("start after kill {kill}"))
        });
        stop.store(true, Ordering::Relaxed);
        killed
    })?;
    store.set(Mode::Accept(0));
    let acknowledged = acknowledged.into_inner().map_err(|_| anyhow!("poisoned"))?;
    eventually("every acknowledged sample is in the store", LONG, || {
        let there = received(&store);
        let missing = acknowledged.iter().filter(|time| !there.contains(time)).count();
        ensure!(missing == 0, "{missing} of {} are missing", acknowledged.len());
        Ok(())
    })?;
    collector.stop()?;
    scene.passed();
    Ok(())
}

/// A second collector, to which the first one forwards.
struct Ministry {
    process: Process,
    api: Api,
    /// Where a credential of it stands.
    token: String,
}

impl Ministry {
    const LISTEN: &str = "127.0.0.1:8090";

    /// Starts one with these sites, and this in its configuration; `wan-collector KIND issue NAME` makes its credential.
    fn start(
        scene: &Scene,
        space: &Namespace,
        sites: &[&str],
        further: &str,
        (kind, name): (&str, &str),
    ) -> Result<Self> {
        let listen: SocketAddr = Self::LISTEN.parse().context("an address")?;
        let data = scene.path("ministry");
        let config =
            scene.write("ministry.yaml", &format!("listen: \"{listen}\"\ndata: {data}\n{further}"))?;
        let rows: String = sites.iter().map(|site| format!("{site},Xã {site},commune,state\n")).collect();
        let register = scene.write("ministry.csv", &format!("id,name,tier,branch\n{rows}"))?;
        let program = process::binary("wan-collector")?;
        process::run(&program, &["sites", "import", "--config", &config, &register])?;
        let printed = process::run(&program, &[kind, "issue", "--config", &config, name])?;
        let secret = printed
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .find(|word| word.starts_with("wan_") && word.len() == 47)
            .context("no secret")?;
        let token = scene.write("ministry.secret", &format!("{secret}\n"))?;
        let arguments = ["serve", "--config", &config];
        let process = Process::start("ministry", &program, &arguments, Some(space), scene.dir())?;
        Ok(Self { process, api: Api::new(listen, Some(space.name())), token })
    }

    /// The entry of `forward` that sends to it.
    fn entry(&self) -> String {
        format!(
            "forward:\n  - {{name: ministry, url: \"http://{}/api/v1/write\", protocol: 2.0, token_file: {}}}\n",
            Self::LISTEN,
            self.token
        )
    }

    /// For how long it knows a link up.
    fn up_ms(&mut self, site: &str, link: &str, (from, to): (i64, i64)) -> Result<i64> {
        self.process.check_running()?;
        Ok(self.api.uptime(site, link, from, to)?.with_context(|| format!("no figures of {site}"))?.up_ms)
    }
}

#[test]
fn another_collector_takes_what_is_forwarded_and_draws_the_same_from_it() -> Result<()> {
    let scene = Scene::new("forward-collector")?;
    let space = Namespace::alone("machine")?;
    let mut ministry = Ministry::start(&scene, &space, &[SITE], "", ("agents", SITE))?;
    let mut collector = collector(&scene, &space, &ministry.entry())?;
    collector.start()?;
    let end = clock::unix_millis() / 5000 * 5000;
    for number in (0..20).rev() {
        push(&space, &collector, &round(end - number * 5000), 204)?;
    }
    let (from, to) = (end - 20 * 5000, end);
    let below = collector.api().uptime(SITE, "wan", from, to)?.context("no figures")?;
    eventually("the ministry has the same", LONG, || {
        let above = ministry.up_ms(SITE, "wan", (from, to))?;
        ensure!(above == 100_000 && above == below.up_ms, "{above}, below {below:?}");
        Ok(())
    })?;
    collector.stop()?;
    ministry.process.stop()?;
    scene.passed();
    Ok(())
}

/// As in deploy/forward.md.
const PROVINCE: &str = "
senders:
  - name: tay-ninh
    sites: [xa-1, xa-2, centre]
    rounds:
      - {sent: wan_round_sent, received: wan_round_received, rtt: {metric: wan_round_rtt_median_seconds},
         labels: {about: \"\"}, link_label: link, target_label: target, interval: 5s}
      - {sent: wan_round_sent, received: wan_round_received, rtt: {metric: wan_round_rtt_median_seconds},
         site_label: about, link_label: link, target_label: target, interval: 5s}
";

#[test]
fn a_ministry_takes_a_whole_province_as_one_sender() -> Result<()> {
    let scene = Scene::new("forward-province")?;
    let space = Namespace::alone("machine")?;
    let sites = [SITE, "xa-2", "centre"];
    let mut ministry = Ministry::start(&scene, &space, &sites, PROVINCE, ("senders", "tay-ninh"))?;
    let register = "id,name,tier,branch,watches\nxa-1,Xã 1,commune,state,\nxa-2,Xã 2,commune,state,\n\
                    centre,Trung tâm,province,state,all\n";
    let register = scene.write("province.csv", register)?;
    let listen: SocketAddr = "127.0.0.1:8080".parse().context("an address")?;
    let mut collector =
        Collector::prepare_from(&scene, listen, &ministry.entry(), register.as_ref(), &sites)?.inside(&space);
    collector.start()?;
    let end = clock::unix_millis() / 5000 * 5000;
    let window = (end - 20 * 5000, end);
    for number in (0..20).rev() {
        let end = end - number * 5000;
        let of = |link, received, extra: &[(&str, &str)]| {
            let round = Round { link, target: "10.79.0.2", end, interval: 5000, sent: 5, received };
            let mut request = Vec::new();
            payload::push_round(&mut request, &round, extra);
            request
        };
        push_as(SITE, &space, &collector, &of("wan", 5, &[]), 204)?;
        // Down for the second half.
        push_as("xa-2", &space, &collector, &of("wan", if number < 10 { 0 } else { 5 }, &[]), 204)?;
        // What the centre sees is of the site that it looks at.
        push_as("centre", &space, &collector, &of("wan-vnpt", 5, &[("about", SITE)]), 204)?;
    }
    eventually("the ministry knows every site's links", LONG, || {
        for (site, link, up_ms) in
            [(SITE, "wan", 100_000), ("xa-2", "wan", 50_000), (SITE, "wan-vnpt", 100_000)]
        {
            let found = ministry.up_ms(site, link, window)?;
            ensure!(found == up_ms, "{site} {link}: {found}, expected {up_ms}");
        }
        Ok(())
    })?;
    let centre = ministry.api.uptime("centre", "wan-vnpt", window.0, window.1)?;
    ensure!(centre.is_none_or(|centre| centre.up_ms == 0), "of the centre itself nothing was said");
    let site = ministry.api.json("/api/v1/sites/xa-1")?;
    ensure!(site["verdict"] == "not_enrolled", "no agent of it speaks there: {site}");
    collector.stop()?;
    ministry.process.stop()?;
    scene.passed();
    Ok(())
}
