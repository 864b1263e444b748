"""Idle uplinks are checked: silence, captive portals, a single family. And an uplink can be drained."""

import time

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo
from lab.run import sh, wait_for
from lab.socks import socks5_code, socks5_connect
from lab.topology import MORE4, NOWHERE4, OPEN4, OPEN6

UPLINKS = "uplinks"


def uplinks(proxy):
    return {u["name"]: u for u in proxy.ask("uplinks")["uplinks"]}


def state(proxy, name="wan1"):
    return uplinks(proxy)[name]["state"]


def connect(proxy, server, host=OPEN4):
    socks5_connect(proxy, host, server.port).close()
    return True


def used(proxy, server, n=6, host=OPEN4, still_open=0):
    before = proxy.settled(still_open)
    for _ in range(n):
        socks5_connect(proxy, host, server.port).close()
    return {line["uplink"] for line in proxy.connections(before + n)[before:]}


def tries_since(began):
    """Limit for tries of a line that has failed: three, and one every two seconds."""
    return 4 + (time.monotonic() - began) / 2


@pytest.fixture
def good(origin):
    """A server that answers checks correctly."""
    return HttpOrigin(origin, lambda *_: response(204, phrase="No Content"))


@pytest.fixture
def config(config):
    return lambda text: config(f"return {{ uplinks = {{ {text} }} }}")


def test_checks_detect_that_an_idle_line_fails_and_recovers(start, lab, good):
    target = f"http://{OPEN4}:{good.port}/204"
    proxy = start("--debug", "--check-interval", "1", "wan1", "wan2", check=target)
    wait_for(lambda: [e for e in proxy.events("checked", uplink="wan1") if e["fault"] == "ok"], "it is checked")
    assert state(proxy) == "up"
    lab.wan1.turn_away()
    wait_for(lambda: state(proxy) == "down", "it is found out")
    assert state(proxy, "wan2") == "up"
    assert uplinks(proxy)["wan1"]["families"]["ipv4"] == "down"
    assert len(proxy.events("uplink_silent", uplink="wan1")) >= 1
    assert used(proxy, good) == {"wan2"}
    lab.wan1.restore()
    wait_for(lambda: state(proxy) == "up", "it is whole again")
    assert proxy.events("uplink_answers", uplink="wan1")


def test_one_failed_check_does_not_take_a_line_down(start, lab, good):
    proxy = start("--debug", "--check-interval", "1", "wan1", check=f"{NOWHERE4}:80,{OPEN4}:{good.port}")
    wait_for(lambda: proxy.events("checked", family="ipv4", fault="ok"), "the other one is asked")
    assert state(proxy) == "up" and proxy.events("checked", family="ipv4", fault="host-unreachable")


def test_a_target_that_refuses_counts_as_an_answer(start):
    proxy = start("--debug", "--check-interval", "1", "wan1", check=f"{OPEN4}:9")
    wait_for(lambda: len(proxy.events("checked", fault="refused")) >= 3, "it is asked thrice")
    assert state(proxy) == "up"


def test_a_captive_portal_is_reported_and_avoided(start, origin, good, config):
    logged_in = []
    portal = HttpOrigin(origin, lambda *_: response(204, phrase="No Content") if logged_in else
                        response(302, b"", "Location: http://portal.test/", phrase="Found"))
    own = config(f'''{{ interface = "wan1", check = "http://{OPEN4}:{portal.port}/204" }},
                    {{ interface = "wan2", check = {{ "http://{OPEN4}:{good.port}/204" }} }}''')
    proxy = start("--config", own, "--check-interval", "1", "--policy", "round_robin")
    wait_for(lambda: state(proxy) == "captive", "the portal is seen")
    assert len(proxy.events("uplink_captive")) == 1
    assert proxy.ask("why", host=OPEN4)["left_out"] == [{"name": "wan1", "why": "is behind a captive portal"}]
    assert used(proxy, good) == {"wan2"}
    assert state(proxy) == "captive"
    logged_in.append(1)
    wait_for(lambda: state(proxy) == "up", "the portal lets the line through")
    assert used(proxy, good) == {"wan1", "wan2"}


