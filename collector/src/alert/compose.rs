//! From what is to be told to the notice: with names, reasons, who is responsible and who else is affected. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wan_wire::{LinkKind, LinkName, SiteId, UnixMillis};

use super::certificate;
use super::correct::Found;
use super::machine::{Key, Telling};
use super::notice::{
    Affected, Both, Common, Event, LinkFacts, MOST_LISTED, Notice, NoticeId, Rule, SiteFacts, Subject,
};
use super::promise::{self, Promise};
use super::record::Record;
use crate::inventory::Site;
use crate::lang::Lang;
use crate::ledger::cause::{Cause, Charge};
use crate::ledger::timeline::Window;
use crate::localtime;
use crate::province::{Province, SiteNow};
use crate::verdict;

/// So far before an alert's beginning its cause is looked for: edges of observers differ by some seconds.
const BEFORE: Duration = Duration::from_secs(60);
/// And no further back than this: what has lasted longer has the cause of its last day.
const FURTHEST: Duration = Duration::from_secs(86_400);

/// The notice of a telling, as the province is now.
#[must_use]
pub fn notice(telling: &Telling, province: &Province<'_>, at: UnixMillis) -> Notice {
    let subject = &telling.key.subject;
    let site = subject.site().and_then(|id| province.site(id));
    let charge = site.as_ref().and_then(|site| {
        let Telling { key, since, until, event, .. } = telling;
        charge(province, site, subject.link(), key.rule, *since, *until, event.goes_on())
    });
    let cause = charge.as_ref().map(|charge| charge.rule.cause());
    let affected = affected(telling, province);
    let link = site.as_ref().zip(subject.link()).map(|(site, name)| link_facts(site.site, name));
    let words = Words { telling, province, site: site.as_ref(), charge: charge.as_ref() };
    Notice {
        id: NoticeId::of(&telling.id, telling.event, at),
        alert: telling.id.clone(),
        event: telling.event,
        rule: telling.key.rule,
        severity: telling.severity,
        subject: subject.clone(),
        why: Both::of(|lang| words.why(lang)),
        responsible: Both::of(|lang| words.responsible(lang, cause, link.as_ref())),
        site: site.as_ref().map(site_facts),
        link,
        since: telling.since,
        until: telling.until,
        at,
        cause,
        affected_count: u32::try_from(affected.len()).unwrap_or(u32::MAX),
        affected: affected.into_iter().take(MOST_LISTED).collect(),
        flaps: telling.flaps,
        path: path(subject),
        drill: false,
        correction: None,
    }
}

/// The notice that what was told of an alert turned out to be otherwise: `record` is the alert with its newest correction. `None`: it has none.
#[must_use]
pub fn correction(record: &Record, province: &Province<'_>, at: UnixMillis) -> Option<Notice> {
    let correction = record.corrections.last()?;
    let telling = Telling {
        key: Key { rule: record.rule, subject: record.subject.clone() },
        id: record.id.clone(),
        event: Event::Corrected,
        severity: record.severity,
        since: record.since,
        fired: record.fired,
        until: record.until,
        flaps: 0,
        members: BTreeSet::new(),
    };
    let notice = notice(&telling, province, at);
    let found = correction.is.found;
    let why = |lang: Lang| {
        let charged = notice.why.get(lang);
        let parts = [found.sentence(record.rule, lang), if found == Found::Worked { "" } else { charged }];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    };
    let nobody = Both { vi: "Không ai phải xử lý".to_owned(), en: "Nobody has to act".to_owned() };
    let (affected, affected_count) =
        if found.failed() { (notice.affected.clone(), notice.affected_count) } else { (Vec::new(), 0) };
    Some(Notice {
        why: Both::of(why),
        responsible: if found == Found::Worked { nobody } else { notice.responsible.clone() },
        cause: correction.is.cause,
        affected,
        affected_count,
        correction: Some(*correction),
        ..notice
    })
}

/// Where the page tells more.
#[must_use]
pub fn path(subject: &Subject) -> String {
    subject.site().map_or_else(|| "/".to_owned(), |site| format!("/sites/{site}"))
}

/// What the register says of a site, for a notice.
#[must_use]
pub fn site_facts(site: &SiteNow<'_>) -> SiteFacts {
    SiteFacts {
        id: site.site.id.clone(),
        name: site.site.name.clone(),
        tier: site.registered.tier.to_string(),
        branch: site.registered.branch.to_string(),
        district: site.registered.district.map(ToOwned::to_owned),
        contacts: site.site.contacts.clone(),
    }
}

