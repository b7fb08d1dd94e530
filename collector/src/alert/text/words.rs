//! What a template may use.

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value, json};
use wan_wire::UnixMillis;

use super::clean;
use crate::alert::notice::{Common, Notice, Subject};
use crate::config::Config;
use crate::config::alerts::{Alerts, Channel};
use crate::lang::Lang;
use crate::localtime;

/// For whom a notice is rendered.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'s> {
    /// The reader's language.
    pub lang: Lang,
    /// The province's time zone.
    pub zone: &'s TimeZone,
    /// Where the collector's page is, without a slash at the end.
    pub page: Option<&'s str>,
}

impl<'s> Setting<'s> {
    /// That of a channel's readers.
    #[must_use]
    pub fn of(channel: &Channel, alerts: &'s Alerts, config: &'s Config) -> Self {
        Self { lang: channel.lang, zone: &config.timezone, page: config.page(alerts) }
    }
}

/// The names that a template may use, and what they mean of one notice. `deploy/alerts.md` lists them.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Words(Map<String, Value>);

impl Words {
    /// Those of a notice.
    #[must_use]
    pub fn of(notice: &Notice, setting: &Setting<'_>) -> Self {
        let lang = setting.lang;
        let time = |at: UnixMillis| local(at, setting);
        let lasted = notice.until.unwrap_or(notice.at).0.saturating_sub(notice.since.0);
        let site = notice.site.as_ref().map(|site| {
            json!({
                "id": site.id.as_str(),
                "name": clean(&site.name),
                "tier": site.tier,
                "branch": site.branch,
                "district": site.district.as_deref().map(clean),
                "contacts": site.contacts.iter().map(|contact| clean(contact)).collect::<Vec<_>>(),
            })
        });
        let link = notice.link.as_ref().map(|link| {
            json!({
                "name": link.name.as_str(),
                "kind": link.kind.as_str(),
                "carrier": link.carrier.as_deref().map(clean),
                "contract": link.contract.as_deref().map(clean),
            })
        });
        let affected: Vec<Value> = notice
            .affected
            .iter()
            .map(|site| json!({"id": site.id.as_str(), "name": clean(&site.name)}))
            .collect();
        let was = notice.correction.map(|correction| {
            json!({
                "since": time(correction.was.since),
                "since_ms": correction.was.since.0,
                "until": time(correction.was.until),
                "until_ms": correction.was.until.0,
                "cause": correction.was.cause.map(crate::ledger::cause::Cause::as_str),
                "cause_name": correction.was.cause.map(|cause| cause.name(lang)),
                "found": correction.is.found,
                "failed": correction.is.found.failed(),
                "because": correction.because.as_str(),
                "because_name": correction.because.name(lang),
            })
        });
        let listed = u32::try_from(affected.len()).unwrap_or(u32::MAX);
        let words = json!({
            "id": notice.id.as_str(),
            "alert": notice.alert.as_str(),
            "event": notice.event.as_str(),
            "event_name": notice.event.name(lang),
            "goes_on": notice.event.goes_on(),
            "rule": notice.rule.as_str(),
            "rule_name": notice.rule.name(lang),
            "severity": notice.severity.as_str(),
            "severity_name": notice.severity.name(lang),
            "subject_key": notice.subject.key(),
            "what": what(notice, lang),
            "site": site,
            "link": link,
            "since": time(notice.since),
            "since_ms": notice.since.0,
            "until": notice.until.map(time),
            "until_ms": notice.until.map(|until| until.0),
            "at": time(notice.at),
            "at_ms": notice.at.0,
            "duration": localtime::duration(lasted, lang),
            "duration_seconds": lasted.max(0) / 1000,
            "cause": notice.cause.map(crate::ledger::cause::Cause::as_str),
            "cause_name": notice.cause.map(|cause| cause.name(lang)),
            "why": clean(notice.why.get(lang)),
            "responsible": clean(notice.responsible.get(lang)),
            "affected": affected,
            "affected_count": notice.affected_count,
            "affected_more": notice.affected_count.saturating_sub(listed),
            "flaps": notice.flaps,
            "url": page_link(notice, setting.page),
            "drill": notice.drill,
            "was": was,
            "lang": lang.code(),
        });
        match words {
            Value::Object(words) => Self(words),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Self(Map::new())
            }
        }
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), Value::String(value.to_owned()));
        self
    }
}

/// Where the page tells more, if it is known where the page is.
#[must_use]
pub fn page_link(notice: &Notice, page: Option<&str>) -> Option<String> {
    let path = notice.path.trim_start_matches('/');
    page.map(|page| clean(&format!("{page}/{path}")))
}

/// Of what the notice is, for people.
fn what(notice: &Notice, lang: Lang) -> String {
    let site = notice.site.as_ref().map(|site| clean(&site.name));
    let count = notice.affected_count;
    match &notice.subject {
        Subject::Site { site: id } => site.unwrap_or_else(|| id.to_string()),
        Subject::Link { site: id, link } => format!("{}, {link}", site.unwrap_or_else(|| id.to_string())),
        Subject::Tier { tier } => format!("{} {}", lang.pick("Cấp", "Tier"), clean(tier)),
        Subject::Target { target } => clean(target),
        Subject::Many { common: Common::Carrier(name) | Common::District(name) } => {
            format!("{}: {count} {}", clean(name), lang.pick("đơn vị", "sites"))
        }
        Subject::Many { common: Common::All } => format!("{count} {}", lang.pick("đơn vị", "sites")),
        Subject::Collector => lang.pick("Hệ thống giám sát", "Monitoring system").to_owned(),
    }
}

/// The province's time as its people write it.
fn local(at: UnixMillis, setting: &Setting<'_>) -> String {
    let format = setting.lang.pick("%H:%M:%S ngày %d/%m/%Y", "%Y-%m-%d %H:%M:%S");
    localtime::show(at, setting.zone, format)
}
