"""Tunnels: every byte, every end, every reset, within the promised memory."""

import contextlib
import hashlib
import select
import selectors
import socket
import threading
import time
from collections import Counter

import pytest

from lab.origin import echo, pattern, read_all, read_exactly, reset, unacknowledged
from lab.proxy import SANITIZED, UNRACED
from lab.run import WAIT_S, wait_for
from lab.socks import request5, socks5_connect
from lab.topology import OPEN4

MIB = 1024 * 1024


@pytest.fixture
def proxy(start):
    return start(*UNRACED, "wan1", "wan2")


def both_entrances(proxy, server):
    """A tunnel by SOCKS5, then one by CONNECT."""
    yield socks5_connect(proxy, server.address, server.port, timeout=WAIT_S).s
    s = socket.create_connection(proxy.address, timeout=WAIT_S)
    s.sendall(f"CONNECT {server.hostport} HTTP/1.1\r\nHost: {server.hostport}\r\n\r\n".encode())
    assert read_exactly(s, 12) == b"HTTP/1.1 200"
    while read_exactly(s, 1) != b"\r" or read_exactly(s, 3) != b"\n\r\n":
        pass
    yield s


def hears_a_reset(s, timeout=WAIT_S):
    """Whether s is reset, before or after a FIN. After a FIN, reading would only return the end again."""
    watch = select.poll()
    watch.register(s, 0)
    return any(events & select.POLLERR for _, events in watch.poll(timeout * 1000))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_up_then_fin_then_down(proxy, origin):
    """8 MiB up, FIN, then 1 MiB down arrive complete."""
    up, down = pattern(8 * MIB, b"up"), pattern(MIB, b"down")

    def server_side(s):
        got = read_all(s)
        s.sendall(down)
        return digest(got)

    server = origin(server_side)
    for n, s in enumerate(both_entrances(proxy, server)):
        with s:
            s.sendall(up)
            s.shutdown(socket.SHUT_WR)
            assert digest(read_all(s)) == digest(down)
        assert server.result(n) == digest(up)
    for line in proxy.connections(2):
        assert (line["tx"], line["rx"], line["outcome"]) == (8 * MIB, MIB, "closed")


def test_down_then_fin_then_up(proxy, origin):
    """The reverse: the server ends first, and the client's later data still arrives."""
    up, down = pattern(MIB, b"up"), pattern(8 * MIB, b"down")

    def server_side(s):
        s.sendall(down)
        s.shutdown(socket.SHUT_WR)
        return digest(read_all(s))

    server = origin(server_side)
    for n, s in enumerate(both_entrances(proxy, server)):
        with s:
            assert digest(read_all(s)) == digest(down)
            s.sendall(up)
        assert server.result(n) == digest(up)
    for line in proxy.connections(2):
        assert (line["tx"], line["rx"], line["outcome"]) == (MIB, 8 * MIB, "closed")


def test_both_ways_at_once(proxy, origin):
    size = 16 * MIB
    content = pattern(size)
    server = origin(echo)
    with socks5_connect(proxy, server.address, server.port, timeout=60) as tunnel:

        def send():
            tunnel.sendall(content)
            tunnel.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert digest(read_all(tunnel.s)) == digest(content)
        sender.join(WAIT_S)


def test_a_reset_of_the_server_reaches_the_client(proxy, origin):
    def server_side(s):
        s.sendall(b"last words")
        assert s.recv(1) == b"x"
        reset(s)

    server = origin(server_side)
    for s in both_entrances(proxy, server):
        with s:
            assert read_exactly(s, 10) == b"last words"
            s.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                s.recv(1)
    assert [line["outcome"] for line in proxy.connections(2)] == ["reset", "reset"]


def test_a_reset_of_the_client_reaches_the_server(proxy, origin):
    def server_side(s):
        s.sendall(b"hello")
        try:
            return f"ended with {s.recv(1)}"
        except ConnectionResetError:
            return "reset"

    server = origin(server_side)
    for n, s in enumerate(both_entrances(proxy, server)):
        assert read_exactly(s, 5) == b"hello"
        reset(s)
        assert server.result(n) == "reset"
    assert [line["outcome"] for line in proxy.connections(2)] == ["reset", "reset"]


def test_a_reset_of_the_client_after_its_fin_reaches_the_server(proxy, origin):
    ended = threading.Event()

    def server_side(s):
        assert s.recv(1) == b""
        ended.set()
        return hears_a_reset(s)

    server = origin(server_side)
    for n, s in enumerate(both_entrances(proxy, server)):
        s.shutdown(socket.SHUT_WR)
        assert ended.wait(WAIT_S)
        ended.clear()
        reset(s)
        assert server.result(n) is True
    assert [line["outcome"] for line in proxy.connections(2)] == ["reset", "reset"]


