"""Every cause for which an attempt ends has a code, a detail and its logs."""

import pytest

from qrt_contracts.values import Limits
from tests.integration.executor.rig import RUN, Rig, body

pytestmark = pytest.mark.asyncio(loop_scope="session")

BEFORE = 'print("before", flush=True)'


async def test_a_result_is_reported_with_what_the_attempt_used(executor: Rig) -> None:
    told = await executor.run(body(BEFORE, 'return {"got": params}'), given='{"a": [1, 2.5, "é"]}')
    assert told.end.end == "succeeded"
    assert told.result == '{"got": {"a": [1, 2.5, "é"]}}'
    assert told.log == "before\n"
    assert told.end.usage is not None
    assert told.end.usage.exit_code == 0
    assert (told.end.usage.cpu_seconds or 0) > 0
    assert (told.end.usage.peak_memory_bytes or 0) > 1 << 20
    assert told.end.usage.memory_by in ("cgroup", "watchdog")
    assert told.end.isolation is executor.beat.isolation
    assert not told.end.partial


async def test_what_a_limit_ends_keeps_what_there_was_as_partial(executor: Rig) -> None:
    told = await executor.run(
        body(BEFORE, "userpub.publish('half')", "while True: pass"), limits=Limits(wall_seconds=1)
    )
    assert (told.code, told.end.partial) == ("TimeLimitExceeded", True)
    assert (told.log, told.interim) == ("before\n", ["half"])


