"""Real programs that know no proxy: captured, or led by a forward. Each is skipped where its program is missing."""

import os
import subprocess

import pytest

from lab import unpacked
from lab.browser import check_shares, need, put_page, show
from lab.dnsmasq import BIG, Dnsmasq, NAME, RECORDS
from lab.household import FOREIGN4, FOREIGN6, HOME4, LINK
from lab.origin import pattern
from lab.run import end, run, wait_for
from lab.sniffer import Sniffer
from lab.stun import by_socket
from lab.topology import MORE4, NAMES4, NAMES6, OPEN4, OPEN6, WEB4, WEB6

MOST_S = 60


@pytest.fixture
def captured(house, start):
    """captured(…) starts a proxy for wan2 and wan3, and captures everybody as a user would."""
    proxies = []

    def begin(*options, by=("wan2", "wan3"), **more):
        proxy = start("--transparent", "tproxy:localhost:0", *options, *by, **more)
        proxies.append(proxy)
        proxy.tell("capture", "on", "--lan", LINK)
        return proxy

    yield begin
    for proxy in proxies:
        proxy.tell("capture", "off")


# --- a browser ---


@pytest.mark.once
@pytest.mark.parametrize("where", ["device", "router"])
def test_chromium_without_any_setting(lab, web, house, captured, tmp_path, where):
    """Forty resources of one page come over both lines, and nothing by the default route."""
    proxy = captured("--policy", "round_robin")
    machine = house.devices[0] if where == "device" else house.router
    before, past = lab.received(), Sniffer("wan1", tmp_path / "wan1.pcap", "tcp[tcpflags] & tcp-syn != 0 or port 53")
    try:
        show(put_page(web), tmp_path, "--no-proxy-server", by=machine.run)
    finally:
        past.stop()
    proxy.settled()
    lines = [line for line in proxy.connections() if line["host"] == "web4.test" and line["port"] == 80]
    assert {line["proto"] for line in lines} == {"transparent"}, "the name was seen in the requests"
    check_shares(lines, (lab.wan2, lab.wan3), before)
    assert not past.packets() and house.past() == 0


# --- questions ---


@pytest.mark.parametrize("servers", [NAMES4, pytest.param(NAMES6, marks=pytest.mark.once)], ids=["4", "6"])
def test_dig(house, lab, captured, names, servers):
    """Whichever server it is told, and by both families, the name server of the chosen uplink answers."""
    need("dig", package="bind9-dnsutils")
    captured("--policy", "round_robin", by=("wan2",), dns=servers)
    names.forget()
    for machine in (*house.devices[:2], house.router):
        for server in (FOREIGN4, FOREIGN6, *([HOME4] if machine is not house.router else [])):
            for kind, address in (("A", WEB4), ("AAAA", WEB6)):
                said = machine.run("dig", "+short", "+tries=1", "+timeout=20", f"@{server}", "web.test", kind).ok()
                assert said.text.split() == [address], f"{server}: {said}"
    assert {asker for _, _, asker in names.asked} == {lab.wan2.addr4 if servers == NAMES4 else lab.wan2.addr6}


@pytest.fixture
def dnsmasq(lab, tmp_path):
    """A real name server, which is the uplink's."""
    need("dig", package="bind9-dnsutils")
    program = unpacked.find("dnsmasq")
    if not program:
        pytest.skip("dnsmasq is missing (package dnsmasq-base)")
    server = Dnsmasq(program, lab.internet, MORE4, (OPEN4, OPEN6), tmp_path / "dnsmasq.log")
    yield server
    server.close()


def dig(machine, server, *words):
    return machine.run("dig", "+short", "+tries=1", "+timeout=20", f"@{server}", *words).ok().text.splitlines()


def check_dig(machine, server):
    """By TCP from the beginning, and by TCP after an answer that was cut short."""
    for kind, address in (("A", OPEN4), ("AAAA", OPEN6)):
        for how in ("+notcp", "+tcp"):
            assert dig(machine, server, how, NAME, kind) == [address], f"{server} {how}"
    lines = dig(machine, server, BIG, "TXT")
    assert len([line for line in lines if len(line) > 200]) == RECORDS, lines


def test_dig_by_tcp(house, lab, captured, dnsmasq):
    captured("--policy", "round_robin", by=("wan2",), dns=MORE4)
    for machine in (house.devices[0], house.router):
        for server in (FOREIGN4, FOREIGN6, *([HOME4] if machine is not house.router else [])):
            check_dig(machine, server)
    assert {client for _, _, client in dnsmasq.asked()} == {lab.wan2.addr4}
    assert dnsmasq.asked().count(("TXT", BIG, lab.wan2.addr4)) == 2 * 5, "by UDP, and again by TCP"


def test_dig_by_a_parent_proxy(house, lab, start, captured, dnsmasq):
    """The household's own resolver is not asked for on the internet."""
    far = start("--host", OPEN4, "--allow", "0.0.0.0/0", "--allow-own-addresses", OPEN4, prefix=lab.internet.wrap([]))
    captured(by=(f"socks5://{OPEN4}:{far.port}",), dns=MORE4)
    for machine in (house.devices[0], house.router):
        check_dig(machine, "10.9.9.9")
    assert all(client.startswith("198.51.100.") for _, _, client in dnsmasq.asked()), dnsmasq.asked()
    far.stop()
    assert {line["host"] for line in far.connections()} == {MORE4}


