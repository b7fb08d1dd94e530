//! The agent's time as a whole, without clocks and files: what is learnt, what is remembered, and how moments are dated.
//!
//! Everything that reads a clock is an argument: a [`Reading`] of the host's clocks at the moment of the call.
//!
//! # As of when certificates are judged
//!
//! A certificate is in time when it is so now by the best estimate, which never is before the *floor*: the last time that was
//! known to be right, or this program's build. While the collector's time is not confirmed, one that is in time at any moment
//! from the floor on is in time. Confirmed is a time that the collector told without a step for [`GOOD_AFTER`], the last time
//! less than that ago: an answer that nobody repeated proves nothing, and after a silence as long nobody knows how long this
//! machine stood still (a paused virtual machine does not notice).
//!
//! What this gives away: who has the key of a certificate that ended after the floor, and stands on the line, is taken for
//! the collector. The floor is what bounds that, and so must not be wrong: it is set by confirmed times only. A collector
//! that was wrong for that long put it into the future, where its right certificates have ended, and it cannot correct that
//! without an answer. So after [`GOOD_AFTER`] of nothing but certificates that have ended, the floor is the build alone until
//! the next answer; when that is from before the last time known, that one is forgotten. To gain anything by this, one has to
//! keep the agent from its collector for an hour of its running, show it all that time the certificate of a key that was
//! stolen since the build, and be heard of in the log.

use std::time::Duration;

use wan_wire::UnixMillis;

use super::dating::{self, Known, is_right};
use super::memory::{BootMemory, Contact, Memory};
use super::offset::{Estimate, Implausible, Learnt, Tracker, plausible};
use super::stamp::{Dating, Exchange, Stamp, signed, wall_at};

/// How often the memory is written while all is well. An hour more or less changes nothing that is derived from it, and a
/// card that bears 10,000 writes of a block bears this for longer than its box.
pub const SAVE_EVERY: Duration = Duration::from_secs(3600);

/// How long the collector must have told one time, without a step, for that time to count as known good: a clock that was
/// set wrongly for a moment must not become a floor that no later correction can get under.
pub const GOOD_AFTER: Duration = Duration::from_millis(GOOD_AFTER_MILLIS);
const GOOD_AFTER_MILLIS: u64 = 3_600_000;

/// How often an anchor is put right, at most: each time the memory is written, and cards wear. Two receivers whose clocks
/// differ would have it moved at each push.
const MOST_ANCHORS: u32 = 16;

/// A host's clock that is believed for want of anything better may move by so many milliseconds (slewed by NTP, say) before
/// rounds follow it.
const TREMBLE: i64 = 500;

/// The host's clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Milliseconds since the host booted.
    pub since_boot: u64,
    /// The host's wall clock.
    pub host: UnixMillis,
    /// Whether the kernel holds it synchronised.
    pub synchronised: bool,
}

impl Reading {
    fn host_offset(&self) -> i64 {
        self.host.as_millis().saturating_sub(signed(self.since_boot))
    }
}

/// The collector's clock against the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// The collector's clock less the host's, in milliseconds.
    pub millis: i64,
    /// How far the truth may be from that.
    pub bound: Duration,
}

/// The agent's time.
#[derive(Debug, Clone)]
pub struct Keeper {
    boot: String,
    built: UnixMillis,
    memory: Memory,
    opened: Reading,
    tracker: Option<Tracker>,
    assumed: Option<Assumed>,
    /// Since when the collector has told one time, in milliseconds since boot.
    agreed_since: Option<u64>,
    /// Since when, in milliseconds since boot, all that came instead of an answer was a certificate that has ended.
    ended_since: Option<u64>,
    /// Whether that doubt of what was known to be right was told.
    is_doubt_said: bool,
    /// How often this boot's anchor was put right.
    anchors: u32,
    /// When the memory was last given out to be written.
    saved: Option<u64>,
    /// Whether this boot's anchor would survive a power cut, or nothing can make it.
    anchor_safe: bool,
}

/// The host's clock, taken for right for want of anything better.
#[derive(Debug, Clone, Copy)]
struct Assumed {
    tracker: Tracker,
    anchor: i64,
}

impl Keeper {
    /// For the boot with this id, from what is remembered.
    pub fn new(memory: Memory, boot: &str, built: UnixMillis, opened: Reading) -> Keeper {
        let resumed = memory.boot(boot).filter(|boot| !boot.id.is_empty()).cloned();
        let tracker = resumed.as_ref().map(|boot| Tracker { estimate: boot.estimate, applied: boot.applied });
        Keeper {
            boot: boot.to_owned(),
            built,
            memory,
            opened,
            tracker,
            assumed: None,
            agreed_since: resumed.as_ref().map(|boot| boot.last.since_boot),
            ended_since: None,
            is_doubt_said: false,
            anchors: 0,
            saved: resumed.as_ref().map(|boot| boot.last.since_boot),
            anchor_safe: resumed.is_some(),
        }
    }

