"""Bodies of plain HTTP from socket to socket: every byte, no byte too many, and truncated bodies are recognisable."""

import hashlib
import socket
import threading

import pytest

from lab.http import Client, HttpOrigin, Reader, get, response
from lab.origin import pattern, read_all, read_exactly, read_head, reset, unacknowledged
from lab.proxy import SANITIZED
from lab.run import WAIT_S, wait_for

MIB = 1024 * 1024


@pytest.fixture
def proxy(start):
    return start("wan1", "wan2")


def digest(data):
    return hashlib.sha256(data).hexdigest().encode()


def measured(request, _):
    """A body of the size in the path, or the digest of the received body."""
    if request.body:
        return response(200, digest(request.body))
    return response(200, pattern(int(request.target[1:]), request.target.encode()))


# Around the size of one read, and of a pipe; and one much larger.
SIZES = [1, 65_535, 65_536, 65_537, 131_072, 262_143, 262_145, 8 * MIB + 1]


def test_responses_end_where_they_should(proxy, origin):
    server = HttpOrigin(origin, measured)
    with Client(proxy) as c:
        for size in SIZES:
            m = c.ask(get(server, f"/{size}"))
            assert len(m.body) == size and m.body == pattern(size, f"/{size}".encode())
            assert c.rest == b""
    assert len(server.peers) == 1
    (line,) = proxy.connections(1)
    assert line["rx"] == sum(len(response(200, b"")) - 1 + len(str(size)) + size for size in SIZES)


def test_requests_end_where_they_should(proxy, origin):
    """All at once: the next request follows each body, and the two must not mix."""
    server = HttpOrigin(origin, measured)
    bodies = [pattern(size, b"up") for size in SIZES]
    stream = b"".join(get(server, "/", f"Content-Length: {len(b)}", method="POST") + b + get(server, "/70000") for b in bodies)
    with Client(proxy, timeout=30) as c:
        sender = threading.Thread(target=c.send, args=(stream,))
        sender.start()
        for body in bodies:
            assert c.message("POST").body == digest(body)
            assert c.message("GET").body == pattern(70_000, b"/70000")
        sender.join(WAIT_S)
    assert [r.body for _, r in server.requests[::2]] == bodies and len(server.peers) == 1
    (line,) = proxy.connections(1)
    assert line["tx"] == sum(len(r.raw_head) + len(r.body) for _, r in server.requests)


def test_large_chunks_arrive_as_they_were_sent(proxy, origin):
    sizes = [1, 65_000, 300_000, 16, 2 * MIB]
    framing = b"".join(b"%x\r\n%b\r\n" % (n, pattern(n)) for n in sizes) + b"0\r\nA: b\r\n\r\n"
    content = b"".join(pattern(n) for n in sizes)
    server = HttpOrigin(origin, lambda r, _: response(200, digest(r.body)) if r.body else b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framing)
    with Client(proxy, timeout=30) as c:
        for _ in range(2):
            m = c.ask(get(server))
            assert m.body == content and m.trailers == b"A: b\r\n"
            c.send(get(server, "/", "Transfer-Encoding: chunked", method="POST") + framing)
            assert c.message("POST").body == digest(content)
    assert len(server.peers) == 1
    with Client(proxy, timeout=30) as c:
        assert c.ask(get(server, version="1.0")).body == content


def test_bytes_after_an_answer_are_not_the_next_answer(proxy, origin):
    """However the segments are cut, these bytes must not reach the next request."""
    false = response(200, b"false")

    def talkative(request, _):
        size = int(request.target[1:])
        return response(200, pattern(size)) + (false if size else b"")

    server = HttpOrigin(origin, talkative)
    for size in (10, 65_536, 1_000_000):
        with Client(proxy) as c:
            c.send(get(server, f"/{size}") + get(server, "/0"))
            assert c.message("GET").body == pattern(size)
            assert c.message("GET").body == b""
            assert c.rest == b""


def test_a_small_answer_is_one_segment(proxy, origin):
    server = HttpOrigin(origin, lambda *_: response(200, b"x" * 1000))
    with Client(proxy) as c:
        for _ in range(20):
            c.send(get(server))
            assert c.s.recv(65536).endswith(b"\r\n\r\n" + b"x" * 1000)


# --- truncated bodies ---


@pytest.mark.parametrize("fields", [["Content-Length: 20000000"], []])
def test_a_server_that_resets_during_its_answer(proxy, origin, fields):
    read = threading.Event()

    def half(s):
        read_head(s)
        s.sendall("\r\n".join(["HTTP/1.1 200 OK", *fields, "", ""]).encode() + pattern(4 * MIB))
        assert read.wait(WAIT_S)
        reset(s)

    server = origin(half)
    with Client(proxy) as c:
        c.send(get(server))
        c.head()
        c.exactly(2 * MIB)
        read.set()
        with pytest.raises(ConnectionResetError) if not fields else pytest.raises((ConnectionResetError, EOFError)):
            read_exactly(c.s, 20_000_000)
            raise AssertionError("that much was not sent")
    assert proxy.connections(1)[0]["outcome"] == "reset"


