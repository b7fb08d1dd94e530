//! A day of a small province, minute by minute: what its agents push goes through the collector's own journal, decoder and evidence, it looks for
//! alerts, and every two minutes it says what `/metrics` would have shown. What agents pushed is forwarded from that journal by a collector that
//! runs. What happened is written down here, so that every figure can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use wan_collector::alert::watch::Watcher;
use wan_collector::config::Config;
use wan_collector::counters::Counters;
use wan_collector::incidents::Teller;
use wan_collector::inventory::diff::Change;
use wan_collector::inventory::{Link, Location, Site, Watches};
use wan_collector::state::State;
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{AgentSecret, Store as _};
use wan_collector::{load, metrics, record};
use wan_journal::{Journal, Options};
use wan_tests::clock::eventually;
use wan_tests::collector::Collector;
use wan_tests::netns::Namespace;
use wan_tests::payload::{self, Sample};
use wan_tests::scene::Scene;
use wan_tests::stores::Store;
use wan_wire::{Protocol, UnixMillis};

/// 2025-01-15 00:00 in Vietnam: long past, so that nothing depends on the present.
pub(crate) const START: i64 = 1_736_874_000_000;
pub(crate) const MINUTE: i64 = 60_000;
/// The day's minutes.
pub(crate) const DAY: i64 = 1440;
/// The day's end.
pub(crate) const END: i64 = START + DAY * MINUTE;
/// How often `/metrics` is scraped, in minutes.
pub(crate) const SCRAPE: i64 = 2;
/// What Prometheus writes where a series ends.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A site that has an agent.
pub(crate) struct Place {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    tier: &'static str,
    branch: &'static str,
    district: Option<&'static str>,
    carrier: &'static str,
    contract: Option<&'static str>,
    has_agent: bool,
}

