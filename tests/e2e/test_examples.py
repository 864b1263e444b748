"""The examples, run as their pages describe. The commands run, and the promises of the pages are measured. Only the
names of interfaces, ports and places on the internet differ."""

import re
import shutil
from collections import Counter

import pytest

from lab.clients import curl, curl_by
from lab.command import run as steerway
from lab.origin import echo
from lab.proxy import ROOT, UNRACED
from lab.run import COMMAND_S, run, wait_for
from lab.socks import socks5_connect
from lab.topology import HOLE4, LAN_CLIENT, LAN_HOME, OPEN4, WEB4

pytestmark = pytest.mark.once

NAMES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
# The interface names of each example, and the laboratory's names for them.
LINES = {
    "cluster": {"eth1": "wan1", "eth2": "wan2"},
    "dorm": {"eth0": "wan1", "wlan0": "wan2", "usb0": "wan3"},
    "download-manager": {"eth0": "wan1", "eth1": "wan2"},
    "household": {"eth1": "wan1", "eth2": "wan2", "192.168.1.2": LAN_HOME, "192.168.1.0/24": "192.168.77.0/24",
                  "192.168.1.10": LAN_CLIENT},
    "lte-backup": {"eth0": "wan1", "wwan0": "wan2"},
    "router": {"eth0": "lan0", "eth1": "wan1", "eth2": "wan2", "192.168.1.1": LAN_HOME},
    "ssh-tunnels": {},
    "two-home-lines": {"eth0": "wan1", "wlan0": "wan2"},
    "work-and-streaming": {"eth0": "wan1", "wlan0": "wan2"},
}


@pytest.fixture
def example(tmp_path):
    """Copy an example, adapt it as its page says, and return its config."""

    def copy(name, **more):
        folder = tmp_path / "examples" / name
        shutil.copytree(ROOT / "examples" / name, folder)
        config = folder / "config.lua"
        text = config.read_text()
        for old, new in {**LINES[name], **more}.items():
            text = re.sub(rf'(?<=["/:])?(?<![\w.]){re.escape(old)}(?![\w.])', new, text)
        config.write_text(text)
        return config

    return copy


def by_uplink(proxy, n):
    return Counter(line["uplink"] for line in proxy.connections(n))


@pytest.mark.parametrize("name", NAMES)
def test_the_check_command_on_each_page_works(lab, example, tmp_path, name):
    example(name)
    page = (ROOT / "examples" / name / "README.md").read_text()
    commands = re.findall(r"^ *steerway (check .*)$", page, re.M)
    assert commands == [f"check --config examples/{name}/config.lua"]
    assert f"steerway start --config examples/{name}/config.lua" in page
    r = steerway(*commands[0].split(), cwd=tmp_path)
    assert (r.returncode, r.stderr) == (0, ""), r
    assert r.stdout.startswith("ok: policy ")


def test_two_home_lines(lab, web, start, example):
    proxy = start(*UNRACED, "--config", example("two-home-lines"))
    for done in range(1, 117):  # each starts when the previous one is logged: the policy counts open connections
        curl_by("socks5h", proxy).ok()
        proxy.connections(done)
    assert by_uplink(proxy, 116) == {"fibre": 100, "dsl": 16}


def test_a_download_manager_opens_enough(lab, web, start, example, tmp_path):
    (web.files / "large.bin").write_bytes(bytes(32 << 20))
    page = (ROOT / "examples/download-manager/README.md").read_text()
    (command,) = re.findall(r"^ *(aria2c .*)$", page, re.M)
    proxy = start("--config", example("download-manager"))
    for line in (lab.wan1, lab.wan2):
        line.shape(100, 100)  # otherwise the transfer ends before the last one begins
    words = command.replace("127.0.0.1:1080", proxy.hostport).replace("URL", f"http://{WEB4}/large.bin").split()
    before = lab.tcp_sent()["wan3"]
    done = run(*words, "-d", tmp_path, "--no-conf", "-q", timeout=4 * COMMAND_S)
    assert done.code == 0 and (tmp_path / "large.bin").stat().st_size == 32 << 20
    wait_for(lambda: proxy.open_connections() == 0, "all is over")
    count = by_uplink(proxy, 16)
    assert min(count["dsl1"], count["dsl2"]) >= 6, count
    assert lab.tcp_sent()["wan3"] == before


