"""Discovery of links: the list, the uplinks of a start without any, and the warning about a line without a route."""

import json

import pytest

from lab.clients import curl_by
from lab.http import HttpOrigin, response
from lab.netns import wait_for_carrier
from lab.proxy import BINARY, ROOT, UNRACED
from lab.run import SOON_S, run, sh, wait_for
from lab.topology import OPEN4


def listed():
    """The output of `steerway list --json`, by link."""
    links = json.loads(run(BINARY, "list", "--json").ok().text)["links"]
    return {link["interface"]: link for link in links}


@pytest.fixture
def bridge(lab):
    """A bridge with a member, as virtual machines and containers make."""
    if run("ip", "link", "add", "br0", "type", "bridge").code != 0:
        pytest.skip("this kernel has no bridges")
    sh("ip link add port0 type veth peer name guest0")
    sh("ip link set port0 master br0")
    for link in ("br0", "port0", "guest0"):
        sh(f"ip link set {link} up")
    sh("ip address add 172.17.0.1/16 dev br0")
    wait_for_carrier("br0", "port0", "guest0")
    yield
    sh("ip link delete port0")
    sh("ip link delete br0")


def test_the_list_describes_each_link(lab, bridge):
    links = listed()
    for uplink in lab.uplinks:
        link = links[uplink.name]
        assert (link["state"], link["kind"], link["used"]) == ("up", "veth", True), link
        assert link["ipv4"] == [f"{uplink.addr4}/24"]
        assert f"{uplink.addr6}/64" in link["ipv6"]
        assert (link["default4"], link["default6"]) == (True, True)
        assert (link["gateway4"], link["gateway6"]) == (uplink.gateway4, uplink.gateway6)
        assert link.get("objection") is None
    objections = {name: link["objection"] for name, link in links.items() if not link["used"]}
    assert objections == {
        "lo": "loopback",
        "lan0": "container",
        "br0": "bridge",
        "port0": "member of a bridge or bond",
        "guest0": "container",
    }
    assert links["lo"]["kind"] == "loopback"
    assert links["br0"]["ipv4"] == ["172.17.0.1/16"]


def test_the_list_follows_the_state(lab):
    lab.wan2.down()
    lab.wan3.lose_carrier()
    wait_for(lambda: listed()["wan3"]["state"] != "up", "the kernel itself takes up to a second")
    links = listed()
    assert (links["wan2"]["state"], links["wan2"]["objection"]) == ("down", "down")
    assert (links["wan3"]["state"], links["wan3"]["objection"]) == ("no carrier", "no carrier")
    lab.wan2.restore()
    lab.wan3.restore()
    lab.wan2.lose_addresses()
    sh("ip route del default dev wan3 metric 300")
    sh("ip -6 route del default dev wan3 metric 300")
    lab.wan3.broken = True
    links = listed()
    assert links["wan2"]["objection"] in ("no address", "container", "no default route")
    assert links["wan3"]["objection"] == "container", "a veth without a way out is one"


def test_the_list_for_people(lab):
    text = run(BINARY, "list").ok().text
    heading, *rows = text.splitlines()
    assert heading.split()[0] == "INTERFACE"
    row = next(r for r in rows if r.startswith("wan1"))
    assert "up" in row and "10.0.1.2/24" in row and "10.0.1.1" in row and row.rstrip().endswith("yes")
    assert next(r for r in rows if r.startswith("lo ")).rstrip().endswith("no: loopback")


def test_a_start_without_uplinks_uses_every_line(start, lab, web, bridge):
    proxy = start()
    uplinks = {line["uplink"]: line for line in proxy.events("uplink")}
    assert set(uplinks) == {"wan1", "wan2", "wan3"}
    assert {line["state"] for line in uplinks.values()} == {"up"}
    before = lab.tcp_sent()
    seen = {lab.uplink_of(curl_by("socks5", proxy).ok().text.strip()) for _ in range(6)}
    assert seen == {"wan1", "wan2", "wan3"}
    assert all(count > before[name] for name, count in lab.tcp_sent().items())


def uplinks_of(proxy):
    return [u["name"] for u in proxy.ask("uplinks")["uplinks"]]


def seen_in(n, proxy):
    """The local addresses of n connections."""
    return {curl_by("socks5h", proxy, host="web4.test").ok().text.strip() for _ in range(n)}


