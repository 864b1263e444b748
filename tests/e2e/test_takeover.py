"""Another process takes the place of the proxy: no client is refused, no connection is dropped.

`./dev soak` restarts it 20 times under load (STEERWAY_RESTARTS)."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess

import pytest

from lab import proxy as lab_proxy
from lab.origin import read_exactly
from lab.proxy import BINARY, ROOT, UNRACED
from lab.run import COMMAND_S, WAIT_S, run, sh, wait_for
from lab.socks import auth5, open_to, read_reply5, request5, socks5_connect
from lab.takeover import AtWork, Processes, Taker
from lab.topology import OPEN4, WEB4
from lab.udp import Association, reflect

RESTARTS = int(os.environ.get("STEERWAY_RESTARTS", "4"))


@pytest.fixture
def begin(start):
    """begin(…) starts a proxy as start(…) does; returns it and its Processes."""
    made = []

    def make(*args, **options):
        proxy = start(*args, **options)
        made.append(Processes(proxy))
        return proxy, made[-1]

    yield make
    for processes in made:
        processes.stop()


def ask(tunnel, data):
    tunnel.sendall(data)
    assert read_exactly(tunnel.s, len(data)) == data


def fetch(proxy, server):
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        ask(tunnel, b"ping")


def keep_alive(web):
    """A client whose connection to the proxy serves one request after another, as long as the proxy keeps it."""

    def work(load):
        while not load.over.is_set():
            connection = http.client.HTTPConnection(*load.proxy.address, timeout=WAIT_S)
            try:
                stays = True
                while stays and not load.over.is_set():
                    connection.request("GET", f"http://{WEB4}/whoami")
                    answer = connection.getresponse()
                    if answer.status != 200 or not answer.read():
                        load.wrong.append(f"kept: {answer.status}")
                    stays = not answer.will_close
            except Exception as e:  # any fault at all is a finding
                load.wrong.append(f"kept: {e!r}")
            finally:
                connection.close()

    return work


def test_a_new_process_serves_and_the_old_one_ends(begin, echo):
    proxy, processes = begin("wan1", "wan2")
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        first = proxy.pid
        processes.restart()
        assert proxy.events("taken_over", pid=proxy.pid, connections=1)
        ask(tunnel, b"old")
        fetch(proxy, echo)
        assert os.path.exists(f"/proc/{first}")
        places = [e["address"] for e in proxy.events("listening")]
        assert len(places) == 4 and places[:2] == places[2:], "at the same addresses"
    assert processes.end(first) == 0
    assert len(proxy.events("started")) == 2 and len(proxy.events("stopped")) == 1


def test_restarts_under_load(begin, echo, web):
    proxy, processes = begin("wan1", "wan2", "--policy", "round_robin")
    clients = AtWork(proxy, echo, more=[keep_alive(web)])
    for _ in range(RESTARTS):
        made = clients.made
        processes.restart()
        wait_for(lambda made=made: clients.made > made + 20 or clients.wrong, "clients are served")
    assert os.path.exists(f"/proc/{processes.gone[0]}"), "its tunnels go on"
    clients.stop()
    assert not clients.wrong, clients.wrong[:5]
    assert {processes.end(pid) for pid in processes.gone} <= {0, None}
    assert len(proxy.events("stopped")) == RESTARTS
    assert {c["outcome"] for c in proxy.connections()} == {"closed"}


def test_a_client_that_has_sent_half_of_its_request_is_served(begin, echo):
    proxy, processes = begin("wan1")
    with open_to(proxy) as half, open_to(proxy) as silent:
        wait_for(lambda: proxy.ask("status")["clients"] == 2, "both have been accepted")
        request = b"\x05\x01\x00" + request5(echo.address, echo.port)
        half.sendall(request[:5])
        processes.restart()
        for s, rest in ((half, request[5:]), (silent, request)):
            s.sendall(rest)
            assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == 0
            s.sendall(b"hello")
            assert read_exactly(s, 5) == b"hello"


def test_without_a_running_proxy_takeover_is_a_start(begin, echo):
    proxy, _ = begin("--takeover", "wan1")
    fetch(proxy, echo)


def test_a_process_started_by_hand_takes_over(begin, echo, tmp_path):
    proxy, processes = begin("wan1", "--forward", f"tcp:127.0.0.1:0={echo.hostport}")
    forward = proxy.addresses[-1]
    line = [BINARY, "start", "--takeover", "--check", "none", "--forward", f"tcp:127.0.0.1:0={echo.hostport}",
            "--listen", "127.0.0.2:0", "wan2"]
    with open(tmp_path / "other.log", "wb") as log, socks5_connect(proxy, echo.address, echo.port) as tunnel:
        with (subprocess.Popen([*map(str, line)], stderr=log, stdout=log, stdin=subprocess.DEVNULL, env=proxy.env) as other,
              contextlib.ExitStack() as cleanup):
            cleanup.callback(other.kill)
            wait_for(lambda: proxy.ask("status")["pid"] == other.pid, "it serves")
            ask(tunnel, b"old")
            with socket.create_connection(forward, timeout=WAIT_S) as s:
                s.sendall(b"new")
                assert read_exactly(s, 3) == b"new"
            assert len(proxy.ask("status")["listening"]) == 2, "this config names another address"
            with pytest.raises(ConnectionRefusedError):
                open_to(proxy)
            tunnel.close()
            assert proxy.wait() == 0


@pytest.fixture
def replaced(tmp_path, monkeypatch):
    """The program under test is a file of its own: replaced(source) puts another one in its place, as a package does."""
    path = tmp_path / "program"

    def put(source):
        shutil.copy2(source, tmp_path / "next")
        os.chmod(tmp_path / "next", 0o755)
        os.replace(tmp_path / "next", path)

    put(BINARY)
    monkeypatch.setattr(lab_proxy, "BINARY", path)
    return put


def test_a_replaced_program_is_used_unless_it_is_broken(begin, echo, tmp_path, replaced):
    proxy, processes = begin("--data-dir", ROOT, "wan1")
    (tmp_path / "broken").write_bytes(b"\x7fELF is all of it")
    (tmp_path / "sulky").write_text("#!/bin/sh\necho 'steerway: no mood today' >&2\nexit 3\n")
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        for file, why in (("broken", f"cannot run {tmp_path}/program: Exec format error"),
                          ("sulky", "the new process does not start, and this one goes on: no mood today")):
            replaced(tmp_path / file)
            r = subprocess.run([BINARY, "restart", "--control", proxy.control_path], capture_output=True, text=True, timeout=COMMAND_S)
            assert (r.returncode, r.stderr.strip()) == (1, f"steerway: {why}")
            assert proxy.ask("status")["pid"] == proxy.pid
            ask(tunnel, b"old")
            fetch(proxy, echo)
        replaced(BINARY)
        processes.restart()
        assert os.readlink(f"/proc/{proxy.pid}/exe") == str(tmp_path / "program")
        ask(tunnel, b"old")
        fetch(proxy, echo)


def test_a_broken_config_leaves_the_old_process_serving(begin, echo, config, tmp_path):
    text = 'return { listen = "127.0.0.1:0", state = "state.json", uplinks = { "wan1", "%s" } %s }'
    proxy, processes = begin("--config", config(text % ("wan2", "")), port=False)
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        config('return { wieght = 3 }')
        assert "config.lua: wieght: unknown key" in processes.restart(code=1)
        config(text % ("wan3", ', forward = "tcp:203.0.113.7:1=192.0.2.1:80", listen_strict = true'))
        assert "cannot listen on 203.0.113.7:1" in processes.restart(code=1), "it has the sockets already, and gives up"
        ask(tunnel, b"old")
        fetch(proxy, echo)
        assert len(proxy.events("takeover_failed")) == 2
        config(text % ("wan3", ""))
        processes.restart()
        assert [u["name"] for u in proxy.ask("uplinks")["uplinks"]] == ["wan1", "wan3"]
        ask(tunnel, b"old")


def test_a_process_that_dies_on_the_way_changes_nothing(begin, echo):
    proxy, processes = begin("wan1")
    for _ in range(2):
        with Taker(proxy) as taker:
            assert [s["for"] for s, _ in taker.sockets] == ["listener", "listener", "control", "control-lock", "state-lock"]
            assert Taker(proxy).answer == {"ok": False, "error": "another process is taking over already"}
            fetch(proxy, echo)
        wait_for(lambda: len(proxy.events("takeover_failed")) > _, "it is noticed")
        fetch(proxy, echo)
    processes.restart()
    fetch(proxy, echo)


@pytest.mark.parametrize("victim", ["new", "old"])
def test_a_kill_in_the_middle(begin, echo, victim):
    """The new one is stopped as soon as it exists, so that its takeover is not complete when the signal comes."""
    proxy, processes = begin("wan1")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(COMMAND_S)
        s.connect(str(proxy.control_path))
        s.sendall(b'{"verb": "restart"}\n')
        child = wait_for(processes.child, "the new process exists", every=0.0005)
        os.kill(child, signal.SIGSTOP)
        if processes.serving() != child:
            if victim == "new":
                os.kill(child, signal.SIGKILL)
                assert "signal 9" in json.loads(s.makefile().readline())["error"]
            else:
                proxy.kill()
                os.kill(child, signal.SIGCONT)
                assert processes.serving() == child
        else:
            os.kill(child, signal.SIGCONT)
    proxy.addresses = [(h, int(p)) for h, _, p in (a.rpartition(":") for a in proxy.ask("status")["listening"])]
    fetch(proxy, echo)


def test_passwords_of_the_command_line_survive_and_stay_hidden(begin, echo):
    proxy, processes = begin("wan1", "--auth", "anna:s3cret")
    processes.restart()
    with open(f"/proc/{proxy.pid}/cmdline", "rb") as line:
        words = line.read()
    assert b"s3cret" not in words and b"--takeover" in words
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x02" + auth5("anna", "s3cret"))
        assert read_exactly(s, 4) == b"\x05\x02\x01\x00", "it is still the password"


def test_datagrams_go_to_the_new_process(begin, datagrams):
    server = datagrams(reflect)
    port = lab_free_port()
    proxy, processes = begin("wan1", "--udp-ports", port, "--forward", f"udp:127.0.0.1:0={server.address}:{server.port}")
    place = proxy.ask("status")["udp"]["listening"][0].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, Association(proxy) as a:
        s.settimeout(WAIT_S)
        s.connect((place[0], int(place[2])))
        s.send(b"one")
        assert s.recv(100) == b"one" and a.ask(b"two", server.address, server.port) == b"two"
        first = proxy.pid
        processes.restart()
        assert a.ended(), "its client makes another one"
        assert processes.end(first) == 0
        s.send(b"three")
        assert s.recv(100) == b"three"
        with Association(proxy) as b:
            assert b.relay == a.relay and b.ask(b"four", server.address, server.port) == b"four"


def lab_free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def used(proxy):
    return 1_000_000 - next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == "wan1")["quota_left"]


def test_no_byte_of_a_quota_is_lost(begin, config, echo, tmp_path):
    """Those that the old process still moves count in the new one, and a hard quota that is used up ends them there."""
    path = config('return { state = "state.json", listen = "127.0.0.1:0", uplinks = { { interface = "wan1", quota = "1M", '
                  'quota_end = "hard" } } }')
    proxy, processes = begin("--config", path, port=False)
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        ask(tunnel, bytes(50_000))
        with Taker(proxy):
            ask(tunnel, bytes(1000))
        processes.restart()
        wait_for(lambda: used(proxy) == 102_000, "none is lost")
        ask(tunnel, bytes(50_000))
        wait_for(lambda: used(proxy) == 202_000, "the new process counts them")
        with socks5_connect(proxy, echo.address, echo.port) as other:
            ask(other, bytes(10_000))
        wait_for(lambda: used(proxy) == 222_000, "and its own")
        tunnel.sendall(bytes(100))
        read_exactly(tunnel.s, 100)
    processes.end(processes.gone[0])
    assert used(proxy) == 222_200, "the last ones are told at the end"
    wait_for(lambda: json.loads((tmp_path / "state.json").read_text())["uplinks"]["wan1"]["quota"]["used"] == 222_200, "it is saved")
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        processes.restart()
        with contextlib.suppress(OSError), socks5_connect(proxy, echo.address, echo.port) as other:
            for _ in range(5):
                ask(other, bytes(80_000))
        proxy.wait_event("quota_used_up", uplink="wan1")

        def cut():
            try:
                ask(tunnel, b"y" * 100)
            except (OSError, AssertionError):
                return True

        wait_for(cut, "the old process hears of it", every=0.2)


def test_a_recording_goes_on(begin, echo, tmp_path):
    file = tmp_path / "trace.jsonl"
    proxy, processes = begin("wan1", "--record", file)
    fetch(proxy, echo)
    proxy.settled()
    processes.restart()
    fetch(proxy, echo)
    wait_for(lambda: len(file.read_text().splitlines()) == 3, "both are recorded")
    head, *lines = map(json.loads, file.read_text().splitlines())
    assert head == {"steerway_trace": 1} and lines[0]["t"] < lines[1]["t"]


def test_drain_timeout_ends_what_is_open(begin, echo):
    proxy, processes = begin("wan1", "--drain-timeout", "0.2")
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        first = proxy.pid
        processes.restart()
        with contextlib.suppress(ConnectionResetError):
            assert tunnel.s.recv(1) == b""
    assert processes.end(first) == 0
    assert proxy.events("drain_timeout", connections=1)


def test_signals_end_the_old_process(begin, echo):
    proxy, processes = begin("wan1")
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        first = proxy.pid
        processes.restart()
        proxy.signal(signal.SIGTERM)
        proxy.wait_log("stopping")
        ask(tunnel, b"still")
        proxy.signal(signal.SIGTERM)
        assert processes.end(first) == 0
    fetch(proxy, echo)


@pytest.mark.skipif(not shutil.which("nft"), reason="nft is missing")
def test_a_capture_goes_on(begin, lab, web):
    proxy, processes = begin(*UNRACED, "--transparent", "tproxy:localhost:0", "wan1", "wan2")
    proxy.tell("capture", "on")

    def restarted():
        try:
            processes.restart()
        except AssertionError as refused:
            assert "the capture is being changed; try again" in str(refused)
            return False
        return True

    try:
        for _ in range(2):
            first = proxy.pid
            wait_for(restarted, "a restart while the capture is at rest")
            processes.end(first)
            assert "tproxy" in sh("nft list table inet steerway"), "it has not gone with the old process"
            before = len(proxy.events("connection"))
            run("curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", f"http://{WEB4}/whoami").ok()
            wait_for(lambda before=before: len(proxy.events("connection")) > before, "it was captured")
    finally:
        proxy.tell("capture", "off")
    assert run("nft", "list", "table", "inet", "steerway").code != 0


def test_a_service_manager_is_told(begin, tmp_path, monkeypatch):
    """By a socket of its own, as systemd's: PID 1 of the tests is another program."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WAIT_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")

        def hear(word):
            while word not in (said := manager.recv(1000).decode()):
                pass
            return said

        proxy, processes = begin("wan1")
        assert hear("READY=1").startswith("READY=1\nSTATUS=serving, policy ")
        assert hear("WATCHDOG=1") and hear("WATCHDOG=1")
        proxy.tell("reload")
        assert "MONOTONIC_USEC=" in hear("RELOADING=1") and hear("READY=1")
        processes.restart()
        assert hear("MAINPID=") == f"MAINPID={proxy.pid}"
        assert hear("READY=1") and hear("WATCHDOG=1"), "of the new process"
        os.kill(proxy.pid, signal.SIGTERM)
        assert hear("STOPPING=1")


