"""Plain HTTP through the proxy, in raw bytes: connections, framing, interim responses, protocol changes."""

import hashlib
import threading

import pytest

from lab.http import Client, HttpOrigin, Reader, get, response
from lab.origin import pattern, read_all, read_head, reset
from lab.proxy import SANITIZED
from lab.run import WAIT_S, wait_for


def told(request, _):
    """Answers with the request."""
    return response(200, f"{request.method} {request.target} {len(request.body)}".encode())


@pytest.fixture
def server(origin):
    return HttpOrigin(origin, told)


@pytest.fixture
def proxy(start):
    return start("wan1", "wan2")


# --- connections ---


def test_one_upstream_connection_serves_many_requests(proxy, server):
    with Client(proxy) as c:
        for i in range(20):
            assert c.ask(get(server, f"/{i}")).body == f"GET /{i} 0".encode()
    assert [number for number, _ in server.requests] == [1] * 20
    (line,) = proxy.connections(1)
    assert (line["proto"], line["outcome"]) == ("http", "closed")


def test_another_destination_takes_another_connection(proxy, server, origin):
    other = HttpOrigin(origin, lambda *_: response(200, b"other"))
    with Client(proxy) as c:
        for _ in range(3):
            assert c.ask(get(server, "/x")).body == b"GET /x 0"
            assert c.ask(get(other)).body == b"other"
    assert len(server.peers) == 3 and len(other.peers) == 3
    assert len(proxy.connections(6)) == 6


def test_pipelined_requests_are_answered_in_order(proxy, server):
    count = 50
    with Client(proxy) as c:
        c.send(b"".join(get(server, f"/{i}") for i in range(count)))
        assert [c.message("GET").body for _ in range(count)] == [f"GET /{i} 0".encode() for i in range(count)]
    assert len(server.peers) == 1


def test_pipelined_requests_with_bodies_and_a_tunnel_at_last(proxy, server, origin):
    echo = origin(lambda s: s.sendall(b"echo " + s.recv(100)))
    post = get(server, "/p", "Content-Length: 5", method="POST") + b"hello"
    connect = f"CONNECT {echo.hostport} HTTP/1.1\r\nHost: {echo.hostport}\r\n\r\nearly".encode()
    with Client(proxy) as c:
        c.send(post + get(server, "/g") + post + connect)
        assert [c.message("GET").body for _ in range(3)] == [b"POST /p 5", b"GET /g 0", b"POST /p 5"]
        assert c.message("CONNECT").status == 200
        assert c.rest + read_all(c.s) == b"echo early"


def test_a_client_that_ends_after_its_requests_gets_every_answer(proxy, server):
    with Client(proxy) as c:
        c.send(b"".join(get(server, f"/{i}") for i in range(5)))
        c.s.shutdown(1)
        assert [c.message("GET").body for _ in range(5)] == [f"GET /{i} 0".encode() for i in range(5)]
        assert c.at_end()


def test_a_kept_connection_that_its_server_closed_is_replaced(proxy, origin):
    answered = []

    def once(request, s):
        answered.append(request.target)
        s.sendall(response(200, b"once"))

    server = HttpOrigin(origin, once)
    with Client(proxy) as c:
        for i in range(5):
            assert c.ask(get(server, f"/{i}")).body == b"once"
    assert answered == [f"/{i}" for i in range(5)]
    assert len(server.peers) == 5


def test_a_request_lost_on_a_kept_connection_is_repeated_if_that_is_safe(proxy, origin):
    """The server resets a connection just when it is used again: GET is repeated, POST is not."""
    kept = threading.Event()

    def second_breaks(request, s):
        if kept.is_set():
            kept.clear()
            reset(s)
            return None
        kept.set()
        return response(200, request.method.encode())

    server = HttpOrigin(origin, second_breaks)
    with Client(proxy) as c:
        assert c.ask(get(server, "/1")).body == b"GET"
        assert c.ask(get(server, "/2")).body == b"GET"
    assert server.targets == ["/1", "/2", "/2"]
    kept.clear()
    with Client(proxy) as c:
        assert c.ask(get(server, "/3")).body == b"GET"
        c.send(get(server, "/4", "Content-Length: 2", method="POST") + b"ab")
        assert c.at_end(), "the client itself must decide whether to repeat it"
    assert server.targets[3:] == ["/3", "/4"]


