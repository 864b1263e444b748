"""Shared by all measurements: the lines, the origins, and one run of the load generator."""

import json
import resource
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from contenders import ORIGIN_PORT, Running
from lines import ORIGIN, Lines

PROMPT_PORT, CORE = 19099, 1
PROMPT = ["nice", "-n", "-19"]
SETTLED_S = 1.5  # time after which long-lived tunnels have changed threads and closed ones are gone
FAULTS = (RuntimeError, AssertionError, OSError, ValueError, subprocess.SubprocessError)
TUNNEL, WEB, DATAGRAMS = ("socks5", "connect", "fixed", "captured"), ("forward", "fixed-web"), ("udp",)


def say(text):
    print(text, file=sys.stderr, flush=True)


def open_most():
    """The number of connections that a proxy can hold open here: each takes two of its descriptors, and some are
    needed elsewhere."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(10_000, (hard - 200) // 200 * 100)


class Bench:
    def __init__(self, binaries, scale):
        self.binaries, self.scale = Path(binaries).resolve(), scale
        self.lines, self.servers = Lines(), []
        self.serve("origin", f"{ORIGIN}:{ORIGIN_PORT}")
        self.serve("origin_udp", f"{ORIGIN}:{ORIGIN_PORT}")
        self.serve("origin", f"{ORIGIN}:{PROMPT_PORT}", before_all=PROMPT)

    def serve(self, program, *arguments, before_all=()):
        """Start a server at the far end of the line."""
        argv = [*self.lines.prefix().split(), *before_all, "taskset", "-c", str(CORE), self.binaries / program, *arguments]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        assert server.stdout.readline() == "ready\n", f"{program} does not start"

    def command(self, running, way, *measure, origin=ORIGIN_PORT, core=CORE, before_all=()):
        how = "none" if way.startswith("fixed") or way == "captured" else "socks5" if way == "udp" else way
        pin = [] if core is None else ["taskset", "-c", core]
        argv = [*before_all, *pin, self.binaries / "load", running.place_of(way), how, f"{ORIGIN}:{origin}", *measure]
        return [str(a) for a in argv]

    def load(self, running, way, *measure, while_open=None, **options):
        """Run the load generator: (its line, CPU seconds of the contender meanwhile)."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        before = running.cpu()
        p = subprocess.Popen(self.command(running, way, *measure, **options), text=True, **pipes)
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

    @contextmanager
    def held(self, running, way, n):
        """Keep this many idle connections open in this context; they have been open for a while."""
        p = subprocess.Popen(self.command(running, way, "idle", n), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if not p.stdout.readline():
                raise RuntimeError(f"{n} connections cannot be opened")
            time.sleep(SETTLED_S)
            yield
        finally:
            p.stdin.close()
            p.wait(60)

    @contextmanager
    def running(self, contender, **options):
        """A contender that was started and has served some connections."""
        running = Running(contender, **options)
        try:
            way = next(w for w in TUNNEL + WEB + DATAGRAMS if w in contender.ways)
            self.load(running, way, *("connect", 200, 8) if way in TUNNEL else ("http", 200, 8) if way in WEB else ("udp", 8, 200, 8, 64))
            yield running
        finally:
            running.stop()

    def cost(self, running, way, *measure, **options):
        """CPU microseconds for each unit."""
        said, spent = self.load(running, way, *measure, **options)
        return spent / said["units"] * 1e6

    def n(self, number, least=1):
        return max(least, int(number * self.scale))

    def close(self):
        for server in self.servers:
            server.kill()
            server.wait()
        self.lines.close()


def summary(figures):
    return {"median": statistics.median(figures), "least": min(figures), "most": max(figures), "runs": len(figures)}
