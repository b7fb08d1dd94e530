#!/usr/bin/env python3
"""How true the agent's round-trip times are: beside `ping`, and against the packets' own times in a capture.

Agent and ping run in one namespace on one core and ask the same host over one veth pair at the same time, in turn: eight
targets with one packet a second each, and one ping with eight packets a second, 56 bytes of payload. tcpdump notes on the
sending device when each packet passed; what the agent says about a packet less what the capture says is its bias. Then the
same with a busy loop on that core, and with the agent at nice -5 beside it.

    cargo build --release -p wan-agent
    tests/bench/rtt.py [--seconds 30] [--repeat 3] [--socket raw|datagram] [--family 4|6] [--only idle|busy|busy-nice]

Exit code 1 when a bound is not met: the median at most 20 µs over ping's, none zero, none below the capture's time.
"""

import re
import subprocess
import sys
import time

import lab

TARGETS = 8


def measure(arguments, busy, nice):
    """One run: ping's and the agent's times, and both differences from the capture, in µs."""
    near, far = lab.Space("near"), lab.Space("far")
    loop = None
    try:
        hosts = [f"10.66.0.{number + 10}" if arguments.family == 4 else f"fd66::{number + 10}" for number in range(TARGETS + 1)]
        pairs = [("10.66.0.1/24", f"{host}/24") if arguments.family == 4 else ("fd66::1/64", f"{host}/64") for host in hosts]
        lab.wire(near, far, "line", pairs[:1])
        for host in hosts[1:]:
            far.ip("addr", "add", f"{host}/{24 if arguments.family == 4 else 64}", "dev", "line",
                   *([] if arguments.family == 4 else ["nodad"]))
            near.ip("neigh", "replace", host, "lladdr", lab.MACS[1], "nud", "permanent", "dev", "line")
        lab.wire(near, far, "push", [("10.67.0.1/30", "10.67.0.2/30")])
        near.sysctl("net/ipv4/ping_group_range", "'0 0'")
        sink = lab.Sink(far, "10.67.0.2", core=arguments.other_core)
        capture = lab.Capture(near, "line", core=arguments.other_core)
        config = f"collector: {{urls: [{{url: '{sink.url}'}}], secret: wan_bench}}\n"
        config += f"round: {{interval: 1s, packets: 1, timeout: 1s}}\nicmp: {{socket: {arguments.socket}}}\n{arguments.extra}"
        config += "links:\n- name: wan\n  targets:\n" + "".join(f"  - icmp: '{host}'\n" for host in hosts[:TARGETS])
        agent = lab.Agent(arguments.agent, config, near, core=arguments.core, nice=nice)
        ping = near.popen("ping", "-n", "-i", f"{1 / TARGETS}", "-s", "56", "-c", arguments.seconds * TARGETS, hosts[TARGETS],
                          core=arguments.core, stdout=subprocess.PIPE, text=True)
        if busy:
            loop = lab.BusyLoop(arguments.core)
        said = ping.communicate()[0]
        if loop:
            loop.stop()
            loop = None
        agent.stop()
        echoes = capture.stop()
        bodies = [body for _, body in sink.take()]
        sink.stop()
    finally:
        if loop:
            loop.stop()
        near.remove()
        far.remove()
    # Of ping: identifier by its target, sequence from 1 (from 0 in ICMP); of the agent: the one packet sent within a round.
    pinged = {int(sequence): float(ms) * 1000 for sequence, ms in re.findall(r"icmp_seq=(\d+).*time=([\d.]+) ms", said)}
    truth = {key[2]: (back - sent) / 1000 for key, (sent, back) in echoes.items() if key[0] == hosts[TARGETS] and back}
    ping_bias = [us - truth[sequence] for sequence, us in pinged.items() if sequence in truth]
    by_target = {}
    for (target, _, _), (sent, back) in echoes.items():
        by_target.setdefault(target, []).append((sent, back))
    times, bias, lost, odd = [], [], 0, 0
    began = min((sent for one in by_target.values() for sent, _ in one), default=0)
    for (_, target, end), figures in lab.rounds(bodies).items():
        # The first round is shorter, and the caches are cold.
        if end * 1_000_000 < began + 3_000_000_000:
            continue
        start = end - round(figures["interval_seconds"] * 1000)
        within = [one for one in by_target.get(target, []) if start * 1_000_000 <= one[0] < end * 1_000_000]
        if figures["received"] != 1:
            lost += 1
            continue
        us = figures["rtt_median_seconds"] * 1e6
        times.append(us)
        if len(within) == 1 and within[0][1]:
            bias.append(us - (within[0][1] - within[0][0]) / 1000)
        else:
            odd += 1
    return {"ping": list(pinged.values())[TARGETS:], "ping_bias": ping_bias, "agent": times, "bias": bias, "lost": lost, "odd": odd}


def main():
    parser = lab.parser(__doc__, seconds=30, repeat=3)
    parser.add_argument("--socket", choices=["raw", "datagram"], default="raw")
    parser.add_argument("--family", type=int, choices=[4, 6], default=4)
    parser.add_argument("--only", choices=["idle", "busy", "busy-nice"], help="one of the three parts")
    parser.add_argument("--core", type=int, default=0, help="core of agent, ping and busy loop [0]")
    parser.add_argument("--other-core", type=int, default=1, help="core of the capture and of the peer [1]")
    parser.add_argument("--extra", default="", help="further lines of the agent's configuration")
    arguments = parser.parse_args()
    lab.need("ip", "tcpdump", "ping", "taskset")
    lab.need_binary(arguments.agent)
    lab.ends_with_signals()
    table = lab.Table(arguments.json)
    median = lambda values: lab.quantile(values, 0.5)
    for part, busy, nice in (("idle", False, None), ("busy", True, None), ("busy-nice", True, -5)):
        if arguments.only not in (None, part):
            continue
        name = {"idle": "", "busy": ", core busy", "busy-nice": ", core busy, agent at nice -5"}[part]
        runs = [measure(arguments, busy, nice) for _ in range(arguments.repeat)]
        for run in runs:
            if len(run["bias"]) < 0.8 * TARGETS * (arguments.seconds - 5) or not run["ping_bias"]:
                sys.exit(f"too little was measured: {len(run['bias'])} packets, {run['lost']} lost, {run['odd']} not matched")
        of = lambda key, figure: [figure(run[key]) for run in runs]
        p99, least = lambda values: lab.quantile(values, 0.99), min
        table.row(f"RTT median{name}", of("agent", median), peer=of("ping", median), unit="µs")
        difference = [mine - its for mine, its in zip(of("agent", median), of("ping", median))]
        table.row(f"RTT median, agent − ping{name}", difference, ("≤ 20", lambda v: v <= 20) if not busy else None, unit="µs")
        table.row(f"bias against the capture, median{name}", of("bias", median), peer=of("ping_bias", median), unit="µs")
        table.row(f"bias against the capture, p99{name}", of("bias", p99), peer=of("ping_bias", p99), unit="µs")
        table.row(f"bias against the capture, most{name}", of("bias", max), peer=of("ping_bias", max), unit="µs")
        table.row(f"bias against the capture, least{name}", of("bias", least), ("≥ 0", lambda v: v >= 0), peer=of("ping_bias", least), unit="µs")
        table.row(f"packets lost, or zero{name}", [run["lost"] + sum(us <= 0 for us in run["agent"]) for run in runs],
                  ("0", lambda v: v == 0), digits=0)
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
