"""Links and addresses that come and go while the proxy runs: it hears of them at once, picks by what is there, and leaves
nobody waiting on an address that is gone."""

import subprocess
import threading
import time

import pytest

from lab.clients import curl_by
from lab.http import Client, HttpOrigin, get, response
from lab.origin import Origin, echo, read_exactly
from lab.run import sh, wait_for
from lab.socks import socks5_connect
from lab.topology import LAN_CLIENT, LAN_HOME, OPEN4

SOON_S = 0.1  # in which what the kernel tells must have been heard


def uplinks_of(proxy, n):
    """By which uplinks n requests leave, none of which has had to try twice."""
    before = len(proxy.events("connection"))
    for _ in range(n):
        assert curl_by("socks5", proxy).code == 0
    lines = proxy.connections(before + n)[before:]
    assert all("attempts" not in line for line in lines), lines
    return {line["uplink"] for line in lines}


@pytest.mark.parametrize("loss", ["down", "lose_carrier", "lose_addresses", "remove"])
def test_what_is_lost_is_not_picked_any_more_and_what_returns_is(start, lab, web, loss):
    proxy = start("--policy", "round_robin", "wan1", "wan2")
    assert uplinks_of(proxy, 4) == {"wan1", "wan2"}
    getattr(lab.wan1, loss)()
    if loss == "lose_carrier":  # the kernel itself takes up to a second
        wait_for(lambda: lab.home.link("wan1")["operstate"] == "DOWN", "the carrier is lost")
    time.sleep(SOON_S)
    assert uplinks_of(proxy, 6) == {"wan2"}
    assert proxy.ask("uplinks")["uplinks"][0]["up"] is False
    lab.wan1.restore()
    time.sleep(SOON_S)
    assert uplinks_of(proxy, 6) == {"wan1", "wan2"}
    assert len(proxy.events("uplink down")) == len(proxy.events("uplink up")) == 1


def test_an_uplink_may_come_later_and_under_its_name_alone(start, lab, web):
    lab.wan2.remove()
    proxy = start("--policy", "round_robin", "wan1", "wan2")
    assert uplinks_of(proxy, 4) == {"wan1"}
    lab.wan2.restore()
    time.sleep(SOON_S)
    assert uplinks_of(proxy, 4) == {"wan1", "wan2"}
    for name, other, seen in [("wan2", "elsewhere", {"wan1"}), ("elsewhere", "wan2", {"wan1", "wan2"})]:
        sh(f"ip link set {name} down")
        sh(f"ip link set {name} name {other}")
        sh(f"ip link set {other} up")
        if other == "wan2":
            lab.wan2.restore()  # its routes went as it was down
        time.sleep(SOON_S)
        assert uplinks_of(proxy, 4) == seen


def test_an_address_that_is_renewed(start, lab, origin, web):
    """What is open on the old one is reset, what comes leaves from the new one."""
    server = origin(echo)
    proxy = start("wan1")
    lab.wan1.broken = True
    with socks5_connect(proxy, OPEN4, server.port) as tunnel, socks5_connect(proxy, OPEN4, server.port) as idle:
        tunnel.sendall(b"hello")
        read_exactly(tunnel.s, 5)
        sh("ip address add 10.0.1.77/24 dev wan1")
        sh(f"ip address del {lab.wan1.addr4}/24 dev wan1")
        sh("ip address replace 10.0.1.77/24 dev wan1")
        sh(f"ip route replace default via {lab.wan1.gateway4} dev wan1 metric 100")
        for each in (tunnel, idle):
            each.s.settimeout(SOON_S * 3)
            with pytest.raises(ConnectionResetError):
                each.s.recv(1)
    assert [line["outcome"] for line in proxy.connections(2)] == ["cut", "cut"]
    assert proxy.events("connections cut off: their address is gone")[0]["connections"] == 2
    wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["ipv4"] == "10.0.1.77", "the new address is heard of", 1)
    assert curl_by("socks5", proxy).text.strip() == "10.0.1.77"
    wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["active"] == 0, "the last one is settled", 5)


