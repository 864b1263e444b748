"""Captured traffic: programs that know no proxy are carried by both uplinks, from this machine and from a network behind
it, with IPv4 and IPv6; the proxy's own packets, local networks and flows that exist already are left alone."""

import json
import os
import socket
import subprocess

import pytest

from lab.clients import curl
from lab.netns import wait_for_carrier
from lab.origin import echo
from lab.proxy import UNRACED
from lab.run import run, sh, wait_for
from lab.topology import LAN_CLIENT, LAN_HOME, NAMES4, NAMES6, OPEN4, OPEN6, WEB4, WEB6
from lab.udp import UdpServer, whoami as udp_whoami

LAN_HOME6, LAN_CLIENT6 = "fd77::1", "fd77::2"


@pytest.fixture
def lan(lab):
    """The network behind this machine, with IPv6 and default routes."""
    sh(f"ip -6 address replace {LAN_HOME6}/64 dev lan0 nodad")
    lab.lan.sh(f"ip -6 address replace {LAN_CLIENT6}/64 dev eth0 nodad")
    lab.lan.sh(f"ip route replace default via {LAN_HOME}")
    lab.lan.sh(f"ip -6 route replace default via {LAN_HOME6}")
    yield lab.lan
    lab.lan.sh("ip route delete default")
    lab.lan.sh("ip -6 route delete default")
    lab.lan.sh(f"ip -6 address delete {LAN_CLIENT6}/64 dev eth0")
    sh(f"ip -6 address delete {LAN_HOME6}/64 dev lan0")


@pytest.fixture
def capture(start):
    """Starts a proxy that captures: capture("--lan", "lan0", by=("wan1", "wan2"))."""
    proxies = []

    def begin(*words, by=("wan1", "wan2"), more=()):
        proxy = start(*UNRACED, "--policy", "round_robin", "--transparent", "tproxy:localhost:0", *more, *by)
        proxies.append(proxy)
        proxy.tell("capture", "on", *words)
        return proxy

    yield begin
    for proxy in proxies:
        proxy.tell("capture", "off")


def counted(chain):
    """The packets that the rules of a chain have counted."""
    items = json.loads(sh(f"nft -j list chain inet steerway {chain}"))["nftables"]
    return [part["counter"]["packets"] for item in items for part in item.get("rule", {}).get("expr", []) if "counter" in part]


def whoami(lab, address, by=run, source=None):
    host = f"[{address}]" if ":" in address else address
    r = by("curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", f"http://{host}/whoami", *(source or ()))
    return lab.uplink_of(r.ok().text.strip())


@pytest.mark.parametrize("strict", [0, 1], ids=["usual", "strict"])
def test_both_uplinks_carry_everybody(lab, web, lan, capture, strict):
    """With the strictest checks of source addresses, too, and no setting changed."""
    lab.home.sysctl("net.ipv4.conf.all.rp_filter", 0)  # for the uplinks, whose answers it would drop
    for link in ("lan0", "lo"):
        lab.home.sysctl(f"net.ipv4.conf.{link}.rp_filter", strict)
        lab.home.sysctl(f"net.ipv4.conf.{link}.src_valid_mark", strict)
    try:
        proxy = capture("--lan", "lan0", by=("wan2", "wan3"))
        for by in (run, lan.run):
            for address in (WEB4, WEB6):
                assert {whoami(lab, address, by) for _ in range(4)} == {"wan2", "wan3"}, (by, address)
        lines = proxy.connections(16)
        assert len(lines) == 16, "none of them came back to the proxy"
        assert {line["client"].rpartition(":")[0] for line in lines} >= {LAN_CLIENT, f"[{LAN_CLIENT6}]"}
        (flows,) = counted("take")
        assert flows == 8 and counted("lan") == [8]
    finally:
        for link, value in (("all", 2), ("lan0", 0), ("lo", 0)):
            lab.home.sysctl(f"net.ipv4.conf.{link}.rp_filter", value)
            lab.home.sysctl(f"net.ipv4.conf.{link}.src_valid_mark", 0)


def test_what_is_near_is_left_alone(lab, lan, capture, origin):
    proxy = capture("--lan", "lan0")
    near = [lan.listen(LAN_CLIENT), lan.listen(LAN_CLIENT6), socket.create_server(("127.0.0.1", 0)), socket.create_server((lab.wan1.addr4, 0)),
            lab.wan1.isp.listen(lab.wan1.gateway4)]
    for server in near:
        with server, socket.create_connection(server.getsockname()[:2], timeout=20):
            pass
    with socket.create_server((LAN_HOME, 0)) as server:
        lan.connect(LAN_HOME, server.getsockname()[1]).close()
    sh("ip address add 10.77.0.1/24 dev lan0")  # it has come since the capture began
    try:
        with socket.create_server(("10.77.0.1", 0)) as server:
            lan.connect("10.77.0.1", server.getsockname()[1]).close()
            socket.create_connection(server.getsockname(), timeout=20).close()
    finally:
        sh("ip address delete 10.77.0.1/24 dev lan0")
    assert counted("take") == [0] and counted("lan") == [0]
    assert proxy.settled() == 0


