"""A household whose devices know no proxy: `steerway capture on --lan` gives them, and the router itself, both uplinks.

The kernel's default route leads by wan1, which is not one of the proxy's uplinks. So whatever passes by the proxy leaves
by wan1, and the packets captured there show it."""

import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.household import BRIDGE_HOOKS, FOREIGN4, FOREIGN6, HOME4, HOME6, LINK
from lab.http import response
from lab.origin import echo, read_head
from lab.run import wait_for
from lab.sniffer import Sniffer
from lab.topology import MORE4, MORE6, NAMES4, OPEN4, OPEN6, WEB4, WEB6
from lab.udp import whoami

MOST_S = 60  # for what takes some seconds on a machine at rest
FILMS, WORK = "wan2", "wan3"
POLICY = """local rules = require "steerway.rules"
return { name = "house", new = function(ctx)
  return { pick = rules(ctx, {
    { domains = { "films.test", "games.test" }, to = "wan2", reason = "films" },
    { domains = "work.test", to = "wan3", reason = "work" },
    { ports = 53, to = "wan2", reason = "question" },
  }, function(_, uplinks) return uplinks[#uplinks] end) }
end }
"""
_ENDS = re.compile(r"^\S+ IP6? (\S+)\.(\d+) > (\S+)\.(\d+): (.*)$")


class Links:
    """The packets of each link of the household."""

    def __init__(self, lab, folder):
        self.own = {a for u in lab.uplinks for a in (u.addr4, u.addr6)}
        self.sniffers = {u.name: Sniffer(u.name, folder / f"{u.name}.pcap", "tcp or udp") for u in lab.uplinks}

    def stop(self):
        for sniffer in self.sniffers.values():
            sniffer.stop()

    def packets(self, link):
        """(far address, what it is, the line) of each packet of connections that began here. Resets are left out: the
        kernel sends them by the default route when packets arrive for a closed connection."""
        begun, found = set(), []
        for text in self.sniffers[link].packets():
            match = _ENDS.match(text)
            assert match, text
            source, source_port, to, to_port, what = match.groups()
            ends = frozenset(((source, source_port), (to, to_port)))
            if "Flags" in what:
                if "Flags [S" in what:
                    begun.add(ends)
                if ends not in begun or "Flags [R" in what:
                    continue
            far = (to, to_port) if source in self.own else (source, source_port)
            kind = "question" if far[1] == "53" else "tcp" if "Flags" in what else "udp"
            found.append((far[0], kind, text))
        return found

    def strangers(self, link, *allowed):
        """Packets from or to others than these."""
        return [text for far, _, text in self.packets(link) if far not in allowed]

    def kinds(self, link):
        """{(what, IP version)}"""
        return {(kind, 6 if ":" in far else 4) for far, kind, _ in self.packets(link)}


@pytest.fixture
def links(lab, tmp_path):
    opened = Links(lab, tmp_path)
    yield opened
    opened.stop()


def tell_peer(s):
    read_head(s)
    s.sendall(response(200, s.getpeername()[0].encode()))


@pytest.fixture
def places(names, origin, datagrams):
    """Servers with names: films (nginx) and games for one line, work for the other; each by TCP or UDP, IPv4 and IPv6."""
    names.zone |= {"films.test": [WEB4, WEB6], "games.test": [MORE4, MORE6], "work.test": [OPEN4, OPEN6]}

    class Places:
        work = {4: origin(tell_peer), 6: origin(tell_peer, address=OPEN6)}
        games = {4: datagrams(whoami, addresses=(MORE4,)), 6: datagrams(whoami, addresses=(MORE6,))}
        calls = {4: datagrams(whoami, addresses=(OPEN4,)), 6: datagrams(whoami, addresses=(OPEN6,))}
        checked = f"{OPEN4}:{origin(echo).port}"

    return Places


