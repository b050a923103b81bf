"""The command in this process, against a stand-in for the runtime."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quafu_runtime_cli.main import run
from tests.sdk.stand_in import TOKEN, Served


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tester's own login, and what the tester works on, out of the tests."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("QUAFU_RUNTIME_TOKEN", "QUAFU_RUNTIME_URL", "XDG_CONFIG_HOME", "QRT_PROGRAM_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path / "here")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def problem(self) -> Any:
        return json.loads(self.err)


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process."""

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run(arguments)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return call


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A stand-in for the runtime, which the command finds by its environment."""
    with Served() as runtime:
        monkeypatch.setenv("QUAFU_RUNTIME_URL", runtime.url)
        monkeypatch.setenv("QUAFU_RUNTIME_TOKEN", TOKEN)
        yield runtime
