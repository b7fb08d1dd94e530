//! The zero-copy walk of a remote write request, 1.0 and 2.0.
//!
//! [`Decoder`] lends one [`Series`] after the other from a decompressed message. It is lazy: what is behind a mistake has
//! not been looked at, and what was before it has been lent already. A receiver therefore holds back what it made of the
//! series until [`Decoder::next_series`] says that there are no more, and forgets it on an error.
//!
//! # What it costs
//!
//! The message is walked once (2.0: a second time over the outermost fields, to find the symbols wherever they stand).
//! In 1.0, labels that stand together in canonical form (see [`labels`](crate::labels)) are not copied: the key is a
//! slice of the message. Other orders and forms are legal protobuf and are copied into canonical form; so the key is the
//! same either way. In 2.0 the symbols of each series are copied into one key buffer.
//!
//! # What it can allocate, whatever the bytes
//!
//! Nothing but the three buffers of [`Scratch`], which live on from request to request:
//!
//! | buffer | bytes an entry | from at least so many bytes of message | at most |
//! | --- | --- | --- | --- |
//! | samples of the series at hand | 16 | 2 (tag, length 0) | [`Limits::samples`] entries, and 8 times the message |
//! | symbols, as ranges of the message (2.0) | 8 | 2 (tag, length 0) | [`Limits::symbols`] entries, and 4 times the message |
//! | key of the series at hand | 1 | 1.0: 1/3 (an empty label of 2 bytes has 6 in canonical form) | [`Limits::label_bytes`] |
//!
//! An entry is counted against its limit before it is pushed. Samples and symbols come from disjoint bytes, so these two
//! never hold more than **8 times the message**; the key is bounded by its limit alone, since a 2.0 label of 2 bytes can
//! stand for symbols of any length. A vector that grows doubles, so its capacity is below twice what it held at most:
//! **16 times the message plus twice `label_bytes`, and never more than [`Limits::scratch_bytes`]** (24 MB by default).
//! For the moment in which a vector moves, its old half lives beside it: half as much again at most. The integration test
//! `allocation` counts it with the allocator itself.
//!
//! Time is bounded likewise: every loop takes at least a byte of the message per turn, but for copying symbols into
//! keys, and the bytes so copied are counted against [`Limits::decompressed`] over the whole request (413 past it). Thus
//! a 2.0 request never says more than a 1.0 request of the greatest size could.

mod walk;

use crate::limits::Limits;
use crate::protobuf::{Malformed, Wire, delimited, skip, tag};
use crate::protocol::{Answer, Protocol};
use crate::time::UnixMillis;
use walk::{Fault, Found, Labels, Samples, Symbols, WRONG_TYPE, find_symbols, series_v1, series_v2};

/// One value at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it held. Any `i64` can come.
    pub time: UnixMillis,
    /// What was measured. NaN, infinities and stale markers can come; see [`is_stale_marker`].
    pub value: f64,
}

/// Whether a value is the marker that says "this series ends here": one NaN by its bits, unlike all other NaNs.
#[must_use]
pub fn is_stale_marker(value: f64) -> bool {
    /// Fixed by both specifications.
    const STALE: u64 = 0x7ff0_0000_0000_0002;
    value.to_bits() == STALE
}

/// One series of a request, lent until the next is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series<'s> {
    /// The labels in canonical form, not yet validated ([`LabelPairs::parse`](crate::LabelPairs::parse) does): equal
    /// labels have equal bytes. Or why they cannot be had: this series is then refused, the request goes on.
    pub key: Result<&'s [u8], SeriesError>,
    /// As much of the labels as was read before a fault, for [`describe`](crate::labels::describe): a refusal has to name
    /// the series. The key itself when there is no fault.
    pub seen: &'s [u8],
    /// The samples in the order sent, which may be any order, with times that may repeat.
    pub samples: &'s [Sample],
    /// How many native histogram samples came with it. They are counted, not opened.
    pub histograms: u32,
    /// How many exemplars came with it. They are counted, not opened.
    pub exemplars: u32,
}

