"""steerway init: it asks at a terminal, or takes its answers from options, and check accepts the config that it writes."""

import os
import stat

import pytest

from lab.command import refused, run, verdict
from lab.proxy import BINARY
from lab.terminal import Terminal

pytestmark = pytest.mark.once
MADE = "steerway.conf.lua"


@pytest.fixture
def here(tmp_path):
    return tmp_path


def made(here, *args, warnings=0):
    """Run init in this folder; return the verdict of check on the file, and its text."""
    r = run("init", *args, cwd=here)
    assert (r.returncode, r.stderr) == (0, ""), r
    assert f"Made {MADE}." in r.stdout
    return verdict("--config", here / MADE, warnings=warnings), (here / MADE).read_text()


class Session(Terminal):
    """init at a terminal."""

    def __init__(self, here, *args):
        super().__init__([str(BINARY), "init", *map(str, args)], here, os.environ)

    def answer(self, question, text):
        self.wait_for(question)
        self.say(text + "\n")


# --- by options ---


def test_proposed_answers(here, lab):
    (policy, uplinks, listening), text = made(here, "--yes")
    assert policy == "fair_share" and listening == "127.0.0.1:1080, [::1]:1080"
    assert {"wan1@1", "wan2@1"} <= set(uplinks.split(", "))
    assert '--   { interface = "wan1"' in text and "lo" not in text.split()


def test_all_answers_by_options(here):
    (policy, uplinks, listening), text = made(
        here, "eth9", "wwan9", "--backup", "wwan9", "--quota", "wwan9=20G", "--serve", "network", "--port", "8080", warnings=2)
    assert (policy, uplinks, listening) == ("quota", "eth9@1, wwan9@1", "0.0.0.0:8080, [::]:8080")
    assert '{ interface = "wwan9", tier = 2, tags = { "metered" }, quota = "20G" }' in text
    assert '{ interface = "eth9" }' in text and "does not have it now" in text


def test_a_backup_without_a_quota(here):
    (policy, _, _), _ = made(here, "--yes", "eth9", "wwan9", "--backup", "wwan9", warnings=2)
    assert policy == "failover"


def test_no_backup(here):
    (policy, _, _), text = made(here, "--yes", "eth9", "wwan9", "--backup", "none", warnings=2)
    assert policy == "fair_share" and "tier = 2" not in text


def test_a_file_is_not_overwritten(here):
    (here / MADE).write_text("mine")
    os.chmod(here / MADE, 0o640)
    line = f"{MADE}: exists already; --force replaces it, and --to names another file"
    assert refused(1, "init", "--yes", cwd=here) == line
    assert (here / MADE).read_text() == "mine"
    made(here, "--yes", "--force")
    assert stat.S_IMODE((here / MADE).stat().st_mode) == 0o640
    r = run("init", "--yes", "--to", here / "other.lua", cwd=here)
    assert r.returncode == 0 and f"--config {here}/other.lua" in r.stdout
    assert verdict("--config", here / "other.lua")


def test_what_cannot_be(here):
    assert refused(2, "init", "a/b", "--yes", cwd=here) == "'a/b' cannot be the name of an interface"
    assert refused(2, "init", "eth9", "--yes", "--backup", "eth8", cwd=here) == "--backup: 'eth8' is not one of the uplinks"
    assert "expected UPLINK=BYTES" in refused(2, "init", "eth9", "--yes", "--quota", "20G", cwd=here)
    assert "is not a number of bytes" in refused(2, "init", "eth9", "--yes", "--quota", "eth9=much", cwd=here)
    assert "expected machine or network" in refused(2, "init", "--yes", "--serve", "all", cwd=here)
    assert "expected a number from 1 to 65535" in refused(2, "init", "--yes", "--port", "0", cwd=here)
    assert "standard input is not one" in refused(2, "init", cwd=here)
    assert not list(here.iterdir())
    assert "No such file" in refused(1, "init", "--yes", "--to", here / "none/file.lua", cwd=here)


# --- at a terminal ---


def test_the_questions(here, lab):
    with Session(here) as session:
        session.wait_for(r"wan1 +[0-9]")
        session.answer("Use which", "wan1 nonsense")
        session.answer("no link nonsense(.|\n)*Use which", " wan1, wan2 ")
        session.answer(r"Spare which.*\[none\]", "wan2")
        session.answer("bytes may wan2 carry", "much")
        session.answer("Expected a number(.|\n)*bytes may wan2 carry", "5G")
        session.answer(r"Serve other machines.*\[n\]", "maybe")
        session.answer("Serve other machines", "y")
        session.answer(r"port\? \[1080\]", "0")
        session.answer("from 1 to 65535(.|\n)*port", "3128")
        session.wait_for(f"Made {MADE}")
        assert session.end() == 0
    assert verdict("--config", here / MADE) == ("quota", "wan1@1, wan2@1", "0.0.0.0:3128, [::]:3128")
    assert '{ interface = "wan2", tier = 2, tags = { "metered" }, quota = "5G" }' in (here / MADE).read_text()


def test_empty_lines_take_what_is_proposed(here, lab):
    with Session(here, "--serve", "machine") as session:
        for question in ["Use which", "Spare which", "Listen on which port"]:
            session.answer(question, "")
        session.wait_for(f"Made {MADE}")
        assert session.end() == 0
    assert verdict("--config", here / MADE)[0] == "fair_share"


def test_answers_that_end_early_write_nothing(here, lab):
    with Session(here) as session:
        session.wait_for("Use which")
        session.say("\x04")
        session.wait_for("the answers ended early")
        assert session.end() == 1
    assert not list(here.iterdir())
