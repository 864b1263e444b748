"""Servers that bend the rules: what clients take goes on, by the rules, octet for octet; the ambiguous is refused."""

import pytest

from lab.http import Client, HttpOrigin, get
from lab.origin import read_all

OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
VIA = b"Via: 1.1 steerway\r\n"
VIA_10 = b"Via: 1.0 steerway\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"

MENDED = {
    "blank before the colon": (OK + b"X-Foo : bar\r\n" + TWO + b"\r\nok", OK + b"X-Foo: bar\r\n" + TWO + VIA + b"\r\nok"),
    "blank before the length": (OK + b"Content-Length : 2\r\n\r\nok", OK + TWO + VIA + b"\r\nok"),
    "coding over length": (OK + TWO + CHUNKED + b"\r\n" + CHUNKS, OK + CHUNKED + VIA + b"\r\n" + CHUNKS),
    "chunks of HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n" + CHUNKS, OK + CHUNKED + VIA_10 + b"\r\n" + CHUNKS),
    "control octets": (OK + b"X: a\0b\x1bc\r\n" + TWO + b"\r\nok", OK + b"X: a b c\r\n" + TWO + VIA + b"\r\nok"),
    "folded": (OK + b"X: a\r\n b\r\n" + TWO + b"\r\nok", OK + b"X: a   b\r\n" + TWO + VIA + b"\r\nok"),
    "stray line": (OK + b"stray\r\n" + TWO + b"\r\nok", OK + TWO + VIA + b"\r\nok"),
    "many fields": (OK + b"a: b\r\n" * 1000 + TWO + b"\r\nok", OK + b"a: b\r\n" * 1000 + TWO + VIA + b"\r\nok"),
    "padded chunks": (OK + CHUNKED + b"\r\n2 \r\nok\r\n3\t ;x=y\r\nyes\r\n0  \r\n\r\n", OK + CHUNKED + VIA + b"\r\n2\r\nok\r\n3;x=y\r\nyes\r\n0\r\n\r\n"),
    "ICY": (b"ICY 200 OK\r\n" + TWO + b"\r\nok", OK + TWO + VIA_10 + b"\r\nok"),
    "empty line first": (b"\r\n" + OK + TWO + b"\r\nok", OK + TWO + VIA + b"\r\nok"),
    "lower case": (b"http/1.1 200 OK\r\n" + TWO + b"\r\nok", OK + TWO + VIA + b"\r\nok"),
    "bare LF": (b"HTTP/1.1 200\nContent-Length:2\n\nok", b"HTTP/1.1 200 \r\n" + TWO + VIA + b"\r\nok"),
    "identity": (OK + b"Transfer-Encoding: identity\r\n" + TWO + b"\r\nok", OK + TWO + VIA + b"\r\nok"),
}


def answering(reply):
    def say(s):
        s.recv(65536)
        s.sendall(reply)
        s.recv(1)

    return say


@pytest.mark.parametrize("what", MENDED)
def test_what_clients_take_is_mended(start, origin, what):
    """Two requests: the second answer is read from where the first is thought to end."""
    reply, expected = MENDED[what]
    proxy, server = start("wan1"), HttpOrigin(origin, lambda *_: reply)
    with Client(proxy) as c:
        for _ in range(2):
            c.send(get(server))
            assert c.exactly(len(expected)) == expected
        c.s.shutdown(1)
        assert c.rest + read_all(c.s) == b""


def test_a_doubtful_answer_ends_its_connection(start, origin):
    """What lies behind it may be the server's idea of the rest."""
    server = HttpOrigin(origin, lambda *_: OK + TWO + CHUNKED + b"\r\n" + CHUNKS)
    with Client(start("wan1")) as c:
        for _ in range(3):
            assert c.ask(get(server)).body == b"ok"
    assert len(server.peers) == 3


AMBIGUOUS = {
    "two lengths": OK + TWO + b"Content-Length: 3\r\n\r\nokk",
    "two lengths, one disguised": OK + TWO + b"Content-Length : 3\r\n\r\nokk",
    "a folded length": OK + b"Content-Length: 2\r\n 0\r\n\r\nok",
    "chunked twice": OK + CHUNKED + CHUNKED + b"\r\n" + CHUNKS,
    "a coding with a control octet": OK + b"Transfer-Encoding: chunked\x0b\r\n\r\n" + CHUNKS,
    "a CR alone": OK + TWO + b"\r\r\nok",
    "no number": OK + b"Content-Length: 0x2\r\n\r\nok",
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_the_ambiguous_is_refused(start, origin, what):
    proxy, server = start("wan1"), origin(answering(AMBIGUOUS[what]))
    with Client(proxy) as c:
        m = c.ask(get(server))
        assert m.status == 502
        assert "http_protocol_error" in m.get("Proxy-Status")
