"""`python -m tests.chaos [--seed N] [--jobs N] [--faults N | --brief]`; exits with 1 if anything is wrong."""

import argparse
import asyncio
import json
import logging
import os
import random
import shutil
import signal
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.chaos import plan
from tests.chaos.client import Client, client
from tests.chaos.harm import Harm
from tests.chaos.load import Load
from tests.chaos.remains import remains
from tests.chaos.tap import Tap
from tests.chaos.verdict import Verdict, judge
from tests.chaos.world import World, adopt_orphans, leftover_processes, world
from tests.support.waiting import wait_until
from tests.system.composition import NOTEBOOK_TOKEN, OTHER_TOKEN, TOKEN

TOKENS = (TOKEN, OTHER_TOKEN, NOTEBOOK_TOKEN)
SECONDS_PER_FAULT = 3.5
ENDS_WITHIN = 240.0
"""After the last fault every job must end within this time."""
QUIET_WITHIN = 60.0


def say(text: str) -> None:
    """Print at once, with the time since the start."""
    sys.stdout.write(f"{time.monotonic() - _BEGAN:7.1f}  {text}\n")
    sys.stdout.flush()


_BEGAN = time.monotonic()


def parse(argv: list[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--brief", action="store_true", help="each main kind of fault once")
    parser.add_argument("--keep", type=Path, help="copy all logs here if anything is wrong")
    return parser.parse_args(argv)


logging.getLogger("aiormq").setLevel(logging.CRITICAL)
logging.getLogger("aio_pika").setLevel(logging.CRITICAL)


async def run(arguments: argparse.Namespace) -> int:
    """Do a run; return the exit code."""
    seed: int = arguments.seed
    harm = plan.faults(seed, None if arguments.brief else arguments.faults)
    work = plan.work(seed, arguments.jobs, owners=len(TOKENS), seconds=SECONDS_PER_FAULT * len(harm))
    say(f"seed {seed}: {len(work)} jobs, {len(harm)} faults")
    adopt_orphans()
    _end_on_sigterm()
    mine = os.getpid()
    async with world() as whole:
        say("all services run")
        verdict, load = await _torment(whole, harm, work, seed)
        if not verdict.clean and arguments.keep:
            _keep_logs(whole, arguments.keep)
        engines = {whole.rabbit.pid, whole.mongo.pid, whole.rabbit.mapper_pid, mine}
        for process in whole.all_processes():
            if (code := await process.stop(within=60)) != 0:
                verdict.leftovers.append(f"{process.log.stem} ended with {code}")
        left = leftover_processes(engines - {mine})
        verdict.leftovers += [f"process {pid}: {command}" for pid, command in left.items()]
    for line in verdict.lines():
        say(line)
    sys.stdout.write(json.dumps(_summary(seed, harm, load, verdict)) + "\n")
    return 0 if verdict.clean else 1


def _end_on_sigterm() -> None:
    """Let whoever stops this run stop its services, too."""
    mine = asyncio.current_task()
    assert mine is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, mine.cancel)


async def _torment(
    whole: World, harm: list[plan.Fault], work: list[plan.Work], seed: int
) -> tuple[Verdict, Load]:
    tap = Tap(whole.rabbit.url, seed)
    tapping = asyncio.create_task(tap.listen())
    try:
        async with AsyncExitStack() as stack:
            clients: list[Client] = [
                await stack.enter_async_context(client(whole.urls, token, f"{token} {seed}"))
                for token in TOKENS
            ]
            load = Load(clients, seed)
            owners = asyncio.create_task(load.run(work))
            try:
                await Harm(whole, tap, say).all(harm)
                say("no more faults")
                await asyncio.wait({owners}, timeout=ENDS_WITHIN)
                say(f"{sum(each.first_end is not None for each in load.accepted)} of {len(work)} jobs ended")
                if owners.done():
                    owners.result()
                verdict = await judge(load)
            finally:
                owners.cancel()
                await asyncio.gather(owners, return_exceptions=True)
            verdict.leftovers += await _left_when_quiet(whole, tap)
            answers = [each.refused for each in clients]
            say(f"attempts ended as {dict(verdict.attempts)}")
            say(f"{tap.repeated} messages repeated; answers to try again: {answers}")
            return verdict, load
    finally:
        tapping.cancel()
        await asyncio.gather(tapping, return_exceptions=True)


async def _left_when_quiet(whole: World, tap: Tap) -> list[str]:
    left: list[str] = ["nothing was looked at"]

    async def nothing() -> bool:
        nonlocal left
        left = await remains(whole, tap)
        return not left

    try:
        await wait_until(nothing, description="nothing to be left", seconds=QUIET_WITHIN)
    except AssertionError:
        return left
    return []


def _keep_logs(whole: World, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for log in whole.directory.glob("*.log"):
        shutil.copy(log, directory)


def _summary(seed: int, harm: list[plan.Fault], load: Load, verdict: Verdict) -> dict[str, int]:
    return {
        "seed": seed,
        "faults": len(harm),
        "jobs": len(load.accepted),
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "wrong": len(verdict.wrong),
        "gaps": len(verdict.gaps),
        "leftovers": len(verdict.leftovers),
    }


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parse(sys.argv[1:]))))
