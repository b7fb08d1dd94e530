//! What an answer of a store means. Pure: the whole table.
//!
//! | answer | action |
//! | --- | --- |
//! | 2xx, to 1.0 | taken |
//! | 2xx, to 2.0, with one of the headers that count what was written | taken |
//! | 2xx, to 2.0, without them; 415 to 2.0 | the same as 1.0, where the configuration leaves the choice; the specification asks for it |
//! | 400, 409, 422, to 2.0, that counts something written | taken in part: the rest is refused for good |
//! | 400, 409, 422 | refused for good: something in it is at fault |
//! | 413 | too large |
//! | 500 that names one of Prometheus' reasons to refuse a sample | as 400: Prometheus before 2.50 says so of samples that are too old |
//! | 408, 425, 429, other 5xx | later, not before `Retry-After` |
//! | any other: 401, 403, 404, 405, 3xx, 415 to 1.0, … | later: what is at fault is the address, the login or a proxy, and no sample |
//!
//! A store that cannot be reached, or does not answer in time, is one more "later". What a status of the last row says will stay so until somebody
//! changes something; until then samples wait in the journal, where no mistake of a configuration can lose them.

use wan_wire::{Protocol, Written};

/// Why a store refused samples, as far as its answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Older than what it has of the series, and older than its window for that.
    OutOfOrder,
    /// It has another value of the series at that time.
    Duplicate,
    /// Older or newer than it takes at all.
    OutOfBounds,
    /// A single sample that is too large.
    TooLarge,
    /// Not said, or something else: a limit of labels, say.
    Other,
    /// It failed on it time and again, while it took others.
    Failed,
    /// Native histograms are not forwarded.
    Histogram,
    /// Nor are exemplars.
    Exemplar,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OutOfOrder,
        Self::Duplicate,
        Self::OutOfBounds,
        Self::TooLarge,
        Self::Other,
        Self::Failed,
        Self::Histogram,
        Self::Exemplar,
    ];

    /// The word for it in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate",
            Self::OutOfBounds => "out_of_bounds",
            Self::TooLarge => "too_large",
            Self::Other => "other",
            Self::Failed => "failed",
            Self::Histogram => "histogram",
            Self::Exemplar => "exemplar",
        }
    }

    /// What an answer's text says. The words are those of Prometheus' storage, which Thanos, Mimir and Cortex have as well.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["out of order", "out-of-order"]) {
            Self::OutOfOrder
        } else if says(&["duplicate sample", "new value for"]) {
            Self::Duplicate
        } else if says(&["out of bounds", "too old", "too far in"]) {
            Self::OutOfBounds
        } else {
            Self::Other
        }
    }
}

/// What to do about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// All of it is done with.
    Taken,
    /// So many of its samples were written, the others are refused for good.
    TakenInPart(u64, Reason),
    /// The store does not speak 2.0: the same as 1.0.
    Downgrade,
    /// Something in it is refused for good.
    Refused(Reason),
    /// It is too large.
    TooLarge,
    /// The same again, later.
    Later,
}

/// What to do after an answer with this status, counts of what was written, and beginning of its text, to a request of `protocol`, with `samples`
/// samples; `choice` is whether another protocol may be spoken.
#[must_use]
pub fn action(
    status: u16,
    written: Option<Written>,
    text: &str,
    protocol: Protocol,
    samples: u64,
    choice: bool,
) -> Action {
    let is_v2 = protocol == Protocol::V2;
    match status {
        200..=299 if is_v2 && choice && written.is_none() => Action::Downgrade,
        200..=299 => Action::Taken,
        400 | 409 | 422 => match written.filter(|_| is_v2).map(|written| written.samples) {
            Some(written) if written > 0 => Action::TakenInPart(written.min(samples), Reason::of(text)),
            Some(_) | None => Action::Refused(Reason::of(text)),
        },
        413 => Action::TooLarge,
        415 if is_v2 && choice => Action::Downgrade,
        500 => match Reason::of(text) {
            reason @ (Reason::OutOfOrder | Reason::Duplicate | Reason::OutOfBounds) => {
                Action::Refused(reason)
            }
            Reason::TooLarge | Reason::Other | Reason::Failed | Reason::Histogram | Reason::Exemplar => {
                Action::Later
            }
        },
        _ => Action::Later,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: Option<Written> = Some(Written { samples: 3, histograms: 0, exemplars: 0 });
    const NONE_WRITTEN: Option<Written> = Some(Written { samples: 0, histograms: 0, exemplars: 0 });

    #[test]
    fn every_status_has_its_action() {
        for status in 0..=1000_u16 {
            for written in [None, WRITTEN, NONE_WRITTEN] {
                for choice in [false, true] {
                    let of = |protocol| action(status, written, "no", protocol, 5, choice);
                    let expected = match status {
                        200..=299 => Action::Taken,
                        400 | 409 | 422 => Action::Refused(Reason::Other),
                        413 => Action::TooLarge,
                        _ => Action::Later,
                    };
                    assert_eq!(of(Protocol::V1), expected, "{status} to 1.0");
                    let expected = match (status, written == WRITTEN) {
                        (200..=299, _) if choice && written.is_none() => Action::Downgrade,
                        (415, _) if choice => Action::Downgrade,
                        (400 | 409 | 422, true) => Action::TakenInPart(3, Reason::Other),
                        _ => expected,
                    };
                    assert_eq!(of(Protocol::V2), expected, "{status} to 2.0, {written:?}, {choice}");
                }
            }
        }
    }

    #[test]
    fn a_store_that_counts_more_than_was_sent_has_all() {
        let action =
            action(400, Some(Written { samples: 99, ..Written::default() }), "", Protocol::V2, 5, true);
        assert_eq!(action, Action::TakenInPart(5, Reason::Other));
    }

    #[test]
    fn reasons_are_told_apart_by_the_words_of_prometheus() {
        for (text, reason) in [
            ("out of order sample", Reason::OutOfOrder),
            ("user=1: err-mimir-sample-out-of-order. The sample …", Reason::OutOfOrder),
            ("duplicate sample for timestamp", Reason::Duplicate),
            ("out of bounds", Reason::OutOfBounds),
            ("too old sample", Reason::OutOfBounds),
            ("label name \"\" is invalid", Reason::Other),
            ("", Reason::Other),
            ("\u{fffd}\0", Reason::Other),
        ] {
            assert_eq!(Reason::of(text), reason, "{text}");
        }
    }

    #[test]
    fn a_500_that_names_a_sample_refuses_it_and_any_other_does_not() {
        let of = |text| action(500, None, text, Protocol::V1, 5, true);
        assert_eq!(of("too old sample\n"), Action::Refused(Reason::OutOfBounds));
        assert_eq!(of("out of order sample\n"), Action::Refused(Reason::OutOfOrder));
        assert_eq!(of("write to WAL: no space left on device"), Action::Later);
        assert_eq!(of(""), Action::Later);
    }

    #[test]
    fn words_for_labels_are_each_there_once() {
        let words: std::collections::BTreeSet<_> = Reason::ALL.map(Reason::as_str).into_iter().collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
