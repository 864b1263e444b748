"""Real clients."""

import hashlib
import os
from collections import Counter

import pytest

from lab.clients import MODES, PROTO, curl, curl_by
from lab.origin import echo, pattern, read_all
from lab.run import SOON_S, run
from lab.topology import LAN_HOME, WEB4, WEB6

BIG = 20 * 1024 * 1024


@pytest.fixture
def big(web):
    """A large file, with its digest."""
    content = pattern(BIG)
    web.put("big.bin", content)
    return hashlib.sha256(content).hexdigest()


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("mode", MODES)
def test_curl_by_each_protocol(start, lab, web, mode):
    proxy = start("wan2")
    before = lab.tcp_sent()
    assert curl_by(mode, proxy).ok().text.strip() in (lab.wan2.addr4, lab.wan2.addr6)
    (line,) = proxy.connections(1)
    assert (line["proto"], line["uplink"], line["outcome"]) == (PROTO[mode], "wan2", "closed"), line
    after = lab.tcp_sent()
    assert after["wan2"] > before["wan2"] and after["wan1"] == before["wan1"], "by wan2 alone"


@pytest.mark.parametrize("mode", ["socks5", "socks5h", "connect", "http"])
def test_curl_to_an_ipv6_address(start, lab, web, mode):
    assert curl_by(mode, start("wan2"), host=f"[{WEB6}]").ok().text.strip() == lab.wan2.addr6


@pytest.mark.parametrize("mode", ["socks4a", "socks5h", "connect", "http"])
def test_curl_to_a_name_of_one_family(start, lab, web, mode):
    proxy = start("wan3")
    assert curl_by(mode, proxy, host="web4.test").ok().text.strip() == lab.wan3.addr4
    assert curl_by(mode, proxy, host="web6.test").ok().text.strip() == lab.wan3.addr6


@pytest.mark.parametrize("mode", MODES)
def test_curl_on_the_ipv6_listener(start, lab, web, mode):
    proxy = start("wan2")
    assert [host for host, _ in proxy.addresses] == ["127.0.0.1", "::1"]
    assert len({port for _, port in proxy.addresses}) == 1, "one port for both"
    flags, host = MODES[mode]
    seen = curl(*flags, f"[::1]:{proxy.port}", f"http://{host}/whoami").ok().text.strip()
    assert lab.uplink_of(seen) == "wan2"
    assert proxy.connections(1)[0]["client"].startswith("[::1]:")


def test_curl_downloads_and_uploads(start, web, big, origin, tmp_path):
    proxy = start("wan1", "wan2")
    for mode in ("socks5h", "connect", "http"):
        out = tmp_path / mode
        curl_by(mode, proxy, "/big.bin", extra=["--output", out]).ok()
        assert sha256(out) == big

    def take(s):
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(65536)
        head, _, body = head.partition(b"\r\n\r\n")
        size = int(next(v for k, _, v in (f.partition(b": ") for f in head.split(b"\r\n")) if k.lower() == b"content-length"))
        while len(body) < size:
            body += s.recv(1 << 20)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + hashlib.sha256(body).hexdigest().encode())

    server = origin(take)
    for flags in (["--socks5"], ["--proxytunnel", "--proxy"], ["--proxy"]):
        args = [*flags, proxy.hostport, "--upload-file", tmp_path / "http", server.url + "/up"]
        assert curl(*args).ok().text == big
    assert not server.errors


def test_curl_with_a_password(start, lab, web):
    proxy = start("wan2", "--auth", "alice:open sesame")
    url = "http://web4.test/whoami"
    for flags in (["--socks5-hostname"], ["--proxy"], ["--proxytunnel", "--proxy"]):
        right = curl(*flags, proxy.hostport, "--proxy-user", "alice:open sesame", url)
        assert right.ok().text.strip() == lab.wan2.addr4
        for wrong in ([], ["--proxy-user", "alice:open"]):
            refused = curl(*flags, proxy.hostport, "--fail", *wrong, url)
            assert refused.code in (22, 56, 97), refused


def test_broken_ipv6_does_not_delay(start, lab, web):
    """The name has both families, and the provider drops one. The other is tried a quarter of a second later."""
    proxy = start("wan2", "--dial-timeout", "60")
    lab.wan2.swallow("ip6")
    for mode in ("socks4a", "socks5h", "connect", "http"):
        result = curl_by(mode, proxy).ok()
        assert result.text.strip() == lab.wan2.addr4 and result.seconds < SOON_S, result