fn link_facts(site: &Site, name: &LinkName) -> LinkFacts {
    let entry = site.link(name);
    LinkFacts {
        name: name.clone(),
        kind: name.kind(),
        carrier: entry.and_then(|link| link.carrier.clone()),
        contract: entry.and_then(|link| link.contract.clone()),
    }
}

/// What most of the time since an alert's beginning is charged to: once it is over what the backlog tells, before that the newest word. Of a silence
/// it can be said only when it is over.
pub(super) fn charge(
    province: &Province<'_>,
    site: &SiteNow<'_>,
    link: Option<&LinkName>,
    rule: Rule,
    since: UnixMillis,
    until: Option<UnixMillis>,
    goes_on: bool,
) -> Option<Charge> {
    match rule {
        Rule::SiteOffline | Rule::LinkDown | Rule::LinkDegraded => {}
        Rule::AgentSilent if !goes_on => {}
        Rule::AgentSilent
        | Rule::InstrumentFault
        | Rule::CoverageUnderTarget
        | Rule::CollectorBlind
        | Rule::ClockWrong
        | Rule::CertificateExpiring
        | Rule::QueueDropping => return None,
    }
    let end = until.unwrap_or(province.now);
    let start = since.minus(BEFORE).max(end.minus(FURTHEST));
    let mut charges = province.causes(Window::new(start, end)).of(site).remove(&link.cloned())?;
    if goes_on {
        return charges.pop();
    }
    let mut totals: BTreeMap<Cause, i64> = BTreeMap::new();
    for charge in &charges {
        *totals.entry(charge.rule.cause()).or_default() += charge.millis();
    }
    // What is known says more than what is not, however long that was.
    let most = totals.into_iter().max_by_key(|(cause, millis)| (*cause != Cause::Unknown, *millis))?.0;
    charges.into_iter().filter(|charge| charge.rule.cause() == most).max_by_key(Charge::millis)
}

/// The sites that are affected beside the one that it is of: those of a storm, or those behind a site that is cut off.
fn affected(telling: &Telling, province: &Province<'_>) -> Vec<Affected> {
    let name = |id: &SiteId| Affected {
        id: id.clone(),
        name: province.register().get(id).map(|site| site.name.clone()).unwrap_or_default(),
    };
    match &telling.key.subject {
        Subject::Many { .. } => telling.members.iter().map(name).collect(),
        Subject::Site { site } if telling.key.rule == Rule::SiteOffline => {
            province.behind(site).map(name).collect()
        }
        Subject::Site { .. }
        | Subject::Link { .. }
        | Subject::Tier { .. }
        | Subject::Target { .. }
        | Subject::Collector => Vec::new(),
    }
}

struct Words<'w> {
    telling: &'w Telling,
    province: &'w Province<'w>,
    site: Option<&'w SiteNow<'w>>,
    charge: Option<&'w Charge>,
}