# --- STUN ---


@pytest.mark.parametrize("where", ["device", "router"])
def test_a_captured_stun_tester_sees_one_public_address(lab, house, captured, stun, where):
    captured("--policy", "round_robin")
    machine = house.devices[0] if where == "device" else house.router
    seen = {}
    for _ in range(4):
        with machine.datagrams() as s:
            s.settimeout(MOST_S)
            kind, found = by_socket(s).mapping(stun.ends)
            assert kind == "endpoint-independent", found
            (seen[s.getsockname()],) = set(found.values())
    assert {lab.uplink_of(address) for address, _ in seen.values()} == {"wan2", "wan3"}


def test_a_captured_stun_client_of_coturn(lab, house, captured, stun):
    client = unpacked.find("turnutils_stunclient")
    if not client:
        pytest.skip("turnutils_stunclient is missing (package coturn)")
    stun.tells_other = False
    captured("--policy", "round_robin", by=("wan3",))
    for server in (OPEN4, MORE4):
        said = house.devices[1].run(client, server, env=unpacked.env(client))
        assert f"UDP reflexive addr: {lab.wan3.addr4}:" in said.text + said.err.decode(), f"{said}"


# --- a tunnel ---


class WireGuard:
    """One end of a tunnel in user space: kernels of test machines have no module for it."""

    def __init__(self, netns, name, address, folder):
        self.netns, self.name, self.address = netns, name, address
        self.key_path = folder / f"{name}.key"
        self.key_path.write_bytes(run("wg", "genkey").ok().out)
        self.public = run("sh", "-c", f"wg pubkey <{self.key_path}").ok().text.strip()
        self.log_path = folder / f"{name}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(netns.wrap(["wireguard-go", "-f", name]), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._answers, f"wireguard-go answers for {name}")

    def _answers(self):
        assert self.process.poll() is None, self.log_path.read_text()
        return self.netns.run("wg", "show", self.name).code == 0

    def join(self, other, *settings):
        """Accept the other end, and route what is allowed to it."""
        allowed = settings[settings.index("allowed-ips") + 1]
        self.netns.run("wg", "set", self.name, "private-key", self.key_path, "peer", other.public, *settings).ok()
        self.netns.sh(f"ip address add {self.address}/32 dev {self.name}")
        self.netns.sh(f"ip link set {self.name} up mtu 1400")
        for place in allowed.split(","):
            self.netns.sh(f"ip route add {place} dev {self.name}")

    def port(self):
        return int(self.netns.run("wg", "show", self.name, "listen-port").ok().text)


@pytest.fixture
def wireguard(tmp_path):
    """Makes ends of tunnels: wireguard(netns, name, address)."""
    for program, package in (("wireguard-go", "wireguard-go"), ("wg", "wireguard-tools")):
        need(program, package=package)
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("/dev/net/tun is missing")
    ends = []

    def make(netns, name, address):
        ends.append(WireGuard(netns, name, address, tmp_path))
        return ends[-1]

    yield make
    for tunnel_end in ends:
        end(tunnel_end.process)


@pytest.mark.once
def test_a_wireguard_tunnel_through_a_forward(lab, web, start, house, wireguard, first):
    """It carries TCP of a device to the web server, and outlives the line that it began on."""
    content = pattern(2 << 20)
    web.put("some.txt", content)
    far, device = wireguard(lab.internet, "wgfar", "10.99.0.1"), house.devices[0]
    near = wireguard(device.netns, "wgnear", "10.99.0.2")
    far.join(near, "allowed-ips", "10.99.0.2/32")
    proxy = start("--forward", f"udp:{HOME4}:0={OPEN4}:{far.port()}", "--policy", first("wan2", "wan3"), "wan2", "wan3")
    at = "{}:{}".format(*proxy.addresses[-1])
    near.join(far, "endpoint", at, "persistent-keepalive", "1", "allowed-ips", f"10.99.0.1/32,{WEB4}/32")
    begun = lab.tcp_begun()

    def tunnelled():
        return device.netns.run("curl", "-s", "-m", "2", f"http://{WEB4}/whoami").text.strip() == near.address

    wait_for(tunnelled, "an answer by the tunnel", MOST_S)
    got = device.netns.run("curl", "-s", "-S", "-m", "50", f"http://{WEB4}/some.txt").ok()
    assert got.out == content
    assert lab.uplink_of(lab.internet.run("wg", "show", "wgfar", "endpoints").text.split()[1].rpartition(":")[0]) == "wan2"
    lab.wan2.lose_carrier()
    wait_for(lambda: proxy.events("uplink_down", uplink="wan2"), "it is noticed")
    wait_for(tunnelled, "an answer by the tunnel", MOST_S)
    assert lab.uplink_of(lab.internet.run("wg", "show", "wgfar", "endpoints").text.split()[1].rpartition(":")[0]) == "wan3"
    assert lab.tcp_begun() == begun, "by datagrams alone"
