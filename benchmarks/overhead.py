"""What isolation costs beside time: CPU per job; memory of the zygote, a parked sandbox and a running job.

CPU is what the kernel has charged the processes themselves, those that have ended included. Memory is the
proportional set size (PSS): a page that several share counts for each by its part.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from qrt_executor.adapters import processes

MARKER = "measured job"
RUNNING = (
    Path("examples/hello.py").read_text()
    + f"""

def run(task, userpub, params, hello=run):
    hello(task, userpub, params)
    with open("/proc/self/comm", "w") as name:
        name.write({MARKER!r})
    import time
    time.sleep(params["seconds"])
"""
)
"""The hello circuit; then it names its process and holds still while it is looked at."""
_TICKS = os.sysconf("SC_CLK_TCK")
_LOOKS_PER_SECOND = 25


def zygote() -> int:
    """Return the pid of the zygote below this process: the first Python that runs its script."""
    for pid in processes.descendants(os.getpid()):
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"python" in argv[0] and any(each.endswith(b"/zygote.py") for each in argv):
            return pid
    raise SystemExit("no zygote is to be found")


def cpu_ms(pid: int) -> float:
    """Return the CPU time of a process and of all that it has collected, in milliseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * 1000 / _TICKS


def _megabytes(size: int) -> float:
    return round(size / 1e6, 1)


def cpu(parent: int) -> tuple[float, float]:
    """Return the CPU milliseconds of this process, and of a zygote with all its sandboxes."""
    return time.process_time() * 1000, cpu_ms(parent)


async def memory(parent: int, begin: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Return the memory of a zygote, of its median parked sandbox, and of the job that `begin` runs."""
    parked = sorted(map(_held, _jails(parent)))
    job = asyncio.ensure_future(begin())
    try:
        running = await _marked(parent)
        held = _held(running)
    finally:
        await job
    return {
        "zygote_pss_mb": _megabytes(processes.proportional_bytes(parent)),
        "parked_jail_pss_mb": _megabytes(parked[len(parked) // 2]),
        "running_job_pss_mb": _megabytes(held),
    }


def _jails(parent: int) -> list[int]:
    """Return the first process of each jail; their keepers have no memory but the zygote's."""
    return [pid for pid in processes.children(parent) if not _keeps(pid)]


def _keeps(pid: int) -> bool:
    """Tell whether a process is pid 1 of its pid namespace."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line for line in status if line.startswith("NSpid:")).split()[-1] == "1"


def _held(program: int) -> int:
    """Return the PSS of a process and all below it, in bytes."""
    return sum(map(processes.proportional_bytes, (program, *processes.descendants(program))))


async def _marked(parent: int) -> int:
    """Return the sandbox in which the program has named its process."""
    async with asyncio.timeout(20):
        while True:
            for program in _jails(parent):
                if _name(program) == MARKER:
                    return program
            await asyncio.sleep(1 / _LOOKS_PER_SECOND)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
