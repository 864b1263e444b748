"""Which of its addresses an uplink sends from, as the far side sees it: for connections, checks and name queries."""

import json

import pytest

from lab.clients import curl_by
from lab.http import HttpOrigin, response
from lab.netns import Netns, wait_for_carrier
from lab.origin import read_all
from lab.proxy import BINARY, UNRACED
from lab.run import SOON_S, run, sh, wait_for
from lab.socks import socks5_connect
from lab.topology import MORE4, NAMES4, OPEN4, OPEN6


@pytest.fixture
def mirror(origin):
    """Answers each client with the client's address."""
    return lambda address=OPEN4: origin(lambda s: s.sendall(s.getpeername()[0].encode()), address=address)


def seen_by(far, proxy):
    with socks5_connect(proxy, far.address, far.port) as tunnel:
        return read_all(tunnel.s).decode()


@pytest.fixture
def second_network(lab):
    """A modem's management network, whose address the kernel lists first."""
    sh(f"ip address delete {lab.wan1.addr4}/24 dev wan1")
    sh("ip address add 192.168.50.2/24 dev wan1")
    sh(f"ip address add {lab.wan1.addr4}/24 dev wan1")
    sh(f"ip route replace default via {lab.wan1.gateway4} dev wan1 metric 100")
    yield
    sh("ip address delete 192.168.50.2/24 dev wan1")
    lab.wan1.restore()


def test_a_second_network_that_is_listed_first(start, lab, web, names, second_network, origin):
    checked = HttpOrigin(origin, lambda *_: response(204, phrase="No Content"))
    proxy = start("wan1", "--check-interval", "1", check=f"http://{OPEN4}:{checked.port}/")
    wait_for(lambda: checked.peers, "a check comes")
    assert curl_by("socks5h", proxy, host="web4.test").ok().text.strip() == lab.wan1.addr4
    assert set(checked.peers) == {lab.wan1.addr4}
    assert {client for _, _, client in names.asked if "." in client} == {lab.wan1.addr4}
    assert proxy.ask("uplinks")["uplinks"][0]["ipv4"] == lab.wan1.addr4


def test_the_doctor_sees_the_same(lab, second_network, origin):
    far = HttpOrigin(origin, lambda _, s: response(200, s.getpeername()[0].encode()))
    r = run(BINARY, "doctor", "--json", "--check", "none", "--dns", NAMES4, "--public-address", f"http://{OPEN4}:{far.port}/", "wan1")
    facts = json.loads(r.ok().text)["uplinks"][0]["facts"]
    assert facts["address"].split(", ")[0] == facts["public address"] == lab.wan1.addr4


def test_the_source_of_a_route_is_heeded_as_soon_as_it_changes(start, lab, mirror):
    far = mirror()
    sh("ip address add 10.0.1.77/24 dev wan1")
    proxy = start("wan1")
    try:
        assert seen_by(far, proxy) == lab.wan1.addr4
        sh(f"ip route replace default via {lab.wan1.gateway4} dev wan1 metric 100 src 10.0.1.77")
        wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["ipv4"] == "10.0.1.77", "the route's change is heard of", SOON_S)
        assert seen_by(far, proxy) == "10.0.1.77"
    finally:
        sh(f"ip route replace default via {lab.wan1.gateway4} dev wan1 metric 100")
        lab.wan1.restore()


def test_each_destination_has_the_source_of_its_own_route(start, lab, mirror):
    """From the first connection on: the kernel chooses, so no route event is needed."""
    by_default, by_its_own = mirror(), mirror(MORE4)
    sh("ip address add 10.0.1.77/24 dev wan1")
    proxy = start("wan1")
    sh(f"ip route add {MORE4} via {lab.wan1.gateway4} dev wan1 src 10.0.1.77")
    try:
        assert seen_by(by_default, proxy) == lab.wan1.addr4
        assert seen_by(by_its_own, proxy) == "10.0.1.77"
    finally:
        sh(f"ip route del {MORE4} dev wan1")
        lab.wan1.broken = True


def test_temporary_addresses(start, lab, mirror, config):
    far = mirror(OPEN6)
    how = "net.ipv6.conf.wan1.use_tempaddr"
    if not lab.home.sysctl(how, 2):
        pytest.skip("this kernel knows no temporary addresses")
    try:
        lab.home.sysctl("net.ipv6.conf.wan1.accept_dad", 0)
        sh(f"ip -6 address change {lab.wan1.addr6}/64 dev wan1 nodad mngtmpaddr valid_lft 86400 preferred_lft 80000")

        def temporary_address():
            shown = json.loads(sh("ip -j -6 address show dev wan1 scope global"))
            ready = [a["local"] for link in shown if link for a in link["addr_info"] if a.get("temporary") and not a.get("tentative")]
            return ready[0] if len(ready) == 1 else None

        temporary = wait_for(temporary_address, "the kernel has made a temporary address, and finished its check for duplicates")
        assert seen_by(far, start("wan1")) == temporary
        assert seen_by(far, start("wan1", "--ipv6-source", "stable")) == lab.wan1.addr6
        lab.home.sysctl(how, 0)
        assert seen_by(far, start("wan1")) == lab.wan1.addr6
        assert seen_by(far, start("wan1", "--ipv6-source", "temporary")) == temporary
        own = config('return { ipv6_source = "temporary", uplinks = { { interface = "wan1", ipv6_source = "stable" } } }')
        assert seen_by(far, start("--config", own)) == lab.wan1.addr6
        own = config('return { uplinks = { { interface = "wan1", ipv6_source = "temporary" } } }')
        assert seen_by(far, start("--config", own)) == temporary
    finally:
        lab.home.sysctl(how, 0)
        sh("ip -6 address flush dev wan1 scope global")
        lab.wan1.restore()


