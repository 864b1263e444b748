"""The control socket: its answers and actions, its permissions, and that no client blocks the proxy with it."""

import json
import os
import re
import socket
import stat
import subprocess
import threading

import pytest

from lab.clients import curl_by
from lab.command import refused
from lab.proxy import BINARY, SANITIZED
from lab.run import COMMAND_S, WAIT_S, wait_for
from lab.topology import NAMES4

LOOPING = """return { name = "mine", new = function(ctx)
  return { pick = function(conn, uplinks)
    if conn.host == "loop.test" then
      while true do end
    end
    return uplinks[1], "mine"
  end }
end }
"""


class Line:
    """A control client that speaks by hand."""

    def __init__(self, proxy):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(proxy.control_path))
        self.file = self.socket.makefile("rb")

    def say(self, data):
        self.socket.sendall(data)

    def answer(self):
        return json.loads(self.file.readline())

    def ended(self):
        try:
            return self.file.readline() == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def line():
    lines = []

    def open_line(proxy):
        lines.append(Line(proxy))
        return lines[-1]

    yield open_line
    for each in lines:
        each.close()


# --- answers and actions ---


def test_status_and_uplinks(start, web):
    proxy = start("wan1@7", "wan2@3")
    assert curl_by("socks5h", proxy, host="web4.test").code == 0
    proxy.connections(1)
    status = proxy.ask("status")
    assert status["ok"] and status["pid"] == proxy.pid and status["connections"] == 1 and status["clients"] == 0
    assert status["listening"] == [f"127.0.0.1:{proxy.port}", f"[::1]:{proxy.port}"]
    assert status["policy"]["name"] == "least_connections" and status["policy"]["picks"] == 1
    uplinks = proxy.ask("uplinks")["uplinks"]
    assert [(u["name"], u["weight"], u["up"], u["total"]) for u in uplinks] == [("wan1", 7, True, 1), ("wan2", 3, True, 0)]
    assert uplinks[0]["rx_bytes"] > 0 and uplinks[0]["active"] == 0 and uplinks[0]["quota_left"] is None
    text = proxy.tell("status")
    assert text.startswith("Steerway ") and "policy       least_connections, generation 1\n" in text
    assert re.search(r"^wan1 +up +7 +0 +1 ", proxy.tell("uplinks"), re.M)
    assert json.loads(proxy.tell("uplinks", "--json"))["uplinks"][1]["name"] == "wan2"


