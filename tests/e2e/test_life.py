"""The proxy's lifetime: draining, signals, reload, log, and no leaks."""

import os
import re
import select
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from lab.clients import curl_by
from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo, pattern, read_all, read_exactly, reset
from lab.proxy import SANITIZED
from lab.run import WAIT_S, wait_for
from lab.socks import open_to, request5, socks5_connect

MIB = 1024 * 1024


def refuses_connections(proxy):
    for address in proxy.addresses:
        try:
            socket.create_connection(address, timeout=5).close()
            return False
        except ConnectionRefusedError:
            pass
    return True


def test_the_environment_does_not_choose_the_event_backend(start, monkeypatch):
    """LIBEV_FLAGS could select libev's io_uring backend, which ends the process under load."""
    monkeypatch.setenv("LIBEV_FLAGS", "128")
    proxy = start("wan1")
    held = {os.readlink(fd) for fd in Path(f"/proc/{proxy.pid}/fd").iterdir()}
    assert "anon_inode:[eventpoll]" in held and "anon_inode:[io_uring]" not in held


# --- the end ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_open_connections_finish(start, origin, number):
    proxy = start("wan1")
    go_on = threading.Event()
    content = pattern(4 * MIB)

    def in_two_halves(s):
        s.sendall(content[: 2 * MIB])
        assert go_on.wait(2 * WAIT_S)
        s.sendall(content[2 * MIB :])

    server = origin(in_two_halves)
    with open_to(proxy) as idle, socks5_connect(proxy, server.address, server.port) as tunnel:
        got = tunnel.recv(65536)
        proxy.signal(number)
        proxy.wait_event("stopping", connections=1)
        wait_for(lambda: refuses_connections(proxy), "new connections are refused")
        assert idle.recv(1) == b"", "who has asked for nothing is let go"
        assert proxy.alive()
        go_on.set()
        assert got + read_all(tunnel.s) == content
    assert proxy.wait() == 0
    assert proxy.events("stopped") and proxy.connections(1)[0]["outcome"] == "closed"


def test_a_draining_proxy_finishes_the_request_and_closes(start, origin):
    proxy = start("wan1")
    asked, go_on = threading.Event(), threading.Event()

    def slow(request, _):
        if request.target == "/slow":
            asked.set()
            assert go_on.wait(2 * WAIT_S)
        return response(200, b"done")

    server = HttpOrigin(origin, slow)
    with Client(proxy) as resting, Client(proxy) as busy:
        assert resting.ask(get(server)).body == b"done"
        busy.send(get(server, "/slow"))
        assert asked.wait(WAIT_S)
        proxy.signal(signal.SIGTERM)
        assert resting.at_end()
        go_on.set()
        m = busy.message("GET")
        assert m.body == b"done" and m.has_token("Connection", "close")
        assert busy.at_end()
    assert proxy.wait() == 0


def test_a_second_signal_ends_it_at_once(start, origin):
    proxy = start("wan1", "--drain-timeout", "60")
    server = origin(echo)
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        proxy.signal(signal.SIGTERM)
        proxy.wait_event("stopping", connections=1, seconds=60)
        tunnel.sendall(b"still")
        assert tunnel.recv(5) == b"still"
        proxy.signal(signal.SIGTERM)
        assert proxy.wait(timeout=WAIT_S) == 0
        with pytest.raises(ConnectionResetError):
            if tunnel.recv(1) == b"":
                pytest.fail("a tunnel that is cut must not look as if it had ended")
    assert proxy.connections(1)[0]["outcome"] == "shutdown"


def test_the_drain_time_is_bounded(start, origin):
    proxy = start("wan1", "--drain-timeout", "1")
    server = origin(echo)
    with socks5_connect(proxy, server.address, server.port):
        began = time.monotonic()
        proxy.signal(signal.SIGTERM)
        assert proxy.wait(timeout=WAIT_S) == 0
        assert time.monotonic() - began > 0.9
    proxy.wait_event("drain_timeout", connections=1)


