"""`/v1/backends` and `/v1/executors`: where circuits and jobs can run, as the executors say."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_fleet import BackendList, BackendView, ExecutorList, ExecutorView
from qrt_contracts.faults import NotFound
from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.backends import Offer
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.resource import Parts, json, resource


def routes(parts: Parts) -> list[Route]:
    """Return the routes of backends and executors."""
    return [
        resource(parts, "/v1/backends", get=list_backends),
        resource(parts, "/v1/backends/{name}", get=show_backend),
        resource(parts, "/v1/executors", get=list_executors),
    ]


@described({200: BackendList})
async def list_backends(parts: Parts, _: Request, __: Caller) -> Response:
    """List every backend, by name."""
    return json(BackendList(backends=tuple(map(_view, await parts.fleet.backends()))))


@described({200: BackendView})
async def show_backend(parts: Parts, request: Request, _: Caller) -> Response:
    """Show one backend; its name is taken in upper or lower case."""
    name = request.path_params["name"]
    offers = await parts.fleet.backends()
    for offer in offers:
        if offer.info.name.casefold() == name.casefold():
            return json(_view(offer))
    known = ", ".join(offer.info.name for offer in offers) or "none"
    raise NotFound(f"there is no backend {name[:64]!r}; there is: {known}")


@described({200: ExecutorList}, scopes=(Scope.ADMIN,))
async def list_executors(parts: Parts, _: Request, __: Caller) -> Response:
    """List every executor that is alive, for administrators."""
    views = (ExecutorView.of(beat) for beat in await parts.fleet.executors())
    return json(ExecutorList(executors=tuple(views)))


def _view(offer: Offer) -> BackendView:
    return BackendView(**offer.info.model_dump(), executors=offer.executors)
