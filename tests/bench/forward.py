#!/usr/bin/env python3
"""What forwarding costs the ingest, how an hour of backlog comes home, and what SIGKILL loses between agent and store.

ingest:  the collector alone on core 0, load and a store that takes everything on core 1; `wan-load` in closed loop, with and without
         forwarding in turn. Also how much waited at the end of the load, and how long that took to be delivered.
outage:  Debian's VictoriaMetrics is away while as many samples as --rate × --hours has are pushed, faster than real time; then live pushes of
         --rate go on, the store starts, and every 100 ms a marker is pushed: how long until nothing waits, and how late the markers are in
         the store meanwhile. Beside them others are pushed to the store directly: so much of it is the store's own.
kills:   markers are pushed, the collector is killed --kills times with the store there and away by turns; every acknowledged marker must be in
         VictoriaMetrics at the end.

    cargo build --release -p wan-collector -p wan-tests --bins
    tests/bench/forward.py ingest|outage|kills

Exit code 1 when a bound is not met.
"""

import argparse
import atexit
import http.client
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import lab


# Rounds before the load's measurement.
WARM_UP = 2


class Sink(http.server.BaseHTTPRequestHandler):
    """A store that takes everything and keeps nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        while left > 0:
            left -= len(self.rfile.read(min(left, 1 << 16)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def sink(port):
    os.sched_setaffinity(0, {1})
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Sink).serve_forever()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def marker(millis, name=b"bench_marker"):
    """A request of remote write 1.0 with one sample of a series, in a snappy block of literals."""
    import struct

    label = field(1, b"__name__") + field(2, name)
    sample = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint(millis)
    plain = field(1, field(1, label) + field(2, sample))
    return varint(len(plain)) + bytes([60 << 2, len(plain) - 1]) + plain


class Place:
    """A collector with sites and secrets in a folder of its own."""

    def __init__(self, arguments, sites):
        self.arguments = arguments
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench.", dir=os.environ.get("WANWATCH_BENCH_DIR", "/var/tmp")))
        atexit.register(shutil.rmtree, self.folder, True)
        self.port, self.store_port = free_port(), free_port()
        self.process = self.store = None
        atexit.register(lambda: [p.kill() for p in (self.process, self.store) if p])
        (self.folder / "sites.csv").write_text(
            "id,name,tier,branch\n" + "".join(f"site-{n:05},Site {n},commune,state\n" for n in range(1, sites + 1)))
        self.configure("")
        run = [arguments.collector, "--config", str(self.config)]
        subprocess.run([*run, "sites", "import", str(self.folder / "sites.csv")], check=True, stdout=subprocess.DEVNULL)
        self.secrets = self.folder / "secrets.csv"
        subprocess.run([*run, "agents", "issue", "--all", "--output", str(self.secrets)], check=True, stdout=subprocess.DEVNULL)
        self.bearer = next(line.rsplit(",", 1)[1].strip() for line in self.secrets.read_text().splitlines() if ",wan_" in line)
        shutil.copytree(self.folder / "data", self.folder / "template")

    def configure(self, forward):
        self.config = self.folder / "collector.yaml"
        self.config.write_text(f'listen: "127.0.0.1:{self.port}"\ndata: {self.folder / "data"}\n{forward}')

    def forward(self, more=""):
        self.configure(f'forward: [{{name: store, url: "http://127.0.0.1:{self.store_port}/api/v1/write"{more}}}]\n')

    def fresh(self):
        shutil.rmtree(self.folder / "data")
        shutil.copytree(self.folder / "template", self.folder / "data")

    def start(self, *before):
        words = [*before, self.arguments.collector, "--config", str(self.config), "serve", "--log", "warn"]
        self.process = subprocess.Popen(words, stdout=open(self.folder / "log", "a"), stderr=subprocess.STDOUT)
        until(lambda: self.get("/readyz")[0] == 200, 120, "the collector is ready")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()
        self.process = None

    def get(self, path, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def figure(self, name):
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name):
                return float(line.rsplit(" ", 1)[1])
        sys.exit(f"no {name}")

    def cpu(self):
        """Seconds of CPU that the collector has taken."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def load(self, *words, core="1"):
        made = ["taskset", "-c", core] if core else []
        made += [self.arguments.load, "--server", f"127.0.0.1:{self.port}", "--secrets", str(self.secrets), *map(str, words)]
        return subprocess.Popen(made, stdout=subprocess.PIPE, text=True)

    def start_store(self):
        log = open(self.folder / "store.log", "a")
        self.store = subprocess.Popen(
            ["victoria-metrics", f"-storageDataPath={self.folder / 'store'}", f"-httpListenAddr=127.0.0.1:{self.store_port}",
             "-retentionPeriod=1", "-search.latencyOffset=0s", "-search.disableCache"], stdout=log, stderr=log)
        until(lambda: self.get("/health", self.store_port)[0] == 200, 120, "the store answers")

    def stop_store(self):
        """Cleanly, as what VictoriaMetrics has confirmed stays in its memory for seconds."""
        self.store.terminate()
        self.store.wait()
        self.store = None

    def exported(self, name="bench_marker"):
        """The times of all markers that the store has, in milliseconds."""
        text = self.get(f"/api/v1/export?match[]={name}", self.store_port)[1]
        return {time for line in text.splitlines() for time in json.loads(line)["timestamps"]}

    def push(self, millis):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "Authorization": f"Bearer {self.bearer}"}
        connection.request("POST", "/api/v1/write", marker(millis), headers)
        return connection.getresponse().status == 204

    def push_direct(self, millis):
        """Past the collector: what the store itself takes until it shows a sample."""
        connection = http.client.HTTPConnection("127.0.0.1", self.store_port, timeout=30)
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        connection.request("POST", "/api/v1/write", marker(millis, b"bench_direct"), headers)
        return connection.getresponse().status == 204


