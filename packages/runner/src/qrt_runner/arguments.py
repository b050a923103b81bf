"""The arguments of a template program's `run`: the properties of the input, by pydantic's validation."""

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from qrt_runner.encode import NotRepresentable
from qrt_runner.failures import Failure
from qrt_runner.plain import written
from qrt_runner.secret_values import secret_of, secret_type

_NO_DEFAULT = inspect.Parameter.empty
_SHOWN = 5


class InvalidArguments(Exception):
    """The input does not fit: `errors` are (JSON pointer, reason) pairs, none of which tells a value."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        self.errors = tuple(errors)
        shown = [f"{pointer or 'the input'}: {reason}" for pointer, reason in self.errors[:_SHOWN]]
        more = len(self.errors) - len(shown)
        super().__init__("; ".join(shown) + (f"; and {more} more" if more else ""))


@dataclass(frozen=True)
class Parameter:
    """One parameter of `run`. `annotation` is Any where there is none, or none that can be resolved."""

    name: str
    annotation: Any = Any
    default: Any = _NO_DEFAULT

    @cached_property
    def adapter(self) -> TypeAdapter[Any] | None:
        """What validates an argument; None if its annotation says nothing that pydantic could check."""
        return _adapter(_with_names(self.annotation))

    @cached_property
    def declared(self) -> TypeAdapter[Any] | None:
        """The same as its author wrote it, to describe it by."""
        return _adapter(self.annotation)

    @property
    def optional(self) -> bool:
        """None is among what it takes."""
        return _takes_none(self.annotation)

    @cached_property
    def secret(self) -> type | None:
        """The vendor's class, if the job's secrets and not its input make this parameter."""
        return secret_type(self.annotation)

    @property
    def required(self) -> bool:
        """The input must have it. A model whose fields all have defaults is made of them."""
        if self.secret is not None or self.default is not _NO_DEFAULT or self.optional:
            return False
        if not _is_model(self.annotation) or self.adapter is None:
            return True
        try:
            self.adapter.validate_python({})
        except Exception:  # noqa: BLE001 - its validators are the program's own
            return True
        return False


@dataclass(frozen=True)
class Parameters:
    """What `run` takes: its named parameters, and one for all other properties if it takes those."""

    named: tuple[Parameter, ...]
    others: Parameter | None


def parameters(run: Callable[..., Any]) -> Parameters:
    """Return the parameters of `run`. Raises Failure if it cannot be called with keyword arguments alone."""
    try:
        found = inspect.signature(run).parameters.values()
    except (TypeError, ValueError):
        return Parameters((), Parameter("kwargs"))  # a callable that does not tell
    hints = _hints(run)
    named: list[Parameter] = []
    others = None
    for each in found:
        if each.kind is each.POSITIONAL_ONLY:
            detail = f"run() is called with keyword arguments, and its parameter {each.name!r} takes none"
            raise Failure("ImportFailed", detail)
        parameter = Parameter(each.name, hints.get(each.name, Any), each.default)
        if each.kind is each.VAR_KEYWORD:
            others = parameter
        elif each.kind is not each.VAR_POSITIONAL:
            named.append(parameter)
    return Parameters(tuple(named), others)


def result_annotation(run: Callable[..., Any]) -> TypeAdapter[Any] | None:
    """Return what `run` says it returns; None if it does not, or in terms that pydantic does not know."""
    return _adapter(_hints(run).get("return", Any))


def arguments(
    run: Callable[..., Any], given: Mapping[str, Any], *, decoded: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the arguments for `run` that the properties of an input make.

    Args:
        run: the program's function.
        given: the properties, as they stand in the JSON text.
        decoded: the same with tagged values read back (`encode`), if there are any.

    Raises:
        InvalidArguments: some are missing, or are not what `run` takes.
        Failure: `run` cannot be called like this.
    """
    wanted = parameters(run)
    reader = _Reader(given, given if decoded is None else decoded)
    made: dict[str, Any] = {}
    for each in wanted.named:
        if each.secret is not None:
            reader.disclose(each, each.secret, made)
        elif each.name in given:
            reader.convert(each, each.name, made)
        elif each.default is _NO_DEFAULT:
            reader.fill(each, made)
    if wanted.others is not None:
        for name in given.keys() - {each.name for each in wanted.named}:
            reader.convert(wanted.others, name, made)
    if reader.errors:
        raise InvalidArguments(sorted(reader.errors))
    return made


