//! The year through the ledger, and what of it is not as expected.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wan_collector::ledger::cause::{self, Around, Cause, Charge, LinkAround, Path};
use wan_collector::ledger::incident::{IncidentKind, incidents};
use wan_collector::ledger::span::{Periods, Spans};
use wan_collector::ledger::timeline::{Basis, LinkView, Other, SiteView, State, Timeline, Why, Window};
use wan_collector::ledger::vantage::Vantage;
use wan_collector::report::uptime::Uptime;
use wan_wire::{LinkKind, UnixMillis};

use super::expect::{Causes, Expected, KINDS, Outside, Piece, Should, Word, of_site, push};
use super::observe::{Networks, ROUND, as_it_comes, rounds, shuffled};
use super::random::Random;
use super::times::Times;
use super::truth::{MINUTE, SECOND, START, Site, Size, Truth};

/// What a connected site needs.
const REQUIRED: [LinkKind; 3] = [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet];
/// So far beyond its edge counts what is said about a neighbour: [`cause::EDGE`].
const AROUND: i64 = 10 * SECOND;
/// So many deviations are told in full.
const TOLD: usize = 20;

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Bounds that were broken, the first of them in full.
    pub(crate) wrong: Vec<String>,
    pub(crate) wrongs: usize,
    /// Milliseconds of bad link time by what the truth is and what was charged.
    pub(crate) matrix: BTreeMap<(Option<Cause>, Cause), i64>,
    /// Bad link time whose cause the evidence shows, and how much of it was charged so.
    pub(crate) shown_ms: i64,
    pub(crate) right_ms: i64,
    /// Charged to a cause that the evidence does not show.
    pub(crate) guessed_ms: i64,
    pub(crate) bad_ms: i64,
    pub(crate) down_ms: i64,
    pub(crate) true_down_ms: i64,
    pub(crate) edges: usize,
    pub(crate) outages: usize,
    pub(crate) spans: usize,
}

impl Report {
    fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.wrongs += 1;
        if self.wrong.len() < TOLD {
            self.wrong.push(what());
        }
    }

    /// The bounds that are broken.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.wrongs > 0 {
            broken.push(format!("{} deviations from what is expected", self.wrongs));
        }
        if self.right_share() < 0.99 {
            broken.push("fewer than 99 % of the causes that the evidence shows are right".to_owned());
        }
        if self.guessed_share() > 0.001 {
            broken.push("more than 0.1 % of the bad time is charged by a guess".to_owned());
        }
        broken
    }

    /// The share of the shown causes that was charged rightly.
    pub(crate) fn right_share(&self) -> f64 {
        share(self.right_ms, self.shown_ms)
    }

    /// The share of all bad time that was charged by a guess.
    pub(crate) fn guessed_share(&self) -> f64 {
        share(self.guessed_ms, self.bad_ms)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share of some years in milliseconds")]
fn share(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "minutes of bad link time, by what is true (rows) and what is charged (columns):")?;
        write!(f, "{:>10}", "")?;
        for cause in Cause::ALL {
            write!(f, "{:>10}", cause.as_str())?;
        }
        writeln!(f)?;
        for truth in Cause::ALL.into_iter().map(Some).chain([None]) {
            if !self.matrix.keys().any(|key| key.0 == truth) {
                continue;
            }
            write!(f, "{:>10}", truth.map_or("works", Cause::as_str))?;
            for charged in Cause::ALL {
                write!(f, "{:>10}", self.matrix.get(&(truth, charged)).unwrap_or(&0) / MINUTE)?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "cause right for {:.3} % of {} min that the evidence shows; guessed {:.4} % of {} min",
            self.right_share() * 100.0,
            self.shown_ms / MINUTE,
            self.guessed_share() * 100.0,
            self.bad_ms / MINUTE
        )?;
        writeln!(
            f,
            "down {} min, in truth {} min; {} edges, {} outages, {} spans",
            self.down_ms / MINUTE,
            self.true_down_ms / MINUTE,
            self.edges,
            self.outages,
            self.spans
        )?;
        if self.wrongs > 0 {
            writeln!(f, "{} deviations, of them:", self.wrongs)?;
        }
        self.wrong.iter().try_for_each(|wrong| writeln!(f, "  {wrong}"))
    }
}

