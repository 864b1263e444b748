"""The laboratory's name server: a thread of the test process, so a test sets its answers and sees the questions."""

import socket
import struct
import threading

from lab.run import WAIT_S

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2
SILENCE = "silence"


def _name_at(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii", "replace"))
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1


class NameServer:
    """Answers from `zone`: each name has a list of addresses, or SILENCE, or a response code such as SERVFAIL."""

    def __init__(self, netns, addresses, port=53):
        self.zone = {}
        self.ttl_s = 5
        self.asked = []  # (name, type, client's address)
        self._netns = netns
        self._stop = threading.Event()
        self._sockets = [netns.datagrams(a, port) for a in addresses]
        self._threads = [threading.Thread(target=self._serve, args=(s,), daemon=True) for s in self._sockets]
        for thread in self._threads:
            thread.start()

    def forget(self):
        """Forget the questions so far, including those that wait in the sockets: they are answered in order."""
        question = b"\0\0\1\0\0\1\0\0\0\0\0\0\4last\4test\0\0\1\0\1"
        for s in self._sockets:
            address = s.getsockname()[:2]
            with self._netns.datagrams(address[0], 0) as asker:
                asker.settimeout(WAIT_S)
                asker.sendto(question, address)
                asker.recv(512)
        self.asked.clear()

    def close(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(5)
        for s in self._sockets:
            s.close()

    def _serve(self, s):
        s.settimeout(0.1)
        while not self._stop.is_set():
            try:
                packet, client = s.recvfrom(4096)
            except socket.timeout:
                continue
            reply = self._answer(packet, client[0])
            if reply:
                s.sendto(reply, client)

    def _answer(self, packet, client):
        name, at = _name_at(packet, 12)
        (kind,) = struct.unpack_from(">H", packet, at)
        self.asked.append((name, kind, client))
        entry = self.zone.get(name, NXDOMAIN)
        if entry == SILENCE:
            return None
        code, addresses = (entry, []) if isinstance(entry, int) else (0, entry)
        records = b""
        count = 0
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            if kind == (AAAA if family == socket.AF_INET6 else A):
                data = socket.inet_pton(family, address)
                records += struct.pack(">HHHIH", 0xC00C, kind, 1, self.ttl_s, len(data)) + data
                count += 1
        head = packet[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, count, 0, 0)
        return head + packet[12 : at + 4] + records


def with_files(files, resolv=""):
    """A command prefix for a proxy that sees these files below /run, and that resolv.conf."""
    script = "mount -t tmpfs none /run && mkdir -p /run/systemd/netif/links /run/systemd/resolve/netif\n"
    for path, text in files.items():
        script += f"printf '{text}' > /run/systemd/{path}\n"
    script += f"printf '{resolv}' > /run/resolv && mount --bind /run/resolv /etc/resolv.conf\n"
    return ["unshare", "--mount", "sh", "-e", "-c", script + 'exec "$@"', "sh"]
