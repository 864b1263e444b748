"""What is printed fits 80 columns, uses more where there is more, and is repeated on request."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest

from lab.command import refused, run
from lab.proxy import BINARY
from lab.run import WAIT_S, wait_for


class Terminal:
    """A command on a terminal of so many columns."""

    def __init__(self, proxy, columns, *words):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.process = subprocess.Popen([BINARY, *words, "--control", proxy.control_path], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.text = ""

    def read(self):
        """What it has printed by now; blocks for the first byte."""
        try:
            self.text += os.read(self.master, 65536).decode()
        except OSError:  # it has ended
            return False
        return True

    def whole(self):
        while self.read():
            pass
        return self.process.wait(WAIT_S), self.text

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal():
    opened = []

    def open_terminal(*args):
        opened.append(Terminal(*args))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


@pytest.fixture
def many(start, tmp_path):
    """A proxy whose uplinks have much to show."""
    path = tmp_path / "ways.lua"
    path.write_text("""return { uplinks = {
      { interface = "wan1", name = "fibre", quota = "10G", tags = { "home", "unmetered", "fast" } },
      { interface = "wan2", name = "a-long-name-of-an-uplink", tier = 2, weight = 12.5, tags = { "metered" } },
    } }""")
    return start("--config", path)


def test_uplinks_fit_and_use_more_where_there_is_more(many, terminal):
    narrow = many.tell("uplinks").splitlines()
    assert len(narrow) == 3 and max(map(len, narrow)) <= 80, narrow
    for title in ("UPLINK", "STATE", "LIVE", "SENT", "RECEIVED", "Mbit/s", "QUOTA LEFT", "ADDRESS"):
        assert title in narrow[0]
    assert "BUSY" not in narrow[0] and "10 GB" in narrow[1]
    code, wide = terminal(many, 200, "uplinks").whole()
    assert code == 0 and re.search(r"WEIGHT +TIER +LIVE +BUSY +TOTAL +FAILED", wide) and "a-long-name-of-an-uplink" in wide
    code, tiny = terminal(many, 64, "uplinks").whole()
    assert code == 0 and max(map(len, tiny.splitlines())) <= 64, tiny


def test_why_and_list_fit(many, terminal):
    lines = many.tell("why", "a-rather-long-name-of-a-host.example.org").splitlines()
    assert max(map(len, lines)) <= 80 and "it saw" in "\n".join(lines)
    code, wide = terminal(many, 200, "why", "www.example.org").whole()
    assert code == 0 and len(wide.splitlines()) < len(lines)
    listed = run("list").stdout.splitlines()
    assert max(map(len, listed)) <= 80 and all(line == line.rstrip() for line in listed), listed


@pytest.mark.parametrize("words, has", [(("uplinks",), "UPLINK"), (("status",), "Steerway "), (("connections",), "no connections")])
def test_watch_prints_blocks_or_repeats_in_place(start, terminal, words, has):
    proxy = start("wan1")
    plain = subprocess.Popen([BINARY, *words, "--watch=0.1", "--control", proxy.control_path], stdout=subprocess.PIPE, text=True)
    try:
        blocks = []
        while len(blocks) < 3:
            line = plain.stdout.readline()
            assert line
            blocks += [line] if line == "\n" else []
        plain.send_signal(signal.SIGINT)
        rest = plain.stdout.read()
        assert plain.wait(WAIT_S) == 0 and "\x1b" not in rest
    finally:
        plain.kill()
        plain.wait()
        plain.stdout.close()
    shown = terminal(proxy, 100, *words, "--watch=0.1")
    wait_for(lambda: shown.read() and shown.text.count(f"\x1b[H\x1b[J{has}") >= 3, "three rounds")
    os.write(shown.master, b"\x03")  # Ctrl-C
    shown.process.send_signal(signal.SIGTERM)  # it has no terminal to control
    assert shown.whole()[0] == 0


def test_watch_ends_with_the_proxy(start):
    proxy = start("wan1")
    watch = subprocess.Popen([BINARY, "uplinks", "--watch=0.1", "--control", proxy.control_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watch.stdout.readline().startswith("UPLINK")
    proxy.stop_softly()
    out, err = watch.communicate(timeout=WAIT_S)
    assert watch.returncode == 1 and "no proxy listens at" in err


def test_wrong_times_of_watch():
    for text in ("x", "0", "-1", "nan", "1e9"):
        assert refused(2, "uplinks", f"--watch={text}") == f"--watch: expected seconds from 0.1 to 86400, got '{text}'"
    assert refused(2, "why", "x.test", "--watch").startswith("why has no option --watch, unlike status")