def test_sockets_of_a_service_manager_are_used(begin, echo, tmp_path):
    """The client that has connected before the proxy starts is served."""
    env = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "proxy"}
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname(), timeout=WAIT_S) as s:
        own = listening.fileno()
        program = f'exec 3<&{own}; LISTEN_PID=$$ exec "$@"'

        def line(*words):
            return ["bash", "-c", program, "bash", str(BINARY), "start", "--check", "none", "--control", "none", "--state", "none", *words]

        with (subprocess.Popen(line("--listen", "127.0.0.1:0", "wan1"), pass_fds=[own], env=env, stdout=subprocess.DEVNULL) as proxy,
              contextlib.ExitStack() as cleanup):
            cleanup.callback(proxy.kill)
            s.sendall(b"\x05\x01\x00" + request5(echo.address, echo.port))
            assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == 0
            s.sendall(b"hello")
            assert read_exactly(s, 5) == b"hello"
        refused = subprocess.run(line("--listen", "127.0.0.1:0", "wan1"), pass_fds=[own], env={**env, "LISTEN_FDNAMES": "other"},
                                 capture_output=True, text=True, timeout=COMMAND_S)
        assert refused.stderr.strip() == "steerway: LISTEN_FDS: the config has no listener for connections at 127.0.0.1:%d" % (
            listening.getsockname()[1])
