//! A request's parameters: read strictly, so that a mistyped name is an answer and not a silent default.

use std::str::FromStr;

use axum::extract::Query;
use http::Uri;
use jiff::tz::TimeZone;
use wan_settings::nearest;
use wan_wire::{LinkName, SiteId, UnixMillis};

use super::problem::Problem;
use crate::inventory::Register;
use crate::lang::Lang;
use crate::ledger::timeline::Window;
use crate::localtime;
use crate::province::Province;

/// The default window of everything that has one: the last 24 hours.
pub const DEFAULT_WINDOW_MS: i64 = 24 * 3_600_000;

/// The parameters of one request, names checked. A parameter with an empty value counts as not given.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// The parameters of `uri`, each of them one of `known`.
    ///
    /// # Errors
    /// When the query cannot be decoded, or a parameter is unknown or given twice.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| {
            Problem::parameter(
                "query",
                uri.query().unwrap_or_default(),
                "name=value pairs",
                error.body_text(),
            )
        })?;
        for (index, (name, value)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(unknown(name, known));
            }
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::parameter(name, value, "it once", "remove one of the two"));
            }
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter that was given and is not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// The instant that the parameter `name` means.
///
/// # Errors
/// When it is no time.
pub fn time(name: &str, text: &str, zone: &TimeZone, now: UnixMillis) -> Result<UnixMillis, Problem> {
    localtime::parse(text, zone, now).map_err(|_| {
        Problem::parameter(name, text, localtime::EXPECTED, "times without an offset are the province's")
    })
}

/// The window `[from, to)`, cut to now; `to` is now unless given, `from` 24 hours before `to`.
///
/// # Errors
/// When one of the two is no time, the window is empty or wholly in the future, or reaches back to what is still being loaded.
pub fn window(province: &Province<'_>, from: Option<&str>, to: Option<&str>) -> Result<Window, Problem> {
    let window = window_at(&province.config().timezone, province.now, from, to)?;
    reached(province, window.start)?;
    Ok(window)
}

/// The same at the present `now` of a province in `zone`, for what is not derived from the evidence in memory.
///
/// # Errors
/// When one of the two is no time, or the window is empty or wholly in the future.
pub fn window_at(
    zone: &TimeZone,
    now: UnixMillis,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<Window, Problem> {
    let until = to.map_or(Ok(now), |text| time("to", text, zone, now))?;
    let start = from
        .map_or(Ok(until.min(now).plus_millis(-DEFAULT_WINDOW_MS)), |text| time("from", text, zone, now))?;
    if let Some(text) = from.filter(|_| start >= now) {
        return Err(Problem::parameter("from", text, "a time before now", "nothing is known of the future"));
    }
    if start >= until {
        let to = to.unwrap_or("now");
        let expected = format!("a time before to={to}");
        return Err(Problem::parameter("from", from.unwrap_or("-24h"), &expected, "exchange the two"));
    }
    Ok(Window::new(start, until.min(now)))
}

/// Whether a question may be about a time from `start` on.
///
/// # Errors
/// While what bears on it is still being loaded.
pub fn reached(province: &Province<'_>, start: UnixMillis) -> Result<(), Problem> {
    province.reaches(start).map_err(|loading| Problem::loading(loading, &province.config().timezone))
}

/// The registered site that a parameter names.
///
/// # Errors
/// When it is no site's id, or none that is registered; ids that look alike are named.
pub fn site(province: &Province<'_>, name: &str, text: &str) -> Result<SiteId, Problem> {
    registered(province.register(), name, text)
}

/// The same by the register alone.
///
/// # Errors
/// As [`site`].
pub fn registered(register: &Register, name: &str, text: &str) -> Result<SiteId, Problem> {
    if let Ok(id) = text.parse::<SiteId>()
        && register.get(&id).is_some()
    {
        return Ok(id);
    }
    let alike = nearest(text, register.sites().map(|site| site.id.as_str()));
    let remedy = alike.map_or_else(
        || "GET /api/v1/sites and `wan-collector sites list` give all ids".to_owned(),
        |id| format!("did you mean {id}?"),
    );
    let problem = Problem::parameter(name, text, "the id of a registered site", remedy);
    Err(Problem::not_found(name, problem.detail, problem.remedy))
}

/// A link's name.
///
/// # Errors
/// When it cannot be one.
pub fn link(name: &str, text: &str) -> Result<LinkName, Problem> {
    text.parse().map_err(|_| {
        Problem::parameter(
            name,
            text,
            "a link's name: lan, wan, internet or service, or one of these with a suffix such as wan-vnpt",
            "the site's own answer lists its links",
        )
    })
}

/// The values of a comma-separated parameter, each of which must be one of `choices`.
///
/// # Errors
/// When one of them is not.
pub fn list<'t>(
    name: &str,
    text: Option<&'t str>,
    choices: &[&str],
) -> Result<Option<Vec<&'t str>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let values: Vec<&str> = text.split(',').map(str::trim).collect();
    if let Some(wrong) = values.iter().find(|value| !choices.contains(value)) {
        let expected = format!("one or more of {}", choices.join(", "));
        let remedy = nearest(wrong, choices.iter().copied())
            .map_or_else(|| "separate several by commas".to_owned(), |near| format!("did you mean {near}?"));
        return Err(Problem::parameter(name, wrong, &expected, remedy));
    }
    Ok(Some(values))
}

