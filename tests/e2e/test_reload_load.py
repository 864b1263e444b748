"""The config is read again under load, and half of the readings are refused: no connection is dropped, none is refused.

`./dev soak` reads it 300 times (STEERWAY_RELOADS)."""

import os
import threading

import pytest

from lab.origin import read_exactly
from lab.socks import socks5_connect

RELOADS = int(os.environ.get("STEERWAY_RELOADS", "24"))
GOOD = [
    'uplinks = { "wan1", "wan2" }, policy = "round_robin"',
    'uplinks = { "wan2@3", "wan3" }, policy = "least_connections", idle_timeout = 500',
    'uplinks = { { interface = "wan1", tags = { "metered" }, tier = 2 }, "wan2" }, policy = "failover", deny = "192.0.2.0/24"',
    'uplinks = { "wan3", "wan2@2", "wan1" }, policy = "round_robin", allow = { "127.0.0.0/8", "10.0.0.0/8" }, hedge = 1',
]
BROKEN = [
    'uplinks = { "wan2" }, wieght = 3',
    'uplinks = { "wan3" }, policy = "oops.lua"',
    'uplinks = { "wan3" }, forward = "tcp:203.0.113.7:1=192.0.2.1:80", listen_strict = true',
    'uplinks = { "wan3" ',
]


class Clients:
    """Threads that connect, exchange some bytes, and close, over and over; and tunnels that stay open."""

    def __init__(self, proxy, server, n=4, tunnels=12):
        self.proxy, self.server, self.made, self.wrong = proxy, server, 0, []
        self.over = threading.Event()
        self.tunnels = [socks5_connect(proxy, server.address, server.port) for _ in range(tunnels)]
        self.threads = [threading.Thread(target=self.connect, daemon=True) for _ in range(n)]
        self.threads.append(threading.Thread(target=self.talk, daemon=True))
        for thread in self.threads:
            thread.start()

    def exchange(self, tunnel, data):
        tunnel.sendall(data)
        if read_exactly(tunnel.s, len(data)) != data:
            self.wrong.append("wrong bytes")

    def connect(self):
        while not self.over.is_set():
            try:
                with socks5_connect(self.proxy, self.server.address, self.server.port) as tunnel:
                    self.exchange(tunnel, b"ping")
                self.made += 1
            except Exception as e:  # any fault at all is a finding
                self.wrong.append(f"new: {e!r}")

    def talk(self):
        while not self.over.is_set():
            for i, tunnel in enumerate(self.tunnels):
                try:
                    self.exchange(tunnel, b"%06d" % i)
                except Exception as e:
                    self.wrong.append(f"open {i}: {e!r}")
                    return

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        for i, tunnel in enumerate(self.tunnels):
            self.exchange(tunnel, b"%06d" % i)
            tunnel.close()


@pytest.mark.once
def test_reloads_under_load(start, config, origin, tmp_path):
    def serve(s):
        while data := s.recv(65536):
            s.sendall(data)

    def write(text):
        return config(f'return {{ listen = "127.0.0.1:0", {text} }}')

    (tmp_path / "oops.lua").write_text('return { name = "oops", new = function() error("oops") end }')
    proxy = start("--config", write(GOOD[0]), port=False)
    server = origin(serve)
    clients = Clients(proxy, server)
    for i in range(RELOADS // 2):
        write(BROKEN[i % len(BROKEN)])
        proxy.tell("reload", code=1)
        write(GOOD[(i + 1) % len(GOOD)])
        proxy.tell("reload")
    clients.stop()
    assert not clients.wrong, clients.wrong[:5]
    assert clients.made > RELOADS
    assert len(proxy.events("config_reloaded")) == len(proxy.events("config_not_reloaded")) == RELOADS // 2
    assert {c["outcome"] for c in proxy.connections()} == {"closed"}
    ids = [u["id"] for u in proxy.ask("uplinks")["uplinks"]]
    assert max(ids) <= 64
