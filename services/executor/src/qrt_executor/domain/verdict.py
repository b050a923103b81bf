"""How an attempt ended, decided from what the trusted side has seen and what the program claims.

Only these count, in this order: why the executor stopped the attempt, whether the program broke the
protocol, how its process ended, and last what it claims itself. A result is accepted only from a
process that then ended with status 0.
"""

import signal
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from qrt_contracts.endings import Ending, ended
from qrt_contracts.faults import FieldError, Problem

CLAIMABLE = frozenset(
    {
        Ending.PROGRAM_ERROR,
        Ending.IMPORT_ERROR,
        Ending.EXITED,
        Ending.INVALID_INPUT,
        Ending.INVALID_RESULT,
        Ending.MEMORY_LIMIT,
        Ending.OUTPUT_LIMIT,
    }
)
"""What a program may say of its own end. A lie harms nothing but its own job's record."""

LIMITS = frozenset({Ending.TIME_LIMIT, Ending.CPU_LIMIT, Ending.MEMORY_LIMIT, Ending.OUTPUT_LIMIT})
"""Endings by a limit: what the attempt has produced until then is kept, as a part of what was to come."""

End = Literal["succeeded", "failed", "cancelled", "refused"]


class StopCause(Enum):
    """Why the executor itself ended an attempt."""

    CANCELLED = "cancelled"
    LIMIT = "limit"
    VIOLATION = "violation"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The executor's decision to end an attempt; the first one counts."""

    cause: StopCause
    detail: str
    ending: Ending = Ending.EXECUTOR_FAULT
    """For LIMIT: which limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The program's own report of its failure: text to show, nothing more."""

    code: str
    detail: str
    traceback: str | None
    errors: tuple[FieldError, ...] = ()
    """Places of the input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How the program's first process ended, as its init or the kernel says."""

    exit_code: int | None = None
    signal: int | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    out_of_memory: bool = False
    """The kernel killed a process of the attempt for its memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known when every process of an attempt is dead."""

    stop: Stop | None = None
    result: str | None = None
    claim: Claim | None = None
    exit: Exit | None = None
    """None: nobody could say; the init died before it reported, and not by our hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the attempt is reported."""

    end: End
    result: str | None = None
    problem: Problem | None = None

    @property
    def partial(self) -> bool:
        """A limit ended the attempt: what it has produced is a part of what was to come."""
        return self.problem is not None and self.problem.code in LIMITS


def judge(evidence: Evidence) -> Verdict:
    """Return how an attempt ended."""
    if evidence.stop is not None:
        return _stopped(evidence.stop)
    if evidence.exit is None:
        return refused("the sandbox of the attempt was lost with its parent process")
    if evidence.exit.out_of_memory:
        return failed(Ending.MEMORY_LIMIT, "the kernel killed it at its memory limit")
    if evidence.exit.signal is not None:
        return failed(*_by_signal(evidence.exit.signal))
    if evidence.claim is not None:
        return _claimed(evidence.claim)
    if evidence.exit.exit_code == 0 and evidence.result is not None:
        return Verdict(end="succeeded", result=evidence.result)
    return failed(Ending.EXITED, f"its process ended with exit code {evidence.exit.exit_code} and no result")


def refused(reason: str) -> Verdict:
    """Return the verdict that gives the job back to the queue."""
    return Verdict(end="refused", problem=ended(Ending.EXECUTOR_FAULT, reason, retryable=True))


def _stopped(stop: Stop) -> Verdict:
    match stop.cause:
        case StopCause.CANCELLED:
            return Verdict(end="cancelled", problem=ended(Ending.CANCELLED, stop.detail))
        case StopCause.LIMIT:
            return failed(stop.ending, stop.detail)
        case StopCause.VIOLATION:
            return failed(Ending.PROTOCOL_VIOLATION, stop.detail)
        case StopCause.DRAINED:
            return refused(stop.detail)


def _claimed(claim: Claim) -> Verdict:
    if claim.code == Ending.EXECUTOR_FAULT:
        return refused(claim.detail)
    if claim.code not in CLAIMABLE:
        return failed(Ending.PROGRAM_ERROR, claim.detail, claim)
    return failed(Ending(claim.code), claim.detail, claim)


def _by_signal(number: int) -> tuple[Ending, str]:
    if number == signal.SIGXCPU:
        return Ending.CPU_LIMIT, "it used up its CPU time (SIGXCPU)"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "a real-time signal"
    return Ending.KILLED_BY_SIGNAL, f"its process was killed by {name} ({number})"


def failed(ending: Ending, detail: str, claim: Claim | None = None) -> Verdict:
    """Return the verdict on an attempt that ended like this."""
    if ending in LIMITS:
        detail += "; what it had produced until then is kept"
    if claim is None:
        return Verdict(end="failed", problem=ended(ending, detail))
    problem = ended(ending, detail, traceback=claim.traceback, errors=claim.errors)
    return Verdict(end="failed", problem=problem)
