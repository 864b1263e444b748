"""steerway simulate: repeatable results, plausible rankings, output, pictures, and refused input."""

import json
import re
import xml.etree.ElementTree

import pytest

from lab.clients import curl_by
from lab.command import refused, run
from lab.run import wait_for

UNEQUAL = 'return { { name = "fast", down = "100M" }, { name = "slow", down = "10M" } }'


@pytest.fixture
def uplinks(config):
    return lambda text: config(text, name="uplinks.lua")


def simulated(*args):
    r = run("simulate", *args, "--json")
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def test_the_same_seed_has_the_same_outcome(tmp_path):
    args = ["--compare", "random,least_connections,sticky_site", "--trace", "mixed", "--connections", 3000]
    first = simulated(*args)
    assert first == simulated(*args)
    assert first != simulated(*args, "--seed", 2)
    for run_of in first["runs"]:
        assert run_of["done"] == 3000 and run_of["policy_errors"] == 0
        assert sum(u["connections"] for u in run_of["uplinks"]) == 3000
    text = [re.sub(r" +[0-9.]+$", "", run("simulate", "random", "--connections", 500).stdout, flags=re.M) for _ in range(2)]
    assert text[0] == text[1], "all but the picks a second"


def test_fair_share_beats_turns_on_unequal_lines(uplinks):
    fair, turns = simulated("--compare", "fair_share,round_robin", "--trace", "download", "--connections", 1600,
                            "--uplinks", uplinks(UNEQUAL))["runs"]
    assert fair["median"] * 2 < turns["median"]
    assert fair["p95"] * 2 < turns["p95"]
    assert fair["throughput"] > 2 * turns["throughput"]
    assert fair["fill_down"] > 0.95
    assert [u["connections"] for u in turns["uplinks"]] == [800, 800]


def test_weights_shift_connections(uplinks):
    path = uplinks('return { uplinks = { { name = "a", down = "10M", weight = 7 }, { name = "b", down = "10M", weight = 3 } } }')
    (one,) = simulated("round_robin", "--connections", 1000, "--uplinks", path)["runs"]
    assert [u["connections"] for u in one["uplinks"]] == [700, 300]


def test_an_outage_and_a_late_discovery(uplinks):
    lines = 'return {{ {{ name = "a", down = "50M", outages = {{ {{ 20, 60 }} }}, detect = {} }}, {{ name = "b", down = "50M" }} }}'
    (known,) = simulated("round_robin", "--connections", 5000, "--uplinks", uplinks(lines.format(0)))["runs"]
    (late,) = simulated("round_robin", "--connections", 5000, "--uplinks", uplinks(lines.format(30)))["runs"]
    assert known["done"] + known["broken"] == 5000 and known["failed"] == 0
    assert known["uplinks"][0]["timeouts"] <= 5 < late["uplinks"][0]["timeouts"]
    assert late["done"] + late["broken"] == 5000
    assert known["uplinks"][0]["connections"] < known["uplinks"][1]["connections"]


def test_a_recorded_trace_is_played(start, web, tmp_path):
    trace = tmp_path / "trace"
    proxy = start("--record", trace, "wan1", "wan2")
    for n in range(1, 6):
        assert curl_by("socks5h", proxy, host="web4.test").code == 0
        proxy.connections(n)
    wait_for(lambda: len(trace.read_text().splitlines()) == 6, "it is written")
    (one,) = simulated("round_robin", "--trace", trace)["runs"]
    assert one["done"] == 5
    assert sum(u["rx"] for u in one["uplinks"]) == pytest.approx(sum(a["rx"] for a in proxy.connections()), abs=3)


def test_a_policy_of_ones_own_with_parameters_and_its_errors(tmp_path):
    path = tmp_path / "mine.lua"
    path.write_text("""return { name = "mine", params = { n = { type = "number", default = 1 } }, new = function(ctx)
      return { pick = function(conn, u)
        if conn.id > 100 and conn.id % 2 == 0 then error "no" end
        return u[ctx.params.n]
      end }
    end }""")
    one = simulated(path, "--set", "n=2", "--connections", 200)["runs"][0]
    assert one["uplinks"][1]["connections"] >= 150
    assert one["policy_errors"] == one["by_default"] == 50
    assert "parameter 'n': expected a number, got 'x'" in refused(1, "simulate", path, "--set", "n=x")


def test_output_fits_a_terminal_and_uses_ascii_without_utf8():
    utf8 = run("simulate", "--compare", "failover,random", "--connections", 2000, env={"LC_ALL": "C.UTF-8"}).stdout
    plain = run("simulate", "--compare", "failover,random", "--connections", 2000, env={"LC_ALL": "C"}).stdout
    assert "█" in utf8 and plain.isascii() and "#" in plain
    for text in (utf8, plain):
        assert all(len(line) <= 80 for line in text.splitlines()), max(text.splitlines(), key=len)
        assert re.search(r"^failover +[0-9.]+[* ] +[0-9.]+[* ] +[0-9.]+[* ] ", text, re.M)


