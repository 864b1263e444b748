"""A beginner's problems: typing errors, and missing rights of the process or the machine. Each message says what to
do."""

import base64
import json
import re
import socket
import time

import pytest

from lab.clients import curl, curl_by
from lab.command import refused, run, verdict
from lab.names import SILENCE
from lab.run import wait_for
from lab.socks import socks5_code
from lab.topology import HOLE4, OPEN4, WEB4

# root without any capability, like a service without rights.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
RIGHTS = "mark and gateway need root, or CAP_NET_ADMIN"


@pytest.fixture
def config(tmp_path):
    """Writes a config file."""

    def write(text):
        path = tmp_path / "config.lua"
        path.write_text(f"return {text}")
        return path

    return write


# --- typing errors ---


@pytest.mark.parametrize(
    "word, line",
    [
        ("wan1@7:", 'uplink "wan1@7:": the weight "7:" must be a number: remove ":"'),
        ("wan1@7,", 'uplink "wan1@7,": the weight "7," must be a number: remove ","'),
        ("wan1@7.5;", 'uplink "wan1@7.5;": the weight "7.5;" must be a number: remove ";"'),
        ("wan1:7", 'uplink "wan1:7": "wan1:7" is neither an interface\'s name nor an IP address such as 192.0.2.1 or 2001:db8::1; '
                   "with a weight: wan1@7; as a parent proxy: socks5://wan1:7"),
        ("127.0.0.1:7", 'uplink "127.0.0.1:7": "127.0.0.1:7" is neither an interface\'s name nor an IP address such as 192.0.2.1 or '
                        "2001:db8::1; with a weight: 127.0.0.1@7; as a parent proxy: socks5://127.0.0.1:7"),
        ("wan1@", 'uplink "wan1@": a weight is missing after "@": write wan1@7, or wan1 alone'),
        ("wan1@7,wan2@3", 'uplink "wan1@7,wan2@3": the weight "7,wan2@3" must be a number above 0 and at most 1000000; '
                          "uplinks are separate words, without commas"),
        ("10.0.0.1,10.0.0.2", 'uplink "10.0.0.1,10.0.0.2": "10.0.0.1,10.0.0.2" is neither an interface\'s name nor an IP address such as '
                              "192.0.2.1 or 2001:db8::1; uplinks are separate words, without commas"),
    ],
)
def test_a_mistake_in_a_weight(word, line, config):
    assert refused(2, "check", word) == line
    assert refused(2, "start", word) == line
    path = config(f'{{ uplinks = {{ "wan2", "{word}" }} }}')
    assert refused(1, "check", "--config", path) == f"{path}: uplinks[2]: {line}"


def test_a_misspelt_interface(lab, start, config):
    told = run("check", "wna1", "wan2").stderr
    assert "uplink wna1 is not usable at present: this machine has no such interface; did you mean wan1?" in told
    told = run("check", "--config", config('{ uplinks = { { interface = "wa2", name = "dsl" } } }')).stderr
    assert "uplink dsl is not usable at present: this machine has no such interface: wa2; did you mean wan2?" in told
    via = config('{ uplinks = { { upstream = "socks5://192.0.2.1:1080", via = "wam3", name = "vpn" } } }')
    assert "uplink vpn is not usable at present: this machine has no such interface: wam3; did you mean wan3?" in run(
        "check", "--config", via).stderr
    assert "no such interface; steerway list shows the interfaces" in run("check", "nothing").stderr
    assert "no such interface; uplinks are separate words, without commas" in run("check", "wan1,wan2").stderr
    assert "a loopback interface reaches this machine only" in run("check", "lo").stderr
    proxy = start("wan1", "wna2")
    event = proxy.events("uplink_unusable", uplink="wna2")[0]
    assert event["why"] == "this machine has no such interface; did you mean wan2?"


def test_the_doctor_suggests_the_right_name(lab):
    assert "interface wna1 does not exist; did you mean wan1?" in " ".join(run("doctor", "wna1", "--public-address", "none").stdout.split())
    told = " ".join(run("doctor", "wan1,wan2", "--public-address", "none").stdout.split())
    assert "interface wan1,wan2 does not exist; uplinks are separate words, without commas" in told


