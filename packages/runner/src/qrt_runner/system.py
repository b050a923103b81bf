"""The few system calls that Python does not offer: prctl and its like, by ctypes."""

import ctypes
import errno
import os
import signal
import struct

libc = ctypes.CDLL(None, use_errno=True)
"""The C library of this process."""

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 16384, 1 << 18


def prctl(option: int, value: int = 0) -> None:
    """Call prctl(2). Raises OSError."""
    check(libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def unshare(flags: int) -> None:
    """Call unshare(2). Raises OSError."""
    check(libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Call setns(2). Raises OSError."""
    check(libc.setns(descriptor, kind), "setns")


def fresh_signals() -> None:
    """Set what a fresh Python has, whatever this process was started with."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is not None:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def call(number: int, *arguments: int | bytes) -> int:
    """Make a system call by its number. Raises OSError."""
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        check(result, f"system call {number}")
    return result


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Call mount(2). Raises OSError."""
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    options = None if data is None else data.encode()
    check(libc.mount(*words, ctypes.c_ulong(flags), options), f"mount {target}")


def drop_capabilities() -> None:
    """Give up every capability for good: bounding, ambient, permitted, effective, inheritable."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as exc:
            if exc.errno != errno.EINVAL:
                raise
            break  # the first that this kernel does not know
    check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "PR_CAP_AMBIENT")
    header = struct.pack("=II", _CAPABILITY_VERSION_3, 0)
    check(libc.capset(header, bytes(24)), "capset")


def load_filter(program: bytes) -> None:
    """Load a seccomp filter (an array of sock_filter) on this thread; there is no way back."""
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HP", len(program) // 8, ctypes.addressof(code))  # struct sock_fprog
    check(libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), filter_, 0, 0), "PR_SET_SECCOMP")


def check(result: int, what: str) -> None:
    """Raise OSError unless a call of the C library has returned 0; `what` is what it was for."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


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
    libc.fflush(None)


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
