"""`/v1/clients`: OAuth2 clients of the caller's account."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_accounts import ClientIssued, ClientList, ClientView, CreateClientRequest
from qrt_gateway.domain.accounts import Caller, Client
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as, id_of
from qrt_gateway.handlers.resource import Parts, json, resource


def routes(parts: Parts) -> list[Route]:
    """Return the routes of clients."""
    return [
        resource(parts, "/v1/clients", get=list_clients, post=create),
        resource(parts, "/v1/clients/{id}", delete=revoke),
    ]


@described({200: ClientList})
async def list_clients(parts: Parts, _: Request, caller: Caller) -> Response:
    """List the caller's clients, without their secrets."""
    return json(ClientList(clients=tuple(map(_view, await parts.clients.list(caller)))))


@described({201: ClientIssued}, body=CreateClientRequest, refuses=(403, 409))
async def create(parts: Parts, request: Request, caller: Caller) -> Response:
    """Give the caller a client."""
    wanted = await body_as(request, CreateClientRequest, limit=parts.max_body_bytes)
    client, secret = await parts.clients.create(caller, name=wanted.name)
    issued = ClientIssued(**_view(client).model_dump(), secret=secret)
    return json(issued, status=201, location=f"/v1/clients/{client.id}")


@described({204: "It is revoked."})
async def revoke(parts: Parts, request: Request, caller: Caller) -> Response:
    """End one of the caller's clients, and the tokens it was given."""
    await parts.clients.revoke(caller, id_of(request.path_params["id"], what="client"))
    return Response(status_code=204)


def _view(client: Client) -> ClientView:
    return ClientView(**{name: getattr(client, name) for name in ClientView.model_fields})
