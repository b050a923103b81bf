"""The simulator's bench and the sandbox it holds."""

import asyncio
from typing import cast

from qrt_contracts.values import Limits
from qrt_executor.adapters.backends.simulator import Simulator
from qrt_executor.ports import Claims, Order, Sandbox, Sandboxes, Sink


class Silent:
    """A `Sandbox` whose program says nothing."""

    def __init__(self) -> None:
        self.conversing = False
        self.closed_while_conversing: bool | None = None

    async def converse(self, sink: Sink) -> Claims:
        del sink
        self.conversing = True
        try:
            await asyncio.Event().wait()
        finally:
            self.conversing = False
        return Claims(result=None, error=None)

    async def start(self, order: Order) -> None:
        """Take the order."""

    async def close(self) -> None:
        self.closed_while_conversing = self.conversing


class One:
    """`Sandboxes` of one."""

    def __init__(self, sandbox: Silent) -> None:
        self._sandbox = sandbox

    async def take(self, limits: Limits, *, network: bool = False) -> Sandbox:
        del limits, network
        return cast(Sandbox, self._sandbox)


async def test_nobody_listens_to_a_sandbox_any_more_when_its_bench_closes_it() -> None:
    sandbox = Silent()
    bench = await Simulator(cast(Sandboxes, One(sandbox))).open(seed=None)
    await asyncio.sleep(0)
    assert sandbox.conversing

    await bench.close()

    assert sandbox.closed_while_conversing is False
