//! Whether this host's clock can be right: the whole province is told the time by it.
//!
//! A server whose clock has no battery starts hours or years behind, and NTP sets it some time later. In between, rounds with
//! the right time would be refused as being of the future, and their agents would let them go; and agents would learn the
//! wrong time and date new rounds by it. So while the clock says an earlier time than one that has certainly passed, agents are
//! answered 503 without the time: they keep everything. The collector counts as not running meanwhile.
//!
//! What has certainly passed is this program's build, and the time until which a former run was alive. The latter is only
//! held against the first start of a boot: a clock that was accepted in this boot is as good as whoever set it since, and the
//! former run may have been the one with the wrong clock, hours ahead until NTP came. The data folder remembers the boot in
//! which it was last accepted (`clock-boot`). A clock that was ahead when the host went down leaves a trace that a right
//! clock contradicts; only a person can say which of the two it was, and does so by a file, `clock-is-right`.
//!
//! A clock that is set back while the collector runs is said as an error, and followed: who set it, NTP or a person, most
//! likely knew better than the clock, and to wait until it is as late as it was would leave the collector deaf for as long.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wan_wire::UnixMillis;

use crate::clock;
use crate::state::State;

/// After how long an agent should ask again, in seconds.
pub const RETRY: u32 = 10;
/// A clock that is behind by no more than this does no harm: agents' rounds may lie as far ahead, several times over.
const HARMLESS: Duration = Duration::from_secs(60);
/// A clock that goes back by more than this was set; by less, it may be a leap second or a slow reading.
const SET_BACK: Duration = Duration::from_secs(5);
/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// In the data folder: the boot in which the clock was last accepted.
const ACCEPTED: &str = "clock-boot";
/// In the data folder: a person's word that the clock is right. Removed when it was heard.
const IS_RIGHT: &str = "clock-is-right";

/// When this program was built.
#[must_use]
pub fn built() -> UnixMillis {
    UnixMillis::from_seconds(env!("WAN_COLLECTOR_BUILT_SECONDS").parse().unwrap_or(0))
}

/// The earliest time that a right clock can say, at a start in the boot with this id. `alive` is until when a former run was.
#[must_use]
pub fn earliest(
    alive: Option<UnixMillis>,
    accepted: Option<&str>,
    boot: &str,
    built: UnixMillis,
) -> UnixMillis {
    let is_new = boot.is_empty() || accepted != Some(boot);
    alive.filter(|_| is_new).map_or(built, |alive| alive.minus(HARMLESS).max(built))
}

/// By how much the clock was set back between two looks, if it was.
#[must_use]
pub fn set_back(before: (Instant, UnixMillis), after: (Instant, UnixMillis)) -> Option<Duration> {
    let expected = before.1.plus(after.0.saturating_duration_since(before.0));
    Some(expected.since(after.1)).filter(|by| *by > SET_BACK)
}

/// What the rest of the collector knows of it: the earliest time that a right clock can say, while it says an earlier one.
#[derive(Debug)]
pub struct Guard {
    earliest: AtomicI64,
}

impl Default for Guard {
    fn default() -> Self {
        Self { earliest: AtomicI64::new(i64::MIN) }
    }
}

impl Guard {
    /// The earliest time that a right clock can say, while this host's says an earlier one.
    #[must_use]
    pub fn waits_for(&self) -> Option<UnixMillis> {
        Some(self.earliest.load(Ordering::Acquire)).filter(|earliest| *earliest != i64::MIN).map(UnixMillis)
    }

    /// What is wrong with it at `now`, in words.
    #[must_use]
    pub fn trouble(&self, now: UnixMillis) -> Option<String> {
        self.waits_for().map(|earliest| {
            format!("the collector's clock is wrong: it says {now}, and must be past {earliest}; agents are asked to wait")
        })
    }
}

/// The guard's task: judges the clock at the start, and goes on looking at it.
#[derive(Debug)]
pub struct Watch {
    state: Arc<State>,
    boot: String,
    last: (Instant, UnixMillis),
}

