"""A first signature of `run`, read from the source alone: it refuses only what is plainly wrong.

What an annotation means is known for the types of Python itself; any other name may be a model that is
made of nothing, or another name for an optional type, so that not even its absence can be refused.
"""

import ast
from typing import Any, NamedTuple

from qrt_registry.adapters.inspect_source import Function, at_top, names_bound

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_TEXT = 20_000
MAX_ANNOTATION = 2_000
_MAX_DEPTH = 20
_SCALARS = {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}
_TYPING = {"List": "list", "Dict": "dict", "Mapping": "dict", "Sequence": "list"}
_HOMES = frozenset({"typing", "typing_extensions", "collections.abc"})
Schema = dict[str, Any]


class Read(NamedTuple):
    """What an annotation says. `known`: it is no other name, and no model."""

    schema: Schema
    known: bool = True
    takes_none: bool = False


_UNKNOWN = Read({}, known=False)


def signature_of(tree: ast.Module, run: Function | ast.Lambda | None) -> dict[str, Any]:
    """Return a `Signature` as data; an open one if `run` is not to be seen."""
    if run is None:
        return {"input": _object({}, []), "check": _object({}, [])}
    types = _Types(tree)
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for argument, default in _arguments(run.args):
        read = types.read(argument.annotation)
        properties[argument.arg] = _with_default(read, default)
        if default is None and read.known and not read.takes_none:
            required.append(argument.arg)
    schema = _object(properties, required)
    text = "" if isinstance(run, ast.Lambda) else (ast.get_docstring(run) or "").strip()[:MAX_TEXT]
    summary, _, rest = text.partition("\n")
    found = {"input": schema, "check": schema, "summary": summary.strip(), "description": rest.strip()}
    return {name: value for name, value in found.items() if value}


def _object(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {"$schema": DIALECT, "type": "object", "properties": properties, "required": required}


def _arguments(given: ast.arguments) -> list[tuple[ast.arg, ast.expr | None]]:
    """Return the named parameters, each with its default."""
    missing: list[ast.expr | None] = [None] * (len(given.args) - len(given.defaults))
    plain = list(zip(given.args, [*missing, *given.defaults], strict=True))
    return plain + list(zip(given.kwonlyargs, given.kw_defaults, strict=True))


def _with_default(read: Read, default: ast.expr | None) -> Schema:
    if not isinstance(default, ast.Constant):
        return read.schema
    if default.value is None:
        return {"anyOf": [read.schema, {"type": "null"}], "default": None} if read.schema else {}
    if isinstance(default.value, str | bool | int | float) and read.schema:
        return {**read.schema, "default": default.value}
    return read.schema


class _Types:
    """Reads annotations of one module."""

    def __init__(self, tree: ast.Module) -> None:
        self._names: dict[str, str] = {name: name for name in (*_SCALARS, "list", "dict", "None")}
        self._modules: set[str] = set()
        for statement in at_top(tree.body):
            self._note(statement)

    def _note(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.ImportFrom) and statement.module in _HOMES and not statement.level:
            for alias in statement.names:
                self._names[alias.asname or alias.name] = _TYPING.get(alias.name, alias.name)
            return
        if isinstance(statement, ast.Import):
            homes = (each for each in statement.names if each.name in _HOMES and "." not in each.name)
            self._modules |= {each.asname or each.name for each in homes}
        star = isinstance(statement, ast.ImportFrom) and any(each.name == "*" for each in statement.names)
        if star:
            self._names.clear()
        for name in names_bound(statement):
            self._names.pop(name, None)

    def read(self, node: ast.expr | None, depth: int = 0) -> Read:
        """Return what an annotation says; none says nothing, and that for certain."""
        if node is None:
            return Read({})
        if depth > _MAX_DEPTH:
            return _UNKNOWN
        if isinstance(node, ast.Constant):
            return self._constant(node.value, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return _union([self.read(node.left, depth + 1), self.read(node.right, depth + 1)])
        if isinstance(node, ast.Subscript):
            return self._subscript(self._name(node.value), node.slice, depth)
        return _plain(self._name(node))

    def _constant(self, value: object, depth: int) -> Read:
        if value is None:
            return Read({"type": "null"}, takes_none=True)
        if not isinstance(value, str) or len(value) > MAX_ANNOTATION:
            return _UNKNOWN
        try:
            inner = ast.parse(value.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return _UNKNOWN
        return self.read(inner, depth + 1)

    def _name(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in self._modules
        ):
            return _TYPING.get(node.attr, node.attr)
        return None

    def _subscript(self, name: str | None, inner: ast.expr, depth: int) -> Read:
        arguments = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if name == "Optional":
            return _union([self.read(inner, depth + 1), Read({"type": "null"}, takes_none=True)])
        if name == "Union":
            return _union([self.read(each, depth + 1) for each in arguments])
        if name == "list" and len(arguments) == 1:
            items = self.read(arguments[0], depth + 1).schema
            return Read({"type": "array", **({"items": items} if items else {})})
        if name == "dict" and len(arguments) == 2:
            values = self.read(arguments[1], depth + 1).schema
            return Read({"type": "object", **({"additionalProperties": values} if values else {})})
        return _UNKNOWN


def _plain(name: str | None) -> Read:
    if name in _SCALARS:
        return Read({"type": _SCALARS[name]})
    kinds: dict[str | None, Read] = {
        "list": Read({"type": "array"}),
        "dict": Read({"type": "object"}),
        "Any": Read({}),
    }
    return kinds.get(name, _UNKNOWN)


def _union(members: list[Read]) -> Read:
    schemas = [each.schema for each in members]
    schema = {"anyOf": schemas} if all(schemas) else {}
    return Read(
        schema,
        known=all(each.known for each in members),
        takes_none=any(each.takes_none for each in members),
    )
