"""`init`: a folder with a new program in it, of each kind."""

import json
from pathlib import Path

import click

from quafu_runtime_cli.endings import usage
from quafu_runtime_cli.state import State, common, pass_state

_QUAFU = '''"""What this program does, in a line."""

from quafu import QuantumCircuit


def run(task, userpub, params):
    """Measure a Bell state `rounds` times; publish the counts of each round; return them all together.

    `task.send` runs a circuit, `userpub.publish` sends an interim result to whoever watches, `print` writes
    to the job's log, and what is returned is the job's result: anything that JSON can hold.
    """
    wishes = params or {}
    rounds, shots = wishes.get("rounds", 3), wishes.get("shots", 1000)
    task.config(shots=shots)
    total = {}
    for number in range(1, rounds + 1):
        circuit = QuantumCircuit(2)
        circuit.h(0)
        circuit.cnot(0, 1)
        circuit.measure([0, 1], cbits=[0, 1])
        counts = dict(task.send(circuit).counts)
        for bits, count in counts.items():
            total[bits] = total.get(bits, 0) + count
        userpub.publish({"round": number, "counts": counts})
        userpub.progress(number, rounds)
        print("round", number, "of", rounds)
    return {"counts": total}
'''
_TEMPLATE = '''"""What this program does, in a line."""


def run(values: list[float], factor: float = 1.0) -> dict[str, float]:
    """Add numbers. The properties of a job's input are the arguments; what is returned is its result."""
    print("adding", len(values), "values")
    return {"sum": factor * sum(values)}
'''
_CONTAINER = '''"""What this program does, in a line: the input is files, and so is the result."""

import json
import os
from pathlib import Path


def main():
    """Add numbers."""
    values = json.loads(Path(os.environ["INPUT_DIRECTORY"], "values.json").read_text())
    print("adding", len(values), "values")
    Path(os.environ["OUTPUT_DIRECTORY"], "output.json").write_text(json.dumps({"sum": sum(values)}))


if __name__ == "__main__":
    main()
'''
_DOCKERFILE = """FROM python:3.11-slim
WORKDIR /program
COPY program.py .
CMD ["python", "program.py"]
"""
_VALUES = {"values": [1, 2, 3.5]}


def _document(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _planqk(name: str, runtime: str) -> str:
    return _document({"name": name, "description": "What this program does.", "runtime": runtime})


def scaffold(name: str, kind: str) -> dict[str, str]:
    """Return the files of a new program by their paths."""
    if kind == "quafu":
        return {"program.py": _QUAFU, "input.json": _document({"rounds": 3, "shots": 1000})}
    if kind == "template":
        return {
            "src/__init__.py": "",
            "src/program.py": _TEMPLATE,
            "requirements.txt": "# One package a line, as for pip.\n",
            "planqk.json": _planqk(name, "PYTHON_TEMPLATE"),
            "input.json": _document(_VALUES),
        }
    return {
        "Dockerfile": _DOCKERFILE,
        "program.py": _CONTAINER,
        "planqk.json": _planqk(name, "DOCKER"),
        "input.json": _document(_VALUES),
    }


@click.command("init", short_help="Make a folder with a new program in it.")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(("quafu", "template", "container")),
    default="quafu",
    show_default=True,
    help="One Python file; a Python project with requirements; a container.",
)
@common
@pass_state
def init_command(state: State, name: str, kind: str) -> None:
    """Make a folder with a new program in it, ready to be run and uploaded."""
    folder = Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise usage(f"{name} is there already, and not empty")
    files = scaffold(folder.resolve().name, kind)
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    if state.json:
        state.document({"path": str(folder), "kind": kind, "files": list(files)})
        return
    state.text(f"Made {folder}/ with {', '.join(files)}")
    local = "" if kind == "container" else f"\n  quafu-runtime run --local {name} --input {name}/input.json"
    program = folder.resolve().name
    state.say(
        f"Try next:{local}\n  quafu-runtime upload {name}\n"
        f"  quafu-runtime run {program} --input {name}/input.json --watch"
    )