/// The evidence about one site: its own word of each link, and the centre's of its WAN.
struct Evidence {
    own: [Spans; 4],
    outside: Spans,
}

/// What the rules know beside it.
struct Lives {
    boots: Vec<UnixMillis>,
    starts: Vec<UnixMillis>,
    planned: [Periods; 4],
}

/// Runs it and compares.
pub(crate) fn run(size: Size, seed: u64) -> Report {
    let mut report = Report::default();
    let truth = Truth::new(size, seed);
    let nets = truth.networks();
    let evidence = evidence(&truth, &nets, seed, &mut report);
    let now = ms(truth.end);
    let window = Window::new(ms(START), now);

    let centre: Vec<(LinkKind, &Spans)> = KINDS.into_iter().zip(&evidence[0].own).collect();
    let vantage = Vantage { own: &centre, now, hold: Duration::ZERO };
    let cut_off = vantage.cut_off(evidence.iter().skip(1).map(|site| &site.outside));
    let mut running = Periods::new();
    for &(start, end) in truth.stopped.gaps(START, truth.end).as_slice() {
        running.add(ms(start), ms(end));
    }
    for blind in cut_off.as_slice() {
        running.remove(blind.start, blind.end);
    }
    let basis = Basis { now, running: &running, hold: Duration::ZERO, required: &REQUIRED };

    let outside = outside(&truth, &nets);
    let mut paths: Vec<Path> = Vec::with_capacity(truth.sites.len());
    let mut expected: Vec<Should> = Vec::with_capacity(truth.sites.len());
    for (number, site) in truth.sites.iter().enumerate() {
        let parent = site.parent;
        let view = view(site, &evidence[number], &cut_off);
        let lives = lives(site);
        let path = parent.map_or_else(Path::new, |parent| paths[parent].clone());
        let around = Around {
            boots: &lives.boots,
            starts: &lives.starts,
            path: &path,
            links: around_links(site, &lives),
        };
        let should = of_site(&truth, number, &nets[number], &outside, parent.map(|parent| &expected[parent]));
        let mut check = Check { number, site, end: truth.end, report: &mut report };
        let charges = cause::charges(&view, &around, &basis, window);
        for (index, charges) in charges.links.iter().enumerate() {
            let timeline = Timeline::of_link(&view, &view.links[index], &basis, window);
            let edges = edges(&should.links[index].pieces, site, &nets[number], truth.end);
            check.states(KINDS[index].as_str(), &timeline, &should.links[index].pieces, &edges);
            check.figures(
                KINDS[index].as_str(),
                &timeline,
                &should.links[index].pieces,
                &edges,
                &nets[number],
                index,
            );
            check.charged(KINDS[index].as_str(), &timeline, charges);
            check.causes(KINDS[index].as_str(), charges, &[&should.links[index]]);
            check.outages(KINDS[index].as_str(), charges, &should.links[index].pieces);
        }
        let required: Vec<&Expected> = should.links.iter().take(REQUIRED.len()).collect();
        let whole = worst(&required);
        let mut edges_of_all: Vec<i64> =
            required.iter().flat_map(|one| edges(&one.pieces, site, &nets[number], truth.end)).collect();
        edges_of_all.sort_unstable();
        let timeline = Timeline::of_site(&view, &basis, window);
        let charges = charges.site;
        check.states("site", &timeline, &whole, &edges_of_all);
        check.charged("site", &timeline, &charges);
        check.causes("site", &charges, &required);
        check.outages("site", &charges, &whole);
        let below = cause::path_for_children(&view, &around, &basis, window);
        paths.push(below);
        expected.push(should);
    }
    report
}

fn ms(at: i64) -> UnixMillis {
    UnixMillis(at)
}

