//! The wire, frozen: see `golden/README.md`.

#![allow(clippy::unwrap_used)] // helpers of tests, outside of test functions

mod messages;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use messages::{Histogram, v1, v2};
use prost::Message;
use wan_wire::labels::describe;
use wan_wire::round::encode_round;
use wan_wire::{
    Decoder, Label, LabelPairs, Limits, LinkName, Metric, ProbeKind, Protocol, RequestBuilder, Round,
    RoundFacts, Rtt, Scratch, SiteId, UnixMillis, is_stale_marker,
};

const END: UnixMillis = UnixMillis(1_795_414_368_250);

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Compares with the file, or writes it when asked to.
fn check(name: &str, bytes: &[u8]) {
    if std::env::var_os("WAN_WIRE_BLESS").is_some() {
        std::fs::write(file(name), bytes).unwrap();
    }
    let frozen = std::fs::read(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        bytes == frozen,
        "{name} differs\nfound:\n{}\nfrozen:\n{}",
        String::from_utf8_lossy(bytes),
        String::from_utf8_lossy(&frozen)
    );
}

/// What a message holds, in words.
fn render(protocol: Protocol, message: &[u8]) -> String {
    let (limits, mut scratch) = (Limits::default(), Scratch::new());
    let mut out = format!("{protocol}, {} bytes\n", message.len());
    let mut decoder = Decoder::new(protocol, message, &mut scratch, &limits).unwrap();
    while let Some(series) = decoder.next_series().unwrap() {
        match series.key.map(|key| (describe(key), LabelPairs::parse(key, protocol))) {
            Ok((_, Ok(labels))) => writeln!(out, "{labels}").unwrap(),
            Ok((name, Err(error))) => writeln!(out, "{name}\n  refused: {error}").unwrap(),
            Err(error) => writeln!(out, "{}\n  refused: {error}", describe(series.seen)).unwrap(),
        }
        for sample in series.samples {
            let marker = if is_stale_marker(sample.value) { " (stale marker)" } else { "" };
            writeln!(out, "  {} {:?}{marker}", sample.time, sample.value).unwrap();
        }
        if series.histograms > 0 || series.exemplars > 0 {
            writeln!(out, "  {} histograms, {} exemplars", series.histograms, series.exemplars).unwrap();
        }
    }
    out
}

fn check_both(name: &str, protocol: Protocol, message: &[u8]) {
    check(&format!("{name}.pb"), message);
    let frozen = std::fs::read(file(&format!("{name}.pb"))).unwrap();
    check(&format!("{name}.txt"), render(protocol, &frozen).as_bytes());
}

fn round(link: &str, target: &str, facts: RoundFacts) -> Round {
    Round {
        link: LinkName::parse(link).unwrap(),
        probe: ProbeKind::Icmp,
        target: target.to_owned(),
        about: None,
        end: END,
        interval: Duration::from_secs(5),
        facts,
    }
}

fn agents_push(protocol: Protocol) -> Vec<u8> {
    let mut request = RequestBuilder::new(protocol);
    let rtt = Rtt { min: 0.010_25, median: 0.011, mean: 0.011_5, max: 0.02 };
    let answered = RoundFacts { sent: 5, received: 4, rtt: Some(rtt), fault: false };
    let silent = RoundFacts { sent: 5, received: 0, rtt: None, fault: false };
    let faulty = RoundFacts { fault: true, ..RoundFacts::default() };
    let about = Some(SiteId::parse("ubnd-xa-tan-hung").unwrap());
    encode_round(&round("wan-vnpt", "10.60.0.1", answered), &mut request).unwrap();
    encode_round(&round("internet", "2001:db8::1", silent), &mut request).unwrap();
    encode_round(&Round { about, ..round("wan", "10.60.7.1", faulty) }, &mut request).unwrap();
    let info = [(Label::Version, "0.1.0"), (Label::BootId, "6fb55bd1-2f4d-4a44-9a5e-0f9f9a9a9a9a")];
    request.sample(Metric::AgentInfo, &info, END, 1.0).unwrap();
    request.sample(Metric::AgentDroppedSamplesTotal, &[], END, 0.0).unwrap();
    request
        .sample(Metric::InterfaceReceiveBytesTotal, &[(Label::Interface, "eth0")], END, 1_234_567_890.0)
        .unwrap();
    request.finish()
}