CHUNKED = ["Transfer-Encoding: chunked"]
CHUNK = b"989680\r\n"  # 10,000,000 bytes
SAID = 200_000


def breaking_off(origin, fields, taken=None):
    """A server that resets in the middle of its answer, when the proxy's kernel has all of it (and `taken` is set)."""

    def breaks_off(s):
        read_head(s)
        head = "\r\n".join(["HTTP/1.1 200 OK", *fields, "", ""]).encode()
        s.sendall(head + (CHUNK if fields == CHUNKED else b"") + pattern(SAID))
        wait_for(lambda: unacknowledged(s) == 0, "all is with the proxy")
        assert taken is None or taken.wait(WAIT_S)
        reset(s)

    return origin(breaks_off)


class SmallClient(Client):
    """A client with a small receive buffer: what it does not read stays in the proxy."""

    def __init__(self, proxy):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(WAIT_S)
        s.connect(proxy.address)
        Reader.__init__(self, s)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("fields", [["Content-Length: 10000000"], CHUNKED, []], ids=["length", "chunked", "until close"])
def test_a_servers_bytes_before_its_reset_arrive_first(proxy, origin, fields, version):
    """As in a tunnel, at the client's pace: all bytes first, then the reset."""
    taken = threading.Event()
    server = breaking_off(origin, fields, taken)
    with SmallClient(proxy) as c:
        c.send(get(server, version=version))
        if c.head().has_token("Transfer-Encoding", "chunked"):
            assert c.exactly(len(CHUNK)) == CHUNK
        body = c.exactly(SAID - 20_000)
        taken.set()
        assert proxy.connections(1)[0]["outcome"] == "reset"  # the proxy has noticed it, while the client has not read on
        body += c.exactly(20_000)
        assert body == pattern(SAID)
        with pytest.raises(ConnectionResetError):
            c.s.recv(1)


def test_a_reset_waits_for_a_reader_no_longer_than_its_idle_time(start, origin):
    proxy = start("wan1", "--idle-timeout", "5")
    with SmallClient(proxy) as c:
        c.send(get(breaking_off(origin, [])))
        c.head()
        c.exactly(SAID - 20_000)
        proxy.connections(1)
        proxy.settled()
        with pytest.raises(ConnectionResetError):
            c.exactly(20_001)


def test_a_begun_answer_is_sent_when_the_request_turns_out_malformed(proxy, origin):
    """The answer has begun, so no other can be sent. The log line tells how much was read from the server."""
    start_line, body = b"HTTP/1.1 200 OK\r\n\r\n", pattern(32 * MIB)
    full, ended = threading.Event(), threading.Event()

    def fills(s):
        read_head(s)
        s.settimeout(0.3)
        with pytest.raises(TimeoutError):  # the proxy takes no more
            s.sendall(start_line + body)
        full.set()
        assert ended.wait(WAIT_S)

    server = origin(fills)
    with SmallClient(proxy) as c:
        c.send(get(server, "/", "Transfer-Encoding: chunked", method="POST"))
        c.head()
        assert full.wait(WAIT_S)
        c.send("no chunk\r\n")
        came = proxy.connections(1)[0]["rx"] - len(start_line)
        ended.set()
        assert c.exactly(came) == body[:came]
        with pytest.raises(ConnectionResetError):
            c.s.recv(1)


def test_a_client_that_leaves_before_it_is_reset_is_noticed(proxy, origin):
    with SmallClient(proxy) as c:
        c.send(get(breaking_off(origin, [])))
        c.head()
        c.exactly(SAID - 20_000)
        assert proxy.connections(1)[0]["outcome"] == "reset"
        reset(c.s)
        proxy.settled()


def test_a_client_that_resets_during_its_answer(proxy, origin):
    broken = []

    def endless(s):
        read_head(s)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        try:
            while True:
                s.sendall(bytes(MIB))
        except OSError as error:
            broken.append(error)

    server = origin(endless)
    c = Client(proxy)
    c.send(get(server))
    c.head()
    c.exactly(2 * MIB)
    reset(c.s)
    wait_for(lambda: broken, "the server hears of it")
    assert proxy.connections(1)[0]["outcome"] == "reset"


