"""Servers that a single test opens on the internet: one thread per connection runs the test's handler."""

import fcntl
import hashlib
import socket
import struct
import termios
import threading

from lab.run import wait_for
from lab.topology import OPEN4

TIMEOUT_S = 60


def reset(s):
    """Close with a reset instead of a FIN."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def unacknowledged(s):
    """Bytes sent that the peer has not acknowledged yet (SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, b"\0" * 4))[0]


def read_all(s, limit=1 << 30):
    """Everything until the peer's FIN."""
    parts, size = [], 0
    while size < limit:
        data = s.recv(65536)
        if not data:
            break
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def read_exactly(s, n):
    parts, left = [], n
    while left:
        data = s.recv(min(65536, left))
        if not data:
            raise EOFError(f"the end after {n - left} of {n} bytes: {b''.join(parts)[-200:]!r}")
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def read_head(s):
    """An HTTP head with its empty line, read byte by byte, so that nothing after it is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = s.recv(1)
        if not byte:
            raise EOFError(f"the end within a head: {head!r}")
        head += byte
    return head


def pattern(n, seed=b"steerway"):
    """n bytes without repetition, the same each time."""
    return hashlib.shake_128(seed).digest(n)


def echo(s):
    while data := s.recv(65536):
        s.sendall(data)


def states_towards(server):
    """The states of the household's connections to the server, as in /proc/net/tcp: "05" is FIN_WAIT2, "06" TIME_WAIT."""
    tables = ""
    for name in ("tcp", "tcp6"):
        with open(f"/proc/thread-self/net/{name}", encoding="ascii") as table:
            tables += table.read()
    rows = [line.split() for line in tables.splitlines() if line.strip()[0].isdigit()]
    return [row[3] for row in rows if row[2].endswith(f":{server.port:04X}")]


def at_rest(server):
    """Wait until the household has nothing more to send to the server, so that later packets belong to what follows."""
    wait_for(lambda: set(states_towards(server)) <= {"06"}, "all connections to the server have ended")


class Origin:
    """Listen on the internet; `handler(socket)` serves each connection, and may return a note for `results`."""

    def __init__(self, netns, handler, address=OPEN4, port=0, backlog=512):
        self.listener = netns.listen(address, port, backlog)
        self.address, self.port = self.listener.getsockname()[:2]
        self.handler = handler
        self.peers, self.results, self.errors = [], [], []
        self._sockets = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def hostport(self):
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def url(self):
        return f"http://{self.hostport}"

    def _accept(self):
        while True:
            try:
                s, peer = self.listener.accept()
            except OSError:  # close() has shut it down
                return
            s.settimeout(TIMEOUT_S)
            self.peers.append(peer[0])
            self._sockets.append(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            with s:
                note = self.handler(s)
                if note is not None:
                    self.results.append(note)
        except (OSError, EOFError, AssertionError) as error:
            self.errors.append(error)

    def result(self, n=0, timeout=TIMEOUT_S):
        """The n-th note; raises the handler's error here."""

        def ready():
            return len(self.results) > n or self.errors

        wait_for(ready, f"note {n} of the server", timeout)
        if len(self.results) <= n:
            raise self.errors[0]
        return self.results[n]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(5)
        self.listener.close()
        for s in self._sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # ended already
