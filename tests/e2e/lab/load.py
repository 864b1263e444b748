"""Several threads that do the same over and over, while the test breaks something."""

import itertools
import threading

from .run import WAIT_S


class Load:
    """Calls work(n) with n = 0, 1, 2, … until end() is called, or for as many turns as given. `did` has the results, and
    `failed` each turn that failed with its error."""

    def __init__(self, work, threads=4, turns=None):
        self.did, self.failed = [], []
        self._work, self._turns = work, iter(range(turns)) if turns else itertools.count()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._go_on, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _go_on(self):
        while not self._over.is_set():
            with self._lock:
                n = next(self._turns, None)
            if n is None:
                return
            try:
                self.did.append(self._work(n))
            except (OSError, AssertionError) as error:
                self.failed.append((n, repr(error)))

    def join(self, timeout=WAIT_S):
        """Wait for the end of all threads. Returns whether they have ended."""
        for thread in self._threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def end(self):
        self._over.set()
        return self.join()
