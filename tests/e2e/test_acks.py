"""Connections whose data is not acknowledged are reset at both ends. A reader that pauses is not dead.

STEERWAY_PAUSE sets the pause in seconds; ./dev soak uses ten minutes, with the default timeout."""

import contextlib
import os
import socket
import threading
import time

import pytest

from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo, pattern, read_exactly, read_head, reset
from lab.run import at_once, wait_for
from lab.socks import read_reply5, request5, socks5_connect
from lab.topology import LAN_HOME, OPEN4

PAUSE_S = float(os.environ.get("STEERWAY_PAUSE", "0"))
# Without STEERWAY_PAUSE, times are scaled down: the reader pauses for six times --ack-timeout.
TIMES = ("--ack-timeout", "1") if PAUSE_S == 0 else ()
MUCH = 8 << 20  # more than kernels and proxy can buffer
OWED = range(34_000, 64_000, 3_000)  # about what the kernel buffers for a client that does not read, and less than one read
FOUND_S, GIVEN_UP_S = 60, 20  # --ack-timeout is 100 s by default
IDLE_S = 15 if PAUSE_S == 0 else 300  # much longer than --ack-timeout


def hears_a_reset(s, timeout=FOUND_S):
    s.settimeout(timeout)
    with pytest.raises(ConnectionResetError):
        s.recv(1)


def pause():
    time.sleep(PAUSE_S or 6)


# --- peers that acknowledge nothing ---


@pytest.mark.parametrize("threads", [0, 2])
def test_a_tunnel_whose_data_is_lost_is_reset(start, lab, origin, threads):
    server = origin(echo)
    proxy = start(*TIMES, "--threads", threads, "wan1")
    with socks5_connect(proxy, OPEN4, server.port) as tunnel, socks5_connect(proxy, OPEN4, server.port) as idle:
        for each in (tunnel, idle):
            each.sendall(b"hello")
            assert read_exactly(each.s, 5) == b"hello"
        lab.wan1.swallow()
        tunnel.sendall(b"anybody there?")
        hears_a_reset(tunnel.s, 200)
        lab.wan1.restore()
        idle.sendall(b"still here")
        assert read_exactly(idle.s, 10) == b"still here", "what waits for nothing stays"
    assert [line["outcome"] for line in proxy.connections(2)] == ["unacknowledged", "closed"]
    assert proxy.ask("uplinks")["uplinks"][0]["failures"] == 1


def test_an_idle_tunnel_is_watched_again_when_bytes_move(start, lab, origin):
    """An idle tunnel is checked a few times an hour."""
    server = origin(echo)
    proxy = start("--ack-timeout", "1", "wan1")
    with socks5_connect(proxy, OPEN4, server.port) as tunnel:
        tunnel.sendall(b"hello")
        assert read_exactly(tunnel.s, 5) == b"hello"
        time.sleep(2)  # eight looks: after two without news, the counters rest
        lab.wan1.swallow()
        tunnel.sendall(b"anybody there?")
        hears_a_reset(tunnel.s)
    assert proxy.connections(1)[0]["outcome"] == "unacknowledged"


def test_a_vanished_client_is_detected_when_data_is_sent_to_it(start, lab, origin):
    def push(s):
        s.recv(1)
        lab.lan.nft("table inet gone {\nchain f { type filter hook input priority 0; drop; }\n}")
        with pytest.raises(ConnectionResetError):
            while True:
                s.sendall(b"for you" * 1000)
        return "reset"

    server = origin(push)
    proxy = start(*TIMES, "--host", LAN_HOME, "wan1")
    try:
        with lab.lan.connect(*proxy.address) as s:
            s.sendall(b"\x05\x01\x00" + request5(OPEN4, server.port))
            assert read_exactly(s, 2) == b"\x05\x00" and read_reply5(s)[0] == 0
            s.sendall(b"x")
            assert server.result(timeout=200) == "reset"
    finally:
        lab.lan.run("nft", "delete table inet gone")
    (line,) = proxy.connections(1)
    assert line["outcome"] == "unacknowledged"
    assert proxy.ask("uplinks")["uplinks"][0]["failures"] == 0, "it was not the line"


