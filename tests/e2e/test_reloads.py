"""Consecutive reloads under load, half of them with broken policies: no connection is dropped, no request fails.

STEERWAY_RELOADS sets the number; ./dev soak uses 300."""

import os
import threading

import pytest

from lab.clients import curl_by
from lab.origin import echo
from lab.proxy import SANITIZED
from lab.socks import socks5_connect

RELOADS = int(os.environ.get("STEERWAY_RELOADS", "48"))

GOOD = """return { name = "mine", params = { n = { type = "number", default = 1 } }, new = function(ctx)
  local least = require("steerway.balance").least_connections()
  local picks = 0
  return {
    pick = function(conn, uplinks) picks = picks + 1 return least(conn, uplinks) end,
    export = function() return { picks = picks } end,
    import = function(t) picks = t.picks end,
    selftest = function() assert(picks >= 0) end,
  }
end } -- %d
"""
BROKEN = [
    ("return { name = = 1 }", "unexpected symbol near '='"),
    (GOOD.replace("local picks = 0", "error 'no luck'"), "mine.lua:3: no luck"),
    (GOOD.replace("local picks = 0", "while true do end"), "mine.lua:3: stopped: took longer than 50 ms"),
    (GOOD.replace("picks >= 0", "false, 'the selftest failed'"), "the selftest failed"),
    (GOOD.replace('n = { type = "number", default = 1 }', 'm = { type = "number" }'), "unknown parameter 'n'"),
    (GOOD.replace("return least(conn, uplinks)", "return 5"), "pick returned a number"),
]


def test_reloads_in_a_row_under_load(start, web, origin, tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text(GOOD % 0)
    proxy = start("--policy", path, "--set", "n=2", "wan1", "wan2")
    server = origin(echo)
    held = [socks5_connect(proxy, "open.test", server.port) for _ in range(20)]
    stop, failed, done = threading.Event(), [], []

    def request(mode):
        while not stop.is_set():
            r = curl_by(mode, proxy, host="web4.test")
            (done if r.code == 0 else failed).append((mode, r))

    threads = [threading.Thread(target=request, args=(mode,)) for mode in ("socks5h", "connect", "http")]
    for thread in threads:
        thread.start()
    took, generation = [], 1
    try:
        for i in range(RELOADS):
            text, error = (GOOD % i, None) if i % 2 == 0 else BROKEN[i // 2 % len(BROKEN)]
            path.write_text(text % i if "%d" in text else text)
            answer = proxy.ask("reload")
            assert answer["ok"] == (error is None), answer
            if error:
                assert error in answer["error"], answer
            else:
                generation += 1
                assert answer["generation"] == generation
                took.append(answer["seconds"])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed, failed[:3]
    assert len(done) >= RELOADS / 4
    for n, s in enumerate(held):
        s.sendall(b"still there %d" % n)
        assert s.recv(100) == b"still there %d" % n
        s.close()
    accounts = proxy.connections(len(done) + len(held))
    assert {a["outcome"] for a in accounts} == {"closed"}
    assert all(a["reason"] == "fewest connections" for a in accounts), "no pick was left to the built-in default"
    took.sort()
    print(f"{RELOADS} reloads, {len(done)} requests; good ones took {took[len(took) // 2] * 1e3:.1f} ms (median), "
          f"{took[-1] * 1e3:.1f} ms at most")


@pytest.mark.once
def test_many_reloads_do_not_grow_the_process(start, tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text(GOOD % 0)
    proxy = start("--policy", path, "wan1")
    for _ in range(30):
        assert proxy.ask("reload")["ok"]
    before, descriptors = proxy.resident(), proxy.descriptors_at_rest()
    for _ in range(100):
        assert proxy.ask("reload")["ok"]
    assert proxy.descriptors_at_rest() <= descriptors
    assert proxy.resident() - before < 8e6 or SANITIZED


def test_an_error_in_another_encoding_is_shown(start, tmp_path):
    path = tmp_path / "p.lua"
    path.write_text('return { name = "p", new = function() return { pick = function() end } end }\n')
    proxy = start("--policy", path, "wan1")
    path.write_bytes(b'error "in b\xfccher"\n')
    answer = proxy.ask("reload")
    assert not answer["ok"] and answer["error"].endswith(r"p.lua:1: in b\xfccher"), answer
    assert proxy.ask("status")["policy"]["refused"]["error"] == answer["error"]
