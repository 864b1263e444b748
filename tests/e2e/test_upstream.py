"""Parent proxies as uplinks: each protocol, with and without credentials, over a configured link; dead and hostile
ones too."""

import struct
import time
from pathlib import Path

import pytest

from lab.command import refused
from lab.http import Client, get, response, HttpOrigin
from lab.origin import echo, read_exactly, read_head
from lab.run import wait_for
from lab.socks import socks5_code, socks5_connect
from lab.topology import MORE4, OPEN4

SCHEMES = ["socks5", "socks4a", "http"]


@pytest.fixture
def upstream(start, lab):
    """A proxy on the internet, which dials from there."""

    def open_upstream(*args):
        proxy = start("--host", OPEN4, "--allow", "0.0.0.0/0", "--allow-own-addresses", *args, MORE4, prefix=["ip", "netns", "exec", lab.internet.name])
        return proxy

    return open_upstream


def uplinks(proxy):
    return {u["name"]: u for u in proxy.ask("uplinks")["uplinks"]}


def carries(proxy, host, port):
    with socks5_connect(proxy, host, port) as s:
        s.sendall(b"there and back")
        return read_exactly(s, 14) == b"there and back"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("secret", [False, True], ids=["open", "with a user"])
def test_each_protocol(start, upstream, lab, names, origin, scheme, secret):
    server = origin(echo)
    far = upstream(*(["--auth", "u%:p@ss/"] if secret and scheme != "socks4a" else []))
    user = {"socks5": "u%25:p%40ss%2F@", "http": "u%25:p%40ss%2F@", "socks4a": "u@"}[scheme] if secret else ""
    proxy = start(f"{scheme}://{user}{OPEN4}:{far.port}")
    for host in (OPEN4, "open.test", "OPEN.test"):
        assert carries(proxy, host, server.port)
    assert [line["uplink"] for line in proxy.connections(3)] == [f"{OPEN4}:{far.port}"] * 3
    household = {a for u in lab.uplinks for a in (u.addr4, u.addr6)}
    assert not [asked for asked in names.asked if asked[2] in household], "names are the upstream's to resolve"
    u = uplinks(proxy)[f"{OPEN4}:{far.port}"]
    assert (u["kind"], u["upstream"], u["via"], u["state"]) == ("upstream", f"{scheme}://{OPEN4}:{far.port}", None, "up")
    assert u["connect_time"] > 0 and u["rx_bytes"] == 42


def test_plain_http_goes_by_it_too(start, upstream, origin):
    server = HttpOrigin(origin, lambda *_: response(200, b"served"))
    proxy = start(f"socks5://{OPEN4}:{upstream().port}")
    with Client(proxy) as c:
        assert c.ask(get(server)).status == 200


def test_tunnels_share_by_weight_and_a_dead_one_is_left_out(start, upstream, origin):
    server, one, two = origin(echo), upstream(), upstream()
    proxy = start("--policy", "round_robin", f"socks5://{OPEN4}:{one.port}@3", f"http://{OPEN4}:{two.port}/1")
    for _ in range(16):
        assert carries(proxy, OPEN4, server.port)
    taken = [line["uplink"] for line in proxy.connections(16)]
    assert taken.count(f"{OPEN4}:{one.port}") == 12
    port, log = one.port, one.log_text
    one.stop()
    for _ in range(12):
        assert carries(proxy, OPEN4, server.port)
    assert uplinks(proxy)[f"{OPEN4}:{port}"]["state"] == "suspect"
    assert uplinks(proxy)[f"{OPEN4}:{port}"]["failures"] == 3
    assert len(proxy.events("uplink_silent")) == 1
    assert {line["uplink"] for line in proxy.connections(28)[16:]} == {f"{OPEN4}:{two.port}"}
    assert log


