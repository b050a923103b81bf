"""What a job puts out, as people see it at a terminal, or as one JSON document a line."""

import json
from typing import Any

from qrt_contracts.api import EndFrame
from qrt_contracts.values import Encoding
from quafu_runtime import InterimResult, JobOutput, LogText
from quafu_runtime._harmless import harmless, harmless_json
from quafu_runtime._watch import Show
from quafu_runtime_cli.state import State


class Screen:
    """Shows outputs as they come. With `only_log`, interim results and progress are left out."""

    def __init__(self, state: State, *, only_log: bool = False) -> None:
        self._state = state
        self._only_log = only_log
        self._show = Show(text=self._text)

    def output(self, output: JobOutput) -> None:
        """Show one output."""
        if self._only_log and not isinstance(output, LogText):
            return
        if self._state.json:
            self._state.line(as_json(output))
        else:
            self._show.output(output)

    def finish(self) -> None:
        """Leave what is shown where it is; what is written next begins a line."""
        if not self._state.json:
            self._show.finish()

    def _text(self, output: JobOutput) -> str:
        if isinstance(output, InterimResult):
            return self._state.style(f"* {interim_text(output)}", fg="cyan") + "\n"
        text = harmless(output.text)
        if output.stream == "stdout" or not self._state.colours:
            return text
        # Line by line: a colour must not reach over a line's end.
        return "".join(_tinted(self._state, line) for line in text.splitlines(keepends=True))


def _tinted(state: State, line: str) -> str:
    body = line.rstrip("\n")
    return state.style(body, fg="bright_black") + line[len(body) :]


def interim_text(output: InterimResult) -> str:
    """Return an interim result as harmless text on one line: JSON as it is, text as text."""
    if output.encoding is Encoding.JSON:
        return harmless_json(output.text)
    if output.encoding is Encoding.BASE64:
        return f"{len(output.raw)} bytes, base64: {output.text}"
    return harmless(output.text).replace("\n", "\\n")


def as_json(output: JobOutput) -> dict[str, Any]:
    """Return an output as JSON data."""
    place = {
        "job_id": output.job_id,
        "attempt": output.attempt,
        "number": output.number,
        "at": output.at.isoformat(),
    }
    if isinstance(output, LogText):
        return {"type": "log", **place, "stream": output.stream, "text": output.text}
    value = json.loads(output.text) if output.encoding is Encoding.JSON else output.text
    return {"type": "interim", **place, "encoding": output.encoding.value, "value": value}


def end_as_json(end: EndFrame, *, result: Any) -> dict[str, Any]:
    """Return a job's end as JSON data."""
    problem = end.problem.model_dump(mode="json", exclude_none=True) if end.problem else None
    return {
        "type": "end",
        "job_id": end.job_id,
        "status": end.status.value,
        "attempt": end.attempt,
        "result": result,
        "problem": problem,
    }
