"""A second uplink races a first one that is slow to connect: after the policy's time, or by the uplink's usual
connect time."""

import socket
import struct
from datetime import datetime
from contextlib import ExitStack, contextmanager

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.names import SILENCE
from lab.origin import echo
from lab.run import SOON_S, wait_for
from lab.socks import open_to, read_reply5, request5, socks5_code, socks5_connect
from lab.topology import HOLE4, LAN_HOME, OPEN4

# Far longer than any test here, for searches that must not end by it.
PATIENT = ("--dial-timeout", "60")
CLOSED_PORT = 9
FILLERS = 3


@pytest.fixture
def policy(tmp_path):
    """Write a policy that logs its hooks; the test gives the body of `pick`."""
    path = tmp_path / "hedging.lua"

    def write(pick):
        path.write_text("""
          return { name = "hedging", new = function(ctx)
            local asked = 0
            local function say(...) ctx.log.info("%s", table.concat({ ... }, " ")) end
            return {
              pick = function(conn, uplinks)
                asked = asked + 1
                """ + pick + """
              end,
              opened = function(conn, u)
                local active = {}
                for i, each in ipairs(ctx.uplinks) do active[i] = each.active end
                say("opened", u.name, conn.attempt, conn.last_error or "nil", table.concat(active, "+"))
              end,
              failed = function(conn, u, err) say("failed", u.name, err, conn.attempt) end,
              closed = function(conn, u, stats) say("closed", u.name, conn.attempt, stats.reason) end,
            }
          end }""")
        return path

    yield write


HEDGE = "return uplinks[1], 'pick of attempt ' .. conn.attempt, { hedge = 0.2 }"
IN_ORDER = "return uplinks, 'list ' .. asked, { hedge = 0.2 }"


def said(proxy):
    return [line["text"] for line in proxy.events("policy_says")]


def steps(proxy):
    """The steps of the searches, in order."""
    words = ("picked", "raced", "attempt_failed", "connected")
    return [(line["event"], line["uplink"]) for line in proxy.log() if line["event"] in words]


def numbers(proxy, *fields):
    return {u["name"]: tuple(u[f] for f in fields) for u in proxy.ask("uplinks")["uplinks"]}


def assert_at_rest(proxy):
    """Every lease was released exactly once."""
    wait_for(lambda: proxy.open_connections() == 0, "no connection is open")
    assert all(n == (0,) for n in numbers(proxy, "active").values())


def raced(proxy, uplink):
    proxy.wait_event("raced", uplink=uplink)


def ask(proxy, host, port):
    """Send a request and do not wait for the answer."""
    s = open_to(proxy, 30)
    s.sendall(b"\x05\x01\x00" + request5(host, port))
    assert s.recv(2) == b"\x05\x00"
    return s


@contextmanager
def full_server(address):
    """A server that answers no connection, since its queue is full."""
    with socket.create_server((address, 0), backlog=1) as server, ExitStack() as fillers:
        for _ in range(FILLERS):
            s = fillers.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex(server.getsockname())
        yield server


# --- one of two connects ---


@pytest.mark.parametrize("order", [HEDGE, IN_ORDER], ids=["asked again", "list"])
def test_a_silent_uplink_loses_the_race(start, lab, origin, policy, order):
    """Long before its dial would time out."""
    proxy = start("--debug", *PATIENT, "--policy", policy(order), "wan1", "wan2")
    server = origin(echo)
    lab.wan1.swallow()
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        assert lab.uplink_of(tunnel.source) == "wan2"
        assert numbers(proxy, "active") == {"wan1": (0,), "wan2": (1,)}, "the loser is let go at once"
    (line,) = proxy.connections(1)
    assert (line["uplink"], line["attempts"], line["hedge"]) == ("wan2", 2, "won")
    assert steps(proxy) == [("picked", "wan1"), ("raced", "wan2"), ("connected", "wan2")]
    reason = {HEDGE: "pick of attempt 2", IN_ORDER: None}[order]
    assert reason in (None, line["reason"])
    assert said(proxy) == ["opened wan2 2 nil 0+1", "closed wan2 2 closed"], "to lose is no failure"
    assert_at_rest(proxy)
    assert numbers(proxy, "total", "failures") == {"wan1": (0, 1), "wan2": (1, 0)}, "but its silence counts"
    assert numbers(proxy, "fail_rate")["wan1"][0] > 0


