//! The reference of all metrics as a Markdown document, made of the tables of [`crate::names`]: `docs/metrics.md`.

use std::fmt::Write as _;

use crate::names::{Label, Metric, MetricType, Source};

/// The command that writes the document anew.
pub const COMMAND: &str = "cargo run -p wan-wire --example metrics_doc > docs/metrics.md";

const HEAD: &str = "\
# Metrics

Every metric and label of Wanwatch, made of the tables in `agent/wire/src/names.rs`. Do not edit it: change a row there and run

    ";

const RULES: &str = "

A name that was ever in use does not change its meaning; new ones may come. **What is unknown is absent, never 0**: a link of which nothing is
known has no `wan_link_up`, a ratio of nothing has no sample. \u{201c}At most\u{201d} says how many series there can be; sites and links are
those of the register and those that its agents see.

";

const COLLECTOR: &str = "\
## Scraped from the collector

`GET /metrics`, in Prometheus' text format (0.0.4), as gzip to who takes it. What has a `window` is over the last 24 hours (`24h`), 7 or 30 days
(`7d`, `30d`), or from the start of the province's month (`month`), and of the moment at which it was last derived: every few seconds, and of
10,000 sites about every minute. Scrape it every 15 to 60 seconds. Beside these there are the `process_*` metrics that Prometheus' client
libraries have.

";

const AGENT: &str = "\
## Pushed by agents

By remote write, a sample at the end of each round or at each push. The collector writes the label `site` itself, from the sender's secret. They
are kept where the collector forwards them to, and are not in its own `/metrics`.

";

/// The document.
#[must_use]
pub fn document() -> String {
    let mut text = format!("{HEAD}{COMMAND}{RULES}");
    for (source, head) in [(Source::Collector, COLLECTOR), (Source::Agent, AGENT)] {
        text.push_str(head);
        text.push_str(
            "| name | type | unit | labels | at most | says |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        for metric in Metric::ALL.iter().filter(|metric| metric.source() == source) {
            let labels = metric.labels().iter().map(|label| format!("`{label}`"));
            let le = (metric.metric_type() == MetricType::Histogram).then(|| "`le`".to_owned());
            let labels = labels.chain(le).collect::<Vec<_>>().join(" ");
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| `{metric}` | {} | {} | {labels} | {} | {} |",
                metric.metric_type().as_str(),
                metric.unit(),
                metric.bound(),
                metric.help()
            );
        }
        text.push('\n');
    }
    text.push_str("## Labels\n\n| label | is |\n| --- | --- |\n");
    for label in Label::ALL.iter().filter(|label| **label != Label::Name) {
        let _ = writeln!(text, "| `{label}` | {} |", label.help());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_that_of_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == document(),
            "docs/metrics.md differs from agent/wire/src/names.rs; renew it: {COMMAND}"
        );
    }

    #[test]
    fn every_metric_and_label_is_in_it_once() {
        let document = document();
        for metric in Metric::ALL {
            assert_eq!(document.matches(&format!("\n| `{metric}` |")).count(), 1, "{metric}");
        }
        for label in Label::ALL.iter().filter(|label| **label != Label::Name) {
            assert_eq!(document.matches(&format!("\n| `{label}` |")).count(), 1, "{label}");
        }
        let broken =
            document.lines().filter(|line| line.starts_with("| `wan_") && line.matches('|').count() != 7);
        assert_eq!(broken.collect::<Vec<_>>(), [""; 0], "a cell has a bar in it");
    }
}
