"""BIND of SOCKS4 and SOCKS5: a peer connects to an address of the chosen uplink, and becomes a tunnel."""

import json
import signal
import socket
from contextlib import contextmanager

import pytest

from lab.origin import read_all, read_exactly, reset
from lab.run import WAIT_S, wait_for
from lab.socks import open_to, read_reply4, read_reply5, request4, request5, socks5_code
from lab.topology import LAN_CLIENT, LAN_HOME, MORE4, OPEN4, OPEN6, WEB4

BIND = 2
REPLIES = {4: read_reply4, 5: read_reply5}
DONE, FAILED = {4: 90, 5: 0}, {4: (91,), 5: (1, 3, 6)}
ANYBODY = {4: "0.0.0.0", 6: "::"}
VERSIONS = pytest.mark.parametrize("version", [4, 5])


@contextmanager
def bound(proxy, host, version=5, port=0):
    """Ask for BIND; yields the control connection and where the proxy listens."""
    with open_to(proxy) as s:
        if version == 4:
            s.sendall(request4(host, port, command=BIND))
        else:
            s.sendall(b"\x05\x01\x00" + request5(host, port, BIND))
            assert read_exactly(s, 2) == b"\x05\x00"
        code, *at = REPLIES[version](s)
        assert code == DONE[version], code
        yield s, tuple(at)


def connect_from(netns, source, at):
    with netns.within():
        return socket.create_connection(at, timeout=WAIT_S, source_address=(source, 0))


def is_turned_away(netns, source, at):
    """The proxy resets it."""
    try:
        with connect_from(netns, source, at) as peer:
            return peer.recv(1) == b""
    except ConnectionResetError:
        return True


def nobody_listens(netns, source, at):
    try:
        connect_from(netns, source, at).close()
    except ConnectionRefusedError:
        return True
    return False


def carries(s, peer):
    """Both ends speak, and both ends end."""
    peer.sendall(b"from the peer")
    assert read_exactly(s, 13) == b"from the peer"
    s.sendall(b"from the client")
    s.shutdown(socket.SHUT_WR)
    assert read_all(peer) == b"from the client"
    peer.close()
    assert read_all(s) == b""


# --- the whole way ---


@VERSIONS
@pytest.mark.parametrize("host", [OPEN4, "open.test", ANYBODY[4]])
def test_a_peer_becomes_a_tunnel(start, lab, first, version, host):
    proxy = start("wan1", "wan2", "--policy", first("wan2"))
    before = proxy.ask("uplinks")["uplinks"][1]
    with bound(proxy, host, version, port=21) as (s, at):
        assert at[0] == lab.wan2.addr4 and at[1] > 0, "the uplink's own address"
        peer = connect_from(lab.internet, OPEN4, at)
        code, *told = REPLIES[version](s)
        assert (code, tuple(told)) == (DONE[version], peer.getsockname())
        assert nobody_listens(lab.internet, OPEN4, at), "one connection is accepted"
        carries(s, peer)
    (line,) = proxy.connections(1)
    facts = {"proto": f"socks{version}", "host": host, "port": 21, "uplink": "wan2", "tx": 15, "rx": 13, "outcome": "closed"}
    assert facts.items() <= line.items() and line["peer"].startswith(f"{OPEN4}:"), line
    after = wait_for(lambda: (u := proxy.ask("uplinks")["uplinks"][1])["active"] == 0 and u, "the lease is back")
    assert (after["total"], after["tx_bytes"], after["rx_bytes"]) == (before["total"] + 1, 15, 13), after
    assert after["connect_time"] == before["connect_time"], "the peer's time says nothing about the line"


@pytest.mark.parametrize("host", [OPEN6, "open6.test", ANYBODY[6]])
def test_a_peer_over_ipv6(start, lab, host):
    proxy = start("wan2")
    with bound(proxy, host) as (s, at):
        assert at[0] == lab.wan2.addr6
        peer = connect_from(lab.internet, OPEN6, at)
        assert read_reply5(s) == (0, *peer.getsockname()[:2])
        carries(s, peer)


def test_what_either_side_sends_early_arrives(start, lab):
    proxy = start("wan1")
    with bound(proxy, OPEN4) as (s, at):
        s.sendall(b"early ")
        peer = connect_from(lab.internet, OPEN4, at)
        peer.sendall(b"welcome")
        assert read_reply5(s)[0] == 0
        assert read_exactly(s, 7) == b"welcome"
        s.sendall(b"and late")
        assert read_exactly(peer, 14) == b"early and late"
        peer.close()


