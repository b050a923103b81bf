"""Images of programs: built from their archives or pulled, found again by content, removed when old."""

import asyncio
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiodocker.exceptions import DockerError

from qrt_executor.adapters.containers.builds import BuildRules, Builds
from qrt_executor.adapters.containers.engine import CONFLICT, GONE, Engine
from qrt_executor.ports import BuildFailed, Remark

log = logging.getLogger(__name__)

REPOSITORY = "qrt-program"
PULLED = "qrt-pulled"
"""Names images that were fetched for programs, so that they are told from the operator's own."""
_ROLE = {"qrt.role": "program-image"}
_REFERENCE = re.compile(r"[a-z0-9][a-zA-Z0-9._:/@-]{0,254}")
_BAD_NAME = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that is there."""

    id: str
    volumes: tuple[str, ...] = ()
    """Paths that it declares as volumes."""
    digest: str | None = None
    """`name@sha256:…`, where engines can fetch it by that."""


class Images:
    """Makes images, each once however many ask for it. `use` keeps one from being removed."""

    def __init__(self, engine: Engine, rules: BuildRules, *, scratch: Path, cache_bytes: int) -> None:
        self._engine = engine
        self._rules = rules
        self._cache_bytes = cache_bytes
        self._builds = Builds(engine, rules, scratch=scratch, labels=_ROLE)
        self._used: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    @contextmanager
    def use(self, image: Image) -> Iterator[None]:
        """Keep an image for as long as the context is open."""
        self._used[image.id] += 1
        try:
            yield
        finally:
            self._used[image.id] -= 1
            self._last[image.id] = time.monotonic()

    async def built(self, bundle: bytes, digest: str, *, remark: Remark) -> Image:
        """Return the image of a bundle, built if it is not there; every line of the build goes to `remark`.

        Raises BuildFailed, DockerError, or what `UNREACHABLE` holds.
        """
        tag = f"{REPOSITORY}:{digest}"
        found = await self._find(tag)
        if found is None:
            remark("… building the image")
            await self._builds.build(bundle, tag, remark=remark)
            found = await self._within_size(tag)
        return _checked(found)

    async def pulled(self, reference: str, *, remark: Remark) -> Image:
        """Return the image of a reference, fetched if it is not there.

        Raises BuildFailed, DockerError, or what `UNREACHABLE` holds.
        """
        if not _REFERENCE.fullmatch(reference) or reference.startswith((REPOSITORY, PULLED, "qrt-holder")):
            raise BuildFailed(f"{reference!r} is not the name of an image that a program can have")
        found = await self._find(reference)
        if found is None:
            await self._pull(reference, remark)
            found = await self._within_size(reference)
            await self._mark_pulled(found["Id"])
        image = replace(_checked(found), digest=_digest(found, reference))
        remark(f"… the image {reference} is {image.digest or image.id}")
        return image

    async def sweep(self) -> None:
        """Remove the images that were not used for longest until the rest fits.

        Raises DockerError, or what `UNREACHABLE` holds.
        """
        labels = [f"{name}={value}" for name, value in _ROLE.items()]
        found = [*await self._list("label", labels), *await self._list("reference", [PULLED])]
        total = sum(each["Size"] for each in found)
        for each in sorted(found, key=lambda image: (self._last.get(image["Id"], 0.0), image["Created"])):
            if total <= self._cache_bytes:
                return
            if not self._used[each["Id"]] and await self._forget(each["Id"]):
                total -= each["Size"]

    async def close(self) -> None:
        """End what is being built."""
        await self._builds.close()

    async def _list(self, by: str, values: list[str]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = await self._engine.ask(
            "GET", "images/json", params={"filters": json.dumps({by: values})}
        )
        return found

    async def _mark_pulled(self, image: str) -> None:
        tag = image.removeprefix("sha256:")
        await self._engine.ask("POST", f"images/{image}/tag", params={"repo": PULLED, "tag": tag})

    async def _find(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._engine.ask("GET", f"images/{name}/json")
        except DockerError as exc:
            if exc.status in (GONE, _BAD_NAME):
                return None
            raise
        return found

    async def _within_size(self, name: str) -> Mapping[str, Any]:
        """Return an image that was just made. Raises BuildFailed."""
        found = await self._find(name)
        if found is None:
            raise BuildFailed(f"the image {name} is not there though it was made just now")
        if found["Size"] > self._rules.image_bytes:
            await self._delete(name)
            limit = f"the limit is {self._rules.image_bytes} (QRT_EXECUTOR_IMAGE_BYTES)"
            raise BuildFailed(f"the image has {found['Size']} bytes; {limit}")
        self._last[found["Id"]] = time.monotonic()
        return found

    async def _pull(self, reference: str, remark: Remark) -> None:
        if not self._rules.pull:
            reason = "is not on this executor, which fetches none (QRT_EXECUTOR_PULL_IMAGES)"
            raise BuildFailed(f"the image {reference} {reason}")
        remark(f"… fetching the image {reference}")
        name, tag = _split(reference)
        params = {"fromImage": name} | ({"tag": tag} if tag else {})
        error: object = None
        try:
            async with (
                asyncio.timeout(self._rules.seconds),
                self._engine.request("POST", "images/create", params=params, unending=True) as response,
            ):
                async for message in self._engine.messages(response):
                    error = message.get("error", error)
        except DockerError as exc:
            error = exc.message
        except TimeoutError:
            error = f"it took more than {self._rules.seconds:g} seconds"
        if error is not None:
            raise BuildFailed(f"the image {reference} cannot be fetched: {error}")

    async def _forget(self, image: str) -> bool:
        """Remove an image under all its names, of which a list does not tell each; False if it is used."""
        found = await self._find(image)
        if found is None:
            return True
        names = [*(found.get("RepoTags") or ()), *(found.get("RepoDigests") or ())]
        if not all([await self._delete(name) for name in names or [image]]):
            return False
        self._last.pop(image, None)
        log.info("removed the image %s", names[0] if names else image)
        return True

    async def _delete(self, name: str) -> bool:
        """Remove an image by its name; False if a container uses it."""
        try:
            await self._engine.ask("DELETE", f"images/{name}")
        except DockerError as exc:
            if exc.status not in (GONE, CONFLICT):
                raise
            return exc.status == GONE
        return True


def _checked(found: Mapping[str, Any]) -> Image:
    config = found.get("Config") or {}
    if not config.get("Cmd") and not config.get("Entrypoint"):
        raise BuildFailed("the image has neither a CMD nor an ENTRYPOINT: there is nothing to run")
    volumes = tuple(sorted(config.get("Volumes") or ()))
    return Image(id=found["Id"], volumes=volumes)


def _split(reference: str) -> tuple[str, str | None]:
    """Return name and tag; a digest stays with the name. Without any the engine would fetch all tags."""
    if "@" in reference:
        return reference, None
    name, colon, tag = reference.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (reference, "latest")


def _digest(found: Mapping[str, Any], reference: str) -> str | None:
    """Return the digest that an image has under the name it was asked for by, or under its only one."""
    digests = [str(each) for each in found.get("RepoDigests") or ()]
    name = _split(reference.partition("@")[0])[0]
    ours = [each for each in digests if each.partition("@")[0] == name] or digests
    return ours[0] if len(ours) == 1 else None
