//! The `senders` key: who else pushes, for which sites, and what of it is evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wan_settings::{At, Fields};
use wan_wire::round::MAX_INTERVAL;
use wan_wire::{LinkName, ProbeKind, SiteId};

use super::{Plan, TierId};

/// Most senders, and most rounds of one: people write them.
const MOST: usize = 100;
/// Most labels that one choice of series names.
const MOST_LABELS: usize = 16;
/// The longest name of a label or a metric that is compared.
const MOST_NAME: usize = 256;

/// How the name of a metric ends that counts on for ever, by the convention that all of these senders keep.
const COUNTER: &str = "_total";

/// One who pushes by remote write and is no agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sender {
    /// Its name: by it its credential is issued, and it is the vantage of what it says.
    pub name: SiteId,
    /// For which sites it may speak.
    pub sites: SpeaksFor,
    /// What of its series is evidence; of several that fit a series the first counts.
    pub rounds: Vec<Mapping>,
}

/// For which sites a sender may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeaksFor {
    /// For all of the register.
    All,
    /// For these.
    Sites(BTreeSet<SiteId>),
    /// For those of these tiers.
    Tiers(BTreeSet<TierId>),
}

/// How series become rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// What says whether the target answered.
    pub answer: Answer,
    /// What says how long the answer took, if anything does.
    pub rtt: Option<Rtt>,
    /// Labels that all of these series must have, with exactly these values; with an empty one, that they must not have.
    pub labels: BTreeMap<String, String>,
    /// Whose link it is.
    pub site: Named<SiteId>,
    /// Which link it is.
    pub link: Named<LinkName>,
    /// The label that tells the targets of a link apart.
    pub target: String,
    /// How the sender probes.
    pub probe: ProbeKind,
    /// How often it does: a round covers so long before its sample.
    pub interval: Duration,
}

/// What says whether a target answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A metric that is 1 when it did and 0 when it did not, as `probe_success` and `up`.
    Up(String),
    /// How many packets were sent, and how many were answered.
    Counts {
        /// The metric of the first.
        sent: String,
        /// The metric of the second.
        received: String,
    },
}

/// What says how long an answer took.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtt {
    /// The metric.
    pub metric: String,
    /// Further labels that it must have.
    pub labels: BTreeMap<String, String>,
    /// How many seconds its unit is.
    pub unit: f64,
}

/// A name that is given, or that a label's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<T> {
    /// This one.
    As(T),
    /// The value of this label.
    By(String),
}

/// Reads the senders; what cannot be read is noted and left out.
pub(super) fn senders(at: &At<'_>, plan: &Plan) -> Option<Vec<Sender>> {
    let mut senders: Vec<Sender> = Vec::new();
    let items = at.items("senders")?;
    if items.len() > MOST {
        at.wrong(format!("at most {MOST} senders"), "let one sender speak for several sites");
        return None;
    }
    for item in items {
        let Some(fields) = item.fields(&["name", "sites", "tiers", "rounds"]) else { continue };
        let name = fields.need("name", "the sender's name").and_then(|at| slug::<SiteId>(&at));
        let sites = speaks_for(&fields, plan);
        let rounds = fields.need("rounds", "what of its series is evidence").and_then(|at| {
            let items = at.items("rounds")?;
            if items.is_empty() || items.len() > MOST {
                at.wrong(format!("1 to {MOST} rounds"), "say which metric says whether a target answered");
                return None;
            }
            Some(items.iter().filter_map(mapping).collect())
        });
        let (Some(name), Some(sites), Some(rounds)) = (name, sites, rounds) else { continue };
        if senders.iter().any(|known| known.name == name) {
            item.wrong_as(format!("the sender “{name}” twice"), "each name once", "rename or join them");
        }
        senders.push(Sender { name, sites, rounds });
    }
    Some(senders)
}

/// `sites: all`, `sites: [a, b]`, or `tiers: [commune]`.
fn speaks_for(fields: &Fields<'_>, plan: &Plan) -> Option<SpeaksFor> {
    if let Some(at) = fields.get("tiers") {
        if fields.has("sites") {
            at.wrong_as("both sites and tiers", "one of them", "remove one of them");
            return None;
        }
        let ids = plan.tiers.iter().map(|tier| tier.id.as_str()).collect::<Vec<_>>().join(", ");
        let tier = |at: &At<'_>| {
            at.scalar(&format!("a tier of the plan: {ids}"), "", |text| {
                plan.tiers.iter().find(|tier| tier.id.as_str() == text).map(|tier| tier.id.clone())
            })
        };
        let tiers: BTreeSet<TierId> = at.items("tiers")?.iter().filter_map(tier).collect();
        return Some(SpeaksFor::Tiers(tiers));
    }
    let expected = "all, or a list of sites' ids";
    let at =
        fields.need_with("sites", expected, "write “sites: all”, “sites: [ID, …]” or “tiers: [ID, …]”")?;
    if at.is_list() {
        return Some(SpeaksFor::Sites(at.items("sites' ids")?.iter().filter_map(slug).collect()));
    }
    at.scalar(expected, "", |text| (text == "all").then_some(SpeaksFor::All))
}