const fn place(
    id: &'static str,
    name: &'static str,
    of: [&'static str; 2],
    district: Option<&'static str>,
    carrier: &'static str,
    contract: Option<&'static str>,
) -> Place {
    Place { id, name, tier: of[0], branch: of[1], district, carrier, contract, has_agent: true }
}

/// The centre first: the others depend on it.
pub(crate) const PLACES: [Place; 8] = [
    place("trung-tam", "Trung tâm dữ liệu", ["province", "state"], None, "VNPT", None),
    place("so-y-te", "Đảng ủy Sở Y tế", ["province", "party"], None, "Viettel", Some("HD-VIETTEL")),
    place("huyen-a", "UBND huyện A", ["district", "state"], Some("Tân Biên"), "VNPT", Some("HD-VNPT")),
    place("xa-1", "UBND xã 1", ["commune", "state"], Some("Tân Biên"), "VNPT", Some("HD-VNPT")),
    place("xa-2", "UBND xã 2", ["commune", "state"], Some("Tân Biên"), "VNPT", Some("HD-VNPT")),
    place("xa-3", "UBND xã 3", ["commune", "state"], Some("Trảng Bàng"), "Viettel", Some("HD-VIETTEL")),
    place("xa-4", "UBND xã 4", ["commune", "state"], Some("Trảng Bàng"), "Viettel", Some("HD-VIETTEL")),
    Place {
        has_agent: false,
        ..place("xa-5", "UBND xã 5", ["commune", "state"], Some("Trảng Bàng"), "VNPT", None)
    },
];

/// Minutes, from and until.
pub(crate) type Span = [i64; 2];
/// The WAN of xa-1 carries nothing.
pub(crate) const WAN_CUT: Span = [480, 570];
/// xa-2 has no power.
pub(crate) const POWER_CUT: Span = [600, 720];
/// The Internet line of xa-3 carries nothing.
pub(crate) const INTERNET_CUT: Span = [840, 870];
/// Two of five packets of huyen-a are lost on its WAN.
pub(crate) const LOSSY: Span = [960, 1020];
/// The agent of so-y-te pushes nothing; what it measured comes afterwards.
pub(crate) const SILENT: Span = [1080, 1140];
/// What the agent of xa-3 measures is lost for ever, and nobody else looks at its line.
pub(crate) const LOST: Span = [200, 230];
/// The WAN of xa-4 carries nothing until the end.
pub(crate) const OPEN_CUT: Span = [1320, DAY];
/// The round-trip times of the WAN of xa-1 are ten times as long.
pub(crate) const SLOW: Span = [300, 310];
/// From then on xa-3 has dropped so many samples.
pub(crate) const DROPPED: (i64, f64) = (700, 12.0);

/// A store that samples are forwarded to, how long what it lacks has waited, and the newest of that, in seconds.
pub(crate) const STORE: &str = "kho-chinh";
pub(crate) const BACKLOG: f64 = 12.0;
pub(crate) const LAG: f64 = 0.5;

/// By what people are told, and how many notices wait for it.
pub(crate) const CHANNEL: &str = "truc-ban";
pub(crate) const WAITING: i32 = 2;
/// How long the collector's certificate lasts after the day, in days.
pub(crate) const CERTIFICATE: i64 = 30;

/// Where the collector listens that forwards the day.
const LISTEN: &str = "127.0.0.1:8080";
/// How long it may take on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(180);

fn within(span: Span, minute: i64) -> bool {
    (span[0]..span[1]).contains(&minute)
}

/// Names and values of labels, by name.
pub(crate) type Labels = Vec<(String, String)>;

/// What was scraped, and how much was pushed.
#[derive(Default)]
pub(crate) struct Day {
    /// Each scraped series' labels and samples.
    pub(crate) series: Vec<(Labels, Vec<(i64, f64)>)>,
    /// How many samples the agents have pushed.
    pub(crate) pushed: u64,
    /// Their places, by how they are written in the exposition.
    places: BTreeMap<String, usize>,
}

impl Day {
    /// Lives through the day.
    pub(crate) fn simulate(scene: &Scene) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // The store's connections want the runtime to be there, not only while one waits.
        let _inside = runtime.enter();
        runtime.block_on(Self::live(scene))
    }

    async fn live(scene: &Scene) -> Result<Self> {
        let config = config(scene)?;
        let store = SqliteStore::open(&config.database()).await.context("open the store")?;
        fill(&store).await?;
        let counters = Arc::new(Counters::new().context("register counters")?);
        let state = Arc::new(State::new(config, Some(UnixMillis(START)), Arc::clone(&counters)));
        load::store(&state, &store).await.context("load the register")?;
        let journal = state.config.journal_dir();
        // Each step reads from the segment's start: short ones keep that short.
        let options = Options { segment_bytes: 64 << 10, zero_ahead: 0, ..Options::default() };
        let (mut journal, _) = Journal::open_dir(&journal, options).context("open the journal")?;
        let (mut teller, mut watcher) = (Teller::default(), Watcher::default());
        let (mut day, mut shown) = (Self::default(), BTreeSet::new());
        counters.journal_bytes.set(4096);
        counters.forward.begin(STORE, 4);
        counters.forward.say(STORE, 3, BACKLOG, LAG);
        counters.certificate_ends(UnixMillis(END + CERTIFICATE * DAY * MINUTE));
        counters.outbox_pending.with_label_values(&[CHANNEL]).set(WAITING.into());
        for step in 1..=DAY / SCRAPE {
            let from = journal.next_seq();
            for minute in (step - 1) * SCRAPE..step * SCRAPE {
                for place in PLACES.iter().filter(|place| place.has_agent) {
                    day.push(place, minute, &mut journal, &counters)?;
                }
            }
            journal.sync().context("sync the journal")?;
            load::journal(&state, journal.reader(from)).context("read the journal")?;
            let now = UnixMillis(START + step * SCRAPE * MINUTE);
            if step % 2 == 0 {
                teller.pass(&state, &store, now).await.context("tell incidents")?;
            }
            let alerts = watcher.look(&state, &store, now).await.context("look for alerts")?;
            counters.alerts_looked(now);
            // As if they were delivered at once.
            for channel in alerts.notices.iter().flat_map(|(_, channels)| channels) {
                counters.notices.with_label_values(&[channel.as_str(), "delivered"]).inc();
            }
            let scrape = metrics::scrape(&state, now, &|| true).context("scrape")?;
            let text = String::from_utf8(scrape.text().collect::<Vec<_>>().concat()).context("UTF-8")?;
            shown = day.scrape(&text, now.0, &shown)?;
        }
        Ok(day)
    }

    /// Has the stores get what the agents pushed: a collector is started on the day's journal, long after the day, and forwards all of it.
    pub(crate) fn forward(&self, scene: &Scene, space: &Namespace, stores: &[Store]) -> Result<()> {
        let mut config = format!("listen: \"{LISTEN}\"\ndata: data\nforward:\n");
        for store in stores {
            let (name, url) = (store.kind().name(), store.url());
            writeln!(config, "  - {{name: {name}, url: \"{url}\", start: oldest, max_age: 3650d}}")?;
        }
        let config = scene.write("forwarding.yaml", &config)?;
        let mut collector = Collector::of(scene, LISTEN.parse()?, config).inside(space);
        collector.start()?;
        let figure = |of: &str, store: &Store| {
            collector.figure(&format!("wan_collector_forward_{of}{{store=\"{}\"}}", store.kind().name()))
        };
        for store in stores {
            eventually("all of the day is forwarded", PATIENCE, || {
                #[allow(clippy::cast_precision_loss, reason = "some hundred thousand samples")]
                let pushed = self.pushed as f64;
                let confirmed = figure("samples_total", store)?;
                ensure!(confirmed == pushed, "{confirmed} of {pushed} samples");
                ensure!(figure("backlog_requests", store)? == 0.0, "more is to come");
                Ok(())
            })?;
        }
        collector.stop()
    }

    /// What the agent pushes at the end of a minute, if it does, to the journal.
    fn push(&mut self, place: &Place, minute: i64, journal: &mut Journal, counters: &Counters) -> Result<()> {
        let silent = place.id == "so-y-te" && within(SILENT, minute);
        let lost = place.id == "xa-3" && within(LOST, minute);
        if silent || lost || (place.id == "xa-2" && within(POWER_CUT, minute)) {
            return Ok(());
        }
        let backlog = if place.id == "so-y-te" && minute == SILENT[1] { SILENT[0]..minute } else { 0..0 };
        let mut request = Vec::new();
        let mut count = 0;
        for measured in backlog.chain([minute]) {
            let time = START + (measured + 1) * MINUTE;
            let mut series = rounds(place, measured);
            if measured == minute {
                series.extend(facts(place, minute));
            }
            for (labels, value) in series {
                let borrowed: Vec<(&str, &str)> =
                    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                payload::push_series(&mut request, &borrowed, &[Sample { value, time }]);
                count += 1;
            }
        }
        let received = UnixMillis(START + (minute + 1) * MINUTE);
        let mut frame =
            record::start(record::By::Agent, &place.id.parse()?, received, Protocol::V1, request.len());
        frame.extend_from_slice(&payload::compress(&request)?);
        journal.append(&frame).context("append to the journal")?;
        // As the endpoint counts them.
        counters.requests.with_label_values(&["200"]).inc();
        self.pushed += count;
        counters.samples.inc_by(count);
        counters.forward.samples.with_label_values(&[STORE]).inc_by(count);
        counters.request_seconds.observe(0.004);
        counters.journal_sync_seconds.observe(0.002);
        counters.checkpoint_seconds.observe(0.010);
        Ok(())
    }

    /// Takes a page in as a scrape does, and gives the series that it has. One that was there and is no more ends here.
    fn scrape(&mut self, page: &str, time: i64, before: &BTreeSet<usize>) -> Result<BTreeSet<usize>> {
        let mut seen = BTreeSet::new();
        for line in page.lines().filter(|line| line.starts_with("wan_")) {
            let (series, value) = line.rsplit_once(' ').context("a sample without a value")?;
            let value = value.parse().with_context(|| line.to_owned())?;
            seen.insert(self.add(series, time, value, || {
                let mut labels = parse_labels(series).with_context(|| line.to_owned())?;
                labels.push(("job".to_owned(), "wanwatch".to_owned()));
                labels.sort_unstable();
                Ok(labels)
            })?);
        }
        for gone in before.difference(&seen) {
            self.series[*gone].1.push((time, f64::from_bits(STALE)));
        }
        Ok(seen)
    }

    /// Adds a sample and gives the place of its series, which has these labels if it is new.
    fn add(
        &mut self,
        key: &str,
        time: i64,
        value: f64,
        labels: impl FnOnce() -> Result<Labels>,
    ) -> Result<usize> {
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => {
                self.series.push((labels()?, Vec::new()));
                self.places.insert(key.to_owned(), self.series.len() - 1);
                self.series.len() - 1
            }
        };
        self.series[place].1.push((time, value));
        Ok(place)
    }
}

