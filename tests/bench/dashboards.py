#!/usr/bin/env python3
"""How long the queries of the Grafana dashboards take over 30 days of 300 sites with 4 links each, on Debian's Prometheus.

Fills an empty Prometheus by remote write, in the order of time, so that its blocks are those that it would have made itself. What a panel asks
over the whole time is there for the whole time: verdicts, registers, coverage and contracts of all sites at the scrape interval (--scrape), and of
the one site that is looked at also its links, its rounds (--round) and its interface. What a panel asks of one instant only is there for all sites
in the last ten minutes. Then every query of every panel is asked, those over time at a thousand points, --repeat times; the worst and the first time
are printed, and the most CPU time that Prometheus took, which is what a quiet machine would need.

Nothing is compressed on the way and values repeat within half an hour of a series, so the figures are of the queries, not of ingest.
"""

import argparse
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
END = 1_736_874_000  # 2025-01-15 00:00 in Vietnam
VERDICTS = ["online", "degraded", "wan_down", "offline", "agent_silent"]
WINDOWS = ["24h", "7d", "30d", "month"]
LINKS = [("lan", "lan", ""), ("wan", "wan", "VNPT"), ("internet", "internet", "FPT"), ("service-mail", "service", "")]
CARRIERS = ["VNPT", "Viettel", "CMC"]


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def snappy(data):
    """Block format, all of it literals."""
    out = bytearray(varint(len(data)))
    for start in range(0, len(data), 65536):
        piece = data[start:start + 65536]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


def labels(metric, /, **more):
    pairs = {"__name__": metric, **{key: value for key, value in more.items() if value}}
    return b"".join(field(1, field(1, key.encode()) + field(2, value.encode())) for key, value in sorted(pairs.items()))


class Window:
    """Half an hour; the samples of a value at an interval are made once."""

    def __init__(self, start, length):
        self.start, self.length, self.made, self.count, self.body = start, length, {}, 0, []

    def samples(self, value, every):
        key = (value, every)
        if key not in self.made:
            pack = b"\x09" + struct.pack("<d", value) + b"\x10"
            times = range(self.start + every, self.start + self.length + 1, every)
            self.made[key] = (b"".join(field(2, pack + varint(at * 1000)) for at in times), len(times))
        return self.made[key]

    def add(self, head, value, every):
        samples, count = self.samples(value, every)
        self.count += count
        body = head + samples
        self.body.append(b"\x0a" + varint(len(body)) + body)


def province(sites):
    tiers = ["province", "district", "commune"]
    for number in range(sites):
        yield {
            "id": f"don-vi-{number:03}", "name": f"Ủy ban nhân dân xã {number}", "tier": tiers[0 if number < 10 else 1 if number < 30 else 2],
            "branch": ["state", "party", "mass"][number % 3], "district": f"Huyện {number % 9}", "carrier": CARRIERS[number % 3], "number": number,
        }


