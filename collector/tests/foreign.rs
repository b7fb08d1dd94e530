//! Senders that are no agents, over real HTTP: what Prometheus, vmagent and Telegraf push becomes evidence by the configuration's mapping.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod register;
mod running;

use std::path::Path;

use running::Running as Collector;
use wan_collector::config::Config;
use wan_collector::inventory::Register;
use wan_collector::inventory::read::{File, Format, read};
use wan_collector::ledger::timeline::{State, Window};
use wan_collector::province::Province;
use wan_wire::{Protocol, RequestBuilder, Sample, UnixMillis};

/// The stale marker of Prometheus.
const STALE: u64 = 0x7ff0_0000_0000_0002;

const SENDERS: &str = "
senders:
  - name: prom
    sites: [xa-a, xa-b]
    rounds:
      - {up: probe_success, labels: {job: wan}, link: wan, interval: 15s,
         rtt: {metric: probe_icmp_duration_seconds, labels: {phase: rtt}}}
      - {up: probe_success, link_label: link, interval: 15s}
      - {sent: ping_packets_transmitted, received: ping_packets_received, site_label: agency, target_label: url,
         link: internet, interval: 60s, rtt: {metric: ping_average_response_ms, unit: ms}}
  - name: one
    sites: [xa-c]
    rounds: [{up: up, site: xa-c, link: wan, interval: 15s}]
";

fn config(data: &Path) -> Config {
    let mut config = Config::parse("c.yaml", SENDERS.as_bytes()).unwrap();
    config.data = data.to_owned();
    config
}

async fn seed(data: &Path) {
    let config = config(data);
    let rows = ["xa-a", "xa-b", "xa-c"].map(|id| format!("{id},Xã {id},commune,state,wan internet\n"));
    let bytes = format!("id,name,tier,branch,links\n{}", rows.concat());
    let file = File { name: "sites.csv", bytes: bytes.as_bytes(), format: Format::Csv };
    let sites = read(&[file], &config.plan, &Register::default()).unwrap();
    let secrets = ["prom", "one", "xa-a"].map(|name| (name, format!("secret-of-{name}")));
    let secrets = secrets.each_ref().map(|(name, secret)| (*name, secret.as_str()));
    register::seed(&config.database(), sites, &secrets).await.close().await;
}

/// The present, on a whole second, some time ago.
fn base() -> UnixMillis {
    UnixMillis(wan_collector::clock::now().0 / 1000 * 1000 - 120_000)
}

type Series<'s> = (&'s [(&'s str, &'s str)], i64, f64);

