"""Parent proxies that lead back to the proxy itself: refused at the start if that is visible, otherwise detected at
run time."""

import os
import socket

import pytest

from lab.command import refused, verdict
from lab.run import wait_for
from lab.socks import open_to, request5, socks5_code
from lab.topology import OPEN4, OPEN6

SCHEMES = ["socks5", "socks4a", "http"]


def free_port():
    """A port that was free a moment ago, for a proxy that needs another's port before both run."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.pid}/fd"))


def answered(proxy, *others, limit):
    """The reply to one request, while none of the proxies opens `limit` descriptors."""
    with open_to(proxy, timeout=40) as s:
        s.sendall(b"\x05\x01\x00" + request5(OPEN4, 80))
        s.setblocking(False)
        most, data = 0, b""
        while len(data) < 6:
            try:
                data += s.recv(100)
            except BlockingIOError:
                most = max(most, *(descriptors(p) for p in (proxy, *others)))
                assert most < limit, f"{most} descriptors for one request"
        return data[3]


# --- at the start ---

# (listening address, the upstream's host)
SELF = [
    ("127.0.0.1", "127.0.0.1"),
    ("127.0.0.1", "localhost"),
    ("127.0.0.1", "localhost."),
    ("127.0.0.1", "proxy.LOCALHOST"),
    ("127.0.0.1", "0.0.0.0"),
    ("127.0.0.1", "[::ffff:127.0.0.1]"),
    ("[::1]", "[::1]"),
    ("[::1]", "localhost"),
    ("[::1]", "[::]"),
    ("*", "127.9.9.9"),
    ("*", "10.0.1.2"),
    ("*", "192.168.77.1"),
    ("*", "[2001:db8:2::2]"),
    ("10.0.1.2", "10.0.1.2"),
    ("198.51.100.1", "198.51.100.1"),  # an address that this machine does not have yet
]
OTHERS = [
    ("127.0.0.1", "127.0.0.2"),
    ("127.0.0.1", "[::1]"),
    ("10.0.1.2", "127.0.0.1"),
    ("0.0.0.0", "[2001:db8:2::2]"),
    ("*", "10.0.1.1"),
    ("*", OPEN4),
]


@pytest.mark.parametrize("listen, host", SELF)
def test_an_upstream_that_is_the_proxy_itself_is_refused(lab, listen, host):
    for scheme in SCHEMES[:1] if ":" in host else SCHEMES:
        line = refused(1, "check", "--listen", f"{listen}:1080", "wan1", f"{scheme}://{host}:1080")
        assert line.startswith(f"uplink {host}:1080: this parent proxy is this proxy itself, which listens on "), line
    assert refused(1, "start", "--listen", f"{listen}:1080", "--control", "none", f"socks5://{host}:1080") != ""
    absent = host == "198.51.100.1"
    verdict("--listen", f"{listen}:1081", f"socks5://{host}:1080", warnings=1 if absent else 0)


@pytest.mark.parametrize("listen, host", OTHERS)
def test_an_upstream_on_another_port_is_accepted(lab, listen, host):
    verdict("--listen", f"{listen}:1080", f"socks5://{host}:1080")


def test_the_hosts_file_is_checked(lab, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.1.2 other.test myself.test\n")
    inside = ["unshare", "--mount", "sh", "-ec", f'mount --bind {hosts} /etc/hosts; exec "$@"', "sh"]
    for name in ("myself.test", "other.test", "Myself.test."):
        assert "is this proxy itself" in refused(1, "check", "--listen", "*:1080", f"socks5://{name}:1080", wrapped_by=inside)
    verdict("--listen", "*:1080", "socks5://unknown.test:1080", wrapped_by=inside)


def test_forwards_in_a_circle_are_refused_by_what_the_machine_knows(lab, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 my.test\n{lab.wan1.addr4} lan.test\n")
    inside = ["unshare", "--mount", "sh", "-ec", f'mount --bind {hosts} /etc/hosts; exec "$@"', "sh"]
    for circle in (
        [f"udp:0.0.0.0:5=my.test:5"],
        [f"udp:*:5={lab.wan1.addr4}:5"],
        [f"tcp:*:5=lan.test:5"],
        ["udp:127.0.0.1:6=My.test:7", f"udp:*:7={lab.wan1.addr4}:8", "udp:*:8=localhost:6"],
    ):
        words = [word for f in circle for word in ("--forward", f)]
        assert "leads to itself" in refused(1, "check", *words, "wan1", wrapped_by=inside)
        assert "leads to itself" in refused(1, "start", "--control", "none", *words, "wan1", wrapped_by=inside)
    verdict("--forward", "udp:127.0.0.1:5=lan.test:5", "--forward", f"udp:*:6={OPEN4}:6", "wan1", wrapped_by=inside)


def test_every_listener_counts_as_the_proxy(lab):
    listen = ["--listen", "127.0.0.1:1080", "--listen", "127.0.0.1:1081"]
    assert "which listens on 127.0.0.1:1081" in refused(1, "check", *listen, "socks5://localhost:1081")


# --- at run time ---


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_name_that_turns_out_to_be_this_proxy(start, lab, names, scheme):
    names.zone["myself.test"] = [lab.wan1.addr4, OPEN6] if scheme == "http" else [lab.wan1.addr4]
    port = free_port()
    proxy = start("--listen", f"*:{port}", "--dial-timeout", "1", f"{scheme}://myself.test:{port}", port=False)
    assert answered(proxy, limit=60) != 0
    if scheme != "http":  # which may reach its other address
        line = proxy.wait_event("parent_loop")
        assert line["uplink"] == f"myself.test:{port}" and "listens" in line["why"]
    assert not proxy.events("connection", proto="socks5" if scheme == "socks5" else "socks4")[1:], "nothing came back"


def test_checks_do_not_loop(start, lab, names):
    names.zone["myself.test"] = [lab.wan1.addr4]
    port = free_port()
    proxy = start("--listen", f"*:{port}", f"socks5://myself.test:{port}", port=False, check=f"{OPEN4}:80")
    proxy.wait_event("parent_loop")
    assert not proxy.events("connection") and descriptors(proxy) < 60


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_redirection_back_to_the_proxy(start, lab, scheme):
    proxy = start("--host", "0.0.0.0", "--dial-timeout", "5", f"{scheme}://{OPEN4}:9", "--allow", "0.0.0.0/0")
    rule = f"ip daddr {OPEN4} tcp dport 9 redirect to :{proxy.port}"
    lab.home.nft(f"table ip back {{\nchain o {{ type nat hook output priority -100; {rule}; }}\n}}")
    try:
        assert answered(proxy, limit=60) != 0
    finally:
        lab.home.sh("nft delete table ip back")
    line = proxy.wait_event("parent_loop")
    assert line["uplink"] == f"{OPEN4}:9"
    came_back, first = proxy.connections(2)
    assert (came_back["outcome"], came_back["uplink"]) == ("denied", "none")
    assert came_back["reason"] == f"loop: the request came back from the parent proxy of {OPEN4}:9"
    assert first["uplink"] == f"{OPEN4}:9"


def test_two_proxies_that_lead_to_each_other(start, lab):
    one_port, two_port = free_port(), free_port()
    one = start("--port", one_port, "--dial-timeout", "30", f"socks5://127.0.0.1:{two_port}", port=False)
    two = start("--port", two_port, "--dial-timeout", "30", f"socks5://127.0.0.1:{one_port}", port=False)
    assert answered(one, two, limit=1200) != 0
    wait_for(lambda: one.open_connections() == two.open_connections() == 0, "all of it is over")
    told = [line for p in (one, two) for line in p.events("parent_loop")]
    assert told and told[0]["uplink"] in (f"127.0.0.1:{one_port}", f"127.0.0.1:{two_port}")
    assert len(one.connections()) <= 257 and len(two.connections()) <= 257
    assert socks5_code(one, OPEN4, 80) != 0, "and it goes on serving"
