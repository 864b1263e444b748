"""Unequal lines are filled without configured weights, and the simulator predicts which policy does it."""

import json
import math
import random
import threading
import time

import pytest

from lab.command import run
from lab.filling import MEASURES, Way, mbits, moving
from lab.origin import read_exactly
from lab.proxy import SANITIZED
from lab.run import WAIT_S
from lab.socks import socks5_connect

pytestmark = [pytest.mark.once, pytest.mark.skipif(SANITIZED, reason="how fast the proxy is under a sanitizer says nothing")]

# Mbit/s. A busy machine fills slower lines just as well; segments are smaller, so they take as long.
FAST = 100 if MEASURES else 20
SLOW = FAST / 10
LINES = f'return {{ {{ name = "wan1", down = "{FAST}M" }}, {{ name = "wan2", down = "{SLOW:g}M" }} }}'
SEGMENT = 5_000 * FAST
LEARN_S, MEASURE_S = 5, 4
# The second line's Mbit/s, and the direction.
CASES = [(slow, way) for slow in (100, 30, 10) for way in ("down", "up")] if MEASURES else [(0.3 * FAST, "up")]


def fill(lab, start, origin, slow, direction, *args):
    """The used share of both lines' capacity."""
    lab.wan1.shape(FAST, FAST)
    lab.wan2.shape(slow, slow)
    way = Way(direction, SEGMENT)
    proxy = start(*args, "wan1", "wan2")
    with moving(proxy, origin(way.serve), way):
        time.sleep(LEARN_S)
        rates = mbits([lambda u=u: u.bytes()[way.side] for u in (lab.wan1, lab.wan2)], MEASURE_S)
    proxy.stop()
    return sum(rates) / (FAST + slow)


@pytest.mark.parametrize("slow,way", CASES)
def test_lines_are_filled_by_default(lab, start, origin, slow, way):
    share = fill(lab, start, origin, slow, way)
    print(f"{FAST} and {slow} Mbit/s, {way}: {share:.1%}")
    assert share > (0.95 if MEASURES else 0.85), "more is asked of a machine that measures and does nothing else"


def test_the_simulator_predicts_which_policy_fills_unequal_lines(lab, start, origin, tmp_path):
    trace, lines = tmp_path / "trace", tmp_path / "lines.lua"
    lines.write_text(LINES)
    fair = fill(lab, start, origin, SLOW, "down", "--policy", "fair_share", "--record", trace)
    turns = fill(lab, start, origin, SLOW, "down", "--policy", "round_robin")
    assert fair > 0.85 and fair > 1.5 * turns, f"fair_share {fair:.1%}, round_robin {turns:.1%}"
    r = run("simulate", "--compare", "fair_share,round_robin", "--trace", trace, "--uplinks", lines, "--json")
    fair_model, turns_model = (each["fill_down"] for each in json.loads(r.stdout)["runs"])
    assert fair_model > 0.85 and fair_model > 1.5 * turns_model, f"fair_share {fair_model:.1%}, round_robin {turns_model:.1%}"
    print(f"live {fair:.1%} and {turns:.1%}, simulated {fair_model:.1%} and {turns_model:.1%}")


# --- browsing ---

PAGE_S, PAGES, OBJECT = 0.11, 150, 14_000  # seconds between pages; number of pages; bytes per object, with 4 to 27 objects a page: seven tenths of 22 Mbit/s
NEWS = 50  # pages until the lines' capacities are known


def serve_object(s):
    s.sendall(bytes(int(read_exactly(s, 8))))


def browse(proxy, server):
    """Load the same pages; return the seconds for each object."""
    chance, took, threads = random.Random(1), [], []

    def fetch(size, counts):
        began = time.monotonic()
        with socks5_connect(proxy, server.address, server.port, timeout=30) as tunnel:
            tunnel.sendall(b"%08d" % size)
            read_exactly(tunnel.s, size)
        if counts:
            took.append(time.monotonic() - began)

    for page in range(PAGES):
        for _ in range(chance.randint(4, 27)):
            size = int(min(chance.lognormvariate(math.log(OBJECT) - 0.5, 1), 500_000))
            threads.append(threading.Thread(target=fetch, args=(size, page >= NEWS), daemon=True))
            threads[-1].start()
        time.sleep(chance.expovariate(1 / PAGE_S))
    for thread in threads:
        thread.join(WAIT_S)
    assert len(took) > 1000
    return sorted(took)


@pytest.mark.skipif(not MEASURES, reason="a measurement of half a minute: ./dev bench does it")
def test_browsing_is_no_slower_than_by_the_fast_line_alone(lab, start, origin):
    p95 = {}
    for names in (("wan1",), ("wan1", "wan2")):
        lab.wan1.shape(20, 20)
        lab.wan2.shape(2, 2)
        proxy = start(*names)
        took = browse(proxy, origin(serve_object))
        p95[len(names)] = took[len(took) * 95 // 100]
        learned = [f"{u['rx_capacity'] * 8e-6:.1f}" for u in proxy.ask("uplinks")["uplinks"]]
        print(f"{' and '.join(names)}: median {took[len(took) // 2] * 1e3:.0f} ms, p95 {p95[len(names)] * 1e3:.0f} ms; "
              f"learned {' and '.join(learned)} Mbit/s")  # fmt: skip
        proxy.stop()
    assert p95[2] <= p95[1] * 1.1
