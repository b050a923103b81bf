"""A job's secrets: they reach its program, and are left nowhere on the way."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import bson
import pymongo
import pytest

from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode
from tests.system.client import Api
from tests.system.composition import Composition

pytestmark = [pytest.mark.kipu, pytest.mark.asyncio(loop_scope="session")]

PROGRAM = """
import hashlib, os, sys

def run(task, userpub, params):
    secret = os.environ["SECRET_IBM_TOKEN"]
    print("careless:", secret, repr(secret), flush=True)
    os.write(1, secret[:9].encode())
    os.write(1, secret[9:].encode() + b"\\n")
    print(secret, file=sys.stderr)
    userpub.publish("working")
    if params["fail"]:
        raise ValueError("refused: https://host/?token=" + secret)
    return hashlib.sha256(secret.encode()).hexdigest()
"""


async def test_secrets_reach_the_program_and_are_found_nowhere_else(
    composition: Composition, api: Api, rabbit_node: RabbitNode, mongo_server: MongoServer
) -> None:
    secret = f"s3cret-{new_id()}"
    async with overheard(rabbit_node, composition) as messages:
        program = await api.upload(PROGRAM)
        seen: list[Any] = []
        for fail in (False, True):
            given = {"program_id": program["id"], "input": {"fail": fail}, "secrets": {"ibmToken": secret}}
            headers = {"Idempotency-Key": new_id()}
            for expected in (201, 200):
                reply = await api.http.post("/v1/jobs", json=given, headers=headers)
                assert reply.status_code == expected, reply.text
            job = reply.json()
            result = await api.result(job)
            seen.append(result)
            log = await api.log(job)
            assert log.count("***") == 4, log
            for path in ("", "/outputs", "/stream"):
                reply = await api.http.get(f"/v1/jobs/{job['id']}{path}")
                seen.append(reply.text)
    succeeded, failed = [each for each in seen if isinstance(each, dict)]
    assert succeeded["result"] == hashlib.sha256(secret.encode()).hexdigest()
    assert failed["problem"]["detail"] == "ValueError: refused: https://host/?token=***"
    assert "token=***" in failed["problem"]["traceback"]
    logs = [process.logged() for process in composition.processes.values()]
    assert secret not in repr(seen) + "".join(logs)
    assert secret.encode() not in b"".join(messages)
    assert b"careless: ***" in b"".join(messages) or "standalone" in composition.processes
    dump = await asyncio.to_thread(stored, composition, mongo_server)
    assert b"careless: ***" in dump or "standalone" in composition.processes
    assert secret.encode() not in dump


@asynccontextmanager
async def overheard(rabbit: RabbitNode, composition: Composition) -> AsyncIterator[list[bytes]]:
    """Yield what goes over the broker meanwhile; in one process there is none."""
    messages: list[bytes] = []
    if "standalone" in composition.processes:
        yield messages
        return
    async with await aio_pika.connect(rabbit.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        for exchange in Exchange:
            await queue.bind(exchange.value, "#")
        yield messages
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            messages.append(message.body)


def stored(composition: Composition, mongo: MongoServer) -> bytes:
    """Return all that the databases hold, or, of one process, all its files."""
    if "standalone" in composition.processes:
        argv = composition.processes["standalone"].argv
        directory = Path(argv[argv.index("--data") + 1])
        return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    with pymongo.MongoClient[dict[str, Any]](mongo.url) as client:
        databases = [client[name] for name in client.list_database_names()]
        collections = [base[name] for base in databases for name in base.list_collection_names()]
        return b"".join(bson.encode(document) for each in collections for document in each.find())
