//! What the store keeps for the report of a month.

use super::FirstReport;
use crate::calendar::Month;
use crate::province::Province;
use crate::report::quality::{self, MonthQuality};
use crate::store::{Store, StoreError};

/// What the store has of a month, beside the evidence that the province holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// What was first reported of it.
    pub first: Option<FirstReport>,
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
        let quality = quality::load(store, province, month, progress).await?;
        Ok(Self { first, quality })
    }
}
