//! Routes: who is told what.

use std::collections::BTreeSet;

use wan_settings::At;

use super::super::super::Plan;
use super::super::{ChannelName, Route, RouteHours, Said, SaidOf};
use super::{Reader, one_of, severity, texts, truth};
use crate::alert::{Event, Rule};

impl Reader<'_> {
    pub(super) fn routes(&self, at: &At<'_>, channels: &[&str], plan: &Plan) -> Option<Vec<Route>> {
        let items = at.items("routes")?;
        Some(items.iter().filter_map(|item| self.route(item, channels, plan)).collect())
    }

    fn route(&self, at: &At<'_>, channels: &[&str], plan: &Plan) -> Option<Route> {
        let keys = [
            "rules",
            "severity",
            "events",
            "tiers",
            "branches",
            "districts",
            "sites",
            "hours",
            "to",
            "continue",
        ];
        let fields = at.fields(&keys)?;
        let tiers: Vec<&str> = plan.tiers.iter().map(|tier| tier.id.as_str()).collect();
        let branches: Vec<&str> = plan.branches.iter().map(|branch| branch.id.as_str()).collect();
        let words = |key, known: &[&str], what| {
            let at = fields.get(key)?;
            Some(texts(&at)?.iter().filter_map(|at| one_of(at, known, what)).map(str::to_owned).collect())
        };
        let rules = fields.get("rules").and_then(|at| {
            let known = Rule::ALL.map(Rule::as_str);
            let words: Vec<&str> = texts(&at)?.iter().filter_map(|at| one_of(at, &known, "a rule")).collect();
            Some(Rule::ALL.into_iter().filter(|rule| words.contains(&rule.as_str())).collect())
        });
        let events = fields.get("events").and_then(|at| {
            let known = Event::ALL.map(Event::as_str);
            let words: Vec<&str> =
                texts(&at)?.iter().filter_map(|at| one_of(at, &known, "an event")).collect();
            Some(Event::ALL.into_iter().filter(|event| words.contains(&event.as_str())).collect())
        });
        let mut said = Vec::new();
        let mut of_register = |key, what, expected| {
            let at = fields.get(key)?;
            let mut names = BTreeSet::new();
            for at in texts(&at)? {
                let Some(name) = at.text(expected) else { continue };
                said.push(Said { what, name: name.to_owned(), place: self.place(&at) });
                names.insert(name.to_owned());
            }
            Some(names)
        };
        let districts = of_register("districts", SaidOf::District, "a district's name");
        let sites = of_register("sites", SaidOf::Site, "a site's id");
        // What is no id is in `said`, and told against the register.
        let sites = sites.map(|ids| ids.iter().filter_map(|id| id.parse().ok()).collect());
        let hours = fields.get("hours").map_or(Some(RouteHours::All), |at| {
            at.scalar("all, service or outside", "service is the hours of the calendar", |text| match text {
                "all" => Some(RouteHours::All),
                "service" => Some(RouteHours::Service),
                "outside" => Some(RouteHours::Outside),
                _ => None,
            })
        });
        let to: BTreeSet<ChannelName> = fields
            .need("to", "the channels that are told; [] for none")
            // None is how a line keeps something from those below it.
            .and_then(|at| if at.is_list() { at.items("channels") } else { texts(&at) })
            .unwrap_or_default()
            .iter()
            .filter_map(|at| one_of(at, channels, "a channel")?.parse().ok())
            .collect();
        let goes_on = fields
            .get("continue")
            .map_or(Some(false), |at| truth(&at, "true has the routes below looked at as well"));
        Some(Route {
            rules,
            severity: fields.get("severity").and_then(|at| severity(&at)),
            events,
            tiers: words("tiers", &tiers, "a tier of the plan"),
            branches: words("branches", &branches, "a branch of the plan"),
            districts,
            sites,
            hours: hours?,
            to,
            goes_on: goes_on?,
            said,
        })
    }
}