def test_a_reset_of_the_server_after_its_fin_reaches_the_client(proxy, origin):
    ended = threading.Event()

    def server_side(s):
        s.shutdown(socket.SHUT_WR)
        assert ended.wait(WAIT_S)
        ended.clear()
        reset(s)

    server = origin(server_side)
    for s in both_entrances(proxy, server):
        with s:
            assert s.recv(1) == b""
            ended.set()
            assert hears_a_reset(s)
    assert [line["outcome"] for line in proxy.connections(2)] == ["reset", "reset"]


def test_bytes_before_a_reset_arrive(proxy, origin):
    """The client has not read yet when the server breaks: bytes that wait in the proxy must not be dropped."""
    content = pattern(200_000)
    broken = threading.Event()

    def server_side(s):
        s.sendall(content)
        wait_for(lambda: not unacknowledged(s), "the proxy's machine has it all")
        reset(s)
        broken.set()

    server = origin(server_side)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(WAIT_S)
    with s:
        s.connect(proxy.address)
        s.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
        assert read_exactly(s, 12)[3] == 0
        assert broken.wait(WAIT_S)
        time.sleep(0.3)  # time for the proxy to do the wrong thing
        assert read_exactly(s, len(content)) == content
        with pytest.raises(ConnectionResetError):
            s.recv(1)


def test_back_pressure_bounds_memory(proxy, origin):
    """Peers that do not read stop the senders, and the proxy buffers very little."""
    size, count = 64 * MIB, 8
    sent = [0] * count
    numbers = iter(range(count))

    def flood(s):
        n = next(numbers)
        block = bytes(MIB)
        while sent[n] < size:
            sent[n] += s.send(block[: size - sent[n]])

    server = origin(flood)
    before = proxy.resident()
    tunnels = [socks5_connect(proxy, server.address, server.port, timeout=60) for _ in range(count)]
    try:
        still = []

        def at_rest():
            still.append(sum(sent))
            return len(still) > 100 and still[-1] == still[-100] > 0

        wait_for(at_rest, "the writers are stopped", 2 * WAIT_S)
        assert sum(sent) < size * count / 2, "kernel buffers alone hold what was sent"
        grown = proxy.resident() - before
        assert SANITIZED or grown < 4 * MIB, f"{grown} bytes for {count} connections with 64 KiB a direction"
        before_rest = proxy.cpu_seconds()
        time.sleep(0.5)  # a measurement interval
        assert proxy.cpu_seconds() - before_rest < 0.2, "waiting must not spin"
        for tunnel in tunnels[:2]:  # when they read, everything arrives
            left = size
            while left:
                left -= len(tunnel.recv(1 << 20))
            assert tunnel.recv(1) == b""
    finally:
        for tunnel in tunnels:
            tunnel.close()
    assert SANITIZED or proxy.resident() - before < 6 * MIB


@pytest.mark.once
@pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory says nothing")
@pytest.mark.parametrize("threads, limit", [(0, 1024), (2, 1152)])
def test_an_idle_tunnel_takes_little_memory(start, lab, threads, limit):
    """In bytes, including the relay's entry in every table: each thread's loop has a table by descriptor."""
    count, warm = 1600, 400  # many, since the heap grows by pages
    proxy = start("--threads", threads, "wan1", "wan2")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(lab.internet.listen(OPEN4, backlog=2 * count))
        for n in range(warm + count):
            if n == warm:
                time.sleep(1)  # a worker takes over tunnels after half a second
                before = proxy.resident()
            stack.enter_context(socks5_connect(proxy, *server.getsockname()))
        time.sleep(1)
        assert (proxy.resident() - before) / count < limit


def test_two_hundred_connections_at_once(proxy, lab, origin):
    count, size = 200, 100_000
    server = origin(echo)
    content = pattern(size)
    waiting, got = selectors.DefaultSelector(), {}
    tunnels = [socks5_connect(proxy, server.address, server.port) for _ in range(count)]
    assert Counter(lab.uplink_of(t.source) for t in tunnels) == {"wan1": 100, "wan2": 100}
    for tunnel in tunnels:
        tunnel.setblocking(False)
        got[tunnel.s] = [0, hashlib.sha256()]  # sent, received
        waiting.register(tunnel.s, selectors.EVENT_READ | selectors.EVENT_WRITE)
    deadline = time.monotonic() + 4 * WAIT_S
    ended = 0
    while ended < count:
        assert time.monotonic() < deadline, f"{ended} of {count} have ended"
        for key, events in waiting.select(1):
            s, progress = key.fileobj, got[key.fileobj]
            if events & selectors.EVENT_WRITE:
                progress[0] += s.send(content[progress[0] : progress[0] + 16384])
                if progress[0] == size:
                    s.shutdown(socket.SHUT_WR)
                    waiting.modify(s, selectors.EVENT_READ)
            if events & selectors.EVENT_READ:
                data = s.recv(65536)
                progress[1].update(data)
                if not data:
                    waiting.unregister(s)
                    s.close()
                    ended += 1
    assert {p[1].hexdigest() for p in got.values()} == {digest(content)}
    lines = proxy.connections(count)
    assert len(lines) == count and {(line["tx"], line["rx"]) for line in lines} == {(size, size)}


