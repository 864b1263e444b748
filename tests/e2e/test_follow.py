"""Links and addresses that come and go while the proxy runs. The proxy notices at once, picks among those present,
and ends connections from an address that is gone."""

import signal
import socket
import subprocess
import threading
import time

import pytest

from lab.clients import curl_by
from lab.http import Client, HttpOrigin, get, response
from lab.netns import Netns
from lab.origin import Origin, echo, read_exactly
from lab.proxy import UNRACED
from lab.run import SOON_S, WAIT_S, run, sh, wait_for
from lab.socks import open_to, read_reply5, request5, socks5_connect
from lab.topology import LAN_CLIENT, LAN_HOME, OPEN4



def heard(proxy):
    """Wait until the proxy has handled all events so far: the last one adds another network, which then becomes
    local."""
    sh("ip address add 192.168.99.1/24 dev lan0")
    try:
        wait_for(lambda: proxy.ask("why", host="192.168.99.9")["verdict"] == "direct", "the change is heard of", SOON_S)
    finally:
        sh("ip address delete 192.168.99.1/24 dev lan0")


def uplinks_of(proxy, n):
    """The uplinks of n requests, each of which succeeded at the first try."""
    before = len(proxy.events("connection"))
    for _ in range(n):
        assert curl_by("socks5", proxy).code == 0
    lines = proxy.connections(before + n)[before:]
    assert all("attempts" not in line for line in lines), lines
    return {line["uplink"] for line in lines}


@pytest.mark.parametrize("loss", ["down", "lose_carrier", "lose_addresses", "remove"])
def test_a_lost_link_is_not_picked_until_it_returns(start, lab, web, loss):
    proxy = start(*UNRACED, "--policy", "round_robin", "wan1", "wan2")
    assert uplinks_of(proxy, 4) == {"wan1", "wan2"}
    getattr(lab.wan1, loss)()
    if loss == "lose_carrier":  # the kernel itself takes up to a second
        wait_for(lambda: lab.home.link("wan1")["operstate"] == "DOWN", "the carrier is lost")
    heard(proxy)
    assert uplinks_of(proxy, 6) == {"wan2"}
    assert proxy.ask("uplinks")["uplinks"][0]["up"] is False
    lab.wan1.restore()
    heard(proxy)
    assert uplinks_of(proxy, 6) == {"wan1", "wan2"}
    assert len(proxy.events("uplink_down")) == len(proxy.events("uplink_up")) == 1


def test_an_uplink_may_come_later_and_under_its_name_alone(start, lab, web):
    lab.wan2.remove()
    proxy = start(*UNRACED, "--policy", "round_robin", "wan1", "wan2")
    assert uplinks_of(proxy, 4) == {"wan1"}
    lab.wan2.restore()
    heard(proxy)
    assert uplinks_of(proxy, 4) == {"wan1", "wan2"}
    for name, other, seen in [("wan2", "elsewhere", {"wan1"}), ("elsewhere", "wan2", {"wan1", "wan2"})]:
        sh(f"ip link set {name} down")
        sh(f"ip link set {name} name {other}")
        sh(f"ip link set {other} up")
        if other == "wan2":
            lab.wan2.restore()  # its routes were lost while it was down
        heard(proxy)
        assert uplinks_of(proxy, 4) == seen


def test_an_address_that_is_renewed(start, lab, origin, web):
    """Connections on the old address are reset; new ones use the new address."""
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
            each.s.settimeout(SOON_S)
            with pytest.raises(ConnectionResetError):
                each.s.recv(1)
    assert [line["outcome"] for line in proxy.connections(2)] == ["cut", "cut"]
    assert proxy.events("cut_address_gone")[0]["connections"] == 2
    wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["ipv4"] == "10.0.1.77", "the new address is heard of", SOON_S)
    assert curl_by("socks5", proxy).text.strip() == "10.0.1.77"
    wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["active"] == 0, "the last one is settled")


