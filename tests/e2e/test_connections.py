"""Connections are shown and closed while the proxy runs."""

import json
import socket
import threading

import pytest

from lab.command import refused
from lab.origin import read_exactly
from lab.run import wait_for
from lab.socks import auth5, open_to, read_reply5, request5, socks5_connect
from lab.udp import Association, reflect


@pytest.fixture
def echo(origin):
    def serve(s):
        while data := s.recv(65536):
            s.sendall(data)

    return origin(serve)


def rows(proxy, **filters):
    answer = proxy.ask("connections", **filters)
    assert answer["ok"], answer
    return answer["connections"]


def ids(proxy, **filters):
    return [row["id"] for row in rows(proxy, **filters)]


def was_reset(s):
    try:
        s.recv(1)
    except ConnectionResetError:
        return True
    return False


def login(proxy, server, user):
    s = open_to(proxy)
    s.sendall(b"\x05\x01\x02" + auth5(user, "secret") + request5(server.address, server.port))
    assert read_exactly(s, 4) == b"\x05\x02\x01\x00"
    assert read_reply5(s)[0] == 0
    return s


# --- what is shown ---


def test_an_open_connection_has_a_row_with_live_counters(start, echo):
    proxy = start("wan1", "--policy", "round_robin")
    assert rows(proxy) == []
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        tunnel.sendall(b"ping")
        read_exactly(tunnel.s, 4)
        (row,) = wait_for(lambda: [r for r in rows(proxy) if r["rx"] == 4], "the counted bytes")
        assert {k: v for k, v in row.items() if k not in ("age", "listener", "reason")} == {
            "id": 1,
            "client": "127.0.0.1:%d" % tunnel.s.getsockname()[1],
            "user": None,
            "proto": "socks5",
            "host": echo.address,
            "address": None,
            "port": echo.port,
            "uplink": "wan1",
            "tx": 4,
            "rx": 4,
            "state": "open",
        }
        assert row["reason"] and row["listener"] == f"127.0.0.1:{proxy.port}" and row["age"] >= 0
        for size in (100_000, 300_000):  # on a worker by then
            tunnel.sendall(bytes(size))
            assert read_exactly(tunnel.s, size) == bytes(size)
        wait_for(lambda: [(r["tx"], r["rx"]) for r in rows(proxy)] == [(400_004, 400_004)], "all bytes")
    proxy.connections(1)
    assert rows(proxy) == []


def test_filters_must_all_fit(start, echo):
    proxy = start("wan1", "wan2", "--policy", "round_robin", "--auth", "ann:secret", "--auth", "bob:secret")
    held = [login(proxy, echo, user) for user in ("ann", "bob", "ann")]
    first, second, third = ids(proxy)[:3]
    assert ids(proxy, user="ann") == [first, third]
    assert ids(proxy, uplink="wan2", user="bob")[:1] == [second]
    assert ids(proxy, uplink="wan1", user="bob", host=echo.address) == []
    assert first in ids(proxy, host=echo.address) and ids(proxy, host="10.255.255.255") == []
    assert len(ids(proxy, client="127.0.0.1")) == len(ids(proxy, client="127.0.0.0/8")) == len(held)
    assert ids(proxy, client="192.0.2.0/24") == ids(proxy, client="::1") == []
    assert ids(proxy, ids=[third, 77]) == [third]
    for wrong in ({"client": "nowhere"}, {"host": 7}, {"ids": 7}, {"ids": [0]}, {"ids": ["1"]}, {"hots": "x"}, {"all": 1}):
        answer = proxy.ask("connections", **wrong)
        assert not answer["ok"] and next(iter(wrong)) in answer["error"], answer
    for s in held:
        s.close()


def test_a_connection_that_ended_is_shown_as_recent(start, echo):
    proxy = start("wan1")
    for _ in range(3):
        with socks5_connect(proxy, echo.address, echo.port) as tunnel:
            tunnel.sendall(b"ping")
            read_exactly(tunnel.s, 4)
    proxy.connections(3)
    ended = proxy.ask("recent")["connections"]
    assert [row["id"] for row in ended] == [3, 2, 1]
    assert all(row["outcome"] == "closed" and row["tx"] == 4 and row["duration"] >= 0 and "state" not in row for row in ended)
    assert [row["id"] for row in proxy.ask("recent", ids=[2])["connections"]] == [2]
    assert proxy.ask("recent", uplink="wan9")["connections"] == []