def test_an_idle_tunnel_is_closed_and_a_busy_one_is_not(start, origin):
    proxy = start("wan1", "--idle-timeout", "3")
    server = origin(echo)
    idle = socks5_connect(proxy, server.address, server.port)
    busy = socks5_connect(proxy, server.address, server.port)
    began = time.monotonic()
    idle.settimeout(0.2)
    with idle, busy:
        ended = False
        while not ended:
            busy.sendall(b"tick")
            assert busy.recv(4) == b"tick"
            try:
                ended = idle.recv(1) == b""
            except ConnectionResetError:
                ended = True
            except TimeoutError:
                assert time.monotonic() - began < WAIT_S
        assert time.monotonic() - began > 2.9
        assert proxy.connections(1)[0]["outcome"] == "idle"
        busy.sendall(b"last")
        assert busy.recv(4) == b"last"


def test_a_slow_reader_is_not_idle(start, origin):
    """Everything is in the kernel between proxy and client: the proxy has nothing to do, and the client keeps
    reading."""
    proxy = start("wan1", "--idle-timeout", "2")
    content = pattern(MIB)

    def server_side(s):
        s.sendall(content)
        assert s.recv(1) == b""

    server = origin(server_side)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        s.settimeout(WAIT_S)
        s.connect(proxy.address)
        s.sendall(b"\x05\x01\x00" + request5(server.address, server.port))
        assert read_exactly(s, 12)[3] == 0
        began, got = time.monotonic(), b""
        while time.monotonic() - began < 6:
            got += read_exactly(s, 10_000)
            time.sleep(0.1)  # the pace of a slow reader
        got += read_exactly(s, len(content) - len(got))
        assert got == content
    assert proxy.connections(1)[0]["outcome"] == "closed"


def test_a_half_closed_tunnel_lives_on(start, origin):
    """After the client's FIN the server may take its time, up to the idle timeout."""
    proxy = start("wan1", "--idle-timeout", "60")
    asked = threading.Event()

    def server_side(s):
        question = read_all(s)
        assert asked.wait(WAIT_S)
        s.sendall(b"answer to " + question)

    server = origin(server_side)
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        tunnel.sendall(b"question")
        tunnel.shutdown(socket.SHUT_WR)
        tunnel.settimeout(1.5)
        with pytest.raises(TimeoutError):
            tunnel.recv(1)
        asked.set()
        tunnel.settimeout(WAIT_S)
        assert read_all(tunnel.s) == b"answer to question"


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("upwards", [True, False])
def test_an_urgent_byte_is_relayed_in_its_place(start, origin, threads, upwards):
    """splice stops at an urgent mark, and takes it for the end once the FIN follows it. Every byte arrives, the
    urgent one in its place. The proxy does not spin while the sender pauses at the mark."""
    proxy = start("--threads", threads, "wan1")
    before, behind = pattern(4 * MIB, b"before"), pattern(100000, b"behind")
    paused, go_on = threading.Event(), threading.Event()

    def say(s):
        s.sendall(before)
        s.send(b"!", socket.MSG_OOB)
        paused.set()
        assert go_on.wait(WAIT_S)
        s.sendall(behind)
        s.shutdown(socket.SHUT_WR)

    def server_side(s):
        if not upwards:
            return say(s)
        return digest(read_all(s))

    server = origin(server_side)
    with socks5_connect(proxy, server.address, server.port, timeout=WAIT_S).s as s:
        if upwards:
            speaker = threading.Thread(target=say, args=(s,))
            speaker.start()
        assert paused.wait(WAIT_S)
        got = b"" if upwards else read_exactly(s, len(before) + 1)
        used = proxy.cpu_seconds()
        assert not select.select([s], [], [], 0.5)[0]
        assert proxy.cpu_seconds() - used < 0.2
        go_on.set()
        got += read_all(s)
        if upwards:
            speaker.join(WAIT_S)
    whole = digest(before + b"!" + behind)
    assert (server.result() if upwards else digest(got)) == whole
    (line,) = proxy.connections(1)
    assert (line["tx" if upwards else "rx"], line["outcome"]) == (len(before) + 1 + len(behind), "closed")
