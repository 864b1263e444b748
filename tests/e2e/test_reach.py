"""Destinations that clients may not reach: addresses of the proxy's own machine, and those of --deny. Tested for
every protocol, way and spelling."""

import socket

import pytest

from lab.command import refused, verdict
from lab.http import Client, HttpOrigin, get, response
from lab.netns import Netns
from lab.origin import Origin, echo, read_exactly
from lab.run import SOON_S, WAIT_S, sh, wait_for
from lab.socks import auth5, read_reply5, request4, request5, socks5_code, socks5_connect
from lab.topology import LAN_CLIENT, LAN_HOME, MORE4, OPEN4, OPEN6, WEB4


@pytest.fixture
def at_home(lab):
    """Servers on the proxy's own machine."""
    opened = []

    def open_server(address):
        opened.append(Origin(lab.home, echo, address=address))
        return opened[-1]

    yield open_server
    for server in opened:
        server.close()


class Lan:
    """A client on another machine of the household."""

    def __init__(self, lab, proxy):
        self.lab, self.proxy = lab, proxy

    def code(self, host, port):
        with self.lab.lan.connect(*self.proxy.address, timeout=WAIT_S) as s:
            s.sendall(b"\x05\x01\x00" + request5(host, port))
            assert read_exactly(s, 2) == b"\x05\x00"
            return read_reply5(s)[0]

    def says(self, request, n):
        with self.lab.lan.connect(*self.proxy.address, timeout=WAIT_S) as s:
            s.sendall(request)
            return read_exactly(s, n)


def embedded(address):
    a, b, c, d = (int(x) for x in address.split("."))
    return [f"::ffff:{address}", f"64:ff9b::{address}", f"2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1", f"::{address}"]


def http_status(answer):
    return int(answer[9:12])


# --- the machine's own addresses ---


def test_another_machine_reaches_no_address_of_this_one(start, lab, at_home, names):
    addresses = [LAN_HOME, lab.wan1.addr4, lab.wan2.addr4, lab.wan1.addr6]
    servers = {a: at_home(a) for a in addresses}
    names.zone["home.test"] = [lab.wan2.addr4]
    proxy = start("wan1", "--listen", f"{LAN_HOME}:0", "--dial-timeout", "2", port=False)
    lan = Lan(lab, proxy)
    for address, server in servers.items():
        spelt = [address] + ([] if ":" in address else embedded(address))
        assert [lan.code(host, server.port) for host in spelt] == [2] * len(spelt), spelt
    port = servers[lab.wan2.addr4].port
    assert lan.code("home.test", port) == 2 and lan.code("home.test.", port) == 2
    assert lan.says(request4(lab.wan2.addr4, port), 2) == b"\x00\x5b"
    for line in (f"CONNECT {lab.wan2.addr4}:{port}", f"GET http://home.test:{port}/"):
        assert http_status(lan.says(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 12)) == 403
    proxy.settled()
    reasons = {line["reason"] for line in proxy.events("connection", outcome="denied")}
    assert f"{lab.wan2.addr4} is an address of the proxy's own machine" in reasons, reasons
    assert all(not server.peers for server in servers.values())
    # A client on the machine itself still reaches it.
    assert socks5_code(proxy, lab.wan2.addr4, port) == 0


def test_routes_and_addresses_that_come_later_count(start, lab, at_home):
    proxy = start("wan1", "--listen", f"{LAN_HOME}:0", "--dial-timeout", "1", port=False)
    lan = Lan(lab, proxy)
    assert lan.code("10.0.1.66", 9) != 2
    sh("ip address add 10.0.1.66/24 dev wan1")
    try:
        wait_for(lambda: lan.code("10.0.1.66", 9) == 2, "the new address is known", SOON_S)
    finally:
        sh("ip address delete 10.0.1.66/24 dev wan1")
    wait_for(lambda: lan.code("10.0.1.66", 9) != 2, "it is gone", SOON_S)
    sh("ip route add local 198.18.0.0/24 dev lo")
    try:
        server = Origin(Netns(), echo, address="198.18.0.9")
        again = start("wan1", "--listen", f"{LAN_HOME}:0", "--dial-timeout", "1", port=False)
        assert Lan(lab, again).code("198.18.0.9", server.port) == 2
        wait_for(lambda: lan.code("198.18.0.9", server.port) == 2, "a route alone is found at the next look")
        server.close()
    finally:
        sh("ip route delete local 198.18.0.0/24 dev lo")


@pytest.mark.parametrize("bypass", ["none", "0.0.0.0/0,::/0"])
def test_bypass_does_not_allow_own_addresses(start, lab, at_home, bypass):
    server = at_home(lab.wan2.addr4)
    proxy = start("wan1", "--listen", f"{LAN_HOME}:0", "--bypass", bypass, port=False)
    assert Lan(lab, proxy).code(lab.wan2.addr4, server.port) == 2


