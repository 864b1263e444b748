"""A capture follows the machine's networks: what goes to a new one flows past the proxy, and what goes to a former one is
captured. Nothing else of the table is touched, and doctor finds a table that does not fit the machine."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from lab.origin import echo
from lab.proxy import BINARY, UNRACED
from lab.run import run, sh, wait_for
from lab.topology import LAN_HOME, OPEN4, OPEN6

# For a while, the LAN has the network in which OPEN4 and OPEN6 are on the internet.
NETWORKS = {OPEN4: "198.51.100.200/24", OPEN6: "2001:db8:ffff::200/64"}
FOREIGN = "nft: Error: the table inet steerway has chain mine, which is not of capture"
MODES = pytest.mark.parametrize("mode", ["pass", "stop"])


class Lan:
    """A network that comes and goes on lan0, with a neighbour that has the address of a far host."""

    def __init__(self, lab):
        self.lab, self.here = lab, set()

    def come(self, host=OPEN4):
        six = ("-6", "nodad") if ":" in host else ("-4", "")
        bits = NETWORKS[host].rpartition("/")[2]
        self.here.add(host)
        self.lab.lan.sh(f"ip {six[0]} address add {host}/{bits} dev eth0 {six[1]}")
        sh(f"ip {six[0]} address add {NETWORKS[host]} dev lan0 {six[1]}")

    def go(self, host=OPEN4):
        self.here.discard(host)
        family = "-6" if ":" in host else "-4"
        run("ip", family, "address", "delete", NETWORKS[host], "dev", "lan0")
        self.lab.lan.run("ip", family, "address", "delete", f"{host}/{NETWORKS[host].rpartition('/')[2]}", "dev", "eth0")

    def answers(self, host, port):
        """A connection from here ends at the neighbour."""
        with self.lab.lan.listen(host, port) as server, socket.create_connection((host, port), timeout=20):
            server.settimeout(20)
            server.accept()[0].close()


@pytest.fixture(autouse=True)
def no_table_is_left(lab):
    yield
    run("nft", "delete", "table", "inet", "steerway")


@pytest.fixture
def lan(lab):
    network = Lan(lab)
    yield network
    for host in list(network.here):
        network.go(host)


@pytest.fixture
def far(origin):
    """Ports of servers on the internet, by address."""
    return {host: origin(echo, address=host).port for host in (OPEN4, OPEN6)}


@pytest.fixture
def proxy(lab, start):
    proxy = start(*UNRACED, "--transparent", "tproxy:localhost:0", "wan1", "wan2")
    yield proxy
    proxy.tell("capture", "off")


def reach(host, port):
    with socket.create_connection((host, port), timeout=20) as s:
        s.sendall(b"ping")
        assert s.recv(10) == b"ping"


def captured():
    """The connections that the rules have captured."""
    items = json.loads(sh("nft -j list chain inet steerway take"))["nftables"]
    return sum(part["counter"]["packets"] for item in items for part in item.get("rule", {}).get("expr", []) if "counter" in part)


def rules():
    """The table without the elements of its sets and without counts, with the handles of its rules."""
    text = re.sub(r"elements = \{[^}]*\}", "", sh("nft -a -s list table inet steerway"))
    return re.sub(r" # progname .*", "", text)


def is_near(host):
    return run("nft", "get", "element", "inet", "steerway", f"near{6 if ':' in host else 4}", f"{{ {host} }}").code == 0


def updates(proxy, n):
    wait_for(lambda: len(proxy.events("capture_updated")) >= n, f"the capture is brought up to date {n} times")
    assert len(proxy.events("capture_updated")) == n


def findings(proxy):
    r = subprocess.run([str(BINARY), "doctor", "wan1", "--json", "--check", "none", "--public-address", "none"], env=proxy.env,
                       capture_output=True, text=True, timeout=60)
    return {f["id"]: f for f in json.loads(r.stdout)["findings"] if f["id"].startswith("capture-")}


@MODES
def test_networks_come_and_go(proxy, lan, far, mode):
    proxy.tell("capture", "on", "--lan", "lan0", "--when-gone", mode)
    if mode == "stop":  # what others have put there
        for line in ("nft add chain inet steerway mine", "nft add rule inet steerway mine jump take", "nft add rule inet steerway output meta mark 77 accept"):
            sh(line)
    before = rules()
    with socket.create_connection((OPEN4, far[OPEN4]), timeout=20) as held:
        reach(OPEN6, far[OPEN6])
        assert captured() == 2
        for n, host in enumerate(NETWORKS):
            lan.come(host)
            updates(proxy, 2 * n + 1)
            assert captured() == 2 + n
            lan.answers(host, far[host])
            assert captured() == 2 + n, "it has flowed past"
            lan.go(host)
            updates(proxy, 2 * n + 2)
            reach(host, far[host])
            assert captured() == 3 + n, "its network is not near any more"
        held.sendall(b"still the same")
        assert held.recv(100) == b"still the same"
    assert rules() == before
    assert findings(proxy) == {}
    assert len(proxy.connections(4)) == 4
    updates(proxy, 4)
    if mode == "stop":
        assert "which is not of capture" in proxy.tell("capture", "on", code=1)
        sh("nft delete chain inet steerway mine")
        sh("nft delete rule inet steerway output handle " + re.search(r"0x0000004d accept # handle (\d+)", before)[1])
    proxy.tell("capture", "off")
    lan.come()
    proxy.wait_event("networks_changed")
    assert run("nft", "list", "table", "inet", "steerway").code != 0


def test_links_that_are_replugged(proxy, lab, far):
    proxy.tell("capture", "on")
    lab.wan2.lose_carrier_and_wait()
    proxy.wait_event("uplink_down")
    lab.wan2.restore()
    proxy.wait_event("uplink_up")
    assert not proxy.events("capture_updated"), "its networks are the same"
    lab.wan2.remove()
    updates(proxy, 1)
    assert not is_near(lab.wan2.gateway4) and not is_near(lab.wan2.gateway6)
    lab.wan2.restore()
    wait_for(lambda: is_near(lab.wan2.gateway4) and is_near(lab.wan2.gateway6), "its networks are near again")
    reach(OPEN4, far[OPEN4])
    assert captured() == 1


@pytest.mark.parametrize("foreign", [False, True], ids=["alone", "with parts of others"])
def test_a_later_run_follows_a_table_that_stays(proxy, start, lan, far, foreign):
    """And takes up what has changed while no proxy ran: the networks, and where the proxy listens."""
    proxy.tell("capture", "on", "--when-gone", "stop")
    listeners = proxy.ask("capture")["listeners"]
    proxy.kill()
    assert set(findings(proxy)) == {"capture-stale"}
    lan.come()
    found = findings(proxy)
    assert set(found) == {"capture-stale", "capture-outdated"}
    assert "198.51.100.0/24" in found["capture-outdated"]["what"] and found["capture-outdated"]["repair"] == "steerway capture off"
    env = ("env", f"XDG_RUNTIME_DIR={proxy.runtime}", f"XDG_STATE_HOME={proxy.runtime}")
    if foreign:  # the rules must stay
        sh("nft add chain inet steerway mine")
        before = rules()
        words = [word for place in listeners for word in ("--transparent", f"tproxy:{place}")]
    else:
        words = ["--transparent", "tproxy:localhost:0"]
    other = start(*UNRACED, *words, "wan1", "wan2", prefix=env)
    updates(other, 1)
    lan.answers(OPEN4, far[OPEN4])
    lan.go()
    updates(other, 2)
    reach(OPEN4, far[OPEN4])
    assert captured() == 1 and len(other.connections(1)) == 1
    assert findings(proxy) == {}
    if foreign:
        assert rules() == before
        other.wait_event("capture_outdated", why=FOREIGN)
        sh("nft delete chain inet steerway mine")
    else:
        assert f"tproxy ip to {proxy.ask('capture')['listeners'][0]} " in rules()
    assert len(other.events("capture_outdated")) == foreign


def test_rules_that_lead_nowhere_are_told_and_mended_later(proxy, start, far):
    """Another program's chain keeps a later run, on another port, from replacing them. Then that goes."""
    proxy.tell("capture", "on", "--when-gone", "stop")
    (place, *_) = proxy.ask("capture")["listeners"]
    proxy.kill()
    sh("nft add chain inet steerway mine")
    env = ("env", f"XDG_RUNTIME_DIR={proxy.runtime}", f"XDG_STATE_HOME={proxy.runtime}")
    other = start(*UNRACED, "--transparent", "tproxy:localhost:0", "wan1", "wan2", prefix=env)
    other.wait_event("capture_outdated", why=FOREIGN)
    found = findings(proxy)
    assert set(found) == {"capture-misled"}
    f = found["capture-misled"]
    assert f["what"].startswith(f"captured traffic is led to {place}, ") and FOREIGN in f["why"], f
    assert (f["severity"], f["repair"], f["undo"]) == ("warning", "steerway capture on --when-gone stop", "steerway capture off")
    sh("nft delete chain inet steerway mine")
    sh("ip address add 10.66.0.1/24 dev lan0")  # any change; or a minute later
    try:
        wait_for(lambda: findings(proxy) == {}, "the rules lead to the listener")
        reach(OPEN4, far[OPEN4])
        assert captured() == 1 and len(other.connections(1)) == 1
    finally:
        sh("ip address delete 10.66.0.1/24 dev lan0")


