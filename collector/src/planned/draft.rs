//! A window as somebody writes it, on the command line or to the API: text in, a [`Work`] or what is wrong out.
//!
//! | what | answer |
//! | --- | --- |
//! | no scope, or two | refused |
//! | a site, tier, district or carrier that neither register nor plan has | refused with the nearest name |
//! | reversed, of zero length, longer than a year, more than ten years away | refused |
//! | an end that is only a time of day | the first such time after the start: `22:00` to `02:00` is over midnight |
//! | a time that a change of the clocks skips or repeats | as [`crate::localtime`] says |
//! | wholly in the past | taken: windows may be added after the fact |
//! | a reason that is empty, too long, or has control characters | refused |

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use wan_settings::nearest;
use wan_wire::UnixMillis;

use super::scope::{Scope, same};
use super::when::{CalendarTime, DayHours, When};
use super::{LONGEST_DAYS, MOST_BY, MOST_REASON, Work, is_plain};
use crate::api::fold::fold;
use crate::calendar::{FIRST_DAY, LAST_DAY, Minute};
use crate::config::Plan;
use crate::inventory::Register;
use crate::localtime;

const DAY_MS: i64 = 86_400_000;
/// What is further away than this is a mistyped year.
const FURTHEST_DAYS: i64 = 3660;

/// What somebody wrote. Of the scopes one is given; of `every`, `monthly` and `calendar` at most one, and none for a one-off window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draft<'t> {
    /// Every site.
    pub all: bool,
    /// One site.
    pub site: Option<&'t str>,
    /// A site and all below it.
    pub subtree: Option<&'t str>,
    /// The sites of a tier.
    pub tier: Option<&'t str>,
    /// The sites of a district.
    pub district: Option<&'t str>,
    /// The links of a carrier.
    pub carrier: Option<&'t str>,
    /// The start: a time, or of a recurring window a time of day.
    pub from: Option<&'t str>,
    /// The end, written likewise.
    pub to: Option<&'t str>,
    /// Weekdays on which it recurs.
    pub every: Option<&'t str>,
    /// A day of each month on which it recurs.
    pub monthly: Option<&'t str>,
    /// The calendar's time.
    pub calendar: Option<&'t str>,
    /// The first day of a recurring window.
    pub valid_from: Option<&'t str>,
    /// The first day on which it holds no more.
    pub valid_to: Option<&'t str>,
    /// Why.
    pub reason: Option<&'t str>,
}

/// What a draft is read against.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// Sites, districts and carriers.
    pub register: &'k Register,
    /// Tiers.
    pub plan: &'k Plan,
    /// The province's zone.
    pub zone: &'k TimeZone,
    /// The present.
    pub now: UnixMillis,
}

/// What is wrong with a draft: which part, what was found, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The part, as [`Draft`] names it.
    pub part: &'static str,
    /// What was found, as it was written.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What to do.
    pub remedy: String,
}

impl Wrong {
    pub(crate) fn new(
        part: &'static str,
        found: &str,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { part, found: found.to_owned(), expected: expected.into(), remedy: remedy.into() }
    }
}

/// As the command line tells it, where the parts are options.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, found) = (self.part.replace('_', "-"), wan_settings::quote(&self.found));
        write!(f, "--{part}: found {found}, expected {}; {}", self.expected, self.remedy)
    }
}

impl std::error::Error for Wrong {}

