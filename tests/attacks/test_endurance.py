"""A thousand jobs of ten tenants in a row leave nothing behind."""

import asyncio
import gc
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from qrt_executor.adapters.bubblewrap import OUTPUT
from tests.attacks.conftest import processes
from tests.integration.executor.rig import Rig, body
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOBS, TENANTS = 1000, 10
GROWTH_BYTES = 24 << 20
"""Of this process, which holds the executor, the bus and the test's own record of what was told."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the executor holds of the machine while it is idle."""

    processes: int
    descriptors: int
    mounts: int
    groups: int
    directories: int


def held(scratch: Path) -> Held:
    mounts = Path("/proc/self/mountinfo").read_text().count("\n")
    own = f"qrt-{os.getpid()}-"
    # Unlike a glob, a walk does not mind that others' groups go away meanwhile.
    groups = sum(name.startswith(own) for _, names, _ in os.walk("/sys/fs/cgroup") for name in names)
    return Held(
        processes=len(processes()),
        descriptors=len(os.listdir("/proc/self/fd")),
        mounts=mounts,
        groups=groups,
        directories=len(list(scratch.glob("qrt-*"))),
    )


def parked() -> int:
    """Count the jails that have reported: this process holds the output directory of each."""
    return sum(os.path.realpath(f"/proc/self/fd/{fd}") == OUTPUT for fd in os.listdir("/proc/self/fd"))


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def run_many(executor: Rig, jobs: int) -> None:
    """Run jobs of all tenants in turn, as many at once as there are slots."""
    source = body("import os", "open(os.environ['OUTPUT_DIRECTORY'] + '/f', 'w').write('x')", "return 1")
    left = iter(range(jobs))

    async def slot() -> None:
        for number in left:
            told = await executor.run(source, owner=f"tenant-{number % TENANTS}")
            assert told.end.end == "succeeded", told.end
            del executor.told[told.end.job_id]

    await asyncio.gather(*(slot() for _ in range(executor.settings.slots)))


async def idle(executor: Rig, most: Held) -> None:
    def as_before() -> bool:
        now = held(executor.settings.scratch)
        return all(getattr(now, name) <= getattr(most, name) for name in Held.__slots__)

    await wait_until(as_before, description=f"no more held than {most}", seconds=20)


async def test_a_thousand_jobs_of_ten_tenants_leave_nothing_behind(executor: Rig) -> None:
    await run_many(executor, 100)  # pools, caches and arenas find their size
    most = 2 * executor.settings.slots + 2  # two are made at a time, and wait for room
    await wait_until(lambda: parked() == most, description="parked sandboxes", seconds=20)
    before, memory = held(executor.settings.scratch), resident()
    await run_many(executor, JOBS)
    await idle(executor, before)
    assert resident() - memory < GROWTH_BYTES
