"""Jobs by their tags, on the embedded database."""

import pytest

from qrt_contracts.commands import ListJobs
from tests.integration.scheduler.conftest import Replica

pytestmark = pytest.mark.kipu


async def test_jobs_are_found_by_each_of_their_tags(replica: Replica) -> None:
    both = await replica.submit(tags=("a", "b"))
    one = await replica.submit(tags=("b",))
    await replica.submit(owner="bob", tags=("a",))

    async def found(tag: str) -> list[str]:
        return [job.id for job in (await replica.bus.request(ListJobs(caller="alice", tag=tag))).jobs]

    assert await found("a") == [both.id]
    assert await found("b") == [one.id, both.id]
    assert await found("c") == []
