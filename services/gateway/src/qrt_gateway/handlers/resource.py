"""A path and what each method does there, behind authentication."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_chassis.bus.port import Bus
from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.addresses import Addresses
from qrt_gateway.handlers.auth import Callers
from qrt_gateway.handlers.problems import away
from qrt_gateway.handlers.visits import Visit, Visits
from qrt_gateway.ports import Artifacts
from qrt_gateway.service.accounts import Accounts
from qrt_gateway.service.audit import Audit
from qrt_gateway.service.clients import Clients
from qrt_gateway.service.directory import Directory
from qrt_gateway.service.fleet import Fleet
from qrt_gateway.service.posts import Posts
from qrt_gateway.service.secrets import Secrets
from qrt_gateway.service.sessions import Sessions
from qrt_gateway.service.submissions import Submissions
from qrt_gateway.service.watching import Watching
from qrt_gateway.service.webhooks import Webhooks

_PRIVATE = {
    "Cache-Control": "private, no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What handlers work with."""

    bus: Bus
    artifacts: Artifacts
    accounts: Accounts
    callers: Callers
    sessions: Sessions
    directory: Directory
    visits: Visits
    audit: Audit
    watching: Watching
    submissions: Submissions
    fleet: Fleet
    secrets: Secrets
    clients: Clients
    posts: Posts
    webhooks: Webhooks
    addresses: Addresses
    max_body_bytes: int
    max_archive_bytes: int
    quafu_wait_seconds: float = 3600.0
    """The longest a Quafu client's request for a result is held."""
    kipu_cancel_status: int = 200
    """200 with the execution, or 204."""


class Endpoint(Protocol):
    """Answers one method of one path for an authenticated caller."""

    def needs(self, method: str) -> tuple[Scope, ...]:
        """Return the scopes that a caller's token needs."""

    def __call__(self, parts: Parts, request: Request, caller: Caller) -> Awaitable[Response]:
        """Answer a request."""


class Resource(Route):
    """The route of one path, with what answers there."""

    def __init__(
        self,
        path: str,
        dispatch: Callable[[Request], Awaitable[Response]],
        endpoints: Mapping[str, Endpoint],
    ) -> None:
        super().__init__(path, dispatch, methods=list(endpoints))
        self.endpoints = endpoints
        """By method."""


def resource(parts: Parts, path: str, **methods: Endpoint) -> Route:
    """Return the route of `path`; each keyword is a method in lower case."""
    endpoints = {method.upper(): endpoint for method, endpoint in methods.items()}

    async def dispatch(request: Request) -> Response:
        endpoint = endpoints["GET" if request.method == "HEAD" else request.method]
        request.scope["qrt.route"] = path

        async def answer(visit: Visit) -> Response:
            caller = await visit.admit(parts.callers.of(request), *endpoint.needs(request.method))
            return await endpoint(parts, request, caller)

        try:
            return _private(await parts.visits.answered(request, answer))
        except Exception as error:
            if fault := away(error):
                raise fault from error
            raise

    return Resource(path, dispatch, endpoints)


def _private(answer: Response) -> Response:
    """Keep browsers, which the console's cookie lets in, from sharing an answer or guessing at its kind."""
    for name, value in _PRIVATE.items():
        answer.headers.setdefault(name, value)
    return answer


def json(view: BaseModel, *, status: int = 200, location: str | None = None) -> Response:
    """Return a view as the answer."""
    headers = {"Location": location} if location else None
    return Response(view.model_dump_json(), status, headers, media_type="application/json")
