"""Events are heard as they come, whatever the level of the log, and the level is changed while the proxy runs."""

import json
import signal
import socket
import subprocess
import threading

import pytest

from lab.command import refused
from lab.origin import echo, read_exactly
from lab.proxy import BINARY
from lab.run import WAIT_S, wait_for
from lab.socks import socks5_connect


class Listener:
    """A command that prints lines until it is stopped."""

    def __init__(self, proxy, *words):
        self.lines = []
        self.process = subprocess.Popen([BINARY, *words, "--control", proxy.control_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=lambda: self.lines.extend(line for line in self.process.stdout), daemon=True)
        self.reader.start()

    def wait_line(self, test):
        def found():
            assert self.process.poll() is None or self.lines, self.process.stderr.read()
            return [line for line in self.lines if test(line)]

        return wait_for(found, "a line")[0]

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        code = self.process.wait(WAIT_S)
        self.reader.join(WAIT_S)
        assert self.process.stderr.read() == ""
        return code


@pytest.fixture
def listen():
    listeners = []

    def begin(proxy, *words):
        listeners.append(Listener(proxy, *words))
        return listeners[-1]

    yield begin
    for each in listeners:
        each.process.kill()
        each.process.wait()
        each.process.stdout.close()
        each.process.stderr.close()


class Line:
    """A control client that speaks by hand."""

    def __init__(self, proxy, request, timeout=WAIT_S):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(timeout)
        self.s.connect(str(proxy.control_path))
        self.s.sendall(json.dumps(request).encode() + b"\n")
        self.file = self.s.makefile("rb")

    def read(self):
        return json.loads(self.file.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.s.close()


def once(proxy, server):
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        tunnel.sendall(b"ping")
        assert read_exactly(tunnel.s, 4) == b"ping"


@pytest.mark.parametrize("words, seen", [(["--level", "debug"], {"picked", "connection"}), ([], {"connection"})])
def test_events_are_heard_whatever_the_level_of_the_log(start, origin, listen, words, seen):
    server, proxy = origin(echo), start("wan1")
    assert proxy.ask("log", level="warn")["before"] == "info"
    heard = listen(proxy, "events", *words)
    wait_for(lambda: once(proxy, server) or any('"event":"connection"' in line for line in heard.lines), "an event")
    events = [json.loads(line) for line in heard.lines]
    assert seen <= {e["event"] for e in events} and ({e["level"] for e in events} == {"info"}) == (not words)
    account = next(e for e in events if e["event"] == "connection")
    assert account["tx"] == 4 and account["outcome"] == "closed" and account["message"] == "connection"
    assert not proxy.events("connection") and not proxy.events("picked"), "the log itself stays quiet"
    assert heard.end() == 0


def test_only_some_events_and_no_wrong_ones(start, origin):
    server, proxy = origin(echo), start("wan1")
    with Line(proxy, {"verb": "events", "level": "debug", "only": ["picked"]}) as some, Line(proxy, {"verb": "events", "level": "warn"}) as few:
        assert some.read() == few.read() == {"ok": True}
        once(proxy, server)
        proxy.connections(1)
        once(proxy, server)
        assert [some.read()["event"] for _ in range(2)] == ["picked", "picked"]
        few.s.settimeout(0.05)
        with pytest.raises(TimeoutError):
            few.s.recv(1)
    for wrong in ({"level": "loud"}, {"level": 7}, {"only": "picked"}, {"only": ["nothing"]}, {"only": [7]}):
        with Line(proxy, {"verb": "events", **wrong}) as line:
            answer = line.read()
            assert not answer["ok"] and answer["error"]


def test_a_client_that_sends_fin_hears_no_more(start):
    proxy = start("wan1")
    with Line(proxy, {"verb": "events"}) as line:
        assert line.read() == {"ok": True}
        line.s.shutdown(socket.SHUT_WR)
        assert line.file.readline() == b""
    for _ in range(40):  # more than there may be clients at once
        with Line(proxy, {"verb": "events"}) as line:
            assert line.read() == {"ok": True}
    assert proxy.ask("status")["ok"]


def test_a_slow_reader_loses_lines_which_are_counted(start):
    n = 3000
    proxy = start("wan1")
    with Line(proxy, {"verb": "events"}) as slow, Line(proxy, {"verb": "status"}) as asker:
        assert slow.read() == {"ok": True} and asker.read()["ok"]
        for k in range(n // 100):
            asker.s.sendall(b"".join(json.dumps({"verb": "drain", "uplink": "wan1", "state": s}).encode() + b"\n" for s in ("on", "off") * 50))
            assert all(asker.read()["ok"] for _ in range(100))
        heard, lost = 0, 0
        while heard + lost < n:
            event = slow.read()
            if event["event"] == "log_lines_lost":
                lost += event["hidden"]
            else:
                assert event["event"] in ("uplink_draining", "uplink_drain_ended")
                heard += 1
        assert heard > 100 and lost > 0 and heard + lost == n
        asker.s.sendall(b'{"verb":"drain","uplink":"wan1","state":"on"}\n')
        assert slow.read()["event"] == "uplink_draining", "it hears on"


def test_events_end_with_the_proxy(start, listen):
    proxy = start("wan1")
    heard = listen(proxy, "events")
    wait_for(lambda: proxy.tell("drain", "wan1") and proxy.tell("undrain", "wan1") and heard.lines, "an event")
    proxy.stop_softly()
    assert heard.ended() == 0
    assert json.loads(heard.lines[-1])["event"] == "stopped"


def test_tail_tells_choices_and_ends(start, origin, listen, lab):
    server, proxy = origin(echo), start("wan1", "--policy", "round_robin", "--dial-timeout", "1")
    place = f"{server.address}:{server.port}"
    heard, raw = listen(proxy, "tail"), listen(proxy, "tail", "--json")
    wait_for(lambda: once(proxy, server) or (heard.lines and raw.lines), "a line of each")
    assert heard.wait_line(lambda line: f"> {place} by wan1: its turn" in line)
    assert heard.wait_line(lambda line: f"= {place} by wan1: closed, 4 B up, 4 B down, " in line)
    assert raw.wait_line(lambda line: json.loads(line)["event"] == "connection")
    with pytest.raises(AssertionError):
        socks5_connect(proxy, server.address, 1)
    assert heard.wait_line(lambda line: "! attempt failed" in line and "fault=refused" in line)
    assert heard.end() == raw.end(signal.SIGTERM) == 0


def test_the_level_of_the_log(start, origin):
    server, proxy = origin(echo), start("wan1")
    assert proxy.tell("log", "debug") == "the log has the level debug; it had info\n"
    once(proxy, server)
    proxy.wait_event("picked")
    proxy.wait_event("connection")
    assert proxy.tell("log", "error") == "the log has the level error; it had debug\n"
    assert proxy.ask("log") == {"ok": True, "level": "error", "before": "error"}
    before = len(proxy.log())
    once(proxy, server)
    wait_for(lambda: len(proxy.ask("recent")["connections"]) == 2, "the account")
    assert len(proxy.log()) == before
    assert "expected a" in proxy.tell("log", "loud", code=1)
    assert proxy.ask("log")["level"] == "error"


def test_mistakes_of_the_commands():
    assert refused(2, "log") == "log: expected LEVEL"
    assert refused(2, "tail", "--level", "info").startswith("tail has no option --level, unlike events")
