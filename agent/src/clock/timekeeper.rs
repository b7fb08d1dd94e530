//! The agent's time as its parts share it: a shell around [`Keeper`], which reads the clocks and owns the memory file.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wan_wire::UnixMillis;

use super::keeper::{Keeper, Reading};
use super::memory::{Memory, MemoryFile};
use super::offset::{Implausible, Learnt};
use super::stamp::{Dating, Exchange, Stamp};
use crate::clock;
use crate::link::Boot;

pub use super::keeper::Offset;

/// A move of the applied offset that is worth a line in the usual log.
const LARGE: i64 = 1000;
/// Steps are said at most this often: two receivers with different clocks would say one at each push.
const STEPS_SAID_EVERY: u64 = 600_000;

/// The agent's time. Clones share it. It is locked for microseconds; files are written by a thread that lasts as long.
#[derive(Debug, Clone)]
pub struct Timekeeper {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    boot: String,
    keeper: Mutex<Keeper>,
    file: Option<MemoryFile>,
    writer: Mutex<Writer>,
    said: Mutex<Said>,
}

/// The thread that writes the memory, if one was needed, and what became of it.
#[derive(Debug, Default)]
struct Writer {
    thread: Option<JoinHandle<()>>,
    failed: bool,
}

/// What the log says once.
#[derive(Debug, Default)]
struct Said {
    refused: Option<Implausible>,
    step: Option<u64>,
}

impl Timekeeper {
    /// For this boot, with what the data folder remembers. Without a folder, or with one that cannot be used, everything
    /// works but what must outlive a boot.
    pub fn open(data: Option<&Path>, boot: &Boot, built: UnixMillis) -> Timekeeper {
        let file = data.filter(|_| !boot.id.is_empty()).map(MemoryFile::in_folder);
        let memory = match &file {
            Some(file) => {
                let loaded = file.load();
                if let Some(trouble) = loaded.trouble {
                    tracing::warn!("the memory of the clock starts empty: {trouble}");
                }
                loaded.memory
            }
            None => Memory::default(),
        };
        let mut keeper = Keeper::new(memory, &boot.id, built, reading());
        if file.is_none() {
            keeper.settled();
        }
        let inner = Inner {
            boot: boot.id.clone(),
            keeper: Mutex::new(keeper),
            file,
            writer: Mutex::default(),
            said: Mutex::default(),
        };
        Timekeeper { inner: Arc::new(inner) }
    }

    /// Takes an answer's time. Only for answers of the collector (or of the receiver that stands in its place): a captive
    /// portal has a clock too.
    pub fn learn(&self, exchange: Exchange) -> Learnt {
        let now = reading();
        let (learnt, offset, due) = {
            let mut keeper = self.keeper();
            let learnt = keeper.learn(&exchange, &now);
            (learnt, keeper.offset(&now), keeper.due(now.since_boot))
        };
        if let Some(text) = due {
            self.write(text);
        }
        self.say(learnt, &exchange, offset);
        learnt
    }

    /// A receiver took a request and its answer had no time at all, against RFC 9110 (6.6.1): until one comes, the host's
    /// clock is believed, unless it is earlier than this program.
    pub fn no_time(&self) {
        self.keeper().assume_host(&reading());
    }

    /// A moment that has just passed, with what is known of it.
    pub fn stamp(&self, since_boot: u64) -> Stamp {
        self.keeper().stamp(&reading_at(since_boot))
    }

    /// The best estimate of a moment's wall time, for what is not a round.
    pub fn wall(&self, since_boot: u64) -> UnixMillis {
        self.keeper().wall(since_boot, &reading())
    }

    /// The best estimate of the wall time now.
    pub fn now(&self) -> UnixMillis {
        self.wall(clock::since_boot())
    }

    /// The time now, where the collector told it or a receiver that tells none took a request.
    pub fn told(&self) -> Option<UnixMillis> {
        self.keeper().told(clock::since_boot())
    }

    /// The time now, where the collector's is confirmed: for what cannot be taken back.
    pub fn confirmed(&self) -> Option<UnixMillis> {
        self.keeper().confirmed(clock::since_boot())
    }

    /// The id of the boot that runs now.
    pub fn boot(&self) -> &str {
        &self.inner.boot
    }

    /// Whether this boot has an offset from the collector.
    pub fn anchored(&self) -> bool {
        self.keeper().anchored()
    }

