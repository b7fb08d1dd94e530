//! One link's round as it waits for the collector, and its bytes on the disk: pure.
//!
//! ```text
//! version  1 byte: 1
//! flags    1 byte: 1 the host's clock was synchronised, 2 an offset follows, 4 the boot's id is a UUID
//! boot     16 bytes, or a text
//! end      since boot: varint; by the host's clock: signed; the offset, where there is one: signed
//! interval varint, milliseconds
//! link     text
//! targets  varint, and so many times:
//!          head      1 byte: 0–7 probe, 8 about follows, 16 fault, 32 round-trip times follow, 64 those as floats
//!          target    text
//!          about     text
//!          sent      varint
//!          received  varint
//!          times     min: varint; median − min, mean − min, max − median: signed; in nanoseconds
//! ```
//!
//! A text is its length (varint) and UTF-8; a varint has seven bits a byte, low ones first; a signed one is zigzag coded.
//! Round-trip times come back bit for bit: whole nanoseconds, as the probes measure them, mostly within three bytes; any
//! other value as the float that it is. Bytes that are not exactly such a record are [`Unreadable`]; a newer version says so by
//! its first byte. Twenty targets take about 800 bytes.

use std::sync::Arc;
use std::time::Duration;

use wan_wire::{LinkName, ProbeKind, Round, RoundFacts, Rtt, SiteId, UnixMillis};

use crate::clock::Stamp;
use crate::plan::Series;
use crate::watch::LinkRound;

/// The version that this program writes, and the only one that it reads.
const VERSION: u8 = 1;

const SYNCHRONISED: u8 = 1;
const OFFSET: u8 = 2;
const UUID: u8 = 4;

const PROBE: u8 = 7;
const ABOUT: u8 = 8;
const FAULT: u8 = 16;
const TIMES: u8 = 32;
const FLOATS: u8 = 64;

/// One link's round: what is kept, sent and acknowledged as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The boot in which it ended.
    pub boot: Arc<str>,
    /// The link.
    pub link: LinkName,
    /// When it ended.
    pub end: Stamp,
    /// How long it was, in whole milliseconds.
    pub interval: Duration,
    /// Its targets.
    pub targets: Vec<(Arc<Series>, RoundFacts)>,
}

impl Record {
    /// A round of this boot.
    pub fn of(round: &LinkRound, boot: &Arc<str>) -> Record {
        let targets = round.targets.iter().map(|target| (Arc::clone(&target.series), target.facts)).collect();
        let (boot, link) = (Arc::clone(boot), round.link.clone());
        Record { boot, link, end: round.end, interval: round.interval, targets }
    }

    /// Its rounds in the wire's form, under this time.
    pub fn rounds(&self, end: UnixMillis) -> impl Iterator<Item = Round> {
        self.targets.iter().map(move |(series, facts)| Round {
            link: series.link.clone(),
            probe: series.probe,
            target: series.target.clone(),
            about: series.about.clone(),
            end,
            interval: self.interval,
            facts: *facts,
        })
    }

    /// Samples that its rounds make on the wire.
    pub fn samples(&self) -> u64 {
        let of = |facts: &RoundFacts| 3 + if facts.rtt.is_some() { 4 } else { 0 } + u64::from(facts.fault);
        self.targets.iter().map(|(_, facts)| of(facts)).sum()
    }

    /// When it ended, as far as is known; for messages.
    pub fn about_when(&self) -> UnixMillis {
        self.end.known().unwrap_or(self.end.host)
    }

    /// Its bytes, with this offset in place of its own.
    pub fn encode(&self, offset: Option<i64>, out: &mut Vec<u8>) {
        out.clear();
        let uuid = uuid_bytes(&self.boot);
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(VERSION);
        out.push(
            flag(self.end.synchronised, SYNCHRONISED)
                | flag(offset.is_some(), OFFSET)
                | flag(uuid.is_some(), UUID),
        );
        match uuid {
            Some(bytes) => out.extend_from_slice(&bytes),
            None => put_text(out, &self.boot),
        }
        put_varint(out, self.end.since_boot);
        put_signed(out, self.end.host.as_millis());
        if let Some(offset) = offset {
            put_signed(out, offset);
        }
        put_varint(out, u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX));
        put_text(out, self.link.as_str());
        put_varint(out, self.targets.len() as u64);
        for (series, facts) in &self.targets {
            put_target(out, series, facts);
        }
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// The bytes are not exactly one record of this version.
    pub fn decode(bytes: &[u8]) -> Result<Record, Unreadable> {
        let version = *bytes.first().ok_or(Unreadable::Garbage)?;
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        read(&bytes[1..]).ok_or(Unreadable::Garbage)
    }
}

