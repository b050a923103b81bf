"""What became of it, seen from the outside."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.load import Accepted, Load

AT_ONCE = 10
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


@dataclass
class Verdict:
    """What is wrong, one line each."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    """How the attempts of all jobs ended: shows that there was harm."""

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not (self.lost or self.doubled or self.wrong or self.gaps or self.leftovers)

    def lines(self) -> list[str]:
        """Return all of it."""
        return [
            f"{name}: {line}"
            for name in ("lost", "doubled", "wrong", "gaps", "leftovers")
            for line in getattr(self, name)
        ]


async def judge(load: Load) -> Verdict:
    """Look at every accepted job."""
    verdict = Verdict(wrong=list(load.odd))
    await _count_jobs(load, verdict)
    at_once = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for each in load.accepted:
            group.create_task(_judge_one(each, verdict, at_once))
    return verdict


async def _judge_one(each: Accepted, verdict: Verdict, at_once: asyncio.Semaphore) -> None:
    async with at_once:
        job = await each.client.job(each.job_id)
        if job is None or job["status"] not in FINAL:
            verdict.lost.append(f"{_name(each)} is {job and job['status']}")
            return
        verdict.attempts.update(str(attempt["end"]) for attempt in job["attempts"])
        _judge_end(each, job, verdict)
        await _judge_result(each, job, verdict)
        await _judge_outputs(each, job, verdict)


async def _count_jobs(load: Load, verdict: Verdict) -> None:
    for each in load.accepted:
        if len(each.ids) > 1:
            verdict.doubled.append(f"{_name(each)} was answered with {sorted(each.ids)}")
    for client in load.clients:
        known = {each.job_id for each in load.accepted if each.client is client}
        stored = {job["id"] for job in await client.jobs()}
        verdict.doubled += [f"job {each} was never answered for" for each in sorted(stored - known)]
        verdict.lost += [f"job {each} is not listed" for each in sorted(known - stored)]


def _judge_end(each: Accepted, job: dict[str, Any], verdict: Verdict) -> None:
    """A final state is never followed by another one."""
    seen = [each.first_end] if each.first_end else []
    if each.heard and each.heard.end:
        seen.append(each.heard.end)
    verdict.doubled += [
        f"{_name(each)} was {told['status']} and is {job['status']}"
        for told in seen
        if told["status"] != job["status"]
    ]
    ends = [attempt["end"] for attempt in job["attempts"]]
    if ends.count("succeeded") > 1 or None in ends:
        verdict.doubled.append(f"{_name(each)} has attempts that ended as {ends}")
    numbers = [attempt["number"] for attempt in job["attempts"]]
    if numbers != sorted(set(numbers)):
        verdict.doubled.append(f"{_name(each)} has attempts numbered {numbers}")


async def _judge_result(each: Accepted, job: dict[str, Any], verdict: Verdict) -> None:
    status, kind = job["status"], each.work.kind
    code = (job["problem"] or {}).get("code")
    fine = {
        "steady": status == "SUCCEEDED",
        "silent": status == "SUCCEEDED",
        "once": status == "SUCCEEDED" or code == "ExecutorLost",
        "failing": code == "ProgramError",
        "cancelled": status in ("SUCCEEDED", "CANCELLED"),
    }[kind]
    if not fine:
        verdict.wrong.append(f"{_name(each)} is {status}: {job['problem']}, {job['attempts']}")
    if kind == "once" and sum(attempt["end"] != "refused" for attempt in job["attempts"]) > 1:
        verdict.doubled.append(f"{_name(each)} was to be run once: {job['attempts']}")
    if status == "SUCCEEDED":
        result = (await each.client.ended(each.job_id))["result"]
        if result != each.work.result:
            verdict.wrong.append(f"{_name(each)} returned {result}")


async def _judge_outputs(each: Accepted, job: dict[str, Any], verdict: Verdict) -> None:
    if job["status"] != "SUCCEEDED":
        return
    stored = await each.client.outputs(each.job_id, job["attempt"])
    numbers = [output["number"] for output in stored]
    if numbers != list(range(1, job["last_output"] + 1)):
        verdict.gaps.append(f"{_name(each)} has stored outputs {numbers}, the last is {job['last_output']}")
    published = 0 if each.work.kind == "silent" else each.work.count
    expected = [{"number": each.work.number, "nth": nth} for nth in range(published)]
    if _interim(stored) != expected:
        verdict.gaps.append(f"{_name(each)} has stored {_interim(stored)}")
    if each.heard:
        verdict.gaps += [f"{_name(each)}: a listener got {fault}" for fault in each.heard.faults]
        if _interim(each.heard.outputs) != expected or each.heard.attempt != job["attempt"]:
            verdict.gaps.append(f"{_name(each)}: a listener heard {_interim(each.heard.outputs)}")


def _interim(outputs: list[dict[str, Any]]) -> list[Any]:
    return [json.loads(each["data"]) for each in outputs if each["kind"] == "interim"]


def _name(each: Accepted) -> str:
    return f"job {each.work.number} ({each.work.kind}, {each.job_id})"
