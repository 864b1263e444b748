"""steerway doctor: each planted fault is found and named, and no other is. The printed repair works, and so does its
undo."""

import json
import re
import shlex
import shutil
import socket
import struct
from contextlib import suppress

import pytest

from lab.command import refused, run
from lab.http import HttpOrigin, response
from lab.origin import echo, read_exactly, read_head
from lab.proxy import BINARY, ROOT
from lab.run import run as run_line, wait_for
from lab.socks import socks5_connect
from lab.topology import HOLE4, NAMES4, NAMES6, OPEN4

LINES = ("wan1", "wan2", "wan3")


class Doctor:
    def __init__(self, target, address):
        self.options = ["--check", target, "--public-address", address, "--dns", NAMES4]

    def __call__(self, *args, code=None, text=False, **options):
        r = run("doctor", "--dial-timeout", "2", *self.options, *([] if text else ["--json"]), *(args or LINES), **options)
        assert r.stderr == "", r.stderr
        assert code is None or r.returncode == code, r
        return r.stdout if text else json.loads(r.stdout)

    def findings(self, *args, **options):
        """(uplink, id) of the findings."""
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
    d.literal = f"http://{OPEN4}:{good.port}/204"
    assert lab
    return d


def obey(command):
    """Run a printed command as a reader would."""
    words = shlex.split(command)
    assert run_line(*words).code == 0, command
    if words[:3] == ["ip", "link", "set"] and words[-1] == "up":  # the kernel reports the carrier a little later
        wait_for(lambda: "LOWER_UP" in run_line("ip", "link", "show", words[3]).text, f"carrier of {words[3]}")


def repairs(doctor, uplink, id):
    """Exactly this fault is found; the printed repair removes it, and the printed undo brings it back."""
    finding = doctor.one(code=0)
    assert (finding.get("uplink"), finding["id"]) == (uplink, id)
    assert finding["why"] and finding["what"]
    obey(finding["repair"])
    assert doctor.findings(code=0) == []
    obey(finding["undo"])
    assert doctor.findings() == [(uplink, id)]


def test_a_healthy_machine(doctor):
    answer = doctor(code=0)
    assert answer["findings"] == [] and answer["would_start"] is True
    facts = answer["uplinks"][1]["facts"]
    assert facts["link"].startswith("wan2, up, MTU 1500")
    assert (facts["address"], facts["router"], facts["public address"]) == ("10.0.2.2, 2001:db8:2::2", "10.0.2.1, 2001:db8:2::1", "10.0.2.2")
    assert facts["name servers"] == NAMES4 and facts["internet"].startswith("answers in ")
    assert answer["machine"]["listens on"] == "127.0.0.1:1080, [::1]:1080"
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
    """One family at a time; the other works meanwhile."""
    lab.wan3.broken = True
    doctor.options = ["--check", "none", "--public-address", "none"]
    run_line("ip", "-4", "route", "del", "default", "dev", "wan3")
    repairs(doctor, "wan3", "route-none")


def test_no_ipv6_route(doctor, lab):
    lab.wan3.broken = True
    with pytest.raises(OSError):  # no server listens, but the router's address becomes known
        socket.create_connection((lab.wan3.gateway6, 9), timeout=5)
    run_line("ip", "-6", "route", "del", "default", "dev", "wan3")
    repairs(doctor, "wan3", "route-none")


def test_no_route_of_either_family_is_an_error_of_both(doctor, lab):
    lab.wan3.broken = True
    for family in ("-4", "-6"):
        run_line("ip", family, "route", "del", "default", "dev", "wan3")
    assert doctor.findings("wan3", code=1) == [("wan3", "route-none")] * 2


