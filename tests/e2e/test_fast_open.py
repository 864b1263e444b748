"""TCP Fast Open: when it is enabled, a client's first data goes with the SYN, once, and only if it is safe to deliver twice.
"""

import socket

import pytest

from lab.origin import read_exactly, read_head
from lab.run import run
from lab.socks import open_to, read_reply5, request5
from lab.topology import MORE4, OPEN4

TCP_FASTOPEN = 23
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"hello " * 40  # the beginning of a TLS connection
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSED_PORT = 9
FIRST = 'return { name = "first", new = function() return { pick = function(_, uplinks) return uplinks[1] end } end }'


@pytest.fixture
def fast(lab, origin):
    """Open servers that support it; no client has their cookie yet."""
    assert lab.internet.sysctl("net.ipv4.tcp_fastopen", 3) and lab.home.sysctl("net.ipv4.tcp_fastopen", 1)
    run("ip", "tcp_metrics", "flush", "all").ok()

    def open_fast(handler, **options):
        server = origin(handler, **options)
        server.listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
        return server

    yield open_fast
    lab.home.sysctl("net.ipv4.tcp_fastopen", 1)


def opened_fast():
    """Connections of the household so far whose server accepted bytes of the SYN."""
    with open("/proc/thread-self/net/netstat", encoding="ascii") as table:
        names, values = [line.split() for line in table if line.startswith("TcpExt:")]
    return int(values[names.index("TCPFastOpenActive")])


class Count:
    """Counts the connections in this context that were opened fast."""

    def __enter__(self):
        self.before = opened_fast()
        return self

    def __exit__(self, *_):
        self.n = opened_fast() - self.before


def hear(n):
    """A server that reads n bytes, and then everything until the end."""

    def handler(s):
        first = read_exactly(s, n)
        s.sendall(b"heard")
        return first + b"".join(iter(lambda: s.recv(65536), b""))

    return handler


def answer_each(s):
    head = read_head(s)
    s.sendall(ANSWER)
    return head


def by_socks(proxy, host, port, words):
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00" + request5(host, port) + words)
        assert read_exactly(s, 2) == b"\x05\x00"
        code = read_reply5(s)[0]
        assert code != 0 or read_exactly(s, 5) == b"heard"
        return code


def by_connect(proxy, host, port, words):
    with open_to(proxy) as s:
        s.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() + words)
        assert read_head(s).startswith(b"HTTP/1.1 200 ")
        assert read_exactly(s, 5) == b"heard"


