"""Jobs, as Quafu clients run, watch, cancel and delete them."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from qrt_contracts.commands import CancelJob, DeleteJob, ResolveRun, SubmitJob
from qrt_contracts.faults import Conflict, ProgramInvalid
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import Job
from qrt_contracts.rights import Scope
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import Payload
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.texts import text_of
from qrt_gateway.handlers.outputs import log_text
from qrt_gateway.handlers.streaming import begun
from qrt_gateway.quafu.asked import Run, id_in, object_of, read_as
from qrt_gateway.quafu.endpoint import Asking, Endpoint
from qrt_gateway.quafu.shapes import NUMBERS, ended_at, error_text, submitted

CANCEL_SECONDS = 10.0
"""How long a cancelled job may take to be dead before the answer is that it could not be cancelled."""
NOT_CANCELLED = -1


async def run(asking: Asking) -> Response:
    """Queue a job."""
    body = await object_of(asking.request, limit=asking.parts.max_body_bytes)
    wanted = read_as(Run, body)
    payload = await asking.parts.artifacts.wrap(text_of(wanted.params if "params" in body else wanted.inputs))
    resolved = await asking.parts.bus.request(_resolve(wanted, asking.caller))
    spec = resolved.run.model_copy(update={"backend": wanted.backend} if wanted.backend else {})
    command = SubmitJob(
        caller=asking.caller.name,
        rights=asking.caller.rights,
        job_id=new_id(),
        run=spec,
        input=payload,
        confidential=await asking.parts.secrets.for_job(asking.caller.name),
    )
    job = (await asking.parts.watching.submit(command)).job
    asking.about(f"job {job.id}")
    return asking.answer(submitted(job))


async def result_nowait(asking: Asking) -> Response:
    """Return a job's result, or where it stands."""
    job_id = await _job_id_in_body(asking)
    return await _result(asking, await asking.parts.watching.job(asking.caller, job_id))


async def result_wait(asking: Asking) -> Response:
    """Hold the request until the job has ended, the longest wait is over or the client is gone."""
    job_id = await _job_id_in_body(asking)
    ended = asking.parts.watching.ended_job(
        asking.caller, job_id, wait_seconds=asking.parts.quafu_wait_seconds
    )
    job = asyncio.ensure_future(ended)
    gone = asyncio.ensure_future(_until_gone(asking.request))
    try:
        await asyncio.wait({job, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            return Response(status_code=499)  # nobody is left to read it
        return await _result(asking, await job)
    finally:
        job.cancel()
        gone.cancel()
        await asyncio.gather(job, gone, return_exceptions=True)


async def status(asking: Asking) -> Response:
    """Return where a job stands, with its result if it has one."""
    job = await _job_in_query(asking)
    return await _with_result(
        asking, job, {"status": NUMBERS[job.status], "result": None, "finished_time": ended_at(job)}
    )


async def logs(asking: Asking) -> Response:
    """Return a job's log as one text."""
    job = await _job_in_query(asking)
    text = await begun(_encoded(log_text(asking.parts, asking.caller, job.id)))
    return asking.streamed({"status": NUMBERS[job.status], "logs": None}, "logs", text)


async def cancel(asking: Asking) -> Response:
    """End a job; 3 once it is cancelled, -1 if it had ended by itself or does not end."""
    job_id = await _job_id_in_body(asking)
    job = (
        await asking.parts.bus.request(
            CancelJob(caller=asking.caller.name, rights=asking.caller.rights, job_id=job_id)
        )
    ).job
    if job.status not in TERMINAL:
        watching = asking.parts.watching
        job = await watching.ended_job(asking.caller, job_id, wait_seconds=CANCEL_SECONDS)
    cancelled = job.status is JobState.CANCELLED
    return asking.answer({"status": NUMBERS[job.status] if cancelled else NOT_CANCELLED})


async def delete(asking: Asking) -> Response:
    """Forget an ended job; one that has not ended stays."""
    job, deleted = await _job_in_query(asking), True
    try:
        await asking.parts.bus.request(
            DeleteJob(caller=asking.caller.name, rights=asking.caller.rights, job_id=job.id)
        )
    except Conflict:
        deleted = False
    if asking.dialect.enveloped:
        return asking.answer({"status": NUMBERS[job.status], "deleted": deleted})
    err = None if deleted else "job is running"
    return asking.answer({"status": NUMBERS[job.status], "deled": deleted, "err": err})


def _resolve(wanted: Run, caller: Caller) -> ResolveRun:
    if wanted.program_id:
        program_id = id_in(wanted.program_id, what="program")
        return ResolveRun(caller=caller.name, rights=caller.rights, program_id=program_id)
    if wanted.program_name:
        return ResolveRun(caller=caller.name, rights=caller.rights, name=wanted.program_name)
    raise ProgramInvalid("name the program: give program_id or program_name")


async def _job_id_in_body(asking: Asking) -> str:
    body = await object_of(asking.request, limit=asking.parts.max_body_bytes)
    job_id = id_in(body.get("job_id"), what="job")
    asking.about(f"job {job_id}")
    return job_id


async def _job_in_query(asking: Asking) -> Job:
    job_id = id_in(asking.request.query_params.get("job_id"), what="job")
    asking.about(f"job {job_id}")
    return await asking.parts.watching.job(asking.caller, job_id)


async def _result(asking: Asking, job: Job) -> Response:
    return await _with_result(
        asking, job, {"finish_time": ended_at(job), "result": None, "status": NUMBERS[job.status]}
    )


async def _with_result(asking: Asking, job: Job, fields: dict[str, object]) -> Response:
    """Answer with `result` filled in: the return value's JSON text, an error's text, or null."""
    if job.status is not JobState.SUCCEEDED:
        return asking.answer(fields | {"result": error_text(job)})
    payload = job.result or Payload(text="null")
    if payload.artifact is None:
        return asking.answer(fields | {"result": payload.text})
    return asking.streamed(
        fields, "result", await begun(asking.parts.artifacts.read(payload.artifact.sha256))
    )


async def _encoded(pieces: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece.encode()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


_NOT_THE_OWNER = {"NotAuthenticated": 405, "Forbidden": 405}
"""In the older dialect, what these endpoints say to somebody who may not ask."""

ENDPOINTS = (
    Endpoint(
        name="programs_run_deploy",
        method="POST",
        scope=Scope.RUN,
        answer=run,
        codes={"InvalidRequest": 401, "ProgramInvalid": 405},
    ),
    Endpoint(
        name="get_result_wait", method="POST", scope=Scope.READ, answer=result_wait, bare=_NOT_THE_OWNER
    ),
    Endpoint(
        name="get_result_nowait", method="POST", scope=Scope.READ, answer=result_nowait, bare=_NOT_THE_OWNER
    ),
    Endpoint(name="job_status", method="GET", scope=Scope.READ, answer=status),
    Endpoint(name="job_logs", method="GET", scope=Scope.READ, answer=logs),
    Endpoint(name="job_cancel", method="POST", scope=Scope.RUN, answer=cancel, bare=_NOT_THE_OWNER),
    Endpoint(name="job_delete", method="GET", scope=Scope.RUN, answer=delete),
)
