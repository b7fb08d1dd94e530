//! Incidents of sites that were told otherwise before: what was said first, what is said now, and because of what.
//!
//! An incident develops: in its first minutes its kind and cause change with every push that comes. That is news, not a correction. So what
//! counts as said first is what was said once it had been told for [`SETTLED`]; what counts as said now is what was said when the report was
//! made, so that the same report can be made again later. Both come from the restatements that were kept. Between the two, edges that moved
//! by no more than [`NOTED`] are the same.

use std::collections::BTreeMap;
use std::time::Duration;

use wan_wire::UnixMillis;

use super::Frame;
use super::words::{self, Words};
use crate::lang::Lang;
use crate::ledger::incident::NOTED;
use crate::ledger::told::{Because, Gone, IncidentId, Restatement, Told, Word};
use crate::report::model::{Cell, Column, Kind, Table};

/// What is said of an incident while it has been told for less is still developing.
const SETTLED: Duration = Duration::from_secs(600);
/// So many are listed: the newest.
const LISTED: usize = 1000;

/// Incidents that were restated, with what was said of them before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Restated {
    /// Each as it was last told, with its restatements in the order in which they were made.
    pub incidents: Vec<(Told, Vec<Restatement>)>,
    /// There were more, and the oldest are not here.
    pub more: bool,
}

impl Restated {
    /// Puts the restatements, which are in the order in which they were made, beside their incidents.
    #[must_use]
    pub fn of(told: Vec<Told>, restatements: Vec<Restatement>, more: bool) -> Self {
        let mut by_id: BTreeMap<IncidentId, Vec<Restatement>> = BTreeMap::new();
        for restatement in restatements {
            by_id.entry(restatement.id.clone()).or_default().push(restatement);
        }
        let with = |told: Told| {
            let restatements = by_id.remove(&told.id).unwrap_or_default();
            (told, restatements)
        };
        Self { incidents: told.into_iter().map(with).collect(), more }
    }
}

/// What is said in place of what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Now {
    Said(Word),
    Gone(Gone),
}

/// One incident that was corrected.
struct Corrected<'t> {
    told: &'t Told,
    was: Word,
    now: Now,
    at: UnixMillis,
    times: usize,
    because: Because,
}

/// What was said of the incident at an instant; `None`: it was taken back. An end that lay in the future then was not yet given.
fn said(told: &Told, restatements: &[Restatement], at: UnixMillis) -> Option<Word> {
    let behind = restatements.partition_point(|restatement| restatement.at <= at);
    let (before, after) = restatements.split_at(behind);
    if before.last().is_some_and(|last| last.is.is_none()) {
        return None;
    }
    let word = after.first().map_or(told.word, |next| next.was);
    Some(Word { end: word.end.filter(|end| *end <= at), ..word })
}

impl<'t> Corrected<'t> {
    /// Of an incident, in a report that is made at an instant; `None`: nothing that had been said is said otherwise.
    fn of(told: &'t Told, restatements: &[Restatement], made: UnixMillis) -> Option<Self> {
        let settled = told.since.plus(SETTLED);
        let mut known = restatements.iter().filter(|restatement| restatement.at <= made);
        let times = known.clone().filter(|restatement| restatement.at > settled).count();
        let last = known.next_back().filter(|last| last.at > settled)?;
        let was = said(told, restatements, settled)?;
        let now = match (said(told, restatements, made), &told.gone) {
            (Some(word), _) => Now::Said(word),
            // Into which it went is kept of the last time only.
            (None, Some((at, gone))) if *at == last.at => Now::Gone(gone.clone()),
            (None, _) => Now::Gone(Gone::Withdrawn),
        };
        let denied = match &now {
            Now::Said(word) => was.is_denied_by(word, NOTED),
            Now::Gone(_) => true,
        };
        denied.then_some(Self { told, was, now, at: last.at, times, because: last.because })
    }

    /// Whether one of the words is about the time reported.
    fn touches(&self, frame: &Frame<'_>) -> bool {
        let touches = |word: &Word| {
            word.start < frame.window.end && word.end.is_none_or(|end| end > frame.window.start)
        };
        touches(&self.was)
            || match &self.now {
                Now::Said(word) => touches(word),
                Now::Gone(_) => false,
            }
    }

