//! The collector's journal record: one accepted request as it came.
//!
//! ```text
//! byte 0      format and who sent it: 1 a site's agent, 2 a sender that is no agent
//! byte 1      remote write protocol: 1 or 2
//! byte 2..10  time received, Unix milliseconds, i64 little endian
//! byte 10     length of the name, n
//! 11..11+n    the site, or the sender, that the credential stands for
//! then        the request's body, compressed as it came
//! ```
//!
//! The site is part of the record, since a credential may be revoked later, and evidence once given stays. Whose request it is cannot be asked of
//! the configuration later either: a sender that is no longer there would be read as an agent, and what it was refused would pass.

use wan_wire::{Protocol, SiteId, UnixMillis};

const OF_AGENT: u8 = 1;
const OF_SENDER: u8 = 2;
const FIXED: usize = 11;
/// A record is longer than its body by at most this.
pub const MAX_HEAD: usize = FIXED + wan_wire::id::MAX_ID_BYTES;

/// What kind of credential a request came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// That of a site's agent.
    Agent,
    /// That of a sender of the configuration that is no agent.
    Sender,
}

/// A record's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// What kind of sender sent it.
    pub by: By,
    /// Which: a site, or a sender that is no agent by its name.
    pub site: SiteId,
    /// When it was received.
    pub received: UnixMillis,
    /// Which protocol the body speaks.
    pub protocol: Protocol,
    /// The compressed body.
    pub body: &'a [u8],
}

/// Why a record cannot be read. Its frame was whole (the journal checks that), so it was written by another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Shorter than its fixed part.
    #[error("a record of {0} bytes is too short")]
    Short(usize),
    /// Another format number.
    #[error("record format {0} is not known to this version of wan-collector")]
    Format(u8),
    /// Neither protocol 1 nor 2.
    #[error("remote write protocol {0} is not known")]
    Protocol(u8),
    /// The site's id is no id.
    #[error("the record names no valid site")]
    Site,
}

/// Starts a record, with room for a body of `body` bytes to be appended.
#[must_use]
pub fn start(by: By, site: &SiteId, received: UnixMillis, protocol: Protocol, body: usize) -> Vec<u8> {
    let id = site.as_str().as_bytes();
    let mut record = Vec::with_capacity(FIXED + id.len() + body);
    record.push(match by {
        By::Agent => OF_AGENT,
        By::Sender => OF_SENDER,
    });
    record.push(match protocol {
        Protocol::V1 => 1,
        Protocol::V2 => 2,
    });
    record.extend_from_slice(&received.0.to_le_bytes());
    // A site's id is at most 64 bytes (wan-wire), so its length fits a byte.
    record.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
    record.extend_from_slice(id);
    record
}

/// Where a record's body begins.
#[must_use]
pub fn body_offset(site: &SiteId) -> usize {
    FIXED + site.as_str().len()
}

/// Reads a record.
///
/// # Errors
/// [`RecordError`] when another version of the collector wrote it.
pub fn parse(record: &[u8]) -> Result<Record<'_>, RecordError> {
    let Some((fixed, rest)) = record.split_first_chunk::<FIXED>() else {
        return Err(RecordError::Short(record.len()));
    };
    let [format, protocol, t0, t1, t2, t3, t4, t5, t6, t7, length] = *fixed;
    let by = match format {
        OF_AGENT => By::Agent,
        OF_SENDER => By::Sender,
        other => return Err(RecordError::Format(other)),
    };
    let protocol = match protocol {
        1 => Protocol::V1,
        2 => Protocol::V2,
        other => return Err(RecordError::Protocol(other)),
    };
    let (site, body) = rest.split_at_checked(usize::from(length)).ok_or(RecordError::Short(record.len()))?;
    let site = std::str::from_utf8(site).ok().and_then(|id| id.parse().ok()).ok_or(RecordError::Site)?;
    let received = UnixMillis(i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
    Ok(Record { by, site, received, protocol, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let site: SiteId = "ubnd-xa-tan-ha".parse().unwrap();
        for by in [By::Agent, By::Sender] {
            let mut bytes = start(by, &site, UnixMillis(-5), Protocol::V2, 3);
            assert_eq!(bytes.len(), body_offset(&site));
            bytes.extend_from_slice(b"abc");
            let (site, received) = (site.clone(), UnixMillis(-5));
            let expected = Record { by, site, received, protocol: Protocol::V2, body: b"abc" };
            assert_eq!(parse(&bytes), Ok(expected));
        }
    }

    #[test]
    fn every_truncation_is_refused_or_reads_as_a_shorter_body() {
        let site: SiteId = "a-1".parse().unwrap();
        let mut bytes = start(By::Agent, &site, UnixMillis(7), Protocol::V1, 2);
        bytes.extend_from_slice(b"xy");
        for end in 0..body_offset(&site) {
            assert!(parse(&bytes[..end]).is_err(), "{end} bytes");
        }
        assert_eq!(parse(&bytes[..bytes.len() - 1]).unwrap().body, b"x");
    }

    #[test]
    fn another_format_or_protocol_is_named() {
        let site: SiteId = "a".parse().unwrap();
        let mut bytes = start(By::Agent, &site, UnixMillis(7), Protocol::V1, 0);
        bytes[0] = 9;
        assert_eq!(parse(&bytes), Err(RecordError::Format(9)));
        bytes[0] = 1;
        bytes[1] = 3;
        assert_eq!(parse(&bytes), Err(RecordError::Protocol(3)));
    }
}
