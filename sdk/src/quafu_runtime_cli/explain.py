"""What errors of the client library mean to somebody at a terminal, and what to do about them."""

from typing import Any

from qrt_contracts.faults import Problem
from quafu_runtime import errors
from quafu_runtime_cli.endings import CANCELLED, FAILED, REFUSED, TIMED_OUT, USAGE, CommandFailed

_HINTS: dict[str, str] = {
    "NotAuthenticated": "Log in again: quafu-runtime login",
    "Forbidden": "quafu-runtime whoami shows what your account and token may do.",
    "Overloaded": "Wait a little and repeat the command.",
    "Unavailable": "Wait a little and repeat the command.",
    "NameTaken": "Give it a new version: quafu-runtime push PATH",
    "TooLarge": "Leave out what the program does not need, or ask the operator to raise the limit.",
}


def failure_of(exc: errors.QuafuRuntimeError, *, url: str | None) -> CommandFailed:
    """Return how a command ends that has met this error."""
    match exc:
        case errors.NoAccount():
            hint = "Log in: quafu-runtime login [URL]; or start a runtime on this machine: quafu-runtime up"
            return CommandFailed("NoAccount", str(exc), hint, title="There is no account to use")
        case errors.Unreachable() | errors.StreamBroken():
            hint = (
                "Start a runtime on this machine: quafu-runtime up; or log in to one: quafu-runtime login URL"
            )
            detail = f"{exc} ({url})" if url else str(exc)
            return CommandFailed("Unreachable", detail, hint, title="The runtime does not answer")
        case errors.JobNotSucceeded():
            exit_code = CANCELLED if isinstance(exc, errors.JobCancelled) else FAILED
            return _of(exc.problem, f"job {exc.job_id}: {exc.problem.detail}", exit_code=exit_code)
        case errors.BuildFailed():
            return _of(exc.problem, str(exc), exit_code=FAILED)
        case errors.JobTimeout() | errors.BuildTimeout():
            return CommandFailed("Timeout", str(exc), None, TIMED_OUT, "The time is over")
        case errors.InvalidReply():
            hint = f"Is {url} the address of a runtime? quafu-runtime login URL names another one."
            return CommandFailed("InvalidReply", str(exc), hint, title="This is no answer of a runtime")
        case errors.JobNotFound():
            return _of(exc.problem, exc.detail, hint="quafu-runtime jobs lists your jobs.")
        case errors.ProgramNotFound():
            return _of(exc.problem, exc.detail, hint="quafu-runtime programs lists your programs.")
        case errors.RequestRefused():
            here = isinstance(exc, errors.InvalidRequest)
            return _of(exc.problem, _places(exc), hint=_HINTS.get(exc.problem.code), exit_code=_exit(here))
        case _:
            return CommandFailed(type(exc).__name__, str(exc))


def _exit(invalid: bool) -> int:
    return USAGE if invalid else REFUSED


def _places(exc: errors.RequestRefused) -> str:
    others = (each for each in exc.errors if each.detail not in exc.detail)
    return exc.detail + "".join(f"\n  {each.pointer}: {each.detail}" for each in others)


def _of(problem: Problem, detail: str, *, hint: str | None = None, exit_code: int = REFUSED) -> CommandFailed:
    document: dict[str, Any] = problem.model_dump(mode="json", exclude_none=True)
    if not problem.errors:
        document.pop("errors", None)
    return CommandFailed(problem.code, detail, hint, exit_code, problem.title, document)
