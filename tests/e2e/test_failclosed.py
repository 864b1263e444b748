"""Traffic never leaves by an uplink that was not chosen. Traffic that bypasses the uplinks does so by configuration.
"""

import socket

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.netns import wait_for_carrier
from lab.origin import Origin, at_rest, echo, read_all, read_head, states_towards
from lab.run import WAIT_S, sh, wait_for
from lab.sniffer import Sniffer
from lab.socks import open_to, read_reply5, request4, request5, socks5_code, socks5_connect
from lab.topology import LAN_CLIENT, LAN_HOME, OPEN4, OPEN6

# A policy that insists on one uplink, so that no other is tried.
ONLY_WAN2 = """
return { name = "only_wan2", new = function(ctx)
  return { pick = function(conn, uplinks)
    for i = 1, #uplinks do if uplinks[i].name == "wan2" then return uplinks[i] end end
    return false, "wan2 is not there"
  end }
end }
"""


@pytest.fixture
def quiet(lab):
    """Asserts at the end that neither wan1 nor wan3 has sent a single TCP packet, nor a question to a name server."""
    counts = {"TCP packets": lab.tcp_sent, "questions": lab.questions_sent}
    before = {what: count() for what, count in counts.items()}
    yield
    for what, count in counts.items():
        after = count()
        for name in ("wan1", "wan3"):
            assert after[name] == before[what][name], f"{name} has sent {after[name] - before[what][name]} {what}"


def answer_of(proxy, server):
    """(SOCKS5 code, HTTP status, error) of a request."""
    code = socks5_code(proxy, server.address, server.port)
    with Client(proxy) as c:
        m = c.ask(get(server))
        return code, m.status, m.get("Proxy-Status", "").rpartition("=")[2]


@pytest.fixture
def server(origin):
    return HttpOrigin(origin, lambda *_: response(200, b"served"))


@pytest.mark.parametrize("break_it", ["down", "lose_addresses", "remove"])
def test_a_broken_lone_uplink_is_not_replaced_by_the_default_route(start, lab, server, quiet, break_it):
    proxy = start("wan2")
    assert answer_of(proxy, server)[:2] == (0, 200)
    at_rest(server)
    getattr(lab.wan2, break_it)()
    for _ in range(3):  # before the proxy has read its links again, and after
        code, status, _ = answer_of(proxy, server)
        assert code in (1, 3), code
        assert status in (502, 503), status
    proxy.wait_event("uplink_down", uplink="wan2")
    assert answer_of(proxy, server) == (3, 503, "destination_unavailable")
    assert set(server.peers) == {lab.wan2.addr4}
    lab.wan2.restore()
    proxy.wait_event("uplink_up", uplink="wan2")
    assert answer_of(proxy, server)[:2] == (0, 200)
    assert set(server.peers) == {lab.wan2.addr4}


def test_an_uplink_that_is_absent_at_start_serves_once_it_comes(start, lab, server, quiet):
    lab.wan2.remove()
    proxy = start("wan2")
    assert proxy.events("uplink")[0]["state"] == "down"
    assert answer_of(proxy, server) == (3, 503, "destination_unavailable")
    lab.wan2.restore()
    proxy.wait_event("uplink_up", uplink="wan2")
    assert answer_of(proxy, server)[:2] == (0, 200)
    assert set(server.peers) == {lab.wan2.addr4}


def test_an_address_that_goes_away(start, lab, server, quiet):
    sh(f"ip rule add from {lab.wan2.addr4} table 102")
    sh(f"ip route replace default via {lab.wan2.gateway4} dev wan2 table 102")
    try:
        proxy = start(lab.wan2.addr4)
        assert answer_of(proxy, server)[:2] == (0, 200)
        at_rest(server)
        lab.wan2.lose_addresses()
        for _ in range(3):
            assert answer_of(proxy, server)[0] in (1, 3)
        proxy.wait_event("uplink_down", uplink=lab.wan2.addr4)
        assert answer_of(proxy, server) == (3, 503, "destination_unavailable")
    finally:
        sh(f"ip rule del from {lab.wan2.addr4} table 102")


