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
MAX_KEPT_OUTCOMES = 500_000
"""Different outcomes of one attempt's ended circuits that are kept, together."""
MAX_QASM_BYTES = 4 << 20
"""Of one circuit, as OpenQASM."""
MAX_PENDING_BYTES = 32 << 20
"""Of all circuits of one attempt that wait at once."""
MAX_ASKED = 1000
"""Circuits that one question can be about."""
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
    id: int = Field(ge=1, le=10**12)
    """Chosen by the program's side, which may tell of a circuit without waiting for an answer."""
    circuit: _Body
    backend: str
    name: str = Field(default="", max_length=256)
    group: str = Field(default="", max_length=256)
    wait: bool
    compile: bool = True
    priority: int = 2
    learn: bool = False
    """Also answer what the backend takes, so that circuits within it need not be asked about."""


class _Retrieve(_Question):
    method: Literal["retrieve"]
    ids: tuple[str, ...] = Field(max_length=MAX_ASKED)
    others: tuple[str, ...] = Field(default=(), max_length=MAX_ASKED)
    """Told of only if they have ended."""


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
        self._pending_bytes = 0
        self._kept_outcomes = 0
        self._lines: dict[str, _Line] = {}
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
                backend = await self._reach.find(asked.backend)
                sent = self._take(asked, backend)
                if asked.wait:
                    await sent.done.wait()
                return sent.told() | ({"takes": _takes(backend)} if asked.learn else {})
            case _Retrieve():
                known = [self._sent[each] for each in asked.ids if each in self._sent]
                others = [self._sent[each] for each in asked.others if each in self._sent]
                known += [each for each in others if each.done.is_set()]
                return {"circuits": [each.told() for each in known]}
            case _Backend():
                return dict(await (await self._reach.find(asked.backend)).describe())

    def _take(self, asked: _Send, backend: Backend) -> _Sent:
        order = _order(asked)
        self._check_room(order)
        backend.check(order)
        name = backend.info.name
        sent = _Sent(str(asked.id), order, asked.group, name, self._clock())
        if sent.id in self._sent or sent.id in self._unfinished:
            raise InvalidCall("a circuit by the id of another")
        self._sent[sent.id] = self._unfinished[sent.id] = sent
        self._pending_bytes += len(order.qasm)
        self._forget()
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line()
            for lane in range(backend.lanes):
                self._tasks.start(self._work(backend, line), name=f"{name} {lane}")
        line.waiting.append(sent)
        line.filled.set()
        return sent

    def _check_room(self, order: CircuitOrder) -> None:
        if order.shots > MAX_SHOTS:
            raise CircuitRefused("user", f"{order.shots} shots are too many; a circuit can have {MAX_SHOTS}")
        if len(order.qasm) > MAX_QASM_BYTES:
            raise CircuitRefused(
                "circuit", f"{len(order.qasm)} bytes of OpenQASM are too many; {MAX_QASM_BYTES} are taken"
            )
        if len(self._unfinished) >= MAX_PENDING or self._pending_bytes > MAX_PENDING_BYTES:
            raise CircuitRefused(
                "user", f"{len(self._unfinished)} circuits wait already; wait for some of them"
            )

    def _forget(self) -> None:
        """Let go of the oldest circuits, so that their number and what they led to stays bounded."""
        while len(self._sent) > MAX_KEPT or self._kept_outcomes > MAX_KEPT_OUTCOMES:
            _, oldest = self._sent.popitem(last=False)
            self._kept_outcomes -= len(oldest.counts)

    async def _work(self, backend: Backend, line: _Line) -> None:
        """Run what waits for one backend, for as long as the attempt lasts."""
        bench: Bench | None = None
        try:
            while True:
                while not line.waiting:
                    line.filled.clear()
                    await line.filled.wait()
                batch = _batch(line, backend.batch)
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
            if sent.id in self._sent:
                self._kept_outcomes += len(outcome)
            self._settle(sent, "completed")

    def _settle(self, sent: _Sent, status: Literal["completed", "failed", "cancelled"]) -> None:
        sent.status = status
        del self._unfinished[sent.id]
        self._pending_bytes -= len(sent.order.qasm)
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


def _order(asked: _Send) -> CircuitOrder:
    body = asked.circuit
    return CircuitOrder(
        qasm=body.qasm,
        qubits=body.qubits,
        shots=body.shots,
        gates=body.gates,
        name=asked.name,
        compile=asked.compile,
        priority=asked.priority,
    )


def _batch(line: _Line, most: int) -> list[_Sent]:
    """Take what goes to a backend together: up to `most` circuits, fewer of large ones."""
    batch = [line.waiting.popleft()]
    size = len(batch[0].order.qasm)
    while line.waiting and len(batch) < most and size < MAX_QASM_BYTES:
        batch.append(line.waiting.popleft())
        size += len(batch[-1].order.qasm)
    return batch


def _takes(backend: Backend) -> dict[str, Any] | None:
    """Return what a backend takes without further questions; None if it must look at each circuit."""
    info = backend.info
    if not info.simulated:
        return None
    return {
        "name": info.name,
        "qubits": info.qubits,
        "gates": info.gates,
        "shots": MAX_SHOTS,
        "bytes": MAX_QASM_BYTES,
    }


async def _close(bench: Bench | None) -> None:
    if bench is not None:
        async with asyncio.timeout(CLOSE_SECONDS):
            await bench.close()