#[test]
fn an_agents_push_is_encoded_to_exactly_these_bytes() {
    check_both("v1-agent", Protocol::V1, &agents_push(Protocol::V1));
    check_both("v2-agent", Protocol::V2, &agents_push(Protocol::V2));
}

#[test]
fn a_push_in_both_versions_says_the_same() {
    let words = [Protocol::V1, Protocol::V2].map(|protocol| render(protocol, &agents_push(protocol)));
    assert!(words[0].lines().skip(1).eq(words[1].lines().skip(1)));
}

const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
const VALUES: [(f64, i64); 5] =
    [(f64::NAN, 1_000), (f64::INFINITY, 3_000), (-1.5, 2_000), (0.0, 2_000), (STALE, 4_000)];

fn histogram() -> Histogram {
    Histogram { count_int: 3, sum: 1.5, schema: 3, positive_deltas: vec![1, 1, -1], timestamp: END.0 }
}

#[test]
fn a_foreign_sender_is_understood_1_0() {
    let label = |name: &str, value: &str| v1::Label { name: name.into(), value: value.into() };
    let labels =
        |name: &str| vec![label("__name__", name), label("instance", "máy-chủ:9100"), label("job", "node")];
    let samples = VALUES.map(|(value, timestamp)| v1::Sample { value, timestamp }).to_vec();
    let exemplar = v1::Exemplar { labels: vec![label("trace_id", "4bf92f")], value: 0.2, timestamp: 1_000 };
    let request = v1::WriteRequest {
        timeseries: vec![
            v1::TimeSeries { labels: labels("up"), samples, ..Default::default() },
            v1::TimeSeries {
                labels: labels("latency"),
                histograms: vec![histogram()],
                exemplars: vec![exemplar],
                ..Default::default()
            },
            v1::TimeSeries { labels: labels("nothing"), ..Default::default() },
        ],
        metadata: vec![v1::MetricMetadata {
            r#type: 2,
            metric_family_name: "up".into(),
            help: "Up.".into(),
            unit: String::new(),
        }],
    };
    check_both("v1-prometheus", Protocol::V1, &request.encode_to_vec());
}

