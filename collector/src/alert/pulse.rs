//! Whether alerts are looked after: whether looks end in time, and whether what they find is sent. Pure but for a lock: instants go in.
//!
//! By the monotonic clock, so a wall clock that is set is no stall, and after a machine's pause the next look ends it.
//!
//! | | in trouble |
//! | --- | --- |
//! | before anybody looks, as where a command reads | never |
//! | the first look | when it has not ended [`FIRST`] after the start: it reads what is stored, beside all else that a start does |
//! | any other | when it has not ended [`LATE`] after it was due. One that could not be written has not ended well, and does not count |
//! | a task that sends | from its end on, unless the collector stops |

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// A look takes milliseconds, and a second where a province is large or the machine busy.
pub const LATE: Duration = Duration::from_secs(30);
/// Until the first look has ended.
pub const FIRST: Duration = Duration::from_secs(300);

/// What is known of it.
#[derive(Debug)]
pub struct Pulse {
    late: Duration,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When the last look ended, or looking began.
    last: Option<Instant>,
    /// A look has ended by then, or is late.
    due: Option<Instant>,
    /// Tasks that have ended by themselves.
    ended: BTreeSet<String>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { late: LATE, known: Mutex::default() }
    }
}

impl Pulse {
    /// One that calls a look late sooner.
    #[cfg(test)]
    pub(crate) fn impatient(late: Duration) -> Self {
        Self { late, ..Self::default() }
    }

    /// From now on somebody looks.
    pub fn begins(&self, now: Instant) {
        let mut known = self.known.lock();
        (known.last, known.due) = (Some(now), now.checked_add(FIRST));
    }

    /// A look has ended well; the next begins after a rest.
    pub fn looked(&self, now: Instant, rest: Duration) {
        let mut known = self.known.lock();
        (known.last, known.due) = (Some(now), now.checked_add(rest.saturating_add(self.late)));
    }

    /// A task that sends has ended by itself: a defect.
    pub fn ended(&self, task: &str) {
        tracing::error!(task, "a task that delivers alerts has ended: a defect of the collector; restart it");
        self.known.lock().ended.insert(task.to_owned());
    }

    /// Watches over a task that sends: unless `stop` has been asked for, its end is one by itself, be it by a panic.
    pub fn watches<'p>(&'p self, task: &'static str, stop: &'p CancellationToken) -> Watch<'p> {
        Watch { pulse: self, task, stop }
    }

    /// What is wrong, in a sentence.
    #[must_use]
    pub fn trouble(&self, now: Instant) -> Option<String> {
        let known = self.known.lock();
        if let (Some(last), Some(due)) = (known.last, known.due)
            && due < now
        {
            let ago = now.saturating_duration_since(last).as_secs();
            return Some(format!(
                "alerts stand still: no look at the province has ended for {ago} s; see the log"
            ));
        }
        if known.ended.is_empty() {
            return None;
        }
        let tasks = known.ended.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Some(format!(
            "alerts are not delivered: {tasks} ended by a defect; see the log, and restart the collector"
        ))
    }
}

/// See [`Pulse::watches`].
#[derive(Debug)]
pub struct Watch<'p> {
    pulse: &'p Pulse,
    task: &'static str,
    stop: &'p CancellationToken,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            self.pulse.ended(self.task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_look_is_late_half_a_minute_after_it_was_due_and_the_first_has_five_minutes() {
        let (pulse, start) = (Pulse::default(), monotonic());
        let at = |seconds: u32| pulse.trouble(start + SECOND * seconds);
        assert_eq!(at(10_000), None, "nobody looks");
        pulse.begins(start);
        assert_eq!((at(300), at(301).is_some()), (None, true));
        pulse.looked(start + SECOND * 310, SECOND * 5);
        assert_eq!((at(301), at(345)), (None, None), "a long look is followed by a long rest");
        let told = "alerts stand still: no look at the province has ended for 36 s; see the log";
        assert_eq!(at(346).as_deref(), Some(told));
        // A pause of the machine, say.
        assert!(at(100_000).is_some());
        pulse.looked(start + SECOND * 100_000, SECOND);
        assert_eq!(at(100_001), None);
    }

    #[test]
    fn a_task_that_ends_is_told_by_name_unless_the_collector_stops() {
        let (pulse, now, stop) = (Pulse::default(), monotonic(), CancellationToken::new());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _watch = pulse.watches("the outbox", &stop);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        pulse.ended("mail");
        let told = pulse.trouble(now).unwrap();
        assert!(told.starts_with("alerts are not delivered: mail, the outbox ended by a defect"), "{told}");

        let pulse = Pulse::default();
        stop.cancel();
        drop(pulse.watches("the outbox", &stop));
        assert_eq!(pulse.trouble(now), None);
    }
}
