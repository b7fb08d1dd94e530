//! A label set in one canonical byte form, and what makes it valid.
//!
//! # The canonical form
//!
//! For each label, in the order sent, the bytes of a field 1 of remote write 1.0's `TimeSeries`: `0A`, length, then `0A`,
//! length, name, then `12`, length, value; every length in its shortest form, both fields always there. Two label lists
//! are equal exactly when these bytes are equal, so a receiver knows a series by them (or by a hash of them) without
//! looking inside. Nearly every 1.0 sender writes exactly this, so in 1.0 the key is a slice of the request.

use std::str;

use crate::names::{Label, Metric};
use crate::protobuf::{put_delimited, put_varint, varint_len};
use crate::protocol::Protocol;

/// The tag of a label in its series, and of a name in its label: field 1, delimited.
const FIRST: u8 = 0x0a;
/// The tag of a value in its label: field 2, delimited.
const SECOND: u8 = 0x12;

/// Why a label set is refused: its series is refused by name, the rest of the request is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The bytes are not the canonical form of any label set.
    #[error("found bytes that are not a label set")]
    NotCanonical,
    /// A name or a value is not UTF-8.
    #[error("label {name:?}: found bytes that are not UTF-8, expected UTF-8")]
    NotUtf8 {
        /// The name, with U+FFFD where it is not UTF-8, cut to a length that can be shown.
        name: String,
    },
    /// There is no `__name__`.
    #[error("found no __name__ label, expected the metric's name")]
    NoMetricName,
    /// A name is empty.
    #[error("found a label with an empty name")]
    EmptyName,
    /// A value is empty: such a label must not be sent.
    #[error("label {name:?}: found an empty value; leave the label out")]
    EmptyValue {
        /// The label's name.
        name: String,
    },
    /// A name has a character that remote write 1.0 does not allow in it.
    #[error(
        "found the label name {name:?}, expected [a-zA-Z_][a-zA-Z0-9_]*; remote write 2.0 allows any UTF-8"
    )]
    InvalidName {
        /// The label's name.
        name: String,
    },
    /// A metric's name has a character that remote write 1.0 does not allow in it.
    #[error(
        "found the metric name {name:?}, expected [a-zA-Z_:][a-zA-Z0-9_:]*; remote write 2.0 allows any UTF-8"
    )]
    InvalidMetricName {
        /// The metric's name.
        name: String,
    },
    /// A name is there twice.
    #[error("label {name:?}: found twice")]
    Repeated {
        /// The label's name.
        name: String,
    },
    /// The names are not in the order of their bytes.
    #[error("found label {second:?} after {first:?}, expected labels sorted by name")]
    Unsorted {
        /// The name that stands first.
        first: String,
        /// The name that stands behind it and sorts before it.
        second: String,
    },
}

/// A valid label set: UTF-8, sorted by name, no name twice, no name or value empty, a `__name__` among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelPairs<'k> {
    key: &'k [u8],
    metric_name: &'k str,
    len: usize,
}

impl<'k> LabelPairs<'k> {
    /// The label set whose canonical form is `key`, as [`Series::key`](crate::Series::key) gives it.
    ///
    /// Remote write 1.0 allows names of the classic character set only; 2.0 allows any UTF-8.
    ///
    /// # Errors
    /// With the first thing in `key` that is against the specification of `protocol`; and when there is no `__name__`,
    /// which the specification only advises, but without which a sample means nothing here.
    pub fn parse(key: &'k [u8], protocol: Protocol) -> Result<LabelPairs<'k>, LabelError> {
        let (mut rest, mut before, mut metric_name, mut len) = (key, None, None, 0);
        while !rest.is_empty() {
            let (name, value) = next_pair(&mut rest).ok_or(LabelError::NotCanonical)?;
            let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) else {
                return Err(LabelError::NotUtf8 { name: shown(&String::from_utf8_lossy(name)) });
            };
            check_pair(name, value, protocol)?;
            check_order(before, name)?;
            if name == Label::Name.as_str() {
                metric_name = Some(value);
            }
            before = Some(name);
            len += 1;
        }
        let metric_name = metric_name.ok_or(LabelError::NoMetricName)?;
        Ok(LabelPairs { key, metric_name, len })
    }

