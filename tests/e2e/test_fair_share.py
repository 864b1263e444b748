"""Unequal lines are filled without a weight being given, and the simulator foretells which policy does it."""

import contextlib
import json
import threading
import time

from lab.command import run
from lab.socks import socks5_connect

FAST, SLOW = 100, 10  # Mbit/s
LINES = 'return { { name = "wan1", down = "100M" }, { name = "wan2", down = "10M" } }'
WORKERS, SEGMENT = 16, 500_000
LEARN_S, MEASURE_S = 6, 6


def send_segment(s):
    s.sendall(bytes(SEGMENT))


@contextlib.contextmanager
def downloading(proxy, server):
    """A download manager meanwhile: as a segment is done, its worker asks for the next, by another connection."""
    over, done = threading.Event(), []

    def work():
        while not over.is_set():
            with socks5_connect(proxy, server.address, server.port, timeout=60) as tunnel:
                got = 0
                while data := tunnel.s.recv(262144):
                    got += len(data)
            assert got == SEGMENT
            done.append(got)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    yield done
    over.set()
    for thread in threads:
        thread.join(60)
    assert done and not any(thread.is_alive() for thread in threads)


def fill(lab, start, origin, policy, *args):
    """The share of both lines' sum that downloads take, by the interfaces' counters."""
    lab.wan1.shape(FAST, FAST)
    lab.wan2.shape(SLOW, SLOW)
    proxy = start("--policy", policy, *args, "wan1", "wan2")
    with downloading(proxy, origin(send_segment)):
        time.sleep(LEARN_S)
        before, began = lab.received(), time.monotonic()
        time.sleep(MEASURE_S)
        after, s = lab.received(), time.monotonic() - began
    proxy.stop()
    return sum(after[w] - before[w] for w in ("wan1", "wan2")) * 8 / 1e6 / s / (FAST + SLOW)


def test_fair_share_fills_lines_that_turns_do_not_as_the_simulator_says(lab, start, origin, tmp_path):
    trace, lines = tmp_path / "trace", tmp_path / "lines.lua"
    lines.write_text(LINES)
    fair = fill(lab, start, origin, "fair_share", "--record", trace)
    turns = fill(lab, start, origin, "round_robin")
    assert fair > 0.85 and fair > 1.5 * turns, f"fair_share {fair:.1%}, round_robin {turns:.1%}"
    r = run("simulate", "--compare", "fair_share,round_robin", "--trace", trace, "--uplinks", lines, "--json")
    fair_model, turns_model = (each["fill_down"] for each in json.loads(r.stdout)["runs"])
    assert fair_model > 0.85 and fair_model > 1.5 * turns_model, f"fair_share {fair_model:.1%}, round_robin {turns_model:.1%}"
    print(f"live {fair:.1%} and {turns:.1%}, simulated {fair_model:.1%} and {turns_model:.1%}")
