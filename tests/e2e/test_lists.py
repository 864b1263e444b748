"""Lists in files: however long they are, connections do not wait while they are read."""

import threading
import time

import pytest

from lab.clients import curl_by
from lab.proxy import SANITIZED
from lab.run import wait_for

MILLION = 1_000_000
POLICY = """return { name = "listed", new = function(ctx)
  local set = ctx.domains { file = "big.txt" }
  return { pick = function(conn, uplinks) return uplinks[1], ctx.match(set, conn.host) and "listed" or "not listed" end }
end }
"""


def write_names(path, n, last):
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"host{i}.zone{i % 9973}.example\n" for i in range(n))
        f.write(last + "\n")


def reason(proxy):
    n = proxy.settled()
    assert curl_by("socks5h", proxy, host="web4.test").code == 0
    return proxy.connections(n + 1)[-1]["reason"]


@pytest.fixture
def name_list(tmp_path):
    """The list, beside the policy that reads it."""
    (tmp_path / "listed.lua").write_text(POLICY)
    return tmp_path / "big.txt"


@pytest.fixture
def listed(start, name_list):
    return lambda: start("--policy", name_list.with_name("listed.lua"), "wan1")


@pytest.mark.once
def test_connections_do_not_wait_for_a_list_of_a_million_names(listed, web, name_list):
    name_list.write_text("other.test\n")
    proxy = listed()
    assert reason(proxy) == "not listed"
    before = proxy.resident()
    write_names(name_list, MILLION, "web4.test")

    answer, waits = {}, []
    asking = threading.Thread(target=lambda: answer.update(proxy.ask("reload")))
    asking.start()
    while asking.is_alive():
        began = time.monotonic()
        assert curl_by("socks5h", proxy, host="web4.test").code == 0
        waits.append(time.monotonic() - began)
    asking.join()
    assert answer["ok"], answer
    print(f"{answer['seconds']:.2f} s for {MILLION} names; meanwhile {len(waits)} requests, the slowest {max(waits):.3f} s; "
          f"{(proxy.resident() - before) / MILLION:.0f} bytes a name")
    assert len(waits) > 2, "they were served while the list was read"
    accounts = proxy.connections()
    assert accounts[1]["reason"] == "not listed", "the old policy went on"
    assert reason(proxy) == "listed"
    assert proxy.resident() - before < 100 * MILLION or SANITIZED
    assert 30 * MILLION < proxy.ask("status")["policy"]["lists"] < 60 * MILLION

    again = proxy.ask("reload")
    assert again["ok"] and again["seconds"] < answer["seconds"] / 2, "a list that is the same is not read again"


@pytest.mark.once
def test_a_list_that_is_gone_gives_its_memory_back(listed, name_list):
    name_list.write_text("other.test\n")
    proxy = listed()
    before, held = proxy.resident(), []
    for n in (200_000, 230_000, 260_000, 290_000, 1):
        write_names(name_list, n, "other.test")
        assert proxy.ask("reload")["ok"]
        held.append(proxy.resident() - before)
    print("bytes more than before:", held)
    assert held[-1] < 8 * 2**20 or SANITIZED


def test_it_starts_with_lists_and_can_end_while_reading(listed, web, name_list):
    write_names(name_list, 300_000, "web4.test")
    proxy = listed()
    assert reason(proxy) == "listed"
    write_names(name_list, MILLION, "other.test")
    proxy.reload()
    wait_for(lambda: any("steerway-lists" in name for name in proxy.threads()), "the list is being read")
    assert proxy.stop() == 0


def test_loads_wait_for_each_other(listed, web, tmp_path, name_list):
    other = tmp_path / "other.lua"
    other.write_text('return { name = "other", new = function() return { pick = function(_, u) return u[1], "other" end } end }')
    name_list.write_text("web4.test\n")
    proxy = listed()
    write_names(name_list, 500_000, "web4.test")
    answers = {}

    def ask(verb, **fields):
        answers[verb] = proxy.ask(verb, **fields)

    asking = [threading.Thread(target=ask, args=("reload",))]
    asking[0].start()
    wait_for(lambda: any("steerway-lists" in name for name in proxy.threads()) or "reload" in answers, "the list is being read")
    asking.append(threading.Thread(target=ask, args=("policy",), kwargs={"policy": str(other)}))
    asking[1].start()
    for thread in asking:
        thread.join()
    assert [answers[verb]["ok"] for verb in ("reload", "policy")] == [True, True]
    assert [answers[verb]["generation"] for verb in ("reload", "policy")] == [2, 3]
    assert reason(proxy) == "other"


def test_a_bad_list_is_named_and_the_old_policy_goes_on(listed, web, name_list):
    name_list.write_text("payload:\n  - '+.web4.test'\n  - DOMAIN-KEYWORD,ads\n")
    proxy = listed()
    assert reason(proxy) == "listed"
    warned = proxy.wait_event("list_lines_ignored")
    assert warned["list"].endswith("/big.txt") and warned["lines"] == 1 and warned["first"] == 3
    assert warned["text"] == "  - DOMAIN-KEYWORD,ads"
    name_list.write_text("<html><body>Please log in</body></html>\n")
    answer = proxy.ask("reload")
    assert not answer["ok"] and "big.txt:1: no line of it is understood" in answer["error"]
    assert reason(proxy) == "listed"


def test_why_knows_lists(listed, name_list):
    name_list.write_text("||example.org^\n")
    proxy = listed()
    assert "listed" in proxy.tell("why", "www.example.org")
    assert "not listed" in proxy.tell("why", "www.example.net")
