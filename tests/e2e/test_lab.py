"""The laboratory itself: an uplink carries what is bound to it and nothing else, and can be broken in each way."""

import pytest

from lab.run import WAIT_S, run, wait_for
from lab.topology import HOLE4, NAMES4, NOWHERE4, OPEN4, OPEN6, WEB4, WEB6
from lab.origin import Origin, echo

pytestmark = pytest.mark.once


def whoami(*curl):
    return run("curl", "-s", "-S", "-m", "5", *curl)


def test_unbound_traffic_leaves_by_the_first_uplink(lab, web):
    before, sent = lab.tcp_sent(), lab.sent()
    assert whoami(f"http://{WEB4}/whoami").ok().text.strip() == lab.wan1.addr4
    assert whoami(f"http://[{WEB6}]/whoami").ok().text.strip() == lab.wan1.addr6
    after = lab.tcp_sent()
    assert after["wan1"] >= before["wan1"] + 10
    assert lab.sent()["wan1"] > sent["wan1"] + 800
    assert (after["wan2"], after["wan3"]) == (before["wan2"], before["wan3"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_uplink_carries_what_is_bound_to_its_device(lab, web, number):
    uplink = lab.uplinks[number - 1]
    before = uplink.bytes()
    for url, address in ((f"http://{WEB4}/whoami", uplink.addr4), (f"http://[{WEB6}]/whoami", uplink.addr6)):
        assert whoami("--interface", f"if!{uplink.name}", url).ok().text.strip() == address
    assert uplink.bytes()[0] > before[0] + 400
    assert uplink.bytes()[1] > before[1] + 400


@pytest.mark.parametrize("break_it", ["down", "lose_carrier", "swallow", "lose_addresses", "remove"])
def test_an_uplink_breaks_and_is_restored(lab, web, break_it):
    curl = ("--interface", "if!wan2", "-m", "1", f"http://{WEB4}/whoami")
    getattr(lab.wan2, break_it)()
    assert whoami(*curl).code != 0
    assert whoami(f"http://{WEB4}/whoami").ok().text.strip() == lab.wan1.addr4
    lab.wan2.restore()
    wait_for(lambda: whoami(*curl).code == 0, "wan2 carries again")
    assert whoami("--interface", "if!wan2", f"http://[{WEB6}]/whoami").ok().text.strip() == lab.wan2.addr6


def test_destinations_that_drop_or_reject_packets(lab):
    hole = whoami("-m", "1", f"http://{HOLE4}/")
    assert hole.code == 28, hole  # no answer
    nowhere = whoami(f"http://{NOWHERE4}/")
    assert nowhere.code == 7, nowhere  # rejected
    refused = whoami(f"http://{OPEN4}:9/")
    assert refused.code == 7, refused


def test_a_server_opened_by_a_test_lives_on_the_internet(lab, origin):
    server = origin(echo)
    with lab.home.connect(server.address, server.port) as s:
        s.sendall(b"ping")
        assert s.recv(10) == b"ping"
    assert server.peers == [lab.wan1.addr4]
    assert isinstance(server, Origin)


@pytest.mark.parametrize("address", [OPEN4, OPEN6])
def test_late_packets_of_an_earlier_test_do_not_count(lab, origin, address):
    server = origin(echo, address=address)

    def exchange(s):
        s.sendall(b"ping")
        assert s.recv(10) == b"ping"

    with lab.home.connect(server.address, server.port) as early:
        exchange(early)
        lab.count_anew()
        before = lab.tcp_sent()
        exchange(early)
        with lab.home.connect(server.address, server.port) as own:
            exchange(own)
            # Its SYN, the ACK of the handshake, and one with data; an ACK of the answer may be delayed.
            assert 3 <= lab.tcp_sent()["wan1"] - before["wan1"] <= 4


def test_late_questions_of_an_earlier_test_are_forgotten(lab, names):
    late = b"\0\0\1\0\0\1\0\0\0\0\0\0\4late\4test\0\0\1\0\1"
    with lab.home.datagrams("0.0.0.0", 0) as s:
        s.settimeout(WAIT_S)
        for _ in range(100):
            s.sendto(late, (NAMES4, 53))
        names.forget()
        for _ in range(100):
            s.recv(512)
    assert names.asked == []


def test_names_are_answered(lab, names):
    with lab.home.datagrams("0.0.0.0", 0) as s:
        s.settimeout(WAIT_S)
        question = b"\x03web\x04test\x00\x00\x01\x00\x01"
        s.sendto(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question, ("198.51.100.53", 53))
        reply = s.recv(512)
    assert reply[:2] == b"\x12\x34" and reply[-4:] == bytes([198, 51, 100, 10])
    assert names.asked == [("web.test", 1, lab.wan1.addr4)]
