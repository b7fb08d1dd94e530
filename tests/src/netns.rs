//! A province in Linux network namespaces.
//!
//! ```text
//!   s1 ──lan── r1 ──wan──────┐
//!               └──internet──┼──┐
//!   s2 ──lan── r2 ──wan──────┤  │
//!               └──internet──┼──┤
//!                           hub │        hub ── centre (the collector)
//!                               └─ internet (203.0.113.10, 2001:db8:ff::10)
//! ```
//!
//! Each site has a machine `sN` (the agent runs there) and a router `rN` (its LAN gateway) with a leased line to the hub and a line
//! to the Internet. Every line is a veth pair with IPv4 and IPv6 addresses. A path is cut or made lossy at its far side, so
//! that the near side notices what it would notice in life: nothing ([`Cut::Silent`]) or a lost carrier ([`Cut::LinkDown`]).
//!
//! Namespaces are named `wan<pid>-<n>-<role>`; those of a test process that no longer lives are removed by the next one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

/// The host that every Internet target names, IPv4. TEST-NET-3 of RFC 5737: no real host has it.
pub const INTERNET_V4: &str = "203.0.113.10";
/// The same host, IPv6 (RFC 3849 documentation prefix).
pub const INTERNET_V6: &str = "2001:db8:ff::10";
/// The collector's machine at the centre, IPv4.
pub const CENTRE_V4: &str = "10.79.0.2";
/// The collector's machine at the centre, IPv6.
pub const CENTRE_V6: &str = "fd79::2";

/// The collector's machine by the Internet, once [`Province::give_centre_internet`] was called (RFC 5737, TEST-NET-1).
pub const CENTRE_INTERNET_V4: &str = "192.0.2.2";

/// The hardware address of the end of a line that is named first (hub, Internet, a site's router on its LAN).
const MAC_A: &str = "02:00:00:00:00:0a";
/// The hardware address of the other end. Every line is a segment of its own, so all can have the same two.
const MAC_B: &str = "02:00:00:00:00:0b";

/// Fails, with what to do, unless the process may make network namespaces.
pub fn require_root() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this test makes network namespaces and needs root: run ./tests/run as root (it cannot pass without)"
    );
    for tool in ["ip", "nft", "setpriv"] {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(
            found.is_ok(),
            "`{tool}` is missing: run ./tests/run as root, it installs what the tests need"
        );
    }
    Ok(())
}

/// One way out of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// From the site's machine to its gateway; everything else runs over it.
    Lan,
    /// The leased line from the site's router to the hub.
    Wan,
    /// The site's own line to the Internet.
    Internet,
}

/// How a path stops working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Packets vanish in both directions; no interface tells of it. What a broken carrier network looks like.
    Silent,
    /// The far end's interface goes down: the near end loses its carrier.
    LinkDown,
}

/// Which packets a lossy path loses, on the way out of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Each packet of whatever kind is lost with this probability, in percent.
    Random {
        /// 0–100.
        percent: u8,
    },
    /// Of each `of` consecutive echo requests the first `drop` are lost: the same number in every round of `of` packets.
    Every {
        /// How many are lost.
        drop: u8,
        /// Of how many.
        of: u8,
    },
}

