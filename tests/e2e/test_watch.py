"""Saving a policy's file is enough: in whatever way an editor saves, the running proxy loads it or logs why not."""

import os
import signal
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
    """As sed -i and careful editors do: a new file replaces the old one."""
    new = path.with_name("sedXXXX")
    new.write_text(text)
    os.replace(new, path)


def as_vim(path, text):
    """As vim with 'writebackup': the old file becomes the backup, the new one is written, the backup is removed."""
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
def test_saving_takes_effect(start, web, mine, save):
    proxy = start("--policy", mine, "wan1", watch=True)
    assert reason(proxy, 1) == "first"
    for n in range(2, 5):
        save(mine, POLICY % f"try {n}")
        event = proxy.wait_event("policy_reloaded", generation=n)
        assert event["trigger"] == "file"
        assert reason(proxy, n) == f"try {n}"
    assert len(proxy.events("policy_reloaded")) == 3, "one save, one load"


def test_a_broken_save_changes_nothing_and_the_next_save_works(start, web, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    mine.write_text("return = 1")
    refused = proxy.wait_event("policy_not_reloaded", trigger="file")
    assert "mine.lua:1: unexpected symbol near '='" in refused["error"]
    assert reason(proxy, 1) == "first"
    mine.write_text(POLICY % "healed")
    proxy.wait_event("policy_reloaded")
    assert reason(proxy, 2) == "healed"


def test_other_files_in_the_folder_do_not_matter(start, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    for name in ["other.lua", "mine.lua~", ".mine.lua.swp", "4913", "mine.luac"]:
        mine.with_name(name).write_text("x")
    mine.write_text(POLICY % "second")
    proxy.wait_event("policy_reloaded")
    assert len(proxy.events("policy_reloaded")) == 1


def test_required_files_and_lists_are_watched_too(start, web, mine):
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
    proxy.wait_event("policy_reloaded", generation=2)
    names.write_text("web4.test\n")
    proxy.wait_event("policy_reloaded", generation=3)
    assert reason(proxy, 2) == "two listed"


def test_a_module_that_broke_the_last_load_is_waited_for(start, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    part = mine.with_name("part.lua")
    part.write_text("return = 1")
    mine.write_text('require "part"\n' + POLICY % "second")
    assert "part.lua:1" in proxy.wait_event("policy_not_reloaded")["error"]
    part.write_text("return 1")
    proxy.wait_event("policy_reloaded")


def test_a_link_is_followed_to_where_its_file_is_saved(start, mine, tmp_path):
    """As for users who keep their settings elsewhere."""
    link = tmp_path / "links" / "linked.lua"
    link.parent.mkdir()
    link.symlink_to(mine)
    proxy = start("--policy", link, "wan1", watch=True)
    by_rename(mine, POLICY % "second")
    assert proxy.wait_event("policy_reloaded")["generation"] == 2


def test_a_folder_that_is_replaced_is_found_again(start, web, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    folder = mine.parent
    os.rename(folder, folder.with_name("old"))
    folder.mkdir()
    mine.write_text(POLICY % "from the new folder")
    proxy.wait_event("policy_reloaded")
    assert reason(proxy, 1) == "from the new folder"
    mine.write_text(POLICY % "again")
    proxy.wait_event("policy_reloaded", generation=3)


LISTED = """local part = require "part"
return { name = "mine", new = function(ctx)
  local set = ctx.domains { file = "names.txt" }
  return { pick = function(conn, uplinks) return uplinks[1], part .. (ctx.match(set, conn.host) and " listed" or "") end }
end }"""


def release(folder, word, name):
    """A folder with a policy, a file that it requires, and its list."""
    folder.mkdir(parents=True)
    (folder / "mine.lua").write_text(LISTED)
    (folder / "part.lua").write_text(f"return '{word}'")
    (folder / "names.txt").write_text(name + "\n")
    return folder


def point(link, target):
    """Change the link's target in one step."""
    new = link.with_name(link.name + ".new")
    new.symlink_to(target)
    os.replace(new, link)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_on_the_way_is_swapped(start, web, tmp_path, absolute):
    """current -> releases/N, as deployments do."""
    first, second = release(tmp_path / "releases/1", "one", "x.test"), release(tmp_path / "releases/2", "two", "web4.test")
    current = tmp_path / "current"
    point(current, first if absolute else "releases/1")
    proxy = start("--policy", current / "mine.lua", "wan1", watch=True)
    assert reason(proxy, 1) == "one"
    point(current, second if absolute else "releases/2")
    proxy.wait_event("policy_reloaded", generation=2)
    assert reason(proxy, 2) == "two listed"
    (second / "part.lua").write_text("return 'three'")
    proxy.wait_event("policy_reloaded", generation=3)
    point(current, first if absolute else "releases/1")
    proxy.wait_event("policy_reloaded", generation=4)
    assert reason(proxy, 3) == "one"
    (second / "part.lua").write_text("return 'nobody asks'")
    (first / "names.txt").write_text("web4.test\n")
    proxy.wait_event("policy_reloaded", generation=5)
    assert reason(proxy, 4) == "one listed"
    assert len(proxy.events("policy_reloaded")) == 4


def test_files_are_swapped_as_kubernetes_does(start, web, tmp_path):
    """mine.lua -> ..data/mine.lua, ..data -> ..2024_1: the inner link is replaced, and the old folder removed."""
    volume = tmp_path / "volume"
    release(volume / "..2024_1", "one", "x.test")
    (volume / "..data").symlink_to("..2024_1")
    for name in ("mine.lua", "part.lua", "names.txt"):
        (volume / name).symlink_to(f"..data/{name}")
    proxy = start("--policy", volume / "mine.lua", "wan1", watch=True)
    for n in range(2, 5):
        old = os.readlink(volume / "..data")
        release(volume / f"..2024_{n}", f"version {n}", "web4.test")
        point(volume / "..data", f"..2024_{n}")
        for file in (volume / old).iterdir():
            file.unlink()
        (volume / old).rmdir()
        proxy.wait_event("policy_reloaded", generation=n)
        assert reason(proxy, n - 1) == f"version {n} listed"


def test_a_release_that_comes_after_its_link(start, web, tmp_path):
    first = release(tmp_path / "releases/1", "one", "x.test")
    current = tmp_path / "current"
    point(current, first)
    proxy = start("--policy", current / "mine.lua", "wan1", watch=True)
    point(current, tmp_path / "releases/2")
    refused = proxy.wait_event("policy_not_reloaded")
    assert "current/mine.lua: No such file" in refused["error"]
    assert reason(proxy, 1) == "one"
    release(tmp_path / "releases/2", "two", "web4.test")
    proxy.wait_event("policy_reloaded")
    wait_for(lambda: proxy.connections() and reason(proxy, len(proxy.connections()) + 1) == "two listed", "the release serves")


@pytest.mark.parametrize("asleep", [False, True])
def test_a_folder_above_is_replaced(start, web, tmp_path, asleep):
    """Not the folder of the files, but one above it. Also when the proxy looks too late to see it missing."""
    top = tmp_path / "top"
    release(top / "middle/policies", "one", "x.test")
    proxy = start("--policy", top / "middle/policies/mine.lua", "wan1", watch=True)
    release(tmp_path / "other/middle/policies", "two", "web4.test")
    if asleep:
        proxy.signal(signal.SIGSTOP)
    os.rename(top, tmp_path / "old")
    os.rename(tmp_path / "other", top)
    proxy.signal(signal.SIGCONT)
    proxy.wait_event("policy_reloaded", generation=2)
    assert reason(proxy, 1) == "two listed"


def test_a_folder_is_moved_away_and_back(start, web, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    folder, away = mine.parent, mine.parent.with_name("away")
    os.rename(folder, away)
    (away / "mine.lua").write_text(POLICY % "written elsewhere")
    assert reason(proxy, 1) == "first"
    os.rename(away, folder)
    proxy.wait_event("policy_reloaded", generation=2)
    assert reason(proxy, 2) == "written elsewhere"
    mine.write_text(POLICY % "again")
    proxy.wait_event("policy_reloaded", generation=3)


def test_a_file_is_deleted_and_made_anew(start, web, mine):
    proxy = start("--policy", mine, "wan1", watch=True)
    mine.unlink()
    assert reason(proxy, 1) == "first"
    mine.write_text(POLICY % "made anew")
    proxy.wait_event("policy_reloaded", generation=2)
    assert reason(proxy, 2) == "made anew"


def test_a_list_that_is_missing_is_waited_for(start, web, tmp_path):
    folder = release(tmp_path / "policies", "one", "web4.test")
    proxy = start("--policy", folder / "mine.lua", "wan1", watch=True)
    (folder / "names.txt").unlink()
    assert not proxy.ask("reload")["ok"]
    assert reason(proxy, 1) == "one listed"
    by_rename(folder / "names.txt", "other.test\n")
    proxy.wait_event("policy_reloaded", generation=2)
    assert reason(proxy, 2) == "one"


def test_a_list_saved_while_it_is_read_is_read_again(start, web, tmp_path):
    folder = release(tmp_path / "policies", "one", "other.test")
    proxy = start("--policy", folder / "mine.lua", "wan1", watch=True)
    with open(folder / "names.txt", "w", encoding="ascii") as f:
        f.writelines(f"host{i}.example\n" for i in range(400_000))
    wait_for(lambda: any("steerway-lists" in name for name in proxy.threads()), "the list is being read")
    by_rename(folder / "names.txt", "web4.test\n")
    proxy.wait_event("policy_reloaded", generation=3)
    assert reason(proxy, 1) == "one listed"


def test_a_circle_of_links_ends(start, mine, tmp_path):
    link = tmp_path / "linked.lua"
    link.symlink_to(mine)
    proxy = start("--policy", link, "wan1", watch=True)
    point(link, tmp_path / "linked.lua")
    proxy.wait_event("policy_not_reloaded")
    point(link, mine)
    proxy.wait_event("policy_reloaded")


def test_watching_can_be_switched_off(start, mine):
    proxy = start("--policy", mine, "wan1")
    mine.write_text(POLICY % "second")
    proxy.reload()
    proxy.wait_event("policy_reloaded", trigger="signal")
    wait_for(lambda: proxy.ask("status")["ok"], "it answers")
    assert len(proxy.events("policy_reloaded")) == 1