/// Why one series is refused while the rest of its request is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// More labels than [`Limits::labels_per_series`].
    #[error("found more than {limit} labels in one series")]
    TooManyLabels {
        /// The most that is accepted.
        limit: usize,
    },
    /// More bytes of labels than [`Limits::label_bytes`].
    #[error("found more than {limit} bytes of labels in one series")]
    LabelsTooLong {
        /// The most that is accepted.
        limit: usize,
    },
    /// 2.0: a reference to a symbol that is not in the table.
    #[error("found a reference to symbol {reference}, but the request has {symbols}")]
    NoSuchSymbol {
        /// The reference.
        reference: u64,
        /// The length of the table.
        symbols: usize,
    },
    /// 2.0: a name without a value at the end of the references.
    #[error("found an odd number of label references, expected pairs of name and value")]
    OddReferences,
}

/// Why a request is refused as a whole. The text is the answer's body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is longer than [`Limits::compressed`].
    #[error("the body has {found} bytes, at most {limit} are accepted; send smaller batches")]
    CompressedTooLarge {
        /// Its length in bytes.
        found: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// The message is longer than [`Limits::decompressed`].
    #[error("the body unpacks to {found} bytes, at most {limit} are accepted; send smaller batches")]
    DecompressedTooLarge {
        /// Its length in bytes.
        found: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// 2.0: the labels of all series, written out, are longer than [`Limits::decompressed`].
    #[error("the series' labels, written out, have more than {limit} bytes; send smaller batches")]
    LabelsTooLarge {
        /// The most that is accepted.
        limit: usize,
    },
    /// More series than [`Limits::series`].
    #[error("the request has more than {limit} series; send smaller batches")]
    TooManySeries {
        /// The most that is accepted.
        limit: usize,
    },
    /// More samples than [`Limits::samples`].
    #[error("the request has more than {limit} samples; send smaller batches")]
    TooManySamples {
        /// The most that is accepted.
        limit: usize,
    },
    /// 2.0: more symbols than [`Limits::symbols`].
    #[error("the request has more than {limit} symbols; send smaller batches")]
    TooManySymbols {
        /// The most that is accepted.
        limit: usize,
    },
    /// The body is not a snappy block.
    #[error("the body is not a snappy block: {reason}")]
    NotSnappy {
        /// What is wrong.
        reason: &'static str,
    },
    /// The message is not protobuf, or a known field has a wrong wire type.
    #[error("the message is not valid protobuf: {what}, in the field at byte {offset}")]
    Malformed {
        /// Where the outermost field begins that has the mistake, in the decompressed message.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// 2.0: the message has no symbol table.
    #[error(
        "the message has no symbols, expected a table that begins with an empty one; is it a 1.0 message?"
    )]
    NoSymbols,
    /// 2.0: the first symbol is not empty.
    #[error("the first symbol is not empty, expected an empty one")]
    FirstSymbolNotEmpty,
    /// 1.0: the message has nothing that 1.0 knows, and what 2.0 knows.
    #[error("the message is of remote write 2.0; name it in the content type: {}", Protocol::V2.content_type())]
    WrongMessage,
}

impl DecodeError {
    /// How the collector answers.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        match self {
            DecodeError::CompressedTooLarge { .. }
            | DecodeError::DecompressedTooLarge { .. }
            | DecodeError::LabelsTooLarge { .. }
            | DecodeError::TooManySeries { .. }
            | DecodeError::TooManySamples { .. }
            | DecodeError::TooManySymbols { .. } => Answer::TooLarge,
            DecodeError::NotSnappy { .. }
            | DecodeError::Malformed { .. }
            | DecodeError::NoSymbols
            | DecodeError::FirstSymbolNotEmpty
            | DecodeError::WrongMessage => Answer::Malformed,
        }
    }

    /// The HTTP status: 400 or 413.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.answer().status()
    }
}

/// The decoder's buffers, to be used again for the next request. See the [module](self) for how big they can get.
#[derive(Debug, Default)]
pub struct Scratch {
    key: Vec<u8>,
    samples: Vec<Sample>,
    /// Start and length of each symbol in the message. A message is at most `u32::MAX` long.
    symbols: Vec<(u32, u32)>,
}

