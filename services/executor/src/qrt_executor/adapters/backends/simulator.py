"""The local simulator: pyquafu's, in a single-use sandbox beside the attempt's own.

Circuits are a program's text, so they are parsed and simulated where programs run, with the same
isolation, never in the executor's process. The sandbox asks for circuits; a batch is one answer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from qrt_contracts.values import BackendInfo, Limits
from qrt_executor.domain.backends import NOISE, SIMULATOR
from qrt_executor.ports import (
    Bench,
    CircuitOrder,
    CircuitRefused,
    Claims,
    InterimKind,
    InvalidCall,
    Order,
    Sandbox,
    Sandboxes,
    SandboxUnavailable,
    Stream,
)

SOURCE = b"from qrt_runner.simulator import run\n"
MAX_QUBITS = 24
MAX_CLIFFORD_QUBITS = 32
"""pyquafu counts the outcomes of its Clifford simulator in 32 bits, and silently cuts longer ones."""
MAX_NOISY_QUBITS = 10
"""Of a circuit with noise: its density matrix has twice as many."""
BATCH = 64
GATES = (
    "barrier", "ccx", "cnot", "cp", "crx", "cry", "crz", "cs", "cswap", "ct", "cx", "cy", "cz", "delay",
    "fredkin", "fredon", "h", "id", "iswap", "mcrx", "mcry", "mcrz", "mcx", "mcy", "mcz", "p", "rx", "rxx",
    "ry", "ryy", "rz", "rzz", "s", "sdg", "sw", "swap", "swdg", "sx", "sxdg", "sy", "sydg", "t", "tdg",
    "toffoli", "u3", "w", "x", "xy", "y", "z",
)  # fmt: skip
CLIFFORD = frozenset({"h", "s", "sdg", "x", "y", "z", "id", "cx", "cnot", "cy", "cz", "swap", "barrier"})
LIMITS = Limits(
    memory_bytes=3 << 30, wall_seconds=86400, cpu_seconds=86400, processes=8, message_bytes=1 << 20
)


class Simulator:
    """`ports.Backend`."""

    batch = BATCH
    lanes = 1

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    @property
    def info(self) -> BackendInfo:
        """What it is."""
        status: Literal["online", "offline"] = "online" if self._sandboxes.ready else "offline"
        return BackendInfo(name=SIMULATOR, qubits=MAX_QUBITS, gates=GATES, status=status, simulated=True)

    def check(self, circuit: CircuitOrder) -> None:
        """Return if it takes this circuit. Raises CircuitRefused."""
        unknown = sorted(circuit.gates - set(GATES) - NOISE)
        if unknown:
            raise CircuitRefused("circuit", f"the simulator has no gate {unknown[0][:64]!r}")
        if circuit.gates & NOISE and circuit.qubits > MAX_NOISY_QUBITS:
            raise CircuitRefused(
                "circuit",
                f"{circuit.qubits} qubits are too many: the simulator takes {MAX_NOISY_QUBITS} with noise",
            )
        if circuit.qubits <= MAX_QUBITS:
            return
        if not circuit.gates <= CLIFFORD:
            raise CircuitRefused(
                "circuit",
                f"{circuit.qubits} qubits are too many: the simulator takes {MAX_QUBITS}, "
                f"or {MAX_CLIFFORD_QUBITS} of a circuit with Clifford gates alone",
            )
        if circuit.qubits > MAX_CLIFFORD_QUBITS:
            raise CircuitRefused(
                "circuit", f"{circuit.qubits} qubits are too many: the simulator takes {MAX_CLIFFORD_QUBITS}"
            )

    async def describe(self) -> Mapping[str, Any]:
        """Return what it is; there are no physical qubits to tell of."""
        info = self.info.model_dump(mode="json")
        return {**info, "full_info": info}

    async def open(self, *, seed: int | None) -> Bench:
        """Return a sandbox that simulates. Raises CircuitRefused."""
        try:
            sandbox = await self._sandboxes.take(LIMITS)
        except SandboxUnavailable as exc:
            raise CircuitRefused("backend", f"the simulator cannot be had just now: {exc}") from exc
        bench = _SimulatorBench(sandbox)
        try:
            await bench.start(seed)
        except BaseException:
            await bench.close()
            raise
        return bench


class _SimulatorBench:
    """`ports.Bench`, and the `Sink` of its own sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._orders: asyncio.Queue[list[dict[str, object]]] = asyncio.Queue(maxsize=1)
        self._done: asyncio.Queue[list[dict[str, object]]] = asyncio.Queue(maxsize=1)
        self._talk: asyncio.Future[Claims] | None = None
        self._busy = False
        self._running = 0

    async def start(self, seed: int | None) -> None:
        self._talk = asyncio.ensure_future(self._sandbox.converse(self))
        order = Order(source=SOURCE, input=orjson.dumps({"seed": seed}).decode(), backend=None, limits=LIMITS)
        try:
            await self._sandbox.start(order)
        except OSError as exc:
            raise CircuitRefused("backend", "the simulator ended before it had begun") from exc

    async def run(self, circuits: Sequence[CircuitOrder]) -> Sequence[Mapping[str, int] | CircuitRefused]:
        assert self._talk is not None  # noqa: S101 - `open` has started it
        self._busy, self._running = True, len(circuits)
        await self._orders.put([_written(each) for each in circuits])
        done = asyncio.ensure_future(self._done.get())
        try:
            both: set[asyncio.Future[Any]] = {done, self._talk}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise CircuitRefused(
                    "backend", "the simulator ended; the circuit needs more memory than it has"
                )
            return [_read(each) for each in done.result()]
        finally:
            done.cancel()

    async def close(self) -> None:
        if self._talk is not None:
            self._talk.cancel()
            await asyncio.gather(self._talk, return_exceptions=True)
        await self._sandbox.close()

    def log(self, stream: Stream, data: bytes) -> None:
        """Drop what a library prints."""

    def interim(self, kind: InterimKind, data: bytes) -> None:
        """Drop it: the simulator publishes nothing."""

    def violation(self, detail: str) -> None:  # noqa: ARG002
        """End the sandbox."""
        self._sandbox.kill()

    async def room(self) -> None:
        """There is always room: everything is dropped."""

    async def call(self, question: bytes) -> bytes:
        """Take in the last batch's outcomes; answer with the next batch."""
        try:
            done = orjson.loads(question)["done"]
        except (ValueError, KeyError, TypeError):
            raise InvalidCall("a question that is none of the simulator's") from None
        if self._busy:
            if not isinstance(done, list) or len(done) not in (0, self._running):
                raise InvalidCall("outcomes that are none of its circuits'")
            if done:
                self._done.put_nowait(done)
                self._busy = False
        return orjson.dumps({"answer": await self._orders.get()})


def _written(circuit: CircuitOrder) -> dict[str, object]:
    return {
        "qasm": circuit.qasm,
        "qubits": circuit.qubits,
        "shots": circuit.shots,
        "clifford": circuit.qubits > MAX_QUBITS,
    }


def _read(outcome: object) -> Mapping[str, int] | CircuitRefused:
    if isinstance(outcome, dict):
        counts = outcome.get("counts")
        if isinstance(counts, dict) and all(type(count) is int for count in counts.values()):
            return counts
        return CircuitRefused("circuit", str(outcome.get("error"))[:4096])
    return CircuitRefused("backend", "the simulator answered nonsense")
