//! `wan-agent probe`: one round of everything, as a table for people.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use tokio_util::sync::CancellationToken;
use wan_wire::{Outcome, OutcomeRule, RoundFacts, classify};

use crate::config::{Config, ProbeConfig};
use crate::{LinkRound, plan, watch};

/// What one round of everything showed.
#[derive(Debug)]
pub struct Report {
    /// The links' rounds, in the configuration's order.
    pub links: Vec<LinkRound>,
    /// What was not asked, and why.
    pub unasked: Option<String>,
}

/// Probes every target for one round, beginning now.
pub async fn probe(config: &Config, stop: &CancellationToken) -> Report {
    crate::install_crypto();
    Report { links: watch::once(config, stop).await, unasked: unasked(config) }
}

/// Why a configured target is not asked, if one is not.
pub fn unasked(config: &Config) -> Option<String> {
    let wanted = |link: &crate::config::LinkConfig| {
        link.targets.iter().any(|target| target.probe == ProbeConfig::CollectorHost)
    };
    let names: Vec<&str> =
        config.links.iter().filter(|link| wanted(link)).map(|link| link.name.as_str()).collect();
    let why = why_unasked(config).filter(|_| !names.is_empty())?;
    Some(format!("{}: `icmp: collector` is not probed, {why}", names.join(", ")))
}

/// Why a target `icmp: collector` is not asked, if it is not.
pub(crate) fn why_unasked(config: &Config) -> Option<&'static str> {
    if plan::collector_host(config).is_some() {
        return None;
    }
    Some(match config.collector {
        Some(_) => "the collector is this very host",
        None => "no collector is configured",
    })
}

/// Exit codes of `wan-agent probe`.
pub mod exit {
    /// All links are up.
    pub const UP: u8 = 0;
    /// Some link is degraded or down.
    pub const NOT_UP: u8 = 1;
    /// A mistake in the configuration or the arguments.
    pub const USAGE: u8 = 2;
    /// The instrument failed on some link.
    pub const FAULT: u8 = 3;
}

impl Report {
    /// The worst that any link showed, a fault before all: it says that the others may be incomplete too.
    pub fn exit_code(&self) -> u8 {
        let worst = self.links.iter().map(LinkRound::outcome).min();
        match worst {
            None | Some(Outcome::Fault) => exit::FAULT,
            Some(Outcome::Down | Outcome::Degraded) => exit::NOT_UP,
            Some(Outcome::Up) => exit::UP,
        }
    }

    /// The table, a line for each link's outcome, and what was not asked.
    pub fn show(&self, width: Option<u16>) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = width {
            table.set_width(width);
        }
        let head = [
            "link", "probe", "target", "outcome", "sent", "recv", "loss", "min", "median", "mean", "max",
            "note",
        ];
        table.set_header(head);
        for at in 4..=10 {
            if let Some(column) = table.column_mut(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for link in &self.links {
            for target in &link.targets {
                let mut row = vec![
                    Cell::new(&link.link),
                    Cell::new(target.series.probe),
                    Cell::new(&target.series.target),
                    Cell::new(classify(&target.facts, &link.rule)),
                ];
                row.extend(figures(&target.facts).into_iter().map(Cell::new));
                row.push(Cell::new(target.note.as_deref().unwrap_or_default()));
                table.add_row(row);
            }
        }
        let mut shown = format!("{table}\n");
        for link in &self.links {
            shown.push_str(&format!("{}: {}{}\n", link.link, link.outcome(), rule(&link.rule)));
        }
        if let Some(unasked) = &self.unasked {
            shown.push_str(&format!("{unasked}\n"));
        }
        shown
    }
}

fn figures(facts: &RoundFacts) -> [String; 7] {
    let loss = facts.loss().map_or_else(|| "-".into(), |loss| format!("{:.0} %", loss * 100.0));
    let [min, median, mean, max] = match facts.rtt {
        Some(rtt) => [rtt.min, rtt.median, rtt.mean, rtt.max].map(milliseconds),
        None => ["-", "-", "-", "-"].map(str::to_owned),
    };
    [facts.sent.to_string(), facts.received.to_string(), loss, min, median, mean, max]
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.3} ms", seconds * 1000.0)
}

fn rule(rule: &OutcomeRule) -> String {
    let limit =
        rule.rtt_limit.map_or_else(String::new, |limit| format!(", median RTT over {}", milliseconds(limit)));
    format!(" (degraded above {:.0} % loss{limit})", rule.c1 * 100.0)
}
