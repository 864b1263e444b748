"""A user's own policy in the running proxy: what it sees, what it may answer, and that its answer is followed."""

import contextlib
import signal
import threading

import pytest

from lab.clients import curl_by
from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo, read_exactly
from lab.run import WAIT_S, wait_for
from lab.socks import auth5, open_to, read_reply4, read_reply5, request4, request5, socks5_code, socks5_connect
from lab.topology import HOLE4, OPEN4, OPEN6


@pytest.fixture
def policy(tmp_path):
    """Write a policy; the test gives the body of `new`."""
    path = tmp_path / "mine.lua"

    def write(body):
        path.write_text(f'return {{ name = "mine", new = function(ctx)\n{body}\nend }}\n')
        return path

    yield write


# All fields of a connection, as the reason in the log.
TELL = """
  return { pick = function(conn, uplinks)
    local function say(v) return v == nil and "nil" or tostring(v) end
    local names = {}
    for i = 1, #uplinks do names[i] = uplinks[i].name end
    return uplinks[1], table.concat({ conn.proto, conn.host, say(conn.port), say(conn.is_domain), say(conn.is_ipv6),
      conn.client, say(conn.user), say(conn.attempt), say(conn.last_error), table.concat(names, "+") }, " ")
  end }
"""


# Its pick runs a loop that LuaJIT compiles, already in the trial pick.
HOT = """
  local n = 0
  return { pick = function(conn, uplinks) for i = 1, 1000 do n = n + i end return uplinks[1] end }
"""


def machine_code(proxy):
    """The executable mappings that belong to no file."""
    with open(f"/proc/{proxy.pid}/maps", encoding="ascii") as maps:
        return [line for line in maps if "x" in line.split()[1] and len(line.split()) == 5]


def test_without_the_compiler_there_is_no_machine_code(start, policy):
    assert machine_code(start("--policy", policy(HOT), "wan1"))
    assert machine_code(start("--policy", policy(HOT), "--no-jit", "wan1")) == []


def reasons(proxy, n):
    return [line["reason"] for line in proxy.connections(n)]


def test_a_policy_sees_all_fields_of_a_connection(start, origin, policy):
    proxy = start("--hedge", "0", "--policy", policy(TELL), "wan1", "wan2")
    four, six = origin(echo), origin(echo, address=OPEN6)
    with open_to(proxy) as s:
        s.sendall(request4(OPEN4, four.port, user=b"fred"))
        assert read_reply4(s)[0] == 90
    proxy.connections(1)
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x02" + auth5("wilma", "x") + request5("open.test", four.port))
        assert read_exactly(s, 4) == b"\x05\x02\x01\x00"
        assert read_reply5(s)[0] == 0
    proxy.connections(2)
    with socks5_connect(proxy, OPEN6, six.port):
        pass
    proxy.connections(3)
    with Client(proxy) as c:
        assert c.ask(f"CONNECT OPEN.test:{four.port} HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT").status == 200
    assert reasons(proxy, 4) == [
        f"socks4 {OPEN4} {four.port} false false 127.0.0.1 fred 1 nil wan1+wan2",
        f"socks5 open.test {four.port} true false 127.0.0.1 wilma 1 nil wan1+wan2",
        f"socks5 {OPEN6} {six.port} false true 127.0.0.1 nil 1 nil wan1+wan2",
        f"connect open.test {four.port} true false 127.0.0.1 nil 1 nil wan1+wan2",
    ]


def test_a_policy_sees_why_an_attempt_failed(start, lab, policy):
    proxy = start("--hedge", "0", "--policy", policy(TELL), "wan1", "wan2", "wan3", "--dial-timeout", "1")
    assert socks5_code(proxy, OPEN4, 9) == 5
    assert reasons(proxy, 1)[0].endswith("3 refused wan3"), "each uplink was asked once, the failed ones left out"
    lab.wan1.lose_addresses()
    with pytest.raises(AssertionError):
        socks5_connect(proxy, OPEN4, 9)
    assert "attempts" in proxy.connections(2)[1]