@pytest.fixture
def owed(lab, origin):
    """Opens clients whose answer is complete, and part of it waits in the proxy: pairs of how much it is, and a socket.

    The part that waits depends on the proxy's reads, so there are several sizes."""

    def serve(s):
        n = int(read_head(s).split()[1].rpartition(b"/")[2])
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (n, b"y" * n))
        s.recv(1)

    server = origin(serve)
    with contextlib.ExitStack() as stack:

        def clients(proxy, keep):
            opened = [(n, stack.enter_context(lab.lan.connect(*proxy.address, timeout=PAUSE_S + 60, receive_buffer=4096))) for n in OWED]
            for n, s in opened:
                s.sendall(f"GET {server.url}/{n} HTTP/1.1\r\nHost: {server.hostport}\r\nConnection: {keep}\r\n\r\n".encode())
                assert s.recv(4) == b"HTTP"
            return opened

        yield clients


def test_a_client_that_pauses_gets_the_end_of_its_answer(start, owed):
    proxy = start(*TIMES, "--host", LAN_HOME, "wan1")
    clients = [*owed(proxy, "keep-alive"), *owed(proxy, "close")]
    pause()
    for n, s in clients:
        got = b""
        while b"0\r\n\r\n" not in got[-64:]:
            got += s.recv(65536)
        assert got.partition(b"\r\n\r\n")[2].count(b"y") == n


