"""Settings: one frozen class per service, read once from a mapping of environment variables.

A nested class flattens with `_`: field `url` of field `bus`, read with prefix `QRT_SCHEDULER_`,
is the variable `QRT_SCHEDULER_BUS_URL`. A tuple is written with commas. A secret can stand in a file:
`QRT_SCHEDULER_BUS_URL_FILE` is its path. An empty file is a secret that is not set.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

S = TypeVar("S", bound="Settings")

_FILE = "_FILE"
_MAX_SECRET_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts, where its name does not end in its unit: `Annotated[int, Unit("jobs")]`."""

    name: str


class SettingsError(Exception):
    """The environment does not make valid settings; the text names each variable at fault."""


class Settings(BaseModel):
    """A frozen group of settings; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class BusSettings(Settings):
    """How to reach the bus."""

    url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/")
    """`amqp://user:password@host:port/vhost`, or `memory://` inside one process."""
    connect_seconds: float = Field(default=5.0, gt=0)
    """How long one try to connect may take."""
    heartbeat_seconds: int = Field(default=10, ge=1)
    """Silence after which the connection is suspected; it is dropped after three times that."""


class MongoSettings(Settings):
    """How to reach the database."""

    url: SecretStr = SecretStr("mongodb://127.0.0.1:27017/")
    """A MongoDB connection string."""
    prefix: str = Field(default="", pattern=r"^[a-z0-9_-]{0,32}$")
    """Goes before the name of each database, so that installations can share a server."""
    timeout_seconds: float = Field(default=10.0, gt=0)
    """How long one operation may take, the search for a server included."""


class HealthSettings(Settings):
    """Where `/livez`, `/readyz` and `/metrics` are served."""

    host: str = "127.0.0.1"
    """The address to listen at; `0.0.0.0` is every one of this host."""
    port: Annotated[int, Unit("port")] = Field(ge=0, le=65535)
    """The port to listen at; 0 serves none."""


class ServiceSettings(Settings):
    """What every service reads."""

    bus: BusSettings = BusSettings()
    mongo: MongoSettings = MongoSettings()
    health: HealthSettings
    traces_url: str | None = None
    """Where spans go, OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`. Unset, none are made."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least that is logged."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: tuple[str, ...]
    field: FieldInfo

    def variable(self, prefix: str) -> str:
        return prefix + "_".join(self.path).upper()


def load(cls: type[S], environ: Mapping[str, str], *, prefix: str) -> S:
    """Build `cls` from the variables of `environ` that begin with `prefix`.

    Raises:
        SettingsError: a variable with the prefix is unknown, missing or malformed, or its file cannot be
            read. The text gives the variable, what is wrong and the accepted form; never the value of a
            secret.
    """
    leaves = {leaf.variable(prefix): leaf for leaf in _leaves(cls)}
    given = {name: value for name, value in environ.items() if name.startswith(prefix)}
    given = _with_files(given, leaves)
    if unknown := sorted(given.keys() - leaves.keys()):
        raise SettingsError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(leaves))}")
    tree = _defaults(cls)
    for name, value in given.items():
        _place(tree, leaves[name], value)
    try:
        return cls.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_explain(error, leaves, prefix=prefix)) from None


def unit(name: str, field: FieldInfo) -> str | None:
    """Return the unit of a setting: its `Unit`, or the last word of its name; None for what is no number.

    Raises:
        LookupError: it is a number, and neither says its unit.
    """
    if not _numeric(field.annotation):
        return None
    for each in field.metadata:
        if isinstance(each, Unit):
            return each.name
    last = name.rpartition("_")[2]
    if last not in ("seconds", "bytes", "days"):
        raise LookupError(f"{name} has no unit; annotate it with one")
    return last


def _numeric(kind: Any) -> bool:
    return kind in (int, float) or any(_numeric(each) for each in get_args(kind) if isinstance(each, type))


def _with_files(given: Mapping[str, str], leaves: Mapping[str, _Leaf]) -> dict[str, str]:
    """Return the variables with what the files of secrets hold in place of the files' paths."""
    files = {
        name: path
        for name, path in given.items()
        if (leaf := leaves.get(name.removesuffix(_FILE))) and name not in leaves and _secret(leaf.field)
    }
    values = {name: value for name, value in given.items() if name not in files}
    for name, path in files.items():
        variable = name.removesuffix(_FILE)
        if variable in values:
            raise SettingsError(f"both {variable} and {name} are set; give one of them")
        if text := _text_of(name, path):
            values[variable] = text
    return values


def _text_of(variable: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise SettingsError(f"{variable}={path!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}={path!r} holds no text in UTF-8") from None
    if len(data) > _MAX_SECRET_BYTES:
        raise SettingsError(f"{variable}={path!r} holds more than {_MAX_SECRET_BYTES} bytes")
    return text.strip()


def _leaves(cls: type[Settings], path: tuple[str, ...] = ()) -> Iterator[_Leaf]:
    for name, field in cls.model_fields.items():
        if nested := _nested(field):
            yield from _leaves(nested, (*path, name))
        else:
            yield _Leaf((*path, name), field)


def _nested(field: FieldInfo) -> type[Settings] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def _defaults(cls: type[Settings]) -> dict[str, Any]:
    """Return the tree of nested groups, holding what a group's own default sets in it."""
    tree: dict[str, Any] = {}
    for name, field in cls.model_fields.items():
        if nested := _nested(field):
            preset = field.get_default(call_default_factory=True)
            tree[name] = _defaults(nested) | (dict(preset) if isinstance(preset, Settings) else {})
    return tree


def _place(tree: dict[str, Any], leaf: _Leaf, value: str) -> None:
    *groups, name = leaf.path
    for group in groups:
        inner = tree.get(group)
        if not isinstance(inner, dict):
            inner = dict(inner) if isinstance(inner, Settings) else {}
            tree[group] = inner
        tree = inner
    tree[name] = _parts(value) if get_origin(leaf.field.annotation) in (tuple, frozenset) else value


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _explain(error: ValidationError, leaves: Mapping[str, _Leaf], *, prefix: str) -> str:
    lines = []
    for each in error.errors(include_url=False, include_context=False):
        path = tuple(str(part) for part in each["loc"])
        name, leaf = _at_fault(path, leaves)
        if leaf is None:
            lines.append(f"{prefix}*: {each['msg']}")
        elif each["type"] == "missing":
            lines.append(f"{name} is missing; give {_form(leaf.field)}")
        elif _secret(leaf.field):
            lines.append(f"{name} is not valid; give {_form(leaf.field)}")
        else:
            lines.append(f"{name}={each['input']!r}: {each['msg']}; give {_form(leaf.field)}")
    return "\n".join(lines)


def _at_fault(path: tuple[str, ...], leaves: Mapping[str, _Leaf]) -> tuple[str, _Leaf | None]:
    for name, leaf in leaves.items():
        if path[: len(leaf.path)] == leaf.path:
            return name, leaf
    return "", None


def _secret(field: FieldInfo) -> bool:
    return _mentions_secret(field.annotation)


def _mentions_secret(kind: Any) -> bool:
    return kind is SecretStr or any(_mentions_secret(each) for each in get_args(kind))


_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    SecretStr: "text (kept secret)",
    Path: "a path",
}


def _form(field: FieldInfo) -> str:
    words = _words(field.annotation)
    bounds = [text for text in map(_bound, field.metadata) if text]
    if bounds:
        words += f" ({', '.join(bounds)})"
    if field.default is not PydanticUndefined and not _secret(field):
        words += f"; default {field.default!r}"
    return words


def _words(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(each.value) for each in kind)
    if get_origin(kind) is Annotated:
        return _words(get_args(kind)[0])
    origin, inner = get_origin(kind), [each for each in get_args(kind) if each is not NoneType]
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin in (tuple, frozenset):
        return f"{_words(inner[0])}, several with commas between"
    if origin in (Union, UnionType):
        return " or ".join(_words(each) for each in inner)
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def _bound(limit: Any) -> str | None:
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "pattern": "matching"}
    for name, words in signs.items():
        if (value := getattr(limit, name, None)) is not None:
            return f"{words} {value}"
    return None
