"""The share of each uplink, by the client addresses that servers see and by the interfaces' counters."""

import threading
from collections import Counter
from contextlib import ExitStack

import pytest

from lab.clients import MODES, curl_by
from lab.origin import echo
from lab.proxy import UNRACED
from lab.run import WAIT_S, sh, wait_for
from lab.socks import socks5_connect

N = 100


def by_uplink(lab, sources, n):
    assert len(sources) == n, sources
    return Counter(map(lab.uplink_of, sources))


def requests(lab, proxy, mode, n=N):
    """n requests, one after another, all answered; counts them by uplink, from the address that the server saw."""
    return by_uplink(lab, curl_by(mode, proxy, times=n).ok().text.split(), n)


def settled_requests(lab, proxy, mode, n=N):
    """The same, but each begins after the previous one is logged, so that policies that count open connections see
    none."""
    sources = []
    for done in range(1, n + 1):
        sources += curl_by(mode, proxy, extra=["--header", "Connection: close"]).ok().text.split()
        proxy.connections(done)
    return by_uplink(lab, sources, n)


def assert_counters_agree(before, after, seen):
    """Every request is a connection of at least 5 packets; an uplink without requests sends none."""
    for name in ("wan1", "wan2", "wan3"):
        sent = after[name] - before[name]
        assert sent >= 5 * seen[name], f"{name}: {sent} packets for {seen[name]} requests"
        assert seen[name] or sent == 0, f"{name}: {sent} packets for no request"


@pytest.mark.once
@pytest.mark.parametrize("mode", MODES)
def test_a_hundred_requests_seven_to_three(start, lab, web, mode):
    proxy = start(*UNRACED, "wan1@7", "wan2@3")
    packets, carried = lab.tcp_sent(), lab.received()
    seen = settled_requests(lab, proxy, mode)
    assert seen == {"wan1": 70, "wan2": 30}
    assert_counters_agree(packets, lab.tcp_sent(), seen)
    shares = {name: got - carried[name] for name, got in lab.received().items()}
    assert 1.5 < shares["wan1"] / shares["wan2"] < 4, f"the interfaces received about seven to three: {shares}"
    assert Counter(line["uplink"] for line in proxy.connections(N)) == seen, "the log says the same"


@pytest.mark.once
def test_round_robin_is_exact(start, lab, web):
    proxy = start(*UNRACED, "--policy", "round_robin", "wan1@7", "wan2@2", "wan3")
    packets = lab.tcp_sent()
    seen = requests(lab, proxy, "socks5")
    assert seen == {"wan1": 70, "wan2": 20, "wan3": 10}
    assert_counters_agree(packets, lab.tcp_sent(), seen)
    assert {line["reason"] for line in proxy.connections(N)} == {"its turn"}


@pytest.mark.once
def test_random_follows_the_weights(start, lab, web):
    proxy = start("--policy", "random", "wan1/1", "wan2/1")
    seen = requests(lab, proxy, "socks5")
    assert 25 <= seen["wan1"] <= 75, seen  # five standard deviations


def test_addresses_as_uplinks(start, lab, web):
    """Usual for users of the program dispatch: `start 10.0.0.1@7 10.0.0.2@3`, with routing rules that lead each
    address to its line."""
    for u in (lab.wan1, lab.wan2):
        sh(f"ip rule add from {u.addr4} table {100 + u.number}")
        sh(f"ip route replace default via {u.gateway4} dev {u.name} table {100 + u.number}")
    try:
        proxy = start(*UNRACED, f"{lab.wan1.addr4}@7", f"{lab.wan2.addr4}@3")
        packets = lab.tcp_sent()
        seen = settled_requests(lab, proxy, "socks5")
        assert seen == {"wan1": 70, "wan2": 30}
        assert_counters_agree(packets, lab.tcp_sent(), seen)
        names = {line["uplink"] for line in proxy.connections(N)}
        assert names == {lab.wan1.addr4, lab.wan2.addr4}
        assert not [line for line in proxy.log() if line["level"] == "warn"], "rules lead them as promised"
    finally:
        for u in (lab.wan1, lab.wan2):
            sh(f"ip rule del from {u.addr4} table {100 + u.number}")


