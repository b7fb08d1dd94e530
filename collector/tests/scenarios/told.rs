//! What happened, as a scenario tells it: line after line, in the order of arrival.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use wan_collector::ledger::span::{Periods, Spans};
use wan_collector::ledger::timeline::Window;
use wan_wire::{LinkKind, LinkName, Outcome, UnixMillis};

use crate::works::Works;

/// A wrong scenario is a failure like a wrong result: what is wrong, to be shown with file and line.
pub(crate) type Told<T> = Result<T, String>;

/// Everything that was told so far.
pub(crate) struct Scenario {
    pub(crate) zone: TimeZone,
    pub(crate) day: Date,
    pub(crate) now: Option<UnixMillis>,
    pub(crate) required: Vec<LinkKind>,
    pub(crate) plan: Vec<(String, f64)>,
    pub(crate) sites: BTreeMap<String, Site>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) stopped: Vec<Window>,
    /// Planned work: site, link (all of them unless told), time.
    pub(crate) planned: Vec<(String, Option<LinkName>, Window)>,
    /// Planned windows for more than one site, or recurring ones; and the calendar.
    pub(crate) works: Works,
    /// The vantage whose own cut makes the collector blind.
    pub(crate) centre: Option<String>,
}

/// A site of the register.
pub(crate) struct Site {
    pub(crate) tier: String,
    pub(crate) branch: String,
    pub(crate) from: UnixMillis,
    pub(crate) to: Option<UnixMillis>,
    pub(crate) secret: Option<UnixMillis>,
    pub(crate) heard: Option<UnixMillis>,
    pub(crate) parent: Option<String>,
    pub(crate) district: Option<String>,
    /// Until when it was of another tier and branch, in the order of time.
    pub(crate) former: Vec<(UnixMillis, String, String)>,
    /// When its links are its own; always unless told.
    pub(crate) valid: BTreeMap<LinkName, Window>,
    pub(crate) carriers: BTreeMap<LinkName, String>,
    pub(crate) boots: Vec<UnixMillis>,
    pub(crate) starts: Vec<UnixMillis>,
}

/// One round of one observer.
pub(crate) struct Round {
    /// Site, link, vantage (the site's own name: its own agent).
    pub(crate) line: (String, LinkName, String),
    pub(crate) window: Window,
    pub(crate) outcome: Outcome,
}

/// Who saw what of which link.
pub(crate) type Evidence = BTreeMap<(String, LinkName, String), Spans>;

impl Scenario {
    pub(crate) fn new() -> Told<Self> {
        Ok(Self {
            zone: zone("Asia/Ho_Chi_Minh")?,
            day: Date::constant(2026, 11, 2),
            now: None,
            required: vec![LinkKind::Lan, LinkKind::Wan, LinkKind::Internet],
            plan: Vec::new(),
            sites: BTreeMap::new(),
            rounds: Vec::new(),
            stopped: Vec::new(),
            planned: Vec::new(),
            works: Works::default(),
            centre: None,
        })
    }

