//! How much of the province is connected: coverage at an instant and over a window.
//!
//! # At an instant
//!
//! Of the sites that the register holds at that instant, each is exactly one of
//!
//! - **covered**: its state is up or degraded;
//! - **not covered**: it is known to be down, or it has no agent at that time (the plan counts agencies that *are*
//!   connected and can be shown to be; one that was never equipped cannot);
//! - **unknown**: the rest.
//!
//! low = covered ÷ registered, high = (covered + unknown) ÷ registered: whatever the unknown ones were, the true
//! coverage lies between. Beside them stands the *equipped* share: how many have an agent at all.
//!
//! # Over a window
//!
//! low and high are the time-weighted means of low(t) and high(t) over the part of the window in which the group had a
//! registered site. The register may change within the window, so the mean is formed piece by piece between the dates on
//! which some site opens or closes, where the number of registered sites is constant. The counts are given as site-time:
//! milliseconds times sites.
//!
//! # A register that changes
//!
//! A site whose tier or branch changed on a date is given as one view for each of its eras, each registered for that era only and
//! all sharing its links: at every instant it is counted once, in the tier and branch that it had then.
//!
//! # By day
//!
//! [`Coverage::by_day`] is [`Coverage::over`] for each of many days that follow each other, in one pass over the evidence.
//!
//! # By something else
//!
//! The two names that sites are grouped by need not be tier and branch: whoever makes the views may put a district in the
//! place of the tier, say. A site that belongs to several groups at once (carriers) is given once for each; the total then counts it
//! as often, and is not to be used.
//!
//! # Against the plan
//!
//! The targets are those that hold at the time asked about; for a window, at its end. A tier's target is **met** when low reaches it, **missed** when high does not, and **undecided** while it lies within
//! the bounds: then the unknown sites decide, and a claim either way would be a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use super::uptime::ratio;
use crate::ledger::timeline::{Basis, SiteSweep, SiteView, State, Window};

/// One tier of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct TierTarget<'a> {
    /// Its name in the register.
    pub tier: &'a str,
    /// The share of its sites that the plan wants connected, 0 to 1; `None`: the plan names none.
    pub target: Option<f64>,
}

/// How a figure stands against its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Even the low bound reaches the target.
    Met,
    /// Not even the high bound reaches it.
    Missed,
    /// The target lies within the bounds.
    Undecided,
}

impl Standing {
    /// The word for it in the API and the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Undecided => "undecided",
        }
    }
}

/// Sites, or site-milliseconds, by what they are counted as. covered + not covered + unknown = registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// In the register.
    pub registered: i64,
    /// With an agent.
    pub equipped: i64,
    /// Connected.
    pub covered: i64,
    /// Known not to be, or without an agent.
    pub not_covered: i64,
    /// Neither can be said.
    pub unknown: i64,
}

/// The coverage of one group of sites.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Row {
    /// The tier; `None`: all of them.
    pub tier: Option<String>,
    /// The branch; `None`: all of them.
    pub branch: Option<String>,
    /// Number of sites at an instant; site-milliseconds over a window.
    #[serde(flatten)]
    pub counts: Counts,
    /// equipped ÷ registered.
    pub equipped_share: Option<f64>,
    /// The share that is connected, if none of the unknown is.
    pub low: Option<f64>,
    /// The share that is connected, if all of the unknown are.
    pub high: Option<f64>,
    /// The plan's target for the tier.
    pub target: Option<f64>,
    /// The bounds against the target; `None` without a target or without sites.
    pub standing: Option<Standing>,
}

/// A site of the register at an instant, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present<'a> {
    /// Its tier then.
    pub tier: &'a str,
    /// Its branch then.
    pub branch: &'a str,
    /// Whether it has an agent then.
    pub is_equipped: bool,
    /// What it is then.
    pub state: State,
}

impl<'a> Present<'a> {
    /// A site at an instant at which it is registered.
    #[must_use]
    pub fn of(site: &SiteView<'a>, basis: &Basis<'_>, at: UnixMillis) -> Self {
        Self {
            tier: site.tier,
            branch: site.branch,
            is_equipped: site.equipped().is_some_and(|from| from <= at),
            state: site.state_at(basis, at),
        }
    }
}

