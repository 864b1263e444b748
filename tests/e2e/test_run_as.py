"""--run-as: a proxy that is started as root gives up what it does not need, and goes on to serve, to reload and to log."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab.command import refused
from lab.command import run as command
from lab.origin import read_exactly
from lab.proxy import BINARY, ROOT, SANITIZED, UNRACED
from lab.run import run, sh, wait_for
from lab.socks import socks5_connect
from lab.takeover import Processes
from lab.topology import WEB4

UID = GID = 31999  # of nobody: no such user is needed
USER = f"{UID}:{GID}"
BIND, ADMIN = 1 << 10, 1 << 12


def as_user(*argv):
    return ("setpriv", "--reuid", str(UID), "--regid", str(GID), "--clear-groups", *map(str, argv))


def why_not():
    if not shutil.which("setpriv"):
        return "setpriv is not installed"
    for path in (BINARY, ROOT / "policies/failover.lua"):
        if run(*as_user("test", "-r", path)).code != 0:
            return f"other users may not read {path}"
    return None


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def folder():
    """One that others may enter, unlike those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="steerway-run-as-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def begin(folder, start):
    """Start a proxy with a config file that the user may read, and with its files in the folder."""

    def write(text):
        path = folder / "config.lua"
        path.write_text("return { %s }" % text)
        return path

    def make(text, *args, log=None, **options):
        proxy = start("--config", write(text), *args, port=False, ready=False,
                      prefix=("env", f"XDG_RUNTIME_DIR={folder}", f"XDG_STATE_HOME={folder}", *options.pop("prefix", ())), **options)
        proxy.runtime = folder
        proxy.env = {**proxy.env, "XDG_RUNTIME_DIR": str(folder), "XDG_STATE_HOME": str(folder)}
        proxy.write = write
        if log:
            proxy.log_path = log
            wait_for(lambda: not proxy.alive() or log.exists(), "the log file")
        return proxy.wait_started()

    return make


def visit(proxy, server):
    n = len(proxy.events("connection"))
    with socks5_connect(proxy, server.address, server.port) as tunnel:
        tunnel.sendall(b"ping")
        assert read_exactly(tunnel.s, 4) == b"ping"
    return proxy.connections(n + 1)[-1]["uplink"]


def status(proxy):
    """Of each thread."""
    for task in os.listdir(f"/proc/{proxy.pid}/task"):
        text = Path(f"/proc/{proxy.pid}/task/{task}/status").read_text(encoding="utf-8")
        yield dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def assert_confined(proxy, rights):
    seen = list(status(proxy))
    assert len(seen) > 1, "workers run"
    for s in seen:
        assert s["Uid"].split() == [str(UID)] * 4 and s["Gid"].split() == [str(GID)] * 4 and s["Groups"].split() == [str(GID)]
        for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            assert int(s[kind], 16) == rights, kind
        assert s["NoNewPrivs"] == "1"


@contextlib.contextmanager
def started(*argv):
    """A proxy whose log goes into a pipe."""
    argv = [str(a) for a in argv]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.terminate()


def until_started(child):
    lines = []
    for line in child.stderr:
        lines.append(line)
        if '"started"' in line:
            return lines
    raise AssertionError(lines)


def listen(*ports):
    return "listen = { %s }" % ", ".join(f'"127.0.0.1:{port}"' for port in ports)


def test_it_gives_up_all_and_serves(begin, echo, folder):
    proxy = begin(f'{listen(0)}, uplinks = {{ "wan1", "wan2" }}, policy = "round_robin", run_as = "{USER}", threads = 2')
    assert_confined(proxy, 0)
    (event,) = proxy.events("runs_as")
    assert event["user"] == str(UID) and event["rights"] == "none"
    assert {visit(proxy, echo), visit(proxy, echo)} == {"wan1", "wan2"}, "it binds to devices"
    for name in ("steerway", "steerway/control.sock", "steerway/control.sock.lock", "steerway/state.json.lock"):
        assert (folder / name).stat().st_uid == UID, name
    assert folder.stat().st_uid == 0 and not proxy.events("path_closed")
    assert proxy.ask("why", host="example.org", port=443)["ok"]
    proxy.write(f'{listen(0)}, uplinks = {{ "wan3" }}, run_as = "{USER}"')
    proxy.tell("reload")
    assert visit(proxy, echo) == "wan3"
    assert proxy.stop() == 0
    assert not (folder / "steerway/control.sock").exists(), "it may remove its socket"
    assert (folder / "steerway/state.json").stat().st_uid == UID


