"""`/v1/admin/dead-letters` and draining executors: what operators do while the runtime runs."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_chassis.bus.letters import TRANSIENT_DEAD, DeadLetter
from qrt_chassis.bus.port import Undeliverable
from qrt_contracts.api_fleet import (
    DeadLetterList,
    DeadLetterView,
    DeadQueue,
    DeadQueueList,
    DrainOrder,
    Replayed,
    ReplayRequest,
)
from qrt_contracts.events import DrainExecutor, durable_queues
from qrt_contracts.faults import NotFound
from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as, query_as
from qrt_gateway.handlers.resource import Parts, json, resource

ADMIN = (Scope.ADMIN,)
QUEUES = (*(f"{queue}.dead" for queue in durable_queues()), TRANSIENT_DEAD)


class LettersQuery(BaseModel):
    """`GET /v1/admin/dead-letters/{queue}`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=1000)


def routes(parts: Parts) -> list[Route]:
    """Return the routes of administration."""
    return [
        resource(parts, "/v1/admin/dead-letters", get=list_queues),
        resource(parts, "/v1/admin/dead-letters/{queue}", get=list_letters),
        resource(parts, "/v1/admin/dead-letters/{queue}/replay", post=replay),
        resource(parts, "/v1/executors/{name}/drain", post=drain),
        resource(parts, "/v1/executors/{name}/undrain", post=undrain),
    ]


@described({200: DeadQueueList}, refuses=(403,), scopes=ADMIN)
async def list_queues(parts: Parts, _: Request, __: Caller) -> Response:
    """List the dead letter queues and how many letters each holds, for administrators."""
    counts = await parts.bus.count_dead(QUEUES)
    return json(DeadQueueList(queues=tuple(DeadQueue(queue=each, letters=counts[each]) for each in QUEUES)))


@described({200: DeadLetterList}, query=LettersQuery, refuses=(403,), scopes=ADMIN)
async def list_letters(parts: Parts, request: Request, _: Caller) -> Response:
    """Show the oldest letters of a dead letter queue, for administrators."""
    query = query_as(request, LettersQuery)
    letters = await parts.bus.read_dead(_queue(request), limit=query.limit)
    return json(DeadLetterList(letters=tuple(map(_view, letters))))


@described({200: Replayed}, body=ReplayRequest, refuses=(403,), scopes=ADMIN)
async def replay(parts: Parts, request: Request, _: Caller) -> Response:
    """Send dead letters back to the queues they died in, for administrators."""
    wanted = await body_as(request, ReplayRequest, limit=parts.max_body_bytes)
    sent = await parts.bus.replay_dead(_queue(request), message_id=wanted.message_id, limit=wanted.limit)
    if wanted.message_id is not None and not sent:
        raise NotFound(
            f"there is no letter {wanted.message_id} among the oldest {wanted.limit}, or its queue is gone",
            field="message_id",
        )
    return json(Replayed(replayed=sent))


@described({202: DrainOrder}, refuses=(403,), scopes=ADMIN)
async def drain(parts: Parts, request: Request, _: Caller) -> Response:
    """Have an executor take no new work and let its attempts end, for administrators."""
    return await _order(parts, request.path_params["name"], draining=True)


@described({202: DrainOrder}, refuses=(403,), scopes=ADMIN)
async def undrain(parts: Parts, request: Request, _: Caller) -> Response:
    """Have an executor take work again, for administrators."""
    return await _order(parts, request.path_params["name"], draining=False)


async def _order(parts: Parts, name: str, *, draining: bool) -> Response:
    beats = await parts.fleet.executors()
    found = next((each for each in beats if each.executor == name), None)
    gone = NotFound(f"there is no executor {name[:64]!r}, or it was not heard of for a while")
    if found is None:
        raise gone
    order = DrainExecutor(executor=name, incarnation=found.incarnation, draining=draining)
    try:
        await parts.bus.publish(order, mandatory=True)
    except Undeliverable:
        raise gone from None
    return json(DrainOrder(name=name, draining=draining), status=202)


def _queue(request: Request) -> str:
    queue: str = request.path_params["queue"]
    if queue not in QUEUES:
        raise NotFound(f"there is no dead letter queue {queue[:64]!r}; there is: {', '.join(QUEUES)}")
    return queue


def _view(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        message_id=letter.message_id,
        reason=letter.reason,
        error=letter.error,
        died_at=letter.died_at,
        queue=letter.queue,
        schema_name=letter.schema,
        body=letter.body.decode(errors="replace"),
    )
