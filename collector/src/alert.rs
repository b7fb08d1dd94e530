//! Alerts: the right person, once, within seconds, and never because the monitor fell over.
//!
//! ```text
//!  province, every half second ──► observe ──► conditions ──► machine ──► states + notices ──► store (one transaction)
//!                                                               ▲                                   │
//!  acknowledgements, silences ──────────────────────────────────┘                                 outbox
//!                                                                                                   │ retried until delivered or expired
//!                                                                          route ──► render ──► channel ──► receiver
//! ```
//!
//! State and sending are apart: what is wrong and since when is decided without regard to whether anybody could be told, and
//! a receiver that is away changes nothing of it.

mod certificate;
pub mod channel;
pub mod compose;
pub mod correct;
pub mod deliver;
pub mod drill;
pub mod endpoint;
pub mod follow;
pub mod heartbeat;
pub mod hindsight;
pub mod list;
pub mod machine;
pub mod notice;
pub mod observe;
pub mod orders;
pub mod outbox;
pub mod promise;
pub mod pulse;
pub mod record;
pub mod route;
pub mod text;
pub mod watch;
#[cfg(test)]
mod year;

pub use notice::{AlertId, Event, Notice, NoticeId, Rule, Severity};