SECOND = """return { name = "second", new = function(ctx) return { pick = function(conn)
  if conn.port == 1 then return { ctx.uplinks[2], ctx.uplinks[1] } end
  return ctx.uplinks[2], "the second"
end } end }"""


def test_a_captive_portals_hosts_can_be_reached_to_log_in(start, lab, names, origin, good, portal, config, tmp_path):
    """Its hosts use the captive line, and other hosts do not, whether the policy or the default chooses. Naming that
    line is not an error."""
    page = HttpOrigin(origin, lambda *_: response(200, b"the real one"), address=MORE4)
    names.zone["login.portal.test"], names.zone["other.test"] = [MORE4], [MORE4]
    path = tmp_path / "second.lua"
    path.write_text(SECOND)
    own = config(f'''"wan1", {{ interface = "wan2", portal = {{ "Portal.test.", "{MORE4}" }} }}''')
    target = f"http://{OPEN4}:{good.port}/204"
    proxy = start("--config", own, "--check-interval", "1", "--policy", "round_robin", check=target)
    wait_for(lambda: state(proxy, "wan2") == "captive", "the portal is found")

    def asked(host):
        with Client(proxy) as c:
            return c.ask(f"GET http://{host}:{page.port}/ HTTP/1.1\r\nHost: {host}\r\n\r\n").body

    for policy in ("round_robin", path):
        proxy.tell("policy", policy)
        for _ in range(3):
            assert asked("login.portal.test") == asked(MORE4) == b"PORTAL"
            assert asked("other.test") == b"the real one"
    why = proxy.ask("why", host="login.portal.test")
    assert why["order"] == ["wan2"] and why["left_out"] == [{"name": "wan1", "why": "does not lead to the captive portal"}]
    assert proxy.ask("why", host="other.test", port=1)["order"] == ["wan1"]
    assert proxy.ask("why", host="other.test")["by_default"] and not proxy.ask("why", host="login.portal.test")["by_default"]
    assert proxy.ask("status")["policy"]["errors"] == 0
    lab.wan2.isp.run("nft", "delete chain inet portal pre")
    wait_for(lambda: state(proxy, "wan2") == "up", "the portal lets the line through")
    assert asked("login.portal.test") == b"the real one"


def test_captive_lines_serve_when_all_are_captive(start, origin):
    portal = HttpOrigin(origin, lambda *_: response(200, b"log in"))
    proxy = start("--check-interval", "1", "wan1", "wan2", check=f"http://{OPEN4}:{portal.port}/204")
    wait_for(lambda: state(proxy) == state(proxy, "wan2") == "captive", "both are seen")
    assert connect(proxy, portal)


def test_a_metered_line_is_checked_only_if_its_config_says_so(start, lab, good, config):
    target = f"http://{OPEN4}:{good.port}/204"
    own = config(f'''{{ interface = "wan1", tags = {{ "metered" }} }}, {{ interface = "wan2", quota = "1G" }},
                    {{ interface = "wan3", tags = {{ "metered" }}, check = "{target}" }}''')
    before, asked = lab.tcp_sent(), lab.questions_sent()
    proxy = start("--config", own, "--check-interval", "1", check=target)
    wait_for(lambda: lab.tcp_sent()["wan3"] > before["wan3"], "wan3 is checked")
    time.sleep(2.5)
    sent = lab.tcp_sent()
    assert (sent["wan1"], sent["wan2"]) == (before["wan1"], before["wan2"])
    assert lab.questions_sent() == asked
    assert state(proxy) == state(proxy, "wan2") == state(proxy, "wan3") == "up"


def test_without_checks_an_idle_line_sends_nothing(start, lab):
    before = lab.tcp_sent()
    start("--check-interval", "1", "wan1", "wan2", check="none")
    time.sleep(2.5)
    assert lab.tcp_sent() == before


