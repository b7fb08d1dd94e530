//! Hours and days as bytes: what the store keeps of them.
//!
//! ```text
//! hour with minutes   4, entries: mark = map of the seconds seen
//! thin hour           5, which there are; their marks, each with how many minutes in a row have it; then one entry
//! day of hours        6, entries: mark = rounds of the hour
//!
//! entries  which there are (a bit each, varint), then each, written as it differs from the one before it
//! entry    flags, then, as the flags say:
//!          mark, sent, lost, sent in rounds without any answer, shortest (difference, zigzag), longest − shortest, sum − received × shortest,
//!          over_min, compared, first bin, the bins' counts (0 and a number: so many empty bins) until all replies are placed
//! ```
//!
//! 1, 2 and 3 are the same as of before it was counted which packets were in rounds without any answer; they are read, and written anew
//! as 4, 5 and 6.
//!
//! Integers are varints (LEB128). What rows take is in the documentation of [`super`].

use std::collections::BTreeMap;

use super::bucket::{Bucket, Times};
use super::histogram::Histogram;
use super::hour::{Day, Hour, HourTotal, Minute};

const FULL: u8 = 4;
const THIN: u8 = 5;
const DAY: u8 = 6;
/// What a row's number was before [`SOME_UNANSWERED`].
const EARLIER: u8 = 3;

const SAME_MARK: u8 = 1;
const SAME_SENT: u8 = 2;
const ALL_ANSWERED: u8 = 4;
const NONE_ANSWERED: u8 = 8;
const ALL_COMPARED: u8 = 16;
const SOME_UNANSWERED: u8 = 32;

/// Bytes that are no hour or day of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a row of figures that this version of wan-collector writes")]
pub struct Unreadable;

/// The bytes of an hour.
#[must_use]
pub fn encode_hour(hour: &Hour) -> Vec<u8> {
    let mut writer = Writer::default();
    match hour {
        Hour::Full(minutes) => {
            writer.bytes.push(FULL);
            writer.which(minutes.keys());
            for minute in minutes.values() {
                writer.entry(minute.seen, &minute.bucket);
            }
        }
        Hour::Thin { seen, total } => {
            writer.bytes.push(THIN);
            writer.which(seen.keys());
            let mut marks = seen.values().peekable();
            while let Some(mark) = marks.next() {
                let mut times = 1;
                while marks.next_if_eq(&mark).is_some() {
                    times += 1;
                }
                writer.number(*mark);
                writer.number(times);
            }
            writer.entry(0, total);
        }
    }
    writer.bytes
}

/// The hour of these bytes.
///
/// # Errors
/// [`Unreadable`].
pub fn decode_hour(bytes: &[u8]) -> Result<Hour, Unreadable> {
    let (format, bytes) = bytes.split_first().ok_or(Unreadable)?;
    let (format, mut reader) = Reader::of(*format, bytes);
    let hour = match format {
        FULL => {
            let mut minutes = BTreeMap::new();
            for at in reader.which(60)? {
                let (seen, bucket) = reader.entry()?;
                minutes.insert(at, Minute { seen, bucket });
            }
            Hour::Full(minutes)
        }
        THIN => {
            let mut seen = BTreeMap::new();
            let mut minutes = reader.which(60)?.into_iter();
            while minutes.len() > 0 {
                let (mark, times) = (reader.number()?, reader.number()?);
                let times = usize::try_from(times).map_err(|_| Unreadable)?;
                if times == 0 || times > minutes.len() {
                    return Err(Unreadable);
                }
                seen.extend(minutes.by_ref().take(times).map(|at| (at, mark)));
            }
            Hour::Thin { seen, total: reader.entry()?.1 }
        }
        _ => return Err(Unreadable),
    };
    reader.end()?;
    Ok(hour)
}

/// The bytes of a day.
#[must_use]
pub fn encode_day(day: &Day) -> Vec<u8> {
    let mut writer = Writer { bytes: vec![DAY], before: Before::default() };
    writer.which(day.0.keys());
    for total in day.0.values() {
        writer.entry(total.rounds, &total.bucket);
    }
    writer.bytes
}

/// The day of these bytes.
///
/// # Errors
/// [`Unreadable`].
pub fn decode_day(bytes: &[u8]) -> Result<Day, Unreadable> {
    Ok(Day(decode_hours(bytes)?.into_iter().collect()))
}

/// The same as a list, in order: for who reads millions.
pub(super) fn decode_hours(bytes: &[u8]) -> Result<Vec<(u8, HourTotal)>, Unreadable> {
    let (format, bytes) = bytes.split_first().ok_or(Unreadable)?;
    let (DAY, mut reader) = Reader::of(*format, bytes) else { return Err(Unreadable) };
    let which = reader.which(24)?;
    let mut hours = Vec::with_capacity(which.len());
    for at in which {
        let (rounds, bucket) = reader.entry()?;
        hours.push((at, HourTotal { rounds, bucket }));
    }
    reader.end()?;
    Ok(hours)
}

/// What the entry before had.
#[derive(Default)]
struct Before {
    mark: u64,
    sent: u64,
    min: u64,
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    before: Before,
}

impl Writer {
    fn number(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.bytes.push(low & 0x7f);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    fn which<'k>(&mut self, keys: impl Iterator<Item = &'k u8>) {
        self.number(keys.fold(0, |which, at| which | 1 << (at % 64)));
    }

