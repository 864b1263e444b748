"""Datagrams of programs that know no proxy: by a forward, or captured by firewall rules."""

import socket
import struct
from pathlib import Path

import pytest

from lab.command import refused
from lab.gateway import LAN_CLIENT6, Gateway
from lab.proxy import ROOT
from lab.run import WAIT_S, sh, wait_for
from lab.topology import LAN_CLIENT, NAMES4, NOWHERE4, OPEN4, OPEN6
from lab.udp import UdpServer, reflect, whoami

CHROMIUM = ROOT / "tests/fuzz/corpus/quic/chromium_shuffled"  # the first two datagrams of a connection


@pytest.fixture
def servers(built_lab):
    opened = []

    def open_server(handler, **options):
        opened.append(UdpServer(built_lab.internet, handler, **options))
        return opened[-1]

    yield open_server
    for server in opened:
        server.close()


def question(name, number=7):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def recorded(path):
    """The datagrams of a file, each behind its length."""
    data, found = Path(path).read_bytes(), []
    while data:
        (size,) = struct.unpack_from(">H", data)
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


def ask(s, payload, address, port):
    """Send, and return the answer, which must come from there."""
    s.settimeout(WAIT_S)
    s.sendto(payload, (address, port))
    answer, sender = s.recvfrom(65536)
    assert sender[:2] == (address, port), sender
    return answer


# --- forwards ---


def forward(start, to, *options):
    proxy = start("--forward", f"udp:127.0.0.1:0={to}", *options)
    return proxy, proxy.addresses[-1]


def test_a_forward_carries_datagrams_of_several_clients(start, lab, servers):
    server = servers(whoami)
    proxy, at = forward(start, f"{OPEN4}:{server.port}", "wan2")
    seen = set()
    for n in range(3):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for size in (0, 1, 1400):
                address, port, payload = ask(s, b"x" * size, *at).split(b" ", 2)
                assert address.decode() == lab.wan2.addr4 and payload == b"x" * size
            seen.add(port)
    assert len(seen) == 3  # each client has a mapping of its own
    wait_for(lambda: proxy.ask("status")["udp"]["mappings"] == 3, "all are counted")
    proxy.stop()
    lines = proxy.connections(3)
    assert {(line["proto"], line["host"], line["uplink"], line["outcome"]) for line in lines} == {("udp", OPEN4, "wan2", "closed")}


def test_a_forward_at_an_address_that_comes_later(start, lab, servers):
    server, late = servers(whoami), "192.168.77.9"
    listen = ("--forward", f"udp:{late}:0={OPEN4}:{server.port}", "wan1")
    proxy = start(*listen)
    (waiting,) = proxy.events("waiting_for_address")
    assert [e["use"] for e in proxy.events("listening", protocol="udp")] == [] == proxy.events("listen_address_gone")
    try:
        sh(f"ip address add {late}/32 dev lan0")
        told = {"address": waiting["address"], "use": "forward", "protocol": "udp"}
        wait_for(lambda: proxy.events("listening", **told), "it is told")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            assert ask(s, b"x", late, int(waiting["address"].split(":")[1])).split()[0].decode() == lab.wan1.addr4
    finally:
        sh(f"ip address delete {late}/32 dev lan0")
    wait_for(lambda: proxy.events("listen_address_gone", address=waiting["address"]), "it is told")
    # As for TCP, unless the user wants none of that.
    said = refused(1, "start", "-p", "0", "--control", "none", "--listen-strict", *listen)
    assert said.startswith(f"cannot listen on {late}:0: Cannot assign requested address")


def test_a_forward_resolves_its_name_by_the_uplink(start, lab, servers, names):
    server = servers(reflect)
    proxy, at = forward(start, f"open.test:{server.port}", "wan3")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        assert ask(s, b"hello", *at) == b"hello"
    assert {client for name, _, client in names.asked if name == "open.test"} == {lab.wan3.addr4}
    wait_for(lambda: proxy.ask("status")["udp"]["datagrams"] == 2, "both are counted")


