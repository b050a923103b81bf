"""What stands behind the gateway, in memory: blobs, and the two services that answer commands."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from typing import Any

from qrt_chassis.bus.memory import MemoryBus
from qrt_contracts import commands as c
from qrt_contracts.events import JobChanged, JobOutput
from qrt_contracts.faults import Conflict, NameTaken, NotFound, ProgramInvalid, TooLarge, Unavailable
from qrt_contracts.jobs import Job, QueuePlace
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import (
    Artifact,
    Build,
    BuildState,
    Limits,
    Output,
    OutputKind,
    Payload,
    Program,
    ProgramKind,
    RunSpec,
    Version,
    Visibility,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class MemoryArtifacts:
    """The `Artifacts` port; texts over `inline` characters become blobs."""

    def __init__(self, *, inline: int = 1000) -> None:
        self.blobs: dict[str, bytes] = {}
        self.uploads: set[str] = set()
        """What was not kept yet."""
        self._inline = inline

    async def keep(self, sha256: str) -> None:
        self.uploads.discard(sha256)

    async def put(
        self, data: bytes | AsyncIterable[bytes], *, limit: int | None = None, upload: bool = False
    ) -> Artifact:
        if not isinstance(data, bytes):
            pieces = []
            async for piece in data:
                pieces.append(piece)
                if limit is not None and sum(map(len, pieces)) > limit:
                    raise TooLarge(f"more than the {limit} bytes allowed")
            data = b"".join(pieces)
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        if upload:
            self.uploads.add(digest)
        return Artifact(sha256=digest, size=len(data))

    async def read(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if sha256 not in self.blobs:
            raise NotFound(f"there is no artifact {sha256}")
        data = self.blobs[sha256][start:end]
        for at in range(0, len(data), 100):
            yield data[at : at + 100]

    async def wrap(self, text: str) -> Payload:
        if len(text) <= self._inline:
            return Payload(text=text)
        return Payload(artifact=await self.put(text.encode()))


class FakeRegistry:
    """Answers what the gateway sends to the registry."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.versions: dict[str, list[Version]] = {}
        self.build = Build()
        """Of every new version."""
        self.build_log: list[str] = []
        """Of every version."""
        self.build_reads: list[c.ReadBuildLog] = []
        self.refusal: ProgramInvalid | None = None
        self.signature: Payload | None = None
        """What every program takes."""

    def handlers(self) -> dict[type[Any], Any]:
        return {
            c.CreateProgram: self.create,
            c.AddVersion: self.add_version,
            c.UpdateProgram: self.update,
            c.DeleteProgram: self.delete,
            c.GetProgram: self.get,
            c.ListPrograms: self.list,
            c.ListVersions: self.list_versions,
            c.ReadBuildLog: self.read_build_log,
            c.ResolveRun: self.resolve,
        }

    async def create(self, command: c.CreateProgram) -> c.ProgramFound:
        if self.refusal is not None:
            raise self.refusal
        if self._named(command.caller, command.name):
            raise NameTaken(f"you have a program named {command.name!r} already", field="name")
        fields = command.model_dump(exclude={"caller", "program_id", "bundle", "image"})
        fields |= {"name": command.name or "unnamed", "kind": command.kind or ProgramKind.TEMPLATE}
        latest = Version(
            number=1, bundle=command.bundle, created_at=NOW, image=command.image, build=self.build
        )
        self.versions[command.program_id] = [latest]
        self.programs[command.program_id] = program = Program(
            id=command.program_id,
            owner=command.caller,
            latest=latest,
            created_at=NOW,
            updated_at=NOW,
            **fields,
        )
        return c.ProgramFound(program=program)

    async def add_version(self, command: c.AddVersion) -> c.ProgramFound:
        old = self._visible(command.caller, command.program_id)
        number = old.latest.number + 1
        latest = Version(
            number=number, bundle=command.bundle, created_at=NOW, image=command.image, build=self.build
        )
        self.versions[old.id].append(latest)
        return self._changed(old, latest=latest)

    async def update(self, command: c.UpdateProgram) -> c.ProgramFound:
        fields = command.model_dump(exclude={"caller", "program_id"}, exclude_none=True)
        return self._changed(self._visible(command.caller, command.program_id), **fields)

    async def delete(self, command: c.DeleteProgram) -> c.Done:
        del self.programs[self._visible(command.caller, command.program_id).id]
        return c.Done()

    async def get(self, command: c.GetProgram) -> c.ProgramFound:
        return c.ProgramFound(program=self._visible(command.caller, command.program_id, command.name))

    async def list(self, command: c.ListPrograms) -> c.ProgramPage:
        mine = [each for each in self.programs.values() if each.owner == command.caller]
        mine = [each for each in mine[::-1] if not command.cursor or each.id < command.cursor]
        page = tuple(mine[: command.limit])
        more = len(mine) > command.limit
        return c.ProgramPage(programs=page, next_cursor=page[-1].id if more else None, total=len(mine))

    async def list_versions(self, command: c.ListVersions) -> c.VersionPage:
        program = self._visible(command.caller, command.program_id)
        below = int(command.cursor or 1 << 30)
        found = [each for each in self.versions[program.id][::-1] if each.number < below]
        page = found[: command.limit]
        shared = {name for name in c.VersionSummary.model_fields if name != "kind"}
        return c.VersionPage(
            versions=tuple(
                c.VersionSummary(kind=program.kind, **{name: getattr(each, name) for name in shared})
                for each in page
            ),
            next_cursor=str(page[-1].number) if len(found) > len(page) else None,
            total=len(self.versions[program.id]),
        )

    async def read_build_log(self, command: c.ReadBuildLog) -> c.BuildLogPage:
        self.build_reads.append(command)
        self._visible(command.caller, command.program_id)
        lines = tuple(self.build_log[command.after : command.after + 2])
        last = command.after + len(lines)
        ended = self.build.state is not BuildState.BUILDING
        return c.BuildLogPage(
            lines=lines, last=last, complete=ended and last >= len(self.build_log), build=self.build
        )

    async def resolve(self, command: c.ResolveRun) -> c.RunResolved:
        program = self._visible(command.caller, command.program_id, command.name)
        run = RunSpec(
            program_id=program.id,
            program_name=program.name,
            version=command.version or program.latest.number,
            kind=program.kind,
            bundle=program.latest.bundle,
            backend=program.backend,
            limits=Limits(),
            max_attempts=program.max_attempts,
        )
        return c.RunResolved(run=run, signature=self.signature)

    def _changed(self, old: Program, **fields: Any) -> c.ProgramFound:
        self.programs[old.id] = new = old.model_copy(update=fields)
        return c.ProgramFound(program=new)

    def _named(self, owner: str, name: str | None) -> Program | None:
        found = (each for each in self.programs.values() if (each.owner, each.name) == (owner, name))
        return next(found, None)

    def _visible(self, caller: str, program_id: str | None, name: str | None = None) -> Program:
        program = self.programs.get(program_id or "") or self._named(caller, name)
        if program is None or (program.owner != caller and program.visibility is Visibility.PRIVATE):
            raise NotFound(f"there is no program {program_id or name}, or it is not yours")
        return program


