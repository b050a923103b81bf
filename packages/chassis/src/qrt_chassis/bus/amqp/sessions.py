"""The connection that is always being kept: sessions, one after the other."""

import asyncio
import logging
import time
from typing import Protocol

from qrt_chassis import metrics
from qrt_chassis.backoff import Backoff
from qrt_chassis.bus.amqp.session import Session
from qrt_chassis.loops import run_for_ever
from qrt_chassis.settings import BusSettings
from qrt_chassis.tasks import Tasks
from qrt_contracts.faults import Unavailable

log = logging.getLogger(__name__)


_STEADY_SECONDS = 5.0
"""A session that lasted this long is followed by the shortest pause again."""


class Follower(Protocol):
    """Something that has to be set up anew on each session, before anybody publishes on it."""


class Sessions:
    """Opens a session, waits for its end, opens the next; with growing pauses while none can be had."""

    def __init__(self, settings: BusSettings, *, name: str) -> None:
        self._settings = settings
        self._name = name
        self._tasks = Tasks(f"bus {name}")
        self._followers: set[Follower] = set()
        self._untried: set[Follower] = set()
        self._connected = asyncio.Event()
        self._restored = asyncio.Event()
        self._session: Session | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to connect."""
        self._tasks.start(run_for_ever("bus", "sessions", self._run), name="sessions")

    @property
    def current(self) -> Session | None:
        """The session that lives now, if one does."""
        return self._session

    async def connected(self) -> Session:
        """Wait for a session, whether or not subscriptions have been restored on it."""
        return await self._wait(self._connected)

    async def restored(self) -> Session:
        """Wait for a session on which every subscription has been set up, or at least tried.

        So that no publisher provokes an answer before the queues that take it are back.
        """
        return await self._wait(self._restored)

    async def _wait(self, event: asyncio.Event) -> Session:
        while True:
            if self._closed:
                raise Unavailable("the bus is closed")
            await event.wait()
            if self._session is not None:
                return self._session

    def follow(self, follower: Follower) -> None:
        """Wait for `follower` on each session to come; it says `tried` when it has done its part."""
        self._followers.add(follower)

    def unfollow(self, follower: Follower) -> None:
        """Wait for it no longer."""
        self._followers.discard(follower)
        self.tried(follower)

    def tried(self, follower: Follower) -> None:
        """Note that `follower` has been set up, or could not be, on the current session."""
        self._untried.discard(follower)
        if self._session is not None and not self._untried:
            self._restored.set()

    async def _run(self) -> None:
        backoff = Backoff(first=0.1, longest=5.0)
        while True:
            try:
                session = await Session.open(self._settings, name=self._name)
            except (ConnectionError, TimeoutError) as error:
                pause = backoff.next()
                log.warning("no connection to the broker (%r); next try in %.1f s", error, pause)
                await asyncio.sleep(pause)
                continue
            began = time.monotonic()
            try:
                await self._keep(session)
            finally:
                await session.close()
            if time.monotonic() - began > _STEADY_SECONDS:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _keep(self, session: Session) -> None:
        log.info("connected to the broker")
        metrics.CONNECTIONS.labels(self._name).inc()
        metrics.CONNECTED.labels(self._name).set(1)
        self._session = session
        self._untried = set(self._followers)
        self._connected.set()
        if not self._untried:
            self._restored.set()
        try:
            await session.ended.wait()
            log.warning("the connection to the broker ended")
        finally:
            self._session = None
            self._connected.clear()
            self._restored.clear()
            metrics.CONNECTED.labels(self._name).set(0)

    async def close(self) -> None:
        """Disconnect for good; whoever waits for a session is told."""
        self._closed = True
        await self._tasks.close()
        self._connected.set()
        self._restored.set()
