"""Races spare what the choice spared: they use no higher tier and no metered uplink by themselves. The policy is told
of each race and may decline. Losing a race is not a failure."""

import time

import pytest

from lab.origin import echo, reset
from lab.run import at_once, wait_for
from lab.socks import open_to, read_reply5, request5, socks5_code, socks5_connect
from lab.topology import HOLE4, OPEN4

POLICY = """return { name = "racing", new = function(ctx)
  local function say(...)
    local words = { ... }
    for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
    ctx.log.info("%%s", table.concat(words, " "))
  end
  return {
    pick = function(conn, uplinks)
      local names = {}
      for i, u in ipairs(uplinks) do names[i] = u.name end
      say("pick", conn.attempt, conn.race, table.concat(names, "+"))
      %s
    end,
    opened = function(conn, u) say("opened", u.name, conn.attempt, conn.race) end,
    failed = function(conn, u, err) say("failed", u.name, err, conn.race) end,
    lost_race = function(conn, u) say("lost_race", u.name, conn.attempt, conn.race, u.races_lost) end,
    closed = function(conn, u) say("closed", u.name, conn.race) end,
  }
end }"""
FIRST = "return uplinks[1]"
LISTED = "return uplinks"
ANYWHERE = "return uplinks, nil, { race = 'any' }"
DEAR = ["tier = 2", 'tags = { "metered" }', 'quota = "1G"']


@pytest.fixture
def racing(start, config, tmp_path):
    """Start a proxy whose second line is set by the test, and whose races begin early."""

    def begin(pick, second="", third=True, *more):
        path = tmp_path / "racing.lua"
        path.write_text(POLICY % pick)
        lines = ['"wan1"', f'{{ interface = "wan2", {second} }}'] + (['"wan3"'] if third else [])
        own = config(f"return {{ uplinks = {{ {', '.join(lines)} }} }}")
        return start("--debug", "--hedge", "0.1", "--dial-timeout", "60", "--config", own, "--policy", path, *more)

    return begin


def said(proxy):
    """Since the start, without the trial picks before it."""
    log = proxy.log()
    began = next(i for i, line in enumerate(log) if line["event"] == "started")
    return [line["text"] for line in log[began:] if line["event"] == "policy_says"]


def numbers(proxy, *fields):
    return {u["name"]: tuple(u[f] for f in fields) for u in proxy.ask("uplinks")["uplinks"]}


def ask(proxy, host, port):
    s = open_to(proxy, 30)
    s.sendall(b"\x05\x01\x00" + request5(host, port))
    assert s.recv(2) == b"\x05\x00"
    return s


@pytest.mark.parametrize("pick", [FIRST, LISTED], ids=["asked again", "list"])
@pytest.mark.parametrize("second", DEAR)
def test_a_race_spares_expensive_uplinks(lab, racing, origin, second, pick):
    proxy = racing(pick, second)
    server = origin(echo)
    lab.wan1.swallow()
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        assert lab.uplink_of(tunnel.source) == "wan3"
    assert [line["uplink"] for line in proxy.events("raced")] == ["wan3"]
    assert said(proxy)[0] == "pick 1 false wan1+wan2+wan3", "for its own sake it may be chosen"
    if pick == FIRST:
        assert said(proxy)[1] == "pick 2 true wan3"


@pytest.mark.parametrize("second", DEAR)
def test_a_policy_may_let_a_race_use_any_uplink(lab, racing, origin, second):
    proxy = racing(ANYWHERE, second)
    server = origin(echo)
    lab.wan1.swallow()
    assert proxy.ask("why", host=OPEN4)["hedge"] == 0.1
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        assert lab.uplink_of(tunnel.source) == "wan2"


def test_the_first_uplink_is_waited_for_when_all_others_are_expensive(lab, racing, origin):
    """The expensive uplink serves after the first has failed."""
    proxy = racing(FIRST, "tier = 2", False)
    server = origin(echo)
    assert "hedge" not in proxy.ask("why", host=OPEN4)
    lab.wan1.turn_away()
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        assert lab.uplink_of(tunnel.source) == "wan2"
    assert said(proxy)[1:3] == ["failed wan1 unreachable false", "pick 2 false wan2"]
    assert not proxy.events("raced")


def test_a_failed_racer_is_not_replaced_by_an_expensive_uplink(lab, racing, origin):
    """An expensive uplink does not replace it while the other attempt runs."""
    proxy = racing(LISTED, "tier = 2")
    server = origin(echo)
    lab.wan1.swallow()
    lab.wan3.turn_away()
    with ask(proxy, OPEN4, server.port) as s:
        proxy.wait_event("attempt_failed", uplink="wan3")
        lab.wan1.restore()
        assert read_reply5(s)[:2] == (0, lab.wan1.addr4)
    assert [line["uplink"] for line in proxy.events("raced")] == ["wan3"]


def test_a_policy_may_decline_a_race(lab, racing, origin):
    proxy = racing("if conn.race then say('declined') return false, 'no race' end " + FIRST)
    server = origin(echo)
    lab.wan1.swallow()
    with ask(proxy, OPEN4, server.port) as s:
        proxy.wait_event("policy_says", text="declined")
        lab.wan1.restore()
        assert read_reply5(s)[:2] == (0, lab.wan1.addr4)
    assert "hedge" not in proxy.connections(1)[0]