    /// The value of `__name__`.
    #[must_use]
    pub fn metric_name(&self) -> &'k str {
        self.metric_name
    }

    /// The metric, when it is one of Wanwatch's.
    #[must_use]
    pub fn metric(&self) -> Option<Metric> {
        Metric::from_bytes(self.metric_name.as_bytes())
    }

    /// The value of a label, when it is there.
    #[must_use]
    pub fn get(&self, label: Label) -> Option<&'k str> {
        self.iter().find(|(name, _)| *name == label.as_str()).map(|(_, value)| value)
    }

    /// Every label as (name, value), sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'k str, &'k str)> + use<'k> {
        let mut rest = self.key;
        std::iter::from_fn(move || {
            let (name, value) = next_pair(&mut rest)?;
            Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))
        })
    }

    /// How many labels there are; at least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // there is always a `__name__`
    pub fn len(&self) -> usize {
        self.len
    }

    /// The canonical form.
    #[must_use]
    pub fn key(&self) -> &'k [u8] {
        self.key
    }
}

/// `name{label="value",…}`, as Prometheus writes a series; for messages.
impl std::fmt::Display for LabelPairs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.metric_name)?;
        let mut others = self.iter().filter(|(name, _)| *name != Label::Name.as_str()).peekable();
        if others.peek().is_none() {
            return Ok(());
        }
        for (at, (name, value)) in others.enumerate() {
            write!(f, "{}{name}={value:?}", if at == 0 { "{" } else { "," })?;
        }
        f.write_str("}")
    }
}

/// The canonical form of a valid label set, given in any order.
///
/// # Errors
/// As [`LabelPairs::parse`] for remote write 1.0, but for the order.
pub fn canonical_key(labels: &[(&str, &str)]) -> Result<Vec<u8>, LabelError> {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    let mut key = Vec::with_capacity(sorted.iter().map(|(name, value)| name.len() + value.len() + 8).sum());
    for (name, value) in sorted {
        put_pair(&mut key, name.as_bytes(), value.as_bytes());
    }
    LabelPairs::parse(&key, Protocol::V1)?;
    Ok(key)
}

/// Appends to `out` the label set `key`, in canonical form, with the labels of `more` put where their names sort. What `key` has
/// already stays as it is. `more` is sorted by name.
pub fn insert_labels(key: &[u8], more: &[(&str, &str)], out: &mut Vec<u8>) {
    let mut more = more.iter().peekable();
    let (mut rest, mut copied) = (key, 0);
    while more.peek().is_some() {
        let at = key.len() - rest.len();
        let Some((name, _)) = next_pair(&mut rest) else { break };
        while let Some((added, value)) = more.next_if(|(added, _)| added.as_bytes() <= name) {
            if added.as_bytes() != name {
                out.extend_from_slice(key.get(copied..at).unwrap_or_default());
                copied = at;
                put_pair(out, added.as_bytes(), value.as_bytes());
            }
        }
    }
    out.extend_from_slice(key.get(copied..).unwrap_or_default());
    for (added, value) in more {
        put_pair(out, added.as_bytes(), value.as_bytes());
    }
}

/// Appends to `out` the label set `key`, in canonical form, with the labels of `set` in place of its own of these names, or beside them.
/// `set` is sorted by name.
pub fn replace_labels(key: &[u8], set: &[(&str, &str)], out: &mut Vec<u8>) {
    let mut set = set.iter().peekable();
    let mut rest = key;
    while let Some((name, value)) = next_pair(&mut rest) {
        while let Some((given, value)) = set.next_if(|(given, _)| given.as_bytes() < name) {
            put_pair(out, given.as_bytes(), value.as_bytes());
        }
        if set.peek().is_none_or(|(given, _)| given.as_bytes() != name) {
            put_pair(out, name, value);
        }
    }
    for (given, value) in set {
        put_pair(out, given.as_bytes(), value.as_bytes());
    }
}

/// The bytes of the label set `key`, in canonical form, that stand before and behind its `__name__`: equal for all figures of one thing.
#[must_use]
pub fn beside_name(key: &[u8]) -> [&[u8]; 2] {
    let mut rest = key;
    loop {
        let at = key.len() - rest.len();
        match next_pair(&mut rest) {
            Some((name, _)) if name == Label::Name.as_str().as_bytes() => {
                return [key.get(..at).unwrap_or_default(), rest];
            }
            Some(_) => {}
            None => return [key, &[]],
        }
    }
}

