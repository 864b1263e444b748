"""Datagrams: the tests' own SOCKS5 UDP client, and servers on the internet."""

import hashlib
import selectors
import socket
import struct
import threading

from lab.origin import read_exactly, reset
from lab.run import WAIT_S, wait_for
from lab.socks import auth5, host5, read_reply5, request5
from lab.topology import OPEN4

ASSOCIATE = 3
ANY = ("0.0.0.0", 0)
LARGEST = 65507  # bytes of payload in a datagram by IPv4
BUFFER = 8 << 20


def _roomy(s):
    """Give it the largest receive buffer that may be had: what waits there is not lost."""
    for option in (33, socket.SO_RCVBUF):  # SO_RCVBUFFORCE, which needs root
        try:
            s.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            return s
        except OSError:
            continue
    return s


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


# --- the client -----------------------------------------------------------------------------------------------


def wrap(payload, host, port, frag=0, reserved=b"\0\0"):
    """A datagram as a client sends it to its relay (RFC 1928 section 7)."""
    return reserved + bytes([frag]) + host5(host) + struct.pack(">H", port) + payload


def mapped5(address):
    """An IPv4 address in SOCKS5's form for IPv6, as some clients write it."""
    return b"\x04" + socket.inet_pton(socket.AF_INET6, f"::ffff:{address}")


def unwrap(datagram):
    """(payload, address, port) of a datagram from the relay; it must have an address, not a name."""
    assert datagram[:3] == b"\0\0\0" and datagram[3] in (1, 4), datagram[:24]
    size = 4 if datagram[3] == 1 else 16
    address = socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, datagram[4 : 4 + size])
    return datagram[6 + size :], address, struct.unpack(">H", datagram[4 + size : 6 + size])[0]


class Association:
    """A UDP association: the connection that holds it, and sockets that send and receive.

    hint: host and port in the request, "mine" for those of the first socket, or bytes for a whole request. `s` is the first
    socket; socket() opens more, each with a source port of its own. netns and source put the client elsewhere."""

    def __init__(self, proxy, hint=ANY, login=None, netns=None, source=None, at=None, timeout=WAIT_S):
        self.proxy, self.netns, self.source, self.timeout = proxy, netns, source, timeout
        self.sockets = []
        address = at or proxy.address
        self.control = netns.connect(*address) if netns else socket.create_connection(
            address, timeout=timeout, source_address=(source, 0) if source else None)
        try:
            self._greet(login)
            self.s = self.socket()
            if hint == "mine":  # what a client writes that knows its port already
                hint = self.s.getsockname()[:2]
            self.control.sendall(hint if isinstance(hint, bytes) else request5(*hint, command=ASSOCIATE))
            self.code, *at = read_reply5(self.control)
            self.relay = tuple(at)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        assert self.code == 0, f"SOCKS5 reply {self.code} to an association"
        return self

    def __exit__(self, *_):
        self.close()

    def _greet(self, login):
        self.control.sendall(b"\x05\x01\x02" if login else b"\x05\x01\x00")
        assert read_exactly(self.control, 2) == (b"\x05\x02" if login else b"\x05\x00")
        if login:
            self.control.sendall(auth5(*login))
            assert read_exactly(self.control, 2) == b"\x01\x00"

    def socket(self, source=None, port=0):
        """Another socket, at the client's own address (or another one)."""
        source = source or self.control.getsockname()[0]
        if self.netns:
            s = self.netns.datagrams(source, port)
        else:
            s = socket.socket(family_of(source), socket.SOCK_DGRAM)
            s.bind((source, port))
        s.settimeout(self.timeout)
        self.sockets.append(_roomy(s))
        return s

    def send(self, payload, host, port, s=None, frag=0):
        self.send_raw(wrap(payload, host, port, frag), s)

    def send_raw(self, datagram, s=None):
        (s or self.s).sendto(datagram, self.relay)

    def receive(self, s=None):
        """The next datagram: (payload, address, port). It must come from the relay's address."""
        datagram, sender = (s or self.s).recvfrom(65536)
        assert sender[:2] == self.relay, (sender, self.relay)
        return unwrap(datagram)

    def ask(self, payload, host, port, s=None):
        """Send, and return the answer's payload, which must come from where it was sent to, if that is an address."""
        self.send(payload, host, port, s)
        answer, address, from_port = self.receive(s)
        assert from_port == port and (address == host or host5(host)[0] == 3), (address, from_port)
        return answer

    def nothing_more(self, s=None):
        """Whether nothing has come that was not received yet."""
        s = s or self.s
        s.setblocking(False)
        try:
            return not s.recv(65536)
        except BlockingIOError:
            return True
        finally:
            s.settimeout(self.timeout)

    def finish(self):
        """End the connection from this side only, as some clients do as soon as they have the reply."""
        self.control.shutdown(socket.SHUT_WR)

    def reset(self):
        reset(self.control)

    def ended(self):
        """Wait until the proxy ends the connection."""
        try:
            return self.control.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.control.close()
        for s in self.sockets:
            s.close()


