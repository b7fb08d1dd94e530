//! The report of a month: what the head of the department signs, as data ([`super::model`]).
//!
//! A pure function of the province, the month, the language, and what the store keeps of the month ([`Kept`]). It looks at each site
//! once: its timeline, its charges and those of its links give every figure, so that what one table says adds up to what another says:
//!
//! | table | adds up to |
//! | --- | --- |
//! | causes by site, down, but for what was planned | the site's time down |
//! | causes | the sum of the causes by site |
//! | a contract | the sum of its links |
//! | a contract's restated loss and round-trip time | the packets of its links together |
//! | evidence for carriers, outages | at most what is charged to the contract (an outage that the window cuts is told with its part within) |
//!
//! A month that has not begun has no report. One that is not over has a preliminary one, of the part up to now. An empty register has one that
//! says so.

mod contracts;
mod corrected;
mod cover;
mod incidents;
mod kept;
mod quality;
pub mod restated;
mod sites;
mod words;
mod works;

use jiff::tz::TimeZone;
use wan_wire::UnixMillis;

pub use corrected::Restated;
pub use kept::Kept;
pub use restated::{FirstReport, KeyFigures};

use super::model::{Report, Table};
use super::render::Grid;
use crate::calendar::Month;
use crate::lang::Lang;
use crate::ledger::periods::Periods;
use crate::ledger::timeline::Window;
use crate::localtime;
use crate::province::{Causes, Province};
use crate::report::quality::MonthQuality;
use crate::report::uptime::Policy;

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The month.
    pub month: Month,
    /// The language.
    pub lang: Lang,
    /// What planned time is to the figures of sites and links. Contracts leave it out in any case.
    pub policy: Policy,
}

/// A report, and what of it is to be remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The report.
    pub report: Report,
    /// Its key figures, where they are those that a closed month is known by; `None`: it is preliminary, or planned time is not left out.
    pub figures: Option<KeyFigures>,
}

/// Why there is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReport {
    /// The month has not begun.
    #[error("the month has not begun")]
    Future,
}

/// What every table is made from.
struct Frame<'p> {
    province: &'p Province<'p>,
    causes: Causes<'p>,
    month: Month,
    lang: Lang,
    policy: Policy,
    /// The month, cut to now.
    window: Window,
    /// The hours of service in it.
    service: Periods,
    preliminary: bool,
    quality: &'p MonthQuality,
}

impl Frame<'_> {
    fn zone(&self) -> &TimeZone {
        &self.province.config().timezone
    }

    /// An instant as people read it.
    fn local(&self, at: UnixMillis) -> String {
        shown(at, self.lang, self.zone())
    }
}

/// The report of a month, made at the province's `now`, which is best a whole second: the file tells no less. `progress` hears how many of
/// how many sites are done.
///
/// # Errors
/// When the month has not begun.
pub fn report(
    province: &Province<'_>,
    subject: Subject,
    kept: &Kept,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Made, NoReport> {
    let Subject { month, lang, policy } = subject;
    let zone = &province.config().timezone;
    let whole = month.window(zone);
    if whole.start >= province.now {
        return Err(NoReport::Future);
    }
    let window = whole.within(whole.start, province.now);
    let preliminary = province.now < whole.end;
    let causes = province.causes(window);
    let service = province.config().calendar.service_time(window, zone);
    let frame =
        Frame { province, causes, month, lang, policy, window, service, preliminary, quality: &kept.quality };

    let coverage = cover::Coverages::of(&frame);
    let mut found = sites::Found::default();
    let total = province.register().len();
    for (done, site) in province.sites().enumerate() {
        progress(done, total);
        found.add(&frame, &site);
    }
    progress(total, total);
    let accounts = contracts::Accounts::of(&frame, std::mem::take(&mut found.lines));
    let mut figures = KeyFigures::default();
    coverage.figures(&mut figures);
    found.figures(&mut figures);
    accounts.figures(&mut figures);

    let mut tables = vec![cover::summary(&frame, &coverage, &found, &accounts)];
    // Under another policy the figures are others, and nothing is restated.
    let first = kept.first.as_ref().filter(|_| policy == Policy::Exclude && !preliminary);
    tables.extend(first.and_then(|first| restated::table(&frame, first, &figures)));
    tables.extend(coverage.tables(&frame));
    tables.extend(accounts.tables(&frame));
    tables.extend(found.tables(&frame));
    tables.push(works::table(&frame));
    tables.push(corrected::table(&frame, &kept.restated));
    tables.push(cover::parameters(&frame));
    tables.retain(|table: &Table| !table.rows.is_empty());
    let report = Report {
        title: words::title(month, lang),
        subtitle: cover::subtitle(&frame),
        month: words::month_id(month),
        lang,
        made_at: province.now,
        preliminary,
        zone: zone.clone(),
        tables,
    };
    let figures = (policy == Policy::Exclude && !preliminary).then_some(figures);
    Ok(Made { report, figures })
}

/// What a file of a report says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Month and language.
    pub subject: Subject,
    /// When it was made.
    pub made_at: UnixMillis,
}

/// Reads from a report's tables what it is, in the province's zone; `None`: they do not say.
#[must_use]
pub fn asked(grid: &Grid, zone: &TimeZone) -> Option<Asked> {
    [Lang::Vi, Lang::En].into_iter().find_map(|lang| {
        let table = grid.tables.iter().find(|table| table.name == words::PARAMETERS.in_lang(lang))?;
        let value = |label: words::Words| {
            let row =
                table.rows.iter().find(|row| row.first().is_some_and(|cell| cell == label.in_lang(lang)))?;
            row.get(1)
        };
        let month = Month::parse(value(words::MONTH)?).ok()?;
        let made = jiff::civil::DateTime::strptime(time_format(lang), value(words::MADE_AT)?).ok()?;
        let made_at = UnixMillis(made.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond());
        let policy = value(words::POLICY)?;
        let policy = Policy::ALL.into_iter().find(|known| words::policy(*known, lang) == policy)?;
        Some(Asked { subject: Subject { month, lang, policy }, made_at })
    })
}

const fn time_format(lang: Lang) -> &'static str {
    lang.pick("%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")
}

fn shown(at: UnixMillis, lang: Lang, zone: &TimeZone) -> String {
    localtime::show(at, zone, time_format(lang))
}

#[cfg(test)]
mod tests;
