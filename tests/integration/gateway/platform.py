"""Gateway, registry and scheduler in one process on a real database. Nothing runs jobs: they wait."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import SecretStr

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.settings import HealthSettings, MongoSettings
from qrt_contracts.ids import new_id
from qrt_gateway.compose import Gateway, utc_now
from qrt_gateway.compose import compose as compose_gateway
from qrt_gateway.ports import Clock
from qrt_gateway.settings import GatewaySettings
from qrt_registry.compose import compose as compose_registry
from qrt_registry.settings import RegistrySettings
from qrt_scheduler.compose import compose as compose_scheduler
from qrt_scheduler.settings import SchedulerSettings
from tests.support.composed import running
from tests.support.waiting import wait_until

OFF = HealthSettings(port=0)
SOURCE = "def run(task, userpub, params):\n    return params\n"


@dataclass
class Platform:
    """The running services, and a client for each account."""

    gateway: Gateway
    stack: AsyncExitStack
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @property
    def admin(self) -> httpx.AsyncClient:
        """The first administrator's."""
        return self.clients["admin"]

    async def client(self, name: str, token: str) -> httpx.AsyncClient:
        """Return a client with a token, known by a name from now on."""
        client = httpx.AsyncClient(
            base_url=self.gateway.url, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        self.clients[name] = await self.stack.enter_async_context(client)
        return client

    async def account(self, name: str, **fields: Any) -> httpx.AsyncClient:
        """Make an account; return its client."""
        reply = await self.admin.post("/v1/accounts", json={"name": name, **fields})
        assert reply.status_code == 201, reply.text
        return await self.client(name, reply.json()["token"])

    async def narrowed(self, owner: str, *scopes: str) -> httpx.AsyncClient:
        """Return a client of an account whose token has these scopes alone."""
        reply = await self.clients[owner].post("/v1/tokens", json={"scopes": list(scopes)})
        assert reply.status_code == 201, reply.text
        return await self.client(f"{owner}/{'+'.join(scopes)}", reply.json()["token"])

    async def program(self, owner: str, **fields: Any) -> str:
        """Create a program; return its id."""
        body = {"name": f"p-{new_id()}", "source": SOURCE, **fields}
        reply = await self.clients[owner].post("/v1/programs", json=body)
        assert reply.status_code == 201, reply.text
        program_id: str = reply.json()["id"]
        return program_id

    async def job(self, owner: str, program_id: str, *, ended: bool = False) -> str:
        """Submit a job; return its id."""
        reply = await self.clients[owner].post("/v1/jobs", json={"program_id": program_id})
        assert reply.status_code == 201, reply.text
        job_id: str = reply.json()["id"]
        if ended:
            assert (await self.clients[owner].post(f"/v1/jobs/{job_id}/cancel")).status_code == 200
        return job_id


@asynccontextmanager
async def platform(mongo_url: str, *, clock: Clock = utc_now) -> AsyncIterator[Platform]:
    """Run it on databases of its own; `clock` is the gateway's."""
    mongo, bus = MongoSettings(url=SecretStr(mongo_url), prefix=f"t{new_id()[-12:]}_"), MemoryBus()
    settings = GatewaySettings(
        mongo=mongo, health=OFF, port=0, bootstrap_tokens=SecretStr("admin=administrators-token")
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bus.close)
        services = (
            await stack.enter_async_context(
                compose_registry(RegistrySettings(mongo=mongo, health=OFF), bus=bus)
            ),
            await stack.enter_async_context(
                compose_scheduler(SchedulerSettings(mongo=mongo, health=OFF), bus=bus)
            ),
            await stack.enter_async_context(compose_gateway(settings, bus=bus, clock=clock)),
        )
        await stack.enter_async_context(running(*services))
        whole = Platform(services[2], stack)
        client = await whole.client("admin", "administrators-token")
        await wait_until(lambda: _up(client), description="the gateway answers")
        yield whole


async def _up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/v1/account")).is_success
    except httpx.TransportError:
        return False
