"""Starts on loopback: the greeting, the log, the output of ps, and failed starts."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from lab.command import refused
from lab.proxy import BINARY
from lab.run import COMMAND_S, wait_for


@pytest.fixture
def started(tmp_path):
    """started(*args, banner=…) runs `start` until it has printed the banner; the run ends with the test."""
    running = []

    def begin(*args, banner="Stop: "):
        out, log = tmp_path / f"out{len(running)}", tmp_path / f"log{len(running)}"
        with open(out, "wb") as out_file, open(log, "wb") as log_file:
            process = subprocess.Popen([BINARY, "start", "-p", "0", "--control", "none", *map(str, args)], stdin=subprocess.DEVNULL,
                                       stdout=out_file, stderr=log_file)
        process.said = lambda: (out.read_text(), log.read_text())
        running.append(process)

        def ready():
            assert process.poll() is None, process.said()
            return banner in "".join(process.said())

        wait_for(ready, "the proxy starts", COMMAND_S)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(COMMAND_S) == 0, process.said()
        finally:
            process.kill()


def test_the_greeting_and_a_clean_end(started):
    process = started("eth9@7")
    out, _ = process.said()
    assert re.match(r"Steerway \d+\.\d+\.\d+, policy least_connections\n  listening on 127\.0\.0\.1:[1-9]\d*\n", out)
    assert re.search(r"^  uplink eth9 +weight 7 +\(down\)$", out, re.M)
    port = re.search(r"listening on 127\.0\.0\.1:(\d+)", out).group(1)
    assert f"curl -x socks5h://127.0.0.1:{port} https://" in out
    process.send_signal(signal.SIGINT)
    assert process.wait(COMMAND_S) == 0
    assert "stopped" in process.said()[1]


def test_the_log_says_why_an_uplink_is_down(started):
    for args in [[], ["--quiet"]]:
        _, log = started("eth9", "192.0.2.77", *args, banner="uplink=192.0.2.77").said()
        assert 'uplink not usable at present uplink=eth9 why="this machine has no such interface; steerway list shows the interfaces"' in log
        assert 'uplink not usable at present uplink=192.0.2.77 why="this machine does not have the address"' in log
    _, log = started("eth9", "--log-format", "json", banner="not usable").said()
    told = next(line for line in map(json.loads, log.splitlines()) if line["event"] == "uplink_unusable")
    assert (told["uplink"], told["why"]) == ("eth9", "this machine has no such interface; steerway list shows the interfaces")


def test_the_columns_of_the_greeting_are_even(started):
    names = ["eth9", "2001:db8:1111:2222:3333:4444:5555:6666", "eth\x1b8"]
    out, _ = started(*names).said()
    lines = re.findall(r"^  uplink .*$", out, re.M)
    assert len(lines) == 3 and len({line.index(" weight ") for line in lines}) == 1
    assert "\x1b" not in out and "eth?8 " in out


def test_the_greeting_names_an_address_that_can_be_used(started):
    out, _ = started("-H", "0.0.0.0", "--auth", "u:SECRET", "eth9").said()
    port = re.search(r"listening on 0\.0\.0\.0:(\d+)", out).group(1)
    assert f"curl -x socks5h://USER:PASS@127.0.0.1:{port} https://" in out
    assert "SECRET" not in out


def test_json_logs_announce_the_start(started):
    out, log = started("--log-format", "json", "eth9", banner='"started"').said()
    assert out == ""
    events = [json.loads(line) for line in log.splitlines()]
    assert events[0]["event"] == "listening" and re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", events[0]["address"])
    uplink = next(e for e in events if e["event"] == "uplink")
    assert (uplink["uplink"], uplink["state"]) == ("eth9", "down")
    assert next(e for e in events if e["event"] == "started")["policy"] == "fair_share"


def test_quiet_is_quiet(tmp_path):
    """There is no output to wait for, so the kernel shows when it listens."""
    with open(tmp_path / "all", "w+b") as out:
        process = subprocess.Popen([BINARY, "start", "--quiet", "-H", "127.0.0.1", "-p", "0", "--bypass", "none", "eth9"],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_for(lambda: process.poll() is not None or listens(process.pid), "it listens", COMMAND_S)
            process.send_signal(signal.SIGTERM)
            assert process.wait(COMMAND_S) == 0
        finally:
            process.kill()
        out.seek(0)
        lines = [line for line in out.read().decode().splitlines() if " warn " not in line]
        assert lines == []


def listens(pid):
    """Signals are handled once the loop runs, which then waits in epoll."""
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
    line = refused(1, "start", "--listen-strict", "--listen", "192.0.2.77:0", "eth9")
    assert line == ("cannot listen on 192.0.2.77:0: Cannot assign requested address (this machine does not have the address; "
                    "without --listen-strict the proxy waits for it)")


def test_output_that_cannot_be_written():
    with open("/dev/full", "wb") as full:
        r = subprocess.run([BINARY, "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=COMMAND_S)
    assert r.returncode == 1
    assert r.stderr == "steerway: cannot write to standard output\n"
