"""A headless browser, and a page with many pictures for it."""

import os
import shutil
from collections import Counter

import pytest

from lab.run import run

# Chromium is not among the packages that the tests install: with what it needs it has some 600 MB.
_NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
RESOURCES, SIZE = 40, 20_000


def need(*programs, package):
    """The path of the first of these programs that is there."""
    found = next((path for path in map(shutil.which, programs) if path), None)
    if not found:
        pytest.skip(f"{programs[0]} is missing (package {package})")
    return found


def put_page(web):
    """A page with forty pictures, which tells how many of them it has."""
    for n in range(RESOURCES):
        picture = f'<svg xmlns="http://www.w3.org/2000/svg" width="{n + 1}" height="1"><!--{"x" * SIZE}--></svg>'
        web.put(f"picture{n}.svg", picture.encode())
    pictures = "".join(f'<img src="/picture{n}.svg">' for n in range(RESOURCES))
    script = "onload = () => document.title = [...document.images].filter(i => i.naturalWidth > 0).length + ' pictures'"
    web.put("page.html", f"<!doctype html><title>loading</title><script>{script}</script>{pictures}".encode())
    return "http://web4.test/page.html"


def show(page, folder, *options, by=run):
    """Load the page; it must have all of its pictures."""
    browser = need(*_NAMES, package="chromium, which the tests do not install: apt-get install chromium")
    shown = by(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
               f"--user-data-dir={folder / 'profile'}", *options, "--dump-dom", page, env={**os.environ, "HOME": str(folder)})  # fmt: skip
    assert f"<title>{RESOURCES} pictures</title>" in shown.text, f"{shown}"


def check_shares(lines, uplinks, before):
    """Of a page's bytes, each uplink has carried some: by the proxy's account, and by the link's counters since then."""
    carried = Counter()
    for line in lines:
        carried[line["uplink"]] += line["rx"]
    assert sum(carried.values()) > RESOURCES * SIZE, carried
    for uplink in uplinks:
        came = uplink.bytes()[0] - before[uplink.name]
        assert came >= carried[uplink.name] > 2 * SIZE, f"{uplink.name}: {came} bytes, {carried}"
