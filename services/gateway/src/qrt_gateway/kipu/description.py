"""The OpenAPI 3.1 document of one service: its routes, its errors, and what its program takes and gives."""

from collections.abc import Mapping
from typing import Any

from qrt_contracts.values import Program, Signature
from qrt_gateway.domain.reserved import MAX_SECRETS, MAX_TAGS, NAMES, SECRETS, TAG_CHARACTERS, TAGS
from qrt_gateway.kipu.schemas import SCHEMAS, embedded

Json = dict[str, Any]

_REFUSALS = {
    400: "The body is no JSON object.",
    401: "There is no token, or it is not valid.",
    404: "There is no such service, execution or file, or it is not the caller's to see.",
    408: "The body did not arrive in time.",
    409: "A token that the account keeps for a cloud cannot be opened any more: keep it again, or delete it.",
    413: "The body is too large.",
    416: "The file has no such bytes.",
    422: "The input, a tag, a secret or a parameter is not of its form; `errors` points at each fault.",
    429: "Too much at once; `Retry-After` says when to come again.",
    503: "A part of the runtime did not answer; the same request can succeed later.",
}
_ALWAYS = (401, 404, 429, 503)


def openapi(program: Program, signature: Signature | None, *, endpoint: str, cancel_status: int) -> Json:
    """Return the document as data; `endpoint` is where the service is reached."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": program.name,
            "version": str(program.latest.number),
            **({"summary": signature.summary} if signature and signature.summary else {}),
            "description": _about(program, signature),
        },
        "servers": [{"url": endpoint}],
        "security": [{"oauth2": []}, {"bearer": []}],
        "paths": _paths(cancel_status),
        "components": {
            "schemas": SCHEMAS | _own_schemas(signature),
            "securitySchemes": {
                "oauth2": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": _token_url(endpoint), "scopes": {}}},
                },
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _about(program: Program, signature: Signature | None) -> str:
    said = [program.description, signature.description if signature else None]
    return "\n\n".join(each for each in said if each) or "A service of this runtime."


def _token_url(endpoint: str) -> str:
    return endpoint.partition("/services/")[0] + "/token"


def _own_schemas(signature: Signature | None) -> Json:
    """Return what the program takes and gives, and the result that is made of it."""
    found = embedded(signature.input if signature else {}, at="Input", beside=_OWN)
    given = found["Input"]
    given["type"] = "object"
    given["properties"] = {**given.get("properties", {}), TAGS: _TAGS, SECRETS: _SECRETS}
    outcomes: list[Json] = [{"$ref": "#/components/schemas/Problem"}, {"maxProperties": 2}]
    output = signature.output if signature else None
    returned = embedded(output or {}, at="Output", beside=_OWN | found.keys())
    if returned["Output"].get("type") == "object":
        returned["Output"].pop("additionalProperties", None)  # the envelope's members stand among its own
        found |= returned
        outcomes.insert(0, {"$ref": "#/components/schemas/Output"})
    else:
        outcomes.insert(0, {"type": "object"})
    envelope = {"$ref": "#/components/schemas/Envelope"}
    return found | {"ResultResponse": {"allOf": [envelope], "anyOf": outcomes}}


_OWN = SCHEMAS.keys() | {"Input", "Output", "ResultResponse"}
_TAGS: Json = {
    "type": ["array", "null"],
    "maxItems": MAX_TAGS,
    "items": {
        "type": "string",
        "minLength": 1,
        "maxLength": TAG_CHARACTERS,
        "pattern": r"^[^\u0000-\u001f\u007f]+$",
    },
    "description": "Words to find the execution by; no part of the program's input.",
}
_SECRETS: Json = {
    "type": ["object", "null"],
    "maxProperties": MAX_SECRETS,
    "propertyNames": {"pattern": NAMES},
    "additionalProperties": {"type": "string", "minLength": 1, "pattern": r"^[^\u0000]+$"},
    "description": "Given to the program as environment variables SECRET_<NAME>, and to nobody else.",
}
_ID: Json = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_FILE: Json = {"name": "file", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _paths(cancel_status: int) -> Json:
    cancelled = _json("ServiceExecution") if cancel_status == 200 else {"description": "It is cancelled."}
    return {
        "/": {"get": _LIST, "post": _START},
        "/{id}": {
            "parameters": [_ID],
            "get": _operation("Show an execution", {200: _json("ServiceExecution")}),
        },
        "/{id}/result": {
            "parameters": [_ID],
            "get": _operation(
                "The result of an execution that has ended; 404 before",
                {200: _json("ResultResponse", "What the program returned, or why it failed.")},
            ),
        },
        "/{id}/result/{file}": {"parameters": [_ID, _FILE], "get": _DOWNLOAD},
        "/{id}/log": {
            "parameters": [_ID],
            "get": _operation("What the program has written so far", {200: _array("LogEntry")}),
        },
        "/{id}/interim-results": {"parameters": [_ID], "get": _INTERIM},
        "/{id}/cancel": {
            "parameters": [_ID],
            "put": _operation("Cancel an execution", {cancel_status: cancelled}),
        },
    }


def _operation(summary: str, answers: Mapping[int, Json], *refusals: int, **more: Any) -> Json:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refused = {
        status: {"description": _REFUSALS[status], "content": problem} for status in (*_ALWAYS, *refusals)
    }
    responses = {str(status): each for status, each in sorted({**answers, **refused}.items())}
    return {"summary": summary, **more, "responses": responses}


def _json(name: str, description: str = "As it is now.") -> Json:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _array(name: str) -> Json:
    schema = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    return {"description": "Oldest first.", "content": {"application/json": {"schema": schema}}}


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": description}


_LIST = _operation(
    "The caller's executions, newest first",
    {
        200: _array("ServiceExecution")
        | {
            "description": "Newest first.",
            "headers": {
                "Link": {"schema": {"type": "string"}, "description": "The next page, if there is one."}
            },
        }
    },
    422,
    parameters=[
        _query("tag", {"type": "string", "minLength": 1, "maxLength": TAG_CHARACTERS}, "Only with this tag."),
        _query("status", {"enum": ["PENDING", "RUNNING", "SUCCEEDED", "CANCELLED", "FAILED"]}, "Only these."),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}, "At most."),
        _query("cursor", {"type": "string", "format": "uuid"}, "Only those older than this execution."),
    ],
)
_START = _operation(
    "Start an execution",
    {
        201: _json("ServiceExecution", "It is queued.")
        | {"headers": {"Location": {"schema": {"type": "string", "format": "uri"}, "required": True}}}
    },
    *(400, 408, 409, 413, 422),
    requestBody={
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}}},
    },
)
_BYTES: Json = {"content": {"application/octet-stream": {}}}
_DOWNLOAD = _operation(
    "A file that the execution has left, whole or a range of it",
    {
        200: {"description": "The file.", **_BYTES},
        206: {"description": "The bytes that the header Range asks for.", **_BYTES},
        304: {"description": "The header If-None-Match names this content."},
    },
    416,
)
_INTERIM = _operation(
    "What the program has published so far",
    {200: {"description": "Oldest first; with `last` one value alone.", "content": {"application/json": {}}}},
    422,
    parameters=[_query("last", {"type": "boolean", "default": False}, "The newest alone, null without one.")],
)
