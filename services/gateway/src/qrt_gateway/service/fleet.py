"""What the executors said of themselves a moment ago: a small live view of their heartbeats."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from qrt_chassis.bounded import Bounded
from qrt_chassis.bus.port import Bus, Subscription
from qrt_contracts.events import Heartbeat
from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from qrt_gateway.domain.backends import Offer, together

SILENT_SECONDS = 15.0
"""An executor that was silent for this long is not told of any more; several of its heartbeats."""
FIRST_SECONDS = 3.0
"""How long after its start a gateway waits for the first heartbeat: they come every 2 s."""
QUEUE_LENGTH = 1000
MAX_EXECUTORS = 10_000
MAX_BACKENDS = 1000
"""Names that are remembered as offline once nobody serves them; the oldest are forgotten first."""


class Fleet:
    """The executors and backends there are, as far as this gateway has heard."""

    def __init__(self, bus: Bus, *, monotonic: Callable[[], float]) -> None:
        self._bus = bus
        self._monotonic = monotonic
        self._beats: Bounded[str, tuple[float, Heartbeat]] = Bounded(MAX_EXECUTORS)
        self._backends: Bounded[str, Offer] = Bounded(MAX_BACKENDS)
        self._heard = asyncio.Event()
        self._started = monotonic()

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[None]:
        """Hear heartbeats inside the context."""
        queue = Subscription(
            queue=f"gateway.fleet.{new_id()}",
            bindings=((Exchange.EVENTS, "executor.#"),),
            durable=False,
            max_length=QUEUE_LENGTH,
        )
        subscribed = await self._bus.subscribe(queue, {Heartbeat: self._on_heartbeat})
        try:
            yield
        finally:
            await subscribed.cancel()

    async def executors(self) -> list[Heartbeat]:
        """Return the last heartbeat of each executor, by name."""
        await self._first()
        return sorted(self._current(), key=lambda beat: beat.executor)

    async def backends(self) -> list[Offer]:
        """Return each backend once, by name; one that nobody serves any more is offline."""
        await self._first()
        offered = together(self._current())
        for offer in offered:
            self._backends[offer.info.name] = offer
        gone = [each.nobodys() for name, each in self._backends.items() if name not in map(_name, offered)]
        return sorted((*offered, *gone), key=_name)

    async def _first(self) -> None:
        """Wait for the first heartbeat of all, if this gateway has only just begun to listen."""
        left = self._started + FIRST_SECONDS - self._monotonic()
        if self._heard.is_set() or left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                await self._heard.wait()
        except TimeoutError:
            return

    def _current(self) -> list[Heartbeat]:
        since = self._monotonic() - SILENT_SECONDS
        for name, (heard, _) in list(self._beats.items()):
            if heard < since:
                del self._beats[name]
        return [beat for _, beat in self._beats.values()]

    async def _on_heartbeat(self, beat: Heartbeat) -> None:
        self._heard.set()
        known = self._beats.get(beat.executor)
        if known is not None and beat.incarnation < known[1].incarnation:
            return  # a late one, of a life that another followed
        for offer in together([beat]):
            self._backends[offer.info.name] = offer
        self._beats.pop(beat.executor, None)
        if not beat.leaving:
            self._beats[beat.executor] = (self._monotonic(), beat)


def _name(offer: Offer) -> str:
    return offer.info.name
