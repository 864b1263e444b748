"""The config file is read again while the proxy runs: what changes, what does not, and that a mistake changes nothing."""

import re
import socket

import pytest

from lab.command import run
from lab.origin import read_exactly
from lab.run import wait_for
from lab.socks import socks5_code, socks5_connect
from lab.uplinks import fetch, names, one


@pytest.fixture
def begin(start, config):
    """Start a proxy with a config file; returns it and a function that writes the file anew."""

    def make(text, **options):
        path = config(f'return {{ listen = "127.0.0.1:0", {text} }}')
        proxy = start("--config", path, port=False, **options)
        return proxy, lambda more, listen="127.0.0.1:0": config(f'return {{ listen = "{listen}", {more} }}')

    return make


def places(proxy):
    status = proxy.ask("status")
    return status["listening"], status["udp"]["listening"]


def test_uplinks_follow_the_file(begin, echo):
    proxy, write = begin('policy = "failover", uplinks = { { interface = "wan1", weight = 2 } }')
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        write('policy = "failover", uplinks = { "wan3", { interface = "wan2", tags = { "metered" } } }')
        lines = proxy.tell("reload").splitlines()
        assert lines[0].startswith("policy failover loaded, generation 2")
        assert sorted(lines[1:]) == ["uplinks: with wan2", "uplinks: with wan3", "uplinks: without wan1"]
        assert names(proxy) == ["wan3", "wan2"]
        tunnel.sendall(b"still here")
        assert read_exactly(tunnel.s, 10) == b"still here"
        assert fetch(proxy, echo) == "wan3"
    assert proxy.events("config_reloaded", trigger="control", changes=3)
    write('policy = "failover", uplinks = { { interface = "wan2", tags = { "metered" }, weight = 3, tier = 1 }, "wan3" }')
    proxy.tell("reload")
    assert names(proxy) == ["wan2", "wan3"] and one(proxy, "wan2")["weight"] == 3


def test_what_the_user_has_changed_stays_unless_its_lines_change(begin):
    proxy, write = begin('uplinks = { "wan1", "wan2" }')
    proxy.tell("weight", "wan1", "5")
    proxy.tell("remove", "wan2")
    proxy.tell("add", "wan3")
    write('uplinks = { "wan1", "wan2" }, idle_timeout = 100')
    proxy.tell("reload")
    assert names(proxy) == ["wan1", "wan3"] and one(proxy, "wan1")["weight"] == 5
    write('uplinks = { { interface = "wan1", weight = 7 }, "wan2@2" }')
    proxy.tell("reload")
    assert names(proxy) == ["wan1", "wan3"] and one(proxy, "wan1")["weight"] == 7


def test_a_drained_uplink_stays_drained(begin):
    proxy, write = begin('uplinks = { "wan1", "wan2" }', dns=None)
    proxy.tell("drain", "wan1")
    write('uplinks = { { interface = "wan1", dns = "192.0.2.53" }, "wan2" }')
    proxy.tell("reload")
    assert one(proxy, "wan1")["state"] == "draining" and one(proxy, "wan1")["dns"] == ["192.0.2.53"]


def test_checks_begin_anew_only_when_they_change(begin):
    proxy, write = begin('uplinks = { "wan1" }, debug = true, check = "127.0.0.1:1"', check=None)
    wait_for(lambda: proxy.events("checked"), "the first check")
    n = len(proxy.events("checked"))
    write('uplinks = { "wan1" }, debug = true, check = "127.0.0.1:1", idle_timeout = 77')
    proxy.tell("reload")
    write('uplinks = { "wan1" }, debug = true, check = "127.0.0.1:2"')
    proxy.tell("reload")
    wait_for(lambda: any(e["target"].endswith(":2") for e in proxy.events("checked")), "a check of the new target")
    assert len([e for e in proxy.events("checked") if e["target"].endswith(":1")]) <= n + 1


def test_from_named_uplinks_to_those_found_and_back(begin):
    proxy, write = begin('uplinks = { "wan2" }')
    write("")
    proxy.tell("reload")
    assert set(names(proxy)) >= {"wan1", "wan2"}
    write('uplinks = { "wan1" }')
    proxy.tell("reload")
    assert names(proxy) == ["wan1"]


def test_settings_follow_the_file(begin, echo):
    proxy, write = begin('uplinks = { "wan1" }')
    assert socks5_code(proxy, echo.address, echo.port) == 0
    write(f'uplinks = {{ "wan1" }}, deny = "{echo.address}"')
    assert "deny: with " in proxy.tell("reload")
    assert socks5_code(proxy, echo.address, echo.port) == 2
    write('uplinks = { "wan1" }, auth = "bob:secret"')
    answer = proxy.tell("reload")
    assert "secret" not in answer and "auth: with (not shown)" in answer
    with pytest.raises(Exception):
        socks5_connect(proxy, echo.address, echo.port)
    write('uplinks = { "wan1" }, allow = "192.0.2.0/24"')
    proxy.tell("reload")
    with pytest.raises(Exception):
        socks5_connect(proxy, echo.address, echo.port)
    write('uplinks = { "wan1" }')
    proxy.tell("reload")
    assert socks5_code(proxy, echo.address, echo.port) == 0
    assert "secret" not in proxy.log_text()


