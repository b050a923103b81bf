"""Bundles are fetched once, checked, and dropped when there are too many."""

import hashlib

import pytest

from qrt_contracts.values import Artifact
from qrt_executor.adapters.bundles import CachedBundles
from qrt_executor.ports import BundleUnusable


class Blobs:
    """A tiny artifact store that counts."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.reads = 0

    def add(self, data: bytes) -> Artifact:
        digest = hashlib.sha256(data).hexdigest()
        self.held[digest] = data
        return Artifact(sha256=digest, size=len(data))

    async def read_all(self, sha256: str, *, limit: int) -> bytes:
        self.reads += 1
        assert len(self.held[sha256]) <= limit
        return self.held[sha256]


async def test_a_bundle_is_fetched_once() -> None:
    blobs = Blobs()
    bundle = blobs.add(b"source")
    bundles = CachedBundles(blobs, capacity_bytes=100)
    assert [await bundles.source(bundle) for _ in range(3)] == [b"source"] * 3
    assert blobs.reads == 1


async def test_the_least_recently_used_goes_first() -> None:
    blobs = Blobs()
    one, two, three = (blobs.add(text * 40) for text in (b"1", b"2", b"3"))
    bundles = CachedBundles(blobs, capacity_bytes=100)
    for bundle in (one, two, one, three, one):
        await bundles.source(bundle)
    assert blobs.reads == 3
    await bundles.source(two)
    assert blobs.reads == 4


async def test_a_bundle_larger_than_the_cache_is_not_kept() -> None:
    blobs = Blobs()
    bundle = blobs.add(b"x" * 200)
    bundles = CachedBundles(blobs, capacity_bytes=100)
    assert len(await bundles.source(bundle)) == len(await bundles.source(bundle))
    assert blobs.reads == 2


async def test_a_damaged_bundle_is_not_run() -> None:
    blobs = Blobs()
    bundle = blobs.add(b"source")
    blobs.held[bundle.sha256] = b"sourcE"
    with pytest.raises(BundleUnusable):
        await CachedBundles(blobs, capacity_bytes=100).source(bundle)
