"""`python -m qrt_chassis list|replay QUEUE.dead`: the dead letters of a broker.

The broker is that of the environment variable QRT_BUS_URL. One JSON object a letter.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import sys

from qrt_chassis.bus.amqp.dead import list_dead, replay_dead
from qrt_chassis.settings import BusSettings, SettingsError, load


async def _run(arguments: argparse.Namespace, settings: BusSettings) -> None:
    if arguments.action == "replay":
        wanted = arguments.message
        sent = await replay_dead(
            settings,
            arguments.queue,
            chosen=lambda letter: wanted is None or letter.message_id == wanted,
            limit=arguments.limit,
        )
        print(sent, "sent back")
        return
    for letter in await list_dead(settings, arguments.queue, limit=arguments.limit):
        shown = dataclasses.asdict(letter) | {"body": letter.body.decode(errors="replace")}
        print(json.dumps(shown, default=str))


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m qrt_chassis", description=__doc__)
    parser.add_argument("action", choices=["list", "replay"])
    parser.add_argument("queue", help="a dead letter queue, such as scheduler.dispatch.dead")
    parser.add_argument("--limit", type=int, default=100, help="letters looked at, oldest first")
    parser.add_argument("--message", metavar="ID", help="replay: only the letter with this message_id")
    arguments = parser.parse_args()
    try:
        asyncio.run(_run(arguments, load(BusSettings, os.environ, prefix="QRT_BUS_")))
    except (SettingsError, ConnectionError, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
