"""Late, partial and missing answers: one family does not delay the other, nor one server the next."""

import os
import socket
import struct
import subprocess
import time

import pytest

from lab.names import AAAA, NXDOMAIN, SERVFAIL, SILENCE, NameServer, with_files
from lab.origin import echo, read_all, read_exactly
from lab.run import SOON_S, at_once, wait_for
from lab.socks import socks5_code, socks5_connect
from lab.topology import HOLE4, NAMES4, NAMES6, OPEN4, OPEN6


def took(proxy, name, port):
    began = time.monotonic()
    socks5_connect(proxy, name, port).close()
    return time.monotonic() - began


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.pid}/fd"))


def by_kind(names, **answers):
    """Answers for A and AAAA separately: addresses, a code, SILENCE, or (seconds, addresses)."""
    plain = names._answer

    def answer(packet, client):
        kind = struct.unpack_from(">H", packet, len(packet) - 4)[0]
        what = answers["aaaa" if kind == AAAA else "a"]
        if isinstance(what, tuple):
            time.sleep(what[0])
            what = what[1]
        before = names.zone
        names.zone = {name: what for name in names.wanted}
        try:
            return plain(packet, client)
        finally:
            names.zone = before

    names.wanted = {f"n{k}.test" for k in range(30)}
    names._answer = answer
    return lambda: setattr(names, "_answer", plain)


@pytest.fixture
def answers(names):
    undo = []

    def set_answers(**kinds):
        while undo:
            undo.pop()()
        undo.append(by_kind(names, **kinds))

    yield set_answers
    while undo:
        undo.pop()()


@pytest.mark.parametrize("dns", [NAMES4, f"{NAMES4},{NAMES6}"])
@pytest.mark.parametrize("other", [SILENCE, SERVFAIL, 5, NXDOMAIN])
@pytest.mark.parametrize("silent", ["a", "aaaa"])
def test_the_family_with_an_answer_is_used(start, lab, origin, only, answers, dns, other, silent):
    server4, server6 = origin(echo), origin(echo, address=OPEN6)
    answers(a=other if silent == "a" else [OPEN4], aaaa=other if silent == "aaaa" else [OPEN6])
    proxy = start("--policy", only("wan1"), "wan1", "wan2", dns=dns)
    server = server4 if silent == "aaaa" else server6
    times = [took(proxy, f"n{k}.test", server.port) for k in range(4)]
    assert sum(times) < SOON_S, times
    assert not proxy.events("uplink_names_silent")


def test_a_late_family_joins_the_dial(start, lab, origin, only, answers):
    """The first addresses cannot be reached."""
    server = origin(echo, address=OPEN6)
    answers(a=[HOLE4], aaaa=(0.15, [OPEN6]))
    proxy = start("--policy", only("wan1"), "wan1", dns=NAMES4)
    assert took(proxy, "n1.test", server.port) < SOON_S


BACKUP = """return { policy = "failover", uplinks = { "wan1", { interface = "wan2", tier = 2, tags = { "metered" } } } }"""


@pytest.mark.parametrize("order", ["first", pytest.param("last", marks=pytest.mark.once), "alone"])
def test_a_line_with_one_silent_family_is_not_left_for_an_expensive_one(start, lab, origin, config, answers, order):
    """Also when that family's addresses come first. A destination with only that family uses the backup at once."""
    server4, server6 = origin(echo), origin(echo, address=OPEN6)
    proxy = start("--config", config(BACKUP), "--dial-timeout", "4", dns=NAMES4)
    assert socks5_code(proxy, OPEN4, server4.port) == 0
    lab.wan1.swallow("ip6")
    assert at_once(socks5_code, [(proxy, OPEN6, server6.port)] * 3) == [0] * 3
    wait_for(lambda: proxy.ask("uplinks")["uplinks"][0]["families"]["ipv6"] == "suspect", "its IPv6 is a suspect")
    begun, before = lab.tcp_begun()["wan2"], len(proxy.connections(4))
    a, aaaa = {"first": ((0.1, [OPEN4]), [OPEN6]), "last": ([OPEN4], (0.1, [OPEN6])), "alone": ((0.1, []), [OPEN6])}[order]
    answers(a=a, aaaa=aaaa)
    for k in range(6):
        assert socks5_code(proxy, f"n{k}.test", (server6 if order == "alone" else server4).port) == 0
    lines = proxy.connections(before + 6)[before:]
    if order == "alone":
        assert {line["uplink"] for line in lines} == {"wan2"}
        assert "won" in {line.get("hedge") for line in lines}, "not only once the first has had its time"
    else:
        assert {(line["uplink"], line.get("attempts")) for line in lines} == {("wan1", None)}
        assert lab.tcp_begun()["wan2"] == begun, "not a packet"


