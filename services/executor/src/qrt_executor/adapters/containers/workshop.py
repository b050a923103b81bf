"""Where container programs run: `ports.Workshop` over an engine that may come and go."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aiodocker.exceptions import DockerError

from qrt_contracts.values import Isolation, Limits
from qrt_executor.adapters.containers.belongings import (
    ATTEMPT,
    EXECUTOR,
    INCARNATION,
    make_network,
    remove_container,
    remove_network,
    sweep,
)
from qrt_executor.adapters.containers.blueprint import Standing, blueprint, too_many_volumes, unenforced
from qrt_executor.adapters.containers.builds import BuildRules
from qrt_executor.adapters.containers.container import Container
from qrt_executor.adapters.containers.engine import UNREACHABLE, Engine, EngineFailed, open_engine
from qrt_executor.adapters.containers.holder import Holder, make_holder_image
from qrt_executor.adapters.containers.images import Image, Images
from qrt_executor.domain.properties import NotAnObject, properties
from qrt_executor.ports import (
    BuildFailed,
    Built,
    InputRefused,
    Order,
    Remark,
    Sandbox,
    Sandboxes,
    SandboxUnavailable,
)

log = logging.getLogger(__name__)

_PING_SECONDS = 2.0
_DEADLINE_SECONDS = 10.0
_TAKE_SECONDS = 120.0
_FORCE_SECONDS = 30.0
_REFUSED = 400
_NO_COMMAND = ("container process: exec:", "invoke a command that was not found")
"""What Podman says of a command that is not there when it is attached to; Docker tells at the start."""
_ENTRIES = 20_000
"""Names in an output directory."""
_SWEEP_EVERY = 30
"""Pings between two sweeps."""
_MISSED = 3
"""Pings in a row without an answer before the engine counts as gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the operator has decided."""

    socket: str
    """Path of the engine's Unix socket."""
    executor: str
    """Stable over restarts, and nobody else's at this engine."""
    incarnation: str
    scratch: Path
    standing: Standing
    rules: BuildRules
    image_cache_bytes: int


@dataclass(frozen=True, slots=True)
class _Works:
    """What there is while the engine answers."""

    engine: Engine
    images: Images
    holder_image: str
    standing: Standing