def test_a_link_that_comes_later_is_used_as_well(start, lab, web, names):
    lab.wan3.remove()
    proxy = start("--policy", "round_robin")
    first = uplinks_of(proxy)
    assert sorted(first) == ["wan1", "wan2"]
    lab.wan3.restore()
    wait_for(lambda: uplinks_of(proxy) == [*first, "wan3"], "it is taken up", SOON_S)
    assert [line["uplink"] for line in proxy.events("uplink_added")] == ["wan3"]
    assert seen_in(6, proxy) == {u.addr4 for u in lab.uplinks}
    assert lab.wan3.addr4 in {client for _, _, client in names.asked}, "names are asked for by it"
    assert get_status(proxy, "wan3")["total"] >= 2
    # It goes and comes back as the same uplink.
    lab.wan3.remove()
    wait_for(lambda: proxy.events("uplink_down", uplink="wan3"), "it is gone", SOON_S)
    assert seen_in(4, proxy) == {lab.wan1.addr4, lab.wan2.addr4}
    lab.wan3.restore()
    wait_for(lambda: proxy.events("uplink_up", uplink="wan3"), "it is back", SOON_S)
    assert seen_in(6, proxy) == {u.addr4 for u in lab.uplinks}
    assert uplinks_of(proxy) == [*first, "wan3"]
    proxy.reload()
    proxy.wait_event("policy_reloaded")
    assert seen_in(6, proxy) == {u.addr4 for u in lab.uplinks}


def get_status(proxy, name):
    return next(u for u in proxy.ask("uplinks")["uplinks"] if u["name"] == name)


POLICIES = sorted(p.stem for p in (ROOT / "policies").glob("*.lua"))


@pytest.mark.parametrize("policy", [POLICIES[0], *(pytest.param(name, marks=pytest.mark.once) for name in POLICIES[1:])])
def test_each_policy_takes_what_comes_later(start, lab, web, policy):
    lab.wan3.remove()
    proxy = start("--policy", policy)
    curl_by("socks5h", proxy, host="web4.test").ok()
    lab.wan3.restore()
    wait_for(lambda: "wan3" in uplinks_of(proxy), "it is taken up", SOON_S)
    lab.wan1.down()
    lab.wan2.down()
    wait_for(lambda: len(proxy.events("uplink_down")) == 2, "the others are down", SOON_S)
    assert seen_in(3, proxy) == {lab.wan3.addr4}
    assert not [line for line in proxy.log() if line["level"] == "error" or "policy" in line["event"] and line["level"] == "warn"]


def test_a_link_that_comes_later_is_checked(start, lab, origin, names):
    server = HttpOrigin(origin, lambda *_: response(204, phrase="No Content"))
    lab.wan3.remove()
    start("--check-interval", "1", check=f"http://{OPEN4}:{server.port}/")
    lab.wan3.restore()
    wait_for(lambda: lab.wan3.addr4 in server.peers, "it is checked")


def test_with_named_uplinks_no_others_are_added(start, lab, web):
    lab.wan3.remove()
    proxy = start("wan1", "wan2")
    lab.wan3.restore()
    sh("ip address add 192.168.99.1/32 dev lan0")  # another change, whose event comes after the first one's
    wait_for(lambda: proxy.events("networks_changed"), "changes are heard of", SOON_S)
    try:
        assert uplinks_of(proxy) == ["wan1", "wan2"]
    finally:
        sh("ip address delete 192.168.99.1/32 dev lan0")


def test_a_bridge_that_takes_over_the_line(start, lab, web):
    if run("ip", "link", "add", "br9", "type", "bridge").code != 0:
        pytest.skip("this kernel has no bridges")
    lab.wan2.broken = True
    proxy = start(*UNRACED, "--policy", "round_robin")
    try:
        sh("ip address flush dev wan2 scope global")
        sh("ip link set wan2 master br9")
        sh("ip link set br9 up")
        sh(f"ip address add {lab.wan2.addr4}/24 dev br9")
        sh(f"ip route add default via {lab.wan2.gateway4} dev br9 metric 200")
        wait_for(lambda: "br9" in uplinks_of(proxy), "it is taken up", SOON_S)
        assert listed()["br9"]["used"] is True
        assert seen_in(6, proxy) == {u.addr4 for u in lab.uplinks}
        assert get_status(proxy, "br9")["total"] == 2 and get_status(proxy, "wan2")["state"] == "down"
    finally:
        run("ip", "link", "delete", "br9")


def test_a_start_before_any_link_is_there(start, lab, web):
    for uplink in lab.uplinks:
        uplink.down()
    proxy = start()
    assert "wan1 (down)" in proxy.events("waiting_for_link")[0]["why"]
    assert curl_by("socks5", proxy).code != 0
    for uplink in lab.uplinks[:2]:
        uplink.restore()
    wait_for(lambda: sorted(uplinks_of(proxy)) == ["wan1", "wan2"], "they are taken up", SOON_S)
    assert seen_in(4, proxy) <= {lab.wan1.addr4, lab.wan2.addr4}


