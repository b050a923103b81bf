"""What both transports of the bus promise: request and reply."""

import asyncio
import logging
from datetime import timedelta

import pytest

from qrt_chassis.bus.port import Bus
from qrt_chassis.logging import bind, bound
from qrt_contracts.faults import (
    FieldError,
    NameTaken,
    RuntimeFault,
    Unavailable,
)
from tests.contract.messages import Add, AddAnew, Sum
from tests.contract.transports import Transport, fresh
from tests.support.waiting import wait_until


async def add(command: Add) -> Sum:
    return Sum(total=command.left + command.right)


async def test_a_command_is_answered(bus: Bus) -> None:
    service = fresh("s")
    await bus.serve(service, {Add: add})
    assert await bus.request(Add(to=service, left=2, right=3)) == Sum(total=5)


async def test_many_commands_at_once_get_each_its_own_answer(transport: Transport) -> None:
    service, caller = fresh("s"), await transport.open()
    for _ in range(2):
        await (await transport.open()).serve(service, {Add: add}, concurrency=4)
    answers = await asyncio.gather(*(caller.request(Add(to=service, left=n)) for n in range(200)))
    assert [answer.total for answer in answers] == list(range(200))


async def test_commands_are_carried_out_side_by_side(bus: Bus) -> None:
    service, both = fresh("s"), asyncio.Barrier(2)

    async def meet(command: Add) -> Sum:
        await both.wait()
        return await add(command)

    await bus.serve(service, {Add: meet}, concurrency=2)
    await asyncio.gather(*(bus.request(Add(to=service)) for _ in range(2)))


async def test_a_fault_comes_back_as_its_own_class_with_all_it_says(bus: Bus) -> None:
    service = fresh("s")

    async def refuse(_: Add) -> Sum:
        raise NameTaken(
            "there is one",
            field="name",
            errors=(FieldError(pointer="/name", detail="taken"),),
            retry_after_seconds=1.5,
        )

    await bus.serve(service, {Add: refuse})
    with pytest.raises(NameTaken, match="there is one") as caught:
        await bus.request(Add(to=service))
    assert caught.value.field == "name"
    assert caught.value.errors == (FieldError(pointer="/name", detail="taken"),)
    assert caught.value.retry_after_seconds == 1.5


async def test_an_unforeseen_error_is_logged_and_answered_without_its_details(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    service = fresh("s")

    async def fail(_: Add) -> Sum:
        raise ValueError("password=hunter2")

    await bus.serve(service, {Add: fail})
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeFault) as caught:
        await bus.request(Add(to=service))
    assert caught.value.code == "Internal"
    assert "hunter2" not in str(caught.value)
    assert "hunter2" in caplog.text


async def test_a_store_that_is_away_is_answered_as_unavailable(bus: Bus) -> None:
    service = fresh("s")

    async def fail(_: Add) -> Sum:
        raise ConnectionError("no database")

    await bus.serve(service, {Add: fail})
    with pytest.raises(Unavailable, match="does not answer at present"):
        await bus.request(Add(to=service))


async def test_a_command_of_another_release_can_be_sent_again(bus: Bus) -> None:
    """While releases are rolled, another replica may know it."""
    service = fresh("s")
    await bus.serve(service, {Add: add})
    with pytest.raises(Unavailable, match=r"another release.*test\.add.* v2"):
        await bus.request(AddAnew(to=service))
    assert await bus.request(Add(to=service, left=1)) == Sum(total=1)


async def test_nobody_serving_is_unavailable_at_the_deadline(bus: Bus) -> None:
    with pytest.raises(Unavailable):
        await bus.request(Add(to=fresh("nobody")), deadline=timedelta(seconds=0.3))


async def test_a_command_waits_for_a_service_that_is_still_starting(transport: Transport) -> None:
    service = fresh("s")
    caller, server = await transport.open(), await transport.open()
    asking = asyncio.create_task(caller.request(Add(to=service, left=1)))
    await asyncio.sleep(0.1)  # long enough to have been turned away once
    assert not asking.done()
    await server.serve(service, {Add: add})
    assert await asking == Sum(total=1)


async def test_no_answer_in_time_is_unavailable(bus: Bus) -> None:
    service, gate = fresh("s"), asyncio.Event()

    async def wait(command: Add) -> Sum:
        await gate.wait()
        return await add(command)

    await bus.serve(service, {Add: wait})
    with pytest.raises(Unavailable):
        await bus.request(Add(to=service), deadline=timedelta(seconds=0.3))
    gate.set()
    assert await bus.request(Add(to=service, left=4)) == Sum(total=4)


async def test_a_command_whose_caller_has_given_up_is_skipped(bus: Bus) -> None:
    service, gate, carried_out = fresh("s"), asyncio.Event(), list[int]()

    async def wait(command: Add) -> Sum:
        carried_out.append(command.left)
        if command.left == 1:
            await gate.wait()
        return await add(command)

    await bus.serve(service, {Add: wait}, concurrency=1)
    blocked = asyncio.create_task(bus.request(Add(to=service, left=1)))
    await wait_until(lambda: carried_out == [1], description="the first is being carried out")
    with pytest.raises(Unavailable):
        await bus.request(Add(to=service, left=2), deadline=timedelta(seconds=0.2))
    with pytest.raises(Unavailable):  # a server counts from a command's arrival: well past its end by now
        await bus.request(Add(to=service, left=4), deadline=timedelta(seconds=1))
    gate.set()
    await blocked
    assert await bus.request(Add(to=service, left=3)) == Sum(total=3)
    assert 2 not in carried_out


async def test_a_cancelled_service_finishes_what_it_has_begun(bus: Bus) -> None:
    service, started, gate = fresh("s"), asyncio.Event(), asyncio.Event()

    async def wait(command: Add) -> Sum:
        started.set()
        await gate.wait()
        return await add(command)

    served = await bus.serve(service, {Add: wait})
    asking = asyncio.create_task(bus.request(Add(to=service, left=9)))
    await asyncio.wait_for(started.wait(), 10)
    ending = asyncio.create_task(served.cancel())
    gate.set()
    await asyncio.wait_for(ending, 10)
    assert await asking == Sum(total=9)


async def test_the_request_id_of_the_caller_is_bound_in_the_service(bus: Bus) -> None:
    service, seen = fresh("s"), list[object]()

    async def note(command: Add) -> Sum:
        seen.append(bound("request_id"))
        return await add(command)

    await bus.serve(service, {Add: note})
    with bind(request_id="r-2"):
        await bus.request(Add(to=service))
    assert seen == ["r-2"]


async def test_a_service_can_ask_another_while_it_answers(transport: Transport) -> None:
    front, back = fresh("s"), fresh("s")
    bus = await transport.open()

    async def ask(command: Add) -> Sum:
        return await bus.request(Add(to=back, left=command.left, right=1))

    await bus.serve(back, {Add: add})
    await bus.serve(front, {Add: ask}, concurrency=1)
    assert await bus.request(Add(to=front, left=1)) == Sum(total=2)
