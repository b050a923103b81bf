"""What /proc says of a process and everything below it."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
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
    return _of_any_thread(pid, "statm", lambda text: int(text.split()[1]) * _PAGE)


def proportional_bytes(pid: int) -> int:
    """Return a process's PSS; what cannot be told apart (a non-dumpable process) counts in full."""
    return _of_any_thread(pid, "smaps_rollup", _pss) or _resident(pid)


def _pss(text: str) -> int:
    pss = next((line for line in text.splitlines() if line.startswith("Pss:")), "Pss: 0")
    return int(pss.split()[1]) * 1024


def _of_any_thread(pid: int, name: str, read: Callable[[str], int]) -> int:
    """Return what one of the kernel's files tells of a process's memory, 0 if nothing does.

    Of a process whose first thread has ended that thread's files tell nothing, while others hold it all.
    """
    found = 0
    with contextlib.suppress(OSError, IndexError):
        found = read((_PROC / str(pid) / name).read_text())
    if found:
        return found
    with contextlib.suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError, IndexError):
                found = max(found, read((thread / name).read_text()))
    return found


@contextlib.contextmanager
def held(pids: Sequence[int]) -> Iterator[dict[int, int]]:
    """Hold processes by pidfds, those that are still there."""
    pidfds: dict[int, int] = {}
    try:
        for pid in pids:
            with contextlib.suppress(OSError):
                pidfds[pid] = os.pidfd_open(pid)
        yield pidfds
    finally:
        for fd in pidfds.values():
            os.close(fd)


def kill_tree(pid: int) -> None:
    """SIGKILL everything below `pid`, then `pid` itself: the last resort without a pid namespace."""
    for each in [*descendants(pid), pid]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)
