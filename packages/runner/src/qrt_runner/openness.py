"""Schemas that refuse nothing a program would take: what an input can be checked against before it is queued.

Made of pydantic's core schemas, not of its JSON Schemas: those say what is written, these what is read. A
validator of the program's own may read anything, and a field can go by several names. The types are meant as
pydantic reads them, so that "3" is an integer. What is not known here is open, and the program decides.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from pydantic import TypeAdapter

Schema = dict[str, Any]

_MODIFIED_TEXT = ("strip_whitespace", "to_lower", "to_upper")
_MODIFYING = ("str_strip_whitespace", "str_to_lower", "str_to_upper", "coerce_numbers_to_str")
_BY_NAME = ("populate_by_name", "validate_by_name")
_BOUNDS = (("ge", "minimum"), ("le", "maximum"), ("gt", "exclusiveMinimum"), ("lt", "exclusiveMaximum"))


class Opened:
    """Turns types into open schemas; `definitions` is what these refer to as `#/$defs/...`."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._sources: dict[str, Any] = {}
        self._names: dict[str, str] = {}

    def schema(self, adapter: TypeAdapter[Any] | None) -> Schema:
        """Return the open schema of a type; `{}` refuses nothing."""
        if adapter is None or not isinstance(adapter.core_schema, dict):
            return {}
        return self._open(adapter.core_schema)

    def _open(self, core: Any) -> Schema:
        if _reads_otherwise(core):
            return {}
        read = _READERS.get(core["type"])
        return {} if read is None else read(self, core)

    def _bounded(self, core: Any, schema: Schema) -> Schema:
        for ours, theirs in _BOUNDS:
            if isinstance(core.get(ours), int | float):
                schema[theirs] = core[ours]
        return schema

    def _int(self, core: Any) -> Schema:
        return self._bounded(core, {"type": "integer"})

    def _float(self, core: Any) -> Schema:
        return self._bounded(core, {"type": "number"})

    def _str(self, core: Any) -> Schema:
        if core.get("coerce_numbers_to_str"):
            return {}
        schema: Schema = {"type": "string"}
        if not any(core.get(each) for each in _MODIFIED_TEXT):
            schema |= _sizes(core, "minLength", "maxLength")
        return schema

    def _nullable(self, core: Any) -> Schema:
        return _any_of([{"type": "null"}, self._open(core["schema"])])

    def _union(self, core: Any) -> Schema:
        choices = (each[0] if isinstance(each, tuple) else each for each in core["choices"])
        return _any_of(map(self._open, choices))

    def _tagged_union(self, core: Any) -> Schema:
        return _any_of(map(self._open, core["choices"].values()))

    def _literal(self, core: Any) -> Schema:
        return _among(core["expected"])

    def _enum(self, core: Any) -> Schema:
        if "missing" in core:
            return {}
        values = [each.value for each in core["members"]]
        return _among([*values, *core["cls"].__members__])

    def _list(self, core: Any) -> Schema:
        return {"type": "array", **self._items(core), **_sizes(core, "minItems", "maxItems")}

    def _set(self, core: Any) -> Schema:
        return {"type": "array", **self._items(core)}

    def _items(self, core: Any) -> Schema:
        items = self._open(core["items_schema"]) if "items_schema" in core else {}
        return {"items": items} if items else {}

    def _tuple(self, core: Any) -> Schema:
        if any(each["type"] == "default" for each in core["items_schema"]):
            return {}
        inner = [self._open(each) for each in core["items_schema"]]
        if "variadic_item_index" in core:
            return {"type": "array", "items": inner[0]} if len(inner) == 1 and inner[0] else {"type": "array"}
        return {"type": "array", "prefixItems": inner, "minItems": len(inner), "maxItems": len(inner)}

    def _dict(self, core: Any) -> Schema:
        values = self._open(core["values_schema"]) if "values_schema" in core else {}
        return {"type": "object", **({"additionalProperties": values} if values else {})}

    def _model(self, core: Any) -> Schema:
        if core.get("custom_init"):
            return {}
        inner = core["schema"]
        by_name = any(core.get("config", {}).get(each) for each in _BY_NAME)
        if inner["type"] in ("model-fields", "typed-dict", "dataclass-args"):
            return self._fields(inner, by_name=by_name)
        return {} if by_name else self._open(inner)

    def _fields(self, core: Any, *, by_name: bool = False) -> Schema:
        config = core.get("config", {})
        if by_name or any(config.get(each) for each in _BY_NAME) or _reads_otherwise(core):
            return {"type": "object"}
        fields = core["fields"]
        named = fields.items() if isinstance(fields, dict) else [(each["name"], each) for each in fields]
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for name, field in named:
            alias = field.get("validation_alias", name)
            if not isinstance(alias, str) or field.get("init") is False:
                continue  # several names, or a way to it; or it is not read at all
            properties[alias] = self._open(field["schema"])
            if field.get("required", core.get("total", True)) and field["schema"]["type"] != "default":
                required.append(alias)
        return {"type": "object", "properties": properties, "required": required}

    def _inner(self, core: Any) -> Schema:
        return self._open(core["schema"])

    def _definitions(self, core: Any) -> Schema:
        self._sources |= {each["ref"]: each for each in core["definitions"]}
        return self._open(core["schema"])

    def _reference(self, core: Any) -> Schema:
        ref = core["schema_ref"]
        if ref not in self._sources:
            return {}
        if ref not in self._names:
            self._names[ref] = name = str(len(self._names) + 1)
            self.definitions[name] = self._open(self._sources[ref])
        return {"$ref": f"#/$defs/{self._names[ref]}"}


