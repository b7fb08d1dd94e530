//! A stamp's wall time: pure.
//!
//! In this order:
//!
//! 1. A stamp that has an offset is at that offset.
//! 2. A stamp of a boot that was in contact, this one or a former one, is at the offset which that boot learnt first. The
//!    time since boot never steps, so one contact dates all of a boot.
//! 3. A stamp of this boot, which was not in contact yet, waits. So does one of a former boot until this one is in contact:
//!    until then nothing says what lies in the future.
//! 4. A stamp of a former boot that was never in contact has only the host's clock. It is believed when it does not
//!    contradict what is known (not in the future, not before this program was built, and not while another boot ran) and
//!    - the kernel held it synchronised at that moment, or
//!    - it was right at the last contact before, and right again at the first contact of the next boot without having been
//!      set in between: then the battery of its clock is good.
//! 5. Else it will never be known. A round without a time is evidence of nothing; a round under a wrong one is false evidence.

use std::time::Duration;

use wan_wire::UnixMillis;

use super::memory::{BootMemory, Memory};
use super::stamp::{Dating, Stamp, Undatable, wall_at};

/// A host's clock is right within this: what a battery-backed clock gains or loses in some days without power.
pub const RIGHT: Duration = Duration::from_secs(5);

/// What is known when a stamp is dated.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// The boots that were in contact.
    pub memory: &'k Memory,
    /// The boot that runs now.
    pub boot: &'k str,
    /// The collector's time now, where this boot knows it.
    pub now: Option<UnixMillis>,
    /// When this program was built.
    pub built: UnixMillis,
}

/// The wall time of a moment of the boot with this id.
pub fn date(known: &Known<'_>, boot: &str, stamp: &Stamp) -> Dating {
    if let Some(at) = stamp.known() {
        return Dating::At(at);
    }
    if let Some(boot) = known.memory.boot(boot) {
        return Dating::At(wall_at(stamp.since_boot, boot.anchor));
    }
    let Some(now) = known.now.filter(|_| boot != known.boot) else { return Dating::Later };
    by_host_clock(known, now, stamp)
}

fn by_host_clock(known: &Known<'_>, now: UnixMillis, stamp: &Stamp) -> Dating {
    let at = stamp.host;
    let began = at.minus(Duration::from_millis(stamp.since_boot));
    if at > now {
        return Dating::Never(Undatable::Future);
    }
    if at < known.built {
        return Dating::Never(Undatable::BeforeBuild);
    }
    let overlaps =
        |other: &&BootMemory| began.plus(RIGHT) < other.last_seen() && at.minus(RIGHT) > other.began();
    if known.memory.boots.iter().find(overlaps).is_some() {
        return Dating::Never(Undatable::OtherBoot);
    }
    if stamp.synchronised {
        return Dating::At(at);
    }
    let boots = &known.memory.boots;
    let before = boots.iter().filter(|other| other.began() < at).max_by_key(|other| other.last_seen());
    let after =
        boots.iter().filter(|other| other.began() >= at.minus(RIGHT)).min_by_key(|other| other.began());
    match (before, after) {
        (Some(before), Some(after)) if is_right(before.last.error) && after.kept => Dating::At(at),
        (Some(_) | None, Some(_) | None) => Dating::Never(Undatable::Unproven),
    }
}

/// Whether a host's clock that is ahead of the collector's by so many milliseconds is right.
pub fn is_right(error: i64) -> bool {
    u128::from(error.unsigned_abs()) <= RIGHT.as_millis()
}
