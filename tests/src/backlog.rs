//! Rounds of an outage that never was, written to an agent's queue by the agent's own code.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use wan_agent::Series;
use wan_agent::clock::Stamp;
use wan_agent::config::QueueConfig;
use wan_agent::queue::record::Record;
use wan_agent::queue::{DataFolder, Queue};
use wan_wire::{LinkName, ProbeKind, RoundFacts, Rtt, UnixMillis};

/// What is written.
#[derive(Debug, Clone)]
pub struct Outage {
    /// The boot in which the rounds were made.
    pub boot: String,
    /// Targets of each link: (link, how many).
    pub links: Vec<(&'static str, u32)>,
    /// How long a round is.
    pub interval: Duration,
    /// The end of the first round, in milliseconds since boot.
    pub first: u64,
    /// How many rounds each link has.
    pub rounds: u64,
    /// Wall time less time since boot, where the rounds know it.
    pub offset: Option<i64>,
}

/// The shortest round-trip time of a target's round: it tells which one it is, and the value comes back bit for bit.
pub fn mark(number: u64) -> f64 {
    Duration::from_nanos(20_000_000 + number).as_secs_f64()
}

impl Outage {
    /// Writes it to the queue in the data folder, which no agent uses now. Rounds that are there stay.
    pub fn write(&self, data: &Path) -> Result<()> {
        let config = QueueConfig { disk: 4 << 30, ..QueueConfig::default() };
        let queue = Queue::new(config, &self.boot, Some(DataFolder(data.to_owned())));
        let boot: Arc<str> = self.boot.as_str().into();
        let mut series = Vec::new();
        for (link, count) in &self.links {
            let link = LinkName::parse(link)?;
            let target = |at: u32| Series {
                link: link.clone(),
                probe: ProbeKind::Icmp,
                target: format!("10.79.{}.{}", 100 + at / 250, 1 + at % 250),
                about: None,
            };
            series.push((link.clone(), (0..*count).map(|at| Arc::new(target(at))).collect::<Vec<_>>()));
        }
        let interval = u64::try_from(self.interval.as_millis())?;
        let mut now = Duration::ZERO;
        queue.tend(now);
        queue.set_offline(true);
        for number in 0..self.rounds {
            for (link, targets) in &series {
                let facts = |at: usize| {
                    let noise = 1e-6
                        * f64::from(u32::try_from((number * 7919 + at as u64 * 104_729) % 900).unwrap_or(0));
                    let min = mark(number);
                    let rtt = Rtt { min, median: min + noise, mean: min + noise, max: min + 2.0 * noise };
                    RoundFacts { sent: 5, received: 5, rtt: Some(rtt), fault: false }
                };
                let since_boot = self.first + number * interval;
                queue.push(Record {
                    boot: Arc::clone(&boot),
                    link: link.clone(),
                    end: Stamp { since_boot, host: UnixMillis(0), synchronised: false, offset: self.offset },
                    interval: self.interval,
                    targets: targets
                        .iter()
                        .enumerate()
                        .map(|(at, one)| (Arc::clone(one), facts(at)))
                        .collect(),
                });
            }
            if number % 200 == 199 {
                now += Duration::from_secs(60);
                queue.tend(now);
            }
        }
        ensure!(queue.close(now) == 0, "the queue in {} cannot be written", data.display());
        let dropped = queue.figures().dropped_samples;
        (dropped == 0).then_some(()).ok_or_else(|| anyhow!("{dropped} samples did not fit"))
    }
}
