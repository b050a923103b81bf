"""How a command ends: its exit code, and what is told of a failure, to people and as a problem document.

Every error that is told has a hint where there is something to do about it.
"""

from dataclasses import dataclass
from typing import Any

OK, FAILED, USAGE, CANCELLED, REFUSED, TIMED_OUT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 4, 124, 130, 141

CODES = {
    OK: "the command did what it was told; a job that it waited for has succeeded",
    FAILED: "the job has failed, or a version could not be built",
    USAGE: "the command line, the input or a file given to it is wrong; nothing was changed",
    CANCELLED: "the job was cancelled",
    REFUSED: "the runtime could not be reached, or refused; or the job has not ended",
    TIMED_OUT: "the time of `--timeout` was over; the job goes on",
    INTERRUPTED: "interrupted by Ctrl-C; a job that was followed goes on",
    BROKEN_PIPE: "nobody reads the output any more, as with `| head`",
}
"""What each exit code means."""


@dataclass
class CommandFailed(Exception):
    """A command cannot go on, or has found a failure that it is to end with."""

    code: str
    detail: str
    hint: str | None = None
    exit_code: int = REFUSED
    title: str = "The command has failed"
    problem: dict[str, Any] | None = None
    """The whole document, where the runtime has given one."""

    def document(self) -> dict[str, Any]:
        """Return the failure as a problem document (RFC 9457)."""
        own = {"type": "about:blank", "title": self.title, "detail": self.detail, "code": self.code}
        found = own | (self.problem or {})
        return found if self.hint is None else {**found, "hint": self.hint}


def usage(detail: str, *, hint: str | None = None) -> CommandFailed:
    """Return the failure of a command that was given something wrong."""
    return CommandFailed("Usage", detail, hint, USAGE, "The command was given something wrong")
