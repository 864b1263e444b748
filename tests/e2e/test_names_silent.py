"""Names without an answer: whether the name servers or the names are at fault."""

import pytest

from lab.names import SILENCE
from lab.origin import echo
from lab.run import at_once, wait_for
from lab.socks import socks5_code, socks5_connect
from lab.topology import NAMES4, OPEN4

NONE, AGAIN = "uplink_names_silent", "uplink_names_answer"


@pytest.fixture
def dead_zone(names):
    """The servers of this zone are dead, so the recursive server does not answer in time."""
    names.zone.update({"dead.test": SILENCE, "www.dead.test": SILENCE})
    for n in range(40):
        names.zone[f"n{n}.test"] = [OPEN4]


def test_a_dead_zone_does_not_blame_the_name_servers(start, lab, names, origin, dead_zone):
    """With one uplink and with two, with other names asked for in between and without."""
    server = origin(echo)

    def ask(uplinks, beside, proxy):
        for n, host in enumerate(["dead.test", "dead.test", "www.dead.test", "dead.test"]):
            assert socks5_code(proxy, host, 80) != 0
            if beside:
                socks5_connect(proxy, f"n{n}.test", server.port).close()
        socks5_connect(proxy, "n30.test", server.port).close()
        assert not proxy.events(NONE) and not proxy.events(AGAIN)
        assert [u["state"] for u in proxy.ask("uplinks")["uplinks"]] == ["up"] * len(uplinks)

    cases = [(uplinks, beside) for uplinks in (["wan1"], ["wan1", "wan2"]) for beside in (False, True)]
    at_once(ask, [(*case, start("--policy", "round_robin", "--dial-timeout", "1.5", *case[0], dns=NAMES4)) for case in cases])


@pytest.mark.parametrize("hosts", [["only.test"], ["a.test", "b.test", "c.test"]])
def test_silent_name_servers_are_logged(start, lab, names, origin, hosts):
    """For one name as for several."""
    server = origin(echo)
    names.zone.update({host: [OPEN4] for host in [*hosts, "open.test"]})
    proxy = start("--policy", "round_robin", "wan1", "wan2", dns=NAMES4)
    names._answer = (lambda plain: lambda packet, client: None if client == lab.wan1.addr4 else plain(packet, client))(names._answer)
    number = 0

    def is_told():
        nonlocal number
        for host in hosts:
            number += 1
            socks5_connect(proxy, host, server.port).close()
        return proxy.events(NONE)

    try:
        wait_for(is_told, "wan1 is told", 20, every=0.1)
        assert [e["uplink"] for e in proxy.events(NONE)] == ["wan1"]
        assert {u["name"]: u["state"] for u in proxy.ask("uplinks")["uplinks"]} == {"wan1": "suspect", "wan2": "up"}
    finally:
        del names._answer
    wait_for(lambda: is_told() and proxy.events(AGAIN), "wan1 resolves again", 20, every=0.1)
    assert len(proxy.events(NONE)) == 1


def test_a_line_without_name_servers_is_logged(start):
    proxy = start("--dial-timeout", "0.5", "wan1", dns="192.0.2.77")
    for host in ("a.test", "b.test", "c.test"):
        assert socks5_code(proxy, host, 80) != 0
    assert len(proxy.events(NONE)) == 1
