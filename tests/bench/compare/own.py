"""What our proxy costs by itself, as something grows or changes; medians, and ratios to the first of each row.

    own.py BINARIES STEERWAY [--rounds N] [--measures NAME,…] [--scale X] [--json FILE] [--table FILE] [--plot FILE] [--docs PAGE]

BINARIES is the folder of origin, load, names and bench_policy."""

import json
import shutil
import socket
import statistics
import subprocess
import sys
import time

from bench import FAULTS, Bench, open_most, say, summary
from contenders import Contender, own, steerway_has, the_floor
from hold import can_hold, held
from lines import ORIGIN, enter
from options import parse, write
from plot import plot_own
from report import groups, not_measured

CONNECT, ECHO = "new connection, CPU µs", "small echo, CPU µs"
RELOADS = 50


def reload_s(running):
    """The time of one reload of the policy, over the control socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(running.folder / "steerway/control.sock"))
        s.settimeout(60)
        began = time.monotonic()
        s.sendall(b'{"verb": "reload"}\n')
        answer = s.makefile().readline()
        took = time.monotonic() - began
    if "error" in json.loads(answer):
        raise RuntimeError(answer)
    return took


def under_valgrind(contender):
    argv = ["valgrind", "--tool=callgrind", "--callgrind-out-file={dir}/counted", *contender.argv]
    return Contender(contender.name, contender.ways, argv, contender.files)


class Own(Bench):
    """Each measure yields (row, column, figure) for one round."""

    def __init__(self, args):
        super().__init__(args.binaries, args.scale)
        self.steerway, self.counted = args.steerway, False

    def connect(self, running, way="socks5"):
        return self.cost(running, way, "connect", self.n(3000, 32), 16)

    def open(self):
        """Up and down again, so that drift affects all alike. A shorter run has the same counts, except for the
        shortest."""
        most = min(open_most(), self.n(50_000))
        counts = [1] + [n for n in (10, 100, 1000) if n < most] + [most]
        with self.running(own(self.steerway)) as running:
            for n in counts + counts[::-1]:
                with self.held(running, "socks5", n):
                    yield CONNECT, f"{n:,}", self.connect(running)
                    yield ECHO, f"{n:,}", self.cost(running, "socks5", "echo", self.n(15_000, 64), 8)

    def uplinks(self):
        for n in (1, 2, 8, 32):
            with self.running(own(self.steerway, uplinks=self.lines.uplinks(n))) as running:
                yield CONNECT, f"{n}", self.connect(running)

    def names(self):
        ways = [("socks5", "an address"), ("name", "a known name"), ("names", "a name of its own")]
        with self.running(own(self.steerway, dns=ORIGIN)) as running:
            for way, column in ways + ways[::-1]:
                yield CONNECT, column, self.connect(running, way)

    def threads(self):
        """Nothing is held to a core: bytes for each second of real time, and of CPU time."""
        if not steerway_has(self.steerway, "--threads"):
            return
        for n in (0, 1, 2):
            with self.running(own(self.steerway, "--threads", n), core=None) as running:
                said, spent = self.load(running, "socks5", "down", 4, self.n(4_000_000_000), core=None)
                yield "bulk down, GB/s", f"{n}", said["bytes"] / said["seconds"] / 1e9
                yield "bulk down, CPU s/GB", f"{n}", spent / said["bytes"] * 1e9

    def with_room(self):
        """With room for load and origin, more threads carry more: each thread is limited to a share of a core."""
        if not can_hold() or not steerway_has(self.steerway, "--threads"):
            return
        for n in (1, 2, 4):
            with self.running(own(self.steerway, "--threads", n), core=None) as running, held(running.process.pid, HELD_TO):
                said, _ = self.load(running, "socks5", "down", 8, self.n(1_000_000_000), core=None)
                yield "bulk down, GB/s", f"{n}", said["bytes"] / said["seconds"] / 1e9

    def reload(self):
        with self.running(own(self.steerway)) as running:
            times = sorted(reload_s(running) for _ in range(self.n(RELOADS, 5)))
            yield "by the control socket, ms", "median", statistics.median(times) * 1e3
            yield "by the control socket, ms", "longest", times[-1] * 1e3

    def count(self, contender, measure, n):
        """The instructions from its start to its end."""
        with self.running(under_valgrind(contender)) as running:
            self.load(running, "socks5", measure, n, 1)
            running.process.terminate()
            running.process.wait(30)
            lines = (running.folder / "counted").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith(("totals:", "summary:")))

    def instructions(self):
        """They are the same in each run, so one run is enough."""
        if self.counted or not shutil.which("valgrind"):
            return
        self.counted, few, more = True, 1000, 4000
        for measure, row in (("connect", "new connection"), ("echo", "small echo")):
            for contender in (the_floor(self.binaries / "floor", "copy", 65536), own(self.steerway)):
                once, again = self.count(contender, measure, few), self.count(contender, measure, few + more)
                yield row, contender.name, (again - once) / more

    def picks(self):
        """bench_policy's lines: NAME NS-LEAST NS-MEDIAN BYTES RELOAD-MS HEAP-KIB"""
        argv = ["taskset", "-c", "0", str(self.binaries / "bench_policy"), str(self.n(200_000, 1000))]
        lines = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True).stdout.splitlines()
        for line in lines[2:]:
            name, _, median, grown, reload_ms, heap = line.rsplit(None, 5)
            yield name, "a pick, ns", float(median)
            yield name, "allocated by a pick, bytes", float(grown)
            yield name, "a reload, ms", float(reload_ms)
            yield name, "memory, KiB", float(heap)


