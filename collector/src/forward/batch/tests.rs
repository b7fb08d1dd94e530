use std::collections::BTreeMap;

use wan_wire::{Decoder, LabelPairs, RequestBuilder, Scratch, SiteId};

use super::*;

const NOW: UnixMillis = UnixMillis(1_793_466_000_000);

/// Series as text → samples.
type Sent = BTreeMap<String, Vec<(i64, u64)>>;

fn state() -> State {
    crate::province::tests::province()
}

fn payload(
    site: &str,
    received: UnixMillis,
    protocol: Protocol,
    build: impl FnOnce(&mut RequestBuilder),
) -> Vec<u8> {
    let site: SiteId = site.parse().unwrap();
    let mut request = RequestBuilder::new(protocol);
    build(&mut request);
    let mut record = record::start(&site, received, protocol, 0);
    record.extend(request.finish_compressed().unwrap());
    record
}

fn decoded(bodies: &[(Protocol, Vec<u8>)]) -> Sent {
    let limits = Limits::default();
    let mut sent = Sent::new();
    for (protocol, body) in bodies {
        let mut plain = Vec::new();
        wan_wire::decompress(body, &limits, &mut plain).unwrap();
        let mut scratch = Scratch::new();
        let mut decoder = Decoder::new(*protocol, &plain, &mut scratch, &limits).unwrap();
        while let Some(series) = decoder.next_series().unwrap() {
            // Sorted, none twice, all of them valid: what a strict receiver asks.
            let labels = LabelPairs::parse(series.key.unwrap(), Protocol::V1).unwrap().to_string();
            assert!(!series.samples.is_empty());
            sent.entry(labels)
                .or_default()
                .extend(series.samples.iter().map(|s| (s.time.0, s.value.to_bits())));
        }
    }
    sent
}

fn all(chunk: &Chunk, protocol: Protocol) -> Sent {
    let bodies: Vec<_> = chunk
        .batches
        .iter()
        .flatten()
        .map(|batch| (protocol, batch.body(0..batch.len(), protocol).unwrap()))
        .collect();
    decoded(&bodies)
}

fn gather(
    state: &State,
    payloads: &[Vec<u8>],
    labels: &[(String, String)],
    shards: usize,
    most: usize,
) -> Chunk {
    let mut chunk = Chunk::new(shards, most);
    let mut gather = Gather::default();
    for payload in payloads {
        gather.read(payload, state, &Limits::default(), labels, UnixMillis(0), &mut chunk).unwrap();
    }
    chunk
}

fn sample(time: UnixMillis, value: f64) -> Sample {
    Sample { time, value }
}

#[test]
fn accepted_samples_go_with_their_own_times_and_the_credentials_site() {
    let state = state();
    let labels = [("province".to_owned(), "tay-ninh".to_owned()), ("up".to_owned(), "x".to_owned())];
    for protocol in [Protocol::V1, Protocol::V2] {
        let record = payload("xa-1", NOW, protocol, |request| {
            request
                .series(
                    &[("__name__", "up"), ("job", "node")],
                    &[sample(NOW, 1.0), sample(NOW.plus_millis(-5000), 0.5)],
                )
                .unwrap();
            request
                .series(
                    &[("__name__", "up"), ("site", "xa-1"), ("zone", "a"), ("province", "own")],
                    &[sample(NOW, f64::NAN)],
                )
                .unwrap();
        });
        let chunk = gather(&state, &[record], &labels, 3, 100);
        assert_eq!(chunk.samples, 3);
        for to in [Protocol::V1, Protocol::V2] {
            let sent = all(&chunk, to);
            let expected: Sent = [
                (
                    "up{job=\"node\",province=\"tay-ninh\",site=\"xa-1\",up=\"x\"}".to_owned(),
                    vec![(NOW.0 - 5000, 0.5_f64.to_bits()), (NOW.0, 1.0_f64.to_bits())],
                ),
                (
                    "up{province=\"own\",site=\"xa-1\",up=\"x\",zone=\"a\"}".to_owned(),
                    vec![(NOW.0, f64::NAN.to_bits())],
                ),
            ]
            .into();
            assert_eq!(sent, expected);
        }
    }
}

