//! The two words of the wire contract that evidence is made of.

pub use wan_wire::{Outcome, UnixMillis};
