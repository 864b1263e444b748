"""steerway capture adds its rules beside those of others, and removes its own and nothing else: in whatever order others
come and go, and however the proxy ends. Compared is all that the kernel has: rulesets, routing rules, routes, settings."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab.command import refused, run as steerway
from lab.origin import echo
from lab.proxy import BINARY, ROOT
from lab.run import run as run_line, sh, wait_for
from lab.socks import socks5_connect
from lab.topology import OPEN4

LISTEN = ("--transparent", "tproxy:localhost:0")
TABLE = 0x5357FFF0
FOREIGN = """
table ip other { chain out { type route hook output priority mangle; meta mark 9 counter; }; }
table inet steerway2 { set near4 { type ipv4_addr; elements = { 192.0.2.1 }; }; }
"""


def state_of_machine():
    """Everything of the kernel that capture could touch, without counters."""
    own = [line.split()[1:] for line in tables() if line != "table inet watch"]  # the lab's, which counts connections
    parts = ["".join(sh(f"nft -s list table {family} {name}") for family, name in own), sh("ip rule"), sh("ip -6 rule"), sh("ip route show table all"), sh("ip -6 route show table all")]
    settings = sh("sysctl -a --pattern ^net[.]ipv[46][.](conf[.].*[.](rp_filter|forwarding|accept_local|route_localnet|src_valid_mark)|ip_forward)")
    return [sorted(re.sub(r" expires \d+sec", "", part).splitlines()) for part in [*parts, settings]]


def tables():
    return sh("nft list tables").split("\n")[:-1]


def rules():
    return [line for line in (sh("ip rule") + sh("ip -6 rule")).splitlines() if str(TABLE) in line or "0x5357fff" in line]


@pytest.fixture
def machine(lab):
    """Foreign tables, rules and routes, and a check that all is as before once the test is over."""
    lab.home.nft(FOREIGN)
    sh("ip rule add fwmark 9 lookup 909 pref 1000")
    sh("ip route add blackhole 192.0.2.0/24 table 909")
    before = state_of_machine()
    try:
        yield lab
        steerway("capture", "off")
        assert state_of_machine() == before
    finally:
        for line in ("nft delete table ip other", "nft delete table inet steerway2", "ip rule delete pref 1000 fwmark 9",
                     "ip route flush table 909"):
            lab.home.run(*line.split())


@pytest.fixture
def proxy(machine, start):
    """A proxy with its runtime and state folders; its `tell` runs steerway against it."""
    return start("wan1", "wan2", *LISTEN)


def children_of(proxy):
    return run_line("ps", "-o", "pid=,args=", "--ppid", proxy.pid).text.strip()


def off(proxy, **options):
    return proxy.tell("capture", "off", **options)


def test_on_and_off_leave_nothing(machine, proxy):
    before = state_of_machine()
    assert off(proxy) == "nothing is captured\n"
    assert state_of_machine() == before
    said = proxy.tell("capture", "on", "--lan", "lan0")
    assert said == "captured: this machine's own traffic and that of 1 network behind it (--lan lan0); without the proxy it flows past\n"
    after = state_of_machine()
    assert len(rules()) == 4 and "table inet steerway" in tables()
    assert after[5] == before[5], "no setting changes"
    proxy.tell("capture", "on", "--lan", "lan0")
    assert state_of_machine() == after, "a second time changes nothing"
    assert off(proxy) == off(proxy) == "nothing is captured\n"
    assert state_of_machine() == before
    assert not list(proxy.runtime.glob("steerway/capture.json"))


def test_a_proxy_that_does_not_listen_yet_is_waited_for(machine, start, tmp_path):
    """As by two lines of a unit of systemd."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    proxy = start("wan1", *LISTEN, prefix=("sh", "-c", f'read line < {gate}; exec "$@"', "sh"), ready=False)
    with subprocess.Popen([BINARY, "capture", "on"], env=proxy.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as on:
        asleep = Path(f"/proc/{on.pid}/stat")
        wait_for(lambda: on.poll() is not None or asleep.read_text().rpartition(") ")[2].startswith("S"), "it waits")
        gate.write_text("go\n")
        said = on.communicate(timeout=60)[0]
    assert on.returncode == 0 and said.startswith("captured: "), said
    proxy.wait_started()
    off(proxy)


def test_other_options_replace_those_before(machine, proxy):
    before = state_of_machine()
    proxy.tell("capture", "on", "--lan", "lan0", "--user", "0")
    proxy.tell("capture", "on", "--user", "7", "--when-gone", "stop")
    assert len(rules()) == 2, "the LAN's rules are gone"
    listing = sh("nft list table inet steerway")
    assert "skuid 7 " in listing and "skuid 0 " not in listing and "flags owner" not in listing and "drop" in listing
    assert not children_of(proxy), "a table that stays is held by nobody"
    proxy.tell("capture", "on")
    listing = sh("nft list table inet steerway")
    assert "flags owner" in listing and "skuid" not in listing and "drop" not in listing
    off(proxy)
    assert state_of_machine() == before


def test_a_refused_change_changes_nothing(machine, proxy):
    clean = state_of_machine()
    missing = proxy.tell("capture", "on", "--cgroup", "no/such/group", code=1)
    assert "nft: " in missing or "cgroup" in missing
    assert state_of_machine() == clean, "not even the routing rules"
    proxy.tell("capture", "on", "--user", "7")
    captured = state_of_machine()
    proxy.tell("capture", "on", "--lan", "lan0", "--cgroup", "no/such/group", code=1)
    assert state_of_machine() == captured
    assert json.loads(proxy.tell("capture", "show", "--json"))["request"]["user"] == [7]
    for words, said in [(("--lan", "nosuch0"), "this machine has no interface nosuch0"), (("--lan", "a b"), "is not an interface's name"),
                        (("--user", "nobody-at-all"), "this machine has no user"), (("--when-gone", "x"), "expected pass or stop")]:
        assert said in proxy.tell("capture", "on", *words, code=1 if "nosuch0" in words else 2)
    assert state_of_machine() == captured


def test_killed_in_pass_mode(machine, proxy):
    before = state_of_machine()
    proxy.tell("capture", "on", "--lan", "lan0")
    proxy.kill()
    wait_for(lambda: "table inet steerway" not in tables(), "the kernel removes the table")
    assert len(rules()) == 4, "harmless without marks"
    said = proxy.tell("capture", "show", code=0)
    assert said.startswith("capture is stale: ")
    assert off(proxy) == "nothing is captured\n"
    assert state_of_machine() == before


def test_killed_in_stop_mode(machine, proxy):
    before = state_of_machine()
    proxy.tell("capture", "on", "--when-gone", "stop")
    captured = state_of_machine()
    proxy.kill()
    assert state_of_machine() == captured, "the table stays"
    off(proxy)
    assert state_of_machine() == before


def test_a_proxy_that_stops_lets_traffic_pass_from_the_first_signal_on(machine, proxy, origin):
    proxy.tell("capture", "on")
    with socks5_connect(proxy, OPEN4, origin(echo).port):  # a client, for which it waits
        proxy.signal(signal.SIGTERM)
        wait_for(lambda: "table inet steerway" not in tables(), "the table is gone")
        assert proxy.alive()


def test_off_without_its_record(machine, proxy):
    before = state_of_machine()
    proxy.tell("capture", "on", "--lan", "lan0", "--when-gone", "stop")
    (proxy.runtime / "steerway/capture.json").unlink()
    proxy.kill()
    sh("ip rule add fwmark 0x5357fff0 lookup 0x5357fff0 pref 1001")  # not as capture makes it
    off(proxy)
    assert len(rules()) == 1
    sh("ip rule delete pref 1001")
    assert state_of_machine() == before


def test_a_capture_that_is_killed_half_way_is_undone(machine, proxy, tmp_path):
    """By the record, which was written before the first change. A server in the proxy's place never answers "on"."""
    before = state_of_machine()
    path = tmp_path / "slow.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(60)
        command = [proxy.argv[0], "capture", "on", "--lan", "lan0", "--control", path]
        half = subprocess.Popen(command, env=proxy.env, stdin=subprocess.DEVNULL)
        try:
            state = ""
            while state != "on":
                client, _ = server.accept()
                state = json.loads(client.makefile().readline() or "{}").get("state", "")  # "": only whether it is there
                if state == "plan":
                    client.sendall(json.dumps({"ok": True, "table": "", "ipv6": True}).encode() + b"\n")
                if state != "on":
                    client.close()
            with client:
                record = json.loads((proxy.runtime / "steerway/capture.json").read_text())
                assert len(record["steps"]) == 6 and len(rules()) == 4
                half.kill()
                half.wait(60)
        finally:
            half.kill()
            half.wait(60)
    off(proxy)
    assert state_of_machine() == before


def test_what_others_change_meanwhile_stays(machine, proxy):
    proxy.tell("capture", "on", "--lan", "lan0", "--when-gone", "stop")
    theirs = [
        "nft add table inet later", "nft add chain inet steerway mine", "nft add rule inet steerway mine jump take",
        "nft add rule inet steerway output meta mark 77 accept", "ip rule add fwmark 0x5357fff0 lookup 0x5357fff0 pref 1001",
        "ip rule add iif wan1 fwmark 0x5357fff1 lookup 0x5357fff0 pref 1000", "ip route add 192.0.2.0/24 dev wan1 table 0x5357fff0",
    ]
    for line in theirs:
        sh(line)
    sh("sysctl -q -w net.ipv4.conf.lan0.rp_filter=1")
    proxy.kill()
    r = subprocess.run([str(proxy.argv[0]), "capture", "off"], env=proxy.env, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r
    for what in ("table inet steerway stays", "with priority 1001 stays", "with priority 1000 stays", "keeps routes of IPv4"):
        assert what in r.stderr, r.stderr
    assert sh("sysctl -n net.ipv4.conf.lan0.rp_filter") == "1\n"
    listing = sh("nft -s list table inet steerway")
    assert "jump take" in listing and "meta mark 0x0000004d accept" in listing and "steerway capture" not in listing
    assert len(rules()) == 2 and "192.0.2.0/24" in sh("ip route show table 0x5357fff0")
    for line in ("nft delete table inet later", "nft delete table inet steerway", "ip rule delete pref 1001",
                 "ip rule delete pref 1000 iif wan1", "ip route flush table 0x5357fff0", "sysctl -q -w net.ipv4.conf.lan0.rp_filter=0"):
        sh(line)


def test_a_table_of_the_same_name_is_left_alone(machine, proxy):
    sh("nft add table inet steerway")
    try:
        sh("nft add chain inet steerway theirs")
        assert "has chain theirs, which is not of capture" in proxy.tell("capture", "on", code=1)
        sh("nft delete chain inet steerway theirs")
        assert "exists that capture has not made" in proxy.tell("capture", "on", code=1)
        assert not rules()
        off(proxy)
        assert "table inet steerway" in tables()
    finally:
        sh("nft delete table inet steerway")


def test_two_proxies_do_not_fight(machine, proxy, start):
    other = start("wan2", *LISTEN)
    proxy.tell("capture", "on")
    captured = state_of_machine()
    # The second one shares the record, as proxies of one machine do.
    env = {**proxy.env, "XDG_RUNTIME_DIR": other.env["XDG_RUNTIME_DIR"]}
    for word in ("on", "off"):
        r = subprocess.run([str(BINARY), "capture", word], env=env, capture_output=True, text=True, timeout=60)
        assert (r.returncode, r.stderr) == (1, f"steerway: another proxy captures: end that by steerway capture off --control {proxy.control_path}\n")
        assert state_of_machine() == captured
    proxy.kill()
    r = subprocess.run([str(BINARY), "capture", "on"], env=env, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r
    assert other.ask("capture")["held"] and not proxy.alive()
    assert off(other) == "nothing is captured\n"


def test_the_holder_ends_alone(machine, proxy):
    proxy.tell("capture", "on")
    children = children_of(proxy)
    assert re.fullmatch(r"\d+ nft -i", children), children
    sh(f"kill -9 {children.split()[0]}")
    proxy.wait_event("capture_lost")
    assert json.loads(proxy.tell("capture", "show", "--json"))["state"] == "incomplete"
    proxy.tell("capture", "on")
    assert json.loads(proxy.tell("capture", "show", "--json"))["state"] == "on"
    assert "table inet steerway" in tables()


def test_the_commands_that_are_shown_do_the_same(machine, proxy):
    before = state_of_machine()
    proxy.tell("capture", "on", "--lan", "lan0", "--when-gone", "stop")
    captured = state_of_machine()
    shown = json.loads(proxy.tell("capture", "show", "--json"))
    assert shown["state"] == "on"
    off(proxy)
    again = json.loads(proxy.tell("capture", "show", "--lan", "lan0", "--when-gone", "stop", "--json"))
    assert again["state"] == "off" and again["commands"] == shown["commands"]
    text = proxy.tell("capture", "show", "--lan", "lan0", "--when-gone", "stop")
    for item in shown["commands"]:
        assert f"\n{item['command']}\n    undo:    {item['undo']}\n" in text
        subprocess.run(["sh", "-c", item["command"]], check=True, timeout=60)
    assert state_of_machine() == captured
    for item in reversed(shown["commands"]):
        subprocess.run(["sh", "-c", item["undo"]], check=True, timeout=60)
    assert state_of_machine() == before


def test_what_is_missing_is_named(machine, start):
    plain = start("wan1")
    for word in ("on", "show"):
        assert "start it with --transparent tproxy:localhost:1081" in plain.tell("capture", word, code=1)
    only4 = start("wan1", "--transparent", "tproxy:127.0.0.1:0")
    assert "this machine has IPv6, and the proxy has no listener for it" in only4.tell("capture", "on", code=1)
    assert not rules()


def test_without_nft_it_says_so(machine, proxy, start):
    nft = os.path.realpath(shutil.which("nft"))
    hidden = ("unshare", "--mount", "sh", "-c", f'mount --bind /dev/null {nft} && exec "$0" "$@"')
    r = subprocess.run([*hidden, str(BINARY), "capture", "on"], env=proxy.env, capture_output=True, text=True, timeout=60)
    assert (r.returncode, r.stderr) == (1, "steerway: the program nft is missing: install nftables\n")
    other = start("wan2", *LISTEN, prefix=hidden)
    assert "nft is missing: install nftables" in other.tell("capture", "on", code=1)
    assert not rules()
    r = subprocess.run([*hidden, str(BINARY), "capture", "off"], env=proxy.env, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and "so its table, if there is one, stays" in r.stderr, r


@pytest.mark.once
def test_words_that_make_no_sense(machine):
    assert refused(2, "capture").startswith("capture: expected on|off|show")
    assert "expected on, off or show" in refused(2, "capture", "of")
    assert "it takes no options" in refused(2, "capture", "off", "--lan", "lan0")
    assert refused(1, "capture", "on").startswith("no proxy listens at ")


def test_the_doctor_finds_a_capture_that_is_left(machine, proxy):
    def findings():
        r = subprocess.run([str(proxy.argv[0]), "doctor", "wan1", "--json", "--check", "none", "--public-address", "none"], env=proxy.env,
                           capture_output=True, text=True, timeout=60)
        found = [f for f in json.loads(r.stdout)["findings"] if f["id"].startswith("capture-")]
        return [(f["id"], f["severity"], f.get("repair"), f.get("undo")) for f in found]

    assert findings() == []
    proxy.tell("capture", "on", "--user", "7")
    assert findings() == []
    sh(f"kill -9 {children_of(proxy).split()[0]}")
    proxy.wait_event("capture_lost")
    assert findings() == [("capture-incomplete", "warning", "steerway capture on --user 7", "steerway capture off")]
    proxy.tell("capture", "on", "--user", "7", "--when-gone", "stop")
    proxy.kill()
    again = "steerway capture on --user 7 --when-gone stop"
    assert findings() == [("capture-stale", "warning", "steerway capture off", again)]
    off(proxy)
    assert findings() == []


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
def test_without_rights_it_says_so_and_changes_nothing(machine, proxy):
    before = state_of_machine()
    drop = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    r = subprocess.run([*drop, str(proxy.argv[0]), "capture", "on"], env=proxy.env, capture_output=True, text=True, timeout=60)
    assert r.returncode == 1 and ("Operation not permitted" in r.stderr or "CAP_NET_ADMIN" in r.stderr), r
    assert state_of_machine() == before


@pytest.mark.skipif(not (shutil.which("setpriv") and shutil.which("setcap")), reason="setpriv or setcap is not installed")
def test_a_proxy_with_capabilities_of_its_file_holds_the_rules(machine, start):
    """The child nft has what it needs, although capabilities of a file do not reach children by themselves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "steerway"
        shutil.copy(BINARY, program)
        for part in ("lua", "policies"):
            shutil.copytree(ROOT / part, folder / part)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
        folder.chmod(0o755)
        if run_line("setcap", "cap_net_admin,cap_net_raw+ep", program).code != 0:
            pytest.skip("no capabilities for files here")
        # The script replaces the program of the command line by the copy.
        script = f'shift; export XDG_RUNTIME_DIR={folder} XDG_STATE_HOME={folder}; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" "$@"'
        socket_path = folder / "control.sock"
        proxy = start("wan1", *LISTEN, "--data-dir", folder, "--control", socket_path, prefix=("sh", "-c", script, program))
        proxy.tell("capture", "on", "--control", socket_path)
        assert "flags owner" in sh("nft list table inet steerway")
        proxy.tell("capture", "off", "--control", socket_path)
