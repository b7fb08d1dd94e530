//! What deriving costs: a year of a province from its evidence, and a round painted onto it.
//!
//! `cargo bench -p wan-collector --bench ledger`

use std::time::Duration;

use divan::{Bencher, black_box};
use wan_collector::ledger::span::{Periods, Spans};
use wan_collector::ledger::timeline::{Basis, LinkView, SiteView, Timeline, Window};
use wan_collector::report::coverage::{Coverage, TierTarget};
use wan_collector::report::uptime::Uptime;
use wan_collector::verdict::{Facts, SILENCE_LIMIT, late_limit, standing};
use wan_wire::{LinkKind, Outcome, UnixMillis};

const SITES: u64 = 300;
const KINDS: [LinkKind; 3] = [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet];
const OUTAGES: u64 = 20;
const DAY: i64 = 86_400_000;
const YEAR: i64 = 365 * DAY;
/// A round each five seconds.
const ROUND: i64 = 5000;

fn main() {
    divan::main();
}

/// The same numbers in every run: a multiplicative congruential sequence (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn millis_below(&mut self, limit: i64) -> i64 {
        i64::try_from(self.below(limit.unsigned_abs())).unwrap_or(0)
    }
}

/// A year of every link of a province, each with its outages, one gap in five of them silent; the WAN also seen by the
/// centre.
struct Province {
    sites: Vec<[Spans; 4]>,
    running: Periods,
}

impl Province {
    fn new() -> Self {
        let mut random = Random(1);
        let sites = (0..SITES).map(|_| std::array::from_fn(|_| year(&mut random))).collect();
        // Thirty stops of a collector in the year, of ten minutes each.
        let mut running = Periods::new();
        for month in 0..30 {
            let start = month * (YEAR / 30);
            running.add(UnixMillis(start), UnixMillis(start + YEAR / 30 - 600_000));
        }
        running.add(UnixMillis(YEAR - 1_000_000), UnixMillis(YEAR));
        Self { sites, running }
    }

    fn views(&self) -> Vec<SiteView<'_>> {
        self.sites.iter().enumerate().map(view).collect()
    }

    fn basis(&self) -> Basis<'_> {
        Basis { now: UnixMillis(YEAR), running: &self.running, hold: Duration::ZERO, required: &KINDS }
    }
}

fn view((number, [lan, wan, internet, centre]): (usize, &[Spans; 4])) -> SiteView<'_> {
    SiteView {
        tier: ["province", "district", "commune"][number % 3],
        branch: ["party", "state", "mass"][number / 3 % 3],
        valid_from: UnixMillis(i64::try_from(number).unwrap_or(0) * DAY),
        valid_to: None,
        equipped_from: Some(UnixMillis(0)),
        links: [
            LinkView {
                kind: LinkKind::Lan,
                valid: Window::ALWAYS,
                own: Some(lan),
                others: Vec::new(),
                hold: Duration::ZERO,
            },
            LinkView {
                kind: LinkKind::Wan,
                valid: Window::ALWAYS,
                own: Some(wan),
                others: vec![centre.into()],
                hold: Duration::ZERO,
            },
            LinkView {
                kind: LinkKind::Internet,
                valid: Window::ALWAYS,
                own: Some(internet),
                others: Vec::new(),
                hold: Duration::ZERO,
            },
        ]
        .into(),
    }
}

fn year(random: &mut Random) -> Spans {
    let mut spans = Spans::new();
    let mut at = 0;
    let outages = i64::try_from(OUTAGES).unwrap_or(1);
    for outage in 0..outages {
        let start = (outage * (YEAR / outages) + random.millis_below(YEAR / 40)) / ROUND * ROUND;
        let end = start + ROUND * (1 + random.millis_below(2000));
        spans.paint(UnixMillis(at), UnixMillis(start), Outcome::Up);
        if random.below(5) > 0 {
            spans.paint(UnixMillis(start), UnixMillis(end), Outcome::Down);
        }
        at = end;
    }
    spans.paint(UnixMillis(at), UnixMillis(YEAR), Outcome::Up);
    spans
}