def test_a_family_that_the_uplink_lacks(start, lab, origin, quiet):
    six = HttpOrigin(origin, lambda *_: response(200, b"six"), address=OPEN6)
    proxy = start("wan2")
    assert answer_of(proxy, six)[:2] == (0, 200)
    at_rest(six)
    lab.wan2.broken = True
    sh(f"ip -6 address del {lab.wan2.addr6}/64 dev wan2")

    def gone():
        return answer_of(proxy, six) == (3, 503, "destination_unavailable")

    wait_for(gone, "the uplink speaks IPv4 alone")
    assert socks5_code(proxy, "open6.test", six.port) in (3, 4)


def test_a_dying_uplink_is_replaced_by_another_uplink(start, lab, server, tmp_path):
    """The same failures with another uplink present, which takes over at once."""
    before = lab.tcp_sent()["wan1"]
    proxy = start("wan2", "wan3", "--dial-timeout", "2")
    lab.wan2.lose_addresses()
    for _ in range(6):
        assert answer_of(proxy, server)[:2] == (0, 200)
    assert set(server.peers) == {lab.wan3.addr4}
    assert lab.tcp_sent()["wan1"] == before
    assert {line["uplink"] for line in proxy.connections(6)} == {"wan3"}


def test_a_policy_that_insists_is_obeyed(start, lab, server, quiet, tmp_path):
    (tmp_path / "only.lua").write_text(ONLY_WAN2)
    proxy = start("--policy", tmp_path / "only.lua", "wan1", "wan2", "wan3")
    for _ in range(5):
        assert answer_of(proxy, server)[:2] == (0, 200)
    at_rest(server)
    lab.wan2.down()
    proxy.wait_event("uplink_down", uplink="wan2")
    for _ in range(5):
        assert answer_of(proxy, server)[:2] == (2, 403)


# --- the bypass ---


@pytest.fixture
def at_home(lab):
    """Open servers within the household: at_home(address)."""
    opened = []

    def open_at(address, handler=echo, netns=lab.home):
        opened.append(Origin(netns, handler, address=address))
        return opened[-1]

    yield open_at
    for server in opened:
        server.close()


def goes_direct(proxy, server, host=None):
    with socks5_connect(proxy, host or server.address, server.port) as tunnel:
        tunnel.sendall(b"x")
        assert tunnel.recv(1) == b"x"


@pytest.mark.parametrize("address, host", [
    ("127.0.0.1", None), ("127.9.9.9", None), ("::1", None), ("127.0.0.1", "localhost"), ("127.0.0.1", "printer.localhost"),
    ("127.0.0.1", "0.0.0.0"), ("::1", "::"), ("127.0.0.1", "blocked.test"), (LAN_HOME, None),
])  # fmt: skip
def test_local_destinations_go_direct(start, at_home, names, quiet, address, host):
    names.zone["blocked.test"] = ["0.0.0.0"]
    proxy = start("wan2")
    server = at_home(address)
    goes_direct(proxy, server, host)
    (line,) = proxy.connections(1)
    assert (line["uplink"], line["reason"], line["outcome"]) == ("direct", "bypass", "closed"), line


def test_a_connected_network_goes_direct(start, lab, at_home, names, quiet):
    proxy = start("wan2")
    server = at_home(LAN_CLIENT, netns=lab.lan)
    names.zone["nas.test"] = [LAN_CLIENT]
    for host in (LAN_CLIENT, "nas.test"):
        goes_direct(proxy, server, host)
    assert server.peers == [LAN_HOME, LAN_HOME]
    assert [line["uplink"] for line in proxy.connections(2)] == ["direct", "direct"]


