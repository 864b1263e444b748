"""Packets captured on each link during a mixed load belong to connections and questions that were assigned to it."""

import random
import re
from datetime import datetime

import pytest

from lab.http import Client
from lab.load import Load
from lab.origin import echo
from lab.run import WAIT_S, wait_for
from lab.sniffer import Sniffer
from lab.socks import open_to, read_reply4, request4, socks5_connect
from lab.topology import NAMES4, NAMES6, OPEN4, OPEN6

DESTINATIONS, CONNECTIONS, THREADS, LINES = 36, 400, 8, ("wan1", "wan2", "wan3")
# Each destination has its own line, and two others for when that does not answer.
ORDERS = [[LINES[(i + k) % 3] for k in ((0, 1, 2) if i // 3 % 2 else (0, 2, 1))] for i in range(DESTINATIONS)]
POLICY = """
local ORDERS = { %s }
return {
  name = "pinned",
  new = function()
    return {
      pick = function(conn, uplinks)
        for _, name in ipairs(ORDERS[conn.host:match("^(n%%d+)x")] or {}) do
          for _, u in ipairs(uplinks) do
            if u.name == name then
              return u, "pinned"
            end
          end
        end
      end,
    }
  end,
}
""" % ", ".join(f"n{i} = {{ " + ", ".join(f'"{name}"' for name in order) + " }" for i, order in enumerate(ORDERS))
CLOCK_S = 0.002  # times in the log are cut to milliseconds, and packets' times may be
_QUESTION = re.compile(r"^(\S+) .* (?:A|AAAA)\? (n\d+x\d+)\.test\.")
_PACKET = re.compile(r"^(\S+) IP6? (\S+)[.](\d+) > (\S+)[.](\d+): Flags \[([^\]]+)\]")


class Assigned:
    """The lines that packets of a destination (address, port) and questions for a name may use, and from when. Their
    own line is allowed at all times; others from the time when a connection was assigned to them."""

    def __init__(self):
        self.since = {}

    def give(self, key, line, when):
        lines = self.since.setdefault(key, {})
        lines[line] = min(when, lines.get(line, when))

    def allows(self, key, line, when):
        return when >= self.since.get(key, {}).get(line, float("inf")) - CLOCK_S


def ends_of(packet):
    """((address, port), (address, port)) from where and to where."""
    _, host, port, to, to_port, _ = packet.groups()
    return (host, int(port)), (to, int(to_port))


def ended(captures):
    """When each connection's destination has sent its FIN, by the ends of packets to the destination."""
    at = {}
    for text in [text for capture in captures for text in capture.packets()]:
        packet = _PACKET.search(text)
        if packet and "F" in packet.group(6):
            far, near = ends_of(packet)
            at.setdefault((near, far), float(packet.group(1)))
    return at


def said_after_the_end(packet, text, ends):
    """A packet of the kernel's own, which no program can lead. When packets arrive for a connection that has ended, the
    kernel sends resets by the default route, and for IPv6 acknowledgements too: it forgets the device in TIME_WAIT."""
    bare = packet.group(6) == "." and text.endswith("length 0") and ":" in packet.group(2)
    return "R" in packet.group(6) or (bare and float(packet.group(1)) > ends.get(ends_of(packet), float("inf")))


def foreign(capture, assigned, household, ends):
    """Packets that were not assigned to this link."""
    strangers, counted = [], 0
    for text in capture.packets():
        question, packet = _QUESTION.search(text), _PACKET.search(text)
        if question:
            when, key = question.groups()
        elif packet and not said_after_the_end(packet, text, ends):
            when, both = packet.group(1), ends_of(packet)
            key = next((end for end in both if end in assigned.since), None)
            if not key and (both[1][0] in household or "S" not in packet.group(6)):
                continue  # late packets of an earlier test: the SYNs of this test's connections were captured
        else:
            continue
        counted += 1
        if not assigned.allows(key, capture.link, float(when)):
            strangers.append(f"{capture.link}: {text}")
    return strangers, counted


def same_flow(captures, text):
    """The packets of a packet's connection on all links, as evidence."""
    packet = _PACKET.search(text.partition(": ")[2])
    ends = packet.groups()[1:5] if packet else ["(no packet of TCP)"]
    return sorted((f"{c.link}: {t}" for c in captures for t in c.packets() if all(end in t for end in ends)), key=lambda t: t.split()[1])


def by_socks5(proxy, name, port):
    with socks5_connect(proxy, f"{name}.test", port, timeout=WAIT_S) as s:
        s.sendall(b"ping")
        assert s.recv(16) == b"ping"


def by_socks4a(proxy, name, port):
    with open_to(proxy, timeout=WAIT_S) as s:
        s.sendall(request4(f"{name}.test", port))
        assert read_reply4(s)[0] == 90
        s.sendall(b"ping")
        assert s.recv(16) == b"ping"


def by_connect(proxy, name, port):
    with Client(proxy) as c:
        assert c.ask(f"CONNECT {name}.test:{port} HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT").status == 200


@pytest.mark.parametrize("trouble", [None, "swallow"], ids=["calm", "a line dies"])
def test_captures_of_a_mixed_load(start, lab, names, origin, tmp_path, trouble):
    servers = [origin(echo, address=OPEN6 if i // 3 % 3 == 2 else OPEN4) for i in range(DESTINATIONS)]
    draw = random.Random(1)
    chosen = [draw.randrange(DESTINATIONS) for _ in range(CONNECTIONS)]
    for n, i in enumerate(chosen):  # a separate name for each, so that each is asked for
        names.zone[f"n{i}x{n}.test"] = [servers[i].address]
    policy = tmp_path / "pinned.lua"
    policy.write_text(POLICY)
    hedge = [] if trouble else ["--hedge", "0"]
    proxy = start("--debug", "--policy", policy, *hedge, *LINES, dns=f"{NAMES4},{NAMES6}")
    captures = [Sniffer(u.name, tmp_path / f"{u.name}.pcap") for u in lab.uplinks]

    def exchange(n):
        if trouble and n == CONNECTIONS // 3:
            getattr(lab.wan2, trouble)()
        i = chosen[n]
        (by_socks5, by_socks4a, by_connect)[n % 3](proxy, f"n{i}x{n}", servers[i].port)

    load = Load(exchange, threads=THREADS, turns=CONNECTIONS)
    # Those that were exchanging data when the line failed wait until it is back.
    wait_for(lambda: len(load.did) + len(load.failed) >= CONNECTIONS - THREADS, "the others have ended", 4 * WAIT_S)
    lab.restore()
    assert load.join(4 * WAIT_S)
    wait_for(lambda: proxy.ask("status")["clients"] == 0, "all have ended")
    for capture in captures:
        capture.stop()
    assert len(load.failed) <= (THREADS if trouble else 0), load.failed[:3]
    assigned = Assigned()
    for i, server in enumerate(servers):
        assigned.give((server.address, server.port), ORDERS[i][0], 0)
    strayed = 0
    for event in proxy.events("picked") + proxy.events("raced"):
        i, when = int(event["host"][1:].partition("x")[0]), datetime.fromisoformat(event["time"]).timestamp()
        strayed += event["uplink"] != ORDERS[i][0]
        assigned.give((servers[i].address, servers[i].port), event["uplink"], when)
        assigned.give(event["host"].removesuffix(".test"), event["uplink"], when)
    assert bool(strayed) == bool(trouble)
    ends = ended(captures)
    for capture in captures:
        strangers, counted = foreign(capture, assigned, {a for u in lab.uplinks for a in (u.addr4, u.addr6)}, ends)
        assert counted > 100 and not strangers, "\n".join(strangers[:5] + same_flow(captures, strangers[0]) if strangers else [])
