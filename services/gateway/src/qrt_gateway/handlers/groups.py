"""`/v1/groups`: groups of accounts, to share programs and jobs with."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_accounts import CreateGroupRequest, GroupList, GroupView
from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller, Group
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as
from qrt_gateway.handlers.resource import Parts, json, resource

ADMIN = (Scope.ADMIN,)


def routes(parts: Parts) -> list[Route]:
    """Return the routes of groups."""
    return [
        resource(parts, "/v1/groups", get=list_groups, post=create),
        resource(parts, "/v1/groups/{name}", get=show, delete=delete),
        resource(parts, "/v1/groups/{name}/members/{account}", put=join, delete=leave),
    ]


@described({200: GroupList})
async def list_groups(parts: Parts, _: Request, caller: Caller) -> Response:
    """List the groups that the caller is in; all for administrators."""
    found = await parts.directory.groups(caller)
    return json(GroupList(groups=tuple(_view(group, members) for group, members in found)))


@described({201: GroupView}, body=CreateGroupRequest, refuses=(409,), scopes=ADMIN)
async def create(parts: Parts, request: Request, _: Caller) -> Response:
    """Create a group that nobody is in yet."""
    wanted = await body_as(request, CreateGroupRequest, limit=parts.max_body_bytes)
    group = await parts.directory.create_group(wanted.name)
    return json(_view(group, []), status=201, location=f"/v1/groups/{group.name}")


@described({200: GroupView})
async def show(parts: Parts, request: Request, caller: Caller) -> Response:
    """Show a group with its members."""
    group, members = await parts.directory.group(caller, request.path_params["name"])
    return json(_view(group, members))


@described({204: "It is deleted."}, scopes=ADMIN)
async def delete(parts: Parts, request: Request, _: Caller) -> Response:
    """Delete a group; what was shared with it is shared with nobody by it any more."""
    await parts.directory.delete_group(request.path_params["name"])
    return Response(status_code=204)


@described({204: "The account is in the group."}, refuses=(409,), scopes=ADMIN)
async def join(parts: Parts, request: Request, _: Caller) -> Response:
    """Put an account into a group."""
    await parts.directory.join(request.path_params["name"], request.path_params["account"])
    return Response(status_code=204)


@described({204: "The account is not in the group."}, scopes=ADMIN)
async def leave(parts: Parts, request: Request, _: Caller) -> Response:
    """Take an account out of a group."""
    await parts.directory.leave(request.path_params["name"], request.path_params["account"])
    return Response(status_code=204)


def _view(group: Group, members: list[str]) -> GroupView:
    return GroupView(name=group.name, members=tuple(members), created_at=group.created_at)
