//! The ledger: what was seen, and what follows from it.
//!
//! Only **evidence** is truth: who saw what, when. It is kept per (site, link, vantage) as [`span::Spans`], an algebra in
//! which arrival order, repetition and grouping of the rounds cannot matter. Everything that is shown or reported is *derived*
//! from it by pure functions of (evidence, circumstances, window, now): nothing here reads a clock, a file or a socket, and
//! nothing derived is ever edited. When a backlog arrives late, the same derivation simply gives a better answer.
//!
//! ```text
//!  rounds ─► span::Spans, one per (site, link, vantage)        stored; merges by maximum
//!               │
//!               ▼  timeline::LinkSweep      own agent first, then the best of the others, else unknown and why
//!            state of a link
//!               │
//!               ▼  timeline::KindsSweep     the best of the links of a kind
//!            state of LAN, WAN, Internet ──────────────────────────────► crate::verdict: the state now
//!               │
//!               ▼  timeline::SiteSweep      the worst of the required kinds
//!            state of a site ─► crate::report: uptime, coverage, with bounds
//! ```
//!
//! Beside the rounds, [`life::Lives`] keeps when a site's host booted and its agent started: evidence too, for causes.
//!
//! That these derivations are right is tested against an oracle that asks every rule anew at every single instant of random
//! histories (`tests/ledger_properties.rs`), and against text scenarios (`tests/scenarios/`).

pub mod cause;
pub mod incident;
pub mod life;
pub mod periods;
pub mod span;
pub mod timeline;
pub mod told;
pub mod vantage;