@pytest.mark.parametrize("version, fields, kept", [
    ("1.1", [], True),
    ("1.1", ["Connection: close"], False),
    ("1.1", ["Proxy-Connection: close"], False),
    ("1.0", [], False),
    ("1.0", ["Connection: keep-alive"], False),
    ("1.0", ["Proxy-Connection: keep-alive"], False),
])  # fmt: skip
def test_the_clients_connection_is_kept_as_it_asks(proxy, server, version, fields, kept):
    with Client(proxy) as c:
        m = c.ask(get(server, "/", *fields, version=version))
        assert m.body == b"GET / 0"
        assert m.has_token("Connection", "close") == (not kept)
        if kept:
            assert c.ask(get(server, "/2")).body == b"GET /2 0"
        else:
            assert c.at_end()
    assert server.requests[0][1].start == "GET / HTTP/1.1"


# --- bodies ---


def test_byte_by_byte(proxy, server):
    body = b"5\r\nhello\r\n0\r\n\r\n"
    with Client(proxy) as c:
        c.send_slowly(get(server, "/slow", "Transfer-Encoding: chunked", method="POST") + body)
        assert c.message("POST").body == b"POST /slow 5"
        c.send_slowly(get(server, "/again"))
        assert c.message("GET").body == b"GET /again 0"


def test_a_chunked_request_arrives_as_it_was_sent(proxy, server):
    framing = b'3;ext="a\\"b"\r\nabc\r\n00a\r\n0123456789\r\n0\r\nChecksum: xyz\r\n\r\n'
    with Client(proxy) as c:
        for _ in range(2):
            c.send(get(server, "/c", "Transfer-Encoding: chunked", "Trailer: Checksum", method="PUT") + framing)
            assert c.message("PUT").body == b"PUT /c 13"
    request = server.requests[0][1]
    assert request.body == b"abc0123456789" and request.trailers == b"Checksum: xyz\r\n"
    assert request.get("Trailer") == "Checksum" and request.all("Transfer-Encoding") == ["chunked"]


def test_a_chunked_response_arrives_as_it_was_sent(proxy, origin):
    framing = b"4\r\nwiki\r\n6;x=y\r\npedia \r\n0\r\nA: b\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n"
    server = HttpOrigin(origin, lambda *_: head + framing)
    with Client(proxy) as c:
        for _ in range(3):
            m = c.ask(get(server))
            assert (m.body, m.trailers) == (b"wikipedia ", b"A: b\r\n")
            assert m.all("Transfer-Encoding") == ["chunked"]
    assert len(server.peers) == 1
    with Client(proxy) as c:
        c.send(get(server, version="1.0"))
        m = c.message("GET")
        assert m.get("Transfer-Encoding") is None, "HTTP/1.0 knows no chunks"
        assert m.body == b"wikipedia " and m.has_token("Connection", "close")


def test_a_chunked_response_byte_by_byte(proxy, origin):
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"

    def slowly(_, s):
        for i in range(len(reply)):
            s.sendall(reply[i : i + 1])
        return b""

    server = HttpOrigin(origin, slowly)
    with Client(proxy) as c:
        for _ in range(2):
            assert c.ask(get(server)).body == b"ok"


def test_responses_without_a_body(proxy, origin):
    """The heads may state a length, but no body follows. The next response begins right after the head."""

    def bodiless(request, _):
        if request.method == "HEAD":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        if request.target == "/304":
            return b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: x\r\n\r\n"
        if request.target == "/204":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        return response(200, b"body")

    server = HttpOrigin(origin, bodiless)
    with Client(proxy) as c:
        m = c.ask(get(server, method="HEAD"), "HEAD")
        assert (m.status, m.get("Content-Length")) == (200, "1000")
        assert c.ask(get(server, "/304")).status == 304
        m = c.ask(get(server, "/204"))
        assert (m.status, m.get("Content-Length")) == (204, None)
        assert c.ask(get(server)).body == b"body"
        assert c.rest == b""
    assert len(server.peers) == 1


def test_a_response_until_close(proxy, origin):
    content = pattern(300_000)

    def until_close(_, s):
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + content)

    server = HttpOrigin(origin, until_close)
    with Client(proxy) as c:
        m = c.ask(get(server))
        assert m.body == content and m.has_token("Connection", "close")