/// One network namespace; removed when dropped, with the processes left in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes `name` with loopback up and forwarding on, and keeps IPv6 addresses over a link that goes down.
    fn make(name: String) -> Result<Self> {
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        namespace.sysctl("net/ipv4/ip_forward", "1")?;
        ensure!(
            std::path::Path::new("/proc/sys/net/ipv6").exists(),
            "this kernel has IPv6 switched off (ipv6.disable=1?); the tests measure over IPv6 too: switch it on"
        );
        namespace.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        namespace.sysctl("net/ipv6/conf/all/keep_addr_on_down", "1")?;
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        namespace.sysctl("net/ipv6/conf/default/accept_ra", "0")?;
        Ok(namespace)
    }

    /// A single namespace of its own for a test that needs no province (a machine with nothing but loopback).
    pub fn alone(role: &str) -> Result<Self> {
        require_root()?;
        remove_stale()?;
        Self::make(format!("{}{role}", prefix()))
    }

    /// Its name, as `ip netns exec NAME` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs `program` inside this namespace and dies with the thread that starts it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `work` on a thread inside this namespace: the sockets it opens are this namespace's.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        within(&self.name, work)
    }

    /// Writes one sysctl (slash form) of this namespace.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{key}");
        self.within(|| std::fs::write(&path, value).with_context(|| format!("write {value:?} to {path}")))
    }

    /// Lets every group open ICMP datagram sockets here, or none (what a fresh namespace has).
    pub fn allow_ping_sockets(&self, allowed: bool) -> Result<()> {
        self.sysctl("net/ipv4/ping_group_range", if allowed { "0 2147483647" } else { "1 0" })
    }

    /// Runs `ip ARGS` on this namespace.
    pub fn ip(&self, args: &[&str]) -> Result<()> {
        let mut all = vec!["-n", self.name.as_str()];
        all.extend_from_slice(args);
        ip(&all)
    }

    /// A permanent neighbour. Discovery would make a cut last longer for some packets than for others: IPv6 even leaves a route
    /// whose router it could not find, for up to a minute.
    fn neighbour(&self, address: &str, mac: &str, device: &str) -> Result<()> {
        self.ip(&["neigh", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent"])
    }

    fn nft(&self, script: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "nft", "-f", "-"]);
        feed(command, script).with_context(|| format!("nft in {}: {script}", self.name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Runs `work` on a thread that has entered the network namespace `name`.
pub fn within<T: Send>(name: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let path = format!("/run/netns/{name}");
    let file = File::open(&path).with_context(|| format!("open {path}"))?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            nix::sched::setns(&file, nix::sched::CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("enter {path}"))?;
            work()
        });
        thread.join().map_err(|_| anyhow!("the thread inside {name} panicked"))?
    })
}

/// Two namespaces and one line between them; every address of [`Pair::ANY_V4`] and [`Pair::ANY_V6`] is the far one's.
#[derive(Debug)]
pub struct Pair {
    /// Where the agent runs.
    pub near: Namespace,
    /// What it asks.
    pub far: Namespace,
}

impl Pair {
    /// Addresses that the far side answers for, IPv4.
    pub const ANY_V4: &str = "10.68.0.0/16";
    /// The same, IPv6.
    pub const ANY_V6: &str = "fd68::/64";

    /// Builds it: 10.66.0.1 and fd66::1 are near, 10.66.0.2 and fd66::2 far.
    pub fn build() -> Result<Self> {
        let pair = Self { near: Namespace::alone("near")?, far: Namespace::alone("far")? };
        wire(
            &pair.near,
            "line0",
            ["10.66.0.1/24", "fd66::1/64"],
            &pair.far,
            "line0",
            ["10.66.0.2/24", "fd66::2/64"],
        )?;
        pair.near.ip(&["route", "add", Self::ANY_V4, "via", "10.66.0.2"])?;
        pair.near.ip(&["-6", "route", "add", Self::ANY_V6, "via", "fd66::2"])?;
        pair.far.ip(&["route", "add", "local", Self::ANY_V4, "dev", "lo"])?;
        pair.far.ip(&["-6", "route", "add", "local", Self::ANY_V6, "dev", "lo"])?;
        Ok(pair)
    }
}

/// The province: centre, hub, Internet, and a machine and a router for each site.
#[derive(Debug)]
pub struct Province {
    spaces: BTreeMap<String, Namespace>,
    sites: u8,
}

impl Province {
    /// Builds it with sites 1..=`sites`, every path whole.
    pub fn build(sites: u8) -> Result<Self> {
        require_root()?;
        ensure!((1..=50).contains(&sites), "a province of {sites} sites: 1 to 50 are addressed");
        remove_stale()?;
        let prefix = prefix();
        let mut province = Self { spaces: BTreeMap::new(), sites };
        let mut roles = vec!["centre".to_owned(), "hub".to_owned(), "internet".to_owned()];
        for site in 1..=sites {
            roles.push(format!("s{site}"));
            roles.push(format!("r{site}"));
        }
        for role in roles {
            let space = Namespace::make(format!("{prefix}{role}"))?;
            province.spaces.insert(role, space);
        }
        province.wire(
            "hub",
            "centre0",
            ["10.79.0.1/30", "fd79::1/64"],
            "centre",
            "wan0",
            [&format!("{CENTRE_V4}/30"), &format!("{CENTRE_V6}/64")],
        )?;
        province.space("centre")?.ip(&["route", "add", "default", "via", "10.79.0.1"])?;
        province.space("centre")?.ip(&["-6", "route", "add", "default", "via", "fd79::1"])?;
        let internet = province.space("internet")?;
        internet.ip(&["addr", "add", &format!("{INTERNET_V4}/32"), "dev", "lo"])?;
        internet.ip(&["addr", "add", &format!("{INTERNET_V6}/128"), "dev", "lo"])?;
        for site in 1..=sites {
            province.build_site(site)?;
        }
        Ok(province)
    }

