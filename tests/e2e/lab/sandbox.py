"""Runs the test process in its own namespaces, where it may change the network."""

import os
import subprocess

MARK = "STEERWAY_E2E_SANDBOX"

# A new /run, so that `ip netns add` has its own folder.
_SETUP = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'
_PROBE = "mount -t tmpfs tmpfs /run && ip netns add probe && ip netns exec probe true && ip link add probe0 type veth peer name probe1"


def _flag_sets():
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    common = ["unshare", *as_user, "--net", "--mount", "--fork", "--kill-child"]
    # Some containers do not allow a new /proc; then the processes share the outer process numbers.
    yield [*common, "--pid", "--mount-proc"]
    yield common


def inside():
    return os.environ.get(MARK) == "1"


def enter(argv):
    """Replace this process by one that runs argv in the sandbox. Returns the reason only when that fails."""
    reason = "unshare is missing"
    # Debian's PATH for users lacks the folders of ip, nft and nginx.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        del os.environ[name]  # outer proxies cannot be reached from inside
    for flags in _flag_sets():
        try:
            probe = subprocess.run([*flags, "sh", "-c", _PROBE], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
            continue
        if probe.returncode == 0:
            os.environ[MARK] = "1"
            os.execvp(flags[0], [*flags, "sh", "-c", _SETUP, "sandbox", *argv])
        reason = probe.stderr.strip() or f"exit code {probe.returncode}"
    return reason
