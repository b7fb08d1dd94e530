//! Contracts: what a carrier owes for a link, and what of a link's failures is the carrier's.
//!
//! # Whose time it is
//!
//! With *C* the milliseconds that the contract is about (the window, without planned time, within the hours that count), each is
//! exactly one of
//!
//! | time | is |
//! | --- | --- |
//! | **charged** | down, and the rules charge the carrier of a WAN line, or the provider (or carrier) of an Internet line |
//! | **excused** | down, and the rules charge something else: the site's LAN, what lies above it; or unknown because the site had no power |
//! | **undecided** | down and no rule can tell why, or unknown for any other reason: it may have been the carrier's |
//! | **kept** | up or degraded |
//!
//! uptime = 1 − charged ÷ observed, with observed = charged + kept + what was seen down else. Its bounds say what the undecided may
//! hide: low = 1 − (charged + undecided) ÷ C, high = 1 − charged ÷ C.
//!
//! The promise is **met** when low reaches it, **missed** when even high does not, and **undecided** between: a letter to a carrier
//! that claims a breach must hold whatever happened while nobody looked.
//!
//! What a contract promises of packets, round-trip time and loss, is [`super::quality`]'s.

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::{LinkKind, LinkName, UnixMillis};

use super::coverage::{Standing, standing};
use super::uptime::{HoursOf, ratio};
use crate::config::{Config, Contract};
use crate::inventory::Site;
use crate::ledger::cause::{Cause, Charge};
use crate::ledger::incident::{Incident, IncidentKind};
use crate::ledger::periods::Periods;
use crate::ledger::timeline::{Interval, State};

/// The contract that a link of a site is under, as the configuration knows it; `None` also for a LAN and for a shared system, which no
/// carrier provides.
#[must_use]
pub fn of_link<'c>(config: &'c Config, site: &Site, link: &LinkName) -> Option<&'c Contract> {
    match link.kind() {
        LinkKind::Wan | LinkKind::Internet => {}
        LinkKind::Lan | LinkKind::Service => return None,
    }
    config.contract(site.link(link)?.contract.as_deref()?)
}

/// What is promised of one link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Promised<'a> {
    /// The contract's id; empty: the register promises an uptime and names no contract.
    pub contract: &'a str,
    /// Who provides the link.
    pub carrier: Option<&'a str>,
    /// The promised uptime.
    pub uptime: Option<f64>,
    /// The hours that count.
    pub hours: HoursOf,
}

impl<'a> Promised<'a> {
    /// What a link is promised, where it is under a contract or is promised an uptime, and is of a kind that somebody provides.
    #[must_use]
    pub fn of(config: &'a Config, site: &'a Site, link: &LinkName) -> Option<Self> {
        let entry = site.link(link)?;
        let contract = of_link(config, site, link);
        let uptime = entry.uptime.or(contract.and_then(|contract| contract.uptime));
        if !matches!(link.kind(), LinkKind::Wan | LinkKind::Internet)
            || (entry.contract.is_none() && uptime.is_none())
        {
            return None;
        }
        let carrier = entry.carrier.as_deref().or(contract.and_then(|contract| contract.carrier.as_deref()));
        Some(Self {
            contract: entry.contract.as_deref().unwrap_or_default(),
            carrier,
            uptime,
            hours: contract.map_or(HoursOf::All, |contract| contract.hours),
        })
    }
}

/// Where the milliseconds of a contract went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Account {
    /// Milliseconds that the contract is about.
    pub counted_ms: i64,
    /// Of these, milliseconds in which the link's state was known.
    pub observed_ms: i64,
    /// Milliseconds down that are the carrier's.
    pub charged_ms: i64,
    /// Milliseconds down, or unknown for want of power, that are not.
    pub excused_ms: i64,
    /// Milliseconds that may be the carrier's.
    pub undecided_ms: i64,
}

