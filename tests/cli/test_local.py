"""`run --local`: the runner that executors use, on this machine, without a runtime."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.cli

PYTHON = Path(__file__).parents[2] / ".venv" / "programs" / "bin" / "python"

BELL = """
from quafu import QuantumCircuit

def run(task, userpub, params):
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cnot(0, 1)
    circuit.measure([0, 1], cbits=[0, 1])
    task.config(shots=params["shots"])
    later = task.send(circuit, wait=False)
    print("sent")
    userpub.publish("one \\x1b[2J text")
    return {"now": task.send(circuit).counts, "later": task.retrieve(later.taskid).counts}
"""


def test_a_scaffold_runs_here_as_it_is(command: Command) -> None:
    command("init", "tpl", "--kind", "template")
    given = ("run", "--local", "tpl", "--input", "tpl/input.json", "--python", sys.executable)
    ended = command(*given)
    assert (ended.code, ended.out) == (0, 'adding 3 values\n{"sum": 6.5}\n')
    assert "not isolated" in ended.err
    told = command(*given, "-i", 'values="x"', "--json")
    assert told.code == 1
    assert told.problem["code"] == "InvalidInput"
    assert told.problem["errors"][0]["pointer"] == "/values"
    assert told.lines[-1]["status"] == "FAILED"


def test_circuits_are_sampled_here_as_the_seed_says(command: Command) -> None:
    Path("bell.py").write_text(BELL)
    given = ("run", "--local", "bell.py", "-i", "shots=100", "--seed", "7", "--json", "--python", str(PYTHON))
    first = command(*given)
    assert first.code == 0, first.err
    *logs, interim, end = first.lines
    assert "".join(each["text"] for each in logs) == "sent\n"
    assert interim["value"] == "one \x1b[2J text"
    assert "\x1b" not in first.out
    assert all(sum(counts.values()) == 100 for counts in end["result"].values())
    assert end["result"] == command(*given).lines[-1]["result"]


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("print('before'); raise KeyError('steps')", 1, "KeyError"),
        ("import os; os._exit(7)", 1, "exited with code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 1, "killed by signal 9"),
        ("import time; time.sleep(600)", 124, "was stopped"),
    ],
)
def test_how_a_program_ends_here_is_told(command: Command, body: str, code: int, told: str) -> None:
    Path("end.py").write_text(f"def run(task, userpub, params):\n    {body}\n")
    timeout = ("--timeout", "1.5") if code == 124 else ()
    ended = command("run", "--local", "end.py", "--python", sys.executable, *timeout)
    assert ended.code == code
    assert told in ended.err


def test_output_files_are_kept_if_that_is_asked_for(command: Command) -> None:
    Path("files.py").write_text(
        "import os\n\ndef run(task, userpub, params):\n"
        "    open(os.environ['OUTPUT_DIRECTORY'] + '/a.txt', 'w').write(os.environ['SECRET_MY_KEY'])\n"
        "    return sorted(name for name in os.environ if name.startswith('QUAFU_RUNTIME_'))\n"
    )
    Path("key").write_text("hunter2\n")
    given = ("run", "--local", "files.py", "--secret", "myKey=@key", "--python", sys.executable)
    ended = command(*given, "--output-dir", "kept")
    assert (ended.code, json.loads(ended.out)) == (0, [])
    assert Path("kept/a.txt").read_text() == "hunter2"
    assert "--output-dir" in command(*given).err
