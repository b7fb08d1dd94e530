//! What the log says of the queue's disk: each state once when it begins, each loss when it happens.

use super::store::{Damaged, Opened, StoreError, Tally};

#[derive(Debug, Default)]
pub(super) struct Told {
    failure: Option<&'static str>,
    undatable: bool,
    unreadable: bool,
    /// Folders of which it was said.
    foreign: Vec<&'static str>,
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
            tracing::warn!(
                file = name,
                "a small file of the queue was damaged, or a newer version's; it is kept as NAME.bad-N, and made anew"
            );
        }
        self.tell_foreign("queue", &opened.foreign);
    }

    /// The disk cannot be used.
    pub(super) fn failed(&mut self, error: &StoreError) {
        // Each try may fail at another file; what there is to do about it is the news.
        let remedy = error.remedy();
        match self.failure.replace(remedy) {
            None => tracing::error!(
                why = %error,
                remedy,
                "the queue cannot use its disk; rounds wait in memory, and a power cut would take them"
            ),
            Some(before) if before == remedy => {
                tracing::debug!(why = %error, "the queue still cannot use its disk");
            }
            Some(_) => tracing::warn!(why = %error, remedy, "the queue still cannot use its disk"),
        }
    }

    /// Something was written.
    pub(super) fn works(&mut self) {
        if self.failure.take().is_some() {
            tracing::info!("the queue uses its disk again");
        }
    }

    /// What was passed over or is gone.
    pub(super) fn tally(&mut self, tally: &Tally) {
        let passed = &tally.passed;
        let losses = [
            (passed.full, "the queue's share of the disk is full; the oldest rounds were dropped"),
            (passed.aged, "rounds over the queue's age were dropped"),
            (passed.too_long, "rounds that are too long for the queue were dropped"),
        ];
        for (dropped, what) in losses {
            if let Some(dropped) = dropped {
                tracing::warn!(from = %dropped.from, to = %dropped.to, samples = dropped.samples, "{what}");
            }
        }
        if passed.full_unseen > 0 {
            tracing::warn!(
                link_rounds = passed.full_unseen,
                "the queue's share of the disk is full; the oldest rounds were dropped"
            );
        }
        if passed.damaged.link_rounds > 0 {
            let Damaged { link_rounds, from, to } = passed.damaged;
            let (from, to) = (from.map(tracing::field::display), to.map(tracing::field::display));
            tracing::warn!(link_rounds, from, to, "damaged rounds of the queue are lost");
        }
        if tally.aside_dropped > 0 {
            tracing::warn!(
                entries = tally.aside_dropped,
                "queue-aside has more than it may; its oldest entries were dropped"
            );
        }
        self.tell_foreign("queue-aside", &tally.aside_foreign);
        if let Some(why) = passed.why
            && !std::mem::replace(&mut self.undatable, true)
        {
            tracing::warn!(
                %why,
                rounds = passed.undatable,
                "when these rounds were cannot be told; they are set aside in queue-aside, as are any further ones"
            );
        }
        if let Some(why) = passed.unreadable_why
            && !std::mem::replace(&mut self.unreadable, true)
        {
            tracing::warn!(
                %why,
                link_rounds = passed.unreadable,
                "entries of the queue cannot be read; they are set aside in queue-aside, as are any further ones"
            );
        }
    }

    fn tell_foreign(&mut self, folder: &'static str, files: &[String]) {
        if !files.is_empty() && !self.foreign.contains(&folder) {
            self.foreign.push(folder);
            tracing::warn!(
                folder,
                files = files.join(", "),
                "the queue's folder has files that this version does not know; they are left alone"
            );
        }
    }
}
