//! What the memory had to drop, for the log: at once when it begins, then together each [`EVERY`]. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::Dropped;

/// A memory that is full drops with each round of each link.
const EVERY: Duration = Duration::from_secs(60);

/// What was dropped and is not told yet.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    so_far: Option<Dropped>,
    told: Option<Instant>,
}

impl Losses {
    /// This was dropped.
    pub(crate) fn add(&mut self, dropped: Dropped) {
        self.so_far = Some(self.so_far.map_or(dropped, |so_far| so_far.with(dropped)));
    }

    /// What is to be told now.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Dropped> {
        if self.told.is_some_and(|told| now.duration_since(told) < EVERY) {
            return None;
        }
        let due = self.so_far.take()?;
        self.told = Some(now);
        Some(due)
    }

    /// What was not told yet.
    pub(crate) fn rest(&mut self) -> Option<Dropped> {
        self.so_far.take()
    }
}

#[cfg(test)]
mod tests {
    use wan_wire::UnixMillis;

    use super::*;

    #[test]
    fn losses_are_told_at_once_and_then_together_each_minute() {
        let (mut losses, start) = (Losses::default(), crate::clock::monotonic());
        let dropped = |at: i64| Dropped { from: UnixMillis(at), to: UnixMillis(at + 5), samples: 7 };
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(losses.due(at(0)), None);
        losses.add(dropped(0));
        assert_eq!(losses.due(at(5)), Some(dropped(0)));
        for round in 1..12 {
            losses.add(dropped(round * 5));
            assert_eq!(losses.due(at(5 + 5 * u64::try_from(round).unwrap())), None);
        }
        let together = Dropped { from: UnixMillis(5), to: UnixMillis(60), samples: 77 };
        assert_eq!(losses.due(at(65)), Some(together));
        losses.add(dropped(60));
        assert_eq!((losses.due(at(70)), losses.rest()), (None, Some(dropped(60))));
    }
}