def test_a_connected_network_that_has_gone_leaves_by_no_other_link(start, lab, at_home, quiet):
    """Not by the default route, which is wan1's."""
    proxy = start("wan2")
    at_home(LAN_CLIENT, netns=lab.lan)
    sh("ip link set lan0 down")
    try:
        assert socks5_code(proxy, LAN_CLIENT, 9) in (3, 4)
        assert proxy.connections(1)[0]["uplink"] == "direct"
    finally:
        sh("ip link set lan0 up")
        wait_for_carrier("lan0")


def test_a_renumbered_network_is_followed(start, lab, quiet):
    """An address that is not a neighbour's any more uses the uplink."""
    proxy = start("wan2", "--dial-timeout", "1")
    sh("ip address flush dev lan0")
    try:
        proxy.wait_log("networks_changed")
        assert socks5_code(proxy, LAN_CLIENT, 9) != 0
        assert proxy.connections(1)[0]["uplink"] == "wan2"
    finally:
        sh(f"ip address add {LAN_HOME}/24 dev lan0")


def test_local_destinations_need_no_uplink(start, lab, at_home):
    proxy = start("wan2")
    server = at_home("127.0.0.1")
    lab.wan2.down()
    proxy.wait_event("uplink_down", uplink="wan2")
    for host in ("127.0.0.1", "localhost"):
        goes_direct(proxy, server, host)
    assert [line["uplink"] for line in proxy.connections(2)] == ["direct", "direct"]


def test_a_failed_direct_connection_gives_the_reason(start, lab, at_home):
    proxy = start("wan2")
    assert socks5_code(proxy, "127.0.0.1", 9) == 5
    (line,) = proxy.connections(1)
    assert (line["uplink"], line["outcome"]) == ("direct", "refused")


def test_bypass_none_sends_everything_by_the_uplinks(start, lab, at_home, quiet):
    """The local network then cannot be reached: an uplink's device does not lead there."""
    proxy = start("wan2", "--bypass", "none", "--dial-timeout", "1")
    server, local = at_home(LAN_CLIENT, netns=lab.lan), at_home("127.0.0.1")
    assert socks5_code(proxy, LAN_CLIENT, server.port) != 0
    assert socks5_code(proxy, "127.0.0.1", local.port) != 0
    assert socks5_code(proxy, "localhost", local.port) != 0
    assert {line["uplink"] for line in proxy.connections(3)} == {"wan2"}
    assert server.peers == [] and local.peers == []


def test_bypass_of_ranges_by_hand(start, lab, origin, server):
    other = HttpOrigin(origin, lambda *_: response(200, b"other"), address="198.51.100.30")
    proxy = start("wan2", "--bypass", "198.51.100.24/29,2001:db8:ffff::30")
    with Client(proxy) as c:
        assert c.ask(get(other)).body == b"other"
        assert c.ask(get(server)).body == b"served"
    assert other.peers == [lab.wan1.addr4], "the default route's"
    assert server.peers == [lab.wan2.addr4]


# --- destinations that remote clients must not reach ---


def from_lan(lab, proxy, request, n):
    with lab.lan.connect(*proxy.address) as s:
        s.settimeout(15)
        s.sendall(request)
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                break
            data += more
        return data


@pytest.mark.parametrize("bypass", [[], ["--bypass", "none"], ["--bypass", "0.0.0.0/0,::/0"]])
def test_a_remote_client_cannot_reach_loopback(start, lab, at_home, names, bypass):
    secrets = [at_home("127.0.0.1"), at_home("::1")]
    names.zone["trick.test"] = ["127.0.0.1", "::1"]
    names.zone["trick4.test"] = ["127.0.0.1"]
    names.zone["zero.test"] = ["0.0.0.0", "::"]
    names.zone["mapped.test"] = ["::ffff:127.0.0.1"]
    proxy = start("wan2", "--listen", f"{LAN_HOME}:0", "--dial-timeout", "1", *bypass, port=False)
    hosts = ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "localhost", "a.localhost", "LOCALHOST.", "0.0.0.0", "::"]
    hosts += ["trick.test", "trick4.test", "zero.test", "mapped.test"]
    for secret in secrets:
        for host in hosts:
            reply = from_lan(lab, proxy, b"\x05\x01\x00" + request5(host, secret.port), 4)
            assert reply[:3] == b"\x05\x00\x05" and reply[3] != 0, (host, reply)
        reply = from_lan(lab, proxy, request4("localhost", secret.port), 2)
        assert reply == b"\x00\x5b"
    names_and_addresses = [f"127.0.0.1:{secrets[0].port}", f"[::1]:{secrets[1].port}", f"localhost:{secrets[0].port}"]
    for hostport in names_and_addresses:
        for request in (f"CONNECT {hostport} HTTP/1.1\r\nHost: x\r\n\r\n", f"GET http://{hostport}/ HTTP/1.1\r\nHost: x\r\n\r\n"):
            reply = from_lan(lab, proxy, request.encode(), 12)
            assert reply.startswith(b"HTTP/1.1 ") and reply[9:10] in b"45", (request, reply)
    assert [secret.peers for secret in secrets] == [[], []]


