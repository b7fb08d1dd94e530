//! What each link last showed, and since when: for the log, the service manager and `wan-agent status`. Pure.
//!
//! A link's own targets are one thing: it is up when any of them is. Targets that stand for other sites say nothing about each
//! other, so each watched site is a thing of its own: else one site's router that answers would hide all that do not.

use std::collections::{BTreeMap, BTreeSet};

use wan_wire::{LinkName, Outcome, SiteId, UnixMillis, classify};

use crate::config::{Config, LinkConfig, TargetConfig};
use crate::watch::{LinkRound, TargetResult};

/// A link of the agent's own, or of a site that it watches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    /// The link.
    pub link: LinkName,
    /// The site that is watched, where it is not the agent's own.
    pub about: Option<SiteId>,
}

/// What it last showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// The outcome of its last round.
    pub outcome: Outcome,
    /// The start of the first round that showed it, as the clock was then.
    pub since: UnixMillis,
    /// What there was to say about its targets in the last round.
    pub why: String,
}

/// A link that shows something else than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) watched: Watched,
    pub(crate) before: Option<Outcome>,
    pub(crate) now: LinkState,
}

/// What each link last showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States {
    states: BTreeMap<Watched, LinkState>,
    /// What the configuration asks for, once that has changed: rounds of the one before may still come in.
    asked: Option<BTreeSet<Watched>>,
}

impl States {
    /// Takes a link's round in, and says what has changed.
    pub(crate) fn update(&mut self, round: &LinkRound) -> Vec<Change> {
        let mut parts: BTreeMap<Option<&SiteId>, Vec<&TargetResult>> = BTreeMap::new();
        for target in &round.targets {
            parts.entry(target.series.about.as_ref()).or_default().push(target);
        }
        let mut changes = Vec::new();
        for (about, targets) in parts {
            let outcomes = targets.iter().map(|target| classify(&target.facts, &round.rule));
            let outcome = outcomes.max().unwrap_or(Outcome::Fault);
            let watched = Watched { link: round.link.clone(), about: about.cloned() };
            if self.asked.as_ref().is_some_and(|asked| !asked.contains(&watched)) {
                continue;
            }
            let before = self.states.get(&watched);
            let started = round.end.apparent().minus(round.interval);
            let same = before.filter(|before| before.outcome == outcome);
            let since = same.map_or(started, |before| before.since);
            let now = LinkState { outcome, since, why: why(&targets) };
            if same.is_none() {
                let before = before.map(|before| before.outcome);
                changes.push(Change { watched: watched.clone(), before, now: now.clone() });
            }
            self.states.insert(watched, now);
        }
        changes
    }

    /// Forgets what this configuration no longer asks for, and takes in nothing of it any more.
    pub(crate) fn keep(&mut self, config: &Config) {
        let of_link = |link: &LinkConfig| {
            let watched =
                |target: &TargetConfig| Watched { link: link.name.clone(), about: target.about.clone() };
            link.targets.iter().map(watched).collect::<Vec<_>>()
        };
        let asked: BTreeSet<Watched> = config.links.iter().flat_map(of_link).collect();
        self.states.retain(|watched, _| asked.contains(watched));
        self.asked = Some(asked);
    }

    /// What each of the agent's own links last showed.
    pub(crate) fn own(&self) -> BTreeMap<LinkName, Outcome> {
        let own = self.states.iter().filter(|(watched, _)| watched.about.is_none());
        own.map(|(watched, state)| (watched.link.clone(), state.outcome)).collect()
    }

    /// All of it, by link and watched site.
    pub fn iter(&self) -> impl Iterator<Item = (&Watched, &LinkState)> {
        self.states.iter()
    }

    /// What one of them last showed.
    pub fn get(&self, watched: &Watched) -> Option<&LinkState> {
        self.states.get(watched)
    }
}

