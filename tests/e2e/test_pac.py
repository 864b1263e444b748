"""The script for browsers at /proxy.pac: run by a JavaScript engine, and read by those who may."""

import contextlib
import json
import shutil

import pytest

from lab.http import Client
from lab.run import run
from lab.topology import LAN_CLIENT, LAN_HOME

ENGINE = shutil.which("duk") or shutil.which("node")
needs_engine = pytest.mark.skipif(not ENGINE, reason="no JavaScript engine is here (duktape or nodejs)")


def fetch(proxy, path="/proxy.pac", host=None):
    with Client(proxy) as c:
        return c.ask(f"GET {path} HTTP/1.1\r\nHost: {host or proxy.hostport}\r\n\r\n".encode())


@pytest.fixture
def decide(tmp_path):
    """What the script answers for each host; None where it raises an error."""

    def run_script(script, *hosts):
        calls = "".join(f"try {{ out.push(FindProxyForURL('http://' + {json.dumps(h)} + '/', {json.dumps(h)})); }} catch (e) {{ out.push(null); }}\n"
                        for h in hosts)
        tell = "(typeof print === 'function' ? print : console.log)(JSON.stringify(out));\n"
        path = tmp_path / "pac.js"
        path.write_text(f"{script}\nvar out = [];\n{calls}{tell}")
        return json.loads(run(ENGINE, path).ok().text)

    return run_script


DIRECT = ["localhost", "LOCALHOST", "a.localhost", "printer", "printer.local", "printer.local.", "127.0.0.1", "127.255.0.9", "::1", "[::1]",
          "169.254.1.2", "fe80::1", "fe80::1%eth0", "febf:ffff::", "intranet.example", "INTRANET.example", "a.b.intranet.example",
          "172.20.0.1", "172.31.255.255", "2001:db8:77::1", "2001:db8:77:ffff:1:2:3:4", "198.51.100.77"]
PROXIED = ["example.org", "example", "notintranet.example", "intranet.example.org", "local.example", "xlocalhost.example", "128.0.0.1",
           "169.255.0.1", "::2", "::", "fec0::1", "172.32.0.1", "172.15.255.255", "2001:db8:78::1", "2001:db8::77", "198.51.100.78", "8.8.8.8",
           "2606:4700::1111", "1::", "::ffff:7f00:1", "192.168.200.1", "10.200.0.1"]


@needs_engine
def test_the_script_decides_by_the_url_alone(start, decide):
    listed = "intranet.example,172.16.0.0/12,2001:db8:77::/48,198.51.100.77"
    proxy = start("wan1", "--pac-bypass", listed)
    script = fetch(proxy).body.decode()
    by_proxy = f"SOCKS5 {proxy.hostport}; PROXY {proxy.hostport}"
    assert decide(script, *DIRECT) == ["DIRECT"] * len(DIRECT)
    # "example" has no dot, so it is a name of the local network.
    assert decide(script, *PROXIED) == [by_proxy if host != "example" else "DIRECT" for host in PROXIED]
    for name in ("dnsResolve", "isInNet", "isResolvable", "myIpAddress"):
        assert name not in script, "it would ask a name server by a way that nobody chose"


@needs_engine
def test_nothing_goes_direct_if_told_so(start, decide, config):
    proxy = start("--config", config('return { uplinks = { "wan1" }, pac_bypass = { "none", "intranet.example" }, pac_direct = true }'))
    script = fetch(proxy).body.decode()
    by_proxy = f"SOCKS5 {proxy.hostport}; PROXY {proxy.hostport}; DIRECT"
    assert decide(script, "localhost", "printer", "127.0.0.1", "10.0.1.1", "intranet.example") == [by_proxy] * 4 + ["DIRECT"]


@needs_engine
def test_neighbours_go_direct_where_the_browser_is_one(lab, start, decide):
    proxy = start("wan1", "--listen", f"{LAN_HOME}:0", port=False)
    with lab.lan.connect(*proxy.address) as s:
        s.sendall(b"GET /proxy.pac HTTP/1.0\r\n\r\n")
        answer = s.makefile("rb").read()
    head, _, script = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    by_proxy = f"SOCKS5 {proxy.hostport}; PROXY {proxy.hostport}"
    hosts = (LAN_CLIENT, "192.168.77.200", lab.wan1.gateway4, "198.51.100.10")
    assert decide(script.decode(), *hosts) == ["DIRECT", "DIRECT", by_proxy, by_proxy], "an uplink's network is out of its reach"
    here = fetch(proxy).body.decode()
    # From this machine, but not by loopback: a client in the network that it has asked from.
    assert decide(here, LAN_CLIENT, lab.wan1.gateway4) == ["DIRECT", by_proxy]
    local = start("wan1")
    assert decide(fetch(local).body.decode(), LAN_CLIENT, lab.wan1.gateway4) == ["DIRECT", "DIRECT"], "this machine reaches both"


def test_only_allowed_clients_read_it_but_without_a_password(lab, start):
    proxy = start("wan1", "--listen", f"{LAN_HOME}:0", "--allow", "127.0.0.0/8", "--listen", "127.0.0.1:0", "--auth", "ann:secret", port=False)
    with lab.lan.connect(*proxy.address) as s:
        s.sendall(b"GET /proxy.pac HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert s.recv(1) == b""
    assert proxy.wait_event("client_refused")["client"] == LAN_CLIENT
    proxy.addresses.reverse()
    answer = fetch(proxy)
    assert answer.status == 200 and f'"PROXY {proxy.hostport}"'.encode() in answer.body
    assert not proxy.events("rejected") and not proxy.events("connection")