fn mapping(at: &At<'_>) -> Option<Mapping> {
    let keys = [
        "up",
        "sent",
        "received",
        "labels",
        "rtt",
        "site",
        "site_label",
        "link",
        "link_label",
        "target_label",
        "probe",
        "interval",
    ];
    let fields = at.fields(&keys)?;
    let answer = answer(&fields);
    let labels = fields.get("labels").map_or(Some(BTreeMap::new()), |at| labels(&at));
    let rtt = match fields.get("rtt") {
        Some(at) => Some(rtt(&at)?),
        None => None,
    };
    let site = named(&fields, "site", "site_label").unwrap_or(Some(Named::By("site".to_owned())));
    let link = named(&fields, "link", "link_label");
    if link.is_none() {
        at.wrong_as(
            "neither link nor link_label",
            "which link the target is reached by",
            "write for example “link: wan”",
        );
    }
    let target = fields.get("target_label").map_or(Some("instance".to_owned()), |at| name(&at));
    let probe = fields.get("probe").map_or(Some(ProbeKind::Icmp), |at| {
        at.scalar("icmp, tcp, http or dns", "say how the sender probes", |text| text.parse().ok())
    });
    let interval = fields
        .need_with(
            "interval",
            "how often the sender probes",
            "write its scrape interval, as in “interval: 15s”",
        )
        .and_then(|at| at.duration(Duration::from_secs(1), MAX_INTERVAL));
    Some(Mapping {
        answer: answer?,
        rtt,
        labels: labels?,
        site: site?,
        link: link??,
        target: target?,
        probe: probe?,
        interval: interval?,
    })
}

fn answer(fields: &Fields<'_>) -> Option<Answer> {
    let metric = |key: &str| fields.get(key).map(|at| of_one_round(&at));
    match (metric("up"), metric("sent"), metric("received")) {
        (Some(up), None, None) => up.map(Answer::Up),
        (None, Some(sent), Some(received)) => Some(Answer::Counts { sent: sent?, received: received? }),
        (_, _, _) => {
            fields.at().wrong(
                "either up, or sent and received",
                "write “up: probe_success”, or “sent: ping_packets_transmitted” and “received: ping_packets_received”",
            );
            None
        }
    }
}

/// The name of a metric of which each sample is of one round. What a counter has reached says nothing of a round, and starts anew with its program.
fn of_one_round(at: &At<'_>) -> Option<String> {
    let name = name(at)?;
    if name.ends_with(COUNTER) {
        at.wrong_as(
            format!("{name}, a counter by its name"),
            "a metric whose every sample is of one round",
            "take one like probe_success or ping_packets_received",
        );
        return None;
    }
    Some(name)
}

fn rtt(at: &At<'_>) -> Option<Rtt> {
    let fields = at.fields(&["metric", "labels", "unit"])?;
    let metric = fields.need("metric", "the metric of the time").and_then(|at| name(&at));
    let labels = fields.get("labels").map_or(Some(BTreeMap::new()), |at| labels(&at));
    let unit = fields.get("unit").map_or(Some(1.0), |at| {
        at.scalar("s or ms", "say in which unit the metric is", |text| match text {
            "s" => Some(1.0),
            "ms" => Some(0.001),
            _ => None,
        })
    });
    Some(Rtt { metric: metric?, labels: labels?, unit: unit? })
}

/// `key: NAME` or `key_label: LABEL`; `None` where neither stands there, `Some(None)` where what stands there is wrong.
fn named<T: std::str::FromStr>(fields: &Fields<'_>, key: &str, by: &str) -> Option<Option<Named<T>>> {
    match (fields.get(key), fields.get(by)) {
        (Some(at), None) => Some(slug(&at).map(Named::As)),
        (None, Some(at)) => Some(name(&at).map(Named::By)),
        (Some(at), Some(_)) => {
            at.wrong_as(format!("both {key} and {by}"), "one of them", "remove one of them");
            Some(None)
        }
        (None, None) => None,
    }
}

