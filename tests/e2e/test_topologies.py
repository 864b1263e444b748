"""Other kinds of lines: two routers behind one interface, two interfaces in one network, tunnels without a router, a
single family."""

import fcntl
import os
import select
import struct
import threading

import pytest

from lab.command import run
from lab.netns import Netns
from lab.origin import at_rest, echo
from lab.run import WAIT_S, sh
from lab.socks import socks5_code, socks5_connect
from lab.topology import NAMES4, NAMES6, OPEN4, OPEN6


@pytest.fixture
def config(config):
    return lambda text: config(f"return {{ uplinks = {{ {text} }} }}")


def carried(segment, proxy, server):
    """Whether each router forwarded packets of a connection, from its begin to its end."""
    before = segment.passed()
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        tunnel.sendall(b"ping")
        assert tunnel.recv(64) == b"ping"
    at_rest(server)
    return [now > then for now, then in zip(segment.passed(), before)]


def test_two_routers_behind_one_interface(start, segment, origin, only, config):
    segment.join("two0", "10.0.9.2")
    server = origin(echo)
    own = config('{ interface = "two0", name = "near" }, { interface = "two0", name = "far", gateway = "10.0.9.254" }')
    rules = sh("ip rule")
    near = start("--config", own, "--policy", only("near"))
    assert carried(segment, near, server) == [True, False]
    near.stop()
    assert sh("ip rule") == rules
    far = start("--config", own, "--policy", only("far"))
    assert carried(segment, far, server) == [False, True]
    sh("ip link set two0 down")  # its routes are removed with that
    far.wait_event("uplink_down", uplink="far")
    sh("ip link set two0 up")
    sh("ip route replace default via 10.0.9.1 dev two0 metric 901")
    far.wait_event("uplink_up", uplink="far")
    assert carried(segment, far, server) == [False, True]
    far.stop()
    assert sh("ip rule") == rules
    assert not sh("ip route show table all").count("10.0.9.254")


def test_rules_left_by_a_killed_proxy_are_removed(start, segment, origin, only, config):
    segment.join("two0", "10.0.9.2")
    server = origin(echo)
    rules = sh("ip rule")
    killed = start("--config", config('{ interface = "two0", gateway = "10.0.9.254", mark = 7 }'))
    assert carried(segment, killed, server) == [False, True]
    alive = start("--config", config('{ interface = "two0", name = "far", gateway = "10.0.9.254" }'))
    killed.kill()
    assert sh("ip rule").count("fwmark 0x7 ") == 1
    marked = start("--config", config('{ interface = "two0", mark = 7 }'))
    assert carried(segment, marked, server) == [True, False]
    assert "fwmark 0x7 " not in sh("ip rule")
    assert marked.events("gateway_rules_removed", removed=1)
    assert carried(segment, alive, server) == [False, True]
    alive.stop()
    assert sh("ip rule") == rules
    assert not sh("ip route show table all").count("10.0.9.254")