def test_a_deprecated_address_when_there_is_no_other(start, lab, mirror):
    """The kernel alone would take an address of another line, with another provider."""
    far = mirror(OPEN6)
    lab.wan1.broken = True
    sh(f"ip -6 address change {lab.wan1.addr6}/64 dev wan1 nodad preferred_lft 0")
    try:
        assert seen_by(far, start("wan1")) == lab.wan1.addr6
    finally:
        sh(f"ip -6 address change {lab.wan1.addr6}/64 dev wan1 nodad preferred_lft forever")


class Twin:
    """A USB modem with the addresses and MACs of another one of its model."""

    def __init__(self, lab, number):
        self.modem, self.name, self.number, self.internet = Netns(f"modem{number}"), f"usb{number}", number, lab.internet
        self.modem.create()
        assert self.modem.sysctl("net.ipv4.ip_forward", 1)
        self.modem.sysctl("net.ipv4.conf.all.rp_filter", 0)
        sh(f"ip link add {self.name} address 0c:5b:8f:27:9a:64 type veth peer name lan address 0c:5b:8f:27:9a:01 netns {self.modem.name}")
        sh(f"ip link add wan netns {self.modem.name} type veth peer name cell{number} netns {self.internet.name}")
        self.modem.sh("ip address add 192.168.8.1/24 dev lan")
        self.modem.sh(f"ip address add 172.29.{number}.1/24 dev wan")
        self.internet.sh(f"ip address add 172.29.{number}.2/24 dev cell{number}")
        for link in ("lan", "wan"):
            self.modem.sh(f"ip link set {link} up")
        self.internet.sh(f"ip link set cell{number} up")
        self.modem.sh(f"ip route add default via 172.29.{number}.2")
        self.modem.nft("table ip nat {\nchain post { type nat hook postrouting priority 100; oifname wan masquerade; }\n}")
        sh(f"ip link set {self.name} up")
        sh(f"ip address add 192.168.8.100/24 dev {self.name}")
        sh(f"ip route add default via 192.168.8.1 dev {self.name} metric {700 + number}")
        wait_for_carrier(self.name)
        wait_for_carrier("lan", "wan", netns=self.modem)
        wait_for_carrier(f"cell{number}", netns=self.internet)
        self.seen = f"172.29.{number}.1"

    def remove(self):
        self.internet.run("ip", "link", "delete", f"cell{self.number}")
        run("ip", "link", "delete", self.name)
        run("ip", "netns", "delete", self.modem.name)


@pytest.fixture
def twins(lab):
    made = []
    try:
        for number in (1, 2):
            made.append(Twin(lab, number))
        yield made
    finally:
        for twin in made:
            twin.remove()


def test_twin_modems_both_carry(start, web, twins, mirror, names):
    far = mirror()
    proxy = start(*UNRACED, "--policy", "round_robin", "usb1", "usb2")
    assert [seen_by(far, proxy) for _ in range(6)] == [twins[0].seen, twins[1].seen] * 3
    for _ in range(4):
        assert curl_by("socks5h", proxy, host="web4.test").code == 0
    assert {client for name, _, client in names.asked if name == "web4.test"} == {t.seen for t in twins}


@pytest.mark.parametrize("asks", [True, False])
def test_twin_modems_are_two_lines(twins, origin, asks):
    far = HttpOrigin(origin, lambda _, s: response(200, s.getpeername()[0].encode()))
    where = f"http://{OPEN4}:{far.port}/" if asks else "none"
    options = ["--json", "--check", f"{OPEN4}:{far.port}", "--dns", NAMES4, "--public-address", where, "--dial-timeout", "4"]
    answer = json.loads(run(BINARY, "doctor", *options, "usb1", "usb2").ok().text)
    assert answer["findings"] == []
    assert [u["facts"]["router"] for u in answer["uplinks"]] == ["192.168.8.1", "192.168.8.1"]
    assert [u["facts"].get("public address") for u in answer["uplinks"]] == ([t.seen for t in twins] if asks else [None, None])
    by_address = json.loads(run(BINARY, "doctor", *options, "192.168.8.100").text)
    assert [f["id"] for f in by_address["findings"]] == ["address-ambiguous"]
