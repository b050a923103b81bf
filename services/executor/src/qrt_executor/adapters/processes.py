"""What /proc says of a process and everything below it."""

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """Return every process below `pid`, nearest first."""
    found: list[int] = []
    level = children(pid)
    while level:
        found.extend(level)
        level = [below for child in level for below in children(child)]
    return found


def children(pid: int) -> list[int]:
    """Return the direct children of a process, over all its threads; empty if it is gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                found.extend(map(int, (thread / "children").read_text().split()))
    return found


def held_bytes(processes: Sequence[int], *, limit: int) -> int:
    """Return the memory that these processes hold together.

    Resident pages are summed first, which is cheap and counts shared pages once per process; only
    if that passes `limit` are shared pages counted in proportion.
    """
    resident = sum(map(_resident, processes))
    return resident if resident <= limit else sum(map(proportional_bytes, processes))


def pid_of(pidfd: int) -> int:
    """Return a process's pid; -1 once it is gone and collected."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise ValueError(f"descriptor {pidfd} is of no process")


def _resident(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def proportional_bytes(pid: int) -> int:
    """Return a process's PSS; what cannot be told apart (a non-dumpable process) counts in full."""
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _resident(pid)


def kill_tree(pid: int) -> None:
    """SIGKILL everything below `pid`, then `pid` itself: the last resort without a pid namespace."""
    for each in [*descendants(pid), pid]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)
