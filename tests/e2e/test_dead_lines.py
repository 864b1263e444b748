"""Connections on a line that stays down are reset, so that programs connect again by another line. Others are not.

Where a connection must stay open, a second proxy or line serves as the clock: the test waits until that one resets
its own."""

import contextlib
import threading
from datetime import datetime

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo, pattern, read_exactly
from lab.run import run, sh, wait_for
from lab.socks import socks5_connect
from lab.topology import MORE4, OPEN4

CUT = "cut_line_down"
MUCH = 1 << 20  # more than a tunnel moves before a worker takes it


def state(proxy, name="wan1"):
    return next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == name)["state"]


def is_alive(tunnel):
    tunnel.sendall(b"alive?")
    return read_exactly(tunnel.s, 6) == b"alive?"


def hears_a_reset(s, timeout=20):
    s.settimeout(timeout)
    with pytest.raises(ConnectionResetError):
        s.recv(1)


@pytest.fixture
def checked(origin):
    """The servers that checks of uplinks ask."""
    return f"{OPEN4}:{origin(lambda s: s.recv(1)).port}"


def loses_its_carrier(line):
    line.lose_carrier()


def fails_its_checks(line):
    line.turn_away()


@pytest.mark.parametrize("happens", [loses_its_carrier, fails_its_checks])
def test_tunnels_on_a_dead_line_are_reset_at_both_ends(start, lab, origin, first, checked, happens):
    """With and without relay threads."""
    server = origin(echo)
    args = ("--cut-after", "1", "--check-interval", "1", "--policy", first("wan1"), "wan1", "wan2")
    proxies = [start("--threads", threads, *args, check=checked) for threads in (0, 2)]
    with contextlib.ExitStack() as stack:
        bulks, idles = [[stack.enter_context(socks5_connect(proxy, OPEN4, server.port)) for proxy in proxies] for _ in range(2)]
        for bulk, idle in zip(bulks, idles):
            data = pattern(MUCH)
            sender = threading.Thread(target=bulk.sendall, args=(data,))
            sender.start()
            assert read_exactly(bulk.s, MUCH) == data
            sender.join(5)
            assert is_alive(idle)
        happens(lab.wan1)
        for tunnel in bulks + idles:
            hears_a_reset(tunnel.s, 30)
    for proxy in proxies:
        assert [line["outcome"] for line in proxy.connections(2)] == ["cut", "cut"]
        assert [line["connections"] for line in proxy.events(CUT, uplink="wan1")] == [2], "each is cut once"
        wait_for(lambda: proxy.open_connections() == 0, "none counts as live any more")  # noqa: B023
        with socks5_connect(proxy, OPEN4, server.port) as again:
            assert lab.uplink_of(again.source) == "wan2" and is_alive(again)
    lab.wan1.restore()


def test_plain_requests_and_kept_connections_on_a_dead_line_are_reset(start, lab, origin, first):
    waiting = threading.Event()

    def serve(request, _):
        if request.target == "/slow":
            waiting.set()
            return b""
        return response(200, b"served")

    server = HttpOrigin(origin, serve)
    proxy = start("--cut-after", "1", "--policy", first("wan1"), "wan1", "wan2")
    with Client(proxy) as kept, Client(proxy) as under_way:
        assert kept.ask(get(server)).status == 200
        under_way.send(get(server, "/slow"))
        assert waiting.wait(10)
        lab.wan1.lose_carrier()
        assert under_way.message("GET").status == 502
        assert proxy.wait_event(CUT)["connections"] == 2
        assert kept.ask(get(server)).status == 200
        assert server.peers[-1] == lab.wan2.addr4


@pytest.fixture(params=["address", "second address"])
def source(request, lab):
    """The address of wan1 from which the test's servers are reached."""
    if request.param == "address":
        yield
        return
    lab.wan1.broken = True
    sh("ip address add 10.0.1.77/24 dev wan1")
    sh(f"ip route add {OPEN4} via {lab.wan1.gateway4} dev wan1 src 10.0.1.77")
    yield
    run("ip", "route", "del", OPEN4)  # removed already with its line


def test_an_upstream_goes_down_with_its_line(start, lab, origin, config, first, checked, source):
    """Both when its line is configured and when the machine's routes show it. It is metered, so it is not checked
    itself."""
    server = origin(echo)
    far = start("--host", OPEN4, "--allow", "0.0.0.0/0", "--allow-own-addresses", MORE4, prefix=["ip", "netns", "exec", lab.internet.name])
    own = config(f"""return {{ uplinks = {{ "wan1", "wan2",
      {{ upstream = "socks5://{OPEN4}:{far.port}", via = "wan1", name = "told", tags = {{ "metered" }} }},
      {{ upstream = "http://{OPEN4}:{far.port}", name = "routed", tags = {{ "metered" }} }},
      {{ upstream = "socks5://{OPEN4}:{far.port}", via = "wan2", name = "other", tags = {{ "metered" }} }} }} }}""")
    proxy = start("--config", own, "--cut-after", "1", "--check-interval", "1", check=checked)
    tunnels = {}
    for name in ("told", "routed", "other"):
        proxy.tell("policy", first(name))
        tunnels[name] = socks5_connect(proxy, OPEN4, server.port)
        assert is_alive(tunnels[name])
    lab.wan1.turn_away()
    for name in ("told", "routed"):
        hears_a_reset(tunnels[name].s)
    assert {line["uplink"] for line in proxy.connections(2)} == {"told", "routed"}
    assert is_alive(tunnels["other"])
    for tunnel in tunnels.values():
        tunnel.close()
    lab.wan1.restore()


