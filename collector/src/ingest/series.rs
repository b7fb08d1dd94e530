//! From a request's series to rounds and facts.
//!
//! An agent pushes the same forty series every few seconds, so a site's series are **known by their bytes**: the labels'
//! canonical form is hashed, and what was worked out at the first push (which metric, which link, whether it is allowed) is
//! found again by that hash. Only a series never seen before is parsed. The hash is XXH3 with 128 bits; the cache is the
//! site's own, so a sender that built a collision would confuse its own series and nobody else's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use wan_wire::{
    AssembledRound, DecodeError, Decoder, Label, LabelPairs, Limits, LinkName, Metric, OutcomeRule,
    ProbeKind, Protocol, RoundAssembler, Sample, Scratch, SiteId, UnixMillis, Written, classify,
    is_stale_marker,
    labels::describe,
    round::{Assembly, is_round_metric},
};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::Config;
use crate::engine::Painting;
use crate::ingest::foreign::{self, Assembled, Figure, Recognised};
use crate::inventory::Watches;
use crate::ledger::life::Life;
use crate::quality::Stream;
use crate::record::{By, Record};
use crate::state::{AgentFacts, CertificateOf, Directory, Latest, MAX_TRACKS, SiteRuntime};

/// So many series of a site are known by their bytes. An agent has 8 for each target and a few of its own; past this the
/// cache starts anew, which costs a site that invents labels its own speed and nobody memory.
const MAX_SERIES: usize = 4096;
/// And so many of a site that the register lets watch others: its agent has up to 2,000 targets.
const MAX_WATCHED_SERIES: usize = 8 * 2_000 + 512;
/// And so many of a sender that is no agent: of 10,000 sites with four links a figure or three each, and as many that are ignored.
const MAX_SENDER_SERIES: usize = 1 << 18;
/// So many different targets the rounds of such a sender have at most.
const MAX_SENDER_TARGETS: usize = 1 << 16;
/// So many refused samples are named in an answer; the rest is counted.
const NAMED: usize = 20;
/// A thread's buffers that grew past this in a large request are given back after it.
const KEEP_BYTES: usize = 1 << 20;

/// What a request came to.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// The spans to merge into the evidence.
    pub(crate) paintings: Vec<Painting>,
    /// What it says of the agent.
    pub(crate) facts: Option<Box<AgentFacts>>,
    /// Which boot and start of the agent it tells of.
    pub(crate) lives: Vec<Life>,
    /// How much was accepted.
    pub(crate) written: Written,
    /// What was refused by name.
    pub(crate) refused: Refused,
    /// Rounds that lacked a figure.
    pub(crate) incomplete_rounds: u64,
    /// Accepted samples of a sender that is no agent that no mapping fits.
    pub(crate) ignored: u64,
}

/// Samples that were refused by name while the rest of their request was kept.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    samples: u64,
    accepted: u64,
    text: String,
    named: usize,
}

impl Refused {
    fn add(&mut self, samples: usize, series: impl FnOnce() -> String, reason: &dyn fmt::Display) {
        self.samples += samples as u64;
        if self.named < NAMED {
            self.named += 1;
            // Writing to a String does not fail.
            let _ = writeln!(self.text, "{}: {reason}", series());
        }
    }

    /// How many samples.
    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// What to tell the sender, or nothing when nothing was refused.
    pub(crate) fn reason(&self) -> Option<String> {
        if self.named == 0 {
            return None;
        }
        let (refused, all) = (self.samples, self.samples + self.accepted);
        let more = if self.named == NAMED { "\n(at most 20 are named)" } else { "" };
        let text = self.text.trim_end();
        Some(format!("{refused} of {all} samples were refused, the rest is kept:\n{text}{more}"))
    }
}

/// What is known of a series from its labels.
#[derive(Debug, Clone)]
enum Known {
    /// One figure of the rounds of this key.
    Round(Metric, u32),
    /// One figure of the rounds of this key, each of which covers so many milliseconds, from a sender that is no agent.
    Foreign(Figure, u32, u32),
    /// Something the agent says of itself.
    Agent(Metric, Option<Arc<AgentInfo>>),
    /// Nothing that evidence is made of: it is journaled, and may be forwarded.
    Other,
    /// May not be sent by this site, or not so.
    Refused(Arc<str>),
}

