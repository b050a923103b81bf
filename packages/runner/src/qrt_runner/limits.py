"""Resource limits of the program's process, set when its run starts."""

import math
import resource
from typing import Any

_RUNTIME_PROCESSES = 1  # the program's first process counts as well


def apply(settings: dict[str, Any], *, mapped_bytes: int, own_user_namespace: bool) -> None:
    """Set the kernel's limits on this process and what it starts; they cannot be raised again.

    The number of processes is counted per user: it is limited only where the jail has a user
    namespace, and with it a count, of its own.
    """
    memory = settings["memory_bytes"] + mapped_bytes  # what the zygote had mapped costs nothing
    cpu = math.ceil(settings["cpu_seconds"])
    _set(resource.RLIMIT_AS, memory)
    _set(resource.RLIMIT_FSIZE, settings["file_bytes"])
    _set(resource.RLIMIT_NOFILE, settings["open_files"])
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_MSGQUEUE, 0)
    _set(resource.RLIMIT_SIGPENDING, 1024)
    _set(resource.RLIMIT_CPU, cpu, above=1)  # SIGXCPU tells; a program that ignores it is killed
    if own_user_namespace:
        _set(resource.RLIMIT_NPROC, settings["processes"] + _RUNTIME_PROCESSES)


def _set(limit: int, value: int, *, above: int = 0) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value, above = min(value, hard), 0 if value + above > hard else above
    resource.setrlimit(limit, (value, value + above))


def mapped_bytes() -> int:
    """Return what this process has mapped. Asked before it is confined: it may not be told later."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()
