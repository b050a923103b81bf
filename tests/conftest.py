"""Fixtures for all tests."""

import signal
from collections.abc import Iterator

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

# A shell that runs the suite in the background has it, and all that it starts, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