def test_a_refusal_does_not_wait_for_the_silent_family(start, lab, only, answers):
    answers(a=[OPEN4], aaaa=SILENCE)
    proxy = start("--policy", only("wan1"), "--dial-timeout", "60", "wan1", dns=NAMES4)
    began = time.monotonic()
    assert socks5_code(proxy, "n1.test", 1) == 5
    assert time.monotonic() - began < SOON_S


def test_a_denial_does_not_wait_for_the_silent_family(start, lab, only, answers):
    answers(a=[OPEN4], aaaa=SILENCE)
    proxy = start("--policy", only("wan1"), "--dial-timeout", "60", "--deny", OPEN4, "wan1", dns=NAMES4)
    began = time.monotonic()
    assert socks5_code(proxy, "n1.test", 80) == 2
    assert time.monotonic() - began < SOON_S


def test_a_silent_family_does_not_blame_the_name_servers(start, lab, answers):
    """One family's addresses cannot be reached while the other is pending: the destination is at fault."""
    answers(a=[HOLE4], aaaa=SILENCE)
    proxy = start("--dial-timeout", "2", "wan1", "wan2", dns=NAMES4)
    for k in range(2):
        assert socks5_code(proxy, f"n{k}.test", 80) != 0
    assert [line["outcome"] for line in proxy.connections(2)] == ["timeout"] * 2
    assert not proxy.events("uplink_names_silent")


def upstream_talk(s):
    """A SOCKS5 proxy that accepts every request and sends nothing more."""
    read_exactly(s, 3)
    s.sendall(b"\x05\x00")
    s.recv(512)
    s.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
    read_all(s)


def test_a_late_family_joins_the_dial_to_an_upstream(start, lab, origin, answers):
    far = origin(upstream_talk, address=OPEN6)
    answers(a=[HOLE4], aaaa=(0.15, [OPEN6]))
    proxy = start(f"socks5://n1.test:{far.port}", dns=NAMES4)
    assert took(proxy, OPEN4, 80) < SOON_S


def test_a_late_denied_address_is_not_used(start, lab, origin, only, answers):
    """Late addresses are checked like the first: a name on the internet must not lead to this machine."""
    listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    answers(a=[HOLE4], aaaa=(0.15, ["::1"]))
    proxy = start("--policy", only("wan1"), "--dial-timeout", "1", "wan1", dns=NAMES4)
    with pytest.raises((OSError, AssertionError)):
        socks5_connect(proxy, "n1.test", listening.getsockname()[1])
    listening.settimeout(0.1)
    with pytest.raises(TimeoutError):
        listening.accept()
    listening.close()


def test_each_line_finds_the_name_server_that_answers_it(start, lab, origin):
    """Two providers' servers, each only for its own customers."""
    server = origin(echo)
    opened = []
    for line, address in ((lab.wan1, NAMES4), (lab.wan2, OPEN4)):
        names = NameServer(lab.internet, [address], port=5353)
        plain = names._answer
        names._answer = lambda packet, client, line=line, plain=plain: plain(packet, client) if client == line.addr4 else None
        names.zone = {f"n{k}.test": [OPEN4] for k in range(40)}
        opened.append(names)
    dns = f"{NAMES4}:5353,{OPEN4}:5353"
    try:
        proxy = start("--policy", "round_robin", "wan1", "wan2", dns=dns)
        for k in range(20):
            socks5_connect(proxy, f"n{k}.test", server.port).close()
        stray = [client for line, names in zip((lab.wan1, lab.wan2), opened) for _, _, client in names.asked if client != line.addr4]
        assert len(stray) <= 20, "of forty questions few go to the server that answers only the other line"
        count = {line["uplink"]: 0 for line in proxy.connections(20)}
        for line in proxy.connections(20):
            count[line["uplink"]] += 1
        assert min(count.values()) >= 8 and len(count) == 2, count
    finally:
        for names in opened:
            names.close()


def test_a_question_is_abandoned_with_its_client(start, lab, names, only):
    names.zone["slow.test"] = SILENCE
    proxy = start("--policy", only("wan1"), "wan1", dns=NAMES4)
    fds = descriptors(proxy)
    clients = []
    for k in range(20):
        names.zone[f"s{k}.test"] = SILENCE
        s = socket.create_connection(("127.0.0.1", proxy.port))
        host = f"s{k}.test".encode()
        s.sendall(b"\x05\x01\x00" + b"\x05\x01\x00\x03" + bytes([len(host)]) + host + b"\x00\x50")
        clients.append(s)
    wait_for(lambda: len({name for name, _, _ in names.asked}) == 20, "all are asked for")
    assert descriptors(proxy) >= fds + 60
    for s in clients:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    wait_for(lambda: descriptors(proxy) <= fds, "their sockets are closed")