def test_many_connections_are_answered_whole_while_others_come_and_go(start, echo):
    """The answer takes several turns of the main loop, and some of those that it asks about end in between."""
    proxy = start("wan1")
    held = {}
    for _ in range(600):
        tunnel = socks5_connect(proxy, echo.address, echo.port)
        held[len(held) + 1] = tunnel
    leave = [held.pop(k) for k in range(1, 601, 3)]
    over = threading.Event()

    def churn():
        for tunnel in leave:
            tunnel.s.close()
            with socks5_connect(proxy, echo.address, echo.port):
                pass
        over.set()

    thread = threading.Thread(target=churn)
    thread.start()
    answers = 0
    while not over.is_set() or answers == 0:
        asked = ids(proxy)
        assert asked == sorted(set(asked)) and set(held) <= set(asked), asked
        answers += 1
    thread.join()
    for _ in range(8):  # clients that leave before their answer is complete
        with socket.socket(socket.AF_UNIX) as hasty:
            hasty.connect(str(proxy.control_path))
            hasty.sendall(b'{"verb":"connections"}\n' * 3)
    wait_for(lambda: ids(proxy) == sorted(held), "the end of the others")
    assert len(proxy.ask("recent")["connections"]) == 256
    assert proxy.ask("close", all=True)["closed"] == 400
    for tunnel in held.values():
        assert was_reset(tunnel.s)
        tunnel.s.close()


# --- close ---


def test_a_tunnel_is_closed_by_its_id_with_a_reset_at_both_ends(start, origin):
    def serve(s):
        s.sendall(b"hello")
        return was_reset(s)

    server = origin(serve)
    proxy = start("wan1")
    with socks5_connect(proxy, server.address, server.port) as tunnel, socks5_connect(proxy, server.address, server.port) as other:
        assert read_exactly(tunnel.s, 5) == read_exactly(other.s, 5) == b"hello"
        first, second = ids(proxy)
        assert proxy.ask("close", ids=[first]) == {"ok": True, "closed": 1}
        assert was_reset(tunnel.s) and server.result() is True
        (account,) = proxy.connections(1)
        assert account["outcome"] == "closed-by-user" and account["rx"] == 5
        assert ids(proxy) == [second]
        assert proxy.ask("close", ids=[first]) == {"ok": True, "closed": 0}
    assert proxy.ask("recent")["connections"][-1]["outcome"] == "closed-by-user"


def test_close_needs_to_be_told_what(start, echo):
    proxy = start("wan1")
    with socks5_connect(proxy, echo.address, echo.port) as tunnel:
        for wrong in ({}, {"all": False}, {"hots": "x"}, {"all": True, "verb2": 1}):
            assert not proxy.ask("close", **wrong)["ok"], wrong
        assert proxy.ask("close", host="other.test")["closed"] == 0
        tunnel.sendall(b"ping")
        assert read_exactly(tunnel.s, 4) == b"ping"
        assert proxy.ask("close", all=True)["closed"] == 1
        assert was_reset(tunnel.s)


def test_connections_of_workers_and_of_the_main_loop_are_closed_by_filter(start, echo):
    proxy = start("wan1", "wan2", "--policy", "round_robin")
    tunnels = [socks5_connect(proxy, echo.address, echo.port) for _ in range(40)]
    for tunnel in tunnels[:20]:  # on workers
        tunnel.sendall(bytes(400_000))
        read_exactly(tunnel.s, 400_000)
    assert proxy.ask("close", uplink="wan1")["closed"] == 20
    wait_for(lambda: len(ids(proxy)) == 20, "the end of those by wan1")
    assert {row["uplink"] for row in rows(proxy)} == {"wan2"}
    assert len(proxy.events("connection", outcome="closed-by-user", uplink="wan1")) == 20
    for tunnel in tunnels:
        tunnel.s.close()


def test_a_response_that_is_closed_midway_looks_cut_off(start, origin):
    def serve(s):
        while b"\r\n\r\n" not in s.recv(65536):
            pass
        s.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
        return s.recv(1)

    server = origin(serve)
    proxy = start("wan1")
    with open_to(proxy) as s:
        s.sendall(b"GET http://%b/ HTTP/1.1\r\nHost: x\r\n\r\n" % server.hostport.encode())
        got = b""
        while not got.endswith(b"half"):
            got += s.recv(1000)
        (row,) = rows(proxy)
        assert (row["proto"], row["state"]) == ("http", "open")
        assert proxy.ask("close", ids=[row["id"]])["closed"] == 1
        assert was_reset(s)


def test_a_kept_connection_is_shown_and_closed(start, web):
    proxy = start("wan1")
    with open_to(proxy) as s:
        s.sendall(b"GET http://web4.test/whoami HTTP/1.1\r\nHost: web4.test\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 200")
        (row,) = wait_for(lambda: rows(proxy, host="test"), "the kept connection")
        assert (row["host"], row["state"]) == ("web4.test", "kept")
        assert proxy.ask("close", host="web4.test")["closed"] == 1
        assert s.recv(1) == b""