    /// Takes an answer's time.
    pub fn learn(&mut self, exchange: &Exchange, now: &Reading) -> Learnt {
        let said = match self.estimate(exchange) {
            Ok(said) => said,
            Err(why) => return Learnt::Refused(why),
        };
        let learnt = match &mut self.tracker {
            Some(tracker) => tracker.learn(said),
            None => {
                self.tracker = Some(Tracker::new(said));
                Learnt::First
            }
        };
        let Some(tracker) = self.tracker else { return learnt };
        self.assumed = None;
        let stepped = matches!(learnt, Learnt::Stepped(_));
        if self.agreed_since.is_none() || stepped {
            self.agreed_since = Some(exchange.received);
        }
        let time = wall_at(now.since_boot, tracker.applied);
        if self.is_floor_in_doubt(now.since_boot) && time < self.memory.good {
            (self.memory.good, self.saved) = (UnixMillis(0), None);
        }
        (self.ended_since, self.is_doubt_said) = (None, false);
        let contact = Contact { since_boot: now.since_boot, error: now.host.millis_since(time) };
        match self.memory.boot_mut(&self.boot) {
            Some(boot) => {
                // The first answers may be of a collector whose own clock was not set yet: rounds that wait for their time must
                // not get that one. An anchor that has held for as long as a time needs to be confirmed stays.
                let is_young = boot.last.since_boot.saturating_sub(boot.first.since_boot) < GOOD_AFTER_MILLIS;
                (boot.applied, boot.last, boot.estimate) = (tracker.applied, contact, tracker.estimate);
                if stepped && is_young && self.anchors < MOST_ANCHORS {
                    boot.anchor = tracker.applied;
                    (self.anchors, self.anchor_safe, self.saved) = (self.anchors + 1, false, None);
                }
            }
            None => {
                let untouched = !self.opened.synchronised
                    && is_right(now.host_offset().saturating_sub(self.opened.host_offset()));
                self.memory.add(BootMemory {
                    id: self.boot.clone(),
                    anchor: tracker.applied,
                    applied: tracker.applied,
                    first: contact,
                    kept: untouched && is_right(contact.error),
                    last: contact,
                    estimate: tracker.estimate,
                });
            }
        }
        if self.is_confirmed(now.since_boot) {
            self.memory.good = time;
        }
        learnt
    }

    /// All that came instead of an answer was a certificate that has ended. Whether it is from now on that what was known to
    /// be right is in doubt.
    pub fn certificate_ended(&mut self, since_boot: u64) -> bool {
        self.ended_since.get_or_insert(since_boot);
        let begins =
            self.is_floor_in_doubt(since_boot) && !self.is_doubt_said && self.memory.good > self.built;
        self.is_doubt_said |= begins;
        begins
    }

    /// A receiver took a request and gave no time at all: the host's clock is what there is, if it can be right.
    pub fn assume_host(&mut self, now: &Reading) {
        if self.tracker.is_some() {
            return;
        }
        if plausible(now.host, self.built).is_err() {
            return;
        }
        let (offset, at) = (now.host_offset(), now.since_boot);
        let said = Estimate { low: offset.saturating_sub(TREMBLE), high: offset.saturating_add(TREMBLE), at };
        match &mut self.assumed {
            // Its steps are moves like the collector's.
            Some(assumed) => {
                let _ = assumed.tracker.learn(said);
            }
            None => {
                let tracker = Tracker::new(said);
                self.assumed = Some(Assumed { tracker, anchor: tracker.applied });
            }
        }
    }

    /// The moment of this reading, with what is known of it.
    pub fn stamp(&self, at: &Reading) -> Stamp {
        Stamp {
            since_boot: at.since_boot,
            host: at.host,
            synchronised: at.synchronised,
            offset: self.applied(),
        }
    }

    /// The best estimate of a moment's wall time.
    pub fn wall(&self, since_boot: u64, now: &Reading) -> UnixMillis {
        wall_at(since_boot, self.applied().unwrap_or_else(|| now.host_offset()))
    }

    /// The time now, where the collector told it or a receiver that tells none took a request.
    pub fn told(&self, since_boot: u64) -> Option<UnixMillis> {
        self.applied().map(|applied| wall_at(since_boot, applied))
    }