    /// The number of sites.
    pub fn sites(&self) -> u8 {
        self.sites
    }

    /// Where the collector runs.
    pub fn centre(&self) -> Result<&Namespace> {
        self.space("centre")
    }

    /// The machine of a site, where its agent runs.
    pub fn site(&self, site: u8) -> Result<&Namespace> {
        self.space(&format!("s{site}"))
    }

    /// Gives the host in the Internet a further IPv4 address.
    pub fn answer_in_internet(&self, address: &str) -> Result<()> {
        self.space("internet")?.ip(&["addr", "add", &format!("{address}/32"), "dev", "lo"])
    }

    /// Gives the centre a second line, to the Internet, by which it is reached at [`CENTRE_INTERNET_V4`]. It answers by the line
    /// by which it was asked.
    pub fn give_centre_internet(&self) -> Result<()> {
        let address = format!("{CENTRE_INTERNET_V4}/30");
        self.wire(
            "internet",
            "centre0",
            ["192.0.2.1/30", "2001:db8:fe::1/64"],
            "centre",
            "inet0",
            [&address, "2001:db8:fe::2/64"],
        )?;
        let centre = self.space("centre")?;
        centre.ip(&["route", "add", "default", "via", "192.0.2.1", "table", "100"])?;
        centre.ip(&["rule", "add", "from", CENTRE_INTERNET_V4, "table", "100"])
    }

    /// The LAN gateway of a site, IPv4 and IPv6.
    pub fn gateway(site: u8) -> [String; 2] {
        [format!("10.77.{site}.1"), format!("fd77:{site}::1")]
    }

    /// Cuts one path of one site.
    pub fn cut(&self, site: u8, path: Path, cut: Cut) -> Result<()> {
        let (space, device) = self.far_side(site, path)?;
        match cut {
            Cut::Silent => space.nft(&fault_table(&device, &vanish(&device))),
            Cut::LinkDown => space.ip(&["link", "set", &device, "down"]),
        }
    }

    /// Cuts the centre's own line; no interface tells of it.
    pub fn cut_centre(&self) -> Result<()> {
        self.space("hub")?.nft(&fault_table("centre0", &vanish("centre0")))
    }

    /// Undoes that.
    pub fn heal_centre(&self) -> Result<()> {
        self.space("hub")?.nft("table inet fault_centre0\ndelete table inet fault_centre0\n")
    }

    /// Makes one path of one site lossy on the way out.
    pub fn lose(&self, site: u8, path: Path, loss: Loss) -> Result<()> {
        let (space, device) = self.far_side(site, path)?;
        let rules = match loss {
            Loss::Random { percent } => {
                format!("iifname \"{device}\" numgen random mod 100 < {percent} drop;")
            }
            Loss::Every { drop, of } => format!(
                "iifname \"{device}\" icmp type echo-request numgen inc mod {of} < {drop} drop; \
                 iifname \"{device}\" icmpv6 type echo-request numgen inc mod {of} < {drop} drop;"
            ),
        };
        space.nft(&fault_table(
            &device,
            &format!("chain in {{ type filter hook prerouting priority -300; {rules} }}"),
        ))
    }

    /// Undoes whatever was done to the path: rules away, link up, addresses and routes as built.
    pub fn heal(&self, site: u8, path: Path) -> Result<()> {
        let (space, device) = self.far_side(site, path)?;
        space.ip(&["link", "set", &device, "up"])?;
        self.restore_far_side(site, path)?;
        space.nft(&format!("table inet fault_{device}\ndelete table inet fault_{device}\n"))
    }

    fn space(&self, role: &str) -> Result<&Namespace> {
        self.spaces.get(role).ok_or_else(|| anyhow!("the province has no namespace {role:?}"))
    }

    /// The namespace and device where faults of this path are made.
    fn far_side(&self, site: u8, path: Path) -> Result<(&Namespace, String)> {
        Ok(match path {
            Path::Lan => (self.space(&format!("r{site}"))?, "lan0".to_owned()),
            Path::Wan => (self.space("hub")?, format!("site{site}")),
            Path::Internet => (self.space("internet")?, format!("site{site}")),
        })
    }

