"""Kept connections of plain HTTP, and requests that are repeated: neither uses an uplink that a new connection would
not get."""

import threading

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo
from lab.proxy import UNRACED
from lab.run import WAIT_S, wait_for
from lab.socks import socks5_connect
from lab.topology import OPEN4

CHOOSES = """return {{ name = "chooses", new = function(ctx)
  return {{ pick = function(_, uplinks)
    for _, u in ipairs(uplinks) do if u.name == "{first}" then return u end end
  end }}
end }}"""


def state(proxy, name="wan1"):
    return next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == name)["state"]


def failures(proxy):
    """The number of failures of the first line."""
    return proxy.ask("uplinks")["uplinks"][0]["failures"]


@pytest.fixture
def chooses(tmp_path):
    """Write the policy: this uplink if it is a candidate, else the built-in default."""

    def write(first):
        path = tmp_path / "chooses.lua"
        path.write_text(CHOOSES.format(first=first))
        return path

    return write


@pytest.fixture
def server(origin):
    return HttpOrigin(origin, lambda *_: response(200, b"served"))


@pytest.fixture
def checked(origin):
    """The servers that checks ask; tests can change their answers."""
    answers = {"is": response(204, phrase="No Content")}
    target = HttpOrigin(origin, lambda *_: answers["is"])
    return answers, f"http://{OPEN4}:{target.port}/204"


def by(lab, server, n):
    """The uplink of the server's n-th connection."""
    return lab.uplink_of(server.peers[n])


def is_drained(lab, proxy, server):
    proxy.tell("drain", "wan1")


def is_suspect(lab, proxy, server):
    lab.wan1.swallow()
    other = server.server

    def found():
        socks5_connect(proxy, OPEN4, other.port).close()
        return state(proxy) == "suspect"

    wait_for(found, "the line is a suspect")


def loses_its_link(lab, proxy, server):
    lab.wan1.lose_carrier()
    proxy.wait_event("uplink_down", uplink="wan1")


def loses_the_policys_favour(lab, proxy, server):
    path = proxy.ask("status")["policy"]["file"]
    with open(path, "w", encoding="utf-8") as file:
        file.write(CHOOSES.format(first="wan2"))
    proxy.tell("reload")


@pytest.mark.parametrize("happens", [is_drained, is_suspect, loses_its_link, loses_the_policys_favour])
def test_a_kept_connection_is_not_used_again_when_its_uplink(start, lab, chooses, server, happens):
    proxy = start(*UNRACED, "--dial-timeout", "2", "--policy", chooses("wan1"), "wan1", "wan2")
    wait_for(lambda: state(proxy) == "up", "the line is whole after the test before")
    with Client(proxy) as kept:
        assert kept.ask(get(server)).body == b"served" and kept.ask(get(server)).body == b"served"
        assert server.peers == [lab.wan1.addr4], "it is kept"
        happens(lab, proxy, server)
        failed = failures(proxy)
        assert kept.ask(get(server)).body == b"served"
        assert server.peers[-1] == lab.wan2.addr4
        assert failures(proxy) == failed, "it was not tried"
        before = len(server.peers)
        assert kept.ask(get(server)).body == b"served" and len(server.peers) == before, "the new one is kept"


@pytest.mark.parametrize("verdict", ["captive", "down"])
def test_a_kept_connection_is_not_used_after_a_failed_check(start, lab, chooses, server, checked, config, verdict):
    answers, target = checked
    own = config(f'return {{ uplinks = {{ {{ interface = "wan1", check = "{target}" }}, {{ interface = "wan2", check = "none" }} }} }}')
    proxy = start(*UNRACED, "--config", own, "--check-interval", "1", "--policy", chooses("wan1"), check=None)
    wait_for(lambda: state(proxy) == "up", "the line is whole after the test before")
    with Client(proxy) as kept:
        assert kept.ask(get(server)).body == b"served"
        if verdict == "captive":
            answers["is"] = response(302, b"", "Location: http://portal.test/", phrase="Found")
        else:
            lab.wan1.turn_away()
        wait_for(lambda: state(proxy) == verdict, f"the line is {verdict}")
        failed = failures(proxy)
        assert kept.ask(get(server)).body == b"served"
        assert server.peers[-1] == lab.wan2.addr4
        assert failures(proxy) == failed, "it was not tried"