def test_the_household_keeps_a_site_together(lab, web, names, start, example):
    for i in range(12):
        for host in ("www", "img", "cdn.static"):
            names.zone[f"{host}.shop{i}.test"] = [WEB4]
    proxy = start("--config", example("household"), "--listen", f"{LAN_HOME}:0", port=False)
    hosts = [f"{host}.shop{i}.test" for i in range(12) for host in ("www", "img", "cdn.static")]
    urls = [f"http://{host}/whoami" for host in hosts]
    mine = run("curl", "-s", "--socks5-hostname", proxy.hostport, "-H", "Connection: close", *urls)
    lines = [lab.uplink_of(address) for address in mine.text.split()]
    sites = [set(lines[i : i + 3]) for i in range(0, 36, 3)]
    assert len(lines) == 36 and all(len(site) == 1 for site in sites), "each site has one line"
    assert {"wan1", "wan2"} == set(lines), "and not all have the same"
    office = lab.lan.run("curl", "-s", "--socks5-hostname", proxy.hostport, *urls)
    assert {lab.uplink_of(a) for a in office.text.split()} == {"wan1"}, "the office has the fibre"
    before = len(lines)
    lab.wan1.lose_carrier()
    proxy.wait_event("uplink_down", uplink="fibre")
    again = run("curl", "-s", "--socks5-hostname", proxy.hostport, "-H", "Connection: close", *urls)
    assert [lab.uplink_of(a) for a in again.text.split()] == ["wan2"] * before


def test_the_household_may_demand_passwords(lab, web, start, example):
    config = example("household")
    page = (ROOT / "examples/household/README.md").read_text()
    (command,) = re.findall(r"^ *(\(umask .*)$", page, re.M)
    assert run("sh", "-c", command, cwd=config.parents[2]).code == 0
    assert (config.parent / "users").stat().st_mode & 0o077 == 0
    text = config.read_text()
    assert '-- auth_file = "users"' in text
    config.write_text(text.replace('-- auth_file = "users"', 'auth_file = "users"'))
    proxy = start("--config", config, "--listen", f"{LAN_HOME}:0", port=False)
    url = "http://web4.test/whoami"
    assert curl("--socks5-hostname", proxy.hostport, "--proxy-user", "anna:a long sentence", url).code == 0
    assert curl("--proxy", f"http://{proxy.hostport}", "--proxy-user", "anna:a long sentence", url).code == 0
    assert curl("--socks5-hostname", proxy.hostport, url).code != 0
    assert curl("--socks5-hostname", proxy.hostport, "--proxy-user", "anna:another", url).code != 0
    assert {line["user"] for line in proxy.connections(2)} == {"anna"}


def test_the_dorm_tries_each_line_and_leaves_the_phone_alone(lab, web, start, example):
    proxy = start("--config", example("dorm"), "--set", "explore=1")
    lab.wan2.swallow()  # broken Wi-Fi, on which connections never open
    assert {lab.uplink_of(curl_by("socks5", proxy).ok().text.strip()) for _ in range(12)} == {"wan1"}
    begun = lab.tcp_sent()
    assert begun["wan2"] > 0, "it was tried"
    lab.wan2.restore()
    wait_for(lambda: lab.uplink_of(curl_by("socks5", proxy).ok().text.strip()) == "wan2", "it is tried again, and serves")
    assert lab.tcp_sent()["wan3"] == begun["wan3"], "the phone is left alone"
    lab.wan1.lose_carrier()
    proxy.wait_event("uplink_down", uplink="wall")
    lab.wan2.lose_carrier()
    proxy.wait_event("uplink_down", uplink="wifi")
    assert lab.uplink_of(curl_by("socks5", proxy).ok().text.strip()) == "wan3"


