"""The gateway's application over ASGI, with everything behind it in memory."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from pydantic import SecretStr
from starlette.types import ASGIApp

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.sealing import Seal
from qrt_gateway import app
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.addresses import Addresses
from qrt_gateway.handlers.anybody import AnyToken
from qrt_gateway.handlers.auth import Callers
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.visits import Visits
from qrt_gateway.service.accounts import Accounts
from qrt_gateway.service.audit import Audit
from qrt_gateway.service.clients import Clients
from qrt_gateway.service.deliveries import Deliveries
from qrt_gateway.service.directory import Directory
from qrt_gateway.service.fleet import Fleet
from qrt_gateway.service.live import Live
from qrt_gateway.service.posts import Posts
from qrt_gateway.service.secrets import Secrets
from qrt_gateway.service.sessions import Sessions
from qrt_gateway.service.submissions import Submissions
from qrt_gateway.service.subscribers import Subscribers
from qrt_gateway.service.watching import Watching
from qrt_gateway.service.webhooks import Webhooks
from tests.unit.gateway.fakes import FakeRegistry, FakeScheduler, MemoryArtifacts
from tests.unit.gateway.receivers import MemoryWebhooks, Receiver
from tests.unit.gateway.stores import MemoryAccounts, MemoryAudit, MemoryPosts, MemorySessions

TOKEN, OTHER = "alice-token", "bob-token"
ADDRESSES = Addresses()
SEAL = Seal(SecretStr("a sealing key of at least 32 characters"))


@dataclass
class Clock:
    """Time that stands still until a test moves it."""

    now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    seconds: float = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class World:
    """The application and what stands behind it."""

    app: ASGIApp
    bus: MemoryBus
    live: Live
    clock: Clock
    store: MemoryAccounts
    posts: MemoryPosts
    webhooks: MemoryWebhooks
    receiver: Receiver
    deliveries: Deliveries
    accounts: Accounts
    audit: Audit
    logged: MemoryAudit
    artifacts: MemoryArtifacts
    registry: FakeRegistry
    scheduler: FakeScheduler
    http: httpx.AsyncClient
    """Alice's."""
    other: httpx.AsyncClient
    """Bob's."""

    def client(self, token: str | None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://gateway",
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )


@asynccontextmanager
async def world(
    *,
    max_body_bytes: int = 100_000,
    sweep_seconds: float = 10.0,
    services: bool = True,
    sealing: bool = True,
    quafu_wait_seconds: float = 30.0,
    kipu_cancel_status: int = 200,
    addresses: Addresses = ADDRESSES,
    anyone: Caller | None = None,
) -> AsyncIterator[World]:
    """Build it; `services` False leaves every command unanswered."""
    async with AsyncExitStack() as stack:
        bus = MemoryBus()
        stack.push_async_callback(bus.close)
        registry, scheduler = FakeRegistry(), FakeScheduler(bus)
        if services:
            await bus.serve("registry", registry.handlers())
            await bus.serve("scheduler", scheduler.handlers())
        live = Live(bus, monotonic=time.monotonic)
        await stack.enter_async_context(live.subscribed())
        fleet = Fleet(bus, monotonic=time.monotonic)
        await stack.enter_async_context(fleet.subscribed())
        clock, store, artifacts = Clock(), MemoryAccounts(), MemoryArtifacts()
        posts = MemoryPosts()
        logged = MemoryAudit()
        audit = Audit(logged, clock=clock, keep=timedelta(days=90))
        hooks, receiver, seal = MemoryWebhooks(), Receiver(), SEAL if sealing else None
        subscribers = Subscribers(hooks, monotonic=clock.monotonic, memory_seconds=0)
        deliveries = Deliveries(
            bus=bus,
            accounts=store,
            hooks=hooks,
            store=hooks,
            subscribers=subscribers,
            receivers=receiver,
            seal=seal,
            clock=clock,
            monotonic=clock.monotonic,
            base="https://runtime.example",
            agent="test",
        )
        await stack.enter_async_context(deliveries.subscribed())
        accounts = Accounts(store, clock=clock, monotonic=clock.monotonic, anyone=anyone)
        await accounts.ensure([("alice", TOKEN), ("bob", OTHER)])
        sessions = Sessions(MemorySessions(), accounts, clock=clock, monotonic=clock.monotonic)
        parts = Parts(
            bus=bus,
            artifacts=artifacts,
            accounts=accounts,
            callers=Callers(accounts, sessions, addresses),
            sessions=sessions,
            directory=Directory(store, accounts, clock=clock),
            visits=Visits(audit, addresses, clock=clock),
            audit=audit,
            watching=Watching(bus, live, sweep_seconds=sweep_seconds),
            submissions=Submissions(artifacts),
            fleet=fleet,
            secrets=Secrets(store, seal=seal, clock=clock, monotonic=clock.monotonic),
            clients=Clients(store, accounts, clock=clock),
            posts=Posts(posts, clock=clock, monotonic=clock.monotonic),
            webhooks=Webhooks(
                hooks,
                hooks,
                deliveries=deliveries,
                subscribers=subscribers,
                receivers=receiver,
                seal=seal,
                clock=clock,
            ),
            addresses=addresses,
            max_body_bytes=max_body_bytes,
            max_archive_bytes=max_body_bytes,
            quafu_wait_seconds=quafu_wait_seconds,
            kipu_cancel_status=kipu_cancel_status,
        )
        whole_app = app.build(parts)
        if anyone is not None:
            whole_app = AnyToken(whole_app, account=anyone.name)
        whole = World(
            app=whole_app,
            bus=bus,
            live=live,
            clock=clock,
            store=store,
            posts=posts,
            webhooks=hooks,
            receiver=receiver,
            deliveries=deliveries,
            accounts=accounts,
            audit=audit,
            logged=logged,
            artifacts=artifacts,
            registry=registry,
            scheduler=scheduler,
            http=None,  # type: ignore[arg-type]
            other=None,  # type: ignore[arg-type]
        )
        whole.http = await stack.enter_async_context(whole.client(TOKEN))
        whole.other = await stack.enter_async_context(whole.client(OTHER))
        yield whole
