//! The task that sends what an outage left.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Kind, Pusher};
use crate::clock;
use crate::push::{FIRST_BATCH, RETRY_AFTER_CAP, backoff, batch_size, rest};

impl Pusher {
    /// Sends the backlog, a request at a time, by the path that works; waits while none does.
    pub(super) async fn backlog(&self) {
        let (mut size, mut failures) = (FIRST_BATCH, 0);
        loop {
            let path = self.state().paths.current().filter(|_| self.queue.has_backlog());
            let Some(path) = path else {
                size = FIRST_BATCH;
                self.through.notified().await;
                continue;
            };
            let dates = self.timekeeper.clone();
            // One wrong answer must not make the whole backlog too old.
            let wall = dates.confirmed();
            let taken = self.on_disk(move |queue, now| queue.take_backlog(size, now, wall, &dates)).await;
            let Some(batch) = taken.flatten() else {
                // Nothing that can be sent now; the next push may have taught the time.
                self.through.notified().await;
                continue;
            };
            let rounds: usize = batch.items.iter().map(|item| item.record.targets.len()).sum();
            let began = clock::monotonic();
            let sent = self.send_by(path, &batch.items, Kind::Backlog).await;
            let took = since(began);
            let gone = *sent.as_ref().unwrap_or(&0);
            let whole = gone == batch.items.len();
            self.on_disk(move |queue, now| queue.settle(&batch, gone, now)).await;
            size = batch_size(size, took, whole);
            match sent {
                Ok(_) => {
                    failures = 0;
                    sleep(rest(rounds, took, self.backlog_rate)).await;
                }
                Err((retry_after, why)) => {
                    failures += 1;
                    // The path is for live pushes to judge: a collector that has no time for a backlog may well have it
                    // for them.
                    let wait = backoff(failures, retry_after, rand::random()).min(RETRY_AFTER_CAP);
                    tracing::debug!(
                        url = self.urls[path],
                        why,
                        wait_seconds = wait.as_secs_f64(),
                        "the backlog waits"
                    );
                    sleep(wait).await;
                }
            }
        }
    }
}

fn since(began: Instant) -> Duration {
    clock::monotonic().duration_since(began)
}