    fn build_site(&self, site: u8) -> Result<()> {
        let (machine, router) = (format!("s{site}"), format!("r{site}"));
        let [gateway4, gateway6] = Self::gateway(site);
        self.wire(
            &router,
            "lan0",
            [&format!("{gateway4}/24"), &format!("{gateway6}/64")],
            &machine,
            "lan0",
            [&format!("10.77.{site}.2/24"), &format!("fd77:{site}::2/64")],
        )?;
        let device = format!("site{site}");
        self.wire(
            "hub",
            &device,
            [&format!("10.78.{site}.1/30"), &format!("fd78:{site}::1/64")],
            &router,
            "wan0",
            [&format!("10.78.{site}.2/30"), &format!("fd78:{site}::2/64")],
        )?;
        let isp4 = format!("198.51.100.{}", u16::from(site) * 4 + 1);
        let cpe4 = format!("198.51.100.{}", u16::from(site) * 4 + 2);
        self.wire(
            "internet",
            &device,
            [&format!("{isp4}/30"), &format!("2001:db8:{site}::1/64")],
            &router,
            "ftth0",
            [&format!("{cpe4}/30"), &format!("2001:db8:{site}::2/64")],
        )?;
        let machine = self.space(&machine)?;
        machine.ip(&["route", "add", "default", "via", &gateway4])?;
        machine.ip(&["-6", "route", "add", "default", "via", &gateway6])?;
        let router = self.space(&router)?;
        router.ip(&["route", "add", "10.79.0.0/30", "via", &format!("10.78.{site}.1")])?;
        router.ip(&["-6", "route", "add", "fd79::/64", "via", &format!("fd78:{site}::1")])?;
        router.ip(&["route", "add", "default", "via", &isp4])?;
        router.ip(&["-6", "route", "add", "default", "via", &format!("2001:db8:{site}::1")])?;
        self.restore_far_side(site, Path::Wan)?;
        self.restore_far_side(site, Path::Internet)
    }

    /// What the kernel forgets when the far side's device goes down: neighbours, and the routes back to the site's LAN.
    fn restore_far_side(&self, site: u8, path: Path) -> Result<()> {
        let (space, device) = self.far_side(site, path)?;
        let near = match path {
            Path::Lan => [format!("10.77.{site}.2"), format!("fd77:{site}::2")],
            Path::Wan => [format!("10.78.{site}.2"), format!("fd78:{site}::2")],
            Path::Internet => {
                [format!("198.51.100.{}", u16::from(site) * 4 + 2), format!("2001:db8:{site}::2")]
            }
        };
        for address in &near {
            space.neighbour(address, MAC_B, &device)?;
        }
        if path == Path::Lan {
            return Ok(());
        }
        let [via4, via6] = &near;
        space.ip(&["route", "replace", &format!("10.77.{site}.0/24"), "via", via4])?;
        space.ip(&["-6", "route", "replace", &format!("fd77:{site}::/64"), "via", via6])
    }

    fn wire(
        &self,
        a: &str,
        a_dev: &str,
        a_addr: [&str; 2],
        b: &str,
        b_dev: &str,
        b_addr: [&str; 2],
    ) -> Result<()> {
        wire(self.space(a)?, a_dev, a_addr, self.space(b)?, b_dev, b_addr)
    }
}

/// The rules by which all packets of a device vanish, in both directions.
fn vanish(device: &str) -> String {
    format!(
        "chain in {{ type filter hook prerouting priority -300; iifname \"{device}\" drop; }}\n\
         chain out {{ type filter hook postrouting priority 300; oifname \"{device}\" drop; }}"
    )
}

/// A veth pair between two namespaces, with an IPv4 and an IPv6 address at each end.
fn wire(
    a: &Namespace,
    a_dev: &str,
    a_addr: [&str; 2],
    b: &Namespace,
    b_dev: &str,
    b_addr: [&str; 2],
) -> Result<()> {
    let pair = ["link", "add", "name", a_dev, "address", MAC_A, "netns", &a.name];
    let peer = ["type", "veth", "peer", "name", b_dev, "address", MAC_B, "netns", &b.name];
    ip(&[&pair[..], &peer[..]].concat())?;
    for (space, device, addresses, peer, mac) in
        [(a, a_dev, a_addr, b_addr, MAC_B), (b, b_dev, b_addr, a_addr, MAC_A)]
    {
        for address in addresses {
            let mut args = vec!["addr", "add", address, "dev", device];
            if address.contains(':') {
                args.push("nodad");
            }
            space.ip(&args)?;
        }
        space.ip(&["link", "set", device, "up"])?;
        for address in peer {
            let address = address.split('/').next().unwrap_or(address);
            space.neighbour(address, mac, device)?;
        }
    }
    Ok(())
}

