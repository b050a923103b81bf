"""The artifact store, on the embedded server."""

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from motor.motor_asyncio import AsyncIOMotorDatabase
from pydantic import SecretStr

from qrt_chassis.artifacts import CHUNK_BYTES, UPLOAD_GRACE, ArtifactStore
from qrt_chassis.settings import MongoSettings
from qrt_chassis.store import Store, open_store
from qrt_contracts.faults import NotFound, TooLarge
from qrt_contracts.ids import new_id
from qrt_contracts.values import INLINE_BYTES

MEGABYTE = 1024 * 1024


@pytest.fixture
async def store(mongo_url: str) -> AsyncIterator[Store]:
    settings = MongoSettings(url=SecretStr(mongo_url), prefix=f"t{new_id()[-12:]}_")
    async with open_store(settings) as opened:
        yield opened


@pytest.fixture
def artifacts(store: Store) -> ArtifactStore:
    return ArtifactStore(store)


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield number.to_bytes(4, "big") * (size // 4)


async def what_is_stored(store: Store) -> tuple[int, int]:
    database: AsyncIOMotorDatabase[dict[str, object]] = store.database("artifacts")
    files = await database["fs.files"].count_documents({})
    return files, await database["fs.chunks"].count_documents({})


async def test_what_was_put_is_read_back_under_its_digest(artifacts: ArtifactStore) -> None:
    content = b"circuit" * 1000
    artifact = await artifacts.put(content)
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert artifact.size == len(content)
    assert await artifacts.read_all(artifact.sha256, limit=len(content)) == content


async def test_an_empty_blob_is_a_blob(artifacts: ArtifactStore) -> None:
    artifact = await artifacts.put(b"")
    assert artifact.size == 0
    assert await artifacts.read_all(artifact.sha256, limit=0) == b""


async def test_a_stream_is_the_same_artifact_as_its_bytes(artifacts: ArtifactStore, store: Store) -> None:
    whole = b"".join([piece async for piece in pieces(3, 700_000)])
    streamed = await artifacts.put(pieces(3, 700_000))
    assert await artifacts.put(whole) == streamed
    assert (await what_is_stored(store))[0] == 1


async def test_content_stored_twice_is_kept_once(artifacts: ArtifactStore, store: Store) -> None:
    first = await artifacts.put(pieces(2, MEGABYTE))
    before = await what_is_stored(store)
    assert await artifacts.put(pieces(2, MEGABYTE)) == first
    assert await what_is_stored(store) == before == (1, 2)


async def test_content_stored_by_many_at_once_is_kept_once(store: Store) -> None:
    stores = [ArtifactStore(store) for _ in range(8)]
    addresses = await asyncio.gather(*(each.put(pieces(2, MEGABYTE)) for each in stores))
    assert len(set(addresses)) == 1
    assert await what_is_stored(store) == (1, 2)
    assert len(await stores[0].read_all(addresses[0].sha256, limit=2 * MEGABYTE)) == 2 * MEGABYTE


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 1),
        (5, 5),
        (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (CHUNK_BYTES, 2 * CHUNK_BYTES),
        (7, None),
        (9, 10**9),
    ],
)
async def test_a_range_is_read_alone(artifacts: ArtifactStore, start: int, end: int | None) -> None:
    content = b"".join([piece async for piece in pieces(5, 600_000)])
    artifact = await artifacts.put(content)
    read = [piece async for piece in artifacts.read(artifact.sha256, start=start, end=end)]
    assert b"".join(read) == content[start:end]


async def test_a_range_at_the_end_reads_nothing_of_the_beginning(
    artifacts: ArtifactStore, store: Store
) -> None:
    artifact = await artifacts.put(pieces(4, MEGABYTE))
    await store.database("artifacts")["fs.chunks"].delete_many({"n": {"$lt": 3}})
    tail = [piece async for piece in artifacts.read(artifact.sha256, start=4 * MEGABYTE - 8)]
    assert b"".join(tail) == b"\x00\x00\x00\x03" * 2


async def test_what_is_not_there_is_not_found(artifacts: ArtifactStore) -> None:
    with pytest.raises(NotFound):
        await artifacts.read_all("0" * 64, limit=10)


async def test_a_blob_past_its_limit_is_refused_and_leaves_nothing(
    artifacts: ArtifactStore, store: Store
) -> None:
    with pytest.raises(TooLarge):
        await artifacts.put(pieces(4, MEGABYTE), limit=3 * MEGABYTE)
    with pytest.raises(TooLarge):
        await artifacts.put(b"12345", limit=4)
    assert await what_is_stored(store) == (0, 0)


async def test_a_source_that_fails_half_way_leaves_nothing(artifacts: ArtifactStore, store: Store) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces(3, MEGABYTE):
            yield piece
        raise ConnectionError("the client has gone")

    with pytest.raises(ConnectionError):
        await artifacts.put(broken())
    assert await what_is_stored(store) == (0, 0)


