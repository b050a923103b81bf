"""How services run, say how they are, and end."""

import asyncio
import logging
import os
import signal
import sys
from datetime import timedelta

import httpx
import pytest

from qrt_chassis.health import Health, health_app
from qrt_chassis.lifecycle import Service, serve
from qrt_chassis.settings import HealthSettings
from tests.support.processes import free_port
from tests.support.waiting import wait_until

OFF = HealthSettings(port=0)


async def for_ever() -> None:
    await asyncio.Event().wait()


async def answers() -> None:
    return None


async def is_away() -> None:
    raise ConnectionError("away")


def client(health: Health) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(health_app(health)), base_url="http://health")


async def test_a_loop_that_dies_is_logged_and_started_again(caplog: pytest.LogCaptureFixture) -> None:
    starts, stop = 0, asyncio.Event()

    async def dies_at_first() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise ValueError("tripped")
        await for_ever()

    service = Service(name="s", loops={"sweep": dies_at_first})
    running = asyncio.create_task(serve([service], health=OFF, stop=stop))
    await wait_until(lambda: starts == 2, description="the second start")
    stop.set()
    await running
    assert "tripped" in caplog.text
    assert "sweep" in caplog.text


async def test_the_end_comes_in_order_drain_then_loops(caplog: pytest.LogCaptureFixture) -> None:
    events, stop = list[str](), asyncio.Event()

    async def loop() -> None:
        try:
            await for_ever()
        finally:
            events.append("loop ended")

    async def drain() -> None:
        events.append("drained")

    running = asyncio.create_task(
        serve([Service(name="s", loops={"l": loop}, drain=drain)], health=OFF, stop=stop)
    )
    await asyncio.sleep(0)
    assert events == []
    stop.set()
    with caplog.at_level(logging.INFO):
        await running
    assert events == ["drained", "loop ended"]


async def test_a_drain_that_hangs_or_fails_does_not_keep_the_process() -> None:
    stop = asyncio.Event()
    stop.set()
    services = [Service(name="a", drain=for_ever), Service(name="b", drain=is_away)]
    await asyncio.wait_for(serve(services, health=OFF, stop=stop, grace=timedelta(seconds=0.05)), timeout=10)


async def test_the_endpoints_are_served_while_running_and_not_ready_while_draining() -> None:
    stop, draining, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def drain() -> None:
        draining.set()
        await go_on.wait()

    health = HealthSettings(port=free_port())
    service = Service(name="s", loops={"l": for_ever}, pings={"bus": answers}, drain=drain)
    running = asyncio.create_task(serve([service], health=health, stop=stop))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{health.port}", trust_env=False) as http:

        async def ready() -> bool:
            try:
                return (await http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await wait_until(ready, description="ready")
        assert (await http.get("/livez")).status_code == 200
        stop.set()
        await draining.wait()
        assert (await http.get("/readyz")).status_code == 503
        go_on.set()
        await running
        with pytest.raises(httpx.TransportError):
            await http.get("/livez")


async def test_a_taken_port_stops_the_start() -> None:
    health = HealthSettings(port=free_port())
    taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", health.port)
    async with taken:
        with pytest.raises(OSError, match="in use"):
            await serve([Service(name="s")], health=health, stop=asyncio.Event())


async def test_readiness_names_the_service_and_what_it_misses() -> None:
    health = Health({"gateway": {"bus": answers}, "registry": {"bus": answers, "mongo": is_away}})
    async with client(health) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "stopping": False, "missing": {"registry": ["mongo"]}}


async def test_a_ping_that_hangs_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrt_chassis.health.PING_SECONDS", 0.01)
    async with client(Health({"s": {"mongo": for_ever}})) as http:
        assert (await http.get("/readyz")).json()["missing"] == {"s": ["mongo"]}


async def test_metrics_are_prometheus_text() -> None:
    async with client(Health({})) as http:
        answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "qrt_bus_deliveries_total" in answer.text


PROGRAM = """
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from qrt_chassis.lifecycle import Service, run_main
from qrt_chassis.settings import HealthSettings, ServiceSettings

class Settings(ServiceSettings):
    health: HealthSettings = HealthSettings(port=0)

@asynccontextmanager
async def compose(settings: Settings) -> AsyncIterator[Service]:
    async def loop() -> None:
        print("up", flush=True)
        await asyncio.Event().wait()
    yield Service(name="some", loops={"loop": loop})
    print("released", flush=True)

run_main("some", Settings, "QRT_SOME_", compose)
"""


async def run_program(**environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM),
        env={"PATH": os.environ["PATH"], **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_ends_in_order_on_a_signal(number: signal.Signals) -> None:
    process = await run_program()
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"up\n"
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert out == b"released\n"
    assert process.returncode == 0
    assert b'"service": "some"' in err


async def test_a_process_with_bad_settings_exits_with_2_and_says_why() -> None:
    process = await run_program(QRT_SOME_HEALTH_PORT="http")
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert b"QRT_SOME_HEALTH_PORT='http'" in err
    assert b"Traceback" not in err


async def test_a_service_says_itself_how_long_its_draining_may_take() -> None:
    stop, began = asyncio.Event(), asyncio.Event()

    async def never() -> None:
        began.set()
        await asyncio.Event().wait()

    service = Service(name="slow", drain=never, grace=timedelta(milliseconds=50))
    stop.set()
    await asyncio.wait_for(serve([service], health=HealthSettings(port=0), stop=stop), 10)
    assert began.is_set()