def until(check, limit, what, every=0.1):
    end = time.monotonic() + limit
    while True:
        try:
            if check():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            sys.exit(f"not so within {limit} s: {what}")
        time.sleep(every)


def ingest(arguments, table):
    place = Place(arguments, arguments.sites)
    child = os.fork()
    if child == 0:
        sink(place.store_port)
    atexit.register(os.kill, child, signal.SIGKILL)
    rates = {"without": [], "with": []}
    cpu = {"without": [], "with": []}
    waited, drained = [], []
    for _ in range(arguments.repeat):
        for how in rates:
            place.fresh()
            place.forward() if how == "with" else place.configure("")
            place.start("taskset", "-c", "0")
            began_with = place.cpu()
            done = place.load("--sites", arguments.sites, "--rounds", arguments.rounds, "--warmup-rounds", WARM_UP, "--settle-seconds", "0").communicate()[0]
            rates[how].append(json.loads(done.strip().splitlines()[-1])["requests_per_second"])
            if how == "with":
                waited.append(place.figure("wan_collector_forward_backlog_requests"))
                began = time.monotonic()
                until(lambda: place.figure("wan_collector_forward_backlog_requests") == 0, 300, "nothing waits")
                drained.append(time.monotonic() - began)
            cpu[how].append((place.cpu() - began_with) * 1e6 / (arguments.sites * (arguments.rounds + WARM_UP) * 40))
            place.stop()
    table.row("requests/s (40 samples each), no forwarding", rates["without"], unit="", digits=0)
    table.row("requests/s, forwarding", rates["with"], unit="", digits=0)
    cost = [100 * (1 - b / a) for a, b in zip(rates["without"], rates["with"])]
    table.row("what forwarding costs, % of the throughput", cost, ("<= 30", lambda median: median <= 30))
    for how in cpu:
        table.row(f"the collector's CPU, µs a sample, {how} forwarding", cpu[how], digits=2)
    more = [100 * (b / a - 1) for a, b in zip(cpu["without"], cpu["with"])]
    table.row("so much more CPU, %", more)
    table.row("requests that waited at the end of the load", waited, digits=0)
    table.row("until they were delivered, s", drained)


class Way:
    """Pushes a marker every 100 ms, and says how late each was seen, at most."""

    def __init__(self, push):
        self.sent, self.late, self.seen, self.stop = [], [], set(), threading.Event()
        self.thread = threading.Thread(target=self.run, args=(push,))
        self.thread.start()

    def run(self, push):
        while not self.stop.is_set():
            now = int(time.time() * 1000)
            if push(now):
                self.sent.append(now)
            self.stop.wait(0.1)

    def look(self, exported):
        now = time.time() * 1000
        for at in (exported() & set(self.sent)) - self.seen:
            self.seen.add(at)
            self.late.append((now - at) / 1000)
        self.late.extend((now - at) / 1000 for at in list(self.sent) if at not in self.seen)

    def end(self):
        self.stop.set()
        self.thread.join()


