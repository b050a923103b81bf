"""`/console/session`: sign in with a token, and out; what the page asks first."""

from contextlib import suppress

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.faults import Forbidden, NotAuthenticated, Overloaded
from qrt_gateway.domain.sessions import LIFETIME, from_elsewhere
from qrt_gateway.handlers.auth import COOKIE
from qrt_gateway.handlers.problems import away
from qrt_gateway.handlers.reading import body_as
from qrt_gateway.handlers.resource import Parts, json
from qrt_gateway.handlers.visits import Visit

PATH = "/console/session"
MAX_BODY = 4096


class SignIn(BaseModel):
    """`POST /console/session`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    token: SecretStr = Field(min_length=1, max_length=512)


class SessionView(BaseModel):
    """`GET /console/session`."""

    signed_in: bool


def route(parts: Parts) -> Route:
    """Return the route of sessions."""

    endpoints = {"GET": _look, "HEAD": _look, "POST": _begin, "DELETE": _end}

    async def dispatch(request: Request) -> Response:
        request.scope["qrt.route"] = PATH
        try:
            return await parts.visits.answered(
                request, lambda visit: endpoints[request.method](parts, request, visit)
            )
        except Exception as error:
            if fault := away(error):
                raise fault from error
            raise

    return Route(PATH, dispatch, methods=list(endpoints))


async def _look(parts: Parts, request: Request, _: Visit) -> Response:
    """Tell whether the request's cookie is a session. Browsers log refusals as errors; this is none."""
    try:
        await parts.sessions.authenticate(request.cookies.get(COOKIE, ""))
    except NotAuthenticated:
        return json(SessionView(signed_in=False))
    return json(SessionView(signed_in=True))


async def _begin(parts: Parts, request: Request, visit: Visit) -> Response:
    """Take a token and give a cookie for it."""
    base = parts.addresses.base(request.headers, scheme=request.url.scheme)
    if from_elsewhere(request.headers, base):
        raise Forbidden("sign in on the console's own page")
    wanted = await body_as(request, SignIn, limit=MAX_BODY)
    cookie, caller = await parts.sessions.begin(wanted.token.get_secret_value().strip())
    visit.known(caller)
    answer = Response(status_code=204, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        secure=base.startswith("https:"),
        httponly=True,
        samesite="strict",
    )
    return answer


async def _end(parts: Parts, request: Request, visit: Visit) -> Response:
    """End the session of the request's cookie, if it has one."""
    answer = Response(status_code=204, headers={"Cache-Control": "no-store"})
    if cookie := request.cookies.get(COOKIE):
        parts.callers.require_own(request)
        with suppress(NotAuthenticated, Overloaded):  # it had ended already, or is to end all the same
            await visit.admit(parts.sessions.authenticate(cookie))
        await parts.sessions.end(cookie)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer
