"""A process that costs nothing and does nothing: pid 1 of a jail."""

import ctypes
import platform
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qrt_runner.system import check, libc

_CLONE_VM, _CLONE_FILES, _CLONE_PIDFD = 0x100, 0x400, 0x1000
_SYS_RT_SIGPROCMASK = {"x86_64": 14, "aarch64": 135}
_SIG_SETMASK = 2
_ALL_SIGNALS = b"\xff" * 8
_CONTEXT_BYTES, _STACK_BYTES = 8192, 4096
"""More than a `ucontext_t` takes, and than each of the calls needs."""
_CALLS = 3


class Sleeper:
    """A process that collects its dead children and otherwise sleeps, until it is killed.

    It shares this one's memory and descriptors, as after vfork(2), so that it costs no copy of them, and must
    therefore run no Python. It runs functions of the C library, each in a context (makecontext(3)) with a
    stack of its own: signal(2), to ignore SIGCHLD, by which the kernel collects its children, and then
    pause(2), with every signal blocked. Should that ever return, _exit(2) follows, not the C library's way
    out through this process's memory. The stacks are in memory that this object holds: keep it until the
    process is dead.
    """

    def __init__(self, *, new: int) -> None:
        """Start it, where this process's children go. For a process with one thread. Raises OSError.

        `new` are the namespaces (CLONE_NEW...) that it gets of its own.
        """
        self._memory = ctypes.create_string_buffer(_CALLS * (_CONTEXT_BYTES + _STACK_BYTES) + _STACK_BYTES)
        with _blocking_signals():  # contexts hold the mask as well
            leaving = self._context(0, libc._exit, 1, then=0)
            pausing = self._context(1, libc.pause, then=leaving)
            ignoring = self._context(2, libc.signal, signal.SIGCHLD, signal.SIG_IGN, then=pausing)
            self.pid, self.pidfd = self._clone(ignoring, new)

    def _context(self, number: int, function: Any, *arguments: int, then: int) -> int:
        """Return where the context is that calls `function` and goes on to the context `then`."""
        offset = number * _CONTEXT_BYTES
        at = ctypes.c_void_p(ctypes.addressof(self._memory) + offset)
        check(libc.getcontext(at), "getcontext")
        # uc_link and uc_stack come after one word of flags, on every 64-bit Linux.
        struct.pack_into("PPiN", self._memory, offset + 8, then, self._stack(number), 0, _STACK_BYTES)
        libc.makecontext(at, ctypes.cast(function, ctypes.c_void_p), len(arguments), *map(int, arguments))
        return ctypes.addressof(self._memory) + offset

    def _stack(self, number: int) -> int:
        return ctypes.addressof(self._memory) + _CALLS * _CONTEXT_BYTES + number * _STACK_BYTES

    def _clone(self, context: int, new: int) -> tuple[int, int]:
        pidfd = ctypes.c_int(-1)
        pid = int(
            libc.clone(
                ctypes.cast(libc.setcontext, ctypes.c_void_p),
                ctypes.c_void_p(self._stack(_CALLS) + _STACK_BYTES),
                ctypes.c_int(new | _CLONE_VM | _CLONE_FILES | _CLONE_PIDFD | signal.SIGCHLD),
                ctypes.c_void_p(context),
                ctypes.byref(pidfd),
            )
        )
        check(min(pid, 0), "clone")
        return pid, pidfd.value


@contextmanager
def _blocking_signals() -> Iterator[None]:
    """Block all signals, those too that the C library keeps for itself and never blocks when asked.

    For these it may have handlers, left by a thread that has been; pid 1 gets what it has a handler for.
    """
    number = ctypes.c_long(_SYS_RT_SIGPROCMASK[platform.machine()])
    size = ctypes.c_size_t(len(_ALL_SIGNALS))
    before = ctypes.create_string_buffer(len(_ALL_SIGNALS))
    check(libc.syscall(number, _SIG_SETMASK, _ALL_SIGNALS, before, size), "rt_sigprocmask")
    try:
        yield
    finally:
        libc.syscall(number, _SIG_SETMASK, before, None, size)
