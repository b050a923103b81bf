"""Builds versions of TEMPLATE programs: their environment, and what their `run` takes and gives."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from qrt_contracts.values import Limits, Signature
from qrt_executor.domain.logtext import LogBudget, LogText
from qrt_executor.domain.redaction import Redactor
from qrt_executor.domain.verdict import Stop, StopCause, judge
from qrt_executor.ports import (
    Built,
    Environments,
    InterimKind,
    InvalidCall,
    Order,
    Payloads,
    Remark,
    SandboxStuck,
    SandboxUnavailable,
    Stream,
    Workshop,
)
from qrt_executor.service.attempt import Attempt

_WALL_SECONDS = 60.0
_LOG_BYTES = 64 << 10
_RESULT_BYTES = 4 << 20
_GRACE = timedelta(seconds=1)


class TemplateBuilder:
    """`ports.VersionBuilder` for projects. What it has built is warm afterwards."""

    def __init__(self, workshop: Workshop, environments: Environments, *, payloads: Payloads) -> None:
        self._workshop = workshop
        self._environments = environments
        self._payloads = payloads

    async def build(self, order: Order, *, say: Remark) -> Built:
        """Have the environment made, and ask the program in a sandbox of it for its signature.

        A program that cannot be imported without its secrets or its input still is built: what keeps
        it from being asked stands in the log.

        Raises:
            BuildFailed: its environment cannot be made.
            SandboxUnavailable: there is no sandbox now.
        """
        lock = None
        async with AsyncExitStack() as stack:
            if order.packages is not None:
                held = self._environments.hold(order.packages, say=say)
                lock = (await stack.enter_async_context(held)).lock
            return Built(lock=lock, signature=await self._signature(order, say))

    async def _signature(self, order: Order, say: Remark) -> str | None:
        listener, attempt = _Listener(say), Attempt(grace=_GRACE)
        listener.stop = attempt.stop
        asked = replace(order, mode="describe", limits=_limits(order.limits))
        try:
            outcome = await attempt.run(
                asked, workshop=self._workshop, outputs=listener, payloads=self._payloads
            )
        except SandboxStuck:
            raise SandboxUnavailable("its processes could not be killed") from None
        listener.flush()
        verdict = judge(outcome.evidence)
        if verdict.end == "refused":
            raise SandboxUnavailable("the sandbox was lost while the program was asked for its signature")
        if verdict.problem is not None:
            say(f"The program does not tell what its run() takes: {verdict.problem.detail}")
            for line in (verdict.problem.traceback or "").splitlines():
                say(line)
            return None
        return await asyncio.to_thread(_checked, verdict.result or "")


def _checked(text: str) -> str | None:
    """Return the text if it is a `Signature`: the program's own process has written it."""
    try:
        return Signature.model_validate_json(text).model_dump_json()
    except ValidationError:
        return None


def _limits(limits: Limits) -> Limits:
    most: Mapping[str, Any] = {
        "wall_seconds": _WALL_SECONDS,
        "cpu_seconds": _WALL_SECONDS,
        "result_bytes": _RESULT_BYTES,
    }
    return limits.model_copy(update={name: min(getattr(limits, name), top) for name, top in most.items()})


class _Listener:
    """`service.attempt.Listener`: what an imported program prints goes to the build's log."""

    redactor = Redactor()

    def __init__(self, say: Remark) -> None:
        self._say = say
        budget = LogBudget(_LOG_BYTES)
        self._texts: dict[Stream, LogText] = {"stdout": LogText(budget), "stderr": LogText(budget)}
        self.stop = _nothing

    def remark(self, text: str) -> None:
        self._say(text)

    def log(self, stream: Stream, data: bytes) -> None:
        for piece in self._texts[stream].feed(data):
            self._say(piece.rstrip("\r\n"))

    def flush(self) -> None:
        for text in self._texts.values():
            for piece in text.flush(final=True):
                self._say(piece.rstrip("\r\n"))

    def interim(self, kind: InterimKind, data: bytes) -> None:
        del kind, data

    def violation(self, detail: str) -> None:
        self.stop(Stop(cause=StopCause.VIOLATION, detail=f"the program sent {detail}"))

    async def room(self) -> None:
        return

    async def call(self, question: bytes) -> bytes:
        del question
        raise InvalidCall("a question where none is answered")


def _nothing(stop: Stop) -> None:
    del stop
