"""The program under test as a command that prints something and ends."""

import os
import re
import subprocess

from lab.proxy import BINARY
from lab.run import COMMAND_S



def run(*args, env=None, cwd=None, wrapped_by=()):
    clean = {k: v for k, v in os.environ.items() if k != "STEERWAY_DATA_DIR"}
    return subprocess.run([*wrapped_by, BINARY, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=COMMAND_S, env={**clean, **(env or {})}, cwd=cwd)


def refused(code, *args, **options):
    """Run a command that must fail with this code and one line; return the line without "steerway: "."""
    r = run(*args, **options)
    assert (r.returncode, r.stdout) == (code, ""), r
    assert re.fullmatch(r"steerway: [^\n]+\n", r.stderr), r.stderr
    return r.stderr.removeprefix("steerway: ").rstrip("\n")


def verdict(*args, warnings=0, **options):
    """Run a check that must succeed; return policy, uplinks and addresses."""
    r = run("check", *args, **options)
    assert r.returncode == 0, r.stderr
    assert r.stderr.count("steerway: warning: ") == r.stderr.count("\n") == warnings, r.stderr
    match = re.fullmatch(r"ok: policy (\S+); uplinks (.*); listening on (.*)\n", r.stdout)
    assert match, r.stdout
    return match.group(1), match.group(2), match.group(3)
