"""The proxy beside a floor and its peers, interleaved, held to one core; medians, and ratios to the floor's.

    compare.py BINARIES STEERWAY [--rounds N] [--only NAME,…] [--measures NAME,…] [--scale X] [--json FILE] [--table FILE]
               [--plot FILE] [--docs PAGE] [--before STEERWAY]

BINARIES is the folder of load, the origins and the floors. What each measure means is told in docs/performance.md."""

import json
import subprocess
import sys

from bench import CORE, DATAGRAMS, FAULTS, ORIGIN_PORT, PROMPT, PROMPT_PORT, TUNNEL, WEB, Bench, say, summary
from contenders import contenders
from lines import enter
from options import binary, parse, write
from plot import plot_peers
from report import notes, table


class Measures(Bench):
    """Each measure returns a figure for one run, or raises."""

    def bulk(self, running, way, direction):
        said, spent = self.load(running, way, direction, 4, self.n(2_000_000_000))
        return spent / said["bytes"] * 1e9

    def down(self, running, way):
        return self.bulk(running, way, "down")

    def up(self, running, way):
        return self.bulk(running, way, "up")

    def get(self, running, way):
        return self.bulk(running, way, "get")

    def gigabit(self, running, way):
        """Per cent of a core while the line carries one Gbit/s."""
        self.lines.limit("1gbit")
        try:
            said, spent = self.load(running, way, "down", 4, self.n(250_000_000))
        finally:
            self.lines.limit(None)
        return spent / said["seconds"] * 100

    def connect(self, running, way):
        return self.cost(running, way, "connect", self.n(6000, 32), 16)

    def crowded(self, running, way):
        with self.held(running, way, self.n(4000, 50)):
            return self.connect(running, way)

    def echo(self, running, way):
        return self.cost(running, way, "echo", self.n(40_000, 64), 8)

    def http(self, running, way):
        return self.cost(running, way, "http", self.n(20_000, 64), 8)

    def idle(self, running, way):
        self.load(running, way, "connect", 500, 16)  # what it allocates once
        before, n, found = running.memory(), self.n(4000, 50), []
        self.load(running, way, "idle", n, while_open=lambda: found.append(running.memory()))
        return (found[0] - before) / n

    def beside(self, running, way):
        """Milliseconds: the 99th percentile of an echo beside transfers that saturate. The processes that echo have
        priority over those that transfer, so that the contender's turns are measured."""
        seconds = self.n(3)
        argv = self.command(running, way, "beside", 4, 1, seconds + 1, core=CORE)
        bulk = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            said, _ = self.load(running, way, "beside", 0, 8, seconds, origin=PROMPT_PORT, before_all=PROMPT)
            moved = json.loads(bulk.communicate(timeout=60)[0])
        finally:
            bulk.kill()
            bulk.wait()
        say(f"{running.contender.name}: {moved['bytes'] / moved['seconds'] / 1e9:.2f} GB/s beside the echoes")
        return said["p99_us"] / 1e3

    def packet(self, running, way, associations, window, size):
        """An echo is relayed twice."""
        return self.cost(running, way, "udp", associations, self.n(200_000, 1000), window, size) / 2

    def udp(self, running, way):
        return self.packet(running, way, 1, 64, 0)

    def udp_many(self, running, way):
        return self.packet(running, way, 8, 16, 0)

    def udp_echo(self, running, way):
        return self.packet(running, way, 8, 1, 64)

    def udp_rate(self, running, way):
        said, _ = self.load(running, way, "udp", 1, self.n(200_000, 1000), 64, 0)
        return 2 * said["units"] / said["seconds"]


MEASURES = {  # its name, its unit, its ways
    "down": ("bulk down", "CPU s/GB", TUNNEL),
    "up": ("bulk up", "CPU s/GB", TUNNEL),
    "get": ("bulk by HTTP GET", "CPU s/GB", WEB),
    "gigabit": ("at 1 Gbit/s", "% of a core", TUNNEL),
    "connect": ("new connection", "CPU µs", TUNNEL),
    "crowded": ("new connection beside 4,000 idle", "CPU µs", TUNNEL),
    "echo": ("small echo", "CPU µs", TUNNEL),
    "http": ("HTTP GET of 1 KiB", "CPU µs", WEB),
    "idle": ("idle connection", "bytes", TUNNEL),
    "beside": ("echo beside bulk, p99", "ms", ("socks5", "connect")),
    "udp": ("datagram in bulk", "CPU µs", DATAGRAMS),
    "udp_many": ("datagram of 8 associations", "CPU µs", DATAGRAMS),
    "udp_echo": ("small datagram alone", "CPU µs", DATAGRAMS),
    "udp_rate": ("datagrams in bulk", "a second (more is better)", DATAGRAMS),
}


def one(bench, measure, contender):
    """One figure; None if the contender does not support it."""
    way = next((w for w in MEASURES[measure][2] if w in contender.ways), None)
    if not way:
        return None
    with bench.running(contender) as running:
        return getattr(bench, measure)(running, way)


def run(args):
    """({measure: {name: [figures]}}, {(measure, name): why it failed}, names of those that are not here)"""
    bench, results, failures = Measures(args.binaries, args.scale), {}, {}
    fleet = contenders(args.steerway, bench.binaries, ORIGIN_PORT, before=args.before)
    if args.only:
        fleet = [c for c in fleet if any(c.name.startswith(o) for o in args.only.split(","))]
    measures = args.measures.split(",") if args.measures else list(MEASURES)
    turns = [(i, m, c) for i in range(args.rounds) for m in measures for c in fleet if c.there()]
    try:
        for i, measure, c in turns:
            if (measure, c.name) in failures:
                continue
            try:
                figure = one(bench, measure, c)
            except FAULTS as e:
                failures[measure, c.name] = figure = str(e)[-300:]
            if isinstance(figure, float):
                results.setdefault(measure, {}).setdefault(c.name, []).append(figure)
            if figure is not None:
                say(f"round {i + 1}: {measure}: {c.name}: {figure if isinstance(figure, str) else format(figure, '.4g')}")
    finally:
        bench.close()
    return results, failures, [c.name for c in fleet if not c.there()]


def main():
    args = parse(__doc__, before={"type": binary, "help": "an earlier build, measured in the same rounds"})
    enter()
    found, failures, absent = run(args)
    results = {m: {name: summary(figures) for name, figures in by.items()} for m, by in found.items()}
    text = table(results, MEASURES) + notes(failures, absent, MEASURES)
    write(args, "measured", text, json.dumps(results, indent=1), plot_peers(results, MEASURES))
    sys.exit(1 if any(name.startswith(("floor", "steerway")) for _, name in failures) else 0)


if __name__ == "__main__":
    main()
