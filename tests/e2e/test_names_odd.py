"""Unusual spellings of names, and unusual answers of servers."""

import pytest

from lab.names import NXDOMAIN, with_files
from lab.origin import echo
from lab.socks import socks5_code, socks5_connect
from lab.topology import NAMES4, OPEN4


def askers(names, name):
    return {client for asked, _, client in names.asked if asked == name}


@pytest.mark.parametrize("wanted, known", [
    ("open.test", "open.test"),
    ("OPEN.Test", "open.test"),
    ("open.test.", "open.test"),
    ("my_host._tcp.test", "my_host._tcp.test"),
    ("a" * 63 + ".test", "a" * 63 + ".test"),
    (".".join(["a" * 49] * 5), ".".join(["a" * 49] * 5)),
    ("xn--bcher-kva.test", "xn--bcher-kva.test"),
    ("1.2.3.4.test", "1.2.3.4.test"),
])
def test_a_name_is_found_however_it_is_written(start, names, origin, only, wanted, known):
    server = origin(echo)
    names.zone[known] = [OPEN4]
    proxy = start("--policy", only("wan1"), "wan1", dns=NAMES4)
    socks5_connect(proxy, wanted, server.port).close()
    assert {name for name, _, _ in names.asked} == {known}


@pytest.mark.parametrize("wanted", ["a" * 64 + ".test", "a..test", ".test", "test..", "a b.test", "a\\.test", "."])
def test_invalid_names_are_refused_without_a_question(start, names, only, wanted):
    proxy = start("--policy", only("wan1"), "wan1", dns=NAMES4)
    assert socks5_code(proxy, wanted, 80) != 0
    assert not names.asked


def in_capitals(plain):
    """Some servers change the case of letters in the question."""

    def answer(packet, client):
        reply = bytearray(plain(packet, client))
        for at in range(12, len(packet) - 5):
            if ord("a") <= reply[at] <= ord("z"):
                reply[at] -= 32
        return bytes(reply)

    return answer


def test_an_answer_with_other_case_counts(start, names, origin, only):
    server = origin(echo)
    names._answer = in_capitals(names._answer)
    try:
        proxy = start("--policy", only("wan1"), "wan1", dns=NAMES4)
        socks5_connect(proxy, "open.test", server.port).close()
    finally:
        del names._answer


@pytest.mark.parametrize("search, wanted, found", [
    ("search lan", "nas", "nas.lan"),
    ("search corp.test lan", "nas", "nas.lan"),
    ("domain lan", "nas", "nas.lan"),
    ("search lan", "NAS", "nas.lan"),
    ("# none", "nas", None),
])
def test_a_single_label_is_looked_up_by_the_search_list(start, lab, names, origin, only, search, wanted, found):
    """As in a browser without a proxy, whatever uplink is chosen then."""
    server = origin(echo)
    names.zone["nas.lan"] = [OPEN4]
    proxy = start("--policy", only("wan2"), "wan1", "wan2", dns=None,
                  prefix=with_files({}, f"{search}\\nnameserver {NAMES4}\\n"))
    if not found:
        assert socks5_code(proxy, wanted, server.port) != 0
        assert not askers(names, "nas.lan")
        return
    socks5_connect(proxy, wanted, server.port).close()
    assert askers(names, found) == {lab.wan1.addr4}  # the line of the default route
    assert proxy.connections(1)[0]["uplink"] == "wan2"


def test_a_name_with_dots_is_not_looked_up_by_the_search_list(start, names, only):
    names.zone.update({"www.test": NXDOMAIN, "www.test.lan": [OPEN4]})
    proxy = start("--policy", only("wan1"), "wan1", dns=None, prefix=with_files({}, f"search lan\\nnameserver {NAMES4}\\n"))
    assert socks5_code(proxy, "www.test", 80) != 0
    assert not askers(names, "www.test.lan")
