"""The circuits of one attempt: taken from its program, run in batches, recorded, cancelled with it."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from qrt_chassis.tasks import Tasks
from qrt_contracts.values import Circuit
from qrt_executor.ports import Backend, Bench, CircuitOrder, CircuitRefused, InvalidCall
from qrt_executor.service.reach import Reach

log = logging.getLogger(__name__)

MAX_PENDING = 10_000
"""Circuits of one attempt that may wait at once."""
MAX_KEPT = 10_000
"""Circuits of one attempt that can be retrieved; the oldest are forgotten first."""
MAX_SHOTS = 1_000_000
CLOSE_SECONDS = 5.0

_SHOWN = {"waiting": "In Queue", "running": "Running", "completed": "Completed", "failed": "Failed"}


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Body(_Question):
    qasm: str
    qubits: int = Field(ge=0)
    shots: int = Field(ge=1)
    gates: frozenset[str]


class _Send(_Question):
    method: Literal["send"]
    circuit: _Body
    backend: str
    name: str = Field(default="", max_length=256)
    group: str = Field(default="", max_length=256)
    wait: bool
    compile: bool = True
    priority: int = 2


class _Retrieve(_Question):
    method: Literal["retrieve"]
    id: str


class _Backend(_Question):
    method: Literal["backend"]
    backend: str


_ASKED: TypeAdapter[_Send | _Retrieve | _Backend] = TypeAdapter(
    Annotated[_Send | _Retrieve | _Backend, Field(discriminator="method")]
)


@dataclass(slots=True)
class _Sent:
    id: str
    order: CircuitOrder
    group: str
    backend: str
    sent_at: datetime
    done: asyncio.Event = field(default_factory=asyncio.Event)
    status: Literal["waiting", "running", "completed", "failed", "cancelled"] = "waiting"
    counts: Mapping[str, int] = field(default_factory=dict)
    refused: CircuitRefused | None = None

    def told(self) -> dict[str, Any]:
        """Return what the program is told of it."""
        told = {
            "id": self.id,
            "name": self.order.name,
            "backend": self.backend,
            "shots": self.order.shots,
            "status": _SHOWN.get(self.status, "Canceled"),
            "counts": self.counts,
        }
        if self.refused is not None:
            told |= {"error": self.refused.detail, "error_kind": self.refused.kind}
        return told


@dataclass(slots=True)
class _Line:
    """The circuits that wait for one backend."""

    waiting: deque[_Sent] = field(default_factory=deque)
    filled: asyncio.Event = field(default_factory=asyncio.Event)


class Circuits:
    """Answers the questions of one attempt's program."""

    def __init__(
        self,
        reach: Reach,
        *,
        seed: int | None,
        record: Callable[[Circuit], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._reach = reach
        self._seed = seed
        self._record = record
        self._clock = clock
        self._sent: OrderedDict[str, _Sent] = OrderedDict()
        self._unfinished: dict[str, _Sent] = {}
        self._lines: dict[str, _Line] = {}
        self._number = 0
        self._tasks = Tasks("circuits")

    async def answer(self, question: bytes) -> bytes:
        """Answer one question. Raises InvalidCall."""
        try:
            asked = _ASKED.validate_json(question)
        except ValidationError:
            raise InvalidCall("a question that is none of a task's") from None
        try:
            return orjson.dumps({"answer": await self._answer(asked)})
        except CircuitRefused as refused:
            return orjson.dumps({"refused": {"kind": refused.kind, "detail": refused.detail}})

    def waiting(self, backend: str) -> int:
        """Return how many circuits wait for a backend."""
        line = self._lines.get(backend)
        return 0 if line is None else len(line.waiting)

    async def close(self) -> None:
        """Cancel what has not ended; every circuit is recorded once this returns."""
        await self._tasks.close()
        for sent in list(self._unfinished.values()):
            self._settle(sent, "cancelled")

    async def _answer(self, asked: _Send | _Retrieve | _Backend) -> dict[str, Any]:
        match asked:
            case _Send():
                sent = self._take(asked, await self._reach.find(asked.backend))
                if asked.wait:
                    await sent.done.wait()
                return sent.told()
            case _Retrieve():
                known = self._sent.get(asked.id)
                if known is None:
                    raise CircuitRefused("user", f"the circuit {asked.id[:64]} is not known any more")
                return known.told()
            case _Backend():
                return dict(await (await self._reach.find(asked.backend)).describe())

    def _take(self, asked: _Send, backend: Backend) -> _Sent:
        order = CircuitOrder(
            **asked.circuit.model_dump(), name=asked.name, compile=asked.compile, priority=asked.priority
        )
        if order.shots > MAX_SHOTS:
            raise CircuitRefused("user", f"{order.shots} shots are too many; a circuit can have {MAX_SHOTS}")
        if len(self._unfinished) >= MAX_PENDING:
            raise CircuitRefused("user", f"{MAX_PENDING} circuits wait already; wait for some of them")
        backend.check(order)
        self._number += 1
        name = backend.info.name
        sent = _Sent(str(self._number), order, asked.group, name, self._clock())
        self._sent[sent.id] = self._unfinished[sent.id] = sent
        while len(self._sent) > MAX_KEPT:
            self._sent.popitem(last=False)
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line()
            for lane in range(backend.lanes):
                self._tasks.start(self._work(backend, line), name=f"{name} {lane}")
        line.waiting.append(sent)
        line.filled.set()
        return sent

    async def _work(self, backend: Backend, line: _Line) -> None:
        """Run what waits for one backend, for as long as the attempt lasts."""
        bench: Bench | None = None
        try:
            while True:
                while not line.waiting:
                    line.filled.clear()
                    await line.filled.wait()
                batch = [line.waiting.popleft() for _ in range(min(backend.batch, len(line.waiting)))]
                for sent in batch:
                    sent.status = "running"
                try:
                    bench = bench or await backend.open(seed=self._seed)
                    outcomes = await bench.run([sent.order for sent in batch])
                except CircuitRefused as refused:
                    outcomes = [refused] * len(batch)
                    await _close(bench)
                    bench = None
                except Exception:  # whatever a backend does, its circuits end, and the next may do better
                    log.exception("backend %s failed", backend.info.name)
                    outcomes = [CircuitRefused("backend", "the backend failed")] * len(batch)
                    await _close(bench)
                    bench = None
                for sent, outcome in zip(batch, outcomes, strict=True):
                    self._ended(sent, outcome)
        finally:
            await _close(bench)

    def _ended(self, sent: _Sent, outcome: Mapping[str, int] | CircuitRefused) -> None:
        if isinstance(outcome, CircuitRefused):
            sent.refused = outcome
            self._settle(sent, "failed")
        else:
            sent.counts = outcome
            self._settle(sent, "completed")

    def _settle(self, sent: _Sent, status: Literal["completed", "failed", "cancelled"]) -> None:
        sent.status = status
        del self._unfinished[sent.id]
        sent.done.set()
        self._record(
            Circuit(
                id=sent.id,
                name=sent.order.name,
                group=sent.group,
                backend=sent.backend,
                qubits=sent.order.qubits,
                shots=sent.order.shots,
                status=status,
                error=sent.refused.detail if sent.refused else None,
                sent_at=sent.sent_at,
                ended_at=self._clock(),
            )
        )


async def _close(bench: Bench | None) -> None:
    if bench is not None:
        async with asyncio.timeout(CLOSE_SECONDS):
            await bench.close()
