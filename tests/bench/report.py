#!/usr/bin/env python3
"""How long the report of a month takes, and how much memory: a made-up province of so many sites, a month of evidence with outages.

The register is imported by the program itself; evidence, boots, planned works and figures of quality are written to its database as a
checkpoint would.
Every tenth site is a hub that others hang from; there are cuts of carriers and ISPs, LAN failures, power cuts with a boot behind them,
lossy evenings, sites that are not equipped yet, and two stops of the collector.

    cargo build --release -p wan-collector
    tests/bench/report.py [--sites 300,10000] [--repeat 3] [--program target/release/wan-collector]
    tests/bench/report.py --make FOLDER --sites 300     only make the data folder; FOLDER/collector.yaml is its configuration

Exit code 1 when a bound is not met: 2 s for 300 sites; 30 s and 500 MB for 10,000.
"""

import argparse
import bisect
import datetime
import os
import pathlib
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOUR = 3_600_000
# October 2025 in Vietnam.
START = int(datetime.datetime(2025, 9, 30, 17, tzinfo=datetime.timezone.utc).timestamp() * 1000)
END = START + 31 * 24 * HOUR
MONTH = "2025-10"
FAULT, DOWN, DEGRADED, UP = range(4)
BOUNDS = {300: (2.0, 500), 10_000: (30.0, 500)}
CARRIERS = ["VNPT", "Viettel", "MobiFone"]

CONFIG = """data: data
plan:
  tiers:
    - {id: province, name: {vi: Cấp tỉnh, en: Province}, target: 70%}
    - {id: commune, name: {vi: Cấp xã, en: Commune}, target: 50%}
  rtt_limit: {wan: 100ms, internet: 250ms}
calendar:
  holidays:
    - {days: 2025-10-10, name: Ngày Chuyển đổi số quốc gia}
contracts:
  - {id: VNPT-TSL, name: Thuê kênh truyền số liệu VNPT, carrier: VNPT, kind: wan, uptime: 99.8%, rtt_limit: 40ms, loss_limit: 0.5%}
  - {id: VIETTEL-TSL, name: Thuê kênh truyền số liệu Viettel, carrier: Viettel, kind: wan, uptime: 99.5%, rtt_limit: 30ms, loss_limit: 0.2%, hours: service}
  - {id: MOBIFONE-TSL, name: Thuê kênh truyền số liệu MobiFone, carrier: MobiFone, kind: wan, uptime: 99.9%, rtt_limit: 50ms}
  - {id: FTTH-2025, name: Cáp quang Internet 2025, kind: internet, uptime: 99%}
"""

PLACES = ["Tân Hà", "Thạnh Bình", "Ninh Điền", "Phước Vinh", "Long Thuận", "Trường Hòa", "Lộc Ninh", "Cầu Khởi", "Hảo Đước", "An Cơ"]
BODIES = [("Đảng ủy xã", "party"), ("Ủy ban nhân dân xã", "state"), ("Mặt trận Tổ quốc xã", "mass")]


def register(count):
    rows = ["id,name,tier,branch,parent,watches,links,wan.carrier,wan.contract,internet.carrier,internet.contract"]
    rows.append("trung-tam,Trung tâm Dữ liệu tỉnh,province,state,,all,lan,VNPT,VNPT-TSL,Viettel,FTTH-2025")
    for number in range(1, count):
        hub = number % 10 == 1
        carrier = CARRIERS[number % 3]
        body, branch = BODIES[number % 3]
        tier = "province" if hub else "commune"
        name = f"Sở số {number}" if hub else f"{body} {PLACES[number % 10]} {number}"
        parent = "trung-tam" if hub else site(number - (number - 1) % 10)
        contract = f"{carrier.upper()}-TSL"
        rows.append(f"{site(number)},{name},{tier},{branch},{parent},,lan,{carrier},{contract},{CARRIERS[(number + 1) % 3]},FTTH-2025")
    return "\n".join(rows) + "\n"


def site(number):
    return f"don-vi-{number:05}" if number else "trung-tam"


