//! The instrument itself: what it may lose (nothing), and whose answers it takes (its own, in time, once).

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recvmsg, sendmsg, setsockopt,
    socket,
};
use nix::sys::time::TimeVal;
use wan_tests::clock;
use wan_tests::netns::{Namespace, Pair};
use wan_tests::process::{Process, binary};
use wan_tests::scene::Scene;

/// What `wan-agent probe` said of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    sent: u32,
    received: u32,
    /// Some round-trip time is shown as zero.
    zero: bool,
}

/// One round of everything at these targets, all on one link.
fn start_probe(
    scene: &Scene,
    space: &Namespace,
    name: &str,
    round: &str,
    targets: &[String],
) -> Result<Process> {
    let mut config = format!("{round}\nlinks:\n- name: wan\n  targets:\n");
    for target in targets {
        config.push_str(&format!("  - icmp: '{target}'\n"));
    }
    let config = scene.write(&format!("{name}.yaml"), &config)?;
    Process::start(name, &binary("wan-agent")?, &["probe", "--config", &config], Some(space), scene.dir())
}

/// Waits for its end, and gives what it counted by target.
fn finish_probe(mut probe: Process) -> Result<BTreeMap<String, Counted>> {
    let ended = clock::now();
    while probe.check_running().is_ok() {
        ensure!(ended.elapsed() < Duration::from_secs(60), "the probe does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = probe.log();
    let mut counted = BTreeMap::new();
    for line in log.lines() {
        let cells: Vec<&str> = line.split(['│', ' ']).filter(|cell| !cell.is_empty()).collect();
        if let ["wan", "icmp", target, _outcome, sent, received, rest @ ..] = cells.as_slice() {
            let zero = rest.windows(2).any(|pair| pair == ["0.000", "ms"]);
            let (sent, received) = (sent.parse().context("sent")?, received.parse().context("received")?);
            counted.insert((*target).to_owned(), Counted { sent, received, zero });
        }
    }
    Ok(counted)
}

fn counts(sent: u32, received: u32) -> Counted {
    Counted { sent, received, zero: false }
}

#[test]
fn five_hundred_targets_in_a_second_lose_nothing_also_when_the_agent_stood_still() -> Result<()> {
    let scene = Scene::alone("instrument-burst")?;
    let pair = Pair::build()?;
    pair.near.allow_ping_sockets(true)?;
    let v4: Vec<String> = (0..500).map(|at| format!("10.68.{}.{}", at / 250, at % 250 + 1)).collect();
    let v6: Vec<String> = (0..500).map(|at| format!("fd68::{:x}", at + 1)).collect();
    for (family, targets) in [("v4", &v4), ("v6", &v6)] {
        for socket in ["raw", "datagram"] {
            // Two packets a target in two seconds: five hundred in each second.
            let round =
                format!("round: {{interval: 2s, packets: 2, timeout: 1s}}\nicmp: {{socket: {socket}}}");
            for stands_still in [false, true] {
                let name = format!("{family}-{socket}-{stands_still}");
                let probe = start_probe(&scene, &pair.near, &name, &round, targets)?;
                if stands_still {
                    // Half the packets become due while nothing runs, and go at one instant.
                    std::thread::sleep(Duration::from_millis(600));
                    probe.signal(Signal::SIGSTOP)?;
                    std::thread::sleep(Duration::from_millis(1200));
                    probe.signal(Signal::SIGCONT)?;
                }
                let counted = finish_probe(probe)?;
                ensure!(counted.len() == targets.len(), "{name}: {} targets in the table", counted.len());
                let bad: Vec<_> = counted.iter().filter(|(_, found)| **found != counts(2, 2)).collect();
                ensure!(bad.is_empty(), "{name}: {} targets lost packets: {:?}", bad.len(), bad.first());
            }
        }
    }
    scene.passed();
    Ok(())
}

/// How the far side answers the target with this last number in its address.
const AFTER_THE_TIMEOUT: u8 = 1;
const THREE_TIMES: u8 = 2;
const WITH_ANOTHER_IDENTIFIER: u8 = 3;
const WITH_ANOTHER_SEQUENCE: u8 = 4;
const CUT_SHORT: u8 = 5;
const UNREACHABLE: u8 = 6;
const PROPERLY: u8 = 7;
const FROM_ANOTHER_ADDRESS: u8 = 8;
const WITH_A_REQUEST: u8 = 9;
const ONLY_THE_FIRST_ASKER: u8 = 10;

#[test]
fn only_its_own_answers_count_each_once_and_in_time() -> Result<()> {
    let scene = Scene::alone("instrument-answers")?;
    let pair = Pair::build()?;
    pair.far.sysctl("net/ipv4/icmp_echo_ignore_all", "1")?;
    let targets: Vec<String> = (1..=10).map(|last| format!("10.68.0.{last}")).collect();
    let round = "round: {interval: 10s, packets: 4, timeout: 6s}\nicmp: {socket: raw}";
    let stop = AtomicBool::new(false);
    let (first, second) = std::thread::scope(|scope| {
        let answering = scope.spawn(|| pair.far.within(|| answer_until(&stop)));
        let probing = (|| {
            let first = start_probe(&scene, &pair.near, "first", round, &targets)?;
            std::thread::sleep(Duration::from_millis(200));
            let second = start_probe(&scene, &pair.near, "second", round, &targets)?;
            Ok::<_, anyhow::Error>((finish_probe(first)?, finish_probe(second)?))
        })();
        stop.store(true, Ordering::Relaxed);
        answering.join().map_err(|_| anyhow::anyhow!("the far side panicked"))??;
        probing
    })?;
    for (name, counted) in [("first", &first), ("second", &second)] {
        let of = |last: u8| -> Result<Counted> {
            counted.get(&format!("10.68.0.{last}")).copied().with_context(|| format!("{name}: no .{last}"))
        };
        for (last, received) in [
            (AFTER_THE_TIMEOUT, 0),
            (THREE_TIMES, 4),
            (WITH_ANOTHER_IDENTIFIER, 0),
            (WITH_ANOTHER_SEQUENCE, 0),
            (CUT_SHORT, 0),
            (UNREACHABLE, 0),
            (PROPERLY, 4),
            (FROM_ANOTHER_ADDRESS, 0),
            (WITH_A_REQUEST, 0),
        ] {
            ensure!(of(last)? == counts(4, received), "{name}, .{last}: {:?}", of(last)?);
        }
    }
    // Both hear every answer, on raw sockets; each knows its own.
    let asker = format!("10.68.0.{ONLY_THE_FIRST_ASKER}");
    let received =
        [first.get(&asker), second.get(&asker)].map(|counted| counted.map(|counted| counted.received));
    ensure!(received == [Some(4), Some(0)] || received == [Some(0), Some(4)], "{received:?}");
    scene.passed();
    Ok(())
}

/// Answers echo requests as the target's last number says, until `stop`.
fn answer_until(stop: &AtomicBool) -> Result<()> {
    let open = |protocol| socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), protocol);
    // The second takes whole IPv4 packets, so that it can answer from every address.
    let (requests, answers) = (open(SockProtocol::Icmp)?, open(SockProtocol::Raw)?);
    setsockopt(&requests, ReceiveTimeout, &TimeVal::new(0, 20_000))?;
    let mut later: Vec<(Instant, Vec<u8>)> = Vec::new();
    let mut first_asker = None;
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let now = clock::now();
        for (_, packet) in later.extract_if(.., |(due, _)| *due <= now) {
            send_packet(&answers, &packet)?;
        }
        let length = {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            match recvmsg::<SockaddrIn>(requests.as_raw_fd(), &mut parts, None, MsgFlags::empty()) {
                Ok(message) => message.bytes,
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => continue,
                Err(error) => return Err(error).context("read a request"),
            }
        };
        let packet = &buffer[..length];
        let (Some(&[a, b, c, d]), Some(&[.., _, _, _, last])) = (packet.get(12..16), packet.get(16..20))
        else {
            continue;
        };
        let (asker, target) = ([a, b, c, d], [10, 68, 0, last]);
        let Some(icmp) = packet.get(20..).filter(|icmp| icmp.first() == Some(&8)) else { continue };
        let identifier = [icmp[4], icmp[5]];
        let reply = echo_reply(icmp, |_| {});
        match last {
            AFTER_THE_TIMEOUT => later.push((now + Duration::from_secs(7), in_ipv4(target, &reply, asker))),
            THREE_TIMES => (0..3).try_for_each(|_| send(&answers, target, &reply, asker))?,
            WITH_ANOTHER_IDENTIFIER => {
                send(&answers, target, &echo_reply(icmp, |reply| reply[5] ^= 1), asker)?;
            }
            WITH_ANOTHER_SEQUENCE => {
                send(&answers, target, &echo_reply(icmp, |reply| reply[6] ^= 0x40), asker)?;
            }
            CUT_SHORT => (0..8).try_for_each(|length| send(&answers, target, &reply[..length], asker))?,
            UNREACHABLE => {
                let mut says = vec![3, 1, 0, 0, 0, 0, 0, 0];
                says.extend_from_slice(&packet[..28]);
                send(&answers, target, &with_checksum(says), asker)?;
            }
            PROPERLY => send(&answers, target, &reply, asker)?,
            FROM_ANOTHER_ADDRESS => send(&answers, [10, 68, 1, 1], &reply, asker)?,
            WITH_A_REQUEST => send(&answers, target, icmp, asker)?,
            ONLY_THE_FIRST_ASKER if *first_asker.get_or_insert(identifier) == identifier => {
                send(&answers, target, &reply, asker)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The reply to a request, after `change`.
fn echo_reply(request: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[0] = 0;
    change(&mut reply);
    with_checksum(reply)
}

/// The Internet checksum (RFC 1071) in its place.
fn with_checksum(mut icmp: Vec<u8>) -> Vec<u8> {
    icmp[2..4].fill(0);
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    let mut sum: u32 = icmp.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap_or_default();
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    icmp
}

/// Sends one ICMP message from an address to another.
fn send(socket: &OwnedFd, from: [u8; 4], icmp: &[u8], to: [u8; 4]) -> Result<()> {
    send_packet(socket, &in_ipv4(from, icmp, to))
}

/// An IPv4 packet whose length and checksum the kernel fills in (`raw(7)`).
fn in_ipv4(from: [u8; 4], icmp: &[u8], to: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0];
    packet.extend_from_slice(&from);
    packet.extend_from_slice(&to);
    packet.extend_from_slice(icmp);
    packet
}

fn send_packet(socket: &OwnedFd, packet: &[u8]) -> Result<()> {
    let to = SockaddrIn::new(packet[16], packet[17], packet[18], packet[19], 0);
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(packet)], &[], MsgFlags::empty(), Some(&to))
        .with_context(|| format!("answer {to}"))?;
    Ok(())
}
