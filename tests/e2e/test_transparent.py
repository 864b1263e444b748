"""Transparent listeners: connections that firewall rules capture, of a network behind this machine and of itself."""

import re
import socket
import ssl

import pytest

from lab.clients import curl
from lab.command import refused
from lab.gateway import LAN_CLIENT6, Gateway
from lab.origin import echo, pattern, read_all, read_exactly
from lab.proxy import ROOT
from lab.run import WAIT_S, run, sh, wait_for
from lab.topology import LAN_CLIENT, LAN_HOME, MORE4, NAMES4, NOWHERE4, OPEN4, OPEN6, WEB4, WEB6

MIB = 1024 * 1024
OWN_MARK = 0x1000000
QUESTION = b"\0\6anyone"
LAN_RESOLVER6 = "fd99::53"
KINDS = ("redirect", "tproxy")

BY_DOMAIN = """local rules = require "steerway.rules"
return { name = "by_domain", new = function(ctx)
  local pick = rules(ctx, {
    { domains = "two.test", to = "wan2", reason = "two" },
    { domains = "three.test", to = "wan3", reason = "three" },
    { cidrs = { "%s", "%s" }, to = "wan2", reason = "address" },
  }, function(conn, uplinks) return uplinks[1], conn.proto .. " " .. conn.host .. " " .. tostring(conn.address) end)
  return { pick = pick }
end }
""" % (WEB4, WEB6)


def hello(name):
    """The first bytes of a TLS client that asks for this name; None: for none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


@pytest.fixture
def by_domain(tmp_path):
    path = tmp_path / "by_domain.lua"
    path.write_text(BY_DOMAIN)
    return ("--policy", path, "wan1", "wan2", "wan3")


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_clients_decide_by_which_uplink_they_go(start, router, origin, by_domain, kind):
    """A LAN client that knows no proxy; both families; TLS and HTTP; the bytes arrive as they were sent."""
    gateway = Gateway(router, start, kind, *by_domain)
    gateway.capture_lan()
    get = b"GET /x HTTP/1.1\r\nUser-Agent: y\r\nHost: www.Three.test:8080\r\n\r\nand more"
    for address, addr in ((OPEN4, "addr4"), (OPEN6, "addr6")):
        server = origin(echo, address=address)
        for said, host, uplink in (
            (hello("www.two.test"), "www.two.test", router.wan2),
            (get, "www.three.test", router.wan3),
            (hello(None), address, router.wan1),
        ):
            with gateway.lan(address, server.port) as s:
                s.sendall(said)
                assert read_exactly(s, len(said)) == said
            assert server.peers[-1] == getattr(uplink, addr)
            line = wait_for(lambda: gateway.proxy.events("connection", host=host, port=server.port), f"{host} in the log")[-1]
            assert (line["proto"], line.get("address", host)) == ("transparent", address)
            assert line["client"].rpartition(":")[0].strip("[]") in (LAN_CLIENT, LAN_CLIENT6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_speaks_first(start, router, origin, kind):
    """It waits for the client's silence only, and the client's later bytes are not looked at."""

    def speak_first(s):
        s.sendall(b"220 lab ESMTP\r\n")
        said = read_exactly(s, 14)
        s.sendall(b"bye\r\n")
        return said

    server = origin(speak_first)
    gateway = Gateway(router, start, kind, "--peek-timeout", "0.3", "wan1")
    gateway.capture_lan()
    with gateway.lan(OPEN4, server.port) as s:
        assert read_exactly(s, 15) == b"220 lab ESMTP\r\n"
        s.sendall(b"GET x HTTP/1.1")
        assert read_all(s) == b"bye\r\n"
    assert server.result() == b"GET x HTTP/1.1"
    assert gateway.proxy.connections(1)[0]["host"] == OPEN4


def test_a_name_in_parts_is_awaited(start, router, origin, by_domain):
    server = origin(echo)
    gateway = Gateway(router, start, "redirect", *by_domain)
    gateway.capture_lan()
    said = hello("two.test")
    with gateway.lan(OPEN4, server.port) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (said[:1], said[1:90], said[90:]):
            s.sendall(part)
            wait_for(lambda: gateway.proxy.ask("status")["clients"] == 1, "it is there")
        assert read_exactly(s, len(said)) == said
    assert server.peers == [router.wan2.addr4]


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_ends_before_it_says_anything(start, router, origin, kind):
    """Its FIN travels on, and so does the answer to what it has said; no name is awaited any more."""
    gateway = Gateway(router, start, kind, "--peek-timeout", "60", "wan1")
    gateway.capture_lan()
    up, down = pattern(MIB, b"up"), pattern(MIB, b"down")

    def serve(s):
        got = read_all(s)
        s.sendall(down)
        return len(got)

    server = origin(serve)
    for said in (b"", b"GET / HTTP/1.1\r\nHo", b"\x16\x03\x01", up):
        with gateway.lan(OPEN4, server.port) as s:
            s.sendall(said)
            s.shutdown(socket.SHUT_WR)
            assert read_all(s) == down
    assert sorted(server.result(n) for n in range(4)) == [0, 3, 18, MIB]


def test_without_a_peek_the_address_is_all(start, router, origin, by_domain):
    server = origin(echo)
    gateway = Gateway(router, start, "redirect", "--peek-timeout", "0", *by_domain)
    gateway.capture_lan()
    with gateway.lan(OPEN4, server.port) as s:
        s.sendall(hello("two.test"))
        assert s.recv(1) == b"\x16"
    assert server.peers == [router.wan1.addr4]


def test_rules_about_addresses_see_the_address_behind_the_name(start, router, web, by_domain):
    gateway = Gateway(router, start, "redirect", *by_domain)
    gateway.capture_lan()
    for address, addr in ((WEB4, "addr4"), (f"[{WEB6}]", "addr6")):
        got = router.lan.run("curl", "-s", "-m", "20", "-H", "Host: other.test", f"http://{address}/whoami").text.strip()
        assert got == getattr(router.wan2, addr)
    assert gateway.proxy.connections(2)[0]["reason"] == "address"


def test_the_name_is_resolved_where_the_user_wants_it(start, router, web, names):
    """The client's own resolver may have given it an address that is wrong for the uplink."""
    gateway = Gateway(router, start, "tproxy", "--transparent-resolve", "wan1")
    gateway.capture_lan()
    got = router.lan.run("curl", "-s", "-m", "20", "-H", "Host: web4.test", f"http://{NOWHERE4}/whoami").text.strip()
    assert got == router.wan1.addr4
    (line,) = gateway.proxy.connections(1)
    assert line["host"] == "web4.test" and "address" not in line


