"""The machines of the Quafu cloud, used with each owner's own token."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from qrt_contracts.values import BackendInfo
from qrt_executor.adapters.backends.quafu_api import ANSWER_SECONDS, PAUSES, CloudTask, Device, QuafuApi
from qrt_executor.domain.backends import NOISE
from qrt_executor.ports import Backend, Bench, CircuitOrder, CircuitRefused

log = logging.getLogger(__name__)

LANES = 8
"""Circuits of one job that are with a machine at a time."""
POLL_FIRST_SECONDS = 0.5
POLL_LONGEST_SECONDS = 15.0
REFRESH_SECONDS = 60.0
TIMEOUT = httpx.Timeout(30.0, connect=10.0)

_COMPLETED, _CANCELLED, _FAILED = 2, 3, 4
_UNCHECKED = frozenset({"ScQ-P156", "ScQ-P106"})
"""Machines whose gates pyquafu leaves to the service to check."""


class QuafuCloud:
    """`ports.Cloud`."""

    credential = "quafu"

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        *,
        token: str | None,
        wait_seconds: float,
        pauses: Sequence[float] = PAUSES,
        answer_seconds: float = ANSWER_SECONDS,
        poll_seconds: tuple[float, float] = (POLL_FIRST_SECONDS, POLL_LONGEST_SECONDS),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reach the service at `url`; `token` is the operator's, to list its machines with."""
        self._api = QuafuApi(http, url, pauses=pauses, answer_seconds=answer_seconds)
        self._token = token
        self._wait_seconds = wait_seconds
        self._poll_seconds = poll_seconds
        self._monotonic = monotonic
        self._known: tuple[BackendInfo, ...] = ()

    @property
    def known(self) -> tuple[BackendInfo, ...]:
        """Its machines, as it told them last."""
        return self._known

    async def backends(self, token: str) -> Mapping[str, Backend]:
        """Return its machines by name, for the holder of a token. Raises CircuitRefused."""
        devices = await self._api.devices(token)
        self._known = tuple(_info(device) for device in devices)
        return {device.system_name: self._machine(device, token) for device in devices}

    async def run(self) -> None:
        """Ask for the machines every so often, with the operator's token; without one, wait."""
        while self._token is not None:
            try:
                await self.backends(self._token)
            except CircuitRefused as refused:
                log.warning("the Quafu cloud's devices cannot be listed: %s", refused.detail)
                self._known = tuple(each.model_copy(update={"status": "offline"}) for each in self._known)
            await asyncio.sleep(REFRESH_SECONDS)
        await asyncio.Event().wait()

    def _machine(self, device: Device, token: str) -> "Machine":
        return Machine(
            self._api,
            device,
            token,
            wait_seconds=self._wait_seconds,
            poll_seconds=self._poll_seconds,
            monotonic=self._monotonic,
        )


class Machine:
    """`ports.Backend`, and the `Bench` of it: a machine for the holder of one token."""

    batch = 1
    lanes = LANES

    def __init__(
        self,
        api: QuafuApi,
        device: Device,
        token: str,
        *,
        wait_seconds: float,
        poll_seconds: tuple[float, float],
        monotonic: Callable[[], float],
    ) -> None:
        self._api = api
        self._device = device
        self._token = token
        self._wait_seconds = wait_seconds
        self._poll_seconds = poll_seconds
        self._monotonic = monotonic

    @property
    def info(self) -> BackendInfo:
        """What it was when the job first asked."""
        return _info(self._device)

    def check(self, circuit: CircuitOrder) -> None:
        """Return if pyquafu would send it. Raises CircuitRefused."""
        name = self._device.system_name
        if circuit.qubits > self._device.qubits:
            raise CircuitRefused(
                "circuit",
                f"The qubit number {circuit.qubits} is too large for backend {name} "
                f"which has {self._device.qubits} qubits",
            )
        if circuit.gates & NOISE:
            raise CircuitRefused(
                "circuit",
                f"{name} takes no noise channels: the simulator does, a machine has noise of its own",
            )
        if name not in _UNCHECKED:
            self._check_gates(circuit)

    def _check_gates(self, circuit: CircuitOrder) -> None:
        name = self._device.system_name
        if not circuit.compile:
            invalid = sorted(circuit.gates - set(self._device.valid_gates))
        elif name == "ScQ-S41":
            raise CircuitRefused("circuit", "Backend ScQ-S41 must be used without compilation")
        else:
            invalid = ["xy"] if self._device.system_id == 2 and "xy" in circuit.gates else []
        if invalid:
            raise CircuitRefused("circuit", f"Invalid operations '{invalid[0][:64]}' for backend '{name}'")

    async def describe(self) -> Mapping[str, Any]:
        """Return what it is, and its calibration as the service tells it."""
        chip = await self._api.chip(self._token, self._device.system_name)
        return {**self.info.model_dump(mode="json"), "full_info": chip}

    async def open(self, *, seed: int | None) -> Bench:  # noqa: ARG002 - a machine takes none
        """Return the machine itself: it needs no preparation."""
        return self

    async def run(self, circuits: Sequence[CircuitOrder]) -> Sequence[Mapping[str, int] | CircuitRefused]:
        """Run circuits one after the other; return the counts of each, or why there are none."""
        return [await self._outcome(circuit) for circuit in circuits]

    async def close(self) -> None:
        """Leave what still runs: the service has no request that ends a task."""

    async def _outcome(self, circuit: CircuitOrder) -> Mapping[str, int] | CircuitRefused:
        try:
            task = await self._ended(await self._api.submit(self._token, self._device, circuit))
            if task.status == _COMPLETED:
                return task.counts()
        except CircuitRefused as refused:
            return refused
        what = "was cancelled there" if task.status == _CANCELLED else "has failed"
        return CircuitRefused("backend", f"task {task.task_id} of the Quafu cloud {what}")

    async def _ended(self, task: CloudTask) -> CloudTask:
        """Ask how a task stands, ever more seldom, until it has ended. Raises CircuitRefused."""
        deadline = self._monotonic() + self._wait_seconds
        pause, longest = self._poll_seconds
        while task.status not in (_COMPLETED, _CANCELLED, _FAILED):
            if self._monotonic() + pause > deadline:
                raise CircuitRefused(
                    "backend",
                    f"task {task.task_id} of the Quafu cloud has not ended within {self._wait_seconds:g} s",
                )
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, longest)
            task = await self._api.recall(self._token, task.task_id)
        return task


def _info(device: Device) -> BackendInfo:
    return BackendInfo(
        name=device.system_name,
        qubits=device.qubits,
        gates=device.valid_gates,
        status="online" if device.status.casefold() == "online" else "offline",
        queue=max(0, device.queued_len),
    )
