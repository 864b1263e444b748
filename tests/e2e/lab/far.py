"""Hosts of their own on the internet, for programs that bind their sockets to a device."""

from lab.netns import Netns, wait_for_carrier


class FarHost:
    """The n-th host: a namespace with one address, behind a router of the internet."""

    def __init__(self, lab, n):
        self.internet, self.n = lab.internet, n
        self.netns = Netns(f"host{n}")
        self.address, self._router = f"192.0.2.{4 * n + 2}", f"192.0.2.{4 * n + 1}"

    def build(self):
        self.internet.sysctl("net.ipv4.ip_forward", 1)
        self.netns.create()
        self.internet.sh(f"ip link add host{self.n} type veth peer name eth0 netns {self.netns.name}")
        self.internet.sh(f"ip address add {self._router}/30 dev host{self.n}")
        self.internet.sh(f"ip link set host{self.n} up")
        self.netns.sh(f"ip address add {self.address}/30 dev eth0")
        self.netns.sh("ip link set eth0 up")
        self.netns.sh(f"ip route add default via {self._router}")
        wait_for_carrier(f"host{self.n}", netns=self.internet)
        wait_for_carrier("eth0", netns=self.netns)

    def remove(self):
        self.internet.run("ip", "link", "delete", f"host{self.n}")
        Netns().run("ip", "netns", "delete", self.netns.name)