def test_it_keeps_what_the_config_needs(begin, echo, lab):
    text = f'uplinks = {{ {{ interface = "wan1", mark = 77 }} }}, run_as = "{USER}"'
    proxy = begin(f"{listen(0, 83)}, {text}")
    assert_confined(proxy, BIND | ADMIN)
    assert proxy.events("runs_as")[0]["rights"] == "CAP_NET_BIND_SERVICE, CAP_NET_ADMIN"
    assert visit(proxy, echo) == "wan1"
    proxy.write(f"{listen(0, 84)}, {text}")
    proxy.tell("reload")
    assert "127.0.0.1:84" in proxy.ask("status")["listening"] and "127.0.0.1:83" not in proxy.ask("status")["listening"]
    proxy.addresses = [("127.0.0.1", 84)]
    assert visit(proxy, echo) == "wan1"


@pytest.mark.parametrize(("text", "right"), [
    (f'{listen(0, 85)}, uplinks = {{ "wan1" }}', "CAP_NET_BIND_SERVICE"),
    (f'{listen(0)}, uplinks = {{ {{ interface = "wan1", mark = 77 }} }}', "CAP_NET_ADMIN"),
])
def test_a_reload_that_needs_more_is_refused(begin, echo, text, right):
    proxy = begin(f'{listen(0)}, uplinks = {{ "wan1" }}, run_as = "{USER}"')
    proxy.write(f'{text}, run_as = "{USER}"')
    assert f"this config needs {right}, which --run-as has given up: restart the proxy" in proxy.tell("reload", code=1)
    assert len(proxy.ask("status")["listening"]) == 1 and visit(proxy, echo) == "wan1"


def test_a_gateway_is_set_and_removed(begin, lab, echo):
    proxy = begin(f'{listen(0)}, run_as = "{USER}", uplinks = {{ {{ interface = "wan3", gateway = "{lab.wan3.gateway4}" }} }}')
    assert_confined(proxy, ADMIN)
    assert visit(proxy, echo) == "wan3" and "fwmark" in sh("ip rule")
    assert proxy.stop() == 0
    assert "fwmark" not in sh("ip rule")


def test_capture_works_after_the_drop(begin, lab, web):
    if not shutil.which("nft"):
        pytest.skip("nft is not installed")
    proxy = begin(f'{listen(0)}, uplinks = {{ "wan2" }}, transparent = "tproxy:localhost:0", run_as = "{USER}"', *UNRACED)
    assert_confined(proxy, ADMIN)
    proxy.tell("capture", "on")
    try:
        r = run("curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", f"http://{WEB4}/whoami")
        assert lab.uplink_of(r.ok().text.strip()) == "wan2"
    finally:
        proxy.tell("capture", "off")
    assert run("nft", "list", "table", "inet", "steerway").code != 0


def test_a_later_run_takes_a_capture_over(begin, folder):
    """The record is written by a command of root, and read by the proxy."""
    if not shutil.which("nft"):
        pytest.skip("nft is not installed")
    text = f'{listen(0)}, uplinks = {{ "wan2" }}, transparent = "tproxy:localhost:0", run_as = "{USER}"'
    proxy = begin(text)
    proxy.tell("capture", "on", "--when-gone", "stop")
    try:
        assert {path.stat().st_uid for path in (folder / "steerway").iterdir()} == {UID}
        proxy.kill()
        begin(text).wait_event("capture_updated")  # it listens on another port
    finally:
        proxy.tell("capture", "off")


