//! What the month was for each site and each of its links, and to what it is charged.

use std::collections::BTreeMap;

use wan_wire::{LinkKind, LinkName, SiteId};

use super::Frame;
use super::contracts::{Line, line};
use super::incidents::Longest;
use super::quality;
use super::restated::{KeyFigures, Subject};
use super::words::{self, Words};
use crate::ledger::cause::{Cause, Charge};
use crate::ledger::incident::{IncidentKind, incidents};
use crate::ledger::timeline::State;
use crate::province::SiteNow;
use crate::report::model::{Cell, Chart, Column, Kind, Table};
use crate::report::uptime::{HoursOf, Uptime, ratio};

/// What a bad minute was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bad {
    Down,
    Degraded,
    Unknown,
}

impl Bad {
    const ALL: [Self; 3] = [Self::Down, Self::Degraded, Self::Unknown];

    const fn words(self) -> Words {
        match self {
            Self::Down => words::BAD_DOWN,
            Self::Degraded => words::BAD_DEGRADED,
            Self::Unknown => words::BAD_UNKNOWN,
        }
    }
}

/// Milliseconds by what they were and to what they are charged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ByCause(BTreeMap<(Bad, Cause), i64>);

impl ByCause {
    fn add(&mut self, charges: &[Charge]) {
        for charge in charges {
            let bad = match charge.state {
                State::Down => Bad::Down,
                State::Degraded => Bad::Degraded,
                State::Unknown(_) => Bad::Unknown,
                State::Up => continue,
            };
            *self.0.entry((bad, charge.rule.cause())).or_default() += charge.millis();
        }
    }

    fn get(&self, bad: Bad, cause: Cause) -> i64 {
        self.0.get(&(bad, cause)).copied().unwrap_or(0)
    }

    fn of(&self, bad: Bad) -> i64 {
        Cause::ALL.into_iter().map(|cause| self.get(bad, cause)).sum()
    }
}

/// All that was found by looking at each site.
#[derive(Debug, Default)]
pub(super) struct Found {
    sites: Vec<Vec<Cell>>,
    links: Vec<Vec<Cell>>,
    quality: Vec<Vec<Cell>>,
    site_causes: Vec<Vec<Cell>>,
    causes: ByCause,
    outages: BTreeMap<Cause, i64>,
    longest: Longest,
    figures: Vec<(SiteId, Uptime)>,
    /// The links that are under a contract.
    pub(super) lines: Vec<Line>,
    /// Of all sites together: milliseconds working, observed, counted, down.
    pub(super) sum: Sum,
}

/// Milliseconds of all sites together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) sites: i64,
    pub(super) working_ms: i64,
    pub(super) observed_ms: i64,
    pub(super) counted_ms: i64,
    pub(super) down_ms: i64,
    pub(super) outages: i64,
}

impl Found {
    /// Looks at one site; one that was not registered at any time of the month is left out.
    pub(super) fn add(&mut self, frame: &Frame<'_>, site: &SiteNow<'_>) {
        let province = frame.province;
        if site.view().clip(frame.window, province.now).is_empty() {
            return;
        }
        if let Some((all, service)) = both_hours(frame, site, None) {
            self.sum.add(&all);
            self.sites.push(site_row(frame, site, &all, &service));
            self.figures.push((site.site.id.clone(), all));
        }
        let mut of_links = frame.causes.of(site);
        let charges = of_links.remove(&None).unwrap_or_default();
        let mut own = ByCause::default();
        own.add(&charges);
        self.site_causes.extend(cause_rows(frame, site, &own));
        for (key, millis) in own.0 {
            *self.causes.0.entry(key).or_default() += millis;
        }
        for incident in incidents(&charges, site.view().clip(frame.window, province.now).end) {
            if incident.kind == IncidentKind::Outage {
                *self.outages.entry(incident.cause()).or_default() += 1;
            }
            self.longest.offer(frame, site, incident);
        }
        // Figures are kept for longer than some evidence: a link may have the one without the other.
        self.quality.extend(site.links.iter().filter_map(|link| quality::row(frame, site, &link.name)));
        for link in site.seen_links() {
            let Some((all, service)) = both_hours(frame, site, Some(&link.name)) else { continue };
            self.links.push(link_row(frame, site, &link.name, &all, &service));
            let charges = of_links.remove(&Some(link.name.clone())).unwrap_or_default();
            self.lines.extend(line(frame, site, &link.name, &charges));
        }
    }

    pub(super) fn figures(&self, figures: &mut KeyFigures) {
        for (id, uptime) in &self.figures {
            let subject = Subject::Site(id.clone());
            figures.uptime(&subject, uptime);
        }
    }

