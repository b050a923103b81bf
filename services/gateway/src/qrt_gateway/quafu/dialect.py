"""The two dialects: how each writes an answer, a refusal and a program's visibility."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from qrt_contracts.faults import RuntimeFault
from qrt_contracts.values import Visibility

STATUS: Mapping[str, int] = {
    "NotAuthenticated": 201,
    "Forbidden": 403,
    "NotFound": 404,
    "InvalidRequest": 406,
    "RequestTimeout": 408,
    "Conflict": 409,
    "NameTaken": 409,
    "TooLarge": 413,
    "ProgramInvalid": 422,
    "Unrunnable": 422,
    "Overloaded": 429,
    "Unavailable": 503,
    "Undeliverable": 503,
}
"""Numeric status by fault code, where an endpoint has no other use for it."""

NO_STORE = {"Cache-Control": "no-store"}
"""On every answer: some GETs of this surface change things."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way of speaking."""

    name: str
    base: str
    """Where it is served; clients append `/runtime/...`."""
    enveloped: bool
    """`{"status": 200, "msg": ..., "data": ...}` inside HTTP 200, or bare JSON and HTTP codes."""
    private: int
    """What stands for a private program in `is_public`; 1 is a public one."""

    def around(self, fields: Mapping[str, Any], hole: str) -> tuple[bytes, bytes]:
        """Return the bytes before and after the value of `hole` in the answer `fields` makes."""
        before, found, after = b"", False, b""
        for name, value in fields.items():
            comma = b"," if before else b"{"
            if name == hole:
                before, found = before + comma + orjson.dumps(name) + b":", True
            elif found:
                after += b"," + orjson.dumps(name) + b":" + orjson.dumps(value)
            else:
                before += comma + orjson.dumps(name) + b":" + orjson.dumps(value)
        if not self.enveloped:
            return before, after + b"}"
        return b'{"status":200,"msg":"OK","data":' + before, after + b"}}"

    def answer(self, fields: Mapping[str, Any]) -> bytes:
        """Return the body of a successful answer."""
        body = {"status": 200, "msg": "OK", "data": fields} if self.enveloped else fields
        return orjson.dumps(body)

    def refusal(self, fault: RuntimeFault, codes: Mapping[str, int]) -> tuple[int, bytes]:
        """Return HTTP status and body for a fault; `codes` are those of the endpoint alone."""
        status = codes.get(fault.code, STATUS.get(fault.code, 500))
        if self.enveloped:
            # Some published clients read the text of a token's refusal from `msg`, some from `message`.
            body = {"status": status, "msg": fault.detail, "message": fault.detail}
            return 200, orjson.dumps(body)
        return status, orjson.dumps({"msg": fault.detail})

    def is_public(self, visibility: Visibility) -> int:
        """Return a visibility as this dialect writes it."""
        return 1 if visibility is Visibility.PUBLIC else self.private


ENVELOPED = Dialect(name="enveloped", base="", enveloped=True, private=0)
BARE = Dialect(name="bare", base="/compat/quafu-a", enveloped=False, private=2)
