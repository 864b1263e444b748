"""Real programs that are told of the proxy, or forced through it: libraries, wrappers, a browser. See test_clients.py
for curl and the like. Each is skipped where its program is missing."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from lab.browser import check_shares, need, put_page, show
from lab.origin import echo
from lab.run import WAIT_S, run
from lab.topology import OPEN4, OPEN6, WEB4

# --- PySocks, the library of many programs in Python ---


@pytest.fixture
def socks():
    return pytest.importorskip("socks", reason="PySocks is missing (package python3-socks)")


@pytest.mark.parametrize("kind, proto", [("SOCKS4", "socks4"), ("SOCKS5", "socks5"), ("HTTP", "connect")])
@pytest.mark.parametrize("remote_names", [False, True])
def test_pysocks(start, lab, origin, socks, kind, proto, remote_names):
    """Names are resolved by the uplink, or here."""
    proxy = start("wan2", "--auth", "anna:secret") if kind == "SOCKS5" else start("wan2")
    server = origin(echo)
    s = socks.socksocket()
    s.set_proxy(getattr(socks, kind), *proxy.address, rdns=remote_names, username="anna", password="secret")
    s.settimeout(WAIT_S)
    with s:
        s.connect(("open.test" if remote_names else OPEN4, server.port))
        s.sendall(b"question")
        assert s.recv(100) == b"question"
        if kind != "HTTP":
            assert s.get_proxy_sockname()[0] == lab.wan2.addr4
    assert server.peers == [lab.wan2.addr4]
    (line,) = proxy.connections(1)
    assert (line["proto"], line["host"]) == (proto, "open.test" if remote_names else OPEN4)


def test_pysocks_over_ipv6_and_refused(start, lab, origin, socks):
    proxy = start("wan2")
    server = origin(echo, address=OPEN6)
    with socks.create_connection((OPEN6, server.port), timeout=WAIT_S, proxy_type=socks.SOCKS5, proxy_addr="127.0.0.1",
                                 proxy_port=proxy.port) as s:  # fmt: skip
        s.sendall(b"question")
        assert s.recv(100) == b"question"
    assert server.peers == [lab.wan2.addr6]
    for kind, said in ((socks.SOCKS5, "0x05"), (socks.SOCKS4, "0x5B")):
        with pytest.raises((socks.ProxyError, OSError), match=f"{said}|refused|rejected"):
            socks.create_connection((OPEN4, 9), timeout=WAIT_S, proxy_type=kind, proxy_addr="127.0.0.1", proxy_port=proxy.port)


# --- programs that know no proxy, forced through it by a preloaded library ---


@pytest.mark.parametrize("kind", ["socks4", "socks5", "http"])
def test_proxychains(start, lab, web, tmp_path, kind):
    proxychains = need("proxychains4", package="proxychains4")
    proxy = start("wan2")
    settings = tmp_path / "proxychains.conf"
    settings.write_text(f"strict_chain\nproxy_dns\ntcp_read_time_out 15000\n[ProxyList]\n{kind} {proxy.hostport.replace(':', ' ')}\n")
    before = lab.tcp_sent()
    args = (proxychains, "-q", "-f", settings)
    # curl without a proxy setting of its own
    shown = run(*args, "curl", "-s", "-m", "20", "http://web4.test/whoami").ok()
    assert shown.text.strip() == lab.wan2.addr4
    line = proxy.connections(1)[0]
    assert (line["proto"], line["host"]) == ({"http": "connect"}.get(kind, kind), "web4.test"), line
    content = web.put_repository(f"chained-{kind}")
    run(*args, "git", "clone", "-q", f"http://web.test/chained-{kind}.git", tmp_path / "clone").ok()
    assert (tmp_path / "clone/hello.txt").read_text() == content
    after = lab.tcp_sent()
    assert after["wan2"] > before["wan2"] and after["wan1"] == before["wan1"], "by wan2 alone"


@pytest.fixture
def ftp(lab, origin):
    """A server that knows active FTP only: it connects to the client for the data."""

    def serve(s):
        words, at = s.makefile("rwb", buffering=0), None
        words.write(b"220 ready\r\n")
        while line := words.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if verb == "PORT":
                n = [int(x) for x in rest.split(",")]
                at = (".".join(map(str, n[:4])), n[4] * 256 + n[5])
            if verb == "RETR":
                words.write(b"150 coming\r\n")
                with lab.internet.within():
                    data = socket.create_connection(at, timeout=WAIT_S, source_address=(OPEN4, 0))
                with data:
                    data.sendall(b"by active FTP")
            refused = verb in ("EPSV", "PASV", "EPRT", "SIZE")
            words.write(b"502 no\r\n" if refused else b"221 bye\r\n" if verb == "QUIT" else b"257 \"/\"\r\n" if verb == "PWD"
                        else b"226 done\r\n" if verb == "RETR" else b"230 fine\r\n" if verb == "USER" else b"200 fine\r\n")
            if verb == "QUIT":
                return at

    return origin(serve)


@pytest.mark.parametrize("version", [4, 5])
def test_active_ftp_by_bind(start, lab, ftp, tmp_path, version):
    """curl listens, as it believes, and Dante's library turns that into BIND."""
    socksify = need("socksify", package="dante-client")
    proxy = start("wan1", "wan2", "--policy", "sticky_site")
    settings = tmp_path / "socks.conf"
    settings.write_text(f"route {{\nfrom: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = {proxy.port}\n"
                        f"proxyprotocol: socks_v{version}\ncommand: bind connect\nprotocol: tcp\nmethod: none\n}}\n")
    got = run(socksify, "curl", "-s", "-m", "20", "--disable-eprt", "--ftp-port", "-", f"ftp://{OPEN4}:{ftp.port}/file",
              env={**os.environ, "SOCKS_CONF": str(settings)}).ok()  # fmt: skip
    assert got.text == "by active FTP"
    lines = proxy.connections(2)
    bind, control = sorted(lines, key=lambda line: "peer" not in line)
    assert bind["peer"].startswith(f"{OPEN4}:") and bind["rx"] == 13 and "peer" not in control, lines
    assert ftp.result()[0] in (lab.wan1.addr4, lab.wan2.addr4), "the server was told the uplink's address"
    assert ftp.peers == [ftp.result()[0]] and bind["uplink"] == control["uplink"], "a sticky policy keeps both on one line"


