"""Forwards: ports of the proxy that lead to one destination."""

import shutil
import socket

import pytest

from lab.clients import curl
from lab.origin import echo, pattern, read_all, read_exactly
from lab.proxy import UNRACED
from lab.run import WAIT_S, wait_for
from lab.topology import LAN_HOME, NOWHERE4, OPEN4, OPEN6, WEB4, WEB6

MIB = 1024 * 1024

BY_PROTO = """return { name = "by_proto", new = function()
  return { pick = function(conn, uplinks)
    local want = conn.proto == "forward" and not conn.user and "wan2" or "wan1"
    for _, u in ipairs(uplinks) do if u.name == want then return u, conn.proto .. " " .. conn.listener end end
  end }
end }
"""


def forward(start, *forwards, listen="127.0.0.1", options=("wan1", "wan2"), **more):
    """A proxy with forwards on free ports, and their addresses."""
    args = [word for to in forwards for word in ("--forward", f"tcp:{listen}:0={to}")]
    proxy = start(*UNRACED, *args, *options, **more)
    return proxy, proxy.addresses[-len(forwards) :]


def client(place, timeout=WAIT_S):
    return socket.create_connection(place, timeout=timeout)


def test_curl_reaches_the_destination_by_the_policy(start, lab, web, tmp_path):
    policy = tmp_path / "by_proto.lua"
    policy.write_text(BY_PROTO)
    proxy, places = forward(start, "web4.test:80", f"[{WEB6}]:80", options=("--policy", policy, "wan1", "wan2"))
    for (host, port), address in zip(places, (lab.wan2.addr4, lab.wan2.addr6)):
        assert curl(f"http://{host}:{port}/whoami").text.strip() == address
    named, numbered = proxy.connections(2)
    assert (named["proto"], named["host"], named["port"], named["uplink"]) == ("forward", "web4.test", 80, "wan2")
    assert (numbered["host"], numbered["outcome"]) == (WEB6, "closed")
    assert named["reason"] == f"forward 127.0.0.1:{places[0][1]}"


def test_a_server_that_speaks_first_is_heard_at_once(start, lab, origin):
    """As ssh, smtp and mysql do: no byte of the client is awaited."""

    def speak_first(s):
        s.sendall(b"SSH-2.0-lab\r\n")
        assert read_exactly(s, 6) == b"hello\n"
        s.sendall(b"bye\n")

    server = origin(speak_first)
    _, (place,) = forward(start, server.hostport)
    with client(place) as s:
        assert read_exactly(s, 13) == b"SSH-2.0-lab\r\n"
        s.sendall(b"hello\n")
        assert read_all(s) == b"bye\n"


def test_each_direction_ends_by_itself_and_the_bytes_are_the_same(start, lab, origin):
    up, down = pattern(2 * MIB, b"up"), pattern(2 * MIB, b"down")

    def serve(s):
        got = read_all(s)
        s.sendall(down)
        return got == up

    server = origin(serve, address=OPEN6)
    _, (place,) = forward(start, server.hostport, listen="[::1]")
    with client(place) as s:
        s.sendall(up)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == down
    assert server.result()


def test_bytes_that_would_choose_a_front_are_only_bytes(start, lab, origin):
    server = origin(echo)
    _, (place,) = forward(start, server.hostport)
    for said in (b"\x05\x01\x00", b"\x04\x01\x00\x50", b"GET / HTTP/1.1\r\n\r\n"):
        with client(place) as s:
            s.sendall(said)
            assert read_exactly(s, len(said)) == said


@pytest.mark.parametrize("to, outcome", [(f"{NOWHERE4}:80", "host-unreachable"), ("nothing.test:80", "no-such-name")])
def test_a_destination_that_cannot_be_reached_resets_the_client(start, lab, names, to, outcome):
    proxy, (place,) = forward(start, to)
    with pytest.raises(ConnectionResetError), client(place) as s:
        s.recv(1)
    assert proxy.connections(1)[0]["outcome"] == outcome


