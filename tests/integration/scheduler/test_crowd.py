"""20,000 jobs of one owner in the queue."""

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.store import Store
from qrt_contracts.commands import GetJob
from qrt_contracts.ids import new_id
from qrt_contracts.states import JobState
from tests.integration.scheduler.conftest import PlayedExecutor, replica_on
from tests.support.waiting import wait_until
from tests.unit.scheduler.factories import queued

CROWD = 20_000
TOGETHER = 5_000


async def fill(store: Store) -> None:
    """Store the crowd's jobs as if they had been submitted; far quicker than submitting them."""
    jobs = store.database("scheduler")["jobs"]
    model = queued().model_dump(mode="json", exclude={"id"})
    for _ in range(CROWD // TOGETHER):
        await jobs.insert_many([model | {"_id": new_id()} for _ in range(TOGETHER)], ordered=False)


async def test_a_crowd_delays_another_owner_by_one_job_and_can_be_taken_over(
    bus: MemoryBus, store: Store
) -> None:
    async with replica_on(bus, store) as replica:
        await fill(store)
        executor = PlayedExecutor(bus, slots=1)
        await executor.join()
        await wait_until(lambda: bool(executor.orders), description="the take-over", seconds=120)
        memory = replica.dispatcher._memory
        assert memory
        assert len(memory.backlog) == CROWD - 1

        only = await replica.submit(owner="bob")
        await replica.dispatcher.save_snapshot(memory)
        place = (await bus.request(GetJob(caller="bob", job_id=only.id, place=True))).place
        assert place
        assert place.position <= 2
        await executor.finish(executor.orders[0])
        order = await executor.order(only.id)
        assert len(executor.orders) == 2
        await executor.finish(order)
        await replica.until(only.id, JobState.SUCCEEDED, owner="bob")

        async with replica_on(bus, store) as second:
            replica.dispatcher.forget()
            memory = await second.dispatcher._active()
            assert len(memory.backlog) + len(memory.fleet.leases) == CROWD - 1
            assert len(memory.fleet.leases) <= 1
