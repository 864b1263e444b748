"""tcpdump on a link."""

import signal
import subprocess

from lab.netns import Netns


class Sniffer:
    """Records the packets of a link that match a filter."""

    def __init__(self, link, path, what="tcp or port 53"):
        self.link, self.path = link, path
        argv = ["tcpdump", "-i", link, "-nn", "--immediate-mode", "-U", "-w", str(path), what]
        self.process = subprocess.Popen(Netns().wrap(argv), stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "listening on" in line:
                break

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)

    def packets(self):
        """One line for each, with its time first."""
        r = subprocess.run(["tcpdump", "-tt", "-nn", "-r", str(self.path)], capture_output=True, text=True, timeout=60, check=True)
        return r.stdout.splitlines()
