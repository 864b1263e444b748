"""SOCKS5 UDP ASSOCIATE: what clients send that others got wrong, and what must not get through.

Where a datagram must not arrive, another follows it that must: they go the same way, one after the other."""

import os
import socket

import pytest

from lab.run import WAIT_S, wait_for
from lab.socks import request5
from lab.stun import PORTS, by_association
from lab.topology import LAN_HOME, MORE4, NOWHERE4, OPEN4, OPEN6
from lab.udp import ANY, ASSOCIATE, LARGEST, Association, from_another, mapped5, number_of, numbered, reflect, sink, whoami, wrap

HEADER = 10  # bytes of SOCKS5 in front of each datagram to an IPv4 address
NUMBERED = int(os.environ.get("STEERWAY_DATAGRAMS", "5000"))


@pytest.fixture
def proxy(start):
    return start("wan1", "wan2")


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.pid}/fd"))


# --- what clients send ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", {
    "nothing": ANY,
    "its own end": "mine",
    "the destination": (OPEN4, 53),
    "a name": ("open.test", 53),
    "IPv6 for IPv4": ("::", 0),
    "loopback": ("127.0.0.1", 0),
    "another port": ("127.0.0.1", 9),
}.items(), ids=lambda case: case[0])
def test_the_hint_may_be_anything(proxy, datagrams, hint):
    server = datagrams(reflect)
    with Association(proxy, hint[1]) as a:
        assert a.relay[0] == "127.0.0.1" and a.relay[1] > 0, "never a wildcard"
        for n in range(3):
            assert a.ask(b"%d" % n, server.address, server.port) == b"%d" % n


def test_a_client_with_several_source_ports(proxy, datagrams):
    """As voice chats have. Each gets its own answers, also when all are on their way."""
    server = datagrams(reflect)
    with Association(proxy) as a:
        sockets = [a.s, *(a.socket() for _ in range(5))]
        for s in sockets:
            assert a.ask(b"first", server.address, server.port, s) == b"first"
        for n in range(20):
            for i, s in enumerate(sockets):
                a.send(b"%d of %d" % (n, i), server.address, server.port, s)
        for i, s in enumerate(sockets):
            assert [a.receive(s)[0] for _ in range(20)] == [b"%d of %d" % (n, i) for n in range(20)]
    assert len(server.clients()) == len(sockets), "a mapping for each source port"


def test_a_client_that_changes_its_source_port(proxy, datagrams):
    server = datagrams(reflect)
    with Association(proxy, "mine") as a:
        for n in range(4):
            s = a.socket()
            assert a.ask(b"%d" % n, server.address, server.port, s) == b"%d" % n
            s.close()


def test_a_client_that_ends_its_side_of_the_connection(proxy, datagrams):
    server = datagrams(reflect)
    with Association(proxy) as a:
        a.finish()
        for n in range(50):
            assert a.ask(b"%d" % n, server.address, server.port) == b"%d" % n
        assert a.ask(b"new", server.address, server.port, a.socket()) == b"new"


@pytest.mark.parametrize("host", [OPEN4, OPEN6, "open.test", "open6.test", "OPEN.test"])
def test_destinations_by_address_and_name(proxy, datagrams, host):
    six = host in (OPEN6, "open6.test")
    server = datagrams(reflect, addresses=[OPEN6 if six else OPEN4])
    with Association(proxy) as a:
        for _ in range(3):
            a.send(b"x", host, server.port)
            assert a.receive() == (b"x", server.address, server.port), "the real source, as an address"


def test_a_name_is_asked_for_once(proxy, datagrams, names):
    server = datagrams(reflect)
    with Association(proxy) as a:
        for n in range(10):
            a.send(b"%d" % n, "open.test", server.port)
        assert [a.receive()[0] for _ in range(10)] == [b"%d" % n for n in range(10)]
        asked = [kind for name, kind, _ in names.asked if name == "open.test"]
        assert len(asked) == len(set(asked)), f"each family once: {asked}"


