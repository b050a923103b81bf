"""Answers that are sent while they are read."""

from collections.abc import AsyncIterator
from typing import TypeVar

T = TypeVar("T", bytes, str)


async def begun(content: AsyncIterator[T]) -> AsyncIterator[T]:
    """Return `content` with its first piece already read, so that its errors still find a status line."""
    first = await anext(content, None)

    async def whole() -> AsyncIterator[T]:
        if first is not None:
            yield first
        async for piece in content:
            yield piece

    return whole()