def test_rules_left_by_a_killed_proxy_that_cannot_be_removed_are_reported(start, segment, config):
    segment.join("two0", "10.0.9.2")
    start("--config", config('{ interface = "two0", gateway = "10.0.9.254", mark = 7 }')).kill()
    unable = start("two0", prefix=["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])
    (told,) = unable.events("gateway_rules_left")
    assert (told["level"], told["removed"], told["error"]) == ("warn", 0, "Operation not permitted")
    assert "fwmark 0x7 " in sh("ip rule")
    assert run("doctor", "--check", "none", "--public-address", "none", "two0").returncode == 0
    assert "fwmark 0x7 " not in sh("ip rule"), "the doctor removes it"


def test_an_unreachable_router_takes_the_uplink_down(start, segment, origin, only, config):
    segment.join("two0", "10.0.9.2")
    server = origin(echo)
    own = config('{ interface = "two0", name = "far", gateway = "192.0.2.1" }, "wan1"')
    proxy = start("--config", own, "--policy", only("far"))
    assert proxy.events("gateway_failed", uplink="far", gateway="192.0.2.1")
    before = segment.passed()
    assert socks5_code(proxy, OPEN4, server.port) != 0
    assert segment.passed() == before


def test_a_mark_is_for_the_machines_own_rules(start, segment, origin, only, config):
    segment.join("two0", "10.0.9.2")
    server = origin(echo)
    sh("ip route add default via 10.0.9.254 dev two0 table 77")
    sh("ip rule add fwmark 0x77 lookup 77 priority 7700")
    try:
        proxy = start("--config", config('{ interface = "two0", mark = 0x77 }'), "--policy", only("two0"))
        assert carried(segment, proxy, server) == [False, True]
    finally:
        sh("ip rule delete priority 7700")


@pytest.mark.parametrize("name", ["two1", "two2"])
def test_two_interfaces_in_one_network(start, segment, origin, only, name):
    segment.join("two1", "10.0.9.2")
    segment.join("two2", "10.0.9.3")
    server = origin(echo)
    sh("nft add table inet two")
    sh("nft add chain inet two out { type filter hook output priority 0; }")
    for link in ("two1", "two2"):
        sh(f"nft add counter inet two {link}")
        sh(f"nft add rule inet two out oifname {link} meta l4proto tcp counter name {link}")
    try:
        proxy = start("--policy", only(name), "two1", "two2")
        assert carried(segment, proxy, server) == [True, False]
        count = {link: Netns().nft_counter("two", link) for link in ("two1", "two2")}
        assert count[name] > 3 and count["two2" if name == "two1" else "two1"] == 0
    finally:
        sh("nft delete table inet two")


class Tunnel:
    """A tun device of the household, tun0, with a provider at its other end, as the program of a VPN or modem makes."""

    IFF_TUN, IFF_NO_PI, TUNSETIFF = 0x0001, 0x1000, 0x400454CA

    def __init__(self, lab):
        self.lab, self.over = lab, threading.Event()

    def _open(self, space, name):
        with space.within():
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, self.TUNSETIFF, struct.pack("16sH22x", name.encode(), self.IFF_TUN | self.IFF_NO_PI))
        return fd

    def build(self):
        isp = self.lab.wan1.isp
        self.ends = [self._open(self.lab.home, "tun0"), self._open(isp, "tun0")]
        sh("ip address add 10.9.9.2 peer 10.9.9.1 dev tun0")
        sh("ip link set tun0 up")
        sh("ip route add default dev tun0 metric 950")
        isp.sh("ip address add 10.9.9.1 peer 10.9.9.2 dev tun0")
        isp.sh("ip link set tun0 up")
        self.lab.internet.sh(f"ip route replace 10.9.9.2/32 via {self.lab.wan1.far4}")
        self.thread = threading.Thread(target=self._pump, daemon=True)
        self.thread.start()

    def _pump(self):
        one, two = self.ends
        while not self.over.is_set():
            for fd in select.select([one, two], [], [], 0.1)[0]:
                os.write(two if fd == one else one, os.read(fd, 65536))

    def remove(self):
        self.over.set()
        self.thread.join(WAIT_S)
        for fd in self.ends:
            os.close(fd)


@pytest.fixture
def tunnel(lab):
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("this machine lets nobody make a tun device")
    t = Tunnel(lab)
    t.build()
    yield t
    t.remove()


def test_a_tunnel_has_no_router(start, lab, tunnel, origin, only, names):
    server = origin(echo)
    proxy = start("--policy", only("tun0"), "wan2", "tun0")
    before = lab.tcp_sent()
    for host in (OPEN4, "open.test"):
        with socks5_connect(proxy, host, server.port) as s:
            s.sendall(b"ping")
            assert s.recv(64) == b"ping"
    assert lab.tcp_sent() == before
    assert {client for name, _, client in names.asked if name == "open.test"} == {"10.9.9.2"}
    assert not proxy.events("uplink_route_missing", uplink="tun0")
    assert tunnel


@pytest.mark.parametrize("family, names_tried", [("4", {"web4": 0, "web6": 4}), ("6", {"web4": 4, "web6": 0})])
def test_a_line_of_one_family(start, lab, origin, family, names_tried):
    four = origin(echo)
    six = origin(echo, address=OPEN6, port=four.port)
    lab.wan2.broken = True
    sh(f"ip -{'6' if family == '4' else '4'} address flush dev wan2 scope global")
    proxy = start("wan2", dns=f"{NAMES4},{NAMES6}")
    codes = {"web4": socks5_code(proxy, "open.test", four.port), "web6": socks5_code(proxy, "open6.test", six.port)}
    assert {name: code == 0 for name, code in codes.items()} == {name: code == 0 for name, code in names_tried.items()}
    (u,) = proxy.ask("uplinks")["uplinks"]
    assert (u["ipv4"] is None, u["ipv6"] is None) == (family == "6", family == "4")
    assert u["state"] == "up"