fn config(scene: &Scene) -> Result<Config> {
    let contract = |id: &str, carrier: &str, uptime: &str| {
        format!("  - {{id: {id}, name: {id}, carrier: {carrier}, kind: wan, uptime: {uptime}}}\n")
    };
    let channel = format!("alerts:\n  channels:\n  - {{name: {CHANNEL}, command: {{run: [/bin/true]}}}}\n");
    let text = format!(
        "data: data\nplan:\n  tiers:\n    - {{id: province, name: Tỉnh, target: 0.7}}\n    - {{id: district, name: Huyện, target: 0.7}}\n    \
         - {{id: commune, name: Xã, target: 0.5}}\n{channel}contracts:\n{}{}",
        contract("HD-VNPT", "VNPT", "99%"),
        contract("HD-VIETTEL", "Viettel", "95%"),
    );
    let path = scene.write("collector.yaml", &text)?;
    Config::load(path.as_ref()).map_err(|mistakes| anyhow::anyhow!("{mistakes}"))
}

async fn fill(store: &SqliteStore) -> Result<()> {
    let mut changes = Vec::new();
    for (number, place) in (0_i32..).zip(&PLACES) {
        let link = |name: &str| -> Result<Link> { Ok(Link::named(name.parse()?)) };
        let mut wan = link("wan")?;
        wan.carrier = Some(place.carrier.to_owned());
        wan.contract = place.contract.map(str::to_owned);
        let mut internet = link("internet")?;
        internet.carrier = Some("FPT".to_owned());
        changes.push(Change::Added(Site {
            parent: (number > 0).then(|| "trung-tam".parse()).transpose()?,
            district: place.district.map(str::to_owned),
            // Of the month only this day counts.
            valid_from: Some(jiff::civil::date(2025, 1, 15)),
            location: Some(Location {
                latitude: 11.0 + f64::from(number) / 10.0,
                longitude: 106.0 + f64::from(number) / 10.0,
            }),
            watches: if number == 0 { Watches::All } else { Watches::None },
            links: vec![internet, link("lan")?, wan],
            ..Site::named(place.id.parse()?, place.name, place.tier.parse()?, place.branch.parse()?)
        }));
    }
    let revision = store.change_register(0, &changes).await.context("write the register")?;
    let mut secrets = Vec::new();
    for (number, place) in (1_u8..).zip(PLACES.iter().filter(|place| place.has_agent)) {
        let issued = UnixMillis(START);
        secrets.push(AgentSecret { site: place.id.parse()?, hash: [number; 32], issued, revoked: None });
    }
    store.issue_secrets(revision, &secrets).await.context("issue secrets")?;
    Ok(())
}

