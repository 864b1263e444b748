"""Options of UDP, and what `status`, `why` and the log tell of it."""

import json
import socket
from contextlib import ExitStack

import pytest

from lab.gateway import Gateway
from lab.run import WAIT_S, sh, wait_for
from lab.socks import request5
from lab.stun import PORTS, by_association
from lab.topology import HOLE4, LAN_CLIENT, LAN_HOME, OPEN4
from lab.udp import ANY, ASSOCIATE, Association, reflect, sink, whoami, wrap


POWERLESS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all", "--ambient-caps=-all")


def free_ports(n):
    """The first of n neighbouring ports that nobody uses."""
    for _ in range(50):
        taken = []
        try:
            for i in range(n):
                taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                taken[-1].bind(("127.0.0.1", taken[0].getsockname()[1] + i if i else 0))
            return taken[0].getsockname()[1]
        except OSError:
            continue
        finally:
            for s in taken:
                s.close()
    pytest.fail("no free ports beside each other")


def dropped(proxy):
    return proxy.ask("status")["udp"]["dropped"]


@pytest.mark.parametrize(("word", "kind"), [("endpoint", "endpoint-independent"), ("address", "address-dependent"),
                                            ("address-port", "address and port-dependent")])
def test_filters(start, stun, word, kind):
    with Association(start("wan1", "--udp-filter", word)) as a:
        assert by_association(a).filtering((OPEN4, PORTS[0])) == kind


def associate(proxy):
    """An association, or None if it is refused."""
    a = Association(proxy)
    if a.code == 0:
        return a
    a.close()
    return None


def test_a_range_of_ports(start, datagrams):
    first, server = free_ports(2), datagrams(reflect)
    proxy = start("wan1", "--udp-ports", f"{first}-{first + 1}")
    with Association(proxy) as a, Association(proxy) as b:
        assert {a.relay[1], b.relay[1]} == {first, first + 1}
        for each in (a, b):
            assert each.ask(b"x", server.address, server.port) == b"x"
        c = Association(proxy)
        c.close()
        assert c.code == 1, "no port is left"
        assert proxy.wait_event("rejected", proto="socks5")["reason"] == "port-in-use"
        a.reset()
        d = wait_for(lambda: associate(proxy), "its port is free again")
        with d:
            assert d.ask(b"x", server.address, server.port) == b"x"


def test_a_range_with_the_port_of_a_forward(start, datagrams):
    first, server = free_ports(2), datagrams(reflect)
    for taken in (0, 1):
        proxy = start("wan1", "--udp-ports", f"{first}-{first + 1}", "--forward", f"udp:127.0.0.1:{first + taken}={OPEN4}:9")
        with Association(proxy) as a:
            assert a.relay[1] == first + 1 - taken
            assert a.ask(b"x", server.address, server.port) == b"x"
        proxy.stop()


@pytest.mark.parametrize("taken", [True, False], ids=["another program has it", "it is for root"])
def test_a_port_that_is_not_to_be_had(start, lab, taken):
    """The log tells why."""
    with lab.home.datagrams("127.0.0.1", 0) as other:
        port = other.getsockname()[1] if taken else 5
        proxy = start("wan1", "--udp-ports", port, prefix=() if taken else POWERLESS)
        a = Association(proxy)
        a.close()
        assert a.code == 1
        assert proxy.wait_event("rejected")["reason"] == ("port-in-use" if taken else "port-not-permitted")


def test_one_port_for_clients_of_several_addresses(start, datagrams):
    server = datagrams(reflect)
    port = free_ports(1)
    proxy = start("wan1", "--udp-ports", port)
    with Association(proxy) as a, Association(proxy, source="127.0.0.2") as b:
        assert a.relay[1] == b.relay[1] == port
        for n in range(5):
            a.send(b"a%d" % n, server.address, server.port)
            b.send(b"b%d" % n, server.address, server.port)
        assert [a.receive()[0] for _ in range(5)] == [b"a%d" % n for n in range(5)]
        assert [b.receive()[0] for _ in range(5)] == [b"b%d" % n for n in range(5)]
        a.reset()
        wait_for(lambda: proxy.ask("status")["udp"]["associations"] == 1, "the first has ended")
        assert b.ask(b"still", server.address, server.port) == b"still"
        a.send(b"too late", server.address, server.port)
        assert b.ask(b"last", server.address, server.port) == b"last"
    assert b"too late" not in [data for data, *_ in server.seen]