@pytest.fixture
def captured(house, start, places, tmp_path):
    """captured(…) starts a proxy for wan2 and wan3, and captures everybody as a user would."""
    policy, proxies = tmp_path / "house.lua", []
    policy.write_text(POLICY)

    def begin(*options, check=None):
        proxy = start("--transparent", "tproxy:localhost:0", "--policy", policy, *options, "wan2", "wan3", check=check or places.checked)
        proxies.append(proxy)
        proxy.tell("capture", "on", "--lan", LINK)
        return proxy

    yield begin
    for proxy in proxies:
        proxy.tell("capture", "off")


def ask(lab, s, server, timeout=0.2):
    """The uplink by which a server sees this socket, or None without an answer."""
    mark = str(time.monotonic_ns())
    s.settimeout(timeout)
    s.sendto(mark.encode(), (server.address, server.port))
    try:
        while True:
            answer, sender = s.recvfrom(2048)
            address, _, mine = answer.decode().split()
            if mine == mark:
                assert sender[:2] == (server.address, server.port), sender
                return lab.uplink_of(address)
    except TimeoutError:
        return None


def seen(lab, s, server):
    return wait_for(lambda: ask(lab, s, server), "an answer", MOST_S)


def by_tcp(lab, places, machine):
    """Web pages of both lines, by name and in both families."""
    for family in (4, 6):
        assert lab.uplink_of(machine.fetch("http://films.test/whoami", f"-{family}")) == FILMS
        assert lab.uplink_of(machine.fetch(f"http://work.test:{places.work[family].port}/", f"-{family}")) == WORK


def by_udp(lab, places, machine):
    """Datagrams to servers whose names were asked for: nothing else tells which line they are for."""
    for family, resolver in ((4, FOREIGN4), (6, FOREIGN6)):
        machine.resolver = resolver
        for name, server, line in (("games.test", places.games[family], FILMS), ("work.test", places.calls[family], WORK)):
            assert machine.lookup(name, family) == server.address
            with machine.datagrams(family) as s:
                assert {seen(lab, s, server) for _ in range(3)} == {line}


def by_dns(house, machine):
    """Questions to the router, which has no name server, and to addresses where nobody is."""
    for resolver in (HOME4, HOME6, FOREIGN4, FOREIGN6) if machine is not house.router else (FOREIGN4, FOREIGN6):
        machine.resolver = resolver
        assert (machine.lookup("films.test"), machine.lookup("films.test", 6)) == (WEB4, WEB6), resolver
        assert machine.lookup("nobody.test") is None
        if shutil.which("dig"):
            short = machine.run("dig", "+short", "+tries=1", "+timeout=20", f"@{resolver}", "work.test", "AAAA").ok()
            assert short.text.split() == [OPEN6], resolver


def test_unconfigured_devices_use_both_lines(lab, house, captured, places, links, names):
    """And the router's own programs. TCP, UDP and names in both families; each packet leaves by the line chosen for it."""
    proxy = captured("--hedge", "0")
    machines = [*house.devices, house.router]
    with ThreadPoolExecutor(len(machines)) as pool:
        for work in [pool.submit(lambda m: (by_tcp(lab, places, m), by_udp(lab, places, m), by_dns(house, m)), m) for m in machines]:
            work.result()
    clients = {line["client"].rpartition(":")[0].strip("[]") for line in proxy.events("connection")}
    assert clients >= {a for d in house.devices for a in (d.addr4, d.addr6)}
    links.stop()
    assert not links.strangers("wan1"), "nothing went past the proxy"
    assert house.past() == 0
    assert not links.strangers("wan2", WEB4, WEB6, MORE4, MORE6, NAMES4, OPEN4)
    assert {far for far, kind, _ in links.packets("wan2") if far == OPEN4 and kind == "udp"} == set()
    assert not links.strangers("wan3", OPEN4, OPEN6)
    assert links.kinds("wan2") == {("tcp", 4), ("tcp", 6), ("udp", 4), ("udp", 6), ("question", 4)}
    assert links.kinds("wan3") == {("tcp", 4), ("tcp", 6), ("udp", 4), ("udp", 6)}
    assert {asker for _, _, asker in names.asked} == {lab.wan2.addr4}


