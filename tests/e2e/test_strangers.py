"""Clients without a request: they hold no place for longer than the handshake timeout, and block nothing."""

import base64
import contextlib
import socket
import time

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo, read_exactly
from lab.run import SOON_S, at_once, wait_for
from lab.socks import auth5, open_to, socks5_connect

HANDSHAKE_S, ENDING_S = 2, 5


@pytest.fixture
def server(origin):
    return HttpOrigin(origin, lambda _request, _s: response(200, b"hello"))


def basic(text):
    return "Proxy-Authorization: Basic " + base64.b64encode(text.encode()).decode()


def request(*fields, method="GET"):
    return "\r\n".join([f"{method} http://a.test/ HTTP/1.1", "Host: a.test", *fields, "", ""]).encode()


# Each is sent in pieces, five a second.
STRANGERS = {
    "silent after a 407": [request()],
    "asks again and again": [request()] * 100,
    "guesses again and again": [request(basic("ann:guess"))] * 100,
    "wants what is not supported": [request(method="OPTIONS", *["Max-Forwards: 0"])] * 100,
    "asks byte by byte": [bytes([b]) for b in request("X: " + "y" * 200)],
    "asks byte by byte after a 407": [request(), *[bytes([b]) for b in request("X: " + "y" * 200)]],
    "a body byte by byte, with its request refused": [b"POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 999\r\n\r\n", *[b"z"] * 100],
    "greets byte by byte": [b"\x05", b"\xff", *[b"\x01"] * 100],
    "gives its name byte by byte": [b"\x05\x01\x02", b"\x01\xff", *[b"a"] * 100],
    "logged in, asks byte by byte": [b"\x05\x01\x02", b"\x01\x03ann\x06secret", b"\x05\x01\x00\x03\xff", *[b"a"] * 100],
    "SOCKS4 without an end": [b"\x04\x01\x00\x50\x01\x02\x03\x04", *[b"u"] * 100],
    "TLS": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", *[b"\xaa" * 50] * 100],
    "says nothing": [],
}


class Stranger:
    """Sends its pieces and reads nothing."""

    def __init__(self, proxy, pieces):
        self.pieces = list(pieces)
        self.s = socket.socket()
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.s.connect(proxy.address)
        self.s.setblocking(False)

    def say(self):
        if self.pieces:
            with contextlib.suppress(BlockingIOError, OSError):
                self.s.send(self.pieces.pop(0))


def test_a_client_without_a_request_cannot_extend_its_time(start):
    proxy = start("wan1", "--handshake-timeout", HANDSHAKE_S, "--auth", "ann:secret")
    began = time.monotonic()
    strangers = [Stranger(proxy, pieces) for pieces in STRANGERS.values()]
    wait_for(lambda: proxy.open_connections() == len(strangers), "all are accepted")
    # Unread data keeps the clients' own sockets open, so the proxy's are counted.
    while proxy.open_connections() > 0 and time.monotonic() < began + HANDSHAKE_S + ENDING_S + 12:
        for s in strangers:
            s.say()
        time.sleep(0.2)  # the pace of the clients
    left = proxy.open_connections()
    took = time.monotonic() - began
    for s in strangers:
        s.s.close()
    assert left == 0, f"{left} of {len(strangers)} are still there after {took:.1f} s"


def test_clients_without_a_request_do_not_keep_others_out(start, origin):
    server = origin(echo)
    proxy = start("wan1", prefix=["prlimit", "--nofile=120:120"])
    with contextlib.ExitStack() as stack:
        tunnel = stack.enter_context(socks5_connect(proxy, server.address, server.port))
        for _ in range(3):
            for _ in range(100):
                silent = stack.enter_context(socket.socket())
                silent.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    silent.connect(proxy.address)
            with socks5_connect(proxy, server.address, server.port, timeout=20) as s:
                s.sendall(b"x")
                assert s.recv(1) == b"x"
        tunnel.sendall(b"y")
        assert tunnel.recv(1) == b"y", "what is open stays"
        assert proxy.open_connections() < 70
    assert proxy.wait_event("idle_clients_closed")["most"] == 60
    assert not proxy.events("accept_failed", error="Too many open files")


