"""The native surface's shapes of programs and their versions; see `qrt_contracts.api` for the rules.

A program of one file is sent as JSON. A project is sent as `multipart/form-data`: its zip, tar or tar.gz
as the part `archive`, and the fields of a `ProgramForm`, or none for a new version, as further parts.
"""

from datetime import datetime
from typing import Annotated, Any, Self

import pydantic_core
from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from qrt_contracts.api import _Request, _View
from qrt_contracts.api_accounts import MAX_GROUPS, GroupName
from qrt_contracts.commands import VersionSummary
from qrt_contracts.values import (
    Artifact,
    Build,
    LimitOverrides,
    Program,
    ProgramKind,
    Quota,
    Resources,
    Visibility,
)

ProgramName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f/\\]+$")
]
"""A program's name: anything printable without slashes, 1 to 128 characters."""

ImageName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""The name of a container's image, such as `registry.example/team/name:tag`."""


Groups = Annotated[tuple[GroupName, ...], Field(max_length=MAX_GROUPS)]
"""Whom a program of the visibility `group` is shared with: its owner is in each of them."""


class _Description(_Request):
    """What describes a program, besides what it holds."""

    visibility: Visibility = Visibility.PRIVATE
    groups: Groups = ()
    """For the visibility `group`, and only there."""
    description: str | None = Field(default=None, max_length=10_000)
    backend: str | None = Field(default=None, max_length=128)
    group: str | None = Field(default=None, max_length=128)
    cost: float | None = Field(default=None, ge=0)
    limits: LimitOverrides = LimitOverrides()
    max_attempts: int = Field(default=3, ge=1, le=20)
    quota: Quota = Quota()


class CreateProgramRequest(_Description):
    """`POST /v1/programs` as JSON: a program of one Python file, or the name of a container's image.

    `source` has a `run` function; as a `template` it becomes a project's `src/program.py`.
    """

    name: ProgramName
    source: str | None = Field(default=None, min_length=1)
    image: ImageName | None = None
    kind: ProgramKind | None = None
    """`quafu` for a source and `container` for an image, unless it is said."""

    @model_validator(mode="after")
    def _holds_one_thing(self) -> Self:
        if (self.source is None) == (self.image is None):
            raise ValueError("give either source or image; a project is uploaded as multipart/form-data")
        if self.image is not None and self.kind not in (None, ProgramKind.CONTAINER):
            raise ValueError("only a program of kind container has an image")
        if self.source is not None and self.kind is ProgramKind.CONTAINER:
            raise ValueError(
                "a container is an image, or a project with a Dockerfile, uploaded as multipart/form-data"
            )
        return self


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return pydantic_core.from_json(value)
    except ValueError:
        raise ValueError("this must be a JSON object") from None


def _list_from_json(value: Any) -> Any:
    try:
        return _from_json(value)
    except ValueError:
        raise ValueError("this must be a JSON array") from None


class ProgramForm(_Description):
    """`POST /v1/programs` as `multipart/form-data`, besides the part `archive`; what is no text is JSON."""

    name: ProgramName | None = None
    """Unless it is given, the name in the project's `planqk.json`."""
    kind: ProgramKind | None = None
    """Unless it is given, what the project's `planqk.json` says, or else `template`."""
    groups: Annotated[Groups, BeforeValidator(_list_from_json)] = ()
    limits: Annotated[LimitOverrides, BeforeValidator(_from_json)] = LimitOverrides()
    quota: Annotated[Quota, BeforeValidator(_from_json)] = Quota()


class AddVersionRequest(_Request):
    """`POST /v1/programs/{id}/versions` as JSON. A project is sent as the part `archive` of a form."""

    source: str | None = Field(default=None, min_length=1)
    image: ImageName | None = None

    @model_validator(mode="after")
    def _holds_one_thing(self) -> Self:
        if (self.source is None) == (self.image is None):
            raise ValueError("give either source or image; a project is uploaded as multipart/form-data")
        return self


class VersionForm(_Request):
    """`POST /v1/programs/{id}/versions` as `multipart/form-data`: the part `archive` and nothing else."""


class UpdateProgramRequest(_Request):
    """`PATCH /v1/programs/{id}`; what is absent stays as it is."""

    name: ProgramName | None = None
    visibility: Visibility | None = None
    groups: Groups | None = None
    description: str | None = Field(default=None, max_length=10_000)
    backend: str | None = Field(default=None, max_length=128)
    group: str | None = Field(default=None, max_length=128)
    cost: float | None = Field(default=None, ge=0)
    limits: LimitOverrides | None = None
    max_attempts: int | None = Field(default=None, ge=1, le=20)
    quota: Quota | None = None


class VersionView(_View):
    """One immutable upload of a program. `bundle` is what is stored of it: a project's canonical zip."""

    number: int
    kind: ProgramKind
    bundle: Artifact
    created_at: datetime
    build: Build = Build()
    """How far it has got before its first job; jobs are taken in any state of it."""
    image: str | None = None
    """The name of an image that was given in place of a Dockerfile."""
    built_image: str | None = None
    """The id of the image that was built, or the digest that the named one had then, which jobs run."""
    resources: Resources = Resources()

    @classmethod
    def of(cls, version: VersionSummary) -> Self:
        """Return what clients see of a version."""
        return cls(**{name: getattr(version, name) for name in cls.model_fields})


class VersionList(_View):
    """`GET /v1/programs/{id}/versions`, newest first. `next_cursor` is null on the last page."""

    versions: tuple[VersionView, ...]
    next_cursor: str | None
    total: int


class BuildView(_View):
    """`GET /v1/programs/{id}/versions/{number}/build?after=&wait=`: a version's build and lines of its log.

    Go on with `after=last` until `complete`: the build has ended and nothing follows. While it runs and
    there is no new line, the answer waits `wait` seconds (at most `MAX_BUILD_WAIT_SECONDS`, default 0).
    """

    program_id: str
    version: int
    build: Build
    lines: tuple[str, ...]
    last: int
    complete: bool


class SignatureView(_View):
    """`GET /v1/programs/{id}/versions/{number}/signature`: JSON Schemas (2020-12); null is not known."""

    program_id: str
    version: int
    kind: ProgramKind
    input: dict[str, Any] | None = None
    """Of what a job's `input` may be."""
    output: dict[str, Any] | None = None
    summary: str | None = None
    description: str | None = None


MAX_BUILD_WAIT_SECONDS = 25
"""The longest that lines of a build are waited for in one request."""


class ProgramView(_View):
    """A program. What its newest version was made of is at `/v1/programs/{id}/source`."""

    id: str
    name: str
    owner: str
    kind: ProgramKind
    visibility: Visibility
    groups: tuple[str, ...] = ()
    description: str | None
    backend: str | None
    group: str | None
    cost: float | None
    limits: LimitOverrides
    max_attempts: int
    quota: Quota = Quota()
    latest: VersionView
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, program: Program) -> Self:
        """Return what clients see of a program."""
        fields = {name: getattr(program, name) for name in cls.model_fields if name != "latest"}
        newest = {name: getattr(program.latest, name) for name in VersionView.model_fields if name != "kind"}
        return cls(**fields, latest=VersionView(**newest, kind=program.kind))


class ProgramList(_View):
    """`GET /v1/programs`, newest first. `next_cursor` is null on the last page."""

    programs: tuple[ProgramView, ...]
    next_cursor: str | None
    total: int