HELD_TO = 0.1  # of a core: the share of a relay thread, which leaves room for load and origin

GROUPS = {  # the heading, and whether figures are compared with the first of their row
    "open": ("open connections", True),
    "uplinks": ("uplinks", True),
    "names": ("destination given as", True),
    "threads": ("relay threads", True),
    "with_room": ("relay threads, each held to a tenth of a core", True),
    "instructions": ("instructions outside of the kernel", True),
    "reload": ("reload of the default policy", False),
    "picks": ("policy", False),
}


def one_round(bench, group):
    """{(row, column): figure}"""
    found = {}
    for row, column, figure in getattr(bench, group)():
        found.setdefault((row, column), []).append(figure)
    return {at: statistics.mean(figures) for at, figures in found.items()}


def run(args):
    """({group: {row: {column: [figures, one a round]}}}, {group: why it failed})"""
    bench, found, failures = Own(args), {}, {}
    bench.serve("names", f"{ORIGIN}:53", ORIGIN)
    try:
        for i, group in ((i, g) for i in range(args.rounds) for g in (args.measures.split(",") if args.measures else GROUPS)):
            try:
                figures = {} if group in failures else one_round(bench, group)
            except FAULTS as e:
                failures[group], figures = str(e)[-300:], {}
                say(f"round {i + 1}: {group}: {e}")
            for (row, column), figure in figures.items():
                found.setdefault(group, {}).setdefault(row, {}).setdefault(column, []).append(figure)
                say(f"round {i + 1}: {group}: {row}: {column}: {figure:.4g}")
    finally:
        bench.close()
    return found, failures


def with_ratios(cells):
    """Each column's summary, and the median of the rounds' ratios to the first column, if that is not zero."""
    first = next(iter(cells.values()))
    compared = all(first)
    return {
        c: {**summary(figures), "ratio": statistics.median(a / b for a, b in zip(figures, first)) if compared else 1.0}
        for c, figures in cells.items()
    }


def main():
    args = parse(__doc__)
    enter()
    found, failures = run(args)
    results = {g: {row: with_ratios(cells) for row, cells in rows.items()} for g, rows in found.items()}
    text = groups(results, GROUPS) + not_measured(f"{GROUPS[g][0]}: {why}" for g, why in failures.items())
    write(args, "own", text, json.dumps(results, indent=1), plot_own(results, GROUPS))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