def test_a_policy_may_have_the_name_resolved(start, router, web, names, tmp_path):
    policy = tmp_path / "resolve.lua"
    policy.write_text(
        """return { name = "resolve", new = function()
      return { pick = function(conn, uplinks)
        return uplinks[1], "named", { resolve = conn.host == "web4.test" }
      end }
    end }"""
    )
    gateway = Gateway(router, start, "redirect", "--policy", policy, "wan1")
    gateway.capture_lan()
    for host, address in (("web4.test", NOWHERE4), ("other.test", WEB4)):
        got = router.lan.run("curl", "-s", "-m", "20", "-H", f"Host: {host}", f"http://{address}/whoami").text.strip()
        assert got == router.wan1.addr4
    assert [line["address"] for line in gateway.proxy.connections(2)] == [NOWHERE4, WEB4]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_reached_resets_the_client_and_rules_hold(start, router, kind):
    gateway = Gateway(router, start, kind, "--deny", f"{OPEN4}/32", "wan1")
    gateway.capture_lan()
    for address, outcome in ((NOWHERE4, "host-unreachable"), (OPEN4, "denied")):
        with pytest.raises(ConnectionResetError), gateway.lan(address, 80) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n")
            s.recv(1)
        wait_for(lambda: gateway.proxy.events("connection", address=address, outcome=outcome), f"{outcome} in the log")


