"""HTTP/1 in raw bytes: messages read from sockets, and an origin that keeps every request that it received."""

import socket

from lab.origin import read_all, read_exactly
from lab.run import WAIT_S


class Message:
    """One request or response: start line, fields in order, body (content, without chunk framing)."""

    def __init__(self, raw_head):
        self.raw_head = raw_head
        lines = raw_head[:-4].decode("latin-1").split("\r\n")
        self.start = lines[0]
        self.fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            assert colon and name == name.strip(), f"a malformed field: {line!r}"
            self.fields.append((name, value.strip()))
        self.body, self.raw_body, self.trailers = b"", b"", b""

    @property
    def status(self):
        return int(self.start.split(" ", 2)[1])

    @property
    def method(self):
        return self.start.split(" ", 1)[0]

    @property
    def target(self):
        return self.start.split(" ")[1]

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        return next(iter(self.all(name)), default)

    def has_token(self, name, token):
        return token.lower() in [t.strip().lower() for v in self.all(name) for t in v.split(",")]

    def __repr__(self):
        return f"<{self.raw_head!r} {self.body[:200]!r}>"


class Reader:
    """Read messages from a socket, one after another, and keep the bytes that follow."""

    def __init__(self, s):
        self.s, self.rest = s, b""

    def _more(self):
        data = self.s.recv(65536)
        if not data:
            raise EOFError(f"the end after {self.rest[-300:]!r}")
        self.rest += data

    def line(self):
        while b"\r\n" not in self.rest:
            self._more()
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def exactly(self, n):
        got, self.rest = self.rest[:n], self.rest[n:]
        return got + read_exactly(self.s, n - len(got))

    def head(self):
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, mark, self.rest = self.rest.partition(b"\r\n\r\n")
        return Message(head + mark)

    def _chunked(self, m):
        while True:
            line = self.line()
            m.raw_body += line + b"\r\n"
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            chunk = self.exactly(size + 2)
            assert chunk.endswith(b"\r\n"), chunk[-10:]
            m.body += chunk[:-2]
            m.raw_body += chunk
        while line := self.line():
            m.trailers += line + b"\r\n"

    def message(self, method=None):
        """Read a request, or the response to a request of that method."""
        m = self.head()
        bodiless = method is not None and (method in ("HEAD", "CONNECT") or m.status < 200 or m.status in (204, 304))
        if bodiless:
            return m
        if m.has_token("Transfer-Encoding", "chunked"):
            self._chunked(m)
        elif m.get("Content-Length") is not None:
            m.body = self.exactly(int(m.get("Content-Length")))
        elif method is not None:
            m.body, self.rest = self.rest + read_all(self.s), b""
        return m

    def at_end(self):
        """Whether only the peer's FIN follows."""
        if self.rest:
            return False
        return self.s.recv(65536) == b""


class Client(Reader):
    """A raw HTTP client connection to the proxy."""

    def __init__(self, proxy, timeout=WAIT_S):
        s = socket.create_connection(proxy.address, timeout=timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())

    def send_slowly(self, data):
        """Send byte by byte, each in its own segment."""
        for i in range(len(data)):
            self.s.sendall(data[i : i + 1])

    def ask(self, data, method="GET"):
        self.send(data)
        return self.message(method)


def get(server, path="/", *fields, method="GET", version="1.1"):
    """A request for one of the test's servers, in the form that proxies receive."""
    lines = [f"{method} {server.url}{path} HTTP/{version}", f"Host: {server.hostport}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def response(status=200, body=b"", *fields, phrase="OK"):
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


class HttpOrigin:
    """Serve each request with `answer(request, socket)`, which returns the bytes to send, or None to end the
    connection.

    `requests` holds (connection number, request) of every request."""

    def __init__(self, open_origin, answer, **options):
        self.requests, self._answer, self._count = [], answer, 0
        self.server = open_origin(self._serve, **options)

    def __getattr__(self, name):
        return getattr(self.server, name)

    def _serve(self, s):
        self._count += 1
        number, reader = self._count, Reader(s)
        while True:
            try:
                request = reader.message()
            except EOFError:
                return
            self.requests.append((number, request))
            reply = self._answer(request, s)
            if reply is None:
                return
            s.sendall(reply)

    @property
    def targets(self):
        return [request.target for _, request in self.requests]
