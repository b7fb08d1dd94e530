//! The command line: one module for each group of commands.
//!
//! Exit codes, for all of them: 0 done; 1 it failed, or mistakes were found; 2 the command line itself is wrong.

pub mod agents;
pub mod alerts;
mod ask;
pub mod certificate;
pub mod config;
pub mod coverage;
pub mod drill;
pub mod enroll;
mod figures;
pub mod incidents;
mod output;
pub mod planned;
pub mod quality;
pub mod reach;
pub mod report;
mod selection;
pub mod senders;
pub mod serve;
pub mod sites;
pub mod tokens;
pub mod uptime;
pub mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wan_settings::Mistakes;

use crate::config::DEFAULT_PATH;

/// The Wanwatch collector: takes what agents push, and answers how much of the WAN is connected and how reliably.
#[derive(Debug, Parser)]
#[command(name = "wan-collector", version, propagate_version = true)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, global = true, env = "WANWATCH_CONFIG", default_value = DEFAULT_PATH, value_name = "FILE")]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector until SIGTERM or Ctrl-C.
    Serve(serve::Args),
    /// Check the configuration, and show what an agent is told to probe.
    #[command(subcommand)]
    Config(config::Command),
    /// The same as `config check`.
    #[command(hide = true)]
    CheckConfig,
    /// Show the certificate by which agents and browsers know this collector, and the pin of its key.
    Certificate(certificate::Args),
    /// Check, import and list the register of sites.
    #[command(subcommand)]
    Sites(sites::Sites),
    #[command(alias = "enrol")]
    #[allow(missing_docs, reason = "its help is its own; a comment here would take its place")]
    Enroll(enroll::Args),
    /// Issue, list, rotate and revoke the secrets by which agents prove their site.
    #[command(subcommand)]
    Agents(agents::Agents),
    /// Issue, list and revoke the credentials of those who push and are no agents: Prometheus, vmagent, Telegraf.
    #[command(subcommand)]
    Senders(senders::Senders),
    /// Add, list and remove the people who may log in.
    #[command(subcommand)]
    Users(users::Users),
    /// Make, list and revoke the tokens by which scrapers and scripts read.
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// Plan works that are not to count, list them, and end them.
    #[command(subcommand)]
    Planned(planned::Planned),
    /// Print how much of the province is connected, by tier and branch, against the plan.
    Coverage(coverage::Args),
    /// Print how much of the province reaches each shared system, by tier.
    Reach(reach::Args),
    /// Print how reliable sites and links were.
    Uptime(uptime::Args),
    /// Print outages, degradations and gaps with their causes.
    Incidents(incidents::Args),
    /// List alerts, take them up, and ask that they are not told for a while.
    #[command(subcommand)]
    Alerts(alerts::Alerts),
    /// Try the way of alerts: send a marked test by the routes and channels, and print how long each step took.
    Drill(drill::Args),
    /// Print how well the links of a site carried packets: loss, round-trip times, jitter.
    Quality(quality::Args),
    /// Make the report of a month, or check one that was kept against the ledger.
    Report(report::Args),
}

/// Runs a command; what goes wrong is said on standard error.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Serve(args) => serve::run(&cli.config, &args),
        Command::Config(command) => config::run(&cli.config, &command),
        Command::CheckConfig => config::run(&cli.config, &config::Command::Check),
        Command::Certificate(args) => certificate::run(&cli.config, &args),
        Command::Sites(command) => sites::run(&cli.config, &command),
        Command::Enroll(args) => enroll::run(&cli.config, &args),
        Command::Agents(command) => agents::run(&cli.config, &command),
        Command::Senders(command) => senders::run(&cli.config, &command),
        Command::Users(command) => users::run(&cli.config, &command),
        Command::Tokens(command) => tokens::run(&cli.config, &command),
        Command::Planned(command) => planned::run(&cli.config, &command),
        Command::Coverage(args) => coverage::run(&cli.config, &args),
        Command::Reach(args) => reach::run(&cli.config, &args),
        Command::Uptime(args) => uptime::run(&cli.config, &args),
        Command::Incidents(args) => incidents::run(&cli.config, &args),
        Command::Alerts(command) => alerts::run(&cli.config, &command),
        Command::Drill(args) => drill::run(&cli.config, &args),
        Command::Quality(args) => quality::run(&cli.config, &args),
        Command::Report(args) => report::run(&cli.config, &args),
    };
    match result {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stderr, reason = "this is where a command says what went wrong")]
fn fail(error: &anyhow::Error) -> ExitCode {
    if error.is::<Mistakes>() {
        // One line for each mistake, each beginning with file and line.
        eprintln!("{error}");
    } else {
        eprintln!("wan-collector: {error:#}");
    }
    ExitCode::FAILURE
}
