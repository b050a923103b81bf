"""An executor at level jail that the attacks share; after each it must be as before."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from qrt_contracts.values import Isolation
from qrt_executor.adapters.bubblewrap import find_bubblewrap
from tests.integration.executor.rig import PROGRAM_PYTHON, Rig, body, rig
from tests.support.engines import require
from tests.support.waiting import wait_until

ATTACKER_UID = 61977
"""Nobody else's on the machine, so that every process left behind can be counted."""


def processes() -> list[int]:
    """Return the live processes of the zygotes' and programs' user."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text()
            except OSError:
                continue
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            if fields["Uid"].split()[0] == str(ATTACKER_UID) and not fields["State"].startswith("Z"):
                found.append(int(entry.name))
    return found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared(mongo_url: str) -> AsyncIterator[Rig]:
    """The executor under attack."""
    require(find_bubblewrap(), what="bubblewrap")
    require(PROGRAM_PYTHON.exists(), what="the environment of programs")
    with tempfile.TemporaryDirectory(prefix="qrt-attacks-") as directory:
        os.chmod(directory, 0o755)
        async with rig(
            mongo_url,
            Path(directory),
            level=Isolation.JAIL,
            name="attacked",
            slots=2,
            service_uid=ATTACKER_UID,
        ) as attacked:
            yield attacked


@pytest_asyncio.fixture(loop_scope="session")
async def executor(shared: Rig) -> AsyncIterator[Rig]:
    """The executor, found healthy again after the attack: two tenants served, nothing left."""
    yield shared
    both = await asyncio.gather(*(shared.run(body("return 1"), owner=owner) for owner in ("alice", "bob")))
    assert [told.end.end for told in both] == ["succeeded", "succeeded"]
    # bwrap and the zygote, and two processes for each parked jail: 2 per slot and one in the making.
    most = 2 + 2 * (2 * shared.settings.slots + 2)
    await wait_until(lambda: len(processes()) <= most, description="no process left behind")
    own = "qrt-attempt-*"
    await wait_until(
        lambda: not list(shared.settings.scratch.glob(own)), description="no directory left behind"
    )
