"""The command line: good and bad values of every option, exit codes, and messages.

`check` reads everything as `start` does, and needs no network."""

import re
from pathlib import Path

import pytest

from lab.command import refused, run, verdict
from lab.proxy import ROOT


def listening(*args):
    """Uses documentation addresses, which no machine has. Each causes a warning, in addition to the one for eth9."""
    absent = "".join(map(str, args)).count("192.0.2.1")
    return verdict(*args, "eth9", warnings=1 + absent)[2]


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


@pytest.mark.parametrize("verb", ["start", "check", "doctor", "simulate"])
def test_options_of_one_kind_stand_under_one_heading(verb):
    headings = re.findall(r"^(\S.*):$", run("help", verb).stdout, re.M)
    assert headings and len(headings) == len(set(headings)), headings


@pytest.mark.parametrize("args", [[], ["list"], ["start"], ["check"], ["help"]])
def test_help_fits_a_terminal(args):
    lines = run("help", *args).stdout.splitlines()
    assert lines and max(map(len, lines)) < 80
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("args", [["-V"], ["--version"], ["start", "-V"], ["list", "--version"], ["check", "eth9", "-V"]])
def test_version(args):
    r = run(*args)
    assert (r.returncode, r.stderr) == (0, "")
    assert re.fullmatch(r"steerway \d+\.\d+\.\d+\n(left out of this build: .*\n)*", r.stdout)


def test_a_mistyped_command_is_recognised():
    assert refused(2, "strat") == "unknown command 'strat'; did you mean start?"
    assert refused(2, "help", "chek") == "unknown command 'chek'; did you mean check?"
    assert refused(2, "help", "start", "list") == "help takes [COMMAND] and no more: 'list'"
    unknown = refused(2, "eth0")
    assert unknown.startswith("unknown command 'eth0' (known: list, start, check, ") and unknown.endswith(", help)"), unknown
    assert refused(2, "-p", "80", "start").startswith("the command comes first: steerway start -p")


# --- syntax of the command line ---


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


def test_weights_make_the_default_one_that_heeds_them():
    for uplinks, policy in ((("eth8", "eth9"), "fair_share"), (("eth8@1",), "fair_share"), (("eth8", "eth9@0.5"), "least_connections")):
        assert verdict(*uplinks, warnings=len(uplinks))[0] == policy
    assert verdict("eth9@7", "--policy", "fair_share", warnings=1)[0] == "fair_share"


def test_behind_two_dashes_all_are_uplinks():
    assert verdict("--", "-p", warnings=1)[1] == "-p@1"
    assert verdict("-", warnings=1)[1] == "-@1"


@pytest.mark.parametrize(
    "args, line",
    [
        (["--prot", 1], "unknown option --prot; did you mean --port?"),
        (["--prot=SECRET"], "unknown option --prot; did you mean --port?"),
        (["-auth=u:SECRET"], "unknown option -auth; did you mean --auth?"),
        (["--nothing"], "unknown option --nothing (-h lists the options)"),
        (["--=x"], "unknown option -- (-h lists the options)"),
        (["-x"], "unknown option -x (-h lists the options)"),
        (["--port"], "--port: expected PORT after it"),
        (["-p"], "--port: expected PORT after it"),
        (["--debug=1"], "--debug takes no value"),
        (["--config="], "--config: expected the name of a file"),
        ([""], 'uplink "": expected INTERFACE or ADDRESS, then perhaps @WEIGHT'),
        (["eth0@0"], 'uplink "eth0@0": the weight "0" must be a number above 0 and at most 1000000'),
        (["a\nb"], 'uplink "a?b": "a?b" cannot be an interface\'s name: expected 1 to 127 characters without blanks'),
        ([f"eth{i}" for i in range(65)], "more than 64 uplinks"),
    ],
)
def test_misuse_is_told_in_one_line(args, line):
    assert refused(2, "check", *args) == line
    assert refused(2, "start", *args) == line


