"""The artifact store: immutable blobs addressed by the sha256 of their content, in GridFS."""

from collections.abc import AsyncIterable, AsyncIterator

from qrt_chassis.store import Store
from qrt_contracts.values import Artifact, Payload


class ArtifactStore:
    """Content-addressed blobs. Everything streams: no blob is ever whole in memory."""

    def __init__(self, store: Store) -> None:
        self._database = store.database("artifacts")

    async def put(self, data: bytes | AsyncIterable[bytes], *, limit: int | None = None) -> Artifact:
        """Store `data` and return its address; storing the same content twice keeps one copy.

        Raises:
            TooLarge: more than `limit` bytes; nothing is left behind.
        """
        raise NotImplementedError

    def read(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`, without reading the others.

        Raises:
            NotFound: there is no such artifact.
        """
        raise NotImplementedError

    async def read_all(self, sha256: str, *, limit: int) -> bytes:
        """Return the whole content.

        Raises:
            NotFound: there is no such artifact.
            TooLarge: it holds more than `limit` bytes.
        """
        raise NotImplementedError

    async def delete(self, sha256: str) -> None:
        """Remove an artifact; no error if there is none."""
        raise NotImplementedError

    async def wrap(self, text: str) -> Payload:
        """Return `text` as a payload: inline while it is small, as an artifact otherwise."""
        raise NotImplementedError

    async def unwrap(self, payload: Payload, *, limit: int) -> str:
        """Return the text of a payload.

        Raises:
            NotFound: its artifact is gone.
            TooLarge: it holds more than `limit` bytes.
        """
        raise NotImplementedError
