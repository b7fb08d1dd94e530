//! Figures that were reported before: a closed month's first report is remembered, and a later one says what is different and since when.

use std::collections::BTreeMap;

use wan_wire::{SiteId, UnixMillis};

use super::words::{self, Words};
use super::{Frame, contracts, sites};
use crate::lang::Lang;
use crate::report::contract::Account;
use crate::report::model::{Cell, Column, Kind, Table};
use crate::report::quality::Tally;
use crate::report::uptime::Uptime;

/// Of what a key figure is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The coverage of all sites, of a tier, or of a branch in it.
    Coverage {
        /// The tier's id.
        tier: Option<String>,
        /// The branch's id.
        branch: Option<String>,
    },
    /// A site.
    Site(SiteId),
    /// A contract, by its id.
    Contract(String),
}

/// A key figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// The share of sites that have an agent, at the end.
    Equipped,
    /// Uptime: a site's, or the one charged to a contract.
    Uptime,
    /// The low bound.
    Low,
    /// The high bound.
    High,
    /// The observed share.
    Observed,
    /// Milliseconds down.
    Down,
    /// Milliseconds charged to a carrier.
    Charged,
    /// A contract's mean round-trip time in milliseconds.
    Rtt,
    /// A contract's share of lost packets.
    Loss,
}

impl Figure {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Equipped,
        Self::Uptime,
        Self::Low,
        Self::High,
        Self::Observed,
        Self::Down,
        Self::Charged,
        Self::Rtt,
        Self::Loss,
    ];

    /// The word for it in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equipped => "equipped_share",
            Self::Uptime => "uptime",
            Self::Low => "low",
            Self::High => "high",
            Self::Observed => "observed_share",
            Self::Down => "down_ms",
            Self::Charged => "charged_ms",
            Self::Rtt => "rtt_mean_ms",
            Self::Loss => "loss",
        }
    }

    const fn words(self) -> Words {
        match self {
            Self::Equipped => words::EQUIPPED,
            Self::Uptime => words::UPTIME,
            Self::Low => words::LOW,
            Self::High => words::HIGH,
            Self::Observed => words::OBSERVED,
            Self::Down => words::DOWN,
            Self::Charged => words::CHARGED,
            Self::Rtt => words::RTT_MEAN,
            Self::Loss => words::LOSS_WHILE_UP,
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "whole milliseconds of a month")]
    fn cell(self, value: f64) -> Cell {
        match self {
            Self::Equipped | Self::Uptime | Self::Low | Self::High | Self::Observed | Self::Loss => {
                Cell::Share(value)
            }
            Self::Rtt => Cell::Number(value),
            Self::Down | Self::Charged => Cell::Duration(value as i64),
        }
    }
}

impl Subject {
    /// As it is stored: `coverage`, `coverage/commune/state`, `site/xa-a`, `contract/HD-01`.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Coverage { tier, branch } => {
                let parts = ["coverage"].into_iter().chain(tier.as_deref()).chain(branch.as_deref());
                parts.collect::<Vec<_>>().join("/")
            }
            Self::Site(id) => format!("site/{id}"),
            Self::Contract(id) => format!("contract/{id}"),
        }
    }

    /// Reads what was stored; `None`: it is of a later version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
        match kind {
            "coverage" => {
                let mut parts = rest.split('/').filter(|part| !part.is_empty()).map(str::to_owned);
                Some(Self::Coverage { tier: parts.next(), branch: parts.next() })
            }
            "site" => rest.parse().ok().map(Self::Site),
            "contract" => Some(Self::Contract(rest.to_owned())),
            _ => None,
        }
    }
}

/// Key figures of a report: by subject and figure. What is not defined is not in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyFigures(pub BTreeMap<(String, Figure), f64>);

/// What was first reported of a closed month.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstReport {
    /// When that was.
    pub at: UnixMillis,
    /// The figures.
    pub figures: KeyFigures,
}

impl KeyFigures {
    pub(super) fn set(&mut self, subject: &Subject, figure: Figure, value: Option<f64>) {
        if let Some(value) = value {
            self.0.insert((subject.to_text(), figure), value);
        }
    }

    pub(super) fn uptime(&mut self, subject: &Subject, uptime: &Uptime) {
        self.set(subject, Figure::Uptime, uptime.uptime);
        self.set(subject, Figure::Low, uptime.low);
        self.set(subject, Figure::High, uptime.high);
        self.set(subject, Figure::Observed, uptime.observed_share);
        self.set(subject, Figure::Down, Some(millis(uptime.durations.down_ms)));
    }

