"""What a template program takes and gives, as JSON Schema (2020-12)."""

import inspect
import json
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import JsonSchemaMode

from qrt_runner.arguments import Parameter, Parameters, parameters, result_annotation
from qrt_runner.encode import NotRepresentable
from qrt_runner.openness import Opened
from qrt_runner.plain import written

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT_CHARACTERS = 20_000
_SCHEMA_CHARACTERS = 200_000

Schema = dict[str, Any]


def signature(run: Callable[..., Any]) -> dict[str, Any]:
    """Return a `Signature` as data. Raises Failure if `run` cannot be called as it would be."""
    found = _read(parameters(run))
    summary, description = _docstring(run)
    return {
        "input": _bounded(_input(found)),
        "check": _bounded(_check(found)),
        "output": _output(run),
        "summary": summary,
        "description": description,
    }


def _read(found: Parameters) -> Parameters:
    """Return the parameters that the input makes."""
    return Parameters(tuple(each for each in found.named if each.secret is None), found.others)


def _input(found: Parameters) -> Schema:
    schemas, definitions = _schemas(found.named)
    others = {} if found.others is None else _schema(found.others.declared, "validation")
    schema = _object({each.name: _told(each, schemas[each.name]) for each in found.named}, found)
    if others:
        schema["additionalProperties"] = others
    return schema | ({"$defs": definitions} if definitions else {})


def _check(found: Parameters) -> Schema:
    opened = Opened()
    properties = {}
    for each in found.named:
        schema = opened.schema(each.declared)
        takes_null = each.default is None and schema
        properties[each.name] = {"anyOf": [{"type": "null"}, schema]} if takes_null else schema
    schema = _object(properties, found)
    if found.others is not None and (others := opened.schema(found.others.declared)):
        schema["additionalProperties"] = others
    return schema | ({"$defs": opened.definitions} if opened.definitions else {})


def _object(properties: dict[str, Schema], found: Parameters) -> Schema:
    required = [each.name for each in found.named if each.required]
    return {"$schema": _DIALECT, "type": "object", "properties": properties, "required": required}


def _schemas(named: tuple[Parameter, ...]) -> tuple[dict[str, Schema], Schema]:
    """Return a schema for each parameter, `{}` where its type has none, and what they share."""
    whole = {each.name: each.declared for each in named if _schema(each.declared, "validation")}
    inputs = [(name, "validation", adapter) for name, adapter in whole.items() if adapter is not None]
    if not inputs:
        return {each.name: {} for each in named}, {}
    by_name, shared = TypeAdapter.json_schemas(inputs)  # type: ignore[arg-type]
    found = {name: dict(schema) for (name, _), schema in by_name.items()}
    return {each.name: found.get(each.name, {}) for each in named}, shared.get("$defs", {})


def _schema(adapter: TypeAdapter[Any] | None, mode: JsonSchemaMode) -> Schema:
    """Return the schema of one type; `{}` if it is Any, or has none."""
    if adapter is None:
        return {}
    try:
        return adapter.json_schema(mode=mode)
    except PydanticUserError:
        return {}


def _told(parameter: Parameter, schema: Schema) -> Schema:
    """Return the schema of a parameter with its default, if that has a JSON form."""
    if parameter.default is inspect.Parameter.empty:
        return schema
    try:
        default = json.loads(written(parameter.default).text)
    except NotRepresentable:
        return schema
    return {"anyOf": [schema], "default": default} if "$ref" in schema else schema | {"default": default}


def _output(run: Callable[..., Any]) -> Schema | None:
    schema = _schema(result_annotation(run), "serialization")
    return _bounded(schema) if schema else None


def _bounded(schema: Schema) -> Schema:
    """Return a schema, or an open one in place of what is too large to be carried about."""
    text = json.dumps(schema)
    if len(text) <= _SCHEMA_CHARACTERS:
        return json.loads(text)  # type: ignore[no-any-return]
    return {"$schema": _DIALECT, "type": "object", "properties": {}, "required": []}


def _docstring(run: Callable[..., Any]) -> tuple[str | None, str | None]:
    text = (inspect.getdoc(run) or "").strip()[:_TEXT_CHARACTERS]
    summary, _, rest = text.partition("\n")
    return summary.strip() or None, rest.strip() or None
