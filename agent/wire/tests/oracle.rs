//! The codec against prost, which shares no line with it, and against bytes that nobody meant.

#![allow(clippy::unwrap_used)] // helpers of tests, outside of test functions

mod messages;

use messages::{Histogram, v1, v2};
use proptest::prelude::*;
use prost::Message;
use wan_wire::labels::canonical_key;
use wan_wire::{
    DecodeError, Decoder, Limits, Protocol, RequestBuilder, Sample, Scratch, UnixMillis, decompress,
};

/// A series' labels.
type Pairs = Vec<(String, String)>;

/// Labels, (time, bits of the value), histograms, exemplars.
type Plain = (Pairs, Vec<(i64, u64)>, usize, usize);

/// What our decoder makes of a message, its keys opened with a reader of their own.
fn ours(protocol: Protocol, message: &[u8]) -> Result<Vec<Plain>, DecodeError> {
    let (limits, mut scratch) = (Limits::default(), Scratch::new());
    let mut decoder = Decoder::new(protocol, message, &mut scratch, &limits)?;
    let mut all = Vec::new();
    while let Some(series) = decoder.next_series()? {
        let labels = series.key.map_or_else(
            |fault| vec![("fault".to_owned(), fault.to_string())],
            // The canonical form is that of a 1.0 series with labels alone.
            |key| {
                let opened = v1::TimeSeries::decode(key);
                opened.map_or_else(
                    |_| vec![("not UTF-8".to_owned(), format!("{key:?}"))],
                    |opened| opened.labels.into_iter().map(|label| (label.name, label.value)).collect(),
                )
            },
        );
        let samples = series.samples.iter().map(|sample| (sample.time.0, sample.value.to_bits())).collect();
        all.push((labels, samples, series.histograms as usize, series.exemplars as usize));
    }
    Ok(all)
}

fn plain_v1(request: &v1::WriteRequest) -> Vec<Plain> {
    let series = request.timeseries.iter();
    series
        .map(|series| {
            let labels =
                series.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
            let samples = series.samples.iter().map(|s| (s.timestamp, s.value.to_bits())).collect();
            (labels, samples, series.histograms.len(), series.exemplars.len())
        })
        .collect()
}

fn plain_v2(request: &v2::Request) -> Vec<Plain> {
    let symbol = |reference: u32| request.symbols[reference as usize].clone();
    let series = request.timeseries.iter();
    series
        .map(|series| {
            let labels =
                series.labels_refs.chunks_exact(2).map(|pair| (symbol(pair[0]), symbol(pair[1]))).collect();
            let samples = series.samples.iter().map(|s| (s.timestamp, s.value.to_bits())).collect();
            (labels, samples, series.histograms.len(), series.exemplars.len())
        })
        .collect()
}

/// A double by its bits; `-0.0` only when asked for, since prost takes it for a default and leaves it out.
fn value() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_map(|value| if value == 0.0 { 0.0 } else { value })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-z_]{0,12}", 1 => ".{0,40}", 1 => "x{100,300}"]
}

fn histogram() -> impl Strategy<Value = Histogram> {
    (any::<u64>(), value(), any::<i32>(), proptest::collection::vec(any::<i64>(), 0..4), any::<i64>())
        .prop_map(|(count_int, sum, schema, positive_deltas, timestamp)| Histogram {
            count_int,
            sum,
            schema,
            positive_deltas,
            timestamp,
        })
}

fn label() -> impl Strategy<Value = v1::Label> {
    (text(), text()).prop_map(|(name, value)| v1::Label { name, value })
}