def test_without_connections_it_ends_at_once(start):
    proxy = start("wan1", "--drain-timeout", "60")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait(timeout=WAIT_S) == 0


# --- relay threads ---


def relay_threads(proxy):
    """{name: (blocked signals as bits from 1, nanoseconds of CPU time)}"""
    found = {}
    for task in Path(f"/proc/{proxy.pid}/task").iterdir():
        name, status = (task / "comm").read_text().strip(), (task / "status").read_text()
        blocked = int(re.search(r"^SigBlk:\s*(\w+)$", status, re.M)[1], 16) << 1
        if name.startswith("relay "):
            found[name] = blocked, int((task / "schedstat").read_text().split()[0])
    return found


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_the_number_of_relay_threads(start, origin, threads):
    proxy = start("wan1", "--threads", threads)
    size = 32 * MIB
    server = origin(lambda s: s.sendall(bytes(size)))
    before = relay_threads(proxy)
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        read_exactly(tunnel.s, size)
        found = relay_threads(proxy)
    assert sorted(found) == [f"relay {n}" for n in range(1, threads + 1)]
    for blocked, _ in found.values():  # signals must reach the main thread: the watchdog's and the user's
        assert all(blocked >> n & 1 for n in (signal.SIGPROF, signal.SIGTERM, signal.SIGHUP))
    worked = sorted(found[name][1] - before[name][1] for name in found)
    assert threads == 0 or worked[-1] > 1e6 > sum(worked[:-1]), "a tunnel's bulk is one thread's"


# --- reload, and policies that fail ---

ALWAYS = """
return {{ name = "always", new = function()
  return {{ pick = function(_, uplinks)
    for i = 1, #uplinks do
      if uplinks[i].name == "{name}" then return uplinks[i], "told so" end
    end
  end }}
end }}
"""


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text(ALWAYS.format(name="wan2"))
    return path


def seen_by(lab, proxy, n=4):
    return {lab.uplink_of(curl_by("socks5", proxy).ok().text.strip()) for _ in range(n)}


def test_a_reload_changes_new_connections_and_keeps_open_ones(start, lab, web, origin, policy):
    proxy = start("--policy", policy, "wan1", "wan2")
    assert seen_by(lab, proxy) == {"wan2"}
    server = origin(echo)
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        policy.write_text(ALWAYS.format(name="wan1"))
        proxy.reload()
        proxy.wait_event("policy_reloaded", generation=2)
        assert seen_by(lab, proxy) == {"wan1"}
        tunnel.sendall(b"alive")
        assert tunnel.recv(5) == b"alive"


@pytest.mark.parametrize("broken, says", [
    ("return {", "mine.lua:1"),
    ("return 5", "mine.lua"),
    ("error('on purpose')", "on purpose"),
    ('return { name = "x", new = function() return {} end }', "pick"),
    ('return {\n name = "x", new = function()\n return nil + 1 end }', "mine.lua:3"),
    ("while true do end", "mine.lua"),
    (None, "mine.lua"),
], ids=["syntax", "no table", "error", "no pick", "error in new", "endless", "gone"])  # fmt: skip
def test_a_broken_policy_leaves_the_old_one(start, lab, web, policy, broken, says):
    proxy = start("--policy", policy, "wan1", "wan2")
    good = policy.read_text()
    if broken is None:
        policy.unlink()
    else:
        policy.write_text(broken)
    proxy.reload()
    assert says in proxy.wait_event("policy_not_reloaded")["error"]
    assert seen_by(lab, proxy) == {"wan2"}
    policy.write_text(good.replace("wan2", "wan1"))
    proxy.reload()
    proxy.wait_event("policy_reloaded", generation=2)
    assert seen_by(lab, proxy) == {"wan1"}


