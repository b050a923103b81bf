"""Published Quafu clients against the whole product, in both dialects."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import httpx
import pytest

from qrt_contracts.ids import new_id
from quafu_runtime import Account, AsyncRuntimeService, InterimResult, RuntimeService
from quafu_runtime.errors import NotFound
from tests.support.quafu_client import QuafuClient, QuafuStream, Refused
from tests.support.quafu_replay import SOURCE, replay
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import ROOT, TOKEN, Composition

pytestmark = [pytest.mark.quafu, pytest.mark.asyncio(loop_scope="session")]

T = TypeVar("T")
BASES = {"enveloped": "/", "bare": "/compat/quafu-a/"}
EXAMPLES = ROOT / "examples"
COUNTDOWN = """
import time
def run(task, userpub, params):
    print("Hello World!", params)
    for i in range(10, 0, -1):
        print("Sleep 10...")
        userpub.publish(f"publish from job {i}".encode())
    userpub.publish("text")
    userpub.publish({"e": -1})
    userpub.publish("_poison_pill")
    return {"result": params}
"""


async def threaded(call: Callable[..., T], *arguments: Any, **more: Any) -> T:
    return await asyncio.wait_for(asyncio.to_thread(call, *arguments, **more), 60)


@pytest.fixture(params=BASES)
def client(composition: Composition, request: pytest.FixtureRequest) -> Iterator[QuafuClient]:
    url = composition.url + BASES[request.param]
    made = QuafuClient(url, TOKEN, enveloped=request.param == "enveloped")
    yield made
    made.close()


class Real:
    """Drives a recording against the product: it waits, the product does the rest."""

    def __init__(self, http: httpx.AsyncClient, base: str, token: str) -> None:
        self.token = token
        self._http, self._base = http, base

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        reply = await self._http.send(
            self._http.build_request(method, self._base + path, headers=headers, content=body)
        )
        return reply.status_code, reply.headers, reply.content

    async def until(self, state: str, job_id: str) -> None:
        wanted = {"DONE": "SUCCEEDED", "ERROR": "FAILED"}.get(state, state)
        headers = {"Authorization": f"Bearer {self.token}"}

        async def reached() -> bool:
            reply = await self._http.get(f"{self._base}/v1/jobs/{job_id}", headers=headers)
            return bool(reply.json()["status"] == wanted)

        await wait_until(reached, description=f"{job_id} is {wanted}", seconds=30)


@pytest.mark.parametrize("dialect", BASES)
async def test_a_recorded_conversation_is_answered_to_the_letter(
    composition: Composition, dialect: str
) -> None:
    async with httpx.AsyncClient(timeout=90) as http:
        admin = {"Authorization": f"Bearer {TOKEN}"}
        account = {"name": f"quafu-{new_id()[-12:]}"}
        issued = await http.post(f"{composition.url}/v1/accounts", json=account, headers=admin)
        assert issued.status_code == 201, issued.text
        await replay(dialect, Real(http, composition.url, issued.json()["token"]))


async def test_the_notebook_in_a_published_client(composition: Composition, client: QuafuClient) -> None:
    name = f"countdown-{new_id()}"
    program_id = await threaded(client.upload, COUNTDOWN, name)
    program = await threaded(client.program, name=name)
    assert (program["program_id"], program["data"]) == (program_id, COUNTDOWN)
    job_id = await threaded(client.run, {"TestParam1": "xxxxxx"}, program_name=name)
    heard: list[str | bytes] = []
    stream = QuafuStream(composition.url.replace("http", "ws"), TOKEN, job_id)
    await threaded(stream.messages, heard.append)
    assert heard == [
        *(f"publish from job {i}".encode() for i in range(10, 0, -1)),
        b"text",
        b'{"e": -1}',
        b"_poison_pill",
        job_id.encode(),
    ]
    assert stream.connections == 1
    result = await threaded(client.result, job_id, wait=True)
    assert list(result) == ["finish_time", "result", "status"]
    assert (result["result"], result["status"]) == ('{"result": {"TestParam1": "xxxxxx"}}', 2)
    log = await threaded(client.logs, job_id)
    assert log == "Hello World! {'TestParam1': 'xxxxxx'}\n" + "Sleep 10...\n" * 10
    assert await threaded(client.delete, job_id)
    await threaded(client.delete_program, program_id)
    with pytest.raises(Refused) as refused:
        await threaded(client.program, program_id=program_id)
    assert refused.value.status == 404


async def test_a_listener_that_came_late_gets_everything(
    composition: Composition, client: QuafuClient
) -> None:
    name = f"late-{new_id()}"
    await threaded(client.upload, COUNTDOWN, name)
    job_id = await threaded(client.run, 5, program_name=name)
    assert (await threaded(client.result, job_id, wait=True))["status"] == 2
    heard: list[str | bytes] = []
    stream = QuafuStream(composition.url.replace("http", "ws") + "/compat/quafu-a/", TOKEN, job_id)
    await threaded(stream.messages, heard.append)
    assert len(heard) == 14
    assert heard[-1] == job_id.encode()


async def test_a_failure_is_told_by_its_message(client: QuafuClient) -> None:
    program_id = await threaded(client.upload, SOURCE, f"hello-{new_id()}")
    job_id = await threaded(client.run, "fail", program_id=program_id)
    assert await threaded(client.result, job_id, wait=True) == {
        "status": 4,
        "error_msg": "ValueError: told to fail",
    }
    assert (await threaded(client.status, job_id))["result"] == "ValueError: told to fail"


async def test_a_large_result_and_odd_text_come_whole(client: QuafuClient) -> None:
    source = "def run(task, userpub, params):\n    return {'text': params * 20000}\n"
    program_id = await threaded(client.upload, source, f"large-{new_id()}")
    text = 'é"\\\n\u0001\u2028 中文 '
    job_id = await threaded(client.run, text, program_id=program_id)
    result = await threaded(client.result, job_id, wait=True)
    assert json.loads(result["result"]) == {"text": text * 20000}


@pytest.mark.parametrize("dialect", BASES)
async def test_an_unknown_token_is_refused_in_the_dialects_own_way(
    composition: Composition, dialect: str
) -> None:
    client = QuafuClient(composition.url + BASES[dialect], "no-such-token", enveloped=dialect == "enveloped")
    try:
        with pytest.raises(Refused) as refused:
            await threaded(client.programs)
    finally:
        client.close()
    assert refused.value.status == (201 if dialect == "enveloped" else 403)
    assert refused.value.text or dialect == "bare"


async def test_circuits_are_listed_under_their_job(composition: Composition) -> None:
    source = """
