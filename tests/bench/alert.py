#!/usr/bin/env python3
"""From the cut of a site to the message about it: Wanwatch beside Prometheus with blackbox_exporter and Alertmanager.

Both watch the same sites from the same network namespace, and are told of by webhook; each cut and each healing is timed for both from the
same moment, just before the rule that drops the site's packets at the hub is written. Nothing tells either of it but packets that do not
come. Cuts are spread over the sites, at moments that a seed decides.

    centre: collector, its agent, Prometheus, blackbox_exporter, Alertmanager, the receivers
       │
      hub ── site-01 … site-12: each an agent, and the address that both ask

    apt-get install prometheus prometheus-blackbox-exporter prometheus-alertmanager nftables
    cargo build --release -p wan-collector -p wan-agent
    tests/bench/alert.py [--profile default|fast] [--cuts 24 | --flaps 100]

default: Wanwatch with its defaults. The peer is scraped and evaluated each 5 s, `for: 15s`.
fast:    Wanwatch with the profile of one second of deploy/alerts.md. The peer is scraped and evaluated each second, `for: 3s`.

With `--flaps N` one site's line comes and goes N times instead, each time for long enough to be told, and what counts is how often anybody is.

The peer is set up to be quick: an answer may take 1 s (fast: 0.5 s) and not as long as the scrape, Alertmanager waits for nothing (`group_wait: 0s`,
`group_interval: 1s`, each site its own group). Exit code 1 when a bound is not met, when either stays silent about a cut, or when
Wanwatch tells of a site that was not cut.
"""

import argparse
import atexit
import collections
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import lab

CENTRE, PORT = "10.79.0.2", 8443
# How long a message may take before the cut counts as missed; above the peer's worst.
PATIENCE = 90
# Prometheus is asked by the same names in both profiles: its interval, `for`, and how long an answer may take.
PEERS = {"default": ("5s", "15s", "1s"), "fast": ("1s", "3s", "500ms")}
# To fire: median, worst; to be over: median.
BOUNDS = {"default": (8, 15, 5), "fast": (2.5, 4, None)}
# Between healing and the next cut of a lane at least, and at random so much more: no phase of either's intervals is preferred.
PAUSE = {"default": (8, 10), "fast": (5, 4)}
# A line that flaps: down and up for at least so long, and at random up to half as much more.
FLAPS = {"default": (10, 6), "fast": (4, 2)}
# What flaps is told to come and go at most so often, then once that it flaps, and nothing more until it has been well for long.
FLAPS_TOLD = 8

# What deploy/alerts.md calls the profile of one second, less what this province has no use for.
FAST_AGENTS = """\
all:
  round: {interval: 1s, timeout: 300ms}
sites:
  trung-tam:
    round: {interval: 500ms, packets: 3, timeout: 300ms}
"""
FAST_COLLECTOR = "ingest: {confirm: 1500ms}\n"


def build(arguments, sites):
    """The namespaces: (centre, hub, [of each site])."""
    centre, hub = lab.Space("centre"), lab.Space("hub")
    hub.sysctl("net/ipv4/ip_forward", 1)
    lab.wire(hub, centre, "centre", [("10.79.0.1/24", f"{CENTRE}/24")])
    centre.ip("route", "add", "default", "via", "10.79.0.1")
    spaces = []
    for number, site in enumerate(sites, 1):
        space = lab.Space(f"s{number}")
        lab.wire(hub, space, site, [(f"10.78.{number}.1/24", f"{router(number)}/24")])
        space.ip("route", "add", "default", "via", f"10.78.{number}.1")
        # The site's own network goes on while its line is cut.
        space.ip("addr", "add", "192.168.10.1/32", "dev", "lo")
        spaces.append(space)
    nft(hub, "add table inet cut; add set inet cut dead { type ifname; }; "
             "add chain inet cut lines { type filter hook forward priority 0; }; "
             "add rule inet cut lines iifname @dead drop; add rule inet cut lines oifname @dead drop")
    return centre, hub, spaces


def router(number):
    return f"10.78.{number}.2"


def nft(space, commands):
    space.run("nft", commands)