    /// The wall time of a moment of the boot with this id.
    pub fn date(&self, boot: &str, stamp: &Stamp) -> Dating {
        self.keeper().date(boot, stamp, clock::since_boot())
    }

    /// The wall time of a moment of this boot as it would be dated now, whether or not that would last.
    pub fn meant(&self, stamp: &Stamp) -> Option<UnixMillis> {
        self.keeper().meant(stamp)
    }

    /// The collector's clock against the host's; `None` before the first contact of this boot.
    pub fn offset(&self) -> Option<Offset> {
        self.keeper().offset(&reading())
    }

    /// As of when certificates are judged: the best estimate of now, not before the floor (the last time that was known to be
    /// right, or the build's); and that floor, unless the collector's time is confirmed ([`keeper`](super::keeper)): without
    /// that it may be any time from there on.
    pub fn tls_times(&self) -> (UnixMillis, Option<UnixMillis>) {
        self.keeper().tls_times(&reading())
    }

    /// The collector was refused because its certificate has ended.
    pub fn certificate_ended(&self) {
        let in_doubt = self.keeper().certificate_ended(clock::since_boot());
        if in_doubt {
            tracing::warn!(
                "for an hour every certificate of the collector had ended by the last time that was known to be right, so \
                 that time is doubted: until an answer comes, one that was in time since this program was built will do"
            );
        }
    }

    /// Writes the memory as it stands; for the agent's end. Waits for the disk.
    pub fn close(&self) {
        let text = self.keeper().text();
        if let Some(text) = text {
            self.write(text);
        }
        let thread = self.writer().thread.take();
        if let Some(thread) = thread {
            // A panic of the writer was its own; there is nothing to be done about it here.
            let _ = thread.join();
        }
    }

    fn write(&self, text: String) {
        let Some(file) = self.inner.file.clone() else { return };
        let shared = self.clone();
        let mut writer = self.writer();
        let before = writer.thread.take();
        // A card may take seconds to write: the rounds must not wait for it.
        let spawned =
            std::thread::Builder::new().name("clock".into()).stack_size(128 * 1024).spawn(move || {
                if let Some(before) = before {
                    let _ = before.join();
                }
                shared.written(file.save(&text));
            });
        match spawned {
            Ok(thread) => writer.thread = Some(thread),
            Err(error) => {
                drop(writer);
                self.written(Err(format!("no thread: {error}")));
            }
        }
    }

    fn written(&self, result: Result<(), String>) {
        let failed_before = {
            let mut writer = self.writer();
            std::mem::replace(&mut writer.failed, result.is_err())
        };
        if let Err(why) = &result
            && !failed_before
        {
            tracing::warn!(
                why,
                "what the clock learnt cannot be kept for after a restart; the agent goes on without it"
            );
        }
        self.keeper().settled();
    }

