"""Fixtures of the end-to-end tests. The laboratory itself is described in lab/__init__.py.

The tests run in namespaces of their own, as root or (by a user namespace) as anybody else:
    /usr/bin/python3 -m pytest -q tests/e2e
STEERWAY_BIN names the binary under test; build/dev/steerway is the default.
"""

import sys

import pytest

from lab import household, sandbox
from lab.far import FarHost
from lab.gateway import routing
from lab.names import NameServer
from lab.origin import Origin
from lab.origin import echo as echo_handler
from lab.proxy import BINARY, Proxy
from lab.segment import Segment
from lab.slow_line import PROFILES, SlowLine, why_not
from lab.stun import StunServer
from lab.topology import NAMES4, NAMES6, OPEN4, OPEN6, WEB4, WEB6, Lab
from lab.udp import UdpServer, reflect
from lab.web import WebServer

FIRST = """return { name = "first", new = function()
  return { pick = function(_, uplinks)
    for _, name in ipairs { %s } do
      for _, u in ipairs(uplinks) do if u.name == name then return u end end
    end
  end }
end }
"""

ONLY = """return { name = "only", new = function()
  return { pick = function(_, uplinks)
    for _, u in ipairs(uplinks) do if u.name == "%s" then return u end end
    return false, "it is not there"
  end }
end }
"""

_PROXIES = pytest.StashKey[list]()


def pytest_addoption(parser):
    parser.addoption("--part", default="1/1", metavar="K/N", help="run every Nth test only, from the Kth on: N runs do all, side by side")


@pytest.hookimpl(trylast=True)  # of those that are left
def pytest_collection_modifyitems(config, items):
    k, n = map(int, config.getoption("part").split("/"))
    config.hook.pytest_deselected(items=[item for i, item in enumerate(items) if i % n != k - 1])
    items[:] = items[k - 1 :: n]


def pytest_configure(config):
    config.addinivalue_line("markers", "once: about a figure, a page of the docs, or the lab itself: not run with a sanitizer")
    if sandbox.inside():
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture:
        capture.stop_global_capturing()
    reason = sandbox.enter([sys.executable, "-m", "pytest", *config.invocation_params.args])
    pytest.exit(f"the end-to-end tests need network namespaces, which this machine refuses: {reason}", returncode=1)


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    """Separate runtime and state folders, so that the proxies of tests do not share a control socket or state."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture(scope="session")
def built_lab():
    lab = Lab()
    lab.build()
    return lab


@pytest.fixture(scope="session")
def web(built_lab, tmp_path_factory):
    """nginx on the internet."""
    server = WebServer(built_lab.internet, tmp_path_factory.mktemp("web"), WEB4, WEB6)
    yield server
    server.close()


@pytest.fixture(scope="session")
def _name_server(built_lab):
    server = NameServer(built_lab.internet, [NAMES4, NAMES6])
    yield server
    server.close()


@pytest.fixture
def names(_name_server):
    """The name server, with the zone that every test expects."""
    _name_server.zone = {
        "web.test": [WEB4, WEB6],
        "web4.test": [WEB4],
        "web6.test": [WEB6],
        "open.test": [OPEN4],
        "open6.test": [OPEN6],
    }
    _name_server.forget()
    _name_server.ttl_s = 5
    return _name_server


@pytest.fixture
def lab(built_lab, names):
    """The household, with its lines restored before and after the test."""
    built_lab.count_anew()
    yield built_lab
    built_lab.restore()


@pytest.fixture
def router(lab):
    """The LAN's default route leads to this machine, and marked packets come to it."""
    with routing(lab):
        yield lab


@pytest.fixture
def house(lab, web):
    """Three devices behind this machine, none of them configured."""
    if household.why_not(lab.home):
        pytest.skip(household.why_not(lab.home))
    h = household.Household(lab)
    try:
        h.build()
        yield h
    finally:
        h.remove()


@pytest.fixture
def segment(lab):
    """Another network, which any number of interfaces may join."""
    s = Segment(lab)
    try:
        s.build()
        yield s
    finally:
        s.remove()


@pytest.fixture
def slow(lab):
    """Gives lines latency: slow(lab.wan1, "1 % loss", down=20, up=5). They are as before after the test."""
    if why_not():
        pytest.skip(why_not())
    lines = []

    def make(uplink, profile="20 ms", **traits):
        lines.append(SlowLine(lab, uplink, **{**PROFILES[profile], **traits}))
        lines[-1].build()
        return lines[-1]

    yield make
    for line in lines:
        line.remove()


@pytest.fixture
def origin(built_lab):
    """Opens servers on the internet: origin(handler, address=…)."""
    opened = []

    def open_origin(handler, **options):
        server = Origin(built_lab.internet, handler, **options)
        opened.append(server)
        return server

    yield open_origin
    for server in opened:
        server.close()


@pytest.fixture
def echo(origin):
    """A server that sends back what it receives."""
    return origin(echo_handler)


@pytest.fixture
def datagrams(built_lab):
    """Opens servers of datagrams on the internet: datagrams(handler, addresses=…)."""
    opened = []

    def open_server(handler=reflect, **options):
        server = UdpServer(built_lab.internet, handler, **options)
        opened.append(server)
        return server

    yield open_server
    for server in opened:
        server.close()


@pytest.fixture
def stun(built_lab):
    """A STUN server with two addresses and two ports."""
    server = StunServer(built_lab.internet)
    yield server
    server.close()


@pytest.fixture
def far_hosts(lab):
    """Makes hosts on the internet: far_hosts(2)."""
    made = []

    def make(n):
        for _ in range(n):
            made.append(FarHost(lab, len(made) + 1))
            made[-1].build()
        return made[-n:]

    yield make
    for host in made:
        host.remove()


@pytest.fixture
def config(tmp_path):
    """config(text) writes a config file and returns its path."""

    def write(text, name="config.lua"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def first(tmp_path):
    """Writes policies that take the first of these names that is a candidate, or leave the choice to the default:
    first("wan1", "wan2")."""

    def policy(*names):
        path = tmp_path / f"first_{'_'.join(names)}.lua"
        path.write_text(FIRST % ", ".join(f'"{name}"' for name in names))
        return path

    return policy


@pytest.fixture
def only(tmp_path):
    """Writes policies that take one uplink, and fail when it is not a candidate: only("wan2")."""

    def policy(name):
        path = tmp_path / f"only_{name}.lua"
        path.write_text(ONLY % name)
        return path

    return policy


@pytest.fixture
def start(request, lab, tmp_path):
    """Starts proxies: start("wan1@7", "wan2@3", …). Each is stopped cleanly at the end of the test."""
    proxies = request.node.stash.setdefault(_PROXIES, [])

    def start_proxy(*args, ready=True, **options):
        assert BINARY.exists(), f"{BINARY} is missing: build it, or name it by STEERWAY_BIN"
        proxy = Proxy(tmp_path, len(proxies) + 1, *args, **options)
        proxies.append(proxy)
        return proxy.wait_started() if ready else proxy

    yield start_proxy
    problems = []
    for proxy in proxies:
        ended_before = not proxy.alive()
        try:
            code = proxy.stop()
            if code != 0 and not ended_before:
                problems.append(f"exit code {code}: {proxy.evidence()}")
        finally:
            proxy.kill()
        if proxy.complaints():
            problems.append(proxy.complaints())
    assert not problems, "\n".join(problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for proxy in item.stash.get(_PROXIES, []):
            report.sections.append((f"proxy {proxy.pid}", proxy.evidence()))
