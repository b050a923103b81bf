"""`/v1/audit`: what accounts changed and were refused, for administrators."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_accounts import AuditEntry, AuditLog
from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.audit import Entry, Place, Wanted
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import query_as
from qrt_gateway.handlers.resource import Parts, json, resource


class AuditQuery(BaseModel):
    """`GET /v1/audit`."""

    model_config = ConfigDict(extra="forbid")

    account: str | None = Field(default=None, max_length=64)
    action: str | None = Field(default=None, max_length=256)
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=64)


def routes(parts: Parts) -> list[Route]:
    """Return the route of the audit log."""
    return [resource(parts, "/v1/audit", get=read)]


@described({200: AuditLog}, query=AuditQuery, scopes=(Scope.ADMIN,))
async def read(parts: Parts, request: Request, _: Caller) -> Response:
    """Return what accounts changed and were refused, newest first."""
    query = query_as(request, AuditQuery)
    before = None if query.cursor is None else Place.of(query.cursor)
    wanted = Wanted(account=query.account, action=query.action)
    entries, following = await parts.audit.page(wanted, before=before, limit=query.limit)
    cursor = None if following is None else str(following)
    return json(AuditLog(entries=tuple(map(_view, entries)), next_cursor=cursor))


def _view(entry: Entry) -> AuditEntry:
    return AuditEntry(**{name: getattr(entry, name) for name in AuditEntry.model_fields})