def test_a_misspelt_uplink_in_a_command(lab, start):
    proxy = start("wan1", "wan2")
    assert "unknown uplink 'wan'; did you mean wan1?" in proxy.tell("drain", "wan", code=1)
    assert "unknown uplink 'wna2'; did you mean wan2?" in proxy.tell("drain", "wna2", code=1)
    assert proxy.ask("drain", uplink="fibre", state="on")["error"] == "unknown uplink 'fibre'"


# --- URLs ---


@pytest.mark.once
@pytest.mark.parametrize("word, shown", [
    ("https://web.test/", "web.test:443"),
    ("https://web.test:8443/a:b@c?d#e", "web.test:8443"),
    ("http://web.test", "web.test:80"),
    ("HTTP://web.test?q=1", "web.test:80"),
    ("wss://web.test/chat", "web.test:443"),
    ("https://anna:SECRET@web.test/x", "web.test:443"),
    ("https://[2001:db8::1]/", "[2001:db8::1]:443"),
    ("https://[2001:db8::1]:444/", "[2001:db8::1]:444"),
    ("gopher://web.test:70/1", "web.test:70"),
    ("web.test/path", "web.test:443"),
    ("web.test:22", "web.test:22"),
    ("2001:db8::1", "[2001:db8::1]:443"),
    ("http://web.test:/", "web.test:80"),
    ("https://web.test:?q", "web.test:443"),
    ("https://[2001:db8::1]:", "[2001:db8::1]:443"),
    ("web.test:", "web.test:443"),
    ("http://bücher.example/ü", "xn--bcher-kva.example:80"),
    ("BÜCHER.example:8080", "xn--bcher-kva.example:8080"),
    ("https://例え.テスト", "xn--r8jz45g.xn--zckzah:443"),
])  # fmt: skip
def test_why_understands_urls(lab, start, word, shown):
    assert start("wan1").tell("why", word).startswith(f"{shown} leaves by wan1: ")


@pytest.mark.parametrize("word", ["gopher://web.test/1", "https://", "https://web.test:0/", "https://web.test:x/", "web.test:+5", "gopher://web.test:/",
                                  ":",
                                  "https://anna:SECRET@web.test:99999/"])
def test_why_refuses_invalid_words_without_showing_a_password(word):
    told = refused(2, "why", word)
    assert told.startswith("why: expected HOST, HOST:PORT or a URL such as https://example.org:8443/, got ")
    assert "SECRET" not in told


def test_a_name_that_cannot_be_converted_is_an_error(lab, start):
    proxy = start("wan1")
    assert "host: 'b\u00fc cher.example' is neither a name nor an address" in proxy.tell("why", "b\u00fc cher.example", code=1)
    assert proxy.ask("why", host="b\u00fccher.example")["host"] == "xn--bcher-kva.example"


# --- policies ---


