//! The HTTP side of remote write, without HTTP: what a request's headers say, and what an answer's headers and status are.

use std::fmt;

use crate::decode::DecodeError;

/// The only content encoding of remote write: snappy's block format (not the framed one).
pub const CONTENT_ENCODING: &str = "snappy";
/// The request header that names the specification's version.
pub const VERSION_HEADER: &str = "x-prometheus-remote-write-version";
/// The response header that counts samples written.
pub const SAMPLES_WRITTEN_HEADER: &str = "x-prometheus-remote-write-samples-written";
/// The response header that counts native histogram samples written.
pub const HISTOGRAMS_WRITTEN_HEADER: &str = "x-prometheus-remote-write-histograms-written";
/// The response header that counts exemplars written.
pub const EXEMPLARS_WRITTEN_HEADER: &str = "x-prometheus-remote-write-exemplars-written";

const MEDIA_TYPE: &str = "application/x-protobuf";
const MESSAGE_V1: &str = "prometheus.WriteRequest";
const MESSAGE_V2: &str = "io.prometheus.write.v2.Request";

/// The version of remote write that a request is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Remote write 1.0: `prometheus.WriteRequest`.
    V1,
    /// Remote write 2.0: `io.prometheus.write.v2.Request`.
    V2,
}

impl Protocol {
    /// What a sender writes as `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Protocol::V1 => "application/x-protobuf",
            Protocol::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// What a sender writes as [`VERSION_HEADER`].
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Protocol::V1 => "0.1.0",
            Protocol::V2 => "2.0.0",
        }
    }

    /// A stable number for storage: 1 or 2.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Protocol::V1 => 1,
            Protocol::V2 => 2,
        }
    }

    /// The protocol whose [`code`](Protocol::code) is `code`.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Protocol> {
        match code {
            1 => Some(Protocol::V1),
            2 => Some(Protocol::V2),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Protocol::V1 => "remote write 1.0",
            Protocol::V2 => "remote write 2.0",
        })
    }
}

/// Why the headers of a request cannot be served: HTTP 415, with this text as the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The content type is not remote write's.
    #[error(
        "content type {found:?} is not supported: send {MEDIA_TYPE}, with proto={MESSAGE_V2} for remote write 2.0"
    )]
    MediaType {
        /// The header as it came, cut to a length that can be shown.
        found: String,
    },
    /// The content type's `proto` parameter names a message that is not known, or is there twice.
    #[error("protobuf message {found:?} is not supported: send proto={MESSAGE_V2} or proto={MESSAGE_V1}")]
    Message {
        /// The parameter's value as it came, cut to a length that can be shown.
        found: String,
    },
    /// The content encoding is not snappy.
    #[error("content encoding {found:?} is not supported: send {CONTENT_ENCODING} (block format)")]
    Encoding {
        /// The header as it came, cut to a length that can be shown.
        found: String,
    },
}

/// Which protocol a request's `Content-Type` and `Content-Encoding` announce.
///
/// Media type, parameter names and encodings are compared without regard to case, as RFC 9110 wants; the message's name
/// is case-sensitive, as protobuf's names are. It may be quoted. Other parameters (`charset`, …) are passed over. A
/// missing `proto` is 1.0. A missing header is what 1.0 senders without care mean by it: 1.0, and snappy.
///
/// # Errors
/// When type, message or encoding is another than these: the specification then asks for 415, and a sender of 2.0 may
/// try again with 1.0.
pub fn negotiate(
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> Result<Protocol, Unsupported> {
    let protocol = content_type.map_or(Ok(Protocol::V1), message_of)?;
    match content_encoding.map(str::trim) {
        None => Ok(protocol),
        Some(encoding) if encoding.eq_ignore_ascii_case(CONTENT_ENCODING) => Ok(protocol),
        Some(encoding) => Err(Unsupported::Encoding { found: shown(encoding) }),
    }
}

/// How many elements of a request were written: what a 2.0 receiver must answer, whatever the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples accepted.
    pub samples: u64,
    /// Native histogram samples accepted.
    pub histograms: u64,
    /// Exemplars accepted.
    pub exemplars: u64,
}

impl Written {
    /// The three response headers: name (lower case) and value.
    #[must_use]
    pub const fn headers(&self) -> [(&'static str, u64); 3] {
        [
            (SAMPLES_WRITTEN_HEADER, self.samples),
            (HISTOGRAMS_WRITTEN_HEADER, self.histograms),
            (EXEMPLARS_WRITTEN_HEADER, self.exemplars),
        ]
    }

    /// What the headers of an answer say, `value_of` giving a header's value by its lower-case name.
    ///
    /// `None` when none of the three is there: after a 2xx to a 2.0 request, the receiver then did not understand it, and
    /// the specification wants this taken as 415. One that is missing or is no number counts as 0.
    pub fn from_headers<'h>(value_of: impl Fn(&str) -> Option<&'h str>) -> Option<Written> {
        let names = [SAMPLES_WRITTEN_HEADER, HISTOGRAMS_WRITTEN_HEADER, EXEMPLARS_WRITTEN_HEADER];
        let values = names.map(value_of);
        if values.iter().all(Option::is_none) {
            return None;
        }
        let [samples, histograms, exemplars] =
            values.map(|value| value.and_then(|value| value.trim().parse().ok()).unwrap_or(0));
        Some(Written { samples, histograms, exemplars })
    }
}