/// Coverage by tier and branch.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Coverage {
    /// The time it is about, cut to now; for an instant its one millisecond.
    pub window: Window,
    /// Every tier × branch that a site was registered in, tiers in the plan's order, branches by name.
    pub cells: Vec<Row>,
    /// Every tier of the plan in its order, registered sites or none; then those of sites that the plan does not know.
    pub tiers: Vec<Row>,
    /// All sites.
    pub total: Row,
}

impl Coverage {
    /// Coverage at one instant. Of an instant after `basis.now` nothing is known but who is registered and equipped.
    #[must_use]
    pub fn at(sites: &[SiteView<'_>], plan: &[TierTarget<'_>], basis: &Basis<'_>, at: UnixMillis) -> Self {
        let window = Window::instant(at);
        let mut grid = Grid::of(sites, plan, vec![window.start, window.end]);
        for site in sites.iter().filter(|site| site.registered_at(at)) {
            grid.count(&Present::of(site, basis, at));
        }
        grid.coverage(window)
    }

    /// The same from what sites are at that instant: those that the register holds then, and no others.
    #[must_use]
    pub fn of(sites: &[Present<'_>], plan: &[TierTarget<'_>], at: UnixMillis) -> Self {
        let window = Window::instant(at);
        let columns = sites.iter().map(|site| column(plan, site.tier, site.branch));
        let mut grid = Grid::new(columns, plan, vec![window.start, window.end]);
        for site in sites {
            grid.count(site);
        }
        grid.coverage(window)
    }

    /// Coverage over a window, cut to `basis.now`.
    #[must_use]
    pub fn over(sites: &[SiteView<'_>], plan: &[TierTarget<'_>], basis: &Basis<'_>, window: Window) -> Self {
        let window = window.within(window.start, basis.now);
        let mut grid = Grid::of(sites, plan, borders(sites, window, &[]));
        grid.sweep(sites, basis, window);
        grid.coverage(window)
    }

