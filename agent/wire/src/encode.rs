//! The deterministic encoder: the same samples in the same order give the same bytes, whatever the order of their labels.

use std::collections::{BTreeMap, HashMap};

use crate::decode::Sample;
use crate::labels::{LabelError, canonical_key, next_pair};
use crate::names::{Label, Metric, MetricType};
use crate::protobuf::{put_delimited, put_varint, varint_len};
use crate::protocol::Protocol;
use crate::round::RoundError;
use crate::time::UnixMillis;

/// Why something cannot be sent. Nothing of it is then in the request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// The labels are not a valid set.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// The round's figures contradict each other.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// The message is longer than the 4 GiB that a snappy block can hold.
    #[error("the message of {0} bytes is too long for a snappy block")]
    TooLong(usize),
}

/// Builds one write request.
///
/// What is promised, so that golden files and tests can rely on it:
/// - Labels are sorted by name. A set that is against the specification is an error, not a request that is refused later.
/// - Series stand in the order in which they first came, each once, its samples sorted by time; of two at one time the
///   later call's holds.
/// - In 2.0 every string is in the symbol table once, in the order of first use, and series of Wanwatch's own metrics
///   carry their type as metadata. Help texts are left out: they would be most of a push.
/// - Both fields of a sample are always written, zeros too: so `-0.0` keeps its sign, and decoders stay on their fast path.
#[derive(Clone, Debug)]
pub struct RequestBuilder {
    protocol: Protocol,
    series: Vec<Entry>,
    index: BTreeMap<Vec<u8>, usize>,
    samples: usize,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Vec<u8>,
    samples: Vec<Sample>,
}

/// One series to be written as it stands: labels in canonical form ([`crate::labels`]), samples in the order in which they are to go.
#[derive(Clone, Copy, Debug)]
pub struct KeyedSeries<'s> {
    /// The labels, valid and in canonical form: they are not looked at again.
    pub key: &'s [u8],
    /// The samples, oldest first.
    pub samples: &'s [Sample],
}

/// Appends to `out` the message of these series, not compressed, in the order given; a series may come more than once, as common
/// senders have it. For who passes on what was accepted before: nothing is checked, sorted or joined, as [`RequestBuilder`] does.
pub fn encode_keyed<'s>(
    protocol: Protocol,
    series: impl Iterator<Item = KeyedSeries<'s>>,
    out: &mut Vec<u8>,
) {
    match protocol {
        Protocol::V1 => message_v1(series, out),
        Protocol::V2 => message_v2(series, out),
    }
}

impl RequestBuilder {
    /// An empty request.
    #[must_use]
    pub fn new(protocol: Protocol) -> RequestBuilder {
        RequestBuilder { protocol, series: Vec::new(), index: BTreeMap::new(), samples: 0, bytes: 0 }
    }

    /// Adds samples of the series that has these labels, `__name__` among them, in any order.
    ///
    /// # Errors
    /// When the labels are not a valid set.
    pub fn series(&mut self, labels: &[(&str, &str)], samples: &[Sample]) -> Result<(), LabelError> {
        let key = canonical_key(labels)?;
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => {
                self.bytes += key.len() + labels.len() * LABEL_OVERHEAD + SERIES_OVERHEAD;
                self.index.insert(key.clone(), self.series.len());
                self.series.push(Entry { key, samples: Vec::new() });
                self.series.len() - 1
            }
        };
        if let Some(entry) = self.series.get_mut(at) {
            entry.samples.extend_from_slice(samples);
        }
        self.samples += samples.len();
        self.bytes += samples.len() * MAX_SAMPLE_BYTES;
        Ok(())
    }

    /// Adds one sample of one of Wanwatch's own metrics.
    ///
    /// # Errors
    /// When the labels are not a valid set.
    pub fn sample(
        &mut self,
        metric: Metric,
        labels: &[(Label, &str)],
        time: UnixMillis,
        value: f64,
    ) -> Result<(), LabelError> {
        let mut pairs = Vec::with_capacity(labels.len() + 1);
        pairs.push((Label::Name.as_str(), metric.as_str()));
        pairs.extend(labels.iter().map(|(label, value)| (label.as_str(), *value)));
        self.series(&pairs, &[Sample { time, value }])
    }

    /// The protocol that the request is written in.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How many samples were added.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// About how long the message will be before compression; never less than it is.
    #[must_use]
    pub fn estimated_bytes(&self) -> usize {
        self.bytes + SERIES_OVERHEAD
    }

    /// The message, not compressed.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        for entry in &mut self.series {
            sort_samples(&mut entry.samples);
        }
        let mut out = Vec::new();
        let series = self.series.iter().map(|entry| KeyedSeries { key: &entry.key, samples: &entry.samples });
        encode_keyed(self.protocol, series, &mut out);
        out
    }

    /// The message as a snappy block: the body of the request.
    ///
    /// # Errors
    /// When the message is longer than the 4 GiB that a block can hold.
    pub fn finish_compressed(self) -> Result<Vec<u8>, EncodeError> {
        let message = self.finish();
        snap::raw::Encoder::new().compress_vec(&message).map_err(|_| EncodeError::TooLong(message.len()))
    }
}

