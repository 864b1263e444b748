"""Heads that the proxy changes, requests that it refuses, clients that it serves, and its error messages."""

import base64
import time
import urllib.request

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.origin import read_all, read_exactly, read_head, reset
from lab.run import WAIT_S, wait_for
from lab.topology import HOLE4, NOWHERE4, OPEN4


def basic(user, password):
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def server(origin):
    return HttpOrigin(origin, lambda request, _: response(200, b"served"))


@pytest.fixture
def proxy(start):
    return start("wan1", "wan2", "--dial-timeout", "1", "--handshake-timeout", "5")


def forwarded(proxy, server, *fields, **options):
    """The request as the server received it."""
    with Client(proxy) as c:
        assert c.ask(get(server, options.pop("path", "/"), *fields, **options)).body == b"served"
    return server.requests[-1][1]


# --- heads ---


def test_via_is_added_by_each_method(proxy, origin):
    server = HttpOrigin(origin, lambda *_: response(200, b"served", "Via: 1.1 inner"))
    with Client(proxy) as c:
        assert c.ask(get(server, "/", "Via: 1.1 outer")).all("Via") == ["1.1 inner", "1.1 steerway"]
        assert server.requests[-1][1].all("Via") == ["1.1 outer", "1.1 steerway"]
    assert forwarded(proxy, server, version="1.0").all("Via") == ["1.0 steerway"]


def test_hop_by_hop_fields_end_here(proxy, server):
    ends_here = ["Proxy-Connection: keep-alive", "Keep-Alive: timeout=5", "TE: trailers", "Upgrade: nothing"]
    ends_here += ["Connection: keep-alive, X-Private", "X-Private: of this hop", basic("aladdin", "sesame")]
    request = forwarded(proxy, server, *ends_here, "X-Public: of all", "Accept: */*", "Cookie: a=b", "X-Public: twice")
    names = [name for name, _ in request.fields]
    assert names == ["Host", "X-Public", "Accept", "Cookie", "X-Public", "Via"]
    assert request.all("X-Public") == ["of all", "twice"]


