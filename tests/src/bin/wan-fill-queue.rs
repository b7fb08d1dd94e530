//! Fills an agent's queue with the rounds of an outage: for measuring the start, and the backlog's delivery.
//!
//! The rounds are of another boot, know their time, and end about now. The agent of that data folder must not run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use wan_tests::backlog::Outage;
use wan_tests::clock;

#[derive(Parser)]
#[command(about = "Writes the rounds of an outage to an agent's queue and prints what it wrote")]
struct Arguments {
    /// The agent's data folder.
    #[arg(long)]
    data: PathBuf,
    /// How many days.
    #[arg(long, default_value_t = 7.0)]
    days: f64,
    /// How many targets: two fifths on `lan`, the rest on `wan` and `internet`.
    #[arg(long, default_value_t = 20)]
    targets: u32,
    /// The length of a round in seconds.
    #[arg(long, default_value_t = 5)]
    interval: u64,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::print_stdout)]
fn main() -> Result<()> {
    let Arguments { data, days, targets, interval } = Arguments::parse();
    ensure!(days > 0.0 && days < 1000.0 && interval > 0 && targets > 0, "nothing to write");
    let rounds = (days * 86_400.0 / interval as f64) as u64;
    let (lan, rest) = (targets * 2 / 5, targets - targets * 2 / 5);
    let links = [("lan", lan), ("wan", rest / 2), ("internet", rest - rest / 2)];
    let first = 1_000 * interval;
    let end = i64::try_from(first + rounds * interval * 1000)?;
    let outage = Outage {
        boot: "3f2504e0-4f89-41d3-9a0c-0305e82c3301".to_owned(),
        links: links.into_iter().filter(|(_, count)| *count > 0).collect(),
        interval: Duration::from_secs(interval),
        first,
        rounds,
        offset: Some(clock::unix_millis() - end),
    };
    outage.write(&data)?;
    let mut bytes = 0;
    for entry in std::fs::read_dir(data.join("queue"))? {
        bytes += entry?.metadata()?.len();
    }
    println!("{} rounds of {targets} targets, {bytes} bytes", rounds);
    Ok(())
}
