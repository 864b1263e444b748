"""Users from a file with hashed passwords: who is let in, that the check blocks nobody, and what a reload changes."""

import base64
import time

import pytest

from lab.command import run
from lab.http import Client, HttpOrigin, get, response
from lab.origin import echo, read_exactly
from lab.run import SOON_S, at_once, wait_for
from lab.socks import auth5, open_to, read_reply5, request5

# Of "secret", by mkpasswd -m yescrypt, and of a lower cost: sanitizers are slow.
YESCRYPT = "$y$j9T$abcdefghijkl$XFQnRmFDoRnfefa6tLCdzcaB9xoGhmmkRgfG1lm0pK1"
CHEAP = "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/"
BCRYPT = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

pytestmark = pytest.mark.skipif("hashed passwords" in run("--version").stdout, reason="a build without libcrypt")


@pytest.fixture
def server(origin):
    return origin(echo)


@pytest.fixture
def web(origin):
    return HttpOrigin(origin, lambda _request, _s: response(200, b"hello"))


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"

    def write(*lines, mode=0o600):
        path.write_text("".join(line + "\n" for line in lines))
        path.chmod(mode)
        return path

    return write


def log_in(proxy, server, user, password):
    """@return the code of the connection, or None where the password is refused."""
    with open_to(proxy, timeout=60) as s:
        s.sendall(b"\x05\x01\x02" + auth5(user, password) + request5(server.address, server.port))
        assert read_exactly(s, 2) == b"\x05\x02"
        return read_reply5(s)[0] if read_exactly(s, 2) == b"\x01\x00" else None


def basic(user, password):
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_each_kind_of_password(start, server, web, users):
    proxy = start("wan1", "--auth-file", users(f"ann:{YESCRYPT}", f"bob:{CHEAP}", f"cat:{BCRYPT}", "dan:plain"), "--auth", f"eve:{CHEAP}")
    for user, password, expected in (("ann", "secret", 0), ("bob", "secret", 0), ("cat", "secret", 0), ("dan", "plain", 0), ("eve", CHEAP, 0),
                                     ("ann", "wrong", None), ("ann", YESCRYPT, None), ("dan", "secret", None), ("zoe", "secret", None)):
        assert log_in(proxy, server, user, password) == expected, (user, password)
    assert {e["user"] for e in proxy.events("connection")} == {"ann", "bob", "cat", "dan", "eve"}
    assert len(proxy.events("rejected", reason="bad-credentials")) == 4
    with Client(proxy, timeout=60) as c:
        assert c.ask(get(web)).status == 407
        assert c.ask(get(web, "/", basic("ann", "wrong"))).status == 407
        assert c.ask(get(web, "/", basic("ann", "secret"))).status == 200
        assert c.ask(get(web, "/", basic("cat", "secret"))).status == 200
    assert "secret" not in proxy.log_text() and "$y$" not in proxy.log_text()


def test_a_check_blocks_nobody_and_is_made_once(start, server, users):
    """A tunnel's round trips go on while the main loop would be busy with hashes for seconds."""
    proxy = start("wan1", "--auth-file", users(*[f"user{i}:{YESCRYPT}" for i in range(30)], "ann:plain"), "--client-connections", "100")
    assert log_in(proxy, server, "ann", "plain") == 0
    waiting = [open_to(proxy, timeout=60) for _ in range(30)]
    for i, s in enumerate(waiting):
        s.sendall(b"\x05\x01\x02" + auth5(f"user{i}", "secret") + request5(server.address, server.port))
    cpu = proxy.cpu_seconds()
    slowest = 0
    for _ in range(10):
        began = time.monotonic()
        assert log_in(proxy, server, "ann", "plain") == 0
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < SOON_S
    for s in waiting:
        assert read_exactly(s, 4) == b"\x05\x02\x01\x00" and read_reply5(s)[0] == 0
        s.close()
    spent = proxy.cpu_seconds() - cpu
    cpu = proxy.cpu_seconds()
    for i in range(30):
        assert log_in(proxy, server, f"user{i}", "secret") == 0
    again = proxy.cpu_seconds() - cpu
    assert again < spent / 3, f"{spent:.2f} s of CPU time at first, then {again:.2f} s"


def test_an_unknown_user_costs_as_much_as_a_wrong_password(start, server, users):
    proxy = start("wan1", "--auth-file", users(f"ann:{YESCRYPT}", "dan:plain"))

    def cost(user):
        before = proxy.cpu_seconds()
        for _ in range(3):
            assert log_in(proxy, server, user, "wrong") is None
        return proxy.cpu_seconds() - before

    costs = [cost(user) for user in ("ann", "dan", "zoe")]
    assert min(costs) > max(costs) / 3, costs


def test_guesses_of_hashes_are_slowed(start, server, users):
    proxy = start("wan1", "--auth-file", users(f"ann:{CHEAP}"))
    assert log_in(proxy, server, "ann", "secret") == 0
    at_once(lambda i: log_in(proxy, server, "ann", f"guess{i}"), [(i,) for i in range(30)])
    began = time.monotonic()
    assert log_in(proxy, server, "ann", "secret") == 0, "who was there before does not wait"
    assert time.monotonic() - began < SOON_S
    assert len(proxy.events("logins_slowed")) == 1


def test_a_client_that_leaves_during_the_check(start, server, users):
    proxy = start("wan1", "--auth-file", users(f"ann:{YESCRYPT}"), "--handshake-timeout", 1)
    for _ in range(6):
        with open_to(proxy) as s:
            s.sendall(b"\x05\x01\x02" + auth5("ann", "wrong"))
            s.recv(2)
    wait_for(lambda: proxy.open_connections() == 0, "all are gone")
    assert log_in(proxy, server, "ann", "secret") == 0


def test_a_reload_forgets_what_was_right(start, server, users, config):
    users(f"ann:{CHEAP}", f"bob:{CHEAP}")
    proxy = start("--config", config('return { uplinks = { "wan1" }, listen = "127.0.0.1:0", auth_file = "users" }'), port=False)
    assert log_in(proxy, server, "ann", "secret") == 0 and log_in(proxy, server, "bob", "secret") == 0
    users(f"ann:{CHEAP[:-2]}xx", f"bob:{CHEAP}")
    proxy.tell("reload")
    assert log_in(proxy, server, "ann", "secret") is None and log_in(proxy, server, "bob", "secret") == 0
    users("bob:$6$:")
    assert "auth_file: " in proxy.tell("reload", code=1)
    assert log_in(proxy, server, "bob", "secret") == 0


def test_a_file_that_others_can_read_is_told(start, users):
    for line, mode, told in ((f"ann:{CHEAP}", 0o640, False), (f"ann:{CHEAP}", 0o644, True), ("ann:plain", 0o640, True), ("ann:plain", 0o600, False)):
        path = users(line, mode=mode)
        checked = run("check", "--auth-file", path, "lo")
        assert (f"warning: {path}: others on this machine can read the passwords" in checked.stderr) == told
        proxy = start("wan1", "--auth-file", path)
        assert [e["file"] for e in proxy.events("users_file_readable")] == [str(path)] * told