def wanwatch(arguments, centre, spaces, sites, url):
    """A collector that watches all sites, the centre's agent and theirs; the collector and the agents."""
    register = "sites:\n- {id: trung-tam, name: Trung tâm dữ liệu, tier: province, branch: state, watches: all}\n" + "".join(
        f"- {{id: {site}, name: Ủy ban nhân dân xã {number}, tier: commune, branch: state, "
        f"links: {{lan: , wan: {{router: {router(number)}}}}}}}\n" for number, site in enumerate(sites, 1))
    # The centre has no Internet here.
    own = "links: [{name: lan, targets: [{icmp: gateway}]}]\n"
    agents = FAST_AGENTS if arguments.profile == "fast" else "sites:\n  trung-tam:\n"
    further = (f"agents: agents.yaml\nplan: {{required: [lan, wan]}}\nalerts: {{channels: [{{name: hook, webhook: {{url: '{url}'}}}}]}}\n"
               + (FAST_COLLECTOR if arguments.profile == "fast" else ""))
    collector = lab.Collector(arguments.collector, centre, CENTRE, ["trung-tam", *sites], PORT, further=further,
                              register=register, files={"agents.yaml": f"{agents}    {own}"})

    def agent(site, space, links):
        config = f"collector:\n  urls: [{{url: '{collector.url}'}}]\n  secret: {collector.secrets[site]}\n{collector.trust}data: DATA\n{links}"
        return lab.Agent(arguments.agent, config, space=space, quiet=True)

    running = [agent("trung-tam", centre, own)]
    links = f"links:\n- {{name: lan, targets: [{{icmp: 192.168.10.1}}]}}\n- {{name: wan, targets: [{{icmp: {CENTRE}}}]}}\n"
    running += [agent(site, space, links) for site, space in zip(sites, spaces)]
    return collector, running


def prometheus(arguments, centre, sites, url):
    """Prometheus, blackbox_exporter and Alertmanager in the centre."""
    every, hold, answer = PEERS[arguments.profile]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-"))

    def write(name, text):
        (folder / name).write_text(text)
        return folder / name

    blackbox = write("blackbox.yml", f"modules: {{icmp: {{prober: icmp, timeout: {answer}, icmp: {{preferred_ip_protocol: ip4}}}}}}\n")
    alertmanager = write(
        "alertmanager.yml",
        "route: {receiver: hook, group_by: [site], group_wait: 0s, group_interval: 1s, repeat_interval: 4h}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{url}', send_resolved: true}}]}}]\n")
    rules = write("rules.yml", "groups:\n- name: sites\n  rules:\n"
                               f"  - {{alert: SiteDown, expr: probe_success == 0, for: {hold}}}\n")
    targets = "".join(f"  - {{targets: ['{router(number)}'], labels: {{site: {site}}}}}\n" for number, site in enumerate(sites, 1))
    config = write(
        "prometheus.yml",
        f"global: {{scrape_interval: {every}, scrape_timeout: {every}, evaluation_interval: {every}}}\n"
        f"rule_files: ['{rules}']\n"
        "alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:9093']}]}]}\n"
        f"scrape_configs:\n- job_name: sites\n  metrics_path: /probe\n  params: {{module: [icmp]}}\n  static_configs:\n{targets}"
        "  relabel_configs:\n  - {source_labels: [__address__], target_label: __param_target}\n"
        "  - {source_labels: [__param_target], target_label: instance}\n"
        "  - {target_label: __address__, replacement: '127.0.0.1:9115'}\n")
    programs = [
        ("prometheus-blackbox-exporter", 9115, f"--config.file={blackbox}", "--web.listen-address=127.0.0.1:9115"),
        ("prometheus-alertmanager", 9093, f"--config.file={alertmanager}", f"--storage.path={folder}/alertmanager",
         "--web.listen-address=127.0.0.1:9093", "--cluster.listen-address="),
        ("prometheus", 9090, f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb",
         "--web.listen-address=127.0.0.1:9090"),
    ]
    running = []
    for name, port, *words in programs:
        log = open(folder / f"{name}.log", "w")
        process = centre.popen(name, *words, stdout=log, stderr=log, cwd=folder)
        running.append(process)
        try:
            lab.in_child(centre, lab.wait_for_port, ("127.0.0.1", port), process.pid)
        except SystemExit:
            sys.exit(f"{name} did not start:\n{(folder / f'{name}.log').read_text()[-2000:]}")
    return running


class Ear:
    """What both have told, by site: (time, fired or over)."""

    def __init__(self, ours, theirs):
        self.sinks, self.other, self.denied = {"wanwatch": ours, "peer": theirs}, collections.Counter(), 0
        self.told = {who: collections.defaultdict(list) for who in self.sinks}

    def listen(self):
        for at, body in self.sinks["wanwatch"].take():
            notice = json.loads(body)
            if notice["event"] == "corrected":
                # What an alert that is over turned out to be; every cut here was one.
                found = notice["correction"]["is"]["found"]
                self.other[f"{notice['rule']} corrected to {found}"] += 1
                self.denied += found in ("worked", "not_known")
            elif notice["rule"] == "site_offline":
                self.told["wanwatch"][notice["site"]["id"]].append((at, notice["event"] == "fired", notice["event"]))
            else:
                of = (notice.get("site") or {}).get("id", "")
                self.other[f"{notice['rule']} {notice['event']} {of}".strip()] += 1
        for at, body in self.sinks["peer"].take():
            for alert in json.loads(body)["alerts"]:
                self.told["peer"][alert["labels"]["site"]].append((at, alert["status"] == "firing", alert["status"]))

    def when(self, who, site, since, fires):
        """When it was told after `since`, if it was."""
        return next((at for at, is_fired, _ in self.told[who][site] if at >= since and is_fired is fires), None)