@pytest.mark.parametrize("kind", KINDS)
def test_a_direct_connection_to_the_listener_is_refused(start, router, kind):
    gateway = Gateway(router, start, kind, "wan1")
    gateway.capture_lan()  # so that connections are tracked
    for connect in (lambda: socket.create_connection(("127.0.0.1", gateway.port)), lambda: gateway.lan(LAN_HOME, gateway.port)):
        with pytest.raises(ConnectionResetError), connect() as s:
            s.settimeout(WAIT_S)
            s.recv(1)
    lines = wait_for(lambda: len(gateway.proxy.events("capture_refused")) == 2 and gateway.proxy.events("capture_refused"), "both")
    assert all("this proxy itself" in line["why"] or "not redirected" in line["why"] for line in lines)
    assert gateway.proxy.settled() == 0


def test_own_connections_are_captured_without_the_proxys(start, router, web, by_domain):
    """Programs on this machine; the mark leaves out what the proxy sends."""
    gateway = Gateway(router, start, "redirect", "--own-mark", hex(OWN_MARK), *by_domain)
    gateway.capture_own(f"meta mark & {OWN_MARK:#x} != 0")
    for address, addr in ((WEB4, "addr4"), (f"[{WEB6}]", "addr6")):
        got = curl("-H", "Host: three.test", f"http://{address}/whoami").text.strip()
        assert got == getattr(router.wan3, addr)
    assert {line["proto"] for line in gateway.proxy.connections(2)} == {"transparent"}
    assert not gateway.proxy.events("capture_refused") and not gateway.proxy.events("client_refused")


def test_a_loop_of_own_connections_ends_at_its_first_turn(start, router, origin):
    """The rules forget to leave out the proxy."""
    server = origin(echo)
    gateway = Gateway(router, start, "redirect", "--bypass", "198.51.100.0/24", "wan1")
    gateway.capture_own()
    with socket.create_connection((OPEN4, server.port), timeout=WAIT_S) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            s.recv(1)
    assert "sent by this proxy" in gateway.proxy.wait_event("capture_refused")["why"]
    assert gateway.proxy.settled() == 1
    assert not server.peers


@pytest.mark.parametrize("kind", KINDS)
def test_many_connections_at_once(start, router, web, kind):
    gateway = Gateway(router, start, kind, "wan1", "wan2")
    gateway.capture_lan()
    path = web.put("some.txt", pattern(100_000))
    urls = [word for n in range(150) for word in (f"http://{WEB4 if n % 2 else f'[{WEB6}]'}{path}", "-o", "/dev/null")]
    done = router.lan.run("curl", "-s", "-m", "60", "-Z", "--parallel-max", "50", "-H", "Connection: close", "-w", "%{http_code} %{size_download}\n", *urls)
    assert done.text.split("\n")[:-1] == ["200 100000"] * 150
    lines = gateway.proxy.connections(150)
    assert {line["uplink"] for line in lines} == {"wan1", "wan2"} and {line["host"] for line in lines} == {WEB4, WEB6}
    wait_for(lambda: gateway.proxy.open_connections() == 0, "no connection is left")


def test_tproxy_needs_a_right(tmp_path):
    said = refused(1, "start", "--transparent", "tproxy:127.0.0.1:0", "wan1", wrapped_by=("setpriv", "--bounding-set", "-all"))
    assert "tproxy needs CAP_NET_ADMIN" in said


def test_questions_by_tcp_go_to_the_chosen_uplinks_name_server(start, router, origin, by_domain):
    """Also those for a server of the client's own network, as a resolver asks again where an answer was cut short."""
    names = origin(echo, address=NAMES4, port=53)
    gateway = Gateway(router, start, "tproxy", *by_domain)
    gateway.capture_lan()
    for server in (NOWHERE4, "10.0.1.1"):
        with gateway.lan(server, 53) as s:
            s.sendall(QUESTION)
            assert read_exactly(s, len(QUESTION)) == QUESTION
            assert s.getpeername()[0] == server
    assert names.peers == [router.wan1.addr4] * 2
    lines = gateway.proxy.connections(2)
    assert {line["host"] for line in lines} == {NOWHERE4, "10.0.1.1"} and {line["server"] for line in lines} == {f"{NAMES4}:53"}