#[test]
fn a_foreign_sender_is_understood_2_0() {
    let symbols = [
        "",
        "__name__",
        "up",
        "instance",
        "máy-chủ:9100",
        "job",
        "node",
        "latency",
        "trace_id",
        "4bf92f",
        "Up.",
        "http.requests",
        "service.name",
    ];
    let samples =
        VALUES.map(|(value, timestamp)| v2::Sample { value, timestamp, start_timestamp: 500 }).to_vec();
    let exemplar = v2::Exemplar { labels_refs: vec![8, 9], value: 0.2, timestamp: 1_000 };
    let metadata = Some(v2::Metadata { r#type: 2, help_ref: 10, unit_ref: 0 });
    let request = v2::Request {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![
            v2::TimeSeries {
                labels_refs: vec![1, 2, 3, 4, 5, 6],
                samples,
                metadata,
                created_timestamp: 500,
                ..Default::default()
            },
            v2::TimeSeries {
                labels_refs: vec![1, 7, 3, 4, 5, 6],
                histograms: vec![histogram()],
                exemplars: vec![exemplar],
                metadata,
                ..Default::default()
            },
            v2::TimeSeries {
                labels_refs: vec![1, 11, 12, 6],
                samples: vec![v2::Sample::default()],
                ..Default::default()
            },
        ],
    };
    check_both("v2-prometheus", Protocol::V2, &request.encode_to_vec());
}

/// A field of bytes; its length in a byte more than it needs, when asked for.
fn field(number: u8, bytes: &[u8], is_long: bool) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    let length = if is_long || length > 127 { vec![length | 0x80, length >> 7] } else { vec![length] };
    [&[number << 3 | 2][..], &length, bytes].concat()
}

#[test]
fn legal_protobuf_that_few_write_is_understood() {
    let text = |number, text: &str| field(number, text.as_bytes(), false);
    let name = field(1, &[text(2, "up"), text(1, "__name__")].concat(), false); // the value before the name
    let twice = field(1, &[text(1, "x"), text(1, "a"), text(2, "1"), text(7, "?")].concat(), true);
    let sample =
        field(2, &[&[0x10, 0x87, 0x00, 0x09][..], &2.5_f64.to_le_bytes(), &[0x10, 8]].concat(), false);
    let unknown =
        [&[0x78, 1][..], &[0x79, 0, 0, 0, 0, 0, 0, 0, 0], &[0x7d, 0, 0, 0, 0], &text(15, "?")].concat();
    let series = field(1, &[sample.clone(), name, unknown.clone(), twice, sample.clone()].concat(), true);
    check_both("v1-unusual", Protocol::V1, &[unknown.clone(), series].concat());

    let references =
        [field(1, &[1], false), vec![8, 2], field(1, &[3, 0x84, 0], true), field(1, &[], false)].concat();
    let series = field(5, &[sample.clone(), references, unknown.clone(), sample].concat(), true);
    let symbols = |all: &[&str]| all.iter().flat_map(|symbol| text(4, symbol)).collect::<Vec<u8>>();
    let message = [symbols(&["", "__name__"]), unknown, series, symbols(&["up", "a", "1"])].concat();
    check_both("v2-unusual", Protocol::V2, &message);
}

#[test]
fn a_refused_series_does_not_cost_the_others() {
    let sets: [&[(&str, &str)]; 9] = [
        &[("__name__", "good")],
        &[("a", "no name")],
        &[("__name__", "unsorted"), ("b", "1"), ("a", "1")],
        &[("__name__", "repeated"), ("a", "1"), ("a", "2")],
        &[("", "empty name"), ("__name__", "x")],
        &[("__name__", "empty_value"), ("a", "")],
        &[("__name__", "dotted.name")],
        &[("__name__", "dotted_label"), ("a.b", "1")],
        &[("__name__", "good"), ("a", "again")],
    ];
    let series = sets.map(|set| v1::TimeSeries {
        labels: set
            .iter()
            .map(|(name, value)| v1::Label { name: (*name).into(), value: (*value).into() })
            .collect(),
        samples: vec![v1::Sample { value: 1.0, timestamp: 1_000 }],
        ..Default::default()
    });
    let mut message = v1::WriteRequest { timeseries: series.to_vec(), metadata: vec![] }.encode_to_vec();
    let not_utf8 = [field(1, b"a", false), field(2, b"\xc3\x28", false)].concat();
    message.extend(field(1, &field(1, &not_utf8, false), false));
    check_both("v1-refused", Protocol::V1, &message);

    let symbols = ["", "__name__", "good", "a", "b"].map(str::to_owned).to_vec();
    let references = [
        vec![1, 2],
        vec![1, 2, 3],
        vec![1, 9],
        vec![1, 2, 4, 3, 3, 4],
        vec![],
        [3, 4].repeat(65),
        vec![1, 2, 3, 4],
    ];
    let series = references.map(|labels_refs| v2::TimeSeries {
        labels_refs,
        samples: vec![v2::Sample { value: 1.0, timestamp: 1_000, start_timestamp: 0 }],
        ..Default::default()
    });
    check_both(
        "v2-refused",
        Protocol::V2,
        &v2::Request { symbols, timeseries: series.to_vec() }.encode_to_vec(),
    );
}
