"""A value to start from, and a word for its type, out of a JSON Schema that somebody else wrote. Pure."""

import json
from typing import Any

Json = dict[str, Any]

DEEPEST = 8
VALUES = 200
"""Of one sample: schemas can branch without end."""
_FORMATS = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00",
    "duration": "PT1M",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.org",
    "email": "somebody@example.org",
}
_NULL = {"type": "null"}


class Samples:
    """Makes samples of the schemas in one OpenAPI document."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._left = VALUES

    def of_input(self) -> Json:
        """Return an input with what must be given, or, where nothing must, with what may be."""
        schema = self.resolved(self._document["components"]["schemas"]["Input"])
        properties = {
            name: each for name, each in properties_of(schema).items() if not name.startswith("$")
        } or {"data": {}, "params": {}}
        required = [name for name in required_of(schema) if name in properties]
        return {name: self.of(properties[name]) for name in required or properties}

    def of(self, schema: Any, depth: int = 0) -> Any:
        """Return a value that looks like what the schema describes; patterns are not looked at."""
        schema = self.resolved(schema)
        self._left -= 1
        if "default" in schema:
            return schema["default"]
        if (known := _known(schema)) is not None:
            return known[0]
        if depth >= DEEPEST or self._left <= 0:
            return None
        if choices := _choices(schema):
            return self.of(choices[0], depth + 1)
        return self._of_type(schema, depth)

    def resolved(self, schema: Any) -> Json:
        """Return what a schema's reference leads to, itself if it has none; an empty one for what is none."""
        for _ in range(DEEPEST):
            if not isinstance(schema, dict):
                return {}
            if not isinstance(reference := schema.get("$ref"), str):
                return schema
            schema = self._at(reference)
        return {}

    def type_of(self, schema: Any, depth: int = 0) -> str:
        """Return a schema's type in a few words."""
        found = self.resolved(schema)
        if depth > 2:
            return "any"
        if choices := _choices(found):
            words = dict.fromkeys(self.type_of(each, depth + 1) for each in choices[:5])
            return " or ".join(words)
        if isinstance(values := found.get("enum"), list) and values:
            said = ", ".join(json.dumps(each, ensure_ascii=False) for each in values[:8])
            return f"one of {said[:200]}" + (" and more" if len(values) > 8 else "")
        kind = found.get("type", "any")
        kind = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)
        if kind == "array" and "items" in found:
            return f"array of {self.type_of(found['items'], depth + 1)}"
        name = found.get("title") if kind == "object" and found is not schema else found.get("format")
        return f"{kind} ({name})" if isinstance(name, str) else kind

    def _of_type(self, schema: Json, depth: int) -> Any:
        kind = schema.get("type")
        match kind[0] if isinstance(kind, list) and kind else kind:
            case "object":
                properties = properties_of(schema)
                required = [name for name in required_of(schema) if name in properties]
                return {name: self.of(properties[name], depth + 1) for name in required or properties}
            case "array":
                return self._of_array(schema, depth)
            case "string":
                return _FORMATS.get(str(schema.get("format")), "text")
            case "integer" | "number":
                least = schema.get("minimum", schema.get("exclusiveMinimum"))
                return least + ("exclusiveMinimum" in schema) if isinstance(least, int | float) else 1
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return {}

    def _of_array(self, schema: Json, depth: int) -> list[Any]:
        first = schema.get("prefixItems")
        if isinstance(first, list):
            return [self.of(each, depth + 1) for each in first[:10]]
        return [self.of(schema["items"], depth + 1)] if "items" in schema else []

    def _at(self, reference: str) -> Any:
        found: Any = self._document
        for step in reference.removeprefix("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found


def properties_of(schema: Json) -> Json:
    """Return the properties that a schema names."""
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def required_of(schema: Json) -> list[str]:
    """Return those that must be given."""
    names = schema.get("required")
    return [each for each in names if isinstance(each, str)] if isinstance(names, list) else []


def _known(schema: Json) -> list[Any] | None:
    """Return values that the schema itself names."""
    if "const" in schema:
        return [schema["const"]]
    for key in ("examples", "enum"):
        values = schema.get(key)
        if isinstance(values, list) and values:
            return values
    return None


def _choices(schema: Json) -> list[Any]:
    """Return what a value may be instead, null last."""
    for key in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            return sorted(choices, key=lambda each: each == _NULL)
    return []
