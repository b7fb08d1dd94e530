//! The planned windows of the month: what, for whom, how much of the month, who entered it, when and why.

use super::words::{self, Words};
use super::{Frame, sites};
use crate::calendar::Days;
use crate::lang::Lang;
use crate::ledger::periods::Period;
use crate::ledger::timeline::Window;
use crate::planned::{PlannedWindow, Scope};
use crate::report::model::{Cell, Column, Kind, Table};

const DAY_MS: i64 = 86_400_000;
/// So many are listed: those that begin last.
const LISTED: usize = 1000;

/// A window, and its occurrences in the month.
struct Work<'w> {
    planned: &'w PlannedWindow,
    times: Vec<Period>,
}

impl Work<'_> {
    fn row(&self, frame: &Frame<'_>) -> Vec<Cell> {
        let work = &self.planned.work;
        let within = self.times.iter().map(|time| frame.window.within(time.start, time.end).millis());
        let instant = |time: Option<&Period>, of: fn(&Period) -> wan_wire::UnixMillis| {
            time.map_or(Cell::Empty, |time| Cell::Instant(of(time)))
        };
        vec![
            Cell::Count(self.planned.id.0),
            Cell::text(for_whom(frame, &work.scope)),
            Cell::text(work.when.sentence(frame.lang)),
            Cell::count(self.times.len()),
            instant(self.times.first(), |time| time.start),
            instant(self.times.last(), |time| time.end),
            Cell::Duration(within.sum()),
            Cell::text(work.reason.as_str()),
            Cell::text(work.by.as_str()),
            Cell::Instant(work.added),
            self.planned.removed.as_ref().map_or(Cell::Empty, |removal| Cell::Instant(removal.at)),
        ]
    }
}

/// For whom, with the names that people know.
fn for_whom(frame: &Frame<'_>, scope: &Scope) -> String {
    let lang = frame.lang;
    let site = |id| {
        let known = frame.province.register().get(id);
        known.map_or_else(|| format!("{id}"), |site| format!("{} ({id})", site.name))
    };
    let whom = |vi, en, of: String| format!("{} {of}", lang.pick(vi, en));
    match scope {
        Scope::All => words::WHOLE.in_lang(lang).to_owned(),
        Scope::Site(id) => site(id),
        Scope::Subtree(id) => format!("{} {}", site(id), lang.pick("và tuyến dưới", "and all below it")),
        Scope::Tier(id) => whom("Các đơn vị:", "Sites of tier", sites::tier_name(frame, id.as_str())),
        Scope::District(name) => whom("Địa bàn", "District", name.clone()),
        Scope::Carrier(name) => whom("Đường truyền của", "Links of", name.clone()),
    }
}

/// The windows that cover time of the month, in the order of their first time in it.
pub(super) fn table(frame: &Frame<'_>) -> Table {
    let lang = frame.lang;
    let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
    // One more: an occurrence that begins on the last day may reach over midnight.
    let days = Days::of(Window::new(frame.window.start, frame.window.end.plus_millis(DAY_MS)), frame.zone());
    let calendar = &frame.province.config().calendar;
    let all = frame.province.planned_windows().iter();
    let all = all.map(|planned| Work { planned, times: planned.times(&days, frame.window, calendar) });
    let mut works: Vec<Work<'_>> = all.filter(|work| !work.times.is_empty()).collect();
    works.sort_by_key(|work| (work.times.first().map(|time| time.start), work.planned.id));
    let all = works.len();
    let listed = works.split_off(all.saturating_sub(LISTED));
    let mut note = lang
        .pick(
            "Kế hoạch có thời gian trong kỳ, theo thời điểm bắt đầu; lịch lặp lại ghi một dòng. Bắt đầu và kết thúc là của lần đầu và lần cuối \
             chạm vào kỳ. Nhập sau khi bắt đầu cũng được tính; kế hoạch đã hủy bỏ như nhập nhầm thì không ghi.",
            "The planned windows that cover time of the month, by their start; one that recurs is one row. From and to are those of the first and \
             the last time that touches the month. One that was entered after the fact counts as well; one that was made void as a mistake is not \
             here.",
        )
        .to_owned();
    if all > LISTED {
        note.push_str(&match lang {
            Lang::Vi => format!(" Liệt kê {LISTED} kế hoạch bắt đầu muộn nhất trong số {all}."),
            Lang::En => format!(" The {LISTED} of {all} that begin last are listed."),
        });
    }
    Table {
        id: "planned",
        name: lang.pick("Kế hoạch trong kỳ", "Planned windows"),
        title: lang.pick("Bảo trì, cắt điện và công việc có kế hoạch", "Planned work").to_owned(),
        note,
        columns: vec![
            column("window", words::WINDOW, Kind::Count),
            column("scope", words::FOR_WHOM, Kind::Text),
            column("when", words::WHEN, Kind::Text),
            column("times", words::OCCURRENCES, Kind::Count),
            column("from", words::STARTED, Kind::Instant),
            column("to", words::ENDED, Kind::Instant),
            column("within", words::WITHIN, Kind::Duration),
            column("reason", words::REASON, Kind::Prose),
            column("by", words::ENTERED_BY, Kind::Text),
            column("added", words::ENTERED_AT, Kind::Instant),
            column("removed", words::CUT_SHORT, Kind::Instant),
        ],
        key: &[0],
        rows: listed.iter().map(|work| work.row(frame)).collect(),
        chart: None,
    }
}
