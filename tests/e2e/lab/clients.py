"""Arguments that make real clients use the proxy."""

from lab.run import WAIT_S, run
from lab.topology import WEB4

# The six ways in which curl uses a proxy. Those that resolve names themselves get an address.
MODES = {
    "socks4": (["--socks4"], WEB4),
    "socks4a": (["--socks4a"], "web.test"),
    "socks5": (["--socks5"], WEB4),
    "socks5h": (["--socks5-hostname"], "web.test"),
    "connect": (["--proxytunnel", "--proxy"], "web.test"),
    "http": (["--proxy"], "web.test"),
}
# Their names in the proxy's log.
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
    """Requests through the proxy, one after another, in one of the MODES, each on its own connection."""
    flags, default_host = MODES[mode]
    if times > 1:
        extra = [*extra, "--header", "Connection: close"]
    return curl(*flags, proxy.hostport, *extra, *[f"http://{host or default_host}{path}"] * times)