def test_least_connections_counts_open_connections(start, lab, origin):
    """Open connections fill the uplinks in proportion to weight; a closed one is replaced on its uplink."""
    proxy = start(*UNRACED, "--policy", "least_connections", "wan1@2", "wan2@1")
    server = origin(echo)
    with ExitStack() as held:

        def hold():
            held_one = socks5_connect(proxy, server.address, server.port)
            held.callback(held_one.close)
            name = lab.uplink_of(held_one.source)
            return held_one, name

        first = [hold() for _ in range(9)]
        assert Counter(name for _, name in first) == {"wan1": 6, "wan2": 3}
        for one, name in first:
            if name == "wan2":
                one.close()
        proxy.connections(3)
        assert Counter(hold()[1] for _ in range(3)) == {"wan2": 3}, "the idle uplink comes first"


def config_with_tiers(tmp_path):
    path = tmp_path / "tiers.lua"
    path.write_text(
        """
        return {
          policy = "failover",
          uplinks = {
            { interface = "wan2", tier = 1 },
            { interface = "wan1", tier = 2 },
          },
        }
        """
    )
    return path


def test_failover_uses_the_backup_only_after_a_failure(start, lab, web, tmp_path):
    proxy = start("--config", config_with_tiers(tmp_path))
    packets = lab.tcp_sent()
    assert requests(lab, proxy, "http", 10) == {"wan2": 10}
    assert lab.tcp_sent()["wan1"] == packets["wan1"], "the backup stays idle"
    lab.wan2.down()
    assert requests(lab, proxy, "http", 10) == {"wan1": 10}
    lab.wan2.restore()

    def back():
        return requests(lab, proxy, "socks4", 1) == {"wan2": 1}

    wait_for(back, "the first tier is used again")


@pytest.mark.parametrize("break_it", ["down", "lose_carrier", "swallow", "lose_addresses", "remove"])
def test_killing_an_uplink_loses_no_new_request(start, lab, web, break_it):
    """A hundred requests, one after another; wan2 breaks after half of them."""
    proxy = start("wan1@1", "wan2@1", "--dial-timeout", "4")
    seen = sum((requests(lab, proxy, mode, 5) for mode in MODES), Counter())
    assert seen["wan2"] >= 10, seen
    getattr(lab.wan2, break_it)()
    n = 2 if break_it == "swallow" else 12  # each request that tries wan2 first waits for its timeout
    after = sum((requests(lab, proxy, mode, n) for mode in MODES), Counter())
    assert set(after) == {"wan1"}, after
    lab.wan2.restore()

    def used_again():
        return requests(lab, proxy, "socks5", 1)["wan2"] == 1

    wait_for(used_again, "wan2 is used again")


def test_killing_an_uplink_under_parallel_requests(start, lab, web):
    """Requests that begin after the break succeed; those that were open on the broken line may fail."""
    proxy = start("wan1@1", "wan2@1", "--dial-timeout", "4")
    broken = threading.Event()
    failures, done = [], Counter()

    def ask(mode):
        for _ in range(25):
            began_after = broken.is_set()
            result = curl_by(mode, proxy, extra=["--max-time", str(WAIT_S)])
            if result.code == 0:
                done[lab.uplink_of(result.text.strip())] += 1
            elif began_after:
                failures.append(str(result))

    threads = [threading.Thread(target=ask, args=(mode,)) for mode in ("socks4a", "socks5h", "connect", "http")]
    for thread in threads:
        thread.start()
    wait_for(lambda: done.total() >= 20, "a fifth is done")
    lab.wan2.down()
    broken.set()
    for thread in threads:
        thread.join(4 * WAIT_S)
    assert not failures, failures[0]
    assert done.total() >= N - 4 and done["wan1"] > done["wan2"], done


def test_all_uplinks_but_one_are_dead(start, lab, web):
    """No request fails while one uplink is left."""
    proxy = start("wan1@5", "wan2@5", "wan3@1", "--dial-timeout", "4")
    lab.wan1.lose_addresses()
    lab.wan2.down()
    assert requests(lab, proxy, "socks5", 10) == {"wan3": 10}
