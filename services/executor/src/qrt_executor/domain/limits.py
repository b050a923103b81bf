"""What an attempt may use here: what its program asks for, within the operator's ceilings."""

from qrt_contracts.values import LimitOverrides, Limits


def within(limits: Limits, ceilings: LimitOverrides) -> Limits:
    """Return `limits` with no value above its ceiling; None is no ceiling."""
    wanted = limits.model_dump()
    capped = {name: min(wanted[name], top) for name, top in ceilings.model_dump(exclude_none=True).items()}
    return limits.model_copy(update=capped)
