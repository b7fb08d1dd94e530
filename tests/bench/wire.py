#!/usr/bin/env python3
"""What an agent's pushes cost on the line: 20 targets on four links, a push each 5 s to a real collector.

The agent reaches the collector over a veth pair that carries nothing else (its probes leave by another one), without
segmentation offload, so that every frame counts as a line would carry it. The figures are the pair's own counters: both directions,
Ethernet, IP, TCP and TLS headers and acknowledgements included. A capture beside it says what they consist of.

    cargo build --release -p wan-agent -p wan-collector
    tests/bench/wire.py [--seconds 120]

Exit code 1 when the mean is over 5 kbit/s.
"""

import collections
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lab

# As a commune might have them.
LINKS = {
    "lan": ["192.168.10.1", "192.168.10.2", "192.168.10.5"],
    "wan-vnpt": ["10.60.12.1", "10.60.0.1", "10.60.255.10", "10.60.255.11", "10.60.255.20"],
    "internet": ["203.113.131.1", "203.113.131.2", "1.1.1.1", "8.8.8.8", "9.9.9.9", "2606:4700:4700::1111"],
    "service-mail": ["10.70.1.25", "10.70.1.26"],
    "service-office": ["10.70.2.80", "10.70.2.81", "10.70.2.90", "10.70.2.91"],
}


def targets_of(links):
    return [target for targets in links.values() for target in targets]


def config_of(collector, links=LINKS):
    text = f"collector:\n  urls: [{{url: '{collector.url}'}}]\n  secret: {next(iter(collector.secrets.values()))}\n{collector.trust}"
    text += "data: DATA\nlinks:\n"
    for link, targets in links.items():
        text += f"- name: {link}\n  targets:\n" + "".join(f"  - icmp: '{target}'\n" for target in targets)
    return text


def lay(near, far, links=LINKS):
    """The line for probes, with every target at its far end, and the line for pushes."""
    lab.wire(near, far, "line", [("10.66.0.1/30", "10.66.0.2/30"), ("fd66::1/64", "fd66::2/64")])
    lab.wire(near, far, "push", [("10.67.0.1/30", "10.67.0.2/30")])
    for target in targets_of(links):
        if ":" in target:
            far.ip("-6", "addr", "add", f"{target}/128", "dev", "lo")
            near.ip("-6", "route", "add", f"{target}/128", "via", "fd66::2")
        else:
            far.ip("addr", "add", f"{target}/32", "dev", "lo")
            near.ip("route", "add", f"{target}/32", "via", "10.66.0.2")


class Frames:
    """A capture of the frames on the push line, for what they consist of."""

    def __init__(self, space):
        self.file = pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-"), "capture")
        self.process = space.popen("tcpdump", "-i", "push", "-n", "-Z", "root", "-s", "96", "-U", "-w", self.file,
                                   stderr=subprocess.PIPE, text=True)
        self.process.stderr.readline()

    def stop(self):
        """Counter of (direction, part): frames, payload and header bytes."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()
        data, found, at = self.file.read_bytes(), collections.Counter(), 24
        shutil.rmtree(self.file.parent)
        while at + 16 <= len(data):
            kept, length = int.from_bytes(data[at + 8 : at + 12], "little"), int.from_bytes(data[at + 12 : at + 16], "little")
            frame, at = data[at + 16 : at + 16 + kept], at + 16 + kept
            if frame[12:14] != b"\x08\x00" or frame[23] != 6:
                found["other", "bytes"] += length
                continue
            direction = "up" if frame[26:30] == bytes([10, 67, 0, 1]) else "down"
            ip_header = 4 * (frame[14] & 15)
            headers = 14 + ip_header + 4 * (frame[14 + ip_header + 12] >> 4)
            payload = int.from_bytes(frame[16:18], "big") - (headers - 14)
            found[direction, "payload"] += payload
            found[direction, "frames with payload" if payload else "bare acknowledgements"] += 1
            found[direction, "header bytes"] += headers
            found["all", "bytes"] += length
        return found


def main():
    parser = lab.parser(__doc__, seconds=120)
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"))
    parser.add_argument("--settle", type=int, default=20, help="seconds before counting [20]")
    arguments = parser.parse_args()
    lab.need("ip", "tcpdump")
    lab.need_binary(arguments.agent)
    lab.need_binary(arguments.collector)
    lab.ends_with_signals()
    near, far = lab.Space("near"), lab.Space("far")
    lay(near, far)
    collector = lab.Collector(arguments.collector, far, "10.67.0.2")
    agent = lab.Agent(arguments.agent, config_of(collector), near)
    time.sleep(arguments.settle)
    frames = Frames(near)
    before, began = near.counters("push"), time.monotonic()
    time.sleep(arguments.seconds)
    after, took = near.counters("push"), time.monotonic() - began
    parts = frames.stop()
    agent.stop()
    collector.stop()
    pushes = took / 5
    moved = {key: after[key] - before[key] for key in after}
    if parts["up", "payload"] < 1000 * pushes:
        sys.exit("the agent's pushes did not arrive: nothing was measured")
    table = lab.Table(arguments.json)
    kbit = (moved["in_bytes"] + moved["out_bytes"]) * 8 / 1000 / took
    table.row("on the line, both directions", kbit, ("≤ 5", lambda v: v <= 5), unit="kbit/s", digits=2)
    table.row("a push, all in", (moved["in_bytes"] + moved["out_bytes"]) / pushes, unit="bytes", digits=0)
    table.row("  frames", (moved["in_frames"] + moved["out_frames"]) / pushes)
    for direction in ("up", "down"):
        table.row(f"  {direction}: TCP payload (HTTP in TLS)", parts[direction, "payload"] / pushes, unit="bytes", digits=0)
        table.row(f"  {direction}: Ethernet, IP and TCP headers", parts[direction, "header bytes"] / pushes, unit="bytes", digits=0)
        table.row(f"  {direction}: frames with payload", parts[direction, "frames with payload"] / pushes)
        table.row(f"  {direction}: bare acknowledgements", parts[direction, "bare acknowledgements"] / pushes)
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
