"""Limits of connections, by client and in all, and what happens when descriptors run short."""

import contextlib
import select
import socket
import time

import pytest

from lab.http import HttpOrigin, Reader, get, response
from lab.origin import echo, read_exactly
from lab.run import wait_for
from lab.socks import Tunnel, read_reply5, request5

ONE, OTHER = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def server(origin):
    return origin(echo)


@pytest.fixture
def web(origin):
    return HttpOrigin(origin, lambda _request, _s: response(200, b"hello"))


def come(proxy, source=ONE):
    return socket.create_connection(proxy.address, timeout=30, source_address=(source, 0))


def code_and_socket(proxy, server, source=ONE):
    s = come(proxy, source)
    s.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
    assert read_exactly(s, 2) == b"\x05\x00"
    return read_reply5(s)[0], s


@pytest.fixture
def tunnel():
    """Opens tunnels, which are closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def opened(proxy, server, source=ONE):
            code, s = code_and_socket(proxy, server, source)
            assert code == 0
            return stack.enter_context(Tunnel(s, None, None))

        yield opened


def code(proxy, server, source=ONE):
    c, s = code_and_socket(proxy, server, source)
    s.close()
    return c


def status(proxy, request, source=ONE):
    with come(proxy, source) as s:
        s.sendall(request)
        return Reader(s).message("GET").status


def connect(web):
    return f"CONNECT {web.hostport} HTTP/1.1\r\nHost: {web.hostport}\r\n\r\n".encode()


def is_echoed(s):
    s.sendall(b"still here")
    return read_exactly(s.s, 10) == b"still here"


def test_connections_of_one_client(start, server, web, tunnel):
    proxy = start("wan1", "--client-connections", 2)
    first, second = tunnel(proxy, server), tunnel(proxy, server)
    assert code(proxy, server) == 2
    assert status(proxy, get(web)) == 429
    assert status(proxy, connect(web)) == 429
    assert code(proxy, server, OTHER) == 0 and status(proxy, get(web), OTHER) == 200, "another client has its own limit"
    assert is_echoed(first) and is_echoed(second)
    told = proxy.events("limit_reached")
    assert {(e["client"], e["limit"], e["most"]) for e in told} == {(ONE, "client-connections", 2)} and len(told) == 3
    assert proxy.ask("status")["limits"] == {"client-connections": {"most": 2, "refused": 3}}
    assert "  limits       client-connections 2 (3 refused)\n" in proxy.tell("status")
    first.close()
    wait_for(lambda: status(proxy, get(web)) == 200, "the place is free")


def test_a_kept_connection_is_asked_again(start, server, web, tunnel):
    proxy = start("wan1", "--client-connections", 1)
    held = tunnel(proxy, server)
    with come(proxy) as s:
        client = Reader(s)

        def asked():
            s.sendall(get(web))
            return client.message("GET").status

        assert asked() == 429
        held.close()
        wait_for(lambda: asked() == 200, "it is served when there is room")


def test_connections_in_all(start, server, web, tunnel):
    proxy = start("wan1", "--max-connections", 2)
    tunnel(proxy, server), tunnel(proxy, server, OTHER)
    for source in (ONE, OTHER, "127.0.0.3"):
        assert code(proxy, server, source) == 1 and status(proxy, connect(web), source) == 503


def test_clients_in_all(start, server, web, tunnel):
    proxy = start("wan1", "--max-clients", 1)
    held = [tunnel(proxy, server), tunnel(proxy, server)]
    assert status(proxy, connect(web), OTHER) == 503
    for s in held:
        s.close()
    wait_for(lambda: code(proxy, server, OTHER) == 0, "the first client has left")


def test_new_connections_of_one_client(start, server):
    proxy = start("wan1", "--client-new", 1)
    codes = [code(proxy, server) for _ in range(12)]
    assert codes[:5] == [0] * 5 and 2 in codes, codes
    assert code(proxy, server, OTHER) == 0
    wait_for(lambda: code(proxy, server) == 0, "one more a second")


def test_handshakes_of_one_client(start, server, tunnel):
    proxy = start("wan1", "--client-handshakes", 2)
    tunnel(proxy, server), tunnel(proxy, server), tunnel(proxy, server)
    with come(proxy) as one, come(proxy) as two:
        wait_for(lambda: proxy.open_connections() == 8, "both are accepted")
        with come(proxy) as third:
            with contextlib.suppress(ConnectionResetError):
                assert third.recv(1) == b"", "closed at once"
        assert code(proxy, server, OTHER) == 0
        one.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
        assert read_exactly(one, 2) == b"\x05\x00" and read_reply5(one)[0] == 0
        assert code(proxy, server) == 0, "one of them has sent its request"
        two.close()
    assert proxy.events("limit_reached", limit="client-handshakes")


def test_clients_of_a_balancer_have_their_own_limits(start, server):
    proxy = start("wan1", "--listen", "127.0.0.1:0,proxy-protocol", "--client-connections", 1, port=False)

    def by(client):
        s = come(proxy)
        s.sendall(f"PROXY TCP4 {client} 127.0.0.1 4000 1080\r\n".encode() + b"\x05\x01\x00" + request5(server.address, server.port))
        assert read_exactly(s, 2) == b"\x05\x00"
        return read_reply5(s)[0], s

    with contextlib.ExitStack() as stack:
        for client, expected in (("192.168.9.9", 0), ("192.168.9.9", 2), ("192.168.9.10", 0), ("192.168.9.10", 2)):
            result, s = by(client)
            stack.enter_context(s)
            assert result == expected


def test_a_forward_and_an_association_have_limits_too(start, server, tunnel):
    proxy = start("wan1", "--client-connections", 1, "--forward", f"tcp:127.0.0.1:0={server.address}:{server.port}")
    tunnel(proxy, server)
    with pytest.raises(ConnectionResetError), socket.create_connection(proxy.addresses[-1], timeout=30) as s:
        s.recv(1)
    with come(proxy) as s:
        s.sendall(b"\x05\x01\x00" + request5("0.0.0.0", 0, command=3))
        assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == 2


def test_limits_follow_the_config_file(start, config, server, tunnel):
    text = 'return { uplinks = { "wan1" }, listen = "127.0.0.1:0", %s }'
    proxy = start("--config", config(text % "client_connections = 1"), port=False)
    held = tunnel(proxy, server)
    assert code(proxy, server) == 2
    config(text % "client_connections = 2")
    assert "client_connections: 1 → 2" in proxy.tell("reload")
    tunnel(proxy, server)
    assert code(proxy, server) == 2
    for limit, refusal in (("max_connections = 2", 1), ("max_connections = 3, max_clients = 1", 0), ("client_handshakes = 9, client_new = 7", 0)):
        config(text % limit)
        proxy.tell("reload")
        assert code(proxy, server) == refusal
    assert is_echoed(held)
    assert proxy.ask("status")["limits"]["client-connections"] == {"most": 0, "refused": 2}


# --- descriptors ---


class Many:
    """Clients that have sent their requests, and are served one after another."""

    def __init__(self, proxy, server, n):
        self.waiting, self.served = [], []
        self.poll = select.poll()
        for _ in range(n):
            s = socket.create_connection(proxy.address, timeout=30)
            s.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
            self.waiting.append(s)

    def look(self):
        """@return how many have been served in all."""
        poll = select.poll()
        by_fd = {s.fileno(): s for s in self.waiting}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(50):
            s = by_fd[fd]
            assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == 0, "nobody is refused"
            self.waiting.remove(s)
            self.served.append(s)
        return len(self.served)

    def close(self, served_only=False):
        for s in self.served if served_only else self.served + self.waiting:
            s.close()
        self.served = []


def answer_of(s, data):
    s.sendall(data)
    return read_exactly(s, len(data)) == data


@pytest.mark.parametrize(("files", "clients"), [(256, 1000)])
def test_more_clients_than_descriptors(start, server, files, clients):
    """Those served keep their speed, the proxy rests, control answers, and the others are served in their turn."""
    proxy = start("wan1", prefix=["prlimit", f"--nofile={files}:{files}"])
    many = Many(proxy, server, clients)
    try:
        wait_for(lambda: many.look() >= 1 and proxy.events("accept_failed"), "the proxy is full")
        before = -1
        while before != many.look():  # until no more are served
            before = many.look()
            time.sleep(0.2)  # the pace of the looks
        assert files / 5 < before < files / 2
        assert all(answer_of(s, bytes(100_000)) for s in many.served[:5])
        cpu, began = proxy.cpu_seconds(), time.monotonic()
        while time.monotonic() < began + 1:
            time.sleep(0.1)
        assert proxy.cpu_seconds() - cpu < 0.2, "it rests while it is full"
        told = proxy.ask("status")
        assert told["clients"] == told["clients_max"] == before and told["full"]
        assert "FULL: new ones wait for open files" in proxy.tell("status")
        proxy.tell("reload")
        proxy.reload()
        proxy.wait_event("policy_reloaded", trigger="signal")
        assert answer_of(many.served[0], b"still here")
        served = 0
        while many.waiting:
            served += many.look()
            many.close(served_only=True)
        assert many.look() == 0 and not proxy.events("connection", outcome="resources")
    finally:
        many.close()
    wait_for(lambda: proxy.open_connections() == 0, "all have left")
    code_, s = code_and_socket(proxy, server)
    s.close()
    assert code_ == 0


def test_clients_without_a_request_leave_when_others_wait(start, server):
    proxy = start("wan1", prefix=["prlimit", "--nofile=120:120"])
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(come(proxy))
        for _ in range(3):
            _, s = code_and_socket(proxy, server)
            stack.enter_context(s)
        assert proxy.events("idle_clients_closed")
