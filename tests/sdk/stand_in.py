"""A stand-in for the runtime: its native surface in one process, without durability, fairness or isolation.

Programs are really run, each in a thread. What the surface promises is written down in
`qrt_contracts.api`; the system tests run the same notebook against the real services.
"""

import asyncio
import hashlib
import json
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import UTC, datetime
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from qrt_contracts import api, api_programs
from qrt_contracts.api_programs import VersionList, VersionView
from qrt_contracts.endings import Ending, ended
from qrt_contracts.faults import Conflict, NameTaken, NotAuthenticated, NotFound, RuntimeFault
from qrt_contracts.ids import new_id
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import Artifact, Encoding, LimitOverrides, Limits, Output, OutputKind, ProgramKind

TOKEN = "testapitoken"
STATUS = {"NotAuthenticated": 401, "NotFound": 404, "Conflict": 409, "NameTaken": 409}


class _Stopped(BaseException):
    """Raised inside a program to cancel it."""


class StandInJob:
    """One run: its outputs and its end, written by the program's thread, read by the server's loop."""

    def __init__(self, program: "StandInProgram", view: api.JobView, value: Any) -> None:
        self.program = program
        self.view = view
        self.input = value
        self.result: Any = None
        self.outputs: list[Output] = []
        self.stop = threading.Event()
        self.changed = threading.Condition()

    def put(self, kind: OutputKind, data: str, encoding: Encoding = Encoding.TEXT) -> None:
        if self.stop.is_set():
            raise _Stopped
        with self.changed:
            stream = "stdout" if kind is OutputKind.LOG else None
            number = len(self.outputs) + 1
            now = datetime.now(UTC)
            output = Output(number=number, kind=kind, at=now, stream=stream, encoding=encoding, data=data)
            self.outputs.append(output)
            self.changed.notify_all()

    def publish(self, value: Any) -> None:
        if isinstance(value, bytes):
            self.put(OutputKind.INTERIM, value.decode(), Encoding.UTF8)
        else:
            self.put(OutputKind.INTERIM, json.dumps(value), Encoding.JSON)

    def print(self, *words: object) -> None:
        self.put(OutputKind.LOG, " ".join(map(str, words)) + "\n")

    def move(self, status: JobState, **more: Any) -> None:
        with self.changed:
            self.view = self.view.model_copy(update={"status": status, **more})
            self.changed.notify_all()

    def run(self) -> None:
        namespace: dict[str, Any] = {"print": self.print}
        status, problem = JobState.SUCCEEDED, None
        try:
            while_true = "while True:\n        pass"
            source = self.program.source.replace(while_true, "while True:\n        print()")
            exec(compile(source, "program.py", "exec"), namespace)
            self.result = namespace["run"](None, self, self.input)
        except _Stopped:
            status, problem = JobState.CANCELLED, ended(Ending.CANCELLED, "on request")
        except Exception as exc:  # noqa: BLE001  # whatever a program raises is its end
            trace = f"{self.program.source}\n{traceback.format_exc()}"
            status = JobState.FAILED
            problem = ended(Ending.PROGRAM_ERROR, f"{type(exc).__name__}: {exc}", traceback=trace)
        self.move(status, problem=problem, ended_at=datetime.now(UTC), last_output=len(self.outputs))

    def wait(self, ready: Callable[[], bool], seconds: float) -> None:
        with self.changed:
            self.changed.wait_for(ready, timeout=seconds)


class StandInProgram:
    """A program and its newest source."""

    def __init__(self, view: api_programs.ProgramView, source: str) -> None:
        self.view = view
        self.source = source