def _reads_otherwise(core: Any) -> bool:
    """Tell whether a type's settings change what it reads, or whether what it refuses is replaced."""
    config = core.get("config") or {}
    return core.get("on_error", "raise") != "raise" or any(config.get(each) for each in _MODIFYING)


def _sizes(core: Any, least: str, most: str) -> Schema:
    found = ((least, core.get("min_length")), (most, core.get("max_length")))
    return {name: value for name, value in found if value is not None}


def _any_of(schemas: Iterable[Schema]) -> Schema:
    found = list(schemas)
    return {"anyOf": found} if all(found) else {}


def _among(values: list[Any]) -> Schema:
    known = all(each is None or isinstance(each, str | int | float) for each in values)
    return {"enum": [_plain(each) for each in values]} if known else {}


def _plain(value: Any) -> Any:
    while isinstance(value, Enum):
        value = value.value
    return value


_READERS: dict[str, Callable[[Opened, Any], Schema]] = {
    "none": lambda *_: {"type": "null"},
    "bool": lambda *_: {"type": "boolean"},
    "int": Opened._int,
    "float": Opened._float,
    "str": Opened._str,
    "bytes": lambda *_: {"type": "string"},
    "uuid": lambda *_: {"type": "string", "format": "uuid"},
    "url": lambda *_: {"type": "string"},
    "multi-host-url": lambda *_: {"type": "string"},
    "date": lambda *_: {"type": "string", "format": "date"},
    "time": lambda *_: {"type": "string", "format": "time"},
    "datetime": lambda *_: {"type": "string", "format": "date-time"},
    "timedelta": lambda *_: {"type": "string", "format": "duration"},
    "nullable": Opened._nullable,
    "union": Opened._union,
    "tagged-union": Opened._tagged_union,
    "literal": Opened._literal,
    "enum": Opened._enum,
    "list": Opened._list,
    "set": Opened._set,
    "frozenset": Opened._set,
    "tuple": Opened._tuple,
    "dict": Opened._dict,
    "model": Opened._model,
    "dataclass": Opened._model,
    "model-fields": Opened._fields,
    "typed-dict": Opened._fields,
    "dataclass-args": Opened._fields,
    "function-after": Opened._inner,
    "default": Opened._inner,
    "custom-error": Opened._inner,
    "lax-or-strict": lambda self, core: self._open(core["lax_schema"]),
    "json-or-python": lambda self, core: self._open(core["json_schema"]),
    "chain": lambda self, core: self._open(core["steps"][0]),
    "definitions": Opened._definitions,
    "definition-ref": Opened._reference,
}
"""What reads each type of a core schema. `function-before`, `-wrap`, `-plain` and others refuse nothing."""