def test_one_port_for_clients_of_one_address(start, datagrams):
    """They are told apart by the hinted port. Where none was hinted, the second is refused."""
    server, port = datagrams(reflect), free_ports(1)
    proxy = start("wan1", "--udp-ports", port)
    with Association(proxy, "mine") as a, Association(proxy, "mine") as b:
        assert a.relay[1] == b.relay[1] == port
        assert a.ask(b"a", server.address, server.port) == b"a"
        assert b.ask(b"b", server.address, server.port) == b"b"
        c = Association(proxy, ANY)
        c.close()
        assert c.code != 0
        a.reset()
        wait_for(lambda: proxy.ask("status")["udp"]["associations"] == 1, "the first has ended")
        assert b.ask(b"still", server.address, server.port) == b"still"


def test_a_client_that_floods_a_shared_port_hurts_only_itself(start, lab, datagrams):
    """It sends to more destinations than the port has room for. The others keep theirs, and get new ones."""
    flows_max, step, port = 16384, 1024, free_ports(1)
    server, new = datagrams(whoami), datagrams(reflect)
    proxy = start("wan1", "--udp-ports", port)
    passed = lambda: (u := proxy.ask("status")["udp"])["datagrams"] + sum(u["dropped"].values())
    with Association(proxy) as scanner, Association(proxy, source="127.0.0.2") as other:
        seen = other.ask(b"first", server.address, server.port).split()[:2]
        before = passed()
        for n in range(1, flows_max + 2 * step, step):
            for to in range(n, n + step):
                scanner.send(b"", HOLE4, to)
            wait_for(lambda: passed() >= before + n + step - 1, "the flood was taken", every=0.01)
        assert other.ask(b"x", new.address, new.port) == b"x"
        server.send_to(b"late", (seen[0].decode(), int(seen[1])))
        assert other.receive() == (b"late", server.address, server.port), "it may answer as long as the flow lives"
        assert other.ask(b"again", server.address, server.port).split()[:2] == seen


@pytest.mark.parametrize("hint", [(OPEN4, 53), ("open.test", 53)], ids=["its address", "its name"])
def test_one_port_for_a_client_that_hints_at_the_destination(start, datagrams, hint):
    """Its own port is not known, so another association of its address is refused."""
    server, port = datagrams(reflect), free_ports(1)
    proxy = start("wan1", "--udp-ports", port)
    with Association(proxy, hint) as a:
        for s in (a.s, a.socket()):
            assert a.ask(b"a", server.address, server.port, s) == b"a"
        b = Association(proxy, "mine")
        b.close()
        assert b.code != 0, "the two could be mixed up"


def test_status_lists_where_datagrams_are_taken(start):
    """Forwards from the start on, and the fixed port at each address that a client has associated at."""
    port = free_ports(1)
    proxy = start("--forward", f"udp:127.0.0.1:0={OPEN4}:9", "--udp-ports", port, "wan1")
    forward = "%s:%d" % proxy.addresses[-1]
    status = proxy.ask("status")
    assert status["udp"]["listening"] == [forward] and status["udp"]["ports"] == str(port)
    assert forward not in status["listening"]
    with Association(proxy):
        assert proxy.ask("status")["udp"]["listening"] == [forward, f"127.0.0.1:{port}"]
    assert f"\n  UDP on       {forward}, 127.0.0.1:{port}\n  UDP ports    {port}, for associations\n" in proxy.tell("status")


def test_status_tells_a_range_of_ports(start):
    assert start("--udp-ports", "4000-4100", "wan1").ask("status")["udp"]["ports"] == "4000-4100"
    assert start("wan1").ask("status")["udp"]["ports"] is None


def test_a_datagram_before_the_reply(start, datagrams):
    """A client that knows the port may send at once, and never read the reply."""
    server, port = datagrams(reflect), free_ports(1)
    proxy = start("wan1", "--udp-ports", port)
    with socket.create_connection(proxy.address, timeout=WAIT_S) as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.bind(("127.0.0.1", 0))
        u.settimeout(0.2)
        s.sendall(b"\5\1\0" + request5(*ANY, command=ASSOCIATE))

        def answered():
            u.sendto(wrap(b"early", OPEN4, server.port), ("127.0.0.1", port))
            try:
                return u.recv(100)
            except TimeoutError:
                return None

        assert wait_for(answered, "an answer").endswith(b"early")


