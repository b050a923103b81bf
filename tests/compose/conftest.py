"""Fixtures of the tests with `docker compose`: one installation on an engine of its own, for all of them.

Where no engine can be started they are skipped. It is a failure with QRT_REQUIRE_ENGINE=1 and with CI=true,
as `make test-compose` sets them.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose import images
from tests.compose.stack import Stack, make_stack
from tests.docker.daemon import Daemon, NoEngineError
from tests.docker.leftovers import bridges, contained, mounts

SEED = int(os.environ.get("QRT_TEST_SEED") or 20261121)
"""The order in which services are started: another one every time is as good."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.compose)


def _without(reason: NoEngineError) -> None:
    told = f"COMPOSE.YAML WAS NOT TESTED: {reason}"
    if os.environ.get("CI") == "true" or os.environ.get("QRT_REQUIRE_ENGINE") == "1":
        pytest.fail(told)
    pytest.skip(told)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """A private engine for the whole run; nothing of it is left."""
    try:
        running = Daemon("docker")
    except NoEngineError as exc:
        _without(exc)
        raise
    try:
        yield running
    finally:
        running.remove()
    left = (
        mounts(running.home),
        list(contained(running.home)),
        bridges(running.bridge),
        running.home.exists(),
    )
    assert left == ([], [], [], False), left


@pytest.fixture(scope="session")
def stack(daemon: Daemon) -> Iterator[Stack]:
    """The installation, every image made and every service started in an order that nobody chose."""
    scratch = daemon.home / "scratch"  # goes with the engine, whoever removes that
    scratch.mkdir()
    try:
        made = make_stack(daemon, scratch)
        images.make(made.docker, scratch)
    except NoEngineError as exc:
        _without(exc)
        raise
    made.build()
    made.start(seed=SEED)
    made.wait_healthy()
    yield made
    made.compose("down", "--volumes", "--timeout", "5", seconds=300)