def test_a_list_is_followed_without_asking(start, lab, origin, policy):
    proxy = start("--debug", *PATIENT, "--policy", policy(IN_ORDER), "wan1", "wan2", "wan3")
    server = origin(echo)
    with socks5_connect(proxy, OPEN4, server.port):
        pass
    asked = int(proxy.connections(1)[0]["reason"].split()[1])
    lab.wan1.swallow()
    with socks5_connect(proxy, OPEN4, server.port):
        pass
    line = proxy.connections(2)[1]
    assert (line["reason"], line["uplink"]) == (f"list {asked + 1}", "wan2")


def test_the_first_attempt_may_win_the_race(start, lab, origin, policy):
    proxy = start("--debug", *PATIENT, "--policy", policy(HEDGE), "wan1", "wan2")
    server = origin(echo)
    lab.wan1.swallow()
    lab.wan2.swallow()
    with ask(proxy, OPEN4, server.port) as s:
        raced(proxy, "wan2")
        assert numbers(proxy, "active") == {"wan1": (1,), "wan2": (1,)}
        lab.wan1.restore()  # the kernel retransmits after a second
        assert read_reply5(s)[:2] == (0, lab.wan1.addr4)
    (line,) = proxy.connections(1)
    assert (line["uplink"], line["attempts"], line["hedge"]) == ("wan1", 2, "lost")
    assert line["reason"] == "pick of attempt 1"
    assert said(proxy) == ["opened wan1 1 nil 1+0", "closed wan1 1 closed"]
    assert_at_rest(proxy)
    assert numbers(proxy, "total", "failures", "fail_rate") == {"wan1": (1, 0, 0), "wan2": (0, 0, 0)}


def test_an_attempt_that_connects_in_time_is_not_raced(start, origin, policy):
    proxy = start("--debug", *PATIENT, "--policy", policy(HEDGE.replace("0.2", "20")), "wan1", "wan2")
    server = origin(echo)
    with socks5_connect(proxy, OPEN4, server.port):
        pass
    (line,) = proxy.connections(1)
    assert "hedge" not in line and "attempts" not in line
    assert steps(proxy) == [("picked", "wan1"), ("connected", "wan1")]


def test_without_a_second_uplink_nothing_is_raced(start, lab, origin, policy):
    proxy = start("--debug", "--dial-timeout", "1", "--policy", policy(HEDGE), "wan1")
    assert socks5_code(proxy, HOLE4, 80) == 6
    (line,) = proxy.connections(1)
    assert "hedge" not in line and "attempts" not in line and line["outcome"] == "timeout"
    assert said(proxy) == ["failed wan1 timeout 1"]
    assert_at_rest(proxy)


def test_a_failure_before_its_time_goes_on_to_the_next(start, lab, origin, policy):
    """The next one does not race the failed one, but may be raced itself."""
    proxy = start("--debug", *PATIENT, "--policy", policy(HEDGE.replace("0.2", "2")), "wan1", "wan2", "wan3")
    server = origin(echo)
    lab.wan1.turn_away()
    lab.wan2.swallow()
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        assert lab.uplink_of(tunnel.source) == "wan3"
    assert steps(proxy) == [
        ("picked", "wan1"), ("attempt_failed", "wan1"), ("picked", "wan2"), ("raced", "wan3"), ("connected", "wan3"),
    ]  # fmt: skip
    (line,) = proxy.connections(1)
    assert (line["attempts"], line["hedge"]) == (3, "won")
    assert said(proxy)[:2] == ["failed wan1 unreachable 1", "opened wan3 3 unreachable 0+0+1"]
    assert_at_rest(proxy)


