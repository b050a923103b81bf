"""A consumer whose handler ends its process: `python poisoned.py URL QUEUE TOPIC`."""

import asyncio
import os
import sys

from pydantic import SecretStr

from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import Subscription
from qrt_chassis.settings import BusSettings
from qrt_contracts.message import Exchange
from tests.contract.messages import Noted


async def handle(note: Noted) -> None:
    """Die of the poison."""
    if note.text == "poison":
        os._exit(9)


async def main(url: str, queue: str, topic: str) -> None:
    """Consume until something comes that ends it."""
    subscription = Subscription(
        queue=queue, bindings=((Exchange.EVENTS, topic),), max_deliveries=1, prefetch=1
    )
    async with open_bus(BusSettings(url=SecretStr(url)), name="poisoned") as bus:
        await bus.ping()
        await bus.subscribe(subscription, {Noted: handle})
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
