"""Mappings: by which uplink the datagrams of a client's port leave, what moves them, and what does not."""

import contextlib
import time

import pytest

from lab.origin import echo
from lab.run import WAIT_S, wait_for
from lab.stun import by_association
from lab.socks import socks5_connect
from lab.topology import MORE4, NAMES4, OPEN4, WEB4
from lab.udp import Association, reflect, sink, whoami

MOST_S = 60  # for what takes some seconds on a machine at rest
NEVER_S = "600"  # between checks that are not asked for


@pytest.fixture
def checked(origin):
    """The server that checks of uplinks ask."""
    return f"{OPEN4}:{origin(echo).port}"


@pytest.fixture
def tell(datagrams):
    return datagrams(whoami)


def state(proxy, name):
    return next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == name)["state"]


class Seen:
    """Where a server on the internet sees a port of the client, asked again and again; datagrams may be lost."""

    def __init__(self, a, server, s=None):
        self.a, self.server, self.s, self.n = a, server, s or a.s, 0

    def ask(self, wait_s=0.2):
        """(address, port), or None without an answer."""
        self.n += 1
        self.s.settimeout(wait_s)
        self.a.send(b"%d" % self.n, self.server.address, self.server.port, self.s)
        try:
            while True:
                address, port, n = self.a.receive(self.s)[0].decode().split()
                if int(n) == self.n:
                    return address, int(port)
        except TimeoutError:
            return None

    def now(self):
        return wait_for(self.ask, "an answer", MOST_S)


def all_move(lab, seen, to, since):
    """Ask until all are seen at that uplink. Returns the seconds that it took."""

    def moved():
        found = [s.ask(0.05) for s in seen]
        return all(f and lab.uplink_of(f[0]) == to for f in found)

    wait_for(moved, f"all mappings at {to}", MOST_S, every=0.05)
    return time.monotonic() - since


# --- one public address ---------------------------------------------------------------------------------------


def test_a_stun_tester_sees_one_address_on_every_probe(start, lab, stun, tell):
    proxy = start("--policy", "round_robin", "wan1", "wan2")
    with Association(proxy) as a, Association(proxy) as b:
        testers = {s: by_association(x, s) for x in (a, b) for s in (x.s, x.socket(), x.socket())}
        first = {}
        for s, tester in testers.items():
            kind, seen = tester.mapping(stun.ends)
            assert kind == "endpoint-independent", seen
            (first[s],) = set(seen.values())
        assert len(set(first.values())) == len(first), "each port of the client has a mapping of its own"
        assert {lab.uplink_of(address) for address, _ in first.values()} == {"wan1", "wan2"}
        for s, tester in testers.items():
            assert tester.mapping(stun.ends[::-1]) == ("endpoint-independent", {end: first[s] for end in stun.ends})


@pytest.mark.parametrize("dies", ["down", "lose_carrier_and_wait", "remove"])
def test_and_again_after_the_other_uplink_died(start, lab, stun, first, dies):
    proxy = start("--policy", first("wan1"), "wan1", "wan2")
    with Association(proxy) as a:
        tester = by_association(a)
        kind, before = tester.mapping(stun.ends)
        assert kind == "endpoint-independent" and {lab.uplink_of(address) for address, _ in before.values()} == {"wan1"}
        getattr(lab.wan2, dies)()
        proxy.wait_event("uplink_down", uplink="wan2")
        assert tester.mapping(stun.ends) == (kind, before)
        lab.wan2.restore()
        proxy.wait_event("uplink_up", uplink="wan2")
        assert tester.mapping(stun.ends) == (kind, before)


