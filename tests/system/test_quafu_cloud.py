"""The Quafu cloud, by its stand-in, from a user's token to a circuit's counts."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from qrt_contracts.ids import new_id
from quafu_runtime import Account, JobFailed, RuntimeService
from tests.support.quafu_cloud import TOKEN as CLOUD_TOKEN
from tests.support.quafu_cloud import QuafuStandIn, Served
from tests.system.composition import TOKEN, standalone

pytestmark = [pytest.mark.quafu, pytest.mark.asyncio(loop_scope="session")]

PROGRAM = """
import quafu
def run(task, userpub, params):
    q = quafu.QuantumCircuit(2)
    q.h(0)
    q.cnot(0, 1)
    q.measure([0, 1], cbits=[0, 1])
    return dict(task.send(q).counts)
"""


async def test_a_users_token_reaches_the_cloud_and_nothing_else(tmp_path: Path) -> None:
    with Served(QuafuStandIn(recalls=1)) as served:
        async with standalone(tmp_path / "data", "--quafu-url", served.url) as whole:
            shown = await asyncio.to_thread(used, Account(api_token=TOKEN, url=whole.url))
        log = whole.processes["standalone"].logged()
    assert {each.token for each in served.cloud.requests} == {CLOUD_TOKEN}
    assert CLOUD_TOKEN not in shown + log
    stored = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert stored
    assert not any(CLOUD_TOKEN.encode() in path.read_bytes() for path in stored)


def used(account: Account) -> str:
    """Use the cloud as a user would; return all that could be read of it."""
    seen: list[Any] = []
    with RuntimeService(account) as service:
        program = service.upload_program(PROGRAM, name=f"bell-{new_id()}", backend="ScQ-P10")
        with pytest.raises(JobFailed, match="PUT /v1/account/credentials/quafu"):
            service.run(program_id=program).value(timeout=60)
        assert not service.has_quafu_token()
        service.save_quafu_token(CLOUD_TOKEN)
        assert service.has_quafu_token()
        job = service.run(program_id=program)
        assert job.value(timeout=60) == {"00": 500, "11": 500}
        assert [each.backend for each in job.circuits()] == ["ScQ-P10"]
        seen += [job.refresh().model_dump_json(), job.logs(), job.circuits()]
        device = service.backend("scq-p10")
        assert (device.qubits, device.queue, device.simulated) == (10, 3, False)
        service.delete_quafu_token()
        assert not service.has_quafu_token()
    return repr(seen)
