"""What the dispatcher tells one executor. Orders may be repeated: an executor takes each attempt once."""

import logging
from enum import Enum

from qrt_chassis.bus.port import Bus, Undeliverable
from qrt_chassis.passing import is_passing
from qrt_contracts.events import CancelAttempt, RunAttempt
from qrt_contracts.jobs import Job
from qrt_scheduler.domain.fleet import Lease

log = logging.getLogger(__name__)


class Sent(Enum):
    """What became of an order."""

    TAKEN = "taken"
    """It is in the executor's queue."""
    UNKNOWN = "unknown"
    """It may have arrived or not; the executor's heartbeats will tell."""
    NOBODY = "nobody"
    """It certainly reached nobody: the executor has no queue."""


class Orders:
    """Sends orders."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def run(self, lease: Lease, job: Job) -> Sent:
        """Order the attempt of a lease."""
        order = RunAttempt(
            executor=lease.executor,
            incarnation=lease.incarnation,
            job_id=job.id,
            attempt=job.attempt,
            owner=job.owner,
            run=job.run,
            input=job.input,
            confidential=job.confidential,
        )
        return await self._send(order)

    async def cancel(self, executor: str, incarnation: str, job_id: str, attempt: int) -> None:
        """Order the end of an attempt; repeated at each heartbeat that still lists it."""
        await self._send(
            CancelAttempt(executor=executor, incarnation=incarnation, job_id=job_id, attempt=attempt)
        )

    async def _send(self, order: RunAttempt | CancelAttempt) -> Sent:
        try:
            await self._bus.publish(order, mandatory=True)
        except Undeliverable:
            return Sent.NOBODY
        except Exception as error:
            if not is_passing(error):
                raise
            ids = {"job_id": order.job_id, "attempt": order.attempt}
            log.warning("%s may not have arrived: %s", order.schema_name, error, extra=ids)
            return Sent.UNKNOWN
        return Sent.TAKEN
