"""The lab's lines with latency: they have the rate, the round trip, the buffer and the losses that were asked for."""

import contextlib
import socket
import struct
import subprocess
import threading
import time

import pytest

from lab.origin import echo
from lab.run import WAIT_S, run, wait_for
from lab.slow_line import EMULATOR, why_not
from lab.topology import OPEN4, OPEN6

pytestmark = [pytest.mark.once, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

SO_RCVBUFFORCE = 33
HEADERS4 = 28  # of IPv4 and UDP
ATTEMPTS = 5  # of which the best counts: another program may hold the machine up


@contextlib.contextmanager
def datagrams(lab, uplink, address=OPEN4):
    """Sockets of the household, bound to the uplink, and of the internet."""
    with lab.internet.datagrams(address, 0) as far, lab.home.datagrams("::" if ":" in address else "0.0.0.0", 0) as near:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, uplink.name.encode())
        far.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)  # a slow reader loses nothing
        near.connect(far.getsockname()[:2])
        for s in (near, far):
            s.settimeout(WAIT_S)
        yield near, far


@contextlib.contextmanager
def echoed(lab, uplink, address=OPEN4):
    """A socket of the household whose datagrams come back."""

    def serve(s):
        while True:
            data, peer = s.recvfrom(65536)
            if data == b"end":
                return
            s.sendto(data, peer)

    with datagrams(lab, uplink, address) as (near, far):
        thread = threading.Thread(target=serve, args=(far,), daemon=True)
        thread.start()
        yield near
        with lab.internet.datagrams(address, 0) as last:
            last.sendto(b"end", far.getsockname())
        thread.join(WAIT_S)
        assert not thread.is_alive()


def round_trip(s):
    began = time.monotonic()
    s.send(b"ping")
    assert s.recv(100) == b"ping"
    return time.monotonic() - began


@pytest.mark.parametrize("address", [OPEN4, OPEN6])
def test_a_round_trip_is_twice_the_delay(lab, slow, address):
    slow(lab.wan2, "80 ms, 200 ms buffer")
    with echoed(lab, lab.wan2, address) as s:
        best = min(round_trip(s) for _ in range(ATTEMPTS))
    assert 0.08 <= best < 0.1, best
    with echoed(lab, lab.wan1, address) as s:
        assert min(round_trip(s) for _ in range(ATTEMPTS)) < 0.04, "the other line is as fast as before"


def test_jitter_makes_round_trips_differ(lab, slow):
    slow(lab.wan2, round_trip=20, jitter=40)
    with echoed(lab, lab.wan2) as s:
        took = sorted(round_trip(s) for _ in range(25))
    assert 0.02 <= took[0] < 0.045 and took[-1] > 0.045, took


def burst(lab, line, n, size):
    """Send n datagrams from the household at once, and wait until none is under way. Returns of each that arrived: its
    number, its seconds under way, and the seconds from the first one's start to its arrival."""
    arrived, before = [], line.counted("up")

    def fates():
        return {fate: count - before[fate] for fate, count in line.counted("up").items()}

    def receive():
        while (data := far.recv(65536)) != b"end":
            number, sent_at = struct.unpack_from("=id", data)
            arrived.append((number, time.monotonic() - sent_at, time.monotonic() - began))

    with datagrams(lab, line.uplink) as (near, far):
        thread, began = threading.Thread(target=receive, daemon=True), time.monotonic()
        thread.start()
        for i in range(n):
            near.send(struct.pack("=id", i, time.monotonic()).ljust(size, b"."))
        wait_for(lambda: sum(fates().values()) == n and len(arrived) == fates()["carried"], "none is under way")
        with lab.internet.datagrams(OPEN4, 0) as last:
            last.sendto(b"end", far.getsockname())
        thread.join(WAIT_S)
        assert not thread.is_alive()
    return arrived


