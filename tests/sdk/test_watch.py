"""What a person sees of a job."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from qrt_contracts import codec
from qrt_contracts.api import EndFrame
from qrt_contracts.codec import Progress
from qrt_contracts.states import JobState
from qrt_contracts.values import Encoding
from quafu_runtime._outputs import InterimResult, JobOutput, LogText
from quafu_runtime._watch import Show, bar

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def interim(value: object) -> JobOutput:
    return InterimResult(
        job_id="j", attempt=1, number=1, at=NOW, encoding=Encoding.JSON, text=codec.to_json(value)
    )


def log(text: str) -> JobOutput:
    return LogText(job_id="j", attempt=1, number=1, at=NOW, stream="stdout", text=text)


class Terminal(io.StringIO):
    """Shows what is left on each line once carriage returns have done their work."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines = []
        for line in self.getvalue().split("\n"):
            shown = ""
            for part in line.split("\r"):
                shown = part + shown[len(part) :]
            lines.append(shown.rstrip())
        return lines


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (Progress(0, 10), "[" + "." * 30 + "]   0% 0/10"),
        (Progress(5, 10, "half"), "[" + "#" * 15 + "." * 15 + "]  50% 5/10 half"),
        (Progress(12, 10), "[" + "#" * 30 + "] 100% 12/10"),
        (Progress(7), "[" + "." * 30 + "] 7"),
    ],
)
def test_a_bar_is_one_line(progress: Progress, shown: str) -> None:
    assert bar(progress) == shown


def test_the_bar_stays_below_what_is_printed() -> None:
    terminal = Terminal()
    show = Show(terminal)
    for output in (log("begin\n"), interim(Progress(1, 2)), log("middle\n"), interim({"x": 1})):
        show.output(output)
    assert terminal.screen() == ["begin", "middle", "{'x': 1}", bar(Progress(1, 2))]
    show.output(interim(Progress(2, 2)))
    show.end(EndFrame(job_id="j", status=JobState.SUCCEEDED, attempt=1, last_output=5))
    assert terminal.screen()[-3:] == [bar(Progress(2, 2)), "Job status: JobStatus.DONE", ""]


def test_where_nothing_can_be_redrawn_each_tenth_is_a_line() -> None:
    stream = io.StringIO()
    show = Show(stream)
    for done in range(101):
        show.output(interim(Progress(done, 100)))
    assert stream.getvalue().splitlines()[:2] == ["0% 0/100", "10% 10/100"]
    assert stream.getvalue().count("\n") == 11
    assert "\r" not in stream.getvalue()


def test_nothing_that_a_program_puts_out_commands_the_screen() -> None:
    terminal = Terminal()
    show = Show(terminal)
    for output in (log("\x1b[2Jone\rtwo\n"), interim("\x9b31m"), interim(Progress(1, 2, "a\nb\x1b[H"))):
        show.output(output)
    assert terminal.screen() == ["\\x1b[2Jone", "two", "\\x9b31m", bar(Progress(1, 2)) + " a b\\x1b[H"]


def test_progress_that_is_none_is_shown_as_it_is() -> None:
    stream = io.StringIO()
    show = Show(stream)
    not_a_number = {"$type": "float", "value": "nan"}
    for done, total in (("x", []), (not_a_number, 1)):
        tagged: dict[str, object] = {"$type": "progress", "done": done, "total": total, "message": None}
        show.output(replace(interim(None), text=json.dumps(tagged)))
    shown = stream.getvalue().splitlines()
    assert "'x'" in shown[0]
    assert shown[1] == "0% nan/1"


def test_a_bar_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    Show(terminal).output(interim(Progress(1, 4, "能量 " * 20)))
    drawn = terminal.getvalue()
    assert sum(2 if ord(character) > 0x2E80 else 1 for character in drawn) in (58, 59)


def test_an_interim_result_begins_a_line() -> None:
    stream = io.StringIO()
    show = Show(stream)
    for output in (log("no end"), interim({"x": 1})):
        show.output(output)
    assert stream.getvalue() == "no end\n{'x': 1}\n"
