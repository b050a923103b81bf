"""Service executions: list, start, look, cancel."""

from typing import Any
from urllib.parse import urlencode

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from qrt_contracts.commands import CancelJob, ListJobs, ResolveRun, SubmitJob
from qrt_contracts.faults import InvalidRequest, RuntimeFault
from qrt_contracts.ids import dashed, plain
from qrt_contracts.jobs import Job
from qrt_contracts.states import TERMINAL
from qrt_gateway.domain.posts import Connection, Post, key_of
from qrt_gateway.domain.reserved import SECRETS, TAGS, parted, secrets_of, tags_of
from qrt_gateway.handlers.problems import STATUS as HTTP_STATUS
from qrt_gateway.handlers.problems import MalformedBody
from qrt_gateway.handlers.reading import bounded_body, query_items
from qrt_gateway.handlers.texts import parsed
from qrt_gateway.kipu.endpoint import Asking
from qrt_gateway.kipu.shapes import STATUS, execution
from qrt_gateway.service.posts import CONNECTION, Posts

JSON = "application/json"
CANCEL_SECONDS = 10.0
"""How long a cancelled job may take to be dead before the answer shows it as it is."""
_STATES = {name: state for state, name in STATUS.items()}


class ListQuery(BaseModel):
    """What a list can be asked for; other parameters are ignored."""

    model_config = ConfigDict(extra="ignore")

    tag: str | None = Field(default=None, min_length=1, max_length=256)
    status: str | None = None
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = None


async def list_all(asking: Asking) -> Response:
    """Return the caller's executions of the service, newest first."""
    query = query_items(asking.request.query_params.multi_items(), ListQuery)
    command = ListJobs(
        caller=asking.caller.name,
        rights=asking.caller.rights,
        program_id=(await asking.program()).id,
        status=_choice(query.status),
        tag=query.tag,
        limit=query.limit,
        cursor=_cursor(query.cursor),
    )
    page = await asking.parts.bus.request(command)
    headers = {}
    if page.next_cursor is not None:
        rest = query.model_dump(exclude_none=True) | {"cursor": dashed(page.next_cursor)}
        headers["Link"] = f'<{asking.endpoint}?{urlencode(rest)}>; rel="next"'
    return Response(orjson.dumps(list(map(execution, page.jobs))), headers=headers, media_type=JSON)


async def start(asking: Asking) -> Response:
    """Queue a job; a request that is repeated for want of an answer finds the job of the first."""
    parts, request = asking.parts, asking.request
    arrived = parts.posts.now()
    body = await bounded_body(request, parts.max_body_bytes)
    value = parsed(body)
    if not isinstance(value, dict):
        raise MalformedBody("the input of a service must be a JSON object")
    command = await _command(asking, value)
    connection, retrying = _connection(request), _retries_by_itself(request)
    key = key_of(asking.secret, request.url.path, body)
    post = await parts.posts.begin(key, connection, retrying=retrying, arrived=arrived)
    job = await _submitted(asking, command, post)
    return _Started(
        orjson.dumps(execution(job)),
        location=f"{asking.endpoint}/{dashed(job.id)}",
        posts=parts.posts,
        post=post,
        connection=connection,
        retrying=retrying,
    )


async def show(asking: Asking) -> Response:
    """Return an execution."""
    return Response(orjson.dumps(execution(await asking.execution())), media_type=JSON)


async def cancel(asking: Asking) -> Response:
    """End an execution; one that has ended stays as it is."""
    job = await asking.execution()
    caller = asking.caller
    order = CancelJob(caller=caller.name, rights=caller.rights, job_id=job.id)
    job = (await asking.parts.bus.request(order)).job
    if job.status not in TERMINAL:
        job = await asking.parts.watching.ended_job(caller, job.id, wait_seconds=CANCEL_SECONDS)
    if asking.parts.kipu_cancel_status == 204:
        return Response(status_code=204)
    return Response(orjson.dumps(execution(job)), media_type=JSON)


async def _submitted(asking: Asking, command: SubmitJob, post: Post) -> Job:
    posts = asking.parts.posts
    try:
        return (await asking.parts.watching.submit(command.model_copy(update={"job_id": post.job_id}))).job
    except RuntimeFault as fault:
        made_nothing = HTTP_STATUS.get(fault.code, 500) < 500
        await (posts.refused(post) if made_nothing else posts.unanswered(post))
        raise
    except Exception:
        await posts.unanswered(post)
        raise


async def _command(asking: Asking, value: dict[str, Any]) -> SubmitJob:
    """Return the order for an input; the job's id is still to be set."""
    parts, caller = asking.parts, asking.caller
    resolved = await parts.bus.request(_resolve(asking))
    said = parted(value)
    judged = await parts.submissions.judged(
        said.input,
        tags=tags_of(said.tags, pointer=f"/{TAGS}"),
        kind=resolved.run.kind,
        signature=resolved.signature,
    )
    return SubmitJob(
        caller=caller.name,
        rights=caller.rights,
        job_id="",
        run=resolved.run,
        input=await parts.artifacts.wrap(judged.text),
        tags=judged.tags,
        confidential=await parts.secrets.for_job(
            caller.name, secrets_of(said.secrets, pointer=f"/{SECRETS}")
        ),
    )


def _resolve(asking: Asking) -> ResolveRun:
    if program_id := plain(asking.service):
        return ResolveRun(caller=asking.caller.name, rights=asking.caller.rights, program_id=program_id)
    return ResolveRun(caller=asking.caller.name, rights=asking.caller.rights, name=asking.service)


def _choice(status: str | None) -> Any:
    if status is None:
        return None
    if status not in _STATES:
        raise InvalidRequest(f"status must be one of {', '.join(_STATES)}", field="status")
    return _STATES[status]


def _cursor(text: str | None) -> str | None:
    if text is None:
        return None
    if (cursor := plain(text)) is None:
        raise InvalidRequest("cursor is the id of an execution", field="cursor")
    return cursor


def _connection(request: Request) -> Connection:
    found = request.scope.get("extensions", {}).get(CONNECTION)
    return found["state"] if found else Connection()


def _retries_by_itself(request: Request) -> bool:
    """Tell whether a client repeats POSTs unasked, and no proxy stands between that might have the answer."""
    headers = request.headers
    direct = not any(name in headers for name in ("x-forwarded-for", "forwarded", "via"))
    return direct and "x-fern-language" in headers


class _Started(Response):
    """201, and what is noted of it once it has been written."""

    def __init__(
        self, body: bytes, *, location: str, posts: Posts, post: Post, connection: Connection, retrying: bool
    ) -> None:
        super().__init__(body, 201, {"Location": location}, media_type=JSON)
        self._posts, self._post = posts, post
        self._connection, self._retrying = connection, retrying

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        await self._posts.answered(self._post, self._connection, retrying=self._retrying)