def test_flows_that_exist_already_go_on(lab, capture, origin):
    server = origin(echo)
    with socket.create_connection((OPEN4, server.port), timeout=20) as before:
        proxy = capture()
        before.sendall(b"still the same")
        assert before.recv(100) == b"still the same"
        assert proxy.settled() == 0
        with socket.create_connection((OPEN4, server.port), timeout=20) as after:
            after.sendall(b"captured")
            assert after.recv(100) == b"captured"
            proxy.tell("capture", "on", "--user", "7")  # whoever is captured already stays so
            after.sendall(b"still captured")
            assert after.recv(100) == b"still captured"
        assert len(proxy.connections(1)) == 1


def test_connections_from_outside_are_answered_directly(lab, capture):
    proxy = capture()
    with socket.create_server((lab.wan1.addr4, 0)) as server, lab.internet.connect(lab.wan1.addr4, server.getsockname()[1]) as far:
        s, _ = server.accept()
        with s:
            s.sendall(b"x" * 100_000)
            got = 0
            while got < 100_000:
                got += len(far.recv(65536))
    assert proxy.settled() == 0


def test_only_chosen_users(lab, web, capture):
    proxy = capture("--user", "65534")
    assert whoami(lab, WEB4) == "wan1", "by the default route"
    assert proxy.settled() == 0
    as_nobody = ("setpriv", "--reuid", "65534", "--clear-groups")
    assert {whoami(lab, WEB4, lambda *argv: run(*as_nobody, *argv)) for _ in range(4)} == {"wan1", "wan2"}
    assert len(proxy.connections(4)) == 4


def test_only_a_control_group(lab, web, capture, tmp_path):
    root = "/sys/fs/cgroup"
    if run("mount", "-t", "cgroup2", "cgroup2", root).code != 0:
        pytest.skip("cgroup v2 cannot be mounted here")
    group = f"{root}/steerway-test-{os.getpid()}"
    try:
        if run("mkdir", "-p", f"{group}/inner").code != 0:
            pytest.skip("control groups cannot be made here")
        proxy = capture("--cgroup", f"{group}/inner")
        assert whoami(lab, WEB4) == "wan1"
        assert proxy.settled() == 0

        def inside(*argv):
            return run("sh", "-c", f'echo $$ > {group}/inner/cgroup.procs && exec "$@"', "sh", *argv)

        assert {whoami(lab, WEB4, inside) for _ in range(4)} == {"wan1", "wan2"}
        assert len(proxy.connections(4)) == 4
        proxy.tell("capture", "off")
    finally:
        run("rmdir", f"{group}/inner", group)
        run("umount", root)


@pytest.fixture
def forwarding(lab):
    """This machine forwards packets; the result counts those of the LAN's TCP."""
    before = sh("sysctl -n net.ipv4.ip_forward").strip()
    sh("sysctl -q -w net.ipv4.ip_forward=1")
    lab.home.nft("table inet past { counter n { }; chain through { type filter hook forward priority 0; iifname lan0 meta l4proto tcp counter name n; }; }")
    yield lambda: lab.home.nft_counter("past", "n")
    sh("nft delete table inet past")
    sh(f"sysctl -q -w net.ipv4.ip_forward={before}")


def test_killed_it_lets_traffic_pass(lab, web, lan, capture, forwarding):
    proxy = capture("--lan", "lan0", by=("wan2",))
    assert whoami(lab, WEB4) == whoami(lab, WEB4, lan.run) == "wan2"
    assert forwarding() == 0
    proxy.kill()
    wait_for(lambda: run("nft", "list", "table", "inet", "steerway").code != 0, "the table is gone")
    assert whoami(lab, WEB4) == "wan1", "past the proxy"
    lan.run("curl", "--silent", "--noproxy", "*", "--max-time", "0.5", f"http://{WEB4}/whoami")
    assert forwarding() > 0


def test_killed_it_stops_traffic(lab, web, lan, capture, forwarding):
    proxy = capture("--lan", "lan0", "--when-gone", "stop", by=("wan2",))
    assert whoami(lab, WEB4) == whoami(lab, WEB4, lan.run) == "wan2"
    proxy.kill()
    for by in (run, lan.run):
        assert by("curl", "--silent", "--noproxy", "*", "--max-time", "0.5", f"http://{WEB4}/whoami").code != 0
    assert forwarding() == 0
    proxy.tell("capture", "off")
    assert whoami(lab, WEB4) == "wan1"


