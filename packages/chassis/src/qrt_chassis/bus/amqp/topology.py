"""What exists on the broker: exchanges, queues, bindings; all declared by whoever uses them.

A durable queue `q` is a quorum queue with two ways into its dead letter queue `q.dead`: consumers
put there what they cannot handle, and the broker puts there what came back more often than
`CRASHES_ALLOWED` beyond `max_deliveries`: the processes that were given it died. The latter goes
through a headers exchange, so that messages that merely expire are not kept as dead letters.
"""

from collections.abc import Iterable

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractQueue
from pamqp.common import FieldTable

from qrt_chassis.bus.letters import DEAD_CAPACITY
from qrt_chassis.bus.port import Subscription
from qrt_contracts.message import Exchange

DEAD_EXCHANGE = "qrt.dead"

CRASHES_ALLOWED = 10
"""Deliveries that may come back unacknowledged (a crash, a cut connection) before the broker gives up."""

BROKER_GAVE_UP = "delivery_limit"


async def declare_exchanges(channel: AbstractChannel) -> None:
    """Declare the exchange of each kind of traffic, and the one for dead letters."""
    for exchange in Exchange:
        await channel.declare_exchange(exchange, ExchangeType.TOPIC, durable=True)
    await channel.declare_exchange(DEAD_EXCHANGE, ExchangeType.HEADERS, durable=True)


async def declare_queue(
    channel: AbstractChannel, subscription: Subscription, bindings: Iterable[tuple[Exchange, str]]
) -> AbstractQueue:
    """Declare a subscription's queue, its dead letter queue and its bindings."""
    await _declare_dead(channel, subscription)
    if subscription.durable:
        queue = await channel.declare_queue(
            subscription.queue, durable=True, arguments=_quorum_arguments(subscription)
        )
    else:
        limit: FieldTable = (
            {} if subscription.max_length is None else {"x-max-length": subscription.max_length}
        )
        queue = await channel.declare_queue(
            subscription.queue, durable=False, exclusive=True, auto_delete=True, arguments=limit
        )
    for exchange, pattern in bindings:
        await queue.bind(exchange, pattern)
    return queue


async def declare_commands(channel: AbstractChannel, name: str) -> AbstractQueue:
    """Declare the queue of a service's commands.

    A classic queue: its messages are worth nothing once their callers have stopped waiting, so
    they are neither replicated nor written to disk, and expire.
    """
    queue = await channel.declare_queue(name, durable=True)
    await queue.bind(Exchange.COMMANDS, name)
    return queue


def _quorum_arguments(subscription: Subscription) -> FieldTable:
    arguments: FieldTable = {
        "x-queue-type": "quorum",
        "x-delivery-limit": subscription.max_deliveries + CRASHES_ALLOWED,
        "x-dead-letter-exchange": DEAD_EXCHANGE,
    }
    if subscription.single_active:
        arguments["x-single-active-consumer"] = True
    return arguments


async def _declare_dead(channel: AbstractChannel, subscription: Subscription) -> None:
    arguments: FieldTable = {
        "x-queue-type": "quorum",
        "x-max-length": DEAD_CAPACITY,
        "x-overflow": "drop-head",
        # Looking at letters returns them: that must never be what removes one.
        "x-delivery-limit": 1_000_000,
    }
    dead = await channel.declare_queue(subscription.dead_queue, durable=True, arguments=arguments)
    if subscription.durable:
        # `all-with-x`: the headers matched here begin with x-, which plain `all` passes over.
        match: FieldTable = {
            "x-match": "all-with-x",
            "x-first-death-queue": subscription.queue,
            "x-first-death-reason": BROKER_GAVE_UP,
        }
        await dead.bind(DEAD_EXCHANGE, "", arguments=match)
