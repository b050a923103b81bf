"""JSON Schemas of the Service API's own shapes, and how a program's stand beside them."""

import re
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

_MOMENT: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$", "description": "UTC."}
_UUID: Json = {"type": "string", "format": "uuid"}

SCHEMAS: Json = {
    "ServiceExecution": {
        "type": "object",
        "required": ["id", "createdAt", "status"],
        "properties": {
            "id": _UUID,
            "createdAt": _MOMENT,
            "startedAt": _MOMENT,
            "endedAt": _MOMENT,
            "status": {"enum": ["UNKNOWN", "PENDING", "RUNNING", "SUCCEEDED", "CANCELLED", "FAILED"]},
            "type": {"enum": ["MANAGED", "WORKFLOW"]},
            "serviceId": _UUID,
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    },
    "LogEntry": {
        "type": "object",
        "required": ["message", "timestamp"],
        "properties": {
            "message": {"type": "string"},
            "severity": {"enum": ["DEBUG", "NOTICE", "INFO", "WARNING", "ERROR"]},
            "timestamp": {"type": "string", "format": "date-time", "description": "With nanoseconds."},
        },
    },
    "Anything": {"description": "What a program's schema refers to and does not define."},
    "HALLink": {
        "type": "object",
        "required": ["href"],
        "properties": {"href": {"type": "string", "format": "uri"}},
    },
    "Envelope": {
        "type": "object",
        "required": ["_embedded", "_links"],
        "properties": {
            "_embedded": {
                "type": "object",
                "required": ["status"],
                "properties": {"status": {"$ref": "#/components/schemas/ServiceExecution"}},
            },
            "_links": {
                "type": "object",
                "required": ["self", "status"],
                "additionalProperties": {"$ref": "#/components/schemas/HALLink"},
                "description": "`self`, `status`, and one for each file, `output.json` among them.",
            },
        },
    },
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "Stable, for machines."},
            "retryable": {"type": "boolean"},
            "retry_after_seconds": {"type": "number"},
            "field": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": {"type": "string", "description": "RFC 6901, into the body."},
                        "detail": {"type": "string"},
                    },
                },
            },
            "traceback": {"type": "string"},
            "request_id": {"type": "string"},
        },
    },
}

_DEFINITIONS = "#/$defs/"
_COMPONENTS = "#/components/schemas/"
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9._-]")


def embedded(schema: Json, *, at: str, beside: Iterable[str]) -> Json:
    """Return a schema of its own as components of a document: itself as `at`, and each of its definitions.

    A definition keeps its name, unless that is one of those `beside` it: then it is called `at.Name`.

    Raises:
        RecursionError: it is nested absurdly deep.
    """
    taken, definitions = {at, *beside}, schema.get("$defs")
    definitions = definitions if isinstance(definitions, dict) else {}
    names: dict[str, str] = {}
    for name in definitions:
        new = _UNNAMEABLE.sub("_", name) or "_"
        while new in taken:
            new = f"{at}.{new}"
        names[name] = new
        taken.add(new)
    whole = {key: each for key, each in schema.items() if key not in ("$defs", "$schema")}
    found: Json = {at: _moved(whole, names)}
    return found | {names[name]: _moved(each, names) for name, each in definitions.items()}


def _moved(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _moved(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, names) for each in value]
    if isinstance(value, str) and value.startswith(_DEFINITIONS):
        name, slash, rest = value[len(_DEFINITIONS) :].partition("/")
        name = name.replace("~1", "/").replace("~0", "~")
        return _COMPONENTS + names.get(name, "Anything") + slash + rest
    return value
