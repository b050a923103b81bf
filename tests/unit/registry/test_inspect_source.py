"""Which sources can be run, and what is said of the others."""

import pytest

from qrt_registry.adapters.inspect_source import judge
from qrt_registry.adapters.inspector import ChildInspector


@pytest.mark.parametrize(
    "source",
    [
        "def run(task, userpub, params):\n    return params",
        "def run(backend, userpub, params): pass",
        "async def run(task, userpub, params): pass",
        "def run(task, userpub, params=None): pass",
        "def run(task, userpub, params, more=1, *, flag=False): pass",
        "def run(*args): pass",
        "def run(task, *rest, **named): pass",
        "def run(task, userpub, params, /): pass",
        "run = lambda task, userpub, params: 1",
        "from functools import partial\ndef f(a, b, c, d): pass\nrun = partial(f, 1)",
        "from helpers import run",
        "@decorated\ndef run(): pass",
        "try:\n    import numpy\nexcept ImportError:\n    pass\nelse:\n    def run(a, b, c): pass",
        "if True:\n    def run(a, b, c): pass",
        "def run(a): pass\ndef run(a, b, c): pass",
        "\ufeffdef run(a, b, c): pass",
    ],
)
def test_what_three_arguments_can_call_is_accepted(source: str) -> None:
    assert judge(source.encode()) == {}


@pytest.mark.parametrize(
    ("source", "told", "line"),
    [
        ("def run(task, userpub, params:\n", "SyntaxError", 1),
        ("x = 1\nif x\n", "SyntaxError: expected ':'", 2),
        ("def run(a, b, c):\nreturn 1", "IndentationError", 2),
        ("return 1", "'return' outside function", 1),
        ("", "empty", 0),
        ("# nothing", "no function `run`", 0),
        ("def main(a, b, c): pass\ndef other(): pass", "it defines main, other", 0),
        ("class Program:\n    def run(self, a, b): pass", "on line 2, but inside something else", 0),
        ("def run(): pass", "takes 0 arguments", 1),
        ("x = 1\ndef run(task, params): pass", "takes 2 arguments (task, params)", 2),
        ("def run(a, b, c, d): pass", "called with three", 1),
        ("def run(a, b, c, *, key): pass", "keyword arguments (key)", 1),
        ("def run(a, b, *, c): pass", "takes 2 arguments", 1),
        ("run = lambda a: 1", "takes 1 arguments", 1),
        ("run = 3", "not a function", 1),
        ("class run: pass", "not a function", 1),
        ("def run(a, b, c): pass\nrun = None", "not a function", 2),
        ("a = 1\nb = '\x00'", "NUL", 2),
    ],
)
def test_what_cannot_run_is_refused_with_its_reason_and_place(source: str, told: str, line: int) -> None:
    finding = judge(source.encode())
    assert told in str(finding["detail"])
    assert finding["line"] == line


def test_text_that_is_not_utf8_is_refused_with_its_place() -> None:
    assert "not UTF-8" in str(judge(b"a = 1\nb = '\xe9'\n")["detail"])
    assert "line 2" in str(judge(b"a = 1\nb = '\xe9'\n")["detail"])


def test_the_line_at_fault_is_shown_and_a_long_one_cut() -> None:
    assert judge(b"x = 1\n  y = (\n")["text"] == "  y = ("
    text = str(judge(b"x = [" + b"1, " * 10_000 + b")")["text"])
    assert len(text) <= 200


@pytest.mark.parametrize(
    "source",
    [
        b"-" * 1_000_000 + b"1",
        b"x = " + b"[1] + " * 200_000 + b"1",
        b"x = " + b"a." * 300_000 + b"a",
    ],
    ids=["unary", "binary", "attributes"],
)
async def test_a_source_that_breaks_its_parser_is_refused(source: bytes) -> None:
    finding = await ChildInspector().inspect(source)
    assert finding is not None
    assert "too deeply nested or too large" in finding.detail


async def test_the_child_says_what_the_judge_says() -> None:
    inspector = ChildInspector()
    assert await inspector.inspect(b"def run(a, b, c): pass") is None
    assert await inspector.inspect(b"x = '\\d'  # a warning is no error\ndef run(a, b, c): pass") is None
    finding = await inspector.inspect(b"x = 1\ndef run(a, b): pass")
    assert finding is not None
    assert (finding.line, finding.column, finding.text) == (2, 1, "def run(a, b): pass")


async def test_nothing_of_a_source_is_executed() -> None:
    source = b"import os\nos._exit(3)\ndef run(a, b, c): pass"
    assert await ChildInspector().inspect(source) is None