type Series = (Labels, f64);

fn series(name: &str, more: &[(&str, &str)], value: f64) -> Series {
    let mut labels: Labels = [("__name__", name)]
        .iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    labels.sort_unstable();
    (labels, value)
}

/// How many of five packets come back, and how many times as long as usual that takes.
fn answered(place: &str, link: &str, minute: i64) -> (u32, f64) {
    match (place, link) {
        ("xa-1", "wan") if within(WAN_CUT, minute) => (0, 1.0),
        ("xa-1", "wan") if within(SLOW, minute) => (5, 10.0),
        ("xa-2", _) if within(POWER_CUT, minute) => (0, 1.0),
        ("xa-3", "internet") if within(INTERNET_CUT, minute) => (0, 1.0),
        ("huyen-a", "wan") if within(LOSSY, minute) => (3, 1.0),
        ("xa-4", "wan") if within(OPEN_CUT, minute) => (0, 1.0),
        _ => (5, 1.0),
    }
}

/// The rounds that the agent made in a minute: its own, and those of the centre's about the routers of the others.
fn rounds(place: &Place, minute: i64) -> Vec<Series> {
    let mut all = Vec::new();
    let mut add = |link: &str, target: &str, about: Option<&str>| {
        let (received, slower) = answered(about.unwrap_or(place.id), link, minute);
        let mut metrics = vec![
            ("wan_round_interval_seconds", 60.0),
            ("wan_round_sent", 5.0),
            ("wan_round_received", f64::from(received)),
        ];
        if received > 0 {
            metrics.extend([
                ("wan_round_rtt_min_seconds", 0.004),
                ("wan_round_rtt_median_seconds", 0.005 * slower),
                ("wan_round_rtt_mean_seconds", 0.005 * slower),
                ("wan_round_rtt_max_seconds", 0.009 * slower),
            ]);
        }
        for (name, value) in metrics {
            let mut labels = vec![("link", link), ("probe", "icmp"), ("target", target)];
            labels.extend(about.map(|about| ("about", about)));
            all.push(series(name, &labels, value));
        }
    };
    add("lan", "192.168.1.1", None);
    add("wan", "10.79.0.2", None);
    add("internet", "203.0.113.10", None);
    if place.id == "trung-tam" {
        let watched = |place: &Place| place.has_agent && place.id != "xa-3";
        for (number, other) in (1..).zip(&PLACES[1..]).filter(|(_, other)| watched(other)) {
            add("wan", &format!("10.79.{number}.1"), Some(other.id));
        }
    }
    all
}