/// Bytes that are not a record of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Their first byte names another version.
    #[error("version {0} of the record format, this program reads {VERSION}")]
    Version(u8),
    /// They contradict the format.
    #[error("no record")]
    Garbage,
}

fn put_target(out: &mut Vec<u8>, series: &Series, facts: &RoundFacts) {
    let times = facts.rtt.map(|rtt| (rtt, nanoseconds(&rtt)));
    let mut head = match series.probe {
        ProbeKind::Icmp => 0,
        ProbeKind::Tcp => 1,
        ProbeKind::Http => 2,
        ProbeKind::Dns => 3,
    };
    head |= if series.about.is_some() { ABOUT } else { 0 };
    head |= if facts.fault { FAULT } else { 0 };
    head |= match times {
        Some((_, Some(_))) => TIMES,
        Some((_, None)) => TIMES | FLOATS,
        None => 0,
    };
    out.push(head);
    put_text(out, &series.target);
    if let Some(about) = &series.about {
        put_text(out, about.as_str());
    }
    put_varint(out, facts.sent.into());
    put_varint(out, facts.received.into());
    match times {
        Some((_, Some([min, median, mean, max]))) => {
            put_varint(out, min.cast_unsigned());
            put_signed(out, median.wrapping_sub(min));
            put_signed(out, mean.wrapping_sub(min));
            put_signed(out, max.wrapping_sub(median));
        }
        Some((rtt, None)) => {
            for time in [rtt.min, rtt.median, rtt.mean, rtt.max] {
                out.extend_from_slice(&time.to_bits().to_le_bytes());
            }
        }
        None => {}
    }
}

/// The four times in nanoseconds; `None` when one of them is no whole number of them.
fn nanoseconds(rtt: &Rtt) -> Option<[i64; 4]> {
    let mut whole = [0; 4];
    for (slot, seconds) in whole.iter_mut().zip([rtt.min, rtt.median, rtt.mean, rtt.max]) {
        let time = Duration::try_from_secs_f64(seconds).ok()?;
        *slot = i64::try_from(time.as_nanos()).ok()?;
        // Also keeps a negative zero from becoming a positive one.
        (in_seconds(*slot)?.to_bits() == seconds.to_bits()).then_some(())?;
    }
    Some(whole)
}