class FakeScheduler:
    """Answers what the gateway sends to the scheduler, and tells the news of jobs when a test says so."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self.jobs: dict[str, Job] = {}
        self.outputs: dict[tuple[str, int], list[Output]] = {}
        self.submissions: list[c.SubmitJob] = []
        self.reads: list[c.ReadOutputs] = []
        self.looks: list[c.GetJob] = []
        self.place: QueuePlace | None = None
        self.page_size = 10_000
        self.swallowed = 0
        """How many more submissions are carried out and answered by a fault."""
        self._keys: dict[str, tuple[str, str | None]] = {}

    def handlers(self) -> dict[type[Any], Any]:
        return {
            c.SubmitJob: self.submit,
            c.GetJob: self.get,
            c.ListJobs: self.list,
            c.CancelJob: self.cancel,
            c.DeleteJob: self.delete,
            c.ReadOutputs: self.read,
        }

    async def submit(self, command: c.SubmitJob) -> c.Submitted:
        self.submissions.append(command)
        if command.job_id in self.jobs:
            return c.Submitted(job=self.jobs[command.job_id], repeated=True)
        if command.idempotency_key:
            bound = self._keys.setdefault(command.idempotency_key, (command.job_id, command.fingerprint))
            if bound[1] != command.fingerprint:
                raise Conflict("this idempotency key was used with another request")
            if bound[0] != command.job_id:
                return c.Submitted(job=self.jobs[bound[0]], repeated=True)
        job = self.add(command.job_id, owner=command.caller, run=command.run, tags=command.tags)
        if self.swallowed:
            self.swallowed -= 1
            raise Unavailable("the answer was lost")
        return c.Submitted(job=job)

    def add(self, job_id: str, *, owner: str = "alice", run: RunSpec | None = None, **fields: Any) -> Job:
        run = run or RunSpec(
            program_id="1" * 32,
            program_name="hello",
            version=1,
            kind=ProgramKind.QUAFU,
            bundle=Artifact(sha256="a" * 64, size=1),
            backend=None,
            limits=Limits(),
            max_attempts=3,
        )
        self.jobs[job_id] = job = Job(
            **{
                "id": job_id,
                "owner": owner,
                "run": run,
                "input": Payload(text="null"),
                "status": JobState.QUEUED,
                "attempt": 0,
                "created_at": NOW,
            }
            | fields
        )
        return job

    async def change(self, job_id: str, *, tell: bool = True, **fields: Any) -> None:
        self.jobs[job_id] = job = self.jobs[job_id].model_copy(update=fields)
        if tell:
            await self._bus.publish(
                JobChanged(
                    job_id=job_id,
                    status=job.status,
                    attempt=job.attempt,
                    last_output=job.last_output,
                    problem=job.problem,
                    owner=job.owner,
                )
            )

    async def output(self, job_id: str, *texts: str, store: bool = True, tell: bool = True) -> None:
        job = self.jobs[job_id]
        stored = self.outputs.setdefault((job_id, job.attempt), [])
        new = tuple(
            Output(number=number, kind=OutputKind.LOG, at=NOW, stream="stdout", data=text)
            for number, text in enumerate(texts, start=len(stored) + 1)
        )
        if store:
            stored.extend(new)
        if tell:
            await self._bus.publish(JobOutput(job_id=job_id, attempt=job.attempt, outputs=new))

    async def end(self, job_id: str, *, tell: bool = True, result: str | None = "1", **fields: Any) -> None:
        job = self.jobs[job_id]
        last = len(self.outputs.get((job_id, job.attempt), []))
        await self.change(
            job_id,
            tell=tell,
            **{
                "status": JobState.SUCCEEDED,
                "result": Payload(text=result) if result is not None else None,
                "last_output": last,
                "ended_at": NOW,
            }
            | fields,
        )

    async def get(self, command: c.GetJob) -> c.Submitted:
        self.looks.append(command)
        place = self.place if command.place else None
        return c.Submitted(job=self._own(command.caller, command.job_id), place=place)

    async def list(self, command: c.ListJobs) -> c.JobPage:
        mine = [job for job in self.jobs.values() if job.owner == command.caller]
        mine = [job for job in mine if command.status in (None, job.status)]
        mine = [job for job in mine if command.tag is None or command.tag in job.tags]
        mine = [job for job in mine if command.program_id in (None, job.run.program_id)]
        mine = [job for job in mine[::-1] if not command.cursor or job.id < command.cursor]
        page = tuple(mine[: command.limit])
        more = len(mine) > command.limit
        return c.JobPage(jobs=page, next_cursor=page[-1].id if more else None)

    async def cancel(self, command: c.CancelJob) -> c.Submitted:
        if self._own(command.caller, command.job_id).status not in TERMINAL:
            await self.change(command.job_id, status=JobState.CANCELLED, ended_at=NOW)
        return c.Submitted(job=self.jobs[command.job_id])

    async def delete(self, command: c.DeleteJob) -> c.Done:
        if self._own(command.caller, command.job_id).status not in TERMINAL:
            raise Conflict("cancel it before deleting it")
        del self.jobs[command.job_id]
        return c.Done()

    async def read(self, command: c.ReadOutputs) -> c.OutputPage:
        self.reads.append(command)
        job = self._own(command.caller, command.job_id)
        after = command.after if command.attempt == job.attempt else 0
        stored = self.outputs.get((job.id, job.attempt), [])
        found = stored[after : after + min(command.limit, self.page_size)]
        last = found[-1].number if found else after
        return c.OutputPage(
            attempt=job.attempt,
            status=job.status,
            outputs=tuple(each for each in found if command.kind in (None, each.kind)),
            last=last,
            complete=job.status in TERMINAL and last >= job.last_output,
        )

    def _own(self, caller: str, job_id: str) -> Job:
        job = self.jobs.get(job_id)
        if job is None or job.owner != caller:
            raise NotFound(f"there is no job {job_id}, or it is not yours")
        return job
