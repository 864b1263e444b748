"""The tests' own SOCKS client, for details that other clients hide: raw bytes and their order."""

import socket
import struct

from lab.origin import read_exactly
from lab.run import WAIT_S


class Tunnel:
    """An open connection through the proxy. `source` is its local address in the proxy's reply."""

    def __init__(self, s, source, source_port):
        self.s, self.source, self.source_port = s, source, source_port

    def __getattr__(self, name):
        return getattr(self.s, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()


def open_to(proxy, timeout=WAIT_S):
    """A plain connection to the proxy itself."""
    s = socket.create_connection(proxy.address, timeout=timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def host5(host):
    """A host in SOCKS5 form: type and address."""
    for kind, family in ((1, socket.AF_INET), (4, socket.AF_INET6)):
        try:
            return bytes([kind]) + socket.inet_pton(family, host)
        except OSError:
            pass
    name = host.encode()
    return bytes([3, len(name)]) + name


def request5(host, port, command=1):
    return bytes([5, command, 0]) + host5(host) + struct.pack(">H", port)


def request4(host, port, user=b"", command=1):
    """A SOCKS4 request, or SOCKS4a if host is a name."""
    head = bytes([4, command]) + struct.pack(">H", port)
    try:
        return head + socket.inet_pton(socket.AF_INET, host) + user + b"\0"
    except OSError:
        return head + b"\0\0\0\1" + user + b"\0" + host.encode() + b"\0"


def auth5(user, password):
    return bytes([1, len(user)]) + user.encode() + bytes([len(password)]) + password.encode()


def read_reply5(s):
    """(code, address, port) of a SOCKS5 reply."""
    version, code, _, kind = read_exactly(s, 4)
    assert version == 5 and kind in (1, 4), (version, code, kind)
    raw = read_exactly(s, 4 if kind == 1 else 16)
    address = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, raw)
    return code, address, struct.unpack(">H", read_exactly(s, 2))[0]


def read_reply4(s):
    """(code, address, port) of a SOCKS4 reply."""
    zero, code, port = struct.unpack(">BBH", read_exactly(s, 4))
    assert zero == 0
    return code, socket.inet_ntoa(read_exactly(s, 4)), port


def socks5_code(proxy, host, port, command=1):
    """The code of the proxy's reply."""
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00" + request5(host, port, command))
        assert read_exactly(s, 2) == b"\x05\x00"
        return read_reply5(s)[0]


def socks5_connect(proxy, host, port, timeout=WAIT_S):
    """Open a tunnel; assert on the code."""
    s = open_to(proxy, timeout)
    try:
        s.sendall(b"\x05\x01\x00")
        assert read_exactly(s, 2) == b"\x05\x00"
        s.sendall(request5(host, port))
        code, source, source_port = read_reply5(s)
        assert code == 0, f"SOCKS5 reply {code} for {host}:{port}"
        return Tunnel(s, source, source_port)
    except BaseException:
        s.close()
        raise