# --- servers --------------------------------------------------------------------------------------------------


class UdpServer:
    """Datagram servers on the internet, all served by one thread: handler(server, socket, data, client).

    `seen` holds (data, client's address, client's port, server's address) of every datagram in its order."""

    def __init__(self, netns, handler, addresses=(OPEN4,), ports=(0,)):
        self.seen, self.errors, self._handler, self._stop = [], [], handler, False
        self.sockets = [_roomy(netns.datagrams(a, p)) for a in addresses for p in ports]
        self.address, self.port = self.sockets[0].getsockname()[:2]
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def ends(self):
        """(address, port) of each socket."""
        return [s.getsockname()[:2] for s in self.sockets]

    def _serve(self):
        with selectors.DefaultSelector() as ready:
            for s in (*self.sockets, self._woken):
                s.setblocking(False)
                ready.register(s, selectors.EVENT_READ)
            while not self._stop:
                for key, _ in ready.select():
                    if key.fileobj is not self._woken:
                        self._take(key.fileobj)

    def _take(self, s):
        for _ in range(64):
            try:
                data, client = s.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error
                self.errors.append(error)
                continue
            self.seen.append((data, *client[:2], s.getsockname()[0]))
            try:
                self._handler(self, s, data, client)
            except OSError as error:
                self.errors.append(error)

    def clients(self):
        """The addresses and ports that datagrams came from."""
        return {seen[1:3] for seen in self.seen}

    def wait_seen(self, n, timeout=WAIT_S):
        """Wait for that many datagrams, and return all that were seen."""
        wait_for(lambda: len(self.seen) >= n, f"{n} datagrams at the server", timeout)
        return self.seen

    def send_to(self, data, client, n=0):
        """Send something by the n-th socket, asked or not."""
        self.sockets[n].sendto(data, client)

    def close(self):
        if self._stop:
            return
        self._stop = True
        self._wake.send(b"x")
        self._thread.join(5)
        for s in (*self.sockets, self._wake, self._woken):
            s.close()


def reflect(_, s, data, client):
    """Send it back."""
    s.sendto(data, client)


def sink(*_):
    """Answer nothing."""


def whoami(_, s, data, client):
    """Tell the client's address and port, and what it sent."""
    s.sendto(f"{client[0]} {client[1]} ".encode() + data, client)


def from_another(server, s, data, client):
    """Answer by the server's other sockets only."""
    for other in server.sockets:
        if other is not s:
            other.sendto(data, client)


# --- numbered datagrams ---------------------------------------------------------------------------------------

_HEAD = struct.Struct(">QI")
SMALL, LARGE = 64, 1400


def numbered(n, least=SMALL, most=LARGE):
    """The n-th datagram: a size of its own, its number, and a checksum of all bytes."""
    size = least + n * 2654435761 % (most - least + 1)
    body = hashlib.shake_128(n.to_bytes(8, "big")).digest(size - _HEAD.size)
    return _HEAD.pack(n, int.from_bytes(hashlib.blake2s(body).digest()[:4], "big")) + body


def number_of(datagram):
    """The number of an intact datagram."""
    n, _ = _HEAD.unpack_from(datagram)
    assert datagram == numbered(n), f"datagram {n} has other bytes"
    return n
