#!/usr/bin/env python3
"""10,000 sites that change their state within one second, and come back within one: is the collector there meanwhile, and is everybody told?

`wan-load --live` pushes for all of them, each every 5 s. Then, in one second, each says that it has lost WAN and Internet; some time
later, in one second, that all is well again. The centre's agent goes on and says that its own Internet works: so it is not the centre that is
cut off. Asked all the time: /readyz (ten times a second), the process's memory, how many messages wait.

--spread none: all sites are one storm, of which there is one message.
--spread own:  no number of sites is a storm (`many.at_least`), so each is told for itself: a message for each and its end.
--answer 1:    the receiver takes a second for each message, so that what waits cannot be told in time.

    cargo build --release -p wan-collector -p wan-tests --bins
    tests/bench/storm.py [--sites 10000] [--spread none|own] [--answer SECONDS]

Exit code 1 when /readyz failed or took over 1 s, the memory grew by more than 300 MB, a push was answered after more than 10 s, messages
were missing or told twice, or (where the receiver is quick) did not all go out.
"""

import argparse
import atexit
import collections
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import lab
import restart


def prepare(arguments, folder, port, url):
    """The collector's configuration, register and secrets."""
    config = folder / "collector.yaml"
    many = "many: {at_least: 1000000}, " if arguments.spread == "own" else ""
    config.write_text(
        f'listen: "127.0.0.1:{port}"\ndata: {folder / "data"}\nalerts: {{{many}channels: [{{name: hook, webhook: {{url: "{url}"}}}}]}}\n')
    sites = folder / "sites.csv"
    lines = ["id,name,tier,branch,watches,links", "trung-tam,Trung tâm dữ liệu,province,state,all,lan wan internet"]
    lines += [f"xa-{n:05},Ủy ban nhân dân xã {n},commune,state,,lan wan internet" for n in range(arguments.sites)]
    sites.write_text("\n".join(lines) + "\n")
    run = [arguments.collector, "--config", str(config)]
    subprocess.run([*run, "sites", "import", str(sites)], check=True, stdout=subprocess.DEVNULL)
    issue = [*run, "agents", "issue", "--all", "--output", str(folder / "secrets.csv")]
    subprocess.run(issue, check=True, stdout=subprocess.DEVNULL)
    return config