fn request_v1() -> impl Strategy<Value = v1::WriteRequest> {
    let labels = || proptest::collection::vec(label(), 0..6);
    let sample = (value(), any::<i64>()).prop_map(|(value, timestamp)| v1::Sample { value, timestamp });
    let exemplar = (labels(), value(), any::<i64>());
    let exemplar = exemplar.prop_map(|(labels, value, timestamp)| v1::Exemplar { labels, value, timestamp });
    let series = (
        labels(),
        proptest::collection::vec(sample, 0..4),
        proptest::collection::vec(exemplar, 0..2),
        proptest::collection::vec(histogram(), 0..2),
    );
    let series = series.prop_map(|(labels, samples, exemplars, histograms)| v1::TimeSeries {
        labels,
        samples,
        exemplars,
        histograms,
    });
    let metadata = (0_i32..9, text(), text(), text()).prop_map(|(kind, metric_family_name, help, unit)| {
        v1::MetricMetadata { r#type: kind, metric_family_name, help, unit }
    });
    (proptest::collection::vec(series, 0..5), proptest::collection::vec(metadata, 0..2))
        .prop_map(|(timeseries, metadata)| v1::WriteRequest { timeseries, metadata })
}

fn request_v2() -> impl Strategy<Value = v2::Request> {
    proptest::collection::vec(text(), 0..200).prop_flat_map(|mut symbols| {
        symbols.insert(0, String::new());
        let references = {
            let count = u32::try_from(symbols.len()).unwrap_or(u32::MAX);
            move || {
                proptest::collection::vec((0..count, 0..count).prop_map(|(name, value)| [name, value]), 0..5)
            }
        };
        let sample = (value(), any::<i64>(), any::<i64>());
        let sample = sample.prop_map(|(value, timestamp, start_timestamp)| v2::Sample {
            value,
            timestamp,
            start_timestamp,
        });
        let exemplar = (references(), value(), any::<i64>()).prop_map(|(refs, value, timestamp)| {
            v2::Exemplar { labels_refs: refs.concat(), value, timestamp }
        });
        let metadata = (0_i32..9, 0_u32..9, 0_u32..9);
        let metadata =
            metadata.prop_map(|(kind, help_ref, unit_ref)| v2::Metadata { r#type: kind, help_ref, unit_ref });
        let series = (
            references(),
            proptest::collection::vec(sample, 0..4),
            proptest::collection::vec(histogram(), 0..2),
            proptest::collection::vec(exemplar, 0..2),
            proptest::option::of(metadata),
            any::<i64>(),
        );
        let series =
            series.prop_map(|(refs, samples, histograms, exemplars, metadata, created_timestamp)| {
                v2::TimeSeries {
                    labels_refs: refs.concat(),
                    samples,
                    histograms,
                    exemplars,
                    metadata,
                    created_timestamp,
                }
            });
        (Just(symbols), proptest::collection::vec(series, 0..5))
            .prop_map(|(symbols, timeseries)| v2::Request { symbols, timeseries })
    })
}

/// What a caller may put in our encoder: valid labels, samples of different times in order.
fn valid_series() -> impl Strategy<Value = (Pairs, Vec<(i64, f64)>)> {
    let labels = proptest::collection::btree_map("[a-z][a-z_0-9]{0,8}", ".{1,20}", 0..6);
    let samples = proptest::collection::btree_map(any::<i64>(), any::<u64>().prop_map(f64::from_bits), 0..5);
    (labels, "[a-z:_]{1,20}", samples).prop_map(|(labels, name, samples)| {
        let mut labels: Vec<_> = labels.into_iter().collect();
        labels.push(("__name__".to_owned(), name));
        labels.sort();
        (labels, samples.into_iter().collect())
    })
}

/// Some of a message's bytes changed, cut off, put in or sent twice.
fn mutated(mut message: Vec<u8>, changes: &[(u16, u8, u8)]) -> Vec<u8> {
    for (place, what, byte) in changes {
        if message.is_empty() {
            break;
        }
        let at = usize::from(*place) % message.len();
        match what % 5 {
            0 => message[at] = *byte,
            1 => message[at] ^= 1 << (byte % 8),
            2 => message.truncate(at),
            3 => message.insert(at, *byte),
            _ => message.extend_from_within(at..),
        }
    }
    message
}

fn changes() -> impl Strategy<Value = Vec<(u16, u8, u8)>> {
    proptest::collection::vec(any::<(u16, u8, u8)>(), 1..5)
}

/// Whether we may refuse what prost takes: groups, which it skips; and 2.0's own rules, which it does not know.
fn is_stricter_than_prost(error: &DecodeError) -> bool {
    match error {
        DecodeError::Malformed { what, .. } => what.contains("group"),
        DecodeError::NoSymbols | DecodeError::FirstSymbolNotEmpty | DecodeError::WrongMessage => true,
        DecodeError::CompressedTooLarge { .. }
        | DecodeError::DecompressedTooLarge { .. }
        | DecodeError::LabelsTooLarge { .. }
        | DecodeError::TooManySeries { .. }
        | DecodeError::TooManySamples { .. }
        | DecodeError::TooManySymbols { .. }
        | DecodeError::NotSnappy { .. } => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_prost_writes_we_read(one in request_v1(), two in request_v2()) {
        prop_assert_eq!(ours(Protocol::V1, &one.encode_to_vec()).unwrap(), plain_v1(&one));
        prop_assert_eq!(ours(Protocol::V2, &two.encode_to_vec()).unwrap(), plain_v2(&two));
    }

    #[test]
    fn what_we_write_prost_reads(all in proptest::collection::vec(valid_series(), 0..6)) {
        let mut expected: Vec<Plain> = Vec::new();
        let (mut one, mut two) = (RequestBuilder::new(Protocol::V1), RequestBuilder::new(Protocol::V2));
        for (labels, samples) in &all {
            if expected.iter().any(|(known, ..)| known == labels) {
                continue;
            }
            let pairs: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let given: Vec<_> =
                samples.iter().map(|(time, value)| Sample { time: UnixMillis(*time), value: *value }).collect();
            one.series(&pairs, &given).unwrap();
            two.series(&pairs, &given).unwrap();
            let samples = samples.iter().map(|(time, value)| (*time, value.to_bits())).collect();
            expected.push((labels.clone(), samples, 0, 0));
        }
        let (limits, mut plain) = (Limits::default(), Vec::new());
        decompress(&one.finish_compressed().unwrap(), &limits, &mut plain).unwrap();
        prop_assert_eq!(&plain_v1(&v1::WriteRequest::decode(&plain[..]).unwrap()), &expected);
        prop_assert_eq!(&ours(Protocol::V1, &plain).unwrap(), &expected);
        decompress(&two.finish_compressed().unwrap(), &limits, &mut plain).unwrap();
        let request = v2::Request::decode(&plain[..]).unwrap();
        prop_assert_eq!(&plain_v2(&request), &expected);
        prop_assert_eq!(&ours(Protocol::V2, &plain).unwrap(), &expected);
        let mut symbols = request.symbols.clone();
        symbols.sort();
        symbols.dedup();
        prop_assert_eq!(symbols.len(), request.symbols.len(), "every string is there once");
    }

    #[test]
    fn equal_labels_have_equal_keys_and_others_have_not(a in valid_series(), b in valid_series()) {
        let key = |labels: &[(String, String)]| {
            let pairs: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            canonical_key(&pairs).unwrap()
        };
        prop_assert_eq!(key(&a.0) == key(&b.0), a.0 == b.0);
        let mut reversed = a.0.clone();
        reversed.reverse();
        prop_assert_eq!(key(&a.0), key(&reversed));
    }

    #[test]
    fn a_changed_message_is_read_as_prost_reads_it_or_refused_and_never_panics(
        one in request_v1(), two in request_v2(), changes in changes(),
    ) {
        for (protocol, message) in [(Protocol::V1, one.encode_to_vec()), (Protocol::V2, two.encode_to_vec())] {
            let message = mutated(message, &changes);
            let expected: Option<Vec<_>> = match protocol {
                Protocol::V1 => v1::WriteRequest::decode(&message[..]).ok().map(|request| {
                    request.timeseries.into_iter().map(|s| s.samples.iter().map(|s| (s.timestamp, s.value.to_bits())).collect::<Vec<_>>()).collect()
                }),
                Protocol::V2 => v2::Request::decode(&message[..]).ok().map(|request| {
                    request.timeseries.into_iter().map(|s| s.samples.iter().map(|s| (s.timestamp, s.value.to_bits())).collect()).collect()
                }),
            };
            match (ours(protocol, &message), expected) {
                (Ok(found), Some(expected)) => {
                    prop_assert_eq!(found.into_iter().map(|(_, samples, ..)| samples).collect::<Vec<_>>(), expected);
                }
                (Err(error), Some(_)) => prop_assert!(is_stricter_than_prost(&error), "{}", error),
                // We do not look into histograms, exemplars and metadata, nor at UTF-8 before labels are parsed.
                (Ok(_) | Err(_), None) => {}
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut plain, mut scratch, limits) = (Vec::new(), Scratch::new(), Limits::default());
        let _ = decompress(&bytes, &limits, &mut plain);
        for protocol in [Protocol::V1, Protocol::V2] {
            for message in [&bytes, &plain] {
                let Ok(mut decoder) = Decoder::new(protocol, message, &mut scratch, &limits) else { continue };
                while let Ok(Some(series)) = decoder.next_series() {
                    if let Ok(key) = series.key {
                        let _ = wan_wire::LabelPairs::parse(key, protocol);
                        let _ = wan_wire::labels::describe(key);
                    }
                }
            }
        }
        let _ = wan_wire::LabelPairs::parse(&bytes, Protocol::V2);
        let _ = wan_wire::labels::describe(&bytes);
    }

    #[test]
    fn arbitrary_headers_never_panic(content_type in ".{0,60}", parameters in "[ ;=\"\\\\a-z.]{0,40}", encoding in ".{0,9}") {
        let _ = wan_wire::negotiate(Some(&content_type), Some(&encoding));
        let _ = wan_wire::negotiate(Some(&format!("application/x-protobuf;{parameters}")), None);
    }
}