impl Draft<'_> {
    /// Reads it, as `by` adds it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(&self, by: &str, known: &Known<'_>) -> Result<Work, Wrong> {
        let scope = self.scope(known)?;
        let (when, valid) = self.when(known)?;
        Ok(Work {
            scope,
            when,
            valid_from: valid.0,
            valid_to: valid.1,
            reason: reason(
                self.reason.unwrap_or_default(),
                "it is shown to everybody who asks why the time is not counted",
            )?,
            added: known.now,
            by: name(by)?,
        })
    }

    /// For whom it is.
    ///
    /// # Errors
    /// When it is for none or for two, or for one that neither register nor plan has.
    pub(crate) fn scope(&self, known: &Known<'_>) -> Result<Scope, Wrong> {
        const ONE: &str = "one of site, subtree, tier, district, carrier and all";
        let all = self.all.then_some("");
        let given = [
            ("all", all),
            ("site", self.site),
            ("subtree", self.subtree),
            ("tier", self.tier),
            ("district", self.district),
            ("carrier", self.carrier),
        ];
        let mut given = given.into_iter().filter_map(|(part, text)| Some((part, text?.trim())));
        let Some((part, text)) = given.next() else {
            return Err(Wrong::new("site", "", ONE, "say for whom it is"));
        };
        if let Some((second, text)) = given.next() {
            return Err(Wrong::new(
                second,
                text,
                ONE,
                format!("leave out this or {part}; a second one may be added"),
            ));
        }
        let register = known.register;
        match part {
            "all" => Ok(Scope::All),
            "site" | "subtree" => {
                let id = text.parse().ok().filter(|id| register.get(id).is_some());
                let id = id.ok_or_else(|| {
                    let ids = register.sites().map(|site| site.id.as_str());
                    unknown(part, text, "the id of a registered site", ids, "wan-collector sites list")
                })?;
                Ok(if part == "site" { Scope::Site(id) } else { Scope::Subtree(id) })
            }
            "tier" => {
                let tiers = || known.plan.tiers.iter().map(|tier| &tier.id);
                let found = tiers().find(|id| id.as_str() == text).cloned();
                found.map(Scope::Tier).ok_or_else(|| {
                    let ids: Vec<&str> = tiers().map(crate::config::TierId::as_str).collect();
                    let expected = format!("one of the plan's tiers: {}", ids.join(", "));
                    unknown(part, text, &expected, ids.into_iter(), "the configuration's plan")
                })
            }
            "district" => {
                let sites = || register.sites();
                let former = || sites().flat_map(|site| &site.former).map(|former| &former.district);
                let names =
                    || sites().map(|site| &site.district).chain(former()).filter_map(Option::as_deref);
                named(part, text, "a district that the register names", names).map(Scope::District)
            }
            _ => {
                let links = || register.sites().flat_map(|site| &site.links);
                let names = || links().filter_map(|link| link.carrier.as_deref());
                named("carrier", text, "a carrier that the register names", names).map(Scope::Carrier)
            }
        }
    }

    fn when(&self, known: &Known<'_>) -> Result<(When, Valid), Wrong> {
        let given = [("every", self.every), ("monthly", self.monthly), ("calendar", self.calendar)];
        let mut given = given.into_iter().filter_map(|(part, text)| Some((part, text?.trim())));
        let Some((part, text)) = given.next() else {
            return Ok((self.once(known)?, (None, None)));
        };
        if let Some((second, text)) = given.next() {
            let expected = "one of every, monthly and calendar";
            return Err(Wrong::new(second, text, expected, format!("leave out this or {part}")));
        }
        let when = match part {
            "every" => {
                let weekdays = text.parse().map_err(|_| {
                    let remedy =
                        "mon, tue, wed, thu, fri, sat, sun; a range goes from an earlier to a later one";
                    Wrong::new(part, text, "weekdays such as sat, mon-fri or mon,thu, or day for all", remedy)
                })?;
                When::Weekly { weekdays, hours: self.hours()? }
            }
            "monthly" => {
                let day = text.parse().map_err(|_| {
                    let expected =
                        "a day of the month: 1 to 31, last, or a weekday in it such as 2-tue or last-sun";
                    Wrong::new(part, text, expected, "a month without the day is left out")
                })?;
                When::Monthly { day, hours: self.hours()? }
            }
            _ => {
                let time: CalendarTime = text.parse().map_err(|_| {
                    let words = CalendarTime::ALL.map(CalendarTime::as_str);
                    unknown(
                        "calendar",
                        text,
                        &words.join(" or "),
                        words.into_iter(),
                        "the configuration's calendar",
                    )
                })?;
                for (part, given) in [("from", self.from), ("to", self.to)] {
                    if let Some(text) = given {
                        let remedy = "leave it out: the calendar says the hours";
                        return Err(Wrong::new(part, text, "no time of day with --calendar", remedy));
                    }
                }
                When::Calendar(time)
            }
        };
        Ok((when, self.valid(known)?))
    }

    /// A one-off window.
    fn once(&self, known: &Known<'_>) -> Result<When, Wrong> {
        for (part, given) in [("valid_from", self.valid_from), ("valid_to", self.valid_to)] {
            if let Some(text) = given {
                let expected = "it only with every, monthly or calendar";
                return Err(Wrong::new(part, text, expected, "a one-off window has its own start and end"));
            }
        }
        let Known { zone, now, .. } = *known;
        let text = self.from.unwrap_or_default().trim();
        let remedy = "times without an offset are the province's";
        let from = localtime::parse(text, zone, now)
            .map_err(|_| Wrong::new("from", text, localtime::EXPECTED, remedy))?;
        let text = self.to.unwrap_or_default().trim();
        let to = match text.parse::<Minute>() {
            Ok(minute) => next(from, minute, zone).ok_or_else(|| far("to", text))?,
            Err(_) => localtime::parse(text, zone, now).map_err(|_| {
                let expected = format!("{}, or a time of day such as 23:30", localtime::EXPECTED);
                Wrong::new("to", text, expected, remedy)
            })?,
        };
        let length = to.millis_since(from);
        if length <= 0 {
            let expected = format!("a time after the start, {}", localtime::plain(from, zone));
            let remedy = if length == 0 { "a window has at least a moment" } else { "exchange the two" };
            return Err(Wrong::new("to", text, expected, remedy));
        }
        if length > LONGEST_DAYS * DAY_MS {
            let expected = format!("an end at most {LONGEST_DAYS} days after the start");
            return Err(Wrong::new(
                "to",
                text,
                expected,
                "what is out of service for longer is closed in the register",
            ));
        }
        if from.millis_since(now).saturating_abs() > FURTHEST_DAYS * DAY_MS {
            return Err(far("from", self.from.unwrap_or_default()));
        }
        Ok(When::Once { from, to })
    }

    /// The hours of a recurring window.
    fn hours(&self) -> Result<DayHours, Wrong> {
        let read = |part: &'static str, text: Option<&str>| {
            let text = text.unwrap_or_default().trim();
            text.parse::<Minute>().map_err(|_| {
                let remedy = "a recurring window begins and ends at times of day of the province";
                Wrong::new(part, text, "a time of day such as 22:00", remedy)
            })
        };
        let (from, to) = (read("from", self.from)?, read("to", self.to)?);
        DayHours::new(from, to).ok_or_else(|| {
            let remedy = "for the whole day write 00:00 and 24:00";
            Wrong::new(
                "to",
                self.to.unwrap_or_default(),
                "another time than the start; it may be on the next day",
                remedy,
            )
        })
    }

    /// From which day on, and until which, a recurring window holds.
    fn valid(&self, known: &Known<'_>) -> Result<Valid, Wrong> {
        let today = || {
            let now = jiff::Timestamp::from_millisecond(known.now.0).unwrap_or_default();
            now.to_zoned(known.zone.clone()).date()
        };
        let day = |part: &'static str, text: &str| {
            let day: Option<Date> = text.trim().parse().ok();
            day.filter(|day| (FIRST_DAY..=LAST_DAY).contains(day)).ok_or_else(|| {
                Wrong::new(part, text, "a day that exists, such as 2026-11-30", "write year-month-day")
            })
        };
        let near = |part: &'static str, text: &str, day: Date| {
            let days = i64::from(today().until(day).map_or(i32::MAX, |span| span.get_days()));
            if days.abs() > FURTHEST_DAYS { Err(far(part, text)) } else { Ok(day) }
        };
        let from = self
            .valid_from
            .map_or_else(|| Ok(today()), |text| near("valid_from", text, day("valid_from", text)?))?;
        let to = self.valid_to.map(|text| day("valid_to", text)).transpose()?;
        if let (Some(to), Some(text)) = (to, self.valid_to)
            && to <= from
        {
            let expected = format!("a day after the first one, {from}");
            return Err(Wrong::new(
                "valid_to",
                text,
                expected,
                "it is the first day on which the window holds no more",
            ));
        }
        Ok((Some(from), to))
    }
}

