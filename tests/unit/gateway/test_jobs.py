"""`/v1/jobs` as clients see it: submissions, results, outputs and logs."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from qrt_contracts.api import MAX_WAIT_SECONDS
from qrt_contracts.endings import Ending, ended
from qrt_contracts.events import JobChanged
from qrt_contracts.jobs import QueuePlace
from qrt_contracts.states import JobState
from qrt_contracts.values import Payload
from tests.support.waiting import wait_until
from tests.unit.gateway.test_programs import upload
from tests.unit.gateway.world import World, world

JOB = "0" * 32


async def submit(gateway: World, body: dict[str, Any], **headers: str) -> Any:
    return await gateway.http.post("/v1/jobs", json=body, headers=headers)


async def test_a_submission_is_one_job_with_its_program_and_place(gateway: World) -> None:
    program = await upload(gateway)
    by_id = await submit(gateway, {"program_id": program["id"], "priority": 7})
    by_name = await submit(gateway, {"program_name": "hello"})
    for reply in (by_id, by_name):
        assert reply.status_code == 201
        assert reply.headers["location"] == f"/v1/jobs/{reply.json()['id']}"
        assert reply.json()["program"] == {
            "id": program["id"],
            "name": "hello",
            "version": 1,
            "digest": program["latest"]["bundle"]["sha256"],
        }
    assert gateway.scheduler.submissions[0].priority == 7


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":[true,null,1.5]}',
        '"\\u0000 ü \\ud83d\\ude00"',
        "18446744073709551615",
        "0.1",
        "{}",
        "-0.0",
    ],
)
async def test_the_input_reaches_the_scheduler_as_it_was_meant(gateway: World, text: str) -> None:
    program = await upload(gateway)
    body = f'{{"program_id": "{program["id"]}", "input": {text}}}'
    reply = await gateway.http.post("/v1/jobs", content=body.encode())
    assert reply.status_code == 201, reply.text
    (submission,) = gateway.scheduler.submissions
    assert submission.input.text is not None
    assert json.loads(submission.input.text) == json.loads(text)
    assert orjson.loads(submission.input.text) == orjson.loads(text)


async def test_a_long_run_of_digits_in_a_string_is_no_number(gateway: World) -> None:
    program = await upload(gateway)
    reply = await submit(gateway, {"program_id": program["id"], "input": "9" * 50})
    assert reply.status_code == 201


async def test_an_input_too_deep_to_carry_is_refused(gateway: World) -> None:
    program = await upload(gateway)
    body = f'{{"program_id": "{program["id"]}", "input": {"[" * 300}{"]" * 300}}}'
    reply = await gateway.http.post("/v1/jobs", content=body.encode())
    assert (reply.status_code, reply.json()["field"]) == (422, "input")


async def test_a_large_input_is_stored_first(gateway: World) -> None:
    program = await upload(gateway)
    await submit(gateway, {"program_id": program["id"], "input": "x" * 2000})
    artifact = gateway.scheduler.submissions[0].input.artifact
    assert artifact is not None
    assert gateway.artifacts.blobs[artifact.sha256] == b'"' + b"x" * 2000 + b'"'


async def test_one_key_makes_one_job_for_one_request(gateway: World) -> None:
    program = await upload(gateway)
    body = {"program_id": program["id"], "input": {"a": 1, "b": 2}}
    first = await submit(gateway, body, **{"Idempotency-Key": "k"})
    turned = {"input": {"b": 2, "a": 1}, "program_id": program["id"]}
    again = await submit(gateway, turned, **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = await submit(gateway, body | {"input": 3}, **{"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["code"]) == (409, "Conflict")
    unfit = await submit(gateway, body, **{"Idempotency-Key": "x" * 256})
    assert unfit.status_code == 422


async def test_jobs_are_shown_listed_cancelled_and_deleted_by_their_owner(gateway: World) -> None:
    gateway.scheduler.add(JOB)
    hidden = [("GET", ""), ("POST", "/cancel"), ("DELETE", ""), ("GET", "/result"), ("GET", "/input")]
    for method, path in hidden:
        assert (await gateway.other.request(method, f"/v1/jobs/{JOB}{path}")).status_code == 404
    assert (await gateway.http.delete(f"/v1/jobs/{JOB}")).status_code == 409
    listed = await gateway.http.get("/v1/jobs", params={"status": "QUEUED"})
    assert [each["id"] for each in listed.json()["jobs"]] == [JOB]
    cancelled = await gateway.http.post(f"/v1/jobs/{JOB}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert (await gateway.http.delete(f"/v1/jobs/{JOB}")).status_code == 204
    assert (await gateway.http.get(f"/v1/jobs/{JOB}")).status_code == 404


async def test_a_result_passes_through_unread(gateway: World) -> None:
    text = '{"n": 1e400, "x": 123456789012345678901234567890}'  # no JSON parser would keep either
    gateway.scheduler.add(JOB, status=JobState.SUCCEEDED, attempt=1, result=Payload(text=text))
    reply = await gateway.http.get(f"/v1/jobs/{JOB}/result")
    assert f'"result":{text}' in reply.text
    assert json.loads(reply.text)["status"] == "SUCCEEDED"


async def test_an_input_passes_through_unread(gateway: World) -> None:
    text = '{"big": 123456789012345678901234567890, "x": 1e400}'
    gateway.scheduler.add(JOB, status=JobState.QUEUED, input=Payload(text=text))
    reply = await gateway.http.get(f"/v1/jobs/{JOB}/input")
    assert reply.text == f'{{"job_id":"{JOB}","input":{text}}}'


async def test_a_large_input_is_streamed_from_where_it_is_stored(gateway: World) -> None:
    text = json.dumps(["x" * 1000] * 400)
    artifact = await gateway.artifacts.put(text.encode())
    gateway.scheduler.add(JOB, status=JobState.QUEUED, input=Payload(artifact=artifact))
    assert (await gateway.http.get(f"/v1/jobs/{JOB}/input")).json()["input"] == json.loads(text)


async def test_a_large_result_is_streamed_from_where_it_is_stored(gateway: World) -> None:
    text = json.dumps(["x" * 500] * 10)
    artifact = await gateway.artifacts.put(text.encode())
    gateway.scheduler.add(JOB, status=JobState.SUCCEEDED, attempt=1, result=Payload(artifact=artifact))
    reply = await gateway.http.get(f"/v1/jobs/{JOB}/result")
    assert reply.json()["result"] == json.loads(text)
    assert int(reply.headers["content-length"]) == len(reply.content)
    gateway.artifacts.blobs.clear()
    assert (await gateway.http.get(f"/v1/jobs/{JOB}/result")).status_code == 404


async def test_a_failed_job_says_why(gateway: World) -> None:
    problem = ended(Ending.PROGRAM_ERROR, "ValueError: no", traceback="Traceback ...")
    gateway.scheduler.add(JOB, status=JobState.FAILED, attempt=1, problem=problem)
    body = (await gateway.http.get(f"/v1/jobs/{JOB}/result")).json()
    assert (body["result"], body["problem"]["code"], body["problem"]["traceback"]) == (
        None,
        "ProgramError",
        "Traceback ...",
    )


async def test_a_waiting_request_is_answered_by_the_end(gateway: World) -> None:
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    path = f"/v1/jobs/{JOB}/result"
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(gateway.http.get(path, params={"wait": MAX_WAIT_SECONDS}))
        await wait_until(lambda: gateway.live._states, description="somebody listens")
        await gateway.scheduler.change(JOB, attempt=2)
        await gateway.scheduler.end(JOB, result='"done"')
    assert waiting.result().json()["result"] == "done"


async def test_news_that_bring_the_result_answer_a_wait_without_another_question(gateway: World) -> None:
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    path = f"/v1/jobs/{JOB}/result"
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(gateway.http.get(path, params={"wait": MAX_WAIT_SECONDS}))
        await wait_until(lambda: gateway.live._states, description="somebody listens")
        await gateway.scheduler.change(JOB, attempt=2)
        await gateway.scheduler._bus.publish(
            JobChanged(
                job_id=JOB,
                status=JobState.SUCCEEDED,
                attempt=2,
                ended_at=datetime(2026, 1, 2, tzinfo=UTC),
                result=Payload(text='{"only": "told"}'),
            )
        )
    told = waiting.result().json()
    assert (told["result"], told["ended_at"]) == ({"only": "told"}, "2026-01-02T00:00:00Z")


async def test_a_wait_that_is_over_is_answered_by_the_present_state(gateway: World) -> None:
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    for wait in ("0", "0.01"):
        reply = await gateway.http.get(f"/v1/jobs/{JOB}/result", params={"wait": wait})
        assert (reply.json()["status"], reply.json()["result"]) == ("RUNNING", None)


async def test_an_end_that_nobody_told_ends_a_wait_too() -> None:
    async with world(sweep_seconds=0.01) as gateway:
        gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(gateway.http.get(f"/v1/jobs/{JOB}/result", params={"wait": 55}))
            await wait_until(lambda: gateway.live._states, description="somebody listens")
            await gateway.scheduler.end(JOB, tell=False)
        assert waiting.result().json()["status"] == "SUCCEEDED"


async def test_a_stopping_gateway_answers_those_who_wait(gateway: World) -> None:
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(gateway.http.get(f"/v1/jobs/{JOB}/result", params={"wait": 55}))
        await wait_until(lambda: gateway.live._states, description="somebody listens")
        gateway.live.close()
    assert waiting.result().json()["status"] == "RUNNING"


async def test_the_log_is_read_to_its_end_page_by_page(gateway: World) -> None:
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    gateway.scheduler.page_size = 3
    await gateway.scheduler.output(JOB, *(f"line {n}\n" for n in range(10)))
    whole = "".join(f"line {n}\n" for n in range(10))
    reply = await gateway.http.get(f"/v1/jobs/{JOB}/logs")
    assert (reply.text, reply.headers["content-type"]) == (whole, "text/plain; charset=utf-8")
    await gateway.scheduler.end(JOB)
    assert (await gateway.http.get(f"/v1/jobs/{JOB}/logs")).text == whole


async def test_a_job_that_has_not_run_has_an_empty_log(gateway: World) -> None:
    gateway.scheduler.add(JOB)
    reply = await gateway.http.get(f"/v1/jobs/{JOB}/logs")
    assert (reply.status_code, reply.text) == (200, "")
    assert (await gateway.other.get(f"/v1/jobs/{JOB}/logs")).status_code == 404


async def test_outputs_are_read_from_a_number_on(gateway: World) -> None:
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=2)
    await gateway.scheduler.output(JOB, "a", "b", "c")
    for query in ({"after": 1}, {"after": 1, "attempt": 2}):
        body = (await gateway.http.get(f"/v1/jobs/{JOB}/outputs", params=query)).json()
        assert [each["data"] for each in body["outputs"]] == ["b", "c"]
        assert (body["attempt"], body["last"], body["complete"]) == (2, 3, False)
    body = (await gateway.http.get(f"/v1/jobs/{JOB}/outputs", params={"after": 2, "attempt": 1})).json()
    assert (body["attempt"], len(body["outputs"])) == (2, 3)
    body = (await gateway.http.get(f"/v1/jobs/{JOB}/outputs", params={"kind": "interim"})).json()
    assert (body["outputs"], body["last"]) == ([], 3)


async def test_a_queued_job_shows_where_it_stands_and_why(gateway: World) -> None:
    program = await upload(gateway)
    job = (await submit(gateway, {"program_id": program["id"]})).json()
    gateway.scheduler.place = QueuePlace(position=3, reason="2 jobs are to start before it")
    seen = (await gateway.http.get(f"/v1/jobs/{job['id']}")).json()
    assert (seen["queue"]["position"], seen["queue"]["reason"]) == (3, "2 jobs are to start before it")
