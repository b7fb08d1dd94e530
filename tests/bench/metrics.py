#!/usr/bin/env python3
"""What a scrape of /metrics costs at 10,000 sites of four links, while they push: time, memory, and the pushes meanwhile.

A register is imported and a ledger of some weeks is stored, as for restart.py. `wan-load --live` pushes for all sites, each every 5 s. First nobody
scrapes; then /metrics is scraped again and again, each way in turn: as gzip, which is what Prometheus asks for, and as plain text. At last,
four ask at once, and others go away in the midst.

    cargo build --release -p wan-collector -p wan-tests --bins
    tests/bench/metrics.py [--sites 10000] [--seconds 60]

Exit code 1 when a bound is not met: a scrape within 500 ms, 150 MB on top of the collector's memory, pushes meanwhile within 50 ms (p99).
"""

import argparse
import atexit
import concurrent.futures
import gzip
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


# What wan-load pushes for each site.
restart.LINKS = ("lan", "wan", "internet", "service-mail")


def scrape(port, how):
    """Seconds until the last byte, and what came."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics", headers={"Accept-Encoding": how})
    answer = connection.getresponse()
    chunks = []
    while chunk := answer.read(1 << 20):
        chunks.append(chunk)
    took = time.monotonic() - began
    connection.close()
    if answer.status != 200:
        sys.exit(f"/metrics answers {answer.status}: {b''.join(chunks)[:300]!r}")
    return took, b"".join(chunks)


def go_away(port):
    """Asks, and does not wait for the answer."""
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n")
        time.sleep(0.05)


class Memory:
    """The collector's resident memory, ten times a second."""

    def __init__(self, process):
        self.process, self.seen, self.over = process, [], threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.over.wait(0.1):
            self.seen.append((time.monotonic(), restart.resident(self.process)))

    def most(self, since, until):
        return max(mb for at, mb in self.seen if since <= at <= until)

    def stop(self):
        self.over.set()
        self.thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"), help="the binary to measure")
    parser.add_argument("--load", default=str(lab.ROOT / "target/release/wan-load"), help="the binary that pushes")
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60, help="how long is scraped, and as long before not [60]")
    parser.add_argument("--years", type=float, default=0.2, help="of ledger [0.2]")
    parser.add_argument("--every", type=float, default=5, help="seconds between two scrapes [5]")
    parser.add_argument("--data", type=pathlib.Path, help="keep the folder, or use it again")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of the table")
    arguments = parser.parse_args()
    for binary in (arguments.collector, arguments.load):
        lab.need_binary(binary)
    lab.ends_with_signals()
    owner, made = os.getpid(), arguments.data is None
    folder = arguments.data or pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-metrics-"))
    folder.mkdir(parents=True, exist_ok=True)
    atexit.register(lambda: made and os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    print(f"{arguments.sites:,} sites, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr, flush=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config, is_new = restart.import_register(arguments, folder, port)
    config.write_text(f'listen: "127.0.0.1:{port}"\ndata: {folder / "data"}\n')
    if is_new:
        restart.fill(folder / "data/wanwatch.db", arguments.sites, arguments.years, int(time.time() * 1000))
    children = []
    atexit.register(lambda: os.getpid() == owner and [child.kill() for child in children if child.poll() is None])
    log = open(folder / "log", "w")
    collector = subprocess.Popen([arguments.collector, "--config", str(config), "serve", "--log", "warn"], stdout=log, stderr=log)
    children.append(collector)
    began = time.monotonic()
    restart.until(began, port, "/readyz", lambda body: body == b"ready\n")
    # The first pass over all sites comes after some seconds.
    while b"wan_incidents_open{" not in restart.get(port, "/metrics")[1]:
        time.sleep(5)
    memory = Memory(collector)
    phases = f"up:{arguments.seconds},up:{arguments.seconds},up:20"
    load = subprocess.Popen(
        [arguments.load, "--server", f"127.0.0.1:{port}", "--secrets", folder / "secrets.csv", "--sites", str(arguments.sites),
         "--connections", "64", "--live", phases], stdout=subprocess.PIPE, text=True)
    children.append(load)
    quiet = json.loads(load.stdout.readline())
    before = statistics.median(mb for _, mb in memory.seen[-50:])
    began, took, sizes, last = time.monotonic(), {"gzip": [], "identity": []}, {}, {}
    while time.monotonic() - began < arguments.seconds - 2 * arguments.every:
        for how in took:
            due = time.monotonic() + arguments.every
            seconds, body = scrape(port, how)
            took[how].append(seconds * 1000)
            sizes[how] = len(body) / 1e6
            last[how] = body
            time.sleep(max(0, due - time.monotonic()))
    most = memory.most(began, time.monotonic())
    scraped = json.loads(load.stdout.readline())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        gone = [pool.submit(go_away, port) for _ in range(4)]
        together = list(pool.map(lambda _: scrape(port, "gzip")[0] * 1000, range(4)))
        [one.result() for one in gone]
    if load.wait() != 0:
        sys.exit("the load ended early: see above")
    end = memory.seen[-1][1]
    memory.stop()
    collector.send_signal(signal.SIGTERM)
    collector.wait(timeout=60)
    text = gzip.decompress(last["gzip"])
    series = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    table = lab.Table(arguments.json)
    soon = ("< 500 ms", lambda ms: ms < 500)
    table.row(f"{series:,} series: gzip of {sizes['gzip']:.1f} MB, ms", took["gzip"], soon, unit="ms")
    table.row(f"plain text of {sizes['identity']:.1f} MB, ms", took["identity"], soon, unit="ms")
    table.row("four at once, ms", together, unit="ms")
    table.row("resident before, MB", before, unit="MB")
    table.row("on top at most, MB", most - before, ("< 150 MB", lambda mb: mb < 150), unit="MB")
    table.row("resident at the end, MB", end, unit="MB")
    table.row("pushes without scrapes: p99, ms", quiet["p99_ms"], unit="ms")
    table.row("pushes beside scrapes: p99, ms", scraped["p99_ms"], ("< 50 ms", lambda ms: ms < 50), unit="ms")
    table.row("pushes beside scrapes: longest, ms", scraped["max_ms"], unit="ms")
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
