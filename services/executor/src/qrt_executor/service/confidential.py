"""What a job carries that only its program and its backends may read, opened here and nowhere else."""

from dataclasses import replace

from qrt_chassis.sealing import Seal, SealBroken, for_jobs_of
from qrt_contracts.events import RunAttempt
from qrt_contracts.faults import FieldError
from qrt_contracts.values import Confidential
from qrt_executor.domain.redaction import Redactor
from qrt_executor.domain.verdict import Verdict


def opened(order: RunAttempt, seal: Seal | None) -> Confidential:
    """Return what is sealed for a job. Raises SealBroken; the text is fit for the job's owner."""
    if order.confidential is None:
        return Confidential()
    if seal is None:
        raise SealBroken("the job carries secrets, and this executor has no sealing keys")
    try:
        return seal.open(order.confidential, purpose=for_jobs_of(order.owner))
    except SealBroken as exc:
        raise SealBroken(f"the job's secrets cannot be opened on this executor: {exc}") from None


def redactor_of(confidential: Confidential) -> Redactor:
    """Return what strikes a job's secrets, and its owner's tokens, out of what is shown of it."""
    return Redactor([*confidential.secrets.values(), *confidential.credentials.values()])


def without_secrets(verdict: Verdict, redactor: Redactor) -> Verdict:
    """Return a verdict whose problem document, traceback included, tells no secret."""
    if verdict.problem is None or not redactor.active:
        return verdict
    clear, problem = redactor.text, verdict.problem
    told = {
        "detail": clear(problem.detail),
        "traceback": None if problem.traceback is None else clear(problem.traceback),
        "errors": tuple(
            FieldError(pointer=clear(each.pointer), detail=clear(each.detail)) for each in problem.errors
        ),
    }
    return replace(verdict, problem=problem.model_copy(update=told))
