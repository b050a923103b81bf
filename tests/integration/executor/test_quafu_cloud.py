"""Programs whose circuits go to a stand-in of the Quafu cloud, and pyquafu itself against that stand-in."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from qrt_chassis.sealing import Seal, for_jobs_of
from qrt_contracts.values import Confidential, Isolation
from tests.integration.executor.rig import PROGRAM_PYTHON, Rig, Told, body, rig
from tests.integration.executor.test_circuits import BELL, circuits
from tests.support.quafu_cloud import TOKEN, QuafuStandIn, Served
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.quafu, pytest.mark.asyncio(loop_scope="session")]

KEY = "a sealing key of at least 32 characters"


@pytest.fixture
def cloud(served: Served) -> QuafuStandIn:
    """The stand-in as it is before anything has happened."""
    fresh = QuafuStandIn(recalls=1)
    vars(served.cloud).update(vars(fresh))
    return served.cloud


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served(QuafuStandIn()) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def reaching(mongo_url: str, scratch: Path, served: Served) -> AsyncIterator[Rig]:
    """An executor that reaches the stand-in."""
    settings: dict[str, object] = {"sealing_keys": SecretStr(KEY), "quafu_url": served.url}
    async with rig(mongo_url, scratch, level=Isolation.PROCESS, quafu_wait_seconds=2, **settings) as shared:
        yield shared


def sealed(*, owner: str = "alice", token: str = TOKEN, secrets: dict[str, str] | None = None) -> str:
    value = Confidential(credentials={"quafu": token}, secrets=secrets or {})
    return Seal(SecretStr(KEY)).seal(value, purpose=for_jobs_of(owner))


async def ran(
    rig: Rig, *lines: str, backend: str | None = "ScQ-P10", confidential: str | None = None
) -> Told:
    order = await rig.order(body(*lines))
    run = order.run.model_copy(update={"backend": backend})
    told = await rig.send(order.model_copy(update={"run": run, "confidential": confidential}))
    return await rig.end_of(told, seconds=60)


def everything(told: Told) -> str:
    return told.end.model_dump_json() + "".join(each.model_dump_json() for each in told.outputs)


async def test_circuits_go_to_the_cloud_with_the_owners_token(reaching: Rig, cloud: QuafuStandIn) -> None:
    told = await ran(
        reaching,
        *BELL,
        "import os",
        "r = task.send(bell(), name='pair')",
        "task.config(backend='scq-p10', shots=10)",
        "later = [task.send(bell(), wait=False) for _ in range(3)]",
        "import time",
        "while {task.retrieve(s.taskid).task_status for s in later} != {'Completed'}: time.sleep(0.01)",
        "task.config(backend='simulator')",
        "here = task.send(bell())",
        "return [dict(r.counts), r.backend, here.backend, len(os.environ), str(os.environ)]",
        confidential=sealed(),
    )
    result = json.loads(told.result)
    assert result[:3] == [{"00": 500, "11": 500}, "ScQ-P10", "simulator"]
    assert [each["backend"] for each in circuits(told)] == ["ScQ-P10"] * 4 + ["simulator"]
    assert {each.token for each in cloud.requests} == {TOKEN}
    assert TOKEN not in everything(told)
    assert [each.name for each in reaching.beat.backends] == ["simulator", "ScQ-P10", "ScQ-P136", "ScQ-S41"]


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("fail", "ServerError", "of the Quafu cloud has failed"),
        ("never", "ServerError", "has not ended within 2 s"),
        ("uncompilable", "CompileError", "cannot be compiled"),
    ],
)
async def test_a_task_that_comes_to_nothing_is_an_error_that_a_program_can_catch(
    reaching: Rig, cloud: QuafuStandIn, name: str, kind: str, text: str
) -> None:
    told = await ran(
        reaching,
        *BELL,
        "try:",
        f"    task.send(bell(), name={name!r})",
        "except quafu.exceptions.QuafuError as exc:",
        "    return [type(exc).__name__, str(exc), task.retrieve('1').task_status]",
        confidential=sealed(),
    )
    raised, said, status = json.loads(told.result)
    assert (raised, status) == (kind, "Failed")
    assert text in said
    (record,) = circuits(told)
    assert (record["status"], text in record["error"]) == ("failed", True)


@pytest.mark.parametrize(
    ("confidential", "kind", "text"),
    [
        (sealed(token="not-the-token"), "InvalidAPIToken", "API_TOKEN ERROR"),
        (None, "APITokenNotFound", "PUT /v1/account/credentials/quafu"),
    ],
)
async def test_a_bad_token_and_none_are_errors_that_a_program_can_catch(
    reaching: Rig, cloud: QuafuStandIn, confidential: str | None, kind: str, text: str
) -> None:
    cloud.echo_token = True
    told = await ran(
        reaching,
        *BELL,
        "from quafu.exceptions import UserError",
        "try:",
        "    task.send(bell())",
        "except UserError as exc:",
        "    return [type(exc).__name__, str(exc)]",
        confidential=confidential,
    )
    raised, said = json.loads(told.result)
    assert raised == kind
    assert text in said
    assert "not-the-token" not in everything(told)


async def test_without_a_token_a_job_for_the_simulator_is_simulated_with_a_warning(
    reaching: Rig, cloud: QuafuStandIn
) -> None:
    told = await ran(
        reaching,
        *BELL,
        "task.config(backend='ScQ-P10', shots=10)",
        "return task.send(bell()).backend",
        backend=None,
    )
    assert json.loads(told.result) == "simulator"
    assert "need your Quafu token" in told.stream("system")
    assert cloud.requests == []


async def test_a_job_that_ends_stops_asking_for_its_circuits(reaching: Rig, cloud: QuafuStandIn) -> None:
    order = await reaching.order(
        body(
            *BELL,
            "for _ in range(20): task.send(bell(), name='never', wait=False)",
            "userpub.publish('sent')",
            "task.send(bell())",
        )
    )
    run = order.run.model_copy(update={"backend": "ScQ-P10"})
    told = await reaching.send(order.model_copy(update={"run": run, "confidential": sealed()}))
    await wait_until(
        lambda: len(cloud.tasks) == 8 and told.interim,
        description="all are sent, of which eight are with the machine",
    )
    await reaching.cancel(order)
    await reaching.end_of(told)
    assert told.end.end == "cancelled"
    assert {each["status"] for each in circuits(told)} == {"cancelled"}
    assert len(circuits(told)) in (20, 21)


async def test_a_program_sees_its_secrets_and_no_other_owners_open(
    reaching: Rig, cloud: QuafuStandIn
) -> None:
    shown = ("import os", "return os.environ.get('SECRET_IBM_TOKEN')")
    told = await ran(reaching, *shown, confidential=sealed(secrets={"SECRET_IBM_TOKEN": "s3cret"}))
    assert json.loads(told.result) == "s3cret"
    order = await reaching.order(body(*shown), confidential=sealed(owner="bob"))
    ends = []
    for attempt in range(1, 5):
        swapped = await reaching.send(order.model_copy(update={"attempt": attempt}))
        ends.append((await reaching.end_of(swapped)).end.end)
        assert swapped.code == "ExecutorFault"
        assert "cannot be opened on this executor" in swapped.detail
        swapped.finished = None
    assert ends == ["refused", "refused", "refused", "failed"]


PYQUAFU = """
import json, sys
import quafu
from quafu.exceptions import QuafuError, UserError
quafu.User.url = sys.argv[1]
user = quafu.User(api_token=sys.argv[2])
q = quafu.QuantumCircuit(2)
q.h(0)
q.cnot(0, 1)
q.measure([0, 1], cbits=[0, 1])
task = quafu.Task(user)
task.config(backend="ScQ-P10", shots=100, compile=True)
waited = task.send(q, name="pair's", wait=True)
sent = task.send(q, name="pair's")
statuses = [sent.task_status]
while statuses[-1] not in ("Completed", "Failed"):
    statuses.append(task.retrieve(sent.taskid).task_status)
