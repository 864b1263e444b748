"""An uplink that drops everything delays few connections, and is used again soon after it works again."""

import time

import pytest

from lab.load import Load
from lab.origin import echo
from lab.run import SOON_S, WAIT_S, wait_for
from lab.socks import socks5_code, socks5_connect
from lab.topology import HOLE4, OPEN4


def state(proxy, name="wan1"):
    return next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == name)["state"]


def connect(proxy, server):
    """The seconds that a connect takes."""
    began = time.monotonic()
    with socks5_connect(proxy, OPEN4, server.port):
        return time.monotonic() - began


def test_a_silent_line_is_left_out_and_comes_back(start, lab, origin):
    server = origin(echo)
    proxy = start("--policy", "round_robin", "wan1", "wan2")
    for _ in range(4):
        connect(proxy, server)
    proxy.connections(4)  # wait for their end, so that none waits for a silent line
    lab.wan1.swallow()
    began = time.monotonic()
    for _ in range(1000):
        connect(proxy, server)
    lines = proxy.connections(1004)[4:]
    assert {line["uplink"] for line in lines} == {"wan2"}
    tries = 4 + (time.monotonic() - began) / 2  # three failures make it a suspect, which may be tried every two seconds
    assert len([line for line in lines if "attempts" in line]) <= tries
    assert len(proxy.events("uplink_silent")) == 1
    assert state(proxy) == "suspect" and "wan1    suspect  " in proxy.tell("uplinks")
    assert proxy.ask("why", host=OPEN4)["uplink"] == "wan2"
    lab.wan1.restore()
    wait_for(lambda: connect(proxy, server) and state(proxy) == "up", "it is tried again")
    assert proxy.events("uplink_answers")
    before = proxy.settled()
    for _ in range(10):
        connect(proxy, server)
    assert {line["uplink"] for line in proxy.connections(before + 10)[before:]} == {"wan1", "wan2"}


def test_dead_destinations_do_not_make_a_line_suspect(start, lab, origin):
    """As a torrent does: the line receives all the time."""
    server = origin(lambda s: [s.sendall(b"x") or time.sleep(0.05) for _ in range(2000)])
    proxy = start("--policy", "round_robin", "--dial-timeout", "0.4", "--hedge", "0", "wan1", "wan2")
    with socks5_connect(proxy, OPEN4, server.port), socks5_connect(proxy, OPEN4, server.port):
        for _ in range(6):
            assert socks5_code(proxy, HOLE4, 80) in (4, 6)
        assert state(proxy, "wan1") == state(proxy, "wan2") == "up"
        assert not proxy.events("uplink_silent")


def test_when_all_are_silent_all_are_tried(start, lab, origin):
    server = origin(echo)
    proxy = start("--policy", "round_robin", "--dial-timeout", "0.4", "wan1", "wan2")
    for _ in range(6):
        assert socks5_code(proxy, HOLE4, 80) in (4, 6)
    assert state(proxy, "wan1") == state(proxy, "wan2") == "suspect"
    for _ in range(2):
        connect(proxy, server)
    assert "up" in (state(proxy, "wan1"), state(proxy, "wan2"))


@pytest.mark.parametrize("loss", ["down", "lose_carrier", "swallow", "turn_away", "lose_addresses", "remove", "lose_router", "renumber"])
def test_a_thousand_requests_while_a_line_breaks(start, lab, origin, loss):
    """No request fails and few wait; the line is used again soon after it is repaired."""
    server = origin(echo)
    proxy = start("wan1", "wan2")
    load = Load(lambda _: connect(proxy, server))
    took = load.did
    wait_for(lambda: len(took) > 100, "all is well")
    before = len(took)
    getattr(lab.wan1, loss)()
    wait_for(lambda: len(took) >= before + 1000, "a thousand requests", 4 * WAIT_S)
    lab.wan1.restore()
    began, so_far = time.monotonic(), len(proxy.events("connection"))
    wait_for(lambda: any(line["uplink"] == "wan1" for line in proxy.events("connection")[so_far:]), "wan1 serves again", every=0.1)
    load.end()
    assert not load.failed, load.failed[:3]
    hard_times = sorted(took[before:])
    print(f"{loss}: p99 {hard_times[len(hard_times) * 99 // 100]:.3f} s, at most {hard_times[-1]:.3f} s, "
          f"again after {time.monotonic() - began:.1f} s")
    assert hard_times[len(hard_times) * 99 // 100] < SOON_S, "nearly all are spared the time that a dial may take"