/// Everything that anybody saw, painted in two orders of arrival that must give the same.
fn evidence(truth: &Truth, nets: &[Networks], seed: u64, report: &mut Report) -> Vec<Evidence> {
    let mut random = Random::new(seed ^ 0x5eed);
    let centre = &truth.sites[0];
    let blind = truth.stopped.or(&centre_cut(&nets[0]));
    let mut all = Vec::with_capacity(truth.sites.len());
    for (number, (site, nets)) in truth.sites.iter().zip(nets).enumerate() {
        let cut_off = blind.or(&nets.wan.down.and(&nets.internet.down));
        let mut paint = |observer: &Site, network, cut_off: &Times| {
            let seen = rounds(observer, truth.end, network, random.between(0, ROUND));
            let spans = as_it_comes(&seen, cut_off);
            if shuffled(&seen, &mut random) != spans {
                report.wrong(|| format!("site {number}: another order of arrival gives other evidence"));
            }
            report.spans += spans.len();
            spans
        };
        let own = [&nets.lan, &nets.wan, &nets.internet, &nets.service].map(|net| paint(site, net, &cut_off));
        let outside = if number == 0 { Spans::new() } else { paint(centre, &nets.outside, &truth.stopped) };
        all.push(Evidence { own, outside });
    }
    all
}

/// When the centre reaches nobody.
fn centre_cut(centre: &Networks) -> Times {
    centre.wan.down.clone()
}

fn outside(truth: &Truth, nets: &[Networks]) -> Outside {
    let centre = &truth.sites[0];
    let speaks = centre.speaks(truth.end);
    // It knows of its cut by its own rounds, those with a margin.
    let cut_off = centre_cut(&nets[0]).and(&speaks).widened(AROUND);
    Outside { speaks: speaks.without(&centre.fault), blind: truth.stopped.or(&cut_off), cut_off }
}

fn view<'a>(site: &Site, evidence: &'a Evidence, cut_off: &'a Periods) -> SiteView<'a> {
    let link = |(kind, own): (LinkKind, &'a Spans)| {
        let others = if kind == LinkKind::Wan && !evidence.outside.is_empty() {
            vec![Other { spans: &evidence.outside, cut_off }]
        } else {
            Vec::new()
        };
        LinkView { kind, valid: Window::ALWAYS, own: Some(own), others, hold: Duration::ZERO }
    };
    SiteView {
        tier: "commune",
        branch: "state",
        valid_from: ms(START),
        valid_to: None,
        equipped_from: Some(ms(site.equipped)),
        links: KINDS.into_iter().zip(&evidence.own).map(link).collect(),
    }
}

fn lives(site: &Site) -> Lives {
    let periods = |times: &Times| {
        times.as_slice().iter().map(|(start, end)| (ms(*start), ms(*end))).collect::<Periods>()
    };
    let (whole, wan) = (periods(&site.planned_site), periods(&site.planned_site.or(&site.planned_wan)));
    Lives {
        boots: site.boots.iter().copied().map(ms).collect(),
        starts: site.starts.iter().copied().map(ms).collect(),
        planned: [whole.clone(), wan, whole.clone(), whole],
    }
}

fn around_links<'a>(site: &Site, lives: &'a Lives) -> Vec<LinkAround<'a>> {
    let internet = if site.one_line { "vnpt" } else { "fpt" };
    let carriers = [None, Some("vnpt"), Some(internet), None];
    let links = lives.planned.iter().zip(carriers);
    links.map(|(planned, carrier)| LinkAround { planned, carrier }).collect()
}

/// The worst of the links' pieces.
fn worst(links: &[&Expected]) -> Vec<Piece> {
    let mut rests: Vec<&[Piece]> = links.iter().map(|link| link.pieces.as_slice()).collect();
    let mut pieces = Vec::new();
    let mut at = START;
    loop {
        let mut until = i64::MAX;
        let mut word = Word::Up;
        for rest in &mut rests {
            while rest.first().is_some_and(|piece| piece.1 <= at) {
                *rest = &rest[1..];
            }
            let Some(first) = rest.first() else { return pieces };
            until = until.min(first.1);
            word = word.min(first.2);
        }
        push(&mut pieces, (at, until, word));
        at = until;
    }
}

