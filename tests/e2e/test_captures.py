"""What is captured on each link during a mixed load belongs to connections and questions that were assigned to it."""

import random
import re
import signal
import subprocess
import threading

import pytest

from lab.http import Client
from lab.netns import Netns
from lab.origin import echo
from lab.run import wait_for
from lab.socks import open_to, read_reply4, request4, socks5_connect
from lab.topology import NAMES4, NAMES6, OPEN4, OPEN6

DESTINATIONS, CONNECTIONS = 36, 400
_QUESTION = re.compile(r" (?:A|AAAA)\? (n\d+)\.test\.")
_PACKET = re.compile(r"IP6? \S+[.](\d+) > \S+[.](\d+): Flags \[([^\]]+)\]")


# Each destination has one line, by its port; and those that follow, should that one fail.
PINNED = """return { name = "pinned", new = function()
  return { pick = function(conn, uplinks)
    local wanted, order = conn.port % 3, {}
    for k = 0, 2 do
      for _, u in ipairs(uplinks) do
        if u.name == "wan" .. (wanted + k) % 3 + 1 then order[#order + 1] = u end
      end
    end
    return order, "pinned", { hedge = false, timeout = 1 }
  end }
end }
"""


def line_of(server):
    return f"wan{server.port % 3 + 1}"


class Capture:
    """tcpdump on one link."""

    def __init__(self, link, path):
        self.link, self.path = link, path
        argv = ["tcpdump", "-i", link, "-nn", "--immediate-mode", "-U", "-w", str(path), "tcp or port 53"]
        self.process = subprocess.Popen(Netns().wrap(argv), stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "listening on" in line:
                break

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)

    def packets(self):
        r = subprocess.run(["tcpdump", "-nn", "-r", str(self.path)], capture_output=True, text=True, timeout=60, check=True)
        return r.stdout.splitlines()


def foreign(capture, allowed):
    """Packets of destinations that this link was not chosen for. Resets are left out: with one the kernel turns away what comes
    late for a connection that is gone, by the default route."""
    strangers, counted = [], 0
    for line in capture.packets():
        question, packet = _QUESTION.search(line), _PACKET.search(line)
        if question:
            key = question.group(1)
        elif packet and "R" not in packet.group(3):
            ports = {int(packet.group(1)), int(packet.group(2))}
            key = next((name for name, (port, _) in allowed.items() if port in ports), None)
        else:
            continue
        counted += 1
        if key not in allowed or capture.link not in allowed[key][1]:
            strangers.append(line)
    return strangers, counted


def by_socks5(proxy, name, port):
    with socks5_connect(proxy, f"{name}.test", port, timeout=4) as s:
        s.sendall(b"ping")
        assert s.recv(16) == b"ping"


def by_socks4a(proxy, name, port):
    with open_to(proxy, timeout=4) as s:
        s.sendall(request4(f"{name}.test", port))
        assert read_reply4(s)[0] == 90
        s.sendall(b"ping")
        assert s.recv(16) == b"ping"


def by_connect(proxy, name, port):
    with Client(proxy) as c:
        assert c.ask(f"CONNECT {name}.test:{port} HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT").status == 200


@pytest.mark.parametrize("trouble", [None, "swallow"], ids=["calm", "a line dies"])
def test_captures_of_a_mixed_load(start, lab, names, origin, tmp_path, trouble):
    servers = [origin(echo, address=OPEN6 if i % 3 == 2 else OPEN4) for i in range(DESTINATIONS)]
    for i, server in enumerate(servers):
        names.zone[f"n{i}.test"] = [server.address]
    policy = tmp_path / "pinned.lua"
    policy.write_text(PINNED)
    proxy = start("--debug", "--policy", policy, "wan1", "wan2", "wan3", dns=f"{NAMES4},{NAMES6}")
    captures = [Capture(u.name, tmp_path / f"{u.name}.pcap") for u in lab.uplinks]
    turns, lock, failed = iter(range(CONNECTIONS)), threading.Lock(), []

    def work():
        while True:
            with lock:
                n = next(turns, None)
            if n is None:
                return
            if trouble and n == CONNECTIONS // 3:
                getattr(lab.wan2, trouble)()
            i = random.Random(n).randrange(DESTINATIONS)
            try:
                (by_socks5, by_socks4a, by_connect)[n % 3](proxy, f"n{i}", servers[i].port)
            except (OSError, AssertionError) as error:
                failed.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    lab.restore()
    wait_for(lambda: proxy.ask("status")["clients"] == 0, "all have ended", 20)
    for capture in captures:
        capture.stop()
    assert len(failed) <= (8 if trouble else 0), failed[:3]  # those amid their pings when the line died
    allowed = {f"n{i}": (server.port, set()) for i, server in enumerate(servers)}
    for event in proxy.events("picked") + proxy.events("raced"):
        allowed[event["host"].removesuffix(".test")][1].add(event["uplink"])
    for i, server in enumerate(servers):
        chosen = allowed[f"n{i}"][1]
        assert chosen == {line_of(server)} or (trouble and line_of(server) == "wan2"), (server.port, chosen)
    assert {line_of(server) for server in servers} == {"wan1", "wan2", "wan3"}
    for capture in captures:
        strangers, counted = foreign(capture, allowed)
        assert counted > 100 and not strangers, strangers[:5]