class Lane:
    """Cuts one site after the other, each until both have told its beginning and its end."""

    def __init__(self, hub, ear, sites, cuts, profile, dice, report):
        self.hub, self.ear, self.dice, self.pause, self.report = hub, ear, dice, PAUSE[profile], report
        self.sites, self.left, self.phase, self.times = sites, cuts, "rest", []
        self.rest()

    def rest(self):
        least, more = self.pause
        self.phase, self.until = "rest", time.time() + least + more * self.dice.random()

    def turn(self):
        """One look; whether there is more to do."""
        now = time.time()
        if self.phase == "rest":
            if now < self.until:
                return True
            if self.left == 0:
                return False
            self.site = self.sites[self.left % len(self.sites)]
            self.begun, self.phase, self.since = now, "cut", {"fired": now}
            nft(self.hub, f"add element inet cut dead {{ {self.site} }}")
            return True
        fires = self.phase == "cut"
        since = self.since["fired" if fires else "over"]
        told = {who: self.ear.when(who, self.site, since, fires) for who in self.ear.sinks}
        if None in told.values() and now - since < PATIENCE:
            return True
        took = {who: None if at is None else at - since for who, at in told.items()}
        if fires:
            self.fired, self.phase, self.since["over"] = took, "heal", time.time()
            nft(self.hub, f"delete element inet cut dead {{ {self.site} }}")
            return True
        self.left -= 1
        self.times.append((self.site, self.since["fired"], now, self.fired, took))
        self.report(self)
        self.rest()
        return True


def flap(arguments, hub, ear, site, dice):
    """One site's line comes and goes; what was told of it by each: {who: {event: count}}."""
    began = time.time()
    for number in range(1, arguments.flaps + 1):
        for verb, least in zip(("add", "delete"), FLAPS[arguments.profile]):
            nft(hub, f"{verb} element inet cut dead {{ {site} }}")
            time.sleep(least * (1 + dice.random() / 2))
        ear.listen()
        if number % 10 == 0:
            print(f"  {number} of {arguments.flaps}: told {', '.join(f'{len(told[site])} by {who}' for who, told in ear.told.items())}", flush=True)
    # Whatever the last one causes is told by then.
    time.sleep(PATIENCE)
    ear.listen()
    print(f"  {time.time() - began - PATIENCE:.0f} s of flapping", flush=True)
    return {who: collections.Counter(event for _, _, event in told[site]) for who, told in ear.told.items()}


def shown(seconds):
    return "never" if seconds is None else f"{seconds:.2f} s"