/// First day, and first day no more.
type Valid = (Option<Date>, Option<Date>);

/// A reason as it is kept; `remedy` says who reads it.
///
/// # Errors
/// When it is empty, too long, or could not be shown as it is.
pub(crate) fn reason(text: &str, remedy: &str) -> Result<String, Wrong> {
    let expected =
        format!("a reason of 1 to {MOST_REASON} characters, without line breaks or control characters");
    line(text, MOST_REASON).ok_or_else(|| Wrong::new("reason", text, expected, remedy))
}

/// The name of who adds or removes a window.
///
/// # Errors
/// When it is empty, too long, or could not be shown as it is.
pub fn name(text: &str) -> Result<String, Wrong> {
    let expected = format!("a name of 1 to {MOST_BY} characters, without control characters");
    line(text, MOST_BY).ok_or_else(|| Wrong::new("by", text, expected, "say who does it"))
}

fn line(text: &str, most: usize) -> Option<String> {
    let text = text.trim();
    ((1..=most).contains(&text.chars().count()) && is_plain(text)).then(|| text.to_owned())
}

/// The first such time of day after an instant.
pub(crate) fn next(from: UnixMillis, minute: Minute, zone: &TimeZone) -> Option<UnixMillis> {
    use crate::calendar::Days;
    use crate::ledger::timeline::Window;
    let days = Days::of(Window::new(from, from.plus_millis(2 * DAY_MS)), zone);
    let times = days.iter().map(|day| days.at(*day, minute));
    times.filter(|at| *at > from).min()
}