fn why(targets: &[&TargetResult]) -> String {
    let notes = targets
        .iter()
        .filter_map(|target| Some(format!("{}: {}", target.series.target, target.note.as_ref()?)));
    notes.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use wan_wire::{OutcomeRule, ProbeKind, RoundFacts, Rtt};

    use super::*;
    use crate::config::Use;
    use crate::plan::Series;

    fn round(end: i64, targets: &[(&str, Option<&str>, u32)]) -> LinkRound {
        let result = |(target, about, received): &(&str, Option<&str>, u32)| TargetResult {
            series: Arc::new(Series {
                link: "wan".parse().unwrap(),
                probe: ProbeKind::Icmp,
                target: (*target).to_owned(),
                about: about.map(|about| about.parse().unwrap()),
            }),
            facts: RoundFacts {
                sent: 5,
                received: *received,
                rtt: (*received > 0).then_some(Rtt { min: 0.1, median: 0.1, mean: 0.1, max: 0.1 }),
                fault: false,
            },
            note: (*received == 0).then(|| "no answer".to_owned()),
            certificate_end: None,
        };
        LinkRound {
            link: "wan".parse().unwrap(),
            rule: OutcomeRule::default(),
            end: crate::clock::Stamp {
                since_boot: u64::try_from(end).unwrap(),
                host: UnixMillis(end),
                synchronised: true,
                offset: Some(0),
            },
            interval: Duration::from_secs(5),
            targets: targets.iter().map(result).collect(),
        }
    }

    fn shown(changes: &[Change]) -> Vec<String> {
        let about = |change: &Change| change.watched.about.as_ref().map_or("-".into(), ToString::to_string);
        let before = |change: &Change| change.before.map_or("unknown", Outcome::as_str);
        let line = |change: &Change| {
            format!("{} {}→{} {}", about(change), before(change), change.now.outcome, change.now.since.0)
        };
        changes.iter().map(line).collect()
    }

    #[test]
    fn a_watched_site_that_goes_down_is_said_although_the_others_answer() {
        let mut states = States::default();
        let all = [("10.0.1.1", Some("a"), 5), ("10.0.2.1", Some("b"), 5), ("10.0.0.1", None, 5)];
        assert_eq!(
            shown(&states.update(&round(5_000, &all))),
            ["- unknown→up 0", "a unknown→up 0", "b unknown→up 0"]
        );
        assert_eq!(shown(&states.update(&round(10_000, &all))), [] as [&str; 0]);
        let b_down = [("10.0.1.1", Some("a"), 5), ("10.0.2.1", Some("b"), 0), ("10.0.0.1", None, 5)];
        assert_eq!(shown(&states.update(&round(15_000, &b_down))), ["b up→down 10000"]);
        assert_eq!(shown(&states.update(&round(20_000, &b_down))), [] as [&str; 0]);
        let b = Watched { link: "wan".parse().unwrap(), about: Some("b".parse().unwrap()) };
        let state = states.get(&b).unwrap();
        assert_eq!((state.since.0, state.why.as_str()), (10_000, "10.0.2.1: no answer"));
        assert_eq!(states.own().len(), 1);
    }

    #[test]
    fn what_is_no_longer_asked_for_is_forgotten() {
        let mut states = States::default();
        states.update(&round(5_000, &[("10.0.1.1", Some("a"), 5), ("10.0.0.1", None, 5)]));
        let config =
            Config::parse("f", b"links: [{name: wan, targets: [{icmp: 10.0.9.9}]}]", Use::Probe).unwrap();
        states.keep(&config);
        assert_eq!(states.iter().map(|(watched, _)| watched.about.is_none()).collect::<Vec<_>>(), [true]);
        // The last round of the configuration before comes in late.
        let late = [("10.0.1.1", Some("a"), 0), ("10.0.0.1", None, 0)];
        assert_eq!(shown(&states.update(&round(10_000, &late))), ["- up→down 5000"]);
        assert_eq!(states.iter().count(), 1);
    }
}
