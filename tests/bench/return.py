#!/usr/bin/env python3
"""Sites that come back together: real agents with a backlog each, and what live pushes to the collector cost meanwhile.

Each agent's queue is filled by `wan-fill-queue` with the rounds of an outage (20 targets, rounds of 5 s). All are started at
once. Live pushes of further sites go on in open loop at the rate of as many sites (one push each 5 s), before and during the
delivery; their latency counts from when each was due.

    cargo build --release -p wan-agent -p wan-collector -p wan-tests --bins
    tests/bench/return.py [--sites 300] [--minutes 30]

Exit code 1 when the live p99 meanwhile is 1 s or more.
"""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lab
import wire

LIVE = 20


def live(arguments, space, collector, secrets, rate, seconds):
    """Begins live pushes to the collector's loopback listener."""
    rounds = max(1, round(rate * seconds / LIVE))
    words = [arguments.load, "--server", "127.0.0.1:8080", "--sites", str(LIVE), "--rounds", str(rounds), "--rate", str(rate),
             "--warmup-rounds", "1", "--secrets", secrets, "--settle-seconds", "0"]
    return space.popen(*words, stdout=subprocess.PIPE, text=True)


def samples(space):
    """How many samples the collector has taken so far."""
    text = space.popen("curl", "-s", "http://127.0.0.1:8080/metrics", stdout=subprocess.PIPE, text=True).communicate()[0]
    return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith("wan_collector_samples_total "))


def p99(process):
    """What a finished run of live pushes says, in milliseconds."""
    found = json.loads(process.communicate()[0].strip().splitlines()[-1])
    return found["latency_ms"]["p99"] if "latency_ms" in found else found["p99_ms"]


def main():
    parser = lab.parser(__doc__, seconds=40)
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"))
    parser.add_argument("--fill", default=str(lab.ROOT / "target/release/wan-fill-queue"))
    parser.add_argument("--load", default=str(lab.ROOT / "target/release/wan-load"))
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=30, help="length of the outage [30]")
    arguments = parser.parse_args()
    lab.need("ip", "curl")
    for binary in (arguments.agent, arguments.collector, arguments.fill, arguments.load):
        lab.need_binary(binary)
    lab.ends_with_signals()
    table = lab.Table(arguments.json)
    near, far = lab.Space("near"), lab.Space("far")
    wire.lay(near, far)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-"))
    sites = [f"site-{number}" for number in range(arguments.sites)]
    lives = [f"live-{number}" for number in range(LIVE)]
    first = folder / "data-0"
    wrote = subprocess.run([arguments.fill, "--data", first, "--days", str(arguments.minutes / 1440)],
                           check=True, capture_output=True, text=True).stdout.strip()
    print(f"each of {len(sites)} sites: {wrote}")
    backlog = 20 * int(wrote.split()[0])
    collector = lab.Collector(arguments.collector, far, "10.67.0.2", sites=sites + lives)
    collector.process.send_signal(signal.SIGTERM)
    collector.process.wait()
    text = collector.config.read_text().replace("listen: '10.67.0.2:8443'", "listen: ['10.67.0.2:8443', '127.0.0.1:8080']")
    collector.config.write_text(text)
    collector.start()
    secrets = folder / "live.csv"
    secrets.write_text("site,name,secret\n" + "".join(f"{site},x,{collector.secrets[site]}\n" for site in lives))

    rate = arguments.sites / 5
    before = p99(live(arguments, far, collector, secrets, rate, 10))
    taken = samples(far)
    agents = []
    for number, site in enumerate(sites):
        data = folder / f"data-{number}"
        if number > 0:
            shutil.copytree(first, data)
        config = folder / f"{site}.yaml"
        config.write_text(
            f"collector:\n  urls: [{{url: '{collector.url}'}}]\n  secret: {collector.secrets[site]}\n{collector.trust}"
            f"data: {data}\nround: {{interval: 5s, packets: 5}}\nlinks: [{{name: lan, targets: [{{icmp: 127.0.0.1}}]}}]\n")
        agents.append((config, data))
    began = time.monotonic()
    meanwhile = live(arguments, far, collector, secrets, rate, arguments.seconds)
    processes = [near.popen(arguments.agent, "--log", "error", "run", "--config", config, stderr=subprocess.DEVNULL)
                 for config, _ in agents]
    during = p99(meanwhile)
    seconds = time.monotonic() - began
    delivered = samples(far) - taken
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait(timeout=60)
    table.row("live pushes before: p99", before, unit="ms")
    table.row(f"live pushes while {arguments.sites} sites return: p99", during, ("< 1000", lambda v: v < 1000), unit="ms")
    table.row(f"samples taken from them in those {seconds:.0f} s", delivered / 1e6, unit="million", digits=2)
    table.row("samples that the outage left", backlog * 7 * len(sites) / 1e6, unit="million", digits=2)
    collector.stop()
    shutil.rmtree(folder)
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