impl Account {
    /// The account of one link: its timeline over the window, the charges of the same time, the planned time, and the hours that count
    /// (`None`: all).
    #[must_use]
    pub fn of(
        kind: LinkKind,
        timeline: &[Interval],
        charges: &[Charge],
        planned: &Periods,
        hours: Option<&Periods>,
    ) -> Self {
        let counted = |start: UnixMillis, end: UnixMillis| -> i64 { counted(start, end, planned, hours) };
        let mut account = Self::default();
        let mut unknown_ms = 0;
        for interval in timeline {
            let millis = counted(interval.start, interval.end);
            account.counted_ms += millis;
            match interval.state {
                State::Unknown(_) => unknown_ms += millis,
                State::Up | State::Degraded | State::Down => account.observed_ms += millis,
            }
        }
        let mut power_ms = 0;
        for charge in charges {
            let cause = charge.rule.cause();
            let is_down = match charge.state {
                State::Down => true,
                State::Unknown(_) if cause == Cause::Power => false,
                State::Unknown(_) | State::Up | State::Degraded => continue,
            };
            let millis = counted(charge.start, charge.end);
            if !is_down {
                power_ms += millis;
                account.excused_ms += millis;
            } else if is_charged(kind, cause) {
                account.charged_ms += millis;
            } else if cause == Cause::Unknown {
                account.undecided_ms += millis;
            } else {
                account.excused_ms += millis;
            }
        }
        account.undecided_ms += unknown_ms - power_ms;
        account
    }

    /// The same of several links together.
    pub fn add(&mut self, other: &Self) {
        self.counted_ms += other.counted_ms;
        self.observed_ms += other.observed_ms;
        self.charged_ms += other.charged_ms;
        self.excused_ms += other.excused_ms;
        self.undecided_ms += other.undecided_ms;
    }

    /// Milliseconds up or degraded.
    #[must_use]
    pub fn kept_ms(&self) -> i64 {
        self.counted_ms - self.charged_ms - self.excused_ms - self.undecided_ms
    }

    /// 1 − charged ÷ observed.
    #[must_use]
    pub fn uptime(&self) -> Option<f64> {
        ratio(self.observed_ms - self.charged_ms, self.observed_ms)
    }

    /// The uptime if all that is undecided were the carrier's.
    #[must_use]
    pub fn low(&self) -> Option<f64> {
        ratio(self.counted_ms - self.charged_ms - self.undecided_ms, self.counted_ms)
    }

    /// The uptime if none of it were.
    #[must_use]
    pub fn high(&self) -> Option<f64> {
        ratio(self.counted_ms - self.charged_ms, self.counted_ms)
    }

    /// How it stands against a promised uptime; `None` where none is promised or nothing counts.
    #[must_use]
    pub fn standing(&self, promised: Option<f64>) -> Option<Standing> {
        standing(self.low(), self.high(), promised)
    }
}

/// Whether a cause is the fault of who provides a link of this kind.
#[must_use]
pub fn is_charged(kind: LinkKind, cause: Cause) -> bool {
    match kind {
        LinkKind::Wan => cause == Cause::Carrier,
        // Where an Internet line fails together with the WAN line of the same carrier, it is charged as that one is.
        LinkKind::Internet => cause == Cause::Isp || cause == Cause::Carrier,
        LinkKind::Lan | LinkKind::Service => false,
    }
}

/// The outages of a link of which some time is charged to its provider, with that time; those without any within the hours that count
/// are left out.
#[must_use]
pub fn breaks<'i>(
    kind: LinkKind,
    incidents: &'i [Incident],
    charges: &[Charge],
    planned: &Periods,
    hours: Option<&Periods>,
) -> Vec<(&'i Incident, i64)> {
    let mut found = Vec::new();
    for incident in incidents.iter().filter(|incident| incident.kind == IncidentKind::Outage) {
        let first = charges.partition_point(|charge| charge.end <= incident.start);
        let within = charges.iter().skip(first).take_while(|charge| charge.start < incident.end);
        let charged = within
            .filter(|charge| charge.state == State::Down && is_charged(kind, charge.rule.cause()))
            .map(|charge| counted(charge.start, charge.end, planned, hours))
            .sum();
        if charged > 0 {
            found.push((incident, charged));
        }
    }
    found
}

/// Milliseconds of a stretch that count.
fn counted(start: UnixMillis, end: UnixMillis, planned: &Periods, hours: Option<&Periods>) -> i64 {
    let unplanned = |start: UnixMillis, end: UnixMillis| {
        let planned = overlaps(planned, start, end).map(|(start, end)| end.millis_since(start));
        end.millis_since(start) - planned.sum::<i64>()
    };
    match hours {
        None => unplanned(start, end),
        Some(hours) => overlaps(hours, start, end).map(|(start, end)| unplanned(start, end)).sum(),
    }
}

/// The parts of the periods that lie in a stretch.
fn overlaps(
    periods: &Periods,
    start: UnixMillis,
    end: UnixMillis,
) -> impl Iterator<Item = (UnixMillis, UnixMillis)> {
    let periods = periods.as_slice();
    let first = periods.partition_point(|period| period.end <= start);
    let within = periods.iter().skip(first).take_while(move |period| period.start < end);
    within.map(move |period| (period.start.max(start), period.end.min(end)))
}