def test_only_uplinks_of_the_right_family_are_offered(start, lab, origin, policy):
    six = origin(echo, address=OPEN6)
    proxy = start("--hedge", "0", "--policy", policy(TELL), lab.wan1.addr4, lab.wan2.addr6, "wan3")
    socks5_connect(proxy, OPEN6, six.port).close()
    assert reasons(proxy, 1)[0].endswith(f" 1 nil {lab.wan2.addr6}+wan3")


def test_a_list_is_an_order_of_preference(start, lab, web, policy):
    path = policy("""
      local asked = 0
      return { pick = function(_, uplinks)
        asked = asked + 1
        local order = {}
        for i = #uplinks, 1, -1 do order[#order + 1] = uplinks[i] end
        return order, "question " .. asked
      end }""")
    proxy = start("--policy", path, "wan1", "wan2", "wan3")
    assert curl_by("socks5", proxy).ok().text.strip() == lab.wan3.addr4
    first = reasons(proxy, 1)[0]
    lab.wan3.turn_away()
    assert curl_by("socks5", proxy).ok().text.strip() == lab.wan2.addr4
    line = proxy.connections(2)[1]
    number = int(first.split()[1])
    assert (line["reason"], line["attempts"]) == (f"question {number + 1}", 2), "the next was tried without asking"


def test_a_policy_sets_how_long_a_dial_may_take(start, policy):
    path = policy("return { pick = function(_, uplinks) return uplinks[1], 'hasty', { timeout = 0.3 } end }")
    proxy = start("--policy", path, "wan1", "--dial-timeout", "30")
    assert socks5_code(proxy, HOLE4, 80) == 6
    (line,) = proxy.connections(1)
    assert 0.25 < line["duration"] < 20 and line["outcome"] == "timeout"


HOOKS = """
  local function say(...) ctx.log.info("%s", table.concat({ ... }, " ")) end
  return {
    pick = function(_, uplinks) return uplinks[1], "x", { tag = "T" } end,
    opened = function(conn, uplink, seconds) say("opened", conn.host, uplink.name, seconds < 60 and "soon" or "late", conn.tag) end,
    failed = function(conn, uplink, err) say("failed", conn.host, uplink.name, err) end,
    closed = function(conn, uplink, stats)
      say("closed", conn.host, uplink.name, stats.tx, stats.rx, stats.reason, stats.tag, uplink.active)
    end,
  }
"""


def said(proxy):
    return [line["text"] for line in proxy.events("policy_says")]


def test_hooks_receive_the_outcome(start, lab, origin, policy):
    proxy = start("--policy", policy(HOOKS), "wan1", "--dial-timeout", "1")
    server = origin(echo)
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        tunnel.sendall(b"12345")
        read_exactly(tunnel.s, 5)
    proxy.connections(1)
    assert socks5_code(proxy, OPEN4, 9) == 5
    assert socks5_code(proxy, HOLE4, 80) == 6
    assert socks5_code(proxy, "missing.test", 80) == 4
    wait_for(lambda: len(said(proxy)) >= 4, "the hooks have spoken")
    assert said(proxy)[:4] == [
        f"opened {OPEN4} wan1 soon T",
        f"closed {OPEN4} wan1 5 5 closed T 1",
        f"failed {OPEN4} wan1 refused",
        f"failed {HOLE4} wan1 timeout",
    ]


def test_live_numbers(start, origin, policy):
    """The numbers of uplinks that a policy reads are up to date."""
    path = policy("""
      return { pick = function(_, uplinks)
        local u = uplinks[1]
        return u, ("%d %d %d %d %d"):format(u.active, u.total, u.failures, u.tx_bytes, u.rx_bytes)
      end }""")
    proxy = start("--policy", path, "wan1")
    server = origin(echo)
    with socks5_connect(proxy, OPEN4, server.port) as one:
        one.sendall(b"x" * 1000)
        read_exactly(one.s, 1000)
        with socks5_connect(proxy, OPEN4, server.port):
            pass
        proxy.connections(1)
    proxy.connections(2)
    with socks5_connect(proxy, OPEN4, server.port):
        pass
    told = [reason.split() for reason in reasons(proxy, 3)]
    assert told[0][:3] == ["1", "1", "0"], "the second, picked while the first lived"
    assert told[1][:2] == ["0", "0"], "the first"
    assert told[2][:2] == ["0", "2"] and told[2][3:] == ["1000", "1000"]