def test_a_lone_dead_upstream_is_reported(start, lab):
    proxy = start(f"socks5://{OPEN4}:9")
    assert socks5_code(proxy, MORE4, 80) == 3
    with Client(proxy) as c:
        m = c.ask(f"CONNECT {MORE4}:80 HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT")
        assert m.status == 502 and m.get("Proxy-Status") == "steerway; error=destination_unavailable"
    assert [line["outcome"] for line in proxy.connections(2)] == ["upstream", "upstream"]
    assert lab


def test_a_tunnel_that_comes_back_serves_again(start, origin):
    server, broken = origin(echo), []

    def far(s):
        if broken:
            return
        assert read_exactly(s, 3) == b"\x05\x01\x00"
        s.sendall(b"\x05\x00")
        read_exactly(s, 10)
        s.sendall(b"\x05\x00\x00\x01" + bytes(6))
        echo(s)

    tunnel = origin(far)
    proxy = start("--policy", "round_robin", f"socks5://{OPEN4}:{tunnel.port}", "wan2")
    name = f"{OPEN4}:{tunnel.port}"
    broken.append(1)
    for _ in range(8):
        assert carries(proxy, OPEN4, server.port)
    assert uplinks(proxy)[name]["state"] == "suspect"
    broken.clear()
    wait_for(lambda: carries(proxy, OPEN4, server.port) and uplinks(proxy)[name]["state"] == "up", "it is tried again", every=0.1)


def test_an_upstream_is_reached_only_by_its_configured_link(start, upstream, lab, origin, tmp_path):
    server, far = origin(echo), upstream()
    config = tmp_path / "config.lua"
    config.write_text(f'return {{ uplinks = {{ {{ upstream = "socks5://{OPEN4}:{far.port}", via = "wan2", name = "vpn" }} }} }}')
    before = lab.tcp_sent()
    proxy = start("--config", config)
    for host in (OPEN4, "open.test"):
        assert carries(proxy, host, server.port)
    sent = {name: n - before[name] for name, n in lab.tcp_sent().items()}
    assert sent["wan2"] > 10 and sent["wan1"] == sent["wan3"] == 0
    assert uplinks(proxy)["vpn"]["via"] == "wan2"
    lab.wan2.down()
    proxy.wait_event("uplink_down", uplink="vpn")
    assert socks5_code(proxy, OPEN4, server.port) == 3
    lab.wan2.restore()
    proxy.wait_event("uplink_up", uplink="vpn")
    assert carries(proxy, OPEN4, server.port)


def test_an_upstreams_error_is_passed_to_the_client(start, upstream):
    proxy = start(f"socks5://{OPEN4}:{upstream().port}")
    assert socks5_code(proxy, OPEN4, 9) == 5
    assert socks5_code(proxy, "nobody.test", 80) == 4
    (u,) = uplinks(proxy).values()
    assert u["state"] == "up"
    assert proxy.connections(2)[0]["outcome"] == "refused"


def answering(*replies, then=b""):
    """An upstream that sends these replies, one for each message, whatever the messages are, and `then` after the
    last."""

    def far(s):
        for i, reply in enumerate(replies):
            if not s.recv(4096):
                return
            s.sendall(reply + (then if i == len(replies) - 1 else b""))
        time.sleep(1)

    return far


