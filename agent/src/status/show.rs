//! A status for people.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{ConfigStatus, LinkStatus, PathState, PathStatus, QueueStatus, RoundStatus, Status};
use crate::config::show_duration;

/// The status as text, with times in `zone`.
pub fn show(status: &Status, zone: &TimeZone, width: Option<u16>) -> String {
    let mut out = String::new();
    let at = |millis: i64| local(millis, zone);
    let site = status.site.as_deref().map(|site| format!(" for site {site}")).unwrap_or_default();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "wan-agent {}{site}, process {}, since {}",
        status.version,
        status.pid,
        at(status.started)
    );
    for path in &status.collector {
        let _ = writeln!(out, "{}", push(path, &at));
    }
    let _ = writeln!(out, "clock: {}", clock(status));
    let _ = writeln!(out, "queue: {}", queue(&status.queue, &at));
    let _ = writeln!(out, "configuration: {}", config(&status.config, &at));
    let _ = writeln!(out, "rounds: {}", round(&status.config.round));
    let _ = writeln!(out, "{}", table(&status.links, &at, width));
    out
}

fn push(path: &PathStatus, at: &dyn Fn(i64) -> String) -> String {
    let last = path
        .last_success
        .map_or_else(|| "never delivered".to_owned(), |time| format!("last delivered {}", at(time)));
    let failed = match (&path.last_error, path.last_failure) {
        (Some(error), Some(time)) => format!("; last failed {}: {error}", at(time)),
        _ => String::new(),
    };
    let state = match path.state {
        PathState::Untried => "not used yet",
        PathState::Works => "works",
        PathState::Fails => "FAILS",
    };
    format!("push by {} to {}: {state}, {last}{failed}", path.path, path.url)
}

fn clock(status: &Status) -> String {
    let clock = &status.clock;
    match (clock.offset_ms, clock.bound_ms) {
        (Some(offset), Some(bound)) => {
            let side = match offset {
                0 => "the host's clock is the collector's".to_owned(),
                1.. => format!("the host's clock is {} behind the collector's", seconds(offset)),
                _ => format!(
                    "the host's clock is {} ahead of the collector's",
                    seconds(offset.saturating_neg())
                ),
            };
            format!("{side}, give or take {}", seconds(i64::try_from(bound).unwrap_or(i64::MAX)))
        }
        _ if clock.anchored => "known from the collector".to_owned(),
        _ => "the collector has not told the time since this host booted; rounds are dated when it does"
            .to_owned(),
    }
}

fn queue(queue: &QueueStatus, at: &dyn Fn(i64) -> String) -> String {
    let mut text = match queue.rounds {
        0 => "nothing waits".to_owned(),
        rounds => {
            let oldest =
                queue.oldest.map(|time| format!(", the oldest from {}", at(time))).unwrap_or_default();
            format!("{rounds} rounds wait{oldest}")
        }
    };
    let _ = write!(text, "; {} in memory, {} on disk", size(queue.memory_bytes), size(queue.disk_bytes));
    if queue.dropped_samples > 0 {
        let _ = write!(text, "; {} samples DROPPED since the start", queue.dropped_samples);
    }
    if queue.undated_rounds > 0 {
        let _ = write!(text, "; {} rounds without a date set aside", queue.undated_rounds);
    }
    if queue.disk_failed {
        text.push_str("; the disk CANNOT BE USED, see the log");
    }
    text
}

fn config(config: &ConfigStatus, at: &dyn Fn(i64) -> String) -> String {
    let mut text = match &config.etag {
        None if !config.central => "the agent's own file (it says central: off)".to_owned(),
        None => "the agent's own file; the collector has said nothing that holds".to_owned(),
        Some(etag) => {
            let what = match config.sections.as_slice() {
                [] => "the agent's own file, as the collector says".to_owned(),
                sections => format!("the collector's {}", sections.join(", ")),
            };
            let since = match config.applied {
                Some(time) => format!("since {}", at(time)),
                None => "from the next round on".to_owned(),
            };
            format!("{what} {etag}, {since}")
        }
    };
    if let Some(refused) = &config.refused {
        let _ = write!(text, "\n  REFUSED {} at {}: {}", refused.etag, at(refused.at), refused.reason);
    }
    if let Some(trouble) = &config.trouble {
        let _ = write!(text, "\n  at the start: {trouble}");
    }
    if let Some(unkept) = &config.unkept {
        let _ = write!(text, "\n  NOT KEPT for the next start: {unkept}");
    }
    text
}

fn round(round: &RoundStatus) -> String {
    let length = |millis: u64| show_duration(Duration::from_millis(millis));
    format!(
        "{} packets in {}, each answered within {} ({}); ICMP socket {} ({})",
        round.packets,
        length(round.interval_ms),
        length(round.timeout_ms),
        round.origin,
        round.socket,
        round.socket_origin
    )
}

fn table(links: &[LinkStatus], at: &dyn Fn(i64) -> String, width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    table.set_header(["link", "of site", "targets", "from", "outcome", "since", "why"]);
    for link in links {
        table.add_row([
            link.link.clone(),
            link.about.clone().unwrap_or_default(),
            link.targets.join(", "),
            link.origin.clone(),
            // Only of what is never asked there is something to say before it was.
            link.outcome.clone().unwrap_or_else(|| if link.why.is_some() { "–" } else { "not yet" }.into()),
            link.since.map(at).unwrap_or_default(),
            link.why.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn local(millis: i64, zone: &TimeZone) -> String {
    let shown = Timestamp::from_millisecond(millis)
        .map(|time| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string());
    shown.unwrap_or_else(|_| millis.to_string())
}

fn seconds(millis: i64) -> String {
    if millis < 10_000 { format!("{millis} ms") } else { format!("{} s", millis / 1000) }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
