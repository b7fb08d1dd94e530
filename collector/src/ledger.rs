//! The ledger: what was seen, and what follows from it.
//!
//! Only **evidence** is truth: who saw what, when. It is kept per (site, link, vantage) as [`span::Spans`], an algebra
//! in which arrival order, repetition and grouping of the rounds cannot matter. Everything that is shown or reported is
//! *derived* from it by pure functions of (evidence, window, now): nothing here reads a clock, a file or a socket, and
//! nothing derived is ever edited. When a backlog arrives late, the same derivation simply gives a better answer.

pub mod span;
pub mod timeline;
