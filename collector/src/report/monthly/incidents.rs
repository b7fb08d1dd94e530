//! The longest incidents of the month.

use super::Frame;
use super::words::{self, Words};
use crate::ledger::incident::Incident;
use crate::province::SiteNow;
use crate::report::model::{Cell, Column, Kind, Table};

/// So many are listed.
const LISTED: usize = 100;

/// The longest incidents of those offered.
#[derive(Debug, Default)]
pub(super) struct Longest {
    kept: Vec<(Incident, Vec<Cell>)>,
    offered: usize,
}

impl Longest {
    pub(super) fn offer(&mut self, frame: &Frame<'_>, site: &SiteNow<'_>, incident: Incident) {
        self.offered += 1;
        let least = self.kept.last().map_or(0, |(incident, _)| incident.bad_ms);
        if self.kept.len() >= LISTED && incident.bad_ms <= least {
            return;
        }
        let lang = frame.lang;
        let row = vec![
            Cell::text(site.site.id.as_str()),
            Cell::text(&site.site.name),
            Cell::text(words::incident_kind(incident.kind, lang)),
            Cell::Instant(incident.start),
            if incident.ongoing { Cell::Empty } else { Cell::Instant(incident.end) },
            Cell::Duration(incident.bad_ms),
            Cell::text(incident.cause().name(lang)),
            Cell::text(incident.rule.sentence(lang)),
            Cell::text(incident.scene.evidence(lang)),
        ];
        // Behind those that are as long: sites come in the order of their ids, incidents in that of their start.
        let place = self.kept.partition_point(|(other, _)| other.bad_ms >= incident.bad_ms);
        self.kept.insert(place, (incident, row));
        self.kept.truncate(LISTED);
    }

    pub(super) fn table(self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let listed = self.kept.len();
        let note = match lang {
            crate::lang::Lang::Vi => format!(
                "{listed} sự cố dài nhất trong số {} sự cố của các đơn vị trong kỳ. Để trống ô kết thúc: chưa kết thúc khi hết \
                 kỳ. Thời gian không quan sát được giữa chừng không tính vào thời lượng.",
                self.offered
            ),
            crate::lang::Lang::En => format!(
                "The {listed} longest of {} incidents of sites in the month. No end: it was not over at the end of the time \
                 reported. Time within it that nobody observed is not part of its length.",
                self.offered
            ),
        };
        Table {
            id: "incidents",
            name: lang.pick("Sự cố dài nhất", "Longest incidents"),
            title: lang.pick("Các sự cố dài nhất", "The longest incidents").to_owned(),
            note,
            columns: vec![
                column("site", words::SITE, Kind::Text),
                column("name", words::NAME, Kind::Text),
                column("kind", words::INCIDENT, Kind::Text),
                column("from", words::STARTED, Kind::Instant),
                column("to", words::ENDED, Kind::Instant),
                column("length", words::LENGTH, Kind::Duration),
                column("cause", words::CAUSE, Kind::Text),
                column("rule", words::RULE, Kind::Prose),
                column("evidence", words::EVIDENCE, Kind::Prose),
            ],
            key: &[0, 2, 3],
            rows: self.kept.into_iter().map(|(_, row)| row).collect(),
            chart: None,
        }
    }
}