def test_the_log_file_is_the_users(begin, echo, folder):
    (folder / "log").mkdir()
    os.chown(folder / "log", UID, GID)
    log = folder / "log/steerway.log"
    proxy = begin(f'{listen(0)}, uplinks = {{ "wan1" }}, run_as = "{USER}"', "--log-to", log, log=log)
    assert log.stat().st_uid == UID and log.stat().st_mode & 0o777 == 0o640
    log.rename(folder / "log/old")
    proxy.signal(signal.SIGUSR1)
    wait_for(log.exists, "the new file")
    assert visit(proxy, echo) == "wan1"
    assert log.stat().st_uid == UID


def test_what_others_have_made_stays_theirs(begin, folder):
    (folder / "steerway").mkdir(mode=0o755)
    log = folder / "steerway.log"
    log.write_text("")
    begin(f'{listen(0)}, uplinks = {{ "wan1" }}, run_as = "{USER}"', "--log-to", log, log=log)
    wait_for(lambda: "path_closed" in log.read_text(), "the warning")
    assert (folder / "steerway").stat().st_uid == 0 and log.stat().st_uid == 0
    assert (folder / "steerway/control.sock").stat().st_uid == UID


def test_a_config_file_that_the_user_may_not_read(begin, folder):
    before = os.umask(0o077)
    try:
        proxy = begin(f'{listen(0)}, uplinks = {{ "wan1" }}, run_as = "{USER}"')
    finally:
        os.umask(before)
    (event,) = proxy.events("path_closed")
    assert event["path"] == str(folder / "config.lua") and event["user"] == str(UID)
    assert "Permission denied" in proxy.tell("reload", code=1)


# What stands in the standard places, in a private view of the machine.
PLACES = 'mount --make-rprivate / && mount -t tmpfs t /run && mount -t tmpfs t /var/lib && exec "$@"'


def test_the_standard_places(start):
    """With the user's own start in the same places, as of a successor."""
    bare = ("env", "-u", "XDG_RUNTIME_DIR", "-u", "XDG_STATE_HOME", "unshare", "-m", "sh", "-c", PLACES, "sh")
    proxy = start("wan1", "--run-as", USER, prefix=bare)
    root = Path(f"/proc/{proxy.pid}/root")
    for name in ("run/steerway/control.sock", "var/lib/steerway/state.json.lock"):
        assert (root / name).stat().st_uid == UID, name
    inside = ("nsenter", f"--mount=/proc/{proxy.pid}/ns/mnt", "env", "-u", "XDG_RUNTIME_DIR", "-u", "XDG_STATE_HOME", "HOME=/root")
    for who in (inside, (*inside, *as_user())):
        assert run(*who, BINARY, "status").ok().text.startswith("Steerway "), who
    with started(*inside, *as_user(BINARY, "start", "-p", "0", "wan1", "--check", "none", "--log-format", "json")) as second:
        said = [json.loads(line) for line in until_started(second)]
    assert {line["path"] for line in said if line["event"] == "no_control_socket"} == {"/run/steerway/control.sock"}
    assert {line["path"] for line in said if line["event"] == "state_not_kept"} == {"/var/lib/steerway/state.json"}


