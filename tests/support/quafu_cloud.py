"""A stand-in for the Quafu cloud's HTTP interface, with its faults.

A test drives pyquafu itself against it, so that it is what pyquafu takes it for. A task does what
its name says: `fail` fails, `withdraw` is cancelled there, `never` never ends, anything else
completes with half of its shots all zeros and half all ones.
"""

import asyncio
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

TOKEN = "cloud-token-of-alice"
GATES = ["cx", "cy", "cz", "h", "rx", "ry", "rz", "x", "y", "z", "barrier", "delay"]
DEVICES = [
    {"system_name": "ScQ-P10", "system_id": 1, "qubits": 10, "status": "Online", "queued_len": 3},
    {"system_name": "ScQ-P136", "system_id": 2, "qubits": 136, "status": "Maintenance", "queued_len": 0},
    {"system_name": "ScQ-S41", "system_id": 4, "qubits": 41, "status": "Online", "queued_len": 12},
]
CHIP = {"topological_structure": {"Q1_Q2": {"cz": {"fidelity": 0.98}}, "Q2_Q10": {"cz": {"fidelity": 0.97}}}}
_ENDS = {"fail": 4, "withdraw": 3, "never": 1}


@dataclass
class Sent:
    """One request as it came."""

    path: str
    token: str | None
    content_type: str | None
    body: str

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body, keep_blank_values=True))


@dataclass
class QuafuStandIn:
    """What it knows, and how it is to behave."""

    recalls: int = 2
    """How often a task is asked for before it has ended."""
    refuse_next: int = 0
    """This many requests are answered with HTTP 503."""
    drop: bool = False
    """Answers are no JSON."""
    slow: asyncio.Event | None = None
    """Nothing is answered before this is set."""
    echo_token: bool = False
    """Refusals repeat the token they refuse."""
    requests: list[Sent] = field(default_factory=list)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sent_to(self, path: str) -> list[Sent]:
        return [each for each in self.requests if each.path == path]

    def app(self) -> Starlette:
        paths = {
            "get_backends/": self._backends,
            "scq_get_chip_info/": lambda sent: CHIP,
            "scq_kit/": self._submit_and_wait,
            "scq_kit_asyc/": self._submit,
            "scq_task_recall/": self._recall,
        }

        async def answer(request: Request) -> Response:
            path = request.path_params["path"]
            headers = request.headers
            body = (await request.body()).decode()
            sent = Sent(path, headers.get("api_token"), headers.get("content-type"), body)
            self.requests.append(sent)
            if self.slow is not None:
                await self.slow.wait()
            if self.refuse_next > 0:
                self.refuse_next -= 1
                return PlainTextResponse("upstream is away", 503)
            if self.drop:
                return PlainTextResponse("<html>maintenance</html>")
            if sent.token != TOKEN:
                shown = f" {sent.token}" if self.echo_token else ""
                return JSONResponse({"status": 201, "message": f"API_TOKEN ERROR.{shown}"})
            return JSONResponse(paths[path](sent))

        return Starlette(routes=[Route("/qbackend/{path:path}", answer, methods=["POST"])])

    def _backends(self, _: Sent) -> dict[str, Any]:
        return {"status": 200, "data": [{**each, "valid_gates": GATES, "QV": 64} for each in DEVICES]}

    def _submit_and_wait(self, sent: Sent) -> dict[str, Any]:
        answer = self._submit(sent)
        while answer.get("status") in (0, 1):
            answer = self._shown(answer["task_id"])
        return answer

    def _submit(self, sent: Sent) -> dict[str, Any]:
        form = sent.form
        if "bogus" in form["qtasm"]:
            return {"status": 5001, "message": "the circuit has an invalid gate"}
        if form["task_name"] == "uncompilable":
            return {"status": 5004, "message": "the circuit cannot be compiled"}
        task_id = f"{len(self.tasks):016X}"
        self.tasks[task_id] = {"form": form, "asked": 0}
        return self._shown(task_id)

    def _recall(self, sent: Sent) -> dict[str, Any]:
        return self._shown(sent.form["task_id"])

    def _shown(self, task_id: str) -> dict[str, Any]:
        task = self.tasks[task_id]
        form, done = task["form"], task["asked"] >= self.recalls
        task["asked"] += 1
        status = _ENDS.get(form["task_name"], 2) if done else min(task["asked"] - 1, 1)
        width, shots = form["qtasm"].count("measure "), int(form["shots"])
        counts = {"0" * width: shots - shots // 2, "1" * width: shots // 2}
        return {
            "task_id": task_id,
            "task_name": form["task_name"],
            "status": status,
            "openqasm": form["qtasm"],
            "res": str(counts) if status == 2 else "{}",
            "raw": "{}",
        }


class Served(AbstractContextManager["Served"]):
    """The stand-in on a port of its own, in a thread."""

    def __init__(self, cloud: QuafuStandIn) -> None:
        self.cloud = cloud
        config = uvicorn.Config(
            cloud.app(),
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
        self._server.should_exit = True
        self._thread.join(20)

    async def _serve(self) -> None:
        serving = asyncio.create_task(self._server.serve())
        while not self._server.started:
            assert not serving.done(), "the stand-in died at start"
            await asyncio.sleep(0.01)
        self.url = "http://{}:{}/".format(*self._server.servers[0].sockets[0].getsockname()[:2])
        self._ready.set()
        await serving
