"""Rate caps: of a client, a user, an uplink and a connection, in both directions, fair among those that share one."""

import contextlib
import select
import socket
import time

import pytest

from lab.http import HttpOrigin, Reader, get, response
from lab.origin import read_exactly
from lab.proxy import SANITIZED
from lab.run import wait_for
from lab.socks import auth5, read_reply5, request5

pytestmark = [pytest.mark.once, pytest.mark.skipif(SANITIZED, reason="how fast the proxy is under a sanitizer says nothing")]

ONE, OTHER = "127.0.0.1", "127.0.0.2"
SETTLE_S, MEASURE_S = 0.7, 1.5
BLOCK = bytes(65536)


@pytest.fixture
def source(origin):
    """Sends for ever, as fast as it can."""

    def serve(s):
        with contextlib.suppress(OSError):
            while True:
                s.sendall(BLOCK)

    return origin(serve)


@pytest.fixture
def sink(origin):
    """Reads for ever."""

    def serve(s):
        while s.recv(65536):
            pass

    return origin(serve)


def tunnel(proxy, server, source=ONE, user=None):
    s = socket.create_connection(proxy.address, timeout=30, source_address=(source, 0))
    s.sendall((b"\x05\x01\x02" + auth5(user, "secret") if user else b"\x05\x01\x00") + request5(server.address, server.port))
    read_exactly(s, 4 if user else 2)
    assert read_reply5(s)[0] == 0
    s.setblocking(False)
    return s


def measured(sockets, up=False, settle=SETTLE_S):
    """Bytes a second of each socket, all of them used at the same time."""
    moved, poll = {s.fileno(): 0 for s in sockets}, select.poll()
    by_fd = {s.fileno(): s for s in sockets}
    for fd in by_fd:
        poll.register(fd, select.POLLOUT if up else select.POLLIN)
    begin = time.monotonic() + settle
    while (now := time.monotonic()) < begin + MEASURE_S:
        for fd, _ in poll.poll(50):
            with contextlib.suppress(BlockingIOError):
                n = by_fd[fd].send(BLOCK) if up else len(by_fd[fd].recv(65536))
                moved[fd] += n if now >= begin else 0
    return [moved[s.fileno()] / MEASURE_S for s in sockets]


@contextlib.contextmanager
def closing(sockets):
    try:
        yield sockets
    finally:
        for s in sockets:
            s.close()


def near(rate, expected):
    return 0.7 * expected < rate < 1.3 * expected


@pytest.mark.parametrize("threads", [0, 2])
def test_a_client_has_its_rate_and_shares_it_fairly(start, source, threads):
    proxy = start("wan1", "--rate-client", "600K", "--threads", threads)
    with closing([*(tunnel(proxy, source) for _ in range(4)), tunnel(proxy, source, OTHER)]) as sockets:
        *four, other = measured(sockets)
        assert near(sum(four), 600_000) and near(other, 600_000), (four, other)
        assert min(four) > 0.5 * max(four), four


def test_uploads_have_the_same_cap(start, sink):
    proxy = start("wan1", "--rate-client", "600K")
    with closing([tunnel(proxy, sink), tunnel(proxy, sink)]) as sockets:
        measured(sockets, up=True, settle=3)  # fills the buffers of sockets
        rates = measured(sockets, up=True)
        assert near(sum(rates), 600_000), rates


def test_a_greedy_client_cannot_slow_another(start, source, lab):
    """A line of 16 Mbit/s, and a client with twelve downloads beside one with one."""
    lab.wan1.shape(16, 16)

    def shares(*args):
        proxy = start("wan1", *args)
        with closing([*(tunnel(proxy, source) for _ in range(12)), tunnel(proxy, source, OTHER)]) as sockets:
            *greedy, other = measured(sockets, settle=1.5)
        proxy.stop()
        return other / (sum(greedy) + other)

    free, capped = shares(), shares("--rate-client", "800K")
    assert free < 0.3 < 0.4 < capped < 0.6, f"the other's share: {free:.2f} without caps, {capped:.2f} with caps"


def test_users_have_rates_of_their_own(start, source):
    proxy = start("wan1", "--auth", "tim:secret", "--auth", "ann:secret", "--rate-user", "tim=200K", "--rate-user", "ann=800K")
    with closing([tunnel(proxy, source, ONE, "tim"), tunnel(proxy, source, OTHER, "tim"), tunnel(proxy, source, ONE, "ann")]) as sockets:
        one, two, ann = measured(sockets)
        assert near(one + two, 200_000) and near(ann, 800_000), (one, two, ann)


def test_rates_follow_the_config_file(start, config, source):
    text = 'return { listen = "127.0.0.1:0", uplinks = { { interface = "wan1", rate = "%s" } }, rate_client = "%s" }'
    proxy = start("--config", config(text % ("300K", "10M")), port=False)
    with closing([tunnel(proxy, source), tunnel(proxy, source, OTHER)]) as sockets:
        rates = measured(sockets)
        assert near(sum(rates), 300_000) and min(rates) > 0.5 * max(rates), rates
        config(text % ("900K", "10M"))
        assert "uplink wan1: rate: 300K → 900K" in proxy.tell("reload")
        assert near(sum(measured(sockets)), 900_000)
        config(text % ("10M", "200K"))
        proxy.tell("reload")
        rates = measured(sockets)
        assert near(rates[0], 200_000) and near(rates[1], 200_000), rates
    assert len(proxy.events("uplink_removed")) == 0


def test_bodies_of_plain_http_have_the_cap_too(start, origin):
    body = bytes(3_000_000)
    web = HttpOrigin(origin, lambda _request, _s: response(200, body))
    proxy = start("wan1", "--rate-client", "1M")
    began = time.monotonic()
    with socket.create_connection(proxy.address, timeout=60) as s:
        s.sendall(get(web) if isinstance(get(web), bytes) else get(web).encode())
        assert len(Reader(s).message("GET").body) == len(body)
    took = time.monotonic() - began
    assert took > 2.2, f"3 MB at 1 MB/s in {took:.2f} s"


def test_waiting_costs_no_time(start, source):
    proxy = start("wan1", "--rate-client", "100K")
    with closing([tunnel(proxy, source) for _ in range(20)]) as sockets:
        measured(sockets)
        before, began = proxy.cpu_seconds(), time.monotonic()
        measured(sockets)
        spent = (proxy.cpu_seconds() - before) / (time.monotonic() - began)
    assert spent < 0.1, f"{spent:.0%} of a processor"
    wait_for(lambda: proxy.open_connections() == 0, "all have ended")
