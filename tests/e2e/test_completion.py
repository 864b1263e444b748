"""Completion in real shells: each line is completed by bash, zsh and fish with the script that the program prints."""

import os
import re
import shutil
import subprocess

import pytest

from lab.command import refused, run
from lab.proxy import BINARY
from lab.run import COMMAND_S
from lab.terminal import Terminal

pytestmark = pytest.mark.once

# A line, what must be offered behind it, and what must not.
LINES = [
    ("st", {"start", "status"}, {"check"}),
    ("start --log-f", {"--log-format"}, {"--json"}),
    ("start --log-format ", {"text", "json"}, {"eth0"}),
    ("start -p 99 l", {"lo"}, set()),
    ("start --policy fa", {"failover", "fair_share"}, set()),
    ("check fai", {"failover"}, set()),
    ("check --config par", {"part.lua"}, {"other.lua"}),
    ("help si", {"simulate"}, set()),
    ("list --j", {"--json"}, set()),
    ("quota far 5G ", {"day", "week", "month"}, {"none", "near"}),
    ("drain ", {"near", "far"}, {"lo", "off"}),
    ("connections --uplink n", {"near"}, {"far"}),
    ("drain near ", {"off"}, {"far"}),
    ("capture --when-gone s", {"stop"}, set()),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion")
    (path / "part.lua").touch()
    (path / "other.lua").touch()
    (path / "steerway").symlink_to(BINARY)
    for shell in ["bash", "zsh", "fish"]:
        r = run("completion", shell)
        assert (r.returncode, r.stderr) == (0, "")
        (path / shell).write_text(r.stdout)
    return path


@pytest.fixture
def shell_env(folder, start):
    """Shells that find the program, and by it a proxy with the uplinks near and far."""
    (folder / "config.lua").write_text(
        """return { uplinks = { { address = "127.0.0.2", name = "near" }, { address = "127.0.0.3", name = "far" } } }""")
    proxy = start("--config", folder / "config.lua")
    return {**proxy.env, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C"}


def by_bash(folder, env, line):
    # Bash gives words as it has split them; none of ours has quotes.
    script = f"""source {folder}/bash
        COMP_WORDS=({line} {"''" if line.endswith(" ") else ""}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _steerway; printf '%s\\n' "${{COMPREPLY[@]}}" """
    return subprocess.run(["bash", "--norc", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=COMMAND_S,
                          check=True).stdout.split()


def by_fish(folder, env, line):
    out = subprocess.run(["fish", "--no-config", "-c", f"source {folder}/fish; complete -C '{line}'"], cwd=folder, env=env,
                         capture_output=True, text=True, timeout=COMMAND_S, check=True)
    assert out.stderr == ""
    return [row.split("\t")[0] for row in out.stdout.splitlines()]


@pytest.mark.parametrize("shell, ask", [("bash", by_bash), ("fish", by_fish)])
def test_what_is_offered(shell, ask, folder, shell_env):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    for line, offered, not_offered in LINES:
        found = set(ask(folder, shell_env, "steerway " + line))
        assert offered <= found and not found & not_offered, (line, found)


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes_at_its_prompt(folder, shell_env):
    (folder / ".zshrc").write_text(f"""
        precmd() {{ PROMPT="ready $((++n))> " }}
        setopt no_list_ambiguous; autoload -Uz compinit; compinit -D -u; source {folder}/zsh""")
    with Terminal(["zsh", "-i"], folder, {**shell_env, "ZDOTDIR": str(folder)}) as zsh:
        for number, (line, offered, _) in enumerate(LINES):
            zsh.wait_for(f"ready {number + 1}> ")
            zsh.say(f"steerway {line}\t")
            for word in offered:
                zsh.wait_for(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
            zsh.say("\x15\r") # an empty line brings the next prompt


def test_each_command_and_option_is_in_each_script(folder):
    verbs = re.findall(r"^  ([a-z-]+)  ", run("help").stdout, re.M)
    assert len(verbs) > 20
    for shell in ["bash", "zsh", "fish"]:
        text = (folder / shell).read_text()
        for verb in verbs:
            assert re.search(rf"(?<![\w-]){verb}(?![\w-])", text), (shell, verb)
            for option in re.findall(r"--([a-z0-9-]+)(?: |$)", "\n".join(re.findall(r"^  .{4}--.*", run("help", verb).stdout, re.M)), re.M):
                assert f"--{option}" in text or f"-l {option} " in text, (shell, verb, option)


def test_what_shells_ask_for(folder, tmp_path):
    assert "lo" in run("completion", "interfaces").stdout.split()
    assert "fair_share" in run("completion", "policies").stdout.split()
    # Nothing is said at a key where no proxy runs.
    r = run("completion", "uplinks", "--control", tmp_path / "none.sock")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")


def test_other_shells_are_refused():
    assert refused(2, "completion", "tcsh") == "completion: expected bash, zsh or fish, got 'tcsh'"
    assert refused(2, "completion") == "completion: expected bash|zsh|fish"
