"""Which servers an uplink asks when the machine's files name servers that it cannot reach, or none."""

import struct

import pytest

from lab.names import NameServer, with_files
from lab.netns import Netns
from lab.origin import echo
from lab.socks import socks5_connect
from lab.topology import NAMES4, NAMES6, OPEN4


def sources_of(proxy):
    return {e["uplink"]: (e["servers"], e["from"]) for e in proxy.events("name_servers_found") + proxy.events("name_servers_changed")}


@pytest.fixture
def server_at(built_lab):
    """server_at(netns, address): a name server there, which knows open.test."""
    opened = []

    def open_server(netns, address):
        server = NameServer(netns, [address])
        server.zone["open.test"] = [OPEN4]
        opened.append(server)
        return server

    yield open_server
    for server in opened:
        server.close()


@pytest.mark.parametrize("resolv", ["# no server yet\\n", "search home.test\\noptions edns0\\n", "nameserver nonsense\\n"])
def test_the_router_is_asked_where_no_server_is_named(start, lab, origin, only, server_at, resolv):
    router = server_at(lab.wan1.isp, lab.wan1.gateway4)
    server = origin(echo)
    proxy = start("--debug", "--policy", only("wan1"), "wan1", "wan2", dns=None, prefix=with_files({}, resolv))
    assert sources_of(proxy)["wan1"] == ("10.0.1.1, 2001:db8:1::1", "router")
    socks5_connect(proxy, "open.test", server.port).close()
    assert {client for _, _, client in router.asked} == {lab.wan1.addr4}


def test_a_link_local_server_is_asked_by_its_link_alone(start, lab, origin, only, server_at):
    isp = lab.wan1.isp
    own = next(a["local"] for a in isp.link("line1")["addr_info"] if a["local"].startswith("fe80:"))
    router = server_at(isp, f"{own}%line1")
    server = origin(echo)
    proxy = start("--debug", "--policy", only("wan1"), "wan1", "wan2", dns=None,
                  prefix=with_files({}, f"nameserver {own}%%wan1\\nnameserver {NAMES4}\\n"))
    assert sources_of(proxy) == {"wan1": (f"{own}%wan1, {NAMES4}", "system"), "wan2": (NAMES4, "system")}
    socks5_connect(proxy, "open.test", server.port).close()
    link_local = next(a["local"] for a in lab.home.link("wan1")["addr_info"] if a["local"].startswith("fe80:"))
    assert {client for _, _, client in router.asked} == {link_local}, "of the same scope as the server (RFC 6724)"


def test_a_server_of_a_family_that_the_uplink_lacks_does_not_count(start, lab, names, origin):
    server = origin(echo)
    proxy = start("--debug", lab.wan1.addr4, lab.wan2.addr6, dns=None,
                  prefix=with_files({}, f"nameserver {NAMES6}\\nnameserver {NAMES4}\\n"))
    assert sources_of(proxy) == {lab.wan1.addr4: (NAMES4, "system"), lab.wan2.addr6: (NAMES6, "system")}
    socks5_connect(proxy, "open.test", server.port).close()
    proxy = start("--debug", lab.wan1.addr4, dns=None, prefix=with_files({}, f"nameserver {NAMES6}\\n"))
    assert sources_of(proxy) == {lab.wan1.addr4: ("10.0.1.1", "router")}


def test_a_server_on_loopback_is_asked_last(start, lab, origin, only, server_at):
    """It resolves by its own routes, so the uplink's own servers come first."""
    stub = server_at(Netns(), "127.0.0.53")
    router = server_at(lab.wan2.isp, lab.wan2.gateway4)
    server = origin(echo)
    resolv = "nameserver 127.0.0.53\\n"
    proxy = start("--debug", "--policy", only("wan2"), "wan2", dns=None, prefix=with_files({}, resolv))
    assert sources_of(proxy) == {"wan2": ("10.0.2.1, 2001:db8:2::1, 127.0.0.53", "router")}
    socks5_connect(proxy, "open.test", server.port).close()
    assert router.asked and not stub.asked
    router.close()
    proxy = start("--debug", "--policy", only("wan2"), "wan2", dns=None, prefix=with_files({}, resolv))
    socks5_connect(proxy, "open.test", server.port).close()
    assert stub.asked


REFUSED = 5
ROOT_SERVERS = b"\0" + struct.pack(">HHIH", 2, 1, 3600, 3) + b"\1a\0"


@pytest.mark.parametrize("code, authority", [(0, b""), (0, ROOT_SERVERS), (REFUSED, b"")], ids=["nothing", "root", "refused"])
def test_a_server_that_serves_others_only_does_not_end_the_question(start, lab, names, origin, only, server_at, code, authority):
    """Some servers refuse with a code, others answer without having looked anything up."""
    other = server_at(lab.wan1.isp, lab.wan1.gateway4)
    other._answer = lambda packet, _: packet[:2] + struct.pack(">HHHHH", 0x8100 | code, 1, 0, bool(authority), 0) + packet[12:] + authority
    server = origin(echo)
    proxy = start("--policy", only("wan1"), "wan1", dns=f"{lab.wan1.gateway4},{NAMES4}")
    socks5_connect(proxy, "open.test", server.port).close()
