"""Three devices behind the household's machine, their router, which knows no more of the proxy than they do."""

from lab.netns import Netns, wait_for_carrier
from lab.run import run, sh
from lab.topology import WEB4, WEB6

LINK = "house0"
HOME4, HOME6 = "192.168.78.1", "fd78::1"
FOREIGN4, FOREIGN6 = "203.0.113.53", "2001:db8:dead::53"  # addresses of resolvers, where nobody is


# Where these are on, rules see a bridge's packets too early, and the kernel forgets which socket TPROXY has chosen.
BRIDGE_HOOKS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")


def why_not(netns):
    """Why no bridge can be captured here, or None."""
    if any(netns.run("sysctl", "-n", name).text.strip() == "1" and not netns.sysctl(name, 0) for name in BRIDGE_HOOKS):
        return "br_netfilter is on, and only the machine's root can switch it off"
    return None


class Machine:
    """A machine whose programs know no proxy: a device, or the router itself. They ask the resolver that is given."""

    def __init__(self, netns, addr4, addr6):
        self.netns, self.addr4, self.addr6 = netns, addr4, addr6
        self.resolver, self.patience = FOREIGN4, "timeout:10"

    def run(self, *argv, **options):
        """Run a program that finds the resolver in /etc/resolv.conf."""
        script = 'printf "nameserver %s\\noptions %s\\n" $0 >/run/resolv && mount --bind /run/resolv /etc/resolv.conf && exec "$@"'
        command = ["unshare", "--mount", "sh", "-ec", f"mount -t tmpfs none /run && {script}", f"{self.resolver} {self.patience}", *argv]
        return self.netns.run(*command, **options)

    def fetch(self, url, *options):
        """What curl gets, without a proxy."""
        return self.run("curl", "-s", "-S", "-m", "25", "--noproxy", "*", *options, url).ok().text.strip()

    def lookup(self, name, family=4):
        """The first address that libc finds for a name, or None."""
        found = self.run("getent", f"ahostsv{family}", name).text.split()
        return found[0] if found else None

    def datagrams(self, family=4):
        return self.netns.datagrams(self.addr4 if family == 4 else self.addr6, 0)


class Household:
    """The devices on one bridge. The kernel of the router forwards what nobody captures, by the default route."""

    def __init__(self, lab):
        self.lab = lab
        self.router = Machine(lab.home, lab.wan1.addr4, lab.wan1.addr6)
        self.devices = [Machine(Netns(f"device{n}"), f"192.168.78.1{n}", f"fd78::1{n}") for n in (1, 2, 3)]

    def build(self):
        for name in BRIDGE_HOOKS:
            self.lab.home.sysctl(name, 0)
        sh(f"ip link add {LINK} type bridge")
        sh(f"ip address add {HOME4}/24 dev {LINK}")
        sh(f"ip -6 address add {HOME6}/64 dev {LINK} nodad")
        sh(f"ip link set {LINK} up")
        for n, device in enumerate(self.devices, 1):
            device.netns.create()
            sh(f"ip link add dev{n} type veth peer name eth0 netns {device.netns.name}")
            sh(f"ip link set dev{n} master {LINK} up")
            device.netns.sh(f"ip address add {device.addr4}/24 dev eth0")
            device.netns.sh(f"ip -6 address add {device.addr6}/64 dev eth0 nodad")
            device.netns.sh("ip link set eth0 up")
            device.netns.sh(f"ip route add default via {HOME4}")
            device.netns.sh(f"ip -6 route add default via {HOME6}")
            wait_for_carrier("eth0", netns=device.netns)
        wait_for_carrier(LINK)
        self._forward(1)
        rules = "; ".join(f'oifname "wan*" {ip} saddr {home} masquerade' for ip, home in (("ip", f"{HOME4}/24"), ("ip6", f"{HOME6}/64")))
        through = f"chain through {{ type filter hook forward priority 0; iifname {LINK} meta l4proto {{ tcp, udp }} counter name past; }}"
        self.lab.home.nft(f"table inet house {{ counter past {{ }}\n{through}\nchain nat {{ type nat hook postrouting priority 100; {rules}; }}\n}}")

    def _forward(self, on):
        assert self.lab.home.sysctl("net.ipv4.ip_forward", on) and self.lab.home.sysctl("net.ipv6.conf.all.forwarding", on)

    def past(self):
        """Packets of the devices that the kernel has forwarded: they went past the proxy."""
        return self.lab.home.nft_counter("house", "past")

    def route_of(self, machine, family=4):
        """The uplink by which a web server sees a machine."""
        return self.lab.uplink_of(machine.fetch(f"http://{WEB4 if family == 4 else f'[{WEB6}]'}/whoami"))

    def remove(self):
        run("nft", "delete", "table", "inet", "house")
        self._forward(0)
        for n, device in enumerate(self.devices, 1):
            run("ip", "link", "delete", f"dev{n}")
            run("ip", "netns", "delete", device.netns.name)
        run("ip", "link", "delete", LINK)
