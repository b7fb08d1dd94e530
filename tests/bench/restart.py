#!/usr/bin/env python3
"""The start of a collector that has years of ledger: until it is ready, until it answers about all sites, until all is loaded.

A register is imported, and a store is filled with the spans of years of outages (a link is up but for one outage a week of one
minute to two hours) and the boots of their hosts, as the collector stores them. Then `wan-collector serve` is started again and
again on it, each time after a clean stop. The files are in the page cache, as after a restart of the program; `--cold` drops the
cache before each start, as after a boot of the host (as root).

    cargo build --release -p wan-collector
    tests/bench/restart.py [--sites 10000] [--years 3] [--starts 3] [--data FOLDER]

With --data the folder is kept, and used again when it is there. Exit code 1 when a bound is not met: 2 s to both.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import lab

LINKS = ("lan", "wan-vnpt", "wan-viettel", "internet")
WEEK = 7 * 86_400_000
UP, DOWN = 3, 1


def import_register(arguments, folder, port):
    """The configuration, the register and one secret a site."""
    config = folder / "collector.yaml"
    config.write_text(f'listen: "127.0.0.1:{port}"\ndata: {folder / "data"}\n')
    if (folder / "data/wanwatch.db").exists():
        return config, False
    sites = folder / "sites.csv"
    lines = ["id,name,tier,branch,links"]
    lines += [f"site-{n:05},Ủy ban nhân dân xã {n},commune,state,{' '.join(LINKS)}" for n in range(arguments.sites)]
    sites.write_text("\n".join(lines) + "\n")
    run = [arguments.collector, "--config", str(config)]
    subprocess.run([*run, "sites", "import", str(sites)], check=True, stdout=subprocess.DEVNULL)
    issue = [*run, "agents", "issue", "--all", "--output", str(folder / "secrets.csv")]
    subprocess.run(issue, check=True, stdout=subprocess.DEVNULL)
    return config, True


def fill(path, sites, years, now):
    """Spans and boots of so many years, by SQL: in the order of the tables' keys, which is the quickest."""
    weeks, chance = int(years * 52.18), random.Random(1)
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA synchronous = OFF")
    store.execute("BEGIN")
    names = [f"site-{n:05}" for n in range(sites)]
    series = ((4 * n + at + 1, name, link, name) for n, name in enumerate(names) for at, link in enumerate(LINKS))
    store.executemany("INSERT INTO series (id, site, link, vantage) VALUES (?, ?, ?, ?)", series)

    def spans():
        for number in range(1, 4 * sites + 1):
            at = now - weeks * WEEK - chance.randrange(WEEK)
            while at < now:
                outage = at + WEEK - chance.randrange(60_000, 7_200_000)
                yield number, at, min(outage, now), UP
                if outage < now:
                    yield number, outage, min(at + WEEK, now), DOWN
                at += WEEK

    def boots():
        for name in names:
            for week in range(0, weeks, 2):
                at = now - week * WEEK - chance.randrange(WEEK)
                yield name, f"@{at // 60_000}", 20, min(at + WEEK, now), at

    store.executemany("INSERT INTO span (series, start_ms, end_ms, outcome) VALUES (?, ?, ?, ?)", spans())
    store.executemany("INSERT INTO life (site, boot, start_s, told_ms, boot_ms) VALUES (?, ?, ?, ?, ?)", boots())
    store.execute("INSERT INTO collector_alive (start_ms, end_ms) VALUES (?, ?)", (now - weeks * WEEK, now))
    store.execute("COMMIT")
    count = store.execute("SELECT count(*) FROM span").fetchone()[0]
    store.close()
    return count


def get(port, path):
    """Status and body; None when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return None


def until(began, port, path, good):
    """Seconds since the start until the answer is good."""
    while time.monotonic() - began < 600:
        answer = get(port, path)
        if answer is not None and answer[0] == 200 and good(answer[1]):
            return time.monotonic() - began
        time.sleep(0.005)
    sys.exit(f"{path} was never answered")


def resident(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


def start(arguments, config, port, spans):
    """One start; its figures."""
    if arguments.cold:
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    began = time.monotonic()
    command = [arguments.collector, "--config", str(config), "serve", "--log", "warn"]
    process = subprocess.Popen(command)
    try:
        figures = {"ready": until(began, port, "/readyz", lambda _: True)}
        every = lambda body: len(json.loads(body)["sites"]) == arguments.sites
        figures["sites"] = until(began, port, "/api/v1/sites", every)
        figures["first"] = resident(process)
        figures["one"] = until(began, port, "/api/v1/sites/site-00000", lambda _: True)
        figures["metrics"] = until(began, port, "/metrics", lambda _: True)
        figures["whole"] = until(began, port, "/readyz", lambda body: body == b"ready\n")
        figures["resident"] = resident(process)
        year = get(port, "/api/v1/uptime?from=-1000d&site=site-00000")
        if year is None or year[0] != 200:
            sys.exit(f"three years are not answered: {year}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"), help="the binary to measure")
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--years", type=float, default=3)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--data", type=pathlib.Path, help="keep the folder, or use it again")
    parser.add_argument("--cold", action="store_true", help="drop the page cache before each start")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of the table")
    arguments = parser.parse_args()
    lab.need_binary(arguments.collector)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.data or pathlib.Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        config, is_new = import_register(arguments, folder, port)
        database = folder / "data/wanwatch.db"
        if is_new:
            fill(database, arguments.sites, arguments.years, int(time.time() * 1000))
        spans = sqlite3.connect(database).execute("SELECT count(*) FROM span").fetchone()[0]
        runs = [start(arguments, config, port, spans) for _ in range(arguments.starts)]
        table = lab.Table(arguments.json)
        what = f"{arguments.sites:,} sites, {spans:,} spans, {database.stat().st_size / 1e6:,.0f} MB of store"
        of = lambda name: [run[name] for run in runs]
        soon = ("< 2 s", lambda seconds: seconds < 2)
        table.row(f"{what}: start to /readyz", of("ready"), soon, unit="s", digits=2)
        table.row("to all sites now (/api/v1/sites)", of("sites"), soon, unit="s", digits=2)
        table.row("resident then", of("first"), unit="MB")
        table.row("to one site with its month (/api/v1/sites/ID)", of("one"), unit="s", digits=2)
        table.row("to /metrics", of("metrics"), unit="s", digits=2)
        table.row("to all of the history", of("whole"), unit="s", digits=2)
        table.row("resident then", of("resident"), unit="MB")
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
