"""The health check of containers."""

import asyncio
import sys

from qrt_chassis.health import Health, health_server
from qrt_chassis.settings import HealthSettings
from tests.support.processes import free_port


async def asked(port: int) -> tuple[int | None, bytes]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qrt_chassis.ready", str(port)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, output


async def test_a_ready_service_is_told_from_one_that_stops_and_from_none() -> None:
    port, health = free_port(), Health({"some": {}})
    async with health_server(HealthSettings(port=port), health):
        assert await asked(port) == (0, b'{"ready":true,"stopping":false,"missing":{}}\n')
        health.stopping = True
        assert await asked(port) == (1, b'{"ready":false,"stopping":true,"missing":{}}\n')
    code, output = await asked(port)
    assert (code, b"refused" in output) == (1, True)
