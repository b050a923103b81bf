"""Each recorded release, and today's services on its databases."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.engines import require
from tests.system.composition import PROGRAM_PYTHON
from tests.upgrade import recording
from tests.upgrade.world import Upgraded, open_folder, packages, upgraded

pytestmark = pytest.mark.upgrade


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A directory that the programs' user can reach too."""
    require(PROGRAM_PYTHON.exists(), what="the environment of programs")
    with open_folder() as found:
        yield found


@pytest.fixture(scope="session")
def wheels() -> Iterator[Path]:
    """What every project's environment is made of."""
    with packages() as found:
        yield found


@pytest.fixture(scope="module", params=recording.versions())
def version(request: pytest.FixtureRequest) -> str:
    """Each recorded release."""
    found: str = request.param
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def all_services(version: str, mongo_url: str, folder: Path, wheels: Path) -> AsyncIterator[Upgraded]:
    """All four services of today on a release's databases."""
    async with upgraded(version, mongo_url, executor=(folder / version, wheels)) as whole:
        yield whole