class ContainerWorkshop:
    """`ports.Workshop` and `ports.VersionBuilder` while `run` runs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._works: _Works | None = None
        self._missing = f"the engine at {site.socket} has not answered yet"
        self._held: set[str] = set()
        """Attempts whose containers are in use."""
        self._tried = False

    @property
    def isolation(self) -> Isolation:
        """The level of every container."""
        return Isolation.CONTAINER

    @property
    def ready(self) -> bool:
        """The engine answers."""
        return self._works is not None

    @property
    def tried(self) -> bool:
        """It is known whether the engine answers."""
        return self._tried

    # --- the engine ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Stay connected to the engine, and keep it free of what nobody uses, until cancelled."""
        while True:
            try:
                async with open_engine(self._site.socket) as engine, self._working(engine) as works:
                    self._works = works
                    self._tried = True
                    log.info("container programs run here: the engine answers")
                    await self._watch(works)
            except (DockerError, EngineFailed, *UNREACHABLE) as exc:
                self._missing = f"the engine at {self._site.socket} does not do its work: {exc}"
                log.log(logging.WARNING if self._works or not self._tried else logging.DEBUG, self._missing)
                self._tried = True
            finally:
                self._works = None
            await asyncio.sleep(_PING_SECONDS)

    @contextlib.asynccontextmanager
    async def _working(self, engine: Engine) -> AsyncIterator[_Works]:
        site = self._site
        async with asyncio.timeout(120):
            machine = await engine.info()
            holder = await make_holder_image(engine, labels={"qrt.role": "holder"})
        images = Images(engine, site.rules, scratch=site.scratch, cache_bytes=site.image_cache_bytes)
        lacking = unenforced(machine)
        if lacking:
            log.warning("the engine at %s does not limit %s", site.socket, ", ".join(lacking))
        standing = replace(site.standing, most_cpus=float(machine["NCPU"]), unenforced=lacking)
        await self._sweep(engine)
        try:
            yield _Works(engine, images, holder, standing)
        finally:
            await images.close()

    async def _watch(self, works: _Works) -> None:
        """Return never; raises what the engine's silence raises."""
        rounds, missed = 0, 0
        while True:
            await asyncio.sleep(_PING_SECONDS)
            rounds += 1
            try:
                async with asyncio.timeout(_DEADLINE_SECONDS):
                    await works.engine.docker.version()
                missed = 0
                if rounds % _SWEEP_EVERY == 0:
                    await self._sweep(works.engine)
                    await works.images.sweep()
            except (DockerError, *UNREACHABLE):
                missed += 1
                if missed >= _MISSED:
                    raise

    async def _sweep(self, engine: Engine) -> None:
        """Remove what no attempt of this life uses. Raises DockerError, or what `UNREACHABLE` holds."""
        await sweep(engine, executor=self._site.executor, in_use=self._in_use)

    def _in_use(self, labels: Mapping[str, str]) -> bool:
        ours = labels.get(INCARNATION) == self._site.incarnation
        return ours and labels.get(ATTEMPT) in self._held

    # --- orders -------------------------------------------------------------------------------

    async def prepare(self, order: Order, *, remark: Remark) -> Sandboxes:
        """Make the image and the input files of an order; see `ports.Workshop`."""
        works = self._ready_works()
        try:
            files = await asyncio.to_thread(properties, order.input)
        except NotAnObject as exc:
            raise InputRefused(str(exc)) from None
        image = await self._image(works, order, remark)
        if works.standing.unenforced:
            remark(f"… the engine here does not limit {', '.join(works.standing.unenforced)}")
        named = {f"{name}.json": text.encode() for name, text in files.items()}
        return _Place(self, works, order=order, image=image, files=named)

    async def build(self, order: Order, *, say: Remark) -> Built:
        """Make the image of an order; see `ports.VersionBuilder`."""
        image = await self._image(self._ready_works(), order, say)
        return Built(image=image.digest or image.id)

    def _ready_works(self) -> _Works:
        if self._works is None:
            raise SandboxUnavailable(self._missing)
        return self._works

    @staticmethod
    async def _image(works: _Works, order: Order, remark: Remark) -> Image:
        try:
            if order.image:
                image = await works.images.pulled(order.image, remark=remark)
            else:
                image = await works.images.built(order.source, order.bundle, remark=remark)
        except (DockerError, *UNREACHABLE) as exc:
            raise SandboxUnavailable(f"the engine did not make the image ready: {exc}") from exc
        if reason := too_many_volumes(image):
            raise BuildFailed(reason)
        return image

    async def make(self, works: _Works, order: Order, image: Image, files: Mapping[str, bytes]) -> Sandbox:
        """Create the container of an order, its volumes filled, its output listened to.

        Raises DockerError, or what `UNREACHABLE` holds.
        """
        engine, site = works.engine, self._site
        labels = {EXECUTOR: site.executor, INCARNATION: site.incarnation, ATTEMPT: order.attempt}
        name = f"qrt-{site.incarnation[-12:]}-{order.attempt}"
        holder = Holder(engine, image=works.holder_image, name=name, labels=labels)
        async with contextlib.AsyncExitStack() as stack:
            self._held.add(order.attempt)
            stack.callback(self._held.discard, order.attempt)
            stack.enter_context(works.images.use(image))
            stack.push_async_callback(holder.close)
            if order.network:
                await make_network(engine, name, labels=labels)
                stack.push_async_callback(remove_network, engine, name)
            await holder.open(files, output_bytes=order.limits.disk_bytes, entries=_ENTRIES)
            body = blueprint(order, image=image, holder=holder, standing=works.standing, labels=labels)
            made = await engine.ask("POST", "containers/create", params={"name": name}, body=body)
            stack.push_async_callback(remove_container, engine, made["Id"])
            attached = engine.docker.containers.container(made["Id"]).attach(
                stdin=False, stdout=True, stderr=True, logs=False
            )
            stack.push_async_callback(attached.close)
            await attached.__aenter__()
            return Container(
                engine,
                made["Id"],
                attached=attached,
                holder=holder,
                scratch=site.scratch,
                memory_by=None if "memory" in works.standing.unenforced else "cgroup",
                belongings=stack.pop_all(),
            )


class _Place:
    """`ports.Sandboxes` for one order."""

    isolation = Isolation.CONTAINER
    ready = True

    def __init__(
        self,
        workshop: ContainerWorkshop,
        works: _Works,
        *,
        order: Order,
        image: Image,
        files: Mapping[str, bytes],
    ) -> None:
        self._workshop = workshop
        self._works = works
        self._order = order
        self._image = image
        self._files = files

    async def take(self, limits: Limits, *, network: bool = False) -> Sandbox:  # noqa: ARG002 - the order says
        """Create the order's container. Raises SandboxUnavailable, BuildFailed."""
        try:
            async with asyncio.timeout(_TAKE_SECONDS):
                return await self._workshop.make(self._works, self._order, self._image, self._files)
        except DockerError as exc:
            if exc.status == _REFUSED or any(words in exc.message for words in _NO_COMMAND):
                raise BuildFailed(f"the engine refuses such a container: {exc.message}") from exc
            raise SandboxUnavailable(f"the engine made no container: {exc}") from exc
        except UNREACHABLE as exc:
            raise SandboxUnavailable(f"the engine does not answer: {exc}") from exc

    async def replace_parent(self, sandbox: Sandbox) -> None:
        """Have the engine remove by force what did not die of a signal."""
        if isinstance(sandbox, Container):
            try:
                async with asyncio.timeout(_FORCE_SECONDS):
                    await sandbox.remove()
            except (DockerError, *UNREACHABLE) as exc:
                log.error("a container cannot be removed: %s", exc)  # noqa: TRY400 - the engine's fault