def falsely(ear, lanes):
    """What Wanwatch told of sites while they were not cut, of any site more often than it was cut, and what it took back."""
    cuts = collections.Counter(site for lane in lanes for site, *_ in lane.times)
    wrong = ear.denied
    for site, told in ear.told["wanwatch"].items():
        fired = sum(1 for _, is_fired, _ in told if is_fired)
        wrong += max(0, fired - cuts[site]) + sum(1 for _, _, event in told if event not in ("fired", "resolved"))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default=str(lab.ROOT / "target/release/wan-agent"), help="the binary to measure")
    parser.add_argument("--collector", default=str(lab.ROOT / "target/release/wan-collector"), help="the binary to measure")
    parser.add_argument("--profile", choices=sorted(PEERS), default="default")
    parser.add_argument("--cuts", type=int, default=24, help="cuts in all [24]")
    parser.add_argument("--flaps", type=int, help="let one site's line come and go so often instead")
    parser.add_argument("--sites", type=int, default=12, help="sites [12]: at two cuts each none flaps")
    parser.add_argument("--lanes", type=int, default=2, help="cuts that go on at once, each for itself [2]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of the moments; else a new one")
    parser.add_argument("--keep", type=pathlib.Path, help="copy the logs and the collector's alerts there")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of the table")
    arguments = parser.parse_args()
    if not 1 <= arguments.lanes <= min(arguments.sites, 4) or arguments.cuts < arguments.lanes or not 1 <= arguments.sites <= 200:
        parser.error("--lanes is 1 to 4 (five sites at once would be told as one), at most --sites and --cuts; --sites is 1 to 200")
    lab.need("ip", "nft", "prometheus", "prometheus-blackbox-exporter", "prometheus-alertmanager")
    for binary in (arguments.agent, arguments.collector):
        lab.need_binary(binary)
    lab.ends_with_signals()
    folder, owner = tempfile.mkdtemp(prefix="wan-bench-alert-"), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    tempfile.tempdir = folder
    load = os.getloadavg()[0]
    what = f"{arguments.flaps} flaps of one" if arguments.flaps else f"{arguments.cuts} cuts"
    print(f"profile {arguments.profile}, {what} among {arguments.sites} sites, seed {arguments.seed}, "
          f"load {load:.1f} on {os.cpu_count()} cores", flush=True)
    sites = [f"xa-{number:02}" for number in range(1, arguments.sites + 1)]
    centre, hub, spaces = build(arguments, sites)
    ours, theirs = lab.Sink(centre), lab.Sink(centre)
    collector, _ = wanwatch(arguments, centre, spaces, sites, ours.url)
    prometheus(arguments, centre, sites, theirs.url)
    ear = Ear(ours, theirs)
    done = []

    def report(lane):
        site, _, _, fired, over = lane.times[-1]
        done.append(site)
        print(f"  cut {len(done):2} of {arguments.cuts}, {site}: told after {shown(fired['wanwatch'])}, peer {shown(fired['peer'])}; "
              f"over after {shown(over['wanwatch'])}, peer {shown(over['peer'])}", flush=True)

    # Both know their sites before the first one is cut: an agent that was never heard is no agent that fell silent.
    time.sleep(10)
    began, before = time.monotonic(), hub.counters(sites[0])
    time.sleep(20)
    seconds, after = time.monotonic() - began, hub.counters(sites[0])
    line = sum(after[key] - before[key] for key in ("in_bytes", "out_bytes")) * 8 / seconds / 1000
    ear.listen()
    if any(ear.told[who] for who in ear.told):
        sys.exit(f"told before anything was cut: {json.dumps(ear.told)}")
    dice = random.Random(arguments.seed)
    table = lab.Table(arguments.json)
    if arguments.flaps:
        told = flap(arguments, hub, ear, sites[0], dice)
        counts = ", ".join(f"{event} {count}" for event, count in sorted(told["wanwatch"].items()))
        table.row(f"messages about a line that came and went {arguments.flaps} times ({counts})", told["wanwatch"].total(),
                  (f"≤ {FLAPS_TOLD}", lambda value: 0 < value <= FLAPS_TOLD), told["peer"].total(), digits=0)
        table.row("told that it flaps", told["wanwatch"]["flapping"], ("1", lambda value: value == 1), digits=0)
        return table.code()
    lanes = [Lane(hub, ear, sites[number :: arguments.lanes], len(range(number, arguments.cuts, arguments.lanes)), arguments.profile,
                  random.Random(dice.random()), report) for number in range(arguments.lanes)]
    working = lanes
    while working:
        ear.listen()
        working = [lane for lane in working if lane.turn()]
        time.sleep(0.02)
    ear.listen()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        shutil.copy(collector.folder / "log", arguments.keep / "collector.log")
        (arguments.keep / "history.json").write_text(collector.cli("alerts", "history", "--format", "json"))

    times = [one for lane in lanes for one in lane.times]
    median, worst, over = BOUNDS[arguments.profile]
    of = lambda at, who: [PATIENCE if one[at][who] is None else one[at][who] for one in times]
    within = lambda most: None if most is None else (f"≤ {most} s", lambda seconds: seconds <= most)
    every, hold, _ = PEERS[arguments.profile]
    print(f"peer: Prometheus, blackbox_exporter, Alertmanager; scraped and evaluated each {every}, for: {hold}", file=sys.stderr)
    for at, what, most in ((3, "from the cut to the message", median), (4, "from its end to the message", over)):
        table.row(f"{what}: median (least–most)", of(at, "wanwatch"), within(most), of(at, "peer"), unit="s", digits=2)
        table.row(f"{what}: worst of {len(times)}", max(of(at, "wanwatch")), within(worst if at == 3 else None), max(of(at, "peer")),
                  unit="s", digits=2)
    missed = sum(1 for who in ear.sinks for at in (3, 4) for one in times if one[at][who] is None)
    table.row("cuts or ends of which one of the two said nothing", missed, ("0", lambda value: value == 0), digits=0)
    table.row("told of a site that was not cut, or more than once", falsely(ear, lanes), ("0", lambda value: value == 0), digits=0)
    table.row("the peer's median, in medians of Wanwatch", statistics.median(of(3, "peer")) / statistics.median(of(3, "wanwatch")))
    table.row("on a site's line, both ways, both watching", line, unit="kbit/s")
    for what, count in sorted(ear.other.items()):
        print(f"also told: {what} ({count})", file=sys.stderr)
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
