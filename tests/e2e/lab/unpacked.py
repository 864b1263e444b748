"""Programs that ./dev unpacks into build/tools, where they are not installed: their packages would start services."""

import os
import shutil
from pathlib import Path

_TOOLS = Path(__file__).resolve().parents[3] / "build/tools"
_LIBRARIES = ":".join(map(str, [*_TOOLS.glob("usr/lib/*-linux-gnu*"), *_TOOLS.glob("lib/*-linux-gnu*")]))


def find(program):
    """Its path, or None."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:{_TOOLS / 'usr/bin'}:{_TOOLS / 'usr/sbin'}")


def env(program):
    """The environment to run it in, with the libraries that were unpacked beside it."""
    inside = program and Path(program).is_relative_to(_TOOLS)
    return {**os.environ, "LD_LIBRARY_PATH": _LIBRARIES} if inside else dict(os.environ)
