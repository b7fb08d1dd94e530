//! What people ask for of alerts, as they write it on the command line or to the API: text in, an [`Acknowledgement`] or a
//! [`Silence`] out, or what is wrong.
//!
//! | what | answer |
//! | --- | --- |
//! | a reason that is empty, too long, or has control characters | refused |
//! | an end that is past, or further away than [`LONGEST`] | refused |
//! | a silence without an end, or with two | refused: one that nobody ends would keep alerts from being told for ever |
//! | a silence that ends before it begins, lasts longer than [`LONGEST`] or begins more than a year from now | refused |
//! | a silence that began before now | taken: what has not been told yet is not told |
//! | a site, tier, district or carrier that neither register nor plan has, a rule that is none | refused with the nearest name |

use std::time::Duration;

use jiff::tz::TimeZone;
use wan_settings::units::{duration, show_duration};
use wan_wire::UnixMillis;

use super::notice::Rule;
use super::record::{Acknowledgement, Silence};
use crate::calendar::Minute;
use crate::localtime;
use crate::planned::draft::{Draft, Known, Wrong, far, name, next, reason, unknown};

/// Nobody is to remember for longer why nothing is told.
pub const LONGEST: Duration = Duration::from_secs(90 * 86_400);
/// Most silences that hold or are to come: a look goes through all of them for each alert.
pub const MOST_SILENCES: usize = 1_000;
/// What begins later than this is a mistyped year.
const LATEST: Duration = Duration::from_secs(366 * 86_400);

const TIMES: &str = "times without an offset are the province's";

/// That somebody takes an alert up, as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct AckDraft<'t> {
    /// Why, or what is being done.
    pub reason: Option<&'t str>,
    /// Until when it holds: a time, or how long, such as 2h. Until the alert is over unless given.
    pub until: Option<&'t str>,
}

impl AckDraft<'_> {
    /// Reads it, as `by` says it `now`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(&self, by: &str, zone: &TimeZone, now: UnixMillis) -> Result<Acknowledgement, Wrong> {
        let reason = reason(
            self.reason.unwrap_or_default(),
            "the others see by it what is being done, and nobody looks into it twice",
        )?;
        let until = self.until.map(str::trim).filter(|text| !text.is_empty());
        let until = until.map(|text| self::until(text, zone, now)).transpose()?;
        Ok(Acknowledgement { at: now, by: name(by)?, reason, until })
    }
}

/// How long, or until when, something holds.
fn until(text: &str, zone: &TimeZone, now: UnixMillis) -> Result<UnixMillis, Wrong> {
    let end = match duration(text) {
        Some(length) => now.plus(length),
        None => localtime::parse(text, zone, now).map_err(|_| {
            let expected = format!("how long, such as 2h, or {}", localtime::EXPECTED);
            Wrong::new("until", text, expected, TIMES)
        })?,
    };
    to_come("until", text, end, now)?;
    if end > now.plus(LONGEST) {
        let expected = format!("an end within {}", show_duration(LONGEST));
        return Err(Wrong::new(
            "until",
            text,
            expected,
            "leave it out: then it holds until the alert is over",
        ));
    }
    Ok(end)
}

fn to_come(part: &'static str, text: &str, end: UnixMillis, now: UnixMillis) -> Result<(), Wrong> {
    if end <= now {
        return Err(Wrong::new(part, text, "a time to come", "what ends before now would change nothing"));
    }
    Ok(())
}

/// What is not to be told for a while, as it is written. Of the scopes one is given; of `to` and `length` one.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilenceDraft<'t> {
    /// Everything.
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
    /// Only alerts of this rule.
    pub rule: Option<&'t str>,
    /// From when on: a time, or a time of day; now unless given.
    pub from: Option<&'t str>,
    /// Until when: a time, or a time of day.
    pub to: Option<&'t str>,
    /// Or for how long. Written `for`.
    pub length: Option<&'t str>,
    /// Why.
    pub reason: Option<&'t str>,
}