impl Words<'_> {
    fn why(&self, lang: Lang) -> String {
        let Telling { key, event, .. } = self.telling;
        let first = match (&key.subject, event) {
            (Subject::Many { common }, _) => self.many(key, common, lang),
            (_, Event::Resolved | Event::Corrected) => String::new(),
            (
                Subject::Site { .. }
                | Subject::Link { .. }
                | Subject::Tier { .. }
                | Subject::Target { .. }
                | Subject::Collector,
                Event::Fired | Event::Flapping | Event::Reminder,
            ) => self.one(key.rule, lang),
        };
        let more = self
            .charge
            .map(|charge| format!("{} ({})", charge.rule.sentence(lang), charge.scene.evidence(lang)));
        let parts: Vec<String> = [first].into_iter().chain(more).filter(|part| !part.is_empty()).collect();
        parts.join("; ")
    }

    fn one(&self, rule: Rule, lang: Lang) -> String {
        match rule {
            Rule::SiteOffline => {
                let standing = self.site.and_then(|site| self.province.standing(&site.site.id));
                let own_word = standing.is_some_and(|standing| standing.rule == verdict::Rule::AllLinesDown);
                if own_word {
                    lang.pick(
                        "agent tại đơn vị báo cả WAN và Internet đều mất",
                        "the site's agent says that neither WAN nor Internet works",
                    )
                } else {
                    lang.pick(
                        "không nhận được tin từ agent, và nơi khác không tới được đường WAN của đơn vị",
                        "the agent is not heard, and other vantages cannot reach the site's WAN",
                    )
                }
                .to_owned()
            }
            Rule::LinkDown => String::new(),
            Rule::LinkDegraded => self.beyond(lang),
            Rule::AgentSilent => {
                let standing = self.site.and_then(|site| self.province.standing(&site.site.id));
                let works = standing.is_some_and(|standing| standing.rule == verdict::Rule::LineWorks);
                if works {
                    lang.pick(
                        "không nhận được tin từ agent, trong khi đường WAN vẫn hoạt động: agent, máy hoặc nguồn điện của máy",
                        "the agent is not heard, while the site's WAN works: the agent, its host or the host's power",
                    )
                } else {
                    lang.pick(
                        "không nhận được tin từ agent, và không nơi nào khác quan sát đường WAN: chưa biết đơn vị có mất kết nối không",
                        "the agent is not heard, and nobody else looks at the site's WAN: whether it is cut off is not known",
                    )
                }
                .to_owned()
            }
            Rule::InstrumentFault => lang
                .pick(
                    "agent không gửi được gói đo: thiếu quyền, thiếu cổng mạng hoặc không mở được socket",
                    "the agent cannot send probes: no permission, no interface, or no socket",
                )
                .to_owned(),
            Rule::CoverageUnderTarget => self.coverage(lang),
            Rule::CollectorBlind => lang
                .pick(
                    "không nghe và không thấy được đơn vị nào: mạng của trung tâm bị cắt; trạng thái các đơn vị là chưa rõ, không phải mất kết nối",
                    "no site is heard or seen: the centre's own network is cut; the sites' state is unknown, not down",
                )
                .to_owned(),
            Rule::ClockWrong => {
                let offset = self.site.and_then(|site| site.facts.clock_offset).unwrap_or_default();
                let shown = jiff::SignedDuration::from_secs_f64(offset.clamp(-1e12, 1e12).round());
                match lang {
                    Lang::Vi => format!("đồng hồ của máy lệch {shown:#} so với máy chủ; số liệu vẫn được ghi đúng giờ"),
                    Lang::En => format!("the host's clock is off by {shown:#}; what is measured is dated rightly all the same"),
                }
            }
            Rule::CertificateExpiring => self.certificate(lang),
            Rule::QueueDropping => lang
                .pick(
                    "hàng đợi của agent đầy, số liệu cũ nhất bị bỏ: đường truyền quá chậm hoặc bị cắt quá lâu",
                    "the agent's queue is full and the oldest measurements are dropped: the line is too slow or was cut for too long",
                )
                .to_owned(),
        }
    }

    fn certificate(&self, lang: Lang) -> String {
        let Subject::Target { target } = &self.telling.key.subject else {
            let own = lang.pick(
                "chứng thư TLS của máy chủ giám sát sắp hết hạn; hãy thay trước khi agent không kết nối được",
                "the collector's TLS certificate ends soon; renew it before agents cannot connect",
            );
            return own.to_owned();
        };
        let now = self.province.now;
        let sites: Vec<SiteNow<'_>> = self.province.registered().collect();
        let found = certificate::of_targets(sites.iter()).remove(target.as_str());
        let Some(end) = found else { return String::new() };
        let (sites, zone) = (end.sites, &self.province.config().timezone);
        let at = localtime::show(end.ends, zone, lang.pick("%H:%M ngày %d/%m/%Y", "%Y-%m-%d %H:%M"));
        let over = end.ends <= now;
        match lang {
            Lang::Vi if over => format!("chứng thư TLS đã hết hạn lúc {at}; {sites} đơn vị thấy như vậy"),
            Lang::Vi => format!("chứng thư TLS hết hạn lúc {at}; {sites} đơn vị thấy như vậy"),
            Lang::En if over => {
                format!("its TLS certificate ended at {at}; sites that see this one: {sites}")
            }
            Lang::En => format!("its TLS certificate ends at {at}; sites that see this one: {sites}"),
        }
    }

    /// By which figures a link is beyond its contract, if it is.
    fn beyond(&self, lang: Lang) -> String {
        let link = self.site.zip(self.telling.key.subject.link());
        match link.map(|(site, link)| promise::of(self.province, site, link)) {
            Some(Promise::Broken(broken)) => broken.sentence(lang),
            Some(Promise::Nothing | Promise::Unsure | Promise::Kept) | None => String::new(),
        }
    }

    fn many(&self, key: &Key, common: &Common, lang: Lang) -> String {
        let count = self.telling.members.len();
        let what = match (lang, common) {
            (Lang::Vi, Common::Carrier(name)) => {
                format!("{count} đơn vị cùng nhà mạng {name} gặp sự cố gần như cùng lúc")
            }
            (Lang::Vi, Common::District(name)) => {
                format!("{count} đơn vị ở {name} gặp sự cố gần như cùng lúc")
            }
            (Lang::Vi, Common::All) => format!("{count} đơn vị trên toàn tỉnh gặp sự cố gần như cùng lúc"),
            (Lang::En, Common::Carrier(name)) => {
                format!("{count} sites of the carrier {name} failed at about the same time")
            }
            (Lang::En, Common::District(name)) => {
                format!("{count} sites in {name} failed at about the same time")
            }
            (Lang::En, Common::All) => format!("{count} sites of the province failed at about the same time"),
        };
        format!("{}: {what}", key.rule.name(lang))
    }

    fn coverage(&self, lang: Lang) -> String {
        let Subject::Tier { tier } = &self.telling.key.subject else { return String::new() };
        let coverage = self.province.coverage_at(self.province.now);
        let row = coverage.tiers.iter().find(|row| row.tier.as_ref() == Some(tier));
        let Some((high, target)) = row.and_then(|row| row.high.zip(row.target)) else { return String::new() };
        let known = self.province.config().plan.tier(tier);
        let name = known.map_or(tier.as_str(), |known| lang.pick(&known.name.vi, &known.name.en));
        let (high, target) = (high * 100.0, target * 100.0);
        match lang {
            Lang::Vi => format!("{name}: nhiều nhất {high:.1} % đơn vị đang kết nối, chỉ tiêu {target:.0} %")
                .replace('.', ","),
            Lang::En => {
                format!("{name}: at most {high:.1} % of the sites are connected, the target is {target:.0} %")
            }
        }
    }

    fn responsible(&self, lang: Lang, cause: Option<Cause>, link: Option<&LinkFacts>) -> String {
        let centre = lang.pick("Bộ phận quản trị mạng của tỉnh", "The province's network administrators");
        let own = lang.pick("Cán bộ tại đơn vị", "The people at the site");
        let carrier = |of: Option<&str>| match of {
            Some(name) => format!("{} {name}", lang.pick("Nhà mạng", "The carrier")),
            None => lang.pick("Nhà mạng", "The carrier").to_owned(),
        };
        let of_kind = |kind: LinkKind| {
            let own = link.filter(|link| link.kind == kind).and_then(|link| link.carrier.as_deref());
            let links = self.site.into_iter().flat_map(|site| &site.site.links);
            own.or_else(|| {
                links.filter(|link| link.name.kind() == kind).find_map(|link| link.carrier.as_deref())
            })
        };
        match (self.telling.key.rule, &self.telling.key.subject) {
            (_, Subject::Many { common: Common::Carrier(name) }) => return carrier(Some(name)),
            (
                Rule::CoverageUnderTarget
                | Rule::CollectorBlind
                | Rule::CertificateExpiring
                | Rule::QueueDropping
                | Rule::InstrumentFault,
                _,
            )
            | (_, Subject::Many { common: Common::District(_) | Common::All }) => return centre.to_owned(),
            (Rule::ClockWrong, _) => return own.to_owned(),
            (Rule::AgentSilent, _) if cause.is_none_or(|cause| cause == Cause::Unknown) => {
                return own.to_owned();
            }
            (Rule::SiteOffline | Rule::LinkDown | Rule::LinkDegraded | Rule::AgentSilent, _) => {}
        }
        match cause {
            Some(Cause::Carrier) => carrier(of_kind(LinkKind::Wan)),
            Some(Cause::Isp) => carrier(of_kind(LinkKind::Internet)),
            Some(Cause::Lan | Cause::Power) => own.to_owned(),
            Some(Cause::Agent | Cause::Upstream | Cause::Collector | Cause::Planned) => centre.to_owned(),
            // Nothing has failed: it is worse than was promised.
            None if self.telling.key.rule == Rule::LinkDegraded
                && link.is_some_and(|link| link.contract.is_some()) =>
            {
                carrier(link.and_then(|link| link.carrier.as_deref()))
            }
            Some(Cause::Unknown) | None => lang.pick("Chưa xác định", "Not known yet").to_owned(),
        }
    }
}