def test_list_takes_no_uplinks():
    assert refused(2, "list", "eth0") == "list takes options only: 'eth0'"
    assert refused(2, "check", "--json") == "check has no option --json, unlike list (-h lists the options)"
    assert refused(2, "simulate", "--policy", "x") == "simulate has no option --policy, unlike start (-h lists the options)"
    assert refused(2, "list", "--port", "1") == "list has no option --port, unlike start (-h lists the options)"


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
        ["--allow", "10.0.0.0/8,fd00::/8", "--allow", "127.0.0.1"],
        ["--auth", "user:pass", "--auth", "other:pa:ss"],
        ["--bind-from", "10.0.0.0/8,::1", "--bind-from", "192.0.2.1"],
        ["--bind-from", "none"],
        ["--bind-timeout", "5"],
        ["--bypass", "none"],
        ["--deny", "10.0.0.0/8,[2001:db8::]/32:25,*:1-1023", "--allow-own-addresses"],
        ["--bypass", "10.0.0.0/8,::1"],
        ["--dial-timeout", "0.1", "--hedge", "0", "--handshake-timeout", "86400", "--idle-timeout", "1.5", "--drain-timeout", "0"],
        ["--threads", "0"],
        ["--threads", "64"],
        ["--dns", "192.0.2.53,[2001:db8::53]:5353"],
        ["--check", "192.0.2.1:443,http://example.org/204", "--check", "[2001:db8::1]:53", "--check-interval", "5"],
        ["--check", "none"],
        ["--debug"],
        ["--quiet"],
        ["--log-format", "text"],
        ["--log-format", "json"],
        ["--log-to", "stderr"],
        ["--run-as", "1234:1234"],
        ["--log-to", "./nosuch/file"],
        ["--listen-strict"],
        ["--pac-bypass", "none", "--pac-direct"],
        ["--transparent-resolve", "--transparent", "redirect:*:5"],
        ["--ipv6-source", "system"],
        ["--ipv6-source", "temporary"],
        ["--ipv6-source", "stable"],
        ["--data-dir", ROOT],
    ],
)
def test_good_values(args):
    assert verdict(*args, "eth9", warnings=1)[0] == "fair_share"


@pytest.mark.once
@pytest.mark.parametrize(
    "option, value, said",
    [
        ("port", "70000", "70000 is not a port (1 to 65535, 0 for a free one)"),
        ("port", "x", "'x' is not a port (1 to 65535, 0 for a free one)"),
        ("host", "example.org", "'example.org' is not an address of this machine"),
        ("listen", ":1080", "':1080' is not ADDRESS:PORT"),
        ("allow", "10/8", "'10/8' is not an address range"),
        ("bypass", "all", "'all' is not an address range"),
        ("bind-from", "all", "'all' is not an address range"),
        ("bind-timeout", "0", "'0' is not a time in seconds (0.1 to 86400)"),
        ("set", "key", "'key' is not KEY=VALUE"),
        ("policy", "", "expected a text that is not empty"),
        ("dns", "dns", "'dns' is not a DNS server"),
        ("dial-timeout", "0", "'0' is not a time in seconds (0.1 to 86400)"),
        ("hedge", "-1", "'-1' is not a time in seconds (0 to 86400)"),
        ("ack-timeout", "-1", "'-1' is not a time in seconds (0 to 86400)"),
        ("cut-after", "-1", "'-1' is not a time in seconds (0 to 86400)"),
        ("handshake-timeout", "soon", "'soon' is not a time in seconds"),
        ("idle-timeout", "0", "'0' is not a time in seconds"),
        ("drain-timeout", "-1", "'-1' is not a time in seconds (0 to 86400)"),
        ("threads", "65", "'65' is not a number of threads (0 to 64)"),
        ("threads", "-1", "'-1' is not a number of threads (0 to 64)"),
        ("threads", "many", "'many' is not a number of threads (0 to 64)"),
        ("forward", "x", "expected tcp:ADDRESS:PORT=HOST:PORT, such as tcp:127.0.0.1:5432=db.example.org:5432"),
        ("transparent", "x", "expected redirect:ADDRESS:PORT or tproxy:ADDRESS:PORT"),
        ("udp-filter", "x", "'x' is not a filter (endpoint, address or address-port)"),
        ("udp-ports", "9-8", "'9-8' is not a port, or a range of ports such as 40000-40999"),
        ("udp-ports", "0", "0 is not a port, or a range of ports such as 40000-40999"),
        ("udp-advertise", "192.0.2.1,x", "'x' is not an address (192.0.2.1, 2001:db8::1)"),
        ("udp-mappings", "0", "0 is not a number of mappings (1 to 999999)"),
        ("udp-idle", "119", "'119' is not a time in seconds (120 to 86400)"),
        ("peek-timeout", "x", "'x' is not a time in seconds (0 to 86400)"),
        ("udp-filter", "x", "'x' is not a filter (endpoint, address or address-port)"),
        ("udp-ports", "x", "'x' is not a port, or a range of ports such as 40000-40999"),
        ("udp-advertise", "x", "'x' is not an address"),
        ("udp-advertise", "0.0.0.0", "'0.0.0.0' is not an address that clients can send to"),
        ("udp-advertise", "192.0.2.1,::", "'::' is not an address that clients can send to"),
        ("udp-mappings", "x", "'x' is not a number of mappings (1 to 999999)"),
        ("udp-idle", "60", "'60' is not a time in seconds (120 to 86400)"),
        ("max-clients", "x", "'x' is not a number (1 to 999999; 0: no limit)"),
        ("max-connections", "-1", "'-1' is not a number (1 to 999999; 0: no limit)"),
        ("client-connections", "1000000", "1000000 is not a number (1 to 999999; 0: no limit)"),
        ("client-new", "1.5", "'1.5' is not a number (1 to 999999; 0: no limit)"),
        ("client-handshakes", "", "'' is not a number (1 to 999999; 0: no limit)"),
        ("rate-client", "2m", "'2m' is not a rate in bytes a second (1K to 1T, such as 2M)"),
        ("rate-client", "0", "0 is not a rate in bytes a second"),
        ("rate-user", "2M", "'2M' is not NAME=RATE, such as tim=2M"),
        ("rate-user", "tim=fast", "'fast' is not a rate in bytes a second"),
        ("proxy-protocol-from", "all", "'all' is not an address range"),
        ("own-mark", "3", "expected one bit from 0x1000000 to 0x80000000, got '3'"),
        ("log-format", "xml", "'xml' is not text or json"),
        ("run-as", "a:b:c", "'a:b:c' is not USER or USER:GROUP"),
        ("run-as", ":b", "':b' is not USER or USER:GROUP"),
        ("log-to", "jurnal", "'jurnal' is not stderr, journal, syslog, or a path with a '/'"),
        ("ipv6-source", "privacy", "'privacy' is not one of system, temporary, stable"),
        ("auth", "SECRET", "expected USER:PASS"),
        ("auth", ":SECRET", "expected USER:PASS"),
        ("auth-file", "", "expected the name of a file"),
        ("check", "example.org", "'example.org' is not a target (such as 192.0.2.1:443"),
        ("check", "https://example.org/", "'https://example.org/' is not a target"),
        ("check", "a:1,b:2,c:3,d:4,e:5", "more than 4 targets"),
        ("check-interval", "0.5", "'0.5' is not a time in seconds (1 to 86400)"),
        ("dns", "1.1.1.1:0", "'1.1.1.1:0' is not a DNS server"),
        ("dns", "::1,::2,::3,::4,::5,::6,::7,::8,::9", "more than 8 servers"),
    ],
)
def test_bad_values(option, value, said):
    line = refused(2, "check", f"--{option}", value)
    assert line.startswith(f"--{option}: {said}")
    assert "SECRET" not in line
    assert refused(2, "start", f"--{option}={value}") == line


