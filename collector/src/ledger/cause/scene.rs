//! What a rule looks at, and the rules.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wan_wire::LinkKind;

use super::Rule;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
    /// The path is cut above the site.
    pub path_cut: bool,
    /// The site's LAN.
    pub lan: State,
    /// The site's WAN.
    pub wan: State,
    /// The site's Internet.
    pub internet: State,
    /// The LAN is, or within a round was or will be, at least as bad as this link.
    pub lan_fails: bool,
    /// Another vantage sees the site's WAN down, now or within a round.
    pub seen_down: bool,
    /// Another vantage sees the site's WAN carry traffic, and does not see it down within a round.
    pub seen_up: bool,
    /// The rule that the site's WAN is charged by, where it is at least as bad as this link.
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
    if unknown == Some(Why::Fault) {
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
        let follows = scene.kind == LinkKind::Service || scene.same_carrier;
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
