//! The API of Alertmanager, version 2: `POST /api/v2/alerts`.
//!
//! An alert that fires has no `endsAt`, so Alertmanager takes it as resolved `resolve_timeout` (5 min) after it last heard of it:
//! [`crate::alert::deliver`] sends all that fire again every `resend`. One that ended has the instant of its end.
//!
//! Every instance of a list gets everything, as Alertmanager asks of its clients; it is delivered when one of them has it: in a
//! cluster that one tells the others what was notified, and an instance that was away hears of what fires with the next resending.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use wan_wire::UnixMillis;

use super::http::{Http, exchange};
use super::{Letter, Outcome};
use crate::alert::notice::{Common, Notice, Subject};
use crate::alert::text::clean;
use crate::config::alerts::{Alertmanager, Login};
use crate::outgoing::read_secret;

/// The name of the alert that always fires, and whose absence is the alarm.
const HEARTBEAT: &str = "wanwatch_heartbeat";
/// Alerts of one request.
pub const BATCH: usize = 100;

/// Alertmanagers that are told the same.
#[derive(Debug)]
pub struct Alertmanagers {
    settings: Alertmanager,
    http: Http,
}

/// One alert of a request. Field names are the API's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

impl Alertmanagers {
    pub(in crate::alert) fn new(settings: Alertmanager) -> Self {
        let http = Http::new(settings.ca_file.clone(), settings.timeout);
        Self { settings, http }
    }

    /// What it is configured with.
    #[must_use]
    pub fn settings(&self) -> &Alertmanager {
        &self.settings
    }

    pub(super) async fn send(&self, letter: Letter<'_>, now: UnixMillis) -> Outcome {
        self.post(&[alert(letter)], now).await
    }

    /// Sends alerts to every instance: delivered when one of them took them.
    pub async fn post(&self, alerts: &[Alert], now: UnixMillis) -> Outcome {
        let client = match self.http.client().await {
            Ok(client) => client,
            Err(outcome) => return outcome,
        };
        let login = match self.settings.login.as_ref().map(Credential::read).transpose() {
            Ok(login) => login,
            Err(why) => return Outcome::again(why),
        };
        let secrets: Vec<String> = login.iter().map(|login| login.secret().to_owned()).collect();
        let body = serde_json::to_string(alerts).unwrap_or_default();
        let each = self.settings.urls.iter().map(|url| {
            let request = client
                .post(format!("{url}/api/v2/alerts"))
                .header(::http::header::CONTENT_TYPE, "application/json")
                .body(body.clone());
            let request = match &login {
                None => request,
                Some(Credential::Basic(user, password)) => request.basic_auth(user, Some(password)),
                Some(Credential::Bearer(token)) => request.bearer_auth(token),
            };
            let secrets = &secrets;
            async move { (url, exchange(request, None, secrets, now).await) }
        });
        best(join_all(each).await)
    }
}

/// A login, with the secret as it is now.
enum Credential<'s> {
    Basic(&'s str, String),
    Bearer(String),
}

impl<'s> Credential<'s> {
    fn read(login: &'s Login) -> Result<Self, String> {
        match login {
            Login::Basic(user, password) => Ok(Self::Basic(user, read_secret(password)?)),
            Login::Bearer(token) => Ok(Self::Bearer(read_secret(token)?)),
        }
    }

    fn secret(&self) -> &str {
        match self {
            Self::Basic(_, secret) | Self::Bearer(secret) => secret,
        }
    }
}

/// Delivered when one has it, else again when one may take it later.
fn best(outcomes: Vec<(&String, Outcome)>) -> Outcome {
    let mut failures = Vec::new();
    let (mut delivered, mut later, mut after) = (false, false, None);
    for (url, outcome) in outcomes {
        match outcome {
            Outcome::Delivered(_) | Outcome::Progress(_) => delivered = true,
            Outcome::Again { after: wait, why } => {
                later = true;
                after = after.max(wait);
                failures.push(format!("{url}: {why}"));
            }
            Outcome::Never(why) => failures.push(format!("{url}: {why}")),
        }
    }
    let why = failures.join("; ");
    match (delivered, later) {
        (true, _) => Outcome::Delivered((!why.is_empty()).then_some(why)),
        (false, true) => Outcome::Again { after, why },
        (false, false) => Outcome::Never(why),
    }
}

/// A notice as Alertmanager takes it. The labels are those by which it knows the alert again, so they are the same for all
/// notices of one.
#[must_use]
pub fn alert(letter: Letter<'_>) -> Alert {
    let Letter { notice, rendered, .. } = letter;
    let annotations = [
        ("summary", rendered.subject.clone()),
        ("description", rendered.text.clone()),
        ("cause", notice.cause.map(|cause| cause.as_str().to_owned()).unwrap_or_default()),
        ("event", notice.event.as_str().to_owned()),
        ("contacts", notice.site.as_ref().map(|site| clean(&site.contacts.join("; "))).unwrap_or_default()),
    ];
    Alert {
        labels: labels(notice),
        annotations: annotations.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        starts_at: Some(rfc3339(notice.since)),
        ends_at: ends(notice).map(rfc3339),
        generator_url: letter.link(),
    }
}