@pytest.mark.parametrize(
    "line, told",
    [
        ("ctx.log.debug('x')", "ctx.log has no field 'debug' (known: info, warn, error)"),
        ("ctx.log:info('x')", "ctx.log.info: call it with a dot, ctx.log.info(…), not with a colon"),
        ("ctx.log.info('100% sure')", "ctx.log.info: bad argument #2 (value expected); the first argument is a format: "
                                      "%d takes a number, %s any value, and %% is a percent sign"),
        ("ctx.log('x')", "ctx.log is not a function: call ctx.log.info(…), ctx.log.warn(…) or ctx.log.error(…)"),
        ("local wan1 = ctx.uplinks.wan1", "ctx.uplinks is a list, without a field 'wan1': an uplink is found by "
                                          'for _, u in ipairs(ctx.uplinks) do if u.name == "wan1" …'),
        ("ctx.every(print, 5)", "ctx.every: expected seconds from 0.01 to 31622400, got a function: "
                                "call it as ctx.every(seconds, function() … end)"),
        ("ctx.counter('hits').add(1)", "hits.add: call it with a colon, hits:add(…)"),
        ("ctx.lru(5).set('a', 1)", "lru.set: call it with a colon, lru:set(…)"),
        ("local at = ctx.domains({ 'a.test' })['a.test']", "a set has no fields: ctx.match(set, text) tells whether it holds a text"),
        ("os.execute('ls')", "attempt to call field 'execute' (a nil value): os.execute is not in the sandbox: "
                             "a policy starts no program"),
    ],
)
def test_a_mistake_in_a_policy_is_reported_with_its_line(tmp_path, line, told):
    mine = tmp_path / "mine.lua"
    mine.write_text(f"return {{ name = 'mine', new = function(ctx)\n  {line}\n"
                    "  return { pick = function(conn, uplinks) return uplinks end }\nend }\n")
    assert refused(1, "check", "--policy", mine, "wan1") == f"{mine}:2: {told}"


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", ":1: expected the file to return a table { name = …, new = … }, got nil; the file is empty"),
        (b"local p = {}\n", ":1: expected the file to return a table { name = …, new = … }, got nil; the file has no return at its end"),
        (b"\x7fELF\x02\0\0", ": expected Lua text, got binary data"),
        ("return {}".encode("utf-16"), ": expected Lua text in UTF-8, got UTF-16: save the file as UTF-8"),
        (b"\x1bLJ\x02", ": expected Lua text, got bytecode"),
        (b"-" * 2_000_000, ": the file has 2000000 bytes; expected at most 1048576"),
        (b"local sticky = require 'steerway.sticky'\nreturn { name = 'x',\n  new = sticky }\n",
         ":3: new: expected a function(ctx), got the library's sticky: write new = function(ctx) return { pick = sticky(…) } end"),
    ],
    ids=["empty", "no return", "binary", "UTF-16", "bytecode", "large", "the library's"],
)
def test_a_file_that_is_not_a_policy(tmp_path, content, told):
    mine = tmp_path / "mine.lua"
    mine.write_bytes(content)
    assert refused(1, "check", "--policy", mine, "wan1") == f"{mine}{told}"


def test_the_doctor_reports_a_policy_that_start_refuses(lab, tmp_path):
    mine = tmp_path / "mine.lua"
    words = ["doctor", "--json", "--public-address", "none", "--check", "none", "--policy", mine, "wan1"]
    mine.write_text("return {\n name = 'x',\n new = 5 }")
    r = run(*words)
    (finding,) = json.loads(r.stdout)["findings"]
    assert (r.returncode, finding.get("uplink"), finding["id"]) == (1, None, "policy-refused")
    assert finding["what"].endswith("mine.lua:3: new: expected a function(ctx), got number")
    mine.write_text("return { name = 'x', new = function() return { pick = function() end } end }")
    r = run(*words)
    assert (r.returncode, json.loads(r.stdout)["findings"]) == (0, [])


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b"#!/usr/bin/env lua\n"])
def test_files_as_editors_leave_them_are_policies(tmp_path, head):
    mine = tmp_path / "mine.lua"
    mine.write_bytes(head + b"return { name = 'mine',\r\n new = function() return { pick = function() end } end }\r\n")
    assert verdict("--policy", mine, "wan1")[0] == "mine"


def test_a_long_path_is_in_an_error_once_and_whole(tmp_path):
    folder = tmp_path / ("a-folder-with-a-rather-long-name/" * 4)
    folder.mkdir(parents=True)
    mine = folder / "mine.lua"
    for text, told in [("return {\n\n= 1 }", ":3: unexpected symbol near '='"), ("return 7", ":1: expected the file to return a table"),
                       ("return { name = 'x', new = function(ctx)\n ctx.evry(5) end }", ":2: ctx has no field 'evry'; did you mean"),
                       ("return { name = 'x', new = function(ctx)\n return { pick = function() return 7 end } end }", ":2: pick returned")]:
        mine.write_text(text)
        message = refused(1, "check", "--policy", mine, "wan1")
        assert message.startswith(f"{mine}{told}") and message.count("mine.lua") == 1, message


# --- rights ---