def spans(cuts, silent):
    """Up but for the cuts [(from, to, outcome)], and nothing at all while silent: in order, without overlaps."""
    edges = {START, END}
    for begin, end, *_ in list(cuts) + list(silent):
        edges |= {begin, end}
    edges = sorted(edge for edge in edges if START <= edge <= END)
    out = []
    for begin, end in zip(edges, edges[1:]):
        if any(a <= begin < b for a, b in silent):
            continue
        outcome = min((o for a, b, o in cuts if a <= begin < b), default=UP)
        if out and out[-1][1] == begin and out[-1][2] == outcome:
            out[-1] = (out[-1][0], end, outcome)
        else:
            out.append((begin, end, outcome))
    return out


def number(value):
    """As quality/codec.rs writes integers: LEB128."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


BINS = [10]
while len(BINS) < 203:
    BINS.append(BINS[-1] * 21 // 19)


def quality_day(shortest, evening, lost):
    """A UTC day of hours as quality/codec.rs writes it: 720 rounds of five packets an hour, times in microseconds with a tail; evenings
    of Vietnam (12 to 15 UTC) are slower by so much, and lose so many packets of a thousand."""
    out = bytearray([6]) + number((1 << 24) - 1)
    before = 0
    for hour in range(24):
        low = shortest + random.randrange(shortest // 20) + (evening if 12 <= hour < 16 else 0)
        gone = sum(random.random() < (lost if 12 <= hour < 16 else lost / 20) / 1000 for _ in range(720)) * 5
        times = sorted(low + int(random.expovariate(1 / (low / 6))) for _ in range(60))
        got = 3600 - gone
        counts = {}
        for time_us in times:
            upper = bisect.bisect_left(BINS, time_us)
            counts[upper] = counts.get(upper, 0) + got // 60
        counts[max(counts)] += got - got // 60 * 60
        total = sum(times) * got // 60
        out += bytes([(3 if hour else 0) | (4 if gone == 0 else 0) | 16])
        out += b"" if hour else number(720) + number(3600)
        out += number(gone) if gone else b""
        step = times[0] - before
        out += number(step * 2 if step >= 0 else -step * 2 - 1)
        before = times[0]
        out += number(times[-1] - times[0]) + number(total - got * times[0]) + number((total - got * times[0]) // 2)
        bins = sorted(counts)
        out.append(bins[0])
        following = bins[0]
        for upper in bins:
            if upper > following:
                out += number(0) + number(upper - following)
            out += number(counts[upper])
            following = upper + 1
    return bytes(out)


def fill_quality(db, count):
    """Four links a site, each with a target of its own: of all sites that are equipped, and the centre's view of their WAN lines."""
    kinds = {"lan": (400, 0, 0.1), "wan": (8000, 4000, 2), "internet": (18000, 9000, 4), "service-van-ban": (9000, 4000, 2)}
    usual = {link: [quality_day(*figures) for _ in range(20)] for link, figures in kinds.items()}
    bad = [quality_day(36000, 30000, 30) for _ in range(20)]
    streams = []
    for which in range(count):
        if which % 12 != 11:
            streams += [(site(which), link, site(which)) for link in kinds]
    streams += [(site(which), "wan", "trung-tam") for which in range(1, count)]
    db.executemany("INSERT INTO quality_stream VALUES (?, ?, ?, ?, 'icmp', '192.0.2.1')",
                   [(index, *stream) for index, stream in enumerate(streams, 1)])
    first = START // (24 * HOUR)
    for day in range(first, first + 32):
        rows = []
        for index, (of, link, _) in enumerate(streams, 1):
            poor = link == "wan" and of.endswith("7")
            rows.append((day << 32 | index, random.choice(bad if poor else usual[link])))
        db.executemany("INSERT INTO quality_hour VALUES (?, ?)", rows)


