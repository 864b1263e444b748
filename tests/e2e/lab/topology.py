"""The household, its providers and the internet: addresses, links, routes, and ways to break them."""

from lab.netns import Netns, link_bytes, wait_for_carrier
from lab.run import sh, wait_for

WEB4, WEB6 = "198.51.100.10", "2001:db8:ffff::10"  # nginx
NAMES4, NAMES6 = "198.51.100.53", "2001:db8:ffff::53"  # the name server
OPEN4, OPEN6 = "198.51.100.20", "2001:db8:ffff::20"  # for servers of single tests
MORE4, MORE6 = "198.51.100.30", "2001:db8:ffff::30"  # a second address for the same
HOLE4 = "203.0.113.1"  # the providers drop its packets
NOWHERE4 = "203.0.113.129"  # the providers reject its packets as unreachable
LAN_HOME, LAN_CLIENT = "192.168.77.1", "192.168.77.2"


class Uplink:
    """One line of the household: the link wanN, and its provider."""

    def __init__(self, home, number):
        self.home, self.number = home, number
        self.name = f"wan{number}"
        self.isp = Netns(f"isp{number}")
        self.addr4, self.gateway4 = f"10.0.{number}.2", f"10.0.{number}.1"
        self.addr6, self.gateway6 = f"2001:db8:{number}::2", f"2001:db8:{number}::1"
        self.far4, self.far_gateway4 = f"172.31.{number}.1", f"172.31.{number}.2"
        self.far6, self.far_gateway6 = f"2001:db8:f0{number}::1", f"2001:db8:f0{number}::2"
        self.metric = 100 * number
        self.broken = False

    def build(self, internet):
        n, isp = self.number, self.isp
        isp.create()
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            assert isp.sysctl(name, 1)
        isp.sysctl("net.ipv4.conf.all.rp_filter", 0)
        isp.sysctl("net.ipv4.icmp_ratelimit", 0)  # every request gets the answer that a destination is unreachable
        sh(f"ip link add {self.name} type veth peer name line{n} netns {isp.name}")
        sh(f"ip link add far{n} netns {isp.name} type veth peer name isp{n} netns {internet.name}")
        isp.sh(f"ip address add {self.gateway4}/24 dev line{n}")
        isp.sh(f"ip -6 address add {self.gateway6}/64 dev line{n} nodad")
        isp.sh(f"ip address add {self.far4}/24 dev far{n}")
        isp.sh(f"ip -6 address add {self.far6}/64 dev far{n} nodad")
        internet.sh(f"ip address add {self.far_gateway4}/24 dev isp{n}")
        internet.sh(f"ip -6 address add {self.far_gateway6}/64 dev isp{n} nodad")
        for link in (f"line{n}", f"far{n}"):
            isp.sh(f"ip link set {link} up")
        internet.sh(f"ip link set isp{n} up")
        self.restore()
        internet.sh(f"ip route add 10.0.{n}.0/24 via {self.far4}")
        internet.sh(f"ip -6 route add 2001:db8:{n}::/64 via {self.far6}")
        isp.sh(f"ip route add default via {self.far_gateway4}")
        isp.sh(f"ip -6 route add default via {self.far_gateway6}")
        wait_for_carrier(f"far{n}", netns=isp)
        wait_for_carrier(f"isp{n}", netns=internet)
        isp.sh(f"ip route add blackhole {HOLE4}/32")
        isp.sh(f"ip route add unreachable {NOWHERE4}/32")

    def restore(self):
        """Undo everything that a test did to this uplink."""
        n, isp = self.number, self.isp
        if self.home.link(self.name) is None:
            isp.run("ip", "link", "delete", f"line{n}")
            sh(f"ip link add {self.name} type veth peer name line{n} netns {isp.name}")
        isp.sh(f"ip address replace {self.gateway4}/24 dev line{n}")
        isp.run("nft", "delete table inet block")
        isp.run("tc", "qdisc", "delete", "dev", f"line{n}", "root")
        self.home.run("tc", "qdisc", "delete", "dev", self.name, "root")
        isp.sh(f"ip link set line{n} up")
        isp.sh(f"ip -6 address replace {self.gateway6}/64 dev line{n} nodad")
        sh(f"ip link set {self.name} up")
        self.home.run("ip", "address", "delete", f"10.0.{n}.77/24", "dev", self.name)
        sh(f"ip address replace {self.addr4}/24 dev {self.name}")
        sh(f"ip -6 address replace {self.addr6}/64 dev {self.name} nodad")
        sh(f"ip route replace default via {self.gateway4} dev {self.name} metric {self.metric}")
        sh(f"ip -6 route replace default via {self.gateway6} dev {self.name} metric {self.metric}")
        self.broken = False
        wait_for_carrier(self.name)
        wait_for_carrier(f"line{n}", netns=isp)
        # A question for the neighbour's address that was asked while the line was broken still waits for its three
        # seconds, and then everything fails that has asked since, also what came after the repair.
        sh(f"ip neighbour flush dev {self.name}")
        isp.sh(f"ip neighbour flush dev line{n}")

    def down(self):
        """Set the household's end down."""
        self.broken = True
        sh(f"ip link set {self.name} down")

    def lose_carrier(self):
        """Set the provider's end down; the household only sees the lost carrier."""
        self.broken = True
        self.isp.sh(f"ip link set line{self.number} down")

    def lose_carrier_and_wait(self):
        """The same, and wait until the household's kernel has noticed, which takes up to a second."""
        self.lose_carrier()
        wait_for(lambda: self.home.link(self.name)["operstate"] != "UP", f"{self.name} has no carrier")

    def _block(self, rule):
        self.broken = True
        self.isp.nft(f"table inet block {{\nchain f {{ type filter hook forward priority 0; {rule}; }}\n}}")

    def swallow(self, family=None):
        """The provider drops everything, or one family ("ip", "ip6"); the link stays up."""
        self._block(f"meta nfproto ipv{6 if family == 'ip6' else 4} drop" if family else "drop")

    def swallow_beginnings(self):
        """The provider drops only the first packets of TCP connections."""
        self._block("tcp flags & (syn | ack) == syn drop")

    def turn_away(self):
        """The provider answers that everything is unreachable."""
        self._block("reject with icmpx type no-route")

    def swallow_questions(self):
        """The provider drops only packets to name servers."""
        self._block("meta l4proto { udp, tcp } th dport 53 drop")

    def lose_router(self):
        """The link stays up, but the router is gone."""
        self.broken = True
        self.isp.sh(f"ip address flush dev line{self.number} scope global")

    def shape(self, down, up):
        """Limit the line to this many Mbit/s in each direction."""
        self.broken = True
        limit = "burst 64kb latency 50ms"
        self.isp.sh(f"tc qdisc replace dev line{self.number} root tbf rate {down}mbit {limit}")
        sh(f"tc qdisc replace dev {self.name} root tbf rate {up}mbit {limit}")

    def lose_addresses(self):
        """Remove the addresses, as after an expired lease; the link stays."""
        self.broken = True
        sh(f"ip address flush dev {self.name} scope global")

    def renumber(self):
        """Change the address, as after a new lease."""
        self.broken = True
        sh(f"ip address delete {self.addr4}/24 dev {self.name}")
        sh(f"ip address add 10.0.{self.number}.77/24 dev {self.name}")
        sh(f"ip route replace default via {self.gateway4} dev {self.name} metric {self.metric}")

    def remove(self):
        """Remove the device."""
        self.broken = True
        sh(f"ip link delete {self.name}")

    def bytes(self):
        """(received, sent)"""
        return link_bytes(self.name)


