//! What is known of a moment, and what the collector's answers say about the time.

use std::fmt;

use wan_wire::UnixMillis;

/// What is known of a moment when it passes. Kept with each round until the collector has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since the host booted. Together with the boot's id it names the moment for good.
    pub since_boot: u64,
    /// What the host's clock said.
    pub host: UnixMillis,
    /// Whether the kernel held the host's clock synchronised.
    pub synchronised: bool,
    /// Wall time less time since boot, in milliseconds, where this boot knew it already. Once set it never changes, so that
    /// a round that is sent twice is sent under one time.
    pub offset: Option<i64>,
}

impl Stamp {
    /// The moment's wall time, where it was known when it passed.
    pub fn known(&self) -> Option<UnixMillis> {
        self.offset.map(|offset| wall_at(self.since_boot, offset))
    }

    /// The stamp of a moment whose wall time is known.
    #[cfg(test)]
    pub(crate) fn at(time: UnixMillis) -> Stamp {
        let since_boot = u64::try_from(time.as_millis()).unwrap();
        Stamp { since_boot, host: time, synchronised: false, offset: Some(0) }
    }

    /// For the log: the wall time as far as it was known when the moment passed, else what the host's clock said.
    pub fn apparent(&self) -> UnixMillis {
        self.known().unwrap_or(self.host)
    }
}

/// One request and its answer, as far as they tell the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// When the request began to be sent, in milliseconds since boot.
    pub sent: u64,
    /// When the answer's head had come, in milliseconds since boot.
    pub received: u64,
    /// The peer's clock when it answered, rounded down.
    pub server: UnixMillis,
    /// To so many milliseconds: 1 for `wan-time`, 1000 for `Date`.
    pub resolution: u32,
}

impl Exchange {
    /// Whether the time is a collector's: nothing else tells it to the millisecond.
    pub fn is_collectors(&self) -> bool {
        self.resolution < 1000
    }
}

/// The wall time of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dating {
    /// This.
    At(UnixMillis),
    /// Not known yet: a later contact with the collector will tell.
    Later,
    /// It will never be known.
    Never(Undatable),
}

/// Why a moment's wall time will never be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undatable {
    /// The host's clock said a time that is still to come.
    Future,
    /// The host's clock said a time before this program was built.
    BeforeBuild,
    /// The host's clock said a time at which another boot of this host ran.
    OtherBoot,
    /// Nothing shows that the host's clock was right: it was not synchronised, and not right both at the last contact before
    /// and at the start of the boot that had the first contact after.
    Unproven,
}

impl fmt::Display for Undatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Undatable::Future => {
                "its boot was never in contact, and the host's clock was ahead of the collector's"
            }
            Undatable::BeforeBuild => "its boot was never in contact, and the host's clock was years behind",
            Undatable::OtherBoot => {
                "its boot was never in contact, and the host's clock said a time of another boot"
            }
            Undatable::Unproven => {
                "its boot was never in contact, and nothing shows that the host's clock was right"
            }
        })
    }
}

/// So many milliseconds since boot, as wall time.
pub(super) fn wall_at(since_boot: u64, offset: i64) -> UnixMillis {
    UnixMillis(signed(since_boot)).plus_millis(offset)
}

pub(super) fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