#[test]
fn what_the_ingest_refused_is_not_forwarded() {
    let state = state();
    let round = |request: &mut RequestBuilder, link: &str, end: UnixMillis, sent: f64, received: f64| {
        for (name, value) in
            [("wan_round_interval_seconds", 5.0), ("wan_round_sent", sent), ("wan_round_received", received)]
        {
            let labels = [("__name__", name), ("link", link), ("probe", "icmp"), ("target", "10.0.0.1")];
            request.series(&labels, &[sample(end, value)]).unwrap();
        }
    };
    let record = payload("xa-1", NOW, Protocol::V1, |request| {
        // More answers than packets: impossible, so this round is refused and the next is not.
        round(request, "wan", NOW, 5.0, 6.0);
        round(request, "wan", NOW.plus_millis(-5000), 5.0, 0.0);
        round(request, "lan", NOW, 5.0, 0.0);
        request.series(&[("__name__", "up"), ("site", "xa-2")], &[sample(NOW, 1.0)]).unwrap();
        request
            .series(
                &[("__name__", "up")],
                &[sample(NOW.plus_millis(-40 * 86_400_000), 1.0), sample(NOW, 2.0)],
            )
            .unwrap();
        request.series(&[("__name__", "wan_round_sent"), ("link", "wan")], &[sample(NOW, 1.0)]).unwrap();
        request
            .series(
                &[
                    ("__name__", "wan_round_sent"),
                    ("link", "wan"),
                    ("probe", "icmp"),
                    ("target", "t"),
                    ("about", "xa-2"),
                ],
                &[sample(NOW, 1.0)],
            )
            .unwrap();
    });
    let chunk = gather(&state, std::slice::from_ref(&record), &[], 2, 100);
    let parsed = record::parse(&record).unwrap();
    let mut none: Vec<crate::engine::Painting> = Vec::new();
    let directory = state.directory();
    let sender = &directory.runtimes[&parsed.site];
    let written =
        decode_rounds(&state.config, &directory, sender, &parsed, &Limits::default(), &mut none).unwrap();
    assert_eq!(chunk.samples as u64, written.samples, "as much as the ingest has accepted");
    let sent = all(&chunk, Protocol::V1);
    let times: BTreeMap<&str, Vec<i64>> = sent
        .iter()
        .map(|(series, samples)| (series.as_str(), samples.iter().map(|s| s.0).collect()))
        .collect();
    let mut expected = BTreeMap::from([("up{site=\"xa-1\"}".to_owned(), vec![NOW.0])]);
    for name in ["wan_round_interval_seconds", "wan_round_sent", "wan_round_received"] {
        for (link, time) in [("wan", NOW.0 - 5000), ("lan", NOW.0)] {
            let series =
                format!("{name}{{link=\"{link}\",probe=\"icmp\",site=\"xa-1\",target=\"10.0.0.1\"}}");
            expected.insert(series, vec![time]);
        }
    }
    let expected: BTreeMap<&str, Vec<i64>> = expected.iter().map(|(a, b)| (a.as_str(), b.clone())).collect();
    assert_eq!(times, expected);
}

#[test]
fn a_series_has_one_shard_and_keeps_its_order_there() {
    let state = state();
    let mut payloads = Vec::new();
    for n in 0..50 {
        for site in ["xa-1", "xa-2"] {
            payloads.push(payload(site, NOW, Protocol::V1, |request| {
                for series in 0..10 {
                    let name = format!("s{series}");
                    let labels = [("__name__", "s"), ("name", name.as_str())];
                    request.series(&labels, &[sample(NOW.plus_millis(n), f64::from(series))]).unwrap();
                }
            }));
        }
    }
    let chunk = gather(&state, &payloads, &[], 4, 64);
    assert_eq!(chunk.samples, 1000);
    let mut shards_of: BTreeMap<String, usize> = BTreeMap::new();
    for (shard, batches) in chunk.batches.iter().enumerate() {
        assert!(batches.iter().all(|batch| batch.len() <= 64));
        let bodies: Vec<_> =
            batches.iter().map(|b| (Protocol::V1, b.body(0..b.len(), Protocol::V1).unwrap())).collect();
        for (series, samples) in decoded(&bodies) {
            assert_eq!(samples.len(), 50, "all of {series} in one shard");
            assert!(samples.is_sorted_by_key(|(time, _)| *time));
            assert_eq!(shards_of.insert(series, shard), None);
        }
    }
    assert_eq!(shards_of.len(), 20);
    let used: std::collections::BTreeSet<usize> = shards_of.into_values().collect();
    assert_eq!(used.len(), 4, "no shard is idle");
}