/// Every way to answer a write request. The table of [`status`](Answer::status) is the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// All was accepted and is durable.
    Accepted,
    /// Some samples were refused by name; the rest is durable. Sending again would change nothing.
    PartlyRefused,
    /// The body is no remote write request; nothing of it was kept.
    Malformed,
    /// The secret is missing, unknown or revoked.
    Unauthorized,
    /// The body, or what it unpacks to, is over a limit; a smaller batch may do.
    TooLarge,
    /// The content type, message or encoding is not supported.
    Unsupported,
    /// Too many requests wait; come back after `Retry-After`.
    Busy,
    /// Starting, stopping, or the journal cannot be written.
    Unavailable,
}

impl Answer {
    /// Every answer.
    pub const ALL: [Answer; 8] = [
        Answer::Accepted,
        Answer::PartlyRefused,
        Answer::Malformed,
        Answer::Unauthorized,
        Answer::TooLarge,
        Answer::Unsupported,
        Answer::Busy,
        Answer::Unavailable,
    ];

    /// The HTTP status (RFC 9110, RFC 6585).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Answer::Accepted => 204,
            Answer::PartlyRefused | Answer::Malformed => 400,
            Answer::Unauthorized => 401,
            Answer::TooLarge => 413,
            Answer::Unsupported => 415,
            Answer::Busy => 429,
            Answer::Unavailable => 503,
        }
    }

    /// Whether the same request may succeed later, so that its sender must keep it.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        match self {
            Answer::Busy | Answer::Unavailable => true,
            Answer::Accepted
            | Answer::PartlyRefused
            | Answer::Malformed
            | Answer::Unauthorized
            | Answer::TooLarge
            | Answer::Unsupported => false,
        }
    }
}

impl From<&Unsupported> for Answer {
    fn from(_: &Unsupported) -> Answer {
        Answer::Unsupported
    }
}

impl From<&DecodeError> for Answer {
    fn from(error: &DecodeError) -> Answer {
        error.answer()
    }
}

/// The protocol of a content type: media type, then parameters between semicolons (RFC 9110, section 8.3.1).
fn message_of(content_type: &str) -> Result<Protocol, Unsupported> {
    let (media_type, mut rest) = content_type.split_once(';').unwrap_or((content_type, ""));
    let unsupported = || Unsupported::MediaType { found: shown(content_type) };
    if !media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(unsupported());
    }
    let mut protocol = None;
    while let Some((name, value, after)) = next_parameter(rest).ok_or_else(unsupported)? {
        rest = after;
        if !name.eq_ignore_ascii_case("proto") {
            continue;
        }
        let named = match value.as_str() {
            MESSAGE_V1 => Protocol::V1,
            MESSAGE_V2 => Protocol::V2,
            _ => return Err(Unsupported::Message { found: shown(&value) }),
        };
        if protocol.is_some_and(|before| before != named) {
            return Err(Unsupported::Message { found: shown(content_type) });
        }
        protocol = Some(named);
    }
    Ok(protocol.unwrap_or(Protocol::V1))
}

/// The next `name=value` of a parameter list, and what follows it: `Some(None)` at the end, `None` when the list is
/// broken. A value is a token or a quoted string, in which a backslash quotes the next character.
#[allow(clippy::type_complexity)]
fn next_parameter(list: &str) -> Option<Option<(&str, String, &str)>> {
    let list = list.trim_start_matches([' ', '\t', ';']);
    if list.is_empty() {
        return Some(None);
    }
    let (name, value) = list.split_once('=')?;
    let (name, value) = (name.trim(), value.trim_start());
    if name.is_empty() || name.contains(';') {
        return None;
    }
    let Some(quoted) = value.strip_prefix('"') else {
        let (token, after) = value.split_once(';').unwrap_or((value, ""));
        return Some(Some((name, token.trim_end().to_owned(), after)));
    };
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let after = quoted.get(at + 1..)?.trim_start();
                return (after.is_empty() || after.starts_with(';')).then_some(Some((name, text, after)));
            }
            '\\' => text.push(chars.next()?.1),
            _ => text.push(c),
        }
    }
    None
}

