"""examples/lte-backup, as its README describes. The stick carries nothing while the line works, even when that is
full; it serves within seconds after the line fails."""

import threading
from pathlib import Path

import pytest

from lab.origin import echo, read_exactly
from lab.proxy import ROOT
from lab.run import sh, wait_for
from lab.socks import socks5_connect
from lab.topology import OPEN4

EXAMPLE = Path(ROOT, "examples/lte-backup/config.lua")
ASKERS = 8
RATE_MBIT = 4


@pytest.fixture
def backup(start, config):
    """The example, with the lab's names and its own port."""
    text = EXAMPLE.read_text()
    for theirs, ours in (('"eth0"', '"wan1"'), ('"wwan0"', '"wan2"'), ('"localhost:1080"', '"127.0.0.1:0"')):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    return lambda *args: start("--state", "none", *args, "--config", config(text), port=False)


def fill(line, bloat_s):
    """A line with too large buffers: when it is full, each packet waits this long."""
    line.broken = True
    limit = int(RATE_MBIT * 1e6 / 8 * bloat_s)
    for run, dev in ((line.isp.sh, f"line{line.number}"), (sh, line.name)):
        run(f"tc qdisc replace dev {dev} root tbf rate {RATE_MBIT}mbit burst 16kb limit {limit}")


def load(proxy, server, stop):
    """Four downloads and four uploads that never end."""

    def work(up):
        with socks5_connect(proxy, OPEN4, server.port, timeout=60) as s:
            s.sendall(b"u" if up else b"d")
            while not stop.is_set():
                try:
                    s.sendall(bytes(16384)) if up else s.recv(65536)
                except OSError:  # the end of the test
                    return

    threads = [threading.Thread(target=work, args=(up,), daemon=True) for up in (False, True) * 4]
    for thread in threads:
        thread.start()


def serve_load(s):
    up = s.recv(1) == b"u"
    while True:
        if up:
            s.recv(65536)
        else:
            s.sendall(bytes(65536))


@pytest.mark.once
@pytest.mark.parametrize("bloat_s, requests", [(0.3, 10), (1.5, 5)])
def test_nothing_goes_by_the_stick_while_the_line_works(lab, backup, origin, bloat_s, requests):
    heavy, server, stop = origin(serve_load), origin(echo), threading.Event()
    proxy = backup()
    for _ in range(5):  # on the empty line: its usual connect time becomes known
        socks5_connect(proxy, OPEN4, server.port).close()
    fill(lab.wan1, bloat_s)
    load(proxy, heavy, stop)
    wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["busy"] >= 8, "the line is loaded")
    begun, failed = lab.tcp_sent()["wan2"], []

    def ask(n):
        for _ in range(n):
            try:
                with socks5_connect(proxy, OPEN4, server.port, timeout=60) as s:
                    s.sendall(b"request")
                    assert read_exactly(s.s, 7) == b"request"
            except (OSError, AssertionError, EOFError) as error:
                failed.append(error)

    askers = [threading.Thread(target=ask, args=(requests,)) for _ in range(ASKERS)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(120)
    stop.set()
    assert not failed, failed[:3]
    assert lab.tcp_sent()["wan2"] == begun, "not a packet"
    assert {line["uplink"] for line in proxy.events("connection")} == {"line"}


@pytest.mark.parametrize("loss", ["lose_carrier", "swallow"])
def test_the_stick_serves_within_seconds_and_is_left_again(lab, backup, origin, loss):
    server = origin(echo)
    proxy = backup()

    def uplink():
        with socks5_connect(proxy, OPEN4, server.port) as s:
            return lab.uplink_of(s.source)

    assert uplink() == "wan1"
    getattr(lab.wan1, loss)()
    wait_for(lambda: uplink() == "wan2", "the stick serves")
    lab.wan1.restore()
    wait_for(lambda: uplink() == "wan1", "the line serves again")