def test_a_shorter_idle_timeout_ends_open_tunnels(begin, echo):
    proxy, write = begin('uplinks = { "wan1" }, idle_timeout = 1000')
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        tunnel.sendall(bytes(1000))
        read_exactly(tunnel.s, 1000)
        write('uplinks = { "wan1" }, idle_timeout = 1')
        proxy.tell("reload")
        with socks5_connect(proxy, echo.address, echo.port) as later:
            later.s.settimeout(30)
            with pytest.raises(ConnectionResetError):
                assert later.s.recv(1) == b""
                raise ConnectionResetError  # a FIN will do as well


def test_listeners_follow_the_file(begin, echo, start):
    proxy, write = begin('uplinks = { "wan1" }')
    old = proxy.ask("status")["listening"]
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        write(f'uplinks = {{ "wan1" }}, forward = "tcp:127.0.0.1:0={echo.address}:{echo.port}"')
        proxy.tell("reload")
        listening = proxy.ask("status")["listening"]
        assert listening[0] == old[0] and len(listening) == 2
        write('uplinks = { "wan1" }', listen="127.0.0.2:0")
        proxy.tell("reload")
        now = proxy.ask("status")["listening"]
        assert len(now) == 1 and now[0].startswith("127.0.0.2:")
        tunnel.sendall(b"still here")
        assert read_exactly(tunnel.s, 10) == b"still here"


def test_localhost_becomes_every_address_and_back_on_one_port(begin, echo):
    proxy, write = begin('uplinks = { "wan1" }')
    port = proxy.ask("status")["listening"][0].rsplit(":", 1)[1]
    write('uplinks = { "wan1" }', listen=f"127.0.0.1:{port}")
    proxy.tell("reload")
    for listen in (f"0.0.0.0:{port}", f"127.0.0.1:{port}"):
        with socks5_connect(proxy, echo.address, echo.port) as tunnel:
            write('uplinks = { "wan1" }', listen=listen)
            proxy.tell("reload")
            assert proxy.ask("status")["listening"] == [listen]
            tunnel.sendall(b"still here")
            assert read_exactly(tunnel.s, 10) == b"still here"
        assert fetch(proxy, echo) == "wan1"


def test_a_port_of_the_proxy_becomes_a_forward(begin, echo):
    proxy, write = begin('uplinks = { "wan1" }')
    port = int(proxy.ask("status")["listening"][0].rsplit(":", 1)[1])
    write('uplinks = { "wan1" }', listen=f"127.0.0.1:{port}")
    proxy.tell("reload")
    write(f'uplinks = {{ "wan1" }}, forward = "tcp:127.0.0.1:{port}={echo.address}:{echo.port}"', listen="127.0.0.2:0")
    proxy.tell("reload")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        s.sendall(b"plain")
        assert read_exactly(s, 5) == b"plain"


def test_another_programs_port_is_refused(begin):
    proxy, write = begin('uplinks = { "wan1" }')
    with socket.socket() as other:
        other.bind(("127.0.0.3", 0))
        other.listen()
        write('uplinks = { "wan1" }', listen=f"127.0.0.3:{other.getsockname()[1]}")
        assert "cannot listen on 127.0.0.3" in proxy.tell("reload", code=1)


def test_policy_and_parameters_follow_the_file(begin):
    proxy, write = begin('uplinks = { "wan1" }, policy = "round_robin"')
    write('uplinks = { "wan1" }, policy = "sticky_site", set = { ttl = 77 }')
    proxy.tell("reload")
    policy = proxy.ask("status")["policy"]
    assert policy["name"] == "sticky_site" and policy["set"] == {"ttl": "77"}
    proxy.tell("policy", "failover")  # the user's choice stays while the file does not change
    proxy.tell("reload")
    assert proxy.ask("status")["policy"]["name"] == "failover"