/// Replaces the fault table of a device as one transaction: the path goes from one fault to the next with no whole packet between.
fn fault_table(device: &str, chains: &str) -> String {
    let table = format!("table inet fault_{device}");
    format!("{table}\ndelete {table}\n{table} {{\n{chains}\n}}\n")
}

fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("wan{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Removes the namespaces of test processes that no longer live (killed before they could clean up).
fn remove_stale() -> Result<()> {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return Ok(()) };
    for entry in entries {
        let name = entry.context("list /run/netns")?.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("wan").and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid);
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !std::path::Path::new(&format!("/proc/{owner}")).exists() {
            remove(&name);
        }
    }
    Ok(())
}

/// Kills what still runs in a namespace and deletes it. Best effort: called while dropping.
fn remove(name: &str) {
    if let Ok(pids) = Command::new("ip").args(["netns", "pids", name]).output() {
        for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
            if let Ok(pid) = pid.parse() {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
    }
    let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
}

fn ip(args: &[&str]) -> Result<()> {
    let out = Command::new("ip").args(args).output().context("run `ip` (Debian package iproute2)")?;
    if !out.status.success() {
        bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}

fn feed(mut command: Command, input: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).context("write to its standard input")?;
    }
    let out = child.wait_with_output().context("wait for it")?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr).trim().to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::eventually;
    use crate::scene::Scene;

    /// Fails unless it answers soon: one packet may be lost to a busy machine.
    fn reaches(space: &Namespace, address: &str, why: &str) {
        eventually(why, Duration::from_secs(30), || {
            ensure!(answers(space, address), "{address} does not answer");
            Ok(())
        })
        .unwrap();
    }

    fn answers(space: &Namespace, address: &str) -> bool {
        let status = space
            .command("ping")
            .args(["-c1", "-W1", address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        status.success()
    }

    #[test]
    fn every_path_can_be_cut_both_ways_and_healed_and_the_namespaces_are_gone_afterwards() {
        let scene = Scene::new("netns-cuts").unwrap();
        let province = Province::build(2).unwrap();
        let names: Vec<String> = province.spaces.values().map(|space| space.name.clone()).collect();
        let machine = province.site(1).unwrap();
        let [gateway4, gateway6] = Province::gateway(1);
        let reach = |path| match path {
            Path::Lan => [gateway4.as_str(), gateway6.as_str()],
            Path::Wan => [CENTRE_V4, CENTRE_V6],
            Path::Internet => [INTERNET_V4, INTERNET_V6],
        };
        for path in [Path::Lan, Path::Wan, Path::Internet] {
            for cut in [Cut::Silent, Cut::LinkDown] {
                for address in reach(path) {
                    reaches(machine, address, &format!("before the cut of {path:?}"));
                }
                province.cut(1, path, cut).unwrap();
                for address in reach(path) {
                    assert!(!answers(machine, address), "{address} while {path:?} is cut ({cut:?})");
                }
                reaches(province.site(2).unwrap(), CENTRE_V4, "the neighbour keeps its line");
                province.heal(1, path).unwrap();
            }
        }
        reaches(machine, CENTRE_V6, "healed");
        province.cut(1, Path::Wan, Cut::Silent).unwrap();
        province.cut(2, Path::Wan, Cut::Silent).unwrap();
        province.heal(2, Path::Wan).unwrap();
        assert!(
            !answers(machine, CENTRE_V4),
            "its own cut outlasts the neighbour's, though both are made at the hub"
        );
        drop(province);
        for name in names {
            assert!(!std::path::Path::new("/run/netns").join(&name).exists(), "{name} was left behind");
        }
        scene.passed();
    }

    #[test]
    fn counted_loss_takes_the_same_share_of_every_round() {
        let scene = Scene::new("netns-loss").unwrap();
        let province = Province::build(1).unwrap();
        province.lose(1, Path::Internet, Loss::Every { drop: 3, of: 10 }).unwrap();
        for address in [INTERNET_V4, INTERNET_V6] {
            let out = province
                .site(1)
                .unwrap()
                .command("ping")
                .args(["-q", "-c20", "-i0.02", "-W3", address])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(text.contains("20 packets transmitted, 14 received"), "{text}");
        }
        scene.passed();
    }
}
