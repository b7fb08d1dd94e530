//! Wanwatch collector.

pub mod ledger;