    /// Coverage over each of the times between neighbours of `midnights`, which ascend, cut to `basis.now`; what begins later is
    /// left out.
    #[must_use]
    pub fn by_day(
        sites: &[SiteView<'_>],
        plan: &[TierTarget<'_>],
        basis: &Basis<'_>,
        midnights: &[UnixMillis],
    ) -> Vec<Self> {
        let (Some(&first), Some(&last)) = (midnights.first(), midnights.last()) else { return Vec::new() };
        let window = Window::new(first, last).within(first, basis.now);
        let mut grid = Grid::of(sites, plan, borders(sites, window, midnights));
        grid.sweep(sites, basis, window);
        let days = midnights.windows(2).filter_map(|pair| match pair {
            [start, end] => Some(Window::new(*start, *end).within(*start, basis.now)),
            _ => None,
        });
        days.filter(|day| !day.is_empty()).map(|day| grid.coverage(day)).collect()
    }

    /// The same against other targets.
    #[must_use]
    pub fn against(mut self, plan: &[TierTarget<'_>]) -> Self {
        for row in self.cells.iter_mut().chain(&mut self.tiers) {
            let tier = row.tier.as_deref();
            row.target = plan.iter().find(|of| Some(of.tier) == tier).and_then(|of| of.target);
            row.standing = standing(row.low, row.high, row.target);
        }
        self
    }

    /// One of its counts as a number of sites: the mean over the window; at an instant the count itself.
    #[must_use]
    pub fn sites(&self, count: i64) -> Option<f64> {
        ratio(count, self.window.millis())
    }
}
impl Counts {
    fn add(&mut self, other: &Self) {
        self.registered += other.registered;
        self.equipped += other.equipped;
        self.covered += other.covered;
        self.not_covered += other.not_covered;
        self.unknown += other.unknown;
    }
}

/// What a site in this state counts as, `weight` times.
fn count(state: State, has_agent: bool, weight: i64) -> Counts {
    let equipped = if has_agent { weight } else { 0 };
    let counts = Counts { registered: weight, equipped, ..Counts::default() };
    match state {
        State::Up | State::Degraded => Counts { covered: weight, ..counts },
        State::Down => Counts { not_covered: weight, ..counts },
        State::Unknown(_) if has_agent => Counts { unknown: weight, ..counts },
        State::Unknown(_) => Counts { not_covered: weight, ..counts },
    }
}

/// The window's ends, and every instant within it at which a site opens or closes, or that is one of `more`: sorted, each once.
fn borders(sites: &[SiteView<'_>], window: Window, more: &[UnixMillis]) -> Vec<UnixMillis> {
    let changes = sites.iter().flat_map(|site| [Some(site.valid_from), site.valid_to]).flatten();
    let mut borders: Vec<_> =
        changes.chain(more.iter().copied()).filter(|&at| window.start < at && at < window.end).collect();
    borders.extend([window.start, window.end]);
    borders.sort_unstable();
    borders.dedup();
    borders
}

/// A group of sites that are reported together: the rank of the tier in the plan, the tier, the branch. Ordered as it is
/// shown.
type Column<'a> = (usize, &'a str, &'a str);

/// Counts by piece of the window (within which the register is constant) and by tier × branch.
struct Grid<'a> {
    plan: &'a [TierTarget<'a>],
    /// Piece *i* lasts from border *i* to border *i* + 1.
    borders: Vec<UnixMillis>,
    columns: Vec<Column<'a>>,
    counts: Vec<Counts>,
}

impl<'a> Grid<'a> {
    fn of(sites: &[SiteView<'a>], plan: &'a [TierTarget<'a>], borders: Vec<UnixMillis>) -> Self {
        Self::new(sites.iter().map(|site| column(plan, site.tier, site.branch)), plan, borders)
    }

    fn new(
        columns: impl Iterator<Item = Column<'a>>,
        plan: &'a [TierTarget<'a>],
        borders: Vec<UnixMillis>,
    ) -> Self {
        let columns: BTreeSet<Column<'a>> = columns.collect();
        let columns: Vec<_> = columns.into_iter().collect();
        let pieces = borders.len() - 1;
        Self { plan, counts: vec![Counts::default(); pieces * columns.len()], borders, columns }
    }

    /// Where a site is counted. Every site that the grid was made for has a column.
    fn column(&self, tier: &str, branch: &str) -> usize {
        let wanted = column(self.plan, tier, branch);
        self.columns.partition_point(|have| *have < wanted)
    }

    /// Counts a site in the first piece.
    fn count(&mut self, site: &Present<'_>) {
        let column = self.column(site.tier, site.branch);
        self.add(0, column, count(site.state, site.is_equipped, 1));
    }

    /// Counts what the sites are all through the window, whose ends are borders.
    fn sweep(&mut self, sites: &[SiteView<'a>], basis: &Basis<'_>, window: Window) {
        for site in sites {
            let clipped = site.clip(window, basis.now);
            if clipped.is_empty() {
                continue;
            }
            let column = self.column(site.tier, site.branch);
            let equipped = site.equipped().unwrap_or(UnixMillis::MAX);
            let mut piece = self.piece_at(clipped.start);
            for interval in SiteSweep::new(site, basis, clipped) {
                let mut at = interval.start;
                while at < interval.end {
                    let has_agent = equipped <= at;
                    let mut end = interval.end.min(self.borders[piece + 1]);
                    if !has_agent {
                        end = end.min(equipped);
                    }
                    self.add(piece, column, count(interval.state, has_agent, end.millis_since(at)));
                    if end == self.borders[piece + 1] {
                        piece += 1;
                    }
                    at = end;
                }
            }
        }
    }

    fn piece_at(&self, at: UnixMillis) -> usize {
        self.borders.partition_point(|&border| border <= at).saturating_sub(1)
    }

    fn add(&mut self, piece: usize, column: usize, counts: Counts) {
        self.counts[piece * self.columns.len() + column].add(&counts);
    }

    /// The figures of a part of the window whose ends are borders.
    fn coverage(&self, window: Window) -> Coverage {
        let last = self.borders.len() - 1;
        let border = |at: UnixMillis| self.borders.partition_point(|&border| border < at).min(last);
        let pieces = border(window.start)..border(window.end);
        let target = |tier: &str| self.plan.iter().find(|t| t.tier == tier).and_then(|t| t.target);
        let cell = |&wanted: &Column<'a>| {
            let (_, tier, branch) = wanted;
            self.row(&pieces, |column| column == wanted, Some(tier), Some(branch), target(tier))
        };
        let cells: Vec<Row> = self.columns.iter().map(cell).filter(|row| row.counts.registered > 0).collect();
        let mut tiers: Vec<&str> = self.plan.iter().map(|t| t.tier).collect();
        for row in &self.columns {
            // Columns are in the order of tiers, those that the plan does not know behind the others.
            if row.0 == self.plan.len() && tiers.last() != Some(&row.1) {
                tiers.push(row.1);
            }
        }
        let tier = |tier: &str| self.row(&pieces, |column| column.1 == tier, Some(tier), None, target(tier));
        let tiers = tiers.into_iter().map(tier).collect();
        Coverage { window, cells, tiers, total: self.row(&pieces, |_| true, None, None, None) }
    }

    /// The figures of all the columns that belong.
    fn row(
        &self,
        pieces: &Range<usize>,
        belongs: impl Fn(Column<'a>) -> bool,
        tier: Option<&str>,
        branch: Option<&str>,
        target: Option<f64>,
    ) -> Row {
        let columns: Vec<usize> = (0..self.columns.len()).filter(|&i| belongs(self.columns[i])).collect();
        let mut counts = Counts::default();
        // By the number of sites registered: how long that was so, and what was counted meanwhile.
        let mut by_size: BTreeMap<i64, (i64, Counts)> = BTreeMap::new();
        let rows = self.counts.chunks(self.columns.len().max(1)).enumerate();
        for (piece, row) in rows.skip(pieces.start).take(pieces.len()) {
            let mut sum = Counts::default();
            for &column in &columns {
                sum.add(&row[column]);
            }
            counts.add(&sum);
            let millis = self.borders[piece + 1].millis_since(self.borders[piece]);
            if sum.registered > 0 && millis > 0 {
                let (length, counted) = by_size.entry(sum.registered / millis).or_default();
                *length += millis;
                counted.add(&sum);
            }
        }
        let length: i64 = by_size.values().map(|(length, _)| length).sum();
        let mean = |part: fn(&Counts) -> i64| {
            let weighted = by_size.values().filter_map(|(millis, counted)| {
                Some(ratio(part(counted), counted.registered)? * ratio(*millis, length)?)
            });
            (length > 0).then(|| weighted.sum::<f64>())
        };
        let low = mean(|c| c.covered);
        let high = mean(|c| c.covered + c.unknown);
        Row {
            tier: tier.map(str::to_owned),
            branch: branch.map(str::to_owned),
            counts,
            equipped_share: mean(|c| c.equipped),
            low,
            high,
            target,
            standing: standing(low, high, target),
        }
    }
}

fn column<'a>(plan: &[TierTarget<'_>], tier: &'a str, branch: &'a str) -> Column<'a> {
    let rank = plan.iter().position(|t| t.tier == tier).unwrap_or(plan.len());
    (rank, tier, branch)
}

/// Less than any difference that a count of sites and milliseconds can make in a year, more than the rounding of a mean.
const ROUNDING: f64 = 1e-12;

/// How bounds stand against a target; `None` where one of the three is not there.
pub(crate) fn standing(low: Option<f64>, high: Option<f64>, target: Option<f64>) -> Option<Standing> {
    let (low, high, target) = (low?, high?, target?);
    Some(if low >= target - ROUNDING {
        Standing::Met
    } else if high < target - ROUNDING {
        Standing::Missed
    } else {
        Standing::Undecided
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::span::{Periods, Spans};
    use crate::ledger::timeline::LinkView;
    use std::time::Duration;
    use wan_wire::{LinkKind, Outcome};

    const REQUIRED: [LinkKind; 1] = [LinkKind::Wan];

    fn ms(t: i64) -> UnixMillis {
        UnixMillis(t)
    }

    fn seen(outcome: Outcome, end: i64) -> Spans {
        let mut spans = Spans::new();
        spans.paint(ms(0), ms(end), outcome);
        spans
    }

    fn site<'a>(tier: &'a str, branch: &'a str, own: Option<&'a Spans>) -> SiteView<'a> {
        let links = own.map(|own| LinkView {
            kind: LinkKind::Wan,
            valid: Window::ALWAYS,
            own: Some(own),
            others: Vec::new(),
            hold: Duration::ZERO,
        });
        SiteView {
            tier,
            branch,
            valid_from: ms(0),
            valid_to: None,
            equipped_from: None,
            links: links.into_iter().collect(),
        }
    }

    fn basis(running: &Periods) -> Basis<'_> {
        Basis { now: ms(1000), running, hold: Duration::ZERO, required: &REQUIRED }
    }

