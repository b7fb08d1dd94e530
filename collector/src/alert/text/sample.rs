//! Notices on which a template is tried: one with all that there can be, one with as little, and a correction.

use wan_wire::{LinkKind, LinkName, SiteId, UnixMillis};

use crate::alert::correct::{Correction, Found, Said};
use crate::alert::notice::{
    Affected, AlertId, Both, Event, LinkFacts, Notice, NoticeId, Rule, Severity, SiteFacts, Subject,
};
use crate::ledger::cause::Cause;
use crate::ledger::told::Because;

/// They are of no real site.
#[must_use]
pub fn samples() -> Vec<Notice> {
    let mut all = vec![collector()];
    if let Ok(site) = "xa-mau".parse::<SiteId>() {
        let link = of_link(&site, &LinkName::from(LinkKind::Wan));
        all.push(link.clone());
        all.push(corrected(link));
    }
    all
}

/// Of them the one with as little as there can be.
pub(in crate::alert) fn collector() -> Notice {
    let (subject, since) = (Subject::Collector, UnixMillis(1_793_466_000_000));
    let alert = AlertId::of(Rule::CollectorBlind, &subject, since);
    Notice {
        id: NoticeId::of(&alert, Event::Fired, since),
        alert,
        event: Event::Fired,
        rule: Rule::CollectorBlind,
        severity: Severity::Critical,
        subject,
        site: None,
        link: None,
        since,
        until: None,
        at: UnixMillis(since.0 + 5000),
        cause: None,
        why: Both::default(),
        responsible: Both::default(),
        affected: Vec::new(),
        affected_count: 0,
        flaps: 0,
        path: String::new(),
        drill: false,
        correction: None,
    }
}

/// Of them the one with all that there can be.
#[cfg(test)]
pub(in crate::alert) fn link() -> Notice {
    samples().into_iter().find(|notice| notice.site.is_some()).unwrap()
}

/// The correction of one that is over: the line had worked.
#[cfg(test)]
pub(in crate::alert) fn correction() -> Notice {
    corrected(link())
}

fn corrected(link: Notice) -> Notice {
    let (since, at) = (link.since, UnixMillis(link.at.0 + 3_600_000));
    let was = Said { found: Found::AsTold, since, until: link.at, cause: link.cause };
    let is = Said { found: Found::Worked, cause: None, ..was };
    Notice {
        id: NoticeId::of(&link.alert, Event::Corrected, at),
        event: Event::Corrected,
        at,
        cause: None,
        why: Both::of(|lang| Found::Worked.sentence(link.rule, lang).to_owned()),
        responsible: Both::default(),
        affected: Vec::new(),
        affected_count: 0,
        flaps: 0,
        drill: false,
        correction: Some(Correction { at, was, is, because: Because::Backlog }),
        ..link
    }
}

fn of_link(site: &SiteId, link: &LinkName) -> Notice {
    let (subject, since) =
        (Subject::Link { site: site.clone(), link: link.clone() }, UnixMillis(1_793_466_000_000));
    let alert = AlertId::of(Rule::LinkDown, &subject, since);
    let until = UnixMillis(since.0 + 7_500_000);
    Notice {
        id: NoticeId::of(&alert, Event::Resolved, until),
        alert,
        event: Event::Resolved,
        rule: Rule::LinkDown,
        severity: Severity::Warning,
        subject,
        site: Some(SiteFacts {
            id: site.clone(),
            name: "Ủy ban nhân dân xã Mẫu".to_owned(),
            tier: "commune".to_owned(),
            branch: "state".to_owned(),
            district: Some("Châu Thành".to_owned()),
            contacts: vec!["Nguyễn Văn A, 0276 3822 123".to_owned()],
        }),
        link: Some(LinkFacts {
            name: link.clone(),
            kind: LinkKind::Wan,
            carrier: Some("VNPT".to_owned()),
            contract: Some("VNPT-2026/01".to_owned()),
        }),
        since,
        until: Some(until),
        at: until,
        cause: Some(Cause::Carrier),
        why: Both {
            vi: "LAN hoạt động, WAN không trả lời".to_owned(), en: "LAN up, WAN down".to_owned()
        },
        responsible: Both { vi: "VNPT".to_owned(), en: "VNPT".to_owned() },
        affected: vec![Affected { id: site.clone(), name: "Ủy ban nhân dân xã Mẫu".to_owned() }],
        affected_count: 2,
        flaps: 6,
        path: "/sites/xa-mau".to_owned(),
        drill: true,
        correction: None,
    }
}
