"""Listeners behind a balancer: the PROXY header tells the client's address, which counts from then on."""

import contextlib
import socket
import struct
import time

import pytest

from lab.command import run as steerway
from lab.http import HttpOrigin, Reader, get, response
from lab.origin import echo, read_exactly
from lab.run import wait_for
from lab.socks import auth5, read_reply5, request5
from lab.topology import LAN_CLIENT, LAN_HOME, OPEN4

HANDSHAKE_S = 2
CLIENT, OTHER = "192.168.9.9", "192.168.9.10"
GREET = b"\x05\x01\x00"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

SAYS = """
return { name = "says", new = function()
  return { pick = function(conn, uplinks) return uplinks[1], "for " .. conn.client end }
end }
"""


def v1(client, port=4000):
    family = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {family} {client} {'::1' if ':' in client else '127.0.0.1'} {port} 1080\r\n".encode()


def v2(client=None, port=4000, tail=b""):
    if client is None:
        return SIGNATURE + b"\x20\0\0\0"
    kind = socket.AF_INET6 if ":" in client else socket.AF_INET
    ip = socket.inet_pton(kind, client)
    body = ip + ip + struct.pack(">HH", port, 1080) + tail
    return SIGNATURE + (b"\x21\x21" if len(ip) == 16 else b"\x21\x11") + struct.pack(">H", len(body)) + body


@pytest.fixture
def behind(start):
    """Start a proxy behind a balancer on this machine."""

    def start_behind(*args, at="127.0.0.1", **options):
        return start("wan1", "--listen", f"{at}:0,proxy-protocol", *args, port=False, **options)

    return start_behind


def ask(proxy, header, then=b""):
    """Connect as a balancer does."""
    s = socket.create_connection(proxy.address, timeout=30)
    s.sendall(header + then)
    return s


def code_of(proxy, header, host, port):
    """The code of the reply to a SOCKS5 request, all of which stands in the segment of the header."""
    with ask(proxy, header, GREET + request5(host, port)) as s:
        assert read_exactly(s, 2) == b"\x05\x00"
        return read_reply5(s)[0]


def ended(s):
    """Whether the proxy has ended the connection without a byte."""
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("header", [v1(CLIENT), v2(CLIENT), v2(CLIENT, tail=b"\x04\0\x02xx\xea\0\0")], ids=["v1", "v2", "TLVs"])
def test_the_client_of_the_header_counts(behind, origin, config, header):
    server = origin(echo)
    web = HttpOrigin(origin, lambda _request, _s: response(200, b"hello"))
    proxy = behind("--policy", config(SAYS, "says.lua"))
    assert code_of(proxy, header, server.address, server.port) == 0
    with ask(proxy, header, get(web)) as s:
        assert Reader(s).message("GET").body == b"hello"
    assert {line["client"] for line in proxy.connections(2)} == {f"{CLIENT}:4000"}
    assert {line["reason"] for line in proxy.connections()} == {f"for {CLIENT}"}, "the policy sees it"


def test_a_client_of_ipv6_too(behind, origin):
    server = origin(echo)
    proxy = behind()
    assert [code_of(proxy, header, server.address, server.port) for header in (v1("fd00::9"), v2("fd00::9"))] == [0, 0]
    assert {line["client"] for line in proxy.connections(2)} == {"[fd00::9]:4000"}


def test_a_check_of_the_balancer_keeps_its_address(behind, origin):
    server = origin(echo)
    proxy = behind()
    assert code_of(proxy, v2(), server.address, server.port) == 0
    (line,) = proxy.connections(1)
    assert line["client"].startswith("127.0.0.1:")
    for check in (b"", v2()):  # checks that ask for nothing
        with ask(proxy, check):
            pass
    proxy.settled()
    assert not proxy.events("rejected") and not proxy.events("no_proxy_header")


def test_access_rules_hold_for_the_client_of_the_header(behind, origin, lab):
    server = origin(echo)
    proxy = behind("--allow", f"{CLIENT},127.0.0.0/8", "--deny", f"{server.address}:{server.port + 1}")
    assert code_of(proxy, v2(CLIENT), server.address, server.port) == 0
    with ask(proxy, v2(OTHER), GREET) as s:
        assert ended(s)
    assert proxy.wait_event("client_refused")["client"] == OTHER
    # The balancer's loopback address does not open this machine's own services to its clients.
    here = lab.home.listen("127.0.0.1")
    with here:
        assert code_of(proxy, v2(CLIENT), "127.0.0.1", here.getsockname()[1]) == 2
        assert code_of(proxy, v2(), "127.0.0.1", here.getsockname()[1]) == 0