def test_reload_under_load_loses_nothing(start, web, policy):
    path = policy("return { pick = function(_, uplinks) return uplinks[math.random(#uplinks)], 'drawn' end }")
    proxy = start("--policy", path, "wan1", "wan2")
    for _ in range(3):
        curl_by("http", proxy).ok()
    baseline = proxy.descriptors_at_rest()
    stop, failures, done = threading.Event(), [], []

    def ask(mode):
        while not stop.is_set():
            result = curl_by(mode, proxy)
            (done if result.code == 0 else failures).append(str(result))

    threads = [threading.Thread(target=ask, args=(mode,)) for mode in ("socks5h", "http")]
    for thread in threads:
        thread.start()
    for generation in range(2, 22):
        before = len(done)
        proxy.reload()
        proxy.wait_event("policy_reloaded", generation=generation)
        wait_for(lambda n=before: failures or len(done) > n, "requests go on")
    stop.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert not failures, failures[0]
    assert proxy.descriptors_at_rest() == baseline, "no descriptor of an old policy is left"


def test_the_shipped_policies_start(start, lab, web):
    for name in ("least_connections", "round_robin", "random", "failover"):
        proxy = start("--policy", name, "wan1", "wan2")
        assert lab.uplink_of(curl_by("connect", proxy).ok().text.strip()) in ("wan1", "wan2")


def test_a_kept_http_connection_asks_the_policy_once(start, origin, policy):
    """A second request on an open connection to the same server is not a new connection."""
    proxy = start("--policy", policy(HOOKS), "wan1")
    server = HttpOrigin(origin, lambda *_: response(200, b"x"))
    with Client(proxy) as c:
        for _ in range(5):
            c.ask(get(server))
    wait_for(lambda: len(said(proxy)) >= 2, "opened and closed")
    assert [text.split()[0] for text in said(proxy)] == ["opened", "closed"]


def test_a_policy_is_told_of_uplink_changes(start, lab, policy):
    body = """
  return {
    pick = function(_, uplinks) return uplinks[1] end,
    uplink_changed = function(u, what) ctx.log.info("%s %s up=%s", u.name, what, tostring(u.up)) end,
  }"""
    proxy = start("--policy", policy(body), "wan1", "wan2")
    lab.wan2.down()
    proxy.wait_event("policy_says", text="wan2 down up=false")
    lab.wan2.restore()
    proxy.wait_event("policy_says", text="wan2 up up=true")


def test_a_policy_is_told_of_changes_once_all_uplinks_are_up_to_date(start, lab, policy):
    body = """
  local function n_up()
    local n = 0
    for _, u in ipairs(ctx.uplinks) do
      n = n + (u.up and 1 or 0)
    end
    return n
  end
  return {
    pick = function(_, uplinks) return uplinks[1] end,
    uplink_changed = function(u, what) ctx.log.info("%s %s: %d up", u.name, what, n_up()) end,
  }"""
    proxy = start("--policy", policy(body), "wan1", "wan2")
    with at_once(proxy):
        lab.wan1.down()
        lab.wan2.down()
    proxy.wait_event("policy_says", text="wan2 down: 0 up")
    assert said(proxy) == ["wan1 down: 0 up", "wan2 down: 0 up"]


def test_timers_of_a_policy_run_without_connections(start, policy):
    body = """
  local n = 0
  ctx.every(0.05, function()
    n = n + 1
    ctx.log.info("turn %d", n)
  end)
  ctx.after(0.01, function()
    ctx.log.info("once")
    while true do end
  end)
  return { pick = function() end }"""
    proxy = start("--policy", policy(body), "wan1")
    proxy.wait_event("policy_says", text="turn 4")
    assert len([line for line in proxy.events("policy_says") if line["text"] == "once"]) == 1
    failed = proxy.wait_event("policy_failed", **{"in": "timer"})
    assert "mine.lua:10: stopped: took longer than 50 ms" in failed["error"]


