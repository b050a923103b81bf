"""Showing a job to a person: its log, its interim results, and its progress as a bar.

The bar is the last line and is drawn over itself by a carriage return, which terminals and notebooks both
understand. Where neither shows it (a file, a pipe), each tenth is a line of its own, without a bar. What
programs put out cannot command the screen: control characters are written out.
"""

import shutil
import sys
import unicodedata
from collections.abc import Callable
from typing import TextIO, TypeGuard

from qrt_contracts.api import EndFrame
from qrt_contracts.codec import Progress
from quafu_runtime._harmless import harmless, one_line
from quafu_runtime._outputs import InterimResult, JobOutput
from quafu_runtime._status import status_of

CELLS = 30


def bar(progress: Progress) -> str:
    """Return one line that shows how far a program has come."""
    full = round(_share(progress) * CELLS)
    return f"[{'#' * full}{'.' * (CELLS - full)}] {numbers(progress)}"


def numbers(progress: Progress) -> str:
    """Return how far a program has come without a drawing."""
    said = f" {one_line(progress.message)}" if progress.message else ""
    if not progress.total:
        return f"{progress.done:g}{said}"
    return f"{_share(progress):4.0%} {progress.done:g}/{progress.total:g}{said}"


def _share(progress: Progress) -> float:
    """Return how much is done, from 0 to 1; NaN is nothing."""
    return min(1.0, max(0.0, progress.done / progress.total)) if progress.total else 0.0


def _is_told(value: object) -> TypeGuard[Progress]:
    """Tell whether it is progress that a bar can show: programs may have written anything."""
    if not isinstance(value, Progress) or not isinstance(value.message, str | None):
        return False
    return isinstance(value.done, int | float) and isinstance(value.total, int | float | None)


def text_of(output: JobOutput) -> str:
    """Return an output as text: log as it was printed, each interim result on a line of its own."""
    if isinstance(output, InterimResult):
        return harmless(f"{output.value}\n")
    return harmless(output.text)


class Show:
    """Writes what a job puts out, as it comes; `text` makes text of an output."""

    def __init__(self, stream: TextIO | None = None, *, text: Callable[[JobOutput], str] = text_of) -> None:
        self._stream = stream or sys.stdout
        self._text_of = text
        self._terminal = self._stream.isatty()
        self._redraws = self._terminal or "ipykernel" in sys.modules
        self._drawn = 0
        """Columns of the bar that stands there now."""
        self._bar = ""
        self._tenth = -1
        self._at_line_start = True

    def output(self, output: JobOutput) -> None:
        """Show one output."""
        if not isinstance(output, InterimResult):
            self._text(self._text_of(output))
        elif _is_told(value := output.value):
            self._progress(value)
        else:
            self._text(("" if self._at_line_start else "\n") + self._text_of(output))

    def end(self, end: EndFrame) -> None:
        """Show how the job ended."""
        self.finish()
        problem = f": {end.problem.detail}" if end.problem else ""
        self._text(harmless(f"Job status: {status_of(end.status)}{problem}\n"))

    def finish(self) -> None:
        """Leave the bar where it is and go to the beginning of a line."""
        if self._drawn or not self._at_line_start:
            self._write("\n")
        self._drawn, self._bar, self._at_line_start = 0, "", True

    def _text(self, text: str) -> None:
        """Write text where the bar stands, and the bar below it."""
        self._wipe()
        self._write(text)
        self._at_line_start = text.endswith("\n") if text else self._at_line_start
        if self._at_line_start:
            self._draw()

    def _progress(self, progress: Progress) -> None:
        if self._redraws:
            self._wipe()
            self._bar = bar(progress)
            if self._at_line_start:
                self._draw()
            return
        tenth = int(10 * _share(progress)) if progress.total else -1
        if tenth != self._tenth:
            self._tenth = tenth
            self._write(("" if self._at_line_start else "\n") + f"{numbers(progress).lstrip()}\n")
            self._at_line_start = True

    def _draw(self) -> None:
        if self._bar:
            # One column is left free: a full line would break, and could not be drawn over.
            most = shutil.get_terminal_size().columns - 1 if self._terminal else len(self._bar)
            line, self._drawn = _cut(self._bar, most)
            self._write(line)

    def _wipe(self) -> None:
        if self._drawn:
            self._write("\r" + " " * self._drawn + "\r")
            self._drawn = 0

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _cut(text: str, most: int) -> tuple[str, int]:
    """Return as much of the text as fits into so many columns, and how many it takes."""
    taken = 0
    for place, character in enumerate(text):
        columns = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if taken + columns > most:
            return text[:place], taken
        taken += columns
    return text, taken
