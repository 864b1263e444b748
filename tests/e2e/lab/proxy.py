"""The program under test as a process: command line, banner, log and end."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from lab.run import COMMAND_S, WAIT_S, wait_for
from lab.topology import NAMES4

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("STEERWAY_BIN", ROOT / "build/dev/steerway")).resolve()
START_S, STOP_S = 60, 60
# A sanitizer keeps freed memory, so the amount of memory means nothing.
SANITIZED = BINARY.exists() and any(name in BINARY.read_bytes() for name in (b"__asan_init", b"__tsan_init"))
# For tests that expect a certain uplink. On a loaded machine any connection may be slow enough to start a race.
UNRACED = ("--hedge", "0")
# A name that no event has would make `assert not proxy.events(…)` true for ever.
EVENTS = set(re.findall(r'{LOG_\w+,\s*"(\w+)"', (ROOT / "engine/lib/base/log_events.c").read_text(encoding="ascii")))
_LISTENING = re.compile(r"^  listening on (\S+):(\d+)$", re.M)
_STOPPING = re.compile(r'info stopping |"event":"stopping"')
_SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:")


class Proxy:
    """One run of `steerway start`. Its log goes to a file (or to `stderr`) as JSON lines, unless the test asks for
    text. The policy's files are watched only if the test asks for it. Each run has its own control socket."""

    def __init__(self, folder, number, *args, dns=NAMES4, check="none", port=True, text=False, watch=False, prefix=(), stderr=None):
        self.argv = [BINARY, "start", *(["-p", "0"] if port else []), *([] if text else ["--log-format", "json"])]
        self.argv += [] if watch else ["--no-watch"]
        self.argv += ["--dns", dns] if dns else []
        self.argv += ["--check", check] if check else []
        self.text = text
        self.argv = [str(a) for a in [*self.argv, *args]]
        self.out_path, self.log_path = folder / f"proxy{number}.out", folder / f"proxy{number}.log"
        self.runtime = folder / f"run{number}"
        self.runtime.mkdir()
        self.env = {**os.environ, "XDG_RUNTIME_DIR": str(self.runtime), "XDG_STATE_HOME": str(self.runtime)}
        with open(self.out_path, "wb") as out, open(self.log_path, "wb") as log:
            command = [*prefix, *self.argv]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=stderr or log, cwd=folder,
                                            env=self.env)
        self.pid = self.process.pid
        self.addresses = []  # (address, port) from the banner

    def wait_started(self):
        """Wait until it has announced its addresses: in its banner or, with a JSON log, in events."""

        def started():
            assert self.process.poll() is None, f"did not start: {self.log_text()}"
            return self.banner.endswith("\n\n") if self.text else self.events("started")

        wait_for(started, "the proxy listens", START_S)
        if self.text:
            found = _LISTENING.findall(self.banner)
        else:
            found = [line["address"].rpartition(":")[::2] for line in self.events("listening")]
        self.addresses = [(host.strip("[]"), int(port)) for host, port in found]
        return self

    # --- addresses ---

    @property
    def address(self):
        """(host, port) of the first listener."""
        return self.addresses[0]

    @property
    def port(self):
        return self.addresses[0][1]

    @property
    def hostport(self):
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def banner(self):
        return self.out_path.read_text()

    # --- log ---

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log(self):
        """All complete lines so far, parsed."""
        lines = self.log_text().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def events(self, name, **fields):
        """Events with these fields."""
        assert name in EVENTS, f"no event is called {name}"
        return [line for line in self.log() if line["event"] == name and fields.items() <= line.items()]

    def connections(self, n=None, timeout=WAIT_S):
        """The accounts of ended connections; waits until there are n of them."""
        if n is not None:
            wait_for(lambda: len(self.events("connection")) >= n, f"{n} connections in the log", timeout)
        return self.events("connection")

    def settled(self, still_open=0):
        """Wait until all connections except `still_open` have ended and are logged; return their number."""
        wait_for(lambda: self.ask("status")["clients"] == still_open, "no other client is there any more")
        return len(self.events("connection"))

    def wait_log(self, text, timeout=WAIT_S):
        """Wait for a line that contains text, and return it."""

        def found():
            return next((line for line in self.log_text().split("\n")[:-1] if text in line), None)

        return wait_for(found, f"{text!r} in the log", timeout)

    def wait_event(self, name, timeout=WAIT_S, **fields):
        """Wait for an event with these fields, and return it."""

        def found():
            return next(iter(self.events(name, **fields)), None)

        return wait_for(found, f"{name!r} with {fields} in the log", timeout)

    # --- control socket ---

    @property
    def control_path(self):
        return self.runtime / "steerway/control.sock"

    def tell(self, *words, code=0):
        """Run `steerway WORDS…` against this proxy; return its output."""
        r = subprocess.run([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_S,
                           env=self.env, cwd=self.runtime.parent)
        assert r.returncode == code, f"{words}: {r}"
        return r.stderr if code else r.stdout

    def ask(self, verb, **fields):
        """Send one request over the control socket, and return the answer."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.control_path))  # without a timeout it waits while the accept queue is full
            s.settimeout(COMMAND_S)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused: the answer says so
                s.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
            return json.loads(s.makefile().readline())

    # --- resources ---

    def _sockets(self):
        """The inodes of its sockets."""
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                target = os.readlink(f"/proc/{self.pid}/fd/{fd}")
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                yield target[8:-1]

    def open_connections(self):
        """The number of its TCP sockets that do not listen, plus connected control clients."""
        sockets, n = set(self._sockets()), 0
        for name in ("tcp", "tcp6"):
            with open(f"/proc/{self.pid}/net/{name}", encoding="ascii") as table:
                rows = [line.split() for line in table.readlines()[1:]]
            n += sum(row[9] in sockets and row[3] != "0A" for row in rows)
        with open(f"/proc/{self.pid}/net/unix", encoding="ascii") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return n + sum(row[6] in sockets and row[5] == "03" and row[7:] == [str(self.control_path)] for row in rows)

    def descriptors_at_rest(self):
        """The number of its descriptors when no connection is open."""
        wait_for(lambda: self.open_connections() == 0, "no connection is open")
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        """CPU time used so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def threads(self):
        """The names of its threads."""
        names = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                names.append(Path(f"/proc/{self.pid}/task/{task}/comm").read_text(encoding="ascii").strip())
        return names

    def resident(self):
        """Bytes of resident memory."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # --- end ---

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        self.signal(signal.SIGHUP)

    def alive(self):
        return self.process.poll() is None

    def wait(self, timeout=STOP_S):
        return self.process.wait(timeout)

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait(WAIT_S)

    def stop_softly(self):
        """Ask it to end after its connections have ended."""
        self.signal(signal.SIGTERM)
        self.wait_log("stopping")

    def stop(self):
        """End it at once, whatever is open, and return its exit code."""
        for _ in range(2):
            if self.alive():
                self.signal(signal.SIGTERM)
                wait_for(lambda: not self.alive() or _STOPPING.search(self.log_text()), "the first signal is heard", STOP_S)
        code = self.wait()
        # The second signal may come after the loop has ended, when it is not handled any more.
        said_all = self.log_text().rstrip('"}\n').endswith("stopped")
        return 0 if code == -signal.SIGTERM and said_all else code

    def complaints(self):
        """The sanitizer's reports, in a build with one."""
        text = self.log_text()
        found = _SANITIZER.search(text)
        return text[found.start() :] if found else None

    def evidence(self):
        log = self.log_text()
        return f"$ {' '.join(self.argv)}\n{self.banner}{log if len(log) < 12000 else log[:3000] + ' … ' + log[-9000:]}"