# ruff: noqa: E501
CASES = [
    ("an exception", body(BEFORE, 'raise ValueError("oh")'), "ProgramError", "ValueError: oh", 1),
    ("sys.exit(7)", body(BEFORE, "import sys", "sys.exit(7)"), "ProgramExited", "sys.exit(7)", 7),
    ("sys.exit()", body(BEFORE, "import sys", "sys.exit()"), "ProgramExited", "sys.exit()", 0),
    ("sys.exit('no')", body(BEFORE, "import sys", "sys.exit('no')"), "ProgramExited", "'no'", 1),
    ("os._exit(9)", body(BEFORE, "import os", "os._exit(9)"), "ProgramExited", "exit code 9", 9),
    ("os._exit(0)", body(BEFORE, "import os", "os._exit(0)"), "ProgramExited", "exit code 0", 0),
    ("recursion", body(BEFORE, "def f(): f()", "f()"), "ProgramError", "RecursionError", 1),
    ("KeyboardInterrupt", body(BEFORE, "raise KeyboardInterrupt"), "ProgramError", "KeyboardInterrupt", 1),
    ("GeneratorExit", body(BEFORE, "raise GeneratorExit"), "ProgramError", "GeneratorExit", 1),
    ("an object", body(BEFORE, 'return {"a": [1, object()]}'), "InvalidResult", "/a/1", 1),
    ("an object as key", body(BEFORE, "return {'x': {print: 2}}"), "InvalidResult", "/x", 1),
    ("an array of objects", body(BEFORE, "import numpy", "return [numpy.array([print])]"), "InvalidResult", "object", 1),
    ("a cycle", body(BEFORE, "x = []", "x.append(x)", "return x"), "InvalidResult", "contains itself", 1),
    ("deep nesting", body(BEFORE, "x = []", "for _ in range(9999): x = [x]", "return x"), "InvalidResult", "deep", 1),
    ("a lone surrogate", body(BEFORE, 'return "\\ud800"'), "InvalidResult", "surrogate", 1),
    ("a coroutine", body(BEFORE, "return (x for x in 'ab')"), "InvalidResult", "generator", 1),
    ("a bad publish", body(BEFORE, "userpub.publish({1, print})"), "ProgramError", "TypeError", 1),
    ("no memory", body(BEFORE, "bytearray(1 << 40)"), "MemoryLimitExceeded", "MemoryError", 1),
    ("a task without measures", body(BEFORE, "import quafu", "task.send(quafu.QuantumCircuit(2))"), "ProgramError", "measures no qubit", 1),
    ("too many qubits", body(BEFORE, "import quafu", "q = quafu.QuantumCircuit(40)", "q.measure([0])", "task.send(q)"), "ProgramError", "40 qubits", 1),
    ("no shots", body(BEFORE, "task.config(shots=0)"), "ProgramError", "shots", 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "code", "detail", "status"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
async def test_a_program_that_fails_says_how(
    executor: Rig, source: str, code: str, detail: str, status: int
) -> None:
    told = await executor.run(source)
    assert told.end.end == "failed"
    assert told.code == code
    assert detail in told.detail
    assert told.log.startswith("before\n")
    assert told.end.usage is not None
    assert told.end.usage.exit_code == status
    assert "qrt_runner" not in told.detail + told.traceback


IMPORTS = [
    ("a syntax error", "def run(a, b, c)\n    pass\n", "expected ':'", "def run(a, b, c)"),
    (
        "a failing import",
        "import nowhere_to_be_found\n" + RUN + "    pass\n",
        "nowhere_to_be_found",
        "line 1",
    ),
    ("an exception at import", "x = 1 / 0\n", "ZeroDivisionError", "x = 1 / 0"),
    ("no run", "x = 1\n", "run(task, userpub, params)", ""),
    ("run is no function", "run = 3\n", "int", ""),
    ("one argument", "def run(x):\n    pass\n", "run(x)", ""),
    ("four arguments", "def run(a, b, c, d):\n    pass\n", "run(a, b, c, d)", ""),
    ("a keyword that must be given", "def run(a, b, c, *, d):\n    pass\n", "run(a, b, c, *, d)", ""),
    ("a class", "class run:\n    def __init__(self, x):\n        pass\n", "run(x)", ""),
    ("a function of C's", "run = len\n", "run(obj, /)", ""),
    ("a NUL byte", "x = 1\0\n", "null byte", ""),
    ("an empty source", "\n", "run(task, userpub, params)", ""),
]


@pytest.mark.parametrize(("source", "detail", "line"), [c[1:] for c in IMPORTS], ids=[c[0] for c in IMPORTS])
async def test_a_program_that_cannot_be_loaded_says_why(
    executor: Rig, source: str, detail: str, line: str
) -> None:
    told = await executor.run(source)
    assert told.code == "ImportFailed"
    assert detail in told.detail
    assert line in told.traceback
    assert "qrt_runner" not in told.detail + told.traceback


DECORATED = """
import functools

def run(x):
    pass

run = functools.wraps(run)(lambda *args, inner=run: inner(*args))
"""
WRONG_CALLS = [
    ("of what it calls itself", body("return (lambda x: x)(1, 2)"), "takes 1 positional argument"),
    ("behind a decorator", DECORATED, "takes 1 positional argument"),
    ("of what takes three arguments of other kinds", "run = setattr\n", "attribute name must be string"),
]


@pytest.mark.parametrize(("source", "detail"), [c[1:] for c in WRONG_CALLS], ids=[c[0] for c in WRONG_CALLS])
async def test_a_wrong_call_is_the_programs_error_unless_it_is_the_runtimes_own(
    executor: Rig, source: str, detail: str
) -> None:
    told = await executor.run(source)
    assert told.code == "ProgramError"
    assert detail in told.detail
    assert "qrt_runner" not in told.traceback


async def test_a_traceback_shows_the_programs_lines_and_nothing_of_the_runtime(executor: Rig) -> None:
    source = "def helper(x):\n    return 1 / x\n\n" + body("return helper(params['x'])")
    told = await executor.run(source, given='{"x": 0}')
    assert 'File "program.py", line 2, in helper\n    return 1 / x' in told.traceback
    assert "return helper(params['x'])" in told.traceback
    assert told.traceback.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "qrt_runner" not in told.traceback


async def test_an_exception_in_an_exception_keeps_both(executor: Rig) -> None:
    told = await executor.run(
        body("try:", "    1 / 0", "except ZeroDivisionError as e:", "    raise KeyError('k') from e")
    )
    assert "direct cause" in told.traceback
    assert "ZeroDivisionError" in told.traceback


async def test_an_exception_whose_str_raises_is_reported_all_the_same(executor: Rig) -> None:
    source = "class Bad(BaseException):\n    def __str__(self):\n        raise SystemExit\n" + body(
        "raise Bad()"
    )
    told = await executor.run(source)
    assert told.code == "ProgramError"
    assert told.detail == "Bad: <its __str__ raised>"


@pytest.mark.parametrize(
    ("lines", "name", "number"),
    [
        (("import ctypes", "ctypes.string_at(0)"), "SIGSEGV", 11),
        (("import os", "os.abort()"), "SIGABRT", 6),
        (("import os, signal", "os.kill(os.getpid(), signal.SIGKILL)"), "SIGKILL", 9),
        (("import os, signal", "os.kill(os.getpid(), signal.SIGTERM)"), "SIGTERM", 15),
    ],
)
async def test_a_signal_is_named(executor: Rig, lines: tuple[str, ...], name: str, number: int) -> None:
    told = await executor.run(body(BEFORE, *lines))
    assert told.code == "KilledBySignal"
    assert name in told.detail
    assert told.end.usage is not None
    assert told.end.usage.signal == number
    assert told.log == "before\n"


async def test_input_that_is_not_json_is_refused(executor: Rig) -> None:
    told = await executor.run(body("return 1"), given="{not json")
    assert told.code == "InvalidInput"


async def test_a_program_over_its_cpu_time_is_ended(executor: Rig) -> None:
    told = await executor.run(body(BEFORE, "while True: pass"), limits=Limits(cpu_seconds=1))
    assert told.code == "CpuLimitExceeded"
    assert told.log == "before\n"


async def test_a_program_over_its_wall_time_is_ended(executor: Rig) -> None:
    told = await executor.run(
        body(BEFORE, "import time", "time.sleep(1000)"), limits=Limits(wall_seconds=0.5)
    )
    assert told.code == "TimeLimitExceeded"
    assert told.log == "before\n"


async def test_a_program_may_tidy_up_when_its_time_is_over(executor: Rig) -> None:
    source = body(
        "import signal, sys, time",
        "def tidy(*_):",
        "    print('tidied', flush=True); sys.exit(3)",
        "signal.signal(signal.SIGTERM, tidy)",
        "time.sleep(1000)",
    )
    told = await executor.run(source, limits=Limits(wall_seconds=0.5))
    assert told.code == "TimeLimitExceeded"
    assert told.log == "tidied\n"


async def test_a_program_that_ignores_sigterm_is_killed(executor: Rig) -> None:
    source = body(
        "import signal, time",
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
        "print('deaf', flush=True)",
        "while True: time.sleep(1)",
    )
    told = await executor.run(source, limits=Limits(wall_seconds=0.5))
    assert told.code == "TimeLimitExceeded"
    assert told.log == "deaf\n"
    assert told.end.usage is not None
    assert told.end.usage.signal == 9


async def test_what_a_killed_program_has_used_is_known(executor: Rig) -> None:
    source = body("import signal", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "while True: pass")
    told = await executor.run(source, limits=Limits(wall_seconds=1))
    assert told.code == "TimeLimitExceeded"
    assert told.end.usage is not None
    assert (told.end.usage.cpu_seconds or 0) > 0.1


async def test_orphans_are_asked_to_end_as_well(executor: Rig) -> None:
    source = body(
        "import os, signal, time",
        "told, tell = os.pipe()",
        "if os.fork() == 0:",
        "    if os.fork():",
        "        os._exit(0)",
        "    signal.signal(signal.SIGTERM, lambda *_: (os.write(tell, b'asked'), os._exit(0)))",
        "    time.sleep(1000)",
        "os.wait()",
        "signal.signal(signal.SIGTERM, lambda *_: None)",
        "print(os.read(told, 100).decode(), flush=True)",
    )
    told = await executor.run(source, limits=Limits(wall_seconds=0.5))
    assert told.code == "TimeLimitExceeded"
    assert told.log == "asked\n"


async def test_a_program_over_its_memory_is_ended(executor: Rig) -> None:
    source = body(
        "import os, time",
        "blocks = []",
        "for _ in range(3):",
        "    if os.fork() == 0:",
        "        block = bytearray(os.urandom(1 << 20) * 100); time.sleep(1000)",
        "time.sleep(1000)",
    )
    told = await executor.run(source, limits=Limits(memory_bytes=256 << 20))
    assert told.code == "MemoryLimitExceeded"


async def test_a_result_over_its_limit_is_refused(executor: Rig) -> None:
    told = await executor.run(body("return 'x' * 5000"), limits=Limits(result_bytes=4096))
    assert told.code == "OutputLimitExceeded"


async def test_a_large_result_is_an_artifact(executor: Rig) -> None:
    told = await executor.run(body("return 'x' * 2_000_000"))
    assert told.end.result is not None
    assert told.end.result.artifact is not None
    text = await executor.artifacts.unwrap(told.end.result, limit=1 << 22)
    assert text == '"' + "x" * 2_000_000 + '"'


async def test_a_large_input_is_fetched(executor: Rig) -> None:
    payload = await executor.artifacts.wrap('"' + "y" * 3_000_000 + '"')
    assert payload.artifact is not None
    told = await executor.run(body("return len(params)"), given=payload)
    assert told.result == "3000000"
