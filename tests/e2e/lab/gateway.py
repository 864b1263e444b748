"""The household's machine as the router of its LAN, with a proxy that takes what the rules capture."""

from contextlib import contextmanager

from lab.proxy import UNRACED
from lab.run import WAIT_S, sh
from lab.topology import LAN_HOME

LAN_HOME6, LAN_CLIENT6 = "fd77::1", "fd77::2"
TABLE = 77  # of routes: what is marked for TPROXY comes to this machine


class Gateway:
    """A proxy with a transparent listener, and the rules that lead to it."""

    def __init__(self, lab, start, kind, *options):
        self.lab, self.kind = lab, kind
        # On a loaded machine a client may take long to send its first bytes.
        patient = () if "--peek-timeout" in options else ("--peek-timeout", "20")
        self.proxy = start(*UNRACED, *patient, "--transparent", f"{kind}:*:0", *options)
        self.port = self.proxy.addresses[-1][1]

    def capture_lan(self):
        go = f"redirect to :{self.port}"
        chain, hook = ("nat", "dstnat") if self.kind == "redirect" else ("filter", "mangle")
        rules = [f"ip daddr != {LAN_HOME} tcp dport 1-65535 {go}", f"ip6 daddr != {LAN_HOME6} tcp dport 1-65535 {go}"]
        if self.kind == "tproxy":
            rules = [
                f"{ip} daddr != {home} meta l4proto {{ tcp, udp }} tproxy {ip} to :{self.port} meta mark set 1 accept"
                for ip, home in (("ip", LAN_HOME), ("ip6", LAN_HOME6))
            ]
        text = "; ".join(f"iifname lan0 {rule}" for rule in rules)
        self.lab.home.nft(f"table inet captured {{\nchain pre {{ type {chain} hook prerouting priority {hook}; {text}; }}\n}}")

    def capture_own(self, *left_out):
        """This machine's own connections to the internet, without those that match one of the conditions."""
        lines = [f"{condition} accept" for condition in left_out]
        lines += ["ip daddr 198.51.100.0/24 tcp dport 1-65535 redirect to :%d" % self.port]
        lines += ["ip6 daddr 2001:db8:ffff::/64 tcp dport 1-65535 redirect to :%d" % self.port]
        text = "; ".join(lines)
        self.lab.home.nft(f"table inet captured {{\nchain out {{ type nat hook output priority -100; {text}; }}\n}}")

    def lan(self, address, port, timeout=WAIT_S):
        return self.lab.lan.connect(address, port, timeout=timeout)


@contextmanager
def routing(lab):
    """The LAN's default route leads to this machine, and marked packets come to it."""
    sh(f"ip -6 address add {LAN_HOME6}/64 dev lan0 nodad")
    lab.lan.sh(f"ip -6 address add {LAN_CLIENT6}/64 dev eth0 nodad")
    lab.lan.sh(f"ip route add default via {LAN_HOME}")
    lab.lan.sh(f"ip -6 route add default via {LAN_HOME6}")
    for family in ("-4", "-6"):
        sh(f"ip {family} rule add fwmark 1 lookup {TABLE}")
        sh(f"ip {family} route add local default dev lo table {TABLE}")
    # A question for an address that an earlier test has removed still waits, and what waits with it would be lost.
    sh("ip neighbour flush dev lan0")
    lab.lan.sh("ip neighbour flush dev eth0")
    yield
    lab.home.run("nft", "delete", "table", "inet", "captured")
    for family in ("-4", "-6"):
        sh(f"ip {family} route flush table {TABLE}")
        sh(f"ip {family} rule delete fwmark 1 lookup {TABLE}")
    lab.lan.sh(f"ip route delete default via {LAN_HOME}")
    lab.lan.sh(f"ip -6 route delete default via {LAN_HOME6}")
    lab.lan.sh(f"ip -6 address delete {LAN_CLIENT6}/64 dev eth0")
    sh(f"ip -6 address delete {LAN_HOME6}/64 dev lan0")
