//! How well each link carried packets, beside what its contract promises of that.

use std::collections::BTreeMap;

use wan_wire::{LinkName, SiteId, UnixMillis};

use super::Frame;
use super::words::{self, Words};
use crate::lang::Lang;
use crate::province::SiteNow;
use crate::report::coverage::Standing;
use crate::report::model::{Cell, Column, Kind, Table};
use crate::report::quality::{Limit, Limits, Run, Tally, against};
use crate::report::render::text;

/// How a link under a contract stands against what is promised of quality.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Promise {
    /// What is promised.
    pub(super) limits: Limits,
    /// What was measured in the hours that count.
    pub(super) tally: Tally,
}

impl Promise {
    pub(super) fn standing(&self, limit: Limit) -> Option<Standing> {
        against(self.tally.figure(limit), self.limits.get(limit))
    }

    pub(super) const fn promises(&self, limit: Limit) -> bool {
        self.limits.get(limit).is_some()
    }

    /// What is promised, what was measured, and how the one stands against the other.
    pub(super) fn cells(&self, limit: Limit, lang: Lang) -> [Cell; 3] {
        let figure = |figure: Option<f64>| match limit {
            Limit::Rtt => millis(figure),
            Limit::Loss => Cell::share(figure),
        };
        let standing = match (self.limits.get(limit), self.standing(limit)) {
            (None, _) => "",
            (Some(_), None) => words::NOT_MEASURED.in_lang(lang),
            (Some(_), Some(standing)) => words::standing(standing, lang),
        };
        [figure(self.limits.get(limit)), figure(self.tally.figure(limit)), Cell::text(standing)]
    }
}

/// Seconds as milliseconds.
fn millis(seconds: Option<f64>) -> Cell {
    seconds.map_or(Cell::Empty, |seconds| Cell::Number(seconds * 1000.0))
}

/// The row of a link; `None`: nobody measured it.
pub(super) fn row(frame: &Frame<'_>, site: &SiteNow<'_>, link: &LinkName) -> Option<Vec<Cell>> {
    let quality = frame.quality.link(&site.site.id, link)?;
    let figures = &quality.figures;
    let mut row = super::sites::named_link(frame, site, link).to_vec();
    row.extend([
        Cell::Count(i64::from(quality.hours)),
        Cell::share(figures.loss),
        Cell::share(figures.loss_while_up),
        millis(figures.rtt_mean),
        millis(figures.rtt_p95),
        millis(figures.jitter),
        figures.mos.map_or(Cell::Empty, Cell::Number),
    ]);
    Some(row)
}

/// The table of these rows.
pub(super) fn table(frame: &Frame<'_>, named: &[Column], rows: Vec<Vec<Cell>>) -> Table {
    let lang = frame.lang;
    let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
    let figures = [
        column("hours_measured", words::HOURS_MEASURED, Kind::Count),
        column("loss", words::LOSS, Kind::Share),
        column("loss_while_up", words::LOSS_WHILE_UP, Kind::Share),
        column("rtt_mean_ms", words::RTT_MEAN, Kind::Number),
        column("rtt_p95_ms", words::RTT_P95, Kind::Number),
        column("jitter_ms", words::JITTER, Kind::Number),
        column("mos_estimate", words::MOS, Kind::Number),
    ];
    Table {
        id: "quality",
        name: lang.pick("Chất lượng đường truyền", "Quality"),
        title: lang.pick("Chất lượng theo đường truyền", "Quality by link").to_owned(),
        note: words::quality_note(lang).to_owned(),
        columns: named.iter().cloned().chain(figures).collect(),
        key: &[0, 2],
        rows,
        chart: None,
    }
}

/// The runs of hours over a limit, by link.
pub(super) fn exceeded<'f>(frame: &Frame<'f>) -> BTreeMap<(&'f SiteId, &'f LinkName), Vec<&'f Run>> {
    let mut runs: BTreeMap<_, Vec<&Run>> = BTreeMap::new();
    for found in &frame.quality.exceeded {
        runs.entry((&found.site, &found.link)).or_default().push(&found.run);
    }
    runs
}

/// What a run of hours is.
pub(super) const fn what(limit: Limit) -> Words {
    match limit {
        Limit::Rtt => words::EXCEEDED_RTT,
        Limit::Loss => words::EXCEEDED_LOSS,
    }
}

/// By what a run of hours is held against the carrier: what was promised.
pub(super) fn why(limits: Limits, limit: Limit, lang: Lang) -> String {
    let Some(most) = limits.get(limit) else { return String::new() };
    let most = shown(limit, most, lang);
    match (limit, lang) {
        (Limit::Rtt, Lang::Vi) => format!("độ trễ khứ hồi trung bình của từng giờ trên {most}"),
        (Limit::Rtt, Lang::En) => format!("the mean round-trip time of each hour is over {most}"),
        (Limit::Loss, Lang::Vi) => format!("tỷ lệ mất gói của từng giờ trên {most}"),
        (Limit::Loss, Lang::En) => format!("the loss of each hour is over {most}"),
    }
}

/// A figure that a promise is about, or the promise.
fn shown(limit: Limit, figure: f64, lang: Lang) -> String {
    match limit {
        Limit::Rtt => text::millis(figure, lang),
        Limit::Loss => text::percent(figure, 2, lang),
    }
}

/// What was seen in a run of hours: how many they are, and the worst.
pub(super) fn evidence(frame: &Frame<'_>, run: &Run) -> String {
    let lang = frame.lang;
    let hours = UnixMillis::millis_since(run.end, run.start) / crate::quality::hour::HOUR_MS;
    let worst = frame.local(run.worst_at);
    let Tally { received, .. } = run.worst;
    let counted = run.worst.counted();
    let lost = counted.saturating_sub(received);
    let figure = shown(run.limit, run.worst.figure(run.limit).unwrap_or_default(), lang);
    let hours = match lang {
        Lang::Vi => format!("{hours} giờ"),
        Lang::En if hours == 1 => "1 hour".to_owned(),
        Lang::En => format!("{hours} hours"),
    };
    match (run.limit, lang) {
        (Limit::Rtt, Lang::Vi) => {
            format!("{hours}; cao nhất trong giờ từ {worst}: trung bình {figure} của {received} trả lời")
        }
        (Limit::Rtt, Lang::En) => {
            format!("{hours}; worst in the hour from {worst}: {figure} in the mean of {received} answers")
        }
        (Limit::Loss, Lang::Vi) => {
            format!("{hours}; cao nhất trong giờ từ {worst}: mất {lost} trong {counted} gói ({figure})")
        }
        (Limit::Loss, Lang::En) => {
            format!("{hours}; worst in the hour from {worst}: {lost} of {counted} packets lost ({figure})")
        }
    }
}
