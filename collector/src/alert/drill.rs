//! A drill: an alert of a site that is told as a real one is, by the same routes and channels, and is marked everywhere as a drill.
//! Pure: what to write at its beginning and at its end. Nothing of it is in any figure: no evidence is made up.

use std::collections::BTreeSet;

use wan_wire::{SiteId, UnixMillis};

use super::compose;
use super::machine::{Key, Telling};
use super::notice::{AlertId, Both, Event, Notice, NoticeId, Rule, Subject};
use super::record::{AlertChanges, Record};
use super::route;
use crate::config::Config;
use crate::config::alerts::ChannelName;
use crate::planned::draft::Wrong;
use crate::province::Province;

/// A drill that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Drill {
    /// The alert.
    pub record: Record,
    /// What is told of it.
    pub notice: Notice,
}

impl Drill {
    /// The drill of a rule at a registered site, that begins with the province's present.
    ///
    /// # Errors
    /// When the rule is not about a site or a link, or about a link and the site has none.
    pub fn begin(province: &Province<'_>, site: &SiteId, rule: Rule) -> Result<Self, Wrong> {
        let (now, config) = (province.now, province.config());
        let subject = subject(province, site, rule)?;
        let severity = config.alerts.settings.of(rule).severity;
        let id = AlertId::of(rule, &subject, now);
        let telling = Telling {
            key: Key { rule, subject: subject.clone() },
            id: id.clone(),
            event: Event::Fired,
            severity,
            since: now,
            fired: now,
            until: None,
            flaps: 0,
            members: BTreeSet::new(),
        };
        let why = Both {
            vi: "đây là diễn tập để thử đường gửi cảnh báo, không có sự cố nào".to_owned(),
            en: "this is a drill that tries the way of alerts; nothing has happened".to_owned(),
        };
        let notice = Notice {
            drill: true,
            cause: None,
            why: why.clone(),
            responsible: Both {
                vi: "Không ai phải xử lý".to_owned(), en: "Nobody has to act".to_owned()
            },
            affected: Vec::new(),
            affected_count: 0,
            ..compose::notice(&telling, province, now)
        };
        let record = Record {
            id,
            rule,
            subject,
            severity,
            since: now,
            fired: now,
            until: None,
            told: Some(now),
            under: None,
            members: Vec::new(),
            flaps: false,
            cause: None,
            why,
            drill: true,
            taken: None,
        };
        Ok(Self { record, notice })
    }

    /// Its end.
    #[must_use]
    pub fn ended(&self, now: UnixMillis) -> Self {
        let event = Event::Resolved;
        let record = Record { until: Some(now), told: Some(now), ..self.record.clone() };
        let id = NoticeId::of(&self.notice.alert, event, now);
        let notice = Notice { id, event, until: Some(now), at: now, ..self.notice.clone() };
        Self { record, notice }
    }

    /// By which channels it is told.
    #[must_use]
    pub fn channels(&self, config: &Config) -> Vec<ChannelName> {
        let service = route::is_service(&config.calendar, &config.timezone, self.record.fired);
        route::channels(&config.alerts, &self.notice, service).into_iter().collect()
    }

    /// What is to be written of it.
    #[must_use]
    pub fn changes(&self, channels: Vec<ChannelName>) -> AlertChanges {
        AlertChanges {
            records: vec![self.record.clone()],
            notices: vec![(self.notice.clone(), channels)],
            ..AlertChanges::default()
        }
    }
}

/// Of what an alert of a rule at a site is.
fn subject(province: &Province<'_>, site: &SiteId, rule: Rule) -> Result<Subject, Wrong> {
    match rule {
        Rule::SiteOffline | Rule::AgentSilent | Rule::ClockWrong | Rule::QueueDropping => {
            Ok(Subject::Site { site: site.clone() })
        }
        Rule::LinkDown | Rule::LinkDegraded | Rule::InstrumentFault => {
            let links = province.register().get(site).map(|site| site.links.as_slice()).unwrap_or_default();
            let link = links.first().ok_or_else(|| {
                Wrong::new(
                    "rule",
                    rule.as_str(),
                    "a rule about sites: the register has no link of this one",
                    "try site_offline",
                )
            })?;
            Ok(Subject::Link { site: site.clone(), link: link.name.clone() })
        }
        Rule::CoverageUnderTarget | Rule::CollectorBlind | Rule::CertificateExpiring => {
            Err(Wrong::new("rule", rule.as_str(), "a rule about a site or a link", "try site_offline"))
        }
    }
}
