"""Builds of images from the archives of programs, within limits of time, memory, processor and disk."""

import asyncio
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiodocker.exceptions import DockerError

from qrt_chassis.tasks import Tasks
from qrt_executor.adapters.containers.context import build_context
from qrt_executor.adapters.containers.engine import CONFLICT, UNREACHABLE, Engine, EngineFailed
from qrt_executor.adapters.containers.journal import Journal
from qrt_executor.ports import BuildFailed, Remark, SandboxUnavailable

log = logging.getLogger(__name__)

_BUILDS_AT_ONCE = 2
_WATCH_SECONDS = 1.0
_TRIES = 20
_TRY_SECONDS = 0.25
_SHM_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRules:
    """What making an image may take."""

    pull: bool
    """Images that are not there may be fetched."""
    network: bool
    """Builds have the engine's network."""
    seconds: float
    memory_bytes: int
    cpus: float
    image_bytes: int
    """The largest image, and the most one step of a build may write."""


@dataclass(slots=True)
class _Build:
    listeners: list[Remark]
    task: "asyncio.Task[None] | None" = None
    failure: BuildFailed | SandboxUnavailable | None = None
    waiting: int = field(default=0)


class Builds:
    """Builds each image once, however many ask for it at the same time; the last to give up ends it."""

    def __init__(
        self, engine: Engine, rules: BuildRules, *, scratch: Path, labels: Mapping[str, str]
    ) -> None:
        self._engine = engine
        self._rules = rules
        self._scratch = scratch
        self._labels = labels
        self._builds: dict[str, _Build] = {}
        self._tasks = Tasks("image builds")
        self._room = asyncio.Semaphore(_BUILDS_AT_ONCE)

    async def build(self, bundle: bytes, tag: str, *, remark: Remark) -> None:
        """Build an image; every line of the build's log goes to `remark`.

        Raises BuildFailed, SandboxUnavailable.
        """
        build = self._builds.get(tag)
        if build is None:
            build = self._builds[tag] = _Build(listeners=[])
            build.task = self._tasks.start(self._in_turn(build, bundle, tag), name=tag)
        assert build.task is not None  # noqa: S101 - set where the build is made
        build.listeners.append(remark)
        build.waiting += 1
        try:
            await asyncio.wait({build.task})
        finally:
            build.waiting -= 1
            build.listeners.remove(remark)
            if not build.waiting:
                build.task.cancel()
                self._builds.pop(tag, None)
        if build.failure is not None:
            raise build.failure

    async def close(self) -> None:
        """End what is being built."""
        await self._tasks.close()

    async def _in_turn(self, build: _Build, bundle: bytes, tag: str) -> None:
        journal = Journal(build.listeners)
        done = False
        try:
            async with self._room:
                build.failure = await self._outcome(bundle, tag, journal)
            done = build.failure is None
        finally:
            if not done:
                await self._drop_layer(journal.layer)

    async def _outcome(
        self, bundle: bytes, tag: str, journal: Journal
    ) -> BuildFailed | SandboxUnavailable | None:
        """Build, and return why it has failed."""
        try:
            async with asyncio.timeout(self._rules.seconds):
                await self._build(bundle, tag, journal)
        except BuildFailed as exc:
            return exc
        except TimeoutError:
            return BuildFailed(f"the build took more than {self._rules.seconds:g} seconds{journal.end()}")
        except DockerError as exc:
            return BuildFailed(f"the image cannot be built: {exc.message}")
        except (EngineFailed, *UNREACHABLE) as exc:
            return SandboxUnavailable(f"the engine did not carry the build out: {exc}")
        if journal.over is not None:
            return BuildFailed(f"{journal.over}{journal.end()}")
        if journal.error is not None:
            return BuildFailed(f"the image cannot be built: {journal.error}{journal.end()}{self._hint()}")
        return None

    async def _build(self, bundle: bytes, tag: str, journal: Journal) -> None:
        context = await asyncio.to_thread(build_context, bundle, directory=self._scratch)
        mark = _SHM_BYTES + secrets.randbelow(_SHM_BYTES)
        watch = asyncio.ensure_future(self._watch_disk(journal, mark))
        try:
            params, headers = self._params(tag, mark), {"Content-Type": "application/x-tar"}
            async with self._engine.request(
                "POST", "build", params=params, data=context, headers=headers, unending=True
            ) as response:
                async for message in self._engine.messages(response):
                    journal.take(message)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            context.close()

    def _params(self, tag: str, mark: int) -> dict[str, str]:
        rules = self._rules
        return {
            "t": tag,
            "rm": "true",
            "forcerm": "true",
            "memory": str(rules.memory_bytes),
            "memswap": str(rules.memory_bytes),
            "cpuperiod": "100000",
            "cpuquota": str(int(rules.cpus * 100_000)),
            "shmsize": str(mark),
            "labels": json.dumps(self._labels),
            **_network(allowed=rules.network, podman=self._engine.podman),
        }

    def _hint(self) -> str:
        if self._rules.network:
            return ""
        return "\n(builds have no network here; the operator can allow it: QRT_EXECUTOR_BUILD_NETWORK)"

    async def _watch_disk(self, journal: Journal, mark: int) -> None:
        """Kill a step of a build that writes more than an image may have.

        A step can print another container's id; only one that has this build's mark, a size, is touched.
        """
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if (step := journal.step) is None:
                continue
            try:
                found = await self._engine.ask("GET", f"containers/{step}/json", params={"size": "true"})
                if found["HostConfig"].get("ShmSize") != mark:
                    continue
                if found.get("SizeRw", 0) > self._rules.image_bytes:
                    journal.over = f"a step of the build wrote more than {self._rules.image_bytes} bytes"
                    await self._engine.ask("POST", f"containers/{found['Id']}/kill")
            except DockerError:
                continue  # the step has ended
            except UNREACHABLE as exc:
                log.warning("a build is not watched at present: %s", exc)

    async def _drop_layer(self, layer: str | None) -> None:
        """Remove what a failed build has left, down to the first image that has a name.

        A step that was broken off still uses its layer for a moment.
        """
        for _ in range(_TRIES if layer else 0):
            try:
                found = await self._engine.ask("GET", f"images/{layer}/json")
                if not found.get("RepoTags") and not found.get("RepoDigests"):
                    await self._engine.ask("DELETE", f"images/{found['Id']}")
            except DockerError as exc:
                if exc.status == CONFLICT:
                    await asyncio.sleep(_TRY_SECONDS)
                    continue
            except UNREACHABLE as exc:
                log.info("layers of a failed build are left: %s", exc)
            return


def _network(*, allowed: bool, podman: bool) -> dict[str, str]:
    """Return what gives steps the engine's network, or none."""
    if allowed:
        return {"networkmode": "default"}
    if podman:  # it would take Docker's "none" for its default, which is the host's network
        private = {"Name": "network", "Host": False, "Path": ""}
        return {"networkmode": "NetworkDisabled", "nsoptions": json.dumps([private])}
    return {"networkmode": "none"}
