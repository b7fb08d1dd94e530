//! What the store keeps for the report of a month.

use std::time::Duration;

use super::{FirstReport, Restated};
use crate::calendar::Month;
use crate::incidents::HORIZON_MARGIN;
use crate::ledger::timeline::Window;
use crate::province::Province;
use crate::report::quality::{self, MonthQuality};
use crate::store::{Store, StoreError, Wanted};

/// So many restated incidents are looked at, the newest: what a province of 300 sites has in some years.
const MOST_RESTATED: u32 = 20_000;
/// What begins up to so long after the month may have been told in it before.
const AROUND: Duration = Duration::from_secs(7 * 86_400);

/// What the store has of a month, beside the evidence that the province holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// What was first reported of it.
    pub first: Option<FirstReport>,
    /// The incidents of sites that were restated.
    pub restated: Restated,
    /// How well links carried packets in it.
    pub quality: MonthQuality,
}

impl Kept {
    /// What a report of the month that is made at the province's `now` rests on: nothing that was kept then or later, so that a report is
    /// made again as it was. Of figures of quality the hours that were over by then. `progress` hears how many of how many links are read.
    /// It computes between two reads for some hundredths of a second: best on a thread of its own.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(
        store: &impl Store,
        province: &Province<'_>,
        month: Month,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Self, StoreError> {
        let first = store.first_report(month).await?.filter(|first| first.at < province.now);
        let restated = restated(store, province, month).await?;
        let quality = quality::load(store, province, month, progress).await?;
        Ok(Self { first, restated, quality })
    }
}

/// The incidents of sites that were restated, as far as they touch the month or its surroundings.
async fn restated(store: &impl Store, province: &Province<'_>, month: Month) -> Result<Restated, StoreError> {
    let config = province.config();
    let whole = month.window(&config.timezone);
    // What ended in the month is derived no more, and so not restated, once that much time has passed.
    let derived = whole.end.plus(config.ingest.max_age + HORIZON_MARGIN);
    let wanted = Wanted {
        sites: true,
        restated: Some(Window::new(whole.start, derived.min(province.now.plus_millis(1)))),
        limit: MOST_RESTATED,
        ..Wanted::all(Window::new(whole.start.minus(AROUND), whole.end.plus(AROUND)))
    };
    let told = store.incidents(&wanted).await?;
    let more = told.len() >= usize::try_from(MOST_RESTATED).unwrap_or(usize::MAX);
    let restatements = if told.is_empty() { Vec::new() } else { store.restatements(&wanted).await? };
    Ok(Restated::of(told, restatements, more))
}