def whole(sites, looked_at, scrape, every_round):
    """Series that are there all the time: labels, how the value is chosen, interval."""
    rng = random.Random(7)
    rare = lambda good, bad: lambda: good if rng.random() > 0.01 else bad
    for site in sites:
        yield labels("wan_site_info", site=site["id"], name=site["name"], tier=site["tier"], branch=site["branch"], district=site["district"]), lambda: 1.0, scrape
        for kind in ("wan", "internet"):
            contract = dict(site=site["id"], link=kind, kind=kind, carrier=site["carrier"], contract=f"HD-{site['carrier']}")
            yield labels("wan_contract_uptime_ratio", **contract), lambda: rng.choice([0.999, 0.998, 0.9951]), scrape
            yield labels("wan_contract_standing", standing="met" if site["number"] % 10 else "missed", **contract), lambda: 1.0, scrape
    for tier in ("province", "district", "commune", "all"):
        for bound in ("low", "high"):
            yield labels("wan_coverage_ratio", tier=tier, branch="all", bound=bound), lambda: rng.choice([0.7, 0.71, 0.72]), scrape
        yield labels("wan_coverage_target_ratio", tier=tier), lambda: 0.7, scrape
    for link, kind, carrier in LINKS:
        one = dict(site=looked_at, link=link, kind=kind, carrier=carrier)
        yield labels("wan_link_up", **one), rare(1.0, 0.0), scrape
        yield labels("wan_link_degraded", **one), lambda: 0.0, scrape
        for name, value in (("sent", 5), ("received", 5), ("rtt_min_seconds", 0.004), ("rtt_median_seconds", 0.005), ("rtt_max_seconds", 0.009)):
            yield labels(f"wan_round_{name}", site=looked_at, link=link, probe="icmp", target="10.79.0.2"), rare(value, value * 0.8), every_round
    for name in ("sent", "received"):
        yield labels(f"wan_round_{name}", site="don-vi-000", about=looked_at, link="wan", probe="icmp", target="10.79.1.1"), lambda: 5.0, every_round
    for name in ("receive_bytes", "transmit_bytes", "receive_errors", "transmit_errors", "receive_drops", "transmit_drops"):
        yield labels(f"wan_interface_{name}_total", site=looked_at, interface="eth0"), lambda: 5.0, every_round
    collector = [("requests_total", dict(code="200")), ("samples_total", {}), ("refused_samples_total", {}), ("engine_queue_requests", {}),
                 ("journal_bytes", {}), ("journal_failures_total", {}), ("journal_damaged_frames_total", {}), ("checkpoint_failures_total", {}),
                 ("outbox_pending", dict(channel="mail")), ("notices_total", dict(channel="mail", result="delivered")), ("quality_behind_seconds", {})]
    for name, more in collector:
        yield labels(f"wan_collector_{name}", **more), lambda: 5.0, scrape
    for name in ("request_duration_seconds", "journal_sync_duration_seconds", "checkpoint_duration_seconds"):
        for bucket in ("0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"):
            yield labels(f"wan_collector_{name}_bucket", le=bucket), lambda: 5.0, scrape


def of_now(sites, looked_at):
    """What is asked of an instant only."""
    for site in sites:
        one = site["id"]
        for name, value in (("up", 1), ("latitude_degrees", 11), ("longitude_degrees", 106), ("last_seen_timestamp_seconds", END - 5), ("queue_bytes", 10),
                            ("clock_offset_seconds", 0.1), ("agent_boot_timestamp_seconds", END - 9e5), ("dropped_samples_total", 0)):
            yield labels(f"wan_site_{name}", site=one), value
        yield labels("wan_site_agent_info", site=one, version="0.1.0"), 1
        for window in WINDOWS:
            for name in ("uptime", "availability", "observed"):
                yield labels(f"wan_site_{name}_ratio", site=one, window=window), 0.99
            for cause in ("carrier", "power"):
                yield labels("wan_site_downtime_seconds", site=one, window=window, cause=cause), site["number"]
        for link, kind, _ in LINKS:
            label = dict(site=one, link=link, kind=kind, carrier=site["carrier"] if kind in ("wan", "internet") else "")
            # Of the site that is looked at the states are there all the time.
            states = () if one == looked_at else ("up", "degraded")
            for name in (*states, "loss_ratio", "rtt_median_seconds"):
                yield labels(f"wan_link_{name}", **label), 1
            for window in WINDOWS:
                for name in ("uptime", "availability", "observed"):
                    yield labels(f"wan_link_{name}_ratio", window=window, **label), 0.99
                for cause in ("carrier", "power"):
                    yield labels("wan_link_downtime_seconds", window=window, cause=cause, **label), site["number"]
        for kind in ("wan", "internet"):
            contract = dict(site=one, link=kind, kind=kind, carrier=site["carrier"], contract=f"HD-{site['carrier']}")
            yield labels("wan_contract_target_ratio", **contract), 0.99
            for bound in ("low", "high"):
                yield labels("wan_contract_uptime_bound_ratio", bound=bound, **contract), 0.99
            for state in ("kept", "charged", "excused", "undecided"):
                yield labels("wan_contract_time_seconds", state=state, **contract), 1000
        if site["number"] % 30 == 0:
            yield labels("wan_incident_start_timestamp_seconds", site=one, link="wan", kind="outage", cause="carrier"), END - 600
    for tier in ("province", "district", "commune", "all"):
        yield labels("wan_coverage_equipped_ratio", tier=tier, branch="all"), 0.9
    for name in ("build_info", "start_time_seconds", "agent_config_good", "alert_config_good"):
        yield labels(f"wan_collector_{name}", version="0.1.0" if name == "build_info" else ""), 1


