"""Real programs that send datagrams: each is skipped where it is missing."""

import importlib.util
import re
import subprocess

import pytest

from lab import unpacked
from lab.origin import pattern
from lab.run import end, run, wait_for
from lab.stun import PORTS, by_association
from lab.topology import MORE4, NAMES4, OPEN4, WEB4, WEB6
from lab.udp import Association

pytestmark = pytest.mark.once

needs_libtorrent = pytest.mark.skipif(not importlib.util.find_spec("libtorrent"), reason="python3-libtorrent is not installed")
SIZE = 2 << 20
DIG = unpacked.find("dig")
TURNSERVER, STUNCLIENT = unpacked.find("turnserver"), unpacked.find("turnutils_stunclient")
needs_dig = pytest.mark.skipif(not DIG, reason="dig (bind9-dnsutils) is not here")
needs_coturn = pytest.mark.skipif(not (TURNSERVER and STUNCLIENT), reason="coturn is not here")


@needs_libtorrent
def test_a_torrent_client_finds_and_gets_by_dht_and_utp(start, lab, far_hosts, tmp_path):
    """The seed is known to the DHT alone, and its one node is all that the client is told of."""
    from lab.torrent import Peer, torrent_file

    proxy = start("--policy", "round_robin", "wan1", "wan2")
    folders = {name: tmp_path / name for name in ("node", "seed", "client")}
    for folder in folders.values():
        folder.mkdir()
    content = pattern(SIZE)
    (folders["seed"] / "data").write_bytes(content)
    torrent = torrent_file("data", folders["seed"])
    by_proxy = {"proxy_type": 2, "proxy_hostname": proxy.address[0], "proxy_port": proxy.port, "proxy_hostnames": True,
                "proxy_peer_connections": True, "proxy_tracker_connections": True}
    before, begun = lab.received(), sum(lab.tcp_begun().values())
    peers, (first, second) = [], far_hosts(2)
    try:
        node, seed, client = [peers.append(p) or p for p in (
            Peer(first.netns, folders["node"], f"{first.address}:0"),
            Peer(second.netns, folders["seed"], f"{second.address}:0", torrent),
            Peer(lab.home, folders["client"], "0.0.0.0:0", torrent, **by_proxy),
        )]
        end = [first.address, wait_for(lambda: node.ask()["port"], "the node listens")]
        wait_for(lambda: seed.ask(node=end)["nodes"], "the seed is in the DHT", every=0.2)
        wait_for(lambda: client.ask(node=end)["nodes"], "the client is in the DHT", every=0.2)
        wait_for(lambda: seed.ask(announce=True) and client.ask(announce=True)["complete"], "it is complete", 60, every=0.2)
        after = lab.received()
        got = {name: after[name] - before[name] for name in before}
        assert got["wan1"] + got["wan2"] > SIZE, got
        assert sum(lab.tcp_begun().values()) == begun, "by datagrams alone"
    finally:
        for p in peers:
            p.close()
    assert (folders["client"] / "data").read_bytes() == content


def forward(start, to, *options):
    """A proxy with a port that leads to one destination by datagrams, and that port."""
    proxy = start("--forward", f"udp:127.0.0.1:0={to}", *options)
    return next(port for _, port in proxy.addresses[::-1])


@needs_dig
def test_dig_by_a_forward(start, lab, names, only):
    port = forward(start, f"{NAMES4}:53", "--policy", only("wan2"), "wan1", "wan2")
    for kind, address in (("A", WEB4), ("AAAA", WEB6)):
        said = run(DIG, "@127.0.0.1", "-p", port, "+short", "+tries=1", "+timeout=20", "web.test", kind).ok()
        assert said.text.strip() == address
    assert {client for name, _, client in names.asked if name == "web.test"} == {lab.wan2.addr4}


@needs_coturn
def test_a_stun_client_by_a_forward(start, lab, stun, only):
    stun.tells_other = False
    port = forward(start, f"{OPEN4}:{PORTS[0]}", "--policy", only("wan2"), "wan1", "wan2")
    said = run(STUNCLIENT, "-p", port, "127.0.0.1", env=unpacked.env(STUNCLIENT))
    assert re.search(rf"reflexive addr: {re.escape(lab.wan2.addr4)}:\d+", said.text), said


@needs_coturn
def test_a_stun_server_sees_one_address(start, lab, first, tmp_path):
    """coturn, with two addresses and two ports."""
    argv = [TURNSERVER, "-S", "-n", "--no-cli", "--log-file", "stdout", "--simple-log", "--pidfile", tmp_path / "pid",
            "--userdb", tmp_path / "db", "-L", OPEN4, "-L", MORE4, "-p", PORTS[0], "--alt-listening-port", PORTS[1], "--no-tls", "--no-dtls"]
    with open(tmp_path / "turnserver.log", "wb") as log:
        server = subprocess.Popen(lab.internet.wrap(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=unpacked.env(TURNSERVER))
    try:
        ends = [(address, port) for address in (OPEN4, MORE4) for port in PORTS]
        listening = {f"{address}:{port}" for address, port in ends}
        wait_for(lambda: listening <= set(re.findall(r"[\d.]+:\d+", lab.internet.sh("ss -Hlun"))), f"it listens: {tmp_path / 'turnserver.log'}")
        with Association(start("--policy", first("wan2"), "wan1", "wan2")) as a:
            kind, seen = by_association(a).mapping(ends)
            assert (kind, {lab.uplink_of(address) for address, _ in seen.values()}) == ("endpoint-independent", {"wan2"})
    finally:
        end(server)