def test_without_capture_they_go_by_the_default_route(lab, house, captured, links):
    """Packets that pass by the proxy are seen: otherwise the other tests would show nothing."""
    proxy = captured("--hedge", "0")
    machines = [house.devices[0], house.router]
    assert {house.route_of(m, family) for m in machines for family in (4, 6)} == {"wan3"}
    assert house.past() == 0
    proxy.tell("capture", "off")
    assert {house.route_of(m, family) for m in machines for family in (4, 6)} == {"wan1"}
    links.stop()
    assert links.kinds("wan1") == {("tcp", 4), ("tcp", 6)} and len(links.strangers("wan1")) > 20
    assert house.past() > 10


@pytest.mark.parametrize("dies", [pytest.param("swallow", marks=pytest.mark.once), "lose_carrier"])
def test_a_line_dies_and_the_household_goes_on(lab, house, captured, places, links, names, dies):
    """New connections, flows of datagrams that exist already, and questions; those of the other line are not touched."""
    captured()
    one, two, _ = house.devices
    with one.datagrams() as game, one.datagrams(6) as game6, two.datagrams() as call, house.router.datagrams() as own:
        one.lookup("games.test"), house.router.lookup("games.test"), two.lookup("work.test")
        one.resolver = FOREIGN6
        one.lookup("games.test", 6)
        flows = [(game, places.games[4]), (game6, places.games[6]), (own, places.games[4])]
        assert {seen(lab, s, server) for s, server in flows} == {FILMS} and seen(lab, call, places.calls[4]) == WORK
        call_at = places.calls[4].clients()
        getattr(lab.wan2, dies)()
        for machine, address in ((two, WEB4), (house.router, WEB4), (two, f"[{WEB6}]")):
            assert lab.uplink_of(machine.fetch(f"http://{address}/whoami", "-H", "Host: films.test")) == WORK
        wait_for(lambda: all([ask(lab, s, server, 0.1) == WORK for s, server in flows]), f"datagrams go by {WORK}", MOST_S, every=0.05)
        for machine in (two, house.router):
            assert lab.uplink_of(machine.fetch("http://films.test/whoami")) == WORK
        assert seen(lab, call, places.calls[4]) == WORK and places.calls[4].clients() == call_at, "its address is the same"
        by_both = [house.route_of(m, family) for m in (*house.devices, house.router) for family in (4, 6)]
        assert set(by_both) == {WORK}
        names.forget()
        assert one.lookup("work.test", 6) == OPEN6 and {asker for _, _, asker in names.asked} == {lab.wan3.addr4}
    links.stop()
    assert not links.strangers("wan1") and house.past() == 0


@pytest.mark.once
def test_questions_alone_leave_a_line_that_is_cut_silently(lab, house, captured, names):
    """A device that has just woken up asks for a name first, and sends nothing else. No check is due."""
    captured("--check-interval", "600")
    device = house.devices[0]
    device.patience = "timeout:5"  # libc's own
    assert device.lookup("films.test") == WEB4
    lab.wan2.swallow()
    wait_for(lambda: device.lookup("films.test") == WEB4, "its questions are answered again", MOST_S)
    assert {asker for _, _, asker in names.asked} == {lab.wan2.addr4, lab.wan3.addr4}


def test_a_bridge_whose_packets_the_rules_see_too_early(lab, house, start):
    """Else all that the devices send would be lost."""
    proxy = start("--transparent", "tproxy:localhost:0", "wan2", "wan3")
    for hook in BRIDGE_HOOKS:
        if not lab.home.sysctl(hook, 1):
            pytest.skip("br_netfilter is not loaded")
        try:
            assert "captured packets of a bridge would be lost" in proxy.tell("capture", "on", "--lan", LINK, code=1)
            assert house.route_of(house.devices[0]) == "wan1"
            proxy.tell("capture", "on", "--lan", "lan0")  # which is not a bridge
            proxy.tell("capture", "off")
        finally:
            lab.home.sysctl(hook, 0)
