"""A real name server on the internet, by UDP and TCP: dnsmasq."""

import re
import subprocess

from lab.run import end, wait_for

RECORDS = 20  # of BIG: more than a datagram of DNS has room for
NAME, BIG = "dig.test", "big.test"


class Dnsmasq:
    """It knows two names: NAME has the given addresses, and BIG has long texts."""

    def __init__(self, program, netns, address, answers, log_path):
        self.log_path = log_path
        texts = [f"--txt-record={BIG},{n:02}{'x' * 200}" for n in range(RECORDS)]
        options = ["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-resolv", "--no-hosts", "--local=/test/",
                   f"--listen-address={address}", "--bind-interfaces", "--log-queries", "--log-facility=-"]  # fmt: skip
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(netns.wrap([program, *options, f"--host-record={NAME},{','.join(answers)}", *texts]), stdin=subprocess.DEVNULL, stderr=log)
        wait_for(self._serves, "dnsmasq serves")

    def _serves(self):
        assert self.process.poll() is None, self.log_path.read_text()
        return "started, version" in self.log_path.read_text()

    def asked(self):
        """(type, name, client's address) of every question so far."""
        return re.findall(r"query\[(\w+)\] (\S+) from (\S+)", self.log_path.read_text())

    def close(self):
        end(self.process)
