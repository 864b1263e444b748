"""steerway doctor: each fault that is planted is found and named, and nothing else; what it says to do repairs it, and can be taken back."""

import json
import shlex

import pytest

from lab.command import refused, run
from lab.http import HttpOrigin, response
from lab.run import run as run_line
from lab.topology import NAMES4, OPEN4

LINES = ("wan1", "wan2", "wan3")


class Doctor:
    def __init__(self, target, address):
        self.options = ["--check", target, "--public-address", address, "--dns", NAMES4]

    def __call__(self, *args, code=None, text=False, **options):
        r = run("doctor", *self.options, *([] if text else ["--json"]), *(args or LINES), **options)
        assert r.stderr == "", r.stderr
        assert code is None or r.returncode == code, r
        return r.stdout if text else json.loads(r.stdout)

    def findings(self, *args, **options):
        """(uplink, id) of what is wrong."""
        return [(f.get("uplink"), f["id"]) for f in self(*args, **options)["findings"]]

    def one(self, *args, **options):
        findings = self(*args, **options)["findings"]
        assert len(findings) == 1, findings
        return findings[0]


@pytest.fixture
def doctor(lab, origin):
    good = HttpOrigin(origin, lambda *_: response(204, phrase="No Content"))
    mirror = HttpOrigin(origin, lambda _, s: response(200, s.getpeername()[0].encode() + b"\n"))
    d = Doctor(f"http://open.test:{good.port}/204", f"http://{OPEN4}:{mirror.port}/")
    d.good = good
    assert lab
    return d


def obey(command):
    """Runs a printed command as its reader would."""
    assert run_line(*shlex.split(command)).code == 0, command


def repairs(doctor, uplink, id, again=True):
    """Exactly that is found, what is printed repairs it, and what is printed takes that back."""
    finding = doctor.one(code=0)
    assert (finding.get("uplink"), finding["id"]) == (uplink, id)
    assert finding["why"] and finding["what"]
    obey(finding["repair"])
    assert doctor.findings(code=0) == []
    obey(finding["undo"])
    if again:
        assert doctor.findings() == [(uplink, id)]
        obey(finding["repair"])


def test_a_healthy_machine(doctor):
    answer = doctor(code=0)
    assert answer["findings"] == [] and answer["would_start"] is True
    facts = answer["uplinks"][1]["facts"]
    assert facts["link"].startswith("wan2, up, MTU 1500")
    assert (facts["address"], facts["router"], facts["public address"]) == ("10.0.2.2, 2001:db8:2::2", "10.0.2.1", "10.0.2.2")
    assert facts["name servers"] == NAMES4 and facts["internet"].startswith("answers in ")
    text = doctor(code=0, text=True)
    assert text.startswith("wan1\n  link             wan1, up, MTU 1500\n") and text.endswith("Steerway would start, and serve.\n")
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_link_that_is_switched_off(doctor, lab):
    lab.wan2.down()
    finding = doctor.one(code=0)
    assert (finding["uplink"], finding["id"], finding["repair"]) == ("wan2", "link-down", "ip link set wan2 up")
    obey(finding["repair"])
    # The kernel has dropped its routes, as the finding says, and its IPv6 address.
    assert doctor.findings() == [("wan2", "route-none")]
    obey(doctor.one()["repair"])
    assert doctor.findings(code=0) == []
    obey(finding["undo"])
    assert doctor.findings() == [("wan2", "link-down")]


def test_no_route(doctor, lab):
    lab.wan3.broken = True
    for family in ("-4", "-6"):
        run_line("ip", family, "route", "del", "default", "dev", "wan3")
    repairs(doctor, "wan3", "route-none")


def test_a_strict_filter(doctor, lab):
    before = run_line("sysctl", "-n", "net.ipv4.conf.all.rp_filter").text.strip()
    lab.home.sysctl("net.ipv4.conf.all.rp_filter", 0)
    lab.home.sysctl("net.ipv4.conf.wan2.rp_filter", 1)
    try:
        finding = doctor.one()
        assert (finding["uplink"], finding["id"]) == ("wan2", "rp-filter-strict")
        repairs(doctor, "wan2", "rp-filter-strict")
    finally:
        lab.home.sysctl("net.ipv4.conf.wan2.rp_filter", 0)
        lab.home.sysctl("net.ipv4.conf.all.rp_filter", before)


def test_a_strict_filter_with_rules_that_lead_back(doctor, lab):
    """The way back to an address may be its own, by a rule: then nothing is thrown away."""
    before = run_line("sysctl", "-n", "net.ipv4.conf.all.rp_filter").text.strip()
    lab.home.sysctl("net.ipv4.conf.all.rp_filter", 0)
    lab.home.sysctl("net.ipv4.conf.wan2.rp_filter", 1)
    obey("ip route add default via 10.0.2.1 dev wan2 table 100")
    obey("ip rule add from 10.0.2.2 lookup 100")
    try:
        assert doctor.findings(code=0) == []
    finally:
        obey("ip rule del from 10.0.2.2 lookup 100")
        obey("ip route flush table 100")
        lab.home.sysctl("net.ipv4.conf.wan2.rp_filter", 0)
        lab.home.sysctl("net.ipv4.conf.all.rp_filter", before)


