//! The walk inside one series, and over the symbol table: plain functions over slices.

use super::{DecodeError, Sample, SeriesError};
use crate::labels::{canonical_len, next_pair, put_pair};
use crate::limits::Limits;
use crate::protobuf::{Malformed, Wire, delimited, fixed64, skip, tag, varint};
use crate::time::UnixMillis;

/// A series as found in its message.
pub(super) struct Found<'a> {
    /// What is wrong with its labels.
    pub(super) fault: Option<SeriesError>,
    /// Its labels as they stand in the message; `None` when they were copied.
    pub(super) borrowed: Option<&'a [u8]>,
    pub(super) histograms: u32,
    pub(super) exemplars: u32,
}

/// Why the walk of a series cannot go on.
pub(super) enum Fault {
    Malformed(Malformed),
    TooManySamples,
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Fault {
        Fault::Malformed(malformed)
    }
}

pub(super) const WRONG_TYPE: Malformed = Malformed("a known field has a wrong wire type");

/// `prometheus.TimeSeries`: labels 1, samples 2; and as Prometheus has it beyond the specification: exemplars 3,
/// histograms 4.
pub(super) fn series_v1<'a>(
    series: &'a [u8],
    key: &mut Vec<u8>,
    samples: &mut Samples<'_>,
    limits: &Limits,
) -> Result<Found<'a>, Fault> {
    let (mut rest, mut labels) = (series, 0_usize);
    while next_pair(&mut rest).is_some() {
        labels += 1;
    }
    let borrowed = series.get(..series.len() - rest.len()).unwrap_or_default();
    let (mut is_canonical, mut histograms, mut exemplars) = (true, 0_u32, 0_u32);
    while !rest.is_empty() {
        match tag(&mut rest)? {
            (2, Wire::Delimited) => samples.push(sample(delimited(&mut rest)?)?)?,
            (1, Wire::Delimited) => {
                delimited(&mut rest)?;
                is_canonical = false;
            }
            (3, Wire::Delimited) => {
                delimited(&mut rest)?;
                exemplars = exemplars.saturating_add(1);
            }
            (4, Wire::Delimited) => {
                delimited(&mut rest)?;
                histograms = histograms.saturating_add(1);
            }
            (1..=4, _) => return Err(WRONG_TYPE.into()),
            (_, wire) => skip(&mut rest, wire)?,
        }
    }
    let (fault, borrowed) = if !is_canonical {
        (collect_labels(series, Labels { key, limits, count: 0, fault: None })?, None)
    } else if labels > limits.labels_per_series {
        (Some(SeriesError::TooManyLabels { limit: limits.labels_per_series }), Some(borrowed))
    } else if borrowed.len() > limits.label_bytes {
        (Some(SeriesError::LabelsTooLong { limit: limits.label_bytes }), Some(borrowed))
    } else {
        (None, Some(borrowed))
    };
    Ok(Found { fault, borrowed, histograms, exemplars })
}

/// The labels of a 1.0 series that stand apart or in another form than the canonical one.
#[cold]
fn collect_labels(series: &[u8], mut labels: Labels<'_>) -> Result<Option<SeriesError>, Malformed> {
    labels.key.clear();
    let mut rest = series;
    while !rest.is_empty() {
        match tag(&mut rest)? {
            (1, Wire::Delimited) => {
                let (name, value) = label(delimited(&mut rest)?)?;
                labels.push(name, value);
            }
            (_, wire) => skip(&mut rest, wire)?,
        }
    }
    Ok(labels.fault)
}

/// `io.prometheus.write.v2.TimeSeries`: label references 1 (packed, or one by one), samples 2, histograms 3, exemplars
/// 4. Metadata (5) and the created timestamp of older drafts (6) are passed over.
pub(super) fn series_v2<'a>(
    series: &'a [u8],
    mut labels: Labels<'_>,
    mut symbols: Symbols<'_>,
    samples: &mut Samples<'_>,
) -> Result<Found<'a>, Fault> {
    labels.key.clear();
    let (mut rest, mut histograms, mut exemplars) = (series, 0_u32, 0_u32);
    while !rest.is_empty() {
        match tag(&mut rest)? {
            (1, Wire::Delimited) => {
                let mut references = delimited(&mut rest)?;
                while !references.is_empty() {
                    symbols.refer(varint(&mut references)?, &mut labels);
                }
            }
            (1, Wire::Varint) => symbols.refer(varint(&mut rest)?, &mut labels),
            (2, Wire::Delimited) => samples.push(sample(delimited(&mut rest)?)?)?,
            (3, Wire::Delimited) => {
                delimited(&mut rest)?;
                histograms = histograms.saturating_add(1);
            }
            (4, Wire::Delimited) => {
                delimited(&mut rest)?;
                exemplars = exemplars.saturating_add(1);
            }
            (1..=4, _) => return Err(WRONG_TYPE.into()),
            (_, wire) => skip(&mut rest, wire)?,
        }
    }
    if symbols.pending.is_some() {
        labels.fault.get_or_insert(SeriesError::OddReferences);
    }
    Ok(Found { fault: labels.fault, borrowed: None, histograms, exemplars })
}

/// The samples of the series at hand, and how many more the request may have.
pub(super) struct Samples<'s> {
    pub(super) samples: &'s mut Vec<Sample>,
    pub(super) left: usize,
}