def test_a_client_outside_the_allowed_ranges_is_refused(start, lab, server):
    proxy = start("wan2", "--listen", f"{LAN_HOME}:0", "--allow", "192.168.78.0/24,127.0.0.1", port=False)
    with lab.lan.connect(*proxy.address) as s:
        s.settimeout(WAIT_S)
        try:
            s.sendall(b"\x05\x01\x00")
            assert s.recv(10) == b""
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert "192.168.77.2" in proxy.wait_log("client refused")


def test_the_allowed_ranges_by_default(start, lab, server):
    """Private client addresses are served, public ones are not."""
    proxy = start("wan2", "--listen", "*:0", port=False)
    port = proxy.port
    with lab.lan.connect(LAN_HOME, port) as s:
        s.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
        assert s.recv(4)[:2] == b"\x05\x00"
    with lab.internet.within():
        stranger = socket.create_connection((lab.wan1.addr4, port), timeout=5, source_address=(OPEN4, 0))
    with stranger:
        try:
            stranger.sendall(b"\x05\x01\x00")
            assert stranger.recv(10) == b""
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert OPEN4 in proxy.wait_log("client refused")


def test_no_uplink_at_all(start, lab, server, quiet):
    """Two uplinks, both dead: each protocol gives a clear error."""
    proxy = start("wan2", "wan3")
    lab.wan2.down()
    lab.wan3.down()
    proxy.wait_event("uplink_down", uplink="wan2")
    proxy.wait_event("uplink_down", uplink="wan3")
    assert answer_of(proxy, server) == (3, 503, "destination_unavailable")
    with open_to(proxy) as s:
        s.sendall(request4(server.address, server.port))
        assert s.recv(2) == b"\x00\x5b"
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00" + request5("open.test", server.port))
        s.recv(2)
        assert read_reply5(s)[0] == 3
    assert {(line["uplink"], line["outcome"]) for line in proxy.connections(4)} == {("none", "no-uplink")}


@pytest.mark.parametrize("family", [OPEN4, OPEN6], ids=["4", "6"])
def test_the_last_packet_of_what_we_close_first_stays_on_its_line(start, lab, origin, tmp_path, family):
    """A check ends with our FIN, and the server's comes later. The kernel acknowledges it, when the socket is closed."""

    def answer(s):
        s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n" if read_head(s) else b"")
        read_all(s)
        wait_for(lambda: states_towards(server) == ["05"], "our FIN is acknowledged")

    server = origin(answer, address=family)
    sniffers = [Sniffer(line, tmp_path / line, f"tcp dst port {server.port}") for line in ("wan1", "wan3")]
    start("wan3", "--check-interval", "3600", check=f"http://{server.hostport}/204")
    wait_for(lambda: server.peers, "it is checked")
    wait_for(lambda: states_towards(server) == ["06"] or not states_towards(server), "both have ended")
    for sniffer in sniffers:
        sniffer.stop()
    assert sniffers[0].packets() == [] and len(sniffers[1].packets()) > 4
    assert not server.errors
