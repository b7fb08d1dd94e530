//! The end-to-end tests, one program: real processes in a province of network namespaces, see [`wan_tests`]. They mostly wait, so as many
//! run at a time as there are cores ([`wan_tests::scene`]).

mod access;
mod alerts;
mod central;
mod clocks;
mod dashboards;
mod durability;
mod enrolment;
mod foreign;
mod forward;
mod hostile;
mod instrument;
mod outage;
mod package;
mod page;
mod province;
mod quickstart;
mod stack;
mod tls;
mod two_lines;
