"""The place of the measurements: a household and the internet, each a network namespace, with a line between them."""

import os
import subprocess
import sys
import time

HOME, FAR, ORIGIN = "10.55.0.1", "10.55.0.2", "10.55.9.1"


def sh(line, **options):
    return subprocess.run(line.split(), check=True, capture_output=True, text=True, timeout=30, **options).stdout


def calm(prefix=""):
    """Pacing congestion controls make figures of loopback and veth meaningless."""
    for control in ("cubic", "reno"):
        if subprocess.run([*prefix.split(), "sysctl", "-qw", f"net.ipv4.tcp_congestion_control={control}"], capture_output=True).returncode == 0:
            return
    sys.exit("no congestion control without pacing can be had")


def enter():
    """Run this program again in a network namespace that ends with it."""
    if os.environ.get("STEERWAY_BENCH_INSIDE") == str(os.getppid()):
        return
    inside = 'export STEERWAY_BENCH_INSIDE=$$; "$@"'
    argv = ["unshare", "--net", "--kill-child", "sh", "-c", inside, "sh", sys.executable, *sys.argv]
    os.execvp(argv[0], argv)


class Lines:
    def __init__(self):
        self.far = subprocess.Popen(["unshare", "--net", "sleep", "86400"])
        deadline = time.monotonic() + 10
        while os.readlink(f"/proc/{self.far.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            if time.monotonic() > deadline:
                sys.exit("no second network namespace can be had")
            time.sleep(0.01)
        sh("ip link set lo up")
        sh(f"ip link add line0 type veth peer name line0 netns {self.far.pid}")
        sh(f"ip address add {HOME}/24 dev line0")
        sh("ip link set line0 up")
        self.there("ip link set lo up")
        self.there(f"ip address add {FAR}/24 dev line0")
        self.there("ip link set line0 up")
        self.there(f"ip address add {ORIGIN}/32 dev lo")
        sh(f"ip route add default via {FAR}")
        self.made = 1
        calm()
        calm(self.prefix())
        # A client that connects to one place thousands of times searches ever longer for a port that is not in
        # TIME_WAIT.
        for prefix in ("", self.prefix() + " "):
            sh(f"{prefix}sysctl -qw net.ipv4.tcp_max_tw_buckets=1")
            subprocess.run([*prefix.split(), "sysctl", "-qw", "net.ipv4.ip_local_port_range=2048 65535"], check=True)

    def uplinks(self, n):
        """The names of this many uplinks; those after the first are separate lines, made on first use."""
        for i in range(self.made, n):
            name, net = f"line{i}", f"10.56.{i}"
            sh(f"ip link add {name} type veth peer name {name} netns {self.far.pid}")
            sh(f"ip address add {net}.1/24 dev {name}")
            sh(f"ip link set {name} up")
            self.there(f"ip address add {net}.2/24 dev {name}")
            self.there(f"ip link set {name} up")
            sh(f"ip route add default via {net}.2 dev {name} metric {i}")
        self.made = max(self.made, n)
        return [f"line{i}" for i in range(n)]

    def prefix(self):
        return f"nsenter --net=/proc/{self.far.pid}/ns/net"

    def there(self, line):
        return sh(f"{self.prefix()} {line}")

    def limit(self, rate):
        """Limit both directions, e.g. "1gbit"; None for no limit."""
        for prefix in ("", self.prefix() + " "):
            subprocess.run(f"{prefix}tc qdisc delete dev line0 root".split(), capture_output=True)
            if rate:
                sh(f"{prefix}tc qdisc replace dev line0 root tbf rate {rate} burst 256kb latency 20ms")

    def close(self):
        self.far.kill()
        self.far.wait()
