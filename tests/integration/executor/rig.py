"""One executor on a memory bus, a real artifact store and real sandboxes, driven by its messages."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from qrt_chassis.artifacts import ArtifactStore
from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Bus, Subscription
from qrt_chassis.lifecycle import serve
from qrt_chassis.settings import HealthSettings, MongoSettings
from qrt_chassis.store import open_store
from qrt_contracts.events import AttemptFinished, CancelAttempt, Heartbeat, JobOutput, RunAttempt
from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from qrt_contracts.values import (
    Artifact,
    Isolation,
    Limits,
    Output,
    OutputKind,
    Payload,
    ProgramKind,
    RunSpec,
)
from qrt_executor.compose import compose
from qrt_executor.settings import ExecutorSettings
from tests.support.waiting import wait_until

PROGRAM_PYTHON = Path(__file__).parents[3] / ".venv" / "programs" / "bin" / "python"
RUN = "def run(task, userpub, params):\n"


def body(*lines: str) -> str:
    """Return a program whose run() has these lines."""
    return RUN + "".join(f"    {line}\n" for line in lines)


@dataclass
class Told:
    """What the executor has said of one job."""

    outputs: list[Output] = field(default_factory=list)
    finished: AttemptFinished | None = None
    outputs_at_end: int = 0

    @property
    def log(self) -> str:
        return "".join(o.data for o in self.outputs if o.kind is OutputKind.LOG)

    def stream(self, name: str) -> str:
        return "".join(o.data for o in self.outputs if o.stream == name)

    @property
    def interim(self) -> list[str]:
        return [o.data for o in self.outputs if o.kind is OutputKind.INTERIM]

    @property
    def end(self) -> AttemptFinished:
        assert self.finished is not None
        return self.finished

    @property
    def code(self) -> str:
        assert self.end.problem is not None, self.end
        return self.end.problem.code

    @property
    def detail(self) -> str:
        assert self.end.problem is not None, self.end
        return self.end.problem.detail

    @property
    def traceback(self) -> str:
        assert self.end.problem is not None, self.end
        return self.end.problem.traceback or ""

    @property
    def result(self) -> str:
        assert self.end.result is not None, self.end
        assert self.end.result.text is not None
        return self.end.result.text


@dataclass
class Rig:
    """An executor and everything it has said."""

    bus: Bus
    artifacts: ArtifactStore
    settings: ExecutorSettings
    stop: asyncio.Event
    told: dict[str, Told] = field(default_factory=dict)
    beats: list[Heartbeat] = field(default_factory=list)

    async def listen(self) -> None:
        topics = ("job.*.output", "job.*.finished", "executor.*.heartbeat")
        await self.bus.subscribe(
            Subscription(
                queue=f"rig.{new_id()}",
                bindings=tuple((Exchange.EVENTS, topic) for topic in topics),
                durable=False,
            ),
            {JobOutput: self._on_output, AttemptFinished: self._on_finished, Heartbeat: self._on_beat},
        )

    async def _on_output(self, event: JobOutput) -> None:
        self.told.setdefault(event.job_id, Told()).outputs.extend(event.outputs)

    async def _on_finished(self, event: AttemptFinished) -> None:
        told = self.told.setdefault(event.job_id, Told())
        told.finished = event
        told.outputs_at_end = len(told.outputs)

    async def _on_beat(self, event: Heartbeat) -> None:
        self.beats.append(event)

    @property
    def beat(self) -> Heartbeat:
        return self.beats[-1]

    async def ready(self) -> None:
        await wait_until(lambda: self.beats and self.beat.slots > 0, description="a free slot", seconds=30)

    async def order(
        self,
        source: str | bytes,
        *,
        given: str | Payload = "null",
        limits: Limits | None = None,
        kind: ProgramKind = ProgramKind.QUAFU,
        **changes: object,
    ) -> RunAttempt:
        """Return the order to run a program, its bundle stored."""
        data = source if isinstance(source, bytes) else source.encode()
        bundle = await self.artifacts.put(data)
        assert bundle.sha256 == hashlib.sha256(data).hexdigest()
        order = RunAttempt(
            executor=self.beat.executor,
            incarnation=self.beat.incarnation,
            job_id=new_id(),
            attempt=1,
            owner="alice",
            run=_spec(bundle, limits or Limits(), kind),
            input=given if isinstance(given, Payload) else Payload(text=given),
        )
        return order.model_copy(update=changes)

    async def send(self, order: RunAttempt) -> Told:
        """Give an order; return what is, and will be, told of its job."""
        told = self.told.setdefault(order.job_id, Told())
        await self.bus.publish(order, mandatory=True)
        return told

    async def begin(self, source: str | bytes, **how: object) -> tuple[RunAttempt, Told]:
        """Give the order to run a program."""
        order = await self.order(source, **how)  # type: ignore[arg-type]
        return order, await self.send(order)

    async def run(self, source: str | bytes, *, seconds: float = 30, **how: object) -> Told:
        """Run a program and return what was told of it."""
        _, told = await self.begin(source, **how)
        return await self.end_of(told, seconds=seconds)

    async def end_of(self, told: Told, *, seconds: float = 30) -> Told:
        await wait_until(lambda: told.finished is not None, description="the attempt's end", seconds=seconds)
        numbers = [output.number for output in told.outputs]
        assert numbers == list(range(1, len(numbers) + 1)), "numbers from 1 without gaps"
        assert told.end.last_output == len(numbers) == told.outputs_at_end, "all outputs before the end"
        return told

    async def cancel(self, order: RunAttempt) -> None:
        await self.bus.publish(
            CancelAttempt(
                executor=order.executor,
                incarnation=order.incarnation,
                job_id=order.job_id,
                attempt=order.attempt,
            )
        )


def _spec(bundle: Artifact, limits: Limits, kind: ProgramKind) -> RunSpec:
    return RunSpec(
        program_id=new_id(),
        program_name="program",
        version=1,
        kind=kind,
        bundle=bundle,
        backend=None,
        limits=limits,
        max_attempts=3,
    )


def alive(marker: str) -> list[int]:
    """Return the processes on this machine whose command line holds `marker`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def zygotes(parent: int, *, newest: bool) -> list[int]:
    """Return this process's zygotes, oldest first; only the last one if `newest`."""
    children = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    found = [pid for pid in children if b"zygote.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found[-1:] if newest else found


@asynccontextmanager
async def rig(
    mongo_url: str, scratch: Path, *, level: Isolation = Isolation.JAIL, **settings: object
) -> AsyncIterator[Rig]:
    """Run an executor until the context is left; it drains then."""
    mongo = MongoSettings(url=SecretStr(mongo_url), prefix="executor-")
    values: dict[str, object] = {
        "mongo": mongo,
        "health": HealthSettings(port=0),
        "name": "rig",
        "slots": 2,
        "program_python": PROGRAM_PYTHON,
        "scratch": scratch,
        "heartbeat_seconds": 0.5,
        "grace_seconds": 0.5,
        "drain_seconds": 0.5,
    }
    made = ExecutorSettings.model_validate(values | settings)
    bus, stop = MemoryBus(), asyncio.Event()
    async with open_store(mongo) as store:
        whole = Rig(bus, ArtifactStore(store), made, stop)
        await whole.listen()
        async with compose(made, bus=bus, levels=(level,)) as service:
            running = asyncio.create_task(
                serve([service], health=made.health, stop=stop, grace=timedelta(seconds=20))
            )
            try:
                await whole.ready()
                yield whole
            finally:
                stop.set()
                await running
        await bus.close()