def test_a_client_with_a_tunnel_may_be_idle(start, server):
    proxy = start("wan1", "--handshake-timeout", 1, "--auth", "ann:secret")
    with Client(proxy) as c:
        assert c.ask(get(server)).status == 407
        assert c.ask(get(server, "/", basic("ann:secret"))).status == 200
        until = time.monotonic() + 3
        wait_for(lambda: time.monotonic() > until, "more than the handshake timeout")
        assert c.ask(get(server, "/", basic("ann:secret"))).status == 200


# --- many refusals ---


def guesses_are_answered_slowly_then_no_more(proxy, _server):
    with Client(proxy) as c:
        began = time.monotonic()
        c.send(request(basic("ann:guess")) * 200)
        at = []
        for last in [False] * 14 + [True]:
            m = c.message("GET")
            at.append(time.monotonic() - began)
            assert m.status == 407 and (m.get("Connection") == "close") == last, (len(at), m)
        assert c.at_end(), "the fifteenth refusal is the last"
    assert at[9] < SOON_S and at[14] - at[9] > 4, at
    proxy.settled()
    assert len(proxy.events("rejected", reason="bad-credentials")) == 5, "and five lines of log"


def refusals_of_what_is_not_supported_are_bounded_too(proxy, _server):
    with Client(proxy) as c:
        c.send(request("Max-Forwards: 0", method="OPTIONS") * 100)
        assert [c.message("GET").status for _ in range(15)] == [501] * 15
        assert c.at_end()


def a_login_in_between_does_not_forgive_guesses(proxy, server):
    with Client(proxy) as c:
        statuses = []
        with pytest.raises(EOFError):
            for _ in range(30):
                statuses.append(c.ask(get(server, "/", basic("bob:guess"))).status)
                statuses.append(c.ask(get(server, "/", basic("ann:secret"))).status)
    assert statuses == [407, 200] * 14 + [407]


def test_refusals_on_one_connection_are_slowed_and_bounded(start, server):
    """Each case waits for its answers; all do so at the same time."""
    cases = (guesses_are_answered_slowly_then_no_more, refusals_of_what_is_not_supported_are_bounded_too,
             a_login_in_between_does_not_forgive_guesses)
    proxies = [start("wan1", "--auth", "ann:secret"), start("wan1"), start("wan1", "--auth", "ann:secret", "--auth", "bob:other")]
    at_once(lambda case, proxy: case(proxy, server), [*zip(cases, proxies)])


def test_guesses_do_not_block_the_loop(start, tmp_path):
    users = tmp_path / "users"
    users.write_text("".join(f"user{i:05}:secret{i:05}\n" for i in range(33000)))
    proxy = start("wan1", "--auth-file", users)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stranger = stack.enter_context(open_to(proxy))
            stranger.sendall(request(basic("nobody:guess")) * 400)
        before = proxy.cpu_seconds()
        with open_to(proxy) as s:
            began = time.monotonic()
            s.sendall(b"\x05\x01\x02")
            assert s.recv(2) == b"\x05\x02"
            waited = time.monotonic() - began
    spent = proxy.cpu_seconds() - before
    assert waited < SOON_S and spent < 2, f"another client waited {waited:.2f} s, of which {spent:.2f} s of CPU time"


def test_a_client_that_first_asks_without_its_password_is_not_slowed(start, server):
    proxy = start("wan1", "--auth", "ann:secret")
    with Client(proxy) as c:
        for _ in range(20):
            assert c.ask(get(server)).status == 407
            assert c.ask(get(server, "/", basic("ann:secret"))).status == 200


# --- many connections of one address ---


