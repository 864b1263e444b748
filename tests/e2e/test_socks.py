"""SOCKS4, SOCKS4a and SOCKS5 in raw bytes."""

import socket
import struct

import pytest

from lab.origin import echo, read_all, read_exactly
from lab.socks import auth5, open_to, read_reply4, read_reply5, request4, request5, socks5_code, socks5_connect
from lab.topology import HOLE4, NOWHERE4, OPEN4, OPEN6

GRANTED, REJECTED, BAD_USER = 90, 91, 93


@pytest.fixture
def proxy(start):
    return start("wan1", "wan2", "--dial-timeout", "1")


def slowly(s, data):
    for i in range(len(data)):
        s.sendall(data[i : i + 1])


def at_once(s, data):
    s.sendall(data)


SENDERS = pytest.mark.parametrize("send", [slowly, at_once])


# --- version 4 ---


@SENDERS
@pytest.mark.parametrize("host", [OPEN4, "open.test"])
def test_socks4(proxy, lab, origin, send, host):
    server = origin(echo)
    with open_to(proxy) as s:
        send(s, request4(host, server.port, user=b"somebody") + b"early")
        code, address, port = read_reply4(s)
        assert code == GRANTED
        assert lab.uplink_of(address) in ("wan1", "wan2") and port > 0, "the reply tells the address it leaves by"
        assert read_exactly(s, 5) == b"early"
        s.sendall(b"later")
        assert read_exactly(s, 5) == b"later"
    assert server.peers == [address]
    (line,) = proxy.connections(1)
    assert (line["proto"], line["host"], line["port"]) == ("socks4", host, server.port)


@pytest.mark.parametrize("what, request_", {
    "refused": request4(OPEN4, 9),
    "no such name": request4("missing.test", 80),
    "unknown command": request4(OPEN4, 80, command=9),
    "port zero": request4(OPEN4, 0),
    "no address": request4("0.0.0.0", 80),
    "empty name": b"\x04\x01\x00\x50\0\0\0\1\0\0",
    "malformed name": request4("a b", 80),
    "endless user": b"\x04\x01\x00\x50" + socket.inet_aton(OPEN4) + b"x" * 300,
    "endless name": b"\x04\x01\x00\x50\0\0\0\1\0" + b"x" * 300,
}.items())  # fmt: skip
def test_socks4_rejections(proxy, what, request_):
    with open_to(proxy) as s:
        s.sendall(request_)
        assert read_reply4(s)[0] == REJECTED
        assert s.recv(1) == b""


def test_socks4_cannot_serve_where_a_password_is_asked(start, origin):
    server = origin(echo)
    proxy = start("wan1", "--auth", "user:pass")
    with open_to(proxy) as s:
        s.sendall(request4(OPEN4, server.port, user=b"user"))
        assert read_reply4(s)[0] == BAD_USER
        assert s.recv(1) == b""
    assert server.peers == []


# --- version 5 ---


@SENDERS
@pytest.mark.parametrize("host, address", [(OPEN4, OPEN4), (OPEN6, OPEN6), ("open.test", OPEN4), ("open6.test", OPEN6)])
def test_socks5(proxy, lab, origin, send, host, address):
    server = origin(echo, address=address)
    with open_to(proxy) as s:
        send(s, b"\x05\x03\x01\x02\x00" + request5(host, server.port) + b"early")
        assert read_exactly(s, 2) == b"\x05\x00"
        code, source, port = read_reply5(s)
        assert code == 0 and lab.uplink_of(source) in ("wan1", "wan2") and port > 0
        assert read_exactly(s, 5) == b"early"
        send(s, b"later")
        assert read_exactly(s, 5) == b"later"
    assert server.peers == [source]
    (line,) = proxy.connections(1)
    assert (line["proto"], line["host"], line["port"]) == ("socks5", host, server.port)


def test_everything_in_one_segment_and_the_end_of_it(proxy, origin):
    """Greeting, request, payload and FIN in one segment: the answer still arrives."""
    server = origin(lambda s: s.sendall(b"got " + read_all(s)))
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00" + request5(OPEN4, server.port) + b"all of it")
        s.shutdown(socket.SHUT_WR)
        assert read_exactly(s, 2) == b"\x05\x00"
        assert read_reply5(s)[0] == 0
        assert read_all(s) == b"got all of it"


def test_a_server_that_speaks_first(proxy, origin):
    server = origin(lambda s: s.sendall(b"220 welcome"))
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        assert read_all(tunnel.s) == b"220 welcome"


def test_a_name_with_several_addresses_is_tried_to_the_last(proxy, names, origin):
    server = origin(echo)
    names.zone["many.test"] = ["198.51.100.30", "2001:db8:ffff::30", OPEN4]
    with socks5_connect(proxy, "many.test", server.port) as tunnel:
        tunnel.sendall(b"x")
        assert tunnel.recv(1) == b"x"


