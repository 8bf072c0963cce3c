"""Memory of processes as Linux tells it, in bytes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable

# The server's shared memory, as its mapping is named with and without huge pages.
SHARED_BUFFERS = re.compile(r"/dev/zero|/anon_hugepage|/SYSV")


def status(field: str, pid: int | str = "self") -> int:
    """A figure of /proc/PID/status, such as VmRSS or VmHWM."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(field)


def reset_peak() -> None:
    """Let VmHWM of this process begin anew."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def proportional_size(pid: int) -> int:
    """Resident memory of a server process without shared buffers.

    What several processes share (dynamic shared memory, the program itself)
    counts in parts, so that a sum over the processes counts it once.
    """
    total = 0
    counts = True
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024 if counts else 0
            elif not line.split(None, 1)[0].endswith(":"):
                counts = SHARED_BUFFERS.search(line) is None    # a mapping begins
    return total


def children(parent: int) -> dict[int, str]:
    """Processes of a parent, with their titles."""
    found = {}
    with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
        pids = [int(pid) for pid in file.read().split()]
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                found[pid] = file.read().replace("\0", " ").strip()
        except OSError:
            continue                    # it has just ended
    return found


class Sampler:
    """Watches processes from a thread of its own, for the time of a "with".

    Afterwards: peak, the largest sum of proportional_size() over the processes
    at any one time (None: it could not be read), and n_processes, the most.
    """

    def __init__(self, pids: Callable[[], Iterable[int]], interval_s: float = 0.1):
        self.peak: int | None = None
        self.n_processes = 0
        self._pids = pids
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        """To look takes the longer, the more memory there is: one part in twenty of the time at most."""
        pause_s = self._interval_s
        while not self._stop.wait(pause_s):
            sizes = []
            start = time.perf_counter()
            try:
                for pid in self._pids():
                    sizes.append(proportional_size(pid))
            except OSError:
                continue                # one has just ended, or none is ours to read
            if sizes:
                self.peak = max(self.peak or 0, sum(sizes))
                self.n_processes = max(self.n_processes, len(sizes))
            pause_s = max(self._interval_s, 20 * (time.perf_counter() - start))