def test_one_client_cannot_ask_for_all_names_at_once(start, lab, names, origin, only):
    """Its names wait for their turn; another client's names do not."""
    server = origin(echo)
    for k in range(400):
        names.zone[f"s{k}.test"] = SILENCE
    proxy = start("--policy", only("wan1"), "--host", "127.0.0.1", "wan1", dns=NAMES4)
    clients = []
    for k in range(400):
        s = socket.create_connection(("127.0.0.1", proxy.port), source_address=("127.0.0.9", 0))
        host = f"s{k}.test".encode()
        s.sendall(b"\x05\x01\x00" + b"\x05\x01\x00\x03" + bytes([len(host)]) + host + b"\x00\x50")
        clients.append(s)
    wait_for(lambda: len({name for name, _, _ in names.asked}) == 256, "as many as may be are asked for")
    assert took(proxy, "open.test", server.port) < SOON_S
    assert len({name for name, _, _ in names.asked} - {"open.test"}) == 256
    for s in clients:
        s.close()
    took(proxy, "open.test", server.port)


NSS_MODULE = r"""
#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <arpa/inet.h>
#include <string.h>
enum nss_status _nss_labtest_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer, size_t len,
                                              int *err, int *herr, int *ttl)
{
    if (strcmp(name, "fileserver") != 0 && strcmp(name, "printer.local") != 0) {
        *herr = HOST_NOT_FOUND;
        return NSS_STATUS_NOTFOUND;
    }
    struct gaih_addrtuple *t = *pat ? *pat : (struct gaih_addrtuple *)buffer;
    memset(t, 0, sizeof *t);
    t->name = strcpy(buffer + sizeof *t, name);
    t->family = AF_INET;
    t->addr[0] = htonl(0x0a000101); /* 10.0.1.1 */
    *pat = t;
    (void)len, (void)err, (void)ttl;
    return NSS_STATUS_SUCCESS;
}
"""


@pytest.fixture(scope="module")
def nss_folder(tmp_path_factory):
    """A module for nsswitch.conf, as winbind and mDNS bring one."""
    folder = tmp_path_factory.mktemp("nss")
    (folder / "labtest.c").write_text(NSS_MODULE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "libnss_labtest.so.2", folder / "labtest.c"], check=True)
    (folder / "nsswitch.conf").write_text("hosts: labtest\n")
    return folder


@pytest.mark.parametrize("resolv", [f"nameserver {NAMES4}\\n", "# none\\n"])
@pytest.mark.parametrize("name", ["fileserver", "printer.local"])
def test_names_that_only_the_system_knows_are_found(start, lab, names, origin, only, nss_folder, name, resolv):
    with lab.wan1.isp.listen(lab.wan1.gateway4) as listening:
        files = with_files({}, resolv)
        files[5] = files[5].replace('exec "$@"', f'mount --bind {nss_folder}/nsswitch.conf /etc/nsswitch.conf; exec "$@"')
        proxy = start("--policy", only("wan2"), "wan2", dns=None,
                      prefix=["env", f"LD_LIBRARY_PATH={nss_folder}", *files])
        with socks5_connect(proxy, name, listening.getsockname()[1]):
            listening.accept()[0].close()
        assert proxy.connections(1)[0]["uplink"] == "direct"


@pytest.mark.parametrize("late", [(0.15, [OPEN4]), SILENCE, [], (0.15, [OPEN4, HOLE4])])
def test_late_addresses_are_used_when_the_first_are_denied(start, lab, origin, only, answers, late):
    server = origin(echo)
    answers(aaaa=[OPEN6], a=late)
    denied = ["2001:db8::/32"] + ([OPEN4, HOLE4] if HOLE4 in str(late) else [])
    proxy = start("--policy", only("wan1"), "--dial-timeout", "4", "--deny", ",".join(denied), "wan1", dns=NAMES4)
    if late == (0.15, [OPEN4]):
        assert took(proxy, "n1.test", server.port) < SOON_S
        return
    began = time.monotonic()
    code = socks5_code(proxy, "n1.test", server.port)
    assert time.monotonic() - began < SOON_S
    # Without an answer, the proxy cannot know that the name has no other address.
    assert code in (2, 4, 6) if late == SILENCE else code == 2, code
    assert "deny" in proxy.connections(1)[0]["reason"]


def test_an_upstream_is_reached_by_the_late_address_that_is_not_this_proxy(start, lab, origin, answers):
    far = origin(upstream_talk, address=OPEN4)
    answers(aaaa=[lab.wan1.addr6], a=(0.15, [OPEN4]))
    proxy = start("--listen", f"*:{far.port}", f"socks5://n1.test:{far.port}", dns=NAMES4, port=False)
    assert took(proxy, OPEN4, 80) < SOON_S
