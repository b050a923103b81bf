"""What is read from a command line, and what is shown on a terminal."""

import io
import json
from pathlib import Path

import pytest

from quafu_runtime._harmless import harmless, harmless_json, one_line
from quafu_runtime_cli import tables
from quafu_runtime_cli.endings import CommandFailed
from quafu_runtime_cli.inputs import read_input, read_secrets
from quafu_runtime_cli.running_here import variable
from quafu_runtime_cli.state import State
from quafu_runtime_cli.tables import Column

pytestmark = pytest.mark.cli


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("safe\rhidden\r\n", "safe\nhidden\n"),
        ("admin\u202etxt.exe", "admin\\u202etxt.exe"),
        ("half \ud83d", "half \\ud83d"),
        ("\x00\x08\x7f", "\\x00\\x08\\x7f"),
        ("量子 é 🚀", "量子 é 🚀"),
    ],
)
def test_what_commands_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_json_that_is_made_harmless_means_the_same() -> None:
    value = ["\x9b2J", "\u202e", "é\x7f", "\ud83d"]
    text = harmless_json(json.dumps(value, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == value


def test_a_long_result_has_its_short_parts_on_one_line_each() -> None:
    value = {"energy": -1.85, "angles": [0.1] * 12, "names": ["x" * 60, "\x9b" * 8], "empty": {}}
    text = tables.pretty(value)
    assert json.loads(text) == value
    assert text.splitlines()[:3] == ["{", '  "energy": -1.85,', f'  "angles": {json.dumps([0.1] * 12)},']
    assert all(line.isprintable() for line in text.splitlines())


def test_a_cell_is_one_line() -> None:
    assert one_line("a\nb\tc\x1b[2J") == "a b c\\x1b[2J"


def test_inputs_are_json_or_text_and_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"steps": 1, "keep": [1]}')
    given = ["steps=5", "name=h2", "angles=[0.1, 0.2]", "deep.er=true", "text=NaN", 'quoted="5"', "empty="]
    assert read_input(given, str(file)) == {
        "steps": 5,
        "keep": [1],
        "name": "h2",
        "angles": [0.1, 0.2],
        "deep": {"er": True},
        "text": "NaN",
        "quoted": "5",
        "empty": "",
    }
    assert read_input([], str(file)) == {"steps": 1, "keep": [1]}
    assert read_input([], None) is None


def test_input_may_be_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("[1, 2]"))
    assert read_input([], "-") == [1, 2]


@pytest.mark.parametrize("given", [["no-sign"], ["=value"], ["a=1", "a.b=2"]])
def test_a_value_that_cannot_be_placed_is_refused(given: list[str]) -> None:
    with pytest.raises(CommandFailed) as failed:
        read_input(given, None)
    assert failed.value.exit_code == 2


def test_a_secret_is_never_taken_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("ibmToken", "from the environment")
    given = [f"other=@{tmp_path}/secret", "ibmToken"]
    assert read_secrets(given) == {"other": "from a file", "ibmToken": "from the environment"}
    with pytest.raises(CommandFailed, match="lists processes"):
        read_secrets(["ibmToken=hunter2"])


def test_a_secret_has_the_name_that_the_runtime_gives_it() -> None:
    assert [variable(name) for name in ("ibmToken", "my-key.2", "HTTPPassword")] == [
        *("SECRET_IBM_TOKEN", "SECRET_MY_KEY_2", "SECRET_HTTP_PASSWORD")
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _table(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [("0" * 32, "SUCCEEDED", "a program with a long name " * 3 + "\x1b[2J")]
    tables.table(State(), (Column("JOB", whole=True), Column("STATUS"), Column("PROGRAM")), rows, empty="")
    return stream.getvalue().splitlines()


def test_a_table_is_cut_to_the_terminal_but_for_what_must_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (60, 120):
        lines = _table(_Terminal(), monkeypatch, columns)
        assert all(len(line) <= columns for line in lines), lines
        assert lines[1].startswith("0" * 32)
        assert "…" in lines[1]


def test_through_a_pipe_nothing_is_cut_and_nothing_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    (_, row) = _table(io.StringIO(), monkeypatch, 60)
    assert row.endswith("a program with a long name \\x1b[2J")
    assert "\x1b" not in row
