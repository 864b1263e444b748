"""Quotas: how bytes are counted, what a restart keeps, and what happens to an uplink whose quota is used up."""

import json
import re
import time

import pytest

from lab.clients import curl_by
from lab.command import refused
from lab.origin import read_exactly
from lab.run import wait_for
from lab.socks import open_to, read_reply5, request5, socks5_code, socks5_connect
from lab.topology import OPEN4

LINES = """return {{ policy = "quota", state = "state.json", listen = "127.0.0.1:0", uplinks = {{
  {{ interface = "wan1", quota = "{quota}" {more} }}, "wan2" }} }}"""
ALONE = """return { state = "state.json", listen = "127.0.0.1:0", uplinks = {
  { interface = "wan1", quota = "100K", quota_end = "hard" } } }"""


@pytest.fixture
def begin(start):
    return lambda path: start("--config", path, port=False)


def left(proxy, name="wan1"):
    return next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == name)["quota_left"]


def kept(folder):
    """The bytes used, according to the state file."""
    path = folder / "state.json"
    return json.loads(path.read_text())["uplinks"]["wan1"]["quota"]["used"] if path.exists() else 0


def exchange(proxy, server, up, down):
    """Move this many bytes in each direction."""
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        tunnel.sendall(b"%08d" % down + bytes(up - 8))
        read_exactly(tunnel.s, down)


@pytest.fixture
def server(origin):
    def serve(s):
        down = int(read_exactly(s, 8))
        s.sendall(bytes(down))
        while s.recv(65536):
            pass

    return origin(serve)


def test_both_directions_count_and_a_count_outlives_a_kill(begin, config, server, tmp_path):
    path = config(LINES.format(quota="1M", more=""))
    proxy = begin(path)
    assert left(proxy) == 1_000_000 and left(proxy, "wan2") is None
    assert re.search(r"^wan1 .* 1\.0 MB  10\.0\.1\.2", proxy.tell("uplinks"), re.M)
    exchange(proxy, server, 100_000, 200_000)
    wait_for(lambda: left(proxy) == 700_000, "it is counted")
    wait_for(lambda: kept(tmp_path) == 300_000, "it is saved")
    proxy.kill()
    proxy = begin(path)
    assert left(proxy) == 700_000
    exchange(proxy, server, 8, 99_992)
    assert proxy.stop() == 0  # saved at once: a clean end loses nothing
    assert left(begin(path)) == 600_000


@pytest.mark.once
def test_kills_at_any_moment_leave_a_file_that_can_be_read(begin, config, server, tmp_path):
    path, before = config(LINES.format(quota="1G", more="")), 0
    for n in range(6):
        proxy = begin(path)
        assert 1e9 - left(proxy) >= before
        exchange(proxy, server, 1000, 50_000)
        time.sleep(n * 0.7)  # the moment
        proxy.kill()
        before = kept(tmp_path)
    proxy = begin(path)
    exchange(proxy, server, 1000, 50_000)
    wait_for(lambda: kept(tmp_path) >= max(before, 51_000), "it is saved")
    assert not proxy.events("state_unreadable")


def test_a_soft_quota_prefers_other_uplinks_and_keeps_connections(begin, config, lab, server, web):
    proxy = begin(config(LINES.format(quota="100K", more="")))
    exchange(proxy, server, 50_000, 60_000)
    assert proxy.wait_event("quota_used_up", uplink="wan1")["end"] == "soft"
    assert left(proxy) == 0
    for _ in range(4):
        assert curl_by("socks5h", proxy, host="web4.test").code == 0
    assert [c["uplink"] for c in proxy.connections(5)][1:] == ["wan2"] * 4
    lab.wan2.down()
    proxy.wait_event("uplink_down", uplink="wan2")
    assert curl_by("socks5h", proxy, host="web4.test").code == 0
    assert proxy.connections(6)[-1]["uplink"] == "wan1"


def test_a_hard_quota_ends_connections(begin, config, server, tmp_path):
    path = config(ALONE)
    proxy = begin(path)
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        tunnel.sendall(b"%08d" % 60_000 + bytes(50_000))
        read_exactly(tunnel.s, 60_000)
        with pytest.raises(ConnectionResetError):
            tunnel.s.recv(1)
    assert proxy.wait_event("quota_used_up", uplink="wan1", end="hard")["cut"] == 1
    assert socks5_code(proxy, OPEN4, server.port) == 3  # RFC 1928 6: network unreachable
    assert proxy.ask("why", host="x.test")["left_out"] == [{"name": "wan1", "why": "its quota is used up"}]
    assert proxy.stop() == 0
    proxy = begin(path)
    assert proxy.events("uplink")[0]["state"] == "used up"
    assert socks5_code(proxy, OPEN4, server.port) == 3