class Watch:
    """What is seen of the collector while it works: every figure with the time it was taken at."""

    def __init__(self, process, port, database):
        self.process, self.port, self.database = process, port, database
        self.ready, self.memory, self.pending, self.look = [], [], [], []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=work, args=(every,), daemon=True)
                        for work, every in ((self.ask_ready, 0.1), (self.measure, 0.5), (self.ask_metrics, 5))]
        for thread in self.threads:
            thread.start()

    def ask_ready(self, every):
        while not self.over.wait(every):
            began = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request("GET", "/readyz")
                status = connection.getresponse().status
            except OSError:
                status = 0
            finally:
                connection.close()
            self.ready.append((time.time(), status, time.monotonic() - began))

    def measure(self, every):
        store = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        while not self.over.wait(every):
            self.memory.append((time.time(), restart.resident(self.process)))
            pending = store.execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()[0]
            self.pending.append((time.time(), pending))
        store.close()

    def ask_metrics(self, every):
        """How long ago the province was last looked at for alerts."""
        while not self.over.wait(every):
            answer = restart.get(self.port, "/metrics")
            if answer is None:
                continue
            for line in answer[1].decode().splitlines():
                if line.startswith("wan_collector_alerts_look_timestamp_seconds "):
                    self.look.append((time.time(), time.time() - float(line.split()[1])))

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"), help="the binary to measure")
    parser.add_argument("--load", default=str(lab.ROOT / "target/release/wan-load"), help="the binary that pushes")
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--spread", choices=("none", "own"), default="own")
    parser.add_argument("--answer", type=float, default=0, help="seconds that the receiver takes for each message [0]")
    parser.add_argument("--before", type=int, default=30, help="seconds in which all is well [30]")
    parser.add_argument("--down", type=int, default=120, help="seconds in which all are down [120]")
    parser.add_argument("--after", type=int, default=120, help="seconds in which all are well again [120]")
    parser.add_argument("--keep", type=pathlib.Path, help="copy the collector's log there")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of the table")
    arguments = parser.parse_args()
    for binary in (arguments.collector, arguments.load):
        lab.need_binary(binary)
    lab.ends_with_signals()
    folder, owner = pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-storm-")), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    print(f"{arguments.sites:,} sites, spread {arguments.spread}, the receiver takes {arguments.answer:g} s, "
          f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sink = lab.Sink(delay=arguments.answer)
    config = prepare(arguments, folder, port, sink.url)
    log = open(folder / "log", "w")
    children = []

    def start(*words, **options):
        child = subprocess.Popen(list(map(str, words)), **options)
        children.append(child)
        return child

    atexit.register(lambda: os.getpid() == owner and [child.kill() for child in children if child.poll() is None])
    collector = start(arguments.collector, "--config", config, "serve", stdout=log, stderr=log)
    began = time.monotonic()
    restart.until(began, port, "/readyz", lambda _: True)
    watch = Watch(collector, port, folder / "data/wanwatch.db")
    phases = f"up:{arguments.before},down:{arguments.down},up:{arguments.after}"
    load = start(arguments.load, "--server", f"127.0.0.1:{port}", "--secrets", folder / "secrets.csv", "--sites", arguments.sites + 1,
                 "--steady", 1, "--connections", 64, "--live", phases, stdout=subprocess.PIPE, text=True)
    done = []
    for line in load.stdout:
        done.append(json.loads(line))
        print(f"  {line.strip()}", file=sys.stderr, flush=True)
    if load.wait() != 0:
        sys.exit("the load ended early: see above")
    watch.stop()
    waiting = watch.pending[-1][1]
    if arguments.keep:
        shutil.copy(folder / "log", arguments.keep)
    stopping = time.monotonic()
    collector.send_signal(signal.SIGTERM)
    try:
        collector.wait(timeout=60)
    except subprocess.TimeoutExpired:
        collector.kill()
    stopping = time.monotonic() - stopping

    heard = [(at, json.loads(body)) for at, body in sink.take()]
    table = lab.Table(arguments.json)
    fell, rose = (phase["began_ms"] / 1000 for phase in done[1:])
    table.row("from SIGTERM to its end", stopping, ("≤ 30 s", lambda seconds: seconds <= 30), unit="s")
    is_bad = [one for one in watch.ready if one[1] != 200]
    times = [one[2] * 1000 for one in watch.ready]
    table.row(f"/readyz: answers that were no 200, of {len(times):,}", len(is_bad), ("0", lambda n: n == 0), digits=0)
    table.row("/readyz: longest", max(times), ("≤ 1000 ms", lambda ms: ms <= 1000), unit="ms")
    table.row("/readyz: p99", lab.quantile(times, 0.99), unit="ms")
    before = [mb for at, mb in watch.memory if at < fell]
    most = max(mb for _, mb in watch.memory)
    table.row("resident before", statistics.median(before[-10:]), unit="MB")
    table.row("resident at most", most, unit="MB")
    table.row("grown by", most - before[-1], ("≤ 300 MB", lambda mb: mb <= 300), unit="MB")
    table.row("resident at the end", watch.memory[-1][1], unit="MB")
    for phase, what in zip(done, ("all well", "all down", "all well again")):
        for prefix, which in (("change_", "pushes of the one second"), ("", "pushes")):
            if phase[f"{prefix}max_ms"] is not None:
                table.row(f"{what}: {which}: longest", phase[f"{prefix}max_ms"], ("≤ 10 s", lambda ms: ms <= 10_000), unit="ms")
                table.row(f"{what}: {which}: p99", phase[f"{prefix}p99_ms"], unit="ms")
    table.row("pushes that were put off", sum(phase["put_off"] for phase in done), digits=0)
    table.row("longest seen since the last look", max(age for _, age in watch.look), unit="s")
    table.row("messages waiting at most", max(count for _, count in watch.pending), digits=0)
    quick = ("0", lambda count: count == 0) if arguments.answer == 0 else None
    table.row("messages waiting at the end", waiting, quick, digits=0)
    for event, since in (("fired", fell), ("resolved", rose)):
        told = [at - since for at, notice in heard if notice["rule"] == "site_offline" and notice["event"] == event]
        if told:
            table.row(f"{event}: the first message after", min(told), unit="s")
            table.row(f"{event}: the last after", max(told), unit="s")
        expected = arguments.sites if arguments.spread == "own" else 1
        bound = (f"{expected:,}", lambda count, expected=expected: count == expected) if arguments.answer == 0 else None
        table.row(f"{event}: messages of sites offline", len(told), bound, digits=0)
    ids = collections.Counter(notice["id"] for _, notice in heard)
    table.row("told twice", sum(count - 1 for count in ids.values()), ("0", lambda count: count == 0), digits=0)
    others = collections.Counter(f"{notice['rule']} {notice['event']}" for _, notice in heard if notice["rule"] != "site_offline")
    for what, count in sorted(others.items()):
        print(f"also told: {what} ({count})", file=sys.stderr)
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
