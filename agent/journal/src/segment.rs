//! Segment files: their names, and finding frames in one, over damage if need be.

use crate::Seq;
use crate::disk::{Entry, ReadAt};
use crate::frame::{HEADER_LEN, Header, MAGIC, Salt};
use std::io;

/// The format this crate writes, and the only one it reads.
pub(crate) const VERSION: u32 = 1;

/// How far a sequence number can be from its segment's first: segments are at most 1 GiB and every frame has
/// a header.
const SEGMENT_SPAN: u64 = 1 << 32;

/// Bytes read from a file at a time. Large enough that the system call is a small part of checking them.
const CHUNK: usize = 64 << 10;

/// A segment's file name: `NUMBER-FIRST-SALT.wjVERSION`, as in
/// `00000012-00000000000000001234-9f86d081884c7d65.wj1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentName {
    /// Counts the segments ever planned; orders them.
    pub(crate) number: u64,
    /// The sequence number of the first frame.
    pub(crate) first: Seq,
    pub(crate) salt: Salt,
}

/// What a file in a journal's directory is, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Segment(SegmentName),
    /// A segment of another format version, whose number and first sequence number are still told by its
    /// name.
    OtherVersion(SegmentName, u32),
    Other,
}

impl SegmentName {
    pub(crate) fn file_name(&self) -> String {
        format!("{:08}-{:020}-{:016x}.wj{VERSION}", self.number, self.first.0, self.salt.0)
    }

    pub(crate) fn parse(name: &str) -> Named {
        let parsed = || {
            let (stem, version) = name.rsplit_once(".wj")?;
            let mut parts = stem.split('-');
            let number = decimal(parts.next()?)?;
            let first = Seq(decimal(parts.next()?)?);
            let salt = Salt(u64::from_str_radix(parts.next()?, 16).ok()?);
            let version = u32::try_from(decimal(version)?).ok()?;
            parts.next().is_none().then_some((Self { number, first, salt }, version))
        };
        match parsed() {
            // Only the one spelling: else two names could mean the same segment.
            Some((segment, VERSION)) if segment.file_name() == name => Named::Segment(segment),
            Some((_, VERSION)) | None => Named::Other,
            Some((segment, version)) => Named::OtherVersion(segment, version),
        }
    }
}

/// The segments among `entries`, in order, with their lengths.
pub(crate) fn segments(entries: &[Entry]) -> Vec<(SegmentName, u64)> {
    let mut found: Vec<_> = entries
        .iter()
        .filter_map(|entry| match SegmentName::parse(&entry.name) {
            Named::Segment(segment) => Some((segment, entry.len)),
            Named::OtherVersion(..) | Named::Other => None,
        })
        .collect();
    found.sort_by_key(|(segment, _)| segment.number);
    found
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Where a valid frame was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    at: u64,
    header: Header,
}

impl Found {
    pub(crate) fn seq(&self) -> Seq {
        self.header.seq
    }
}

/// What lies behind the last valid frame of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// One more than the last valid frame's number; the segment's first when there is none.
    pub(crate) first: Seq,
    /// The lowest sequence number that no frame of this segment, readable or not, can have had.
    pub(crate) next: Seq,
    /// Bytes behind the last valid frame up to the last one that is not zero.
    pub(crate) torn: u64,
}

