//! What is wanted of X.509 (RFC 5280): when a certificate begins and ends, and its public key, read from its DER without a
//! parser of the rest.

use jiff::civil;
use jiff::tz::TimeZone;
use wan_wire::UnixMillis;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The `notAfter` of a DER certificate; `None` when it is not one.
pub(crate) fn not_after(der: &[u8]) -> Option<UnixMillis> {
    validity(der).map(|(_, not_after)| not_after)
}

/// The `notBefore` and `notAfter` of a DER certificate; `None` when it is not one.
pub(crate) fn validity(der: &[u8]) -> Option<(UnixMillis, UnixMillis)> {
    let (validity, _) = take(from_validity(der)?, SEQUENCE)?;
    let (tag, not_before, rest) = element(validity)?;
    let not_before = time(tag, not_before)?;
    let (tag, not_after, _) = element(rest)?;
    Some((not_before, time(tag, not_after)?))
}

/// The SubjectPublicKeyInfo of a DER certificate, as DER; `None` when it is not one.
pub(crate) fn public_key(der: &[u8]) -> Option<&[u8]> {
    let (_, rest) = take(from_validity(der)?, SEQUENCE)?;
    // subject, subjectPublicKeyInfo
    let (_, rest) = take(rest, SEQUENCE)?;
    let (_, after) = take(rest, SEQUENCE)?;
    rest.get(..rest.len() - after.len())
}

/// The fields of the tbsCertificate from its validity on: validity, subject, subjectPublicKeyInfo, …
fn from_validity(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut fields, _) = take(certificate, SEQUENCE)?;
    // [0] version (absent in v1), serialNumber, signature, issuer
    if fields.first() == Some(&VERSION) {
        fields = take(fields, VERSION)?.1;
    }
    fields = take(fields, INTEGER)?.1;
    fields = take(fields, SEQUENCE)?.1;
    Some(take(fields, SEQUENCE)?.1)
}

fn time(tag: u8, time: &[u8]) -> Option<UnixMillis> {
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            // Years 50 to 99 are of the last century (RFC 5280, 4.1.2.5.1).
            let year: i16 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    if rest.len() != 10 || !rest.is_ascii() {
        return None;
    }
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let time = civil::DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(UnixMillis(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()))
}

/// The content of the first element, which has this tag, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, _, _)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The first element's tag and content, and what follows it. Lengths in the long form have at most four bytes.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let bytes = usize::from(first & 0x7f);
        if bytes == 0 || bytes > 4 || rest.len() < bytes {
            return None;
        }
        let (length, rest) = rest.split_at(bytes);
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    (length <= rest.len()).then(|| {
        let (content, rest) = rest.split_at(length);
        (tag, content, rest)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match u8::try_from(content.len()) {
            Ok(short) if short < 0x80 => out.push(short),
            _ => {
                out.push(0x82);
                out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
            }
        }
        out.extend_from_slice(content);
        out
    }

    fn certificate(version: bool, not_after: Vec<u8>) -> Vec<u8> {
        let mut tbs = Vec::new();
        if version {
            tbs.extend(der(VERSION, &der(INTEGER, &[2])));
        }
        tbs.extend(der(INTEGER, &[0x42; 20]));
        tbs.extend(der(SEQUENCE, &[]));
        tbs.extend(der(SEQUENCE, &[0; 200]));
        tbs.extend(der(SEQUENCE, &[der(UTC_TIME, b"200101000000Z"), not_after].concat()));
        tbs.extend(der(SEQUENCE, &[0; 300]));
        tbs.extend(der(SEQUENCE, &[7; 91]));
        tbs.extend(der(0xa3, &[0; 20]));
        der(SEQUENCE, &der(SEQUENCE, &tbs))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let utc = certificate(true, der(UTC_TIME, b"300102030405Z"));
        assert_eq!(not_after(&utc).unwrap().to_string(), "2030-01-02T03:04:05.000Z");
        let old = certificate(false, der(UTC_TIME, b"991231235959Z"));
        assert_eq!(not_after(&old).unwrap().to_string(), "1999-12-31T23:59:59.000Z");
        let general = certificate(true, der(GENERALIZED_TIME, b"20510102030405Z"));
        assert_eq!(not_after(&general).unwrap().to_string(), "2051-01-02T03:04:05.000Z");
    }

    #[test]
    fn the_key_is_given_with_its_header() {
        let whole = certificate(true, der(UTC_TIME, b"300102030405Z"));
        assert_eq!(public_key(&whole).unwrap(), der(SEQUENCE, &[7; 91]));
        let (begin, end) = validity(&whole).unwrap();
        assert_eq!(begin.to_string(), "2020-01-01T00:00:00.000Z");
        assert_eq!(end.to_string(), "2030-01-02T03:04:05.000Z");
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for time in [&b"301302030405Z"[..], b"300102030405", b"3001020304Z", b"30-102030405Z", b"\xff\xff"] {
            assert_eq!(not_after(&certificate(true, der(UTC_TIME, time))), None, "{time:?}");
        }
        assert_eq!(not_after(&[]), None);
        assert_eq!(not_after(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..600) {
            let (_, _) = (validity(&bytes), public_key(&bytes));
            let whole = certificate(true, der(UTC_TIME, b"300102030405Z"));
            let cut = &whole[..cut.min(whole.len())];
            let (_, _) = (validity(cut), public_key(cut));
        }
    }
}