@pytest.mark.parametrize("framing", [b"5", b"5;a", b"5\r\nhello\r", b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\nA: b\r\n\r"])
def test_a_client_that_leaves_within_the_framing(proxy, origin, framing):
    """Incomplete framing waits for more. When none comes, the proxy neither completes it nor waits."""

    def takes(s):
        read_head(s)
        return read_all(s)

    server = origin(takes)
    with Client(proxy) as c:
        c.send(get(server, "/", "Transfer-Encoding: chunked", method="POST") + framing)
        c.s.shutdown(socket.SHUT_WR)
        assert c.s.recv(1) == b"", "there is no answer to half a request"
    assert proxy.connections(1)[0]["outcome"] == "reset"
    wait_for(lambda: server.results, "the server has had it all")
    assert not server.results[0].endswith(b"0\r\n\r\n")


def test_a_client_that_leaves_within_its_request(proxy, origin):
    def takes(s):
        read_head(s)
        return len(read_all(s))

    server = origin(takes)
    with Client(proxy) as c:
        c.send(get(server, "/", "Content-Length: 10000000", method="POST") + bytes(3 * MIB))
        c.s.shutdown(socket.SHUT_WR)
        assert c.s.recv(1) == b"", "there is no answer to half a request"
    assert proxy.connections(1)[0]["outcome"] == "reset"


def test_an_answer_until_close_that_breaks_with_the_upload_is_reset(proxy, origin):
    """The upload shows that the server is gone, while nobody reads the answer. The part of the answer that came is
    incomplete. The rest of the upload cannot be sent, and must not keep the client from reading."""
    gone = threading.Event()

    def leaves(s):
        read_head(s)
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        s.settimeout(0.3)
        with pytest.raises(TimeoutError):  # the proxy takes no more
            while True:
                s.sendall(bytes(MIB))
        reset(s)
        gone.set()

    server = origin(leaves)
    with Client(proxy) as c:
        c.send(get(server, "/", "Content-Length: 1000000000", method="POST"))
        assert gone.wait(WAIT_S)
        c.send(bytes(32 * MIB))
        with pytest.raises(ConnectionResetError):
            while c.s.recv(65536):
                pass
    assert proxy.connections(1)[0]["outcome"] == "reset"


def test_an_answer_cut_by_the_end_of_the_proxy_does_not_look_complete(proxy, origin):
    """All of the answer has reached the proxy. The client learns by a reset that the rest is missing."""
    size, full = 64 * MIB, threading.Event()

    def floods(s):
        read_head(s)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        s.settimeout(0.3)
        with pytest.raises(TimeoutError):  # the proxy takes no more
            s.sendall(bytes(size))
        full.set()
        wait_for(lambda: proxy.process.poll() is not None, "the proxy has ended")

    server = origin(floods)
    with Client(proxy) as c:
        c.send(get(server))
        assert full.wait(WAIT_S)
        proxy.stop()
        with pytest.raises(ConnectionResetError):
            while c.s.recv(65536):
                pass


@pytest.mark.parametrize("field, body", [("Content-Length: 5000000", bytes(5_000_000)), ("Transfer-Encoding: chunked", (b"3e8;x\r\n" + bytes(1000) + b"\r\n") * 5000 + b"0\r\n\r\n")], ids=["length", "chunks"])
def test_an_early_refusal_reaches_a_client_that_sends_on(proxy, origin, field, body):
    """The server is gone; the client reads no answer before it has sent its body."""

    def refuse(s):
        read_head(s)
        s.sendall(response(413, b"too big", "Connection: close"))
        s.shutdown(socket.SHUT_WR)
        read_exactly(s, 100_000)

    server = origin(refuse)
    with Client(proxy) as c:
        c.send(get(server, "/", field, method="POST"))
        c.send(body)
        assert c.message("POST").status == 413


# --- memory ---


def in_pieces(s, data):
    """Each is read separately, since the peer's kernel has received the one before."""
    for piece in data:
        s.sendall(piece)
        wait_for(lambda: unacknowledged(s) == 0, "the piece has arrived")


def assert_small(proxy, kept, first, more):
    """The first connections set up what all share; each one more takes little memory. kept() opens one."""
    clients = [kept() for _ in range(first)]
    before = proxy.resident()
    clients += [kept() for _ in range(more)]
    grown = (proxy.resident() - before) / more
    for c in clients:
        c.s.close()
    print(f"{grown:.0f} bytes for each")
    assert SANITIZED or grown < 8192


def test_a_kept_connection_holds_no_buffers_of_heads(proxy, origin):
    """Heads that arrive in pieces wait in the connection's own buffers."""

    def answer(_, s):
        in_pieces(s, [b"HTTP/1.1 200 OK\r\na: " + b"a" * 60_000, b"b" * 60_000, b"\r\nContent-Length: 2\r\n\r\n"])
        return b"ok"

    server = HttpOrigin(origin, answer)

    def kept():
        c = Client(proxy)
        request = get(server, "/", "a: " + "a" * 30_000)
        in_pieces(c.s, [request[:10], request[10:20_000], request[20_000:]])
        assert c.message("GET").body == b"ok"
        return c

    assert_small(proxy, kept, 20, 60)


def test_a_kept_connection_holds_no_buffers(proxy, origin):
    server = HttpOrigin(origin, measured)

    def kept():
        c = Client(proxy)
        assert len(c.ask(get(server, "/100000")).body) == 100_000
        c.send(get(server, "/", "Content-Length: 100000", method="POST") + bytes(100_000))
        assert c.message("POST").body == digest(bytes(100_000))
        return c

    assert_small(proxy, kept, 30, 120)