def repairs_the_way(doctor, lab, id, undo_plant):
    """Only IPv4 is asked for: the line does not work until the repair is done."""
    doctor.options = ["--check", doctor.literal, "--public-address", "none", "--dns", NAMES6]
    try:
        first, second = doctor(code=0)["findings"]
        assert [(f["uplink"], f["id"]) for f in (first, second)] == [("wan3", id), ("wan3", "internet-unreached")]
        obey(first["repair"])
        assert doctor.findings(code=0) == []
        obey(first["undo"])
        assert doctor.findings(code=0)[0] == ("wan3", id)
    finally:
        obey(undo_plant)


def test_a_rule_that_turns_away(doctor, lab):
    obey("ip rule add pref 500 from 10.0.3.2 prohibit")
    repairs_the_way(doctor, lab, "rule-blocks", "ip rule del pref 500")


def test_a_route_that_no_rule_leads_to(doctor, lab):
    lab.wan3.broken = True
    obey("ip route del default dev wan3")
    obey("ip route add default via 10.0.3.1 dev wan3 table 77")
    repairs_the_way(doctor, lab, "route-unused", "ip route flush table 77")


def advertise(uplink):
    """The provider's router advertises itself (RFC 4861 4.2) and the line's network."""
    router = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 600, 0, 0)
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 600, 600, 0) + socket.inet_pton(socket.AF_INET6, f"2001:db8:{uplink.number}::")
    with uplink.isp.within():
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        s.sendto(router + prefix, ("ff02::1", 0, 0, socket.if_nametoindex(f"line{uplink.number}")))
        s.close()


def test_advertisements_that_a_gateway_ignores(doctor, lab):
    lab.wan2.broken = True
    run_line("ip", "-6", "address", "flush", "dev", "wan2", "scope", "global").ok()
    run_line("ip", "-6", "route", "flush", "dev", "wan2", "default")
    lab.home.sysctl("net.ipv6.conf.wan2.forwarding", 1)
    lab.home.sysctl("net.ipv6.conf.wan2.accept_ra", 1)
    try:
        advertise(lab.wan2)
        finding = doctor.one(code=0)
        assert (finding["uplink"], finding["id"], finding["severity"]) == ("wan2", "ra-ignored", "note")
        obey(finding["repair"])
        advertise(lab.wan2)
        wait_for(lambda: "2001:db8:2:" in run_line("ip", "-6", "address", "show", "dev", "wan2", "scope", "global", "-tentative").text
                 and run_line("ip", "-6", "route", "show", "default", "dev", "wan2").text, "it has an address and a router")
        answer = doctor(code=0)
        assert answer["findings"] == []
        assert answer["uplinks"][1]["facts"]["route"] == "packets leave by wan2 with IPv4 and IPv6"
        obey(finding["undo"])
        assert run_line("sysctl", "-n", "net.ipv6.conf.wan2.accept_ra").text.strip() == "1"
    finally:
        for what in ("address flush dev wan2 scope global", "route flush dev wan2 proto ra"):
            run_line("ip", "-6", *what.split())
        lab.home.sysctl("net.ipv6.conf.wan2.forwarding", 0)
        lab.home.sysctl("net.ipv6.conf.wan2.accept_ra", 0)


def test_ipv6_that_is_switched_off(doctor, lab):
    lab.wan1.broken = True
    lab.home.sysctl("net.ipv6.conf.wan1.disable_ipv6", 1)
    try:
        repairs(doctor, "wan1", "ipv6-off")
    finally:
        lab.home.sysctl("net.ipv6.conf.wan1.disable_ipv6", 0)


def who_has(space, link, own, wanted):
    """The number of answers to an ARP request (RFC 826)."""
    with space.within():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    with s:
        s.bind((link, 0x0806))
        mac = s.getsockname()[4]
        ask = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, socket.inet_aton(own), bytes(6), socket.inet_aton(wanted))
        s.send(b"\xff" * 6 + mac + b"\x08\x06" + ask)
        s.settimeout(0.3)
        answers = set()
        with suppress(TimeoutError):
            while len(answers) < 9:
                packet = s.recv(2048)
                if packet[20:22] == b"\0\2" and packet[28:32] == socket.inet_aton(wanted):
                    answers.add(packet[22:28])
    return len(answers)