def test_the_stick_carries_nothing_while_the_line_works(lab, web, origin, start, example):
    server = origin(echo)
    proxy = start("--config", example("lte-backup"))
    before, asked = lab.tcp_sent(), lab.questions_sent()["wan2"]
    tunnels = [socks5_connect(proxy, OPEN4, server.port) for _ in range(60)]  # many busy connections at once
    urls = ["http://web4.test/whoami"] * 80
    assert curl("--parallel", "--parallel-max", "40", "-x", f"socks5h://{proxy.hostport}", *urls).code == 0
    assert {lab.uplink_of(t.source) for t in tunnels} == {"wan1"}
    for t in tunnels:
        t.__exit__(None, None, None)
    # A destination without an answer does not count against the line, and a slow connection does not race over the
    # stick.
    run("curl", "-s", "-m", "1", "--socks5", proxy.hostport, f"http://{HOLE4}/", timeout=10)
    after = lab.tcp_sent()
    assert lab.questions_sent()["wan2"] == asked
    assert after["wan2"] == before["wan2"] and after["wan1"] > before["wan1"]
    lab.wan1.lose_carrier()
    proxy.wait_event("uplink_down", uplink="line")
    assert lab.uplink_of(curl_by("socks5h", proxy).ok().text.strip()) == "wan2"
    lab.wan1.restore()
    proxy.wait_event("uplink_up", uplink="line")
    assert lab.uplink_of(curl_by("socks5h", proxy).ok().text.strip()) == "wan1"

    def used():  # as of the last quarter of a second
        left = next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == "lte")["quota_left"]
        return 0 < 19e9 - left < 1e6

    wait_for(used, "what the stick has carried is taken from its quota")


def test_tunnels_take_turns(lab, web, start, example):
    one, two = start("wan1"), start("wan2")
    proxy = start(*UNRACED, "--config", example("ssh-tunnels", **{"7001": str(one.port), "7002": str(two.port)}))
    told = curl_by("socks5h", proxy, times=10).ok().text.split()
    assert Counter(map(lab.uplink_of, told)) == {"wan1": 5, "wan2": 5}
    one.stop()
    assert {lab.uplink_of(curl_by("socks5h", proxy).ok().text.strip()) for _ in range(3)} == {"wan2"}


def test_work_and_films(lab, web, names, start, example):
    names.zone.update({"vpn.example.com": [WEB4], "r1.googlevideo.com": [WEB4]})
    proxy = start("--config", example("work-and-streaming"))
    assert lab.uplink_of(curl_by("socks5h", proxy, host="vpn.example.com").ok().text.strip()) == "wan1"
    assert lab.uplink_of(curl_by("socks5h", proxy, host="r1.googlevideo.com").ok().text.strip()) == "wan2"


def test_the_gateway_serves_devices_that_know_no_proxy(lab, web, start, example):
    page = (ROOT / "examples/router/README.md").read_text()
    (command,) = re.findall(r"^ *steerway (capture on --lan .*)$", page, re.M)
    assert f"ExecStartPost=/usr/bin/steerway {command}" in page
    lab.lan.sh(f"ip route add default via {LAN_HOME}")
    proxy = start(*UNRACED, "--config", example("router"), "--listen", "localhost:0", port=False)
    try:
        proxy.tell(*command.replace("eth0", "lan0").split())

        def line(name):
            got = lab.lan.run("curl", "-s", "-m", "20", "-H", f"Host: {name}", f"http://{WEB4}/whoami").ok().text
            return lab.uplink_of(got.strip())

        assert {line("r1.googlevideo.com") for _ in range(3)} == {"wan2"}
        assert {line("zoom.us") for _ in range(3)} == {"wan1"}
        sites = [{line(f"{host}.shop{i}.test") for host in ("www", "img")} for i in range(8)]
        assert all(len(site) == 1 for site in sites) and set.union(*sites) == {"wan1", "wan2"}
        assert {c["client"].rpartition(":")[0] for c in proxy.connections(22)} == {LAN_CLIENT}
        lab.wan2.lose_carrier()
        proxy.wait_event("uplink_down", uplink="cable")
        assert line("r1.googlevideo.com") == "wan1", "a dead line is survived"
    finally:
        proxy.tell("capture", "off")
        lab.lan.sh("ip route delete default")