def guessing(proxy, n, name="ann"):
    """Connections that have each sent a wrong password and wait for the answer. They are made at once, so that on a
    slow machine no guess is answered meanwhile."""
    opened = [open_to(proxy, timeout=60) for _ in range(n)]
    for i, s in enumerate(opened):
        s.sendall(b"\x05\x01\x02" + auth5(name, f"guess{i}"))
    return opened


def http_status(proxy, server, who):
    with Client(proxy, timeout=60) as c:
        return c.ask(get(server, "/", basic(who))).status


@pytest.mark.once
def test_guesses_by_many_connections_are_slowed_together(start, server):
    proxy = start("wan1", "--auth", "ann:secret", "--auth", "bob:other")
    assert http_status(proxy, server, "ann:secret") == 200
    began = time.monotonic()
    guesses = guessing(proxy, 290)
    try:
        # About nine seconds of guesses wait, and a known user waits behind them in neither protocol.
        assert http_status(proxy, server, "ann:secret") == 200
        with open_to(proxy, timeout=60) as s:
            s.sendall(b"\x05\x01\x02" + auth5("ann", "secret"))
            assert read_exactly(s, 4) == b"\x05\x02\x01\x00"
        guesses[-1].setblocking(False)
        assert guesses[-1].recv(10) == b"\x05\x02", "greeted, and no more"
        # A user who is new at this address waits for a turn, and is let in.
        assert http_status(proxy, server, "bob:other") == 200
        assert time.monotonic() - began > 6
        for s in guesses[:-1]:
            assert read_exactly(s, 4) == b"\x05\x02\x01\x01"
        assert time.monotonic() - began > (290 - 10) / 32
    finally:
        for s in guesses:
            s.close()
    told = proxy.events("logins_slowed")
    assert [line["client"] for line in told] == ["127.0.0.1"]


def answered(s):
    """What has arrived so far."""
    try:
        return s.recv(4, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def test_too_many_guesses_are_refused_at_once(start, server):
    users = [f"bob{i}" for i in range(20)]
    more = [word for user in users for word in ("--auth", f"{user}:secret")]
    proxy = start("wan1", "--auth", "ann:secret", *more, "--handshake-timeout", "60")
    assert http_status(proxy, server, "ann:secret") == 200
    opened = [open_to(proxy, timeout=60) for _ in range(700)]
    for i, s in enumerate(opened):  # 320 of them take ten seconds; the right ones come among those after that
        right = i >= 500 and i % 10 == 0
        s.sendall(b"\x05\x01\x02" + (auth5(users[i // 10 - 50], "secret") if right else auth5("ann", f"guess{i}")))
    # A turn comes free 32 times in a second, and may fall to one of them.
    wait_for(lambda: b"\x05\x02\x01\x01" in map(answered, opened[500::10]), "one is right, but not looked at")
    assert http_status(proxy, server, "ann:secret") == 200
    for s in opened:
        s.close()


@pytest.mark.once
def test_a_guesser_that_gives_up_early_gains_no_guess(start):
    """An attacker may take silence for a refusal and try another connection: guesses already sent keep their turn."""
    proxy = start("wan1", "--auth", "ann:secret")
    began = time.monotonic()
    for s in guessing(proxy, 110):
        assert read_exactly(s, 2) == b"\x05\x02"  # it was read: of whoever is gone before that, no guess is looked at
        s.close()
    with open_to(proxy, timeout=60) as s:
        s.sendall(b"\x05\x01\x02" + auth5("ann", "secret"))
        assert read_exactly(s, 4) == b"\x05\x02\x01\x00"
    assert time.monotonic() - began > (110 - 10) / 32, "it comes after all of them"


def test_a_stop_does_not_wait_for_a_delayed_answer(start):
    proxy = start("wan1", "--auth", "ann:secret")
    with Client(proxy) as c:
        c.send(request(basic("ann:guess")) * 13)
        for _ in range(11):
            assert c.message("GET").status == 407
        proxy.stop_softly()  # during the second of the twelfth guess
        assert c.message("GET").status == 407
        assert c.at_end()
    assert proxy.wait(8) == 0