/// Tags, lengths and metadata of a series take at most 16 bytes; and as much again stands for the request itself.
const SERIES_OVERHEAD: usize = 32;

/// In 2.0 a label may take two references of 5 bytes and two entries of the table with a tag and the length that the
/// canonical form has as well, but not that form's own tag and length.
const LABEL_OVERHEAD: usize = 10;

/// Tag, length, tag, 8 bytes of value, tag, up to 10 bytes of time.
const MAX_SAMPLE_BYTES: usize = 22;

/// Sorts by time and leaves one sample a time, the one that came last.
fn sort_samples(samples: &mut Vec<Sample>) {
    if samples.is_sorted_by(|a, b| a.time < b.time) {
        return;
    }
    samples.reverse();
    samples.sort_by_key(|sample| sample.time); // stable: of one time, the last that came is first now
    samples.dedup_by_key(|sample| sample.time);
}

fn message_v1<'s>(series: impl Iterator<Item = KeyedSeries<'s>>, out: &mut Vec<u8>) {
    for KeyedSeries { key, samples } in series {
        let length = key.len() + samples.iter().map(sample_len).sum::<usize>();
        out.push(0x0a);
        put_varint(out, length as u64);
        out.extend_from_slice(key);
        put_samples(out, samples);
    }
}

fn message_v2<'s>(series: impl Iterator<Item = KeyedSeries<'s>>, out: &mut Vec<u8>) {
    let mut table = Table::default();
    table.reference(b"");
    let (mut all, mut body, mut references) = (Vec::new(), Vec::new(), Vec::new());
    for KeyedSeries { key, samples } in series {
        references.clear();
        let (mut rest, mut metric_type) = (key, None);
        while let Some((name, value)) = next_pair(&mut rest) {
            if name == Label::Name.as_str().as_bytes() {
                metric_type = Metric::from_bytes(value).map(Metric::metric_type);
            }
            put_varint(&mut references, table.reference(name));
            put_varint(&mut references, table.reference(value));
        }
        body.clear();
        put_delimited(&mut body, 0x0a, &references);
        put_samples(&mut body, samples);
        if let Some(metric_type) = metric_type {
            put_metadata(&mut body, metric_type);
        }
        put_delimited(&mut all, 0x2a, &body);
    }
    out.append(&mut table.encoded);
    out.append(&mut all);
}

fn put_metadata(body: &mut Vec<u8>, metric_type: MetricType) {
    let mut metadata = vec![0x08];
    put_varint(&mut metadata, u64::from(metric_type.wire_code()));
    put_delimited(body, 0x2a, &metadata);
}

/// The symbol table as it is written: the order is that of first use, so the map's own makes no difference.
#[derive(Default)]
struct Table<'s> {
    index: HashMap<&'s [u8], u64>,
    encoded: Vec<u8>,
}

impl<'s> Table<'s> {
    fn reference(&mut self, symbol: &'s [u8]) -> u64 {
        let next = self.index.len() as u64;
        *self.index.entry(symbol).or_insert_with(|| {
            put_delimited(&mut self.encoded, 0x22, symbol);
            next
        })
    }
}

/// What one sample takes, tag and length included.
fn sample_len(sample: &Sample) -> usize {
    // Tag and length; tag and 8 bytes of value; tag and time.
    2 + 9 + 1 + varint_len(sample.time.as_millis().cast_unsigned())
}

