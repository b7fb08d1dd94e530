//! The `contracts` key: what carriers have promised.

use std::time::Duration;

use wan_settings::At;
use wan_wire::LinkKind;

use super::LocalName;
use super::parse::{kind, label, local_name};
use crate::report::uptime::HoursOf;

/// Most characters of a contract's id.
const MAX_ID: usize = 64;
/// The bounds of a promised round-trip time: those of `plan.rtt_limit`.
const SHORTEST_RTT_LIMIT: Duration = Duration::from_millis(1);
const LONGEST_RTT_LIMIT: Duration = Duration::from_secs(60);

/// A contract with a carrier: links name it by its id, in the register's field `contract`.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Its number, as the register has it.
    pub id: String,
    /// Its name in reports; its id unless given.
    pub name: LocalName,
    /// Who has promised.
    pub carrier: Option<String>,
    /// The kind of the links that it is about: WAN or Internet.
    pub kind: LinkKind,
    /// The promised uptime, 0 to 1. What the register says of a link itself goes before it.
    pub uptime: Option<f64>,
    /// The promised mean round-trip time of a link over a month, at most.
    pub rtt_limit: Option<Duration>,
    /// The promised share of lost packets over a month, 0 to 1, at most; of rounds that got any answer.
    pub loss_limit: Option<f64>,
    /// The hours that count.
    pub hours: HoursOf,
}

/// Reads the contracts; what cannot be read is noted and left out.
pub(super) fn contracts(at: &At<'_>) -> Option<Vec<Contract>> {
    let keys = ["id", "name", "carrier", "kind", "uptime", "rtt_limit", "loss_limit", "hours"];
    let mut contracts: Vec<Contract> = Vec::new();
    for item in at.items("contracts")? {
        let Some(fields) = item.fields(&keys) else { continue };
        let id = fields.need("id", "the contract's number").and_then(|at| id(&at));
        let name = fields.get("name").map(|at| local_name(&at));
        let carrier = fields.get("carrier").map(|at| label(&at));
        let kind = fields.need("kind", "wan or internet").and_then(|at| {
            let kind = kind(&at)?;
            match kind {
                LinkKind::Wan | LinkKind::Internet => Some(kind),
                LinkKind::Lan | LinkKind::Service => {
                    at.wrong("wan or internet", "a contract is about a line that somebody provides");
                    None
                }
            }
        });
        let uptime = fields.get("uptime").map(|at| at.share("write 99.5% or 0.995"));
        let rtt_limit = fields.get("rtt_limit").map(|at| at.duration(SHORTEST_RTT_LIMIT, LONGEST_RTT_LIMIT));
        let loss_limit = fields.get("loss_limit").map(|at| at.share("write 0.5% or 0.005"));
        let hours = fields.get("hours").map_or(Some(HoursOf::All), |at| {
            at.scalar("all or service", "service counts the hours of the calendar only", |text| {
                HoursOf::ALL.into_iter().find(|hours| hours.as_str() == text)
            })
        });
        let (Some(id), Some(kind), Some(hours)) = (id, kind, hours) else { continue };
        if contracts.iter().any(|known| known.id == id) {
            item.wrong_as(
                format!("the contract “{id}” twice"),
                "each id once",
                "rename or remove one of them",
            );
        }
        let name = name.flatten().unwrap_or_else(|| LocalName { vi: id.clone(), en: id.clone() });
        contracts.push(Contract {
            id,
            name,
            carrier: carrier.flatten(),
            kind,
            uptime: uptime.flatten(),
            rtt_limit: rtt_limit.flatten(),
            loss_limit: loss_limit.flatten(),
            hours,
        });
    }
    Some(contracts)
}

fn id(at: &At<'_>) -> Option<String> {
    let text = label(at)?;
    if text.chars().count() > MAX_ID {
        at.wrong(format!("at most {MAX_ID} characters"), "write the contract's number");
        return None;
    }
    Some(text)
}
