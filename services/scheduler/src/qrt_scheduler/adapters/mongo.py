"""Jobs and outputs in MongoDB, database `scheduler`.

| collection | _id | what |
|---|---|---|
| jobs | job id | the job, with the outbox of its last change |
| outputs | job:attempt:first | one batch of outputs as it arrived |
| keys | sha256 of owner and idempotency key | the job a key made |
| queue | `snapshot` | what the dispatcher knew a moment ago |

Look-ups are by `_id` or by an indexed equality; changes are guarded `update_one`. Jobs are stored in
their JSON form: user documents are text inside, so no user key or number ever becomes BSON.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pymongo.errors import BulkWriteError, DuplicateKeyError

from qrt_chassis.grouped import Grouped
from qrt_chassis.store import Store, drop_index, keep_index
from qrt_contracts.events import CancelRequested, Event, JobChanged, JobEnded, JobOutput, JobSubmitted
from qrt_contracts.faults import Unavailable
from qrt_contracts.jobs import AttemptEnd, Job
from qrt_contracts.rights import Shares
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import Output, ProgramKind, Resources
from qrt_scheduler import metrics
from qrt_scheduler.adapters.pages import Pages
from qrt_scheduler.domain.access import shared_with
from qrt_scheduler.domain.needs import Needs
from qrt_scheduler.domain.place import Snapshot
from qrt_scheduler.ports import READ_BYTES, JobFilter, JobHead, Newest, Outgoing, UnreadableJob

log = logging.getLogger(__name__)

DATABASE = "scheduler"
INSERTED = 64
"""Jobs stored by one write at most."""
COUNTED = 10_000
"""A queue position is exact up to here; further back the difference tells an owner nothing."""
_REPLACED = ("status_1", "owner_1_status_1")
"""Indexes of earlier releases that others do the work of: each costs something at every change of a job."""
_DUPLICATE = 11000
"""The server's code for a key that is taken."""
_EVENTS: dict[str, type[Event]] = {
    each.schema_name: each for each in (JobSubmitted, CancelRequested, JobChanged, JobEnded)
}
_HEAD = {
    "owner": 1,
    "run.program_id": 1,
    "run.quota": 1,
    "run.kind": 1,
    "run.resources": 1,
    "priority": 1,
    "status": 1,
    "attempt": 1,
    "cancel_requested": 1,
    "attempts": 1,
    "environment": 1,
}


