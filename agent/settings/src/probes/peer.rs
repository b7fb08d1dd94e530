//! Hosts, ports and URLs as text.

use std::net::{IpAddr, Ipv6Addr};

use url::Url;

use super::{Family, Host, HostPort};

/// An HTTP or HTTPS URL with a host and without user, query or fragment.
pub fn parse_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let known = matches!(url.scheme(), "http" | "https");
    (known && plain && url.fragment().is_none() && url.host_str().is_some()).then_some(url)
}

/// A URL's host without the brackets of an IPv6 address.
pub fn bare_host(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// `text` as a host; `None` when it is neither an address nor a name, or an address of another family than `family`.
pub fn host(text: &str, family: Option<Family>) -> Option<Host> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let own = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        return (family.is_none() || family == Some(own))
            .then(|| Host { name: address.to_string(), family: own });
    }
    let named = !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
        })
        // A name whose last part is a number is a mistyped address.
        && !text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    named.then(|| Host { name: text.to_ascii_lowercase(), family: family.unwrap_or_default() })
}

/// `text` as host and port; without a port that of `default_port`, if there is one.
pub(super) fn host_port(text: &str, family: Option<Family>, default_port: Option<u16>) -> Option<HostPort> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, after) = rest.split_once(']')?;
        name.parse::<Ipv6Addr>().ok()?;
        (name, after.strip_prefix(':').map(str::to_owned).or_else(|| after.is_empty().then(String::new))?)
    } else if text.parse::<IpAddr>().is_ok() {
        (text, String::new())
    } else {
        match text.split_once(':') {
            Some((name, port)) => (name, if port.is_empty() { return None } else { port.to_owned() }),
            None => (text, String::new()),
        }
    };
    let port =
        if port.is_empty() { default_port? } else { port.parse::<u16>().ok().filter(|port| *port > 0)? };
    Some(HostPort { host: host(name, family)?, port })
}
