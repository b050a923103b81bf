"""Indexes are kept as this release defines them, whatever an earlier one has made."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection
from pydantic import SecretStr

from qrt_chassis.settings import MongoSettings
from qrt_chassis.store import drop_index, keep_index, open_store
from qrt_contracts.ids import new_id

Collection = AsyncIOMotorCollection[dict[str, Any]]


@pytest.fixture
async def collection(mongo_url: str) -> AsyncIterator[Collection]:
    settings = MongoSettings(url=SecretStr(mongo_url), prefix=f"t{new_id()[-12:]}-")
    async with open_store(settings) as store:
        yield store.database("indexed")["things"]


async def _defined(collection: Collection, name: str) -> tuple[list[tuple[str, int]], bool, bool]:
    found = (await collection.index_information())[name]
    return list(found["key"]), bool(found.get("unique")), bool(found.get("sparse"))


async def test_an_index_that_stands_stays_as_it_is(collection: Collection) -> None:
    for _ in range(2):
        await keep_index(collection, [("owner", 1), ("name", -1)], unique=True)
    assert await _defined(collection, "owner_1_name_-1") == ([("owner", 1), ("name", -1)], True, False)


@pytest.mark.parametrize(
    ("before", "options"),
    [
        pytest.param("word", {"name": "by_word"}, id="of other options"),
        pytest.param("other", {"name": "by_word", "unique": True}, id="of other keys"),
        pytest.param("word", {"name": "another", "unique": True}, id="of another name"),
        pytest.param("word", {"name": "by_word", "unique": True, "sparse": True}, id="of more options"),
    ],
)
async def test_one_that_an_earlier_release_defined_otherwise_is_made_anew(
    collection: Collection, before: str, options: dict[str, Any]
) -> None:
    await collection.insert_one({"word": "a", "other": 1})
    await collection.create_index(before, **options)
    await keep_index(collection, "word", unique=True, name="by_word")
    assert await _defined(collection, "by_word") == ([("word", 1)], True, False)
    assert set(await collection.index_information()) == {"_id_", "by_word"}


async def test_an_index_that_is_needed_no_more_is_dropped_once(collection: Collection) -> None:
    await drop_index(collection, "word_1")
    await keep_index(collection, "word")
    for _ in range(2):
        await drop_index(collection, "word_1")
        assert set(await collection.index_information()) == {"_id_"}