pub(crate) fn far(part: &'static str, text: &str) -> Wrong {
    Wrong::new(part, text, "a time within ten years", "is the year mistyped?")
}

/// The name as the register writes it: the same but for capitals, else the only one that is the same but for marks.
fn named<'r, I: Iterator<Item = &'r str>>(
    part: &'static str,
    text: &str,
    expected: &str,
    names: impl Fn() -> I,
) -> Result<String, Wrong> {
    if let Some(name) = names().find(|name| same(name, text)) {
        return Ok(name.to_owned());
    }
    let folded = fold(text);
    let alike: std::collections::BTreeSet<&str> = names().filter(|name| fold(name) == folded).collect();
    if let (1, Some(name)) = (alike.len(), alike.first()) {
        return Ok((*name).to_owned());
    }
    // Compared without capitals and marks, told as it is written.
    let known: Vec<(String, &str)> = names().map(|name| (fold(name), name)).collect();
    let near = nearest(&folded, known.iter().map(|(folded, _)| folded.as_str()));
    let near = near.and_then(|near| known.iter().find(|(folded, _)| folded == near)).map(|(_, name)| *name);
    let remedy = near.map_or_else(
        || "see `wan-collector sites list --format csv`".to_owned(),
        |name| format!("did you mean {name}?"),
    );
    Err(Wrong::new(part, text, expected, remedy))
}

pub(crate) fn unknown<'k>(
    part: &'static str,
    text: &str,
    expected: &str,
    known: impl Iterator<Item = &'k str>,
    place: &str,
) -> Wrong {
    let remedy =
        nearest(text, known).map_or_else(|| format!("see {place}"), |meant| format!("did you mean {meant}?"));
    Wrong::new(part, text, expected, remedy)
}
