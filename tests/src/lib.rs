//! What the end-to-end tests and the benchmarks stand on: a province in network namespaces ([`netns`]), the real binaries as
//! child processes ([`process`]), a client of the collector's JSON API ([`api`]), and a remote write sender that shares no code
//! with the product ([`payload`], [`sender`]), so that it can serve as an oracle for it.
//!
//! The tests need root: they make network namespaces. A test that cannot run says so and fails; it never passes in silence.
//! They talk only to loopback and to addresses inside the namespaces they made.

pub mod api;
pub mod backlog;
pub mod browser;
pub mod clock;
pub mod collector;
pub mod hooks;
pub mod listener;
pub mod machine;
pub mod netns;
pub mod payload;
pub mod process;
pub mod receiver;
pub mod scene;
pub mod sender;
pub mod stores;