def test_marks_and_gateways_without_rights(lab, web, start, config):
    """check and start report them; connections do not fail because of them."""
    path = config('{ uplinks = { { interface = "wan1", name = "marked", mark = 7 }, "wan2",'
                  f' {{ interface = "wan3", name = "routed", gateway = "{lab.wan3.gateway4}" }} }} }}')
    assert verdict("--config", path)[1] == "marked@1, wan2@1, routed@1"  # with rights there is no warning
    told = run("check", "--config", path, wrapped_by=POWERLESS).stderr
    assert f"warning: uplink marked is not usable at present: {RIGHTS}" in told
    assert f"warning: uplink routed: {RIGHTS}" in told  # but has IPv6
    assert "wan2" not in told
    proxy = start("--config", path, prefix=POWERLESS)
    assert proxy.events("uplink_unusable", uplink="marked")[0]["why"].startswith(RIGHTS)
    assert "CAP_NET_ADMIN" in proxy.events("gateway_failed", uplink="routed")[0]["error"]
    assert curl_by("socks5", proxy, times=6).code == 0
    assert all(line["uplink"] == "wan2" and "attempts" not in line for line in proxy.connections(6))


@pytest.mark.parametrize("gateways, told", [("four", ""), ("six", ""), ("both", " is not usable at present")])
def test_a_gateway_of_either_family_without_rights(lab, config, gateways, told):
    """The families that are left are used; without any the uplink is down, as at a start."""
    routers = {"four": [lab.wan3.gateway4], "six": [lab.wan3.gateway6], "both": [lab.wan3.gateway4, lab.wan3.gateway6]}[gateways]
    listed = ", ".join(f'"{router}"' for router in routers)
    path = config(f'{{ uplinks = {{ "wan2", {{ interface = "wan3", name = "routed", gateway = {{ {listed} }} }} }} }}')
    assert run("check", "--config", path).stderr == ""
    assert f"warning: uplink routed{told}: {RIGHTS}" in run("check", "--config", path, wrapped_by=POWERLESS).stderr


def test_a_port_for_root_alone(lab, tmp_path):
    if open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii").read().strip() == "0":
        pytest.skip("every port is free for all here")
    assert run("check", "-H", "127.0.0.1", "-p", "80", "wan1", wrapped_by=POWERLESS).stderr == (
        "steerway: warning: cannot listen on 127.0.0.1:80 at present: ports below 1024 need root or CAP_NET_BIND_SERVICE\n")
    assert verdict("-H", "127.0.0.1", "-p", "80", "wan1")[2] == "127.0.0.1:80"
    told = refused(1, "start", "-H", "127.0.0.1", "-p", "80", "--control", "none", "--quiet", "--check", "none", "wan1",
                   wrapped_by=POWERLESS)
    assert told.startswith("cannot listen on 127.0.0.1:80: Permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE:"
                           " choose another with --port, or run setcap cap_net_bind_service+ep")


# --- users ---


def basic(user_pass):
    return base64.b64encode(user_pass.encode()).decode()


def test_the_log_names_users_and_never_a_password(lab, web, start):
    proxy = start("--auth", "anna:SECRET", "--allow", "127.0.0.0/8", "wan1")
    for flags, user_pass, code in [
        (["--socks5-hostname", proxy.hostport], "anna:SECRET", 0), (["--proxy", f"http://{proxy.hostport}"], "anna:SECRET", 0),
        (["--proxytunnel", "--proxy", f"http://{proxy.hostport}"], "anna:SECRET", 0),
    ]:
        assert curl(*flags, "--proxy-user", user_pass, "http://web.test/whoami").code == code
    assert [(line["proto"], line["user"]) for line in proxy.connections(3)] == [(p, "anna") for p in ("socks5", "http", "connect")]
    curl("--socks5-hostname", proxy.hostport, "--proxy-user", "bert:SECRET1", "http://web.test/")
    curl("--proxy", f"http://{proxy.hostport}", "--proxy-user", "carl:SECRET2", "http://web.test/")
    curl("--proxy", f"http://{proxy.hostport}", "--proxy-user", "anna:SECRET3", "http://web.test/")
    curl("--socks4", f"dora@{proxy.hostport}", "http://198.51.100.10/")  # the name may be a secret
    wait_for(lambda: len(proxy.events("rejected")) == 4, "a line for each")
    told = [(line["proto"], line.get("user")) for line in proxy.events("rejected", reason="bad-credentials")]
    assert told == [("socks5", "bert"), ("http", "carl"), ("http", "anna"), ("socks4", None)]
    assert "SECRET" not in proxy.log_text()


