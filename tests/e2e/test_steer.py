"""Uplinks are added, removed and changed while the proxy runs."""

import json
import re

import pytest

from lab.origin import read_exactly
from lab.run import wait_for
from lab.socks import socks5_connect
from lab.uplinks import fetch, names, one

TOLD = """
return {{ name = "told", new = function(ctx)
  local names = {{}}
  for i, u in ipairs(ctx.uplinks) do names[i] = u.name end
  ctx.log.info("knows %s", table.concat(names, " "))
  return {{
    pick = function(conn, uplinks) {pick} end,
    uplink_changed = function(u, what) ctx.log.info("%s %s", u.name, what) end,
    closed = function(conn, u) ctx.log.info("closed by %s", u.name) end,
  }}
end }}
"""


@pytest.fixture
def told(tmp_path):
    def write(pick="return uplinks[1]"):
        path = tmp_path / "told.lua"
        path.write_text(TOLD.format(pick=pick))
        return path

    return write


def test_an_uplink_is_added(start, echo, told):
    proxy = start("wan1", "--policy", told("return uplinks[#uplinks]"))
    assert fetch(proxy, echo) == "wan1"
    assert proxy.tell("add", "wan2@2.5") == "wan2 is added: up\n"
    assert names(proxy) == ["wan1", "wan2"] and one(proxy, "wan2")["weight"] == 2.5
    assert fetch(proxy, echo) == "wan2"
    proxy.wait_log("knows wan1 wan2")
    assert proxy.events("uplink_added", uplink="wan2")
    assert proxy.ask("status")["policy"]["generation"] == 2


def test_what_cannot_be_added_changes_nothing(start):
    proxy = start("wan1")
    assert "an uplink of that name is there already" in proxy.tell("add", "wan1@3", code=1)
    assert "weight" in proxy.tell("add", "wan2@nothing", code=1)
    assert "interfaces: unknown key" not in proxy.tell("add", "ftp://10.0.0.1", code=1)
    for wrong in ({}, {"uplink": 7}, {"uplink": {"interface": "wan2", "wieght": 2}}, {"uplink": []}):
        answer = proxy.ask("add", **wrong)
        assert not answer["ok"] and answer["error"], wrong
    assert names(proxy) == ["wan1"] and one(proxy, "wan1")["weight"] == 1
    assert proxy.ask("status")["policy"]["generation"] == 1


def test_a_table_can_be_added_and_an_absent_link_waits(start, echo, lab):
    proxy = start("wan1")
    answer = proxy.ask("add", uplink={"interface": "wan2", "name": "second", "tier": 2, "tags": ["metered"], "quota": "1G"})
    assert answer["ok"] and answer["uplink"]["state"] == "up" and answer["uplink"]["quota_left"] == 1e9
    assert proxy.ask("add", uplink="nosuch0")["uplink"]["state"] == "down"
    assert names(proxy) == ["wan1", "second", "nosuch0"]


def test_a_removed_uplink_serves_its_open_connections_only(start, echo, told):
    proxy = start("wan1", "wan2", "--policy", told())
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        assert proxy.tell("remove", "wan1") == "wan1 is removed; 1 connections go on\n"
        assert names(proxy) == ["wan2"]
        proxy.wait_log("knows wan2")
        assert fetch(proxy, echo) == "wan2"
        for size in (4, 300_000):
            tunnel.sendall(bytes(size))
            assert read_exactly(tunnel.s, size) == bytes(size)
        assert proxy.tell("add", "wan1") == "wan1 is added: up\n"  # its name is free at once
        assert names(proxy) == ["wan2", "wan1"] and one(proxy, "wan1")["active"] == 0
    proxy.wait_log("closed by wan1")
    assert proxy.events("uplink_removed", uplink="wan1")


def test_connections_without_any_uplink_are_refused_and_return_with_one(start, echo):
    proxy = start("wan1")
    proxy.tell("remove", "wan1")
    assert names(proxy) == []
    with pytest.raises(Exception):
        fetch(proxy, echo)
    proxy.tell("add", "wan1")
    assert fetch(proxy, echo) == "wan1"


def test_an_unknown_uplink_is_refused(start):
    proxy = start("wan1", "wan2")
    for words in (("remove", "wan3"), ("weight", "wan3", "2"), ("tier", "wan3", "2"), ("quota", "wan3", "1G"), ("undrain", "wan3")):
        assert "unknown uplink 'wan3'; did you mean wan" in proxy.tell(*words, code=1)
    for verb in ("remove", "weight", "tier", "quota"):
        assert 'expected an "uplink"' in proxy.ask(verb)["error"]


