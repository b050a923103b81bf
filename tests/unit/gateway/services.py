"""Service executions, as far as a test needs them to be."""

from typing import Any

from qrt_contracts.states import JobState
from tests.unit.gateway.world import World


async def started(gateway: World, service: str, value: Any = None) -> dict[str, Any]:
    reply = await gateway.http.post(service, json=value or {"data": {"values": [1]}})
    assert reply.status_code == 201, reply.text
    execution: dict[str, Any] = reply.json()
    return execution


async def ended(gateway: World, service: str, **fields: Any) -> str:
    """Return the path of an execution that has ended in this way."""
    execution = await started(gateway, service)
    job_id = execution["id"].replace("-", "")
    await gateway.scheduler.change(job_id, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.end(job_id, **fields)
    return f"{service}/{execution['id']}"