/// At most so many characters of a foreign header stand in an answer.
fn shown(text: &str) -> String {
    const MAX_SHOWN: usize = 100;
    text.chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_type() {
        let v2 = "io.prometheus.write.v2.Request";
        let table = [
            (None, Some(Protocol::V1)),
            (Some("application/x-protobuf"), Some(Protocol::V1)),
            (Some(" Application/X-Protobuf "), Some(Protocol::V1)),
            (Some("application/x-protobuf;"), Some(Protocol::V1)),
            (Some("application/x-protobuf; charset=utf-8"), Some(Protocol::V1)),
            (Some("application/x-protobuf;proto=prometheus.WriteRequest"), Some(Protocol::V1)),
            (Some(Protocol::V1.content_type()), Some(Protocol::V1)),
            (Some(Protocol::V2.content_type()), Some(Protocol::V2)),
            (Some(&format!("application/x-protobuf; proto={v2}")), Some(Protocol::V2)),
            (Some(&format!("application/x-protobuf ;\t PROTO = {v2} ")), Some(Protocol::V2)),
            (Some(&format!("application/x-protobuf;proto=\"{v2}\"")), Some(Protocol::V2)),
            (Some(&format!("application/x-protobuf;proto=\"{v2}\" ; a=b")), Some(Protocol::V2)),
            (Some(&format!("application/x-protobuf;a=\";proto=x\";proto={v2}")), Some(Protocol::V2)),
            (Some(&format!("application/x-protobuf;a=\"\\\"\";proto={v2}")), Some(Protocol::V2)),
            (Some(&format!("application/x-protobuf;proto={v2};proto={v2}")), Some(Protocol::V2)),
            (Some(&format!("application/x-protobuf;proto={v2};proto=prometheus.WriteRequest")), None),
            (Some(&format!("application/x-protobuf;proto={}", v2.to_lowercase())), None),
            (Some(&format!("application/x-protobuf;proto=\"{v2}")), None),
            (Some(&format!("application/x-protobuf;proto=\"{v2}\"x")), None),
            (Some("application/x-protobuf;proto=io.prometheus.write.v3.Request"), None),
            (Some("application/x-protobuf;proto="), None),
            (Some("application/x-protobuf;proto"), None),
            (Some("application/x-protobuf;=x"), None),
            (Some("application/x-protobuf,application/json"), None),
            (Some("application/protobuf"), None),
            (Some("application/json"), None),
            (Some("text/plain"), None),
            (Some(""), None),
        ];
        for (content_type, expected) in table {
            assert_eq!(negotiate(content_type, Some("snappy")).ok(), expected, "{content_type:?}");
        }
    }

    #[test]
    fn every_content_encoding() {
        for good in [None, Some("snappy"), Some("Snappy"), Some(" snappy ")] {
            assert_eq!(negotiate(None, good), Ok(Protocol::V1), "{good:?}");
        }
        for bad in ["", "identity", "gzip", "zstd", "snappy, gzip", "snappy,snappy", "x-snappy-framed"] {
            let error = negotiate(None, Some(bad)).unwrap_err();
            assert_eq!(error, Unsupported::Encoding { found: bad.into() });
            assert!(error.to_string().contains("send snappy"), "{error}");
        }
    }

    #[test]
    fn a_refusal_shows_no_more_than_a_hundred_characters_of_what_came() {
        let error = negotiate(Some(&"ệ".repeat(100_000)), None).unwrap_err().to_string();
        assert!(error.chars().count() < 300 && error.contains("send application/x-protobuf"));
    }

    #[test]
    fn the_whole_table_of_statuses() {
        let table = [204, 400, 400, 401, 413, 415, 429, 503];
        assert_eq!(Answer::ALL.map(Answer::status), table);
        let temporary: Vec<_> = Answer::ALL.into_iter().filter(|answer| answer.is_temporary()).collect();
        assert_eq!(temporary, [Answer::Busy, Answer::Unavailable]);
        for answer in Answer::ALL {
            // A remote write sender keeps the data on exactly these.
            assert_eq!(answer.is_temporary(), answer.status() == 429 || answer.status() >= 500);
        }
    }

    #[test]
    fn written_counts_travel_as_three_headers() {
        let written = Written { samples: 3, histograms: 2, exemplars: 1 };
        let headers = written.headers().map(|(name, value)| (name, value.to_string()));
        let find = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        assert_eq!(Written::from_headers(find), Some(written));
        assert_eq!(Written::from_headers(|_| None), None);
        let one = |name: &str| (name == HISTOGRAMS_WRITTEN_HEADER).then_some("x");
        assert_eq!(Written::from_headers(one), Some(Written::default()));
    }

    #[test]
    fn protocols_have_stable_codes() {
        assert_eq!(Protocol::from_code(Protocol::V1.code()), Some(Protocol::V1));
        assert_eq!(Protocol::from_code(Protocol::V2.code()), Some(Protocol::V2));
        assert_eq!((Protocol::from_code(0), Protocol::from_code(3)), (None, None));
    }
}
