"""Datagrams by SOCKS5 parent proxies: their associations, names, ends, and parent proxies that carry none."""

import os
import signal
import socket
import struct
import subprocess
import threading

import pytest

from lab import unpacked
from lab.gateway import Gateway
from lab.origin import read_exactly
from lab.proxy import UNRACED
from lab.run import WAIT_S, wait_for
from lab.topology import LAN_CLIENT, MORE4, NAMES4, NOWHERE4, OPEN4, OPEN6
from lab.udp import Association, ASSOCIATE, number_of, numbered, reflect, unwrap, whoami, wrap

DANTED = unpacked.find("danted") or unpacked.find("sockd")


class Client(Association):
    """It ends at once: after a mere FIN, an association lives on for a while."""

    def __exit__(self, *_):
        self.reset()
        self.close()


@pytest.fixture
def upstream(start, lab):
    """A proxy on the internet."""

    def open_upstream(*args):
        allow = ("--allow", "0.0.0.0/0", "--allow-own-addresses")
        return start("--host", OPEN4, *allow, *args, MORE4, prefix=lab.internet.wrap([]))

    return open_upstream


def uplinks(proxy):
    return {u["name"]: u for u in proxy.ask("uplinks")["uplinks"]}


def free_port():
    """A port that was free a moment ago, for a proxy that needs another's port before both run."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def url(far, user=""):
    return f"socks5://{user}{OPEN4}:{far.port}"


# --- by another instance of the proxy ---


@pytest.mark.parametrize("user", ["", "anna:S%40F@"], ids=["open", "with a user"])
def test_datagrams_by_a_parent_proxy(start, upstream, lab, names, datagrams, user):
    echo, far = datagrams(whoami), upstream(*(["--auth", "anna:S@F"] if user else []))
    proxy = start(url(far, user))
    with Client(proxy) as a:
        for host in (OPEN4, "open.test", "OPEN.test"):
            for n in range(3):
                a.send(b"%d" % n, host, echo.port)
                payload, *source = a.receive()
                assert payload.startswith(b"198.51.100.") and payload.endswith(b" %d" % n) and source == [OPEN4, echo.port]
        (u,) = uplinks(proxy).values()
        assert (u["active"], u["state"]) == (1, "up") and u["connect_time"] > 0
    (line,) = proxy.connections(1)
    assert (line["proto"], line["uplink"], line["outcome"], line["tx"]) == ("udp", f"{OPEN4}:{far.port}", "closed", 9)
    assert line["rx"] == sum(len(f"{address} {port} ") + 1 for _, address, port, _ in echo.seen)
    far.connections(1)
    household = {a for u in lab.uplinks for a in (u.addr4, u.addr6)}
    assert not [asked for asked in names.asked if asked[2] in household], "names are the parent proxy's to resolve"
    wait_for(lambda: proxy.open_connections() == 0, "the control connection is closed")


def test_a_thousand_datagrams_arrive_intact(start, upstream, datagrams):
    echo, far = datagrams(reflect), upstream()
    proxy = start(url(far))
    with Client(proxy) as a:
        a.ask(b"begin", OPEN4, echo.port)
        got, n, window = set(), 0, 100
        while len(got) < 1000:
            while n < 1000 and n - len(got) < window:
                a.send(numbered(n), OPEN4, echo.port)
                n += 1
            payload, *source = a.receive()
            assert source == [OPEN4, echo.port]
            got.add(number_of(payload))
        assert got == set(range(1000)) and a.nothing_more()
    (line,) = proxy.connections(1)
    assert line["tx"] == line["rx"] == 5 + sum(len(numbered(n)) for n in range(1000))


def test_large_and_empty_ones(start, upstream, datagrams):
    echo, far = datagrams(reflect), upstream()
    proxy = start(url(far))
    with Client(proxy) as a:
        for size in (0, 1, 1400, 1500, 9000, 65000):
            assert a.ask(b"x" * size, OPEN4, echo.port) == b"x" * size


def test_an_ipv6_destination_by_an_ipv4_parent_proxy(start, lab, datagrams):
    echo = datagrams(reflect, addresses=[OPEN6])
    far = start("--host", OPEN4, "--allow", "0.0.0.0/0", "--allow-own-addresses", prefix=lab.internet.wrap([]))
    proxy = start(url(far))
    with Client(proxy) as a:
        assert a.ask(b"six", OPEN6, echo.port) == b"six"


def test_it_goes_by_the_configured_link_only(start, upstream, lab, datagrams, config):
    echo, far = datagrams(reflect), upstream()
    before = lab.sent()
    proxy = start("--config", config(f'return {{ uplinks = {{ {{ upstream = "{url(far)}", via = "wan2", name = "vpn" }} }} }}'))
    with Client(proxy) as a:
        for _ in range(20):
            a.ask(b"x" * 1000, OPEN4, echo.port)
        sent = {name: n - before[name] for name, n in lab.sent().items()}
        assert sent["wan2"] > 20000 and sent["wan1"] < 2000 and sent["wan3"] < 2000


def test_a_request_that_comes_back_is_refused(start, lab):
    """A parent proxy that leads back here: the request for an association is refused."""
    proxy = start("--host", "0.0.0.0", "--dial-timeout", "5", f"socks5://{OPEN4}:9", "--allow", "0.0.0.0/0")
    rule = f"ip daddr {OPEN4} tcp dport 9 redirect to :{proxy.port}"
    lab.home.nft(f"table ip back {{\nchain o {{ type nat hook output priority -100; {rule}; }}\n}}")
    try:
        with Client(proxy, at=("127.0.0.1", proxy.port)) as a:
            a.send(b"x", MORE4, 9)
            line = proxy.wait_event("parent_loop")
            assert line["uplink"] == f"{OPEN4}:9"
            assert proxy.wait_event("datagrams_refused")["host"] == MORE4
    finally:
        lab.home.sh("nft delete table ip back")
    assert proxy.wait_event("rejected", reason="loop")
    assert len(proxy.connections(1)) == 1, "nothing else came back"


def test_two_proxies_that_lead_to_each_other(start, lab):
    """Each datagram would come back as a new one, until the client has too many mappings."""
    one_port, two_port = free_port(), free_port()
    few = ("--udp-mappings", "40")
    one = start("--port", one_port, *few, f"socks5://127.0.0.1:{two_port}", port=False)
    two = start("--port", two_port, *few, f"socks5://127.0.0.1:{one_port}", port=False)
    with Client(one) as a:
        for _ in range(5):
            a.send(b"x", OPEN4, 9)
        wait_for(lambda: one.events("datagrams_refused") + two.events("datagrams_refused"), "it is refused at last")
        assert one.ask("status")["udp"]["mappings"] <= 40 and two.ask("status")["udp"]["mappings"] <= 40
    wait_for(lambda: one.open_connections() + two.open_connections() == 0, "all of it is over")


# --- by dante ---


@pytest.fixture
def dante(built_lab, tmp_path):
    """Another parent proxy, on the internet."""
    if not DANTED:
        pytest.skip("danted is missing (package dante-server)")
    with built_lab.internet.listen(OPEN4) as s:
        port = s.getsockname()[1]
    config, log = tmp_path / "danted.conf", tmp_path / "danted.log"
    config.write_text(f"""logoutput: stderr