def test_a_busy_line_is_not_checked(start, good, origin):
    server = origin(lambda s: [s.sendall(b"x") or time.sleep(0.1) for _ in range(600)])
    proxy = start("--check-interval", "1", "wan1", check=f"http://{OPEN4}:{good.port}/204")
    wait_for(lambda: len(good.requests) >= 1, "it is checked")
    with socks5_connect(proxy, OPEN4, server.port):
        time.sleep(1.2)
        before = len(good.requests)
        time.sleep(3)
        assert len(good.requests) == before
    wait_for(lambda: len(good.requests) > before, "it is idle again")


def test_a_family_that_does_not_answer_is_tried_last(start, lab, names, origin):
    four, six = origin(echo), None
    six = origin(echo, address=OPEN6, port=four.port)
    names.zone["both.test"] = [OPEN4, OPEN6]
    proxy = start("--hedge", "0", "wan1")
    connect(proxy, four, "both.test")
    proxy.settled()
    lab.wan1.swallow("ip6")
    for _ in range(4):
        connect(proxy, four, "both.test")
    assert uplinks(proxy)["wan1"]["families"] == {"ipv4": "up", "ipv6": "suspect"}
    assert state(proxy) == "up"
    assert len(proxy.events("uplink_silent", family="ipv6")) == 1
    begun = lab.tcp6_begun()["wan1"]
    for _ in range(40):
        connect(proxy, four, "both.test")
    assert lab.tcp6_begun()["wan1"] - begun <= 10, "it is tried now and then"
    lab.wan1.restore()
    wait_for(lambda: connect(proxy, four, "both.test") and uplinks(proxy)["wan1"]["families"]["ipv6"] == "up",
             "it answers again", every=0.2)
    assert six


def test_draining(start, origin):
    server = origin(echo)
    proxy = start("--policy", "round_robin", "wan1", "wan2")
    with socks5_connect(proxy, OPEN4, server.port) as kept:
        line = "wan1" if uplinks(proxy)["wan1"]["active"] else "wan2"
        other = "wan2" if line == "wan1" else "wan1"
        assert proxy.tell("drain", line) == f"{line} is draining, with 1 connections\n"
        assert state(proxy, line) == "draining"
        assert used(proxy, server, still_open=1) == {other}
        kept.sendall(b"still here")
        assert kept.recv(64) == b"still here"
        assert {"name": line, "why": "draining"} in proxy.ask("why", host=OPEN4)["left_out"]
        assert proxy.tell("drain", line, "off").startswith(f"{line} is up")
        assert used(proxy, server, still_open=1) == {"wan1", "wan2"}
    assert "unknown uplink 'wan9'" in proxy.tell("drain", "wan9", code=1)
    assert "expected UPLINK, and on or off" in proxy.tell("drain", "wan1", "maybe", code=2)


@pytest.mark.once
def test_a_name_of_the_family_that_does_not_answer_goes_by_another_line_at_once(start, lab, names, origin, config):
    four = origin(echo)
    six = origin(echo, address=OPEN6, port=four.port)
    names.zone["six.test"], names.zone["four.test"] = [OPEN6], [OPEN4]
    own = config('"wan1", { interface = "wan2", tier = 2 }')
    proxy = start("--config", own, "--policy", "failover", "--hedge", "1", "--dial-timeout", "5")
    for name in ("four.test", "six.test", "four.test", "six.test"):
        connect(proxy, six, name)
    proxy.settled()  # otherwise the end of one of them could be dropped
    lab.wan1.swallow("ip6")
    for _ in range(4):
        connect(proxy, four, "four.test")
        connect(proxy, six, "six.test")
    assert uplinks(proxy)["wan1"]["families"] == {"ipv4": "up", "ipv6": "suspect"}
    before = proxy.settled()
    assert used(proxy, six, n=10, host="six.test") == {"wan2"}
    slow = [line for line in proxy.events("connection")[before:] if line["duration"] > 2]
    assert len(slow) <= 5, "half of the dial timeout is for wan1, which is tried now and then"
    assert used(proxy, six, host="six.test") == {"wan2"}
    assert "wan1" in used(proxy, four, host="four.test")


