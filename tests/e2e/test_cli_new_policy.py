"""steerway new-policy: its files work unchanged, and it does not overwrite the user's files."""

import re
import shutil
import subprocess

import pytest

from lab.command import refused, run, verdict
from lab.run import COMMAND_S


@pytest.mark.skipif(not shutil.which("busted"), reason="busted is not installed")
def test_the_new_policy_passes_its_spec_and_the_check(tmp_path):
    r = run("new-policy", "my-lines.2", cwd=tmp_path)
    assert (r.returncode, r.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.glob("my*")) == ["my-lines.2.lua", "my-lines.2_spec.lua"]
    assert not re.search("@[A-Z]", (tmp_path / "my-lines.2.lua").read_text() + (tmp_path / "my-lines.2_spec.lua").read_text())
    assert verdict("my-lines.2.lua", "eth9", warnings=1, cwd=tmp_path)[0] == "my-lines.2"
    command = re.search(r"^  (luajit .*_spec\.lua)$", r.stdout, re.M).group(1)
    assert command in (tmp_path / "my-lines.2_spec.lua").read_text()
    spec = subprocess.run(["sh", "-c", command + " -o plainTerminal"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=COMMAND_S, check=False)
    assert spec.returncode == 0 and "3 successes / 0 failures" in spec.stdout, spec
    # The spec can also fail.
    policy = tmp_path / "my-lines.2.lua"
    policy.write_text(policy.read_text().replace("return not u", "return u"))
    spec = subprocess.run(["sh", "-c", command + " -o plainTerminal"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=COMMAND_S, check=False)
    assert spec.returncode != 0 and "failure" in spec.stdout


@pytest.mark.skipif(not shutil.which("busted"), reason="busted is not installed")
def test_the_spec_finds_its_policy_from_any_folder(tmp_path):
    r = run("new-policy", "mine", cwd=tmp_path)
    command = re.search(r"^  (luajit .*) mine_spec\.lua$", r.stdout, re.M).group(1)
    spec = subprocess.run(["sh", "-c", f"{command} {tmp_path}/mine_spec.lua -o plainTerminal"], cwd="/", capture_output=True,
                          text=True, timeout=COMMAND_S, check=False)
    assert spec.returncode == 0 and "3 successes / 0 failures" in spec.stdout, spec
    assert "ships" not in r.stdout


def test_a_name_of_a_shipped_policy(tmp_path):
    out = run("new-policy", "random", cwd=tmp_path).stdout
    assert out.endswith("A shipped policy is also called random. To use yours, write ./random.lua.\n")


def test_existing_files_are_not_overwritten(tmp_path):
    for name in ["a.lua", "b_spec.lua"]:
        (tmp_path / name).write_text("mine")
    assert refused(1, "new-policy", "a", cwd=tmp_path) == "a.lua: exists already; choose another name"
    assert refused(1, "new-policy", "b", cwd=tmp_path) == "b_spec.lua: exists already; choose another name"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.lua": "mine", "b_spec.lua": "mine"}


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "-a", "a b", "x" * 64, "a\nb", "é"])
def test_invalid_names(tmp_path, name):
    line = refused(2, "new-policy", "--", name, cwd=tmp_path)
    assert line.endswith("cannot be a policy's name: expected letters, digits, _ . - (63 at most)")
    assert not list(tmp_path.iterdir())


def test_a_name_is_required():
    assert refused(2, "new-policy") == "new-policy: expected NAME"
