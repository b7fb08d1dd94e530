//! What really happens in the province: every cut, every failure, every restart, with its cause.

use super::random::Random;
use super::times::Times;

pub(crate) const SECOND: i64 = 1000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// How large a province, for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) sites: usize,
    pub(crate) hubs: usize,
    pub(crate) days: i64,
    /// Stops of the collector.
    pub(crate) outages: i64,
    /// One agent in so many has a wrong clock.
    pub(crate) wrong_clocks: usize,
}

/// A province and its time.
#[derive(Debug)]
pub(crate) struct Truth {
    /// `[START, end)`.
    pub(crate) end: i64,
    /// The centre first, then its hubs, then the communes behind them.
    pub(crate) sites: Vec<Site>,
    /// When the collector did not run.
    pub(crate) stopped: Times,
    /// When the shared system did not answer.
    pub(crate) system_down: Times,
}

/// 2026-01-01 00:00 in Vietnam.
pub(crate) const START: i64 = 1_767_200_400_000;

/// What happens to one site. Of a link: when it carries nothing (`down`), and when it loses two packets of five (`bad`).
#[derive(Debug, Default)]
pub(crate) struct Site {
    pub(crate) parent: Option<usize>,
    /// Internet and WAN are one line of one carrier.
    pub(crate) one_line: bool,
    pub(crate) lan_down: Times,
    pub(crate) lan_bad: Times,
    pub(crate) line_down: Times,
    pub(crate) line_bad: Times,
    pub(crate) isp_down: Times,
    pub(crate) isp_bad: Times,
    pub(crate) router_off: Times,
    pub(crate) host_off: Times,
    /// The host runs, its agent does not.
    pub(crate) agent_off: Times,
    /// From the host's boot to the agent's start.
    pub(crate) booting: Times,
    /// The instrument fails.
    pub(crate) fault: Times,
    /// The agent runs, and its rounds never arrive: lost while the collector was not there, or by itself.
    pub(crate) lost_collector: Times,
    pub(crate) lost_agent: Times,
    /// Planned work on the whole site, and on its WAN line alone.
    pub(crate) planned_site: Times,
    pub(crate) planned_wan: Times,
    /// Since when the site has an agent.
    pub(crate) equipped: i64,
    /// What the agent tells of its lives, by its own clock.
    pub(crate) boots: Vec<i64>,
    pub(crate) starts: Vec<i64>,
    /// By how much its clock is wrong, from a time on.
    pub(crate) clock: Vec<(i64, i64)>,
}

impl Site {
    /// When its agent makes rounds.
    pub(crate) fn running(&self, end: i64) -> Times {
        let off = self.host_off.or(&self.agent_off).or(&self.booting);
        off.gaps(self.equipped, end)
    }

    /// When rounds of its agent arrive, at last.
    pub(crate) fn speaks(&self, end: i64) -> Times {
        self.running(end).without(&self.lost_collector.or(&self.lost_agent))
    }

    /// By how much its clock is wrong at a time.
    pub(crate) fn clock_at(&self, at: i64) -> i64 {
        let next = self.clock.partition_point(|(from, _)| *from <= at);
        next.checked_sub(1).map_or(0, |index| self.clock[index].1)
    }

    /// The most that its clock is ever wrong.
    pub(crate) fn clock_error(&self) -> i64 {
        self.clock.iter().map(|(_, error)| error.abs()).max().unwrap_or(0)
    }
}

/// Draws events of one kind.
struct Draw {
    random: Random,
    end: i64,
}

impl Draw {
    /// So many a year, each as long as between the two.
    fn events(&mut self, a_year: i64, from: i64, to: i64) -> Vec<(i64, i64)> {
        let span = self.end - START;
        let expected = a_year * span;
        let mut count = expected / (365 * DAY);
        if self.random.between(0, 365 * DAY) < expected % (365 * DAY) {
            count += 1;
        }
        let mut events = Vec::new();
        for _ in 0..count {
            let start = self.random.between(START + HOUR, self.end - HOUR);
            events.push((start, (start + self.random.length(from, to)).min(self.end - MINUTE)));
        }
        events
    }

    /// A line that comes and goes.
    fn flaps(&mut self, a_year: i64) -> Vec<(i64, i64)> {
        let mut flaps = Vec::new();
        for (mut at, _) in self.events(a_year, MINUTE, 2 * MINUTE) {
            for _ in 0..self.random.between(5, 30) {
                let down = self.random.length(SECOND, 2 * MINUTE);
                flaps.push((at, at + down));
                at += down + self.random.length(SECOND, 3 * MINUTE);
            }
        }
        let end = self.end - MINUTE;
        flaps.into_iter().map(|(from, to)| (from, to.min(end))).collect()
    }

    fn times(&mut self, a_year: i64, from: i64, to: i64) -> Times {
        Times::of(self.events(a_year, from, to))
    }
}

impl Truth {
    pub(crate) fn new(size: Size, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let end = START + size.days * DAY;
        let mut draw = Draw { random: random.split(), end };
        let stopped = (0..size.outages).map(|_| {
            let start = draw.random.between(START + HOUR, end - 8 * HOUR);
            (start, start + draw.random.length(MINUTE, 6 * HOUR))
        });
        let stopped = Times::of(stopped.collect());
        let system_down = draw.times(6, 2 * MINUTE, 2 * HOUR);
        let mut sites = Vec::with_capacity(size.sites);
        for number in 0..size.sites {
            let mut draw = Draw { random: random.split(), end };
            let mut site = if number == 0 {
                centre(&mut draw, &stopped)
            } else {
                let parent = if number <= size.hubs { 0 } else { 1 + number % size.hubs };
                agency(&mut draw, parent, number <= size.hubs, &stopped)
            };
            let wrong = number > size.hubs && number % size.wrong_clocks == size.wrong_clocks / 2;
            lives(&mut site, &mut draw, wrong);
            sites.push(site);
        }
        Self { end, sites, stopped, system_down }
    }
}