def test_an_advertised_address(start, lab, datagrams):
    server = datagrams(reflect)
    proxy = start("wan1", "--udp-advertise", "192.0.2.77")
    with Association(proxy) as a:
        assert a.relay[0] == "192.0.2.77" and a.relay[1] > 0
        a.relay = ("127.0.0.1", a.relay[1])  # what the NAT in front of it does
        assert a.ask(b"x", server.address, server.port) == b"x"


def test_a_cap_of_mappings(start, datagrams):
    """A client may have a part of them. What it has already goes on, and others are served."""
    server = datagrams(reflect)
    proxy = start("wan1", "--udp-mappings", "64")
    with Association(proxy) as a, Association(proxy, source="127.0.0.2") as b:
        assert a.ask(b"first", server.address, server.port) == b"first"
        for s in [a.socket() for _ in range(40)]:
            a.send(b"x", server.address, server.port, s)
        line = proxy.wait_event("datagrams_refused")
        assert line["client"].startswith("127.0.0.1:") and "mappings" in line["reason"], line
        assert b.ask(b"another client", server.address, server.port) == b"another client"
        assert 2 <= proxy.ask("status")["udp"]["mappings"] <= 26
        assert a.ask(b"goes on", server.address, server.port) == b"goes on"


def displaced_by(proxy, flood, quiet, new):
    """A flood takes all 64 mappings. A quiet client keeps its mapping, and new ones get theirs. Returns whose has ended."""
    kept = quiet()
    flood()
    wait_for(lambda: proxy.ask("status")["udp"]["mappings"] >= 64, "all mappings are taken")
    for ask in new:
        assert ask()
    assert quiet() == kept, "another public port"
    return proxy.wait_event("connection", outcome="displaced")["client"].rsplit(":", 1)[0]


def test_many_addresses_of_clients_leave_mappings_to_others(start, datagrams):
    server = datagrams(whoami)
    proxy = start("wan1", "--udp-mappings", "64")
    with ExitStack() as stack:
        greedy = [stack.enter_context(Association(proxy, source=f"127.0.0.{n}")) for n in range(11, 17)]
        quiet, new = (stack.enter_context(Association(proxy, source=f"127.0.0.{n}")) for n in (21, 22))

        def flood():
            for a in greedy:
                for s in [a.socket() for _ in range(15)]:
                    a.send(b"x", server.address, server.port, s)

        one, another = (lambda a=a: a.ask(b"x", server.address, server.port) for a in (quiet, new))
        assert displaced_by(proxy, flood, one, [another]) in {f"127.0.0.{n}" for n in range(11, 17)}


def test_many_addresses_of_a_network_leave_mappings_to_others(start, datagrams):
    """One device may use any number of addresses of its IPv6 network."""
    server, network = datagrams(whoami), "fd79:0:0:1:"
    sh(f"ip -6 route add local {network}:/64 dev lo")
    try:
        proxy = start("wan1", "--udp-mappings", "64", "--allow", f"127.0.0.0/8,::1,{network}:/64",
                      "--forward", f"udp:[::1]:0={server.address}:{server.port}")
        at = proxy.addresses[-1][:2]
        with ExitStack() as stack:

            def client(address):
                s = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
                s.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
                s.bind((address, 0))
                s.settimeout(WAIT_S)
                return s

            def ask(s):
                s.sendto(b"x", at)
                return s.recv(100)

            quiet, new, a = client("::1"), client("::1"), stack.enter_context(Association(proxy))
            crowd = [client(f"{network}:{n:x}") for n in range(1, 91)]
            whose = displaced_by(proxy, lambda: [s.sendto(b"x", at) for s in crowd], lambda: ask(quiet),
                                 [lambda: ask(new), lambda: a.ask(b"x", server.address, server.port)])
            assert whose.startswith(f"[{network}"), whose
    finally:
        sh(f"ip -6 route delete local {network}:/64 dev lo")