def outage(arguments, table):
    place = Place(arguments, arguments.sites)
    place.forward()
    place.start_store()
    place.start()
    # VictoriaMetrics remembers for ten seconds that there is no such series: it knows them before it goes.
    first = int(time.time() * 1000)
    until(lambda: place.push(first) and place.push_direct(first), 60, "the store takes markers")
    until(lambda: place.exported() and place.exported("bench_direct"), 60, "the store shows markers")
    place.stop_store()
    samples = int(arguments.rate * 3600 * arguments.hours)
    rounds = 100
    runs = max(1, round(samples / 40 / (rounds * arguments.sites)))
    for run in range(runs):
        done = place.load("--sites", arguments.sites, "--rounds", rounds, "--warmup-rounds", 0, "--seed", run, "--settle-seconds", 0, core="")
        json.loads(done.communicate()[0].strip().splitlines()[-1])
    samples = runs * rounds * arguments.sites * 40
    waiting = place.figure("wan_collector_forward_backlog_requests")
    print(f"{samples:,} samples in {waiting:,.0f} requests wait for the store", flush=True)
    live = place.load("--sites", arguments.sites, "--rounds", max(1, round(arguments.rate / 40 * 600 / arguments.sites)),
                      "--warmup-rounds", 0, "--rate", arguments.rate / 40, "--seed", 99, core="")
    atexit.register(live.kill)
    time.sleep(10)
    began = time.monotonic()
    place.start_store()
    up = time.monotonic()
    ways = {"bench_marker": Way(place.push), "bench_direct": Way(place.push_direct)}
    lag = []
    while True:
        for name, way in ways.items():
            way.look(lambda: place.exported(name))
        waits = place.figure("wan_collector_forward_lag_seconds")
        # What came before the store did has waited for other reasons.
        if waits < time.monotonic() - up:
            lag.append(waits)
        if place.figure("wan_collector_forward_backlog_seconds") < 5:
            break
        if time.monotonic() - up > 900:
            sys.exit("the backlog was not delivered within 15 min")
        time.sleep(0.3)
    delivered = time.monotonic() - up
    for way in ways.values():
        way.end()
    live.kill()
    until(lambda: not set(ways["bench_marker"].sent) - place.exported(), 60, "every marker is there")
    confirmed = place.figure("wan_collector_forward_samples_total")
    table.row("samples that waited", samples, digits=0)
    table.row("the store's start to its first answer, s", up - began)
    table.row("from there until all is delivered, s", delivered, ("<= 180", lambda median: median <= 180))
    table.row("samples/s meanwhile", confirmed / delivered, digits=0)
    table.row("live samples: confirmed by the store after, at most, s", max(lag), ("<= 5", lambda most: most <= 5))
    for name, way in ways.items():
        bound = ("<= 5", lambda most: most <= 5) if name == "bench_marker" else None
        table.row(f"seen in the store after, at most, s: {name}", max(way.late), *[bound] * bool(bound))
    refused = place.get("/metrics")[1]
    lost = sum(float(line.rsplit(" ", 1)[1]) for line in refused.splitlines()
               if line.startswith(("wan_collector_forward_refused_samples_total", "wan_collector_forward_given_up_requests_total")))
    table.row("samples refused, requests given up", lost, ("0", lambda found: found == 0), digits=0)
    place.stop()
    place.stop_store()


def kills(arguments, table):
    place = Place(arguments, 1)
    place.forward()
    place.start_store()
    place.start()
    acknowledged = []
    stop = threading.Event()

    def pushes():
        last = 0
        while not stop.is_set():
            last = max(last + 1, int(time.time() * 1000))
            try:
                if place.push(last):
                    acknowledged.append(last)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    threads = threading.Thread(target=pushes)
    threads.start()
    for kill in range(arguments.kills):
        if kill % 4 == 1:
            place.stop_store()
        before = len(acknowledged)
        until(lambda: len(acknowledged) > before + 50, 60, "the load goes on")
        time.sleep(0.3 * (kill % 5))
        place.stop(signal.SIGKILL)
        place.start()
        if kill % 4 == 3 and place.store is None:
            place.start_store()
    if place.store is None:
        place.start_store()
    stop.set()
    threads.join()
    until(lambda: place.figure("wan_collector_forward_backlog_requests") == 0, 120, "nothing waits")
    time.sleep(2)
    missing = set(acknowledged) - place.exported()
    table.row("kills", arguments.kills, digits=0)
    table.row("samples acknowledged", len(acknowledged), digits=0)
    table.row("of these not in the store", len(missing), ("0", lambda found: found == 0), digits=0)
    place.stop()
    place.stop_store()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ingest", "outage", "kills"])
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"))
    parser.add_argument("--load", default=str(lab.ROOT / "target/release/wan-load"))
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200, help="of each site, in `ingest` [200]")
    parser.add_argument("--repeat", type=int, default=3, help="measurements of each, in `ingest` [3]")
    parser.add_argument("--rate", type=float, default=10_000, help="samples a second, in `outage` [10000]")
    parser.add_argument("--hours", type=float, default=1, help="of absence, in `outage` [1]")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of the table")
    arguments = parser.parse_args()
    for binary in (arguments.collector, arguments.load):
        lab.need_binary(binary)
    lab.ends_with_signals()
    table = lab.Table(arguments.json)
    {"ingest": ingest, "outage": outage, "kills": kills}[arguments.what](arguments, table)
    sys.exit(table.code())


if __name__ == "__main__":
    main()
