//! What decoding costs: one agent's push of 40 series with 6 labels and one sample each, zero-copy and, beside it, into
//! owned prost structs. Run with `cargo bench -p wan-wire --bench decode`; items are samples.
#![allow(missing_docs, clippy::unwrap_used)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use prost::Message;
use wan_wire::{
    Decoder, LabelPairs, Limits, Metric, Protocol, RequestBuilder, RoundAssembler, Sample, Scratch,
    UnixMillis, decompress,
};

#[path = "../tests/messages/mod.rs"]
mod messages;

const SERIES: usize = 40;

fn main() {
    divan::main();
}

/// Five targets with eight series each.
fn body(protocol: Protocol) -> Vec<u8> {
    let mut request = RequestBuilder::new(protocol);
    for target in 0..SERIES / 8 {
        let target = format!("10.60.{target}.1");
        for metric in &Metric::ALL[..8] {
            let labels = [
                ("__name__", metric.as_str()),
                ("link", "wan-vnpt"),
                ("probe", "icmp"),
                ("site", "ubnd-xa-tan-hung"),
                ("target", &target),
                ("zone", "tay-ninh"),
            ];
            request.series(&labels, &[Sample { time: UnixMillis(1_795_414_368_250), value: 5.0 }]).unwrap();
        }
    }
    request.finish_compressed().unwrap()
}

fn message(protocol: Protocol) -> Vec<u8> {
    let mut out = Vec::new();
    decompress(&body(protocol), &Limits::default(), &mut out).unwrap();
    out
}

const BOTH: [Protocol; 2] = [Protocol::V1, Protocol::V2];

#[divan::bench(args = BOTH)]
fn walk(bencher: Bencher, protocol: Protocol) {
    let (message, limits, mut scratch) = (message(protocol), Limits::default(), Scratch::new());
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        let mut decoder = Decoder::new(protocol, black_box(&message), &mut scratch, &limits).unwrap();
        let mut sum = 0;
        while let Some(series) = decoder.next_series().unwrap() {
            sum += series.key.unwrap().len() + series.samples.len();
        }
        sum
    });
}

#[divan::bench(args = BOTH)]
fn decompress_and_walk(bencher: Bencher, protocol: Protocol) {
    let (body, limits, mut scratch, mut message) =
        (body(protocol), Limits::default(), Scratch::new(), Vec::new());
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        decompress(black_box(&body), &limits, &mut message).unwrap();
        let mut decoder = Decoder::new(protocol, &message, &mut scratch, &limits).unwrap();
        let mut sum = 0;
        while let Some(series) = decoder.next_series().unwrap() {
            sum += series.key.unwrap().len() + series.samples.len();
        }
        sum
    });
}

/// What a receiver pays for a series that it sees for the first time.
#[divan::bench(args = BOTH)]
fn walk_and_validate_labels(bencher: Bencher, protocol: Protocol) {
    let (message, limits, mut scratch) = (message(protocol), Limits::default(), Scratch::new());
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        let mut decoder = Decoder::new(protocol, black_box(&message), &mut scratch, &limits).unwrap();
        let mut known = 0;
        while let Some(series) = decoder.next_series().unwrap() {
            let labels = LabelPairs::parse(series.key.unwrap(), protocol).unwrap();
            known += usize::from(labels.metric().is_some());
        }
        known
    });
}

#[divan::bench(args = BOTH)]
fn prost_owned(bencher: Bencher, protocol: Protocol) {
    let message = message(protocol);
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| match protocol {
        Protocol::V1 => messages::v1::WriteRequest::decode(black_box(&message[..])).unwrap().timeseries.len(),
        Protocol::V2 => messages::v2::Request::decode(black_box(&message[..])).unwrap().timeseries.len(),
    });
}

#[divan::bench]
fn assemble_rounds(bencher: Bencher) {
    let mut assembler = RoundAssembler::new();
    let values = [5.0, 5.0, 5.0, 0.01, 0.01, 0.01, 0.01, 0.0];
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        for key in 0..5 {
            for (metric, value) in Metric::ALL[..8].iter().zip(values) {
                assembler.push(black_box(key), *metric, UnixMillis(1_795_414_368_250), value);
            }
        }
        assembler.finish().rounds.len()
    });
}

/// A name of our own, and one that is not: the last of the table and a common foreign one.
#[divan::bench(args = ["wan_round_rtt_median_seconds", "wan_collector_checkpoint_failures_total", "node_cpu_seconds_total"])]
fn metric_from_bytes(bencher: Bencher, name: &str) {
    bencher.bench_local(|| Metric::from_bytes(black_box(name.as_bytes())));
}