def test_two_interfaces_that_answer_for_each_other(doctor, segment):
    """Both interfaces answer for one address until the repair is done."""
    segment.join("two1", "10.0.9.2")
    segment.join("two2", "10.0.9.3")

    def answers():
        return who_has(segment.routers[0], "inside", "10.0.9.1", "10.0.9.3")

    finding = next(f for f in doctor("two1", "two2", code=0)["findings"] if f["id"] == "arp-for-others")
    assert finding["uplink"] == "two2"
    assert answers() == 2
    obey(finding["repair"])
    assert doctor.findings("two1", "two2", code=0) == [("two2", "same-router")]
    assert answers() == 1
    obey(finding["undo"])
    assert ("two2", "arp-for-others") in doctor.findings("two1", "two2", code=0)


def test_a_low_limit_of_open_files(doctor):
    """The commands are for the shell that starts the program."""
    doctors = " ".join(shlex.quote(str(a)) for a in [BINARY, "doctor", *doctor.options, "--json", *LINES])
    first = json.loads(run_line("bash", "-c", f"ulimit -n 1024; {doctors}").text)["findings"]
    assert [f["id"] for f in first] == ["files-few"]
    if run_line("bash", "-c", "ulimit -n 1024; prlimit --pid $$ --nofile=2048:2048").code != 0:
        return  # root in a container may lack the right to do that
    again = run_line("bash", "-c", f"ulimit -n 1024; {first[0]['repair']}; {doctors}; {first[0]['undo']}; ulimit -Hn").ok()
    assert '"findings": []' in again.text and again.text.endswith("\n1024\n")


def test_marks_that_a_user_may_not_set(doctor, lab, segment, tmp_path_factory):
    segment.join("two0", "10.0.9.2")
    place = tmp_path_factory.mktemp("program")
    for folder in (place, place.parent, place.parent.parent):
        folder.chmod(0o755)
    program, config = place / "steerway", place / "config.lua"
    shutil.copy(BINARY, program)
    for folder in ("lua", "policies"):
        shutil.copytree(ROOT / folder, place / folder)
    config.write_text('return { uplinks = { { interface = "two0", gateway = "10.0.9.254" } } }')
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def answer():
        r = run_line(*as_user, program, "doctor", "--data-dir", place, *doctor.options, "--json", "--config", config)
        assert not r.err, r.err
        return r.code, [f["id"] for f in json.loads(r.text)["findings"]], r.text

    code, ids, text = answer()
    assert (code, ids) == (1, ["mark-not-permitted"])
    finding = json.loads(text)["findings"][0]
    assert finding["repair"] == f"setcap cap_net_admin+ep {program}"
    obey(finding["repair"])
    assert answer()[:2] == (0, [])
    obey(finding["undo"])
    assert answer()[:2] == (1, ["mark-not-permitted"])


def test_a_gateway_that_is_no_neighbour(doctor, segment, tmp_path):
    segment.join("two0", "10.0.9.2")
    config = tmp_path / "config.lua"
    config.write_text('return { uplinks = { { interface = "two0", gateway = "192.0.2.1" } } }')
    assert doctor.findings("--config", config, code=1) == [("two0", "gateway-unreachable")]


