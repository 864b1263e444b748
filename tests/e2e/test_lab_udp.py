"""The laboratory's servers and clients of datagrams, without a proxy."""

import socket

import pytest

from lab.run import WAIT_S, wait_for
from lab.stun import PORTS, StunTester, answer_of, by_socket
from lab.topology import MORE4, NOWHERE4, OPEN4, OPEN6
from lab.udp import LARGE, SMALL, from_another, number_of, numbered, reflect, sink, unwrap, whoami, wrap

pytestmark = pytest.mark.once

STUN = (OPEN4, PORTS[0])
IP_RECVERR = 11


@pytest.fixture
def client():
    """Opens sockets of the household, each bound to an uplink."""
    opened = []

    def open_socket(uplink, address="0.0.0.0"):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        opened.append(s)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, uplink.name.encode())
        s.bind((address, 0))
        s.settimeout(WAIT_S)
        return s

    yield open_socket
    for s in opened:
        s.close()


def test_servers_reflect_and_tell(lab, datagrams, client):
    echo, tell = datagrams(reflect), datagrams(whoami, addresses=[OPEN4, OPEN6])
    four, six = client(lab.wan2), client(lab.wan3, "::")
    for payload in (b"", b"x", b"y" * 65507):
        four.sendto(payload, (echo.address, echo.port))
        assert four.recvfrom(65536) == (payload, (echo.address, echo.port))
    assert [len(data) for data, *_ in echo.wait_seen(3)] == [0, 1, 65507]
    four.sendto(b"who", tell.ends[0])
    assert four.recv(100) == f"{lab.wan2.addr4} {four.getsockname()[1]} who".encode()
    six.sendto(b"who", tell.ends[1])
    assert six.recv(100) == f"{lab.wan3.addr6} {six.getsockname()[1]} who".encode()
    assert tell.clients() == {(lab.wan2.addr4, four.getsockname()[1]), (lab.wan3.addr6, six.getsockname()[1])}


def test_servers_that_answer_otherwise(lab, datagrams, client):
    other, quiet, s = datagrams(from_another, addresses=[OPEN4, MORE4]), datagrams(sink), client(lab.wan1)
    s.sendto(b"x", other.ends[0])
    assert s.recvfrom(100) == (b"x", other.ends[1])
    s.sendto(b"y", (quiet.address, quiet.port))
    ((data, *client_end, _),) = quiet.wait_seen(1)
    quiet.send_to(b"unasked", tuple(client_end))
    assert data == b"y" and s.recvfrom(100) == (b"unasked", (quiet.address, quiet.port))


def test_destinations_that_answer_with_icmp(lab, datagrams, client):
    gone = datagrams(sink)
    gone.close()
    for end, error in (((OPEN4, gone.port), ConnectionRefusedError), ((NOWHERE4, 9), OSError)):
        s = client(lab.wan1)
        s.setsockopt(socket.SOL_IP, IP_RECVERR, 1)
        s.connect(end)
        s.send(b"x")
        with pytest.raises(error) as raised:
            s.recv(100)
        assert not isinstance(raised.value, TimeoutError)


def test_headers_and_numbers():
    assert unwrap(wrap(b"data", OPEN4, 53)) == (b"data", OPEN4, 53)
    assert unwrap(wrap(b"", OPEN6, 1)) == (b"", OPEN6, 1)
    assert wrap(b"x", "a.test", 80, frag=1) == b"\0\0\1\3\6a.test\0\x50x"
    made = [numbered(n) for n in range(3000)]
    assert [number_of(d) for d in made] == list(range(3000))
    assert min(map(len, made)) == SMALL and max(map(len, made)) == LARGE
    with pytest.raises(AssertionError):
        number_of(made[7][:-1] + b"?")


def test_a_stun_tester_without_a_nat(lab, stun, client):
    s = client(lab.wan2)
    here = (lab.wan2.addr4, s.getsockname()[1])
    kind, seen = by_socket(s).mapping(stun.ends)
    assert (kind, set(seen.values())) == ("endpoint-independent", {here})
    assert by_socket(s).filtering(STUN) == "endpoint-independent"


@pytest.mark.parametrize(("key", "kind"), [(lambda end: end[0], "address-dependent"), (lambda end: end, "address and port-dependent")])
def test_a_stun_tester_behind_other_mappings(lab, stun, client, key, kind):
    """A socket for each address, or for each address and port, is such a NAT."""
    sockets, ways = {}, []

    def send(data, *end):
        if key(end) not in sockets:
            sockets[key(end)] = client(lab.wan1)
        ways.append(sockets[key(end)])
        ways[-1].sendto(data, end)

    tester = StunTester(send, lambda: ways[-1].recvfrom(2048))
    assert tester.mapping(stun.ends)[0] == kind


@pytest.mark.parametrize(("passes", "kind"), [(lambda asked, end: end[0] in {a for a, _ in asked}, "address-dependent"),
                                              (lambda asked, end: end in asked, "address and port-dependent")])
def test_a_stun_tester_behind_filters(lab, stun, client, passes, kind):
    s, asked = client(lab.wan1), set()

    def send(data, *end):
        asked.add(end)
        s.sendto(data, end)

    def receive():
        while True:
            data, end = s.recvfrom(2048)
            if passes(asked, end):
                return data, *end

    assert StunTester(send, receive).filtering(STUN) == kind


def test_the_stun_server_tells_what_it_sees(lab, stun, client):
    s = client(lab.wan3)
    by_socket(s).probe(STUN)
    data = wait_for(lambda: s.recv(2048), "an answer")
    assert answer_of(data)[1] == (lab.wan3.addr4, s.getsockname()[1])
