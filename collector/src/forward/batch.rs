//! From journal records to batches of series by shard, and from these to bodies of requests.

use std::ops::Range;

use snap::raw::Encoder;
use wan_wire::labels::{beside_name, insert_labels, replace_labels};
use wan_wire::{
    AssembledRound, KeyedSeries, Label, Limits, Protocol, Sample, SiteId, UnixMillis, encode_keyed,
    is_stale_marker,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::ingest::series::{RoundKey, TakeRounds, decode_rounds};
use crate::record::{self, By, Record};
use crate::state::State;

/// A batch with so many bytes of labels is sent, however few its samples are.
const MOST_LABEL_BYTES: usize = 4 << 20;

/// One series of a batch: where its labels and samples end.
#[derive(Clone, Copy, Debug)]
struct Entry {
    labels: usize,
    samples: usize,
}

/// Series of one shard, as they go in one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    labels: Vec<u8>,
    entries: Vec<Entry>,
    samples: Vec<Sample>,
}

impl Batch {
    /// How many samples.
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    fn add(&mut self, [name, others]: [&[u8]; 2], samples: &[Sample]) {
        self.labels.extend_from_slice(name);
        self.labels.extend_from_slice(others);
        self.samples.extend_from_slice(samples);
        self.entries.push(Entry { labels: self.labels.len(), samples: self.samples.len() });
    }

    /// The series of a part of its samples.
    fn series(&self, part: Range<usize>) -> impl Iterator<Item = KeyedSeries<'_>> {
        let first = self.entries.partition_point(|entry| entry.samples <= part.start);
        let mut start = match first.checked_sub(1).and_then(|before| self.entries.get(before)) {
            Some(before) => *before,
            None => Entry { labels: 0, samples: 0 },
        };
        self.entries.iter().skip(first).map_while(move |entry| {
            let labels = start.labels..entry.labels;
            let samples = start.samples.max(part.start)..entry.samples.min(part.end);
            start = *entry;
            if samples.is_empty() {
                return None;
            }
            Some(KeyedSeries { key: self.labels.get(labels)?, samples: self.samples.get(samples)? })
        })
    }

    /// The body of a request with a part of its samples.
    ///
    /// # Errors
    /// When it is too long for a snappy block.
    pub(super) fn body(&self, part: Range<usize>, protocol: Protocol) -> Result<Vec<u8>, snap::Error> {
        // Each sample with its series' tags and lengths.
        let mut message = Vec::with_capacity(self.labels.len() + part.len() * 32);
        encode_keyed(protocol, self.series(part), &mut message);
        Encoder::new().compress_vec(&message)
    }
}

/// What was read of the journal at a time: for each shard its batches, in the order in which they are to go.
#[derive(Debug)]
pub(super) struct Chunk {
    /// By shard.
    pub(super) batches: Vec<Vec<Batch>>,
    /// How many samples.
    pub(super) samples: usize,
    /// When its first record was received.
    pub(super) oldest: Option<UnixMillis>,
    /// Records that could not be read.
    pub(super) unreadable: u64,
    /// Records that were too old.
    pub(super) too_old: u64,
    /// Native histogram samples that were left out.
    pub(super) histograms: u64,
    /// And exemplars.
    pub(super) exemplars: u64,
    most: usize,
}

impl Chunk {
    /// An empty one for so many shards, with batches of at most so many samples.
    pub(super) fn new(shards: usize, most: usize) -> Self {
        Self {
            batches: (0..shards.max(1)).map(|_| Vec::new()).collect(),
            samples: 0,
            oldest: None,
            unreadable: 0,
            too_old: 0,
            histograms: 0,
            exemplars: 0,
            most,
        }
    }

    /// So many samples of one record follow for a shard: they go in one request, unless they are more than one may have.
    fn expect(&mut self, shard: usize, samples: usize) {
        let Some(batches) = self.batches.get_mut(shard) else { return };
        if batches.last().is_none_or(|batch| batch.len() > 0 && batch.len() + samples > self.most) {
            batches.push(Batch::default());
        }
    }

