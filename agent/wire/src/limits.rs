//! Every limit of a write request, and decompression within them.

use crate::decode::{DecodeError, Sample};

/// How big a request may be. Past a limit the answer is clear (413, or 400 for a single series), never memory without
/// end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body as it came. Default 4 MiB: an agent's push is 2 KB, the biggest batch that common senders make
    /// is vmagent's of 8 MiB before compression.
    pub compressed: usize,
    /// Bytes of the protobuf message; and, for 2.0, bytes of all its series' labels when written out in full, so that a
    /// table of symbols cannot say more than a 1.0 request may. Default 32 MiB.
    pub decompressed: usize,
    /// Series in a request. Default 100,000: a batch of a common sender has 500 to 10,000.
    pub series: usize,
    /// Samples in a request. Default 500,000: an agent that sends a week's backlog of one target in one piece has less.
    pub samples: usize,
    /// Entries of a 2.0 symbol table. Default 500,000: five different strings for each of the most series.
    pub symbols: usize,
    /// Labels of one series, its name among them. Default 64: Prometheus's common senders stay below 40.
    pub labels_per_series: usize,
    /// Bytes of one series' labels in canonical form. Default 16 KiB: eight values of the 2 KiB that others allow.
    pub label_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            compressed: 4 << 20,
            decompressed: 32 << 20,
            series: 100_000,
            samples: 500_000,
            symbols: 500_000,
            labels_per_series: 64,
            label_bytes: 16 << 10,
        }
    }
}

impl Limits {
    /// The most bytes that a [`Scratch`](crate::Scratch) comes to hold under these limits, whatever is decoded with it:
    /// 8 bytes a symbol, 16 a sample and the longest key, each in a vector that may have grown to double of what it
    /// needs. With the defaults 24 MB, of which an agent's push needs less than 1 KB.
    #[must_use]
    pub const fn scratch_bytes(&self) -> usize {
        let symbols = self.symbols.saturating_mul(size_of::<(u32, u32)>());
        let samples = self.samples.saturating_mul(size_of::<Sample>());
        symbols.saturating_add(samples).saturating_add(self.label_bytes).saturating_mul(2).saturating_add(256)
    }
}

/// Unpacks a snappy block into `out`, whose old content is gone and whose capacity is used again.
///
/// Before anything is allocated, the length that the block announces is held against the limit, and against what the
/// block can possibly unpack to: a snappy element of 3 bytes gives at most 64, so nothing honest grows more than
/// 64/3-fold. `out` thus never grows over 22 times the body (and its own doubling), nor over the limit.
///
/// # Errors
/// When the body or what it unpacks to is over its limit ([`DecodeError::status`] 413), or is not snappy (400). `out` is
/// then empty.
pub fn decompress(body: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    out.clear();
    if body.len() > limits.compressed {
        return Err(DecodeError::CompressedTooLarge { found: body.len(), limit: limits.compressed });
    }
    if body.is_empty() {
        // An empty message packs to one byte (its length, 0): nothing at all is a cut connection or a mistake.
        return Err(DecodeError::NotSnappy { reason: "the body is empty" });
    }
    let length =
        snap::raw::decompress_len(body).map_err(|_| DecodeError::NotSnappy { reason: "bad header" })?;
    if length > limits.decompressed {
        return Err(DecodeError::DecompressedTooLarge { found: length, limit: limits.decompressed });
    }
    if length / MAX_EXPANSION > body.len() {
        return Err(DecodeError::NotSnappy { reason: "it announces more than it can hold" });
    }
    out.resize(length, 0);
    let unpacked = snap::raw::Decoder::new().decompress(body, out);
    if unpacked.is_ok_and(|unpacked| unpacked == length) {
        return Ok(());
    }
    out.clear();
    Err(DecodeError::NotSnappy { reason: "its content does not match its header" })
}

/// The whole number above 64/3: a copy element of 3 bytes (tag, 2-byte offset) repeats at most 64 bytes.
const MAX_EXPANSION: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(plain: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(plain).unwrap()
    }

    #[test]
    fn a_block_is_unpacked_and_the_old_content_is_gone() {
        let mut out = b"old".to_vec();
        for plain in [&b""[..], b"a", &[0; 1 << 20], &pack(&[7; 9999])] {
            decompress(&pack(plain), &Limits::default(), &mut out).unwrap();
            assert_eq!(out, plain);
        }
    }

    #[test]
    fn the_most_compressible_body_is_not_taken_for_a_lie() {
        for length in [1, 63, 64, 65, 1000, 65_536, 65_537, 1 << 24] {
            let mut out = Vec::new();
            decompress(&pack(&vec![0; length]), &Limits::default(), &mut out).unwrap();
            assert_eq!(out.len(), length);
        }
    }

    #[test]
    fn a_body_over_its_limit_is_413_and_nothing_is_allocated() {
        let limits = Limits { compressed: 100, decompressed: 1000, ..Limits::default() };
        let mut out = Vec::new();
        let error = decompress(&[1; 101], &limits, &mut out).unwrap_err();
        assert_eq!(error, DecodeError::CompressedTooLarge { found: 101, limit: 100 });
        let error = decompress(&pack(&[0; 1001]), &limits, &mut out).unwrap_err();
        assert_eq!(error, DecodeError::DecompressedTooLarge { found: 1001, limit: 1000 });
        decompress(&pack(&[0; 1000]), &limits, &mut out).unwrap();
        assert_eq!(DecodeError::DecompressedTooLarge { found: 1001, limit: 1000 }.status(), 413);
    }

    #[test]
    fn a_body_that_is_not_snappy_is_400_and_nothing_is_allocated_for_its_lie() {
        let mut out = Vec::new();
        // 32 MiB announced in 5 bytes.
        let lie = [0x80, 0x80, 0x80, 0x10, 0x00];
        for bad in [&b""[..], &[0xff; 20], b"hello", &lie, &pack(&[1, 2, 3])[..3], &[5, 0, 1], &[0, 0, 1]] {
            let error = decompress(bad, &Limits::default(), &mut out).unwrap_err();
            assert_eq!(error.status(), 400, "{bad:?}");
            assert!(out.is_empty());
        }
        assert!(out.capacity() < 1000);
    }
}