def test_a_forward_passes_answers_of_its_destination_only(start, lab, servers):
    server = servers(lambda server, s, data, client: [other.sendto(data, client) for other in server.sockets], ports=(0, 0))
    proxy, at = forward(start, f"{OPEN4}:{server.port}", "--udp-filter", "endpoint", "wan1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        assert ask(s, b"one", *at) == b"one"
        wait_for(lambda: proxy.ask("status")["udp"]["dropped"]["unasked"] == 1, "the other answer is dropped")


# --- captured datagrams ---


class UdpGateway(Gateway):
    def __init__(self, lab, start, *options):
        super().__init__(lab, start, "tproxy", *options)


@pytest.fixture
def gateway(router, start, tmp_path):
    policy = tmp_path / "by_host.lua"
    policy.write_text("""local rules = require "steerway.rules"
return { name = "by_host", new = function(ctx)
  return { pick = rules(ctx, {
    { domains = "cp.test", to = "wan3", reason = "learned" },
    { ports = 443, domains = "www.example.com", to = "wan2", reason = "quic" },
    { ports = 53, to = "wan2", reason = "question" },
  }, function(conn, uplinks) return uplinks[1], conn.proto .. " " .. conn.host end) }
end }
""")

    def open_gateway(*options):
        g = UdpGateway(router, start, "--policy", policy, *options, "wan1", "wan2", "wan3")
        g.capture_lan()
        return g

    return open_gateway


def test_captured_datagrams_go_on_and_their_answers_seem_to_come_from_there(gateway, router, servers):
    g = gateway()
    assert [at.rsplit(":", 1)[1] for at in g.proxy.ask("status")["udp"]["listening"]] == [str(g.port)] * 2
    for address, source, addr in ((OPEN4, LAN_CLIENT, "addr4"), (OPEN6, LAN_CLIENT6, "addr6")):
        server = servers(whoami, addresses=(address,))
        with router.lan.datagrams(source, 0) as s:
            first = ask(s, b"a", address, server.port).split()
            again = ask(s, b"b" * 1400, address, server.port).split()
            assert first[0].decode() == getattr(router.wan1, addr) and again[:2] == first[:2]
            other = servers(whoami, addresses=(address,))
            assert ask(s, b"c", address, other.port).split()[:2] == first[:2]  # one public address and port for all
    wait_for(lambda: g.proxy.ask("status")["udp"]["mappings"] == 2, "a mapping for each client port")


def test_captured_questions_are_answered_by_the_chosen_uplinks_server(gateway, router, servers, names):
    """Whomever the client asks; and the name is known when the client then sends to that address."""
    names.zone["cp.test"] = [OPEN4]
    g = gateway("--debug", "--dns", NAMES4)
    with router.lan.datagrams(LAN_CLIENT, 0) as s:
        for server in (NOWHERE4, "192.0.2.77"):
            names.forget()
            answer = ask(s, question("cp.test"), server, 53)
            assert answer[:2] == b"\0\7" and answer.endswith(socket.inet_aton(OPEN4))
            assert [client for name, _, client in names.asked if name == "cp.test"] == [router.wan2.addr4]
        server = servers(whoami)
        assert ask(s, b"x", OPEN4, server.port).split()[0].decode() == router.wan3.addr4
    picked = g.proxy.events("picked", reason="learned")
    assert [event["host"] for event in picked] == ["cp.test"]


def test_a_question_meant_for_a_server_of_another_family(start, router, names):
    """The network's own IPv6 server; the uplink has no IPv6."""
    names.zone["cp.test"] = [OPEN4]
    gateway = UdpGateway(router, start, router.wan1.addr4)
    gateway.capture_lan()
    with router.lan.datagrams(LAN_CLIENT6, 0) as s:
        assert ask(s, question("cp.test"), "fd99::53", 53).endswith(socket.inet_aton(OPEN4))
    assert {client for name, _, client in names.asked if name == "cp.test"} == {router.wan1.addr4}
    gateway.proxy.stop()
    (line,) = gateway.proxy.events("connection")
    assert (line["host"], line["server"]) == ("fd99::53", f"{NAMES4}:53")


def test_the_name_in_a_quic_hello_decides(gateway, router, servers):
    server = servers(reflect, ports=(443,))
    g = gateway("--debug")
    with router.lan.datagrams(LAN_CLIENT, 0) as s:
        for datagram in recorded(CHROMIUM):
            s.sendto(datagram, (OPEN4, 443))
        assert {s.recv(65536) for _ in recorded(CHROMIUM)} == set(recorded(CHROMIUM))
    event = g.proxy.events("picked", port=443)[0]
    assert (event["host"], event["uplink"], event["reason"]) == ("www.example.com", "wan2", "quic")
    assert len({client for client, _ in server.clients()}) == 1


def test_a_forward_at_every_address_lets_replies_pass(gateway, router, servers):
    """They leave from the server's port, which a wildcard socket of this machine would keep for itself."""
    g = gateway("--forward", f"udp:*:0={OPEN4}:9")
    port = int(g.proxy.events("listening", use="forward")[0]["address"].rsplit(":", 1)[1])
    server = servers(reflect, ports=(port,))
    with router.lan.datagrams(LAN_CLIENT, 0) as s:
        assert ask(s, b"x", OPEN4, server.port) == b"x"
    # A second proxy still learns that the port is taken.
    said = refused(1, "start", "-p", "0", "--control", "none", "--forward", f"udp:*:{port}={OPEN4}:9", "wan1")
    assert said.startswith(f"cannot listen on 0.0.0.0:{port}: Address already in use")


def test_a_datagram_straight_to_the_port_is_refused(gateway, router):
    g = gateway()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", ("127.0.0.1", g.port))
        line = g.proxy.wait_event("datagrams_refused")
        assert "this proxy itself" in line["reason"]


def test_denied_destinations_are_refused(gateway, router):
    g = gateway("--deny", f"{OPEN4}/32")
    with router.lan.datagrams(LAN_CLIENT, 0) as s:
        s.sendto(b"x", (OPEN4, 1234))
        assert "deny" in g.proxy.wait_event("datagrams_refused", host=OPEN4)["reason"]
    wait_for(lambda: g.proxy.ask("status")["udp"]["dropped"]["refused"] == 1, "it is counted")