# --- an uplink dies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dies", ["down", "lose_carrier", "lose_addresses", "remove"])
def test_a_mapping_moves_when_its_uplink_goes_down(start, lab, tell, stun, first, dies):
    proxy = start("--policy", first("wan1"), "wan1", "wan2")
    with Association(proxy) as a:
        seen = Seen(a, tell)
        assert lab.uplink_of(seen.now()[0]) == "wan1"
        getattr(lab.wan1, dies)()
        all_move(lab, [seen], "wan2", time.monotonic())
        a.s.settimeout(WAIT_S)
        kind, there = by_association(a).mapping(stun.ends)
        assert kind == "endpoint-independent" and lab.uplink_of(next(iter(there.values()))[0]) == "wan2"
        lab.wan1.restore()
        proxy.wait_event("uplink_up", uplink="wan1")
        assert by_association(a).mapping(stun.ends) == (kind, there), "it stays when the old uplink is back"


def test_mappings_leave_a_line_that_is_cut_silently(start, lab, tell, first, checked):
    """No link event tells of it, no TCP traffic, and no check is due. A check brings it back, without any traffic."""
    proxy = start("--check-interval", NEVER_S, "--policy", first("wan1"), "wan1", "wan2", check=checked)
    with Association(proxy) as a, Association(proxy) as b:
        seen = [Seen(x, tell, s) for x in (a, b) for s in (x.s, x.socket())]
        assert {lab.uplink_of(s.now()[0]) for s in seen} == {"wan1"}
        lab.wan1.swallow()
        took = all_move(lab, seen, "wan2", time.monotonic())
        print(f"moved after {took:.1f} s")
        assert state(proxy, "wan1") != "up"
        assert len(proxy.events("connection", outcome="cut")) == len(seen), "none came back to it meanwhile"
        lab.wan1.restore()
        proxy.wait_event("uplink_answers", uplink="wan1")
        assert lab.uplink_of(Seen(a, tell, a.socket()).now()[0]) == "wan1"


def test_a_line_that_nothing_checks_is_tried_again(start, lab, tell, datagrams, origin, first):
    """A question for a name tries it, and soon goes elsewhere if the line is still dead. A game comes later."""
    quick = datagrams(whoami, ports=[443])
    proxy = start("--debug", "--policy", first("wan1"), "wan1", "wan2", check="none")
    lab.wan1.swallow()
    server = origin(echo)
    for _ in range(3):
        socks5_connect(proxy, OPEN4, server.port).close()
    wait_for(lambda: state(proxy, "wan1") == "suspect", "races show that it is silent")
    with Association(proxy) as a:
        games, tries = [], []

        def tries_wan1():
            games.append(Seen(a, tell, a.socket()).ask(WAIT_S))
            tries.append(Seen(a, quick, a.socket()))
            tries[-1].ask()
            return proxy.events("picked", port=quick.port, uplink="wan1")

        wait_for(tries_wan1, "a question tries it", MOST_S, every=0.2)
        all_move(lab, tries[-1:], "wan2", time.monotonic())
        tried = proxy.wait_event("connection", port=quick.port, uplink="wan1")
        assert tried["duration"] < 7, "other mappings wait for longer"
        assert {lab.uplink_of(game[0]) for game in games} == {"wan2"}
        lab.wan1.restore()
        wait_for(lambda: tries_wan1() and state(proxy, "wan1") == "up", "it is tried again", MOST_S, every=0.2)
        assert lab.uplink_of(Seen(a, tell, a.socket()).now()[0]) == "wan1"
    proxy.wait_event("uplink_answers", uplink="wan1")


def answered_once(_, s, data, client):
    if data == b"0":
        s.sendto(data, client)


