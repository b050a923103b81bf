"""The log of one build, sent on as it grows."""

import asyncio

from qrt_chassis.bus.port import Bus
from qrt_contracts.events import BuildProgress
from qrt_executor.service.outputs import publish_for_ever

PACK_SECONDS = 0.1
"""How long lines wait for others to be sent with."""
MOST_LINES = 10_000
MOST_BYTES = 2 << 20
LINE_CHARACTERS = 4000
SILENCE_SECONDS = 45.0
"""A build that prints nothing for so long says that it goes on: a silent one would be ordered again."""
_BATCH_LINES = 500


class Progress:
    """Numbers the lines of a build and publishes them, in order, while `publish_all` runs."""

    def __init__(
        self, bus: Bus, *, program_id: str, version: int, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self._bus = bus
        self._program_id = program_id
        self._version = version
        self._silence = silence_seconds
        self._pending: list[str] = []
        self._changed = asyncio.Event()
        self._closing = False
        self._bytes = 0
        self._dropped = 0
        self.last_line = 0
        """Number of the newest line."""

    def say(self, text: str) -> None:
        """Take in lines. Past a limit they are counted, and no more."""
        for line in text.splitlines() or [""]:
            kept = line[:LINE_CHARACTERS]
            self._bytes += len(kept.encode("utf-8", "replace"))
            if self.last_line >= MOST_LINES or self._bytes > MOST_BYTES:
                self._dropped += 1
            else:
                self._add(kept)

    def close(self) -> None:
        """Nothing more comes; `publish_all` ends when everything is out."""
        if self._dropped:
            self._add(f"… {self._dropped} lines of the log dropped: it was longer than is kept")
        self._closing = True
        self._changed.set()

    async def publish_all(self) -> None:
        """Publish lines until `close` was called and all of them are confirmed."""
        first = 1
        while True:
            await self._news()
            if not self._closing:
                await asyncio.sleep(PACK_SECONDS)
            self._changed.clear()
            while self._pending:
                batch, self._pending = self._pending[:_BATCH_LINES], self._pending[_BATCH_LINES:]
                await self._send(first, batch)
                first += len(batch)
            if self._closing:
                return

    async def _news(self) -> None:
        """Return when there is something to publish."""
        try:
            async with asyncio.timeout(self._silence):
                await self._changed.wait()
        except TimeoutError:
            self._add("(the build goes on)")

    async def _send(self, first: int, lines: list[str]) -> None:
        event = BuildProgress(
            program_id=self._program_id, version=self._version, first=first, lines=tuple(lines)
        )
        await publish_for_ever(self._bus, event)

    def _add(self, line: str) -> None:
        # Whatever a build prints: no half characters, no NUL, for stores and terminals alike.
        shown = line.encode("utf-8", "replace").decode().replace("\0", "\\0")
        self._pending.append(shown)
        self.last_line += 1
        self._changed.set()