def test_a_policy_that_only_failed_in_its_timers_does_not_make_the_proxy_spin(start, policy):
    proxy = start("--policy", policy("ctx.every(0.01, function() error 'ouch' end)\nreturn { pick = function() end }"), "wan1")
    proxy.wait_log("quarantined")
    before = proxy.cpu_seconds()
    with pytest.raises(AssertionError, match="never"):
        wait_for(lambda: False, "never", 1)
    assert proxy.cpu_seconds() - before < 0.2


def test_what_a_policy_remembers_survives_a_reload(start, web, policy):
    body = """
  local n = 0
  return {
    pick = function(_, uplinks) n = n + 1 return uplinks[1], "pick " .. n end,
    export = function() return { n = n } end,
    import = function(t) n = t.n + 100 end,
  }"""
    proxy = start("--policy", policy(body), "wan1")
    assert curl_by("socks5h", proxy, host="web4.test").code == 0
    proxy.connections(1)
    proxy.reload()
    proxy.wait_event("policy_reloaded", generation=2)
    assert curl_by("socks5h", proxy, host="web4.test").code == 0
    assert reasons(proxy, 2) == ["pick 3", "pick 106"]


# --- its share of the main loop's time ---

BURST = 60
SLOW = "local t = os.clock() while os.clock() - t < 0.042 do end"  # within the 50 ms of one call


@contextlib.contextmanager
def at_once(proxy):
    """Bytes sent in this context have arrived when the proxy looks."""
    proxy.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        proxy.signal(signal.SIGCONT)


def test_slow_picks_of_many_clients_do_not_block_the_loop(start, origin, policy):
    """Counted by calls, not by the clock: 6 of 60 take a quarter of a second, and the default decides for the others."""
    server = origin(echo)
    proxy = start("--policy", policy(f"return {{ pick = function(_, u) {SLOW} return u[1], 'ok' end }}"), "wan1", "--hedge", "0")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(open_to(proxy)) for _ in range(BURST)]
        for s in clients:
            s.sendall(b"\x05\x01\x00")
            assert read_exactly(s, 2) == b"\x05\x00"
        with at_once(proxy):
            for s in clients:
                s.sendall(request5(OPEN4, server.port))
        assert [read_reply5(s)[0] for s in clients] == [0] * BURST
    told = [line["reason"] for line in proxy.connections(BURST)]
    assert set(told) == {"ok", "default: policy used up its share of time"}
    assert told.count("ok") <= BURST // 2
    assert len(proxy.events("policy_rests")) == 1
    status = proxy.ask("status")["policy"]
    assert status["skipped"] == BURST - told.count("ok")
    assert not status["quarantined"] and status["errors"] == 0
    assert f"0 calls failed, {status['skipped']} skipped" in proxy.tell("status")

    def picked_again():
        socks5_connect(proxy, OPEN4, server.port).close()
        proxy.settled()
        return proxy.connections()[-1]["reason"] == "ok"

    wait_for(picked_again, "the policy has rested")


def test_slow_hooks_of_many_ending_connections_do_not_block_the_loop(start, origin, policy):
    body = f"""
  local closed = ctx.counter "closed"
  return {{ pick = function(_, u) return u[1], "ok" end, closed = function() closed:add() {SLOW} end }}"""
    server = origin(echo)
    proxy = start("--policy", policy(body), "wan1", "--threads", "0")
    tunnels = [socks5_connect(proxy, OPEN4, server.port) for _ in range(BURST)]
    with at_once(proxy):
        for tunnel in tunnels:
            tunnel.close()
    assert len(proxy.connections(BURST)) == BURST
    status = proxy.ask("status")
    assert status["metrics"]["closed"] + status["policy"]["skipped"] == BURST
    assert 0 < status["metrics"]["closed"] <= BURST // 2
    assert [u["active"] for u in proxy.ask("uplinks")["uplinks"]] == [0], "the engine's own numbers need no hook"