@pytest.mark.parametrize("keep", ["keep-alive", "close"])
def test_a_client_that_vanished_before_the_end_of_its_answer_is_detected(start, lab, owed, keep):
    """If the kernel took all of the answer, the connection is idle, and ends as idle ones do."""
    proxy = start(*TIMES, "--idle-timeout", IDLE_S, "--host", LAN_HOME, "wan1")
    clients = owed(proxy, keep)
    lab.lan.nft("table inet gone {\nchain f { type filter hook input priority 0; drop; }\n}")
    try:
        wait_for(lambda: proxy.open_connections() == 0, "connections that acknowledge nothing are closed", IDLE_S + FOUND_S if PAUSE_S == 0 else 300)
    finally:
        lab.lan.run("nft", "delete", "table", "inet", "gone")
    lines = sorted(proxy.connections(len(clients)), key=lambda line: line["rx"])
    assert {line["outcome"] for line in lines[len(lines) // 2 :]} == {"unacknowledged"}, "the kernel takes less than the larger half"


@pytest.mark.parametrize("body", [b"", b"x" * 100_000], ids=["head", "body"])
def test_a_request_that_the_server_does_not_acknowledge_gets_an_error(start, lab, origin, body):
    """Also while the client is still sending."""
    lost = []

    def serve(s):
        read_head(s)
        lab.wan1.swallow()
        lost.append(1)
        s.recv(1)

    server = origin(serve)
    proxy = start(*TIMES, "wan1")
    with Client(proxy, timeout=200) as c:
        c.send(f"POST {server.url}/ HTTP/1.1\r\nHost: {server.hostport}\r\nContent-Length: {len(body) + 1}\r\n\r\n".encode())
        wait_for(lambda: lost, "the line is dead")
        c.send(body + b"x")
        assert c.message("POST").status == 504
    assert proxy.connections(1)[0]["outcome"] == "unacknowledged"


def test_a_kept_connection_on_a_line_that_died_is_given_up_in_seconds(start, lab, origin, first):
    """The request may be sent again. The line's failure is not known yet, but the client does not wait for
    --ack-timeout."""
    server = HttpOrigin(origin, lambda *_: response(200, b"served"))
    proxy = start("--policy", first("wan1"), "wan1", "wan2")
    with Client(proxy, timeout=60) as kept:
        assert kept.ask(get(server)).body == b"served"
        lab.wan1.swallow()
        began = time.monotonic()
        assert kept.ask(get(server)).body == b"served"
        assert time.monotonic() - began < GIVEN_UP_S
        assert server.peers[-1] == lab.wan2.addr4
    assert proxy.ask("uplinks")["uplinks"][0]["failures"] >= 1


def test_a_slow_request_is_not_repeated(start, origin):
    """The server has acknowledged the request, but not answered."""
    asked = []

    def serve(request, _):
        asked.append(request.target)
        time.sleep(5 if request.target == "/slow" else 0)
        return response(200, b"thought")

    server = HttpOrigin(origin, serve)
    proxy = start(*TIMES, "wan1")
    with Client(proxy, timeout=60) as kept:
        assert kept.ask(get(server)).body == b"thought"
        assert kept.ask(get(server, "/slow")).body == b"thought"
    assert asked == ["/", "/slow"] and len(server.peers) == 1


def test_ack_timeout_zero_leaves_it_to_the_kernel(start, lab, origin):
    server = origin(echo)
    never, clock = start("--ack-timeout", "0", "wan1"), start("--ack-timeout", "1", "wan1")
    with socks5_connect(never, OPEN4, server.port) as kept, socks5_connect(clock, OPEN4, server.port) as lost:
        lab.wan1.swallow()
        kept.sendall(b"in time")
        lost.sendall(b"in vain")
        hears_a_reset(lost.s)
        lab.wan1.restore()
        kept.settimeout(60)
        assert read_exactly(kept.s, 7) == b"in time"


# --- readers that pause ---


def send_small(s, data):
    """In thousands of small messages: the reader's kernel first runs out of room for their headers."""
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(0, len(data), 100):
        s.sendall(data[i : i + 100])


def pausing_reader(origin, proxy, reader, send):
    data = pattern(MUCH if send is not send_small else MUCH // 4)
    went = []

    def serve(s):
        s.settimeout(PAUSE_S + 60)
        if reader == "client":
            send(s, data)
        else:
            pause()
            went.append(read_exactly(s, len(data)) == data)
            s.sendall(b"!")

    server = origin(serve)
    with socks5_connect(proxy, OPEN4, server.port, timeout=PAUSE_S + 60) as tunnel:
        if reader == "client":
            pause()
            assert read_exactly(tunnel.s, len(data)) == data
        else:
            send(tunnel.s, data)
            assert tunnel.recv(1) == b"!" and went == [True]
    assert proxy.connections(1)[0]["outcome"] in ("closed", "reset")
    assert not server.errors


def pausing_reader_of_plain_http(origin, proxy, reader):
    data = pattern(MUCH)

    def serve(s):
        s.settimeout(PAUSE_S + 60)
        read_head(s)
        if reader == "server":
            pause()
            assert read_exactly(s, len(data)) == data
        s.sendall(response(200, data if reader == "client" else b"got it"))

    server = origin(serve)
    with Client(proxy, timeout=PAUSE_S + 60) as c:
        if reader == "client":
            c.send(get(server))
            pause()
            assert c.message("GET").body == data
        else:
            c.send(f"PUT {server.url}/ HTTP/1.1\r\nHost: {server.hostport}\r\nContent-Length: {len(data)}\r\n\r\n".encode())
            c.send(data)
            assert c.message("PUT").body == b"got it"


def test_readers_that_pause_get_everything(start, origin):
    cases = [(pausing_reader, reader, send) for reader in ("client", "server") for send in (socket.socket.sendall, send_small)]
    cases += [(pausing_reader_of_plain_http, reader) for reader in ("client", "server")]
    proxies = [start(*TIMES, "wan1") for _ in cases]
    at_once(lambda proxy, case: case[0](origin, proxy, *case[1:]), [*zip(proxies, cases)])


def test_a_reader_that_pauses_and_then_vanishes_is_detected(start, lab, origin):
    """Its window is closed, and the kernel's window probes get no answer."""
    stop = threading.Event()

    def serve(s):
        s.recv(1)
        stop.wait(60)
        reset(s)

    server = origin(serve)
    proxy = start(*TIMES, "wan1")
    with socks5_connect(proxy, OPEN4, server.port, timeout=300) as tunnel:
        tunnel.setblocking(False)
        sent = 0
        try:
            while True:
                sent += tunnel.send(b"x" * 65536)
        except BlockingIOError:
            pass
        lab.wan1.swallow()
        tunnel.setblocking(True)
        hears_a_reset(tunnel.s, 60 if PAUSE_S == 0 else 900)
        stop.set()
    assert proxy.connections(1)[0]["outcome"] == "unacknowledged"


