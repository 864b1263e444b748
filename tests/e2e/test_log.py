"""The log: one line for each connection, correct in every field, without credentials."""

import base64
import contextlib
import fcntl
import os
import pty
import re
from collections import Counter

import pytest

from lab.clients import curl_by
from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo, read_exactly
from lab.run import wait_for
from lab.socks import auth5, open_to, read_reply5, request4, request5, socks5_code, socks5_connect
from lab.topology import OPEN4


def test_one_line_a_connection_with_the_right_fields(start, lab, origin):
    proxy = start("wan2")
    server = origin(echo)
    with socks5_connect(proxy, "open.test", server.port) as tunnel:
        client = "{}:{}".format(*tunnel.getsockname())
        tunnel.sendall(b"12345")
        assert read_exactly(tunnel.s, 5) == b"12345"
    (line,) = proxy.connections(1)
    assert set(line) == {
        "time", "level", "event", "message", "client", "proto", "host", "port", "uplink", "reason", "tx", "rx", "duration", "outcome",
    }  # fmt: skip
    assert line["level"] == "info" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert line["client"] == client
    assert (line["proto"], line["host"], line["port"], line["uplink"]) == ("socks5", "open.test", server.port, "wan2")
    assert (line["tx"], line["rx"], line["outcome"]) == (5, 5, "closed")
    assert line["reason"] == "largest share" and 0 <= line["duration"] < 60


def test_failed_connections_are_logged_too(start, lab):
    proxy = start("wan2", "--dial-timeout", "1")
    assert socks5_code(proxy, OPEN4, 9) == 5
    assert socks5_code(proxy, "missing.test", 80) == 4
    outcomes = [(line["host"], line["outcome"]) for line in proxy.connections(2)]
    assert outcomes == [(OPEN4, "refused"), ("missing.test", "no-such-name")]


def test_lines_match_the_connections_one_by_one(start, web):
    proxy = start("wan1", "wan2")
    modes = ["socks4", "socks5h", "connect", "http"] * 10
    for mode in modes:
        curl_by(mode, proxy).ok()
    lines = proxy.connections(len(modes))
    assert len(lines) == len(modes)
    assert Counter(line["proto"] for line in lines) == {"socks4": 10, "socks5": 10, "connect": 10, "http": 10}


def test_text_format(start, origin):
    proxy = start("wan1", text=True)
    server = origin(echo)
    with socks5_connect(proxy, server.address, server.port):
        pass
    line = proxy.wait_log("connection")
    assert re.search(rf" info connection client=127\.0\.0\.1:\d+ proto=socks5 host={server.address} port={server.port} uplink=wan1 ", line)
    assert line.endswith("outcome=closed")


def test_quiet_logs_no_connections(start, lab, web):
    proxy = start("wan1", "--quiet", "--listen", "127.0.0.1:18080", ready=False, port=False)
    proxy.addresses = [("127.0.0.1", 18080)]
    wait_for(lambda: curl_by("socks5", proxy).code == 0, "it serves")
    assert proxy.stop() == 0
    assert proxy.log_text() == "" and proxy.banner == ""


def test_debug_logs_more(start, lab, web):
    proxy = start("wan1", "wan2", "--debug", "--dial-timeout", "1")
    lab.wan2.turn_away()
    for _ in range(4):
        curl_by("socks5", proxy).ok()
    assert [line for line in proxy.events("attempt_failed") if line["uplink"] == "wan2" and line["fault"] == "unreachable"]


def lost_and_told(proxy, origin, log, account=r" info connection client=.* outcome=closed\r?\n", lost=r" warn log lines lost hidden=(\d+)\r?\n"):
    """Works on while its log is not read. The later reader finds every line, or a line about lost ones."""
    server, n, text = origin(echo), 0, ""

    def connect():
        nonlocal n
        with socks5_connect(proxy, server.address, server.port) as tunnel:
            tunnel.sendall(b"12345")
            assert read_exactly(tunnel.s, 5) == b"12345"
        n += 1

    def all_told():
        nonlocal text
        try:
            while True:
                text += os.read(log, 1 << 16).decode()
        except BlockingIOError:
            pass
        counts = [int(count) for count in re.findall(lost, text)]
        if counts and sum(counts) + len(re.findall(account, text)) == n:
            return True
        connect()  # the line about lost ones comes before the next line
        return False

    for _ in range(600):
        connect()
    os.set_blocking(log, False)
    wait_for(all_told, "all lines, written or counted as lost", every=0.2)