@pytest.mark.parametrize(("text", "error"), [
    ('uplinks = { "wan2" }, wieght = 3', "wieght: unknown key"),
    ('uplinks = { "wan2@0" }', "wan2@0"),
    ("uplinks = { ", "unexpected symbol|expected"),
    ('uplinks = { "wan2" }, policy = "nothing"', "nothing"),
    ('uplinks = { "wan2" }, policy = "broken.lua"', "oops"),
    ('uplinks = { "wan2" }, forward = "tcp:203.0.113.7:1=192.0.2.1:80", listen_strict = true', "cannot listen on 203.0.113.7:1"),
    ('uplinks = { "wan2" }, auth_file = "nosuch"', "nosuch"),
    ('uplinks = { "wan2" }, policy = "broken.lua", forward = "tcp:127.0.0.1:0=192.0.2.1:80"', "oops"),
    ('uplinks = { "wan2" }, policy = "broken.lua", forward = "udp:127.0.0.1:0=192.0.2.1:80"', "oops"),
])
def test_a_mistake_changes_nothing(begin, echo, tmp_path, text, error):
    (tmp_path / "broken.lua").write_text('return { name = "broken", new = function() error("oops") end }')
    proxy, write = begin('uplinks = { "wan1@4" }, policy = "round_robin"')
    before = places(proxy), [(u["name"], u["id"], u["weight"]) for u in proxy.ask("uplinks")["uplinks"]]
    write(text)
    assert re.search(error, proxy.tell("reload", code=1))
    after = places(proxy), [(u["name"], u["id"], u["weight"]) for u in proxy.ask("uplinks")["uplinks"]]
    assert before == after
    assert proxy.ask("status")["policy"]["name"] == "round_robin"
    assert fetch(proxy, echo) == "wan1"
    assert len(proxy.events("config_not_reloaded")) == 1


def test_sighup_reads_the_file_too(begin):
    proxy, write = begin('uplinks = { "wan1" }')
    write('uplinks = { "wan1", "wan2" }')
    proxy.reload()
    wait_for(lambda: names(proxy) == ["wan1", "wan2"], "the new uplink")
    assert proxy.events("config_reloaded", trigger="signal", changes=1)


def test_what_needs_a_restart_is_named(begin):
    proxy, write = begin('uplinks = { "wan1" }')
    write('uplinks = { "wan1" }, threads = 1, no_jit = true')
    answer = proxy.tell("reload")
    assert "threads: not set → 1 (needs a restart)" in answer and "no_jit: not set → true (needs a restart)" in answer
    assert {e["key"] for e in proxy.events("config_needs_restart")} == {"threads", "no_jit"}


def test_the_command_line_wins(start, config, echo):
    path = config('return { idle_timeout = 100, uplinks = { "wan2" } }')
    proxy = start("wan1", "--config", path, "--idle-timeout", "200")
    config('return { idle_timeout = 300, uplinks = { "wan3" } }')
    answer = proxy.tell("reload")
    assert "idle_timeout: 100 → 300 (overridden by the command line)" in answer
    assert names(proxy) == ["wan1"]


def test_check_diff_tells_what_a_reload_would_change(begin):
    proxy, write = begin('uplinks = { "wan1@2" }, idle_timeout = 100')
    path = write('uplinks = { "wan1@2" }, idle_timeout = 100')
    ask = ["check", "--config", str(path), "--control", str(proxy.control_path), "--diff"]
    assert run(*ask).stdout.endswith("no difference to the config of the running proxy\n")
    write('uplinks = { "wan1@3", "wan2" }, idle_timeout = 50, allow = { "10.0.0.0/8", "127.0.0.0/8" }, threads = 2')
    lines = run(*ask).stdout.splitlines()
    for line in ("uplink wan1: wan1@2 → wan1@3", "uplinks: with wan2", "idle_timeout: 100 → 50", "allow: with 10.0.0.0/8",
                 "allow: with 127.0.0.0/8", "threads: not set → 2 (needs a restart)"):
        assert line in lines, lines
    assert one(proxy, "wan1")["weight"] == 2  # nothing has changed


def test_a_port_of_datagrams_is_opened_again_at_its_place(start, config, datagrams):
    """Its former socket is closed by another thread, and may not be closed yet."""
    servers = [datagrams(lambda _, s, data, client, n=n: s.sendto(n, client)) for n in (b"one", b"two")]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]

    def write(n):
        to = f"{servers[n % 2].address}:{servers[n % 2].port}"
        return config(f'return {{ listen = "127.0.0.1:0", forward = "udp:127.0.0.1:{port}={to}", transparent = "tproxy:127.0.0.1:0", '
                      f'peek_timeout = {1 + n // 10}, uplinks = {{ "wan1" }} }}')

    proxy = start("--config", write(0), port=False)
    captures = [a for a in proxy.ask("status")["udp"]["listening"] if a != f"127.0.0.1:{port}"]
    for n in range(1, 31):
        write(n)
        proxy.tell("reload")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        for n in (31, 32):
            write(n)
            proxy.tell("reload")
            s.sendto(b"who", ("127.0.0.1", port))
            assert s.recv(10) == (b"one", b"two")[n % 2]
    assert sorted(proxy.ask("status")["udp"]["listening"]) == sorted([f"127.0.0.1:{port}", *captures])
    assert not proxy.events("listen_failed")
