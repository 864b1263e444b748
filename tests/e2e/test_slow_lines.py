"""What latency, buffers and losses change: how far lines are filled, how long clients wait for a connection, when a
second uplink is tried, and which line counts as the nearest. `./dev bench lines` measures all profiles, at length. A test
takes a few seconds, for one or two of them."""

import statistics
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext

import pytest

from lab.filling import MEASURES, Way, mbits, moving
from lab.origin import echo
from lab.proxy import SANITIZED
from lab.run import WAIT_S, wait_for
from lab.slow_line import PROFILES
from lab.socks import socks5_connect

pytestmark = [pytest.mark.once, pytest.mark.skipif(SANITIZED, reason="how fast the proxy is under a sanitizer says nothing")]

FAST, SLOW = 20, 2  # Mbit/s
LARGE, SMALL = 1_000_000, 100_000  # bytes
EXPLORE_S, RETURN_S = (20, 50) if MEASURES else (2, 15)  # of the policy; to return to a line
LEARN_S, MEASURE_S = (5, 4) if MEASURES else (4, 2)
# Beside those, a line without latency, to compare with.
ALL = ["0 ms", *PROFILES]


def measured(*few):
    """All profiles for a measurement, and a few for a test."""
    return pytest.mark.parametrize("profile", ALL if MEASURES else few)


@pytest.fixture
def pair(lab, slow):
    """pair("1 % loss", wan2=…) makes both lines slow; the traits of the second may differ."""

    def make(profile, down=(FAST, FAST), wan2=()):
        traits = {"round_trip": 0, "buffer": 50} if profile == "0 ms" else PROFILES[profile]
        return [slow(u, **{**traits, "down": d, "up": d, **more})
                for u, d, more in ((lab.wan1, down[0], {}), (lab.wan2, down[1], dict(wan2)))]  # fmt: skip

    return make


# --- filled ---


@measured("120 ms, 500 ms buffer", "1 % loss")
@pytest.mark.parametrize("direction,size", [("down", LARGE), ("up", LARGE), ("down", SMALL)] if MEASURES else [("down", LARGE)])
def test_slow_lines_are_filled(start, origin, pair, profile, direction, size):
    """Sixteen transfers at a time over a line and one of a tenth of its rate."""
    lines = pair(profile, (FAST, SLOW))
    way = Way(direction, size)
    proxy = start("wan1", "wan2")
    with moving(proxy, origin(way.serve), way, to_the_end=False):
        time.sleep(LEARN_S)
        rates = mbits([lambda line=line: line.bytes(direction) for line in lines], MEASURE_S)
        capacity = [u["rx_capacity" if direction == "down" else "tx_capacity"] * 8e-6 for u in proxy.ask("uplinks")["uplinks"]]
    share = sum(rates) / (FAST + SLOW)
    print(f"{profile}, {size / 1e6:g} MB {direction}: {share:.0%}: {rates[0]:.1f} and {rates[1]:.1f} Mbit/s; "
          f"learned {capacity[0]:.1f} and {capacity[1]:.1f}")  # fmt: skip
    assert share > 0.6, "less is asked of lines with latency than a measurement finds"


# --- connections ---


def connect_s(proxy, server):
    began = time.monotonic()
    with socks5_connect(proxy, server.address, server.port):
        return time.monotonic() - began


def connects(proxy, server, n):
    """Seconds of n connections, one after another, in order of size."""
    return sorted(connect_s(proxy, server) for _ in range(n))


def races(proxy, server, n):
    """How many of the n connections to this server were raced."""

    def ended():
        return [line for line in proxy.connections() if line["port"] == server.port]

    wait_for(lambda: len(ended()) == n, "all are logged")
    return sum("hedge" in line for line in ended())