internal: {OPEN4} port = {port}
external: {MORE4}
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: root
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
""")
    with open(log, "wb") as out:
        process = subprocess.Popen(built_lab.internet.wrap([DANTED, "-f", config]), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env=unpacked.env(DANTED), start_new_session=True)

    def listens():
        assert process.poll() is None, log.read_text()
        try:
            built_lab.internet.connect(OPEN4, port).close()
            return True
        except ConnectionRefusedError:
            return False

    try:
        wait_for(listens, "danted listens")
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(WAIT_S)


def test_datagrams_by_dante(start, lab, datagrams, dante):
    tell, echo = datagrams(whoami), datagrams(reflect)
    proxy = start(f"socks5://{OPEN4}:{dante}")
    with Client(proxy) as a:
        assert a.ask(b"x", OPEN4, tell.port).startswith(f"{MORE4} ".encode())
        for n in range(200):
            assert number_of(a.ask(numbered(n), OPEN4, echo.port)) == n
    assert proxy.connections(1)[0]["uplink"] == f"{OPEN4}:{dante}"


# --- datagrams of programs that know no proxy ---


def test_a_forward_by_a_parent_proxy(start, upstream, lab, names, datagrams):
    echo, far = datagrams(reflect), upstream()
    proxy = start("--forward", f"udp:127.0.0.1:0=open.test:{echo.port}", url(far))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(WAIT_S)
        s.sendto(b"hello", proxy.addresses[-1])
        assert s.recvfrom(100) == (b"hello", proxy.addresses[-1])


def test_captured_datagrams_by_a_parent_proxy(start, upstream, router, names, datagrams):
    """Questions for a server of the client's network, or a denied one, go to that of the uplink, others where the client wants."""
    names.zone["cp.test"] = [OPEN4]
    tell, far = datagrams(whoami), upstream()
    gateway = Gateway(router, start, "tproxy", url(far), "--deny", f"{NOWHERE4}/32")
    gateway.capture_lan()
    with router.lan.datagrams(LAN_CLIENT, 0) as s:
        s.settimeout(WAIT_S)
        for server in (NAMES4, "10.9.9.9", NOWHERE4):
            s.sendto(question("cp.test"), (server, 53))
            answer, sender = s.recvfrom(65536)
            assert sender == (server, 53) and answer.endswith(socket.inet_aton(OPEN4))
        s.sendto(b"x", (OPEN4, tell.port))
        answer, sender = s.recvfrom(65536)
        assert sender == (OPEN4, tell.port) and answer.startswith(b"198.51.100.") and answer.endswith(b" x")
    household = {a for u in router.uplinks for a in (u.addr4, u.addr6)}
    assert not [asked for asked in names.asked if asked[2] in household], "no question leaves by another way"


