"""Who may see a job, and who may do something with it. Pure."""

from qrt_contracts.commands import CancelJob, DeleteJob, GetJob, ReadOutputs, ShareJob
from qrt_contracts.faults import Forbidden, InvalidRequest, NotFound
from qrt_contracts.jobs import Job
from qrt_contracts.rights import Rights, Shares


def seen(job: Job | None, command: GetJob | ReadOutputs | CancelJob | DeleteJob | ShareJob) -> Job:
    """Return a job that a command's caller may see. Raises: NotFound, as if it were not there."""
    if job is None or not may_see(job, command.caller, command.rights):
        raise NotFound(f"there is no job {command.job_id}, or it is not yours")
    return job


def owned(job: Job | None, command: CancelJob | DeleteJob | ShareJob) -> Job:
    """Return a job that a command's caller may change. Raises: NotFound, Forbidden."""
    job = seen(job, command)
    if job.owner != command.caller and not command.rights.all:
        raise Forbidden(f"job {job.id} is shared with you: you may read it, and nothing else")
    return job


def may_see(job: Job, caller: str, rights: Rights) -> bool:
    """Tell whether an account may read a job."""
    if job.owner == caller or rights.all or caller in job.shares.accounts:
        return True
    return not set(job.shares.groups).isdisjoint(rights.groups)


def shared_with(shares: Shares) -> list[str]:
    """Return whom a job is shared with, as jobs are looked up by it."""
    return [*(f"group:{each}" for each in shares.groups), *(f"account:{each}" for each in shares.accounts)]


def shared_to(caller: str, rights: Rights) -> tuple[str, ...]:
    """Return what a job that is shared with an account is looked up by."""
    return tuple(shared_with(Shares(groups=rights.groups, accounts=(caller,))))


def shares_of(command: ShareJob) -> Shares:
    """Return the shares that a command asks for, each once. Raises: InvalidRequest."""
    wanted = command.shares
    if not command.rights.all and (foreign := sorted(set(wanted.groups) - set(command.rights.groups))):
        raise InvalidRequest(f"you are not in the group {foreign[0]!r}", field="groups")
    return Shares(groups=tuple(sorted(set(wanted.groups))), accounts=tuple(sorted(set(wanted.accounts))))
