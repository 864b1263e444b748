"""The uplinks of a running proxy, as its control socket and its log tell of them."""

from .origin import read_exactly
from .run import wait_for
from .socks import socks5_connect


def names(proxy):
    """Its uplinks, in their order."""
    return [u["name"] for u in proxy.ask("uplinks")["uplinks"]]


def one(proxy, name):
    """What it says of one uplink."""
    return next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == name)


def fetch(proxy, server):
    """One connection; the uplink that carried it."""
    before = len(proxy.events("connection"))
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        tunnel.sendall(b"ping")
        assert read_exactly(tunnel.s, 4) == b"ping"
    wait_for(lambda: len(proxy.events("connection")) > before, "the account of the connection")
    return proxy.events("connection")[-1]["uplink"]
