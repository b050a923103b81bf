"""The host's network is for the programs an operator has named, and for no other."""

import os
import socket
import tempfile
from pathlib import Path

import pytest

from qrt_contracts.ids import new_id
from qrt_contracts.values import Isolation
from tests.attacks.conftest import ATTACKER_UID
from tests.integration.executor.rig import PROGRAM_PYTHON, RUN, Rig, rig
from tests.support.engines import require
from tests.support.kernel import LANDLOCK_VERSION, landlock_version

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOURCE = (
    f"import socket\n{RUN}"
    """\
    try: socket.create_connection(('127.0.0.1', params), timeout=2).close()
    except OSError: return 'seen' if any(sees(params, pid) for pid in range(9)) else 'refused'
    return 'reached'

def sees(port, pid):
    try: return f':{port:04X} ' in open(f'/proc/{pid}/net/tcp').read()
    except OSError: return False
"""
)
"""Tries to connect to a port, and looks whether any process's table of sockets tells of who listens there."""


async def connects(executor: Rig, program_id: str) -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        order = await executor.order(SOURCE, given=str(server.getsockname()[1]))
        run = order.run.model_copy(update={"program_id": program_id})
        told = await executor.end_of(await executor.send(order.model_copy(update={"run": run})))
    return told.result


@pytest.mark.parametrize(
    ("level", "named"), [(Isolation.JAIL, '"reached"'), (Isolation.LANDLOCK, '"refused"')], ids=str
)
async def test_only_a_named_program_reaches_the_host_and_only_from_a_jail(
    mongo_url: str, level: Isolation, named: str
) -> None:
    require(PROGRAM_PYTHON.exists(), what="the environment of programs")
    if level is Isolation.LANDLOCK:
        require(landlock_version() >= LANDLOCK_VERSION, what="Landlock version 6, of Linux 6.12")
    allowed = new_id()
    with tempfile.TemporaryDirectory(prefix="qrt-attacks-") as directory:
        os.chmod(directory, 0o755)
        settings = {"name": "networked", "service_uid": ATTACKER_UID + 2, "allow_network_programs": [allowed]}
        async with rig(mongo_url, Path(directory), level=level, **settings) as executor:
            assert await connects(executor, new_id()) == '"refused"'
            assert await connects(executor, allowed) == named
            assert await connects(executor, new_id()) == '"refused"'


async def test_nobody_reaches_it_where_none_is_named(shared: Rig) -> None:
    assert await connects(shared, new_id()) == '"refused"'