def test_a_target_of_the_other_family_does_not_take_a_line_down(start, lab, good, origin):
    """A line with only IPv6 is not down because a target has no IPv6 address."""
    lab.wan2.broken = True
    sh("ip -4 address flush dev wan2 scope global")
    six = origin(echo, address=OPEN6)
    proxy = start("--debug", "--check-interval", "1", "wan2", check=f"{OPEN4}:{good.port}")
    wait_for(lambda: len(proxy.events("checked", family="ipv6")) > 3, "it is checked")
    assert state(proxy, "wan2") == "up"
    assert used(proxy, six, n=1, host=OPEN6) == {"wan2"}


@pytest.fixture
def portal(lab, origin):
    """The second line's provider answers everything itself."""
    server = HttpOrigin(origin, lambda *_: response(302, b"PORTAL", "Location: http://portal.test/", phrase="Found"))
    to = f"dnat ip to {OPEN4}:{server.port}"
    lab.wan2.isp.nft(f"table inet portal {{\nchain pre {{ type nat hook prerouting priority -100; iifname line2 ip protocol tcp {to}; }}\n}}")
    yield server
    lab.wan2.isp.run("nft", "delete table inet portal")


def test_a_failed_connection_is_not_sent_to_a_captive_portal(start, lab, good, portal, origin):
    """A connection that was refused, or got no answer, on the good line is not sent to the captive one."""
    proxy = start("--debug", "--check-interval", "1", "--policy", "round_robin", "wan1", "wan2", check=f"http://{OPEN4}:{good.port}/204")
    wait_for(lambda: state(proxy, "wan2") == "captive", "the portal is found")
    assert socks5_code(proxy, OPEN4, 9) == 5
    lab.wan1.broken = True
    drop = f"tcp dport {good.port} tcp flags syn limit rate 6/minute burst 1 packets drop"
    lab.wan1.isp.nft(f"table inet block {{\nchain f {{ type filter hook forward priority 0; {drop}; }}\n}}")
    assert used(proxy, good, n=2) == {"wan1"}


def test_a_line_that_resets_its_connections_becomes_suspect(start, lab, origin):
    """Resets count as failures: successful connects alone do not make up for them."""
    server = origin(echo)
    proxy = start("--policy", "round_robin", "wan1", "wan2")
    lab.wan1.broken = True
    rule = f"tcp dport {server.port} meta length > 60 reject with tcp reset"
    lab.wan1.isp.nft(f"table inet block {{\nchain f {{ type filter hook forward priority 0; {rule}; }}\n}}")
    broken, began = 0, time.monotonic()
    for _ in range(20):
        with socks5_connect(proxy, OPEN4, server.port) as s:
            s.sendall(b"more than sixty bytes, with those of the heads, are in this message")
            try:
                broken += not s.recv(64)
            except OSError:
                broken += 1
    assert 3 <= broken <= tries_since(began), broken
    assert state(proxy) == "suspect" and uplinks(proxy)["wan1"]["failures"] == broken
    assert len(proxy.events("uplink_resets", uplink="wan1")) == 1


def test_a_line_that_resets_plain_requests_becomes_suspect(start, lab, good):
    """Forwarded requests count like tunnels."""
    proxy = start("--policy", "round_robin", "wan1", "wan2")
    lab.wan1.broken = True
    rule = f"tcp dport {good.port} meta length > 60 reject with tcp reset"
    lab.wan1.isp.nft(f"table inet block {{\nchain f {{ type filter hook forward priority 0; {rule}; }}\n}}")
    codes, began = [], time.monotonic()
    for _ in range(12):
        with Client(proxy) as c:
            codes.append(c.ask(get(good)).status)
    assert set(codes) == {204, 502} and 3 <= codes.count(502) <= tries_since(began), codes
    assert state(proxy) == "suspect"
