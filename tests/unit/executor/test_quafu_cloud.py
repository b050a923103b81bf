"""The adapter of the Quafu cloud against a stand-in of its HTTP interface, faults included."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from qrt_executor.adapters.backends.quafu_cloud import QuafuCloud
from qrt_executor.ports import Backend, CircuitOrder, CircuitRefused
from tests.support.quafu_cloud import CHIP, TOKEN, QuafuStandIn
from tests.support.waiting import wait_until

pytestmark = pytest.mark.quafu

QASM = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg meas[2];\nh q[0];\ncx q[0],q[1];\n'
QASM += "measure q[0] -> meas[0];\nmeasure q[1] -> meas[1];\n"


@dataclass
class World:
    """The adapter and what it speaks to."""

    cloud: QuafuCloud
    there: QuafuStandIn

    async def device(self, name: str = "ScQ-P10", *, token: str = TOKEN) -> Backend:
        return (await self.cloud.backends(token))[name]

    async def outcome(self, order: CircuitOrder, name: str = "ScQ-P10") -> Mapping[str, int] | CircuitRefused:
        bench = await (await self.device(name)).open(seed=None)
        (outcome,) = await bench.run([order])
        return outcome


def order(**changes: Any) -> CircuitOrder:
    fields: dict[str, Any] = {"qasm": QASM, "qubits": 2, "shots": 100, "gates": frozenset({"h", "cx"})}
    return CircuitOrder(**(fields | changes))


@asynccontextmanager
async def reaching(there: QuafuStandIn, **settings: Any) -> AsyncIterator[World]:
    transport = httpx.ASGITransport(there.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as http:
        values = {"token": None, "wait_seconds": 60.0, "pauses": (0.0, 0.0), "poll_seconds": (0.0, 0.0)}
        yield World(QuafuCloud(http, "http://cloud/", **(values | settings)), there)


def refusal(outcome: object) -> CircuitRefused:
    assert isinstance(outcome, CircuitRefused)
    assert TOKEN not in outcome.detail
    return outcome


async def test_devices_are_told_as_the_service_tells_them() -> None:
    async with reaching(QuafuStandIn()) as world:
        await world.device()
        told = [(each.name, each.qubits, each.status, each.queue) for each in world.cloud.known]
    assert told == [
        ("ScQ-P10", 10, "online", 3),
        ("ScQ-P136", 136, "offline", 0),
        ("ScQ-S41", 41, "online", 12),
    ]
    assert "cx" in world.cloud.known[0].gates


async def test_a_circuit_is_handed_in_asked_for_and_read() -> None:
    async with reaching(QuafuStandIn()) as world:
        assert await world.outcome(order(name="pair's", compile=False)) == {"00": 50, "11": 50}
        (sent,) = world.there.sent_to("scq_kit_asyc/")
        assert len(world.there.sent_to("scq_task_recall/")) == 2
    assert {each.token for each in world.there.requests} == {TOKEN}
    assert sent.form["qtasm"] == QASM
    assert (sent.form["selected_server"], sent.form["compile"]) == ("1", "0")
    assert "pair's" in sent.body


async def test_a_device_is_described_with_its_calibration() -> None:
    async with reaching(QuafuStandIn()) as world:
        info = await (await world.device()).describe()
        (sent,) = world.there.sent_to("scq_get_chip_info/")
    assert (info["name"], info["full_info"]) == ("ScQ-P10", CHIP)
    assert sent.form == {"system_name": "scq-p10"}


@pytest.mark.parametrize(
    ("device", "changes", "text"),
    [
        ("ScQ-P10", {"qubits": 11}, "The qubit number 11 is too large for backend ScQ-P10"),
        ("ScQ-P10", {"gates": frozenset({"xy"}), "compile": False}, "Invalid operations 'xy'"),
        ("ScQ-P136", {"gates": frozenset({"xy"})}, "Invalid operations 'xy' for backend 'ScQ-P136'"),
        ("ScQ-S41", {}, "must be used without compilation"),
    ],
)
async def test_what_pyquafu_would_not_send_is_refused_before_it_is_sent(
    device: str, changes: dict[str, Any], text: str
) -> None:
    async with reaching(QuafuStandIn()) as world:
        with pytest.raises(CircuitRefused) as refused:
            (await world.device(device)).check(order(**changes))
        assert world.there.sent_to("scq_kit_asyc/") == []
    assert (refused.value.kind, text in refused.value.detail) == ("circuit", True)


async def test_an_answer_that_fails_is_asked_for_again() -> None:
    async with reaching(QuafuStandIn()) as world:
        device = await world.device()
        world.there.refuse_next = 2
        assert await (await device.open(seed=None)).run([order()]) == [{"00": 50, "11": 50}]
        assert len(world.there.sent_to("scq_kit_asyc/")) == 3


async def test_a_service_that_stays_away_is_given_up() -> None:
    async with reaching(QuafuStandIn()) as world:
        device = await world.device()
        world.there.refuse_next = 100
        (outcome,) = await (await device.open(seed=None)).run([order()])
        assert len(world.there.sent_to("scq_kit_asyc/")) == 3
    said = refusal(outcome)
    assert (said.kind, said.detail) == ("backend", "the Quafu cloud does not answer (HTTP 503, 3 tries)")


async def test_an_answer_that_is_slow_is_waited_for() -> None:
    async with reaching(QuafuStandIn()) as world:
        device = await world.device()
        world.there.slow = asyncio.Event()
        running = asyncio.ensure_future((await device.open(seed=None)).run([order()]))
        await wait_until(lambda: world.there.sent_to("scq_kit_asyc/"), description="the circuit is handed in")
        assert not running.done()
        world.there.slow.set()
        assert await running == [{"00": 50, "11": 50}]
        assert len(world.there.sent_to("scq_kit_asyc/")) == 1


async def test_an_answer_that_is_too_slow_is_asked_for_again_and_given_up() -> None:
    async with reaching(QuafuStandIn(), answer_seconds=0.05) as world:
        device = await world.device()
        world.there.slow = asyncio.Event()
        (outcome,) = await (await device.open(seed=None)).run([order()])
        assert len(world.there.sent_to("scq_kit_asyc/")) == 3
    said = refusal(outcome)
    assert (said.kind, said.detail) == ("backend", "the Quafu cloud does not answer (TimeoutError, 3 tries)")


async def test_an_answer_that_only_drips_is_given_up() -> None:
    async def drips() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0)

    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=drips())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        cloud = QuafuCloud(http, "http://cloud", token=None, wait_seconds=1, pauses=(), answer_seconds=0.02)
        with pytest.raises(CircuitRefused, match="does not answer"):
            await cloud.backends(TOKEN)


async def test_a_service_that_is_not_there_is_given_up() -> None:
    async def nobody(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("no route")

    async with httpx.AsyncClient(transport=httpx.MockTransport(nobody)) as http:
        cloud = QuafuCloud(http, "http://cloud", token=None, wait_seconds=1, pauses=(0.0,))
        with pytest.raises(CircuitRefused, match=r"does not answer \(ConnectTimeout, 2 tries\)"):
            await cloud.backends(TOKEN)


async def test_a_bad_token_is_told_without_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with reaching(QuafuStandIn(echo_token=True), token="operators-bad-token") as world:
        with pytest.raises(CircuitRefused) as refused:
            await world.cloud.backends("a-bad-token")
        listing = asyncio.create_task(world.cloud.run())
        await wait_until(lambda: "cannot be listed" in caplog.text, description="the operator is told")
        listing.cancel()
    assert refused.value.kind == "token"
    assert refused.value.detail == "the Quafu cloud says: API_TOKEN ERROR. ***"
    assert "bad-token" not in caplog.text


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"name": "fail"}, "backend", "task 0000000000000000 of the Quafu cloud has failed"),
        ({"name": "withdraw"}, "backend", "was cancelled there"),
        ({"name": "uncompilable"}, "compile", "the circuit cannot be compiled"),
        ({"qasm": QASM + "bogus q[0];"}, "circuit", "the circuit has an invalid gate"),
    ],
)
async def test_a_task_that_fails_says_why(changes: dict[str, Any], kind: str, text: str) -> None:
    async with reaching(QuafuStandIn()) as world:
        said = refusal(await world.outcome(order(**changes)))
    assert (said.kind, text in said.detail) == (kind, True)


async def test_a_task_that_never_ends_is_given_up() -> None:
    clock = itertools.count(0.0, 10.0)
    async with reaching(QuafuStandIn(), monotonic=lambda: next(clock)) as world:
        said = refusal(await world.outcome(order(name="never")))
        assert len(world.there.sent_to("scq_task_recall/")) == 6
    assert (said.kind, said.detail.endswith("has not ended within 60 s")) == ("backend", True)


@pytest.mark.parametrize("res", ["[1]", "{'0a': 3}", "{'00': 'x'}", "{'00': -1}", "__import__('os')", "{"])
async def test_a_result_that_is_none_is_refused_and_never_evaluated(
    res: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = QuafuStandIn._shown
    monkeypatch.setattr(
        QuafuStandIn, "_shown", lambda self, task: shown(self, task) | {"status": 2, "res": res}
    )
    async with reaching(QuafuStandIn()) as world:
        said = refusal(await world.outcome(order()))
    assert (said.kind, said.detail.endswith("has no counts")) == ("backend", True)


async def test_an_answer_of_another_form_is_refused() -> None:
    async with reaching(QuafuStandIn()) as world:
        device = await world.device()
        world.there.drop = True
        (outcome,) = await (await device.open(seed=None)).run([order()])
    assert "not of its published form" in refusal(outcome).detail


async def test_devices_that_can_no_longer_be_listed_are_offline(caplog: pytest.LogCaptureFixture) -> None:
    async with reaching(QuafuStandIn(), token=TOKEN) as world:
        await world.device()
        world.there.drop = True
        listing = asyncio.create_task(world.cloud.run())
        await wait_until(
            lambda: {each.status for each in world.cloud.known} == {"offline"}, description="all are offline"
        )
        listing.cancel()
    assert "cannot be listed" in caplog.text