def test_a_policy_sees_the_address_and_the_client(lab, web, capture):
    proxy = capture()
    assert curl("--noproxy", "*", f"http://{WEB4}/whoami").code == 0
    (line,) = proxy.connections(1)
    assert (line["host"], line["port"], line["proto"]) == (WEB4, 80, "transparent"), line
    assert line["client"].startswith(lab.wan1.addr4)


# --- datagrams ---


@pytest.fixture
def reflector(built_lab):
    """A UDP server on the internet that tells clients which uplink they came by: reflector(address)."""
    opened = []

    def open_at(address):
        opened.append(UdpServer(built_lab.internet, udp_whoami, addresses=(address,)))
        return opened[-1].port

    yield open_at
    for server in opened:
        server.close()


def by_datagram(lab, address, port, netns=None):
    """The uplink by which a datagram has come to a server, from a new port."""
    with (netns or lab.home).within():
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.settimeout(20)
        s.connect((address, port))
        s.send(b"x" * 100)
        return lab.uplink_of(s.recv(2000).split(b" ")[0].decode())


def test_datagrams_of_everybody(lab, lan, capture, reflector):
    ports = {address: reflector(address) for address in (OPEN4, OPEN6)}
    proxy = capture("--lan", "lan0", by=("wan2", "wan3"))
    for netns in (None, lan):
        for address, port in ports.items():
            assert {by_datagram(lab, address, port, netns) for _ in range(6)} <= {"wan2", "wan3"}
    assert proxy.ask("status")["udp"]["mappings"] == 24
    (flows,) = counted("take")
    assert flows == 12 and counted("lan") == [12]


def test_a_flow_of_datagrams_that_exists_already_goes_on(lab, capture, reflector):
    port = reflector(OPEN4)
    lab.home.nft("table inet tracking { chain c { type filter hook output priority 0; ct state new counter; }; }")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
            s.connect((OPEN4, port))

            def line():
                s.send(b"x")
                return lab.uplink_of(s.recv(2000).split(b" ")[0].decode())

            assert line() == "wan1"
            capture(by=("wan2",))
            assert line() == "wan1"
        assert by_datagram(lab, OPEN4, port) == "wan2"
    finally:
        sh("nft delete table inet tracking")


@pytest.fixture
def questions(lab):
    """Counts questions where packets leave: an output chain sees captured ones on their first route."""
    parts = "".join(f"counter {u.name} {{ }}; " for u in lab.uplinks)
    rules = "".join(f"oifname {u.name} meta l4proto {{ tcp, udp }} th dport 53 counter name {u.name}; " for u in lab.uplinks)
    lab.home.nft(f"table inet leaving {{ {parts}\nchain post {{ type filter hook postrouting priority 0; {rules} }}\n}}")
    yield lambda: {u.name: lab.home.nft_counter("leaving", u.name) for u in lab.uplinks}
    sh("nft delete table inet leaving")


def test_questions_of_captured_clients_leave_by_a_chosen_uplink(lab, names, lan, capture, questions):
    """Also those that are meant for a resolver nearby; nothing leaves by the default route."""
    names.zone["asked.test"] = ["192.0.2.7"]
    capture("--lan", "lan0", by=("wan2",))
    near = lab.wan1.gateway4  # in a connected network, and no name server
    for netns, server in ((lab.home, NAMES4), (lab.home, near), (lan, NAMES4), (lan, near), (lan, LAN_HOME), (lab.home, NAMES6)):
        with netns.within():
            s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.settimeout(20)
            s.connect((server, 53))
            s.send(b"\0\7\1\0\0\1\0\0\0\0\0\0\5asked\4test\0\0\1\0\1")
            assert bytes([192, 0, 2, 7]) in s.recv(2000), server
    assert questions() == {"wan1": 0, "wan2": 6, "wan3": 0}


def test_the_systems_resolver_of_the_proxy_is_captured_once(lab, web, names, capture, questions):
    """Its sockets cannot be marked. For a destination that goes direct, it is asked for names that no server knows."""
    proxy = capture(by=("wan2",), more=("--bypass", "198.51.100.0/24"))
    assert curl("--socks5-hostname", proxy.hostport, "http://nobody-knows.test/", timeout=25).code != 0
    assert sum(questions().values()) < 60, "no loop"
    assert whoami(lab, WEB4) == "wan1", "it goes direct, and serves"


def test_dhcp_and_multicast_are_left_alone(lab, capture):
    capture()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for to in (("255.255.255.255", 67), ("224.0.0.251", 5353), ("10.0.1.255", 9), (OPEN4, 67), (lab.wan1.gateway4, 123)):
            s.sendto(b"x", to)
    assert counted("take") == [0]