/// What the agent says of itself and its host.
fn facts(place: &Place, minute: i64) -> Vec<Series> {
    let rebooted = place.id == "xa-2" && minute >= POWER_CUT[1];
    #[allow(clippy::cast_precision_loss, reason = "times of this century are far below 2⁵³")]
    let seconds = |minute: i64| (START + minute * MINUTE) as f64 / 1000.0;
    let booted = if rebooted { POWER_CUT[1] } else { -DAY };
    // A megabit a second in, half of that out, since the host booted.
    let bytes = (seconds(minute + 1) - seconds(booted)) * 125_000.0;
    let version = if place.id == "xa-1" { "0.0.9" } else { "0.1.0" };
    let boot = if rebooted {
        "00000000-0000-4000-8000-000000000002"
    } else {
        "00000000-0000-4000-8000-000000000001"
    };
    let is = |id: &str, value: f64| if place.id == id { value } else { 0.0 };
    let eth = [("interface", "eth0")];
    vec![
        series("wan_agent_info", &[("version", version), ("boot_id", boot)], 1.0),
        series("wan_agent_boot_time_seconds", &[], seconds(booted)),
        series("wan_agent_start_time_seconds", &[], seconds(booted) + 30.0),
        series("wan_agent_clock_offset_seconds", &[], is("xa-4", -400.5)),
        series("wan_agent_clock_offset_bound_seconds", &[], 0.01),
        series("wan_agent_queue_bytes", &[], is("xa-3", 2048.0)),
        series(
            "wan_agent_dropped_samples_total",
            &[],
            if minute >= DROPPED.0 { is("xa-3", DROPPED.1) } else { 0.0 },
        ),
        series("wan_interface_receive_bytes_total", &eth, bytes),
        series("wan_interface_transmit_bytes_total", &eth, bytes / 2.0),
        series("wan_interface_receive_errors_total", &eth, 0.0),
        series("wan_interface_transmit_errors_total", &eth, 0.0),
        series("wan_interface_receive_drops_total", &eth, 0.0),
        series("wan_interface_transmit_drops_total", &eth, 0.0),
    ]
}

/// The labels of a line of the exposition, the metric's name among them.
fn parse_labels(series: &str) -> Result<Labels> {
    let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
    let mut labels = vec![("__name__".to_owned(), name.to_owned())];
    let mut rest = rest;
    while !rest.starts_with('}') {
        let (label, more) = rest.split_once("=\"").context("a label without a value")?;
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, letter) in more.char_indices() {
            match (escaped, letter) {
                (false, '\\') => escaped = true,
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (_, letter) => {
                    value.push(if escaped && letter == 'n' { '\n' } else { letter });
                    escaped = false;
                }
            }
        }
        labels.push((label.trim_start_matches(',').to_owned(), value));
        rest = more.get(end.context("a value without an end")? + 1..).unwrap_or_default();
    }
    Ok(labels)
}
