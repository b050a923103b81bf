"""Long lists of jobs, page by page, on the embedded database."""

import time

import pytest
import pytest_asyncio

from qrt_chassis.store import Store
from qrt_contracts.ids import new_id
from qrt_scheduler.adapters import pages
from qrt_scheduler.adapters.mongo import DATABASE
from qrt_scheduler.adapters.pages import Document, Pages

YEARS = 100 * 365 * 86400
MINE = {"owner": "alice"}


class Jobs:
    """Alice's 25 jobs among as many of bob's, and clocks that a test moves."""

    def __init__(self, store: Store) -> None:
        self.later = 0.0
        self.wall = time.time() + YEARS
        self.stored = store.database(DATABASE)["jobs"]
        self.ids = [new_id() for _ in range(50)]
        self.mine = self.ids[1::2][::-1]
        self.pages = Pages(
            store, DATABASE, monotonic=lambda: time.monotonic() + self.later, wall=lambda: self.wall
        )

    async def store(self) -> None:
        owners = ("bob", "alice")
        await self.stored.insert_many(
            [{"_id": each, "owner": owners[at % 2]} for at, each in enumerate(self.ids)]
        )

    async def read(self, limit: int, before: str | None, query: Document = MINE) -> list[str]:
        return [each["_id"] for each in await self.pages.read(query, limit=limit, before=before)]

    async def all(self, limit: int) -> list[str]:
        found = await self.read(limit, None)
        while page := await self.read(limit, found[-1]):
            found += page
        return found


@pytest_asyncio.fixture
async def jobs(store: Store) -> Jobs:
    made = Jobs(store)
    await made.store()
    return made


@pytest.mark.parametrize("ahead", [3, 8, 10_000])
async def test_pages_hold_every_job_once_newest_first(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    monkeypatch.setattr(pages, "AHEAD", ahead)
    for limit in (1, 4, 25, 30):
        assert await jobs.all(limit) == jobs.mine


async def test_deleted_jobs_make_room_for_those_after_them(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "AHEAD", 12)
    assert await jobs.read(4, jobs.mine[0]) == jobs.mine[1:5]
    await jobs.stored.delete_many({"_id": {"$in": jobs.mine[5:15]}})
    assert await jobs.read(4, jobs.mine[4]) == jobs.mine[15:19]
    assert await jobs.read(30, jobs.mine[4]) == jobs.mine[15:]


async def test_a_job_that_leaves_the_list_is_not_shown_from_what_was_known(jobs: Jobs) -> None:
    assert await jobs.read(2, jobs.mine[0]) == jobs.mine[1:3]
    await jobs.stored.update_one({"_id": jobs.mine[3]}, {"$set": {"owner": "bob"}})
    assert await jobs.read(2, jobs.mine[2]) == jobs.mine[4:6]


async def test_what_may_change_and_what_is_new_is_read_anew(jobs: Jobs) -> None:
    # A state changes, so that a list by states is never known ahead.
    waiting = {**MINE, "status": "QUEUED"}
    await jobs.stored.update_many({"_id": {"$in": jobs.mine[:6]}}, {"$set": {"status": "QUEUED"}})
    assert await jobs.read(2, jobs.mine[0], waiting) == jobs.mine[1:3]
    await jobs.stored.update_one({"_id": jobs.mine[9]}, {"$set": {"status": "QUEUED"}})
    assert await jobs.read(9, jobs.mine[2], waiting) == [*jobs.mine[3:6], jobs.mine[9]]
    # Below an id of just now, one that was made before may still come.
    jobs.wall = time.time()
    assert await jobs.read(2, jobs.mine[0]) == jobs.mine[1:3]
    await jobs.stored.delete_one({"_id": jobs.ids[0]})
    late = f"{int(jobs.mine[4], 16) + 1:032x}"
    await jobs.stored.insert_one({"_id": late, "owner": "alice"})
    assert await jobs.read(3, jobs.mine[2]) == [jobs.mine[3], late, jobs.mine[4]]


async def test_what_is_known_is_forgotten_after_a_while(jobs: Jobs) -> None:
    assert await jobs.read(2, jobs.mine[0]) == jobs.mine[1:3]
    restored = f"{int(jobs.mine[4], 16) + 1:032x}"
    await jobs.stored.insert_one({"_id": restored, "owner": "alice"})
    jobs.later = pages.KNOWN_SECONDS + 1
    assert await jobs.read(2, jobs.mine[3]) == [restored, jobs.mine[4]]
