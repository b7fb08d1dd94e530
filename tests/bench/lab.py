"""What the benchmarks share: network namespaces with veth pairs, a collector that only listens, captures, /proc, statistics.

Python's standard library, `ip` and `tcpdump`; root. Everything that is made is removed at exit, also after a signal.
"""

import argparse
import atexit
import ctypes
import http.server
import json
import multiprocessing
import os
import pathlib
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# --- arguments and results -------------------------------------------------------------------------------------------


def parser(doc, seconds, repeat=None):
    """An argument parser with what all benchmarks take."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--agent", default=str(ROOT / "target/release/wan-agent"), help="the binary to measure")
    made.add_argument("--seconds", type=int, default=seconds, help=f"length of one measurement [{seconds}]")
    if repeat:
        made.add_argument("--repeat", type=int, default=repeat, help=f"measurements [{repeat}]")
    made.add_argument("--json", action="store_true", help="one JSON object a row instead of the table")
    return made


class Table:
    """Rows of a benchmark: the figure, its bound, the peer's figure of the same run."""

    def __init__(self, as_json):
        self.as_json, self.failed = as_json, False

    def row(self, what, values, bound=None, peer=None, unit="", digits=1):
        """Values are the repeats' figures; `bound` is (text, test of the median)."""
        values = values if isinstance(values, list) else [values]
        met = None if bound is None else bool(bound[1](statistics.median(values)))
        self.failed |= met is False
        if self.as_json:
            out = {"what": what, "values": values, "unit": unit, "peer": peer}
            print(json.dumps(out | ({} if bound is None else {"bound": bound[0], "met": met})), flush=True)
            return
        text = spread(values, digits) + (f" {unit}" if unit else "")
        bound = "" if bound is None else f"{bound[0]}: {'met' if met else 'NOT MET'}"
        peer = "" if peer is None else f"peer {spread(peer if isinstance(peer, list) else [peer], digits)}"
        print(f"{what:62} {text:34} {bound:24} {peer}".rstrip(), flush=True)

    def code(self):
        return 1 if self.failed else 0


def spread(values, digits=1):
    """median (least–most)"""
    show = lambda value: f"{value:,.{digits}f}"
    if len(values) == 1:
        return show(values[0])
    return f"{show(statistics.median(values))} ({show(min(values))}–{show(max(values))})"


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def need(*tools):
    """Ends the program with what to do when it is not root or a tool is missing."""
    if os.geteuid() != 0:
        sys.exit("this benchmark makes network namespaces: run it as root")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    packages = {"ip": "iproute2", "ping": "iputils-ping", "taskset": "util-linux", "nft": "nftables"}
    for tool in tools:
        if shutil.which(tool) is None:
            sys.exit(f"`{tool}` is missing: apt-get install {packages.get(tool, tool)}")


def need_binary(path):
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not built: cargo build --release -p wan-agent -p wan-collector")


# --- network namespaces ----------------------------------------------------------------------------------------------

MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
SIOCETHTOOL, ETHTOOL_STSO, ETHTOOL_SGSO = 0x8946, 0x1F, 0x24