def test_an_ipv4_address_in_the_form_of_ipv6(proxy, datagrams):
    server = datagrams(reflect)
    with Association(proxy) as a:
        a.send_raw(b"\0\0\0" + mapped5(OPEN4) + server.port.to_bytes(2, "big") + b"x")
        assert a.receive() == (b"x", OPEN4, server.port)


def test_a_datagram_before_the_reply_is_read(proxy, datagrams):
    """The reply is looked at, and left unread."""
    server = datagrams(reflect)
    a = Association(proxy)
    a.close()
    s = socket.create_connection(proxy.address, timeout=WAIT_S)
    with s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.settimeout(WAIT_S)
        s.sendall(b"\5\1\0" + request5(*ANY, command=ASSOCIATE))
        reply = wait_for(lambda: len(s.recv(12, socket.MSG_PEEK)) == 12 and s.recv(12, socket.MSG_PEEK), "the reply")
        for n in range(3):
            u.sendto(wrap(b"%d" % n, OPEN4, server.port), (socket.inet_ntoa(reply[6:10]), int.from_bytes(reply[10:], "big")))
        assert [u.recv(100)[HEADER:] for _ in range(3)] == [b"0", b"1", b"2"]


def test_many_datagrams_at_once_before_the_first_decision(proxy, datagrams):
    """They wait for it, in order. More than a few are dropped, and that ends nothing."""
    server = datagrams(reflect)
    with Association(proxy) as a:
        for n in range(200):
            a.send(b"%d" % n, "open.test", server.port)
        got = [int(a.receive()[0])]
        assert got == [0]
        assert a.ask(b"-1", "open.test", server.port) is not None
        a.send(b"last", OPEN4, server.port)
        while (data := a.receive()[0]) != b"last":
            got.append(int(data))
        rest = [n for n in got if n >= 0]
        assert rest == sorted(set(rest)) and len(rest) >= 8, got


# --- what gets through ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1472, 9000, LARGEST - HEADER])
def test_datagrams_of_each_size(proxy, datagrams, size):
    server, payload = datagrams(reflect), os.urandom(size)
    with Association(proxy) as a:
        for _ in range(3):
            assert a.ask(payload, server.address, server.port) == payload
    assert [data for data, *_ in server.seen] == [payload] * 3


def test_an_answer_too_large_for_the_client_is_dropped(proxy, datagrams):
    """With the header of SOCKS5 it would be larger than any datagram."""

    def answer(_, s, data, client):
        s.sendto(b"y" * LARGEST if data == b"large" else data, client)

    server = datagrams(answer)
    with Association(proxy) as a:
        for _ in range(2):
            a.send(b"large", server.address, server.port)
            assert a.ask(b"small", server.address, server.port) == b"small"


def test_fragments_are_dropped(proxy, datagrams):
    server = datagrams(reflect)
    with Association(proxy) as a:
        for frag in (1, 2, 0x80, 0xFF):
            a.send(b"part", server.address, server.port, frag=frag)
        assert a.ask(b"whole", server.address, server.port) == b"whole"
    assert [data for data, *_ in server.seen] == [b"whole"]


def test_malformed_datagrams_are_dropped(proxy, datagrams):
    server = datagrams(reflect)
    whole = wrap(b"", server.address, server.port)
    with Association(proxy) as a:
        for n in range(len(whole)):
            a.send_raw(whole[:n])
        for bad in (b"\0\0\0\2" + whole[4:], b"\0\0\0\3\0" + whole[8:], wrap(b"x", "bad name", 53), wrap(b"x", OPEN4, 0), b"\xff" * 300):
            a.send_raw(bad)
        assert a.ask(b"whole", server.address, server.port) == b"whole"
    assert [data for data, *_ in server.seen] == [b"whole"]


