//! The contract between Wanwatch's agents and its collector: what travels, under which names, and what it means.
//!
//! Everything here is pure. There is no async, no I/O, no clock and no configuration; so both sides, their tests and
//! the fuzzer run the same code.
//!
//! # What travels
//!
//! The wire is Prometheus remote write, [2.0][rw2] and [1.0][rw1], as snappy-compressed protobuf. An agent can therefore
//! feed any Prometheus-compatible store, and Prometheus, vmagent, Telegraf or Alloy can feed the collector. Samples are
//! keyed by (series, time), so sending one twice is harmless.
//!
//! A request is built by [`RequestBuilder`] and read by [`Decoder`]. One probing of one target is a [`Round`]; it
//! travels as up to eight series with one time, and [`RoundAssembler`] puts it together again. [`classify`] says what a
//! round showed.
//!
//! | module | holds |
//! | --- | --- |
//! | [`names`] | every metric and label name, once |
//! | [`id`] | site ids, link names, link kinds, probe kinds |
//! | [`time`] | Unix milliseconds |
//! | [`outcome`] | fault, down, degraded, up, and the rule that decides |
//! | [`protocol`] | content types and encodings, response headers, the status table |
//! | [`limits`] | every limit of a request, with its reason; decompression within them |
//! | [`api`] | paths, headers and messages between agent and collector beside remote write |
//! | [`decode`] | the zero-copy walk of a request, and the proof that it stays within bounds |
//! | [`labels`] | the canonical byte form of a label set, and its validation |
//! | [`encode`] | the deterministic encoder |
//! | [`round`] | a round as samples, and samples as rounds |
//! | [`secret`] | the text of secrets and one-time tokens |
//!
//! # What is accepted, what is refused
//!
//! "Series" means: this series is refused by name and the rest of the request is kept. "Request" means: nothing of it is
//! kept. The status is what the collector answers.
//!
//! | case | decision | status |
//! | --- | --- | --- |
//! | content type `application/x-protobuf`, with or without `proto=` of a known message | accepted | 204 |
//! | no content type, no content encoding (old 1.0 senders) | taken as 1.0 and snappy, as Prometheus does | 204 |
//! | any other media type, message or encoding, `identity` among them | request | 415 |
//! | body that is not snappy or not protobuf; groups; a known field with a wrong wire type | request | 400 |
//! | body or request over its limit; too many series, samples or symbols | request | 413 |
//! | 2.0: no symbol table, or its first entry is not empty | request | 400 |
//! | a 2.0 message sent as 1.0 with nothing in it that 1.0 knows | request | 400 |
//! | 2.0: reference past the symbol table, odd count of references | series | 400 |
//! | too many labels in a series, labels too long | series | 400 |
//! | label names unsorted, repeated or empty; empty value; not UTF-8; no `__name__` | series | 400 |
//! | names outside the classic character set | 1.0: series; 2.0 allows any UTF-8 | 400; 204 |
//! | samples out of order, or twice, within a series | accepted: evidence merges in any order | 204 |
//! | NaN, ±Inf, stale markers, any time from `i64::MIN` to `i64::MAX` | decoded; judged by what the series means | |
//! | stale marker of a `wan_round_*` series | accepted, gives no evidence | 204 |
//! | other NaN, or any impossible figure, in a round | the round, by name ([`RoundError`]) | 400 |
//! | native histograms, exemplars, metadata, start times | accepted and counted, not opened, no evidence | 204 |
//! | series with neither samples nor histograms | accepted, nothing written | 204 |
//! | unknown fields of known wire types | skipped | 204 |
//!
//! [rw1]: https://prometheus.io/docs/specs/prw/remote_write_spec/
//! [rw2]: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/

pub mod api;
pub mod decode;
pub mod encode;
pub mod id;
pub mod labels;
pub mod limits;
pub mod names;
pub mod outcome;
pub mod protocol;
pub mod reference;
pub mod round;
pub mod secret;
pub mod time;

mod protobuf;

pub use decode::{DecodeError, Decoder, Sample, Scratch, Series, SeriesError, is_stale_marker};
pub use encode::{EncodeError, KeyedSeries, RequestBuilder, encode_keyed};
pub use id::{IdError, LinkKind, LinkName, ProbeKind, SiteId};
pub use labels::{LabelError, LabelPairs};
pub use limits::{Limits, decompress};
pub use names::{Label, Metric, MetricType, Source};
pub use outcome::{Outcome, OutcomeRule, RoundFacts, Rtt, classify};
pub use protocol::{Answer, Protocol, Unsupported, Written, negotiate};
pub use round::{AssembledRound, Assembly, RefusedRound, Round, RoundAssembler, RoundError};
pub use time::UnixMillis;