@pytest.mark.parametrize("dear", ["tier = 2", 'tags = { "metered" }'], ids=["tier", "metered"])
def test_an_expensive_line_is_left_when_the_other_is_back(start, lab, chooses, server, config, dear):
    own = config(f'return {{ uplinks = {{ {{ interface = "wan1" }}, {{ interface = "wan2", {dear} }} }} }}')
    proxy = start(*UNRACED, "--config", own, "--policy", chooses("wan1"))
    lab.wan1.lose_carrier()
    proxy.wait_event("uplink_down", uplink="wan1")
    with Client(proxy) as kept:
        for _ in range(2):
            assert kept.ask(get(server)).body == b"served"
        assert server.peers == [lab.wan2.addr4], "it is kept while there is nothing else"
        lab.wan1.restore()
        proxy.wait_event("uplink_up", uplink="wan1")
        for _ in range(2):
            assert kept.ask(get(server)).body == b"served"
        assert server.peers == [lab.wan2.addr4, lab.wan1.addr4], "and the new one is kept"


def test_an_expensive_line_that_the_policy_chose_keeps_its_connection(start, lab, chooses, server, config):
    own = config('return { uplinks = { { interface = "wan1" }, { interface = "wan2", tier = 2 } } }')
    proxy = start(*UNRACED, "--config", own, "--policy", chooses("wan2"))
    with Client(proxy) as kept:
        for _ in range(3):
            assert kept.ask(get(server)).body == b"served"
    assert server.peers == [lab.wan2.addr4]


def test_a_line_whose_quota_is_used_up_is_left(start, lab, origin, config):
    server = HttpOrigin(origin, lambda m, _: response(200, b"x" * (100_000 if m.target == "/large" else 1)))
    own = config('return { policy = "quota", uplinks = { { interface = "wan1", quota = 50000 }, { interface = "wan2", tier = 2 } } }')
    proxy = start(*UNRACED, "--config", own)
    with Client(proxy) as kept:
        for path in ("/", "/", "/large"):
            assert kept.ask(get(server, path)).status == 200
        assert server.peers == [lab.wan1.addr4], "what is kept is used within the quota"
        wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["quota_left"] <= 0, "it is used up")
        for _ in range(2):
            assert kept.ask(get(server)).status == 200
        assert server.peers == [lab.wan1.addr4, lab.wan2.addr4], "and the new one is kept"


def test_a_lone_suspect_keeps_its_connection(start, lab, server):
    """No other uplink is left, and this one may work again."""
    proxy = start("--dial-timeout", "0.5", "wan1")
    with Client(proxy) as kept:
        assert kept.ask(get(server)).body == b"served"
        lab.wan1.swallow()

        def found():
            with pytest.raises(AssertionError):
                socks5_connect(proxy, OPEN4, server.port)
            return state(proxy) == "suspect"

        wait_for(found, "the line is a suspect")
        lab.wan1.restore()
        assert kept.ask(get(server)).body == b"served"
        assert server.peers == [lab.wan1.addr4]


def test_a_policys_list_is_checked_again_for_each_attempt(start, lab, origin, tmp_path):
    """The second uplink of the list was drained, or the policy reloaded, while the first was tried."""
    path = tmp_path / "list.lua"
    path.write_text("""return { name = "list", new = function(ctx) return { pick = function(conn, uplinks)
      local order = {}
      for _, u in ipairs(uplinks) do order[#order + 1] = u end
      return order, "attempt " .. conn.attempt, { timeout = 2, hedge = false }
    end } end }""")
    proxy = start("--debug", "--policy", path, "wan1", "wan2", "wan3")
    server = origin(echo)
    lab.wan1.swallow()
    acts = ((lambda: proxy.tell("drain", "wan2"), "attempt 1"), (lambda: proxy.tell("reload"), "attempt 2"))
    for n, (act, reason) in enumerate(acts, 1):
        before = len(proxy.events("picked", uplink="wan1"))
        got = []
        client = threading.Thread(target=lambda: got.append(socks5_connect(proxy, OPEN4, server.port)))  # noqa: B023
        client.start()
        wait_for(lambda: len(proxy.events("picked", uplink="wan1")) > before, "the first is tried")  # noqa: B023
        act()
        client.join(WAIT_S)
        with got[0] as tunnel:
            assert lab.uplink_of(tunnel.source) == "wan3"
        assert proxy.connections(n)[-1]["reason"] == reason
