"""The gateway on real adapters."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from qrt_chassis.artifacts import ArtifactStore
from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import Bus
from qrt_chassis.lifecycle import GRACE, Service
from qrt_chassis.sealing import Seal
from qrt_chassis.store import open_store
from qrt_gateway import app
from qrt_gateway.adapters.audit import MongoAudit
from qrt_gateway.adapters.mongo import MongoAccounts
from qrt_gateway.adapters.posts import MongoPosts
from qrt_gateway.adapters.receivers import Receivers
from qrt_gateway.adapters.sessions import MongoSessions
from qrt_gateway.adapters.webhooks import MongoWebhooks
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.addresses import Addresses
from qrt_gateway.domain.rates import Rates
from qrt_gateway.domain.reach import Reach, networks_of
from qrt_gateway.handlers.anybody import AnyToken
from qrt_gateway.handlers.auth import Callers
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.visits import Visits
from qrt_gateway.ports import Clock
from qrt_gateway.server import HttpServer
from qrt_gateway.service.accounts import FIRST, Accounts
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
from qrt_gateway.settings import GatewaySettings

AGENT = "quafu-runtime-webhooks/1"
"""What webhooks' receivers see as the sender's name."""


@dataclass(frozen=True, kw_only=True)
class Gateway(Service):
    """The composed gateway; `address` is where it serves once its loops run."""

    address: tuple[str, int]

    @property
    def url(self) -> str:
        """The base of every address of the API."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def utc_now() -> datetime:
    """Return the present time, aware."""
    return datetime.now(UTC)


@asynccontextmanager
async def compose(
    settings: GatewaySettings, *, bus: Bus | None = None, clock: Clock = utc_now
) -> AsyncIterator[Gateway]:
    """Build one gateway replica; leaving the context releases everything in reverse order.

    Raises:
        OSError: its address cannot be had.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.mongo))
        if bus is None:
            bus = await stack.enter_async_context(open_bus(settings.bus, name="gateway"))
        live = Live(bus, monotonic=time.monotonic)
        await stack.enter_async_context(live.subscribed())
        fleet = Fleet(bus, monotonic=time.monotonic)
        await stack.enter_async_context(fleet.subscribed())
        stored, written, kept = MongoAccounts(store), MongoPosts(store), MongoSessions(store)
        rates = Rates(per_second=settings.requests_per_second, burst=settings.requests_burst)
        anyone = Caller(settings.anyone, admin=False, anyone=True) if settings.any_bearer else None
        accounts = Accounts(stored, clock=clock, monotonic=time.monotonic, rates=rates, anyone=anyone)
        posts = Posts(written, clock=clock, monotonic=time.monotonic)
        sessions = Sessions(kept, accounts, clock=clock, monotonic=time.monotonic)
        addresses, artifacts = _addresses(settings), ArtifactStore(store)
        logged = MongoAudit(store)
        audit = Audit(logged, clock=clock, keep=timedelta(days=settings.audit_days))
        seal = Seal(settings.sealing_keys) if settings.sealing_keys else None
        hooks = MongoWebhooks(store)
        subscribers = Subscribers(hooks, monotonic=time.monotonic)
        receivers = Receivers(
            Reach(networks=networks_of(settings.webhook_networks), http=settings.webhook_http)
        )
        stack.callback(receivers.close)
        deliveries = Deliveries(
            bus=bus,
            accounts=stored,
            hooks=hooks,
            store=hooks,
            subscribers=subscribers,
            receivers=receivers,
            seal=seal,
            clock=clock,
            monotonic=time.monotonic,
            base=addresses.base({}, scheme="http"),
            agent=AGENT,
        )
        await stack.enter_async_context(deliveries.subscribed())
        parts = Parts(
            bus=bus,
            artifacts=artifacts,
            accounts=accounts,
            callers=Callers(accounts, sessions, addresses),
            sessions=sessions,
            directory=Directory(stored, accounts, clock=clock),
            visits=Visits(audit, addresses, clock=clock),
            audit=audit,
            watching=Watching(bus, live),
            submissions=Submissions(artifacts),
            fleet=fleet,
            secrets=Secrets(
                stored,
                seal=seal,
                clock=clock,
                monotonic=time.monotonic,
            ),
            clients=Clients(stored, accounts, clock=clock),
            posts=posts,
            webhooks=Webhooks(
                hooks,
                hooks,
                deliveries=deliveries,
                subscribers=subscribers,
                receivers=receivers,
                seal=seal,
                clock=clock,
            ),
            addresses=addresses,
            max_body_bytes=settings.max_body_bytes,
            max_archive_bytes=settings.max_archive_bytes,
            quafu_wait_seconds=settings.quafu_wait_seconds,
            kipu_cancel_status=int(settings.kipu_cancel_status),
        )
        whole = app.build(parts)
        if anyone is not None:
            whole = AnyToken(whole, account=anyone.name)
        server = HttpServer(whole, host=settings.host, port=settings.port)
        stack.callback(server.close)

        async def http() -> None:
            await stored.prepare()
            await written.prepare()
            await kept.prepare()
            await logged.prepare()
            await hooks.prepare()
            await accounts.ensure(settings.bootstrap())
            if not settings.bootstrap() and (token := await accounts.first_administrator()):
                _show(token)
            await server.run()

        async def drain() -> None:
            await asyncio.sleep(settings.linger_seconds)
            live.close()
            await server.drain()
            await audit.flush()

        yield Gateway(
            name="gateway",
            loops={
                "http": http,
                "bindings": live.sweep,
                "posts": posts.sweep,
                "sessions": sessions.sweep,
                "uses": accounts.note_uses,
                "audit": audit.write,
                "audit-age": audit.forget,
                "webhooks": deliveries.run,
                "webhooks-due": deliveries.sweep,
            },
            pings={"bus": bus.ping, "mongo": store.ping},
            drain=drain,
            grace=GRACE + timedelta(seconds=settings.linger_seconds),
            address=server.address,
        )


def _show(token: str) -> None:
    """Show the first administrator's token: past the log, which others may read and keep."""
    sys.stderr.write(f"The first administrator is {FIRST!r}; its token, shown only here and now: {token}\n")
    sys.stderr.flush()


def _addresses(settings: GatewaySettings) -> Addresses:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return Addresses(
        public_url=settings.public_url,
        forwarded=settings.trust_forwarded,
        served=f"http://{host}:{settings.port}",
    )
