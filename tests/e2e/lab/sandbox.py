"""Runs the test process itself in namespaces of its own, where it may do what it likes with the network."""

import os
import subprocess

MARK = "STEERWAY_E2E_SANDBOX"

# A fresh /run, so that `ip netns add` has a place of its own.
_SETUP = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'
_PROBE = "mount -t tmpfs tmpfs /run && ip netns add probe && ip netns exec probe true && ip link add probe0 type veth peer name probe1"


def _flag_sets():
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    common = ["unshare", *as_user, "--net", "--mount", "--fork", "--kill-child"]
    # Within some containers /proc cannot be mounted anew; then the processes share the outside's numbers.
    yield [*common, "--pid", "--mount-proc"]
    yield common


def inside():
    return os.environ.get(MARK) == "1"


def enter(argv):
    """Replaces this process by one that runs argv in the sandbox. Returns, with the reason, only where that cannot be."""
    reason = "unshare is missing"
    # Debian keeps ip, nft and nginx where a user's PATH does not lead.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        del os.environ[name]  # the outside's proxies are of no use inside
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