/// Where one piece ends and the next begins, the ends of the whole time among them; where the site's agent begins or ceases to
/// speak, since what it last saw and what the centre sees then are two rounds; and what changes for the centre at that moment.
fn edges(pieces: &[Piece], site: &Site, nets: &Networks, end: i64) -> Vec<i64> {
    let both = |times: &Times| -> Vec<i64> {
        times.as_slice().iter().flat_map(|(start, end)| [*start, *end]).collect()
    };
    let speaks = both(&site.speaks(end).without(&site.fault));
    let mut edges = both(&nets.outside.down);
    edges.extend(both(&nets.outside.bad));
    edges.retain(|edge| {
        let next = speaks.partition_point(|of_speaking| *of_speaking < edge - ROUND);
        speaks.get(next).is_some_and(|of_speaking| *of_speaking <= edge + ROUND)
    });
    edges.extend(speaks);
    edges.extend(pieces.iter().map(|piece| piece.0).chain(pieces.last().map(|last| last.1)));
    edges.sort_unstable();
    edges
}

fn word(state: State) -> Word {
    match state {
        State::Up => Word::Up,
        State::Degraded => Word::Degraded,
        State::Down => Word::Down,
        State::Unknown(_) => Word::Unknown,
    }
}

/// Comparing one site.
struct Check<'r> {
    number: usize,
    site: &'r Site,
    end: i64,
    report: &'r mut Report,
}

