//! The `wan-collector` command.

use std::process::ExitCode;

use clap::Parser as _;
use wan_collector::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
