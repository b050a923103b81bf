"""Takes uploads in: judged, and stored in the form that their versions hold."""

import json
import re

from qrt_contracts.values import Artifact, EnvironmentSpec, ProgramKind
from qrt_registry import domain
from qrt_registry.builds import kept
from qrt_registry.domain import Content, Finding, Project
from qrt_registry.ports import Bundles, Inspector

_IMAGE = re.compile(
    r"[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)


class Intake:
    """Accepts an upload of any kind, or refuses it with a reason."""

    def __init__(
        self, *, bundles: Bundles, inspector: Inspector, max_source_bytes: int, max_project_bytes: int
    ) -> None:
        self._bundles = bundles
        self._inspector = inspector
        self._max_source_bytes = max_source_bytes
        self._max_project_bytes = max_project_bytes

    async def accept(self, bundle: Artifact, *, kind: ProgramKind | None, image: str | None) -> Content:
        """Return what an upload makes of a version, stored.

        Args:
            bundle: what was uploaded; empty where `image` is named.
            kind: None is what the project says of itself.
            image: the name of a container's image.

        Raises:
            ProgramInvalid: it cannot be accepted; nothing refers to what was uploaded.
        """
        if image is not None:
            return _of_image(bundle, kind, image)
        if kind is ProgramKind.QUAFU:
            await self._check_source(bundle)
            return Content(kind=kind, bundle=bundle)
        return await self._kept(await self._judged(bundle, kind))

    async def _check_source(self, bundle: Artifact) -> None:
        most = self._max_source_bytes
        if bundle.size > most:
            raise domain.refused(Finding(detail=f"the source has {bundle.size} bytes; the limit is {most}"))
        source = await self._bundles.read_all(bundle.sha256, limit=most)
        if finding := await self._inspector.inspect(source):
            raise domain.refused(finding)

    async def _judged(self, bundle: Artifact, kind: ProgramKind | None) -> Project:
        most = self._max_project_bytes
        if bundle.size > most:
            detail = f"the archive has {bundle.size} bytes; the limit is {most}"
            raise domain.project_refused(Finding(detail=detail))
        archive = await self._bundles.read_all(bundle.sha256, limit=most)
        found = await self._inspector.project(archive, kind=kind)
        if isinstance(found, Finding):
            raise domain.project_refused(found)
        return found

    async def _kept(self, project: Project) -> Content:
        environment = None
        if project.requirements:
            lines = await kept(json.dumps(project.requirements), self._bundles)
            environment = EnvironmentSpec(requirements=lines)
        signature = None if project.signature is None else await kept(project.signature, self._bundles)
        return Content(
            kind=project.kind,
            bundle=await self._bundles.put(project.canonical),
            environment=environment,
            resources=project.resources,
            signature=signature,
            name=project.name,
            description=project.description,
        )


def _of_image(bundle: Artifact, kind: ProgramKind | None, image: str) -> Content:
    if kind not in (None, ProgramKind.CONTAINER):
        raise domain.image_refused(f"a program of kind {kind} has no image; only a container has one")
    if bundle.size:
        raise domain.image_refused("name an image or upload a project with a Dockerfile, not both")
    if not _IMAGE.fullmatch(image):
        raise domain.image_refused("this is no name of an image, such as registry.example/team/name:tag")
    return Content(kind=ProgramKind.CONTAINER, bundle=bundle, image=image)