def test_hop_by_hop_fields_of_a_response_end_here(proxy, origin):
    fields = ["Connection: X-Private", "X-Private: of this hop", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic", "X-Public: y"]
    server = HttpOrigin(origin, lambda *_: response(200, b"", *fields))
    with Client(proxy) as c:
        names = [name for name, _ in c.ask(get(server)).fields]
    assert names == ["Content-Length", "X-Public", "Via"]


def test_connection_cannot_take_away_what_frames_the_message(proxy, server):
    request = b"\r\n".join(
        [get(server, method="POST").rstrip(b"\r\n"), b"Content-Length: 3", b"Connection: content-length, host", b"", b"abc"]
    )
    with Client(proxy) as c:
        assert c.ask(request, "POST").body == b"served"
    got = server.requests[-1][1]
    assert got.get("Host") == server.hostport and got.body == b"abc"


def test_the_host_is_that_of_the_target(proxy, server):
    lying = get(server).replace(f"Host: {server.hostport}".encode(), b"Host: elsewhere.test")
    with Client(proxy) as c:
        c.ask(lying)
    assert server.requests[-1][1].all("Host") == [server.hostport]


@pytest.mark.parametrize("url, target, host", [
    ("http://{at}", "/", "{at}"),
    ("http://{at}?q=1", "/?q=1", "{at}"),
    ("HTTP://{at}/a%20b/../c;d?e=f&g", "/a%20b/../c;d?e=f&g", "{at}"),
    ("http://user:secret@{at}/private", "/private", "{at}"),
    ("http://open.test:{port}/by-name", "/by-name", "open.test:{port}"),
    ("http://OPEN.test.:{port}/dotted", "/dotted", "OPEN.test.:{port}"),
])  # fmt: skip
def test_the_absolute_form_becomes_the_origin_form(proxy, server, url, target, host):
    fill = {"at": server.hostport, "port": server.port}
    with Client(proxy) as c:
        assert c.ask(f"GET {url.format(**fill)} HTTP/1.1\r\nHost: {server.hostport}\r\n\r\n").body == b"served"
    request = server.requests[-1][1]
    assert (request.target, request.get("Host")) == (target, host.format(**fill))
    assert b"secret" not in request.raw_head


def test_a_client_that_sends_the_fragment_is_served(proxy, server):
    """urllib does not remove it from the target."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": f"http://{proxy.hostport}"}))
    assert opener.open(f"{server.url}/page?x#part", timeout=10).read() == b"served"
    assert server.targets == ["/page?x"]


def test_options_for_the_server_as_a_whole(proxy, server):
    with Client(proxy) as c:
        c.ask(f"OPTIONS {server.url} HTTP/1.1\r\nHost: {server.hostport}\r\nMax-Forwards: 3\r\n\r\n")
    request = server.requests[-1][1]
    assert (request.start, request.get("Max-Forwards")) == ("OPTIONS * HTTP/1.1", "2")


def test_a_long_head_passes(proxy, server):
    long = "x" * 60_000
    assert forwarded(proxy, server, f"X-Long: {long}").get("X-Long") == long


# --- refusals ---

SMUGGLED = "GET http://{at}/smuggled HTTP/1.1\r\nHost: {at}\r\n\r\n"
POST = "POST http://{at}/ HTTP/1.1\r\nHost: {at}\r\n"
BAD = {
    "length and chunks": POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and length": POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + SMUGGLED,
    "two lengths in a list": POST + "Content-Length: 5, 6\r\n\r\nhello" + SMUGGLED,
    "negative length": POST + "Content-Length: -1\r\n\r\n" + SMUGGLED,
    "signed length": POST + "Content-Length: +5\r\n\r\nhello" + SMUGGLED,
    "hexadecimal length": POST + "Content-Length: 0x5\r\n\r\nhello" + SMUGGLED,
    "length out of range": POST + "Content-Length: 99999999999999999999\r\n\r\nhello" + SMUGGLED,
    "empty length": POST + "Content-Length:\r\n\r\nhello" + SMUGGLED,
    "chunked is not last": POST + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked twice": POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a quote in a coding": POST + 'Transfer-Encoding: gzip;a="b, chunked\r\n\r\n0\r\n\r\n' + SMUGGLED,
    "empty element": POST + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "control byte in a coding": POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "identity": POST + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED,
    "parameter of a length": POST + "Content-Length: 5;x\r\n\r\nhello" + SMUGGLED,
    "coding of a blank name": POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "folded coding": POST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "nul in a name": POST + "Transfer-Encoding\0: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "bare cr in a name": POST + "A\rB: c\r\n\r\n" + SMUGGLED,
    "bare cr before the end": POST + "A: b\r\n\r\r\n" + SMUGGLED,
    "unknown coding": POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "quoted coding": POST + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + SMUGGLED,
    "chunks in HTTP/1.0": POST.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "blank before the colon": POST + "Content-Length : 5\r\n\r\nhello" + SMUGGLED,
    "folded field": POST + "X: a\r\n b\r\n\r\n" + SMUGGLED,
    "leading blank": "GET http://{at}/ HTTP/1.1\r\n Host: {at}\r\n\r\n" + SMUGGLED,
    "nul in a field": POST + "X: a\0b\r\n\r\n" + SMUGGLED,
    "bare cr in a field": POST + "X: a\rContent-Length: 5\r\n\r\n" + SMUGGLED,
    "field without colon": POST + "nonsense\r\n\r\n" + SMUGGLED,
    "two hosts": "GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\nHost: {at}\r\n\r\n" + SMUGGLED,
    "no host": "GET http://{at}/ HTTP/1.1\r\n\r\n" + SMUGGLED,
    "malformed host": "GET http://{at}/ HTTP/1.1\r\nHost: a b\r\n\r\n" + SMUGGLED,
    "blank in the target": "GET http://{at}/a b HTTP/1.1\r\nHost: {at}\r\n\r\n" + SMUGGLED,
    "unknown version": "GET http://{at}/ HTTP/2.0\r\nHost: {at}\r\n\r\n" + SMUGGLED,
    "no version": "GET http://{at}/\r\n\r\n" + SMUGGLED,
    "no authority": "GET http:///path HTTP/1.1\r\nHost: {at}\r\n\r\n" + SMUGGLED,
    "port out of range": "GET http://198.51.100.20:65536/ HTTP/1.1\r\nHost: {at}\r\n\r\n" + SMUGGLED,
    "port zero": "GET http://198.51.100.20:0/ HTTP/1.1\r\nHost: {at}\r\n\r\n" + SMUGGLED,
    "connect without port": "CONNECT 198.51.100.20 HTTP/1.1\r\nHost: {at}\r\n\r\n" + SMUGGLED,
    "connect without host": "CONNECT {at} HTTP/1.1\r\n\r\n" + SMUGGLED,
    "connect to a url": "CONNECT http://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n" + SMUGGLED,
    "connect with a body": "CONNECT {at} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED,
}


@pytest.mark.parametrize("what", BAD)
def test_ambiguous_and_malformed_requests_are_refused(proxy, server, what):
    with Client(proxy) as c:
        c.send(BAD[what].replace("{at}", server.hostport))
        m = c.message("GET")
        assert m.status == 400 and m.has_token("Connection", "close"), m
        assert m.get("Proxy-Status") == "steerway; error=http_request_error"
        assert c.at_end(), "what follows is not taken for a request"
    assert server.requests == [] and server.peers == []


@pytest.mark.parametrize("framing", ["zz\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "-5\r\n", "ffffffffffffffffff\r\n",
                                     "5 \r\nhello\r\n0\r\n\r\n", "5\t\r\nhello\r\n0\r\n\r\n", "5 ;x=y\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
                                     "0\r\nContent-Length: 5\r\n\r\n", "0\r\nA: b\r\nHost: x\r\n\r\n", "0\r\nTransfer-Encoding: x\r\n\r\n", "0\r\n A: b\r\n\r\n",
                                     "0\r\nGET / HTTP/1.1: x\r\n\r\n", "0\r\nA: b\n\n", "0\r\n\n", "0\n\r\n", "5\r\nhello\n0\r\n\r\n", '5;a="\n"\r\nhello\r\n0\r\n\r\n',
                                     "+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5;x\nhello\r\n0\r\n\r\n", "5;\rx\r\nhello\r\n0\r\n\r\n"])
def test_malformed_chunks_are_refused(proxy, server, framing):
    with Client(proxy) as c:
        c.send(get(server, "/", "Transfer-Encoding: chunked", method="POST") + framing.encode())
        assert c.message("POST").status == 400
        assert c.at_end()
    assert server.requests == []


# Equivalent spellings leave in one form: fields that frame the body, and its framing.
UNEQUIVOCAL = {
    "coding": ("TRANSFER-ENCODING:CHUNKED", "5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    "extensions": ("Transfer-Encoding: chunked", '5;a=b;c="d\te"\r\nhello\r\n0;f\r\n\r\n', b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    "zeros of a size": ("Transfer-Encoding: chunked", "005\r\nhello\r\n000\r\nA: b\r\n\r\n", b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"),
    "a quote that holds a line": ("Transfer-Encoding: chunked", '2;a="\r\nx"\r\n0\r\n\r\n', b"Transfer-Encoding: chunked", b'2\r\nx"\r\n0\r\n\r\n'),
    "zeros of a length": ("Content-Length: 0005", "hello", b"Content-Length: 5", b"hello"),
    "length in a list": ("content-length: 5, 05", "hello", b"content-length: 5", b"hello"),
    "lines of bare LF": ("A: b\nContent-Length: 5", "hello", b"A: b\r\nContent-Length: 5", b"hello"),
}


@pytest.mark.parametrize("what", UNEQUIVOCAL)
def test_forwarded_requests_are_unambiguous(proxy, origin, what):
    fields, body, expected_fields, expected_body = UNEQUIVOCAL[what]

    def serve(s):
        head = read_head(s)
        got = read_exactly(s, len(expected_body))
        s.sendall(response(200, b"served", "Connection: close"))
        return head, got, read_all(s)

    server = origin(serve)
    with Client(proxy) as c:
        c.send(get(server, "/", fields, method="POST") + body.encode())
        assert c.message("POST").body == b"served"
    wait_for(lambda: server.results, "the server has had it all")
    head = b"POST / HTTP/1.1\r\nHost: " + server.hostport.encode() + b"\r\n" + expected_fields + b"\r\nVia: 1.1 steerway\r\n\r\n"
    assert server.results == [(head, expected_body, b"")]


NOT_SERVED = {
    "origin-form": ("GET / HTTP/1.1\r\nHost: {me}\r\n\r\n", 421),
    "origin-form of HTTP/1.0": ("GET /index.html HTTP/1.0\r\n\r\n", 421),
    "asterisk-form": ("OPTIONS * HTTP/1.1\r\nHost: {me}\r\n\r\n", 421),
    "https": ("GET https://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n", 501),
    "ftp": ("GET ftp://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n", 501),
    "expectation": ("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\nExpect: miracles\r\n\r\n", 417),
    "long field": ("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\nX: " + "x" * 70_000 + "\r\n\r\n", 431),
    "many fields": ("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n" + "X: y\r\n" * 1000 + "\r\n", 400),
}


@pytest.mark.parametrize("what", NOT_SERVED)
def test_unsupported_requests(proxy, server, what):
    request, status = NOT_SERVED[what]
    with Client(proxy) as c:
        c.send(request.format(at=server.hostport, me=proxy.hostport))
        m = c.message("GET")
        assert m.status == status, m
        assert m.body.endswith(b"\n") and len(m.body) < 200, "one line for a person"
    assert server.requests == []


def test_what_follows_an_unknown_transfer_coding_is_not_a_request(proxy, server):
    with Client(proxy) as c:
        c.send("POST http://{at}/ HTTP/1.1\r\nHost: {at}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".format(at=server.hostport))
        c.send(get(server))
        m = c.message("POST")
        assert (m.status, m.get("Connection")) == (501, "close")
        assert b"transfer coding" in m.body
        assert c.at_end()
    assert server.requests == []


def test_a_refused_request_leaves_the_connection_usable(proxy, server):
    with Client(proxy) as c:
        assert c.ask("GET https://web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n").status == 501
        assert c.ask(get(server)).body == b"served"


def test_a_request_that_is_never_completed(start, server):
    proxy = start("wan1", "--handshake-timeout", "1")
    with Client(proxy) as c:
        c.send(get(server)[:-2])
        assert c.message("GET").status == 408
        assert c.at_end()
    with Client(proxy) as c:
        assert c.at_end(), "who says nothing is told nothing"
    with Client(proxy) as c:
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError, EOFError)):
            for byte in get(server, "/" + "x" * 1000):  # slow progress does not extend the deadline
                c.send(bytes([byte]))
                c.s.settimeout(0.1)
                try:
                    assert c.message("GET").status == 408
                    raise EOFError
                except TimeoutError:
                    continue
        assert time.monotonic() - began < WAIT_S


# --- clients that are served ---


def test_basic_authentication(start, server):
    proxy = start("wan1", "--auth", "aladdin:open sesame")
    with Client(proxy) as c:
        m = c.ask(get(server))
        assert m.status == 407 and m.get("Proxy-Authenticate") == 'Basic realm="Steerway"'
        for wrong in (basic("aladdin", "wrong"), basic("ali", "open sesame"), basic("aladdin", ""), "Proxy-Authorization: Basic !"):
            assert c.ask(get(server, "/", wrong)).status == 407
        assert c.ask(get(server, "/", "Authorization: " + basic("aladdin", "open sesame").split(" ", 1)[1])).status == 407
        assert c.ask(get(server, "/", basic("aladdin", "open sesame"))).body == b"served"
        assert c.ask(get(server)).status == 407, "each request says who asks"
    for request in (f"CONNECT {server.hostport} HTTP/1.1\r\nHost: x\r\n\r\n", get(server, method="HEAD")):
        with Client(proxy) as c:
            assert c.ask(request, "HEAD").status == 407
    with Client(proxy) as c:
        m = c.ask(f"CONNECT {server.hostport} HTTP/1.1\r\nHost: x\r\n{basic('aladdin', 'open sesame')}\r\n\r\n", "CONNECT")
        assert m.status == 200
    assert len(server.requests) == 1 and server.requests[0][1].get("Proxy-Authorization") is None
    assert "sesame" not in proxy.log_text().replace(" ".join(proxy.argv), "")


def test_without_users_every_login_is_accepted(proxy, server):
    assert forwarded(proxy, server, basic("whoever", "whatever")).get("Proxy-Authorization") is None


# --- error messages ---


def by_each_method(hostport):
    """The request by CONNECT and as plain HTTP."""
    yield "CONNECT", f"CONNECT {hostport} HTTP/1.1\r\nHost: {hostport}\r\n\r\n"
    yield "GET", f"GET http://{hostport}/ HTTP/1.1\r\nHost: {hostport}\r\n\r\n"
    yield "HEAD", f"HEAD http://{hostport}/ HTTP/1.1\r\nHost: {hostport}\r\n\r\n"


@pytest.mark.parametrize("hostport, status, error", [
    (f"{OPEN4}:9", 502, "connection_refused"),
    (f"{NOWHERE4}:80", 502, "destination_unavailable"),
    (f"{HOLE4}:80", 504, "connection_timeout"),
    ("missing.test:80", 502, "dns_error"),
    ("broken.test:80", 502, "dns_timeout"),
])  # fmt: skip
def test_the_answer_gives_the_reason(proxy, names, hostport, status, error):
    names.zone["broken.test"] = 2  # SERVFAIL
    for method, request in by_each_method(hostport):
        with Client(proxy) as c:
            m = c.ask(request, "GET" if method == "CONNECT" else method)
            assert (m.status, m.get("Proxy-Status")) == (status, f"steerway; error={error}"), (method, m)
    assert len(proxy.connections(3)) == 3


def test_a_policy_that_refuses(start, tmp_path, server):
    (tmp_path / "no.lua").write_text('return { name = "no", new = function() return { pick = function() return false, "not today" end } end }')
    proxy = start("--policy", tmp_path / "no.lua", "wan1")
    for method, request in by_each_method(server.hostport):
        with Client(proxy) as c:
            m = c.ask(request, "GET" if method == "CONNECT" else method)
            assert m.status == 403, (method, m)
    assert {(line["outcome"], line["reason"]) for line in proxy.connections(3)} == {("denied", "not today")}


@pytest.mark.parametrize("reply, error", [
    (b"", "connection_terminated"),
    (b"nonsense\r\n\r\n", "http_protocol_error"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "http_protocol_error"),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "http_protocol_error"),
    (b"HTTP/1.1 200 OK\r\nX: y", "http_response_incomplete"),
])  # fmt: skip
def test_a_server_that_breaks_the_rules(proxy, origin, reply, error):
    def broken(_, s):
        s.sendall(reply)

    server = HttpOrigin(origin, broken)
    with Client(proxy) as c:
        m = c.ask(get(server))
        assert (m.status, m.get("Proxy-Status")) == (502, f"steerway; error={error}")


def test_a_truncated_response_does_not_look_complete(proxy, origin):
    def cut(_, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    def cut_chunks(_, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")

    for answer in (cut, cut_chunks):
        server = HttpOrigin(origin, answer)
        with Client(proxy) as c:
            c.send(get(server))
            with pytest.raises((EOFError, ConnectionResetError)):
                c.message("GET")


def test_a_reset_response_until_close_does_not_look_complete(proxy, origin):
    def broken(_, s):
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        reset(s)

    server = HttpOrigin(origin, broken)
    with Client(proxy) as c:
        c.send(get(server))
        with pytest.raises(ConnectionResetError):  # it has no length, so a truncated answer must end with a reset
            while c.s.recv(65536):
                pass
