"""JSON Schemas of inputs as validators that read values as leniently as pydantic does.

A schema is data from a hostile program: it is never code, only bounded parts of it are read, and
whatever is not known here is open. What a validator refuses, the program's own `run` would refuse.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import PydanticCustomError, SchemaError, SchemaValidator, core_schema
from pydantic_core.core_schema import CoreSchema

MAX_NODES = 5_000
MAX_DEPTH = 40
MAX_PATTERNS = 32
PATTERN_CHARACTERS = 300
PATTERN_REPEATS = 1_000
"""The product of a pattern's counted repetitions: what the engine unrolls, it must build first."""
MAX_VISITS = 20_000
"""Choices between forms of one input: nested ones multiply."""

_TEXTS = frozenset({None, "password", "uri", "email", "path", "file-path", "directory-path"})
"""Formats that only texts have; others may be given as numbers too."""
_PLAIN = frozenset({"integer", "number", "boolean", "string", "null"})
_Node = Mapping[str, Any]


class TooManyChoices(Exception):
    """An input has more to try than is worth it; the program itself decides."""


def validator_of(schema: _Node, *, depth: int = MAX_DEPTH) -> SchemaValidator | None:
    """Return what checks an input, down to `depth` levels of the schema; None where it says nothing.

    Validating raises pydantic's ValidationError, or `TooManyChoices`.
    """
    try:
        return SchemaValidator(_Reader(schema, depth).whole())
    except (SchemaError, RecursionError, TypeError, ValueError, OverflowError):
        return None


class _Reader:
    """Reads one document into pydantic's own schema language."""

    def __init__(self, root: _Node, depth: int) -> None:
        self._root = root
        self._depth = depth
        self._nodes = 0
        self._patterns = 0
        self._definitions: dict[str, CoreSchema | None] = {}

    def whole(self) -> CoreSchema:
        made = self._of(self._root, 0)
        definitions = [each for each in self._definitions.values() if each is not None]
        return core_schema.definitions_schema(made, definitions) if definitions else made

    def _of(self, node: Any, level: int) -> CoreSchema:
        self._nodes += 1
        if not isinstance(node, Mapping) or self._nodes > MAX_NODES or level > self._depth:
            return core_schema.any_schema()
        if "$ref" in node:
            return self._reference(node["$ref"], level)
        if "enum" in node or "const" in node:
            return _among(node["enum"] if "enum" in node else [node["const"]])
        for key in ("anyOf", "oneOf"):
            if key in node:
                return self._choice(node[key], level)
        if "allOf" in node:
            return self._all(node["allOf"], level)
        return self._typed(node, level)

    def _reference(self, reference: Any, level: int) -> CoreSchema:
        found = self._target(reference)
        if found is None:
            return core_schema.any_schema()
        if reference not in self._definitions:
            self._definitions[reference] = None  # being made: it may refer to itself
            made = self._of(found, level + 1)
            if made["type"] == "definition-ref":
                made = core_schema.nullable_schema(made)  # a name for a name cannot carry one of its own
            self._definitions[reference] = {**made, "ref": reference}
        return core_schema.definition_reference_schema(reference)

    def _target(self, reference: Any) -> _Node | None:
        """Return what a reference names; None for other documents, and for names of names without end."""
        seen: set[Any] = set()
        while isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            where, _, name = reference.rpartition("/")
            if where not in ("#/$defs", "#/definitions"):
                return None
            group = self._root.get(where[2:])
            found = (
                group.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(group, Mapping) else None
            )
            if not isinstance(found, Mapping):
                return None
            if "$ref" not in found:
                return found
            reference = found["$ref"]
        return None

    def _choice(self, nodes: Any, level: int) -> CoreSchema:
        if not isinstance(nodes, list) or not nodes:
            return core_schema.any_schema()
        some = [each for each in nodes if not (isinstance(each, Mapping) and each.get("type") == "null")]
        made = [self._of(each, level + 1) for each in some]
        if not made:
            return core_schema.none_schema()
        whole = made[0] if len(made) == 1 else _one_of(made, plain=all(map(_is_plain, some)))
        return whole if len(some) == len(nodes) else core_schema.nullable_schema(whole)

    def _all(self, nodes: Any, level: int) -> CoreSchema:
        if not isinstance(nodes, list) or not nodes:
            return core_schema.any_schema()
        steps = [
            core_schema.no_info_wrap_validator_function(_unchanged, self._of(each, level + 1))
            for each in nodes
        ]
        return core_schema.chain_schema(list(steps))

    def _typed(self, node: _Node, level: int) -> CoreSchema:
        kind = node.get("type")
        if isinstance(kind, list):
            return self._choice([{**node, "type": each} for each in kind], level)
        readers: dict[Any, Callable[[], CoreSchema]] = {
            "string": lambda: self._text(node),
            "integer": lambda: _integer(node),
            "number": lambda: _number(node),
            "boolean": core_schema.bool_schema,
            "null": core_schema.none_schema,
            "array": lambda: self._array(node, level),
            "object": lambda: self._object(node, level),
        }
        return readers[kind]() if isinstance(kind, str) and kind in readers else core_schema.any_schema()

    def _text(self, node: _Node) -> CoreSchema:
        kind = node.get("format")
        if kind not in _TEXTS:
            known = _FORMATS.get(kind) if isinstance(kind, str) else None
            return known() if known is not None else _open()
        return core_schema.str_schema(
            min_length=_size(node, "minLength"),
            max_length=_size(node, "maxLength"),
            pattern=self._pattern(node.get("pattern")),
        )

    def _pattern(self, pattern: Any) -> str | None:
        """Return a pattern that its linear-time engine takes and builds quickly."""
        if not isinstance(pattern, str) or len(pattern) > PATTERN_CHARACTERS:
            return None
        repeats = 1
        for least, most in re.findall(r"\{(\d{1,9})(?:,(\d{0,9}))?\}", pattern):
            repeats *= max(1, int(least), int(most or 0))
        self._patterns += 1
        if repeats > PATTERN_REPEATS or self._patterns > MAX_PATTERNS:
            return None
        try:
            SchemaValidator(core_schema.str_schema(pattern=pattern))
        except SchemaError:
            return None
        return pattern

    def _array(self, node: _Node, level: int) -> CoreSchema:
        least, most = _size(node, "minItems"), _size(node, "maxItems")
        if node.get("uniqueItems"):
            most = None  # of a set, which drops what comes twice before it is counted
        first = node.get("prefixItems")
        if isinstance(first, list):
            if not least == most == len(first):
                return _open()
            items = [self._of(each, level + 1) for each in first]
            # A named tuple takes an object as well.
            return _one_of([core_schema.tuple_schema(items), core_schema.dict_schema()], plain=False)
        return core_schema.list_schema(
            self._of(node.get("items", True), level + 1), min_length=least, max_length=most
        )

    def _object(self, node: _Node, level: int) -> CoreSchema:
        properties, more = node.get("properties"), node.get("additionalProperties", True)
        if not isinstance(properties, Mapping) or "patternProperties" in node:
            values = self._of(more, level + 1) if "patternProperties" not in node else _open()
            return core_schema.dict_schema(values_schema=values, min_length=_size(node, "minProperties"))
        needed = node.get("required")
        needed = (
            frozenset(each for each in needed if isinstance(each, str)) if isinstance(needed, list) else ()
        )
        fields = {
            name: core_schema.typed_dict_field(self._of(each, level + 1), required=name in needed)
            for name, each in properties.items()
        }
        fields |= {
            name: core_schema.typed_dict_field(_open(), required=True)
            for name in needed
            if name not in fields
        }
        return core_schema.typed_dict_schema(
            fields,
            extra_behavior="forbid" if more is False else "allow",
            extras_schema=self._of(more, level + 1) if isinstance(more, Mapping) else None,
        )