def test_it_does_not_change_what_a_running_proxy_has_set(start, doctor, segment, origin, tmp_path):
    segment.join("two0", "10.0.9.2")
    config = tmp_path / "config.lua"
    config.write_text('return { uplinks = { { interface = "two0", gateway = "10.0.9.254" } } }')
    server = origin(echo)
    proxy = start("--config", config)
    other = start("--config", config)
    rules = run_line("ip", "rule").text
    assert doctor.findings("--config", config, code=0) == []
    assert run_line("ip", "rule").text == rules
    other.stop()
    before = segment.passed()
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        tunnel.sendall(b"ping")
        assert tunnel.recv(64) == b"ping"
    assert [now > then for now, then in zip(segment.passed(), before)] == [False, True]


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
    """Rules may define the way back to an address: then no packets are dropped."""
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
    (lambda lab: lab.wan2.lose_carrier_and_wait(), [("wan2", "carrier-none")]),
    (lambda lab: lab.wan2.lose_addresses(), [("wan2", "address-none")]),
    (lambda lab: lab.wan2.remove(), [("wan2", "interface-missing")]),
    (lambda lab: lab.wan2.swallow_questions(), [("wan2", "names-dead")]),
], ids=["carrier", "address", "interface", "names"])
def test_findings_without_a_repair(doctor, lab, plant, found):
    plant(lab)
    assert doctor.findings(code=0) == found
    lab.restore()
    assert doctor.findings(code=0) == []


def test_a_line_that_leads_nowhere(lab, doctor):
    doctor.options[1] = doctor.literal
    lab.wan3.swallow()
    assert doctor.findings(code=0) == [("wan3", "internet-unreached")]


def test_a_router_that_is_gone(lab, doctor):
    doctor.options[1] = doctor.literal
    lab.wan3.lose_router()
    run_line("ip", "neigh", "flush", "dev", "wan3")
    assert doctor.findings(code=0) == [("wan3", "internet-unreached"), ("wan3", "router-silent")]


def test_a_captive_portal(doctor, origin):
    portal = HttpOrigin(origin, lambda *_: response(302, b"", "Location: http://portal.test/", phrase="Found"))
    doctor.options[1] = f"http://{OPEN4}:{portal.port}/204"
    finding = doctor.one("wan1", code=1)
    assert finding["id"] == "captive-portal" and "(status 302, to http://portal.test/)" in finding["what"]


def test_an_address_of_another_machine(doctor):
    assert doctor.findings("192.0.2.77", "wan1", code=0) == [("192.0.2.77", "address-missing")]
    assert doctor.findings("192.0.2.77", code=1) == [("192.0.2.77", "address-missing")]


def test_two_uplinks_that_look_like_one(doctor, origin):
    mirror = HttpOrigin(origin, lambda *_: response(200, b"203.0.113.5"))
    doctor.options[3] = f"http://{OPEN4}:{mirror.port}/"
    assert doctor.findings("wan1", "wan2", code=0) == [("wan2", "same-public-address")]


def test_two_interfaces_behind_one_router(doctor, segment):
    segment.join("two1", "10.0.9.2")
    segment.join("two2", "10.0.9.3")
    assert ("two2", "same-router") in doctor.findings("two1", "two2", code=0)


def test_a_listening_address_that_is_missing(doctor):
    assert doctor.findings("--listen", "192.0.2.78:1080", "wan1", code=1) == [(None, "listen-address-missing")]
    beside = ("--listen", "192.0.2.78:1080", "--listen", "127.0.0.1:1080", "wan1")
    assert doctor.one(*beside, code=0)["severity"] == "warning"
    assert doctor.one("--listen-strict", *beside, code=1)["severity"] == "error"
    assert doctor.findings("--host", "*", "wan1", code=0) == []


def test_invalid_arguments(doctor):
    assert refused(2, "doctor", "--public-address", "x", "wan1") == "--public-address: expected a URL (http://...) or none, got 'x'"
    assert doctor("--public-address", "none", "wan1")["uplinks"][0]["facts"].get("public address") is None


def test_skipped_tests_are_reported(doctor, lab):
    doctor.options = ["--check", doctor.literal, "--public-address", "none", "--dns", NAMES4]
    assert doctor("wan1", code=0)["uplinks"][0]["facts"]["name servers"] == f"{NAMES4} (not asked)"


