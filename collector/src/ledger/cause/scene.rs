//! What a rule looks at, and the rules.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wan_wire::LinkKind;

use super::{Cause, Rule};
use crate::ledger::timeline::{State, Why};

/// Who said what a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    /// The site's own agent.
    Own,
    /// Another vantage.
    Other,
    /// Nobody.
    Nobody,
}

/// Whether a site's agent speaks, of any of its links; and if it does not, what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// It speaks.
    Speaks,
    /// It is silent, and its host booted within that time.
    Booted,
    /// It is silent, and was started anew within that time by a host that ran on.
    Restarted,
    /// It is silent, and the same agent spoke again after it.
    RanOn,
    /// It is silent and has not spoken since.
    Open,
    /// It had never spoken before.
    Before,
}

/// One link at an instant, and what is known around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scene {
    /// What the link is for.
    #[schema(value_type = String)]
    pub kind: LinkKind,
    /// What it is.
    pub state: State,
    /// Who says so.
    pub voice: Voice,
    /// Whether the site's agent speaks.
    pub silence: Silence,
    /// A planned window covers it.
    pub planned: bool,
    /// The path is cut above the site; of a link that is degraded: it is at least degraded there.
    pub path_cut: bool,
    /// The site's LAN.
    pub lan: State,
    /// The site's WAN.
    pub wan: State,
    /// The site's Internet.
    pub internet: State,
    /// The LAN is, or within two rounds was or will be, at least as bad as this link. Of what lies behind a LAN that is down: and its
    /// silence is news.
    pub lan_fails: bool,
    /// Another vantage sees the site's WAN down, now or within a round.
    pub seen_down: bool,
    /// Another vantage sees the site's WAN carry traffic, and does not see it down within a round.
    pub seen_up: bool,
    /// The rule that the site's WAN is charged by, where it is, or within two rounds was or will be, at least as bad as this link; of links
    /// that go by it only.
    pub wan_rule: Option<Rule>,
    /// This link and the WAN line that fails are of one carrier, as the register says.
    pub same_carrier: bool,
}

/// The table: see [`super`]. `None`: the link is not bad.
#[must_use]
pub fn decide(scene: &Scene) -> Option<Rule> {
    let unknown = match scene.state {
        State::Up | State::Unknown(Why::NotYet | Why::NotEquipped | Why::NotMeasured) => return None,
        State::Degraded | State::Down => None,
        State::Unknown(why @ (Why::CollectorStopped | Why::Silent | Why::Fault)) => Some(why),
    };
    if scene.planned {
        return Some(Rule::PlannedWork);
    }
    // Another vantage's instrument is no word of the site's agent: what that one is, its silence tells.
    if unknown == Some(Why::Fault) && scene.voice == Voice::Own {
        return Some(Rule::InstrumentFailed);
    }
    // What the agent itself says is no silence, even where its newest word is only held on.
    let silence = if scene.voice == Voice::Own { Silence::Speaks } else { scene.silence };
    Some(match (unknown, silence) {
        (None, Silence::Speaks) => fails(scene),
        (_, Silence::Booted) => Rule::BootInGap,
        (Some(Why::CollectorStopped), _) => Rule::CollectorStopped,
        (Some(_), Silence::Speaks) => Rule::NotProbed,
        (Some(_), Silence::Restarted) => Rule::AgentRestarted,
        (Some(_), Silence::RanOn | Silence::Open) if scene.seen_up => Rule::LineWorks,
        (_, Silence::Restarted | Silence::RanOn | Silence::Open | Silence::Before)
            if scene.path_cut && scene.kind != LinkKind::Lan =>
        {
            Rule::PathCut
        }
        (_, Silence::Open) => Rule::NotYetTold,
        (None, Silence::Restarted | Silence::RanOn | Silence::Before) => Rule::NobodyAtSite,
        (Some(_), Silence::Before) => Rule::NeverSpoke,
        (Some(_), Silence::RanOn) => Rule::RoundsMissing,
    })
}

/// Rows 14 to 29: the link is seen to fail, and the agent speaks.
fn fails(scene: &Scene) -> Rule {
    match scene.kind {
        LinkKind::Lan => return Rule::LanFails,
        LinkKind::Wan | LinkKind::Internet | LinkKind::Service if scene.lan_fails => return Rule::BehindLan,
        LinkKind::Wan => {
            if scene.path_cut {
                return Rule::PathCut;
            }
            if scene.voice == Voice::Own && scene.state == State::Down && scene.seen_up {
                return Rule::Contradiction;
            }
            if works(scene.lan) {
                return if scene.voice == Voice::Own && scene.seen_down {
                    Rule::BothSides
                } else {
                    Rule::GatewayAnswers
                };
            }
            return if works(scene.internet) { Rule::OtherLineWorks } else { Rule::PathNotSeen };
        }
        LinkKind::Internet | LinkKind::Service => {}
    }
    if let Some(rule) = scene.wan_rule {
        // What is cut above the site is not the line that the two share.
        let follows =
            scene.kind == LinkKind::Service || scene.same_carrier && rule.cause() != Cause::Upstream;
        return if follows { rule } else { Rule::BothLinesFail };
    }
    let is_service = scene.kind == LinkKind::Service;
    if works(scene.wan) {
        return if is_service { Rule::SystemFails } else { Rule::WanWorks };
    }
    if !is_service && works(scene.lan) { Rule::GatewayAnswersOnly } else { Rule::PathNotSeen }
}

