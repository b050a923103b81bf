"""What an attempt may use here: what its program asks for, within the operator's ceilings."""

from qrt_contracts.values import LimitOverrides, Limits, Resources


def within(limits: Limits, ceilings: LimitOverrides, *, declared: Resources | None = None) -> Limits:
    """Return `limits` with no value above its ceiling; None is no ceiling.

    Memory that the program declares is what it was given an executor for: it is its limit.
    """
    wanted = limits.model_dump()
    if declared is not None and declared.memory_bytes is not None:
        wanted["memory_bytes"] = declared.memory_bytes
    for name, top in ceilings.model_dump(exclude_none=True).items():
        wanted[name] = min(wanted[name], top)
    return limits.model_copy(update=wanted)