def test_a_silent_loser_counts_as_failed(lab, racing, origin):
    proxy = racing("return uplinks[1], nil, { hedge = 0.3 }")
    server = origin(echo)
    lab.wan1.swallow()
    with socks5_connect(proxy, OPEN4, server.port):
        pass
    proxy.connections(1)
    assert said(proxy)[2:] == ["lost_race wan1 1 false 1", "opened wan2 2 true", "closed wan2 true"]
    assert numbers(proxy, "races_lost", "failures") == {"wan1": (1, 1), "wan2": (0, 0), "wan3": (0, 0)}


def test_a_second_attempt_that_is_too_late_does_not_count_as_failed(lab, racing, origin):
    proxy = racing(FIRST)
    server = origin(echo)
    lab.wan1.swallow()
    lab.wan2.swallow()
    with ask(proxy, OPEN4, server.port) as s:
        proxy.wait_event("raced", uplink="wan2")
        lab.wan1.restore()
        assert read_reply5(s)[:2] == (0, lab.wan1.addr4)
    proxy.connections(1)
    assert said(proxy)[2:] == ["lost_race wan2 2 true 1", "opened wan1 1 false", "closed wan1 false"]
    assert numbers(proxy, "races_lost", "failures") == {"wan1": (0, 0), "wan2": (1, 0), "wan3": (0, 0)}


def test_a_loser_with_an_answer_does_not_count_as_failed(lab, racing, origin, names):
    """Its line is slow, not silent: one address refused, and the other has not answered yet."""
    proxy = racing("return uplinks[1], nil, { hedge = 1 }")
    server = origin(echo, address=OPEN4)
    names.zone["half.test"] = [OPEN4, HOLE4]
    rule = f"ip daddr {OPEN4} tcp dport {server.port} reject with tcp reset"
    lab.wan1.isp.nft(f"table inet block {{\nchain f {{ type filter hook forward priority 0; {rule}; }}\n}}")
    lab.wan1.broken = True
    with socks5_connect(proxy, "half.test", server.port) as tunnel:
        assert lab.uplink_of(tunnel.source) == "wan2"
    proxy.connections(1)
    assert numbers(proxy, "races_lost", "failures")["wan1"] == (1, 0)


def test_a_client_that_leaves_makes_no_attempt_lose(racing):
    proxy = racing(FIRST)
    with ask(proxy, HOLE4, 80) as s:
        proxy.wait_event("raced", uplink="wan2")
        reset(s)
    proxy.connections(1)
    assert not [text for text in said(proxy) if text.startswith("lost_race")]
    assert set(numbers(proxy, "races_lost").values()) == {(0,)}


# --- the limit for the first attempt when all others are expensive ---


@pytest.fixture
def expensive(start, tmp_path):
    """Starts a proxy for each reason for which the second line is expensive: they wait at the same time."""

    def start_all(text, *args, **options):
        proxies = []
        for n, second in enumerate(DEAR):
            path = tmp_path / f"expensive{n}.lua"
            path.write_text(f"return {{ {text % second} }}")
            proxies.append(start("--config", path, *args, **options))
        return proxies

    return start_all


@pytest.mark.once
def test_an_idle_line_that_answers_checks_is_not_left_for_an_expensive_one(lab, expensive, origin):
    """The line has no traffic besides this attempt, so a check tests whether the line or the destination is silent."""
    server = origin(lambda s: s.recv(1))
    text = 'uplinks = { "wan1", { interface = "wan2", check = "none", %s } }, policy = "failover"'
    args = ("--dial-timeout", "6", "--check-interval", "3600", "--debug")
    proxies = expensive(text, *args, check=f"{OPEN4}:{server.port}")

    def checks():
        return [len(proxy.events("checked", uplink="wan1", family="ipv4")) for proxy in proxies]

    def dial(proxy, n):
        assert socks5_code(proxy, HOLE4, 80) in (4, 6)
        return proxy.connections(n)[-1].get("attempts", 1)

    wait_for(lambda: all(checks()), "each checks the line once")
    begun, before = lab.tcp_sent()["wan2"], checks()
    assert at_once(dial, [(proxy, 1) for proxy in proxies]) == [1] * len(DEAR)
    assert lab.tcp_sent()["wan2"] == begun, "not a packet"
    assert all(after > n for after, n in zip(checks(), before))
    lab.wan1.swallow()
    assert at_once(dial, [(proxy, 2) for proxy in proxies]) == [2] * len(DEAR)


def test_a_working_line_is_not_left_for_an_expensive_one(lab, expensive, origin, tmp_path):
    """While the line receives, a destination without an answer is no reason to switch. A silent line is left at half
    of the time."""
    server = origin(lambda s: [s.sendall(b"x") or time.sleep(0.05) for _ in range(6000)])
    (tmp_path / "only_as_offered.lua").write_text(
        'return { name = "p", new = function() return { pick = function(_, uplinks) return uplinks[1] end } end }')
    text = 'uplinks = { "wan1", { interface = "wan2", %s } }, policy = "only_as_offered.lua"'
    proxies = expensive(text, "--dial-timeout", "2")
    begun = lab.tcp_sent()["wan2"]

    def dial(proxy):
        assert socks5_code(proxy, HOLE4, 80) in (4, 6)

    def dial_beside_a_stream(proxy):
        with socks5_connect(proxy, OPEN4, server.port) as stream:
            assert stream.recv(1) == b"x"
            dial(proxy)
        proxy.connections(2)

    at_once(dial_beside_a_stream, [(proxy,) for proxy in proxies])
    assert lab.tcp_sent()["wan2"] == begun, "not a packet"
    at_once(dial, [(proxy,) for proxy in proxies])
    for proxy in proxies:
        assert [line.get("attempts", 1) for line in proxy.connections(3) if line["host"] == HOLE4] == [1, 2]
