"""Live news of jobs: one transient queue per gateway process.

Changes of state of all jobs come to it always: they are few and small, and a binding made and undone
for each job that somebody waits for costs the broker more. Outputs come while somebody listens.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from qrt_chassis.bus.port import AtOnce, Bus, Subscribed, Subscription
from qrt_chassis.passing import is_passing
from qrt_contracts.events import JobChanged, JobOutput
from qrt_contracts.faults import Unavailable
from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from qrt_gateway import metrics
from qrt_gateway.service.fresh import Fresh
from qrt_gateway.service.mailbox import Mailbox, batch_of
from qrt_gateway.service.recent import Recent

log = logging.getLogger(__name__)

LINGER_SECONDS = 5.0
"""How long a binding stays after its last listener: the next one often follows at once."""
SWEEP_SECONDS = 1.0
BIND_SECONDS = 10.0
QUEUE_LENGTH = 20_000
"""Messages that wait at the broker for this process; beyond it the oldest are dropped, and numbers tell."""

STATES = "job.*.state"
"""The routing keys of all changes of state."""


def output_topic(job_id: str) -> str:
    """Return the routing key of a job's outputs."""
    return f"job.{job_id}.output"


class _Topic:
    def __init__(self) -> None:
        self.listeners: set[Mailbox] = set()
        self.lock = asyncio.Lock()
        self.bound = False
        self.idle_since = 0.0


class Live:
    """Hands each message of the gateway's queue to those who listen to its job."""

    def __init__(self, bus: Bus, *, monotonic: Callable[[], float]) -> None:
        self._bus = bus
        self._monotonic = monotonic
        self._topics: dict[str, _Topic] = {}
        self._states: dict[str, set[Mailbox]] = {}
        self._owners: dict[str, set[Mailbox]] = {}
        self._subscribed: Subscribed | None = None
        self.fresh = Fresh()
        """Jobs that were submitted here and have not ended."""
        self.recent = Recent()
        """Outputs of the jobs that are listened to, without a gap up to the newest heard."""
        self.closed = False
        """No more news will come: the gateway is stopping."""

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[None]:
        """Have the queue inside the context."""
        queue = Subscription(
            queue=f"gateway.live.{new_id()}",
            bindings=((Exchange.EVENTS, STATES),),
            durable=False,
            prefetch=1024,
            max_length=QUEUE_LENGTH,
        )
        self._subscribed = await self._bus.subscribe(
            queue,
            {JobChanged: AtOnce(self._on_changed), JobOutput: AtOnce(self._on_output)},
            on_restored=self._on_restored,
        )
        try:
            yield
        finally:
            await self._subscribed.cancel()

    @asynccontextmanager
    async def listen(self, job_id: str, *, outputs: bool = False) -> AsyncIterator[Mailbox]:
        """Receive a job's changes of state from now on, and its outputs if wanted.

        Raises:
            Unavailable: the bus is away, or the gateway is stopping.
        """
        with self._heard(self._states, job_id) as mailbox:
            if not outputs:
                yield mailbox
                return
            key = output_topic(job_id)
            topic = self._topics.setdefault(key, _Topic())
            topic.listeners.add(mailbox)
            try:
                await self._bind_in_time(key, topic)
                yield mailbox
            finally:
                topic.listeners.discard(mailbox)
                topic.idle_since = self._monotonic()

    @contextmanager
    def listen_to_all(self, owner: str) -> Iterator[Mailbox]:
        """Receive the changes of state of all jobs of an owner from now on.

        Raises:
            Unavailable: the gateway is stopping.
        """
        with self._heard(self._owners, owner) as mailbox:
            yield mailbox

    async def sweep(self) -> None:
        """Let go of bindings nobody has used for a while, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.unbind_idle()

    async def unbind_idle(self) -> None:
        """Let go of bindings nobody has used for `LINGER_SECONDS`."""
        before = self._monotonic() - LINGER_SECONDS
        idle = [
            (key, topic)
            for key, topic in self._topics.items()
            if not topic.listeners and topic.idle_since <= before
        ]
        for key, topic in idle:
            await self._unbind(key, topic)
        metrics.TOPICS.set(len(self._topics))

    def hears(self, key: str) -> bool:
        """Tell whether all that is published under a topic comes here."""
        topic = self._topics.get(key)
        return topic is not None and topic.bound

    def close(self) -> None:
        """Tell every listener that no more news will come."""
        self.closed = True
        for mailbox in self._mailboxes():
            mailbox.close()

    @contextmanager
    def _heard(self, listeners: dict[str, set[Mailbox]], key: str) -> Iterator[Mailbox]:
        if self.closed:
            raise Unavailable("the gateway is stopping; connect again")
        mailbox = Mailbox()
        listeners.setdefault(key, set()).add(mailbox)
        try:
            with metrics.LISTENERS.track_inprogress():
                yield mailbox
        finally:
            listeners[key].discard(mailbox)
            if not listeners[key]:
                del listeners[key]

    async def _bind_in_time(self, key: str, topic: _Topic) -> None:
        try:
            async with asyncio.timeout(BIND_SECONDS):
                await self._bind(key, topic)
        except Exception as error:
            if not is_passing(error):
                raise
            raise Unavailable("live news cannot be had just now; try again") from error

    async def _bind(self, key: str, topic: _Topic) -> None:
        if topic.bound:  # and stays so: it has a listener
            return
        async with topic.lock:
            if not topic.bound:
                assert self._subscribed is not None  # noqa: S101 - compose subscribes before it serves
                await self._subscribed.bind(Exchange.EVENTS, key)
                topic.bound = True

    async def _unbind(self, key: str, topic: _Topic) -> None:
        async with topic.lock:
            if topic.listeners:
                return
            if topic.bound and self._subscribed is not None:
                topic.bound = False
                self.recent.forget(key)
                await self._subscribed.unbind(Exchange.EVENTS, key)
            if not topic.listeners:
                del self._topics[key]

    def _mailboxes(self) -> set[Mailbox]:
        return set[Mailbox]().union(*self._states.values(), *self._owners.values())

    def _on_changed(self, message: JobChanged) -> None:
        self.fresh.changed(message)
        for listeners in (self._states.get(message.job_id, ()), self._owners.get(message.owner, ())):
            for mailbox in listeners:
                mailbox.put(message)

    def _on_output(self, message: JobOutput) -> None:
        key = message.routing_key()
        topic = self._topics.get(key)
        if topic is None:
            return
        batch = batch_of(message)
        for mailbox in topic.listeners:
            mailbox.put(batch)
        if topic.bound:  # else some of what follows will not be heard
            self.recent.heard(key, batch)

    def _on_restored(self) -> None:
        self.recent.forget_all()
        self.fresh.forget_all()
        for mailbox in self._mailboxes():
            mailbox.miss()
