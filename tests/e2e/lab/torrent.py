"""BitTorrent by libtorrent: peers, each a process of its own, that find each other by DHT and talk by uTP alone.

As a program it is one such peer: what it is told and what it tells are lines of JSON."""

import json
import subprocess
import sys
import time

from lab.run import WAIT_S, end

PIECE = 64 * 1024
_ALERTS = 0x1 | 0x40 | 0x400  # errors, status, and DHT
_BASE = {
    "enable_outgoing_tcp": False,
    "enable_incoming_tcp": False,
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False,
    "dht_ignore_dark_internet": False,
    "dht_enforce_node_id": False,
    "allow_multiple_connections_per_ip": True,
}


def torrent_file(name, path):
    """A torrent of one file, which path holds: (the torrent, bencoded)."""
    import libtorrent as lt

    files = lt.file_storage()
    lt.add_files(files, str(path / name))
    made = lt.create_torrent(files, PIECE)
    lt.set_piece_hashes(made, str(path))
    return lt.bencode(made.generate())


class Peer:
    """A peer in a namespace. It downloads, or seeds what the folder has already."""

    def __init__(self, netns, folder, listen, torrent=None, **settings):
        self._log = open(folder / "peer.log", "wb")
        self.log_path = folder / "peer.log"
        argv = netns.wrap([sys.executable, "-m", "lab.torrent"])
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
                                         cwd=__file__.rpartition("/lab/")[0])
        told = {"folder": str(folder), "torrent": torrent.hex() if torrent else None,
                "settings": {**_BASE, "listen_interfaces": listen, **settings}}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def ask(self, **told):
        """Its state: its port, whether it is complete, and how many nodes its DHT knows.

        node: an address and a port of the DHT, to get to know. announce: the torrent, now."""
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self.log_path.read_text()
        return json.loads(line)

    def close(self):
        self._process.stdin.close()
        end(self._process, WAIT_S)
        self._log.close()


def _main():
    import libtorrent as lt

    told = json.loads(sys.stdin.readline())
    session = lt.session({**told["settings"], "alert_mask": _ALERTS})
    handle = None
    if told["torrent"]:
        info = lt.torrent_info(lt.bdecode(bytes.fromhex(told["torrent"])))
        handle = session.add_torrent({"ti": info, "save_path": told["folder"]})
    nodes = 0
    for line in sys.stdin:
        asked = json.loads(line)
        if asked.get("node"):
            session.add_dht_node(tuple(asked["node"]))
        if handle and asked.get("announce"):
            handle.force_dht_announce()
        session.post_dht_stats()
        for alert in session.pop_alerts():
            if isinstance(alert, lt.dht_stats_alert):
                nodes = sum(bucket["num_nodes"] for bucket in alert.routing_table)
            else:
                print(f"{time.monotonic():.3f} {type(alert).__name__}: {alert.message()}", file=sys.stderr, flush=True)
        status = handle.status() if handle else None
        print(json.dumps({
            "port": session.listen_port(),
            "complete": bool(status and status.is_seeding),
            "nodes": nodes,
        }), flush=True)


if __name__ == "__main__":
    _main()
