//! What the store keeps for the report of a month.

use wan_wire::UnixMillis;

use super::FirstReport;
use crate::calendar::Month;
use crate::store::{Store, StoreError};

/// What the store has of a month, beside the evidence that the province holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// What was first reported of it.
    pub first: Option<FirstReport>,
}

impl Kept {
    /// What a report of the month that is made at an instant rests on: nothing that was kept then or later, so that a report is made again
    /// as it was.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(store: &impl Store, month: Month, at: UnixMillis) -> Result<Self, StoreError> {
        let first = store.first_report(month).await?.filter(|first| first.at < at);
        Ok(Self { first })
    }
}