# --- by parent proxies of the tests' own ---


class Parent:
    """A SOCKS5 parent proxy on the internet, with a handler for UDP ASSOCIATE: its reply's code, address and port.
    Without one, it refuses the command."""

    def __init__(self, netns, reply=None, address=OPEN4, greeting=b"\x05\x00"):
        self.reply, self.greeting, self.asked, self.controls = reply, greeting, [], []
        self.udp = netns.datagrams(address, 0)
        self.udp.settimeout(WAIT_S)
        self.address, self.relay_port = self.udp.getsockname()[:2]
        self._listener = netns.listen(address)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                s, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=[s], daemon=True).start()

    def _talk(self, s):
        s.settimeout(WAIT_S)
        try:
            read_exactly(s, 3)
            s.sendall(self.greeting)
            request = read_exactly(s, 10)
            self.asked.append(request)
            if request[1] != ASSOCIATE or not self.reply:
                s.sendall(b"\x05\x07\x00\x01" + bytes(6))
                s.close()
                return
            self.controls.append(s)
            s.sendall(self.reply(self))
        except (OSError, AssertionError):
            s.close()

    def receive(self):
        """(header, payload, sender) of the next datagram at the relay."""
        data, sender = self.udp.recvfrom(65536)
        return data, sender

    def stop_listening(self):
        """The kernel resets further connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self):
        if self._listener.fileno() >= 0:
            self.stop_listening()
        self.udp.close()
        for s in self.controls:
            s.close()


def succeeds(address=None):
    """The reply of a parent proxy, with its own address or another one."""

    def reply(parent):
        ip = socket.inet_aton(address if address else parent.address)
        return b"\x05\x00\x00\x01" + ip + struct.pack(">H", parent.relay_port)

    return reply


@pytest.fixture
def parent(built_lab):
    opened = []

    def open_parent(*args, **options):
        opened.append(Parent(built_lab.internet, *args, **options))
        return opened[-1]

    yield open_parent
    for p in opened:
        p.close()


@pytest.mark.parametrize("told", [None, "0.0.0.0"])
def test_headers_and_the_relays_address(start, lab, parent, datagrams, told):
    far, stranger = parent(succeeds(told)), datagrams(reflect)
    proxy = start(f"socks5://{OPEN4}:{far.port}")
    with Client(proxy) as a:
        a.send(b"one", MORE4, 5000)
        a.send(b"two", "Some.Name", 5353)
        got = {}
        for _ in range(2):
            data, sender = far.receive()
            got[data] = sender
        assert wrap(b"two", "Some.Name", 5353) in got and wrap(b"one", MORE4, 5000) in got
        assert far.asked == [b"\x05\x03\x00\x01" + bytes(6)] and len(set(got.values())) == 1, "one mapping for both"
        sender = got[wrap(b"two", "Some.Name", 5353)]
        junk = [b"", b"\0\0\0\1", b"\0\0\1\1" + bytes(6) + b"fragment", b"\0\0\0\x03\4name\0\x50from a name", wrap(b"none", MORE4, 0)]
        for datagram in junk:
            far.udp.sendto(datagram, sender)
        stranger.send_to(wrap(b"spoofed", OPEN4, 5353), sender)
        far.udp.sendto(wrap(b"answer", "203.0.113.9", 5353), sender)  # the address of the name
        assert a.receive() == (b"answer", "203.0.113.9", 5353)
        assert a.nothing_more()


def test_replies_are_filtered_by_their_real_source(start, lab, parent):
    far = parent(succeeds())
    proxy = start(f"socks5://{OPEN4}:{far.port}")
    with Client(proxy) as a:
        a.send(b"x", MORE4, 4000)
        _, sender = far.receive()
        far.udp.sendto(wrap(b"unasked", "203.0.113.9", 4000), sender)
        far.udp.sendto(wrap(b"asked", MORE4, 4001), sender)  # the default is by address
        assert a.receive() == (b"asked", MORE4, 4001)


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_mapping_moves_when_its_control_connection_ends(start, lab, parent, datagrams, first, how):
    far, echo = parent(succeeds()), datagrams(whoami)
    name = f"{OPEN4}:{far.port}"
    proxy = start("--policy", first(name, "wan2"), f"socks5://{name}", "wan2")
    with Client(proxy) as a:
        a.send(b"x", OPEN4, echo.port)
        far.receive()
        far.stop_listening()
        if how == "reset":
            far.controls[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.controls[0].close()
        line = proxy.wait_event("connection", outcome="parent-closed")
        assert line["uplink"] == name and line["tx"] == 1
        assert a.ask(b"y", OPEN4, echo.port).startswith(lab.wan2.addr4.encode()), "the same question tries another uplink"
        u = uplinks(proxy)[name]
        assert u["failures"] == 1
    assert proxy.connections(2)[1]["uplink"] == "wan2" and proxy.connections(2)[1]["attempts"] == 2


def test_the_mapping_ends_its_control_connection(start, lab, parent):
    far = parent(succeeds())
    proxy = start(f"socks5://{OPEN4}:{far.port}")
    with Client(proxy) as a:
        a.send(b"x", MORE4, 4000)
        far.receive()
    with pytest.raises(ConnectionResetError):  # a FIN would leave it open for a while at some parent proxies
        far.controls[0].recv(1)


REFUSALS = {
    "command not supported": lambda _: b"\x05\x07\x00\x01" + bytes(6),
    "not allowed": lambda _: b"\x05\x02\x00\x01" + bytes(6),
    "a name": lambda _: b"\x05\x00\x00\x03\x09localhost\x00\x50",
    "port 0": lambda _: b"\x05\x00\x00\x01" + bytes([198, 51, 100, 20, 0, 0]),
    "a relay on loopback": lambda p: b"\x05\x00\x00\x01\x7f\0\0\1" + struct.pack(">H", p.relay_port),
    "another protocol": lambda _: b"HTTP/1.1 400 Bad\r\n\r\n",
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_another_uplink_is_tried_within_the_question(start, lab, parent, datagrams, first, kind):
    far, echo = parent(REFUSALS[kind]), datagrams(whoami)
    name = f"{OPEN4}:{far.port}"
    proxy = start("--policy", first(name, "wan2"), f"socks5://{name}", "wan2")
    unable = kind == "command not supported"
    for n in range(2):
        with Client(proxy) as a:
            assert a.ask(b"x", OPEN4, echo.port).startswith(lab.wan2.addr4.encode())
            assert a.ask(b"x", "open.test", echo.port).startswith(lab.wan2.addr4.encode())
        proxy.connections(n + 1)
    assert {line["uplink"] for line in proxy.connections(2)} == {"wan2"}
    assert len(far.asked) == (1 if unable else 2), "a parent proxy that cannot is not asked each time"
    assert len(proxy.events("parent_no_datagrams")) == unable
    u = uplinks(proxy)[name]
    assert u["failures"] == (0 if unable else 2)


@pytest.mark.parametrize("scheme", ["http", "socks4a"])
def test_other_protocols_carry_no_datagrams(start, lab, upstream, datagrams, first, scheme):
    far, echo = upstream(), datagrams(whoami)
    name = f"{OPEN4}:{far.port}"
    proxy = start("--policy", first(name, "wan2"), f"{scheme}://{name}", "wan2")
    with Client(proxy) as a:
        assert a.ask(b"x", OPEN4, echo.port).startswith(lab.wan2.addr4.encode())
    assert proxy.connections(1)[0]["uplink"] == "wan2"


def test_without_another_uplink_the_flow_is_refused(start, lab, parent):
    far = parent(None)
    proxy = start(f"socks5://{OPEN4}:{far.port}")
    with Client(proxy) as a:
        a.send(b"x", MORE4, 9)
        assert proxy.wait_event("datagrams_refused")["host"] == MORE4
        assert proxy.connections(1)[0]["outcome"] == "upstream"
        assert a.nothing_more()
        proxy.wait_event("parent_no_datagrams", uplink=f"{OPEN4}:{far.port}")
    assert proxy.open_connections() == 0


def test_datagrams_wait_for_a_slow_parent_proxy(start, lab, parent):
    """The first datagrams of all destinations wait, within bounds."""
    go = threading.Event()

    def slow(p):
        assert go.wait(WAIT_S)
        return succeeds()(p)

    far = parent(slow)
    proxy = start(*UNRACED, f"socks5://{OPEN4}:{far.port}")
    with Client(proxy) as a:
        for n in range(12):
            a.send(b"%d" % n, MORE4, 5000 + n % 3)
        a.send(b"name", "some.name", 5000)
        wait_for(lambda: far.asked, "the parent proxy is asked")
        go.set()
        got = [unwrap(data) for data in (far.receive()[0] for _ in range(13)) if data[3] == 1]
        assert sorted(int(payload) for payload, *_ in got) == list(range(12))
        assert len(far.asked) == 1


def test_names_of_the_local_network_are_resolved_here(start, lab, parent, names):
    names.zone["nas.home.arpa"] = [MORE4]
    far = parent(succeeds())
    proxy = start(f"socks5://{OPEN4}:{far.port}")
    with Client(proxy) as a:
        a.send(b"x", "nas.home.arpa", 5000)
        assert far.receive()[0] == wrap(b"x", MORE4, 5000)


def test_rules_for_every_address_hold_for_names(start, lab, parent):
    far = parent(succeeds())
    proxy = start("--deny", "*:5000", f"socks5://{OPEN4}:{far.port}")
    with Client(proxy) as a:
        a.send(b"denied", "some.name", 5000)
        assert proxy.wait_event("datagrams_refused")["host"] == "some.name"
        a.send(b"allowed", "some.name", 5001)
        assert far.receive()[0] == wrap(b"allowed", "some.name", 5001)


def test_a_lost_link_moves_what_waits(start, lab, parent, datagrams, first, config):
    go, echo = threading.Event(), datagrams(whoami)
    far = parent(lambda p: b"" if go.wait(WAIT_S) else b"")
    both = f'{{ upstream = "socks5://{OPEN4}:{far.port}", via = "wan1", name = "vpn" }}, {{ interface = "wan2" }}'
    proxy = start("--dial-timeout", "100", "--policy", first("vpn", "wan2"), "--config", config(f"return {{ uplinks = {{ {both} }} }}"))
    with Client(proxy) as a:
        a.send(b"x", OPEN4, echo.port)
        wait_for(lambda: far.asked, "the parent proxy is asked")
        lab.wan1.down()
        assert a.receive()[0].startswith(lab.wan2.addr4.encode())
    go.set()


def test_a_client_that_leaves_while_the_parent_proxy_is_asked(start, lab, parent):
    go = threading.Event()
    far = parent(lambda p: b"" if go.wait(WAIT_S) else b"")
    proxy = start(f"socks5://{OPEN4}:{far.port}")
    with Client(proxy) as a:
        a.send(b"x", MORE4, 5000)
        wait_for(lambda: far.asked, "the parent proxy is asked")
    proxy.connections(1)
    wait_for(lambda: proxy.open_connections() == 0, "all is closed")
    go.set()
