"""A network with two routers to the internet, which any number of the household's interfaces may join."""

import json

from lab.netns import Netns
from lab.run import sh, wait_for


class Segment:
    """10.0.9.0/24, with the routers .1 and .254."""

    def __init__(self, lab):
        self.lab, self.bridge = lab, Netns("segment")
        self.routers = [Netns("router1"), Netns("router254")]
        self.links = []

    def build(self):
        self.bridge.create()
        self.bridge.sh("ip link add bridge type bridge")
        self.bridge.sh("ip link set bridge up")
        for number, router in zip((1, 254), self.routers):
            router.create()
            assert router.sysctl("net.ipv4.ip_forward", 1)
            router.sysctl("net.ipv4.conf.all.rp_filter", 0)
            router.sysctl("net.ipv4.conf.all.send_redirects", 0)
            sh(f"ip link add r{number} netns {self.bridge.name} type veth peer name inside netns {router.name}")
            sh(f"ip link add outside netns {router.name} type veth peer name seg{number} netns {self.lab.internet.name}")
            self.bridge.sh(f"ip link set r{number} master bridge up")
            router.sh(f"ip address add 10.0.9.{number}/24 dev inside")
            router.sh(f"ip address add 172.30.{number}.1/24 dev outside")
            self.lab.internet.sh(f"ip address add 172.30.{number}.2/24 dev seg{number}")
            for link in ("inside", "outside"):
                router.sh(f"ip link set {link} up")
            self.lab.internet.sh(f"ip link set seg{number} up")
            router.sh(f"ip route add default via 172.30.{number}.2")
            counters = "counter passed { };"
            chain = "chain f { type filter hook forward priority 0; iifname inside meta l4proto tcp counter name passed; }"
            router.nft(f"table inet watch {{ {counters}\n{chain}\n}}")
        self.lab.internet.sh("ip route replace 10.0.9.0/24 via 172.30.1.1")

    def join(self, name, address):
        sh(f"ip link add {name} type veth peer name far_{name} netns {self.bridge.name}")
        self.links.append(name)
        self.bridge.sh(f"ip link set far_{name} master bridge up")
        sh(f"ip link set {name} up")
        sh(f"ip address add {address}/24 dev {name}")
        sh(f"ip route add default via 10.0.9.1 dev {name} metric {900 + len(self.links)}")
        wait_for(lambda: self._forwards(name), f"the bridge forwards what {name} sends")

    def _forwards(self, name):
        port = json.loads(self.bridge.sh(f"bridge -j link show dev far_{name}"))
        return port and port[0].get("state") == "forwarding" and "UP" == json.loads(sh(f"ip -j link show dev {name}"))[0]["operstate"]

    def passed(self):
        """Packets towards the internet, by router."""
        return [router.nft_counter("watch", "passed") for router in self.routers]

    def remove(self):
        for number in (1, 254):  # the kernel removes a namespace's links later
            self.lab.internet.run("ip", "link", "delete", f"seg{number}")
        for name in self.links:
            sh(f"ip link delete {name}")
        for space in [self.bridge, *self.routers]:
            sh(f"ip netns delete {space.name}")