/// 300 sites × 3 links × 365 days × 20 outages: every link's timeline and figures, and every site's.
#[divan::bench]
fn timeline_and_uptime_of_a_year(bencher: Bencher<'_, '_>) {
    let province = Province::new();
    let (views, basis, planned) = (province.views(), province.basis(), Periods::new());
    let window = Window::new(UnixMillis(0), UnixMillis(YEAR));
    bencher.bench(|| {
        for site in black_box(&views) {
            for link in site.links.iter() {
                let timeline = Timeline::of_link(site, link, &basis, window);
                black_box(Uptime::of(&timeline, &planned));
            }
            black_box(Uptime::of(&Timeline::of_site(site, &basis, window), &planned));
        }
    });
}

const PLAN: [TierTarget<'_>; 3] = [
    TierTarget { tier: "province", target: Some(0.7) },
    TierTarget { tier: "district", target: Some(0.7) },
    TierTarget { tier: "commune", target: Some(0.5) },
];

#[divan::bench]
fn coverage_of_a_month(bencher: Bencher<'_, '_>) {
    let province = Province::new();
    let (views, basis) = (province.views(), province.basis());
    // The register changes once a day.
    let window = Window::new(UnixMillis(200 * DAY), UnixMillis(231 * DAY));
    bencher.bench(|| Coverage::over(black_box(&views), &PLAN, &basis, window));
}

#[divan::bench]
fn coverage_of_a_year(bencher: Bencher<'_, '_>) {
    let province = Province::new();
    let (views, basis) = (province.views(), province.basis());
    let window = Window::new(UnixMillis(0), UnixMillis(YEAR));
    bencher.bench(|| Coverage::over(black_box(&views), &PLAN, &basis, window));
}

#[divan::bench]
fn coverage_at_an_instant(bencher: Bencher<'_, '_>) {
    let province = Province::new();
    let (views, basis) = (province.views(), province.basis());
    bencher.bench(|| Coverage::at(black_box(&views), &PLAN, &basis, UnixMillis(YEAR)));
}

#[divan::bench]
fn verdict_of_every_site(bencher: Bencher<'_, '_>) {
    let province = Province::new();
    let (views, basis) = (province.views(), Basis { hold: SILENCE_LIMIT, ..province.basis() });
    let facts = Facts {
        enrolled: Some(UnixMillis(0)),
        planned: None,
        last_push: Some(UnixMillis(YEAR)),
        parent_cut_off: None,
        hears_since: Some(UnixMillis(0)),
        silence_limit: SILENCE_LIMIT,
        late_limit: late_limit(None),
        seen_down: false,
    };
    bencher.bench(|| {
        for site in black_box(&views) {
            black_box(standing(site, &facts, &basis));
        }
    });
}

/// A thousand rounds in order, each by two targets: what every push costs.
#[divan::bench]
fn paint_1000_rounds_in_order_twice(bencher: Bencher<'_, '_>) {
    let start = year(&mut Random(2));
    bencher.with_inputs(|| start.clone()).bench_local_refs(|spans| {
        for round in 0..1000 {
            let at = UnixMillis(YEAR + round * ROUND);
            let end = at.plus_millis(ROUND);
            black_box(spans.paint(at, end, Outcome::Up));
            black_box(spans.paint(at, end, Outcome::Up));
        }
    });
}

/// A thousand rounds of a backlog into a gap in the middle of the year.
#[divan::bench]
fn paint_1000_late_rounds(bencher: Bencher<'_, '_>) {
    let mut start = Spans::new();
    for half in 0..2 {
        for span in &year(&mut Random(3)) {
            let shift = half * (YEAR + 1000 * ROUND);
            start.paint(span.start.plus_millis(shift), span.end.plus_millis(shift), span.outcome);
        }
    }
    bencher.with_inputs(|| start.clone()).bench_local_refs(|spans| {
        for round in 0..1000 {
            let at = UnixMillis(YEAR + round * ROUND);
            black_box(spans.paint(at, at.plus_millis(ROUND), Outcome::Up));
        }
    });
}
