"""The uplinks' meters, on lines of known speed."""

import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo, read_exactly
from lab.run import WAIT_S, wait_for
from lab.socks import socks5_connect
from lab.topology import OPEN4

FAST, SLOW = 12, 4  # Mbit/s, slow enough for a loaded machine
MBIT = 1e6 / 8  # bytes/s
# Seconds at full speed after which a capacity must be known.
LONG_ENOUGH = 8
CHUNK = bytes(65536)


def uplink(proxy, name):
    return next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == name)


def pour(s):
    """Send until the peer stops reading."""
    while True:
        s.sendall(CHUNK)


def swallow(s):
    while s.recv(65536):
        pass


@contextmanager
def moving(proxy, server, n, move):
    """n connections, alternating between the uplinks, that move as much as they can in this context."""
    with ExitStack() as stack:
        tunnels = [stack.enter_context(socks5_connect(proxy, server.address, server.port)) for _ in range(n)]

        def run(tunnel):
            try:
                move(tunnel.s)
            except OSError:
                pass  # closed by the test

        threads = [threading.Thread(target=run, args=(t,), daemon=True) for t in tunnels]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for tunnel in tunnels:
                tunnel.s.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(WAIT_S)


def assert_learned(proxy, way):
    """Call it when each line was full for long enough."""
    speeds = {"wan1": FAST * MBIT, "wan2": SLOW * MBIT}

    def known():
        lines = [(uplink(proxy, name), speed) for name, speed in speeds.items()]
        return all(u[f"{way}_bytes"] > LONG_ENOUGH * speed and u[f"{way}_capacity"] for u, speed in lines)

    wait_for(known, "both lines were full for a while", 8 * LONG_ENOUGH, every=0.1)
    for name, speed in speeds.items():
        u = uplink(proxy, name)
        assert abs(u[f"{way}_capacity"] / speed - 1) < 0.25, f"{name}: {u}"
        assert abs(u[f"{way}_rate"] / speed - 1) < 0.5, f"{name}: {u}"
        assert u["busy"] == u["active"] == 2, f"{name}: {u}"


def assert_at_rest(proxy):
    """No connection is active or busy, rates are near zero, and no timer runs."""
    still = ("active", "busy", "tx_rate", "rx_rate")
    wait_for(lambda: all(u[f] == 0 for u in proxy.ask("uplinks")["uplinks"] for f in still), "all is at rest")

    def switches():
        with open(f"/proc/{proxy.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches"))

    before = switches()
    time.sleep(2)  # the test: that hardly anything happens in this time
    assert switches() - before <= 2, "a look at the links now and then, and little else"


@pytest.fixture
def unequal(start, lab):
    """A proxy with two lines of known speed, used in turns."""
    lab.wan1.shape(FAST, FAST)
    lab.wan2.shape(SLOW, SLOW)
    return start("--policy", "round_robin", "wan1", "wan2")


@pytest.mark.once
def test_downloads_show_the_capacity_of_a_line(unequal, origin):
    with moving(unequal, origin(pour), 4, swallow):
        assert_learned(unequal, "rx")
    assert re.search(r"^wan1 .* 1\d(\.\d)?/-  10\.0\.1\.2", unequal.tell("uplinks"), re.M)
    assert re.search(r"wan1: .*, carries\s+1\d(\.\d)?/-\s+Mbit/s\s+down/up\n", unequal.tell("why", "www.example.org"), re.S)
    learned = uplink(unequal, "wan1")["rx_capacity"]
    assert_at_rest(unequal)
    assert uplink(unequal, "wan1")["rx_capacity"] > 0.99 * learned, "idleness forgets nothing"


@pytest.mark.once
def test_uploads_show_the_capacity_of_a_line(unequal, origin):
    with moving(unequal, origin(swallow), 4, pour):
        assert_learned(unequal, "tx")
        rates = []
        for _ in range(12):
            rates.append(uplink(unequal, "wan2")["tx_rate"])
            time.sleep(0.25)  # the test: each tick's rate
        assert max(rates) < 1.4 * min(rates), f"what waits in the kernel has not left: {rates}"


def test_meters_run_while_connections_are_open(start, origin):
    """Bytes and connect time show while a connection is open, and a silent chat is not busy."""
    proxy = start("wan1")
    server = origin(echo)
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        u = uplink(proxy, "wan1")
        assert (u["active"], u["busy"], u["tx_bytes"]) == (1, 1, 0) and u["connect_time"] > 0, u
        tunnel.sendall(bytes(1000))
        read_exactly(tunnel.s, 1000)
        u = uplink(proxy, "wan1")
        assert (u["tx_bytes"], u["rx_bytes"]) == (1000, 1000)
        wait_for(lambda: uplink(proxy, "wan1")["busy"] == 0, "two seconds of silence")
        assert uplink(proxy, "wan1")["active"] == 1
        tunnel.sendall(b"again")
        read_exactly(tunnel.s, 5)
        u = uplink(proxy, "wan1")
        assert u["busy"] == 1 and u["rtt"] == 0, "TCP is asked at the end"
    (line,) = proxy.connections(1)
    assert (line["tx"], line["rx"]) == (1005, 1005), "each byte is counted once"
    assert_at_rest(proxy)
    assert uplink(proxy, "wan1")["rtt"] > 0


def test_plain_http_counts_while_it_runs(start, origin):
    proxy = start("wan1")
    server = HttpOrigin(origin, lambda *_: response(200, bytes(5000)))
    with Client(proxy) as c:
        assert c.ask(get(server)).status == 200
        assert uplink(proxy, "wan1")["rx_bytes"] > 5000
        wait_for(lambda: uplink(proxy, "wan1")["busy"] == 0, "a kept connection between requests is not busy")