class MongoJobs:
    """The `JobStore` port."""

    def __init__(self, store: Store) -> None:
        database = store.database(DATABASE)
        self._jobs = database["jobs"]
        self._keys = database["keys"]
        self._queue = database["queue"]
        self._pages = Pages(store, DATABASE)
        self._inserts = Grouped(self._insert, most=INSERTED, owner="insertion of jobs")

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await keep_index(self._jobs, [("owner", 1), ("_id", -1)])
        await keep_index(self._jobs, [("status", 1), ("owner", 1), ("_id", -1)])
        await keep_index(self._jobs, [("owner", 1), ("tags", 1)])
        await keep_index(self._jobs, "shared_with", sparse=True)
        await keep_index(self._jobs, "ended_on", sparse=True)
        await keep_index(self._jobs, "outbox.token", sparse=True)
        for each in _REPLACED:
            await drop_index(self._jobs, each)
        await keep_index(self._keys, "job_id")
        await keep_index(self._keys, "at")

    async def insert(self, job: Job, outgoing: Outgoing) -> bool:
        """Store a new job; False if the id is taken. Jobs that come together are stored together."""
        document = _document(job) | {"_id": job.id, "outbox": self._outbox(outgoing, job.created_at)}
        return await self._inserts.ask(document)

    async def _insert(self, documents: Sequence[dict[str, Any]]) -> list[bool]:
        try:
            await self._jobs.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            faults = error.details["writeErrors"]
            if any(each["code"] != _DUPLICATE for each in faults):
                raise
            if error.details["writeConcernErrors"]:
                raise Unavailable("the store has not confirmed that it keeps the job; try again") from error
            taken = {each["index"] for each in faults}
            return [place not in taken for place in range(len(documents))]
        return [True] * len(documents)

    async def get(self, job_id: str) -> Job | None:
        """Return a job. Raises: UnreadableJob."""
        found = await self._jobs.find_one({"_id": job_id})
        return _job(found) if found else None

    async def newest(self, job_id: str) -> Newest | None:
        """Return a job's newest attempt, 0 before the first; None if there is no such job."""
        fields = {"attempt": 1, "attempts.end": 1}
        found = await self._jobs.find_one({"_id": job_id}, fields)
        if found is None:
            return None
        ends = [each.get("end") for each in found.get("attempts") or []]
        return Newest(int(found.get("attempt") or 0), bool(ends) and ends[-1] == AttemptEnd.LOST)

    async def update(self, old: Job, new: Job, outgoing: Outgoing) -> bool:
        """Store a change if the job still is as `old` says."""
        before, after = _document(old), _document(new)
        changes = {key: value for key, value in after.items() if before.get(key) != value}
        changes["outbox"] = self._outbox(outgoing, datetime.now(old.created_at.tzinfo))
        result = await self._jobs.update_one(_as_seen(old), {"$set": changes})
        return bool(result.matched_count)

    async def share(self, job_id: str, shares: Shares) -> bool:
        """Set with whom a job is shared, and nothing else of it; False if there is none."""
        fields = {"shares": shares.model_dump(mode="json"), "shared_with": shared_with(shares)}
        result = await self._jobs.update_one({"_id": job_id}, {"$set": fields})
        return bool(result.matched_count)

    async def delete(self, job_id: str) -> bool:
        """Remove an ended job and the idempotency keys that name it."""
        # The keys first: one that outlived its job would make another job of the same id, whose
        # attempts have the numbers of the first one's.
        await self._keys.delete_many({"job_id": job_id})
        ended = {"_id": job_id, "status": {"$in": sorted(TERMINAL)}}
        result = await self._jobs.delete_one(ended)
        return bool(result.deleted_count)

    async def page(self, which: JobFilter, *, limit: int, before: str | None) -> list[Job]:
        """Return up to `limit` jobs, newest first, with ids below `before`."""
        query: dict[str, Any] = {} if which.owner is None else {"owner": which.owner}
        if which.not_of is not None:
            query["owner"] = {"$ne": which.not_of}
        if which.shared_with is not None:
            query["shared_with"] = {"$in": list(which.shared_with)}
        if which.program_id:
            query["run.program_id"] = which.program_id
        if which.status:
            query["status"] = which.status.value
        if which.tag:
            query["tags"] = which.tag
        found = await self._pages.read(query, limit=limit, before=before)
        return [job for each in found if (job := _readable(each))]

    async def unfinished(self) -> AsyncIterator[JobHead]:
        """Yield every job that is queued, then every job that is running."""
        for status in (JobState.QUEUED, JobState.RUNNING):
            async for each in self._jobs.find({"status": status.value}, _HEAD):
                if head := _head(each, status):
                    yield head

    async def ahead(self, job: Job) -> int:
        """Count the owner's queued jobs that go before this one, up to `COUNTED`."""
        query = {
            "owner": job.owner,
            "status": JobState.QUEUED.value,
            "$or": [
                {"priority": {"$gt": job.priority}},
                {"priority": job.priority, "_id": {"$lt": job.id}},
            ],
        }
        return int(await self._jobs.count_documents(query, limit=COUNTED))

    async def ended_before(self, moment: datetime, *, limit: int) -> list[str]:
        """Return the ids of up to `limit` jobs that ended before a moment."""
        found = self._jobs.find({"ended_on": {"$lt": moment}}, {"_id": 1}).limit(limit)
        return [each["_id"] async for each in found]

    async def forget_keys(self, before: datetime) -> None:
        """Remove idempotency keys that were bound before a moment."""
        await self._keys.delete_many({"at": {"$lt": before}})

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Store what the dispatcher knows, for every replica to answer from."""
        body = {"body": snapshot.model_dump_json()}
        await self._queue.update_one({"_id": "snapshot"}, {"$set": body}, upsert=True)

    async def snapshot(self) -> Snapshot | None:
        """Return the newest stored snapshot."""
        found = await self._queue.find_one({"_id": "snapshot"})
        return Snapshot.model_validate_json(found["body"]) if found else None

    async def claim_key(
        self, owner: str, key: str, *, job_id: str, fingerprint: str, now: datetime
    ) -> tuple[str, str]:
        """Bind an idempotency key to a job unless it is bound; return what it is bound to."""
        name = hashlib.sha256(f"{owner}\x00{key}".encode()).hexdigest()
        bond = {"_id": name, "job_id": job_id, "fingerprint": fingerprint, "at": now}
        try:
            await self._keys.insert_one(bond)
        except DuplicateKeyError:
            bound = await self._keys.find_one({"_id": name})
            if bound is None:
                raise Unavailable("the idempotency key was forgotten just now; try again") from None
            return str(bound["job_id"]), str(bound["fingerprint"])
        return job_id, fingerprint

    async def sent(self, outgoing: Sequence[Outgoing]) -> None:
        """Empty these outboxes, as far as no later change has replaced them."""
        await self._jobs.update_many(
            {
                "_id": {"$in": [each.job_id for each in outgoing]},
                "outbox.token": {"$in": [each.token for each in outgoing]},
            },
            {"$unset": {"outbox": ""}},
        )

    async def unsent(self, *, before: datetime, after: datetime, limit: int) -> list[Outgoing]:
        """Return outboxes of changes before `before`, or after `after`: whose clock was wrong."""
        query = {
            "outbox.token": {"$gt": ""},
            "$or": [
                {"outbox.at": {"$lt": before.timestamp()}},
                {"outbox.at": {"$gt": after.timestamp()}},
            ],
        }
        found = self._jobs.find(query, {"outbox": 1}).limit(limit)
        return [left async for each in found if (left := _left(each))]

    @staticmethod
    def _outbox(outgoing: Outgoing, at: datetime) -> dict[str, Any]:
        return {
            "token": outgoing.token,
            "at": at.timestamp(),
            "events": [
                {"schema": event.schema_name, "body": event.model_dump_json()} for event in outgoing.events
            ],
        }


class MongoOutputs:
    """The `OutputStore` port."""

    def __init__(self, store: Store) -> None:
        self._outputs = store.database(DATABASE)["outputs"]

    async def prepare(self) -> None:
        """Make the indexes."""
        await keep_index(self._outputs, [("attempt", 1), ("last", 1)])
        await keep_index(self._outputs, "job")

    async def add(self, batch: JobOutput) -> None:
        """Store a batch; one with the same job, attempt and first number changes nothing."""
        first, last = batch.outputs[0].number, batch.outputs[-1].number
        document = {
            "_id": f"{batch.job_id}:{batch.attempt}:{first}",
            "job": batch.job_id,
            "attempt": f"{batch.job_id}:{batch.attempt}",
            "first": first,
            "last": last,
            "outputs": [each.model_dump(mode="json", exclude_none=True) for each in batch.outputs],
        }
        try:
            await self._outputs.insert_one(document)
        except DuplicateKeyError:
            return

    async def read(self, job_id: str, attempt: int, *, after: int, limit: int) -> list[Output]:
        """Return outputs from number `after` + 1 on, without a gap, at most `limit` or `READ_BYTES`."""
        query = {"attempt": f"{job_id}:{attempt}", "last": {"$gt": after}}
        found: list[Output] = []
        size = 0
        async for bucket in self._outputs.find(query).sort("last", 1).limit(limit):
            for raw in bucket["outputs"]:
                expected = after + len(found) + 1
                if raw["number"] > expected or len(found) == limit or size >= READ_BYTES:
                    return found
                if raw["number"] == expected:
                    found.append(Output.model_validate(raw))
                    size += len(raw["data"])
        return found

    async def delete(self, job_id: str) -> None:
        """Remove all outputs of a job."""
        await self._outputs.delete_many({"job": job_id})


def _document(job: Job) -> dict[str, Any]:
    # `ended_on` is the one date among the texts: what retention looks jobs up by.
    ended = {"ended_on": job.ended_at} if job.ended_at else {}
    # The key is stored beside the lock, so that taking over reads no locks.
    key = {"environment": job.environment_key} if job.environment_key else {}
    # What `share` alone writes is no part of any other change.
    return job.model_dump(mode="json", exclude={"id", "shares"}) | ended | key


def _job(document: dict[str, Any]) -> Job:
    try:
        return Job.model_validate(document | {"id": document["_id"]})
    except ValidationError as error:
        metrics.UNREADABLE.inc()
        raise UnreadableJob(f"job {document['_id']}: {error.error_count()} faults in its record") from error


def _readable(document: dict[str, Any]) -> Job | None:
    try:
        return _job(document)
    except UnreadableJob:
        log.exception("a job is passed over", extra={"job_id": document["_id"]})
        return None


def _head(document: dict[str, Any], status: JobState) -> JobHead | None:
    try:
        newest = document["attempts"][-1] if document["attempts"] else {}
        run = document["run"]
        return JobHead(
            job_id=document["_id"],
            owner=document["owner"],
            program_id=run["program_id"],
            max_running=(run.get("quota") or {}).get("running"),
            needs=Needs.of(ProgramKind(run["kind"]), Resources.model_validate(run.get("resources") or {})),
            environment=document.get("environment"),
            priority=document["priority"],
            status=status,
            attempt=document["attempt"],
            executor=newest.get("executor"),
            incarnation=newest.get("incarnation"),
            cancel_requested=document["cancel_requested"],
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        metrics.UNREADABLE.inc()
        log.exception("a job is passed over", extra={"job_id": document["_id"]})
        return None


def _left(document: dict[str, Any]) -> Outgoing | None:
    outbox = document["outbox"]
    try:
        events = tuple(_EVENTS[each["schema"]].model_validate_json(each["body"]) for each in outbox["events"])
    except (KeyError, TypeError, ValidationError):
        metrics.UNREADABLE.inc()
        log.exception("an outbox is passed over", extra={"job_id": document["_id"]})
        return None
    return Outgoing(token=outbox["token"], job_id=document["_id"], events=events)


def _as_seen(job: Job) -> dict[str, Any]:
    return {
        "_id": job.id,
        "status": job.status.value,
        "attempt": job.attempt,
        "revision": job.revision,
    }
