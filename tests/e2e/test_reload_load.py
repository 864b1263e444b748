"""The config is read again under load, and half of the readings are refused: no connection is dropped, none is refused.

`./dev soak` reads it 300 times (STEERWAY_RELOADS)."""

import os

import pytest

from lab.takeover import AtWork

RELOADS = int(os.environ.get("STEERWAY_RELOADS", "24"))
GOOD = [
    'uplinks = { "wan1", "wan2" }, policy = "round_robin"',
    'uplinks = { "wan2@3", "wan3" }, policy = "least_connections", idle_timeout = 500',
    'uplinks = { { interface = "wan1", tags = { "metered" }, tier = 2 }, "wan2" }, policy = "failover", deny = "192.0.2.0/24"',
    'uplinks = { "wan3", "wan2@2", "wan1" }, policy = "round_robin", allow = { "127.0.0.0/8", "10.0.0.0/8" }, hedge = 1',
]
BROKEN = [
    'uplinks = { "wan2" }, wieght = 3',
    'uplinks = { "wan3" }, policy = "oops.lua"',
    'uplinks = { "wan3" }, forward = "tcp:203.0.113.7:1=192.0.2.1:80", listen_strict = true',
    'uplinks = { "wan3" ',
]


@pytest.mark.once
def test_reloads_under_load(start, config, echo, tmp_path):
    def write(text):
        return config(f'return {{ listen = "127.0.0.1:0", {text} }}')

    (tmp_path / "oops.lua").write_text('return { name = "oops", new = function() error("oops") end }')
    proxy = start("--config", write(GOOD[0]), port=False)
    clients = AtWork(proxy, echo)
    for i in range(RELOADS // 2):
        write(BROKEN[i % len(BROKEN)])
        proxy.tell("reload", code=1)
        write(GOOD[(i + 1) % len(GOOD)])
        proxy.tell("reload")
    clients.stop()
    assert not clients.wrong, clients.wrong[:5]
    assert clients.made > RELOADS
    assert len(proxy.events("config_reloaded")) == len(proxy.events("config_not_reloaded")) == RELOADS // 2
    assert {c["outcome"] for c in proxy.connections()} == {"closed"}
    ids = [u["id"] for u in proxy.ask("uplinks")["uplinks"]]
    assert max(ids) <= 64