def ip(*words, check=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if check and done.returncode != 0:
        sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Space:
    """A network namespace, named so that the end-to-end tests clear it away too, should this process be killed."""

    def __init__(self, role):
        self.name = f"wan{os.getpid()}-{role}"
        ip("netns", "add", self.name)
        owner = os.getpid()
        atexit.register(lambda: os.getpid() == owner and self.remove())
        self.ip("link", "set", "lo", "up")

    def remove(self):
        for pid in ip("netns", "pids", self.name, check=False).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        ip("netns", "del", self.name, check=False)

    def ip(self, *words):
        return ip("-n", self.name, *words)

    def enter(self):
        """Moves this thread (so: call it in a child process) into the namespace."""
        with open(f"/run/netns/{self.name}") as file:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(file.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), f"enter {self.name}")

    def command(self, *words, core=None, nice=None):
        """A command line that runs inside."""
        pin = ["taskset", "-c", str(core)] if core is not None else []
        priority = ["nice", "-n", str(nice)] if nice else []
        return ["ip", "netns", "exec", self.name, *pin, *priority, *map(str, words)]

    def popen(self, *words, core=None, nice=None, **options):
        """`ip netns exec` and `taskset` replace themselves: the process id is the program's own."""
        return subprocess.Popen(self.command(*words, core=core, nice=nice), **options)

    def run(self, *words):
        done = subprocess.run(self.command(*words), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def sysctl(self, key, value):
        self.run("sh", "-c", f"echo {value} > /proc/sys/{key}")

    def counters(self, device):
        """Frames and bytes (with their Ethernet headers) that came in and went out."""
        fields = self.run("cat", "/proc/net/dev").split(f"{device}:")[1].split()
        return {"in_bytes": int(fields[0]), "in_frames": int(fields[1]), "out_bytes": int(fields[8]), "out_frames": int(fields[9])}


def wire(a, b, device, addresses):
    """A veth pair `device` between two namespaces; `addresses` are [(of a, of b)] with prefix lengths. The neighbours are
    known from the start, and no segmentation is left to the device: every frame is counted as a line would carry it."""
    ip("link", "add", "name", device, "address", MACS[0], "netns", a.name, "type", "veth", "peer", "name", device,
       "address", MACS[1], "netns", b.name)
    for space, own, other in ((a, 0, 1), (b, 1, 0)):
        for pair in addresses:
            extra = ["nodad"] if ":" in pair[own] else []
            space.ip("addr", "add", pair[own], "dev", device, *extra)
        space.ip("link", "set", device, "up")
        for pair in addresses:
            space.ip("neigh", "replace", pair[other].split("/")[0], "lladdr", MACS[other], "nud", "permanent", "dev", device)
        in_child(space, no_offload, device)


def no_offload(device):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        import fcntl
        for command in (ETHTOOL_STSO, ETHTOOL_SGSO):
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP", device.encode(), ctypes.addressof(value)) + bytes(16))


def in_child(space, work, *arguments):
    """Runs `work` in a child process inside the namespace, to its end."""
    def inside():
        space.enter()
        work(*arguments)
    child = multiprocessing.get_context("fork").Process(target=inside)
    child.start()
    child.join()
    if child.exitcode != 0:
        sys.exit(f"{work.__name__} in {space.name} failed")


def wait_for_port(address, pid, limit=30):
    """Until something listens there, or the process has ended."""
    for _ in range(limit * 20):
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError:
            if open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z":
                break
        time.sleep(0.05)
    sys.exit(f"nothing listens on {address}")


def ends_with_signals():
    """SIGTERM and SIGINT end the program by its ordinary way out, so that namespaces are removed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit("stopped"))


# --- a collector that only listens -----------------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(self.server.delay)
        self.server.heard.append((time.time(), body))
        self.send_response(204)
        self.send_header("X-Prometheus-Remote-Write-Samples-Written", "1")
        self.send_header("wan-time", str(time.time_ns() // 1_000_000))
        self.end_headers()

    def do_GET(self):
        self.send_response(404)
        self.send_header("wan-time", str(time.time_ns() // 1_000_000))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Sink:
    """Acknowledges every push as a remote write 2.0 receiver would, after `delay` seconds, and keeps the bodies; a process of its own, in
    `space`."""

    def __init__(self, space=None, address="127.0.0.1", core=None, delay=0):
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()

        def serve():
            import threading
            if space:
                space.enter()
            if core is not None:
                os.sched_setaffinity(0, {core})
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            server = http.server.ThreadingHTTPServer((address, 0), Handler)
            server.daemon_threads = True
            server.heard, server.delay = [], delay
            threading.Thread(target=server.serve_forever, daemon=True).start()
            theirs.send(server.server_port)
            while theirs.recv() == "take":
                heard, server.heard = server.heard, []
                theirs.send(heard)
            os._exit(0)

        self.process = context.Process(target=serve, daemon=True)
        self.process.start()
        host = f"[{address}]" if ":" in address else address
        self.url = f"http://{host}:{self.pipe.recv()}"

    def take(self):
        """[(time received, body)] since the last call."""
        self.pipe.send("take")
        return self.pipe.recv()

    def stop(self):
        self.pipe.send("stop")
        self.process.join()


# --- remote write 2.0, in so far as it is needed ---------------------------------------------------------------------


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of a protobuf message; value is an int or bytes."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = data[at : at + 8], at + 8
        elif kind == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, value


def unsnappy(data):
    length, at = varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(data[at : at + extra], "little")
                at += extra
            out += data[at : at + size + 1]
            at += size + 1
            continue
        if tag & 3 == 1:
            size, offset = 4 + (tag >> 2 & 7), (tag >> 5) << 8 | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            size, offset = 1 + (tag >> 2), int.from_bytes(data[at : at + width], "little")
            at += width
        for _ in range(size):
            out.append(out[-offset])
    if len(out) != length:
        raise ValueError(f"{len(out)} bytes where {length} were promised")
    return bytes(out)


def samples(body):
    """(labels, milliseconds, value) of every sample of a pushed body."""
    symbols, series = [], []
    for number, value in fields(unsnappy(body)):
        if number == 4:
            symbols.append(value.decode())
        elif number == 5:
            series.append(value)
    for one in series:
        labels, found = {}, []
        for number, value in fields(one):
            if number == 1:
                references, at = [], 0
                while at < len(value):
                    reference, at = varint(value, at)
                    references.append(symbols[reference])
                labels = dict(zip(references[::2], references[1::2]))
            elif number == 2:
                parts = dict(fields(value))
                found.append((parts.get(2, 0), struct.unpack("<d", parts.get(1, bytes(8)))[0]))
        for milliseconds, value in found:
            yield labels, milliseconds, value


def rounds(bodies):
    """{(link, target, end in ms): {figure: value}} of pushed bodies, with figures as `sent`, `received`, `rtt_median_seconds`."""
    found = {}
    for body in bodies:
        for labels, milliseconds, value in samples(body):
            name = labels["__name__"]
            if name.startswith("wan_round_"):
                key = (labels["link"], labels["target"], milliseconds)
                found.setdefault(key, {})[name.removeprefix("wan_round_")] = value
    return found


# --- captures --------------------------------------------------------------------------------------------------------


class Capture:
    """ICMP echo on a device, each packet with the kernel's time of it in nanoseconds (tcpdump, host timestamps)."""

    def __init__(self, space, device, core=None, filter="icmp or icmp6"):
        self.file = pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-"), "capture")
        self.process = space.popen(
            "tcpdump", "-i", device, "-j", "host", "--time-stamp-precision=nano", "-n", "-Z", "root", "-s", "128", "-B", "32768",
            "--immediate-mode", "-w", self.file, filter, core=core, stderr=subprocess.PIPE, text=True)
        self.process.stderr.readline()  # "listening on …": from now on it captures
        time.sleep(0.3)

    def stop(self):
        """{(peer address, identifier, sequence): (sent, came back)} in nanoseconds; came back is None for a lost one."""
        time.sleep(0.3)
        self.process.send_signal(signal.SIGINT)
        errors = self.process.stderr.read()
        self.process.wait()
        dropped = [line for line in errors.splitlines() if "dropped by kernel" in line and not line.startswith("0 ")]
        if dropped:
            print(f"the capture is not whole: {dropped[0]}", file=sys.stderr)
        data = self.file.read_bytes()
        shutil.rmtree(self.file.parent)
        if data[:4] != bytes.fromhex("4d3cb2a1"):
            sys.exit("tcpdump wrote no little-endian nanosecond capture")
        at, echoes = 24, {}
        while at + 16 <= len(data):
            seconds, nanos, kept, _ = struct.unpack_from("<IIII", data, at)
            frame, at = data[at + 16 : at + 16 + kept], at + 16 + kept
            stamp = seconds * 1_000_000_000 + nanos
            if frame[12:14] == b"\x08\x00":
                header = 14 + 4 * (frame[14] & 15)
                source, target = (socket.inet_ntop(socket.AF_INET, frame[place : place + 4]) for place in (26, 30))
                request, reply = 8, 0
            else:
                header = 54
                source, target = (socket.inet_ntop(socket.AF_INET6, frame[place : place + 16]) for place in (22, 38))
                request, reply = 128, 129
            identifier, sequence = struct.unpack_from(">HH", frame, header + 4)
            if frame[header] == request:
                echoes.setdefault((target, identifier, sequence), []).append([stamp, None])
            elif frame[header] == reply:
                waiting = [one for one in echoes.get((source, identifier, sequence), []) if one[1] is None]
                if waiting:
                    waiting[-1][1] = stamp
        return {key: tuple(one) for key, all_of_key in echoes.items() for one in all_of_key[-1:]}


# --- processes -------------------------------------------------------------------------------------------------------


class Agent:
    """A running agent with its configuration in a folder of its own."""

    def __init__(self, binary, config, space=None, core=None, nice=None, log="warn", data=None, quiet=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-"))
        self.config = self.folder / "agent.yaml"
        self.config.write_text(config.replace("DATA", str(data or self.folder / "data")))
        words = [binary, "--log", log, "run", "--config", self.config]
        options = {"stderr": subprocess.DEVNULL} if quiet else {}
        if space:
            self.process = space.popen(*words, core=core, nice=nice, **options)
        else:
            self.process = subprocess.Popen(list(map(str, words)), **options)
        self.pid = self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        shutil.rmtree(self.folder)
        if code != 0:
            sys.exit(f"the agent ended with {code}")


def usage(pid):
    """CPU seconds so far, of all threads."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = int(stat[11]) + int(stat[12])
    nanos = 0
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        nanos += int(path.read_text().split()[0])
    # The scheduler's own account is exact; ticks have the threads that ended, but are sampled each 10 ms.
    return max(nanos / 1e9, ticks / os.sysconf("SC_CLK_TCK"))


def status(pid, *keys):
    """Figures of /proc/PID/status as integers (memory in KiB)."""
    found = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return [int(found[key].split()[0]) for key in keys]


class BusyLoop:
    """Takes all of a core."""

    def __init__(self, core):
        self.process = subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", "while True: pass"])

    def stop(self):
        self.process.kill()
        self.process.wait()


# --- a real collector ------------------------------------------------------------------------------------------------


class Collector:
    """A real collector in `space` on `address`, with TLS by its own certificate, `sites` registered (by `register`, YAML, where they are more
    than their names), and a secret for each. `files` are those that `further` configuration names: {name: text}."""

    def __init__(self, binary, space, address, sites=("tan-bien",), port=8443, core=None, further="", register=None, files=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wan-bench-"))
        for name, text in dict(files).items():
            (self.folder / name).write_text(text)
        host = f"[{address}]" if ":" in address else address
        self.binary, self.space, self.core, self.address = binary, space, core, (address, port)
        self.config = self.folder / "collector.yaml"
        self.config.write_text(f"listen: '{host}:{port}'\ndata: {self.folder}/data\n{further}")
        plain = "id,name,tier,branch\n" + "".join(f"{site},Cơ quan {site},commune,state\n" for site in sites)
        file = self.folder / ("sites.csv" if register is None else "sites.yaml")
        file.write_text(plain if register is None else register)
        self.cli("sites", "import", file)
        self.secrets = {}
        for site in sites:
            printed = self.cli("agents", "issue", site)
            self.secrets[site] = next(word for word in printed.split() if word.startswith("wan_") and len(word) == 47)
        self.cli("tokens", "add", "bench")
        self.url = f"https://{host}:{port}"
        self.log = open(self.folder / "log", "w")
        self.start()
        lines = [line.split() for line in self.cli("certificate").splitlines()]
        pin = next(words[1] for words in lines if words[:1] == ["pin"] and words[1].startswith("sha256:"))
        self.trust = f"  pins: ['{pin}']\n"

    def cli(self, *words):
        """A subcommand, and what it printed."""
        done = subprocess.run(list(map(str, [self.binary, *words, "--config", self.config])),
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"wan-collector {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        words = [self.binary, "serve", "--config", self.config]
        self.process = self.space.popen(*words, core=self.core, stdout=self.log, stderr=self.log)
        in_child(self.space, wait_for_port, self.address, self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        self.log.close()
        shutil.rmtree(self.folder)
