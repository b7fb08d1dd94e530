//! Wanwatch's Grafana dashboards as code.
//!
//! `deploy/grafana/dashboards` holds what this makes; a test says whether both agree. To change a dashboard, change it here and run
//! `cargo run -p wan-dashboards`.
//!
//! - [`promql`] builds queries of [`wan_wire`]'s metrics and labels: no name is spelt here;
//! - [`words`] are the words of both languages, those of the collector's page among them;
//! - [`panel`] and [`dashboard`] turn what a panel says into Grafana's JSON, with places, ids and links computed;
//! - [`dashboards`] are the four dashboards;
//! - [`rules`] makes Grafana's alert rules of Prometheus' ones.

pub mod dashboard;
pub mod dashboards;
pub mod panel;
pub mod promql;
pub mod rules;
pub mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::dashboard::Dashboard;
use crate::words::Lang;

/// Every dashboard.
#[must_use]
pub fn all() -> Vec<Dashboard> {
    vec![
        dashboards::province::dashboard(),
        dashboards::site::dashboard(),
        dashboards::carriers::dashboard(),
        dashboards::monitor::dashboard(),
    ]
}

/// What each file holds, by its path beneath the folder of dashboards.
#[must_use]
pub fn files() -> BTreeMap<PathBuf, String> {
    let each = |dashboard: &Dashboard| {
        Lang::ALL.map(|lang| {
            let path = PathBuf::from(lang.code()).join(format!("{}.json", dashboard.which.slug()));
            (path, format!("{:#}\n", dashboard.json(lang)))
        })
    };
    all().iter().flat_map(each).collect()
}