@pytest.mark.parametrize("way", ["local", "bypass"])
def test_direct_connections_are_reset_as_well(start, lab, way):
    """By its own link, or by the machine's routes."""
    server, here = Origin(lab.lan, echo, address=LAN_CLIENT), Origin(lab.home, echo, address="127.0.0.1")
    # Without --bypass, the machine's networks are local.
    proxy = start("wan1", *(["--bypass", "192.168.0.0/16,127.0.0.0/8"] if way == "bypass" else []))

    def speak(tunnel):
        tunnel.sendall(b"hello")
        assert read_exactly(tunnel.s, 5) == b"hello"

    try:
        with socks5_connect(proxy, LAN_CLIENT, server.port) as lost, socks5_connect(proxy, "127.0.0.1", here.port) as kept:
            speak(lost)
            sh(f"ip address del {LAN_HOME}/24 dev lan0")
            sh("ip address add 192.168.77.9/24 dev lan0")
            lost.s.settimeout(SOON_S)
            with pytest.raises(ConnectionResetError):
                lost.s.recv(1)
            speak(kept)
        assert proxy.events("cut_address_gone", uplink="direct")[0]["connections"] == 1
        # For a moment the network was not this machine's.
        wait_for(lambda: proxy.ask("why", host=LAN_CLIENT)["verdict"] == "direct", "the network is local again")
        with socks5_connect(proxy, LAN_CLIENT, server.port) as new:
            speak(new)
        assert [line["outcome"] for line in proxy.connections(3)] == ["cut", "closed", "closed"]
        assert server.peers == [LAN_HOME, "192.168.77.9"]
    finally:
        server.close()
        here.close()
        sh("ip address flush dev lan0 scope global")
        sh(f"ip address add {LAN_HOME}/24 dev lan0")


def test_an_address_that_moves_to_another_link(start, segment, origin):
    """Connections bound to the old link are reset at both ends; others continue."""
    segment.join("two1", "10.0.9.2")
    sh("ip address add 10.0.9.4/32 dev two1")  # without another address, its routes would be removed, and no reset could be sent
    segment.join("two2", "10.0.9.3")
    server = origin(echo)
    proxy = start(*UNRACED, "--policy", "round_robin", "two1", "two2")
    tunnels = {}
    for _ in range(2):
        tunnel = socks5_connect(proxy, OPEN4, server.port)
        tunnel.sendall(b"hello")
        read_exactly(tunnel.s, 5)
        tunnels[server.peers[-1]] = tunnel
    assert set(tunnels) == {"10.0.9.2", "10.0.9.3"}
    # In one step for the proxy: while the address is missing, no reset can be sent from it.
    proxy.signal(signal.SIGSTOP)
    sh("ip address del 10.0.9.2/24 dev two1")
    sh("ip address add 10.0.9.2/24 dev two2")
    proxy.signal(signal.SIGCONT)
    tunnels["10.0.9.2"].s.settimeout(SOON_S)
    with pytest.raises(ConnectionResetError):
        tunnels["10.0.9.2"].s.recv(1)
    wait_for(lambda: server.errors, "the server has heard of it", SOON_S)
    assert isinstance(server.errors[0], ConnectionResetError)
    kept = tunnels["10.0.9.3"]
    with kept, socks5_connect(proxy, OPEN4, server.port) as new:
        for tunnel in (kept, new):
            tunnel.sendall(b"hello")
            assert read_exactly(tunnel.s, 5) == b"hello"
    assert [line["outcome"] for line in proxy.connections(3)] == ["cut", "closed", "closed"]
    assert proxy.events("cut_address_gone")[0]["uplink"] == "two1"


def test_a_connection_with_an_address_of_another_link_is_spared(start, lab):
    """As for clients of a VPN with addresses of the LAN, while other addresses come and go."""
    guest = Netns("guest")
    guest.create()
    sh(f"ip link add plain0 type veth peer name eth0 netns {guest.name}")
    try:
        guest.sh("ip address add 192.168.77.50/24 dev eth0")
        guest.sh("ip link set eth0 up")
        sh("ip link set plain0 up")
        sh(f"ip route add 192.168.77.50/32 dev plain0 src {LAN_HOME}")
        server = Origin(guest, echo, address="192.168.77.50")
        proxy = start("wan1")
        with socks5_connect(proxy, "192.168.77.50", server.port) as tunnel:
            for what in ("add", "del"):
                tunnel.sendall(b"hello")
                assert read_exactly(tunnel.s, 5) == b"hello"
                sh(f"ip address {what} 10.9.0.1/24 dev lan0")
                n = 1 if what == "add" else 2
                wait_for(lambda n=n: len(proxy.events("networks_changed")) == n, "it is heard of")
            tunnel.sendall(b"hello")
            assert read_exactly(tunnel.s, 5) == b"hello"
        assert server.peers == [LAN_HOME] and proxy.connections(1)[0]["uplink"] == "direct"
        server.close()
    finally:
        sh("ip link delete plain0")
        sh(f"ip netns delete {guest.name}")