@pytest.mark.once
@pytest.mark.parametrize("round_trip", [0, 700])
def test_one_way_traffic_condemns_no_line(start, lab, slow, datagrams, first, checked, round_trip):
    """Several mappings send for a while, and the line answers nothing but its checks, if there are any. Nor are those
    condemned that were answered at first, as a stream is. The line may be slow."""
    if round_trip:
        slow(lab.wan1, round_trip=round_trip, jitter=200, buffer=300)
    quiet, stream = datagrams(sink), datagrams(answered_once)
    args = ("--check-interval", NEVER_S, "--policy", first("wan1"), "wan1", "wan2")
    unchecked, proxies = start(*args), [start(*args, check=checked) for _ in range(2)]
    servers = dict(zip((unchecked, *proxies), (quiet, quiet, stream)))
    with contextlib.ExitStack() as stack:
        clients = []
        for proxy, server in servers.items():
            for a in (stack.enter_context(Association(proxy)), stack.enter_context(Association(proxy))):
                clients += [(a, s, server) for s in (a.s, a.socket())]
        until, n = time.monotonic() + 9, 0
        while time.monotonic() < until:
            for a, s, server in clients:
                a.send(b"%d" % n, server.address, server.port, s)
            n += 1
            quiet.wait_seen(n * 8)
            stream.wait_seen(n * 4)
            time.sleep(0.05)
        seen = quiet.clients() | stream.clients()
        assert {lab.uplink_of(address) for address, _ in seen} == {"wan1"}
        assert len(seen) == len(clients), "no mapping has moved"
    for proxy in servers:
        wait_for(lambda p=proxy: state(p, "wan1") == "up", "its check was answered")
        assert not proxy.events("uplink_down")
    assert not unchecked.events("uplink_silent")


def test_a_mapping_stays_where_its_association_began(start, lab, tell, first):
    """Another uplink would be picked now; only the loss of its own moves a mapping."""
    proxy = start("--policy", first("wan1"), "wan1", "wan2")
    with Association(proxy) as a:
        before = Seen(a, tell).now()
        proxy.tell("drain", "wan1")
        assert Seen(a, tell).now() == before
        assert lab.uplink_of(Seen(a, tell, a.socket()).now()[0]) == "wan2"


# --- how many mappings ----------------------------------------------------------------------------------------


def test_questions_for_names_are_spread_by_destination(start, lab, datagrams):
    """A household that asks four name servers by one port: each is a mapping of its own."""
    servers = [datagrams(reflect, addresses=[address], ports=[port]) for address in (OPEN4, MORE4, WEB4) for port in (53, 443)]
    proxy = start("--policy", "round_robin", "wan1", "wan2", dns=NAMES4)
    with Association(proxy) as a:
        for n in range(12):
            for server in servers:
                assert a.ask(b"%d" % n, server.address, server.port) == b"%d" % n
    for server in servers:
        assert len(server.clients()) == 1, "a destination sees one address"
    assert {lab.uplink_of(address) for server in servers for address, _ in server.clients()} == {"wan1", "wan2"}
    assert len({client for server in servers for client in server.clients()}) == len(servers)


PER = """return { name = "per", new = function()
  local n = 0
  return { pick = function(_, uplinks)
    n = n + 1
    return uplinks[n %% #uplinks + 1], "in turns", %s
  end }
end }
"""


@pytest.mark.parametrize(("says", "mappings"), [('{ per = "destination" }', 4), ("nil", 1)])
def test_a_policy_asks_for_a_mapping_for_each_destination(start, lab, stun, tmp_path, says, mappings):
    policy = tmp_path / "per.lua"
    policy.write_text(PER % says)
    proxy = start("--policy", policy, "wan1", "wan2")
    with Association(proxy) as a:
        kind, seen = by_association(a).mapping(stun.ends)
        assert len(set(seen.values())) == mappings, (kind, seen)
        assert kind == ("endpoint-independent" if mappings == 1 else "address and port-dependent")


def test_a_policy_hears_of_datagrams(start, datagrams, tmp_path):
    policy = tmp_path / "protos.lua"
    policy.write_text("""return { name = "protos", new = function()
  return { pick = function(conn, uplinks)
    for _, u in ipairs(uplinks) do
      if u.name == (conn.proto == "udp" and conn.host == "open.test" and "wan2" or "wan1") then return u end
    end
  end }
end }
""")
    server = datagrams(whoami)
    with Association(start("--policy", policy, "wan1", "wan2")) as a:
        for s, host, uplink in ((a.s, "open.test", "10.0.2.2"), (a.socket(), OPEN4, "10.0.1.2")):
            assert a.ask(b"x", host, server.port, s).split()[0].decode() == uplink
            assert a.ask(b"x", OPEN4, server.port, s).split()[0].decode() == uplink, "the first destination decides"