@pytest.mark.parametrize("other", ["127.0.0.2", "127.0.0.1 of a LAN client"])
def test_another_client_gets_nothing_through(start, lab, datagrams, other):
    server = datagrams(reflect)
    proxy = start("wan1", "--listen", f"{LAN_HOME}:0", "--listen", "127.0.0.1:0", port=False)
    lan = next(end for end in proxy.addresses if end[0] == LAN_HOME)
    near = next(end for end in proxy.addresses if end[0] != LAN_HOME)
    by_lan = other.endswith("client")
    with Association(proxy, netns=lab.lan if by_lan else None, at=lan if by_lan else near) as a:
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with stranger:
            stranger.bind((LAN_HOME if by_lan else other, 0))
            for _ in range(20):
                stranger.sendto(wrap(b"stolen", server.address, server.port), a.relay)
            assert a.ask(b"own", server.address, server.port) == b"own"
            stranger.sendto(wrap(b"stolen", server.address, server.port), a.relay)
            assert a.ask(b"own", server.address, server.port) == b"own"
    assert [data for data, *_ in server.seen] == [b"own"] * 2


@pytest.mark.parametrize("which", ["127.0.0.1", LAN_HOME])
def test_the_relay_has_the_address_that_the_client_knows(start, lab, datagrams, which):
    server = datagrams(whoami)
    proxy = start("wan2", "--listen", "0.0.0.0:0", "--allow", "127.0.0.0/8", "--allow", "192.168.77.0/24", port=False)
    with Association(proxy, netns=lab.lan if which == LAN_HOME else None, at=(which, proxy.port)) as a:
        assert a.relay[0] == which
        address, _, data = a.ask(b"x", server.address, server.port).split()
        assert (address, data) == (lab.wan2.addr4.encode(), b"x")


def test_answers_from_another_port_and_from_another_address(start, datagrams):
    """By default, those of addresses that the client has sent to get in; they tell where they come from."""
    server = datagrams(from_another, addresses=[OPEN4, MORE4], ports=[0])
    ports = datagrams(from_another, addresses=[OPEN4], ports=[0, 0])
    echo = datagrams(reflect)
    with Association(start("wan1")) as a:
        a.send(b"another port", *ports.ends[0])
        assert a.receive() == (b"another port", *ports.ends[1])
        a.send(b"another address", *server.ends[0])
        assert a.ask(b"echo", echo.address, echo.port) == b"echo"
        server.wait_seen(1)
        assert len(server.seen) == 1 and a.nothing_more()
        a.send(b"now known", *server.ends[1])
        assert a.receive() == (b"now known", *server.ends[0])
        a.send(b"another address", *server.ends[0])
        assert a.receive() == (b"another address", *server.ends[1])


def test_the_default_filter(start, stun):
    with Association(start("wan1")) as a:
        assert by_association(a).filtering((OPEN4, PORTS[0])) == "address-dependent"


def test_icmp_errors_end_nothing(proxy, datagrams):
    server, gone = datagrams(reflect), datagrams(sink)
    gone.close()
    with Association(proxy) as a:
        for n in range(20):
            a.send(b"into the void", OPEN4, gone.port)
            a.send(b"into the void", NOWHERE4, 9)
            assert a.ask(b"%d" % n, server.address, server.port) == b"%d" % n


def test_a_client_that_closes_its_socket_ends_nothing(proxy, datagrams):
    """Answers to it are refused by ICMP, which the relay's socket hears of."""
    server = datagrams(reflect)
    with Association(proxy) as a:
        for n in range(20):
            s = a.socket()
            a.ask(b"x", server.address, server.port, s)
            (client,) = {seen[1:3] for seen in server.seen[-1:]}
            s.close()
            for _ in range(3):
                server.send_to(b"too late", client)
            assert a.ask(b"%d" % n, server.address, server.port) == b"%d" % n


def test_names_that_do_not_exist_and_names_that_do(proxy, datagrams):
    server = datagrams(reflect)
    with Association(proxy) as a:
        a.send(b"x", "missing.test", server.port)
        assert a.ask(b"y", "open.test", server.port) == b"y"


# --- many -----------------------------------------------------------------------------------------------------


