"""What an execution has written and published: log entries and interim results, sent as they are read."""

from collections.abc import AsyncIterator

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response, StreamingResponse

from qrt_contracts.values import Encoding, Output, OutputKind
from qrt_gateway.handlers.outputs import pages
from qrt_gateway.handlers.reading import query_items
from qrt_gateway.handlers.streaming import begun
from qrt_gateway.kipu.endpoint import Asking
from qrt_gateway.kipu.shapes import entries

JSON = "application/json"


class InterimQuery(BaseModel):
    """`last`: the newest one alone."""

    model_config = ConfigDict(extra="ignore")

    last: bool = False


async def log(asking: Asking) -> Response:
    """Return the log's entries, oldest first; an empty array while there are none."""
    job = await asking.execution()
    found = pages(asking.parts, asking.caller, job.id, kind=OutputKind.LOG)
    return StreamingResponse(await begun(_entries(found)), media_type=JSON)


async def interim_results(asking: Asking) -> Response:
    """Return what the program has published so far, or the last of it; null if that is nothing."""
    query = query_items(asking.request.query_params.multi_items(), InterimQuery)
    job = await asking.execution()
    found = pages(asking.parts, asking.caller, job.id, kind=OutputKind.INTERIM)
    if not query.last:
        return StreamingResponse(await begun(_values(found)), media_type=JSON)
    last = b"null"
    async for outputs in found:
        last = _value(outputs[-1]) if outputs else last
    return Response(last, media_type=JSON)


async def _entries(found: AsyncIterator[tuple[Output, ...]]) -> AsyncIterator[bytes]:
    comma = b"["
    async for outputs in found:
        if outputs:
            yield comma + orjson.dumps(entries(outputs))[1:-1]
            comma = b","
    yield b"[]" if comma == b"[" else b"]"


async def _values(found: AsyncIterator[tuple[Output, ...]]) -> AsyncIterator[bytes]:
    comma = b"["
    async for outputs in found:
        if outputs:
            yield comma + b",".join(map(_value, outputs))
            comma = b","
    yield b"[]" if comma == b"[" else b"]"


def _value(output: Output) -> bytes:
    """Return an interim result as JSON: a JSON value as it is, text and bytes (in base64) as strings."""
    return output.data.encode() if output.encoding is Encoding.JSON else orjson.dumps(output.data)
