"""Slow clients get everything that was sent to them; silent clients are closed."""

import socket
import time
from pathlib import Path

import pytest

from lab.clients import curl_by
from lab.http import Client, HttpOrigin, get, response
from lab.origin import pattern, read_all, read_exactly
from lab.run import wait_for
from lab.socks import auth5, open_to, read_reply4, request4, request5

# Fits the proxy's buffers, so its server is done long before a slow client is.
BODY = pattern(60_000)


@pytest.fixture
def small_buffers(lab):
    """Small buffers in the kernel: what a client does not read stays in the proxy."""
    room = Path("/proc/sys/net/ipv4/tcp_wmem")
    before = room.read_text(encoding="ascii")
    room.write_text("4096 8192 8192", encoding="ascii")
    yield
    room.write_text(before, encoding="ascii")


class SlowClient(Client):
    """Reads nothing until it is asked to."""

    def __init__(self, proxy):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        s.connect(proxy.address)
        self.s, self.rest = s, b""


def served(server):
    wait_for(lambda: server.requests, "the server has answered")


@pytest.fixture
def server(origin):
    return HttpOrigin(origin, lambda *_: response(200, BODY))


@pytest.fixture
def closing_server(origin):
    """Ends its content by closing the connection."""

    def answer(_, s):
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)

    return HttpOrigin(origin, answer)


# --- slow ---


def test_a_slow_client_gets_the_whole_response(start, small_buffers, server, closing_server):
    """Also when it pauses for longer than an answer to the FIN may take: on a connection that is kept, that is closed
    by the request, and that is closed by the server."""
    proxy = start("wan1")
    with SlowClient(proxy) as kept, SlowClient(proxy) as closed, SlowClient(proxy) as until_close:
        kept.send(get(server))
        closed.send(get(server, "/", "Connection: close"))
        until_close.send(get(closing_server))
        wait_for(lambda: len(server.requests) == 2 and closing_server.requests, "the servers have answered")
        time.sleep(6)  # the test: that nothing happens in this time
        for c in (kept, closed, until_close):
            assert c.message("GET").body == BODY


def test_a_client_that_ends_after_its_request_gets_the_whole_response(start, small_buffers, server):
    proxy = start("wan1")
    with SlowClient(proxy) as c:
        c.send(get(server))
        served(server)
        c.s.shutdown(socket.SHUT_WR)
        time.sleep(0.5)  # time for the FIN to be seen while the response still waits
        assert c.message("GET").body == BODY


def test_draining_lets_a_slow_client_read_its_response(start, small_buffers, server):
    proxy = start("wan1", "--drain-timeout", "20")
    with SlowClient(proxy) as c:
        c.send(get(server))
        served(server)
        proxy.stop_softly()
        assert c.message("GET").body == BODY
        assert c.at_end()
    assert proxy.wait() == 0


def test_a_client_that_takes_little_at_a_time_is_not_idle(start, small_buffers, server):
    proxy = start("wan1", "--idle-timeout", "2")
    with SlowClient(proxy) as c:
        c.send(get(server))
        head = c.head()
        body = c.rest
        began = time.monotonic()
        while len(body) < len(BODY):
            body += c.s.recv(2000)
            time.sleep(0.1)  # slow on purpose
        assert time.monotonic() - began > 2.5
    assert head.status == 200 and body == BODY


def test_a_client_that_reads_nothing_is_reset_in_the_end(start, small_buffers, closing_server):
    """A truncated response must not look complete."""
    proxy = start("wan1", "--idle-timeout", "1")
    with SlowClient(proxy) as c:
        c.send(get(closing_server))
        proxy.connections(1)
        wait_for(lambda: proxy.open_connections() == 0, "the proxy gives it up")
        with pytest.raises(ConnectionResetError):
            read_all(c.s)


# --- silent ---


def test_a_client_that_does_not_close_is_closed(start):
    proxy = start("wan1")
    with open_to(proxy) as s:
        s.sendall(b"\xff")
        assert b" 400 " in s.recv(4096)
        assert s.recv(1) == b""
        wait_for(lambda: proxy.open_connections() == 0, "it is closed though the client is not")


def test_a_kept_connection_without_requests_is_idle(start, server):
    proxy = start("wan1", "--idle-timeout", "1", "--handshake-timeout", "20")
    with Client(proxy) as c:
        assert c.ask(get(server)).status == 200
        assert c.at_end()
    assert proxy.connections(1)[0]["outcome"] == "idle"


def test_the_next_request_must_come_in_time_too(start, server):
    proxy = start("wan1", "--handshake-timeout", "1")
    with Client(proxy) as c:
        assert c.ask(get(server)).status == 200
        c.send(b"GET http://")
        assert c.message("GET").status == 408


