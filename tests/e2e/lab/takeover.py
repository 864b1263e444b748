"""The processes that take the place of a proxy, one after another."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import threading

from lab.origin import read_exactly
from lab.run import COMMAND_S, WAIT_S, wait_for
from lab.socks import socks5_connect

_PR_SET_CHILD_SUBREAPER = 36


class Processes:
    """Of one proxy. Its `pid` is that of the process which serves; those before are in `gone`."""

    def __init__(self, proxy):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # so that all of them can be waited for
        self.proxy, self.gone, self.codes = proxy, [], {}

    def restart(self, code=0):
        """Run `steerway restart`; return what it says."""
        before = self.proxy.pid
        said = self.proxy.tell("restart", code=code)
        pid = self.proxy.ask("status")["pid"]
        if code == 0:
            assert said == f"process {pid} serves now\n" and pid != before, (said, before)
            self.gone.append(before)
            self.proxy.pid = pid
        else:
            assert pid == before
        return said

    def serving(self):
        """Wait until a process answers; return its pid, which is then the proxy's."""

        def answers():
            with contextlib.suppress(OSError, ValueError):
                return self.proxy.ask("status")["pid"]

        pid = wait_for(answers, "a process answers")
        if pid != self.proxy.pid:
            self.gone.append(self.proxy.pid)
            self.proxy.pid = pid
        return pid

    def child(self):
        """The pid of the process that the serving one has started, or None."""
        with open(f"/proc/{self.proxy.pid}/task/{self.proxy.pid}/children", encoding="ascii") as children:
            for pid in map(int, children.read().split()):
                with open(f"/proc/{pid}/cmdline", "rb") as line:  # before that, its parent waits for it
                    if b"--takeover" in line.read():
                        return pid
        return None

    def end(self, pid):
        """Wait until the process has ended; return its exit code."""
        if pid == self.proxy.process.pid:
            return self.proxy.wait()

        def ended():
            if pid not in self.codes:
                with contextlib.suppress(ChildProcessError):
                    found, status = os.waitpid(pid, os.WNOHANG)
                    if found:
                        self.codes[pid] = os.waitstatus_to_exitcode(status)
            return pid in self.codes or not os.path.exists(f"/proc/{pid}")

        wait_for(ended, f"process {pid} ends", COMMAND_S)
        return self.codes.get(pid)

    def stop(self):
        """End them all, whatever is open."""
        for pid in (*self.gone, self.proxy.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.end(pid)


class Taker:
    """A process that takes over as far as the test wants. Without `serve` the proxy goes on when it leaves."""

    def __init__(self, proxy):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(WAIT_S)
        self.s.connect(str(proxy.control_path))
        self.s.sendall(b'{"verb": "takeover"}\n')
        text, self.fds = b"", []
        while not text.endswith(b"\n"):
            data, fds, *_ = socket.recv_fds(self.s, 65536, 253)
            assert data, text
            text += data
            self.fds += fds
        self.answer = json.loads(text)
        self.sockets = list(zip(self.answer.get("sockets", ()), self.fds))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()
        for fd in self.fds:
            os.close(fd)


class AtWork:
    """Threads that connect, exchange some bytes, and close, over and over; and tunnels that stay open."""

    def __init__(self, proxy, server, n=4, tunnels=12, more=()):
        self.proxy, self.server, self.made, self.wrong = proxy, server, 0, []
        self.over = threading.Event()
        self.tunnels = [socks5_connect(proxy, server.address, server.port) for _ in range(tunnels)]
        self.threads = [threading.Thread(target=work, daemon=True) for work in [self.connect] * n + [self.talk]]
        self.threads += [threading.Thread(target=work, args=(self,), daemon=True) for work in more]
        for thread in self.threads:
            thread.start()

    def exchange(self, tunnel, data):
        tunnel.sendall(data)
        if read_exactly(tunnel.s, len(data)) != data:
            self.wrong.append("wrong bytes")

    def connect(self):
        while not self.over.is_set():
            try:
                with socks5_connect(self.proxy, self.server.address, self.server.port) as tunnel:
                    self.exchange(tunnel, b"ping")
                self.made += 1
            except Exception as e:  # any fault at all is a finding
                self.wrong.append(f"new: {e!r}")

    def talk(self):
        n = 0
        while not self.over.is_set():
            n += 1
            for i, tunnel in enumerate(self.tunnels):
                try:
                    self.exchange(tunnel, b"%06d %06d" % (i, n))
                except Exception as e:
                    self.wrong.append(f"open {i}: {e!r}")
                    return

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        for i, tunnel in enumerate(self.tunnels):
            self.exchange(tunnel, b"%06d" % i)
            tunnel.close()