    fn row(&self, frame: &Frame<'_>) -> Vec<Cell> {
        let lang = frame.lang;
        let site = &self.told.subject.site;
        let name = frame.province.register().get(site).map_or("", |site| site.name.as_str());
        let word = |word: &Word| {
            [
                Cell::text(words::incident_kind(word.kind, lang)),
                Cell::Instant(word.start),
                word.end.map_or(Cell::Empty, Cell::Instant),
                Cell::text(word.cause().name(lang)),
            ]
        };
        let mut row = vec![Cell::text(self.told.id.as_str()), Cell::text(site.as_str()), Cell::text(name)];
        row.extend(word(&self.was));
        row.extend(match &self.now {
            Now::Said(now) => word(now),
            Now::Gone(gone) => [Cell::text(is_gone(gone, lang)), Cell::Empty, Cell::Empty, Cell::Empty],
        });
        row.push(Cell::text(self.because.name(lang)));
        row.push(Cell::Instant(self.at));
        row.push(Cell::count(self.times));
        row
    }
}

fn is_gone(gone: &Gone, lang: Lang) -> String {
    match (gone, lang) {
        (Gone::Withdrawn, Lang::Vi) => "Không phải sự cố".to_owned(),
        (Gone::Withdrawn, Lang::En) => "No incident".to_owned(),
        (Gone::Into(id), Lang::Vi) => format!("Thuộc sự cố {id}"),
        (Gone::Into(id), Lang::En) => format!("Part of {id}"),
    }
}

/// The incidents that were corrected, in the order of their start as it was first told.
pub(super) fn table(frame: &Frame<'_>, restated: &Restated) -> Table {
    let lang = frame.lang;
    let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
    let mut found: Vec<Corrected<'_>> = Vec::new();
    for (told, restatements) in &restated.incidents {
        found.extend(Corrected::of(told, restatements, frame.province.now));
    }
    found.retain(|one| one.touches(frame));
    found.sort_by_key(|one| (one.was.start, one.told.id.clone()));
    let all = found.len();
    let listed = found.split_off(all.saturating_sub(LISTED));
    Table {
        id: "restated_incidents",
        name: lang.pick("Sự cố điều chỉnh", "Restated incidents"),
        title: lang
            .pick("Sự cố đã điều chỉnh kết luận", "Incidents that were told otherwise before")
            .to_owned(),
        note: note(lang, all, restated.more),
        columns: vec![
            column("incident", words::INCIDENT_ID, Kind::Text),
            column("site", words::SITE, Kind::Text),
            column("name", words::NAME, Kind::Text),
            column("was_kind", words::WAS_KIND, Kind::Text),
            column("was_from", words::WAS_FROM, Kind::Instant),
            column("was_to", words::WAS_TO, Kind::Instant),
            column("was_cause", words::WAS_CAUSE, Kind::Text),
            column("is_kind", words::IS_KIND, Kind::Text),
            column("is_from", words::IS_FROM, Kind::Instant),
            column("is_to", words::IS_TO, Kind::Instant),
            column("is_cause", words::IS_CAUSE, Kind::Text),
            column("because", words::BECAUSE, Kind::Text),
            column("restated", words::RESTATED, Kind::Instant),
            column("times", words::TIMES, Kind::Count),
        ],
        key: &[0],
        rows: listed.iter().map(|one| one.row(frame)).collect(),
        chart: None,
    }
}

fn note(lang: Lang, all: usize, more: bool) -> String {
    let mut note = lang
        .pick(
            "Sự cố của đơn vị mà kết luận đã công bố nay được sửa vì có bằng chứng đến sau. “Đã báo” là kết luận sau khi sự cố được báo 10 phút, \
             “nay” là kết luận khi lập báo cáo; lý do và thời điểm là của lần sửa cuối. Chỉ ghi khi khác loại, nguyên nhân, hoặc thời điểm bắt đầu, \
             kết thúc đã báo lệch quá một phút. Để trống ô kết thúc: lúc đó chưa kết thúc.",
            "Incidents of sites of which something else had been said before other evidence came. Told: what was said once the incident had been \
             told for ten minutes; now: what is said as this report is made; reason and time are those of the last restatement. Only those are \
             listed whose kind or cause is another, or whose start, or end once given, moved by more than a minute. No end: it was not over then.",
        )
        .to_owned();
    if all > LISTED {
        note.push_str(&match lang {
            Lang::Vi => format!(" Liệt kê {LISTED} sự cố mới nhất trong số {all}."),
            Lang::En => format!(" The newest {LISTED} of {all} are listed."),
        });
    }
    if more {
        note.push_str(lang.pick(
            " Có quá nhiều sự cố được điều chỉnh; các sự cố cũ nhất không được xét.",
            " So many incidents were restated that the oldest were not looked at.",
        ));
    }
    note
}
