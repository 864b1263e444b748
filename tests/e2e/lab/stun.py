"""STUN (RFC 5389, with the tests of RFC 5780): a server on the internet, and a tester that tells how it is seen."""

import os
import socket
import struct

from lab.topology import MORE4, OPEN4
from lab.udp import UdpServer

PORTS = (3478, 3479)
_COOKIE = 0x2112A442
_REQUEST, _RESPONSE = 0x0001, 0x0101
_MAPPED, _CHANGE, _XOR_MAPPED, _OTHER = 0x0001, 0x0003, 0x0020, 0x802C
CHANGE_PORT, CHANGE_ADDRESS = 2, 4


def _attribute(kind, value):
    return struct.pack(">HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def _message(kind, transaction, *attributes):
    body = b"".join(attributes)
    return struct.pack(">HHI", kind, len(body), _COOKIE) + transaction + body


def _parse(data):
    """(kind, transaction, {attribute: value})"""
    kind, size, cookie = struct.unpack_from(">HHI", data)
    assert cookie == _COOKIE and size == len(data) - 20, data[:20]
    found, at = {}, 20
    while at < len(data):
        attribute, size = struct.unpack_from(">HH", data, at)
        found.setdefault(attribute, data[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return kind, data[8:20], found


def _xor(raw, transaction):
    return bytes(a ^ b for a, b in zip(raw, struct.pack(">I", _COOKIE) + transaction))


def _write_address(address, port, transaction=None):
    """XORed if a transaction is given."""
    six = ":" in address
    raw = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
    if transaction:
        raw, port = _xor(raw, transaction), port ^ _COOKIE >> 16
    return struct.pack(">BBH", 0, 2 if six else 1, port) + raw


def _read_address(value, transaction):
    _, kind, port = struct.unpack_from(">BBH", value)
    family = socket.AF_INET6 if kind == 2 else socket.AF_INET
    return socket.inet_ntop(family, _xor(value[4:], transaction)), port ^ _COOKIE >> 16


def question(change=0):
    """(transaction, request)"""
    transaction = os.urandom(12)
    attributes = [_attribute(_CHANGE, struct.pack(">I", change))] if change else []
    return transaction, _message(_REQUEST, transaction, *attributes)


def answer_of(data):
    """(transaction, the address and port that the server saw)"""
    kind, transaction, found = _parse(data)
    assert kind == _RESPONSE, hex(kind)
    return transaction, _read_address(found[_XOR_MAPPED], transaction)


def _serve(server, s, data, client):
    kind, transaction, asked = _parse(data)
    if kind != _REQUEST:
        return
    address, port = s.getsockname()[:2]
    other = next(end for end in server.ends if end[0] != address and end[1] != port)
    change = int.from_bytes(asked.get(_CHANGE, b"\0"), "big")
    by = (other[0] if change & CHANGE_ADDRESS else address, other[1] if change & CHANGE_PORT else port)
    told = [_attribute(_OTHER, _write_address(*other))] if server.tells_other else []
    answer = _message(_RESPONSE, transaction, _attribute(_XOR_MAPPED, _write_address(*client[:2], transaction)),
                      _attribute(_MAPPED, _write_address(*client[:2])), *told)
    server.sockets[server.ends.index(by)].sendto(answer, client)


class StunServer(UdpServer):
    """Two addresses with two ports each, as RFC 5780 wants it. The first end is the one that clients know."""

    tells_other = True  # some clients go on with the tests of RFC 5780 when they hear of the other end

    def __init__(self, netns, addresses=(OPEN4, MORE4), ports=PORTS):
        super().__init__(netns, _serve, addresses, ports)


class StunTester:
    """Probes by an open socket: send(data, address, port), and receive(), which returns (data, address, port)."""

    def __init__(self, send, receive):
        self._send, self._receive = send, receive

    def probe(self, end, change=0):
        """Ask; whatever comes of it is received later."""
        transaction, request = question(change)
        self._send(request, *end)
        return transaction

    def seen_by(self, end):
        """Under which address and port a server sees this client."""
        transaction = self.probe(end)
        while True:
            data, *_ = self._receive()
            answered, seen = answer_of(data)
            if answered == transaction:
                return seen

    def mapping(self, ends):
        """How the mapping depends on the destination, and what each end has seen."""
        seen = {end: self.seen_by(end) for end in ends}
        if len(set(seen.values())) == 1:
            return "endpoint-independent", seen
        by_address = {}
        for (address, _), how in seen.items():
            by_address.setdefault(address, set()).add(how)
        dependent = "address" if all(len(s) == 1 for s in by_address.values()) else "address and port"
        return f"{dependent}-dependent", seen

    def filtering(self, end):
        """Whose datagrams get in. A plain question follows the others: what has not come before its answer is dropped."""
        asked = {self.probe(end, CHANGE_ADDRESS | CHANGE_PORT): "endpoint-independent", self.probe(end, CHANGE_PORT): "address-dependent"}
        last, came = self.probe(end), []
        while True:
            data, *_ = self._receive()
            answered, _ = answer_of(data)
            if answered == last:
                break
            came.append(asked[answered])
        return next((kind for kind in asked.values() if kind in came), "address and port-dependent")


def by_association(a, s=None):
    """A tester behind the proxy."""
    return StunTester(lambda data, *end: a.send(data, *end, s), lambda: a.receive(s))


def by_socket(s):
    """A tester without a proxy."""

    def receive():
        data, sender = s.recvfrom(65536)
        return data, *sender[:2]

    return StunTester(lambda data, *end: s.sendto(data, end), receive)