impl Scratch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// The bytes that the buffers take, used or not.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.key.capacity()
            + self.samples.capacity() * size_of::<Sample>()
            + self.symbols.capacity() * size_of::<(u32, u32)>()
    }
}

/// A walk over the series of one decompressed message.
#[derive(Debug)]
pub struct Decoder<'a> {
    protocol: Protocol,
    message: &'a [u8],
    rest: &'a [u8],
    scratch: &'a mut Scratch,
    limits: &'a Limits,
    series: usize,
    samples_left: usize,
    label_bytes_left: usize,
    saw_v2_field: bool,
}

impl<'a> Decoder<'a> {
    /// Begins a walk over `message`, as [`decompress`](crate::decompress) unpacked it.
    ///
    /// # Errors
    /// When the message is too long; in 2.0 also when its outermost fields are malformed or its symbol table is too long,
    /// missing, or does not begin with an empty symbol.
    pub fn new(
        protocol: Protocol,
        message: &'a [u8],
        scratch: &'a mut Scratch,
        limits: &'a Limits,
    ) -> Result<Decoder<'a>, DecodeError> {
        if message.len() > limits.decompressed || u32::try_from(message.len()).is_err() {
            return Err(DecodeError::DecompressedTooLarge {
                found: message.len(),
                limit: limits.decompressed,
            });
        }
        match protocol {
            Protocol::V1 => {}
            Protocol::V2 => find_symbols(message, &mut scratch.symbols, limits)?,
        }
        Ok(Decoder {
            protocol,
            message,
            rest: message,
            scratch,
            limits,
            series: 0,
            samples_left: limits.samples,
            label_bytes_left: limits.decompressed,
            saw_v2_field: false,
        })
    }

    /// The next series, or `None` when all have been lent.
    ///
    /// # Errors
    /// When the message is malformed or goes past a limit. The walk is then over: every later call gives `None`.
    pub fn next_series(&mut self) -> Result<Option<Series<'_>>, DecodeError> {
        let found = match self.find_series() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.rest = &[];
                self.saw_v2_field = false;
                return Err(error);
            }
        };
        let seen = found.borrowed.unwrap_or(&self.scratch.key);
        let (histograms, exemplars) = (found.histograms, found.exemplars);
        Ok(Some(Series {
            key: found.fault.map_or(Ok(seen), Err),
            seen,
            samples: &self.scratch.samples,
            histograms,
            exemplars,
        }))
    }

    fn find_series(&mut self) -> Result<Option<Found<'a>>, DecodeError> {
        let series_field = match self.protocol {
            Protocol::V1 => 1,
            Protocol::V2 => 5,
        };
        while !self.rest.is_empty() {
            let offset = self.message.len() - self.rest.len();
            let at = |Malformed(what)| DecodeError::Malformed { offset, what };
            let (field, wire) = tag(&mut self.rest).map_err(at)?;
            if field != series_field {
                self.saw_v2_field |= (field, wire) == (5, Wire::Delimited);
                skip(&mut self.rest, wire).map_err(at)?;
                continue;
            }
            if wire != Wire::Delimited {
                return Err(at(WRONG_TYPE));
            }
            let series = delimited(&mut self.rest).map_err(at)?;
            if self.series == self.limits.series {
                return Err(DecodeError::TooManySeries { limit: self.limits.series });
            }
            self.series += 1;
            return self.open_series(series, offset).map(Some);
        }
        if self.protocol == Protocol::V1 && self.series == 0 && self.saw_v2_field {
            return Err(DecodeError::WrongMessage);
        }
        Ok(None)
    }

    fn open_series(&mut self, series: &'a [u8], offset: usize) -> Result<Found<'a>, DecodeError> {
        let Scratch { key, samples, symbols } = &mut *self.scratch;
        samples.clear();
        let mut samples = Samples { samples, left: self.samples_left };
        let found = match self.protocol {
            Protocol::V1 => series_v1(series, key, &mut samples, self.limits),
            Protocol::V2 => {
                let labels = Labels { key, limits: self.limits, count: 0, fault: None };
                let symbols = Symbols { message: self.message, symbols, pending: None };
                series_v2(series, labels, symbols, &mut samples)
            }
        };
        let found = found.map_err(|fault| match fault {
            Fault::Malformed(Malformed(what)) => DecodeError::Malformed { offset, what },
            Fault::TooManySamples => DecodeError::TooManySamples { limit: self.limits.samples },
        })?;
        self.samples_left = samples.left;
        if self.protocol == Protocol::V2 {
            let left = self.label_bytes_left.checked_sub(self.scratch.key.len());
            self.label_bytes_left =
                left.ok_or(DecodeError::LabelsTooLarge { limit: self.limits.decompressed })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{describe, put_pair};
    use crate::protobuf::{put_delimited, put_varint};

    const LIMITS: Limits = Limits {
        compressed: 1 << 20,
        decompressed: 1 << 20,
        series: 10,
        samples: 20,
        symbols: 10,
        labels_per_series: 4,
        label_bytes: 200,
    };

    /// A field 1, 2, … of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_delimited(&mut out, number << 3 | 2, bytes);
        out
    }

    fn sample_bytes(value: f64, time: i64) -> Vec<u8> {
        let mut out = vec![0x09];
        out.extend(value.to_le_bytes());
        out.push(0x10);
        put_varint(&mut out, time.cast_unsigned());
        out
    }

    fn pair(name: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_pair(&mut out, name.as_bytes(), value.as_bytes());
        out
    }

    fn up() -> Vec<u8> {
        pair("__name__", "up")
    }

    fn v1(series: &[&[u8]]) -> Vec<u8> {
        field(1, &series.concat())
    }

    fn v2(symbols: &[&str], series: &[Vec<u8>]) -> Vec<u8> {
        let symbols: Vec<u8> = symbols.iter().flat_map(|symbol| field(4, symbol.as_bytes())).collect();
        let series: Vec<u8> = series.iter().flat_map(|series| field(5, series)).collect();
        [symbols, series].concat()
    }

    type Owned = (Result<Vec<u8>, SeriesError>, Vec<(i64, u64)>, u32, u32);

    fn decode_within(limits: &Limits, protocol: Protocol, message: &[u8]) -> Result<Vec<Owned>, DecodeError> {
        let mut scratch = Scratch::new();
        let mut decoder = Decoder::new(protocol, message, &mut scratch, limits)?;
        let mut all = Vec::new();
        while let Some(series) = decoder.next_series()? {
            let samples = series.samples.iter().map(|s| (s.time.0, s.value.to_bits())).collect();
            all.push((series.key.map(<[u8]>::to_vec), samples, series.histograms, series.exemplars));
        }
        assert_eq!(decoder.next_series(), Ok(None), "the end stays the end");
        Ok(all)
    }

    fn decode(protocol: Protocol, message: &[u8]) -> Result<Vec<Owned>, DecodeError> {
        decode_within(&LIMITS, protocol, message)
    }

    fn what(protocol: Protocol, message: &[u8]) -> &'static str {
        match decode(protocol, message) {
            Err(DecodeError::Malformed { what, .. }) => what,
            other => panic!("expected a malformed message, found {other:?}"),
        }
    }

    #[test]
    fn labels_in_canonical_form_are_lent_from_the_message_itself() {
        let message = v1(&[&up(), &pair("a", &"x".repeat(150)), &field(2, &sample_bytes(1.5, -7))]);
        let mut scratch = Scratch::new();
        let mut decoder = Decoder::new(Protocol::V1, &message, &mut scratch, &LIMITS).unwrap();
        let series = decoder.next_series().unwrap().unwrap();
        assert!(message.as_ptr_range().contains(&series.key.unwrap().as_ptr()), "the key was copied");
        assert_eq!(series.samples, [Sample { time: UnixMillis(-7), value: 1.5 }]);
    }

    #[test]
    fn labels_in_any_other_form_give_the_same_key() {
        let key = [up(), pair("a", "b")].concat();
        let sample = field(2, &sample_bytes(1.0, 1));
        let name_last = [field(2, b"b"), field(1, b"a")].concat();
        let name_twice = [field(1, b"x"), field(1, b"a"), field(2, b"b")].concat();
        let with_unknown = [field(1, b"a"), field(2, b"b"), field(9, b"?")].concat();
        let long_length = [&[0x0a, 0x81, 0x00][..], b"a", &field(2, b"b")].concat();
        let forms = [
            vec![up(), sample.clone(), pair("a", "b")],
            vec![sample.clone(), up(), pair("a", "b")],
            vec![field(15, b"?"), up(), pair("a", "b"), sample.clone()],
            vec![up(), field(1, &name_last), sample.clone()],
            vec![up(), field(1, &name_twice), sample.clone()],
            vec![up(), field(1, &with_unknown), sample.clone()],
            vec![up(), field(1, &long_length), sample.clone()],
        ];
        for form in forms {
            let message = field(1, &form.concat());
            let expected = (Ok(key.clone()), vec![(1, 1.0_f64.to_bits())], 0, 0);
            assert_eq!(decode(Protocol::V1, &message).unwrap(), [expected], "{form:?}");
        }
        // A field that is left out is empty.
        let message = v1(&[&field(1, &field(1, b"a"))]);
        assert_eq!(decode(Protocol::V1, &message).unwrap()[0].0, Ok(pair("a", "")));
    }

    #[test]
    fn symbols_are_resolved_wherever_they_stand_and_however_references_are_written() {
        let key = [up(), pair("a", "b")].concat();
        let symbols: Vec<u8> =
            ["", "__name__", "up", "a", "b"].iter().flat_map(|s| field(4, s.as_bytes())).collect();
        let packed = field(1, &[1, 2, 3, 4]);
        let split = [field(1, &[1]), field(1, &[]), field(1, &[2, 3]), field(1, &[4])].concat();
        let one_by_one = [8, 1, 8, 2, 8, 3, 8, 0x84, 0].to_vec();
        let mixed = [&[8, 1][..], &field(1, &[2, 3, 4])].concat();
        for references in [packed, split, one_by_one, mixed] {
            let series = field(5, &[references, field(2, &sample_bytes(0.0, 5))].concat());
            for message in [[symbols.clone(), series.clone()].concat(), [series, symbols.clone()].concat()] {
                let expected = (Ok(key.clone()), vec![(5, 0)], 0, 0);
                assert_eq!(decode(Protocol::V2, &message).unwrap(), [expected]);
            }
        }
    }

    #[test]
    fn bad_references_cost_their_series_and_no_other() {
        let symbols = ["", "__name__", "up", "a", "b"];
        let good = field(1, &[1, 2]);
        let huge = [0x80, 0x80, 0x80, 0x80, 0x10]; // 2^32, which truncates to 0
        let table = [
            (field(1, &[1, 2, 3]), SeriesError::OddReferences),
            (field(1, &[1, 5]), SeriesError::NoSuchSymbol { reference: 5, symbols: 5 }),
            (field(1, &[5]), SeriesError::NoSuchSymbol { reference: 5, symbols: 5 }),
            (field(1, &huge), SeriesError::NoSuchSymbol { reference: 1 << 32, symbols: 5 }),
            (field(1, &[1, 2].repeat(5)), SeriesError::TooManyLabels { limit: 4 }),
        ];
        for (references, error) in table {
            let bad = [references, field(2, &sample_bytes(1.0, 1)), field(2, &sample_bytes(2.0, 2))].concat();
            let all = decode(Protocol::V2, &v2(&symbols, &[good.clone(), bad, good.clone()])).unwrap();
            assert_eq!(all[0], (Ok(up()), vec![], 0, 0));
            assert_eq!((&all[1].0, all[1].1.len()), (&Err(error), 2), "its samples can still be counted");
            assert_eq!(all[2], all[0]);
        }
    }

    #[test]
    fn a_series_with_a_fault_can_still_be_named() {
        let name_of = |protocol, message: &[u8]| {
            let mut scratch = Scratch::new();
            let mut decoder = Decoder::new(protocol, message, &mut scratch, &LIMITS).unwrap();
            let series = decoder.next_series().unwrap().unwrap();
            assert!(series.key.is_err());
            describe(series.seen)
        };
        let label = pair("a", "b");
        assert_eq!(name_of(Protocol::V2, &v2(&["", "__name__", "up"], &[field(1, &[1, 2, 9])])), "up");
        assert_eq!(name_of(Protocol::V1, &v1(&[&up(), &pair("a", &"x".repeat(250))])).len(), 200);
        assert!(
            name_of(Protocol::V1, &v1(&[&up(), &field(2, &[]), &label.repeat(4)]))
                .contains("__name__=\"up\"")
        );
    }

    #[test]
    fn a_table_of_symbols_must_be_there_and_begin_with_an_empty_one() {
        assert_eq!(decode(Protocol::V2, &[]), Err(DecodeError::NoSymbols));
        assert_eq!(decode(Protocol::V2, &v1(&[&up()])), Err(DecodeError::NoSymbols), "a 1.0 message");
        assert_eq!(decode(Protocol::V2, &v2(&["a", ""], &[])), Err(DecodeError::FirstSymbolNotEmpty));
        assert_eq!(decode(Protocol::V2, &v2(&[""], &[])), Ok(vec![]));
    }

    #[test]
    fn a_2_0_message_sent_as_1_0_is_refused_and_an_empty_one_is_not() {
        assert_eq!(
            decode(Protocol::V1, &v2(&["", "a"], &[field(1, &[0, 1])])),
            Err(DecodeError::WrongMessage)
        );
        assert_eq!(decode(Protocol::V1, &[]), Ok(vec![]));
        assert_eq!(decode(Protocol::V1, &field(3, b"metadata")), Ok(vec![]));
    }

    #[test]
    fn samples_keep_their_order_their_doubles_and_every_bit() {
        let stale = f64::from_bits(0x7ff0_0000_0000_0002);
        let samples = [
            (f64::NAN, 0),
            (stale, 5),
            (f64::INFINITY, i64::MAX),
            (f64::NEG_INFINITY, i64::MIN),
            (-0.0, -1),
            (f64::MIN_POSITIVE, 5),
            (1.0, 3),
            (1.0, 3),
        ];
        let fields: Vec<u8> =
            samples.iter().flat_map(|(value, time)| field(2, &sample_bytes(*value, *time))).collect();
        let expected: Vec<_> = samples.iter().map(|(value, time)| (*time, value.to_bits())).collect();
        let one = decode(Protocol::V1, &v1(&[&up(), &fields])).unwrap();
        let two = decode(Protocol::V2, &v2(&["", "__name__", "up"], &[[field(1, &[1, 2]), fields].concat()]))
            .unwrap();
        assert_eq!((&one[0].1, &two[0].1), (&expected, &expected));
        assert!(is_stale_marker(stale) && !is_stale_marker(f64::NAN) && !is_stale_marker(0.0));
    }

    #[test]
    fn a_samples_fields_may_be_missing_repeated_reordered_or_unknown() {
        let value = |value: f64| [&[0x09][..], &value.to_le_bytes()].concat();
        let table = [
            (vec![], (0, 0.0)),
            (value(2.0), (0, 2.0)),
            (vec![0x10, 7], (7, 0.0)),
            ([vec![0x10, 7], value(2.0)].concat(), (7, 2.0)),
            ([value(1.0), vec![0x10, 7], value(2.0), vec![0x10, 8]].concat(), (8, 2.0)),
            ([value(1.0), vec![0x10, 7, 0x18, 9]].concat(), (7, 1.0)), // start_timestamp
            ([value(1.0), vec![0x10, 0x87, 0x00]].concat(), (7, 1.0)), // not in its shortest form
        ];
        for (bytes, (time, value)) in table {
            let all = decode(Protocol::V1, &v1(&[&up(), &field(2, &bytes)])).unwrap();
            assert_eq!(all[0].1, [(time, f64::to_bits(value))], "{bytes:?}");
        }
    }

    #[test]
    fn histograms_and_exemplars_are_counted_and_metadata_is_passed_over() {
        let rest = [field(3, b"?"), field(4, b"?"), field(3, b""), field(5, b"?"), vec![0x30, 1]].concat();
        let one = decode(Protocol::V1, &v1(&[&up(), &rest])).unwrap();
        assert_eq!((one[0].2, one[0].3), (1, 2), "in 1.0 exemplars are 3 and histograms are 4");
        let two = decode(Protocol::V2, &v2(&["", "__name__", "up"], &[[field(1, &[1, 2]), rest].concat()]))
            .unwrap();
        assert_eq!((two[0].2, two[0].3), (2, 1), "in 2.0 the other way round");
    }

    #[test]
    fn every_malformed_message_is_refused_whole() {
        let up = up();
        for (series, expected) in [
            (vec![0x0b], "a group, which proto3 does not have"),
            (vec![0x08, 1], WRONG_TYPE.0),
            (vec![0x10, 1], WRONG_TYPE.0),
            (vec![0x1d, 0, 0, 0, 0], WRONG_TYPE.0),
            (field(2, &[0x0a, 0]), WRONG_TYPE.0),
            (field(2, &[0x11, 0, 0, 0, 0, 0, 0, 0, 0]), WRONG_TYPE.0),
            (field(2, &[0x09, 0]), "a number of 8 bytes is cut off"),
            (field(2, &[0x10, 0x80]), "a number is cut off or longer than 10 bytes"),
            (field(1, &[0x0a, 5]), "a length runs past the end"),
            (field(1, &[0x08, 5]), WRONG_TYPE.0),
            (vec![0x12, 9], "a length runs past the end"),
            (vec![0x02, 0], "a field has the number 0"),
            (vec![0x3f], "a field has an unknown wire type"),
        ] {
            let mut message = v1(&[&up]);
            let offset = message.len();
            message.extend(field(1, &[&up[..], &series].concat()));
            let error = decode(Protocol::V1, &message).unwrap_err();
            assert_eq!(error, DecodeError::Malformed { offset, what: expected }, "{series:?}");
        }
        for message in [&[0x08, 1][..], &[0x0a, 1], &[0x0a], &[0xff]] {
            what(Protocol::V1, message);
        }
        let symbols = v2(&["", "a"], &[]);
        for more in
            [&[0x20, 1][..], &[0x28, 1], &[0x2a, 1], &[0x22, 9], &[0x2a, 2, 0x0a, 1], &[0x2a, 1, 0x08]]
        {
            what(Protocol::V2, &[&symbols[..], more].concat());
        }
        assert_eq!(
            what(Protocol::V2, &[&symbols[..], &[0x2a, 2, 0x12, 9]].concat()),
            "a length runs past the end"
        );
    }

    #[test]
    fn after_a_mistake_the_walk_is_over() {
        let message = [v1(&[&up()]), vec![0x0a, 1, 0x07], v1(&[&up()])].concat();
        let mut scratch = Scratch::new();
        let mut decoder = Decoder::new(Protocol::V1, &message, &mut scratch, &LIMITS).unwrap();
        assert!(decoder.next_series().unwrap().is_some());
        assert!(decoder.next_series().is_err());
        assert_eq!(decoder.next_series(), Ok(None));
    }

    #[test]
    fn each_limit_of_a_request_holds_exactly() {
        let series = v1(&[&up()]);
        assert_eq!(decode(Protocol::V1, &series.repeat(10)).unwrap().len(), 10);
        assert_eq!(decode(Protocol::V1, &series.repeat(11)), Err(DecodeError::TooManySeries { limit: 10 }));

        let ten = v1(&[&up(), &field(2, &sample_bytes(1.0, 1)).repeat(10)]);
        assert_eq!(decode(Protocol::V1, &ten.repeat(2)).unwrap().len(), 2);
        let one_more = [ten.repeat(2), v1(&[&up(), &field(2, &[])])].concat();
        assert_eq!(decode(Protocol::V1, &one_more), Err(DecodeError::TooManySamples { limit: 20 }));

        assert_eq!(decode(Protocol::V2, &v2(&[""; 10], &[])), Ok(vec![]));
        assert_eq!(decode(Protocol::V2, &v2(&[""; 11], &[])), Err(DecodeError::TooManySymbols { limit: 10 }));

        let limits = Limits { decompressed: 11, ..LIMITS };
        let error = decode_within(&limits, Protocol::V1, &[0; 12]).unwrap_err();
        assert_eq!(error, DecodeError::DecompressedTooLarge { found: 12, limit: 11 });
    }

    #[test]
    fn each_limit_of_a_series_holds_exactly_and_costs_only_the_series() {
        let label = |n: usize| pair(&format!("l{n}"), "x");
        let labels = |n: usize| (0..n).flat_map(label).collect::<Vec<u8>>();
        let last = field(2, &[]); // a sample, so that the labels that follow stand apart
        for (first, second) in [(labels(4), vec![]), (labels(2), [last.clone(), labels(2)].concat())] {
            let good = decode(Protocol::V1, &v1(&[&first, &second])).unwrap();
            assert_eq!(
                good[0].0,
                Ok([labels(first.len() / label(0).len()), labels(4 - first.len() / label(0).len())].concat())
            );
            let bad =
                decode(Protocol::V1, &[v1(&[&first, &second, &label(4)]), v1(&[&up()])].concat()).unwrap();
            assert_eq!(bad[0].0, Err(SeriesError::TooManyLabels { limit: 4 }));
            assert_eq!(bad[1].0, Ok(up()));
        }
        let long = |bytes: usize| pair("a", &"x".repeat(bytes));
        let fits = long(191);
        assert_eq!(fits.len(), 200, "two bytes for each of two lengths");
        assert_eq!(decode(Protocol::V1, &v1(&[&fits])).unwrap()[0].0, Ok(fits));
        for series in [vec![long(192)], vec![last, long(192)]] {
            let all = decode(Protocol::V1, &field(1, &series.concat())).unwrap();
            assert_eq!(all[0].0, Err(SeriesError::LabelsTooLong { limit: 200 }));
        }
        let all = decode(Protocol::V2, &v2(&["", &"x".repeat(192)], &[field(1, &[1, 1])])).unwrap();
        assert_eq!(all[0].0, Err(SeriesError::LabelsTooLong { limit: 200 }));
    }

    #[test]
    fn one_long_symbol_cannot_be_blown_up() {
        let symbol = "x".repeat(80);
        let series = field(1, &[1, 1]);
        let limits = Limits { decompressed: 700, ..LIMITS };
        let three =
            decode_within(&limits, Protocol::V2, &v2(&["", &symbol], &vec![series.clone(); 4])).unwrap();
        assert_eq!(three.len(), 4);
        let error = decode_within(&limits, Protocol::V2, &v2(&["", &symbol], &vec![series; 5])).unwrap_err();
        assert_eq!((error.status(), error), (413, DecodeError::LabelsTooLarge { limit: 700 }));
    }

    #[test]
    fn the_whole_table_of_errors() {
        let limit = 1;
        let table = [
            (DecodeError::CompressedTooLarge { found: 2, limit }, 413),
            (DecodeError::DecompressedTooLarge { found: 2, limit }, 413),
            (DecodeError::LabelsTooLarge { limit }, 413),
            (DecodeError::TooManySeries { limit }, 413),
            (DecodeError::TooManySamples { limit }, 413),
            (DecodeError::TooManySymbols { limit }, 413),
            (DecodeError::NotSnappy { reason: "" }, 400),
            (DecodeError::Malformed { offset: 0, what: "" }, 400),
            (DecodeError::NoSymbols, 400),
            (DecodeError::FirstSymbolNotEmpty, 400),
            (DecodeError::WrongMessage, 400),
        ];
        for (error, status) in table {
            assert_eq!(error.status(), status, "{error}");
            assert_eq!(error.to_string().contains("send smaller batches"), status == 413, "{error}");
        }
    }
}
