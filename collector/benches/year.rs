//! A simulated year of a province through the ledger: 300 sites with four links each, one agent in a hundred with a wrong clock, 30 stops
//! of the collector, every derived interval, cause and incident held against what really happened (see `tests/year/`).
//!
//! `cargo bench -p wan-collector --bench year [-- SEED]`; ends with 1 when a bound is broken.

#[path = "../tests/year/mod.rs"]
mod year;

use std::process::ExitCode;

use year::{Size, run};

const YEAR: Size = Size { sites: 300, hubs: 9, days: 365, outages: 30, wrong_clocks: 100 };
/// The whole of it should take less.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

#[allow(clippy::disallowed_methods, reason = "a bench measures time")]
fn main() -> ExitCode {
    let seed = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let started = std::time::Instant::now();
    let report = run(YEAR, seed);
    let took = started.elapsed();
    println!("seed {seed}: {report}in {:.2} s", took.as_secs_f64());
    let broken = report.broken();
    for bound in &broken {
        println!("broken: {bound}");
    }
    if took > LIMIT {
        println!("broken: it took more than {LIMIT:?}");
    }
    if broken.is_empty() && took <= LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
