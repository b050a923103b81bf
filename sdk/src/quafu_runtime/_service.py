"""A user's side of a runtime, blocking."""

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from qrt_contracts.api_fleet import BackendView
from qrt_contracts.api_programs import ProgramList, ProgramView, VersionView
from quafu_runtime import _calls, _html
from quafu_runtime._account import Account
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
from quafu_runtime._client import Client
from quafu_runtime._httpx import httpx
from quafu_runtime._job import Job
from quafu_runtime._many import ManyState
from quafu_runtime._program import RuntimeProgram, has_source, listed, program_fields, read_source
from quafu_runtime._program_sync import Program, versions_of
from quafu_runtime._project import archive_of
from quafu_runtime._said import NO_PROGRAMS, SKIP_OUT_OF_RANGE, say
from quafu_runtime._status import JobStatus, state_of
from quafu_runtime._stream_sync import JobsStream
from quafu_runtime._sweep import Sweep
from quafu_runtime._sweep_state import CONCURRENCY
from quafu_runtime.errors import InvalidRequest, NotFound


class RuntimeService:
    """Programs and jobs of one account on one runtime.

    Every method may raise `NotAuthenticated` (the token), `Unreachable` (no answer) and `Unavailable`.
    `transport` replaces the network, for tests.
    """

    def __init__(
        self, account: Account | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._client = Client(account or Account(), transport)
        self._catalogue = Catalogue()

    @property
    def client(self) -> Client:
        """What carries its requests, for those that it has no method for."""
        return self._client

    # --- programs -----------------------------------------------------------------------------

    def upload_program(
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
        """Upload a program and return its id.

        Args:
            data: Python source with a `run` function, or the path of a file that holds it.
            metadata: the arguments below in one dictionary; arguments win over it.
            name: 1 to 128 characters, unique among your programs. Required, here or in `metadata`.
            description: what it does, for people.
            backend: where its circuits run.
            group: whom it is shared with. Kept, without effect.
            is_public: let other accounts run it.
            cost: kept, without effect.
            max_execution_time: wall time limit of one run in seconds; short for `limits["wall_seconds"]`.
            limits: fields of `qrt_contracts.values.LimitOverrides`.
            max_attempts: how often a run is started when executors are lost, 1 to 20.

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
        view = self._client.send(_calls.create_program(fields))
        self._catalogue.forget()
        return view.id

    def upload_project(
        self,
        project: str | os.PathLike[str],
        *,
        name: str | None = None,
        kind: str | None = None,
        description: str | None = None,
        **others: Any,
    ) -> Program:
        """Upload a project, a folder or an archive of one (zip, tar, tar.gz), and return its program.

        The runtime judges it first, then builds what it requires: `wait_for_build` waits for that. Jobs
        may be run at once, and wait for it too.

        Args:
            project: the path of the folder with `src/program.py` (or a Dockerfile), or of the archive.
            name: 1 to 128 characters, unique among your programs; else that in its `planqk.json`.
            kind: "template" or "container"; else what its `planqk.json` says, or "template".
            description: what it does, for people; else that in its `planqk.json`.
            others: as in `upload_program`: backend, group, is_public, cost, max_execution_time, limits
                and max_attempts.

        Raises:
            NameTaken: you have a program of that name.
            ProgramInvalid: the project cannot be run; nothing was stored.
            InvalidRequest: an argument is wrong, or the project cannot be read.
            TooLarge: the runtime takes no archive of this size.
        """
        fields = project_fields(kind, name=name, description=description, **others)
        archive = archive_of(project)
        view = self._client.send(_calls.create_project(fields, archive))
        self._catalogue.forget()
        return Program.bound(view, self._client)

    def update_program(
        self,
        program_id: str,
        data: str | os.PathLike[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Program | None:
        """Change a program, print and return it. New `data` makes a new version; running jobs keep theirs.

        `metadata` and `changes` are as in `upload_program`; what is not given stays. With nothing to
        change, warns and returns None.

        Raises:
            ProgramNotFound, NameTaken, ProgramInvalid, InvalidRequest.
        """
        fields = program_fields(metadata, **changes)
        if data is None and not fields:
            warn_of_empty_update()
            return None
        if fields:
            view = self._client.send(_calls.update_program(program_id, fields))
        if data is not None:
            view = self._client.send(_calls.add_version(program_id, read_source(data)))
        self._catalogue.forget()
        program = self._with_source(view)
        say(f"After update, the program is:\n{program}")
        return program

    def delete_program(self, program_id: str) -> None:
        """Delete a program. Its jobs go on and keep their results.

        Raises:
            ProgramNotFound.
        """
        self._client.send(_calls.delete_program(program_id))
        self._catalogue.forget()
        say(f"Program {program_id} deleted.")

    def list_programs(
        self, refresh: bool = True, detailed: bool = False, limit: int | None = 10, skip: int = 0
    ) -> list[Program]:
        """Print your programs, oldest first, and return them; arguments as in `programs`."""
        found = self.programs(refresh=refresh, limit=limit, skip=skip)
        if not found and skip > 0:
            say(SKIP_OUT_OF_RANGE)
        say(listed(found, detailed=detailed) if found else NO_PROGRAMS)
        return found

    def programs(self, refresh: bool = False, limit: int | None = 10, skip: int = 0) -> list[Program]:
        """Return your programs without their source, oldest first.

        Args:
            refresh: ask the runtime even if the list is known.
            limit: the most to return; None is all.
            skip: how many to leave out at the beginning.
        """
        if (limit is not None and limit < 0) or skip < 0:
            raise InvalidRequest.because("limit and skip are not negative", field="limit")
        if refresh or not self._catalogue.complete:
            self._catalogue.replace(self._pages())
        known = self._catalogue.slice(limit=limit, skip=skip)
        return [Program.bound(view, self._client) for view in known]

    def program(
        self, program_id: str | None = None, name: str | None = None, refresh: bool = True
    ) -> Program:
        """Return a program with its source, by its id or, among your own, by its name.

        `refresh` is there for callers of earlier clients: the answer is always the runtime's.

        Raises:
            ProgramNotFound: there is none, or it is someone else's and private.
        """
        del refresh
        if program_id is not None:
            return self._with_source(self._client.send(_calls.get_program(program_id)))
        if name is None:
            raise InvalidRequest.because("name or program_id is a required field.", field="program_id")
        return self._with_source(self._by_name(name))

    def versions(self, program_id: str) -> list[VersionView]:
        """Return a program's versions, newest first; also as `program.versions()`.

        Raises:
            ProgramNotFound.
        """
        return versions_of(program_id, self._client)

    # --- jobs ---------------------------------------------------------------------------------

    def stream(self, *job_ids: str, all_jobs: bool = False, outputs: bool = False) -> JobsStream:
        """Return an iterator of what happens to many jobs, over one connection.

        It brings `InterimResult`, `LogText`, `JobChange`, `JobEnd` and `JobRefused`, each with its `job_id`.

        Args:
            job_ids: jobs to follow from their beginning; `follow` and `leave` change them later.
            all_jobs: also tell the changes of status of all your jobs, without an end.
            outputs: with `all_jobs`, also the outputs of those that run.

        Raises (while iterating):
            StreamBroken: the stream could not be resumed for a minute.
        """
        state = ManyState(job_ids, all_jobs=all_jobs, outputs=outputs)
        return JobsStream(self._client.account, state)

    def run(
        self,
        program_id: str | None = None,
        name: str | None = None,
        inputs: Any = None,
        params: Any = None,
        backend: str | None = None,
        *,
        version: int | None = None,
        priority: int = 0,
        seed: int | None = None,
        tags: Sequence[str] = (),
        secrets: Mapping[str, str] | None = None,
    ) -> Job:
        """Run a program and return the job at once.

        Args:
            program_id: the program; or
            name: its name, among your own.
            inputs: what the program gets as `params`: anything JSON holds. The first clients' name.
            params: the same. The later clients' name, with which the job's id is printed as they did.
            backend: accepted from earlier clients, without effect: a program runs on its own backend.
            version: a version of the program other than the newest.
            priority: -100 to 100, more goes first.
            seed: fixes what the simulator samples for the job's circuits, 0 to 2**63 - 1.
            tags: words to find the job by (`jobs(tag=)`).
            secrets: what only the program may read: `{"ibmToken": "..."}` is its environment variable
                SECRET_IBM_TOKEN. They are never told again, and struck out of the job's logs and failures.

        Raises:
            ProgramNotFound, InvalidRequest, Overloaded.
        """
        del backend
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
        view = self._client.send(_calls.submit(fields))
        if inputs is None:
            say(f"job created, job_id is {view.id}")
        return Job(view.id, client=self._client, view=view, params=inputs if params is None else params)

    def job(self, job_id: str) -> Job:
        """Return one of your jobs.

        Raises:
            JobNotFound.
        """
        return Job(job_id, client=self._client, view=self._client.send(_calls.get_job(job_id)))

    def run_many(
        self,
        program: str | RuntimeProgram,
        inputs: Iterable[Any],
        *,
        seed: int | None = None,
        version: int | None = None,
        priority: int = 0,
        tags: Sequence[str] = (),
        concurrency: int = CONCURRENCY,
    ) -> Sweep:
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
        sweep = Sweep(self._client, given, tag=f"sweep-{uuid4().hex}", concurrency=concurrency)

        def fields(index: int) -> dict[str, Any]:
            return sweep_fields(
                program,
                params=given[index],
                version=version,
                priority=priority,
                seed=None if seed is None else seed + index,
                tags=(*tags, sweep.tag),
            )

        sweep.submit(fields)
        return sweep

    def jobs(
        self,
        limit: int | None = 10,
        skip: int = 0,
        *,
        program_id: str | None = None,
        name: str | None = None,
        status: JobStatus | None = None,
        tag: str | None = None,
    ) -> list[Job]:
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
            program_id = (self._by_name(name)).id
        state = None if status is None else state_of(status)
        found: list[Job] = []
        cursor: str | None = None
        while limit is None or len(found) < limit + skip:
            size = _calls.PAGE if limit is None else min(limit + skip - len(found), _calls.PAGE)
            call = _calls.list_jobs(limit=size, cursor=cursor, program_id=program_id, status=state, tag=tag)
            page = self._client.send(call)
            found += [Job(view.id, client=self._client, view=view) for view in page.jobs]
            cursor = page.next_cursor
            if cursor is None:
                break
        return found[skip:] if limit is None else found[skip : skip + limit]

    # --- backends -----------------------------------------------------------------------------

    def backends(self) -> list[BackendView]:
        """Return where circuits can run, by name: qubits, gates, status, queue, whether it simulates."""
        return list((self._client.send(_calls.list_backends())).backends)

    def backend(self, name: str) -> BackendView:
        """Return one backend; its name is taken in upper or lower case.

        Raises:
            NotFound: there is none of that name; the text says which there are.
        """
        return self._client.send(_calls.get_backend(name))

    def save_quafu_token(self, token: str) -> None:
        """Keep your token for the Quafu cloud with the runtime: your jobs can then use its devices.

        It is kept sealed, and neither told again nor shown to programs.

        Raises:
            Conflict: this runtime takes no secrets.
            InvalidRequest: it is no token.
        """
        self._client.send(_calls.put_quafu_token(token))

    def has_quafu_token(self) -> bool:
        """Return whether the runtime keeps a token of yours for the Quafu cloud."""
        try:
            self._client.send(_calls.get_quafu_token())
        except NotFound:
            return False
        return True

    def delete_quafu_token(self) -> None:
        """Have the runtime forget your token for the Quafu cloud.

        Raises:
            NotFound: it keeps none.
        """
        self._client.send(_calls.delete_quafu_token())

    def _repr_html_(self) -> str:
        return _html.facts(type(self).__name__, self._catalogue.facts(self._client.account.get_url()))

    # --- the rest -----------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections; the service and its jobs are of no use afterwards."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pages(self) -> list[ProgramList]:
        pages = [self._client.send(_calls.list_programs())]
        while (cursor := pages[-1].next_cursor) is not None:
            pages.append(self._client.send(_calls.list_programs(cursor=cursor)))
        return pages

    def _by_name(self, name: str) -> ProgramView:
        cursor: str | None = None
        while True:
            page = self._client.send(_calls.list_programs(name=name, cursor=cursor))
            found = named(page, name)
            if found is not None:
                return found
            cursor = page.next_cursor
            if cursor is None:
                raise no_program(name)

    def _with_source(self, view: ProgramView) -> Program:
        source = None
        if has_source(view):
            source = self._client.send(_calls.get_source(view.id))
        return Program.bound(view, self._client, data=source)
