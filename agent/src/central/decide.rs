//! What becomes of a document: pure.

use wan_settings::probes::{Flaw, Form, Layer, Origins};
use wan_settings::{Document, Mistakes};

use super::{MOST_BYTES, MOST_REASON};
use crate::config::Config;

/// What a document is called in messages.
const DOCUMENT: &str = "central";

/// What becomes of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It is the one that is in force.
    Same,
    /// The next round is made by it.
    Apply(Box<Planned>),
    /// It cannot be used, and why.
    Refuse(String),
}

/// The configuration that a document makes of the agent's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The configuration.
    pub config: Config,
    /// Where each part of the document comes from.
    pub origins: Origins,
    /// Which sections the document has; the others are the agent's own.
    pub sections: Vec<&'static str>,
}

/// Decides about the document `body` with `etag`, where `local` is the agent's own file and `in_force` the ETag of the document
/// that is used now.
pub fn decide(local: &Config, in_force: Option<&str>, etag: &str, body: &[u8]) -> Decision {
    if in_force == Some(etag) {
        return Decision::Same;
    }
    if body.len() > MOST_BYTES {
        return Decision::Refuse(reason(&format!("more than {MOST_BYTES} bytes")));
    }
    let (layer, origins) = match read(body) {
        Ok(read) => read,
        Err(mistakes) => {
            let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            return Decision::Refuse(reason(&all.join("; ")));
        }
    };
    let mut sections = Vec::new();
    let mut whole = local.layer.clone();
    if !layer.round.is_empty() {
        sections.push("round");
        whole.round = layer.round;
    }
    if layer.icmp.is_some() {
        sections.push("icmp");
        whole.icmp = layer.icmp;
    }
    if layer.links.is_some() {
        sections.push("links");
        whole.links = layer.links;
        whole.links_place = layer.links_place;
    }
    let (probes, flaws) = whole.resolve();
    if !flaws.is_empty() {
        let all: Vec<String> = flaws.iter().map(Flaw::to_string).collect();
        return Decision::Refuse(reason(&all.join("; ")));
    }
    let mut config = local.clone();
    config.set_probes(probes);
    Decision::Apply(Box::new(Planned { config, origins, sections }))
}

fn read(body: &[u8]) -> Result<(Layer, Origins), Mistakes> {
    let document = Document::read(DOCUMENT, body)?;
    let read = document.root().fields(&["round", "icmp", "links", "origin"]).map(|fields| {
        let layer = Layer::read(&fields, Form::Part);
        (layer, Origins::read(&fields))
    });
    document.finish(read.unwrap_or_default())
}

/// A reason as it is shown and reported: one line without control characters, cut where it is too long.
pub(super) fn reason(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(MOST_REASON).collect();
    if text.chars().nth(MOST_REASON).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}