def test_a_name_with_control_characters(lab, start):
    proxy = start("--auth", "anna:SECRET", "--allow", "127.0.0.0/8", "wan1", text=True)
    with socket.create_connection(proxy.address, 10) as s:
        head = f"CONNECT web.test:80 HTTP/1.1\r\nHost: web.test:80\r\nProxy-Authorization: Basic {basic(chr(27) + '[2J b:x')}\r\n\r\n"
        s.sendall(head.encode())
        assert s.recv(4096).startswith(b"HTTP/1.1 407 ")
    line = proxy.wait_log("bad-credentials")
    assert "\x1b" not in line and "[2J" in line and "x" not in line.partition("user=")[2].partition(" b")[2].partition(" ")[0]


# --- refusals ---

REFUSING = r"""return { name = "house", new = function()
  return { pick = function(conn, uplinks)
    if conn.port == 81 then return false, "no \27[31mgames\n after 22:00: caf\195\169 \255<b>" end
    if conn.port == 82 then return false end
    if conn.port == 83 then return false, ("x"):rep(500) end
    if conn.port == 84 then return uplinks, "secretly preferred" end
  end }
end }
"""


def body_of(proxy, request):
    with socket.create_connection(proxy.address, 10) as s:
        s.sendall(request.encode())
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode(), body


@pytest.mark.parametrize("form", ["CONNECT web.test:{0} HTTP/1.1\r\nHost: web.test:{0}\r\n\r\n",
                                  "GET http://web.test:{0}/ HTTP/1.1\r\nHost: web.test:{0}\r\nConnection: close\r\n\r\n"])
def test_the_body_of_a_403_has_the_policys_reason(lab, start, tmp_path, form):
    (tmp_path / "house.lua").write_text(REFUSING)
    proxy = start("--policy", tmp_path / "house.lua", "wan1")
    head, body = body_of(proxy, form.format(81))
    assert head.startswith("HTTP/1.1 403 Forbidden\r\n")
    assert "\r\nContent-Type: text/plain; charset=utf-8\r\n" in head and f"\r\nContent-Length: {len(body)}\r\n" in head
    assert body.decode() == "This destination is not allowed: no ?[31mgames? after 22:00: café ?<b>\n"
    assert body_of(proxy, form.format(82))[1] == b"This destination is not allowed: house\n"
    assert body_of(proxy, form.format(83))[1] == b"This destination is not allowed: " + b"x" * 95 + b"\n"


def test_other_refusals_do_not_show_the_policys_reason(lab, names, start, tmp_path):
    names.zone["own.test"] = ["127.0.0.1"]
    (tmp_path / "house.lua").write_text(REFUSING)
    proxy = start("--policy", tmp_path / "house.lua", "-H", "192.168.77.1", "--allow", "192.168.77.0/24", "wan1")
    r = lab.lan.run("curl", "-s", "-m", "10", "-w", "%{http_code}", "-x", f"http://192.168.77.1:{proxy.port}", "http://own.test:84/")
    assert r.text.endswith("403") and "secretly" not in r.text and "This destination is not allowed" in r.text


# --- reloads ---