import quafu
def run(task, userpub, params):
    task.config(backend="ScQ-P10", shots=100)
    q = quafu.QuantumCircuit(2)
    q.h(0)
    q.cnot(0, 1)
    q.measure([0, 1], cbits=[0, 1])
    for i in range(3):
        userpub.publish(dict(task.send(q, name=f"c{i}").counts))
    return sum(task.send(q).counts.values())
"""
    account = Account(api_token=TOKEN, url=composition.url)

    def ran() -> tuple[Any, list[Any], str, list[Any]]:
        service = RuntimeService(account)
        program = service.upload_program(source, metadata={"name": f"circuits-{new_id()}"})
        job = service.run(program_id=program)
        result = job.result(wait=True)
        heard = [each for each in job.outputs() if isinstance(each, InterimResult)]
        return result, job.circuits(), job.logs(), heard

    result, circuits, log, heard = await threaded(ran)
    assert result["result"] == "100"
    assert [(each.id, each.name, each.backend, each.shots, each.status) for each in circuits] == [
        (str(i + 1), name, "simulator", 100, "completed") for i, name in enumerate(("c0", "c1", "c2", ""))
    ]
    assert "there is no backend 'ScQ-P10' here" in log
    assert len(heard) == 3


async def test_the_examples_reach_the_known_values_through_the_task(composition: Composition) -> None:
    account = Account(api_token=TOKEN, url=composition.url)

    def ran(name: str) -> tuple[Any, list[float], int]:
        with RuntimeService(account) as service:
            program = service.upload_program(str(EXAMPLES / f"{name}.py"), name=f"{name}-{new_id()}")
            job = service.run(program_id=program, params={}, seed=1)
            outputs = [each.value for each in job.outputs() if isinstance(each, InterimResult)]
            return job.value(timeout=60), [each["energy"] for each in outputs], len(job.circuits())

    (vqe, vqe_energies, vqe_circuits), (qaoa, qaoa_energies, _) = await asyncio.gather(
        threaded(ran, "vqe_h2"), threaded(ran, "qaoa_maxcut")
    )
    assert vqe["energy"] == pytest.approx(-1.857275, abs=0.01)
    assert vqe["energies"] == vqe_energies
    assert vqe_circuits == 6 * (4 * 6 + 2)
    assert (qaoa["cut"], qaoa["energy"]) == (5, pytest.approx(-4.65, abs=0.1))
    assert qaoa_energies == sorted(qaoa_energies, reverse=True)
    assert qaoa_energies[-1] == qaoa["energy"]


async def test_a_sweep_is_run_followed_and_collected(composition: Composition) -> None:
    source = """
