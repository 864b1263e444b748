"""Network namespaces: commands and sockets in them, and the kernel's view and counters of links."""

import ctypes
import json
import os
import socket
from contextlib import contextmanager

from lab.run import WAIT_S, run, sh, wait_for

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


class Netns:
    """A network namespace. The one without a name belongs to the test process."""

    def __init__(self, name=None):
        self.name = name

    def create(self):
        sh(f"ip netns add {self.name}")
        self.sh("ip link set lo up")
        self.calm()

    def calm(self):
        """Make new links usable at once: skip the second of duplicate address detection for link-local addresses."""
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_ra", 0)

    def wrap(self, argv):
        """The command line that runs argv in the namespace."""
        return ["ip", "netns", "exec", self.name, *map(str, argv)] if self.name else [*map(str, argv)]

    def run(self, *argv, **options):
        return run(*self.wrap(argv), **options)

    def sh(self, line, **options):
        return self.run(*line.split(), **options).ok().text

    @contextmanager
    def within(self):
        """Sockets that this thread opens in this context belong to the namespace for their whole life."""
        if not self.name:
            yield
            return
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _setns(there)
            try:
                yield
            finally:
                _setns(back)
        finally:
            os.close(there)
            os.close(back)

    def listen(self, address, port=0, backlog=512):
        with self.within():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return socket.create_server((address, port), family=family, backlog=backlog)

    def connect(self, address, port, timeout=WAIT_S, receive_buffer=None, device=None):
        with self.within():
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        s.settimeout(timeout)
        if device:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if receive_buffer:  # set early: it limits the window from the first packet on
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        s.connect((address, port))
        return s

    def datagrams(self, address, port):
        with self.within():
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            # An address may name its link: "fe80::1%eth0".
            s.bind(socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4])
            return s

    def sysctl(self, name, value):
        """Set a kernel parameter. A parameter that this kernel lacks is ignored."""
        return self.run("sysctl", "-q", "-w", f"{name}={value}").code == 0

    def nft(self, rules):
        """Load an nftables ruleset."""
        return self.run("nft", rules).ok()

    def nft_counter(self, table, name):
        """The packets of a named counter."""
        data = json.loads(self.sh(f"nft -j list counter inet {table} {name}"))
        return next(item["counter"]["packets"] for item in data["nftables"] if "counter" in item)

    def link(self, name):
        """The kernel's data of a link, or None."""
        shown = self.run("ip", "-j", "-d", "address", "show", "dev", name)
        return next((item for item in json.loads(shown.text or "[]") if item), None) if shown.code == 0 else None


def wait_for_carrier(*names, netns=None):
    """Waits until the kernel runs these links: up to a second after they are set up. Until then it drops what they send."""
    netns = netns or Netns()

    def runs(name):
        (link,) = json.loads(netns.sh(f"ip -j link show dev {name}"))
        return link["operstate"] == "UP" and "LOWER_UP" in link["flags"]

    wait_for(lambda: all(runs(name) for name in names), f"{', '.join(names)} have a carrier")


def link_bytes(name):
    """Bytes (received, sent) of a link of the test process's namespace."""
    with open("/proc/thread-self/net/dev", encoding="ascii") as table:
        for line in table:
            head, _, numbers = line.partition(":")
            if head.strip() == name:
                fields = numbers.split()
                return int(fields[0]), int(fields[8])
    return 0, 0
