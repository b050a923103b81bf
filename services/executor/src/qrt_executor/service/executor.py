"""Accepts attempts into slots, runs them, reports their ends, says how things stand."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from qrt_chassis import tracing
from qrt_chassis.bounded import Bounded
from qrt_chassis.bus.port import Bus
from qrt_chassis.logging import bind
from qrt_chassis.sealing import Seal, SealBroken
from qrt_chassis.tasks import Tasks
from qrt_contracts.endings import Ending, ended
from qrt_contracts.events import AttemptFinished, CancelAttempt, Heartbeat, RunAttempt, RunningAttempt
from qrt_contracts.faults import RuntimeFault
from qrt_contracts.values import Confidential, LimitOverrides, Payload, ProgramKind, Usage
from qrt_executor import metrics
from qrt_executor.domain.limits import within
from qrt_executor.domain.verdict import Stop, StopCause, Verdict, failed, judge, refused
from qrt_executor.ports import (
    BuildFailed,
    Bundles,
    BundleUnusable,
    InputRefused,
    Order,
    Payloads,
    SandboxStuck,
    SandboxUnavailable,
)
from qrt_executor.service.attempt import Attempt, Outcome
from qrt_executor.service.backends import Backends
from qrt_executor.service.closing import Closing
from qrt_executor.service.confidential import opened, redactor_of, without_secrets
from qrt_executor.service.files import Kept
from qrt_executor.service.outputs import Outputs, publish_for_ever
from qrt_executor.service.packages import wanted_packages
from qrt_executor.service.patience import patiently
from qrt_executor.service.workshops import Workshops

log = logging.getLogger(__name__)

INPUT_BYTES = 256 << 20
"""The largest input that is fetched for a program."""
_REFUSALS = 3
"""How often a job is given back here: one whose sandbox is lost, whose program may be the cause, and one
whose secrets cannot be opened, which another executor may have the key for."""
_REMEMBERED = 1024
_TAKEN = 65_536
"""Attempts whose order is remembered, so that a repeated one starts nothing twice."""

Clock = Callable[[], datetime]
Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this executor is: its name, and which life of it this is."""

    name: str
    incarnation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How much and how long."""

    slots: int
    ceilings: LimitOverrides
    grace: timedelta
    """Between SIGTERM and SIGKILL."""
    network_programs: frozenset[str] = frozenset()
    """Ids of the programs that may have the host's network."""
    drain: timedelta
    """How long running attempts may take to end when the executor stops."""
    cpus: float | None = None
    memory_bytes: int | None = None
    gpus: int = 0
    gpu_type: str | None = None