def test_a_request_under_way_is_answered_and_a_kept_connection_is_not_used_again(start, lab, origin):
    waiting, go_on = threading.Event(), threading.Event()

    def serve(request, _):
        if request.target == "/slow":
            waiting.set()
            go_on.wait(WAIT_S)
        return response(200, b"served")

    server = HttpOrigin(origin, serve)
    proxy = start("--policy", "failover", "wan1", "wan2")
    lab.wan2.down()
    proxy.wait_event("uplink_down", uplink="wan2")
    with Client(proxy) as kept, Client(proxy) as under_way:
        assert kept.ask(get(server)).status == 200
        under_way.send(get(server, "/slow"))
        assert waiting.wait(WAIT_S)
        lab.wan2.restore()
        lab.wan1.lose_addresses()
        assert under_way.message("GET").status == 502
        go_on.set()
        assert kept.ask(get(server)).status == 200
    lines = proxy.connections(3)
    assert sorted(line["outcome"] for line in lines if line["uplink"] == "wan1") == ["cut", "reset"]
    assert [line["outcome"] for line in lines if line["uplink"] == "wan2"] == ["closed"]


def test_a_short_loss_of_carrier_breaks_no_connection(start, lab, origin):
    server = origin(echo)
    proxy = start("wan1")
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        lab.wan1.lose_carrier()
        proxy.wait_event("uplink_down", uplink="wan1")
        tunnel.sendall(b"still there?")
        lab.wan1.restore()
        tunnel.s.settimeout(WAIT_S)
        assert read_exactly(tunnel.s, 12) == b"still there?"


@pytest.mark.parametrize("loss", ["down", "lose_carrier", "lose_addresses", "remove"])
@pytest.mark.parametrize("others", [True, False])
def test_a_dial_on_a_line_that_is_lost_fails_at_once(start, lab, origin, only, loss, others):
    """It tries the next uplink, or fails. That also holds when the line had several addresses, and the kernel would
    take one of another line."""
    server = origin(echo)
    sh("ip address add 10.0.1.77/24 dev wan1")
    lab.wan1.broken = True
    proxy = start("--hedge", "0", "--dial-timeout", "300", "--policy", only("wan1"), "wan1", *(["wan2"] if others else []))
    lab.wan1.swallow()
    with open_to(proxy, 30) as c:
        c.sendall(b"\x05\x01\x00" + request5(OPEN4, server.port))
        assert read_exactly(c, 2) == b"\x05\x00"
        wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["active"] == 1, "it is under way")
        proxy.tell("policy", "round_robin")
        getattr(lab.wan1, loss)()
        assert read_reply5(c)[0] == (0 if others else 3)
    (line,) = proxy.connections(1)
    assert line["uplink"] == ("wan2" if others else "wan1"), line
    told = {u["name"]: u for u in proxy.ask("uplinks")["uplinks"]}["wan1"]
    assert (told["active"], told["failures"]) == (0, 1)


def test_many_changes_cost_little_time(start, lab, web):
    """A thousand address changes, as containers and VPNs make, cost less CPU time than they take to make."""
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
    assert not proxy.events("uplink_down")


