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
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from qrt_chassis.store import Store
from qrt_contracts.events import CancelRequested, Event, JobChanged, JobOutput, JobSubmitted
from qrt_contracts.faults import Unavailable
from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_contracts.values import Output
from qrt_scheduler.domain.place import Snapshot
from qrt_scheduler.ports import JobFilter, JobHead, Outgoing

DATABASE = "scheduler"
COUNTED = 10_000
"""A queue position is exact up to here; further back the difference tells an owner nothing."""
_EVENTS: dict[str, type[Event]] = {
    each.schema_name: each for each in (JobSubmitted, CancelRequested, JobChanged)
}
_HEAD = {
    "owner": 1,
    "run.program_id": 1,
    "run.quota": 1,
    "priority": 1,
    "status": 1,
    "attempt": 1,
    "cancel_requested": 1,
    "attempts": 1,
}


class MongoJobs:
    """The `JobStore` port."""

    def __init__(self, store: Store) -> None:
        database = store.database(DATABASE)
        self._jobs = database["jobs"]
        self._keys = database["keys"]
        self._queue = database["queue"]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await self._jobs.create_index([("owner", 1), ("_id", -1)])
        await self._jobs.create_index([("owner", 1), ("status", 1)])
        await self._jobs.create_index("status")
        await self._jobs.create_index("ended_on", sparse=True)
        await self._jobs.create_index("outbox.token", sparse=True)

    async def insert(self, job: Job, outgoing: Outgoing) -> bool:
        """Store a new job; False if the id is taken."""
        document = _document(job) | {"_id": job.id, "outbox": self._outbox(outgoing, job.created_at)}
        try:
            await self._jobs.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def get(self, job_id: str) -> Job | None:
        """Return a job."""
        found = await self._jobs.find_one({"_id": job_id})
        return _job(found) if found else None

    async def update(self, old: Job, new: Job, outgoing: Outgoing) -> bool:
        """Store a change if the job still is as `old` says."""
        before, after = _document(old), _document(new)
        changes = {key: value for key, value in after.items() if before.get(key) != value}
        changes["outbox"] = self._outbox(outgoing, datetime.now(old.created_at.tzinfo))
        result = await self._jobs.update_one(_as_seen(old), {"$set": changes})
        return bool(result.matched_count)

    async def delete(self, job: Job) -> bool:
        """Remove a job if it still is as `job` says."""
        result = await self._jobs.delete_one(_as_seen(job))
        return bool(result.deleted_count)

    async def page(self, which: JobFilter, *, limit: int, before: str | None) -> list[Job]:
        """Return up to `limit` jobs, newest first, with ids below `before`."""
        query: dict[str, Any] = {"owner": which.owner}
        if which.program_id:
            query["run.program_id"] = which.program_id
        if which.status:
            query["status"] = which.status.value
        if before:
            query["_id"] = {"$lt": before}
        found = self._jobs.find(query).sort("_id", -1).limit(limit)
        return [_job(each) async for each in found]

    async def unfinished(self) -> AsyncIterator[JobHead]:
        """Yield every job that is queued or running."""
        for status in (JobState.RUNNING, JobState.QUEUED):
            async for each in self._jobs.find({"status": status.value}, _HEAD):
                newest = each["attempts"][-1] if each["attempts"] else {}
                yield JobHead(
                    job_id=each["_id"],
                    owner=each["owner"],
                    program_id=each["run"]["program_id"],
                    max_running=each["run"]["quota"]["running"],
                    priority=each["priority"],
                    status=status,
                    attempt=each["attempt"],
                    executor=newest.get("executor"),
                    incarnation=newest.get("incarnation"),
                    cancel_requested=each["cancel_requested"],
                )

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

    async def ended_before(self, moment: datetime, *, limit: int) -> AsyncIterator[Job]:
        """Yield up to `limit` jobs that ended before a moment."""
        found = self._jobs.find({"ended_on": {"$lt": moment}}).limit(limit)
        async for each in found:
            yield _job(each)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Store what the dispatcher knows, for every replica to answer from."""
        body = {"body": snapshot.model_dump_json()}
        await self._queue.update_one({"_id": "snapshot"}, {"$set": body}, upsert=True)

    async def snapshot(self) -> Snapshot | None:
        """Return the newest stored snapshot."""
        found = await self._queue.find_one({"_id": "snapshot"})
        return Snapshot.model_validate_json(found["body"]) if found else None

    async def claim_key(self, owner: str, key: str, *, job_id: str, fingerprint: str) -> tuple[str, str]:
        """Bind an idempotency key to a job unless it is bound; return what it is bound to."""
        name = hashlib.sha256(f"{owner}\x00{key}".encode()).hexdigest()
        try:
            await self._keys.insert_one({"_id": name, "job_id": job_id, "fingerprint": fingerprint})
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

    async def unsent(self, *, before: datetime, limit: int) -> list[Outgoing]:
        """Return outboxes that a change before `before` left behind."""
        query = {"outbox.token": {"$gt": ""}, "outbox.at": {"$lt": before.timestamp()}}
        found = self._jobs.find(query, {"outbox": 1}).limit(limit)
        return [
            Outgoing(
                token=each["outbox"]["token"],
                job_id=each["_id"],
                events=tuple(
                    _EVENTS[event["schema"]].model_validate_json(event["body"])
                    for event in each["outbox"]["events"]
                ),
            )
            async for each in found
        ]

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
        await self._outputs.create_index([("attempt", 1), ("last", 1)])
        await self._outputs.create_index("job")

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
        """Return outputs from number `after` + 1 on, without a gap, at most `limit`."""
        query = {"attempt": f"{job_id}:{attempt}", "last": {"$gt": after}}
        found: list[Output] = []
        async for bucket in self._outputs.find(query).sort("last", 1).limit(limit):
            for raw in bucket["outputs"]:
                expected = after + len(found) + 1
                if raw["number"] > expected or len(found) == limit:
                    return found
                if raw["number"] == expected:
                    found.append(Output.model_validate(raw))
        return found

    async def delete(self, job_id: str) -> None:
        """Remove all outputs of a job."""
        await self._outputs.delete_many({"job": job_id})


def _document(job: Job) -> dict[str, Any]:
    # `ended_on` is the one date among the texts: what retention looks jobs up by.
    ended = {"ended_on": job.ended_at} if job.ended_at else {}
    return job.model_dump(mode="json", exclude={"id"}) | ended


def _job(document: dict[str, Any]) -> Job:
    return Job.model_validate(document | {"id": document["_id"]})


def _as_seen(job: Job) -> dict[str, Any]:
    return {
        "_id": job.id,
        "status": job.status.value,
        "attempt": job.attempt,
        "revision": job.revision,
    }
