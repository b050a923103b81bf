"""Showing a job to a person: its log, its interim results, and its progress as a bar.

The bar is the last line and is drawn over itself by a carriage return, which terminals and notebooks both
understand. Where neither shows it (a file, a pipe), each tenth is a line of its own.
"""

import sys
from typing import TextIO

from qrt_contracts.api import EndFrame
from qrt_contracts.codec import Progress
from quafu_runtime._outputs import InterimResult, JobOutput
from quafu_runtime._status import status_of

CELLS = 30


def bar(progress: Progress) -> str:
    """Return one line that shows how far a program has come."""
    said = f" {progress.message}" if progress.message else ""
    if not progress.total:
        return f"[{'.' * CELLS}] {progress.done:g}{said}"
    share = min(1.0, max(0.0, progress.done / progress.total))
    full = round(share * CELLS)
    cells = "#" * full + "." * (CELLS - full)
    return f"[{cells}] {share:4.0%} {progress.done:g}/{progress.total:g}{said}"


class Show:
    """Writes what a job puts out, as it comes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._redraws = self._stream.isatty() or "ipykernel" in sys.modules
        self._drawn = 0
        """Characters of the bar that stands there now."""
        self._bar = ""
        self._tenth = -1
        self._at_line_start = True

    def output(self, output: JobOutput) -> None:
        """Show one output."""
        if not isinstance(output, InterimResult):
            self._text(output.text)
        elif isinstance(value := output.value, Progress):
            self._progress(value)
        else:
            self._text(f"{value}\n")

    def end(self, end: EndFrame) -> None:
        """Show how the job ended."""
        if self._drawn:
            self._write("\n")
            self._drawn, self._bar = 0, ""
        problem = f": {end.problem.detail}" if end.problem else ""
        self._text(("" if self._at_line_start else "\n") + f"Job status: {status_of(end.status)}{problem}\n")

    def _text(self, text: str) -> None:
        """Write text where the bar stands, and the bar below it."""
        self._wipe()
        self._write(text)
        self._at_line_start = text.endswith("\n") if text else self._at_line_start
        if self._at_line_start:
            self._draw()

    def _progress(self, progress: Progress) -> None:
        line = bar(progress)
        if self._redraws:
            self._wipe()
            self._bar = line
            if self._at_line_start:
                self._draw()
            return
        tenth = int(10 * progress.done / progress.total) if progress.total else -1
        if tenth != self._tenth:
            self._tenth = tenth
            self._write(line + "\n")

    def _draw(self) -> None:
        if self._bar:
            self._write(self._bar)
            self._drawn = len(self._bar)

    def _wipe(self) -> None:
        if self._drawn:
            self._write("\r" + " " * self._drawn + "\r")
            self._drawn = 0

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
