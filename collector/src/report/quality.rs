//! How well links carried packets over a month, and what of it a contract is about.
//!
//! A carrier's agreement promises, beside uptime, a mean round-trip time and a share of lost packets **over a month** (so those of NTT,
//! Verizon and Lumen). Held against that are:
//!
//! - **whole hours**: those that lie wholly within the month, within the hours that count, and touch no planned work. What a window cuts
//!   is left out rather than guessed, and so the figures are the same as long as hours are kept;
//! - **the mean round-trip time** of all replies in them;
//! - **the loss of rounds that got any answer**. A round without any is time down, which the promised uptime counts already: no packet
//!   is charged twice.
//!
//! A link that nobody measured in these hours has broken no promise, and kept none: it is *not measured*.
//!
//! Evidence are the hours that are themselves over the limit, joined where they follow each other.

mod load;

use std::collections::BTreeMap;
use std::time::Duration;

pub use load::load;
use wan_wire::{LinkName, SiteId, UnixMillis};

use super::contract;
use super::coverage::Standing;
use super::uptime::HoursOf;
use crate::config::Contract;
use crate::ledger::periods::Periods;
use crate::ledger::timeline::Window;
use crate::province::Province;
use crate::quality::Quality;
use crate::quality::bucket::ratio;
use crate::quality::hour::{HOUR_MS, HourTotal};
use crate::quality::read::add;
use crate::quality::sweep::Measured;

/// Most runs of hours over a limit that are kept; the longest are, and how many there were is counted.
pub const MOST_RUNS: usize = 50_000;

/// What a contract promises of quality.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// The mean round-trip time in seconds, at most.
    pub rtt: Option<f64>,
    /// The share of lost packets, at most.
    pub loss: Option<f64>,
}

impl Limits {
    /// One of them.
    #[must_use]
    pub const fn get(&self, limit: Limit) -> Option<f64> {
        match limit {
            Limit::Rtt => self.rtt,
            Limit::Loss => self.loss,
        }
    }

    /// What it promises; `None`: nothing.
    #[must_use]
    pub fn of(contract: &Contract) -> Option<Self> {
        let limits =
            Self { rtt: contract.rtt_limit.as_ref().map(Duration::as_secs_f64), loss: contract.loss_limit };
        (limits != Self::default()).then_some(limits)
    }
}

/// One of the two promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// The mean round-trip time.
    Rtt,
    /// The share of lost packets.
    Loss,
}

impl Limit {
    /// Both, in the order in which they are told.
    pub const ALL: [Self; 2] = [Self::Rtt, Self::Loss];
}

/// How a figure stands against a limit; `None`: it is not measured, or nothing is promised.
#[must_use]
pub fn against(figure: Option<f64>, limit: Option<f64>) -> Option<Standing> {
    let (figure, limit) = (figure?, limit?);
    Some(if figure <= limit { Standing::Met } else { Standing::Missed })
}

/// What was measured in the hours that a contract is about. Whole numbers, which add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Hours in which anything was measured.
    pub hours: u32,
    /// Packets sent.
    pub sent: u64,
    /// Of these, those of rounds that got no answer at all.
    pub unanswered: u64,
    /// Packets answered.
    pub received: u64,
    /// Their round-trip times together, in microseconds.
    pub rtt_sum: u64,
}

impl Tally {
    /// An hour's figures.
    #[must_use]
    pub fn of(HourTotal { rounds: _, bucket }: &HourTotal) -> Self {
        Self {
            hours: 1,
            sent: bucket.sent,
            unanswered: bucket.unanswered,
            received: bucket.received,
            rtt_sum: bucket.times.as_ref().map_or(0, |times| times.sum),
        }
    }

    /// Adds what was measured in other hours, or of another link.
    pub fn add(&mut self, other: &Self) {
        self.hours = self.hours.saturating_add(other.hours);
        self.sent = self.sent.saturating_add(other.sent);
        self.unanswered = self.unanswered.saturating_add(other.unanswered);
        self.received = self.received.saturating_add(other.received);
        self.rtt_sum = self.rtt_sum.saturating_add(other.rtt_sum);
    }

    /// The mean round-trip time in seconds.
    #[must_use]
    pub fn rtt_mean(&self) -> Option<f64> {
        (self.received > 0).then(|| ratio(self.rtt_sum, self.received) / 1e6)
    }

    /// Packets of rounds that got any answer.
    #[must_use]
    pub const fn counted(&self) -> u64 {
        self.sent.saturating_sub(self.unanswered)
    }

    /// The share of these that was lost.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        let sent = self.counted();
        (sent > 0).then(|| ratio(sent.saturating_sub(self.received), sent))
    }

    /// The figure that a promise is about.
    #[must_use]
    pub fn figure(&self, limit: Limit) -> Option<f64> {
        match limit {
            Limit::Rtt => self.rtt_mean(),
            Limit::Loss => self.loss(),
        }
    }
}

/// Hours in a row that were each over a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Which one.
    pub limit: Limit,
    /// When the first of them begins.
    pub start: UnixMillis,
    /// When the last of them ends.
    pub end: UnixMillis,
    /// When the worst of them begins; of equal ones, the first.
    pub worst_at: UnixMillis,
    /// What was measured in that.
    pub worst: Tally,
}