def test_a_login_does_not_apply_but_the_clients_range_does(start, lab, origin):
    server = origin(echo)
    options = ("--auth", "ann:secret", "--allow", "127.0.0.0/8", "wan1")
    proxy, (local, lan) = forward(start, server.hostport, server.hostport, listen="*", options=options)[0], (None, None)
    (_, port) = proxy.addresses[-1]
    with client(("127.0.0.1", port)) as s:
        s.sendall(b"no login")
        assert read_exactly(s, 8) == b"no login"
    with lab.lan.connect(LAN_HOME, port) as s:
        assert s.recv(1) == b""
    assert proxy.wait_event("client_refused", client="192.168.77.2")


def test_rules_of_destinations_hold(start, lab):
    """--deny refuses a forward's destination as any other."""
    proxy, (place,) = forward(start, f"{WEB4}:80", options=("--deny", f"{WEB4}/32", "wan1"))
    with pytest.raises(ConnectionResetError), client(place) as s:
        s.recv(1)
    (line,) = proxy.connections(1)
    assert (line["outcome"], line["reason"]) == ("denied", f"{WEB4}: deny {WEB4}/32")


def test_a_forward_to_itself_ends_at_the_first_turn(start, lab, names):
    names.zone["me.test"] = ["127.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    listens = f"tcp:127.0.0.1:{port}"
    proxy = start(*UNRACED, "--forward", f"{listens}=me.test:{port}", "wan1")
    with pytest.raises(ConnectionResetError), client(("127.0.0.1", port)) as s:
        s.recv(1)
    (line,) = proxy.connections(1)
    assert (line["outcome"], line["reason"]) == ("denied", "loop: the destination is a listener of this proxy")
    assert proxy.settled() == 1


def test_a_forward_may_lead_to_the_proxy_itself(start, lab, web):
    """The proxy's own port asks its clients for a destination, so nothing goes round."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    proxy = start(*UNRACED, "-p", port, "--forward", f"tcp:127.0.0.1:0=127.0.0.1:{port}", "wan1", port=False)
    host, alias = proxy.addresses[-1]
    assert curl("--socks5", f"{host}:{alias}", f"http://{WEB4}/whoami").text.strip() == lab.wan1.addr4


def test_through_a_parent_proxy(start, lab, origin):
    """The parent is a second proxy on this machine; the destination is named to it."""
    server = origin(echo)
    parent = start(*UNRACED, "wan2")
    proxy, (place,) = forward(start, f"open.test:{server.port}", options=(f"socks5://{parent.hostport}",))
    with client(place) as s:
        s.sendall(b"by the parent")
        assert read_exactly(s, 13) == b"by the parent"
    assert server.peers == [lab.wan2.addr4]
    assert parent.connections(1)[0]["host"] == "open.test"
    assert proxy.connections(1)[0]["host"] == "open.test"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_many_clients_of_one_forward(start, lab, web):
    proxy, ((host, port),) = forward(start, f"{WEB4}:80")
    urls = [f"http://{host}:{port}/whoami"] * 200
    answers = curl("--parallel", "--parallel-max", "50", "--header", "Connection: close", *urls).text.split()
    assert len(answers) == 200 and set(answers) <= {lab.wan1.addr4, lab.wan2.addr4}
    assert len(proxy.connections(200)) == 200
    wait_for(lambda: proxy.open_connections() == 0, "no connection is left")


def test_the_config_file_and_the_banner_know_forwards(start, lab, config, web):
    path = config('return { uplinks = { "wan1" }, forward = { "tcp:127.0.0.1:0=%s:80", "tcp:[::1]:0=%s:80" } }' % (WEB4, OPEN4))
    proxy = start(*UNRACED, "--config", path, text=True)
    banner = [line.split(" on ") for line in proxy.banner.split("\n") if line.startswith("  forward on ")]
    assert [place.rpartition(":")[0] for _, place in banner] == ["127.0.0.1", "[::1]"]
    assert curl(f"http://{banner[0][1]}/whoami").text.strip() == lab.wan1.addr4