def test_a_suspect_keeps_its_tunnels(start, lab, origin, first):
    """Without checks, a silent line stays a suspect. Connections on the other line are reset meanwhile."""
    server = origin(echo)
    proxy = start("--cut-after", "1", "--hedge", "0", "--dial-timeout", "0.4", "--policy", first("wan1", "wan2"), "wan1", "wan2", "wan3")
    with socks5_connect(proxy, OPEN4, server.port) as kept:
        assert is_alive(kept)
        lab.wan1.swallow()

        def suspected():
            socks5_connect(proxy, OPEN4, server.port).close()
            return state(proxy) == "suspect"

        wait_for(suspected, "wan1 is a suspect")
        with socks5_connect(proxy, OPEN4, server.port) as lost:
            assert lab.uplink_of(lost.source) == "wan2"
            lab.wan2.lose_carrier()
            hears_a_reset(lost.s)
        lab.wan1.restore()
        assert is_alive(kept)


def outages(proxy, name):
    """The duration in seconds of each outage of an uplink, as the proxy logged it."""
    down, up = ([datetime.fromisoformat(e["time"].rstrip("Z")) for e in proxy.events(f"uplink_{what}", uplink=name)] for what in ("down", "up"))
    return [(after - before).total_seconds() for before, after in zip(down, up)]


def test_a_line_that_comes_back_in_time_keeps_its_tunnels(start, lab, origin, only):
    """Each outage has its own time: two short ones do not add up.

    A second proxy with a shorter time shows when to end each outage. If the machine was too slow, the test tries
    again with more time."""
    server = origin(echo)
    for cut_after in (2, 8, 32):
        args = ("--hedge", "0", "--policy", only("wan1"), "wan1", "wan2")
        proxy, clock = start("--cut-after", cut_after, *args), start("--cut-after", cut_after * 0.6, *args)
        with socks5_connect(proxy, OPEN4, server.port) as kept:
            for _ in range(2):
                with socks5_connect(clock, OPEN4, server.port) as lost:
                    lab.wan1.lose_carrier()
                    hears_a_reset(lost.s, 60)
                lab.wan1.restore()
                wait_for(lambda: state(proxy) == state(clock) == "up", "both see it up again")
            took = outages(proxy, "wan1")
            if max(took) < cut_after:
                assert len(took) == 2 and sum(took) > cut_after
                assert is_alive(kept)
                return
    pytest.fail(f"the machine was too slow: {took}")


def test_nothing_is_reset_while_no_other_uplink_works(start, lab, origin, first):
    """Until another uplink works."""
    server, here = origin(echo), origin(echo)
    proxy = start("--cut-after", "1", "--policy", first("wan1"), "wan1", "wan2")
    clock = start("--cut-after", "1", "--policy", first("wan1"), "wan1", "wan3")
    with socks5_connect(proxy, OPEN4, server.port) as tunnel, socks5_connect(clock, OPEN4, here.port) as lost:
        lab.wan2.down()
        proxy.wait_event("uplink_down", uplink="wan2")
        lab.wan1.lose_carrier()
        hears_a_reset(lost.s)
        assert proxy.ask("uplinks")["uplinks"][0]["active"] == 1 and not proxy.events(CUT)
        lab.wan2.restore()
        hears_a_reset(tunnel.s)


def test_cut_after_zero_never_resets(start, lab, origin, first):
    server = origin(echo)
    never = start("--cut-after", "0", "--policy", first("wan1"), "wan1", "wan2")
    clock = start("--cut-after", "1", "--policy", first("wan1"), "wan1", "wan2")
    with socks5_connect(never, OPEN4, server.port) as kept, socks5_connect(clock, OPEN4, server.port) as lost:
        lab.wan1.lose_carrier()
        hears_a_reset(lost.s)
        lab.wan1.restore()
        assert is_alive(kept)


def test_a_drained_line_is_not_down(start, lab, origin, first):
    server = origin(echo)
    proxy = start("--cut-after", "1", "--policy", first("wan1"), "wan1", "wan2")
    clock = start("--cut-after", "1", "--policy", first("wan2"), "wan1", "wan2")
    with socks5_connect(proxy, OPEN4, server.port) as kept, socks5_connect(clock, OPEN4, server.port) as lost:
        proxy.tell("drain", "wan1")
        lab.wan2.lose_carrier()
        hears_a_reset(lost.s)
        assert is_alive(kept)
    assert not proxy.events(CUT)
