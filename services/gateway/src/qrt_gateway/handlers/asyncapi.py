"""The native WebSockets as an AsyncAPI 3 document, made of the frames that they send and read.

Source: AsyncAPI specification 3.0.0; WebSockets bindings 0.1.0.
"""

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from qrt_contracts.api import (
    AttemptFrame,
    ClientFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    OutputsFrame,
    StateFrame,
)
from qrt_gateway.handlers import many, stream
from qrt_gateway.handlers.document import BEARER, JSON, TITLE

Json = dict[str, Any]
Model = type[BaseModel]

SENT: tuple[Model, ...] = get_args(get_args(Frame)[0])
READ: tuple[Model, ...] = get_args(get_args(ClientFrame)[0])
OF_ONE_JOB: tuple[Model, ...] = (StateFrame, AttemptFrame, OutputsFrame, EndFrame, ErrorFrame)

ABOUT = """A job's outputs as they come, over WebSocket: frames are JSON texts, told apart by `type`.

Skip frames whose type is not known. The token is in the handshake's headers, as in every request of the HTTP
surface, which is described at `/openapi.json`. A browser's page of the console sends its cookie instead.
After 1008 do not come back; after 1011 do."""


def asyncapi() -> Json:
    """Return the document."""
    references, whole = models_json_schema(
        [(each, _mode(each)) for each in (*SENT, *READ)], ref_template="#/components/schemas/{model}"
    )
    schemas: Json = whole["$defs"]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": TITLE, "version": "1", "description": ABOUT},
        "defaultContentType": JSON,
        "servers": {"gateway": _server()},
        "channels": {
            "job": _channel(stream.PATH, OF_ONE_JOB, "One job, from an output on.", query=_query()),
            "jobs": _channel(many.PATH, (*SENT, *READ), "Many jobs of the caller on one connection."),
        },
        "operations": {
            "tellOfJob": _operation("send", "job", OF_ONE_JOB, "Frames of the job, to its end."),
            "tellOfJobs": _operation("send", "jobs", SENT, "Frames of every job that is followed."),
            "beAsked": _operation("receive", "jobs", READ, "Which jobs to follow from now on."),
        },
        "components": {
            "messages": {
                _name(each): _message(each, references[each, _mode(each)]) for each in (*SENT, *READ)
            },
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": BEARER}},
        },
    }


def _mode(model: Model) -> JsonSchemaMode:
    return "serialization" if model in SENT else "validation"


def _name(model: Model) -> str:
    """Return the frame's `type`, by which readers tell it from others."""
    name: str = get_args(model.model_fields["type"].annotation)[0]
    return name


def _server() -> Json:
    return {
        "host": "{address}",
        "protocol": "ws",
        "description": "The gateway; behind TLS the protocol is wss.",
        "variables": {"address": {"default": "localhost:8000"}},
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
    }


def _channel(address: str, models: tuple[Model, ...], summary: str, *, query: Json | None = None) -> Json:
    found: Json = {
        "address": address,
        "summary": summary,
        "messages": {_name(each): {"$ref": f"#/components/messages/{_name(each)}"} for each in models},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }
    if "{id}" in address:
        found["parameters"] = {"id": {"description": "The job: 32 hexadecimal digits; dashes are taken too."}}
    if query is not None:
        found["bindings"]["ws"]["query"] = query
    return found


def _query() -> Json:
    schema = stream.StreamQuery.model_json_schema()
    return {"type": "object", "properties": schema["properties"]}


def _operation(action: str, channel: str, models: tuple[Model, ...], summary: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{_name(each)}"} for each in models],
    }


def _message(model: Model, payload: Json) -> Json:
    summary = (model.__doc__ or "").strip().partition("\n")[0]
    return {"name": _name(model), "title": model.__name__, "summary": summary, "payload": payload}
