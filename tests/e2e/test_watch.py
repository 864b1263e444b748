"""Saving a policy's file is enough: whatever way an editor saves, the running proxy takes it, or says why not."""

import os
import subprocess

import pytest

from lab.clients import curl_by
from lab.run import wait_for

POLICY = """return { name = "mine", new = function()
  return { pick = function(_, uplinks) return uplinks[1], "%s" end }
end }
"""


def in_place(path, text):
    """As VS Code and nano do: the file is cut and written anew."""
    path.write_text(text)


def by_rename(path, text):
    """As sed -i, and editors that mean to be safe: a new file takes the old one's place."""
    new = path.with_name("sedXXXX")
    new.write_text(text)
    os.replace(new, path)


def as_vim(path, text):
    """With 'writebackup': the old file becomes the backup, the new one is written, the backup goes."""
    backup = path.with_name(path.name + "~")
    os.rename(path, backup)
    path.write_text(text)
    os.unlink(backup)


def by_sed(path, text):
    word = text.split('"')[3]
    subprocess.run(["sed", "-i", f's/uplinks\\[1\\], "[^"]*"/uplinks[1], "{word}"/', path], check=True)


def by_copy(path, text):
    new = path.with_name("new.txt")
    new.write_text(text)
    subprocess.run(["cp", new, path], check=True)


@pytest.fixture
def mine(tmp_path):
    folder = tmp_path / "policies"
    folder.mkdir()
    path = folder / "mine.lua"
    path.write_text(POLICY % "first")
    return path


def reason(proxy, n):
    assert curl_by("socks5h", proxy, host="web4.test").code == 0
    return proxy.connections(n)[-1]["reason"]


def by_link(path, text):
    other = path.with_name(f"v{len(list(path.parent.iterdir()))}.txt")
    other.write_text(text)
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize("save", [in_place, by_rename, as_vim, by_sed, by_copy, by_link])
def test_saving_takes_effect_within_a_second(start, web, mine, save):
    proxy = start("--policy", mine, "wan1", watch=True)
    assert reason(proxy, 1) == "first"
    for n in range(2, 5):
        save(mine, POLICY % f"try {n}")
        event = proxy.wait_event("policy reloaded", timeout=1, generation=n)
        assert event["trigger"] == "file"
        assert reason(proxy, n) == f"try {n}"
    assert len(proxy.events("policy reloaded")) == 3, "one save, one load"


def test_a_broken_save_changes_nothing_and_the_next_one_heals(start, web, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    mine.write_text("return = 1")
    refused = proxy.wait_event("policy not reloaded; the old one goes on", timeout=1, trigger="file")
    assert "mine.lua:1: unexpected symbol near '='" in refused["error"]
    assert reason(proxy, 1) == "first"
    mine.write_text(POLICY % "healed")
    proxy.wait_event("policy reloaded", timeout=1)
    assert reason(proxy, 2) == "healed"


def test_other_files_in_the_folder_do_not_matter(start, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    for name in ["other.lua", "mine.lua~", ".mine.lua.swp", "4913", "mine.luac"]:
        mine.with_name(name).write_text("x")
    mine.write_text(POLICY % "second")
    proxy.wait_event("policy reloaded", timeout=1)
    assert len(proxy.events("policy reloaded")) == 1


def test_what_the_policy_requires_and_reads_counts_too(start, web, mine):
    part, names = mine.with_name("part.lua"), mine.with_name("names.txt")
    part.write_text("return 'one'")
    names.write_text("example.org\n")
    mine.write_text("""local part = require "part"
return { name = "mine", new = function(ctx)
  local set = ctx.domains { file = "names.txt" }
  return { pick = function(conn, uplinks) return uplinks[1], part .. (ctx.match(set, conn.host) and " listed" or "") end }
end }""")
    proxy = start("--policy", mine, "wan1", watch=True)
    assert reason(proxy, 1) == "one"
    part.write_text("return 'two'")
    proxy.wait_event("policy reloaded", timeout=1, generation=2)
    names.write_text("web4.test\n")
    proxy.wait_event("policy reloaded", timeout=1, generation=3)
    assert reason(proxy, 2) == "two listed"


def test_a_module_that_broke_the_last_load_is_waited_for(start, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    part = mine.with_name("part.lua")
    part.write_text("return = 1")
    mine.write_text('require "part"\n' + POLICY % "second")
    assert "part.lua:1" in proxy.wait_event("policy not reloaded; the old one goes on", timeout=1)["error"]
    part.write_text("return 1")
    proxy.wait_event("policy reloaded", timeout=1)


def test_a_link_is_followed_to_where_its_file_is_saved(start, mine, tmp_path):
    """As people do who keep their settings elsewhere."""
    link = tmp_path / "links" / "linked.lua"
    link.parent.mkdir()
    link.symlink_to(mine)
    proxy = start("--policy", link, "wan1", watch=True)
    by_rename(mine, POLICY % "second")
    assert proxy.wait_event("policy reloaded", timeout=1)["generation"] == 2


def test_a_folder_that_is_replaced_is_found_again(start, web, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    folder = mine.parent
    os.rename(folder, folder.with_name("old"))
    folder.mkdir()
    mine.write_text(POLICY % "from the new folder")
    proxy.wait_event("policy reloaded", timeout=5)
    assert reason(proxy, 1) == "from the new folder"
    mine.write_text(POLICY % "again")
    proxy.wait_event("policy reloaded", timeout=1, generation=3)


def test_watching_can_be_switched_off(start, mine):
    proxy = start("--policy", mine, "wan1")
    mine.write_text(POLICY % "second")
    proxy.reload()
    proxy.wait_event("policy reloaded", trigger="signal")
    wait_for(lambda: proxy.ask("status")["ok"], "it answers")
    assert len(proxy.events("policy reloaded")) == 1