impl Watch {
    /// Judges the clock at a start; `alive` is until when a former run was. The state counts as started only if it can be right.
    #[must_use]
    pub fn begin(state: &Arc<State>, alive: Option<UnixMillis>) -> Self {
        let boot =
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let this = Self { state: Arc::clone(state), boot, last: (clock::monotonic(), clock::now()) };
        let accepted = std::fs::read_to_string(this.file(ACCEPTED)).ok();
        let earliest = earliest(alive, accepted.as_deref().map(str::trim), &this.boot, built());
        let now = this.last.1;
        if now >= earliest {
            this.accept(now);
            return this;
        }
        state.clock.earliest.store(earliest.0, Ordering::Release);
        tracing::error!(
            clock = %now,
            already_passed = %earliest,
            "this host's clock is behind a time that has passed: agents are asked to wait, and keep what they measure. Set the \
             clock (`timedatectl` shows it; let chrony or systemd-timesyncd reach a time server, or `timedatectl set-time`); \
             the collector then goes on by itself. If it is right, and was ahead before: touch {}",
            this.file(IS_RIGHT).display()
        );
        this
    }

    /// Looks at the clock until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => self.look(),
            }
        }
    }

    fn look(&mut self) {
        let look = (clock::monotonic(), clock::now());
        let before = std::mem::replace(&mut self.last, look);
        if let Some(earliest) = self.state.clock.waits_for() {
            let told = std::fs::remove_file(self.file(IS_RIGHT)).is_ok();
            if told || look.1 >= earliest {
                tracing::info!(clock = %look.1, "this host's clock can be right now; agents are heard");
                self.accept(look.1);
            }
        } else if let Some(by) = set_back(before, look) {
            tracing::error!(
                by_seconds = by.as_secs_f64(),
                clock = %look.1,
                "this host's clock was set back while agents were told the time by it: what they measured since it was ahead \
                 lies in the future, and is refused where that is further than `max_future`. Check the clock (`timedatectl`)"
            );
        }
    }

    fn accept(&self, now: UnixMillis) {
        self.state.start(now);
        self.state.clock.earliest.store(i64::MIN, Ordering::Release);
        if let Err(error) = std::fs::write(self.file(ACCEPTED), format!("{}\n", self.boot)) {
            tracing::warn!(%error, "cannot note that the clock was accepted in this boot; the next start judges it anew");
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(&self.state.config.data).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT: UnixMillis = UnixMillis(1_795_000_000_000);

    #[test]
    fn the_earliest_time_is_the_build_or_the_end_of_a_run_before_this_boot() {
        let alive = BUILT.plus(Duration::from_secs(86_400));
        let hardly_before = alive.minus(HARMLESS);
        assert_eq!(earliest(None, None, "b", BUILT), BUILT);
        assert_eq!(earliest(Some(alive), None, "b", BUILT), hardly_before);
        assert_eq!(earliest(Some(alive), Some("a"), "b", BUILT), hardly_before);
        assert_eq!(earliest(Some(alive), Some("b"), "b", BUILT), BUILT, "accepted in this boot");
        assert_eq!(earliest(Some(alive), Some(""), "", BUILT), hardly_before, "boots cannot be told apart");
        assert_eq!(earliest(Some(UnixMillis(0)), None, "b", BUILT), BUILT);
    }

    #[test]
    fn only_a_clock_that_goes_back_by_more_than_a_tremble_was_set_back() {
        let seconds = Duration::from_secs;
        let (begin, ten) = (clock::monotonic(), seconds(10));
        let look = |after: Duration, wall: UnixMillis| (begin + after, wall);
        let first = look(seconds(0), BUILT);
        assert_eq!(set_back(first, look(ten, BUILT.plus(ten))), None);
        assert_eq!(set_back(first, look(ten, BUILT.plus(seconds(5)))), None);
        assert_eq!(set_back(first, look(ten, BUILT)), Some(ten));
        assert_eq!(set_back(first, look(ten, BUILT.plus(seconds(7200)))), None);
    }
}
