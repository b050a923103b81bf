"""The short form, in a process of its own: it adopts whatever its services leave behind."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support import mongo, rabbit
from tests.support.engines import require

ROOT = Path(__file__).parents[2]
SEED = os.environ.get("QRT_CHAOS_SEED", "5")


@pytest.mark.timeout(600)
async def test_nothing_is_lost_doubled_wrong_or_left_over_whatever_dies() -> None:
    require(rabbit.find_server(), what="rabbitmq-server")
    require(mongo.find_server(), what="the embedded Mongo server")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos", "--brief", "--jobs", "60", "--seed", SEED),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()
    text = output.decode()
    verdict = json.loads(text.splitlines()[-1])
    wrong = {name: count for name, count in verdict.items() if name not in ("seed", "faults", "jobs")}
    assert not any(wrong.values()), text
    assert verdict["jobs"] == 60, text
