"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import mongo, rabbit
from tests.support.engines import require

# A machine that does other things too is slow now and then, and two runs of the suite ask the same:
# `--hypothesis-profile=default` looks for more.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

TOGETHER = ("attacks", "docker", "system")
"""Directories whose tests share servers or count what they leave behind: one worker runs all of each."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what must run in the same worker: the tests of one file, and those of some directories."""
    here = Path(__file__).parent
    for item in items:
        top = item.path.relative_to(here).parts[0]
        group = top if top in TOGETHER else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def rabbit_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rabbit.RabbitNode]:
    """A private RabbitMQ node for the whole run."""
    require(rabbit.find_server(), what="rabbitmq-server")
    node = rabbit.RabbitNode(tmp_path_factory.mktemp("rabbit"))
    try:
        node.start()
        yield node
    finally:
        node.remove()


@pytest.fixture(scope="session")
def rabbit_url(rabbit_node: rabbit.RabbitNode) -> str:
    """Where the private broker is."""
    return rabbit_node.url


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mongo.MongoServer]:
    """A private embedded database server for the whole run."""
    require(mongo.find_server(), what="the embedded Mongo server")
    server = mongo.MongoServer(tmp_path_factory.mktemp("mongo"))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def mongo_url(mongo_server: mongo.MongoServer) -> str:
    """Where the private database server is."""
    return mongo_server.url
