"""What a service does besides sending: putting requests together and keeping the list it has seen."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from qrt_contracts.api_programs import ProgramList, ProgramView
from qrt_contracts.ids import plain
from quafu_runtime._program import RuntimeProgram, program_fields, read_source
from quafu_runtime.errors import InvalidRequest, ProgramNotFound

MOST_AT_ONCE = 32
"""Requests of one sweep that may be on their way: as many as there are connections."""


def upload_fields(
    data: str | os.PathLike[str], metadata: Mapping[str, Any] | None, **given: Any
) -> dict[str, Any]:
    """Return the fields of an upload.

    Raises:
        InvalidRequest: the source cannot be read, there is no name, or the metadata is malformed.
    """
    fields = program_fields(metadata, **given)
    if not fields.get("name"):
        raise InvalidRequest.because("name is a required metadata field.", field="name")
    return {**fields, "source": read_source(data)}


def project_fields(kind: str | None, **given: Any) -> dict[str, Any]:
    """Return the fields of a project's upload. Raises: InvalidRequest."""
    fields = program_fields(None, **given)
    return fields if kind is None else {**fields, "kind": kind}


def warn_of_empty_update() -> None:
    """Warn of an update that was told to change nothing."""
    warnings.warn("nothing to change was given: no update is made", stacklevel=3)


def run_fields(
    *,
    program_id: str | None,
    name: str | None,
    inputs: Any,
    params: Any,
    version: int | None,
    priority: int,
    seed: int | None,
    tags: Sequence[str],
    secrets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the fields of a submission.

    Raises:
        InvalidRequest: no program is named, or both spellings of its input are given.
    """
    if program_id is None and name is None:
        raise InvalidRequest.because("one of program_id and name is needed.", field="program_id")
    if inputs is not None and params is not None:
        raise InvalidRequest.because("inputs and params are two names of one argument: give one of them")
    named = {"program_id": program_id} if program_id is not None else {"program_name": name}
    fields = {**named, "input": inputs if params is None else params, "priority": priority}
    more = {
        "version": version,
        "seed": seed,
        "tags": tuple(tags) or None,
        "secrets": dict(secrets) if secrets else None,
    }
    return fields | {name: value for name, value in more.items() if value is not None}


def sweep_fields(
    program: "str | RuntimeProgram",
    *,
    params: Any,
    version: int | None,
    priority: int,
    seed: int | None,
    tags: Sequence[str],
) -> dict[str, Any]:
    """Return the fields of one submission of a sweep; `program` is a program, its id or its name."""
    given = program if isinstance(program, str) else program.program_id
    by_id = plain(given) is not None
    return run_fields(
        program_id=given if by_id else None,
        name=None if by_id else given,
        inputs=None,
        params=params,
        version=version,
        priority=priority,
        seed=seed,
        tags=tags,
    )


def check_concurrency(concurrency: int) -> None:
    """Return if it is a number of requests that can be on their way. Raises InvalidRequest."""
    if not 1 <= concurrency <= MOST_AT_ONCE:
        raise InvalidRequest.because(
            f"concurrency is a whole number from 1 to {MOST_AT_ONCE}", field="concurrency"
        )


class Catalogue:
    """The account's programs, oldest first, as last read from the runtime."""

    def __init__(self) -> None:
        self.complete = False
        self._programs: list[ProgramView] = []

    def replace(self, pages: list[ProgramList]) -> None:
        """Take in the whole list, page by page, newest first as the runtime gives it."""
        newest_first = [view for page in pages for view in page.programs]
        self._programs = newest_first[::-1]
        self.complete = True

    def forget(self) -> None:
        """Read anew next time: something was changed from here."""
        self.complete = False

    def slice(self, *, limit: int | None, skip: int) -> list[ProgramView]:
        """Return `limit` programs after the first `skip`."""
        return self._programs[skip:] if limit is None else self._programs[skip : skip + limit]

    def facts(self, url: str) -> list[tuple[str, Any]]:
        """Return what a notebook shows of a service: nothing that would have to be asked for."""
        listed = ", ".join(program.name for program in self._programs) or None
        return [("runtime", url), ("programs, as last listed", listed)]

    def __len__(self) -> int:
        return len(self._programs)


def named(page: ProgramList, name: str) -> ProgramView | None:
    """Return the program of that name, if it is on this page."""
    return next((view for view in page.programs if view.name == name), None)


def no_program(name: str) -> ProgramNotFound:
    """Return the error for a name that none of the account's programs has."""
    return ProgramNotFound.because(f"you have no program named {name!r}", field="name")
