//! Wall time less time since boot, learnt from the collector's answers: interval algebra, pure.
//!
//! # One exchange
//!
//! The collector read its clock at some moment between the request's departure and its answer's arrival. With `server` its
//! reading, rounded down to `resolution`, the offset was then somewhere in
//!
//! ```text
//! server − received  ≤  offset  ≤  server + resolution − sent
//! ```
//!
//! however the way there and back shared the time: nothing is assumed about symmetry. The interval is as wide as the round
//! trip took; its half is the bound that is reported.
//!
//! # Many exchanges
//!
//! What was known before is widened by how far the clocks may have drifted apart since ([`DRIFT`]), and intersected with what
//! the new exchange says. So one fast answer among slow ones is worth as much as it deserves, for as long as it deserves.
//!
//! When the two are disjoint, something stepped. It was not the time since boot, which never does, so it was the collector's
//! clock (set by hand, or another collector took over), or this machine stood still without its knowing, as a paused virtual
//! machine does. Either way the newest is what holds from now on.
//!
//! # What is applied
//!
//! Rounds are dated by an *applied* offset, which moves only when the estimate excludes it. Between moves consecutive rounds
//! therefore touch to the millisecond, however the estimate trembles.

use std::time::Duration;

use wan_wire::UnixMillis;

use super::stamp::{Exchange, signed};

/// How fast the time since boot and the collector's clock may drift apart: one millisecond in so many.
///
/// That is 500 ppm, the most by which a kernel lets NTP discipline correct a clock's rate (`MAXFREQ`), and the time since
/// boot runs at that rate too. Crystals themselves stay within 100 ppm.
const DRIFT: u64 = 2000;

/// Where the offset was at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Not below this.
    pub low: i64,
    /// Not above this.
    pub high: i64,
    /// At this time since boot.
    pub at: u64,
}

/// What an exchange taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// The first time of this boot: rounds from before it can be dated now.
    First,
    /// What was known holds.
    Agrees,
    /// The clocks drifted apart: the applied offset was moved by so many milliseconds.
    Drifted(i64),
    /// It contradicts what was known: the applied offset was moved by so many milliseconds.
    Stepped(i64),
    /// The peer's clock cannot be right, for the reason given; nothing was learnt.
    Refused(Implausible),
}

/// Why a peer's clock cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implausible {
    /// It is before this program was built.
    BeforeBuild,
    /// It is further ahead than this program will be used.
    TooLate,
    /// The answer came before its request.
    Backwards,
}

impl Estimate {
    /// What one exchange says; `None` when its answer came before its request.
    ///
    /// All readings are whole milliseconds, rounded down: an answer that is received "at" 7 may have come just before 8.
    pub fn of(exchange: &Exchange) -> Option<Estimate> {
        let drift = drift(exchange.received.checked_sub(exchange.sent)?);
        let server = exchange.server.as_millis();
        let low = server.saturating_sub(signed(exchange.received)).saturating_sub(1);
        let high =
            server.saturating_add(i64::from(exchange.resolution)).saturating_sub(signed(exchange.sent));
        Some(Estimate {
            low: low.saturating_sub(drift),
            high: high.saturating_add(drift),
            at: exchange.received,
        })
    }

    /// What it says about another moment.
    pub fn at(&self, since_boot: u64) -> Estimate {
        let drift = drift(since_boot.abs_diff(self.at));
        let (low, high) = (self.low.saturating_sub(drift), self.high.saturating_add(drift));
        Estimate { low, high, at: since_boot }
    }

    /// What holds when both do, at the later one's moment; `None` when they contradict each other.
    pub fn and(&self, other: &Estimate) -> Option<Estimate> {
        let at = self.at.max(other.at);
        let (this, other) = (self.at(at), other.at(at));
        let both = Estimate { low: this.low.max(other.low), high: this.high.min(other.high), at };
        (both.low <= both.high).then_some(both)
    }

    /// Whether the offset may be this.
    pub fn holds(&self, offset: i64) -> bool {
        (self.low..=self.high).contains(&offset)
    }

    /// The middle: the value with the least possible error.
    pub fn middle(&self) -> i64 {
        // Half the distance: the sum of two large ones could overflow.
        self.low.saturating_add(self.high.saturating_sub(self.low) / 2)
    }

    /// How far the truth may be from the middle.
    pub fn bound(&self) -> Duration {
        Duration::from_millis(self.high.abs_diff(self.low).div_ceil(2))
    }
}

/// The estimate as it stands, and the offset that is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracker {
    /// The estimate.
    pub estimate: Estimate,
    /// The offset that rounds are dated by.
    pub applied: i64,
}

impl Tracker {
    /// From the first estimate of a boot.
    pub fn new(estimate: Estimate) -> Tracker {
        Tracker { estimate, applied: estimate.middle() }
    }

    /// Takes what an exchange says.
    pub fn learn(&mut self, said: Estimate) -> Learnt {
        let (estimate, stepped) = match self.estimate.and(&said) {
            Some(both) => (both, false),
            None => (said, true),
        };
        self.estimate = estimate;
        if self.estimate.holds(self.applied) {
            return Learnt::Agrees;
        }
        let moved = self.estimate.middle();
        let by = moved.saturating_sub(self.applied);
        self.applied = moved;
        if stepped { Learnt::Stepped(by) } else { Learnt::Drifted(by) }
    }
}

/// The latest time that a peer's clock may say: this long after the program was built.
const LIFETIME: Duration = Duration::from_secs(50 * 366 * 86_400);

/// Whether a peer's clock may say this time. A collector whose own clock starts in 1970 must not date anything.
pub fn plausible(server: UnixMillis, built: UnixMillis) -> Result<(), Implausible> {
    if server < built {
        return Err(Implausible::BeforeBuild);
    }
    if server > built.plus(LIFETIME) {
        return Err(Implausible::TooLate);
    }
    Ok(())
}

fn drift(millis: u64) -> i64 {
    signed(millis.div_ceil(DRIFT))
}
