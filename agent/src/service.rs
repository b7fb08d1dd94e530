//! What the service manager hears: that rounds have begun, what the links are, and that it all goes on (sd_notify(3)).
//!
//! - `READY=1` when the first round has begun: what was started does its work from then on.
//! - `STATUS=` when the links' states have changed: the line that `systemctl status` shows.
//! - `WATCHDOG=1` at half of the time that the manager allows, from the runtime's one thread, and only while rounds begin when
//!   they are due. So an agent whose thread hangs, and one that runs but no longer probes, are both started anew.
//! - `STOPPING=1` when a signal has ended the rounds and the last push is to follow.
//!
//! Without `NOTIFY_SOCKET` nothing of this is done, and no timer runs. The variable stays in the environment: the agent starts
//! no other program while it runs, and the unit listens to the main process only.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use wan_wire::{LinkName, Outcome};

use crate::clock;

/// How much later than two intervals a round may begin before rounds count as standing still: a host that swaps, or that was
/// stopped for a moment, is not helped by a restart.
const ROUND_GRACE: Duration = Duration::from_secs(10);
/// More links than these are counted, not listed: the status is one line.
const MOST_LISTED: usize = 6;

/// The service manager that started this process, if one did.
#[derive(Debug)]
pub(crate) struct Service {
    listens: bool,
    watchdog: Option<Duration>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// Until when the next round must have begun; `None` before the first.
    next_due: Option<Instant>,
    status: String,
}

impl Service {
    /// The manager that the environment names.
    pub(crate) fn of_environment() -> Service {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = if listens { sd_notify::watchdog_enabled() } else { None };
        Service { listens, watchdog, told: Mutex::default() }
    }

    /// A round of `interval` has begun.
    pub(crate) fn round_begun(&self, now: Instant, interval: Duration) {
        let due = now + interval * 2 + ROUND_GRACE;
        if self.told().next_due.replace(due).is_none() {
            self.say(&[NotifyState::Ready]);
        }
    }

    /// The links' states, shown when they have changed.
    pub(crate) fn links(&self, outcomes: &BTreeMap<LinkName, Outcome>) {
        if !self.listens {
            return;
        }
        let status = summary(outcomes);
        if self.told().status != status {
            self.say(&[NotifyState::Status(&status)]);
            self.told().status = status;
        }
    }

    /// Feeds the watchdog, if there is one, until `stop`; then says that the agent ends.
    pub(crate) async fn feed(&self, stop: &CancellationToken) {
        if !self.listens {
            return;
        }
        let mut said = false;
        loop {
            tokio::select! {
                () = sleep(self.watchdog.unwrap_or_default() / 2), if self.watchdog.is_some() => {}
                () = stop.cancelled() => break,
            }
            let stands_still = self.told().next_due.is_some_and(|due| due < clock::monotonic());
            if !stands_still {
                self.say(&[NotifyState::Watchdog]);
            } else if !said {
                said = true;
                tracing::error!("rounds stand still; the service manager will start the agent anew");
            }
        }
        self.say(&[NotifyState::Stopping, NotifyState::Status("ending: the last round, the last push")]);
    }

    fn say(&self, what: &[NotifyState<'_>]) {
        if !self.listens {
            return;
        }
        if let Err(error) = sd_notify::notify(what) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The links' states in one line: each by name, or how many are up and which are not.
fn summary(outcomes: &BTreeMap<LinkName, Outcome>) -> String {
    let show = |(link, outcome): (&LinkName, &Outcome)| format!("{link} {}", outcome.as_str());
    if outcomes.len() <= MOST_LISTED {
        return outcomes.iter().map(show).collect::<Vec<_>>().join(", ");
    }
    let not_up: Vec<_> = outcomes.iter().filter(|(_, outcome)| **outcome != Outcome::Up).collect();
    let mut text = format!("{} of {} links up", outcomes.len() - not_up.len(), outcomes.len());
    for (place, one) in not_up.iter().take(MOST_LISTED).enumerate() {
        text.push_str(if place == 0 { "; " } else { ", " });
        text.push_str(&show(*one));
    }
    if not_up.len() > MOST_LISTED {
        text.push_str(&format!(", and {} more", not_up.len() - MOST_LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(states: &[(&str, Outcome)]) -> BTreeMap<LinkName, Outcome> {
        states.iter().map(|(link, outcome)| (link.parse().unwrap(), *outcome)).collect()
    }

    #[test]
    fn few_links_are_listed_with_their_states() {
        let three = [("lan", Outcome::Up), ("wan", Outcome::Degraded), ("internet", Outcome::Down)];
        assert_eq!(summary(&links(&three)), "internet down, lan up, wan degraded");
        assert_eq!(summary(&BTreeMap::new()), "");
    }

    #[test]
    fn of_many_links_only_those_that_are_not_up_are_named() {
        let mut many: BTreeMap<LinkName, Outcome> =
            (0..300).map(|at| (format!("wan-{at:03}").parse().unwrap(), Outcome::Up)).collect();
        assert_eq!(summary(&many), "300 of 300 links up");
        many.insert("wan-007".parse().unwrap(), Outcome::Down);
        assert_eq!(summary(&many), "299 of 300 links up; wan-007 down");
        many.values_mut().for_each(|outcome| *outcome = Outcome::Fault);
        let all_failed = summary(&many);
        assert!(all_failed.starts_with("0 of 300 links up; wan-000 fault, "), "{all_failed}");
        assert!(all_failed.ends_with("wan-005 fault, and 294 more"), "{all_failed}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_manager_nothing_waits_and_nothing_is_said() {
        let service = Service { listens: false, watchdog: None, told: Mutex::default() };
        service.round_begun(clock::monotonic(), Duration::from_secs(5));
        service.links(&links(&[("wan", Outcome::Up)]));
        assert_eq!(service.told().status, "");
        service.feed(&CancellationToken::new()).await;
    }
}