fn request(protocol: Protocol, base: UnixMillis, series: &[Series<'_>]) -> Vec<u8> {
    let mut request = RequestBuilder::new(protocol);
    for (labels, second, value) in series {
        let sample = Sample { time: base.plus_millis(second * 1000), value: *value };
        request.series(labels, &[sample]).unwrap();
    }
    request.finish_compressed().unwrap()
}

async fn push(collector: &Collector, name: &str, protocol: Protocol, body: Vec<u8>) -> (u16, String) {
    let request =
        collector.client.post(collector.url("/api/v1/write")).header("content-type", protocol.content_type());
    let request =
        request.header("content-encoding", "snappy").bearer_auth(format!("secret-of-{name}")).body(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// What a data folder says of a link, known spans as (start − base, end − base, state) in seconds.
async fn timeline(data: &Path, base: UnixMillis, site: &str, link: &str) -> Vec<(i64, i64, State)> {
    let state = wan_collector::load_read_only(config(data)).await.unwrap();
    let province = Province::of(&state, base.plus_millis(120_000));
    let window = Window::new(base.plus_millis(-120_000), base.plus_millis(120_000));
    let site = province.site(&site.parse().unwrap()).unwrap();
    let Some(timeline) = province.timeline(&site, Some(&link.parse().unwrap()), window) else {
        return Vec::new();
    };
    let known = timeline.intervals.iter().filter(|interval| !matches!(interval.state, State::Unknown(_)));
    let second = |at: UnixMillis| (at.0 - base.0) / 1000;
    known.map(|interval| (second(interval.start), second(interval.end), interval.state)).collect()
}

const A: &[(&str, &str)] =
    &[("__name__", "probe_success"), ("instance", "10.0.0.1"), ("job", "wan"), ("site", "xa-a")];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sender_says_of_a_site_is_evidence_with_its_own_vantage_in_either_protocol_and_order() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::begin(config(data.path())).await;
    // Late, twice, and out of order; in one request and in several.
    let requests: [(Protocol, &[Series<'_>]); 4] = [
        (Protocol::V1, &[(A, 45, 0.0)]),
        (Protocol::V2, &[(A, 15, 1.0), (A, 60, 1.0)]),
        (Protocol::V1, &[(A, 30, 0.0), (A, 15, 1.0)]),
        (Protocol::V2, &[(A, 45, 0.0)]),
    ];
    for (protocol, series) in requests {
        let answer = push(&collector, "prom", protocol, request(protocol, base, series)).await;
        assert_eq!(answer, (204, String::new()));
    }
    // A round reaches back a second beyond its 15.
    let expected = [(-1, 15, State::Up), (15, 44, State::Down), (44, 60, State::Up)];
    assert_eq!(timeline(data.path(), base, "xa-a", "wan").await, expected, "as after a kill");
    let url = collector.url("/api/v1/sites/xa-a");
    let site: serde_json::Value =
        collector.client.get(url).send().await.unwrap().text().await.unwrap().parse().unwrap();
    let wan = site["links"].as_array().unwrap().iter().find(|link| link["link"] == "wan").unwrap().clone();
    assert_eq!(wan["vantages"][0]["vantage"], "prom", "{wan}");
    collector.stop().await;
    assert_eq!(timeline(data.path(), base, "xa-a", "wan").await, expected, "after a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_of_another_an_unknown_one_and_none_are_refused_by_name_and_the_rest_is_kept() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::begin(config(data.path())).await;
    let of = |site: &'static str| [("__name__", "probe_success"), ("job", "wan"), ("site", site)];
    let (c, nowhere, odd) = (of("xa-c"), of("xa-nowhere"), of("Xã A"));
    let none = [("__name__", "probe_success"), ("job", "wan")];
    let no_link = [("__name__", "probe_success"), ("job", "lan"), ("site", "xa-a")];
    let bad_link = [("__name__", "probe_success"), ("link", "van"), ("site", "xa-a")];
    let series: [Series<'_>; 8] = [
        (A, 15, 1.0),
        (&c, 15, 0.0),
        (&nowhere, 15, 0.0),
        (&odd, 15, 0.0),
        (&none, 15, 0.0),
        (&no_link, 15, 0.0),
        (&bad_link, 15, 0.0),
        (A, 30, 0.5),
    ];
    let (status, told) = push(&collector, "prom", Protocol::V1, request(Protocol::V1, base, &series)).await;
    assert_eq!(status, 400);
    assert!(told.starts_with("7 of 8 samples were refused, the rest is kept:"), "{told}");
    for reason in [
        "sender prom may not speak for site xa-c",
        "sender prom may not speak for site xa-nowhere",
        "site: found \"Xã A\"",
        "needs the label site",
        "needs the label link",
        "found \"van\"",
        "about xa-a that ended",
        "found 0.5, expected 1",
    ] {
        assert!(told.contains(reason), "no {reason} in {told}");
    }
    assert_eq!(timeline(data.path(), base, "xa-a", "wan").await, [(-1, 15, State::Up)]);
    assert_eq!(timeline(data.path(), base, "xa-c", "wan").await, []);
    // What an agent sends is nothing to a sender, and a site's own secret is no sender's.
    let round = [
        ("__name__", "wan_round_sent"),
        ("link", "wan"),
        ("probe", "icmp"),
        ("site", "xa-c"),
        ("target", "t"),
    ];
    let answer =
        push(&collector, "prom", Protocol::V1, request(Protocol::V1, base, &[(&round, 15, 1.0)])).await;
    assert_eq!(answer.0, 204, "ignored");
    let answer = push(&collector, "xa-a", Protocol::V1, request(Protocol::V1, base, &[(A, 45, 0.0)])).await;
    assert_eq!(answer.0, 204, "ignored: an agent's series have other names");
    assert_eq!(timeline(data.path(), base, "xa-a", "wan").await, [(-1, 15, State::Up)]);
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_markers_wrong_clocks_other_series_and_metadata_are_no_outage() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::begin(config(data.path())).await;
    let other = [("__name__", "node_cpu_seconds_total"), ("cpu", "0"), ("site", "xa-c")];
    let series: [Series<'_>; 4] =
        [(A, 15, 1.0), (A, 30, f64::from_bits(STALE)), (&other, 15, 1e9), (&other, 30, 3.0)];
    for protocol in [Protocol::V1, Protocol::V2] {
        let answer = push(&collector, "prom", protocol, request(protocol, base, &series)).await;
        assert_eq!(answer, (204, String::new()), "a counter that starts anew is none of ours");
        let empty = RequestBuilder::new(protocol).finish_compressed().unwrap();
        assert_eq!(push(&collector, "prom", protocol, empty).await.0, 204, "nothing at all");
    }
    // WriteRequest.metadata of remote write 1.0: field 3, a message with a type and a name.
    let metadata = [&[0x1a, 0x0f, 0x08, 0x02, 0x12, 0x0b][..], b"node_uname_"].concat();
    let body = snap::raw::Encoder::new().compress_vec(&metadata).unwrap();
    assert_eq!(push(&collector, "prom", Protocol::V1, body).await, (204, String::new()));

    let hour = request(Protocol::V1, base, &[(A, 3600, 0.0), (A, -50 * 86_400, 0.0), (A, 45, 0.0)]);
    let (status, told) = push(&collector, "prom", Protocol::V1, hour).await;
    assert!(status == 400 && told.starts_with("2 of 3 samples were refused"), "{told}");
    assert!(told.contains("is the sender's clock right?"), "{told}");
    let expected = [(-1, 15, State::Up), (29, 45, State::Down)];
    assert_eq!(
        timeline(data.path(), base, "xa-a", "wan").await,
        expected,
        "what follows a stale marker is unknown"
    );

    let url = collector.url("/metrics");
    let metrics = collector.client.get(url).send().await.unwrap().text().await.unwrap();
    for line in [
        "wan_collector_sender_samples_total{result=\"ignored\",sender=\"prom\"} 4",
        "wan_collector_sender_samples_total{result=\"refused\",sender=\"prom\"} 2",
        "wan_collector_sender_samples_total{result=\"taken\",sender=\"prom\"} 5",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_start_anew_are_rounds_like_any_other() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::begin(config(data.path())).await;
    let of = |name: &'static str| [("__name__", name), ("agency", "xa-b"), ("url", "203.0.113.10")];
    let (sent, received) = (of("ping_packets_transmitted"), of("ping_packets_received"));
    // As of one that counts on, and was started anew before the third: none is compared with the one before.
    let series: Vec<Series<'_>> = [(0, 1000.0, 990.0), (60, 1005.0, 995.0), (120, 5.0, 0.0)]
        .into_iter()
        .flat_map(|(at, all, answered)| [(&sent[..], at, all), (&received[..], at, answered)])
        .collect();
    let answer = push(&collector, "prom", Protocol::V2, request(Protocol::V2, base, &series)).await;
    assert_eq!(answer, (204, String::new()));
    let expected = [(-61, 60, State::Up), (60, 120, State::Down)];
    assert_eq!(timeline(data.path(), base, "xa-b", "internet").await, expected);
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_an_hour_behind_tells_of_an_hour_ago_and_one_ahead_is_refused() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::begin(config(data.path())).await;
    let ahead = request(Protocol::V2, base, &[(A, 3600, 0.0)]);
    let (status, told) = push(&collector, "prom", Protocol::V2, ahead).await;
    assert!(status == 400 && told.contains("further in the future than ingest.max_future"), "{told}");
    let behind = request(Protocol::V2, base, &[(A, -3600, 0.0)]);
    assert_eq!(push(&collector, "prom", Protocol::V2, behind).await, (204, String::new()));
    assert_eq!(timeline(data.path(), base, "xa-a", "wan").await, [], "of now nothing was said");
    let then = base.plus_millis(-3_600_000);
    assert_eq!(timeline(data.path(), then, "xa-a", "wan").await, [(-16, 0, State::Down)]);
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_labels_cost_their_series_and_many_series_no_memory_without_end() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::begin(config(data.path())).await;
    let bytes = |field: u8, bytes: &[u8]| {
        let length = bytes.len();
        let low = u8::try_from(length & 0x7f).unwrap() | 0x80;
        let high = u8::try_from(length >> 7 & 0x7f).unwrap() | 0x80;
        [&[field << 3 | 2, low, high, u8::try_from(length >> 14).unwrap()], bytes].concat()
    };
    let series = |labels: &[(String, String)], value: f64| {
        let pair = |(name, value): &(String, String)| {
            [bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat()
        };
        let labels: Vec<u8> = labels.iter().flat_map(|label| bytes(1, &pair(label))).collect();
        let mut time = base.plus_millis(15_000).0.unsigned_abs();
        let mut sample = [&[0x09][..], &value.to_le_bytes(), &[0x10]].concat();
        while time >= 0x80 {
            sample.push(u8::try_from(time & 0x7f).unwrap() | 0x80);
            time >>= 7;
        }
        sample.push(u8::try_from(time).unwrap());
        bytes(1, &[labels, bytes(2, &sample)].concat())
    };
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut thousand = own(A);
    thousand.extend((0..1000).map(|number| (format!("x{number:04}"), "v".to_owned())));
    let body = [series(&thousand, 0.0), series(&own(A), 1.0)].concat();
    let body = snap::raw::Encoder::new().compress_vec(&body).unwrap();
    let (status, told) = push(&collector, "prom", Protocol::V1, body).await;
    assert!(status == 400 && told.starts_with("1 of 2 samples were refused"), "{told}");
    assert_eq!(timeline(data.path(), base, "xa-a", "wan").await, [(-1, 15, State::Up)]);

    // Far more series than are known by their bytes: each is looked at anew, and nothing grows with them.
    for part in 0..3 {
        let many: Vec<u8> = (0..100_000)
            .flat_map(|number| {
                series(&own(&[("__name__", "other"), ("n", &format!("{part}-{number}"))]), 1.0)
            })
            .collect();
        let body = snap::raw::Encoder::new().compress_vec(&many).unwrap();
        assert_eq!(push(&collector, "prom", Protocol::V1, body).await, (204, String::new()));
    }
    let metrics = collector.client.get(collector.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let known = metrics.lines().find_map(|line| line.strip_prefix("wan_collector_series ")).unwrap();
    assert!(known.parse::<u32>().unwrap() <= 1 << 18, "{known}");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn telegraf_s_counts_become_rounds_and_a_sender_may_be_fixed_to_its_site() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::begin(config(data.path())).await;
    // As Telegraf's serializer for remote write names them: measurement, underscore, field.
    let of = |name: &'static str| {
        [("__name__", name), ("agency", "xa-b"), ("host", "may-tinh-1"), ("url", "203.0.113.10")]
    };
    let names = [
        ("ping_packets_transmitted", 5.0),
        ("ping_packets_received", 4.0),
        ("ping_percent_packet_loss", 20.0),
        ("ping_average_response_ms", 12.5),
        ("ping_result_code", 0.0),
    ];
    let labels = names.map(|(name, _)| of(name));
    let series: Vec<Series<'_>> =
        labels.iter().zip(names).map(|(labels, (_, value))| (&labels[..], 60, value)).collect();
    let answer = push(&collector, "prom", Protocol::V1, request(Protocol::V1, base, &series)).await;
    assert_eq!(answer, (204, String::new()));
    // Loss of 20 % is up; and a round's word holds until the third one after it should have ended.
    assert_eq!(timeline(data.path(), base, "xa-b", "internet").await, [(-1, 120, State::Up)]);

    let up = [("__name__", "up"), ("instance", "10.0.0.9"), ("site", "xa-a")];
    let body = request(Protocol::V2, base, &[(&up, 15, 0.0)]);
    let client = &collector.client;
    let send = async |user: &str| {
        let request =
            client.post(collector.url("/api/v1/write")).header("content-type", Protocol::V2.content_type());
        let request = request.header("content-encoding", "snappy").basic_auth(user, Some("secret-of-one"));
        request.body(body.clone()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send("prom").await, 401, "the secret is another's");
    assert_eq!(send("one").await, 204);
    assert_eq!(timeline(data.path(), base, "xa-c", "wan").await, [(-1, 15, State::Down)]);
    assert_eq!(timeline(data.path(), base, "xa-a", "wan").await, [], "whatever the label says");
    collector.stop().await;
}