fn in_seconds(nanoseconds: i64) -> Option<f64> {
    Some(Duration::from_nanos(u64::try_from(nanoseconds).ok()?).as_secs_f64())
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The bytes of a boot id in the one form that the kernel writes: lower case, with hyphens.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let mut digits = [0; 32];
    let mut count = 0;
    for (at, byte) in text.bytes().enumerate() {
        if HYPHENS.contains(&at) {
            (byte == b'-').then_some(())?;
            continue;
        }
        *digits.get_mut(count)? = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        count += 1;
    }
    (count == digits.len()).then_some(())?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for byte in bytes {
        if HYPHENS.contains(&text.len()) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text
}

fn read(bytes: &[u8]) -> Option<Record> {
    let mut rest = Rest(bytes);
    let flags = rest.byte()?;
    (flags & !(SYNCHRONISED | OFFSET | UUID) == 0).then_some(())?;
    let boot: Arc<str> = if flags & UUID == 0 {
        let text = rest.text()?;
        // One spelling only: the same record has the same bytes.
        uuid_bytes(text).is_none().then(|| text.into())?
    } else {
        uuid_text(rest.take(16)?).into()
    };
    let since_boot = rest.varint()?;
    let host = UnixMillis(rest.signed()?);
    let offset = if flags & OFFSET == 0 { None } else { Some(rest.signed()?) };
    let interval = Duration::from_millis(rest.varint()?);
    let link = LinkName::parse(rest.text()?).ok()?;
    let count = usize::try_from(rest.varint()?).ok()?;
    // A target has four bytes at the least: no memory for what cannot be there.
    (count <= rest.0.len() / 4).then_some(())?;
    let mut targets = Vec::with_capacity(count);
    for _ in 0..count {
        targets.push(read_target(&mut rest, &link)?);
    }
    let end = Stamp { since_boot, host, synchronised: flags & SYNCHRONISED != 0, offset };
    rest.0.is_empty().then_some(Record { boot, link, end, interval, targets })
}

fn read_target(rest: &mut Rest<'_>, link: &LinkName) -> Option<(Arc<Series>, RoundFacts)> {
    let head = rest.byte()?;
    let probe = match head & PROBE {
        0 => ProbeKind::Icmp,
        1 => ProbeKind::Tcp,
        2 => ProbeKind::Http,
        3 => ProbeKind::Dns,
        _ => return None,
    };
    (head & !(PROBE | ABOUT | FAULT | TIMES | FLOATS) == 0).then_some(())?;
    let target = rest.text()?.to_owned();
    let about = if head & ABOUT == 0 { None } else { Some(SiteId::parse(rest.text()?).ok()?) };
    let sent = u32::try_from(rest.varint()?).ok()?;
    let received = u32::try_from(rest.varint()?).ok()?;
    let rtt = match (head & TIMES != 0, head & FLOATS != 0) {
        (false, false) => None,
        (false, true) => return None,
        (true, false) => {
            let min = rest.varint()?.cast_signed();
            let median = min.wrapping_add(rest.signed()?);
            let mean = min.wrapping_add(rest.signed()?);
            let max = median.wrapping_add(rest.signed()?);
            let [min, median, mean, max] = [min, median, mean, max].map(in_seconds);
            Some(Rtt { min: min?, median: median?, mean: mean?, max: max? })
        }
        (true, true) => {
            let [min, median, mean, max] = [rest.float(), rest.float(), rest.float(), rest.float()];
            Some(Rtt { min: min?, median: median?, mean: mean?, max: max? })
        }
    };
    let series = Series { link: link.clone(), probe, target, about };
    Some((Arc::new(series), RoundFacts { sent, received, rtt, fault: head & FAULT != 0 }))
}

/// What is left to read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // Neither bits that do not fit nor a longer spelling of the same number.
            (bits << shift >> shift == bits && (byte != 0 || shift == 0)).then_some(())?;
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let zigzag = self.varint()?;
        Some((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = usize::try_from(self.varint()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn float(&mut self) -> Option<f64> {
        let bytes = self.take(8)?.try_into().ok()?;
        Some(f64::from_bits(u64::from_le_bytes(bytes)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Twenty targets as a site has them, in the given round of 5 s.
    pub(crate) fn record(number: u64, targets: u32) -> Record {
        let link: LinkName = LinkName::parse("wan-vnpt").unwrap();
        let target = |at: u32| {
            let time = |nanoseconds: u32| Duration::from_nanos(nanoseconds.into()).as_secs_f64();
            let noise = (u32::try_from(number % 1_000_000).unwrap() * 7919 + at * 104_729) % 3_000_000;
            let series = Series {
                link: link.clone(),
                probe: ProbeKind::Icmp,
                target: format!("10.79.{}.{}", at / 250, 1 + at % 250),
                about: None,
            };
            let rtt = Rtt {
                min: time(20_000_000 + noise),
                median: time(20_400_123 + noise),
                mean: time(20_500_321 + noise),
                max: time(21_000_777 + noise),
            };
            (Arc::new(series), RoundFacts { sent: 5, received: 5, rtt: Some(rtt), fault: false })
        };
        Record {
            boot: "3f2504e0-4f89-41d3-9a0c-0305e82c3301".into(),
            link: link.clone(),
            end: Stamp {
                since_boot: 5000 * number,
                host: UnixMillis(1_795_000_000_000 + 5000 * number.cast_signed()),
                synchronised: true,
                offset: Some(1_795_000_000_000),
            },
            interval: Duration::from_secs(5),
            targets: (0..targets).map(target).collect(),
        }
    }

    fn encoded(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(record.end.offset, &mut bytes);
        bytes
    }

    fn time() -> impl Strategy<Value = f64> {
        prop_oneof![
            (0u64..3_600_000_000_000).prop_map(|ns| Duration::from_nanos(ns).as_secs_f64()),
            any::<u64>().prop_map(|ns| Duration::from_nanos(ns).as_secs_f64()),
            prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
        ]
    }

    prop_compose! {
        fn facts()(
            sent: u32,
            received: u32,
            fault: bool,
            times in prop::option::of([time(), time(), time(), time()]),
        ) -> RoundFacts {
            let rtt = times.map(|[min, median, mean, max]| Rtt { min, median, mean, max });
            RoundFacts { sent, received, rtt, fault }
        }
    }

    prop_compose! {
        pub(crate) fn any_record()(
            boot in prop_oneof!["[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "\\PC{0,40}"],
            link in "(wan|lan|internet|service)(-[a-z0-9]{1,9})?",
            since_boot: u64,
            host: i64,
            synchronised: bool,
            offset: Option<i64>,
            interval in 0u64..u64::MAX / 2,
            targets in prop::collection::vec(("\\PC{0,60}", 0usize..4, prop::option::of("[a-z0-9]{1,20}"), facts()), 0..6),
        ) -> Record {
            let link = LinkName::parse(&link).unwrap();
            let target = |(target, probe, about, facts): (String, usize, Option<String>, RoundFacts)| {
                let about = about.map(|about| SiteId::parse(&about).unwrap());
                let series = Series { link: link.clone(), probe: ProbeKind::ALL[probe], target, about };
                (Arc::new(series), facts)
            };
            Record {
                boot: boot.into(),
                link: link.clone(),
                end: Stamp { since_boot, host: UnixMillis(host), synchronised, offset },
                interval: Duration::from_millis(interval),
                targets: targets.into_iter().map(target).collect(),
            }
        }
    }

    /// Floats compared by their bits: a negative zero is not a positive one.
    fn bits(record: &Record) -> Vec<[u64; 4]> {
        let of = |rtt: &Rtt| [rtt.min, rtt.median, rtt.mean, rtt.max].map(f64::to_bits);
        record.targets.iter().filter_map(|(_, facts)| facts.rtt.as_ref().map(of)).collect()
    }

    proptest! {
        #[test]
        fn every_record_comes_back_bit_for_bit(record in any_record()) {
            let bytes = encoded(&record);
            let back = Record::decode(&bytes).unwrap();
            prop_assert_eq!(bits(&back), bits(&record));
            prop_assert_eq!(&back, &record);
            prop_assert_eq!(encoded(&back), bytes, "one spelling only");
        }

        #[test]
        fn whatever_the_bytes_nothing_breaks_and_what_is_read_is_what_they_say(bytes: Vec<u8>, flip in 0usize..2000, cut in 0usize..400) {
            let _ = Record::decode(&bytes);
            let whole = encoded(&record(7, 3));
            let torn = &whole[..cut.min(whole.len() - 1)];
            prop_assert!(Record::decode(torn).is_err());
            // A damaged count of rounds may fit what is left: then it is a record, and says no more than its bytes do. That it is
            // not the one that was written, the journal's checksum tells.
            let mut damaged = whole.clone();
            let at = flip / 8 % damaged.len();
            damaged[at] ^= 1 << (flip % 8);
            for bytes in [&damaged[..], &damaged[..cut.min(damaged.len())]] {
                if let Ok(read) = Record::decode(bytes) {
                    prop_assert_eq!(encoded(&read), bytes);
                }
            }
        }
    }

    #[test]
    fn another_version_says_so_and_nothing_is_nothing() {
        let mut bytes = encoded(&record(1, 1));
        bytes[0] = 2;
        assert_eq!(Record::decode(&bytes), Err(Unreadable::Version(2)));
        assert_eq!(Record::decode(&[]), Err(Unreadable::Garbage));
        assert_eq!(Record::decode(&[1]), Err(Unreadable::Garbage));
        let mut longer = encoded(&record(1, 1));
        longer.push(0);
        assert_eq!(Record::decode(&longer), Err(Unreadable::Garbage), "a byte too many");
    }

    #[test]
    fn an_offset_can_be_frozen_into_a_record_that_had_none() {
        let mut undated = record(1, 1);
        undated.end.offset = None;
        let mut bytes = Vec::new();
        undated.encode(Some(17), &mut bytes);
        assert_eq!(Record::decode(&bytes).unwrap().end.offset, Some(17));
    }

    #[test]
    fn the_bytes_of_a_record_are_frozen() {
        let hex: String = encoded(&record(1, 1)).iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = [
            "01073f2504e04f8941d39a0c0305e82c3301", // version, flags, boot
            "882790c6b3e5bd6880f8b2e5bd68",         // end
            "88270877616e2d766e707401",             // interval, link, one target
            "200931302e37392e302e310505",           // head, target, sent, received
            "ef97c509f6eb30c2893d9ca949",           // times
        ];
        assert_eq!(hex, expected.concat());
    }

    #[test]
    fn a_week_of_twenty_targets_takes_less_than_150_mb() {
        let frame = |targets| encoded(&record(100_000, targets)).len() + wan_journal::HEADER_LEN;
        let week = 7 * 86_400 / 5;
        let bytes = week * (frame(8) + frame(6) + frame(6));
        assert!(bytes < 120_000_000, "{bytes}");
    }
}