def test_what_is_dropped_is_counted(start, lab, datagrams):
    server, quiet = datagrams(reflect), datagrams(sink)
    proxy = start("wan1", "wan2")
    with Association(proxy) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        assert a.ask(b"x", server.address, server.port) == b"x"
        a.send_raw(b"\0\0\0")
        a.send(b"x", server.address, server.port, frag=1)
        a.send(b"x", server.address, server.port, frag=2)
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(wrap(b"x", server.address, server.port), a.relay)
        ((_, *client, _),) = server.seen
        a.ask(b"y", server.address, server.port)
        with lab.internet.datagrams("198.51.100.30", 0) as unasked:
            unasked.sendto(b"unasked", tuple(client))
            a.send(b"x", quiet.address, quiet.port)
            wait_for(lambda: dropped(proxy)["unasked"] == 1, "it is counted")
        a.ask(b"z", server.address, server.port)
        found = dropped(proxy)
        assert (found["malformed"], found["fragment"], found["stranger"], found["unasked"]) == (1, 2, 1, 1), found
        told = proxy.ask("status")["udp"]
        assert (told["associations"], told["mappings"]) == (1, 1) and told["datagrams"] >= 6, told
        assert str(found["fragment"]) in proxy.tell("status")
        a.reset()
        wait_for(lambda: proxy.ask("status")["udp"]["associations"] == 0, "the association has ended")
    wait_for(lambda: proxy.ask("status")["udp"]["mappings"] == 0, "and its mapping")


def test_datagrams_larger_than_the_path_are_dropped_and_counted(start, lab, datagrams):
    """Nothing is fragmented silently: a QUIC client that probes the path finds its limit."""
    server = datagrams(reflect)
    lab.wan1.broken = True
    lab.home.sh("ip link set wan1 mtu 1400")
    try:
        proxy = start("wan1")
        with Association(proxy) as a:
            assert a.ask(b"y" * 1372, server.address, server.port) == b"y" * 1372, "fits exactly"
            a.send(b"n" * 1373, server.address, server.port)
            assert a.ask(b"y", server.address, server.port) == b"y"
        assert dropped(proxy)["too_big"] == 1
        assert [len(data) for data, *_ in server.seen] == [1372, 1]
    finally:
        lab.home.sh("ip link set wan1 mtu 1500")


def test_an_account_of_each_mapping(start, lab, datagrams):
    server = datagrams(whoami)
    proxy = start("wan2", "--auth", "alice:secret")
    with Association(proxy, login=("alice", "secret")) as a:
        a.ask(b"first", "open.test", server.port)
        a.ask(b"second", OPEN4, server.port)
        a.reset()
    (line,) = proxy.connections(1)
    sent = len(b"first") + len(b"second")
    assert (line["proto"], line["user"], line["host"], line["port"], line["uplink"]) == ("udp", "alice", "open.test", server.port, "wan2")
    assert line["tx"] == sent and line["rx"] > sent and line["outcome"] == "closed", line


def test_why_udp(start, only):
    proxy = start("--policy", only("wan2"), "wan1", "wan2")
    assert json.loads(proxy.tell("why", "--udp", "--json", "web.test:53"))["uplink"] == "wan2"
    assert proxy.ask("why", host="web.test", port=53, udp=True)["uplink"] == "wan2"


def test_rules_of_destinations_hold_for_datagrams(start, lab, datagrams):
    """The rest of this machine is refused to strangers of the LAN."""
    server = datagrams(reflect)
    proxy = start("wan1", "--listen", f"{LAN_HOME}:0", port=False)
    with lab.home.datagrams("127.0.0.1", 0) as local, Association(proxy, netns=lab.lan) as a:
        a.send(b"x", "127.0.0.1", local.getsockname()[1])
        assert a.ask(b"y", server.address, server.port) == b"y"
        local.setblocking(False)
        with pytest.raises(BlockingIOError):
            local.recv(100)
    assert proxy.wait_event("datagrams_refused", host="127.0.0.1")


REFUSING = """return { name = "refusing", new = function() return { pick = function(conn, uplinks)
  if conn.port == %d then return false, "not this one" end
  return uplinks[1], "fine", { per = "%s" }
end } end }
"""


@pytest.mark.parametrize("per", ["client", "destination"])
def test_a_policys_refusal_holds_for_a_mappings_first_destination(start, datagrams, per, tmp_path):
    """And --deny for each destination, as docs/datagrams.md says."""
    one, refused, denied = datagrams(reflect), datagrams(reflect), datagrams(reflect)
    policy = tmp_path / "refusing.lua"
    policy.write_text(REFUSING % (refused.port, per))
    proxy = start("wan1", "--policy", policy, "--deny", f"{OPEN4}:{denied.port}")
    with Association(proxy) as a:
        a.send(b"x", OPEN4, refused.port)
        proxy.wait_event("datagrams_refused", port=refused.port, reason="not this one")
        assert a.ask(b"y", OPEN4, one.port) == b"y"
        a.send(b"z", OPEN4, denied.port)
        proxy.wait_event("datagrams_refused", port=denied.port)
    with Association(proxy) as a:
        assert a.ask(b"y", OPEN4, one.port) == b"y"
        a.send(b"z", OPEN4, refused.port)
        if per == "client":
            assert a.receive()[0] == b"z"
        else:
            wait_for(lambda: len(proxy.events("datagrams_refused", port=refused.port)) == 2, "it is refused again")
    assert (not refused.seen) == (per == "destination") and not denied.seen