def by_http(proxy, host, port, method=b"GET"):
    with open_to(proxy) as s:
        s.sendall(method + f" http://{host}:{port}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
        assert read_head(s).startswith(b"HTTP/1.1 200 ")
        assert read_exactly(s, 2) == b"ok"


@pytest.mark.parametrize("by", [by_socks, by_connect])
def test_a_tunnel_begins_in_the_syn(start, fast, by):
    proxy, server = start("--fast-open", "wan1"), fast(hear(len(HELLO)))
    for n, expected in enumerate([0, 1]):  # the first connection asks for the cookie
        with Count() as count:
            by(proxy, OPEN4, server.port, HELLO)
        assert count.n == expected
        assert server.result(n) == HELLO  # once
        account = proxy.connections(n + 1)[n]
        assert (account["tx"], account["rx"], account["outcome"]) == (len(HELLO), 5, "closed")


def test_a_request_goes_in_the_syn(start, fast):
    proxy, server = start("--fast-open", "wan1"), fast(answer_each)
    for n, expected in enumerate([0, 1]):
        with Count() as count:
            by_http(proxy, OPEN4, server.port)
        assert count.n == expected
        head = server.result(n)
        assert head.startswith(b"GET / HTTP/1.1\r\n") and head.count(b"GET") == 1
        assert proxy.connections(n + 1)[n]["tx"] == len(head)


def test_by_default_nothing_goes_in_a_syn(start, fast):
    proxy, server = start("wan1"), fast(hear(len(HELLO)))
    with Count() as count:
        for n in range(3):
            by_socks(proxy, OPEN4, server.port, HELLO)
            assert server.result(n) == HELLO
    assert count.n == 0


def test_data_that_must_not_arrive_twice_waits(start, fast):
    proxy, server, web = start("--fast-open", "wan1"), fast(hear(9)), fast(answer_each)
    by_socks(proxy, OPEN4, server.port, HELLO)
    assert server.result() == HELLO
    with Count() as count:
        by_socks(proxy, OPEN4, server.port, b"any words")
        by_http(proxy, OPEN4, web.port, b"POST")
    assert count.n == 0
    assert server.result(1) == b"any words"


def test_direct_connections_do_not_use_fast_open(start, fast):
    proxy, server = start("--fast-open", "--bypass", OPEN4, "wan1"), fast(hear(len(HELLO)))
    with Count() as count:
        for host in (OPEN4, OPEN4, "open.test", "open.test"):  # a name is only known by its address
            by_socks(proxy, host, server.port, HELLO)
    assert count.n == 0


def test_a_refused_address_loses_no_data(start, names, fast):
    names.zone["two.test"] = [MORE4, OPEN4]
    proxy, server = start("--fast-open", "wan1"), fast(hear(len(HELLO)))
    other = fast(hear(len(HELLO)), address=MORE4)
    for port, address in ((server.port, OPEN4), (other.port, MORE4)):
        by_socks(proxy, address, port, HELLO)
    with Count() as count:
        by_socks(proxy, "two.test", server.port, HELLO)
    assert count.n == 1 and server.result(1) == HELLO
    assert proxy.connections(3)[2]["tx"] == len(HELLO)


def test_another_uplink_sends_the_data_again(start, lab, fast, tmp_path):
    policy, server = tmp_path / "first.lua", fast(hear(len(HELLO)))
    policy.write_text(FIRST)
    proxy = start("--fast-open", "--hedge", "0", "--policy", policy, "wan1", "wan2")
    by_socks(proxy, OPEN4, server.port, HELLO)
    proxy.connections(1)
    lab.wan1.turn_away()
    by_socks(proxy, OPEN4, server.port, HELLO)  # by wan2, whose address has no cookie yet
    proxy.connections(2)
    with Count() as count:
        by_socks(proxy, OPEN4, server.port, HELLO)
    assert [server.result(n) for n in range(3)] == [HELLO] * 3
    accounts = proxy.connections(3)
    assert [a["uplink"] for a in accounts] == ["wan1", "wan2", "wan2"]
    assert [a["tx"] for a in accounts] == [len(HELLO)] * 3
    assert accounts[1]["attempts"] == 2 and count.n == 1


def test_a_racing_attempt_does_not_use_fast_open(start, lab, fast, tmp_path):
    """The first attempt may have delivered its data, and only the answer may be missing."""
    policy, server = tmp_path / "first.lua", fast(hear(len(HELLO)))
    policy.write_text(FIRST)
    proxy = start("--fast-open", "--hedge", "0.2", "--policy", policy, "wan1", "wan2")
    for uplinks in (["wan1"], ["wan2"]):
        with_cookie = start("--fast-open", *uplinks)
        by_socks(with_cookie, OPEN4, server.port, HELLO)
    lab.wan1.swallow()
    with Count() as count:
        by_socks(proxy, OPEN4, server.port, HELLO)
    assert count.n == 0 and server.result(2) == HELLO
    account = proxy.connections(1)[0]
    assert (account["uplink"], account["hedge"], account["tx"]) == ("wan2", "won", len(HELLO))


def test_a_refusal_is_reported_with_fast_open_too(start, fast):
    proxy, server = start("--fast-open", "wan1"), fast(hear(len(HELLO)))
    by_socks(proxy, OPEN4, server.port, HELLO)
    assert by_socks(proxy, OPEN4, CLOSED_PORT, HELLO) == 5
    proxy.connections(2)
    assert proxy.events("connection", port=CLOSED_PORT)[0]["tx"] == 0


def test_a_kernel_without_fast_open_for_clients(start, lab, fast):
    assert lab.home.sysctl("net.ipv4.tcp_fastopen", 0)
    proxy, server = start("--fast-open", "wan1"), fast(hear(len(HELLO)))
    assert len(proxy.events("no_fast_open", level="warn")) == 1
    for n in range(2):
        by_socks(proxy, OPEN4, server.port, HELLO)
        assert server.result(n) == HELLO
