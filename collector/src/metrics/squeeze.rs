//! The exposition as it is kept: compressed. Ten thousand sites are some 100 MB of text, and a few MB of gzip.
//!
//! A [`Part`] is raw deflate data (RFC 1951) that ends at a byte and refers to nothing before it, so parts that were made at different
//! times stand one behind the other in one gzip stream (RFC 1952): its checksum is combined from theirs. What only changes now and then
//! is compressed once and not at each scrape. Who wants plain text is sent it as it is taken apart again, chunk by chunk.

use std::sync::Arc;

use axum::body::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// So much is kept, or handed to a client, in one piece.
const CHUNK: usize = 64 << 10;
/// No name, no time, the fastest method, an unknown system: RFC 1952, 2.3.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// A last block without anything in it: RFC 1951, 3.2.3, fixed codes.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// A piece of compressed text.
#[derive(Debug, Clone, Default)]
pub struct Part {
    chunks: Vec<Bytes>,
    checksum: Hasher,
    /// Of the text, modulo 2³², as gzip has it.
    length: u32,
}

/// Compresses text into a part.
#[derive(Debug)]
pub(super) struct Squeezer {
    deflate: Compress,
    out: Vec<u8>,
    part: Part,
}

impl Squeezer {
    pub(super) fn new() -> Self {
        let out = Vec::with_capacity(CHUNK);
        Self { deflate: Compress::new(Compression::fast(), false), out, part: Part::default() }
    }

    /// # Errors
    /// Never in practice: deflating fails on misuse only.
    pub(super) fn write(&mut self, text: &[u8]) -> Result<(), flate2::CompressError> {
        self.part.checksum.update(text);
        #[allow(clippy::cast_possible_truncation, reason = "gzip's length is modulo 2³²")]
        let length = text.len() as u32;
        self.part.length = self.part.length.wrapping_add(length);
        let mut rest = text;
        while !rest.is_empty() {
            let before = self.deflate.total_in();
            self.deflate.compress_vec(rest, &mut self.out, FlushCompress::None)?;
            let taken = usize::try_from(self.deflate.total_in() - before).unwrap_or(rest.len());
            rest = rest.get(taken..).unwrap_or_default();
            self.keep_full();
        }
        Ok(())
    }

    /// # Errors
    /// Never in practice: deflating fails on misuse only.
    pub(super) fn finish(mut self) -> Result<Part, flate2::CompressError> {
        // As long as the room was used up there may be more.
        loop {
            self.deflate.compress_vec(&[], &mut self.out, FlushCompress::Full)?;
            if self.out.len() < self.out.capacity() {
                break;
            }
            self.keep_full();
        }
        self.part.chunks.push(Bytes::from(std::mem::take(&mut self.out)));
        Ok(self.part)
    }

    fn keep_full(&mut self) {
        if self.out.len() == self.out.capacity() {
            let full = std::mem::replace(&mut self.out, Vec::with_capacity(CHUNK));
            self.part.chunks.push(Bytes::from(full));
        }
    }
}

/// One exposition, whole. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scrape {
    chunks: Arc<[Bytes]>,
}

impl Scrape {
    pub(super) fn of(parts: &[&Part]) -> Self {
        let (mut checksum, mut length) = (Hasher::new(), 0_u32);
        let mut chunks = vec![Bytes::from_static(&HEAD)];
        for part in parts {
            checksum.combine(&part.checksum);
            length = length.wrapping_add(part.length);
            chunks.extend(part.chunks.iter().filter(|chunk| !chunk.is_empty()).cloned());
        }
        let mut end = LAST_BLOCK.to_vec();
        end.extend(checksum.finalize().to_le_bytes());
        end.extend(length.to_le_bytes());
        chunks.push(Bytes::from(end));
        Self { chunks: chunks.into() }
    }

    /// As gzip, in chunks.
    pub fn gzip(&self) -> impl Iterator<Item = Bytes> + use<> {
        let chunks = Arc::clone(&self.chunks);
        (0..chunks.len()).filter_map(move |at| chunks.get(at).cloned())
    }

    /// How many bytes the gzip has.
    #[must_use]
    pub fn gzip_length(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// As text, in chunks that are made when they are asked for. A chunk may end within a line.
    #[must_use]
    pub fn text(&self) -> Text {
        let inflate = Decompress::new(false);
        Text { chunks: Arc::clone(&self.chunks), at: 1, offset: 0, inflate, is_over: false }
    }
}

/// The text of a [`Scrape`].
#[derive(Debug)]
pub struct Text {
    chunks: Arc<[Bytes]>,
    /// The compressed chunk that is being read, and how far.
    at: usize,
    offset: usize,
    inflate: Decompress,
    is_over: bool,
}

impl Iterator for Text {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::with_capacity(CHUNK);
        while !self.is_over && out.len() < out.capacity() {
            let Some(chunk) = self.chunks.get(self.at) else { break };
            let rest = chunk.get(self.offset..).unwrap_or_default();
            let before = (self.inflate.total_in(), out.len());
            // What was compressed here is taken apart here; damage would end the answer.
            let status = self.inflate.decompress_vec(rest, &mut out, FlushDecompress::None);
            let taken = usize::try_from(self.inflate.total_in() - before.0).unwrap_or(rest.len());
            self.offset += taken;
            if self.offset >= chunk.len() {
                (self.at, self.offset) = (self.at + 1, 0);
            }
            self.is_over = !matches!(status, Ok(Status::Ok | Status::BufError))
                || (taken == 0 && out.len() == before.1 && !rest.is_empty());
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn part(text: &[u8]) -> Part {
        let mut squeezer = Squeezer::new();
        for piece in text.chunks(10_000) {
            squeezer.write(piece).unwrap();
        }
        squeezer.finish().unwrap()
    }

    fn both_ways(texts: &[Vec<u8>]) {
        let parts: Vec<Part> = texts.iter().map(|text| part(text)).collect();
        let scrape = Scrape::of(&parts.iter().collect::<Vec<_>>());
        let whole = texts.concat();
        assert!(scrape.text().collect::<Vec<_>>().concat() == whole, "as text");
        let gzip = scrape.gzip().collect::<Vec<_>>().concat();
        assert_eq!(gzip.len(), scrape.gzip_length());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&*gzip).read_to_end(&mut read).unwrap();
        assert!(read == whole, "as gzip");
    }

    #[test]
    fn parts_are_one_stream_whatever_is_in_them() {
        let mut noise = 1_u32;
        let mut random = |length: usize| -> Vec<u8> {
            let next = |_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise.to_be_bytes()[0]
            };
            (0..length).map(next).collect()
        };
        both_ways(&[]);
        both_ways(&[Vec::new()]);
        both_ways(&[b"a".to_vec(), Vec::new(), b"a".to_vec()]);
        both_ways(&[b"wan_link_up{site=\"a\"} 1\n".repeat(100_000), random(300_000)]);
        both_ways(&[random(CHUNK), random(CHUNK - 1), random(2 * CHUNK)]);
    }

    proptest! {
        #[test]
        fn any_parts_are_read_as_they_were_written(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5_000), 0..5),
            often in 1_usize..200,
        ) {
            both_ways(&texts.iter().map(|text| text.repeat(often)).collect::<Vec<_>>());
        }
    }
}