_open = core_schema.any_schema


_FORMATS: dict[str, Callable[[], CoreSchema]] = {
    "date-time": core_schema.datetime_schema,
    "date": core_schema.date_schema,
    "time": core_schema.time_schema,
    "duration": core_schema.timedelta_schema,
    "uuid": core_schema.uuid_schema,
}


def _integer(node: _Node) -> CoreSchema:
    return core_schema.int_schema(multiple_of=_whole(node, "multipleOf"), **_bounds(node, _whole))


def _number(node: _Node) -> CoreSchema:
    return core_schema.float_schema(allow_inf_nan=True, **_bounds(node, _real))


def _bounds(node: _Node, read: Callable[[_Node, str], Any]) -> dict[str, Any]:
    names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    found = {short: read(node, name) for short, name in names.items()}
    return {short: value for short, value in found.items() if value is not None}


def _whole(node: _Node, name: str) -> int | None:
    value = _real(node, name)
    return int(value) if value is not None and value.is_integer() and abs(value) < 1 << 53 else None


def _real(node: _Node, name: str) -> float | None:
    value = node.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _size(node: _Node, name: str) -> int | None:
    value = _whole(node, name)
    return value if value is not None and value >= 0 else None


def _is_plain(node: Any) -> bool:
    return isinstance(node, Mapping) and node.get("type") in _PLAIN and "anyOf" not in node


def _unchanged(value: Any, check: Callable[[Any], Any]) -> Any:
    check(value)
    return value


class _Visits:
    """Counts the choices made for one input; travels as the validation's context."""

    def __init__(self) -> None:
        self.left = MAX_VISITS


def _counted(value: Any, check: Callable[[Any], Any], info: core_schema.ValidationInfo[_Visits]) -> Any:
    visits = info.context
    visits.left -= 1
    if visits.left < 0:
        raise TooManyChoices
    return check(value)


def _one_of(forms: list[CoreSchema], *, plain: bool) -> CoreSchema:
    union = core_schema.union_schema(
        list(forms),
        mode="left_to_right",
        custom_error_type="no_such_form",
        custom_error_message="Input should have one of the forms that the program takes",
    )
    return union if plain else core_schema.with_info_wrap_validator_function(_counted, union)


def check(validator: SchemaValidator, value: Any) -> None:
    """Validate a value. Raises: ValidationError, TooManyChoices."""
    validator.validate_python(value, context=_Visits())


def _among(values: Any) -> CoreSchema:
    """Return what takes one of some constants; numbers also as the texts and booleans that count as them."""
    if not isinstance(values, list):
        return _open()
    texts = {each for each in values if isinstance(each, str)}
    numbers = {float(each) for each in values if isinstance(each, int | float)}
    if not all(each is None or isinstance(each, str | int | float) for each in values):
        return _open()
    said = ", ".join(repr(each) for each in values[:10]) + (", ..." if len(values) > 10 else "")

    def one(value: Any) -> Any:
        if value is None and None in values:
            return value
        if isinstance(value, str) and value in texts:
            return value
        if isinstance(value, str | int | float) and numbers and _number_in(value) in numbers:
            return value
        raise PydanticCustomError("enum", "Input should be one of {said}", {"said": said[:300]})

    return core_schema.no_info_plain_validator_function(one)


def _number_in(value: str | float) -> float | None:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