/// The alert that always fires.
#[must_use]
pub fn heartbeat(page: Option<&str>) -> Alert {
    let summary = "The collector of Wanwatch runs and takes what agents send; its absence is the alarm";
    Alert {
        labels: BTreeMap::from([("alertname", HEARTBEAT.to_owned()), ("severity", "none".to_owned())]),
        annotations: BTreeMap::from([("summary", summary.to_owned())]),
        starts_at: None,
        ends_at: None,
        generator_url: page.map(str::to_owned),
    }
}

/// When it ended: not before it began, which Alertmanager refuses.
fn ends(notice: &Notice) -> Option<UnixMillis> {
    if notice.event.goes_on() {
        return None;
    }
    Some(notice.until.unwrap_or(notice.at).max(notice.since.plus_millis(1)))
}

fn labels(notice: &Notice) -> BTreeMap<&'static str, String> {
    let mut labels = BTreeMap::from([
        ("alertname", notice.rule.as_str().to_owned()),
        ("severity", notice.severity.as_str().to_owned()),
        ("alert_id", notice.alert.as_str().to_owned()),
    ]);
    let mut add = |name, value: Option<&str>| {
        // An empty label is no label.
        if let Some(value) = value.map(clean).filter(|value| !value.is_empty()) {
            labels.insert(name, value);
        }
    };
    if let Some(site) = &notice.site {
        add("tier", Some(&site.tier));
        add("branch", Some(&site.branch));
        add("district", site.district.as_deref());
    }
    add("carrier", notice.link.as_ref().and_then(|link| link.carrier.as_deref()));
    add("site", notice.subject.site().map(wan_wire::SiteId::as_str));
    add("link", notice.subject.link().map(wan_wire::LinkName::as_str));
    match &notice.subject {
        Subject::Tier { tier } => add("tier", Some(tier)),
        Subject::Target { target } => add("target", Some(target)),
        Subject::Many { common: Common::Carrier(carrier) } => add("carrier", Some(carrier)),
        Subject::Many { common: Common::District(district) } => add("district", Some(district)),
        Subject::Many { common: Common::All }
        | Subject::Collector
        | Subject::Site { .. }
        | Subject::Link { .. } => {}
    }
    if notice.drill {
        add("drill", Some("true"));
    }
    labels
}

fn rfc3339(at: UnixMillis) -> String {
    Timestamp::from_millisecond(at.0).map(|at| at.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::alert::notice::Event;
    use crate::alert::text::{Engine, Setting, link_sample};
    use crate::lang::Lang;

    fn shown(notice: &Notice) -> serde_json::Value {
        let zone = TimeZone::UTC;
        let setting = Setting { lang: Lang::En, zone: &zone, page: Some("https://wan.example.vn") };
        let (rendered, wrong) = Engine::new(Lang::En).render(notice, &setting);
        assert_eq!(wrong, None);
        let letter = Letter { notice, rendered: &rendered, setting: &setting, progress: 0 };
        serde_json::to_value(alert(letter)).unwrap()
    }

    #[test]
    fn one_that_ended_has_its_end_and_one_that_fires_has_none() {
        let resolved = link_sample();
        let alert = shown(&resolved);
        assert_eq!(
            alert["labels"],
            serde_json::json!({
                "alertname": "link_down", "severity": "warning", "alert_id": resolved.alert.as_str(),
                "site": "xa-mau", "link": "wan", "tier": "commune", "branch": "state", "district": "Châu Thành",
                "carrier": "VNPT", "drill": "true",
            })
        );
        assert_eq!(alert["startsAt"], "2026-10-31T17:00:00Z");
        assert_eq!(alert["endsAt"], "2026-10-31T19:05:00Z");
        assert_eq!(alert["generatorURL"], "https://wan.example.vn/sites/xa-mau");
        let fired = Notice { event: Event::Fired, until: None, ..resolved };
        let alert = shown(&fired);
        assert!(alert.get("endsAt").is_none());
        assert_eq!(alert["annotations"]["contacts"], "Nguyễn Văn A, 0276 3822 123");
    }

    #[test]
    fn an_end_is_never_before_the_beginning_and_labels_never_empty() {
        let mut notice = link_sample();
        notice.until = Some(UnixMillis(notice.since.0 - 5000));
        if let Some(link) = &mut notice.link {
            link.carrier = Some(String::new());
        }
        let alert = shown(&notice);
        assert_eq!(alert["endsAt"], "2026-10-31T17:00:00.001Z");
        assert!(alert["labels"].get("carrier").is_none());
    }

    #[test]
    fn one_instance_that_has_it_is_enough() {
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let delivered = || Outcome::Delivered(None);
        assert_eq!(best(vec![(&a, delivered()), (&b, delivered())]), delivered());
        assert_eq!(
            best(vec![(&a, Outcome::again("x")), (&b, delivered())]),
            Outcome::Delivered(Some("a: x".into()))
        );
        assert_eq!(
            best(vec![(&a, Outcome::Never("n".into())), (&b, Outcome::again("x"))]),
            Outcome::again("a: n; b: x")
        );
        assert_eq!(best(vec![(&a, Outcome::Never("n".into()))]), Outcome::Never("a: n".into()));
    }
}
