//! Interfaces as `/sys/class/net` shows them, and the neighbours that `/proc/net/arp` knows.

use std::collections::BTreeMap;
use std::path::Path;

use super::read;

/// One interface's state and counters. `None`: the kernel does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it has a carrier; an interface that is administratively down has none.
    pub carrier: bool,
    /// Negotiated speed in bits per second; virtual interfaces and WiFi mostly have none.
    pub speed: Option<u64>,
    /// Bytes received.
    pub receive_bytes: Option<u64>,
    /// Bytes sent.
    pub transmit_bytes: Option<u64>,
    /// Frames received with an error.
    pub receive_errors: Option<u64>,
    /// Frames that could not be sent.
    pub transmit_errors: Option<u64>,
    /// Frames received and dropped.
    pub receive_drops: Option<u64>,
    /// Frames dropped before they were sent.
    pub transmit_drops: Option<u64>,
}

/// Interfaces of one host that are reported; a container host may have hundreds of virtual ones.
pub const MOST_INTERFACES: usize = 32;

/// All interfaces but loopback, by name, at most [`MOST_INTERFACES`].
pub fn interfaces() -> Vec<Interface> {
    interfaces_in(Path::new("/sys/class/net"))
}

fn interfaces_in(class: &Path) -> Vec<Interface> {
    let Ok(entries) = std::fs::read_dir(class) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != "lo")
        .collect();
    names.sort();
    // Bonding leaves control files among the interfaces.
    names
        .iter()
        .filter(|name| class.join(name).is_dir())
        .take(MOST_INTERFACES)
        .map(|name| one(class, name))
        .collect()
}

fn one(class: &Path, name: &str) -> Interface {
    let text = |file: &str| read(&class.join(name).join(file)).map(|text| text.trim().to_owned());
    let counter = |file: &str| text(&format!("statistics/{file}")).and_then(|text| text.parse().ok());
    Interface {
        name: name.to_owned(),
        // Reading `carrier` of an interface that is administratively down is an error (EINVAL).
        carrier: text("carrier").as_deref() == Some("1") && text("operstate").as_deref() != Some("down"),
        // Megabits per second, or -1.
        speed: text("speed").and_then(|text| text.parse::<u64>().ok()).map(|megabits| megabits * 1_000_000),
        receive_bytes: counter("rx_bytes"),
        transmit_bytes: counter("tx_bytes"),
        receive_errors: counter("rx_errors"),
        transmit_errors: counter("tx_errors"),
        receive_drops: counter("rx_dropped"),
        transmit_drops: counter("tx_dropped"),
    }
}

/// Hosts in the IPv4 neighbour table, by interface.
pub fn neighbours() -> BTreeMap<String, u32> {
    read(Path::new("/proc/net/arp")).map(|text| parse_neighbours(&text)).unwrap_or_default()
}

/// `ATF_COM` of `linux/if_arp.h`: the entry has a hardware address.
const COMPLETE: u32 = 0x02;

fn parse_neighbours(text: &str) -> BTreeMap<String, u32> {
    let mut count = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, flags, _, _, device] = fields.as_slice() else { continue };
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        if flags & COMPLETE != 0 {
            *count.entry((*device).to_owned()).or_insert(0) += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_neighbours_count() {
        let text = "IP address       HW type     Flags       HW address            Mask     Device\n\
                    192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0\n\
                    192.0.2.7        0x1         0x6         02:fc:00:00:00:06     *        eth0\n\
                    192.0.2.9        0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                    10.0.0.1         0x1         0x2         02:fc:00:00:00:07     *        eth1\n\
                    torn\n";
        let expected = BTreeMap::from([("eth0".to_owned(), 2), ("eth1".to_owned(), 1)]);
        assert_eq!(parse_neighbours(text), expected);
    }

    #[test]
    fn an_interface_is_read_from_its_files_and_what_is_missing_is_absent() {
        let class = tempfile::tempdir().unwrap();
        let eth0 = class.path().join("eth0");
        std::fs::create_dir_all(eth0.join("statistics")).unwrap();
        std::fs::create_dir_all(class.path().join("lo")).unwrap();
        std::fs::write(class.path().join("bonding_masters"), "").unwrap();
        std::fs::write(eth0.join("carrier"), "1\n").unwrap();
        std::fs::write(eth0.join("operstate"), "up\n").unwrap();
        std::fs::write(eth0.join("speed"), "-1\n").unwrap();
        std::fs::write(eth0.join("statistics/rx_bytes"), "18446744073709551615\n").unwrap();
        let expected = Interface {
            name: "eth0".into(),
            carrier: true,
            receive_bytes: Some(u64::MAX),
            ..Interface::default()
        };
        assert_eq!(interfaces_in(class.path()), [expected]);
        assert!(interfaces_in(Path::new("/nowhere")).is_empty());
    }
}