/// What an agent says of itself in labels.
#[derive(Debug)]
enum AgentInfo {
    Build { version: Option<String>, boot_id: Option<String> },
    Path(LinkName),
    Certificate(CertificateOf),
}

impl AgentInfo {
    fn boot_id(&self) -> Option<&str> {
        match self {
            Self::Build { boot_id, .. } => boot_id.as_deref(),
            Self::Path(_) | Self::Certificate(_) => None,
        }
    }
}

/// Where the rounds of one (link, probe, target, about) go.
#[derive(Debug)]
pub(crate) struct RoundKey {
    identity: Identity,
    about: Option<Arc<SiteRuntime>>,
    track: u32,
    rule: OutcomeRule,
    digest: u128,
}

impl RoundKey {
    /// The stream that these rounds are of, where `sender` sent them.
    pub(crate) fn stream(&self, sender: &SiteId) -> Stream {
        let (link, probe, target, about) = &self.identity;
        Stream {
            site: about.as_ref().unwrap_or(sender).clone(),
            link: link.clone(),
            vantage: sender.clone(),
            probe: *probe,
            target: target.clone(),
        }
    }

    /// Whose link it is, where it is not the sender's own.
    pub(crate) fn about(&self) -> Option<&SiteId> {
        self.identity.3.as_ref()
    }

    /// A hash of that stream, which tells it from every other one.
    pub(crate) fn digest(&self) -> u128 {
        self.digest
    }
}

/// Takes the complete rounds of a request, in the order of their targets and ends.
pub(crate) trait TakeRounds {
    /// So many follow.
    fn expect(&mut self, rounds: usize);
    /// One of them.
    fn take(&mut self, key: &RoundKey, round: &AssembledRound);
    /// A sample that was accepted, and not ignored, of the series with these labels in canonical form and this hash of them; where it is a
    /// figure of a round, with that round's key and its number. For who passes samples on.
    fn sample(&mut self, _labels: &[u8], _hash: u128, _round: Option<(u32, &RoundKey)>, _sample: Sample) {}
    /// The samples of the round of the key of this number that ended then are refused after all.
    fn refuse(&mut self, _round: u32, _end: UnixMillis) {}
}

/// For the engine: each round is painted into the evidence.
impl TakeRounds for Vec<Painting> {
    fn expect(&mut self, rounds: usize) {
        self.reserve_exact(rounds);
    }

    fn take(&mut self, key: &RoundKey, round: &AssembledRound) {
        let outcome = classify(&round.facts, &key.rule);
        let latest = Latest {
            end: round.end,
            interval_ms: i64::from(round.interval_ms),
            sent: round.facts.sent,
            received: round.facts.received,
            rtt_median: round.facts.rtt_median(),
            outcome,
        };
        self.push(Painting {
            about: key.about.clone(),
            track: key.track,
            start: round.start(),
            end: round.end,
            outcome,
            latest,
        });
    }
}

/// XXH3 has mixed the key already.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
    #[allow(clippy::cast_possible_truncation)] // half of a good hash is a good hash
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// The series of one site that are known by their bytes.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    /// For whom, and by which register.
    of: Option<(By, i64)>,
    known: HashMap<u128, Known, BuildHasherDefault<Mixed>>,
    keys: Vec<RoundKey>,
    by_identity: HashMap<Identity, u32>,
}

/// What tells the rounds of a sender apart: link, probe, target, and whose link it is where it is not the sender's own.
type Identity = (LinkName, ProbeKind, String, Option<SiteId>);

