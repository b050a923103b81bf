"""A path of the Quafu surface: who asks, what answers, and how a fault is told."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from qrt_contracts.faults import RuntimeFault
from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.auth import secret_of
from qrt_gateway.handlers.problems import away
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.visits import RESOURCE, Visit
from qrt_gateway.quafu.dialect import NO_STORE, Dialect

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One authenticated request."""

    parts: Parts
    request: Request
    caller: Caller
    dialect: Dialect

    def about(self, thing: str) -> None:
        """Say what the request is about, for the audit log: paths of this surface do not."""
        self.request.scope[RESOURCE] = thing

    def answer(self, fields: Mapping[str, Any]) -> Response:
        """Return a successful answer."""
        return Response(self.dialect.answer(fields), headers=NO_STORE, media_type=JSON)

    def streamed(self, fields: Mapping[str, Any], hole: str, text: AsyncIterator[bytes]) -> Response:
        """Return an answer whose field `hole` is a string read while it is sent; `text` is UTF-8."""
        before, after = self.dialect.around(fields, hole)
        return StreamingResponse(_quoted(before, text, after), headers=NO_STORE, media_type=JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path, its method, and the statuses it gives to faults in its own way."""

    name: str
    method: str
    scope: Scope
    """What a caller's token needs."""
    answer: Callable[[Asking], Awaitable[Response]]
    codes: Mapping[str, int] = field(default_factory=dict)
    """Status by fault code, over the table all endpoints share."""
    bare: Mapping[str, int] = field(default_factory=dict)
    """Over `codes`, where the dialect has no envelope."""


def route(parts: Parts, endpoint: Endpoint, dialect: Dialect) -> Route:
    """Return the route of an endpoint in a dialect."""
    path = f"{dialect.base}/runtime/{endpoint.name}"
    codes = (
        endpoint.codes if dialect.enveloped else {"NotAuthenticated": 403, **endpoint.codes, **endpoint.bare}
    )

    async def dispatch(request: Request) -> Response:
        request.scope["qrt.route"] = path

        async def answer(visit: Visit) -> Response:
            asking = parts.accounts.authenticate(secret_of(request.headers))
            caller = await visit.admit(asking, endpoint.scope)
            return await endpoint.answer(Asking(parts=parts, request=request, caller=caller, dialect=dialect))

        try:
            return await parts.visits.answered(request, answer, changes=endpoint.scope is not Scope.READ)
        except Exception as error:
            fault = error if isinstance(error, RuntimeFault) else away(error)
            if fault is None:
                raise
            status, body = dialect.refusal(fault, codes)
            return Response(body, status, NO_STORE, media_type=JSON)

    found = Route(path, dispatch, methods=[endpoint.method])
    found.methods = {endpoint.method}  # no HEAD: some of these GETs change things
    return found


def escaped(data: bytes) -> bytes:
    """Return UTF-8 bytes as they stand inside a JSON string; a piece may end within a character."""
    data = data.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    for code in range(0x20):
        if code in data:
            data = data.replace(bytes((code,)), b"\\u%04x" % code)
    return data


async def _quoted(before: bytes, text: AsyncIterator[bytes], after: bytes) -> AsyncIterator[bytes]:
    yield before + b'"'
    async for piece in text:
        yield escaped(piece)
    yield b'"' + after
