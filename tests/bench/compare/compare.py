"""The proxy beside a floor and its peers, interleaved, held to one core; medians, and ratios to the floor's.

    compare.py BINARIES STEERWAY [--rounds N] [--only NAME,…] [--measures NAME,…] [--scale X] [--json FILE] [--table FILE] [--plot FILE]

BINARIES is the folder of origin, load and floor. What each measure means is told in docs/performance.md."""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from contenders import Running, contenders
from lines import ORIGIN, Lines, enter
from report import plot, table

ORIGIN_PORT, PROMPT_PORT, CORE = 19100, 19099, 1
PROMPT = ["nice", "-n", "-19"]


class Bench:
    def __init__(self, args):
        self.args, self.binaries = args, Path(args.binaries).resolve()
        self.lines, self.notes = Lines(), []
        self.origins = [self.open_origin(ORIGIN_PORT), self.open_origin(PROMPT_PORT, *PROMPT)]

    def open_origin(self, port, *before_all):
        argv = [*self.lines.prefix().split(), *before_all, "taskset", "-c", str(CORE), self.binaries / "origin", f"{ORIGIN}:{port}"]
        origin = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert origin.stdout.readline() == "ready\n"
        return origin

    def load(self, running, way, *measure, while_open=None, origin=ORIGIN_PORT, before_all=()):
        """What the load generator says; (its line, CPU seconds that the contender took meanwhile)."""
        how = "none" if way.startswith("fixed") else way
        argv = [*before_all, "taskset", "-c", str(CORE), self.binaries / "load", f"127.0.0.1:{running.port}", how, f"{ORIGIN}:{origin}", *map(str, measure)]
        before = running.cpu()
        p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            line = p.stdout.readline()
            if line == "ready\n":
                before = running.cpu()
                line = p.stdout.readline()
            spent = running.cpu() - before
            if not line:
                raise RuntimeError(p.stderr.read().strip())
            if while_open:
                while_open()
            return json.loads(line), spent
        finally:
            p.stdin.close()
            p.wait(60)

    def n(self, number, least=1):
        return max(least, int(number * self.args.scale))

    # Each measure returns a figure for one run, or raises.

    def bulk(self, running, way, direction):
        said, spent = self.load(running, way, direction, 4, self.n(2_000_000_000))
        return spent / said["bytes"] * 1e9

    def down(self, running, way):
        return self.bulk(running, way, "down")

    def up(self, running, way):
        return self.bulk(running, way, "up")

    def gigabit(self, running, way):
        """Per cent of a core while the line carries one Gbit/s."""
        self.lines.limit("1gbit")
        try:
            said, spent = self.load(running, way, "down", 4, self.n(250_000_000))
        finally:
            self.lines.limit(None)
        return spent / said["seconds"] * 100

    def connect(self, running, way):
        said, spent = self.load(running, way, "connect", self.n(6000, 32), 16)
        return spent / said["units"] * 1e6

    def echo(self, running, way):
        said, spent = self.load(running, way, "echo", self.n(40_000, 64), 8)
        return spent / said["units"] * 1e6

    def http(self, running, way):
        said, spent = self.load(running, way, "http", self.n(20_000, 64), 8)
        return spent / said["units"] * 1e6

    def idle(self, running, way):
        self.load(running, way, "connect", 500, 16)  # what it allocates once
        before, n, found = running.memory(), self.n(4000, 50), []
        self.load(running, way, "idle", n, while_open=lambda: found.append(running.memory()))
        return (found[0] - before) / n

    def beside(self, running, way):
        """Milliseconds: the 99th percentile of an echo beside transfers that saturate. Who sends and takes the echoes goes
        before who sends and takes the bulk, so that it is the contender's turns that are measured."""
        seconds = self.n(3)
        argv = [self.binaries / "load", f"127.0.0.1:{running.port}", "none" if way == "fixed" else way, f"{ORIGIN}:{ORIGIN_PORT}", "beside", 4, 1, seconds + 1]
        bulk = subprocess.Popen(["taskset", "-c", str(CORE), *map(str, argv)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            said, _ = self.load(running, way, "beside", 0, 8, seconds, origin=PROMPT_PORT, before_all=PROMPT)
            moved = json.loads(bulk.communicate(timeout=60)[0])
        finally:
            bulk.kill()
            bulk.wait()
        self.notes.append(f"{running.contender.name}: {moved['bytes'] / moved['seconds'] / 1e9:.2f} GB/s beside the echoes")
        return said["p99_us"] / 1e3

    def crowded(self, running, way):
        said, spent = self.load(running, way, "after", self.n(4000, 50), self.n(6000, 32), 16)
        return spent / said["units"] * 1e6

    def close(self):
        for origin in self.origins:
            origin.kill()
            origin.wait()
        self.lines.close()


TUNNEL, WEB = ("socks5", "connect", "fixed"), ("forward", "fixed-web")
MEASURES = {  # what it is called, its unit, by which ways
    "down": ("bulk down", "CPU s/GB", TUNNEL),
    "up": ("bulk up", "CPU s/GB", TUNNEL),
    "gigabit": ("at 1 Gbit/s", "% of a core", TUNNEL),
    "connect": ("new connection", "CPU µs", TUNNEL),
    "crowded": ("new connection beside 4,000 idle", "CPU µs", TUNNEL),
    "echo": ("small echo", "CPU µs", TUNNEL),
    "http": ("HTTP GET of 1 KiB", "CPU µs", WEB),
    "idle": ("idle connection", "octets", TUNNEL),
    "beside": ("echo beside bulk, p99", "ms", ("socks5", "connect")),
}


def way_of(contender, wanted):
    return next((w for w in wanted if w in contender.ways), None)


def run(args):
    bench, results, failures = Bench(args), {}, {}
    fleet = [c for c in contenders(args.steerway, bench.binaries / "floor", ORIGIN_PORT) if c.there()]
    if args.only:
        fleet = [c for c in fleet if any(c.name.startswith(o) for o in args.only.split(","))]
    measures = args.measures.split(",") if args.measures else list(MEASURES)
    try:
        for i in range(args.rounds):
            for measure in measures:
                for c in fleet:
                    way = way_of(c, MEASURES[measure][2])
                    if not way or (measure, c.name) in failures:
                        continue
                    try:
                        running = Running(c)
                        try:
                            getattr(bench, "load")(running, way, "http" if way in WEB else "connect", 200, 8)  # warm
                            figure = getattr(bench, measure)(running, way)
                        finally:
                            running.stop()
                    except (RuntimeError, AssertionError, OSError, subprocess.TimeoutExpired) as e:
                        failures[measure, c.name] = str(e)[:300]
                        print(f"round {i + 1}: {measure}: {c.name}: {e}", file=sys.stderr, flush=True)
                        continue
                    results.setdefault(measure, {}).setdefault(c.name, []).append(figure)
                    print(f"round {i + 1}: {measure}: {c.name}: {figure:.4g}", file=sys.stderr, flush=True)
    finally:
        bench.close()
    print("\n".join(bench.notes), file=sys.stderr)
    return {m: {name: {"median": statistics.median(f), "least": min(f), "most": max(f), "runs": len(f)} for name, f in by.items()}
            for m, by in results.items()}, failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries")
    parser.add_argument("steerway")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only")
    parser.add_argument("--measures")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json")
    parser.add_argument("--table")
    parser.add_argument("--plot")
    parser.add_argument("--docs", help="the page whose table is to be replaced")
    args = parser.parse_args()
    args.steerway = str(Path(args.steerway).resolve())
    enter()
    results, failures = run(args)
    text = table(results, MEASURES)
    print(text)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))
    if args.table:
        Path(args.table).write_text(text)
    if args.docs:
        before, rest = Path(args.docs).read_text().split("<!-- measured -->\n")
        after = rest.split("<!-- /measured -->\n")[1]
        Path(args.docs).write_text(f"{before}<!-- measured -->\n{text}<!-- /measured -->\n{after}")
    if args.plot:
        Path(args.plot).write_text(plot(results, MEASURES))
    sys.exit(1 if any(name.startswith(("floor", "steerway")) for _, name in failures) else 0)


if __name__ == "__main__":
    main()