class Prometheus:
    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "prometheus.yml").write_text("global: {scrape_interval: 1m}\n")
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=100y",
             f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver"], stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                self.ask("/-/ready")
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("Prometheus does not start: see " + str(folder / "log"))

    def ask(self, path, data=None, headers={}):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.read()

    def write(self, window):
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
        for start in range(0, len(window.body), 2000):
            self.ask("/api/v1/write", snappy(b"".join(window.body[start:start + 2000])), headers)
        window.body = []

    def cpu(self):
        """What the process has used, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def query(self, path, **parameters):
        started, used = time.monotonic(), self.cpu()
        answer = json.loads(self.ask(path, urllib.parse.urlencode(parameters).encode()))
        return time.monotonic() - started, self.cpu() - used, len(answer["data"]["result"])

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def fill(prometheus, options, looked_at):
    sites = list(province(options.sites))
    series = list(whole(sites, looked_at, options.scrape, options.round))
    rng, half_hour = random.Random(11), 1800
    start, total, began, grows = END - options.days * 86400, 0, time.monotonic(), 0.0
    while start < END:
        window = Window(start, half_hour)
        for head, value, every in series:
            window.add(head, value(), every)
        for site in sites:
            verdict = VERDICTS[0] if rng.random() > 0.02 else rng.choice(VERDICTS)
            window.add(labels("wan_site_verdict", site=site["id"], verdict=verdict), 1.0, options.scrape)
        if start + half_hour == END:
            for head, value in of_now(sites, looked_at):
                window.add(head, float(value), options.scrape)
        prometheus.write(window)
        total += window.count
        start += half_hour
        if (END - start) % 86400 == 0:
            print(f"{(END - start) // 86400} days to go, {total / 1e6:.0f} million samples, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return total, time.monotonic() - began


def substitute(query, options, looked_at, step):
    values = {"__rate_interval": f"{max(step + options.scrape, 4 * options.scrape)}s", "__interval": f"{step}s", "__range": f"{options.days * 86400}s",
              "tier": ".*", "branch": ".*", "district": ".*", "carrier": ".*", "contract": ".*", "link": ".*", "site": looked_at, "window": "30d"}
    for name in sorted(values, key=len, reverse=True):
        query = query.replace(f"${name}", values[name])
    return query


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--scrape", type=int, default=60, help="seconds between scrapes of the collector")
    parser.add_argument("--round", type=int, default=5, help="seconds between rounds of the site that is looked at")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", help="a folder to keep the store in, and to take it from where it is there already")
    parser.add_argument("--all", action="store_true", help="print every query, not the slowest of each dashboard")
    options = parser.parse_args()
    looked_at = f"don-vi-{options.sites // 2:03}"
    folder = Path(options.keep or tempfile.mkdtemp(prefix="wan-dashboards-"))
    filled = (folder / "data").exists()
    folder.mkdir(parents=True, exist_ok=True)
    prometheus = Prometheus(folder)
    try:
        if not filled:
            total, took = fill(prometheus, options, looked_at)
            print(f"{options.sites} sites, {options.days} days, a scrape every {options.scrape} s: {total / 1e6:.0f} million samples, written in {took:.0f} s")
        step = options.days * 86400 // 1000
        slow = False
        for which in ("province", "site", "carriers", "monitor"):
            dashboard = json.loads((ROOT / f"deploy/grafana/dashboards/en/{which}.json").read_text())
            rows = []
            for panel in dashboard["panels"]:
                for target in panel.get("targets", []):
                    query = substitute(target["expr"], options, looked_at, step)
                    if target["range"]:
                        ask = lambda: prometheus.query("/api/v1/query_range", query=query, start=END - options.days * 86400, end=END, step=step)
                    else:
                        ask = lambda: prometheus.query("/api/v1/query", query=query, time=END)
                    times = [ask() for _ in range(options.repeat)]
                    worst = max(took for took, _, _ in times)
                    rows.append((worst, times[0][0], max(used for _, used, _ in times), times[0][2], panel["title"], target["refId"]))
            rows.sort(reverse=True)
            for worst, first, cpu, series, title, ref in rows if options.all else rows[:3]:
                print(f"{which}: {title}: {ref}: worst of {options.repeat} {worst:.2f} s (CPU {cpu:.2f} s), first {first:.2f} s, {series} series")
            slow |= rows[0][0] > 2
    finally:
        prometheus.stop()
        if not options.keep:
            shutil.rmtree(folder)
    sys.exit("a query takes more than 2 s" if slow else 0)


if __name__ == "__main__":
    main()