import quafu
def run(task, userpub, params):
    q = quafu.QuantumCircuit(1)
    q.ry(0, params["angle"])
    q.measure([0], cbits=[0])
    return task.send(q).counts.get("1", 0)
"""
    account = Account(api_token=TOKEN, url=composition.url)

    def swept() -> tuple[Any, Any, Any]:
        with RuntimeService(account) as service:
            program = service.upload_program(source, name=f"sweep-{new_id()}")
            angles = [{"angle": 0.3 * k} for k in range(3)]
            first = service.run_many(program, [*angles, {}], seed=1)
            again = service.run_many(program, angles, seed=1)
            ended = sorted(index for index, _ in first.as_completed(timeout=60))
            assert ended == list(range(4))
            changed = service.update_program(program, data=source + "# once more")
            assert changed is not None
            assert [each.number for each in changed.versions()] == [2, 1]
            assert len(service.jobs(program_id=program, tag=first.tag, limit=None)) == 4
            return first.results(failures=True), again.results(timeout=60), first.failures

    results, again, failures = await threaded(swept)
    assert results[:3] == again
    assert results[0] == 0
    assert list(failures) == [3]
    assert "KeyError: 'angle'" in str(failures[3])


async def test_the_backends_are_told(composition: Composition) -> None:
    account = Account(api_token=TOKEN, url=composition.url)
    async with AsyncRuntimeService(account) as service:

        async def online() -> bool:
            return [each.status for each in await service.backends()] == ["online"]

        await wait_until(online, description="the simulator is online", seconds=30)
        listed = await service.backends()
        shown = await service.backend("Simulator")
    assert shown.model_dump(exclude={"queue"}) == listed[0].model_dump(exclude={"queue"})
    assert (shown.name, shown.qubits, shown.status, shown.simulated) == ("simulator", 24, "online", True)
    assert {"h", "cx"} <= set(shown.gates)
    with RuntimeService(account) as blocking, pytest.raises(NotFound) as missing:
        await threaded(blocking.backend, "ScQ-P10")
    assert "there is: simulator" in str(missing.value)


async def test_a_seed_given_with_the_job_fixes_its_samples(api: Api) -> None:
    source = """
import quafu
def run(task, userpub, params):
    q = quafu.QuantumCircuit(1)
    q.h(0)
    q.measure([0], cbits=[0])
    return task.send(q).res
"""
    program = await api.upload(source)
    results = [(await api.result(await api.submit(program, seed=seed)))["result"] for seed in (3, 3, 4)]
    assert results[0] == results[1] != results[2]