    fn entry(&mut self, mark: u64, bucket: &Bucket) {
        let Bucket { sent, received, unanswered, times } = bucket;
        let all_compared = times.as_ref().is_some_and(|times| times.compared == *received);
        let flags = [
            (SAME_MARK, mark == self.before.mark),
            (SAME_SENT, *sent == self.before.sent),
            (ALL_ANSWERED, received == sent),
            (NONE_ANSWERED, times.is_none()),
            (ALL_COMPARED, all_compared),
            // Where nothing was answered these are all.
            (SOME_UNANSWERED, *unanswered > 0 && times.is_some()),
        ];
        let flags = flags.iter().filter(|(_, holds)| *holds).fold(0, |flags, (flag, _)| flags | flag);
        self.bytes.push(flags);
        if flags & SAME_MARK == 0 {
            self.number(mark);
        }
        if flags & SAME_SENT == 0 {
            self.number(*sent);
        }
        (self.before.mark, self.before.sent) = (mark, *sent);
        let Some(times) = times else { return };
        if flags & ALL_ANSWERED == 0 {
            self.number(sent.wrapping_sub(*received));
        }
        if flags & SOME_UNANSWERED != 0 {
            self.number(*unanswered);
        }
        self.number(zigzag(times.min.wrapping_sub(self.before.min)));
        self.before.min = times.min;
        self.number(times.max.wrapping_sub(times.min));
        self.number(times.sum.wrapping_sub(received.wrapping_mul(times.min)));
        self.number(times.over_min);
        if !all_compared {
            self.number(times.compared);
        }
        self.histogram(&times.histogram);
    }

    fn histogram(&mut self, histogram: &Histogram) {
        let mut next: Option<u8> = None;
        for (bin, count) in histogram.bins() {
            match next {
                None => self.bytes.push(bin),
                Some(next) if next < bin => {
                    self.bytes.push(0);
                    self.number(u64::from(bin - next));
                }
                Some(_) => {}
            }
            self.number(count);
            next = Some(bin.saturating_add(1));
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    before: Before,
    /// Flags that no entry of this format has.
    unknown: u8,
}

impl<'b> Reader<'b> {
    /// The format of today, and what reads it.
    fn of(format: u8, bytes: &'b [u8]) -> (u8, Self) {
        let earlier = (1..=EARLIER).contains(&format);
        let unknown = if earlier { !0 << 5 } else { !0 << 6 };
        let format = if earlier { format + EARLIER } else { format };
        (format, Self { bytes, before: Before::default(), unknown })
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self.bytes.split_first().ok_or(Unreadable)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return Err(Unreadable);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unreadable)
    }

    fn which(&mut self, most: u8) -> Result<Vec<u8>, Unreadable> {
        let which = self.number()?;
        if which >> most != 0 {
            return Err(Unreadable);
        }
        Ok((0..most).filter(|at| which & 1 << at != 0).collect())
    }

    fn entry(&mut self) -> Result<(u64, Bucket), Unreadable> {
        let flags = self.byte()?;
        if flags & self.unknown != 0 {
            return Err(Unreadable);
        }
        let mark = if flags & SAME_MARK == 0 { self.number()? } else { self.before.mark };
        let sent = if flags & SAME_SENT == 0 { self.number()? } else { self.before.sent };
        (self.before.mark, self.before.sent) = (mark, sent);
        if flags & NONE_ANSWERED != 0 {
            return Ok((mark, Bucket { sent, received: 0, unanswered: sent, times: None }));
        }
        let lost = if flags & ALL_ANSWERED == 0 { self.number()? } else { 0 };
        let received = sent.checked_sub(lost).filter(|received| *received > 0).ok_or(Unreadable)?;
        let unanswered = if flags & SOME_UNANSWERED == 0 { 0 } else { self.number()? };
        if unanswered > lost {
            return Err(Unreadable);
        }
        let min = self.before.min.wrapping_add(unzigzag(self.number()?));
        self.before.min = min;
        let max = min.checked_add(self.number()?).ok_or(Unreadable)?;
        let sum = received.wrapping_mul(min).wrapping_add(self.number()?);
        let over_min = self.number()?;
        let compared = if flags & ALL_COMPARED == 0 { self.number()? } else { received };
        let histogram = self.histogram(received)?;
        let times = Times { min, max, sum, over_min, compared, histogram };
        Ok((mark, Bucket { sent, received, unanswered, times: Some(times) }))
    }

    fn histogram(&mut self, received: u64) -> Result<Histogram, Unreadable> {
        let mut histogram = Histogram::with_room();
        let mut bin = self.byte()?;
        let mut left = received;
        loop {
            match self.number()? {
                0 => {
                    let empty = u8::try_from(self.number()?).map_err(|_| Unreadable)?;
                    bin = bin.checked_add(empty).ok_or(Unreadable)?;
                }
                count => {
                    left = left.checked_sub(count).ok_or(Unreadable)?;
                    histogram.put(bin, count);
                    if left == 0 {
                        return Ok(histogram);
                    }
                    bin = bin.checked_add(1).ok_or(Unreadable)?;
                }
            }
        }
    }

    fn end(&self) -> Result<(), Unreadable> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Unreadable) }
    }
}

/// Small differences of either sign as small numbers.
fn zigzag(difference: u64) -> u64 {
    let sign = if difference >> 63 == 1 { u64::MAX } else { 0 };
    (difference << 1) ^ sign
}

fn unzigzag(number: u64) -> u64 {
    let sign = if number & 1 == 1 { u64::MAX } else { 0 };
    (number >> 1) ^ sign
}

#[cfg(test)]
mod tests;