    /// Adds samples of the series whose labels are these parts together.
    fn add(&mut self, shard: usize, labels: [&[u8]; 2], samples: &[Sample]) {
        let Some(batches) = self.batches.get_mut(shard) else { return };
        let more: usize = labels.iter().map(|part| part.len()).sum();
        let mut rest = samples;
        while !rest.is_empty() {
            let is_full = |batch: &Batch| {
                batch.len() >= self.most || (batch.len() > 0 && batch.labels.len() + more > MOST_LABEL_BYTES)
            };
            if batches.last().is_none_or(is_full) {
                batches.push(Batch::default());
            }
            let Some(batch) = batches.last_mut() else { return };
            let (now, later) = rest.split_at(rest.len().min(self.most - batch.len()));
            batch.add(labels, now);
            self.samples += now.len();
            rest = later;
        }
    }
}

/// Reads records into chunks, with the buffers of the one before.
#[derive(Debug, Default)]
pub(super) struct Gather {
    labels: Vec<u8>,
    /// Labels with those that are added.
    inserted: Vec<u8>,
    series: Vec<Gathered>,
    samples: Vec<Sample>,
    /// The sender that is no agent, where the record is of one.
    sender: Option<SiteId>,
    /// The rounds of the record that were refused: the number of their key, and their end.
    refused: Vec<(u32, UnixMillis)>,
    /// How many samples each shard gets of the record.
    parts: Vec<usize>,
}

/// One series of a record, as it was accepted.
#[derive(Debug)]
struct Gathered {
    labels: Range<usize>,
    /// How many of these bytes stand before what is in `others`.
    name: usize,
    /// The rest of its labels, in what was inserted.
    others: Range<usize>,
    samples: Range<usize>,
    hash: u128,
    /// Where it is a figure of rounds: the number of their key, and the hash of what they are rounds of.
    round: Option<(u32, u128)>,
    shard: usize,
}

impl Gather {
    /// Adds the samples of a record of the journal that were accepted; `labels` are added to each series, sorted by name. What was received before
    /// `cutoff` is too old.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn read(
        &mut self,
        payload: &[u8],
        state: &State,
        limits: &Limits,
        labels: &[(String, String)],
        cutoff: UnixMillis,
        chunk: &mut Chunk,
    ) -> Result<(), String> {
        let record = record::parse(payload).map_err(|error| error.to_string())?;
        if record.received < cutoff {
            chunk.too_old += 1;
            return Ok(());
        }
        self.decode(&record, state, limits, chunk)?;
        let site = record.site.as_str();
        let mut more: Vec<(&str, &str)> =
            labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        more.push((Label::Site.as_str(), site));
        more.sort_unstable();
        let site = xxh3_64(site.as_bytes());
        let shards = chunk.batches.len() as u64;
        self.parts.clear();
        self.parts.resize(chunk.batches.len(), 0);
        self.inserted.clear();
        let mut beside = Beside { more: &more, site, labels: None, inserted: 0..0, hash: 0 };
        for series in &mut self.series {
            let key = self.labels.get(series.labels.clone()).unwrap_or_default();
            series.name = beside.meet(key, &mut self.inserted);
            series.others = beside.inserted.clone();
            // The figures of a round stay together, or a collector could not put it together again. So does what an agent says of itself.
            let hash = match series.round {
                #[allow(clippy::cast_possible_truncation, reason = "half of a good hash is a good hash")]
                Some((_, digest)) => digest as u64,
                None => beside.hash,
            };
            series.shard = usize::try_from(hash % shards).unwrap_or(0);
            if let Some(part) = self.parts.get_mut(series.shard) {
                *part += series.samples.len();
            }
        }
        for (shard, samples) in self.parts.iter().enumerate().filter(|(_, samples)| **samples > 0) {
            chunk.expect(shard, *samples);
        }
        for series in &self.series {
            let key = self.labels.get(series.labels.clone()).unwrap_or_default();
            let name = key.get(..series.name).unwrap_or_default();
            let others = self.inserted.get(series.others.clone()).unwrap_or_default();
            let samples = self.samples.get(series.samples.clone()).unwrap_or_default();
            chunk.add(series.shard, [name, others], samples);
        }
        Ok(())
    }

    fn decode(
        &mut self,
        record: &Record<'_>,
        state: &State,
        limits: &Limits,
        chunk: &mut Chunk,
    ) -> Result<(), String> {
        self.labels.clear();
        self.series.clear();
        self.samples.clear();
        self.refused.clear();
        self.sender = match record.by {
            By::Agent => None,
            By::Sender => Some(record.site.clone()),
        };
        let directory = state.directory();
        let sender = directory
            .runtimes
            .get(&record.site)
            .ok_or_else(|| format!("no site or sender {}", record.site))?;
        let written = decode_rounds(&state.config, &directory, sender, record, limits, self)
            .map_err(|error| error.to_string())?;
        self.leave_out_refused();
        // A mapping takes none, and what it does not take would not go in any case.
        if self.sender.is_none() {
            chunk.histograms += written.histograms;
            chunk.exemplars += written.exemplars;
        }
        chunk.oldest = chunk.oldest.or(Some(record.received));
        Ok(())
    }

    /// Takes the samples of refused rounds out. Stale markers are no part of a round.
    fn leave_out_refused(&mut self) {
        let Self { series, samples, refused, .. } = self;
        if refused.is_empty() {
            return;
        }
        refused.sort_unstable();
        for series in series {
            let Some((round, _)) = series.round else { continue };
            let is_refused = |sample: &Sample| {
                !is_stale_marker(sample.value) && refused.binary_search(&(round, sample.time)).is_ok()
            };
            // What stays moves to the front of its range.
            let mut kept = series.samples.start;
            for at in series.samples.clone() {
                if samples.get(at).is_some_and(|sample| !is_refused(sample)) {
                    samples.swap(kept, at);
                    kept += 1;
                }
            }
            series.samples.end = kept;
        }
    }
}