def test_numbered_datagrams_arrive_intact_and_once(start, lab, datagrams):
    """STEERWAY_DATAGRAMS sets their number; ./dev soak has 100,000. No more are on their way than buffers hold, and few
    before the first decision."""
    server = datagrams(reflect)
    proxy = start("--policy", "round_robin", "wan1", "wan2")
    associations = [Association(proxy).__enter__() for _ in range(4)]
    try:
        at, window = 0, 8
        while at < NUMBERED:
            turns = []
            for a in associations:
                turns.append((a, range(at, min(at + window, NUMBERED))))
                at = turns[-1][1].stop
                for n in turns[-1][1]:
                    a.send(numbered(n), server.address, server.port)
            for a, numbers in turns:
                assert sorted(number_of(a.receive()[0]) for _ in numbers) == list(numbers), "each once"
            window = 32
        assert all(a.nothing_more() for a in associations)
    finally:
        for a in associations:
            a.close()
    assert sorted(number_of(data) for data, *_ in server.seen) == list(range(NUMBERED))
    assert {lab.uplink_of(address) for address, _ in server.clients()} == {"wan1", "wan2"}
    print(f"{NUMBERED} datagrams came back intact and once")


# --- the end --------------------------------------------------------------------------------------------------


def by_a_reset(a):
    a.reset()
    a.close()


def by_a_fin(a):
    a.close()


@pytest.mark.parametrize("leave", [by_a_reset, pytest.param(by_a_fin, marks=pytest.mark.once)])
def test_abandoned_associations_leave_nothing(start, datagrams, leave):
    """Behind a FIN, datagrams might follow: such an association ends after half a minute without any."""
    server, quiet = datagrams(reflect), datagrams(sink)
    proxy = start("wan1", "wan2")
    with Association(proxy) as a:  # what is made once
        a.ask(b"x", server.address, server.port)
        a.reset()
    wait_for(lambda: proxy.ask("status")["clients"] == 0, "the client is gone")
    before = descriptors(proxy)
    for _ in range(3 if leave is by_a_reset else 1):
        all_ = [Association(proxy) for _ in range(20)]
        for n, a in enumerate(all_):
            if n % 2:
                a.ask(b"x", server.address, server.port)
                a.ask(b"x", server.address, server.port, a.socket())
            a.send(b"x", quiet.address, quiet.port)
            a.send(b"x", "missing.test", 53)
        assert descriptors(proxy) >= before + 2 * len(all_)
        quiet.wait_seen(len(all_))
        quiet.seen.clear()
        for a in all_:
            leave(a)
        wait_for(lambda: descriptors(proxy) <= before, "their descriptors are closed", 3 * WAIT_S)
    wait_for(lambda: proxy.ask("status")["clients"] == 0, "the clients are gone")
    wait_for(lambda: not any(u["active"] for u in proxy.ask("uplinks")["uplinks"]), "no mapping counts as active")
    assert max(line["duration"] for line in proxy.connections()) < 55, "one look, not two"


def test_an_association_ends_with_its_connection(start, datagrams):
    server = datagrams(reflect)
    proxy = start("wan1")
    with Association(proxy) as a:
        a.ask(b"x", server.address, server.port)
        ((_, *client, _),) = server.seen
        a.reset()
        wait_for(lambda: proxy.ask("status")["clients"] == 0, "the association has ended")
        server.send_to(b"too late", tuple(client))
        a.send(b"too late", server.address, server.port)
        with Association(proxy) as b:
            assert b.ask(b"y", server.address, server.port) == b"y"
        assert [data for data, *_ in server.seen] == [b"x", b"y"]


def test_the_proxy_ends_with_open_associations(start, datagrams):
    server = datagrams(reflect)
    proxy = start("wan1", "wan2")
    with Association(proxy) as a, Association(proxy) as b:
        a.ask(b"x", server.address, server.port)
        b.send(b"x", "missing.test", 9)
        assert proxy.stop() == 0
        assert a.ended() and b.ended()