/// The hours over either limit, joined where they follow each other without a gap; by limit and time.
#[must_use]
pub fn runs<'s>(hours: impl Iterator<Item = (UnixMillis, &'s Tally)> + Clone, limits: Limits) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for limit in Limit::ALL {
        for (start, tally) in hours.clone() {
            if against(tally.figure(limit), limits.get(limit)) != Some(Standing::Missed) {
                continue;
            }
            let end = start.plus_millis(HOUR_MS);
            match runs.last_mut().filter(|run| run.limit == limit && run.end == start) {
                Some(run) => {
                    run.end = end;
                    if tally.figure(limit) > run.worst.figure(limit) {
                        (run.worst_at, run.worst) = (start, *tally);
                    }
                }
                None => runs.push(Run { limit, start, end, worst_at: start, worst: *tally }),
            }
        }
    }
    runs
}

/// One link over a month.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkQuality {
    /// Whole hours in which anything was measured.
    pub hours: u32,
    /// The figures of all of them.
    pub figures: Quality,
    /// What was measured in the hours that the link's contract is about; `None`: it has none that promises quality.
    pub counted: Option<Tally>,
}

/// A run of hours over a limit, and of which link.
#[derive(Debug, Clone, PartialEq)]
pub struct Exceeded {
    /// The site.
    pub site: SiteId,
    /// The link.
    pub link: LinkName,
    /// The hours.
    pub run: Run,
}

/// Every link of a month.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MonthQuality {
    links: BTreeMap<SiteId, BTreeMap<LinkName, LinkQuality>>,
    /// The hours over limits, the longest [`MOST_RUNS`]; in no order.
    pub exceeded: Vec<Exceeded>,
    /// How many such runs there were.
    pub all_exceeded: usize,
}

impl MonthQuality {
    /// A link's figures, if it has any.
    #[must_use]
    pub fn link(&self, site: &SiteId, link: &LinkName) -> Option<&LinkQuality> {
        self.links.get(site)?.get(link)
    }

    fn exceed(&mut self, found: Exceeded) {
        self.all_exceeded += 1;
        self.exceeded.push(found);
        if self.exceeded.len() >= 2 * MOST_RUNS {
            self.cut(MOST_RUNS);
        }
    }

    /// Leaves the `most` longest: of equal ones the same, in whatever order they came.
    fn cut(&mut self, most: usize) {
        if self.exceeded.len() <= most {
            return;
        }
        let order = |a: &Exceeded, b: &Exceeded| {
            let length = |found: &Exceeded| found.run.end.millis_since(found.run.start);
            let place = |found: &Exceeded| (found.run.start, found.run.limit);
            let of = (&a.site, &a.link).cmp(&(&b.site, &b.link));
            length(b).cmp(&length(a)).then(of).then(place(a).cmp(&place(b)))
        };
        self.exceeded.select_nth_unstable_by(most, order);
        self.exceeded.truncate(most);
    }
}

/// Makes the figures of a month, link by link as the hours are read.
#[derive(Debug)]
pub struct Gathering<'p> {
    province: &'p Province<'p>,
    window: Window,
    service: Periods,
    month: MonthQuality,
}

impl<'p> Gathering<'p> {
    /// Of a window of the province, cut to its present.
    #[must_use]
    pub fn new(province: &'p Province<'p>, window: Window) -> Self {
        let service = province.config().calendar.service_time(window, &province.config().timezone);
        Self { province, window, service, month: MonthQuality::default() }
    }

    /// Takes the hours of one link, in order. Those that the register does not know are left out, and so are hours in which it was none of its
    /// site's links.
    pub fn add(&mut self, id: &SiteId, name: &LinkName, steps: &Measured) {
        let province = self.province;
        let Some(site) = province.site(id) else { return };
        let Some(link) = site.link(name) else { return };
        let valid = site.view().clip_link(&link.view(), self.window, province.now);
        let first = steps.partition_point(|(at, _)| *at < valid.start);
        let behind = steps.partition_point(|(at, _)| at.plus_millis(HOUR_MS) <= valid.end);
        let Some(steps) = steps.get(first..behind).filter(|steps| !steps.is_empty()) else { return };
        let mut whole = HourTotal::default();
        steps.iter().for_each(|(_, hour)| add(&mut whole, hour));
        let contract = contract::of_link(province.config(), site.site, name);
        let promised = contract.and_then(|contract| Some((contract, Limits::of(contract)?)));
        let counted = promised.map(|(contract, limits)| {
            let planned = province.planned_of(&site, Some(name), self.window);
            let counts = |at: &UnixMillis| {
                let end = at.plus_millis(HOUR_MS);
                let in_hours = match contract.hours {
                    HoursOf::All => true,
                    HoursOf::Service => self.service.at(*at).is_some_and(|period| period.end >= end),
                };
                in_hours && !planned.overlaps(*at, end)
            };
            let hours: Vec<(UnixMillis, Tally)> =
                steps.iter().filter(|(at, _)| counts(at)).map(|(at, hour)| (*at, Tally::of(hour))).collect();
            let mut sum = Tally::default();
            hours.iter().for_each(|(_, hour)| sum.add(hour));
            for run in runs(hours.iter().map(|(at, hour)| (*at, hour)), limits) {
                self.month.exceed(Exceeded { site: id.clone(), link: name.clone(), run });
            }
            sum
        });
        let figures = Quality::from(&whole);
        let hours = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let of_link = LinkQuality { hours, figures, counted };
        self.month.links.entry(id.clone()).or_default().insert(name.clone(), of_link);
    }

    /// All that was gathered.
    #[must_use]
    pub fn done(mut self) -> MonthQuality {
        self.month.cut(MOST_RUNS);
        self.month
    }
}

#[cfg(test)]
mod tests;