impl Samples<'_> {
    #[inline]
    fn push(&mut self, sample: Sample) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::TooManySamples)?;
        self.samples.push(sample);
        Ok(())
    }
}

/// The key of the series at hand, as its labels are copied into it within their limits.
pub(super) struct Labels<'s> {
    pub(super) key: &'s mut Vec<u8>,
    pub(super) limits: &'s Limits,
    pub(super) count: usize,
    /// The first thing that is wrong with the series. Nothing more is copied once it is set.
    pub(super) fault: Option<SeriesError>,
}

impl Labels<'_> {
    #[inline]
    fn push(&mut self, name: &[u8], value: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        self.count += 1;
        if self.count > self.limits.labels_per_series {
            self.fault = Some(SeriesError::TooManyLabels { limit: self.limits.labels_per_series });
        } else if self.is_over(name.len(), value.len()) {
            self.fault = Some(SeriesError::LabelsTooLong { limit: self.limits.label_bytes });
        } else {
            put_pair(self.key, name, value);
        }
    }

    #[inline]
    fn is_over(&self, name: usize, value: usize) -> bool {
        /// Three tags and three lengths of a message below 4 GiB.
        const MOST: usize = 3 + 3 * 5;
        let left = self.limits.label_bytes.saturating_sub(self.key.len());
        name + value + MOST > left && canonical_len(name, value) > left
    }
}

/// The symbol table, and the name that waits for its value.
pub(super) struct Symbols<'s> {
    pub(super) message: &'s [u8],
    pub(super) symbols: &'s [(u32, u32)],
    pub(super) pending: Option<&'s [u8]>,
}

impl Symbols<'_> {
    /// Follows one reference: a name, then its value, then a name, …
    #[inline]
    fn refer(&mut self, reference: u64, labels: &mut Labels<'_>) {
        let Some(symbol) = self.get(reference) else {
            labels.fault.get_or_insert(SeriesError::NoSuchSymbol { reference, symbols: self.symbols.len() });
            return;
        };
        match self.pending.take() {
            None => self.pending = Some(symbol),
            Some(name) => labels.push(name, symbol),
        }
    }
}

impl<'s> Symbols<'s> {
    #[inline]
    fn get(&self, reference: u64) -> Option<&'s [u8]> {
        let (start, length) = *self.symbols.get(usize::try_from(reference).ok()?)?;
        self.message.get(start as usize..)?.get(..length as usize)
    }
}

/// Reads where each symbol of a 2.0 message stands. Symbols may stand before, between and behind the series.
pub(super) fn find_symbols(
    message: &[u8],
    symbols: &mut Vec<(u32, u32)>,
    limits: &Limits,
) -> Result<(), DecodeError> {
    symbols.clear();
    let mut rest = message;
    while !rest.is_empty() {
        let offset = message.len() - rest.len();
        let at = |Malformed(what)| DecodeError::Malformed { offset, what };
        match tag(&mut rest).map_err(at)? {
            (4, Wire::Delimited) => {
                let symbol = delimited(&mut rest).map_err(at)?;
                if symbols.len() == limits.symbols {
                    return Err(DecodeError::TooManySymbols { limit: limits.symbols });
                }
                let start = message.len() - rest.len() - symbol.len();
                let (Ok(start), Ok(length)) = (u32::try_from(start), u32::try_from(symbol.len())) else {
                    return Err(DecodeError::DecompressedTooLarge {
                        found: message.len(),
                        limit: limits.decompressed,
                    });
                };
                symbols.push((start, length));
            }
            (4 | 5, wire) if wire != Wire::Delimited => return Err(at(WRONG_TYPE)),
            (_, wire) => skip(&mut rest, wire).map_err(at)?,
        }
    }
    match symbols.first() {
        None => Err(DecodeError::NoSymbols),
        Some((_, 0)) => Ok(()),
        Some(_) => Err(DecodeError::FirstSymbolNotEmpty),
    }
}

/// `Sample`, the same in both versions: value 1, timestamp 2. A field that is left out is 0, the last of several holds.
#[inline]
fn sample(message: &[u8]) -> Result<Sample, Malformed> {
    if let [0x09, a, b, c, d, e, f, g, h, 0x10, time @ ..] = message {
        let mut rest = time;
        let time = varint(&mut rest)?;
        if rest.is_empty() {
            let value = f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            return Ok(Sample { time: UnixMillis(time.cast_signed()), value });
        }
    }
    let (mut rest, mut value, mut time) = (message, 0.0, 0);
    while !rest.is_empty() {
        match tag(&mut rest)? {
            (1, Wire::Fixed64) => value = f64::from_bits(fixed64(&mut rest)?),
            (2, Wire::Varint) => time = varint(&mut rest)?.cast_signed(),
            (1 | 2, _) => return Err(WRONG_TYPE),
            (_, wire) => skip(&mut rest, wire)?,
        }
    }
    Ok(Sample { time: UnixMillis(time), value })
}

/// `prometheus.Label`: name 1, value 2. A field that is left out is empty, the last of several holds.
fn label(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut rest, mut name, mut value) = (message, &[][..], &[][..]);
    while !rest.is_empty() {
        match tag(&mut rest)? {
            (1, Wire::Delimited) => name = delimited(&mut rest)?,
            (2, Wire::Delimited) => value = delimited(&mut rest)?,
            (1 | 2, _) => return Err(WRONG_TYPE),
            (_, wire) => skip(&mut rest, wire)?,
        }
    }
    Ok((name, value))
}
