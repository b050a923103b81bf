"""Roll one release to another and back, for real: `scripts/roll-releases OLD NEW`, two checkouts.

On one broker and one database, the services of OLD are replaced by those of NEW one after the other, and then
back in the opposite order. After each step everything that users do is tried, and a job that was begun before
the step ends after it. Takes minutes, so it is no part of `make test`.
"""

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import httpx

from tests.support.processes import free_port
from tests.support.projects import project
from tests.system.client import Api
from tests.system.composition import SERVICES, Composition, Process
from tests.upgrade import making, programs
from tests.upgrade.record import Checkout, engines, folders

ORDER = ("registry", "scheduler", "gateway", "executor")
DEAD = ("scheduler.dispatch.dead", "scheduler.history.dead", "registry.builds.dead", "transient.dead")


@dataclass
class Rolling:
    """A mixed installation."""

    directory: Path
    wheels: Path
    rabbit: str
    mongo: str
    whole: Composition
    port: int

    async def place(self, checkout: Checkout, name: str) -> None:
        """Put a service of this checkout in the place of whatever stands there."""
        extra = {
            "gateway": {"port": str(self.port)},
            "executor": {
                "wheels": str(self.wheels),
                # An executor that is of another release has environments of its own.
                "environments": str(self.directory / f"environments-{checkout.version}"),
                "slots": str(making.SLOTS),
                "drain_seconds": "30",
            },
        }
        process = checkout.process(name, self.directory, self.rabbit, self.mongo, **extra.get(name, {}))
        before = self.whole.processes.get(name)
        if before is not None:
            await before.stop(within=60)
        self.whole.processes[name] = process
        await process.start()

    async def dead(self) -> dict[str, int]:
        """Return how many dead letters there are, where there are any."""
        counts = {}
        async with await aio_pika.connect(self.rabbit, timeout=10) as connection:
            for name in DEAD:
                channel = await connection.channel()
                queue = await channel.declare_queue(name, passive=True)
                counts[name] = queue.declaration_result.message_count or 0
                await channel.close()
        return {name: count for name, count in counts.items() if count}


async def everyday(api: Api) -> list[str]:
    """Do what users do; return what was done."""
    added = await api.run(programs.ADDS, {"values": [1, 2]})
    assert (added["status"], added["result"]["sum"]) == ("SUCCEEDED", 3), added
    assert "adding" in added["log"]
    assert [each["data"] for each in await api.outputs(added["job"]) if each["kind"] == "interim"]
    failed = await api.run(programs.FAILS)
    assert failed["problem"]["code"] == "ProgramError", failed
    stays = await api.submit(await api.upload(programs.NEVER_ENDS))
    await api.until_logged(stays, "on")
    assert (await api.http.post(f"/v1/jobs/{stays['id']}/cancel")).is_success
    assert (await api.result(stays))["status"] == "CANCELLED"
    measured = await api.run(programs.MEASURES)
    assert measured["status"] == "SUCCEEDED", measured
    given = {"program_id": (await api.upload(programs.TELLS_SECRET))["id"], "secrets": {"ibmToken": "s"}}
    secret = (await api.http.post("/v1/jobs", json=given)).json()
    assert (await api.result(secret))["status"] == "SUCCEEDED"
    files = {"archive": ("p.zip", project(programs.PROJECT, {"requirements.txt": "plain==1.0\n"}))}
    uploaded = await api.http.post(
        "/v1/programs", data={"name": f"project-{time.time()}", "kind": "template"}, files=files
    )
    assert uploaded.status_code == 201, uploaded.text
    version = await api.http.get(f"/v1/programs/{uploaded.json()['id']}/versions/latest?wait=50")
    assert version.json()["build"]["state"] == "ready", version.text
    ran = await api.result(await api.submit(uploaded.json(), {"data": {"values": [1]}}))
    assert ran["status"] == "SUCCEEDED", ran
    for path in ("/v1/programs", "/v1/jobs", "/v1/executors", "/v1/backends", "/v1/accounts"):
        reply = await api.http.get(path)
        # Accounts are listed from 0.2.0 on.
        assert reply.is_success or (path == "/v1/accounts" and reply.status_code == 405), reply.text
    return ["runs", "failures", "cancels", "circuits", "secrets", "builds", "lists"]


async def step(rolling: Rolling, api: Api, checkout: Checkout, name: str) -> None:
    """Replace one service while a job runs; then try everything."""
    begun = await api.submit(await api.upload(programs.WAITS), {"until": time.time() + 6})
    await api.until_logged(begun, "begun")
    await rolling.place(checkout, name)
    await rolling.whole.ready(token=making.ALICE)
    result = await api.result(begun)
    attempts = [each["end"] for each in (await api.job(begun))["attempts"]]
    assert (result["status"], attempts) == ("SUCCEEDED", ["succeeded"]), (result, attempts)
    done = await everyday(api)
    dead = await rolling.dead()
    sys.stdout.write(
        f"{checkout.version} {name}: a running job ended; {', '.join(done)}; dead letters {dead or 'none'}\n"
    )
    sys.stdout.flush()
    assert not dead


async def roll(old: Checkout, new: Checkout) -> None:
    """Roll from `old` to `new` and back."""
    async with AsyncExitStack() as stack:
        directory, wheels = stack.enter_context(folders())
        rabbit, mongo = await stack.enter_async_context(engines(directory))
        port = free_port()
        whole = Composition(f"http://127.0.0.1:{port}")
        stack.push_async_callback(_end, whole.processes)
        rolling = Rolling(directory, wheels, rabbit.url, mongo.url, whole, port)
        for name in SERVICES:
            await rolling.place(old, name)
        await whole.ready(token=making.ALICE)
        headers = {"Authorization": f"Bearer {making.ALICE}"}
        client = httpx.AsyncClient(base_url=whole.url, headers=headers, timeout=90)
        api = Api(await stack.enter_async_context(client))
        for name in ORDER:
            await step(rolling, api, new, name)
        for name in reversed(ORDER):
            await step(rolling, api, old, name)


async def _end(processes: dict[str, Process]) -> None:
    await asyncio.gather(*(each.stop() for each in processes.values() if each.process))


def main() -> None:
    """Roll between the two checkouts that the command line names."""
    parser = argparse.ArgumentParser(prog="scripts/roll-releases", description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    asked = parser.parse_args()
    old, new = Checkout(asked.old.resolve()), Checkout(asked.new.resolve())
    old.prepare()
    new.prepare()
    asyncio.run(roll(old, new))


if __name__ == "__main__":
    main()
