"""JSON Schemas of the Service API's own shapes, and how a program's stand beside them."""

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


def embedded(schema: Json, *, at: str) -> Json:
    """Return a schema of its own as the component `at` of a document: its references lead there.

    Raises:
        RecursionError: it is nested absurdly deep.
    """
    moved: Json = _moved(schema, f"#/components/schemas/{at}/$defs/")
    moved.pop("$schema", None)
    return moved


def _moved(value: Any, base: str) -> Any:
    if isinstance(value, dict):
        return {
            key: base + each[len(_DEFINITIONS) :] if _is_reference(each) else _moved(each, base)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_moved(each, base) for each in value]
    return value


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_DEFINITIONS)
