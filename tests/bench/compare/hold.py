"""Hold each relay thread of a proxy to a share of a core, so that load and origin have room to spare on a small machine."""

import contextlib
import os
from pathlib import Path

CPU = Path("/sys/fs/cgroup/cpu")  # cgroup v1, which accepts single threads
PERIOD_US = 10_000


def can_hold():
    return (CPU / "cpu.cfs_quota_us").exists() and os.access(CPU, os.W_OK)


def relay_threads(pid):
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [task.name for task in tasks if (task / "comm").read_text().startswith("relay ")]


@contextlib.contextmanager
def held(pid, share):
    made = []
    try:
        for thread in relay_threads(pid):
            group = CPU / f"steerway-bench-{thread}"
            group.mkdir()
            made.append(group)
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(int(PERIOD_US * share)))
            (group / "tasks").write_text(thread)
        yield
    finally:
        for group in made:
            for thread in (group / "tasks").read_text().split():
                (CPU / "tasks").write_text(thread)
            group.rmdir()
