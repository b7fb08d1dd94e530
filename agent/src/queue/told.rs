//! What the log says of the queue's disk: each state once when it begins, each loss when it happens.

use super::store::{Opened, StoreError, Tally};

#[derive(Debug, Default)]
pub(super) struct Told {
    failure: Option<String>,
    undatable: bool,
    unreadable: bool,
    foreign: bool,
}

impl Told {
    /// The disk was opened.
    pub(super) fn opened(&mut self, opened: &Opened) {
        if opened.waiting > 0 {
            tracing::info!(link_rounds = opened.waiting, "rounds of an outage wait on the disk");
        }
        if opened.torn_bytes > 0 {
            tracing::warn!(
                bytes = opened.torn_bytes,
                "the queue's last write was torn; whole rounds in it are kept"
            );
        }
        for name in &opened.damaged {
            tracing::warn!(file = name, "a small file of the queue was damaged; it is made anew");
        }
        if !opened.foreign.is_empty() && !self.foreign {
            self.foreign = true;
            tracing::warn!(
                files = opened.foreign.join(", "),
                "the queue's folder has files that this version does not know; they are left alone"
            );
        }
    }

    /// The disk cannot be used.
    pub(super) fn failed(&mut self, error: &StoreError) {
        let why = error.to_string();
        if self.failure.is_none() {
            tracing::error!(
                why,
                remedy = error.remedy(),
                "the queue cannot use its disk; rounds wait in memory, and a power cut would take them"
            );
        } else if self.failure.as_ref() != Some(&why) {
            tracing::warn!(why, remedy = error.remedy(), "the queue still cannot use its disk");
        }
        self.failure = Some(why);
    }

    /// Something was written.
    pub(super) fn works(&mut self) {
        if self.failure.take().is_some() {
            tracing::info!("the queue uses its disk again");
        }
    }

    /// What was passed over or is gone.
    pub(super) fn tally(&mut self, tally: &Tally) {
        let losses = [
            (tally.full, "the queue's share of the disk is full; the oldest rounds were dropped"),
            (tally.aged, "rounds over the queue's age were dropped"),
            (tally.too_long, "rounds that are too long for the queue were dropped"),
        ];
        for (dropped, what) in losses {
            if let Some(dropped) = dropped {
                tracing::warn!(from = %dropped.from, to = %dropped.to, samples = dropped.samples, "{what}");
            }
        }
        if tally.damaged > 0 {
            tracing::warn!(link_rounds = tally.damaged, "damaged rounds of the queue are lost");
        }
        if let Some(why) = tally.why
            && !std::mem::replace(&mut self.undatable, true)
        {
            tracing::warn!(
                %why,
                rounds = tally.undatable,
                "when these rounds were cannot be told; they are set aside in queue-aside, as are any further ones"
            );
        }
        if let Some(why) = tally.unreadable_why
            && !std::mem::replace(&mut self.unreadable, true)
        {
            tracing::warn!(
                %why,
                link_rounds = tally.unreadable,
                "entries of the queue cannot be read; they are set aside in queue-aside, as are any further ones"
            );
        }
    }
}
