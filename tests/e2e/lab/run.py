"""Commands and waiting, always with a timeout."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

# Limits for programs that hang. They do not measure: the machine may be loaded, and the program built with a
# sanitizer.
COMMAND_S = 60
WAIT_S = 30
# Limit for events that come at once. The alternative in each test must take longer: a look at the links every ten
# seconds, or a dial's timeout.
SOON_S = 8


class Finished:
    """The result of a command."""

    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")

    def ok(self):
        assert self.code == 0, f"{self}"
        return self

    def __str__(self):
        return f"{' '.join(map(str, self.argv))}\n  exit code {self.code}\n  out: {self.out[-2000:]!r}\n  err: {self.err[-2000:]!r}"


def run(*argv, timeout=COMMAND_S, **options):
    """Run a command to its end, and return its result."""
    argv = [str(a) for a in argv]
    started = time.monotonic()
    try:
        done = subprocess.run(argv, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, **options)
    except subprocess.TimeoutExpired as over:
        raise AssertionError(f"{' '.join(argv)} took longer than {timeout} s: {over.stderr}") from over
    return Finished(argv, done.returncode, done.stdout, done.stderr, time.monotonic() - started)


def sh(line, **options):
    """Run a line of set-up, which must succeed."""
    return run(*line.split(), **options).ok().text


def wait_for(condition, what, timeout=WAIT_S, every=0.01):
    """Poll until condition() is true, and return its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(every)


def at_once(work, cases):
    """Runs work(*case) for all cases at the same time, and returns the results in order: for cases that mostly wait."""
    with ThreadPoolExecutor(len(cases)) as pool:
        return [each.result() for each in [pool.submit(work, *case) for case in cases]]


def end(process, timeout=WAIT_S):
    """End a process that this test started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(timeout)
