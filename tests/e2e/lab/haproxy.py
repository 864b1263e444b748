"""HAProxy, as a balancer before the proxy."""

import socket
import subprocess
from pathlib import Path

from lab import unpacked
from lab.run import WAIT_S, end, run, wait_for

BINARY = unpacked.find("haproxy")


def check(config):
    """`haproxy -c`: what it says about a configuration."""
    return run(BINARY, "-c", "-f", config, env=unpacked.env(BINARY))


class Haproxy:
    """One run of HAProxy. `control` is the stats socket that its configuration names."""

    def __init__(self, config, control, log):
        self.control, self._log_path = control, log
        self._log = open(log, "wb")
        self._process = subprocess.Popen([BINARY, "-db", "-f", config], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=unpacked.env(BINARY))
        wait_for(lambda: self._alive() and Path(control).exists(), "HAProxy listens")

    def _alive(self):
        assert self._process.poll() is None, self._log_path.read_text()
        return True

    def tell(self, command):
        """What it answers to a command on its stats socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(WAIT_S)
            s.connect(str(self.control))
            s.sendall(command.encode() + b"\n")
            return s.makefile().read()

    def status(self, server):
        """The state of a server, such as UP, DOWN or DRAIN."""
        rows = [line.split(",") for line in self.tell("show stat").splitlines() if line]
        column = rows[0].index("status")
        return next(row[column].split(" ")[0] for row in rows[1:] if row[1] == server)

    def wait_status(self, server, status):
        wait_for(lambda: self._alive() and self.status(server) == status, f"{server} is {status}")

    def log(self):
        return self._log_path.read_text()

    def close(self):
        end(self._process)
        self._log.close()
