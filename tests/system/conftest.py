"""Both compositions, started once for all tests that do not harm them."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from qrt_contracts.ids import new_id
from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode
from tests.support.wheels import PYDANTIC, compiled, installed, wheel
from tests.system.client import Api
from tests.system.composition import OTHER_TOKEN, TOKEN, Composition, four_services, standalone


@pytest.fixture(scope="session")
def wheels() -> Iterator[Path]:
    """A folder of packages in place of an index, where every user may read it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name, "wheels")
        folder.mkdir(mode=0o755)
        installed(folder, *PYDANTIC)
        wheel(folder, "plain", {"plain.py": "VALUE = 1\n"})
        compiled(folder, "fast")
        yield folder


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["services", "standalone"])
async def composition(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rabbit_node: RabbitNode,
    mongo_server: MongoServer,
    wheels: Path,
) -> AsyncIterator[Composition]:
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "standalone":
        async with standalone(directory / "data", "--wheels", str(wheels)) as whole:
            yield whole
    else:
        async with four_services(directory, rabbit_node.url, mongo_server.url, wheels=wheels) as whole:
            yield whole


@pytest_asyncio.fixture(loop_scope="session")
async def api(composition: Composition) -> AsyncIterator[Api]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=composition.url, headers=headers, timeout=90) as client:
        yield Api(client)


@pytest_asyncio.fixture(loop_scope="session")
async def other(composition: Composition, api: Api) -> AsyncIterator[Api]:
    """Somebody else."""
    token = OTHER_TOKEN
    if "standalone" in composition.processes:  # it starts with one account
        issued = await api.http.post("/v1/accounts", json={"name": f"bob-{new_id()}"})
        token = issued.json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=composition.url, headers=headers, timeout=90) as client:
        yield Api(client)