def test_curl_keeps_its_connection_to_the_proxy(start, web):
    proxy = start("wan1")
    urls = ["http://web.test/connection"] * 5
    told = curl("--proxy", proxy.hostport, *urls).ok().text.split()
    assert len(set(told[::2])) == 1, "one connection to the server"
    assert told[1::2] == ["1", "2", "3", "4", "5"]
    assert len(proxy.connections(1)) == 1


def test_wget(start, lab, web, big, tmp_path):
    proxy = start("wan2")
    env = {**os.environ, "http_proxy": f"http://{proxy.hostport}/"}
    run("wget", "-q", "-T", "10", "-t", "1", "-O", tmp_path / "big", "http://web.test/big.bin", env=env).ok()
    assert sha256(tmp_path / "big") == big
    seen = run("wget", "-q", "-T", "10", "-t", "1", "-O", "-", "http://web4.test/whoami", env=env).ok()
    assert seen.text.strip() == lab.wan2.addr4


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_git_clone(start, web, tmp_path, scheme):
    proxy = start("wan1", "wan2")
    content = web.put_repository(f"by-{scheme}")
    setting = f"http.proxy={scheme}://{proxy.hostport}"
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    run("git", "-c", setting, "clone", "-q", f"http://web.test/by-{scheme}.git", tmp_path / "clone", env=env).ok()
    assert (tmp_path / "clone/hello.txt").read_text() == content


@pytest.mark.parametrize("kind", ["socks4", "socks5", "http"])
def test_ncat(start, lab, origin, kind):
    proxy = start("wan2")
    server = origin(lambda s: s.sendall(b"answer to " + read_all(s)))
    pipe = f"printf question | ncat --proxy {proxy.hostport} --proxy-type {kind} {server.address} {server.port}"
    assert run("sh", "-c", pipe).ok().text == "answer to question"
    assert server.peers == [lab.wan2.addr4]


@pytest.mark.parametrize("tunnel", ["get", "tunnel"])
def test_aria2_with_sixteen_connections(start, lab, web, big, tmp_path, tunnel):
    proxy = start("wan1", "wan2", "wan3")
    args = ["--no-conf", "--quiet", "--split=16", "--max-connection-per-server=16", "--min-split-size=1M", "--timeout=10"]
    args += [f"--all-proxy=http://{proxy.hostport}", f"--proxy-method={tunnel}", "--dir", tmp_path, "--out", "big"]
    args += [f"--checksum=sha-256={big}", "--async-dns=false", "--file-allocation=none", "http://web.test/big.bin"]
    before = lab.received()
    run("aria2c", *args).ok()
    assert sha256(tmp_path / "big") == big
    after = lab.received()
    proxy.settled()
    served = Counter(line["uplink"] for line in proxy.connections())
    # Of the bytes, aria2 gives most to the connection that happens to be the fastest; none of the lines is shaped.
    for name in ("wan1", "wan2", "wan3"):
        assert served[name] >= 3 and after[name] - before[name] > 50_000, f"{name} carries its part: {served} {before} {after}"


def test_a_client_of_the_local_network(start, lab, web, origin):
    proxy = start("wan1", "wan2", "--listen", f"{LAN_HOME}:0", port=False)
    assert proxy.address[0] == LAN_HOME
    flags = ["-s", "-S", "--max-time", "10"]
    seen = lab.lan.run("curl", *flags, "--socks5-hostname", proxy.hostport, "http://web4.test/whoami").ok()
    assert lab.uplink_of(seen.text.strip()) in ("wan1", "wan2")
    server = origin(echo)
    with lab.lan.connect(*proxy.address) as s:
        s.sendall(f"CONNECT {server.hostport} HTTP/1.1\r\nHost: {server.hostport}\r\n\r\nearly".encode())
        got = b""
        while b"early" not in got:
            data = s.recv(4096)
            assert data, got
            got += data
    assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"\r\n\r\nearly")
    assert all(line["client"].startswith("192.168.77.2:") for line in proxy.connections(2))


def test_two_proxies_side_by_side(start, lab, web):
    one, two = start("wan1"), start("wan2")
    assert one.port != two.port
    for proxy, uplink in ((one, lab.wan1), (two, lab.wan2)):
        assert curl_by("socks5", proxy).ok().text.strip() == uplink.addr4
    assert curl("--socks5", one.hostport, "--proxy-header", "x: y", f"http://{WEB4}/empty").ok().text == ""