fn labels(at: &At<'_>) -> Option<BTreeMap<String, String>> {
    let entries = at.entries("a label and its value each")?;
    if entries.len() > MOST_LABELS {
        at.wrong(format!("at most {MOST_LABELS} labels"), "fewer tell the series apart");
        return None;
    }
    let value = |(label, at): (&str, At<'_>)| {
        let value = at.scalar("the label's value", "quote it", |text| Some(text.to_owned()))?;
        Some((label.to_owned(), value))
    };
    Some(entries.into_iter().filter_map(value).collect())
}

fn name(at: &At<'_>) -> Option<String> {
    at.scalar("the name of a metric or a label", "write it as the sender does", |text| {
        (!text.is_empty() && text.len() <= MOST_NAME).then(|| text.to_owned())
    })
}

fn slug<T: std::str::FromStr>(at: &At<'_>) -> Option<T> {
    let expected =
        "small letters, digits and hyphens; a link's name begins with lan, wan, internet or service";
    at.scalar(expected, "", |text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(senders: &str) -> Result<Vec<Sender>, String> {
        let text = format!("senders:\n{senders}");
        Config::parse("c.yaml", text.as_bytes())
            .map(|config| config.senders)
            .map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_usual_value() {
        let senders =
            read("- {name: prom, sites: all, rounds: [{up: probe_success, link: wan, interval: 15s}]}\n")
                .unwrap();
        let mapping = Mapping {
            answer: Answer::Up("probe_success".to_owned()),
            rtt: None,
            labels: BTreeMap::new(),
            site: Named::By("site".to_owned()),
            link: Named::As("wan".parse().unwrap()),
            target: "instance".to_owned(),
            probe: ProbeKind::Icmp,
            interval: Duration::from_secs(15),
        };
        let sender = Sender { name: "prom".parse().unwrap(), sites: SpeaksFor::All, rounds: vec![mapping] };
        assert_eq!(senders, [sender]);
        assert_eq!(read(" []\n").unwrap(), []);
    }

    #[test]
    fn each_mistake_is_told_where_it_stands() {
        let rounds = "rounds: [{up: probe_success, link: wan, interval: 15s}]";
        for (text, expected) in [
            ("- {name: Prom, sites: all, ROUNDS}", "senders[0].name"),
            ("- {name: p, sites: some, ROUNDS}", "all, or a list of sites' ids"),
            ("- {name: p, ROUNDS}", "sites: all"),
            ("- {name: p, sites: all, tiers: [commune], ROUNDS}", "both sites and tiers"),
            ("- {name: p, tiers: [moon], ROUNDS}", "a tier of the plan"),
            ("- {name: p, sites: all}", "rounds"),
            ("- {name: p, sites: all, rounds: []}", "1 to 100 rounds"),
            ("- {name: p, sites: all, rounds: [{up: up, link: wan}]}", "interval: 15s"),
            ("- {name: p, sites: all, rounds: [{up: up, link: wan, interval: 2h}]}", "interval"),
            (
                "- {name: p, sites: all, rounds: [{link: wan, interval: 15s}]}",
                "either up, or sent and received",
            ),
            (
                "- {name: p, sites: all, rounds: [{up: a, sent: b, link: wan, interval: 15s}]}",
                "either up, or sent and received",
            ),
            (
                "- {name: p, sites: all, rounds: [{sent: a_total, received: b, link: wan, interval: 15s}]}",
                "found a_total, a counter by its name",
            ),
            ("- {name: p, sites: all, rounds: [{up: up, interval: 15s}]}", "neither link nor link_label"),
            ("- {name: p, sites: all, rounds: [{up: up, link: van, interval: 15s}]}", "begins with lan, wan"),
            (
                "- {name: p, sites: all, rounds: [{up: up, link: wan, link_label: l, interval: 15s}]}",
                "both link and link_label",
            ),
            (
                "- {name: p, sites: all, rounds: [{up: up, link: wan, interval: 15s, rtt: {metric: m, unit: min}}]}",
                "s or ms",
            ),
            (
                "- {name: p, sites: all, rounds: [{up: up, link: wan, interval: 15s, probe: arp}]}",
                "icmp, tcp, http or dns",
            ),
            ("- {name: p, sites: all, ROUNDS}\n- {name: p, sites: all, ROUNDS}", "twice"),
        ] {
            let told = read(&text.replace("ROUNDS", rounds)).unwrap_err();
            assert!(told.contains(expected) && told.contains("c.yaml:"), "{text}: {told}");
        }
    }
}