async def test_a_put_cancelled_half_way_leaves_nothing(artifacts: ArtifactStore, store: Store) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * MEGABYTE
            reached.set()

    putting = asyncio.create_task(artifacts.put(endless()))
    await reached.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await what_is_stored(store) == (0, 0)


async def test_reading_more_than_allowed_is_refused(artifacts: ArtifactStore) -> None:
    artifact = await artifacts.put(pieces(3, MEGABYTE))
    with pytest.raises(TooLarge):
        await artifacts.read_all(artifact.sha256, limit=MEGABYTE)


async def test_a_deleted_artifact_is_gone_and_deleting_again_is_harmless(
    artifacts: ArtifactStore, store: Store
) -> None:
    artifact = await artifacts.put(b"x")
    await artifacts.delete(artifact.sha256)
    await artifacts.delete(artifact.sha256)
    assert await what_is_stored(store) == (0, 0)
    with pytest.raises(NotFound):
        await artifacts.read_all(artifact.sha256, limit=10)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_grace(self) -> None:
        self.now += UPLOAD_GRACE + timedelta(seconds=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def two(store: Store, clock: Clock) -> tuple[ArtifactStore, ArtifactStore]:
    """Two replicas'."""
    return ArtifactStore(store, clock=clock), ArtifactStore(store, clock=clock)


Two = tuple[ArtifactStore, ArtifactStore]


async def test_an_upload_that_nobody_keeps_is_removed_in_time(two: Two, store: Store, clock: Clock) -> None:
    await two[0].put(pieces(3, 700_000), upload=True)
    assert await two[1].sweep() == 0
    clock.pass_grace()
    assert sorted(await asyncio.gather(two[0].sweep(), two[1].sweep())) == [0, 1]
    assert await what_is_stored(store) == (0, 0)


@pytest.mark.parametrize("how", ["kept", "put otherwise", "put otherwise before"])
async def test_an_upload_that_somebody_uses_stays(two: Two, clock: Clock, how: str) -> None:
    if how == "put otherwise before":
        await two[1].put(b"content")
    uploaded = await two[0].put(b"content", upload=True)
    if how == "kept":
        await two[1].keep(uploaded.sha256)
    if how == "put otherwise":
        await two[1].put(pieces(0, 0))
        await two[1].put(b"content")
    clock.pass_grace()
    assert await two[1].sweep() == 0
    await two[0].put(b"content", upload=True)  # and refused: that takes it from nobody
    clock.pass_grace()
    assert await two[1].sweep() == 0
    assert await two[0].read_all(uploaded.sha256, limit=100) == b"content"


async def test_an_upload_of_what_is_about_to_be_removed_is_safe(two: Two, clock: Clock) -> None:
    refused = await two[0].put(b"content", upload=True)
    clock.pass_grace()
    for one in (b"content", pieces_of(b"content")):
        assert (await two[1].put(one, upload=True)).sha256 == refused.sha256
        assert await two[0].sweep() == 0
    clock.pass_grace()
    await two[1].keep(refused.sha256)
    assert await two[0].sweep() == 0


async def test_uploads_and_sweeps_of_the_same_bytes_at_once_lose_nothing(
    two: Two, store: Store, clock: Clock
) -> None:
    for _ in range(10):
        await two[0].put(b"content", upload=True)
        clock.pass_grace()
        swept, uploaded = await asyncio.gather(two[0].sweep(), two[1].put(b"content", upload=True))
        await two[1].keep(uploaded.sha256)
        assert swept in (0, 1)
        assert await two[0].read_all(uploaded.sha256, limit=100) == b"content"
        assert (await what_is_stored(store))[0] == 1
        await two[0].delete(uploaded.sha256)


async def pieces_of(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_small_text_travels_inline_and_large_text_as_an_artifact(artifacts: ArtifactStore) -> None:
    small, large = '"ä"', '"' + "ä" * INLINE_BYTES + '"'
    inline, stored = await artifacts.wrap(small), await artifacts.wrap(large)
    assert inline.text == small
    assert stored.artifact is not None
    assert await artifacts.unwrap(inline, limit=100) == small
    assert await artifacts.unwrap(stored, limit=10**7) == large
    with pytest.raises(TooLarge):
        await artifacts.unwrap(stored, limit=100)
    with pytest.raises(TooLarge):
        await artifacts.unwrap(inline, limit=1)


async def test_two_hundred_megabytes_pass_through_a_small_memory(artifacts: ArtifactStore) -> None:
    count, size = 200, MEGABYTE
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    artifact = await artifacts.put(pieces(count, size))
    read = 0
    async for piece in artifacts.read(artifact.sha256):
        read += len(piece)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert read == artifact.size == count * size
    assert grown < 60 * MEGABYTE