def fill(database, count, seed=1):
    random.seed(seed)
    at = lambda: START + random.randrange(31 * 24 * 720) * 5_000
    length = lambda mean: max(5_000, int(random.expovariate(1 / mean)) // 5_000 * 5_000)
    stops = [(START + 9 * 24 * HOUR, START + 9 * 24 * HOUR + 40 * 60_000), (START + 20 * 24 * HOUR, START + 20 * 24 * HOUR + HOUR)]
    db = sqlite3.connect(database)
    series = 0
    for number in range(count):
        if number % 12 == 11:
            continue  # not equipped
        cuts = {"lan": [], "wan": [], "internet": [], "service-van-ban": []}
        silent = list(stops[1:])
        for _ in range(random.randrange(4)):
            begin = at()
            cuts["wan"].append((begin, begin + length(50 * 60_000), DOWN))
        for _ in range(random.randrange(4)):
            begin = at()
            cuts["internet"].append((begin, begin + length(40 * 60_000), DOWN))
        if random.random() < 0.3:
            begin = at()
            end = begin + length(30 * 60_000)
            for link in cuts:
                cuts[link].append((begin, end, DOWN))
        for _ in range(random.randrange(3)):
            begin = at()
            cuts["wan"].append((begin, begin + length(20 * 60_000), DEGRADED))
        for _ in range(random.randrange(3)):
            begin = at()
            end = begin + length(90 * 60_000)
            silent.append((begin, end))
            db.execute("INSERT OR IGNORE INTO life VALUES (?, ?, 20, ?, ?)", (site(number), f"@{(end - 60_000) // 60_000}", end, end - 60_000))
        if random.random() < 0.1:
            begin = at()
            silent.append((begin, begin + length(5 * HOUR)))
        for link, cut in cuts.items():
            series += 1
            db.execute("INSERT INTO series VALUES (?, ?, ?, ?)", (series, site(number), link, site(number)))
            rows = [(series, begin, end, outcome) for begin, end, outcome in spans(cut, silent)]
            db.executemany("INSERT INTO span VALUES (?, ?, ?, ?)", rows)
        db.execute("INSERT INTO agent_secret (hash, site, issued_ms) VALUES (?, ?, ?)", (os.urandom(32), site(number), START - 30 * 24 * HOUR))
    runs = [START - 24 * HOUR] + [edge for stop in stops for edge in stop] + [END + 24 * HOUR]
    db.executemany("INSERT INTO collector_alive VALUES (?, ?)", zip(runs[::2], runs[1::2]))
    work = START + 18 * 24 * HOUR + 22 * HOUR
    db.execute("INSERT INTO planned_window (scope, scope_of, occurs, reason, added_ms, added_by) VALUES ('carrier', 'VNPT', ?, ?, ?, 'binh')",
               (f"once {work}..{work + 2 * HOUR}", "Thay cáp quang", START))
    fill_quality(db, count)
    db.execute("UPDATE state SET journal_position = 1, register_revision = register_revision + 1")
    db.commit()
    db.close()


def make(folder, count, program):
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "collector.yaml"
    config.write_text(CONFIG)
    (folder / "sites.csv").write_text(register(count))
    subprocess.run([program, "--config", config, "sites", "import", folder / "sites.csv"], check=True, stdout=subprocess.DEVNULL)
    fill(folder / "data" / "wanwatch.db", count)
    return config


def measure(config, program, form, output):
    begin = time.monotonic()
    subprocess.run([program, "--config", config, "report", "--month", MONTH, "--format", form, "--output", output],
                   check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def resident(config, program, output):
    """Most memory of one run, in MB, in a child of its own."""
    code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    run = [sys.executable, "-c", code, program, "--config", config, "report", "--month", MONTH, "--format", "xlsx", "--output", output]
    return int(subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", default="300,10000")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--program", default=str(ROOT / "target/release/wan-collector"))
    parser.add_argument("--make", type=pathlib.Path, metavar="FOLDER")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.sites.split(",")]
    if arguments.make:
        print(make(arguments.make, counts[0], arguments.program))
        return 0
    failed = False
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            config = make(folder, count, arguments.program)
            for form in ["xlsx", "html", "csv", "json"]:
                output = folder / f"report.{form}"
                times = [measure(config, arguments.program, form, output) for _ in range(arguments.repeat)]
                print(f"{count} sites, {form}: {statistics.median(times):.2f} s ({min(times):.2f}–{max(times):.2f}), {output.stat().st_size / 1e6:.1f} MB")
                failed |= statistics.median(times) > BOUNDS.get(count, (1e9, 0))[0]
            memory = resident(config, arguments.program, folder / "report.xlsx")
            print(f"{count} sites, xlsx: {memory:.0f} MB resident at most")
            failed |= memory > BOUNDS.get(count, (0, 1e9))[1]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
