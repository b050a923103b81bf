"""Fixtures of the executor's integration tests."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from qrt_contracts.values import Isolation
from qrt_executor.adapters.bubblewrap import find_bubblewrap
from tests.integration.executor.rig import PROGRAM_PYTHON, Rig, rig
from tests.support.engines import require
from tests.support.kernel import LANDLOCK_VERSION, landlock_version


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory that the programs' user can reach too; pytest's own are closed to it."""
    require(PROGRAM_PYTHON.exists(), what="the environment of programs")
    with tempfile.TemporaryDirectory(prefix="qrt-tests-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="session", params=[Isolation.JAIL, Isolation.LANDLOCK, Isolation.PROCESS], ids=str)
def level(request: pytest.FixtureRequest) -> Isolation:
    """Each isolation level that this host offers."""
    found: Isolation = request.param
    if found is Isolation.JAIL:
        require(find_bubblewrap(), what="bubblewrap")
    if found is Isolation.LANDLOCK:
        require(landlock_version() >= LANDLOCK_VERSION, what="Landlock version 6, of Linux 6.12")
    return found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def executor(mongo_url: str, scratch: Path, level: Isolation) -> AsyncIterator[Rig]:
    """An executor that the tests of a run share."""
    async with rig(mongo_url, scratch, level=level) as shared:
        yield shared