def test_a_listener_that_leaves_with_the_config(lab, start, config, far):
    words = ", ".join(f'"{word}"' for word in ("tproxy:127.0.0.1:0", "tproxy:[::1]:0"))
    proxy = start("--config", config(f'return {{ listen = "127.0.0.1:0", transparent = {{ {words} }}, uplinks = {{ "wan1" }} }}'), port=False)
    proxy.tell("capture", "on")
    try:
        with socket.create_server(("127.0.0.2", 0)) as s:
            place = f"127.0.0.2:{s.getsockname()[1]}"
        config(f'return {{ listen = "127.0.0.1:0", transparent = {{ "tproxy:{place}", "tproxy:[::1]:0" }}, uplinks = {{ "wan1" }} }}')
        proxy.tell("reload")
        updates(proxy, 1)
        assert f"tproxy ip to {place} " in rules()
        reach(OPEN4, far[OPEN4])
        assert findings(proxy) == {}
    finally:
        proxy.tell("capture", "off")


def test_the_last_listener_leaves_with_its_address(lab, start, far):
    proxy = start(*UNRACED, "--transparent", f"tproxy:{LAN_HOME}:0", "--transparent", "tproxy:[::1]:0", "wan1", "wan2")
    proxy.tell("capture", "on")
    (place, _) = proxy.ask("capture")["listeners"]
    try:
        sh(f"ip address delete {LAN_HOME}/24 dev lan0")
        why = proxy.wait_event("capture_outdated")["why"]
        f = findings(proxy)["capture-misled"]
        assert place in f["what"] and why[:100] in f["why"] and f["repair"] == "steerway capture on", f
        sh(f"ip address replace {LAN_HOME}/24 dev lan0")
        wait_for(lambda: findings(proxy) == {}, "it listens again")
        reach(OPEN4, far[OPEN4])
    finally:
        sh(f"ip address replace {LAN_HOME}/24 dev lan0")
        proxy.tell("capture", "off")


