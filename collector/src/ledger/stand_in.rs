//! The two words of the wire contract that evidence is made of.

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

/// What a round showed, from the least to the most that can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The instrument failed: nothing is known of the link.
    Fault,
    /// None of the packets was answered.
    Down,
    /// Some were answered, but too few or too late.
    Degraded,
    /// The link carried the round.
    Up,
}