fn put_samples(out: &mut Vec<u8>, samples: &[Sample]) {
    for sample in samples {
        let time = sample.time.as_millis().cast_unsigned();
        out.push(0x12);
        put_varint(out, (10 + varint_len(time)) as u64);
        out.push(0x09);
        out.extend_from_slice(&sample.value.to_le_bytes());
        out.push(0x10);
        put_varint(out, time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time: i64, value: f64) -> Sample {
        Sample { time: UnixMillis(time), value }
    }

    fn both() -> [RequestBuilder; 2] {
        [Protocol::V1, Protocol::V2].map(RequestBuilder::new)
    }

    #[test]
    fn series_that_are_passed_on_are_written_as_the_builder_writes_them() {
        let (a, b) = ([("__name__", "wan_round_sent"), ("a", "1")], [("__name__", "up"), ("a", "2")]);
        let (two, one) = ([sample(i64::MIN, 1.0), sample(3, -0.0)], [sample(9, f64::NAN)]);
        for mut built in both() {
            let protocol = built.protocol();
            built.series(&a, &two).unwrap();
            built.series(&b, &one).unwrap();
            let keys = [canonical_key(&a).unwrap(), canonical_key(&b).unwrap()];
            let series = [(&keys[0], &two[..]), (&keys[1], &one[..])];
            let mut out = b"before".to_vec();
            let series = series.into_iter().map(|(key, samples)| KeyedSeries { key, samples });
            encode_keyed(protocol, series, &mut out);
            assert_eq!(out, [b"before".to_vec(), built.finish()].concat());
        }
    }

    #[test]
    fn the_order_of_labels_makes_no_difference() {
        let labels = [("__name__", "up"), ("a", "1"), ("b", "2")];
        let mut reversed = labels;
        reversed.reverse();
        for (mut one, mut other) in both().into_iter().zip(both()) {
            one.series(&labels, &[sample(1, 1.0)]).unwrap();
            other.series(&reversed, &[sample(1, 1.0)]).unwrap();
            assert_eq!(one.finish(), other.finish());
        }
    }

    #[test]
    fn a_series_stands_once_with_its_samples_in_order_of_time() {
        let (a, b) = ([("__name__", "a")], [("__name__", "b")]);
        for (mut one, mut other) in both().into_iter().zip(both()) {
            one.series(&a, &[sample(3, 3.0), sample(1, 0.0)]).unwrap();
            one.series(&b, &[sample(9, 9.0)]).unwrap();
            one.series(&a, &[sample(2, 2.0), sample(1, 1.0)]).unwrap();
            assert_eq!(one.samples(), 5);
            other.series(&a, &[sample(1, 1.0), sample(2, 2.0), sample(3, 3.0)]).unwrap();
            other.series(&b, &[sample(9, 9.0)]).unwrap();
            assert_eq!(one.finish(), other.finish());
        }
    }

    #[test]
    fn labels_against_the_specification_are_an_error_and_add_nothing() {
        let name = ("__name__", "up");
        for bad in
            [vec![], vec![("a", "1")], vec![name, name], vec![name, ("a", "")], vec![name, ("a-b", "1")]]
        {
            for mut request in both() {
                assert!(request.series(&bad, &[sample(1, 1.0)]).is_err(), "{bad:?}");
                assert!(request.is_empty() && request.samples() == 0);
            }
        }
    }

    #[test]
    fn two_point_zero_writes_each_string_once_and_the_type_of_our_metrics() {
        let mut request = RequestBuilder::new(Protocol::V2);
        request
            .sample(Metric::AgentDroppedSamplesTotal, &[(Label::Link, "wan")], UnixMillis(1), 0.0)
            .unwrap();
        request.series(&[("__name__", "wan"), ("link", "wan")], &[]).unwrap();
        let message = request.finish();
        let count = |text: &[u8]| message.windows(text.len()).filter(|window| *window == text).count();
        assert_eq!(message[..2], [0x22, 0], "the first symbol is empty");
        assert_eq!((count(b"\"\x04link"), count(b"\"\x03wan"), count(b"\"\x08__name__")), (1, 1, 1));
        assert_eq!(count(&[0x2a, 2, 0x08, 1]), 1, "a counter; the other has no type");
    }

    #[test]
    fn an_empty_request_is_one_that_a_receiver_accepts() {
        assert_eq!(both().map(RequestBuilder::finish), [vec![], vec![0x22, 0]]);
        for request in both() {
            assert!(!request.finish_compressed().unwrap().is_empty());
        }
    }

    #[test]
    fn the_estimate_is_never_less_than_the_message() {
        for mut request in both() {
            for series in 0..200 {
                let value = "v".repeat(series + 1);
                let name = format!("n{series}");
                request
                    .series(
                        &[("__name__", &name), ("a", &value)],
                        &[sample(-1, 1.0), sample(series as i64, 1.0)],
                    )
                    .unwrap();
                let message = request.clone().finish().len();
                assert!(request.estimated_bytes() >= message, "{} < {message}", request.estimated_bytes());
            }
        }
    }
}