def test_a_hard_quota_ends_a_running_dial(begin, config, server, lab):
    proxy = begin(config(ALONE))
    with socks5_connect(proxy, server.address, server.port) as first:
        lab.wan1.swallow_beginnings()
        with open_to(proxy) as late:
            late.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
            assert read_exactly(late, 2) == b"\x05\x00"
            wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["active"] == 2, "it is being dialled")
            first.sendall(b"%08d" % 120_000)
            proxy.wait_event("quota_used_up", uplink="wan1", end="hard", cut=1)
            lab.restore()  # and its SYN is sent again
            assert read_reply5(late)[0] == 0
            with pytest.raises(ConnectionResetError):
                assert late.recv(1) != b""
    assert [line["outcome"] for line in proxy.connections(2)] == ["cut", "cut"]


def test_a_new_period_begins_while_it_runs(begin, config, server, monkeypatch, tmp_path):
    """In a time zone in which midnight is a few seconds away."""
    path = config(ALONE.replace('quota = "100K"', 'quota = "100K", quota_per = "day"'))
    for soon in (4, 15, 60):  # a slow machine needs more time until the quota is used up
        midnight = int(time.time()) + soon
        seconds = 86400 - midnight % 86400
        monkeypatch.setenv("TZ", f"SOON-{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}")
        proxy = begin(path)
        exchange(proxy, server, 50_000, 60_000)
        if wait_for(lambda: proxy.events("quota_used_up", uplink="wan1") or time.time() > midnight, "it is used up") is not True:  # noqa: B023
            break
        assert proxy.stop() == 0
        (tmp_path / "state.json").unlink()
    proxy.wait_event("quota_has_room", uplink="wan1")
    assert left(proxy) == 100_000
    exchange(proxy, server, 8, 8)


def test_kept_counts_survive_a_run_without_the_uplink(begin, config, server, tmp_path):
    proxy = begin(config(LINES.format(quota="1M", more="")))
    exchange(proxy, server, 1000, 1000)
    assert proxy.stop() == 0
    assert begin(config('return { state = "state.json", listen = "127.0.0.1:0", uplinks = { "wan2" } }')).stop() == 0
    proxy = begin(config(LINES.format(quota="1M", more="")))
    assert left(proxy) == 998_000
    assert proxy.stop() == 0
    proxy = begin(config('return { state = "state.json", listen = "127.0.0.1:0", uplinks = { "wan1" } }'))
    assert left(proxy) is None
    exchange(proxy, server, 1000, 1000)
    assert proxy.stop() == 0
    assert left(begin(config(LINES.format(quota="1M", more="")))) == 998_000, "what a run without a quota moved is not counted"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"steerway_state":2,"uplinks":{}}', '{"steerway_state":1}', "\0"])
def test_an_invalid_state_file_is_set_aside(begin, config, tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    proxy = begin(config(LINES.format(quota="1M", more="")))
    assert proxy.events("state_unreadable")
    assert (tmp_path / "state.json.bad").read_text() == text
    assert left(proxy) == 1_000_000


def test_values_of_the_wrong_kind_count_as_none(begin, config, tmp_path):
    state = {"steerway_state": 1, "uplinks": {"wan1": {"rx_capacity": "x", "quota": {"began": 1.5, "used": -3}}, "wan2": 7}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    proxy = begin(config(LINES.format(quota="1M", more="")))
    assert left(proxy) == 1_000_000


def test_only_one_program_uses_a_state_file(begin, config):
    path = config(LINES.format(quota="1M", more=""))
    begin(path)
    assert "another proxy keeps its state there" in refused(1, "start", "--config", path, "--no-watch", "--control", "none")


def test_learned_capacities_survive_a_restart(begin, config, tmp_path):
    state = {"steerway_state": 1, "uplinks": {"wan1": {"rx_capacity": 5e6, "tx_capacity": 1e6}}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    proxy = begin(config(LINES.format(quota="1M", more="")))
    assert [proxy.ask("uplinks")["uplinks"][0][way] for way in ("rx_capacity", "tx_capacity")] == [5e6, 1e6]
    assert proxy.stop() == 0
    assert json.loads((tmp_path / "state.json").read_text())["uplinks"]["wan1"]["rx_capacity"] == 5e6


def test_a_state_file_that_cannot_be_written_is_reported(config):
    text = LINES.format(quota="1M", more="").replace("state.json", "config.lua/state.json")
    assert "state.json: Not a directory" in refused(1, "start", "--config", config(text), "--no-watch", "--control", "none")
