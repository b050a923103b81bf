"""Slots, duplicates, cancel, drain, heartbeats, lost zygotes, leftovers."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from qrt_contracts.events import DrainExecutor, RunningAttempt
from qrt_contracts.ids import new_id
from qrt_contracts.values import Isolation
from tests.integration.executor.rig import Rig, alive, body, rig, zygotes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SLEEP = body("print('up', flush=True)", "import time", "time.sleep(1000)")


async def test_a_running_attempt_is_in_the_heartbeat_until_its_end_is_reported(executor: Rig) -> None:
    order, told = await executor.begin(SLEEP)
    mine = RunningAttempt(job_id=order.job_id, attempt=1)
    await wait_until(lambda: mine in executor.beat.running, description="the attempt in a heartbeat")
    await executor.cancel(order)
    await executor.end_of(told)
    await wait_until(lambda: mine not in executor.beat.running, description="its absence")


async def test_a_cancelled_attempt_ends_as_cancelled_with_its_log(executor: Rig) -> None:
    order, told = await executor.begin(SLEEP)
    await wait_until(lambda: told.log == "up\n", description="the program runs")
    await executor.cancel(order)
    await executor.end_of(told)
    assert told.end.end == "cancelled"
    assert told.code == "Cancelled"
    assert told.log == "up\n"


async def test_a_cancel_before_the_program_runs_is_not_forgotten(executor: Rig) -> None:
    order, told = await executor.begin(SLEEP)
    await executor.cancel(order)
    await executor.end_of(told)
    assert told.end.end == "cancelled"


async def test_a_repeated_order_is_run_once(executor: Rig) -> None:
    order, told = await executor.begin(
        body("userpub.publish('once')", "import time", "time.sleep(0.3)", "return 1")
    )
    await executor.send(order)
    await executor.end_of(told)
    assert told.interim == ["once"]


async def test_a_drained_executor_lets_attempts_end_and_takes_none_until_it_is_told_to(executor: Rig) -> None:
    def order(draining: bool) -> DrainExecutor:
        beat = executor.beat
        return DrainExecutor(executor=beat.executor, incarnation=beat.incarnation, draining=draining)

    _, running = await executor.begin(body("import time", "time.sleep(0.5)", "return 1"))
    try:
        await executor.bus.publish(order(True), mandatory=True)
        await wait_until(lambda: executor.beat.draining, description="it says that it drains")
        assert executor.beat.slots == 0
        refused = await executor.run(body("return 2"))
        assert (refused.end.end, refused.detail) == ("refused", "the executor is drained")
        assert (await executor.end_of(running)).result == "1"
    finally:
        await executor.bus.publish(order(False), mandatory=True)
    await wait_until(lambda: executor.beat.slots > 0, description="it takes attempts again")
    assert not executor.beat.draining
    assert (await executor.run(body("return 3"))).result == "3"


async def test_an_order_repeated_after_its_end_is_not_run_again(executor: Rig) -> None:
    order, told = await executor.begin(body("userpub.publish('once')", "return 1"))
    await executor.end_of(told)
    await executor.send(order)
    assert (await executor.run(body("return 2"))).result == "2"
    await wait_until(lambda: not executor.beat.running, description="a heartbeat with nothing to run")
    assert told.interim == ["once"]


async def test_work_beyond_the_slots_is_refused(executor: Rig) -> None:
    running = [await executor.begin(SLEEP) for _ in range(executor.settings.slots)]
    refused = await executor.run(body("return 1"))
    assert refused.end.end == "refused"
    assert refused.detail == "the executor has no free slot"
    for order, _ in running:
        await executor.cancel(order)
    for _, told in running:
        await executor.end_of(told)


async def test_attempts_run_at_the_same_time(executor: Rig) -> None:
    pair = await asyncio.gather(*(executor.run(body("return 1")) for _ in range(2)))
    assert [told.result for told in pair] == ["1", "1"]


def daemons(marker: str, last: str) -> str:
    """Return a program that starts daemons whose command line is `marker`, in sessions of their own."""
    return body(
        "import os, time",
        "for _ in range(3):",
        "    if os.fork() == 0:",
        "        try: os.setsid()",
        "        except PermissionError: pass  # at level landlock",
        "        if os.fork() == 0:",
        "            os.closerange(0, 64)",
        f"            os.execv('/bin/sleep', ['{marker}', '1000'])",
        "        os._exit(0)",
        "    os.wait()",
        "time.sleep(0.2)",
        "print('up', flush=True)",
        last,
    )


async def test_daemons_are_dead_when_the_end_is_reported(executor: Rig) -> None:
    marker = f"qrt-daemon-{new_id()}"
    _, told = await executor.begin(daemons(marker, "time.sleep(0.5)"))
    await wait_until(lambda: len(alive(marker)) == 3, description="the daemons live")
    await executor.end_of(told)
    assert told.end.end == "succeeded"
    assert alive(marker) == []


async def test_a_killed_tree_is_dead_when_the_end_is_reported(executor: Rig) -> None:
    marker = f"qrt-daemon-{new_id()}"
    order, told = await executor.begin(daemons(marker, "time.sleep(1000)"))
    await wait_until(lambda: told.log == "up\n", description="the program runs")
    assert len(alive(marker)) == 3
    await executor.cancel(order)
    await executor.end_of(told)
    assert alive(marker) == []


async def test_a_zygote_that_dies_is_replaced_and_its_attempts_go_back_to_the_queue(
    mongo_url: str, scratch: Path, level: Isolation
) -> None:
    async with rig(mongo_url, scratch, level=level, name="zygoteless") as own:
        _, told = await own.begin(SLEEP)
        await wait_until(lambda: told.log == "up\n", description="the program runs")
        for pid in zygotes(os.getpid(), newest=True):
            os.kill(pid, signal.SIGKILL)
        await own.end_of(told)
        assert told.end.end == "refused"
        await wait_until(
            lambda: own.beats[-1].slots > 0 and not own.beats[-1].running,
            description="a new zygote",
            seconds=30,
        )
        again = await own.run(body("return 1"))
        assert again.end.end in ("succeeded", "refused")


async def test_an_executor_that_stops_gives_running_work_back_and_says_goodbye(
    mongo_url: str, scratch: Path, level: Isolation
) -> None:
    async with rig(mongo_url, scratch, level=level, name="leaver") as own:
        _, told = await own.begin(SLEEP)
        await wait_until(lambda: told.log == "up\n", description="the program runs")
        own.stop.set()
        await wait_until(lambda: own.beat.draining, description="it says that it drains")
        late = await own.run(body("return 1"))
        assert late.end.end == "refused"
        await own.end_of(told)
        assert told.end.end == "refused"
        await wait_until(lambda: own.beat.leaving, description="the last heartbeat")
        assert own.beat.slots == 0


async def test_an_executor_that_stops_lets_short_work_end(
    mongo_url: str, scratch: Path, level: Isolation
) -> None:
    async with rig(mongo_url, scratch, level=level, name="finisher", drain_seconds=10) as own:
        _, told = await own.begin(body("print('up', flush=True)", "import time", "time.sleep(1)", "return 1"))
        await wait_until(lambda: told.log == "up\n", description="the program runs")
        own.stop.set()
        await own.end_of(told)
        assert told.end.end == "succeeded"