def test_status_shows_the_last_refused_reload(lab, start, tmp_path):
    mine = tmp_path / "mine.lua"
    good = "return { name = 'mine', new = function() return { pick = function(_, uplinks) return uplinks end } end }"
    mine.write_text(good)
    proxy = start("--policy", mine, "wan1")
    assert proxy.ask("status")["policy"]["refused"] is None and "refused" not in proxy.tell("status")
    mine.write_text("\n\nreturn = 1")
    before = time.time()
    for how in ("control", "signal"):
        if how == "control":
            proxy.tell("reload", code=1)
        else:
            proxy.reload()
            proxy.wait_event("policy_not_reloaded", trigger="signal")
        refused_load = proxy.ask("status")["policy"]["refused"]
        assert refused_load["error"].endswith("mine.lua:3: unexpected symbol near '='"), refused_load
        assert before - 1 <= refused_load["time"] <= time.time() + 1
    assert re.search(r"^  refused      reload at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: [^\n]*mine.lua:3: unexpected symbol near '='$",
                     proxy.tell("status"), re.M)
    assert proxy.ask("set", key="nothing", value="1")["ok"] is False
    assert "unexpected symbol" in proxy.ask("status")["policy"]["refused"]["error"]
    mine.write_text(good)
    proxy.tell("reload")
    assert proxy.ask("status")["policy"]["refused"] is None
    assert proxy.ask("set", key="nothing", value="1")["ok"] is False
    assert "unknown parameter 'nothing'" in json.dumps(proxy.ask("status")["policy"]["refused"])


def test_status_and_why_show_the_policys_errors(lab, start, tmp_path):
    mine = tmp_path / "mine.lua"
    text = ("return { name = 'mine', new = function() return { pick = function(conn, uplinks)\n"
            "  if conn.port == 81 then return nope.x end\n  return uplinks end } end }")
    mine.write_text(text)
    proxy = start("--policy", mine, "wan1")
    fault = "mine.lua:2: attempt to index global 'nope' (a nil value)"
    told = proxy.tell("why", "web.test:81")
    assert "leaves by wan1: default: policy error\n" in told and re.search(rf" error .*{re.escape(fault)}", " ".join(told.split()))
    assert "error" not in proxy.tell("why", "web.test:80")
    assert proxy.ask("status")["policy"]["failed"] is None and "failed       " not in proxy.tell("status")  # why asks a copy of the policy
    for _ in range(20):  # a closed port: only the pick counts
        socks5_code(proxy, OPEN4, 81)
    assert re.search(rf"^  failed       pick at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d: [^\n]*{re.escape(fault)}$", proxy.tell("status"), re.M)
    told = proxy.ask("status")["policy"]
    assert told["quarantined"] and told["failed"]["in"] == "pick" and told["failed"]["error"].endswith(fault)
    assert proxy.ask("why", host="web.test", port=80)["error"].endswith(fault)  # it is quarantined
    mine.write_text(text + "\n")
    proxy.tell("reload")
    assert proxy.ask("status")["policy"]["failed"] is None


# --- how long a client waits ---

# An answer may be this late on a busy machine. Without a limit, each test takes longer than both together: an attempt
# for each uplink takes LONG_S, an unanswered name 7 s.
LATE_S, LONG_S, SHORT_S = 5, 4, 1
PATIENT = """return { name = "patient", new = function()
  return { pick = function(_, uplinks) return uplinks, "in order", { timeout = 60, hedge = false } end }
end }
"""


def waited(proxy, host, port=80):
    """(SOCKS5 code, seconds until the reply)."""
    began = time.monotonic()
    code = socks5_code(proxy, host, port)
    return code, time.monotonic() - began


def mute(s):
    """Read everything and never answer."""
    while s.recv(4096):
        pass


@pytest.mark.once
@pytest.mark.parametrize("policy, limit, attempts", [("round_robin", LONG_S, 3), ("patient.lua", SHORT_S, 1)])
def test_all_attempts_together_are_bounded(lab, start, tmp_path, policy, limit, attempts):
    (tmp_path / "patient.lua").write_text(PATIENT)
    proxy = start("--policy", tmp_path / policy if "." in policy else policy, "--hedge", "0", "--dial-timeout", limit,
                  "wan1", "wan2", "wan3")
    for uplink in lab.uplinks:
        uplink.swallow()
    code, s = waited(proxy, WEB4)
    assert code == 6 and limit - 0.2 < s < limit + LATE_S
    assert proxy.connections(1)[0].get("attempts", 1) == attempts


