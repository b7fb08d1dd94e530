#!/usr/bin/env python3
"""A week of backlog: its size on disk, the start after kill -9 with it, and its delivery while live pushes go on.

`wan-fill-queue` writes the rounds of an outage (20 targets, rounds of 5 s) to the agent's queue. The agent is then started and
killed with SIGKILL again and again, its collector unreachable: from its start to its first packet on the wire, by a capture.
Then the collector is there, and the queue's files say when the backlog is delivered; the agent's log says when it pushed.

    cargo build --release -p wan-agent -p wan-collector -p wan-tests --bins
    tests/bench/backlog.py [--days 7] [--starts 10]

Exit code 1 when a bound is not met: 150 MB on disk, 1 s to the first packet, 10 minutes to deliver.
"""

import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime

import lab
import wire


def size_of(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def first_packet(binary, config, near, data):
    """Seconds from the start of the agent to its first echo request on the wire; then it is killed."""
    capture = lab.Capture(near, "line")
    began = time.time_ns()
    agent = lab.Agent(binary, config, near, data=data, quiet=True)
    time.sleep(3)
    agent.process.send_signal(signal.SIGKILL)
    agent.process.wait()
    shutil.rmtree(agent.folder)
    sent = [times[0] for times in capture.stop().values() if times[0] >= began]
    return (min(sent) - began) / 1e9 if sent else 60.0


def main():
    parser = lab.parser(__doc__, seconds=0)
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"))
    parser.add_argument("--fill", default=str(lab.ROOT / "target/release/wan-fill-queue"))
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--limit", type=int, default=900, help="seconds after which delivery is given up [900]")
    arguments = parser.parse_args()
    lab.need("ip", "tcpdump")
    for binary in (arguments.agent, arguments.collector, arguments.fill):
        lab.need_binary(binary)
    lab.ends_with_signals()
    table = lab.Table(arguments.json)
    near, far = lab.Space("near"), lab.Space("far")
    wire.lay(near, far)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-"))
    data = folder / "data"
    print(subprocess.run([arguments.fill, "--data", data, "--days", str(arguments.days)], check=True, capture_output=True, text=True).stdout.strip())
    table.row("backlog on disk", size_of(data / "queue") / 1e6, ("≤ 150", lambda v: v <= 150), unit="MB")
    collector = lab.Collector(arguments.collector, far, "10.67.0.2")
    config = wire.config_of(collector)
    unreachable = config.replace(collector.url, "https://10.67.0.2:9")
    starts = [first_packet(arguments.agent, unreachable, near, data) for _ in range(arguments.starts)]
    table.row("start after kill -9 to the first packet on the wire", starts, ("≤ 1", lambda v: v <= 1), unit="s", digits=3)

    log = open(folder / "log", "w+")
    path = folder / "agent.yaml"
    path.write_text(config.replace("DATA", str(data)))
    began = time.monotonic()
    agent = near.popen(arguments.agent, "--log", "info,wan_agent::push=debug", "run", "--config", path, stderr=log)
    delivered, peak = None, 0
    while time.monotonic() - began < arguments.limit and agent.poll() is None:
        time.sleep(0.5)
        peak = max(peak, lab.status(agent.pid, "VmHWM")[0])
        # What is left when all is delivered is the segment that is written to.
        if size_of(data / "queue") < 2.5e6:
            delivered = time.monotonic() - began
            break
    agent.send_signal(signal.SIGTERM)
    agent.wait(timeout=30)
    table.row("delivery of the backlog at the default rate", (delivered or arguments.limit) / 60,
              ("≤ 10", lambda v: delivered is not None and v <= 10), unit="min", digits=2)
    table.row("the agent's most resident meanwhile", peak * 1024 / 1e6, unit="MB")
    text = (folder / "log").read_text()
    stamps = [datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()
              for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
              if "pushed" in line and int(re.search(r"link_rounds=(\d+)", line)[1]) <= 10]
    gaps = [b - a for a, b in zip(stamps, stamps[1:])]
    if gaps:
        table.row("live pushes meanwhile: longest between two (5 s are right)", max(gaps), unit="s")
    collector.stop()
    shutil.rmtree(folder)
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