def test_a_service_that_does_not_tell_the_address(doctor, origin):
    silent = HttpOrigin(origin, lambda *_: response(500))
    doctor.options[3] = f"http://{OPEN4}:{silent.port}/"
    assert doctor.findings("wan1", code=0) == [("wan1", "public-address-unknown")]


def test_a_loopback_address(doctor):
    assert doctor.findings("127.0.0.5", "wan1", code=0) == [("127.0.0.5", "address-loopback")]


def test_the_manual_lists_every_finding():
    words = {word for path in (ROOT / "engine/app/doctor").glob("*.c") for word in re.findall(r'SEVERITY_[A-Z]+,\s*"([a-z0-9-]+)"', path.read_text())}
    words |= set(re.findall(r'severity,\s*"([a-z0-9-]+)"', (ROOT / "engine/app/doctor/judge_ways.c").read_text()))
    manual = (ROOT / "docs/steerway.1").read_text()
    part = manual[manual.index("each finding has one of these identifiers:") : manual.index("files-few")] + "files-few"
    assert len(words) == 38 and words == set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)+", part)), words


def test_upstreams(doctor, origin):
    def far(s):
        assert read_exactly(s, 3) == b"\x05\x01\x00"
        s.sendall(b"\x05\x00")
        read_exactly(s, 10 if doctor.options[1] == doctor.literal else 16)
        s.sendall(b"\x05\x00\x00\x01" + bytes(6))
        read_head(s)
        s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def closed(s):
        assert read_exactly(s, 1)

    doctor.options = ["--check", doctor.literal, "--public-address", "none", "--dns", NAMES4]
    good, bad = origin(far), origin(closed)
    answer = doctor(f"socks5://{OPEN4}:{good.port}", code=0)
    assert answer["findings"] == []
    facts = answer["uplinks"][0]["facts"]
    assert facts["upstream"] == f"socks5://{OPEN4}:{good.port}, by the machine's own routing" and "internet" in facts
    for dead in (f"socks5://{OPEN4}:{bad.port}", f"http://{OPEN4}:9"):
        assert doctor.findings(dead, code=1) == [(dead.split("//")[1], "upstream-dead")]


def test_full_packets_that_get_lost(doctor, lab):
    lab.wan2.broken = True
    lab.wan2.isp.nft("table inet block {\nchain f { type filter hook forward priority 0; meta length > 1300 drop; }\n}")
    try:
        repairs(doctor, "wan2", "large-packets-lost")
    finally:
        run_line("ip", "link", "set", "wan2", "mtu", "1500")


def test_the_doctor_uses_the_checks_of_an_uplink(doctor, lab, tmp_path):
    """An uplink's own check is used. A metered uplink, or one without checks, is not tested at all."""
    config = tmp_path / "config.lua"
    config.write_text(f"""return {{ check = "http://{HOLE4}/204", uplinks = {{ {{ interface = "wan1", check = "{doctor.literal}" }},
        {{ interface = "wan2", tags = {{ "metered" }} }}, {{ interface = "wan3", check = "none" }} }} }}""")
    doctor.options = doctor.options[2:]
    before = lab.tcp_sent()
    answer = doctor("--config", config, code=0)
    assert answer["findings"] == []
    assert [u["facts"]["internet"][:10] for u in answer["uplinks"]] == ["answers in", "not asked:", "not asked:"]
    sent = {name: n - before[name] for name, n in lab.tcp_sent().items()}
    assert sent["wan1"] > 0 and sent["wan2"] == sent["wan3"] == 0, sent


def test_a_target_of_the_other_family(doctor, lab):
    lab.wan2.broken = True
    run_line("ip", "-4", "address", "flush", "dev", "wan2", "scope", "global").ok()
    doctor.options = ["--check", doctor.literal, "--public-address", "none", "--dns", NAMES6]
    assert doctor.findings("wan2", code=0) == [("wan2", "targets-foreign")]