def test_a_hedge_of_one_choice_does_not_apply_to_the_next(start, lab, origin, policy):
    pick = "return uplinks[1], nil, conn.attempt == 1 and { hedge = 20 } or { timeout = 1 }"
    proxy = start("--debug", *PATIENT, "--hedge", "0", "--policy", policy(pick), "wan1", "wan2", "wan3")
    server = origin(echo)
    lab.wan1.turn_away()
    lab.wan2.swallow()
    with socks5_connect(proxy, OPEN4, server.port):
        pass
    assert steps(proxy) == [
        ("picked", "wan1"), ("attempt_failed", "wan1"), ("picked", "wan2"), ("attempt_failed", "wan2"),
        ("picked", "wan3"), ("connected", "wan3"),
    ]  # fmt: skip


# --- without a time from the policy ---


def waited(proxy):
    """Seconds from the first pick to the race."""
    at = {line["event"]: datetime.fromisoformat(line["time"]) for line in proxy.log() if line["event"] in ("picked", "raced")}
    return (at["raced"] - at["picked"]).total_seconds()


def test_a_quarter_of_a_second_is_the_default_where_nothing_is_known(start, lab, origin):
    proxy = start("--debug", *PATIENT, "--policy", "failover", "wan1", "wan2")
    server = origin(echo)
    lab.wan1.swallow()
    assert proxy.ask("why", host=OPEN4)["hedge"] == 0.25
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        assert tunnel.source in (lab.wan1.addr4, lab.wan2.addr4)
    (line,) = proxy.connections(1)
    if line["uplink"] == "wan1":  # it came second in turn of two equal uplinks
        return
    assert line["hedge"] == "won" and 0.24 < waited(proxy) < SOON_S


def test_the_user_may_set_the_hedge(start, lab, origin, policy):
    server = origin(echo)
    lab.wan1.swallow()
    for s, said in (("0.6", 0.6), ("0", None)):
        proxy = start("--debug", *PATIENT, "--hedge", s, "--policy", policy("return uplinks[1]"), "wan1", "wan2")
        assert proxy.ask("why", host=OPEN4).get("hedge") == said
        if said:
            with socks5_connect(proxy, OPEN4, server.port):
                pass
            assert 0.59 < waited(proxy) < SOON_S


def test_a_policy_may_switch_races_off(start, lab, origin, policy):
    proxy = start("--debug", "--dial-timeout", "4", "--policy", policy("return uplinks[1], nil, { hedge = false }"), "wan1", "wan2")
    server = origin(echo)
    lab.wan1.swallow()
    with socks5_connect(proxy, OPEN4, server.port):
        pass
    assert steps(proxy) == [("picked", "wan1"), ("attempt_failed", "wan1"), ("picked", "wan2"), ("connected", "wan2")]
    assert "hedge" not in proxy.ask("why", host=OPEN4)


# --- failures during a race ---


def test_without_a_third_uplink_a_failed_racer_waits_for_the_other(start, lab, origin, policy):
    """The policy is told of the failure meanwhile."""
    proxy = start("--debug", *PATIENT, "--policy", policy(HEDGE), "wan1", "wan2")
    server = origin(echo)
    lab.wan1.swallow()
    lab.wan2.turn_away()
    with ask(proxy, OPEN4, server.port) as s:
        proxy.wait_event("policy_says", text="failed wan2 unreachable 2")
        assert numbers(proxy, "active") == {"wan1": (1,), "wan2": (0,)}
        lab.wan1.restore()
        assert read_reply5(s)[0] == 0
    assert steps(proxy) == [
        ("picked", "wan1"), ("raced", "wan2"), ("attempt_failed", "wan2"), ("connected", "wan1"),
    ]  # fmt: skip
    assert proxy.connections(1)[0]["hedge"] == "lost"
    assert_at_rest(proxy)
    assert numbers(proxy, "failures") == {"wan1": (0,), "wan2": (1,)}


