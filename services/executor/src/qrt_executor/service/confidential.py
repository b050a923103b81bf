"""What a job carries that only its program and its backends may read, opened here and nowhere else."""

from qrt_chassis.sealing import Seal, SealBroken, for_jobs_of
from qrt_contracts.events import RunAttempt
from qrt_contracts.values import Confidential


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