/// A series for a message, whether or not its labels are valid: as [`LabelPairs`] shows it, or the beginning of its
/// bytes with U+FFFD in place of what is not UTF-8.
#[must_use]
pub fn describe(key: &[u8]) -> String {
    match LabelPairs::parse(key, Protocol::V2) {
        Ok(pairs) => shown(&pairs.to_string()),
        Err(_) => {
            let mut rest = key;
            let pairs = std::iter::from_fn(|| next_pair(&mut rest)).take(MAX_SHOWN);
            let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let pairs: Vec<_> =
                pairs.map(|(name, value)| format!("{}={:?}", lossy(name), lossy(value))).collect();
            shown(&format!("{{{}}}", pairs.join(",")))
        }
    }
}

/// Appends a label in canonical form.
#[inline]
pub(crate) fn put_pair(key: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let short = |length: usize| u8::try_from(length).ok().filter(|length| *length < 0x80);
    if let Some(pair) = short(name.len() + value.len() + 4)
        && let (Some(name_len), Some(value_len)) = (short(name.len()), short(value.len()))
    {
        // Nearly every label: all lengths are of one byte.
        key.extend_from_slice(&[FIRST, pair, FIRST, name_len]);
        key.extend_from_slice(name);
        key.extend_from_slice(&[SECOND, value_len]);
        key.extend_from_slice(value);
        return;
    }
    key.push(FIRST);
    put_varint(key, pair_len(name.len(), value.len()) as u64);
    put_delimited(key, FIRST, name);
    put_delimited(key, SECOND, value);
}

/// The bytes that [`put_pair`] appends.
pub(crate) fn canonical_len(name: usize, value: usize) -> usize {
    let pair = pair_len(name, value);
    1 + varint_len(pair as u64) + pair
}

/// The first label of `rest`, when it is there in canonical form; `rest` is then behind it, and else as it was.
#[inline]
pub(crate) fn next_pair<'k>(rest: &mut &'k [u8]) -> Option<(&'k [u8], &'k [u8])> {
    let mut after = *rest;
    let mut label = canonical_field(&mut after, FIRST)?;
    let name = canonical_field(&mut label, FIRST)?;
    let value = canonical_field(&mut label, SECOND)?;
    if !label.is_empty() {
        return None;
    }
    *rest = after;
    Some((name, value))
}

#[inline]
fn canonical_field<'k>(rest: &mut &'k [u8], tag: u8) -> Option<&'k [u8]> {
    let [found, length, after @ ..] = *rest else { return None };
    if *found != tag {
        return None;
    }
    let (field, after) = if *length < 0x80 {
        after.split_at_checked(usize::from(*length))?
    } else {
        let mut long = rest.get(1..)?;
        let length = crate::protobuf::varint(&mut long).ok()?;
        if rest.len() - 1 - long.len() != varint_len(length) {
            return None;
        }
        long.split_at_checked(usize::try_from(length).ok()?)?
    };
    *rest = after;
    Some(field)
}

fn pair_len(name: usize, value: usize) -> usize {
    2 + varint_len(name as u64) + name + varint_len(value as u64) + value
}

fn check_pair(name: &str, value: &str, protocol: Protocol) -> Result<(), LabelError> {
    if name.is_empty() {
        return Err(LabelError::EmptyName);
    }
    if value.is_empty() {
        return Err(LabelError::EmptyValue { name: shown(name) });
    }
    match protocol {
        Protocol::V2 => Ok(()),
        Protocol::V1 if !is_classic(name, false) => Err(LabelError::InvalidName { name: shown(name) }),
        Protocol::V1 if name == Label::Name.as_str() && !is_classic(value, true) => {
            Err(LabelError::InvalidMetricName { name: shown(value) })
        }
        Protocol::V1 => Ok(()),
    }
}

fn check_order(before: Option<&str>, name: &str) -> Result<(), LabelError> {
    match before {
        Some(before) if before == name => Err(LabelError::Repeated { name: shown(name) }),
        Some(before) if before > name => {
            Err(LabelError::Unsorted { first: shown(before), second: shown(name) })
        }
        Some(_) | None => Ok(()),
    }
}

fn is_classic(name: &str, colon: bool) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colon && byte == b':');
    name.bytes().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// At most so many characters of a foreign name stand in a message.
const MAX_SHOWN: usize = 200;

fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(labels: &[(&str, &str)]) -> Vec<u8> {
        raw(&labels.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect::<Vec<_>>())
    }

    fn raw(labels: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut key = Vec::new();
        for (name, value) in labels {
            let before = key.len();
            put_pair(&mut key, name, value);
            assert_eq!(key.len() - before, canonical_len(name.len(), value.len()));
        }
        key
    }

    #[test]
    fn the_figures_of_one_thing_have_the_same_labels_beside_their_names() {
        let key = |labels: &[(&str, &str)]| canonical_key(labels).unwrap();
        let beside = |labels: &[(&str, &str)]| beside_name(&key(labels)).concat();
        let (a, b) =
            ([("A", "1"), ("__name__", "x"), ("b", "2")], [("A", "1"), ("__name__", "yy"), ("b", "2")]);
        assert_eq!(beside(&a), beside(&b));
        assert_ne!(beside(&a), beside(&[("A", "1"), ("__name__", "x"), ("b", "3")]));
        assert_eq!(beside(&[("__name__", "x")]), b"");
        assert_eq!(beside_name(b"not canonical"), [&b"not canonical"[..], b""]);
    }

    #[test]
    fn labels_are_put_where_their_names_sort_and_none_is_replaced() {
        let added = [("a", "1"), ("cluster", "x"), ("site", "s"), ("zz", "9")];
        for key in [
            &[("__name__", "up")][..],
            &[("__name__", "up"), ("a", "0"), ("b", "2")],
            &[("A", "big"), ("__name__", "up"), ("cluster", "own"), ("site", "s"), ("t", "3")],
            &[("__name__", "up"), ("zz", "0"), ("zzz", "1")],
        ] {
            let mut expected = key.to_vec();
            expected.extend(added.iter().filter(|(name, _)| key.iter().all(|(own, _)| own != name)));
            let mut out = b"before".to_vec();
            insert_labels(&canonical_key(key).unwrap(), &added, &mut out);
            assert_eq!(out, [b"before".to_vec(), canonical_key(&expected).unwrap()].concat(), "{key:?}");
            out.clear();
            insert_labels(&canonical_key(key).unwrap(), &[], &mut out);
            assert_eq!(out, canonical_key(key).unwrap());
        }
    }

    #[test]
    fn labels_are_put_in_place_of_those_of_the_same_name() {
        let set = [("sender", "prom"), ("site", "s")];
        for key in [
            &[("__name__", "up")][..],
            &[("__name__", "up"), ("site", "other"), ("zone", "1")],
            &[("__name__", "up"), ("sender", "a"), ("site", "b")],
            &[("__name__", "up"), ("sex", "a"), ("sender", "a"), ("site", "b"), ("sitf", "c")],
        ] {
            let mut expected: Vec<_> =
                key.iter().filter(|(own, _)| set.iter().all(|(name, _)| own != name)).copied().collect();
            expected.extend(set);
            let mut out = b"before".to_vec();
            replace_labels(&canonical_key(key).unwrap(), &set, &mut out);
            assert_eq!(out, [b"before".to_vec(), canonical_key(&expected).unwrap()].concat(), "{key:?}");
            out.clear();
            replace_labels(&canonical_key(key).unwrap(), &[], &mut out);
            assert_eq!(out, canonical_key(key).unwrap());
        }
    }

    #[test]
    fn a_valid_set_gives_its_labels_back() {
        let long = "ơ".repeat(5000);
        let labels =
            [("Zone", "z"), ("__name__", "wan_round_sent"), ("link", "wan"), ("target", long.as_str())];
        let key = key(&labels);
        let pairs = LabelPairs::parse(&key, Protocol::V1).unwrap();
        assert!(pairs.iter().eq(labels));
        assert_eq!((pairs.len(), pairs.key()), (4, &key[..]));
        assert_eq!((pairs.metric_name(), pairs.metric()), ("wan_round_sent", Some(Metric::RoundSent)));
        assert_eq!((pairs.get(Label::Link), pairs.get(Label::About)), (Some("wan"), None));
    }

    #[test]
    fn every_refusal() {
        let owned = |text: &str| text.to_owned();
        let name = ("__name__", "up");
        let table = [
            (vec![], Some(LabelError::NoMetricName)),
            (vec![("a", "b")], Some(LabelError::NoMetricName)),
            (vec![("", "b"), name], Some(LabelError::EmptyName)),
            (vec![name, ("a", "")], Some(LabelError::EmptyValue { name: owned("a") })),
            (vec![("__name__", "")], Some(LabelError::EmptyValue { name: owned("__name__") })),
            (vec![name, ("a", "1"), ("a", "1")], Some(LabelError::Repeated { name: owned("a") })),
            (vec![name, name], Some(LabelError::Repeated { name: owned("__name__") })),
            (
                vec![name, ("b", "1"), ("a", "1")],
                Some(LabelError::Unsorted { first: owned("b"), second: owned("a") }),
            ),
            // Sorted by bytes: upper case before the underscore, this before lower case.
            (vec![("Z", "1"), name, ("a", "1")], None),
            (vec![name, ("a", "any\u{0} thing ế")], None),
            (vec![("_0", "1"), ("__name__", "a:b")], None),
        ];
        for (labels, expected) in table {
            for protocol in [Protocol::V1, Protocol::V2] {
                assert_eq!(LabelPairs::parse(&key(&labels), protocol).err(), expected, "{labels:?}");
            }
        }
    }

    #[test]
    fn names_outside_the_classic_set_are_for_2_0_only() {
        let table = [
            (vec![("__name__", "up"), ("a.b", "1")], LabelError::InvalidName { name: "a.b".into() }),
            (vec![("0a", "1"), ("__name__", "up")], LabelError::InvalidName { name: "0a".into() }),
            (vec![("__name__", "up"), ("a:b", "1")], LabelError::InvalidName { name: "a:b".into() }),
            (vec![("__name__", "up"), ("nhãn", "1")], LabelError::InvalidName { name: "nhãn".into() }),
            (
                vec![("__name__", "http.requests")],
                LabelError::InvalidMetricName { name: "http.requests".into() },
            ),
            (vec![("__name__", "0up")], LabelError::InvalidMetricName { name: "0up".into() }),
        ];
        for (labels, expected) in table {
            let key = key(&labels);
            assert_eq!(LabelPairs::parse(&key, Protocol::V1).err(), Some(expected));
            assert!(LabelPairs::parse(&key, Protocol::V2).is_ok(), "{labels:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused_in_names_and_values() {
        for labels in [[(&b"a\xff"[..], &b"1"[..])], [(b"a", b"\xc3\x28")]] {
            let error = LabelPairs::parse(&raw(&labels), Protocol::V2).unwrap_err();
            assert!(matches!(error, LabelError::NotUtf8 { .. }), "{error:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_canonical_are_refused() {
        let good = key(&[("__name__", "up")]);
        for cut in 1..good.len() {
            assert_eq!(LabelPairs::parse(&good[..cut], Protocol::V1), Err(LabelError::NotCanonical));
        }
        let long_length = [0x0a, 0x87, 0x00, 0x0a, 0x01, b'a', 0x12, 0x01, b'b', 0x12, 0x00];
        let reversed = [0x0a, 0x06, 0x12, 0x01, b'b', 0x0a, 0x01, b'a'];
        let no_value = [0x0a, 0x03, 0x0a, 0x01, b'a'];
        for bad in [&long_length[..], &reversed, &no_value] {
            assert_eq!(LabelPairs::parse(bad, Protocol::V1), Err(LabelError::NotCanonical));
        }
    }

    #[test]
    fn a_key_is_made_from_labels_in_any_order_and_only_from_valid_ones() {
        let sorted = key(&[("__name__", "up"), ("a", "1"), ("b", "2")]);
        assert_eq!(canonical_key(&[("b", "2"), ("__name__", "up"), ("a", "1")]).unwrap(), sorted);
        assert!(canonical_key(&[("a", "1")]).is_err());
        assert!(canonical_key(&[("__name__", "up"), ("a", "1"), ("a", "2")]).is_err());
    }

    #[test]
    fn a_series_is_shown_as_prometheus_writes_it_even_when_it_is_invalid() {
        assert_eq!(describe(&key(&[("__name__", "up")])), "up");
        assert_eq!(describe(&key(&[("__name__", "up"), ("a", "x\"y"), ("b", "2")])), r#"up{a="x\"y",b="2"}"#);
        assert_eq!(describe(&key(&[("b", "2"), ("a", "")])), r#"{b="2",a=""}"#);
        assert_eq!(describe(&raw(&[(b"\xff", b"1")])), "{\u{fffd}=\"1\"}");
        assert!(describe(&key(&[("__name__", &"x".repeat(9999))])).len() <= MAX_SHOWN);
    }
}
