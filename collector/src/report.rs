//! Figures from timelines: how reliably ([`uptime`]), and how much of the province ([`coverage`]).
//!
//! Every figure is counted in whole milliseconds and divided once, at the end. A ratio that is not defined (nothing was
//! observed, no site was registered) is `None`: never 0, 1 or NaN.

pub mod coverage;
pub mod uptime;