def test_a_found_link_that_was_removed_is_not_found_again(start, lab):
    proxy = start()
    assert {"wan1", "wan2"} <= set(names(proxy))
    proxy.tell("remove", "wan1")
    lab.wan2.down()  # the machine is looked at
    proxy.wait_event("uplink_down", uplink="wan2")
    lab.wan2.restore()
    proxy.wait_event("uplink_up", uplink="wan2")
    assert "wan1" not in names(proxy)
    proxy.tell("add", "wan1")
    assert "wan1" in names(proxy)


def test_weights_and_tiers_count_at_once(start, echo):
    proxy = start("wan1", "wan2", "--policy", "round_robin")
    assert proxy.tell("weight", "wan2", "3") == "wan2 has weight 3\n"
    lines = [fetch(proxy, echo) for _ in range(8)]
    assert lines.count("wan2") == 6
    proxy.tell("policy", "failover")
    assert proxy.tell("tier", "wan1", "2") == "wan1 has tier 2\n"
    assert {fetch(proxy, echo) for _ in range(3)} == {"wan2"}
    assert proxy.events("uplink_changed", uplink="wan2", setting="weight")[0]["value"] == 3
    for verb, value in (("weight", "0"), ("weight", "1e9"), ("tier", "0"), ("tier", "1.5")):
        assert "expected a" in proxy.tell(verb, "wan1", value, code=1)
    assert "expected UPLINK and a number" in proxy.tell("weight", "wan1", "much", code=2)
    assert (one(proxy, "wan1")["weight"], one(proxy, "wan1")["tier"]) == (1, 2)


def test_a_quota_is_set_and_taken_away(start, echo, told):
    proxy = start("wan1", "wan2", "--policy", told())
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        tunnel.sendall(bytes(200_000))
        read_exactly(tunnel.s, 200_000)
    answer = proxy.ask("quota", uplink="wan1", value="300K", quota_per="day", quota_end="hard")
    assert answer["uplink"]["quota_left"] == 300_000  # no quota counted the bytes before
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        tunnel.sendall(bytes(160_000))
    wait_for(lambda: one(proxy, "wan1")["state"] == "used up", "the end of the quota")
    assert fetch(proxy, echo) == "wan2"
    assert re.match(r"wan1 has 0\.\d+ GB left", proxy.tell("quota", "wan1", "1G"))
    assert one(proxy, "wan1")["quota_left"] < 1e9 - 300_000  # the count goes on
    assert fetch(proxy, echo) == "wan1"
    assert proxy.tell("quota", "wan1", "none") == "wan1 has no quota\n"
    assert "expected bytes" in proxy.tell("quota", "wan1", "some", code=1)
    assert "quota_per: expected" in proxy.tell("quota", "wan1", "1G", "year", code=1)
    assert one(proxy, "wan1")["quota_left"] is None


def test_the_count_of_a_quota_outlives_removal(start, echo, config):
    path = config("""return { state = "state.json", uplinks = { { interface = "wan1", quota = "1M" }, "wan2" } }""")
    proxy = start("--config", path, "--policy", "failover")
    fetch(proxy, echo)
    wait_for(lambda: one(proxy, "wan1")["quota_left"] < 1e6, "the count")
    left = one(proxy, "wan1")["quota_left"]
    proxy.tell("remove", "wan1")
    assert proxy.ask("add", uplink={"interface": "wan1", "quota": "1M"})["uplink"]["quota_left"] == left


def test_drained_and_undrained(start):
    proxy = start("wan1", "wan2")
    proxy.tell("drain", "wan1")
    assert proxy.tell("undrain", "wan1") == "wan1 is up, with 0 connections\n"


def test_uplinks_come_and_go_many_times(start, echo):
    """Names and numbers become free again, and nothing is left."""
    proxy = start("wan1", "wan2")
    for _ in range(80):
        proxy.tell("remove", "wan1")
        proxy.tell("add", "wan1")
    assert sorted(names(proxy)) == ["wan1", "wan2"]
    assert json.loads(proxy.tell("uplinks", "--json"))["uplinks"][1]["id"] <= 64
    assert fetch(proxy, echo) in ("wan1", "wan2")