def test_an_option_allows_own_addresses_except_loopback(start, lab, at_home, config):
    server, inner = at_home(lab.wan2.addr4), at_home("127.0.0.1")
    path = config("return { allow_own_addresses = true }")
    for how in (["--allow-own-addresses"], ["--config", path]):
        lan = Lan(lab, start("wan1", "--listen", f"{LAN_HOME}:0", *how, port=False))
        assert lan.code(lab.wan2.addr4, server.port) == 0
        assert lan.code("127.0.0.1", inner.port) == 2


# --- denied destinations ---


@pytest.fixture
def server(origin):
    return HttpOrigin(origin, lambda _request, _s: response(200, b"hello"))


# The address counts, however it was written or resolved.
SPELT = [OPEN4, *embedded(OPEN4), "open.test", "open.test.", "OPEN.TEST", "mapped.test", "alias.test"]
NUMBERS = ["3325256724", "0xc6336414", "0306.063.0144.024", "198.51.25620", "198.51.100.0x14"]


@pytest.mark.parametrize("extra", [[], ["--bypass", "0.0.0.0/0"], ["--hedge", "0.01"]], ids=["uplinks", "direct", "races"])
def test_denied_destinations_are_refused_on_every_way(start, names, server, extra):
    names.zone["mapped.test"] = [f"::ffff:{OPEN4}"]
    names.zone["alias.test"] = [OPEN4]
    proxy = start("wan1", "wan2", "--deny", f"198.51.100.16/29:{server.port}", *extra)
    assert [socks5_code(proxy, host, server.port) for host in SPELT] == [2] * len(SPELT)
    for host in NUMBERS:  # refused, since programs read such numbers in different ways
        assert socks5_code(proxy, host, server.port) != 0
    with Client(proxy) as c:
        assert c.ask(get(server)).status == 403
    with Client(proxy) as c:
        assert c.ask(f"CONNECT open.test:{server.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), "CONNECT").status == 403
    with socket.create_connection(proxy.address, timeout=WAIT_S) as s:
        s.sendall(request4(OPEN4, server.port))
        assert read_exactly(s, 2) == b"\x00\x5b"
    assert not server.peers, "nothing was dialled"
    proxy.settled()
    told = {line["reason"] for line in proxy.events("connection", outcome="denied")}
    assert told == {f"{OPEN4}: deny 198.51.100.16/29:{server.port}"}
    if not extra:
        assert socks5_code(proxy, OPEN4, 9) == 5, "another port is only refused by the destination"


def test_the_other_addresses_of_a_denied_name_are_reached(start, names, server):
    names.zone["two.test"] = [WEB4, OPEN4]
    proxy = start("wan1", "--deny", WEB4)
    with socks5_connect(proxy, "two.test", server.port):
        pass
    names.zone["all.test"] = [WEB4, OPEN6]
    proxy = start("wan1", "--deny", WEB4, "--deny", "[2001:db8:ffff::]/48:1-65535")
    assert socks5_code(proxy, "all.test", server.port) == 2


def test_local_destinations_are_denied_too(start, at_home):
    server = at_home("127.0.0.1")
    proxy = start("wan1", "--deny", "127.0.0.0/8,::1")
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "x.localhost", "::ffff:127.0.0.1", "::1", "::"):
        assert socks5_code(proxy, host, server.port) == 2, host
    assert not server.peers


@pytest.mark.parametrize("extra", [[], ["--bypass", "none"]], ids=["direct", "uplinks"])
def test_the_unspecified_address_leads_to_loopback_alone(start, lab, at_home, names, extra):
    """A socket bound to the line's address would connect to that address."""
    server = at_home(lab.wan1.addr4)
    names.zone["blocked.test"] = ["0.0.0.0"]
    proxy = start("wan1", "--dial-timeout", "1", "--deny", f"{lab.wan1.addr4},{lab.wan1.addr6}", *extra)
    for host in ("0.0.0.0", "::", "blocked.test"):
        assert socks5_code(proxy, host, server.port) != 0, host
    assert not server.peers


def test_a_kept_connection_does_not_bypass_rules_for_another_user(start, server, config):
    path = config(f'return {{ auth = {{ "ann:a", "tim:t" }}, deny = {{ {{ to = "{OPEN4}", users = "tim" }} }} }}')
    proxy = start("wan1", "--config", path)
    with Client(proxy) as c:
        for token, status in (("YW5uOmE=", 200), ("dGltOnQ=", 403), ("YW5uOmE=", 200)):
            assert c.ask(get(server, "/", f"Proxy-Authorization: Basic {token}")).status == status
    for user, password, code in (("ann", "a", 0), ("tim", "t", 2)):
        with socket.create_connection(proxy.address, timeout=WAIT_S) as s:
            s.sendall(b"\x05\x01\x02" + auth5(user, password) + request5(OPEN4, server.port))
            assert read_exactly(s, 4) == b"\x05\x02\x01\x00"
            assert read_reply5(s)[0] == code


