//! Wanwatch's collector: evidence from agents in, coverage and uptime of the province out.

pub mod clock;
pub mod config;
pub mod inventory;
pub mod ledger;
pub mod mistake;
pub mod report;
pub mod store;
pub mod verdict;
mod yaml;
