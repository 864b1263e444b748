"""The command line: every option's good and bad values, exit codes, and what is said about them.

Nothing here needs a network: `check` reads everything as `start` does, and the few real starts listen on loopback.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lab.run import wait_for

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("STEERWAY_BIN", ROOT / "build/dev/steerway")).resolve()
LIMIT_S = 20
POLICIES = ["failover", "least_connections", "random", "round_robin"]


def run(*args, env=None, cwd=None):
    clean = {k: v for k, v in os.environ.items() if k != "STEERWAY_DATA_DIR"}
    return subprocess.run([BINARY, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=LIMIT_S, env={**clean, **(env or {})}, cwd=cwd)


def refused(code, *args, **options):
    """Runs what must fail with this code and one line; returns the line without "steerway: "."""
    r = run(*args, **options)
    assert (r.returncode, r.stdout) == (code, ""), r
    assert re.fullmatch(r"steerway: [^\n]+\n", r.stderr), r.stderr
    return r.stderr.removeprefix("steerway: ").rstrip("\n")


def verdict(*args, warnings=0, **options):
    """Runs a check that must be fine; returns policy, uplinks and addresses."""
    r = run("check", *args, **options)
    assert r.returncode == 0, r.stderr
    assert r.stderr.count("steerway: warning: ") == r.stderr.count("\n") == warnings, r.stderr
    match = re.fullmatch(r"ok: policy (\S+); uplinks (.*); listening on (.*)\n", r.stdout)
    assert match, r.stdout
    return match.group(1), match.group(2), match.group(3)


def listening(*args):
    return verdict(*args, "eth9", warnings=1)[2]


@pytest.fixture
def config(tmp_path):
    """config(text) writes a config file and returns its path."""

    def write(text):
        path = tmp_path / "config.lua"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def started(tmp_path):
    """started(*args, banner=…) runs `start` until it said the words; the run ends with the test."""
    running = []

    def begin(*args, banner="Stop: "):
        out, log = tmp_path / f"out{len(running)}", tmp_path / f"log{len(running)}"
        with open(out, "wb") as out_file, open(log, "wb") as log_file:
            process = subprocess.Popen([BINARY, "start", "-p", "0", *map(str, args)], stdin=subprocess.DEVNULL,
                                       stdout=out_file, stderr=log_file)
        process.said = lambda: (out.read_text(), log.read_text())
        running.append(process)

        def ready():
            assert process.poll() is None, process.said()
            return banner in "".join(process.said())

        wait_for(ready, "the proxy starts", LIMIT_S)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(LIMIT_S) == 0, process.said()
        finally:
            process.kill()


# --- commands ---


def test_without_a_command_usage_goes_to_stderr():
    r = run()
    assert r.returncode == 2 and r.stdout == ""
    assert r.stderr.startswith("Usage: steerway COMMAND")


@pytest.mark.parametrize("args", [["-h"], ["--help"], ["help"]])
def test_the_overview(args):
    r = run(*args)
    assert r.returncode == 0 and r.stderr == ""
    for verb in ["list", "start", "check", "help"]:
        assert re.search(rf"^  {verb} ", r.stdout, re.M)


@pytest.mark.parametrize("verb", ["list", "start", "check"])
def test_each_command_has_its_help(verb):
    texts = {run("help", verb).stdout, run(verb, "-h").stdout, run(verb, "--help").stdout, run(verb, "--help", "-x").stdout}
    assert len(texts) == 1
    text = texts.pop()
    assert text.startswith(f"Usage: steerway {verb} ")
    assert ("--port" in text) == (verb != "list") and ("--json" in text) == (verb == "list")
    assert "--help" in text and "--version" in text


@pytest.mark.parametrize("args", [[], ["list"], ["start"], ["check"], ["help"]])
def test_help_fits_a_terminal(args):
    lines = run("help", *args).stdout.splitlines()
    assert lines and max(map(len, lines)) < 80
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("args", [["-V"], ["--version"], ["start", "-V"], ["list", "--version"], ["check", "eth9", "-V"]])
def test_version(args):
    r = run(*args)
    assert (r.returncode, r.stderr) == (0, "")
    assert re.fullmatch(r"steerway \d+\.\d+\.\d+\n", r.stdout)


def test_a_mistyped_command_is_recognised():
    assert refused(2, "strat") == "no command 'strat'; did you mean start?"
    assert refused(2, "help", "chek") == "no command 'chek'; did you mean check?"
    assert refused(2, "eth0") == "no command 'eth0' (there are: list, start, check, help)"
    assert refused(2, "-p", "80", "start").startswith("the command comes first: steerway start -p")


# --- the shape of a command line ---


def test_options_and_uplinks_in_any_order_and_form():
    for args in [
        ["-p", 1234, "-H", "127.0.0.1", "eth9@7"],
        ["eth9@7", "-p1234", "-H127.0.0.1"],
        ["--port", 1234, "eth9/7", "--host", "127.0.0.1"],
        ["--port=1234", "--host=127.0.0.1", "--", "eth9@7"],
        ["--port=1", "-p", "1234", "--host=127.0.0.1", "eth9@7"],
    ]:
        assert verdict(*args, warnings=1) == ("least_connections", "eth9@7", "127.0.0.1:1234"), args


def test_the_habit_of_dispatch():
    uplinks = verdict("10.0.0.1@7", "10.0.0.2@3", "--http", "-H", "0.0.0.0", "--debug", warnings=2)
    assert uplinks == ("least_connections", "10.0.0.1@7, 10.0.0.2@3", "0.0.0.0:8080")


def test_behind_two_dashes_all_are_uplinks():
    assert verdict("--", "-p", warnings=1)[1] == "-p@1"
    assert verdict("-", warnings=1)[1] == "-@1"


@pytest.mark.parametrize(
    "args, line",
    [
        (["--prot", 1], "no option --prot; did you mean --port?"),
        (["--prot=SECRET"], "no option --prot; did you mean --port?"),
        (["-auth=u:SECRET"], "no option -auth; did you mean --auth?"),
        (["--nothing"], "no option --nothing (-h lists those there are)"),
        (["--json"], "no option --json (-h lists those there are)"),
        (["--=x"], "no option -- (-h lists those there are)"),
        (["-x"], "no option -x (-h lists those there are)"),
        (["--port"], "--port: expected PORT after it"),
        (["-p"], "--port: expected PORT after it"),
        (["--debug=1"], "--debug takes no value"),
        (["--config="], "--config: expected the name of a file"),
        ([""], 'uplink "": expected INTERFACE or ADDRESS, then perhaps @WEIGHT'),
        (["eth0@0"], 'uplink "eth0@0": the weight "0" must be a number above 0 and at most 1000000'),
        (["a\nb"], 'uplink "a?b": "a?b" is no interface\'s name: expected 1 to 15 characters without blanks'),
        ([f"eth{i}" for i in range(65)], "more than 64 uplinks"),
    ],
)
def test_misuse_is_told_in_one_line(args, line):
    assert refused(2, "check", *args) == line
    assert refused(2, "start", *args) == line


def test_list_takes_no_uplinks():
    assert refused(2, "list", "eth0") == "list takes no uplinks: 'eth0'"
    assert refused(2, "list", "--port", "1") == "no option --port (-h lists those there are)"


# --- values ---


@pytest.mark.parametrize(
    "args, addresses",
    [
        ([], "127.0.0.1:1080, [::1]:1080"),
        (["--http"], "127.0.0.1:8080, [::1]:8080"),
        (["--http", "-p", "1080"], "127.0.0.1:1080, [::1]:1080"),
        (["-p", "0"], "127.0.0.1:0, [::1]:0"),
        (["-p", "65535"], "127.0.0.1:65535, [::1]:65535"),
        (["-H", "localhost"], "127.0.0.1:1080, [::1]:1080"),
        (["-H", "*"], "0.0.0.0:1080, [::]:1080"),
        (["-H", "::1", "-H", "192.0.2.1"], "[::1]:1080, 192.0.2.1:1080"),
        (["--listen", "[::1]:1080"], "[::1]:1080"),
        (["--listen", "0.0.0.0:99"], "0.0.0.0:99"),
        (["--listen", "*:99"], "0.0.0.0:99, [::]:99"),
        (["--listen", "localhost:99", "--listen", "127.0.0.1:99"], "127.0.0.1:99, [::1]:99"),
        (["--listen", "192.0.2.1:99", "-p", "7"], "192.0.2.1:99, 127.0.0.1:7, [::1]:7"),
    ],
)
def test_where_to_listen(args, addresses):
    assert listening(*args) == addresses


@pytest.mark.parametrize(
    "args",
    [
        ["--allow", "10.0.0.0/8,fd00::/8", "--allow", "192.0.2.1"],
        ["--auth", "user:pass", "--auth", "other:pa:ss"],
        ["--bypass", "none"],
        ["--bypass", "10.0.0.0/8,::1"],
        ["--dial-timeout", "0.1", "--handshake-timeout", "86400", "--idle-timeout", "1.5", "--drain-timeout", "0"],
        ["--dns", "192.0.2.53,[2001:db8::53]:5353"],
        ["--debug"],
        ["--quiet"],
        ["--log-format", "text"],
        ["--log-format", "json"],
        ["--data-dir", ROOT],
    ],
)
def test_good_values(args):
    assert verdict(*args, "eth9", warnings=1)[0] == "least_connections"


@pytest.mark.parametrize(
    "option, value, said",
    [
        ("port", "70000", "70000 is not a port (1 to 65535, 0 for a free one)"),
        ("port", "x", "'x' is not a port (1 to 65535, 0 for a free one)"),
        ("host", "example.org", "'example.org' is not an address of this machine"),
        ("listen", ":1080", "':1080' is not ADDRESS:PORT"),
        ("allow", "10/8", "'10/8' is not an address range"),
        ("bypass", "all", "'all' is not an address range"),
        ("set", "key", "'key' is not KEY=VALUE"),
        ("policy", "", "expected a text that is not empty"),
        ("dns", "dns", "'dns' is not a DNS server"),
        ("dial-timeout", "0", "'0' is not a time in seconds (0.1 to 86400)"),
        ("handshake-timeout", "soon", "'soon' is not a time in seconds"),
        ("idle-timeout", "0", "'0' is not a time in seconds"),
        ("drain-timeout", "-1", "'-1' is not a time in seconds (0 to 86400)"),
        ("log-format", "xml", "'xml' is not text or json"),
        ("auth", "SECRET", "expected USER:PASS"),
        ("auth", ":SECRET", "expected USER:PASS"),
        ("auth-file", "/nonexistent", "/nonexistent: No such file or directory"),
    ],
)
def test_bad_values(option, value, said):
    line = refused(2, "check", f"--{option}", value)
    assert line.startswith(f"--{option}: {said}")
    assert "SECRET" not in line
    assert refused(2, "start", f"--{option}={value}") == line


def test_a_user_given_twice():
    assert refused(2, "check", "--auth", "u:SECRET", "--auth", "u:SECRET2") == "--auth: this user was given before"


def test_every_option_of_the_help_is_tested_here():
    source = Path(__file__).read_text()
    for name in re.findall(r"--([a-z-]+)", run("help", "start").stdout + run("help", "list").stdout):
        assert f"--{name}" in source.replace(f'("{name}"', f'("--{name}"'), name


# --- policies and data ---


@pytest.mark.parametrize("name", POLICIES)
def test_the_policies_that_ship(name):
    assert verdict("--policy", name, "eth9", "eth8@2", warnings=2) == (name, "eth9@1, eth8@2", "127.0.0.1:1080, [::1]:1080")


def test_a_policy_that_is_none():
    line = refused(1, "check", "--policy", "lest_connections", "eth9")
    assert line.startswith("no policy 'lest_connections'; did you mean least_connections? (there are: ")
    assert ", ".join(POLICIES) in line
    assert refused(1, "check", "--policy", "./none.lua", "eth9") == "policy ./none.lua: No such file or directory"
    assert refused(1, "check", "--policy", "none.lua", "eth9") == "policy none.lua: No such file or directory"


def test_a_policy_of_ones_own(tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text("""
        return {
          name = "mine",
          params = { share = { type = "number", default = 1, max = 9 } },
          new = function(ctx)
            assert(ctx.params.share == 2)
            return { pick = function(_, uplinks) return uplinks[1] end }
          end,
        }""")
    assert verdict("--policy", path, "--set", "share=1", "--set", "share=2", "eth9", warnings=1)[0] == "mine"
    assert verdict("--policy", "mine.lua", "--set=share=2", "eth9", warnings=1, cwd=tmp_path)[0] == "mine"
    assert "'share': expected a number of at most 9, got 'x'" in refused(1, "check", "--policy", path, "--set", "share=x", "eth9")
    assert "unknown parameter 'shar'" in refused(1, "check", "--policy", path, "--set", "shar=1", "eth9")
    path.write_text("return {\n  name = = 1 }")
    assert "mine.lua:2: unexpected symbol" in refused(1, "check", "--policy", path, "eth9")


def test_where_the_lua_files_are(tmp_path):
    assert refused(1, "check", "--data-dir", tmp_path, "eth9") == f"--data-dir: no lua/steerway/host.lua in {tmp_path}"
    env = {"STEERWAY_DATA_DIR": str(tmp_path)}
    assert refused(1, "check", "eth9", env=env) == f"STEERWAY_DATA_DIR: no lua/steerway/host.lua in {tmp_path}"
    assert verdict("--data-dir", ROOT, "eth9", warnings=1, env=env)
    shutil.copytree(ROOT / "lua", tmp_path / "lua")
    (tmp_path / "policies").mkdir()
    shutil.copy(ROOT / "policies/random.lua", tmp_path / "policies/dice.lua")
    for name in [".hidden.lua", "notes.txt", ".lua", "lua", "a"]:
        (tmp_path / "policies" / name).touch()
    assert "(there are: dice;" in refused(1, "check", "eth9", env=env)
    assert verdict("--policy", "dice", "eth9", warnings=1, env=env)


# --- uplinks ---


def test_check_warns_of_absent_uplinks():
    r = run("check", "eth9", "192.0.2.77", "lo")
    assert r.returncode == 0
    assert r.stderr.splitlines() == [
        "steerway: warning: uplink eth9 is not usable at present: this machine has no such interface",
        "steerway: warning: uplink 192.0.2.77 is not usable at present: this machine does not have the address",
        "steerway: warning: uplink lo is not usable at present: loopback",
    ]


def test_uplinks_given_twice():
    line = "uplink eth9 is given twice (a config file can give each a name of its own)"
    assert refused(1, "check", "eth9", "eth9@2") == line
    assert refused(1, "start", "eth9", "eth9@2") == line


def test_without_any_uplink_each_link_is_told_with_its_objection():
    if any(link["used"] for link in json.loads(run("list", "--json").stdout)["links"]):
        pytest.skip("this network namespace has a link that is usable")
    expected = r"no link of this machine can serve as an uplink: .*lo \(loopback\).*; name one: steerway start INTERFACE\|ADDRESS"
    assert re.fullmatch(expected, refused(1, "start"))
    r = run("check")
    assert r.returncode == 0 and re.fullmatch(f"steerway: warning: {expected}\n", r.stderr)
    assert "uplinks none;" in r.stdout


def test_list_as_a_table():
    r = run("list")
    assert (r.returncode, r.stderr) == (0, "")
    lines = r.stdout.splitlines()
    assert lines[0].split("  ")[0] == "INTERFACE" and lines[0].endswith("USED BY DEFAULT")
    used_at = lines[0].index("USED BY DEFAULT")
    loopback = next(line for line in lines if line.startswith("lo "))
    assert loopback[used_at:] == "no: loopback"
    assert "127.0.0.1/8" in loopback
    assert all(line == line.rstrip() for line in lines)


def test_list_as_json():
    r = run("list", "--json")
    assert (r.returncode, r.stderr) == (0, "")
    links = json.loads(r.stdout)["links"]
    loopback = next(link for link in links if link["interface"] == "lo")
    assert loopback["kind"] == "loopback" and "127.0.0.1/8" in loopback["ipv4"] and loopback["state"] == "up"
    assert (loopback["used"], loopback["objection"]) == (False, "loopback")
    for link in links:
        assert set(link) == {"interface", "state", "kind", "ipv4", "ipv6", "default4", "default6", "gateway4", "gateway6",
                             "used", "objection"}
        assert link["used"] == (link["objection"] is None)


# --- config files ---


def test_a_config_file_says_it_all(config, tmp_path):
    (tmp_path / "mine.lua").write_text(
        'return { name = "mine", params = { n = { type = "number" } },'
        "  new = function() return { pick = function(_, u) return u[1] end } end }")
    (tmp_path / "users").write_text("anna:SECRET\n")
    path = config("""return {
        host = "192.0.2.1", port = 99, auth_file = "users", policy = "mine.lua", set = { n = 3 },
        uplinks = { "eth9@7", { interface = "eth8", name = "lte", weight = 0.5, tier = 2, tags = { "metered" } } },
    }""")
    assert verdict("--config", path, warnings=2) == ("mine", "eth9@7, lte@0.5", "192.0.2.1:99")
    # Paths in it are its own folder's, wherever it is read from; the command line counts more.
    assert verdict("--config", path, "-p", 7, "--policy", "random", "eth7", warnings=1, cwd="/") == (
        "random", "eth7@1", "192.0.2.1:7")
    assert verdict("eth7", "-H", "127.0.0.1", "--config", path, "--listen=[::1]:8", warnings=1)[2] == "[::1]:8, 127.0.0.1:1080"


@pytest.mark.parametrize(
    "text, said",
    [
        ("return { prot = 1 }", "prot: unknown key; did you mean port?"),
        ("return { port = '1' }", "port: expected a number"),
        ("return { port = 70000 }", "port: 70000 is not a port (1 to 65535, 0 for a free one)"),
        ("return { auth = 'SECRET' }", "auth: expected USER:PASS, the user 1 to 255 octets without ':', the password 255 at most"),
        ("return { uplinks = { 'eth0', { interface = 'eth1', weigth = 1 } } }",
         "uplinks[2].weigth: unknown key; did you mean weight?"),
        ("return 7", "expected the file to return a table, got number"),
    ],
)
def test_a_bad_config_file_names_itself_and_the_key(config, text, said):
    path = config(text)
    assert refused(1, "check", "--config", path) == f"{path}: {said}"
    assert refused(1, "start", "--config", path) == f"{path}: {said}"


def test_a_config_file_that_is_no_lua_or_missing(config, tmp_path):
    path = config("return {\n  port = = 1 }")
    assert "config.lua:2: unexpected symbol" in refused(1, "check", "--config", path)
    missing = tmp_path / "none.lua"
    assert refused(1, "check", "--config", missing) == f"{missing}: No such file or directory"


# --- real starts ---


def test_the_greeting_and_a_clean_end(started):
    process = started("eth9@7")
    out, _ = process.said()
    assert re.match(r"Steerway \d+\.\d+\.\d+, policy least_connections\n  listening on 127\.0\.0\.1:[1-9]\d*\n", out)
    assert re.search(r"^  uplink eth9 +weight 7 +\(down\)$", out, re.M)
    port = re.search(r"listening on 127\.0\.0\.1:(\d+)", out).group(1)
    assert f"curl -x socks5h://127.0.0.1:{port} https://" in out
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S) == 0
    assert "stopped" in process.said()[1]


def test_the_greeting_names_an_address_that_can_be_used(started):
    out, _ = started("-H", "0.0.0.0", "--auth", "u:SECRET", "eth9").said()
    port = re.search(r"listening on 0\.0\.0\.0:(\d+)", out).group(1)
    assert f"curl -x socks5h://USER:PASS@127.0.0.1:{port} https://" in out
    assert "SECRET" not in out


def test_json_logs_tell_the_start(started):
    out, log = started("--log-format", "json", "eth9", banner='"started"').said()
    assert out == ""
    events = [json.loads(line) for line in log.splitlines()]
    assert events[0]["event"] == "listening" and re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", events[0]["address"])
    uplink = next(e for e in events if e["event"] == "uplink")
    assert (uplink["uplink"], uplink["state"]) == ("eth9", "down")
    assert next(e for e in events if e["event"] == "started")["policy"] == "least_connections"


def test_quiet_is_quiet(tmp_path):
    """There is nothing to wait for, so the kernel is asked when it listens."""
    with open(tmp_path / "all", "w+b") as out:
        process = subprocess.Popen([BINARY, "start", "--quiet", "-H", "127.0.0.1", "-p", "0", "--bypass", "none", "eth9"],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_for(lambda: process.poll() is not None or listens(process.pid), "it listens", LIMIT_S)
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT_S) == 0
        finally:
            process.kill()
        out.seek(0)
        lines = [line for line in out.read().decode().splitlines() if " warn " not in line]
        assert lines == []


def listens(pid):
    """Signals are handled from the moment the loop runs: by then it waits in epoll."""
    try:
        inodes = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        caught = int(re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text()).group(1), 16)
    except (FileNotFoundError, ProcessLookupError, AttributeError):
        return False
    return any("eventpoll" in i for i in inodes) and caught & (1 << (signal.SIGTERM - 1))


@pytest.mark.parametrize("form", [["--auth", "anna:SECRET"], ["--auth=anna:SECRET"]])
def test_ps_does_not_show_a_password(started, form):
    process = started("eth9", *form, "--debug")
    line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"--auth" in line and b"***" in line and b"eth9" in line and b"--debug" in line
    assert b"SECRET" not in line and b"anna" not in line
    assert "SECRET" not in "".join(process.said())


def test_a_port_that_is_taken(started):
    out, _ = started("-H", "127.0.0.1", "eth9").said()
    port = re.search(r":(\d+)$", out, re.M).group(1)
    line = refused(1, "start", "-H", "127.0.0.1", "-p", port, "eth9")
    assert line.startswith(f"cannot listen on 127.0.0.1:{port}: Address already in use")


def test_an_address_that_is_not_here():
    line = refused(1, "start", "--listen", "192.0.2.77:0", "eth9")
    assert line == "cannot listen on 192.0.2.77:0: Cannot assign requested address"


def test_output_that_cannot_be_written():
    with open("/dev/full", "wb") as full:
        r = subprocess.run([BINARY, "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S)
    assert r.returncode == 1
    assert r.stderr == "steerway: cannot write to standard output\n"