/// The centre: its router never loses power, its host sometimes goes with the collector.
fn centre(draw: &mut Draw, stopped: &Times) -> Site {
    let host_off = stopped.as_slice().iter().filter(|_| draw.random.chance(30)).copied().collect();
    let mut site = Site {
        lan_down: draw.times(3, MINUTE, HOUR),
        line_down: draw.times(5, MINUTE, HOUR),
        isp_down: draw.times(6, MINUTE, 2 * HOUR),
        line_bad: draw.times(4, MINUTE, HOUR),
        host_off: Times::of(host_off),
        fault: draw.times(1, 5 * MINUTE, 20 * MINUTE),
        equipped: START,
        ..Site::default()
    };
    agent(&mut site, draw);
    site
}

/// A hub or a commune.
fn agency(draw: &mut Draw, parent: usize, hub: bool, stopped: &Times) -> Site {
    let mut site = Site { parent: Some(parent), one_line: draw.random.chance(30), ..Site::default() };
    site.equipped =
        if draw.random.chance(10) { draw.random.between(START, draw.end / 2 + START / 2) } else { START };
    let mut cuts = draw.events(if hub { 8 } else { 24 }, MINUTE, 8 * HOUR);
    cuts.extend(draw.flaps(if hub { 1 } else { 5 }));
    // Planned work: mostly the line is cut within it; sometimes for longer, sometimes not at all.
    for (start, end) in draw.events(4, 30 * MINUTE, 4 * HOUR) {
        let of = if draw.random.chance(50) { &mut site.planned_site } else { &mut site.planned_wan };
        *of = of.or(&Times::one(start, end));
        if draw.random.chance(85) {
            cuts.push((
                start + draw.random.length(SECOND, 10 * MINUTE),
                end - draw.random.between(-20 * MINUTE, 15 * MINUTE),
            ));
        }
    }
    site.line_down = Times::of(cuts);
    site.line_bad = draw.times(10, MINUTE, 2 * HOUR);
    site.isp_down = draw.times(18, MINUTE, 8 * HOUR);
    site.isp_bad = draw.times(8, MINUTE, 2 * HOUR);
    site.lan_down = draw.times(8, 20 * SECOND, 3 * HOUR);
    site.lan_bad = draw.times(3, MINUTE, HOUR);
    site.fault = draw.times(2, MINUTE, HOUR);
    // Power: the router has a battery at some sites, for two hours.
    let battery = draw.random.chance(if hub { 60 } else { 25 });
    let (mut router_off, mut host_off) = (Vec::new(), Vec::new());
    for (cut, back) in draw.events(if hub { 6 } else { 20 }, MINUTE, 5 * HOUR) {
        host_off.push((cut, back + draw.random.between(2 * SECOND, 10 * SECOND)));
        let router = if battery { cut + 2 * HOUR } else { cut };
        if router < back {
            router_off.push((router, back + draw.random.between(10 * SECOND, MINUTE)));
        }
    }
    // Switched off and on by somebody.
    host_off.extend(draw.events(6, 30 * SECOND, 10 * MINUTE));
    (site.router_off, site.host_off) = (Times::of(router_off), Times::of(host_off));
    // Some lose what they could not send while the collector was not there; some lose an hour by themselves.
    let lost = stopped.as_slice().iter().filter(|_| draw.random.chance(6)).copied().collect();
    site.lost_collector = Times::of(lost);
    site.lost_agent = draw.times(2, 5 * MINUTE, HOUR);
    agent(&mut site, draw);
    site
}

/// Crashes and updates of the agent, and the time from a boot to its start.
fn agent(site: &mut Site, draw: &mut Draw) {
    let mut off = draw.events(5, 10 * SECOND, 20 * MINUTE);
    off.extend(draw.events(12, 2 * SECOND, 15 * SECOND));
    site.agent_off = Times::of(off).without(&site.host_off);
    let booting = site
        .host_off
        .as_slice()
        .iter()
        .map(|(_, boot)| (*boot, boot + draw.random.between(15 * SECOND, 2 * MINUTE)));
    site.booting = Times::of(booting.collect()).without(&site.host_off);
}

/// What the agent tells of its lives, and by which clock it dates.
fn lives(site: &mut Site, draw: &mut Draw, wrong: bool) {
    let running = site.running(draw.end);
    let mut undatable = Vec::new();
    for &(start, end) in running.as_slice() {
        let error = if wrong { draw.random.between(-SECOND, SECOND) } else { draw.random.between(-40, 40) };
        site.clock.push((start, error));
        // The host booted shortly before, or it had not stopped.
        let boot = site.booting.as_slice().iter().find(|booting| booting.1 == start).map(|booting| booting.0);
        // A boot that ends before the agent has learnt the time: its rounds are set aside, and nothing is told of it.
        let next_boot = site.host_off.as_slice().iter().any(|off| off.0 == end);
        if wrong && boot.is_some() && next_boot && draw.random.chance(30) {
            undatable.push((start, end));
            continue;
        }
        if let Some(boot) = boot {
            site.boots.push((boot + error) / SECOND * SECOND);
        }
        site.starts.push((start + error) / SECOND * SECOND);
    }
    site.lost_agent = site.lost_agent.or(&Times::of(undatable));
}