def test_a_log_that_is_not_read_blocks_nothing(start, origin):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with open(reader, "rb"), open(writer, "wb") as log:
        lost_and_told(start("wan1", text=True, stderr=log), origin, reader)


@pytest.mark.parametrize(("args", "account"), [
    (("--log-format", "text"), r" info connection client=.* outcome=closed\r?\n"),
    ((), r"^\d\d:\d\d:\d\d \S+:\d+ +wan1  +5  +5  +\d+\.\ds\r?\n"),
], ids=["text", "short"])
def test_a_terminal_that_is_not_read_blocks_nothing(start, origin, args, account):
    reader, writer = pty.openpty()
    with open(reader, "rb", buffering=0), open(writer, "wb", buffering=0) as log:
        lost_and_told(start("wan1", *args, text=True, stderr=log), origin, reader, f"(?m){account}")


def test_a_terminal_has_short_lines(start, origin):
    """They fit 80 columns; the rest of the log is as elsewhere, with a clock for the time."""
    reader, writer = pty.openpty()
    with open(reader, "rb", buffering=0), open(writer, "wb", buffering=0) as log:
        proxy = start("wan1", "nosuch0", text=True, stderr=log)
        server, text = origin(echo), ""
        with socks5_connect(proxy, server.address, server.port) as tunnel:
            tunnel.sendall(b"12345")
            assert read_exactly(tunnel.s, 5) == b"12345"
        assert socks5_code(proxy, "a-rather-long-name-of-a-host-that-does-not-exist.missing.test", 80) == 4
        os.set_blocking(reader, False)

        def said():
            nonlocal text
            with contextlib.suppress(BlockingIOError):
                text += os.read(reader, 1 << 16).decode()
            return "no-such-name" in text and f"{server.port} " in text

        wait_for(said, "both connections")
    lines = text.splitlines()
    assert re.match(r"\d\d:\d\d:\d\d warn uplink not usable at present uplink=nosuch0 why=", lines[0])
    # Either may end first.
    connections = sorted((line for line in lines if "uplink" not in line), key=lambda line: "no-such-name" in line)
    assert re.fullmatch(rf"\d\d:\d\d:\d\d {server.address}:{server.port} +wan1 +5 +5 +\d+\.\ds", connections[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d a-rather\.\.st\.missing\.test:80 \S+ +no-such-name", connections[1])
    assert len(connections) == 2 and all(len(line) <= 80 for line in connections)


def test_credentials_never_reach_the_log(start, origin):
    secrets = ["open-sesame", "pass-in-url", "pass-at-origin", "wrong-secret", "cookie-secret", "query-secret"]
    proxy = start("wan1", "--debug", "--auth", f"aladdin:{secrets[0]}")
    server = HttpOrigin(origin, lambda *_: response(200, b"ok"))
    good = "Proxy-Authorization: Basic " + base64.b64encode(f"aladdin:{secrets[0]}".encode()).decode()
    bad = "Proxy-Authorization: Basic " + base64.b64encode(f"aladdin:{secrets[3]}".encode()).decode()
    at_origin = "Authorization: Basic " + base64.b64encode(f"x:{secrets[2]}".encode()).decode()
    with Client(proxy) as c:
        assert c.ask(get(server, "/", bad)).status == 407
        assert c.ask(get(server, "/?token=query-secret", good, at_origin, "Cookie: cookie-secret")).body == b"ok"
        url = f"http://user:{secrets[1]}@{server.hostport}/"
        assert c.ask(f"GET {url} HTTP/1.1\r\nHost: {server.hostport}\r\n{good}\r\n\r\n").body == b"ok"
        assert c.ask(f"GET http://user:{secrets[1]}@ HTTP/1.1\r\nHost: x\r\n{good}\r\n\r\n").status == 400
    for password in (secrets[0], secrets[3]):
        with open_to(proxy) as s:
            s.sendall(b"\x05\x01\x02" + auth5("aladdin", password) + request5(server.address, server.port))
            read_exactly(s, 3)
            if password == secrets[0]:
                read_exactly(s, 1)
                assert read_reply5(s)[0] == 0
    with open_to(proxy) as s:
        s.sendall(request4(OPEN4, 80, user=secrets[0].encode()))
        s.recv(8)
    proxy.connections(2)
    proxy.stop()
    told = proxy.log_text() + proxy.banner
    for secret in secrets:
        assert secret not in told
        assert base64.b64encode(secret.encode()).decode()[:-4] not in told
    assert good.split()[-1] not in told and bad.split()[-1] not in told