/// Buffers that a thread uses again for each request it decodes.
#[derive(Default)]
struct Buffers {
    plain: Vec<u8>,
    scratch: Scratch,
    assembler: RoundAssembler,
    foreign: foreign::Rounds,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Decodes the body of a request that `site` sent.
///
/// Everything it returns depends on the record, the register and the configuration alone, so that a replay of the journal gives what the
/// first reading gave.
pub(crate) fn decode(
    config: &Config,
    directory: &Directory,
    site: &Arc<SiteRuntime>,
    record: &Record<'_>,
    limits: &Limits,
) -> Result<Decoded, DecodeError> {
    let mut paintings = Vec::new();
    let request = Request::new(config, directory, site, record);
    let mut decoded = decode_into(request, record.body, limits, &mut paintings)?;
    decoded.paintings = paintings;
    Ok(decoded)
}

/// The same for another reader of a journal record: its complete rounds go to `rounds`, as the first reading took them. Gives how much
/// was accepted.
pub(crate) fn decode_rounds(
    config: &Config,
    directory: &Directory,
    site: &Arc<SiteRuntime>,
    record: &Record<'_>,
    limits: &Limits,
    rounds: &mut impl TakeRounds,
) -> Result<Written, DecodeError> {
    let request = Request::new(config, directory, site, record);
    decode_into(request, record.body, limits, rounds).map(|decoded| decoded.written)
}

fn decode_into(
    mut request: Request<'_>,
    body: &[u8],
    limits: &Limits,
    rounds: &mut impl TakeRounds,
) -> Result<Decoded, DecodeError> {
    BUFFERS.with_borrow_mut(|buffers| {
        let result = request.read(body, limits, buffers, rounds);
        buffers.assembler.clear();
        buffers.foreign.clear();
        if buffers.plain.capacity() + buffers.scratch.capacity_bytes() > KEEP_BYTES {
            *buffers = Buffers::default();
        }
        result.map(|()| request.decoded)
    })
}

struct Request<'r> {
    config: &'r Config,
    directory: &'r Directory,
    site: &'r Arc<SiteRuntime>,
    by: By,
    protocol: Protocol,
    received: UnixMillis,
    decoded: Decoded,
    words: Vec<(UnixMillis, Word)>,
}

/// A part of what an agent says of its life at one time.
#[derive(Debug)]
enum Word {
    BootId(Arc<AgentInfo>),
    Boot(f64),
    Start(f64),
}

impl<'r> Request<'r> {
    fn new(
        config: &'r Config,
        directory: &'r Directory,
        site: &'r Arc<SiteRuntime>,
        record: &Record<'_>,
    ) -> Self {
        let Record { by, protocol, received, .. } = *record;
        let (decoded, words) = (Decoded::default(), Vec::new());
        Self { config, directory, site, by, protocol, received, decoded, words }
    }

    fn read(
        &mut self,
        body: &[u8],
        limits: &Limits,
        buffers: &mut Buffers,
        rounds: &mut impl TakeRounds,
    ) -> Result<(), DecodeError> {
        let Buffers { plain, scratch, assembler, foreign } = buffers;
        wan_wire::decompress(body, limits, plain)?;
        let mut decoder = Decoder::new(self.protocol, plain, scratch, limits)?;
        let mut cache = self.site.series.lock();
        let of = Some((self.by, self.directory.revision));
        if cache.of != of || cache.keys.len() >= self.most_targets() {
            // Who may watch whom may have changed; or the keys of targets that are long gone fill the cache. Or a site has the name that a
            // sender had, whose requests are read of the journal again.
            *cache = SeriesCache { of, ..SeriesCache::default() };
        }
        let oldest = self.received.minus(self.config.ingest.max_age);
        let newest = self.received.plus(self.config.ingest.max_future);
        while let Some(series) = decoder.next_series()? {
            self.decoded.written.histograms += u64::from(series.histograms);
            self.decoded.written.exemplars += u64::from(series.exemplars);
            let key = match series.key {
                Ok(key) => key,
                Err(error) => {
                    self.decoded.refused.add(series.samples.len(), || describe(series.seen), &error);
                    continue;
                }
            };
            let hash = xxh3_128(key);
            if !cache.known.contains_key(&hash) {
                self.learn(&mut cache, hash, key);
            }
            let Some(known) = cache.known.get(&hash) else { continue };
            if let Known::Refused(reason) = known {
                self.decoded.refused.add(series.samples.len(), || describe(key), reason);
                continue;
            }
            for sample in series.samples {
                if sample.time < oldest || sample.time > newest {
                    let reason = self.distance(sample.time);
                    self.decoded.refused.add(1, || describe(key), &reason);
                    continue;
                }
                self.decoded.written.samples += 1;
                let number = match known {
                    Known::Round(metric, number) => {
                        assembler.push(*number, *metric, sample.time, sample.value);
                        Some(*number)
                    }
                    Known::Foreign(figure, number, covered_ms) => {
                        foreign.push(*number, sample.time, *covered_ms, *figure, sample.value);
                        Some(*number)
                    }
                    Known::Agent(metric, info) => {
                        self.fact(*metric, info.as_ref(), sample.time, sample.value);
                        None
                    }
                    Known::Other if self.by == By::Sender => {
                        self.decoded.ignored += 1;
                        continue;
                    }
                    Known::Other | Known::Refused(_) => None,
                };
                let round = number.and_then(|number| Some((number, cache.keys.get(number as usize)?)));
                rounds.sample(key, hash, round, *sample);
            }
        }
        match self.by {
            By::Agent => {
                let Assembly { rounds: complete, refused, incomplete } = assembler.finish();
                self.decoded.incomplete_rounds = u64::from(incomplete);
                let refused = refused.iter().map(|round| (round.key, round.end, round.samples, round.error));
                self.rounds(&cache.keys, complete, refused, rounds);
            }
            By::Sender => {
                let Assembled { rounds: complete, refused, incomplete } = foreign.finish();
                self.decoded.incomplete_rounds = u64::from(incomplete);
                self.rounds(&cache.keys, &complete, refused.into_iter(), rounds);
            }
        }
        self.lives();
        self.decoded.refused.accepted = self.decoded.written.samples;
        Ok(())
    }

