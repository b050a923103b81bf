"""The few system calls that Python does not offer: prctl and its like, by ctypes."""

import ctypes
import os
import signal

_libc = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36


def prctl(option: int, value: int = 0) -> None:
    """Call prctl(2). Raises OSError."""
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), f"prctl {option}")


def die_with_parent(parent: int, *, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send `by` to this process when its parent's thread dies.

    `parent` is the parent's pid as seen before the fork: if it has gone meanwhile, the signal that
    would never come is made up for here.
    """
    prctl(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        os.kill(os.getpid(), by)


def flush_c_streams() -> None:
    """Write out what C code has printed into stdio buffers and not flushed."""
    _libc.fflush(None)


def children(pid: int) -> list[int]:
    """Return the direct children of a process, over all its threads; empty if it is gone."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as listing:
                found.extend(int(word) for word in listing.read().split())
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Return every process below `pid`, nearest first."""
    found: list[int] = []
    level = children(pid)
    while level:
        found.extend(level)
        level = [below for child in level for below in children(child)]
    return found
