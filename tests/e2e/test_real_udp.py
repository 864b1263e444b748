"""Real programs that send datagrams: each is skipped where it is missing."""

import importlib.util
import os
import shutil

import pytest

from lab.origin import pattern
from lab.run import run, wait_for
from lab.topology import MORE4, OPEN4

pytestmark = pytest.mark.once

needs_libtorrent = pytest.mark.skipif(not importlib.util.find_spec("libtorrent"), reason="python3-libtorrent is not installed")
SIZE = 2 << 20


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
