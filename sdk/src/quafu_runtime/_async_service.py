"""A user's side of a runtime, asynchronously: the twin of `_service`. It prints nothing."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from qrt_contracts.api_fleet import BackendView
from qrt_contracts.api_programs import ProgramList, ProgramView, VersionView
from quafu_runtime import _calls, _html
from quafu_runtime._account import Account
from quafu_runtime._async_client import AsyncClient
from quafu_runtime._async_job import AsyncJob
from quafu_runtime._async_sweep import AsyncSweep
from quafu_runtime._catalogue import (
    Catalogue,
    check_concurrency,
    named,
    no_program,
    project_fields,
    run_fields,
    sweep_fields,
    upload_fields,
    warn_of_empty_update,
)
from quafu_runtime._httpx import httpx
from quafu_runtime._many import ManyState
from quafu_runtime._program import RuntimeProgram, has_source, program_fields, read_source
from quafu_runtime._program_async import AsyncProgram, versions_of
from quafu_runtime._project import archive_of
from quafu_runtime._status import JobStatus, state_of
from quafu_runtime._stream_async import AsyncJobsStream
from quafu_runtime._sweep_state import CONCURRENCY
from quafu_runtime.errors import InvalidRequest, NotFound


class AsyncRuntimeService:
    """Programs and jobs of one account on one runtime; the methods of `RuntimeService`, to be awaited.

    For one event loop. `transport` replaces the network, for tests.
    """

    def __init__(
        self, account: Account | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = AsyncClient(account or Account(), transport)
        self._catalogue = Catalogue()

    @property
    def client(self) -> AsyncClient:
        """What carries its requests, for those that it has no method for."""
        return self._client

    # --- programs -----------------------------------------------------------------------------

    async def upload_program(
        self,
        data: str | os.PathLike[str],
        metadata: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        backend: str | None = None,
        group: str | None = None,
        is_public: bool | None = None,
        cost: float | None = None,
        max_execution_time: float | None = None,
        limits: Mapping[str, float] | None = None,
        max_attempts: int | None = None,
    ) -> str:
        """Upload a program and return its id; arguments as in `RuntimeService.upload_program`.

        Raises:
            NameTaken: you have a program of that name.
            ProgramInvalid: the source cannot be run; nothing was stored.
            InvalidRequest: an argument is wrong, or the file cannot be read.
        """
        fields = upload_fields(
            data,
            metadata,
            name=name,
            description=description,
            backend=backend,
            group=group,
            is_public=is_public,
            cost=cost,
            max_execution_time=max_execution_time,
            limits=limits,
            max_attempts=max_attempts,
        )
        view = await self._client.send(_calls.create_program(fields))
        self._catalogue.forget()
        return view.id

    async def upload_project(
        self,
        project: str | os.PathLike[str],
        *,
        name: str | None = None,
        kind: str | None = None,
        description: str | None = None,
        **others: Any,
    ) -> AsyncProgram:
        """Upload a project and return its program; see `RuntimeService.upload_project`.

        Raises:
            NameTaken, ProgramInvalid, InvalidRequest, TooLarge.
        """
        fields = project_fields(kind, name=name, description=description, **others)
        archive = await asyncio.to_thread(archive_of, project)
        view = await self._client.send(_calls.create_project(fields, archive))
        self._catalogue.forget()
        return AsyncProgram.bound(view, self._client)

    async def update_program(
        self,
        program_id: str,
        data: str | os.PathLike[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> AsyncProgram | None:
        """Change a program and return it; see `RuntimeService.update_program`.

        Raises:
            ProgramNotFound, NameTaken, ProgramInvalid, InvalidRequest.
        """
        fields = program_fields(metadata, **changes)
        if data is None and not fields:
            warn_of_empty_update()
            return None
        if fields:
            view = await self._client.send(_calls.update_program(program_id, fields))
        if data is not None:
            view = await self._client.send(_calls.add_version(program_id, read_source(data)))
        self._catalogue.forget()
        return await self._with_source(view)

    async def delete_program(self, program_id: str) -> None:
        """Delete a program. Its jobs go on and keep their results.

        Raises:
            ProgramNotFound.
        """
        await self._client.send(_calls.delete_program(program_id))
        self._catalogue.forget()

    async def programs(
        self, refresh: bool = False, limit: int | None = 10, skip: int = 0
    ) -> list[AsyncProgram]:
        """Return your programs without their source, oldest first; see `RuntimeService.programs`."""
        if (limit is not None and limit < 0) or skip < 0:
            raise InvalidRequest.because("limit and skip are not negative", field="limit")
        if refresh or not self._catalogue.complete:
            self._catalogue.replace(await self._pages())
        known = self._catalogue.slice(limit=limit, skip=skip)
        return [AsyncProgram.bound(view, self._client) for view in known]

    async def program(self, program_id: str | None = None, name: str | None = None) -> AsyncProgram:
        """Return a program with its source, by its id or, among your own, by its name.

        Raises:
            ProgramNotFound: there is none, or it is someone else's and private.
        """
        if program_id is not None:
            return await self._with_source(await self._client.send(_calls.get_program(program_id)))
        if name is None:
            raise InvalidRequest.because("name or program_id is a required field.", field="program_id")
        return await self._with_source(await self._by_name(name))

    async def versions(self, program_id: str) -> list[VersionView]:
        """Return a program's versions, newest first; also as `program.versions()`.

        Raises:
            ProgramNotFound.
        """
        return await versions_of(program_id, self._client)

    # --- jobs ---------------------------------------------------------------------------------

    def stream(self, *job_ids: str, all_jobs: bool = False, outputs: bool = False) -> AsyncJobsStream:
        """Return an asynchronous iterator of what happens to many jobs; see `RuntimeService.stream`."""
        state = ManyState(job_ids, all_jobs=all_jobs, outputs=outputs)
        return AsyncJobsStream(self._client.account, state)

    async def run(
        self,
        program_id: str | None = None,
        name: str | None = None,
        inputs: Any = None,
        params: Any = None,
        *,
        version: int | None = None,
        priority: int = 0,
        seed: int | None = None,
        tags: Sequence[str] = (),
        secrets: Mapping[str, str] | None = None,
    ) -> AsyncJob:
        """Run a program and return the job at once; arguments as in `RuntimeService.run`.

        Raises:
            ProgramNotFound, InvalidRequest, Overloaded.
        """
        fields = run_fields(
            program_id=program_id,
            name=name,
            inputs=inputs,
            params=params,
            version=version,
            priority=priority,
            seed=seed,
            tags=tags,
            secrets=secrets,
        )
        view = await self._client.send(_calls.submit(fields))
        return AsyncJob(view.id, client=self._client, view=view, params=inputs if params is None else params)

    async def job(self, job_id: str) -> AsyncJob:
        """Return one of your jobs.

        Raises:
            JobNotFound.
        """
        view = await self._client.send(_calls.get_job(job_id))
        return AsyncJob(job_id, client=self._client, view=view)

    async def run_many(
        self,
        program: str | RuntimeProgram,
        inputs: Iterable[Any],
        *,
        seed: int | None = None,
        version: int | None = None,
        priority: int = 0,
        tags: Sequence[str] = (),
        concurrency: int = CONCURRENCY,
    ) -> AsyncSweep:
        """Run a program once with each of `inputs`; return the jobs, seen together, once all are submitted.

        Args:
            program: the program, its id or, among your own, its name.
            inputs: what each job gets as `params`.
            seed: as for `run`; the k-th job, from 0, has `seed + k`.
            version: as for `run`.
            priority: as for `run`.
            tags: as for `run`; a tag of the sweep's own comes on top, `sweep.tag`.
            concurrency: submissions that are on their way at once, 1 to 32.

        Raises:
            ProgramNotFound, InvalidRequest, Overloaded: the first submission was refused. A later one that
                is refused is among the sweep's `failures`, and the others go on.
        """
        check_concurrency(concurrency)
        given = tuple(inputs)
        sweep = AsyncSweep(self._client, given, tag=f"sweep-{uuid4().hex}", concurrency=concurrency)

        def fields(index: int) -> dict[str, Any]:
            return sweep_fields(
                program,
                params=given[index],
                version=version,
                priority=priority,
                seed=None if seed is None else seed + index,
                tags=(*tags, sweep.tag),
            )

        await sweep.submit(fields)
        return sweep

    async def jobs(
        self,
        limit: int | None = 10,
        skip: int = 0,
        *,
        program_id: str | None = None,
        name: str | None = None,
        status: JobStatus | None = None,
        tag: str | None = None,
    ) -> list[AsyncJob]:
        """Return your jobs, newest first, those that all of the given filters let through.

        Args:
            limit: the most to return; None is all.
            skip: how many to leave out at the beginning.
            program_id: of this program; or
            name: of your program of this name.
            status: in this status.
            tag: with this tag.

        Raises:
            ProgramNotFound: you have no program of that name.
        """
        if name is not None:
            program_id = (await self._by_name(name)).id
        state = None if status is None else state_of(status)
        found: list[AsyncJob] = []
        cursor: str | None = None
        while limit is None or len(found) < limit + skip:
            size = _calls.PAGE if limit is None else min(limit + skip - len(found), _calls.PAGE)
            call = _calls.list_jobs(limit=size, cursor=cursor, program_id=program_id, status=state, tag=tag)
            page = await self._client.send(call)
            found += [AsyncJob(view.id, client=self._client, view=view) for view in page.jobs]
            cursor = page.next_cursor
            if cursor is None:
                break
        return found[skip:] if limit is None else found[skip : skip + limit]

    # --- backends -----------------------------------------------------------------------------

    async def backends(self) -> list[BackendView]:
        """Return where circuits can run, by name: qubits, gates, status, queue, whether it simulates."""
        return list((await self._client.send(_calls.list_backends())).backends)

    async def backend(self, name: str) -> BackendView:
        """Return one backend; its name is taken in upper or lower case.

        Raises:
            NotFound: there is none of that name; the text says which there are.
        """
        return await self._client.send(_calls.get_backend(name))

    async def save_quafu_token(self, token: str) -> None:
        """Keep your token for the Quafu cloud with the runtime: your jobs can then use its devices.

        It is kept sealed, and neither told again nor shown to programs.

        Raises:
            Conflict: this runtime takes no secrets.
            InvalidRequest: it is no token.
        """
        await self._client.send(_calls.put_quafu_token(token))

    async def has_quafu_token(self) -> bool:
        """Return whether the runtime keeps a token of yours for the Quafu cloud."""
        try:
            await self._client.send(_calls.get_quafu_token())
        except NotFound:
            return False
        return True

    async def delete_quafu_token(self) -> None:
        """Have the runtime forget your token for the Quafu cloud.

        Raises:
            NotFound: it keeps none.
        """
        await self._client.send(_calls.delete_quafu_token())

    def _repr_html_(self) -> str:
        return _html.facts(type(self).__name__, self._catalogue.facts(self._client.account.get_url()))

    # --- the rest -----------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close the connections; the service and its jobs are of no use afterwards."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _pages(self) -> list[ProgramList]:
        pages = [await self._client.send(_calls.list_programs())]
        while (cursor := pages[-1].next_cursor) is not None:
            pages.append(await self._client.send(_calls.list_programs(cursor=cursor)))
        return pages

    async def _by_name(self, name: str) -> ProgramView:
        cursor: str | None = None
        while True:
            page = await self._client.send(_calls.list_programs(name=name, cursor=cursor))
            found = named(page, name)
            if found is not None:
                return found
            cursor = page.next_cursor
            if cursor is None:
                raise no_program(name)

    async def _with_source(self, view: ProgramView) -> AsyncProgram:
        source = None
        if has_source(view):
            source = await self._client.send(_calls.get_source(view.id))
        return AsyncProgram.bound(view, self._client, data=source)
