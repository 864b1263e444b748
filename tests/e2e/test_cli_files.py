"""Files that the command line uses: policies, folders of Lua files, config files; and this machine's links."""

import json
import re
import shutil
from pathlib import Path

import pytest

from lab.command import refused, run, verdict
from lab.proxy import ROOT

POLICIES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "policies").glob("*.lua"))


# --- policies and data ---


@pytest.mark.parametrize("name", POLICIES)
def test_the_policies_that_ship(name):
    assert verdict("--policy", name, "eth9", "eth8@2", warnings=2) == (name, "eth9@1, eth8@2", "127.0.0.1:1080, [::1]:1080")


def test_unknown_policies():
    line = refused(1, "check", "--policy", "lest_connections", "eth9")
    assert line.startswith("unknown policy 'lest_connections'; did you mean least_connections? (known: ")
    assert ", ".join(POLICIES) in line
    assert refused(1, "check", "--policy", "./none.lua", "eth9") == "policy ./none.lua: No such file or directory"
    assert refused(1, "check", "--policy", "none.lua", "eth9") == "policy none.lua: No such file or directory"


def test_a_mistake_in_a_config_names_the_file(tmp_path):
    path = tmp_path / "config.lua"
    path.write_text('return { policy = "failovr", uplinks = { "eth9" } }')
    for command in ("check", "start"):
        assert refused(1, command, "--config", path).startswith(f"{path}: unknown policy 'failovr'; did you mean failover?")
    assert refused(1, "check", "--config", path, "--policy", "randm").startswith("unknown policy 'randm'; did you mean random?")
    assert verdict("--config", path, "--policy", "random", warnings=1)[0] == "random"
    path.write_text('uplinks = { "eth9" }\nreturn uplink')
    assert refused(1, "check", "--config", path).endswith("got nil; uplink, which it returns, is nil")
    path.write_text('return { uplinks = { io.open("lines"):read() } }')
    assert refused(1, "check", "--config", path).endswith("io is not available in a config file; use os.getenv or require")


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
    assert "(known: dice;" in refused(1, "check", "eth9", env=env)
    assert verdict("--policy", "dice", "eth9", warnings=1, env=env)


# --- uplinks ---


def test_check_takes_a_policy_for_its_first_word(tmp_path):
    assert verdict("round_robin", "eth9", warnings=1)[:2] == ("round_robin", "eth9@1")
    path = tmp_path / "mine.lua"
    path.write_text("return {\n name = 'mine', params = { n = { type = 'number', max = 9 } },\n"
                    " new = function() return { pick = function(_, u)\n return u[1], u[1].nmae end } end }\n")
    line = refused(1, "check", path, "eth9")
    assert f"{path.name}:4: uplink has no field 'nmae'; did you mean 'name'?" in line
    assert "parameter 'n': expected a number of at most 9, got '10'" in refused(1, "check", path, "--set", "n=10", "eth9")
    assert refused(2, "check", "--policy", "random", "mine.lua") == "two policies: 'mine.lua' and --policy"
    # Other words are uplinks.
    assert verdict("round_robbin", warnings=1)[1] == "round_robbin@1"
    assert verdict("lo", "random@2", warnings=2)[1] == "lo@1, random@2"


