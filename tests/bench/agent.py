#!/usr/bin/env python3
"""What the agent costs: 20 targets with one packet a second each, a push each 5 s over TLS to a real collector.

Prints resident memory, CPU per packet with everything that belongs to it, how often the process is woken, and the binary's
size. Targets, links and lines are those of wire.py. Nothing is measured in the first --settle seconds.

    cargo build --release -p wan-agent -p wan-collector
    tests/bench/agent.py [--seconds 60] [--repeat 3]

Exit code 1 when a bound is not met: 8 MB (8,000,000 bytes) resident, 0.15 ms of CPU a packet, a binary of 8 MB.
"""

import os
import sys
import time

import lab
import wire


def main():
    parser = lab.parser(__doc__, seconds=60, repeat=3)
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"))
    parser.add_argument("--settle", type=int, default=35, help="seconds before measuring [35]")
    arguments = parser.parse_args()
    lab.need("ip", "taskset")
    lab.need_binary(arguments.agent)
    lab.need_binary(arguments.collector)
    lab.ends_with_signals()
    near, far = lab.Space("near"), lab.Space("far")
    wire.lay(near, far)
    collector = lab.Collector(arguments.collector, far, "10.67.0.2", core=1)
    resident, anonymous, peak, cpu, woken, pushed = [], [], [], [], [], []
    for _ in range(arguments.repeat):
        agent = lab.Agent(arguments.agent, wire.config_of(collector), near, core=0)
        time.sleep(arguments.settle)
        switches = lambda: sum(lab.status(agent.pid, "voluntary_ctxt_switches"))
        before, cpu_before, began = switches(), lab.usage(agent.pid), time.monotonic()
        counted = near.counters("push")["out_frames"]
        time.sleep(arguments.seconds)
        took, cpu_after, after = time.monotonic() - began, lab.usage(agent.pid), switches()
        pushed.append(near.counters("push")["out_frames"] - counted)
        vm = lab.status(agent.pid, "VmRSS", "RssAnon", "VmHWM")
        agent.stop()
        resident.append(vm[0] * 1024 / 1e6)
        anonymous.append(vm[1] * 1024 / 1e6)
        peak.append(vm[2] * 1024 / 1e6)
        packets = len(wire.targets_of(wire.LINKS)) * took
        cpu.append((cpu_after - cpu_before) * 1000 / packets)
        woken.append((after - before) / took)
    collector.stop()
    if min(pushed) < arguments.seconds / 5:
        sys.exit("the agent did not push: nothing was measured")
    table = lab.Table(arguments.json)
    table.row("resident, pushing over TLS", resident, ("≤ 8", lambda v: v <= 8), unit="MB", digits=2)
    table.row("  of it anonymous", anonymous, unit="MB", digits=2)
    table.row("  most so far", peak, unit="MB", digits=2)
    table.row("CPU a packet, all in", cpu, ("≤ 0.15", lambda v: v <= 0.15), unit="ms", digits=3)
    table.row("wake-ups of the main thread a second", woken)
    table.row("binary", os.path.getsize(arguments.agent) / 1e6, ("≤ 8", lambda v: v <= 8), unit="MB", digits=2)
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
