"""Lines with latency: what lies between a provider and the internet, behind an emulator (tests/lab/linkemu.c).

The link wanN and its provider stay as they are, so each way of breaking an uplink works as before, and a line may
become slow while a proxy uses it. Both families take the slow way."""

import json
import os
import select
import subprocess

from lab.proxy import BINARY
from lab.run import WAIT_S, end

EMULATOR = BINARY.parent / "tests/lab/linkemu"
# The round trip of an idle line, and how long a full buffer makes packets wait, in ms; the loss in percent of the packets
# of each direction.
PROFILES = {
    "20 ms": {"round_trip": 20, "buffer": 50},
    "80 ms, 200 ms buffer": {"round_trip": 80, "buffer": 200},
    "120 ms, 500 ms buffer": {"round_trip": 120, "buffer": 500},
    "1 % loss": {"round_trip": 20, "buffer": 50, "loss": 1},
}


def why_not():
    """Why no line can be made slow here, or None."""
    if not EMULATOR.exists():
        return f"{EMULATOR} is not built"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun cannot be used: {error.strerror}"
    return None


class SlowLine:
    """`down` and `up` are Mbit/s. Two lines of the same seed lose the same packets, by their number in each direction."""

    def __init__(self, lab, uplink, down=20, up=20, round_trip=20, jitter=0, buffer=50, loss=0, seed=1):
        self.lab, self.uplink, self.name = lab, uplink, f"slow{uplink.number}"
        self._options = {"rate": f"{down},{up}", "delay": round_trip / 2, "jitter": jitter / 2, "queue-ms": buffer,
                         "loss": loss, "seed": seed}  # fmt: skip
        self._process = None

    def build(self):
        ends = [f"{self.name}@/run/netns/{space.name}" for space in (self.lab.internet, self.uplink.isp)]
        options = [f"--{name}={value}" for name, value in self._options.items()]
        self._process = subprocess.Popen([EMULATOR, *ends, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        self._answer()
        for space in (self.lab.internet, self.uplink.isp):
            # Packets wait in the emulator's buffer, and none is dropped before it.
            space.sh(f"ip link set {self.name} txqueuelen 10000 up")
        self._route(f"dev {self.name}", f"dev {self.name}")

    def _route(self, to_home, to_internet, to_home6=None, to_internet6=None):
        n, internet, isp = self.uplink.number, self.lab.internet, self.uplink.isp
        internet.sh(f"ip route replace 10.0.{n}.0/24 {to_home}")
        internet.sh(f"ip -6 route replace 2001:db8:{n}::/64 {to_home6 or to_home}")
        isp.sh(f"ip route replace default {to_internet}")
        isp.sh(f"ip -6 route replace default {to_internet6 or to_internet}")
        for space in (self.lab.home, internet):  # the kernel remembers round trips and windows by destination
            space.run("ip", "tcp_metrics", "flush")

    def remove(self):
        if not self._process:
            return
        u = self.uplink
        self._route(f"via {u.far4}", f"via {u.far_gateway4}", f"via {u.far6}", f"via {u.far_gateway6}")
        self._process.stdin.close()
        end(self._process)
        self._process.stdout.close()
        self._process.stderr.close()
        self._process = None

    def _answer(self):
        ready, _, _ = select.select([self._process.stdout], [], [], WAIT_S)
        line = self._process.stdout.readline() if ready else ""
        assert line, f"linkemu: exit code {self._process.poll()}: {self._process.stderr.read() if ready else 'no answer'}"
        return json.loads(line)

    def _tell(self, command):
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._answer()

    def kill(self):
        """From now on nothing arrives, not even what is under way."""
        self._tell("kill")

    def revive(self):
        self._tell("revive")

    def counted(self, direction):
        """Packets of the direction "down" or "up" by their fate: carried, lost, full (the queue was), killed, refused."""
        counted = self._state(direction)
        del counted["bytes"]
        return counted

    def bytes(self, direction):
        """What the line has carried in this direction, without what it dropped."""
        return self._state(direction)["bytes"]

    def _state(self, direction):
        return self._tell("state")["there" if direction == "down" else "back"]
