//! `/metrics`: the derived state of now and the collector's own counters, in Prometheus' text exposition format 0.0.4.
//!
//! Names, types and help are [`wan_wire::Metric`]'s. What is unknown is absent, never 0: a link of which nothing is known
//! has no `wan_link_up`, a ratio of nothing has no sample. Of `wan_coverage_ratio` and `wan_coverage_equipped_ratio` there is
//! one series for each tier × branch, one for each tier with branch `all`, and one for the province with both `all`;
//! `wan_coverage_sites` has only the first, so that it can be summed. What has a `window` is over the time that ends now, or some seconds
//! ago: see [`crate::rolling`].
//!
//! Cardinality: [`wan_wire::Metric::bound`] says it of each family. Per site some 25 series, per link 5 + 3 × 4 and one for each cause and window of
//! its downtime (mostly none to four), per link under a contract 9.
//!
//! # What a scrape costs
//!
//! Of 10,000 sites with four links each the text is some 100 MB. It is nowhere whole: it is written in chunks that are compressed at once
//! (`squeeze`), and what is kept and sent is the gzip of a few MB. The families over windows, most of the text, change only with the pass
//! that derives them, which compresses them too (`windows`); the rest is derived and written anew for each scrape (`now`), on a thread of
//! its own. One is made at a time, and those who wait share the next (`serve`).

mod groups;
mod now;
mod page;
mod serve;
mod squeeze;
mod windows;

use std::ops::ControlFlow;

use wan_wire::UnixMillis;

use self::page::Page;
pub(crate) use self::serve::{Scraper, Wanted, answer};
pub use self::squeeze::{Part, Scrape, Text};
pub use self::windows::Windows;
use crate::province::Province;
use crate::state::State;