def test_started_as_the_user_itself(begin, folder):
    """As a successor is: with the rights that were passed on, of which it keeps those that it needs."""
    os.chown(folder, UID, GID)
    rights = as_user("--inh-caps=+net_admin,+net_bind_service,+net_raw", "--ambient-caps=+net_admin,+net_bind_service,+net_raw")
    proxy = begin(f'{listen(0)}, uplinks = {{ {{ interface = "wan1", mark = 77 }} }}, run_as = "{USER}"', prefix=rights)
    for s in status(proxy):
        assert {int(s[kind], 16) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {ADMIN}
        assert s["Uid"].split() == [str(UID)] * 4


def test_every_start_can_gain_nothing_and_dumps_nothing(start):
    proxy = start("wan1")
    for s in status(proxy):
        assert s["NoNewPrivs"] == "1"
    assert re.search(r"^Max core file size +0 +0 ", Path(f"/proc/{proxy.pid}/limits").read_text(), re.M)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer traces the process at its end")
@pytest.mark.parametrize("by_root", [True, False], ids=["root", "user"])
def test_others_of_the_user_cannot_read_its_memory(begin, folder, by_root):
    os.chown(folder, UID, GID)
    run_as = f', run_as = "{USER}"' if by_root else ""
    proxy = begin(f'{listen(0)}, uplinks = {{ "wan1" }}{run_as}', prefix=() if by_root else as_user())
    assert os.stat(f"/proc/{proxy.pid}/mem").st_uid == 0, "it is not dumpable"
    assert run(*as_user("cat", f"/proc/{proxy.pid}/environ")).code != 0


def test_rights_of_the_programs_file_reach_its_successor(lab, folder):
    """no_new_privs takes the file's rights from a successor: they are passed on."""
    program = folder / "steerway"
    shutil.copy(BINARY, program)
    if not shutil.which("setcap") or run("setcap", "cap_net_admin+ep", program).code != 0:
        pytest.skip("the program's file cannot have rights here")
    os.chown(folder, UID, GID)
    argv = as_user("env", f"XDG_RUNTIME_DIR={folder}", f"XDG_STATE_HOME={folder}", program, "start", "-p", "0", "wan1", "--data-dir", ROOT,
                   "--check", "none", "--log-format", "json")
    with started(*argv) as child:
        assert until_started(child)
        text = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
        assert int(re.search(r"^CapAmb:\s+(\w+)", text, re.M).group(1), 16) == ADMIN


@pytest.mark.parametrize(("user", "said"), [
    ("no-such-user", "this machine has no user 'no-such-user'"),
    (f"{UID}", f"user {UID} has no group"),
    (f"{UID}:no-such-group", "this machine has no group 'no-such-group'"),
    ("root", "'root' is root"),
    ("0:0", "'0' is root"),
])
def test_a_user_that_it_cannot_be(user, said):
    assert refused(1, "start", "-p", "0", "lo", "--run-as", user).startswith(f"--run-as: {said}")
    r = command("check", "lo", "--run-as", user)
    assert r.returncode == 0 and f"warning: --run-as: {said}" in r.stderr


def test_only_root_becomes_another_user():
    line = refused(1, "start", "-p", "0", "lo", "--run-as", "1234:1234", wrapped_by=as_user())
    assert line == "--run-as 1234: start the proxy as root, or as that user"


def test_check_and_doctor_tell_what_is_kept():
    args = ("lo", "--run-as", USER, "--listen", "127.0.0.1:86", "--transparent", "tproxy:127.0.0.1:1081")
    r = command("check", *args)
    assert r.stdout.endswith(f"; runs as {USER}, rights kept: CAP_NET_BIND_SERVICE, CAP_NET_ADMIN\n"), r
    assert re.search(rf"runs as +{USER}, rights kept: CAP_NET_BIND_SERVICE, CAP_NET_ADMIN", command("doctor", *args).stdout)
    assert "user-unknown" in command("doctor", "lo", "--run-as", "no-such-user", "--json").stdout


def test_a_successor_has_the_same_user_and_rights(begin, echo):
    """It is started by a process that is not root any more."""
    text = f'{listen(0, 88)}, uplinks = {{ {{ interface = "wan1", mark = 77 }} }}, run_as = "{USER}"'
    proxy = begin(text)
    processes = Processes(proxy)
    try:
        processes.restart()
        assert_confined(proxy, BIND | ADMIN)
        assert visit(proxy, echo) == "wan1"
        proxy.write(text.replace(":88", ":89"))
        proxy.tell("reload")
        assert "127.0.0.1:89" in proxy.ask("status")["listening"]
    finally:
        processes.stop()