def test_when_both_fail_the_more_telling_reason_counts(start, lab, policy):
    """One uplink is silent; by the other, the destination refuses."""
    proxy = start("--debug", "--dial-timeout", "2", "--policy", policy(HEDGE), "wan1", "wan2")
    lab.wan1.swallow()
    assert socks5_code(proxy, OPEN4, CLOSED_PORT) == 5
    (line,) = proxy.connections(1)
    assert (line["outcome"], line["attempts"], line["hedge"]) == ("refused", 2, "undecided")
    assert said(proxy) == ["failed wan2 refused 2", "failed wan1 timeout 1"]
    assert_at_rest(proxy)
    assert numbers(proxy, "total", "failures") == {"wan1": (0, 1), "wan2": (0, 0)}, "a refusal is an answer"


def test_at_most_two_attempts_run_and_the_next_follows_a_failure(start, policy):
    pick = HEDGE.replace("hedge = 0.2", "hedge = 0.2, timeout = 2")
    proxy = start("--debug", "--policy", policy(pick), "wan1", "wan2", "wan3")
    assert socks5_code(proxy, HOLE4, 80) == 6
    assert steps(proxy) == [
        ("picked", "wan1"), ("raced", "wan2"), ("attempt_failed", "wan1"), ("raced", "wan3"),
        ("attempt_failed", "wan2"), ("attempt_failed", "wan3"),
    ]  # fmt: skip
    assert said(proxy) == ["failed wan1 timeout 1", "failed wan2 timeout 2", "failed wan3 timeout 3"]
    assert proxy.connections(1)[0]["outcome"] == "timeout"
    assert_at_rest(proxy)


def test_a_search_makes_at_most_eight_attempts(start, policy):
    """Ten uplinks, and a server that answers on none of them, since its queue is full."""
    pick = HEDGE.replace("hedge = 0.2", "hedge = 0.1, timeout = 1")
    proxy = start("--debug", "--bypass", "none", "--policy", policy(pick), *[f"127.0.0.{i}" for i in range(1, 11)])
    with full_server("127.0.0.1") as server:
        assert socks5_code(proxy, *server.getsockname()) == 6
    assert [event for event, _ in steps(proxy)].count("raced") == 7
    assert proxy.connections(1)[0]["attempts"] == 8
    assert_at_rest(proxy)


# --- refusals, clients that leave, names of the local network ---


REFUSE_MORE = "if conn.attempt > 1 then return false, 'no second' end " + HEDGE


def test_a_refusal_of_the_second_leaves_the_first_alone(start, lab, origin, policy):
    pick = "if conn.attempt > 1 then say('refused') end " + REFUSE_MORE
    proxy = start("--debug", *PATIENT, "--policy", policy(pick), "wan1", "wan2")
    server = origin(echo)
    lab.wan1.swallow()
    with ask(proxy, OPEN4, server.port) as s:
        proxy.wait_event("policy_says", text="refused")
        lab.wan1.restore()
        assert read_reply5(s)[0] == 0
    (line,) = proxy.connections(1)
    assert (line["uplink"], line["reason"]) == ("wan1", "pick of attempt 1") and "hedge" not in line
    assert_at_rest(proxy)


def test_a_refusal_counts_when_the_first_has_failed(start, lab, policy):
    proxy = start("--dial-timeout", "1", "--policy", policy(REFUSE_MORE), "wan1", "wan2")
    assert socks5_code(proxy, HOLE4, 80) == 2
    (line,) = proxy.connections(1)
    assert (line["outcome"], line["reason"]) == ("denied", "no second")
    assert_at_rest(proxy)


def test_a_client_that_leaves_during_a_race_leaks_nothing(start, policy):
    proxy = start("--debug", *PATIENT, "--policy", policy(HEDGE), "wan1", "wan2")
    baseline = proxy.descriptors_at_rest()
    clients = [ask(proxy, HOLE4, 80) for _ in range(10)]
    wait_for(lambda: len(proxy.events("raced")) == 10, "all are raced")
    assert numbers(proxy, "active") == {"wan1": (10,), "wan2": (10,)}
    for s in clients:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    assert {(line["outcome"], line["hedge"]) for line in proxy.connections(10)} == {("reset", "undecided")}
    assert said(proxy) == [], "neither opened nor failed"
    assert_at_rest(proxy)
    assert proxy.descriptors_at_rest() == baseline