@pytest.mark.parametrize("scheme, replies, code, outcome", [
    ("socks5", [b"\x05\x00", b"\x05\x01\x00\x01" + bytes(6)], 1, "upstream-failed"),
    ("socks5", [b"\x05\x00", b"\x05\x02\x00\x01" + bytes(6)], 2, "upstream-rejected"),
    ("socks5", [b"\x05\x00", b"\x05\x03\x00\x01" + bytes(6)], 3, "unreachable"),
    ("socks5", [b"\x05\x00", b"\x05\x04\x00\x01" + bytes(6)], 4, "host-unreachable"),
    ("socks5", [b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)], 5, "refused"),
    ("socks5", [b"\x05\x00", b"\x05\x06\x00\x01" + bytes(6)], 6, "upstream-timeout"),
    ("socks4a", [b"\x00\x5b" + bytes(6)], 1, "upstream-failed"),
    ("http", [b"HTTP/1.1 403 Forbidden\r\n\r\n"], 2, "upstream-rejected"),
    ("http", [b"HTTP/1.1 502 Bad Gateway\r\n\r\n"], 1, "upstream-failed"),
    ("http", [b"HTTP/1.1 504 Gateway Timeout\r\n\r\n"], 6, "upstream-timeout"),
])  # fmt: skip
def test_a_destinations_error_does_not_blame_the_upstream(start, origin, scheme, replies, code, outcome):
    """A parent proxy's answer about a destination does not make the parent proxy itself a suspect."""
    proxy = start(f"{scheme}://{OPEN4}:{origin(answering(*replies)).port}")
    for _ in range(4):
        assert socks5_code(proxy, MORE4, 80) == code
    assert {line["outcome"] for line in proxy.connections(4)} == {outcome}
    (u,) = uplinks(proxy).values()
    assert u["state"] == "up"


