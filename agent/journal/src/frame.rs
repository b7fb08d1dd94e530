//! One frame, as bytes: pure encoding and checking, no I/O.
//!
//! ```text
//! offset  0        4          8              16            20           24
//!         ┌────────┬──────────┬──────────────┬─────────────┬────────────┬───────────┐
//!         │ magic  │ length   │ sequence     │ payload CRC │ header CRC │ payload … │
//!         │ 4 B    │ u32 LE   │ u64 LE       │ u32 LE      │ u32 LE     │ length B  │
//!         └────────┴──────────┴──────────────┴─────────────┴────────────┴───────────┘
//! ```
//!
//! The header CRC covers the 20 bytes before it; the payload CRC covers the payload. Both are CRC-32 (IEEE),
//! each started from its own half of the segment's [`Salt`].

use crate::Seq;

/// Length of a frame's header in bytes; a frame takes this much more than its payload.
pub const HEADER_LEN: usize = 24;

/// How a header begins. Not ASCII, so that it is rare in text; it only makes the search for headers fast, it
/// proves nothing.
pub(crate) const MAGIC: [u8; 4] = *b"\xF7WJ1";

/// The largest payload that any journal can be told to take: 256 MiB, far above one request body, far below
/// `u32::MAX`.
pub const PAYLOAD_CEILING: u32 = 256 << 20;

/// The random 64 bits of a segment, from its file name; the two CRCs start from one half each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u64);

impl Salt {
    fn header_hasher(self) -> crc32fast::Hasher {
        let half = self.0 & 0xFFFF_FFFF;
        crc32fast::Hasher::new_with_initial(u32::try_from(half).unwrap_or_default())
    }

    fn payload_crc(self, payload: &[u8]) -> u32 {
        let half = self.0 >> 32;
        let mut hasher = crc32fast::Hasher::new_with_initial(u32::try_from(half).unwrap_or_default());
        hasher.update(payload);
        hasher.finalize()
    }
}

/// A header whose own CRC held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Length of the payload in bytes.
    pub(crate) len: u32,
    /// The frame's sequence number.
    pub(crate) seq: Seq,
    payload_crc: u32,
}

impl Header {
    /// Reads a header from the start of `bytes`; `None` when there are too few bytes, the magic differs or
    /// the CRC does not hold.
    pub(crate) fn parse(bytes: &[u8], salt: Salt) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<HEADER_LEN>()?;
        if head[..4] != MAGIC {
            return None;
        }
        let mut hasher = salt.header_hasher();
        hasher.update(&head[..20]);
        if hasher.finalize() != u32_at(head, 20) {
            return None;
        }
        let seq = u64::from(u32_at(head, 8)) | u64::from(u32_at(head, 12)) << 32;
        Some(Self { len: u32_at(head, 4), seq: Seq(seq), payload_crc: u32_at(head, 16) })
    }

    /// Bytes of the whole frame, header included.
    pub(crate) fn frame_len(&self) -> usize {
        HEADER_LEN + self.len as usize
    }

    /// Whether `payload` is the payload that this header was written for.
    pub(crate) fn holds(&self, payload: &[u8], salt: Salt) -> bool {
        payload.len() == self.len as usize && salt.payload_crc(payload) == self.payload_crc
    }
}

/// Appends the frame of `payload` to `out`.
///
/// The caller has checked that the payload is not longer than [`PAYLOAD_CEILING`].
pub(crate) fn encode_into(out: &mut Vec<u8>, seq: Seq, payload: &[u8], salt: Salt) {
    let header = header_bytes(seq, payload, salt);
    out.reserve(HEADER_LEN + payload.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
}

/// Writes the headers of the whole frames in `frames` anew for another segment's salt; the payloads stay.
///
/// `frames` must be what [`encode_into`] made and nothing else: the lengths in it are trusted.
pub(crate) fn reseal(frames: &mut [u8], salt: Salt) {
    let mut rest = frames;
    while let Some((head, tail)) = rest.split_first_chunk_mut::<HEADER_LEN>() {
        let len = (u32_at(head, 4) as usize).min(tail.len());
        let seq = u64::from(u32_at(head, 8)) | u64::from(u32_at(head, 12)) << 32;
        let (payload, next) = tail.split_at_mut(len);
        *head = header_bytes(Seq(seq), payload, salt);
        rest = next;
    }
}

fn header_bytes(seq: Seq, payload: &[u8], salt: Salt) -> [u8; HEADER_LEN] {
    let mut head = [0; HEADER_LEN];
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&MAGIC);
    head[4..8].copy_from_slice(&len.to_le_bytes());
    head[8..16].copy_from_slice(&seq.0.to_le_bytes());
    head[16..20].copy_from_slice(&salt.payload_crc(payload).to_le_bytes());
    let mut hasher = salt.header_hasher();
    hasher.update(&head[..20]);
    head[20..].copy_from_slice(&hasher.finalize().to_le_bytes());
    head
}

fn u32_at(head: &[u8; HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALT: Salt = Salt(0x0123_4567_89ab_cdef);

    fn frame(seq: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_into(&mut out, Seq(seq), payload, SALT);
        out
    }

    #[test]
    fn the_bytes_of_a_frame_are_frozen() {
        let bytes = frame(0x0102_0304_0506_0708, b"wan");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }
    /// Computed apart from this crate, with zlib's CRC.
    const GOLDEN: &str = "f7574a31030000000807060504030201e8a6e21abff77a9e77616e";

    #[test]
    fn a_header_made_for_another_segment_is_not_taken() {
        let bytes = frame(7, b"payload");
        assert!(Header::parse(&bytes, SALT).is_some());
        assert_eq!(Header::parse(&bytes, Salt(SALT.0 ^ 1)), None);
        // The high half guards the payload.
        let header = Header::parse(&bytes, Salt(SALT.0 ^ 1 << 63)).unwrap();
        assert!(!header.holds(b"payload", Salt(SALT.0 ^ 1 << 63)));
    }

    #[test]
    fn resealed_frames_are_the_frames_encoded_with_the_new_salt() {
        let mut frames = [frame(1, b"one"), frame(2, b""), frame(3, b"three")].concat();
        reseal(&mut frames, Salt(99));
        let mut expected = Vec::new();
        for (seq, payload) in [(1, &b"one"[..]), (2, b""), (3, b"three")] {
            encode_into(&mut expected, Seq(seq), payload, Salt(99));
        }
        assert_eq!(frames, expected);
    }

    proptest! {
        #[test]
        fn a_frame_reads_back_and_any_flipped_bit_is_noticed(
            seq: u64,
            payload in prop::collection::vec(any::<u8>(), 0..200),
            salt: u64,
            at: prop::sample::Index,
            bit in 0..8u32,
        ) {
            let salt = Salt(salt);
            let mut bytes = Vec::new();
            encode_into(&mut bytes, Seq(seq), &payload, salt);
            let header = Header::parse(&bytes, salt).unwrap();
            prop_assert_eq!(header.seq, Seq(seq));
            prop_assert_eq!(header.frame_len(), bytes.len());
            prop_assert!(header.holds(&bytes[HEADER_LEN..], salt));

            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let noticed = Header::parse(&bytes, salt).is_none_or(|h| !h.holds(&bytes[HEADER_LEN..], salt));
            prop_assert!(noticed);
        }

        #[test]
        fn parsing_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64), salt: u64) {
            let _ = Header::parse(&bytes, Salt(salt));
        }
    }
}
