//! Who is told: which channels a notice goes to. Pure.
//!
//! Routes are looked at in order. The first that matches says who is told; one with `continue` has those below it looked at as
//! well. Without any route every channel is told everything. **What no route matches is told to nobody**: a route to all channels at the
//! end is the way to have a rest. [`unheard`] names the rules that nobody hears of.
//!
//! | the notice is of | routes by tier, branch, district or site match |
//! | --- | --- |
//! | a site or a link | if the site is one of them |
//! | a tier | if the tier is named, and no branch, district or site |
//! | many sites of a district | if the district is named, or none; whatever the tier or branch: the sites' own notices are not sent then |
//! | many sites of a carrier, or of all | in any case, for the same reason |
//! | the collector | never |
//!
//! **Hours** are those at which the alert began to be told, for its end and its reminders too: whoever hears of the beginning hears
//! of the end.

use std::collections::BTreeSet;

use wan_wire::UnixMillis;

use crate::alert::notice::{Common, Notice, Rule, Subject};
use crate::calendar::Calendar;
use crate::config::alerts::{Alerts, ChannelName, Route, RouteHours};
use crate::ledger::timeline::Window;

/// The channels that `notice` goes to; `service`: whether the alert fired in the hours of service ([`is_service`]).
#[must_use]
pub fn channels(alerts: &Alerts, notice: &Notice, service: bool) -> BTreeSet<ChannelName> {
    if alerts.routes.is_empty() {
        return alerts.channels.iter().map(|channel| channel.name.clone()).collect();
    }
    let mut told = BTreeSet::new();
    for route in alerts.routes.iter().filter(|route| matches(route, notice, service)) {
        told.extend(route.to.iter().cloned());
        if !route.goes_on {
            break;
        }
    }
    told
}

/// Whether an instant is in the province's hours of service.
#[must_use]
pub fn is_service(calendar: &Calendar, zone: &jiff::tz::TimeZone, at: UnixMillis) -> bool {
    calendar.service_time(Window::instant(at), zone).contains(at)
}

/// Rules that are watched and of which no channel hears, at any hour.
#[must_use]
pub fn unheard(alerts: &Alerts) -> Vec<Rule> {
    let heard = |rule: Rule| {
        let severity = alerts.settings.of(rule).severity;
        if alerts.routes.is_empty() {
            return !alerts.channels.is_empty();
        }
        alerts.routes.iter().any(|route| {
            let of_rule = route.rules.as_ref().is_none_or(|rules| rules.contains(&rule));
            let bad_enough = route.severity.is_none_or(|least| severity >= least);
            let place = rule != Rule::CollectorBlind || !route.is_of_places();
            of_rule && bad_enough && place && !route.to.is_empty()
        })
    };
    Rule::ALL.into_iter().filter(|rule| alerts.settings.of(*rule).enabled && !heard(*rule)).collect()
}

fn matches(route: &Route, notice: &Notice, service: bool) -> bool {
    fn has<T: Ord>(set: Option<&BTreeSet<T>>, item: &T) -> bool {
        set.is_none_or(|set| set.contains(item))
    }
    let hours = match route.hours {
        RouteHours::All => true,
        RouteHours::Service => service,
        RouteHours::Outside => !service,
    };
    hours
        && has(route.rules.as_ref(), &notice.rule)
        && has(route.events.as_ref(), &notice.event)
        && route.severity.is_none_or(|least| notice.severity >= least)
        && is_there(route, notice)
}

