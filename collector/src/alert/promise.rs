//! Whether a link keeps what its contract promises, by the last minutes. Pure.
//!
//! A contract promises a mean round-trip time and a share of lost packets over a month. What lies over a limit for minutes breaks no contract
//! yet, and is what to call the carrier about before it does. Held against the limits are the last [`MINUTES`] closed minutes, where they lie in
//! the hours that the contract counts:
//!
//! - the mean round-trip time of all replies;
//! - the packets lost of rounds that got any answer, if they are more than chance makes of a line that loses as much as it may: three standard
//!   deviations over the limit, so that of 300 packets two lost ones do not exceed a limit of 0.5 %.

use std::time::Duration;

use wan_wire::LinkName;

use crate::config::Contract;
use crate::lang::Lang;
use crate::ledger::timeline::Window;
use crate::province::{Province, SiteNow};
use crate::quality::recent::{Figures, LastMinutes, MINUTES};
use crate::report::quality::Limits;
use crate::report::uptime::HoursOf;

/// Of the window's minutes as many must have a round at least.
const LEAST_MINUTES: u8 = 3;
/// Figures of a window that ended longer ago are none of the present.
const OLD: Duration = Duration::from_secs(180);
/// Standard deviations by which a loss exceeds its limit before it is more than chance: one in 700 windows of a line that loses just
/// what it may, and of those that follow each other for the time that alerts are held, none.
const DEVIATIONS: f64 = 3.0;

/// How a link stands against its contract.
#[derive(Debug, Clone, PartialEq)]
pub enum Promise {
    /// It has none, or one without limits.
    Nothing,
    /// Too little was measured, planned work is under way, or these hours do not count.
    Unsure,
    /// It is kept.
    Kept,
    /// It is not.
    Broken(Broken),
}

/// What exceeds a contract's limits: each figure and its limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// The contract's number.
    pub contract: String,
    /// Of which time.
    pub window: Window,
    /// The mean round-trip time, in seconds.
    pub rtt: Option<(f64, f64)>,
    /// The share of lost packets.
    pub loss: Option<(f64, f64)>,
}

impl Broken {
    /// It in a sentence.
    #[must_use]
    pub fn sentence(&self, lang: Lang) -> String {
        let decimal = |text: String| if lang == Lang::Vi { text.replace('.', ",") } else { text };
        let number = |value: f64, most: usize| {
            let text = format!("{value:.most$}");
            decimal(if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            })
        };
        let name = &self.contract;
        let allows = lang.pick("hợp đồng", "contract");
        let rtt = self.rtt.map(|(is, limit)| {
            let (is, limit) = (number(is * 1000.0, 0), number(limit * 1000.0, 1));
            match lang {
                Lang::Vi => format!("RTT {is} ms, {allows} {name} cho phép {limit} ms"),
                Lang::En => format!("RTT {is} ms, {allows} {name} allows {limit} ms"),
            }
        });
        let loss = self.loss.map(|(is, limit)| {
            let (is, limit) = (number(is * 100.0, 1), number(limit * 100.0, 3));
            match lang {
                Lang::Vi => format!("mất gói {is} %, {allows} {name} cho phép {limit} %"),
                Lang::En => format!("loss {is} %, {allows} {name} allows {limit} %"),
            }
        });
        let both = [rtt, loss].into_iter().flatten().collect::<Vec<_>>().join("; ");
        match lang {
            Lang::Vi => format!("{both} ({MINUTES} phút qua)"),
            Lang::En => format!("{both} (last {MINUTES} minutes)"),
        }
    }
}

/// How a link of a site stands against its contract now.
#[must_use]
pub fn of(province: &Province<'_>, site: &SiteNow<'_>, link: &LinkName) -> Promise {
    let (config, now) = (province.config(), province.now);
    let id = site.site.link(link).and_then(|entry| entry.contract.as_deref());
    let contract = id.and_then(|id| config.contract(id)).filter(|contract| contract.kind == link.kind());
    let Some((contract, limits)) = contract.and_then(|contract| Some((contract, Limits::of(contract)?)))
    else {
        return Promise::Nothing;
    };
    let minutes: &LastMinutes = province.last_minutes();
    let window = minutes.window;
    if window.end > now || now.since(window.end) > OLD {
        return Promise::Unsure;
    }
    let Some(figures) = minutes.of(&site.site.id, link) else { return Promise::Unsure };
    let counts = || match contract.hours {
        HoursOf::All => true,
        HoursOf::Service => province.is_in_service(window),
    };
    if figures.minutes < LEAST_MINUTES || !counts() {
        return Promise::Unsure;
    }
    match held_against(figures, contract, limits, window) {
        Some(Promise::Broken(_)) if !province.planned_of(site, Some(link), window).is_empty() => {
            Promise::Unsure
        }
        Some(promise) => promise,
        None => Promise::Unsure,
    }
}

/// `None`: there is no figure of what is promised.
fn held_against(figures: &Figures, contract: &Contract, limits: Limits, window: Window) -> Option<Promise> {
    let rtt = figures.rtt_mean().zip(limits.rtt);
    let loss = figures.loss().zip(limits.loss);
    if rtt.is_none() && loss.is_none() {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "packets of five minutes")]
    let more_than_chance = |limit: f64| {
        let most = limit * figures.counted as f64;
        figures.lost() as f64 > most + DEVIATIONS * (most * (1.0 - limit).max(0.0)).sqrt()
    };
    let rtt = rtt.filter(|(is, limit)| is > limit);
    let loss = loss.filter(|(_, limit)| more_than_chance(*limit));
    Some(if rtt.is_none() && loss.is_none() {
        Promise::Kept
    } else {
        Promise::Broken(Broken { contract: contract.id.clone(), window, rtt, loss })
    })
}

#[cfg(test)]
mod tests;
