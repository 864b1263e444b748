"""A program in a terminal of its own."""

import os
import pty
import re
import select
import time

from lab.run import WAIT_S


class Terminal:
    def __init__(self, argv, cwd, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(argv[0], argv, env)
        self.seen = ""

    def say(self, text):
        """Type this; what was seen before is forgotten."""
        self.seen = ""
        os.write(self.fd, text.encode())

    def wait_for(self, pattern):
        end = time.monotonic() + WAIT_S
        while not re.search(pattern, self.seen):
            left = end - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], f"no {pattern} in {self.seen!r}"
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace").replace("\r\n", "\n")
            except OSError:
                raise AssertionError(f"it ended without {pattern}: {self.seen!r}") from None
        return self.seen

    def end(self):
        """Wait until the program has ended, and return its exit code."""
        end = time.monotonic() + WAIT_S
        while True:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], f"it goes on behind {self.seen!r}"
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        pid, self.pid = self.pid, None
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)  # it hangs up
        if self.pid:
            os.waitpid(self.pid, 0)
