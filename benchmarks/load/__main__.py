"""`python -m benchmarks.load URL`: put a load on an installation; the last line is one JSON object."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import ClientError

from benchmarks.load import report
from benchmarks.load.account import Owner, owners
from benchmarks.load.arrivals import Arrival, arrivals
from benchmarks.load.jobs import fire
from benchmarks.load.listeners import listening
from benchmarks.load.programs import SOURCES
from benchmarks.load.report import Sample

MIX = "hello=70,sleep=10,logs=15,uploads=5"


def mix_of(text: str) -> dict[str, float]:
    """Return the shares of the kinds from `kind=share,...`.

    Raises:
        argparse.ArgumentTypeError: there is no such kind, or a share is not above 0.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        kind, _, share = part.partition("=")
        try:
            found[kind.strip()] = float(share)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not kind=share") from None
    wrong = [kind for kind, share in found.items() if kind not in SOURCES or not 0 < share < float("inf")]
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r}: give shares above 0 of {', '.join(SOURCES)}")
    return found


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("give a number above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("give a whole number, 0 or more")
    return value


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    add = parser.add_argument
    add(
        "url",
        type=lambda text: text.rstrip("/"),
        help="where a gateway is, such as https://runtime.example.org",
    )
    add("--token", action="append", help="an owner's token; may be repeated; by default $QUAFU_RUNTIME_TOKEN")
    add(
        "--owners",
        type=_count,
        default=0,
        metavar="N",
        help="further owners, made with an administrator's token",
    )
    add("--rate", type=_positive, default=5.0, help="jobs a second, on average (5)")
    add("--seconds", type=_positive, default=30.0, help="how long they come (30)")
    add("--mix", type=mix_of, default=mix_of(MIX), help=f"shares of the kinds ({MIX})")
    add(
        "--listeners",
        type=_count,
        default=0,
        metavar="N",
        help="WebSockets on a job that publishes; it takes a slot",
    )
    add("--drain", type=_positive, default=60.0, help="seconds to wait for ends after the last arrival (60)")
    add(
        "--most",
        type=_count,
        default=10_000,
        help="jobs under way at most; beyond it they are not sent (10000)",
    )
    add("--seed", type=int, default=1, help="the same seed, the same arrivals (1)")
    add("--keep", action="store_true", help="leave jobs and programs there")
    given = parser.parse_args(argv)
    given.token = given.token or [each for each in [os.environ.get("QUAFU_RUNTIME_TOKEN")] if each]
    if not given.token:
        parser.error("give --token or set QUAFU_RUNTIME_TOKEN")
    return given


async def run(given: argparse.Namespace) -> dict[str, Any]:
    """Put the load on, wait for its ends, and return what came of it."""
    kinds = [*given.mix, *(["ticker"] if given.listeners else [])]
    async with owners(given.url, given.token, more=given.owners, kinds=kinds, keep=given.keep) as found:
        plan = arrivals(
            rate=given.rate, seconds=given.seconds, mix=given.mix, owners=len(found), seed=given.seed
        )
        async with listening(found[0], given.listeners) as heard:
            samples = await _send(plan, found, most=given.most, drain=given.drain)
        until = time.monotonic()
        summed = report.summary(samples, until=until, seconds=given.seconds)
    return summed | {"owners": len(found), "seed": given.seed, "listening": heard.summary()}


async def _send(plan: Iterable[Arrival], found: Sequence[Owner], *, most: int, drain: float) -> list[Sample]:
    """Send each arrival at its time, whatever has become of those before."""
    samples: list[Sample] = []
    under_way: set[asyncio.Task[None]] = set()
    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, arrival in enumerate(plan):
            sample = Sample(arrival.kind, start + arrival.at)
            samples.append(sample)
            await asyncio.sleep(max(0.0, sample.scheduled - time.monotonic()))
            if len(under_way) >= most:
                sample.outcome = "not_sent"
                continue
            task = group.create_task(fire(sample, found[arrival.owner], number=number))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.wait(set(under_way), timeout=drain)
        for task in set(under_way):
            task.cancel()
    return samples


def main() -> None:
    """Run and report; exit code 1 if anything failed, was refused or did not end."""
    given = parsed()
    try:
        found = asyncio.run(run(given))
    except (ClientError, OSError) as error:
        sys.exit(f"{given.url} does not answer as it should: {error}")
    print(report.table(found))
    if given.listeners:
        print(f"listeners: {found['listening']}")
    print(json.dumps(found))
    sys.exit(found["succeeded"] != found["arrivals"])


if __name__ == "__main__":
    main()