def test_a_strict_filter_on_a_vlan(doctor, lab, segment):
    before = run_line("sysctl", "-n", "net.ipv4.conf.all.rp_filter").text.strip()
    segment.join("two.5", "10.0.9.2")
    lab.home.sysctl("net.ipv4.conf.all.rp_filter", 0)
    obey("sysctl -w net.ipv4.conf.two/5.rp_filter=1")
    try:
        finding = doctor.one("wan1", "two.5", code=0)
        assert (finding["uplink"], finding["id"]) == ("two.5", "rp-filter-strict")
        obey(finding["repair"])
        assert doctor.findings("wan1", "two.5", code=0) == []
        obey(finding["undo"])
        assert doctor.findings("wan1", "two.5") == [("two.5", "rp-filter-strict")]
    finally:
        lab.home.sysctl("net.ipv4.conf.all.rp_filter", before)


def test_a_small_mtu(doctor, lab):
    lab.wan1.broken = True
    run_line("ip", "-6", "address", "flush", "dev", "wan1", "scope", "global")
    run_line("ip", "link", "set", "wan1", "mtu", "1000")
    try:
        repairs(doctor, "wan1", "mtu-small")
    finally:
        run_line("ip", "link", "set", "wan1", "mtu", "1500")


def test_a_port_for_root(doctor):
    options = {"wrapped_by": ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--ambient-caps=-all"]}
    before = run_line("sysctl", "-n", "net.ipv4.ip_unprivileged_port_start").text.strip()
    try:
        finding = doctor.one("--port", "443", "--host", "127.0.0.1", *LINES, code=1, **options)
        assert finding["id"] == "port-privileged" and "uplink" not in finding
        obey(finding["repair"])
        assert doctor.findings("--port", "443", "--host", "127.0.0.1", *LINES, code=0, **options) == []
        obey(finding["undo"])
        assert run_line("sysctl", "-n", "net.ipv4.ip_unprivileged_port_start").text.strip() == before
    finally:
        run_line("sysctl", "-w", f"net.ipv4.ip_unprivileged_port_start={before}")


@pytest.mark.parametrize("plant, found", [
    (lambda lab: lab.wan2.lose_carrier(), [("wan2", "carrier-none")]),
    (lambda lab: lab.wan2.lose_addresses(), [("wan2", "address-none")]),
    (lambda lab: lab.wan2.remove(), [("wan2", "interface-missing")]),
    (lambda lab: lab.wan2.swallow_questions(), [("wan2", "names-dead")]),
], ids=["carrier", "address", "interface", "names"])
def test_what_no_command_repairs(doctor, lab, plant, found):
    plant(lab)
    assert doctor.findings(code=0) == found
    lab.restore()
    assert doctor.findings(code=0) == []


def test_a_line_that_leads_nowhere(lab, doctor):
    doctor.options[1] = f"http://{OPEN4}:{doctor.good.port}/204"
    lab.wan3.swallow()
    assert doctor.findings(code=0) == [("wan3", "internet-unreached")]


def test_a_router_that_is_gone(lab, doctor):
    doctor.options[1] = f"http://{OPEN4}:{doctor.good.port}/204"
    lab.wan3.lose_router()
    run_line("ip", "neigh", "flush", "dev", "wan3")
    assert doctor.findings(code=0) == [("wan3", "internet-unreached"), ("wan3", "router-silent")]


def test_a_captive_portal(doctor, origin):
    portal = HttpOrigin(origin, lambda *_: response(302, b"", "Location: http://portal.test/", phrase="Found"))
    doctor.options[1] = f"http://{OPEN4}:{portal.port}/204"
    assert doctor.findings("wan1", code=1) == [("wan1", "captive-portal")]


def test_an_address_of_somebody_else(doctor):
    assert doctor.findings("192.0.2.77", "wan1", code=0) == [("192.0.2.77", "address-missing")]
    assert doctor.findings("192.0.2.77", code=1) == [("192.0.2.77", "address-missing")]


def test_two_that_look_like_one(doctor, origin):
    mirror = HttpOrigin(origin, lambda *_: response(200, b"203.0.113.5"))
    doctor.options[3] = f"http://{OPEN4}:{mirror.port}/"
    assert doctor.findings("wan1", "wan2", code=0) == [("wan2", "same-public-address")]


def test_two_interfaces_behind_one_router(doctor, segment):
    segment.join("two1", "10.0.9.2")
    segment.join("two2", "10.0.9.3")
    assert doctor.findings("two1", "two2", code=0) == [("two2", "same-router")]


def test_a_place_to_listen_that_is_not_here(doctor):
    assert doctor.findings("--listen", "192.0.2.78:1080", "wan1", code=1) == [(None, "listen-address-missing")]
    assert doctor.findings("--host", "*", "wan1", code=0) == []


def test_what_is_asked_wrongly(doctor):
    assert refused(2, "doctor", "--public-address", "x", "wan1") == "--public-address: 'x' is no URL (http://...), nor none"
    assert doctor("--public-address", "none", "wan1")["uplinks"][0]["facts"].get("public address") is None
