"""Answers that are sent while they are read."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Send
from typing_extensions import override

from qrt_contracts.faults import RuntimeFault

log = logging.getLogger(__name__)

T = TypeVar("T")


class Streamed(StreamingResponse):
    """An answer that closes what it is read from, also when the client leaves before the end."""

    def __init__(self, content: AsyncGenerator[str, None], *, media_type: str) -> None:
        # Proxies that gather what they pass on would keep it until the job has ended.
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(content, headers=headers, media_type=media_type)
        self._content = content

    @override
    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._content):
            try:
                await super().stream_response(send)
            except RuntimeFault as fault:
                # An answer cut off, without its last chunk, is how its client learns that there is more.
                log.info("a stream is broken off: %s", fault.detail)


async def begun(content: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Return `content` with its first piece already read, so that its errors still find a status line."""
    first = await anext(content, None)

    async def whole() -> AsyncGenerator[T, None]:
        try:
            if first is not None:
                yield first
            async for piece in content:
                yield piece
        finally:
            if isinstance(content, AsyncGenerator):
                await content.aclose()

    return whole()


async def with_pauses(content: AsyncGenerator[T, None], *, seconds: float) -> AsyncGenerator[T | None, None]:
    """Yield what `content` does, and None whenever nothing came for `seconds`."""
    coming: asyncio.Future[T] | None = None
    async with aclosing(content):
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(content))
                await asyncio.wait({coming}, timeout=seconds)
                if not coming.done():
                    yield None
                    continue
                done, coming = coming, None
                try:
                    piece = done.result()
                except StopAsyncIteration:
                    return
                yield piece
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait({coming})