def test_half_a_handshake_is_answered(start):
    proxy = start("wan1", "--handshake-timeout", "1", "--auth", "ann:secret", "--log-format", "json")
    with open_to(proxy) as four, open_to(proxy) as greeting, open_to(proxy) as auth, open_to(proxy) as silent:
        four.sendall(request4("192.0.2.1", 80)[:-1])
        greeting.sendall(b"\x05\x02\x00")
        auth.sendall(b"\x05\x01\x02")
        assert read_exactly(auth, 2) == b"\x05\x02"
        assert read_reply4(four)[0] == 91 and read_all(four) == b""
        assert read_all(greeting) == b"\x05\xff"
        assert read_all(auth) == b"\x01\x01"
        assert read_all(silent) == b""
    wait_for(lambda: len(proxy.events("rejected")) == 4, "a line for each")
    assert {line["reason"] for line in proxy.events("rejected")} == {"timeout"}


def test_half_a_socks5_request_is_answered(start):
    proxy = start("wan1", "--handshake-timeout", "1")
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00" + request5("192.0.2.1", 80)[:-1])
        assert read_exactly(s, 2) == b"\x05\x00"
        assert read_all(s)[:2] == b"\x05\x01"


# --- refused clients are logged ---


def test_each_refusal_is_answered_and_logged(start, web):
    proxy = start("wan1", "--auth", "ann:secret")
    refusals = [
        (b"\x05\x00", b"\x05\xff", "malformed"),
        (b"\x05\x01\x00", b"\x05\xff", "no-credentials"),
        (b"\x05\x01\x02" + auth5("ann", "guess"), b"\x05\x02\x01\x01", "bad-credentials"),
        (b"\x05\x01\x02\x07", b"\x05\x02\x01\x01", "malformed"),
        (request4("192.0.2.1", 80), b"\x00\x5d", "bad-credentials"),
    ]
    for sent, answer, reason in refusals:
        with open_to(proxy) as s:
            s.sendall(sent)
            assert read_all(s).startswith(answer), (sent, answer)
        line = wait_for(lambda n=len(proxy.events("rejected")): proxy.events("rejected")[-1:], "a line")[0]
        assert line["reason"] == reason and line["client"].startswith("127.0.0.1:"), line
    assert "guess" not in proxy.log_text() and "secret" not in proxy.log_text()


def test_http_guesses_are_logged_and_requests_without_a_password_are_not(start, server):
    proxy = start("wan1", "--auth", "ann:secret")
    with Client(proxy) as c:
        assert c.ask(get(server)).status == 407
        assert c.ask(get(server, "/", "Proxy-Authorization: Basic YW5uOmd1ZXNz")).status == 407
    wait_for(lambda: proxy.events("rejected"), "a line")
    (line,) = proxy.events("rejected")
    assert (line["proto"], line["reason"]) == ("http", "bad-credentials")


# --- time limits for attempts ---


def test_a_silent_uplink_gets_half_the_time_while_another_is_left(start, lab, web):
    proxy = start("--policy", "round_robin", "wan1", "wan2", "--dial-timeout", "8", "--hedge", "0")
    lab.wan1.swallow()
    began = time.monotonic()
    assert lab.uplink_of(curl_by("socks5", proxy).ok().text.strip()) == "wan2"
    assert time.monotonic() - began > 3.8


def test_a_request_tries_at_most_eight_uplinks(start):
    proxy = start("--bypass", "none", *[f"127.0.0.{i}" for i in range(1, 11)])
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00" + request5("127.0.0.1", 9))
        assert read_exactly(s, 4)[2:] == b"\x05\x05"
    assert proxy.connections(1)[0]["attempts"] == 8


# --- accounts ---


def test_a_kept_connection_is_not_shared_by_users(start, server):
    proxy = start("wan1", "--auth", "ann:secret", "--auth", "bob:secret")
    with Client(proxy) as c:
        for token in ("YW5uOnNlY3JldA==", "Ym9iOnNlY3JldA=="):
            assert c.ask(get(server, "/", f"Proxy-Authorization: Basic {token}")).status == 200
    assert [number for number, _ in server.requests] == [1, 2]


def test_bytes_after_a_change_of_protocol_count_once(start, origin):
    head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"

    def answer(_, s):
        s.sendall(head + pattern(1000))

    proxy = start("wan1")
    server = HttpOrigin(origin, answer)
    with Client(proxy) as c:
        c.send(get(server, "/", "Connection: upgrade", "Upgrade: chat"))
        assert c.head().status == 101
        assert c.exactly(1000) == pattern(1000)
    assert proxy.connections(1)[0]["rx"] == len(head) + 1000
