"""Orders in, one use case each."""

from functools import partial

from qrt_chassis.bus.port import Handlers, Subscription
from qrt_contracts.events import (
    BuildVersion,
    CancelAttempt,
    DrainExecutor,
    RunAttempt,
    builds_queue,
    work_queue,
)
from qrt_contracts.message import Exchange
from qrt_contracts.values import ProgramKind
from qrt_executor.service.build_orders import BuildOrders
from qrt_executor.service.builds import AT_ONCE, Builds
from qrt_executor.service.executor import Executor, Identity


def subscription(identity: Identity) -> Subscription:
    """Return the queue of this incarnation: it goes away with it."""
    queue = work_queue(identity.name, identity.incarnation)
    return Subscription(queue=queue, bindings=((Exchange.WORK, queue),), durable=False)


def orders(executor: Executor, builds: BuildOrders) -> Handlers:
    """Return what to do with each order."""
    return {
        RunAttempt: partial(on_run_attempt, executor=executor),
        CancelAttempt: partial(on_cancel_attempt, executor=executor),
        DrainExecutor: partial(on_drain, executor=executor, builds=builds),
    }


async def on_run_attempt(order: RunAttempt, *, executor: Executor) -> None:
    """Accept an attempt. Safe to deliver more than once."""
    await executor.accept(order)


async def on_cancel_attempt(order: CancelAttempt, *, executor: Executor) -> None:
    """Cancel an attempt. Safe to deliver more than once."""
    await executor.cancel(order)


async def on_drain(order: DrainExecutor, *, executor: Executor, builds: BuildOrders) -> None:
    """Take no new attempts and builds, or take some again. Safe to deliver more than once."""
    executor.hold_off(order.draining)
    builds.hold_off(order.draining)


def builds_subscription(kind: ProgramKind) -> Subscription:
    """Return the queue of one kind of builds: all executors that take them share it."""
    queue = builds_queue(kind)
    return Subscription(
        queue=queue,
        bindings=((Exchange.WORK, queue),),
        concurrency=AT_ONCE,
        prefetch=AT_ONCE,
        max_deliveries=10,  # each executor that was stopped or died in the middle of it counts
    )


def build_orders(builds: Builds) -> Handlers:
    """Return what to do with an order to build."""
    return {BuildVersion: partial(on_build_version, builds=builds)}


async def on_build_version(order: BuildVersion, *, builds: Builds) -> None:
    """Build a version. Safe to deliver more than once."""
    await builds.build(order)
