//! When a LAN that does not answer says something of what lies behind it.
//!
//! Many routers drop echoes: such a gateway is down by the site's own word for ever, while everything behind it works. So a LAN that is
//! down takes a link with it only while its silence is news:
//!
//! 1. its target answered the site's own agent within the last [`GATEWAY_MEMORY`], **and**
//! 2. since that answer the link's kind has not carried traffic for [`EDGE`] on end by the agent's own word (of a service also the WAN,
//!    by which it is reached).
//!
//! The first alone decides of a gateway that has never answered; the second, at once, of one that does so no more. Both look back only, so
//! what comes later changes nothing that was said, but late evidence of the time before. A LAN that is degraded has answered.

use std::time::Duration;

use wan_wire::{LinkKind, Outcome, UnixMillis};

use super::EDGE;
use crate::ledger::span::Periods;
use crate::ledger::timeline::{Basis, KindsSweep, SiteView, State, Window};

/// A gateway whose last answer is older than this may long have been one that never answers. Over a weekend nobody is there to switch a host
/// on; so a week.
pub const GATEWAY_MEMORY: Duration = Duration::from_secs(7 * 86_400);

/// When the LAN fails.
#[derive(Debug, Default)]
pub(super) struct LanFailing {
    degraded: Periods,
    /// As it is seen, for the LAN itself.
    down: Periods,
    wan: Periods,
    internet: Periods,
    service: Periods,
}

impl LanFailing {
    pub(super) fn of<'a>(site: &SiteView<'a>, basis: &Basis<'a>, window: Window) -> Self {
        let mut failing = Self::default();
        for (start, end, kinds) in KindsSweep::new(site, &[LinkKind::Lan], basis, window) {
            match kinds.get(LinkKind::Lan) {
                State::Down => failing.down.add(start, end),
                State::Degraded => failing.degraded.add(start, end),
                State::Up | State::Unknown(_) => {}
            }
        }
        if !failing.down.is_empty() {
            let known = Window::new(window.start.minus(GATEWAY_MEMORY), window.end);
            let answers = carried(site, &[LinkKind::Lan], known);
            if answers.is_empty() {
                return failing;
            }
            let wan = carried(site, &[LinkKind::Wan], known);
            let news = |works: &Periods| failing.down.intersect(&news(&answers, works, known.end));
            failing.internet = news(&carried(site, &[LinkKind::Internet], known));
            failing.service = news(&wan.union(&carried(site, &[LinkKind::Service], known)));
            failing.wan = news(&wan);
        }
        failing
    }

    /// When the LAN is degraded.
    pub(super) fn degraded(&self) -> &Periods {
        &self.degraded
    }

    /// When the LAN is down and takes links of a kind with it.
    pub(super) fn down(&self, kind: LinkKind) -> &Periods {
        match kind {
            LinkKind::Lan => &self.down,
            LinkKind::Wan => &self.wan,
            LinkKind::Internet => &self.internet,
            LinkKind::Service => &self.service,
        }
    }
}

/// When the silence of a gateway is news: from each answer's end until the next, or until what lies behind it has worked all the same.
fn news(answers: &Periods, works: &Periods, end: UnixMillis) -> Periods {
    let answers = answers.as_slice();
    let next = answers.iter().skip(1).map(|next| next.start).chain([end]);
    let silences = answers.iter().zip(next).map(|(answer, next)| {
        let (from, to) = (answer.end, next.min(answer.end.plus(GATEWAY_MEMORY)));
        let passing = works.from(from).iter().take_while(|period| period.start < to);
        let mut passed = passing.map(|period| (period.start.max(from).plus(EDGE), period.end));
        let passed = passed.find_map(|(proven, end)| (proven < end).then_some(proven));
        (from, passed.map_or(to, |proven| proven.min(to)))
    });
    silences.filter(|(from, to)| from < to).collect()
}

/// When a link of one of these kinds carried traffic, by the site's own word.
fn carried(site: &SiteView<'_>, kinds: &[LinkKind], window: Window) -> Periods {
    let mut carried = Periods::new();
    for link in site.links.iter().filter(|link| kinds.contains(&link.kind)) {
        let window = window.within(link.valid.start, link.valid.end);
        for span in link.own.into_iter().flat_map(|own| own.window(window.start, window.end)) {
            match span.outcome {
                Outcome::Up | Outcome::Degraded => carried.add(span.start, span.end),
                Outcome::Down | Outcome::Fault => {}
            }
        }
    }
    carried
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: i64 = 7 * 86_400;

    fn set(periods: &[(i64, i64)]) -> Periods {
        periods.iter().map(|&(from, to)| (UnixMillis(from * 1000), UnixMillis(to * 1000))).collect()
    }

    #[test]
    fn a_gateways_silence_is_news_until_what_lies_behind_it_has_worked_for_more_than_two_rounds() {
        let news = |answers, works| news(&set(answers), &set(works), UnixMillis(1_000_000));
        assert_eq!(news(&[], &[(0, 500)]), set(&[]), "it has never answered");
        assert_eq!(news(&[(0, 100)], &[]), set(&[(100, 1000)]));
        assert_eq!(news(&[(0, 100)], &[(0, 110)]), set(&[(100, 1000)]), "an edge");
        assert_eq!(news(&[(0, 100)], &[(0, 111)]), set(&[(100, 110)]), "more than an edge");
        assert_eq!(news(&[(0, 100)], &[(0, 105), (200, 210), (300, 320)]), set(&[(100, 310)]));
        assert_eq!(
            news(&[(0, 100), (200, 300)], &[(0, 350)]),
            set(&[(100, 110), (300, 310)]),
            "each time anew"
        );
    }

    #[test]
    fn a_gateways_last_answer_is_remembered_for_a_week() {
        let end = UnixMillis(3 * WEEK * 1000);
        assert_eq!(news(&set(&[(0, 100)]), &set(&[]), end), set(&[(100, 100 + WEEK)]));
    }
}