impl Check<'_> {
    /// How far an edge may be off: a round, and the clock.
    fn slack(&self) -> i64 {
        ROUND + self.site.clock_error()
    }

    /// No stretch differs by more than one round for each edge in it.
    fn states(&mut self, what: &str, timeline: &Timeline, pieces: &[Piece], edges: &[i64]) {
        let derived: Vec<Piece> =
            timeline.intervals.iter().map(|i| (i.start.0, i.end.0, word(i.state))).collect();
        let mut differing = Vec::new();
        let (mut is, mut should) = (derived.as_slice(), pieces);
        while let ([a, rest_a @ ..], [b, rest_b @ ..]) = (is, should) {
            if a.2 != b.2 {
                differing.push((a.0.max(b.0), a.1.min(b.1)));
            }
            if a.1 <= b.1 {
                is = rest_a;
            }
            if b.1 <= a.1 {
                should = rest_b;
            }
        }
        let slack = self.slack();
        for &(start, end) in Times::of(differing).as_slice() {
            // What an edge does to a round is seen up to a round before or after it.
            let from = edges.partition_point(|edge| *edge < start - slack);
            let to = edges.partition_point(|edge| *edge <= end + slack);
            let allowed = i64::try_from(to - from).unwrap_or(0) * slack;
            if end - start > allowed {
                let number = self.number;
                self.report.wrong(|| {
                    let near = |pieces: &[Piece]| -> Vec<(i64, i64, Word)> {
                        let near = pieces.iter().filter(|p| p.0 < end + ROUND && p.1 > start - ROUND);
                        near.map(|p| (p.0 - START, p.1 - START, p.2)).take(6).collect()
                    };
                    format!(
                        "site {number} {what}: differs for {} ms at {}, allowed {allowed}; is {:?}, should be {:?}",
                        end - start,
                        start - START,
                        near(&derived),
                        near(pieces)
                    )
                });
            }
        }
    }

    /// Downtime is that of the truth but for a round an edge, and the bounds hold what was true.
    fn figures(
        &mut self,
        what: &str,
        timeline: &Timeline,
        pieces: &[Piece],
        edges: &[i64],
        nets: &Networks,
        index: usize,
    ) {
        let figures = Uptime::of(timeline, &Periods::new());
        let total = |word: Word| pieces.iter().filter(|p| p.2 == word).map(|p| p.1 - p.0).sum::<i64>();
        let allowed = i64::try_from(edges.len()).unwrap_or(0) * self.slack();
        let down = total(Word::Down);
        self.report.down_ms += figures.durations.down_ms;
        self.report.true_down_ms += down;
        self.report.edges += edges.len();
        // What was really down while nobody looked.
        let net = [&nets.lan, &nets.wan, &nets.internet, &nets.service][index];
        let dark = Times::of(pieces.iter().filter(|p| p.2 == Word::Unknown).map(|p| (p.0, p.1)).collect());
        let truly_down = down + net.down.and(&dark).total();
        let counted = self.end - START;
        let (low, high) = (
            counted - figures.durations.down_ms - figures.durations.unknown_ms,
            counted - figures.durations.down_ms,
        );
        let truly_up = counted - truly_down;
        let number = self.number;
        if (figures.durations.down_ms - down).abs() > allowed {
            self.report.wrong(|| {
                format!("site {number} {what}: {} ms down, in truth {down}", figures.durations.down_ms)
            });
        }
        if truly_up < low - allowed || truly_up > high + allowed {
            self.report
                .wrong(|| format!("site {number} {what}: up {truly_up} ms is not within {low} and {high}"));
        }
    }

    /// Every bad instant is charged once, and no other.
    fn charged(&mut self, what: &str, timeline: &Timeline, charges: &[Charge]) {
        let bad = |state: State| match state {
            State::Up | State::Unknown(Why::NotYet | Why::NotEquipped | Why::NotMeasured) => false,
            State::Down
            | State::Degraded
            | State::Unknown(Why::Silent | Why::CollectorStopped | Why::Fault) => true,
        };
        let bad = timeline.intervals.iter().filter(|i| bad(i.state)).map(|i| (i.start.0, i.end.0));
        let charged = charges.iter().map(|charge| (charge.start.0, charge.end.0));
        let overlap = charges.windows(2).any(|pair| pair[1].start < pair[0].end);
        if overlap || Times::of(bad.collect()) != Times::of(charged.collect()) {
            let number = self.number;
            self.report.wrong(|| format!("site {number} {what}: what is charged is not what is bad"));
        }
    }

    /// Each charge is one that the evidence shows.
    fn causes(&mut self, what: &str, charges: &[Charge], expected: &[&Expected]) {
        let of_links = expected.len() == 1;
        // By cause, when it may be charged: at the expected time and a little around it.
        let may: BTreeMap<Cause, Times> = Cause::ALL
            .into_iter()
            .map(|cause| {
                let times =
                    expected.iter().flat_map(|one| &one.causes).filter(|(.., causes)| causes.has(cause));
                (
                    cause,
                    Times::of(times.map(|(start, end, _)| (*start, *end)).collect()).widened(AROUND + ROUND),
                )
            })
            .collect();
        for charge in charges {
            let (start, end, cause) = (charge.start.0, charge.end.0, charge.rule.cause());
            let whole = Times::one(start, end);
            let right = whole.and(&may[&cause]);
            let guess = if cause == Cause::Unknown { 0 } else { end - start - right.total() };
            // At an edge a neighbour's word counts for a while, from a round that may have noticed it late.
            if guess > AROUND + self.slack() {
                let (number, first) = (self.number, whole.without(&right));
                let at = first.as_slice().first().map_or(start, |period| period.0);
                let should = expected.iter().map(|one| at_time(&one.causes, at)).collect::<Vec<_>>();
                self.report.wrong(|| {
                    let names: Vec<Vec<&str>> = should.iter().map(|c| names(*c)).collect();
                    format!("site {number} {what}: guessed {guess} ms of {start}..{end} (at {}): {} by {}, could be {names:?}; {:?}",
                        at - START, cause.as_str(), charge.rule.as_str(), charge.scene)
                });
            }
            if !of_links {
                continue;
            }
            self.report.bad_ms += end - start;
            self.report.guessed_ms += guess;
            let shown = whole.without(&may[&Cause::Unknown]);
            self.report.shown_ms += shown.total();
            self.report.right_ms += shown.and(&may[&cause]).total();
            self.count(expected[0], start, end, cause, &right);
        }
    }

    /// For the matrix: what is right by itself, what is not under what is true then.
    fn count(&mut self, expected: &Expected, start: i64, end: i64, cause: Cause, right: &Times) {
        *self.report.matrix.entry((Some(cause), cause)).or_default() += right.total();
        for &(start, end) in Times::one(start, end).without(right).as_slice() {
            let first = expected.causes.partition_point(|piece| piece.1 <= start);
            for piece in expected.causes[first..].iter().take_while(|piece| piece.0 < end) {
                let millis = piece.1.min(end) - piece.0.max(start);
                *self.report.matrix.entry((piece.2.first(), cause)).or_default() += millis;
            }
        }
    }

    /// One outage for each true one; where it flaps, at least one for the group and none too many.
    fn outages(&mut self, what: &str, charges: &[Charge], pieces: &[Piece]) {
        let derived: Vec<(i64, i64)> = incidents(charges, ms(self.end))
            .iter()
            .filter(|incident| incident.kind == IncidentKind::Outage)
            .map(|incident| (incident.start.0, incident.end.0))
            .collect();
        self.report.outages += derived.len();
        let slack = self.slack();
        let speaks = self.site.speaks(self.end);
        let mut groups: Vec<(i64, i64, i64, i64)> = Vec::new();
        for (start, end) in true_outages(pieces, self.site.equipped) {
            let seen = i64::from(end - start >= 2 * slack);
            match groups.last_mut() {
                Some(last) if start - last.1 < 2 * slack => {
                    *last = (last.0, end, last.2 + 1, last.3.max(seen));
                }
                Some(_) | None => groups.push((start, end, 1, seen)),
            }
        }
        let mut rest = derived.as_slice();
        for (start, end, most, least) in groups {
            let before = rest.iter().take_while(|one| one.1 <= start - slack).count();
            if before > 0 {
                let (number, first) = (self.number, rest[0]);
                self.report.wrong(|| {
                    format!(
                        "site {number} {what}: an outage that was none: {}..{}",
                        first.0 - START,
                        first.1 - START
                    )
                });
            }
            rest = &rest[before..];
            let found = rest.iter().take_while(|one| one.0 < end + slack).count();
            rest = &rest[found..];
            let found = i64::try_from(found).unwrap_or(i64::MAX);
            // Where the agent falls silent, the centre may see a router that works for a round more.
            let silences = speaks.gaps(start - slack, end + slack).as_slice().len();
            let most = most + i64::try_from(silences).unwrap_or(0);
            if found < least || found > most {
                let number = self.number;
                self.report.wrong(|| {
                    format!(
                        "site {number} {what}: {found} outages for {most} true ones in {}..{}",
                        start - START,
                        end - START
                    )
                });
            }
        }
        if let Some(first) = rest.first() {
            let number = self.number;
            self.report.wrong(|| {
                format!(
                    "site {number} {what}: an outage that was none: {}..{}",
                    first.0 - START,
                    first.1 - START
                )
            });
        }
    }
}

fn at_time(causes: &[(i64, i64, Causes)], at: i64) -> Causes {
    let index = causes.partition_point(|piece| piece.1 <= at);
    causes.get(index).map_or_else(Causes::default, |piece| piece.2)
}

fn names(causes: Causes) -> Vec<&'static str> {
    Cause::ALL.into_iter().filter(|cause| causes.has(*cause)).map(Cause::as_str).collect()
}

/// Runs of down that nothing up or degraded interrupts.
fn true_outages(pieces: &[Piece], equipped: i64) -> Vec<(i64, i64)> {
    let mut outages: Vec<(i64, i64)> = Vec::new();
    let mut goes_on = false;
    for &(start, end, word) in pieces {
        match (word, outages.last_mut()) {
            (Word::Down, Some(last)) if goes_on => last.1 = end,
            (Word::Down, _) => outages.push((start, end)),
            // Before there is an agent nothing goes on.
            (Word::Unknown, _) if start >= equipped => continue,
            (Word::Unknown | Word::Up | Word::Degraded, _) => {}
        }
        goes_on = word == Word::Down;
    }
    outages
}