def test_large_bodies_both_ways(proxy, origin):
    size = 50 * 1024 * 1024
    content = pattern(size)
    digest = hashlib.sha256(content).hexdigest().encode()

    def big(request, _):
        if request.method == "POST":
            return response(200, hashlib.sha256(request.body).hexdigest().encode())
        return response(200, content)

    server = HttpOrigin(origin, big)
    with Client(proxy, timeout=60) as c:
        assert hashlib.sha256(c.ask(get(server)).body).hexdigest().encode() == digest
        c.send(get(server, "/", f"Content-Length: {size}", method="POST"))
        c.send(content)
        assert c.message("POST").body == digest
    (line,) = proxy.connections(1)
    assert size < line["tx"] < size + 1000 and size < line["rx"] < size + 1000


def test_an_answer_before_the_request_is_whole(proxy, origin):
    """The server refuses an upload before its body. The answer arrives although the body never ends."""

    def refuse(s):
        read_head(s)
        s.sendall(response(413, b"too big", "Connection: close", phrase="Content Too Large"))
        s.shutdown(1)
        read_all(s)

    server = origin(refuse)
    with Client(proxy) as c:
        c.send(get(server, "/", "Content-Length: 100000000", method="POST") + b"x" * 1000)
        m = c.message("POST")
        assert (m.status, m.body) == (413, b"too big")
        assert m.has_token("Connection", "close")
        assert c.at_end()


# --- interim responses, expectations, other protocols ---


def test_interim_responses_are_passed_on(proxy, origin):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    server = HttpOrigin(origin, lambda *_: b"HTTP/1.1 102 Processing\r\n\r\n" + hints + response(200, b"at last"))
    with Client(proxy) as c:
        for _ in range(2):
            c.send(get(server))
            assert c.message("GET").status == 102
            m = c.message("GET")
            assert (m.status, m.get("Link")) == (103, "</style.css>; rel=preload")
            assert c.message("GET").body == b"at last"
    with Client(proxy) as c:
        m = c.ask(get(server, "/", version="1.0"))
        assert (m.status, m.body) == (200, b"at last"), "HTTP/1.0 knows no interim responses"


def test_expect_100_continue(proxy, origin):
    def careful(s):
        reader = Reader(s)
        head = reader.head()
        if head.target == "/no":
            s.sendall(response(417, b"", "Connection: close", phrase="Expectation Failed"))
            return None
        assert head.get("Expect") == "100-continue"
        s.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        s.sendall(response(200, reader.exactly(4)))
        return "served"

    server = origin(careful)
    ask = ["Expect: 100-continue", "Content-Length: 4"]
    with Client(proxy) as c:
        c.send(get(server, "/yes", *ask, method="POST"))
        assert c.message("POST").status == 100
        c.send(b"body")
        assert c.message("POST").body == b"body"
    with Client(proxy) as c:
        assert c.ask(get(server, "/no", *ask, method="POST"), "POST").status == 417
    assert server.result() == "served" and len(server.results) == 1 and not server.errors


def websocket(s):
    reader = Reader(s)
    head = reader.head()
    assert head.get("Upgrade") == "websocket" and head.has_token("Connection", "upgrade"), head
    assert head.get("Sec-WebSocket-Key") == "dGhlIHNhbXBsZSBub25jZQ=="
    s.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nserver first"
    )
    got = reader.rest + read_all(s)
    s.sendall(b"server last")
    return got


@pytest.mark.parametrize("early", [b"", b"client first"])
def test_upgrade_to_websocket(proxy, origin, early):
    server = origin(websocket)
    fields = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    with Client(proxy) as c:
        c.send(get(server, "/chat", *fields) + early)
        m = c.message("GET")
        assert m.status == 101 and m.get("Upgrade") == "websocket" and m.has_token("Connection", "upgrade")
        assert m.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert c.exactly(12) == b"server first"
        c.send(b"\x00\xff bytes of any kind")
        c.s.shutdown(1)
        assert c.rest + read_all(c.s) == b"server last"
    assert server.result() == early + b"\x00\xff bytes of any kind"
    assert proxy.connections(1)[0]["outcome"] == "closed"


def test_an_upgrade_that_the_server_declines(proxy, server):
    with Client(proxy) as c:
        for _ in range(2):
            m = c.ask(get(server, "/", "Upgrade: websocket", "Connection: Upgrade"))
            assert m.body == b"GET / 0" and m.get("Upgrade") is None
    assert len(server.peers) == 1


def test_an_http_1_0_origin(proxy, origin):
    def old(_, s):
        s.sendall(b"HTTP/1.0 200 OK\r\n\r\nold")

    server = HttpOrigin(origin, old)
    with Client(proxy) as c:
        m = c.ask(get(server))
        assert (m.start, m.body) == ("HTTP/1.1 200 OK", b"old")


