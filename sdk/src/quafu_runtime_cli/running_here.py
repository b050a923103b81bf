"""`run --local`: a program at a path run on this machine, with no runtime and no isolation."""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qrt_contracts.endings import TITLES, Ending
from quafu_runtime._project import archive_of
from quafu_runtime_cli import tables
from quafu_runtime_cli.endings import CANCELLED, FAILED, OK, TIMED_OUT, CommandFailed, usage
from quafu_runtime_cli.local_process import LocalEnd, LocalOrder, LocalProgram, program_python
from quafu_runtime_cli.screen import Screen
from quafu_runtime_cli.sources import local_kind
from quafu_runtime_cli.state import State

_RESULTS = frozenset({"output.json", "output.txt"})
"""What the runner writes itself: the result, once more."""
_PLACES = ("work", "tmp", "input", "output")


@dataclass(frozen=True)
class Here:
    """What is to be run here, and how."""

    path: str
    input: Any
    python: str | None
    seed: int | None
    timeout: float | None
    secrets: Mapping[str, str]
    output: str | None
    """The folder to keep output files in; None forgets them."""


def run_here(state: State, here: Here, *, quiet: bool) -> int:
    """Run it, show what it puts out unless `quiet`, and print its result; return the exit code.

    Raises:
        CommandFailed: it has failed, or there is nothing to run.
    """
    if not Path(here.path).exists():
        raise usage(
            f"{here.path} is not there", hint="With --local, the program is a path: a file or a folder."
        )
    python = program_python(here.python)
    if shutil.which(python) is None:
        raise usage(f"{python} is no Python interpreter", hint="Name one with --python.")
    state.say("Running here, with this machine's files and network: not isolated.")
    started = time.monotonic()
    deadline = None if here.timeout is None else started + here.timeout
    with tempfile.TemporaryDirectory(prefix="quafu-runtime-", ignore_cleanup_errors=True) as name:
        program = LocalProgram(python, _order(here, Path(name)), deadline)
        screen = Screen(state)
        try:
            for output in program:
                if not quiet:
                    screen.output(output)
        except KeyboardInterrupt:
            raise CommandFailed("Cancelled", "the program was cancelled", None, CANCELLED) from None
        finally:
            screen.finish()
        _keep(state, here, Path(name, "output"))
    return _told(state, here, program, seconds=time.monotonic() - started, quiet=quiet)


def _order(here: Here, folder: Path) -> LocalOrder:
    kind = local_kind(here.path)
    for place in _PLACES:
        (folder / place).mkdir()
    path = Path(here.path)
    if kind == "template":
        source = archive_of(path)
    else:
        source = (path / "program.py" if path.is_dir() else path).read_bytes()
    places = {place: str(folder / place) for place in _PLACES}
    secrets = {variable(name): value for name, value in here.secrets.items()}
    settings = places | {"backend": None, "seed": here.seed}
    return LocalOrder(kind, source, json.dumps(here.input).encode(), settings, secrets)


def variable(secret: str) -> str:
    """Return the environment variable that a program finds a secret in, as the runtime names it."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", secret)
    return "SECRET_" + re.sub(r"[^A-Za-z0-9_]", "_", words).upper()


def _keep(state: State, here: Here, output: Path) -> None:
    files = sorted(each for each in output.rglob("*") if each.is_file() and each.name not in _RESULTS)
    if not files:
        return
    if here.output is None:
        names = ", ".join(tables.cell(each.relative_to(output)) for each in files[:5])
        state.say(f"It left {len(files)} files ({names}); --output-dir FOLDER keeps them.")
        return
    shutil.copytree(output, here.output, dirs_exist_ok=True)
    state.say(f"Its files are in {here.output}")


def _told(state: State, here: Here, program: LocalProgram, *, seconds: float, quiet: bool) -> int:
    end = program.end
    failure = _failure(here, program)
    status = "SUCCEEDED" if failure is None else "FAILED"
    if state.json:
        problem = None if failure is None else failure.document()
        told = {"job_id": "local", "status": status, "result": end.result, "problem": problem}
        state.document(told) if quiet else state.line({"type": "end", **told})
    if failure is not None:
        raise failure
    if not state.json:
        state.say(f"{status} in {tables.duration(seconds)}")
        state.text(tables.pretty(end.result))
    return OK


def _failure(here: Here, program: LocalProgram) -> CommandFailed | None:
    end = program.end
    if end.timed_out:
        detail = f"the program had not ended after {here.timeout:g} s, and was stopped"
        return CommandFailed("Timeout", detail, None, TIMED_OUT, "The time is over")
    if end.returned:
        return None
    if end.error is not None:
        return _of_error(end.error, program.python)
    return _of_exit(end)


def _of_error(error: dict[str, Any], python: str) -> CommandFailed:
    code = str(error.get("code"))
    title = {each.value: title for each, title in TITLES.items()}.get(code, "The program has failed")
    places = "".join(f"\n  {each['pointer']}: {each['detail']}" for each in error.get("errors", ()))
    hint = None
    if "ModuleNotFoundError" in error["detail"]:
        hint = (
            f"Programs run with {python}. Install there what it imports (a Quafu program needs pyquafu,\n"
            "numpy and setuptools<81; a project its requirements.txt and pydantic), or name another: --python"
        )
    told = {name: value for name, value in error.items() if value}
    return CommandFailed(code, error["detail"] + places, hint, FAILED, title, told)


def _of_exit(end: LocalEnd) -> CommandFailed:
    if end.exit_code < 0:
        ending, detail = Ending.KILLED_BY_SIGNAL, f"the program was killed by signal {-end.exit_code}"
    else:
        ending, detail = Ending.EXITED, f"the program's process exited with code {end.exit_code}"
    return CommandFailed(ending.value, detail, None, FAILED, TITLES[ending])