@pytest.mark.once
def test_nft_that_answers_late(proxy, lan, far):
    """By then, the network that it lets pass has gone again. nft gets ten seconds."""
    proxy.tell("capture", "on")
    holder = holder_of(proxy)
    os.kill(holder, signal.SIGSTOP)
    try:
        lan.come()
        proxy.wait_event("capture_outdated", why="nft does not answer", timeout=60)
        lan.go()
    finally:
        os.kill(holder, signal.SIGCONT)
    updates(proxy, 1)
    assert not is_near(OPEN4) and findings(proxy) == {}
    reach(OPEN4, far[OPEN4])
    assert captured() == 1 and len(proxy.events("capture_outdated")) == 1


def test_after_a_reboot_nothing_is_taken_over(proxy, start, lan):
    """The record is still there, and the rules are not."""
    proxy.tell("capture", "on", "--when-gone", "stop")
    proxy.kill()
    sh("nft delete table inet steerway")
    for family in ("-4", "-6"):
        sh(f"ip {family} rule delete pref 1000")
        sh(f"ip {family} route flush table 0x5357fff0")
    env = ("env", f"XDG_RUNTIME_DIR={proxy.runtime}", f"XDG_STATE_HOME={proxy.runtime}")
    other = start(*UNRACED, "--transparent", "tproxy:localhost:0", "wan1", prefix=env)
    lan.come()
    other.wait_event("networks_changed")
    assert set(findings(proxy)) == {"capture-incomplete"}
    assert not other.events("capture_outdated") and not other.events("capture_updated")


def test_a_table_of_another_proxy_is_not_followed(proxy, start, lan, far):
    proxy.tell("capture", "on", "--when-gone", "stop")
    before = sh("nft -a -s list table inet steerway")
    proxy.kill()
    other = start(*UNRACED, "--transparent", "tproxy:localhost:0", "wan1", prefix=("env", f"XDG_STATE_HOME={proxy.runtime}"))
    lan.come()
    other.wait_event("networks_changed")
    assert not other.ask("capture")["held"]
    assert not other.events("capture_updated") and sh("nft -a -s list table inet steerway") == before