@pytest.mark.parametrize("mbit", [5, 40])
def test_the_line_has_the_asked_rate(lab, slow, mbit):
    """A burst arrives no sooner than the line can carry it, and not much later."""
    line = slow(lab.wan2, up=mbit, round_trip=0, buffer=1000)
    n, size = mbit * 20, 1200
    expected = n * (size + HEADERS4) * 8 / (mbit * 1e6)
    took = [burst(lab, line, n, size)[-1][2] for _ in range(ATTEMPTS)]
    assert expected <= min(took) < 1.1 * expected


def test_the_buffer_bounds_how_long_packets_wait(lab, slow):
    """Half a second of packets at once: the buffer of 200 ms takes what it can hold, and drops the others."""
    line = slow(lab.wan2, up=10, round_trip=0, buffer=200)
    n, size = 500, 1222  # a millisecond each
    arrived = burst(lab, line, n, size)
    assert line.counted("up")["full"] == n - len(arrived)
    waited = sorted(s for _, s, _ in arrived)
    assert 195 <= len(arrived) < 400, "those that waited, and those that the line carried meanwhile"
    assert waited[-1] > 0.19 and waited[len(waited) // 2] < 0.22, waited


def test_losses_have_the_asked_rate_and_follow_the_seed(lab, slow):
    """The same packets are lost each time, by their number."""

    def arrive(seed):
        line = slow(lab.wan2, up=100, round_trip=0, buffer=1000, loss=10, seed=seed)
        numbers = [number for k in range(20) for number, _, _ in burst(lab, line, 100, 100)]
        assert line.counted("up")["lost"] == 2000 - len(numbers)
        line.remove()
        return numbers

    first, again, other = arrive(1), arrive(1), arrive(2)
    assert first == again != other
    for numbers in (first, other):
        assert 1730 < len(numbers) < 1870, "five standard deviations"


def test_a_killed_line_carries_nothing_until_it_is_revived(lab, slow):
    line = slow(lab.wan2, round_trip=1000)
    with echoed(lab, lab.wan2) as s:
        assert round_trip(s) >= 1
        s.send(b"under way")
        line.kill()
        s.send(b"lost")
        wait_for(lambda: line.counted("up")["killed"] >= 2, "both are gone")
        line.revive()
        assert round_trip(s) >= 1, "packets keep their order, so the others would have come before"
        assert line.counted("up") == {"carried": 2, "lost": 0, "full": 0, "killed": 2, "refused": 0}


def test_a_killed_line_holds_a_connection_up(lab, slow, origin):
    """TCP goes on when the line is there again."""
    line = slow(lab.wan2)
    server = origin(echo)
    with socket.socket() as s:
        s.settimeout(WAIT_S)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wan2")
        s.connect((server.address, server.port))
        line.kill()
        s.sendall(b"ping")
        wait_for(lambda: line.counted("up")["killed"] >= 2, "it is sent again")
        line.revive()
        assert s.recv(10) == b"ping"


@pytest.mark.parametrize("arguments", [
    ["a@/proc/self/ns/net", "b@/proc/self/ns/net"],
    ["a@/proc/self/ns/net", "--rate=1"],
    ["a@/proc/self/ns/net", "b", "--rate=1"],
    ["a@/nowhere", "b@/nowhere", "--rate=1"],
    ["a@/proc/self/ns/net", "b@/proc/self/ns/net", "--rate=1", "--loss=101"],
    ["a@/proc/self/ns/net", "b@/proc/self/ns/net", "--rate=1,"],
    ["a@/proc/self/ns/net", "b@/proc/self/ns/net", "--rate=fast"],
])  # fmt: skip
def test_the_emulator_refuses_what_it_cannot_do(arguments):
    refused = run(EMULATOR, *arguments)
    assert refused.code == 1 and refused.err.startswith(b"linkemu: ") and refused.err.count(b"\n") == 1, refused


def test_the_emulator_ends_with_its_caller(lab):
    process = subprocess.Popen([EMULATOR, "a@/proc/self/ns/net", "b@/proc/self/ns/net", "--rate=1"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() and lab.home.link("a") and lab.home.link("b")
    process.stdin.close()
    assert process.wait(WAIT_S) == 0
    process.stdout.close()
    assert lab.home.link("a") is None