SOCKS5_OK = b"\x05\x00\x00\x01" + bytes(6)
HOSTILE = {
    "closes": ("socks5", answering()),
    "is no proxy": ("socks5", answering(b"220 smtp ready\r\n")),
    "wants other credentials": ("socks5", answering(b"\x05\xff")),
    "wants what we have not": ("socks5", answering(b"\x05\x02")),
    "answers by halves": ("socks5", answering(b"\x05\x00", b"\x05\x00\x00")),
    "answers with a version that is none": ("socks5", answering(b"\x05\x00", b"\x04\x00\x00\x01" + bytes(6))),
    "wants a login": ("http", answering(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")),
    "has no end of its head": ("http", answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000)),
    "is no HTTP": ("http", answering(b"\x05\x00")),
    "rejects": ("socks4a", answering(b"\x00\x5d" + bytes(6))),
    "speaks in riddles": ("socks4a", answering(b"\xff" * 8)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_upstream_costs_the_client_nothing(start, origin, kind):
    scheme, far = HOSTILE[kind]
    server, tunnel = origin(echo), origin(far)
    proxy = start("--policy", "round_robin", "--dial-timeout", "2", f"{scheme}://{OPEN4}:{tunnel.port}", "wan1")
    for _ in range(2):
        assert carries(proxy, OPEN4, server.port)
    assert {line["uplink"] for line in proxy.connections(2)} == {"wan1"}


@pytest.mark.parametrize("scheme, replies", [("socks5", [b"\x05\x00", SOCKS5_OK]), ("socks5", [b"\x05\x00", b"\x05\x00\x00\x03\x04name\x00\x50"]),
                                             ("socks5", [b"\x05\x00", b"\x05\x00\x00\x04" + bytes(18)]),
                                             ("socks4a", [b"\x00\x5a" + bytes(6)]),
                                             ("http", [b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n"]), ("http", [b"HTTP/1.0 200\n\n"]),
                                             ("http", [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"])])
def test_bytes_right_after_the_reply_belong_to_the_destination(start, origin, scheme, replies):
    tunnel = origin(answering(*replies, then=b"\r\nhello\r\n\r\n"))
    proxy = start(f"{scheme}://{OPEN4}:{tunnel.port}")
    with socks5_connect(proxy, MORE4, 80) as s:
        assert read_exactly(s, 11) == b"\r\nhello\r\n\r\n"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_reply_byte_by_byte(start, origin, scheme):
    def far(s):
        def drip(data):
            for byte in data:
                s.sendall(bytes([byte]))
                time.sleep(0.005)

        if scheme == "http":
            head = read_head(s)
            assert head.startswith(f"CONNECT {MORE4}:80 HTTP/1.1\r\nHost: {MORE4}:80\r\nProxy-Authorization: Basic dTpw\r\n".encode()), head
            drip(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n")
        elif scheme == "socks5":
            assert read_exactly(s, 4) == b"\x05\x02\x00\x02"
            drip(b"\x05\x02")
            assert read_exactly(s, 5) == b"\x01\x01u\x01p"
            drip(b"\x01\x00")
            assert read_exactly(s, 10) == b"\x05\x01\x00\x01" + bytes([198, 51, 100, 30]) + struct.pack(">H", 80)
            drip(SOCKS5_OK)
        else:
            assert read_exactly(s, 10) == b"\x04\x01\x00\x50" + bytes([198, 51, 100, 30]) + b"u\0"
            drip(b"\x00\x5a" + bytes(6))
        s.sendall(b"done")
        return True

    tunnel = origin(far)
    user = "u@" if scheme == "socks4a" else "u:p@"
    proxy = start(f"{scheme}://{user}{OPEN4}:{tunnel.port}")
    with socks5_connect(proxy, MORE4, 80) as s:
        assert read_exactly(s, 4) == b"done"


def test_a_password_is_shown_nowhere(start, upstream):
    far = upstream("--auth", "anna:SECRET")
    proxy = start("--debug", f"socks5://anna:SECRET@{OPEN4}:{far.port}", "wan1")
    proxy.ask("status")
    shown = proxy.tell("uplinks") + proxy.tell("status") + str(proxy.ask("uplinks")) + proxy.tell("why", "x.test") + proxy.log_text()
    shown += Path(f"/proc/{proxy.pid}/cmdline").read_text()
    assert "SECRET" not in shown and "anna" not in shown


@pytest.mark.parametrize("url, said", [
    ("socks5://SECRET:SECRET@host", "expected host:port"),
    ("socks5://SECRET:SECRET@host:0", "expected host:port"),
    ("socks5://SECRET:SECRET@host:99999", "expected host:port"),
    ("socks5://SECRET:SEC%2RET@host:1", "user and password: expected 255 bytes at most"),
    ("socks5://SECRET:SEC%00RET@host:1", "user and password: expected 255 bytes at most"),
    ("socks5://:SECRET@host:1", "expected a user before the @"),
    ("socks4a://u:SECRET@host:1", "SOCKS4a knows no passwords"),
    ("http://u%3Av:SECRET@host:1", "a user name with a colon cannot be sent by HTTP"),
    ("https://SECRET@host:1", "expected socks5://, socks4a:// or http://"),
    ("socks5://u:SECRET@host:1@0", "the weight behind it must be a number above 0"),
    ("socks5://u:SECRET@host:1/x", "the weight behind it must be a number above 0"),
    ("socks5://2001:db8::1:80", "expected an IPv6 address in brackets"),
])
def test_invalid_urls(url, said):
    line = refused(2, "check", url)
    assert said in line and "SECRET" not in line, line


def test_checks_detect_that_an_upstreams_far_end_fails_and_recovers(start, origin):
    """The parent proxy answers but reaches nothing: checks go through it, and detect that."""
    good, broken = HttpOrigin(origin, lambda *_: response(204, phrase="No Content")), []

    def far(s):
        assert read_exactly(s, 3) == b"\x05\x01\x00"
        s.sendall(b"\x05\x00")
        read_exactly(s, 10)
        if broken:
            return s.sendall(b"\x05\x01\x00\x01" + bytes(6))
        s.sendall(b"\x05\x00\x00\x01" + bytes(6))
        read_head(s)
        s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    tunnel = origin(far)
    name = f"{OPEN4}:{tunnel.port}"
    proxy = start("--debug", "--check-interval", "1", f"socks5://{name}", "wan2", check=f"http://{OPEN4}:{good.port}/204")
    wait_for(lambda: proxy.events("checked", uplink=name, fault="ok"), "it is checked")
    assert not [e for e in proxy.events("checked", uplink=name) if "family" in e], "it is one way for both"
    broken.append(1)
    wait_for(lambda: uplinks(proxy)[name]["state"] == "down", "it is found out")
    assert carries(proxy, OPEN4, origin(echo).port) and proxy.connections(1)[0]["uplink"] == "wan2"
    broken.clear()
    wait_for(lambda: uplinks(proxy)[name]["state"] == "up", "it is found again")
