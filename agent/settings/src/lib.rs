//! YAML that people write, read so that every mistake of a file is told at once, each with its place and its remedy.
//!
//! The agent's configuration, the collector's configuration and the register of sites are read by this one crate. Someone who
//! mends a file at a site far away is to mend it in one go, not by one run for each mistake; so a reader here never stops at
//! the first, and what it says of each is enough to act upon:
//!
//! ```text
//! collector.yaml:3:9: plan.c1: found 2, expected a share from 0 to 1, or a percentage such as 70%; 0.20 is ITU-T Y.1540's value
//! FILE          :L:C: KEY    : found …, expected …                                             ; REMEDY
//! ```
//!
//! # How a file is read
//!
//! ```text
//! read_file ──► bytes ──► Document::read ──► tree ──► At, Fields ──► the caller's types
//!  bounded                UTF-8, YAML          │          │ what is wrong is noted, and the walk goes on
//!                                              └──────────┴──► Document::finish ──► the value, or all Mistakes, located
//! ```
//!
//! 1. [`read_file`] takes a bounded number of bytes; a longer file is some other file.
//! 2. [`Document::read`] parses them into a plain tree. Only what is no YAML at all ends here, with that one mistake.
//! 3. The caller walks the tree by [`At`] and [`Fields`]. Each accessor yields the value, or notes what is wrong and yields
//!    `None`; the caller goes on with a default in its place. Rules of the caller's own are noted with [`At::wrong`].
//! 4. [`Document::finish`] gives the value if nothing was noted, else every mistake in the file's order. So a value that
//!    exists is a good one, and nothing is validated later.
//!
//! # Why it is sound
//!
//! - **Nothing is taken in silence.** A mapping is read with the list of its keys: another key is a mistake, with the nearest
//!   known one as the remedy. The tree keeps repeated keys, so that they are told rather than the last one winning.
//! - **Nothing is guessed.** Where text is wanted, a bare number or truth value has to be quoted: `1.10` and `1.1` are one number,
//!   `True` and `true` one truth value, but not one text. Durations have units, so that nobody has to know the default's.
//! - **Places cost nothing until they are needed.** The parser tells a position only with an error, so a place is found by
//!   reading the text again and failing on purpose at the node. Good files never pay for it; the work for bad ones is bounded,
//!   and past it mistakes are told by key alone.
//! - **Files are untrusted.** Sizes are bounded, text from a file is shown shortened and with its control characters escaped,
//!   and no input makes a reader panic (property tests).
//!
//! Reading a file is the only thing done with the outside. The crate has no clock and no async, and knows no key by name but those
//! of [`probes`]: what an agent probes, which agent and collector read by the same grammar.
//!
//! ```
//! use std::time::Duration;
//! use wan_settings::Document;
//!
//! let document = Document::read("a.yaml", b"interval: 5\npackts: 3\n").unwrap();
//! let interval = document.root().fields(&["interval", "packets"]).and_then(|fields| {
//!     fields.get("interval")?.duration(Duration::from_secs(1), Duration::from_secs(300))
//! });
//! assert_eq!(
//!     document.finish(interval).unwrap_err().to_string(),
//!     "a.yaml:1:11: interval: found 5, expected a duration from 1s to 5m; give it a unit, as in 5s or 5m\n\
//!      a.yaml:2:1: packts: found an unknown key, expected one of interval, packets; did you mean packets?\n\
//!      2 mistakes"
//! );
//! ```

mod file;
mod interface;
mod mistake;
pub mod probes;
pub mod units;
mod yaml;

pub use file::{CONFIGURATION_BYTES, read_file, utf8};
pub use interface::{InterfaceName, LONGEST_INTERFACE, NotAnInterface};
pub use mistake::{Mistake, Mistakes, nearest, quote};
pub use yaml::{At, Document, Fields, NodePath};