def raised(call):
    try:
        return call()
    except QuafuError as exc:
        return type(exc).__name__
bad = raised(lambda: quafu.User(api_token="wrong").get_available_backends())
compiled = raised(lambda: task.send(q, name="uncompilable"))
backends = {name: [each.qubit_num, each.status] for name, each in task._available_backends.items()}
print(json.dumps([dict(waited.counts), statuses, bad, compiled, backends]))
"""


async def test_the_stand_in_is_a_cloud_to_pyquafu_and_gets_the_same_from_both(
    reaching: Rig, cloud: QuafuStandIn, served: Served
) -> None:
    environ = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", "HOME": "/nonexistent"}

    def pyquafu() -> Any:
        command = [str(PROGRAM_PYTHON), "-c", PYQUAFU, served.url, TOKEN]
        shown = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert shown.returncode == 0, shown.stderr
        return json.loads(shown.stdout.splitlines()[-1])

    counts, statuses, bad, compiled, backends = await asyncio.to_thread(pyquafu)
    assert counts == {"00": 50, "11": 50}
    assert statuses == ["In Queue", "Completed"]
    assert (bad, compiled) == ("UserError", "CompileError")
    assert backends["ScQ-P136"] == [136, "Maintenance"]
    theirs = cloud.sent_to("scq_kit_asyc/")[0]
    told = await ran(
        reaching,
        *BELL,
        "task.config(backend='ScQ-P10', shots=100, compile=True)",
        'task.send(bell(), name="pair\'s")',
        confidential=sealed(),
    )
    assert told.end.end == "succeeded", told.end
    ours = cloud.sent_to("scq_kit_asyc/")[-1]
    assert (ours.body, ours.content_type, ours.token) == (theirs.body, theirs.content_type, theirs.token)