    /// The time now, where the collector's is confirmed: for what cannot be taken back.
    pub fn confirmed(&self, since_boot: u64) -> Option<UnixMillis> {
        self.told(since_boot).filter(|_| self.is_confirmed(since_boot))
    }

    /// Whether this boot has an offset from the collector.
    pub fn anchored(&self) -> bool {
        self.tracker.is_some()
    }

    /// The wall time of a moment of the boot with this id.
    pub fn date(&self, boot: &str, stamp: &Stamp, since_boot: u64) -> Dating {
        if stamp.offset.is_none() && boot == self.boot {
            // An anchor that a power cut could take away dates nothing yet: a round must not get two times.
            if self.tracker.is_some() && !self.anchor_safe {
                return Dating::Later;
            }
            if let Some(assumed) = &self.assumed {
                return Dating::At(wall_at(stamp.since_boot, assumed.anchor));
            }
        }
        let now = self.tracker.map(|tracker| wall_at(since_boot, tracker.applied));
        let known = Known { memory: &self.memory, boot: &self.boot, now, built: self.built };
        dating::date(&known, boot, stamp)
    }

    /// The wall time of a moment of this boot as it would be dated now, whether or not that would last: for what lies between
    /// two moments, not for when they were.
    pub fn meant(&self, stamp: &Stamp) -> Option<UnixMillis> {
        let assumed = self.assumed.map(|assumed| assumed.anchor);
        let anchor = || self.memory.boot(&self.boot).map(|boot| boot.anchor).or(assumed);
        stamp.known().or_else(|| anchor().map(|anchor| wall_at(stamp.since_boot, anchor)))
    }

    /// The collector's clock against the host's.
    pub fn offset(&self, now: &Reading) -> Option<Offset> {
        let estimate = self.tracker?.estimate.at(now.since_boot);
        let millis = estimate.middle().saturating_sub(now.host_offset());
        Some(Offset { millis, bound: estimate.bound() })
    }

    /// As of when certificates are judged: the best estimate of now, not before the floor; and that floor, until the
    /// collector's time is confirmed.
    pub fn tls_times(&self, now: &Reading) -> (UnixMillis, Option<UnixMillis>) {
        let known = self.memory.good.max(self.built);
        let best = self.wall(now.since_boot, now).max(known);
        let floor = if self.is_floor_in_doubt(now.since_boot) { self.built } else { known };
        (best, (!self.is_confirmed(now.since_boot)).then_some(floor))
    }

    /// The memory's text when it is to be written now.
    pub fn due(&mut self, since_boot: u64) -> Option<String> {
        self.tracker?;
        let every = u64::try_from(SAVE_EVERY.as_millis()).unwrap_or(u64::MAX);
        let fresh = self.saved.is_some_and(|saved| since_boot.saturating_sub(saved) < every);
        if fresh {
            return None;
        }
        self.saved = Some(since_boot);
        Some(self.memory.render())
    }

    /// The memory's text, whether due or not; `None` while this boot has nothing to add.
    pub fn text(&self) -> Option<String> {
        self.tracker.map(|_| self.memory.render())
    }

    /// The memory was written, or cannot be: in both cases this boot's anchor is all there will be.
    pub fn settled(&mut self) {
        self.anchor_safe = true;
    }

    fn applied(&self) -> Option<i64> {
        self.tracker.or(self.assumed.map(|assumed| assumed.tracker)).map(|tracker| tracker.applied)
    }

    fn estimate(&self, exchange: &Exchange) -> Result<Estimate, Implausible> {
        plausible(exchange.server, self.built)?;
        Estimate::of(exchange).ok_or(Implausible::Backwards)
    }

    /// Whether the collector has told one time for long enough, when it was last heard.
    fn has_agreed(&self) -> bool {
        let last = self.memory.boot(&self.boot).map(|boot| boot.last.since_boot);
        self.agreed_since
            .zip(last)
            .is_some_and(|(since, last)| last.saturating_sub(since) >= GOOD_AFTER_MILLIS)
    }

    fn is_confirmed(&self, since_boot: u64) -> bool {
        let last = self.memory.boot(&self.boot).map(|boot| boot.last.since_boot);
        self.has_agreed() && last.is_some_and(|last| since_boot.saturating_sub(last) < GOOD_AFTER_MILLIS)
    }

    fn is_floor_in_doubt(&self, since_boot: u64) -> bool {
        self.ended_since.is_some_and(|since| since_boot.saturating_sub(since) >= GOOD_AFTER_MILLIS)
    }
}

#[cfg(test)]
mod tests;
