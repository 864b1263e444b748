"""examples/cluster as it stands, but for its addresses: two instances behind HAProxy. One is killed under load, and one
is drained."""

import re
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from lab import haproxy
from lab.origin import echo, read_exactly
from lab.proxy import ROOT
from lab.run import sh, wait_for
from lab.socks import Tunnel, read_reply5, request5
from lab.topology import LAN_HOME

EXAMPLE = ROOT / "examples/cluster"
PORT = 1080  # of the example, on addresses that only this test uses
INSTANCES = {"one": "127.0.0.11", "two": "127.0.0.12"}
# Enough addresses that each instance has some of them.
CLIENTS = [f"192.168.77.{n}" for n in range(11, 19)]
LOADS, ENOUGH = 20, 10  # tunnels of each client before the kill, and behind it

pytestmark = [pytest.mark.once, pytest.mark.skipif(not haproxy.BINARY, reason="HAProxy is not here")]


@pytest.fixture
def clients(lab):
    """Clients with addresses of their own: connect(address) connects one of them to HAProxy."""
    for address in CLIENTS:
        lab.lan.sh(f"ip address add {address}/24 dev eth0")

    def connect(address):
        with lab.lan.within():
            s = socket.socket()
        s.settimeout(60)
        s.bind((address, 0))
        s.connect((LAN_HOME, PORT))
        return s

    yield connect
    for address in CLIENTS:
        lab.lan.sh(f"ip address delete {address}/24 dev eth0")


@pytest.fixture
def folder():
    """A short path: that of a socket has about a hundred bytes."""
    path = Path(tempfile.mkdtemp(prefix="cluster"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def instance(start, config):
    """Start an instance with the config of the example."""
    text = (EXAMPLE / "config.lua").read_text()

    def start_instance(name):
        mine = text
        for old, new in {"*:1080": f"{INSTANCES[name]}:{PORT}", "10.0.0.10": "127.0.0.1", "10.0.0.0/16": "127.0.0.0/8", "eth1": "wan1", "eth2": "wan2"}.items():
            assert mine.count(f'"{old}') == 1, old
            mine = mine.replace(f'"{old}', f'"{new}')
        return start("--config", config(mine, f"{name}.lua"), port=False)

    return start_instance


@pytest.fixture
def balancer(folder):
    """HAProxy with the configuration of the example."""
    text = (EXAMPLE / "haproxy.cfg").read_text()
    for old, new in {"/run/haproxy.sock": str(folder / "sock"), "10.0.0.10:": f"{LAN_HOME}:", "10.0.0.11:": f"{INSTANCES['one']}:",
                     "10.0.0.12:": f"{INSTANCES['two']}:"}.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "haproxy.cfg").write_text(text)
    running = haproxy.Haproxy(folder / "haproxy.cfg", folder / "sock", folder / "log")
    yield running
    running.close()


def tunnel(s, server):
    """Open a tunnel through whatever serves at the other end."""
    s.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
    assert read_exactly(s, 2) == b"\x05\x00"
    code, *source = read_reply5(s)
    assert code == 0, code
    return Tunnel(s, *source)


def echoes(t):
    t.sendall(b"hello")
    return read_exactly(t.s, 5) == b"hello"


class Load:
    """One client that opens one tunnel after the other."""

    def __init__(self, connect, address, server):
        self.connect, self.address, self.server = connect, address, server
        self.done, self.broken, self.after_kill = 0, [], 0
        self.killed, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.over.is_set():
            new = self.killed.is_set()  # before it connects
            try:
                with self.connect(self.address) as s:
                    assert echoes(tunnel(s, self.server))
                self.done += 1
                self.after_kill += new
            except (OSError, EOFError, AssertionError) as error:
                self.broken.append((new, error))
                if new:
                    return


def addresses(proxy):
    """The clients in its log, without its balancer's checks."""
    return {line["client"].rpartition(":")[0] for line in proxy.events("connection")}


def test_haproxy_accepts_the_configuration_as_it_stands(tmp_path):
    page = (EXAMPLE / "README.md").read_text()
    assert "haproxy -c -f examples/cluster/haproxy.cfg" in page
    said = haproxy.check(EXAMPLE / "haproxy.cfg")
    assert said.code == 0 and "WARNING" not in str(said), said


def test_no_new_client_is_refused_when_an_instance_is_killed(instance, balancer, clients, origin):
    server = origin(echo)
    proxies = {name: instance(name) for name in INSTANCES}
    for name in INSTANCES:
        balancer.wait_status(name, "UP")
    loads = [Load(clients, address, server) for address in CLIENTS]
    try:
        wait_for(lambda: all(load.done >= LOADS for load in loads), "the load runs", 60)
        before = {name: addresses(proxy) for name, proxy in proxies.items()}
        balancer.tell("disable health steerway/one")  # as if the kill came just after a check
        proxies["one"].kill()
        for load in loads:
            load.killed.set()
        wait_for(lambda: all(load.after_kill >= ENOUGH or not load.thread.is_alive() for load in loads), "clients go on", 60)
    finally:
        for load in loads:
            load.over.set()
        for load in loads:
            load.thread.join(60)
    assert [(load.address, error) for load in loads for new, error in load.broken if new] == []
    assert all(load.after_kill >= ENOUGH for load in loads)
    # The true addresses, each at one instance, and after the kill all at the other.
    assert before["one"] and before["two"] and not before["one"] & before["two"]
    assert before["one"] | before["two"] == set(CLIENTS)
    assert balancer.status("one") != "DOWN", "no check has told HAProxy"
    balancer.tell("enable health steerway/one")
    balancer.wait_status("one", "DOWN")
    proxies["two"].settled()
    assert addresses(proxies["two"]) == set(CLIENTS)


def test_an_instance_is_drained_and_taken_back(instance, balancer, clients, origin):
    server = origin(echo)
    page = (EXAMPLE / "README.md").read_text()
    drain, ready = re.findall(r"^echo '(set server steerway/one state \w+)' \| socat - /run/haproxy.sock$", page, re.M)
    proxies = {name: instance(name) for name in INSTANCES}
    for name in INSTANCES:
        balancer.wait_status(name, "UP")
    tunnels = [tunnel(clients(address), server) for address in CLIENTS]
    held = proxies["one"].ask("status")["clients"]
    assert 0 < held < len(CLIENTS)
    assert balancer.tell(drain).strip() == ""
    balancer.wait_status("one", "DRAIN")
    new = [tunnel(clients(address), server) for address in CLIENTS]
    assert all(echoes(t) for t in tunnels + new), "open connections go on"
    proxies["one"].stop_softly()
    for t in tunnels + new:
        assert echoes(t)
        t.__exit__()
    proxies["one"].wait()
    balancer.wait_status("one", "DOWN")
    assert len(proxies["one"].events("connection")) == held, "it got no new client"
    again = instance("one")
    assert balancer.tell(ready).strip() == ""
    balancer.wait_status("one", "UP")
    for address in CLIENTS:
        with tunnel(clients(address), server) as t:
            assert echoes(t)
    wait_for(lambda: len(again.events("connection")) == held, "its clients come back")
