"""Why a job failed: the codes an attempt can end with, and their titles.

Each is a `Problem.code`. `docs/errors.md` lists them with what a user can do.
"""

from enum import StrEnum

from qrt_contracts.faults import FieldError, Problem


class Ending(StrEnum):
    """A cause for which a job ends as FAILED or CANCELLED."""

    PROGRAM_ERROR = "ProgramError"
    IMPORT_ERROR = "ImportFailed"
    EXITED = "ProgramExited"
    KILLED_BY_SIGNAL = "KilledBySignal"
    INVALID_INPUT = "InvalidInput"
    INVALID_RESULT = "InvalidResult"
    TIME_LIMIT = "TimeLimitExceeded"
    CPU_LIMIT = "CpuLimitExceeded"
    MEMORY_LIMIT = "MemoryLimitExceeded"
    OUTPUT_LIMIT = "OutputLimitExceeded"
    PROTOCOL_VIOLATION = "ProtocolViolation"
    BUILD_FAILED = "BuildFailed"
    EXECUTOR_LOST = "ExecutorLost"
    EXECUTOR_FAULT = "ExecutorFault"
    CANCELLED = "Cancelled"


TITLES: dict[Ending, str] = {
    Ending.PROGRAM_ERROR: "The program raised an exception",
    Ending.IMPORT_ERROR: "The program could not be imported",
    Ending.EXITED: "The program exited without returning a result",
    Ending.KILLED_BY_SIGNAL: "The program was killed by a signal",
    Ending.INVALID_INPUT: "The program's input was refused",
    Ending.INVALID_RESULT: "The program's result cannot be represented as JSON",
    Ending.TIME_LIMIT: "The program ran longer than its time limit",
    Ending.CPU_LIMIT: "The program used more CPU time than its limit",
    Ending.MEMORY_LIMIT: "The program used more memory than its limit",
    Ending.OUTPUT_LIMIT: "The program produced more output than its limit",
    Ending.PROTOCOL_VIOLATION: "The program broke the runtime's protocol",
    Ending.BUILD_FAILED: "The program's environment could not be built",
    Ending.EXECUTOR_LOST: "Every executor that ran the job was lost",
    Ending.EXECUTOR_FAULT: "The executor could not run the program",
    Ending.CANCELLED: "The job was cancelled",
}


def ended(
    ending: Ending,
    detail: str,
    *,
    traceback: str | None = None,
    retryable: bool = False,
    errors: tuple[FieldError, ...] = (),
) -> Problem:
    """Return the problem document of one ending; `errors` are the places of an input that were refused."""
    return Problem(
        code=ending.value,
        title=TITLES[ending],
        detail=detail,
        traceback=traceback,
        retryable=retryable,
        errors=errors,
    )