impl SilenceDraft<'_> {
    /// Reads it, as `by` asks for it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(&self, by: &str, known: &Known<'_>) -> Result<Silence, Wrong> {
        let scope = Draft {
            all: self.all,
            site: self.site,
            subtree: self.subtree,
            tier: self.tier,
            district: self.district,
            carrier: self.carrier,
            ..Draft::default()
        };
        let scope = scope.scope(known)?;
        let rule = self.rule.map(str::trim).filter(|text| !text.is_empty()).map(rule).transpose()?;
        let (from, to) = self.span(known.zone, known.now)?;
        let reason = reason(
            self.reason.unwrap_or_default(),
            "it is shown to everybody who asks why an alert was not told",
        )?;
        Ok(Silence {
            scope,
            rule,
            from,
            to,
            reason,
            by: name(by)?,
            added: known.now,
            ended: None,
            ended_by: None,
        })
    }

    fn span(&self, zone: &TimeZone, now: UnixMillis) -> Result<(UnixMillis, UnixMillis), Wrong> {
        let given =
            |text: Option<&'_ str>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let from = match given(self.from) {
            None => now,
            Some(text) => {
                let from = instant("from", &text, now, zone, now)?;
                if from > now.plus(LATEST) {
                    return Err(Wrong::new("from", &text, "a time within a year", "is the year mistyped?"));
                }
                from
            }
        };
        let (part, text, to) = match (given(self.to), given(self.length)) {
            (None, None) => {
                let expected = "how long, such as 2h, or with `to` until when";
                return Err(Wrong::new(
                    "for",
                    "",
                    expected,
                    "a silence has an end, so that it is not forgotten",
                ));
            }
            (Some(_), Some(length)) => {
                return Err(Wrong::new("for", &length, "it only without `to`", "leave out one of the two"));
            }
            (None, Some(text)) => {
                let length = duration(&text).filter(|length| !length.is_zero()).ok_or_else(|| {
                    Wrong::new("for", &text, "how long, such as 30m, 2h or 1d12h", "a day is 24 hours")
                })?;
                let to = from.plus(length);
                ("for", text, to)
            }
            (Some(text), None) => {
                let to = instant("to", &text, from, zone, now)?;
                ("to", text, to)
            }
        };
        if to <= from {
            let expected = format!("a time after the start, {}", localtime::plain(from, zone));
            return Err(Wrong::new(part, &text, expected, "exchange the two"));
        }
        to_come(part, &text, to, now)?;
        if to.since(from) > LONGEST {
            let expected = format!("an end at most {} after the start", show_duration(LONGEST));
            let remedy = "plan works instead, or close in the register what is out of service";
            return Err(Wrong::new(part, &text, expected, remedy));
        }
        Ok((from, to))
    }
}

/// A time, or the first such time of day after an instant.
fn instant(
    part: &'static str,
    text: &str,
    after: UnixMillis,
    zone: &TimeZone,
    now: UnixMillis,
) -> Result<UnixMillis, Wrong> {
    if let Ok(minute) = text.parse::<Minute>() {
        return next(after, minute, zone).ok_or_else(|| far(part, text));
    }
    localtime::parse(text, zone, now).map_err(|_| {
        let expected = format!("{}, or a time of day such as 23:30", localtime::EXPECTED);
        Wrong::new(part, text, expected, TIMES)
    })
}

/// The rule that is written so.
///
/// # Errors
/// When it is none.
pub fn rule(text: &str) -> Result<Rule, Wrong> {
    let words = Rule::ALL.map(Rule::as_str);
    let found = Rule::ALL.into_iter().find(|rule| rule.as_str() == text);
    found.ok_or_else(|| {
        unknown("rule", text, &format!("one of {}", words.join(", ")), words.into_iter(), "the rules' names")
    })
}
