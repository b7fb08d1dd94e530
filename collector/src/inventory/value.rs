//! The fields of a site as text: what YAML and CSV have in common, in both directions.

use super::{Link, Watches};

/// The sites that an agent may watch, as one word or a list of ids.
pub(super) fn show_watches(watches: &Watches) -> String {
    match watches {
        Watches::None => String::new(),
        Watches::All => "all".to_owned(),
        Watches::Only(sites) => sites.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" "),
    }
}

/// A link in one line, for people.
pub(super) fn show_link(link: &Link) -> String {
    let mut shown = link.name.to_string();
    let uptime = link.uptime.map(|share| share.to_string());
    let router = link.router.map(|address| address.to_string());
    let parts = [
        ("carrier", link.carrier.as_deref()),
        ("contract", link.contract.as_deref()),
        ("uptime", uptime.as_deref()),
        ("interface", link.interface.as_deref()),
        ("router", router.as_deref()),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            shown.push_str(&format!(" {name}={value}"));
        }
    }
    shown
}