class Executor:
    """The executor's use cases. Attempts run as its own tasks; `close` ends them."""

    def __init__(
        self,
        *,
        identity: Identity,
        policy: Policy,
        bus: Bus,
        workshops: Workshops,
        bundles: Bundles,
        payloads: Payloads,
        clock: Clock,
        backends: Backends,
        seal: Seal | None = None,
        warm_environments: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._identity = identity
        self._policy = policy
        self._bus = bus
        self._workshops = workshops
        self._bundles = bundles
        self._payloads = payloads
        self._clock = clock
        self._backends = backends
        self._seal = seal
        self._warm_environments = warm_environments
        self._running: dict[Key, Attempt] = {}
        self._over: set[Key] = set()
        """Those of the running that have ended, while that is being reported: they need no slot."""
        self._tasks = Tasks("attempts")
        self._closing = Closing(most=2 * policy.slots)
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._held_off = False
        self._returned: Bounded[str, int] = Bounded(_REMEMBERED)
        self._taken: Bounded[Key, None] = Bounded(_TAKEN)
        self._told_backends = self._backend_names()
        self._turned_away = False
        """Somebody was refused since the last heartbeat, and waits for one before there are more orders."""
        self.changed = asyncio.Event()
        """Set when the next heartbeat is not to wait its turn. What begins and ends is told by others."""

    # --- orders -------------------------------------------------------------------------------

    async def accept(self, order: RunAttempt) -> None:
        """Start an attempt, or report it refused. One that was taken or refused before is left alone."""
        key = (order.job_id, order.attempt)
        if not self._first_time(key):
            return
        reason = self._why_not(order.run.kind)
        if reason is not None:
            self._turned_away = True
            await publish_for_ever(self._bus, self._report(order, refused(reason), started=self._clock()))
            return
        attempt = Attempt(grace=self._policy.grace, release=self._closing.take)
        self._running[key] = attempt
        self._idle.clear()
        metrics.RUNNING.set(len(self._running))
        self._tasks.start(self._carry_out(order, attempt), name=f"{order.job_id}/{order.attempt}")

    async def cancel(self, order: CancelAttempt) -> None:
        """End an attempt; nothing happens if it does not run here."""
        attempt = self._running.get((order.job_id, order.attempt))
        if attempt is not None:
            attempt.stop(Stop(cause=StopCause.CANCELLED, detail="it was cancelled while it ran"))

    def _first_time(self, key: Key) -> bool:
        """Note an order; False if it came before. The number of an attempt is used once, whatever happens."""
        if key in self._taken:
            return False
        self._taken[key] = None
        return True

    def _why_not(self, kind: ProgramKind) -> str | None:
        if self._stopping:
            return "the executor is stopping"
        if self._held_off:
            return "the executor is drained"
        if kind not in self._workshops.kinds:
            return f"the executor has no sandbox ready for a program of kind {kind}"
        if len(self._running) - len(self._over) >= self._policy.slots:
            return "the executor has no free slot"
        return None

    # --- one attempt --------------------------------------------------------------------------

    async def _carry_out(self, order: RunAttempt, attempt: Attempt) -> None:
        key = (order.job_id, order.attempt)
        with (
            bind(job_id=order.job_id, attempt=order.attempt),
            tracing.step("attempt", job_id=order.job_id, attempt=order.attempt),
        ):
            try:
                finished = await self._finish(order, attempt)
                self._over.add(key)
                await publish_for_ever(self._bus, finished)
                metrics.ATTEMPTS.labels(finished.end).inc()
                seconds = (finished.ended_at - finished.started_at).total_seconds()
                metrics.ATTEMPT_SECONDS.labels(finished.end).observe(max(0.0, seconds))
            finally:
                self._running.pop(key, None)
                self._over.discard(key)
                self._make_room()

    async def _finish(self, order: RunAttempt, attempt: Attempt) -> AttemptFinished:
        started = self._clock()
        try:
            confidential = opened(order, self._seal)
        except SealBroken as exc:
            return self._report(
                order, self._given_back(order.job_id, refused(str(exc)), str(exc)), started=started
            )
        outputs = Outputs(
            job_id=order.job_id,
            attempt=order.attempt,
            limits=within(order.run.limits, self._policy.ceilings, declared=order.run.resources),
            bus=self._bus,
            clock=self._clock,
            stop=attempt.stop,
            redactor=redactor_of(confidential),
        )
        circuits = self._backends.circuits(
            order.run, confidential, record=outputs.circuit, remark=outputs.remark, clock=self._clock
        )
        outputs.answer = circuits.answer
        async with asyncio.TaskGroup() as group:
            group.create_task(outputs.publish_all())
            try:
                verdict, outcome = await self._outcome(order, confidential, attempt, outputs)
            finally:
                await circuits.close()
            if outcome is not None:
                outputs.files_left_out(outcome.kept.skipped)
            outputs.close()
        verdict = without_secrets(verdict, outputs.redactor)
        result = None if verdict.result is None else await self._wrapped(verdict.result)
        return self._report(
            order, verdict, started=started, outcome=outcome, result=result, last_output=outputs.last_number
        )

    async def _outcome(
        self, order: RunAttempt, confidential: Confidential, attempt: Attempt, outputs: Outputs
    ) -> tuple[Verdict, Outcome | None]:
        """Run the attempt and judge it; whatever goes wrong on our side ends as a verdict too."""
        try:
            wanted = await self._order(order, confidential)
            workshop = self._workshops.of(order.run.kind)
            with tracing.step("sandbox"):
                outcome = await attempt.run(
                    wanted, workshop=workshop, outputs=outputs, payloads=self._payloads
                )
        except SandboxUnavailable as exc:
            if order.run.environment is None:
                return refused(str(exc)), None
            # Whatever keeps an environment's zygote from starting may be the same everywhere.
            often = f"no sandbox of its environment could be had, {_REFUSALS + 1} times in a row: {exc}"
            return self._given_back(order.job_id, refused(str(exc)), often), None
        except BuildFailed as exc:
            return failed(Ending.BUILD_FAILED, exc.detail), None
        except InputRefused as exc:
            return failed(Ending.INVALID_INPUT, str(exc)), None
        except (SandboxStuck, BundleUnusable, RuntimeFault) as exc:
            log.warning("the attempt could not be carried out: %s", exc)
            return _fault(str(exc)), None
        except Exception:  # the runner of attempts: each must end in a report
            log.exception("the attempt failed on the executor's side")
            return _fault("the executor failed; its log has the details"), None
        verdict = judge(outcome.evidence)
        if verdict.end == "refused" and outcome.evidence.stop is None:
            often = f"its sandbox was lost {_REFUSALS + 1} times in a row; the program seems to be the cause"
            verdict = self._given_back(order.job_id, verdict, often)
        return verdict, outcome

    async def _order(self, order: RunAttempt, confidential: Confidential) -> Order:
        source = b"" if order.run.image else await patiently(lambda: self._bundles.source(order.run.bundle))
        return Order(
            source=source,
            input=await patiently(lambda: self._payloads.unwrap(order.input, limit=INPUT_BYTES)),
            backend=order.run.backend,
            limits=within(order.run.limits, self._policy.ceilings, declared=order.run.resources),
            kind=order.run.kind,
            environ=confidential.secrets,
            network=order.run.program_id in self._policy.network_programs,
            attempt=f"{order.job_id}-{order.attempt}",
            bundle=order.run.bundle.sha256,
            image=order.run.image,
            resources=order.run.resources,
            packages=await wanted_packages(order.run, self._payloads),
        )

    async def _wrapped(self, result: str) -> Payload:
        return await patiently(lambda: self._payloads.wrap(result))

    def _given_back(self, job_id: str, verdict: Verdict, often: str) -> Verdict:
        """Return the verdict that gives a job back, unless that has happened too `often`."""
        times = self._returned[job_id] = self._returned.get(job_id, 0) + 1
        return verdict if times <= _REFUSALS else _fault(often)

    def _report(
        self,
        order: RunAttempt,
        verdict: Verdict,
        *,
        started: datetime,
        outcome: Outcome | None = None,
        result: Payload | None = None,
        last_output: int = 0,
    ) -> AttemptFinished:
        kept = Kept() if outcome is None else outcome.kept
        return AttemptFinished(
            job_id=order.job_id,
            attempt=order.attempt,
            executor=self._identity.name,
            incarnation=self._identity.incarnation,
            end=verdict.end,
            result=result,
            problem=verdict.problem,
            partial=verdict.partial,
            last_output=last_output,
            started_at=started,
            ended_at=self._clock(),
            isolation=self._workshops.level(order.run.kind),
            usage=None if outcome is None else _usage(outcome),
            files=kept.files,
            skipped_files=kept.skipped,
        )

    # --- how things stand ---------------------------------------------------------------------

    def _make_room(self) -> None:
        metrics.RUNNING.set(len(self._running))
        if not self._running:
            self._idle.set()
        # An attempt may have found devices of a cloud that nobody has heard of yet.
        if self._turned_away or self._backend_names() != self._told_backends:
            self._turned_away = False
            self.changed.set()

    def _backend_names(self) -> frozenset[str]:
        return frozenset(each.name for each in self._backends.told())

    def heartbeat(self, *, leaving: bool = False) -> Heartbeat:
        """Return what there is to say now."""
        working = self._workshops.tried and bool(self._workshops.kinds) and not self._draining
        metrics.SLOTS.set(self._policy.slots if working else 0)
        self._told_backends = self._backend_names()
        return Heartbeat(
            executor=self._identity.name,
            incarnation=self._identity.incarnation,
            slots=self._policy.slots if working else 0,
            running=tuple(RunningAttempt(job_id=job, attempt=number) for job, number in self._running),
            isolation=self._workshops.isolation,
            kinds=self._workshops.kinds,
            backends=self._backends.told(),
            cpus=self._policy.cpus,
            memory_bytes=self._policy.memory_bytes,
            gpus=self._policy.gpus,
            gpu_type=self._policy.gpu_type,
            warm_environments=self._warm_environments(),
            draining=self._draining,
            leaving=leaving,
        )

    @property
    def _draining(self) -> bool:
        return self._stopping or self._held_off

    def hold_off(self, held_off: bool) -> None:
        """Take no new attempts until told otherwise or started again; what runs may end."""
        if held_off != self._held_off:
            log.warning(
                "an operator had it drained" if held_off else "an operator had it take attempts again"
            )
        self._held_off = held_off
        self.changed.set()

    async def drain(self) -> None:
        """Take no new work; let what runs end, or give it back to the queue when time is up."""
        self._stopping = True
        self.changed.set()
        try:
            async with asyncio.timeout(self._policy.drain.total_seconds()):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%d attempts still run; giving them back to the queue", len(self._running))
            for attempt in self._running.values():
                attempt.stop(Stop(cause=StopCause.DRAINED, detail="the executor stopped before it had ended"))
            await self._idle.wait()
        await self._closing.close()  # while what the sandboxes stand on is there

    async def close(self) -> None:
        """End what still runs, unreported: its lease tells the scheduler."""
        await self._tasks.close()
        await self._closing.close()


def _fault(detail: str) -> Verdict:
    return Verdict(end="failed", problem=ended(Ending.EXECUTOR_FAULT, detail, retryable=True))


def _usage(outcome: Outcome) -> Usage:
    exit_ = outcome.evidence.exit
    peaks = [outcome.peak_memory_bytes, None if exit_ is None else exit_.peak_memory_bytes]
    return Usage(
        wall_seconds=outcome.wall_seconds,
        cpu_seconds=None if exit_ is None else exit_.cpu_seconds,
        peak_memory_bytes=max((peak for peak in peaks if peak is not None), default=None),
        exit_code=None if exit_ is None else exit_.exit_code,
        signal=None if exit_ is None else exit_.signal,
        memory_by=outcome.memory_by,
    )