class Lab:
    """The whole laboratory."""

    def __init__(self):
        self.home, self.internet, self.lan = Netns(), Netns("internet"), Netns("lan")
        self.uplinks = [Uplink(self.home, n) for n in (1, 2, 3)]
        self.wan1, self.wan2, self.wan3 = self.uplinks

    def build(self):
        self.home.calm()
        self.internet.create()
        self.lan.create()
        for address in (WEB4, NAMES4, OPEN4, MORE4):
            self.internet.sh(f"ip address add {address}/32 dev lo")
        for address in (WEB6, NAMES6, OPEN6, MORE6):
            self.internet.sh(f"ip -6 address add {address}/128 dev lo nodad")
        # Debian's default. Strict filtering would drop packets that return over a link without the default route.
        self.home.sysctl("net.ipv4.conf.all.rp_filter", 2)
        self.internet.sysctl("net.ipv4.conf.all.rp_filter", 0)
        for uplink in self.uplinks:
            uplink.build(self.internet)
        self._build_lan()
        self._count_packets()
        for space in (self.home, self.internet, self.lan):
            # Congestion controls with pacing start slowly on links without delay.
            any(space.sysctl("net.ipv4.tcp_congestion_control", calm) for calm in ("cubic", "reno"))

    def _count_packets(self):
        """Interface counters include neighbour discovery and the like. These counters have only the packets that
        tests are about: TCP of connections begun in the same test, and questions to name servers.

        A FIN or a retransmission may come late, while the next test counts, hence the sets of connections begun.
        Resets are left out: the kernel sends them by the default route when packets arrive for a closed connection.
        """
        names = [u.name for u in self.uplinks]
        parts = "".join(f"counter {name}{kind} {{ }}; " for name in names for kind in ("", "_begun", "_begun6", "_dns"))
        rules = ""
        for ip, kind in (("ip", "ipv4_addr"), ("ip6", "ipv6_addr")):
            ends = f"{ip} saddr . tcp sport . {ip} daddr . tcp dport"
            parts += f"set {ip}_begun {{ type {kind} . inet_service . {kind} . inet_service; flags dynamic; size 65536; }}; "
            rules += f"tcp flags & syn == syn add @{ip}_begun {{ {ends} }}; {ends} != @{ip}_begun accept; "
        for name in names:
            rules += f"oifname {name} tcp flags & rst == 0 counter name {name}; "
            rules += f"oifname {name} tcp flags & (syn | ack) == syn counter name {name}_begun; "
            rules += f"oifname {name} ip6 version 6 tcp flags & (syn | ack) == syn counter name {name}_begun6; "
            rules += f"oifname {name} th dport 53 counter name {name}_dns; "
        self.home.nft(f"table inet watch {{ {parts}\nchain out {{ type filter hook output priority 0; {rules} }}\n}}")

    def count_anew(self):
        """From now on, count no packet of the connections that are there already."""
        self.home.nft("flush set inet watch ip_begun; flush set inet watch ip6_begun")

    def questions_sent(self):
        """Packets to name servers that the household has sent, by uplink."""
        return {u.name: self.home.nft_counter("watch", f"{u.name}_dns") for u in self.uplinks}

    def tcp_sent(self):
        """TCP packets of this test's connections that the household has sent, by uplink."""
        return {u.name: self.home.nft_counter("watch", u.name) for u in self.uplinks}

    def tcp_begun(self):
        """TCP packets that begin a connection, so that packets of those that exist already do not count."""
        return {u.name: self.home.nft_counter("watch", f"{u.name}_begun") for u in self.uplinks}

    def tcp6_begun(self):
        """The IPv6 packets among these."""
        return {u.name: self.home.nft_counter("watch", f"{u.name}_begun6") for u in self.uplinks}

    def _build_lan(self):
        sh(f"ip link add lan0 type veth peer name eth0 netns {self.lan.name}")
        sh(f"ip address add {LAN_HOME}/24 dev lan0")
        sh("ip link set lan0 up")
        self.lan.sh(f"ip address add {LAN_CLIENT}/24 dev eth0")
        self.lan.sh("ip link set eth0 up")
        wait_for_carrier("lan0")
        wait_for_carrier("eth0", netns=self.lan)

    def restore(self):
        for uplink in self.uplinks:
            if uplink.broken:
                uplink.restore()

    def uplink_of(self, address):
        """The name of the uplink with an address that a server saw."""
        for uplink in self.uplinks:
            if address in (uplink.addr4, uplink.addr6):
                return uplink.name
        return f"unknown ({address})"

    def sent(self):
        """Bytes sent, by uplink."""
        return {u.name: u.bytes()[1] for u in self.uplinks}

    def received(self):
        """Bytes received, by uplink."""
        return {u.name: u.bytes()[0] for u in self.uplinks}