def test_a_wrong_users_file_is_a_failure_and_not_misuse(tmp_path):
    users = tmp_path / "users"
    users.write_text("# nobody yet\n")
    for path, said in [("/nonexistent", "No such file or directory"), (users, "the file has no users (expected lines of USER:PASS)"),
                       ("/dev/zero", "expected a regular file")]:
        line = refused(1, "check", "--auth-file", path)
        assert line == f"--auth-file: {path}: {said}"
        assert refused(1, "start", "--auth-file", path) == line
    users.write_text("anna:SECRET\nSECRET\n")
    assert refused(1, "check", "--auth-file", users).startswith(f"--auth-file: {users}:2: expected USER:PASS")
    # Of two errors, the one on the command line itself is reported.
    assert refused(2, "check", "--port", "x", "--auth-file", users).startswith("--port: ")


def test_options_of_services_for_the_user():
    for args in [["--control", "none"], ["--control", "/run/x.sock"], ["--no-watch"], ["--no-jit"], ["--fast-open"],
                 ["--record", "trace"], ["--udp-filter", "endpoint"], ["--udp-ports", "4000"], ["--udp-ports", "4000-4100"],
                 ["--udp-advertise", "192.0.2.1,2001:db8::1"], ["--udp-mappings", "9"], ["--udp-idle", "120"], ["--state", "none"], ["--state", "folder/state.json"]]:
        assert run("check", *args, "eth9").returncode == 0
    assert refused(2, "check", "--control", "socket") == (
        "--control: expected a path, such as /run/steerway/control.sock, or none")
    assert refused(2, "check", "--state", "") == "--state: expected a path, such as /var/lib/steerway/state.json, or none"
    assert refused(2, "check", "--record", "").startswith("--record: expected a text")


