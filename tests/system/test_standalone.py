"""The single-machine composition: what a kill and a restart leave, and what the first minute shows."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx

from qrt_standalone.settings import StandaloneSettings, own_token
from tests.system.client import Api
from tests.system.composition import TOKEN, standalone

SLOW_ONCE = """
import time


def run(task, userpub, params):
    userpub.publish("started")
    time.sleep(params)
    return params
"""


def client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=90)


async def test_everything_survives_a_kill_and_unfinished_jobs_run_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with standalone(data) as first, client(first.url) as http:
        api = Api(http)
        program = await api.upload(SLOW_ONCE, name="slow")
        done = await api.submit(program, 0)
        result = await api.result(done)
        outputs = await api.outputs(done)
        unfinished = [await api.submit(program, 3) for _ in range(4)]
        await api.until_running(unfinished[0])
        await first.processes["standalone"].kill()
    async with standalone(data) as second, client(second.url) as http:
        api = Api(http)
        assert (await http.get("/v1/programs", params={"name": "slow"})).json()["total"] == 1
        assert await api.result(done) == result
        assert await api.outputs(done) == outputs
        for job in unfinished:
            assert (await api.result(job))["status"] == "SUCCEEDED"
        assert len((await api.job(unfinished[0]))["attempts"]) == 2


async def test_a_second_runtime_on_the_same_data_is_refused_with_a_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with standalone(data):
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "qrt_standalone", "--data", str(data), "--port", "0"),
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        _, told = await asyncio.wait_for(second.communicate(), 60)
        assert second.returncode == 1
        assert "another runtime is using" in told.decode()


async def test_a_port_that_is_taken_is_named_and_nothing_else_is_printed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "qrt_standalone", "--data", str(tmp_path), "--port", str(port)),
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        _, told = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert f"cannot serve on 127.0.0.1:{port}" in told.decode()
    assert "Traceback" not in told.decode()


async def test_the_token_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    settings = StandaloneSettings(
        data=tmp_path,
        host="127.0.0.1",
        port=1,
        mongo_url=None,
        program_python=tmp_path,
        slots=None,
        log_level="INFO",
    )
    token = own_token(settings)
    assert own_token(settings) == token
    assert os.stat(settings.token_file).st_mode & 0o777 == 0o600


async def test_the_demo_shows_interim_results_and_results_and_exits(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qrt_standalone", "--demo", "--exit", "--temporary"),
        env=os.environ | {"HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 180)
    text = printed.decode()
    assert process.returncode == 0, text
    assert "Hello World!" in text
    assert text.count('"energy"') > 10
    assert text.count("result | {") == 2


async def test_ctrl_c_stops_a_serving_runtime_in_order(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qrt_standalone", "--data", str(tmp_path / "data"), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    async with asyncio.timeout(90):
        while b"Stop it with Ctrl-C" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        rest = await process.stdout.read()
        assert await process.wait() == 0
    assert b"Traceback" not in rest