    pub(super) fn account(&mut self, subject: &Subject, account: &Account) {
        self.set(subject, Figure::Uptime, account.uptime());
        self.set(subject, Figure::Low, account.low());
        self.set(subject, Figure::High, account.high());
        self.set(subject, Figure::Charged, Some(millis(account.charged_ms)));
    }

    pub(super) fn quality(&mut self, subject: &Subject, tally: &Tally) {
        self.set(subject, Figure::Rtt, tally.rtt_mean().map(|seconds| seconds * 1000.0));
        self.set(subject, Figure::Loss, tally.loss());
    }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of a month")]
const fn millis(millis: i64) -> f64 {
    millis as f64
}

/// What is said now otherwise than first; `None`: nothing.
pub(super) fn table(frame: &Frame<'_>, first: &FirstReport, now: &KeyFigures) -> Option<Table> {
    let lang = frame.lang;
    let keys: std::collections::BTreeSet<_> = first.figures.0.keys().chain(now.0.keys()).collect();
    let row = |key: &(String, Figure)| {
        let (was, is) = (first.figures.0.get(key), now.0.get(key));
        if was == is {
            return None;
        }
        let (subject, figure) = key;
        let cell = |value: Option<&f64>| value.map_or(Cell::Empty, |value| figure.cell(*value)).mixed();
        Some(vec![
            Cell::text(name(frame, subject)),
            Cell::text(figure.words().in_lang(lang)),
            cell(was),
            cell(is),
            Cell::Instant(first.at),
        ])
    };
    let rows: Vec<_> = keys.into_iter().filter_map(row).collect();
    let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
    (!rows.is_empty()).then(|| Table {
        id: "restated",
        name: lang.pick("Số liệu điều chỉnh", "Restated since"),
        title: lang.pick("Số liệu điều chỉnh so với lần báo cáo đầu tiên", "Restated since the first report").to_owned(),
        note: lang
            .pick(
                "Số liệu gửi bù đến sau hoặc kế hoạch nhập sau làm thay đổi kết quả đã báo cáo. Cả hai giá trị được ghi lại ở đây.",
                "Late evidence, or planned work entered afterwards, has changed what was reported. Both values are told here.",
            )
            .to_owned(),
        columns: vec![
            column("subject", words::SUBJECT, Kind::Text),
            column("figure", words::FIGURE, Kind::Text),
            column("was", words::SAID, Kind::Mixed),
            column("is", words::SAYS, Kind::Mixed),
            column("first_reported", words::SINCE, Kind::Instant),
        ],
        key: &[0, 1],
        rows,
        chart: None,
    })
}

/// The subject as people know it.
fn name(frame: &Frame<'_>, text: &str) -> String {
    let lang = frame.lang;
    match Subject::parse(text) {
        Some(Subject::Coverage { tier: None, .. }) => {
            format!("{}: {}", coverage(lang), words::WHOLE.in_lang(lang))
        }
        Some(Subject::Coverage { tier: Some(tier), branch }) => {
            let branch = branch.map(|branch| format!(" – {}", sites::branch_name(frame, &branch)));
            format!("{}: {}{}", coverage(lang), sites::tier_name(frame, &tier), branch.unwrap_or_default())
        }
        Some(Subject::Site(id)) => match frame.province.register().get(&id) {
            Some(site) => format!("{} ({id})", site.name),
            None => id.to_string(),
        },
        Some(Subject::Contract(id)) => {
            format!("{} {}", words::CONTRACT.in_lang(lang), contracts::shown_id(&id, frame))
        }
        None => text.to_owned(),
    }
}

const fn coverage(lang: Lang) -> &'static str {
    lang.pick("Độ phủ", "Coverage")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_read_back_from_what_is_stored() {
        let coverage = |tier: Option<&str>, branch: Option<&str>| Subject::Coverage {
            tier: tier.map(str::to_owned),
            branch: branch.map(str::to_owned),
        };
        let subjects = [
            coverage(None, None),
            coverage(Some("commune"), None),
            coverage(Some("commune"), Some("party")),
            Subject::Site("xa-a".parse().unwrap()),
            Subject::Contract("HD/2026/01".to_owned()),
            Subject::Contract(String::new()),
        ];
        for subject in subjects {
            assert_eq!(Subject::parse(&subject.to_text()), Some(subject));
        }
        assert_eq!(Subject::parse("planet/earth"), None);
    }
}
