"""Which packages a run asks for."""

import json

from qrt_contracts.values import Payload, ProgramKind, RunSpec
from qrt_executor.domain.packages import TEMPLATE_BASE, Wanted
from qrt_executor.ports import Payloads
from qrt_executor.service.patience import patiently

_LIST_BYTES = 4 << 20


async def wanted_packages(run: RunSpec, payloads: Payloads) -> Wanted | None:
    """Return what the environment of a run is to hold, None where it has none of its own."""
    if run.environment is None:
        return None
    base = TEMPLATE_BASE if run.kind is ProgramKind.TEMPLATE else ()
    lock = run.environment.lock
    return Wanted(
        requirements=tuple(sorted({*await _lines(run.environment.requirements, payloads), *base})),
        lock=None if lock is None else await _lines(lock, payloads),
    )


async def _lines(payload: Payload, payloads: Payloads) -> tuple[str, ...]:
    text = await patiently(lambda: payloads.unwrap(payload, limit=_LIST_BYTES))
    return tuple(map(str, json.loads(text)))
