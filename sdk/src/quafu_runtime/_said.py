"""The lines that this library prints, as users of the Quafu Runtime notebook know them."""

import sys

FINISHED = "Interim result streaming finished"
CANCEL_FAILED = "Job cancel failed"
NO_PROGRAMS = "No programs"
SKIP_OUT_OF_RANGE = "SKIP IS OUT OF RANGE"


def say(line: str) -> None:
    """Print one line, in one write: other threads print too."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def streaming_started(job_id: str, *, older: bool) -> list[str]:
    """Return what the start of a stream says; the first clients left a `%s` in it."""
    if older:
        return [f"Start interim result streaming for job %s {job_id}"]
    return [f"Start websocket client for job  {job_id}", f"Start interim result streaming for job {job_id}"]
