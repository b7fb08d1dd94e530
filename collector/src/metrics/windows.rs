//! The families over windows and of the month's contracts: most of the text, and all of it of one pass ([`crate::rolling`]).
//!
//! So it is compressed once a pass, by the pass itself, and each scrape sends it as it is. It is made anew when the register has changed
//! since, whose carriers and contracts are in its labels.

use std::sync::Arc;

use wan_wire::{Label, Metric};

use super::page::{Labels, Page};
use super::squeeze::Part;
use super::{now, number, part};
use crate::api::common::Rolling;
use crate::province::{Province, SiteNow};
use crate::report::contract::{Account, Promised};
use crate::rolling::{OverWindow, OverWindows, RollingFigures};
use crate::state::State;

/// The families over windows, as they are sent.
#[derive(Debug)]
pub struct Windows {
    figures: Arc<RollingFigures>,
    revision: i64,
    part: Part,
}

impl Windows {
    /// Those of the figures of a pass, for the scrapes to come. `None` as from [`super::scrape`].
    pub(crate) fn of(
        figures: Arc<RollingFigures>,
        province: &Province<'_>,
        wanted: &dyn Fn() -> bool,
    ) -> Option<Self> {
        let revision = province.revision();
        let part = part(wanted, &|page| write(province, &figures, page))?;
        Some(Self { figures, revision, part })
    }

    /// What a scrape of now sends: what the newest pass has left, or what is made of its figures, or, where no pass works, what is derived now.
    pub(super) fn of_now(
        state: &State,
        province: &Province<'_>,
        wanted: &dyn Fn() -> bool,
    ) -> Option<Arc<Self>> {
        let Some(figures) = state.rolling_figures().filter(|figures| figures.is_fresh(province.now)) else {
            let figures = Arc::new(RollingFigures::of(province));
            return Self::of(figures, province, wanted).map(Arc::new);
        };
        let ready = state
            .windows_text()
            .filter(|ready| Arc::ptr_eq(&ready.figures, &figures) && ready.revision == province.revision());
        if ready.is_some() {
            return ready;
        }
        let made = Arc::new(Self::of(figures, province, wanted)?);
        state.set_windows_text(Arc::clone(&made));
        Some(made)
    }

    pub(super) fn part(&self) -> &Part {
        &self.part
    }
}

struct Row<'p> {
    labels: Labels,
    windows: Option<&'p OverWindows>,
}

impl<'p> Row<'p> {
    fn windows(&self) -> impl Iterator<Item = (Rolling, &'p OverWindow)> + use<'p> {
        Rolling::ALL.into_iter().zip(self.windows.into_iter().flatten())
    }
}

/// A link's account, with its labels.
struct ContractRow<'p> {
    labels: Labels,
    promised: Promised<'p>,
    account: Account,
}

fn write(province: &Province<'_>, figures: &RollingFigures, page: &mut Page<'_>) {
    let sites: Vec<SiteNow<'_>> = province.registered().collect();
    let site_rows: Vec<Row<'_>> = sites
        .iter()
        .map(|site| Row {
            labels: Labels::of(&[(Label::Site, site.site.id.as_str())]),
            windows: figures.site(&site.site.id),
        })
        .collect();
    let (mut link_rows, mut contracts) = (Vec::new(), Vec::new());
    for site in &sites {
        for link in site.seen_links().filter(|link| link.valid.holds(province.now)) {
            let of_link = figures.link(&site.site.id, &link.name);
            let labels = now::link_labels(site, link);
            let promised = Promised::of(province.config(), site.site, &link.name);
            let account = of_link.and_then(|of_link| of_link.account);
            if let Some((promised, account)) = promised.zip(account) {
                let labels = Labels::of(&[
                    (Label::Site, site.site.id.as_str()),
                    (Label::Link, link.name.as_str()),
                    (Label::Kind, link.name.kind().as_str()),
                    (Label::Carrier, promised.carrier.unwrap_or_default()),
                    (Label::Contract, promised.contract),
                ]);
                contracts.push(ContractRow { labels, promised, account });
            }
            link_rows.push(Row { labels, windows: of_link.map(|of_link| &of_link.windows) });
        }
    }
    over_windows(
        [Metric::SiteUptimeRatio, Metric::SiteAvailabilityRatio, Metric::SiteObservedRatio],
        Metric::SiteDowntimeSeconds,
        &site_rows,
        page,
    );
    over_windows(
        [Metric::LinkUptimeRatio, Metric::LinkAvailabilityRatio, Metric::LinkObservedRatio],
        Metric::LinkDowntimeSeconds,
        &link_rows,
        page,
    );
    self::contracts(&contracts, page);
}

fn over_windows(ratios: [Metric; 3], downtime: Metric, rows: &[Row<'_>], page: &mut Page<'_>) {
    let values: [fn(&OverWindow) -> Option<f64>; 3] =
        [|figures| figures.uptime, |figures| figures.availability, |figures| figures.observed_share];
    let behind = |window: Rolling| format!(",{}=\"{}\"", Label::Window.as_str(), window.as_str());
    let behind = Rolling::ALL.map(behind);
    for (metric, value) in ratios.into_iter().zip(values) {
        page.family(metric);
        for row in rows {
            for ((_, figures), behind) in row.windows().zip(&behind) {
                if let Some(value) = value(figures) {
                    page.row_with(&row.labels, behind, value);
                }
            }
            if page.is_unwanted() {
                return;
            }
        }
    }
    page.family(downtime);
    for row in rows {
        for (window, figures) in row.windows() {
            for (cause, millis) in &figures.downtime_ms {
                let more = [(Label::Cause, cause.as_str()), (Label::Window, window.as_str())];
                page.row(&row.labels.and(&more), number(*millis) / 1000.0);
            }
        }
    }
}

/// The accounts of this month's contracts.
fn contracts(rows: &[ContractRow<'_>], page: &mut Page<'_>) {
    page.family(Metric::ContractUptimeRatio);
    for row in rows {
        if let Some(uptime) = row.account.uptime() {
            page.row(&row.labels, uptime);
        }
    }
    page.family(Metric::ContractUptimeBoundRatio);
    for row in rows {
        for (bound, value) in [("low", row.account.low()), ("high", row.account.high())] {
            if let Some(value) = value {
                page.row(&row.labels.and(&[(Label::Bound, bound)]), value);
            }
        }
    }
    page.family(Metric::ContractTargetRatio);
    for row in rows {
        if let Some(target) = row.promised.uptime {
            page.row(&row.labels, target);
        }
    }
    page.family(Metric::ContractTimeSeconds);
    for row in rows {
        let parts = [
            ("kept", row.account.kept_ms()),
            ("charged", row.account.charged_ms),
            ("excused", row.account.excused_ms),
            ("undecided", row.account.undecided_ms),
        ];
        for (state, millis) in parts {
            page.row(&row.labels.and(&[(Label::State, state)]), number(millis) / 1000.0);
        }
    }
    page.family(Metric::ContractStanding);
    for row in rows {
        if let Some(standing) = row.account.standing(row.promised.uptime) {
            page.row(&row.labels.and(&[(Label::Standing, standing.as_str())]), 1.0);
        }
    }
}