def test_check_tries_the_policy_without_an_uplink(tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text("return { name = 'mine', new = function() return { pick = function(_, u)\n return u[1].nmae end } end }\n")
    r = run("check", path, wrapped_by=["unshare", "--net"])
    assert r.returncode == 1 and "mine.lua:2: uplink has no field 'nmae'" in r.stderr


@pytest.mark.parametrize("hooks, said", [
    ("export = function() return 5 end, import = function() end", "export"),
    ("export = function() return { f = print } end, import = function() end", "export"),
    ('export = function() return {} end, import = function() error "no way" end', "mine.lua:1: no way"),
])
def test_check_reloads_the_policy(tmp_path, hooks, said):
    path = tmp_path / "mine.lua"
    path.write_text('return { name = "mine", new = function() return { pick = function(_, u) return u[1] end, %s } end }' % hooks)
    line = refused(1, "check", path, "eth9")
    assert line.startswith("at a reload: ") and said in line and "mine.lua" in line


def test_check_tries_two_uplinks_when_there_is_one(tmp_path):
    """A single uplink would hide mistakes in choosing between two."""
    path = tmp_path / "mine.lua"
    path.write_text("""return { name = "mine", new = function() return { pick = function(_, uplinks)
      if #uplinks > 1 then return uplinks[1].actve end
      return uplinks[1]
    end } end }""")
    assert "mine.lua:2: " in refused(1, "check", path, "eth9")
    assert "mine.lua:2: " in refused(1, "check", path, "uplink2")


@pytest.mark.parametrize("error, place", [('error("out of it", 0)', ""), ("error({})", ":2"), ("error()", ":2")])
def test_check_adds_the_place_to_an_error_without_one(tmp_path, error, place):
    path = tmp_path / "mine.lua"
    path.write_text('return { name = "mine", new = function()\n%s end }' % error)
    assert f"mine.lua{place}: " in refused(1, "check", path, "eth9")


def test_check_warns_of_absent_uplinks():
    r = run("check", "eth9", "192.0.2.77", "lo")
    assert r.returncode == 0
    assert r.stderr.splitlines() == [
        "steerway: warning: uplink eth9 is not usable at present: this machine has no such interface; "
        "steerway list shows the interfaces",
        "steerway: warning: uplink 192.0.2.77 is not usable at present: this machine does not have the address",
        "steerway: warning: uplink lo is not usable at present: a loopback interface reaches this machine only",
    ]


def test_check_warns_of_addresses_that_are_not_here():
    args = ["-H", "192.0.2.77", "-H", "127.0.0.5", "-H", "::1", "-p", "7", "eth9"]
    r = run("check", *args)
    assert r.returncode == 0
    assert r.stderr.splitlines()[1:] == [
        "steerway: warning: cannot listen on 192.0.2.77:7 at present: this machine does not have the address; start waits for it",
    ]
    assert run("check", "--listen-strict", *args).stderr.splitlines()[1].endswith("; start refuses (listen_strict)")
    assert run("check", "-H", "*", "-p", "7", "eth9").stderr.count("\n") == 1, "that is each address that is here"


def test_nothing_printed_can_steer_a_terminal():
    r = run("check", "eth\x1b9")
    assert r.stdout.startswith("ok: policy fair_share; uplinks eth?9@1;")
    assert "\x1b" not in r.stderr


def test_uplinks_given_twice(config):
    line = "uplink eth9 is given twice (a config file can give each a name of its own)"
    assert refused(2, "check", "eth9", "eth9@2") == line
    assert refused(2, "start", "eth9", "eth9@2") == line
    line = line.replace("eth9", "2001:db8::1")
    assert refused(2, "check", "2001:db8::1", "eth9", "[2001:db8:0::1]@2") == line
    path = config("return { uplinks = { 'eth9', 'eth9@2' } }")
    assert refused(1, "check", "--config", path) == (
        f"{path}: uplinks[2]: uplink eth9 is given twice (a config file can give each a name of its own)")
    assert verdict("--config", config("return { uplinks = { 'eth9', { interface = 'eth9', name = 'again' } } }"),
                   warnings=2)[1] == "eth9@1, again@1"


def test_without_a_usable_uplink_each_link_is_listed_with_the_reason():
    expected = r"no link of this machine can serve as an uplink: .*lo \(loopback\).*; name one: steerway start INTERFACE\|ADDRESS"
    alone = ["unshare", "--net"]  # a namespace with only loopback
    r = run("check", wrapped_by=alone)
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


def test_list_as_json_gives_a_gateway_without_its_scope():
    script = """ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up &&
        ip -6 route add default via fe80::9 dev v0 && exec "$@" """
    r = run("list", "--json", wrapped_by=["unshare", "--net", "sh", "-c", script, "sh"])
    assert r.returncode == 0, r.stderr
    link = next(link for link in json.loads(r.stdout)["links"] if link["interface"] == "v0")
    assert (link["default6"], link["gateway6"]) == (True, "fe80::9")


# --- config files ---


def test_a_config_file_can_set_everything(config, tmp_path):
    (tmp_path / "mine.lua").write_text(
        'return { name = "mine", params = { n = { type = "number" } },'
        "  new = function() return { pick = function(_, u) return u[1] end } end }")
    (tmp_path / "users").write_text("anna:SECRET\n")
    (tmp_path / "users").chmod(0o600)
    path = config("""return {
        host = "192.0.2.1", port = 99, auth_file = "users", policy = "mine.lua", set = { n = 3 },
        uplinks = { "eth9@7", { interface = "eth8", name = "lte", weight = 0.5, tier = 2, tags = { "metered" } } },
    }""")
    assert verdict("--config", path, warnings=4) == ("mine", "eth9@7, lte@0.5", "192.0.2.1:99")
    # Paths are relative to the config file, wherever it is read from; the command line overrides the file.
    assert verdict("--config", path, "-p", 7, "--policy", "random", "eth7", warnings=2, cwd="/") == (
        "random", "eth7@1", "192.0.2.1:7")
    assert verdict("eth7", "-H", "127.0.0.1", "--config", path, "--listen=[::1]:8", warnings=1)[2] == "[::1]:8, 127.0.0.1:1080"


@pytest.mark.once
def test_config_keys_are_the_options_in_the_manual(config):
    """All options of start except three are keys; options of other commands are not."""
    of_start, of_doctor = (set(re.findall(r"--([a-z0-9-]+)", run(command, "-h").stdout)) for command in ("start", "doctor"))
    manual = re.sub(r"^\.\S+ (Ar )?|\n", " ", (ROOT / "docs/steerway.conf.5").read_text(), flags=re.M)
    named = re.search(r"the long options of\s+start\s+but (.*?) An unknown key", manual).group(1)
    no_keys, of_others = (set(re.findall(r"-([a-z0-9-]+)", part)) for part in named.split("Options of other commands only"))
    known = {
        option
        for option in of_start | of_doctor
        if "unknown key" not in run("check", "--config", config(f"return {{ {option.replace('-', '_')} = 'x' }}")).stderr
    }
    assert known == of_start - no_keys
    assert of_others == {"public-address"} and not of_others & of_start
    assert refused(2, "start", "--public-address", "x") == "start has no option --public-address, unlike doctor (-h lists the options)"


@pytest.mark.parametrize(
    "text, said",
    [
        ("return { prot = 1 }", "prot: unknown key; did you mean port?"),
        ("return { port = '1' }", "port: expected a number; write a number without quotes"),
        ("return { port = 70000 }", "port: 70000 is not a port (1 to 65535, 0 for a free one)"),
        ("return { auth = 'SECRET' }", "auth: expected USER:PASS, the user 1 to 255 bytes without ':', the password 255 at most"),
        ("return { uplinks = { 'eth0', { interface = 'eth1', weigth = 1 } } }",
         "uplinks[2].weigth: unknown key; did you mean weight?"),
        ("return 7", "expected the file to return a table, got number"),
    ],
)
def test_a_bad_config_file_names_itself_and_the_key(config, text, said):
    path = config(text)
    assert refused(1, "check", "--config", path) == f"{path}: {said}"
    assert refused(1, "start", "--config", path) == f"{path}: {said}"


def test_an_error_of_a_config_file_that_is_not_a_text_names_its_line(config):
    path = config("\nerror()")
    said = refused(1, "check", "--config", path)
    assert said.endswith('config.lua:2: raised a nil instead of a text, as in error("why")')


def test_a_config_file_that_is_not_lua_or_is_missing(config, tmp_path):
    path = config("return {\n  port = = 1 }")
    assert "config.lua:2: unexpected symbol" in refused(1, "check", "--config", path)
    path = config("return { auth = 'bob:SECRET }")
    assert refused(1, "check", "--config", path).endswith("config.lua:1: unfinished string")
    path = config("local s = ('a'):rep(1e5) return { x = s:find(('.-'):rep(10) .. 'b') }")
    assert "config.lua:1: string.find: a text of 100000 bytes is too long" in refused(1, "check", "--config", path)
    missing = tmp_path / "none.lua"
    assert refused(1, "check", "--config", missing) == f"{missing}: No such file or directory"