def test_the_end_of_the_proxy_during_a_race(start, policy):
    proxy = start("--debug", *PATIENT, "--policy", policy(HEDGE), "wan1", "wan2")
    with ask(proxy, HOLE4, 80):
        raced(proxy, "wan2")
        assert proxy.stop() == 0
    assert proxy.connections(1)[0]["outcome"] == "shutdown"


def test_a_name_that_turns_out_to_be_local_ends_the_race(start, lab, names, policy):
    names.zone["printer.test"] = SILENCE
    proxy = start("--debug", *PATIENT, "--policy", policy(HEDGE), "wan1", "wan2")
    begun = lab.tcp_sent()
    with full_server(LAN_HOME) as printer, ask(proxy, "printer.test", printer.getsockname()[1]) as s:
        raced(proxy, "wan2")
        names.zone["printer.test"] = [LAN_HOME]  # retransmissions: of the first attempt, and before the second

        def active():
            return [n for (n,) in numbers(proxy, "active").values()]

        assert wait_for(lambda: next((n for n in [active()] if n != [1, 1]), None), "no uplink is needed") == [0, 0]
        for _ in range(FILLERS + 1):
            printer.accept()[0].close()
        assert read_reply5(s)[0] == 0
    (line,) = proxy.connections(1)
    assert (line["uplink"], line["reason"]) == ("direct", "bypass") and "hedge" not in line
    assert said(proxy) == [] and lab.tcp_sent() == begun


# --- many at once ---


def test_two_hundred_at_once_and_one_line_silent(start, lab, origin, policy):
    """50 at a time, over SOCKS and HTTP. Each is served by the working uplink. Once the other is known to be silent,
    there are no more races."""
    pick = HEDGE.replace("0.2", "0.05")
    proxy = start(*PATIENT, "--policy", policy(pick), "wan1", "wan2")
    server = HttpOrigin(origin, lambda *_: response(200, b"x"))
    lab.wan1.swallow()
    baseline = proxy.descriptors_at_rest()
    for _ in range(4):
        tunnels = [ask(proxy, OPEN4, server.port) for _ in range(25)]
        clients = [Client(proxy, 30) for _ in range(25)]
        for c in clients:
            c.send(get(server))
        for s in tunnels:
            assert read_reply5(s)[:2] == (0, lab.wan2.addr4)
            s.close()
        for c in clients:
            assert c.message("GET").status == 200
            c.s.close()
    lines = proxy.connections(200)
    raced = [line for line in lines if "hedge" in line]
    # The number of races before the line counts as silent depends on the machine's speed.
    assert raced and {line["uplink"] for line in lines} == {"wan2"}
    assert {(line["hedge"], line["attempts"]) for line in raced} == {("won", 2)}
    assert_at_rest(proxy)
    found = numbers(proxy, "total", "failures")
    assert found == {"wan1": (0, found["wan1"][1]), "wan2": (200, 0)}
    assert found["wan1"][1] <= len(raced), "it fails where it was silent for longer than it usually takes"
    assert proxy.descriptors_at_rest() == baseline


def test_a_racer_that_fails_makes_way_for_the_next(start, lab, origin, policy):
    """A client does not wait for a silent line to end while a third uplink could serve."""
    proxy = start("--debug", "--policy", policy(IN_ORDER), "wan1", "wan2", "wan3")
    server = origin(echo)
    lab.wan1.swallow()
    lab.wan2.turn_away()
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        assert lab.uplink_of(tunnel.source) == "wan3"
    assert steps(proxy) == [
        ("picked", "wan1"), ("raced", "wan2"), ("attempt_failed", "wan2"), ("raced", "wan3"), ("connected", "wan3"),
    ]  # fmt: skip