@pytest.mark.parametrize(
    "args, file, said",
    [
        (["--forward", "tcp:127.0.0.1:5=a:1", "--forward", "tcp:127.0.0.1:5=b:1"], 'forward = { "tcp:127.0.0.1:5=a:1", "tcp:127.0.0.1:5=b:1" }',
         "--forward tcp:127.0.0.1:5=a:1 and --forward tcp:127.0.0.1:5=b:1 both use TCP port 5: give one another port, or leave it out"),
        (["--forward", "tcp:127.0.0.1:1080=a:1"], 'forward = "tcp:127.0.0.1:1080=a:1"',
         "--forward tcp:127.0.0.1:1080=a:1 and the listener 127.0.0.1:1080 (of --host and --port) both use TCP port 1080: "
         "give one another port, or leave it out"),
        (["--transparent", "redirect:*:5", "--listen", "127.0.0.1:5"], 'transparent = "redirect:*:5", listen = "127.0.0.1:5"',
         "--transparent redirect:0.0.0.0:5 and --listen 127.0.0.1:5 both use TCP port 5: give one another port, or leave it out"),
        (["--forward", "udp:127.0.0.1:5300=a:1", "--udp-ports", "5300"], 'forward = "udp:127.0.0.1:5300=a:1", udp_ports = "5300"',
         "--forward udp:127.0.0.1:5300=a:1 and --udp-ports 5300 both use UDP port 5300: give one another port, or leave it out"),
    ],
)
def test_two_options_that_need_one_port(tmp_path, args, file, said):
    path = tmp_path / "config.lua"
    path.write_text("return { " + file + " }")
    for command in ("check", "start"):
        assert refused(2, command, *args, "eth9") == said
        assert refused(2, command, "--config", path, "eth9") == said
    # One from each.
    path.write_text('return { forward = "udp:127.0.0.1:5=a:1" }')
    assert refused(2, "check", "--config", path, "--udp-ports", "5", "eth9").endswith("both use UDP port 5: give one another port, or leave it out")


def test_two_options_that_need_one_path(tmp_path):
    path = tmp_path / "config.lua"
    for first, second in [("control", "state"), ("control", "record"), ("state", "record")]:
        said = f"--{first} and --{second} both use {tmp_path}/x: give one another path"
        for command in ("check", "start"):
            assert refused(2, command, f"--{second}", tmp_path / "x", f"--{first}", tmp_path / "x", "eth9") == said
    path.write_text('return { state = "x", record = "x" }')
    assert refused(2, "check", "--config", path, "eth9") == f"--state and --record both use {tmp_path}/x: give one another path"
    assert run("check", "--control", "none", "--state", "none", "eth9").returncode == 0


def test_a_forward_that_leads_to_itself():
    for command in ("check", "start"):
        assert refused(2, command, "--forward", "tcp:5=127.0.0.1:5", "eth9") == "--forward tcp:127.0.0.1:5=127.0.0.1:5 leads to itself"


def test_check_warns_of_what_has_no_effect():
    said = run("check", "--allow", "10.0.0.0/8", "--udp-advertise", "2001:db8::1", "-H", "127.0.0.1", "--hedge", "20", "eth9")
    assert said.returncode == 0
    assert said.stderr.splitlines()[1:] == [
        "steerway: warning: no client can connect: the proxy listens on loopback addresses, and --allow has none of them",
        "steerway: warning: --udp-advertise 2001:db8::1 has no effect: no client connects by IPv6",
        "steerway: warning: --hedge 20 has no effect: --dial-timeout ends after 10 seconds",
    ]


def test_addresses_to_advertise(tmp_path):
    """The command line replaces those of the file."""
    assert refused(2, "check", "--udp-advertise", "192.0.2.1,192.0.2.2") == "--udp-advertise: two addresses of IPv4: a client is told one"
    path = tmp_path / "config.lua"
    path.write_text('return { udp_advertise = "192.0.2.1,2001:db8::1", host = "127.0.0.1" }')
    assert "2001:db8::1 has no effect" in run("check", "--config", path, "eth9").stderr
    replaced = run("check", "--config", path, "--udp-advertise", "192.0.2.2", "eth9")
    assert replaced.returncode == 0 and "has no effect" not in replaced.stderr, replaced.stderr


def test_ports_of_associations_that_are_for_root():
    powerless = ("setpriv", "--inh-caps=-all", "--bounding-set=-all", "--ambient-caps=-all")
    for ports, warned in [("5", True), ("1000-2000", True), ("60000-60010", False)]:
        said = run("check", "--udp-ports", ports, "eth9", wrapped_by=powerless)
        assert said.returncode == 0
        assert ("cannot use all of --udp-ports at present: ports below" in said.stderr) == warned, said.stderr
        assert "udp-ports" not in run("check", "--udp-ports", ports, "eth9").stderr


def test_a_user_given_twice():
    assert refused(2, "check", "--auth", "u:SECRET", "--auth", "u:SECRET2") == "--auth: this user was given before"


def test_takeover_is_for_start_and_needs_a_control_socket():
    assert refused(2, "check", "--takeover") == "check has no option --takeover, unlike start (-h lists the options)"
    assert refused(1, "start", "--takeover", "--control", "none", "-p", "0", "lo") == (
        "--takeover: needs a control socket; name it with --control")


def test_every_option_of_the_help_is_tested():
    source = "".join(path.read_text() for path in [Path(__file__), *Path(__file__).parent.glob("test_cli_*.py")])
    for name in re.findall(r"--([a-z0-9-]+)", run("help", "start").stdout + run("help", "list").stdout):
        assert f"--{name}" in source.replace(f'("{name}"', f'("--{name}"'), name
