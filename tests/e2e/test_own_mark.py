"""Every packet that the proxy sends carries the bit of --own-mark, beside the mark of its uplink."""

import json

from lab.clients import curl_by
from lab.command import refused, run as steerway
from lab.proxy import UNRACED
from lab.run import sh, wait_for
from lab.topology import OPEN4, WEB4

BIT = 0x80000000
RULES = """table inet marks {
  counter bare { }; counter marked { }; counter uplink { };
  chain out { type filter hook output priority 0;
    oifname != "wan*" accept; meta l4proto != { tcp, udp } accept; tcp flags & rst == rst accept
    meta mark & %#x == 0 counter name bare
    meta mark & %#x != 0 counter name marked
    meta mark & 0xff == 7 counter name uplink
  }
}""" % (BIT, BIT)


class Marks:
    def __init__(self, home):
        self.home = home

    def __getattr__(self, name):
        return self.home.nft_counter("marks", name)


def test_every_packet_has_the_bit(lab, web, names, origin, start, config):
    parent = start("wan3", "--own-mark", "0x80000000")  # its packets are another program's, which is marked as well
    lab.home.nft(RULES)
    try:
        marks = Marks(lab.home)
        sh("ip rule add fwmark 7/0xff lookup 107 pref 107")
        sh(f"ip route add default via {lab.wan2.gateway4} dev wan2 table 107")
        file = config(f"""return {{ uplinks = {{
            {{ interface = "wan1" }},
            {{ interface = "wan2", mark = 7 }},
            {{ interface = "wan1", name = "router", gateway = "{lab.wan1.gateway4}" }},
            {{ upstream = "socks5://{parent.hostport}", name = "parent" }},
        }} }}""")
        proxy = start(*UNRACED, "--config", file, "--own-mark", BIT, "--policy", "round_robin", "--bypass", f"{OPEN4}/32",
                      check=f"{WEB4}:80")
        wait_for(lambda: marks.marked > 0, "lines are checked")
        for _ in range(8):
            for host in ("web4.test", WEB4, f"{OPEN4}:9"):
                curl_by("socks5h", proxy, host=host)
        used = {line["uplink"] for line in proxy.connections(24) if line.get("uplink")}
        assert used >= {"wan1", "wan2", "router", "parent"}, used
        assert marks.uplink > 0, "the uplink's own mark stays"
        assert marks.bare == 0, "each packet has the bit"
        shown = sh("ip rule")
        assert "/0x7fffffff lookup" in shown, shown
    finally:
        lab.home.run("nft", "delete table inet marks")
        lab.home.run("ip", "rule", "delete", "pref", "107")
        lab.home.run("ip", "route", "flush", "table", "107")


def test_an_uplinks_mark_must_not_have_the_bit(lab, config):
    file = config('return { own_mark = 0x80000000, uplinks = { { interface = "wan1", mark = 0x80000001 } } }')
    assert refused(2, "start", "--config", file).startswith("uplink wan1: its mark has the bit 0x80000000")


def test_without_the_option_nothing_is_marked(lab, web, start):
    lab.home.nft(RULES)
    try:
        curl_by("socks5", start("wan1")).ok()
        assert Marks(lab.home).marked == 0
    finally:
        lab.home.run("nft", "delete table inet marks")


def test_a_program_that_may_not_mark_says_so(web, start):
    drop = ("setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-net_admin,-net_raw")
    proxy = start("wan1", "--own-mark", BIT, prefix=drop)
    proxy.wait_event("own_mark_not_permitted")
    curl_by("socks5", proxy).ok()


def test_the_doctor_finds_a_rule_that_compares_the_bit(lab, config):
    """A rule for an uplink's mark as `ip rule` makes it, without a mask."""
    sh("ip rule add fwmark 7 lookup 107 pref 107")
    sh(f"ip route add default via {lab.wan2.gateway4} dev wan2 table 107")
    sh("ip route delete default dev wan2")
    file = config('return { own_mark = 0x80000000, uplinks = { { interface = "wan2", mark = 7 } } }')
    options = ("doctor", "--config", file, "--check", "none", "--public-address", "none", "--json")
    try:
        found = [f for f in json.loads(steerway(*options).stdout)["findings"] if f["id"] == "mark-rule-exact"]
        assert len(found) == 1 and "0x80000007" in found[0]["what"], found
        sh(found[0]["repair"])
        assert not [f for f in json.loads(steerway(*options).stdout)["findings"] if f["id"] in ("mark-rule-exact", "route-none")]
        sh(found[0]["undo"])
    finally:
        sh("ip rule delete pref 107")
        sh("ip route flush table 107")
        lab.wan2.restore()
