//! A drill: an alert of a site that is told as a real one is, by the same routes and channels, and is marked everywhere as a drill.
//! Pure: what to write at its beginning and at its end. Nothing of it is in any figure: no evidence is made up.
//!
//! Whoever begins a drill ends it. One that was killed cannot, so the time by which it would have is kept with it: then the server ends it
//! ([`super::watch`]). A drill has one end, whoever writes it, so nobody is told of it twice.

use std::collections::BTreeSet;
use std::time::Duration;

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

/// Nobody waits at a terminal for longer until its beginning is confirmed.
pub const LONGEST: Duration = Duration::from_secs(3600);
/// What writing the end may take, on a machine that is busy.
const GRACE: Duration = Duration::from_secs(30);

/// A drill that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Drill {
    /// The alert.
    pub record: Record,
    /// What is told of it.
    pub notice: Notice,
}

impl Drill {
    /// The drill of a rule at a registered site, that begins with the province's present and is ended after `length` at the latest.
    ///
    /// # Errors
    /// When the rule is not about a site or a link, or about a link and the site has none.
    pub fn begin(
        province: &Province<'_>,
        site: &SiteId,
        rule: Rule,
        length: Duration,
    ) -> Result<Self, Wrong> {
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
            told: Some(now),
            why,
            drill: true,
            drill_ends: Some(now.plus(length)),
            ..Record::begun(id, rule, subject, severity, now)
        };
        Ok(Self { record, notice })
    }

    /// Its end.
    #[must_use]
    pub fn ended(&self, now: UnixMillis) -> Self {
        let event = Event::Resolved;
        let record = Record { until: Some(now), told: Some(now), ..self.record.clone() };
        // There is one end of it: a second one is the same in the outbox, which takes it in once.
        let id = NoticeId::of(&self.notice.alert, event, self.record.fired);
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

/// Whether nobody is there any more who would end a drill that is open. One that begins later than now was begun by a clock that was set back
/// since.
#[must_use]
pub fn is_left(drill: &Record, now: UnixMillis) -> bool {
    let ends = drill.drill_ends.unwrap_or_else(|| drill.fired.plus(LONGEST));
    ends.plus(GRACE) <= now || now.plus(LONGEST) < drill.fired
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{NOW, province};

    const MINUTE: i64 = 60_000;

    fn drill(length: Duration) -> Drill {
        let state = province();
        let site = "ubnd-loc-hung".parse().unwrap();
        Drill::begin(&Province::of(&state, NOW), &site, Rule::SiteOffline, length).unwrap()
    }

    #[test]
    fn a_drill_is_left_when_its_own_time_is_over_or_the_clock_was_set_back_from_it() {
        let mut record = drill(Duration::from_secs(120)).record;
        let left = |record: &Record, after: i64| is_left(record, NOW.plus_millis(after));
        for (after, expected) in [
            (0, false),
            (2 * MINUTE, false),
            (2 * MINUTE + 29_999, false),
            (2 * MINUTE + 30_000, true),
            (-60 * MINUTE, false),
            (-60 * MINUTE - 1, true),
            (i64::MAX / 2, true),
        ] {
            assert_eq!(left(&record, after), expected, "{after}");
        }
        record.drill_ends = None;
        assert_eq!((left(&record, 60 * MINUTE), left(&record, 61 * MINUTE)), (false, true), "one of old");
    }

    #[test]
    fn a_drill_has_one_end_whoever_writes_it() {
        let drill = drill(Duration::from_secs(60));
        let (one, other) = (drill.ended(NOW.plus_millis(5)), drill.ended(NOW.plus_millis(99)));
        assert_eq!(one.notice.id, other.notice.id);
        assert_ne!(one.notice.id, drill.notice.id);
        assert_eq!(one.record.until, Some(NOW.plus_millis(5)));
    }
}
