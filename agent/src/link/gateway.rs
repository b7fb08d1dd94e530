//! Default gateways, from `/proc/net/route` and `/proc/net/ipv6_route`. Read again each round, so that a changed gateway
//! (DHCP, a second line) is followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// One default gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    /// Its address; of IPv6 mostly a link-local one, which is only reachable through the interface.
    pub address: IpAddr,
    /// The interface behind which it is.
    pub interface: String,
}

/// The kernel's `RTF_UP`, `RTF_GATEWAY` and `RTF_REJECT` (`linux/route.h`).
const UP: u32 = 0x0001;
const GATEWAY: u32 = 0x0002;
const REJECT: u32 = 0x0200;

/// The default gateways of the moment: IPv4 before IPv6, preferred (lowest metric) first.
pub fn default_gateways() -> Vec<Gateway> {
    let mut all = super::read(Path::new("/proc/net/route")).map(|text| parse_v4(&text)).unwrap_or_default();
    all.extend(
        super::read(Path::new("/proc/net/ipv6_route")).map(|text| parse_v6(&text)).unwrap_or_default(),
    );
    all
}

/// The default gateways in the text of `/proc/net/route`. Lines that are not understood are passed over.
pub fn parse_v4(text: &str) -> Vec<Gateway> {
    sorted(text.lines().skip(1).filter_map(v4_line))
}

/// The default gateways in the text of `/proc/net/ipv6_route`. Lines that are not understood are passed over.
pub fn parse_v6(text: &str) -> Vec<Gateway> {
    sorted(text.lines().filter_map(v6_line))
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT`; addresses are the host's own byte order.
fn v4_line(line: &str) -> Option<(u32, Gateway)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [interface, destination, gateway, flags, _, _, metric, mask, ..] = fields.as_slice() else {
        return None;
    };
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    if hex(destination)? != 0 || hex(mask)? != 0 || !usable(hex(flags)?) {
        return None;
    }
    let address = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
    (!address.is_unspecified()).then_some(())?;
    Some((metric.parse().ok()?, Gateway { address: address.into(), interface: (*interface).to_owned() }))
}

/// `destination prefix source prefix next-hop metric refcnt use flags interface`, all numbers in hexadecimal.
fn v6_line(line: &str) -> Option<(u32, Gateway)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [destination, prefix, _, _, next_hop, metric, _, _, flags, interface] = fields.as_slice() else {
        return None;
    };
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let address = |text: &str| u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from);
    if !address(destination)?.is_unspecified() || hex(prefix)? != 0 || !usable(hex(flags)?) {
        return None;
    }
    let next_hop = address(next_hop)?;
    (!next_hop.is_unspecified()).then_some(())?;
    Some((hex(metric)?, Gateway { address: next_hop.into(), interface: (*interface).to_owned() }))
}

fn usable(flags: u32) -> bool {
    flags & (UP | GATEWAY | REJECT) == UP | GATEWAY
}

fn sorted(found: impl Iterator<Item = (u32, Gateway)>) -> Vec<Gateway> {
    let mut found: Vec<(u32, Gateway)> = found.collect();
    found.sort();
    let mut gateways: Vec<Gateway> = found.into_iter().map(|(_, gateway)| gateway).collect();
    let mut seen = std::collections::BTreeSet::new();
    gateways.retain(|gateway| seen.insert(gateway.clone()));
    gateways
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn v4(address: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(address))
    }

    #[test]
    fn v4_defaults_come_by_metric_and_other_routes_are_passed_over() {
        let text = format!(
            "{HEADER}ppp0\t00000000\t{far}\t0003\t0\t0\t200\t00000000\t0\t0\t0\n\
             eth0\t00000000\t{near}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth0\t{net}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n\
             eth1\t00000000\t{near}\t0203\t0\t0\t0\t00000000\t0\t0\t0\n\
             tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n\
             broken line\n",
            far = v4([10, 9, 0, 1]),
            near = v4([192, 168, 1, 1]),
            net = v4([192, 168, 1, 0]),
            mask = v4([255, 255, 255, 0]),
        );
        let expected = [
            Gateway { address: [192, 168, 1, 1].into(), interface: "eth0".into() },
            Gateway { address: [10, 9, 0, 1].into(), interface: "ppp0".into() },
        ];
        assert_eq!(parse_v4(&text), expected);
        assert!(parse_v4("").is_empty());
    }

    #[test]
    fn v6_defaults_keep_their_interface_and_reject_routes_are_passed_over() {
        let none = "0".repeat(32);
        let text = format!(
            "{none} 00 {none} 00 fe80000000000000000000000000 0001 00000400 00000002 00000000 00000003     eth0\n\
             {none} 00 {none} 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n\
             {none} 00 {none} 00 {none} ffffffff 00000001 00000000 00200200       lo\n\
             fd000000000000000000000000000000 40 {none} 00 {none} 00000100 00000001 00000000 00000001     eth0\n"
        );
        let expected = [Gateway { address: "fe80::1".parse().unwrap(), interface: "eth0".into() }];
        assert_eq!(parse_v6(&text), expected);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_fail(text in "[0-9A-Fa-f \\tx\\n]{0,400}") {
            let _ = (parse_v4(&text), parse_v6(&text));
        }
    }
}
