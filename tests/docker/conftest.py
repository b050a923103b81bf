"""Fixtures of the tests with a real container engine.

Where none can be started they are skipped, and the summary says in a line of its own what was not tested.
It is a failure with QRT_REQUIRE_ENGINE=1, as `make test-docker` sets it, and with CI=true where nothing is
missing but a package or a base image.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from qrt_executor.adapters.containers.engine import Engine, open_engine
from tests.docker.bases import BUSYBOX, PYTHON, NoBaseError, busybox_base, load, python_base
from tests.docker.daemon import Daemon, NoEngineError, NotInstalledError
from tests.integration.executor.rig import Rig, rig

NOT_TESTED = "CONTAINER PROGRAMS WERE NOT TESTED: no container engine can be had here"
KEY = SecretStr("k" * 32)
OPEN_PROGRAM = "0" * 32
"""The program that may have a network."""
_missing: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested."""
    for reason in _missing:
        terminalreporter.section(NOT_TESTED, sep="!", red=True, bold=True)
        terminalreporter.line(reason)


def _without(reason: NoEngineError) -> None:
    _missing.append(str(reason))
    in_ci = os.environ.get("CI") == "true" and isinstance(reason, NotInstalledError | NoBaseError)
    if in_ci or os.environ.get("QRT_REQUIRE_ENGINE") == "1":
        pytest.fail(f"{NOT_TESTED}: {reason}")
    pytest.skip(f"{NOT_TESTED}: {reason}")


@pytest.fixture(scope="session")
def bases(scratch: Path) -> Mapping[str, Path]:
    """The archives of the base images' file systems by their names."""
    try:
        return {BUSYBOX: busybox_base(scratch), PYTHON: python_base()}
    except NoEngineError as exc:
        _without(exc)
        raise


@pytest.fixture(scope="session")
def daemon(bases: Mapping[str, Path]) -> Iterator[Daemon]:
    """A private engine for the whole run."""
    try:
        running = Daemon(os.environ.get("QRT_TEST_ENGINE", "docker"))
    except NoEngineError as exc:
        _without(exc)
        raise
    try:
        yield running
    finally:
        running.remove()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def engine(daemon: Daemon, bases: Mapping[str, Path]) -> AsyncIterator[Engine]:
    """The tests' own connection to it, with the base images there."""
    async with open_engine(str(daemon.socket)) as opened:
        for name, base in bases.items():
            await load(opened, name, base)
        yield opened


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory that the programs' user can reach too."""
    with tempfile.TemporaryDirectory(prefix="qrt-tests-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def executor(mongo_url: str, scratch: Path, daemon: Daemon, engine: Engine) -> AsyncIterator[Rig]:
    """An executor with the engine, shared by the tests of a run."""
    async with rig(
        mongo_url,
        scratch,
        engine=daemon.url,
        slots=4,
        sealing_keys=KEY,
        allow_network_programs=frozenset({OPEN_PROGRAM}),
    ) as shared:
        yield shared
