"""How real clients are told to use the proxy."""

from lab.run import WAIT_S, run
from lab.topology import WEB4

# The six ways in which curl asks a proxy; those that resolve names themselves are given an address.
MODES = {
    "socks4": (["--socks4"], WEB4),
    "socks4a": (["--socks4a"], "web.test"),
    "socks5": (["--socks5"], WEB4),
    "socks5h": (["--socks5-hostname"], "web.test"),
    "connect": (["--proxytunnel", "--proxy"], "web.test"),
    "http": (["--proxy"], "web.test"),
}
# What the proxy's log calls them.
PROTO = {
    "socks4": "socks4",
    "socks4a": "socks4",
    "socks5": "socks5",
    "socks5h": "socks5",
    "connect": "connect",
    "http": "http",
}


def curl(*args, timeout=WAIT_S):
    return run("curl", "--silent", "--show-error", "--max-time", timeout, *args, timeout=timeout + 5)


def curl_by(mode, proxy, path="/whoami", host=None, extra=(), times=1):
    """Requests through the proxy, one after another, in one of the MODES; each by a connection of its own."""
    flags, default_host = MODES[mode]
    if times > 1:
        extra = [*extra, "--header", "Connection: close"]
    return curl(*flags, proxy.hostport, *extra, *[f"http://{host or default_host}{path}"] * times)
