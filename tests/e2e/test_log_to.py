"""Where the log goes: a file that is rotated, journald, syslog. Whatever the sink does, the proxy serves."""

import json
import re
import signal
import socket
import threading
from pathlib import Path

import pytest

from lab.origin import read_exactly
from lab.proxy import BINARY
from lab.run import run, wait_for
from lab.socks import socks5_connect

# A private view of the machine in which these services have the sockets of the test.
PRIVATE = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
ln -s "$1" /run/systemd/journal/socket
mkdir /run/dev
mount -t tmpfs tmpfs /run/dev
for name in null zero random urandom; do
  touch /run/dev/$name
  mount --bind /dev/$name /run/dev/$name
done
ln -s "$1" /run/dev/log
ln -s /proc/self/fd /run/dev/fd
mount --move /run/dev /dev
shift
exec "$@"
"""


def visit(proxy, server):
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        tunnel.sendall(b"ping")
        assert read_exactly(tunnel.s, 4) == b"ping"


class Service:
    """A service of this machine that takes datagrams."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.got = []
        self.prefix = ("unshare", "-m", "sh", "-c", PRIVATE, "sh", str(path))

    def read(self):
        try:
            while True:
                self.got.append(self.socket.recv(65536))
        except BlockingIOError:
            return self.got

    def entries(self, event):
        """Those of journald, as fields."""
        found = [dict(line.split("=", 1) for line in entry.decode().splitlines()) for entry in self.read()]
        return [fields for fields in found if fields["STEERWAY_EVENT"] == event]


@pytest.fixture
def service(tmp_path):
    s = Service(tmp_path / "service")
    yield s
    s.socket.close()


@pytest.fixture
def begin(start):
    """Start a proxy that logs into this file, and wait for it."""

    def make(log, *args, **options):
        proxy = start(*args, ready=False, **options)
        proxy.log_path = log
        wait_for(lambda: not proxy.alive() or log.exists(), "the log file")
        return proxy.wait_started()

    return make


def test_a_file_is_rotated_and_no_line_is_lost(begin, echo, tmp_path):
    log, old = tmp_path / "steerway.log", tmp_path / "steerway.log.1"
    proxy = begin(log, "wan1", "--log-to", log)
    assert log.stat().st_mode & 0o777 == 0o640 and proxy.banner == ""
    done, n = threading.Event(), 0

    def load():
        nonlocal n
        while not done.is_set():
            visit(proxy, echo)
            n += 1

    loading = threading.Thread(target=load)
    loading.start()
    try:
        wait_for(lambda: n > 5, "connections before")
        log.rename(old)
        before = n
        wait_for(lambda: n > before + 5, "connections that go to the renamed file")
        proxy.signal(signal.SIGUSR1)
        wait_for(lambda: log.exists() and proxy.events("connection"), "a connection in the new file")
    finally:
        done.set()
        loading.join()

    def accounts():
        return [line for path in (old, log) for line in path.read_text().splitlines() if json.loads(line)["event"] == "connection"]

    wait_for(lambda: len(accounts()) >= n, "a line for each connection")
    assert len(accounts()) == n


def test_a_reload_opens_the_file_again_and_moves_the_log(begin, config, echo, tmp_path):
    one, other = tmp_path / "one.log", tmp_path / "other.log"
    text = 'return {{ listen = "127.0.0.1:0", uplinks = {{ "wan1" }}, log_to = "{}" }}'
    proxy = begin(one, "--config", config(text.format("./one.log")), port=False)
    one.rename(tmp_path / "old.log")
    proxy.tell("reload")
    assert proxy.events("config_reloaded")
    config(text.format("nosuch/one.log"))
    assert "--log-to" in proxy.tell("reload", code=1)
    assert proxy.events("config_not_reloaded")
    config(text.format("./other.log"))
    assert "log_to: ./one.log → ./other.log" in proxy.tell("reload")
    proxy.log_path = other
    visit(proxy, echo)
    proxy.connections(1)
    assert "config_reloaded" in other.read_text() and one.read_text().count("config_reloaded") == 1