@pytest.mark.parametrize("body, says", [
    ('error("oh no")', "oh no"),
    ("return nothing.at_all", "mine.lua:2"),
    ("return 'wan1'", ""),
    ("while true do end", ""),
    ("return nil", None),
], ids=["error", "nil index", "wrong type", "endless", "no opinion"])  # fmt: skip
def test_the_default_decides_when_a_policy_fails(start, lab, web, policy, body, says):
    """Seven to three by the built-in default, and the log names the line at fault."""
    # The first call is a trial pick at load, which must succeed.
    policy.write_text(
        "local n = 0 return { name = 'failing', new = function() return { pick = function(_, uplinks)\n"
        f"n = n + 1 if n > 5 then {body} end return uplinks[1] end }} end }}\n"
    )
    proxy = start("--policy", policy, "wan1@7", "wan2@3")
    for _ in range(20):
        assert curl_by("http", proxy).code == 0
    uplinks = [line["uplink"] for line in proxy.connections(20)]
    assert uplinks.count("wan2") >= 3, uplinks
    if says:
        proxy.wait_log(says)
    if says is not None:
        assert "mine.lua" in proxy.log_text()
    assert proxy.alive()


def test_parameters_of_a_policy(start, lab, web, tmp_path):
    (tmp_path / "tuned.lua").write_text(
        'return { name = "tuned", params = { which = { type = "number", default = 1, min = 1, max = 2, about = "x" } },\n'
        "  new = function(ctx) return { pick = function(_, uplinks) return uplinks[ctx.params.which] end } end }"
    )
    assert seen_by(lab, start("--policy", tmp_path / "tuned.lua", "wan1", "wan2")) == {"wan1"}
    assert seen_by(lab, start("--policy", tmp_path / "tuned.lua", "--set", "which=2", "wan1", "wan2")) == {"wan2"}


# --- no leaks ---