    /// Hands on what came of the rounds of the request: those that are complete, and key, end, samples and reason of those that are refused.
    fn rounds<E: fmt::Display>(
        &mut self,
        keys: &[RoundKey],
        complete: &[AssembledRound],
        refused: impl Iterator<Item = (u32, UnixMillis, u32, E)>,
        rounds: &mut impl TakeRounds,
    ) {
        rounds.expect(complete.len());
        for round in complete {
            if let Some(key) = keys.get(round.key as usize) {
                rounds.take(key, round);
            }
        }
        for (key, end, samples, reason) in refused {
            rounds.refuse(key, end);
            self.decoded.written.samples -= u64::from(samples);
            self.decoded.refused.add(samples as usize, || name(keys, key, end), &reason);
        }
    }

    fn distance(&self, time: UnixMillis) -> String {
        let ingest = &self.config.ingest;
        let (limit, which) = if time < self.received {
            (ingest.max_age, "older than ingest.max_age")
        } else {
            (ingest.max_future, "further in the future than ingest.max_future")
        };
        let seconds = limit.as_secs();
        format!(
            "its time {time} is {which} ({seconds} s) at its arrival {}; is the sender's clock right?",
            self.received
        )
    }

    /// Puts together what was said of the same moment: start − boot is exact only within one word.
    fn lives(&mut self) {
        self.words.sort_by_key(|(time, _)| *time);
        for words in self.words.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((time, _)) = words.first() else { continue };
            let (mut id, mut boot, mut start) = (None, None, None);
            for (_, word) in words {
                match word {
                    Word::BootId(info) => id = info.boot_id(),
                    Word::Boot(at) => boot = Some(*at),
                    Word::Start(at) => start = Some(*at),
                }
            }
            self.decoded.lives.extend(Life::of(*time, id, boot, start));
        }
    }

    fn fact(&mut self, metric: Metric, info: Option<&Arc<AgentInfo>>, time: UnixMillis, value: f64) {
        if is_stale_marker(value) || !value.is_finite() {
            return;
        }
        let facts = self.decoded.facts.get_or_insert_default();
        match info.map(|info| (&**info, info)) {
            Some((AgentInfo::Build { version, boot_id }, info)) => {
                self.words.push((time, Word::BootId(Arc::clone(info))));
                facts.version.clone_from(version);
                facts.boot_id.clone_from(boot_id);
            }
            Some((AgentInfo::Path(path), _)) => {
                // By the collector's clock: the request is here now, whatever its rounds tell of.
                facts.paths.insert(path.clone(), self.received);
            }
            Some((AgentInfo::Certificate(of), _)) => {
                facts.note_certificate(of.clone(), value, self.received);
            }
            None => {}
        }
        let slot = match agent_fact(metric) {
            Some(AgentFact::BootTime) => {
                self.words.push((time, Word::Boot(value)));
                &mut facts.boot_time
            }
            Some(AgentFact::StartTime) => {
                self.words.push((time, Word::Start(value)));
                &mut facts.start_time
            }
            Some(AgentFact::ClockOffset) => &mut facts.clock_offset,
            Some(AgentFact::ClockOffsetBound) => &mut facts.clock_offset_bound,
            Some(AgentFact::QueueBytes) => &mut facts.queue_bytes,
            Some(AgentFact::DroppedSamples) => &mut facts.dropped_samples,
            Some(AgentFact::Info | AgentFact::Path | AgentFact::Certificate) | None => return,
        };
        *slot = Some(value);
    }

    fn most_targets(&self) -> usize {
        match self.by {
            By::Agent => MAX_SERIES,
            By::Sender => MAX_SENDER_TARGETS,
        }
    }

    fn most_series(&self) -> usize {
        let watches =
            || self.directory.register.get(&self.site.id).is_some_and(|site| site.watches != Watches::None);
        match self.by {
            By::Sender => MAX_SENDER_SERIES,
            By::Agent if watches() => MAX_WATCHED_SERIES,
            By::Agent => MAX_SERIES,
        }
    }

    fn learn(&self, cache: &mut SeriesCache, hash: u128, key: &[u8]) {
        if cache.known.len() >= self.most_series() {
            // Numbers that this request has used already must stay what they are: only the look-up starts anew.
            cache.known.clear();
        }
        let known = match LabelPairs::parse(key, self.protocol) {
            Ok(labels) => self.recognise(cache, &labels).unwrap_or_else(Known::Refused),
            Err(error) => Known::Refused(error.to_string().into()),
        };
        cache.known.insert(hash, known);
        self.site.note_known_series(cache.known.len());
    }

    fn recognise(&self, cache: &mut SeriesCache, labels: &LabelPairs<'_>) -> Result<Known, Arc<str>> {
        if self.by == By::Sender {
            return self.foreign(cache, labels);
        }
        let own = &self.site.id;
        if let Some(claimed) = labels.get(Label::Site)
            && claimed != own.as_str()
        {
            return Err(format!("it speaks for site {claimed}, but the secret is that of {own}").into());
        }
        let Some(metric) = labels.metric() else { return Ok(Known::Other) };
        if is_round_metric(metric) {
            return self.round_key(cache, labels).map(|key| Known::Round(metric, key));
        }
        Ok(match agent_fact(metric) {
            Some(AgentFact::Info) => {
                let text = |label| labels.get(label).map(str::to_owned);
                let info = AgentInfo::Build { version: text(Label::Version), boot_id: text(Label::BootId) };
                Known::Agent(metric, Some(Arc::new(info)))
            }
            Some(AgentFact::Path) => {
                let path = labels.get(Label::Path).ok_or("it needs the label path")?;
                let path: LinkName = path.parse().map_err(|error| format!("path: {error}"))?;
                Known::Agent(metric, Some(Arc::new(AgentInfo::Path(path))))
            }
            Some(AgentFact::Certificate) => {
                let link = labels.get(Label::Link).ok_or("it needs the label link")?;
                let link: LinkName = link.parse().map_err(|error| format!("link: {error}"))?;
                let target = labels.get(Label::Target).ok_or("it needs the label target")?.to_owned();
                Known::Agent(metric, Some(Arc::new(AgentInfo::Certificate(CertificateOf { link, target }))))
            }
            Some(_) => Known::Agent(metric, None),
            None => Known::Other,
        })
    }

    fn foreign(&self, cache: &mut SeriesCache, labels: &LabelPairs<'_>) -> Result<Known, Arc<str>> {
        // One that is configured no longer is read of the journal: nothing of it is known then.
        let Some(sender) = self.config.sender(&self.site.id) else { return Ok(Known::Other) };
        match foreign::recognise(sender, &self.directory.register, labels)? {
            Recognised::Ignored => Ok(Known::Other),
            Recognised::Of { figure, mapping, site, link, target } => {
                let known = self.directory.runtimes.get(&site).map(Arc::clone);
                let about = known.ok_or_else(|| format!("the register has no site {site}"))?;
                let identity = (link, mapping.probe, target, Some(site));
                let key = self.key(cache, identity, Some(about))?;
                Ok(Known::Foreign(figure, key, foreign::covered_ms(mapping.interval)))
            }
        }
    }

    fn round_key(&self, cache: &mut SeriesCache, labels: &LabelPairs<'_>) -> Result<u32, Arc<str>> {
        let need = |label: Label| {
            labels.get(label).ok_or_else(|| format!("a round needs the label {}", label.as_str()))
        };
        let link: LinkName = need(Label::Link)?.parse().map_err(|error| format!("link: {error}"))?;
        let probe: ProbeKind = need(Label::Probe)?.parse().map_err(|error| format!("probe: {error}"))?;
        let target = need(Label::Target)?;
        let about = match labels.get(Label::About) {
            Some(about) if about != self.site.id.as_str() => Some(self.watched(about)?),
            Some(_) | None => None,
        };
        let identity = (link, probe, target.to_owned(), about.as_ref().map(|site| site.id.clone()));
        self.key(cache, identity, about)
    }

    /// The number of the rounds of an identity.
    fn key(
        &self,
        cache: &mut SeriesCache,
        identity: Identity,
        about: Option<Arc<SiteRuntime>>,
    ) -> Result<u32, Arc<str>> {
        if let Some(found) = cache.by_identity.get(&identity) {
            return Ok(*found);
        }
        let most = self.most_targets();
        if cache.keys.len() >= most {
            return Err(format!("a site's rounds have at most {most} different targets").into());
        }
        let subject = about.as_ref().unwrap_or(self.site);
        let track = subject
            .track(&identity.0, &self.site.id)
            .ok_or_else(|| format!("site {} has {MAX_TRACKS} links already", subject.id))?;
        let plan = &self.config.plan;
        let rule = OutcomeRule {
            c1: plan.c1,
            rtt_limit: plan.rtt_limit.get(&identity.0.kind()).map(std::time::Duration::as_secs_f64),
        };
        let mut key = RoundKey { identity, about, track, rule, digest: 0 };
        key.digest = key.stream(&self.site.id).digest();
        let number = index(cache.keys.len())?;
        cache.by_identity.insert(key.identity.clone(), number);
        cache.keys.push(key);
        Ok(number)
    }

    /// The site that this one wants to speak about, if the register lets it.
    fn watched(&self, about: &str) -> Result<Arc<SiteRuntime>, Arc<str>> {
        let id: SiteId = about.parse().map_err(|error| format!("about: {error}"))?;
        let own = self.directory.register.get(&self.site.id);
        if !own.is_some_and(|site| site.watches.allows(&id)) {
            let own = &self.site.id;
            return Err(format!("the register does not let {own} watch {id}: see `watches` of {own}").into());
        }
        let known = self.directory.register.get(&id).and_then(|_| self.directory.runtimes.get(&id));
        known.map(Arc::clone).ok_or_else(|| format!("about: the register has no site {id}").into())
    }
}