    fn say(&self, learnt: Learnt, exchange: &Exchange, offset: Option<Offset>) {
        let mut said = self.inner.said.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = said.refused.take();
        let host_off = offset.map(|offset| seconds(offset.millis.saturating_neg()));
        let bound = offset.map(|offset| offset.bound.as_secs_f64());
        match learnt {
            Learnt::First => tracing::info!(
                host_clock_ahead_seconds = host_off,
                bound_seconds = bound,
                "the collector told the time; rounds of this boot are dated by it"
            ),
            Learnt::Agrees => {}
            Learnt::Drifted(by) if by.saturating_abs() < LARGE => {
                tracing::debug!(by_seconds = seconds(by), "the collector's clock drifted; rounds follow it");
            }
            Learnt::Drifted(by) => {
                tracing::info!(by_seconds = seconds(by), "the collector's clock drifted; rounds follow it");
            }
            Learnt::Stepped(by) => {
                let lately =
                    said.step.is_some_and(|at| exchange.received.saturating_sub(at) < STEPS_SAID_EVERY);
                if !lately {
                    said.step = Some(exchange.received);
                    tracing::warn!(
                        by_seconds = seconds(by),
                        bound_seconds = bound,
                        "the collector's clock was set, or this machine stood still; rounds follow the collector"
                    );
                }
            }
            Learnt::Refused(why) => {
                if refused != Some(why) {
                    let why = match why {
                        Implausible::BeforeBuild => "it is before this program was built",
                        Implausible::TooLate => "it is decades ahead",
                        Implausible::Backwards => "the answer came before its request",
                    };
                    tracing::warn!(
                        said = %exchange.server,
                        why,
                        "the collector's clock cannot be right; set it, rounds wait for it"
                    );
                }
                said.refused = Some(why);
            }
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.inner.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host's clocks now.
fn reading() -> Reading {
    Reading { since_boot: clock::since_boot(), host: clock::wall(), synchronised: clock::synchronised() }
}

/// The host's clocks at a moment that has just passed.
fn reading_at(since_boot: u64) -> Reading {
    let now = reading();
    let ago = Duration::from_millis(now.since_boot.saturating_sub(since_boot));
    Reading { since_boot, host: now.host.minus(ago), synchronised: now.synchronised }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(id: &str) -> Boot {
        Boot { id: id.into(), time: None }
    }

    /// An answer that came at once, by a collector whose clock is this far ahead of the host's.
    fn ahead(millis: i64) -> Exchange {
        let now = clock::since_boot();
        Exchange { sent: now, received: now, server: clock::wall().plus_millis(millis), resolution: 1 }
    }

    fn undated(since_boot: u64) -> Stamp {
        Stamp { since_boot, host: UnixMillis(0), synchronised: false, offset: None }
    }

    #[test]
    fn what_one_process_learns_dates_the_rounds_of_its_boot_in_the_next() {
        const HOUR: i64 = 3_600_000;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = Timekeeper::open(Some(&data), &boot("one"), clock::built());
        let stamp = first.stamp(clock::since_boot());
        assert_eq!((stamp.offset, first.date("one", &stamp)), (None, Dating::Later));
        assert_eq!(first.learn(ahead(HOUR)), Learnt::First);
        assert!(first.anchored());
        let offset = first.offset().unwrap();
        assert!(
            offset.millis.abs_diff(HOUR) <= 2000 && offset.bound < Duration::from_millis(60),
            "{offset:?}"
        );
        first.close();
        let Dating::At(at) = first.date("one", &stamp) else { panic!("not dated") };
        assert!(at.millis_since(stamp.host).abs_diff(HOUR) <= 2000);

        // The same boot again: dated as before, and stamped with the offset from the start.
        let again = Timekeeper::open(Some(&data), &boot("one"), clock::built());
        assert!(again.anchored());
        assert_eq!(again.date("one", &stamp), Dating::At(at));
        assert!(again.stamp(clock::since_boot()).offset.is_some());

        // Another boot: still the same.
        let next = Timekeeper::open(Some(&data), &boot("two"), clock::built());
        assert!(!next.anchored());
        assert_eq!(next.date("one", &stamp), Dating::At(at));
        assert_eq!(next.date("two", &undated(5)), Dating::Later);
    }

    #[test]
    fn an_anchor_that_cannot_be_kept_dates_rounds_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plain"), "").unwrap();
        for data in [None, Some(folder.path().join("plain"))] {
            let timekeeper = Timekeeper::open(data.as_deref(), &boot("one"), clock::built());
            let stamp = undated(clock::since_boot());
            timekeeper.learn(ahead(0));
            timekeeper.close();
            assert!(matches!(timekeeper.date("one", &stamp), Dating::At(_)));
        }
    }

    #[test]
    fn a_host_without_a_boot_id_remembers_nothing_and_works() {
        let folder = tempfile::tempdir().unwrap();
        let timekeeper = Timekeeper::open(Some(folder.path()), &Boot::default(), clock::built());
        timekeeper.learn(ahead(0));
        timekeeper.close();
        assert!(matches!(timekeeper.date("", &undated(1)), Dating::At(_)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_memory_is_kept_aside_and_the_agent_starts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clock"), "wanwatch-clock 1\ngood 17").unwrap();
        let timekeeper = Timekeeper::open(Some(folder.path()), &boot("one"), clock::built());
        assert!(!timekeeper.anchored());
        assert!(folder.path().join("clock.bad-1").exists());
    }

    #[test]
    fn a_stamp_is_of_the_moment_asked_for() {
        let timekeeper = Timekeeper::open(None, &boot("one"), clock::built());
        let now = clock::since_boot();
        let (earlier, later) = (timekeeper.stamp(now - 2000), timekeeper.stamp(now));
        assert_eq!(earlier.since_boot, now - 2000);
        assert!(later.host.millis_since(earlier.host).abs_diff(2000) <= 1000, "{earlier:?} {later:?}");
    }
}
