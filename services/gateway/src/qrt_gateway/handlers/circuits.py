"""`/v1/jobs/{id}/circuits`: what a job has sent to backends."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api import CircuitList
from qrt_contracts.commands import ReadOutputs
from qrt_contracts.values import Circuit, OutputKind
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.jobs import job_id_of
from qrt_gateway.handlers.reading import query_as
from qrt_gateway.handlers.resource import Parts, json, resource


class CircuitsQuery(BaseModel):
    """`GET /v1/jobs/{id}/circuits`."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0)
    limit: int = Field(default=1000, ge=1, le=10_000)


def routes(parts: Parts) -> list[Route]:
    """Return the route of circuits."""
    return [resource(parts, "/v1/jobs/{id}/circuits", get=circuits)]


@described({200: CircuitList}, query=CircuitsQuery)
async def circuits(parts: Parts, request: Request, caller: Caller) -> Response:
    """Return a page of the circuits that have ended."""
    query, job_id = query_as(request, CircuitsQuery), job_id_of(request)
    attempt = (await parts.watching.job(caller, job_id)).attempt
    page = await parts.bus.request(
        ReadOutputs(
            caller=caller.name,
            rights=caller.rights,
            job_id=job_id,
            attempt=attempt,
            after=query.after,
            kind=OutputKind.CIRCUIT,
            limit=query.limit,
        )
    )
    ended = tuple(Circuit.model_validate_json(each.data) for each in page.outputs)
    return json(
        CircuitList(
            job_id=job_id, attempt=page.attempt, circuits=ended, last=page.last, complete=page.complete
        )
    )
