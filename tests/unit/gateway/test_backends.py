"""`/v1/backends` and `/v1/executors`: heartbeats as clients see them."""

from typing import Any

import pytest

from qrt_chassis.bus.memory import MemoryBus
from qrt_contracts.events import Heartbeat, RunningAttempt
from qrt_contracts.values import BackendInfo, Isolation
from qrt_gateway.service import fleet
from qrt_gateway.service.fleet import Fleet
from tests.support.waiting import wait_until
from tests.unit.gateway.world import World

pytestmark = pytest.mark.quafu

SIMULATOR = BackendInfo(name="simulator", qubits=24, gates=("h", "x"), queue=2, simulated=True)
DEVICE = BackendInfo(name="ScQ-P10", qubits=10, gates=("cx",), queue=7)


def beat(name: str = "e1", *backends: BackendInfo, **changes: Any) -> Heartbeat:
    made = Heartbeat(
        executor=name, incarnation="i1", slots=2, isolation=Isolation.JAIL, backends=backends or (SIMULATOR,)
    )
    return made.model_copy(update=changes)


async def told(gateway: World) -> dict[str, Any]:
    reply = await gateway.http.get("/v1/backends")
    assert reply.status_code == 200, reply.text
    return {each["name"]: each for each in reply.json()["backends"]}


async def until_told(gateway: World, **wanted: dict[str, Any]) -> None:
    async def as_wanted() -> bool:
        found = await told(gateway)
        return all(fields.items() <= found.get(name, {}).items() for name, fields in wanted.items())

    await wait_until(as_wanted, description=f"backends {wanted}")


async def test_backends_of_several_executors_are_told_once(gateway: World) -> None:
    await gateway.bus.publish(beat("e1", SIMULATOR, DEVICE))
    await gateway.bus.publish(beat("host.example.org", SIMULATOR, DEVICE))
    simulator = {"qubits": 24, "gates": ["h", "x"], "status": "online", "queue": 4, "executors": 2}
    device = {"qubits": 10, "status": "online", "queue": 7, "simulated": False, "executors": 2}
    await until_told(gateway, simulator=simulator, **{"ScQ-P10": device})
    assert list(await told(gateway)) == ["ScQ-P10", "simulator"]


async def test_a_backend_that_nobody_serves_any_more_is_offline(gateway: World) -> None:
    await gateway.bus.publish(beat("e1", SIMULATOR, DEVICE))
    await gateway.bus.publish(beat("e2"))
    await until_told(gateway, simulator={"executors": 2})
    await gateway.bus.publish(beat("e1", SIMULATOR, DEVICE, leaving=True))
    await until_told(
        gateway,
        simulator={"executors": 1, "status": "online"},
        **{"ScQ-P10": {"executors": 0, "status": "offline", "queue": 0, "qubits": 10}},
    )


async def test_one_backend_is_found_in_any_case_and_an_unknown_one_is_named(gateway: World) -> None:
    await gateway.bus.publish(beat("e1", DEVICE))
    await until_told(gateway, **{"ScQ-P10": {}})
    found = await gateway.http.get("/v1/backends/scq-p10")
    assert (found.status_code, found.json()["name"]) == (200, "ScQ-P10")
    missing = await gateway.http.get("/v1/backends/ScQ-P11")
    assert missing.status_code == 404
    assert missing.json()["detail"] == "there is no backend 'ScQ-P11'; there is: ScQ-P10"


async def test_executors_are_for_administrators(gateway: World) -> None:
    running = (RunningAttempt(job_id="0" * 32, attempt=1),)
    await gateway.bus.publish(beat("e1", running=running, cpus=2.0, draining=True))
    await until_told(gateway, simulator={})
    (shown,) = (await gateway.http.get("/v1/executors")).json()["executors"]
    assert {"name": "e1", "slots": 2, "running": 1, "cpus": 2.0, "draining": True}.items() <= shown.items()
    assert (await gateway.other.get("/v1/executors")).status_code == 403
    assert (await gateway.other.get("/v1/backends")).status_code == 200


async def test_a_silent_executor_and_a_late_heartbeat_are_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet, "MAX_BACKENDS", 1)
    seconds = 0.0
    bus = MemoryBus()
    known = Fleet(bus, monotonic=lambda: seconds)
    async with known.subscribed():
        await bus.publish(beat("e1", incarnation="i2"))
        await bus.publish(beat("e1", DEVICE, incarnation="i1", leaving=True))
        await bus.publish(beat("e2", DEVICE))

        async def both() -> bool:
            return [each.executor for each in await known.executors()] == ["e1", "e2"]

        await wait_until(both, description="both executors")
        assert [each.info.name for each in await known.backends()] == ["ScQ-P10", "simulator"]
        seconds = fleet.SILENT_SECONDS + 1
        assert await known.executors() == []
        assert [(each.info.name, each.info.status) for each in await known.backends()] == [
            ("ScQ-P10", "offline")
        ]
    await bus.close()