    pub(super) fn tables(self, frame: &Frame<'_>) -> Vec<Table> {
        let lang = frame.lang;
        let mut tables = vec![self.causes_table(frame)];
        tables.push(self.longest.table(frame));
        tables.push(Table {
            id: "sites",
            name: lang.pick("Theo đơn vị", "Sites"),
            title: lang.pick("Độ tin cậy kết nối theo đơn vị", "Uptime by site").to_owned(),
            note: words::uptime_note(lang).to_owned(),
            columns: site_columns(frame).into_iter().chain(uptime_columns(frame)).collect(),
            key: &[0],
            rows: self.sites,
            chart: None,
        });
        let column = |id: &str, words: Words| Column::new(id, words.in_lang(lang), Kind::Text);
        let named = [
            column("site", words::SITE),
            column("name", words::NAME),
            column("link", words::LINK),
            column("kind", words::KIND),
            column("carrier", words::CARRIER),
        ];
        tables.push(Table {
            id: "links",
            name: lang.pick("Theo đường truyền", "Links"),
            title: lang.pick("Độ tin cậy theo đường truyền", "Uptime by link").to_owned(),
            note: words::uptime_note(lang).to_owned(),
            columns: named.iter().cloned().chain(uptime_columns(frame)).collect(),
            key: &[0, 2],
            rows: self.links,
            chart: None,
        });
        tables.push(quality::table(frame, &named, self.quality));
        let mut columns = site_columns(frame)[..2].to_vec();
        columns.push(Column::new("state", words::STATE.in_lang(lang), Kind::Text));
        columns.push(Column::new("total", words::TOTAL.in_lang(lang), Kind::Duration));
        columns.extend(Cause::ALL.map(|cause| Column::new(cause.as_str(), cause.name(lang), Kind::Duration)));
        tables.push(Table {
            id: "site_causes",
            name: lang.pick("Nguyên nhân theo đơn vị", "Causes by site"),
            title: lang
                .pick("Thời gian theo nguyên nhân của từng đơn vị", "Time by cause, site by site")
                .to_owned(),
            note: words::causes_note(lang).to_owned(),
            columns,
            key: &[0, 2],
            rows: self.site_causes,
            chart: None,
        });
        tables
    }

    fn causes_table(&self, frame: &Frame<'_>) -> Table {
        let lang = frame.lang;
        let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(lang), kind);
        let down = self.causes.of(Bad::Down);
        let row = |cause: Cause| {
            let of = |bad| self.causes.get(bad, cause);
            let share = ratio(of(Bad::Down), down);
            let mut row = vec![Cell::text(cause.name(lang))];
            row.extend(Bad::ALL.map(|bad| Cell::Duration(of(bad))));
            row.push(Cell::share(share));
            row.push(Cell::Count(self.outages.get(&cause).copied().unwrap_or(0)));
            row
        };
        let any = |cause: &Cause| Bad::ALL.into_iter().any(|bad| self.causes.get(bad, *cause) > 0);
        Table {
            id: "causes",
            name: lang.pick("Nguyên nhân", "Causes"),
            title: lang.pick("Thời gian không tốt theo nguyên nhân", "Bad time by cause").to_owned(),
            note: words::causes_note(lang).to_owned(),
            columns: vec![
                column("cause", words::CAUSE, Kind::Text),
                column("down", words::BAD_DOWN, Kind::Duration),
                column("degraded", words::BAD_DEGRADED, Kind::Duration),
                column("unknown", words::BAD_UNKNOWN, Kind::Duration),
                column("share", words::CAUSE_SHARE, Kind::Share),
                column("outages", words::OUTAGES, Kind::Count),
            ],
            key: &[0],
            rows: Cause::ALL.into_iter().filter(any).map(row).collect(),
            chart: Some(Chart::Stacked { parts: &[1, 2, 3] }),
        }
    }
}

impl Sum {
    fn add(&mut self, uptime: &Uptime) {
        let durations = &uptime.durations;
        self.sites += 1;
        self.working_ms += durations.up_ms + durations.degraded_ms;
        self.observed_ms += durations.observed_ms();
        self.counted_ms += durations.counted_ms();
        self.down_ms += durations.down_ms;
        self.outages += i64::from(uptime.outages);
    }
}

/// The figures over all hours and over those of service.
fn both_hours(frame: &Frame<'_>, site: &SiteNow<'_>, link: Option<&LinkName>) -> Option<(Uptime, Uptime)> {
    let under = |hours| frame.province.uptime_under(site, link, frame.window, hours, frame.policy);
    Some((under(HoursOf::All)?, under(HoursOf::Service)?))
}

fn site_columns(frame: &Frame<'_>) -> [Column; 4] {
    let column = |id: &str, words: Words| Column::new(id, words.in_lang(frame.lang), Kind::Text);
    [
        column("site", words::SITE),
        column("name", words::NAME),
        column("tier", words::TIER),
        column("branch", words::BRANCH),
    ]
}