def test_an_address_to_listen_on_that_comes_later(start, lab, web):
    """The other address is served meanwhile. The missing one is served when it comes, goes, and comes back."""
    late = "192.168.77.9"
    proxy = start("wan1", "--listen", "127.0.0.1:0", "--listen", f"{late}:0", port=False)
    assert [host for host, _ in proxy.addresses] == ["127.0.0.1"]
    waiting = proxy.events("waiting_for_address")
    assert [line["address"] for line in waiting] == [f"{late}:{proxy.port}"]
    assert curl_by("socks5", proxy).ok().text.strip() == lab.wan1.addr4
    proxy.addresses = [(late, proxy.port)]
    try:
        for times in (1, 2):
            sh(f"ip address add {late}/32 dev lan0")
            wait_for(lambda: len(proxy.events("listening", address=proxy.hostport)) == times, "it is told", SOON_S)
            assert curl_by("socks5", proxy).ok().text.strip() == lab.wan1.addr4
            sh(f"ip address delete {late}/32 dev lan0")
            wait_for(lambda: len(proxy.events("listen_address_gone")) == times, "it is told", SOON_S)
    finally:
        run("ip", "address", "delete", f"{late}/32", "dev", "lan0")


LOCAL, PLUG = "fe80::77", "plug0"


@pytest.fixture
def plug(lab):
    """Add an interface with a link-local address, each time it is called."""

    def plug_in():
        sh(f"ip link add {PLUG} type veth peer name plug1")
        sh(f"ip link set {PLUG} up")
        sh("ip link set plug1 up")
        sh(f"ip -6 address add {LOCAL}/64 dev {PLUG} nodad")

    yield plug_in
    run("ip", "link", "delete", PLUG)


def test_a_link_that_comes_back_is_listened_on_again(start, lab, web, plug):
    """A link-local address belongs to a link, which has a new index then."""
    plug()
    proxy = start("wan1", "--listen", f"[{LOCAL}%{PLUG}]:0", port=False)
    proxy.addresses = [(f"{LOCAL}%25{PLUG}", proxy.port)]
    assert curl_by("socks5", proxy).ok().text.strip() == lab.wan1.addr4
    sh(f"ip link delete {PLUG}")
    proxy.wait_event("listen_address_gone", SOON_S)
    plug()
    wait_for(lambda: len(proxy.events("listening")) == 2, "it is told", SOON_S)
    assert curl_by("socks5", proxy).ok().text.strip() == lab.wan1.addr4


def test_a_link_to_listen_on_that_comes_later(start, lab, web, plug):
    """Until then its address cannot be looked up. Another address is served meanwhile, on the same port."""
    proxy = start("wan1", "--host", f"{LOCAL}%{PLUG}", "--host", "127.0.0.1")
    (waiting,) = proxy.events("waiting_for_address")
    assert waiting["address"] == f"[{LOCAL}%{PLUG}]:{proxy.port}"
    assert curl_by("socks5", proxy).ok().text.strip() == lab.wan1.addr4
    proxy.addresses = [(f"{LOCAL}%25{PLUG}", proxy.port)]
    for times in (1, 2):
        plug()
        wait_for(lambda: len(proxy.events("listening", address=waiting["address"])) == times, "it is told", SOON_S)
        assert curl_by("socks5", proxy).ok().text.strip() == lab.wan1.addr4
        sh(f"ip link delete {PLUG}")
        wait_for(lambda: len(proxy.events("listen_address_gone")) == times, "it is told")


def test_a_link_that_comes_back_while_it_ends_is_not_listened_on(start, lab, origin, plug):
    """It accepts no new clients then, while open connections continue."""
    plug()
    server = origin(echo)
    proxy = start("wan1", "--drain-timeout", "60", "--host", "127.0.0.1", "--host", f"{LOCAL}%{PLUG}")
    with socks5_connect(proxy, OPEN4, server.port) as kept:
        proxy.stop_softly()
        sh(f"ip link delete {PLUG}")
        plug()
        heard(proxy)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((f"{LOCAL}%{PLUG}", proxy.port), timeout=WAIT_S)
        kept.sendall(b"still here")
        assert read_exactly(kept.s, 10) == b"still here"
    assert proxy.wait() == 0


def test_a_link_to_listen_on_that_must_be_there(start):
    proxy = start("wan1", "--listen", f"[{LOCAL}%{PLUG}]:0", "--listen-strict", port=False, ready=False)
    assert proxy.wait() == 1
    assert f"cannot listen on [{LOCAL}%{PLUG}]:0: No such device (the interface does not exist)" in proxy.log_text()