@measured("80 ms, 200 ms buffer", "120 ms, 500 ms buffer")
@pytest.mark.parametrize("loaded", [False, True] if MEASURES else [False])
def test_lines_that_are_only_slow_are_not_raced(start, origin, pair, profile, loaded):
    """Connections one after another; beside bulk, eight downloads fill the buffers of both lines."""
    pair(profile)
    way, n = Way("down", LARGE), 40 if MEASURES else 15
    proxy, server, bulk = start("wan1", "wan2"), origin(echo), origin(way.serve)
    with moving(proxy, bulk, way, 8, to_the_end=False) if loaded else nullcontext():
        time.sleep(3 if loaded else 0)
        took = connects(proxy, server, n)
        raced = races(proxy, server, n)
    print(f"{profile}, {'beside bulk' if loaded else 'idle'}: connect {took[n // 2] * 1e3:.0f} ms, "
          f"p95 {took[n * 95 // 100] * 1e3:.0f} ms; raced {raced} of {n}")  # fmt: skip
    round_trip = 0 if profile == "0 ms" else PROFILES[profile]["round_trip"] / 1e3
    assert took[0] >= round_trip, "the reply comes when the destination has answered"
    assert loaded or "loss" in profile or raced <= n // 3, "a slow line is usual"


@measured("120 ms, 500 ms buffer")
def test_a_dead_line_costs_a_client_three_usual_connects(start, origin, pair, first, profile):
    lines = pair(profile)
    proxy, server = start("--policy", first("wan1", "wan2"), "wan1", "wan2"), origin(echo)
    connects(proxy, server, 10)
    usual = proxy.ask("uplinks")["uplinks"][0]["connect_time"]
    lines[0].kill()
    took = connect_s(proxy, server)
    line = proxy.wait_event("connection", uplink="wan2")
    print(f"{profile}, after the death of a line: connect {took * 1e3:.0f} ms; usual {usual * 1e3:.0f} ms")
    assert line["hedge"] == "won"
    assert took >= max(0.25, 3 * usual)


# --- the nearest line ---


@contextmanager
def filled(lab, uplink, server, n=6):
    """Downloads that bypass the proxy fill the line."""
    over, moved = threading.Event(), []

    def take(s):
        while not over.is_set() and (data := s.recv(65536)):
            moved.append(len(data))

    with ExitStack() as stack:
        threads = []
        for _ in range(n):
            s = stack.enter_context(lab.home.connect(server.address, server.port, device=uplink.name))
            threads.append(threading.Thread(target=take, args=(s,), daemon=True))
            threads[-1].start()
        wait_for(lambda: sum(moved) > 2_000_000, "the downloads have filled the line")
        yield
        over.set()
        for thread in threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()


def flood(s):
    piece = bytes(1 << 20)
    while True:
        s.sendall(piece)


def shares(proxy, server, n):
    """The share of wan1 in n connections, one after another, and their median time."""
    done = proxy.settled()
    took = connects(proxy, server, n)
    lines = proxy.connections(done + n)[done:]
    return sum(line["uplink"] == "wan1" for line in lines) / n, statistics.median(took)


def returns_s(proxy, server):
    """The seconds until most of the latest eight connections, one after another, went by wan1."""
    began, latest = time.monotonic(), []
    while sum(latest[-4:]) <= 2:
        assert time.monotonic() - began < RETURN_S, latest
        latest.append(shares(proxy, server, 2)[0])
    return time.monotonic() - began


@measured("120 ms, 500 ms buffer")
def test_the_nearest_line_is_taken_while_its_buffer_is_not_full(lab, start, origin, pair, profile):
    """The other line's round trip is 100 ms longer, so a full buffer of 50 ms changes nothing, and one of 500 ms does."""
    traits = {"buffer": 50} if profile == "0 ms" else PROFILES[profile]
    pair(profile, wan2={"round_trip": traits.get("round_trip", 0) + 100})
    proxy = start("--policy", "least_latency", "--set", f"explore={EXPLORE_S}", "wan1", "wan2")
    server, n = origin(echo), 30 if MEASURES else 5
    connects(proxy, server, 2)  # each line is tried once
    idle, idle_s = shares(proxy, server, n)
    with filled(lab, lab.wan1, origin(flood)):
        shares(proxy, server, n // 2)  # the smoothed time follows
        full, full_s = shares(proxy, server, n)
    took = returns_s(proxy, server)
    print(f"{profile}, by the nearest line: idle {idle:.0%}, {idle_s * 1e3:.0f} ms; filled {full:.0%}, {full_s * 1e3:.0f} ms; "
          f"it is taken again {took:.0f} s after that")  # fmt: skip
    assert idle >= 0.6 or "loss" in profile
    if traits["buffer"] >= 200:
        assert full <= (0.5 if MEASURES else 0.8)