class _Reader:
    """Turns properties into arguments, and notes what does not fit."""

    def __init__(self, given: Mapping[str, Any], decoded: Mapping[str, Any]) -> None:
        self._given = given
        self._decoded = decoded
        self.errors: list[tuple[str, str]] = []

    def convert(self, parameter: Parameter, name: str, made: dict[str, Any]) -> None:
        raw, value = self._given[name], self._decoded[name]
        if parameter.adapter is None or (raw is None and parameter.default is None):
            made[name] = value
            return
        try:
            made[name] = _validated(parameter.adapter, raw, value)
        except ValidationError as exc:
            self._note(name, raw, exc)

    def disclose(self, parameter: Parameter, kind: type, made: dict[str, Any]) -> None:
        """Make the argument that is a secret of the job."""
        secret = secret_of(parameter.name)
        if secret is not None:
            made[parameter.name] = kind(value=secret)
        elif parameter.default is _NO_DEFAULT and parameter.optional:
            made[parameter.name] = None
        elif parameter.default is _NO_DEFAULT:
            self.errors.append((_pointer(["$secrets", parameter.name]), "it is missing"))

    def fill(self, parameter: Parameter, made: dict[str, Any]) -> None:
        """Make the argument of a property that is missing, if there is anything to make it of."""
        if parameter.optional:
            made[parameter.name] = None
            return
        if parameter.adapter is None or not _is_model(parameter.annotation):
            self.errors.append((_pointer([parameter.name]), "it is missing"))
            return
        try:
            made[parameter.name] = parameter.adapter.validate_python({})
        except ValidationError as exc:
            self._note(parameter.name, {}, exc)

    def _note(self, name: str, raw: Any, exc: ValidationError) -> None:
        for error in exc.errors(include_url=False, include_context=False, include_input=False):
            way = _way(raw, error["loc"], missing=error["type"] == "missing")
            reason = "it is missing" if error["type"] == "missing" else error["msg"]
            self.errors.append((_pointer([name, *way]), reason))


def _validated(adapter: TypeAdapter[Any], raw: Any, value: Any) -> Any:
    """Validate a property as JSON; one with tagged values as what they stand for, or else as their JSON."""
    if value is raw:
        return adapter.validate_json(json.dumps(raw))
    try:
        return adapter.validate_python(value)
    except ValidationError:
        try:
            text = written(value).text
        except NotRepresentable:
            text = json.dumps(raw)
        return adapter.validate_json(text)


def _way(value: Any, location: Sequence[int | str], *, missing: bool) -> list[str]:
    """Return the part of a location that is a way through the input, without the steps of the types."""
    way: list[str] = []
    for at, part in enumerate(location):
        members = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part in members:
            value = value[part]
        elif not (missing and at == len(location) - 1):
            continue
        way.append(str(part))
    return way


def _pointer(way: Sequence[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in way)


def _hints(run: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of `run`, postponed ones resolved; without those that cannot be."""
    function: Any = inspect.unwrap(run)
    if not inspect.isroutine(function):
        function = getattr(function, "func", None) or type(function).__call__
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001 - a name that only a type checker sees, for one; then each by itself
        names = getattr(function, "__globals__", {})
        found = {
            name: _resolved(hint, names) for name, hint in getattr(function, "__annotations__", {}).items()
        }
        return {name: hint for name, hint in found.items() if hint is not _NO_DEFAULT}


def _resolved(hint: Any, names: dict[str, Any]) -> Any:
    def only() -> None: ...

    only.__annotations__ = {"hint": hint}
    try:
        return typing.get_type_hints(only, globalns=names, include_extras=True)["hint"]
    except Exception:  # noqa: BLE001
        return _NO_DEFAULT


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    if annotation is Any or annotation is _NO_DEFAULT:
        return None
    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, TypeError, NameError):
        return None  # a class that pydantic knows nothing of: the value is passed as it is


def _takes_none(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _takes_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return any(each is type(None) or _takes_none(each) for each in get_args(annotation))
    return annotation is None or annotation is type(None)


def _is_model(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _is_model(get_args(annotation)[0])
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _with_names(annotation: Any) -> Any:
    """Return an annotation whose enums take the names of their members too, as the vendor's runtime does."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return Annotated[annotation, BeforeValidator(_by_name(annotation))]
    origin, inner = get_origin(annotation), get_args(annotation)
    if not inner:
        return annotation
    if origin in (Union, types.UnionType):
        return Union[tuple(_with_names(each) for each in inner)]  # noqa: UP007 - of as many as there are
    if origin in (list, set, frozenset, tuple, dict):
        return origin[tuple(each if each is ... else _with_names(each) for each in inner)]
    return annotation


def _by_name(kind: type[Enum]) -> Callable[[Any], Any]:
    def member(value: Any) -> Any:
        if not isinstance(value, str) or any(each.value == value for each in kind):
            return value
        return kind.__members__.get(value, value)

    return member