def test_a_file_that_cannot_be_opened_again(begin, tmp_path):
    log, old = tmp_path / "steerway.log", tmp_path / "old.log"
    proxy = begin(log, "wan1", "--log-to", log)
    log.rename(old)
    log.mkdir()
    proxy.log_path = old
    proxy.signal(signal.SIGUSR1)
    assert proxy.wait_event("log_not_reopened")["error"] == "Is a directory"


def test_a_full_disk_holds_up_nothing(start, echo):
    proxy = start("wan1", "--log-to", "/dev/full", "--listen", "127.0.0.1:0", ready=False, port=False)
    wait_for(lambda: not proxy.alive() or proxy.control_path.exists(), "the control socket")
    host, _, port = proxy.ask("status")["listening"][0].rpartition(":")
    proxy.addresses = [(host, int(port))]
    for _ in range(3):
        visit(proxy, echo)


def test_journald_gets_fields(start, echo, service):
    proxy = start("wan1", "--log-to", "journal", text=True, ready=False, prefix=service.prefix)
    wait_for(lambda: not proxy.alive() or service.entries("started"), "the start in the journal")
    assert proxy.alive(), proxy.evidence()
    host, _, port = service.entries("listening")[0]["ADDRESS"].rpartition(":")
    proxy.addresses = [(host, int(port))]
    visit(proxy, echo)
    (entry,) = wait_for(lambda: service.entries("connection"), "the connection")
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("6", "steerway")
    assert (entry["UPLINK"], entry["OUTCOME"], entry["TX"]) == ("wan1", "closed", "4")
    assert re.match(r"connection client=127\.0\.0\.1:\d+ proto=socks5 host=", entry["MESSAGE"])
    assert proxy.banner == "" and proxy.log_text() == ""


def test_a_journal_that_does_not_read_holds_up_nothing(start, echo, service):
    proxy = start("wan1", "--log-to", "journal", text=True, ready=False, prefix=service.prefix)
    wait_for(lambda: not proxy.alive() or service.entries("started"), "the start in the journal")
    host, _, port = service.entries("listening")[0]["ADDRESS"].rpartition(":")
    proxy.addresses = [(host, int(port))]
    n = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 20
    for _ in range(n):
        visit(proxy, echo)
    wait_for(lambda: proxy.ask("status")["clients"] == 0, "all are done")
    told = len(service.entries("connection"))
    visit(proxy, echo)
    (lost,) = wait_for(lambda: service.entries("log_lines_lost"), "the number of lost lines")
    assert lost["PRIORITY"] == "4" and int(lost["HIDDEN"]) + told == n


def test_syslog_gets_lines(start, echo, service):
    proxy = start("wan1", "--log-to", "syslog", text=True, ready=False, prefix=service.prefix)
    wait_for(lambda: not proxy.alive() or any(b"started" in line for line in service.read()), "the start in syslog")
    assert re.fullmatch(rf"<30>\w\w\w [ 123]\d \d\d:\d\d:\d\d steerway\[{proxy.pid}\]: started version=\S+ policy=\S+",
                        service.got[-1].decode())


def test_standard_error_that_is_the_journal(start, tmp_path, monkeypatch):
    log = tmp_path / "journal"
    with open(log, "wb") as out:
        monkeypatch.setenv("JOURNAL_STREAM", f"{log.stat().st_dev}:{log.stat().st_ino}")
        proxy = start("wan1", "nosuch0", text=True, stderr=out)
    proxy.log_path = log
    assert re.match(r"<4>uplink not usable at present uplink=nosuch0 why=", proxy.wait_log("nosuch0"))


@pytest.mark.parametrize(("args", "said"), [
    (("journal",), "--log-to journal: the service does not run on this machine"),
    (("syslog",), "--log-to syslog: the service does not run on this machine"),
    (("jurnal",), "--log-to: 'jurnal' is not stderr, journal, syslog, or a path with a '/'"),
    (("/nosuch/file",), "--log-to /nosuch/file: No such file or directory"),
    (("journal", "--log-format", "json"), "log-format: the journal has a form of its own"),
])
def test_a_log_that_cannot_be_opened(tmp_path, args, said):
    hidden = ("unshare", "-m", "sh", "-c", PRIVATE, "sh", tmp_path / "nosuch")
    r = run(*hidden, BINARY, "start", "-p", "0", "lo", "--log-to", *args)
    assert r.code != 0 and said in r.err.decode(), r