/// What a parameter says; `None` where it is not given.
///
/// # Errors
/// When it is none of what is `expected`.
pub fn parsed<T: FromStr>(name: &str, text: Option<&str>, expected: &str) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse().map_err(|_| Problem::parameter(name, text, expected, ""))).transpose()
}

/// Whether something is wanted; `None` where that is not said.
///
/// # Errors
/// When it is neither `true` nor `false`.
pub fn flag(name: &str, text: Option<&str>, remedy: &str) -> Result<Option<bool>, Problem> {
    match text {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(text) => Err(Problem::parameter(name, text, "true or false", remedy)),
    }
}

/// The language that is asked for; Vietnamese where none is.
///
/// # Errors
/// When it is none.
pub fn lang(text: Option<&str>) -> Result<Lang, Problem> {
    Ok(parsed("lang", text, "vi or en")?.unwrap_or_default())
}

/// How many rows are asked for.
///
/// # Errors
/// When it is no number from 1 to `most`.
pub fn limit(text: Option<&str>, default: u32, most: u32) -> Result<u32, Problem> {
    let expected = format!("a number from 1 to {most}");
    let limit = parsed("limit", text, &expected)?.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        return Err(Problem::parameter("limit", &limit.to_string(), &expected, ""));
    }
    Ok(limit)
}

/// Whether a list with a `state` is to have what is over too.
///
/// # Errors
/// When it is neither `lasting` nor `all`.
pub fn also_over(given: &Params) -> Result<bool, Problem> {
    match given.get("state") {
        None | Some("lasting") => Ok(false),
        Some("all") => Ok(true),
        Some(text) => Err(Problem::parameter("state", text, "lasting or all", "leave it out for lasting")),
    }
}

/// The one of `choices` that a parameter names; the default where it is not given.
///
/// # Errors
/// When it names none of them.
pub fn word<T: Copy + Default, const N: usize>(
    name: &str,
    text: Option<&str>,
    choices: [T; N],
    as_str: fn(T) -> &'static str,
) -> Result<T, Problem> {
    let Some(text) = text else { return Ok(T::default()) };
    choices.into_iter().find(|choice| as_str(*choice) == text).ok_or_else(|| {
        let words = choices.map(as_str);
        let remedy = nearest(text, words).map_or_else(
            || format!("leave it out for {}", as_str(T::default())),
            |near| format!("did you mean {near}?"),
        );
        Problem::parameter(name, text, &format!("one of {}", words.join(", ")), remedy)
    })
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let expected = if known.is_empty() {
        "no parameters here".to_owned()
    } else {
        format!("one of the parameters {}", known.join(", "))
    };
    let remedy = nearest(name, known.iter().copied()).map_or_else(
        || "remove it; /api/v1/openapi.json describes each address".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    let mut problem = Problem::parameter("query", name, &expected, remedy);
    problem.parameter = Some(name.chars().take(80).collect());
    problem
}