fn is_there(route: &Route, notice: &Notice) -> bool {
    fn names(set: Option<&BTreeSet<String>>, name: Option<&String>) -> bool {
        set.is_none_or(|set| name.is_some_and(|name| set.contains(name)))
    }
    match &notice.subject {
        Subject::Site { site } | Subject::Link { site, .. } => {
            let facts = notice.site.as_ref();
            names(route.tiers.as_ref(), facts.map(|facts| &facts.tier))
                && names(route.branches.as_ref(), facts.map(|facts| &facts.branch))
                && names(route.districts.as_ref(), facts.and_then(|facts| facts.district.as_ref()))
                && route.sites.as_ref().is_none_or(|sites| sites.contains(site))
        }
        Subject::Tier { tier } => {
            names(route.tiers.as_ref(), Some(tier))
                && route.branches.is_none()
                && route.districts.is_none()
                && route.sites.is_none()
        }
        Subject::Many { common: Common::District(district) } => {
            names(route.districts.as_ref(), Some(district))
        }
        Subject::Many { common: Common::Carrier(_) | Common::All } => true,
        Subject::Target { .. } | Subject::Collector => !route.is_of_places(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    // A blind collector, and a link of a commune in Châu Thành that is up again.
    use crate::alert::text::{collector_sample as collector, link_sample as link};
    use crate::config::Config;

    fn alerts(routes: &str) -> Alerts {
        let text = format!(
            "alerts:\n  channels:\n    - {{name: a, command: {{run: [/bin/true]}}}}\n    - {{name: b, command: {{run: [/bin/true]}}}}\n  routes: {routes}\n"
        );
        Config::parse("c", text.as_bytes()).unwrap().alerts
    }

    fn told(routes: &str, notice: &Notice, service: bool) -> Vec<String> {
        channels(&alerts(routes), notice, service).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_routes_every_channel_hears_everything() {
        assert_eq!(told("[]", &link(), true), ["a", "b"]);
        assert_eq!(told("[]", &collector(), false), ["a", "b"]);
        assert!(channels(&Alerts::default(), &link(), true).is_empty());
    }

    #[test]
    fn the_first_that_matches_decides_unless_it_goes_on() {
        assert_eq!(told("[{to: a}, {to: b}]", &link(), true), ["a"]);
        assert_eq!(told("[{to: a, continue: true}, {to: b}]", &link(), true), ["a", "b"]);
        assert_eq!(told("[{severity: critical, to: a}, {to: b}]", &link(), true), ["b"]);
        assert!(told("[{severity: critical, to: a}]", &link(), true).is_empty());
    }

    #[test]
    fn each_key_narrows() {
        for (key, here, elsewhere) in [
            ("rules", "[link_down, site_offline]", "site_offline"),
            ("severity", "warning", "critical"),
            ("events", "[fired, resolved]", "fired"),
            ("tiers", "[commune]", "[province, district]"),
            ("branches", "state", "party"),
            ("districts", "[Châu Thành]", "[Gò Dầu]"),
            ("sites", "[xa-mau]", "[xa-khac]"),
            ("hours", "service", "outside"),
        ] {
            assert_eq!(told(&format!("[{{{key}: {here}, to: a}}]"), &link(), true), ["a"], "{key}");
            assert!(told(&format!("[{{{key}: {elsewhere}, to: a}}]"), &link(), true).is_empty(), "{key}");
        }
        assert_eq!(told("[{hours: outside, to: a}]", &link(), false), ["a"]);
    }

    #[test]
    fn many_sites_are_told_to_whoever_hears_of_places_and_the_collector_is_not() {
        let many = |common| Notice { subject: Subject::Many { common }, ..collector() };
        let route = "[{districts: [Gò Dầu], tiers: [commune], to: a}]";
        assert_eq!(told(route, &many(Common::Carrier("VNPT".into())), true), ["a"]);
        assert_eq!(told(route, &many(Common::All), true), ["a"]);
        assert_eq!(told(route, &many(Common::District("Gò Dầu".into())), true), ["a"]);
        assert!(told(route, &many(Common::District("Châu Thành".into())), true).is_empty());
        assert!(told(route, &collector(), true).is_empty());
        let tier = Notice { subject: Subject::Tier { tier: "commune".into() }, ..collector() };
        assert!(told(route, &tier, true).is_empty());
        assert_eq!(told("[{tiers: [commune], to: a}]", &tier, true), ["a"]);
    }

    #[test]
    fn rules_that_nobody_hears_of_are_named() {
        assert_eq!(unheard(&alerts("[]")), []);
        assert_eq!(unheard(&alerts("[{districts: [x], to: a}]")), [Rule::CollectorBlind]);
        let critical = unheard(&alerts("[{severity: critical, to: a}]"));
        assert_eq!(critical.len(), Rule::ALL.len() - 2, "site_offline and collector_blind are critical");
        assert_eq!(unheard(&Alerts::default()).len(), Rule::ALL.len());
    }

    #[test]
    fn the_hours_are_the_calendars() {
        let (calendar, zone) = (Calendar::default(), jiff::tz::TimeZone::get("Asia/Ho_Chi_Minh").unwrap());
        let at = |text: &str| UnixMillis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        // Friday, and Saturday.
        assert!(is_service(&calendar, &zone, at("2026-11-27T08:00:00+07:00")));
        assert!(is_service(&calendar, &zone, at("2026-11-27T07:30:00+07:00")));
        assert!(!is_service(&calendar, &zone, at("2026-11-27T11:30:00+07:00")));
        assert!(!is_service(&calendar, &zone, at("2026-11-28T08:00:00+07:00")));
    }

    proptest! {
        /// A route without `continue` hides what is below, one with it adds; the order of anything else does not matter.
        #[test]
        fn what_is_told_is_the_union_up_to_the_first_that_does_not_go_on(
            lines in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..8)
        ) {
            let shown: Vec<String> = lines.iter().map(|(to_a, hears, goes_on)| format!(
                "{{to: {}, events: {}, continue: {goes_on}}}",
                if *to_a { "a" } else { "b" },
                if *hears { "resolved" } else { "fired" },
            )).collect();
            let mut expected = BTreeSet::new();
            for (to_a, hears, goes_on) in &lines {
                if *hears {
                    expected.insert(if *to_a { "a" } else { "b" });
                    if !goes_on { break; }
                }
            }
            if lines.is_empty() {
                expected = BTreeSet::from(["a", "b"]);
            }
            let told = told(&format!("[{}]", shown.join(", ")), &link(), true);
            prop_assert_eq!(told, expected.into_iter().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