@pytest.mark.parametrize("listen, resolved", [("127.0.0.1", "127.0.0.1"), ("*", LAN_HOME)])
def test_forwards_in_a_circle_by_a_name(start, lab, names, listen, resolved):
    """The circle shows when the name is resolved. It ends there, and leaves no mapping."""
    names.zone["round.test"] = [resolved]
    first = free_ports(2)
    proxy = start("--forward", f"udp:{listen}:{first}=round.test:{first + 1}", "--forward", f"udp:{listen}:{first + 1}=round.test:{first}", "wan1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"round and round", (resolved, first))
        event = proxy.wait_event("datagrams_refused", reason="loop: the destination is a listener of this proxy")
        assert event["client"] == f"{resolved}:{s.getsockname()[1]}", event
        wait_for(lambda: proxy.ask("status")["udp"]["mappings"] == 0, "its mapping ends")
    assert len(proxy.connections(1)) == 1 and not proxy.events("datagrams_refused")[1:]


def test_a_datagram_to_the_relay_itself_goes_round_once(start, datagrams):
    server = datagrams(reflect)
    proxy = start("wan1")
    with Association(proxy) as a:
        a.send(wrap(wrap(b"round", *a.relay), *a.relay), *a.relay)
        assert a.ask(b"y", server.address, server.port) == b"y"
        assert proxy.ask("status")["udp"]["datagrams"] < 20


# --- sizes ---


def of_size(_, s, data, client):
    """Answer with as many bytes as are asked for."""
    s.sendto(b"x" * int(data), client)


@pytest.fixture
def narrow_lan(lab):
    """The way to the LAN's clients takes packets of 1400 bytes, and the LAN and its clients take all."""
    sh("ip link set lan0 mtu 1400")
    yield lab
    sh("ip link set lan0 mtu 1500")


def assert_kept_whole(proxy, ask):
    """ask(…) asks for answers of these sizes, and returns that of the first which arrives."""

    def counts(n):
        """(too_big, in_fragments), once so many datagrams were moved: they are counted after they have left."""
        udp = wait_for(lambda: (u := proxy.ask("status")["udp"])["datagrams"] + u["dropped"]["too_big"] == n and u, f"{n} are counted")
        return udp["dropped"]["too_big"], udp["in_fragments"]

    assert ask(1300) == 1300
    assert counts(2) == (0, 0)
    assert ask(1450, 1500) == 1500, "what an Ethernet carries goes whole or is lost, what none carries goes in fragments"
    assert counts(6) == (1, 1)


def test_answers_to_clients_are_kept_whole(start, narrow_lan, datagrams):
    server = datagrams(of_size)
    proxy = start("wan1", "--listen", f"{LAN_HOME}:0", port=False)
    with Association(proxy, netns=narrow_lan.lan) as a:

        def ask(*sizes):
            for size in sizes:
                a.send(b"%d" % size, server.address, server.port)
            return len(a.receive()[0])

        assert_kept_whole(proxy, ask)


def test_answers_to_clients_of_a_forward_are_kept_whole(start, narrow_lan, datagrams):
    server = datagrams(of_size)
    proxy = start("wan1", "--forward", f"udp:{LAN_HOME}:0={server.address}:{server.port}")
    with narrow_lan.lan.datagrams(LAN_CLIENT, 0) as s:
        s.settimeout(WAIT_S)

        def ask(*sizes):
            for size in sizes:
                s.sendto(b"%d" % size, proxy.addresses[-1])
            return len(s.recv(65536))

        assert_kept_whole(proxy, ask)


def test_answers_to_captured_clients_are_kept_whole(start, router, narrow_lan, datagrams):
    server = datagrams(of_size)
    gateway = Gateway(router, start, "tproxy", "wan1")
    gateway.capture_lan()
    with router.lan.datagrams(LAN_CLIENT, 0) as s:
        s.settimeout(WAIT_S)

        def ask(*sizes):
            for size in sizes:
                s.sendto(b"%d" % size, (server.address, server.port))
            return len(s.recv(65536))

        assert_kept_whole(gateway.proxy, ask)