def test_the_picture_is_valid_svg(tmp_path, uplinks):
    path = tmp_path / "out.svg"
    lines = 'return { { name = "a<b>&", down = "10M" }, { name = "c", down = "20M" } }'
    run("simulate", "--compare", "random,failover", "--connections", 500, "--svg", path, "--uplinks", uplinks(lines))
    root = xml.etree.ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg")
    texts = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("text")]
    assert "random" in texts and "failover" in texts and texts.count("a<b>&") == 2 and "Mbit/s" in texts
    assert "No such file" in refused(1, "simulate", "--connections", 10, "--svg", tmp_path / "none/out.svg")


@pytest.mark.parametrize(
    "text, said",
    [
        ("return {}", "expected a list of 1 to 64 uplinks"),
        ("return { 5 }", "uplinks[1]: expected a table such as"),
        ('return { { name = "a" } }', "uplinks[1]: expected a table such as"),
        ('return { { down = "fast" } }', "uplinks[1].down: expected bits a second"),
        ('return { { down = "10M" }, { down = "10M", wieght = 1 } }', "uplinks[2].wieght: unknown key (known are: name, down,"),
        ('return { { down = "10M", outages = { { 5, 3 } } } }', "uplinks[1].outages: expected pairs"),
        ('return { { down = "10M", outages = { { 5, 9 }, { 7, 10 } } } }', "uplinks[1].outages: expected pairs"),
        ('return { { down = "10M", rtt = -1 } }', "uplinks[1].rtt: expected seconds from 0 to 60"),
        ('return { { name = "a", down = "1M" }, { name = "a", down = "1M" } }', "uplinks[2]: the name a is given twice"),
        ("return = 1", "uplinks.lua:1: unexpected symbol"),
    ],
)
def test_invalid_uplinks(uplinks, text, said):
    assert said in refused(1, "simulate", "--connections", 10, "--uplinks", uplinks(text))


def test_invalid_traces(tmp_path):
    assert "neither a file nor a kind of trace (known: browsing," in refused(1, "simulate", "--trace", "surfing")
    (tmp_path / "t").write_text('{"steerway_trace":1}\n{"t":0}\n')
    assert refused(1, "simulate", "--trace", tmp_path / "t") == f"{tmp_path}/t:2: client, host: expected two texts"
    assert refused(1, "simulate", "--trace", tmp_path) == f"{tmp_path}: Is a directory"
    for text, said in [(b"\0\n", "expected a JSON object"), (b"x" * 70000, "the line is too long"), (b"", "the trace has no connections")]:
        (tmp_path / "t").write_bytes(text)
        assert refused(1, "simulate", "--trace", tmp_path / "t") == f"{tmp_path}/t:1: {said}"
    assert "/dev/zero:1: the line is too long" in refused(1, "simulate", "--trace", "/dev/zero")
    assert "--connections: expected a whole number" in refused(2, "simulate", "--connections", "0")
    assert "--seed: expected a whole number" in refused(2, "simulate", "--seed", "-1")
    assert "--compare: expected up to 12 policies" in refused(2, "simulate", "--compare", "random,,failover")
    assert "unknown policy 'randon'; did you mean random?" in refused(1, "simulate", "randon")


FLOW = '{"t":%s,"client":"10.0.0.1","host":"x.test","port":443,"tx":1,"rx":%d}\n'


@pytest.mark.parametrize("t, rx, said", [("2e7", 1, "t: expected seconds, from 0 to 10000000"),
                                         ("0", 10**14, "tx, rx: expected bytes, from 0 to 1000000000000")])
def test_a_recorded_connection_has_its_bounds(tmp_path, t, rx, said):
    (tmp_path / "t").write_text('{"steerway_trace":1}\n' + FLOW % (t, rx))
    assert refused(1, "simulate", "--trace", tmp_path / "t") == f"{tmp_path}/t:2: {said}"


def test_a_simulation_that_is_too_long_ends(tmp_path, uplinks):
    (tmp_path / "t").write_text('{"steerway_trace":1}\n' + FLOW % ("9999000", 10**12))
    slow = uplinks('return { { name = "a", down = "10K" } }')
    assert "it would take more than 10000000 seconds" in refused(1, "simulate", "--trace", tmp_path / "t", "--uplinks", slow)


def test_the_best_result_has_a_star(tmp_path):
    for name in ["a_policy_with_a_long_name_1", "a_policy_with_a_long_name_2"]:
        (tmp_path / f"{name}.lua").write_text(
            'return { name = "no", new = function() return { pick = function() return false, "no" end } end }')
    one, two = (tmp_path / f"a_policy_with_a_long_name_{n}.lua" for n in (1, 2))
    table = run("simulate", "--compare", f"random,{one},{two}", "--connections", 500).stdout
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()[3:6]}
    assert list(rows) == ["random", "_long_name_1.lua"[-17:], "_long_name_2.lua"[-17:]] or len(rows) == 3
    assert [cell.endswith("*") for cell in rows["random"][:3]] == [True, True, True]
    for name in list(rows)[1:]:
        assert name.endswith((".lua",)) and rows[name][:2] == ["-", "-"] and rows[name][2] == "0.0"
    runs = simulated("--compare", f"random,{one}", "--connections", 500)["runs"]
    assert runs[0]["median"] > 0 and runs[1]["median"] is None and runs[1]["p95"] is None


def test_uploads_are_no_more_than_the_lines_can_carry_up():
    (one,) = simulated("least_connections", "--trace", "uploads", "--connections", 5000)["runs"]
    assert 0.4 < one["fill_up"] < 0.95