    /// Takes one line of what happened.
    pub(crate) fn tell(&mut self, words: &[&str]) -> Told<()> {
        match words {
            [] => {}
            ["zone", name] => self.zone = zone(name)?,
            ["day", day] => self.day = day.parse().map_err(|e| format!("day `{day}`: {e}"))?,
            ["now", rest @ ..] => self.now = Some(self.instant(&rest.join(" "))?),
            ["require", kinds @ ..] => self.required = kinds.iter().map(|k| kind(k)).collect::<Told<_>>()?,
            ["plan", tier, share] => self.plan.push(((*tier).to_owned(), percent(share)?)),
            ["site", id, tier, branch, rest @ ..] => {
                let mut site = Site {
                    tier: (*tier).to_owned(),
                    branch: (*branch).to_owned(),
                    from: self.instant("2026-01-01")?,
                    to: None,
                    secret: None,
                    heard: None,
                    parent: None,
                    district: None,
                    former: Vec::new(),
                    valid: BTreeMap::new(),
                    carriers: BTreeMap::new(),
                    boots: Vec::new(),
                    starts: Vec::new(),
                };
                for (key, value) in pairs(rest)? {
                    match key {
                        "from" => site.from = self.instant(value)?,
                        "to" => site.to = Some(self.instant(value)?),
                        "secret" => site.secret = Some(self.instant(value)?),
                        "district" => site.district = Some(value.replace('_', " ")),
                        _ => return Err(format!("`{key}`: expected from, to, secret or district")),
                    }
                }
                self.sites.insert((*id).to_owned(), site);
            }
            ["was", id, tier, branch, "until", until] => {
                let until = self.instant(until)?;
                let former = &mut self.site_mut(id)?.former;
                if former.last().is_some_and(|last| until <= last.0) {
                    return Err("what a site was is told in the order of time".to_owned());
                }
                former.push((until, (*tier).to_owned(), (*branch).to_owned()));
            }
            ["valid", id, name, window] => {
                let (link, window) = (link(name)?, self.window(window)?);
                self.site_mut(id)?.valid.insert(link, window);
            }
            ["rounds", id, name, window, outcome, rest @ ..] => {
                self.site(id)?;
                let link = link(name)?;
                let (mut by, mut every) = (*id, 5);
                for (key, value) in pairs(rest)? {
                    match key {
                        "by" => by = value,
                        "every" => {
                            let seconds = value.strip_suffix('s').and_then(|s| s.parse().ok());
                            every = seconds.ok_or(format!("`{value}`: expected seconds, as in 5s"))?;
                        }
                        "target" => {}
                        _ => return Err(format!("`{key}`: expected by, every or target")),
                    }
                }
                let outcome = Outcome::from_word(outcome)
                    .ok_or(format!("outcome `{outcome}`: expected fault, down, degraded or up"))?;
                let whole = self.window(window)?;
                let mut start = whole.start;
                while start < whole.end {
                    let end = start.plus(Duration::from_secs(every)).min(whole.end);
                    let line = ((*id).to_owned(), link.clone(), by.to_owned());
                    self.rounds.push(Round { line, window: Window::new(start, end), outcome });
                    start = end;
                }
            }
            ["collector", "stopped", window] => self.stopped.push(self.window(window)?),
            ["planned", "for", rest @ ..] => self.tell_works(rest)?,
            ["planned", "ended", number, at] => self.end_works(number, Some(at))?,
            ["planned", "void", number] => self.end_works(number, None)?,
            ["hours" | "holiday" | "worked", ..] => self.tell_calendar(words)?,
            ["planned", id, rest @ ..] => {
                self.site(id)?;
                let (link, window) = match rest {
                    [window] => (None, window),
                    [name, window] => (Some(link(name)?), window),
                    _ => return Err("expected a window, or a link and a window".to_owned()),
                };
                self.planned.push(((*id).to_owned(), link, self.window(window)?));
            }
            ["link", id, name, "carrier", carrier] => {
                let name = link(name)?;
                self.site_mut(id)?.carriers.insert(name, (*carrier).to_owned());
            }
            ["parent", parent, "of", children @ ..] if !children.is_empty() => {
                self.site(parent)?;
                for child in children {
                    if self.line_of(parent).any(|above| above == *child) {
                        return Err(format!("`{child}` would be its own parent"));
                    }
                    self.site_mut(child)?.parent = Some((*parent).to_owned());
                }
            }
            ["centre", id] => {
                self.site(id)?;
                self.centre = Some((*id).to_owned());
            }
            ["boot", id, at] => {
                let at = self.instant(at)?;
                let boots = &mut self.site_mut(id)?.boots;
                boots.push(at);
                boots.sort_unstable();
            }
            ["start", id, at] => {
                let at = self.instant(at)?;
                let starts = &mut self.site_mut(id)?.starts;
                starts.push(at);
                starts.sort_unstable();
            }
            ["heard", id, at] => {
                let at = self.instant(at)?;
                self.site_mut(id)?.heard = Some(at);
            }
            [word, ..] => return Err(format!("`{word}`: not a line that a scenario knows, or not complete")),
        }
        Ok(())
    }