    fn plan() -> [TierTarget<'static>; 2] {
        [
            TierTarget { tier: "province", target: Some(0.7) },
            TierTarget { tier: "commune", target: Some(0.5) },
        ]
    }

    #[test]
    fn every_site_is_covered_not_covered_or_unknown() {
        let (up, down, degraded, ended) = (
            seen(Outcome::Up, 1000),
            seen(Outcome::Down, 1000),
            seen(Outcome::Degraded, 1000),
            seen(Outcome::Up, 100),
        );
        let sites = [
            site("commune", "state", Some(&up)),
            site("commune", "state", Some(&degraded)),
            site("commune", "state", Some(&down)),
            site("commune", "party", Some(&ended)),
            site("commune", "party", None),
        ];
        let running = Periods::new();
        let coverage = Coverage::at(&sites, &plan(), &basis(&running), ms(500));
        let expected = Counts { registered: 5, equipped: 4, covered: 2, not_covered: 2, unknown: 1 };
        assert_eq!(coverage.total.counts, expected);
        assert_eq!((coverage.total.low, coverage.total.high), (Some(0.4), Some(0.6)));
        assert_eq!(coverage.total.standing, None);
        let names: Vec<_> = coverage.cells.iter().map(|row| row.branch.as_deref()).collect();
        assert_eq!(names, [Some("party"), Some("state")]);
        assert_eq!(coverage.tiers[0].low, None, "a tier without sites has no ratio");
        assert_eq!(coverage.tiers[0].standing, None);
        assert_eq!(coverage.tiers[1].standing, Some(Standing::Undecided));
    }