def test_a_request_under_way_is_answered_and_a_kept_connection_is_not_used_again(start, lab, origin):
    waiting, go_on = threading.Event(), threading.Event()

    def serve(request, _):
        if request.target == "/slow":
            waiting.set()
            go_on.wait(10)
        return response(200, b"served")

    server = HttpOrigin(origin, serve)
    proxy = start("--policy", "failover", "wan1", "wan2")
    lab.wan2.down()
    proxy.wait_event("uplink down", uplink="wan2")
    with Client(proxy) as kept, Client(proxy) as under_way:
        assert kept.ask(get(server)).status == 200
        under_way.send(get(server, "/slow"))
        assert waiting.wait(10)
        lab.wan2.restore()
        lab.wan1.lose_addresses()
        assert under_way.message("GET").status == 502
        go_on.set()
        assert kept.ask(get(server)).status == 200
    lines = proxy.connections(3)
    assert sorted(line["outcome"] for line in lines if line["uplink"] == "wan1") == ["cut", "reset"]
    assert [line["outcome"] for line in lines if line["uplink"] == "wan2"] == ["closed"]


def test_a_carrier_that_flickers_costs_no_connection(start, lab, origin):
    server = origin(echo)
    proxy = start("wan1")
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        lab.wan1.lose_carrier()
        proxy.wait_event("uplink down", uplink="wan1")
        tunnel.sendall(b"still there?")
        lab.wan1.restore()
        tunnel.s.settimeout(10)
        assert read_exactly(tunnel.s, 12) == b"still there?"


def test_a_storm_of_changes_is_met_with_calm(start, lab, web):
    """A thousand addresses, as containers and VPNs may bring, cost less time than they take."""
    proxy = start("wan1", "wan2")
    lines = [f"address {what} 10.9.{n // 250}.{n % 250 + 1}/32 dev lan0" for what in ("add", "del") for n in range(1000)]

    def cpu_s():
        with open(f"/proc/{proxy.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before, began = cpu_s(), time.monotonic()
    batch = subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True)
    batch.stdin.write("\n".join(lines))
    batch.stdin.close()
    while batch.poll() is None:
        assert curl_by("socks5h", proxy, host="web4.test").code == 0
    took = max(time.monotonic() - began, 1)
    assert cpu_s() - before < 0.5 * took
    assert not proxy.events("uplink down")


def is_cut(s):
    """Whether the connection breaks within a second."""
    s.settimeout(1)
    try:
        return s.recv(1) == b"" and False
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_what_goes_direct_is_cut_too(start, lab):
    server = Origin(lab.lan, echo, address=LAN_CLIENT)
    proxy = start("wan1")
    try:
        with socks5_connect(proxy, LAN_CLIENT, server.port) as tunnel:
            tunnel.sendall(b"ping")
            assert read_exactly(tunnel.s, 4) == b"ping"
            sh(f"ip address delete {LAN_HOME}/24 dev lan0")
            sh("ip address add 192.168.200.9/24 dev lan0")
            assert is_cut(tunnel.s)
        assert proxy.events("connections cut off: their address is gone", uplink="direct", connections=1)
    finally:
        sh("ip address flush dev lan0")
        sh(f"ip address add {LAN_HOME}/24 dev lan0")
        server.close()


def test_an_address_that_moves_to_another_link_leaves_nobody_waiting(start, lab, segment, origin):
    """The connection is bound to the link that had it; what comes arrives at the other one."""
    segment.join("two1", "10.0.9.2")
    segment.join("two2", "10.0.9.3")
    server = origin(echo)
    proxy = start("two1", "wan1", "--policy", "failover")
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        tunnel.sendall(b"ping")
        assert read_exactly(tunnel.s, 4) == b"ping"
        lines = "address del 10.0.9.2/24 dev two1\naddress add 10.0.9.2/24 dev two2\n"
        subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True, timeout=10)
        assert is_cut(tunnel.s)