def test_the_policy_is_told_that_a_peer_is_to_connect(start, lab, tmp_path):
    (tmp_path / "tell.lua").write_text("""return { name = "tell", new = function(ctx)
      local function told(conn) return ("%s %s %s:%d"):format(tostring(conn.bind), conn.proto, conn.host, conn.port) end
      return {
        pick = function(conn, uplinks) return uplinks[#uplinks], told(conn) end,
        opened = function(conn, u) ctx.log.info("opened %s by %s", told(conn), u.name) end,
        closed = function(conn, u, stats) ctx.log.info("closed %s: %d %d %s", u.name, stats.tx, stats.rx, stats.reason) end,
      }
    end }""")
    proxy = start("--policy", tmp_path / "tell.lua", "wan1", "wan2")
    with bound(proxy, ANYBODY[4]) as (s, at):
        peer = connect_from(lab.internet, OPEN4, at)
        read_reply5(s)
        carries(s, peer)
    (line,) = proxy.connections(1)
    assert line["reason"] == "true socks5 0.0.0.0:0"
    assert [e["text"] for e in proxy.events("policy_says")] == ["opened true socks5 0.0.0.0:0 by wan2", "closed wan2: 15 13 closed"]
    socks5_code(proxy, OPEN4, 9)
    assert proxy.connections(2)[1]["reason"] == f"false socks5 {OPEN4}:9"


def test_a_recording_leaves_it_out(start, lab, web, tmp_path):
    """A simulation makes connections, and awaits none."""
    proxy = start("wan1", "--record", tmp_path / "trace")
    with bound(proxy, OPEN4, port=21) as (s, at):
        peer = connect_from(lab.internet, OPEN4, at)
        assert read_reply5(s)[0] == 0
        carries(s, peer)
    assert socks5_code(proxy, WEB4, 80) == 0
    proxy.connections(2)
    proxy.stop()
    assert [json.loads(line)["port"] for line in (tmp_path / "trace").read_text().splitlines() if '"port"' in line] == [80]


def test_a_neighbour_connects_directly(start, lab):
    """A peer of the local network, as a destination there, needs no uplink."""
    proxy = start("wan2")
    with bound(proxy, LAN_CLIENT) as (s, at):
        assert at[0] == LAN_HOME
        peer = connect_from(lab.lan, LAN_CLIENT, at)
        assert read_reply5(s)[0] == 0
        carries(s, peer)
    assert proxy.connections(1)[0]["uplink"] == "direct"


# --- who may, and who may not ---


def test_only_the_named_peer_is_accepted(start, lab):
    proxy = start("wan1", "--debug")
    with bound(proxy, OPEN4) as (s, at):
        for _ in range(3):
            assert is_turned_away(lab.internet, MORE4, at)
        peer = connect_from(lab.internet, OPEN4, at)
        assert read_reply5(s) == (0, *peer.getsockname())
        carries(s, peer)
    assert len([line for line in proxy.events("peer_turned_away") if line["peer"].startswith(f"{MORE4}:")]) == 3


def test_nothing_is_accepted_by_another_link(start, lab):
    """The internet routes wan2's address over wan1's line for a while: what arrives there is not for this socket."""
    proxy = start("wan2")
    with bound(proxy, OPEN4) as (s, at):
        lab.internet.sh(f"ip route add {lab.wan2.addr4}/32 via {lab.wan1.far4}")
        lab.wan1.isp.sh(f"ip route add {lab.wan2.addr4}/32 via {lab.wan1.addr4}")
        try:
            received = lab.wan1.bytes()[0]
            with lab.internet.within():
                lost = socket.socket()
            with lost:
                lost.bind((OPEN4, 0))
                lost.settimeout(1.5)
                with pytest.raises(OSError):
                    lost.connect(at)
            assert lab.wan1.bytes()[0] > received, "it came to this machine"
        finally:
            lab.wan1.isp.sh(f"ip route delete {lab.wan2.addr4}/32")
            lab.internet.sh(f"ip route delete {lab.wan2.addr4}/32")
        peer = connect_from(lab.internet, OPEN4, at)
        assert read_reply5(s) == (0, *peer.getsockname())
        peer.close()


def test_the_rules_for_destinations_hold_for_peers(start, lab):
    """Rules for ports do not: they are about services."""
    proxy = start("wan1", "--bind-timeout", "20", "--deny", OPEN4, "--deny", "*:1-1023")
    for host, code in ((OPEN4, 2), ("open.test", 2)):
        assert socks5_code(proxy, host, 21, BIND) == code
    with bound(proxy, ANYBODY[4]) as (s, at):
        assert is_turned_away(lab.internet, OPEN4, at)
        peer = connect_from(lab.internet, MORE4, at)
        assert read_reply5(s) == (0, *peer.getsockname())
        peer.close()
    assert socks5_code(start("wan1", "--deny", "*"), ANYBODY[4], 0, BIND) == 2