/// A round, as an answer names it.
fn name(keys: &[RoundKey], key: u32, end: UnixMillis) -> String {
    let Some(key) = keys.get(key as usize) else { return "a round".to_owned() };
    let (link, probe, target, about) = &key.identity;
    let about = about.as_ref().map(|about| format!(" about {about}")).unwrap_or_default();
    format!("the round of {link} by {probe} to {target}{about} that ended {end}")
}

fn index(position: usize) -> Result<u32, Arc<str>> {
    u32::try_from(position).map_err(|_| "too many rounds".into())
}

/// The facts that are kept of an agent.
enum AgentFact {
    Info,
    Path,
    Certificate,
    BootTime,
    StartTime,
    ClockOffset,
    ClockOffsetBound,
    QueueBytes,
    DroppedSamples,
}

#[allow(clippy::wildcard_enum_match_arm)] // of some eighty metrics, these few
fn agent_fact(metric: Metric) -> Option<AgentFact> {
    Some(match metric {
        Metric::AgentInfo => AgentFact::Info,
        Metric::AgentPath => AgentFact::Path,
        Metric::TargetCertificateExpiryTimestampSeconds => AgentFact::Certificate,
        Metric::AgentBootTimeSeconds => AgentFact::BootTime,
        Metric::AgentStartTimeSeconds => AgentFact::StartTime,
        Metric::AgentClockOffsetSeconds => AgentFact::ClockOffset,
        Metric::AgentClockOffsetBoundSeconds => AgentFact::ClockOffsetBound,
        Metric::AgentQueueBytes => AgentFact::QueueBytes,
        Metric::AgentDroppedSamplesTotal => AgentFact::DroppedSamples,
        _ => return None,
    })
}
