"""What the executor tells a parked process to run, and what every kind of program does with it."""

import asyncio
import contextlib
import inspect
import json
import socket
import sys
from dataclasses import dataclass
from typing import Any

from qrt_runner import frames, system
from qrt_runner.failures import Failure


@dataclass(frozen=True)
class Order:
    """What the executor has told this process to run."""

    settings: dict[str, Any]
    source: bytes
    input: bytes


def receive_order(channel: socket.socket) -> Order:
    """Wait, parked, for the three frames that start a run. Raises EOFError if none will come."""
    wanted = (frames.Frame.START, frames.Frame.SOURCE, frames.Frame.INPUT)
    payloads: list[bytes] = []
    for frame in wanted:
        kind, payload = frames.receive(channel)
        if kind != frame:
            raise EOFError(f"frame {kind} in place of {frame}")
        payloads.append(payload)
    return Order(settings=json.loads(payloads[0]), source=payloads[1], input=payloads[2])


def awaited(value: Any) -> Any:
    """Return what `run` has returned; of an `async def run`, what it returns in the end."""
    if not inspect.isawaitable(value):
        return value
    awaitable = value

    async def main() -> Any:
        return await awaitable

    return asyncio.run(main())


def within_limit(result: bytes, order: Order) -> bytes:
    """Return a result that is not too large. Raises Failure."""
    limit = order.settings["result_bytes"]
    if len(result) > limit:
        raise Failure(
            "OutputLimitExceeded", f"the result has {len(result)} bytes; the limit is {limit} bytes"
        )
    return result


def flush() -> None:
    """Write out what the program has printed and its libraries still hold."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(BaseException):
            stream.flush()  # type: ignore[union-attr]
    system.flush_c_streams()
