"""CPU time and memory of trees of processes, as the kernel counts them.

CPU time counts the processes themselves and every child they have collected, so a process that lived for
one job is counted with its parent. Memory is the proportional set size (PSS): a page that several share
counts for each by its part.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from qrt_executor.adapters import processes

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(roots: Iterable[int]) -> list[int]:
    """Return these processes and everything below them."""
    return [each for root in roots for each in (root, *processes.descendants(root))]


def cpu_ms(roots: Iterable[int]) -> float:
    """Return the CPU time of these processes, all below them and all that they have collected."""
    return sum(map(_charged_ms, tree(roots)))


def _charged_ms(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) * 1000 / _TICKS


def machine_cpu_ms() -> float:
    """Return the CPU time that all processes of the machine have had, the kernel's own work included."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split(maxsplit=8)[1:8])
    return (user + nice + system + irq + softirq) * 1000 / _TICKS


def pss_mb(roots: Iterable[int]) -> float:
    """Return the memory of these processes and all below them, in 10^6 bytes."""
    return round(sum(map(processes.proportional_bytes, tree(roots))) / 1e6, 1)