class StandIn:
    """The runtime's state and routes. `seen` are the requests, in order."""

    def __init__(self) -> None:
        self.programs: dict[str, StandInProgram] = {}
        self.jobs: dict[str, StandInJob] = {}
        self.keys: dict[str, str] = {}
        self.seen: list[str] = []
        self.threads: list[threading.Thread] = []

    def app(self) -> Starlette:
        routes = [
            Route("/v1/account", self._guarded(self.who_am_i)),
            Route("/v1/programs", self._guarded(self.create_program), methods=["POST"]),
            Route("/v1/programs", self._guarded(self.list_programs)),
            Route("/v1/programs/{id}", self._guarded(self.get_program)),
            Route("/v1/programs/{id}", self._guarded(self.update_program), methods=["PATCH"]),
            Route("/v1/programs/{id}", self._guarded(self.delete_program), methods=["DELETE"]),
            Route("/v1/programs/{id}/versions", self._guarded(self.add_version), methods=["POST"]),
            Route("/v1/programs/{id}/versions", self._guarded(self.list_versions)),
            Route("/v1/programs/{id}/source", self._guarded(self.get_source)),
            Route("/v1/jobs", self._guarded(self.submit), methods=["POST"]),
            Route("/v1/jobs", self._guarded(self.list_jobs)),
            Route("/v1/jobs/{id}", self._guarded(self.get_job)),
            Route("/v1/jobs/{id}", self._guarded(self.delete_job), methods=["DELETE"]),
            Route("/v1/jobs/{id}/result", self._guarded(self.get_result)),
            Route("/v1/jobs/{id}/logs", self._guarded(self.get_logs)),
            Route("/v1/jobs/{id}/cancel", self._guarded(self.cancel), methods=["POST"]),
            WebSocketRoute("/v1/jobs/{id}/stream", self.stream),
            WebSocketRoute("/v1/stream", self.stream_many),
        ]
        return Starlette(routes=routes)

    def _guarded(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            self.seen.append(f"{request.method} {request.url.path}")
            try:
                if request.headers.get("authorization") != f"Bearer {TOKEN}":
                    raise NotAuthenticated("no such token")
                response: Response = await handler(request)
            except RuntimeFault as fault:
                body = fault.problem().model_dump_json()
                return Response(body, STATUS[fault.code], media_type="application/problem+json")
            return response

        return handle

    async def who_am_i(self, _: Request) -> Response:
        return JSONResponse({"name": "tester", "role": "user", "admin": False})

    # --- programs ---

    def _program(self, request: Request) -> StandInProgram:
        found = self.programs.get(request.path_params["id"])
        if found is None:
            raise NotFound("no such program")
        return found

    async def create_program(self, request: Request) -> Response:
        asked = api_programs.CreateProgramRequest.model_validate_json(await request.body())
        if any(p.view.name == asked.name for p in self.programs.values()):
            raise NameTaken(f"there is a program named {asked.name}")
        now = datetime.now(UTC)
        source = asked.source or ""
        fields = asked.model_dump(exclude={"source", "image"}) | {"kind": asked.kind or ProgramKind.QUAFU}
        view = api_programs.ProgramView(
            id=new_id(),
            owner="tester",
            latest=_version(source, 1),
            created_at=now,
            updated_at=now,
            **{**fields, "limits": LimitOverrides.model_validate(fields["limits"])},
        )
        self.programs[view.id] = StandInProgram(view, source)
        return _json(view, 201)

    async def list_programs(self, request: Request) -> Response:
        limit, skip = int(request.query_params["limit"]), int(request.query_params.get("cursor", 0))
        views = [p.view for p in self.programs.values()][::-1]
        name = request.query_params.get("name")
        views = [view for view in views if name in (None, view.name)]
        page = views[skip : skip + limit]
        more = str(skip + limit) if skip + limit < len(views) else None
        return _json(api_programs.ProgramList(programs=tuple(page), next_cursor=more, total=len(views)))

    async def get_program(self, request: Request) -> Response:
        return _json(self._program(request).view)

    async def update_program(self, request: Request) -> Response:
        program = self._program(request)
        asked = api_programs.UpdateProgramRequest.model_validate_json(await request.body())
        program.view = program.view.model_copy(update=asked.model_dump(exclude_unset=True))
        return _json(program.view)

    async def delete_program(self, request: Request) -> Response:
        del self.programs[self._program(request).view.id]
        return Response(status_code=204)

    async def add_version(self, request: Request) -> Response:
        program = self._program(request)
        program.source = api_programs.AddVersionRequest.model_validate_json(await request.body()).source or ""
        newest = _version(program.source, program.view.latest.number + 1)
        program.view = program.view.model_copy(update={"latest": newest})
        return _json(program.view, 201)

    async def list_versions(self, request: Request) -> Response:
        """Tell each version by the newest's bundle; two a page."""
        program = self._program(request)
        before = int(request.query_params.get("cursor", program.view.latest.number + 1))
        numbers = range(before - 1, max(before - 3, 0), -1)
        views = tuple(
            VersionView(
                number=number,
                kind=program.view.kind,
                bundle=program.view.latest.bundle,
                created_at=program.view.created_at,
            )
            for number in numbers
        )
        more = str(numbers[-1]) if numbers and numbers[-1] > 1 else None
        return _json(VersionList(versions=views, next_cursor=more, total=program.view.latest.number))

    async def get_source(self, request: Request) -> Response:
        return PlainTextResponse(self._program(request).source)

    # --- jobs ---

    def _job(self, request: Request) -> StandInJob:
        found = self.jobs.get(request.path_params["id"])
        if found is None:
            raise NotFound("no such job")
        return found

    async def submit(self, request: Request) -> Response:
        asked = api.SubmitRequest.model_validate_json(await request.body())
        key = request.headers["idempotency-key"]
        if key in self.keys:
            return _json(self.jobs[self.keys[key]].view)
        named = [p for p in self.programs.values() if p.view.name == asked.program_name]
        program = self.programs.get(asked.program_id or "") or (named[0] if named else None)
        if program is None:
            raise NotFound("no such program")
        job = StandInJob(program, _queued(program, asked), asked.input)
        self.jobs[job.view.id] = job
        self.keys[key] = job.view.id
        job.move(JobState.RUNNING, attempt=1)
        thread = threading.Thread(target=job.run)
        self.threads.append(thread)
        thread.start()
        return _json(job.view, 201)

    async def list_jobs(self, request: Request) -> Response:
        limit, skip = int(request.query_params["limit"]), int(request.query_params.get("cursor", 0))
        asked = request.query_params
        views = [job.view for job in self.jobs.values()][::-1]
        views = [view for view in views if asked.get("status") in (None, view.status)]
        views = [view for view in views if asked.get("program_id") in (None, view.program.id)]
        views = [view for view in views if asked.get("tag") in (None, *view.tags)]
        more = str(skip + limit) if skip + limit < len(views) else None
        return _json(api.JobList(jobs=tuple(views[skip : skip + limit]), next_cursor=more))

    async def get_job(self, request: Request) -> Response:
        return _json(self._job(request).view)

    async def get_result(self, request: Request) -> Response:
        job = self._job(request)
        seconds = float(request.query_params["wait"])
        await asyncio.to_thread(job.wait, lambda: job.view.status in TERMINAL, seconds)
        view = job.view
        return _json(
            api.ResultView(
                job_id=view.id,
                status=view.status,
                result=job.result,
                problem=view.problem,
                ended_at=view.ended_at,
            )
        )

    async def get_logs(self, request: Request) -> Response:
        logs = (o.data for o in self._job(request).outputs if o.kind is OutputKind.LOG)
        return PlainTextResponse("".join(logs))

    async def cancel(self, request: Request) -> Response:
        job = self._job(request)
        job.move(job.view.status, cancel_requested=True)
        view = job.view
        job.stop.set()  # only now may its thread move it
        return _json(view)

    async def delete_job(self, request: Request) -> Response:
        job = self._job(request)
        if job.view.status not in TERMINAL:
            raise Conflict("it has not ended")
        del self.jobs[job.view.id]
        return Response(status_code=204)

    async def stream_many(self, socket: WebSocket) -> None:
        """Tell the end of each job that is subscribed to; nothing else."""
        await socket.accept()

        async def tell(job_id: str) -> None:
            job = self.jobs[job_id]
            while job.view.status not in TERMINAL:
                await asyncio.to_thread(job.wait, lambda: job.view.status in TERMINAL, 0.5)
            view = job.view
            end = api.EndFrame(
                job_id=job_id, status=view.status, attempt=1, last_output=0, problem=view.problem
            )
            await socket.send_text(end.model_dump_json())

        with suppress(WebSocketDisconnect):
            async with asyncio.TaskGroup() as group:
                try:
                    while True:
                        asked = api.Subscribe.model_validate_json(await socket.receive_text())
                        group.create_task(tell(asked.job_id or ""))
                except WebSocketDisconnect:
                    for task in group._tasks:
                        task.cancel()

    async def stream(self, socket: WebSocket) -> None:
        job = self.jobs[socket.path_params["id"]]
        after = int(socket.query_params["after"])
        await socket.accept()
        await socket.send_text(api.AttemptFrame(job_id=job.view.id, attempt=1).model_dump_json())
        while True:
            fresh = tuple(job.outputs[after:])
            if fresh:
                frame = api.OutputsFrame(job_id=job.view.id, attempt=1, outputs=fresh)
                await socket.send_text(frame.model_dump_json())
                after = fresh[-1].number
            elif job.view.status in TERMINAL:
                break
            else:
                # The ready test runs in another thread while `after` stands still.
                ready = lambda seen=after: len(job.outputs) > seen or job.view.status in TERMINAL  # noqa: E731
                await asyncio.to_thread(job.wait, ready, 10)
        view = job.view
        end = api.EndFrame(
            job_id=view.id, status=view.status, attempt=1, last_output=after, problem=view.problem
        )
        await socket.send_text(end.model_dump_json())
        await socket.close()


class Served(AbstractContextManager["Served"]):
    """A stand-in on a port of its own, in a thread."""

    def __init__(self) -> None:
        self.stand_in = StandIn()
        config = uvicorn.Config(
            self.stand_in.app(),
            host="127.0.0.1",
            port=0,
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20), "the stand-in did not start"
        return self

    def __exit__(self, *exc: object) -> None:
        with ExitStack() as stack:
            stack.callback(self._thread.join, 20)
            for job in self.stand_in.jobs.values():
                job.stop.set()
            for thread in self.stand_in.threads:
                thread.join(10)
            self._server.should_exit = True

    async def _serve(self) -> None:
        serving = asyncio.create_task(self._server.serve())
        while not self._server.started:
            assert not serving.done(), "the stand-in died at start"
            await asyncio.sleep(0.01)
        self.url = "http://{}:{}".format(*self._server.servers[0].sockets[0].getsockname()[:2])
        self._ready.set()
        await serving


def _json(model: Any, status: int = 200) -> Response:
    return JSONResponse(model.model_dump(mode="json"), status)


def _version(source: str, number: int) -> api_programs.VersionView:
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    bundle = Artifact(sha256=sha256, size=len(source.encode()))
    return api_programs.VersionView(
        kind=ProgramKind.QUAFU, number=number, bundle=bundle, created_at=datetime.now(UTC)
    )


def _queued(program: StandInProgram, asked: api.SubmitRequest) -> api.JobView:
    view = program.view
    return api.JobView(
        id=new_id(),
        owner="tester",
        program=api.JobProgram(
            id=view.id, name=view.name, version=view.latest.number, digest=view.latest.bundle.sha256
        ),
        status=JobState.QUEUED,
        attempt=0,
        attempts=(),
        cancel_requested=False,
        problem=None,
        priority=asked.priority,
        tags=asked.tags,
        seed=asked.seed,
        backend=view.backend,
        limits=Limits(),
        last_output=0,
        isolation=None,
        usage=None,
        created_at=datetime.now(UTC),
        started_at=None,
        ended_at=None,
    )