# --- slow peers, silent peers, and truncated answers ---


def test_slow_readers_bound_memory(proxy, origin):
    """A client that does not read its download, or a server that does not read its upload, stops the other side."""
    size = 64 * 1024 * 1024
    go_on = threading.Event()
    content = pattern(1024 * 1024) * 64
    received = []

    def server_side(s):
        reader = Reader(s)
        head = reader.head()
        if head.method == "GET":
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            s.sendall(content)
            return
        assert go_on.wait(2 * WAIT_S)
        received.append(hashlib.sha256(reader.exactly(size)).hexdigest())
        s.sendall(response(200, b"done"))

    server = origin(server_side)
    with Client(proxy, timeout=30) as down, Client(proxy, timeout=30) as up:
        assert up.s.send(get(server, "/", f"Content-Length: {size}", method="POST")) > 0
        down.send(get(server))
        before = proxy.resident()
        sender = threading.Thread(target=up.send, args=(content,))
        sender.start()
        with pytest.raises(AssertionError):
            wait_for(lambda: not sender.is_alive(), "the upload to end", timeout=1)
        assert SANITIZED or proxy.resident() - before < 2 * 1024 * 1024
        go_on.set()
        assert up.message("POST").body == b"done"
        sender.join(WAIT_S)
        assert down.message("GET").body == content
    assert received == [hashlib.sha256(content).hexdigest()] and not server.errors


def test_a_long_pipeline(proxy, server):
    """More requests at once than any buffer holds."""
    count = 1500
    requests = b"".join(get(server, f"/{i}", "X-Long: " + "x" * 100) for i in range(count))
    with Client(proxy, timeout=30) as c:
        sender = threading.Thread(target=c.send, args=(requests,))
        sender.start()
        assert [c.message("GET").body for _ in range(count)] == [f"GET /{i} 0".encode() for i in range(count)]
        sender.join(WAIT_S)


def test_a_server_that_says_nothing(start, origin):
    proxy = start("wan1", "--idle-timeout", "1")
    server = origin(lambda s: read_all(s) and None)
    with Client(proxy) as c:
        m = c.ask(get(server))
        assert (m.status, m.get("Proxy-Status")) == (504, "steerway; error=http_response_timeout")
        assert c.at_end()
    assert proxy.connections(1)[0]["outcome"] == "idle"


@pytest.mark.parametrize("ending", ["idle", "shutdown"])
def test_a_response_until_close_that_the_proxy_ends_is_reset(start, origin, ending):
    """The answer has no length, so a truncated one must end with a reset, not with a FIN."""
    proxy = start("wan1", "--idle-timeout", "1" if ending == "idle" else "60")

    def half(s):
        read_head(s)
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        read_all(s)

    server = origin(half)
    with Client(proxy) as c:
        c.send(get(server))
        c.head()
        if ending == "shutdown":
            proxy.stop()
        with pytest.raises(ConnectionResetError):
            while c.s.recv(65536):
                pass
    assert proxy.connections(1)[0]["outcome"] == ending


def test_a_kept_connection_is_not_used_again_over_a_dead_uplink(start, lab, origin):
    proxy = start("wan1", "wan2")
    server = HttpOrigin(origin, told)
    with Client(proxy) as one, Client(proxy) as two:
        for c in (one, two):
            assert c.ask(get(server)).body == b"GET / 0"
        assert set(server.peers) == {lab.wan1.addr4, lab.wan2.addr4}
        lab.wan2.down()
        proxy.wait_event("uplink_down", uplink="wan2")
        for c in (one, two):
            assert c.ask(get(server)).body == b"GET / 0"
    assert len(server.peers) == 3 and server.peers[2] == lab.wan1.addr4


def test_a_kept_connection_uses_keepalives(proxy, server, lab):
    with Client(proxy) as c:
        assert c.ask(get(server)).body == b"GET / 0"
        (line,) = lab.home.sh(f"ss -tnoH state established dport = :{server.port}").splitlines()
    assert "timer:(keepalive,1min" in line or "timer:(keepalive,2min" in line


def test_accounts_hold_the_bytes_of_both_sides(proxy, server):
    with Client(proxy) as c:
        for _ in range(3):
            c.ask(get(server))
    (line,) = proxy.connections(1)
    assert line["tx"] == sum(len(r.raw_head) for _, r in server.requests)
    assert line["rx"] == 3 * len(response(200, b"GET / 0"))
    assert 0 <= line["duration"] < WAIT_S
