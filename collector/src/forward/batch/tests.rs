use std::collections::BTreeMap;

use proptest::prelude::*;
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
    payload_by(By::Agent, site, received, protocol, build)
}

fn payload_by(
    by: By,
    name: &str,
    received: UnixMillis,
    protocol: Protocol,
    build: impl FnOnce(&mut RequestBuilder),
) -> Vec<u8> {
    let name: SiteId = name.parse().unwrap();
    let mut request = RequestBuilder::new(protocol);
    build(&mut request);
    let mut record = record::start(by, &name, received, protocol, 0);
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

const SENDERS: &str = "
senders:
  - name: prom
    sites: [xa-1, hub]
    rounds:
      - {up: probe_success, site_label: agency, link: wan, interval: 15s,
         rtt: {metric: probe_icmp_duration_seconds, labels: {phase: rtt}}}
";

fn with_sender() -> State {
    let config = crate::config::Config::parse("c.yaml", SENDERS.as_bytes()).unwrap();
    crate::province::tests::province_with(config)
}

#[test]
fn of_a_sender_only_what_its_mapping_takes_is_forwarded_and_under_the_site_that_the_mapping_found() {
    let state = with_sender();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    for protocol in [Protocol::V1, Protocol::V2] {
        let record = payload_by(By::Sender, "prom", NOW, protocol, |request| {
            let mut add = |labels: &[(&str, &str)], value: f64, ago: i64| {
                request.series(labels, &[sample(NOW.plus_millis(-ago), value)]).unwrap();
            };
            let up = |agency| [("__name__", "probe_success"), ("agency", agency), ("instance", "10.0.0.1")];
            add(&up("xa-1"), 1.0, 0);
            // Whatever it calls itself, and whosever name it uses.
            let claims = [("sender", "other"), ("site", "xa-2"), ("zone", "a")];
            add(&[&up("hub")[..], &claims].concat(), 0.0, 0);
            add(&up("xa-1"), stale, 15_000);
            let rtt =
                [("__name__", "probe_icmp_duration_seconds"), ("agency", "xa-1"), ("instance", "10.0.0.1")];
            add(&[&rtt[..], &[("phase", "rtt")]].concat(), 0.02, 0);
            // No mapping fits these: not its other phases, nor what an agent would say, nor what it may not say for a site that is not its own.
            add(&[&rtt[..], &[("phase", "setup")]].concat(), 0.01, 0);
            add(&[("__name__", "wan_site_up"), ("site", "xa-1")], 0.0, 0);
            let round = [("link", "wan"), ("probe", "icmp"), ("site", "xa-2"), ("target", "t")];
            for name in ["wan_round_interval_seconds", "wan_round_sent", "wan_round_received"] {
                add(&[&[("__name__", name)][..], &round].concat(), 1.0, 0);
            }
            // These are refused: a site that is none of its own, and one that is not there; then a value that is none, at a time of its own.
            add(&up("xa-2"), 0.0, 0);
            add(&up("xa-9"), 0.0, 0);
            add(&up("xa-1"), 0.5, 30_000);
        });
        let labels = [("sender", "store"), ("zone", "b")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let chunk = gather(&state, std::slice::from_ref(&record), &labels, 3, 100);
        let found = |name: &str, zone: &str, site: &str, phase: &str| {
            format!(
                "{name}{{agency={site:?},instance=\"10.0.0.1\",{phase}sender=\"prom\",site={site:?},zone={zone:?}}}"
            )
        };
        let one = |value: f64| (NOW.0, value.to_bits());
        let expected: Sent = [
            (found("probe_success", "b", "xa-1", ""), vec![(NOW.0 - 15_000, stale.to_bits()), one(1.0)]),
            (found("probe_success", "a", "hub", ""), vec![one(0.0)]),
            (found("probe_icmp_duration_seconds", "b", "xa-1", "phase=\"rtt\","), vec![one(0.02)]),
        ]
        .into();
        assert_eq!(all(&chunk, Protocol::V1), expected);
        assert_eq!(chunk.samples, 4);
    }
}

#[test]
fn a_record_whose_every_round_is_refused_costs_no_other() {
    let state = with_sender();
    let record = |value: f64| {
        payload_by(By::Sender, "prom", NOW, Protocol::V1, |request| {
            for target in 0..20_000 {
                let target = target.to_string();
                let labels =
                    [("__name__", "probe_success"), ("agency", "hub"), ("instance", target.as_str())];
                request.series(&labels, &[sample(NOW, value)]).unwrap();
            }
        })
    };
    let chunk = gather(&state, &[record(0.5), record(1.0), record(7.0)], &[], 2, 1000);
    assert_eq!(chunk.samples, 20_000);
}

#[test]
fn the_figures_of_a_senders_round_stay_in_one_request_though_their_labels_differ() {
    let state = with_sender();
    let payloads: Vec<Vec<u8>> = (0..20)
        .map(|n| {
            payload_by(By::Sender, "prom", NOW, Protocol::V1, |request| {
                let at = sample(NOW.plus_millis(-15_000 * n), 1.0);
                for target in 0..10 {
                    let target = format!("10.0.0.{target}");
                    let up =
                        [("__name__", "probe_success"), ("agency", "xa-1"), ("instance", target.as_str())];
                    request.series(&up, &[at]).unwrap();
                    let mut rtt = [&up[..], &[("phase", "rtt")]].concat();
                    rtt[0].1 = "probe_icmp_duration_seconds";
                    request.series(&rtt, &[at]).unwrap();
                }
            })
        })
        .collect();
    let chunk = gather(&state, &payloads, &[], 4, 30);
    assert_eq!(chunk.samples, 400);
    assert!(
        chunk.batches.iter().filter(|batches| !batches.is_empty()).count() > 1,
        "more than one shard is used"
    );
    for batch in chunk.batches.iter().flatten() {
        let sent = decoded(&[(Protocol::V1, batch.body(0..batch.len(), Protocol::V1).unwrap())]);
        let times = |name: &str| -> Vec<(String, i64)> {
            let of_name = sent.iter().filter(|(series, _)| series.starts_with(name));
            let target = |series: &str| series.split("instance=").nth(1).unwrap()[..10].to_owned();
            of_name.flat_map(|(series, samples)| samples.iter().map(move |s| (target(series), s.0))).collect()
        };
        assert_eq!(times("probe_success"), times("probe_icmp_duration_seconds"));
    }
}

#[test]
fn of_a_sender_that_is_configured_no_longer_nothing_is_forwarded_and_a_sites_record_is_no_senders() {
    let record = |by, name| {
        payload_by(by, name, NOW, Protocol::V1, |request| {
            let labels = [("__name__", "probe_success"), ("agency", "hub"), ("instance", "t")];
            request.series(&labels, &[sample(NOW, 1.0)]).unwrap();
        })
    };
    let state = state();
    let mut chunk = Chunk::new(1, 10);
    let (limits, mut gather) = (Limits::default(), Gather::default());
    let mut read = |record: &[u8]| gather.read(record, &state, &limits, &[], UnixMillis(0), &mut chunk);
    assert!(read(&record(By::Sender, "prom")).unwrap_err().contains("prom"), "it is told");
    // As after a replay, which knows all who ever sent.
    state.ensure_runtimes(std::iter::once(&"prom".parse().unwrap()));
    read(&record(By::Sender, "prom")).unwrap();
    assert_eq!(chunk.samples, 0);
    // A site that has the name which a sender had.
    let mut read = |record: &[u8]| gather.read(record, &state, &limits, &[], UnixMillis(0), &mut chunk);
    for by in [By::Agent, By::Sender, By::Agent] {
        read(&record(by, "xa-1")).unwrap();
    }
    assert_eq!(chunk.samples, 2);
    let expected = "probe_success{agency=\"hub\",instance=\"t\",site=\"xa-1\"}".to_owned();
    assert_eq!(all(&chunk, Protocol::V1).into_keys().collect::<Vec<_>>(), [expected]);
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

#[test]
fn histograms_and_exemplars_do_not_go_and_are_counted() {
    let state = state();
    let key = wan_wire::labels::canonical_key(&[("__name__", "up")]).unwrap();
    // A sample, an exemplar, a histogram, another exemplar.
    let time = NOW.0.cast_unsigned();
    let mut sample = vec![0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10];
    let mut rest = time;
    while rest > 0x7f {
        sample.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    sample.push(u8::try_from(rest).unwrap());
    let sample = [&[0x12, u8::try_from(sample.len()).unwrap()], &sample[..]].concat();
    let series = [&key[..], &sample, &[0x1a, 0, 0x22, 0, 0x1a, 0]].concat();
    let message = [&[0x0a, u8::try_from(series.len()).unwrap()], &series[..]].concat();
    let mut record = record::start(By::Agent, &"xa-1".parse().unwrap(), NOW, Protocol::V1, 0);
    record.extend(Encoder::new().compress_vec(&message).unwrap());
    let chunk = gather(&state, &[record], &[], 1, 10);
    assert_eq!((chunk.samples, chunk.histograms, chunk.exemplars), (1, 1, 2));
    assert_eq!(
        all(&chunk, Protocol::V1),
        [("up{site=\"xa-1\"}".to_owned(), vec![(NOW.0, 1_f64.to_bits())])].into()
    );
}

proptest! {
    /// As if each were worked out for itself.
    #[test]
    fn labels_are_inserted_whatever_stands_before_or_behind_the_name(
        series in prop::collection::vec(prop::collection::btree_map("[A-Za-z_]{1,3}", "[a-c]{1,2}", 0..4), 1..12),
        more in prop::collection::btree_map("[A-Za-z]{1,3}", "[a-c]{1,2}", 0..3),
        names in prop::collection::vec("[a-c]", 12),
    ) {
        let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let keys: Vec<Vec<u8>> = series.iter().zip(&names).map(|(labels, name)| {
            let mut labels: Vec<(&str, &str)> = labels.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            labels.push((Label::Name.as_str(), name));
            wan_wire::labels::canonical_key(&labels).unwrap()
        }).collect();
        let mut beside = Beside { more: &more, site: 7, labels: None, inserted: 0..0, hash: 0 };
        let mut inserted = Vec::new();
        for key in &keys {
            let name = beside.meet(key, &mut inserted);
            let mut expected = Vec::new();
            insert_labels(key, &more, &mut expected);
            let found = [&key[..name], &inserted[beside.inserted.clone()]].concat();
            prop_assert_eq!(found, expected);
            let [before, behind] = beside_name(key);
            prop_assert_eq!(beside.hash, 7 ^ xxh3_64(before) ^ xxh3_64(behind));
        }
    }
}