    #[test]
    fn a_target_is_met_by_the_low_bound_and_missed_by_the_high_one() {
        assert_eq!(standing(Some(0.7), Some(0.9), Some(0.7)), Some(Standing::Met));
        assert_eq!(standing(Some(0.6), Some(0.7), Some(0.7)), Some(Standing::Undecided));
        assert_eq!(standing(Some(0.6), Some(0.69), Some(0.7)), Some(Standing::Missed));
        assert_eq!(standing(None, None, Some(0.7)), None);
    }

    #[test]
    fn over_a_window_the_mean_follows_the_register() {
        let (up, down) = (seen(Outcome::Up, 1000), seen(Outcome::Down, 1000));
        let late = SiteView { valid_from: ms(500), ..site("commune", "state", Some(&down)) };
        let sites = [site("commune", "state", Some(&up)), late];
        let running = Periods::new();
        let coverage = Coverage::over(&sites, &plan(), &basis(&running), Window::new(ms(0), ms(1000)));
        // All of one site for half of the time, half of two for the other half.
        assert_eq!(coverage.total.low, Some(0.75));
        assert_eq!(coverage.total.counts.registered, 1500);
        assert_eq!(coverage.sites(coverage.total.counts.registered), Some(1.5));
    }

    #[test]
    fn a_tier_that_the_plan_does_not_know_is_shown_behind_the_others() {
        let up = seen(Outcome::Up, 1000);
        let sites = [site("hamlet", "state", Some(&up)), site("ward", "mass", None)];
        let running = Periods::new();
        let coverage = Coverage::at(&sites, &plan(), &basis(&running), ms(1));
        let tiers: Vec<_> = coverage.tiers.iter().filter_map(|row| row.tier.as_deref()).collect();
        assert_eq!(tiers, ["province", "commune", "hamlet", "ward"]);
        assert_eq!(coverage.tiers[2].low, Some(1.0));
        assert_eq!(coverage.tiers[2].target, None);
    }

    #[test]
    fn an_empty_register_and_an_empty_window_have_no_ratio() {
        let running = Periods::new();
        let nobody = Coverage::over(&[], &plan(), &basis(&running), Window::new(ms(0), ms(1000)));
        assert_eq!((nobody.total.low, nobody.total.high, nobody.total.equipped_share), (None, None, None));
        let up = seen(Outcome::Up, 1000);
        let sites = [site("commune", "state", Some(&up))];
        let empty = Coverage::over(&sites, &plan(), &basis(&running), Window::new(ms(5000), ms(6000)));
        assert_eq!(empty.total.low, None);
        assert_eq!(empty.total.counts, Counts::default());
    }

    #[test]
    fn of_the_future_only_the_register_is_known() {
        let up = seen(Outcome::Up, 9000);
        let sites = [site("commune", "state", Some(&up)), site("commune", "state", None)];
        let running = Periods::new();
        let coverage = Coverage::at(&sites, &plan(), &basis(&running), ms(5000));
        let expected = Counts { registered: 2, equipped: 1, covered: 0, not_covered: 1, unknown: 1 };
        assert_eq!(coverage.total.counts, expected);
    }
}