/// Finds the frames of one segment, in order, in bounded memory.
#[derive(Debug)]
pub(crate) struct Scan<S> {
    source: S,
    name: SegmentName,
    max_payload: u32,
    /// Where the next frame should begin: the end of the last one that was taken.
    at: u64,
    /// The sequence number of the last frame that was taken; one less than the first to begin with.
    last: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<S: ReadAt> Scan<S> {
    pub(crate) fn new(source: S, name: SegmentName, max_payload: u32) -> Self {
        let last = name.first.0.saturating_sub(1);
        Self { source, name, max_payload, at: 0, last, window: Vec::new(), window_at: 0 }
    }

    pub(crate) fn name(&self) -> &SegmentName {
        &self.name
    }

    /// The next valid frame with a sequence number in `[from, before)`; `None` when the file as it is now has
    /// no more.
    ///
    /// After `None`, what was seen behind the last frame is forgotten: the file may be growing.
    pub(crate) fn find(&mut self, from: Seq, before: Option<Seq>) -> io::Result<Option<Found>> {
        loop {
            let Some(found) = self.find_one(before)? else {
                self.forget();
                return Ok(None);
            };
            if found.header.seq >= from {
                return Ok(Some(found));
            }
            self.take(&found);
        }
    }

    /// The payload of a frame that was found last, which is thereby taken.
    pub(crate) fn payload(&mut self, found: &Found) -> io::Result<&[u8]> {
        self.take(found);
        let len = found.header.frame_len();
        let frame = self.view(found.at, len)?;
        Ok(frame.get(HEADER_LEN..len).unwrap_or_default())
    }

    /// Looks at what is behind the last valid frame, after [`Scan::find`] gave `None`.
    pub(crate) fn tail(&mut self) -> io::Result<Tail> {
        // A header that is whole tells the number and the length of a frame whose payload is not. Bytes that
        // no header explains may have been whole frames once: as many as there are headers' lengths in them,
        // at most.
        let mut next = self.last + 1;
        let mut unexplained_from = self.at;
        let mut last_nonzero = None;
        let mut at = self.at;
        loop {
            let chunk = self.view(at, CHUNK.max(HEADER_LEN))?;
            if chunk.is_empty() {
                break;
            }
            if let Some(nonzero) = chunk.iter().rposition(|&byte| byte != 0) {
                last_nonzero = Some(at + nonzero as u64);
            }
            at += chunk.len() as u64;
        }
        let mut at = self.at;
        let salt = self.name.salt;
        while let Some(candidate) = self.seek_magic(at)? {
            let header = Header::parse(self.view(candidate, HEADER_LEN)?, salt);
            if let Some(header) = header.filter(|header| self.plausible(header, None))
                && header.seq.0 >= next
            {
                next = header.seq.0 + 1;
                unexplained_from = candidate + header.frame_len() as u64;
            }
            at = candidate + 1;
        }
        let torn = last_nonzero.map_or(0, |last| last + 1 - self.at);
        if let Some(last) = last_nonzero.filter(|last| *last >= unexplained_from) {
            next += (last - unexplained_from) / HEADER_LEN as u64 + 1;
        }
        self.forget();
        Ok(Tail { first: Seq(self.last + 1), next: Seq(next), torn })
    }

    fn take(&mut self, found: &Found) {
        self.at = found.at + found.header.frame_len() as u64;
        self.last = found.header.seq.0;
    }

    fn find_one(&mut self, before: Option<Seq>) -> io::Result<Option<Found>> {
        if let Some(found) = self.check(self.at, before)? {
            return Ok(Some(found));
        }
        // The bytes may have been read before they were written: look again before calling it damage.
        self.forget();
        let Some(found) = self.resync(before)? else { return Ok(None) };
        if found.at == self.at {
            return Ok(Some(found));
        }
        // A writer in another process fills the file in order while this scan passes over it, so now that a
        // later frame is there, an earlier one may be as well.
        self.forget();
        self.resync(before)
    }

    fn resync(&mut self, before: Option<Seq>) -> io::Result<Option<Found>> {
        let mut at = self.at;
        while let Some(candidate) = self.seek_magic(at)? {
            if let Some(found) = self.check(candidate, before)? {
                return Ok(Some(found));
            }
            // Not past the whole frame that a header tells of: if bytes were cut out of it, the next one
            // begins within.
            at = candidate + 1;
        }
        Ok(None)
    }

    fn check(&mut self, at: u64, before: Option<Seq>) -> io::Result<Option<Found>> {
        let salt = self.name.salt;
        let Some(header) = Header::parse(self.view(at, HEADER_LEN)?, salt) else { return Ok(None) };
        if !self.plausible(&header, before) {
            return Ok(None);
        }
        let len = header.frame_len();
        let frame = self.view(at, len)?;
        let valid = frame.get(HEADER_LEN..len).is_some_and(|payload| header.holds(payload, salt));
        Ok(valid.then_some(Found { at, header }))
    }

    fn plausible(&self, header: &Header, before: Option<Seq>) -> bool {
        header.len <= self.max_payload
            && header.seq.0 > self.last
            && header.seq.0 - self.name.first.0 < SEGMENT_SPAN
            && before.is_none_or(|before| header.seq < before)
    }

    /// The first place at or after `at` where a header's magic stands.
    fn seek_magic(&mut self, mut at: u64) -> io::Result<Option<u64>> {
        loop {
            let bytes = self.view(at, MAGIC.len())?;
            if bytes.len() < MAGIC.len() {
                return Ok(None);
            }
            let bytes = self.window_from(at);
            let found = bytes.iter().position(|&byte| byte == MAGIC[0]);
            match found {
                Some(offset) if bytes[offset..].starts_with(&MAGIC) => return Ok(Some(at + offset as u64)),
                Some(offset) if bytes.len() - offset >= MAGIC.len() => at += offset as u64 + 1,
                Some(0) => return Ok(None),
                Some(offset) => at += offset as u64,
                None => at += bytes.len() as u64,
            }
        }
    }

    fn forget(&mut self) {
        self.window.clear();
        // A frame that was larger than a chunk made the window grow; it need not stay so.
        self.window.shrink_to(2 * CHUNK);
    }

    fn window_from(&self, at: u64) -> &[u8] {
        let skip = at.checked_sub(self.window_at).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.window.get(skip..)).unwrap_or_default()
    }

    /// The bytes at `[at, at + want)`, fewer at the end of the file.
    fn view(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        if self.window_from(at).len() < want {
            let kept = self.window_from(at).len();
            self.window.drain(..self.window.len() - kept);
            self.window_at = at;
            let target = want.max(CHUNK);
            let mut filled = kept;
            self.window.resize(target.max(kept), 0);
            while filled < target {
                let read = self.source.read_at(at + filled as u64, &mut self.window[filled..])?;
                if read == 0 {
                    break;
                }
                filled += read;
            }
            self.window.truncate(filled);
        }
        let bytes = self.window_from(at);
        Ok(&bytes[..bytes.len().min(want)])
    }
}