fn works(state: State) -> bool {
    match state {
        State::Up | State::Degraded => true,
        State::Down | State::Unknown(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkKind::{Internet, Lan, Service, Wan};
    use State::{Degraded, Down, Unknown, Up};

    const SILENT: State = Unknown(Why::Silent);
    const NOT_MEASURED: State = Unknown(Why::NotMeasured);

    /// A link that its site's agent sees down, with everything else of the site up.
    fn down(kind: LinkKind) -> Scene {
        let of = |other: LinkKind| if other == kind { Down } else { Up };
        Scene {
            kind,
            state: Down,
            voice: Voice::Own,
            silence: Silence::Speaks,
            planned: false,
            path_cut: false,
            lan: of(Lan),
            wan: of(Wan),
            internet: of(Internet),
            lan_fails: kind == Lan,
            seen_down: false,
            seen_up: false,
            wan_rule: None,
            same_carrier: false,
        }
    }

    /// A WAN that another vantage sees down while the site's agent is silent.
    fn seen(silence: Silence) -> Scene {
        let around = Scene { lan: SILENT, internet: SILENT, seen_down: true, ..down(Wan) };
        Scene { voice: Voice::Other, silence, ..around }
    }

    /// A link that nobody says anything of.
    fn dark(kind: LinkKind, silence: Silence) -> Scene {
        let around = Scene { lan: SILENT, wan: SILENT, internet: SILENT, lan_fails: false, ..down(kind) };
        Scene { state: SILENT, voice: Voice::Nobody, silence, ..around }
    }

    #[test]
    fn every_row_of_the_table_charges_as_written() {
        let stopped = Unknown(Why::CollectorStopped);
        let fault = Scene { state: Unknown(Why::Fault), ..down(Wan) };
        let (wan, internet, service) = (down(Wan), down(Internet), down(Service));
        let no_lan = Scene { lan: NOT_MEASURED, ..wan };
        let wan_too = Scene { wan: Down, wan_rule: Some(Rule::GatewayAnswers), ..internet };
        let blind = |kind| Scene { wan: NOT_MEASURED, ..down(kind) };
        let cases = [
            ("1 down", Scene { planned: true, lan_fails: true, ..wan }, Rule::PlannedWork),
            ("1 silent", Scene { planned: true, ..dark(Wan, Silence::Booted) }, Rule::PlannedWork),
            ("1 fault", Scene { planned: true, ..fault }, Rule::PlannedWork),
            ("2", fault, Rule::InstrumentFailed),
            ("2 before 6", Scene { seen_up: true, ..fault }, Rule::InstrumentFailed),
            (
                "not 2: another's instrument",
                Scene { state: Unknown(Why::Fault), voice: Voice::Other, ..dark(Wan, Silence::Booted) },
                Rule::BootInGap,
            ),
            ("3 unknown", dark(Lan, Silence::Booted), Rule::BootInGap),
            ("3 seen down", seen(Silence::Booted), Rule::BootInGap),
            ("3 before 4", Scene { state: stopped, ..dark(Wan, Silence::Booted) }, Rule::BootInGap),
            ("3 before 7", Scene { path_cut: true, ..seen(Silence::Booted) }, Rule::BootInGap),
            ("4 silent", Scene { state: stopped, ..dark(Wan, Silence::Open) }, Rule::CollectorStopped),
            ("4 before 5", Scene { state: stopped, ..dark(Wan, Silence::Restarted) }, Rule::CollectorStopped),
            ("4 speaks", Scene { state: stopped, ..dark(Wan, Silence::Speaks) }, Rule::CollectorStopped),
            ("5", dark(Wan, Silence::Restarted), Rule::AgentRestarted),
            ("5 before 7", Scene { path_cut: true, ..dark(Wan, Silence::Restarted) }, Rule::AgentRestarted),
            ("6 open", Scene { seen_up: true, ..dark(Lan, Silence::Open) }, Rule::LineWorks),
            ("6 ran on", Scene { seen_up: true, ..dark(Lan, Silence::RanOn) }, Rule::LineWorks),
            ("7 unknown", Scene { path_cut: true, ..dark(Internet, Silence::Open) }, Rule::PathCut),
            ("7 seen down", Scene { path_cut: true, ..seen(Silence::Open) }, Rule::PathCut),
            ("7 seen down, restarted", Scene { path_cut: true, ..seen(Silence::Restarted) }, Rule::PathCut),
            ("not 7: LAN", Scene { path_cut: true, ..dark(Lan, Silence::Open) }, Rule::NotYetTold),
            ("8", seen(Silence::Open), Rule::NotYetTold),
            ("9 restarted", seen(Silence::Restarted), Rule::NobodyAtSite),
            ("9 ran on", seen(Silence::RanOn), Rule::NobodyAtSite),
            ("9 before", seen(Silence::Before), Rule::NobodyAtSite),
            ("10", dark(Lan, Silence::Before), Rule::NeverSpoke),
            ("11", dark(Lan, Silence::Open), Rule::NotYetTold),
            ("12", dark(Lan, Silence::RanOn), Rule::RoundsMissing),
            ("13", dark(Lan, Silence::Speaks), Rule::NotProbed),
            ("14", down(Lan), Rule::LanFails),
            ("14 degraded", Scene { state: Degraded, lan: Degraded, ..down(Lan) }, Rule::LanFails),
            ("15 WAN", Scene { lan_fails: true, path_cut: true, ..wan }, Rule::BehindLan),
            ("15 Internet", Scene { lan_fails: true, ..wan_too }, Rule::BehindLan),
            ("15 service", Scene { lan_fails: true, ..service }, Rule::BehindLan),
            ("16", Scene { path_cut: true, seen_up: true, ..wan }, Rule::PathCut),
            ("16 degraded", Scene { path_cut: true, state: Degraded, wan: Degraded, ..wan }, Rule::PathCut),
            ("17", Scene { seen_up: true, ..wan }, Rule::Contradiction),
            ("not 17: degraded", Scene { seen_up: true, state: Degraded, ..wan }, Rule::GatewayAnswers),
            ("18", Scene { seen_down: true, ..wan }, Rule::BothSides),
            ("18 LAN degraded", Scene { seen_down: true, lan: Degraded, ..wan }, Rule::BothSides),
            ("19", wan, Rule::GatewayAnswers),
            (
                "19 seen by others alone",
                Scene { voice: Voice::Other, seen_down: true, ..wan },
                Rule::GatewayAnswers,
            ),
            ("20", no_lan, Rule::OtherLineWorks),
            ("21", Scene { internet: Down, ..no_lan }, Rule::PathNotSeen),
            ("21 none measured", Scene { internet: NOT_MEASURED, ..no_lan }, Rule::PathNotSeen),
            ("22", Scene { same_carrier: true, ..wan_too }, Rule::GatewayAnswers),
            (
                "22 planned",
                Scene { same_carrier: true, wan_rule: Some(Rule::PlannedWork), ..wan_too },
                Rule::PlannedWork,
            ),
            ("23", wan_too, Rule::BothLinesFail),
            (
                "23 cut above",
                Scene { same_carrier: true, wan_rule: Some(Rule::PathCut), ..wan_too },
                Rule::BothLinesFail,
            ),
            ("24", internet, Rule::WanWorks),
            ("24 WAN degraded", Scene { wan: Degraded, ..internet }, Rule::WanWorks),
            ("25", blind(Internet), Rule::GatewayAnswersOnly),
            ("26", Scene { lan: SILENT, ..blind(Internet) }, Rule::PathNotSeen),
            ("27", Scene { wan: Down, wan_rule: Some(Rule::PathCut), ..service }, Rule::PathCut),
            ("28", service, Rule::SystemFails),
            ("29", blind(Service), Rule::PathNotSeen),
        ];
        for (row, scene, rule) in cases {
            assert_eq!(decide(&scene), Some(rule), "row {row}: {scene:?}");
        }
        for rule in Rule::ALL {
            assert!(cases.iter().any(|case| case.2 == rule), "{rule:?} is in no row");
        }
    }

    #[test]
    fn what_is_not_bad_is_charged_to_nobody() {
        for state in [Up, Unknown(Why::NotYet), Unknown(Why::NotEquipped), NOT_MEASURED] {
            let scene = Scene { state, planned: true, path_cut: true, ..dark(Wan, Silence::Open) };
            assert_eq!(decide(&scene), None, "{state:?}");
        }
    }

    #[test]
    fn the_newest_word_of_an_agent_that_is_held_on_is_no_silence() {
        let held = Scene { silence: Silence::Open, ..down(Wan) };
        assert_eq!(decide(&held), Some(Rule::GatewayAnswers));
    }

    #[test]
    fn every_rule_and_cause_is_read_as_it_is_written() {
        for rule in Rule::ALL {
            assert_eq!(rule.as_str().parse(), Ok(rule));
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
        }
        for cause in crate::ledger::cause::Cause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        assert!("".parse::<Rule>().is_err() && "Power".parse::<crate::ledger::cause::Cause>().is_err());
    }
}