def test_an_address_written_as_a_name(proxy, origin):
    server = origin(echo)
    name = OPEN4.encode()
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00\x05\x01\x00\x03" + bytes([len(name)]) + name + struct.pack(">H", server.port))
        assert read_exactly(s, 2) == b"\x05\x00"
        assert read_reply5(s)[0] == 0


@pytest.mark.parametrize("what, host, port, command, code", [
    ("refused", OPEN4, 9, 1, 5),
    ("refused over IPv6", OPEN6, 9, 1, 5),
    ("host unreachable", NOWHERE4, 80, 1, 4),
    ("no such name", "missing.test", 80, 1, 4),
    ("name server fails", "broken.test", 80, 1, 4),
    ("name server is silent", "silent.test", 80, 1, 4),
    ("timed out", HOLE4, 80, 1, 6),
    ("unknown command", OPEN4, 80, 9, 7),
    ("malformed name", "a b", 80, 1, 1),
    ("port zero", OPEN4, 0, 1, 1),
])  # fmt: skip
def test_socks5_reply_codes(proxy, names, what, host, port, command, code):
    names.zone.update({"broken.test": 2, "silent.test": "silence"})
    assert socks5_code(proxy, host, port, command) == code


def test_socks5_denied_by_policy(start, tmp_path):
    (tmp_path / "no.lua").write_text('return { name = "no", new = function() return { pick = function() return false, "closed" end } end }')
    assert socks5_code(start("--policy", tmp_path / "no.lua", "wan1"), OPEN4, 80) == 2


def test_socks5_unknown_address_type(proxy):
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00\x05\x01\x00\x07\x01\x02\x03\x04\x00\x50")
        assert read_exactly(s, 2) == b"\x05\x00"
        assert read_reply5(s)[0] == 8
        assert s.recv(1) == b""


@pytest.mark.parametrize("greeting", [b"\x05\x01\x01", b"\x05\x02\x03\x80"])
def test_socks5_methods_that_it_lacks(proxy, greeting):
    with open_to(proxy) as s:
        s.sendall(greeting)
        assert read_all(s) == b"\x05\xff"


@pytest.mark.parametrize("user", ["me", ""])
def test_socks5_a_password_offered_without_users(proxy, origin, user):
    """A client that offers only a password is served when no login is needed."""
    server = origin(echo)
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x02" + auth5(user, "") + request5(OPEN4, server.port))
        assert read_exactly(s, 4) == b"\x05\x02\x01\x00"
        assert read_reply5(s)[0] == 0


# --- authentication ---


@pytest.fixture
def guarded(start, tmp_path):
    users = tmp_path / "users"
    users.write_text("# who may\n\nbob:builder\nempty:\n")
    return start("wan1", "--auth", "alice:pass:word", "--auth-file", users)


@SENDERS
@pytest.mark.parametrize("user, password", [("alice", "pass:word"), ("bob", "builder"), ("empty", "")])
def test_socks5_good_password(guarded, origin, send, user, password):
    server = origin(echo)
    with open_to(guarded) as s:
        send(s, b"\x05\x02\x00\x02" + auth5(user, password) + request5(OPEN4, server.port) + b"hi")
        assert read_exactly(s, 4) == b"\x05\x02\x01\x00"
        assert read_reply5(s)[0] == 0
        assert read_exactly(s, 2) == b"hi"


@pytest.mark.parametrize("user, password", [
    ("alice", "wrong"), ("alice", ""), ("alice", "pass:wor"), ("alice", "pass:word "), ("Alice", "pass:word"),
    ("bob", "pass:word"), ("nobody", "builder"), ("# who may", ""),
    ("", ""), ("", "builder"),
])  # fmt: skip
def test_socks5_bad_password(guarded, origin, user, password):
    server = origin(echo)
    with open_to(guarded) as s:
        s.sendall(b"\x05\x01\x02" + auth5(user, password) + request5(OPEN4, server.port))
        got = read_all(s)
        assert got[:3] == b"\x05\x02\x01" and got[3:] not in (b"", b"\x00"), got
    assert server.peers == []


def test_socks5_missing_password(guarded, origin):
    server = origin(echo)
    with open_to(guarded) as s:
        s.sendall(b"\x05\x01\x00" + request5(OPEN4, server.port))
        assert read_all(s) == b"\x05\xff"
    with open_to(guarded) as s:
        s.sendall(b"\x05\x01\x02" + request5(OPEN4, server.port))  # a request in place of a password
        read_all(s)
    assert server.peers == []


def test_passwords_are_never_logged(guarded):
    for password in ("builder", "hunter2hunter2"):
        with open_to(guarded) as s:
            s.sendall(b"\x05\x01\x02" + auth5("bob", password) + request5(OPEN4, 9))
            read_all(s)
    guarded.connections(1)
    log = guarded.log_text()
    assert "builder" not in log and "hunter2" not in log and "pass:word" not in log