def test_questions_meant_for_a_server_of_another_family(start, router, origin):
    """The network's own IPv6 server; the uplink has no IPv6."""
    names = origin(echo, address=NAMES4, port=53)
    gateway = Gateway(router, start, "tproxy", router.wan1.addr4)
    gateway.capture_lan()
    with gateway.lan(LAN_RESOLVER6, 53) as s:
        s.sendall(QUESTION)
        assert read_exactly(s, len(QUESTION)) == QUESTION
    assert names.peers == [router.wan1.addr4]
    assert gateway.proxy.ask("why", host=LAN_RESOLVER6, port=53, proto="transparent")["server"] == f"{NAMES4}:53"


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_questions_by_tcp_by_a_parent_proxy(start, router, origin, scheme):
    """As by UDP: for a private server, a denied one or this machine's own address, the uplink's is asked by it."""
    names, clients_own = origin(echo, address=NAMES4, port=53), origin(echo, address=OPEN4, port=53)
    far = start("--host", OPEN4, "--allow", "0.0.0.0/0", "--allow-own-addresses", MORE4, prefix=router.internet.wrap([]))
    gateway = Gateway(router, start, "tproxy", f"{scheme}://{OPEN4}:{far.port}", "--deny", f"{NOWHERE4}/32")
    gateway.capture_lan()
    asked = {"10.9.9.9": NAMES4, "10.0.1.1": NAMES4, NOWHERE4: NAMES4, router.wan1.addr6: NAMES4, OPEN4: OPEN4}
    for server, answers in asked.items():
        with gateway.lan(server, 53) as s:
            s.sendall(QUESTION)
            assert read_exactly(s, len(QUESTION)) == QUESTION
            assert s.getpeername()[0] == server
        (line,) = wait_for(lambda: gateway.proxy.events("connection", host=server), f"{server} in the log")
        assert line["server"] == f"{answers}:53"
        verdict = gateway.proxy.ask("why", host=server, port=53, proto="transparent", client=LAN_CLIENT)
        assert (verdict["verdict"], verdict["server"]) == ("use", line["server"])
    assert (len(names.peers), len(clients_own.peers)) == (4, 1)
    assert all(peer.startswith("198.51.100.") for peer in names.peers + clients_own.peers), "no question leaves by another way"
    assert [line["host"] for line in far.connections(5)] == list(asked.values())


# --- the page ---

PAGE = (ROOT / "docs/transparent.md").read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)


@pytest.mark.once
@pytest.mark.parametrize("kind, rules", [("redirect", 0), ("tproxy", 1), ("redirect", 2)])
def test_the_rules_of_the_page_work_as_they_stand(start, router, web, kind, rules, tmp_path):
    policy = tmp_path / "gateway.lua"
    policy.write_text(blocks("lua")[0].replace("eth0", "wan1").replace("wwan0", "wan2").replace("203.0.113.0/24", f"{WEB6}/128"))
    gateway = Gateway(router, start, kind, "--own-mark", hex(OWN_MARK), "--policy", policy, "wan1", "wan2")
    text = blocks("nft")[rules].replace("12345", str(gateway.port))
    steps, undo = [], [f"nft delete table inet {text.split()[2]}"]
    if kind == "tproxy":
        steps = [line.replace("100", "101") for line in blocks("sh")[0].splitlines()]
        undo += [line.replace(" add ", " delete ") for line in steps]
    try:
        router.home.nft(text)
        for step in steps:
            sh(step)
        programs = run if "output" in text else router.lan.run
        for place, uplink in ((WEB4, router.wan1.addr4), (f"[{WEB6}]", router.wan2.addr6)):
            host = "tv.video.example" if place == WEB4 else "x.example"
            got = programs("curl", "-s", "-S", "-m", "20", "-H", f"Host: {host}", f"http://{place}/whoami").ok().text
            assert got.strip() == uplink
        assert programs("curl", "-s", "-m", "20", f"http://{LAN_HOME}:{gateway.proxy.port}").code == 7  # nobody listens there
        assert len(gateway.proxy.connections(2)) == 2
    finally:
        for step in undo:
            run(*step.split())