/// What stands beside the names of series, with the labels that are added: worked out once for the figures of one thing, which come one after the
/// other.
struct Beside<'g> {
    /// Sorted by name.
    more: &'g [(&'g str, &'g str)],
    /// The hash of the site.
    site: u64,
    /// What stood behind the last name, where that came first.
    labels: Option<&'g [u8]>,
    /// Where it is with what was added.
    inserted: Range<usize>,
    /// Of the site and the labels beside the name.
    hash: u64,
}

impl<'g> Beside<'g> {
    /// Goes on to the series `key`. Its labels are then the first bytes of it, as many as this says, and what is inserted.
    fn meet(&mut self, key: &'g [u8], inserted: &mut Vec<u8>) -> usize {
        let [before, behind] = beside_name(key);
        let is_name_first =
            before.is_empty() && self.more.first().is_none_or(|(first, _)| *first > Label::Name.as_str());
        let name = if is_name_first { key.len() - behind.len() } else { 0 };
        if !is_name_first || self.labels != Some(behind) {
            let start = inserted.len();
            insert_labels(key.get(name..).unwrap_or_default(), self.more, inserted);
            self.inserted = start..inserted.len();
            self.hash = self.site ^ xxh3_64(before) ^ xxh3_64(behind);
            self.labels = is_name_first.then_some(behind);
        }
        name
    }
}

impl TakeRounds for Gather {
    fn expect(&mut self, _: usize) {}

    fn take(&mut self, _: &RoundKey, _: &AssembledRound) {}

    fn sample(&mut self, labels: &[u8], hash: u128, round: Option<(u32, &RoundKey)>, sample: Sample) {
        let at = self.samples.len();
        match self.series.last_mut() {
            Some(last) if last.hash == hash && last.samples.end == at => last.samples.end = at + 1,
            Some(_) | None => {
                let start = self.labels.len();
                if let Some(sender) = &self.sender {
                    // It speaks for the site that the mapping found, whatever a label `site` of the payload says, and for no other.
                    let Some(site) = round.and_then(|(_, key)| key.about()) else { return };
                    let own =
                        [(Label::Sender.as_str(), sender.as_str()), (Label::Site.as_str(), site.as_str())];
                    replace_labels(labels, &own, &mut self.labels);
                } else {
                    self.labels.extend_from_slice(labels);
                }
                let labels = start..self.labels.len();
                let round = round.map(|(number, key)| (number, key.digest()));
                let samples = at..at + 1;
                self.series.push(Gathered { labels, name: 0, others: 0..0, samples, hash, round, shard: 0 });
            }
        }
        self.samples.push(sample);
    }

    fn refuse(&mut self, round: u32, end: UnixMillis) {
        self.refused.push((round, end));
    }
}

#[cfg(test)]
mod tests;
