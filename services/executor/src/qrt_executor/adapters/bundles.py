"""Program sources from the artifact store, kept while they are in use."""

import hashlib
from collections import OrderedDict
from typing import Protocol

from qrt_contracts.values import Artifact
from qrt_executor.ports import BundleUnusable


class Blobs(Protocol):
    """What this needs of the chassis' ArtifactStore."""

    async def read_all(self, sha256: str, *, limit: int) -> bytes:
        """Return a blob's content. Raises NotFound, TooLarge."""


class CachedBundles:
    """`ports.Bundles`: the least recently used go when `capacity_bytes` are held."""

    def __init__(self, blobs: Blobs, *, capacity_bytes: int) -> None:
        self._blobs = blobs
        self._capacity = capacity_bytes
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    async def source(self, bundle: Artifact) -> bytes:
        """Return the bundle's bytes, checked against its digest.

        Raises:
            BundleUnusable: what is stored is not what the digest says.
        """
        held = self._held.get(bundle.sha256)
        if held is not None:
            self._held.move_to_end(bundle.sha256)
            return held
        data = await self._blobs.read_all(bundle.sha256, limit=bundle.size)
        if hashlib.sha256(data).hexdigest() != bundle.sha256:
            raise BundleUnusable(f"the stored bundle {bundle.sha256} is damaged")
        self._keep(bundle.sha256, data)
        return data

    def _keep(self, digest: str, data: bytes) -> None:
        if digest in self._held or len(data) > self._capacity:
            return
        self._held[digest] = data
        self._size += len(data)
        while self._size > self._capacity:
            _, dropped = self._held.popitem(last=False)
            self._size -= len(dropped)