def test_the_banner(start, lab):
    proxy = start("wan1@7", "wan2/3", text=True)
    lines = proxy.banner.splitlines()
    assert lines[0].startswith("Steerway ") and "least_connections" in lines[0]
    assert [line.split()[-1] for line in lines if "listening on" in line] == [f"127.0.0.1:{proxy.port}", f"[::1]:{proxy.port}"]
    uplinks = [line.split() for line in lines if line.startswith("  uplink ")]
    assert [(u[1], u[3]) for u in uplinks] == [("wan1", "7"), ("wan2", "3")]
    assert lab.wan1.addr4 in uplinks[0][4] and lab.wan1.addr6 in uplinks[0][5]
    assert "curl -x" in proxy.banner and proxy.log_text() == ""


def warnings(proxy):
    return [line["advice"] for line in proxy.events("uplink_route_missing") if line["level"] == "warn"]


def test_addresses_leave_by_their_own_lines_without_any_rule(start, lab, web):
    """wan1 has the default route; each address is still bound to its own line."""
    proxy = start("--policy", "round_robin", lab.wan1.addr4, lab.wan2.addr4)
    packets = lab.tcp_sent()
    seen = [lab.uplink_of(curl_by("socks5", proxy).ok().text.strip()) for _ in range(10)]
    sent = {name: now - packets[name] for name, now in lab.tcp_sent().items()}
    assert seen.count("wan1") == seen.count("wan2") == 5
    assert sent["wan1"] >= 25 and sent["wan2"] >= 25 and sent["wan3"] == 0, sent
    assert warnings(proxy) == []


def test_routing_rules_by_source_avoid_the_warning(start, lab):
    sh(f"ip rule add from {lab.wan2.addr4} table 102")
    sh(f"ip route replace default via {lab.wan2.gateway4} dev wan2 table 102")
    try:
        proxy = start(lab.wan1.addr4, lab.wan2.addr4)
        curl_by("socks5", proxy)
        assert warnings(proxy) == []
    finally:
        sh(f"ip rule del from {lab.wan2.addr4} table 102")


def test_a_device_without_a_route_causes_a_warning(start, lab):
    proxy = start("wan1", "lan0")
    assert "lan0" in proxy.wait_log("no route")
    assert len(warnings(proxy)) == 1


def test_a_missing_device(start, lab, web):
    """It may come later; until then the others serve."""
    proxy = start("wan1", "nosuch0")
    states = {line["uplink"]: line["state"] for line in proxy.events("uplink")}
    assert states == {"wan1": "up", "nosuch0": "down"}
    for _ in range(4):
        assert curl_by("http", proxy).ok().text.strip() in (lab.wan1.addr4, lab.wan1.addr6)


@pytest.fixture
def another_name(lab):
    """wan2 has two alternative names, one longer than any device name."""
    if run("ip", "link", "property", "add", "dev", "wan2", "altname", "office", "altname", "the-line-of-the-office").code != 0:
        pytest.skip("this kernel or its tools have no alternative names")
    yield
    for name in ("office", "the-line-of-the-office"):
        run("ip", "link", "property", "del", "dev", "wan2", "altname", name)


def test_alternative_names(start, lab, web, another_name, config, names):
    for name in ("office", "the-line-of-the-office"):
        proxy = start(name)
        assert seen_in(2, proxy) == {lab.wan2.addr4}
        assert (get_status(proxy, name)["interface"], get_status(proxy, name)["state"]) == ("wan2", "up")
        assert run(BINARY, "check", name).ok().err == b""
        assert f"uplinks {name}@1;" in run(BINARY, "check", name).text
        facts = json.loads(run(BINARY, "doctor", "--json", "--check", "none", "--public-address", "none", name).text)["uplinks"][0]["facts"]
        assert facts["link"].startswith("wan2, up")
    by_config = start("--config", config("return { uplinks = { { interface = 'the-line-of-the-office', name = 'work' } } }"))
    assert seen_in(1, by_config) == {lab.wan2.addr4}


def test_an_alternative_name_that_is_given_later(start, lab, web, another_name):
    sh("ip link property del dev wan2 altname the-line-of-the-office")
    proxy = start("wan1", "the-line-of-the-office")
    assert get_status(proxy, "the-line-of-the-office")["state"] == "down"
    sh("ip link property add dev wan2 altname the-line-of-the-office")
    wait_for(lambda: get_status(proxy, "the-line-of-the-office")["state"] == "up", "it is heard of", SOON_S)


def test_an_alternative_name_in_an_address_to_listen_on(start, lab, web, another_name):
    local = next(a["local"] for a in lab.home.link("wan2")["addr_info"] if a["scope"] == "link" and a["family"] == "inet6")
    proxy = start("wan1", "--listen", f"[{local}%the-line-of-the-office]:0", port=False)
    assert proxy.address[0] == f"{local}%wan2"
    checked = run(BINARY, "check", "--listen", f"[{local}%nowhere]:1080", "wan1").ok()
    assert f"cannot listen on [{local}%nowhere]:1080 at present" in checked.err.decode()
