//! Loading: every hour of a month is read once, and made into figures as it comes.

use super::{Gathering, MonthQuality};
use crate::calendar::Month;
use crate::province::Province;
use crate::quality::sweep::{sweep, whole_hours};
use crate::store::{Store, StoreError};

/// The figures of a month at the province's `now`. `progress` hears how many of how many links are read. It computes between two
/// reads for some hundredths of a second: best on a thread of its own.
///
/// # Errors
/// What the store says.
pub async fn load<S: Store>(
    store: &S,
    province: &Province<'_>,
    month: Month,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<MonthQuality, StoreError> {
    let whole = month.window(&province.config().timezone);
    let window = whole.within(whole.start, province.now);
    let mut gathering = Gathering::new(province, window);
    let mut take = |site: &_, link: &_, steps: &_| gathering.add(site, link, steps);
    sweep(store, whole_hours(window), &mut take, progress).await?;
    Ok(gathering.done())
}