fn uptime_columns(frame: &Frame<'_>) -> [Column; 13] {
    let column = |id: &str, words: Words, kind| Column::new(id, words.in_lang(frame.lang), kind);
    [
        column("uptime", words::UPTIME, Kind::Share),
        column("low", words::LOW, Kind::Share),
        column("high", words::HIGH, Kind::Share),
        column("availability", words::AVAILABILITY, Kind::Share),
        column("observed_share", words::OBSERVED, Kind::Share),
        column("down", words::DOWN, Kind::Duration),
        column("planned", words::PLANNED, Kind::Duration),
        column("outages", words::OUTAGES, Kind::Count),
        column("longest", words::LONGEST, Kind::Duration),
        column("longest_from", words::LONGEST_START, Kind::Instant),
        column("service_uptime", words::SERVICE_UPTIME, Kind::Share),
        column("service_low", words::SERVICE_LOW, Kind::Share),
        column("service_down", words::SERVICE_DOWN, Kind::Duration),
    ]
}

fn uptime_cells(all: &Uptime, service: &Uptime) -> [Cell; 13] {
    let longest = all.longest_outage;
    [
        Cell::share(all.uptime),
        Cell::share(all.low),
        Cell::share(all.high),
        Cell::share(all.availability),
        Cell::share(all.observed_share),
        Cell::Duration(all.durations.down_ms),
        Cell::Duration(all.durations.planned_ms),
        Cell::Count(i64::from(all.outages)),
        longest.map_or(Cell::Empty, |outage| Cell::Duration(outage.down_ms)),
        longest.map_or(Cell::Empty, |outage| Cell::Instant(outage.start)),
        Cell::share(service.uptime),
        Cell::share(service.low),
        Cell::Duration(service.durations.down_ms),
    ]
}

fn site_row(frame: &Frame<'_>, site: &SiteNow<'_>, all: &Uptime, service: &Uptime) -> Vec<Cell> {
    let registered = site.site.as_of_instant(frame.window.end.plus_millis(-1), frame.zone());
    let mut row = vec![
        Cell::text(site.site.id.as_str()),
        Cell::text(registered.name),
        Cell::text(tier_name(frame, registered.tier.as_str())),
        Cell::text(branch_name(frame, registered.branch.as_str())),
    ];
    row.extend(uptime_cells(all, service));
    row
}

fn link_row(
    frame: &Frame<'_>,
    site: &SiteNow<'_>,
    link: &LinkName,
    all: &Uptime,
    service: &Uptime,
) -> Vec<Cell> {
    let mut row = named_link(frame, site, link).to_vec();
    row.extend(uptime_cells(all, service));
    row
}

/// Site, name, link, kind and carrier.
pub(super) fn named_link(frame: &Frame<'_>, site: &SiteNow<'_>, link: &LinkName) -> [Cell; 5] {
    let carrier = site.site.link(link).and_then(|entry| entry.carrier.clone());
    [
        Cell::text(site.site.id.as_str()),
        Cell::text(&site.site.name),
        Cell::text(link.as_str()),
        Cell::text(kind_name(frame, link.kind())),
        Cell::text(carrier.unwrap_or_default()),
    ]
}

fn cause_rows(frame: &Frame<'_>, site: &SiteNow<'_>, causes: &ByCause) -> Vec<Vec<Cell>> {
    let bad = Bad::ALL.into_iter().filter(|bad| causes.of(*bad) > 0);
    let row = |bad: Bad| {
        let mut row = vec![
            Cell::text(site.site.id.as_str()),
            Cell::text(&site.site.name),
            Cell::text(bad.words().in_lang(frame.lang)),
            Cell::Duration(causes.of(bad)),
        ];
        row.extend(Cause::ALL.map(|cause| Cell::Duration(causes.get(bad, cause))));
        row
    };
    bad.map(row).collect()
}

/// A tier's name; its id where the plan does not know it.
pub(super) fn tier_name(frame: &Frame<'_>, id: &str) -> String {
    let tier = frame.province.config().plan.tier(id);
    tier.map_or(id, |tier| frame.lang.pick(&tier.name.vi, &tier.name.en)).to_owned()
}

/// A branch's name; its id where the plan does not know it.
pub(super) fn branch_name(frame: &Frame<'_>, id: &str) -> String {
    let branch = frame.province.config().plan.branch(id);
    branch.map_or(id, |branch| frame.lang.pick(&branch.name.vi, &branch.name.en)).to_owned()
}

pub(super) const fn kind_word(kind: LinkKind, lang: crate::lang::Lang) -> &'static str {
    match kind {
        LinkKind::Lan => "LAN",
        LinkKind::Wan => "WAN",
        LinkKind::Internet => "Internet",
        LinkKind::Service => lang.pick("Hệ thống dùng chung", "Shared system"),
    }
}

fn kind_name(frame: &Frame<'_>, kind: LinkKind) -> &'static str {
    kind_word(kind, frame.lang)
}
