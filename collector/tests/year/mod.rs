//! A province that runs for a year, with every failure known, and the ledger's answer held against it.
//!
//! [`truth`] draws what happens from a seed: cuts of carriers and of Internet lines, failures of LANs, power cuts with and without a
//! battery at the router, crashes and updates of agents, hubs and the centre among those that fail, flapping and lossy lines, planned
//! work that overruns, stops of the collector, wrong clocks, backlogs that never come. [`observe`] makes of it what agents with their
//! five packets a round would, and lets it arrive late, newest first and twice. [`expect`] says what follows for whoever knows where
//! each observer stood. [`check`] compares.
//!
//! # What the evidence can show
//!
//! Of time in which the site's agent speaks, the failure itself: what of the chain LAN, path, line, Internet line does not work. Of
//! a silence, that a boot, a restart or a loss lies in it, not when. Where Internet and WAN of different carriers fail at once, where
//! nobody tells of the parent, or where the failure is only seen from outside, `unknown` is right, and a guess is wrong.
//!
//! # Bounds
//!
//! Where the ledger's timeline differs from what is expected, it does so for at most one round for each edge that lies there, and
//! the error of the agent's clock. Causes are held against the sets of [`expect`], which count for two rounds around their time, as
//! neighbours' rounds do not end together.

mod check;
mod expect;
mod observe;
mod random;
mod times;
mod truth;

pub(crate) use check::run;
pub(crate) use truth::Size;
