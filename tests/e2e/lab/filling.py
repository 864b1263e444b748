"""Sixteen transfers at a time through the proxy, and how much of its lines they use."""

import contextlib
import os
import socket
import threading
import time

from lab.socks import socks5_connect

MEASURES = os.environ.get("STEERWAY_SATURATION") == "all"  # set by `./dev bench`, which measures for minutes
WORKERS = 16


class Way:
    """A direction: what a client does with a tunnel and what the server does, for transfers of this many bytes."""

    def __init__(self, direction, size):
        self.size, self.side = size, ("down", "up").index(direction)
        self.move, self.serve = ((self._download, self._send), (self._upload, self._take))[self.side]

    def _download(self, s):
        got = 0
        while data := s.recv(262144):
            got += len(data)
        assert got == self.size

    def _upload(self, s):
        s.sendall(bytes(self.size))
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b"", "it has all arrived"

    def _send(self, s):
        s.sendall(bytes(self.size))

    def _take(self, s):
        while s.recv(262144):
            pass


@contextlib.contextmanager
def moving(proxy, server, way, workers=WORKERS, to_the_end=True):
    """When a transfer is done, its thread starts the next one on another connection. The transfers that run at the end are
    waited for, or the proxy is stopped: on a slow line they would take a minute."""
    over, done = threading.Event(), []

    def work():
        while not over.is_set():
            with socks5_connect(proxy, server.address, server.port, timeout=60) as tunnel:
                way.move(tunnel.s)
            done.append(1)

    def work_until_over():
        try:
            work()
        except (OSError, EOFError, AssertionError):
            if to_the_end or not over.is_set():
                raise

    threads = [threading.Thread(target=work_until_over, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    yield done
    over.set()
    if not to_the_end:
        proxy.stop()
    for thread in threads:
        thread.join(60)
    assert done and not any(thread.is_alive() for thread in threads)


def mbits(counters, s):
    """By how many Mbit/s each of these counters of bytes grows over the next seconds."""
    before, began = [count() for count in counters], time.monotonic()
    time.sleep(s)
    after, s = [count() for count in counters], time.monotonic() - began
    return [(b - a) * 8 / 1e6 / s for a, b in zip(before, after)]