@MODES
def test_a_listener_that_leaves_with_its_address(lab, start, far, mode):
    """Then the rules lead to the other one, all at once."""
    proxy = start(*UNRACED, "--transparent", f"tproxy:{LAN_HOME}:0", "--transparent", "tproxy:localhost:0", "wan1", "wan2")
    proxy.tell("capture", "on", "--when-gone", mode)
    try:
        assert f"tproxy ip to {LAN_HOME}:" in rules()
        reach(OPEN4, far[OPEN4])
        sh(f"ip address delete {LAN_HOME}/24 dev lan0")
        updates(proxy, 1)
        assert "tproxy ip to 127.0.0.1:" in rules() and not is_near(LAN_HOME)
        reach(OPEN4, far[OPEN4])
        assert captured() == 1 and len(proxy.connections(2)) == 2
    finally:
        sh(f"ip address replace {LAN_HOME}/24 dev lan0")
        proxy.tell("capture", "off")


def test_a_listener_for_ipv6_that_comes_later(lab, start, far):
    """Its routing rules are added by steerway capture alone, so the proxy leaves IPv6 as it was."""
    sh("ip -6 address add fd99::1/64 dev lan0 nodad")
    proxy = start("--transparent", "tproxy:[fd99::1]:0", "--transparent", "tproxy:127.0.0.1:0", "wan1", "wan2")
    proxy.tell("capture", "on")
    try:
        before = rules()
        sh("ip -6 address delete fd99::1/64 dev lan0")
        why = "this machine has IPv6, and the proxy has no listener for it; start it with --transparent tproxy:[::1]:1081, too"
        proxy.wait_event("capture_outdated", why=why, repair="steerway capture on")
        updates(proxy, 1)
        assert rules() == before and not is_near("fd99::1")
        sh("ip address add 10.66.0.1/24 dev lan0")
        updates(proxy, 2)
        assert len(proxy.events("capture_outdated")) == 1, "it is said once"
    finally:
        run("ip", "address", "delete", "10.66.0.1/24", "dev", "lan0")
        sh("ip -6 address replace fd99::1/64 dev lan0 nodad")
        proxy.tell("capture", "off")
        sh("ip -6 address delete fd99::1/64 dev lan0")


def holder_of(proxy):
    return int(run("ps", "-o", "pid=", "--ppid", str(proxy.pid)).text.split()[0])


def test_a_change_by_the_user_waits_for_an_update(proxy, lan):
    """Meanwhile doctor finds the table that does not fit."""
    proxy.tell("capture", "on")
    holder = holder_of(proxy)
    os.kill(holder, signal.SIGSTOP)
    try:
        lan.come()
        proxy.wait_event("networks_changed")
        found = findings(proxy)["capture-outdated"]
        assert (found["severity"], found["repair"], found["undo"]) == ("warning", "steerway capture on", "steerway capture off")
        assert "198.51.100.0/24" in found["what"]
        with subprocess.Popen([BINARY, "capture", "on", "--user", "7"], env=proxy.env, stdout=subprocess.PIPE, text=True) as on:
            asleep = Path(f"/proc/{on.pid}/wchan")
            wait_for(lambda: on.poll() is not None or re.search("unix|recv|wait", asleep.read_text()), "it waits for the proxy")
            os.kill(holder, signal.SIGCONT)
            assert on.wait(60) == 0 and "--user 7" in on.stdout.read()
    finally:
        os.kill(holder, signal.SIGCONT)
    assert "skuid 7" in rules() and findings(proxy) == {}


@pytest.mark.skipif(not shutil.which("nsenter"), reason="nsenter is not installed")
def test_what_keeps_it_from_following_is_told(lab, start, lan):
    nft = os.path.realpath(shutil.which("nft"))
    proxy = start("--transparent", "tproxy:localhost:0", "wan1", prefix=("unshare", "--mount"))
    inside = ("nsenter", "--target", str(proxy.pid), "--mount")
    proxy.tell("capture", "on", "--user", "7", "--when-gone", "stop")
    try:
        before = sh("nft -a -s list table inet steerway")
        run(*inside, "mount", "--bind", "/dev/null", nft).ok()
        lan.come()
        event = proxy.wait_event("capture_outdated")
        assert "nft is missing: install nftables" in event["why"], event
        again = "steerway capture on --user 7 --when-gone stop"
        assert event["repair"] == again
        assert findings(proxy)["capture-outdated"]["repair"] == again
        assert sh("nft -a -s list table inet steerway") == before
        run(*inside, "umount", nft).ok()
        lan.come(OPEN6)  # the next change
        proxy.wait_event("capture_updated")
        assert findings(proxy) == {} and len(proxy.events("capture_outdated")) == 1
    finally:
        proxy.tell("capture", "off")


def test_an_uplinks_device_as_the_lan(proxy):
    r = subprocess.run([BINARY, "capture", "on", "--lan", "wan1", "--lan", "lan0"], env=proxy.env, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and r.stdout.startswith("captured: "), r
    assert r.stderr.startswith("steerway: --lan wan1: this is the device of the uplink wan1.") and "lan0" not in r.stderr, r