def test_an_attempt_that_waits_is_shown_and_closed(start, lab):
    proxy = start("wan1")
    lab.wan1.swallow()
    with open_to(proxy) as s:
        s.sendall(b"\x05\x01\x00" + request5("203.0.113.77", 80))
        (row,) = wait_for(lambda: rows(proxy), "the attempt")
        assert row["state"] == "connecting" and row["uplink"] in ("wan1", "none")
        assert proxy.ask("close", all=True)["closed"] == 1
        assert read_exactly(s, 2) == b"\x05\x00" and was_reset(s)
    assert proxy.connections(1)[0]["outcome"] == "closed-by-user"


def test_udp_mappings_are_shown_and_closed(start, datagrams):
    server = datagrams(reflect)
    (end,) = server.ends
    proxy = start("wan1")
    with Association(proxy) as a:
        assert a.ask(b"one", *end)
        (row,) = wait_for(lambda: [r for r in rows(proxy) if r["rx"]], "the counted bytes")
        assert (row["proto"], row["uplink"], row["state"], row["tx"]) == ("udp", "wan1", "open", 3)
        assert row["client"] == "127.0.0.1:%d" % a.s.getsockname()[1]
        assert proxy.ask("close", ids=[row["id"]])["closed"] == 1
        proxy.wait_event("connection", outcome="closed-by-user", proto="udp")
        assert a.ask(b"two", *end), "the next datagram makes a new mapping"
        assert ids(proxy) == [row["id"] + 1]


# --- the commands ---


def test_the_commands(start, echo, web):
    proxy = start("wan1", "--policy", "round_robin")
    assert proxy.tell("connections") == "no connections\n"
    tunnels = [socks5_connect(proxy, echo.address, echo.port) for _ in range(4)]
    for k, tunnel in enumerate(tunnels):
        tunnel.sendall(bytes(1 + 1000 * (k % 3)))
        read_exactly(tunnel.s, 1 + 1000 * (k % 3))
    table = proxy.tell("connections").splitlines()
    assert table[0].split()[:3] == ["ID", "CLIENT", "DESTINATION"] and len(table) == 5
    assert all(len(line) <= 80 for line in table), table

    def order(*words):
        return [row["id"] for row in json.loads(proxy.tell("connections", "--json", *words))["connections"]]

    assert order() == order("--sort", "age") == order("--sort", "host") == [1, 2, 3, 4]
    assert order("--sort", "bytes") == [3, 2, 1, 4]
    assert order("--sort", "bytes", "--limit", "2") == [3, 2]
    assert proxy.tell("connections", "--limit", "3").endswith("\n3 of 4 connections\n")
    assert order("--host", echo.address, "--client", "127.0.0.1", "--uplink", "wan1") == [1, 2, 3, 4]
    assert order("--user", "ann") == order("--uplink", "direct") == []
    rated = json.loads(proxy.tell("connections", "--sort", "rate", "--json"))["connections"]
    assert [row["rate"] for row in rated] == [0, 0, 0, 0]
    assert "RATE" in proxy.tell("connections", "--sort", "rate")
    assert proxy.tell("close", "2", "3") == "2 connections are closed\n"
    wait_for(lambda: sorted(order("--recent")) == [2, 3], "the end of both")
    assert order("--recent", "--sort", "bytes") == [3, 2] and sorted(order("--recent", "--sort", "rate")) == [2, 3]
    assert "closed-by-user" in proxy.tell("connections", "--recent")
    assert proxy.tell("close", "2") == "no connection fits\n"
    assert proxy.tell("close", "--host", echo.address, "--client", "127.0.0.0/8") == "2 connections are closed\n"
    assert proxy.tell("close", "--uplink", "wan1") == proxy.tell("close", "--user", "ann") == proxy.tell("close", "--all")


def test_the_commands_refuse_mistakes():
    assert refused(2, "close") == "close: expected an ID, a filter such as --host, or --all"
    assert refused(2, "close", "x7") == "close: expected the ID of a connection, got 'x7'"
    assert refused(2, "close", "0") == "close: expected the ID of a connection, got '0'"
    assert refused(2, "connections", "--sort", "size") == "--sort: expected age, bytes, rate or host, got 'size'"
    for limit in ("0", "-1", "many", ""):
        assert refused(2, "connections", "--limit", limit) == f"--limit: expected a number of 1 or more, got '{limit}'"