@VERSIONS
@pytest.mark.parametrize("option", ["none", "10.9.9.0/24"])
def test_clients_that_may_not(start, lab, version, option):
    proxy = start("wan1", "--bind-from", option)
    with open_to(proxy) as s:
        if version == 4:
            s.sendall(request4(OPEN4, 21, command=BIND))
            assert read_reply4(s)[0] == 91
        else:
            s.sendall(b"\x05\x01\x00" + request5(OPEN4, 21, BIND))
            assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == 2
        assert s.recv(1) == b""
    assert proxy.wait_event("rejected", reason="bind-not-allowed")["proto"] == f"socks{version}"
    assert proxy.connections() == []


def test_another_machine_may_only_where_it_is_named(start, lab, config):
    """By default, only clients of this machine."""
    for given, code in (("", 2), (f"bind_from = '{LAN_CLIENT}', ", 0)):
        path = config(f"return {{ {given}bind_timeout = 0.2 }}")
        proxy = start("--config", path, "wan1", "--listen", f"{LAN_HOME}:0", port=False)
        with lab.lan.connect(*proxy.address) as s:
            s.sendall(b"\x05\x01\x00" + request5(OPEN4, 21, BIND))
            assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == code
            if code == 0:
                assert read_reply5(s)[0] == 6, "nobody has come"


@pytest.mark.parametrize("host, code", [("missing.test", 4), ("open6.test", 91)])
def test_a_name_without_an_address_is_refused(start, lab, host, code):
    """SOCKS4 has no room for an IPv6 address in its reply."""
    proxy = start("wan1")
    if code == 4:
        assert socks5_code(proxy, host, 21, BIND) == code
        return
    with open_to(proxy) as s:
        s.sendall(request4(host, 21, command=BIND))
        assert read_reply4(s)[0] == code


def test_parent_proxies_are_no_candidates(start, lab, origin):
    parent = origin(read_all)
    proxy = start(f"socks5://{parent.hostport}")
    assert socks5_code(proxy, OPEN4, 21, BIND) == 3
    assert "parent proxies cannot" in proxy.connections(1)[0]["reason"]
    proxy = start(f"socks5://{parent.hostport}", "wan2")
    with bound(proxy, OPEN4) as (_, at):
        assert at[0] == lab.wan2.addr4
    assert parent.peers == []


# --- the wait ends ---


@VERSIONS
def test_nobody_comes(start, lab, version):
    proxy = start("wan1", "--bind-timeout", "0.3")
    with bound(proxy, WEB4, version) as (s, at):
        code, address, port = REPLIES[version](s)
        assert code == {4: 91, 5: 6}[version] and (address, port) == ("0.0.0.0", 0)
        assert s.recv(1) == b""
    (line,) = proxy.connections(1)
    assert (line["outcome"], line["peer"], line["uplink"]) == ("timeout", "none", "wan1"), line
    assert nobody_listens(lab.internet, OPEN4, at)
    uplink = proxy.ask("uplinks")["uplinks"][0]
    assert (uplink["active"], uplink["failures"]) == (0, 0), "the line is not to blame"


@pytest.mark.parametrize("leave", [socket.socket.close, reset, lambda s: s.shutdown(socket.SHUT_WR)])
def test_the_client_leaves(start, lab, leave):
    proxy = start("wan1")
    with bound(proxy, OPEN4) as (s, at):
        leave(s)
        (line,) = proxy.connections(1)
        assert line["peer"] == "none" and line["outcome"] in ("aborted", "reset"), line
        assert nobody_listens(lab.internet, OPEN4, at)


@pytest.mark.parametrize("lose, outcome", [("down", "unreachable"), ("remove", "unreachable"), ("renumber", "cut")])
def test_the_uplink_is_lost(start, lab, lose, outcome):
    proxy = start("wan2", "wan3", "--policy", "failover")
    with bound(proxy, OPEN4) as (s, at):
        assert at[0] == lab.wan2.addr4
        getattr(lab.wan2, lose)()
        assert read_reply5(s)[0] in FAILED[5]
        assert s.recv(1) == b""
    assert proxy.connections(1)[0]["outcome"] == outcome


@pytest.mark.parametrize("hard", [False, True])
def test_the_proxy_stops(start, lab, hard):
    proxy = start("wan1")
    with bound(proxy, OPEN4) as (s, _):
        proxy.signal(signal.SIGTERM)
        if hard:
            proxy.wait_log("stopping")
            proxy.stop()
        assert read_all(s)[:2] in (b"\x05\x01", b"")
        s.close()
        assert proxy.wait() in (0, -signal.SIGTERM)
    assert proxy.connections(1)[0]["outcome"] == "shutdown"


def test_nothing_is_left_of_many(start, lab):
    proxy = start("wan1", "--bind-timeout", "0.2")
    before = proxy.descriptors_at_rest()
    for n in range(30):
        with bound(proxy, OPEN4) as (s, at):
            if n % 3 == 0:
                connect_from(lab.internet, OPEN4, at).close()
            if n % 3 == 1:
                read_all(s)
    assert proxy.settled() == 30
    assert proxy.descriptors_at_rest() == before