#[test]
fn the_figures_of_a_round_stay_in_one_request() {
    let state = state();
    let names = ["wan_round_interval_seconds", "wan_round_sent", "wan_round_received"];
    let payloads: Vec<Vec<u8>> = (0..40)
        .map(|n| {
            payload("xa-1", NOW, Protocol::V1, |request| {
                for target in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"] {
                    for (name, value) in names.into_iter().zip([5.0, 5.0, 4.0]) {
                        let labels =
                            [("__name__", name), ("link", "wan"), ("probe", "icmp"), ("target", target)];
                        request.series(&labels, &[sample(NOW.plus_millis(-5000 * n), value)]).unwrap();
                    }
                }
            })
        })
        .collect();
    // Requests of at most 40 samples, which no number of rounds fills.
    let chunk = gather(&state, &payloads, &[], 3, 40);
    assert_eq!(chunk.samples, 600);
    for batch in chunk.batches.iter().flatten() {
        assert!((1..=40).contains(&batch.len()));
        let sent = decoded(&[(Protocol::V1, batch.body(0..batch.len(), Protocol::V1).unwrap())]);
        for (series, samples) in &sent {
            for name in names {
                let (_, labels) = series.split_once('{').unwrap();
                let times = |samples: &[(i64, u64)]| samples.iter().map(|s| s.0).collect::<Vec<_>>();
                assert_eq!(times(&sent[&format!("{name}{{{labels}")]), times(samples), "{series}");
            }
        }
    }
}

#[test]
fn a_record_with_more_than_a_request_may_have_is_cut() {
    let state = state();
    let record = payload("xa-1", NOW, Protocol::V1, |request| {
        let samples: Vec<Sample> = (0..25).map(|n| sample(NOW.plus_millis(n), 1.0)).collect();
        request.series(&[("__name__", "a")], &samples).unwrap();
    });
    let chunk = gather(&state, &[record.clone(), record], &[], 1, 10);
    let sizes: Vec<usize> = chunk.batches[0].iter().map(Batch::len).collect();
    assert_eq!(sizes, [10, 10, 5, 10, 10, 5]);
}

#[test]
fn any_part_of_a_batch_can_be_sent_for_itself() {
    let state = state();
    let record = payload("xa-1", NOW, Protocol::V1, |request| {
        for (series, count) in [("a", 3), ("b", 1), ("c", 5)] {
            let samples: Vec<Sample> = (0..count).map(|n| sample(NOW.plus_millis(n), 1.0)).collect();
            request.series(&[("__name__", series)], &samples).unwrap();
        }
    });
    let chunk = gather(&state, &[record], &[], 1, 100);
    let batch = &chunk.batches[0][0];
    let whole = decoded(&[(Protocol::V1, batch.body(0..9, Protocol::V1).unwrap())]);
    for cut in 0..=9 {
        for protocol in [Protocol::V1, Protocol::V2] {
            let parts = [0..cut, cut..9].map(|part| (protocol, batch.body(part, protocol).unwrap()));
            assert_eq!(decoded(&parts), whole, "cut at {cut}");
        }
    }
}

#[test]
fn records_that_are_too_old_of_nobody_or_of_another_version_are_counted_or_told() {
    let state = state();
    let good = payload("xa-1", NOW, Protocol::V1, |request| {
        request.series(&[("__name__", "up")], &[sample(NOW, 1.0)]).unwrap();
    });
    let mut chunk = Chunk::new(1, 10);
    let mut gather = Gather::default();
    let mut read =
        |payload: &[u8], cutoff| gather.read(payload, &state, &Limits::default(), &[], cutoff, &mut chunk);
    read(&good, NOW).unwrap();
    read(&good, NOW.plus_millis(1)).unwrap();
    assert!(read(&payload("xa-9", NOW, Protocol::V1, |_| ()), NOW).unwrap_err().contains("xa-9"));
    for bad in [&good[..5], &good[..good.len() - 2], &[9][..], &[]] {
        read(bad, NOW).unwrap_err();
    }
    assert_eq!((chunk.samples, chunk.too_old, chunk.oldest), (1, 1, Some(NOW)));
}