/// The content type of the text exposition format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The exposition of `state` at `now`; `None` when `wanted` said in between that nobody wants it any more.
#[must_use]
pub fn scrape(state: &State, now: UnixMillis, wanted: &dyn Fn() -> bool) -> Option<Scrape> {
    let province = Province::of(state, now);
    let part = |write: &dyn Fn(&mut Page<'_>)| part(wanted, write);
    let first = part(&|page| now::write(state, &province, page))?;
    let windows = Windows::of_now(state, &province, wanted)?;
    Some(Scrape::of(&[&first, windows.part()]))
}

/// What `write` writes, compressed.
fn part(wanted: &dyn Fn() -> bool, write: &dyn Fn(&mut Page<'_>)) -> Option<Part> {
    let mut squeezer = squeeze::Squeezer::new();
    let mut failed = None;
    let mut sink = |text: &[u8]| {
        failed = squeezer.write(text).err();
        if failed.is_none() && wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let mut page = Page::new(&mut sink);
    write(&mut page);
    let whole = page.finish();
    if let Some(error) = failed {
        tracing::error!(%error, "the figures for /metrics could not be compressed");
        return None;
    }
    if whole.is_break() {
        return None;
    }
    let part = squeezer.finish();
    part.inspect_err(|error| tracing::error!(%error, "the figures for /metrics could not be compressed")).ok()
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of these centuries are below 2⁵³")]
fn seconds(at: UnixMillis) -> f64 {
    at.0 as f64 / 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "counts are below 2⁵³")]
fn number(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use wan_wire::Source;

    use wan_wire::Metric;

    use super::*;
    use crate::api::tests::{NOW, get, province, served};

    pub(crate) fn exposition(state: &State, now: UnixMillis) -> String {
        let scrape = scrape(state, now, &|| true).unwrap();
        String::from_utf8(scrape.text().collect::<Vec<_>>().concat()).unwrap()
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|have| have == line), "no line {line} in\n{text}");
    }

    #[test]
    fn the_state_of_now_is_exposed() {
        let text = exposition(&province(), NOW);
        for line in [
            "wan_site_clock_offset_seconds{site=\"trung-tam\"} -400.5",
            "wan_site_clock_offset_bound_seconds{site=\"trung-tam\"} 0.012",
            "wan_site_info{site=\"ubnd-loc-hung\",name=\"Ủy ban nhân dân xã Lộc Hưng\",tier=\"commune\",branch=\"state\",parent=\"trung-tam\",district=\"Trảng Bàng\"} 1",
            "wan_site_info{site=\"trung-tam\",name=\"Trung tâm dữ liệu\",tier=\"province\",branch=\"state\"} 1",
            "wan_site_verdict{site=\"ubnd-loc-hung\",verdict=\"wan_down\"} 1",
            "wan_link_up{site=\"ubnd-loc-hung\",link=\"wan-vnpt\",kind=\"wan\"} 0",
            "wan_link_up{site=\"ubnd-loc-hung\",link=\"lan\",kind=\"lan\"} 1",
            "wan_link_loss_ratio{site=\"ubnd-loc-hung\",link=\"wan-vnpt\",kind=\"wan\"} 1",
            "wan_link_rtt_median_seconds{site=\"trung-tam\",link=\"lan\",kind=\"lan\"} 0.012",
            "wan_coverage_ratio{tier=\"all\",branch=\"all\",bound=\"low\"} 0.4",
            "wan_coverage_ratio{tier=\"all\",branch=\"all\",bound=\"high\"} 0.6",
            "wan_coverage_ratio{tier=\"commune\",branch=\"state\",bound=\"high\"} 0.5",
            "wan_coverage_target_ratio{tier=\"commune\"} 0.5",
            "wan_coverage_sites{tier=\"commune\",branch=\"state\",state=\"unknown\"} 1",
            "wan_coverage_district_ratio{district=\"Trảng Bàng\",bound=\"low\"} 0",
            "wan_coverage_district_ratio{district=\"Trảng Bàng\",bound=\"high\"} 0.3333333333333333",
            "wan_collector_sites 5",
        ] {
            has(&text, line);
        }
    }

    #[test]
    fn what_is_unknown_is_absent() {
        let text = exposition(&province(), NOW);
        for start in [
            "wan_link_up{site=\"ubnd-don-thuan\"",
            "wan_link_loss_ratio{site=\"ubnd-don-thuan\"",
            "wan_link_rtt_median_seconds{site=\"ubnd-loc-hung\",link=\"wan-vnpt\"",
            "wan_link_up{site=\"du-hung-thuan\"",
        ] {
            assert!(!text.lines().any(|line| line.starts_with(start)), "{start}");
        }
        let observed = text.lines().find(|line| {
            line.starts_with("wan_link_observed_ratio{site=\"ubnd-don-thuan\"") && line.contains("24h")
        });
        assert!(observed.unwrap().ends_with(" 0.9583333333333334"), "23 of 24 hours: {observed:?}");
    }

    #[test]
    fn a_name_cannot_break_a_line() {
        let text = exposition(&province(), NOW);
        has(
            &text,
            "wan_site_info{site=\"hostile\",name=\"<script>alert(\\\"1\\\")</script>'&\\\\\",tier=\"district\",branch=\"mass\",parent=\"trung-tam\"} 1",
        );
    }

    #[test]
    fn every_family_is_there_once_and_its_name_is_in_the_table() {
        let text = exposition(&province(), NOW);
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("# TYPE ") else { continue };
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(seen.insert(name), "{name} twice");
            if let Some(metric) = Metric::from_bytes(name.as_bytes()) {
                assert_eq!((metric.source(), metric.metric_type().as_str()), (Source::Collector, kind));
            } else {
                assert!(name.starts_with("process_"), "{name} is not in the table");
            }
        }
    }

    #[test]
    fn it_is_served_as_prometheus_wants_it() {
        let (router, _folder) = served(&province());
        let (status, headers, body) = get(&router, "/metrics");
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, CONTENT_TYPE));
        has(&body, "wan_collector_connections 0");
    }
}
