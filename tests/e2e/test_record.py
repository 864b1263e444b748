"""Recording connections as a trace: its content, its permissions, and that it never disturbs the proxy."""

import json
import os
import stat

from lab.clients import curl_by
from lab.run import run, wait_for
from lab.socks import socks5_connect


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_trace_records_the_connections(start, web, tmp_path):
    path = tmp_path / "trace"
    proxy = start("--record", path, "wan1", "wan2")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    for n, mode in enumerate(["socks5h", "connect", "http"], 1):
        assert curl_by(mode, proxy, host="web4.test").code == 0
        proxy.connections(n)
    wait_for(lambda: len(lines_of(path)) == 4, "the lines are written within seconds")
    header, *rest = lines_of(path)
    assert header == {"steerway_trace": 1}
    assert [line["proto"] for line in rest] == ["socks5", "connect", "http"]
    for line, account in zip(rest, proxy.connections()):
        assert line["client"] == "127.0.0.1" and line["host"] == "web4.test" and line["port"] == 80
        assert (line["tx"], line["rx"], line["uplink"]) == (account["tx"], account["rx"], account["uplink"])
        assert 0 <= line["t"] < 600 and 0 <= line["duration"] < 60 and "user" not in line
    assert rest[0]["t"] < rest[1]["t"] < rest[2]["t"]


def test_it_is_switched_on_and_off_while_it_runs(start, web, tmp_path):
    proxy = start("--auth", "u:p", "wan1")
    assert proxy.tell("record") == "not recording\n"
    assert proxy.tell("record", "on", "trace") == f"recording to {tmp_path}/trace, 0 connections so far\n"
    assert curl_by("socks5h", proxy, host="web4.test", extra=["--proxy-user", "u:p"]).code == 0
    proxy.connections(1)
    assert proxy.ask("record")["recording"] == {"file": f"{tmp_path}/trace", "connections": 1}
    assert proxy.tell("record", "off") == "not recording\n"
    assert curl_by("socks5h", proxy, host="web4.test", extra=["--proxy-user", "u:p"]).code == 0
    proxy.connections(2)
    lines = lines_of(tmp_path / "trace")
    assert len(lines) == 2 and lines[1]["user"] == "u" and ":p" not in (tmp_path / "trace").read_text()


def test_an_existing_file_is_not_overwritten(start, tmp_path):
    (tmp_path / "precious").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    proxy = start("wan1")
    assert "precious: the file exists already; name a new one" in proxy.tell("record", "on", "precious", code=1)
    assert "link" in proxy.tell("record", "on", "link", code=1)
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "precious").read_text() == "x"
    (tmp_path / "empty").touch(0o644)
    assert "empty: the file exists already" in proxy.tell("record", "on", "empty", code=1)
    assert "/dev/null: the file exists already" in proxy.tell("record", "on", "/dev/null", code=1)
    assert "the path is too long" in proxy.tell("record", "on", "x/" * 3000, code=1)
    assert "No such file" in proxy.tell("record", "on", "none/trace", code=1)
    assert "expected on FILE, off, or nothing" in proxy.tell("record", "on", code=2)
    proxy = start("--record", tmp_path / "precious", "wan1", ready=False)
    assert proxy.wait() == 1
    assert "--record" in proxy.log_text() and "name a new one" in proxy.log_text()


def test_a_full_disk_ends_only_the_recording(start, web, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=8k", "none", disk).ok()
    try:
        proxy = start("wan1")
        proxy.ask("record", state="on", file=str(disk / "trace"))
        (disk / "rest").write_bytes(b"x" * 4096)
        for _ in range(60):
            socks5_connect(proxy, "web4.test", 80).close()
        proxy.settled()
        proxy.wait_event("recording_stopped")
        assert curl_by("socks5h", proxy, host="web4.test").code == 0
        assert proxy.ask("record")["recording"] is None
        assert proxy.stop() == 0
    finally:
        run("umount", disk)
