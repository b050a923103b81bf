"""A path of the Kipu surface: who asks about which service, and what each method does there."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.commands import GetJob, GetProgram
from qrt_contracts.faults import NotAuthenticated, NotFound
from qrt_contracts.ids import dashed, plain
from qrt_contracts.jobs import Job
from qrt_contracts.rights import Scope
from qrt_contracts.values import Program
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.addresses import service_path
from qrt_gateway.handlers.auth import secret_of
from qrt_gateway.handlers.problems import answer, away
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.visits import SAFE, Visit

BASE = "/services/{service}"
NOBODY = Caller("", admin=False)
"""Who asks without a token: public programs may show their documents to him."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One request about a service."""

    parts: Parts
    request: Request
    caller: Caller
    secret: str

    @property
    def service(self) -> str:
        """What stands for the program in the path."""
        text: str = self.request.path_params["service"]
        return text

    @property
    def endpoint(self) -> str:
        """The service's absolute address, in the form it was asked for by."""
        base = self.parts.addresses.base(self.request.headers, scheme=self.request.url.scheme)
        return base + service_path(self.service)

    async def program(self) -> Program:
        """Return the program. Raises: NotFound."""
        if program_id := plain(self.service):
            wanted = GetProgram(caller=self.caller.name, rights=self.caller.rights, program_id=program_id)
        else:
            wanted = GetProgram(caller=self.caller.name, rights=self.caller.rights, name=self.service)
        return (await self.parts.bus.request(wanted)).program

    async def execution(self) -> Job:
        """Return the job in the path, if it is one of this service. Raises: NotFound."""
        text: str = self.request.path_params["id"]
        if (job_id := plain(text)) is None:
            raise NotFound(f"there is no service execution {text[:64]!r}: an id is a UUID")
        job = (
            await self.parts.bus.request(
                GetJob(caller=self.caller.name, rights=self.caller.rights, job_id=job_id)
            )
        ).job
        if not await self._is_of_service(job):
            raise NotFound(f"this service has no execution {dashed(job_id)}")
        self.parts.posts.known(job_id)
        return job

    async def _is_of_service(self, job: Job) -> bool:
        """Tell whether a job is of this service. It stays so when the program is renamed or deleted."""
        if self.service == job.run.program_name or plain(self.service) == job.run.program_id:
            return True
        if plain(self.service):
            return False
        try:
            return (await self.program()).id == job.run.program_id
        except NotFound:
            return False


Endpoint = Callable[[Asking], Awaitable[Response]]
_Respond = Callable[[Request, Endpoint], Awaitable[Response]]


def route(parts: Parts, path: str, **methods: Endpoint) -> Route:
    """Return the route of a path below a service; each keyword is a method in lower case."""

    async def respond(request: Request, endpoint: Endpoint) -> Response:
        async def answer(visit: Visit) -> Response:
            secret = secret_of(request.headers)
            scope = Scope.READ if request.method in SAFE else Scope.RUN
            caller = await visit.admit(parts.accounts.authenticate(secret), scope)
            return await endpoint(Asking(parts=parts, request=request, caller=caller, secret=secret))

        return await parts.visits.answered(request, answer)

    return _route(path, methods, respond)


def open_route(parts: Parts, path: str, **methods: Endpoint) -> Route:
    """Return the route of a path that people open in a browser.

    What is public needs no token. For the rest a browser asks its user, by Basic authentication, which
    takes a token as the password here and nowhere else: a browser sends it along unasked.
    """

    async def respond(request: Request, endpoint: Endpoint) -> Response:
        try:
            secret = _password_of(request.headers) or secret_of(request.headers)
            caller = await parts.visits.admitted(request, parts.accounts.authenticate(secret), Scope.READ)
        except NotAuthenticated as fault:
            if request.headers.get("authorization"):
                return _challenge(fault)
            secret, caller = "", NOBODY
        try:
            return await endpoint(Asking(parts=parts, request=request, caller=caller, secret=secret))
        except NotFound:
            if caller is NOBODY:
                return _challenge(NotAuthenticated("there is no public service here: send a token"))
            raise

    return _route(path, methods, respond)


def _route(path: str, methods: dict[str, Endpoint], respond: _Respond) -> Route:
    endpoints = {method.upper(): endpoint for method, endpoint in methods.items()}
    allow = ", ".join([*endpoints, *(["HEAD"] if "GET" in endpoints else []), "OPTIONS"])

    async def dispatch(request: Request) -> Response:
        request.scope["qrt.route"] = BASE + path
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allow})
        try:
            return await respond(request, endpoints["GET" if request.method == "HEAD" else request.method])
        except Exception as error:
            if fault := away(error):
                raise fault from error
            raise

    return Route(BASE + path, dispatch, methods=[*endpoints, "OPTIONS"])


def _password_of(headers: Headers) -> str | None:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _challenge(fault: NotAuthenticated) -> Response:
    return answer(
        fault, headers={"WWW-Authenticate": 'Basic realm="a token as the password", charset="UTF-8"'}
    )