def test_policy_set_and_reload(start, tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text(LOOPING)
    proxy = start("--policy", path, "wan1")
    assert re.fullmatch(r"policy mine loaded, generation 2, in \d+\.\d ms\n", proxy.tell("reload"))
    path.write_text("return = 1")
    assert "mine.lua:1: unexpected symbol near '='" in proxy.tell("reload", code=1)
    assert proxy.ask("status")["policy"]["generation"] == 2
    assert "generation 3" in proxy.tell("policy", "failover")
    assert "generation 4" in proxy.tell("set", "overflow=5")
    assert proxy.ask("status")["policy"]["set"] == {"overflow": "5"}
    assert "parameter 'overflow': expected a number of at least 1, got '0'" in proxy.tell("set", "overflow=0", code=1)
    assert proxy.ask("status")["policy"]["set"] == {"overflow": "5"}
    path.write_text(LOOPING)
    assert "policy mine loaded, generation 5" in proxy.tell("policy", "mine.lua")  # relative to the folder of the command
    assert proxy.ask("status")["policy"]["set"] == {}
    assert "did you mean failover?" in proxy.tell("policy", "failovr", code=1)
    assert "expected KEY=VALUE" in proxy.tell("set", "overflow", code=2)
    assert [e["trigger"] for e in proxy.events("policy_reloaded")] == ["control"] * 4


# --- why ---


def test_why_shows_the_choice_and_what_the_policy_saw(start, lab):
    proxy = start("--policy", "round_robin", "wan1@7", "wan2@3", "wan3")
    lab.wan3.down()
    proxy.wait_event("uplink_down", uplink="wan3")
    answer = proxy.ask("why", host="www.example.org", port=443, client="192.168.1.9")
    assert (answer["verdict"], answer["uplink"], answer["reason"]) == ("use", "wan1", "its turn")
    assert [(u["name"], u["weight"]) for u in answer["saw"]] == [("wan1", 7), ("wan2", 3)]
    assert answer["left_out"] == [{"name": "wan3", "why": "down"}]
    text = proxy.tell("why", "www.example.org:80", "--client", "192.168.1.9")
    assert text.startswith("www.example.org:80 leaves by wan1: its turn\n") and "left out  wan3: down\n" in text
    assert proxy.tell("why", "127.0.0.1:22") == "127.0.0.1:22 goes direct, without the policy: it is this machine or a neighbour\n"
    assert proxy.ask("why", host="::1")["verdict"] == "direct"


def test_why_shows_every_field_that_a_policy_sees(start, tmp_path):
    config = tmp_path / "config.lua"
    config.write_text('return { uplinks = { { interface = "wan1", tags = { "metered", "lte" }, quota = "20G" }, { interface = "wan2" } } }')
    proxy = start("--config", config)
    one, two = proxy.ask("why", host="x.test")["saw"]
    assert (one["tags"], one["quota_left"]) == (["metered", "lte"], 20e9)
    assert (two["tags"], two["quota_left"]) == ([], None)
    assert two["total"] == two["failures"] == two["tx_rate"] == 0
    text = proxy.tell("why", "x.test")
    assert "wan1: weight 1, tier 1, 0 live, 0 busy, tags metered lte, 20 GB of its quota left " in " ".join(text.split())
    assert "wan2: weight 1, tier 1, 0 live, 0 busy\n" in text
    assert proxy.tell("why", "2001:db8::1").startswith("[2001:db8::1]:443 leaves by wan1: ")


def test_why_asks_for_a_client_of_each_kind(start, tmp_path):
    policy = tmp_path / "mine.lua"
    policy.write_text('return { name = "mine", new = function() return { pick = function(c, u) return u[1], c.proto end } end }')
    proxy = start("--policy", policy, "wan1")
    assert proxy.ask("why", host="x.test")["reason"] == "connect"
    for proto in ("socks4", "http", "forward", "transparent"):
        assert proxy.ask("why", host="x.test", proto=proto)["reason"] == proto
    assert proxy.tell("why", "x.test", "--proto", "transparent").startswith("x.test:443 leaves by wan1: transparent\n")
    assert proxy.ask("why", host="x.test", udp=True)["reason"] == "udp"
    for fields in ({"proto": "ftp"}, {"proto": 5}, {"proto": "udp"}):
        assert proxy.ask("why", host="x.test", **fields)["error"].startswith("proto: expected socks4, socks5, ")
    assert proxy.ask("why", host="x.test", udp=True, proto="transparent")["reason"] == "udp"
    assert proxy.ask("why", host="x.test", udp=True, proto="http")["error"] == "proto: with udp, expected transparent or nothing"


def test_why_tells_which_name_server_a_captured_question_asks(start, names):
    """In place of a neighbour's, which is not asked, and of a denied one."""
    proxy = start("wan1", "--deny", "9.9.9.9/32")
    for host in ("10.0.1.1", "9.9.9.9", "127.0.0.1"):
        for udp in (False, True):
            answer = proxy.ask("why", host=host, port=53, proto="transparent", udp=udp)
            assert (answer["verdict"], answer["uplink"], answer["server"]) == ("use", "wan1", f"{NAMES4}:53")
    assert f"  asks      {NAMES4}:53\n" in proxy.tell("why", "10.0.1.1:53", "--proto", "transparent")
    for fields in ({"port": 54, "proto": "transparent"}, {"port": 53}, {"port": 53, "udp": True}):
        assert proxy.ask("why", host="10.0.1.1", **fields)["verdict"] == "direct"


def test_text_that_is_not_utf8_is_shown(start, tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.lua"
    with open(path, "wb") as f:
        f.write(b'return { name = "mine", new = function() return { pick = function(_, u) return u[1], "caf\xe9" end } end }')
    proxy = start("--policy", os.fsdecode(path), "wan1", "wan2")
    assert proxy.ask("status")["policy"]["file"] == f"{tmp_path}/caf\\xe9.lua"
    assert proxy.ask("why", host="x.test")["reason"] == "caf\\xe9"
    assert proxy.ask("reload")["generation"] == 2
    for words in [("why", "x\udcff"), ("why", "x", "--user", "\udcff"), ("why", "x", "--client", "\udcff"), ("set", "k=\udcff")]:
        assert proxy.tell(*words, code=2).endswith("a word of the command line is not valid UTF-8 and cannot be sent to the proxy\n")
    assert "--control: the path is longer than the 107 bytes" in refused(2, "status", "--control", "/" + "x" * 200)


def test_why_shows_a_race(start, tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text(LOOPING.replace('return uplinks[1], "mine"', 'return uplinks[1], "mine", { hedge = 0.25 }'))
    proxy = start("--policy", path, "wan1", "wan2")
    assert proxy.ask("why", host="www.example.org")["hedge"] == 0.25
    assert "\n  races     another uplink if it has not connected within 250 ms\n" in proxy.tell("why", "www.example.org")


def test_why_disturbs_nothing(start):
    proxy = start("--policy", "round_robin", "wan1@7", "wan2@3")
    first = [proxy.ask("why", host="www.example.org")["uplink"] for _ in range(200 if SANITIZED else 1000)]
    assert set(first) == {"wan1"}
    status = proxy.ask("status")
    assert status["policy"]["picks"] == 0 and status["policy"]["errors"] == 0
    assert proxy.descriptors_at_rest() < 40
    children = subprocess.run(["ps", "--ppid", str(proxy.pid), "-o", "pid="], capture_output=True, text=True, check=False).stdout
    assert children.split() == []


def test_why_of_a_policy_that_loops_or_refuses(start, web, tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text(LOOPING.replace('return uplinks[1], "mine"', 'return false, "not today"'))
    proxy = start("--policy", path, "wan1", "wan2")
    answer = proxy.ask("why", host="loop.test")
    assert answer["by_default"] and answer["reason"] == "default: policy error" and answer["uplink"] in ("wan1", "wan2")
    assert proxy.ask("why", host="x.test")["verdict"] == "refuse"
    assert proxy.tell("why", "x.test").startswith("x.test:443 is refused: not today\n")
    assert proxy.ask("status")["policy"]["errors"] == 0
    assert not proxy.events("policy_failed")


def test_why_requires_a_host(start):
    proxy = start("wan1")
    for request, error in [({}, 'expected a "host"'), ({"host": "a..b"}, "host: 'a..b' is neither a name nor an address"),
                           ({"host": "x", "port": 0}, "port: expected a whole number from 1 to 65535"),
                           ({"host": "x", "client": "y"}, "client: 'y' is not an IP address")]:
        assert proxy.ask("why", **request) == {"ok": False, "error": error}
    assert "expected HOST, HOST:PORT or a URL" in proxy.tell("why", "x:y", code=2)


# --- path and permissions ---


def test_the_socket_is_for_its_user_alone(start):
    proxy = start("wan1")
    assert stat.S_IMODE(os.stat(proxy.control_path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(proxy.control_path.parent).st_mode) == 0o700
    assert proxy.stop() == 0
    assert not proxy.control_path.exists()


def test_another_path_or_none(start, tmp_path):
    proxy = start("--control", tmp_path / "here.sock", "wan1")
    assert not proxy.control_path.exists()
    assert proxy.tell("status", "--control", tmp_path / "here.sock").startswith("Steerway ")
    assert "no proxy listens at" in proxy.tell("status", code=1)
    proxy = start("--control", "none", "wan1")
    assert not proxy.control_path.exists()


def test_a_stale_socket_is_replaced_and_a_served_one_is_not(start, tmp_path):
    path = tmp_path / "c.sock"
    first = start("--control", path, "wan1")
    first.kill()
    assert path.exists()
    second = start("--control", path, "wan1")
    assert second.tell("status", "--control", path)
    refused = subprocess.run([BINARY, "start", "-p", "0", "--control", path, "lo"], capture_output=True, text=True, timeout=COMMAND_S,
                             check=False)
    assert refused.returncode == 1
    assert "another proxy is there; give this one a place of its own with --control" in refused.stderr
    assert second.tell("status", "--control", path)
    (tmp_path / "file").write_text("precious")
    refused = subprocess.run([BINARY, "start", "-p", "0", "--control", tmp_path / "file", "lo"], capture_output=True, text=True,
                             timeout=COMMAND_S, check=False)
    assert refused.returncode == 1 and "the file exists and is not a socket" in refused.stderr
    assert (tmp_path / "file").read_text() == "precious"


def test_a_second_proxy_goes_without_the_default_socket(start):
    first = start("wan1")
    second = subprocess.Popen([BINARY, "start", "-p", "0", "--log-format", "json", "wan2"], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, env=first.env)
    try:
        lines = []
        while not lines or lines[-1]["event"] != "started":
            lines.append(json.loads(second.stderr.readline()))
            assert len(lines) < 20
        # The warning comes before the greeting.
        warning = next(line for line in lines if line["event"] == "no_control_socket")
        assert "--control" in warning["why"]
        assert first.ask("status")["pid"] == first.pid
    finally:
        second.terminate()
        assert second.wait(COMMAND_S) == 0
        second.stderr.close()
    assert first.ask("status")["pid"] == first.pid


# --- lines, and misbehaving clients ---


def test_lines_in_pieces_many_at_once_and_the_last_without_an_end(start, line):
    proxy = start("wan1")
    c = line(proxy)
    for byte in b'{"verb": "uplinks"}\n':
        c.say(bytes([byte]))
    assert c.answer()["uplinks"][0]["name"] == "wan1"
    c.say(b'{"verb":"status"}\n\n  \r\n{"verb":"why","host":"a.test"}\n{"verb":"uplinks"}\n{"verb":"nonesuch"}\n{"verb":"status"}')
    answers = [c.answer() for _ in range(4)]
    assert ["pid" in answers[0], "saw" in answers[1], "uplinks" in answers[2], answers[3]["ok"]] == [True, True, True, False]
    assert "unknown verb 'nonesuch' (known are: status, uplinks," in answers[3]["error"]
    c.socket.shutdown(socket.SHUT_WR)
    assert c.answer()["pid"] == proxy.pid
    assert c.ended()


@pytest.mark.parametrize(
    "data, error",
    [
        (b"hello\n", "the line is not valid JSON"),
        (b'{"verb":"status"\n', "the line is not valid JSON"),
        (b"[1]\n", "expected an object"),
        (b'{"verb":5}\n', 'expected a "verb"'),
        (b"{}\n", 'expected a "verb"'),
        (b'{"verb":"status","verb":"status"}\n', "the line is not valid JSON"),
        (b"\xff\xfe\x00\n", "the line is not valid JSON"),
        (b'{"verb":"set","key":"x"}\n', 'expected a "key" and a "value"'),
        (b'{"verb":"policy"}\n', 'expected a "policy"'),
        (b'{"verb":"record","state":"maybe"}\n', 'expected a "state"'),
        (b'{"verb":"record","state":"on","file":"x"}\n', 'expected a "file", with its whole path'),
        (b'{"verb":"record","state":true}\n', 'expected a "state" and a "file", both texts'),
        (b'{"verb":"policy","policy":"./mine.lua"}\n', "expected a file's whole path, got './mine.lua'"),
        (b'{"verb":"why","host":"x","client":5}\n', "client: expected an address, as a text"),
        (b'{"verb":"why","host":"x","user":5}\n', "user: expected a text"),
        (b"\0\0\n", "the line is not valid JSON"),
        (b"[" * 60000 + b"\n", "the line is not valid JSON"),
    ],
)
def test_invalid_lines_get_an_error(start, line, data, error):
    proxy = start("wan1")
    c = line(proxy)
    c.say(data)
    answer = c.answer()
    assert answer["ok"] is False and error in answer["error"], answer
    c.say(b'{"verb":"status"}\n')
    assert c.answer()["ok"]


def test_a_line_that_is_too_long_ends_the_connection(start, line):
    proxy = start("wan1")
    c = line(proxy)
    c.say(b"x" * 65536)
    assert "the line is too long" in c.answer()["error"]
    assert c.ended()
    assert proxy.ask("status")["ok"]


def test_no_more_than_sixteen_at_once(start, line):
    proxy = start("wan1")
    lines = [line(proxy) for _ in range(16)]
    for c in lines:
        c.say(b'{"verb":"status"}\n')
        assert c.answer()["ok"]
    late = line(proxy)
    assert late.answer() == {"ok": False, "error": "too many control clients; try again later"}
    assert late.ended()
    assert all("too many control clients" in proxy.tell("status", code=1) for _ in range(10))
    lines[0].close()
    wait_for(lambda: proxy.ask("status").get("pid"), "there is room again")


def test_clients_that_do_not_read_are_bounded_and_dropped(start, line):
    proxy = start("wan1", "wan2")
    before = proxy.resident()
    c = line(proxy)
    c.socket.settimeout(2)
    try:
        for _ in range(4000):
            c.say(b'{"verb":"uplinks"}\n' * 10)
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        pass
    assert SANITIZED or proxy.resident() - before < 40e6
    assert proxy.ask("status")["ok"]


def test_hostile_control_clients_do_not_block_the_proxy(start, web):
    proxy = start("wan1", "wan2")
    stop, rounds = threading.Event(), []

    def pester():
        while not stop.is_set():
            for data in [b"", b"{", b"\xff" * 1000, b'{"verb":"reload"}\n' * 50, b'{"verb":"why","host":"a.test"}\n' * 50]:
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(WAIT_S)
                    try:
                        s.connect(str(proxy.control_path))
                        s.sendall(data)
                    except OSError:
                        pass
            rounds.append(1)

    threads = [threading.Thread(target=pester) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert len(curl_by("socks5h", proxy, host="web4.test", times=200).ok().text.split()) == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert rounds
    wait_for(lambda: proxy.ask("status")["ok"], "it answers when they are gone")


def test_a_client_that_leaves_before_its_answer_harms_nothing(start, line):
    proxy = start("wan1")
    for _ in range(50):
        c = line(proxy)
        try:
            c.say(b'{"verb":"why","host":"a.test"}\n')
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused: the sixteen before it are still connected
        c.close()
    wait_for(lambda: proxy.ask("why", host="b.test").get("uplink") == "wan1", "why is answered again")
    assert proxy.descriptors_at_rest() < 40


def test_metrics_of_the_policy_are_shown(start, web, tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text("""return { name = "mine", new = function(ctx)
      local picks = ctx.counter "picks_seen"
      return { pick = function(_, u) picks:add() return u[1] end }
    end }""")
    proxy = start("--policy", path, "wan1")
    assert curl_by("socks5h", proxy, host="web4.test").code == 0
    assert proxy.ask("status")["metrics"] == {"picks_seen": 3.0}  # two of them were trial picks
    assert "metric       picks_seen = 3\n" in proxy.tell("status")