def mixed_connections(proxy, server, n):
    """Connections of all kinds, with all kinds of ends."""
    for i in range(n):
        kind = i % 12
        with open_to(proxy) as s:
            s.settimeout(WAIT_S)
            if kind == 0:
                s.sendall(b"\x05\x01\x00")
            elif kind == 1:
                s.sendall(b"\x04\x01")
            elif kind == 2:
                s.sendall(b"nonsense\r\n\r\n")
                read_all(s)
            elif kind == 3:
                s.sendall(get(server))
                s.recv(10)  # leave in the middle of the answer
            elif kind == 4:
                s.sendall(get(server)[:-2])
            elif kind == 5:
                s.sendall(f"CONNECT {server.address}:9 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert b" 502 " in s.recv(4096)
            elif kind == 6:
                s.sendall(get(server, "/", "Connection: close"))
                read_all(s)
            elif kind == 7:
                s.sendall(b"GET http://missing.test/ HTTP/1.1\r\nHost: missing.test\r\n\r\n")
                assert b" 502 " in s.recv(4096)
            elif kind == 8:
                s.sendall(get(server))
                reset(s)
            elif kind == 10:
                s.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
                reset(s)
            elif kind == 11:
                s.sendall(f"CONNECT {server.hostport} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                reset(s)
        if kind == 9:
            with socks5_connect(proxy, server.address, server.port) as tunnel:
                tunnel.sendall(b"x" * 1000)


def test_no_descriptor_leaks(start, origin):
    proxy = start("wan1", "wan2", "--dial-timeout", "2")
    server = HttpOrigin(origin, lambda *_: response(200, pattern(200_000)))
    mixed_connections(proxy, server, 12)
    wait_for(lambda: proxy.events("connection"), "the proxy is warm")

    baseline = proxy.descriptors_at_rest()
    memory = proxy.resident()
    mixed_connections(proxy, server, 240)
    assert proxy.descriptors_at_rest() == baseline
    assert SANITIZED or proxy.resident() - memory < 2 * MIB


def test_too_many_clients_for_its_descriptors(start, origin):
    """It refuses clients, logs that, does not spin, and recovers."""
    proxy = start("wan1", prefix=("prlimit", "--nofile=40:40"))
    server = origin(echo)
    web = HttpOrigin(origin, lambda _request, _s: response(200, b"hello", "Connection: close"))
    clients = []

    def is_starved():
        return proxy.events("accept_failed")

    def is_answered_or_starved():
        return select.select([clients[-1].s], [], [], 0)[0] or is_starved()

    try:
        # Each was served and keeps its connection, which takes one descriptor.
        while not is_starved():
            assert len(clients) < 60
            clients.append(Client(proxy))
            clients[-1].send(get(web))
            wait_for(is_answered_or_starved, "an answer, or no more room")
        clients.append(Client(proxy))
        clients[-1].send(get(web))
        before = proxy.cpu_seconds()
        with pytest.raises(TimeoutError):
            clients[-1].s.settimeout(1)
            clients[-1].s.recv(1)
        assert proxy.cpu_seconds() - before < 0.5, "it must not spin"
    finally:
        for client in clients:
            client.s.close()

    def serves():
        try:
            with socks5_connect(proxy, server.address, server.port, timeout=5) as tunnel:
                tunnel.sendall(b"x")
                return tunnel.recv(1) == b"x"
        except (OSError, EOFError, AssertionError):
            return False

    wait_for(serves, "it serves again")


GARBAGE = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + pattern(500),
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nul": bytes(100_000),
    "high": b"\xff" * 1000,
    "one line": b"A" * 200_000,
    "newlines": b"\r\n" * 100_000,
    "bare lf": b"\n" * 100_000,
    "socks5 no methods": b"\x05\x00",
    "socks5 wrong second version": b"\x05\x01\x00\x04\x01\x00\x01" + bytes(6),
    "socks5 empty name": b"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50",
    "socks5 name of nul": b"\x05\x01\x00\x05\x01\x00\x03\x05a\0b\0c\x00\x50",
    "socks4 long": b"\x04\x01" + b"\xff" * 10_000,
    "head of fields": b"GET http://x/ HTTP/1.1\r\n" + b"a: b\r\n" * 10_000,
    "formats": b"GET %s%n%x http://%s/ HTTP/1.1\r\n\r\n",
    "proxy protocol": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n\r\n",
    "escape": b"GET http://x\x1b[2Jy/ HTTP/1.1\r\nHost: \x1b[31m\r\n\r\n",
}


def throw(proxy, data):
    with open_to(proxy) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            read_all(s, limit=1 << 20)
        except (ConnectionResetError, BrokenPipeError):
            pass  # a reset is an answer too


def test_garbage_of_many_kinds(start, origin):
    proxy = start("wan1", "--dial-timeout", "1")
    server = origin(echo)
    for data in GARBAGE.values():
        throw(proxy, data)
    for first in range(256):
        throw(proxy, bytes([first]) + pattern(first * 7 + 3, b"garbage"))
    assert proxy.alive()
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        tunnel.sendall(b"x")
        assert tunnel.recv(1) == b"x"
    assert all(31 < ord(c) < 127 or c == "\n" for c in proxy.log_text()), "nothing that a terminal would obey"

def test_the_soft_limit_of_descriptors_is_raised(start):
    proxy = start("wan1", prefix=["prlimit", "--nofile=64:4000"])
    with open(f"/proc/{proxy.pid}/limits", encoding="ascii") as limits:
        (line,) = [line for line in limits if line.startswith("Max open files")]
    assert line.split()[3:5] == ["4000", "4000"]


def test_a_machine_without_ipv6_serves_on_ipv4(start, web):
    switch = Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
    switch.write_text("1", encoding="ascii")
    try:
        proxy = start("wan1")
        curl_by("socks5", proxy).ok()
        assert [line["address"].split(":")[0] for line in proxy.events("listening")] == ["127.0.0.1"]
    finally:
        switch.write_text("0", encoding="ascii")