def test_name_queries_are_within_the_time_limit(lab, names, start):
    names.zone["silent.test"] = SILENCE
    proxy = start("--policy", "round_robin", "--hedge", "0", "--dial-timeout", SHORT_S, "wan1", "wan2", "wan3")
    code, s = waited(proxy, "silent.test")
    assert code != 0 and s < SHORT_S + LATE_S


def test_a_line_whose_servers_are_silent_leaves_time_for_another(lab, web, start):
    proxy = start("--policy", "round_robin", "--hedge", "0", "--dial-timeout", 8, "wan1", "wan2")
    lab.wan1.swallow_questions()
    lab.wan1.broken = True
    assert waited(proxy, "web4.test")[0] == 0
    assert proxy.tell("uplinks")


@pytest.mark.once
@pytest.mark.parametrize("scheme", ["socks5", "http", "socks4a"])
def test_the_dialogue_with_an_upstream_is_within_the_time_limit(lab, origin, start, scheme):
    far = [f"{scheme}://{OPEN4}:{origin(mute).port}" for _ in range(3)]
    proxy = start("--policy", "round_robin", "--hedge", "0", "--dial-timeout", LONG_S, *far)
    code, s = waited(proxy, "web.test")
    assert code != 0 and LONG_S - 0.2 < s < LONG_S + LATE_S
    assert proxy.connections(1)[0]["attempts"] == 3


def test_resolving_an_upstream_is_within_the_time_limit(lab, names, start):
    names.zone["proxy.test"] = SILENCE
    proxy = start("--dial-timeout", SHORT_S, "--hedge", "0", "socks5://proxy.test:1080")
    code, s = waited(proxy, "web.test")
    assert code != 0 and s < SHORT_S + LATE_S


def test_direct_connections_are_within_the_time_limit(lab, start):
    proxy = start("--dial-timeout", SHORT_S, "--bypass", "203.0.113.0/24", "wan1")
    code, s = waited(proxy, HOLE4)
    assert code != 0 and s < SHORT_S + LATE_S


# --- settings without effect ---

UPLINKS = """{ policy = "%s", uplinks = { "wan1",
  { interface = "wan2", name = "dsl", tier = 2, quota = "20G" },
  { interface = "wan3", name = "lte", tier = 3, tags = { "slow" }, quota = "5G", quota_end = "hard" } } }"""


def test_settings_that_the_policy_ignores(lab, start, config, tmp_path):
    path = config(UPLINKS % "least_connections")
    told = run("check", "--config", path).stderr
    for words in ("the tier of dsl, lte: these uplinks are used like the others; failover, quota and balance.tiers use tiers",
                  "the tags of lte: no choice depends on them", "the quota of dsl: these uplinks are used beyond it"):
        assert f"steerway: warning: policy least_connections ignores {words}" in told
    assert told.count("warning") == 3
    proxy = start("--config", path)
    event = "policy_setting_ignored"
    order = [line["event"] for line in proxy.log()]
    assert order.index("started") > order.index(event), "a start's warnings come before it"
    assert [(e["setting"], e["uplinks"]) for e in proxy.events(event, policy="least_connections")] == [
        ("tier", "dsl, lte"), ("tags", "lte"), ("quota", "dsl")]
    proxy.tell("policy", "quota")
    assert [e["setting"] for e in proxy.events(event, policy="quota")] == ["tags"]
    mine = tmp_path / "mine.lua"
    mine.write_text("return { name = 'mine', new = function() return { pick = function(_, l)\n"
                    "  table.sort(l, function(a, b) return a.tier < b.tier end)\n"
                    "  if l[1].quota_left > 0 and not l[1].tags.slow then return l end\nend } end }")
    proxy.tell("policy", mine)
    assert proxy.events("policy_reloaded", policy="mine") and not proxy.events(event, policy="mine")
    assert run("check", "--config", config(UPLINKS % mine)).stderr == ""


def test_a_misspelt_tag(lab, config):
    path = config('{ policy = "rules", uplinks = { "wan1", { interface = "wan2", name = "dsl", tags = { "stedy" } } } }')
    assert run("check", "--config", path).stderr == (
        "steerway: warning: policy rules ignores the tags of dsl: the policy does not name the tag 'stedy'; "
        "did you mean 'steady'?\n")
