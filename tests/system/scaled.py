"""The product with several of each service, as processes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.processes import free_port
from tests.support.waiting import wait_until
from tests.system.composition import SERVICES, TOKEN, Composition, Process, service_process

Settings = Mapping[str, Mapping[str, str]]
"""Settings of each service, by its name; `mongo_prefix` and such."""


@dataclass(frozen=True)
class Scaled:
    """Running replicas."""

    urls: list[str]
    """Where each gateway is."""
    processes: dict[str, list[Process]]

    @property
    def pids(self) -> list[int]:
        return [pid for name in self.processes for pid in self.pids_of(name)]

    def pids_of(self, service: str) -> list[int]:
        return [each.process.pid for each in self.processes[service] if each.process]


@asynccontextmanager
async def scaled(
    directory: Path,
    rabbit: str,
    mongo: str,
    *,
    replicas: Mapping[str, int] | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[Scaled]:
    """Run as many of each service as `replicas` says, one if it says nothing, until all are ready."""
    counts = dict.fromkeys(SERVICES, 1) | dict(replicas or {})
    ports = [free_port() for _ in range(counts["gateway"])]

    def replica(name: str, number: int) -> Process:
        own = dict((settings or {}).get(name, {}))
        if name == "gateway":
            own["port"] = str(ports[number - 1])
        return service_process(name, directory, rabbit, mongo, replica=number, settings=own)

    whole = Scaled(
        [f"http://127.0.0.1:{port}" for port in ports],
        {name: [replica(name, 1 + each) for each in range(counts[name])] for name in SERVICES},
    )
    everything = [each for replicas_of in whole.processes.values() for each in replicas_of]
    try:
        for process in everything:
            await process.start()
        for url in whole.urls:
            await Composition(url).ready()
        await _take_work(whole.urls[0], counts["executor"])
        yield whole
    finally:
        await asyncio.gather(*(each.stop() for each in everything if each.process))


async def _take_work(url: str, count: int) -> None:
    """Wait until so many executors take work."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:

        async def all_of_them() -> bool:
            reply = await client.get("/v1/executors")
            found = reply.json()["executors"] if reply.status_code == 200 else []
            return len([each for each in found if each["slots"]]) >= count

        await wait_until(all_of_them, description=f"{count} executors to take work", seconds=60)