# --- git over ssh ---


@pytest.fixture
def ssh_server(lab, origin, tmp_path):
    """Dropbear on the internet, which lets a key of this test in: (port, key)."""
    dropbear, make_key = need("dropbear", package="dropbear-bin"), need("dropbearkey", package="dropbear-bin")
    need("ssh", package="openssh-client")
    if Path("/proc/self/setgroups").read_text(encoding="ascii").strip() == "deny":
        pytest.skip("dropbear cannot become a user in a user namespace: run the tests as root")
    home, key, host_key = tmp_path / "home", tmp_path / "key", tmp_path / "host_key"
    (home / ".ssh").mkdir(parents=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).ok()
    run(make_key, "-t", "ed25519", "-f", host_key).ok()
    shutil.copy(tmp_path / "key.pub", home / ".ssh/authorized_keys")
    for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):  # dropbear trusts no keys that others may write
        path.chmod(0o700)
    # The namespace has mounts of its own, so /root is another folder for this server only.
    command = lab.internet.wrap(["sh", "-c", f"mount --bind {home} /root && exec {dropbear} -i -s -r {host_key}"])

    def serve(s):
        s.setblocking(True)
        with open(tmp_path / "dropbear.log", "ab") as log:
            subprocess.run(command, stdin=s, stdout=s, stderr=log, timeout=WAIT_S, check=False)

    return origin(serve).port, key


@pytest.mark.parametrize("kind", ["socks5", "http"])
def test_git_over_ssh(start, lab, web, ssh_server, tmp_path, kind):
    need("ncat", package="ncat")
    port, key = ssh_server
    proxy = start("wan2")
    content = web.put_repository(f"ssh-{kind}")
    command = (f"ssh -F none -i {key} -p {port} -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=no "
               f"-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
               f"-o ProxyCommand='ncat --proxy {proxy.hostport} --proxy-type {kind} %h %p'")  # fmt: skip
    env = {**os.environ, "GIT_SSH_COMMAND": command, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
           "GIT_CONFIG_VALUE_0": "*"}  # fmt: skip
    where = f"root@{OPEN4}:{web.files}/ssh-{kind}.git"
    done = run("git", "clone", "-q", where, tmp_path / "clone", env=env)
    assert done.code == 0, f"{done}\n{(tmp_path / 'dropbear.log').read_bytes()}"
    assert (tmp_path / "clone/hello.txt").read_text() == content
    (line,) = proxy.connections(1)
    assert (line["host"], line["port"], line["uplink"], line["outcome"]) == (OPEN4, port, "wan2", "closed"), line


# --- a browser ---


@pytest.mark.once
@pytest.mark.parametrize("told", ["--proxy-server=socks5://{}", "--proxy-pac-url=http://{}/proxy.pac"])
def test_chromium(start, lab, web, tmp_path, told):
    """Forty resources of one page come over both lines."""
    proxy = start("wan1", "wan2", "--policy", "round_robin")
    before, log = lab.received(), web.folder / "access.log"
    earlier = len(log.read_text().splitlines())
    show(put_page(web), tmp_path, told.format(proxy.hostport))
    proxy.settled()
    lines = [line for line in proxy.connections() if line["host"] == "web4.test"]
    assert {line["proto"] for line in lines} == {"socks5"}, "the name went through, and was resolved by the uplink"
    check_shares(lines, (lab.wan1, lab.wan2), before)
    seen = [line.split()[0] for line in log.read_text().splitlines()[earlier:] if "GET /picture" in line]
    assert {WEB4, *seen} == {WEB4, lab.wan1.addr4, lab.wan2.addr4}
