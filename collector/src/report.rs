//! Figures from timelines: how reliably ([`uptime`]), and how much of the province ([`coverage`]).
//!
//! [`monthly`] makes a month's report of them, of how well links carried packets ([`quality`]), and of what [`contract`]s owe; [`render`] writes it in a format, and [`verify`] holds what was
//! written against the ledger.
//!
//! Every figure is counted in whole milliseconds and divided once, at the end. A ratio that is not defined (nothing was
//! observed, no site was registered) is `None`: never 0, 1 or NaN.

pub mod contract;
pub mod coverage;
pub mod model;
pub mod monthly;
pub mod quality;
pub mod render;
pub mod uptime;
pub mod verify;
