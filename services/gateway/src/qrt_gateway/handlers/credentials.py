"""`/v1/account/credentials/{cloud}`: the caller's token for a service outside. It is never told again."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_fleet import CredentialRequest, CredentialView
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as
from qrt_gateway.handlers.resource import Parts, json, resource


def routes(parts: Parts) -> list[Route]:
    """Return the route of credentials."""
    return [resource(parts, "/v1/account/credentials/{cloud}", get=show, put=keep, delete=forget)]


@described({200: CredentialView}, body=CredentialRequest, refuses=(409,))
async def keep(parts: Parts, request: Request, caller: Caller) -> Response:
    """Keep a token, in place of an earlier one."""
    wanted = await body_as(request, CredentialRequest, limit=parts.max_body_bytes)
    cloud = request.path_params["cloud"]
    at = await parts.secrets.keep(caller.name, cloud, wanted.token.get_secret_value())
    return json(CredentialView(cloud=cloud, updated_at=at))


@described({200: CredentialView})
async def show(parts: Parts, request: Request, caller: Caller) -> Response:
    """Tell that a token is kept, and since when."""
    cloud = request.path_params["cloud"]
    return json(CredentialView(cloud=cloud, updated_at=await parts.secrets.kept_at(caller.name, cloud)))


@described({204: "It is forgotten."})
async def forget(parts: Parts, request: Request, caller: Caller) -> Response:
    """Forget a token; jobs submitted before keep their copy."""
    await parts.secrets.forget(caller.name, request.path_params["cloud"])
    return Response(status_code=204)