def test_guesses_count_by_the_client_of_the_header(behind):
    proxy = behind("--auth", "ann:secret")

    def log_in(client, password):
        s = ask(proxy, v2(client), b"\x05\x01\x02" + auth5("ann", password))
        assert read_exactly(s, 2) == b"\x05\x02"
        return s

    for _ in range(11):
        with log_in(CLIENT, "guess") as s:
            read_exactly(s, 2)
    assert proxy.wait_event("logins_slowed")["client"] == CLIENT
    with log_in(CLIENT, "secret") as slow, log_in(OTHER, "secret") as other:
        assert read_exactly(other, 2) == b"\x01\x00"
        slow.setblocking(False)
        with pytest.raises(BlockingIOError):
            slow.recv(1)
    assert {line["client"] for line in proxy.events("rejected", reason="bad-credentials")} == {f"{CLIENT}:4000"}


def test_only_named_balancers_are_heard(behind, lab, origin):
    server = origin(echo)
    proxy = behind("--proxy-protocol-from", "127.0.0.0/8", at=LAN_HOME)
    for _ in range(7):
        with lab.lan.connect(*proxy.address, timeout=30) as s:
            assert ended(s)
    refused = proxy.events("balancer_refused")
    assert len(refused) == 5 and {line["client"] for line in refused} == {LAN_CLIENT}
    named = behind("--proxy-protocol-from", LAN_CLIENT, at=LAN_HOME)
    with lab.lan.connect(*named.address, timeout=30) as s:
        s.sendall(v2(CLIENT) + GREET + request5(server.address, server.port))
        assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == 0
    assert named.connections(1)[0]["client"] == f"{CLIENT}:4000"
    # A program on the balancer's machine is not one on this machine.
    here = lab.home.listen("127.0.0.1")
    with here, lab.lan.connect(*named.address, timeout=30) as s:
        s.sendall(v2("127.0.0.1") + GREET + request5("127.0.0.1", here.getsockname()[1]))
        assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == 2


def test_a_connection_without_a_header_is_refused(behind):
    proxy = behind()
    for request in (GREET, b"\x04\x01\x00\x50\x7f\0\0\1\0", b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", b"PROXY TCP4 nonsense\r\n"):
        with ask(proxy, b"", request) as s:
            assert ended(s), request
    assert len(proxy.events("no_proxy_header", client="127.0.0.1")) == 4


def test_a_header_where_none_is_expected_is_no_header(start, origin):
    server = origin(echo)
    proxy = start("wan1")
    for header in (v1(CLIENT), v2(CLIENT)):
        with ask(proxy, header, f"CONNECT {OPEN4}:{server.port} HTTP/1.1\r\nHost: {OPEN4}\r\n\r\n".encode()) as s:
            assert Reader(s).message("CONNECT").status == 400
    rejected = [proxy.wait_event("rejected", proto="http", reason="malformed")] + proxy.events("rejected")
    assert all(line["client"].startswith("127.0.0.1:") for line in rejected)
    proxy.settled()
    assert not proxy.events("connection")


def test_a_header_must_come_in_time(behind):
    """The request has to come in that time, too."""
    proxy = behind("--handshake-timeout", HANDSHAKE_S)
    long = v2(CLIENT, tail=b"\x04\x20\x00" + b"x" * 0x2000)
    pieces = {"silent": [], "half": [v2(CLIENT)[:20]], "slow": [bytes([b]) for b in v1("192.168.100.200", 65535)],
              "long": [long[:100], *(bytes([b]) for b in long[100:])], "no request": [v2(CLIENT)]}
    began = time.monotonic()
    clients = {name: ask(proxy, b"") for name in pieces}
    wait_for(lambda: proxy.open_connections() == len(clients), "all are accepted")
    while proxy.open_connections() > 0 and time.monotonic() < began + HANDSHAKE_S + 20:
        for name, s in clients.items():
            if pieces[name]:
                with contextlib.suppress(OSError):
                    s.send(pieces[name].pop(0))
        time.sleep(0.1)  # the pace of the clients
    left = proxy.open_connections()
    for s in clients.values():
        s.close()
    assert left == 0
    assert len(proxy.events("rejected", reason="timeout")) == 5


def test_silent_balancers_do_not_keep_others_out(behind, origin):
    server = origin(echo)
    proxy = behind(prefix=["prlimit", "--nofile=120:120"])
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(ask(proxy, v2(CLIENT)[:15]))
        assert code_of(proxy, v2(CLIENT), server.address, server.port) == 0
    assert proxy.wait_event("idle_clients_closed")["most"] == 60


def test_start_and_check_say_what_such_a_listener_is_for(start, config):
    own = config('return { uplinks = { "wan1" }, listen = { "127.0.0.1:0,proxy-protocol" } }')
    proxy = start("--config", own, port=False, text=True)
    assert f"  listening on {proxy.ask('status')['listening'][0]} for balancers (PROXY protocol)\n" in proxy.banner
    assert "Try it" not in proxy.banner, "curl sends no such header"
    both = start("--listen", "127.0.0.1:0,proxy-protocol", "--listen", "127.0.0.2:0", "wan1", port=False, text=True)
    assert "curl -x socks5h://127.0.0.2:" in both.banner
    checked = steerway("check", "--config", own)
    assert checked.returncode == 0 and "listening on 127.0.0.1:0 (PROXY protocol)" in checked.stdout, checked