def test_rules_for_some_clients(start, lab, origin, config):
    server = origin(echo)
    path = config(f'return {{ deny = {{ "{MORE4}", {{ to = {{ "{OPEN4}", "*:9" }}, clients = {{ "{LAN_CLIENT}" }} }} }} }}')
    proxy = start("wan1", "--config", path, "--listen", f"{LAN_HOME}:0", port=False)
    lan = Lan(lab, proxy)
    assert (lan.code(OPEN4, server.port), lan.code(WEB4, 9), lan.code(MORE4, server.port)) == (2, 2, 2)
    assert socks5_code(proxy, OPEN4, server.port) == 0
    assert socks5_code(proxy, MORE4, server.port) == 2


def test_by_an_upstream_proxy(start, lab, origin):
    server = origin(echo)
    far = start("--host", OPEN4, "--allow", "0.0.0.0/0", "--allow-own-addresses", MORE4,
                prefix=["ip", "netns", "exec", lab.internet.name])
    url = f"socks5://{OPEN4}:{far.port}"
    proxy = start(url, "--deny", f"{OPEN4},*:25")
    spelt = [OPEN4, *embedded(OPEN4)]
    assert [socks5_code(proxy, host, server.port) for host in spelt] == [2] * len(spelt)
    # No address is sent as a name, which the upstream would interpret itself.
    assert [socks5_code(proxy, host, server.port) for host in [*NUMBERS, f"{OPEN4}."]] == [1] * (len(NUMBERS) + 1)
    assert not far.events("connection")
    assert socks5_code(proxy, "open.test", 25) == 2, "a rule for every address needs none"
    assert socks5_code(proxy, "open.test", server.port) == 0, "the upstream resolves it: its address is not known here"


# --- messages ---


def test_why_reports_denied_destinations(start, lab):
    proxy = start("wan1", "--deny", "198.51.100.16/29:25")
    assert proxy.tell("why", f"{OPEN4}:25") == f"{OPEN4}:25 is refused: {OPEN4}: deny 198.51.100.16/29:25\n"
    assert proxy.ask("why", host=OPEN4, port=26)["verdict"] == "use"
    remote = {"host": lab.wan1.addr4, "client": LAN_CLIENT}
    assert proxy.ask("why", **remote)["reason"] == f"{lab.wan1.addr4} is an address of the proxy's own machine"
    assert proxy.ask("why", host="localhost", client=LAN_CLIENT)["verdict"] == "refuse"
    assert proxy.ask("why", host="localhost")["verdict"] == "direct"


WRONG = {
    "deny = '10.0.0.0/33'": "deny: '10.0.0.0/33' is not a destination (CIDR, or CIDR:PORT",
    "deny = { { clients = '10.0.0.0/8' } }": "deny: a rule needs `to`",
    "deny = { { to = '*', client = '10.0.0.0/8' } }": "deny: client: unknown key; did you mean clients?",
    "deny = { { to = '*', clients = 'lan' } }": "deny: clients: 'lan' is not an address range",
    "deny = { { to = '*', clients = {} } }": "deny: clients: expected a text or a list of texts",
    "deny = { { to = '*', users = { 7 } } }": "deny: users: expected a text or a list of texts",
    "deny = { { to = { '*:0' } } }": "deny: to: '*:0' is not a destination",
    "deny = { 7 }": "deny: expected a text, or a list of texts and tables",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_rule_is_an_error(config, text):
    path = config(f"return {{ {text}, uplinks = {{ 'wan1' }} }}")
    assert WRONG[text] in refused(1, "check", "--config", path)


def test_rules_for_users_need_users(lab, config):
    path = config("return { deny = { { to = '*:25', users = 'tim' } }, uplinks = { 'wan1' } }")
    assert "deny: a rule for users needs --auth" in refused(2, "check", "--config", path)
    assert "deny: unknown user tim" in refused(2, "check", "--config", path, "--auth", "tom:x")
    verdict("--config", path, "--auth", "tim:x")


def test_the_command_line_overrides_the_config(lab, config):
    path = config("return { deny = { '*:25' }, uplinks = { 'wan1' } }")
    verdict("--config", path, "--deny", "10.0.0.0/8:1-1023,[fd00::]/8:25,::1,*:26")
    assert "--deny: 'x' is not a destination" in refused(2, "check", "--deny", "x", "wan1")