    /// What is known when these rounds have arrived, in this order.
    pub(crate) fn evidence<'a>(&self, rounds: impl Iterator<Item = &'a Round>) -> Evidence {
        let mut evidence = Evidence::new();
        for round in rounds {
            let spans = evidence.entry(round.line.clone()).or_default();
            spans.paint(round.window.start, round.window.end, round.outcome);
        }
        evidence
    }

    pub(crate) fn site(&self, id: &str) -> Told<&Site> {
        self.sites.get(id).ok_or_else(|| format!("no site `{id}` so far"))
    }

    /// A site and all above it.
    pub(crate) fn line_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::successors(Some(id), |id| self.sites.get(*id)?.parent.as_deref())
    }

    fn site_mut(&mut self, id: &str) -> Told<&mut Site> {
        self.sites.get_mut(id).ok_or_else(|| format!("no site `{id}` so far"))
    }

    /// The present: as told, else an hour after the last round.
    pub(crate) fn now(&self) -> Told<UnixMillis> {
        let last = self.rounds.iter().map(|round| round.window.end).max();
        Ok(match (self.now, last) {
            (Some(now), _) => now,
            (None, Some(last)) => last.plus(Duration::from_secs(3600)),
            (None, None) => self.instant("23:59:59")?,
        })
    }

    /// When the collector ran: always, but when it was stopped.
    pub(crate) fn running(&self, now: UnixMillis) -> Periods {
        let mut stopped: Vec<_> = self.stopped.iter().map(|stop| (stop.start, stop.end)).collect();
        stopped.sort_unstable();
        let mut running = Periods::new();
        let mut from = UnixMillis(0);
        for (start, end) in stopped {
            running.add(from, start);
            from = from.max(end);
        }
        running.add(from, now);
        running
    }

    // ------------------------------------------------------------------------------------------ time, in the zone

    /// `08:00`, `08:00:05` on the scenario's day; `2026-11-03` its midnight; `2026-11-03T08:00`.
    pub(crate) fn instant(&self, text: &str) -> Told<UnixMillis> {
        let civil: DateTime = if text == "24:00" {
            self.day.tomorrow().map_err(|e| e.to_string())?.into()
        } else if text.contains('-') {
            text.parse().map_err(|e| format!("time `{text}`: {e}"))?
        } else {
            self.day.to_datetime(text.parse::<Time>().map_err(|e| format!("time `{text}`: {e}"))?)
        };
        let zoned = civil.to_zoned(self.zone.clone()).map_err(|e| format!("time `{text}`: {e}"))?;
        Ok(UnixMillis(zoned.timestamp().as_millisecond()))
    }

    /// `08:00..09:00`, or a whole day.
    pub(crate) fn window(&self, text: &str) -> Told<Window> {
        if let Some((from, to)) = text.split_once("..") {
            return Ok(Window::new(self.instant(from)?, self.instant(to)?));
        }
        let day: Date = text.parse().map_err(|_| format!("`{text}`: expected FROM..TO or a day"))?;
        let midnight = |day: Date| self.instant(&day.to_string());
        Ok(Window::new(midnight(day)?, midnight(day.checked_add(1.day()).map_err(|e| e.to_string())?)?))
    }

    /// On the scenario's day the time alone, else with its date.
    pub(crate) fn clock(&self, at: UnixMillis) -> String {
        let Ok(timestamp) = Timestamp::from_millisecond(at.0) else { return at.to_string() };
        let zoned = timestamp.to_zoned(self.zone.clone());
        if zoned.date() == self.day {
            zoned.strftime("%H:%M:%S").to_string()
        } else {
            zoned.strftime("%Y-%m-%dT%H:%M:%S").to_string()
        }
    }
}

/// `key value` pairs.
fn pairs<'a>(words: &[&'a str]) -> Told<Vec<(&'a str, &'a str)>> {
    let pair = |pair: &[&'a str]| match pair {
        [key, value] => Ok((*key, *value)),
        _ => Err(format!("`{}`: a value is missing", pair.join(" "))),
    };
    words.chunks(2).map(pair).collect()
}

fn zone(name: &str) -> Told<TimeZone> {
    TimeZone::get(name).map_err(|e| format!("zone `{name}`: {e}"))
}

fn kind(text: &str) -> Told<LinkKind> {
    text.parse().map_err(|e| format!("{e}"))
}

fn percent(text: &str) -> Told<f64> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    number.map(|number| number / 100.0).ok_or(format!("`{text}`: expected a share, as in 50%"))
}

/// The name of a link.
pub(crate) fn link(name: &str) -> Told<LinkName> {
    LinkName::parse(name).map_err(|e| e.to_string())
}
